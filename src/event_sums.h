/*
 * event_sums.h: what a group of events adds up to: see event_sums.c.
 */
#ifndef METER_EVENT_SUMS_H
#define METER_EVENT_SUMS_H

#include "cost.h"
#include "usage_sum.h"

#include "access/tupdesc.h"
#include "common/int.h"

#define EVENT_SUMS_FORMAT 1

typedef struct EventSums
{
	int32 vl_len_;
	uint16 format;
	uint16 reserved;
	int64 events;			/* the sum of signs; so are the two below */
	int64 unpriced_cost;	/* of those that the first card cannot rate */
	int64 unpriced_credits; /* of those that the second card cannot rate */
	DecHalves cost;
	DecHalves credits;
	UsageState usage; /* with its units behind it */
} EventSums;

StaticAssertDecl(offsetof(EventSums, usage) % 8 == 0, "the sums of units are aligned");

/* What rating with either card keeps from row to row, in fn_extra. */
typedef struct EventCards
{
	RatingCache cost;
	RatingCache credit;
} EventCards;

extern EventSums *event_sums_for_units(UsageReader usage);
extern EventSums *event_sums_count(FunctionCallInfo fcinfo, EventCards *cards, EventSums *state);
extern EventSums *event_sums_add_units(EventSums *state, UsageReader usage);
extern TupleDesc event_sums_columns(FunctionCallInfo fcinfo);

/* Adds to a number of events; refuses a sum that does not fit. */
static inline void
event_sums_add_number(int64 *sum, int64 number)
{
	if (unlikely(pg_add_s64_overflow(*sum, number, sum)))
		dec_overflow();
}

/* Adds to an amount; refuses a sum that does not fit. */
static inline void
event_sums_add_amount(DecHalves *sum, Dec amount)
{
	dec_store(sum, dec_add(dec_load(sum), amount));
}

#endif /* METER_EVENT_SUMS_H */
