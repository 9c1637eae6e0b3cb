/*
 * Attaching tables of one's own, and rolling them up.
 *
 * Whoever attaches says SQL that others' reports run. So it takes the owner of the
 * extension or a superuser, as CREATE OR REPLACE of meter.attached_row does; expressions
 * are checked where nothing but an expression over the table's columns can stand.
 */

CREATE FUNCTION meter.json_quantity(value jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
	WHEN value IS NULL OR jsonb_typeof(value) = 'null' THEN NULL
	WHEN jsonb_typeof(value) = 'number' THEN value::numeric
	ELSE 'NaN'
END;
COMMENT ON FUNCTION meter.json_quantity(jsonb) IS 'The number that a JSON value is, NULL where there is none, and NaN where it is something else, which is never an error: for quantities of attached tables, where NaN is listed in meter.attached_problem.';

CREATE FUNCTION meter.attached_column(relation regclass, VARIADIC names text[]) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT quote_ident(attname)
	FROM pg_attribute
	WHERE attrelid = relation
		AND attnum > 0
		AND NOT attisdropped
		AND attname = ANY (names)
	ORDER BY array_position(names, attname::text)
	LIMIT 1;
END;
COMMENT ON FUNCTION meter.attached_column(regclass, text[]) IS 'The first of these columns that the relation has, quoted; NULL where it has none.';

CREATE FUNCTION meter.check_attached_expression(relation regclass, argument text, expression text, payload text DEFAULT NULL) RETURNS regtype
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	one refcursor;
	found_type regtype;
BEGIN
	IF to_regclass('pg_temp.attached_probe') IS NULL THEN
		EXECUTE format('CREATE TEMP TABLE attached_probe (LIKE %s) ON COMMIT DROP', relation);
	END IF;
	IF payload IS NOT NULL THEN
		ALTER TABLE pg_temp.attached_probe ADD COLUMN payload jsonb;
	END IF;
	BEGIN
		/* A cursor takes one statement, and a constraint no subquery, no aggregate and no set. Comments end with their line. */
		OPEN one FOR EXECUTE format(E'SELECT FROM pg_temp.attached_probe WHERE ((\n%s\n)) IS NULL', expression);
		CLOSE one;
		EXECUTE format(E'ALTER TABLE pg_temp.attached_probe ADD CONSTRAINT attached_expression CHECK ((\n%s\n) IS NULL)', expression);
		ALTER TABLE pg_temp.attached_probe DROP CONSTRAINT attached_expression;
		EXECUTE format(E'SELECT pg_typeof(CASE WHEN false THEN (\n%s\n) END) FROM (SELECT) AS one LEFT JOIN pg_temp.attached_probe ON true', expression)
		INTO found_type;
	EXCEPTION WHEN OTHERS THEN
		RAISE EXCEPTION '% is no expression over the columns of %: %', argument, relation, SQLERRM
			USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It is: %s', expression),
				HINT = 'Write a column''s name, or SQL over columns of the relation. Functions and types that are not in pg_catalog need their schema; subqueries, aggregates and functions that return sets are not possible: make a view with them, and attach that.';
	END;
	IF payload IS NOT NULL THEN
		ALTER TABLE pg_temp.attached_probe DROP COLUMN payload;
	END IF;
	SELECT coalesce(nullif(typbasetype, 0), oid)::regtype INTO found_type FROM pg_type WHERE oid = found_type;
	RETURN found_type;
END
$$;
COMMENT ON FUNCTION meter.check_attached_expression(regclass, text, text, text) IS 'The type of an expression over the columns of a relation, and over payload where there is one. Anything else is an error that names the argument it was given for.';
REVOKE ALL ON FUNCTION meter.check_attached_expression(regclass, text, text, text) FROM PUBLIC;

CREATE FUNCTION meter.attachment_query(attachment meter.attachment) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation CONSTANT regclass := (attachment).relation::regclass;
	/* An expression of text, with the collation that meter.attached_row has. */
	text_column CONSTANT text := E'(\n%s\n)::text COLLATE pg_catalog."default"';
	at_type regtype;
	quantity record;
	quantity_type regtype;
	countable text;
	fenced text;
	usage text;
	usable text;
	problems text := '';
	occurred_at text;
	live text;
	due text;
	bound text;
BEGIN
	IF to_regclass('pg_temp.attached_probe') IS NOT NULL THEN
		DROP TABLE pg_temp.attached_probe;
	END IF;
	at_type := meter.check_attached_expression(relation, 'at', (attachment).at);

	/* Bounds are compared with what is stored, for the sake of an index on it. */
	bound := format('(SELECT coalesce(%%s, ''-infinity'') FROM meter.attachment WHERE attachment.name = %L)', (attachment).name);
	IF at_type = 'timestamptz'::regtype THEN
		occurred_at := 'stored_at';
		live := 'stored_at >= ' || format(bound, 'timezone(''UTC'', rolled_up_until::timestamp)');
		due := 'stored_at < ' || format(bound, 'timezone(''UTC'', rolling_until::timestamp)');
	ELSE
		occurred_at := format('timezone(%L, stored_at)', (attachment).timezone);
		IF (attachment).timezone IN ('UTC', 'Etc/UTC') THEN
			live := 'stored_at >= ' || format(bound, 'rolled_up_until::timestamp');
			due := 'stored_at < ' || format(bound, 'rolling_until::timestamp');
		ELSE
			/* At the ends of what a timestamp can be, a zone may have no instant for it: that far from 1970 to 9999, another one will do. */
			occurred_at := format('timezone(%L, least(greatest(stored_at, ''0001-01-01''), ''100000-01-01''))', (attachment).timezone);
			/* No zone is two days off; the exact condition comes second. */
			live := 'stored_at >= ' || format(bound, 'rolled_up_until::timestamp - interval ''2 days''')
				|| ' AND ' || occurred_at || ' >= ' || format(bound, 'timezone(''UTC'', rolled_up_until::timestamp)');
			due := 'stored_at < ' || format(bound, 'rolling_until::timestamp + interval ''2 days''')
				|| ' AND ' || occurred_at || ' < ' || format(bound, 'timezone(''UTC'', rolling_until::timestamp)');
		END IF;
	END IF;

	IF (attachment).usage IS NOT NULL THEN
		fenced := format(E'(\n%s\n) AS usage', (attachment).usage);
		usage := 'usage';
		problems := ' WHEN usage IS NULL THEN ''usage is null'''
			' WHEN NOT meter.is_countable(usage, 1::smallint) THEN ''a quantity is negative or above 10^20: '' || usage::text';
	ELSE
		FOR quantity IN
			SELECT key AS unit, value AS expression, row_number() OVER (ORDER BY key) AS number
			FROM jsonb_each_text((attachment).quantities)
		LOOP
			quantity_type := meter.check_attached_expression(relation, format('quantity of %s', quantity.unit), quantity.expression, (attachment).payload);
			countable := format(CASE
					WHEN quantity_type = 'numeric'::regtype THEN '(quantity_%1$s BETWEEN 0 AND 100000000000000000000 AND scale(trim_scale(quantity_%1$s)) <= 12) IS NOT FALSE'
					ELSE '(quantity_%1$s >= 0) IS NOT FALSE'
				END, quantity.number);
			fenced := concat_ws(', ', fenced, format(E'(\n%s\n) AS quantity_%s', quantity.expression, quantity.number));
			usage := concat_ws(', ', usage, format('%L, quantity_%s', quantity.unit, quantity.number));
			usable := concat_ws(' AND ', usable, countable);
			problems := problems || format(' WHEN NOT (%s) THEN %L || quantity_%s::text', countable,
				format('quantity of %s is negative, above 10^20 or finer than 12 fractional digits: ', quantity.unit), quantity.number);
		END LOOP;
		/* No bad quantity reaches the function, whatever is evaluated first. */
		usage := format('CASE WHEN %s THEN meter.usage(%s) END', usable, usage);
	END IF;

	/* What is measured stands behind a fence, OFFSET 0, so that it is evaluated once a row; conditions on the rest pass. */
	RETURN format(
		'SELECT %L::text AS attachment, (%s) AS live, (%s AND %s) AS due,'
		' CASE'
		' WHEN customer_id IS NULL THEN ''customer is null'''
		' WHEN octet_length(customer_id) NOT BETWEEN 1 AND 255 THEN ''customer has not 1 to 255 bytes'''
		' WHEN stored_at IS NULL THEN ''at is null'''
		' WHEN NOT (%s >= ''1970-01-01 00:00:00+00'' AND %s < ''10000-01-01 00:00:00+00'') THEN ''at is not in 1970 to 9999: '' || stored_at::text'
		' WHEN octet_length(event_id) NOT BETWEEN 1 AND 1000 THEN ''event_id has not 1 to 1000 bytes'''
		' WHEN octet_length(item) NOT BETWEEN 1 AND 255 THEN ''item has not 1 to 255 bytes'''
		' WHEN octet_length(action) NOT BETWEEN 1 AND 255 THEN ''action has not 1 to 255 bytes'''
		' WHEN octet_length(variant) NOT BETWEEN 1 AND 255 THEN ''variant has not 1 to 255 bytes'''
		' WHEN outcome NOT IN (''success'', ''failure'', ''pending'', ''disputed'') THEN ''outcome is none of success, failure, pending, disputed: '' || outcome'
		' WHEN octet_length(request_class) NOT BETWEEN 1 AND 255 THEN ''request_class has not 1 to 255 bytes'''
		' WHEN jsonb_typeof(tags) <> ''object'' THEN ''tags are no JSON object'''
		'%s END AS problem,'
		' source_row, customer_id, event_id, %s AS occurred_at, item, %s AS usage, action, variant, outcome, request_class, user_id, workflow_id, tags'
		' FROM (SELECT %s AS customer_id, (%s) AS stored_at, %s AS event_id, %s AS item, %s AS action, coalesce(%s, ''standard'') AS variant,'
		' %s AS outcome, %s AS request_class, %s AS user_id, %s AS workflow_id, %s AS tags, to_jsonb(attached_source.*) AS source_row, measured.*'
		' FROM %s AS attached_source%s CROSS JOIN LATERAL (SELECT %s OFFSET 0) AS measured WHERE %s) AS mapped',
		(attachment).name, live, live, due, occurred_at, occurred_at, problems, occurred_at, usage,
		format(text_column, (attachment).customer), E'\n' || (attachment).at || E'\n',
		format(text_column, coalesce((attachment).event_id, 'NULL')), format(text_column, coalesce((attachment).item, 'NULL')),
		format(text_column, coalesce((attachment).action, 'NULL')), format(text_column, coalesce((attachment).variant, 'NULL')),
		format(text_column, coalesce((attachment).outcome, 'NULL')), format(text_column, coalesce((attachment).request_class, 'NULL')),
		format(text_column, coalesce((attachment).user_id, 'NULL')), format(text_column, coalesce((attachment).workflow_id, 'NULL')),
		format(E'(\n%s\n)::jsonb', coalesce((attachment).tags, 'NULL')),
		relation, E' CROSS JOIN LATERAL (SELECT (\n' || (attachment).payload || E'\n)::jsonb AS payload OFFSET 0) AS unpacked', fenced, coalesce(E'(\n' || (attachment).filter || E'\n)', 'true'));
END
$$;
COMMENT ON FUNCTION meter.attachment_query(meter.attachment) IS 'The query of the view meter.attached_NAME: a row for each row of the relation that meets the filter, as an event, with the reason where it is none.';
REVOKE ALL ON FUNCTION meter.attachment_query(meter.attachment) FROM PUBLIC;

CREATE FUNCTION meter.lock_attachments() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	/* A lock of the view itself would be one of the attached tables, too. */
	PERFORM pg_advisory_xact_lock('pg_class'::regclass::oid::integer, 'meter.attached_row'::regclass::oid::integer);
END
$$;
COMMENT ON FUNCTION meter.lock_attachments() IS 'Takes the lock under which meter.attached_row is generated, until the transaction''s end: whoever has it sees all attachments, at READ COMMITTED.';
REVOKE ALL ON FUNCTION meter.lock_attachments() FROM PUBLIC;

/*
 * Runs while a dump is restored as well, which brings the views meter.attached_NAME, as
 * they are no members of the extension, but meter.attached_row as it was created.
 */
CREATE FUNCTION meter.connect_attachments() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	missing meter.attachment;
	query text;
BEGIN
	PERFORM meter.lock_attachments();
	FOR missing IN
		SELECT *
		FROM meter.attachment
		WHERE connected
			AND to_regclass(format('meter.%I', 'attached_' || name)) IS NULL
		ORDER BY name
	LOOP
		BEGIN
			PERFORM meter.create_attached_view(missing);
		EXCEPTION WHEN OTHERS THEN
			RAISE WARNING 'attachment "%" is not connected: %', missing.name, SQLERRM
				USING HINT = format('Its rows are not reported. Once %s is there: UPDATE meter.attachment SET connected = true WHERE name = %L', missing.relation, missing.name);
		END;
	END LOOP;

	SELECT string_agg(
		format('SELECT attachment, live, due, problem, source_row, customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags FROM meter.%I', 'attached_' || name),
		' UNION ALL ' ORDER BY name)
	INTO query
	FROM meter.attachment
	WHERE connected
		AND to_regclass(format('meter.%I', 'attached_' || name)) IS NOT NULL;
	EXECUTE 'CREATE OR REPLACE VIEW meter.attached_row AS ' || coalesce(query,
		'SELECT NULL::text AS attachment, NULL::boolean AS live, NULL::boolean AS due, NULL::text AS problem, NULL::jsonb AS source_row, NULL::text AS customer_id, NULL::text AS event_id, NULL::timestamptz AS occurred_at, NULL::text AS item, NULL::meter.usage AS usage, NULL::text AS action, NULL::text AS variant, NULL::text AS outcome, NULL::text AS request_class, NULL::text AS user_id, NULL::text AS workflow_id, NULL::jsonb AS tags WHERE false');
	EXECUTE format('CREATE OR REPLACE VIEW meter.is_attached AS SELECT %L::boolean AS attached', EXISTS (SELECT FROM meter.attachment));
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION meter.connect_attachments() IS 'Trigger of meter.attachment: creates the views meter.attached_NAME that are missing, with a warning where that is not possible, and generates meter.attached_row and meter.is_attached anew.';
REVOKE ALL ON FUNCTION meter.connect_attachments() FROM PUBLIC;

CREATE FUNCTION meter.create_attached_view(attachment meter.attachment) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view CONSTANT text := format('meter.%I', 'attached_' || (attachment).name);
BEGIN
	EXECUTE format('CREATE VIEW %s AS %s', view, meter.attachment_query(attachment));
	DROP TABLE pg_temp.attached_probe;
	EXECUTE format('COMMENT ON VIEW %s IS %L', view, format('The rows of %s as events. It serves reports, never invoices. meter.attach made it, and meter.detach drops it.', (attachment).relation));
	/* Whether the rows can be read at all, and the expressions be planned. */
	EXECUTE format('SELECT FROM %s LIMIT 0', view);
END
$$;
COMMENT ON FUNCTION meter.create_attached_view(meter.attachment) IS 'Creates the view meter.attached_NAME of an attachment, and tries it.';
REVOKE ALL ON FUNCTION meter.create_attached_view(meter.attachment) FROM PUBLIC;

CREATE TRIGGER connect AFTER INSERT OR DELETE OR TRUNCATE ON meter.attachment
	FOR EACH STATEMENT EXECUTE FUNCTION meter.connect_attachments();
CREATE TRIGGER connect_updated AFTER UPDATE OF connected ON meter.attachment
	FOR EACH STATEMENT EXECUTE FUNCTION meter.connect_attachments();

CREATE FUNCTION meter.attach(relation regclass, customer text, at text, item text DEFAULT NULL, usage text DEFAULT NULL, quantities jsonb DEFAULT NULL, payload text DEFAULT NULL,
	event_id text DEFAULT NULL, action text DEFAULT NULL, variant text DEFAULT NULL, outcome text DEFAULT NULL, request_class text DEFAULT NULL,
	user_id text DEFAULT NULL, workflow_id text DEFAULT NULL, tags text DEFAULT NULL, filter text DEFAULT NULL,
	timezone text DEFAULT 'UTC', window_days integer DEFAULT 7, name text DEFAULT NULL, kind text DEFAULT 'own') RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	attached meter.attachment;
	present meter.attachment;
	source pg_class;
	mapping jsonb;
	argument record;
	checked_type regtype;
	category "char";
	twice text;
BEGIN
	IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'meter.attached_row'::regclass), 'USAGE') THEN
		RAISE EXCEPTION 'only the owner of the extension and superusers can attach a table'
			USING ERRCODE = 'insufficient_privilege', HINT = 'What is attached is read with the owner''s rights. Ask the owner to attach it.';
	END IF;
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'a table can be attached at READ COMMITTED only, not at %', upper(current_setting('transaction_isolation'))
			USING ERRCODE = 'invalid_parameter_value', HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED.';
	END IF;
	PERFORM meter.lock_attachments();
	IF attach.relation IS NULL THEN
		RAISE EXCEPTION 'the relation to attach is null'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Name it with its schema, where the search_path does not find it.';
	END IF;
	SELECT * INTO source FROM pg_class WHERE oid = attach.relation;
	IF source.relkind NOT IN ('r', 'p', 'v', 'm', 'f') OR source.relpersistence = 't' THEN
		RAISE EXCEPTION '% is no lasting table or view', attach.relation
			USING ERRCODE = 'invalid_parameter_value', HINT = 'A table, a partitioned or foreign table, a view or a materialized view can be attached.';
	END IF;
	IF source.relnamespace = 'meter'::regnamespace THEN
		RAISE EXCEPTION '% belongs to the extension', attach.relation
			USING ERRCODE = 'invalid_parameter_value', HINT = 'What is in meter.usage_event is reported already.';
	END IF;
	IF num_nonnulls(attach.usage, attach.quantities) <> 1 THEN
		RAISE EXCEPTION 'an attachment has either usage or quantities'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'usage is an expression of type meter.usage; quantities say one for each unit: {"input_tokens": "prompt_tokens"}.';
	END IF;
	IF attach.window_days IS NULL OR attach.window_days NOT BETWEEN 0 AND 3650 THEN
		RAISE EXCEPTION 'a window of % days is not one of 0 to 3650', coalesce(attach.window_days::text, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'It is for how many days rows may still come late or change, such as 7.';
	END IF;

	attached.name := coalesce(attach.name, left(regexp_replace(lower(source.relname::text), '[^a-z0-9_]+', '_', 'g'), 50));
	IF attached.name COLLATE "C" !~ '^[a-z][a-z0-9_]{0,49}$' THEN
		RAISE EXCEPTION 'an attachment cannot be called "%"', attached.name
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Give it a name of lower-case letters, digits and _, at most 50, that begins with a letter.';
	END IF;
	SELECT * INTO present FROM meter.attachment WHERE attachment.name = attached.name FOR UPDATE;
	IF present.connected THEN
		RAISE EXCEPTION 'attachment "%" is there already', attached.name
			USING ERRCODE = 'duplicate_object', HINT = format('SELECT meter.detach(%L) first, with keep_days => true to keep what is rolled up; or give this one another name.', attached.name);
	END IF;
	IF to_regclass(format('meter.%I', 'attached_' || attached.name)) IS NOT NULL THEN
		RAISE EXCEPTION 'an attachment cannot be called "%"', attached.name
			USING ERRCODE = 'invalid_parameter_value', DETAIL = format('Relation meter.%I is there already.', 'attached_' || attached.name), HINT = 'Give it another name.';
	END IF;
	/* An unknown zone is an error of its own. */
	PERFORM meter.period_start(timestamptz '2000-01-01 00:00:00+00', date '2000-01-01', '1 day', attach.timezone);

	mapping := jsonb_strip_nulls(jsonb_build_object(
		'customer', attach.customer, 'at', attach.at, 'item', attach.item, 'payload', attach.payload, 'usage', attach.usage, 'event_id', attach.event_id, 'action', attach.action,
		'variant', attach.variant, 'outcome', attach.outcome, 'request_class', attach.request_class, 'user_id', attach.user_id,
		'workflow_id', attach.workflow_id, 'tags', attach.tags, 'filter', attach.filter));
	IF NOT mapping ?& '{customer,at}' THEN
		RAISE EXCEPTION 'an attachment needs a customer and an instant'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'customer and at are columns or expressions. For usage that is nobody''s, write customer => ''''''nobody''''''.';
	END IF;
	IF attach.payload IS NOT NULL AND meter.attached_column(attach.relation, 'payload') IS NOT NULL THEN
		RAISE EXCEPTION '% has a column payload of its own', attach.relation
			USING ERRCODE = 'ambiguous_column', HINT = 'Write its part in each quantity, without payload.';
	END IF;
	IF jsonb_typeof(attach.quantities) <> 'object' OR attach.quantities = '{}'
		OR EXISTS (SELECT FROM jsonb_each(attach.quantities) AS quantity WHERE jsonb_typeof(quantity.value) <> 'string' OR quantity.key COLLATE "C" !~ '^[a-z][a-z0-9_]{0,62}$')
		OR (SELECT count(*) FROM jsonb_object_keys(attach.quantities)) > 50 THEN
		RAISE EXCEPTION 'quantities % are no expressions of up to 50 units', attach.quantities
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Write an object of a column or expression for each unit: {"input_tokens": "prompt_tokens", "requests": "1"}.';
	END IF;
	/* What is the name of a column is that column, and needs no quotes. */
	SELECT jsonb_object_agg(entry.key, coalesce(quote_ident(attname), entry.value)) INTO mapping
	FROM jsonb_each_text(mapping) AS entry
	LEFT JOIN pg_attribute ON attrelid = attach.relation AND attnum > 0 AND NOT attisdropped AND attname = entry.value;
	SELECT jsonb_object_agg(entry.key, coalesce(quote_ident(attname), entry.value)) INTO attached.quantities
	FROM jsonb_each_text(attach.quantities) AS entry
	LEFT JOIN pg_attribute ON attrelid = attach.relation AND attnum > 0 AND NOT attisdropped AND attname = entry.value;

	IF to_regclass('pg_temp.attached_probe') IS NOT NULL THEN
		DROP TABLE pg_temp.attached_probe;
	END IF;
	FOR argument IN
		SELECT entry.key AS name, entry.value AS expression, entry.key AS needs
		FROM jsonb_each_text(mapping) AS entry
		UNION ALL
		SELECT format('quantity of %s', entry.key), entry.value, 'quantity'
		FROM jsonb_each_text(attached.quantities) AS entry
		ORDER BY 1
	LOOP
		checked_type := meter.check_attached_expression(attach.relation, argument.name, argument.expression, CASE WHEN argument.needs IN ('usage', 'quantity') THEN attach.payload END);
		category := (SELECT typcategory FROM pg_type WHERE oid = checked_type);
		IF NOT (CASE argument.needs
			WHEN 'at' THEN checked_type IN ('timestamptz'::regtype, 'timestamp'::regtype)
			WHEN 'usage' THEN checked_type = 'meter.usage'::regtype
			WHEN 'quantity' THEN checked_type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype)
			WHEN 'payload' THEN checked_type IN ('jsonb'::regtype, 'json'::regtype)
			WHEN 'tags' THEN checked_type IN ('jsonb'::regtype, 'json'::regtype)
			WHEN 'filter' THEN checked_type = 'boolean'::regtype
			ELSE category IN ('S', 'E')
				OR argument.needs IN ('customer', 'event_id', 'user_id', 'workflow_id') AND checked_type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'uuid'::regtype)
		END) THEN
			RAISE EXCEPTION '% of type % cannot be used', argument.name, checked_type
				USING ERRCODE = 'datatype_mismatch', DETAIL = format('It is: %s', argument.expression),
					HINT = CASE argument.needs
						WHEN 'at' THEN 'It has to be a timestamptz or a timestamp.'
						WHEN 'usage' THEN 'It has to be a meter.usage; or use quantities.'
						WHEN 'quantity' THEN 'It has to be a whole number or a numeric. Floating point is inexact: cast it.'
						WHEN 'payload' THEN 'It has to be a jsonb.'
						WHEN 'tags' THEN 'It has to be a jsonb.'
						WHEN 'filter' THEN 'It has to be a boolean.'
						ELSE 'It has to be text, or a number or uuid where it is an id.'
					END;
		END IF;
	END LOOP;

	attached.relation := (SELECT format('%I.%I', nspname, source.relname) FROM pg_namespace WHERE oid = source.relnamespace);
	attached.kind := attach.kind;
	attached.customer := mapping ->> 'customer';
	attached.at := mapping ->> 'at';
	attached.timezone := attach.timezone;
	attached.item := mapping ->> 'item';
	attached.payload := mapping ->> 'payload';
	attached.usage := mapping ->> 'usage';
	attached.event_id := mapping ->> 'event_id';
	attached.action := mapping ->> 'action';
	attached.variant := mapping ->> 'variant';
	attached.outcome := mapping ->> 'outcome';
	attached.request_class := mapping ->> 'request_class';
	attached.user_id := mapping ->> 'user_id';
	attached.workflow_id := mapping ->> 'workflow_id';
	attached.tags := mapping ->> 'tags';
	attached.filter := mapping ->> 'filter';
	attached.window_days := attach.window_days;

	twice := (
		SELECT string_agg(format('"%s"', attachment.name), ', ' ORDER BY attachment.name)
		FROM meter.attachment
		WHERE attachment.relation = attached.relation
			AND attachment.connected);
	IF twice IS NOT NULL THEN
		RAISE WARNING '% is attached as % as well: a row that both read counts twice', attached.relation, twice;
	END IF;

	PERFORM meter.create_attached_view(attached);
	/* One that kept its days goes on from there. */
	DELETE FROM meter.attachment WHERE attachment.name = attached.name;
	INSERT INTO meter.attachment (name, relation, kind, customer, at, timezone, item, payload, usage, quantities, event_id, action, variant, outcome, request_class, user_id, workflow_id, tags, filter, window_days, rolled_up_until, refreshed_at)
	VALUES (attached.name, attached.relation, attached.kind, attached.customer, attached.at, attached.timezone, attached.item, attached.payload, attached.usage, attached.quantities, attached.event_id, attached.action, attached.variant, attached.outcome, attached.request_class, attached.user_id, attached.workflow_id, attached.tags, attached.filter, attached.window_days, present.rolled_up_until, present.refreshed_at);
	RAISE NOTICE 'attachment "%" serves reports, never invoices: nothing tells a row that came twice, late or changed', attached.name
		USING DETAIL = format('While it is attached, DROP ... CASCADE of %s, or of a column that is read, drops the extension too, with all events and invoices: SELECT meter.detach(%L) first.', attached.relation, attached.name),
			HINT = 'What is to be invoiced is copied into meter.usage_event, by a trigger or by INSERT ... SELECT.';
	RETURN attached.name;
END
$$;
COMMENT ON FUNCTION meter.attach(regclass, text, text, text, text, jsonb, text, text, text, text, text, text, text, text, text, text, text, integer, text, text) IS 'Attaches a table, partitioned or foreign table, view or materialized view, so that meter.usage_by_day and what is built on it include its usage without a copy, and returns the attachment''s name, by default that of the relation. It serves reports, never invoices. The arguments are columns or SQL expressions over the relation''s columns, as meter.attachment has them: customer, at (timestamptz, or timestamp in timezone), and either usage (of type meter.usage) or quantities (an expression for each unit, in disjoint buckets) are needed; both can say payload for the jsonb of that argument, which is read once a row. filter says which rows are usage. Rows of the last window_days UTC days and the present one are always read from the table; older ones are rolled up by meter.refresh_attached, and stay as they were then. Rows that no event can be made of are left out and listed in meter.attached_problem. What is no expression, or has a wrong type, is an error that names the argument. An expression that raises an error for a row fails the reports: write it so that it does not, as meter.json_quantity does. While it is attached, the relation and the columns that are read can be neither dropped nor changed in type; but DROP ... CASCADE of them drops the extension too, with all events and invoices, whoever owns the relation: detach first. For the owner of the extension.';
REVOKE ALL ON FUNCTION meter.attach(regclass, text, text, text, text, jsonb, text, text, text, text, text, text, text, text, text, text, text, integer, text, text) FROM PUBLIC;

CREATE FUNCTION meter.detach(name text, keep_days boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'a table can be detached at READ COMMITTED only, not at %', upper(current_setting('transaction_isolation'))
			USING ERRCODE = 'invalid_parameter_value', HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED.';
	END IF;
	PERFORM meter.lock_attachments();
	PERFORM FROM meter.attachment WHERE attachment.name = detach.name FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'attachment "%" is not there', coalesce(detach.name, 'null')
			USING ERRCODE = 'undefined_object', HINT = 'Table meter.attachment has them.';
	END IF;
	IF keep_days THEN
		UPDATE meter.attachment SET connected = false WHERE attachment.name = detach.name;
	ELSE
		DELETE FROM meter.attached_daily WHERE attachment = detach.name;
		DELETE FROM meter.attachment WHERE attachment.name = detach.name;
	END IF;
	EXECUTE format('DROP VIEW IF EXISTS meter.%I', 'attached_' || detach.name);
END
$$;
COMMENT ON FUNCTION meter.detach(text, boolean) IS 'Detaches a table: reports are without its usage from then on. With keep_days they keep the days that are rolled up, and meter.attach with the same name goes on from there: the way to change a mapping, or a column that it reads. An attachment that is not there is an error.';
REVOKE ALL ON FUNCTION meter.detach(text, boolean) FROM PUBLIC;

CREATE FUNCTION meter.roll_up_attached(name text, until date) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '4MB'
SET enable_mergejoin = off
AS $$
DECLARE
	left_out bigint;
BEGIN
	/* As in meter.consume_events. */
	PERFORM set_config('work_mem', current_setting('maintenance_work_mem'), true);
	UPDATE meter.attachment
	SET rolling_until = roll_up_attached.until
	WHERE attachment.name = roll_up_attached.name
		AND connected
		AND (rolled_up_until IS NULL OR rolled_up_until < roll_up_attached.until);
	IF NOT FOUND THEN
		RETURN 0;
	END IF;

	WITH rated AS (
		SELECT
			attachment, timezone('UTC', occurred_at)::date AS source_date, customer_id, usage_date, item, action, variant, outcome, request_class,
			meter.event_sums((SELECT cost FROM meter.event_card), (SELECT credit FROM meter.event_card), item, credited_action, occurred_at, usage, variant, 1::smallint) AS sums
		FROM meter.attached_event
		WHERE attachment = roll_up_attached.name
			AND due
		GROUP BY attachment, source_date, customer_id, usage_date, item, action, variant, outcome, request_class
	), added AS (
		INSERT INTO meter.attached_daily (attachment, source_date, customer_id, usage_date, item, action, variant, outcome, request_class, events, usage, cost, credits, unpriced_cost, unpriced_credits)
		SELECT attachment, source_date, customer_id, usage_date, item, action, variant, outcome, request_class, (sums).events, (sums).usage, (sums).cost, (sums).credits, (sums).unpriced_cost, (sums).unpriced_credits
		FROM rated
		ORDER BY customer_id, usage_date, item, action, variant, outcome, request_class
	)
	/* All rows of the same snapshot but the events: to look at the problem of each once more would take as long again. */
	SELECT (SELECT count(*) FROM meter.attached_row WHERE attachment = roll_up_attached.name AND due) - coalesce(sum((rated.sums).events), 0)
	INTO left_out
	FROM rated;
	UPDATE meter.attachment
	SET rolled_up_until = roll_up_attached.until, rolling_until = NULL, refreshed_at = clock_timestamp()
	WHERE attachment.name = roll_up_attached.name;
	RETURN left_out;
END
$$;
COMMENT ON FUNCTION meter.roll_up_attached(text, date) IS 'Rolls up the rows of an attachment from before a UTC date that are not rolled up, and returns how many of them are left out, as no events can be made of them. Waits for another one that does the same.';
REVOKE ALL ON FUNCTION meter.roll_up_attached(text, date) FROM PUBLIC;

CREATE FUNCTION meter.first_attached_date(name text) RETURNS date
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (
		SELECT timezone('UTC', min(event.occurred_at))::date
		FROM meter.attached_row AS event
		WHERE event.attachment = first_attached_date.name
			AND event.occurred_at >= '1970-01-01 00:00:00+00'
			AND event.occurred_at < '10000-01-01 00:00:00+00');
END
$$;
COMMENT ON FUNCTION meter.first_attached_date(text) IS 'The UTC date of an attachment''s first row.';
REVOKE ALL ON FUNCTION meter.first_attached_date(text) FROM PUBLIC;

CREATE FUNCTION meter.unroll_attached(name text, since date) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	lost record;
BEGIN
	PERFORM FROM meter.attachment WHERE attachment.name = unroll_attached.name AND rolled_up_until > unroll_attached.since FOR UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;

	WITH rolled_up AS (
		SELECT source_date, sum(events) AS events
		FROM meter.attached_daily
		WHERE attachment = unroll_attached.name
			AND source_date >= unroll_attached.since
		GROUP BY source_date
	), present AS (
		SELECT timezone('UTC', occurred_at)::date AS source_date, count(*) AS events
		FROM meter.attached_event
		WHERE attachment = unroll_attached.name
			AND NOT live
			AND occurred_at >= timezone('UTC', unroll_attached.since::timestamp)
		GROUP BY timezone('UTC', occurred_at)::date
	)
	SELECT rolled_up.source_date, rolled_up.events, coalesce(present.events, 0) AS present INTO lost
	FROM rolled_up
	LEFT JOIN present USING (source_date)
	WHERE rolled_up.events > coalesce(present.events, 0)
	ORDER BY rolled_up.source_date DESC
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'attachment "%" has % rows of % rolled up, and the table has % of them', unroll_attached.name, lost.events, lost.source_date, lost.present
			USING ERRCODE = 'invalid_parameter_value', HINT = format('Rolled up anew, the others would be lost. Begin later: since => %L. Or delete that day from meter.attached_daily, if they are to be.', lost.source_date + 1);
	END IF;

	DELETE FROM meter.attached_daily
	WHERE attachment = unroll_attached.name
		AND source_date >= unroll_attached.since;
	UPDATE meter.attachment
	SET rolled_up_until = (SELECT max(source_date) + 1 FROM meter.attached_daily WHERE attachment = unroll_attached.name)
	WHERE attachment.name = unroll_attached.name
		AND NOT isfinite(unroll_attached.since);
	UPDATE meter.attachment
	SET rolled_up_until = unroll_attached.since
	WHERE attachment.name = unroll_attached.name
		AND isfinite(unroll_attached.since);
END
$$;
COMMENT ON FUNCTION meter.unroll_attached(text, date) IS 'Takes the days of an attachment from a UTC date on out of meter.attached_daily: they are read from the table until they are rolled up anew. Where the table has fewer rows of a day than were rolled up, it is an error.';
REVOKE ALL ON FUNCTION meter.unroll_attached(text, date) FROM PUBLIC;

CREATE PROCEDURE meter.refresh_attached(name text DEFAULT NULL, since date DEFAULT NULL, batch_days integer DEFAULT 31)
LANGUAGE plpgsql
AS $$
DECLARE
	names text[];
	one text;
	state meter.attachment;
	until date;
	next date;
	run bigint;
	left_out bigint;
	problem text;
BEGIN
	/* As in meter.refresh: no setting outlives a COMMIT. */
	PERFORM meter.refuse_transaction_block('meter.refresh_attached');
	COMMIT;
	SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
	PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
	IF batch_days IS NULL OR batch_days < 1 THEN
		RAISE EXCEPTION 'a batch of % days is none', coalesce(batch_days::text, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave batch_days out for 31.';
	END IF;
	IF since IS NOT NULL AND refresh_attached.name IS NULL THEN
		RAISE EXCEPTION 'since needs the name of an attachment'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Table meter.attachment has the names. One at a time is rolled up anew.';
	END IF;
	names := ARRAY(
		SELECT attachment.name
		FROM meter.attachment
		WHERE attachment.connected
			AND (refresh_attached.name IS NULL OR attachment.name = refresh_attached.name)
		ORDER BY attachment.name);
	IF refresh_attached.name IS NOT NULL AND names = '{}' THEN
		RAISE EXCEPTION 'attachment "%" is not there, or not connected', refresh_attached.name
			USING ERRCODE = 'undefined_object', HINT = 'Table meter.attachment has them.';
	END IF;

	FOREACH one IN ARRAY names LOOP
		SELECT * INTO state FROM meter.attachment WHERE attachment.name = one AND attachment.connected FOR UPDATE SKIP LOCKED;
		IF NOT FOUND THEN
			RAISE NOTICE 'attachment "%" is being refreshed or detached by another session, and is left to it', one;
			CONTINUE;
		END IF;
		IF since IS NOT NULL THEN
			PERFORM meter.unroll_attached(one, since);
			SELECT * INTO state FROM meter.attachment WHERE attachment.name = one;
		END IF;
		/* What an attached table does wrong keeps no other one from being rolled up. */
		problem := NULL;
		left_out := 0;
		BEGIN
			IF state.rolled_up_until IS NULL THEN
				state.rolled_up_until := meter.first_attached_date(one);
			END IF;
		EXCEPTION WHEN OTHERS THEN
			problem := SQLERRM;
		END;
		until := pg_catalog.timezone('UTC', pg_catalog.now())::date - state.window_days;
		IF problem IS NULL AND state.rolled_up_until < until THEN
			UPDATE meter.job SET state = 'stopped' WHERE job.job = 'refresh_attached ' || one AND job.state = 'running';
			INSERT INTO meter.job (job, total)
			VALUES ('refresh_attached ' || one, until - state.rolled_up_until)
			RETURNING job_id INTO run;
			COMMIT;
			SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
			PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

			next := state.rolled_up_until;
			WHILE next < until LOOP
				PERFORM FROM meter.attachment WHERE attachment.name = one AND attachment.connected FOR UPDATE SKIP LOCKED;
				IF NOT FOUND THEN
					problem := 'another session refreshes or detaches it';
					EXIT;
				END IF;
				state.rolled_up_until := next;
				next := least(next + batch_days, until);
				BEGIN
					left_out := left_out + meter.roll_up_attached(one, next);
				EXCEPTION WHEN OTHERS THEN
					problem := SQLERRM;
				END;
				EXIT WHEN problem IS NOT NULL;
				UPDATE meter.job SET done = done + (next - state.rolled_up_until), updated_at = pg_catalog.clock_timestamp() WHERE job_id = run;
				COMMIT;
				SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
				PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
			END LOOP;
			UPDATE meter.job SET state = CASE WHEN problem IS NULL THEN 'done' ELSE 'stopped' END, updated_at = pg_catalog.clock_timestamp() WHERE job_id = run;
		END IF;
		IF left_out > 0 THEN
			RAISE WARNING '% rows of attachment "%" are left out, as no events can be made of them', left_out, one
				USING HINT = 'meter.attached_problem lists them.';
		END IF;
		IF problem IS NOT NULL THEN
			RAISE WARNING 'attachment "%" is not rolled up: %', one, problem;
		END IF;
		COMMIT;
		SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
		PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
	END LOOP;
END
$$;
COMMENT ON PROCEDURE meter.refresh_attached(text, date, integer) IS 'Rolls up the rows of attached tables, of one or of all, that are older than the attachment''s window, by UTC days. Works in batches of so many days, with a COMMIT each; meter.job_progress shows how far it is, in days. It can be cancelled at any time, and the next one goes on from there. Where another one runs, it leaves the work to that one; where a table cannot be read, it warns, and goes on with the next. since rolls the attachment''s days up anew from that UTC date on (-infinity: all), with the rows and the rates there are now; it is refused where the table has lost rows that were rolled up. meter.refresh calls it. It cannot be called inside a transaction.';
REVOKE ALL ON PROCEDURE meter.refresh_attached(text, date, integer) FROM PUBLIC;

/*
 * Ready mappings. Quantities are taken as meter.usage_from does, but a payload that it
 * refuses is listed in meter.attached_problem: a part larger than its whole leaves a
 * negative rest.
 */

CREATE FUNCTION meter.attach_litellm(relation regclass DEFAULT to_regclass('"LiteLLM_SpendLogs"'), customer text DEFAULT NULL, item text DEFAULT NULL, window_days integer DEFAULT 7, name text DEFAULT 'litellm') RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	has_organization CONSTANT boolean := meter.attached_column(relation, 'organization_id') IS NOT NULL;
	has_status CONSTANT boolean := meter.attached_column(relation, 'status') IS NOT NULL;
	has_provider CONSTANT boolean := meter.attached_column(relation, 'custom_llm_provider') IS NOT NULL;
	of_payload CONSTANT text := 'meter.json_quantity(payload #> ''{%s}'')';
	cache_read CONSTANT text := format('greatest(%s, %s)', format(of_payload, 'prompt_tokens_details,cached_tokens'), format(of_payload, 'cache_read_input_tokens'));
	cache_write CONSTANT text := format('greatest(%s, %s)', format(of_payload, 'prompt_tokens_details,cache_creation_tokens'), format(of_payload, 'cache_creation_input_tokens'));
	cache_write_1h CONSTANT text := format(of_payload, 'prompt_tokens_details,cache_creation_token_details,ephemeral_1h_input_tokens');
	cache_write_5m CONSTANT text := format(of_payload, 'prompt_tokens_details,cache_creation_token_details,ephemeral_5m_input_tokens');
	input_audio CONSTANT text := format(of_payload, 'prompt_tokens_details,audio_tokens');
	output_audio CONSTANT text := format(of_payload, 'completion_tokens_details,audio_tokens');
	reasoning CONSTANT text := format(of_payload, 'completion_tokens_details,reasoning_tokens');
	/* A bucket of zero is left out. */
	rest CONSTANT text := 'nullif(%s - coalesce(%s, 0) - coalesce(%s, 0) - coalesce(%s, 0), 0)';
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'there is no table "LiteLLM_SpendLogs" in the search_path'
			USING ERRCODE = 'undefined_table', HINT = 'Name it with its schema: meter.attach_litellm(''litellm."LiteLLM_SpendLogs"'').';
	END IF;
	RETURN meter.attach(
		relation,
		kind => 'litellm',
		name => attach_litellm.name,
		window_days => attach_litellm.window_days,
		customer => coalesce(attach_litellm.customer, format('coalesce(nullif(end_user, ''''), nullif(team_id, ''''), %snullif("user", ''''), nullif(api_key, ''''))', CASE WHEN has_organization THEN 'nullif(organization_id, ''''), ' ELSE '' END)),
		at => '"startTime"',
		/* Newer versions keep the provider's usage as it came, older ones what is not among the columns. */
		payload => 'coalesce(nullif(metadata -> ''usage_object'', ''null''), metadata -> ''additional_usage_values'')',
		event_id => 'request_id',
		item => coalesce(attach_litellm.item, CASE
			WHEN has_provider THEN 'CASE WHEN coalesce(custom_llm_provider, '''') = '''' OR starts_with(model, custom_llm_provider || ''/'') THEN nullif(model, '''') ELSE custom_llm_provider || ''/'' || nullif(model, '''') END'
			ELSE 'nullif(model, '''')'
		END),
		quantities => jsonb_build_object(
			'requests', '1',
			'input_tokens', format(rest, 'prompt_tokens::numeric', cache_read, cache_write, input_audio),
			'cache_read_tokens', format('nullif(%s, 0)', cache_read),
			'cache_write_tokens', format(rest, cache_write, cache_write_1h, cache_write_5m, 'NULL::numeric'),
			'cache_write_1h_tokens', format('nullif(%s, 0)', cache_write_1h),
			'cache_write_5m_tokens', format('nullif(%s, 0)', cache_write_5m),
			'input_audio_tokens', format('nullif(%s, 0)', input_audio),
			'output_tokens', format(rest, 'completion_tokens::numeric', reasoning, output_audio, 'NULL::numeric'),
			'output_reasoning_tokens', format('nullif(%s, 0)', reasoning),
			'output_audio_tokens', format('nullif(%s, 0)', output_audio)),
		variant => 'CASE WHEN lower(cache_hit) = ''true'' THEN ''cached'' ELSE ''standard'' END',
		outcome => CASE WHEN has_status THEN 'coalesce(nullif(status, ''''), metadata ->> ''status'')' ELSE 'metadata ->> ''status''' END,
		request_class => 'nullif(call_type, '''')',
		user_id => 'nullif("user", '''')',
		workflow_id => CASE WHEN meter.attached_column(relation, 'session_id') IS NOT NULL THEN 'nullif(session_id, '''')' END,
		tags => 'jsonb_build_object(''api_key'', api_key, ''team_id'', team_id, ''request_tags'', request_tags, ''spend'', spend)');
END
$$;
COMMENT ON FUNCTION meter.attach_litellm(regclass, text, text, integer, text) IS 'Attaches LiteLLM''s table of requests, by default "LiteLLM_SpendLogs" of the search_path; see meter.attach. The customer is the end_user, else the team, the organization, the user or the key; the item is provider/model; each is another expression where one is given. Cached, audio and reasoning tokens are taken out of LiteLLM''s totals, which include them. What LiteLLM answered from its own cache has the variant cached, which is free unless it is rated. LiteLLM''s spend is in tags, to compare with: cost is what meter''s rates say.';
REVOKE ALL ON FUNCTION meter.attach_litellm(regclass, text, text, integer, text) FROM PUBLIC;

CREATE FUNCTION meter.attach_phoenix(relation regclass DEFAULT to_regclass('spans'), customer text DEFAULT NULL, item text DEFAULT NULL, window_days integer DEFAULT 7, name text DEFAULT 'phoenix') RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	of_span CONSTANT text := 'meter.json_quantity(payload #> ''{%s}'')';
	prompt CONSTANT text := concat('coalesce(', meter.attached_column(relation, 'llm_token_count_prompt') || '::numeric, ', format(of_span, 'prompt'), ', 0)');
	completion CONSTANT text := concat('coalesce(', meter.attached_column(relation, 'llm_token_count_completion') || '::numeric, ', format(of_span, 'completion'), ', 0)');
	cache_read CONSTANT text := format(of_span, 'prompt_details,cache_read');
	cache_write CONSTANT text := format(of_span, 'prompt_details,cache_write');
	input_audio CONSTANT text := format(of_span, 'prompt_details,audio');
	reasoning CONSTANT text := format(of_span, 'completion_details,reasoning');
	output_audio CONSTANT text := format(of_span, 'completion_details,audio');
	rest CONSTANT text := 'nullif(%s - coalesce(%s, 0) - coalesce(%s, 0) - coalesce(%s, 0), 0)';
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'there is no table spans in the search_path'
			USING ERRCODE = 'undefined_table', HINT = 'Name it with its schema: meter.attach_phoenix(''phoenix.spans'').';
	END IF;
	RETURN meter.attach(
		relation,
		kind => 'phoenix',
		name => attach_phoenix.name,
		window_days => attach_phoenix.window_days,
		filter => 'span_kind = ''LLM''',
		customer => coalesce(attach_phoenix.customer, 'attributes::jsonb #>> ''{user,id}'''),
		at => 'start_time',
		payload => 'attributes::jsonb #> ''{llm,token_count}''',
		event_id => 'span_id',
		item => coalesce(attach_phoenix.item, 'nullif(concat_ws(''/'', nullif(attributes::jsonb #>> ''{llm,provider}'', ''''), nullif(attributes::jsonb #>> ''{llm,model_name}'', '''')), '''')'),
		quantities => jsonb_build_object(
			'requests', '1',
			'input_tokens', format(rest, prompt, cache_read, cache_write, input_audio),
			'cache_read_tokens', format('nullif(%s, 0)', cache_read),
			'cache_write_tokens', format('nullif(%s, 0)', cache_write),
			'input_audio_tokens', format('nullif(%s, 0)', input_audio),
			'output_tokens', format(rest, completion, reasoning, output_audio, 'NULL::numeric'),
			'output_reasoning_tokens', format('nullif(%s, 0)', reasoning),
			'output_audio_tokens', format('nullif(%s, 0)', output_audio)),
		outcome => 'CASE WHEN status_code = ''ERROR'' THEN ''failure'' END',
		user_id => 'attributes::jsonb #>> ''{user,id}''',
		workflow_id => 'attributes::jsonb #>> ''{session,id}''');
END
$$;
COMMENT ON FUNCTION meter.attach_phoenix(regclass, text, text, integer, text) IS 'Attaches Phoenix''s table of spans, by default spans of the search_path, of which those of kind LLM are usage; see meter.attach. The customer is the attribute user.id, the item provider/model; each is another expression where one is given, such as customer => $$attributes #>> ''{metadata,tenant}''$$. Cached, audio and reasoning tokens are taken out of the totals, which include them, as Phoenix does for span_cost_details. Cost is what meter''s rates say.';
REVOKE ALL ON FUNCTION meter.attach_phoenix(regclass, text, text, integer, text) FROM PUBLIC;

CREATE FUNCTION meter.langfuse_usage(usage_details jsonb) RETURNS meter.usage
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
	WITH detail AS (
		SELECT
			CASE
				WHEN key = 'input' THEN 'input_tokens'
				WHEN key = 'output' THEN 'output_tokens'
				WHEN key = 'total' THEN 'total_tokens'
				WHEN key IN ('input_cached_tokens', 'input_cache_read', 'cache_read_input_tokens') THEN 'cache_read_tokens'
				WHEN key IN ('input_cache_creation', 'cache_creation_input_tokens') THEN 'cache_write_tokens'
				WHEN key IN ('input_cache_creation_5m', 'input_cache_creation_1h') THEN 'cache_write_' || right(key, 2) || '_tokens'
				WHEN key IN ('input_audio', 'input_image', 'output_audio', 'output_image', 'output_reasoning') THEN key || '_tokens'
				WHEN key = 'web_search_queries' THEN 'web_searches'
				ELSE lower(regexp_replace(key, '[^a-zA-Z0-9_]', '_', 'g'))
			END AS unit,
			meter.json_quantity(value) AS quantity
		FROM jsonb_each(CASE jsonb_typeof(usage_details) WHEN 'object' THEN usage_details END)
		WHERE key <> 'total'
			OR usage_details - 'total' = '{}'
	), summed AS (
		SELECT
			unit,
			sum(quantity) AS quantity,
			bool_and((quantity BETWEEN 0 AND 100000000000000000000 AND scale(trim_scale(quantity)) <= 12) IS NOT FALSE AND unit COLLATE "C" ~ '^[a-z][a-z0-9_]{0,62}$') AS good
		FROM detail
		GROUP BY unit
	)
	SELECT CASE
		WHEN coalesce(jsonb_typeof(usage_details), 'null') IN ('object', 'null') AND coalesce(bool_and(good), true)
			THEN meter.usage(coalesce(jsonb_object_agg(unit, quantity) FILTER (WHERE quantity <> 0), '{}') || '{"requests": 1}')
	END
	FROM summed
);
COMMENT ON FUNCTION meter.langfuse_usage(jsonb) IS 'The usage that Langfuse''s usage_details say, in disjoint buckets, as Langfuse has them, with requests: 1. Its names become the units of here; a name that is not known is a unit of its own, so that it shows up in meter.unpriced_usage and is not lost. total is left out where there is anything else. NULL where a value is no quantity.';

CREATE FUNCTION meter.attach_langfuse(relation regclass DEFAULT to_regclass('observations'), customer text DEFAULT NULL, item text DEFAULT NULL, window_days integer DEFAULT 7, name text DEFAULT 'langfuse') RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	details CONSTANT text := meter.attached_column(relation, 'usage_details', 'usageDetails');
	models CONSTANT text := (
		SELECT string_agg(format('nullif(%I, '''')', attname), ', ' ORDER BY array_position('{provided_model_name,model,internal_model}', attname::text))
		FROM pg_attribute
		WHERE attrelid = relation
			AND attname IN ('provided_model_name', 'model', 'internal_model')
			AND NOT attisdropped);
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'there is no table observations in the search_path'
			USING ERRCODE = 'undefined_table', HINT = 'Name the table or view with its schema: meter.attach_langfuse(''langfuse.observations'').';
	END IF;
	RETURN meter.attach(
		relation,
		kind => 'langfuse',
		name => attach_langfuse.name,
		window_days => attach_langfuse.window_days,
		filter => CASE WHEN meter.attached_column(relation, 'type') IS NOT NULL THEN 'type::text IN (''GENERATION'', ''EMBEDDING'')' END,
		customer => coalesce(attach_langfuse.customer, meter.attached_column(relation, 'user_id', 'project_id')),
		at => meter.attached_column(relation, 'start_time'),
		event_id => meter.attached_column(relation, 'id'),
		item => coalesce(attach_langfuse.item, 'coalesce(' || models || ')'),
		usage => 'meter.langfuse_usage(' || details || '::jsonb)',
		quantities => CASE
			WHEN details IS NULL THEN '{"requests": "1", "input_tokens": "nullif(prompt_tokens, 0)", "output_tokens": "nullif(completion_tokens, 0)"}'::jsonb
		END,
		outcome => CASE WHEN meter.attached_column(relation, 'level') IS NOT NULL THEN 'CASE WHEN level::text = ''ERROR'' THEN ''failure'' END' END,
		request_class => CASE WHEN meter.attached_column(relation, 'type') IS NOT NULL THEN 'lower(type::text)' END,
		user_id => meter.attached_column(relation, 'user_id'),
		workflow_id => meter.attached_column(relation, 'trace_id'));
END
$$;
COMMENT ON FUNCTION meter.attach_langfuse(regclass, text, text, integer, text) IS 'Attaches a table of generations like Langfuse''s, by default observations of the search_path, or a view that joins them with their traces; see meter.attach. It has start_time, model, and usage_details (disjoint buckets by name, as meter.langfuse_usage reads them) or prompt_tokens and completion_tokens; with a type, rows of GENERATION and EMBEDDING are usage. The customer is user_id, which is a column of traces, else project_id; the item is the model; each is another expression where one is given. Cost is what meter''s rates say.';
REVOKE ALL ON FUNCTION meter.attach_langfuse(regclass, text, text, integer, text) FROM PUBLIC;
