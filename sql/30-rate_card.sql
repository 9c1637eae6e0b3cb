-- What a unit of something costs: the type rate_card, and what rates with it.

CREATE TYPE meter.rate_card;

CREATE FUNCTION meter.rate_card_in(cstring) RETURNS meter.rate_card
	AS 'MODULE_PATHNAME', 'meter_rate_card_in'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_in(cstring) IS 'Reads a rate card from its text form, a JSON array of rates.';

CREATE FUNCTION meter.rate_card_out(meter.rate_card) RETURNS cstring
	AS 'MODULE_PATHNAME', 'meter_rate_card_out'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_out(meter.rate_card) IS 'Writes a rate card in its text form, in canonical order.';

CREATE FUNCTION meter.rate_card_recv(internal) RETURNS meter.rate_card
	AS 'MODULE_PATHNAME', 'meter_rate_card_recv'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_recv(internal) IS 'Reads a rate card from its binary form.';

CREATE FUNCTION meter.rate_card_send(meter.rate_card) RETURNS bytea
	AS 'MODULE_PATHNAME', 'meter_rate_card_send'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_send(meter.rate_card) IS 'Writes a rate card in its binary form.';

CREATE TYPE meter.rate_card (
	INPUT = meter.rate_card_in,
	OUTPUT = meter.rate_card_out,
	RECEIVE = meter.rate_card_recv,
	SEND = meter.rate_card_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);
COMMENT ON TYPE meter.rate_card IS 'What a unit of something costs: effective-dated rates per item, variant and unit, in one currency. The text form is a JSON array of rates, {"item": "openai/gpt-4o", "unit": "input_tokens", "price": 2.5, "per": 1000000}; optional fields are per (1), variant (standard), valid (a range of instants, read as UTC without an offset), context_from (0: the event''s input side it holds from), daily_from and daily_until (a window of the UTC day, which may run over midnight) and precedence (0). A unit is a name or * for every unit. Two rates between which nothing decides are refused. Make one from rows with the aggregate meter.rate_card, and hand it to meter.cost as a scalar subquery, so that it is built once a query.';

CREATE FUNCTION meter.rate_card(jsonb) RETURNS meter.rate_card
	AS 'MODULE_PATHNAME', 'meter_rate_card_from_jsonb'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card(jsonb) IS 'Returns the rate card of a JSON array of rates (the text form of type meter.rate_card). An unknown field, a rate without an item, a unit or a price, and two rates that tie are errors.';

CREATE FUNCTION meter.to_jsonb(meter.rate_card) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'meter_rate_card_to_jsonb'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.to_jsonb(meter.rate_card) IS 'Returns a rate card as a JSON array of rates.';

CREATE CAST (jsonb AS meter.rate_card) WITH FUNCTION meter.rate_card(jsonb);
COMMENT ON CAST (jsonb AS meter.rate_card) IS 'The rate card of a JSON array of rates.';
CREATE CAST (meter.rate_card AS jsonb) WITH FUNCTION meter.to_jsonb(meter.rate_card);
COMMENT ON CAST (meter.rate_card AS jsonb) IS 'A rate card as a JSON array of rates.';

CREATE FUNCTION meter.rate_card_eq(meter.rate_card, meter.rate_card) RETURNS boolean
	AS 'MODULE_PATHNAME', 'meter_rate_card_eq'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_eq(meter.rate_card, meter.rate_card) IS 'Says whether two rate cards have the same rates.';

CREATE FUNCTION meter.rate_card_ne(meter.rate_card, meter.rate_card) RETURNS boolean
	AS 'MODULE_PATHNAME', 'meter_rate_card_ne'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_ne(meter.rate_card, meter.rate_card) IS 'Says whether two rate cards differ in a rate.';

CREATE FUNCTION meter.rate_card_hash(meter.rate_card) RETURNS integer
	AS 'MODULE_PATHNAME', 'meter_rate_card_hash'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_hash(meter.rate_card) IS 'Returns a rate card''s hash: equal cards have equal ones.';

CREATE FUNCTION meter.rate_card_hash_extended(meter.rate_card, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'meter_rate_card_hash_extended'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_hash_extended(meter.rate_card, bigint) IS 'Returns a rate card''s 64-bit hash with a seed.';

CREATE OPERATOR pg_catalog.= (
	LEFTARG = meter.rate_card,
	RIGHTARG = meter.rate_card,
	FUNCTION = meter.rate_card_eq,
	COMMUTATOR = OPERATOR(pg_catalog.=),
	NEGATOR = OPERATOR(pg_catalog.<>),
	RESTRICT = eqsel,
	JOIN = eqjoinsel,
	HASHES
);
COMMENT ON OPERATOR pg_catalog.= (meter.rate_card, meter.rate_card) IS 'the same rates';

CREATE OPERATOR pg_catalog.<> (
	LEFTARG = meter.rate_card,
	RIGHTARG = meter.rate_card,
	FUNCTION = meter.rate_card_ne,
	COMMUTATOR = OPERATOR(pg_catalog.<>),
	NEGATOR = OPERATOR(pg_catalog.=),
	RESTRICT = neqsel,
	JOIN = neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (meter.rate_card, meter.rate_card) IS 'other rates';

CREATE OPERATOR CLASS meter.rate_card_ops DEFAULT FOR TYPE meter.rate_card USING hash AS
	OPERATOR 1 pg_catalog.=,
	FUNCTION 1 meter.rate_card_hash(meter.rate_card),
	FUNCTION 2 meter.rate_card_hash_extended(meter.rate_card, bigint);
COMMENT ON OPERATOR CLASS meter.rate_card_ops USING hash IS 'Rate cards by the rates they have.';
COMMENT ON OPERATOR FAMILY meter.rate_card_ops USING hash IS 'Rate cards by the rates they have.';

-- The aggregate that builds a card. Its state is the list of rates so far.

CREATE TYPE meter.rate_card_state;

CREATE FUNCTION meter.rate_card_state_in(cstring) RETURNS meter.rate_card_state
	AS 'MODULE_PATHNAME', 'meter_rate_list_in'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_state_in(cstring) IS 'Reads the state of aggregate meter.rate_card from text.';

CREATE FUNCTION meter.rate_card_state_out(meter.rate_card_state) RETURNS cstring
	AS 'MODULE_PATHNAME', 'meter_rate_list_out'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_state_out(meter.rate_card_state) IS 'Writes the state of aggregate meter.rate_card as text.';

CREATE FUNCTION meter.rate_card_state_recv(internal) RETURNS meter.rate_card_state
	AS 'MODULE_PATHNAME', 'meter_rate_list_recv'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_state_recv(internal) IS 'Reads the state of aggregate meter.rate_card from binary.';

CREATE FUNCTION meter.rate_card_state_send(meter.rate_card_state) RETURNS bytea
	AS 'MODULE_PATHNAME', 'meter_rate_list_send'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_state_send(meter.rate_card_state) IS 'Writes the state of aggregate meter.rate_card in binary.';

CREATE TYPE meter.rate_card_state (
	INPUT = meter.rate_card_state_in,
	OUTPUT = meter.rate_card_state_out,
	RECEIVE = meter.rate_card_state_recv,
	SEND = meter.rate_card_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);
COMMENT ON TYPE meter.rate_card_state IS 'The state of aggregate meter.rate_card: the rates so far, in the order they came.';

CREATE FUNCTION meter.rate_card_add(meter.rate_card_state, text, text, numeric, numeric)
	RETURNS meter.rate_card_state
	AS 'MODULE_PATHNAME', 'meter_rate_card_add'
	LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_add(meter.rate_card_state, text, text, numeric, numeric) IS 'Transition function of meter.rate_card(item, unit, price, per).';

CREATE FUNCTION meter.rate_card_add(meter.rate_card_state, text, text, numeric, numeric, tstzrange)
	RETURNS meter.rate_card_state
	AS 'MODULE_PATHNAME', 'meter_rate_card_add'
	LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_add(meter.rate_card_state, text, text, numeric, numeric, tstzrange) IS 'Transition function of meter.rate_card(item, unit, price, per, valid).';

CREATE FUNCTION meter.rate_card_add(meter.rate_card_state, text, text, numeric, numeric, tstzrange, text, numeric, time, time, integer)
	RETURNS meter.rate_card_state
	AS 'MODULE_PATHNAME', 'meter_rate_card_add'
	LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_add(meter.rate_card_state, text, text, numeric, numeric, tstzrange, text, numeric, time, time, integer) IS 'Transition function of meter.rate_card with all ten arguments.';

CREATE FUNCTION meter.rate_card_combine(meter.rate_card_state, meter.rate_card_state)
	RETURNS meter.rate_card_state
	AS 'MODULE_PATHNAME', 'meter_rate_card_combine'
	LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_combine(meter.rate_card_state, meter.rate_card_state) IS 'Combine function of aggregate meter.rate_card.';

CREATE FUNCTION meter.rate_card_final(meter.rate_card_state) RETURNS meter.rate_card
	AS 'MODULE_PATHNAME', 'meter_rate_card_final'
	LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.rate_card_final(meter.rate_card_state) IS 'Final function of aggregate meter.rate_card.';

CREATE AGGREGATE meter.rate_card(item text, unit text, price numeric, per numeric) (
	STYPE = meter.rate_card_state,
	SFUNC = meter.rate_card_add,
	COMBINEFUNC = meter.rate_card_combine,
	FINALFUNC = meter.rate_card_final,
	SSPACE = 16384,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.rate_card(text, text, numeric, numeric) IS 'Builds a rate card from rows of rates that are always valid: price per `per` units of `unit` for `item`. A NULL per is 1. A NULL item, unit or price, a negative price, a per that is not positive and two rates that tie are errors. Without rows the card knows no item.';

CREATE AGGREGATE meter.rate_card(item text, unit text, price numeric, per numeric, valid tstzrange) (
	STYPE = meter.rate_card_state,
	SFUNC = meter.rate_card_add,
	COMBINEFUNC = meter.rate_card_combine,
	FINALFUNC = meter.rate_card_final,
	SSPACE = 16384,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.rate_card(text, text, numeric, numeric, tstzrange) IS 'Builds a rate card from rows of dated rates: price per `per` units, for events inside `valid` (NULL is for ever; an empty range is an error).';

CREATE AGGREGATE meter.rate_card(item text, unit text, price numeric, per numeric, valid tstzrange, variant text, context_from numeric, daily_from time, daily_until time, precedence integer) (
	STYPE = meter.rate_card_state,
	SFUNC = meter.rate_card_add,
	COMBINEFUNC = meter.rate_card_combine,
	FINALFUNC = meter.rate_card_final,
	SSPACE = 16384,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.rate_card(text, text, numeric, numeric, tstzrange, text, numeric, time, time, integer) IS 'Builds a rate card from rows of rates. For an event and a unit the rates of (item, variant, unit) that hold are those valid at its instant, whose context_from (NULL: 0) is at most its input side, and inside whose daily window (UTC, from inclusive, until exclusive, over midnight where until is not later; NULLs: always) it is. Of these the highest precedence (NULL: 0) wins, then the highest context_from, then one with a window. A NULL variant is standard.';

-- Rating.

CREATE FUNCTION meter.cost(card meter.rate_card, item text, at timestamptz, usage meter.usage, variant text DEFAULT 'standard')
	RETURNS numeric
	AS 'MODULE_PATHNAME', 'meter_cost'
	LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION meter.cost(meter.rate_card, text, timestamptz, meter.usage, text) IS 'Returns what an event costs, in the card''s currency: the sum over its units of quantity x price / per, each settled to 12 digits. NULL means unpriced: some unit has no rate, and neither has an ancestor of it nor *. It is 0 where all is free: no item, a zero quantity, units requests and actions of an item that the card knows, and variants cached and byok unless rated. cost(-u) = -cost(u); quantities of both signs are an error.';

CREATE FUNCTION meter.unpriced(card meter.rate_card, item text, at timestamptz, usage meter.usage, variant text DEFAULT 'standard')
	RETURNS boolean
	AS 'MODULE_PATHNAME', 'meter_unpriced'
	LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION meter.unpriced(meter.rate_card, text, timestamptz, meter.usage, text) IS 'Says whether meter.cost of the same event is unknown: true where any unit has no rate, and where the card, the instant or the usage is NULL. Never NULL.';

CREATE FUNCTION meter.cost_lines(card meter.rate_card, item text, at timestamptz, usage meter.usage, variant text DEFAULT 'standard')
	RETURNS TABLE (unit text, quantity numeric, price numeric, per numeric, amount numeric)
	AS 'MODULE_PATHNAME', 'meter_cost_lines'
	LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100 ROWS 3;
COMMENT ON FUNCTION meter.cost_lines(meter.rate_card, text, timestamptz, meter.usage, text) IS 'Returns a row a unit of an event: its quantity, the rate it gets (price per so many units) and the amount. The amounts add up to meter.cost. price, per and amount are NULL where the unit is unpriced; a unit that is free by rule has price 0 per 1.';

CREATE TYPE meter.amount_state;

CREATE FUNCTION meter.amount_state_in(cstring) RETURNS meter.amount_state
	AS 'MODULE_PATHNAME', 'meter_amount_state_in'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.amount_state_in(cstring) IS 'Reads a partial sum of amounts from text.';

CREATE FUNCTION meter.amount_state_out(meter.amount_state) RETURNS cstring
	AS 'MODULE_PATHNAME', 'meter_amount_state_out'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.amount_state_out(meter.amount_state) IS 'Writes a partial sum of amounts as text.';

CREATE FUNCTION meter.amount_state_recv(internal) RETURNS meter.amount_state
	AS 'MODULE_PATHNAME', 'meter_amount_state_recv'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.amount_state_recv(internal) IS 'Reads a partial sum of amounts from binary.';

CREATE FUNCTION meter.amount_state_send(meter.amount_state) RETURNS bytea
	AS 'MODULE_PATHNAME', 'meter_amount_state_send'
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.amount_state_send(meter.amount_state) IS 'Writes a partial sum of amounts in binary.';

CREATE TYPE meter.amount_state (
	INPUT = meter.amount_state_in,
	OUTPUT = meter.amount_state_out,
	RECEIVE = meter.amount_state_recv,
	SEND = meter.amount_state_send,
	INTERNALLENGTH = 32,
	ALIGNMENT = double,
	STORAGE = plain
);
COMMENT ON TYPE meter.amount_state IS 'The state of aggregate meter.total_cost: a sum of amounts and how many they are.';

CREATE FUNCTION meter.amount_state_combine(meter.amount_state, meter.amount_state) RETURNS meter.amount_state
	AS 'MODULE_PATHNAME', 'meter_amount_state_combine'
	LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.amount_state_combine(meter.amount_state, meter.amount_state) IS 'Combine function of aggregates that add up amounts.';

CREATE FUNCTION meter.amount_state_final(meter.amount_state) RETURNS numeric
	AS 'MODULE_PATHNAME', 'meter_amount_state_final'
	LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.amount_state_final(meter.amount_state) IS 'Final function of aggregates that add up amounts: NULL where there was none.';

CREATE FUNCTION meter.total_cost_add(meter.amount_state, meter.rate_card, text, timestamptz, meter.usage) RETURNS meter.amount_state
	AS 'MODULE_PATHNAME', 'meter_total_cost_add'
	LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.total_cost_add(meter.amount_state, meter.rate_card, text, timestamptz, meter.usage) IS 'Transition function of meter.total_cost(card, item, at, usage).';

CREATE FUNCTION meter.total_cost_add(meter.amount_state, meter.rate_card, text, timestamptz, meter.usage, text) RETURNS meter.amount_state
	AS 'MODULE_PATHNAME', 'meter_total_cost_add'
	LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.total_cost_add(meter.amount_state, meter.rate_card, text, timestamptz, meter.usage, text) IS 'Transition function of meter.total_cost(card, item, at, usage, variant).';

CREATE FUNCTION meter.total_cost_add(meter.amount_state, meter.rate_card, text, timestamptz, text, VARIADIC "any") RETURNS meter.amount_state
	AS 'MODULE_PATHNAME', 'meter_total_cost_add_columns'
	LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.total_cost_add(meter.amount_state, meter.rate_card, text, timestamptz, text, VARIADIC "any") IS 'Transition function of meter.total_cost(card, item, at, unit, quantity, ...).';

CREATE AGGREGATE meter.total_cost(card meter.rate_card, item text, at timestamptz, usage meter.usage) (
	STYPE = meter.amount_state,
	SFUNC = meter.total_cost_add,
	COMBINEFUNC = meter.amount_state_combine,
	FINALFUNC = meter.amount_state_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.total_cost(meter.rate_card, text, timestamptz, meter.usage) IS 'Adds up meter.cost over events, exactly, without making a number per row. Unpriced events are left out: count them with count(*) FILTER (WHERE meter.unpriced(...)) beside it. NULL where no event is priced.';

CREATE AGGREGATE meter.total_cost(card meter.rate_card, item text, at timestamptz, usage meter.usage, variant text) (
	STYPE = meter.amount_state,
	SFUNC = meter.total_cost_add,
	COMBINEFUNC = meter.amount_state_combine,
	FINALFUNC = meter.amount_state_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.total_cost(meter.rate_card, text, timestamptz, meter.usage, text) IS 'Adds up meter.cost over events in a variant each; see the aggregate without variant.';

CREATE AGGREGATE meter.total_cost(card meter.rate_card, item text, at timestamptz, unit text, VARIADIC quantities "any") (
	STYPE = meter.amount_state,
	SFUNC = meter.total_cost_add,
	COMBINEFUNC = meter.amount_state_combine,
	FINALFUNC = meter.amount_state_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.total_cost(meter.rate_card, text, timestamptz, text, "any") IS 'Adds up meter.cost over events whose usage is columns of a table: meter.total_cost(card, item, at, ''input_tokens'', input_tokens, ''output_tokens'', output_tokens). The same as with meter.usage of the same pairs, in the standard variant, and faster, because no usage is made per row.';
