/*
 * period.h: billing periods, counted from an anchor.
 *
 * The n-th boundary is the anchor's local date and time plus n times the length,
 * kept within its month; period n lies between boundaries n and n + 1, half open.
 * Nothing is ever counted from the period before, so 31 January is followed by 28
 * February and 31 March.
 */
#ifndef METER_PERIOD_H
#define METER_PERIOD_H

#include "compat.h"

#include "fmgr.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "zone.h"

typedef enum PeriodKind
{
	PERIOD_MONTHS,
	PERIOD_DAYS,
	PERIOD_TIME
} PeriodKind;

/* What periods are counted from and how long they are, taken apart. */
typedef struct PeriodRule
{
	const Zone *zone; /* NULL where periods are of dates */
	PeriodKind kind;
	int64 count; /* months, days or microseconds */
	int64 time;	 /* the anchor's local time of day */
	int day;	 /* the anchor's local date, in days since 2000-01-01 */
	CivilDate civil;
	TimestampTz origin; /* the anchor's instant; set for PERIOD_TIME only */
} PeriodRule;

/* An anchor as it came: a timestamptz, or a date where is_date. */
typedef struct PeriodAnchor
{
	int64 value;
	bool is_date;
} PeriodAnchor;

/* What a function keeps from row to row in fn_extra. */
typedef struct PeriodCache
{
	ZoneCache *zones;
	bool have_rule;
	PeriodAnchor anchor; /* what the rule was made of */
	Interval every;
	int generation; /* of its zone */
	PeriodRule rule;
	TimestampTz lower; /* the last period that was asked for whole */
	TimestampTz upper;
	struct TypeCacheEntry *range;
} PeriodCache;

extern PeriodCache *period_cache_create(MemoryContext parent);
extern void period_rule_length(PeriodRule *rule, const Interval *every, bool of_dates);
extern void period_rule_anchor(PeriodRule *rule, PeriodAnchor anchor, const Zone *zone);
extern int64 period_number(const PeriodRule *rule, TimestampTz at);
extern TimestampTz period_boundary(const PeriodRule *rule, int64 number);
extern void period_bounds(const PeriodRule *rule, TimestampTz at, TimestampTz *lower,
						  TimestampTz *upper);

/* Returns the function's cache, made at its first call. */
static inline PeriodCache *
period_cache(FunctionCallInfo fcinfo)
{
	PeriodCache *cache = fcinfo->flinfo->fn_extra;

	if (unlikely(cache == NULL))
	{
		cache = period_cache_create(fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = cache;
	}
	return cache;
}

static inline bool
interval_same(const Interval *a, const Interval *b)
{
	return a->time == b->time && a->day == b->day && a->month == b->month;
}

/*
 * Returns the rule of an anchor, a length and a zone's name, the last one where they
 * are the same. It stays valid until the next call.
 */
static inline const PeriodRule *
period_rule_get(PeriodCache *cache, PeriodAnchor anchor, const Interval *every, const char *name,
				int name_length)
{
	const Zone *zone = zone_get(cache->zones, name, name_length);

	if (unlikely(!cache->have_rule || !interval_same(every, &cache->every)))
	{
		cache->have_rule = false;
		period_rule_length(&cache->rule, every, false);
		cache->every = *every;
	}
	else if (anchor.value == cache->anchor.value && zone == cache->rule.zone &&
			 cache->zones->generation == cache->generation &&
			 anchor.is_date == cache->anchor.is_date)
		return &cache->rule;
	cache->have_rule = false;
	period_rule_anchor(&cache->rule, anchor, zone);
	cache->anchor = anchor;
	cache->generation = cache->zones->generation;
	cache->lower = cache->upper = 0;
	cache->have_rule = true;
	return &cache->rule;
}

#endif /* METER_PERIOD_H */
