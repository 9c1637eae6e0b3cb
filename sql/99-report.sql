/* What the figures say: how uneven cost is, why it changed, and whether the pricing still fits. */

CREATE VIEW meter.cost_spread AS
WITH counted AS NOT MATERIALIZED (
	SELECT
		month,
		scope,
		CASE scope WHEN 'plan' THEN plan END AS plan,
		CASE scope WHEN 'segment' THEN segment END AS segment,
		CASE WHEN cost > 0 THEN cost END AS cost,
		CASE WHEN cost > 0 AND revenue IS NOT NULL THEN greatest(revenue, 0) END AS revenue,
		CASE WHEN cost IS NULL THEN 1 ELSE 0 END AS unknown,
		unpriced_events,
		estimated
	FROM meter.margin_of_customer
	CROSS JOIN (VALUES ('all'), ('plan'), ('segment')) AS scope (scope)
	WHERE customer_id IS NOT NULL
), figure AS NOT MATERIALIZED (
	SELECT
		month,
		scope,
		plan,
		segment,
		count(cost) AS customers,
		sum(cost) AS cost,
		percentile_disc(ARRAY[0.05, 0.5, 0.75, 0.8, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY cost) AS percentiles,
		min(cost) AS lightest,
		max(cost) AS heaviest,
		meter.gini(cost) AS gini,
		meter.top_share(cost, 0.01) AS top_1_cost_share,
		meter.top_share(cost, 0.05) AS top_5_cost_share,
		meter.top_share(cost, 0.2) AS top_20_cost_share,
		meter.top_share(revenue, 0.01) AS top_1_revenue_share,
		meter.top_share(revenue, 0.05) AS top_5_revenue_share,
		meter.top_share(revenue, 0.2) AS top_20_revenue_share,
		count(cost) = count(revenue) AS revenue_known,
		sum(unknown) AS unknown_customers,
		sum(unpriced_events) AS unpriced_events,
		bool_or(estimated) AS estimated
	FROM counted
	GROUP BY month, scope, plan, segment
	HAVING count(cost) > 0
)
SELECT
	month,
	scope,
	plan,
	segment,
	customers,
	trim_scale(cost) AS cost,
	meter.prorate(cost, 0, 1, customers) AS mean,
	lightest,
	percentiles[1] AS p5,
	percentiles[2] AS p50,
	percentiles[3] AS p75,
	percentiles[4] AS p80,
	percentiles[5] AS p90,
	percentiles[6] AS p95,
	percentiles[7] AS p99,
	heaviest,
	trim_scale(round(heaviest / lightest, 4)) AS heaviest_to_lightest,
	trim_scale(round(percentiles[6] / percentiles[1], 4)) AS p95_to_p5,
	gini,
	top_1_cost_share,
	top_5_cost_share,
	top_20_cost_share,
	CASE WHEN revenue_known THEN top_1_revenue_share END AS top_1_revenue_share,
	CASE WHEN revenue_known THEN top_5_revenue_share END AS top_5_revenue_share,
	CASE WHEN revenue_known THEN top_20_revenue_share END AS top_20_revenue_share,
	CASE
		WHEN heaviest >= 100 * lightest THEN '100x'
		WHEN heaviest >= 50 * lightest THEN '50x'
		WHEN heaviest >= 10 * lightest THEN '10x'
		ELSE 'under 10x'
	END AS band,
	unknown_customers,
	unpriced_events::bigint AS unpriced_events,
	estimated
FROM figure;
COMMENT ON VIEW meter.cost_spread IS 'How uneven the customers'' cost is, by month, of all of them (scope all), of each plan (scope plan) and of each segment (scope segment): of those whose usage cost something, their number, mean, percentiles (each the cost of a customer), the heaviest over the lightest and the 95th over the 5th percentile, the Gini coefficient (0: all the same), and what part of the cost the ceil(n x 1, 5, 20 %) heaviest customers have, and of revenue those that bring the most. band is by the heaviest over the lightest: under 10x, 10x, 50x or 100x. unknown_customers have a cost without an exchange rate, and are left out; unpriced_events are those of all customers, the left out ones too. From the roll-up; cheap.';

/*
 * Of a customer that stays: volume is the change of its quantity in a layer at the
 * former mix and price, price is what each item's quantity costs more than it would
 * have at the former price, and mix is the rest, so that they add up exactly.
 */
CREATE FUNCTION meter.variance_effects(
	before numeric, after numeric, quantity_before numeric, quantity_after numeric, whole_before numeric, whole_after numeric, used_before boolean, used_after boolean,
	OUT change numeric, OUT price_effect numeric, OUT volume_effect numeric, OUT mix_effect numeric, OUT new_effect numeric, OUT lost_effect numeric
) RETURNS record
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT
		after - before,
		effect.price,
		effect.volume,
		CASE WHEN used_before AND used_after THEN trim_scale(after - before - effect.price - effect.volume) ELSE 0 * (after - before) END,
		CASE WHEN used_before THEN 0 * (after - before) ELSE after - before END,
		CASE WHEN used_before AND NOT used_after THEN after - before ELSE 0 * (after - before) END
	FROM (
		SELECT
			CASE
				WHEN used_before AND used_after AND quantity_before > 0 AND quantity_after > 0 THEN after - meter.prorate(before, 0, quantity_after, quantity_before)
				ELSE 0 * (after - before)
			END AS price,
			CASE
				WHEN used_before AND used_after AND whole_before > 0 AND whole_after >= 0 THEN meter.prorate(before, 0, whole_after, whole_before) - before
				ELSE 0 * (after - before)
			END AS volume
	) AS effect;
END;
COMMENT ON FUNCTION meter.variance_effects(numeric, numeric, numeric, numeric, numeric, numeric, boolean, boolean) IS 'Why the cost of an item went from before to after, in parts that add up to the change exactly. All of it is new_effect where the customer used nothing before, and lost_effect where it uses nothing after. Else volume_effect: before x (whole_after / whole_before - 1), where the wholes are the customer''s quantities in the item''s layer; price_effect: after less before x quantity_after / quantity_before, 0 for an item that is not in both; and mix_effect, which is the rest. NULL where a cost is not known.';

CREATE FUNCTION meter.used_quantity(usage meter.usage, events bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce(nullif(sum(part.quantity) FILTER (WHERE part.unit <> 'requests'), 0), nullif(sum(part.quantity), 0), events)
	FROM meter.each(usage) AS part
	WHERE part.unit <> 'actions';
END;
COMMENT ON FUNCTION meter.used_quantity(meter.usage, bigint) IS 'The quantity that a variance goes by: the sum of all units but requests and actions, such as tokens or seconds; requests where there are no others, and events where there is nothing.';

CREATE VIEW meter.cost_variance_by_month AS
WITH side AS NOT MATERIALIZED (
	SELECT customer_id, month, layer, item, NULL::numeric AS cost_before, cost AS cost_after, 0::numeric AS quantity_before, meter.used_quantity(usage, events) AS quantity_after, false AS before, true AS after, 0 AS unpriced_before, unpriced_events AS unpriced_after, estimated
	FROM meter.customer_cost
	WHERE item IS NOT NULL
		AND (events <> 0 OR rated_cost <> 0)
	UNION ALL
	SELECT customer_id, (month + interval '1 month')::date, layer, item, cost, NULL, meter.used_quantity(usage, events), 0, true, false, unpriced_events, 0, false
	FROM meter.customer_cost
	WHERE item IS NOT NULL
		AND (events <> 0 OR rated_cost <> 0)
		AND month < (SELECT meter.month_start(today) FROM meter.reporting)
), pair AS NOT MATERIALIZED (
	SELECT
		customer_id, month, layer, item,
		CASE WHEN bool_or(before AND cost_before IS NULL) THEN NULL ELSE coalesce(sum(cost_before), 0) END AS cost_before,
		CASE WHEN bool_or(after AND cost_after IS NULL) THEN NULL ELSE coalesce(sum(cost_after), 0) END AS cost_after,
		sum(quantity_before) AS quantity_before,
		sum(quantity_after) AS quantity_after,
		bool_or(before) AS before,
		bool_or(after) AS after,
		sum(unpriced_before)::bigint AS unpriced_before,
		sum(unpriced_after)::bigint AS unpriced_after,
		month >= (SELECT meter.month_start(today) FROM meter.reporting) AS estimated
	FROM side
	GROUP BY customer_id, month, layer, item
), whole AS NOT MATERIALIZED (
	SELECT
		*,
		sum(quantity_before) OVER (PARTITION BY customer_id, month, layer) AS whole_before,
		sum(quantity_after) OVER (PARTITION BY customer_id, month, layer) AS whole_after,
		bool_or(before) OVER (PARTITION BY customer_id, month) AS used_before,
		bool_or(after) OVER (PARTITION BY customer_id, month) AS used_after
	FROM pair
)
SELECT
	customer_id,
	month,
	layer,
	item,
	trim_scale(quantity_before) AS quantity_before,
	trim_scale(quantity_after) AS quantity_after,
	trim_scale(cost_before) AS cost_before,
	trim_scale(cost_after) AS cost_after,
	trim_scale(effect.change) AS change,
	trim_scale(effect.price_effect) AS price_effect,
	trim_scale(effect.volume_effect) AS volume_effect,
	trim_scale(effect.mix_effect) AS mix_effect,
	trim_scale(effect.new_effect) AS new_effect,
	trim_scale(effect.lost_effect) AS lost_effect,
	unpriced_before,
	unpriced_after,
	estimated
FROM whole
CROSS JOIN LATERAL meter.variance_effects(cost_before, cost_after, quantity_before, quantity_after, whole_before, whole_after, used_before, used_after) AS effect;
COMMENT ON VIEW meter.cost_variance_by_month IS 'Why the cost of each customer, layer and item changed from the month before to the month: meter.cost_variance of every two months that follow each other. In the present month, estimated, it is a comparison with a whole month. From the roll-up.';

CREATE FUNCTION meter.check_dates(dates daterange) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF dates IS NULL OR isempty(dates) OR NOT coalesce(isfinite(lower(dates)) AND isfinite(upper(dates)), false) THEN
		RAISE EXCEPTION 'a report is about dates with both ends, and not %', coalesce(dates::text, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Write them as ''[2026-01-01,2026-02-01)'', whose end is exclusive.';
	END IF;
END
$$;
COMMENT ON FUNCTION meter.check_dates(daterange) IS 'Refuses a range of dates that is NULL, empty or without both ends.';

CREATE FUNCTION meter.cost_variance(a daterange, b daterange)
	RETURNS TABLE (
		customer_id text, layer text, item text, quantity_before numeric, quantity_after numeric, cost_before numeric, cost_after numeric, change numeric,
		price_effect numeric, volume_effect numeric, mix_effect numeric, new_effect numeric, lost_effect numeric, unpriced_before bigint, unpriced_after bigint, estimated boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
	PERFORM meter.check_dates(a);
	PERFORM meter.check_dates(b);
	RETURN QUERY
	WITH side AS (
		SELECT used.customer_id, used.layer, used.item, used.cost, meter.used_quantity(used.usage, used.events) AS quantity, used.unpriced_events, used.estimated, false AS after
		FROM meter.customer_cost_between(lower(a), upper(a)) AS used
		WHERE used.item IS NOT NULL
			AND (used.events <> 0 OR used.rated_cost <> 0)
		UNION ALL
		SELECT used.customer_id, used.layer, used.item, used.cost, meter.used_quantity(used.usage, used.events), used.unpriced_events, used.estimated, true
		FROM meter.customer_cost_between(lower(b), upper(b)) AS used
		WHERE used.item IS NOT NULL
			AND (used.events <> 0 OR used.rated_cost <> 0)
	), pair AS (
		SELECT
			side.customer_id, side.layer, side.item,
			CASE WHEN count(*) FILTER (WHERE NOT side.after AND side.cost IS NULL) = 0 THEN coalesce(sum(side.cost) FILTER (WHERE NOT side.after), 0) END AS cost_before,
			CASE WHEN count(*) FILTER (WHERE side.after AND side.cost IS NULL) = 0 THEN coalesce(sum(side.cost) FILTER (WHERE side.after), 0) END AS cost_after,
			coalesce(sum(side.quantity) FILTER (WHERE NOT side.after), 0) AS quantity_before,
			coalesce(sum(side.quantity) FILTER (WHERE side.after), 0) AS quantity_after,
			bool_or(NOT side.after) AS before,
			bool_or(side.after) AS after,
			coalesce(sum(side.unpriced_events) FILTER (WHERE NOT side.after), 0) AS unpriced_before,
			coalesce(sum(side.unpriced_events) FILTER (WHERE side.after), 0) AS unpriced_after,
			bool_or(side.estimated) AS estimated
		FROM side
		GROUP BY side.customer_id, side.layer, side.item
	), whole AS (
		SELECT
			pair.*,
			sum(pair.quantity_before) OVER (PARTITION BY pair.customer_id, pair.layer) AS whole_before,
			sum(pair.quantity_after) OVER (PARTITION BY pair.customer_id, pair.layer) AS whole_after,
			bool_or(pair.before) OVER (PARTITION BY pair.customer_id) AS used_before,
			bool_or(pair.after) OVER (PARTITION BY pair.customer_id) AS used_after
		FROM pair
	)
	SELECT
		whole.customer_id,
		whole.layer,
		whole.item,
		trim_scale(whole.quantity_before),
		trim_scale(whole.quantity_after),
		trim_scale(whole.cost_before),
		trim_scale(whole.cost_after),
		trim_scale(effect.change),
		trim_scale(effect.price_effect),
		trim_scale(effect.volume_effect),
		trim_scale(effect.mix_effect),
		trim_scale(effect.new_effect),
		trim_scale(effect.lost_effect),
		whole.unpriced_before::bigint,
		whole.unpriced_after::bigint,
		whole.estimated
	FROM whole
	CROSS JOIN LATERAL meter.variance_effects(whole.cost_before, whole.cost_after, whole.quantity_before, whole.quantity_after, whole.whole_before, whole.whole_after, whole.used_before, whole.used_after) AS effect;
END
$$;
COMMENT ON FUNCTION meter.cost_variance(daterange, daterange) IS 'Why cost changed from the dates a to the dates b, by customer, layer and item, in the currency of meter.setting: price, volume, mix, new and lost customers, which add up to the change exactly, row by row and so in every sum of rows (meter.variance_effects has the formulas). Quantities are those of meter.used_quantity. unpriced_before and unpriced_after events are in no cost: an item that was given its rates in between shows as dearer. From the roll-up.';

CREATE FUNCTION meter.margin_bridge(a daterange, b daterange)
	RETURNS TABLE (
		customer_id text, margin_before numeric, margin_after numeric, change numeric, new_effect numeric, lost_effect numeric, revenue_effect numeric,
		price_effect numeric, volume_effect numeric, mix_effect numeric, shared_cost_effect numeric, estimated boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
	PERFORM meter.check_dates(a);
	PERFORM meter.check_dates(b);
	RETURN QUERY
	WITH part AS (
		SELECT brought.customer_id, false AS after, 'revenue' AS side, brought.amount, 0::numeric AS price, 0::numeric AS mix, brought.estimated FROM meter.customer_revenue_between(lower(a), upper(a)) AS brought
		UNION ALL
		SELECT brought.customer_id, true, 'revenue', brought.amount, 0, 0, brought.estimated FROM meter.customer_revenue_between(lower(b), upper(b)) AS brought
		UNION ALL
		SELECT shared.customer_id, false, 'shared_cost', shared.amount, 0, 0, false FROM meter.customer_shared_cost_between(lower(a), upper(a)) AS shared
		UNION ALL
		SELECT shared.customer_id, true, 'shared_cost', shared.amount, 0, 0, false FROM meter.customer_shared_cost_between(lower(b), upper(b)) AS shared
		UNION ALL
		SELECT variance.customer_id, side.after, 'cost', CASE WHEN side.after THEN variance.cost_after ELSE variance.cost_before END,
			CASE WHEN side.after THEN variance.price_effect ELSE 0 END, CASE WHEN side.after THEN variance.mix_effect ELSE 0 END, variance.estimated
		FROM meter.cost_variance(a, b) AS variance
		CROSS JOIN (VALUES (false), (true)) AS side (after)
		WHERE CASE WHEN side.after THEN variance.cost_after ELSE variance.cost_before END IS DISTINCT FROM 0
			OR variance.price_effect IS DISTINCT FROM 0
			OR variance.mix_effect IS DISTINCT FROM 0
	), figure AS (
		SELECT
			part.customer_id,
			CASE WHEN bool_and(part.amount IS NOT NULL OR part.after OR part.side <> 'revenue') THEN coalesce(sum(part.amount) FILTER (WHERE NOT part.after AND part.side = 'revenue'), 0) END AS revenue_before,
			CASE WHEN bool_and(part.amount IS NOT NULL OR NOT part.after OR part.side <> 'revenue') THEN coalesce(sum(part.amount) FILTER (WHERE part.after AND part.side = 'revenue'), 0) END AS revenue_after,
			CASE WHEN bool_and(part.amount IS NOT NULL OR part.after OR part.side <> 'cost') THEN coalesce(sum(part.amount) FILTER (WHERE NOT part.after AND part.side = 'cost'), 0) END AS cost_before,
			CASE WHEN bool_and(part.amount IS NOT NULL OR NOT part.after OR part.side <> 'cost') THEN coalesce(sum(part.amount) FILTER (WHERE part.after AND part.side = 'cost'), 0) END AS cost_after,
			CASE WHEN bool_and(part.amount IS NOT NULL OR part.after OR part.side <> 'shared_cost') THEN coalesce(sum(part.amount) FILTER (WHERE NOT part.after AND part.side = 'shared_cost'), 0) END AS shared_before,
			CASE WHEN bool_and(part.amount IS NOT NULL OR NOT part.after OR part.side <> 'shared_cost') THEN coalesce(sum(part.amount) FILTER (WHERE part.after AND part.side = 'shared_cost'), 0) END AS shared_after,
			CASE WHEN count(part.price) = count(*) THEN sum(part.price) END AS price,
			CASE WHEN count(part.mix) = count(*) THEN sum(part.mix) END AS mix,
			bool_or(NOT part.after AND part.side <> 'shared_cost' AND part.amount IS DISTINCT FROM 0) AS before,
			bool_or(part.after AND part.side <> 'shared_cost' AND part.amount IS DISTINCT FROM 0) AS after,
			bool_or(part.estimated) AS estimated
		FROM part
		GROUP BY part.customer_id
	), margin AS (
		SELECT
			figure.*,
			figure.revenue_before - figure.cost_before - figure.shared_before AS margin_before,
			figure.revenue_after - figure.cost_after - figure.shared_after AS margin_after,
			figure.before AND figure.after AS stays
		FROM figure
	)
	SELECT
		margin.customer_id,
		trim_scale(margin.margin_before),
		trim_scale(margin.margin_after),
		trim_scale(margin.margin_after - margin.margin_before),
		trim_scale(CASE WHEN NOT margin.before THEN 1 ELSE 0 END * (margin.margin_after - margin.margin_before)),
		trim_scale(CASE WHEN margin.before AND NOT margin.after THEN 1 ELSE 0 END * (margin.margin_after - margin.margin_before)),
		trim_scale(CASE WHEN margin.stays THEN margin.revenue_after - margin.revenue_before ELSE 0 END),
		trim_scale(CASE WHEN margin.stays THEN - margin.price ELSE 0 END),
		trim_scale(CASE WHEN margin.stays THEN - (margin.cost_after - margin.cost_before - margin.price - margin.mix) ELSE 0 END),
		trim_scale(CASE WHEN margin.stays THEN - margin.mix ELSE 0 END),
		trim_scale(CASE WHEN margin.stays THEN - (margin.shared_after - margin.shared_before) ELSE 0 END),
		margin.estimated
	FROM margin;
END
$$;
COMMENT ON FUNCTION meter.margin_bridge(daterange, daterange) IS 'Why gross margin changed from the dates a to the dates b, by customer, in the currency of meter.setting: new and lost customers (with neither revenue nor cost in a, or in b), and of the others revenue, the price, volume and mix of their cost (meter.cost_variance, signs turned: what costs more is negative), and shared cost. The effects add up to the change exactly. NULL where an exchange rate is missing.';

CREATE TABLE meter.cost_budget (
	cost_budget_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	budget text NOT NULL
		CONSTRAINT cost_budget_is_not_empty CHECK (budget <> ''),
	period daterange NOT NULL
		CONSTRAINT cost_budget_period_is_bounded CHECK (NOT isempty(period) AND coalesce(isfinite(lower(period)) AND isfinite(upper(period)), period IS NULL)),
	customer_id text
		CONSTRAINT cost_budget_customer_id_is_not_empty CHECK (customer_id <> ''),
	layer text
		CONSTRAINT cost_budget_layer_is_not_empty CHECK (layer <> ''),
	item text
		CONSTRAINT cost_budget_item_is_not_empty CHECK (item <> ''),
	quantity numeric
		CONSTRAINT cost_budget_quantity_is_in_range CHECK (quantity > 0 AND quantity <= 1000000000000000)
		CONSTRAINT cost_budget_quantity_has_at_most_12_fractional_digits CHECK (scale(trim_scale(quantity)) <= 12),
	amount numeric NOT NULL
		CONSTRAINT cost_budget_amount_is_in_range CHECK (abs(amount) <= 1000000000000000)
		CONSTRAINT cost_budget_amount_has_at_most_12_fractional_digits CHECK (scale(trim_scale(amount)) <= 12),
	currency text NOT NULL
		CONSTRAINT cost_budget_currency_is_iso_4217 CHECK (currency COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(currency) >= 0)
);
COMMENT ON TABLE meter.cost_budget IS 'What cost was to be: a budget or a standard that meter.cost_variance_from_budget compares with. It limits nothing.';
COMMENT ON COLUMN meter.cost_budget.cost_budget_id IS 'A number to name the row by.';
COMMENT ON COLUMN meter.cost_budget.budget IS 'The name of the budget, such as 2026 or standard.';
COMMENT ON COLUMN meter.cost_budget.period IS 'The dates it is for, with both ends. A comparison with a part of them takes its part by days.';
COMMENT ON COLUMN meter.cost_budget.customer_id IS 'Whose cost. NULL: that of any.';
COMMENT ON COLUMN meter.cost_budget.layer IS 'The cost of which layer. NULL: of any.';
COMMENT ON COLUMN meter.cost_budget.item IS 'The cost of which item. NULL: of any.';
COMMENT ON COLUMN meter.cost_budget.quantity IS 'The quantity it stands for, as meter.used_quantity counts: with it, the variance is split into price and volume.';
COMMENT ON COLUMN meter.cost_budget.amount IS 'How much.';
COMMENT ON COLUMN meter.cost_budget.currency IS 'ISO 4217 code of its currency.';

CREATE FUNCTION meter.cost_variance_from_budget(budget text, dates daterange)
	RETURNS TABLE (
		customer_id text, layer text, item text, budgeted boolean, budget_quantity numeric, quantity numeric, budget_cost numeric, cost numeric, change numeric,
		price_effect numeric, volume_effect numeric, unpriced_events bigint, estimated boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
	PERFORM meter.check_dates(dates);
	IF NOT EXISTS (SELECT FROM meter.cost_budget AS row WHERE row.budget = cost_variance_from_budget.budget) THEN
		RAISE EXCEPTION 'there is no budget "%"', budget
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Table meter.cost_budget has the budgets.';
	END IF;
	RETURN QUERY
	WITH part AS (
		SELECT
			planned.customer_id, planned.layer, planned.item,
			meter.prorate(planned.amount, planned.period * dates, planned.period) * meter.exchange_rate(planned.currency, upper(dates) - 1) AS amount,
			meter.prorate(planned.quantity, planned.period * dates, planned.period) AS quantity
		FROM meter.cost_budget AS planned
		WHERE planned.budget = cost_variance_from_budget.budget
			AND planned.period && dates
	), line AS (
		SELECT
			row_number() OVER () AS line,
			part.customer_id, part.layer, part.item,
			CASE WHEN count(part.amount) = count(*) THEN sum(round(part.amount, 12)) END AS amount,
			CASE WHEN count(part.quantity) = count(*) THEN sum(part.quantity) END AS quantity
		FROM part
		GROUP BY part.customer_id, part.layer, part.item
	), used AS (
		SELECT best.line, actual.cost, meter.used_quantity(actual.usage, actual.events) AS quantity, actual.unpriced_events, actual.estimated
		FROM meter.customer_cost_between(lower(dates), upper(dates)) AS actual
		LEFT JOIN LATERAL (
			SELECT line.line
			FROM line
			WHERE (line.item = actual.item OR line.item IS NULL)
				AND (line.customer_id = actual.customer_id OR line.customer_id IS NULL)
				AND (line.layer = actual.layer OR line.layer IS NULL)
			ORDER BY line.item IS NULL, line.customer_id IS NULL, line.layer IS NULL
			LIMIT 1
		) AS best ON true
		WHERE actual.item IS NOT NULL
	), actual AS (
		SELECT
			used.line,
			CASE WHEN count(used.cost) = count(*) THEN sum(used.cost) END AS cost,
			sum(used.quantity) AS quantity,
			sum(used.unpriced_events) AS unpriced_events,
			bool_or(used.estimated) AS estimated
		FROM used
		GROUP BY used.line
	), pair AS (
		SELECT
			line.customer_id, line.layer, line.item,
			line.line IS NOT NULL AS budgeted,
			line.quantity AS budget_quantity,
			coalesce(actual.quantity, 0) AS quantity,
			CASE WHEN line.line IS NULL THEN 0 ELSE line.amount END AS budget_cost,
			CASE WHEN actual.estimated IS NULL THEN 0 ELSE actual.cost END AS cost,
			coalesce(actual.unpriced_events, 0) AS unpriced_events,
			upper(dates) > (SELECT today FROM meter.reporting) AS estimated
		FROM line
		FULL JOIN actual ON actual.line = line.line
	), split AS (
		SELECT
			pair.*,
			CASE WHEN pair.budget_quantity > 0 AND pair.quantity >= 0 THEN meter.prorate(pair.budget_cost, 0, pair.quantity, pair.budget_quantity) - pair.budget_cost END AS volume
		FROM pair
	)
	SELECT
		split.customer_id,
		split.layer,
		split.item,
		split.budgeted,
		trim_scale(split.budget_quantity),
		trim_scale(split.quantity),
		trim_scale(split.budget_cost),
		trim_scale(split.cost),
		trim_scale(split.cost - split.budget_cost),
		trim_scale(split.cost - split.budget_cost - split.volume),
		trim_scale(split.volume),
		split.unpriced_events::bigint,
		split.estimated
	FROM split;
END
$$;
COMMENT ON FUNCTION meter.cost_variance_from_budget(text, daterange) IS 'Cost against a budget of meter.cost_budget, a row a line of it (rows of the same customer, layer and item are one), in the currency of meter.setting: the budget''s part of the dates, the cost, and the change from one to the other. What was used counts in the one line that fits it best: one of its item before one of its customer before one of its layer before any. Where the line has a quantity, volume_effect is what the other quantity would have cost at the budget''s price, and price_effect the rest of the change; else both are NULL. Cost that no line is for is in a row that is not budgeted, so that the costs add up to all cost of the dates.';

CREATE TABLE meter.pricing_threshold (
	signal text PRIMARY KEY
		CONSTRAINT pricing_threshold_signal_is_a_name CHECK (signal COLLATE "C" ~ '^[a-z][a-z0-9_]{0,62}$'),
	threshold numeric NOT NULL,
	alert_when text NOT NULL
		CONSTRAINT pricing_threshold_alert_when_is_known CHECK (alert_when IN ('at least', 'at most')),
	description text,
	builtin boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE meter.pricing_threshold IS 'At which value each signal of meter.pricing_signal is an alert. Change them by UPDATE; a signal whose row is deleted is not shown.';
COMMENT ON COLUMN meter.pricing_threshold.signal IS 'The signal''s name.';
COMMENT ON COLUMN meter.pricing_threshold.threshold IS 'The value from which on it is an alert.';
COMMENT ON COLUMN meter.pricing_threshold.alert_when IS 'at least or at most the threshold.';
COMMENT ON COLUMN meter.pricing_threshold.description IS 'What the value is.';
COMMENT ON COLUMN meter.pricing_threshold.builtin IS 'True while the row is as the extension made it; a change makes it false. Only then is it dumped.';

INSERT INTO meter.pricing_threshold (signal, threshold, alert_when, description, builtin) VALUES
	('cost_spread', 10, 'at least', 'The 95th percentile of the customers'' cost over the 5th.', true),
	('margin_falling', 2, 'at least', 'For how many quarters in a row (at most 2) the margin''s percentage has fallen while revenue grew.', true),
	('engagement_margin', -0.3, 'at most', 'Rank correlation of the customers'' successful actions and gross margin, -1 to 1.', true),
	('customers_at_a_loss', 0.1, 'at least', 'The share of customers with a negative gross margin.', true),
	('revenue_at_a_loss', 0.05, 'at least', 'The share of revenue from customers with a negative gross margin.', true),
	('unpriced_share', 0.001, 'at least', 'The share of events whose cost is not known.', true),
	('customers_over_allowance', 0.25, 'at least', 'The share of customers that used more than their plan includes, of those whose plan includes something.', true),
	('median_allowance_use', 1, 'at least', 'How much the median customer used of what its plan includes; 1 is all.', true),
	('overage_share', 0.3, 'at least', 'The share of revenue that is overage.', true),
	('fees_below_cost', 0.1, 'at least', 'The share of paying customers whose fees alone do not cover their cost.', true),
	('cheap_customers_leaving', 0.5, 'at most', 'The mean cost of the customers that stopped paying over that of those that stayed, in the month before.', true);
CREATE TRIGGER adopt_builtin_row BEFORE INSERT OR UPDATE ON meter.pricing_threshold
	FOR EACH ROW EXECUTE FUNCTION meter.adopt_builtin_row();
ALTER TABLE meter.pricing_threshold ENABLE ALWAYS TRIGGER adopt_builtin_row;

SELECT pg_extension_config_dump('meter.cost_budget', '');
SELECT pg_extension_config_dump('meter.cost_budget_cost_budget_id_seq', '');
SELECT pg_extension_config_dump('meter.pricing_threshold', 'WHERE NOT builtin');

/* As meter.allowance_use, of all customers at once, and for whoever reads reports. */
CREATE VIEW meter.item_allowance AS
WITH line AS NOT MATERIALIZED (
	SELECT customer_id, subscription_id, plan, version, plan_item, line_group, period, metric, measured, included, 2147483647 AS revision
	FROM meter.open_lines()
	WHERE metric IS NOT NULL
		AND measured IS NOT NULL
	UNION ALL
	SELECT customer_id, subscription_id, plan, version, plan_item, line_group, period, metric, measured, included, revision
	FROM meter.invoice_line
	WHERE metric IS NOT NULL
		AND quantity IS NOT NULL
), last_line AS NOT MATERIALIZED (
	SELECT DISTINCT ON (subscription_id, lower(period), plan_item, line_group) customer_id, subscription_id, plan, version, plan_item, period, metric, measured, included
	FROM line
	ORDER BY subscription_id, lower(period), plan_item, line_group, revision DESC
), used AS NOT MATERIALIZED (
	SELECT
		line.customer_id, line.plan, line.version, line.plan_item, line.metric, line.period,
		meter.allowance(item.kind, line.included, coalesce(override.tariff, item.tariff)) AS allowance,
		greatest(line.measured, 0) AS used
	FROM last_line AS line
	JOIN meter.plan_item AS item
		ON item.plan = line.plan
		AND item.version = line.version
		AND item.plan_item = line.plan_item
	LEFT JOIN meter.subscription_override AS override
		ON override.subscription_id = line.subscription_id
		AND override.plan_item = line.plan_item
		AND override.valid @> lower(line.period)
	WHERE item.dimension IS NULL
)
SELECT
	customer_id, plan, version, plan_item, metric, period,
	trim_scale(allowance) AS allowance,
	used,
	meter.prorate(1, 0, used, allowance) AS used_share
FROM used
WHERE allowance > 0
	AND allowance < 100000000000000000000;
COMMENT ON VIEW meter.item_allowance IS 'meter.allowance_use of all customers at once: how much of what a period includes was used, by customer, plan item and period. For reports; of one customer, meter.allowance_use is faster.';

CREATE VIEW meter.allowance_spread AS
SELECT
	plan, version, plan_item, period, metric,
	count(*) AS customers,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY used_share) AS p50,
	percentile_cont(0.75) WITHIN GROUP (ORDER BY used_share) AS p75,
	percentile_cont(0.8) WITHIN GROUP (ORDER BY used_share) AS p80,
	percentile_cont(0.9) WITHIN GROUP (ORDER BY used_share) AS p90,
	meter.prorate(1, 0, count(*) FILTER (WHERE used_share < 0.5), count(*)) AS share_under_half
FROM meter.item_allowance
GROUP BY plan, version, plan_item, period, metric;
COMMENT ON VIEW meter.allowance_spread IS 'How much of what a plan includes its customers use, by plan item and period: percentiles of item_allowance.used_share, and the share of the customers that use less than half.';

CREATE VIEW meter.used_allowance AS
SELECT
	used.customer_id,
	meter.month_start(least(upper(used.period) - 1, reporting.today)) AS month,
	max(used.used_share) AS used_share
FROM meter.item_allowance AS used
CROSS JOIN meter.reporting
GROUP BY used.customer_id, meter.month_start(least(upper(used.period) - 1, reporting.today));
COMMENT ON VIEW meter.used_allowance IS 'How much each customer used of what its plans include, of the item that it used most of, by the month of the period''s last date, of an open period by the present one: 1 is all, more is overage. meter.item_allowance has it item by item.';

/* What signals are made from, a row a customer and month. */
CREATE VIEW meter.signal_base AS
WITH engaged AS NOT MATERIALIZED (
	SELECT customer_id, month, sum(completed) AS completed
	FROM meter.customer_action_cost
	GROUP BY customer_id, month
)
SELECT
	margin.customer_id,
	margin.month,
	margin.plan,
	margin.segment,
	margin.revenue,
	margin.cost,
	margin.shared_cost,
	margin.gross_margin,
	coalesce(engaged.completed, 0) AS completed,
	coalesce((margin.revenue_by_kind ->> 'fee')::numeric, 0) AS fees,
	coalesce((margin.revenue_by_kind ->> 'overage')::numeric, 0) AS overage,
	margin.revenue_by_kind ?| '{fee,usage,overage}' AS has_kinds,
	allowance.used_share AS allowance_used,
	margin.events,
	margin.unpriced_events,
	margin.estimated
FROM meter.margin_of_customer AS margin
LEFT JOIN engaged
	ON engaged.customer_id = margin.customer_id
	AND engaged.month = margin.month
LEFT JOIN meter.used_allowance AS allowance
	ON allowance.customer_id = margin.customer_id
	AND allowance.month = margin.month;
COMMENT ON VIEW meter.signal_base IS 'What meter.pricing_signal is made from: each customer''s month with its margin, its successful actions, its revenue of kinds fee and overage, and how much it used of what its plan includes (1 is all; NULL where nothing is).';

CREATE VIEW meter.pricing_signal AS
WITH base AS MATERIALIZED (
	SELECT * FROM meter.signal_base
), month AS (
	SELECT
		month,
		CASE WHEN count(revenue) = count(*) THEN sum(revenue) END AS revenue,
		CASE WHEN count(gross_margin) = count(*) THEN sum(gross_margin) END AS gross_margin,
		count(customer_id) FILTER (WHERE gross_margin IS NOT NULL) AS customers,
		count(customer_id) FILTER (WHERE gross_margin < 0) AS customers_at_a_loss,
		coalesce(sum(revenue) FILTER (WHERE gross_margin < 0), 0) AS revenue_at_a_loss,
		count(customer_id) FILTER (WHERE has_kinds AND revenue > 0) AS paying,
		count(customer_id) FILTER (WHERE has_kinds AND revenue > 0 AND fees < cost + shared_cost) AS fees_below_cost,
		sum(overage) AS overage,
		bool_or(has_kinds) AS has_kinds,
		count(allowance_used) AS with_allowance,
		count(*) FILTER (WHERE allowance_used > 1) AS over_allowance,
		percentile_disc(0.5) WITHIN GROUP (ORDER BY allowance_used) AS median_allowance_use,
		count(gross_margin) = count(*) AS known,
		sum(events) AS events,
		sum(unpriced_events) AS unpriced_events,
		bool_or(estimated) AS estimated
	FROM base
	GROUP BY month
), quarter AS (
	SELECT
		month,
		sum(revenue) OVER last_three AS revenue_0, sum(gross_margin) OVER last_three AS margin_0, count(gross_margin) OVER last_three AS months_0,
		sum(revenue) OVER before_them AS revenue_1, sum(gross_margin) OVER before_them AS margin_1, count(gross_margin) OVER before_them AS months_1,
		sum(revenue) OVER first_three AS revenue_2, sum(gross_margin) OVER first_three AS margin_2, count(gross_margin) OVER first_three AS months_2
	FROM month
	WINDOW
		last_three AS (ORDER BY month RANGE BETWEEN '2 months' PRECEDING AND CURRENT ROW),
		before_them AS (ORDER BY month RANGE BETWEEN '5 months' PRECEDING AND '3 months' PRECEDING),
		first_three AS (ORDER BY month RANGE BETWEEN '8 months' PRECEDING AND '6 months' PRECEDING)
), falling AS (
	SELECT
		month,
		CASE
			WHEN months_0 < 3 OR months_1 < 3 THEN NULL
			WHEN revenue_0 > revenue_1 AND revenue_1 > 0 AND margin_0 * revenue_1 < margin_1 * revenue_0 THEN
				CASE WHEN months_2 = 3 AND revenue_1 > revenue_2 AND revenue_2 > 0 AND margin_1 * revenue_2 < margin_2 * revenue_1 THEN 2 ELSE 1 END
			ELSE 0
		END AS quarters
	FROM quarter
), ranked AS (
	/* equal ones share the mean of their ranks; twice it, to stay whole */
	SELECT
		month,
		2 * rank() OVER (PARTITION BY month ORDER BY completed) + count(*) OVER (PARTITION BY month, completed) - 1 AS engagement,
		2 * rank() OVER (PARTITION BY month ORDER BY gross_margin) + count(*) OVER (PARTITION BY month, gross_margin) - 1 AS margin
	FROM base
	WHERE customer_id IS NOT NULL
		AND gross_margin IS NOT NULL
), summed AS (
	SELECT
		month,
		count(*) AS n,
		count(*) * sum(engagement * margin::numeric) - sum(engagement) * sum(margin) AS together,
		(count(*) * sum(engagement * engagement::numeric) - sum(engagement) * sum(engagement)) * (count(*) * sum(margin * margin::numeric) - sum(margin) * sum(margin)) AS apart
	FROM ranked
	GROUP BY month
), leaving AS (
	SELECT
		month.month,
		avg(former.cost) FILTER (WHERE present.customer_id IS NULL) AS of_leavers,
		avg(former.cost) FILTER (WHERE present.customer_id IS NOT NULL) AS of_stayers
	FROM month
	JOIN month AS before
		ON before.month = (month.month - interval '1 month')::date
		AND before.known
	JOIN base AS former ON former.month = before.month
	LEFT JOIN base AS present
		ON present.customer_id = former.customer_id
		AND present.month = month.month
		AND present.revenue > 0
	WHERE former.revenue > 0
		AND former.customer_id IS NOT NULL
		AND month.revenue IS NOT NULL
		AND NOT month.estimated
	GROUP BY month.month
), spread AS (
	SELECT month, percentile_disc(0.95) WITHIN GROUP (ORDER BY cost) / percentile_disc(0.05) WITHIN GROUP (ORDER BY cost) AS ratio
	FROM base
	WHERE cost > 0
		AND customer_id IS NOT NULL
	GROUP BY month
), measured AS (
	SELECT 'cost_spread' AS signal, month.month, spread.ratio AS value FROM month LEFT JOIN spread USING (month)
	UNION ALL
	SELECT 'margin_falling', month, quarters FROM falling
	UNION ALL
	SELECT 'engagement_margin', month.month, CASE WHEN month.known AND summed.n >= 5 AND summed.apart > 0 THEN summed.together / sqrt(summed.apart) END FROM month LEFT JOIN summed USING (month)
	UNION ALL
	SELECT 'customers_at_a_loss', month, CASE WHEN known THEN customers_at_a_loss / nullif(customers, 0)::numeric END FROM month
	UNION ALL
	SELECT 'revenue_at_a_loss', month, CASE WHEN known AND revenue > 0 THEN revenue_at_a_loss / revenue END FROM month
	UNION ALL
	SELECT 'unpriced_share', month, unpriced_events / nullif(events, 0) FROM month
	UNION ALL
	SELECT 'customers_over_allowance', month, over_allowance / nullif(with_allowance, 0)::numeric FROM month
	UNION ALL
	SELECT 'median_allowance_use', month, median_allowance_use FROM month
	UNION ALL
	SELECT 'overage_share', month, CASE WHEN has_kinds AND revenue > 0 THEN overage / revenue END FROM month
	UNION ALL
	SELECT 'fees_below_cost', month, CASE WHEN known THEN fees_below_cost / nullif(paying, 0)::numeric END FROM month
	UNION ALL
	SELECT 'cheap_customers_leaving', month.month, of_leavers / nullif(of_stayers, 0) FROM month LEFT JOIN leaving USING (month)
)
SELECT
	measured.month,
	measured.signal,
	trim_scale(round(measured.value, 6)) AS value,
	pricing_threshold.threshold,
	pricing_threshold.alert_when,
	CASE
		WHEN measured.value IS NULL THEN 'unknown'
		WHEN CASE pricing_threshold.alert_when WHEN 'at least' THEN measured.value >= pricing_threshold.threshold ELSE measured.value <= pricing_threshold.threshold END THEN 'alert'
		ELSE 'ok'
	END AS state,
	pricing_threshold.description,
	month.estimated
FROM measured
JOIN meter.pricing_threshold USING (signal)
JOIN month ON month.month = measured.month;
COMMENT ON VIEW meter.pricing_signal IS 'The numbers that say that pricing no longer fits, by month: each with its value, its threshold in meter.pricing_threshold, and the state: ok, alert, or unknown where it cannot be computed (an exchange rate is missing, there are too few months or customers, no plan includes anything, or nobody left). meter.pricing_signal_rows has the customers behind a value. From the roll-up; it reads all customers and months.';

CREATE FUNCTION meter.pricing_signal_rows(signal text, month date)
	RETURNS TABLE (customer_id text, segment text, value numeric, revenue numeric, cost numeric, gross_margin numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	of_month CONSTANT date := meter.month_start(pricing_signal_rows.month);
BEGIN
	CASE signal
	WHEN 'cost_spread' THEN
		RETURN QUERY SELECT base.customer_id, base.segment, base.cost, base.revenue, base.cost, base.gross_margin
		FROM meter.signal_base AS base WHERE base.month = of_month AND base.cost > 0 AND base.customer_id IS NOT NULL ORDER BY base.cost DESC, base.customer_id COLLATE "C";
	WHEN 'margin_falling' THEN
		RETURN QUERY
		SELECT quarter.customer_id, max(quarter.segment), sum(quarter.gross_margin * quarter.sign), sum(quarter.revenue * quarter.sign), sum(quarter.cost * quarter.sign), sum(quarter.gross_margin * quarter.sign)
		FROM (
			SELECT base.*, CASE WHEN base.month > (of_month - interval '3 months')::date THEN 1 ELSE -1 END AS sign
			FROM meter.signal_base AS base
			WHERE base.month <= of_month AND base.month > (of_month - interval '6 months')::date
		) AS quarter
		GROUP BY quarter.customer_id ORDER BY 3, quarter.customer_id COLLATE "C";
	WHEN 'engagement_margin' THEN
		RETURN QUERY SELECT base.customer_id, base.segment, base.completed, base.revenue, base.cost, base.gross_margin
		FROM meter.signal_base AS base WHERE base.month = of_month AND base.customer_id IS NOT NULL AND base.gross_margin IS NOT NULL ORDER BY base.completed DESC, base.customer_id COLLATE "C";
	WHEN 'customers_at_a_loss', 'revenue_at_a_loss' THEN
		RETURN QUERY SELECT base.customer_id, base.segment, base.gross_margin, base.revenue, base.cost, base.gross_margin
		FROM meter.signal_base AS base WHERE base.month = of_month AND base.customer_id IS NOT NULL AND base.gross_margin < 0 ORDER BY base.gross_margin, base.customer_id COLLATE "C";
	WHEN 'unpriced_share' THEN
		RETURN QUERY SELECT base.customer_id, base.segment, base.unpriced_events::numeric, base.revenue, base.cost, base.gross_margin
		FROM meter.signal_base AS base WHERE base.month = of_month AND base.unpriced_events <> 0 ORDER BY base.unpriced_events DESC, base.customer_id COLLATE "C";
	WHEN 'customers_over_allowance', 'median_allowance_use' THEN
		RETURN QUERY SELECT base.customer_id, base.segment, base.allowance_used, base.revenue, base.cost, base.gross_margin
		FROM meter.signal_base AS base WHERE base.month = of_month AND (base.allowance_used > 1 OR signal = 'median_allowance_use' AND base.allowance_used IS NOT NULL) ORDER BY base.allowance_used DESC, base.customer_id COLLATE "C";
	WHEN 'overage_share' THEN
		RETURN QUERY SELECT base.customer_id, base.segment, base.overage, base.revenue, base.cost, base.gross_margin
		FROM meter.signal_base AS base WHERE base.month = of_month AND base.overage <> 0 ORDER BY base.overage DESC, base.customer_id COLLATE "C";
	WHEN 'fees_below_cost' THEN
		RETURN QUERY SELECT base.customer_id, base.segment, base.fees - base.cost - base.shared_cost, base.revenue, base.cost, base.gross_margin
		FROM meter.signal_base AS base WHERE base.month = of_month AND base.customer_id IS NOT NULL AND base.has_kinds AND base.revenue > 0 AND base.fees < base.cost + base.shared_cost ORDER BY 3, base.customer_id COLLATE "C";
	WHEN 'cheap_customers_leaving' THEN
		RETURN QUERY SELECT former.customer_id, former.segment, former.cost, former.revenue, former.cost, former.gross_margin
		FROM meter.signal_base AS former
		WHERE former.month = (of_month - interval '1 month')::date AND former.revenue > 0 AND former.customer_id IS NOT NULL
			AND NOT EXISTS (SELECT FROM meter.signal_base AS present WHERE present.customer_id = former.customer_id AND present.month = of_month AND (present.revenue > 0) IS NOT FALSE)
		ORDER BY former.cost, former.customer_id COLLATE "C";
	ELSE
		RAISE EXCEPTION 'there is no signal "%"', signal
			USING ERRCODE = 'invalid_parameter_value', HINT = 'View meter.pricing_signal has the signals.';
	END CASE;
END
$$;
COMMENT ON FUNCTION meter.pricing_signal_rows(text, date) IS 'The customers behind a signal of a month, the ones that matter most first, each with the value that counts: its cost (cost_spread); the change of its gross margin from the three months before to the last three, as revenue and cost are changes then (margin_falling); its successful actions (engagement_margin); its gross margin, where negative (customers_at_a_loss, revenue_at_a_loss); its unpriced events; how much it used of what its plan includes (customers_over_allowance, and of all for median_allowance_use); its overage; its fees less its cost, where negative; of those that stopped paying, their cost in their last month (cheap_customers_leaving). Any date stands for its month.';

/* The unit as FOCUS writes it: a capitalised noun. */
CREATE FUNCTION meter.focus_unit(unit text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
	WHEN unit LIKE '%\_tokens' THEN 'Tokens'
	WHEN unit LIKE '%\_seconds' THEN 'Seconds'
	WHEN unit LIKE '%\_searches' THEN 'Searches'
	ELSE replace(initcap(replace(unit, '_', ' ')), ' ', '-')
END;
COMMENT ON FUNCTION meter.focus_unit(text) IS 'The name of a unit in the format of FOCUS: Tokens, Seconds, Requests.';

CREATE VIEW meter.focus_cost_and_usage AS
WITH bucket AS NOT MATERIALIZED (
	SELECT
		event.customer_id,
		date_trunc('day', event.occurred_at, 'UTC') AS day,
		event.item,
		event.variant,
		line.unit,
		CASE WHEN NOT unpriced.unpriced THEN line.price END AS price,
		CASE WHEN NOT unpriced.unpriced THEN line.per END AS per,
		unpriced.unpriced,
		sum(line.quantity) AS quantity,
		sum(CASE WHEN unpriced.unpriced THEN 0 ELSE line.amount END) AS amount,
		sum(credit.amount) AS credits
	FROM meter.report_event AS event
	CROSS JOIN LATERAL (SELECT meter.unpriced((SELECT cost FROM meter.event_card), event.item, event.occurred_at, event.usage, event.variant) AS unpriced) AS unpriced
	CROSS JOIN LATERAL meter.cost_lines((SELECT cost FROM meter.event_card), event.item, event.occurred_at, event.usage, event.variant) AS line
	LEFT JOIN LATERAL meter.cost_lines(
			(SELECT credit FROM meter.event_card),
			event.credited_action,
			event.occurred_at, event.usage, event.variant) AS credit
		ON credit.unit = line.unit
	WHERE event.item IS NOT NULL
	GROUP BY event.customer_id, day, event.item, event.variant, line.unit, CASE WHEN NOT unpriced.unpriced THEN line.price END, CASE WHEN NOT unpriced.unpriced THEN line.per END, unpriced.unpriced
	HAVING sum(line.quantity) <> 0
), measured AS NOT MATERIALIZED (
	SELECT
		bucket.*,
		timezone('UTC', bucket.day)::date AS day_date,
		meter.month_start(timezone('UTC', bucket.day)::date) AS month,
		coalesce(item.provider, split_part(bucket.item, '/', 1)) AS provider,
		coalesce(item.name, bucket.item) AS name,
		item.layer,
		coalesce(reporting.cost_currency, reporting.currency) AS currency,
		reporting.currency AS reporting_currency,
		meter.prorate(bucket.quantity, 0, 1, coalesce(bucket.per, 1)) AS pricing_quantity
	FROM bucket
	CROSS JOIN meter.reporting
	LEFT JOIN meter.item ON item.item = bucket.item
), brought AS NOT MATERIALIZED (
	SELECT customer_id, month, CASE WHEN count(amount) = count(*) THEN sum(amount) END AS revenue
	FROM meter.customer_revenue
	GROUP BY customer_id, month
), weighed AS NOT MATERIALIZED (
	SELECT
		measured.*,
		CASE WHEN brought.customer_id IS NULL THEN 0 ELSE brought.revenue END AS month_revenue,
		round(measured.amount * CASE WHEN measured.currency = measured.reporting_currency THEN 1 ELSE monthly_rate.rate END, 12) AS reported_cost,
		sum(greatest(measured.amount, 0)) OVER (PARTITION BY measured.customer_id, measured.month) AS month_amount,
		customer.name AS customer_name,
		customer.segment
	FROM measured
	LEFT JOIN brought
		ON brought.customer_id = measured.customer_id
		AND brought.month = measured.month
	LEFT JOIN meter.monthly_rate
		ON monthly_rate.currency = measured.currency
		AND monthly_rate.month = measured.month
	LEFT JOIN meter.customer ON customer.customer_id = measured.customer_id
), earned AS NOT MATERIALIZED (
	SELECT
		*,
		meter.allocate(month_revenue, CASE WHEN month_amount > 0 THEN greatest(amount, 0) ELSE 1 END)
			OVER (PARTITION BY customer_id, month ORDER BY day, item COLLATE "C", variant COLLATE "C", unit COLLATE "C", price, per) AS revenue
	FROM weighed
)
SELECT
	trim_scale(amount) AS "BilledCost",
	provider AS "BillingAccountId",
	provider AS "BillingAccountName",
	'Provider'::text AS "BillingAccountType",
	currency AS "BillingCurrency",
	timezone('UTC', (month + interval '1 month')::timestamp) AS "BillingPeriodEnd",
	timezone('UTC', month::timestamp) AS "BillingPeriodStart",
	'Usage'::text AS "ChargeCategory",
	NULL::text AS "ChargeClass",
	name || ': ' || unit || CASE WHEN variant = 'standard' THEN '' ELSE ' (' || variant || ')' END AS "ChargeDescription",
	'Usage-Based'::text AS "ChargeFrequency",
	timezone('UTC', (day_date + 1)::timestamp) AS "ChargePeriodEnd",
	day AS "ChargePeriodStart",
	trim_scale(quantity) AS "ConsumedQuantity",
	meter.focus_unit(unit) AS "ConsumedUnit",
	trim_scale(coalesce(price, 0) * pricing_quantity) AS "ContractedCost",
	price AS "ContractedUnitPrice",
	trim_scale(amount) AS "EffectiveCost",
	NULL::text AS "InvoiceId",
	provider AS "InvoiceIssuerName",
	trim_scale(coalesce(price, 0) * pricing_quantity) AS "ListCost",
	price AS "ListUnitPrice",
	'Standard'::text AS "PricingCategory",
	pricing_quantity AS "PricingQuantity",
	CASE WHEN coalesce(per, 1) = 1 THEN '' ELSE trim_scale(per)::text || ' ' END || meter.focus_unit(unit) AS "PricingUnit",
	provider AS "ProviderName",
	provider AS "PublisherName",
	CASE layer
		WHEN 'retrieval' THEN 'Analytics'
		WHEN 'data_processing' THEN 'Analytics'
		WHEN 'storage' THEN 'Storage'
		WHEN 'orchestration' THEN 'Integration'
		WHEN 'external_api' THEN 'Integration'
		WHEN 'inference' THEN 'AI and Machine Learning'
		ELSE 'Other'
	END AS "ServiceCategory",
	CASE layer
		WHEN 'retrieval' THEN 'Search'
		WHEN 'data_processing' THEN 'Data Processing'
		WHEN 'storage' THEN 'Other (Storage)'
		WHEN 'orchestration' THEN 'Workflow Automation'
		WHEN 'external_api' THEN 'API Management'
		WHEN 'inference' THEN 'Generative AI'
		ELSE 'Other (Other)'
	END AS "ServiceSubcategory",
	name AS "ServiceName",
	item AS "SkuId",
	unit AS "SkuMeter",
	CASE WHEN price IS NOT NULL THEN item || '/' || variant || '/' || unit || '@' || trim_scale(price) || '/' || trim_scale(per) END AS "SkuPriceId",
	CASE WHEN price IS NOT NULL THEN jsonb_build_object('Unit', unit, 'Variant', variant) END AS "SkuPriceDetails",
	customer_id AS "SubAccountId",
	coalesce(customer_name, customer_id) AS "SubAccountName",
	'Customer'::text AS "SubAccountType",
	jsonb_strip_nulls(jsonb_build_object('segment', segment)) AS "Tags",
	trim_scale(credits) AS "x_CreditsConsumed",
	layer AS "x_Layer",
	CASE WHEN NOT unpriced THEN trim_scale(revenue - reported_cost) END AS "x_Margin",
	reporting_currency AS "x_ReportingCurrency",
	revenue AS "x_Revenue",
	unpriced AS "x_Unpriced"
FROM earned;
COMMENT ON VIEW meter.focus_cost_and_usage IS 'Cost and usage by the columns of FinOps FOCUS 1.2: a row for each customer (sub account), UTC day, item (SKU), variant, unit and rate. ListCost is ListUnitPrice x PricingQuantity exactly, and EffectiveCost adds up to the cost of the events. The rates are the ones in force, so list and contracted price are the same. x_Unpriced: a unit of the events has no rate, none of their cost is known, ListUnitPrice is NULL, and the costs, which FOCUS wants to be there, are 0: leave these rows out of any total that is to be believed, or insert the rates. x_Revenue is the customer''s revenue of the month, divided by EffectiveCost over its rows, and x_Margin that less the cost (NULL where x_Unpriced), both in x_ReportingCurrency. Months are UTC''s. From the events: limit it to a customer (SubAccountId), or expect it to read and rate all of them.';

CREATE FUNCTION meter.allow_reporting(role regrole) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	attached record;
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA meter TO %s', role);
	EXECUTE format('GRANT SELECT ON %s TO %s', (
		SELECT string_agg(format('meter.%I', relname), ', ')
		FROM pg_class
		WHERE relnamespace = 'meter'::regnamespace
			AND relname IN (
				'usage_by_day', 'usage_by_month', 'usage_part', 'cost_by_day', 'cost_by_month', 'cost_part', 'customer_month', 'reporting', 'customer', 'item', 'layer', 'action', 'fx_rate', 'monthly_rate',
				'customer_cost', 'customer_action_cost', 'action_cost', 'workflow_cost', 'user_cost', 'cache_saving', 'shared_cost', 'shared_cost_weight', 'shared_cost_allocation', 'customer_shared_cost',
				'provider_bill', 'provider_usage', 'provider_reconciliation', 'provider_bill_allocation', 'revenue', 'revenue_source', 'revenue_line', 'credit_grant', 'credit_ledger', 'credit_balance', 'credit_lot_balance', 'credit_revenue', 'credit_problem', 'top_up_due', 'revenue_problem', 'customer_revenue',
				'revenue_part', 'margin_part', 'margin_of_customer', 'customer_margin', 'plan_margin', 'segment_margin', 'monthly_margin', 'customer_item_margin', 'item_margin', 'customer_action_margin', 'action_margin',
				'cost_spread', 'cost_variance_by_month', 'cost_budget', 'pricing_threshold', 'item_allowance', 'allowance_spread', 'used_allowance', 'signal_base', 'pricing_signal', 'focus_cost_and_usage', 'unpriced_usage', 'unknown_name',
				'invoice', 'invoice_line', 'billed_line', 'money_credit_balance', 'billing_period', 'invoice_preview', 'period_usage', 'allowance_use', 'period_problem', 'customer_zone_span')
	), role);
	EXECUTE format('GRANT SELECT (timezone, currency) ON meter.setting TO %s', role);
	EXECUTE format('GRANT SELECT (plan, version, kind, credit_type, pool) ON meter.plan_item TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION meter.open_lines(), meter.preview_lines(text, timestamptz), meter.open_since(text, meter.usage_daily[]) TO %s', role);
	/* Compiling a report takes many times as long as running it. */
	EXECUTE format('ALTER ROLE %s SET jit = off', role);
	FOR attached IN SELECT kind, relation FROM meter.revenue_source LOOP
		IF attached.kind = 'stripe' THEN
			EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', attached.relation, role);
			EXECUTE format('GRANT SELECT ON %1$I.customers, %1$I.invoices, %1$I.credit_notes, %1$I.charges, %1$I.refunds, %1$I.invoice_payments TO %2$s', attached.relation, role);
		ELSE
			EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = attached.relation::regclass), role);
			EXECUTE format('GRANT SELECT ON %s TO %s', attached.relation, role);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION meter.allow_reporting(regrole) IS 'Grants a role what it takes to read every report, and nothing to write: the views, invoices with their lines, the previews and problems of bills, what their functions read as the caller, and the attached revenue (call it again after attaching more). It also sets jit to off for the role, as compiling reports takes longer than running them. The role sees neither the events nor the rates; of what was agreed it sees what invoices and their previews say.';
REVOKE ALL ON FUNCTION meter.allow_reporting(regrole) FROM PUBLIC;
