/* All that the roll-up keeps of a group of events, added up at once. */

CREATE TYPE meter.event_sums_state;

CREATE FUNCTION meter.event_sums_state_in(cstring) RETURNS meter.event_sums_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_event_sums_in';
COMMENT ON FUNCTION meter.event_sums_state_in(cstring) IS 'Reads partial sums of events from text.';

CREATE FUNCTION meter.event_sums_state_out(meter.event_sums_state) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_event_sums_out';
COMMENT ON FUNCTION meter.event_sums_state_out(meter.event_sums_state) IS 'Writes partial sums of events as text: the number of events, of those without a cost and without credits, the cost, the credits and the usage.';

CREATE FUNCTION meter.event_sums_state_recv(internal) RETURNS meter.event_sums_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_event_sums_recv';
COMMENT ON FUNCTION meter.event_sums_state_recv(internal) IS 'Reads partial sums of events from binary.';

CREATE FUNCTION meter.event_sums_state_send(meter.event_sums_state) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_event_sums_send';
COMMENT ON FUNCTION meter.event_sums_state_send(meter.event_sums_state) IS 'Writes partial sums of events in binary.';

CREATE TYPE meter.event_sums_state (
	INPUT = meter.event_sums_state_in,
	OUTPUT = meter.event_sums_state_out,
	RECEIVE = meter.event_sums_state_recv,
	SEND = meter.event_sums_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = plain
);
COMMENT ON TYPE meter.event_sums_state IS 'The state of the aggregate meter.event_sums.';

CREATE TYPE meter.event_totals AS (
	events bigint,
	usage meter.usage,
	cost numeric,
	credits numeric,
	unpriced_cost bigint,
	unpriced_credits bigint
);
COMMENT ON TYPE meter.event_totals IS 'The sums of a group of events, as meter.event_sums makes them and meter.usage_daily has them.';
COMMENT ON COLUMN meter.event_totals.events IS 'How many events count: the sum of sign.';
COMMENT ON COLUMN meter.event_totals.usage IS 'The sum of usage, unit by unit.';
COMMENT ON COLUMN meter.event_totals.cost IS 'The sum of what the events cost that the first card can rate.';
COMMENT ON COLUMN meter.event_totals.credits IS 'The sum of what the events take in credits that the second card can rate.';
COMMENT ON COLUMN meter.event_totals.unpriced_cost IS 'How many events the first card cannot rate: the sum of their sign.';
COMMENT ON COLUMN meter.event_totals.unpriced_credits IS 'How many events the second card cannot rate: the sum of their sign.';

CREATE FUNCTION meter.event_sums_add(meter.event_sums_state, meter.rate_card, meter.rate_card, text, text, timestamptz, meter.usage, text, smallint) RETURNS meter.event_sums_state
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_event_sums_add';
COMMENT ON FUNCTION meter.event_sums_add(meter.event_sums_state, meter.rate_card, meter.rate_card, text, text, timestamptz, meter.usage, text, smallint) IS 'Transition function of meter.event_sums: the state with an event added.';

CREATE FUNCTION meter.event_sums_combine(meter.event_sums_state, meter.event_sums_state) RETURNS meter.event_sums_state
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_event_sums_combine';
COMMENT ON FUNCTION meter.event_sums_combine(meter.event_sums_state, meter.event_sums_state) IS 'Combine function of meter.event_sums: the sum of two states. Either may be NULL.';

CREATE FUNCTION meter.event_sums_final(meter.event_sums_state) RETURNS meter.event_totals
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_event_sums_final';
COMMENT ON FUNCTION meter.event_sums_final(meter.event_sums_state) IS 'Final function of meter.event_sums.';

CREATE AGGREGATE meter.event_sums(cost_card meter.rate_card, credit_card meter.rate_card, item text, action text, at timestamptz, usage meter.usage, variant text, sign smallint) (
	SFUNC = meter.event_sums_add,
	STYPE = meter.event_sums_state,
	SSPACE = 128,
	COMBINEFUNC = meter.event_sums_combine,
	FINALFUNC = meter.event_sums_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.event_sums(meter.rate_card, meter.rate_card, text, text, timestamptz, meter.usage, text, smallint) IS 'All sums of a group of events at once, exactly and without a number per row: how many there are, their usage, what they cost by the first card, what they take in credits by the second one, and how many each card cannot rate (those are in no sum of amounts). Each event is rated as meter.cost does it; without an item it costs nothing, without an action it takes no credits, and without an instant or a usage neither card can rate it. sign is -1 of a reversal and counts it down. NULL where there is no event.';
