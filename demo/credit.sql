\echo
\echo '== The same trace as recorded events: the hour is stretched over the last four weeks, until yesterday'
\set ECHO queries
INSERT INTO meter.rate (card, item, unit, price, per) VALUES ('credit', 'chat', 'input_tokens', 1, 5000), ('credit', 'chat', 'output_tokens', 1, 1000);
INSERT INTO meter.customer (customer_id, segment) SELECT account_id, lower(plan) FROM app.account;

INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action)
SELECT account_id, request_id, date_trunc('day', now()) - interval '28 days' + (created_at - first_at) / extract(epoch FROM last_at - first_at + '1 second') * 28 * 86400, model, usage, 'chat'
FROM app.event, (SELECT min(created_at) AS first_at, max(created_at) AS last_at FROM app.event) AS hour;

CALL meter.refresh();
\set ECHO none

\echo
\echo '== Credits granted: a quarter of the plan''s each week, of which a fifth can be rolled over for a week.'
\echo '   The heaviest customer has a welcome promotion, for two weeks and burned first, and buys 100 more'
\set ECHO queries
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, every, valid, rollover_percent)
SELECT account_id, lower(plan), CASE plan WHEN 'Starter' THEN 125 WHEN 'Pro' THEN 625 ELSE 2500 END, '7 days', daterange(meter.customer_date(account_id) - 28, NULL), 20
FROM app.account;

SELECT customer_id AS heaviest, sum(credits) AS credits FROM meter.usage_by_day GROUP BY customer_id ORDER BY credits DESC LIMIT 1 \gset
SELECT :'heaviest' AS customer,
	meter.grant_credits(:'heaviest', 'welcome', 'promotion', 100, daterange(today - 28, today - 14), priority => 50) AS welcome,
	meter.grant_credits(:'heaviest', 'order 1', 'purchase', 100, daterange(today - 20, NULL), priority => 200, paid => 12) AS order_1
FROM meter.customer_date(:'heaviest') AS today;
\set ECHO none

\echo
\echo '== Balances now, the eight with the most used'
\set ECHO queries
SELECT customer_id, granted, spent, expired, remaining, overage, next_expiry::date, next_expiry_amount AS of_it
FROM meter.credit_balance
ORDER BY spent + overage DESC
LIMIT 8;
\set ECHO none

\echo
\echo '== The burn-down of the heaviest customer, lot by lot. What was paid is revenue as it burns'
\set ECHO queries
SELECT lot_id, kind, first_date, end_date, granted, spent, expired, rolled_over, remaining, paid, recognised, deferred
FROM meter.credit_lot_balance
WHERE customer_id = :'heaviest'
ORDER BY first_date, priority;
\set ECHO none

\echo
\echo '== Its statement for some of the days: every entry has a lot behind it, but overage'
\set ECHO queries
SELECT entry_date, entry, lot_id, credits, change, balance, lot_balance
FROM meter.credit_ledger
WHERE customer_id = :'heaviest' AND entry_date BETWEEN meter.customer_date(:'heaviest') - 17 AND meter.customer_date(:'heaviest') - 6
ORDER BY entry_number;
\set ECHO none

\echo
\echo '== Down to the event: the first one that lots do not cover whole, and the two before it'
\set ECHO queries
SELECT event_id, occurred_at::timestamptz(0), credits, covered, overage, balance
FROM meter.credit_ledger_event
WHERE customer_id = :'heaviest' AND occurred_at <= (SELECT min(occurred_at) FROM meter.credit_ledger_event WHERE customer_id = :'heaviest' AND overage > 0)
ORDER BY occurred_at DESC, event_id DESC
LIMIT 3;
\set ECHO none

\echo
\echo '== A request went wrong: it is refunded. Who has fallen below 130 credits is to be topped up to 200'
\set ECHO queries
SELECT meter.refund_event(:'heaviest', (SELECT event_id FROM meter.usage_event WHERE customer_id = :'heaviest' ORDER BY occurred_at DESC LIMIT 1), note => 'ticket 4711') AS grant_id;
INSERT INTO meter.top_up_rule (threshold, target) VALUES (130, 200);
SELECT * FROM meter.top_up_due ORDER BY remaining, customer_id LIMIT 5;
\set ECHO none

DO $$
DECLARE
	taken CONSTANT numeric := (SELECT sum(credits) FROM app.consumed);
	shown CONSTANT numeric := (SELECT sum(spent + overage) FROM meter.credit_balance);
	stated CONSTANT numeric := (SELECT sum(credits) FROM meter.credit_ledger WHERE entry IN ('burn', 'overage'));
BEGIN
	IF taken IS DISTINCT FROM shown OR taken IS DISTINCT FROM stated THEN
		RAISE EXCEPTION 'the trace takes % credits, the balances have %, and the statements %', taken, shown, stated;
	END IF;
END
$$;
