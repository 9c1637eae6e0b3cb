/*
 * instant.c: instants and times of day in the text of values, in UTC whatever a
 * session's zone is, and what else the JSON forms of values share.
 */
#include "instant.h"

#include "decimal.h"

#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

/*
 * Reads a date, with a time and an offset or without, and moves the text on. What
 * names no offset is UTC's.
 */
bool
instant_parse(const char **text, TimestampTz *instant)
{
	const char *p = *text;
	struct pg_tm tm = {0};
	bool before_year_one = false;
	int64 clock = 0;
	int offset_sign = 0;
	int offset_hours = 0;
	int offset_minutes = 0;
	Timestamp result;

	if (*p == '-')
	{
		before_year_one = true;
		p++;
	}
	if (!parse_digits(&p, 4, 6, &tm.tm_year) || *p++ != '-' ||
		!parse_digits(&p, 2, 2, &tm.tm_mon) || *p++ != '-' || !parse_digits(&p, 2, 2, &tm.tm_mday))
		return false;
	if (before_year_one)
		tm.tm_year = -tm.tm_year;
	if (tm.tm_mon < 1 || tm.tm_mon > MONTHS_PER_YEAR || tm.tm_mday < 1 ||
		tm.tm_mday > day_tab[isleap(tm.tm_year)][tm.tm_mon - 1])
		return false;
	if ((*p == 'T' || *p == 't' || *p == ' ') && p[1] >= '0' && p[1] <= '9')
	{
		p++;
		if (!clock_parse(&p, &clock) || clock > USECS_PER_DAY)
			return false;
		if (*p == 'Z' || *p == 'z')
			p++;
		else if (*p == '+' || *p == '-')
		{
			offset_sign = *p++ == '-' ? -1 : 1;
			if (!parse_digits(&p, 2, 2, &offset_hours))
				return false;
			p += *p == ':';
			if (*p >= '0' && *p <= '9' && !parse_digits(&p, 2, 2, &offset_minutes))
				return false;
			if (offset_hours > 15 || offset_minutes > 59)
				return false;
		}
	}
	if (tm2timestamp(&tm, 0, NULL, &result) != 0)
		return false;
	result += clock;
	result -= offset_sign * (offset_hours * USECS_PER_HOUR + offset_minutes * USECS_PER_MINUTE);
	if (!IS_VALID_TIMESTAMP(result))
		return false;
	*instant = result;
	*text = p;
	return true;
}

/* Reads hh:mm[:ss[.ffffff]], up to 24:00. */
bool
clock_parse(const char **p, int64 *time)
{
	int hours;
	int minutes;
	int seconds = 0;
	int64 fraction = 0;

	if (!parse_digits(p, 2, 2, &hours) || *(*p)++ != ':' || !parse_digits(p, 2, 2, &minutes))
		return false;
	if (**p == ':')
	{
		(*p)++;
		if (!parse_digits(p, 2, 2, &seconds))
			return false;
		if (**p == '.')
		{
			const char *first = ++(*p);
			int digits;

			if (!parse_digits(p, 1, 6, &digits))
				return false;
			fraction = digits;
			for (int i = (int) (*p - first); i < 6; i++)
				fraction *= 10;
		}
	}
	if (hours > 24 || minutes > 59 || seconds > 59)
		return false;
	*time =
		hours * USECS_PER_HOUR + minutes * USECS_PER_MINUTE + seconds * USECS_PER_SEC + fraction;
	return *time <= USECS_PER_DAY;
}

/* Prints a time of day as 16:30:00. */
void
clock_print(StringInfo out, int64 time)
{
	appendStringInfo(out, "%02d:%02d:%02d", (int) (time / USECS_PER_HOUR),
					 (int) (time / USECS_PER_MINUTE % MINS_PER_HOUR),
					 (int) (time / USECS_PER_SEC % SECS_PER_MINUTE));
	if (time % USECS_PER_SEC != 0)
	{
		appendStringInfo(out, ".%06d", (int) (time % USECS_PER_SEC));
		while (out->data[out->len - 1] == '0')
			out->data[--out->len] = '\0';
	}
}

/* Prints an instant as 2026-01-31T16:30:00Z. */
void
instant_print(StringInfo out, TimestampTz instant)
{
	struct pg_tm tm;
	fsec_t fraction;

	if (timestamp2tm(instant, NULL, &tm, &fraction, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	appendStringInfo(out, tm.tm_year < 0 ? "-%04d-%02d-%02dT" : "%04d-%02d-%02dT", abs(tm.tm_year),
					 tm.tm_mon, tm.tm_mday);
	clock_print(out, tm.tm_hour * USECS_PER_HOUR + tm.tm_min * USECS_PER_MINUTE +
						 tm.tm_sec * USECS_PER_SEC + fraction);
	appendStringInfoChar(out, 'Z');
}

/* Prints a string of JSON. */
void
json_text_print(StringInfo out, const char *text, int length)
{
	escape_json(out, pnstrdup(text, length));
}

/*
 * Says whether a JSON text is nested deeper than so many brackets. It is asked before
 * the parser, which would answer with the depth of its stack.
 */
bool
json_is_deeper(const char *text, int most)
{
	int depth = 0;
	bool quoted = false;

	for (const char *p = text; *p != '\0'; p++)
	{
		if (quoted && *p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && (*p == ']' || *p == '}'))
			depth--;
		else if (!quoted && (*p == '[' || *p == '{') && ++depth > most)
			return true;
	}
	return false;
}
