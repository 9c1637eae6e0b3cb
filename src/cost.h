/*
 * cost.h: what an event costs at a card's rates.
 */
#ifndef METER_COST_H
#define METER_COST_H

#include "rate_card.h"

/* What a bucket or an event is: never confused with one another. */
typedef enum CostState
{
	COST_PRICED,
	COST_FREE,	  /* of a bucket: nothing is charged for it, by rule */
	COST_UNPRICED /* nobody said what it costs */
} CostState;

/* An event, as far as rating looks at it. */
typedef struct CostEvent
{
	const char *item;
	int item_length;
	bool standard; /* the variant is 'standard' */
	const char *variant;
	int variant_length;
	TimestampTz at;
	const void *usage; /* a detoasted usage, packed or not */
} CostEvent;

/* What rating keeps from row to row in fn_extra. */
typedef struct RatingCache
{
	UnpackCache *card;
	RateHints hints;
} RatingCache;

extern CostState cost_event(const RateCard *card, RateHints *hints, const CostEvent *event,
							Dec *amount);

/* Reads an event's item, which is not NULL, and sets its variant to 'standard'. */
static pg_attribute_always_inline void
cost_read_item(FunctionCallInfo fcinfo, int item, CostEvent *event)
{
	struct varlena *name = detoast_packed(PG_GETARG_DATUM(item));

	event->item = VARDATA_ANY(name);
	event->item_length = VARSIZE_ANY_EXHDR(name);
	event->standard = true;
	event->variant = RATE_VARIANT_STANDARD;
	event->variant_length = RATE_VARIANT_STANDARD_LENGTH;
}

/* Reads an event's variant, where it has one, behind its item. */
static pg_attribute_always_inline void
cost_read_variant(FunctionCallInfo fcinfo, int argument, CostEvent *event)
{
	struct varlena *variant;

	if (PG_ARGISNULL(argument))
		return;
	variant = detoast_packed(PG_GETARG_DATUM(argument));
	event->variant = VARDATA_ANY(variant);
	event->variant_length = VARSIZE_ANY_EXHDR(variant);
	event->standard = rate_variant_is_standard(event->variant, event->variant_length);
}

/*
 * Reads (item, at, usage [, variant]) from a call's arguments, of which item is the
 * first; returns false where the event has no instant or no usage. An event without
 * an item has item NULL.
 */
static pg_attribute_always_inline bool
cost_read_event(FunctionCallInfo fcinfo, int item, CostEvent *event)
{
	if (unlikely(PG_ARGISNULL(item + 1) || PG_ARGISNULL(item + 2)))
		return false;
	event->item = NULL;
	event->standard = true;
	if (likely(!PG_ARGISNULL(item)))
		cost_read_item(fcinfo, item, event);
	event->at = PG_GETARG_TIMESTAMPTZ(item + 1);
	event->usage = PG_GETARG_USAGE_PP(item + 2);
	if (PG_NARGS() > item + 3)
		cost_read_variant(fcinfo, item + 3, event);
	return true;
}

#endif /* METER_COST_H */
