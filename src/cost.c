/*
 * cost.c: rating an event's buckets with a rate card.
 *
 * An amount is settled once, here: a bucket's quantity times price over per, rounded
 * to 12 digits half away from zero. From there on amounts are only added, so a total
 * is the same in whatever order events come. Whole quantities at rates that end
 * within 12 digits, which is nearly all of them, are one multiplication and never
 * rounded.
 *
 * Per event: the item's hash and one probe, a look at the epoch that the item's last
 * event was in, and a cell per bucket. Nearly all events are rated that way, and in 64
 * bits; an event that is not, whatever the reason, is rated anew the long way, which
 * alone knows contexts, times of day, a unit's ancestors, fractions, reversals and
 * errors.
 */
#include "cost.h"

#include "amount_state.h"

#include "fmgr.h"
#include "funcapi.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(meter_cost);
PG_FUNCTION_INFO_V1(meter_unpriced);
PG_FUNCTION_INFO_V1(meter_cost_lines);
PG_FUNCTION_INFO_V1(meter_total_cost_add);
PG_FUNCTION_INFO_V1(meter_total_cost_add_columns);

/* A column of whole quantities: where the argument is, and its unit's code. */
typedef struct QuantityColumn
{
	uint16 offset; /* of the argument, in fcinfo */
	uint8 unit;
	uint8 kind; /* a QuantityKind */
} QuantityColumn;

/* What total_cost over columns keeps from row to row in fn_extra. */
typedef struct ColumnCache
{
	RatingCache rating;
	UsageArgs *args;
	int count; /* of columns; 0 where a name or a number is not as fast ones are */
	QuantityColumn columns[FLEXIBLE_ARRAY_MEMBER];
} ColumnCache;

/* An event in hand: what is found once for all its buckets. */
typedef struct CostRating
{
	const RateCard *card;
	const CostEvent *event;
	const RateSection *section; /* or NULL */
	const RateCell *cells;		/* of the event's epoch */
	Dec context;				/* or -1: not yet summed up */
} CostRating;

static Datum total_cost_add_slowly(FunctionCallInfo fcinfo, AmountState *state);
static Datum total_cost_add_columns_slowly(FunctionCallInfo fcinfo, AmountState *state);
static CostState cost_slowly(const RateCard *card, RateHints *hints, const CostEvent *event,
							 Dec *amount);
static void cost_begin(CostRating *rating, const RateCard *card, RateHints *hints,
					   const CostEvent *event);
static CostState cost_bucket(CostRating *rating, const Bucket *bucket, Dec *amount,
							 const Rate **rate);
static const Rate *find_rate(CostRating *rating, const Bucket *bucket);
static const Rate *choose_rate(CostRating *rating, uint32 slot);
static uint32 own_slot(const CostRating *rating, int code);
static uint32 custom_slot(const CostRating *rating, const Bucket *bucket);
static Dec event_context(const CostEvent *event);
static bool window_holds(const Rate *rate, TimestampTz at);
static bool is_variant(const CostEvent *event, const char *name);
pg_noreturn static void refuse_signs(const CostEvent *event);

extern Datum meter_usage_out(PG_FUNCTION_ARGS);

/* Says which way a bucket's quantity goes: 1 up, 2 down, 0 neither. */
static inline int
bucket_sign(const Bucket *bucket)
{
	if (likely(bucket->whole))
		return bucket->count > 0 ? 1 : bucket->count < 0 ? 2 : 0;
	return bucket->quantity > 0 ? 1 : 2;
}

/* Returns what a bucket costs at a rate. */
static inline Dec
settle(const Bucket *bucket, const Rate *rate)
{
	if (rate->flags & RATE_FOLDED)
	{
		if (likely(bucket->whole))
			return (Dec) bucket->count * rate->multiplier;
		return dec_mul(bucket->quantity, rate->multiplier);
	}
	return dec_mul_div(bucket_quantity(bucket), dec_load(&rate->price), dec_load(&rate->per));
}

/*
 * Returns the section of an event's item and sets the cells of the event's epoch; NULL
 * where the card does not know the item, or the instant is infinite.
 */
static pg_attribute_always_inline const RateSection *
find_cells(const RateCard *card, RateHints *hints, const CostEvent *event, const RateCell **cells)
{
	const RateSection *section =
		rate_card_find(card, event->item, event->item_length, event->standard, event->variant,
					   event->variant_length);
	uint32 epoch;

	if (unlikely(section == NULL))
		return NULL;
	epoch = hints->epoch[section->hint];
	if (unlikely(!section_in_epoch(card, section, event->at, epoch)))
	{
		if (TIMESTAMP_NOT_FINITE(event->at))
			return NULL;
		epoch = section_epoch(card, section, event->at);
		hints->epoch[section->hint] = (uint16) epoch;
	}
	*cells = section_cells(card, section, epoch);
	return section;
}

/*
 * Adds to a cost what so many units of a well-known one cost; false where it takes a
 * longer look. Some quantity is negative where `quantities` is.
 */
static pg_attribute_always_inline bool
add_quickly(int64 *cost, int64 *quantities, const RateSection *section, const RateCell *cells,
			uint32 unit, int64 count)
{
	int64 multiplier = cells[section->slot_of[unit]].multiplier;
	int64 amount;

	*quantities |= count;
	return likely(multiplier >= 0) && likely(!__builtin_mul_overflow(count, multiplier, &amount)) &&
		   likely(!__builtin_add_overflow(*cost, amount, cost));
}

/* Sets the cost of an event, where that is quickly found: it is at least zero. */
static pg_attribute_always_inline bool
cost_quickly(const RateCard *card, RateHints *hints, const CostEvent *event, int64 *cost)
{
	int64 sum = 0;
	int64 quantities = 0;
	const RateCell *cells;
	const RateSection *section = find_cells(card, hints, event, &cells);
	UsageReader reader;

	if (unlikely(section == NULL))
		return false;
	usage_open(&reader, event->usage);
	while (reader.next < reader.end)
	{
		uint32 unit;
		int64 count;

		if (unlikely(!usage_peek_small(&reader, &unit, &count, &reader.next)) ||
			unlikely(!add_quickly(&sum, &quantities, section, cells, unit, count)))
			return false;
	}
	*cost = sum;
	return likely(quantities >= 0);
}

/*
 * Returns whether an event is priced or unpriced, and sets its cost where it is
 * priced, as an event whose every unit is free also is. Refuses quantities of both
 * signs: no rate says what they mean together.
 */
CostState
cost_event(const RateCard *card, RateHints *hints, const CostEvent *event, Dec *amount)
{
	int64 quick;

	if (likely(cost_quickly(card, hints, event, &quick)))
	{
		*amount = quick;
		return COST_PRICED;
	}
	return cost_slowly(card, hints, event, amount);
}

/* What cost_event does, for any event. */
static pg_noinline CostState
cost_slowly(const RateCard *card, RateHints *hints, const CostEvent *event, Dec *amount)
{
	CostRating rating;
	UsageReader reader;
	Bucket bucket;
	Dec total = 0;
	int signs = 0;
	bool unpriced = false;

	cost_begin(&rating, card, hints, event);
	usage_open(&reader, event->usage);
	while (usage_next(&reader, &bucket))
	{
		Dec part;

		signs |= bucket_sign(&bucket);
		if (cost_bucket(&rating, &bucket, &part, NULL) == COST_UNPRICED)
			unpriced = true;
		else
			total = dec_add(total, part);
	}
	if (signs == 3)
		refuse_signs(event);
	if (unpriced)
		return COST_UNPRICED;
	*amount = total;
	return COST_PRICED;
}

/* Finds what all buckets of an event share. */
static void
cost_begin(CostRating *rating, const RateCard *card, RateHints *hints, const CostEvent *event)
{
	if (TIMESTAMP_NOT_FINITE(event->at))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("an event at %sinfinity can't be rated",
							   TIMESTAMP_IS_NOBEGIN(event->at) ? "-" : ""),
						errhint("Give the instant at which the usage happened.")));
	rating->card = card;
	rating->event = event;
	rating->context = -1;
	rating->section = find_cells(card, hints, event, &rating->cells);
}

/*
 * Returns what a bucket is, and sets its amount where that is known and, if asked,
 * its rate, NULL where there is none.
 */
static CostState
cost_bucket(CostRating *rating, const Bucket *bucket, Dec *amount, const Rate **rate)
{
	const Rate *found = rating->section == NULL ? NULL : find_rate(rating, bucket);

	if (rate != NULL)
		*rate = found;
	if (found != NULL)
	{
		*amount = settle(bucket, found);
		return COST_PRICED;
	}
	*amount = 0;
	if (is_variant(rating->event, "cached") || is_variant(rating->event, "byok"))
		return COST_FREE;
	if (rating->section != NULL && (bucket->unit == UNIT_REQUESTS || bucket->unit == UNIT_ACTIONS))
		return COST_FREE;
	return bucket_sign(bucket) == 0 ? COST_FREE : COST_UNPRICED;
}

static bool
is_variant(const CostEvent *event, const char *name)
{
	return event->variant_length == (int) strlen(name) &&
		   memcmp(event->variant, name, event->variant_length) == 0;
}

/*
 * Returns the rate of a bucket's unit, of its nearest ancestor that has one, or of
 * unit '*'; NULL where nothing holds for this event.
 */
static const Rate *
find_rate(CostRating *rating, const Bucket *bucket)
{
	const RateSection *section = rating->section;
	const Rate *rate;

	if (bucket->unit != 0)
	{
		rate = choose_rate(rating, own_slot(rating, bucket->unit));
		for (const uint8 *unit = unit_ancestors(bucket->unit); rate == NULL && *unit != 0; unit++)
			rate = choose_rate(rating, own_slot(rating, *unit));
	}
	else
		rate = choose_rate(rating, custom_slot(rating, bucket));
	if (rate == NULL)
		rate = choose_rate(rating, section->any_slot);
	return rate;
}

/* Returns the cell of a well-known unit in an epoch, and not that of an ancestor, or 0. */
static uint32
own_slot(const CostRating *rating, int code)
{
	uint32 slot = rating->section->slot_of[code];

	if (slot != 0 && section_units(rating->card, rating->section)[slot - 1].code != code)
		return 0;
	return slot;
}

/* Returns the cell of a custom unit in an epoch, or 0. */
static uint32
custom_slot(const CostRating *rating, const Bucket *bucket)
{
	const RateSection *section = rating->section;
	const RateUnit *units = section_units(rating->card, section);
	int low = section->custom_slot;
	int high = (int) section->unit_count - (section->any_slot != 0);

	while (low < high)
	{
		int middle = (low + high) / 2;
		const RateUnit *unit = &units[middle];
		int order = memcmp(bucket->name, RATE_AT(rating->card, unit->name),
						   Min(bucket->name_length, unit->name_length));

		if (order == 0)
			order = bucket->name_length - unit->name_length;
		if (order == 0)
			return middle + 1;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return 0;
}

/* Returns the first of a cell's rates that holds for the event; cell 0 has none. */
static const Rate *
choose_rate(CostRating *rating, uint32 slot)
{
	const RateSection *section = rating->section;
	const RateCell *cell = &rating->cells[slot];
	const uint32 *candidates =
		(const uint32 *) RATE_AT(rating->card, section->candidates) + cell->candidate;
	const Rate *rates = section_rates(rating->card, section);

	for (uint32 i = 0; i < cell->count; i++)
	{
		const Rate *rate = &rates[candidates[i]];

		if (rate->flags & RATE_CONDITIONAL)
		{
			if (rating->context < 0)
				rating->context = event_context(rating->event);
			if (dec_load(&rate->context_from) > rating->context ||
				!window_holds(rate, rating->event->at))
				continue;
		}
		return rate;
	}
	return NULL;
}

/* Returns an event's context: the absolute sum of what went in. */
static Dec
event_context(const CostEvent *event)
{
	UsageReader reader;
	Bucket bucket;
	Dec context = 0;

	usage_open(&reader, event->usage);
	while (usage_next(&reader, &bucket))
		if (bucket.unit != 0 && unit_is_input(bucket.unit))
			context = dec_add(context, dec_abs(bucket_quantity(&bucket)));
	return context;
}

static bool
window_holds(const Rate *rate, TimestampTz at)
{
	int64 time = at % USECS_PER_DAY;

	if (rate->daily_from == RATE_NO_WINDOW)
		return true;
	if (time < 0)
		time += USECS_PER_DAY;
	if (rate->daily_from < rate->daily_until)
		return time >= rate->daily_from && time < rate->daily_until;
	return time >= rate->daily_from || time < rate->daily_until;
}

static void
refuse_signs(const CostEvent *event)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
					errmsg("usage %s has quantities of both signs and can't be rated",
						   DatumGetCString(DirectFunctionCall1(meter_usage_out,
															   PointerGetDatum(event->usage)))),
					errhint("Rate what was used and what is reversed as two events.")));
}

/* Returns what a call keeps in fn_extra. */
static inline RatingCache *
rating_cache(FunctionCallInfo fcinfo)
{
	RatingCache *cache = fcinfo->flinfo->fn_extra;

	if (unlikely(cache == NULL))
		fcinfo->flinfo->fn_extra = cache =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(RatingCache));
	return cache;
}

/* Rates a call's event (card, item, at, usage [, variant]), of which card is `card`. */
static CostState
cost_of_call(FunctionCallInfo fcinfo, int card, Dec *amount)
{
	CostEvent event;
	RatingCache *cache;

	if (!cost_read_event(fcinfo, card + 1, &event))
		return COST_UNPRICED;
	*amount = 0;
	if (event.item == NULL)
		return COST_PRICED;
	if (PG_ARGISNULL(card))
		return COST_UNPRICED;
	cache = rating_cache(fcinfo);
	return cost_event(rate_card_fetch(PG_GETARG_DATUM(card), &cache->card, fcinfo->flinfo->fn_mcxt),
					  &cache->hints, &event, amount);
}

/* Returns an event's cost, NULL where any of its units is unpriced. */
Datum
meter_cost(PG_FUNCTION_ARGS)
{
	Dec amount;

	if (cost_of_call(fcinfo, 0, &amount) == COST_UNPRICED)
		PG_RETURN_NULL();
	return dec_to_numeric(amount);
}

/* Says whether an event can't be priced. */
Datum
meter_unpriced(PG_FUNCTION_ARGS)
{
	Dec amount;

	PG_RETURN_BOOL(cost_of_call(fcinfo, 0, &amount) == COST_UNPRICED);
}

/* Returns a row a bucket: unit, quantity, price, per, amount. */
Datum
meter_cost_lines(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CostEvent event;
	CostRating rating;
	RateHints hints = {{0}};
	UsageReader reader;
	Bucket bucket;
	int signs = 0;
	const RateCard *card;

	/* before the set is begun, which takes the slot that the card's cache would use */
	card = PG_ARGISNULL(0) ? NULL : (RateCard *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	/* the expected columns: to work them out anew leaves memory behind with every call */
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(3))
		return (Datum) 0;
	if (!cost_read_event(fcinfo, 1, &event))
	{
		/* no instant: every unit is unpriced, as it is without a card */
		card = NULL;
		event.item = "";
		event.usage = PG_GETARG_USAGE_PP(3);
	}
	if (event.item != NULL && card != NULL)
		cost_begin(&rating, card, &hints, &event);

	usage_open(&reader, event.usage);
	while (usage_next(&reader, &bucket))
	{
		Datum values[5];
		bool nulls[5] = {0};
		const Rate *rate = NULL;
		CostState state;
		Dec amount = 0;
		int length;
		const char *name = bucket_name(&bucket, &length);

		signs |= bucket_sign(&bucket);
		if (signs == 3)
			refuse_signs(&event);
		if (event.item == NULL)
			state = COST_FREE;
		else if (card == NULL)
			state = bucket_sign(&bucket) == 0 ? COST_FREE : COST_UNPRICED;
		else
			state = cost_bucket(&rating, &bucket, &amount, &rate);

		values[0] = PointerGetDatum(cstring_to_text_with_len(name, length));
		values[1] = dec_to_numeric(bucket_quantity(&bucket));
		if (state == COST_UNPRICED)
			nulls[2] = nulls[3] = nulls[4] = true;
		else
		{
			values[2] = dec_to_numeric(rate == NULL ? 0 : dec_load(&rate->price));
			values[3] = dec_to_numeric(rate == NULL ? DEC_ONE : dec_load(&rate->per));
			values[4] = dec_to_numeric(amount);
		}
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Adds an event's cost to the state (state, card, item, at, usage [, variant]). */
Datum
meter_total_cost_add(PG_FUNCTION_ARGS)
{
	AmountState *state = amount_state_begin(fcinfo);
	RatingCache *cache = fcinfo->flinfo->fn_extra;

	if (likely(cache != NULL) && PG_NARGS() == 5 &&
		likely(!PG_ARGISNULL(1) && !PG_ARGISNULL(2) && !PG_ARGISNULL(3) && !PG_ARGISNULL(4)))
	{
		CostEvent event;
		int64 cost;

		cost_read_item(fcinfo, 2, &event);
		event.at = PG_GETARG_TIMESTAMPTZ(3);
		event.usage = PG_GETARG_USAGE_PP(4);
		if (likely(cost_quickly(
				rate_card_fetch(PG_GETARG_DATUM(1), &cache->card, fcinfo->flinfo->fn_mcxt),
				&cache->hints, &event, &cost)))
		{
			amount_state_add_small(state, cost);
			PG_RETURN_POINTER(state);
		}
	}
	return total_cost_add_slowly(fcinfo, state);
}

/* What meter_total_cost_add does, for any call. */
static pg_noinline Datum
total_cost_add_slowly(FunctionCallInfo fcinfo, AmountState *state)
{
	Dec amount;

	if (cost_of_call(fcinfo, 1, &amount) == COST_PRICED)
		amount_state_add(state, amount);
	PG_RETURN_POINTER(state);
}

/* The first argument of total_cost's transition function that is a unit. */
#define FIRST_UNIT 4

/*
 * Finds out what can be known about the columns of a call once a query. Where every
 * name is a constant and a well-known unit's, and every quantity an integer, a row
 * need not look at names, nor make a usage.
 */
static ColumnCache *
resolve_columns(FunctionCallInfo fcinfo)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	UsageArgs *args = usage_args_resolve(fcinfo, "meter.total_cost", FIRST_UNIT, 0, context);
	ColumnCache *cache = MemoryContextAllocZero(context, offsetof(ColumnCache, columns) +
															 args->pairs * sizeof(QuantityColumn));
	Aggref *call = AggGetAggref(fcinfo);
	uint64 seen = 0;

	StaticAssertStmt(UNIT_COUNT <= 64, "a bit a unit");
	cache->args = args;
	for (int i = 0; i < args->pairs; i++)
	{
		const UsagePair *pair = &args->pair[i];
		TargetEntry *name;
		char *spelled;
		int unit;

		/* the state is not among the call's arguments */
		if (call == NULL || list_length(call->args) < pair->quantity)
			return cache;
		name = list_nth_node(TargetEntry, call->args, pair->quantity - 2);
		if (!IsA(name->expr, Const) || PG_ARGISNULL(pair->quantity - 1) ||
			pair->kind == QUANTITY_NUMERIC || pair->kind == QUANTITY_NULL)
			return cache;
		spelled = pair->cstring ? DatumGetCString(PG_GETARG_DATUM(pair->quantity - 1))
								: text_to_cstring(PG_GETARG_TEXT_PP(pair->quantity - 1));
		unit = unit_by_name(spelled, (int) strlen(spelled));
		if (unit == 0 || (seen & (UINT64CONST(1) << unit)))
			return cache;
		seen |= UINT64CONST(1) << unit;
		cache->columns[i].offset =
			offsetof(FunctionCallInfoBaseData, args) + pair->quantity * sizeof(NullableDatum);
		cache->columns[i].unit = unit;
		cache->columns[i].kind = pair->kind;
	}
	cache->count = args->pairs;
	return cache;
}

/* Sets the cost of a row's columns, where that is quickly found: it is at least zero. */
static pg_attribute_always_inline bool
cost_columns_quickly(FunctionCallInfo fcinfo, const RateCard *card, ColumnCache *cache,
					 const CostEvent *event, int64 *cost)
{
	int64 sum = 0;
	int64 quantities = 0;
	const RateCell *cells;
	const RateSection *section = find_cells(card, &cache->rating.hints, event, &cells);

	if (unlikely(section == NULL || cache->count == 0))
		return false;
	for (const QuantityColumn *column = cache->columns; column < cache->columns + cache->count;
		 column++)
	{
		const NullableDatum *quantity =
			(const NullableDatum *) ((const char *) fcinfo + column->offset);
		int64 count;

		if (unlikely(quantity->isnull))
			continue;
		if (likely(column->kind == QUANTITY_INT8))
			count = DatumGetInt64(quantity->value);
		else if (column->kind == QUANTITY_INT4)
			count = DatumGetInt32(quantity->value);
		else
			count = DatumGetInt16(quantity->value);
		if (unlikely(!add_quickly(&sum, &quantities, section, cells, column->unit, count)))
			return false;
	}
	*cost = sum;
	return likely(quantities >= 0);
}

/*
 * Adds the cost of an event whose usage is columns of a table (state, card, item, at,
 * unit, quantity, ...): what total_cost with a usage of them does, without making one.
 */
Datum
meter_total_cost_add_columns(PG_FUNCTION_ARGS)
{
	AmountState *state = amount_state_begin(fcinfo);
	ColumnCache *cache = fcinfo->flinfo->fn_extra;

	if (likely(cache != NULL) && likely(!PG_ARGISNULL(1) && !PG_ARGISNULL(2) && !PG_ARGISNULL(3)))
	{
		CostEvent event;
		int64 cost;

		cost_read_item(fcinfo, 2, &event);
		event.at = PG_GETARG_TIMESTAMPTZ(3);
		if (likely(cost_columns_quickly(
				fcinfo,
				rate_card_fetch(PG_GETARG_DATUM(1), &cache->rating.card, fcinfo->flinfo->fn_mcxt),
				cache, &event, &cost)))
		{
			amount_state_add_small(state, cost);
			PG_RETURN_POINTER(state);
		}
	}
	return total_cost_add_columns_slowly(fcinfo, state);
}

/* What meter_total_cost_add_columns does, for any call: it makes a usage. */
static pg_noinline Datum
total_cost_add_columns_slowly(FunctionCallInfo fcinfo, AmountState *state)
{
	ColumnCache *cache = fcinfo->flinfo->fn_extra;
	CostEvent event;
	Dec amount;

	if (cache == NULL)
		fcinfo->flinfo->fn_extra = cache = resolve_columns(fcinfo);
	event.usage = usage_args_build(fcinfo, cache->args);
	/* as with a usage: no item costs nothing, no card or instant is unpriced */
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
	{
		if (PG_ARGISNULL(2) && !PG_ARGISNULL(3))
			amount_state_add(state, 0);
		PG_RETURN_POINTER(state);
	}
	cost_read_item(fcinfo, 2, &event);
	event.at = PG_GETARG_TIMESTAMPTZ(3);
	if (cost_event(
			rate_card_fetch(PG_GETARG_DATUM(1), &cache->rating.card, fcinfo->flinfo->fn_mcxt),
			&cache->rating.hints, &event, &amount) == COST_PRICED)
		amount_state_add(state, amount);
	PG_RETURN_POINTER(state);
}
