\echo
\echo '== Reports: revenue from the invoices, cost from the roll-up. The five with the lowest gross margin'
\set ECHO queries
SELECT customer_id, month, plan, round(revenue, 2) AS revenue, round(cost, 2) AS cost, round(gross_margin, 2) AS gross_margin, round(gross_margin_percent, 1) AS percent, unpriced_events
FROM meter.customer_margin
ORDER BY customer_margin.gross_margin
LIMIT 5;

SELECT month, plan, customers, customers_at_a_loss AS at_a_loss, round(revenue, 2) AS revenue, round(cost, 2) AS cost, round(gross_margin_percent, 1) AS percent, unpriced_events, estimated
FROM meter.plan_margin
ORDER BY month, plan;
\set ECHO none

\echo
\echo '== How uneven cost is, of all customers and of each plan'
\set ECHO queries
SELECT month, scope, plan, customers, round(p50, 2) AS p50, round(p95, 2) AS p95, round(heaviest, 2) AS heaviest, round(p95_to_p5, 1) AS p95_to_p5, round(gini, 2) AS gini, round(100 * top_5_cost_share) AS top_5_percent, band
FROM meter.cost_spread
WHERE scope <> 'segment'
ORDER BY month, scope, plan;
\set ECHO none
SELECT daterange(today - 28, today - 14) AS first_half, daterange(today - 14, today) AS second_half FROM meter.reporting \gset
\echo
\echo '== Why cost changed from the first half of the trace to the second, by model: the parts add up to the change'
\set ECHO queries
SELECT coalesce(item, 'all') AS item, round(sum(change), 4) AS change,
	round(sum(price_effect), 4) AS price, round(sum(volume_effect), 4) AS volume, round(sum(mix_effect), 4) AS mix, round(sum(new_effect + lost_effect), 4) AS new_and_lost,
	sum(change) = sum(price_effect + volume_effect + mix_effect + new_effect + lost_effect) AS adds_up
FROM meter.cost_variance(:'first_half', :'second_half')
GROUP BY ROLLUP (item)
ORDER BY cost_variance.item;

SELECT round(sum(margin_before), 2) AS margin_before, round(sum(revenue_effect), 2) AS revenue, round(sum(price_effect), 2) AS price, round(sum(volume_effect), 2) AS volume, round(sum(mix_effect), 2) AS mix,
	round(sum(new_effect + lost_effect), 2) AS new_and_lost, round(sum(margin_after), 2) AS margin_after
FROM meter.margin_bridge(:'first_half', :'second_half');
\set ECHO none

\echo
\echo '== Is the pricing breaking? The signals of the last month, and the customers behind one of them'
\set ECHO queries
SELECT signal, round(value, 3) AS value, alert_when, threshold, state
FROM meter.pricing_signal
WHERE month = (SELECT max(month) FROM meter.monthly_margin)
ORDER BY state, signal;

SELECT customer_id, round(value, 2) AS gross_margin, round(revenue, 2) AS revenue, round(cost, 2) AS cost
FROM meter.pricing_signal_rows('customers_at_a_loss', (SELECT max(month) FROM meter.monthly_margin))
LIMIT 3;
\set ECHO none
