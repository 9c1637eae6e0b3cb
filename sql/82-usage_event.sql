/* What was used: one row an event, which is never updated. */

CREATE FUNCTION meter.txid_epoch() RETURNS integer
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_txid_epoch';
COMMENT ON FUNCTION meter.txid_epoch() IS 'The epoch of this cluster''s transactions: 15 bits of its system identifier''s hash. It is the same on a standby, and another one after a logical restore into another cluster or an upgrade.';

/*
 * Constant inside a transaction, as pg_current_xact_id: a volatile default would
 * keep COPY from writing rows in batches. It may assign a transaction id, which
 * neither workers nor their leader may while they work.
 */
CREATE FUNCTION meter.txid() RETURNS bigint
LANGUAGE c STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'meter_txid';
COMMENT ON FUNCTION meter.txid() IS 'The number of the present transaction, as usage_event.txid has it: txid_epoch() above 48 bits of the full id of the top-level transaction, which gets one. An error on a standby.';

CREATE FUNCTION meter.refuse_transaction_block(procedure text) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'meter_refuse_transaction_block';
COMMENT ON FUNCTION meter.refuse_transaction_block(text) IS 'An error that names a procedure which commits, where its caller has begun a transaction (class 25).';

CREATE FUNCTION meter.is_countable(usage meter.usage, sign smallint) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_is_countable';
COMMENT ON FUNCTION meter.is_countable(meter.usage, smallint) IS 'Whether one event may have the usage: no quantity is negative (of sign -1: positive), and none is above 10^20 in size.';

CREATE TABLE meter.usage_event (
	customer_id text NOT NULL,
	event_id text NOT NULL,
	occurred_at timestamptz NOT NULL,
	item text,
	usage meter.usage NOT NULL,
	action text,
	variant text NOT NULL DEFAULT 'standard',
	outcome text,
	request_class text,
	user_id text,
	workflow_id text,
	tags jsonb,
	sign smallint NOT NULL DEFAULT 1,
	reverses text,
	received_at timestamptz NOT NULL DEFAULT now(),
	txid bigint NOT NULL DEFAULT meter.txid(),
	PRIMARY KEY (customer_id, event_id)
);

CREATE FUNCTION meter.is_event(event meter.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_is_event';
COMMENT ON FUNCTION meter.is_event(meter.usage_event) IS 'Whether a row can be an event: true, or an error (class 23) that says which rule it breaks, and by what. The event_id has 1 to 1000 bytes, all other names 1 to 255; the instant is in the years 1970 to 9999; the outcome is a known one and tags are an object; no quantity is negative (of sign -1: positive), and none is above 10^20 in size, so that every event can be rated and added up; sign is -1 exactly where the event reverses another. NULLs are left to the columns.';

/* One for all, by the row: every statement that writes one reads each constraint, and each column in it, from the catalogue. */
ALTER TABLE meter.usage_event ADD CONSTRAINT usage_event_is_sound CHECK (meter.is_event(usage_event));
CREATE UNIQUE INDEX usage_event_is_reversed_once ON meter.usage_event (customer_id, reverses) WHERE reverses IS NOT NULL;
/* One of both columns costs an insert half of what two of one each do. */
CREATE INDEX usage_event_txid_occurred_at_idx ON meter.usage_event USING brin (txid, occurred_at) WITH (pages_per_range = 256, autosummarize = on);
COMMENT ON TABLE meter.usage_event IS 'What was used, one row an event. COPY, INSERT, INSERT ... ON CONFLICT DO NOTHING, meter.record and meter.record_batch are all good ways in. The same event_id of a customer goes in once, whatever its time, so a retry is safe. A row is never updated: meter.void_event, meter.amend_event and meter.resolve_event correct one by a further row. Events of days before the horizon, when those are purged, are too late: meter.record refuses them, and others are left out and listed in meter.late_event. Whoever writes events needs INSERT on the columns customer_id to tags only: meter.allow_recording(role) grants that; sign, reverses, received_at and txid are the extension''s.';
COMMENT ON COLUMN meter.usage_event.customer_id IS 'Whose usage it is, at most 255 bytes. It need not be known to meter.customer.';
COMMENT ON COLUMN meter.usage_event.event_id IS 'The sender''s name of the event, unique for the customer until it is purged, at most 1000 bytes.';
COMMENT ON COLUMN meter.usage_event.occurred_at IS 'When it happened: the instant that it is rated at.';
COMMENT ON COLUMN meter.usage_event.item IS 'What was consumed, such as openai/gpt-4o. NULL: nothing that costs.';
COMMENT ON COLUMN meter.usage_event.usage IS 'How much: disjoint quantities by unit, none negative, none above 10^20. In a reversal none is positive.';
COMMENT ON COLUMN meter.usage_event.action IS 'What the customer did, such as summarise. Only the event that completes the action has a quantity of unit actions. NULL: nothing that takes credits.';
COMMENT ON COLUMN meter.usage_event.variant IS 'The way of consuming: standard (default), batch, priority, cached, byok or any other.';
COMMENT ON COLUMN meter.usage_event.outcome IS 'NULL or success; or failure, pending or disputed, which are not billed: they cost, and take no credits.';
COMMENT ON COLUMN meter.usage_event.request_class IS 'What reports group requests by, such as chat or agent.';
COMMENT ON COLUMN meter.usage_event.user_id IS 'The customer''s user.';
COMMENT ON COLUMN meter.usage_event.workflow_id IS 'The run that the event is a step of.';
COMMENT ON COLUMN meter.usage_event.tags IS 'Anything else, a JSON object.';
COMMENT ON COLUMN meter.usage_event.sign IS '1; or -1 of a reversal. The sum of sign counts events.';
COMMENT ON COLUMN meter.usage_event.reverses IS 'The event_id of the customer''s event that this one takes back; an event is reversed once. NULL of others.';
COMMENT ON COLUMN meter.usage_event.received_at IS 'When the transaction that stored it began.';
COMMENT ON COLUMN meter.usage_event.txid IS 'The transaction that stored it, by which the roll-up takes each event once: meter.txid(). Nobody writes it.';

CREATE VIEW meter.event_net AS
SELECT *
FROM meter.usage_event AS event
WHERE reverses IS NULL
	AND NOT EXISTS (
		SELECT FROM meter.usage_event AS reversal
		WHERE reversal.customer_id = event.customer_id
			AND reversal.reverses = event.event_id
			AND reversal.reverses IS NOT NULL)
	AND (occurred_at >= (SELECT clear_from FROM meter.horizon)
		OR coalesce(
			(SELECT least(meter.usage_date(event.occurred_at, span.timezone), span.last_date)
				FROM meter.customer_zone_span AS span
				WHERE span.customer_id = event.customer_id
					AND event.occurred_at >= span.starts
					AND event.occurred_at < span.ends),
			meter.usage_date(event.occurred_at, coalesce((SELECT timezone FROM meter.setting), 'UTC'))) >= (SELECT horizon FROM meter.horizon));
COMMENT ON VIEW meter.event_net IS 'The events that count, from the horizon on: without the reversed ones and their reversals. For what does not net by adding up, such as a maximum or a number of users; sums can be taken from meter.usage_event as well.';

CREATE TABLE meter.event_conflict (
	customer_id text NOT NULL,
	event_id text NOT NULL,
	digest text NOT NULL GENERATED ALWAYS AS (md5(content::text)) STORED,
	content jsonb NOT NULL
		CONSTRAINT event_conflict_content_is_an_object CHECK (jsonb_typeof(content) = 'object'),
	differs text[] NOT NULL
		CONSTRAINT event_conflict_differs_in_something CHECK (differs <> '{}'),
	times bigint NOT NULL DEFAULT 1
		CONSTRAINT event_conflict_times_is_positive CHECK (times > 0),
	first_at timestamptz NOT NULL DEFAULT now(),
	last_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (customer_id, event_id, digest)
);
COMMENT ON TABLE meter.event_conflict IS 'Events that meter.record and meter.record_batch kept out, because one of the same id but with other content was there. Look at each: it is usage that is not counted, or a sender that uses an id twice. Once it is dealt with, delete the row.';
COMMENT ON COLUMN meter.event_conflict.customer_id IS 'Whose usage it would be.';
COMMENT ON COLUMN meter.event_conflict.event_id IS 'The id that was taken.';
COMMENT ON COLUMN meter.event_conflict.digest IS 'The MD5 of content: the same one again is counted, not kept again.';
COMMENT ON COLUMN meter.event_conflict.content IS 'The event that was kept out, as meter.record_batch takes it.';
COMMENT ON COLUMN meter.event_conflict.differs IS 'The columns in which it differs from the stored one.';
COMMENT ON COLUMN meter.event_conflict.times IS 'How often it came.';
COMMENT ON COLUMN meter.event_conflict.first_at IS 'When it came first.';
COMMENT ON COLUMN meter.event_conflict.last_at IS 'When it came last.';

CREATE TABLE meter.audit_log (
	audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	done_by text NOT NULL DEFAULT session_user,
	operation text NOT NULL
		CONSTRAINT audit_log_operation_is_not_empty CHECK (operation <> ''),
	customer_id text,
	reason text,
	detail jsonb
);
COMMENT ON TABLE meter.audit_log IS 'Who did what to stored usage, when and why: one row an operation.';
COMMENT ON COLUMN meter.audit_log.audit_id IS 'A number to name the operation by.';
COMMENT ON COLUMN meter.audit_log.done_at IS 'When.';
COMMENT ON COLUMN meter.audit_log.done_by IS 'The role that was logged in.';
COMMENT ON COLUMN meter.audit_log.operation IS 'What: void, amend, resolve, void_events, restore_events, refund, purge_events, erase_customer.';
COMMENT ON COLUMN meter.audit_log.customer_id IS 'Whose usage. NULL: of several, or of all.';
COMMENT ON COLUMN meter.audit_log.reason IS 'Why, as the caller said.';
COMMENT ON COLUMN meter.audit_log.detail IS 'With what arguments and effect.';

CREATE TABLE meter.job (
	job_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	job text NOT NULL
		CONSTRAINT job_is_not_empty CHECK (job <> ''),
	state text NOT NULL DEFAULT 'running'
		CONSTRAINT job_state_is_known CHECK (state IN ('running', 'done', 'stopped')),
	done bigint NOT NULL DEFAULT 0
		CONSTRAINT job_done_is_not_negative CHECK (done >= 0),
	total bigint
		CONSTRAINT job_total_is_not_negative CHECK (total >= 0),
	started_by text NOT NULL DEFAULT session_user,
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE meter.job IS 'The runs of procedures that take long, such as meter.refresh. meter.job_progress shows how far they are.';
COMMENT ON COLUMN meter.job.job_id IS 'A number to name the run by.';
COMMENT ON COLUMN meter.job.job IS 'The procedure.';
COMMENT ON COLUMN meter.job.state IS 'running; done; or stopped, by an error, a cancellation or a crash: what it had done by then stays done. The next run of the procedure notices.';
COMMENT ON COLUMN meter.job.done IS 'How many events it has done; of refresh_attached, days.';
COMMENT ON COLUMN meter.job.total IS 'How many events there were to do when it began, of a large number about how many; of refresh_attached, days.';
COMMENT ON COLUMN meter.job.started_by IS 'The role that was logged in.';
COMMENT ON COLUMN meter.job.started_at IS 'When it began.';
COMMENT ON COLUMN meter.job.updated_at IS 'When it last finished a batch, or ended.';

CREATE VIEW meter.job_progress AS
SELECT
	job_id,
	job,
	state,
	done,
	total,
	round(done / nullif(extract(epoch FROM updated_at - started_at), 0)) AS rate,
	CASE
		WHEN state = 'running' AND done > 0 THEN (updated_at - started_at) * ((greatest(total, done) - done)::double precision / done)
	END AS time_left,
	started_by,
	started_at,
	updated_at
FROM meter.job
WHERE state = 'running'
	OR job_id IN (SELECT max(job_id) FROM meter.job GROUP BY job);
COMMENT ON VIEW meter.job_progress IS 'How far the jobs are that run, and the last run of each: events (of refresh_attached: days) done of the total when it began, rate in these a second, and the time left at that rate.';

SELECT pg_extension_config_dump('meter.usage_event', '');
SELECT pg_extension_config_dump('meter.event_conflict', '');
SELECT pg_extension_config_dump('meter.audit_log', '');
SELECT pg_extension_config_dump('meter.audit_log_audit_id_seq', '');
SELECT pg_extension_config_dump('meter.job', '');
SELECT pg_extension_config_dump('meter.job_job_id_seq', '');
