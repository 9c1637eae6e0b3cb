-- What is measured of events and the roll-up, and the clock for it: see events.sh.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET search_path = bench, pg_catalog;

CREATE TABLE event_task (
    task text PRIMARY KEY,
    title text NOT NULL,
    base text NOT NULL,    -- what its ratio is a multiple of: that task's last time before
    goal numeric
);

INSERT INTO event_task (task, title, base, goal) VALUES
    ('I1', 'ingest by COPY', 'I1.bare', 1.2),
    ('I2', 'ingest by INSERTs of 100 rows', 'I2.bare', 1.2),
    ('I3', 'ingest by meter.record, 8 clients', 'I3.bare', 1.5),
    ('R1', 'roll-up of all events from nothing', 'F3', 3),
    ('R1.count', 'of which: counting the events of each customer and day, in plain SQL', 'F3', NULL),
    ('R1.floor', 'of which: its finished rows, sorted, into empty copies of its tables', 'F3', NULL),
    ('R2', 'refresh of 1 % new events', 'R1', 0.02),
    ('C1', 'cost per customer, with a tail of 1 %', 'F3', 0.25),
    ('C2', 'cost per customer and day, with a tail of 1 %', 'F3', 0.25),
    ('C2.floor', 'of which: adding up the rows of the roll-up, without the tail', 'F3', NULL),
    ('C2.tail', 'of which: rating the tail once', 'F3', NULL),
    ('C3', 'cost per customer from usage_by_day, with a tail of 1 %', 'F3', NULL),
    ('M1', 'customer_margin of every customer and month, with a tail of 1 %', 'F3', 0.35),
    ('M1.plain', 'the same in plain SQL over all events', 'F3', NULL),
    ('M2', 'cost_spread of every month, with a tail of 1 %', 'F3', 0.35),
    ('M2.plain', 'the same in plain SQL over all events, without plans, segments and revenue', 'F3', NULL),
    ('M3', 'all columns of customer_margin, cost by layer too', 'F3', NULL),
    ('D1', 'cost per customer at three times the events on the same customers'' days', 'D1.once', 1.1),
    ('D2', 'cost per customer and day at three times the events on the same days', 'D2.once', 1.1),
    ('D3', 'customer_margin at three times the events on the same customers'' days', 'D3.once', 1.1),
    ('D4', 'cost_spread at three times the events on the same days', 'D4.once', 1.1),
    ('V1', 'reading a tail of 1 % of small events that came after VACUUM', 'V1.before', NULL),
    ('B1', 'bytes per event with its index, of the same as jsonb with its index', 'B1.jsonb', NULL),
    ('B2', 'bytes of its usage, of the same as jsonb', 'B2.jsonb', NULL);

-- wall and cpu in milliseconds, or bytes as wall.
CREATE TABLE event_timing (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    task text NOT NULL,
    round integer NOT NULL,
    wall double precision NOT NULL,
    cpu double precision
);

CREATE FUNCTION on_cpu() RETURNS double precision
    LANGUAGE sql
    RETURN split_part(pg_read_file('/proc/self/schedstat', 0, 100, true), ' ', 1)::double precision / 1e6;

-- The session's clock is put on with start, and what it says is kept by stop.
CREATE PROCEDURE start()
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('bench.wall', extract(epoch FROM clock_timestamp())::text, false);
    PERFORM set_config('bench.cpu', bench.on_cpu()::text, false);
END
$$;

CREATE PROCEDURE stop(task text, round integer)
    LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO bench.event_timing (task, round, wall, cpu)
    VALUES (task, round, (extract(epoch FROM clock_timestamp()) - current_setting('bench.wall')::double precision) * 1e3,
        bench.on_cpu() - current_setting('bench.cpu')::double precision);
END;

-- Runs a query once by the server's clock, in one process.
CREATE PROCEDURE time_query(task text, round integer, query text)
    LANGUAGE plpgsql
AS $$
BEGIN
    SET jit = off;
    SET work_mem = '512MB';
    SET max_parallel_workers_per_gather = 0;
    SET search_path = app, pg_catalog;
    CALL bench.start();
    EXECUTE query;
    CALL bench.stop(task, round);
END
$$;

-- Each time over what the task's base took just before.
CREATE VIEW event_result AS
SELECT event_task.task, title, base, goal, count(*) AS rounds,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY timing.wall) AS wall,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY timing.cpu) AS cpu,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY timing.wall / based.wall) AS ratio,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY timing.cpu / based.cpu) AS cpu_ratio
FROM event_task
JOIN event_timing AS timing USING (task)
CROSS JOIN LATERAL (
    SELECT wall, cpu
    FROM event_timing AS before
    WHERE before.task = event_task.base AND before.id < timing.id
    ORDER BY id DESC
    LIMIT 1) AS based
GROUP BY event_task.task, title, base, goal;

-- A table with what a sender says of an event, and its primary key alone.
CREATE TABLE app.bare (
    customer_id text NOT NULL,
    event_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    item text,
    usage meter.usage NOT NULL,
    action text,
    variant text NOT NULL,
    outcome text,
    request_class text,
    user_id text,
    workflow_id text,
    tags jsonb,
    PRIMARY KEY (customer_id, event_id)
);

-- The events as a sender sends them.
CREATE VIEW app.sent AS
SELECT customer_id::text AS customer_id, event_id::text AS event_id, at AS occurred_at, model AS item, usage,
    CASE WHEN event_id % 3 = 0 THEN 'chat' END AS action, 'standard'::text AS variant,
    CASE WHEN event_id % 3 = 0 THEN 'success' END AS outcome, 'chat'::text AS request_class,
    user_name AS user_id, 'w' || event_id % 100000 AS workflow_id, NULL::jsonb AS tags, event_id AS number
FROM app.usage_packed;

INSERT INTO meter.rate (card, item, unit, price, per, valid)
SELECT 'cost', model, unit, price, 1000000, valid FROM app.rate;
