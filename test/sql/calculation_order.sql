-- The order of calculation, step by step, each derived by hand.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- 1. The metric's quantity of the period, rounded; at least zero; less what is included.
INSERT INTO meter.metric (metric, aggregation, unit, digits, rounding) VALUES ('kilo', 'sum', 'input_tokens', -3, 'ceil'), ('half', 'sum', 'hours', 0, NULL);
INSERT INTO meter.plan (plan, currency) VALUES ('p', 'USD'), ('y', 'JPY'), ('k', 'KWD');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, quantity)
SELECT plan, position, plan_item, 'usage', metric, tariff::meter.tariff, quantity
FROM (VALUES ('p'), ('y'), ('k')) AS plan (plan), (VALUES
	/* 4700 is 5000, less 1000: 4000. 2. free 500: 3500; tiers: 1000 x 0 + 2500 x 0.01 = 25; discount 20 %: 20; maximum 19 */
	(1, 'kilo', 'kilo', 'graduated: up to 1000 at 0; above at 0.01; free 500; discount 20%; maximum 19', 1000),
	/* 2.5 is 3, half away from zero */
	(2, 'hours', 'half', 'at 0.335', NULL)) AS item (position, plan_item, metric, tariff, quantity);
/* 3. 19 + 1.005 = 20.005: 5.0005 are missing to 25.0055 */
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount) SELECT plan, 3, 'least', 'commitment', 25.0055 FROM meter.plan;
/* 4. 10 % of 25.0055 is 2.50055; then 1: 21.50495 */
INSERT INTO meter.plan_item (plan, position, plan_item, kind, percent) SELECT plan, 9, 'tenth', 'discount', 10 FROM meter.plan;
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount) SELECT plan, 5, 'one', 'discount', 1 FROM meter.plan;
/* 5. the cap takes 1.00495 */
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount) SELECT plan, 10, 'most', 'cap', 20.5 FROM meter.plan;
SELECT meter.subscribe(customer, customer, since => '2026-01-01', until => '2026-02-01') FROM (VALUES ('p'), ('y'), ('k')) AS customer (customer);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) SELECT customer, '1', '2026-01-05 00:00+00', '{"input_tokens": 4700, "hours": 2.5}' FROM (VALUES ('p'), ('y'), ('k')) AS customer (customer);
-- 7. Credits in money, the one that ends first, first; not those of another currency or date.
INSERT INTO meter.money_credit (customer_id, currency, amount, valid, reason) VALUES
	('p', 'USD', 15, '(,)', 'goodwill'), ('p', 'USD', 2.5, '[2026-01-01,2026-02-02)', 'ends first'), ('p', 'USD', 100, '(,2026-02-01)', 'over'), ('p', 'EUR', 100, '(,)', 'other'), ('y', 'JPY', 100, '(,)', 'more than enough');
INSERT INTO meter.money_credit (customer_id, currency, amount) VALUES ('y', 'JPY', 0.5);
CALL meter.close_periods(as_of => '2026-02-05 00:00+00');
-- 6. Each line is rounded by its currency, half away from zero, once; both amounts are kept.
SELECT customer_id, plan_item, measured, included, quantity, exact_amount, amount FROM meter.invoice_line ORDER BY customer_id DESC, line_number;
SELECT customer_id, sum(exact_amount) FROM meter.invoice_line GROUP BY customer_id ORDER BY customer_id;
SELECT customer_id, currency, total, paid_by_credit, total - paid_by_credit AS to_pay FROM meter.invoice ORDER BY customer_id;
SELECT customer_id, currency, amount, used, remaining FROM meter.money_credit_balance ORDER BY credit_id;
-- A late event takes from what is left; a void gives back.
UPDATE meter.money_credit SET valid = '(,)' WHERE reason = 'ends first';
INSERT INTO meter.money_credit (customer_id, currency, amount, reason) VALUES ('k', 'KWD', 50, 'prepaid');
SELECT meter.void_invoice(invoice_id, 'a mistake') IS NOT NULL AS void FROM meter.invoice WHERE customer_id = 'p';
SELECT reason, remaining FROM meter.money_credit_balance JOIN meter.money_credit USING (credit_id) WHERE money_credit.customer_id = 'p' ORDER BY credit_id;
CALL meter.close_periods(as_of => '2026-02-05 00:00+00');
SELECT kind, state, total, paid_by_credit FROM meter.invoice WHERE customer_id = 'p' ORDER BY invoice_id;
SELECT meter.explain_text(invoice_id, line_number) FROM meter.invoice_line WHERE customer_id = 'k' AND plan_item = 'kilo';

-- What a final invoice took of a credit stays, whoever asks; a draft's is let go with it.
CREATE ROLE regress_meter_biller;
SELECT meter.allow_billing('regress_meter_biller');
SET ROLE regress_meter_biller;
UPDATE meter.money_credit_use SET amount = 0.01 WHERE invoice_id = (SELECT max(invoice_id) FROM meter.invoice WHERE customer_id = 'p');
INSERT INTO meter.money_credit_use (credit_id, invoice_id, amount) SELECT min(credit_id), (SELECT min(invoice_id) FROM meter.invoice WHERE state = 'final'), 1 FROM meter.money_credit;
RESET ROLE;
\set VERBOSITY default
\set SHOW_CONTEXT never
DELETE FROM meter.money_credit_use;
TRUNCATE meter.money_credit_use;
-- Nor can a credit be less than what was used of it, or another's.
SELECT credit_id, amount, used FROM meter.money_credit_balance WHERE customer_id = 'p' AND used > 0 ORDER BY credit_id LIMIT 1 \gset
SELECT :amount AS amount, :used AS used;
UPDATE meter.money_credit SET amount = 0.01 WHERE credit_id = :credit_id;
UPDATE meter.money_credit SET customer_id = 'k' WHERE credit_id = :credit_id;
DELETE FROM meter.money_credit WHERE credit_id = :credit_id;
UPDATE meter.money_credit SET amount = :used, reason = 'no more' WHERE credit_id = :credit_id;
SELECT remaining FROM meter.money_credit_balance WHERE credit_id = :credit_id;
\set VERBOSITY terse
-- An erasure names another customer, and takes nothing away.
SELECT meter.erase_customer('p');
SELECT customer_id LIKE 'erased-%' AS erased, amount - :used AS more FROM meter.money_credit WHERE credit_id = :credit_id;
-- A restore brings a use back.
BEGIN;
SET LOCAL session_replication_role = replica;
CREATE TEMP TABLE uses AS SELECT * FROM meter.money_credit_use;
DELETE FROM meter.money_credit_use;
SET LOCAL session_replication_role = origin;
INSERT INTO meter.money_credit_use SELECT * FROM uses;
SELECT count(*) > 0 AS back FROM meter.money_credit_use;
ROLLBACK;
DROP OWNED BY regress_meter_biller;
DROP ROLE regress_meter_biller;
