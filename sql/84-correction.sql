/* Corrections: an event is taken back by a further one, and never changed. */

CREATE TABLE meter.correction (
	customer_id text NOT NULL,
	event_id text NOT NULL,
	reversal text NOT NULL,
	replacement text
		CONSTRAINT correction_replacement_is_another_event CHECK (replacement <> event_id AND replacement <> reversal),
	audit_id bigint NOT NULL,
	restored_by bigint
		CONSTRAINT correction_restored_has_a_replacement CHECK (restored_by IS NULL OR replacement IS NOT NULL),
	PRIMARY KEY (customer_id, event_id),
	CONSTRAINT correction_reversal_is_another_event CHECK (reversal <> event_id)
);
CREATE INDEX correction_audit_id_idx ON meter.correction (audit_id);
COMMENT ON TABLE meter.correction IS 'The events that were taken back, by which reversal, and the event in the place of each, if any. Who did it, when and why is in meter.audit_log.';
COMMENT ON COLUMN meter.correction.customer_id IS 'Whose event.';
COMMENT ON COLUMN meter.correction.event_id IS 'The event that was taken back.';
COMMENT ON COLUMN meter.correction.reversal IS 'The event with sign -1 that takes it back.';
COMMENT ON COLUMN meter.correction.replacement IS 'The event in its place. NULL: there is none.';
COMMENT ON COLUMN meter.correction.audit_id IS 'The operation that took it back.';
COMMENT ON COLUMN meter.correction.restored_by IS 'The operation that undid that, whose copy of the event the replacement is. NULL: none.';

SELECT pg_extension_config_dump('meter.correction', '');

/* With the owner's rights: whoever corrects an event has no other business with the horizon. */
CREATE FUNCTION meter.hold_horizon() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM meter.lock_horizon();
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION meter.hold_horizon() IS 'Trigger of meter.correction: the horizon stays where it is, and customers who they are, while an event is corrected.';
REVOKE ALL ON FUNCTION meter.hold_horizon() FROM PUBLIC;

CREATE TRIGGER hold_horizon BEFORE INSERT OR UPDATE ON meter.correction
	FOR EACH STATEMENT EXECUTE FUNCTION meter.hold_horizon();

CREATE FUNCTION meter.reversal_id(event_id text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN octet_length(event_id) <= 950 THEN event_id ELSE md5(event_id) END || '~void';
COMMENT ON FUNCTION meter.reversal_id(text) IS 'The id of the reversal of an event: its id and ~void. A very long id is its MD5.';

/* What senders call their events is theirs: no name of one keeps another event from being taken back. */
CREATE FUNCTION meter.reversal_id(customer_id text, event_id text, audit_id bigint) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT meter.reversal_id(reversal_id.event_id)
		|| CASE
			WHEN EXISTS (SELECT FROM meter.usage_event AS taken WHERE taken.customer_id = reversal_id.customer_id AND taken.event_id = meter.reversal_id(reversal_id.event_id))
			THEN '~' || reversal_id.audit_id
			ELSE ''
		END;
END;
COMMENT ON FUNCTION meter.reversal_id(text, text, bigint) IS 'The same where no other event of the customer has that id; else with ~ and the number of the operation behind it.';

CREATE FUNCTION meter.replacement_id(customer_id text, event_id text, audit_id bigint) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	/* A sender may have ids of its own that end so: only what leads here is the first id. */
	first_id text := regexp_replace(event_id, '~+[0-9]+$', '');
	later text := nullif(first_id, event_id);
BEGIN
	WHILE later <> event_id LOOP
		later := (SELECT correction.replacement FROM meter.correction WHERE correction.customer_id = customer_id AND correction.event_id = later);
	END LOOP;
	IF later IS NULL THEN
		first_id := CASE WHEN octet_length(event_id) <= 950 THEN event_id ELSE md5(event_id) END;
	END IF;
	RETURN first_id
		|| CASE WHEN EXISTS (SELECT FROM meter.usage_event AS taken WHERE taken.customer_id = customer_id AND taken.event_id = first_id || '~' || audit_id) THEN '~~' ELSE '~' END
		|| audit_id;
END
$$;
COMMENT ON FUNCTION meter.replacement_id(text, text, bigint) IS 'The id of the event in the place of another one: its first id, ~ (where another event of the customer has that id, ~~) and the number of the operation. A very long id is its MD5.';

CREATE FUNCTION meter.present_event(customer_id text, event_id text) RETURNS meter.usage_event
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	present text := event_id;
	later text;
	taken_back record;
	result meter.usage_event;
BEGIN
	LOOP
		SELECT correction.replacement INTO later
		FROM meter.correction
		WHERE correction.customer_id = customer_id
			AND correction.event_id = present;
		EXIT WHEN later IS NULL;
		present := later;
	END LOOP;

	SELECT event.* INTO result
	FROM meter.usage_event AS event
	WHERE event.customer_id = customer_id
		AND event.event_id = present;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'customer "%" has no event "%"', customer_id, event_id
			USING ERRCODE = 'invalid_parameter_value',
				HINT = (SELECT CASE WHEN isfinite(horizon) THEN format('Events before %s are purged, and stay as they were counted.', horizon) ELSE 'An event that is not committed yet cannot be corrected.' END FROM meter.horizon);
	END IF;
	IF result.reverses IS NOT NULL THEN
		RAISE EXCEPTION 'event "%" takes back event "%"', present, result.reverses
			USING ERRCODE = 'invalid_parameter_value', HINT = 'meter.restore_events undoes that.';
	END IF;

	SELECT correction.reversal, audit_log.* INTO taken_back
	FROM meter.correction
	JOIN meter.audit_log USING (audit_id)
	WHERE correction.customer_id = customer_id
		AND correction.event_id = present;
	IF FOUND THEN
		RAISE EXCEPTION 'event "%" has been taken back already', present
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = format('It was by "%s", operation %s of %s.', taken_back.reversal, taken_back.audit_id, taken_back.done_by),
				HINT = format('meter.restore_events(%s, reason) undoes that.', taken_back.audit_id);
	END IF;
	RETURN result;
END
$$;
COMMENT ON FUNCTION meter.present_event(text, text) IS 'The event as it counts now: the one of that id, or what came in its place by corrections. An unknown id, one that was taken back, and a reversal are errors.';

CREATE FUNCTION meter.check_day(customer_id text, event_id text, occurred_at timestamptz) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF meter.is_too_late(customer_id, occurred_at) THEN
		RAISE EXCEPTION 'event "%" of customer "%" is of a day whose events are purged', event_id, customer_id
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = format('The horizon is %s.', (SELECT horizon FROM meter.horizon)),
				HINT = 'What was counted before the horizon stays. Record an event of today that makes up for it.';
	END IF;
END
$$;
COMMENT ON FUNCTION meter.check_day(text, text, timestamptz) IS 'Raises an error where an event is of a day before the horizon, on which nothing changes any more.';

CREATE FUNCTION meter.reverse_event(event meter.usage_event, audit_id bigint, replacement text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	reversal CONSTANT text := meter.reversal_id(event.customer_id, event.event_id, audit_id);
BEGIN
	/* Of two sessions the later one waits for the earlier one's transaction here. */
	INSERT INTO meter.correction (customer_id, event_id, reversal, replacement, audit_id)
	VALUES (event.customer_id, event.event_id, reversal, replacement, audit_id)
	ON CONFLICT (customer_id, event_id) DO NOTHING;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'event "%" has been taken back already', event.event_id
			USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Another session did it at the same time.', HINT = 'meter.audit_log says who and why; meter.restore_events undoes a void.';
	END IF;
	/* The horizon stays where it is from here on. */
	PERFORM meter.check_day(event.customer_id, event.event_id, event.occurred_at);
	IF NOT EXISTS (SELECT FROM meter.usage_event AS stored WHERE stored.customer_id = event.customer_id AND stored.event_id = event.event_id) THEN
		RAISE EXCEPTION 'customer "%" has no event "%" any more', event.customer_id, event.event_id
			USING ERRCODE = 'invalid_parameter_value', DETAIL = 'The customer was erased at the same time.';
	END IF;
	INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags, sign, reverses)
	VALUES (event.customer_id, reversal, event.occurred_at, event.item, meter.negate(event.usage), event.action, event.variant, event.outcome, event.request_class, event.user_id, event.workflow_id, event.tags, -1, event.event_id);
	RETURN reversal;
END
$$;
COMMENT ON FUNCTION meter.reverse_event(meter.usage_event, bigint, text) IS 'Stores the reversal of an event, as a part of an operation in meter.audit_log, and returns its id. A second one is an error, and so is one of a purged day.';

/*
 * What corrects works with the owner's rights: so whoever may correct can neither take
 * back what was never used, nor change what meter.audit_log says of it.
 */
CREATE FUNCTION meter.void_event(customer_id text, event_id text, reason text) RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	present CONSTANT meter.usage_event := meter.present_event(customer_id, event_id);
	operation bigint;
BEGIN
	INSERT INTO meter.audit_log (operation, customer_id, reason, detail)
	VALUES ('void', customer_id, reason, jsonb_build_object('event_id', present.event_id))
	RETURNING audit_log.audit_id INTO operation;
	RETURN meter.reverse_event(present, operation);
END
$$;
COMMENT ON FUNCTION meter.void_event(text, text, text) IS 'Takes an event back, by a further event with the negated usage, and returns that one''s id. What came in the event''s place by corrections is meant, where something did. An event that has been taken back already is an error. meter.restore_events undoes it.';

CREATE FUNCTION meter.amend_event(customer_id text, event_id text, changes jsonb, reason text) RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	present CONSTANT meter.usage_event := meter.present_event(customer_id, event_id);
	amended meter.usage_event;
	operation bigint;
BEGIN
	IF jsonb_typeof(changes) IS DISTINCT FROM 'object' OR changes ?| '{customer_id,event_id}' THEN
		RAISE EXCEPTION 'the changes are no JSON object without customer_id and event_id'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Write them as {"usage": {"input_tokens": 5}, "outcome": null}.';
	END IF;
	amended := meter.read_event(meter.event_content(present) || changes);
	IF meter.event_differs(present, amended) = '{}' THEN
		RETURN present.event_id;
	END IF;

	INSERT INTO meter.audit_log (operation, customer_id, reason, detail)
	VALUES ('amend', customer_id, reason, jsonb_build_object('event_id', present.event_id, 'changes', changes))
	RETURNING audit_log.audit_id INTO operation;
	amended.event_id := meter.replacement_id(present.customer_id, present.event_id, operation);
	PERFORM meter.reverse_event(present, operation, amended.event_id);
	PERFORM meter.check_day(amended.customer_id, amended.event_id, amended.occurred_at);
	INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags)
	VALUES (amended.customer_id, amended.event_id, amended.occurred_at, amended.item, amended.usage, amended.action, amended.variant, amended.outcome, amended.request_class, amended.user_id, amended.workflow_id, amended.tags);
	RETURN amended.event_id;
END
$$;
COMMENT ON FUNCTION meter.amend_event(text, text, jsonb, text) IS 'Puts a changed copy in the place of an event, and returns its id: a reversal of the event is stored, and the copy. changes has the columns of meter.usage_event that are other, from occurred_at to tags, as meter.read_event takes them; null is for none. The event may be named by its first id however often it was corrected. Where nothing changes, nothing is stored. An event that has been taken back is an error.';

CREATE FUNCTION meter.resolve_event(customer_id text, event_id text, outcome text, reason text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	present CONSTANT meter.usage_event := meter.present_event(customer_id, event_id);
	operation bigint;
	resolved text;
BEGIN
	IF outcome IS NULL OR outcome NOT IN ('success', 'failure', 'pending', 'disputed') THEN
		RAISE EXCEPTION 'outcome % is not known', quote_nullable(outcome)
			USING ERRCODE = 'invalid_parameter_value', HINT = 'It is success, failure or disputed; pending reopens the event.';
	END IF;
	IF coalesce(present.outcome, 'success') = outcome THEN
		RETURN present.event_id;
	END IF;

	INSERT INTO meter.audit_log (operation, customer_id, reason, detail)
	VALUES ('resolve', customer_id, reason, jsonb_build_object('event_id', present.event_id, 'from', present.outcome, 'to', outcome))
	RETURNING audit_log.audit_id INTO operation;
	resolved := meter.replacement_id(present.customer_id, present.event_id, operation);
	PERFORM meter.reverse_event(present, operation, resolved);
	INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags)
	VALUES (present.customer_id, resolved, present.occurred_at, present.item, present.usage, present.action, present.variant, outcome, present.request_class, present.user_id, present.workflow_id, present.tags);
	RETURN resolved;
END
$$;
COMMENT ON FUNCTION meter.resolve_event(text, text, text, text) IS 'Gives an event an outcome that became known later: success, failure or disputed; pending reopens it. A reversal of the event is stored, and a copy with the outcome, whose id is returned. The event may be named by its first id however often it was corrected. An event that has the outcome already (none is success) stays as it is, so a retry is safe. An event that has been taken back is an error.';

CREATE FUNCTION meter.preview_void(customer_id text DEFAULT NULL, during tstzrange DEFAULT NULL, item text DEFAULT NULL)
	RETURNS TABLE (of_customer text, of_item text, events bigint, first_at timestamptz, last_at timestamptz, usage meter.usage, cost numeric, unpriced_cost bigint)
LANGUAGE plpgsql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	SELECT
		event.customer_id,
		event.item,
		count(*),
		min(event.occurred_at),
		max(event.occurred_at),
		sum(event.usage),
		coalesce(meter.total_cost((SELECT card.cost FROM meter.event_card AS card), event.item, event.occurred_at, event.usage, event.variant), 0),
		count(*) FILTER (WHERE meter.unpriced((SELECT card.cost FROM meter.event_card AS card), event.item, event.occurred_at, event.usage, event.variant))
	FROM meter.event_net AS event
	WHERE (preview_void.customer_id IS NULL OR event.customer_id = preview_void.customer_id)
		AND (preview_void.item IS NULL OR event.item = preview_void.item)
		AND (lower_inf(preview_void.during) IS NOT FALSE OR event.occurred_at >= lower(preview_void.during))
		AND (upper_inf(preview_void.during) IS NOT FALSE OR event.occurred_at <= upper(preview_void.during))
		AND (preview_void.during IS NULL OR event.occurred_at <@ preview_void.during)
	GROUP BY event.customer_id, event.item
	ORDER BY event.customer_id, event.item;
END
$$;
COMMENT ON FUNCTION meter.preview_void(text, tstzrange, text) IS 'What meter.void_events with the same filter would take back: events, usage and cost by customer and item. Changes nothing. A NULL filters nothing.';

CREATE FUNCTION meter.void_events(reason text, customer_id text DEFAULT NULL, during tstzrange DEFAULT NULL, item text DEFAULT NULL, OUT audit_id bigint, OUT events bigint) RETURNS record
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF customer_id IS NULL AND during IS NULL AND item IS NULL THEN
		RAISE EXCEPTION 'void_events needs a customer, a range of time or an item'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'meter.preview_void shows what a filter takes back.';
	END IF;

	IF coalesce(lower(during), '-infinity') < (SELECT starts FROM meter.horizon) THEN
		RAISE EXCEPTION 'events before % are purged, and cannot be taken back', (SELECT horizon FROM meter.horizon)
			USING ERRCODE = 'invalid_parameter_value',
				HINT = format('Take back later ones by during => ''[%s,)''.', (SELECT starts FROM meter.horizon));
	END IF;

	INSERT INTO meter.audit_log (operation, customer_id, reason, detail)
	VALUES ('void_events', void_events.customer_id, void_events.reason, jsonb_build_object('during', during, 'item', item))
	RETURNING audit_log.audit_id INTO void_events.audit_id;

	WITH reversed AS (
		INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags, sign, reverses)
		SELECT event.customer_id, meter.reversal_id(event.customer_id, event.event_id, void_events.audit_id), event.occurred_at, event.item, meter.negate(event.usage), event.action, event.variant, event.outcome, event.request_class, event.user_id, event.workflow_id, event.tags, -1, event.event_id
		FROM meter.event_net AS event
		WHERE (void_events.customer_id IS NULL OR event.customer_id = void_events.customer_id)
			AND (void_events.item IS NULL OR event.item = void_events.item)
			AND (lower_inf(void_events.during) IS NOT FALSE OR event.occurred_at >= lower(void_events.during))
			AND (upper_inf(void_events.during) IS NOT FALSE OR event.occurred_at <= upper(void_events.during))
			AND (void_events.during IS NULL OR event.occurred_at <@ void_events.during)
		ORDER BY event.customer_id, event.event_id
		ON CONFLICT (customer_id, reverses) WHERE reverses IS NOT NULL DO NOTHING
		RETURNING customer_id, event_id, reverses
	)
	INSERT INTO meter.correction (customer_id, event_id, reversal, audit_id)
	SELECT reversed.customer_id, reversed.reverses, reversed.event_id, void_events.audit_id
	FROM reversed;
	GET DIAGNOSTICS events = ROW_COUNT;

	/* What was read before the horizon was held is looked at again. */
	PERFORM meter.check_day(reversal.customer_id, reversal.reverses, reversal.occurred_at)
	FROM meter.correction
	JOIN meter.usage_event AS reversal ON reversal.customer_id = correction.customer_id
		AND reversal.event_id = correction.reversal
	WHERE correction.audit_id = void_events.audit_id
		AND reversal.occurred_at < (SELECT clear_from FROM meter.horizon);
	IF EXISTS (
		SELECT FROM meter.correction
		WHERE correction.audit_id = void_events.audit_id
			AND NOT EXISTS (SELECT FROM meter.usage_event AS event WHERE event.customer_id = correction.customer_id AND event.event_id = correction.event_id))
	THEN
		RAISE EXCEPTION 'events have been purged or renamed at the same time'
			USING ERRCODE = 'serialization_failure', HINT = 'Try again.';
	END IF;

	UPDATE meter.audit_log
	SET detail = detail || jsonb_build_object('events', events)
	WHERE audit_log.audit_id = void_events.audit_id;
END
$$;
COMMENT ON FUNCTION meter.void_events(text, text, tstzrange, text) IS 'Takes back every event that counts of a customer, a range of time or an item, or what two or all of these share; a NULL filters nothing, and all three NULL are an error. Returns the operation''s audit_id, by which meter.restore_events undoes it as a whole, and the number of events. meter.preview_void shows the effect beforehand. Purged events cannot be taken back: once there is a horizon, during has to begin after it.';

CREATE FUNCTION meter.restore_events(audit_id bigint, reason text) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	voided meter.audit_log;
	restoring bigint;
	events bigint;
BEGIN
	SELECT * INTO voided
	FROM meter.audit_log
	WHERE audit_log.audit_id = restore_events.audit_id
	FOR UPDATE;
	IF NOT FOUND OR voided.operation NOT IN ('void', 'void_events') THEN
		RAISE EXCEPTION 'operation % took no event back', restore_events.audit_id
			USING ERRCODE = 'invalid_parameter_value', HINT = 'meter.audit_log has the operations void and void_events.';
	END IF;
	IF NOT EXISTS (SELECT FROM meter.correction WHERE correction.audit_id = restore_events.audit_id AND restored_by IS NULL) THEN
		RAISE EXCEPTION 'operation % has nothing left to restore', restore_events.audit_id
			USING ERRCODE = 'invalid_parameter_value', HINT = 'It was undone already, or took back no event: meter.audit_log says which.';
	END IF;

	INSERT INTO meter.audit_log (operation, customer_id, reason, detail)
	VALUES ('restore_events', voided.customer_id, restore_events.reason, jsonb_build_object('audit_id', restore_events.audit_id))
	RETURNING audit_log.audit_id INTO restoring;

	WITH restored AS (
		UPDATE meter.correction
		SET replacement = meter.replacement_id(correction.customer_id, correction.event_id, restoring), restored_by = restoring
		WHERE correction.audit_id = restore_events.audit_id
			AND restored_by IS NULL
		RETURNING customer_id, event_id, replacement
	)
	INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags)
	SELECT event.customer_id, restored.replacement, event.occurred_at, event.item, event.usage, event.action, event.variant, event.outcome, event.request_class, event.user_id, event.workflow_id, event.tags
	FROM restored
	JOIN meter.usage_event AS event USING (customer_id, event_id);
	GET DIAGNOSTICS events = ROW_COUNT;

	IF events < (SELECT count(*) FROM meter.correction WHERE restored_by = restoring AND correction.audit_id = restore_events.audit_id) THEN
		RAISE EXCEPTION 'operation % took back events that are purged', restore_events.audit_id
			USING ERRCODE = 'invalid_parameter_value', HINT = 'What was counted before the horizon stays. Record an event of today that makes up for it.';
	END IF;
	PERFORM meter.check_day(copy.customer_id, copy.event_id, copy.occurred_at)
	FROM meter.correction
	JOIN meter.usage_event AS copy ON copy.customer_id = correction.customer_id
		AND copy.event_id = correction.replacement
	WHERE correction.audit_id = restore_events.audit_id
		AND correction.restored_by = restoring
		AND copy.occurred_at < (SELECT clear_from FROM meter.horizon);
	IF events < (voided.detail ->> 'events')::bigint THEN
		RAISE WARNING '% events of operation % are purged, and stay taken back', (voided.detail ->> 'events')::bigint - events, restore_events.audit_id;
	END IF;

	UPDATE meter.audit_log
	SET detail = detail || jsonb_build_object('events', events)
	WHERE audit_log.audit_id = restoring;
	RETURN events;
END
$$;
COMMENT ON FUNCTION meter.restore_events(bigint, text) IS 'Undoes an operation void or void_events as a whole: a copy of each event is stored in its place. Returns the number of events. An operation that took none back, and one that was undone already, are errors. What is purged by then stays taken back, with a warning.';

CREATE FUNCTION meter.allow_correcting(role regrole) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT SELECT ON meter.usage_event, meter.event_net, meter.correction, meter.audit_log TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION meter.void_event(text, text, text), meter.amend_event(text, text, jsonb, text), meter.resolve_event(text, text, text, text), meter.preview_void(text, tstzrange, text), meter.void_events(text, text, tstzrange, text), meter.restore_events(bigint, text) TO %s', role);
END
$$;
COMMENT ON FUNCTION meter.allow_correcting(regrole) IS 'Grants a role what it takes to void, amend, resolve and restore events, one by one and by filter, with a preview, and to read events, corrections and meter.audit_log. It writes none of these but by the functions.';
REVOKE ALL ON FUNCTION meter.void_event(text, text, text), meter.amend_event(text, text, jsonb, text), meter.resolve_event(text, text, text, text), meter.preview_void(text, tstzrange, text), meter.void_events(text, text, tstzrange, text), meter.restore_events(bigint, text), meter.reverse_event(meter.usage_event, bigint, text), meter.allow_correcting(regrole) FROM PUBLIC;
