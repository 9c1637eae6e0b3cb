/*
 * Revenue, from wherever it is, and what is left of it.
 *
 * meter.revenue_line is the one place that revenue comes in by. A line is earned
 * evenly over the days of its period, so parts of a period add up to the line. What is
 * paid for credits is earned as they burn or expire, so its bill is no revenue.
 */

CREATE TABLE meter.revenue (
	revenue_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer_id text NOT NULL
		CONSTRAINT revenue_customer_id_has_1_to_255_bytes CHECK (octet_length(customer_id) BETWEEN 1 AND 255),
	revenue_date date NOT NULL
		CONSTRAINT revenue_date_is_finite CHECK (isfinite(revenue_date)),
	period daterange
		CONSTRAINT revenue_period_is_bounded CHECK (NOT isempty(period) AND coalesce(isfinite(lower(period)) AND isfinite(upper(period)), period IS NULL)),
	kind text NOT NULL DEFAULT 'revenue'
		CONSTRAINT revenue_kind_is_not_empty CHECK (kind <> ''),
	amount numeric NOT NULL
		CONSTRAINT revenue_amount_is_in_range CHECK (abs(amount) <= 1000000000000000)
		CONSTRAINT revenue_amount_has_at_most_12_fractional_digits CHECK (scale(trim_scale(amount)) <= 12),
	currency text NOT NULL
		CONSTRAINT revenue_currency_is_iso_4217 CHECK (currency COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(currency) >= 0),
	source text NOT NULL DEFAULT 'manual'
		CONSTRAINT revenue_source_is_not_empty CHECK (source <> ''),
	reference text
		CONSTRAINT revenue_reference_is_not_empty CHECK (reference <> ''),
	CONSTRAINT revenue_comes_once UNIQUE (source, reference)
);
COMMENT ON TABLE meter.revenue IS 'Revenue that meter did not bill, from any other system, a row a line. For a table that is there already, meter.attach_revenue reads it where it is.';
COMMENT ON COLUMN meter.revenue.revenue_id IS 'A number to name the row by.';
COMMENT ON COLUMN meter.revenue.customer_id IS 'Whose it is, by the name that events know the customer by.';
COMMENT ON COLUMN meter.revenue.revenue_date IS 'When it was billed or booked.';
COMMENT ON COLUMN meter.revenue.period IS 'The dates it is for, with both ends: it is earned evenly over them. NULL: on revenue_date.';
COMMENT ON COLUMN meter.revenue.kind IS 'What it is for. fee (fixed, seats included), usage and overage mean something to meter.pricing_signal. credit_purchase is the bill for a grant of meter.credit_grant, and no revenue: paid of the grant is, as its credits burn or expire. Any other is reported as it is. Default revenue.';
COMMENT ON COLUMN meter.revenue.amount IS 'How much, without tax. Negative for a refund or a credit note.';
COMMENT ON COLUMN meter.revenue.currency IS 'ISO 4217 code of its currency.';
COMMENT ON COLUMN meter.revenue.source IS 'The system that it is from. Default manual.';
COMMENT ON COLUMN meter.revenue.reference IS 'What the source calls the line: the same one of a source goes in once, so a load can be repeated.';

CREATE TABLE meter.revenue_source (
	source text PRIMARY KEY
		CONSTRAINT revenue_source_is_not_empty CHECK (source <> ''),
	kind text NOT NULL
		CONSTRAINT revenue_source_kind_is_known CHECK (kind IN ('columns', 'stripe')),
	relation text NOT NULL,
	mapping jsonb NOT NULL
		CONSTRAINT revenue_source_mapping_is_an_object CHECK (jsonb_typeof(mapping) = 'object')
);
COMMENT ON TABLE meter.revenue_source IS 'The tables outside of meter that revenue is read from. meter.attach_revenue, meter.attach_stripe and meter.detach_revenue keep it.';
COMMENT ON COLUMN meter.revenue_source.source IS 'The name that reports show the source by.';
COMMENT ON COLUMN meter.revenue_source.kind IS 'columns: a table or view, column by column; stripe: a schema of Stripe Sync Engine.';
COMMENT ON COLUMN meter.revenue_source.relation IS 'The table or view, with its schema; of kind stripe, the schema.';
COMMENT ON COLUMN meter.revenue_source.mapping IS 'Which column is what, and what is the same in all rows.';

SELECT pg_extension_config_dump('meter.revenue', '');
SELECT pg_extension_config_dump('meter.revenue_revenue_id_seq', '');
SELECT pg_extension_config_dump('meter.revenue_source', '');

CREATE TYPE meter.revenue_row AS (
	customer_id text,
	period daterange,
	revenue_date date,
	kind text,
	amount numeric,
	currency text
);
COMMENT ON TYPE meter.revenue_row IS 'A line of revenue as a source has it: whose, for which dates (NULL: for revenue_date alone), booked when, what for, how much and in which currency.';

CREATE FUNCTION meter.column_date(relation regclass, name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	type text := (SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = relation AND attname = name AND attnum > 0 AND NOT attisdropped);
BEGIN
	IF name IS NULL THEN
		RETURN 'NULL::date';
	END IF;
	CASE type
	WHEN 'date', 'timestamp without time zone' THEN
		RETURN format('source.%I::date', name);
	WHEN 'timestamp with time zone' THEN
		RETURN format('CASE WHEN isfinite(source.%1$I) THEN meter.usage_date(source.%1$I, (SELECT timezone FROM meter.setting)) END', name);
	ELSE
		RAISE EXCEPTION 'column "%" of % is %, and no date', name, relation, coalesce(type, 'not there')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Name a column of type date, timestamp or timestamptz; or attach a view that has one.';
	END CASE;
END
$$;
COMMENT ON FUNCTION meter.column_date(regclass, text) IS 'How to read a column as a date: a date or a timestamp as it is, an instant by the zone of meter.setting. Any other type, and a column that is not there, are errors.';

CREATE FUNCTION meter.revenue_query(kind text, relation text, mapping jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	source regclass;
	field record;
	currency text;
	amount text;
BEGIN
	IF kind = 'stripe' THEN
		RETURN format('SELECT * FROM meter.stripe_revenue(%L, %L)', relation, mapping ->> 'customer_key');
	END IF;

	source := relation::regclass;
	FOR field IN SELECT key, value FROM jsonb_each_text(mapping -> 'columns') ORDER BY key COLLATE "C" LOOP
		IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = source AND attname = field.value AND attnum > 0 AND NOT attisdropped) THEN
			RAISE EXCEPTION '% has no column "%"', source, field.value
				USING ERRCODE = 'undefined_column', HINT = format('Say which column is the %s.', field.key);
		END IF;
		IF field.key = 'amount' AND (SELECT typcategory FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid WHERE attrelid = source AND attname = field.value) <> 'N' THEN
			RAISE EXCEPTION 'column "%" of % is no number', field.value, source
				USING ERRCODE = 'invalid_parameter_value', HINT = 'Name a column of a number''s type, or attach a view that has one.';
		END IF;
	END LOOP;
	currency := CASE WHEN mapping #>> '{columns,currency}' IS NULL THEN format('%L::text', mapping ->> 'currency') ELSE format('upper(source.%I::text)', mapping #>> '{columns,currency}') END;
	amount := format('source.%I::numeric', mapping #>> '{columns,amount}');
	IF (mapping ->> 'minor_units')::boolean THEN
		amount := format('%s * (10::numeric ^ - CASE WHEN meter.is_currency(%s) THEN meter.currency_digits(%2$s) END)', amount, currency);
	END IF;
	/* A row that cannot be counted must not keep the others from it. */
	RETURN format(
		$query$SELECT
			customer_id,
			CASE WHEN isfinite(first_date) AND isfinite(end_date) AND first_date < end_date THEN daterange(first_date, end_date) END,
			coalesce(CASE WHEN isfinite(revenue_date) THEN revenue_date END, CASE WHEN isfinite(first_date) THEN first_date END),
			kind,
			CASE WHEN abs(amount) <= 1000000000000000 AND amount = round(amount, 12) THEN trim_scale(amount) END,
			currency
		FROM (
			SELECT source.%I::text AS customer_id, %s AS revenue_date, %s AS first_date, %s AS end_date, %s AS kind, %s AS amount, %s AS currency
			FROM %s AS source
		) AS line$query$,
		mapping #>> '{columns,customer_id}',
		meter.column_date(source, mapping #>> '{columns,revenue_date}'),
		meter.column_date(source, mapping #>> '{columns,period_start}'),
		meter.column_date(source, mapping #>> '{columns,period_end}'),
		CASE WHEN mapping #>> '{columns,kind}' IS NULL THEN format('%L::text', mapping ->> 'kind') ELSE format('source.%I::text', mapping #>> '{columns,kind}') END,
		amount,
		currency,
		(SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = source));
END
$$;
COMMENT ON FUNCTION meter.revenue_query(text, text, jsonb) IS 'The query that reads a source of meter.revenue_source as rows of meter.revenue_row. A table or a column that is not there is an error.';

/*
 * Lines of paid invoices and of their credit notes have a shape in common: amount,
 * discounts and taxes. What lines leave open of a document's total without tax, as
 * where only the first ten were synced, is a line over the span of the others.
 */
CREATE FUNCTION meter.stripe_revenue(stripe_schema text, customer_key text) RETURNS SETOF meter.revenue_row
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 1000
SET search_path = pg_catalog, pg_temp
SET jit = off
/* Nobody knows how many lines the documents have: a loop over a loop of them is never right. */
SET enable_nestloop = off
AS $$
BEGIN
	RETURN QUERY EXECUTE format($query$
		WITH customer AS (
			SELECT id, coalesce(metadata ->> %2$L, id) AS customer_id
			FROM %1$I.customers
		), invoice AS (
			SELECT
				invoices.id,
				coalesce(customer.customer_id, invoices.customer) AS customer_id,
				upper(invoices.currency) AS currency,
				meter.usage_date(to_timestamp(coalesce((invoices.status_transitions ->> 'paid_at')::bigint, invoices.created)), setting.timezone) AS revenue_date,
				invoices.lines,
				invoices.total::numeric AS total,
				/* The newer API has tax in the lines alone. */
				invoices.total - coalesce(
					invoices.tax,
					(SELECT sum(part::numeric) FROM jsonb_path_query(invoices.total_tax_amounts, '$[*].amount') AS part),
					(SELECT sum(part::numeric) FROM jsonb_path_query(invoices.lines, '$.data[*].taxes[*].amount') AS part),
					0) AS net,
				invoices.charge,
				invoices.payment_intent,
				setting.timezone
			FROM %1$I.invoices
			CROSS JOIN meter.setting
			LEFT JOIN customer ON customer.id = invoices.customer
			WHERE invoices.status = 'paid'
		), note AS (
			SELECT
				credit_notes.id,
				invoice.id AS invoice_id,
				meter.usage_date(to_timestamp(credit_notes.created), invoice.timezone) AS revenue_date,
				credit_notes.lines,
				coalesce(credit_notes.total_excluding_tax, credit_notes.total - coalesce((SELECT sum(part::numeric) FROM jsonb_path_query(credit_notes.tax_amounts, '$[*].amount') AS part), 0)) AS net,
				credit_notes.refund
			FROM %1$I.credit_notes
			JOIN invoice ON invoice.id = credit_notes.invoice
			WHERE credit_notes.status = 'issued'
		), document AS (
			SELECT id, id AS invoice_id, 1 AS sign, revenue_date, lines, net FROM invoice
			UNION ALL
			SELECT id, invoice_id, -1, revenue_date, lines, net FROM note
		), line AS (
			SELECT
				document.id,
				document.invoice_id,
				document.sign,
				document.revenue_date,
				coalesce(line ->> 'invoice_line_item', line ->> 'id') AS line_id,
				coalesce((line ->> 'amount')::numeric, 0)
					- coalesce((SELECT sum(part::numeric) FROM jsonb_path_query(line, '$.discount_amounts[*].amount') AS part), 0)
					- coalesce((SELECT sum(part::numeric) FROM jsonb_path_query(line, '$.tax_amounts[*] ? (@.inclusive == true).amount') AS part), 0)
					- coalesce((SELECT sum(part::numeric) FROM jsonb_path_query(line, '$.taxes[*] ? (@.tax_behavior == "inclusive").amount') AS part), 0) AS net,
				CASE
					WHEN document.sign = -1 THEN 'credit_note'
					WHEN line #>> '{metadata,meter_key}' IS NOT NULL THEN 'meter'
					WHEN coalesce(line #>> '{metadata,meter_kind}', line #>> '{price,metadata,meter_kind}') = 'credit_purchase' THEN 'credit_purchase'
					WHEN coalesce(line #>> '{price,recurring,usage_type}', line #>> '{plan,usage_type}') = 'metered' THEN 'usage'
					WHEN coalesce(line #>> '{price,recurring,usage_type}', line #>> '{plan,usage_type}', line ->> 'subscription', line #>> '{parent,subscription_item_details,subscription}') IS NOT NULL OR line ->> 'type' = 'subscription' THEN 'fee'
					ELSE 'other'
				END AS kind,
				meter.usage_date(to_timestamp((line #>> '{period,start}')::bigint), invoice.timezone) AS first_date,
				meter.usage_date(to_timestamp((line #>> '{period,end}')::bigint), invoice.timezone) AS end_date
			FROM document
			JOIN invoice ON invoice.id = document.invoice_id
			CROSS JOIN LATERAL jsonb_path_query(document.lines, '$.data[*]') AS line
		), span AS (
			SELECT
				invoice.id AS invoice_id,
				coalesce(min(line.first_date), invoice.revenue_date) AS first_date,
				greatest(max(line.end_date), coalesce(min(line.first_date), invoice.revenue_date) + 1) AS end_date
			FROM invoice
			LEFT JOIN line ON line.id = invoice.id
			GROUP BY invoice.id, invoice.revenue_date
		), listed AS (
			SELECT id, sum(net) AS net, coalesce(sum(net) FILTER (WHERE kind = 'credit_purchase'), 0) AS purchased FROM line GROUP BY id
		), paid AS (
			SELECT refunds.id AS refund_id, charges.invoice AS invoice_id FROM %1$I.refunds JOIN %1$I.charges ON charges.id = refunds.charge
			UNION
			SELECT refunds.id, invoice.id FROM %1$I.refunds JOIN invoice ON invoice.charge = refunds.charge
			UNION
			SELECT refunds.id, invoice.id FROM %1$I.refunds JOIN invoice ON invoice.payment_intent = refunds.payment_intent
			UNION
			SELECT refunds.id, invoice_payments.invoice FROM %1$I.refunds JOIN %1$I.invoice_payments ON invoice_payments.payment ->> 'charge' = refunds.charge
			UNION
			SELECT refunds.id, invoice_payments.invoice FROM %1$I.refunds JOIN %1$I.invoice_payments ON invoice_payments.payment ->> 'payment_intent' = refunds.payment_intent
		), earned AS (
			SELECT
				line.invoice_id,
				line.revenue_date,
				line.kind,
				line.sign * line.net AS net,
				coalesce(billed.first_date, CASE WHEN line.sign = 1 THEN line.first_date END, span.first_date) AS first_date,
				coalesce(billed.end_date, CASE WHEN line.sign = 1 THEN line.end_date END, span.end_date) AS end_date
			FROM line
			JOIN span USING (invoice_id)
			LEFT JOIN line AS billed
				ON line.sign = -1
				AND billed.id = line.invoice_id
				AND billed.line_id = line.line_id
			/* What the outbox shipped is counted where it was billed, and what was paid for credits as they burn. */
			WHERE line.kind <> 'meter'
				AND billed.kind IS DISTINCT FROM 'credit_purchase'
			UNION ALL
			SELECT
				document.invoice_id,
				document.revenue_date,
				CASE document.sign WHEN 1 THEN 'other' ELSE 'credit_note' END,
				CASE
					WHEN document.sign = 1 THEN document.net - coalesce(listed.net, 0)
					WHEN invoice.net > 0 THEN - meter.prorate(document.net - coalesce(listed.net, 0), 0, invoice.net - coalesce(billed.purchased, 0), invoice.net)
					ELSE coalesce(listed.net, 0) - document.net
				END,
				span.first_date,
				span.end_date
			FROM document
			JOIN span USING (invoice_id)
			JOIN invoice ON invoice.id = document.invoice_id
			LEFT JOIN listed ON listed.id = document.id
			LEFT JOIN listed AS billed ON billed.id = document.invoice_id
			UNION ALL
			SELECT
				invoice.id,
				meter.usage_date(to_timestamp(refunds.created), invoice.timezone),
				'refund',
				- meter.prorate(refunds.amount, 0, invoice.net - coalesce(listed.purchased, 0), invoice.total),
				span.first_date,
				span.end_date
			FROM %1$I.refunds
			JOIN paid ON paid.refund_id = refunds.id
			JOIN invoice ON invoice.id = paid.invoice_id
			JOIN span ON span.invoice_id = invoice.id
			LEFT JOIN listed ON listed.id = invoice.id
			WHERE refunds.status = 'succeeded'
				AND invoice.total > 0
				AND invoice.net > 0
				AND NOT EXISTS (SELECT FROM note WHERE note.refund = refunds.id)
		)
		SELECT
			invoice.customer_id,
			daterange(earned.first_date, greatest(earned.end_date, earned.first_date + 1)),
			earned.revenue_date,
			earned.kind,
			trim_scale(earned.net / (10::numeric ^ CASE WHEN invoice.currency IN ('ISK', 'UGX') THEN 2 WHEN invoice.currency = 'MGA' THEN 0 WHEN meter.is_currency(invoice.currency) THEN meter.currency_digits(invoice.currency) END)),
			invoice.currency
		FROM earned
		JOIN invoice ON invoice.id = earned.invoice_id
		WHERE earned.net <> 0
	$query$, stripe_schema, customer_key);
END
$$;
COMMENT ON FUNCTION meter.stripe_revenue(text, text) IS 'The revenue in a schema that Stripe Sync Engine keeps: the lines of paid invoices, each over its own period, less their credit notes and refunds, without tax and after discounts. A refund that a credit note is about counts once; of any other, the part that is not tax is taken off, over the span of the invoice''s lines. The customer is the metadata of Stripe''s customer under customer_key, or Stripe''s own id where it has none. kind is fee, usage (a metered price), credit_note, refund or other; credit_purchase where the metadata of the line or its price has it under meter_kind, and then neither its credit notes nor its part of refunds are there. Lines that meter''s outbox shipped, which have meter_key in their metadata, are left out, as meter has them as its own. Amounts are in Stripe''s minor units, which are two digits for ISK and UGX and none for MGA.';

CREATE FUNCTION meter.missing_revenue(kind text, relation text, mapping jsonb) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT min(CASE
		WHEN to_regclass(needed.relation) IS NULL THEN format('relation "%s" does not exist', replace(needed.relation, '"', ''))
		WHEN needed.column_name IS NOT NULL
			AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(needed.relation) AND attname = needed.column_name AND attnum > 0 AND NOT attisdropped)
			THEN format('%s has no column "%s"', to_regclass(needed.relation), needed.column_name)
	END COLLATE "C")
	FROM (
		SELECT format('%I.%I', missing_revenue.relation, name) AS relation, NULL::text AS column_name
		FROM unnest('{customers,invoices,credit_notes,refunds,charges,invoice_payments}'::text[]) AS name
		WHERE missing_revenue.kind = 'stripe'
		UNION ALL
		SELECT missing_revenue.relation, value
		FROM jsonb_each_text(missing_revenue.mapping -> 'columns')
		WHERE missing_revenue.kind <> 'stripe'
	) AS needed;
END;
COMMENT ON FUNCTION meter.missing_revenue(text, text, jsonb) IS 'What a source of meter.revenue_source names and is not there: a table or a column, as a sentence. NULL: it can be read.';

/* At query time, from the registered names: no view hangs on the other system's tables, whose migrations go on as if nothing read them. */
CREATE FUNCTION meter.attached_revenue()
	RETURNS TABLE (customer_id text, period daterange, revenue_date date, kind text, amount numeric, currency text, source text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 1000
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	attached record;
BEGIN
	FOR attached IN
		SELECT revenue_source.*, meter.missing_revenue(revenue_source.kind, revenue_source.relation, revenue_source.mapping) AS missing
		FROM meter.revenue_source
		ORDER BY revenue_source.source COLLATE "C"
	LOOP
		/* Asked beforehand: while workers run, no error can be caught. */
		IF attached.missing IS NOT NULL THEN
			RAISE EXCEPTION 'attached revenue "%" cannot be read: %', attached.source, attached.missing
				USING ERRCODE = 'undefined_table', HINT = format('SELECT meter.detach_revenue(%L) leaves it out; attach it anew where its columns have changed.', attached.source);
		END IF;
		RETURN QUERY EXECUTE format('SELECT line.*, %L::text FROM (%s) AS line', attached.source, meter.revenue_query(attached.kind, attached.relation, attached.mapping));
	END LOOP;
END
$$;
COMMENT ON FUNCTION meter.attached_revenue() IS 'The lines of revenue of every attached source. The caller needs SELECT on meter.revenue_source and on the attached tables. A source that is no longer there is an error: a margin without it would be wrong.';

CREATE FUNCTION meter.attach_revenue(
	relation regclass,
	source text,
	customer_id text,
	amount text,
	revenue_date text DEFAULT NULL,
	period_start text DEFAULT NULL,
	period_end text DEFAULT NULL,
	currency_column text DEFAULT NULL,
	kind_column text DEFAULT NULL,
	currency text DEFAULT NULL,
	kind text DEFAULT 'revenue',
	minor_units boolean DEFAULT false
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text := (SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = attach_revenue.relation);
	map jsonb;
BEGIN
	IF customer_id IS NULL OR amount IS NULL THEN
		RAISE EXCEPTION 'revenue has a customer and an amount'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Name the columns: customer_id => ''...'', amount => ''...''.';
	END IF;
	IF revenue_date IS NULL AND period_start IS NULL THEN
		RAISE EXCEPTION 'revenue has a date or a period'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Name the column: revenue_date => ''...'', or period_start and period_end.';
	END IF;
	IF (period_start IS NULL) <> (period_end IS NULL) THEN
		RAISE EXCEPTION 'a period has a start and an end'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Name both columns: period_start and period_end, which is exclusive.';
	END IF;
	IF (currency_column IS NULL) = (currency IS NULL) THEN
		RAISE EXCEPTION 'revenue has one currency'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Name either a column, currency_column => ''...'', or the currency of all rows, currency => ''USD''.';
	END IF;
	PERFORM meter.currency_digits(currency);
	map := jsonb_build_object(
		'columns', jsonb_strip_nulls(jsonb_build_object('customer_id', customer_id, 'amount', amount, 'revenue_date', revenue_date, 'period_start', period_start, 'period_end', period_end, 'currency', currency_column, 'kind', kind_column)),
		'currency', currency,
		'kind', kind,
		'minor_units', minor_units);
	EXECUTE format('SELECT FROM (%s) AS line LIMIT 0', meter.revenue_query('columns', name, map));

	INSERT INTO meter.revenue_source (source, kind, relation, mapping)
	VALUES (attach_revenue.source, 'columns', name, map)
	ON CONFLICT ON CONSTRAINT revenue_source_pkey DO UPDATE
	SET kind = excluded.kind, relation = excluded.relation, mapping = excluded.mapping;
END
$$;
COMMENT ON FUNCTION meter.attach_revenue(regclass, text, text, text, text, text, text, text, text, text, text, boolean) IS 'Has reports read revenue from a table or view that is there already, under the name source; an attached one of that name is replaced. The arguments name columns: the customer, by the name that events have, and the amount without tax; the date, or the start and the exclusive end of the period, or both; the currency and the kind, which can also be the same for all rows. minor_units: amounts are in cents or whatever the currency has. Dates are read as they are, instants by the zone of meter.setting. Where a column does not fit, attach a view that has it right. Nothing is copied, and nothing hangs on the table.';

CREATE FUNCTION meter.detach_revenue(source text) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM meter.revenue_source WHERE revenue_source.source = detach_revenue.source;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION meter.detach_revenue(text) IS 'Has reports no longer read an attached source; false where there was none of that name. The table itself is left alone.';

CREATE FUNCTION meter.attach_stripe(stripe_schema text DEFAULT 'stripe', source text DEFAULT 'stripe', customer_key text DEFAULT 'customer_id') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	missing text := (
		SELECT string_agg(format('%I.%I', stripe_schema, needed), ', ')
		FROM unnest(ARRAY['customers', 'invoices', 'credit_notes', 'charges', 'refunds', 'invoice_payments']) AS needed
		WHERE to_regclass(format('%I.%I', stripe_schema, needed)) IS NULL);
BEGIN
	IF missing IS NOT NULL THEN
		RAISE EXCEPTION 'schema "%" is not one of Stripe Sync Engine: it has no %', stripe_schema, missing
			USING ERRCODE = 'undefined_table', HINT = 'Run the migrations of Stripe Sync Engine 0.41 or later, or name its schema: stripe_schema => ''...''.';
	END IF;
	INSERT INTO meter.revenue_source (source, kind, relation, mapping)
	VALUES (attach_stripe.source, 'stripe', stripe_schema, jsonb_build_object('customer_key', customer_key))
	ON CONFLICT ON CONSTRAINT revenue_source_pkey DO UPDATE
	SET kind = excluded.kind, relation = excluded.relation, mapping = excluded.mapping;
END
$$;
COMMENT ON FUNCTION meter.attach_stripe(text, text, text) IS 'Has reports read the revenue in a schema that Stripe Sync Engine keeps, as meter.stripe_revenue does. customer_key is the key of the customers'' metadata in Stripe that has the name by which events know the customer. An attached source of the same name is replaced.';
REVOKE ALL ON FUNCTION meter.attach_revenue(regclass, text, text, text, text, text, text, text, text, text, text, boolean), meter.attach_stripe(text, text, text), meter.detach_revenue(text) FROM PUBLIC;

CREATE FUNCTION meter.revenue_kind(kind text, included numeric, per_seat numeric, tariff meter.tariff) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
	WHEN kind IN ('fee', 'seat') THEN 'fee'
	WHEN kind = 'credit' THEN 'overage'
	WHEN kind IN ('usage', 'percentage') AND (included > 0 OR per_seat > 0 OR meter.included_quantity(tariff) > 0 AND meter.charge(tariff, 0) = 0) THEN 'overage'
	WHEN kind IN ('usage', 'percentage', 'cost_plus') THEN 'usage'
	ELSE kind
END;
COMMENT ON FUNCTION meter.revenue_kind(text, numeric, numeric, meter.tariff) IS 'What a plan''s item of a kind brings: fee, of fees and seats; overage, of credits, and of usage of which some is included or free; usage, of any other, and of a tariff that has a fee of its own; else the kind itself: commitment, discount or cap. The other arguments are quantity, per_seat and tariff of meter.plan_item, or of the subscription''s override.';

/*
 * All customers at once, as each by itself would read the tail of the roll-up anew. Where
 * that fails, each half by itself, down to the customer whose fault it is.
 */
CREATE FUNCTION meter.lines_of_customers(customers text[], since date[], until date[])
	RETURNS TABLE (
		customer_id text, subscription_id bigint, plan text, version integer, plan_item text, kind text, line_group text,
		period daterange, service daterange, due date, metric text, measured numeric, included numeric, amount numeric, currency text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	half CONSTANT integer := cardinality(customers) / 2;
BEGIN
	BEGIN
		RETURN QUERY
		SELECT
			line.customer_id, line.subscription_id, line.plan, line.version, line.plan_item, line.kind, line.line_group,
			line.period, line.service, line.due, line.metric, line.measured, line.included, line.amount, line.currency
		FROM meter.due_lines(customers, since, until) AS line;
		RETURN;
	EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
		/* Nothing has been returned yet: due_lines gives all of its lines or none. */
	END;
	IF half > 0 THEN
		RETURN QUERY SELECT * FROM meter.lines_of_customers(customers[:half], since[:half], until[:half]);
		RETURN QUERY SELECT * FROM meter.lines_of_customers(customers[half + 1:], since[half + 1:], until[half + 1:]);
	ELSE
		RETURN QUERY SELECT * FROM meter.lines_without_amount(customers);
	END IF;
END
$$;
COMMENT ON FUNCTION meter.lines_of_customers(text[], date[], date[]) IS 'The lines of meter.due_lines, for meter.open_lines. A customer that cannot be rated has those of meter.lines_without_amount, and keeps no other one from being reported.';

CREATE FUNCTION meter.lines_without_amount(customers text[])
	RETURNS TABLE (
		customer_id text, subscription_id bigint, plan text, version integer, plan_item text, kind text, line_group text,
		period daterange, service daterange, due date, metric text, measured numeric, included numeric, amount numeric, currency text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT
		held.customer_id, held.subscription_id, held.plan, held.version, NULL::text, 'usage', ''::text,
		open.period, open.period, NULL::date, NULL::text, NULL::numeric, NULL::numeric, NULL::numeric, plan.currency
	FROM meter.subscription AS held
	JOIN meter.plan ON plan.plan = held.plan AND plan.version = held.version
	CROSS JOIN LATERAL (SELECT held.valid * daterange(meter.open_since(held.customer_id), meter.customer_date(held.customer_id) + 1) AS period) AS open
	WHERE held.customer_id = ANY (lines_without_amount.customers)
		AND NOT isempty(open.period);
END;
COMMENT ON FUNCTION meter.lines_without_amount(text[]) IS 'A line without an amount for each subscription of customers, from the date until which they are billed: that something is to be invoiced, and nobody can say how much.';

/*
 * With the rights of the owner: who reads reports is to see what customers will be
 * billed, and neither their events nor their terms, which rating reads. Not in a parallel
 * query: what one customer's data are to blame for could not be caught there.
 */
CREATE FUNCTION meter.open_lines()
	RETURNS TABLE (
		customer_id text, subscription_id bigint, plan text, version integer, plan_item text, kind text, line_group text,
		period daterange, service daterange, due date, metric text, measured numeric, included numeric, amount numeric, currency text)
LANGUAGE plpgsql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	customers text[];
	since date[];
	until date[];
BEGIN
	/* The dates of meter.preview_lines. One that could not be billed must not keep the others from being reported. */
	WITH late AS (
		SELECT mark.customer_id, min(mark.since) AS since
		FROM (SELECT customer_id, since FROM meter.invoice_mark UNION ALL SELECT customer_id, since FROM meter.late_day) AS mark
		GROUP BY mark.customer_id
	)
	SELECT
		array_agg(held.customer_id),
		array_agg(least(coalesce(account.billed_until, '-infinity'), late.since)),
		array_agg(greatest(least(meter.usage_date(now(), coalesce(zone.timezone, (SELECT setting.timezone FROM meter.setting), 'UTC')), zone.last_date), account.billed_until))
	INTO customers, since, until
	FROM (SELECT DISTINCT customer_id FROM meter.subscription) AS held
	LEFT JOIN meter.billing_account AS account USING (customer_id)
	LEFT JOIN meter.customer_zone_span AS zone
		ON zone.customer_id = held.customer_id
		AND now() >= zone.starts
		AND now() < zone.ends
	LEFT JOIN late ON late.customer_id = held.customer_id
	WHERE NOT EXISTS (SELECT FROM meter.billing_problem AS trouble WHERE trouble.customer_id = held.customer_id AND trouble.subscription_id IS NULL);
	IF customers IS NOT NULL THEN
		RETURN QUERY SELECT * FROM meter.lines_of_customers(customers, since, until);
	END IF;
	RETURN QUERY
	SELECT line.*
	FROM meter.lines_without_amount(ARRAY(SELECT DISTINCT trouble.customer_id FROM meter.billing_problem AS trouble WHERE trouble.subscription_id IS NULL)) AS line;
END
$$;
COMMENT ON FUNCTION meter.open_lines() IS 'What is still to be invoiced to every customer: meter.invoice_preview of all at once. Of a customer that cannot be rated, or whose last closing failed, a line without an amount for each subscription, from the date until which it is billed. Takes some ms to begin with, and about a quarter of one for each customer with a subscription.';
REVOKE ALL ON FUNCTION meter.open_lines(), meter.lines_of_customers(text[], date[], date[]), meter.lines_without_amount(text[]) FROM PUBLIC;

CREATE FUNCTION meter.earned_credits()
	RETURNS TABLE (customer_id text, revenue_date date, amount numeric, currency text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	buyers CONSTANT text[] := ARRAY(SELECT DISTINCT customer_id FROM meter.credit_grant WHERE paid > 0);
BEGIN
	/* Most have none: nothing is burned for them. */
	IF cardinality(buyers) > 0 THEN
		RETURN QUERY
		SELECT entry.customer_id, entry.entry_date, sum(entry.recognised), entry.currency
		FROM meter.credit_ledger AS entry
		WHERE entry.customer_id = ANY (buyers)
			AND entry.recognised <> 0
		GROUP BY entry.customer_id, entry.entry_date, entry.currency;
	END IF;
END
$$;
COMMENT ON FUNCTION meter.earned_credits() IS 'What became revenue on each date of what customers paid for credits, because they were burned, expired or were voided: meter.credit_revenue by date. The caller needs SELECT on meter.credit_grant and meter.credit_ledger.';

CREATE VIEW meter.revenue_line AS
SELECT
	customer_id,
	coalesce(period, daterange(revenue_date, revenue_date + 1)) AS period,
	revenue_date,
	kind,
	amount,
	currency,
	source,
	false AS estimated
FROM meter.revenue
WHERE kind <> 'credit_purchase'
UNION ALL
SELECT
	customer_id,
	coalesce(period, CASE WHEN revenue_date IS NOT NULL THEN daterange(revenue_date, revenue_date + 1) END),
	revenue_date,
	coalesce(kind, 'revenue'),
	amount,
	currency,
	source,
	false
FROM meter.attached_revenue()
WHERE kind IS DISTINCT FROM 'credit_purchase'
UNION ALL
/* A void invoice and its credit note come to nothing. */
SELECT
	line.customer_id,
	line.service,
	invoice.invoice_date,
	meter.revenue_kind(line.kind, coalesce(override.quantity, item.quantity), item.per_seat, coalesce(override.tariff, item.tariff)),
	line.amount,
	invoice.currency,
	'meter',
	invoice.state = 'draft'
FROM meter.invoice_line AS line
JOIN meter.invoice ON invoice.invoice_id = line.invoice_id
LEFT JOIN meter.plan_item AS item
	ON item.plan = line.plan
	AND item.version = line.version
	AND item.plan_item = line.plan_item
LEFT JOIN meter.subscription_override AS override
	ON override.subscription_id = line.subscription_id
	AND override.plan_item = line.plan_item
	AND override.valid @> line.period_start
WHERE line.amount <> 0
UNION ALL
SELECT
	line.customer_id,
	CASE WHEN line.metric IS NOT NULL AND lower(line.service) <= reporting.today THEN line.service * daterange(NULL, reporting.today + 1) ELSE line.service END,
	coalesce(line.due, reporting.today),
	meter.revenue_kind(line.kind, coalesce(override.quantity, item.quantity), item.per_seat, coalesce(override.tariff, item.tariff)),
	line.amount,
	line.currency,
	'meter',
	true
FROM meter.open_lines() AS line
CROSS JOIN meter.reporting
LEFT JOIN meter.plan_item AS item
	ON item.plan = line.plan
	AND item.version = line.version
	AND item.plan_item = line.plan_item
LEFT JOIN meter.subscription_override AS override
	ON override.subscription_id = line.subscription_id
	AND override.plan_item = line.plan_item
	AND override.valid @> lower(line.period)
WHERE line.amount IS DISTINCT FROM 0
UNION ALL
SELECT customer_id, daterange(revenue_date, revenue_date + 1), revenue_date, 'credits', amount, currency, 'meter', false
FROM meter.earned_credits();
COMMENT ON VIEW meter.revenue_line IS 'All revenue, a row a line: whose, for which dates it is earned evenly, when it was booked, what for, how much in which currency, and where it is from. Source meter are lines of its own invoices and credit notes, with kind as meter.revenue_kind has it; what is still to be invoiced of open periods, which is estimated, as drafts are (usage is earned over the dates so far, all else over its period); and kind credits, what was paid for credits, on the dates on which they burned or expired. The bill for such credits, kind credit_purchase of any source, is left out. Every report reads revenue from here. The bills of open periods are previewed for all customers, whichever are asked for.';

/* An array, so that the planner expects ten months and not the thousand rows of a series. */
CREATE FUNCTION meter.months_of(period daterange) RETURNS date[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN isfinite(lower(period)) AND isfinite(upper(period)) THEN ARRAY(
	SELECT month::date
	FROM generate_series(meter.month_start(lower(period))::timestamp, upper(period)::timestamp - interval '1 day', interval '1 month') AS month)
END;
COMMENT ON FUNCTION meter.months_of(daterange) IS 'The months, by their first dates, that a period has days in. NULL for one without both ends.';

CREATE VIEW meter.revenue_problem AS
SELECT
	line.source,
	line.customer_id,
	line.revenue_date,
	line.kind,
	line.amount,
	line.currency,
	CASE
		WHEN line.customer_id IS NULL THEN 'no customer'
		WHEN line.period IS NULL THEN 'no date'
		WHEN line.amount IS NULL THEN 'no amount'
		WHEN line.currency IS NULL THEN 'no currency'
		ELSE 'no exchange rate'
	END AS problem,
	earned.month
FROM meter.revenue_line AS line
CROSS JOIN meter.reporting
/* Each month's part is exchanged at a rate of that month. */
LEFT JOIN LATERAL (
	SELECT month
	FROM unnest(CASE WHEN line.customer_id IS NOT NULL AND line.amount IS NOT NULL AND line.currency <> reporting.currency THEN meter.months_of(line.period) END) AS month
	WHERE month <= reporting.today
) AS earned ON true
LEFT JOIN meter.monthly_rate
	ON monthly_rate.currency = line.currency
	AND monthly_rate.month = earned.month
WHERE line.customer_id IS NULL
	OR line.period IS NULL
	OR line.amount IS NULL
	OR line.currency IS NULL
	OR earned.month IS NOT NULL AND monthly_rate.rate IS NULL;
COMMENT ON VIEW meter.revenue_problem IS 'Lines of revenue that cannot be counted, or not in the currency of meter.setting, and why: no date (they are in no report), no customer (they are in the row without one), no amount (or one that is no number, out of range, of more than 12 fractional digits, or in minor units of no known currency), no currency, or no exchange rate in month, a row for each month that their period has days in (the customer''s revenue of that month is NULL). Months to come are not shown. Empty is well.';

/* Each line is exchanged by itself, so margins add lines up without making rows of customer, month and kind first. */
CREATE VIEW meter.revenue_part AS
WITH line AS NOT MATERIALIZED (
	SELECT
		customer_id, period, kind, amount, currency, estimated,
		unnest(CASE
			WHEN meter.month_start(lower(period)) = meter.month_start(upper(period) - 1) THEN ARRAY[meter.month_start(lower(period))]
			ELSE meter.months_of(period)
		END) AS month
	FROM meter.revenue_line
), earned AS NOT MATERIALIZED (
	SELECT
		customer_id, month, kind, currency, estimated,
		CASE
			WHEN lower(period) >= month AND upper(period) <= (month + interval '1 month')::date THEN amount
			ELSE meter.prorate(amount, period * daterange(month, (month + interval '1 month')::date), period)
		END AS amount
	FROM line
)
SELECT
	earned.customer_id,
	earned.month,
	earned.kind,
	CASE WHEN earned.currency = reporting.currency THEN earned.amount ELSE round(earned.amount * monthly_rate.rate, 12) END AS amount,
	earned.amount AS billed_amount,
	earned.currency AS billed_currency,
	earned.estimated OR earned.month >= meter.month_start(reporting.today) AS estimated
FROM earned
CROSS JOIN meter.reporting
LEFT JOIN meter.monthly_rate
	ON monthly_rate.currency = earned.currency
	AND monthly_rate.month = earned.month
WHERE earned.month <= reporting.today;
COMMENT ON VIEW meter.revenue_part IS 'The part of each line of meter.revenue_line in each month that its period has days in, by days: what meter.customer_revenue adds up, with its columns.';

CREATE VIEW meter.customer_revenue AS
SELECT
	customer_id,
	month,
	kind,
	CASE WHEN count(amount) = count(*) THEN trim_scale(sum(amount)) END AS amount,
	CASE WHEN count(billed_amount) = count(*) THEN trim_scale(sum(billed_amount)) END AS billed_amount,
	billed_currency,
	bool_or(estimated) AS estimated
FROM meter.revenue_part
GROUP BY customer_id, month, kind, billed_currency;
COMMENT ON VIEW meter.customer_revenue IS 'What each customer brought, by month, kind and the currency it was billed in: each line''s part of the month, by days, in the currency of meter.setting (each line exchanged by itself, to 12 digits; NULL where there is no exchange rate, or the amount is not known) and as billed. Months to come are not shown. estimated: the month is not over, or not billed for good. Cheap.';

CREATE FUNCTION meter.customer_revenue_between(since date, until date)
	RETURNS TABLE (customer_id text, kind text, amount numeric, billed_amount numeric, billed_currency text, estimated boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH earned AS (
		SELECT
			line.customer_id, line.kind, line.currency, line.estimated,
			meter.prorate(line.amount, line.period * daterange(since, until), line.period) AS amount
		FROM meter.revenue_line AS line
		WHERE line.period && daterange(since, until)
	), part AS (
		SELECT
			earned.*,
			CASE WHEN earned.currency = reporting.currency THEN earned.amount ELSE round(earned.amount * meter.exchange_rate(earned.currency, until - 1), 12) END AS reported_amount
		FROM earned
		CROSS JOIN meter.reporting
	)
	SELECT
		part.customer_id,
		part.kind,
		CASE WHEN count(part.reported_amount) = count(*) THEN trim_scale(sum(part.reported_amount)) END,
		CASE WHEN count(part.amount) = count(*) THEN trim_scale(sum(part.amount)) END,
		part.currency,
		bool_or(part.estimated) OR until > (SELECT today FROM meter.reporting)
	FROM part
	GROUP BY part.customer_id, part.kind, part.currency;
END;
COMMENT ON FUNCTION meter.customer_revenue_between(date, date) IS 'meter.customer_revenue of the dates from since to before until: each line''s part of them, by days, exchanged by itself at the last of them.';

CREATE VIEW meter.shared_cost_weight AS
WITH used AS NOT MATERIALIZED (
	SELECT customer_id, usage_date, sum(cost) AS cost
	FROM meter.cost_part
	WHERE EXISTS (SELECT FROM meter.shared_cost WHERE basis IN ('usage', 'customers'))
	GROUP BY customer_id, usage_date
	HAVING sum(events) <> 0
		OR sum(cost) <> 0
), line AS MATERIALIZED (
	/* Of all customers, and once, however many shared costs there are. */
	SELECT customer_id, period, amount, currency
	FROM meter.revenue_line
	WHERE EXISTS (SELECT FROM meter.shared_cost WHERE basis IN ('revenue', 'customers'))
), part AS NOT MATERIALIZED (
	SELECT shared.shared_cost_id, shared.basis, used.customer_id, used.cost AS weight
	FROM meter.shared_cost AS shared
	JOIN used ON used.usage_date <@ shared.period
	WHERE shared.basis IN ('usage', 'customers')
	UNION ALL
	SELECT
		shared.shared_cost_id,
		shared.basis,
		line.customer_id,
		round(meter.prorate(line.amount, line.period * shared.period, line.period) * CASE WHEN line.currency = reporting.currency THEN 1 ELSE monthly_rate.rate END, 12)
	FROM meter.shared_cost AS shared
	JOIN line ON line.period && shared.period
	CROSS JOIN meter.reporting
	LEFT JOIN meter.monthly_rate
		ON monthly_rate.currency = line.currency
		AND monthly_rate.month = meter.month_start(least(upper(shared.period) - 1, reporting.today))
	WHERE shared.basis IN ('revenue', 'customers')
	UNION ALL
	SELECT
		shared.shared_cost_id,
		shared.basis,
		held.customer_id,
		seat.quantity * (upper(seat.valid * held.valid * shared.period) - lower(seat.valid * held.valid * shared.period))
	FROM meter.shared_cost AS shared
	JOIN meter.subscription AS held ON held.valid && shared.period
	JOIN meter.subscription_seat AS seat
		ON seat.subscription_id = held.subscription_id
		AND seat.valid && held.valid * shared.period
	WHERE shared.basis = 'seats'
)
SELECT
	shared_cost_id,
	customer_id,
	CASE
		WHEN basis = 'customers' THEN 1
		WHEN count(weight) = count(*) THEN greatest(sum(weight), 0)
	END AS weight
FROM part
GROUP BY shared_cost_id, basis, customer_id;
COMMENT ON VIEW meter.shared_cost_weight IS 'What each row of meter.shared_cost is divided by: each customer''s weight, by the row''s basis. NULL where its revenue has no exchange rate.';

CREATE VIEW meter.shared_cost_allocation AS
WITH weighed AS (
	SELECT shared.shared_cost_id, shared.period, shared.layer, shared.amount, shared.currency, shared.basis, weight.customer_id, weight.weight
	FROM meter.shared_cost AS shared
	JOIN meter.shared_cost_weight AS weight USING (shared_cost_id)
	WHERE weight.customer_id IS NOT NULL
	UNION ALL
	SELECT shared_cost_id, period, layer, amount, currency, basis, NULL, 0
	FROM meter.shared_cost
), whole AS (
	SELECT *, sum(weight) OVER (PARTITION BY shared_cost_id) AS whole_weight
	FROM weighed
), allocated AS (
	SELECT
		*,
		meter.allocate(amount, CASE WHEN whole_weight = 0 AND customer_id IS NULL THEN 1 ELSE coalesce(weight, 0) END, meter.currency_digits(currency))
			OVER (PARTITION BY shared_cost_id ORDER BY customer_id COLLATE "C") AS part
	FROM whole
)
SELECT
	shared_cost_id,
	lower(period) AS first_date,
	upper(period) - 1 AS last_date,
	layer,
	basis,
	customer_id,
	trim_scale(weight) AS weight,
	part AS amount,
	currency,
	weight IS NULL AS weight_unknown
FROM allocated
WHERE customer_id IS NOT NULL
	OR whole_weight = 0;
COMMENT ON VIEW meter.shared_cost_allocation IS 'Each row of meter.shared_cost divided among the customers by its basis, to the last minor unit: the amounts of a shared_cost_id add up to it. customer_id is NULL where nobody has a weight, so that nothing is lost. weight_unknown: the customer''s revenue has no exchange rate, and it got no part for that reason.';

/*
 * A window takes all customers anyway, so nothing is lost by a function: and what reads
 * margins need not plan all of this where there is no shared cost.
 */
CREATE FUNCTION meter.allocated_shared_cost() RETURNS SETOF meter.shared_cost_allocation
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM meter.shared_cost) THEN
		RETURN QUERY SELECT * FROM meter.shared_cost_allocation;
	END IF;
END
$$;
COMMENT ON FUNCTION meter.allocated_shared_cost() IS 'The rows of meter.shared_cost_allocation.';

CREATE VIEW meter.customer_shared_cost AS
WITH part AS NOT MATERIALIZED (
	SELECT
		allocation.customer_id,
		month,
		allocation.layer,
		allocation.currency,
		sum(meter.prorate(
			allocation.amount,
			daterange(allocation.first_date, allocation.last_date, '[]') * daterange(month, (month + interval '1 month')::date),
			daterange(allocation.first_date, allocation.last_date, '[]'))) AS amount
	FROM meter.allocated_shared_cost() AS allocation
	CROSS JOIN LATERAL unnest(meter.months_of(daterange(allocation.first_date, allocation.last_date, '[]'))) AS month
	WHERE month <= (SELECT today FROM meter.reporting)
	GROUP BY allocation.customer_id, month, allocation.layer, allocation.currency
)
SELECT
	part.customer_id,
	part.month,
	part.layer,
	trim_scale(CASE WHEN part.currency = reporting.currency THEN part.amount ELSE round(part.amount * monthly_rate.rate, 12) END) AS amount,
	trim_scale(part.amount) AS billed_amount,
	part.currency AS billed_currency,
	part.month >= meter.month_start(reporting.today) AS estimated
FROM part
CROSS JOIN meter.reporting
LEFT JOIN meter.monthly_rate
	ON monthly_rate.currency = part.currency
	AND monthly_rate.month = part.month;
COMMENT ON VIEW meter.customer_shared_cost IS 'Each customer''s part of shared cost, by month, layer and currency: in the currency of meter.setting (NULL where there is no exchange rate) and as billed. customer_id is NULL for what nobody could be given. Months to come are not shown.';

CREATE FUNCTION meter.customer_shared_cost_between(since date, until date)
	RETURNS TABLE (customer_id text, layer text, amount numeric, billed_amount numeric, billed_currency text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH part AS (
		SELECT
			allocation.customer_id,
			allocation.layer,
			allocation.currency,
			sum(meter.prorate(
				allocation.amount,
				daterange(allocation.first_date, allocation.last_date, '[]') * daterange(since, until),
				daterange(allocation.first_date, allocation.last_date, '[]'))) AS amount
		FROM meter.shared_cost_allocation AS allocation
		WHERE allocation.first_date < until
			AND allocation.last_date >= since
		GROUP BY allocation.customer_id, allocation.layer, allocation.currency
	)
	SELECT
		part.customer_id,
		part.layer,
		trim_scale(round(part.amount * meter.exchange_rate(part.currency, until - 1), 12)),
		trim_scale(part.amount),
		part.currency
	FROM part;
END;
COMMENT ON FUNCTION meter.customer_shared_cost_between(date, date) IS 'meter.customer_shared_cost of the dates from since to before until, by days, exchanged at the last of them.';

/* One row an amount: what a margin is made of. Everything about margins adds these up. */
CREATE VIEW meter.margin_part AS
SELECT customer_id, month, 'revenue' AS side, kind AS part, amount, 0::bigint AS events, 0::bigint AS unpriced_events, estimated
FROM meter.revenue_part
UNION ALL
/* Nothing is exchanged, so nothing is rounded: it need not be one row a month. */
SELECT part.customer_id, part.usage_month, 'cost', NULL, part.cost, part.events, part.unpriced_cost, part.usage_month >= (SELECT meter.month_start(reporting.today) FROM meter.reporting)
FROM meter.cost_month_part AS part
WHERE (SELECT reporting.cost_currency = reporting.currency FROM meter.reporting)
UNION ALL
SELECT customer_id, month, 'cost', NULL, cost, events, unpriced_events, estimated
FROM meter.customer_month
WHERE (SELECT (reporting.cost_currency = reporting.currency) IS NOT TRUE FROM meter.reporting)
UNION ALL
SELECT customer_id, month, 'shared_cost', layer, amount, 0, 0, estimated
FROM meter.customer_shared_cost;
COMMENT ON VIEW meter.margin_part IS 'The amounts that margins are made of, by customer and month: revenue (part is its kind), cost (all of it) and shared_cost (part is its layer). An amount is NULL where it is not known, and may come in several rows.';

/*
 * Without the rank, which takes all customers: limited to one, it reads the usage of that one.
 * Most customers have had one subscription, which is held's; only those with more are looked up by month.
 * A query without cost_by_layer does not read the items, as the join falls away.
 */
CREATE VIEW meter.margin_of_customer AS
WITH figure AS NOT MATERIALIZED (
	SELECT
		customer_id,
		month,
		CASE WHEN bool_and(amount IS NOT NULL OR side <> 'revenue') THEN coalesce(sum(amount) FILTER (WHERE side = 'revenue'), 0) END AS revenue,
		CASE WHEN bool_and(amount IS NOT NULL OR side <> 'cost') THEN coalesce(sum(amount) FILTER (WHERE side = 'cost'), 0) END AS cost,
		CASE WHEN bool_and(amount IS NOT NULL OR side <> 'shared_cost') THEN coalesce(sum(amount) FILTER (WHERE side = 'shared_cost'), 0) END AS shared_cost,
		/* one sum, for a query that has no use for the three */
		CASE WHEN count(amount) = count(*) THEN sum(CASE side WHEN 'revenue' THEN amount ELSE - amount END) END AS gross_margin,
		array_agg(part) FILTER (WHERE side = 'revenue') AS kinds,
		array_agg(amount) FILTER (WHERE side = 'revenue') AS amounts,
		sum(events) AS events,
		sum(unpriced_events) AS unpriced_events,
		count(*) - count(amount) AS unknown_amounts,
		bool_or(estimated) AS estimated
	FROM meter.margin_part
	GROUP BY customer_id, month, NULL::xid /* see meter.tail_day */
), held AS NOT MATERIALIZED (
	SELECT customer_id, count(*) AS subscriptions, min(plan) AS plan, range_agg(valid) AS valid
	FROM meter.subscription
	GROUP BY customer_id
), layered AS NOT MATERIALIZED (
	SELECT customer_id, month, jsonb_object_agg(layer, amount) AS cost_by_layer
	FROM (
		SELECT customer_id, month, layer, CASE WHEN count(cost) = count(*) THEN trim_scale(sum(cost)) END AS amount
		FROM meter.customer_cost
		WHERE layer IS NOT NULL
		GROUP BY customer_id, month, layer, NULL::xid
	) AS layer
	GROUP BY customer_id, month
)
SELECT
	figure.customer_id,
	figure.month,
	CASE
		WHEN held.subscriptions = 1 THEN CASE WHEN held.valid && daterange(figure.month, (figure.month + interval '1 month')::date) THEN held.plan END
		WHEN held.subscriptions > 1 THEN (
			SELECT several.plan
			FROM meter.subscription AS several
			WHERE several.customer_id = figure.customer_id
				AND several.valid && daterange(figure.month, (figure.month + interval '1 month')::date)
			ORDER BY several.family <> 'main', several.family COLLATE "C", lower(several.valid) DESC
			LIMIT 1
		)
	END AS plan,
	customer.segment,
	trim_scale(figure.revenue) AS revenue,
	trim_scale(figure.cost) AS cost,
	trim_scale(figure.shared_cost) AS shared_cost,
	trim_scale(figure.gross_margin) AS gross_margin,
	CASE WHEN figure.revenue > 0 THEN trim_scale(round(100 * figure.gross_margin / figure.revenue, 4)) END AS gross_margin_percent,
	coalesce((
		SELECT jsonb_object_agg(kind, amount)
		FROM (
			SELECT line.kind, CASE WHEN count(line.amount) = count(*) THEN trim_scale(sum(line.amount)) END AS amount
			FROM unnest(figure.kinds, figure.amounts) AS line (kind, amount)
			GROUP BY line.kind
		) AS kind
	), '{}') AS revenue_by_kind,
	coalesce(layered.cost_by_layer, '{}') AS cost_by_layer,
	figure.events::bigint AS events,
	figure.unpriced_events::bigint AS unpriced_events,
	figure.unknown_amounts::bigint AS unknown_amounts,
	figure.estimated
FROM figure
LEFT JOIN meter.customer ON customer.customer_id = figure.customer_id
LEFT JOIN held ON held.customer_id = figure.customer_id
LEFT JOIN layered
	ON layered.customer_id = figure.customer_id
	AND layered.month = figure.month;
COMMENT ON VIEW meter.margin_of_customer IS 'meter.customer_margin without the rank: for a query that is about one customer. It reads the usage of that one alone then, and of the others what shared cost is divided by.';

CREATE VIEW meter.customer_margin AS
SELECT
	customer_id,
	month,
	plan,
	segment,
	revenue,
	cost,
	shared_cost,
	gross_margin,
	gross_margin_percent,
	CASE WHEN customer_id IS NOT NULL AND gross_margin IS NOT NULL THEN rank() OVER (PARTITION BY month ORDER BY CASE WHEN customer_id IS NOT NULL THEN gross_margin END DESC NULLS LAST) END AS rank,
	revenue_by_kind,
	cost_by_layer,
	events,
	unpriced_events,
	unknown_amounts,
	estimated
FROM meter.margin_of_customer;
COMMENT ON VIEW meter.customer_margin IS 'Revenue, cost and gross margin of each customer, by month, in the currency of meter.setting. plan is the last one that the customer had in the month, of family main, or of the first one by name where it has none of that. gross_margin is revenue less cost and shared_cost, its percentage is of revenue, and NULL without any; rank is 1 for the customer with the highest known gross margin of the month, and NULL for one whose margin is not known. revenue_by_kind and cost_by_layer are JSON objects that add up to revenue and cost (cost_by_layer, where card cost is in another currency, but for the 12th digit, as each item is exchanged by itself). Honesty: unpriced_events of the events are in no cost; unknown_amounts are those without an exchange rate, which leave revenue, cost or shared_cost NULL, and the margin with it; estimated: the month is not over, or not billed for good. A row without a customer has the shared cost that nobody could be given. From the roll-up; cheap.';

CREATE VIEW meter.plan_margin AS
SELECT
	month,
	plan,
	count(customer_id) AS customers,
	count(customer_id) FILTER (WHERE gross_margin < 0) AS customers_at_a_loss,
	CASE WHEN count(revenue) = count(*) THEN trim_scale(sum(revenue)) END AS revenue,
	CASE WHEN count(cost) = count(*) THEN trim_scale(sum(cost)) END AS cost,
	CASE WHEN count(shared_cost) = count(*) THEN trim_scale(sum(shared_cost)) END AS shared_cost,
	CASE WHEN count(gross_margin) = count(*) THEN trim_scale(sum(gross_margin)) END AS gross_margin,
	CASE WHEN count(gross_margin) = count(*) AND sum(revenue) > 0 THEN trim_scale(round(100 * sum(gross_margin) / sum(revenue), 4)) END AS gross_margin_percent,
	sum(events)::bigint AS events,
	sum(unpriced_events)::bigint AS unpriced_events,
	sum(unknown_amounts)::bigint AS unknown_amounts,
	bool_or(estimated) AS estimated
FROM meter.margin_of_customer
GROUP BY month, plan;
COMMENT ON VIEW meter.plan_margin IS 'meter.customer_margin by month and plan: the number of customers, of those at a loss, and the sums. plan is NULL for customers that had none. From the roll-up; cheap.';

CREATE VIEW meter.segment_margin AS
SELECT
	month,
	segment,
	count(customer_id) AS customers,
	count(customer_id) FILTER (WHERE gross_margin < 0) AS customers_at_a_loss,
	CASE WHEN count(revenue) = count(*) THEN trim_scale(sum(revenue)) END AS revenue,
	CASE WHEN count(cost) = count(*) THEN trim_scale(sum(cost)) END AS cost,
	CASE WHEN count(shared_cost) = count(*) THEN trim_scale(sum(shared_cost)) END AS shared_cost,
	CASE WHEN count(gross_margin) = count(*) THEN trim_scale(sum(gross_margin)) END AS gross_margin,
	CASE WHEN count(gross_margin) = count(*) AND sum(revenue) > 0 THEN trim_scale(round(100 * sum(gross_margin) / sum(revenue), 4)) END AS gross_margin_percent,
	sum(events)::bigint AS events,
	sum(unpriced_events)::bigint AS unpriced_events,
	sum(unknown_amounts)::bigint AS unknown_amounts,
	bool_or(estimated) AS estimated
FROM meter.margin_of_customer
GROUP BY month, segment;
COMMENT ON VIEW meter.segment_margin IS 'meter.customer_margin by month and segment of meter.customer: the number of customers, of those at a loss, and the sums. segment is NULL for customers that have none. From the roll-up; cheap.';

CREATE VIEW meter.monthly_margin AS
SELECT
	month,
	count(customer_id) AS customers,
	count(customer_id) FILTER (WHERE gross_margin < 0) AS customers_at_a_loss,
	CASE WHEN count(revenue) = count(*) THEN trim_scale(sum(revenue)) END AS revenue,
	CASE WHEN count(cost) = count(*) THEN trim_scale(sum(cost)) END AS cost,
	CASE WHEN count(shared_cost) = count(*) THEN trim_scale(sum(shared_cost)) END AS shared_cost,
	CASE WHEN count(gross_margin) = count(*) THEN trim_scale(sum(gross_margin)) END AS gross_margin,
	CASE WHEN count(gross_margin) = count(*) AND sum(revenue) > 0 THEN trim_scale(round(100 * sum(gross_margin) / sum(revenue), 4)) END AS gross_margin_percent,
	sum(events)::bigint AS events,
	sum(unpriced_events)::bigint AS unpriced_events,
	sum(unknown_amounts)::bigint AS unknown_amounts,
	bool_or(estimated) AS estimated
FROM meter.margin_of_customer
GROUP BY month;
COMMENT ON VIEW meter.monthly_margin IS 'meter.customer_margin by month, over all customers. From the roll-up; cheap.';

CREATE VIEW meter.customer_item_margin AS
WITH part AS NOT MATERIALIZED (
	SELECT customer_id, month, layer, item, cost, rated_cost, NULL::numeric AS revenue, NULL::numeric AS shared_cost, unpriced_events, estimated
	FROM meter.customer_cost
	WHERE item IS NOT NULL
	UNION ALL
	SELECT customer_id, month, NULL, NULL, 0, 0, revenue, shared_cost, 0, estimated
	FROM meter.margin_of_customer
), whole AS NOT MATERIALIZED (
	SELECT
		customer_id, month, layer, item, cost, rated_cost, unpriced_events, estimated,
		max(revenue) OVER customer_month AS revenue,
		max(shared_cost) OVER customer_month AS shared_cost,
		sum(greatest(rated_cost, 0)) OVER customer_month AS whole_weight
	FROM part
	WINDOW customer_month AS (PARTITION BY customer_id, month)
), divided AS NOT MATERIALIZED (
	SELECT
		customer_id, month, layer, item, cost, whole_weight, unpriced_events, estimated,
		meter.allocate(revenue, CASE WHEN whole_weight > 0 THEN greatest(rated_cost, 0) WHEN item IS NULL THEN 1 ELSE 0 END)
			OVER (PARTITION BY customer_id, month ORDER BY item COLLATE "C") AS revenue,
		meter.allocate(shared_cost, CASE WHEN whole_weight > 0 THEN greatest(rated_cost, 0) WHEN item IS NULL THEN 1 ELSE 0 END)
			OVER (PARTITION BY customer_id, month ORDER BY item COLLATE "C") AS shared_cost
	FROM whole
)
SELECT
	customer_id,
	month,
	layer,
	item,
	revenue,
	cost,
	shared_cost,
	trim_scale(revenue - cost - shared_cost) AS gross_margin,
	unpriced_events,
	estimated
FROM divided
WHERE item IS NOT NULL
	OR whole_weight = 0;
COMMENT ON VIEW meter.customer_item_margin IS 'Each customer''s margin by month and item: revenue and shared cost are divided among the items by what they cost, and add up to those of meter.customer_margin. item is NULL for a month without any cost. From the roll-up; cheap.';

CREATE VIEW meter.item_margin AS
SELECT
	month,
	layer,
	item,
	count(customer_id) AS customers,
	CASE WHEN count(revenue) = count(*) THEN trim_scale(sum(revenue)) END AS revenue,
	CASE WHEN count(cost) = count(*) THEN trim_scale(sum(cost)) END AS cost,
	CASE WHEN count(shared_cost) = count(*) THEN trim_scale(sum(shared_cost)) END AS shared_cost,
	CASE WHEN count(gross_margin) = count(*) THEN trim_scale(sum(gross_margin)) END AS gross_margin,
	CASE WHEN count(gross_margin) = count(*) AND sum(revenue) > 0 THEN trim_scale(round(100 * sum(gross_margin) / sum(revenue), 4)) END AS gross_margin_percent,
	sum(unpriced_events)::bigint AS unpriced_events,
	bool_or(estimated) AS estimated
FROM meter.customer_item_margin
GROUP BY month, layer, item;
COMMENT ON VIEW meter.item_margin IS 'meter.customer_item_margin over all customers: what the customers that use an item bring, in proportion to its part of their cost, and what is left. From the roll-up; cheap.';

CREATE VIEW meter.customer_action_margin AS
WITH part AS NOT MATERIALIZED (
	SELECT customer_id, month, action, completed, cost, credits, NULL::numeric AS revenue, NULL::numeric AS whole_cost, NULL::numeric AS shared_cost, estimated
	FROM meter.customer_action_cost
	UNION ALL
	SELECT customer_id, month, NULL, 0, NULL, 0, revenue, cost, shared_cost, estimated
	FROM meter.margin_of_customer
), whole AS NOT MATERIALIZED (
	SELECT
		customer_id, month, action, completed, credits, estimated,
		CASE WHEN action IS NULL THEN whole_cost - coalesce(sum(cost) OVER customer_month, 0) ELSE cost END AS cost,
		max(revenue) OVER customer_month AS revenue,
		max(shared_cost) OVER customer_month AS shared_cost,
		sum(greatest(credits, 0)) OVER customer_month AS whole_credits
	FROM part
	WINDOW customer_month AS (PARTITION BY customer_id, month)
), weighed AS NOT MATERIALIZED (
	SELECT *, greatest(coalesce(CASE WHEN whole_credits > 0 THEN credits ELSE cost END, 0), 0) AS weight
	FROM whole
), guarded AS NOT MATERIALIZED (
	SELECT *, sum(weight) OVER (PARTITION BY customer_id, month) AS whole_weight
	FROM weighed
), divided AS NOT MATERIALIZED (
	SELECT
		customer_id, month, action, completed, cost, whole_weight, weight, estimated,
		meter.allocate(revenue, CASE WHEN whole_weight > 0 THEN weight WHEN action IS NULL THEN 1 ELSE 0 END)
			OVER (PARTITION BY customer_id, month ORDER BY action COLLATE "C") AS revenue,
		meter.allocate(shared_cost, CASE WHEN whole_weight > 0 THEN weight WHEN action IS NULL THEN 1 ELSE 0 END)
			OVER (PARTITION BY customer_id, month ORDER BY action COLLATE "C") AS shared_cost
	FROM guarded
)
SELECT
	customer_id,
	month,
	action,
	completed,
	revenue,
	trim_scale(cost) AS cost,
	shared_cost,
	trim_scale(revenue - cost - shared_cost) AS gross_margin,
	estimated
FROM divided
WHERE action IS NOT NULL
	OR cost IS DISTINCT FROM 0
	OR revenue IS DISTINCT FROM 0
	OR shared_cost IS DISTINCT FROM 0;
COMMENT ON VIEW meter.customer_action_margin IS 'Each customer''s margin by month and action: revenue and shared cost are divided among the actions by the credits they took, in a month without any by what they cost, and add up to those of meter.customer_margin, as cost does. action is NULL for usage outside of any action, and for what nothing can be divided by. From the roll-up; cheap.';

CREATE VIEW meter.action_margin AS
SELECT
	month,
	action,
	count(customer_id) AS customers,
	trim_scale(sum(completed)) AS completed,
	CASE WHEN count(revenue) = count(*) THEN trim_scale(sum(revenue)) END AS revenue,
	CASE WHEN count(cost) = count(*) THEN trim_scale(sum(cost)) END AS cost,
	CASE WHEN count(shared_cost) = count(*) THEN trim_scale(sum(shared_cost)) END AS shared_cost,
	CASE WHEN count(gross_margin) = count(*) THEN trim_scale(sum(gross_margin)) END AS gross_margin,
	CASE WHEN count(gross_margin) = count(*) AND sum(revenue) > 0 THEN trim_scale(round(100 * sum(gross_margin) / sum(revenue), 4)) END AS gross_margin_percent,
	bool_or(estimated) AS estimated
FROM meter.customer_action_margin
GROUP BY month, action;
COMMENT ON VIEW meter.action_margin IS 'meter.customer_action_margin over all customers: which actions earn what they cost. From the roll-up; cheap.';
