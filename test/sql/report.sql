-- Spread, variance, budget and signals on cases that were worked out by hand.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.item (item) VALUES ('a'), ('b'), ('c');
INSERT INTO meter.rate (item, unit, price) VALUES ('a', 'input_tokens', 1), ('b', 'input_tokens', 3), ('c', 'input_tokens', 2), ('c', 'output_tokens', 4);

-- Mix: as many tokens as before, and a dearer item does more of them. An item that is new to the customer is mix too.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES
	('mix', '1', '2024-01-10Z', 'a', '{"input_tokens": 80}'), ('mix', '2', '2024-01-10Z', 'b', '{"input_tokens": 20}'),
	('mix', '3', '2024-02-10Z', 'a', '{"input_tokens": 50}'), ('mix', '4', '2024-02-10Z', 'b', '{"input_tokens": 50}'),
	('grow', '1', '2024-01-10Z', 'a', '{"input_tokens": 7}'), ('grow', '2', '2024-02-10Z', 'a', '{"input_tokens": 7}'), ('grow', '3', '2024-02-10Z', 'c', '{"input_tokens": 3}'),
	('third', '1', '2024-01-10Z', 'c', '{"input_tokens": 2, "output_tokens": 1}'), ('third', '2', '2024-02-10Z', 'c', '{"input_tokens": 2, "output_tokens": 5}');
SELECT customer_id, item, quantity_before AS q0, quantity_after AS q1, cost_before, cost_after, change, price_effect AS price, volume_effect AS volume, mix_effect AS mix, new_effect AS new, lost_effect AS lost
FROM meter.cost_variance('[2024-01-01,2024-02-01)', '[2024-02-01,2024-03-01)') ORDER BY customer_id, item;
SELECT count(*) FROM (
	SELECT customer_id, layer, item, quantity_before, quantity_after, cost_before, cost_after, change, price_effect, volume_effect, mix_effect, new_effect, lost_effect, unpriced_before, unpriced_after, estimated
	FROM meter.cost_variance('[2024-01-01,2024-02-01)', '[2024-02-01,2024-03-01)')
	EXCEPT
	SELECT customer_id, layer, item, quantity_before, quantity_after, cost_before, cost_after, change, price_effect, volume_effect, mix_effect, new_effect, lost_effect, unpriced_before, unpriced_after, estimated
	FROM meter.cost_variance_by_month WHERE month = '2024-02-01') AS other;
-- The month after the last one has lost them all; the month before the first one is not there.
SELECT month, sum(change) AS change, sum(new_effect) AS new, sum(lost_effect) AS lost FROM meter.cost_variance_by_month GROUP BY month ORDER BY month;
SELECT meter.cost_variance('[2024-01-01,)', '[2024-02-01,2024-03-01)');
SELECT meter.cost_variance('[2024-01-01,2024-02-01)', 'empty');
SELECT meter.margin_bridge(NULL, '[2024-01-01,2024-02-01)');

-- A budget: each cost counts in the line that fits it best, and what fits none is shown.
INSERT INTO meter.cost_budget (budget, period, customer_id, layer, item, quantity, amount, currency) VALUES
	('plan', '[2024-02-01,2024-03-01)', NULL, NULL, 'a', 50, 40, 'USD'),
	('plan', '[2024-02-01,2024-03-01)', 'mix', NULL, NULL, NULL, 100, 'USD'),
	('plan', '[2024-02-01,2024-03-01)', 'gone', NULL, NULL, 10, 10, 'USD'),
	('plan', '[2024-01-01,2024-03-01)', NULL, 'storage', NULL, NULL, 60, 'USD');
SELECT * FROM meter.cost_variance_from_budget('plan', '[2024-02-01,2024-03-01)') ORDER BY item, customer_id, layer;
SELECT (SELECT sum(cost) FROM meter.cost_variance_from_budget('plan', '[2024-02-01,2024-03-01)')) = (SELECT sum(cost) FROM meter.customer_cost_between('2024-02-01', '2024-03-01')) AS all_of_it;
SELECT count(*) FROM meter.cost_variance_from_budget('no such', '[2024-02-01,2024-03-01)');

-- Spread: 100 customers at 1 to 100.
INSERT INTO meter.customer (customer_id, segment) SELECT 's' || n, CASE WHEN n <= 10 THEN 'small' ELSE 'large' END FROM generate_series(1, 100) AS n;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
SELECT 's' || n, 'x', '2023-05-10Z', 'a', meter.usage('input_tokens', n) FROM generate_series(1, 100) AS n;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('zero', 'x', '2023-05-10Z', 'unknown', '{"input_tokens": 1}');
SELECT scope, segment, customers AS n, cost, mean, lightest, p5, p50, p75, p80, p90, p95, p99, heaviest, heaviest_to_lightest AS ratio, p95_to_p5, gini, top_1_cost_share AS top_1, top_5_cost_share AS top_5, top_20_cost_share AS top_20, top_1_revenue_share AS revenue_1, band, unpriced_events AS unpriced
FROM meter.cost_spread WHERE month = '2023-05-01' ORDER BY scope, segment;

-- Signals. Nine months in which revenue grows and margin falls; the ones that do most are the least profitable.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action)
SELECT 'e' || n, 'm' || m, timestamptz '2022-01-15 00:00Z' + m * interval '1 month', 'a', meter.usage('input_tokens', n * 10 * (m / 3 * 2 + 1), 'actions', n), 'chat'
FROM generate_series(1, 6) AS n, generate_series(0, 8) AS m;
INSERT INTO meter.revenue (customer_id, revenue_date, kind, amount, currency)
SELECT 'e' || n, date '2022-01-01' + m * interval '1 month', kind, CASE kind WHEN 'fee' THEN 200 ELSE 40 * (m / 3) END, 'USD'
FROM generate_series(1, 6) AS n, generate_series(0, 8) AS m, unnest(ARRAY['fee', 'overage']) AS kind;
DELETE FROM meter.revenue WHERE customer_id = 'e1' AND revenue_date = '2022-09-01';
SELECT month, revenue, cost, gross_margin, gross_margin_percent FROM meter.monthly_margin WHERE month BETWEEN '2022-01-01' AND '2022-12-31' ORDER BY month;
SELECT month, signal, value, state FROM meter.pricing_signal WHERE month IN ('2022-03-01', '2022-06-01', '2022-09-01') ORDER BY month, signal;
SELECT customer_id, value, revenue, cost, gross_margin FROM meter.pricing_signal_rows('margin_falling', '2022-09-01');
SELECT customer_id, value FROM meter.pricing_signal_rows('engagement_margin', '2022-09-01');
SELECT customer_id, value FROM meter.pricing_signal_rows('fees_below_cost', '2022-09-01');
SELECT customer_id, value FROM meter.pricing_signal_rows('overage_share', '2022-09-01');
SELECT customer_id, value FROM meter.pricing_signal_rows('cheap_customers_leaving', '2022-09-01');
SELECT customer_id, value FROM meter.pricing_signal_rows('cost_spread', '2022-09-01');
SELECT customer_id, value FROM meter.pricing_signal_rows('unpriced_share', '2023-05-01');
SELECT customer_id, value FROM meter.pricing_signal_rows('revenue_at_a_loss', '2022-09-01');
SELECT * FROM meter.pricing_signal_rows('mood', '2022-09-01');

-- Thresholds are the user's, and only changed ones are dumped.
UPDATE meter.pricing_threshold SET threshold = 3 WHERE signal = 'margin_falling';
SELECT signal, value, threshold, state FROM meter.pricing_signal WHERE month = '2022-09-01' AND signal = 'margin_falling';
INSERT INTO meter.pricing_threshold (signal, threshold, alert_when) VALUES ('cost_spread', 50, 'at least');
SELECT signal, threshold, builtin FROM meter.pricing_threshold ORDER BY builtin, signal;
DELETE FROM meter.pricing_threshold WHERE signal = 'unpriced_share';
SELECT count(*) FROM meter.pricing_signal WHERE signal = 'unpriced_share';
INSERT INTO meter.pricing_threshold (signal, threshold, alert_when) VALUES ('unpriced_share', 1, 'sometimes');

-- What is not known counts nowhere as 0: 100 EUR without an exchange rate in the second month.
INSERT INTO meter.fx_rate (currency, quote, rate_date, rate) VALUES ('EUR', 'USD', '2021-01-31', 1);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
SELECT 'u' || n, 'm' || m, timestamptz '2021-01-15 00:00Z' + m * interval '1 month', 'a', meter.usage('input_tokens', n) FROM generate_series(1, 4) AS n, generate_series(0, 1) AS m;
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency)
SELECT 'u' || n, date '2021-01-15' + m * interval '1 month', 100, CASE n WHEN 1 THEN 'EUR' ELSE 'USD' END FROM generate_series(1, 3) AS n, generate_series(0, 1) AS m;
SELECT customer_id, month, revenue, cost, gross_margin, rank FROM meter.customer_margin WHERE month BETWEEN '2021-01-01' AND '2021-02-01' ORDER BY month, customer_id;
-- u1 may have stayed, and so nobody can say what those that left cost.
SELECT month, value, state FROM meter.pricing_signal WHERE signal = 'cheap_customers_leaving' AND month = '2021-02-01';
SELECT count(*) AS left_for_sure FROM meter.pricing_signal_rows('cheap_customers_leaving', '2021-02-01');
INSERT INTO meter.fx_rate (currency, quote, rate_date, rate) VALUES ('EUR', 'USD', '2021-02-28', 1);
DELETE FROM meter.revenue WHERE customer_id = 'u3' AND revenue_date = '2021-02-15';
SELECT month, value, state FROM meter.pricing_signal WHERE signal = 'cheap_customers_leaving' AND month = '2021-02-01';
-- A rank among those that are known is none of all.
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) VALUES ('e7', '2022-09-10', 1, 'GBP');
SELECT value, state FROM meter.pricing_signal WHERE month = '2022-09-01' AND signal = 'engagement_margin';
DELETE FROM meter.revenue WHERE customer_id = 'e7';
SELECT value, state FROM meter.pricing_signal WHERE month = '2022-09-01' AND signal = 'engagement_margin';
-- A signal is there, unknown, where nobody has a margin: a month with shared cost alone. It has no rank either.
INSERT INTO meter.shared_cost (period, layer, amount, currency, basis) VALUES ('[2020-05-01,2020-06-01)', 'storage', -7, 'USD', 'seats');
SELECT signal, value, state FROM meter.pricing_signal WHERE month = '2020-05-01' AND signal = 'engagement_margin';
SELECT customer_id, gross_margin, rank FROM meter.customer_margin WHERE month = '2020-05-01';

-- Shares of revenue are of those whose cost is compared: 4 of them, however many others pay.
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) SELECT 'other' || n, '2021-01-15', 100, 'USD' FROM generate_series(1, 96) AS n;
SELECT customers, top_1_revenue_share AS top_1, top_5_revenue_share AS top_5, top_20_revenue_share AS top_20 FROM meter.cost_spread WHERE month = '2021-01-01' AND scope = 'all';

-- Usage that was taken back was none: back is new.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('back', '1', '2021-05-10Z', 'a', '{"input_tokens": 7}'), ('back', '2', '2021-06-10Z', 'a', '{"input_tokens": 9}'), ('back', '3', '2021-07-10Z', 'a', '{"input_tokens": 9}');
SELECT meter.void_event('back', '1', 'wrong') IS NOT NULL AS voided, meter.void_event('back', '3', 'wrong') IS NOT NULL AS voided;
SELECT meter.used_quantity('{"actions": 1}', 3) AS events, meter.used_quantity('{"actions": 1, "input_tokens": 0}', 3) AS events, meter.used_quantity('{"requests": 2, "input_tokens": 0}', 3) AS requests;
SELECT customer_id, item, cost_before, cost_after, mix_effect AS mix, new_effect AS new, lost_effect AS lost FROM meter.cost_variance('[2021-05-01,2021-06-01)', '[2021-06-01,2021-07-01)') WHERE customer_id = 'back';
SELECT month, cost_before, cost_after, mix_effect AS mix, new_effect AS new, lost_effect AS lost FROM meter.cost_variance_by_month WHERE customer_id = 'back' ORDER BY month;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action) VALUES ('back', '4', '2021-08-10Z', 'a', '{"actions": 1}', 'again'), ('u1', '4', '2021-08-10Z', 'a', '{"actions": 1}', 'again');
SELECT meter.void_event('back', '4', 'wrong') IS NOT NULL AS voided;
SELECT customers, attempts, calls FROM meter.action_cost WHERE action = 'again';

-- In a currency that cost has a rate to in the first month alone, nobody can say what of the change is price, volume or mix.
UPDATE meter.setting SET currency = 'EUR';
INSERT INTO meter.fx_rate (currency, quote, rate_date, rate) VALUES ('USD', 'EUR', '2021-01-31', 2);
DELETE FROM meter.shared_cost;
SELECT customer_id, margin_before, margin_after, change, new_effect AS new, lost_effect AS lost, revenue_effect AS revenue, price_effect AS price, volume_effect AS volume, mix_effect AS mix, shared_cost_effect AS shared
FROM meter.margin_bridge('[2021-01-01,2021-02-01)', '[2021-02-01,2021-03-01)') WHERE customer_id IN ('u1', 'u2', 'u4') ORDER BY customer_id;
