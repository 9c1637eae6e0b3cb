-- Reports on the trace of a real service, whose total at these prices is known: 22,361,870 tokens in
-- and 4,088,665 out. The customers are made up; its second half is put on the next day.
SET timezone = 'UTC';
SET datestyle = 'ISO';
\getenv abs_srcdir PG_ABS_SRCDIR
\cd :abs_srcdir
CREATE TEMP TABLE request (n integer GENERATED ALWAYS AS IDENTITY, at timestamptz, tokens_in integer, tokens_out integer);
\copy request (at, tokens_in, tokens_out) FROM '../data/AzureLLMInferenceTrace_conv.csv' CSV HEADER
CREATE VIEW pg_temp.customer_request AS
SELECT 'c' || sqrt(n * 7919 % 10007)::integer % 60 AS customer_id, n, at + CASE WHEN n > 9683 THEN 1 ELSE 0 END * interval '1 day' AS at, tokens_in, tokens_out FROM request;
INSERT INTO meter.item (item) VALUES ('openai/gpt-4o');
INSERT INTO meter.rate (item, unit, price, per) VALUES ('openai/gpt-4o', 'input_tokens', 2.5, 1000000), ('openai/gpt-4o', 'output_tokens', 10, 1000000);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
SELECT customer_id, n, at, 'openai/gpt-4o', meter.usage('input_tokens', tokens_in, 'output_tokens', tokens_out)
FROM customer_request;
INSERT INTO meter.revenue (customer_id, revenue_date, period, kind, amount, currency)
SELECT DISTINCT customer_id, date '2023-11-01', '[2023-11-01,2023-12-01)'::daterange, 'fee', 1.5, 'USD' FROM customer_request;

SELECT month, customers, customers_at_a_loss, revenue, cost, gross_margin, gross_margin_percent, events, unpriced_events FROM meter.monthly_margin;
SELECT customers, cost, heaviest_to_lightest, p95_to_p5, gini, top_5_cost_share, band FROM meter.cost_spread WHERE scope = 'all';
-- By plain SQL.
WITH plain AS (
	SELECT customer_id, sum(tokens_in * 2.5 + tokens_out * 10) / 1000000 AS cost FROM customer_request GROUP BY customer_id
)
SELECT count(*) AS differ FROM plain FULL JOIN meter.customer_margin USING (customer_id)
WHERE plain.cost IS DISTINCT FROM customer_margin.cost OR gross_margin IS DISTINCT FROM 1.5 - plain.cost;
SELECT
	percentile_disc(0.5) WITHIN GROUP (ORDER BY cost) = max(p50) AS p50, percentile_disc(0.95) WITHIN GROUP (ORDER BY cost) = max(p95) AS p95,
	min(cost) = max(lightest) AS lightest, max(cost) = max(heaviest) AS heaviest
FROM meter.customer_month CROSS JOIN (SELECT p50, p95, lightest, heaviest FROM meter.cost_spread WHERE scope = 'all') AS spread;
-- Between its halves.
SELECT count(*) AS customers, sum(cost_before) AS before, sum(cost_after) AS after, sum(change) AS change,
	sum(price_effect) + sum(volume_effect) + sum(mix_effect) + sum(new_effect) + sum(lost_effect) AS effects, sum(volume_effect) AS volume, sum(price_effect) AS price
FROM meter.cost_variance('[2023-11-16,2023-11-17)', '[2023-11-17,2023-11-18)');
WITH plain AS (
	SELECT
		customer_id,
		sum(tokens_in * 2.5 + tokens_out * 10) FILTER (WHERE n <= 9683) / 1000000 AS old_cost, sum(tokens_in * 2.5 + tokens_out * 10) FILTER (WHERE n > 9683) / 1000000 AS new_cost,
		sum(tokens_in + tokens_out) FILTER (WHERE n <= 9683)::numeric AS old_quantity, sum(tokens_in + tokens_out) FILTER (WHERE n > 9683)::numeric AS new_quantity
	FROM customer_request GROUP BY customer_id
)
SELECT count(*) AS differ
FROM plain JOIN meter.cost_variance('[2023-11-16,2023-11-17)', '[2023-11-17,2023-11-18)') USING (customer_id)
WHERE abs(volume_effect - old_cost * (new_quantity / old_quantity - 1)) > 0.000000000001
	OR abs(price_effect - (new_cost - old_cost * new_quantity / old_quantity)) > 0.000000000001 OR change <> new_cost - old_cost;
SELECT signal, value, state FROM meter.pricing_signal ORDER BY signal;
