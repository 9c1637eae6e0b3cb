-- Subscriptions: no two overlap, changes of plan, seats and overrides, trials, and moving to another version.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.metric (metric, aggregation, unit) VALUES ('tokens', 'sum', 'input_tokens');
INSERT INTO meter.plan (plan, version, currency, trial_days, every, family, anchor) VALUES
	('basic', 1, 'USD', 0, '1 month', 'main', NULL), ('basic', 2, 'USD', 0, '1 month', 'main', NULL), ('pro', 1, 'USD', 0, '1 month', 'main', NULL), ('annual', 1, 'USD', 0, '1 year', 'main', NULL),
	('trial', 1, 'USD', 14, '1 month', 'main', NULL), ('trial_calendar', 1, 'USD', 3, '1 month', 'main', '2000-01-01'), ('support', 1, 'USD', 0, '1 month', 'support', NULL);
INSERT INTO meter.plan_item (plan, version, position, plan_item, kind, amount, timing) VALUES
	('basic', 1, 1, 'fee', 'fee', 31, 'advance'), ('basic', 2, 1, 'fee', 'fee', 62, 'advance'), ('pro', 1, 1, 'fee', 'fee', 310, 'advance'), ('annual', 1, 1, 'fee', 'fee', 3650, 'advance'),
	('trial', 1, 1, 'fee', 'fee', 31, 'advance'), ('trial_calendar', 1, 1, 'fee', 'fee', 100, 'advance'), ('support', 1, 1, 'fee', 'fee', 5, 'advance');
INSERT INTO meter.plan_item (plan, version, position, plan_item, kind, metric, tariff) VALUES
	('basic', 1, 2, 'tokens', 'usage', 'tokens', 'at 1; free 100; minimum 31'), ('basic', 2, 2, 'tokens', 'usage', 'tokens', 'at 2; free 100'), ('pro', 1, 2, 'tokens', 'usage', 'tokens', 'at 0.5; free 100');
INSERT INTO meter.plan_item (plan, version, position, plan_item, kind, tariff) VALUES ('basic', 1, 3, 'seats', 'seat', 'at 31'), ('basic', 2, 3, 'seats', 'seat', 'at 62'), ('pro', 1, 3, 'seats', 'seat', 'at 310');
CREATE FUNCTION pg_temp.bill(customer text, since date, until date) RETURNS TABLE (subscription_id bigint, plan text, period daterange, line text, quantity numeric, amount numeric)
LANGUAGE sql AS $$
	SELECT subscription_id, plan || ' ' || version, period, plan_item, quantity, amount
	FROM meter.rate_lines(ARRAY[customer], ARRAY[since], ARRAY[until])
	ORDER BY period, position
$$;
CREATE VIEW pg_temp.plans AS
SELECT subscription_id AS id, customer_id AS customer, plan, version, valid, anchor, price_since, trial_until, replaces FROM meter.subscription ORDER BY subscription_id;

-- A customer has one plan of a family at a time.
SELECT meter.subscribe('a', 'basic', 1, since => '2023-01-01');
SELECT meter.subscribe('a', 'pro', since => '2023-06-01');
INSERT INTO meter.subscription (customer_id, plan, valid, anchor, price_since) VALUES ('a', 'pro', '[2023-06-01,)', '2023-06-01', '2023-06-01');
SELECT meter.subscribe('a', 'support', since => '2023-06-01');
SELECT meter.subscribe('a', 'gold');
SELECT meter.subscribe('a', 'basic', 7);
SELECT meter.subscribe('b', 'basic', since => '2023-01-01', until => '2023-01-01');
INSERT INTO meter.subscription (customer_id, plan, valid, anchor, price_since) VALUES ('z', 'gold', '[2023-01-01,)', '2023-01-01', '2023-01-01');
INSERT INTO meter.subscription (customer_id, plan, valid, anchor, price_since) VALUES ('y', 'gold', '(,)', '2023-01-01', '2023-01-01');
SELECT plan, version, published_at IS NOT NULL AS in_use FROM meter.plan ORDER BY plan, version;
-- Today is the customer's.
INSERT INTO meter.customer_zone (customer_id, timezone) VALUES ('k', 'Pacific/Kiritimati');
SELECT meter.customer_date('k', '2023-01-31 10:00+00'), meter.customer_date('a', '2023-01-31 10:00+00'), meter.customer_date_start('k', '2023-02-01'), meter.customer_date_start('a', '2023-02-01');
SELECT meter.subscribe('k', 'basic') AS k \gset
SELECT lower(valid) = timezone('Pacific/Kiritimati', now())::date AS today FROM meter.subscription WHERE subscription_id = :k;

-- A change in the middle of a period: each part from zero, fees, seats and minimums by its days, free units in full.
SELECT meter.subscribe('b', 'basic', 1, since => '2023-01-01') AS b \gset
INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity, valid) VALUES (:b, 'seats', 1, '(,)'), (:b, 'seats', 1, '[2023-01-21,)'), (:b, 'other', 1, '(,)'), (:b, 'seats', 5, '[2023-01-02,2023-01-03)');
INSERT INTO meter.subscription_override (subscription_id, plan_item, amount) VALUES (:b, 'fee', 62);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('b', '1', '2023-01-05 00:00+00', '{"input_tokens": 110}'), ('b', '2', '2023-01-25 00:00+00', '{"input_tokens": 110}');
SELECT * FROM pg_temp.bill('b', '2023-01-01', '2023-01-31');
BEGIN;
SELECT meter.change_plan(:b, 'pro', effective => 'today', as_of => '2023-01-11 15:00+00');
SELECT * FROM pg_temp.plans WHERE customer = 'b';
SELECT * FROM pg_temp.bill('b', '2023-01-01', '2023-01-31');
-- The day's last change wins.
SELECT id AS b2 FROM pg_temp.plans WHERE customer = 'b' AND plan = 'pro' \gset
SELECT meter.change_plan(:b2, 'basic', 2, effective => 'today', as_of => '2023-01-11 23:00+00');
SELECT * FROM pg_temp.plans WHERE customer = 'b';
SELECT * FROM pg_temp.bill('b', '2023-01-01', '2023-01-31') WHERE line <> 'seats';
-- And back, as if nothing had been: the override holds again, and seats are there that the plan between has no item for.
SELECT id AS b3 FROM pg_temp.plans WHERE customer = 'b' AND version = 2 \gset
SELECT meter.change_plan(:b3, 'annual', effective => 'today', as_of => '2023-01-11 23:10+00') AS b4 \gset
SELECT meter.change_plan(:b4, 'basic', 1, effective => 'today', as_of => '2023-01-11 23:20+00') IS NOT NULL AS changed;
SELECT * FROM pg_temp.plans WHERE customer = 'b' AND NOT isempty(valid);
SELECT * FROM pg_temp.bill('b', '2023-01-01', '2023-01-31') WHERE line IN ('fee', 'seats');
ROLLBACK;
-- At the period's end, which a later change before it takes the place of; and on a date.
BEGIN;
SELECT meter.change_plan(:b, 'pro', as_of => '2023-01-11 15:00+00');
SELECT * FROM pg_temp.plans WHERE customer = 'b';
SELECT meter.change_plan(:b, 'basic', 2, effective => '2023-01-20', as_of => '2023-01-11 15:00+00');
SELECT * FROM pg_temp.plans WHERE customer = 'b';
SELECT subscription_id - :b AS nth, override.plan_item, amount FROM meter.subscription_override AS override JOIN meter.subscription USING (subscription_id) WHERE customer_id = 'b' ORDER BY 1;
SELECT subscription_id - :b AS nth, seat.plan_item, quantity, seat.valid FROM meter.subscription_seat AS seat JOIN meter.subscription USING (subscription_id) WHERE customer_id = 'b' ORDER BY 1, 2, 3, 4;
ROLLBACK;
-- To a plan of another length: its periods begin with it.
BEGIN;
SELECT meter.change_plan(:b, 'annual', effective => '2023-01-20', as_of => '2023-01-11 15:00+00');
SELECT * FROM pg_temp.plans WHERE customer = 'b';
SELECT * FROM pg_temp.bill('b', '2023-01-01', '2023-01-31') WHERE line = 'fee';
ROLLBACK;
SELECT meter.change_plan(:b, 'pro', effective => '2022-12-31');
SELECT meter.change_plan(:b, 'pro', effective => 'soon');
SELECT meter.change_plan(:b, 'support');
SELECT meter.change_plan(999, 'pro');
SELECT meter.cancel_subscription(:b, as_of => '2023-01-11 15:00+00');
SELECT meter.change_plan(:b, 'pro', effective => '2023-02-02');
SELECT meter.cancel_subscription(:b, '2023-01-02');
SELECT * FROM pg_temp.bill('b', '2023-01-01', '2023-12-31');

-- A trial costs nothing; periods begin at its end, or the plan's calendar is cut by it.
SELECT meter.subscribe('t', 'trial', since => '2023-01-01'), meter.subscribe('tc', 'trial_calendar', since => '2023-08-29');
SELECT customer_id, period, whole, trial, days FROM meter.billing_period WHERE customer_id IN ('t', 'tc') AND lower(period) < '2023-10-31' AND (customer_id = 'tc' OR lower(period) < '2023-03-01') ORDER BY customer_id, period;
SELECT * FROM pg_temp.bill('t', '2023-01-01', '2023-01-31');
SELECT * FROM pg_temp.bill('tc', '2023-08-01', '2023-09-30');
-- A discount for two periods is for the first two that are charged, on another version too.
INSERT INTO meter.plan (plan, version, currency, trial_days, anchor, family) VALUES ('offer', 1, 'USD', 10, '2000-01-01', 'offer'), ('offer', 2, 'USD', 0, '2000-01-01', 'offer');
INSERT INTO meter.plan_item (plan, version, position, plan_item, kind, amount, timing) SELECT 'offer', version, 1, 'fee', 'fee', 31 * version, 'arrears' FROM generate_series(1, 2) AS version;
INSERT INTO meter.plan_item (plan, version, position, plan_item, kind, percent, periods) SELECT 'offer', version, 2, 'half', 'discount', 50, 2 FROM generate_series(1, 2) AS version;
BEGIN;
SELECT meter.subscribe('td', 'offer', 1, since => '2023-01-27') AS td \gset
SELECT since FROM meter.migrate_subscriptions('offer', 2, customers => '{td}', as_of => '2023-02-10 00:00+00');
SELECT plan, period, line, amount FROM pg_temp.bill('td', '2023-01-01', '2023-04-30');
ROLLBACK;

-- What a subscription has otherwise, from the period that begins then.
SELECT meter.subscribe('o', 'basic', 1, since => '2023-01-01') AS o \gset
INSERT INTO meter.subscription_override (subscription_id, plan_item, valid, tariff) VALUES (:o, 'tokens', '[2023-01-15,2023-03-01)', 'at 7');
INSERT INTO meter.subscription_override (subscription_id, plan_item, valid, amount, quantity) VALUES (:o, 'fee', '[2023-02-01,)', 100, 3);
INSERT INTO meter.subscription_override (subscription_id, plan_item, quantity) VALUES (:o, 'seats', 2);
INSERT INTO meter.subscription_override (subscription_id, plan_item, valid, amount) VALUES (:o, 'fee', '[2023-03-01,)', 100);
INSERT INTO meter.subscription_override (subscription_id, plan_item) VALUES (:o, 'fee');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('o', '1', '2023-02-05 00:00+00', '{"input_tokens": 110}'), ('o', '2', '2023-01-25 00:00+00', '{"input_tokens": 210}');
SELECT * FROM pg_temp.bill('o', '2023-01-01', '2023-03-31');

-- Old customers stay on their version until they are moved; what it comes to is shown before.
SELECT meter.subscribe('m1', 'basic', 1, since => '2023-01-01') AS m1, meter.subscribe('m2', 'basic', 1, since => '2023-02-10') AS m2, meter.subscribe('m3', 'basic', 2, since => '2023-01-01') AS m3 \gset
INSERT INTO meter.subscription_override (subscription_id, plan_item, tariff) VALUES (:m1, 'tokens', 'at 3');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('m1', '1', '2023-01-05 00:00+00', '{"input_tokens": 110}'), ('m2', '1', '2023-02-12 00:00+00', '{"input_tokens": 210}');
SELECT customer_id, of_version, currency, period, present_amount, future_amount, difference, problems FROM meter.preview_migration('basic', 2, customers => '{m1,m2,m3}', as_of => '2023-02-15 00:00+00');
BEGIN;
INSERT INTO meter.plan (plan, version, currency) VALUES ('basic', 3, 'EUR');
SELECT customer_id, present_amount, present_currency, future_amount, currency, difference FROM meter.preview_migration('basic', 3, customers => '{m1,m2,m3}', as_of => '2023-02-15 00:00+00');
INSERT INTO meter.plan_item (plan, version, plan_item, kind, amount) VALUES ('basic', 3, 'fee', 'fee', 90);
SELECT customer_id, present_amount, present_currency, future_amount, currency, difference FROM meter.preview_migration('basic', 3, customers => '{m1,m2,m3}', as_of => '2023-02-15 00:00+00');
ROLLBACK;
-- One that cannot be rated, or moved, is reported, and the others go on.
BEGIN;
SELECT meter.subscribe('m0', 'basic', 1, since => '2023-01-01') AS m0 \gset
INSERT INTO meter.subscription_override (subscription_id, plan_item, tariff) VALUES (:m0, 'tokens', 'at 10000000000000');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('m0', '1', '2023-01-05 00:00+00', '{"input_tokens": 1000000000000000}');
SELECT customer_id, of_version, currency, period, present_amount, future_amount, difference, problems, problem FROM meter.preview_migration('basic', 2, customers => '{m0,m1,m2,m3}', as_of => '2023-02-15 00:00+00');
INSERT INTO meter.plan (plan, version, currency) VALUES ('basic', 3, 'USD');
INSERT INTO meter.plan_item (plan, version, plan_item, kind, metric, percent, tariff) VALUES ('basic', 3, 'margin', 'cost_plus', 'tokens', NULL, 'at 1');
INSERT INTO meter.card (card, currency) VALUES ('cost', 'EUR') ON CONFLICT (card) DO UPDATE SET currency = 'EUR';
SELECT customer_id, future_amount, problems, problem FROM meter.preview_migration('basic', 3, customers => '{m1,m2}', as_of => '2023-02-15 00:00+00');
INSERT INTO meter.billing_account (customer_id, billed_until, closed_until, closed_at) VALUES ('m1', '2023-03-01', '2023-03-01', '2023-03-03 00:00+00');
SELECT customer_id, new_subscription_id IS NOT NULL AS moved, since, problem FROM meter.migrate_subscriptions('basic', 2, customers => '{m1,m2,m3}', effective => '2023-02-20', as_of => '2023-02-15 00:00+00');
SELECT customer, version, valid FROM pg_temp.plans WHERE customer IN ('m1', 'm2') ORDER BY customer, lower(valid);
SELECT customer_id FROM meter.migrate_subscriptions('basic', 2, effective => 'soon');
ROLLBACK;
SELECT customer_id, new_subscription_id IS NOT NULL AS moved, since FROM meter.migrate_subscriptions('basic', 2, customers => '{m1,m2,m3}', as_of => '2023-02-15 00:00+00');
SELECT customer, plan, version, valid, anchor, price_since FROM pg_temp.plans WHERE customer LIKE 'm_' ORDER BY customer, lower(valid);
SELECT customer_id FROM meter.migrate_subscriptions('basic', 2, from_version => 1, customers => '{m1,m2,m3}', as_of => '2023-02-15 00:00+00');
SELECT plan, period, line, quantity, amount FROM pg_temp.bill('m1', '2023-02-01', '2023-03-01');

-- An anchor that periods cannot be counted from would fail in every view of them.
SELECT meter.subscribe('q', 'basic', since => '2023-01-01', anchor => '5874890-01-01');
INSERT INTO meter.plan (plan, currency, anchor) VALUES ('far', 'USD', 'infinity');

-- A cancellation undoes every change that was to come, also one of a plan that another change was to bring, and one in its place.
SELECT meter.subscribe('r', 'basic', 1, since => '2023-01-01') AS r1 \gset
SELECT meter.change_plan(:r1, 'basic', 2, '2023-03-01') AS r2 \gset
SELECT meter.change_plan(:r2, 'basic', 1, '2023-04-01') AS r3 \gset
SELECT meter.change_plan(:r3, 'pro', 1, '2023-04-01') IS NOT NULL AS changed;
SELECT plan, version, valid FROM pg_temp.plans WHERE customer = 'r' AND NOT isempty(valid);
SELECT meter.cancel_subscription(:r1, '2023-02-01');
SELECT plan, version, valid FROM pg_temp.plans WHERE customer = 'r' AND NOT isempty(valid);
