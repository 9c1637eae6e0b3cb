-- Every number of docs/worked-example.md.
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.item (item, layer, provider, name) VALUES ('openai/big', 'inference', 'openai', 'big'), ('vec/query', 'retrieval', 'vec', 'query'), ('openai/next', 'inference', 'openai', 'next');
INSERT INTO meter.rate (item, unit, price, per, valid) VALUES
	('openai/big', 'input_tokens', 2.50, 1000000, '(,)'),
	('openai/big', 'output_tokens', 10, 1000000, '(,)'),
	('vec/query', 'requests', 0.001, 1, '(,2025-03-01 00:00Z)'),
	('vec/query', 'requests', 0.002, 1, '[2025-03-01 00:00Z,)');
INSERT INTO meter.customer (customer_id, segment) VALUES ('light', 'starter'), ('heavy', 'starter'), ('gone', 'starter'), ('fresh', 'starter'), ('euro', 'enterprise');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, variant, usage, action, outcome, user_id, workflow_id) VALUES
	('light', 'f1', '2025-02-10 12:00Z', 'openai/big', 'standard', '{"input_tokens": 20000, "output_tokens": 20000}', NULL, NULL, 'ann', NULL),
	('heavy', 'f1', '2025-02-10 12:00Z', 'openai/big', 'standard', '{"input_tokens": 20000000, "output_tokens": 10000000}', NULL, NULL, NULL, NULL),
	('heavy', 'f2', '2025-02-10 12:00Z', 'vec/query', 'standard', '{"requests": 1000}', NULL, NULL, NULL, NULL),
	('gone', 'f1', '2025-02-10 12:00Z', 'openai/big', 'standard', '{"input_tokens": 10000, "output_tokens": 10000}', NULL, NULL, NULL, NULL),
	('light', 'm1', '2025-03-10 12:00Z', 'openai/big', 'standard', '{"input_tokens": 10000, "output_tokens": 10000, "actions": 1}', 'summarise', 'failure', 'ann', 'w1'),
	('light', 'm2', '2025-03-10 12:01Z', 'openai/big', 'standard', '{"input_tokens": 10000, "output_tokens": 10000}', 'summarise', NULL, 'ann', 'w1'),
	('light', 'm3', '2025-03-10 12:02Z', 'openai/big', 'standard', '{"input_tokens": 10000, "output_tokens": 10000}', 'summarise', NULL, 'ann', 'w1'),
	('light', 'm4', '2025-03-10 12:03Z', 'openai/big', 'standard', '{"input_tokens": 10000, "output_tokens": 10000, "actions": 1}', 'summarise', 'success', 'ann', 'w1'),
	('heavy', 'm1', '2025-03-10 12:00Z', 'openai/big', 'standard', '{"input_tokens": 58400000, "output_tokens": 30000000}', NULL, NULL, NULL, NULL),
	('heavy', 'm2', '2025-03-10 12:00Z', 'vec/query', 'standard', '{"requests": 2000}', NULL, NULL, NULL, NULL),
	('euro', 'm1', '2025-03-10 12:00Z', 'openai/big', 'standard', '{"input_tokens": 400000, "output_tokens": 100000}', NULL, NULL, NULL, NULL),
	('fresh', 'm1', '2025-03-10 12:00Z', 'openai/next', 'standard', '{"input_tokens": 1000}', NULL, NULL, NULL, NULL),
	('fresh', 'm2', '2025-03-10 12:00Z', 'openai/big', 'cached', '{"input_tokens": 200000, "output_tokens": 100000}', NULL, NULL, NULL, NULL);
INSERT INTO meter.revenue (customer_id, revenue_date, period, kind, amount, currency) VALUES
	('light', '2025-02-01', '[2025-02-01,2025-03-01)', 'fee', 49, 'USD'),
	('heavy', '2025-02-01', '[2025-02-01,2025-03-01)', 'fee', 49, 'USD'),
	('gone', '2025-02-01', '[2025-02-01,2025-03-01)', 'fee', 49, 'USD'),
	('light', '2025-03-01', '[2025-03-01,2025-04-01)', 'fee', 49, 'USD'),
	('heavy', '2025-03-01', '[2025-03-01,2025-04-01)', 'fee', 49, 'USD'),
	('fresh', '2025-03-01', '[2025-03-01,2025-04-01)', 'fee', 49, 'USD'),
	('euro', '2025-03-01', '[2025-03-01,2025-04-01)', 'fee', 100, 'EUR');
INSERT INTO meter.fx_rate (currency, quote, rate_date, rate) VALUES ('EUR', 'USD', '2025-03-28', 1.08), ('EUR', 'USD', '2025-02-27', 1.05);
INSERT INTO meter.shared_cost (period, layer, amount, currency, basis) VALUES ('[2025-02-01,2025-03-01)', 'orchestration', 10.00, 'USD', 'customers');
INSERT INTO meter.provider_bill (provider, period, item, amount, currency) VALUES
	('openai', '[2025-03-01,2025-04-01)', NULL, 460.00, 'USD'),
	('vec', '[2025-03-01,2025-04-01)', 'vec/query', 4.00, 'USD');

-- 1. Cost to serve
SELECT customer_id, month, layer, item, events, usage, cost, unpriced_events, estimated FROM meter.customer_cost ORDER BY month, customer_id, item;
SELECT month, action, attempts, completed, calls, cost, failure_cost, cost_per_action, calls_per_action FROM meter.action_cost;
SELECT workflow_id, first_date, last_date, events, calls, completed, cost FROM meter.workflow_cost;
SELECT month, user_id, events, completed, cost FROM meter.user_cost WHERE customer_id = 'light' ORDER BY month;
SELECT customer_id, month, item, events, standard_cost, cost, saving FROM meter.cache_saving;

-- 2. Shared cost and provider bills
SELECT customer_id, weight, amount, currency FROM meter.shared_cost_allocation ORDER BY customer_id;
SELECT * FROM meter.provider_reconciliation ORDER BY provider;
SELECT customer_id, item, rated_cost, amount FROM meter.provider_bill_allocation WHERE provider = 'openai' ORDER BY customer_id;

-- 3. Margin
SELECT customer_id, month, revenue, cost, shared_cost, gross_margin, gross_margin_percent, rank, unpriced_events FROM meter.customer_margin ORDER BY month, rank;
SELECT month, segment, customers, customers_at_a_loss, revenue, cost, shared_cost, gross_margin, gross_margin_percent FROM meter.segment_margin ORDER BY month, segment;
SELECT month, customers, revenue, cost, shared_cost, gross_margin, gross_margin_percent FROM meter.monthly_margin ORDER BY month;
SELECT month, item, customers, revenue, cost, gross_margin FROM meter.item_margin WHERE month = '2025-03-01' ORDER BY item;

-- 4. Spread
\x
SELECT * FROM meter.cost_spread WHERE month = '2025-03-01' AND scope = 'all';
\x

-- 5. Variance
SELECT customer_id, item, quantity_before, quantity_after, cost_before, cost_after, change, price_effect, volume_effect, mix_effect, new_effect, lost_effect
FROM meter.cost_variance('[2025-02-01,2025-03-01)', '[2025-03-01,2025-04-01)') ORDER BY customer_id, item;
SELECT sum(change) AS change, sum(price_effect) AS price, sum(volume_effect) AS volume, sum(mix_effect) AS mix, sum(new_effect) AS new, sum(lost_effect) AS lost
FROM meter.cost_variance_by_month WHERE month = '2025-03-01';
SELECT customer_id, margin_before, margin_after, change, new_effect AS new, lost_effect AS lost, revenue_effect AS revenue, price_effect AS price, volume_effect AS volume, mix_effect AS mix, shared_cost_effect AS shared
FROM meter.margin_bridge('[2025-02-01,2025-03-01)', '[2025-03-01,2025-04-01)') ORDER BY customer_id;

-- 6. Signals
SELECT signal, value, alert_when, threshold, state FROM meter.pricing_signal WHERE month = '2025-03-01' ORDER BY signal;
SELECT customer_id, value, revenue, cost, gross_margin FROM meter.pricing_signal_rows('customers_at_a_loss', '2025-03-01');
SELECT customer_id, value, revenue, cost, gross_margin FROM meter.pricing_signal_rows('cheap_customers_leaving', '2025-03-15');
