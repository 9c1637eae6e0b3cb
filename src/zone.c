/*
 * zone.c: time zones compiled to their transitions.
 *
 * The server's zone library keeps its tables to itself and answers one question at
 * a time, through a broken-down time, in 100 ns and more. A compiled zone answers
 * from two cache lines: a list of the stretches in which the clock keeps its
 * distance from UTC, with an index over time. It is built by asking the library for
 * one change after the other, takes about 10 kB and 30 microseconds, and covers
 * 1970 to 2112; outside of that every question goes to the library.
 *
 * The server's own rule for a local time that does not exist or exists twice takes
 * the offset of standard time, which puts the start of a day an hour after its first
 * instant where the clock repeats midnight. Here a local time begins at the first
 * instant at which the clock shows it or a later one, so the starts of periods are
 * in the order of their local times, whatever the zone does.
 */
#include "zone.h"

#include "utils/memutils.h"

#define UNIX_EPOCH_SECONDS INT64CONST(946684800)

/* Zones that a query may have at hand: all of tzdata's are about 600. */
#define ZONE_CACHE_LIMIT 512

static Zone *zone_compile(MemoryContext context, const char *name, int length);
static void zone_free(Zone *zone);
static pg_tz *zone_load(const char *name, int length);
static void zone_remember(ZoneCache *cache, Zone *zone);

/* The instant's second as the zone library counts it. */
static inline pg_time_t
library_time(TimestampTz at)
{
	int64 seconds = at / USECS_PER_SEC;

	if (at % USECS_PER_SEC < 0)
		seconds--;
	return seconds + UNIX_EPOCH_SECONDS;
}

/*
 * Sets the offset in force at an instant and the next change after it, DT_NOEND
 * where there is none that a timestamp can have.
 */
static void
library_ask(pg_tz *tz, TimestampTz at, int64 *offset, TimestampTz *change)
{
	pg_time_t time = library_time(at);
	pg_time_t boundary;
	long int before;
	long int after;
	int before_isdst;
	int after_isdst;
	int found;

	found =
		pg_next_dst_boundary(&time, &before, &before_isdst, &boundary, &after, &after_isdst, tz);
	if (found < 0)
		elog(ERROR, "time zone \"%s\" has no offset", pg_get_timezone_name(tz));
	*offset = (int64) before * USECS_PER_SEC;
	boundary -= UNIX_EPOCH_SECONDS;
	if (found == 0 || boundary >= END_TIMESTAMP / USECS_PER_SEC)
		*change = DT_NOEND;
	else
		*change = boundary * USECS_PER_SEC;
}

/* Returns local time minus UTC at any instant. */
int64
zone_offset_slow(const Zone *zone, TimestampTz at)
{
	int64 offset;
	TimestampTz change;

	library_ask(zone->tz, at, &offset, &change);
	return offset;
}

/* Returns the latest local time that the clock has shown up to any instant. */
int64
zone_shown_slow(const Zone *zone, TimestampTz at)
{
	TimestampTz start = at - ZONE_MARGIN;
	int64 shown = PG_INT64_MIN;

	for (;;)
	{
		int64 offset;
		TimestampTz change;

		library_ask(zone->tz, start, &offset, &change);
		if (change > at)
			return Max(shown, at + offset);
		shown = Max(shown, change + offset - 1);
		start = change;
	}
}

/* Returns the first instant at which the clock shows any local time or a later one. */
TimestampTz
zone_instant_slow(const Zone *zone, int64 local)
{
	TimestampTz start = local - ZONE_MARGIN;

	for (;;)
	{
		int64 offset;
		TimestampTz change;

		library_ask(zone->tz, start, &offset, &change);
		if (change == DT_NOEND || change + offset > local)
			return Max(start, local - offset);
		start = change;
	}
}

/* Returns an empty cache of zones in a context of its own. */
ZoneCache *
zone_cache_create(MemoryContext parent)
{
	ZoneCache *cache = MemoryContextAllocZero(parent, sizeof(ZoneCache));

	cache->context = AllocSetContextCreate(parent, "meter time zones", ALLOCSET_DEFAULT_SIZES);
	cache->nslots = 64;
	cache->slots = MemoryContextAllocZero(cache->context, cache->nslots * sizeof(Zone *));
	return cache;
}

/* Returns the zone of a name from the cache, or compiles it. */
Zone *
zone_find(ZoneCache *cache, const char *name, int length)
{
	uint64 first;
	uint64 last;
	Zone *zone;

	zone_words(name, length, &first, &last);
	for (int i = zone_slot(first, last, cache->nslots); cache->slots[i] != NULL;
		 i = (i + 1) & (cache->nslots - 1))
	{
		if (zone_named(cache->slots[i], name, length, first, last))
			return cache->slots[i];
	}

	zone = zone_compile(cache->context, name, length);
	if (cache->nzones >= ZONE_CACHE_LIMIT)
	{
		/* only spellings that differ in case come to more than tzdata has */
		for (int i = 0; i < cache->nslots; i++)
			zone_free(cache->slots[i]);
		memset(cache->slots, 0, cache->nslots * sizeof(Zone *));
		cache->nzones = 0;
		cache->generation++;
	}
	zone_remember(cache, zone);
	return zone;
}

static void
zone_free(Zone *zone)
{
	if (zone == NULL)
		return;
	pfree(zone->segments);
	pfree(zone->name);
	pfree(zone);
}

static void
zone_remember(ZoneCache *cache, Zone *zone)
{
	int i;

	if (4 * (cache->nzones + 1) > cache->nslots)
	{
		Zone **old = cache->slots;
		int nold = cache->nslots;

		cache->slots = MemoryContextAllocZero(cache->context, 2 * nold * sizeof(Zone *));
		cache->nslots = 2 * nold;
		cache->nzones = 0;
		for (i = 0; i < nold; i++)
			if (old[i] != NULL)
				zone_remember(cache, old[i]);
		pfree(old);
	}
	i = zone_slot(zone->first, zone->last, cache->nslots);
	while (cache->slots[i] != NULL)
		i = (i + 1) & (cache->nslots - 1);
	cache->slots[i] = zone;
	cache->nzones++;
}

static Zone *
zone_compile(MemoryContext context, const char *name, int length)
{
	pg_tz *tz = zone_load(name, length);
	TimestampTz until = ZONE_SPAN_START + (int64) ZONE_SPAN + 2 * ZONE_MARGIN;
	TimestampTz start = ZONE_SPAN_START - 2 * ZONE_MARGIN;
	ZoneSegment *segments;
	int limit = 64;
	int n = 0;
	int64 shown = PG_INT64_MIN;
	Zone *zone;

	segments = MemoryContextAlloc(context, limit * sizeof(ZoneSegment));
	for (;;)
	{
		ZoneSegment *segment;
		TimestampTz change;
		int64 offset;

		library_ask(tz, start, &offset, &change);
		if (n + 1 >= limit)
		{
			limit *= 2;
			segments = repalloc(segments, limit * sizeof(ZoneSegment));
		}
		/* a change of the name alone is none of the clock */
		if (n > 0 && segments[n - 1].offset == offset)
			segment = &segments[n - 1];
		else
		{
			segment = &segments[n++];
			segment->start = start;
			segment->offset = offset;
			segment->shown = shown;
		}
		if (change >= until)
		{
			segment->end = PG_INT64_MAX;
			break;
		}
		segment->end = Max(change + offset, shown + 1);
		shown = segment->end - 1;
		start = change;
	}
	memset(&segments[n], 0, sizeof(ZoneSegment));
	segments[n].start = PG_INT64_MAX;

	zone = MemoryContextAlloc(context, sizeof(Zone));
	zone_words(name, length, &zone->first, &zone->last);
	zone->name_length = length;
	zone->name = MemoryContextAlloc(context, length + 1);
	memcpy(zone->name, name, length);
	zone->name[length] = '\0';
	zone->tz = tz;
	zone->segments = segments;
	for (int day = 0; day < (int) lengthof(zone->months); day++)
		zone->months[day] = ZONE_NO_MONTH;
	for (int cell = 0, s = 0; cell < ZONE_CELLS; cell++)
	{
		TimestampTz begin = ZONE_SPAN_START + ((int64) cell << ZONE_CELL_SHIFT);

		while (segments[s + 1].start <= begin)
			s++;
		zone->index[cell] = (uint16) s;
	}
	return zone;
}

static void
refuse_zone(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("time zone \"%s\" is not a name of the tz database", name),
			 errdetail("Abbreviations and offsets are not names, and \"localtime\" is whatever a "
					   "machine is set to."),
			 errhint("SELECT name FROM pg_timezone_names lists the names.")));
}

/*
 * Returns the server's zone of a name. The server takes POSIX rules too, such as
 * FOO+3, which read as their opposite; those are refused. It spells a rule in upper
 * case, and a name as its file is spelled, so the two differ but for a few names,
 * which mean as rules what they mean as names.
 */
static pg_tz *
zone_load(const char *name, int length)
{
	static const char *const rulelike[] = {"EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT",
										   "GMT+0",	  "GMT-0",	 "GMT0"};
	char *copy = pnstrdup(name, length);
	pg_tz *tz = NULL;
	const char *spelled;
	bool digit = false;
	bool lower = false;

	if (length <= TZ_STRLEN_MAX && (int) strlen(copy) == length)
		tz = pg_tzset(copy);
	if (tz == NULL || !pg_tz_acceptable(tz))
		refuse_zone(copy);

	spelled = pg_get_timezone_name(tz);
	if (strcmp(spelled, "localtime") == 0)
		refuse_zone(copy);
	for (const char *p = spelled; *p != '\0'; p++)
	{
		digit = digit || (*p >= '0' && *p <= '9');
		lower = lower || (*p >= 'a' && *p <= 'z');
	}
	if (digit && !lower)
	{
		bool known = false;

		for (int i = 0; i < (int) lengthof(rulelike); i++)
			known = known || strcmp(spelled, rulelike[i]) == 0;
		if (!known)
			refuse_zone(copy);
	}
	pfree(copy);
	return tz;
}
