/*
 * event_sums.c: the aggregate event_sums and its state: all that the roll-up keeps of
 * a group of events, added up at once.
 *
 * A state is one block: the header, and behind it the state of a sum of usages
 * (usage_sum.h), which grows with the units; three units take 128 bytes, which palloc
 * gives without a rest. An event is taken apart once: its usage is read for what it
 * costs, for what it takes in credits where it did an action, and for its sum. What is
 * unpriced is counted, and in no sum of amounts.
 *
 * The text form is the number of events, of those without a cost and without credits,
 * the cost, the credits and the usage: 3 1 0 12.5 4 {"input_tokens": 12}.
 */
#include "event_sums.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#define WIRE_VERSION 1

#define PG_GETARG_EVENT_SUMS_P(n) ((EventSums *) PG_DETOAST_DATUM(PG_GETARG_DATUM(n)))

static EventSums *sums_with(const EventSums *header, const UsageState *usage);
static inline CostState rate_event(FunctionCallInfo fcinfo, int card, RatingCache *cache,
								   const CostEvent *event, Dec *amount);

PG_FUNCTION_INFO_V1(meter_event_sums_in);
PG_FUNCTION_INFO_V1(meter_event_sums_out);
PG_FUNCTION_INFO_V1(meter_event_sums_recv);
PG_FUNCTION_INFO_V1(meter_event_sums_send);
PG_FUNCTION_INFO_V1(meter_event_sums_add);
PG_FUNCTION_INFO_V1(meter_event_sums_combine);
PG_FUNCTION_INFO_V1(meter_event_sums_final);

/* Returns a state of these sums, all zero without a header, and of a usage's. */
static EventSums *
sums_with(const EventSums *header, const UsageState *usage)
{
	Size size = offsetof(EventSums, usage) + VARSIZE(usage);
	EventSums *state = palloc(size);

	if (header == NULL)
		memset(state, 0, offsetof(EventSums, usage));
	else
		memcpy(state, header, offsetof(EventSums, usage));
	memcpy(&state->usage, usage, VARSIZE(usage));
	SET_VARSIZE(state, size);
	state->format = EVENT_SUMS_FORMAT;
	return state;
}

/* Adds a usage that is being read, in place where there is room; returns the state that holds the sum. */
EventSums *
event_sums_add_units(EventSums *state, UsageReader usage)
{
	UsageState *sum = usage_state_add_units(&state->usage, usage);

	return likely(sum == &state->usage) ? state : sums_with(state, sum);
}

static EventSums *
add_usage(EventSums *state, const void *usage)
{
	UsageReader reader;

	usage_open(&reader, usage);
	return event_sums_add_units(state, reader);
}

/* Returns the state as it may be changed: itself in an aggregate, else a copy. */
static inline EventSums *
changeable(FunctionCallInfo fcinfo, EventSums *state)
{
	return likely(AggCheckCallContext(fcinfo, NULL) != 0) ? state : sums_with(state, &state->usage);
}

/* Returns a state without an event, with room for the units of a usage. */
EventSums *
event_sums_for_units(UsageReader usage)
{
	return sums_with(NULL, usage_state_for_units(usage));
}

/*
 * Adds an event to a state, or to a new one where that is NULL, and returns the state
 * that holds the sum. The event is a call's arguments (anything, cost card, credit
 * card, item, action, at, usage, variant, sign, ...). One without a usage or an
 * instant is unpriced by both cards; one without a sign counts once.
 */
EventSums *
event_sums_count(FunctionCallInfo fcinfo, EventCards *cards, EventSums *state)
{
	int64 sign = PG_ARGISNULL(8) ? 1 : PG_GETARG_INT16(8);
	CostEvent event;
	struct varlena *usage = PG_ARGISNULL(6) ? NULL : PG_GETARG_USAGE_PP(6);

	if (state == NULL)
		state = sums_with(NULL, usage_state_for(usage != NULL ? usage : usage_parse("{}", NULL)));
	event_sums_add_number(&state->events, sign);

	if (unlikely(usage == NULL || PG_ARGISNULL(5)))
	{
		event_sums_add_number(&state->unpriced_cost, sign);
		event_sums_add_number(&state->unpriced_credits, sign);
	}
	else
	{
		Dec amount;

		event.at = PG_GETARG_TIMESTAMPTZ(5);
		event.usage = usage;
		if (likely(!PG_ARGISNULL(3)))
		{
			cost_read_item(fcinfo, 3, &event);
			cost_read_variant(fcinfo, 7, &event);
			if (likely(rate_event(fcinfo, 1, &cards->cost, &event, &amount) == COST_PRICED))
				event_sums_add_amount(&state->cost, amount);
			else
				event_sums_add_number(&state->unpriced_cost, sign);
		}
		if (!PG_ARGISNULL(4))
		{
			cost_read_item(fcinfo, 4, &event);
			cost_read_variant(fcinfo, 7, &event);
			if (likely(rate_event(fcinfo, 2, &cards->credit, &event, &amount) == COST_PRICED))
				event_sums_add_amount(&state->credits, amount);
			else
				event_sums_add_number(&state->unpriced_credits, sign);
		}
	}
	return likely(usage != NULL) ? add_usage(state, usage) : state;
}

/* Adds an event (state, cost card, credit card, ...) to the state: see event_sums_count. */
Datum
meter_event_sums_add(PG_FUNCTION_ARGS)
{
	EventCards *cards = fcinfo->flinfo->fn_extra;

	if (unlikely(cards == NULL))
		fcinfo->flinfo->fn_extra = cards =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(EventCards));
	PG_RETURN_POINTER(event_sums_count(
		fcinfo, cards, PG_ARGISNULL(0) ? NULL : changeable(fcinfo, PG_GETARG_EVENT_SUMS_P(0))));
}

/* Rates an event that has an item with the card in an argument, which may be NULL. */
static inline CostState
rate_event(FunctionCallInfo fcinfo, int card, RatingCache *cache, const CostEvent *event,
		   Dec *amount)
{
	if (unlikely(PG_ARGISNULL(card)))
		return COST_UNPRICED;
	return cost_event(rate_card_fetch(PG_GETARG_DATUM(card), &cache->card, fcinfo->flinfo->fn_mcxt),
					  &cache->hints, event, amount);
}

/* Returns the sum of two states. */
Datum
meter_event_sums_combine(PG_FUNCTION_ARGS)
{
	EventSums *state;
	EventSums *other;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0))
		PG_RETURN_DATUM(PG_GETARG_DATUM(1));
	state = changeable(fcinfo, PG_GETARG_EVENT_SUMS_P(0));
	other = PG_GETARG_EVENT_SUMS_P(1);
	event_sums_add_number(&state->events, other->events);
	event_sums_add_number(&state->unpriced_cost, other->unpriced_cost);
	event_sums_add_number(&state->unpriced_credits, other->unpriced_credits);
	event_sums_add_amount(&state->cost, dec_load(&other->cost));
	event_sums_add_amount(&state->credits, dec_load(&other->credits));
	PG_RETURN_POINTER(add_usage(state, usage_state_sum(&other->usage)));
}

/* Returns the columns of the rows that a final function returns, found out once a query. */
TupleDesc
event_sums_columns(FunctionCallInfo fcinfo)
{
	TupleDesc columns = fcinfo->flinfo->fn_extra;

	if (unlikely(columns == NULL))
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "sums of events have no row type");
		fcinfo->flinfo->fn_extra = columns = BlessTupleDesc(columns);
		MemoryContextSwitchTo(old);
	}
	return columns;
}

/* Returns a state as a row of the roll-up has it. */
Datum
meter_event_sums_final(PG_FUNCTION_ARGS)
{
	EventSums *state;
	Datum values[6];
	bool nulls[6] = {0};

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = PG_GETARG_EVENT_SUMS_P(0);
	values[0] = Int64GetDatum(state->events);
	values[1] = PointerGetDatum(usage_state_sum(&state->usage));
	values[2] = dec_to_numeric(dec_load(&state->cost));
	values[3] = dec_to_numeric(dec_load(&state->credits));
	values[4] = Int64GetDatum(state->unpriced_cost);
	values[5] = Int64GetDatum(state->unpriced_credits);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(event_sums_columns(fcinfo), values, nulls)));
}

/* Reads a whole number and the blank behind it; false where there is none. */
static bool
read_count(const char **p, int64 *count, struct Node *escontext)
{
	const char *end;
	Dec value;

	if (!dec_parse(*p, &end, &value, "number of events", escontext) || *end != ' ' ||
		value % DEC_ONE != 0 || value / DEC_ONE > PG_INT64_MAX || value / DEC_ONE < PG_INT64_MIN)
		return false;
	*count = (int64) (value / DEC_ONE);
	*p = end + 1;
	return true;
}

/* Reads an amount and the blank behind it; false where there is none. */
static bool
read_amount(const char **p, DecHalves *amount, struct Node *escontext)
{
	const char *end;
	Dec value;

	if (!dec_parse(*p, &end, &value, "sum", escontext) || *end != ' ')
		return false;
	dec_store(amount, value);
	*p = end + 1;
	return true;
}

/* Reads a state's text. */
Datum
meter_event_sums_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	const char *p = text;
	EventSums header = {0};
	struct varlena *usage;

	if (!read_count(&p, &header.events, fcinfo->context) ||
		!read_count(&p, &header.unpriced_cost, fcinfo->context) ||
		!read_count(&p, &header.unpriced_credits, fcinfo->context) ||
		!read_amount(&p, &header.cost, fcinfo->context) ||
		!read_amount(&p, &header.credits, fcinfo->context))
	{
		if (SOFT_ERROR_OCCURRED(fcinfo->context))
			PG_RETURN_NULL();
		ereturn(
			fcinfo->context, (Datum) 0,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type meter.event_sums_state: \"%s\"", text),
			 errdetail("It is the number of events, of those without a cost and without credits, "
					   "the cost, the credits and the usage, such as "
					   "\"3 1 0 12.5 4 {\\\"input_tokens\\\": 12}\".")));
	}
	usage = usage_parse(p, fcinfo->context);
	if (usage == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(add_usage(sums_with(&header, usage_state_for(usage)), usage));
}

/* Returns a state's text. */
Datum
meter_event_sums_out(PG_FUNCTION_ARGS)
{
	EventSums *state = PG_GETARG_EVENT_SUMS_P(0);
	char cost[DEC_BUFSIZE];
	char credits[DEC_BUFSIZE];

	dec_print(dec_load(&state->cost), cost);
	dec_print(dec_load(&state->credits), credits);
	PG_RETURN_CSTRING(psprintf(INT64_FORMAT " " INT64_FORMAT " " INT64_FORMAT " %s %s %s",
							   state->events, state->unpriced_cost, state->unpriced_credits, cost,
							   credits, usage_print(usage_state_sum(&state->usage))));
}

/* Reads a state's wire form. */
Datum
meter_event_sums_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	EventSums header = {0};
	struct varlena *usage;

	wire_need(in, 1);
	if (pq_getmsgbyte(in) != WIRE_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("external meter.event_sums_state has an unknown version")));
	wire_need(in, 3 * sizeof(int64));
	header.events = pq_getmsgint64(in);
	header.unpriced_cost = pq_getmsgint64(in);
	header.unpriced_credits = pq_getmsgint64(in);
	dec_store(&header.cost, dec_recv(in));
	dec_store(&header.credits, dec_recv(in));
	usage = usage_read_wire(in);
	PG_RETURN_POINTER(add_usage(sums_with(&header, usage_state_for(usage)), usage));
}

/* Returns a state's wire form. */
Datum
meter_event_sums_send(PG_FUNCTION_ARGS)
{
	EventSums *state = PG_GETARG_EVENT_SUMS_P(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbyte(&out, WIRE_VERSION);
	pq_sendint64(&out, state->events);
	pq_sendint64(&out, state->unpriced_cost);
	pq_sendint64(&out, state->unpriced_credits);
	dec_send(&out, dec_load(&state->cost));
	dec_send(&out, dec_load(&state->credits));
	usage_write_wire(&out, usage_state_sum(&state->usage));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}
