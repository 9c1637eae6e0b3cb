-- Shared cost and provider bills: divided to the last unit, whatever the weights are.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.shared_cost (period, layer, amount, currency, basis) VALUES ('[2025-01-01,2025-02-01)', 'storage', 0.001, 'USD', 'usage');
INSERT INTO meter.shared_cost (period, layer, amount, currency, basis) VALUES ('[2025-01-01,)', 'storage', 1, 'USD', 'usage');
INSERT INTO meter.shared_cost (period, layer, amount, currency, basis) VALUES ('[2025-01-01,2025-02-01)', 'storage', 1, 'USD', 'floors');
INSERT INTO meter.shared_cost (period, layer, amount, currency, basis) VALUES ('[2025-01-01,2025-02-01)', 'storage', 1, 'dollars', 'usage');

INSERT INTO meter.item (item, provider) VALUES ('mine', 'openai');
INSERT INTO meter.rate (item, unit, price) VALUES ('openai/a', '*', 1), ('openai/b', '*', 2), ('mine', '*', 1), ('vec/q', '*', 1);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, variant) VALUES
	('acme', '1', '2025-01-05 12:00Z', 'openai/a', '{"input_tokens": 3}', 'standard'),
	('acme', '2', '2025-01-06 12:00Z', 'openai/b', '{"input_tokens": 1}', 'standard'),
	('bolt', '1', '2025-01-07 12:00Z', 'mine', '{"input_tokens": 1}', 'standard'),
	('core', '1', '2025-01-08 12:00Z', 'openai/a', '{"input_tokens": 9}', 'cached'),
	('acme', '3', '2025-02-05 12:00Z', 'vec/q', '{"requests": 7}', 'standard');
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) VALUES
	('acme', '2025-01-10', 10, 'USD'), ('dash', '2025-01-10', 20, 'USD'), ('core', '2025-01-10', -5, 'USD'), ('euro', '2025-01-10', 20, 'EUR');
INSERT INTO meter.shared_cost (period, layer, amount, currency, basis, description) VALUES
	('[2025-01-01,2025-02-01)', 'storage', 100.00, 'USD', 'usage', 'by cost: 5, 1, 0'),
	('[2025-01-01,2025-02-01)', 'storage', 100.00, 'USD', 'customers', 'five customers'),
	('[2025-01-01,2025-02-01)', 'storage', -100.00, 'USD', 'revenue', 'by revenue: 10, 20, less than none, unknown'),
	('[2024-01-01,2025-01-01)', 'storage', 9.99, 'USD', 'usage', 'nobody used anything'),
	('[2025-01-01,2025-03-01)', 'orchestration', 590, 'JPY', 'usage', 'two months, by cost: 12, 1');
SELECT shared_cost_id - (SELECT min(shared_cost_id) FROM meter.shared_cost) AS n, basis, customer_id, weight, amount, currency, weight_unknown FROM meter.shared_cost_allocation ORDER BY n, customer_id;
SELECT shared_cost_id FROM meter.shared_cost LEFT JOIN (SELECT shared_cost_id, sum(amount) AS allocated FROM meter.shared_cost_allocation GROUP BY shared_cost_id) AS part USING (shared_cost_id) WHERE allocated IS DISTINCT FROM amount;
INSERT INTO meter.fx_rate VALUES ('JPY', 'USD', '2025-01-31', 0.01);
SELECT customer_id, month, layer, amount, billed_amount, billed_currency FROM meter.customer_shared_cost WHERE month >= '2025-01-01' ORDER BY month, layer, customer_id, billed_currency;
SELECT customer_id, layer, amount, billed_amount FROM meter.customer_shared_cost_between('2025-01-16', '2025-02-01') ORDER BY layer, customer_id;
SELECT customer_id, month, shared_cost, unknown_amounts FROM meter.customer_margin WHERE month >= '2025-01-01' ORDER BY month, customer_id;
SELECT sum(shared_cost) FROM meter.customer_margin WHERE month < '2025-01-01';

-- Bills: items by their provider; one item by itself and the rest together; what is on no bill, and what nobody used.
INSERT INTO meter.provider_bill (provider, period, item, amount, currency) VALUES
	('openai', '[2025-01-01,2025-02-01)', 'openai/b', 2.50, 'USD'),
	('openai', '[2025-01-01,2025-02-01)', NULL, 3.00, 'USD'),
	('openai', '[2025-01-01,2025-02-01)', NULL, 1.00, 'USD'),
	('vec', '[2025-02-01,2025-03-01)', 'vec/other', 5, 'USD'),
	('gone', '[2025-02-01,2025-03-01)', NULL, 7, 'CHF');
SELECT * FROM meter.provider_reconciliation ORDER BY provider, item;
SELECT provider, billed_item, customer_id, item, rated_cost, amount, currency FROM meter.provider_bill_allocation ORDER BY provider, billed_item, customer_id, item;
SELECT sum(amount) FROM meter.provider_bill_allocation;

-- Cost in one currency, reports in another.
UPDATE meter.setting SET currency = 'EUR';
INSERT INTO meter.fx_rate VALUES ('USD', 'EUR', '2025-01-31', 0.9);
SELECT customer_id, month, item, cost, rated_cost, rated_currency FROM meter.customer_cost ORDER BY month, customer_id, item;
SELECT customer_id, month, revenue, cost, gross_margin, unknown_amounts FROM meter.customer_margin WHERE month >= '2025-01-01' ORDER BY month, customer_id;
SELECT provider, item, computed, billed, difference FROM meter.provider_reconciliation ORDER BY provider, item;
SELECT customer_id, item, cost_before, cost_after, change, lost_effect FROM meter.cost_variance('[2025-01-01,2025-02-01)', '[2025-02-01,2025-03-01)') ORDER BY customer_id, item;
UPDATE meter.setting SET currency = 'USD';

-- By item and by action, margins add up to the customers'.
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'draw', 'actions', 3), ('credit', 'chat', 'actions', 1);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action) VALUES
	('acme', '4', '2025-01-09 12:00Z', 'openai/a', '{"input_tokens": 1, "actions": 1}', 'chat'),
	('acme', '5', '2025-01-09 12:00Z', 'openai/a', '{"input_tokens": 6, "actions": 2}', 'draw'),
	('bolt', '2', '2025-01-09 12:00Z', 'mine', '{"input_tokens": 2}', 'draw');
SELECT customer_id, item, revenue, cost, shared_cost, gross_margin FROM meter.customer_item_margin WHERE month = '2025-01-01' AND customer_id < 'e' ORDER BY customer_id, item;
SELECT customer_id, action, completed, revenue, cost, shared_cost, gross_margin FROM meter.customer_action_margin WHERE month = '2025-01-01' AND customer_id < 'e' ORDER BY customer_id, action;
SELECT
	(SELECT sum(gross_margin) FROM meter.customer_margin) = (SELECT sum(gross_margin) FROM meter.customer_item_margin) AS by_item,
	(SELECT sum(gross_margin) FROM meter.customer_margin) = (SELECT sum(gross_margin) FROM meter.customer_action_margin) AS by_action;
SELECT customer_id, cost, cost_by_layer, revenue_by_kind FROM meter.customer_margin WHERE month = '2025-01-01' ORDER BY customer_id;
