/*
 * zone.h: time zones compiled to their transitions, and the civil calendar.
 *
 * Local times are microseconds since 2000-01-01 00:00 of the zone's clock, as a
 * timestamp without time zone is; instants are microseconds since 2000-01-01 00:00
 * UTC, as a timestamptz is.
 */
#ifndef METER_ZONE_H
#define METER_ZONE_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "pgtime.h"

/*
 * The compiled span: 1024 cells of 2^42 microseconds (51 days), from 1970-01-01 on,
 * which ends in 2112. Outside of it the server's zone library is asked.
 */
#define ZONE_SPAN_START (-INT64CONST(946684800) * USECS_PER_SEC)
#define ZONE_CELL_SHIFT 42
#define ZONE_CELLS 1024
#define ZONE_SPAN ((uint64) ZONE_CELLS << ZONE_CELL_SHIFT)

/* No clock is further from UTC than this, so a local time is never further from its instant. */
#define ZONE_MARGIN (2 * USECS_PER_DAY)

/* A stretch of time in which the zone's clock keeps one distance from UTC. */
typedef struct ZoneSegment
{
	TimestampTz start; /* its first instant */
	int64 offset;	   /* local time minus UTC */
	int64 shown;	   /* the latest local time that the clock showed before */
	int64 end;		   /* the local time that the clock did not yet show at its end */
} ZoneSegment;

/*
 * A compiled zone. The segments end with one that starts at the end of time. The
 * index has the segment in which each cell begins, so that a look-up costs a step
 * or two whatever the zone.
 */
typedef struct Zone
{
	uint64 first; /* the name as it was spelled, as zone_words has it */
	uint64 last;
	int name_length;
	char *name;
	pg_tz *tz;
	ZoneSegment *segments;
	/* for period_start, by the day of the month that months begin on: the last one's start */
	TimestampTz months[32];
	uint16 index[ZONE_CELLS];
} Zone;

/* An instant that no timestamp is near to, nor an infinite one. */
#define ZONE_NO_MONTH (PG_INT64_MIN / 2)

/* The zones that a query has met, by name. */
typedef struct ZoneCache
{
	MemoryContext context;
	Zone **slots; /* open addressing, a power of two, at most a quarter of them taken */
	int nslots;
	int nzones;
	int generation; /* counts how often the zones were let go */
} ZoneCache;

/* The first and the last bytes of a name: all of it up to 16 bytes, which most are. */
static inline void
zone_words(const char *name, int length, uint64 *first, uint64 *last)
{
	if (likely(length >= 8))
	{
		memcpy(first, name, 8);
		memcpy(last, name + length - 8, 8);
		return;
	}
	*first = 0;
	for (int i = 0; i < length; i++)
		*first |= (uint64) (unsigned char) name[i] << (8 * i);
	*last = *first;
}

extern ZoneCache *zone_cache_create(MemoryContext parent);
extern Zone *zone_find(ZoneCache *cache, const char *name, int length);
extern int64 zone_offset_slow(const Zone *zone, TimestampTz at);
extern int64 zone_shown_slow(const Zone *zone, TimestampTz at);
extern TimestampTz zone_instant_slow(const Zone *zone, int64 local);

/* Whether a zone has this name. */
static inline bool
zone_named(const Zone *zone, const char *name, int length, uint64 first, uint64 last)
{
	return zone->first == first && zone->last == last && zone->name_length == length &&
		   (length <= 16 || memcmp(zone->name, name, length) == 0);
}

/* The first of a power of two of slots for a name. */
static inline int
zone_slot(uint64 first, uint64 last, int nslots)
{
	return (int) (((first ^ (last << 21 | last >> 43)) * UINT64CONST(0x9E3779B97F4A7C15)) >> 32) &
		   (nslots - 1);
}

/* Returns the zone of a name; refuses a name that is not tzdata's. */
static inline Zone *
zone_get(ZoneCache *cache, const char *name, int length)
{
	uint64 first;
	uint64 last;
	Zone *zone;

	zone_words(name, length, &first, &last);
	zone = cache->slots[zone_slot(first, last, cache->nslots)];
	if (likely(zone != NULL) && likely(zone_named(zone, name, length, first, last)))
		return zone;
	return zone_find(cache, name, length);
}

static inline const ZoneSegment *
zone_segment(const Zone *zone, TimestampTz at)
{
	const ZoneSegment *segment =
		&zone->segments[zone->index[(uint64) (at - ZONE_SPAN_START) >> ZONE_CELL_SHIFT]];

	while (segment[1].start <= at)
		segment++;
	return segment;
}

/* Returns what the zone's clock shows at an instant. */
static inline int64
zone_local(const Zone *zone, TimestampTz at)
{
	if (likely((uint64) (at - ZONE_SPAN_START) < ZONE_SPAN))
		return at + zone_segment(zone, at)->offset;
	return at + zone_offset_slow(zone, at);
}

/*
 * Returns the latest local time that the zone's clock has shown up to an instant:
 * what it shows, unless it has been put back. So a local time has begun by `at`
 * exactly where it is not above zone_shown(at).
 */
static inline int64
zone_shown(const Zone *zone, TimestampTz at)
{
	if (likely((uint64) (at - ZONE_SPAN_START) < ZONE_SPAN))
	{
		const ZoneSegment *segment = zone_segment(zone, at);

		return Max(at + segment->offset, segment->shown);
	}
	return zone_shown_slow(zone, at);
}

/*
 * Returns the first instant at which the zone's clock shows a local time or a later
 * one: the first of two where the clock is put back, the moment of the change where
 * it is put forward.
 */
static inline TimestampTz
zone_instant(const Zone *zone, int64 local)
{
	uint64 cell = (uint64) (local - ZONE_MARGIN - ZONE_SPAN_START);

	if (likely(cell < ZONE_SPAN))
	{
		const ZoneSegment *segment = &zone->segments[zone->index[cell >> ZONE_CELL_SHIFT]];

		while (segment->end <= local)
			segment++;
		return Max(segment->start, local - segment->offset);
	}
	return zone_instant_slow(zone, local);
}

/*
 * The proleptic Gregorian calendar, in the arithmetic of C. Neri and L. Schneider,
 * "Euclidean affine functions and their application to calendar algorithms" (2022):
 * no table and no loop. Days count from 2000-01-01; years are astronomical (year 0
 * is 1 BC). Good for all of timestamp's range and some 28,000 years before it.
 */
#define CIVIL_CYCLES 82
#define CIVIL_DAYS (730425 + 146097 * CIVIL_CYCLES)
#define CIVIL_YEARS (400 * CIVIL_CYCLES)

/*
 * From March 1900 to February 2100 every fourth year is a leap year, so the centuries
 * need no step of their own: the days of the fast calendar, and the first one of
 * their count.
 */
#define CIVIL_FAST_START (-36465) /* 1900-03-01 */
#define CIVIL_FAST_DAYS 73049

typedef struct CivilDate
{
	int month; /* months since January of year 0 */
	int day;   /* 1 to 31 */
} CivilDate;

static inline CivilDate
civil_from_days(int days)
{
	uint32 n = (uint32) (days + CIVIL_DAYS);
	uint32 n1 = 4 * n + 3;
	uint32 century = n1 / 146097;
	uint32 n2 = 4 * (n1 % 146097 / 4) + 3;
	uint64 p2 = UINT64CONST(2939745) * n2;
	uint32 year = 100 * century + (uint32) (p2 >> 32);
	uint32 day_of_year = (uint32) p2 / 2939745 / 4;
	uint32 n3 = 2141 * day_of_year + 197913;
	CivilDate date;

	/* the computational year begins in March, its months are 3 to 14 */
	date.month = ((int) year - CIVIL_YEARS) * 12 + (int) (n3 >> 16) - 1;
	date.day = (int) ((n3 & 0xFFFF) / 2141) + 1;
	return date;
}

static inline int
days_from_civil(int month, int day)
{
	uint32 months = (uint32) (month + CIVIL_YEARS * 12 - 2);
	uint32 year = months / 12;
	uint32 march = months % 12 + 3;
	uint32 century = year / 100;

	return (int) (1461 * year / 4 - century + century / 4 + (979 * march - 2919) / 32 +
				  (uint32) day - 1) -
		   CIVIL_DAYS;
}

/* Returns how many days a month has. */
static inline int
civil_month_days(int month)
{
	uint32 months = (uint32) (month + CIVIL_YEARS * 12);
	uint32 number = months % 12;
	uint32 year = months / 12;

	if (number == 1)
		return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
	return 30 + ((0xAD5 >> number) & 1);
}

#endif /* METER_ZONE_H */
