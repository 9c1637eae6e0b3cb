/*
 * Billing periods, and what is charged in each.
 *
 * meter.rate_lines is the one definition of a line. It rates any number of customers
 * in one statement: parts of periods, quantities of metrics, charges, and what is
 * charged on charges (commitments, discounts, caps), in that order.
 */

CREATE FUNCTION meter.index_factor(card text, item text, unit text, variant text, per numeric, base numeric, share numeric, at timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	/* Without rates for long contexts and times of day: an index is no event. */
	rates CONSTANT meter.rate_card := (
		SELECT meter.rate_card(rate.item, rate.unit, rate.price, rate.per, rate.valid, rate.variant, rate.context_from, rate.daily_from, rate.daily_until, rate.precedence)
		FROM meter.rate
		WHERE rate.card = index_factor.card
			AND rate.item = index_factor.item
			AND rate.context_from = 0
			AND rate.daily_from IS NULL);
	factor CONSTANT numeric := meter.prorate(1, 0, meter.cost(rates, index_factor.item, at, meter.usage(unit, per), variant), base);
BEGIN
	RETURN 1 + meter.prorate(factor - 1, 0, share, 100);
END
$$;
COMMENT ON FUNCTION meter.index_factor(text, text, text, text, numeric, numeric, numeric, timestamptz) IS 'By what prices are to be multiplied that follow a rate in a card: the price of per units at an instant, divided by base; of the change share percent. NULL: there is no rate.';

CREATE FUNCTION meter.billable_events(customers text[], first_at timestamptz, end_at timestamptz, recurring boolean)
	RETURNS TABLE (
		metric text, customer_id text, event_id text, occurred_at timestamptz, usage_date date, item text, usage meter.usage, action text, variant text,
		outcome text, request_class text, user_id text, workflow_id text, tags jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	/* Most plans ask for none, and should not pay for the plan of this. */
	IF customers IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY
	SELECT NULL::text, event.*
	FROM meter.billable_event AS event
	WHERE event.customer_id = ANY (customers)
		AND event.occurred_at >= CASE WHEN recurring THEN '-infinity' ELSE first_at END
		AND event.occurred_at < end_at;
	IF recurring THEN
		RETURN QUERY
		SELECT carried.metric, carried.customer_id, carried.event_id, carried.occurred_at, carried.usage_date, carried.item, carried.usage, carried.action, carried.variant, carried.outcome, carried.request_class, carried.user_id, carried.workflow_id, carried.tags
		FROM meter.carried_event AS carried
		WHERE carried.customer_id = ANY (customers)
			AND carried.occurred_at < end_at;
	END IF;
END
$$;
COMMENT ON FUNCTION meter.billable_events(text[], timestamptz, timestamptz, boolean) IS 'The events of customers that count, from first_at until before end_at; with recurring, all before end_at, and those that a purge left for a recurring metric, which have it in metric. None for NULL customers.';
REVOKE ALL ON FUNCTION meter.billable_events(text[], timestamptz, timestamptz, boolean) FROM PUBLIC;

CREATE FUNCTION meter.part_tariff(tariff meter.tariff, escalation numeric, index numeric, period daterange, whole daterange) RETURNS meter.tariff
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
	WHEN period = whole AND escalation = 1 AND index = 1 THEN tariff
	WHEN period = whole THEN meter.scale(meter.scale(tariff, escalation), index)
	WHEN escalation = 1 AND index = 1 THEN meter.prorate_limits(tariff, lower(period) - lower(whole), upper(period) - lower(whole), upper(whole) - lower(whole))
	ELSE meter.prorate_limits(meter.scale(meter.scale(tariff, escalation), index), lower(period) - lower(whole), upper(period) - lower(whole), upper(whole) - lower(whole))
END;
COMMENT ON FUNCTION meter.part_tariff(meter.tariff, numeric, numeric, daterange, daterange) IS 'The tariff for a part of a period: prices times two factors, limits prorated. NULL where a factor is.';

CREATE VIEW meter.billing_period AS
WITH today AS (
	SELECT
		subscription.*,
		plan.every,
		plan.currency,
		meter.customer_date(subscription.customer_id) AS today
	FROM meter.subscription
	JOIN meter.plan USING (plan, version)
)
SELECT
	today.customer_id,
	today.subscription_id,
	today.family,
	today.plan,
	today.version,
	today.currency,
	part.period,
	part.whole,
	part.trial,
	CASE
		WHEN upper(part.period) <= coalesce(account.billed_until, '-infinity') THEN 'closed'
		WHEN upper(part.period) <= today.today THEN 'ended'
		WHEN lower(part.period) <= today.today THEN 'current'
		ELSE 'next'
	END AS state,
	upper(part.period) - lower(part.period) AS days,
	greatest(0, least(today.today, upper(part.period)) - lower(part.period)) AS days_elapsed
FROM today
CROSS JOIN LATERAL meter.subscription_parts(
	today.valid, today.trial_until, today.anchor, today.every, '-infinity',
	upper(meter.period(upper(meter.period(greatest(today.today, lower(today.valid)), today.anchor, today.every)), today.anchor, today.every))) AS part
LEFT JOIN meter.billing_account AS account ON account.customer_id = today.customer_id;
COMMENT ON VIEW meter.billing_period IS 'Every billing period of every subscription, up to the one after the current: period is the part that is billed by itself, whole the period that it is of. state: closed, it is invoiced; ended, it waits for its grace and meter.close_periods; current; next. days_elapsed does not count today.';

CREATE FUNCTION meter.rate_lines(customers text[], since date[], until date[], only_due boolean DEFAULT false, as_plan text DEFAULT NULL, as_version integer DEFAULT NULL, tail meter.usage_daily[] DEFAULT NULL)
	RETURNS TABLE (
		customer_id text, subscription_id bigint, plan text, version integer, currency text,
		period daterange, whole daterange, plan_item text, kind text, line_group text, "position" integer, description text,
		service daterange, due date,
		metric text, measured numeric, included numeric, quantity numeric, tariff meter.tariff, amount numeric, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
/*
 * A plan that is kept from a preview of one customer may come to rate all of them, and
 * how many rows they have, no planner can tell: hashes are right for any number.
 */
SET enable_nestloop = off
SET enable_sort = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH asked AS (
		SELECT *
		FROM unnest(customers, rate_lines.since, rate_lines.until) AS asked (customer_id, since, until)
	), part AS MATERIALIZED (
		SELECT
			asked.since, asked.until,
			subscription.customer_id, subscription.subscription_id, subscription.valid, subscription.anchor, subscription.price_since,
			subscription.valid * daterange(subscription.trial_until, NULL) AS paid,
			greatest(subscription.price_since, subscription.trial_until) AS paid_since,
			plan.plan, plan.version, plan.currency, plan.every, plan.term,
			part.period, part.whole,
			lower(part.period) AS period_start
		FROM asked
		JOIN meter.subscription ON subscription.customer_id = asked.customer_id
		JOIN meter.plan
			ON plan.plan = subscription.plan
			AND plan.version = CASE WHEN subscription.plan = as_plan THEN as_version ELSE subscription.version END
		LEFT JOIN (SELECT DISTINCT item.plan, item.version FROM meter.plan_item AS item WHERE item.term) AS committed
			ON committed.plan = plan.plan
			AND committed.version = plan.version
		CROSS JOIN LATERAL meter.subscription_parts(
			subscription.valid, subscription.trial_until, subscription.anchor, plan.every,
			/* A commitment in a term needs the charges of all of it. */
			CASE
				WHEN committed.plan IS NULL OR plan.term IS NULL OR isempty(subscription.valid) OR greatest(asked.since, lower(subscription.valid)) > asked.until THEN asked.since
				ELSE least(asked.since, lower(meter.period(greatest(asked.since, lower(subscription.valid)), subscription.anchor, plan.term)))
			END,
			asked.until + 1) AS part
		WHERE subscription.customer_id = ANY (customers)
			AND NOT part.trial
			AND CASE WHEN lower(part.period) < (SELECT purged.horizon FROM meter.horizon AS purged) OR subscription.customer_id LIKE 'erased-%' THEN NOT meter.is_frozen(subscription.customer_id, plan.plan, plan.version, part.period) ELSE true END
	), item AS MATERIALIZED (
		SELECT
			part.*,
			item.plan_item, item.kind, item.position, item.description, item.metric, item.dimension, item.timing, item.prorated, item.every AS item_every,
			item.seat_item, item.per_seat, item.load, item.applies_to, item.term AS in_term, item.periods, item.credit_type, item.pool,
			override.tariff AS own_tariff,
			item.tariff,
			coalesce(override.amount, item.amount) AS amount,
			coalesce(override.quantity, item.quantity) AS quantity,
			coalesce(override.percent, CASE WHEN override.amount IS NULL THEN item.percent END) AS percent,
			CASE WHEN item.escalator <> 0 THEN meter.compound(item.escalator, greatest(0, meter.period_number(part.period_start, part.price_since, interval '1 year'))::integer) ELSE 1 END AS escalation,
			CASE
				WHEN item.index_card IS NULL THEN 1
				ELSE meter.index_factor(item.index_card, item.index_item, item.index_unit, item.index_variant, item.index_per, item.index_base, item.index_share, meter.customer_date_start(part.customer_id, part.period_start))
			END AS index
		FROM part
		JOIN meter.plan_item AS item
			ON item.plan = part.plan
			AND item.version = part.version
		LEFT JOIN meter.subscription_override AS override
			ON override.subscription_id = part.subscription_id
			AND override.plan_item = item.plan_item
			AND override.valid @> part.period_start
		/* Fees and seats alone are due in advance. */
		WHERE NOT only_due
			OR CASE item.timing WHEN 'advance' THEN part.period_start ELSE upper(part.period) END <= part.until
	), metered AS MATERIALIZED (
		SELECT
			item.customer_id, item.subscription_id, item.plan, item.version, item.period_start, item.period, item.plan_item, item.dimension,
			metric.metric, metric.aggregation, metric.unit, metric.key, metric.recurring, metric.items, metric.actions, metric.variants, metric.request_classes, metric.outcomes, metric.tags,
			meter.in_events(metric.aggregation, metric.tags, item.dimension) AS in_events,
			CASE WHEN metric.aggregation = 'time_weighted' THEN meter.customer_date_start(item.customer_id, item.period_start) END AS starts,
			CASE WHEN metric.aggregation = 'time_weighted' THEN meter.customer_date_start(item.customer_id, upper(item.period)) END AS ends
		FROM item
		JOIN meter.metric USING (metric)
	), needed AS MATERIALIZED (
		SELECT
			min(metered.period_start) AS first_date,
			max(upper(metered.period)) AS end_date,
			bool_or(metered.period_start <> meter.month_start(metered.period_start) OR upper(metered.period) <> meter.month_start(upper(metered.period))) AS parts_of_months,
			bool_or(metered.items IS NOT NULL OR metered.dimension = 'item') AS item,
			bool_or(metered.actions IS NOT NULL OR metered.dimension = 'action') AS action,
			bool_or(metered.variants IS NOT NULL OR metered.dimension = 'variant') AS variant,
			bool_or(metered.request_classes IS NOT NULL OR metered.dimension = 'request_class') AS request_class
		FROM metered
		WHERE NOT metered.in_events
	), rolled_up AS (
		/*
		 * Added up first, by what metrics tell apart: to make rows of it takes longer, and
		 * most plans need one or a few of a period. Whole months are added up already.
		 */
		SELECT used.subscription_id, used.period_start, meter.sum_by(used.breakdown, needed.item, needed.action, needed.variant, true, needed.request_class) AS breakdown
		FROM (
			SELECT part.subscription_id, part.period_start, month.breakdown
			FROM meter.billable_month AS month
			JOIN part
				ON part.customer_id = month.customer_id
				AND month.usage_month >= part.period_start
				AND month.end_date <= upper(part.period)
			WHERE month.customer_id = ANY (customers)
				AND month.usage_month >= (SELECT needed.first_date FROM needed)
				AND month.usage_month < (SELECT needed.end_date FROM needed)
			UNION ALL
			SELECT part.subscription_id, part.period_start, day.breakdown
			FROM meter.billable_day AS day
			JOIN part
				ON part.customer_id = day.customer_id
				AND day.usage_date >= part.period_start
				AND day.usage_date < upper(part.period)
				AND NOT (meter.month_start(day.usage_date) >= part.period_start AND (meter.month_start(day.usage_date) + interval '1 month')::date <= upper(part.period))
			WHERE (SELECT needed.parts_of_months FROM needed)
				AND day.customer_id = ANY (customers)
				AND day.usage_date >= (SELECT needed.first_date FROM needed)
				AND day.usage_date < (SELECT needed.end_date FROM needed)
		) AS used
		CROSS JOIN needed
		GROUP BY used.subscription_id, used.period_start
	), day AS MATERIALIZED (
		/* The tail is told apart as the roll-up is above. */
		SELECT
			day.subscription_id, day.period_start,
			CASE WHEN needed.item THEN day.item END AS item,
			CASE WHEN needed.action THEN day.action END AS action,
			CASE WHEN needed.variant THEN day.variant END AS variant,
			CASE WHEN needed.request_class THEN day.request_class END AS request_class,
			coalesce(day.outcome, 'success') AS outcome,
			sum(day.usage) AS usage,
			sum(day.events) AS events,
			sum(day.cost) AS cost,
			sum(day.credits) AS credits,
			sum(day.unpriced_cost) AS unpriced_cost
		FROM (
			SELECT rolled_up.subscription_id, rolled_up.period_start, entry.item, entry.action, entry.variant, entry.outcome, entry.request_class, entry.events, entry.usage, entry.cost, entry.credits, entry.unpriced_cost
			FROM rolled_up
			CROSS JOIN LATERAL meter.entries(rolled_up.breakdown) AS entry
			UNION ALL
			SELECT part.subscription_id, part.period_start, tail.item, tail.action, tail.variant, tail.outcome, tail.request_class, tail.events, tail.usage, tail.cost, tail.credits, tail.unpriced_cost
			FROM meter.billable_tail(customers, rate_lines.tail) AS tail
			JOIN part
				ON part.customer_id = tail.customer_id
				AND tail.usage_date >= part.period_start
				AND tail.usage_date < upper(part.period)
		) AS day
		CROSS JOIN needed
		GROUP BY day.subscription_id, day.period_start, 3, 4, 5, 6, 7
	), day_quantity AS (
		SELECT
			metered.subscription_id, metered.period_start, metered.plan_item,
			coalesce(priced.value, '') AS line_group,
			sum(CASE metered.aggregation
				WHEN 'sum' THEN meter.quantity(day.usage, metered.unit)
				WHEN 'count' THEN day.events
				WHEN 'cost' THEN day.cost
				WHEN 'credits' THEN day.credits
			END) AS quantity,
			sum(day.unpriced_cost) FILTER (WHERE metered.aggregation = 'cost') AS unpriced,
			sum(day.events) AS events
		FROM metered
		JOIN day
			ON day.subscription_id = metered.subscription_id
			AND day.period_start = metered.period_start
			AND (metered.items IS NULL OR day.item = ANY (metered.items))
			AND (metered.actions IS NULL OR day.action = ANY (metered.actions))
			AND (metered.variants IS NULL OR day.variant = ANY (metered.variants))
			AND (metered.request_classes IS NULL OR day.request_class = ANY (metered.request_classes))
			AND day.outcome = ANY (metered.outcomes)
			AND (metered.unit IS NULL OR meter.has_unit(day.usage, metered.unit))
		LEFT JOIN meter.plan_item_tariff AS priced
			ON metered.dimension IS NOT NULL
			AND priced.plan = metered.plan
			AND priced.version = metered.version
			AND priced.plan_item = metered.plan_item
			AND priced.value = meter.event_field(metered.dimension, day.item, day.action, day.variant, day.request_class, NULL, NULL, NULL)
		WHERE NOT metered.in_events
		GROUP BY metered.subscription_id, metered.period_start, metered.plan_item, coalesce(priced.value, '')
	), event AS (
		SELECT event.*
		FROM (
			SELECT
				timezone('UTC', (min(metered.period_start) - 3)::timestamp) AS first_at,
				timezone('UTC', (max(upper(metered.period)) + 3)::timestamp) AS end_at,
				bool_or(metered.recurring) AS recurring
			FROM metered
			WHERE metered.in_events
		) AS wanted
		CROSS JOIN LATERAL meter.billable_events(CASE WHEN wanted.recurring IS NOT NULL THEN customers END, wanted.first_at, wanted.end_at, wanted.recurring) AS event
	), measured_event AS (
		SELECT
			metered.subscription_id, metered.period_start, metered.plan_item, metered.aggregation, metered.starts, metered.ends,
			coalesce(priced.value, '') AS line_group,
			meter.event_field(metered.key, event.item, event.action, event.variant, event.request_class, event.user_id, event.workflow_id, event.tags) AS key,
			event.occurred_at, event.event_id,
			meter.quantity(event.usage, metered.unit) AS quantity
		FROM metered
		JOIN event
			ON event.customer_id = metered.customer_id
			AND event.usage_date < upper(metered.period)
			AND (metered.recurring AND coalesce(event.metric, metered.metric) = metered.metric OR event.usage_date >= metered.period_start AND event.metric IS NULL)
			AND (metered.items IS NULL OR event.item = ANY (metered.items))
			AND (metered.actions IS NULL OR event.action = ANY (metered.actions))
			AND (metered.variants IS NULL OR event.variant = ANY (metered.variants))
			AND (metered.request_classes IS NULL OR event.request_class = ANY (metered.request_classes))
			AND coalesce(event.outcome, 'success') = ANY (metered.outcomes)
			AND (metered.tags IS NULL OR event.tags @> metered.tags)
			AND (metered.unit IS NULL OR meter.has_unit(event.usage, metered.unit))
		LEFT JOIN meter.plan_item_tariff AS priced
			ON metered.dimension IS NOT NULL
			AND priced.plan = metered.plan
			AND priced.version = metered.version
			AND priced.plan_item = metered.plan_item
			AND priced.value = meter.event_field(metered.dimension, event.item, event.action, event.variant, event.request_class, event.user_id, event.workflow_id, event.tags)
		WHERE metered.in_events
	), held_event AS (
		SELECT
			event.*,
			lead(event.occurred_at) OVER (PARTITION BY event.subscription_id, event.period_start, event.plan_item, event.line_group, event.key ORDER BY event.occurred_at, event.event_id) AS replaced_at
		FROM measured_event AS event
	), event_quantity AS (
		SELECT
			event.subscription_id, event.period_start, event.plan_item, event.line_group,
			CASE event.aggregation
				WHEN 'sum' THEN sum(event.quantity)
				WHEN 'count' THEN count(*)
				WHEN 'max' THEN max(event.quantity)
				WHEN 'unique' THEN count(event.key) FILTER (WHERE event.replaced_at IS NULL)
				WHEN 'latest' THEN sum(event.quantity) FILTER (WHERE event.replaced_at IS NULL)
				WHEN 'time_weighted' THEN meter.prorate(1, 0,
					/* microseconds, so that the only rounding is the division */
					sum(event.quantity * trunc(1000000 * extract(epoch FROM greatest(interval '0', least(coalesce(event.replaced_at, event.ends), event.ends) - greatest(event.occurred_at, event.starts))))),
					trunc(1000000 * extract(epoch FROM event.ends - event.starts)))
			END AS quantity
		FROM held_event AS event
		GROUP BY event.subscription_id, event.period_start, event.plan_item, event.line_group, event.aggregation, event.starts, event.ends
	), measured AS (
		/* What is wholly taken back has no line, of a minimum or a fee: as among the events, where it is not there. */
		SELECT day_quantity.subscription_id, day_quantity.period_start, day_quantity.plan_item, day_quantity.line_group, day_quantity.quantity, day_quantity.unpriced
		FROM day_quantity
		WHERE day_quantity.events <> 0
			OR day_quantity.quantity <> 0
		UNION ALL
		SELECT event_quantity.*, NULL::numeric FROM event_quantity
	), seated AS MATERIALIZED (
		SELECT item.subscription_id, item.period_start, item.plan_item, scaled.tariff, seats.most, seats.by_day
		FROM item
		CROSS JOIN LATERAL (SELECT CASE item.kind WHEN 'seat' THEN meter.part_tariff(coalesce(item.own_tariff, item.tariff), item.escalation, item.index, item.whole, item.whole) END AS tariff) AS scaled
		CROSS JOIN LATERAL (
			SELECT
				max(span.seats) AS most,
				sum(meter.prorate(meter.charge(scaled.tariff, greatest(span.seats, coalesce(item.quantity, 0))), span.span, item.whole)) AS by_day
			FROM meter.seat_spans(item.subscription_id, CASE item.kind WHEN 'seat' THEN item.plan_item ELSE item.seat_item END, item.period) AS span
		) AS seats
		WHERE item.kind = 'seat'
			OR item.seat_item IS NOT NULL
	), usage_line AS (
		SELECT
			item.*,
			coalesce(measured.line_group, '') AS line_group,
			trim_scale(coalesce(measured.quantity, 0)) AS measured,
			coalesce(item.quantity, 0) + coalesce(meter.prorate(item.per_seat, 0, seated.most, 1), 0) AS included,
			CASE
				WHEN metric.digits IS NULL THEN coalesce(measured.quantity, 0)
				ELSE meter.round_quantity(coalesce(measured.quantity, 0), coalesce(metric.rounding, (SELECT setting.rounding FROM meter.setting), 'round'), metric.digits)
			END AS rounded,
			measured.unpriced,
			coalesce(item.own_tariff, priced.tariff, item.tariff) AS item_tariff
		FROM item
		JOIN meter.metric ON metric.metric = item.metric
		LEFT JOIN measured
			ON measured.subscription_id = item.subscription_id
			AND measured.period_start = item.period_start
			AND measured.plan_item = item.plan_item
		LEFT JOIN seated
			ON seated.subscription_id = item.subscription_id
			AND seated.period_start = item.period_start
			AND seated.plan_item = item.plan_item
		LEFT JOIN meter.plan_item_tariff AS priced
			ON priced.plan = item.plan
			AND priced.version = item.version
			AND priced.plan_item = item.plan_item
			AND priced.value = measured.line_group
		WHERE item.dimension IS NULL
			OR measured.line_group IS NOT NULL
	), overage AS MATERIALIZED (
		SELECT overage.*
		FROM (
			SELECT array_agg(item.customer_id) AS customers, array_agg(item.credit_type) AS credit_types, array_agg(item.period) AS periods
			FROM item
			WHERE item.kind = 'credit'
		) AS wanted
		CROSS JOIN LATERAL meter.credit_overage(wanted.customers, wanted.credit_types, wanted.periods) AS overage
	), named_pool AS (
		SELECT DISTINCT item.subscription_id, item.period_start, item.credit_type, item.pool
		FROM item
		WHERE item.kind = 'credit'
			AND item.pool IS NOT NULL
	), taken AS MATERIALIZED (
		/* What is of a pool that another item of the plan names is that one's. */
		SELECT
			item.subscription_id, item.period_start, item.plan_item,
			coalesce(sum(overage.consumed), 0) AS consumed,
			CASE WHEN bool_and(overage.overage IS NOT NULL OR overage.consumed IS NULL) THEN coalesce(sum(overage.overage), 0) END AS overage,
			bool_or(overage.overage IS NULL AND overage.consumed IS NOT NULL) AS unknown,
			max(overage.unpriced_events) AS unpriced_events
		FROM item
		JOIN overage
			ON overage.customer_id = item.customer_id
			AND overage.credit_type = item.credit_type
			AND overage.period = item.period
		LEFT JOIN named_pool
			ON named_pool.subscription_id = item.subscription_id
			AND named_pool.period_start = item.period_start
			AND named_pool.credit_type = item.credit_type
			AND named_pool.pool = overage.pool
		WHERE item.kind = 'credit'
			AND CASE WHEN item.pool IS NOT NULL THEN overage.pool = item.pool ELSE named_pool.pool IS NULL END
		GROUP BY item.subscription_id, item.period_start, item.plan_item
	), charge AS MATERIALIZED (
		SELECT
			line.customer_id, line.subscription_id, line.period_start, line.plan_item, line.line_group,
			line.period AS service,
			upper(line.period) AS due,
			line.measured, line.included, line.quantity, line.tariff,
			meter.charge(line.tariff, line.quantity) AS amount,
			CASE
				WHEN line.cost_currency IS NOT NULL THEN format('the cost is in %s, and the plan in %s', line.cost_currency, line.currency)
				WHEN line.rounded < 0 THEN format('the quantity is negative: %s', line.measured)
				WHEN line.unpriced <> 0 THEN format('%s events have no cost, and are not in it', line.unpriced)
				WHEN line.item_tariff IS NULL THEN 'there is no tariff for it'
				WHEN line.tariff IS NULL THEN 'the index has no rate'
			END AS problem
		FROM (
			SELECT
				usage_line.*,
				greatest(0, CASE kind WHEN 'cost_plus' THEN meter.prorate(greatest(rounded, 0), 0, 100 + load, 100) ELSE rounded END - included) AS quantity,
				foreign_cost.currency AS cost_currency,
				scaled.tariff
			FROM usage_line AS usage_line (since, until, customer_id, subscription_id, valid, anchor, price_since, paid, paid_since, plan, version, currency, every, term, period, whole, period_start,
				plan_item, kind, "position", description, metric, dimension, timing, prorated, item_every, seat_item, per_seat, load, applies_to, in_term, periods, credit_type, pool, own_tariff, plan_tariff, amount, item_quantity, percent, escalation, index,
				line_group, measured, included, rounded, unpriced, item_tariff)
			/* No exchange rate is agreed in a plan. */
			LEFT JOIN (SELECT card.currency FROM meter.card WHERE card.card = 'cost') AS foreign_cost
				ON usage_line.kind = 'cost_plus'
				AND foreign_cost.currency <> usage_line.currency
			CROSS JOIN LATERAL (SELECT CASE WHEN foreign_cost.currency IS NULL THEN meter.part_tariff(item_tariff, escalation, index, period, whole) END AS tariff) AS scaled
		) AS line
		UNION ALL
		SELECT
			item.customer_id, item.subscription_id, item.period_start, item.plan_item, '',
			item.period,
			CASE item.timing WHEN 'advance' THEN item.period_start ELSE upper(item.period) END,
			seated.most, NULL, greatest(seated.most, coalesce(item.quantity, 0)), seated.tariff,
			CASE WHEN item.prorated THEN seated.by_day ELSE meter.charge(seated.tariff, greatest(seated.most, coalesce(item.quantity, 0))) END,
			CASE WHEN seated.tariff IS NULL THEN 'the index has no rate' END
		FROM item
		JOIN seated
			ON seated.subscription_id = item.subscription_id
			AND seated.period_start = item.period_start
			AND seated.plan_item = item.plan_item
		WHERE item.kind = 'seat'
		UNION ALL
		SELECT
			item.customer_id, item.subscription_id, item.period_start, item.plan_item, '',
			item.period,
			upper(item.period),
			coalesce(taken.consumed, 0),
			coalesce(item.quantity, 0) + coalesce(meter.prorate(item.per_seat, 0, seated.most, 1), 0),
			CASE WHEN taken.plan_item IS NULL THEN 0 ELSE taken.overage END,
			scaled.tariff,
			CASE WHEN coalesce(item.own_tariff, item.tariff) IS NULL THEN 0 ELSE meter.charge(scaled.tariff, CASE WHEN taken.plan_item IS NULL THEN 0 ELSE taken.overage END) END,
			CASE
				WHEN taken.unknown THEN 'there are more than 10000 lots, and the overage is not known'
				WHEN scaled.tariff IS NULL AND coalesce(item.own_tariff, item.tariff) IS NOT NULL THEN 'the index has no rate'
				WHEN taken.unpriced_events <> 0 THEN format('%s events have no price in credits, and took none', taken.unpriced_events)
			END
		FROM item
		LEFT JOIN seated
			ON seated.subscription_id = item.subscription_id
			AND seated.period_start = item.period_start
			AND seated.plan_item = item.plan_item
		LEFT JOIN taken
			ON taken.subscription_id = item.subscription_id
			AND taken.period_start = item.period_start
			AND taken.plan_item = item.plan_item
		CROSS JOIN LATERAL (SELECT meter.part_tariff(coalesce(item.own_tariff, item.tariff), item.escalation, item.index, item.period, item.whole) AS tariff) AS scaled
		WHERE item.kind = 'credit'
		UNION ALL
		SELECT
			item.customer_id, item.subscription_id, item.period_start, item.plan_item, '',
			paid.service,
			CASE item.timing WHEN 'advance' THEN lower(paid.service) ELSE upper(paid.service) END,
			NULL, NULL, coalesce(item.quantity, 1), NULL,
			CASE WHEN item.prorated THEN meter.prorate(fee.amount, paid.service, paid.cycle) ELSE fee.amount END,
			CASE WHEN fee.amount IS NULL THEN 'the index has no rate' END
		FROM item
		CROSS JOIN LATERAL (
			SELECT CASE
				WHEN item.item_every IS NULL THEN item.whole
				ELSE meter.period(CASE item.timing WHEN 'advance' THEN item.period_start ELSE upper(item.period) - 1 END, item.anchor, item.item_every)
			END AS cycle
		) AS cycle
		CROSS JOIN LATERAL (SELECT cycle.cycle, CASE WHEN item.item_every IS NULL THEN item.period ELSE cycle.cycle * item.paid END AS service) AS paid
		CROSS JOIN LATERAL (SELECT meter.prorate(meter.prorate(meter.prorate(item.amount, 0, item.escalation, 1), 0, item.index, 1), 0, coalesce(item.quantity, 1), 1) AS amount) AS fee
		WHERE item.kind = 'fee'
			AND CASE item.timing WHEN 'advance' THEN lower(paid.service) = item.period_start ELSE upper(paid.service) = upper(item.period) END
	), committed AS MATERIALIZED (
		SELECT
			item.customer_id, item.subscription_id, item.period_start, item.plan_item, item.currency, item.applies_to, item.in_term,
			paid.service,
			meter.round_money(CASE WHEN item.prorated THEN meter.prorate(full_amount.amount, paid.service, cycle.cycle) ELSE full_amount.amount END, item.currency) AS amount
		FROM item
		CROSS JOIN LATERAL (SELECT CASE WHEN item.in_term THEN meter.period(item.period_start, item.anchor, item.term) ELSE item.whole END AS cycle) AS cycle
		CROSS JOIN LATERAL (SELECT CASE WHEN item.in_term THEN cycle.cycle * item.paid ELSE item.period END AS service) AS paid
		CROSS JOIN LATERAL (SELECT meter.prorate(meter.prorate(item.amount, 0, item.escalation, 1), 0, item.index, 1) AS amount) AS full_amount
		WHERE item.kind = 'commitment'
			AND upper(paid.service) = upper(item.period)
	), covered AS MATERIALIZED (
		SELECT committed.subscription_id, committed.period_start, committed.plan_item, sum(meter.round_money(charge.amount, committed.currency)) AS amount
		FROM committed
		JOIN charge
			ON charge.subscription_id = committed.subscription_id
			AND charge.period_start >= lower(committed.service)
			AND charge.period_start < upper(committed.service)
			AND (committed.applies_to IS NULL OR charge.plan_item = ANY (committed.applies_to))
		GROUP BY committed.subscription_id, committed.period_start, committed.plan_item
	), settled AS MATERIALIZED (
		/* Of parts that cannot be rated any more, what they were invoiced. */
		SELECT committed.subscription_id, committed.period_start, committed.plan_item, sum(line.amount) AS amount
		FROM committed
		JOIN meter.invoice_line AS line
			ON line.subscription_id = committed.subscription_id
			AND line.period_start >= lower(committed.service)
			AND line.period_start < committed.period_start
			AND (committed.applies_to IS NULL OR line.plan_item = ANY (committed.applies_to))
		WHERE committed.in_term
			AND line.customer_id = ANY (customers)
			AND line.counted
			AND line.kind NOT IN ('commitment', 'discount', 'cap')
			AND NOT EXISTS (SELECT FROM part WHERE part.subscription_id = line.subscription_id AND part.period_start = line.period_start)
			AND (line.period_start < (SELECT purged.horizon FROM meter.horizon AS purged) OR line.customer_id LIKE 'erased-%')
			AND meter.is_frozen(line.customer_id, line.plan, line.version, line.period)
		GROUP BY committed.subscription_id, committed.period_start, committed.plan_item
	), commitment AS MATERIALIZED (
		SELECT
			committed.customer_id, committed.subscription_id, committed.period_start, committed.plan_item, committed.service,
			greatest(0, committed.amount - coalesce(covered.amount, 0) - coalesce(settled.amount, 0)) AS amount
		FROM committed
		LEFT JOIN covered USING (subscription_id, period_start, plan_item)
		LEFT JOIN settled USING (subscription_id, period_start, plan_item)
	), chargeable AS MATERIALIZED (
		/* From here on by what the lines say, so that an invoice comes out at its commitment or cap to the cent. */
		SELECT item.subscription_id, item.period_start, item.plan_item, meter.round_money(charge.amount, item.currency) AS amount
		FROM charge
		JOIN item USING (subscription_id, period_start, plan_item)
		UNION ALL
		SELECT subscription_id, period_start, plan_item, amount FROM commitment
	), charged AS MATERIALIZED (
		SELECT
			item.subscription_id, item.period_start, item.plan_item,
			sum(chargeable.amount) AS amount,
			sum(chargeable.amount) FILTER (WHERE item.applies_to IS NULL OR chargeable.plan_item = ANY (item.applies_to)) AS scope
		FROM item
		JOIN chargeable
			ON chargeable.subscription_id = item.subscription_id
			AND chargeable.period_start = item.period_start
		WHERE item.kind IN ('discount', 'cap')
		GROUP BY item.subscription_id, item.period_start, item.plan_item
	), wanted AS (
		SELECT
			item.customer_id, item.subscription_id, item.period_start, item.plan_item, item.period, item.kind, item.position, item.percent,
			total.amount AS total,
			meter.round_money(CASE
				WHEN item.kind = 'cap' THEN full_amount.part
				WHEN item.percent IS NOT NULL THEN meter.prorate(total.scope, 0, item.percent, 100)
				ELSE least(full_amount.part, total.scope)
			END, item.currency) AS amount
		FROM item
		LEFT JOIN charged
			ON charged.subscription_id = item.subscription_id
			AND charged.period_start = item.period_start
			AND charged.plan_item = item.plan_item
		CROSS JOIN LATERAL (SELECT coalesce(charged.amount, 0) AS amount, coalesce(charged.scope, 0) AS scope) AS total
		CROSS JOIN LATERAL (
			SELECT CASE WHEN item.prorated THEN meter.prorate(whole_amount, item.period, item.whole) ELSE whole_amount END AS part
			FROM (SELECT meter.prorate(meter.prorate(item.amount, 0, item.escalation, 1), 0, item.index, 1) AS whole_amount) AS whole_amount
		) AS full_amount
		WHERE item.kind IN ('discount', 'cap')
			AND (item.periods IS NULL OR meter.period_number(item.period_start, item.anchor, item.every) - meter.period_number(item.paid_since, item.anchor, item.every) < item.periods)
	), discounted AS (
		SELECT
			wanted.*,
			least(wanted.total, sum(wanted.amount) OVER reached) AS reached,
			least(wanted.total, sum(wanted.amount) OVER reached - wanted.amount) AS reached_before
		FROM wanted
		WHERE kind = 'discount'
		WINDOW reached AS (PARTITION BY wanted.subscription_id, wanted.period_start ORDER BY wanted.percent IS NULL, wanted.position, wanted.plan_item COLLATE "C" ROWS UNBOUNDED PRECEDING)
	), net AS MATERIALIZED (
		SELECT discounted.subscription_id, discounted.period_start, max(discounted.reached) AS discount
		FROM discounted
		GROUP BY discounted.subscription_id, discounted.period_start
	), capped AS (
		SELECT
			wanted.*,
			greatest(0, max(wanted.total - coalesce(net.discount, 0) - wanted.amount) OVER (PARTITION BY wanted.subscription_id, wanted.period_start ORDER BY wanted.position, wanted.plan_item COLLATE "C" ROWS UNBOUNDED PRECEDING)) AS reached,
			greatest(0, coalesce(max(wanted.total - coalesce(net.discount, 0) - wanted.amount) OVER (PARTITION BY wanted.subscription_id, wanted.period_start ORDER BY wanted.position, wanted.plan_item COLLATE "C" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)) AS reached_before
		FROM wanted
		LEFT JOIN net USING (subscription_id, period_start)
		WHERE wanted.kind = 'cap'
	), line AS (
		SELECT charge.*, false AS optional
		FROM charge
		UNION ALL
		SELECT customer_id, subscription_id, period_start, plan_item, '', service, upper(service), NULL, NULL, NULL, NULL, amount, NULL, true
		FROM commitment
		UNION ALL
		SELECT customer_id, subscription_id, period_start, plan_item, '', period, upper(period), NULL, NULL, NULL, NULL, reached_before - reached, NULL, true
		FROM discounted
		UNION ALL
		SELECT customer_id, subscription_id, period_start, plan_item, '', period, upper(period), NULL, NULL, NULL, NULL, reached_before - reached, NULL, true
		FROM capped
	)
	SELECT
		line.customer_id, line.subscription_id, item.plan, item.version, item.currency,
		item.period, item.whole, line.plan_item, item.kind, line.line_group, item.position, coalesce(item.description, metric.description),
		line.service, line.due,
		coalesce(item.metric, item.credit_type), line.measured, line.included, trim_scale(line.quantity), line.tariff, trim_scale(line.amount), line.problem
	FROM line
	JOIN item
		ON item.subscription_id = line.subscription_id
		AND item.period_start = line.period_start
		AND item.plan_item = line.plan_item
	LEFT JOIN meter.metric ON metric.metric = item.metric
	WHERE upper(item.period) > item.since
		AND NOT (line.optional AND line.amount = 0);
END
$$;
COMMENT ON FUNCTION meter.rate_lines(text[], date[], date[], boolean, text, integer, meter.usage_daily[]) IS 'What customers are charged, a row a line: for the n-th customer in periods that end after the n-th since and begin by the n-th until (finite); with only_due, what is due by then, in its invoice''s sense. as_plan and as_version put the subscriptions to a plan on another version, for a preview. tail is what the roll-up lacks of these customers, where the caller has read it in the same snapshot. The line''s key is subscription_id, lower(period), plan_item and line_group. measured is the metric''s quantity, the most seats, or the credits taken, of which metric is the type; quantity what the tariff charges, rounded, less what is included; amount is exact (commitments, discounts and caps reckon with rounded charges, and are rounded), and NULL where problem says why there is no price. Commitments, discounts and caps have a line only where they come to something.';
REVOKE ALL ON FUNCTION meter.rate_lines(text[], date[], date[], boolean, text, integer, meter.usage_daily[]) FROM PUBLIC;

CREATE FUNCTION meter.preview_migration(plan text, to_version integer, from_version integer DEFAULT NULL, customers text[] DEFAULT NULL, as_of timestamptz DEFAULT now())
	RETURNS TABLE (customer_id text, subscription_id bigint, of_version integer, currency text, period daterange, present_amount numeric, future_amount numeric, difference numeric, problems bigint, present_currency text, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	wanted CONSTANT meter.plan := meter.find_plan(preview_migration.plan, preview_migration.to_version);
	ids bigint[];
	names text[];
	days date[];
	failure text;
BEGIN
	/* The last period that is complete, or else the first one. */
	WITH moved AS (
		SELECT subscription.*, former.every, meter.customer_date(subscription.customer_id, as_of) AS today
		FROM meter.subscription
		JOIN meter.plan AS former USING (plan, version)
		WHERE subscription.plan = wanted.plan
			AND subscription.version <> wanted.version
			AND subscription.version = coalesce(preview_migration.from_version, subscription.version)
			AND (customers IS NULL OR subscription.customer_id = ANY (customers))
	), last AS (
		SELECT DISTINCT ON (moved.subscription_id) moved.subscription_id, moved.customer_id, lower(part.period) AS day
		FROM moved
		CROSS JOIN LATERAL meter.subscription_parts(moved.valid, moved.trial_until, moved.anchor, moved.every, '-infinity', moved.today + 1) AS part
		WHERE moved.valid @> moved.today
			AND NOT part.trial
		ORDER BY moved.subscription_id, upper(part.period) <= moved.today DESC, CASE WHEN upper(part.period) <= moved.today THEN part.period END DESC
	)
	SELECT array_agg(last.subscription_id ORDER BY last.subscription_id), array_agg(last.customer_id ORDER BY last.subscription_id), array_agg(last.day ORDER BY last.subscription_id)
	INTO ids, names, days
	FROM last;

	/* All amounts are there before the first row is returned: what fails has returned none. */
	RETURN QUERY
	WITH line AS MATERIALIZED (
		SELECT line.*, meter.round_money(line.amount, line.currency) AS rounded, false AS future
		FROM meter.rate_lines(names, days, days) AS line
		UNION ALL
		SELECT line.*, meter.round_money(line.amount, line.currency), true
		FROM meter.rate_lines(names, days, days, false, wanted.plan, wanted.version) AS line
	), billed AS (
		SELECT
			line.subscription_id,
			(array_agg(line.period) FILTER (WHERE NOT line.future))[1] AS period,
			trim_scale(coalesce(sum(line.rounded) FILTER (WHERE NOT line.future), 0)) AS present_amount,
			trim_scale(coalesce(sum(line.rounded) FILTER (WHERE line.future), 0)) AS future_amount,
			count(line.problem) FILTER (WHERE line.future) AS problems,
			string_agg(format('%s: %s', line.plan_item, line.problem), '; ' ORDER BY line.position, line.plan_item, line.line_group) FILTER (WHERE line.future AND line.problem IS NOT NULL) AS problem
		FROM line
		WHERE line.subscription_id = ANY (ids)
		GROUP BY line.subscription_id
	)
	SELECT
		subscription.customer_id, subscription.subscription_id, subscription.version, wanted.currency,
		billed.period, billed.present_amount, billed.future_amount,
		CASE WHEN former.currency = wanted.currency THEN trim_scale(billed.future_amount - billed.present_amount) END,
		billed.problems, former.currency, billed.problem
	FROM billed
	JOIN meter.subscription USING (subscription_id)
	JOIN meter.plan AS former USING (plan, version)
	ORDER BY subscription.customer_id, subscription.subscription_id;
/* Somebody in it is in trouble: by halves, down to who it is, so that the others are shown. */
EXCEPTION WHEN OTHERS THEN
	failure := SQLERRM;
	names := ARRAY(SELECT DISTINCT name FROM unnest(names) AS name ORDER BY name);
	IF cardinality(names) > 1 THEN
		RETURN QUERY
		SELECT preview.*
		FROM (VALUES (names[: cardinality(names) / 2]), (names[cardinality(names) / 2 + 1 :])) AS half (customers)
		CROSS JOIN LATERAL meter.preview_migration(preview_migration.plan, preview_migration.to_version, preview_migration.from_version, half.customers, preview_migration.as_of) AS preview
		ORDER BY preview.customer_id, preview.subscription_id;
	ELSIF cardinality(names) = 0 THEN
		RAISE;
	ELSE
		RETURN QUERY
		SELECT subscription.customer_id, subscription.subscription_id, subscription.version, wanted.currency, NULL::daterange, NULL::numeric, NULL::numeric, NULL::numeric, NULL::bigint, former.currency, failure
		FROM meter.subscription
		JOIN meter.plan AS former USING (plan, version)
		WHERE subscription.subscription_id = ANY (ids)
		ORDER BY subscription.customer_id, subscription.subscription_id;
	END IF;
END
$$;
COMMENT ON FUNCTION meter.preview_migration(text, integer, integer, text[], timestamptz) IS 'What each subscription to a plan would have been billed by another version of it, beside what it was: of its last complete period, or of its first one where none is. Of those on from_version and of customers, where these are said. problems counts lines that the new version has no price for. present_amount is in present_currency, future_amount in currency; where these differ, difference is NULL. problem says what keeps the new version from a price, by plan item; of a customer that cannot be rated at all it is the error, and the amounts are NULL: the others are shown all the same. Changes nothing.';

CREATE FUNCTION meter.migrate_subscriptions(plan text, to_version integer, from_version integer DEFAULT NULL, customers text[] DEFAULT NULL, effective text DEFAULT 'period_end', as_of timestamptz DEFAULT now())
	RETURNS TABLE (customer_id text, subscription_id bigint, new_subscription_id bigint, since date, problem text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	wanted CONSTANT meter.plan := meter.find_plan(migrate_subscriptions.plan, migrate_subscriptions.to_version);
BEGIN
	PERFORM meter.check_effective(migrate_subscriptions.effective);
	FOR customer_id, subscription_id IN
		SELECT subscription.customer_id, subscription.subscription_id
		FROM meter.subscription
		WHERE subscription.plan = wanted.plan
			AND subscription.version <> wanted.version
			AND subscription.version = coalesce(migrate_subscriptions.from_version, subscription.version)
			AND (customers IS NULL OR subscription.customer_id = ANY (customers))
			AND subscription.valid @> meter.customer_date(subscription.customer_id, as_of)
			/* One that ends anyway stays as it is. */
			AND upper_inf(subscription.valid)
		ORDER BY subscription.customer_id, subscription.subscription_id
	LOOP
		problem := NULL;
		BEGIN
			new_subscription_id := meter.change_plan(migrate_subscriptions.subscription_id, wanted.plan, wanted.version, effective, as_of);
		EXCEPTION WHEN OTHERS THEN
			new_subscription_id := NULL;
			problem := SQLERRM;
			RAISE WARNING 'subscription % of customer "%" was not moved: %', subscription_id, customer_id, problem
				USING HINT = 'It stays where it was, and the others are moved. Once it can be, call this again.';
		END;
		SELECT lower(subscription.valid) INTO since
		FROM meter.subscription
		WHERE subscription.subscription_id = migrate_subscriptions.new_subscription_id;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION meter.migrate_subscriptions(text, integer, integer, text[], text, timestamptz) IS 'Moves the subscriptions to a plan to another version of it, by meter.change_plan, effective at the end of their periods (period_end, the default), today or on a date: all, or those on from_version and of customers. Ones that end, or that a scheduled change ends, stay. One that cannot be moved, as its customer is closed past the date, is warned of, and has a row with the problem and without a new_subscription_id; the others are moved. meter.preview_migration shows what it comes to.';
REVOKE ALL ON FUNCTION meter.preview_migration(text, integer, integer, text[], timestamptz), meter.migrate_subscriptions(text, integer, integer, text[], text, timestamptz) FROM PUBLIC;
