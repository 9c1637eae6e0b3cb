-- The roll-up: views are right at any moment, whatever was refreshed when, and what changed since.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- Any transaction of the server may hold the watermark back: refreshes until all is in.
CREATE PROCEDURE pg_temp.refresh_all(batch_events bigint DEFAULT 500000)
LANGUAGE plpgsql AS $$
BEGIN
	FOR attempt IN 1..600 LOOP
		CALL meter.refresh(batch_events);
		EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event);
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;
CREATE VIEW pg_temp.by_day AS
SELECT customer_id AS customer, usage_date, item, action, outcome, events, usage, cost, credits, unpriced_cost, unpriced_credits
FROM meter.usage_by_day;

INSERT INTO meter.rate (item, unit, price, per) VALUES ('gpt', 'input_tokens', 2.5, 1000000), ('gpt', 'output_tokens', 10, 1000000);
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 5);

-- By hand: an event each of what can become of one.
SELECT * FROM meter.usage_by_day;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class)
SELECT 'acme', 'e' || row_number() OVER (), '2026-11-01 23:30+00', item, usage::meter.usage, action, variant, outcome, 'c'
FROM (VALUES
	('gpt', '{"input_tokens": 1000, "actions": 1}', 'chat', 'standard', NULL),
	('gpt', '{"input_tokens": 2000, "output_tokens": 10, "actions": 1}', 'chat', 'standard', NULL),
	('gpt', '{"input_tokens": 1000, "actions": 1}', 'chat', 'standard', 'success'),
	('gpt', '{"input_tokens": 1000, "actions": 1}', 'chat', 'standard', 'failure'),
	('gpt', '{"input_tokens": 1000}', NULL, 'standard', NULL),
	('gpt', '{"input_tokens": 1000}', 'unrated action', 'standard', NULL),
	('unrated item', '{"input_tokens": 1000}', NULL, 'standard', NULL),
	('gpt', '{"input_tokens": 1000}', NULL, 'batch', NULL),
	('gpt', '{"input_tokens": 1000, "actions": 1}', 'chat', 'byok', NULL),
	(NULL, '{"actions": 1}', 'chat', 'standard', NULL),
	('gpt', '{}', NULL, 'standard', NULL)
) AS event (item, usage, action, variant, outcome);
SELECT * FROM meter.usage_by_day ORDER BY item, action, variant, outcome;
SELECT count(*) FROM meter.usage_daily;
CALL pg_temp.refresh_all();
SELECT * FROM meter.usage_daily ORDER BY item, action, variant, outcome;
TABLE meter.usage_by_day EXCEPT TABLE meter.usage_daily;
CREATE TEMP VIEW cost_daily AS SELECT customer_id, usage_date, cost, credits, events, unpriced_cost, unpriced_credits FROM meter.usage_day;
TABLE cost_daily;
TABLE meter.cost_by_day EXCEPT TABLE cost_daily;
CREATE TEMP VIEW cost_monthly AS SELECT customer_id, usage_month, cost, credits, events, unpriced_cost, unpriced_credits FROM meter.usage_month;
TABLE cost_monthly;
TABLE meter.cost_by_month EXCEPT TABLE cost_monthly;
SELECT usage_month, sum(events) AS events, sum(cost) AS cost FROM meter.usage_by_month GROUP BY usage_month;
SELECT * FROM meter.audit();
TABLE meter.unknown_name ORDER BY kind, name;
TABLE meter.unpriced_usage ORDER BY card, item, variant, unit;
SELECT job, state, done, total FROM meter.job_progress;

-- Adding to a row, and taking back from it.
SELECT meter.record('acme', 'more', '2026-11-01 00:00+00', 'gpt', '{"input_tokens": 7}', request_class => 'c');
SELECT meter.void_event('acme', 'e1', 'wrong');
SELECT usage_date, events, usage, cost, credits FROM pg_temp.by_day WHERE item = 'gpt' AND outcome IS NULL AND action IS DISTINCT FROM 'unrated action' ORDER BY 1, 2, 3;
CALL pg_temp.refresh_all();
SELECT events, usage, cost, credits FROM meter.usage_daily WHERE item = 'gpt' AND outcome IS NULL AND action IS DISTINCT FROM 'unrated action' ORDER BY 1, 2, 3;
SELECT * FROM meter.audit();

-- The audit sees what is wrong, and limits itself to what was asked for.
UPDATE meter.usage_day SET breakdown = (SELECT jsonb_agg(CASE entry ->> 'item' WHEN 'unrated item' THEN entry || '{"events": 2, "cost": 1}' ELSE entry END) FROM jsonb_array_elements(breakdown::jsonb) AS entry)::meter.breakdown;
SELECT usage_date, item, shown - '{usage,breakdown}'::text[] AS shown, rebuilt - '{usage,breakdown}'::text[] AS rebuilt FROM meter.audit();
SELECT count(*) FROM meter.audit('acme');
SELECT count(*) FROM meter.audit('bolt');
SELECT count(*) FROM meter.audit(dates => '[2026-11-01,2026-11-02)');
SELECT count(*) FROM meter.audit(dates => '[2026-11-02,)');
UPDATE meter.usage_day SET breakdown = (SELECT jsonb_agg(entry) FROM jsonb_array_elements(breakdown::jsonb) AS entry WHERE entry ->> 'item' <> 'unrated item' OR entry ->> 'item' IS NULL)::meter.breakdown;
SELECT item, shown - 'breakdown' AS shown, rebuilt - '{usage,breakdown}'::text[] AS rebuilt FROM meter.audit();
UPDATE meter.usage_day SET credits = credits + 1;
UPDATE meter.usage_month SET events = events + 1;
SELECT usage_date, item, variant, shown - 'breakdown' AS shown, rebuilt - 'breakdown' AS rebuilt FROM meter.audit() WHERE variant IS NULL ORDER BY shown ? 'usage_month', shown ? 'breakdown', usage_date;
SELECT count(*) FILTER (WHERE shown ? 'usage_month') AS months FROM meter.audit(dates => '[2026-11-15,2026-11-16)');
SELECT count(*) FILTER (WHERE shown ? 'usage_month') AS months FROM meter.audit(dates => '[2026-12-01,2026-12-02)');
-- What was put wrong by hand is mended by a mark.
SELECT meter.mark_usage('acme', NULL, NULL, '-infinity', 'infinity');
SELECT * FROM meter.audit();
CALL pg_temp.refresh_all();
SELECT * FROM meter.audit();
TABLE meter.usage_mark;

-- A rate that changes re-rates what it touches, at once.
CREATE VIEW pg_temp.mark AS
SELECT customer_id, item, action, since, until FROM meter.usage_mark;
INSERT INTO meter.rate (item, unit, price) VALUES ('unrated item', 'input_tokens', 0.5);
TABLE pg_temp.mark;
SELECT item, cost, unpriced_cost FROM pg_temp.by_day WHERE item = 'unrated item';
UPDATE meter.rate SET valid = '(,2026-11-10 00:00+00)' WHERE item = 'unrated item';
UPDATE meter.rate SET source = 'a note' WHERE item = 'unrated item';
UPDATE meter.rate SET price = 7 WHERE card = 'credit';
INSERT INTO meter.card (card, currency) VALUES ('other', 'USD');
INSERT INTO meter.rate (card, item, unit, price) VALUES ('other', 'gpt', 'input_tokens', 1);
TABLE pg_temp.mark ORDER BY item, action, since;
SELECT action, outcome, sum(credits) AS credits FROM pg_temp.by_day WHERE action = 'chat' GROUP BY action, outcome ORDER BY outcome;
SELECT * FROM meter.audit();
SELECT item, sum(cost) AS stale FROM meter.usage_daily WHERE item = 'unrated item' GROUP BY item;
CALL pg_temp.refresh_all(1);
SELECT item, sum(cost) AS rebuilt FROM meter.usage_daily WHERE item = 'unrated item' GROUP BY item;
TABLE pg_temp.mark;
SELECT * FROM meter.audit();
-- A rate that ends later, or before: only the time between is touched.
UPDATE meter.rate SET valid = '(,2026-11-05 00:00+00)' WHERE item = 'unrated item';
UPDATE meter.rate SET valid = '[2026-10-01 00:00+00,2026-11-05 00:00+00)' WHERE item = 'unrated item';
TABLE pg_temp.mark ORDER BY since;
DELETE FROM meter.rate WHERE item = 'unrated item';
SELECT item, cost, unpriced_cost FROM pg_temp.by_day WHERE item = 'unrated item';
UPDATE meter.card SET unrated = 'unpriced' WHERE card = 'credit';
TABLE pg_temp.mark ORDER BY item, since;
SELECT * FROM meter.audit();
CALL pg_temp.refresh_all();
TABLE pg_temp.mark;
SELECT * FROM meter.audit();
UPDATE meter.card SET unrated = 'free' WHERE card = 'credit';
CALL pg_temp.refresh_all();
-- A card that goes, or is called otherwise, and one that comes.
CREATE TEMP VIEW of_card AS
SELECT sum(unpriced_credits) AS unpriced_credits, (SELECT count(*) FROM meter.audit()) AS differences FROM meter.usage_by_day;
TABLE of_card;
BEGIN;
DELETE FROM meter.card WHERE card = 'credit';
TABLE of_card;
ROLLBACK;
BEGIN;
TRUNCATE meter.card;
TABLE of_card;
ROLLBACK;
UPDATE meter.card SET card = 'credits' WHERE card = 'credit';
TABLE of_card;
CALL pg_temp.refresh_all();
INSERT INTO meter.card (card, currency, unrated) VALUES ('credit', 'USD', 'free');
TABLE of_card;
DELETE FROM meter.card WHERE card = 'credits';
TRUNCATE meter.rate;
SELECT sum(cost) AS cost, sum(credits) AS credits, sum(unpriced_cost) AS unpriced_cost, sum(unpriced_credits) AS unpriced_credits FROM pg_temp.by_day;
SELECT * FROM meter.audit();
CALL pg_temp.refresh_all();
SELECT * FROM meter.audit();

-- A customer that moves, and a setting that does.
INSERT INTO meter.customer (customer_id) VALUES ('acme');
INSERT INTO meter.customer_zone VALUES ('acme', '2026-11-01', 'Asia/Tokyo');
TABLE pg_temp.mark;
SELECT usage_date, sum(events) AS events FROM pg_temp.by_day GROUP BY usage_date ORDER BY usage_date;
CALL pg_temp.refresh_all();
SELECT usage_date, sum(events) AS events FROM meter.usage_daily GROUP BY usage_date ORDER BY usage_date;
UPDATE meter.customer_zone SET since = '2026-12-01';
SELECT usage_date, sum(events) AS events FROM pg_temp.by_day GROUP BY usage_date ORDER BY usage_date;
UPDATE meter.setting SET timezone = 'Asia/Kathmandu';
UPDATE meter.setting SET grace = '2 days';
TABLE pg_temp.mark;
SELECT usage_date, sum(events) AS events FROM pg_temp.by_day GROUP BY usage_date ORDER BY usage_date;
SELECT * FROM meter.audit();
CALL pg_temp.refresh_all(2);
SELECT usage_date, sum(events) AS events FROM meter.usage_daily GROUP BY usage_date ORDER BY usage_date;
SELECT * FROM meter.audit();
DELETE FROM meter.customer_zone;
TABLE pg_temp.mark;

-- Events of other epochs: restored or upgraded from another cluster.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, txid)
SELECT 'restored', 'e' || epoch || '-' || number, '2026-11-05 12:00+00', 'gpt', '{"requests": 1}', (epoch::bigint << 48) + number
FROM unnest(ARRAY[0, (meter.txid_epoch() + 1) % 32768, (meter.txid_epoch() + 32767) % 32768, 32767]) AS epoch, generate_series(0, 99) AS number;
-- One of them had been rolled up half, where it came from.
INSERT INTO meter.usage_day VALUES ('restored', '2026-11-05', 0, 0, 50, 50, 0, '[{"item": "gpt", "variant": "standard", "events": 50, "usage": {"requests": 50}, "unpriced_cost": 50}]');
INSERT INTO meter.usage_month VALUES ('restored', '2026-11-01', 0, 0, 50, 50, 0, '[{"item": "gpt", "variant": "standard", "events": 50, "usage": {"requests": 50}, "unpriced_cost": 50}]');
INSERT INTO meter.usage_watermark (epoch, consumed) VALUES (0, 50);
SELECT events, usage, unpriced_cost FROM pg_temp.by_day WHERE customer = 'restored';
SELECT * FROM meter.audit();
CALL pg_temp.refresh_all(30);
SELECT events, usage, unpriced_cost FROM meter.usage_daily WHERE customer_id = 'restored';
SELECT count(*), count(*) FILTER (WHERE consumed & 281474976710655 = 281474976710655) AS at_their_end FROM meter.usage_watermark;
SELECT * FROM meter.audit();
-- What is unconsumed is a number of ranges, of which one is where new events come.
SELECT bool_and(first_txid <= end_txid) AS in_order, count(*) FILTER (WHERE present) AS present FROM meter.unconsumed_range;

-- Events stay as they are, but for what is of a person.
UPDATE meter.usage_event SET usage = '{}' WHERE event_id = 'e1';
UPDATE meter.usage_event SET occurred_at = now() WHERE event_id = 'e1';
DELETE FROM meter.usage_event WHERE event_id = 'e1';
UPDATE meter.usage_event SET user_id = NULL, workflow_id = NULL, tags = NULL WHERE event_id = 'e1';
SELECT * FROM meter.audit();

-- What refresh refuses.
CALL meter.refresh(0);
CALL meter.refresh(NULL);
BEGIN;
CALL meter.refresh();
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT meter.refresh_now();
ROLLBACK;
SET default_transaction_isolation = 'repeatable read';
CALL meter.refresh();
RESET default_transaction_isolation;

-- Who changes prices needs no right to the roll-up, and who reads the views none to prices.
CREATE ROLE meter_regress_keeper;
GRANT SELECT, INSERT, UPDATE, DELETE ON meter.rate TO meter_regress_keeper;
CREATE ROLE meter_regress_reader;
GRANT SELECT ON meter.usage_by_day, meter.usage_by_month, meter.cost_by_day TO meter_regress_reader;
SET ROLE meter_regress_keeper;
INSERT INTO meter.rate (item, unit, price) VALUES ('gpt', '*', 1);
RESET ROLE;
SET ROLE meter_regress_reader;
SELECT sum(cost) AS cost FROM meter.usage_by_month;
SELECT sum(cost) AS cost FROM meter.cost_by_day;
SELECT * FROM meter.rate;
RESET ROLE;
DROP OWNED BY meter_regress_keeper, meter_regress_reader;
DROP ROLE meter_regress_keeper, meter_regress_reader;

-- At random: events, corrections, changes and refreshes in any order, the roll-up against plain SQL.
TRUNCATE meter.usage_event, meter.correction, meter.rate;
CALL pg_temp.refresh_all();
SELECT count(*) FROM meter.usage_daily;
CREATE PROCEDURE pg_temp.wander(rounds integer)
LANGUAGE plpgsql AS $$
DECLARE
	victim record;
	found_wrong bigint;
BEGIN
	FOR round IN 1..rounds LOOP
		INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, outcome)
		SELECT
			'c' || (random() * 5)::integer, round || '-' || number, timestamptz '2026-03-20 00:00+00' + random() * interval '20 days',
			'i' || (random() * 4)::integer, meter.usage('input_tokens', (random() * 1000)::integer, 'gold', (random() * 100)::numeric(8, 4), 'actions', (random() * 2)::integer),
			(ARRAY['chat', 'draw', NULL])[1 + (random() * 2)::integer], (ARRAY['success', 'failure', 'pending', NULL])[1 + (random() * 3)::integer]
		FROM generate_series(1, 200) AS number;
		COMMIT;
		FOR victim IN SELECT customer_id, event_id FROM meter.event_net ORDER BY random() LIMIT 10 LOOP
			CASE (random() * 2)::integer
			WHEN 0 THEN PERFORM meter.void_event(victim.customer_id, victim.event_id, 'random');
			WHEN 1 THEN PERFORM meter.amend_event(victim.customer_id, victim.event_id, jsonb_build_object('usage', jsonb_build_object('input_tokens', round), 'occurred_at', '2026-03-25T12:00:00Z'), 'random');
			ELSE PERFORM meter.resolve_event(victim.customer_id, victim.event_id, (ARRAY['success', 'failure', 'disputed'])[1 + (random() * 2)::integer]);
			END CASE;
		END LOOP;
		CASE (random() * 7)::integer
		WHEN 0 THEN
			DELETE FROM meter.rate WHERE rate_id IN (SELECT rate_id FROM meter.rate ORDER BY random() LIMIT 1);
		WHEN 1 THEN
			UPDATE meter.rate SET price = round WHERE rate_id IN (SELECT rate_id FROM meter.rate ORDER BY random() LIMIT 2);
		WHEN 2 THEN
			INSERT INTO meter.customer (customer_id) SELECT 'c' || round % 6 ON CONFLICT DO NOTHING;
			INSERT INTO meter.customer_zone VALUES ('c' || round % 6, date '2026-03-18' + (random() * 20)::integer, (ARRAY['Asia/Tokyo', 'America/New_York', 'Europe/Berlin', 'Pacific/Apia'])[1 + (random() * 3)::integer]) ON CONFLICT DO NOTHING;
		WHEN 3 THEN
			DELETE FROM meter.customer_zone WHERE customer_id = 'c' || round % 6;
		WHEN 4 THEN
			UPDATE meter.rate SET valid = tstzrange(lower(valid), timestamptz '2026-03-20 00:00+00' + random() * interval '20 days') WHERE lower(valid) IS NULL AND rate_id IN (SELECT rate_id FROM meter.rate ORDER BY random() LIMIT 1);
		ELSE
			INSERT INTO meter.rate (card, item, unit, price, per, precedence)
			SELECT card, CASE card WHEN 'cost' THEN 'i' || (random() * 4)::integer ELSE 'chat' END, (ARRAY['input_tokens', 'gold', 'actions', '*'])[1 + (random() * 3)::integer], round, 1000, round
			FROM unnest('{cost,credit}'::text[]) AS card;
		END CASE;
		COMMIT;
		SELECT count(*) INTO found_wrong FROM meter.audit();
		IF found_wrong > 0 THEN
			RAISE NOTICE 'round %: % rows are wrong before the refresh', round, found_wrong;
		END IF;
		IF random() < 0.6 THEN
			CALL meter.refresh((1 + random() * 300)::bigint);
		END IF;
		COMMIT;
		SELECT count(*) INTO found_wrong FROM meter.audit();
		IF found_wrong > 0 THEN
			RAISE NOTICE 'round %: % rows are wrong after the refresh', round, found_wrong;
		END IF;
	END LOOP;
END
$$;
SELECT setseed(0.3);
CALL pg_temp.wander(20);
-- A part of each day rolled up, and a part not: a row a key, and all reports add up to the same.
CALL pg_temp.refresh_all();
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, outcome)
SELECT customer_id, 'tail ' || event_id, occurred_at, item, usage, action, outcome
FROM meter.usage_event
WHERE event_id LIKE '3%' AND sign = 1;
SELECT meter.mark_usage('c1', NULL, NULL, '2026-03-25', '2026-04-02');
SELECT
	(SELECT count(*) FROM meter.usage_by_day) = (SELECT count(DISTINCT (customer_id, usage_date, item, action, variant, outcome, request_class)) FROM meter.usage_part) AS one_a_key,
	(SELECT count(*) FROM meter.usage_by_day) < (SELECT count(*) FROM meter.usage_part) AS merged;
SELECT
	(SELECT count(*) FROM meter.cost_by_day) = (SELECT count(DISTINCT (customer_id, usage_date)) FROM meter.usage_part) AS one_a_day,
	(SELECT count(*) FROM meter.cost_by_day) < (SELECT count(*) FROM meter.cost_part) AS merged_day;
WITH summed AS (
	SELECT 'usage_by_day' AS report, customer_id, usage_date, sum(events) AS events, sum(cost) AS cost, sum(credits) AS credits, sum(unpriced_cost) AS unpriced_cost, sum(unpriced_credits) AS unpriced_credits
	FROM meter.usage_by_day GROUP BY customer_id, usage_date
	UNION ALL
	SELECT 'usage_part', customer_id, usage_date, sum(events), sum(cost), sum(credits), sum(unpriced_cost), sum(unpriced_credits)
	FROM meter.usage_part GROUP BY customer_id, usage_date
	UNION ALL
	SELECT 'cost_part', customer_id, usage_date, sum(events), sum(cost), sum(credits), sum(unpriced_cost), sum(unpriced_credits)
	FROM meter.cost_part GROUP BY customer_id, usage_date
	UNION ALL
	SELECT 'cost_by_day', customer_id, usage_date, events, cost, credits, unpriced_cost, unpriced_credits
	FROM meter.cost_by_day
)
SELECT customer_id, usage_date, count(DISTINCT report) AS reports
FROM summed
GROUP BY customer_id, usage_date
HAVING count(*) <> 4
	OR count(DISTINCT (events, cost, credits, unpriced_cost, unpriced_credits)) <> 1;
SELECT * FROM meter.audit();
CALL pg_temp.refresh_all();
SELECT * FROM meter.audit();
-- Sums by event, in plain SQL with no view of the extension.
WITH zone AS (
	SELECT event.*, coalesce((
		SELECT timezone FROM meter.customer_zone
		WHERE customer_zone.customer_id = event.customer_id AND timezone(timezone, since::timestamp) <= occurred_at
		ORDER BY since DESC LIMIT 1), (SELECT timezone FROM meter.setting)) AS zone
	FROM meter.usage_event AS event
), plain AS (
	SELECT customer_id, date_trunc('month', timezone(zone, occurred_at)) AS month, sum(sign) AS events, sum(sign * abs(usage -> 'input_tokens')) AS tokens
	FROM zone GROUP BY customer_id, month
), kept AS (
	SELECT customer_id, date_trunc('month', usage_date::timestamp) AS month, sum(events) AS events, sum(usage -> 'input_tokens') AS tokens
	FROM meter.usage_daily GROUP BY customer_id, month
)
SELECT (SELECT sum(events) FROM kept) = (SELECT sum(sign) FROM meter.usage_event) AS all_counted, (SELECT sum(tokens) FROM kept) = (SELECT sum(tokens) FROM plain) AS all_summed,
	(SELECT count(*) FROM meter.usage_event) > 4000 AS many;
-- batches end between transactions, near their size; days that are new, and days that are there, in one of them
SELECT format($$INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) SELECT 'batches ' || i, 'batch %s ' || i, '2030-01-%s 12:00', 'batch', '{"input_tokens": 1}' FROM generate_series(1, %s) i$$, n, n / 4 + 1, n % 7 + 1) FROM generate_series(1, 40) n
\gexec
SELECT max(events) <= 56 AS near FROM meter.refresh_steps(50);
SELECT max(events) <= 7 AS each_its_own FROM meter.refresh_steps(1);
CALL meter.refresh(50);
SELECT format($$INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) SELECT 'batches ' || i, 'again %s ' || i, '2030-01-%s 12:00', (ARRAY['batch', NULL, 'batch 2'])[i %% 3 + 1], '{"input_tokens": 1}' FROM generate_series(1, 9) i$$, n, n) FROM generate_series(6, 14) n
\gexec
CALL meter.refresh(20);
CALL pg_temp.refresh_all();
SELECT count(*) AS keys, count(DISTINCT (customer_id, usage_date)) AS days, sum(events) AS events FROM meter.usage_daily WHERE customer_id LIKE 'batches %';
SELECT count(*) AS days, sum(events) AS events FROM cost_daily WHERE customer_id LIKE 'batches %';
SELECT count(*) AS months, sum(events) AS events FROM meter.usage_month WHERE customer_id LIKE 'batches %';
SELECT * FROM meter.audit();

-- large batches are cut where a sample of the events says: about in the right place, and each event is in one
DO $$
BEGIN
	FOR n IN 1 .. 60 LOOP
		INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) SELECT 'sampled', n || '-' || i, '2030-01-01 12:00', 'batch', '{"input_tokens": 1}' FROM generate_series(1, 1000) AS i;
		COMMIT;
	END LOOP;
END
$$;
SELECT count(*) BETWEEN 2 AND 6 AS few, sum(events) BETWEEN 30000 AND 90000 AS nearly_all, max(events) BETWEEN 10000 AND 30000 AS near FROM meter.refresh_steps(20000) WHERE epoch = meter.txid_epoch();
SELECT count(*) AS steps, sum(events) AS events FROM meter.refresh_steps(60001) WHERE epoch = meter.txid_epoch();
CALL meter.refresh(20000);
SELECT state, done FROM meter.job_progress WHERE job = 'refresh';
SELECT sum(events) AS events FROM meter.usage_day WHERE customer_id = 'sampled';

-- A restore may set the sequence of marks back behind those that it has made itself: numbers come twice then.
TRUNCATE meter.usage_event, meter.rate;
INSERT INTO meter.rate (item, unit, price) VALUES ('gpt', 'requests', 2);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
SELECT 'c' || n, 'e', '2026-11-01 12:00+00', 'gpt', '{"requests": 1}' FROM generate_series(1, 5) AS n;
CALL pg_temp.refresh_all();
UPDATE meter.rate SET price = 3;
SELECT setval(pg_get_serial_sequence('meter.usage_mark', 'mark_id'), (SELECT max(mark_id) FROM meter.usage_mark), false) > 0 AS set_back;
CALL meter.refresh();
SELECT sum(cost) AS cost, (SELECT count(*) FROM meter.usage_mark) AS marks, (SELECT count(*) FROM meter.audit()) AS differences FROM meter.usage_by_day;

-- Many rates that change at once mark the same days as each by itself.
INSERT INTO meter.rate (item, unit, price) SELECT 'changed ' || i, '*', 1 FROM generate_series(1, 30) AS i;
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'changed action', 'actions', 7);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action)
SELECT 'changed', 'c' || i, '2029-01-01 12:00+00'::timestamptz + i * interval '1 day', CASE WHEN i < 35 THEN 'changed ' || i END, '{"input_tokens": 10, "actions": 1}', CASE WHEN i > 20 THEN 'changed action' END FROM generate_series(1, 40) AS i;
CALL pg_temp.refresh_all();
UPDATE meter.rate SET price = 2 WHERE item = 'changed 3';
SELECT count(DISTINCT usage_date) AS touched, (SELECT sum(cost) FROM meter.usage_by_day WHERE customer_id = 'changed') AS cost FROM meter.touched_day;
UPDATE meter.rate SET price = 3 WHERE item LIKE 'changed%';
SELECT count(DISTINCT usage_date) AS touched, (SELECT sum(cost) FROM meter.usage_by_day WHERE customer_id = 'changed') AS cost, (SELECT sum(credits) FROM meter.usage_by_day WHERE customer_id = 'changed') AS credits FROM meter.touched_day;
SELECT count(*) FROM meter.audit('changed');
CALL pg_temp.refresh_all();
SELECT sum(cost) AS cost, sum(credits) AS credits FROM meter.usage_daily WHERE customer_id = 'changed';
SELECT count(*) FROM meter.audit('changed');

-- The first rate of an item in a variant, and the last one, say what it is at any time, whenever they are valid: free, or unpriced.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant)
SELECT 'early', variant || month, '2030-01-10 12:00+00'::timestamptz + month * interval '1 month', 'known later', '{"requests": 1}', 'done later', variant
FROM unnest('{standard,batch}'::text[]) AS variant, generate_series(0, 3) AS month;
CALL pg_temp.refresh_all();
CREATE TEMP VIEW early AS
SELECT usage_date, sum(unpriced_cost) AS unpriced_cost, sum(unpriced_credits) AS unpriced_credits, (SELECT count(*) FROM meter.audit('early')) AS differences
FROM meter.usage_by_day WHERE customer_id = 'early' GROUP BY usage_date ORDER BY usage_date;
TABLE early;
INSERT INTO meter.rate (item, unit, price, valid) VALUES ('known later', 'input_tokens', 1, '[2030-04-01 00:00+00,)');
INSERT INTO meter.rate (card, item, unit, price, valid) VALUES ('credit', 'done later', 'actions', 1, '[2030-04-01 00:00+00,)');
TABLE early;
CALL pg_temp.refresh_all();
TABLE early;
UPDATE meter.rate SET variant = 'batch' WHERE item = 'known later';
UPDATE meter.rate SET item = 'done never' WHERE item = 'done later';
TABLE early;
CALL pg_temp.refresh_all();
UPDATE meter.rate SET price = 2 WHERE item = 'known later';
SELECT count(*) AS touched FROM meter.touched_day;
INSERT INTO meter.rate (item, unit, price, valid) VALUES ('known later', 'output_tokens', 1, '[2030-04-20 00:00+00,)');
SELECT DISTINCT usage_date AS touched FROM meter.touched_day ORDER BY usage_date;
DELETE FROM meter.rate WHERE item = 'known later';
TABLE early;
CALL pg_temp.refresh_all();
TABLE early;

-- A customer whose usage is of very many things: its months are added up from the days, and right.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
SELECT 'many', 'm' || i, '2031-01-01 12:00+00'::timestamptz + i % 3 * interval '1 day', 'item ' || md5(i::text), '{"input_tokens": 1}' FROM generate_series(1, 30000) AS i;
CALL pg_temp.refresh_all();
SELECT usage_month, events, breakdown IS NULL AS without_breakdown FROM meter.usage_month WHERE customer_id = 'many';
SELECT usage_month, count(*) AS items, sum(events) AS events, sum(usage) AS usage FROM meter.usage_by_month WHERE customer_id = 'many' GROUP BY usage_month;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('many', 'one more', '2031-01-02 12:00+00', 'item', '{"input_tokens": 1}');
CALL pg_temp.refresh_all();
SELECT usage_month, events, breakdown IS NULL AS without_breakdown FROM meter.usage_month WHERE customer_id = 'many';
SELECT usage_month, count(*) AS items, sum(events) AS events FROM meter.usage_by_month WHERE customer_id = 'many' GROUP BY usage_month;
SELECT count(*) FROM meter.audit('many');

-- A refresh writes months anew on the pages where they are, and no index gets an entry for it.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) SELECT 'again ' || i, 'first', '2031-01-01 12:00+00', 'gpt', '{"input_tokens": 1}' FROM generate_series(1, 5) AS i;
CALL pg_temp.refresh_all();
SELECT pg_stat_force_next_flush();
CREATE TEMP TABLE before AS SELECT pg_stat_get_tuples_updated(oid) AS updated, pg_stat_get_tuples_hot_updated(oid) AS in_place FROM pg_class WHERE oid = 'meter.usage_month'::regclass;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) SELECT 'again ' || i, 'second', '2031-01-02 12:00+00', 'gpt', '{"input_tokens": 1}' FROM generate_series(1, 5) AS i;
CALL pg_temp.refresh_all();
SELECT pg_stat_force_next_flush();
SELECT pg_stat_get_tuples_updated(oid) - updated AS updated, pg_stat_get_tuples_hot_updated(oid) - in_place AS in_place FROM before, pg_class WHERE oid = 'meter.usage_month'::regclass;

-- A customer that writes an id where a unit's name belongs stops nobody, and costs what its events cost.
INSERT INTO meter.rate (item, unit, price) VALUES ('any', '*', 2);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
SELECT 'ids', 'i' || i, '2031-02-01 12:00+00', 'any', meter.usage('request_' || i, 1) FROM generate_series(1, 1200) AS i;
SELECT cost, usage -> 'further_units' AS further FROM meter.usage_by_month WHERE customer_id = 'ids';
CALL pg_temp.refresh_all();
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
SELECT 'ids', 'j' || i, '2031-02-01 12:00+00', 'any', meter.usage('id_' || i, 1) FROM generate_series(1, 1200) AS i;
SELECT cost, usage -> 'further_units' AS further FROM meter.usage_by_month WHERE customer_id = 'ids';
CALL pg_temp.refresh_all();
SELECT cost, usage -> 'further_units' AS further FROM meter.usage_by_month WHERE customer_id = 'ids';
SELECT count(*) FROM meter.audit('ids');
