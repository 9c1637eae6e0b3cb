/*
 * event.c: the rule that an event's usage keeps, so that every event can be rated.
 */
#include "usage.h"

/* The largest quantity of one event: times a price of a million a unit it is in range. */
#define EVENT_QUANTITY_MAX ((Dec) INT64CONST(10000000000) * INT64CONST(10000000000) * DEC_ONE)

/* Says whether no quantity has another sign than the event, or is too large for one event. */
PG_FUNCTION_INFO_V1(meter_is_countable);
Datum
meter_is_countable(PG_FUNCTION_ARGS)
{
	struct varlena *usage = PG_GETARG_USAGE_PP(0);
	bool negative = PG_GETARG_INT16(1) < 0;
	UsageReader reader;
	Bucket bucket;

	usage_open(&reader, usage);
	while (usage_next(&reader, &bucket))
	{
		/* A whole count is below 2^63, which is below the limit. */
		if (bucket.whole ? (negative ? bucket.count > 0 : bucket.count < 0)
						 : (negative ? bucket.quantity > 0 || bucket.quantity < -EVENT_QUANTITY_MAX
									 : bucket.quantity < 0 || bucket.quantity > EVENT_QUANTITY_MAX))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}
