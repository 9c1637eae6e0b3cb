\echo
\echo '== Plans: fee, allotment of credits and overage, each a line that could stand in a contract'
\set ECHO queries
CREATE TABLE app.plan (plan text PRIMARY KEY, tariff meter.tariff);
INSERT INTO app.plan VALUES
	('Starter', 'graduated: up to 500 at 0 plus 29; above at 0.08'),
	('Pro', 'graduated: up to 2500 at 0 plus 99; above at 0.06'),
	('Team', 'graduated: up to 10000 at 0 plus 299; above at 0.04');
\set ECHO none
\echo
\echo '== Credits: 1 for 5,000 input tokens, 1 for 1,000 output tokens, whatever the model'
\set ECHO queries
CREATE VIEW app.credit AS
SELECT meter.rate_card('chat', unit, 1, per) AS card
FROM (VALUES ('input_tokens', 5000), ('output_tokens', 1000)) AS one_credit (unit, per);

CREATE VIEW app.consumed AS
SELECT account_id,
	meter.total_cost((SELECT card FROM app.credit), 'chat', created_at, usage) AS credits,
	meter.total_cost((SELECT meter.card('cost')), model, created_at, usage) AS cost,
	count(*) FILTER (WHERE meter.unpriced((SELECT meter.card('cost')), model, created_at, usage)) AS unpriced_requests
FROM app.event
GROUP BY account_id;
\set ECHO none

\echo
\echo '== Credits consumed and overage, the ten with the most'
\set ECHO queries
SELECT account_id, plan, credits, meter.overage(tariff, credits) AS overage, meter.charge(tariff, credits) AS charge
FROM app.consumed JOIN app.account USING (account_id) JOIN app.plan USING (plan)
ORDER BY overage DESC, credits DESC
LIMIT 10;
\set ECHO none

\echo
\echo '== Revenue, cost and gross margin per customer, worst first. Cost leaves unpriced requests out'
\set ECHO queries
CREATE VIEW app.margin AS
SELECT account_id, plan, revenue, cost, revenue - cost AS margin, unpriced_requests
FROM app.consumed JOIN app.account USING (account_id) JOIN app.plan USING (plan),
	meter.round_money(meter.charge(tariff, credits), 'USD') AS revenue;

SELECT account_id, plan, revenue, round(cost, 2) AS cost, round(margin, 2) AS margin, round(100 * margin / revenue, 1) AS percent, unpriced_requests
FROM app.margin
ORDER BY margin
LIMIT 10;

SELECT coalesce(plan, 'all') AS plan, count(*) AS customers, sum(revenue) AS revenue, round(sum(cost), 2) AS cost, round(100 * sum(margin) / sum(revenue), 1) AS percent,
	count(*) FILTER (WHERE margin < 0) AS at_a_loss, sum(unpriced_requests) AS unpriced_requests
FROM app.margin
GROUP BY ROLLUP (plan)
ORDER BY margin.plan;
\set ECHO none

\echo
\echo '== How uneven it is: the heaviest customer against the lightest, and the top 5 %'
\set ECHO queries
SELECT count(*) AS customers, max(cost) AS heaviest, min(cost) AS lightest, round(max(cost) / min(cost), 1) AS ratio,
	CASE
		WHEN max(cost) >= 100 * min(cost) THEN '100x or more'
		WHEN max(cost) >= 50 * min(cost) THEN '50x to 100x'
		WHEN max(cost) >= 10 * min(cost) THEN '10x to 50x'
		ELSE 'below 10x'
	END AS band,
	round(100 * meter.top_share(cost, 0.05), 1) AS top_5_percent_have,
	sum(unpriced_requests) AS unpriced_requests
FROM app.consumed
WHERE cost > 0;
\set ECHO none
