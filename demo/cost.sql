\echo
\echo '== The usage as a value: names of what was measured, and how much of it'
\set ECHO queries
CREATE VIEW app.event AS
SELECT *, meter.usage('input_tokens', prompt_tokens, 'output_tokens', completion_tokens) AS usage
FROM app.llm_request;
SELECT request_id, model, usage FROM app.event ORDER BY request_id LIMIT 3;
\set ECHO none

\echo
\echo '== The whole trace at the rates of gpt-4o, exact to the last digit'
\set ECHO queries
SELECT meter.total_cost((SELECT meter.card('cost')), 'openai/gpt-4o', created_at, usage) AS usd
FROM app.event;
\set ECHO none
DO $$
DECLARE
	total CONSTANT numeric := (SELECT meter.total_cost((SELECT meter.card('cost')), 'openai/gpt-4o', created_at, usage) FROM app.event);
BEGIN
	IF total IS DISTINCT FROM 96.791325 THEN
		RAISE EXCEPTION 'the trace costs % at the rates of gpt-4o, and should cost 96.791325', total;
	END IF;
END
$$;

\echo
\echo '== Cost per model. A model without a price is NULL, never 0, and its requests are counted'
\set ECHO queries
SELECT model, count(*) AS requests,
	meter.total_cost((SELECT meter.card('cost')), model, created_at, usage) AS usd,
	count(*) FILTER (WHERE meter.unpriced((SELECT meter.card('cost')), model, created_at, usage)) AS unpriced_requests
FROM app.event
GROUP BY model
ORDER BY usd DESC NULLS LAST;
\set ECHO none

\echo
\echo '== Cost per customer, the ten largest. The requests that have no price are not in usd'
\set ECHO queries
SELECT account_id, count(*) AS requests,
	meter.total_cost((SELECT meter.card('cost')), model, created_at, usage) AS usd,
	count(*) FILTER (WHERE meter.unpriced((SELECT meter.card('cost')), model, created_at, usage)) AS unpriced_requests
FROM app.event
GROUP BY account_id
ORDER BY usd DESC NULLS LAST
LIMIT 10;
\set ECHO none

\echo
\echo '== What has no price, by item and unit: insert its rate into meter.rate, and it has one'
\set ECHO queries
SELECT model AS item, line.unit, count(*) AS requests, sum(line.quantity) AS quantity
FROM app.event, meter.cost_lines((SELECT meter.card('cost')), model, created_at, usage) AS line
WHERE line.amount IS NULL
GROUP BY model, line.unit
ORDER BY model, line.unit;
\set ECHO none
