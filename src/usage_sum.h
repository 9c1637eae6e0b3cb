/*
 * usage_sum.h: the state that adds up usages unit by unit: see usage_sum.c.
 */
#ifndef METER_USAGE_SUM_H
#define METER_USAGE_SUM_H

#include "usage.h"

#define USAGE_STATE_FORMAT 1

/* Twelve bytes before the codes, so that those of up to four units fill the sixteenth. */
typedef struct UsageState
{
	int32 vl_len_;
	uint32 format : 12;
	uint32 units : 10;
	uint32 capacity : 10; /* in units */
	uint16 names_size;	  /* bytes of custom names */
	uint16 names_room;	  /* bytes there is room for */
	uint8 codes[FLEXIBLE_ARRAY_MEMBER];
} UsageState;

StaticAssertDecl(USAGE_MAX_UNITS < 1024, "a number of units has ten bits");
StaticAssertDecl(USAGE_MAX_UNITS *UNIT_NAME_MAX <= PG_UINT16_MAX,
				 "all names have two bytes' worth");

extern UsageState *usage_state_for(const void *usage);
extern UsageState *usage_state_for_units(UsageReader reader);
extern UsageState *usage_state_add(UsageState *state, const void *usage);
extern UsageState *usage_state_add_units(UsageState *state, UsageReader reader);
extern struct varlena *usage_state_sum(const UsageState *state);

#endif /* METER_USAGE_SUM_H */
