-- Purged days: their sums stay, nothing touches them any more, and what comes later is too late.
\set VERBOSITY default
\set SHOW_CONTEXT never
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
-- A horizon moves only over what is rolled up, so this waits for that.
CREATE PROCEDURE pg_temp.purge(before date, batch_events bigint DEFAULT 100000)
LANGUAGE plpgsql AS $$
BEGIN
	CALL pg_temp.refresh_all();
	CALL meter.purge_events(before, batch_events);
END
$$;
CREATE VIEW pg_temp.by_day AS
SELECT customer_id AS customer, usage_date, item, action, events, usage, cost, credits, unpriced_cost AS unpriced
FROM meter.usage_by_day;
CREATE VIEW pg_temp.stored AS
SELECT customer_id AS customer, event_id, occurred_at, usage FROM meter.usage_event;

INSERT INTO meter.customer (customer_id) VALUES ('tokyo'), ('berlin');
INSERT INTO meter.customer_zone (customer_id, timezone) VALUES ('tokyo', 'Asia/Tokyo'), ('berlin', 'Europe/Berlin');
INSERT INTO meter.rate (item, unit, price) VALUES ('i', '*', 2), ('j', 'input_tokens', 0.5);
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 3);

-- The horizon is a date of each customer: 3 March begins at three instants here.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action)
SELECT customer, 'e' || hour, timestamptz '2020-03-02 00:00+00' + hour * interval '1 hour', 'i', '{"requests": 1, "actions": 1}', 'chat'
FROM unnest('{tokyo,berlin,utc}'::text[]) AS customer, generate_series(0, 47) AS hour;
SELECT customer, usage_date, events, cost, credits FROM pg_temp.by_day ORDER BY 1, 2;

-- What is refused, before anything is deleted.
CALL meter.purge_events('2020-03-03');
CALL pg_temp.refresh_all();
UPDATE meter.rate SET price = 1 WHERE item = 'i';
CALL meter.purge_events('2020-03-03');
CALL pg_temp.refresh_all();
CALL meter.purge_events('9999-01-01');
CALL meter.purge_events(NULL);
CALL meter.purge_events('infinity');
CALL meter.purge_events('2020-03-03', 0);
BEGIN;
CALL meter.purge_events('2020-03-03');
ROLLBACK;
SELECT count(*) FROM meter.usage_event;
TABLE meter.horizon;
-- A customer with an open period.
BEGIN;
ALTER EXTENSION meter DROP FUNCTION meter.purgeable_until(text);
CREATE OR REPLACE FUNCTION meter.purgeable_until(customer_id text) RETURNS date
LANGUAGE sql STABLE
RETURN CASE WHEN customer_id = 'utc' THEN '2020-03-02'::date ELSE 'infinity' END;
SELECT meter.move_horizon('2020-03-03');
ROLLBACK;
-- Only facts let an event be deleted.
DELETE FROM meter.usage_event WHERE customer_id = 'utc' AND event_id = 'e1';
DELETE FROM meter.usage_event WHERE event_id = 'none';

-- The purge: each customer's days before the third.
SET default_transaction_isolation = 'repeatable read';
SELECT meter.grant_credits('utc', 'refunded before', 'refund', 1, event_id => 'e6');
CALL pg_temp.purge('2020-03-03', 20);
SELECT meter.grant_credits('utc', 'refunded after', 'refund', 1, event_id => 'e7');
SELECT problem, name FROM meter.credit_problem;
RESET default_transaction_isolation;
SELECT customer, count(*), min(occurred_at) FROM pg_temp.stored GROUP BY customer ORDER BY customer;
SELECT customer, usage_date, events, cost, credits FROM pg_temp.by_day ORDER BY 1, 2;
SELECT job, state, done, total FROM meter.job_progress WHERE job = 'purge_events';
SELECT operation, detail FROM meter.audit_log;
SELECT horizon, starts, clear_from FROM meter.horizon;
SELECT * FROM meter.audit();
SELECT * FROM meter.purgeable_event;
CALL pg_temp.purge('2020-03-03');
CALL pg_temp.purge('2020-03-01');
SELECT horizon FROM meter.horizon;

-- Too late: what is dated before the horizon, whatever became of its first copy.
SELECT meter.record('utc', 'e5', '2020-03-02 05:00+00', 'i', '{"requests": 1, "actions": 1}', 'chat');
SELECT meter.record('utc', 'new', '2020-03-02 23:59:59.999999+00', 'i', '{"requests": 1}');
SELECT meter.record('utc', 'new', '2020-03-03 00:00+00', 'i', '{"requests": 1}');
SELECT meter.record('utc', 'e30', '2020-03-03 06:00+00', 'i', '{"requests": 1, "actions": 1}', 'chat');
SELECT meter.record('tokyo', 'new', '2020-03-02 15:00+00', 'i', '{"requests": 1}');
SELECT meter.record('tokyo', 'new2', '2020-03-02 14:59:59+00', 'i', '{"requests": 1}');
SELECT meter.record('stranger', 'new', '1970-01-01 00:00+00', 'i', '{"requests": 1}');
SELECT place, event_id, outcome, reason FROM meter.record_batch('[
	{"customer_id": "utc", "event_id": "b1", "occurred_at": "2020-03-02T20:00:00Z", "usage": {}},
	{"customer_id": "utc", "event_id": "b2", "occurred_at": "2020-03-03T20:00:00Z", "usage": {}},
	{"customer_id": "utc", "event_id": "e30", "occurred_at": "2020-03-02T20:00:00Z", "usage": {}},
	{"customer_id": "berlin", "event_id": "b3", "occurred_at": "2020-03-02T23:30:00Z", "usage": {}}]') ORDER BY place;
SELECT place, event_id, outcome, reason FROM meter.record_batch('[
	{"customer_id": "utc", "event_id": "b1", "occurred_at": "2020-03-02T20:00:00Z", "usage": {}},
	{"customer_id": "utc", "event_id": "b4", "occurred_at": "2020-03-03T20:00:00Z", "usage": {"requests": -1}},
	{"customer_id": "utc", "event_id": "b5", "occurred_at": "2020-03-03T20:00:00Z", "usage": {}}]') ORDER BY place;
TABLE meter.event_conflict;
-- By INSERT or COPY they come in, and count nowhere.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
VALUES ('utc', 'e5', '2020-03-02 05:00+00', 'i', '{"requests": 1}'), ('tokyo', 'late', '2020-03-02 14:00+00', 'i', '{"requests": 100}'), ('berlin', 'late', '2020-03-02 14:00+00', 'k', '{"requests": 100}');
SELECT customer_id, event_id, usage_date FROM meter.late_event ORDER BY 1, 2;
SELECT customer, usage_date, sum(events) AS events, sum(cost) AS cost FROM pg_temp.by_day GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) FROM meter.event_net WHERE occurred_at < '2020-03-02 22:00+00' AND customer_id <> 'tokyo';
CREATE ROLE meter_regress_reader;
GRANT SELECT ON meter.usage_by_day, meter.event_net TO meter_regress_reader;
SET ROLE meter_regress_reader;
SELECT sum(events) FROM meter.usage_by_day;
SELECT count(*) FROM meter.event_net;
RESET ROLE;
DROP OWNED BY meter_regress_reader;
DROP ROLE meter_regress_reader;
CALL pg_temp.refresh_all();
SELECT customer_id, event_id, usage_date FROM meter.late_event ORDER BY 1, 2;
SELECT customer, usage_date, sum(events) AS events, sum(cost) AS cost FROM pg_temp.by_day GROUP BY 1, 2 ORDER BY 1, 2;
SELECT name FROM meter.unknown_name WHERE kind = 'item' ORDER BY name;
SELECT * FROM meter.audit();
DELETE FROM meter.usage_event WHERE customer_id = 'berlin' AND event_id = 'late';

-- A role that may only record.
CREATE ROLE meter_regress_sender;
SELECT meter.allow_recording('meter_regress_sender');
SET ROLE meter_regress_sender;
SELECT meter.record('tokyo', 'sender', '2020-03-02 14:59:59+00', 'i', '{"requests": 1}');
SELECT meter.record('utc', 'sender', '2020-03-04 14:59:59+00', 'i', '{"requests": 1}');
RESET ROLE;
DROP OWNED BY meter_regress_sender;
DROP ROLE meter_regress_sender;

-- Corrections: of purged and of late events none, of others as ever.
SELECT meter.void_event('utc', 'e6', 'purged');
SELECT meter.void_event('utc', 'e5', 'late');
SELECT meter.amend_event('utc', 'e30', '{"occurred_at": "2020-03-02T23:00:00Z"}', 'to a purged day');
SELECT meter.amend_event('utc', 'e30', '{"occurred_at": "2020-03-04T23:00:00Z"}', 'to a later day') LIKE 'e30~%' AS amended;
SELECT meter.void_events('all', 'utc');
SELECT meter.void_events('all', 'utc', '[2020-03-02 12:00+00,)');
SELECT events FROM meter.void_events('all', 'utc', '[2020-03-03 00:00+00,2020-03-04 00:00+00)');
SELECT * FROM meter.audit();

-- A change of rates that touches a purged day is refused, with the instant to let it begin at.
UPDATE meter.rate SET price = 7 WHERE item = 'i';
INSERT INTO meter.rate (item, unit, price, valid, precedence) VALUES ('i', '*', 9, '[2020-03-02 23:59+00,)', 200);
DELETE FROM meter.rate WHERE item = 'i';
UPDATE meter.rate SET price = 7 WHERE card = 'credit';
TRUNCATE meter.rate;
UPDATE meter.card SET unrated = 'unpriced' WHERE card = 'credit';
-- One that does not is not: later, or of what was not used on a purged day.
INSERT INTO meter.rate (item, unit, price, valid, precedence) VALUES ('i', '*', 9, '[2020-03-03 00:00+00,)', 200);
UPDATE meter.rate SET price = 8 WHERE item = 'j';
INSERT INTO meter.rate (item, unit, price) VALUES ('new', '*', 1), ('k', '*', 1);
SELECT customer_id, item, since, until FROM meter.usage_mark ORDER BY item, since;
SELECT customer, usage_date, events, cost FROM pg_temp.by_day WHERE customer = 'berlin' ORDER BY usage_date, cost;
SELECT * FROM meter.audit();
CALL pg_temp.refresh_all();
SELECT customer, usage_date, events, cost FROM pg_temp.by_day WHERE customer = 'berlin' ORDER BY usage_date, cost;
SELECT * FROM meter.audit();

-- So are zones: no event may cross the horizon.
UPDATE meter.setting SET timezone = 'Asia/Tokyo';
TRUNCATE meter.customer_zone;
TRUNCATE meter.usage_event;
INSERT INTO meter.customer_zone VALUES ('utc', '2020-03-03', 'America/New_York');
UPDATE meter.customer_zone SET timezone = 'America/New_York' WHERE customer_id = 'berlin';
DELETE FROM meter.customer_zone WHERE customer_id = 'berlin';
INSERT INTO meter.customer_zone VALUES ('utc', '2020-03-04', 'America/New_York'), ('nobody', '-infinity', 'Asia/Tokyo');
SELECT customer_id, since, until FROM meter.usage_mark ORDER BY customer_id;
SELECT customer, usage_date, sum(events) AS events FROM pg_temp.by_day WHERE customer = 'utc' GROUP BY 1, 2 ORDER BY 2;
CALL pg_temp.refresh_all();
SELECT customer, usage_date, sum(events) AS events FROM meter.usage_daily AS daily (customer) WHERE customer = 'utc' GROUP BY 1, 2 ORDER BY 2;
SELECT * FROM meter.audit();
-- Someone whose first event is near the horizon.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('near', 'e', '2020-03-03 02:00+00', 'i', '{"requests": 1}');
INSERT INTO meter.customer_zone (customer_id, timezone) VALUES ('near', 'America/New_York');

-- Were all of usage_daily to be made anew, purged days would stay.
INSERT INTO meter.usage_mark DEFAULT VALUES;
CREATE TEMP TABLE before AS TABLE meter.usage_by_day;
CREATE TEMP TABLE days_before AS TABLE meter.cost_by_day;
CREATE TEMP VIEW cost_daily AS SELECT customer_id, usage_date, cost, credits, events, unpriced_cost, unpriced_credits FROM meter.usage_day;
CREATE TEMP TABLE months_before AS TABLE meter.cost_by_month;
CREATE TEMP VIEW cost_monthly AS SELECT customer_id, usage_month, cost, credits, events, unpriced_cost, unpriced_credits FROM meter.usage_month;
SELECT count(*) > 0 AS purged_days FROM before WHERE usage_date < '2020-03-03';
(TABLE meter.usage_by_day EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE meter.usage_by_day);
CALL pg_temp.refresh_all();
(TABLE meter.usage_by_day EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE meter.usage_by_day);
(TABLE meter.usage_daily EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE meter.usage_daily);
(TABLE pg_temp.cost_daily EXCEPT TABLE pg_temp.days_before) UNION ALL (TABLE pg_temp.days_before EXCEPT TABLE pg_temp.cost_daily);
(TABLE pg_temp.cost_monthly EXCEPT TABLE pg_temp.months_before) UNION ALL (TABLE pg_temp.months_before EXCEPT TABLE pg_temp.cost_monthly);
-- And marks of what was used on them, which a restore may make, stop short of them.
INSERT INTO meter.usage_mark (customer_id) SELECT DISTINCT customer_id FROM before;
INSERT INTO meter.usage_mark (item) SELECT DISTINCT item FROM before WHERE item IS NOT NULL;
INSERT INTO meter.usage_mark (action) VALUES ('chat');
(TABLE meter.usage_by_day EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE meter.usage_by_day);
CALL pg_temp.refresh_all();
(TABLE meter.usage_daily EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE meter.usage_daily);
(TABLE pg_temp.cost_daily EXCEPT TABLE pg_temp.days_before) UNION ALL (TABLE pg_temp.days_before EXCEPT TABLE pg_temp.cost_daily);
(TABLE pg_temp.cost_monthly EXCEPT TABLE pg_temp.months_before) UNION ALL (TABLE pg_temp.months_before EXCEPT TABLE pg_temp.cost_monthly);

-- A later purge: events that came too late for the former one stay listed, until it has passed the day they came on.
CALL pg_temp.purge('2020-03-04');
SELECT customer_id, event_id, usage_date FROM meter.late_event ORDER BY 1, 2;
SELECT horizon, purged_at IS NOT NULL AS purged FROM meter.purge_horizon ORDER BY horizon;
SELECT customer, count(*), min(occurred_at) FROM pg_temp.stored GROUP BY customer ORDER BY customer;
(TABLE meter.usage_by_day EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE meter.usage_by_day);
SELECT event_id, replacement LIKE 'e30~%' AS replaced FROM meter.correction;
SELECT meter.void_event('utc', 'e30', 'by its first id') LIKE 'e30~%' AS voided;
UPDATE meter.usage_event SET usage = '{}' WHERE event_id = 'e5';
-- As if they had come long ago.
ALTER TABLE meter.usage_event DISABLE TRIGGER keep_updated;
UPDATE meter.usage_event SET received_at = '2020-03-04 12:00+00' WHERE event_id IN ('e5', 'late');
ALTER TABLE meter.usage_event ENABLE TRIGGER keep_updated;
CALL pg_temp.purge('2020-03-05');
SELECT customer_id, event_id, usage_date FROM meter.late_event ORDER BY 1, 2;
SELECT horizon, purged_at IS NOT NULL AS purged FROM meter.purge_horizon ORDER BY horizon;
SELECT customer, event_id, occurred_at, usage FROM pg_temp.stored ORDER BY occurred_at, customer, event_id;
SELECT count(*) FROM meter.correction;
SELECT * FROM meter.audit();

-- What has no rate when it is purged stays so, and says so.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('utc', 'u1', '2020-03-06 02:00+00', 'unrated', '{"gold": 5}'), ('utc', 'u2', '2020-03-07 02:00+00', 'unrated', '{"gold": 6}');
CALL pg_temp.purge('2020-03-07');
SELECT card, item, unit, quantity, events, first_date, last_date FROM meter.unpriced_usage WHERE item = 'unrated' ORDER BY first_date;
INSERT INTO meter.rate (item, unit, price) VALUES ('unrated', 'gold', 1);
INSERT INTO meter.rate (item, unit, price, valid) VALUES ('unrated', 'gold', 1, '[2020-03-07 00:00+00,)');
INSERT INTO meter.rate (item, unit, price, valid) VALUES ('unrated', 'gold', 1, '[2020-03-08 00:00+00,)');
SELECT usage_date, cost, unpriced FROM pg_temp.by_day WHERE item = 'unrated' ORDER BY 1;

-- A price list goes in: what its past dates would touch of purged days begins and ends at the horizon.
CREATE TEMP TABLE list (line bigint GENERATED ALWAYS AS IDENTITY, provider text, model text, usage_type text, list_price numeric, list_price_per text, tier_start text, tod_start text, tod_end text, effective_from date, effective_to date, currency text DEFAULT 'USD');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('tokyo', 'l1', '2020-03-07 02:00+00', 'p/used', '{"gold": 5}'), ('tokyo', 'l2', '2020-03-09 02:00+00', 'p/used', '{"gold": 5}');
CALL pg_temp.purge('2020-03-08');
INSERT INTO list (provider, model, usage_type, list_price, list_price_per, effective_from, effective_to) VALUES
	('p', 'used', 'gold', 3, '1', '2019-01-01', NULL), ('p', 'used', 'silver', 3, '1', '2019-01-01', '2020-01-01'), ('p', 'unused', 'gold', 3, '1', '2019-01-01', NULL);
CREATE VIEW pg_temp.listed AS SELECT item, unit, price, valid, listed FROM meter.rate WHERE source = 'list' ORDER BY 1, 2, 4;
SELECT outcome, rates, item, reason FROM meter.load_rates('list', 'list', '2020-03-10 00:00+00');
TABLE pg_temp.listed;
SELECT outcome, rates, item, reason FROM meter.load_rates('list', 'list', '2020-03-10 00:00+00');
-- Now the list says that it ended long ago, and what came after it.
UPDATE list SET effective_to = '2019-06-01' WHERE usage_type = 'gold';
INSERT INTO list (provider, model, usage_type, list_price, list_price_per, effective_from) VALUES ('p', 'used', 'gold', 4, '1', '2019-06-01'), ('p', 'unused', 'gold', 4, '1', '2019-06-01');
SELECT outcome, rates, item, reason FROM meter.load_rates('list', 'list', '2020-03-11 00:00+00');
TABLE pg_temp.listed;
SELECT outcome, rates, item, reason FROM meter.load_rates('list', 'list', '2020-03-11 00:00+00');
-- An operation that took back more than is left: the rest can be restored.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('utc', 'v1', '2020-03-09 12:00+00', 'i', '{"requests": 1}'), ('utc', 'v2', '2020-03-11 12:00+00', 'i', '{"requests": 1}');
SELECT events FROM meter.void_events('voided', 'utc', '[2020-03-09 06:00+00,)');
CALL pg_temp.purge('2020-03-10');
SELECT meter.restore_events((SELECT max(audit_id) FROM meter.audit_log WHERE operation = 'void_events'), 'restored');
SELECT customer, usage_date, sum(events) AS events FROM pg_temp.by_day WHERE customer = 'utc' AND usage_date >= '2020-03-09' GROUP BY 1, 2 ORDER BY 2;
SELECT * FROM meter.audit();

-- The list goes away.
DELETE FROM list WHERE model = 'used';
SELECT outcome, rates, item, reason FROM meter.load_rates('list', 'list', '2020-03-12 00:00+00');
TABLE pg_temp.listed;
SELECT usage_date, cost, unpriced FROM pg_temp.by_day WHERE item = 'p/used' ORDER BY 1;
SELECT * FROM meter.audit();

-- At random: events, late ones too, corrections, changes of rates and zones, refreshes, purges and erasures in any order.
-- Whatever is before the horizon is as it was when the horizon came; everything else is what a rebuild says.
CREATE TEMP TABLE frozen AS
SELECT usage_date, item, action, variant, outcome, events, usage, cost, credits, unpriced_cost FROM meter.usage_by_day WHERE false;
CREATE VIEW pg_temp.frozen_now AS
SELECT usage_date, item, action, variant, outcome, sum(events) AS events, sum(usage) AS usage, trim_scale(sum(cost)) AS cost, trim_scale(sum(credits)) AS credits, sum(unpriced_cost) AS unpriced_cost
FROM meter.usage_by_day
WHERE usage_date < (SELECT horizon FROM meter.horizon)
GROUP BY 1, 2, 3, 4, 5;
CREATE TEMP TABLE tally (what text PRIMARY KEY, times integer NOT NULL);
CREATE TEMP TABLE wrong (what text NOT NULL);
CREATE PROCEDURE pg_temp.wander(rounds integer)
LANGUAGE plpgsql AS $$
DECLARE
	victim record;
	happened text;
	failed bigint;
	today date := '2020-04-01';
	before date;
	customers text[];
BEGIN
	FOR round IN 1..rounds LOOP
		today := today + (random() * 2)::integer;
		customers := ARRAY(SELECT DISTINCT customer_id FROM meter.usage_event ORDER BY 1 LIMIT 8) || '{c1,c2,c3}'::text[];
		/* Of the last days, and some from before the horizon. */
		INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, outcome)
		SELECT
			customers[1 + (random() * (cardinality(customers) - 1))::integer], round || '-' || number,
			timezone('UTC', today::timestamp) - random() * random() * interval '12 days',
			'i' || (random() * 3)::integer, meter.usage('input_tokens', (random() * 1000)::integer, 'actions', 1), (ARRAY['chat', NULL])[1 + random()::integer], (ARRAY['failure', NULL])[1 + random()::integer]
		FROM generate_series(1, 60) AS number;
		COMMIT;
		FOR step IN 1..6 LOOP
			BEGIN
				happened := (ARRAY['void', 'amend', 'rate', 'rate end', 'zone', 'no zone', 'erase', 'setting'])[1 + (random() * 7)::integer];
				SELECT customer_id, event_id, occurred_at INTO victim FROM meter.usage_event WHERE reverses IS NULL ORDER BY random() LIMIT 1;
				CASE happened
				WHEN 'void' THEN
					PERFORM meter.void_event(victim.customer_id, victim.event_id, 'random');
				WHEN 'amend' THEN
					PERFORM meter.amend_event(victim.customer_id, victim.event_id, jsonb_build_object('usage', '{"input_tokens": 1}'::jsonb, 'occurred_at', to_char(victim.occurred_at - random() * interval '2 days', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), 'random');
				WHEN 'rate' THEN
					INSERT INTO meter.rate (item, unit, price, precedence, valid)
					VALUES ('i' || (random() * 3)::integer, '*', round, 1000 + round * 10 + step, tstzrange(timezone('UTC', (today - (random() * 12)::integer)::timestamp), NULL));
				WHEN 'rate end' THEN
					UPDATE meter.rate SET valid = tstzrange(lower(valid), timezone('UTC', (today - (random() * 12)::integer)::timestamp))
					WHERE rate_id IN (SELECT rate_id FROM meter.rate WHERE upper_inf(valid) ORDER BY random() LIMIT 1);
				WHEN 'zone' THEN
					INSERT INTO meter.customer_zone VALUES (victim.customer_id, today - (random() * 12)::integer, (ARRAY['Asia/Tokyo', 'America/New_York', 'Pacific/Apia'])[1 + (random() * 2)::integer]);
				WHEN 'no zone' THEN
					DELETE FROM meter.customer_zone WHERE (customer_id, since) IN (SELECT customer_id, since FROM meter.customer_zone ORDER BY random() LIMIT 1);
				WHEN 'erase' THEN
					IF random() < 0.3 THEN
						PERFORM meter.erase_customer(victim.customer_id, 'random');
					END IF;
				ELSE
					UPDATE meter.setting SET timezone = (ARRAY['UTC', 'Asia/Kathmandu'])[1 + random()::integer];
				END CASE;
			EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
				happened := happened || ' refused';
			END;
			INSERT INTO tally VALUES (happened, 1) ON CONFLICT (what) DO UPDATE SET times = tally.times + 1;
			COMMIT;
		END LOOP;
		IF random() < 0.6 THEN
			CALL meter.refresh((1 + random() * 100)::bigint);
		END IF;
		IF random() < 0.4 THEN
			CALL pg_temp.refresh_all();
			before := greatest(today - (random() * 6 + 3)::integer, (SELECT horizon FROM meter.horizon));
			DELETE FROM frozen;
			INSERT INTO frozen
			SELECT usage_date, item, action, variant, outcome, sum(events), sum(usage), trim_scale(sum(cost)), trim_scale(sum(credits)), sum(unpriced_cost)
			FROM meter.usage_by_day
			WHERE usage_date < before
			GROUP BY 1, 2, 3, 4, 5;
			COMMIT;
			CALL meter.purge_events(before, (1 + random() * 50)::bigint);
			COMMIT;
		END IF;
		SELECT count(*) INTO failed FROM meter.audit();
		IF failed > 0 THEN
			INSERT INTO wrong VALUES (format('round %s: the audit finds %s rows', round, failed));
		END IF;
		SELECT count(*) INTO failed FROM ((TABLE frozen EXCEPT TABLE pg_temp.frozen_now) UNION ALL (TABLE pg_temp.frozen_now EXCEPT TABLE frozen)) AS differing;
		IF failed > 0 THEN
			INSERT INTO wrong VALUES (format('round %s: %s purged rows have changed', round, failed));
		END IF;
		COMMIT;
	END LOOP;
END
$$;
DELETE FROM meter.rate WHERE item IN ('j', 'k', 'new');
INSERT INTO frozen TABLE pg_temp.frozen_now;
SELECT setseed(0.4);
SET client_min_messages = error;
CALL pg_temp.wander(24);
RESET client_min_messages;
TABLE wrong;
-- What becomes of a step depends on what other sessions let the purges delete, so only what is sure to happen is asked for.
SELECT count(*) >= 10 AS many_kinds, sum(times) AS steps, sum(times) FILTER (WHERE what LIKE '% refused') > 0 AS some_refused FROM tally;
SELECT what FROM tally WHERE what IN ('erase', 'rate', 'void', 'zone') ORDER BY what;
SELECT count(*) > 0 AS some_late FROM meter.late_event;
SELECT count(*) > 0 AS some_purged FROM frozen;

-- A dump of a cluster whose epoch is this one's by chance, and which had come further.
CALL pg_temp.refresh_all();
DROP TABLE before;
CREATE TEMP TABLE before AS TABLE meter.usage_by_day;
UPDATE meter.usage_watermark SET consumed = consumed + 1000000000;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('chance', 'new', now(), 'i', '{"requests": 1}');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, txid)
SELECT 'chance', 'restored', now(), 'i', '{"requests": 1}', consumed FROM meter.usage_watermark;
SELECT sum(events) FROM meter.usage_by_day WHERE customer_id = 'chance';
(TABLE meter.usage_by_day EXCEPT TABLE before) EXCEPT SELECT * FROM meter.usage_by_day WHERE customer_id = 'chance';
SELECT * FROM meter.audit();
CALL meter.refresh();
SELECT sum(events) FROM meter.usage_by_day WHERE customer_id = 'chance';
TABLE before EXCEPT TABLE meter.usage_by_day;
SELECT count(*) FROM meter.usage_mark;
SELECT * FROM meter.audit();

-- A restore marks days that were purged long before the horizon: they stay, and the refresh goes on.
SELECT max(horizon) AS horizon FROM meter.purge_horizon \gset
INSERT INTO meter.rate (item, unit, price) VALUES ('months ago', 'requests', 1);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action)
SELECT 'months', days::text, (:'horizon'::date + days)::timestamptz, 'months ago', '{"requests": 1}', 'months ago' FROM unnest('{5,100}'::integer[]) AS days;
SET client_min_messages = error;
CALL pg_temp.purge(:'horizon'::date + 70);
RESET client_min_messages;
-- The first rate of an action that was done on purged days: they stay as they were counted.
INSERT INTO meter.rate (card, item, unit, price, valid) SELECT 'credit', 'months ago', 'actions', 1, tstzrange(starts + interval '50 days', NULL) FROM meter.horizon;
UPDATE meter.horizon_lock SET horizon = '-infinity';
UPDATE meter.rate SET price = 3 WHERE item = 'months ago';
CALL pg_temp.refresh_all();
SELECT usage_date - :'horizon'::date AS days, cost, unpriced_credits FROM meter.cost_by_day WHERE customer_id = 'months' ORDER BY days;
SELECT sum(cost) AS cost FROM meter.cost_by_month WHERE customer_id = 'months';
SELECT count(*) FROM meter.usage_mark;
SELECT * FROM meter.audit();
