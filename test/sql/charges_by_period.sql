-- An aggregate that charges each billing period of a group.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';

SELECT * FROM unnest((
    SELECT meter.charges_by_period('graduated: up to 10 at 0; above at 0.5', at, q, date '2026-01-31', '1 month', 'America/New_York')
    FROM (VALUES (timestamptz '2026-03-31 04:00', 5), ('2026-01-31 05:00', 8), ('2026-02-28 04:59:59.999999', 8), ('2026-02-28 05:00', 1), ('2026-01-31 04:59:59', 3), ('2026-03-31 03:59', 12.5)) AS t (at, q)));
SELECT meter.charges_by_period('at 1', at, 1, timestamptz '2026-01-01', '1 day', 'UTC') FROM (SELECT now() AS at WHERE false) AS t;
SELECT meter.charges_by_period('at 1', at, q, timestamptz '2026-01-01', '1 day', 'UTC')
FROM (VALUES (NULL::timestamptz, 1), ('2026-01-01', NULL), ('2026-01-05', 7)) AS t (at, q);
-- A correction may be negative, the period's sum may not.
SELECT meter.charges_by_period('at 1', at, q, timestamptz '2026-01-01', '1 day', 'UTC')
FROM (VALUES (timestamptz '2026-01-05', -3), ('2026-01-05', 7)) AS t (at, q);

CREATE TABLE by_customer (id int PRIMARY KEY, tariff meter.tariff, anchor timestamptz, anchor_date date, every interval, timezone text);
INSERT INTO by_customer
SELECT n, (ARRAY['at 0.08', 'graduated: up to 500 at 0; up to 2500 at 0.08; above at 0.06 plus 10', 'volume: up to 1000 at 0.10; above at 0.08', 'at 1 per started 10; minimum 20'])[1 + n % 4]::meter.tariff,
    timestamptz '2020-01-01' + n * interval '31 hours', date '2020-01-01' + n,
    (ARRAY['1 month', '7 days', '1 day', '3 months', '36 hours', '1 year'])[1 + n % 6]::interval,
    (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'America/Argentina/Buenos_Aires', 'Pacific/Apia', 'America/Havana', 'Asia/Kolkata'])[1 + n % 7]
FROM generate_series(1, 84) AS n;
CREATE TABLE by_event AS
SELECT 1 + (n * 7919) % 84 AS id, timestamptz '2025-06-01' + (n::bigint * 104729 % 31536000) * interval '1 second' AS at, (n * 31) % 97 AS whole, ((n * 31) % 970)::numeric / 10 AS q
FROM generate_series(1, 40000) AS n;
ANALYZE by_customer, by_event;

-- The same as grouping by customer and period
CREATE VIEW plain AS
SELECT id, period, q AS quantity, meter.overage(tariff, q) AS overage, meter.charge(tariff, q) AS charge
FROM (
    SELECT c.id, meter.period(e.at, c.anchor_date, c.every, c.timezone) AS period, sum(e.q) AS q
    FROM by_event AS e JOIN by_customer AS c USING (id) GROUP BY 1, 2
) AS t JOIN by_customer USING (id);
CREATE VIEW ours AS
SELECT id, (unnest(charges)).*
FROM (
    SELECT c.id, meter.charges_by_period(c.tariff, e.at, e.q, c.anchor_date, c.every, c.timezone) AS charges
    FROM by_event AS e JOIN by_customer AS c USING (id) GROUP BY c.id
) AS t;
CREATE TABLE serial AS SELECT * FROM ours;
SELECT count(*) AS periods, count(*) FILTER (WHERE (o.quantity, o.overage, o.charge) IS DISTINCT FROM (p.quantity, p.overage, p.charge)) AS differ
FROM serial AS o FULL JOIN plain AS p USING (id, period);
-- Whole quantities and anchors that are moments
SELECT count(*) AS periods, count(*) FILTER (WHERE o.quantity IS DISTINCT FROM p.quantity) AS differ
FROM (
    SELECT id, (unnest(charges)).* FROM (
        SELECT c.id, meter.charges_by_period(c.tariff, e.at, e.whole, c.anchor, c.every, c.timezone) AS charges
        FROM by_event AS e JOIN by_customer AS c USING (id) GROUP BY c.id) AS t
) AS o FULL JOIN (
    SELECT c.id, meter.period(e.at, c.anchor, c.every, c.timezone) AS period, sum(e.whole) AS quantity
    FROM by_event AS e JOIN by_customer AS c USING (id) GROUP BY 1, 2
) AS p USING (id, period);
SELECT bool_and(a = b AND b = c) AS every_type_of_quantity
FROM (
    SELECT meter.charges_by_period(c.tariff, e.at, e.whole::int, c.anchor_date, c.every, c.timezone) AS a,
        meter.charges_by_period(c.tariff, e.at, e.whole::bigint, c.anchor_date, c.every, c.timezone) AS b,
        meter.charges_by_period(c.tariff, e.at, e.whole::numeric, c.anchor_date, c.every, c.timezone) AS c
    FROM by_event AS e JOIN by_customer AS c USING (id) GROUP BY c.id) AS t;
-- Periods come in order, gaps and all.
SELECT bool_and(lower(period) >= prev) AS in_order
FROM (SELECT period, lag(upper(period)) OVER (PARTITION BY id ORDER BY n) AS prev FROM (SELECT *, row_number() OVER () AS n FROM ours) AS o) AS t;
SELECT period, quantity FROM unnest((
    SELECT meter.charges_by_period('at 1', at, 1, timestamptz '2000-01-01', '1 second', 'UTC')
    FROM (VALUES (timestamptz '2026-01-01'), ('2000-01-01'), ('1999-12-31'), ('2150-01-01 00:00:00.5'), ('2026-01-01 00:00:00.9'), ('1900-01-01'), ('2026-01-01 00:00:02')) AS t (at)));

-- In parallel
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_sort = off;
CREATE FUNCTION is_partial(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        IF line LIKE '%Partial%Aggregate%' THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;
SELECT is_partial('SELECT * FROM ours');
SELECT count(*) AS differ FROM ((TABLE serial EXCEPT ALL SELECT * FROM ours) UNION ALL (SELECT * FROM ours EXCEPT ALL TABLE serial)) AS t;
RESET ALL;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';

-- As partial states, stored and read back
CREATE AGGREGATE charges_partial(meter.tariff, timestamptz, numeric, date, interval, text) (SFUNC = meter.charges_by_period_accum, STYPE = meter.period_sums);
CREATE AGGREGATE charges_merge(meter.period_sums) (SFUNC = meter.charges_by_period_combine, STYPE = meter.period_sums, FINALFUNC = meter.charges_by_period_final);
CREATE TABLE charges_part AS
SELECT id, n, charges_partial(tariff, at, q, anchor_date, every, timezone) AS state
FROM (SELECT *, row_number() OVER () % 5 AS n FROM by_event) AS e JOIN by_customer USING (id) GROUP BY id, n;
SELECT current_setting('data_directory') || '/charges_state' AS file \gset
CREATE TABLE charges_read (LIKE charges_part);
COPY charges_part TO :'file' (FORMAT binary);
COPY charges_read FROM :'file' (FORMAT binary);
SELECT count(*) AS differ FROM (SELECT id, (unnest(charges_merge(state))).* FROM charges_part GROUP BY id EXCEPT ALL TABLE serial) AS t;
SELECT count(*) AS differ FROM (SELECT id, (unnest(charges_merge(state))).* FROM charges_read GROUP BY id EXCEPT ALL TABLE serial) AS t;
SELECT count(*) AS differ FROM (SELECT id, (unnest(charges_merge(state::text::meter.period_sums))).* FROM charges_part GROUP BY id EXCEPT ALL TABLE serial) AS t;
SELECT count(*) AS rows, count(DISTINCT a.state::text) AS states, bool_and(a.state::text = b.state::text) AS same FROM charges_part AS a JOIN charges_read AS b USING (id, n);
-- As a window: no row changes the state of another
SELECT count(*) AS rows, count(*) FILTER (WHERE last_quantity <> sum) AS differ
FROM (
    SELECT (meter.charges_by_period('at 1', at, whole, date '2025-01-01', '1 year', 'UTC') OVER w)[1].quantity AS last_quantity, sum(whole) OVER w AS sum
    FROM by_event WHERE id = 1 AND at < '2026-01-01' WINDOW w AS (ORDER BY at)) AS t;
-- Called outside of an aggregate, a transition copies.
SELECT count(*) AS copied
FROM charges_part
WHERE n = 1
AND meter.charges_by_period_combine(state, state)::text <> state::text
AND meter.charges_by_period_final(state) = meter.charges_by_period_final(state::text::meter.period_sums);

-- What two rows of a group must share
\set VERBOSITY terse
SELECT meter.charges_by_period(t, now(), 1, date '2026-01-01', '1 month', 'UTC') FROM (VALUES ('at 1'::meter.tariff), ('at 2')) AS v (t);
SELECT meter.charges_by_period('at 1', now(), 1, a, '1 month', 'UTC') FROM (VALUES (date '2026-01-01'), ('2026-01-02')) AS v (a);
SELECT meter.charges_by_period('at 1', now(), 1, date '2026-01-01', e, 'UTC') FROM (VALUES (interval '1 month'), ('1 day')) AS v (e);
SELECT meter.charges_by_period('at 1', now(), 1, date '2026-01-01', '1 month', z) FROM (VALUES ('UTC'), ('Asia/Tokyo')) AS v (z);
SELECT meter.charges_by_period('at 1', now(), 1, date '2026-01-01', '1 month', z) FROM (VALUES ('America/Argentina/Cordoba'), ('America/Argentina/Mendoza')) AS v (z);
SELECT meter.charges_by_period('at 1', now(), 1, date '2026-01-01', '1 month 1 day', 'UTC');
SELECT meter.charges_by_period('at 1', now(), 1, date '2026-01-01', '1 month', 'CEST');
SELECT meter.charges_by_period('at 1', 'infinity', 1, date '2026-01-01', '1 month', 'UTC');
SELECT meter.charges_by_period('at 1', '2026-01-05', -1, date '2026-01-01', '1 month', 'UTC');
SELECT charges_merge(state) FROM charges_part;
SELECT ''::meter.period_sums;
SELECT '02'::meter.period_sums;
SELECT '0100'::meter.period_sums;
SELECT left(state::text, -2)::meter.period_sums FROM charges_part WHERE id = 1 AND n = 1;
SELECT (state::text || '00')::meter.period_sums FROM charges_part WHERE id = 1 AND n = 1;
\set VERBOSITY default
-- Bytes that are damaged anywhere give a state or an error of class 22, never anything else.
DO $$
DECLARE
    good text := (SELECT state::text FROM charges_part WHERE id = 2 AND n = 1);
    bad text;
    outcome meter.period_charge[];
    refused int := 0;
BEGIN
    FOR i IN 0 .. length(good) / 2 - 1 LOOP
        bad := overlay(good PLACING CASE WHEN substr(good, 2 * i + 1, 2) = 'ff' THEN '00' ELSE 'ff' END FROM 2 * i + 1 FOR 2);
        BEGIN
            outcome := meter.charges_by_period_final(meter.charges_by_period_combine(bad::meter.period_sums, bad::meter.period_sums));
        EXCEPTION WHEN data_exception THEN
            refused := refused + 1;
        END;
        BEGIN
            outcome := meter.charges_by_period_final(left(good, 2 * i)::meter.period_sums);
            RAISE 'cut bytes were read';
        EXCEPTION WHEN data_exception THEN
            NULL;
        END;
    END LOOP;
    RAISE NOTICE 'damaged bytes are refused: %', refused > 100;
END $$;

-- Nothing is left behind by a row.
SELECT n, m.used < 2000000 AS flat
FROM (
    SELECT cardinality(meter.charges_by_period('at 1', timestamptz '2025-01-01' + k * interval '97 seconds', k, date '2025-01-01', '1 month', 'Europe/Berlin')) AS n
    FROM (SELECT generate_series(1, 300000) AS k) AS g) AS c,
    LATERAL (SELECT sum(used_bytes) AS used FROM pg_backend_memory_contexts WHERE name IN ('ExprContext', 'ExecutorState', 'AggContext') AND c.n > 0) AS m;
DROP FUNCTION is_partial(text);
DROP VIEW plain, ours;
DROP TABLE serial, charges_part, charges_read, by_customer, by_event;
DROP AGGREGATE charges_partial(meter.tariff, timestamptz, numeric, date, interval, text);
DROP AGGREGATE charges_merge(meter.period_sums);

-- By a book of rules: the same as with the rule in every row
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE TABLE payer (id integer, name text, tariff meter.tariff, anchor date, timezone text);
INSERT INTO payer
SELECT i, 'payer ' || i, ('{at 0.08,graduated: up to 50 at 0 plus 29; above at 0.08,volume: up to 100 at 1; above at 0.5,at 5 per started 7}'::text[])[1 + i % 4]::meter.tariff,
	date '2024-01-01' + i % 31, ('{UTC,Europe/Berlin,America/New_York,Asia/Kolkata}'::text[])[1 + i % 4]
FROM generate_series(1, 40) AS i;
CREATE TABLE used AS
SELECT 1 + i * 7919 % 41 AS id, 'payer ' || 1 + i * 7919 % 41 AS name, timestamptz '2024-01-01 00:00Z' + i * interval '53 minutes' AS at, i % 13 AS quantity
FROM generate_series(1, 20000) AS i;
ANALYZE used;
CREATE VIEW book AS
SELECT jsonb_object_agg(id, jsonb_build_object('tariff', tariff, 'anchor', anchor, 'timezone', timezone)) AS by_id,
	jsonb_object_agg(name, jsonb_build_object('tariff', tariff, 'anchor', anchor, 'timezone', timezone)) AS by_name
FROM payer;
CREATE TABLE joined AS
SELECT id, meter.charges_by_period(tariff, at, quantity, anchor, '1 month', timezone) AS charges FROM used JOIN payer USING (id) GROUP BY id;
SELECT count(*), count(*) FILTER (WHERE booked.charges = joined.charges) AS same, count(*) FILTER (WHERE booked.charges IS NULL) AS not_in_the_book
FROM (SELECT id, meter.charges_by_period((SELECT by_id FROM book), id, at, quantity, '1 month') AS charges FROM used GROUP BY id) AS booked LEFT JOIN joined USING (id);
SELECT count(*) FILTER (WHERE booked.charges = joined.charges) AS same
FROM (SELECT min(id) AS id, meter.charges_by_period((SELECT by_name FROM book), name, at, quantity::numeric, '1 month') AS charges FROM used GROUP BY name) AS booked JOIN joined USING (id);
SELECT count(*) FILTER (WHERE booked.charges = joined.charges) AS same
FROM (SELECT min(id) AS id, meter.charges_by_period((SELECT by_name FROM book), name, at, quantity::bigint, '1 month') AS charges FROM used GROUP BY name) AS booked JOIN joined USING (id);
SELECT count(*) FILTER (WHERE booked.charges = joined.charges) AS same
FROM (SELECT DISTINCT id, meter.charges_by_period((SELECT by_id FROM book), id, at, quantity::bigint, '1 month') OVER (PARTITION BY id) AS charges FROM used) AS booked JOIN joined USING (id);
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) FILTER (WHERE booked.charges = joined.charges) AS same
FROM (SELECT id, meter.charges_by_period((SELECT by_id FROM book), id, at, quantity::numeric, '1 month') AS charges FROM used GROUP BY id) AS booked JOIN joined USING (id);
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- a state is a value, and goes on
SELECT meter.charges_by_period_final(meter.charges_by_book_accum(state::text::meter.period_sums, '{}', 7, '2024-02-03', 5, '1 month')) AS through_text,
	meter.charges_by_period_final(meter.charges_by_period_combine(state, state)) AS twice, meter.charges_by_period_final(state) AS as_it_was
FROM (SELECT meter.charges_by_book_accum(NULL, '{"7": {"tariff": "at 2", "anchor": "2024-01-31", "timezone": "UTC"}}', 7, '2024-02-03', 5, '1 month')) AS s(state);
-- what a row lacks, and what a book lacks
SELECT meter.charges_by_period('{"a": {"tariff": "at 2", "anchor": "2024-01-31", "timezone": "UTC"}}', customer, at, quantity, '1 month')
FROM (VALUES ('a', timestamptz '2024-02-03', 1), ('a', NULL, 1), ('a', '2024-02-03', NULL), (NULL, '2024-02-03', 1)) AS u(customer, at, quantity);
SELECT meter.charges_by_period('{}', 'a', '2024-02-03', 1, '1 month'), meter.charges_by_period(NULL, 'a', '2024-02-03', 1, '1 month');
SELECT meter.charges_by_period('[]', 'a', '2024-02-03', 1, '1 month');
SELECT meter.charges_by_period('{"a": 1}', 'a', '2024-02-03', 1, '1 month');
SELECT meter.charges_by_period('{"a": {"anchor": "2024-01-31", "timezone": "UTC"}}', 'a', '2024-02-03', 1, '1 month');
SELECT meter.charges_by_period('{"a": {"tariff": "at two", "anchor": "2024-01-31", "timezone": "UTC"}}', 'a', '2024-02-03', 1, '1 month');
SELECT meter.charges_by_period('{"a": {"tariff": "at 2", "anchor": "2024-02-30", "timezone": "UTC"}}', 'a', '2024-02-03', 1, '1 month');
SELECT meter.charges_by_period('{"a": {"tariff": "at 2", "anchor": "2024-01-31", "timezone": "Mars/Olympus"}}', 'a', '2024-02-03', 1, '1 month');
SELECT meter.charges_by_period('{"a": {"tariff": "at 2", "anchor": "2024-01-31", "timezone": "UTC"}}', 'a', '2024-02-03', -1, '1 month');
SELECT meter.charges_by_period((SELECT by_id FROM book), id, at, quantity, '1 month') FROM used WHERE id IN (3, 4);
SELECT meter.charges_by_period((SELECT by_id FROM book), id, at, quantity, CASE WHEN at < '2025-01-01' THEN interval '1 month' ELSE '2 months' END) FROM used WHERE id = 3;
DROP VIEW book;
DROP TABLE payer, used, joined;
