-- What a quantity is charged: the type tariff and the functions that charge by it.

CREATE TYPE meter.tariff;

CREATE FUNCTION meter.tariff_in(cstring) RETURNS meter.tariff
AS 'MODULE_PATHNAME', 'meter_tariff_in' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_in(cstring) IS 'Text input of meter.tariff.';

CREATE FUNCTION meter.tariff_out(meter.tariff) RETURNS cstring
AS 'MODULE_PATHNAME', 'meter_tariff_out' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_out(meter.tariff) IS 'Text output of meter.tariff, canonical.';

CREATE FUNCTION meter.tariff_recv(internal) RETURNS meter.tariff
AS 'MODULE_PATHNAME', 'meter_tariff_recv' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_recv(internal) IS 'Binary input of meter.tariff, as strict as the text input.';

CREATE FUNCTION meter.tariff_send(meter.tariff) RETURNS bytea
AS 'MODULE_PATHNAME', 'meter_tariff_send' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_send(meter.tariff) IS 'Binary output of meter.tariff: a version byte, then field by field.';

CREATE TYPE meter.tariff (
    INPUT = meter.tariff_in,
    OUTPUT = meter.tariff_out,
    RECEIVE = meter.tariff_recv,
    SEND = meter.tariff_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = extended
);
COMMENT ON TYPE meter.tariff IS
$$What a quantity is charged, as text that can stand in a contract:

    at 0.08                            a price for each unit
    at 5 per 100                       a price for so many units, linear
    at 5 per started 100               packages, rounded up
    at 5 per full 100                  packages, rounded down
    at 2.9%                            a percentage of the quantity
    at 0.08 plus 10                    with a fee
    graduated: up to 500 at 0; up to 2500 at 0.08; above at 0.06 plus 10
    volume: up to 1000 at 0.10; above at 0.08
    ...; free 100; discount 50%; maximum 500; minimum 20; no fee at zero

A charge is made in this order: the net quantity is the quantity less the free one, at least zero; each tier prices its part of it and adds its fee, settled to 12 digits once a tier; the discount goes off; then the maximum caps and the minimum fills up. Tiers are (from, up to] of the net quantity: graduated ones price what lies in them, a volume one prices all of the quantity that lies in it. The last tier is open. A fee is charged when its tier is entered; the first tier is entered at a net quantity of zero too, unless the tariff ends in "no fee at zero".

Keywords are in either case, white space is free, options come in any order and each once, numbers have at most 12 fractional digits and no thousands separators. Output is canonical, and equal values are equal texts: "graduated: above at 3", "volume: above at 3" and "at 3" are one value, the flat one; "at 5 per 100" and "at 0.05" are two. There is one currency in a tariff, and it is not named. At most 1000 tiers. What breaks a rule is an error of class 22 that says where and what was expected.$$;

CREATE FUNCTION meter.tariff_eq(meter.tariff, meter.tariff) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_tariff_eq' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_eq(meter.tariff, meter.tariff) IS 'Whether two tariffs are the same value, which is the same text; operator =.';

CREATE FUNCTION meter.tariff_ne(meter.tariff, meter.tariff) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_tariff_ne' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_ne(meter.tariff, meter.tariff) IS 'Whether two tariffs are different values; operator <>.';

CREATE FUNCTION meter.tariff_lt(meter.tariff, meter.tariff) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_tariff_lt' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_lt(meter.tariff, meter.tariff) IS 'The function of operator *<: before in the order of stored bytes.';

CREATE FUNCTION meter.tariff_le(meter.tariff, meter.tariff) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_tariff_le' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_le(meter.tariff, meter.tariff) IS 'The function of operator *<=: before or equal in the order of stored bytes.';

CREATE FUNCTION meter.tariff_gt(meter.tariff, meter.tariff) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_tariff_gt' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_gt(meter.tariff, meter.tariff) IS 'The function of operator *>: behind in the order of stored bytes.';

CREATE FUNCTION meter.tariff_ge(meter.tariff, meter.tariff) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_tariff_ge' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_ge(meter.tariff, meter.tariff) IS 'The function of operator *>=: behind or equal in the order of stored bytes.';

CREATE FUNCTION meter.tariff_cmp(meter.tariff, meter.tariff) RETURNS integer
AS 'MODULE_PATHNAME', 'meter_tariff_cmp' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_cmp(meter.tariff, meter.tariff) IS 'Support of the btree operator class: -1, 0 or 1, by stored bytes.';

CREATE FUNCTION meter.tariff_hash(meter.tariff) RETURNS integer
AS 'MODULE_PATHNAME', 'meter_tariff_hash' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_hash(meter.tariff) IS 'The hash of a tariff, for hash joins, grouping and hash indexes.';

CREATE FUNCTION meter.tariff_hash_extended(meter.tariff, bigint) RETURNS bigint
AS 'MODULE_PATHNAME', 'meter_tariff_hash_extended' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff_hash_extended(meter.tariff, bigint) IS 'The 64-bit hash of a tariff with a seed, for hash partitioning.';

CREATE OPERATOR pg_catalog.= (
    FUNCTION = meter.tariff_eq,
    LEFTARG = meter.tariff,
    RIGHTARG = meter.tariff,
    COMMUTATOR = OPERATOR(pg_catalog.=),
    NEGATOR = OPERATOR(pg_catalog.<>),
    RESTRICT = eqsel,
    JOIN = eqjoinsel,
    HASHES,
    MERGES
);
COMMENT ON OPERATOR pg_catalog.= (meter.tariff, meter.tariff) IS 'Whether two tariffs are the same value.';

CREATE OPERATOR pg_catalog.<> (
    FUNCTION = meter.tariff_ne,
    LEFTARG = meter.tariff,
    RIGHTARG = meter.tariff,
    COMMUTATOR = OPERATOR(pg_catalog.<>),
    NEGATOR = OPERATOR(pg_catalog.=),
    RESTRICT = neqsel,
    JOIN = neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (meter.tariff, meter.tariff) IS 'Whether two tariffs are different values.';

CREATE OPERATOR pg_catalog.*< (
    FUNCTION = meter.tariff_lt,
    LEFTARG = meter.tariff,
    RIGHTARG = meter.tariff,
    COMMUTATOR = OPERATOR(pg_catalog.*>),
    NEGATOR = OPERATOR(pg_catalog.*>=),
    RESTRICT = scalarltsel,
    JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR pg_catalog.*< (meter.tariff, meter.tariff) IS 'before, by stored bytes';

CREATE OPERATOR pg_catalog.*<= (
    FUNCTION = meter.tariff_le,
    LEFTARG = meter.tariff,
    RIGHTARG = meter.tariff,
    COMMUTATOR = OPERATOR(pg_catalog.*>=),
    NEGATOR = OPERATOR(pg_catalog.*>),
    RESTRICT = scalarlesel,
    JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR pg_catalog.*<= (meter.tariff, meter.tariff) IS 'before or equal, by stored bytes';

CREATE OPERATOR pg_catalog.*> (
    FUNCTION = meter.tariff_gt,
    LEFTARG = meter.tariff,
    RIGHTARG = meter.tariff,
    COMMUTATOR = OPERATOR(pg_catalog.*<),
    NEGATOR = OPERATOR(pg_catalog.*<=),
    RESTRICT = scalargtsel,
    JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR pg_catalog.*> (meter.tariff, meter.tariff) IS 'behind, by stored bytes';

CREATE OPERATOR pg_catalog.*>= (
    FUNCTION = meter.tariff_ge,
    LEFTARG = meter.tariff,
    RIGHTARG = meter.tariff,
    COMMUTATOR = OPERATOR(pg_catalog.*<=),
    NEGATOR = OPERATOR(pg_catalog.*<),
    RESTRICT = scalargesel,
    JOIN = scalargejoinsel
);
COMMENT ON OPERATOR pg_catalog.*>= (meter.tariff, meter.tariff) IS 'behind or equal, by stored bytes';

CREATE OPERATOR CLASS meter.tariff_ops
DEFAULT FOR TYPE meter.tariff USING hash AS
    OPERATOR 1 pg_catalog.= (meter.tariff, meter.tariff),
    FUNCTION 1 meter.tariff_hash(meter.tariff),
    FUNCTION 2 meter.tariff_hash_extended(meter.tariff, bigint);
COMMENT ON OPERATOR CLASS meter.tariff_ops USING hash IS 'Hashing of tariffs: grouping, hash joins, hash indexes and hash partitions.';
COMMENT ON OPERATOR FAMILY meter.tariff_ops USING hash IS 'Hashing of tariffs.';

CREATE OPERATOR CLASS meter.tariff_ops
DEFAULT FOR TYPE meter.tariff USING btree AS
    OPERATOR 1 pg_catalog.*< (meter.tariff, meter.tariff),
    OPERATOR 2 pg_catalog.*<= (meter.tariff, meter.tariff),
    OPERATOR 3 pg_catalog.= (meter.tariff, meter.tariff),
    OPERATOR 4 pg_catalog.*>= (meter.tariff, meter.tariff),
    OPERATOR 5 pg_catalog.*> (meter.tariff, meter.tariff),
    FUNCTION 1 meter.tariff_cmp(meter.tariff, meter.tariff);
COMMENT ON OPERATOR CLASS meter.tariff_ops USING btree IS 'The order of stored bytes, for ORDER BY, count(DISTINCT ...), merge joins and unique indexes. It has no meaning of its own.';
COMMENT ON OPERATOR FAMILY meter.tariff_ops USING btree IS 'The order of stored bytes.';

-- jsonb

CREATE FUNCTION meter.tariff(jsonb) RETURNS meter.tariff
AS 'MODULE_PATHNAME', 'meter_tariff_from_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.tariff(jsonb) IS
$$Returns the tariff that a JSON object says; numbers may be strings. Three forms are known by their fields, and what a form says about the amount that a tariff cannot say exactly is an error that names the field.

meter's own (field "model": flat, graduated or volume), which every tariff is cast to and from without loss: "price", "per", "packages" (started or full), or "percent"; "fee"; "tiers", an array of these with "up_to"; "free", "discount", "maximum", "minimum", "fee_at_zero".

Stripe's price object (field "billing_scheme": per_unit or tiered): "unit_amount", "flat_amount" and their "_decimal" forms, in the minor unit of "currency", which must be there; "transform_quantity"; "tiers_mode" and "tiers", whose "up_to" is a number, null or "inf". Minor units are ISO 4217's, but for ISK and UGX (hundredths) and MGA (whole), as Stripe has them. Fields that name or schedule the price are passed over.

A Lago charge ("charge_model" and "properties", or the properties alone): standard, graduated, volume, package, percentage and graduated_percentage. A range begins where the one before ends, or at the next whole number; both are the bound up_to, so that a quantity of 100.5 lies in the second range of 0 to 100 and 101 up, where Lago's own whole-number ranges leave that to rounding. Amounts per event (fixed_amount, free_units_per_events, per_transaction_...) cannot be said about a quantity, and neither can grouping, proration and filters; where they say nothing (null, zero, false, empty) they may be there.

In both a tier's flat amount is charged when the tier is entered, the first one's at a quantity of zero too.$$;

CREATE FUNCTION meter.to_jsonb(meter.tariff) RETURNS jsonb
AS 'MODULE_PATHNAME', 'meter_tariff_to_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.to_jsonb(meter.tariff) IS 'Returns a tariff in meter''s own JSON form, which meter.tariff(jsonb) reads back as the same value.';

CREATE CAST (jsonb AS meter.tariff) WITH FUNCTION meter.tariff(jsonb);
COMMENT ON CAST (jsonb AS meter.tariff) IS 'The tariff of meter''s own JSON form, of a Stripe price or of a Lago charge: meter.tariff(jsonb).';
CREATE CAST (meter.tariff AS jsonb) WITH FUNCTION meter.to_jsonb(meter.tariff);
COMMENT ON CAST (meter.tariff AS jsonb) IS 'A tariff in meter''s own JSON form.';

-- Charging

CREATE FUNCTION meter.charge(tariff meter.tariff, quantity numeric) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_charge' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION meter.charge(meter.tariff, numeric) IS
'What a quantity is charged, in the currency that the tariff''s prices are in: exact, not rounded to the currency. The order of steps is that of the type''s description. NULL for a NULL argument; a negative quantity is an error, and so is a charge that does not fit 27 digits before the point.';

CREATE FUNCTION meter.charge_between(tariff meter.tariff, before numeric, after numeric) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_charge_between' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 2;
COMMENT ON FUNCTION meter.charge_between(meter.tariff, numeric, numeric) IS
'What is charged when a running total goes from one quantity to another: charge(after) - charge(before). A NULL before means that nothing was charged yet, so that fees and the minimum are in the result. Negative where the greater quantity is cheaper, or is the one before. NULL for a NULL tariff or after; a negative quantity is an error.';

CREATE FUNCTION meter.overage(tariff meter.tariff, quantity numeric) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_overage' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION meter.overage(meter.tariff, numeric) IS
'The part of a quantity that lies in lines with a price: it is neither free, nor in a tier at price zero (whatever its fee). In units of the quantity. A negative quantity is an error.';

CREATE FUNCTION meter.charge_lines(tariff meter.tariff, quantity numeric)
RETURNS TABLE (
    kind text,
    "from" numeric,
    up_to numeric,
    quantity numeric,
    price numeric,
    per numeric,
    fee numeric,
    amount numeric
)
AS 'MODULE_PATHNAME', 'meter_charge_lines' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 3;
COMMENT ON FUNCTION meter.charge_lines(meter.tariff, numeric) IS
$$The lines of a charge, in the order in which they are made; their amounts add up to the charge. A line of kind "tier" for each tier that is entered, the first one at a quantity of zero too: its bounds (from, up_to], NULL for the open end, the quantity that it prices, its price per so many units (per 100 for a percentage, per package for packages), the fee that is charged, and the amount, fee included. Bounds and quantities are net of what is free. Then a line "discount", "maximum" or "minimum" where that step changes the amount, with the change, negative for the first two. A negative quantity is an error.$$;

-- total_charge

CREATE TYPE meter.charge_state;

CREATE FUNCTION meter.charge_state_in(cstring) RETURNS meter.charge_state
AS 'MODULE_PATHNAME', 'meter_charge_state_in' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.charge_state_in(cstring) IS 'Text input of meter.charge_state.';

CREATE FUNCTION meter.charge_state_out(meter.charge_state) RETURNS cstring
AS 'MODULE_PATHNAME', 'meter_charge_state_out' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.charge_state_out(meter.charge_state) IS 'Text output of meter.charge_state.';

CREATE FUNCTION meter.charge_state_recv(internal) RETURNS meter.charge_state
AS 'MODULE_PATHNAME', 'meter_charge_state_recv' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.charge_state_recv(internal) IS 'Binary input of meter.charge_state, as strict as the text input.';

CREATE FUNCTION meter.charge_state_send(meter.charge_state) RETURNS bytea
AS 'MODULE_PATHNAME', 'meter_charge_state_send' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.charge_state_send(meter.charge_state) IS 'Binary output of meter.charge_state: a version byte, then field by field.';

CREATE TYPE meter.charge_state (
    INPUT = meter.charge_state_in,
    OUTPUT = meter.charge_state_out,
    RECEIVE = meter.charge_state_recv,
    SEND = meter.charge_state_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = plain
);
COMMENT ON TYPE meter.charge_state IS
'The state of the aggregate total_charge: a sum of quantities and the tariff that charges it, as in "quantity 1200; at 0.08".';

CREATE FUNCTION meter.total_charge_accum(meter.charge_state, meter.tariff, numeric) RETURNS meter.charge_state
AS 'MODULE_PATHNAME', 'meter_total_charge_accum' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.total_charge_accum(meter.charge_state, meter.tariff, numeric) IS 'Transition function of total_charge.';

CREATE FUNCTION meter.total_charge_combine(meter.charge_state, meter.charge_state) RETURNS meter.charge_state
AS 'MODULE_PATHNAME', 'meter_total_charge_combine' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.total_charge_combine(meter.charge_state, meter.charge_state) IS 'Combine function of total_charge.';

CREATE FUNCTION meter.total_charge_final(meter.charge_state) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_total_charge_final' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.total_charge_final(meter.charge_state) IS 'Final function of total_charge: the charge of the sum.';

CREATE FUNCTION meter.total_charge_accum(meter.charge_state, meter.tariff, bigint) RETURNS meter.charge_state
AS 'MODULE_PATHNAME', 'meter_total_charge_accum_int8' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.total_charge_accum(meter.charge_state, meter.tariff, bigint) IS 'Transition function of total_charge.';

CREATE FUNCTION meter.total_charge_accum(meter.charge_state, meter.tariff, integer) RETURNS meter.charge_state
AS 'MODULE_PATHNAME', 'meter_total_charge_accum_int4' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.total_charge_accum(meter.charge_state, meter.tariff, integer) IS 'Transition function of total_charge.';

CREATE AGGREGATE meter.total_charge(tariff meter.tariff, quantity numeric) (
    SFUNC = meter.total_charge_accum,
    STYPE = meter.charge_state,
    SSPACE = 640,
    FINALFUNC = meter.total_charge_final,
    COMBINEFUNC = meter.total_charge_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.total_charge(meter.tariff, numeric) IS
'The charge of the sum of the quantities, which is not the sum of their charges. Single quantities may be negative (corrections); a sum below zero is an error. Rows whose tariff or quantity is NULL count for nothing; without any other row the result is NULL. Different tariffs in one group are an error: group by what decides the tariff.';

CREATE AGGREGATE meter.total_charge(tariff meter.tariff, quantity bigint) (
    SFUNC = meter.total_charge_accum,
    STYPE = meter.charge_state,
    SSPACE = 640,
    FINALFUNC = meter.total_charge_final,
    COMBINEFUNC = meter.total_charge_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.total_charge(meter.tariff, bigint) IS
'The charge of the sum of the quantities, which is not the sum of their charges. Single quantities may be negative (corrections); a sum below zero is an error. Rows whose tariff or quantity is NULL count for nothing; without any other row the result is NULL. Different tariffs in one group are an error: group by what decides the tariff.';

CREATE AGGREGATE meter.total_charge(tariff meter.tariff, quantity integer) (
    SFUNC = meter.total_charge_accum,
    STYPE = meter.charge_state,
    SSPACE = 640,
    FINALFUNC = meter.total_charge_final,
    COMBINEFUNC = meter.total_charge_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.total_charge(meter.tariff, integer) IS
'The charge of the sum of the quantities, which is not the sum of their charges. Single quantities may be negative (corrections); a sum below zero is an error. Rows whose tariff or quantity is NULL count for nothing; without any other row the result is NULL. Different tariffs in one group are an error: group by what decides the tariff.';

-- marginal_charge

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity numeric) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, numeric) IS
'Window function: each row''s share of what its partition is charged, which is the charge of the running total after the row less the charge before it. The first row''s share is the charge of its quantity, with the first fee and the minimum. So the shares of a partition add up exactly to the charge of its total, for every model; a share is negative where a row makes the earlier ones cheaper. Rows are taken in the window''s order, without regard to peers or frames: order by something unique, such as (at, id). A row whose tariff or quantity is NULL has no share (NULL) and counts for nothing. Quantities may be negative, a running total below zero is an error, and so is a second tariff in a partition.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity numeric, reset date) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_value' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, numeric, date) IS
'Window function: each row''s share of what its partition is charged, which is the charge of the running total after the row less the charge before it. The first row''s share is the charge of its quantity, with the first fee and the minimum. So the shares of a partition add up exactly to the charge of its total, for every model; a share is negative where a row makes the earlier ones cheaper. Rows are taken in the window''s order, without regard to peers or frames: order by something unique, such as (at, id). The running total starts again, and another tariff may begin, where `reset` (the period, or its start) differs from that of the row before; NULL is a value of its own. A row whose tariff or quantity is NULL has no share (NULL) and counts for nothing. Quantities may be negative, a running total below zero is an error, and so is a second tariff in a partition without a reset.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity numeric, reset timestamptz) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_value' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, numeric, timestamptz) IS
'Window function: each row''s share of what its partition is charged, which is the charge of the running total after the row less the charge before it. The first row''s share is the charge of its quantity, with the first fee and the minimum. So the shares of a partition add up exactly to the charge of its total, for every model; a share is negative where a row makes the earlier ones cheaper. Rows are taken in the window''s order, without regard to peers or frames: order by something unique, such as (at, id). The running total starts again, and another tariff may begin, where `reset` (the period, or its start) differs from that of the row before; NULL is a value of its own. A row whose tariff or quantity is NULL has no share (NULL) and counts for nothing. Quantities may be negative, a running total below zero is an error, and so is a second tariff in a partition without a reset.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity numeric, reset text) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_bytes' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, numeric, text) IS
'Window function: each row''s share of what its partition is charged, which is the charge of the running total after the row less the charge before it. The first row''s share is the charge of its quantity, with the first fee and the minimum. So the shares of a partition add up exactly to the charge of its total, for every model; a share is negative where a row makes the earlier ones cheaper. Rows are taken in the window''s order, without regard to peers or frames: order by something unique, such as (at, id). The running total starts again, and another tariff may begin, where `reset` (the period, or its start) differs from that of the row before; NULL is a value of its own. A row whose tariff or quantity is NULL has no share (NULL) and counts for nothing. Quantities may be negative, a running total below zero is an error, and so is a second tariff in a partition without a reset.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity numeric, reset daterange) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_bytes' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, numeric, daterange) IS
'Window function: each row''s share of what its partition is charged, which is the charge of the running total after the row less the charge before it. The first row''s share is the charge of its quantity, with the first fee and the minimum. So the shares of a partition add up exactly to the charge of its total, for every model; a share is negative where a row makes the earlier ones cheaper. Rows are taken in the window''s order, without regard to peers or frames: order by something unique, such as (at, id). The running total starts again, and another tariff may begin, where `reset` (the period, or its start) differs from that of the row before; NULL is a value of its own. A row whose tariff or quantity is NULL has no share (NULL) and counts for nothing. Quantities may be negative, a running total below zero is an error, and so is a second tariff in a partition without a reset.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity numeric, reset tstzrange) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_bytes' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, numeric, tstzrange) IS
'Window function: each row''s share of what its partition is charged, which is the charge of the running total after the row less the charge before it. The first row''s share is the charge of its quantity, with the first fee and the minimum. So the shares of a partition add up exactly to the charge of its total, for every model; a share is negative where a row makes the earlier ones cheaper. Rows are taken in the window''s order, without regard to peers or frames: order by something unique, such as (at, id). The running total starts again, and another tariff may begin, where `reset` (the period, or its start) differs from that of the row before; NULL is a value of its own. A row whose tariff or quantity is NULL has no share (NULL) and counts for nothing. Quantities may be negative, a running total below zero is an error, and so is a second tariff in a partition without a reset.';

-- The same without making a numeric of each quantity, which costs as much as charging it.

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity bigint) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_int8' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, bigint) IS
'marginal_charge of whole quantities.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity bigint, reset date) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_value_int8' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, bigint, date) IS
'marginal_charge of whole quantities, which starts again where `reset` differs from the row before.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity bigint, reset timestamptz) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_value_int8' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, bigint, timestamptz) IS
'marginal_charge of whole quantities, which starts again where `reset` differs from the row before.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity bigint, reset text) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_bytes_int8' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, bigint, text) IS
'marginal_charge of whole quantities, which starts again where `reset` differs from the row before.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity bigint, reset daterange) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_bytes_int8' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, bigint, daterange) IS
'marginal_charge of whole quantities, which starts again where `reset` differs from the row before.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity bigint, reset tstzrange) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_bytes_int8' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, bigint, tstzrange) IS
'marginal_charge of whole quantities, which starts again where `reset` differs from the row before.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity integer) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_int4' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, integer) IS
'marginal_charge of whole quantities.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity integer, reset date) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_value_int4' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, integer, date) IS
'marginal_charge of whole quantities, which starts again where `reset` differs from the row before.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity integer, reset timestamptz) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_value_int4' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, integer, timestamptz) IS
'marginal_charge of whole quantities, which starts again where `reset` differs from the row before.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity integer, reset text) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_bytes_int4' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, integer, text) IS
'marginal_charge of whole quantities, which starts again where `reset` differs from the row before.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity integer, reset daterange) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_bytes_int4' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, integer, daterange) IS
'marginal_charge of whole quantities, which starts again where `reset` differs from the row before.';

CREATE FUNCTION meter.marginal_charge(tariff meter.tariff, quantity integer, reset tstzrange) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_marginal_charge_by_bytes_int4' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.marginal_charge(meter.tariff, integer, tstzrange) IS
'marginal_charge of whole quantities, which starts again where `reset` differs from the row before.';
