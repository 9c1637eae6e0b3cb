
--
-- usage: what was measured, a bag of named quantities
--

CREATE TYPE meter.usage;

CREATE FUNCTION meter.usage_in(cstring) RETURNS meter.usage
AS 'MODULE_PATHNAME', 'meter_usage_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_in(cstring) IS 'Input of type meter.usage: a flat JSON object of numbers, {"input_tokens": 1200, "output_tokens": 88}. Refuses a name that is not [a-z][a-z0-9_]{0,62}, a unit that is there twice, and more than 1000 units.';

CREATE FUNCTION meter.usage_out(meter.usage) RETURNS cstring
AS 'MODULE_PATHNAME', 'meter_usage_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_out(meter.usage) IS 'Output of type meter.usage: a flat JSON object in canonical order, numbers without trailing zeros.';

CREATE FUNCTION meter.usage_recv(internal) RETURNS meter.usage
AS 'MODULE_PATHNAME', 'meter_usage_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_recv(internal) IS 'Binary input of type meter.usage. Refuses bytes that are not canonical.';

CREATE FUNCTION meter.usage_send(meter.usage) RETURNS bytea
AS 'MODULE_PATHNAME', 'meter_usage_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_send(meter.usage) IS 'Binary output of type meter.usage: version, a zero byte, the number of entries (2 bytes), and for each the length of its name (1 byte), the name, and the quantity times 10^12 (16 bytes, two''s complement).';

CREATE TYPE meter.usage (
	INPUT = meter.usage_in,
	OUTPUT = meter.usage_out,
	RECEIVE = meter.usage_recv,
	SEND = meter.usage_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);
COMMENT ON TYPE meter.usage IS 'What was measured: a bag of named quantities, written as {"input_tokens": 1200, "output_tokens": 88}. A name is a unit, [a-z][a-z0-9_]{0,62}; quantities are exact decimals with at most 12 fractional digits. Buckets are disjoint: input_tokens excludes cached tokens. A well-known unit takes one byte, a quantity of 88 two. A quantity of zero is kept. Order: the well-known units by frequency, then the others by name.';

CREATE FUNCTION meter.usage(VARIADIC "any") RETURNS meter.usage
AS 'MODULE_PATHNAME', 'meter_usage' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage(VARIADIC "any") IS 'usage(unit, quantity, ...): the usage of these units. Units are text, quantities smallint, integer, bigint or numeric; floating point is refused. A unit whose quantity is NULL is left out; a unit that is NULL or there twice is an error. Fastest where the units are constants.';

CREATE FUNCTION meter.usage(jsonb) RETURNS meter.usage
AS 'MODULE_PATHNAME', 'meter_usage_from_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage(jsonb) IS 'The usage that a flat JSON object of numbers says. Its buckets must be disjoint already: what a provider sent goes through meter.usage_from. A value that is not a number is an error that names its key.';

CREATE FUNCTION meter.to_jsonb(meter.usage) RETURNS jsonb
AS 'MODULE_PATHNAME', 'meter_usage_to_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.to_jsonb(meter.usage) IS 'The usage as a flat JSON object.';

CREATE CAST (jsonb AS meter.usage) WITH FUNCTION meter.usage(jsonb);
COMMENT ON CAST (jsonb AS meter.usage) IS 'meter.usage(jsonb)';
CREATE CAST (meter.usage AS jsonb) WITH FUNCTION meter.to_jsonb(meter.usage);
COMMENT ON CAST (meter.usage AS jsonb) IS 'meter.to_jsonb(meter.usage)';

CREATE FUNCTION meter.quantity(usage meter.usage, unit text) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_quantity' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.quantity(meter.usage, text) IS 'The quantity of a unit, NULL where the usage does not have it: the function of operator ->.';

CREATE FUNCTION meter.has_unit(usage meter.usage, unit text) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_has_unit' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.has_unit(meter.usage, text) IS 'Whether the usage has a unit, be its quantity zero: the function of operator ?.';

CREATE FUNCTION meter.add(meter.usage, meter.usage) RETURNS meter.usage
AS 'MODULE_PATHNAME', 'meter_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.add(meter.usage, meter.usage) IS 'The sum, unit by unit; refuses a quantity out of range: the function of operator +.';

CREATE FUNCTION meter.subtract(meter.usage, meter.usage) RETURNS meter.usage
AS 'MODULE_PATHNAME', 'meter_subtract' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.subtract(meter.usage, meter.usage) IS 'The difference, unit by unit: a unit that only the second one has becomes negative, a unit that becomes zero stays. Refuses a quantity out of range. The function of operator -.';

CREATE FUNCTION meter.negate(meter.usage) RETURNS meter.usage
AS 'MODULE_PATHNAME', 'meter_negate' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.negate(meter.usage) IS 'The usage with every quantity negated, which reverses it: the function of the prefix operator -.';

CREATE FUNCTION meter.each(usage meter.usage, OUT unit text, OUT quantity numeric) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'meter_each' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 4;
COMMENT ON FUNCTION meter.each(meter.usage) IS 'A row a unit, with its quantity, in canonical order.';

CREATE OPERATOR pg_catalog.-> (LEFTARG = meter.usage, RIGHTARG = text, FUNCTION = meter.quantity);
COMMENT ON OPERATOR pg_catalog.-> (meter.usage, text) IS 'quantity of a unit';
CREATE OPERATOR pg_catalog.? (LEFTARG = meter.usage, RIGHTARG = text, FUNCTION = meter.has_unit, RESTRICT = contsel, JOIN = contjoinsel);
COMMENT ON OPERATOR pg_catalog.? (meter.usage, text) IS 'has a unit';
CREATE OPERATOR pg_catalog.+ (LEFTARG = meter.usage, RIGHTARG = meter.usage, FUNCTION = meter.add, COMMUTATOR = OPERATOR(pg_catalog.+));
COMMENT ON OPERATOR pg_catalog.+ (meter.usage, meter.usage) IS 'add';
CREATE OPERATOR pg_catalog.- (LEFTARG = meter.usage, RIGHTARG = meter.usage, FUNCTION = meter.subtract);
COMMENT ON OPERATOR pg_catalog.- (meter.usage, meter.usage) IS 'subtract';
CREATE OPERATOR pg_catalog.- (RIGHTARG = meter.usage, FUNCTION = meter.negate);
COMMENT ON OPERATOR pg_catalog.- (NONE, meter.usage) IS 'negate';

-- Equality, hashing, and an order by bytes. The order has no meaning of its own, so its
-- operators are spelled like those of record images: nobody takes a *< b for "less used".

CREATE FUNCTION meter.usage_eq(meter.usage, meter.usage) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_usage_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_eq(meter.usage, meter.usage) IS 'Whether both have the same units with the same quantities (a unit at zero is not a missing one): the function of operator =.';
CREATE FUNCTION meter.usage_ne(meter.usage, meter.usage) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_usage_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_ne(meter.usage, meter.usage) IS 'Whether a unit or a quantity differs: the function of operator <>.';
CREATE FUNCTION meter.usage_lt(meter.usage, meter.usage) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_usage_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_lt(meter.usage, meter.usage) IS 'The function of operator *<: before in the order of stored bytes.';
CREATE FUNCTION meter.usage_le(meter.usage, meter.usage) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_usage_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_le(meter.usage, meter.usage) IS 'The function of operator *<=: before or equal in the order of stored bytes.';
CREATE FUNCTION meter.usage_gt(meter.usage, meter.usage) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_usage_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_gt(meter.usage, meter.usage) IS 'The function of operator *>: behind in the order of stored bytes.';
CREATE FUNCTION meter.usage_ge(meter.usage, meter.usage) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_usage_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_ge(meter.usage, meter.usage) IS 'The function of operator *>=: behind or equal in the order of stored bytes.';
CREATE FUNCTION meter.usage_cmp(meter.usage, meter.usage) RETURNS integer
AS 'MODULE_PATHNAME', 'meter_usage_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_cmp(meter.usage, meter.usage) IS 'Support of the btree operator class: -1, 0 or 1, by stored bytes.';
CREATE FUNCTION meter.usage_hash(meter.usage) RETURNS integer
AS 'MODULE_PATHNAME', 'meter_usage_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_hash(meter.usage) IS 'Support of the hash operator class.';
CREATE FUNCTION meter.usage_hash_extended(meter.usage, bigint) RETURNS bigint
AS 'MODULE_PATHNAME', 'meter_usage_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_hash_extended(meter.usage, bigint) IS 'Support of the hash operator class: 64 bits, with a seed.';

CREATE OPERATOR pg_catalog.= (LEFTARG = meter.usage, RIGHTARG = meter.usage, FUNCTION = meter.usage_eq, COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
COMMENT ON OPERATOR pg_catalog.= (meter.usage, meter.usage) IS 'equal';
CREATE OPERATOR pg_catalog.<> (LEFTARG = meter.usage, RIGHTARG = meter.usage, FUNCTION = meter.usage_ne, COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=), RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR pg_catalog.<> (meter.usage, meter.usage) IS 'not equal';
CREATE OPERATOR pg_catalog.*< (LEFTARG = meter.usage, RIGHTARG = meter.usage, FUNCTION = meter.usage_lt, COMMUTATOR = OPERATOR(pg_catalog.*>), NEGATOR = OPERATOR(pg_catalog.*>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
COMMENT ON OPERATOR pg_catalog.*< (meter.usage, meter.usage) IS 'before, by stored bytes';
CREATE OPERATOR pg_catalog.*<= (LEFTARG = meter.usage, RIGHTARG = meter.usage, FUNCTION = meter.usage_le, COMMUTATOR = OPERATOR(pg_catalog.*>=), NEGATOR = OPERATOR(pg_catalog.*>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
COMMENT ON OPERATOR pg_catalog.*<= (meter.usage, meter.usage) IS 'before or equal, by stored bytes';
CREATE OPERATOR pg_catalog.*> (LEFTARG = meter.usage, RIGHTARG = meter.usage, FUNCTION = meter.usage_gt, COMMUTATOR = OPERATOR(pg_catalog.*<), NEGATOR = OPERATOR(pg_catalog.*<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
COMMENT ON OPERATOR pg_catalog.*> (meter.usage, meter.usage) IS 'behind, by stored bytes';
CREATE OPERATOR pg_catalog.*>= (LEFTARG = meter.usage, RIGHTARG = meter.usage, FUNCTION = meter.usage_ge, COMMUTATOR = OPERATOR(pg_catalog.*<=), NEGATOR = OPERATOR(pg_catalog.*<), RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR pg_catalog.*>= (meter.usage, meter.usage) IS 'behind or equal, by stored bytes';

CREATE OPERATOR CLASS meter.usage_ops DEFAULT FOR TYPE meter.usage USING hash AS
	OPERATOR 1 pg_catalog.=,
	FUNCTION 1 meter.usage_hash(meter.usage),
	FUNCTION 2 meter.usage_hash_extended(meter.usage, bigint);
COMMENT ON OPERATOR CLASS meter.usage_ops USING hash IS 'Hashing of usages, for GROUP BY, DISTINCT and joins.';
COMMENT ON OPERATOR FAMILY meter.usage_ops USING hash IS 'Hashing of usages.';

CREATE OPERATOR CLASS meter.usage_ops DEFAULT FOR TYPE meter.usage USING btree AS
	OPERATOR 1 pg_catalog.*<,
	OPERATOR 2 pg_catalog.*<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.*>=,
	OPERATOR 5 pg_catalog.*>,
	FUNCTION 1 meter.usage_cmp(meter.usage, meter.usage);
COMMENT ON OPERATOR CLASS meter.usage_ops USING btree IS 'The order of stored bytes, for ORDER BY, count(DISTINCT ...), merge joins and unique indexes. It has no meaning of its own.';
COMMENT ON OPERATOR FAMILY meter.usage_ops USING btree IS 'The order of stored bytes.';

-- The aggregate sum.

CREATE TYPE meter.usage_state;

CREATE FUNCTION meter.usage_state_in(cstring) RETURNS meter.usage_state
AS 'MODULE_PATHNAME', 'meter_usage_state_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_state_in(cstring) IS 'Input of type meter.usage_state: the text of a usage.';
CREATE FUNCTION meter.usage_state_out(meter.usage_state) RETURNS cstring
AS 'MODULE_PATHNAME', 'meter_usage_state_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_state_out(meter.usage_state) IS 'Output of type meter.usage_state: the text of the usage summed up so far.';
CREATE FUNCTION meter.usage_state_recv(internal) RETURNS meter.usage_state
AS 'MODULE_PATHNAME', 'meter_usage_state_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_state_recv(internal) IS 'Binary input of type meter.usage_state. Refuses bytes that are not canonical.';
CREATE FUNCTION meter.usage_state_send(meter.usage_state) RETURNS bytea
AS 'MODULE_PATHNAME', 'meter_usage_state_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_state_send(meter.usage_state) IS 'Binary output of type meter.usage_state: a version byte and the binary form of the usage summed up so far.';

CREATE TYPE meter.usage_state (
	INPUT = meter.usage_state_in,
	OUTPUT = meter.usage_state_out,
	RECEIVE = meter.usage_state_recv,
	SEND = meter.usage_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = plain
);
COMMENT ON TYPE meter.usage_state IS 'The state of the aggregate sum(meter.usage): one exact sum a unit.';

CREATE FUNCTION meter.usage_sum_transition(meter.usage_state, meter.usage) RETURNS meter.usage_state
AS 'MODULE_PATHNAME', 'meter_usage_sum_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_sum_transition(meter.usage_state, meter.usage) IS 'Transition function of sum(meter.usage): the state with a usage added. Either may be NULL.';
CREATE FUNCTION meter.usage_sum_combine(meter.usage_state, meter.usage_state) RETURNS meter.usage_state
AS 'MODULE_PATHNAME', 'meter_usage_sum_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_sum_combine(meter.usage_state, meter.usage_state) IS 'Combine function of sum(meter.usage): the sum of two states. Either may be NULL.';
CREATE FUNCTION meter.usage_sum_final(meter.usage_state) RETURNS meter.usage
AS 'MODULE_PATHNAME', 'meter_usage_sum_final' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.usage_sum_final(meter.usage_state) IS 'Final function of sum(meter.usage).';

CREATE AGGREGATE pg_catalog.sum(meter.usage) (
	SFUNC = meter.usage_sum_transition,
	STYPE = meter.usage_state,
	SSPACE = 64,
	FINALFUNC = meter.usage_sum_final,
	COMBINEFUNC = meter.usage_sum_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE pg_catalog.sum(meter.usage) IS 'The sum, unit by unit; NULL where there is no usage. Of more than 1000 units it has the first ones, well-known units before others and these by name, and the others'' quantities added up in unit further_units. Refuses a quantity out of range.';
