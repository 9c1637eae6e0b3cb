-- Plans with credits: allotments become lots, and what no lot covers is charged by the period.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 5), ('credit', 'paint', 'actions', 10);
INSERT INTO meter.action (action, pool) VALUES ('paint', 'images');
INSERT INTO meter.plan (plan, currency, trial_days) VALUES ('credits', 'USD', 0), ('other', 'USD', 0), ('team', 'USD', 0), ('trial', 'USD', 7);
INSERT INTO meter.plan_item (plan, plan_item, kind, credit_type, quantity, tariff, rollover_max, rollover_percent, pool) VALUES
	('credits', 'base', 'credit', 'credit', 100, 'graduated: up to 50 at 0.1; above at 0.08', NULL, 30, NULL),
	('other', 'base', 'credit', 'credit', 1000, 'at 0.05', NULL, NULL, NULL),
	('trial', 'base', 'credit', 'credit', 50, NULL, NULL, NULL, NULL),
	('team', 'base', 'credit', 'credit', 20, 'at 1', NULL, NULL, NULL),
	('team', 'images', 'credit', 'credit', 15, 'at 2', NULL, NULL, 'images');
INSERT INTO meter.plan_item (plan, plan_item, kind, credit_type) VALUES ('team', 'broken', 'credit', NULL);
INSERT INTO meter.plan_item (plan, plan_item, kind, credit_type, rollover_max, rollover_percent) VALUES ('team', 'broken', 'credit', 'credit', 5, 5);
INSERT INTO meter.plan_item (plan, plan_item, kind, tariff, credit_type) VALUES ('team', 'broken', 'seat', 'at 1', 'credit');
INSERT INTO meter.plan_item (plan, plan_item, kind, tariff) VALUES ('team', 'seats', 'seat', 'at 10');
INSERT INTO meter.plan_item (plan, plan_item, kind, credit_type, seat_item, per_seat, tariff, priority) VALUES ('team', 'per_seat', 'credit', 'team', 'seats', 40, 'at 3', 5);
TABLE meter.plan_problem;
CREATE FUNCTION pg_temp.bill(customer text, since date, until date) RETURNS TABLE (period daterange, line text, consumed numeric, allotment numeric, overage numeric, amount numeric, problem text)
LANGUAGE sql AS $$
	SELECT period, plan_item, measured, included, quantity, amount, problem
	FROM meter.rate_lines(ARRAY[customer], ARRAY[since], ARRAY[until])
	WHERE kind = 'credit'
	ORDER BY period, plan_item
$$;

-- A lot for each period, rolled over in part: 110 of 100 in January; 60 of 100 in February, so 30 stay for March.
SELECT meter.subscribe('a', 'credits', since => '2023-01-01') AS a \gset
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, action, usage)
SELECT 'a', 'e' || n, day, 'chat', '{"actions": 1}' FROM (
	SELECT n, timestamptz '2023-01-05 00:00+00' + n * interval '1 day' AS day FROM generate_series(1, 22) AS n
	UNION ALL SELECT 100 + n, timestamptz '2023-02-05 00:00+00' + n * interval '1 day' FROM generate_series(1, 12) AS n
	UNION ALL SELECT 200 + n, timestamptz '2023-03-05 00:00+00' + n * interval '1 hour' FROM generate_series(1, 40) AS n) AS event;
SELECT lot_id, amount, first_date, end_date, rollover_max, rollover_end_date FROM meter.plan_lot WHERE customer_id = 'a' AND first_date < '2023-04-01' ORDER BY first_date;
SELECT * FROM pg_temp.bill('a', '2023-01-01', '2023-03-31');
-- However many items and periods ask, credits are burned down once.
BEGIN;
SET LOCAL track_functions = 'pl';
SELECT count(*) FROM pg_temp.bill('a', '2023-01-01', '2023-03-31');
SELECT calls FROM pg_stat_xact_user_functions WHERE schemaname = 'meter' AND funcname = 'credit_overage';
ROLLBACK;
SELECT lot_id, granted, spent, expired, rolled_over FROM meter.credit_lot_balance WHERE customer_id = 'a' AND first_date < '2023-04-01' ORDER BY first_date;
-- A purchase covers, too.
SELECT meter.grant_credits('a', 'top-up', 'purchase', 45, '[2023-03-01,2023-04-01)', paid => 5);
SELECT * FROM pg_temp.bill('a', '2023-03-01', '2023-03-31');
-- A change of plan ends the lot, and brings the new plan's full one; each part has its overage.
BEGIN;
SELECT meter.change_plan(:a, 'other', effective => '2023-01-16') IS NOT NULL AS changed;
SELECT lot_id, amount, first_date, end_date, rollover_max FROM meter.plan_lot WHERE customer_id = 'a' AND first_date < '2023-03-01' ORDER BY first_date;
SELECT * FROM pg_temp.bill('a', '2023-01-01', '2023-01-31');
ROLLBACK;

-- Seats bring their credits when they come, once however they change; they are shared.
SELECT meter.subscribe('t', 'team', since => '2023-01-01', until => '2023-03-01') AS t \gset
INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity, valid) VALUES (:t, 'seats', 2, '(,)'), (:t, 'seats', 1, '[2023-01-10,2023-01-12)'), (:t, 'seats', 2, '[2023-01-20,)');
SELECT lot_id, credit_type, amount, first_date, end_date FROM meter.plan_lot WHERE customer_id = 't' ORDER BY first_date, lot_id COLLATE "C";
-- A pool's overage has its own tariff: images take their 15 and chats the other 20, so 5 of each are over.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, action, usage) VALUES
	('t', '1', '2023-01-02 00:00+00', 'chat', '{"actions": 4}'), ('t', '2', '2023-01-03 00:00+00', 'paint', '{"actions": 2}'), ('t', '3', '2023-01-04 00:00+00', 'chat', '{"actions": 1}');
SELECT * FROM pg_temp.bill('t', '2023-01-01', '2023-01-31');

-- A trial has its credits, and no bill; what follows has no overage tariff, and is not charged.
SELECT meter.subscribe('f', 'trial', since => '2023-01-01', until => '2023-02-08') IS NOT NULL AS f;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, action, usage) VALUES ('f', '1', '2023-01-02 00:00+00', 'chat', '{"actions": 11}'), ('f', '2', '2023-01-12 00:00+00', 'chat', '{"actions": 11}'), ('f', '3', '2023-01-12 00:00+00', 'sing', '{"actions": 11}');
SELECT lot_id, amount, first_date, end_date FROM meter.plan_lot WHERE customer_id = 'f' ORDER BY first_date;
SELECT * FROM pg_temp.bill('f', '2023-01-01', '2023-01-31');
SELECT period, plan_item, allowance, used, used_share FROM meter.allowance_use WHERE customer_id = 'f';

-- Closing charges it, explains it down to the event, and adjusts: a late event takes credits that later ones had.
CALL meter.close_periods(upto => '2023-04-01', as_of => '2023-05-01 00:00+00');
SELECT period, quantity, exact_amount, amount FROM meter.invoice_line WHERE customer_id = 'a' ORDER BY period_start;
SELECT section, day, event_id, quantity, amount FROM meter.explain((SELECT invoice_id FROM meter.invoice_line WHERE customer_id = 'a' AND period_start = '2023-01-01'), 1);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, action, usage) VALUES ('a', 'late', '2023-02-01 00:00+00', 'chat', '{"actions": 6}');
CALL meter.close_periods(upto => '2023-04-01', as_of => '2023-05-01 00:00+00');
SELECT period, revision, quantity, exact_amount, amount FROM meter.invoice_line WHERE customer_id = 'a' ORDER BY period_start, revision;
-- What is closed is covered by what covered it: no grant, no price and no allotment comes before.
SELECT meter.grant_credits('a', 'backdated', 'promotion', 100, '[2023-03-01,2023-04-01)');
SELECT meter.grant_credits('a', 'in time', 'promotion', 100, '[2023-04-01,2023-05-01)');
UPDATE meter.rate SET price = 6 WHERE card = 'credit';
