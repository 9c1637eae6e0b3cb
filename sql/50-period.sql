-- Billing periods. They depend on nothing but their arguments and the tz database, which
-- changes with the operating system's or the server's updates and never inside a statement:
-- the functions are IMMUTABLE, as the server's own timezone(text, timestamptz) is.

CREATE FUNCTION meter.period(at timestamptz, anchor timestamptz, every interval, timezone text) RETURNS tstzrange
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period';
COMMENT ON FUNCTION meter.period(timestamptz, timestamptz, interval, text) IS
'The period that holds a moment, half open. Boundary n is the anchor''s local date and time plus n times every, kept within its month, and never counted from the period before: from 31 January, months begin on 28 February and 31 March. Days and months are the zone''s, so a day has 23 to 25 hours where the clock changes; a local time that does not exist or exists twice stands for the first instant at which the clock shows it or a later one. every is a number of months or years, of days or weeks, or of exact time (hours, minutes, seconds); a mixture, zero and a negative length are errors. The zone is a name of the tz database (Europe/Berlin), no abbreviation and no offset. Infinite arguments and boundaries outside of timestamptz are errors.';

CREATE FUNCTION meter.period(at timestamptz, anchor date, every interval, timezone text) RETURNS tstzrange
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_from_date';
COMMENT ON FUNCTION meter.period(timestamptz, date, interval, text) IS
'The period that holds a moment, half open, counted from the start of a local date: its first instant in the zone. Write date ''2026-01-31'' for such an anchor: a bare literal is taken for a moment, midnight in the session''s zone. Otherwise as period with a moment as anchor.';

CREATE FUNCTION meter.period(at date, anchor date, every interval) RETURNS daterange
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_date';
COMMENT ON FUNCTION meter.period(date, date, interval) IS
'The period of dates that holds a date, half open. Boundary n is the anchor plus n times every, kept within its month and counted from the anchor. every is a number of months or years, or of days or weeks; anything else is an error, as are infinite dates.';

CREATE FUNCTION meter.period_start(at timestamptz, anchor timestamptz, every interval, timezone text) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_start';
COMMENT ON FUNCTION meter.period_start(timestamptz, timestamptz, interval, text) IS
'The first instant of the period that holds a moment: lower(period(...)), without making a range. The fastest way to group by period.';

CREATE FUNCTION meter.period_start(at timestamptz, anchor date, every interval, timezone text) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_start_from_date';
COMMENT ON FUNCTION meter.period_start(timestamptz, date, interval, text) IS
'The first instant of the period that holds a moment, counted from the start of a local date.';

CREATE FUNCTION meter.period_start(at date, anchor date, every interval) RETURNS date
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_start_date';
COMMENT ON FUNCTION meter.period_start(date, date, interval) IS
'The first date of the period that holds a date.';

CREATE FUNCTION meter.period_number(at timestamptz, anchor timestamptz, every interval, timezone text) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_number';
COMMENT ON FUNCTION meter.period_number(timestamptz, timestamptz, interval, text) IS
'The number of the period that holds a moment: 0 begins at the anchor, the one before is -1. Whole periods from a to b are period_number(b, a, every, timezone).';

CREATE FUNCTION meter.period_number(at timestamptz, anchor date, every interval, timezone text) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_number_from_date';
COMMENT ON FUNCTION meter.period_number(timestamptz, date, interval, text) IS
'The number of the period that holds a moment: 0 begins with the anchor''s date, the one before is -1.';

CREATE FUNCTION meter.period_number(at date, anchor date, every interval) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_number_date';
COMMENT ON FUNCTION meter.period_number(date, date, interval) IS
'The number of the period that holds a date: 0 begins with the anchor, the one before is -1. Whole periods from a to b are period_number(b, a, every).';

CREATE FUNCTION meter.period_boundary(number bigint, anchor timestamptz, every interval, timezone text) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_boundary';
COMMENT ON FUNCTION meter.period_boundary(bigint, timestamptz, interval, text) IS
'The first instant of a period by its number: 0 begins at the anchor, negative ones lie before. Adding a term to a moment is period_boundary(1, moment, term, timezone). A number whose boundary is outside of timestamptz is an error.';

CREATE FUNCTION meter.period_boundary(number bigint, anchor date, every interval, timezone text) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_boundary_from_date';
COMMENT ON FUNCTION meter.period_boundary(bigint, date, interval, text) IS
'The first instant of a period by its number, counted from the start of a local date.';

CREATE FUNCTION meter.period_boundary(number bigint, anchor date, every interval) RETURNS date
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_period_boundary_date';
COMMENT ON FUNCTION meter.period_boundary(bigint, date, interval) IS
'The first date of a period by its number: 0 begins with the anchor, negative ones lie before.';

CREATE FUNCTION meter.periods(since timestamptz, until timestamptz, anchor timestamptz, every interval, timezone text) RETURNS SETOF tstzrange
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 12
AS 'MODULE_PATHNAME', 'meter_periods';
COMMENT ON FUNCTION meter.periods(timestamptz, timestamptz, timestamptz, interval, text) IS
'Every period that overlaps [since, until), whole and in order, a row each; none where since = until. A since after until is an error. A local day that the zone skipped has no period. The other arguments are as for period.';

CREATE FUNCTION meter.periods(since timestamptz, until timestamptz, anchor date, every interval, timezone text) RETURNS SETOF tstzrange
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 12
AS 'MODULE_PATHNAME', 'meter_periods_from_date';
COMMENT ON FUNCTION meter.periods(timestamptz, timestamptz, date, interval, text) IS
'Every period that overlaps [since, until), counted from the start of a local date, whole and in order, a row each.';

CREATE FUNCTION meter.periods(since date, until date, anchor date, every interval) RETURNS SETOF daterange
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 12
AS 'MODULE_PATHNAME', 'meter_periods_date';
COMMENT ON FUNCTION meter.periods(date, date, date, interval) IS
'Every period of dates that overlaps [since, until), whole and in order, a row each; none where since = until. A since after until is an error.';

CREATE FUNCTION meter.prorate(amount numeric, part_from numeric, part_to numeric, whole numeric) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_prorate';
COMMENT ON FUNCTION meter.prorate(numeric, numeric, numeric, numeric) IS
'The part of an amount that falls on a part of a whole, settled to 12 digits, half away from zero. It is the amount up to the part''s end less the amount up to its start, each settled, so parts that follow each other add up to the amount exactly. part_from and part_to are counted in the unit of whole (days, seconds, seats), which must be above zero. A part that ends before it begins is an error; one that reaches beyond the whole is not.';

CREATE FUNCTION meter.prorate(amount numeric, part daterange, whole daterange) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_prorate_range';
COMMENT ON FUNCTION meter.prorate(numeric, daterange, daterange) IS
'The part of an amount that falls on a part of a whole, settled to 12 digits, half away from zero. It is the amount up to the part''s end less the amount up to its start, each settled, so parts that follow each other add up to the amount exactly. It goes by days. An empty part is 0. A range without bounds, an empty whole and a part outside of the whole are errors.';

CREATE FUNCTION meter.prorate(amount numeric, part tstzrange, whole tstzrange) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_prorate_range';
COMMENT ON FUNCTION meter.prorate(numeric, tstzrange, tstzrange) IS
'The part of an amount that falls on a part of a whole, settled to 12 digits, half away from zero. It is the amount up to the part''s end less the amount up to its start, each settled, so parts that follow each other add up to the amount exactly. It goes by elapsed time, to the microsecond. An empty part is 0. A range without bounds, an empty whole and a part outside of the whole are errors.';
