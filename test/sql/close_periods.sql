-- Closing periods: each line once, adjustments, grace, bad customers, and invoices that stay as they are.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.metric (metric, aggregation, unit) VALUES ('tokens', 'sum', 'input_tokens'), ('gb', 'max', 'gb');
INSERT INTO meter.metric (metric, aggregation) VALUES ('model_cost', 'cost');
INSERT INTO meter.rate (item, unit, price, per) VALUES ('gpt', 'input_tokens', 2, 1000);
INSERT INTO meter.plan (plan, currency) VALUES ('basic', 'USD'), ('pro', 'USD');
INSERT INTO meter.plan (plan, currency, family) VALUES ('eur', 'EUR', 'other'), ('huge', 'USD', 'huge');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, timing) VALUES ('basic', 1, 'fee', 'fee', 31, 'advance'), ('pro', 1, 'fee', 'fee', 310, 'advance'), ('eur', 1, 'fee', 'fee', 5, 'arrears'), ('huge', 1, 'fee', 'fee', 100000000000000000000, 'arrears');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff) VALUES ('basic', 2, 'tokens', 'usage', 'tokens', 'at 0.002'), ('basic', 3, 'cost', 'cost_plus', 'model_cost', 'at 110%'), ('pro', 2, 'tokens', 'usage', 'tokens', 'at 0.001'), ('basic', 4, 'gb', 'usage', 'gb', 'at 1');
UPDATE meter.plan_item SET quantity = 100000000000000000000 WHERE plan = 'huge';
CREATE VIEW pg_temp.invoices AS
SELECT invoice_id AS id, kind, state, customer_id AS customer, currency, invoice_date, total FROM meter.invoice ORDER BY customer_id, invoice_id;
CREATE VIEW pg_temp.lines AS
SELECT line.invoice_id AS id, line_number AS n, line.customer_id AS customer, period, plan_item, revision AS rev, adjustment AS adj, quantity, exact_amount AS exact, rated_amount AS rated, amount FROM meter.invoice_line AS line ORDER BY 1, 2;
CREATE VIEW pg_temp.disagreement AS
SELECT line.invoice_id FROM meter.invoice LEFT JOIN meter.invoice_line AS line USING (invoice_id) GROUP BY line.invoice_id, total HAVING sum(amount) IS DISTINCT FROM total;

-- Nothing is due, and what cannot be done is refused.
CALL meter.close_periods(as_of => '2023-02-02 00:00+00');
SELECT count(*) FROM meter.invoice;
CALL meter.close_periods(batch_customers => 0);
CALL meter.close_periods(state => 'void');
SELECT * FROM meter.close_customers('{a}', 'infinity', now(), 'FINAL');
SELECT * FROM meter.close_customers('{a}', '2023-01-01', NULL);
BEGIN;
CALL meter.close_periods();
ROLLBACK;

-- What is in advance is due when its period begins, the rest when it ends, each after the grace.
SELECT meter.subscribe('a', 'basic', since => '2023-01-01') AS a \gset
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('a', '1', '2023-01-05 00:00+00', 'gpt', '{"input_tokens": 7}'), ('a', '2', '2023-02-05 00:00+00', NULL, '{"input_tokens": 1000}');
CALL meter.close_periods(as_of => '2023-01-01 23:59+00');
TABLE pg_temp.invoices;
CALL meter.close_periods(as_of => '2023-01-02 00:00+00');
TABLE pg_temp.invoices;
CALL meter.close_periods(as_of => '2023-02-01 23:59:59+00');
TABLE pg_temp.invoices;
SELECT plan_item, period, rated_amount, invoiced, amount FROM meter.preview_lines('a', '2023-02-01 12:00+00') ORDER BY period, position;
CALL meter.close_periods(as_of => '2023-02-02 00:00+00');
TABLE pg_temp.invoices;
SELECT * FROM pg_temp.lines;
SELECT customer_id, billed_until, closed_until, meter.closed_until(customer_id) FROM meter.billing_account;
SELECT period, state FROM meter.billing_period WHERE customer_id = 'a' AND lower(period) < '2023-03-01' ORDER BY period;
-- Twice changes nothing, nor does an earlier instant.
CALL meter.close_periods(as_of => '2023-02-02 00:00+00');
CALL meter.close_periods(as_of => '2023-01-02 00:00+00');
SELECT count(*), sum(total) FROM meter.invoice;
SELECT job, state, done, total FROM meter.job_progress WHERE job = 'close_periods';

-- 7 tokens came to 0.014, invoiced as 0.01. Another one makes it 0.016: the adjustment is 0.01. It does not count in February.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('a', 'late', '2023-01-31 23:00+00', '{"input_tokens": 1}');
SELECT plan_item, period, rated_amount, invoiced, amount FROM meter.preview_lines('a', '2023-02-03 00:00+00') WHERE amount <> 0 ORDER BY period, plan_item;
CALL meter.close_periods(as_of => '2023-02-03 00:00+00');
SELECT * FROM pg_temp.lines WHERE adj;
-- The same event, rolled up now, is no news.
DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM meter.refresh_now(); EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$;
SELECT customer_id, since FROM meter.invoice_mark;
CALL meter.close_periods(as_of => '2023-02-03 00:00+00');
SELECT count(*) FROM meter.invoice_mark;
SELECT count(*), sum(total) FROM meter.invoice;
-- Late and rolled up already; taken back; and a cost that was corrected.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('a', 'later', '2023-01-31 23:00+00', '{"input_tokens": 5000, "gb": 3}');
DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM meter.refresh_now(); EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$;
CALL meter.close_periods(as_of => '2023-02-04 00:00+00');
SELECT meter.void_event('a', 'later', 'a mistake');
CALL meter.close_periods(as_of => '2023-02-05 00:00+00');
UPDATE meter.rate SET price = 4 WHERE item = 'gpt';
DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM meter.refresh_now(); EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event) AND NOT EXISTS (SELECT FROM meter.usage_mark); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$;
CALL meter.close_periods(as_of => '2023-02-06 00:00+00');
SELECT n, period, plan_item, rev, adj, quantity, exact, rated, amount FROM pg_temp.lines WHERE adj;
-- All invoices together are what is rated.
SELECT plan_item, period_start, sum(amount) AS invoiced, (SELECT meter.round_money(rated.amount, 'USD') FROM meter.rate_lines('{a}', '{-infinity}', '{2023-01-31}') AS rated WHERE rated.plan_item = line.plan_item AND lower(rated.period) = period_start) AS rated
FROM meter.invoice_line AS line WHERE period_start = '2023-01-01' GROUP BY plan_item, period_start ORDER BY plan_item;
TABLE pg_temp.disagreement;

-- A plan change gives back what was paid in advance; an adjustment goes on the next invoice.
SELECT meter.change_plan(:a, 'pro', effective => 'today', as_of => '2023-02-15 12:00+00') AS a2 \gset
SELECT plan, plan_item, period, rated_amount, invoiced, amount FROM meter.preview_lines('a', '2023-02-15 12:00+00') ORDER BY period, position;
CALL meter.close_periods(as_of => '2023-02-16 00:00+00');
SELECT invoice.invoice_date, plan, plan_item, period, revision, adjustment, rated_amount, line.amount FROM meter.invoice_line AS line JOIN meter.invoice USING (invoice_id) WHERE line.customer_id = 'a' AND invoice_date > '2023-02-05' ORDER BY invoice_id, line_number;
-- The day's last change: what the one before was invoiced goes back altogether.
SELECT meter.change_plan(:a2, 'basic', effective => '2023-02-15') AS a3 \gset
SELECT meter.cancel_subscription(:a3, '2023-03-01');
CALL meter.close_periods(as_of => '2023-03-02 00:00+00');
SELECT invoice.invoice_date, plan, plan_item, period, revision, adjustment, rated_amount, line.amount FROM meter.invoice_line AS line JOIN meter.invoice USING (invoice_id) WHERE line.customer_id = 'a' AND invoice_date > '2023-02-15' ORDER BY invoice_id, line_number;
SELECT plan, plan_item, period_start, sum(amount) FROM meter.invoice_line WHERE customer_id = 'a' AND period_start >= '2023-02-01' GROUP BY 1, 2, 3 ORDER BY 3, 1, 2;
CALL meter.close_periods(as_of => '2024-01-01 00:00+00');
SELECT count(*) FROM meter.invoice WHERE invoice_date > '2023-03-01';

-- What stays invoiced after an end, and what an end that is undone gives back until it is due again.
INSERT INTO meter.plan (plan, currency, family) VALUES ('full', 'USD', 'main');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, timing, prorated) VALUES ('full', 1, 'advance', 'fee', 31, 'advance', false), ('full', 2, 'arrears', 'fee', 31, 'arrears', true);
SELECT meter.subscribe('u', 'full', since => '2023-01-01') AS u, meter.subscribe('u', 'eur', since => '2023-01-01', anchor => '2023-01-20') AS u_other \gset
CALL meter.close_periods(upto => '2023-01-01', as_of => '2023-03-02 00:00+00');
SELECT meter.cancel_subscription(:u, '2023-01-11');
CALL meter.close_periods(upto => '2023-01-12', as_of => '2023-03-02 00:00+00');
CALL meter.close_periods(upto => '2023-01-21', as_of => '2023-03-02 00:00+00');
SELECT invoice_date, plan, plan_item, period, revision, rated_amount, line.amount FROM meter.invoice_line AS line JOIN meter.invoice USING (invoice_id) WHERE line.customer_id = 'u' ORDER BY invoice_id, line_number;
UPDATE meter.subscription SET valid = '[2023-01-01,2023-02-01)' WHERE subscription_id = :u;
CALL meter.close_periods(upto => '2023-01-22', as_of => '2023-03-02 00:00+00');
CALL meter.close_periods(upto => '2023-02-21', as_of => '2023-03-02 00:00+00');
SELECT invoice_date, plan, plan_item, period, revision, rated_amount, line.amount FROM meter.invoice_line AS line JOIN meter.invoice USING (invoice_id) WHERE line.customer_id = 'u' AND (revision > 0 OR period_start > '2023-01-11') ORDER BY invoice_id, line_number;
SELECT plan_item, sum(amount) FROM meter.invoice_line WHERE customer_id = 'u' AND plan = 'full' GROUP BY plan_item ORDER BY plan_item;

-- Seats and overrides that come later for a closed period are adjusted, too.
SELECT meter.subscribe('late', 'basic', since => '2023-01-01', until => '2023-02-01') AS late \gset
CALL meter.close_periods(as_of => '2023-03-02 00:00+00');
INSERT INTO meter.subscription_override (subscription_id, plan_item, amount) VALUES (:late, 'fee', 20);
CALL meter.close_periods(as_of => '2023-03-02 00:00+00');
SELECT invoice_date, total FROM meter.invoice WHERE customer_id = 'late' ORDER BY invoice_id;

-- Each in its zone and currency; several periods that wait are an invoice each.
INSERT INTO meter.customer_zone (customer_id, timezone) VALUES ('k', 'Pacific/Kiritimati'), ('h', 'Pacific/Honolulu');
SELECT meter.subscribe(customer, 'eur', since => '2023-01-01') FROM (VALUES ('k'), ('h')) AS customer (customer);
SELECT meter.subscribe('k', 'basic', since => '2023-01-15') IS NOT NULL AS k;
CALL meter.close_periods(as_of => '2023-02-01 10:00+00');
SELECT customer, currency, invoice_date, total FROM pg_temp.invoices WHERE customer IN ('h', 'k');
CALL meter.close_periods(upto => '2023-03-31', as_of => '2023-06-01 00:00+00');
SELECT customer, currency, invoice_date, total FROM pg_temp.invoices WHERE customer IN ('h', 'k');

-- A bad customer is told of, and the others are billed.
SELECT meter.subscribe('bad', 'huge', since => '2023-01-01'), meter.subscribe('good' || i, 'eur', since => '2023-03-01', until => '2023-04-01') FROM generate_series(1, 1) AS i;
SELECT meter.subscribe('good' || i, 'eur', since => '2023-03-01', until => '2023-04-01') FROM generate_series(2, 5) AS i;
-- The session's default isolation level is no matter.
SET default_transaction_isolation = 'serializable';
CALL meter.close_periods(upto => '2023-04-01', as_of => '2023-06-01 00:00+00', batch_customers => 3);
RESET default_transaction_isolation;
SELECT customer, invoice_date, total FROM pg_temp.invoices WHERE customer ~ 'good|bad';
SELECT customer_id, state, problem FROM meter.period_problem WHERE customer_id IN ('bad', 'good1');
SELECT customer_id, problem, amount FROM meter.invoice_preview WHERE problem IS NOT NULL;
SELECT count(*) > 0 AS there FROM meter.period_usage WHERE customer_id = 'a';
SELECT job, state, done, total FROM meter.job_progress WHERE job = 'close_periods';
INSERT INTO meter.subscription_override (subscription_id, plan_item, quantity) SELECT subscription_id, 'fee', 1e-19 FROM meter.subscription WHERE customer_id = 'bad';
INSERT INTO meter.subscription_override (subscription_id, plan_item, amount) SELECT subscription_id, 'fee', 0 FROM meter.subscription WHERE customer_id = 'bad';
CALL meter.close_periods(upto => '2023-04-01', as_of => '2023-06-01 00:00+00');
SELECT customer, invoice_date, total FROM pg_temp.invoices WHERE customer ~ 'bad';
SELECT count(*) FROM meter.billing_problem;

-- Nobody changes a final invoice; a draft waits.
UPDATE meter.invoice SET total = 0 WHERE invoice_id = 1;
UPDATE meter.invoice SET state = 'void', voided_at = now() WHERE invoice_id = 1;
DELETE FROM meter.invoice WHERE invoice_id = 1;
UPDATE meter.invoice_line SET amount = 0 WHERE invoice_id = 1;
DELETE FROM meter.invoice_line WHERE invoice_id = 1;
INSERT INTO meter.invoice_line (invoice_id, line_number, customer_id, subscription_id, period_start, plan_item, line_group, revision, adjustment, plan, version, kind, period, service, exact_amount, rated_amount, amount)
SELECT invoice_id, 99, customer_id, subscription_id, period_start, plan_item, line_group, 99, adjustment, plan, version, kind, period, service, exact_amount, rated_amount, amount FROM meter.invoice_line WHERE invoice_id = 1;
TRUNCATE meter.invoice_line;
TRUNCATE meter.invoice CASCADE;
SELECT meter.subscribe('draft', 'basic', since => '2023-05-01', until => '2023-05-11') IS NOT NULL AS draft;
CALL meter.close_periods(as_of => '2023-05-13 00:00+00', upto => '2023-05-12', state => 'draft');
SELECT state, total FROM pg_temp.invoices WHERE customer = 'draft';
UPDATE meter.invoice_line SET tax_code = 'S' WHERE customer_id = 'draft';
UPDATE meter.invoice_line SET amount = amount + 1 WHERE customer_id = 'draft' AND line_number = 1;
SELECT meter.finalize_invoice(invoice_id) FROM meter.invoice WHERE customer_id = 'draft';
UPDATE meter.invoice_line SET amount = amount - 1 WHERE customer_id = 'draft' AND line_number = 1;
SELECT count(meter.finalize_invoice(invoice_id)) FROM meter.invoice WHERE customer_id = 'draft';
UPDATE meter.invoice_line SET tax_code = NULL WHERE customer_id = 'draft';
SELECT state, total FROM pg_temp.invoices WHERE customer = 'draft';
SELECT meter.finalize_invoice(1);
-- A draft that is deleted takes its lines and credits with it, and is billed again; not one that a later invoice goes on from.
INSERT INTO meter.money_credit (customer_id, currency, amount) VALUES ('drafts', 'USD', 4);
SELECT meter.subscribe('drafts', 'basic', since => '2023-05-01', until => '2023-05-11') AS drafts \gset
CALL meter.close_periods(as_of => '2023-05-13 00:00+00', upto => '2023-05-12', state => 'draft');
DELETE FROM meter.invoice WHERE customer_id = 'drafts';
SELECT count(*) FROM meter.invoice_line WHERE customer_id = 'drafts';
SELECT count(*) FROM meter.money_credit_use;
CALL meter.close_periods(as_of => '2023-05-13 00:00+00', upto => '2023-05-12', state => 'draft');
SELECT state, total, paid_by_credit FROM meter.invoice WHERE customer_id = 'drafts';
INSERT INTO meter.subscription_override (subscription_id, plan_item, amount) VALUES (:drafts, 'fee', 62);
CALL meter.close_periods(as_of => '2023-05-13 00:00+00', upto => '2023-05-12', state => 'draft');
DO $$ BEGIN DELETE FROM meter.invoice WHERE invoice_id = (SELECT min(invoice_id) FROM meter.invoice WHERE customer_id = 'drafts'); EXCEPTION WHEN data_exception THEN RAISE NOTICE '%', regexp_replace(SQLERRM, '[0-9]+', 'N'); END $$;
DELETE FROM meter.invoice WHERE customer_id = 'drafts';
CALL meter.close_periods(as_of => '2023-05-13 00:00+00', upto => '2023-05-12');
SELECT state, total FROM pg_temp.invoices WHERE customer = 'drafts';

-- A superuser's void writes a credit note; the period is billed again, or stays settled.
SELECT max(invoice_id) AS paid FROM meter.invoice WHERE customer_id = 'good1' \gset
SELECT meter.void_invoice(:paid, 'wrong address') AS note \gset
SELECT kind, state, total FROM pg_temp.invoices WHERE customer = 'good1';
CALL meter.close_periods(upto => '2023-04-01', as_of => '2023-06-01 00:00+00');
SELECT kind, state, total FROM pg_temp.invoices WHERE customer = 'good1';
SELECT max(invoice_id) AS paid FROM meter.invoice WHERE customer_id = 'good2' \gset
SELECT meter.void_invoice(:paid, 'a gift', rebill => false) AS note \gset
CALL meter.close_periods(upto => '2023-04-01', as_of => '2023-06-01 00:00+00');
INSERT INTO meter.subscription_override (subscription_id, plan_item, amount) SELECT subscription_id, 'fee', 6 FROM meter.subscription WHERE customer_id = 'good2';
CALL meter.close_periods(upto => '2023-04-01', as_of => '2023-06-01 00:00+00');
SELECT kind, state, total FROM pg_temp.invoices WHERE customer = 'good2';
SELECT meter.void_invoice(:note, 'no');
-- What was due in advance, too, when nothing of its period is billed yet.
INSERT INTO meter.plan (plan, currency, family) VALUES ('early', 'USD', 'early');
INSERT INTO meter.plan_item (plan, plan_item, kind, amount, timing) VALUES ('early', 'fee', 'fee', 31, 'advance');
SELECT meter.subscribe('early', 'early', since => '2023-05-01') IS NOT NULL AS early;
CALL meter.close_periods(upto => '2023-05-01', as_of => '2023-06-01 00:00+00');
SELECT count(meter.void_invoice(invoice_id, 'wrong address')) FROM meter.invoice WHERE customer_id = 'early';
CALL meter.close_periods(upto => '2023-05-01', as_of => '2023-06-01 00:00+00');
SELECT kind, state, total FROM pg_temp.invoices WHERE customer = 'early';
SELECT operation, customer_id, reason FROM meter.audit_log WHERE operation = 'void_invoice' ORDER BY audit_id;
CREATE ROLE meter_regress_clerk;
GRANT USAGE ON SCHEMA meter TO meter_regress_clerk;
GRANT ALL ON ALL TABLES IN SCHEMA meter TO meter_regress_clerk;
GRANT ALL ON ALL SEQUENCES IN SCHEMA meter TO meter_regress_clerk;
GRANT EXECUTE ON FUNCTION meter.void_invoice(bigint, text, boolean) TO meter_regress_clerk;
SET ROLE meter_regress_clerk;
SELECT meter.void_invoice(1, 'no superuser');
UPDATE meter.invoice SET state = 'void', voided_at = now() WHERE invoice_id = 1;
UPDATE meter.invoice_line SET amount = 0 WHERE invoice_id = 1;
RESET ROLE;
DROP OWNED BY meter_regress_clerk;
DROP ROLE meter_regress_clerk;
TABLE pg_temp.disagreement;

-- Rates that invoices follow cannot change in a closed period; those of card cost can, and others.
INSERT INTO meter.card (card, currency) VALUES ('list', 'USD'), ('free', 'USD');
INSERT INTO meter.plan (plan, currency, family) VALUES ('indexed', 'USD', 'indexed');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff, index_card, index_item, index_unit, index_base) VALUES ('indexed', 'tokens', 'usage', 'tokens', 'at 1', 'list', 'gpt', 'input_tokens', 1);
INSERT INTO meter.rate (card, item, unit, price) VALUES ('list', 'gpt', 'input_tokens', 1);
SELECT meter.publish_plan('indexed') IS NOT NULL AS in_use;
SELECT max(closed_until) FROM meter.billing_account;
INSERT INTO meter.rate (card, item, unit, price) VALUES ('list', 'mini', 'input_tokens', 1);
INSERT INTO meter.rate (card, item, unit, price, valid) VALUES ('credit', 'chat', 'actions', 1, '[2023-05-10 09:00+00,)');
INSERT INTO meter.rate (card, item, unit, price, valid) VALUES ('credit', 'chat', 'actions', 1, '[2023-05-11 00:00+00,)');
INSERT INTO meter.rate (card, item, unit, price) VALUES ('free', 'chat', 'actions', 1), ('cost', 'chat', 'actions', 1);
UPDATE meter.rate SET price = 2 WHERE card = 'list';
UPDATE meter.rate SET valid = '(,2023-05-01)' WHERE card = 'list';
UPDATE meter.rate SET valid = '(,2023-06-01)' WHERE card = 'list';
DELETE FROM meter.rate WHERE card = 'list';
DELETE FROM meter.rate WHERE card IN ('credit', 'free');
-- A restore brings it back.
INSERT INTO meter.rate (card, item, unit, price, recorded_at) VALUES ('list', 'mini', 'input_tokens', 1, '2020-01-01');

-- In a transaction of one's own, for a customer that no closing has seen before.
BEGIN;
SELECT meter.subscribe('new', 'basic', since => '2023-05-01') IS NOT NULL AS new;
SELECT * FROM meter.close_customers('{new,nobody}', '2023-05-02', '2023-05-12 00:00+00');
SELECT plan_item, amount FROM pg_temp.lines WHERE customer = 'new';
ROLLBACK;

-- Whoever bills needs no more than that.
CREATE ROLE meter_regress_biller;
SELECT meter.allow_billing('meter_regress_biller');
SET ROLE meter_regress_biller;
SELECT meter.subscribe('z', 'basic', since => '2023-05-01') IS NOT NULL AS z;
SELECT plan_item, amount FROM meter.preview_lines('z', '2023-05-02 00:00+00') ORDER BY plan_item;
CALL meter.close_periods(as_of => '2023-05-03 00:00+00', upto => '2023-05-12');
SELECT state, total FROM meter.invoice WHERE customer_id = 'z';
DELETE FROM meter.invoice WHERE customer_id = 'z';
SELECT meter.subscribe('y', 'basic', since => '2023-05-01') IS NOT NULL AS y;
CALL meter.close_periods(as_of => '2023-05-03 00:00+00', upto => '2023-05-12', state => 'draft');
DELETE FROM meter.invoice WHERE customer_id = 'y';
SELECT count(*) FROM meter.invoice_line WHERE customer_id = 'y';
CALL meter.close_periods(as_of => '2023-05-03 00:00+00', upto => '2023-05-12');
SELECT state, total FROM meter.invoice WHERE customer_id = 'y';
INSERT INTO meter.plan (plan, currency) VALUES ('cheap', 'USD');
-- A final invoice gets no further line, whatever the line says of when it was added.
SELECT max(invoice_id) AS z_invoice FROM meter.invoice WHERE customer_id = 'z' \gset
INSERT INTO meter.invoice_line (invoice_id, line_number, customer_id, subscription_id, period_start, plan_item, line_group, revision, adjustment, plan, version, kind, period, service, exact_amount, rated_amount, amount)
SELECT invoice_id, 99, customer_id, subscription_id, period_start, plan_item, line_group, 99, true, plan, version, kind, period, service, 1, 1, 1 FROM meter.invoice_line WHERE invoice_id = :z_invoice LIMIT 1;
INSERT INTO meter.invoice_line (invoice_id, line_number, customer_id, subscription_id, period_start, plan_item, line_group, revision, adjustment, plan, version, kind, period, service, exact_amount, rated_amount, amount, added_at)
SELECT invoice_id, 99, customer_id, subscription_id, period_start, plan_item, line_group, 99, true, plan, version, kind, period, service, 1, 1, 1, '-infinity' FROM meter.invoice_line WHERE invoice_id = :z_invoice LIMIT 1;
INSERT INTO meter.invoice (customer_id, currency, invoice_date, total, state, finalized_at) VALUES ('z', 'USD', '2023-05-01', 1, 'final', 'infinity');
RESET ROLE;
DROP OWNED BY meter_regress_biller;
DROP ROLE meter_regress_biller;
