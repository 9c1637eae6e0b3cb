-- Plans: what a version can say, that one in use stays as it is, and what each kind of item charges.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.metric (metric, aggregation, unit) VALUES ('tokens', 'sum', 'input_tokens'), ('value', 'sum', 'usd');
INSERT INTO meter.metric (metric, aggregation) VALUES ('model_cost', 'cost');
INSERT INTO meter.metric (metric, aggregation, unit, actions) VALUES ('resolved', 'sum', 'actions', '{resolve}');

-- Each kind has its columns.
INSERT INTO meter.plan (plan, currency, every) VALUES ('broken', 'USD', '1 month 1 day');
INSERT INTO meter.plan (plan, currency, every) VALUES ('broken', 'USD', '1 hour');
INSERT INTO meter.plan (plan, currency) VALUES ('Pro plan', 'USD');
INSERT INTO meter.plan (plan, currency) VALUES ('broken', 'XXQ');
INSERT INTO meter.plan (plan, currency) VALUES ('broken', 'USD');
INSERT INTO meter.plan_item (plan, plan_item, kind) VALUES ('broken', 'a', 'fee');
INSERT INTO meter.plan_item (plan, plan_item, kind, tariff) VALUES ('broken', 'a', 'usage', 'at 1');
INSERT INTO meter.plan_item (plan, plan_item, kind, amount, tariff) VALUES ('broken', 'a', 'fee', 1, 'at 1');
INSERT INTO meter.plan_item (plan, plan_item, kind, amount, percent) VALUES ('broken', 'a', 'discount', 1, 1);
INSERT INTO meter.plan_item (plan, plan_item, kind, amount) VALUES ('broken', 'a', 'gift', 1);
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff, timing) VALUES ('broken', 'a', 'usage', 'tokens', 'at 1', 'advance');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff, per_seat) VALUES ('broken', 'a', 'usage', 'tokens', 'at 1', 5);
INSERT INTO meter.plan_item (plan, plan_item, kind, amount, index_card) VALUES ('broken', 'a', 'fee', 1, 'cost');
INSERT INTO meter.plan_item (plan, plan_item, kind, amount) VALUES ('broken', 'a', 'fee', -1);

-- What leads nowhere is listed.
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff, seat_item, per_seat) VALUES ('broken', 'a', 'usage', 'tokns', 'at 1', 'b', 5);
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('broken', 'b', 'cost_plus', 'tokens', 'at 110%');
INSERT INTO meter.plan_item (plan, plan_item, kind, amount, applies_to, term) VALUES ('broken', 'c', 'commitment', 1, '{a,d}', true);
INSERT INTO meter.plan_item (plan, plan_item, kind, amount, index_card, index_item, index_unit, index_base) VALUES ('broken', 'e', 'fee', 1, 'list', 'gpt', 'input_tokens', 1);
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff, dimension) VALUES ('broken', 'f', 'usage', 'model_cost', 'at 1', 'user_id');
INSERT INTO meter.plan_item_tariff (plan, plan_item, value, tariff) VALUES ('broken', 'a', 'gpt', 'at 1');
INSERT INTO meter.plan_item (plan, version, plan_item, kind, amount) VALUES ('broken', 9, 'a', 'fee', 1);
SELECT * FROM meter.plan_problem ORDER BY version, plan_item, problem COLLATE "C";
DELETE FROM meter.plan_item_tariff;
DELETE FROM meter.plan_item;
UPDATE meter.plan SET currency = 'EUR' WHERE plan = 'broken';
DELETE FROM meter.plan;

-- A version in use stays as it is, whoever asks.
INSERT INTO meter.plan (plan, currency) VALUES ('p', 'USD');
INSERT INTO meter.plan_item (plan, plan_item, kind, amount) VALUES ('p', 'fee', 'fee', 5);
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, dimension) VALUES ('p', 'use', 'usage', 'tokens', 'item');
INSERT INTO meter.plan_item_tariff (plan, plan_item, value, tariff) VALUES ('p', 'use', 'gpt', 'at 1');
UPDATE meter.plan_item SET amount = 6 WHERE plan_item = 'fee';
SELECT meter.publish_plan('p') IS NOT NULL AS published, meter.publish_plan('p') = meter.publish_plan('p', 1) AS once;
SELECT meter.publish_plan('p', 2);
CREATE FUNCTION pg_temp.refused(command text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN data_exception THEN
	RETURN regexp_replace(SQLERRM, 'since [^,:]*:[^,:]*:[0-9.+]*', 'since then');
END
$$;
SELECT pg_temp.refused($$UPDATE meter.plan SET currency = 'EUR' WHERE plan = 'p'$$);
SELECT pg_temp.refused($$UPDATE meter.plan SET published_at = NULL WHERE plan = 'p'$$);
SELECT pg_temp.refused($$DELETE FROM meter.plan WHERE plan = 'p'$$);
SELECT pg_temp.refused($$UPDATE meter.plan SET description = 'P' WHERE plan = 'p'$$);
SELECT pg_temp.refused($$UPDATE meter.plan_item SET amount = 7 WHERE plan_item = 'fee'$$);
SELECT pg_temp.refused($$DELETE FROM meter.plan_item WHERE plan_item = 'fee'$$);
SELECT pg_temp.refused($$INSERT INTO meter.plan_item (plan, plan_item, kind, amount) VALUES ('p', 'more', 'fee', 1)$$);
SELECT pg_temp.refused($$INSERT INTO meter.plan_item_tariff (plan, plan_item, value, tariff) VALUES ('p', 'use', 'mini', 'at 1')$$);
SELECT pg_temp.refused($$UPDATE meter.plan_item_tariff SET tariff = 'at 2'$$);
SELECT pg_temp.refused($$DELETE FROM meter.plan_item_tariff$$);
-- A restore brings items before and after their plan.
SELECT pg_temp.refused($$INSERT INTO meter.plan_item (plan, plan_item, kind, amount, added_at) SELECT 'p', 'restored', 'fee', 1, added_at FROM meter.plan_item WHERE plan_item = 'fee'$$);

-- The kinds.
INSERT INTO meter.rate (item, unit, price, per) VALUES ('gpt', 'input_tokens', 2, 1000000), ('mini', 'input_tokens', 1, 1000000);
INSERT INTO meter.card (card, currency) VALUES ('list', 'USD');
INSERT INTO meter.rate (card, item, unit, price, per, valid) VALUES ('list', 'gpt', 'input_tokens', 10, 1000000, '(,2026-03-01)'), ('list', 'gpt', 'input_tokens', 4, 1000000, '[2026-03-01,2026-05-01)');
CREATE FUNCTION pg_temp.bill(customer text, since date, until date) RETURNS TABLE (period daterange, line text, measured numeric, quantity numeric, amount numeric, problem text)
LANGUAGE sql AS $$
	SELECT period, plan_item || CASE line_group WHEN '' THEN '' ELSE ' ' || line_group END, measured, quantity, amount, problem
	FROM meter.rate_lines(ARRAY[customer], ARRAY[since], ARRAY[until])
	ORDER BY period, position, plan_item, line_group
$$;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, outcome) VALUES
	('c', '1', '2026-01-05 00:00+00', 'gpt', '{"input_tokens": 1500}', NULL, NULL),
	('c', '1b', '2026-01-05 00:00+00', NULL, '{"usd": 200}', NULL, NULL),
	('c', '2', '2026-01-25 00:00+00', 'mini', '{"input_tokens": 500}', NULL, NULL),
	('c', '3', '2026-01-25 00:00+00', 'new', '{"input_tokens": 70}', NULL, NULL),
	('c', '4', '2026-01-26 00:00+00', NULL, '{"actions": 1}', 'resolve', 'success'),
	('c', '5', '2026-01-26 00:00+00', NULL, '{"actions": 1}', 'resolve', 'failure'),
	('c', '6', '2026-02-05 00:00+00', 'gpt', '{"input_tokens": 1000000}', NULL, NULL),
	('c', '7', '2026-03-05 00:00+00', 'gpt', '{"input_tokens": 1000000}', NULL, NULL),
	('c', '8', '2026-05-05 00:00+00', 'gpt', '{"input_tokens": 1000000}', NULL, NULL);

-- Usage, percentage of a value, outcomes, and a tariff for each item, which the others go without or with.
INSERT INTO meter.plan (plan, currency, family) VALUES ('usage', 'USD', 'a');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, dimension, quantity) VALUES
	('usage', 1, 'tokens', 'usage', 'tokens', 'graduated: up to 1000 at 0.01; above at 0.005', NULL, NULL),
	('usage', 2, 'above_100', 'usage', 'tokens', 'at 1', NULL, 100),
	('usage', 3, 'take', 'percentage', 'value', 'at 2.9%', NULL, NULL),
	('usage', 4, 'resolved', 'usage', 'resolved', 'at 0.99', NULL, NULL),
	('usage', 5, 'matrix', 'usage', 'tokens', NULL, 'item', NULL),
	('usage', 6, 'matrix_and_rest', 'usage', 'tokens', 'at 7', 'item', NULL);
INSERT INTO meter.plan_item_tariff (plan, plan_item, value, tariff) VALUES ('usage', 'matrix', 'gpt', 'at 3'), ('usage', 'matrix', 'mini', 'at 2'), ('usage', 'matrix', 'unused', 'at 2; minimum 1'), ('usage', 'matrix_and_rest', 'gpt', 'at 0');
SELECT meter.subscribe('c', 'usage', since => '2026-01-01', until => '2026-02-01');
SELECT line, measured, quantity, amount, problem FROM pg_temp.bill('c', '2026-01-01', '2026-01-31');

-- Cost plus: cost, loaded, marked up. A minimum and a maximum are prorated, tiers and what is free are not.
INSERT INTO meter.plan (plan, currency, family) VALUES ('plus', 'USD', 'b');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, load) VALUES ('plus', 1, 'marked_up', 'cost_plus', 'model_cost', 'at 130%', 25);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff) VALUES
	('plus', 2, 'least', 'usage', 'tokens', 'at 0.001; minimum 31'),
	('plus', 3, 'most', 'usage', 'tokens', 'graduated: up to 100 at 0; above at 1; free 10; maximum 310');
SELECT meter.subscribe('c', 'plus', since => '2026-01-01', until => '2026-01-11', anchor => '2026-01-01');
SELECT line, measured, quantity, amount, problem FROM pg_temp.bill('c', '2026-01-01', '2026-01-31') WHERE line IN ('marked_up', 'least', 'most');

-- A cost in another currency has no price: nothing says which exchange rate was agreed.
INSERT INTO meter.plan (plan, currency, family) VALUES ('foreign', 'EUR', 'foreign');
INSERT INTO meter.plan_item (plan, plan_item, kind, metric, tariff) VALUES ('foreign', 'marked_up', 'cost_plus', 'model_cost', 'at 130%');
SELECT * FROM meter.plan_problem;
SELECT meter.subscribe('c', 'foreign', since => '2026-01-01', until => '2026-02-01');
SELECT measured, quantity, amount, problem FROM meter.rate_lines('{c}', '{2026-01-01}', '{2026-01-31}') WHERE plan = 'foreign';
UPDATE meter.subscription SET valid = 'empty' WHERE plan = 'foreign';

-- Fees and seats: in advance or in arrears, by the day or in full, and a yearly one beside monthly ones.
INSERT INTO meter.plan (plan, currency, family) VALUES ('fees', 'USD', 'c');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, quantity, timing, prorated, every) VALUES
	('fees', 1, 'advance', 'fee', 31, NULL, 'advance', true, NULL),
	('fees', 2, 'arrears', 'fee', 31, 2, 'arrears', true, NULL),
	('fees', 3, 'in_full', 'fee', 31, NULL, 'advance', false, NULL),
	('fees', 4, 'yearly', 'fee', 365, NULL, 'advance', true, '1 year'),
	('fees', 5, 'quarterly', 'fee', 90, NULL, 'arrears', true, '3 months');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, tariff, quantity, timing, prorated) VALUES
	('fees', 6, 'seats', 'seat', 'at 31', NULL, 'arrears', true),
	('fees', 7, 'seats_in_full', 'seat', 'graduated: up to 2 at 10; above at 5', NULL, 'arrears', false),
	('fees', 8, 'least_five', 'seat', 'at 1', 5, 'advance', true);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, quantity, seat_item, per_seat) VALUES ('fees', 9, 'pooled', 'usage', 'tokens', 'at 1', 70, 'seats', 500);
SELECT meter.subscribe('f', 'fees', since => '2026-01-11', until => '2026-04-21', anchor => '2026-01-01') AS id \gset
INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity, valid) VALUES
	(:id, 'seats', 2, '(,)'), (:id, 'seats', 1, '[2026-01-21,2026-01-26)'), (:id, 'seats', 1, '[2026-01-26,)'), (:id, 'seats_in_full', 1, '(,2026-01-20)'), (:id, 'seats_in_full', 2, '[2026-01-15,)');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('f', '1', '2026-01-15 00:00+00', 'gpt', '{"input_tokens": 1600}');
SELECT line, service, due, amount
FROM (SELECT plan_item AS line, period, service, due, amount, "position" FROM meter.rate_lines('{f}', '{2026-01-01}', '{2026-12-31}')) AS line
ORDER BY period, position;
SELECT span, seats FROM meter.seat_spans(:id, 'seats', '[2026-01-11,2026-02-01)');
SELECT line, measured, quantity, amount FROM pg_temp.bill('f', '2026-01-01', '2026-01-31') WHERE line IN ('pooled', 'seats', 'seats_in_full', 'least_five');

-- Charges on charges: a commitment of a period and of a term, discounts, and a cap.
INSERT INTO meter.plan (plan, currency, family, term) VALUES ('deal', 'USD', 'd', '3 months');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff) VALUES ('deal', 1, 'tokens', 'usage', 'tokens', 'at 0.0001');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount) VALUES ('deal', 1, 'fee', 'fee', 50);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, applies_to, term) VALUES
	('deal', 2, 'least_of_usage', 'commitment', 20, '{tokens}', false),
	('deal', 3, 'term', 'commitment', 400, NULL, true);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, percent, applies_to, periods) VALUES
	('deal', 4, 'ten_off_fee', 'discount', NULL, 10, '{fee}', NULL),
	('deal', 5, 'half_once', 'discount', NULL, 50, NULL, 1),
	('deal', 6, 'thirty_twice', 'discount', 30, NULL, NULL, 2),
	('deal', 7, 'thousand_twice', 'discount', 1000, NULL, '{tokens}', 2);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount) VALUES ('deal', 8, 'cap_100', 'cap', 100), ('deal', 9, 'cap_90', 'cap', 90);
SELECT meter.subscribe('c', 'deal', since => '2026-01-01', until => '2026-05-16');
SELECT period, line, amount FROM pg_temp.bill('c', '2026-01-01', '2026-12-31') WHERE line NOT LIKE 'matrix%' AND line IN ('tokens', 'fee', 'least_of_usage', 'term', 'ten_off_fee', 'half_once', 'thirty_twice', 'thousand_twice', 'cap_100', 'cap_90') AND period && '[2026-02-01,)';
SELECT period, line, amount FROM pg_temp.bill('c', '2026-01-01', '2026-01-31') WHERE line IN ('fee', 'least_of_usage', 'term', 'ten_off_fee', 'half_once', 'thirty_twice', 'thousand_twice', 'cap_100', 'cap_90');

-- Prices that rise every year, and prices that follow an index; half of its change, too. Where it has no rate, there is no price.
INSERT INTO meter.plan (plan, currency, every) VALUES ('rising', 'USD', '6 months');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, escalator) VALUES ('rising', 1, 'fee', 'fee', 100, 3);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, tariff, escalator, quantity) VALUES ('rising', 2, 'seats', 'seat', 'at 10', 3, 2);
SELECT meter.subscribe('r', 'rising', since => '2024-02-29', until => '2026-08-29');
SELECT period, line, amount FROM pg_temp.bill('r', '2024-01-01', '2026-12-31');
INSERT INTO meter.plan (plan, currency, family) VALUES ('indexed', 'USD', 'e');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, index_card, index_item, index_unit, index_base, index_share) VALUES
	('indexed', 1, 'indexed', 'usage', 'tokens', 'at 20 per 1000000', 'list', 'gpt', 'input_tokens', 10, 100),
	('indexed', 2, 'half', 'usage', 'tokens', 'at 20 per 1000000', 'list', 'gpt', 'input_tokens', 10, 50);
SELECT meter.subscribe('c', 'indexed', since => '2026-02-01', until => '2026-06-01');
SELECT period, line, quantity, amount, problem FROM pg_temp.bill('c', '2026-02-01', '2026-12-31') WHERE line IN ('indexed', 'half');

-- A quantity below zero is billed as zero, and shows.
SELECT meter.refresh_now() >= 0 AS refreshed;
INSERT INTO meter.usage_day VALUES ('n', '2026-01-15', 0, 0, 1, 0, 0, '[{"variant": "standard", "events": 1, "usage": {"input_tokens": -5}}]');
INSERT INTO meter.usage_month SELECT * FROM meter.month_of_days WHERE customer_id = 'n';
SELECT meter.subscribe('n', 'plus', since => '2026-01-01', until => '2026-02-01');
SELECT line, measured, quantity, amount, problem FROM pg_temp.bill('n', '2026-01-01', '2026-01-31');

-- A version with a problem is put in use with a warning, by hand or by its first subscription; once.
\set VERBOSITY default
\set SHOW_CONTEXT never
INSERT INTO meter.plan (plan, version, currency, family) VALUES ('flawed', 1, 'USD', 'flawed'), ('flawed', 2, 'USD', 'flawed');
INSERT INTO meter.plan_item (plan, version, plan_item, kind, metric, tariff) VALUES ('flawed', 1, 'calls', 'usage', 'no_such_metric', 'at 1'), ('flawed', 2, 'calls', 'usage', 'no_such_metric', 'at 1');
SELECT meter.publish_plan('flawed', 1) IS NOT NULL AS published;
SELECT meter.publish_plan('flawed', 1) IS NOT NULL AS published;
SELECT meter.subscribe('f', 'flawed', 2, since => '2023-01-01') IS NOT NULL AS subscribed;
SELECT meter.subscribe('g', 'flawed', 2, since => '2023-01-01') IS NOT NULL AS subscribed;

-- Fees and terms of no whole number of the plan's periods: some of theirs would never be charged.
INSERT INTO meter.plan (plan, version, currency, every, term) VALUES ('odd', 1, 'USD', '1 year', '18 months'), ('odd', 2, 'USD', '1 month', '1 year'), ('odd', 3, 'USD', '7 days', '1 year');
INSERT INTO meter.plan_item (plan, version, plan_item, kind, amount, term) SELECT 'odd', version, 'most', 'commitment', 1, true FROM generate_series(1, 3) AS version;
INSERT INTO meter.plan_item (plan, version, plan_item, kind, amount, every) VALUES
	('odd', 1, 'monthly', 'fee', 1, '1 month'), ('odd', 2, 'monthly', 'fee', 1, '1 month'), ('odd', 2, 'quarterly', 'fee', 1, '3 months'), ('odd', 2, 'yearly', 'fee', 1, '1 year'), ('odd', 2, 'weekly', 'fee', 1, '7 days'),
	('odd', 3, 'fortnight', 'fee', 1, '2 weeks'), ('odd', 3, 'decade', 'fee', 1, '10 days');
SELECT version, plan_item, problem FROM meter.plan_problem WHERE plan = 'odd' ORDER BY version, plan_item COLLATE "C";
