-- Purging beside billing: what is not invoiced stays, what recurring metrics go on from is kept, and closed periods stay as they are.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.metric (metric, aggregation, unit, key, recurring) VALUES ('tokens', 'sum', 'input_tokens', NULL, false), ('largest', 'max', 'input_tokens', NULL, false), ('gb', 'latest', 'gb', 'tag:bucket', true);
INSERT INTO meter.plan (plan, currency, family) VALUES ('rolled', 'USD', 'rolled'), ('events', 'USD', 'events');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('rolled', 'tokens', 'usage', 'tokens', 'at 1'), ('events', 'largest', 'usage', 'largest', 'at 1'), ('events', 'gb', 'usage', 'gb', 'at 1');
SELECT meter.subscribe('a', 'rolled', since => '2023-01-01') AS rolled, meter.subscribe('a', 'events', since => '2023-01-01') AS events, meter.subscribe('b', 'events', since => '2023-01-01', until => '2023-02-01') AS b \gset
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage, tags) VALUES
	('a', '1', '2023-01-05 00:00+00', '{"input_tokens": 5}', NULL), ('a', '2', '2023-01-06 00:00+00', '{"gb": 3}', '{"bucket": "x"}'), ('a', '3', '2023-01-07 00:00+00', '{"gb": 4}', '{"bucket": "y"}'), ('a', '4', '2023-01-08 00:00+00', '{"gb": 1}', '{"bucket": "x"}'),
	('a', '5', '2023-02-05 00:00+00', '{"input_tokens": 7}', NULL), ('b', '1', '2023-01-05 00:00+00', '{"input_tokens": 5}', NULL), ('c', '1', '2023-01-05 00:00+00', '{"input_tokens": 5}', NULL);
DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM meter.refresh_now(); EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$;
SELECT meter.purgeable_until('a'), meter.purgeable_until('b'), meter.purgeable_until('c');
CALL meter.purge_events('2023-02-01');
CALL meter.close_periods(upto => '2023-02-10', as_of => '2023-06-01 00:00+00');
SELECT meter.purgeable_until('a'), meter.purgeable_until('b'), meter.purgeable_until('c');
-- A mark has to be dealt with first.
INSERT INTO meter.subscription_override (subscription_id, plan_item, tariff) VALUES (:rolled, 'tokens', 'at 2');
SELECT meter.purgeable_until('a');
CALL meter.close_periods(upto => '2023-02-10', as_of => '2023-06-01 00:00+00');
CALL meter.purge_events('2023-02-01');
SELECT customer_id, event_id FROM meter.usage_event ORDER BY customer_id, event_id;
SELECT metric, event_id FROM meter.carried_event ORDER BY event_id;
-- February goes on from what was there.
SELECT plan_item, measured, amount FROM meter.preview_lines('a', '2023-02-15 00:00+00') WHERE lower(period) = '2023-02-01' ORDER BY plan_item;
-- A late change reaches the part that is measured in the roll-up, and leaves the other.
UPDATE meter.subscription_override SET tariff = 'at 3' WHERE subscription_id = :rolled;
INSERT INTO meter.subscription_override (subscription_id, plan_item, tariff) VALUES (:events, 'largest', 'at 3');
CALL meter.close_periods(upto => '2023-02-10', as_of => '2023-06-01 00:00+00');
SELECT plan_item, period, revision, measured, amount FROM meter.invoice_line WHERE customer_id = 'a' ORDER BY plan_item, revision;
SELECT plan_item, invoiced, amount FROM meter.preview_lines('a', '2023-02-15 00:00+00') WHERE lower(period) = '2023-01-01' ORDER BY plan_item;

-- What could not be billed again is not taken back to be, in a final invoice or in a draft.
SELECT invoice_id AS purged FROM meter.invoice_line WHERE customer_id = 'a' AND plan_item = 'largest' AND period_start = '2023-01-01' AND revision = 0 \gset
BEGIN;
SELECT meter.void_invoice(:purged, 'wrong');
ROLLBACK;
BEGIN;
SELECT meter.void_invoice(:purged, 'wrong', rebill => false) IS NOT NULL AS voided;
ROLLBACK;
BEGIN;
SELECT meter.subscribe('draft', 'events', since => '2023-02-01', until => '2023-03-01') IS NOT NULL AS subscribed;
SELECT invoices FROM meter.close_customers('{draft}', '2023-03-01', '2023-06-01 00:00+00', 'draft');
INSERT INTO meter.purge_horizon (horizon, txids) SELECT '2023-03-01', txids FROM meter.horizon;
DELETE FROM meter.invoice WHERE customer_id = 'draft';
ROLLBACK;

-- A commitment in a term counts what purged periods were invoiced.
INSERT INTO meter.plan (plan, currency, family, term) VALUES ('term', 'USD', 'term', '3 months');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff) VALUES ('term', 1, 'largest', 'usage', 'largest', 'at 1');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, percent) VALUES ('term', 2, 'half', 'discount', 50);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, term) VALUES ('term', 3, 'term', 'commitment', 300, true);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, term, applies_to) VALUES ('term', 4, 'of_another', 'commitment', 10, true, '{other}');
SELECT meter.subscribe('t', 'term', since => '2023-02-01', until => '2023-05-01') AS t \gset
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('t', '1', '2023-02-05 00:00+00', '{"input_tokens": 100}'), ('t', '2', '2023-03-05 00:00+00', '{"input_tokens": 50}'), ('t', '3', '2023-04-05 00:00+00', '{"input_tokens": 30}');
DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM meter.refresh_now(); EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$;
SELECT plan_item, amount FROM meter.preview_lines('t', '2023-04-20 00:00+00') WHERE lower(period) = '2023-04-01' ORDER BY position;
CALL meter.close_periods(upto => '2023-04-01', as_of => '2023-06-01 00:00+00');
CALL meter.purge_events('2023-04-01');
SELECT customer_id, event_id FROM meter.usage_event ORDER BY customer_id, event_id;
SELECT plan_item, amount FROM meter.preview_lines('t', '2023-04-20 00:00+00') WHERE lower(period) = '2023-04-01' ORDER BY position;
CALL meter.close_periods(upto => '2023-05-01', as_of => '2023-06-01 00:00+00');
SELECT sum(amount) FILTER (WHERE kind IN ('usage', 'commitment')) AS charged, sum(amount) AS total FROM meter.invoice_line WHERE customer_id = 't';

-- An erased customer's invoices stay as they are, without the name.
INSERT INTO meter.subscription_seat (subscription_id, plan_item, holder) VALUES (:rolled, 'seats', 'Ann');
UPDATE meter.subscription_override SET reason = 'as Ann said' WHERE subscription_id = :rolled;
CALL meter.close_periods(upto => '2023-02-10', as_of => '2023-06-01 00:00+00');
UPDATE meter.invoice_line SET customer_id = 'z' WHERE customer_id = 'a';
SELECT meter.erase_customer('a', 'asked for');
SELECT DISTINCT customer_id LIKE 'erased-%' AS erased FROM meter.invoice JOIN meter.invoice_line USING (invoice_id, customer_id) WHERE customer_id NOT IN ('b', 't');
SELECT count(*), sum(total) FROM meter.invoice WHERE customer_id NOT IN ('b', 't');
SELECT (SELECT count(*) FROM meter.subscription_seat WHERE holder IS NOT NULL) AS holders, (SELECT count(*) FROM meter.subscription_override WHERE reason IS NOT NULL) AS reasons, (SELECT count(*) FROM meter.invoice_mark) AS marks;
CALL meter.close_periods(upto => '2023-02-10', as_of => '2023-06-01 00:00+00');
SELECT count(*), sum(total) FROM meter.invoice WHERE customer_id NOT IN ('b', 't');
