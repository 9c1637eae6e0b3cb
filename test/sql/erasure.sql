-- A customer is forgotten: the money stays, the person goes, from every table there is.
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
-- Sums without the names; customers by the order of what they cost.
CREATE VIEW pg_temp.sums AS
SELECT usage_date, item, action, variant, outcome, request_class, sum(events) AS events, sum(usage) AS usage, sum(cost) AS cost, sum(credits) AS credits, sum(unpriced_cost) AS unpriced, count(*) AS customers
FROM meter.usage_by_day
GROUP BY usage_date, item, action, variant, outcome, request_class;

-- Which column of which table goes, and how. Whoever adds a table with a customer_id sees here what becomes of it.
TABLE meter.personal_column ORDER BY relation::text COLLATE "C", column_name COLLATE "C";
-- No column that looks like a person is left out: an item has none, and what an attachment reads is an expression.
SELECT class.relname, attribute.attname
FROM pg_class AS class
JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
WHERE class.relnamespace = 'meter'::regnamespace
	AND class.relkind IN ('r', 'p')
	AND attribute.attnum > 0
	AND attribute.attname ~ 'customer|user|person|name|mail|phone|address'
	AND NOT EXISTS (SELECT FROM meter.personal_column AS personal WHERE personal.relation = class.oid AND (personal.column_name = attribute.attname OR personal.erased = 'deleted'))
ORDER BY 1, 2;

INSERT INTO meter.customer VALUES ('ann@secret.example', 'Ann Secret', 'EUR', 'enterprise'), ('bolt', 'Bolt', 'USD', 'enterprise');
INSERT INTO meter.customer_zone VALUES ('ann@secret.example', '-infinity', 'Asia/Tokyo'), ('bolt', '-infinity', 'Europe/Berlin'), ('bolt', '2020-03-05', 'Asia/Tokyo');
INSERT INTO meter.rate (item, unit, price) VALUES ('i', 'requests', 2);
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 3);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, user_id, workflow_id, tags)
SELECT customer, 'secret-' || n, timestamptz '2020-03-01 00:00+00' + n * interval '5 hours', 'i', meter.usage('requests', n, 'actions', 1), 'chat', 'secret user', 'secret run', '{"secret": true}'
FROM unnest('{ann@secret.example,bolt}'::text[]) AS customer, generate_series(1, 30) AS n;
CALL pg_temp.refresh_all();
SELECT meter.void_event('ann@secret.example', 'secret-3', 'secret reason');
SELECT meter.amend_event('ann@secret.example', 'secret-4', '{"usage": {"requests": 1}}', 'secret reason') IS NOT NULL AS amended;
SELECT meter.record('ann@secret.example', 'secret-5', '2020-03-02 00:00+00', 'i', '{"requests": 99}');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('ann@secret.example', 'secret-tail', '2020-03-09 00:00+00', 'i', '{"requests": 5}');
SELECT meter.mark_usage('ann@secret.example', NULL, NULL, '2020-03-02', '2020-03-03');
SELECT meter.grant_credits('ann@secret.example', 'g1', 'purchase', 100, '[2020-03-01,)', paid => 10, currency => 'EUR', note => 'secret note');
SELECT meter.grant_credits('ann@secret.example', 'g2', 'promotion', 50, note => 'secret note');
SELECT meter.void_grant('ann@secret.example', 'g2', 'secret reason') IS NOT NULL AS voided;
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, valid, note) VALUES ('ann@secret.example', 'base', 10, '[2020-03-02,)', 'secret note');
SELECT meter.end_allotment('ann@secret.example', 'base', 'secret reason') IS NOT NULL AS ended, meter.refund_event('ann@secret.example', 'secret-7', 'secret note') IS NOT NULL AS refunded;
INSERT INTO meter.top_up_rule (customer_id, threshold, amount) VALUES ('ann@secret.example', 1000, 1);
INSERT INTO meter.external_customer VALUES ('stripe', 'ann@secret.example', 'cus_secret');
INSERT INTO meter.outbox (destination, kind, idempotency_key, payload, customer_id, last_error) VALUES ('stripe', 'note', 'k1', '{"customer": "cus_secret"}', 'ann@secret.example', 'secret has no card');
CREATE VIEW pg_temp.credits AS
SELECT granted, spent, expired, remaining, overage, recognised, deferred, (SELECT count(*) FROM meter.credit_ledger) AS entries, (SELECT count(*) FROM meter.top_up_due) AS due FROM meter.credit_balance;
CREATE TEMP TABLE credits_before AS TABLE pg_temp.credits;
CREATE TEMP TABLE before AS TABLE pg_temp.sums;

-- Nobody else renames, and nobody who is not there is erased.
UPDATE meter.usage_event SET customer_id = 'other' WHERE customer_id = 'ann@secret.example' AND event_id = 'secret-1';
SELECT meter.erase_customer('nobody');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT meter.erase_customer('ann@secret.example');
ROLLBACK;

SELECT meter.erase_customer('ann@secret.example', 'request 17');
(TABLE pg_temp.sums EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE pg_temp.sums);
(TABLE pg_temp.credits EXCEPT TABLE credits_before) UNION ALL (TABLE credits_before EXCEPT TABLE pg_temp.credits);
TABLE meter.credit_problem;
SELECT * FROM meter.audit();
-- Nothing of hers is in any row of any table; there was some in each of those with a customer_id.
CREATE PROCEDURE pg_temp.look_for(word text)
LANGUAGE plpgsql AS $$
DECLARE
	relation regclass;
	found bigint;
BEGIN
	FOR relation IN SELECT oid FROM pg_class WHERE relnamespace = 'meter'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname COLLATE "C" LOOP
		EXECUTE format('SELECT count(*) FROM %s AS entry WHERE entry::text ILIKE %L AND entry::text NOT LIKE %L', relation, '%' || word || '%', '%bolt%') INTO found;
		IF found > 0 THEN
			RAISE NOTICE '% rows of % have %', found, relation, word;
		END IF;
	END LOOP;
END
$$;
CALL pg_temp.look_for('secret');
SELECT operation, customer_id LIKE 'erased-%' AS of_pseudonym, reason, detail -> 'meter.usage_event' AS events FROM meter.audit_log ORDER BY audit_id;
SELECT count(*) FROM meter.erasure WHERE pseudonym LIKE 'erased-%';
SELECT customer_id LIKE 'erased-%' AS erased, kind, amount, paid, void_reason FROM meter.credit_grant ORDER BY kind;
SELECT customer_id LIKE 'erased-%' AS erased, name, currency, segment FROM meter.customer ORDER BY segment, name;

-- Life goes on under the pseudonym: the roll-up, the corrections, and what had been done can be undone.
CALL pg_temp.refresh_all();
(TABLE pg_temp.sums EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE pg_temp.sums);
SELECT * FROM meter.audit();
SELECT meter.restore_events((SELECT min(audit_id) FROM meter.audit_log WHERE operation = 'void'), 'it was right');
SELECT count(*) FROM meter.correction JOIN meter.usage_event USING (customer_id, event_id) WHERE customer_id LIKE 'erased-%';
SELECT count(*) FROM meter.usage_event AS reversal JOIN meter.usage_event AS event ON event.customer_id = reversal.customer_id AND event.event_id = reversal.reverses;
SELECT * FROM meter.audit();
-- A rename is over with its transaction.
UPDATE meter.usage_event SET customer_id = (SELECT pseudonym FROM meter.erasure) WHERE customer_id = 'bolt' AND event_id = 'secret-1';
BEGIN;
INSERT INTO meter.erasure VALUES ('erased-forged');
UPDATE meter.usage_event SET customer_id = 'erased-forged', usage = '{}' WHERE customer_id = 'bolt' AND event_id = 'secret-1';
ROLLBACK;

-- A late retry is a new customer's, which is listed, and can be erased as well.
SELECT meter.record('ann@secret.example', 'secret-1', '2020-03-01 05:00+00', 'i', '{"requests": 1}');
SELECT kind, name, events FROM meter.unknown_name WHERE kind = 'customer' AND name NOT LIKE 'erased-%';
SELECT meter.erase_customer('ann@secret.example', 'request 17, again');
CALL pg_temp.look_for('secret');
SELECT count(*) FROM meter.erasure;
SELECT * FROM meter.audit();

-- A purge and an erasure together.
CALL pg_temp.refresh_all();
CALL meter.purge_events('2020-03-04');
DROP TABLE before;
CREATE TEMP TABLE before AS TABLE pg_temp.sums;
SELECT meter.erase_customer('bolt');
(TABLE pg_temp.sums EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE pg_temp.sums);
SELECT count(*) FROM meter.usage_by_day WHERE customer_id NOT LIKE 'erased-%';
SELECT min(usage_date) FROM meter.usage_by_day;
SELECT * FROM meter.audit();

-- Only who keeps the database may do it.
CREATE ROLE meter_regress_keeper;
SELECT meter.allow_correcting('meter_regress_keeper'), meter.allow_recording('meter_regress_keeper');
SET ROLE meter_regress_keeper;
SELECT meter.erase_customer('anybody');
CALL meter.purge_events('2020-03-05');
INSERT INTO meter.erasure VALUES ('erased-forged');
INSERT INTO meter.purge_horizon (horizon, txids) VALUES ('2030-01-01', '{}');
DELETE FROM meter.usage_event;
RESET ROLE;
DROP OWNED BY meter_regress_keeper;
DROP ROLE meter_regress_keeper;

-- A table that comes later is included, and one that nobody may change lets an erasure through, and nothing else.
CREATE TABLE meter.regress_kept (customer_id text NOT NULL, payer_customer_id text, amount numeric NOT NULL, note text);
CREATE FUNCTION meter.regress_keep() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'UPDATE' AND meter.is_erasure(TG_RELID, to_jsonb(OLD), to_jsonb(NEW)) THEN
		RETURN NEW;
	END IF;
	RAISE EXCEPTION 'it is kept as it is';
END
$$;
CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON meter.regress_kept FOR EACH ROW EXECUTE FUNCTION meter.regress_keep();
INSERT INTO meter.regress_kept VALUES ('eve', 'other', 5, 'secret'), ('other', 'eve', 6, 'secret, too');
UPDATE meter.regress_kept SET amount = 7;
BEGIN;
INSERT INTO meter.erasure VALUES ('erased-by hand');
UPDATE meter.regress_kept SET customer_id = 'erased-by hand', amount = 7;
ROLLBACK;
SELECT meter.erase_customer('eve');
SELECT customer_id LIKE 'erased-%' AS erased, payer_customer_id LIKE 'erased-%' AS payer_erased, amount, note FROM meter.regress_kept ORDER BY amount;
DROP TABLE meter.regress_kept;
DROP FUNCTION meter.regress_keep();
