/*
 * usage_sum.h: the state that adds up usages unit by unit: see usage_sum.c.
 */
#ifndef METER_USAGE_SUM_H
#define METER_USAGE_SUM_H

#include "usage.h"

#define USAGE_STATE_FORMAT 1

typedef struct UsageState
{
	int32 vl_len_;
	uint16 format;
	uint16 units;
	uint16 capacity;   /* in units */
	uint16 names_size; /* bytes of custom names */
	uint32 names_room; /* bytes there is room for */
	uint8 codes[FLEXIBLE_ARRAY_MEMBER];
} UsageState;

extern UsageState *usage_state_for(const void *usage);
extern UsageState *usage_state_add(UsageState *state, const void *usage);
extern struct varlena *usage_state_sum(const UsageState *state);

#endif /* METER_USAGE_SUM_H */
