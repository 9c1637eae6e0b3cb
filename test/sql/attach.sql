-- Tables of one's own: reports include them without a copy, invoices do not, and what is no event is listed.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';

CREATE VIEW pg_temp.by_day AS
SELECT customer_id AS customer, usage_date, item, outcome, events, usage, cost, unpriced_cost
FROM meter.usage_by_day;
INSERT INTO meter.rate (item, unit, price, per) VALUES ('gpt', 'input_tokens', 2, 1000), ('gpt', 'output_tokens', 10, 1000);
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 5);

CREATE TABLE call (
	id bigint,
	tenant text,
	made_at timestamptz,
	model text,
	prompt integer,
	completion numeric,
	"user" text,
	status text,
	doc jsonb
);
CREATE INDEX ON call (made_at);
INSERT INTO call
SELECT n, 'c' || n % 3, timestamptz '2024-03-01 00:30+00' + n * interval '1 hour', 'gpt', n, n % 5, 'u' || n % 2, 'success', '{"k": 1}'
FROM generate_series(0, 99) AS n;

-- A column or an expression each; a column's name needs no quotes. It says what it is for.
SELECT meter.attach('call', customer => 'tenant', at => 'made_at', item => 'model',
	quantities => '{"input_tokens": "prompt", "output_tokens": "completion * 2", "requests": "1"}',
	event_id => 'id', outcome => 'lower(status)', user_id => 'user', tags => 'doc', action => '''chat''');
SELECT name, relation, kind, customer, at, item, quantities, user_id, outcome, window_days, serves, rolled_up_until FROM meter.attachment;
SELECT obj_description('meter.attached_call'::regclass);
SELECT customer_id, event_id, occurred_at, usage_date, item, usage, action, credited_action, variant, outcome, user_id, tags, live FROM meter.attached_event WHERE event_id IN ('0', '7') ORDER BY event_id;

-- The same as by plain SQL, before and after it is rolled up.
CREATE VIEW pg_temp.expected AS
SELECT tenant AS customer, made_at::date AS usage_date, 'gpt' AS item, 'success' AS outcome, count(*) AS events,
	meter.usage('input_tokens', sum(prompt), 'output_tokens', sum(completion * 2), 'requests', count(*)) AS usage,
	trim_scale(sum(prompt * 2 / 1000.0 + completion * 2 * 10 / 1000)) AS cost, 0::bigint AS unpriced_cost
FROM call
GROUP BY tenant, made_at::date;
(TABLE pg_temp.by_day EXCEPT TABLE pg_temp.expected) UNION ALL (TABLE pg_temp.expected EXCEPT TABLE pg_temp.by_day);
SELECT customer, usage_date, events, usage, cost FROM pg_temp.by_day WHERE customer = 'c1' ORDER BY usage_date;
SELECT customer_id, usage_month, events, credits FROM meter.usage_by_month ORDER BY customer_id;
CALL meter.refresh_attached(batch_days => 2);
SELECT attachment, count(*), sum(events), min(source_date), max(source_date) FROM meter.attached_daily GROUP BY attachment;
SELECT rolled_up_until = timezone('UTC', now())::date - 7 AS rolled_up, rolling_until FROM meter.attachment;
SELECT count(*) FILTER (WHERE live) AS live, count(*) FILTER (WHERE NOT live) AS rolled_up, count(*) FILTER (WHERE due) AS due FROM meter.attached_event;
(TABLE pg_temp.by_day EXCEPT TABLE pg_temp.expected) UNION ALL (TABLE pg_temp.expected EXCEPT TABLE pg_temp.by_day);
SELECT job, state, done = total AS all_done, done > 600 AS counts_days FROM meter.job_progress;
SELECT * FROM meter.audit();
SELECT * FROM meter.audit(dates => '[2024-01-01,)');
-- Nothing more to do is no job.
CALL meter.refresh_attached('call');
SELECT count(*) FROM meter.job;

-- New rows are there at once, whether refreshed or not; meter.refresh brings attached tables along.
INSERT INTO call VALUES (1000, 'c1', now(), 'gpt', 10, 1, 'u', 'success', NULL);
SELECT sum(events), sum(usage) FROM pg_temp.by_day WHERE usage_date > '2024-12-31';
CALL meter.refresh();
SELECT sum(events), sum(usage) FROM pg_temp.by_day WHERE usage_date > '2024-12-31';
SELECT meter.refresh_now();
-- The window: what is younger is read from the table, to the instant.
INSERT INTO call
SELECT 2000 + n, 'edge', timestamptz '2024-03-01 00:30+00', 'gpt', 1, 0, NULL, NULL, NULL FROM generate_series(0, 0) AS n;
UPDATE call SET made_at = timezone('UTC', (timezone('UTC', now())::date - 7)::timestamp) - interval '1 microsecond' WHERE id = 2000;
SELECT sum(events) FROM pg_temp.by_day WHERE customer = 'edge';
UPDATE call SET made_at = made_at + interval '1 microsecond' WHERE id = 2000;
SELECT sum(events) FROM pg_temp.by_day WHERE customer = 'edge';
DELETE FROM call WHERE id >= 1000;

-- A row that comes too late is not reported; the audit shows it; rolling up anew from its date on takes it in.
INSERT INTO call VALUES (3000, 'late', '2024-03-02 12:00+00', 'gpt', 100, 1, 'u', 'success', NULL);
SELECT * FROM pg_temp.by_day WHERE customer = 'late';
SELECT of_customer, usage_date, item, shown, rebuilt FROM meter.audit(dates => '[2024-03-01,2024-04-01)');
SELECT attachment, of_customer FROM meter.audit_attached('late', '[2024-03-02,2024-03-03)');
SELECT count(*) FROM meter.audit();
CALL meter.refresh_attached('call', since => '2024-03-02');
SELECT * FROM pg_temp.by_day WHERE customer = 'late';
(TABLE pg_temp.by_day EXCEPT TABLE pg_temp.expected) UNION ALL (TABLE pg_temp.expected EXCEPT TABLE pg_temp.by_day);
-- Days stay as they were when a rate changes, until they are rolled up anew.
UPDATE meter.rate SET price = 4 WHERE unit = 'input_tokens';
SELECT cost FROM pg_temp.by_day WHERE customer = 'late';
CALL meter.refresh_attached('call', since => '-infinity', batch_days => 100000);
SELECT cost FROM pg_temp.by_day WHERE customer = 'late';
UPDATE meter.rate SET price = 2 WHERE unit = 'input_tokens';
CALL meter.refresh_attached('call', since => '2024-03-01');
-- What the table has lost is kept, and not rolled up anew.
DELETE FROM call WHERE made_at < '2024-03-02 00:00+00' OR id = 3000;
CALL meter.refresh_attached('call', since => '2024-03-01');
CALL meter.refresh_attached('call', since => '2024-03-03');
SELECT sum(events) FROM pg_temp.by_day;
SELECT sum(events) FROM pg_temp.by_day WHERE usage_date = '2024-03-01';
-- A mistaken call.
CALL meter.refresh_attached('none');
CALL meter.refresh_attached(batch_days => 0);
CALL meter.refresh_attached(since => '2024-03-01');

-- A customer that moves is not counted twice: days are rolled up by instants.
CREATE TABLE moved (customer text, at timestamptz, tokens integer);
INSERT INTO moved SELECT 'm', timezone('UTC', (timezone('UTC', now())::date - 3)::timestamp) + n * interval '1 hour', 1 FROM generate_series(-30, 30) AS n;
SELECT meter.attach('moved', 'customer', 'at', quantities => '{"input_tokens": "tokens"}', window_days => 3);
CALL meter.refresh_attached('moved');
SELECT sum(events) FILTER (WHERE NOT live) AS rolled_up, sum(events) FILTER (WHERE live) AS live
FROM (SELECT live, count(*) AS events FROM meter.attached_event WHERE attachment = 'moved' GROUP BY live) AS part;
INSERT INTO meter.customer_zone VALUES ('m', '-infinity', 'Asia/Tokyo');
SELECT sum(events), sum(usage) FROM pg_temp.by_day WHERE customer = 'm';
SELECT count(*) > 0 AS dated_otherwise FROM meter.audit('m', '(,)');
SELECT sum((shown ->> 'events')::bigint) - sum((rebuilt ->> 'events')::bigint) AS difference FROM meter.audit('m', '(,)');
UPDATE meter.customer_zone SET timezone = 'America/Los_Angeles';
SELECT sum(events), sum(usage) FROM pg_temp.by_day WHERE customer = 'm';
CALL meter.refresh_attached('moved', since => '-infinity');
SELECT sum(events), sum(usage) FROM pg_temp.by_day WHERE customer = 'm';
SELECT * FROM meter.audit('m', '(,)');
DELETE FROM meter.customer_zone;
SELECT meter.detach('moved');

-- With events of one's own the rows are one; what is billed has only those.
SELECT meter.record('c1', 'own', '2024-03-03 12:00+00', 'gpt', '{"input_tokens": 1000}', outcome => 'success', action => 'chat');
SELECT meter.record('c9', 'own', '2024-03-03 12:00+00', 'unrated', '{"input_tokens": 7}');
SELECT 'usage_by_day' AS of_view, events, usage, cost, credits FROM meter.usage_by_day WHERE customer_id = 'c1' AND usage_date = '2024-03-03'
UNION ALL SELECT 'event_by_day', events, usage, cost, credits FROM meter.event_by_day WHERE customer_id = 'c1' AND usage_date = '2024-03-03'
UNION ALL SELECT 'attached_by_day', events, usage, cost, credits FROM meter.attached_by_day WHERE customer_id = 'c1' AND usage_date = '2024-03-03';
SELECT sum(events) AS billed FROM meter.event_by_day;
SELECT events, cost, credits FROM meter.cost_by_day WHERE customer_id = 'c1' AND usage_date = '2024-03-03'
UNION ALL SELECT events, cost, credits FROM meter.event_cost_by_day WHERE customer_id = 'c1' AND usage_date = '2024-03-03';
CALL meter.refresh();
-- Every view says the same, with a key once.
SELECT count(*) - count(DISTINCT (customer_id, usage_date, item, action, variant, outcome, request_class)) AS twice, sum(events) AS events, sum(cost) AS cost FROM meter.usage_by_day
UNION ALL SELECT count(*) - count(DISTINCT (customer_id, usage_date)), sum(events), sum(cost) FROM meter.cost_by_day
UNION ALL SELECT 0, sum(events), sum(cost) FROM meter.usage_part
UNION ALL SELECT 0, sum(events), sum(cost) FROM meter.cost_part
UNION ALL SELECT 0, sum(events), sum(cost) FROM meter.usage_by_month
UNION ALL SELECT 0, sum(events), sum(cost) FROM (SELECT events, cost FROM meter.event_by_day UNION ALL SELECT events, cost FROM meter.attached_by_day) AS part;

-- What is unknown or has no rate shows up, rolled up or not.
INSERT INTO call VALUES (4000, 'new', now(), 'unrated', 5, 0, NULL, NULL, NULL), (4001, 'new', now(), 'unrated', 6, 0, NULL, NULL, NULL);
INSERT INTO call VALUES (4002, 'new', '2024-06-01', 'unrated', 50, 0, NULL, NULL, NULL);
CALL meter.refresh_attached('call', since => '2024-06-01');
SELECT kind, name, events FROM meter.unknown_name ORDER BY kind, name;
SELECT card, item, variant, unit, quantity, events, first_date FROM meter.unpriced_usage ORDER BY card, item, unit;
SELECT unpriced_cost FROM pg_temp.by_day WHERE customer = 'new' ORDER BY usage_date;
TABLE meter.attached_problem;
INSERT INTO meter.rate (item, unit, price) VALUES ('unrated', '*', 1);
SELECT usage_date > '2024-12-31' AS live, cost, unpriced_cost FROM pg_temp.by_day WHERE customer = 'new' ORDER BY usage_date;
CALL meter.refresh_attached('call', since => '2024-06-01');
SELECT usage_date > '2024-12-31' AS live, cost, unpriced_cost FROM pg_temp.by_day WHERE customer = 'new' ORDER BY usage_date;
TABLE meter.attached_problem;
TABLE meter.unpriced_usage;
DELETE FROM call WHERE tenant = 'new';

-- Values that no event can have are left out, listed and counted, and fail no report.
CREATE TABLE wild (id integer, customer text, at timestamp, item text, quantity numeric, whole bigint, outcome text, tags jsonb, variant text);
INSERT INTO wild VALUES
	(1, 'w', '2024-05-01 12:00', 'gpt', 1, 1, NULL, NULL, NULL),
	(2, NULL, '2024-05-01 12:00', 'gpt', 1, 1, NULL, NULL, NULL),
	(3, '', '2024-05-01 12:00', 'gpt', 1, 1, NULL, NULL, NULL),
	(4, repeat('w', 256), '2024-05-01 12:00', 'gpt', 1, 1, NULL, NULL, NULL),
	(5, 'w', NULL, 'gpt', 1, 1, NULL, NULL, NULL),
	(6, 'w', 'infinity', 'gpt', 1, 1, NULL, NULL, NULL),
	(7, 'w', '1969-12-31 23:59', 'gpt', 1, 1, NULL, NULL, NULL),
	(8, 'w', '2024-05-01 12:00', '', 1, 1, NULL, NULL, NULL),
	(9, 'w', '2024-05-01 12:00', 'gpt', -1, 1, NULL, NULL, NULL),
	(10, 'w', '2024-05-01 12:00', 'gpt', 'NaN', 1, NULL, NULL, NULL),
	(11, 'w', '2024-05-01 12:00', 'gpt', 'Infinity', 1, NULL, NULL, NULL),
	(12, 'w', '2024-05-01 12:00', 'gpt', 0.1234567890123, 1, NULL, NULL, NULL),
	(13, 'w', '2024-05-01 12:00', 'gpt', 100000000000000000001, 1, NULL, NULL, NULL),
	(14, 'w', '2024-05-01 12:00', 'gpt', 1, -1, NULL, NULL, NULL),
	(15, 'w', '2024-05-01 12:00', 'gpt', 1, 1, 'refunded', NULL, NULL),
	(16, 'w', '2024-05-01 12:00', 'gpt', 1, 1, NULL, '[1]', NULL),
	(17, 'w', '2024-05-01 12:00', 'gpt', 1, 1, NULL, NULL, ''),
	(18, 'w', '2024-05-01 12:00', 'gpt', NULL, NULL, 'success', '{}', 'batch'),
	(19, 'w', '2024-05-01 12:00', 'gpt', 100000000000000000000, 9223372036854775807, NULL, NULL, NULL),
	(20, 'w', '2024-05-01 12:00', 'gpt', 0.123456789012000, 0, NULL, NULL, NULL);
SELECT meter.attach('wild', 'customer', 'at', 'item', quantities => '{"gib": "quantity", "input_tokens": "whole"}', event_id => 'id', outcome => 'outcome', tags => 'tags', variant => 'variant');
SELECT attachment, event_id, problem, row ->> 'id' AS id FROM meter.attached_problem ORDER BY event_id::integer;
SELECT variant, outcome, events, usage FROM meter.usage_by_day WHERE customer_id = 'w' ORDER BY variant, outcome;
CALL meter.refresh_attached();
SELECT variant, outcome, events, usage FROM meter.usage_by_day WHERE customer_id = 'w' ORDER BY variant, outcome;
SELECT * FROM meter.audit('w', '(,)');
SELECT meter.detach('wild');
-- The same of a usage.
SELECT meter.attach('wild', 'coalesce(nullif(customer, ''''), ''nobody'')', 'at', usage => 'CASE WHEN abs(quantity) < 5 AND id <> 12 THEN meter.usage(''gib'', quantity, ''input_tokens'', whole) END', event_id => 'id', filter => 'id IN (1, 2, 9, 10, 14)');
SELECT event_id, problem FROM meter.attached_problem ORDER BY event_id::integer;
SELECT customer_id, events, usage FROM meter.attached_by_day WHERE attachment = 'wild' ORDER BY customer_id;
SELECT meter.detach('wild');
DROP TABLE wild;

-- Timestamps without a zone are in the attachment's, through changes of the clock.
CREATE TABLE local (customer text, at timestamp, tokens integer);
CREATE INDEX ON local (at);
INSERT INTO local VALUES ('l', '2024-03-31 01:59', 1), ('l', '2024-03-31 03:00', 2), ('l', '2024-10-27 02:30', 4), ('l', '2024-10-27 00:30', 8);
SELECT meter.attach('local', 'customer', 'at', quantities => '{"input_tokens": "tokens"}', timezone => 'Europe/Berlin');
SELECT occurred_at, usage_date, usage FROM meter.attached_event WHERE attachment = 'local' ORDER BY occurred_at;
CALL meter.refresh_attached('local', batch_days => 1000);
SELECT source_date, usage FROM meter.attached_daily WHERE attachment = 'local' ORDER BY source_date;
SELECT usage_date, usage FROM meter.attached_by_day WHERE attachment = 'local' ORDER BY usage_date;
INSERT INTO local
SELECT 'now', timezone('Europe/Berlin', timezone('UTC', (timezone('UTC', now())::date - 7)::timestamp)) + n * interval '20 minutes', 1 FROM generate_series(-9, 9) AS n;
SELECT sum(events) FROM meter.attached_by_day WHERE customer_id = 'now';
SELECT meter.detach('local');
SELECT meter.attach('local', 'customer', 'at', quantities => '{"input_tokens": "tokens"}', timezone => 'Mars/Olympus');
DROP TABLE local;

-- Views, partitioned, foreign tables and materialized views.
CREATE VIEW call_view AS SELECT *, prompt + 1 AS more FROM call;
CREATE MATERIALIZED VIEW call_kept AS SELECT * FROM call;
CREATE TABLE part (customer text, at timestamptz, tokens integer) PARTITION BY RANGE (at);
CREATE TABLE part_2024 PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE part_rest PARTITION OF part DEFAULT;
INSERT INTO part VALUES ('p', '2024-01-01', 1), ('p', now(), 2);
SELECT meter.attach('call_view', 'tenant', 'made_at', 'model', quantities => '{"input_tokens": "more"}');
SELECT meter.attach('call_kept', 'tenant', 'made_at', 'model', quantities => '{"input_tokens": "prompt"}');
SELECT meter.attach('part', 'customer', 'at', quantities => '{"input_tokens": "tokens"}');
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
	EXECUTE format('CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname %L, host %L, port %L)',
		current_database(), split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'));
	CREATE USER MAPPING FOR CURRENT_USER SERVER here;
END
$$;
CREATE FOREIGN TABLE part_far (customer text, at timestamptz, tokens integer) SERVER here OPTIONS (table_name 'part');
SELECT meter.attach('part_far', 'customer', 'at', quantities => '{"input_tokens": "tokens"}', name => 'far');
SELECT attachment, sum(events) AS events, (sum(usage) -> 'input_tokens') AS tokens FROM meter.attached_by_day GROUP BY attachment ORDER BY attachment;
CALL meter.refresh_attached(batch_days => 10000);
SELECT attachment, sum(events) AS events, (sum(usage) -> 'input_tokens') AS tokens FROM meter.attached_by_day GROUP BY attachment ORDER BY attachment;
-- Two that read the same count it twice, and it is said.
SELECT meter.attach('part', 'customer', 'at', quantities => '{"input_tokens": "tokens"}', name => 'part_again');
SELECT meter.detach(name) FROM meter.attachment WHERE name IN ('call_view', 'call_kept', 'part', 'part_again', 'far');
DROP TABLE part CASCADE;
DROP FOREIGN TABLE part_far;
DROP SERVER here CASCADE;
DROP VIEW call_view;
DROP MATERIALIZED VIEW call_kept;

-- What cannot be attached.
\set VERBOSITY default
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt"}');
SELECT meter.attach('call', 'tennant', 'made_at', quantities => '{"input_tokens": "prompt"}', name => 'x');
\set VERBOSITY terse
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt +"}', name => 'x');
SELECT meter.attach('call', 'tenant -- the customer', 'made_at /* UTC */', quantities => '{"input_tokens": "payload::integer -- a number"}', payload => 'to_jsonb(prompt) -- as JSON', filter => 'true -- all', name => 'x');
SELECT meter.detach('x');
SELECT meter.attach('call', 'payload ->> ''x''', 'made_at', quantities => '{"input_tokens": "prompt"}', payload => 'doc', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt"}', payload => 'model', name => 'x');
SELECT meter.attach('call', 'tenant) FROM meter.rate; DELETE FROM call; SELECT (1', 'made_at', quantities => '{"input_tokens": "prompt"}', name => 'x');
SELECT meter.attach('call', '(SELECT min(card) FROM meter.card)', 'made_at', quantities => '{"input_tokens": "prompt"}', name => 'x');
SELECT meter.attach('call', 'tenant', 'max(made_at)', quantities => '{"input_tokens": "prompt"}', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "generate_series(1, 2)"}', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "rate.price"}', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt::float8"}', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at::date', quantities => '{"input_tokens": "prompt"}', name => 'x');
SELECT meter.attach('call', 'doc', 'made_at', quantities => '{"input_tokens": "prompt"}', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', 'prompt', quantities => '{"input_tokens": "prompt"}', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', usage => 'doc', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt"}', tags => 'model', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt"}', filter => 'model', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"Input": "prompt"}', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": 1}', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{}', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt"}', usage => 'doc', name => 'x');
SELECT meter.attach('call', 'tenant', NULL, quantities => '{"input_tokens": "prompt"}', name => 'x');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt"}', name => 'No');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt"}', name => 'daily');
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt"}', name => 'x', window_days => -1);
SELECT meter.attach('meter.usage_event', 'customer_id', 'occurred_at', 'item', usage => 'usage');
SELECT meter.attach('pg_temp.by_day', 'customer', 'now()', usage => 'usage');
SELECT meter.attach(NULL, 'tenant', 'made_at', usage => 'doc');
SELECT meter.detach('x');
SELECT count(*), (SELECT count(*) FROM call) > 0 AS nothing_done FROM meter.attachment;

-- A column that is read stays as it is; detached with its days kept, it can be changed, and goes on.
ALTER TABLE call ALTER COLUMN prompt TYPE bigint;
DROP TABLE call;
DROP VIEW pg_temp.expected;
SELECT sum(events) AS before FROM meter.attached_by_day;
INSERT INTO call VALUES (5000, 'c1', now(), 'gpt', 10, 1, 'u', 'success', NULL);
SELECT meter.detach('call', keep_days => true);
SELECT sum(events) AS kept FROM meter.attached_by_day;
SELECT connected, rolled_up_until IS NOT NULL AS rolled_up FROM meter.attachment;
CALL meter.refresh_attached('call');
ALTER TABLE call ALTER COLUMN prompt TYPE bigint;
SELECT meter.attach('call', 'tenant', 'made_at', 'model', quantities => '{"input_tokens": "prompt", "output_tokens": "completion * 2", "requests": "1"}', outcome => 'status', action => '''chat''');
SELECT sum(events) AS again FROM meter.attached_by_day;
DELETE FROM call WHERE id = 5000;

-- An expression that fails keeps no other attachment from being rolled up.
CREATE TABLE bad (customer text, at timestamptz, tokens integer);
INSERT INTO bad VALUES ('b', '2024-01-01', 0);
SELECT meter.attach('bad', 'customer', 'at', quantities => '{"input_tokens": "1 / tokens"}');
INSERT INTO call VALUES (6000, 'c1', '2024-07-01', 'gpt', 10, 1, 'u', 'success', NULL);
CALL meter.refresh_attached('call', since => '2024-07-01');
UPDATE meter.attachment SET rolled_up_until = '2024-07-01' WHERE name = 'call';
DELETE FROM meter.attached_daily WHERE attachment = 'call' AND source_date >= '2024-07-01';
CALL meter.refresh_attached();
SELECT name, rolled_up_until > '2024-07-01' AS rolled_up FROM meter.attachment ORDER BY name;
SELECT job, state FROM meter.job_progress WHERE job LIKE 'refresh_attached%' ORDER BY job;
SELECT meter.detach('bad');
DROP TABLE bad;

-- Only whom the extension belongs to attaches; who reads the reports needs no right on the table.
CREATE ROLE regress_meter_reports;
GRANT SELECT ON meter.usage_by_day TO regress_meter_reports;
GRANT CREATE ON SCHEMA public TO regress_meter_reports;
SET ROLE regress_meter_reports;
SELECT sum(events) > 0 AS reported FROM meter.usage_by_day WHERE customer_id = 'c1';
SELECT count(*) FROM meter.attached_call;
SELECT count(*) FROM meter.attached_event;
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt"}', name => 'x');
RESET ROLE;
GRANT EXECUTE ON FUNCTION meter.attach TO regress_meter_reports;
SET ROLE regress_meter_reports;
SELECT meter.attach('call', 'tenant', 'made_at', quantities => '{"input_tokens": "prompt"}', name => 'x');
RESET ROLE;
DROP OWNED BY regress_meter_reports;
DROP ROLE regress_meter_reports;

-- With nothing attached, nothing is left.
SELECT meter.detach('call');
SELECT (SELECT count(*) FROM meter.attachment), (SELECT count(*) FROM meter.attached_daily), (SELECT count(*) FROM meter.attached_row), (SELECT count(*) FROM meter.attached_problem);
SELECT to_regclass('meter.attached_call');
TABLE meter.is_attached;
-- All that reads attached tables: reports. Nothing that bills may be among them; it reads meter.event_part and the like.
WITH RECURSIVE reads AS (
	SELECT 'pg_class'::regclass::oid AS classid, 'meter.attached_row'::regclass::oid AS objid
	UNION
	SELECT
		CASE WHEN pg_rewrite.oid IS NULL THEN pg_depend.classid ELSE 'pg_class'::regclass END,
		coalesce(pg_rewrite.ev_class, pg_depend.objid)
	FROM reads
	JOIN pg_depend ON refclassid = reads.classid
		AND refobjid = reads.objid
		AND deptype = 'n'
	LEFT JOIN pg_rewrite ON pg_depend.classid = 'pg_rewrite'::regclass
		AND pg_rewrite.oid = pg_depend.objid
)
SELECT pg_describe_object(classid, objid, 0) AS reads_attached
FROM reads
WHERE pg_describe_object(classid, objid, 0) LIKE '% meter.%'
ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C";
TABLE meter.usage_by_day EXCEPT TABLE meter.event_by_day;
TABLE meter.cost_by_day EXCEPT TABLE meter.event_cost_by_day;
-- Nor is anything planned for it.
CREATE FUNCTION pg_temp.reads_attached(query text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan::text LIKE '%attach%';
END
$$;
SELECT view, pg_temp.reads_attached('SELECT * FROM meter.' || view)
FROM unnest('{usage_by_day,cost_by_day,usage_part,cost_part,usage_by_month}'::text[]) AS view;
DROP TABLE call;

-- Instants that have no date, or are none in a zone, fail no report, whatever is evaluated first. Of the only table
-- that is attached, dates may be.
CREATE TABLE wild (id integer, customer text, at timestamptz, clock timestamp, quantity numeric);
INSERT INTO wild
SELECT row_number() OVER (), 'w', timezone('UTC', time), time, 1
FROM unnest('{infinity, -infinity, 4714-11-24 BC, 1969-12-30, 2024-05-01 12:00, 10000-01-03, 294276-12-31 23:59}'::timestamp[]) AS time;
INSERT INTO wild SELECT 100 + n, 'v' || n % 10, '2024-05-02 12:00+00', '2024-05-02 12:00', 1 FROM generate_series(1, 2000) AS n;
CREATE INDEX ON wild (at);
INSERT INTO meter.customer_zone SELECT 'v' || n, '-infinity', 'UTC' FROM generate_series(1, 3) AS n;
ANALYZE wild, meter.customer_zone, meter.setting, meter.attachment;
SELECT meter.attach('wild', 'customer', 'at', quantities => '{"gib": "quantity", "requests": "1"}', event_id => 'id', name => 'wild_at');
SELECT usage_date, sum(events) AS events FROM meter.attached_by_day WHERE usage_date BETWEEN '2024-01-01' AND '2024-12-31' GROUP BY usage_date ORDER BY usage_date;
SELECT count(*) FROM meter.attached_event WHERE usage_date = '2024-05-01';
SELECT meter.attach('wild', 'customer', 'clock', quantities => '{"gib": "quantity", "requests": "1"}', event_id => 'id', timezone => 'America/St_Johns', name => 'wild_west');
SELECT meter.attach('wild', 'customer', 'clock', quantities => '{"gib": "quantity", "requests": "1"}', event_id => 'id', timezone => 'Asia/Tokyo', name => 'wild_east');
SELECT attachment, usage_date, sum(events) AS events FROM meter.attached_by_day WHERE usage_date BETWEEN '2024-01-01' AND '2024-12-31' GROUP BY attachment, usage_date ORDER BY attachment, usage_date;
SELECT attachment, count(*) FROM meter.attached_event WHERE usage_date = '2024-05-01' GROUP BY attachment ORDER BY attachment;
SELECT month, events FROM meter.customer_cost WHERE customer_id = 'w' AND month < '2025-01-01';
SELECT attachment, event_id, problem FROM meter.attached_problem ORDER BY attachment, event_id::integer;
-- A range of instants still finds the rows by the table's own index.
SET enable_seqscan = off;
DO $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) SELECT FROM meter.attached_event WHERE attachment = ''wild_at'' AND occurred_at >= ''2024-05-01 00:00+00'' AND occurred_at < ''2024-05-02 00:00+00''' LOOP
		IF line LIKE '%Index Cond: ((at >= %' THEN
			RAISE NOTICE '%', trim(line);
		END IF;
	END LOOP;
END
$$;
RESET enable_seqscan;
CALL meter.refresh_attached();
SELECT attachment, sum(events) AS events FROM meter.attached_by_day WHERE attachment LIKE 'wild%' AND usage_date >= '2024-01-01' GROUP BY attachment ORDER BY attachment;
SELECT meter.detach(name) FROM meter.attachment WHERE name LIKE 'wild%';
DELETE FROM meter.customer_zone WHERE customer_id LIKE 'v_';
DROP TABLE wild;

-- What is attached takes the extension with it where it is dropped by CASCADE, by its owner too: the event trigger of
-- docs/attach.md refuses that, and lets through what is meant.
CREATE SCHEMA guard;
CREATE FUNCTION guard.keep_meter() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_type = 'extension' AND object_identity = 'meter' AND NOT original) THEN
		RAISE EXCEPTION 'this would drop extension meter, with all events and invoices';
	END IF;
END
$$;
CREATE EVENT TRIGGER keep_meter ON sql_drop EXECUTE FUNCTION guard.keep_meter();
CREATE SCHEMA app
CREATE TABLE request (tenant text, made_at timestamptz);
\set VERBOSITY default
SELECT meter.attach('app.request', 'tenant', 'made_at', quantities => '{"requests": "1"}');
\set VERBOSITY terse
DROP TABLE app.request;
ALTER TABLE app.request DROP COLUMN tenant;
SET client_min_messages = warning;
DROP TABLE app.request CASCADE;
ALTER TABLE app.request DROP COLUMN tenant CASCADE;
DROP SCHEMA app CASCADE;
DROP EXTENSION btree_gist CASCADE;
BEGIN;
DROP EXTENSION meter CASCADE;
SELECT count(*) FROM pg_extension WHERE extname = 'meter';
ROLLBACK;
SELECT meter.detach('request');
DROP TABLE app.request CASCADE;
SELECT count(*) FROM pg_extension WHERE extname = 'meter';
DROP EVENT TRIGGER keep_meter;
