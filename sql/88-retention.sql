/*
 * Retention: events of old days are deleted and their sums stay, and a customer is
 * forgotten while the money stays.
 *
 * A purge first moves the horizon, which is a short transaction under the lock of the
 * roll-up: from then on nothing changes a day before it, and whatever of such a day
 * commits later is too late. Then it deletes, batch by batch, and holds no lock that
 * anybody but another purge waits for.
 */

CREATE FUNCTION meter.purgeable_until(customer_id text) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	WITH reach AS (
		SELECT least(
			coalesce((SELECT account.billed_until FROM meter.billing_account AS account WHERE account.customer_id = purgeable_until.customer_id), '-infinity'),
			(SELECT min(mark.since) FROM meter.invoice_mark AS mark WHERE mark.customer_id = purgeable_until.customer_id)) AS since
	)
	SELECT coalesce(min(CASE WHEN reach.since < lower(subscription.valid) THEN lower(subscription.valid) ELSE greatest(lower(subscription.valid), meter.period_start(reach.since, subscription.anchor, plan.every)) END), 'infinity')
	FROM reach
	JOIN meter.subscription
		ON subscription.customer_id = purgeable_until.customer_id
		AND NOT isempty(subscription.valid)
		AND (upper_inf(subscription.valid) OR upper(subscription.valid) > reach.since)
	JOIN meter.plan USING (plan, version);
END;
COMMENT ON FUNCTION meter.purgeable_until(text) IS 'The date before which the customer''s events may be purged: the start of its first period that is not invoiced yet, or has to be rated again. infinity for one that is never invoiced any more.';

CREATE FUNCTION meter.keep_before_purge(horizon date, before date) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM meter.carry_events(before);
END
$$;
COMMENT ON FUNCTION meter.keep_before_purge(date, date) IS 'Keeps what is needed of the events of days from the present horizon until before the next one, besides usage_daily: what recurring metrics go on from. Called before the horizon is moved, and all such events are rolled up and there.';

/* By facts alone, which nobody but a purge makes: so nothing has to say that it is one. */
CREATE FUNCTION meter.is_purgeable(usage_date date, txid bigint, received_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT is_purgeable.usage_date < latest.horizon
		AND (is_purgeable.received_at < timezone('UTC', latest.horizon::timestamp)
			OR NOT EXISTS (
				SELECT FROM meter.purge_horizon AS passed
				WHERE passed.horizon > is_purgeable.usage_date
					AND NOT passed.txids @> is_purgeable.txid))
	FROM meter.horizon AS latest;
END;
COMMENT ON FUNCTION meter.is_purgeable(date, bigint, timestamptz) IS 'Whether an event is to be deleted: one of a day before the horizon that was rolled up, or that came too late, and before the horizon as well.';

CREATE VIEW meter.purgeable_event AS
SELECT event.ctid AS place, event.customer_id, event.event_id, event.occurred_at
FROM (
	SELECT
		event.ctid, event.customer_id, event.event_id, event.occurred_at, event.received_at, event.txid,
		least(meter.usage_date(event.occurred_at, coalesce(span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), span.last_date) AS usage_date
	FROM meter.usage_event AS event
	LEFT JOIN meter.customer_zone_span AS span
		ON span.customer_id = event.customer_id
		AND event.occurred_at >= span.starts
		AND event.occurred_at < span.ends
) AS event
WHERE event.occurred_at < (SELECT clear_from FROM meter.horizon)
	AND event.usage_date < (SELECT horizon FROM meter.horizon)
	AND ((SELECT txids FROM meter.horizon) @> event.txid OR meter.is_purgeable(event.usage_date, event.txid, event.received_at));
COMMENT ON VIEW meter.purgeable_event IS 'The events that a purge has still to delete: after it none.';

CREATE VIEW meter.late_event AS
SELECT
	event.customer_id,
	event.event_id,
	event.occurred_at,
	late.usage_date,
	event.item,
	event.usage,
	event.action,
	event.variant,
	event.outcome,
	event.request_class,
	event.user_id,
	event.workflow_id,
	event.tags,
	event.sign,
	event.reverses,
	event.received_at,
	event.txid
FROM meter.usage_event AS event
LEFT JOIN meter.customer_zone_span AS span
	ON span.customer_id = event.customer_id
	AND event.occurred_at >= span.starts
	AND event.occurred_at < span.ends
CROSS JOIN LATERAL (
	SELECT least(meter.usage_date(event.occurred_at, coalesce(span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), span.last_date) AS usage_date
) AS late
WHERE event.occurred_at < (SELECT clear_from FROM meter.horizon)
	AND late.usage_date < (SELECT horizon FROM meter.horizon)
	AND NOT (SELECT txids FROM meter.horizon) @> event.txid
	AND EXISTS (
		SELECT FROM meter.purge_horizon AS passed
		WHERE passed.horizon > late.usage_date
			AND NOT passed.txids @> event.txid);
COMMENT ON VIEW meter.late_event IS 'Events that came by COPY or INSERT after the horizon had passed their day: they count nowhere, as nobody can say whether they were among the purged ones. A retry of those needs nothing. For what is really new, record an event of today that makes up for it. They go with a purge whose horizon has passed the day on which they came.';

CREATE VIEW meter.purged_use AS
WITH used AS (
	SELECT 'cost' AS card, item
	FROM meter.usage_daily
	WHERE usage_date < (SELECT horizon FROM meter.horizon)
		AND item IS NOT NULL
	UNION
	SELECT 'credit', action
	FROM meter.usage_daily
	WHERE usage_date < (SELECT horizon FROM meter.horizon)
		AND action IS NOT NULL
)
SELECT card, item, (SELECT starts FROM meter.horizon) AS horizon
FROM used;
COMMENT ON VIEW meter.purged_use IS 'Which items of card cost and actions of card credit were used on purged days: their rates can change from horizon on only.';

CREATE FUNCTION meter.move_horizon(before date) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	latest date;
	blocking record;
BEGIN
	/* Whoever changes what old days depend on has finished, and sees what comes now. Then the roll-up stands still. */
	UPDATE meter.horizon_lock SET horizon = horizon;
	IF NOT FOUND THEN
		INSERT INTO meter.horizon_lock VALUES ('-infinity');
	END IF;
	PERFORM meter.lock_usage_daily();
	latest := (SELECT horizon.horizon FROM meter.horizon);
	IF before <= latest THEN
		UPDATE meter.horizon_lock SET horizon = latest;
		RETURN;
	END IF;

	IF EXISTS (SELECT FROM meter.usage_mark WHERE since < before AND until > latest) THEN
		RAISE EXCEPTION 'days before % are marked: their roll-up is not what the rates and zones say', before
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'CALL meter.refresh(), and purge again.';
	END IF;
	SELECT count(*) AS events, min(event.usage_date) AS first_date INTO blocking
	FROM meter.unconsumed_event AS event
	WHERE event.occurred_at < timezone('UTC', (before + 3)::timestamp)
		AND event.usage_date < before;
	IF blocking.events > 0 THEN
		RAISE EXCEPTION '% events before % are not rolled up', blocking.events, before
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('The first one is of %s.', blocking.first_date),
				HINT = 'CALL meter.refresh(), and purge again. Open transactions may hold events back from it.';
	END IF;
	SELECT count(*) AS customers, min(used.customer_id) AS first_customer, min(meter.purgeable_until(used.customer_id)) AS until INTO blocking
	FROM (
		SELECT DISTINCT daily.customer_id
		FROM meter.usage_day AS daily
		WHERE daily.usage_date >= latest
			AND daily.usage_date < before
	) AS used
	WHERE meter.purgeable_until(used.customer_id) < before;
	IF blocking.customers > 0 THEN
		RAISE EXCEPTION 'periods before % are not closed', before
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('That is of %s customers, such as "%s".', blocking.customers, blocking.first_customer),
				HINT = format('Close them, or purge before %s.', blocking.until);
	END IF;
	SELECT sum(unpriced_cost) AS cost, sum(unpriced_credits) AS credits INTO blocking
	FROM meter.usage_day
	WHERE usage_date >= latest
		AND usage_date < before;
	IF blocking.cost <> 0 OR blocking.credits <> 0 THEN
		RAISE WARNING 'events without a rate are purged and stay so: % in cost, % in credits', blocking.cost, blocking.credits;
	END IF;

	PERFORM meter.keep_before_purge(latest, before);
	INSERT INTO meter.purge_horizon (horizon, txids)
	SELECT before, meter.consumed_txids() + coalesce((SELECT passed.txids FROM meter.purge_horizon AS passed WHERE passed.horizon = latest), '{}');
	IF (SELECT starts FROM meter.horizon) > now() - greatest((SELECT grace FROM meter.setting), '1 day') THEN
		RAISE EXCEPTION 'days before % are not all over for a day and the grace of meter.setting', before
			USING ERRCODE = 'invalid_parameter_value', HINT = 'The horizon never moves back: events of those days could not be counted any more.';
	END IF;
	UPDATE meter.horizon_lock SET horizon = before;
	INSERT INTO meter.audit_log (operation, detail)
	VALUES ('purge_events', jsonb_build_object('before', before, 'from', nullif(latest, '-infinity')));
END
$$;
COMMENT ON FUNCTION meter.move_horizon(date) IS 'Moves the horizon on to a date; one at or before the present horizon leaves it. Errors: a marked day, an event that is not rolled up, a period that is not closed, or a day that has not been over for a day and the grace of meter.setting, before that date.';

CREATE FUNCTION meter.lock_purge() RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM
	FROM meter.purge_horizon
	WHERE horizon = (SELECT max(latest.horizon) FROM meter.purge_horizon AS latest)
	FOR UPDATE SKIP LOCKED;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION meter.lock_purge() IS 'Takes the lock under which events are deleted until the transaction''s end, and says false where another purge has it.';

CREATE FUNCTION meter.purge_steps(batch_events bigint, OUT end_at timestamptz, OUT events bigint) RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH day AS (
		SELECT daily.usage_date, greatest(sum(daily.events), 1) AS events
		FROM meter.usage_day AS daily
		WHERE daily.usage_date < (SELECT latest.horizon FROM meter.horizon AS latest)
			AND daily.usage_date >= coalesce((SELECT max(done.horizon) FROM meter.purge_horizon AS done WHERE done.purged_at IS NOT NULL), '-infinity')
		GROUP BY daily.usage_date
	), part AS (
		/* A day with more than fits in a batch is cut by the clock. */
		SELECT
			timezone('UTC', day.usage_date::timestamp) + number * interval '1 day' / ceil(day.events / batch_events)::double precision AS end_at,
			day.events / ceil(day.events / batch_events) AS events
		FROM day
		CROSS JOIN LATERAL generate_series(1, ceil(day.events / batch_events)::bigint) AS number
	), placed AS (
		SELECT part.end_at, part.events, trunc((sum(part.events) OVER (ORDER BY part.end_at) - 1) / batch_events) AS batch
		FROM part
	)
	SELECT
		CASE WHEN lead(0) OVER (ORDER BY placed.batch) IS NULL THEN latest.clear_from ELSE max(placed.end_at) END,
		ceil(sum(placed.events))::bigint
	FROM placed
	CROSS JOIN meter.horizon AS latest
	GROUP BY placed.batch, latest.clear_from
	ORDER BY placed.batch;
END;
COMMENT ON FUNCTION meter.purge_steps(bigint) IS 'The batches that delete what is before the horizon: up to which instant each goes, and about how many events that are.';

CREATE FUNCTION meter.delete_purged(first_at timestamptz, end_at timestamptz) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	counted bigint;
BEGIN
	DELETE FROM meter.usage_event
	WHERE ctid = ANY (ARRAY(
		SELECT purgeable.place
		FROM meter.purgeable_event AS purgeable
		WHERE purgeable.occurred_at >= first_at
			AND purgeable.occurred_at < end_at));
	GET DIAGNOSTICS counted = ROW_COUNT;
	RETURN counted;
END
$$;
COMMENT ON FUNCTION meter.delete_purged(timestamptz, timestamptz) IS 'Deletes the events between two instants that are before the horizon and were rolled up, and late ones that came before it, and returns their number.';

CREATE FUNCTION meter.finish_purge(upto date) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
	/* A chain of corrections is needed as long as an event of it is there. */
	WITH RECURSIVE needed AS (
		SELECT customer_id, event_id
		FROM meter.correction
		WHERE EXISTS (
			SELECT FROM meter.usage_event AS event
			WHERE event.customer_id = correction.customer_id
				AND event.event_id IN (correction.event_id, correction.reversal, correction.replacement))
		UNION
		SELECT correction.customer_id, correction.event_id
		FROM needed
		JOIN meter.correction ON correction.customer_id = needed.customer_id
			AND correction.replacement = needed.event_id
	)
	DELETE FROM meter.correction
	WHERE NOT EXISTS (
		SELECT FROM needed
		WHERE needed.customer_id = correction.customer_id
			AND needed.event_id = correction.event_id);

	/* What was kept out of a purged day cannot be counted either way any more. */
	DELETE FROM meter.event_conflict
	WHERE meter.is_too_late(customer_id, (content ->> 'occurred_at')::timestamptz)
		AND first_at < timezone('UTC', (SELECT horizon FROM meter.horizon)::timestamp);

	UPDATE meter.purge_horizon
	SET purged_at = clock_timestamp()
	WHERE purged_at IS NULL
		AND horizon <= upto;
	DELETE FROM meter.purge_horizon
	WHERE horizon < (SELECT latest.horizon FROM meter.horizon AS latest)
		AND NOT EXISTS (SELECT FROM meter.late_event);
END
$$;
COMMENT ON FUNCTION meter.finish_purge(date) IS 'Ends a purge up to a horizon: deletes the corrections and conflicts whose events are all gone, and earlier horizons that no late event needs any more.';

CREATE PROCEDURE meter.purge_events(before date, batch_events bigint DEFAULT 100000)
LANGUAGE plpgsql
AS $$
DECLARE
	horizon date;
	ends timestamptz[];
	first_at timestamptz;
	end_at timestamptz;
	run bigint;
	events bigint;
BEGIN
	/* As in meter.refresh: no setting outlives a COMMIT. */
	PERFORM meter.refuse_transaction_block('meter.purge_events');
	COMMIT;
	SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
	PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
	IF batch_events IS NULL OR batch_events < 1 THEN
		RAISE EXCEPTION 'a batch of % events is none', coalesce(batch_events::text, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave batch_events out for 100000.';
	END IF;
	IF before IS NULL OR NOT isfinite(before) OR before < '1970-01-01' OR before >= '10000-01-01' THEN
		RAISE EXCEPTION 'nothing can be purged before %', coalesce(before::text, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a date, such as (now() - interval ''13 months'')::date.';
	END IF;
	IF before > (SELECT latest.horizon FROM meter.horizon AS latest) THEN
		PERFORM meter.move_horizon(before);
		COMMIT;
		SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
		PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
	END IF;

	/* Over again where another caller has moved the horizon meanwhile, and left the work to this one. */
	LOOP
		IF NOT meter.lock_purge() THEN
			RAISE NOTICE 'another purge is running, and does the work';
			UPDATE meter.job SET state = 'stopped' WHERE job_id = run AND state = 'running';
			RETURN;
		END IF;
		horizon := (SELECT latest.horizon FROM meter.horizon AS latest);
		SELECT array_agg(step.end_at ORDER BY step.end_at), coalesce(sum(step.events), 0) INTO ends, events
		FROM meter.purge_steps(batch_events) AS step;
		UPDATE meter.job SET state = 'stopped' WHERE job.job = 'purge_events' AND job.state = 'running';
		INSERT INTO meter.job (job, total)
		VALUES ('purge_events', events)
		RETURNING job_id INTO run;
		COMMIT;
		SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
		PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

		first_at := '-infinity';
		FOREACH end_at IN ARRAY coalesce(ends, ARRAY[(SELECT latest.clear_from FROM meter.horizon AS latest)]) LOOP
			IF NOT meter.lock_purge() THEN
				RAISE NOTICE 'another purge is running, and does the rest';
				UPDATE meter.job SET state = 'stopped' WHERE job_id = run AND state = 'running';
				RETURN;
			END IF;
			events := meter.delete_purged(first_at, end_at);
			UPDATE meter.job SET done = done + events, updated_at = clock_timestamp() WHERE job_id = run;
			first_at := end_at;
			COMMIT;
			SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
			PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
		END LOOP;

		IF meter.lock_purge() THEN
			PERFORM meter.finish_purge(horizon);
			UPDATE meter.job SET state = 'done', updated_at = clock_timestamp() WHERE job_id = run;
		END IF;
		EXIT WHEN horizon = (SELECT latest.horizon FROM meter.horizon AS latest);
		COMMIT;
		SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
		PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
	END LOOP;
END
$$;
COMMENT ON PROCEDURE meter.purge_events(date, bigint) IS 'Deletes the events of days before a date, in each customer''s time zone; their sums stay in usage_daily. Refuses, before anything is deleted, while such an event is not rolled up, such a day is marked, a period of such a day is not closed, or the last one has not been over for a day and the grace of meter.setting. That date is the horizon from then on, for all customers and for good: what is of an earlier day is too late, and no rate, zone or correction changes such a day. Works in batches of about batch_events events with a COMMIT each, and meter.job_progress shows how far it is. It can be cancelled at any time, and the next one goes on from there, with the same date or an earlier one, too. Where another one runs, it leaves the work to that one. Keeps nobody waiting but, for a moment, changes of rates, corrections and refreshes. It cannot be called inside a transaction. VACUUM gives the room back.';

REVOKE ALL ON FUNCTION meter.move_horizon(date), meter.keep_before_purge(date, date), meter.lock_purge(), meter.purge_steps(bigint), meter.delete_purged(timestamptz, timestamptz), meter.finish_purge(date) FROM PUBLIC;
REVOKE ALL ON PROCEDURE meter.purge_events(date, bigint) FROM PUBLIC;

/* The names under which erased customers go on. Its rows let a rename through, so nobody else writes it. */
CREATE TABLE meter.erasure (
	pseudonym text PRIMARY KEY,
	txid bigint NOT NULL DEFAULT meter.txid()
);
COMMENT ON TABLE meter.erasure IS 'The customers that were erased, by the names in the place of theirs. When and by whom is in meter.audit_log.';
COMMENT ON COLUMN meter.erasure.pseudonym IS 'The random customer_id of what was theirs.';
COMMENT ON COLUMN meter.erasure.txid IS 'The transaction that erased it, within which alone rows can be renamed to it.';
SELECT pg_extension_config_dump('meter.erasure', '');

CREATE FUNCTION meter.is_erasing(customer_id text) RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT EXISTS (
		SELECT FROM meter.erasure
		WHERE erasure.pseudonym = is_erasing.customer_id
			AND erasure.txid = meter.txid());
END;
COMMENT ON FUNCTION meter.is_erasing(text) IS 'Whether the present transaction erases a customer who goes on under that name.';

CREATE VIEW meter.personal_column AS
WITH identified AS (
	SELECT class.oid AS relation, class.relname::text AS table_name
	FROM pg_class AS class
	WHERE class.relnamespace = 'meter'::regnamespace
		AND class.relkind IN ('r', 'p')
		AND NOT class.relispartition
		AND EXISTS (
			SELECT FROM pg_attribute AS attribute
			WHERE attribute.attrelid = class.oid
				AND attribute.attname LIKE '%customer_id'
				AND NOT attribute.attisdropped)
)
SELECT
	identified.relation::regclass AS relation,
	attribute.attname::text AS column_name,
	CASE
		WHEN identified.table_name = 'event_conflict' THEN 'deleted'
		WHEN attribute.attname LIKE '%customer_id' THEN 'renamed'
		WHEN attribute.attname IN ('event_id', 'reverses', 'reversal', 'replacement') THEN 'hashed'
		WHEN attribute.attname LIKE '%\_reason' THEN 'replaced'
		WHEN NOT attribute.attnotnull THEN 'emptied'
		ELSE 'kept'
	END AS erased
FROM identified
JOIN pg_attribute AS attribute ON attribute.attrelid = identified.relation
WHERE attribute.attnum > 0
	AND NOT attribute.attisdropped
	AND (identified.table_name = 'event_conflict' AND attribute.attname = 'customer_id'
		OR identified.table_name <> 'event_conflict'
		AND (attribute.attname LIKE '%customer_id'
			OR attribute.attname LIKE '%\_reason'
			OR attribute.attname IN ('event_id', 'reverses', 'reversal', 'replacement', 'name', 'user_id', 'workflow_id', 'tags', 'reason', 'detail', 'note', 'content', 'payload', 'external_id', 'last_error')));
COMMENT ON VIEW meter.personal_column IS 'What meter.erase_customer does with which columns, for every table of the extension that has a customer_id: renamed to the pseudonym, hashed with a salt that nobody keeps, replaced by the word erased, emptied, kept as it has to have a value; or the row is deleted. A column goes by its name: what is of a person is called name, user_id, workflow_id, tags, reason or anything that ends in _reason, detail, note, content, payload, external_id or last_error, and what names an event event_id, reverses, reversal or replacement.';

CREATE FUNCTION meter.is_erasure(relation regclass, old_row jsonb, new_row jsonb) RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT coalesce(personal.renamed AND is_erasure.old_row - personal.columns = is_erasure.new_row - personal.columns, false)
	FROM (
		SELECT
			array_agg(personal_column.column_name) AS columns,
			bool_or(personal_column.erased = 'renamed' AND meter.is_erasing(is_erasure.new_row ->> personal_column.column_name)) AS renamed
		FROM meter.personal_column
		WHERE personal_column.relation = is_erasure.relation
			AND personal_column.erased <> 'kept'
	) AS personal;
END;
COMMENT ON FUNCTION meter.is_erasure(regclass, jsonb, jsonb) IS 'Whether a change of a row is nothing but an erasure by the present transaction: only columns of meter.personal_column differ. For triggers that let nobody change a row: IF TG_OP = ''UPDATE'' AND meter.is_erasure(TG_RELID, to_jsonb(OLD), to_jsonb(NEW)) THEN RETURN NEW.';

CREATE FUNCTION meter.erase_customer(customer_id text, reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
	pseudonym CONSTANT text := 'erased-' || gen_random_uuid();
	salt CONSTANT text := gen_random_uuid()::text;
	target record;
	rows_written bigint;
	rows_of_all bigint := 0;
	counts jsonb := '{}';
BEGIN
	/* Corrections under way have finished, and later ones see what comes now. The roll-up stands still. */
	UPDATE meter.horizon_lock SET horizon = horizon_lock.horizon;
	PERFORM meter.lock_usage_daily();
	INSERT INTO meter.erasure (pseudonym) VALUES (pseudonym);

	FOR target IN
		SELECT
			relation,
			bool_or(erased = 'deleted') AS deleted,
			string_agg(CASE erased
				WHEN 'renamed' THEN format('%1$I = CASE WHEN %1$I = $1 THEN $2 ELSE %1$I END', column_name)
				WHEN 'hashed' THEN format('%1$I = encode(sha256(convert_to($3 || %1$I, ''UTF8'')), ''hex'')', column_name)
				WHEN 'replaced' THEN format('%1$I = CASE WHEN %1$I IS NOT NULL THEN ''erased'' END', column_name)
				WHEN 'emptied' THEN format('%I = NULL', column_name)
			END, ', ' ORDER BY column_name) AS assignments,
			string_agg(format('%I = $1', column_name), ' OR ') FILTER (WHERE column_name LIKE '%customer_id') AS condition
		FROM meter.personal_column
		GROUP BY relation
		ORDER BY relation::text COLLATE "C"
	LOOP
		IF target.deleted THEN
			EXECUTE format('DELETE FROM %s WHERE %s', target.relation, target.condition)
			USING customer_id;
		ELSE
			EXECUTE format('UPDATE %s SET %s WHERE %s', target.relation, target.assignments, target.condition)
			USING customer_id, pseudonym, salt;
		END IF;
		GET DIAGNOSTICS rows_written = ROW_COUNT;
		rows_of_all := rows_of_all + rows_written;
		IF rows_written > 0 THEN
			counts := counts || jsonb_build_object(target.relation::text, rows_written);
		END IF;
	END LOOP;
	IF rows_of_all = 0 THEN
		RAISE EXCEPTION 'customer "%" is not there', customer_id
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the customer_id as events have it. One that was erased already has a pseudonym.';
	END IF;

	INSERT INTO meter.audit_log (operation, customer_id, reason, detail)
	VALUES ('erase_customer', pseudonym, reason, counts);
END
$$;
COMMENT ON FUNCTION meter.erase_customer(text, text) IS 'Forgets who a customer is, and keeps the money: in every table of the extension a random pseudonym takes the place of the customer_id, names, users, workflows, tags and reasons are emptied, and event ids hashed with a salt that nobody keeps, as meter.personal_column lists. Usage, cost, dates, zone, currency and segment stay, so every sum is what it was. Nobody is told the pseudonym but meter.audit_log, which has the reason (do not name the customer in it) and the number of rows by table. Stop the sender first: what comes under the old name afterwards, a retry too, is a new customer''s, as nothing is kept that it could be known by; meter.unknown_name lists it, and it can be erased as well. It is one transaction, which rewrites every row of the customer: about five times as long as it took to insert them. Refreshes, changes of rates and corrections wait for it; writers of events do not. What attached tables have is yours to erase. VACUUM and the end of old backups and WAL remove the last copies. An unknown customer is an error.';
REVOKE ALL ON FUNCTION meter.erase_customer(text, text) FROM PUBLIC;
