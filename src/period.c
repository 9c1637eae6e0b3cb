/*
 * period.c: the periods of an anchor, and the parts of an amount.
 *
 * To find the period of an instant, the latest local time that the zone's clock has
 * shown by then is counted in the calendar; a boundary has passed exactly where it is
 * not above that. So the answer takes one look at the zone and some integer
 * arithmetic, and no search. Days of 23 and 25 hours, clocks that are put back across
 * a boundary and days that a zone skipped (which have no instant and belong to no
 * period) come out of the same rule.
 *
 * Between rows, fn_extra keeps the compiled zones and the rule of the last row; the
 * period of the last row is kept where rules repeat. A call allocates nothing but a
 * range that it returns.
 */
#include "period.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#include "decimal.h"

pg_noreturn static void refuse_every(const Interval *every);
pg_noreturn static void refuse_infinite(const char *what);
pg_noreturn static void period_overflow(void);

static inline int64
floor_divide(int64 a, int64 b)
{
	int64 quotient = a / b;

	return quotient - (a % b < 0 ? 1 : 0);
}

/* Returns an empty cache. */
PeriodCache *
period_cache_create(MemoryContext parent)
{
	PeriodCache *cache = MemoryContextAllocZero(parent, sizeof(PeriodCache));

	cache->zones = zone_cache_create(parent);
	return cache;
}

static void
refuse_every(const Interval *every)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a period cannot be every \"%s\"",
					DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(every)))),
			 errdetail("A period is a number of months or years, of days or weeks, or of hours, "
					   "minutes and seconds: more than zero, and not a mixture.")));
}

static void
refuse_infinite(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("%s is infinite", what),
					errdetail("Periods are counted from a moment to a moment.")));
}

static void
period_overflow(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATETIME_FIELD_OVERFLOW), errmsg("period out of range"),
					errdetail("A period's boundaries lie between 4714-11-24 BC and 294276 AD.")));
}

/* Takes a length apart; refuses one that is no length of a period. */
void
period_rule_length(PeriodRule *rule, const Interval *every, bool of_dates)
{
	if (every->month > 0 && every->day == 0 && every->time == 0)
	{
		rule->kind = PERIOD_MONTHS;
		rule->count = every->month;
	}
	else if (every->month == 0 && every->day > 0 && every->time == 0)
	{
		rule->kind = PERIOD_DAYS;
		rule->count = every->day;
	}
	else if (every->month == 0 && every->day == 0 && every->time > 0 && !of_dates)
	{
		rule->kind = PERIOD_TIME;
		rule->count = every->time;
	}
	else if (every->month == 0 && every->day == 0 && every->time > 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a period of dates cannot be every \"%s\"",
					DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(every)))),
			 errdetail("A period of dates is a number of months or years, or of days or "
					   "weeks.")));
	else
		refuse_every(every);
}

/* Takes an anchor apart; zone is NULL for periods of dates. */
void
period_rule_anchor(PeriodRule *rule, PeriodAnchor anchor, const Zone *zone)
{
	int64 local;

	rule->zone = zone;
	if (anchor.is_date)
	{
		if (DATE_NOT_FINITE((DateADT) anchor.value))
			refuse_infinite("anchor");
		if (anchor.value >= END_TIMESTAMP / USECS_PER_DAY)
			period_overflow();
		rule->day = (int) anchor.value;
		rule->time = 0;
		if (rule->kind == PERIOD_TIME)
			rule->origin = zone_instant(zone, anchor.value * USECS_PER_DAY);
	}
	else
	{
		if (unlikely(TIMESTAMP_NOT_FINITE(anchor.value)))
			refuse_infinite("anchor");
		local = zone_local(zone, anchor.value);
		rule->day = (int) floor_divide(local, USECS_PER_DAY);
		rule->time = local - (int64) rule->day * USECS_PER_DAY;
		rule->origin = anchor.value;
	}
	rule->civil = civil_from_days(rule->day);
}

/* The number of the period of a day: one of the calendar, or shifted by the anchor's time. */
static inline int64
day_period(const PeriodRule *rule, int day)
{
	CivilDate date;
	int64 months;
	int64 number;

	if (rule->kind == PERIOD_DAYS)
	{
		if (rule->count == 1)
			return (int64) day - rule->day;
		return floor_divide((int64) day - rule->day, rule->count);
	}
	date = civil_from_days(day);
	months = (int64) date.month - rule->civil.month;
	number = rule->count == 1 ? months : floor_divide(months, rule->count);
	if (date.day < rule->civil.day && number * rule->count == months &&
		date.day < civil_month_days(date.month))
		number--;
	return number;
}

/* The day on which a period begins. */
static inline int
period_day(const PeriodRule *rule, int64 number)
{
	int64 step;

	if (unlikely(__builtin_mul_overflow(number, rule->count, &step) || step > PG_INT32_MAX ||
				 step < PG_INT32_MIN))
		period_overflow();
	if (rule->kind == PERIOD_DAYS)
	{
		step += rule->day;
		if (unlikely(step < MIN_TIMESTAMP / USECS_PER_DAY - 1 ||
					 step > END_TIMESTAMP / USECS_PER_DAY))
			period_overflow();
		return (int) step;
	}
	step += rule->civil.month;
	if (unlikely(step < -4714 * 12 || step > 294277 * 12))
		period_overflow();
	if (rule->civil.day <= 28)
		return days_from_civil((int) step, rule->civil.day);
	return days_from_civil((int) step, Min(rule->civil.day, civil_month_days((int) step)));
}

/* The number of the period of an instant of exact lengths of time. */
static int64
time_period(const PeriodRule *rule, TimestampTz at)
{
	int64 elapsed;

	/* only instants some 290,000 years apart differ by more */
	if (unlikely(__builtin_sub_overflow(at, rule->origin, &elapsed)))
	{
		int128 wide = (int128) at - rule->origin;
		int128 number = wide / rule->count - (wide % rule->count < 0 ? 1 : 0);

		if (number > PG_INT64_MAX || number < PG_INT64_MIN)
			period_overflow();
		return (int64) number;
	}
	return floor_divide(elapsed, rule->count);
}

/* Returns the number of the period of an instant: 0 begins at the anchor. */
int64
period_number(const PeriodRule *rule, TimestampTz at)
{
	if (unlikely(TIMESTAMP_NOT_FINITE(at)))
		refuse_infinite("time");
	if (rule->kind == PERIOD_TIME)
		return time_period(rule, at);
	return day_period(rule,
					  (int) floor_divide(zone_shown(rule->zone, at) - rule->time, USECS_PER_DAY));
}

/* Returns the instant at which a period begins; refuses one out of a timestamp's range. */
TimestampTz
period_boundary(const PeriodRule *rule, int64 number)
{
	TimestampTz boundary;

	if (rule->kind == PERIOD_TIME)
	{
		if (__builtin_mul_overflow(number, rule->count, &boundary) ||
			__builtin_add_overflow(boundary, rule->origin, &boundary))
		{
			int128 wide = (int128) number * rule->count + rule->origin;

			if (wide < MIN_TIMESTAMP || wide >= END_TIMESTAMP)
				period_overflow();
			boundary = (TimestampTz) wide;
		}
	}
	else
		boundary =
			zone_instant(rule->zone, (int64) period_day(rule, number) * USECS_PER_DAY + rule->time);
	if (unlikely(!IS_VALID_TIMESTAMP(boundary)))
		period_overflow();
	return boundary;
}

/* Sets the bounds of the period of an instant, lower <= at < upper. */
void
period_bounds(const PeriodRule *rule, TimestampTz at, TimestampTz *lower, TimestampTz *upper)
{
	int64 number = period_number(rule, at);

	*lower = period_boundary(rule, number);
	*upper = period_boundary(rule, number + 1);
	Assert(*lower <= at && at < *upper);
}

/* Whether a day is in the fast calendar, a month from either end. */
static inline bool
day_is_fast(int64 day)
{
	return (uint64) (day - CIVIL_FAST_START - 31) < CIVIL_FAST_DAYS - 62;
}

/* A fast day's place in its calendar: years begin in March, and their months are 3 to 14. */
typedef struct FastDate
{
	uint32 year;
	uint32 month;
	int day; /* 1 to 31 */
} FastDate;

static inline FastDate
fast_date(int day)
{
	uint32 n = 4 * (uint32) (day - CIVIL_FAST_START) + 3;
	uint32 n3 = 2141 * (n % 1461 / 4) + 197913;
	FastDate date;

	date.year = n / 1461;
	date.month = n3 >> 16;
	date.day = (int) ((n3 & 0xFFFF) / 2141) + 1;
	return date;
}

/*
 * Returns the day on which a period of one month begins, of a fast day: the
 * anchor's day of this month, or of the last one, as far as they have it.
 */
static inline int
month_start_fast(int day, int anchor_day)
{
	static const uint8 lengths[16] = {0, 0, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28, 0};
	FastDate date = fast_date(day);
	int length = lengths[date.month] + ((date.month == 14) & (date.year % 4 == 3));
	int length_before = lengths[date.month - 1] + ((date.month == 3) & (date.year % 4 == 0));
	int begin = Min(anchor_day, length);
	int begin_before = Min(anchor_day - length_before, 0);

	return day - date.day + (date.day >= begin ? begin : begin_before);
}

/*
 * Sets the first instant of the period of one month of an instant, by the day and the
 * time of the day in its month that periods begin with; false where it takes a longer
 * look.
 */
static pg_attribute_always_inline bool
month_start_quickly(const Zone *zone, TimestampTz at, int anchor_day, int64 anchor_time,
					TimestampTz *start)
{
	const ZoneSegment *segment;
	int64 shown;
	int64 day;
	int64 local;

	if (unlikely((uint64) (at - ZONE_SPAN_START) >= ZONE_SPAN))
		return false;
	segment = zone_segment(zone, at);
	shown = Max(at + segment->offset, segment->shown);
	/* shifted so that it is not negative and divides without a sign */
	day = (int64) ((uint64) (shown - anchor_time - ZONE_SPAN_START + ZONE_MARGIN) / USECS_PER_DAY) +
		  (ZONE_SPAN_START - ZONE_MARGIN) / USECS_PER_DAY;
	if (unlikely(!day_is_fast(day)))
		return false;
	local = (int64) month_start_fast((int) day, anchor_day) * USECS_PER_DAY + anchor_time;
	*start = local - segment->offset;
	/* most begin in the same stretch, and not in what was shown before it */
	if (unlikely(*start < segment->start || local <= segment->shown))
		*start = zone_instant(zone, local);
	return true;
}

/* Returns the first instant of the period of an instant. */
static TimestampTz
start_of_period(const PeriodRule *rule, TimestampTz at)
{
	TimestampTz start;

	if (likely(rule->kind == PERIOD_MONTHS && rule->count == 1) &&
		likely(month_start_quickly(rule->zone, at, rule->civil.day, rule->time, &start)))
		return start;
	return period_boundary(rule, period_number(rule, at));
}

/* Returns the anchor in argument n, a date where is_date. */
static inline PeriodAnchor
anchor_argument(FunctionCallInfo fcinfo, int n, bool is_date)
{
	PeriodAnchor anchor;

	anchor.is_date = is_date;
	anchor.value = is_date ? (int64) PG_GETARG_DATEADT(n) : PG_GETARG_TIMESTAMPTZ(n);
	return anchor;
}

/* Returns the rule of the arguments from n on: anchor, every, timezone. */
static inline const PeriodRule *
rule_arguments(FunctionCallInfo fcinfo, PeriodCache *cache, int n, bool is_date)
{
	text *name = detoast_packed(PG_GETARG_DATUM(n + 2));
	const PeriodRule *rule;

	rule = period_rule_get(cache, anchor_argument(fcinfo, n, is_date), PG_GETARG_INTERVAL_P(n + 1),
						   VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	if (unlikely((Pointer) name != PG_GETARG_POINTER(n + 2)))
		pfree(name);
	return rule;
}

/* Returns the rule of the arguments from n on, for dates: anchor, every. */
static const PeriodRule *
date_rule_arguments(FunctionCallInfo fcinfo, PeriodCache *cache, int n)
{
	PeriodAnchor anchor = anchor_argument(fcinfo, n, true);
	const Interval *every = PG_GETARG_INTERVAL_P(n + 1);

	if (cache->have_rule && anchor.value == cache->anchor.value &&
		interval_same(every, &cache->every))
		return &cache->rule;
	cache->have_rule = false;
	period_rule_length(&cache->rule, every, true);
	period_rule_anchor(&cache->rule, anchor, NULL);
	cache->anchor = anchor;
	cache->every = *every;
	cache->have_rule = true;
	return &cache->rule;
}

static pg_noinline Datum
period_start(FunctionCallInfo fcinfo, bool is_date)
{
	const PeriodRule *rule = rule_arguments(fcinfo, period_cache(fcinfo), 1, is_date);

	PG_RETURN_TIMESTAMPTZ(start_of_period(rule, PG_GETARG_TIMESTAMPTZ(0)));
}

/* period_start(timestamptz, timestamptz, interval, text) */
PG_FUNCTION_INFO_V1(meter_period_start);
Datum
meter_period_start(PG_FUNCTION_ARGS)
{
	return period_start(fcinfo, false);
}

/* For so long behind a month's start it surely has not ended: no clock is put on further. */
#define MONTH_SURE (28 * USECS_PER_DAY - ZONE_MARGIN)

/*
 * period_start(timestamptz, date, interval, text): where customers with anchors of their
 * own come one behind the other no rule is ever the last one's, so months make none, and
 * look first at the last month that began on such a day.
 */
PG_FUNCTION_INFO_V1(meter_period_start_from_date);
Datum
meter_period_start_from_date(PG_FUNCTION_ARGS)
{
	const PeriodCache *cache = fcinfo->flinfo->fn_extra;
	const Interval *every = PG_GETARG_INTERVAL_P(2);
	struct varlena *name = (struct varlena *) PG_GETARG_POINTER(3);

	if (likely(cache != NULL) && every->month == 1 && every->day == 0 && every->time == 0 &&
		likely(!VARATT_IS_COMPRESSED(name) && !VARATT_IS_EXTERNAL(name)) &&
		likely(day_is_fast(PG_GETARG_DATEADT(1))))
	{
		Zone *zone = zone_get(cache->zones, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
		TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);
		int day = fast_date(PG_GETARG_DATEADT(1)).day;
		TimestampTz start = zone->months[day];

		if (likely((uint64) at - (uint64) start < MONTH_SURE))
			PG_RETURN_TIMESTAMPTZ(start);
		if (likely(month_start_quickly(zone, at, day, 0, &start)))
		{
			zone->months[day] = start;
			PG_RETURN_TIMESTAMPTZ(start);
		}
	}
	return period_start(fcinfo, true);
}

static int64
date_number(const PeriodRule *rule, DateADT at)
{
	if (DATE_NOT_FINITE(at))
		refuse_infinite("date");
	if (at >= END_TIMESTAMP / USECS_PER_DAY)
		period_overflow();
	return day_period(rule, at);
}

static DateADT
date_boundary(const PeriodRule *rule, int64 number)
{
	int day = period_day(rule, number);

	if (day < MIN_TIMESTAMP / USECS_PER_DAY || day >= END_TIMESTAMP / USECS_PER_DAY)
		period_overflow();
	return day;
}

/* period_start(date, date, interval) */
PG_FUNCTION_INFO_V1(meter_period_start_date);
Datum
meter_period_start_date(PG_FUNCTION_ARGS)
{
	const PeriodRule *rule = date_rule_arguments(fcinfo, period_cache(fcinfo), 1);

	PG_RETURN_DATEADT(date_boundary(rule, date_number(rule, PG_GETARG_DATEADT(0))));
}

/* Returns the half-open range of two bounds, empty where they are equal. */
static Datum
make_period(PeriodCache *cache, Oid type, Datum lower, Datum upper)
{
	RangeBound from = {.val = lower, .inclusive = true, .lower = true};
	RangeBound to = {.val = upper, .inclusive = false, .lower = false};

	if (cache->range == NULL)
		cache->range = lookup_type_cache(type, TYPECACHE_RANGE_INFO);
	return RangeTypePGetDatum(meter_make_range(cache->range, &from, &to, false));
}

static inline Datum
period(FunctionCallInfo fcinfo, bool is_date)
{
	PeriodCache *cache = period_cache(fcinfo);
	const PeriodRule *rule = rule_arguments(fcinfo, cache, 1, is_date);
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);

	if (at < cache->lower || at >= cache->upper)
	{
		cache->lower = cache->upper = 0;
		period_bounds(rule, at, &cache->lower, &cache->upper);
	}
	return make_period(cache, TSTZRANGEOID, TimestampTzGetDatum(cache->lower),
					   TimestampTzGetDatum(cache->upper));
}

/* period(timestamptz, timestamptz, interval, text) */
PG_FUNCTION_INFO_V1(meter_period);
Datum
meter_period(PG_FUNCTION_ARGS)
{
	return period(fcinfo, false);
}

/* period(timestamptz, date, interval, text) */
PG_FUNCTION_INFO_V1(meter_period_from_date);
Datum
meter_period_from_date(PG_FUNCTION_ARGS)
{
	return period(fcinfo, true);
}

/* period(date, date, interval) */
PG_FUNCTION_INFO_V1(meter_period_date);
Datum
meter_period_date(PG_FUNCTION_ARGS)
{
	PeriodCache *cache = period_cache(fcinfo);
	const PeriodRule *rule = date_rule_arguments(fcinfo, cache, 1);
	int64 number = date_number(rule, PG_GETARG_DATEADT(0));

	return make_period(cache, DATERANGEOID, DateADTGetDatum(date_boundary(rule, number)),
					   DateADTGetDatum(date_boundary(rule, number + 1)));
}

/* period_number(timestamptz, timestamptz, interval, text) */
PG_FUNCTION_INFO_V1(meter_period_number);
Datum
meter_period_number(PG_FUNCTION_ARGS)
{
	const PeriodRule *rule = rule_arguments(fcinfo, period_cache(fcinfo), 1, false);

	PG_RETURN_INT64(period_number(rule, PG_GETARG_TIMESTAMPTZ(0)));
}

/* period_number(timestamptz, date, interval, text) */
PG_FUNCTION_INFO_V1(meter_period_number_from_date);
Datum
meter_period_number_from_date(PG_FUNCTION_ARGS)
{
	const PeriodRule *rule = rule_arguments(fcinfo, period_cache(fcinfo), 1, true);

	PG_RETURN_INT64(period_number(rule, PG_GETARG_TIMESTAMPTZ(0)));
}

/* period_number(date, date, interval) */
PG_FUNCTION_INFO_V1(meter_period_number_date);
Datum
meter_period_number_date(PG_FUNCTION_ARGS)
{
	const PeriodRule *rule = date_rule_arguments(fcinfo, period_cache(fcinfo), 1);

	PG_RETURN_INT64(date_number(rule, PG_GETARG_DATEADT(0)));
}

/* usage_date(timestamptz, text): the latest local date that has begun, so that dates never run back. */
PG_FUNCTION_INFO_V1(meter_usage_date);
Datum
meter_usage_date(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);
	text *name = detoast_packed(PG_GETARG_DATUM(1));
	const Zone *zone =
		zone_get(period_cache(fcinfo)->zones, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));

	if (unlikely(TIMESTAMP_NOT_FINITE(at)))
		refuse_infinite("time");
	PG_RETURN_DATEADT((DateADT) floor_divide(zone_shown(zone, at), USECS_PER_DAY));
}

/* period_boundary(bigint, timestamptz, interval, text) */
PG_FUNCTION_INFO_V1(meter_period_boundary);
Datum
meter_period_boundary(PG_FUNCTION_ARGS)
{
	const PeriodRule *rule = rule_arguments(fcinfo, period_cache(fcinfo), 1, false);

	PG_RETURN_TIMESTAMPTZ(period_boundary(rule, PG_GETARG_INT64(0)));
}

/* period_boundary(bigint, date, interval, text) */
PG_FUNCTION_INFO_V1(meter_period_boundary_from_date);
Datum
meter_period_boundary_from_date(PG_FUNCTION_ARGS)
{
	const PeriodRule *rule = rule_arguments(fcinfo, period_cache(fcinfo), 1, true);

	PG_RETURN_TIMESTAMPTZ(period_boundary(rule, PG_GETARG_INT64(0)));
}

/* period_boundary(bigint, date, interval) */
PG_FUNCTION_INFO_V1(meter_period_boundary_date);
Datum
meter_period_boundary_date(PG_FUNCTION_ARGS)
{
	const PeriodRule *rule = date_rule_arguments(fcinfo, period_cache(fcinfo), 1);

	PG_RETURN_DATEADT(date_boundary(rule, PG_GETARG_INT64(0)));
}

/* Where a list of periods stands between its rows. */
typedef struct PeriodWalk
{
	PeriodCache *cache;
	const PeriodRule *rule;
	int64 number;	/* the period that comes next */
	int64 boundary; /* and its start */
	int64 until;
} PeriodWalk;

static void
refuse_backward(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("since is after until"),
					errhint("Periods are listed from the one of since to the last that begins "
							"before until.")));
}

/* Returns the next period that overlaps [since, until), or that there is none left. */
static Datum
periods(FunctionCallInfo fcinfo, bool is_date)
{
	FuncCallContext *context;
	PeriodWalk *walk;

	if (SRF_IS_FIRSTCALL())
	{
		TimestampTz since = PG_GETARG_TIMESTAMPTZ(0);
		TimestampTz until = PG_GETARG_TIMESTAMPTZ(1);
		text *name = PG_GETARG_TEXT_PP(4);
		MemoryContext old;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (TIMESTAMP_NOT_FINITE(since))
			refuse_infinite("since");
		if (TIMESTAMP_NOT_FINITE(until))
			refuse_infinite("until");
		if (since > until)
			refuse_backward();
		walk = palloc0(sizeof(PeriodWalk));
		walk->cache = period_cache_create(context->multi_call_memory_ctx);
		walk->rule =
			period_rule_get(walk->cache, anchor_argument(fcinfo, 2, is_date),
							PG_GETARG_INTERVAL_P(3), VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
		walk->until = until;
		walk->boundary = until;
		if (since < until)
		{
			walk->number = period_number(walk->rule, since);
			walk->boundary = period_boundary(walk->rule, walk->number);
		}
		context->user_fctx = walk;
		MemoryContextSwitchTo(old);
	}

	context = SRF_PERCALL_SETUP();
	walk = context->user_fctx;
	while (walk->boundary < walk->until)
	{
		TimestampTz lower = walk->boundary;
		TimestampTz upper = period_boundary(walk->rule, ++walk->number);

		walk->boundary = upper;
		/* a day that the zone skipped has no instant */
		if (lower < upper)
			SRF_RETURN_NEXT(context,
							make_period(walk->cache, TSTZRANGEOID, TimestampTzGetDatum(lower),
										TimestampTzGetDatum(upper)));
	}
	SRF_RETURN_DONE(context);
}

/* periods(timestamptz, timestamptz, timestamptz, interval, text) */
PG_FUNCTION_INFO_V1(meter_periods);
Datum
meter_periods(PG_FUNCTION_ARGS)
{
	return periods(fcinfo, false);
}

/* periods(timestamptz, timestamptz, date, interval, text) */
PG_FUNCTION_INFO_V1(meter_periods_from_date);
Datum
meter_periods_from_date(PG_FUNCTION_ARGS)
{
	return periods(fcinfo, true);
}

/* periods(date, date, date, interval) */
PG_FUNCTION_INFO_V1(meter_periods_date);
Datum
meter_periods_date(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	PeriodWalk *walk;

	if (SRF_IS_FIRSTCALL())
	{
		DateADT since = PG_GETARG_DATEADT(0);
		DateADT until = PG_GETARG_DATEADT(1);
		MemoryContext old;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (DATE_NOT_FINITE(since))
			refuse_infinite("since");
		if (DATE_NOT_FINITE(until))
			refuse_infinite("until");
		if (since > until)
			refuse_backward();
		walk = palloc0(sizeof(PeriodWalk));
		walk->cache = period_cache_create(context->multi_call_memory_ctx);
		walk->rule = date_rule_arguments(fcinfo, walk->cache, 2);
		walk->until = until;
		walk->boundary = until;
		if (since < until)
		{
			walk->number = date_number(walk->rule, since);
			walk->boundary = date_boundary(walk->rule, walk->number);
		}
		context->user_fctx = walk;
		MemoryContextSwitchTo(old);
	}

	context = SRF_PERCALL_SETUP();
	walk = context->user_fctx;
	if (walk->boundary < walk->until)
	{
		DateADT lower = (DateADT) walk->boundary;

		walk->boundary = date_boundary(walk->rule, ++walk->number);
		SRF_RETURN_NEXT(context, make_period(walk->cache, DATERANGEOID, DateADTGetDatum(lower),
											 DateADTGetDatum((DateADT) walk->boundary)));
	}
	SRF_RETURN_DONE(context);
}

/* Returns the part of an amount between two points of a whole: parts telescope. */
static Dec
prorate(Dec amount, Dec from, Dec to, Dec whole)
{
	return dec_sub(dec_mul_div(amount, to, whole), dec_mul_div(amount, from, whole));
}

/* prorate(amount numeric, part_from numeric, part_to numeric, whole numeric) */
PG_FUNCTION_INFO_V1(meter_prorate);
Datum
meter_prorate(PG_FUNCTION_ARGS)
{
	Dec amount = dec_from_numeric(PG_GETARG_DATUM(0), "amount");
	Dec from = dec_from_numeric(PG_GETARG_DATUM(1), "start of the part");
	Dec to = dec_from_numeric(PG_GETARG_DATUM(2), "end of the part");
	Dec whole = dec_from_numeric(PG_GETARG_DATUM(3), "whole");
	char first[DEC_BUFSIZE];
	char second[DEC_BUFSIZE];

	if (whole <= 0)
	{
		dec_print(whole, first);
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("whole %s is not above zero", first),
						errdetail("An amount is prorated over something that has a length.")));
	}
	if (from > to)
	{
		dec_print(from, first);
		dec_print(to, second);
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a part cannot begin at %s and end at %s", first, second),
						errhint("A reversal is a negative amount.")));
	}
	PG_RETURN_DATUM(dec_to_numeric(prorate(amount, from, to, whole)));
}

static void
refuse_range(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s has no end to count to", what),
			 errdetail("An amount is prorated over ranges that are bounded on both sides, and the "
					   "whole is not empty.")));
}

/*
 * Sets the bounds of a range of dates or instants as half-open counts of days or
 * microseconds; returns false for an empty one, and refuses one without bounds.
 */
static bool
range_counts(TypeCacheEntry *type, RangeType *range, const char *what, int64 *from, int64 *to)
{
	RangeBound lower;
	RangeBound upper;
	bool empty;

	range_deserialize(type, range, &lower, &upper, &empty);
	if (empty)
		return false;
	if (lower.infinite || upper.infinite)
		refuse_range(what);
	if (type->type_id == DATERANGEOID)
	{
		if (DATE_NOT_FINITE(DatumGetDateADT(lower.val)) ||
			DATE_NOT_FINITE(DatumGetDateADT(upper.val)))
			refuse_range(what);
		*from = DatumGetDateADT(lower.val);
		*to = DatumGetDateADT(upper.val);
	}
	else
	{
		*from = DatumGetTimestampTz(lower.val);
		*to = DatumGetTimestampTz(upper.val);
		if (TIMESTAMP_NOT_FINITE(*from) || TIMESTAMP_NOT_FINITE(*to))
			refuse_range(what);
	}
	/* both kinds are counts of a smallest step */
	*from += lower.inclusive ? 0 : 1;
	*to += upper.inclusive ? 1 : 0;
	return true;
}

/* prorate(amount numeric, part tstzrange, whole tstzrange), and of dateranges */
PG_FUNCTION_INFO_V1(meter_prorate_range);
Datum
meter_prorate_range(PG_FUNCTION_ARGS)
{
	Dec amount = dec_from_numeric(PG_GETARG_DATUM(0), "amount");
	RangeType *part = PG_GETARG_RANGE_P(1);
	RangeType *whole = PG_GETARG_RANGE_P(2);
	TypeCacheEntry *type = range_get_typcache(fcinfo, RangeTypeGetOid(whole));
	int64 from;
	int64 to;
	int64 whole_from;
	int64 whole_to;

	if (!range_counts(type, whole, "the whole", &whole_from, &whole_to) || whole_from >= whole_to)
		refuse_range("the whole");
	if (!range_counts(type, part, "the part", &from, &to) || from >= to)
		PG_RETURN_DATUM(dec_to_numeric(0));
	if (from < whole_from || to > whole_to)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the part is not within the whole"),
						errhint("part * whole is the part that is.")));
	PG_RETURN_DATUM(dec_to_numeric(prorate(amount, (Dec) from - whole_from, (Dec) to - whole_from,
										   (Dec) whole_to - whole_from)));
}
