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

/* An event in hand: what is found once for all its buckets. */
typedef struct CostRating
{
	const RateCard *card;
	const CostEvent *event;
	const RateSection *section; /* or NULL */
	const RateCell *cells;		/* of the event's epoch */
	Dec context;				/* or -1: not yet summed up */
} CostRating;

extern CostState cost_event(const RateCard *card, const CostEvent *event, Dec *amount);
extern void cost_begin(CostRating *rating, const RateCard *card, const CostEvent *event);
extern CostState cost_bucket(CostRating *rating, const Bucket *bucket, Dec *amount,
							 const Rate **rate);
extern bool cost_read_event(FunctionCallInfo fcinfo, int item, CostEvent *event);

#endif /* METER_COST_H */
