-- What closed periods rest on: whatever of it changes is adjusted, or refused, or stays as it was invoiced.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.metric (metric, aggregation, key) VALUES ('users', 'unique', 'user_id');
INSERT INTO meter.metric (metric, aggregation, unit, tags) VALUES ('tagged', 'sum', 'input_tokens', '{"team": "x"}');
INSERT INTO meter.metric (metric, aggregation, unit, key, recurring) VALUES ('gb', 'latest', 'gb', 'workflow_id', true);
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 5), ('credit', 'paint', 'actions', 7);
INSERT INTO meter.plan (plan, currency) VALUES ('users', 'USD'), ('credits', 'USD');
INSERT INTO meter.plan (plan, currency, family) VALUES ('more', 'USD', 'more'), ('pools', 'USD', 'pools');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('users', 'users', 'usage', 'users', 'at 10'), ('users', 'tagged', 'usage', 'tagged', 'at 1');
INSERT INTO meter.plan_item (plan, plan_item, kind, credit_type, pool, quantity, tariff) VALUES ('credits', 'base', 'credit', 'credit', NULL, 10, 'at 1'), ('more', 'base', 'credit', 'credit', NULL, 10, 'at 1'), ('pools', 'images', 'credit', 'credit', 'images', 10, 'at 1'), ('pools', 'free', 'credit', 'credit', NULL, 10, NULL);
CREATE VIEW pg_temp.lines AS
SELECT line.customer_id, plan_item, revision, quantity, rated_amount AS rated, amount FROM meter.invoice_line AS line WHERE amount <> 0 ORDER BY invoice_id, line_number;

-- It can be closed without a procedure, too.
SELECT meter.subscribe('a', 'users', since => '2023-01-01') IS NOT NULL AS a, meter.subscribe('b', 'users', since => '2023-01-01', until => '2023-02-01') IS NOT NULL AS b;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage, user_id, workflow_id, tags)
SELECT customer, n::text, timestamptz '2023-01-05 00:00+00' + n * interval '1 day', meter.usage('input_tokens', n), 'u' || n, 'w', '{"team": "x"}'
FROM (VALUES ('a'), ('b')) AS customer (customer), generate_series(1, 3) AS n;
-- Another user before anything was ever billed takes nothing from the preview.
UPDATE meter.usage_event SET user_id = 'u4' WHERE customer_id = 'b' AND event_id = '3';
SELECT plan_item, amount FROM meter.preview_lines('b', '2023-05-01 00:00+00') ORDER BY plan_item;
SELECT meter.purgeable_until('b');
SELECT * FROM meter.close_customers('{a,b,nobody}', '2023-02-01', '2023-03-01 00:00+00');
TABLE pg_temp.lines;

-- Users and tags of events can be changed, and that is an adjustment.
UPDATE meter.usage_event SET user_id = 'u2' WHERE customer_id = 'a';
SELECT customer_id, since FROM meter.invoice_mark ORDER BY since;
SELECT plan_item, rated_amount, invoiced, amount FROM meter.preview_lines('a', '2023-02-01 00:00+00') WHERE amount <> 0;
CALL meter.close_periods('2023-02-01');
UPDATE meter.usage_event SET tags = NULL WHERE customer_id = 'a' AND event_id = '3';
CALL meter.close_periods('2023-02-01');
SELECT * FROM pg_temp.lines WHERE revision > 0;
UPDATE meter.usage_event SET user_id = user_id;
SELECT count(*) FROM meter.invoice_mark;

-- An erasure empties them, and the money stays, whatever has the period rated again.
SELECT meter.erase_customer('b');
SELECT count(*) FROM meter.invoice_mark;
INSERT INTO meter.invoice_mark (customer_id, since) SELECT customer_id, '2023-01-01' FROM meter.billing_account;
CALL meter.close_periods('2023-02-01');
SELECT count(*), sum(total), count(*) FILTER (WHERE customer_id LIKE 'erased-%') FROM meter.invoice;
SELECT plan_item, sum(amount) FROM meter.invoice_line WHERE customer_id LIKE 'erased-%' GROUP BY plan_item ORDER BY plan_item;

-- Overage of credits that two plans charge is told of: the unrestricted item charges every pool that its version does not name.
SELECT meter.subscribe('c', 'credits', since => '2023-01-01', until => '2023-02-01') IS NOT NULL AS c, meter.subscribe('d', 'credits', since => '2023-01-01', until => '2023-02-01') IS NOT NULL AS d, meter.subscribe('d', 'pools', since => '2023-01-16', until => '2023-02-01') IS NOT NULL AS d_pools;
SELECT customer_id, period, plan_item, state, problem FROM meter.period_problem ORDER BY customer_id, plan_item;
SELECT meter.subscribe('c', 'more', since => '2023-01-16', until => '2023-03-01') IS NOT NULL AS c_more;
SELECT customer_id, period, plan_item, state, problem FROM meter.period_problem WHERE customer_id = 'c';
INSERT INTO meter.plan (plan, currency) VALUES ('twice', 'USD');
INSERT INTO meter.plan_item (plan, plan_item, kind, credit_type, pool, tariff) VALUES ('twice', 'one', 'credit', 'credit', NULL, 'at 1'), ('twice', 'two', 'credit', 'credit', NULL, 'at 1'), ('twice', 'three', 'credit', 'credit', 'images', 'at 1'), ('twice', 'free', 'credit', 'credit', NULL, NULL);
TABLE meter.plan_problem;

-- What credits an action takes stays, where it was done in a closed period.
INSERT INTO meter.action (action, pool) VALUES ('draw', 'images');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, action, usage) VALUES ('d', '1', '2023-01-05 00:00+00', 'chat', '{"actions": 3}'), ('d', '2', '2023-03-05 00:00+00', 'paint', '{"actions": 3}');
UPDATE meter.action SET pool = NULL WHERE action = 'draw';
CALL meter.close_periods('2023-02-01');
INSERT INTO meter.action (action, pool) VALUES ('chat', 'images');
INSERT INTO meter.action (action, description) VALUES ('chat', 'Ask and answer');
UPDATE meter.action SET credit_type = 'other' WHERE action = 'chat';
UPDATE meter.action SET action = 'chat' WHERE action = 'draw';
UPDATE meter.action SET description = 'Ask, and be answered' WHERE action = 'chat';
INSERT INTO meter.action (action, pool) VALUES ('paint', 'images');
DELETE FROM meter.action;
-- A restore brings it back.
INSERT INTO meter.action (action, pool, added_at) VALUES ('chat', 'images', '2020-01-01');
DELETE FROM meter.action;

-- What recurring metrics go on from is one event a key, purge after purge.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage, workflow_id)
SELECT 'g', n::text, timestamptz '2020-01-01 00:00+00' + n * interval '1 day', meter.usage('gb', n), 'w' || n % 2
FROM generate_series(1, 100) AS n;
DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM meter.refresh_now(); EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$;
SET client_min_messages = warning;
SELECT meter.carry_events('2020-01-10'), meter.carry_events('2020-01-20', 'g'), meter.carry_events('2020-01-20', 'g');
SELECT metric, customer_id, event_id, usage, workflow_id FROM meter.carried_event ORDER BY event_id;

-- A line's revision is one more than the last of its key, also where a draft's line is gone from in between.
INSERT INTO meter.metric (metric, aggregation, unit) VALUES ('tokens', 'sum', 'input_tokens');
INSERT INTO meter.plan (plan, currency) VALUES ('tokens', 'USD');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('tokens', 'tokens', 'usage', 'tokens', 'at 1');
SELECT meter.subscribe('r', 'tokens', since => '2023-01-01', until => '2023-02-01') IS NOT NULL AS r;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('r', '1', '2023-01-05 00:00+00', '{"input_tokens": 1}');
CALL meter.close_periods('2023-02-01', state => 'draft');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('r', '2', '2023-01-05 00:00+00', '{"input_tokens": 2}');
CALL meter.close_periods('2023-02-01');
SELECT revision, amount FROM pg_temp.lines WHERE customer_id = 'r' ORDER BY revision;
DELETE FROM meter.invoice_line WHERE customer_id = 'r' AND revision = 0;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('r', '3', '2023-01-05 00:00+00', '{"input_tokens": 4}');
CALL meter.close_periods('2023-02-01');
SELECT revision, amount FROM pg_temp.lines WHERE customer_id = 'r' ORDER BY revision;
SELECT meter.void_invoice(invoice_id, 'wrong', rebill => false) IS NOT NULL AS voided FROM meter.invoice_line WHERE customer_id = 'r' AND revision = 1;
SELECT revision, amount FROM pg_temp.lines WHERE customer_id = 'r' ORDER BY revision;
SELECT problem FROM meter.billing_problem WHERE customer_id = 'r';

-- A customer's zone can be put right in a closed period, too: what goes to another day, and period, is adjusted, and all invoices add up to what is rated now.
SELECT meter.subscribe('z', 'tokens', since => '2023-01-01', until => '2023-03-01') IS NOT NULL AS z;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('z', '1', '2023-01-05 00:00+00', '{"input_tokens": 1}'), ('z', '2', '2023-01-31 20:00+00', '{"input_tokens": 10}'), ('z', '3', '2023-02-05 20:00+00', '{"input_tokens": 100}');
SELECT * FROM meter.close_customers('{z}', '2023-02-01', '2023-02-05 00:00+00');
INSERT INTO meter.customer_zone (customer_id, since, timezone) VALUES ('z', '2023-01-15', 'Asia/Tokyo');
SELECT period, quantity, rated_amount, invoiced, amount FROM meter.preview_lines('z', '2023-03-05 00:00+00') ORDER BY period;
SELECT * FROM meter.close_customers('{z}', '2023-03-01', '2023-03-05 00:00+00');
SELECT period, revision, adjustment, quantity, rated_amount, amount FROM meter.invoice_line WHERE customer_id = 'z' ORDER BY period, revision;
SELECT sum(amount) FROM meter.invoice_line WHERE customer_id = 'z';
SELECT count(*) FROM meter.close_customers('{z}', '2023-03-01', '2023-03-05 00:00+00') WHERE invoices > 0;
DELETE FROM meter.customer_zone WHERE customer_id = 'z';
SELECT * FROM meter.close_customers('{z}', '2023-03-01', '2023-03-05 00:00+00');
SELECT period, sum(amount) FROM meter.invoice_line WHERE customer_id = 'z' GROUP BY period ORDER BY period;

-- A metric or a plan that was named before it was there is charged from then on that it was, in closed periods too.
INSERT INTO meter.plan (plan, currency) VALUES ('early', 'USD');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('early', 'tokens', 'usage', 'tokens', 'at 1'), ('early', 'calls', 'usage', 'calls_to_come', 'at 7');
SELECT meter.subscribe('early', 'early', since => '2023-01-01', until => '2023-02-01') IS NOT NULL AS early;
INSERT INTO meter.subscription (customer_id, family, plan, valid, anchor, price_since) VALUES ('early', 'second', 'plan_to_come', '[2023-01-01,2023-02-01)', '2023-01-01', '2023-01-01');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('early', '1', '2023-01-05 00:00+00', '{"input_tokens": 1}');
DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM meter.refresh_now(); EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$;
CALL meter.close_periods('2023-02-01');
SELECT plan_item, problem FROM meter.period_problem WHERE customer_id = 'early' ORDER BY plan_item;
INSERT INTO meter.metric (metric, aggregation) VALUES ('calls_to_come', 'count');
CALL meter.close_periods('2023-02-01');
INSERT INTO meter.plan (plan, currency, family) VALUES ('plan_to_come', 'USD', 'second');
INSERT INTO meter.plan_item (plan, plan_item, kind, amount) VALUES ('plan_to_come', 'fee', 'fee', 50);
SELECT plan_item, amount FROM meter.preview_lines('early', '2023-02-05 00:00+00') WHERE amount <> 0;
CALL meter.close_periods('2023-02-01');
TABLE pg_temp.lines OFFSET (SELECT count(*) - 3 FROM pg_temp.lines);
SELECT count(*) FROM meter.invoice_mark WHERE customer_id = 'early';

-- A subscription is not put on a plan in another currency than its invoices have: change_plan makes another one.
INSERT INTO meter.plan (plan, version, currency) VALUES ('early', 2, 'EUR'), ('early', 3, 'USD');
UPDATE meter.subscription SET version = 2 WHERE customer_id = 'early' AND plan = 'early';
UPDATE meter.subscription SET version = 3 WHERE customer_id = 'early' AND plan = 'early';
SELECT plan_item, rated_amount, invoiced, amount FROM meter.preview_lines('early', '2023-02-05 00:00+00') WHERE amount <> 0 ORDER BY plan_item;
