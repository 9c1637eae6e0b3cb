-- Events: what the table takes, and the ways in.
\set VERBOSITY terse
SET timezone = 'UTC';

-- Any table of usage is a source; columns that are the extension's have defaults.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, user_id, tags)
VALUES ('acme', 'plain', '2026-11-01 10:00+00', 'openai/gpt-4o', '{"input_tokens": 1200, "output_tokens": 88}', 'summarise', 'ann', '{"team": "a"}');
COPY meter.usage_event (customer_id, event_id, occurred_at, item, usage, outcome) FROM stdin;
acme	copied	2026-11-01 11:00+00	openai/gpt-4o	{"input_tokens": 5}	failure
unheard of	copied	2026-11-01 11:00+00	no such item	{"widgets": 0.5}	\N
\.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
VALUES ('acme', 'plain', '2026-11-02 10:00+00', 'openai/gpt-4o', '{"input_tokens": 1}')
ON CONFLICT DO NOTHING;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage)
VALUES ('acme', 'plain', '2026-11-02 10:00+00', '{}');
SELECT customer_id, event_id, occurred_at, item, usage, action, variant, outcome, user_id, tags, sign, reverses, received_at = now() AS received_now
FROM meter.usage_event
ORDER BY customer_id, event_id;

-- The number of a transaction is one in a transaction, its subtransactions included, and grows.
BEGIN;
SELECT meter.txid() AS first_txid \gset
SAVEPOINT inside;
SELECT meter.txid() = :first_txid AS same_in_subtransaction;
ROLLBACK TO inside;
SELECT meter.txid() = :first_txid AS same_after_rollback, meter.txid() >> 48 = meter.txid_epoch() AS epoch_above,
	meter.txid() & ((1::bigint << 48) - 1) = pg_current_xact_id()::text::bigint AS id_below;
COMMIT;
SELECT meter.txid() > :first_txid AS grows, meter.txid_epoch() BETWEEN 0 AND 32767 AS epoch_has_15_bits;

-- What the table refuses, whoever writes it.
CREATE FUNCTION pg_temp.try(customer_id text DEFAULT 'acme', event_id text DEFAULT 'e', occurred_at timestamptz DEFAULT '2026-11-01 10:00+00', item text DEFAULT 'i', usage meter.usage DEFAULT '{"requests": 1}',
	action text DEFAULT NULL, variant text DEFAULT 'standard', outcome text DEFAULT NULL, tags jsonb DEFAULT NULL, sign smallint DEFAULT 1, reverses text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, tags, sign, reverses)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
	RETURN 'taken';
EXCEPTION WHEN integrity_constraint_violation THEN
	RETURN SQLERRM;
END
$$;
SELECT pg_temp.try(customer_id => '');
SELECT pg_temp.try(customer_id => repeat('x', 256));
SELECT pg_temp.try(event_id => '');
SELECT pg_temp.try(event_id => repeat('x', 1001));
SELECT pg_temp.try(occurred_at => NULL);
SELECT pg_temp.try(occurred_at => 'infinity');
SELECT pg_temp.try(occurred_at => '1969-12-31 23:59:59.999999+00');
SELECT pg_temp.try(occurred_at => '10000-01-01 00:00:00+00');
SELECT pg_temp.try(item => '');
SELECT pg_temp.try(action => '');
SELECT pg_temp.try(variant => '');
SELECT pg_temp.try(variant => NULL);
SELECT pg_temp.try(outcome => 'maybe');
SELECT pg_temp.try(tags => '[]');
SELECT pg_temp.try(usage => NULL);
SELECT pg_temp.try(usage => '{"input_tokens": -1}');
SELECT pg_temp.try(usage => '{"input_tokens": 1, "gold": -0.000000000001}');
SELECT pg_temp.try(usage => '{"gold": 100000000000000000000.000000000001}');
SELECT pg_temp.try(sign => 0::smallint);
SELECT pg_temp.try(sign => -1::smallint, usage => '{"requests": -1}');
SELECT pg_temp.try(reverses => 'plain');
SELECT pg_temp.try(sign => -1::smallint, usage => '{"requests": -1}', reverses => 'e');
SELECT pg_temp.try(sign => -1::smallint, usage => '{"requests": 1}', reverses => 'plain');
SELECT pg_temp.try(event_id => 'largest', usage => '{"gold": 100000000000000000000}');
SELECT pg_temp.try(event_id => 'r1', sign => -1::smallint, usage => '{"gold": -100000000000000000000}', reverses => 'largest');
SELECT pg_temp.try(event_id => 'r2', sign => -1::smallint, usage => '{}', reverses => 'largest');
SELECT event_id FROM meter.event_net ORDER BY event_id;
SELECT
	meter.is_event(ROW('a', 'e', '2026-11-01', NULL, '{"requests": 0}', NULL, 'v', NULL, NULL, NULL, NULL, NULL, 1, NULL, NULL, 0)::meter.usage_event) AS counts,
	meter.is_event(ROW('a', 'e', '2026-11-01', NULL, '{"requests": 0}', NULL, 'v', NULL, NULL, NULL, NULL, NULL, -1, 'r', NULL, 0)::meter.usage_event) AS takes_back,
	meter.is_event(jsonb_populate_record(NULL::meter.usage_event, '{}')) AS nothing_wrong,
	meter.is_event(NULL) AS nothing;
-- The rules are for all rows, whatever else a user keeps in them.
BEGIN;
ALTER TABLE meter.usage_event ADD COLUMN region text;
SELECT pg_temp.try(event_id => 'more', outcome => 'maybe');
SELECT pg_temp.try(event_id => 'more');
ROLLBACK;

-- record: stored, duplicate or conflict.
SELECT meter.record('acme', 'r', '2026-11-01 10:00+00', 'openai/gpt-4o', '{"input_tokens": 10}', 'chat', tags => '{"a": 1}');
SELECT meter.record('acme', 'r', '2026-11-01 11:00+01', 'openai/gpt-4o', '{"input_tokens": 10.0}', 'chat', tags => '{"a": 1.0}');
SELECT meter.record('acme', 'r', '2026-11-01 10:00+00', 'openai/gpt-4o', '{"input_tokens": 11}', 'chat');
SELECT meter.record('acme', 'r', '2026-11-01 11:00+01', 'openai/gpt-4o', '{"input_tokens": 11}', 'chat');
SELECT meter.record('acme', 'r', '2026-11-01 10:00:00.000001+00', 'other', '{"input_tokens": 10}', variant => 'batch', outcome => 'success', request_class => 'c', user_id => 'u', workflow_id => 'w');
SELECT meter.record('acme', 'r1', '2026-11-01 10:00+00', 'i', '{}');
SELECT meter.record('other', 'r', '2026-11-01 10:00+00', 'openai/gpt-4o', '{"input_tokens": 11}');
SELECT meter.record('acme', 'bad', '2026-11-01 10:00+00', 'i', '{"input_tokens": -1}');
SELECT event_id, differs, times, content FROM meter.event_conflict ORDER BY event_id, differs;
SELECT count(*) FROM meter.usage_event WHERE event_id = 'r';

-- A batch, all good: of the same id twice the first one counts.
SELECT * FROM meter.record_batch('[
	{"customer_id": "acme", "event_id": "b2", "occurred_at": "2026-11-01T10:00:00Z", "item": "i", "usage": {"requests": 1}},
	{"customer_id": "acme", "event_id": "b1", "occurred_at": "2026-11-01T10:00:00+00:00", "usage": {}, "action": null, "tags": null},
	{"customer_id": "acme", "event_id": "b2", "occurred_at": "2026-11-01t11:00:00.000+01:00", "item": "i", "usage": {"requests": 1}},
	{"customer_id": "acme", "event_id": "b2", "occurred_at": "2026-11-01T10:00:00Z", "item": "i", "usage": {"requests": 2}},
	{"customer_id": 7, "event_id": 8, "occurred_at": "2026-11-01T10:00:00Z", "item": "i", "usage": {"requests": 1}}]')
ORDER BY place;
-- One with bad ones: the others are stored.
SELECT * FROM meter.record_batch('[
	{"customer_id": "acme", "event_id": "b3", "occurred_at": "2026-11-01T10:00:00Z", "item": "i", "usage": {"requests": 1}},
	{"customer_id": "acme", "event_id": "b1", "occurred_at": "2026-11-01T10:00:00Z", "usage": {}},
	5, null, {}, [],
	{"customer_id": "acme", "event_id": "b4", "occurred_at": "2026-11-01T10:00:00", "usage": {"requests": 1}},
	{"customer_id": "acme", "event_id": "b4", "occurred_at": 1700000000, "usage": {"requests": 1}},
	{"customer_id": "acme", "event_id": "b4", "occurred_at": "2026-02-30T10:00:00Z", "usage": {"requests": 1}},
	{"customer_id": "acme", "event_id": "b4", "occurred_at": "2026-11-01T10:00:00Z", "usage": {"requests": "1"}},
	{"customer_id": "acme", "event_id": "b4", "occurred_at": "2026-11-01T10:00:00Z", "usage": {"requests": -1}},
	{"customer_id": "acme", "event_id": "b4", "occurred_at": "2026-11-01T10:00:00Z", "usage": {"requests": 1}, "itm": "i", "note": 1},
	{"customer_id": "acme", "event_id": "b4", "occurred_at": "2026-11-01T10:00:00Z", "usage": {"requests": 1}, "item": 5},
	{"customer_id": "acme", "event_id": "b4", "occurred_at": "2026-11-01T10:00:00Z", "usage": {"requests": 1}, "outcome": "good"},
	{"customer_id": "acme", "event_id": "b4", "occurred_at": "2026-11-01T10:00:00Z", "usage": {"requests": 1}, "sign": -1},
	{"customer_id": "acme", "event_id": "b2", "occurred_at": "2026-11-01T10:00:00Z", "item": "j", "usage": {"requests": 1}}]')
ORDER BY place;
-- CloudEvents 1.0.
SELECT * FROM meter.record_batch('[
	{"specversion": "1.0", "id": "1", "source": "/api", "type": "summarise", "subject": "acme", "time": "2026-11-01T10:00:00.5+01:00", "datacontenttype": "application/json", "data": {"item": "i", "usage": {"input_tokens": 3}, "tags": {"a": 1}}, "traceparent": "t"},
	{"specversion": "1.0", "id": "1", "source": "/worker", "type": "x", "subject": "x", "time": "2000-01-01T00:00:00Z", "data": {"customer_id": "acme", "event_id": "own", "occurred_at": "2026-11-01T10:00:00Z", "action": null, "usage": {}}},
	{"specversion": "1.0", "id": "1", "source": "/api", "type": "summarise", "subject": "acme", "time": "2026-11-01T09:00:00.5Z", "data": {"item": "i", "usage": {"input_tokens": 3}, "tags": {"a": 1}}, "traceparent": "t"},
	{"specversion": "0.3", "id": "2", "source": "/api", "type": "x", "subject": "acme", "data": {"usage": {}}},
	{"specversion": "1.0", "id": "2", "type": "x", "subject": "acme", "data": {"usage": {}}},
	{"specversion": "1.0", "id": "2", "source": "/api", "type": "x", "subject": "acme", "data": {"usage": {}}},
	{"specversion": "1.0", "id": "2", "source": "/api", "type": "x", "subject": "acme", "time": "2026-11-01T10:00:00Z", "data_base64": "e30="},
	{"specversion": "1.0", "id": "2", "source": "/api", "type": "x", "subject": "acme", "time": "2026-11-01T10:00:00Z", "data": "text"}]')
ORDER BY place;
SELECT customer_id, event_id, occurred_at, item, usage, action, tags FROM meter.usage_event WHERE event_id IN ('/api 1', 'own') ORDER BY event_id;
SELECT * FROM meter.record_batch('[]');
SELECT * FROM meter.record_batch('{}');
SELECT * FROM meter.record_batch(NULL);

-- What a sender may write, and what not.
CREATE ROLE meter_regress_sender;
SET ROLE meter_regress_sender;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('acme', 's1', '2026-11-01 10:00+00', '{}');
RESET ROLE;
SELECT meter.allow_recording('meter_regress_sender');
SET ROLE meter_regress_sender;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('acme', 's1', '2026-11-01 10:00+00', '{}') ON CONFLICT DO NOTHING;
SELECT meter.record('acme', 's2', '2026-11-01 10:00+00', 'i', '{}'), meter.record('acme', 's1', '2026-11-01 10:00+00', 'i', '{}'), meter.record('acme', 's1', '2026-11-01 10:00+00', 'i', '{}');
SELECT outcome FROM meter.record_batch('[{"customer_id": "acme", "event_id": "s3", "occurred_at": "2026-11-01T10:00:00Z", "usage": {}}]');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage, txid) VALUES ('acme', 's4', '2026-11-01 10:00+00', '{}', 1);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage, sign, reverses) VALUES ('acme', 's4', '2026-11-01 10:00+00', '{}', -1, 's1');
UPDATE meter.usage_event SET usage = '{}';
DELETE FROM meter.usage_event;
RESET ROLE;
DROP OWNED BY meter_regress_sender;
DROP ROLE meter_regress_sender;

-- Customers, their days, and actions.
INSERT INTO meter.customer VALUES ('acme', 'Acme', 'EUR', 'enterprise');
INSERT INTO meter.customer (customer_id, currency) VALUES ('x', 'XXY');
INSERT INTO meter.customer_zone VALUES ('acme', DEFAULT, 'Mars/Olympus');
INSERT INTO meter.action (action) VALUES ('summarise');
SELECT action, credit_type, pool, description FROM meter.action;
-- East, then west, then east: no instant is in two spans or none, no date goes backwards.
INSERT INTO meter.customer_zone VALUES ('acme', '2026-03-01', 'Pacific/Kiritimati'), ('acme', '2026-03-10', 'Etc/GMT+12'), ('acme', '2026-03-11', 'Pacific/Kiritimati'), ('acme', '2026-03-20', 'Europe/Berlin');
SELECT timezone, starts, ends, last_date FROM meter.customer_zone_span WHERE customer_id = 'acme' ORDER BY starts, ends;
WITH instant AS (
	SELECT at, span.*, least(meter.usage_date(at, span.timezone), span.last_date) AS usage_date
	FROM generate_series(timestamptz '2026-02-25 00:00+00', timestamptz '2026-04-02 00:00+00', interval '30 minutes') AS at
	LEFT JOIN meter.customer_zone_span AS span ON span.customer_id = 'acme' AND at >= starts AND at < ends
), compared AS (
	SELECT at, usage_date, usage_date < lag(usage_date) OVER (ORDER BY at) AS backwards, count(*) OVER (PARTITION BY at) AS spans
	FROM instant
)
SELECT count(*) FILTER (WHERE backwards) AS backwards, min(spans), max(spans), count(*) FILTER (WHERE usage_date IS NULL) AS undated, min(usage_date), max(usage_date)
FROM compared;
-- A date that a zone skipped is nobody's.
SELECT meter.usage_date('2011-12-30 09:59:59+00', 'Pacific/Apia'), meter.usage_date('2011-12-30 10:00+00', 'Pacific/Apia');
SELECT meter.closed_until('acme');
