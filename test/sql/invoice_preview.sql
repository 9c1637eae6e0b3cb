-- Billing periods and what they come to, before they are closed.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.metric (metric, aggregation, unit, digits, rounding, description) VALUES ('tokens', 'sum', 'input_tokens', NULL, NULL, 'Tokens in'), ('kilotokens', 'sum', 'input_tokens', -3, 'ceil', NULL);
INSERT INTO meter.plan (plan, currency) VALUES ('p', 'USD');
INSERT INTO meter.plan (plan, currency, family, anchor) VALUES ('yen', 'JPY', 'yen', '2000-01-01'), ('dinar', 'KWD', 'dinar', '2000-01-01');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, timing, description) VALUES ('p', 1, 'fee', 'fee', 10, 'advance', 'Platform'), ('yen', 1, 'fee', 'fee', 100, 'arrears', NULL), ('dinar', 1, 'fee', 'fee', 100, 'arrears', NULL);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, quantity) VALUES ('p', 2, 'tokens', 'usage', 'tokens', 'graduated: up to 1000 at 0; above at 0.01; free 200', 300), ('p', 3, 'kilo', 'usage', 'kilotokens', 'at 1 per 1000', NULL);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, dimension) VALUES ('p', 4, 'by_item', 'usage', 'tokens', NULL, 'item');
INSERT INTO meter.plan_item_tariff (plan, plan_item, value, tariff) VALUES ('p', 'by_item', 'gpt', 'at 0.001');

-- Days and states of periods, around now.
SELECT meter.subscribe('now', 'p', since => current_date - 40) AS id \gset
SELECT state, count(*) > 0 AS some, bool_and(days = upper(period) - lower(period) AND days_elapsed BETWEEN 0 AND days AND (state = 'ended') = (days_elapsed = days)) AS days FROM meter.billing_period WHERE customer_id = 'now' GROUP BY state ORDER BY state;
SELECT bool_and(period @> timezone('UTC', now())::date) AS current FROM meter.billing_period WHERE state = 'current';
SELECT count(*) FROM meter.billing_period WHERE state = 'next' AND lower(period) <> (SELECT upper(period) FROM meter.billing_period WHERE state = 'current');
SELECT plan_item, count(*), sum(amount) FROM meter.invoice_preview WHERE customer_id = 'now' GROUP BY plan_item ORDER BY plan_item;
SELECT plan_item, state, count(*) FROM meter.period_usage WHERE customer_id = 'now' GROUP BY plan_item, state ORDER BY plan_item;

-- Every line, current to the last committed event, as of an instant.
SELECT meter.subscribe('a', 'p', since => '2023-01-01');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES
	('a', '1', '2023-01-05 00:00+00', 'gpt', '{"input_tokens": 1700}'),
	('a', '2', '2023-01-31 23:59:59+00', 'gpt', '{"input_tokens": 1}'),
	('a', '3', '2023-02-01 00:00+00', 'mini', '{"input_tokens": 150}');
SELECT period, due, plan_item, line_group, description, measured, included, quantity, tariff, exact_amount, rated_amount, invoiced, amount, problem
FROM meter.preview_lines('a', '2023-02-10 00:00+00')
ORDER BY period, position, line_group;
SELECT customer_id, plan_item, line_group, state, problem FROM meter.period_problem;
SELECT period, plan_item, allowance, used, used_share FROM meter.allowance_use WHERE customer_id = 'a' AND lower(period) < '2023-03-01' ORDER BY period;
SELECT meter.included_quantity('at 1'), meter.included_quantity('at 1; free 5'), meter.included_quantity('graduated: up to 1000 at 0; above at 1; free 200'), meter.included_quantity('volume: up to 10 at 0; above at 1');
-- A spread over customers.
SELECT meter.subscribe('s' || i, 'p', since => '2023-01-01', until => '2023-02-01') FROM generate_series(1, 9) AS i;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) SELECT 's' || i, '1', '2023-01-05 00:00+00', meter.usage('input_tokens', 150 * i) FROM generate_series(1, 9) AS i;
SELECT customers, round(p50::numeric, 6) AS p50, round(p75::numeric, 6) AS p75, round(p80::numeric, 6) AS p80, round(p90::numeric, 6) AS p90, share_under_half FROM meter.allowance_spread WHERE period = '[2023-01-01,2023-02-01)';
-- A subscription's own tariff includes what it says.
SELECT meter.subscribe('own', 'p', since => '2023-01-01', until => '2023-02-01') AS own \gset
INSERT INTO meter.subscription_override (subscription_id, plan_item, tariff, quantity) VALUES (:own, 'tokens', 'at 0.01; free 3700', 300);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('own', '1', '2023-01-05 00:00+00', '{"input_tokens": 1000}');
SELECT allowance, used, used_share FROM meter.allowance_use WHERE customer_id = 'own';
SELECT used_share FROM meter.used_allowance WHERE customer_id = 'own';
SELECT count(*) FROM (
	SELECT customer_id, plan, version, plan_item, metric, period, allowance, used, used_share FROM meter.allowance_use
	EXCEPT ALL
	SELECT customer_id, plan, version, plan_item, metric, period, allowance, used, used_share FROM meter.item_allowance) AS other;
SELECT (SELECT count(*) FROM meter.allowance_use) = (SELECT count(*) FROM meter.item_allowance) AS as_many;

-- Seats and overrides that are of nothing are listed.
INSERT INTO meter.subscription_override (subscription_id, plan_item, amount) VALUES (:own, 'fees', 1), (-1, 'fee', 1);
INSERT INTO meter.subscription_seat (subscription_id, plan_item) VALUES (:own, 'fee');
SELECT customer_id, plan_item, state, regexp_replace(problem, 'subscription [0-9]+', 'subscription N') FROM meter.period_problem WHERE line_group IS NULL ORDER BY 1, 2, 4;
DELETE FROM meter.subscription_override WHERE subscription_id = -1;
-- And usage that no metric measures.
INSERT INTO meter.plan (plan, currency, family) VALUES ('typo', 'USD', 'typo');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('typo', 'tokens', 'usage', 'tokns', 'at 1');
SELECT meter.subscribe('typo', 'typo', since => '2023-01-01', until => '2023-02-01') IS NOT NULL AS subscribed;
SELECT customer_id, plan_item, problem FROM meter.period_problem WHERE customer_id = 'typo';

-- Money has its currency's digits, half away from zero.
SELECT meter.subscribe('cur', 'yen', since => '2023-01-01', until => '2023-01-11'), meter.subscribe('cur', 'dinar', since => '2023-01-01', until => '2023-01-11');
SELECT currency, exact_amount, rated_amount FROM meter.preview_lines('cur', '2023-02-10 00:00+00') ORDER BY currency;

-- It reads one customer's usage only, by the index.
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END
$$;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) > 0 AS by_index FROM pg_temp.plan_of($$SELECT count(breakdown) FROM meter.billable_day WHERE customer_id = ANY ('{a}') AND usage_date >= '2023-01-01' AND usage_date < '2023-02-01'$$) AS line WHERE line LIKE '%Index Cond: ((customer_id = ANY (%usage_date >=%';
RESET enable_seqscan;
RESET enable_bitmapscan;

-- Where a customer has many events, what the roll-up lacks is found another way: it is the same.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) SELECT 'many', 'old ' || i, '2023-01-05 00:00+00', '{"input_tokens": 1}' FROM generate_series(1, 2001) AS i;
DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM meter.refresh_now(); EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) SELECT 'many', 'new ' || i, '2023-01-05 00:00+00', 'none', '{"input_tokens": 10}' FROM generate_series(1, 3) AS i;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('few', '1', '2023-01-05 00:00+00', '{"input_tokens": 7}');
SELECT customer_id, usage_date, item, events, usage, unpriced_cost FROM meter.billable_tail('{many}');
SELECT customer_id, usage_date, item, events, usage, unpriced_cost FROM meter.billable_tail('{few,many}') ORDER BY customer_id;
SELECT count(*) FROM meter.billable_tail('{few}', ARRAY(SELECT part FROM meter.billable_tail('{few,many}') AS part));
-- Marked days come from the events, whether of one customer, of some or of many.
SELECT meter.mark_usage('many', NULL, NULL, '2023-01-01', '2023-02-01');
SELECT asked, count(*) AS keys, sum(events) AS events, sum(usage) AS usage
FROM (VALUES ('one', '{many}'::text[]), ('some', '{few,many}'), ('more', '{many}' || ARRAY(SELECT 'other ' || i FROM generate_series(1, 200) AS i))) AS choice (asked, customers),
	meter.billable_tail(customers) AS tail
WHERE tail.customer_id = 'many'
GROUP BY asked ORDER BY asked;
SELECT count(*) FROM meter.billable_day WHERE customer_id = 'many';
