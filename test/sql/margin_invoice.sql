-- Revenue that meter bills itself, in margins: previews, drafts, invoices and credit notes, and credits that were bought.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.metric (metric, aggregation, unit) VALUES ('tokens', 'sum', 'input_tokens'), ('seconds', 'sum', 'audio_seconds');
INSERT INTO meter.rate (item, unit, price) VALUES ('gpt', 'input_tokens', 0.1), ('gpt', 'audio_seconds', 0.1);
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'draw', 'actions', 3);
INSERT INTO meter.plan (plan, currency, anchor) VALUES ('pro', 'USD', '2000-01-01'), ('euro', 'EUR', '2000-01-01');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, timing) VALUES ('pro', 1, 'fee', 'fee', 31, 'advance'), ('euro', 1, 'fee', 'fee', 100, 'arrears');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, quantity, credit_type) VALUES
	('pro', 2, 'seats', 'seat', NULL, 'at 10', NULL, NULL),
	('pro', 3, 'tokens', 'usage', 'tokens', 'at 0.5', 100, NULL),
	('pro', 4, 'seconds', 'usage', 'seconds', 'at 0.2', NULL, NULL),
	('pro', 5, 'credits', 'credit', NULL, 'at 2', 10, 'credit');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, percent) VALUES ('pro', 6, 'discount', 'discount', 10);

-- What an item of a plan brings.
SELECT kind, meter.revenue_kind(kind, included, per_seat, tariff::meter.tariff)
FROM (VALUES
	('fee', NULL::numeric, NULL::numeric, NULL), ('seat', 5, NULL, 'at 10'), ('credit', 10, NULL, 'at 2'), ('cost_plus', NULL, NULL, 'at 130%'),
	('usage', NULL, NULL, 'at 1'), ('usage', 0, NULL, 'at 1'), ('usage', 1, NULL, 'at 1'), ('usage', NULL, 1, 'at 1'), ('usage', NULL, NULL, 'at 1; free 5'), ('usage', NULL, NULL, NULL),
	('usage', NULL, NULL, 'graduated: up to 500 at 0; above at 1'), ('usage', NULL, NULL, 'graduated: up to 500 at 0 plus 29; above at 1'), ('percentage', NULL, NULL, 'at 2.9%'),
	('commitment', NULL, NULL, NULL), ('discount', NULL, NULL, NULL), ('cap', NULL, NULL, NULL)) AS item (kind, included, per_seat, tariff);

-- Two months of a plan: 31 + 20 + 20 x 0.5 + 50 x 0.2 + 2 x 2, less 10 %; then 31 + 20, less 10 %. Cost 120 x 0.1 + 50 x 0.1.
SELECT meter.subscribe('acme', 'pro', since => '2025-01-01', until => '2025-03-01') AS acme \gset
SELECT meter.subscribe('euro', 'euro', since => '2025-01-01', until => '2025-02-01') AS euro \gset
INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity, valid) VALUES (:acme, 'seats', 2, '[2025-01-01,2025-03-01)');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action) VALUES
	('acme', '1', '2025-01-05 12:00Z', 'gpt', '{"input_tokens": 120, "audio_seconds": 50}', NULL),
	('acme', '2', '2025-01-06 12:00Z', NULL, '{"actions": 4}', 'draw'),
	('solo', '1', '2025-01-06 12:00Z', 'gpt', '{"input_tokens": 5}', NULL);
INSERT INTO meter.fx_rate (currency, quote, rate_date, rate) VALUES ('EUR', 'USD', '2025-01-31', 1.5);
SELECT customer_id, period, kind, amount, currency, source, estimated FROM meter.revenue_line ORDER BY customer_id, period, kind, amount;
SELECT customer_id, month, plan, revenue, cost, gross_margin, revenue_by_kind, unknown_amounts, estimated FROM meter.customer_margin ORDER BY customer_id, month;

-- Billed, as drafts and then for good, it is the same revenue: no line counts twice.
CALL meter.close_periods('2025-02-01', state => 'draft');
SELECT month, revenue, revenue_by_kind, estimated FROM meter.margin_of_customer WHERE customer_id = 'acme' ORDER BY month;
SELECT count(meter.finalize_invoice(invoice_id)) FROM meter.invoice WHERE state = 'draft';
SELECT month, revenue, revenue_by_kind, estimated FROM meter.margin_of_customer WHERE customer_id = 'acme' ORDER BY month;
CALL meter.close_periods();
SELECT customer_id, month, plan, revenue, gross_margin, estimated FROM meter.customer_margin ORDER BY customer_id, month;
SELECT sum(amount) = (SELECT sum(total) FROM meter.invoice WHERE currency = 'USD') AS as_invoiced FROM meter.customer_revenue WHERE billed_currency = 'USD';

-- What comes late counts at once, in the month that it is of, and stays when it is billed.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('acme', '3', '2025-01-31 23:00Z', 'gpt', '{"input_tokens": 10}');
CALL meter.refresh();
SELECT month, revenue, revenue_by_kind, estimated FROM meter.margin_of_customer WHERE customer_id = 'acme' ORDER BY month;
CALL meter.close_periods();
SELECT month, revenue, revenue_by_kind, estimated FROM meter.margin_of_customer WHERE customer_id = 'acme' ORDER BY month;

-- What is void for good brings nothing; what is to be billed again, as much.
SELECT meter.void_invoice(invoice_id, 'goodwill', false) IS NOT NULL AS void FROM meter.invoice WHERE customer_id = 'euro';
SELECT month, revenue, revenue_by_kind, estimated FROM meter.margin_of_customer WHERE customer_id = 'euro' ORDER BY month;
SELECT count(meter.void_invoice(invoice_id, 'wrong address')) FROM meter.invoice WHERE customer_id = 'acme' AND state = 'final' AND kind = 'invoice' AND invoice_date = '2025-02-01' AND total > 20;
SELECT month, revenue, estimated FROM meter.margin_of_customer WHERE customer_id = 'acme' ORDER BY month;
CALL meter.close_periods();
SELECT month, revenue, estimated FROM meter.margin_of_customer WHERE customer_id = 'acme' ORDER BY month;

-- By plan. A customer without one is in the row without.
SELECT month, plan, customers, revenue, cost, gross_margin, gross_margin_percent FROM meter.plan_margin ORDER BY month, plan;
SELECT scope, plan, segment, customers, cost, heaviest, lightest FROM meter.cost_spread WHERE month = '2025-01-01' ORDER BY scope, plan, segment;
-- The last one in the month, and family main before any other.
INSERT INTO meter.plan (plan, currency, family) VALUES ('a_support', 'USD', 'a_support'), ('first', 'USD', 'main'), ('second', 'USD', 'main');
SELECT meter.subscribe('moves', 'first', since => '2025-01-10', until => '2025-02-10') > 0 AS ok, meter.subscribe('moves', 'second', since => '2025-02-10', until => '2025-03-01') > 0 AS ok, meter.subscribe('moves', 'a_support', since => '2025-01-01', until => '2025-04-01') > 0 AS ok;
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) SELECT 'moves', date '2025-01-01' + 31 * n, 1, 'USD' FROM generate_series(0, 3) AS n;
SELECT month, plan FROM meter.customer_margin WHERE customer_id = 'moves' ORDER BY month;

-- Seats divide shared cost by the days that each was held: acme 2 x 31, the others 1 x 31 and 3 x 10.
SELECT meter.subscribe('one', 'pro', since => '2025-01-01', until => '2025-02-01') AS one, meter.subscribe('late', 'pro', since => '2025-01-22', until => '2025-02-01') AS late \gset
INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity) VALUES (:one, 'seats', 1), (:late, 'seats', 3);
INSERT INTO meter.shared_cost (period, layer, amount, currency, basis) VALUES ('[2025-01-01,2025-02-01)', 'storage', 123, 'USD', 'seats'), ('[2024-01-01,2024-02-01)', 'storage', 5, 'USD', 'seats');
SELECT first_date, customer_id, weight, amount FROM meter.shared_cost_allocation ORDER BY first_date, customer_id;

-- Credits that are bought are revenue as they burn or expire, whoever bills them; the bill is none.
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid, paid, currency) VALUES
	('buyer', 'pack', 'purchase', 100, '[2025-01-10,2025-04-01)', 50, 'USD'),
	('buyer', 'gift', 'promotion', 10, '[2025-01-01,2025-02-01)', 0, NULL);
INSERT INTO meter.revenue (customer_id, revenue_date, kind, amount, currency) VALUES ('buyer', '2025-01-10', 'credit_purchase', 50, 'USD');
CREATE TABLE shop_sale (who text, at date, amount numeric, what text);
INSERT INTO shop_sale VALUES ('buyer', '2025-01-10', 50, 'credit_purchase'), ('buyer', '2025-01-11', 7, NULL);
SELECT meter.attach_revenue('shop_sale', 'shop', 'who', 'amount', 'at', kind_column => 'what', currency => 'USD');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage, action) VALUES
	('buyer', '1', '2025-01-20 12:00Z', '{"actions": 10}', 'draw'),
	('buyer', '2', '2025-02-20 12:00Z', '{"actions": 10}', 'draw');
SELECT period, kind, amount, source, estimated FROM meter.revenue_line WHERE customer_id = 'buyer' ORDER BY period, kind;
SELECT month, kind, amount FROM meter.customer_revenue WHERE customer_id = 'buyer' ORDER BY month, kind;
SELECT sum(recognised) FROM meter.credit_revenue WHERE customer_id = 'buyer';
SELECT kind, amount FROM meter.customer_revenue_between('2025-01-16', '2025-01-21') WHERE customer_id = 'buyer';
SELECT meter.detach_revenue('shop');

-- The signals that need plans: use of what is included, overage, and fees alone.
SELECT signal, value, state FROM meter.pricing_signal WHERE month = '2025-01-01' AND signal IN ('customers_over_allowance', 'median_allowance_use', 'overage_share', 'fees_below_cost') ORDER BY signal;
SELECT customer_id, value FROM meter.pricing_signal_rows('median_allowance_use', '2025-01-15');
SELECT customer_id, value FROM meter.pricing_signal_rows('customers_over_allowance', '2025-01-15');
SELECT customer_id, value FROM meter.pricing_signal_rows('overage_share', '2025-01-15');
SELECT signal, value, state FROM meter.pricing_signal WHERE month = '2025-03-01' AND signal LIKE '%allowance%' ORDER BY signal;

-- An open period: what was used so far is earned over the days so far, the fee over all of them.
INSERT INTO meter.plan (plan, currency) VALUES ('now', 'USD');
INSERT INTO meter.plan_item (plan, plan_item, kind, amount, timing) VALUES ('now', 'fee', 'fee', 30, 'advance');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('now', 'tokens', 'usage', 'tokens', 'at 1');
SELECT meter.subscribe('now', 'now', since => current_date - 2) IS NOT NULL AS ok;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('now', '1', now(), 'gpt', '{"input_tokens": 6}');
SELECT kind, lower(period) - current_date AS first, upper(period) - lower(period) >= 28 AS whole, upper(period) - current_date = 1 AS so_far, amount, estimated FROM meter.revenue_line WHERE customer_id = 'now' ORDER BY kind;
CALL meter.close_periods();
SELECT kind, amount, estimated FROM meter.revenue_line WHERE customer_id = 'now' ORDER BY kind;

-- What has no price is not known, and so is the bill of one that could not be closed; the others are reported.
INSERT INTO meter.plan (plan, currency, anchor) VALUES ('bare', 'USD', '2000-01-01');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, dimension) VALUES ('bare', 'by_item', 'usage', 'tokens', 'item');
SELECT meter.subscribe('bare', 'bare', since => '2025-01-01', until => '2025-02-01') IS NOT NULL AS ok;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('bare', '1', '2025-01-10 12:00Z', 'gpt', '{"input_tokens": 6}');
SELECT customer_id, month, plan, revenue, cost, gross_margin, unknown_amounts FROM meter.customer_margin WHERE customer_id = 'bare';
SELECT customer_id, kind, problem FROM meter.revenue_problem;
SELECT meter.subscribe('stuck', 'pro', since => '2025-01-20', until => '2025-03-01') IS NOT NULL AS ok;
SELECT customer_id, month, revenue, unknown_amounts, estimated FROM meter.customer_margin WHERE customer_id IN ('stuck', 'late') AND month < '2025-03-01' ORDER BY customer_id, month;
INSERT INTO meter.billing_problem (customer_id, problem) VALUES ('stuck', 'it failed');
SELECT customer_id, month, revenue, unknown_amounts, estimated FROM meter.customer_margin WHERE customer_id IN ('stuck', 'late') AND month < '2025-03-01' ORDER BY customer_id, month;
DELETE FROM meter.billing_problem WHERE customer_id = 'stuck';

-- Nor does one that cannot be rated keep the others from being reported, before any closing has failed.
INSERT INTO meter.plan (plan, currency, anchor) VALUES ('huge', 'USD', '2000-01-01');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('huge', 'tokens', 'usage', 'tokens', 'at 10000000000000000000');
SELECT meter.subscribe('huge', 'huge', since => '2025-01-01', until => '2025-02-01') IS NOT NULL AS ok;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('huge', '1', '2025-01-10 12:00Z', 'gpt', '{"input_tokens": 10000000000}');
SELECT problem FROM meter.preview_lines('huge');
SELECT customer_id, month, revenue, unknown_amounts, estimated FROM meter.customer_margin WHERE customer_id IN ('huge', 'late') AND month < '2025-03-01' ORDER BY customer_id, month;

-- What a subscription has otherwise decides what its revenue is: some included makes it overage, and no free tier any more makes it usage.
BEGIN;
INSERT INTO meter.metric (metric, aggregation, unit) VALUES ('own_tokens', 'sum', 'input_tokens');
INSERT INTO meter.plan (plan, currency, family) VALUES ('own', 'USD', 'own');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('own', 'plain', 'usage', 'own_tokens', 'at 1'), ('own', 'free', 'usage', 'own_tokens', 'at 2; free 10');
SELECT meter.subscribe('own1', 'own', since => '2025-01-01', until => '2025-03-01') AS own1, meter.subscribe('own2', 'own', since => '2025-01-01', until => '2025-03-01') AS own2 \gset
INSERT INTO meter.subscription_override (subscription_id, plan_item, quantity, tariff, valid) VALUES (:own2, 'plain', 5, NULL, '(,)'), (:own2, 'free', NULL, 'at 2', '[2025-02-01,)');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage)
SELECT customer, month::text, month + interval '1 day', '{"input_tokens": 30}' FROM (VALUES ('own1'), ('own2')) AS customer (customer), (VALUES (timestamptz '2025-01-05 00:00Z'), (timestamptz '2025-02-05 00:00Z')) AS month (month);
SELECT customer_id, period, kind, amount, estimated FROM meter.revenue_line WHERE customer_id LIKE 'own_' ORDER BY customer_id, lower(period), amount;
SELECT closed, invoices FROM meter.close_customers('{own1,own2}', '2025-03-01', '2025-04-01 00:00Z');
SELECT customer_id, period, kind, amount, estimated FROM meter.revenue_line WHERE customer_id LIKE 'own_' ORDER BY customer_id, lower(period), amount;
ROLLBACK;

-- A reader of reports sees what is earned, and neither events nor terms.
CREATE ROLE regress_meter_margin_reader;
SELECT count(*) > 0 AS some FROM meter.customer_margin;
SET ROLE regress_meter_margin_reader;
SELECT count(*) FROM meter.customer_margin;
RESET ROLE;
SELECT meter.allow_reporting('regress_meter_margin_reader');
SET ROLE regress_meter_margin_reader;
SELECT revenue, plan FROM meter.customer_margin WHERE customer_id = 'late' AND month = '2025-01-01';
SELECT count(*) > 0 AS some FROM meter.pricing_signal;
SELECT count(*) > 0 AS some FROM meter.plan_margin;
SELECT count(*) > 0 AS some FROM meter.cost_spread;
SELECT sum(amount) FROM meter.customer_revenue WHERE customer_id = 'buyer' AND kind = 'credits';
SELECT count(*) FROM meter.usage_event;
-- What finance reads, and what it does not.
SELECT count(*) > 0 AS some FROM meter.invoice;
SELECT count(*) > 0 AS some FROM meter.invoice_line;
SELECT count(*) > 0 AS some FROM meter.billed_line;
SELECT count(*) > 0 AS some FROM meter.billing_period;
SELECT count(*) > 0 AS some FROM meter.invoice_preview;
SELECT count(*) > 0 AS some FROM meter.period_usage;
SELECT count(*) >= 0 AS readable FROM meter.period_problem;
SELECT count(*) >= 0 AS readable FROM meter.allowance_use;
SELECT count(*) >= 0 AS readable FROM meter.money_credit_balance;
SELECT count(*) FROM meter.rate;
SELECT tariff FROM meter.plan_item;
SELECT count(*) FROM meter.rate_lines('{acme}', '{2025-01-01}', '{2025-02-01}');
UPDATE meter.invoice SET reason = 'none';
RESET ROLE;
DROP OWNED BY regress_meter_margin_reader;
DROP ROLE regress_meter_margin_reader;
