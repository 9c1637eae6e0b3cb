-- What is measured, how, and what comes of it.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
SET search_path = bench, pg_catalog;

-- How a task's rows are used up by the clock (every row is made, few leave the server), and what two
-- answers are compared by. T3 and T6 have a row an event: their answers are compared by sums per
-- customer, one of them weighted so that no two events can be swapped unseen.
CREATE TABLE task (
    task text PRIMARY KEY,
    title text NOT NULL,
    base text NOT NULL DEFAULT 'F3',    -- what its ratios are multiples of
    floor text,                         -- the least that any query of its kind does
    goal numeric,                       -- the most that meter may take, as a multiple of its base
    covered boolean NOT NULL DEFAULT false,    -- whether the covering index may be used
    consume text NOT NULL,
    compare text,
    same_as text    -- the task whose answer it has, where that ran too
);

INSERT INTO task (task, title, base, floor, goal, covered, consume, compare) VALUES
    ('F1', 'scan: count(*)', 'F3', NULL, NULL, false, 'sum(count)', NULL),
    ('F3', 'sum of input tokens per customer', 'F3', NULL, NULL, false, 'sum(tokens)', NULL),
    ('F3u', 'F3 on the table with a usage column', 'F3', NULL, NULL, false, 'sum(tokens)', NULL),
    ('F4', 'three sums per customer', 'F3', NULL, NULL, false, 'sum(tokens), sum(cached), sum(output)', NULL),
    ('F5', 'join to customer', 'F3', NULL, NULL, false, 'count(anchor)', NULL),
    ('F6', 'join to customer, sum per customer', 'F3', NULL, NULL, false, 'sum(tokens)', NULL),
    ('F7', 'row_number per customer over the covering index', 'F3', NULL, NULL, true, 'count(number)', NULL),
    ('F8', 'sum per customer over the covering index', 'F3', NULL, NULL, true, 'sum(tokens)', NULL),
    ('T1', 'cost per customer, as-of prices, from the user''s columns', 'F3', 'F4', 1.2, false,
        'count(cost), sum(cost)', 'customer_id, NULL::timestamptz, 1, cost, NULL::numeric, NULL::numeric'),
    ('T1u', 'the same from a usage column', 'F3u', 'F3u', 1.2, false,
        'count(cost), sum(cost)', 'customer_id, NULL::timestamptz, 1, cost, NULL::numeric, NULL::numeric'),
    ('T2', 'charge and overage per customer and period', 'F3', 'F3', 1.6, false,
        'count(charge), sum(quantity), sum(overage), sum(charge)',
        'customer_id, period_start, 1, charge, quantity, overage'),
    ('T2i', 'the same over the covering index', 'F3', 'F8', NULL, true,
        'count(charge), sum(quantity), sum(overage), sum(charge)',
        'customer_id, period_start, 1, charge, quantity, overage'),
    ('T3', 'each event''s share, with the covering index', 'F3', 'F7', 2.4, true,
        'count(share)',
        'customer_id, NULL::timestamptz, count(*), sum(share), sum(share * (event_id % 997 + 1)), NULL::numeric'),
    ('T4', 'wallet of every customer, three lots each, with expiry', 'F3', 'F3', 1.4, false,
        'count(balance), sum(balance), sum(overage)', 'customer_id, NULL::timestamptz, 1, balance, overage, NULL::numeric'),
    ('T4e', 'what lots cover of each event, with the covering index', 'F3', 'F7', 2.6, true,
        'count(covered)',
        'customer_id, NULL::timestamptz, count(*), sum(covered), sum(covered * (event_id % 997 + 1)), NULL::numeric'),
    ('T6', 'period of every event, each customer with an anchor and zone', 'F3', 'F5', 1.3, false,
        'max(period_start)',
        'customer_id, NULL::timestamptz, count(*), sum(extract(epoch FROM period_start)::bigint), '
        'sum(extract(epoch FROM period_start)::bigint * (event_id % 997 + 1)), NULL::numeric');

UPDATE task SET same_as = 'T1' WHERE task = 'T1u';
UPDATE task SET same_as = 'T2' WHERE task = 'T2i';

-- A file of queries/ each, named TASK.KIND: the query that gives the task's whole answer.
CREATE TABLE query (
    name text PRIMARY KEY,
    task text NOT NULL REFERENCES task,
    kind text NOT NULL,
    body text NOT NULL,
    workers integer NOT NULL DEFAULT 0,
    slow boolean NOT NULL DEFAULT false,
    -- a peer may deliver money as whole ten-billionths, if that is faster
    scale numeric NOT NULL DEFAULT 1
);

CREATE TABLE timing (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    events bigint NOT NULL,
    name text NOT NULL REFERENCES query,
    round integer NOT NULL,
    wall double precision NOT NULL,    -- milliseconds by the server's clock
    cpu double precision,              -- of which the backend was on a processor
    base_wall double precision,        -- what the task's base took the last time, just before
    base_cpu double precision
);

CREATE TABLE answer (
    name text NOT NULL REFERENCES query,
    customer_id integer NOT NULL,
    period_start timestamptz,
    rows bigint NOT NULL,
    a numeric,
    b numeric,
    c numeric
);

CREATE FUNCTION timed_sql(asked query) RETURNS text
    LANGUAGE sql STABLE
    RETURN (SELECT format(E'SELECT %s FROM (\n%s\n) AS answer',
        -- DuckDB leaves out what only a count needs
        CASE WHEN asked.task IN ('T3', 'T4e') AND asked.kind = 'duckdb' THEN replace(consume, 'count(', 'sum(') ELSE consume END, asked.body) FROM task WHERE task.task = asked.task);

CREATE FUNCTION answer_sql(asked query) RETURNS text
    LANGUAGE sql STABLE
    RETURN (SELECT format(E'SELECT %s FROM (\n%s\n) AS answer%s', compare, asked.body,
        CASE WHEN compare LIKE '%sum(%' THEN ' GROUP BY customer_id' ELSE '' END) FROM task WHERE task.task = asked.task);

CREATE PROCEDURE prepare_for(asked query)
    LANGUAGE plpgsql
AS $$
BEGIN
    SET search_path = app, pg_catalog;
    SET jit = off;
    SET work_mem = '512MB';
    PERFORM set_config('max_parallel_workers_per_gather', asked.workers::text, false);
    PERFORM set_config('enable_indexscan', covered::text, false),
        set_config('enable_indexonlyscan', covered::text, false),
        set_config('enable_bitmapscan', covered::text, false)
    FROM bench.task WHERE task.task = asked.task;
END
$$;

CREATE PROCEDURE note_time(query_name text, n bigint, round_number integer, wall double precision, cpu double precision)
    LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO bench.timing (events, name, round, wall, cpu, base_wall, base_cpu)
    SELECT n, query_name, round_number, note_time.wall, note_time.cpu, coalesce(last.wall, note_time.wall), coalesce(last.cpu, note_time.cpu)
    FROM bench.query
    JOIN bench.task USING (task)
    LEFT JOIN LATERAL (
        SELECT timing.wall, timing.cpu
        FROM bench.timing
        WHERE timing.events = n AND timing.name = task.base AND query.name <> task.base
        ORDER BY id DESC
        LIMIT 1) AS last ON true
    WHERE query.name = query_name;
END;

-- Runs a query once by the server's clock.
CREATE PROCEDURE measure(query_name text, n bigint, round_number integer)
    LANGUAGE plpgsql
AS $$
DECLARE
    asked bench.query;
    sql text;
    wall double precision;
    cpu double precision;
BEGIN
    SELECT * INTO STRICT asked FROM bench.query WHERE name = query_name;
    sql := bench.timed_sql(asked);
    CALL bench.prepare_for(asked);
    cpu := split_part(pg_read_file('/proc/self/schedstat', 0, 100, true), ' ', 1)::double precision;
    wall := extract(epoch FROM clock_timestamp());
    EXECUTE sql;
    wall := extract(epoch FROM clock_timestamp()) - wall;
    cpu := split_part(pg_read_file('/proc/self/schedstat', 0, 100, true), ' ', 1)::double precision - cpu;
    CALL bench.note_time(query_name, n, round_number, wall * 1e3, CASE WHEN asked.workers = 0 THEN cpu / 1e6 END);
END
$$;

-- Keeps a query's whole answer, to compare.
CREATE PROCEDURE keep_answer(query_name text)
    LANGUAGE plpgsql
AS $$
DECLARE
    asked bench.query;
BEGIN
    SELECT * INTO STRICT asked FROM bench.query WHERE name = query_name;
    CALL bench.prepare_for(asked);
    DELETE FROM bench.answer WHERE name = query_name;
    EXECUTE format('INSERT INTO bench.answer SELECT %L, answered.* FROM (%s) AS answered',
        query_name, bench.answer_sql(asked));
END
$$;

-- The kinds that do not give the answer of the reference, with the number of lines that differ.
CREATE FUNCTION differences(task_name text, reference text) RETURNS TABLE (name text, lines bigint)
    LANGUAGE sql
BEGIN ATOMIC
    WITH scaled AS (
        SELECT query.name, customer_id, period_start, rows, a * scale AS a, b * CASE WHEN c IS NULL THEN scale ELSE 1 END AS b, c
        FROM query JOIN answer USING (name)
        WHERE task IN (SELECT unnest(ARRAY[task_name, same_as]) FROM task WHERE task = task_name)
    ), wanted AS (
        SELECT customer_id, period_start, rows, a, b, c FROM scaled WHERE name = reference
    )
    SELECT name, (
        SELECT count(*)
        FROM ((SELECT customer_id, period_start, rows, a, b, c FROM scaled WHERE scaled.name = query.name EXCEPT ALL TABLE wanted)
              UNION ALL
              (TABLE wanted EXCEPT ALL SELECT customer_id, period_start, rows, a, b, c FROM scaled WHERE scaled.name = query.name)) AS different)
    FROM query
    WHERE task IN (SELECT unnest(ARRAY[task_name, same_as]) FROM task WHERE task = task_name)
      AND EXISTS (SELECT FROM answer WHERE answer.name = query.name);
END;

-- Medians, and ratios to what the base took just before.
CREATE VIEW result AS
SELECT events, task, kind, name, count(DISTINCT round) AS rounds,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY wall) AS wall,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY cpu) AS cpu,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY wall / base_wall) AS ratio,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY cpu / base_cpu) AS cpu_ratio
FROM timing
JOIN query USING (name)
GROUP BY events, task, kind, name;
