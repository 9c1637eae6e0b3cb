-- Explaining a line: rows that add up, and a text.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'paint', 'actions', 1);
INSERT INTO meter.rate (item, unit, price, per) VALUES ('gpt', 'input_tokens', 3, 1000), ('mini', 'input_tokens', 1, 1000);
INSERT INTO meter.metric (metric, aggregation, unit, description) VALUES ('tokens', 'sum', 'input_tokens', 'Tokens in'), ('largest', 'max', 'input_tokens', NULL), ('gb', 'time_weighted', 'gb', NULL), ('gb_last', 'latest', 'gb', NULL);
INSERT INTO meter.metric (metric, aggregation, key) VALUES ('users', 'unique', 'user_id');
INSERT INTO meter.metric (metric, aggregation) VALUES ('events', 'count'), ('model_cost', 'cost');
UPDATE meter.metric SET recurring = true WHERE metric = 'gb';
INSERT INTO meter.plan (plan, currency) VALUES ('p', 'USD');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, quantity) VALUES
	('p', 1, 'tokens', 'usage', 'tokens', 'graduated: up to 1000 at 0.01; above at 0.005 plus 3; discount 10%', 50),
	('p', 2, 'largest', 'usage', 'largest', 'at 0.001', NULL),
	('p', 3, 'gb', 'usage', 'gb', 'at 1', NULL),
	('p', 3, 'gb_last', 'usage', 'gb_last', 'at 1', NULL),
	('p', 4, 'users', 'usage', 'users', 'at 7; minimum 20', NULL),
	('p', 5, 'events', 'usage', 'events', 'at 1 per 3', NULL),
	('p', 6, 'cost', 'cost_plus', 'model_cost', 'at 120%', NULL);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, dimension) VALUES ('p', 7, 'by_item', 'usage', 'tokens', 'item');
INSERT INTO meter.plan_item_tariff (plan, plan_item, value, tariff) VALUES ('p', 'by_item', 'gpt', 'at 0.1'), ('p', 'by_item', 'mini', 'at 0.2');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount) VALUES ('p', 8, 'fee', 'fee', 10), ('p', 10, 'commitment', 'commitment', 10000);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, tariff) VALUES ('p', 9, 'seats', 'seat', 'at 31');
SELECT meter.subscribe('a', 'p', since => '2026-01-01', until => '2026-02-01') AS id \gset
INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity, valid) VALUES (:id, 'seats', 1, '(,)'), (:id, 'seats', 2, '[2026-01-11,)');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, user_id, action, outcome) VALUES
	('a', 'e1', '2026-01-05 10:00+00', 'gpt', '{"input_tokens": 700}', 'u1', 'chat', NULL),
	('a', 'e2', '2026-01-05 11:00+00', 'gpt', '{"input_tokens": 500}', 'u2', NULL, NULL),
	('a', 'e3', '2026-01-05 12:00+00', 'mini', '{"input_tokens": 33}', 'u1', NULL, 'success'),
	('a', 'e4', '2026-01-20 10:00+00', 'gpt', '{"input_tokens": 1}', 'u1', NULL, NULL),
	('a', 'e5', '2026-01-20 10:00+00', 'gpt', '{"input_tokens": 5}', 'u1', NULL, 'failure'),
	('a', 'g0', '2025-12-20 00:00+00', NULL, '{"gb": 62}', NULL, NULL, NULL),
	('a', 'g1', '2026-01-02 00:00+00', NULL, '{"gb": 3}', NULL, NULL, NULL),
	('a', 'g2', '2026-01-12 00:00+00', NULL, '{"gb": 6}', NULL, NULL, NULL);
SELECT meter.record('a', 'wrong', '2026-01-06 00:00+00', 'gpt', '{"input_tokens": 90}'), meter.void_event('a', 'wrong', 'a mistake');
CALL meter.close_periods(as_of => '2026-02-05 00:00+00');
SELECT line_number AS n, plan_item, line_group, measured, quantity, exact_amount, amount FROM meter.invoice_line ORDER BY line_number;

SELECT section, day, event_id, item, events, quantity, price, per, amount, note FROM meter.explain(1, 1);
-- Tiers, days and events add up to the exact amount of every line; events and days to the quantity.
SELECT
	line_number AS n, plan_item, line_group,
	sum(fact.amount) FILTER (WHERE section IN ('tier', 'discount', 'maximum', 'minimum')) = exact_amount AS charged,
	sum(fact.amount) FILTER (WHERE section = 'day') = exact_amount AS days,
	sum(fact.amount) FILTER (WHERE section = 'event') = exact_amount AS events,
	sum(fact.quantity) FILTER (WHERE section = 'event') = measured AS quantities,
	count(*) FILTER (WHERE section = 'since') AS since
FROM meter.invoice_line AS line
CROSS JOIN LATERAL meter.explain(invoice_id, line_number) AS fact
GROUP BY line_number, plan_item, line_group, exact_amount, measured
ORDER BY line_number;

\pset format unaligned
\pset tuples_only on
SELECT meter.explain_text(1, 1, events => true);
SELECT meter.explain_text(1, line_number) FROM meter.invoice_line WHERE line_number > 1 ORDER BY line_number;
-- An adjustment says what was invoiced before, and a line what came after it.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('a', 'late', '2026-01-31 10:00+00', 'gpt', '{"input_tokens": 100}');
SELECT meter.explain_text(1, 1);
CALL meter.close_periods(as_of => '2026-02-05 00:00+00');
SELECT meter.explain_text(invoice_id, line_number) FROM meter.invoice_line WHERE plan_item = 'tokens' AND adjustment;
SELECT meter.explain(1, 99);

SELECT meter.explain_text(1, 99);

-- Lines that follow from others: fees by their days, minimums, discounts and caps, in a part of a period and in a term.
INSERT INTO meter.plan (plan, currency, anchor, term) VALUES ('d', 'USD', '2026-01-01', '3 months');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, quantity, escalator, applies_to, term) VALUES
	('d', 1, 'platform', 'fee', 31, NULL, 0, NULL, false), ('d', 2, 'boxes', 'fee', 10.333, 3, 0, NULL, false),
	('d', 3, 'least', 'commitment', 1000, NULL, 0, '{platform}', false), ('d', 4, 'term_least', 'commitment', 3000, NULL, 0, '{boxes}', true),
	('d', 6, 'off', 'discount', 62, NULL, 0, '{boxes}', false), ('d', 9, 'most', 'cap', 1000, NULL, 0, NULL, false);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, percent, applies_to) VALUES ('d', 5, 'tenth', 'discount', 10, '{platform,boxes}');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, credit_type, quantity, tariff) VALUES ('d', 7, 'credits', 'credit', 'credit', 120, 'at 1');
SELECT meter.subscribe('d', 'd', since => '2026-01-16', until => '2026-04-01') AS d \gset
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, action, usage) VALUES ('d', 'c', '2026-01-20 00:00+00', 'paint', '{"actions": 130}');
CALL meter.close_periods('2026-04-01', as_of => '2026-04-05 00:00+00');
SELECT meter.explain_text(invoice_id, line_number) FROM meter.invoice_line WHERE customer_id = 'd' AND (period_start = '2026-01-16' OR plan_item IN ('platform', 'term_least', 'most') AND period_start = '2026-03-01') ORDER BY period_start, line_number;
SELECT plan_item, section, fact.quantity, price, per, fact.amount, note FROM meter.invoice_line AS line CROSS JOIN LATERAL meter.explain(invoice_id, line_number) AS fact WHERE customer_id = 'd' AND period_start = '2026-01-16' AND kind NOT IN ('credit') AND section NOT IN ('line', 'exact', 'rounded') ORDER BY line_number;
-- What is agreed otherwise later, and what is gone.
UPDATE meter.subscription SET valid = '[2026-02-01,2026-04-01)' WHERE subscription_id = :d;
CALL meter.close_periods('2026-04-01', as_of => '2026-04-05 00:00+00');
SELECT meter.explain_text(invoice_id, line_number) FROM meter.invoice_line WHERE customer_id = 'd' AND period_start = '2026-01-16' AND adjustment AND plan_item IN ('platform', 'least', 'tenth', 'most') ORDER BY line_number;
INSERT INTO meter.subscription_override (subscription_id, plan_item, amount) VALUES (:d, 'platform', 40);
SELECT meter.explain_text(invoice_id, line_number) FROM meter.invoice_line WHERE customer_id = 'd' AND period_start = '2026-03-01' AND plan_item = 'platform';

-- Credits: of a pool that another item charges, nothing; of one that none names, all. Seats: as many as are charged, where there are fewer.
INSERT INTO meter.action (action, pool) VALUES ('draw', 'image'), ('sing', 'audio');
INSERT INTO meter.rate (card, item, unit, price, valid) VALUES ('credit', 'draw', 'actions', 10, '[2026-05-01 00:00+00,)'), ('credit', 'sing', 'actions', 3, '[2026-05-01 00:00+00,)');
INSERT INTO meter.plan (plan, currency) VALUES ('pools', 'USD');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, credit_type, pool, quantity, tariff) VALUES ('pools', 1, 'credits', 'credit', 'credit', NULL, 4, 'at 1'), ('pools', 2, 'images', 'credit', 'credit', 'image', 30, 'at 2');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, quantity, tariff) VALUES ('pools', 3, 'seats', 'seat', 5, 'at 31');
SELECT meter.subscribe('pools', 'pools', since => '2026-05-01', until => '2026-06-01') AS pools \gset
INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity, valid) VALUES (:pools, 'seats', 3, '(,)'), (:pools, 'seats', 4, '[2026-05-11,)');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, action, usage) VALUES
	('pools', 'p1', '2026-05-03 00:00+00', 'paint', '{"actions": 8}'), ('pools', 'p2', '2026-05-04 00:00+00', 'draw', '{"actions": 7}'), ('pools', 'p3', '2026-05-05 00:00+00', 'sing', '{"actions": 1}');
CALL meter.close_periods(as_of => '2026-06-05 00:00+00');
SELECT meter.explain_text(invoice_id, line_number, events => true) FROM meter.invoice_line WHERE customer_id = 'pools' ORDER BY line_number;

-- A line whose periods are counted from another date since is explained all the same.
INSERT INTO meter.plan (plan, currency) VALUES ('moved', 'USD');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount) VALUES ('moved', 1, 'fee', 'fee', 31);
SELECT meter.subscribe('moved', 'moved', since => '2026-05-01', until => '2026-06-01') AS moved \gset
CALL meter.close_periods(as_of => '2026-06-05 00:00+00');
UPDATE meter.subscription SET anchor = '2026-05-11' WHERE subscription_id = :moved;
SELECT meter.explain_text(invoice_id, line_number) FROM meter.invoice_line WHERE customer_id = 'moved' ORDER BY invoice_id, line_number;
CALL meter.close_periods(as_of => '2026-06-05 00:00+00');
SELECT meter.explain_text(invoice_id, line_number) FROM meter.invoice_line WHERE customer_id = 'moved' ORDER BY invoice_id, line_number;

-- A credit note says what it takes back, and not that twice as much was invoiced before.
SELECT meter.void_invoice(invoice_id, 'wrong address') IS NOT NULL FROM meter.invoice WHERE invoice_id = 1;
SELECT meter.explain_text(line.invoice_id, line_number) FROM meter.invoice_line AS line JOIN meter.invoice USING (invoice_id) WHERE credits = 1 AND plan_item = 'tokens';
