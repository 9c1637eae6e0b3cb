-- Balances, by hand: what usage took of which lot, and what became of the rest.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE PROCEDURE pg_temp.refresh_all()
LANGUAGE plpgsql AS $$
BEGIN
	FOR attempt IN 1..600 LOOP
		CALL meter.refresh();
		EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event);
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;
CREATE VIEW pg_temp.balance AS
SELECT customer_id AS customer, credit_type AS type, granted, spent, expired, remaining, overage, unapplied, unpriced_events AS unpriced, next_expiry, next_expiry_amount AS amount, currency, paid, recognised, deferred
FROM meter.credit_balance;
CREATE VIEW pg_temp.lot AS
SELECT customer_id AS customer, lot_id, kind, pool, first_date, end_date, granted, spent, expired, rolled_over, remaining, paid, recognised
FROM meter.credit_lot_balance;
-- What a dump would bring: grants of the past.
CREATE FUNCTION pg_temp.granted(customer text, id text, kind text, amount numeric, valid daterange, pool text DEFAULT NULL, priority integer DEFAULT 100, paid numeric DEFAULT 0, currency text DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid, pool, priority, paid, currency, created_at) VALUES (customer, id, kind, amount, valid, pool, priority, paid, currency, '2025-12-01 00:00+00')
$$;
CREATE FUNCTION pg_temp.act(customer text, id text, at timestamptz, action text, actions integer DEFAULT 1, outcome text DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$
SELECT meter.record(customer, id, at, NULL, meter.usage('actions', actions), action, outcome => outcome)
$$;

TABLE pg_temp.balance;
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 5), ('credit', 'draw', 'actions', 10);
INSERT INTO meter.action (action, credit_type, pool) VALUES ('draw', 'credit', 'image'), ('talk', 'voice', NULL);
INSERT INTO meter.customer_zone (customer_id, timezone) VALUES ('acme', 'America/New_York');
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, anchor, valid, rollover_percent, created_at) VALUES ('acme', 'base', 100, '2026-01-01', '[2026-01-01,2026-04-01)', 20, '2025-12-01 00:00+00');
SELECT pg_temp.granted('acme', 'bought', 'purchase', 60, '[2026-01-10,2026-03-10)', priority => 200, paid => 10, currency => 'USD');
SELECT pg_temp.granted('acme', 'images', 'promotion', 15, '[2026-01-10,)', 'image');
TABLE pg_temp.balance;

-- A day begins in the customer's zone: the first event is of 31 December, before any lot; the seventh one of 31 January.
SELECT pg_temp.act('acme', 'e1', '2026-01-01 04:59:59+00', 'chat');
SELECT pg_temp.act('acme', 'e2', '2026-01-01 05:00:00+00', 'chat');
-- The pool's lot goes first, then what any action may take.
SELECT pg_temp.act('acme', 'e3', '2026-01-15 12:00+00', 'draw');
SELECT pg_temp.act('acme', 'e4', '2026-01-16 12:00+00', 'draw');
-- Then by priority.
SELECT pg_temp.act('acme', 'e5', '2026-01-20 12:00+00', 'chat', 17);
SELECT pg_temp.act('acme', 'e6', '2026-01-21 12:00+00', 'chat', 2);
SELECT pg_temp.act('acme', 'e7', '2026-02-01 04:59:59+00', 'chat');
-- Of 30 that are left of February's, 20 are rolled over and burned before March's.
SELECT pg_temp.act('acme', 'e8', '2026-02-10 12:00+00', 'chat', 14);
SELECT pg_temp.act('acme', 'e9', '2026-03-05 12:00+00', 'chat', 5);
-- Nothing is left.
SELECT pg_temp.act('acme', 'e13', '2026-06-01 12:00+00', 'chat');
TABLE pg_temp.balance;
TABLE pg_temp.lot ORDER BY first_date, lot_id;

-- What takes nothing: a failure, what is taken back, and what nobody priced, which is listed and not free.
SELECT pg_temp.act('acme', 'e10', '2026-03-06 12:00+00', 'chat', 1, 'failure');
SELECT pg_temp.act('acme', 'e11', '2026-03-06 12:00+00', 'chat', 3);
SELECT meter.void_event('acme', 'e11', 'wrong');
SELECT pg_temp.act('acme', 'e12', '2026-03-06 12:00+00', 'talk');
SELECT pg_temp.act('acme', 'e14', '2026-03-06 12:00+00', 'chta');
SELECT meter.record('acme', 'e15', '2026-03-06 12:00+00', 'gpt', '{"input_tokens": 1000}');
-- Events to come are not counted yet.
SELECT pg_temp.act('acme', 'e16', now() + interval '10 days', 'chat');
TABLE pg_temp.balance ORDER BY type;
SELECT * FROM meter.unpriced_usage WHERE card = 'credit' ORDER BY item;
-- Once it has a price it takes credits, from then on and before.
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'talk', 'actions', 1);
SELECT type, granted, spent, overage, unpriced FROM pg_temp.balance ORDER BY type;

-- Views do not depend on what was rolled up.
CREATE TEMP TABLE before AS TABLE pg_temp.balance;
CREATE TEMP TABLE ledger_before AS TABLE meter.credit_ledger;
CALL pg_temp.refresh_all();
SELECT count(*) FROM (TABLE before EXCEPT TABLE pg_temp.balance) AS differs;
SELECT count(*) FROM (TABLE ledger_before EXCEPT TABLE meter.credit_ledger) AS differs;

-- A late event changes what came after it.
SELECT pg_temp.act('acme', 'late', '2026-02-11 12:00+00', 'chat', 4);
TABLE pg_temp.lot ORDER BY first_date, lot_id;
SELECT meter.void_event('acme', 'late', 'undo');
SELECT count(*) FROM (TABLE before EXCEPT TABLE pg_temp.balance) AS differs;

-- The statement: it ends at the balance.
SELECT entry_number AS n, entry_date, entry, lot_id, pool, credits, change, balance, lot_balance, currency, paid, recognised
FROM meter.credit_ledger WHERE customer_id = 'acme' AND credit_type = 'credit' ORDER BY entry_number;
SELECT event_id, occurred_at, usage_date, action, pool, credits, covered, overage, balance FROM meter.credit_ledger_event WHERE customer_id = 'acme' AND credit_type = 'credit' ORDER BY occurred_at, event_id;
TABLE meter.credit_revenue;

-- Usage without any lot is overage; a later lot does not absorb it. A wallet answers questions.
SELECT pg_temp.act('bolt', 'e1', '2026-01-05 12:00+00', 'chat', 3);
SELECT pg_temp.granted('bolt', 'welcome', 'promotion', 100, '[2026-01-10,2036-01-01)');
SELECT pg_temp.granted('bolt', 'images', 'promotion', 30, '[2026-01-10,)', 'image');
SELECT pg_temp.act('bolt', 'e2', '2026-01-11 12:00+00', 'draw', 4);
SELECT customer, granted, spent, remaining, overage, next_expiry, amount FROM pg_temp.balance WHERE customer = 'bolt';
SELECT meter.balance(wallet, now()), meter.balance(wallet, now(), 'image') AS for_images, meter.balance(meter.spend(wallet, now(), 50, 'image'), now()) AS after_50
FROM meter.credit_wallet WHERE customer_id = 'bolt';
SELECT entry_date, entry, lot_id, pool, credits, balance FROM meter.credit_ledger WHERE customer_id = 'bolt' ORDER BY entry_number;
-- A refund gives back what the event took, and the event stays.
SELECT meter.refund_event('bolt', 'e2', 'the images were blank');
SELECT customer, granted, spent, remaining, overage FROM pg_temp.balance WHERE customer = 'bolt';
SELECT lot_id, kind, pool, granted, spent, remaining FROM pg_temp.lot WHERE customer = 'bolt' ORDER BY lot_id;
SELECT entry, lot_id, kind, pool, credits, balance FROM meter.credit_ledger WHERE customer_id = 'bolt' ORDER BY entry_number DESC LIMIT 1;

-- What is to be topped up: the customer's own rule, or that for all. One is exempt, one has no lot yet.
INSERT INTO meter.top_up_rule (customer_id, pool, threshold, amount, target) VALUES (NULL, NULL, 50, 500, NULL), ('bolt', NULL, 90, NULL, 250.5), ('bolt', 'image', 50, 10, NULL), ('cora', NULL, NULL, NULL, NULL), ('dora', NULL, 10, NULL, 40);
SELECT pg_temp.granted('cora', 'welcome', 'promotion', 10, '[2026-01-10,)');
SELECT pg_temp.granted('emma', 'welcome', 'promotion', 50, '[2026-01-10,)');
TABLE meter.top_up_due ORDER BY customer_id, credit_type, pool;
SELECT pg_temp.act('bolt', 'e3', now(), 'chat', 3);
TABLE meter.top_up_due ORDER BY customer_id, credit_type, pool;
-- One keeps its id while that of another pool is granted, so that a payment under way is not made twice.
BEGIN;
SELECT meter.grant_credits('bolt', 'top-up-credit-image-1', 'promotion', 10, pool => 'image');
SELECT pool, grant_id FROM meter.top_up_due WHERE customer_id = 'bolt' ORDER BY pool;
ROLLBACK;
SELECT due.customer_id, meter.grant_credits(due.customer_id, due.grant_id, 'purchase', due.amount, credit_type => due.credit_type, pool => due.pool, paid => 5)
FROM (SELECT * FROM meter.top_up_due ORDER BY customer_id, pool) AS due;
TABLE meter.top_up_due;
SELECT pg_temp.act('emma', 'e1', now(), 'chat');
SELECT pg_temp.act('acme', 'e17', now(), 'chat', 100);
TABLE meter.top_up_due ORDER BY customer_id;

-- A void is in the statement. What was paid in two currencies is not added up.
SELECT pg_temp.granted('fay', 'one', 'purchase', 100, '[2026-01-10,2026-02-10)', paid => 10, currency => 'USD');
SELECT pg_temp.granted('fay', 'two', 'purchase', 100, '[2026-01-10,2026-03-10)', paid => 1000, currency => 'JPY');
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid, rollover_max, rollover_until, created_at, voided_on, voided_at, voided_by, void_reason)
SELECT 'fay', 'void ' || to_char(voided_on, 'MM-DD'), 'promotion', 10, '[2026-03-01,2026-04-01)', 5, '2026-05-01', '2026-02-01 00:00+00', voided_on, '2026-02-01 00:00+00', 'me', 'test'
FROM unnest('{2026-02-20,2026-03-10,2026-04-10}'::date[]) AS voided_on;
SELECT pg_temp.act('fay', 'e1', '2026-01-20 12:00+00', 'chat', 21);
SELECT customer, granted, spent, expired, remaining, currency, paid, recognised, deferred FROM pg_temp.balance WHERE customer = 'fay';
SELECT entry_date, entry, lot_id, credits, balance, currency, recognised FROM meter.credit_ledger WHERE customer_id = 'fay' ORDER BY entry_number;
SELECT currency, revenue_month, paid, recognised, deferred FROM meter.credit_revenue WHERE customer_id = 'fay' ORDER BY currency, revenue_month;

-- What is wrong is listed.
TABLE meter.credit_problem;
SELECT pg_temp.granted('gus', 'misspelt', 'promotion', 1, '[2026-01-10,)', 'imgae');
INSERT INTO meter.credit_grant (customer_id, grant_id, credit_type, kind, amount) VALUES ('gus', 'of no type', 'voise', 'promotion', 1);
SELECT meter.void_event('bolt', 'e2', 'also wrong');
SELECT meter.grant_credits('bolt', 'by hand', 'refund', 1, event_id => 'e-2');
TABLE meter.credit_problem ORDER BY problem;
-- More lots than a wallet can have: one balance is not known, the others are.
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid, created_at)
SELECT 'heap', 'g' || n, 'promotion', 1, '[2026-01-10,)', '2025-12-01 00:00+00' FROM generate_series(1, 10001) AS n;
SELECT customer, granted, remaining, overage FROM pg_temp.balance WHERE customer >= 'emma' ORDER BY customer, type;
SELECT problem, customer_id, name FROM meter.credit_problem WHERE customer_id = 'heap';
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid, pool, created_at)
SELECT 'pools', 'g' || n, 'promotion', 1, daterange(date '2020-01-01' + n, date '2020-01-02' + n), 'pool ' || n, '2019-12-01 00:00+00' FROM generate_series(1, 600) AS n;
SELECT pg_temp.act('pools', 'e1', '2026-01-20 12:00+00', 'chat');
SELECT customer, granted, remaining, overage FROM pg_temp.balance WHERE customer = 'pools';
SELECT event_id, credits, covered, overage FROM meter.credit_ledger_event WHERE customer_id IN ('pools', 'emma') ORDER BY customer_id;
SELECT count(*) FROM meter.credit_problem WHERE customer_id = 'pools' AND problem LIKE 'too many%';
SELECT count(*) FROM meter.credit_ledger WHERE customer_id IN ('heap', 'pools');
SELECT count(*) FROM meter.credit_lot_balance WHERE customer_id = 'heap';
-- So close to the limit that a day's cut or a period's is one too many: not known either, and no error of the statement over all.
BEGIN;
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, pool, valid, rollover_max, rollover_until, created_at)
SELECT 'edge', 'g' || n, 'promotion', 1, 'p' || n, daterange(date '2018-01-01' + 3 * n, date '2018-01-02' + 3 * n), 1, date '2018-01-03' + 3 * n, '2017-12-01 00:00+00' FROM generate_series(1, 575) AS n;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, action, usage)
SELECT 'edge', 'e' || n, timestamptz '2023-01-01 12:00+00' + n * interval '1 day', 'chat', '{"actions": 1}' FROM generate_series(1, 11) AS n;
SELECT count(*) FROM meter.credit_ledger WHERE customer_id = 'edge';
SELECT count(*) FROM meter.credit_problem WHERE customer_id = 'edge' AND problem LIKE 'too many%';
ROLLBACK;
SELECT count(*) FROM meter.top_up_due WHERE customer_id = 'heap';

-- Usage in a table that is only attached is reported and not billed: it takes no credits.
CREATE TABLE log (customer text, at timestamptz, actions integer);
INSERT INTO log VALUES ('cora', '2026-02-01 12:00+00', 1);
SELECT meter.attach('log', 'customer', 'at', quantities => '{"actions": "actions"}', action => '''chat''') IS NOT NULL AS attached;
SELECT usage_date, action, credits FROM meter.usage_by_day WHERE customer_id = 'cora';
SELECT granted, spent, remaining, overage FROM meter.credit_balance WHERE customer_id = 'cora';

-- Whoever reads balances needs no right to events, prices and grants.
CREATE ROLE meter_regress_reader;
GRANT SELECT ON meter.credit_balance, meter.credit_ledger, meter.credit_wallet, meter.credit_lot_balance, meter.credit_revenue, meter.top_up_due TO meter_regress_reader;
SET ROLE meter_regress_reader;
SELECT remaining FROM meter.credit_balance WHERE customer_id = 'cora';
SELECT entry, balance FROM meter.credit_ledger WHERE customer_id = 'cora';
SELECT meter.balance(wallet, now()) FROM meter.credit_wallet WHERE customer_id = 'cora';
SELECT count(*) FROM meter.credit_lot_balance WHERE customer_id = 'cora';
SELECT count(*) > 0 AS due FROM meter.top_up_due;
SELECT count(*) FROM meter.credit_grant;
RESET ROLE;
DROP OWNED BY meter_regress_reader;
DROP ROLE meter_regress_reader;
