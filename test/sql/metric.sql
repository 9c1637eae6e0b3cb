-- Metrics: what is measured in a period.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- What makes no sense is no metric.
INSERT INTO meter.metric (metric, aggregation) VALUES ('no_unit', 'sum');
INSERT INTO meter.metric (metric, aggregation, unit) VALUES ('no_key', 'unique', 'gb');
INSERT INTO meter.metric (metric, aggregation) VALUES ('no_key', 'unique');
INSERT INTO meter.metric (metric, aggregation, unit, recurring) VALUES ('recurring_sum', 'sum', 'gb', true);
INSERT INTO meter.metric (metric, aggregation, unit) VALUES ('median', 'median', 'gb');
INSERT INTO meter.metric (metric, aggregation, key) VALUES ('key', 'unique', 'tag:');
INSERT INTO meter.metric (metric, aggregation, tags) VALUES ('tagged_cost', 'cost', '{"a": 1}');
INSERT INTO meter.metric (metric, aggregation, rounding) VALUES ('to_what', 'count', 'ceil');
INSERT INTO meter.metric (metric, aggregation, outcomes) VALUES ('outcome', 'count', '{lost}');

INSERT INTO meter.rate (item, unit, price, per) VALUES ('gpt', 'input_tokens', 2.5, 1000000), ('mini', 'input_tokens', 0.5, 1000000);
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 5);
INSERT INTO meter.metric (metric, aggregation, unit, key, recurring, items, actions, variants, outcomes, tags, digits, rounding) VALUES
	('tokens', 'sum', 'input_tokens', NULL, false, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('gpt_tokens', 'sum', 'input_tokens', NULL, false, '{gpt}', NULL, NULL, '{success}', NULL, NULL, NULL),
	('batch_tokens', 'sum', 'input_tokens', NULL, false, NULL, NULL, '{batch}', '{success}', NULL, NULL, NULL),
	('failed_tokens', 'sum', 'input_tokens', NULL, false, NULL, NULL, NULL, '{failure,pending}', NULL, NULL, NULL),
	('eu_tokens', 'sum', 'input_tokens', NULL, false, NULL, NULL, NULL, '{success}', '{"region": "eu"}', NULL, NULL),
	('events', 'count', NULL, NULL, false, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('eu_events', 'count', NULL, NULL, false, NULL, NULL, NULL, '{success}', '{"region": "eu"}', NULL, NULL),
	('chats', 'sum', 'actions', NULL, false, NULL, '{chat}', NULL, '{success}', NULL, NULL, NULL),
	('cost', 'cost', NULL, NULL, false, NULL, NULL, NULL, '{success,failure,pending,disputed}', NULL, NULL, NULL),
	('credits', 'credits', NULL, NULL, false, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('largest', 'max', 'input_tokens', NULL, false, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('users', 'unique', NULL, 'user_id', false, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('users_ever', 'unique', NULL, 'user_id', true, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('regions', 'unique', NULL, 'tag:region', false, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('gb_last', 'latest', 'gb', NULL, false, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('gb_last_ever', 'latest', 'gb', NULL, true, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('gb_last_by_bucket', 'latest', 'gb', 'tag:bucket', true, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('gb_held', 'time_weighted', 'gb', 'tag:bucket', false, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('gb_held_ever', 'time_weighted', 'gb', 'tag:bucket', true, NULL, NULL, NULL, '{success}', NULL, NULL, NULL),
	('thousands', 'sum', 'input_tokens', NULL, false, NULL, NULL, NULL, '{success}', NULL, -3, NULL),
	('thousands_up', 'sum', 'input_tokens', NULL, false, NULL, NULL, NULL, '{success}', NULL, -3, 'ceil');
INSERT INTO meter.plan (plan, currency) VALUES ('all', 'USD');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff)
SELECT 'all', metric, 'usage', metric, 'at 1' FROM meter.metric;
TABLE meter.plan_problem;
SELECT meter.subscribe('acme', 'all', since => '2026-01-01');

INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, user_id, tags) VALUES
	('acme', 'jan1', '2026-01-31 23:59:59.999999+00', 'gpt', '{"input_tokens": 100}', NULL, 'standard', NULL, 'u0', NULL),
	('acme', 'jan2', '2026-01-10 00:00+00', NULL, '{"gb": 8}', NULL, 'standard', NULL, NULL, '{"bucket": "a"}'),
	('acme', 'jan3', '2026-01-20 00:00+00', NULL, '{"gb": 3}', NULL, 'standard', NULL, NULL, '{"bucket": "b"}'),
	('acme', 'f1', '2026-02-01 00:00+00', 'gpt', '{"input_tokens": 1000, "actions": 1}', 'chat', 'standard', NULL, 'u1', '{"region": "eu"}'),
	('acme', 'f2', '2026-02-02 00:00+00', 'gpt', '{"input_tokens": 2500, "actions": 1}', 'chat', 'standard', 'success', 'u2', '{"region": "us"}'),
	('acme', 'f3', '2026-02-03 00:00+00', 'mini', '{"input_tokens": 30}', NULL, 'batch', NULL, 'u1', '{"region": "eu"}'),
	('acme', 'f4', '2026-02-03 00:00+00', 'mini', '{"input_tokens": 7}', NULL, 'standard', 'failure', 'u3', '{"region": "eu"}'),
	('acme', 'f5', '2026-02-03 00:00+00', 'mini', '{"input_tokens": 11}', NULL, 'standard', 'disputed', 'u3', '{"region": "eu"}'),
	('acme', 'f6', '2026-02-04 00:00+00', 'mini', '{"input_tokens": 90000}', NULL, 'standard', NULL, 'u4', '{"region": "mars"}'),
	('acme', 'g1', '2026-02-08 00:00+00', NULL, '{"gb": 4}', NULL, 'standard', NULL, NULL, '{"bucket": "a"}'),
	('acme', 'g2', '2026-02-15 00:00+00', NULL, '{"gb": 16}', NULL, 'standard', NULL, NULL, '{"bucket": "a"}'),
	('acme', 'mar', '2026-03-01 00:00+00', 'gpt', '{"input_tokens": 5}', NULL, 'standard', NULL, 'u9', NULL);
SELECT meter.void_event('acme', 'f6', 'a mistake');
CREATE VIEW pg_temp.measured AS
SELECT customer_id, period, plan_item, line_group, measured, quantity, amount, problem
FROM meter.rate_lines(ARRAY(SELECT DISTINCT customer_id FROM meter.subscription), ARRAY(SELECT date '-infinity' FROM (SELECT DISTINCT customer_id FROM meter.subscription) AS customer), ARRAY(SELECT date '2026-12-01' FROM (SELECT DISTINCT customer_id FROM meter.subscription) AS customer));
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.measured;
SELECT plan_item, measured, quantity FROM before WHERE lower(period) = '2026-02-01' ORDER BY plan_item COLLATE "C";
-- It does not depend on what has been rolled up.
DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM meter.refresh_now(); EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$;
SELECT * FROM pg_temp.measured EXCEPT SELECT * FROM before;

-- A purge keeps what recurring metrics go on from.
SELECT meter.carry_events('2026-02-01');
SELECT meter.carry_events('2026-02-01', 'acme');
SELECT metric, event_id FROM meter.carried_event ORDER BY metric COLLATE "C", event_id COLLATE "C";
SELECT * FROM pg_temp.measured EXCEPT SELECT * FROM before;
ALTER TABLE meter.usage_event DISABLE TRIGGER keep_deleted;
DELETE FROM meter.usage_event WHERE occurred_at < '2026-02-01';
ALTER TABLE meter.usage_event ENABLE TRIGGER keep_deleted;
SELECT * FROM pg_temp.measured WHERE lower(period) >= '2026-02-01' EXCEPT SELECT * FROM before;

-- A value weighs by the real time that it was held: a day in October has 25 hours, one in March 23.
INSERT INTO meter.customer_zone (customer_id, timezone) VALUES ('dst', 'Europe/Berlin');
INSERT INTO meter.plan (plan, currency, every) VALUES ('daily', 'EUR', '1 day');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('daily', 'held', 'usage', 'gb_held', 'at 1');
SELECT meter.subscribe('dst', 'daily', since => '2026-03-29', until => '2026-03-30'), meter.subscribe('dst', 'daily', since => '2026-10-25', until => '2026-10-26');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES
	('dst', 'm1', '2026-03-29 00:00 Europe/Berlin', '{"gb": 23}'), ('dst', 'm2', '2026-03-29 04:00 Europe/Berlin', '{"gb": 0}'),
	('dst', 'o1', '2026-10-25 00:00 Europe/Berlin', '{"gb": 25}'), ('dst', 'o2', '2026-10-25 04:00 Europe/Berlin', '{"gb": 0}'),
	('dst', 'n1', '2026-10-26 00:00 Europe/Berlin', '{"gb": 1000}');
SELECT period, measured FROM pg_temp.measured WHERE customer_id = 'dst' ORDER BY period;

-- A metric in use stays as it is, but for its description.
UPDATE meter.metric SET unit = 'output_tokens' WHERE metric = 'tokens';
DELETE FROM meter.metric WHERE metric = 'tokens';
UPDATE meter.metric SET description = 'Tokens in' WHERE metric = 'tokens';
INSERT INTO meter.metric (metric, aggregation) VALUES ('unused', 'count');
UPDATE meter.metric SET outcomes = '{success,failure}' WHERE metric = 'unused';
DELETE FROM meter.metric WHERE metric = 'unused';

-- A value of a dimension has a line where something with the unit counts: measured in the roll-up or in the events, the same.
INSERT INTO meter.plan (plan, currency) VALUES ('matrix', 'EUR');
INSERT INTO meter.metric (metric, aggregation, unit, tags) VALUES ('matrix_tokens', 'sum', 'input_tokens', NULL), ('matrix_tagged', 'sum', 'input_tokens', '{}');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, dimension) VALUES ('matrix', 'events', 'usage', 'matrix_tagged', 'item'), ('matrix', 'rolled_up', 'usage', 'matrix_tokens', 'item');
INSERT INTO meter.plan_item_tariff (plan, plan_item, value, tariff) SELECT 'matrix', plan_item, value, 'at 1; minimum 9' FROM unnest('{events,rolled_up}'::text[]) AS plan_item, unnest('{held,zero,taken_back,other_unit}'::text[]) AS value;
SELECT meter.subscribe('matrix', 'matrix', since => '2026-01-01', until => '2026-02-01') IS NOT NULL AS subscribed;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, tags) VALUES
	('matrix', '1', '2026-01-05 00:00+00', 'held', '{"input_tokens": 20}', '{}'), ('matrix', '2', '2026-01-05 00:00+00', 'zero', '{"input_tokens": 0}', '{}'),
	('matrix', '3', '2026-01-05 00:00+00', 'taken_back', '{"input_tokens": 30}', '{}'), ('matrix', '4', '2026-01-05 00:00+00', 'other_unit', '{"output_tokens": 40}', '{}');
SELECT meter.void_event('matrix', '3', 'a mistake');
SELECT plan_item, line_group, measured, amount FROM meter.rate_lines('{matrix}', '{2026-01-01}', '{2026-02-01}') ORDER BY plan_item, line_group;
SELECT meter.refresh_now() > 0 AS refreshed;
SELECT plan_item, line_group, measured, amount FROM meter.rate_lines('{matrix}', '{2026-01-01}', '{2026-02-01}') ORDER BY plan_item, line_group;
