-- An aggregate that charges each billing period of a group.

CREATE TYPE meter.period_charge AS (
    period tstzrange,
    quantity numeric,
    overage numeric,
    charge numeric
);
COMMENT ON TYPE meter.period_charge IS
'What a period is charged: the period, the quantity in it, the part of the quantity that lies in lines with a price, and the charge.';

CREATE TYPE meter.period_sums;

CREATE FUNCTION meter.period_sums_in(cstring) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_period_sums_in';
COMMENT ON FUNCTION meter.period_sums_in(cstring) IS 'Text input of meter.period_sums.';

CREATE FUNCTION meter.period_sums_out(meter.period_sums) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_period_sums_out';
COMMENT ON FUNCTION meter.period_sums_out(meter.period_sums) IS 'Text output of meter.period_sums: its binary form in hexadecimal digits.';

CREATE FUNCTION meter.period_sums_recv(internal) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_period_sums_recv';
COMMENT ON FUNCTION meter.period_sums_recv(internal) IS 'Binary input of meter.period_sums, as strict as the text input.';

CREATE FUNCTION meter.period_sums_send(meter.period_sums) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_period_sums_send';
COMMENT ON FUNCTION meter.period_sums_send(meter.period_sums) IS 'Binary output of meter.period_sums: a version byte, then field by field.';

CREATE TYPE meter.period_sums (
    INPUT = meter.period_sums_in,
    OUTPUT = meter.period_sums_out,
    RECEIVE = meter.period_sums_recv,
    SEND = meter.period_sums_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = extended
);
COMMENT ON TYPE meter.period_sums IS
'The state of the aggregate charges_by_period: the quantity of each period, and the tariff, anchor, length and zone that they are charged by. A stored one keeps the periods that it was made with when the tz database changes.';

CREATE FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, numeric, timestamptz, interval, text) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_period_accum';
COMMENT ON FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, numeric, timestamptz, interval, text) IS 'Transition function of charges_by_period.';

CREATE FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, bigint, timestamptz, interval, text) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_period_accum_int8';
COMMENT ON FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, bigint, timestamptz, interval, text) IS 'Transition function of charges_by_period.';

CREATE FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, integer, timestamptz, interval, text) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_period_accum_int4';
COMMENT ON FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, integer, timestamptz, interval, text) IS 'Transition function of charges_by_period.';

CREATE FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, numeric, date, interval, text) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_period_accum_date';
COMMENT ON FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, numeric, date, interval, text) IS 'Transition function of charges_by_period.';

CREATE FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, bigint, date, interval, text) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_period_accum_date_int8';
COMMENT ON FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, bigint, date, interval, text) IS 'Transition function of charges_by_period.';

CREATE FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, integer, date, interval, text) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_period_accum_date_int4';
COMMENT ON FUNCTION meter.charges_by_period_accum(meter.period_sums, meter.tariff, timestamptz, integer, date, interval, text) IS 'Transition function of charges_by_period.';

CREATE FUNCTION meter.charges_by_period_combine(meter.period_sums, meter.period_sums) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_period_combine';
COMMENT ON FUNCTION meter.charges_by_period_combine(meter.period_sums, meter.period_sums) IS 'Combine function of charges_by_period.';

CREATE FUNCTION meter.charges_by_period_final(meter.period_sums) RETURNS meter.period_charge[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_period_final';
COMMENT ON FUNCTION meter.charges_by_period_final(meter.period_sums) IS 'Final function of charges_by_period: a row a period, in order.';

CREATE AGGREGATE meter.charges_by_period(tariff meter.tariff, at timestamptz, quantity numeric, anchor timestamptz, every interval, timezone text) (
    SFUNC = meter.charges_by_period_accum,
    STYPE = meter.period_sums,
    SSPACE = 768,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(meter.tariff, timestamptz, numeric, timestamptz, interval, text) IS
'What each billing period of a group is charged: an array of period_charge, a row for each period that has a quantity, in order. In one pass over events in any order, and without a hash table as many times larger as there are periods: GROUP BY customer, then unnest. It is the same as summing by period(at, anchor, every, timezone) and taking overage and charge of each sum. tariff, anchor, every and timezone are the same in all rows of a group, or it is an error. Rows in which any argument is NULL are left out; without rows the result is NULL. A period whose quantity is negative is an error.';

CREATE AGGREGATE meter.charges_by_period(tariff meter.tariff, at timestamptz, quantity bigint, anchor timestamptz, every interval, timezone text) (
    SFUNC = meter.charges_by_period_accum,
    STYPE = meter.period_sums,
    SSPACE = 768,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(meter.tariff, timestamptz, bigint, timestamptz, interval, text) IS
'charges_by_period of whole quantities, with periods counted from a moment.';

CREATE AGGREGATE meter.charges_by_period(tariff meter.tariff, at timestamptz, quantity integer, anchor timestamptz, every interval, timezone text) (
    SFUNC = meter.charges_by_period_accum,
    STYPE = meter.period_sums,
    SSPACE = 768,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(meter.tariff, timestamptz, integer, timestamptz, interval, text) IS
'charges_by_period of whole quantities, with periods counted from a moment.';

CREATE AGGREGATE meter.charges_by_period(tariff meter.tariff, at timestamptz, quantity numeric, anchor date, every interval, timezone text) (
    SFUNC = meter.charges_by_period_accum,
    STYPE = meter.period_sums,
    SSPACE = 768,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(meter.tariff, timestamptz, numeric, date, interval, text) IS
'charges_by_period of quantities, with periods counted from the start of a local date.';

CREATE AGGREGATE meter.charges_by_period(tariff meter.tariff, at timestamptz, quantity bigint, anchor date, every interval, timezone text) (
    SFUNC = meter.charges_by_period_accum,
    STYPE = meter.period_sums,
    SSPACE = 768,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(meter.tariff, timestamptz, bigint, date, interval, text) IS
'charges_by_period of whole quantities, with periods counted from the start of a local date.';

CREATE AGGREGATE meter.charges_by_period(tariff meter.tariff, at timestamptz, quantity integer, anchor date, every interval, timezone text) (
    SFUNC = meter.charges_by_period_accum,
    STYPE = meter.period_sums,
    SSPACE = 768,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(meter.tariff, timestamptz, integer, date, interval, text) IS
'charges_by_period of whole quantities, with periods counted from the start of a local date.';

-- The same by a book of rules: what is charged to whom, by the customer.

CREATE FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, text, timestamptz, numeric, interval) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_book_accum';
COMMENT ON FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, text, timestamptz, numeric, interval) IS 'Transition function of charges_by_period with a book.';

CREATE FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, text, timestamptz, bigint, interval) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_book_accum_int8';
COMMENT ON FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, text, timestamptz, bigint, interval) IS 'Transition function of charges_by_period with a book.';

CREATE FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, text, timestamptz, integer, interval) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_book_accum_int4';
COMMENT ON FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, text, timestamptz, integer, interval) IS 'Transition function of charges_by_period with a book.';

CREATE FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, bigint, timestamptz, numeric, interval) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_book_accum_id';
COMMENT ON FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, bigint, timestamptz, numeric, interval) IS 'Transition function of charges_by_period with a book.';

CREATE FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, bigint, timestamptz, bigint, interval) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_book_accum_id_int8';
COMMENT ON FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, bigint, timestamptz, bigint, interval) IS 'Transition function of charges_by_period with a book.';

CREATE FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, bigint, timestamptz, integer, interval) RETURNS meter.period_sums
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_charges_by_book_accum_id_int4';
COMMENT ON FUNCTION meter.charges_by_book_accum(meter.period_sums, jsonb, bigint, timestamptz, integer, interval) IS 'Transition function of charges_by_period with a book.';

CREATE AGGREGATE meter.charges_by_period(book jsonb, customer text, at timestamptz, quantity numeric, every interval) (
    STYPE = meter.period_sums,
    SFUNC = meter.charges_by_book_accum,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    SSPACE = 1024,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(jsonb, text, timestamptz, numeric, interval) IS
'The charge of each billing period of a customer, grouped by the customer, whose tariff, anchor and zone are in a book: a JSON object with an entry a customer, {"tariff": "at 0.08", "anchor": "2026-01-31", "timezone": "Europe/Berlin"}. Make it with (SELECT jsonb_object_agg(customer, jsonb_build_object(''tariff'', tariff, ''anchor'', anchor, ''timezone'', timezone)) FROM ...): it is read once a group, so that no row pays for a join. An array of meter.period_charge in the order of time, as without a book; NULL for a customer that is not in the book. Rows with a NULL are left out. Two customers in one group, an entry that lacks something and a period whose quantity is negative are errors.';

CREATE AGGREGATE meter.charges_by_period(book jsonb, customer text, at timestamptz, quantity bigint, every interval) (
    STYPE = meter.period_sums,
    SFUNC = meter.charges_by_book_accum,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    SSPACE = 1024,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(jsonb, text, timestamptz, bigint, interval) IS
'The charge of each billing period of a customer, grouped by the customer, whose tariff, anchor and zone are in a book: a JSON object with an entry a customer, {"tariff": "at 0.08", "anchor": "2026-01-31", "timezone": "Europe/Berlin"}. Make it with (SELECT jsonb_object_agg(customer, jsonb_build_object(''tariff'', tariff, ''anchor'', anchor, ''timezone'', timezone)) FROM ...): it is read once a group, so that no row pays for a join. An array of meter.period_charge in the order of time, as without a book; NULL for a customer that is not in the book. Rows with a NULL are left out. Two customers in one group, an entry that lacks something and a period whose quantity is negative are errors.';

CREATE AGGREGATE meter.charges_by_period(book jsonb, customer text, at timestamptz, quantity integer, every interval) (
    STYPE = meter.period_sums,
    SFUNC = meter.charges_by_book_accum,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    SSPACE = 1024,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(jsonb, text, timestamptz, integer, interval) IS
'The charge of each billing period of a customer, grouped by the customer, whose tariff, anchor and zone are in a book: a JSON object with an entry a customer, {"tariff": "at 0.08", "anchor": "2026-01-31", "timezone": "Europe/Berlin"}. Make it with (SELECT jsonb_object_agg(customer, jsonb_build_object(''tariff'', tariff, ''anchor'', anchor, ''timezone'', timezone)) FROM ...): it is read once a group, so that no row pays for a join. An array of meter.period_charge in the order of time, as without a book; NULL for a customer that is not in the book. Rows with a NULL are left out. Two customers in one group, an entry that lacks something and a period whose quantity is negative are errors.';

CREATE AGGREGATE meter.charges_by_period(book jsonb, customer bigint, at timestamptz, quantity numeric, every interval) (
    STYPE = meter.period_sums,
    SFUNC = meter.charges_by_book_accum,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    SSPACE = 1024,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(jsonb, bigint, timestamptz, numeric, interval) IS
'The charge of each billing period of a customer, grouped by the customer, whose tariff, anchor and zone are in a book: a JSON object with an entry a customer, {"tariff": "at 0.08", "anchor": "2026-01-31", "timezone": "Europe/Berlin"}. Make it with (SELECT jsonb_object_agg(customer, jsonb_build_object(''tariff'', tariff, ''anchor'', anchor, ''timezone'', timezone)) FROM ...): it is read once a group, so that no row pays for a join. An array of meter.period_charge in the order of time, as without a book; NULL for a customer that is not in the book. Rows with a NULL are left out. Two customers in one group, an entry that lacks something and a period whose quantity is negative are errors.';

CREATE AGGREGATE meter.charges_by_period(book jsonb, customer bigint, at timestamptz, quantity bigint, every interval) (
    STYPE = meter.period_sums,
    SFUNC = meter.charges_by_book_accum,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    SSPACE = 1024,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(jsonb, bigint, timestamptz, bigint, interval) IS
'The charge of each billing period of a customer, grouped by the customer, whose tariff, anchor and zone are in a book: a JSON object with an entry a customer, {"tariff": "at 0.08", "anchor": "2026-01-31", "timezone": "Europe/Berlin"}. Make it with (SELECT jsonb_object_agg(customer, jsonb_build_object(''tariff'', tariff, ''anchor'', anchor, ''timezone'', timezone)) FROM ...): it is read once a group, so that no row pays for a join. An array of meter.period_charge in the order of time, as without a book; NULL for a customer that is not in the book. Rows with a NULL are left out. Two customers in one group, an entry that lacks something and a period whose quantity is negative are errors.';

CREATE AGGREGATE meter.charges_by_period(book jsonb, customer bigint, at timestamptz, quantity integer, every interval) (
    STYPE = meter.period_sums,
    SFUNC = meter.charges_by_book_accum,
    FINALFUNC = meter.charges_by_period_final,
    COMBINEFUNC = meter.charges_by_period_combine,
    SSPACE = 1024,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.charges_by_period(jsonb, bigint, timestamptz, integer, interval) IS
'The charge of each billing period of a customer, grouped by the customer, whose tariff, anchor and zone are in a book: a JSON object with an entry a customer, {"tariff": "at 0.08", "anchor": "2026-01-31", "timezone": "Europe/Berlin"}. Make it with (SELECT jsonb_object_agg(customer, jsonb_build_object(''tariff'', tariff, ''anchor'', anchor, ''timezone'', timezone)) FROM ...): it is read once a group, so that no row pays for a join. An array of meter.period_charge in the order of time, as without a book; NULL for a customer that is not in the book. Rows with a NULL are left out. Two customers in one group, an entry that lacks something and a period whose quantity is negative are errors.';
