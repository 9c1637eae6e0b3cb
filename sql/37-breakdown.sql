/* A day's usage in one value: what the roll-up stores. */

CREATE TYPE meter.breakdown;

CREATE FUNCTION meter.breakdown_in(cstring) RETURNS meter.breakdown
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_in';
COMMENT ON FUNCTION meter.breakdown_in(cstring) IS 'Input of type meter.breakdown: an array of JSON objects with events and usage, and item, action, variant, outcome, request_class, cost, credits, unpriced_cost and unpriced_credits where they are not NULL or zero. Refuses a combination of names that is there twice, and any other field.';

CREATE FUNCTION meter.breakdown_out(meter.breakdown) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_out';
COMMENT ON FUNCTION meter.breakdown_out(meter.breakdown) IS 'Output of type meter.breakdown: an array of JSON objects.';

CREATE FUNCTION meter.breakdown_recv(internal) RETURNS meter.breakdown
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_recv';
COMMENT ON FUNCTION meter.breakdown_recv(internal) IS 'Binary input of type meter.breakdown.';

CREATE FUNCTION meter.breakdown_send(meter.breakdown) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_send';
COMMENT ON FUNCTION meter.breakdown_send(meter.breakdown) IS 'Binary output of type meter.breakdown: version (1 byte), the number of entries (4 bytes), and for each a byte with a bit for each of item, action, variant, outcome and request_class that it has, those names, each behind its length (4 bytes), three numbers of events (8 bytes each), cost and credits times 10^12 (16 bytes each), and the usage as meter.usage_send has it.';

CREATE TYPE meter.breakdown (
	INPUT = meter.breakdown_in,
	OUTPUT = meter.breakdown_out,
	RECEIVE = meter.breakdown_recv,
	SEND = meter.breakdown_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);
COMMENT ON TYPE meter.breakdown IS 'Usage broken down by item, action, variant, outcome and request_class, with the events, the usage, the cost and the credits of each combination: a day of a customer in some fifty bytes a combination. meter.entries makes rows of it.';

CREATE CAST (meter.breakdown AS jsonb) WITH INOUT;
COMMENT ON CAST (meter.breakdown AS jsonb) IS 'The array of objects that the text form is.';
CREATE CAST (jsonb AS meter.breakdown) WITH INOUT;
COMMENT ON CAST (jsonb AS meter.breakdown) IS 'The breakdown that an array of objects says.';

CREATE FUNCTION meter.add(meter.breakdown, meter.breakdown) RETURNS meter.breakdown
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_add';
COMMENT ON FUNCTION meter.add(meter.breakdown, meter.breakdown) IS 'The sum of two breakdowns, combination by combination. A sum that does not fit is an error.';

CREATE FUNCTION meter.at_most(breakdown meter.breakdown, bytes integer) RETURNS meter.breakdown
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_at_most';
COMMENT ON FUNCTION meter.at_most(meter.breakdown, integer) IS 'The breakdown where it has at most so many bytes, else NULL.';

CREATE FUNCTION meter.mentions(breakdown meter.breakdown, item text, action text) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_mentions';
COMMENT ON FUNCTION meter.mentions(meter.breakdown, text, text) IS 'Whether an entry of a breakdown has the item or has the action. One that is NULL is not asked for; with both NULL, none does.';

CREATE FUNCTION meter.entries(breakdown meter.breakdown)
	RETURNS TABLE (item text, action text, variant text, outcome text, request_class text, events bigint, usage meter.usage, cost numeric, credits numeric, unpriced_cost bigint, unpriced_credits bigint)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 4
AS 'MODULE_PATHNAME', 'meter_breakdown_entries';
COMMENT ON FUNCTION meter.entries(meter.breakdown) IS 'The entries of a breakdown, a row each, in no order that means anything. The columns are those of meter.usage_daily.';

CREATE TYPE meter.breakdown_state;

CREATE FUNCTION meter.breakdown_state_in(cstring) RETURNS meter.breakdown_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_state_in';
COMMENT ON FUNCTION meter.breakdown_state_in(cstring) IS 'Reads partial sums of breakdowns from the text of a breakdown.';

CREATE FUNCTION meter.breakdown_state_out(meter.breakdown_state) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_state_out';
COMMENT ON FUNCTION meter.breakdown_state_out(meter.breakdown_state) IS 'Writes partial sums of breakdowns as the text of a breakdown.';

CREATE FUNCTION meter.breakdown_state_recv(internal) RETURNS meter.breakdown_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_state_recv';
COMMENT ON FUNCTION meter.breakdown_state_recv(internal) IS 'Reads partial sums of breakdowns from binary.';

CREATE FUNCTION meter.breakdown_state_send(meter.breakdown_state) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_state_send';
COMMENT ON FUNCTION meter.breakdown_state_send(meter.breakdown_state) IS 'Writes partial sums of breakdowns in binary, as meter.breakdown_send does.';

CREATE TYPE meter.breakdown_state (
	INPUT = meter.breakdown_state_in,
	OUTPUT = meter.breakdown_state_out,
	RECEIVE = meter.breakdown_state_recv,
	SEND = meter.breakdown_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);
COMMENT ON TYPE meter.breakdown_state IS 'The state of the aggregates meter.sum(meter.breakdown), meter.sum_by and meter.break_down.';

CREATE FUNCTION meter.breakdown_sum_add(meter.breakdown_state, meter.breakdown) RETURNS meter.breakdown_state
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_sum_add';
COMMENT ON FUNCTION meter.breakdown_sum_add(meter.breakdown_state, meter.breakdown) IS 'Transition function of meter.sum(meter.breakdown): the state with a breakdown added.';

CREATE FUNCTION meter.breakdown_sum_add(meter.breakdown_state, meter.breakdown, boolean, boolean, boolean, boolean, boolean) RETURNS meter.breakdown_state
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_sum_add';
COMMENT ON FUNCTION meter.breakdown_sum_add(meter.breakdown_state, meter.breakdown, boolean, boolean, boolean, boolean, boolean) IS 'Transition function of meter.sum_by: the state with a breakdown added by some of its names.';

CREATE FUNCTION meter.breakdown_sum_combine(meter.breakdown_state, meter.breakdown_state) RETURNS meter.breakdown_state
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_sum_combine';
COMMENT ON FUNCTION meter.breakdown_sum_combine(meter.breakdown_state, meter.breakdown_state) IS 'Combine function of meter.sum(meter.breakdown), meter.sum_by and meter.break_down: the sum of two states. Either may be NULL.';

CREATE FUNCTION meter.breakdown_sum_final(meter.breakdown_state) RETURNS meter.breakdown
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_breakdown_sum_final';
COMMENT ON FUNCTION meter.breakdown_sum_final(meter.breakdown_state) IS 'Final function of meter.sum(meter.breakdown) and meter.sum_by.';

CREATE AGGREGATE meter.sum(meter.breakdown) (
	SFUNC = meter.breakdown_sum_add,
	STYPE = meter.breakdown_state,
	SSPACE = 1024,
	COMBINEFUNC = meter.breakdown_sum_combine,
	FINALFUNC = meter.breakdown_sum_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.sum(meter.breakdown) IS 'The sum of breakdowns, combination by combination; NULL where there is none. Adding up first and making rows with meter.entries then is several times faster than the other way round.';

CREATE AGGREGATE meter.sum_by(breakdown meter.breakdown, item boolean, action boolean, variant boolean, outcome boolean, request_class boolean) (
	SFUNC = meter.breakdown_sum_add,
	STYPE = meter.breakdown_state,
	SSPACE = 512,
	COMBINEFUNC = meter.breakdown_sum_combine,
	FINALFUNC = meter.breakdown_sum_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.sum_by(meter.breakdown, boolean, boolean, boolean, boolean, boolean) IS 'The sum of breakdowns by some of their names: those whose argument is true. The others are NULL in it, and what differed in them alone is one combination. NULL where there is no breakdown. It takes a fraction of the time in which rows of meter.entries are grouped.';

CREATE TYPE meter.day_totals AS (
	cost numeric,
	credits numeric,
	events bigint,
	unpriced_cost bigint,
	unpriced_credits bigint,
	breakdown meter.breakdown
);
COMMENT ON TYPE meter.day_totals IS 'A breakdown of events with what it adds up to, as meter.break_down makes it and meter.usage_day has it.';
COMMENT ON COLUMN meter.day_totals.cost IS 'The sum of what the events cost that the first card can rate.';
COMMENT ON COLUMN meter.day_totals.credits IS 'The sum of what the events take in credits that the second card can rate.';
COMMENT ON COLUMN meter.day_totals.events IS 'How many events count: the sum of sign.';
COMMENT ON COLUMN meter.day_totals.unpriced_cost IS 'How many events the first card cannot rate: the sum of their sign.';
COMMENT ON COLUMN meter.day_totals.unpriced_credits IS 'How many events the second card cannot rate: the sum of their sign.';
COMMENT ON COLUMN meter.day_totals.breakdown IS 'The same and the usage, by item, action, variant, outcome and request_class.';

CREATE FUNCTION meter.break_down_add(meter.breakdown_state, meter.rate_card, meter.rate_card, text, text, timestamptz, meter.usage, text, smallint, text, text, text) RETURNS meter.breakdown_state
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_break_down_add';
COMMENT ON FUNCTION meter.break_down_add(meter.breakdown_state, meter.rate_card, meter.rate_card, text, text, timestamptz, meter.usage, text, smallint, text, text, text) IS 'Transition function of meter.break_down: the state with an event added.';

CREATE FUNCTION meter.break_down_final(meter.breakdown_state) RETURNS meter.day_totals
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_break_down_final';
COMMENT ON FUNCTION meter.break_down_final(meter.breakdown_state) IS 'Final function of meter.break_down.';

CREATE AGGREGATE meter.break_down(cost_card meter.rate_card, credit_card meter.rate_card, item text, credited_action text, at timestamptz, usage meter.usage, variant text, sign smallint, action text, outcome text, request_class text) (
	SFUNC = meter.break_down_add,
	STYPE = meter.breakdown_state,
	SSPACE = 512,
	COMBINEFUNC = meter.breakdown_sum_combine,
	FINALFUNC = meter.break_down_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.break_down(meter.rate_card, meter.rate_card, text, text, timestamptz, meter.usage, text, smallint, text, text, text) IS 'What meter.event_sums says of a group of events, and the same of each combination of item, action, variant, outcome and request_class in it, in one pass. credited_action is the action where it takes credits, else NULL. NULL where there is no event.';
