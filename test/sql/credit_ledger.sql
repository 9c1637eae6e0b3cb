-- Statements and balances at random: against a walk over every event, and against each other.
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

INSERT INTO meter.rate (card, item, unit, price) VALUES
	('credit', 'chat', 'actions', 3), ('credit', 'chat', 'input_tokens', 0.001), ('credit', 'draw', 'actions', 7.25), ('credit', 'edit', 'actions', 1.000000000001), ('credit', 'talk', 'actions', 2);
INSERT INTO meter.action (action, credit_type, pool) VALUES ('draw', 'credit', 'image'), ('edit', 'credit', 'image'), ('talk', 'voice', 'call');

-- Forty customers, every second one with a calendar of its own, some of which move.
SELECT setseed(0.4);
INSERT INTO meter.customer_zone (customer_id, since, timezone)
SELECT 'c' || n, CASE WHEN n % 4 = 0 THEN date '-infinity' ELSE '2026-02-20' END, (ARRAY['Asia/Tokyo', 'America/New_York', 'Pacific/Apia', 'Europe/Berlin'])[1 + (random() * 3)::integer]
FROM generate_series(2, 40, 2) AS n;
INSERT INTO meter.customer_zone (customer_id, since, timezone)
SELECT customer_id, date '2026-03-01' + (random() * 20)::integer, (ARRAY['Asia/Kathmandu', 'Pacific/Honolulu', 'Pacific/Kiritimati'])[1 + (random() * 2)::integer]
FROM meter.customer_zone WHERE random() < 0.5;
INSERT INTO meter.credit_allotment (customer_id, allotment_id, credit_type, amount, pool, priority, anchor, every, valid, rollover_max, rollover_percent, rollover_periods, created_at)
SELECT
	'c' || n, 'a' || k, (ARRAY['credit', 'credit', 'voice'])[1 + (random() * 2)::integer], (1 + random() * 60)::integer, (ARRAY[NULL, NULL, 'image', 'call'])[1 + (random() * 3)::integer], (random() * 2)::integer,
	date '2026-01-31' + (random() * 3)::integer, (ARRAY['1 month', '7 days', '10 days']::interval[])[1 + (random() * 2)::integer],
	daterange(date '2026-02-01' + (random() * 20)::integer, date '2026-03-10' + (random() * 40)::integer),
	CASE k WHEN 1 THEN (1 + random() * 20)::integer END, CASE k WHEN 2 THEN (1 + random() * 99)::integer END, 1 + (random() * 2)::integer, '2026-01-01 00:00+00'
FROM generate_series(1, 40) AS n, generate_series(1, 3) AS k
WHERE random() < 0.6;
INSERT INTO meter.credit_grant (customer_id, grant_id, credit_type, kind, amount, pool, priority, valid, paid, currency, rollover_max, rollover_until, created_at, voided_on, voided_at, voided_by, void_reason)
SELECT
	'c' || n, 'g' || k, credit_type, kind, (1 + random() * 80)::numeric(12, 6), pool, (random() * 2)::integer, valid,
	CASE kind WHEN 'purchase' THEN (random() * 10)::numeric(12, 4) ELSE 0 END, CASE kind WHEN 'purchase' THEN 'USD' END,
	CASE WHEN rollover THEN 10 END, CASE WHEN rollover THEN upper(valid) + 10 END, timestamptz '2026-01-01 00:00+00' + k * interval '1 hour',
	voided_on, voided_on::timestamp - interval '1 hour', CASE WHEN voided_on IS NOT NULL THEN 'me' END, CASE WHEN voided_on IS NOT NULL THEN 'test' END
FROM (
	SELECT
		n, k, (ARRAY['credit', 'credit', 'voice'])[1 + (random() * 2)::integer] AS credit_type, (ARRAY['purchase', 'promotion'])[1 + (random())::integer] AS kind, (ARRAY[NULL, NULL, 'image', 'call'])[1 + (random() * 3)::integer] AS pool,
		daterange(date '2026-02-01' + (random() * 40)::integer, CASE WHEN random() < 0.8 THEN date '2026-03-15' + (random() * 40)::integer END) AS valid, random() < 0.4 AS may_roll,
		CASE WHEN random() < 0.2 THEN date '2026-03-01' + (random() * 50)::integer END AS voided_on
	FROM generate_series(1, 40) AS n, generate_series(1, 5) AS k
) AS drawn
CROSS JOIN LATERAL (SELECT may_roll AND NOT upper_inf(valid) AS rollover) AS rolls;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage, action, outcome)
SELECT
	'c' || 1 + (random() * 39)::integer, 'e' || n, date_trunc(CASE WHEN random() < 0.3 THEN 'day' ELSE 'second' END, timestamptz '2026-01-30 00:00+00' + random() * interval '85 days'),
	meter.usage('actions', (random() * 3)::integer, 'input_tokens', (random() * 1000)::integer), (ARRAY['chat', 'draw', 'edit', 'talk', NULL])[1 + (random() * 4)::integer], CASE WHEN random() < 0.1 THEN 'failure' END
FROM generate_series(1, 4000) AS n;
CALL pg_temp.refresh_all();
SELECT count(meter.void_event(customer_id, event_id, 'test')) > 50 AS voided FROM (SELECT customer_id, event_id FROM meter.usage_event WHERE right(event_id, 2) IN ('17', '42')) AS event;
SELECT count(meter.amend_event(customer_id, event_id, '{"usage": {"actions": 1}}', 'test')) > 20 AS amended FROM (SELECT customer_id, event_id FROM meter.usage_event WHERE right(event_id, 2) IN ('63')) AS event;

-- The reference: a customer's events one after another, day by day, with prices and dates of its own.
CREATE TEMP TABLE reference (customer_id text, credit_type text, lot_id text, pool text, priority integer, first_date date, end_date date, rollover_end_date date, rollover_max numeric, created_at timestamptz,
	amount numeric, remaining numeric, spent numeric DEFAULT 0, expired numeric DEFAULT 0, rolled_over numeric DEFAULT 0, state text DEFAULT 'new', overage numeric DEFAULT 0);
CREATE PROCEDURE pg_temp.pass_dates(of_customer text, of_type text, today date)
LANGUAGE plpgsql AS $$
DECLARE
	lot record;
BEGIN
	UPDATE reference SET state = 'active' WHERE customer_id = of_customer AND credit_type = of_type AND lot_id IS NOT NULL AND state = 'new' AND first_date <= today;
	UPDATE reference SET state = 'rolled', rolled_over = least(remaining, rollover_max), expired = remaining - least(remaining, rollover_max), remaining = least(remaining, rollover_max)
	WHERE customer_id = of_customer AND credit_type = of_type AND state = 'active' AND end_date <= today AND rollover_max IS NOT NULL;
	UPDATE reference SET state = 'gone', expired = expired + remaining, remaining = 0
	WHERE customer_id = of_customer AND credit_type = of_type AND (state = 'active' AND end_date <= today OR state = 'rolled' AND rollover_end_date <= today);
END
$$;
CREATE PROCEDURE pg_temp.walk()
LANGUAGE plpgsql AS $$
DECLARE
	event record;
	lot record;
	rest numeric;
	taken numeric;
BEGIN
	INSERT INTO reference (customer_id, credit_type, lot_id, pool, priority, first_date, end_date, rollover_end_date, rollover_max, created_at, amount, remaining)
	SELECT customer_id, credit_type, lot_id, pool, priority, first_date, end_date, rollover_end_date, rollover_max, created_at, amount, amount FROM meter.credit_lot;
	INSERT INTO reference (customer_id, credit_type) SELECT 'c' || n, credit_type FROM generate_series(1, 40) AS n, unnest('{credit,voice}'::text[]) AS credit_type;
	FOR event IN
		SELECT *, CASE action WHEN 'talk' THEN 'voice' ELSE 'credit' END AS credit_type, CASE action WHEN 'talk' THEN 'call' WHEN 'chat' THEN NULL ELSE 'image' END AS pool,
			coalesce(usage -> 'actions', 0) * CASE action WHEN 'chat' THEN 3 WHEN 'draw' THEN 7.25 WHEN 'edit' THEN 1.000000000001 ELSE 2 END + CASE action WHEN 'chat' THEN coalesce(usage -> 'input_tokens', 0) * 0.001 ELSE 0 END AS credits,
			meter.customer_date(customer_id, occurred_at) AS today
		FROM meter.event_net
		WHERE action IS NOT NULL AND outcome IS NULL
		ORDER BY customer_id, occurred_at, random()
	LOOP
		CALL pg_temp.pass_dates(event.customer_id, event.credit_type, event.today);
		rest := event.credits;
		FOR lot IN
			SELECT * FROM reference AS held
			WHERE held.customer_id = event.customer_id AND held.credit_type = event.credit_type AND held.state IN ('active', 'rolled') AND (held.pool IS NULL OR held.pool = event.pool)
			ORDER BY (held.pool IS NULL), held.priority, CASE held.state WHEN 'rolled' THEN held.rollover_end_date ELSE held.end_date END NULLS LAST, held.created_at, held.lot_id COLLATE "C"
		LOOP
			taken := least(rest, lot.remaining);
			rest := rest - taken;
			UPDATE reference SET remaining = remaining - taken, spent = spent + taken WHERE customer_id = lot.customer_id AND credit_type = lot.credit_type AND lot_id = lot.lot_id;
		END LOOP;
		UPDATE reference SET overage = overage + rest WHERE customer_id = event.customer_id AND credit_type = event.credit_type AND lot_id IS NULL;
	END LOOP;
	FOR event IN SELECT DISTINCT customer_id, credit_type FROM reference LOOP
		CALL pg_temp.pass_dates(event.customer_id, event.credit_type, meter.customer_date(event.customer_id));
	END LOOP;
END
$$;
CALL pg_temp.walk();

-- Each lot, and each overage.
SELECT count(*) > 400 AS lots, count(*) FILTER (WHERE spent > 0) > 150 AS spent, count(*) FILTER (WHERE rolled_over > 0) > 20 AS rolled_over, count(*) FILTER (WHERE remaining > 0) > 3 AS left, sum(overage) > 1000 AS overage FROM reference;
SELECT lot_id, reference.customer_id, reference.spent, balance.spent, reference.expired, balance.expired, reference.rolled_over, balance.rolled_over, reference.remaining, balance.remaining
FROM (SELECT * FROM reference WHERE lot_id IS NOT NULL) AS reference
FULL JOIN meter.credit_lot_balance AS balance USING (customer_id, credit_type, lot_id)
WHERE (reference.amount, reference.spent, reference.expired, reference.rolled_over, reference.remaining) IS DISTINCT FROM (balance.granted, balance.spent, balance.expired, balance.rolled_over, balance.remaining);
SELECT reference.customer_id, reference.overage, balance.overage
FROM reference LEFT JOIN meter.credit_balance AS balance USING (customer_id, credit_type)
WHERE lot_id IS NULL AND reference.overage IS DISTINCT FROM coalesce(balance.overage, 0);

-- What always holds.
SELECT * FROM meter.credit_balance WHERE granted <> spent + expired + remaining OR paid <> recognised + deferred OR unapplied <> 0 OR unpriced_events <> 0;
SELECT * FROM meter.credit_lot_balance WHERE granted <> spent + expired + remaining OR paid <> recognised + deferred;
WITH taken AS (
	SELECT customer_id, coalesce(credit_type, 'credit') AS credit_type, sum(credits) AS credits
	FROM meter.usage_by_day LEFT JOIN meter.action USING (action)
	GROUP BY customer_id, coalesce(credit_type, 'credit')
)
SELECT * FROM meter.credit_balance JOIN taken USING (customer_id, credit_type) WHERE spent + overage - unapplied <> credits;
SELECT coalesce(sum(credits), 0) = (SELECT sum(spent + overage) FROM meter.credit_balance) AS all_of_it FROM meter.usage_by_day;

-- The statement adds up to the balance, and its running balance ends there and is never below zero.
WITH statement AS (
	SELECT customer_id, credit_type,
		sum(credits) FILTER (WHERE entry = 'grant') AS granted, sum(credits) FILTER (WHERE entry = 'burn') AS spent, sum(credits) FILTER (WHERE entry IN ('expiry', 'void')) AS expired, sum(credits) FILTER (WHERE entry = 'overage') AS overage,
		sum(change) AS remaining, (array_agg(balance ORDER BY entry_number DESC))[1] AS last_balance, min(balance) AS least, sum(paid) AS paid, sum(recognised) AS recognised
	FROM meter.credit_ledger
	GROUP BY customer_id, credit_type
)
SELECT *
FROM statement
FULL JOIN meter.credit_balance AS balance USING (customer_id, credit_type)
WHERE (coalesce(statement.granted, 0), coalesce(statement.spent, 0), coalesce(statement.expired, 0), coalesce(statement.overage, 0), coalesce(statement.remaining, 0), coalesce(last_balance, 0), coalesce(statement.paid, 0), coalesce(statement.recognised, 0))
	IS DISTINCT FROM (balance.granted, balance.spent, balance.expired, balance.overage, balance.remaining, balance.remaining, balance.paid, balance.recognised)
	OR least < 0;
-- And each lot's part of it to the lot.
WITH statement AS (
	SELECT customer_id, credit_type, lot_id,
		coalesce(sum(credits) FILTER (WHERE entry = 'burn'), 0) AS spent, coalesce(sum(credits) FILTER (WHERE entry IN ('expiry', 'void')), 0) AS expired, coalesce(sum(credits) FILTER (WHERE entry = 'rollover'), 0) AS rolled_over,
		(array_agg(lot_balance ORDER BY entry_number DESC))[1] AS remaining, sum(recognised) AS recognised, bool_or(entry = 'void') AS voided, min(lot_balance) AS least, min(credits) AS least_entry
	FROM meter.credit_ledger
	WHERE lot_id IS NOT NULL
	GROUP BY customer_id, credit_type, lot_id
)
SELECT *
FROM statement
FULL JOIN meter.credit_lot_balance AS balance USING (customer_id, credit_type, lot_id)
WHERE (statement.spent, statement.expired, statement.rolled_over, statement.remaining, statement.recognised) IS DISTINCT FROM (balance.spent, balance.expired, balance.rolled_over, balance.remaining, balance.recognised)
	OR least < 0 OR least_entry <= 0
	OR voided AND voided_on IS NULL;
-- A day's entries are that day's.
WITH day AS (
	SELECT customer_id, credit_type, entry_date AS usage_date, sum(credits) AS credits
	FROM meter.credit_ledger WHERE entry IN ('burn', 'overage') GROUP BY customer_id, credit_type, entry_date
), used AS (
	SELECT customer_id, coalesce(credit_type, 'credit') AS credit_type, usage_date, sum(credits) AS credits
	FROM meter.usage_by_day LEFT JOIN meter.action USING (action) GROUP BY customer_id, coalesce(credit_type, 'credit'), usage_date HAVING sum(credits) <> 0
)
SELECT * FROM day FULL JOIN used USING (customer_id, credit_type, usage_date) WHERE day.credits IS DISTINCT FROM used.credits;
-- Event by event it is the same.
WITH event AS (
	SELECT customer_id, credit_type, sum(covered) AS spent, sum(overage) AS overage, sum(credits) AS credits, count(*) FILTER (WHERE covered + overage <> credits) AS odd
	FROM meter.credit_ledger_event GROUP BY customer_id, credit_type
)
SELECT * FROM event FULL JOIN meter.credit_balance AS balance USING (customer_id, credit_type)
WHERE (coalesce(event.spent, 0), coalesce(event.overage, 0)) IS DISTINCT FROM (balance.spent, balance.overage) OR odd > 0;
-- Revenue telescopes: by month, what was paid is recognised or deferred, to the last digit.
SELECT count(*) FROM meter.credit_revenue WHERE recognised < 0 OR deferred < 0;
WITH months AS (
	SELECT customer_id, credit_type, sum(paid) AS paid, sum(recognised) AS recognised, (array_agg(deferred ORDER BY revenue_month DESC))[1] AS deferred
	FROM meter.credit_revenue GROUP BY customer_id, credit_type
)
SELECT * FROM months FULL JOIN meter.credit_balance AS balance USING (customer_id, credit_type)
WHERE (coalesce(months.paid, 0), coalesce(months.recognised, 0), coalesce(months.deferred, 0)) IS DISTINCT FROM (balance.paid, balance.recognised, balance.deferred);
-- With everything rolled up, and for one customer at a time: the same.
CREATE TEMP TABLE shown AS TABLE meter.credit_balance;
CREATE TEMP TABLE stated AS TABLE meter.credit_ledger;
CALL pg_temp.refresh_all();
(TABLE shown EXCEPT TABLE meter.credit_balance) UNION ALL (TABLE meter.credit_balance EXCEPT TABLE shown);
SELECT count(*) FROM ((TABLE stated EXCEPT TABLE meter.credit_ledger) UNION ALL (TABLE meter.credit_ledger EXCEPT TABLE stated)) AS differs;
DO $$
DECLARE
	customer text;
	wrong bigint;
BEGIN
	FOR customer IN SELECT 'c' || n FROM generate_series(1, 41) AS n LOOP
		SELECT count(*) INTO wrong FROM (
			(SELECT * FROM meter.credit_balance WHERE customer_id = customer EXCEPT SELECT * FROM shown WHERE customer_id = customer)
			UNION ALL (SELECT * FROM shown WHERE customer_id = customer EXCEPT SELECT * FROM meter.credit_balance WHERE customer_id = customer)) AS differs;
		IF wrong > 0 THEN
			RAISE NOTICE '%: % rows of its balance differ', customer, wrong;
		END IF;
		SELECT count(*) INTO wrong FROM (SELECT * FROM meter.credit_ledger WHERE customer_id = customer EXCEPT SELECT * FROM stated WHERE customer_id = customer) AS differs;
		IF wrong > 0 THEN
			RAISE NOTICE '%: % entries differ', customer, wrong;
		END IF;
	END LOOP;
END
$$;

-- One customer's credits are looked up, lots and zones more than once, and no others' are read.
INSERT INTO meter.top_up_rule (threshold, amount) VALUES (1, 1);
ANALYZE;
CREATE FUNCTION pg_temp.rows_read() RETURNS bigint
LANGUAGE sql AS $$
SELECT sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid))::bigint
FROM pg_class WHERE oid IN ('meter.usage_day'::regclass, 'meter.credit_grant'::regclass, 'meter.credit_allotment'::regclass)
$$;
CREATE FUNCTION pg_temp.reads_others(view text, customer text) RETURNS boolean
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
	read_before CONSTANT bigint := pg_temp.rows_read();
BEGIN
	EXECUTE format('SELECT count(*) FROM meter.%I WHERE customer_id = %L', view, customer);
	RETURN pg_temp.rows_read() - read_before > (
		SELECT count(*) * 2
		FROM (SELECT customer_id FROM meter.usage_day UNION ALL SELECT customer_id FROM meter.credit_grant UNION ALL SELECT customer_id FROM meter.credit_allotment) AS known
		WHERE customer_id = customer);
END
$$;
SELECT (SELECT count(*) FROM meter.usage_day) > 30 * (SELECT count(*) FROM meter.usage_day WHERE customer_id = 'c8') AS others;
SELECT view, pg_temp.reads_others(view, 'c8')
FROM unnest('{credit_lot,credit_account,credit_wallet,credit_balance,credit_lot_balance,credit_ledger,credit_ledger_event,credit_revenue,top_up_due}'::text[]) AS view;

-- A purge of events changes no balance, no statement, and nothing of the events that are left.
CREATE TEMP TABLE events_before AS SELECT * FROM meter.credit_ledger_event WHERE usage_date >= '2026-03-05';
CALL meter.purge_events('2026-03-05');
SELECT min(usage_date), count(*) < 4000 AS purged FROM meter.dated_event;
SELECT count(*) FROM ((TABLE events_before EXCEPT TABLE meter.credit_ledger_event) UNION ALL (TABLE meter.credit_ledger_event EXCEPT TABLE events_before)) AS differs;
(TABLE shown EXCEPT TABLE meter.credit_balance) UNION ALL (TABLE meter.credit_balance EXCEPT TABLE shown);
SELECT count(*) FROM ((TABLE stated EXCEPT TABLE meter.credit_ledger) UNION ALL (TABLE meter.credit_ledger EXCEPT TABLE stated)) AS differs;
