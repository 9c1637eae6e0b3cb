-- What is billed in the tasks of plans and invoices, and what is right by plain SQL: see billing.sh.
--
-- 10,000 customers on four plans of four items each, for half a year, which has all events in it: a
-- fee in advance, seats by the day (a third of the customers add some half-way), a graduated tariff
-- of input tokens, and the cost of the models and a fifth.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET search_path = app, pg_catalog;

INSERT INTO bench.event_task (task, title, base, goal) VALUES
    ('P1', 'closing a period of 10,000 customers with four items each', 'F3', 1.5),
    ('P1.lines', 'of which: its finished lines and invoices into empty copies of their tables', 'F3', NULL),
    ('P2', 'preview of one customer, 5,000 events in no roll-up (goal: ms on CPU)', 'ms', 2),
    ('P2.first', 'the first preview of a session (ms on CPU)', 'ms', NULL);
INSERT INTO bench.event_timing (task, round, wall, cpu) VALUES ('ms', 0, 1, 1);

INSERT INTO meter.metric (metric, aggregation, unit, description) VALUES
    ('input_tokens', 'sum', 'input_tokens', 'Input tokens'),
    ('model_cost', 'cost', NULL, 'Models at cost and 20 %');

INSERT INTO meter.plan (plan, currency, every, anchor)
SELECT 'plan_' || plan_id, 'USD', '6 months', '2025-07-01' FROM plan;

INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, timing, metric, tariff)
SELECT 'plan_' || plan_id, position, plan_item, kind, amount, timing, metric, coalesce(item.tariff, CASE WHEN metric IS NOT NULL THEN plan.tariff END)
FROM plan,
    (VALUES
        (1, 'fee', 'fee', 490, 'advance', NULL, NULL::meter.tariff),
        (2, 'seats', 'seat', NULL, 'arrears', NULL, 'at 20'),
        (3, 'tokens', 'usage', NULL, 'arrears', 'input_tokens', NULL),
        (4, 'cost', 'cost_plus', NULL, 'arrears', 'model_cost', 'at 1.2'))
        AS item (position, plan_item, kind, amount, timing, metric, tariff);

CREATE TABLE subscriber AS
SELECT customer_id::text AS customer_id, plan_id, 1 + pick(customer_id, 41, 5) AS seats, CASE WHEN customer_id % 3 = 0 THEN 1 + pick(customer_id, 42, 3) ELSE 0 END AS more_seats,
    meter.subscribe(customer_id::text, 'plan_' || plan_id, since => '2025-07-01') AS subscription_id
FROM customer;

INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity, valid)
SELECT subscription_id, 'seats', seats, daterange('2025-07-01', NULL) FROM subscriber
UNION ALL
SELECT subscription_id, 'seats', more_seats, daterange('2025-10-01', NULL) FROM subscriber WHERE more_seats > 0;

-- What a customer owes for the half-year, and in advance for the next: from the application's own
-- tables, without a function of meter. October begins in the middle of its 184 days.
CREATE TABLE owed AS
WITH used AS (
    SELECT customer_id, sum(input_tokens) AS tokens FROM usage_event GROUP BY customer_id
), spent AS (
    SELECT customer_id, sum(CASE unit WHEN 'input_tokens' THEN input_tokens WHEN 'cache_read_tokens' THEN cache_read_tokens ELSE output_tokens END * price) / 1000000 AS cost
    FROM usage_event AS event
    JOIN rate ON rate.model = event.model AND event.at <@ rate.valid
    GROUP BY customer_id
)
SELECT customer_id::text AS customer_id, 'fee' AS plan_item, 490::numeric AS amount FROM customer
UNION ALL
SELECT customer_id, 'seats', round(20 * (seats * 92 + (seats + more_seats) * 92) / 184.0, 2) FROM subscriber
UNION ALL
SELECT customer_id::text, 'tokens', round((
    greatest(0, least(coalesce(tokens, 0), bound1) - included) * price1
    + greatest(0, least(coalesce(tokens, 0), bound2) - bound1) * price2
    + greatest(0, coalesce(tokens, 0) - bound2) * price3) / 1000000, 2)
FROM customer
JOIN plan USING (plan_id)
LEFT JOIN used USING (customer_id)
UNION ALL
SELECT customer_id::text, 'cost', round(coalesce(cost, 0) * 1.2, 2) FROM customer LEFT JOIN spent USING (customer_id);

-- As before anything was closed: final invoices stay, but for who turns all triggers off.
CREATE PROCEDURE reopen()
    LANGUAGE plpgsql
AS $$
BEGIN
    SET LOCAL session_replication_role = replica;
    TRUNCATE meter.invoice, meter.invoice_line, meter.invoice_mark, meter.billing_problem, meter.billing_account;
END
$$;

-- Lines that are not what is owed, of a table of customer_id, plan_item and amount.
CREATE FUNCTION wrong_lines(lines regclass) RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    wrong bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s AS line FULL JOIN app.owed USING (customer_id, plan_item) WHERE line.amount IS DISTINCT FROM owed.amount', lines) INTO wrong;
    RETURN wrong;
END
$$;

-- A preview as an application asks for it: the session's first, which plans it, and the mean of a
-- hundred more.
CREATE PROCEDURE bench.time_preview(customer text, round integer)
    LANGUAGE plpgsql
AS $$
DECLARE
    wall double precision := extract(epoch FROM clock_timestamp());
    cpu double precision := bench.on_cpu();
BEGIN
    SET jit = off;
    PERFORM FROM meter.preview_lines(customer, '2025-12-29 12:00+00');
    INSERT INTO bench.event_timing (task, round, wall, cpu)
    VALUES ('P2.first', round, (extract(epoch FROM clock_timestamp()) - wall) * 1e3, bench.on_cpu() - cpu);
    FOR i IN 1..10 LOOP
        PERFORM FROM meter.preview_lines(customer, '2025-12-29 12:00+00');
    END LOOP;
    wall := extract(epoch FROM clock_timestamp());
    cpu := bench.on_cpu();
    FOR i IN 1..100 LOOP
        PERFORM FROM meter.preview_lines(customer, '2025-12-29 12:00+00');
    END LOOP;
    INSERT INTO bench.event_timing (task, round, wall, cpu)
    VALUES ('P2', round, (extract(epoch FROM clock_timestamp()) - wall) * 10, (bench.on_cpu() - cpu) / 100);
END
$$;
