-- Splitting amounts, and how unequal parts are.

CREATE FUNCTION meter.allocate(total numeric, weight numeric) RETURNS numeric
LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_allocate';
COMMENT ON FUNCTION meter.allocate(numeric, numeric) IS
'Window function: the row''s part of a total, by weight, to 12 digits. The parts of a partition add up to the total exactly: each is rounded down, and the rows that lost most get one smallest unit more, earlier rows (by the window''s ORDER BY) before later ones. The total is the same in all rows of a partition, and a negative one is split as its opposite. A row whose weight is NULL has no part; where the total is NULL all parts are. Negative weights, and weights that are all zero, are errors.';

CREATE FUNCTION meter.allocate(total numeric, weight numeric, digits integer) RETURNS numeric
LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_allocate_digits';
COMMENT ON FUNCTION meter.allocate(numeric, numeric, integer) IS
'Window function: the row''s part of a total, by weight, to so many decimal digits (0 to 12), such as currency_digits. A total with more digits than that is an error. Otherwise as allocate without digits.';

CREATE TYPE meter.value_list;

CREATE FUNCTION meter.value_list_in(cstring) RETURNS meter.value_list
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_value_list_in';
COMMENT ON FUNCTION meter.value_list_in(cstring) IS 'Text input of meter.value_list.';

CREATE FUNCTION meter.value_list_out(meter.value_list) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_value_list_out';
COMMENT ON FUNCTION meter.value_list_out(meter.value_list) IS 'Text output of meter.value_list: its binary form in hexadecimal digits.';

CREATE FUNCTION meter.value_list_recv(internal) RETURNS meter.value_list
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_value_list_recv';
COMMENT ON FUNCTION meter.value_list_recv(internal) IS 'Binary input of meter.value_list, as strict as the text input.';

CREATE FUNCTION meter.value_list_send(meter.value_list) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_value_list_send';
COMMENT ON FUNCTION meter.value_list_send(meter.value_list) IS 'Binary output of meter.value_list: a version byte, then field by field.';

CREATE TYPE meter.value_list (
    INPUT = meter.value_list_in,
    OUTPUT = meter.value_list_out,
    RECEIVE = meter.value_list_recv,
    SEND = meter.value_list_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = extended
);
COMMENT ON TYPE meter.value_list IS 'The state of the aggregates gini and top_share: all values of a group, 16 bytes each.';

CREATE FUNCTION meter.gini_accum(meter.value_list, numeric) RETURNS meter.value_list
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_gini_accum';
COMMENT ON FUNCTION meter.gini_accum(meter.value_list, numeric) IS 'Transition function of gini.';

CREATE FUNCTION meter.top_share_accum(meter.value_list, numeric, numeric) RETURNS meter.value_list
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_top_share_accum';
COMMENT ON FUNCTION meter.top_share_accum(meter.value_list, numeric, numeric) IS 'Transition function of top_share.';

CREATE FUNCTION meter.value_list_combine(meter.value_list, meter.value_list) RETURNS meter.value_list
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_value_list_combine';
COMMENT ON FUNCTION meter.value_list_combine(meter.value_list, meter.value_list) IS 'Combine function of gini and top_share.';

CREATE FUNCTION meter.gini_final(meter.value_list) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_gini_final';
COMMENT ON FUNCTION meter.gini_final(meter.value_list) IS 'Final function of gini.';

CREATE FUNCTION meter.top_share_final(meter.value_list) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_top_share_final';
COMMENT ON FUNCTION meter.top_share_final(meter.value_list) IS 'Final function of top_share.';

CREATE AGGREGATE meter.gini(value numeric) (
    SFUNC = meter.gini_accum,
    STYPE = meter.value_list,
    SSPACE = 16384,
    FINALFUNC = meter.gini_final,
    COMBINEFUNC = meter.value_list_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.gini(numeric) IS
'The Gini coefficient of the values, settled to 12 digits: 0 where all are equal, and near 1 where one has it all (1 - 1/n for n values). NULL where they add up to zero, or there are none; NULLs are left out. A negative value is an error. It keeps all values of a group, at 16 bytes each, up to 67 million.';

CREATE AGGREGATE meter.top_share(value numeric, fraction numeric) (
    SFUNC = meter.top_share_accum,
    STYPE = meter.value_list,
    SSPACE = 16384,
    FINALFUNC = meter.top_share_final,
    COMBINEFUNC = meter.value_list_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.top_share(numeric, numeric) IS
'The part of the total, settled to 12 digits, that the largest values have: the ceil(n x fraction) largest of n, so top_share(revenue, 0.05) is what the top 5 % of customers bring. NULL where the values add up to zero, or there are none; NULLs are left out. A negative value, a fraction outside of 0 to 1 and more than one fraction in a group are errors. It keeps all values of a group, at 16 bytes each, up to 67 million.';
