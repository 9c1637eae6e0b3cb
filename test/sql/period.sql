-- Periods, counted from an anchor in a zone.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';

-- From the anchor, never from the period before
SELECT * FROM meter.periods(date '2026-01-31', date '2026-06-30', date '2026-01-31', '1 month');
SELECT * FROM meter.periods(date '2023-01-01', date '2029-01-01', date '2024-02-29', '1 year');
SELECT * FROM meter.periods(date '2025-11-15', date '2026-08-01', date '2026-08-31', '3 months');
SELECT * FROM meter.periods(date '2026-01-01', date '2026-01-20', date '2030-01-01', '1 week');
SELECT * FROM meter.periods(timestamptz '2026-01-31', '2026-06-30', date '2026-01-31', '1 month', 'America/New_York');
SELECT * FROM meter.periods(timestamptz '2026-01-31 22:00', '2026-04-30', timestamptz '2026-01-31 22:15', '1 month', 'Asia/Tokyo');
SELECT * FROM meter.periods(timestamptz '2026-03-28 22:00', '2026-03-29 06:00', date '2026-03-28', '90 minutes', 'Europe/Berlin');
SELECT * FROM meter.periods(date '2026-01-01', date '2026-01-01', date '2026-01-01', '1 day');
SELECT * FROM meter.periods(timestamptz '2026-01-01', '2026-01-01', date '2026-01-01', '1 day', 'UTC');

-- Days of 23 and 25 hours; midnights that are skipped (Beirut, Cairo) or repeated (Havana); a clock
-- put back from midnight (São Paulo); half an hour (Lord Howe); a day that never was (Apia)
SELECT 'Europe/Berlin' AS zone, p, upper(p) - lower(p) AS length FROM meter.periods('2026-03-27 23:00', '2026-03-30', date '2026-01-01', '1 day', 'Europe/Berlin') AS p;
SELECT 'Asia/Beirut' AS zone, p, upper(p) - lower(p) AS length FROM meter.periods('2022-03-25 23:00', '2022-03-27 22:00', date '2022-01-01', '1 day', 'Asia/Beirut') AS p;
SELECT 'Africa/Cairo' AS zone, p, upper(p) - lower(p) AS length FROM meter.periods('2024-04-24 23:00', '2024-04-26 22:00', date '2022-01-01', '1 day', 'Africa/Cairo') AS p;
SELECT 'America/Havana' AS zone, p, upper(p) - lower(p) AS length FROM meter.periods('2023-11-04 12:00', '2023-11-06 12:00', date '2022-01-01', '1 day', 'America/Havana') AS p;
SELECT 'America/Sao_Paulo' AS zone, p, upper(p) - lower(p) AS length FROM meter.periods('2018-02-17 12:00', '2018-02-19 12:00', date '2022-01-01', '1 day', 'America/Sao_Paulo') AS p;
SELECT 'America/Sao_Paulo' AS zone, p, upper(p) - lower(p) AS length FROM meter.periods('2018-11-03 12:00', '2018-11-05 12:00', date '2022-01-01', '1 day', 'America/Sao_Paulo') AS p;
SELECT 'Australia/Lord_Howe' AS zone, p, upper(p) - lower(p) AS length FROM meter.periods('2023-04-01', '2023-04-02', timestamptz '2023-01-01 01:45+11', '1 day', 'Australia/Lord_Howe') AS p;
SELECT 'Pacific/Apia' AS zone, p, upper(p) - lower(p) AS length, meter.period_number(lower(p), date '2011-12-28', '1 day', 'Pacific/Apia') AS number
FROM meter.periods('2011-12-29', '2012-01-01', date '2011-12-28', '1 day', 'Pacific/Apia') AS p;
SELECT meter.period_boundary(n, date '2011-12-28', '1 day', 'Pacific/Apia') FROM generate_series(0, 4) AS n;
-- Inside of a repeated hour a boundary that has passed stays passed.
SELECT at, meter.period_start(at, timestamptz '2022-01-01 00:30-05', '1 day', 'America/Havana')
FROM generate_series(timestamptz '2023-11-05 04:15', '2023-11-05 05:45', '15 minutes') AS at;

-- What other systems ask of a calendar
SELECT meter.period_number(date '2012-09-15', date '2012-07-16', '1 month') AS whole_months,
    meter.period_number(date '2012-09-13', date '2012-07-16', '30 days') AS whole_30_days,
    meter.period_number(date '2024-03-15', date '2024-01-10', '1 month') - meter.period_number(date '2024-01-01', date '2024-01-10', '1 month') AS elapsed_cycles,
    meter.period_boundary(7, date '2016-04-08', '30 days') AS added_days,
    meter.period_boundary(-3, timestamptz '2025-06-15 12:00', '1 month', 'UTC') AS three_months_before,
    upper(meter.period(timestamptz '2024-04-01', timestamptz '2024-01-31', '1 month', 'UTC')) AS next_billing,
    upper(meter.period(date '2012-01-31' - 1, date '2000-01-30', '1 month')) AS first_billing,
    upper(meter.period(date '2022-02-07', date '2000-01-01', '1 month')) - lower(meter.period(date '2022-02-07', date '2000-01-01', '1 month')) AS days;

-- Every form agrees with every other
SELECT count(*) AS n, count(*) FILTER (WHERE NOT p @> at OR lower(p) <> s OR meter.period_boundary(k, a, every, z) <> lower(p) OR meter.period_boundary(k + 1, a, every, z) < upper(p)) AS wrong
FROM (
    SELECT *, meter.period(at, a, every, z) AS p, meter.period_start(at, a, every, z) AS s, meter.period_number(at, a, every, z) AS k
    FROM (
        SELECT timestamptz '1965-01-01' + (n::bigint * 7919 * 104729 % 4733510400) * interval '1 second' AS at, timestamptz '1965-01-01' + (n::bigint * 31337 * 1009 % 4733510400) * interval '1 second' AS a,
            (ARRAY['1 month', '1 month', '1 month', '1 day', '2 months', '1 week', '1 year', '36 hours', '0.7 seconds'])[1 + n % 9]::interval AS every,
            (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'America/Havana', 'America/Sao_Paulo', 'Asia/Beirut', 'Pacific/Apia', 'Africa/Cairo', 'Australia/Lord_Howe', 'Africa/Casablanca', 'America/Argentina/San_Juan', 'Asia/Kolkata', 'Etc/GMT+5', 'EST5EDT'])[1 + n % 14] AS z
        FROM generate_series(1, 60000) AS n) AS x) AS y;
-- months from dates, of events in the order of time, and out of it now and then
SELECT count(*) AS n, count(*) FILTER (WHERE meter.period_start(at, a, '1 month', z) IS DISTINCT FROM lower(meter.period(at, a, '1 month', z))) AS wrong
FROM (
    SELECT timestamptz '1969-11-20' + n % 20000 * interval '10 minutes' + n / 20000 * interval '7 years 11 months'
            + CASE WHEN n % 17 = 0 THEN (n::bigint * 7919 % 1000 - 500) * interval '1 day' ELSE interval '0' END AS at,
        date '1900-01-01' + (n::bigint * 31337 % 80000)::int AS a,
        (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'America/Havana', 'America/Sao_Paulo', 'Asia/Beirut', 'Pacific/Apia', 'Africa/Cairo', 'Australia/Lord_Howe', 'Pacific/Kwajalein', 'America/Argentina/San_Juan', 'Asia/Kolkata', 'Etc/GMT+5', 'EST5EDT'])[1 + n % 14] AS z
    FROM generate_series(1, 370000) AS n) AS x;
SELECT count(*) AS n, count(*) FILTER (WHERE NOT p @> at OR lower(p) <> meter.period_start(at, a, every) OR meter.period_boundary(k, a, every) <> lower(p) OR meter.period_boundary(k + 1, a, every) <> upper(p)) AS wrong
FROM (
    SELECT *, meter.period(at, a, every) AS p, meter.period_number(at, a, every) AS k
    FROM (
        SELECT date '1600-01-01' + (n::bigint * 7919 * 104729 % 300000)::int AS at, date '1600-01-01' + (n::bigint * 31337 % 300000)::int AS a,
            (ARRAY['1 month', '1 day', '2 months', '1 week', '1 year', '45 days'])[1 + n % 6]::interval AS every
        FROM generate_series(1, 30000) AS n) AS x) AS y;

-- Against the server's own calendar: a local time's first instant is the least that shows it or more.
CREATE FUNCTION first_instant(local timestamp, zone text) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    WITH near AS MATERIALIZED (
        SELECT t FROM generate_series(local AT TIME ZONE 'UTC' - interval '27 hours', local AT TIME ZONE 'UTC' + interval '27 hours', '30 minutes') AS t
    )
    SELECT min(t) FROM (
        SELECT t FROM near UNION ALL
        SELECT (local AT TIME ZONE 'UTC') - d FROM (SELECT DISTINCT (t AT TIME ZONE zone) - (t AT TIME ZONE 'UTC') AS d FROM near) AS o
    ) AS c WHERE t AT TIME ZONE zone >= local
$$;
SELECT count(*) AS n, count(*) FILTER (WHERE meter.period_boundary(k, a, every, z) IS DISTINCT FROM first_instant(a AT TIME ZONE z + k * every, z)) AS wrong
FROM unnest(ARRAY['America/Havana', 'America/Sao_Paulo', 'Asia/Beirut', 'Pacific/Apia', 'Africa/Cairo', 'Australia/Lord_Howe', 'Europe/Berlin', 'Africa/Casablanca']) AS z,
    unnest(ARRAY['1 month', '1 day', '1 week', '1 year']::interval[]) AS every,
    unnest(ARRAY['2010-10-17 00:00', '2011-12-30 10:30', '2018-11-04 01:30', '2025-01-31 23:30', '2111-11-01', '1951-02-28']::timestamptz[]) AS a,
    generate_series(-18, 18, 6) AS k;
SELECT z, count(*) AS n, count(*) FILTER (WHERE meter.period_boundary(k, date '2017-01-01', '1 day', z) IS DISTINCT FROM first_instant(date '2017-01-01' + k * interval '1 day', z)) AS wrong
FROM unnest(ARRAY['America/Havana', 'America/Sao_Paulo', 'Asia/Beirut']) AS z, generate_series(0, 365) AS k GROUP BY z ORDER BY z;
SELECT count(*) AS n, count(*) FILTER (WHERE meter.period_boundary(k, date '1996-02-29', every) <> (date '1996-02-29' + k * every)::date) AS wrong
FROM unnest(ARRAY['1 month', '1 day', '5 weeks', '1 year', '7 months']::interval[]) AS every, generate_series(-3000, 3000, 7) AS k;

-- Parts
SELECT meter.prorate(100, 3, 31, 31) AS fee, meter.prorate(100, 0, 3, 31) AS trial, meter.prorate(100, 3, 31, 31) + meter.prorate(100, 0, 3, 31) AS whole, meter.prorate(-100, 0, 3, 31) AS back, meter.prorate(1, 0, 92, 31) AS beyond;
SELECT meter.prorate(30, daterange('2025-01-17', '2025-02-01'), daterange('2025-01-01', '2025-02-01')) AS half, meter.prorate(30, daterange('2025-01-15', '2025-01-15'), daterange('2025-01-01', '2025-02-01')) AS none,
    meter.prorate(24, tstzrange('2026-03-29 00:00+01', '2026-03-29 12:00+02'), meter.period('2026-03-29 12:00+02', date '2026-03-29', '1 day', 'Europe/Berlin')) AS of_23_hours,
    meter.prorate(86400000000, tstzrange('2026-01-01', '2026-01-01', '[]'), tstzrange('2026-01-01', '2026-01-02')) AS one_step;
SELECT count(*) AS n, count(*) FILTER (WHERE total <> amount) AS wrong
FROM (
    SELECT amount, n, sum(meter.prorate(amount, i - 1, i, n)) AS total
    FROM unnest(ARRAY[100, 0.01, -29.99, 1234567.890123456789]) AS amount, generate_series(1, 40) AS n, generate_series(1, n) AS i GROUP BY amount, n) AS t;

-- Zones are named as tzdata names them.
SELECT z, meter.period_start('2026-07-15 12:34', date '2026-01-01', '1 day', z)
FROM unnest(ARRAY['UTC', 'europe/berlin', 'Etc/GMT+5', 'EST5EDT', 'GMT', 'GMT0', 'Asia/Kathmandu']) AS z;
\set VERBOSITY terse
SELECT meter.period(now(), now(), '1 month', 'Europe/Berlln');
SELECT meter.period(now(), now(), '1 month', 'CEST');
SELECT meter.period(now(), now(), '1 month', 'FOO+3');
SELECT meter.period(now(), now(), '1 month', '<+03>-3');
SELECT meter.period(now(), now(), '1 month', 'Foo/Bar-3');
SELECT meter.period(now(), now(), '1 month', 'EST5');
SELECT meter.period(now(), now(), '1 month', '+02:00');
SELECT meter.period(now(), now(), '1 month', '');
SELECT meter.period(now(), now(), '1 month', 'localtime');
SELECT meter.period(now(), now(), '1 month', '../../etc/passwd');
SELECT meter.period(now(), now(), '1 month', repeat('x', 1000)) IS NULL;
-- Lengths
SELECT meter.period(now(), now(), '1 month 1 day', 'UTC');
SELECT meter.period(now(), now(), '1 day 1 hour', 'UTC');
SELECT meter.period(now(), now(), '0', 'UTC');
SELECT meter.period(now(), now(), '-1 month', 'UTC');
SELECT meter.period(date '2026-01-01', date '2026-01-01', '24 hours');
SELECT meter.period(date '2026-01-01', date '2026-01-01', '1 month -1 day');
-- Infinities and the ends of the range
SELECT meter.period('infinity', now(), '1 month', 'UTC');
SELECT meter.period(now(), timestamptz '-infinity', '1 month', 'UTC');
SELECT meter.period(now(), date 'infinity', '1 month', 'UTC');
SELECT meter.period_start(at, date '2026-01-02', '1 month', 'UTC') FROM (VALUES (timestamptz '2026-01-03'), ('2026-01-04'), ('infinity')) AS v (at);
SELECT meter.period_start(at, date '2026-01-02', '1 month', 'UTC') FROM (VALUES (timestamptz '2026-01-03'), ('2026-01-04'), ('-infinity')) AS v (at);
SELECT meter.period_start(date 'infinity', date '2026-01-01', '1 month');
SELECT * FROM meter.periods(now(), 'infinity', date '2026-01-01', '1 month', 'UTC');
SELECT * FROM meter.periods(date '-infinity', date '2026-01-01', date '2026-01-01', '1 month');
SELECT * FROM meter.periods(date '2026-01-02', date '2026-01-01', date '2026-01-01', '1 month');
SELECT meter.period('294276-12-31 12:00', timestamptz '2026-01-01', '1 month', 'UTC');
SELECT meter.period_start('294276-12-31 12:00', timestamptz '2026-01-01', '1 month', 'UTC');
SELECT meter.period('4714-11-24 BC', timestamptz '2026-01-02', '1 month', 'UTC');
SELECT meter.period_start('4713-01-24 BC', date '2026-01-02', '1 month', 'America/New_York');
SELECT meter.period_boundary(9223372036854775807, date '2026-01-02', '1 month', 'UTC');
SELECT meter.period_boundary(-9223372036854775808, timestamptz '2026-01-02', '1 microsecond', 'UTC');
SELECT meter.period_boundary(2147483647, date '2026-01-02', '2147483647 months');
SELECT meter.period(date '5874897-01-01', date '2026-01-02', '1 month');
SELECT meter.period_number('294276-12-31', timestamptz '4713-01-01 BC', '1 microsecond', 'UTC');
SELECT meter.period_number('294276-12-31', timestamptz '4713-01-01 BC', '2 microseconds', 'UTC');
-- Parts
SELECT meter.prorate(1, 0, 1, 0);
SELECT meter.prorate(1, 2, 1, 3);
SELECT meter.prorate(30, daterange('2025-01-01', '2025-03-01'), daterange('2025-01-01', '2025-02-01'));
SELECT meter.prorate(30, daterange('2025-01-01', NULL), daterange('2025-01-01', '2025-02-01'));
SELECT meter.prorate(30, daterange('2025-01-01', '2025-01-02'), 'empty'::daterange);
SELECT meter.prorate(30, tstzrange('2025-01-01', 'infinity'), tstzrange('2025-01-01', '2025-02-01'));

-- Nothing is left behind by a row, whatever the zones and anchors.
SELECT n, m.used < 2000000 AS flat
FROM (
    SELECT count(meter.period_start(timestamptz '2026-01-01' + k * interval '37 minutes', date '2020-01-01' + k % 1000, '1 month', (ARRAY['UTC', 'Europe/Berlin', 'America/New_York'])[1 + k % 3])) AS n
    FROM (SELECT generate_series(1, 200000) AS k) AS g) AS c,
    LATERAL (SELECT sum(used_bytes) AS used FROM pg_backend_memory_contexts WHERE name IN ('ExprContext', 'ExecutorState', 'AggContext', 'meter time zones') AND c.n > 0) AS m;
