/* Recording events: each goes in once, and the sender is told what became of it. */

CREATE FUNCTION meter.event_content(event meter.usage_event) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_strip_nulls(jsonb_build_object(
	'customer_id', (event).customer_id,
	'event_id', (event).event_id,
	'occurred_at', to_char(timezone('UTC', (event).occurred_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
	'item', (event).item,
	'usage', (event).usage::jsonb,
	'action', (event).action,
	'variant', (event).variant,
	'outcome', (event).outcome,
	'request_class', (event).request_class,
	'user_id', (event).user_id,
	'workflow_id', (event).workflow_id))
	|| CASE WHEN (event).tags IS NULL THEN '{}' ELSE jsonb_build_object('tags', (event).tags) END;
COMMENT ON FUNCTION meter.event_content(meter.usage_event) IS 'What the sender said of an event, as meter.record_batch takes it. Two events are the same where it is the same.';

CREATE FUNCTION meter.event_differs(event meter.usage_event, other meter.usage_event) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_remove(ARRAY[
	CASE WHEN (event).occurred_at IS DISTINCT FROM (other).occurred_at THEN 'occurred_at' END,
	CASE WHEN (event).item IS DISTINCT FROM (other).item THEN 'item' END,
	CASE WHEN (event).usage IS DISTINCT FROM (other).usage THEN 'usage' END,
	CASE WHEN (event).action IS DISTINCT FROM (other).action THEN 'action' END,
	CASE WHEN (event).variant IS DISTINCT FROM (other).variant THEN 'variant' END,
	CASE WHEN (event).outcome IS DISTINCT FROM (other).outcome THEN 'outcome' END,
	CASE WHEN (event).request_class IS DISTINCT FROM (other).request_class THEN 'request_class' END,
	CASE WHEN (event).user_id IS DISTINCT FROM (other).user_id THEN 'user_id' END,
	CASE WHEN (event).workflow_id IS DISTINCT FROM (other).workflow_id THEN 'workflow_id' END,
	CASE WHEN (event).tags IS DISTINCT FROM (other).tags THEN 'tags' END,
	CASE WHEN (event).sign IS DISTINCT FROM (other).sign THEN 'sign' END], NULL);
COMMENT ON FUNCTION meter.event_differs(meter.usage_event, meter.usage_event) IS 'The columns in which two events of the same id differ, of those that the sender says; empty where they are the same event.';

CREATE FUNCTION meter.compare_event(event meter.usage_event) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	stored meter.usage_event;
	differs text[];
BEGIN
	SELECT * INTO stored
	FROM meter.usage_event
	WHERE customer_id = event.customer_id
		AND event_id = event.event_id;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;

	differs := meter.event_differs(event, stored);
	IF differs = '{}' THEN
		RETURN 'duplicate';
	END IF;
	INSERT INTO meter.event_conflict (customer_id, event_id, content, differs)
	VALUES (event.customer_id, event.event_id, meter.event_content(event), differs)
	ON CONFLICT (customer_id, event_id, digest) DO UPDATE
	SET times = event_conflict.times + 1, last_at = excluded.last_at;
	RETURN 'conflict';
END
$$;
COMMENT ON FUNCTION meter.compare_event(meter.usage_event) IS 'Compares an event with the stored one of its id: duplicate where they are the same, conflict where they are not, which is noted in meter.event_conflict, and NULL where there is none.';

/*
 * Without a search_path of its own, which would cost more than the rest: there is no
 * operator and no name in it that one could change.
 */
CREATE FUNCTION meter.record(customer_id text, event_id text, occurred_at timestamptz, item text, usage meter.usage, action text DEFAULT NULL, variant text DEFAULT 'standard', outcome text DEFAULT NULL,
	request_class text DEFAULT NULL, user_id text DEFAULT NULL, workflow_id text DEFAULT NULL, tags jsonb DEFAULT NULL) RETURNS text
LANGUAGE plpgsql
AS $$
#variable_conflict use_variable
DECLARE
	answer pg_catalog.text;
BEGIN
	/*
	 * The horizon is a day behind at least, so that nothing has to be looked up for what has
	 * just happened. Hours, as days are subtracted by the session's calendar, which costs more.
	 */
	IF occurred_at < now() - interval '12 hours' THEN
		IF meter.is_too_late(customer_id, occurred_at) THEN
			RETURN 'too late';
		END IF;
	END IF;

	/* Over again where the stored one vanished before it could be looked at. */
	LOOP
		INSERT INTO meter.usage_event AS stored (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags)
		VALUES (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags)
		ON CONFLICT ON CONSTRAINT usage_event_pkey DO NOTHING;
		IF FOUND THEN
			RETURN 'stored';
		END IF;
		answer := meter.compare_event(ROW(customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags, 1, NULL, NULL, NULL)::meter.usage_event);
		IF answer IS NOT NULL THEN
			RETURN answer;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION meter.record(text, text, timestamptz, text, meter.usage, text, text, text, text, text, text, jsonb) IS 'Records an event and says what became of it: stored; duplicate, where the same event is there already; conflict, where another event of that id is, which keeps this one out and notes it in meter.event_conflict; or too late, where the events of its day are purged, so that nobody can say whether it was among them: it is kept out, too. An event that no table could hold is an error (class 23). Where two sessions send the same id at once, the second one waits for the first one''s transaction. The arguments are the columns of meter.usage_event.';

CREATE FUNCTION meter.read_event(event jsonb) RETURNS meter.usage_event
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	names CONSTANT text[] := '{customer_id,event_id,occurred_at,item,usage,action,variant,outcome,request_class,user_id,workflow_id,tags}';
	attributes CONSTANT text[] := '{specversion,id,source,type,subject,time,data,datacontenttype,dataschema}';
	content jsonb := event;
	unknown text;
	malformed text;
	result meter.usage_event;
BEGIN
	IF jsonb_typeof(event) IS DISTINCT FROM 'object' THEN
		RAISE EXCEPTION 'the event is no JSON object'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Send {"customer_id": "acme", "event_id": "req-1", "occurred_at": "2026-09-23T08:15:00Z", "item": "openai/gpt-4o", "usage": {"input_tokens": 1200}}.';
	END IF;

	/* CloudEvents 1.0: the content is in data; what the envelope says as well counts where data does not say it. */
	IF event ? 'specversion' THEN
		IF event ->> 'specversion' <> '1.0' THEN
			RAISE EXCEPTION 'specversion % of CloudEvents is not known', event ->> 'specversion'
				USING ERRCODE = 'invalid_parameter_value', HINT = 'It has to be 1.0.';
		END IF;
		IF event ? 'data_base64' THEN
			RAISE EXCEPTION 'data_base64 cannot be read'
				USING ERRCODE = 'invalid_parameter_value', HINT = 'Send the content as a JSON object in data.';
		END IF;
		IF jsonb_typeof(event -> 'data') IS DISTINCT FROM 'object' THEN
			RAISE EXCEPTION 'data is no JSON object'
				USING ERRCODE = 'invalid_parameter_value', HINT = 'Send the content in data, as {"item": "openai/gpt-4o", "usage": {"input_tokens": 1200}}.';
		END IF;
		IF coalesce(event ->> 'id', '') = '' OR coalesce(event ->> 'source', '') = '' THEN
			RAISE EXCEPTION 'the event has no id and source'
				USING ERRCODE = 'invalid_parameter_value', HINT = 'CloudEvents 1.0 requires both: together they are the event_id.';
		END IF;
		/* Only both together are unique. A source is a URI reference, and has no space. */
		content := jsonb_strip_nulls(jsonb_build_object(
				'customer_id', event -> 'subject',
				'event_id', (event ->> 'source') || ' ' || (event ->> 'id'),
				'occurred_at', event -> 'time',
				'action', event -> 'type'))
			|| (event -> 'data');
		IF event - attributes <> '{}' THEN
			content := content || jsonb_build_object('tags', (event - attributes) || coalesce(nullif(content -> 'tags', 'null'), '{}'));
		END IF;
	END IF;

	SELECT string_agg(quote_literal(key), ', ' ORDER BY key) INTO unknown
	FROM jsonb_object_keys(content - names) AS key;
	IF unknown IS NOT NULL THEN
		RAISE EXCEPTION 'unknown field %', unknown
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Put anything else into tags.';
	END IF;
	SELECT string_agg(quote_literal(key), ', ' ORDER BY key) INTO malformed
	FROM jsonb_each(content - '{usage,tags}'::text[]) AS field (key, value)
	WHERE jsonb_typeof(value) NOT IN ('string', 'null')
		AND NOT (jsonb_typeof(value) = 'number' AND key LIKE '%\_id');
	IF malformed IS NOT NULL THEN
		RAISE EXCEPTION 'field % is no string', malformed
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Only usage and tags are objects; ids may be numbers, too.';
	END IF;
	SELECT string_agg(name, ', ' ORDER BY place) INTO malformed
	FROM unnest('{customer_id,event_id,occurred_at,usage}'::text[]) WITH ORDINALITY AS needed (name, place)
	WHERE coalesce(content ->> name, '') = '';
	IF malformed IS NOT NULL THEN
		RAISE EXCEPTION 'the event has no %', malformed
			USING ERRCODE = 'invalid_parameter_value', HINT = 'An event has a customer_id, an event_id, an occurred_at and a usage, which may be {}.';
	END IF;
	IF content ->> 'occurred_at' !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$' THEN
		RAISE EXCEPTION 'occurred_at % is no instant', quote_literal(content ->> 'occurred_at')
			USING ERRCODE = 'invalid_datetime_format', HINT = 'Write it with its offset from UTC, as 2026-09-23T08:15:00Z.';
	END IF;

	result.customer_id := content ->> 'customer_id';
	result.event_id := content ->> 'event_id';
	result.occurred_at := (content ->> 'occurred_at')::timestamptz;
	result.item := content ->> 'item';
	result.usage := meter.usage(content -> 'usage');
	result.action := content ->> 'action';
	result.variant := coalesce(content ->> 'variant', 'standard');
	result.outcome := content ->> 'outcome';
	result.request_class := content ->> 'request_class';
	result.user_id := content ->> 'user_id';
	result.workflow_id := content ->> 'workflow_id';
	result.tags := nullif(content -> 'tags', 'null');
	result.sign := 1;
	RETURN result;
END
$$;
COMMENT ON FUNCTION meter.read_event(jsonb) IS 'The event that a JSON object says: one with the columns of meter.usage_event from customer_id to tags, or a CloudEvents 1.0 envelope with these in data. An envelope''s subject is the customer_id, source and id with a space between them the event_id, time the occurred_at, type the action, and attributes of extensions are tags, each unless data says it itself. An instant without an offset from UTC and an unknown field are errors of class 22.';

CREATE FUNCTION meter.record_batch(events jsonb) RETURNS TABLE (place integer, customer_id text, event_id text, outcome text, reason text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	batch meter.usage_event[];
	stored integer[];
	one record;
	event meter.usage_event;
	hint text;
BEGIN
	IF jsonb_typeof(events) IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION 'the batch is no JSON array'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Send [event, event, ...]; one event alone is an array of one.';
	END IF;

	/* All at once, in the order of the key, so that two batches cannot wait for each other. */
	BEGIN
		batch := ARRAY(
			SELECT meter.read_event(sent.event)
			FROM jsonb_array_elements(events) WITH ORDINALITY AS sent (event, place)
			ORDER BY sent.place);
		WITH sent AS (
			SELECT DISTINCT ON (event.customer_id, event.event_id) event.*
			FROM unnest(batch) WITH ORDINALITY AS event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags, sign, reverses, received_at, txid, place)
			WHERE event.occurred_at >= (SELECT clear_from FROM meter.horizon)
				OR NOT meter.is_too_late(event.customer_id, event.occurred_at)
			ORDER BY event.customer_id, event.event_id, event.place
		), inserted AS (
			INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags)
			SELECT customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags
			FROM sent
			ORDER BY customer_id, event_id
			ON CONFLICT ON CONSTRAINT usage_event_pkey DO NOTHING
			RETURNING customer_id, event_id
		)
		SELECT array_agg(sent.place::integer) INTO stored
		FROM sent
		JOIN inserted USING (customer_id, event_id);

		RETURN QUERY
		SELECT
			sent.place::integer, sent.customer_id, sent.event_id,
			CASE
				WHEN sent.place = ANY (stored) THEN 'stored'
				WHEN sent.occurred_at < (SELECT clear_from FROM meter.horizon) AND meter.is_too_late(sent.customer_id, sent.occurred_at) THEN 'too late'
				ELSE coalesce(
					meter.compare_event(batch[sent.place]),
					meter.record(sent.customer_id, sent.event_id, sent.occurred_at, sent.item, sent.usage, sent.action, sent.variant, sent.outcome, sent.request_class, sent.user_id, sent.workflow_id, sent.tags))
			END,
			NULL::text
		FROM unnest(batch) WITH ORDINALITY AS sent (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags, sign, reverses, received_at, txid, place)
		ORDER BY sent.place;
		RETURN;
	EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
		/* Some event is bad: all of them again, one by one. */
	END;

	FOR one IN
		SELECT sent.place::integer AS place, sent.event
		FROM jsonb_array_elements(events) WITH ORDINALITY AS sent (event, place)
		ORDER BY
			CASE WHEN jsonb_typeof(sent.event) = 'object' THEN coalesce(sent.event ->> 'customer_id', sent.event ->> 'subject') END,
			CASE WHEN jsonb_typeof(sent.event) = 'object' THEN coalesce(sent.event ->> 'event_id', sent.event ->> 'id') END,
			sent.place
	LOOP
		place := one.place;
		customer_id := NULL;
		event_id := NULL;
		IF jsonb_typeof(one.event) = 'object' THEN
			customer_id := coalesce(one.event ->> 'customer_id', one.event ->> 'subject');
			event_id := coalesce(one.event ->> 'event_id', one.event ->> 'id');
		END IF;
		BEGIN
			event := meter.read_event(one.event);
			customer_id := event.customer_id;
			event_id := event.event_id;
			outcome := meter.record(event.customer_id, event.event_id, event.occurred_at, event.item, event.usage, event.action, event.variant, event.outcome, event.request_class, event.user_id, event.workflow_id, event.tags);
			reason := NULL;
		EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
			GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
			outcome := 'refused';
			reason := concat_ws('. ', SQLERRM, nullif(hint, ''));
		END;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION meter.record_batch(jsonb) IS 'Records an array of events, each as meter.read_event takes it, CloudEvents 1.0 included. Returns a row an event, in any order: its place in the array from 1, its ids, and what became of it: stored, duplicate, conflict or too late, as meter.record says, or refused, with the reason and, where there is one, what to do, where no event could be made of it. One bad event does not keep the others out. Only something that is no array is an error.';

CREATE FUNCTION meter.allow_recording(role regrole) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT SELECT, INSERT (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags) ON meter.usage_event TO %s', role);
	EXECUTE format('GRANT SELECT, INSERT (customer_id, event_id, content, differs), UPDATE (times, last_at) ON meter.event_conflict TO %s', role);
	EXECUTE format('GRANT SELECT ON meter.horizon, meter.customer_zone_span TO %s', role);
	EXECUTE format('GRANT SELECT (timezone) ON meter.setting TO %s', role);
END
$$;
COMMENT ON FUNCTION meter.allow_recording(regrole) IS 'Grants a role what it takes to record events by any of the ways in, and no more: not the columns by which the extension counts each event once (sign, reverses, received_at, txid).';
REVOKE ALL ON FUNCTION meter.allow_recording(regrole) FROM PUBLIC;
