/* Why a line is what it is: down to the tiers, the days and the events. */

CREATE FUNCTION meter.line_events(customer_id text, period daterange, plan text, version integer, plan_item text, line_group text DEFAULT '')
	RETURNS TABLE (event_id text, occurred_at timestamptz, usage_date date, item text, action text, variant text, user_id text, quantity numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	priced meter.plan_item;
	metric meter.metric;
BEGIN
	SELECT item.* INTO priced
	FROM meter.plan_item AS item
	WHERE item.plan = line_events.plan
		AND item.version = line_events.version
		AND item.plan_item = line_events.plan_item;
	SELECT measure.* INTO metric
	FROM meter.metric AS measure
	WHERE measure.metric = priced.metric;

	RETURN QUERY
	WITH period AS (
		SELECT
			meter.customer_date_start(line_events.customer_id, lower(line_events.period)) AS starts,
			meter.customer_date_start(line_events.customer_id, upper(line_events.period)) AS ends
	), event AS (
		SELECT event.*
		FROM meter.billable_events(ARRAY[line_events.customer_id], (SELECT starts FROM period), (SELECT ends FROM period), metric.recurring) AS event
		WHERE coalesce(event.metric, metric.metric) = metric.metric
			/* What a purge left may not have been purged. */
			AND (event.metric IS NULL OR NOT EXISTS (SELECT FROM meter.usage_event AS stored WHERE stored.customer_id = event.customer_id AND stored.event_id = event.event_id))
	), measured AS (
		SELECT
			event.*,
			meter.quantity(event.usage, metric.unit) AS quantity,
			meter.event_field(metric.key, event.item, event.action, event.variant, event.request_class, event.user_id, event.workflow_id, event.tags) AS key
		FROM event
		LEFT JOIN meter.plan_item_tariff AS tariff
			ON priced.dimension IS NOT NULL
			AND tariff.plan = priced.plan
			AND tariff.version = priced.version
			AND tariff.plan_item = priced.plan_item
			AND tariff.value = meter.event_field(priced.dimension, event.item, event.action, event.variant, event.request_class, event.user_id, event.workflow_id, event.tags)
		WHERE event.usage_date < upper(line_events.period)
			AND (metric.recurring OR event.usage_date >= lower(line_events.period))
			AND (metric.items IS NULL OR event.item = ANY (metric.items))
			AND (metric.actions IS NULL OR event.action = ANY (metric.actions))
			AND (metric.variants IS NULL OR event.variant = ANY (metric.variants))
			AND (metric.request_classes IS NULL OR event.request_class = ANY (metric.request_classes))
			AND coalesce(event.outcome, 'success') = ANY (metric.outcomes)
			AND (metric.tags IS NULL OR event.tags @> metric.tags)
			AND (metric.unit IS NULL OR meter.has_unit(event.usage, metric.unit))
			AND coalesce(tariff.value, '') = line_events.line_group
	), held AS (
		SELECT
			measured.*,
			lead(measured.occurred_at) OVER (PARTITION BY measured.key ORDER BY measured.occurred_at, measured.event_id) AS replaced_at,
			row_number() OVER (ORDER BY measured.quantity DESC, measured.occurred_at, measured.event_id) AS size_rank
		FROM measured
	)
	SELECT
		held.event_id, held.occurred_at, held.usage_date, held.item, held.action, held.variant, held.user_id,
		trim_scale(CASE metric.aggregation
			WHEN 'sum' THEN held.quantity
			WHEN 'count' THEN 1
			WHEN 'cost' THEN meter.cost((SELECT card.cost FROM meter.event_card AS card), held.item, held.occurred_at, held.usage, held.variant)
			WHEN 'credits' THEN meter.cost((SELECT card.credit FROM meter.event_card AS card), CASE WHEN coalesce(held.outcome, 'success') = 'success' THEN held.action END, held.occurred_at, held.usage, held.variant)
			WHEN 'max' THEN CASE WHEN held.size_rank = 1 THEN held.quantity ELSE 0 END
			WHEN 'unique' THEN CASE WHEN held.replaced_at IS NULL AND held.key IS NOT NULL THEN 1 ELSE 0 END
			WHEN 'latest' THEN CASE WHEN held.replaced_at IS NULL THEN held.quantity ELSE 0 END
			WHEN 'time_weighted' THEN meter.prorate(held.quantity, 0,
				trunc(1000000 * extract(epoch FROM greatest(interval '0', least(coalesce(held.replaced_at, period.ends), period.ends) - greatest(held.occurred_at, period.starts)))),
				trunc(1000000 * extract(epoch FROM period.ends - period.starts)))
		END)
	FROM held
	CROSS JOIN period
	ORDER BY held.occurred_at, held.event_id;
END
$$;
COMMENT ON FUNCTION meter.line_events(text, daterange, text, integer, text, text) IS 'The events that a plan item''s metric measures for a customer in a period, with the part of the quantity that each brings, in order. The parts add up to the quantity, but for the last digit of a time_weighted one. An event whose cost has no rate brings NULL. Reads all of them.';

CREATE FUNCTION meter.line_terms(line meter.invoice_line) RETURNS TABLE (percent numeric, quantity numeric, unit_amount numeric, cycle daterange, days integer, cycle_days integer, part numeric, applies_to text[], in_term boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT
		coalesce(override.percent, CASE WHEN override.amount IS NULL THEN item.percent END),
		priced.quantity,
		priced.amount,
		cycle.cycle,
		CASE WHEN item.prorated THEN upper(line.service) - lower(line.service) END,
		CASE WHEN item.prorated THEN upper(cycle.cycle) - lower(cycle.cycle) END,
		CASE WHEN item.prorated THEN meter.prorate(meter.prorate(priced.amount, 0, priced.quantity, 1), line.service, cycle.cycle) ELSE meter.prorate(priced.amount, 0, priced.quantity, 1) END,
		item.applies_to,
		item.term
	FROM meter.plan_item AS item
	JOIN meter.plan
		ON plan.plan = item.plan
		AND plan.version = item.version
	JOIN meter.subscription ON subscription.subscription_id = line.subscription_id
	LEFT JOIN meter.subscription_override AS override
		ON override.subscription_id = line.subscription_id
		AND override.plan_item = line.plan_item
		AND override.valid @> line.period_start
	CROSS JOIN LATERAL (
		SELECT
			meter.prorate(
				meter.prorate(
					coalesce(override.amount, item.amount), 0,
					CASE WHEN item.escalator <> 0 THEN meter.compound(item.escalator, greatest(0, meter.period_number(line.period_start, subscription.price_since, interval '1 year'))::integer) ELSE 1 END, 1),
				0,
				CASE
					WHEN item.index_card IS NULL THEN 1
					ELSE meter.index_factor(item.index_card, item.index_item, item.index_unit, item.index_variant, item.index_per, item.index_base, item.index_share, meter.customer_date_start(line.customer_id, line.period_start))
				END, 1) AS amount,
			CASE item.kind WHEN 'fee' THEN coalesce(override.quantity, item.quantity, 1) ELSE 1 END AS quantity
	) AS priced
	CROSS JOIN LATERAL (
		SELECT CASE
			WHEN item.kind = 'commitment' AND item.term THEN meter.period(line.period_start, subscription.anchor, plan.term)
			WHEN item.kind = 'fee' AND item.every IS NOT NULL THEN meter.period(CASE item.timing WHEN 'advance' THEN line.period_start ELSE upper(line.period) - 1 END, subscription.anchor, item.every)
			ELSE meter.period(line.period_start, subscription.anchor, plan.every)
		END AS cycle
	) AS present
	/* Periods may be counted from another date by now. */
	CROSS JOIN LATERAL (SELECT CASE WHEN present.cycle @> line.service THEN present.cycle ELSE line.service END AS cycle) AS cycle
	WHERE item.plan = line.plan
		AND item.version = line.version
		AND item.plan_item = line.plan_item;
END;
COMMENT ON FUNCTION meter.line_terms(meter.invoice_line) IS 'What was agreed of a fee, commitment, discount or cap that a line charges, as it stands now: percent; unit_amount with its rises and index, by quantity; cycle, the whole that it is for; where it is prorated, the line''s days of those; and part, what that comes to. The arithmetic is that of meter.rate_lines.';

CREATE FUNCTION meter.charged_before(line meter.invoice_line, applies_to text[], kinds text[]) RETURNS numeric
LANGUAGE sql STABLE
RETURN (
	SELECT coalesce(sum(charged.rated_amount), 0)
	FROM meter.invoice_line AS charged
	WHERE charged.subscription_id = line.subscription_id
		AND charged.period_start = line.period_start
		AND charged.kind <> ALL (kinds)
		AND (applies_to IS NULL OR charged.plan_item = ANY (applies_to))
		AND charged.invoice_id <= line.invoice_id
		AND NOT EXISTS (
			SELECT FROM meter.invoice_line AS later
			WHERE later.subscription_id = charged.subscription_id
				AND later.period_start = charged.period_start
				AND later.plan_item = charged.plan_item
				AND later.line_group = charged.line_group
				AND later.revision > charged.revision
				AND later.invoice_id <= line.invoice_id));
COMMENT ON FUNCTION meter.charged_before(meter.invoice_line, text[], text[]) IS 'What the period of a line was rated at when the line was written, by the lines of plan items (NULL: all) and not of kinds.';

CREATE FUNCTION meter.explain(invoice_id bigint, line_number integer)
	RETURNS TABLE (section text, day date, event_id text, occurred_at timestamptz, item text, events bigint, quantity numeric, price numeric, per numeric, amount numeric, note text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	line meter.invoice_line;
	priced meter.plan_item;
	currency text;
	credits bigint;
	shared numeric;
	terms record;
	formula text;
	base numeric;
	reckoned numeric;
BEGIN
	SELECT stored.* INTO line
	FROM meter.invoice_line AS stored
	WHERE stored.invoice_id = explain.invoice_id
		AND stored.line_number = explain.line_number;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'invoice % has no line %', explain.invoice_id, explain.line_number
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Table meter.invoice_line has the lines.';
	END IF;
	SELECT invoice.currency, invoice.credits INTO currency, credits FROM meter.invoice WHERE invoice.invoice_id = line.invoice_id;
	SELECT item.* INTO priced
	FROM meter.plan_item AS item
	WHERE item.plan = line.plan
		AND item.version = line.version
		AND item.plan_item = line.plan_item;

	RETURN QUERY VALUES (
		'line', NULL::date, NULL::text, NULL::timestamptz, nullif(line.line_group, ''), NULL::bigint, line.quantity, NULL::numeric, NULL::numeric, trim_scale(line.amount),
		format('%s, %s to %s, plan %s version %s', coalesce(line.description, line.plan_item), lower(line.service), upper(line.service) - 1, line.plan, line.version));
	IF line.measured IS NOT NULL AND line.metric IS NOT NULL THEN
		RETURN QUERY VALUES (
			'measured', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, line.measured, NULL::numeric, NULL::numeric, NULL::numeric, line.metric);
		IF line.kind = 'credit' THEN
			RETURN QUERY VALUES (
				'covered', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, line.quantity - line.measured, NULL::numeric, NULL::numeric, NULL::numeric, 'covered by lots');
		ELSIF line.included > 0 THEN
			RETURN QUERY VALUES (
				'included', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, -line.included, NULL::numeric, NULL::numeric, NULL::numeric, 'included in the period');
		END IF;
	END IF;

	/* How the quantity was charged. */
	IF line.kind = 'seat' THEN
		RETURN QUERY
		SELECT
			'seats', lower(span.span), NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, greatest(span.seats, coalesce(override.quantity, priced.quantity, 0)), NULL::numeric, NULL::numeric, NULL::numeric,
			format('%s days', upper(span.span) - lower(span.span))
		FROM meter.seat_spans(line.subscription_id, line.plan_item, line.period) AS span
		LEFT JOIN meter.subscription_override AS override
			ON override.subscription_id = line.subscription_id
			AND override.plan_item = line.plan_item
			AND override.valid @> line.period_start;
	ELSIF line.tariff IS NOT NULL THEN
		RETURN QUERY
		SELECT
			part.kind, NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, part.quantity, part.price, part.per, part.amount,
			CASE part.kind
				WHEN 'tier' THEN format('from %s to %s', part."from", coalesce(part.up_to::text, 'any')) || CASE WHEN part.fee <> 0 THEN format(', fee %s', part.fee) ELSE '' END
			END
		FROM meter.charge_lines(line.tariff, line.quantity) AS part;
	ELSIF line.kind IN ('fee', 'commitment', 'discount', 'cap') THEN
		SELECT * INTO terms FROM meter.line_terms(line);
		formula := concat_ws(' x ', CASE WHEN terms.quantity <> 1 THEN trim_scale(terms.quantity)::text END, trim_scale(terms.unit_amount)::text, CASE WHEN terms.days <> terms.cycle_days THEN format('%s of %s days', terms.days, terms.cycle_days) END);
		CASE line.kind
		WHEN 'fee' THEN
			reckoned := terms.part;
			RETURN QUERY SELECT 'fee', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, terms.quantity, trim_scale(terms.unit_amount), NULL::numeric, trim_scale(terms.part), formula WHERE reckoned = line.exact_amount;
		WHEN 'commitment' THEN
			/* What was charged is what the line does not fill up. */
			reckoned := CASE WHEN line.exact_amount > 0 THEN line.exact_amount END;
			base := meter.round_money(terms.part, currency);
			RETURN QUERY
			SELECT fact.*
			FROM (VALUES
				('commitment', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, NULL::numeric, NULL::numeric, NULL::numeric, trim_scale(base), nullif(concat_ws(', ', CASE WHEN terms.days <> terms.cycle_days THEN formula END, CASE WHEN terms.in_term THEN format('for the term %s to %s', lower(terms.cycle), upper(terms.cycle) - 1) END), '')),
				('charged', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, trim_scale(line.exact_amount - base), NULL)
			) AS fact
			WHERE reckoned IS NOT NULL;
		WHEN 'discount' THEN
			base := meter.charged_before(line, terms.applies_to, '{discount,cap}');
			reckoned := -meter.round_money(CASE WHEN terms.percent IS NOT NULL THEN meter.prorate(base, 0, terms.percent, 100) ELSE least(terms.part, base) END, currency);
			RETURN QUERY VALUES (
				'base', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, trim_scale(base), trim_scale(terms.percent), CASE WHEN terms.percent IS NOT NULL THEN 100::numeric END, trim_scale(reckoned),
				CASE WHEN terms.percent IS NOT NULL THEN format('%s%% of %s', trim_scale(terms.percent), trim_scale(base)) ELSE format('%s off %s', formula, trim_scale(base)) END);
		WHEN 'cap' THEN
			base := meter.charged_before(line, NULL, '{cap}');
			reckoned := -greatest(0, base - meter.round_money(terms.part, currency));
			RETURN QUERY VALUES
				('charged', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, NULL::numeric, NULL::numeric, NULL::numeric, trim_scale(base), NULL::text),
				('cap', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, trim_scale(meter.round_money(terms.part, currency)), CASE WHEN terms.days <> terms.cycle_days THEN formula END);
		END CASE;
		IF reckoned IS DISTINCT FROM line.exact_amount THEN
			RETURN QUERY VALUES (
				'since', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric,
				CASE
					WHEN line.kind IN ('discount', 'cap') AND line.exact_amount <> 0 THEN 'no more than other discounts and caps left to take'
					WHEN line.kind = 'commitment' AND line.exact_amount = 0 THEN 'it is reached, or not charged any more'
					WHEN line.exact_amount = 0 THEN 'it is not charged any more'
					ELSE 'what was agreed has changed after the line was written'
				END);
		END IF;
	END IF;

	/* The days and the events, each with its share of the exact amount. */
	IF line.metric IS NOT NULL THEN
		shared := line.exact_amount;
		RETURN QUERY
		WITH event AS MATERIALIZED (
			SELECT event.*, meter.allocate(shared, event.weight) OVER (ORDER BY event.occurred_at, event.event_id) AS share
			FROM (
				SELECT measured.event_id, measured.occurred_at, measured.usage_date, measured.item, measured.action, measured.variant, measured.user_id, measured.quantity, measured.quantity AS weight
				FROM meter.line_events(line.customer_id, line.period, line.plan, line.version, line.plan_item, line.line_group) AS measured
				WHERE line.kind <> 'credit'
				UNION ALL
				/* Credits are charged where no lot covers them. */
				SELECT taken.event_id, taken.occurred_at, taken.usage_date, taken.action, NULL, NULL, NULL, taken.overage, taken.overage
				FROM meter.credit_ledger_event AS taken
				WHERE line.kind = 'credit'
					AND taken.customer_id = line.customer_id
					AND taken.credit_type = line.metric
					AND taken.usage_date >= lower(line.period)
					AND taken.usage_date < upper(line.period)
					AND meter.charges_pool(line.plan, line.version, line.metric, priced.pool, taken.pool)
			) AS event
			WHERE event.weight > 0
		), difference AS (
			SELECT CASE line.kind WHEN 'credit' THEN line.quantity ELSE line.measured END - coalesce(sum(event.quantity), 0) AS quantity
			FROM event
		)
		SELECT fact.*
		FROM (
			SELECT 'since', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, -difference.quantity, NULL::numeric, NULL::numeric, NULL::numeric, 'usage that came or went after the line was written'
			FROM difference
			WHERE abs(difference.quantity) > 0.000001
			UNION ALL
			SELECT 'day', event.usage_date, NULL, NULL, event.item, count(*), trim_scale(sum(event.quantity)), NULL, NULL, trim_scale(sum(event.share)), NULL
			FROM event
			GROUP BY event.usage_date, event.item
			UNION ALL
			SELECT 'event', event.usage_date, event.event_id, event.occurred_at, event.item, 1, event.quantity, NULL, NULL, event.share, nullif(concat_ws(', ', event.action, nullif(event.variant, 'standard'), event.user_id), '')
			FROM event
		) AS fact (section, day, event_id, occurred_at, item)
		/* Each day is followed by its events. */
		ORDER BY fact.section <> 'since', fact.day, fact.item COLLATE "C" NULLS FIRST, fact.section COLLATE "C", fact.occurred_at, fact.event_id COLLATE "C";
	END IF;

	RETURN QUERY VALUES (
		'exact', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, NULL::numeric, NULL::numeric, NULL::numeric, line.exact_amount, 'before rounding');
	RETURN QUERY VALUES (
		'rounded', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, NULL::numeric, NULL::numeric, NULL::numeric, trim_scale(line.rated_amount), currency);
	IF credits IS NOT NULL THEN
		RETURN QUERY VALUES (
			'credited', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, NULL::numeric, NULL::numeric, NULL::numeric, trim_scale(line.amount), format('invoice %s', credits));
	ELSIF line.rated_amount <> line.amount THEN
		RETURN QUERY VALUES (
			'invoiced', NULL::date, NULL::text, NULL::timestamptz, NULL::text, NULL::bigint, NULL::numeric, NULL::numeric, NULL::numeric, trim_scale(line.amount - line.rated_amount), 'invoiced before');
	END IF;
END
$$;
COMMENT ON FUNCTION meter.explain(bigint, integer) IS 'Why a line of an invoice is what it is, a row a fact. section says which: line; measured and included, or of credits covered, the quantity; tier, discount, maximum and minimum, how the tariff charged it, adding up to exact; seats, the number that is charged over time; fee, its amount with the days that it is for; commitment, the minimum spend, and charged, what was charged towards it, adding up to exact; base, what a discount is of; charged and cap, of what was charged what is the most; day and event, what the quantity is made of, each with its share by quantity of the exact amount, which add up to it exactly; since, what came, went or changed after the line was written, or why it is another amount than that; exact and rounded, the amount; invoiced, what was invoiced for the same before; credited, of a credit note, what it takes back of which invoice. Reads the customer''s events of the period.';

CREATE FUNCTION meter.explain_text(invoice_id bigint, line_number integer, events boolean DEFAULT false) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT string_agg(
		CASE fact.section
			WHEN 'line' THEN fact.note || CASE WHEN fact.item IS NULL THEN '' ELSE ' (' || fact.item || ')' END
			WHEN 'measured' THEN '  measured: ' || fact.quantity || ' ' || fact.note
			WHEN 'included' THEN '  included: ' || -fact.quantity
			WHEN 'covered' THEN '  covered by credits: ' || -fact.quantity
			WHEN 'fee' THEN '  ' || CASE WHEN fact.note = fact.amount::text THEN 'fee: ' ELSE fact.note || ' = ' END || fact.amount
			WHEN 'commitment' THEN '  minimum: ' || fact.amount || coalesce(' (' || fact.note || ')', '')
			WHEN 'base' THEN '  ' || fact.note || ' = ' || fact.amount
			WHEN 'charged' THEN CASE stored.kind WHEN 'commitment' THEN '  less charged: ' || -fact.amount ELSE '  charged: ' || fact.amount END
			WHEN 'cap' THEN '  at most: ' || fact.amount || coalesce(' (' || fact.note || ')', '')
			WHEN 'seats' THEN '  from ' || fact.day || ', ' || fact.note || ': ' || fact.quantity || ' seats'
			WHEN 'tier' THEN '  ' || fact.note || ': ' || fact.quantity || ' at ' || fact.price || CASE WHEN fact.per = 1 THEN '' ELSE ' per ' || fact.per END || ' = ' || fact.amount
			WHEN 'day' THEN '  ' || fact.day || coalesce(' ' || fact.item, '') || ': ' || fact.quantity || ' in ' || fact.events || ' events = ' || fact.amount
			WHEN 'event' THEN '    ' || fact.event_id || ': ' || fact.quantity || ' = ' || fact.amount
			WHEN 'since' THEN '  ' || coalesce('later: ' || fact.quantity, fact.note)
			WHEN 'exact' THEN '  exact amount: ' || fact.amount
			WHEN 'rounded' THEN '  amount: ' || fact.amount || ' ' || fact.note
			WHEN 'credited' THEN '  taken back of ' || fact.note || ': ' || fact.amount
			WHEN 'invoiced' THEN '  invoiced before: ' || -fact.amount || ', this line: ' || stored.amount
			ELSE '  ' || fact.section || ': ' || fact.amount
		END,
		E'\n' ORDER BY fact.place)
	FROM ROWS FROM (meter.explain(explain_text.invoice_id, explain_text.line_number)) WITH ORDINALITY AS fact (section, day, event_id, occurred_at, item, events, quantity, price, per, amount, note, place)
	/* LEFT, so that a line which does not exist is asked for, and refused. */
	LEFT JOIN meter.invoice_line AS stored
		ON stored.invoice_id = explain_text.invoice_id
		AND stored.line_number = explain_text.line_number
	WHERE explain_text.events
		OR fact.section <> 'event';
END;
COMMENT ON FUNCTION meter.explain_text(bigint, integer, boolean) IS 'meter.explain as a text to send to the customer: the line, its quantity, how the tariff charged it, its days, and with events each event; then the exact amount, and what is invoiced. A line that does not exist is an error.';
REVOKE ALL ON FUNCTION meter.line_events(text, daterange, text, integer, text, text), meter.line_terms(meter.invoice_line), meter.charged_before(meter.invoice_line, text[], text[]), meter.explain(bigint, integer), meter.explain_text(bigint, integer, boolean) FROM PUBLIC;
