/*
 * What is charged: versions of plans, and their items.
 *
 * A version is in use from the moment that it is published on, which its first
 * subscription does at the latest. From then on nobody changes it. A new item is
 * told from one that a dump brings back by when it was added: before the version
 * was published. So the rule holds for INSERT, and a restore may bring the tables
 * in any order.
 */

CREATE TABLE meter.plan (
	plan text NOT NULL
		CONSTRAINT plan_is_a_name CHECK (meter.is_name(plan)),
	version integer NOT NULL DEFAULT 1
		CONSTRAINT plan_version_is_positive CHECK (version > 0),
	family text NOT NULL DEFAULT 'main'
		CONSTRAINT plan_family_is_a_name CHECK (meter.is_name(family)),
	currency text NOT NULL
		CONSTRAINT plan_currency_is_iso_4217 CHECK (currency COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(currency) >= 0),
	every interval NOT NULL DEFAULT '1 month'
		CONSTRAINT plan_every_counts_dates CHECK (meter.period_number(date '2000-01-01', date '2000-01-01', every) = 0),
	anchor date
		CONSTRAINT plan_anchor_is_1900_to_9999 CHECK (anchor >= '1900-01-01' AND anchor < '10000-01-01'),
	term interval
		CONSTRAINT plan_term_counts_dates CHECK (meter.period_number(date '2000-01-01', date '2000-01-01', term) = 0),
	trial_days integer NOT NULL DEFAULT 0
		CONSTRAINT plan_trial_is_0_to_3660_days CHECK (trial_days BETWEEN 0 AND 3660),
	description text,
	published_at timestamptz,
	PRIMARY KEY (plan, version)
);
COMMENT ON TABLE meter.plan IS 'The versions of plans. One that is in use cannot be changed: make a new version, and move subscriptions to it by meter.migrate_subscriptions, or leave them where they are.';
COMMENT ON COLUMN meter.plan.plan IS 'Name: a lower-case letter, then up to 62 lower-case letters, digits and underscores.';
COMMENT ON COLUMN meter.plan.version IS 'Number of the version. Default 1.';
COMMENT ON COLUMN meter.plan.family IS 'Plans of which a customer has one at a time, such as main and support. Default main.';
COMMENT ON COLUMN meter.plan.currency IS 'ISO 4217 code of the currency of all its amounts.';
COMMENT ON COLUMN meter.plan.every IS 'The length of a billing period: a number of months or years, or of days or weeks. Default 1 month.';
COMMENT ON COLUMN meter.plan.anchor IS 'The date that the periods of all its subscriptions are counted from, such as 2000-01-01 for calendar months. NULL: each has its own, its start or its trial''s end.';
COMMENT ON COLUMN meter.plan.term IS 'The length of a term, such as 1 year, of commitments over it. NULL: there is none.';
COMMENT ON COLUMN meter.plan.trial_days IS 'How many days a new subscription costs nothing. Default 0.';
COMMENT ON COLUMN meter.plan.description IS 'What an invoice calls it.';
COMMENT ON COLUMN meter.plan.published_at IS 'Since when it is in use and cannot be changed. NULL: it can.';

CREATE TABLE meter.plan_item (
	plan text NOT NULL,
	version integer NOT NULL DEFAULT 1,
	plan_item text NOT NULL
		CONSTRAINT plan_item_is_a_name CHECK (meter.is_name(plan_item)),
	kind text NOT NULL
		CONSTRAINT plan_item_kind_is_known CHECK (kind IN ('fee', 'seat', 'usage', 'percentage', 'cost_plus', 'credit', 'commitment', 'discount', 'cap')),
	position integer NOT NULL DEFAULT 0,
	description text,
	metric text,
	tariff meter.tariff,
	dimension text
		CONSTRAINT plan_item_dimension_is_known CHECK (dimension IN ('item', 'action', 'variant', 'request_class', 'user_id', 'workflow_id') OR dimension LIKE 'tag:_%'),
	amount numeric
		CONSTRAINT plan_item_amount_is_in_range CHECK (amount BETWEEN 0 AND 100000000000000000000)
		CONSTRAINT plan_item_amount_has_at_most_12_fractional_digits CHECK (scale(trim_scale(amount)) <= 12),
	quantity numeric
		CONSTRAINT plan_item_quantity_is_in_range CHECK (quantity BETWEEN 0 AND 100000000000000000000)
		CONSTRAINT plan_item_quantity_has_at_most_12_fractional_digits CHECK (scale(trim_scale(quantity)) <= 12),
	percent numeric
		CONSTRAINT plan_item_percent_is_0_to_100 CHECK (percent BETWEEN 0 AND 100)
		CONSTRAINT plan_item_percent_has_at_most_12_fractional_digits CHECK (scale(trim_scale(percent)) <= 12),
	timing text NOT NULL DEFAULT 'arrears'
		CONSTRAINT plan_item_timing_is_advance_or_arrears CHECK (timing IN ('advance', 'arrears')),
	prorated boolean NOT NULL DEFAULT true,
	every interval
		CONSTRAINT plan_item_every_counts_dates CHECK (meter.period_number(date '2000-01-01', date '2000-01-01', every) = 0),
	seat_item text,
	per_seat numeric
		CONSTRAINT plan_item_per_seat_is_in_range CHECK (per_seat BETWEEN 0 AND 100000000000000000000)
		CONSTRAINT plan_item_per_seat_has_at_most_12_fractional_digits CHECK (scale(trim_scale(per_seat)) <= 12),
	credit_type text
		CONSTRAINT plan_item_credit_type_has_1_to_255_bytes CHECK (octet_length(credit_type) BETWEEN 1 AND 255),
	pool text
		CONSTRAINT plan_item_pool_has_1_to_255_bytes CHECK (octet_length(pool) BETWEEN 1 AND 255),
	priority integer NOT NULL DEFAULT 100,
	rollover_max numeric
		CONSTRAINT plan_item_rollover_max_is_in_range CHECK (rollover_max > 0 AND rollover_max <= 1000000000000000000)
		CONSTRAINT plan_item_rollover_max_has_at_most_12_fractional_digits CHECK (scale(trim_scale(rollover_max)) <= 12),
	rollover_percent numeric
		CONSTRAINT plan_item_rollover_percent_is_above_0_and_at_most_100 CHECK (rollover_percent > 0 AND rollover_percent <= 100)
		CONSTRAINT plan_item_rollover_percent_has_at_most_12_digits CHECK (scale(trim_scale(rollover_percent)) <= 12),
	rollover_periods integer NOT NULL DEFAULT 1
		CONSTRAINT plan_item_rollover_periods_are_1_to_1000 CHECK (rollover_periods BETWEEN 1 AND 1000),
	load numeric NOT NULL DEFAULT 0
		CONSTRAINT plan_item_load_is_0_to_100000 CHECK (load BETWEEN 0 AND 100000)
		CONSTRAINT plan_item_load_has_at_most_12_fractional_digits CHECK (scale(trim_scale(load)) <= 12),
	applies_to text[],
	term boolean NOT NULL DEFAULT false,
	periods integer
		CONSTRAINT plan_item_periods_are_positive CHECK (periods > 0),
	escalator numeric NOT NULL DEFAULT 0
		CONSTRAINT plan_item_escalator_is_in_range CHECK (escalator BETWEEN -100 AND 1000)
		CONSTRAINT plan_item_escalator_has_at_most_12_fractional_digits CHECK (scale(trim_scale(escalator)) <= 12),
	index_card text,
	index_item text,
	index_unit text
		CONSTRAINT plan_item_index_unit_is_a_name CHECK (index_unit COLLATE "C" ~ '^[a-z][a-z0-9_]{0,62}$'),
	index_variant text NOT NULL DEFAULT 'standard',
	index_base numeric
		CONSTRAINT plan_item_index_base_is_in_range CHECK (index_base > 0 AND index_base <= 100000000000000000000)
		CONSTRAINT plan_item_index_base_has_at_most_12_fractional_digits CHECK (scale(trim_scale(index_base)) <= 12),
	index_per numeric NOT NULL DEFAULT 1000000
		CONSTRAINT plan_item_index_per_is_in_range CHECK (index_per > 0 AND index_per <= 100000000000000000000)
		CONSTRAINT plan_item_index_per_has_at_most_12_fractional_digits CHECK (scale(trim_scale(index_per)) <= 12),
	index_share numeric NOT NULL DEFAULT 100
		CONSTRAINT plan_item_index_share_is_0_to_100 CHECK (index_share BETWEEN 0 AND 100)
		CONSTRAINT plan_item_index_share_has_at_most_12_fractional_digits CHECK (scale(trim_scale(index_share)) <= 12),
	added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (plan, version, plan_item),
	CONSTRAINT plan_item_has_what_its_kind_needs CHECK (CASE kind
		WHEN 'fee' THEN amount IS NOT NULL
		WHEN 'seat' THEN tariff IS NOT NULL
		WHEN 'usage' THEN metric IS NOT NULL AND (tariff IS NOT NULL OR dimension IS NOT NULL)
		WHEN 'percentage' THEN metric IS NOT NULL AND (tariff IS NOT NULL OR dimension IS NOT NULL)
		WHEN 'cost_plus' THEN metric IS NOT NULL AND tariff IS NOT NULL
		WHEN 'credit' THEN credit_type IS NOT NULL
		WHEN 'commitment' THEN amount IS NOT NULL
		WHEN 'discount' THEN (amount IS NULL) <> (percent IS NULL)
		WHEN 'cap' THEN amount IS NOT NULL
	END),
	CONSTRAINT plan_item_of_its_kind_has_nothing_else CHECK (
		(metric IS NULL OR kind IN ('usage', 'percentage', 'cost_plus'))
		AND (tariff IS NULL OR kind IN ('seat', 'usage', 'percentage', 'cost_plus', 'credit'))
		AND (num_nonnulls(credit_type, pool, rollover_max, rollover_percent) = 0 OR kind = 'credit')
		AND (dimension IS NULL OR kind IN ('usage', 'percentage'))
		AND (amount IS NULL OR kind IN ('fee', 'commitment', 'discount', 'cap'))
		AND (quantity IS NULL OR kind IN ('fee', 'seat', 'usage', 'percentage') OR kind = 'credit' AND quantity <= 1000000000000000000)
		AND (percent IS NULL OR kind = 'discount')
		AND (timing = 'arrears' OR kind IN ('fee', 'seat'))
		AND (every IS NULL OR kind = 'fee')
		AND (per_seat IS NULL OR kind IN ('usage', 'percentage') OR kind = 'credit' AND per_seat <= 1000000000000000000)
		AND (load = 0 OR kind = 'cost_plus')
		AND (applies_to IS NULL OR kind IN ('commitment', 'discount'))
		AND (NOT term OR kind = 'commitment')
		AND (periods IS NULL OR kind = 'discount')),
	CONSTRAINT plan_item_rollover_is_a_number_or_a_percentage CHECK (num_nonnulls(rollover_max, rollover_percent) <= 1),
	CONSTRAINT plan_item_per_seat_is_of_a_seat_item CHECK ((seat_item IS NULL) = (per_seat IS NULL)),
	CONSTRAINT plan_item_with_a_dimension_includes_nothing CHECK (dimension IS NULL OR num_nonnulls(quantity, per_seat) = 0),
	CONSTRAINT plan_item_index_is_complete CHECK (num_nonnulls(index_card, index_item, index_unit, index_base) IN (0, 4))
);
COMMENT ON TABLE meter.plan_item IS 'What a version of a plan charges. Each kind uses the columns that say so, and no others.';
COMMENT ON COLUMN meter.plan_item.plan IS 'The plan.';
COMMENT ON COLUMN meter.plan_item.version IS 'Its version. Default 1.';
COMMENT ON COLUMN meter.plan_item.plan_item IS 'Name of the item within the plan; an item of the same name in another version is the same one.';
COMMENT ON COLUMN meter.plan_item.kind IS 'fee: an amount. seat: a tariff of the number of seats. usage and percentage: a tariff of the quantity of a metric. cost_plus: a tariff, such as at 130%, of a metric of cost. credit: an allotment of credits in each period, and a tariff of the credits that no lot covers. commitment: what is missing to an amount. discount: a percentage or an amount off. cap: what is above an amount, back.';
COMMENT ON COLUMN meter.plan_item.position IS 'Place among the invoice''s lines; of discounts and caps also the order in which they are taken. Default 0; then by name.';
COMMENT ON COLUMN meter.plan_item.description IS 'What an invoice calls it.';
COMMENT ON COLUMN meter.plan_item.metric IS 'The metric, of usage, percentage and cost_plus.';
COMMENT ON COLUMN meter.plan_item.tariff IS 'The tariff, of seat, usage, percentage and cost_plus; of credit, of the overage, which is not charged where it is NULL. With a dimension, of what meter.plan_item_tariff has no tariff for; NULL there: that has no price, and is a problem.';
COMMENT ON COLUMN meter.plan_item.dimension IS 'What the usage is told apart by, for a tariff each in meter.plan_item_tariff: item, action, variant, request_class, user_id, workflow_id, or tag:NAME. NULL: it is one.';
COMMENT ON COLUMN meter.plan_item.amount IS 'The amount, of fee, commitment, discount and cap.';
COMMENT ON COLUMN meter.plan_item.quantity IS 'Of a fee, how many of it (NULL: 1). Of seats, the least number charged. Of usage and percentage, how much is included in a period. Of credit, the credits that each period brings. Included quantities are never prorated.';
COMMENT ON COLUMN meter.plan_item.percent IS 'Of a discount without an amount: so many percent of the charges and commitments.';
COMMENT ON COLUMN meter.plan_item.timing IS 'advance: due at the start of its period; arrears (default): at its end. Of fee and seat.';
COMMENT ON COLUMN meter.plan_item.prorated IS 'True (default): by days, where a period has parts; seats by the days of each. False: in full for every part; seats, the most that there were.';
COMMENT ON COLUMN meter.plan_item.every IS 'Of a fee: the length of its own period, a multiple of the plan''s. NULL: the plan''s.';
COMMENT ON COLUMN meter.plan_item.seat_item IS 'The item of the plan whose seats bring included units.';
COMMENT ON COLUMN meter.plan_item.per_seat IS 'How many units, or credits, each of these seats brings to a period, shared by all; a seat added later brings as many.';
COMMENT ON COLUMN meter.plan_item.credit_type IS 'Of credit: the type of credits. A customer is charged the overage of a type by one item of one plan for each pool.';
COMMENT ON COLUMN meter.plan_item.pool IS 'Of credit: the pool that the allotment is for, and whose overage it charges. NULL: the unrestricted ones, and the overage of pools that no other item of the version names.';
COMMENT ON COLUMN meter.plan_item.priority IS 'Of credit: the lower one burns first. Default 100.';
COMMENT ON COLUMN meter.plan_item.rollover_max IS 'Of credit: at the period''s end, at most so many credits of what is left are kept. NULL, as rollover_percent: none.';
COMMENT ON COLUMN meter.plan_item.rollover_percent IS 'Of credit: or at most so many percent of the allotment.';
COMMENT ON COLUMN meter.plan_item.rollover_periods IS 'Of credit: for so many further periods. Default 1.';
COMMENT ON COLUMN meter.plan_item.load IS 'Of cost_plus: percent that are added to the cost for other cost of sales, before the tariff. Default 0.';
COMMENT ON COLUMN meter.plan_item.applies_to IS 'The items of the plan that count toward a commitment or are discounted. NULL: all charges, of a discount commitments too.';
COMMENT ON COLUMN meter.plan_item.term IS 'Of a commitment: true: in the plan''s term, settled in its last period. Default false: in each period.';
COMMENT ON COLUMN meter.plan_item.periods IS 'Of a discount: for so many periods, from the first that is charged. NULL: for ever.';
COMMENT ON COLUMN meter.plan_item.escalator IS 'By how many percent its prices rise a year, from the subscription''s price_since on: in periods that begin a year after it, two, and so on. Default 0.';
COMMENT ON COLUMN meter.plan_item.index_card IS 'The card that its prices follow: the price of index_per of index_unit of index_item, at the start of the period, by index_base. NULL: none. No rate there: the item has no price, and is a problem.';
COMMENT ON COLUMN meter.plan_item.index_item IS 'The item in that card.';
COMMENT ON COLUMN meter.plan_item.index_unit IS 'The unit.';
COMMENT ON COLUMN meter.plan_item.index_variant IS 'The variant. Default standard.';
COMMENT ON COLUMN meter.plan_item.index_base IS 'The price of index_per units at which the item''s prices hold as they are.';
COMMENT ON COLUMN meter.plan_item.index_per IS 'How many units index_base is for. Default 1000000.';
COMMENT ON COLUMN meter.plan_item.index_share IS 'How many percent of the index''s change are passed on. Default 100.';
COMMENT ON COLUMN meter.plan_item.added_at IS 'When it was added. Nobody writes it.';

CREATE TABLE meter.plan_item_tariff (
	plan text NOT NULL,
	version integer NOT NULL DEFAULT 1,
	plan_item text NOT NULL,
	value text NOT NULL
		CONSTRAINT plan_item_tariff_value_is_not_empty CHECK (value <> ''),
	tariff meter.tariff NOT NULL,
	added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (plan, version, plan_item, value)
);
COMMENT ON TABLE meter.plan_item_tariff IS 'The tariffs of a plan item with a dimension: one for each value, which is a line of its own on the invoice.';
COMMENT ON COLUMN meter.plan_item_tariff.plan IS 'The plan.';
COMMENT ON COLUMN meter.plan_item_tariff.version IS 'Its version. Default 1.';
COMMENT ON COLUMN meter.plan_item_tariff.plan_item IS 'The item.';
COMMENT ON COLUMN meter.plan_item_tariff.value IS 'The value of the dimension, such as openai/gpt-4o or batch.';
COMMENT ON COLUMN meter.plan_item_tariff.tariff IS 'What the quantity with that value is charged.';
COMMENT ON COLUMN meter.plan_item_tariff.added_at IS 'When it was added. Nobody writes it.';

SELECT pg_extension_config_dump('meter.plan', '');
SELECT pg_extension_config_dump('meter.plan_item', '');
SELECT pg_extension_config_dump('meter.plan_item_tariff', '');

CREATE FUNCTION meter.keep_plan() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'plan "%" version % is in use since %, and cannot be changed', OLD.plan, OLD.version, OLD.published_at
		USING ERRCODE = 'invalid_parameter_value', HINT = 'Make a new version. Only its description can be changed.';
END
$$;
COMMENT ON FUNCTION meter.keep_plan() IS 'Trigger of meter.plan: refuses to change or delete a version that is in use.';

CREATE TRIGGER keep_deleted BEFORE DELETE ON meter.plan
	FOR EACH ROW WHEN (OLD.published_at IS NOT NULL) EXECUTE FUNCTION meter.keep_plan();
CREATE TRIGGER keep_updated BEFORE UPDATE ON meter.plan
	FOR EACH ROW
	WHEN (OLD.published_at IS NOT NULL
		AND (OLD.plan, OLD.version, OLD.family, OLD.currency, OLD.every, OLD.anchor, OLD.term, OLD.trial_days, OLD.published_at)
			IS DISTINCT FROM (NEW.plan, NEW.version, NEW.family, NEW.currency, NEW.every, NEW.anchor, NEW.term, NEW.trial_days, NEW.published_at))
	EXECUTE FUNCTION meter.keep_plan();

/* With the owner's rights: whoever may write an item need not see when the plan was published. */
CREATE FUNCTION meter.keep_plan_item() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	published timestamptz;
BEGIN
	IF TG_OP IN ('UPDATE', 'DELETE') THEN
		/* Waits for one who is about to publish it. */
		SELECT published_at INTO published
		FROM meter.plan
		WHERE plan = OLD.plan
			AND version = OLD.version
		FOR SHARE;
		IF published IS NOT NULL THEN
			RAISE EXCEPTION 'plan "%" version % is in use since %: its item "%" cannot be changed', OLD.plan, OLD.version, published, OLD.plan_item
				USING ERRCODE = 'invalid_parameter_value', HINT = 'Make a new version.';
		END IF;
	END IF;
	IF TG_OP IN ('UPDATE', 'INSERT') THEN
		SELECT published_at INTO published
		FROM meter.plan
		WHERE plan = NEW.plan
			AND version = NEW.version
		FOR SHARE;
		/* What a dump brings back was there before, and is older than the transaction that does. */
		IF published < NEW.added_at OR published IS NOT NULL AND NEW.added_at >= now() THEN
			RAISE EXCEPTION 'plan "%" version % is in use since %: item "%" cannot be added to it', NEW.plan, NEW.version, published, NEW.plan_item
				USING ERRCODE = 'invalid_parameter_value', HINT = 'Make a new version.';
		END IF;
		RETURN NEW;
	END IF;
	RETURN OLD;
END
$$;
COMMENT ON FUNCTION meter.keep_plan_item() IS 'Trigger of meter.plan_item and meter.plan_item_tariff: refuses to change, remove or add an item of a version that is in use.';

CREATE TRIGGER keep_item BEFORE INSERT OR UPDATE OR DELETE ON meter.plan_item
	FOR EACH ROW EXECUTE FUNCTION meter.keep_plan_item();
CREATE TRIGGER keep_item BEFORE INSERT OR UPDATE OR DELETE ON meter.plan_item_tariff
	FOR EACH ROW EXECUTE FUNCTION meter.keep_plan_item();

CREATE FUNCTION meter.keep_metric() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	used record;
BEGIN
	SELECT plan_item.plan, plan_item.version INTO used
	FROM meter.plan_item
	JOIN meter.plan USING (plan, version)
	WHERE plan_item.metric = OLD.metric
		AND plan.published_at IS NOT NULL
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'metric "%" is billed by plan "%" version %, and cannot be changed', OLD.metric, used.plan, used.version
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Make another metric, for a new version. Only its description can be changed.';
	END IF;
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION meter.keep_metric() IS 'Trigger of meter.metric: refuses to change or delete a metric that a plan version in use bills.';

CREATE TRIGGER keep_deleted BEFORE DELETE ON meter.metric
	FOR EACH ROW EXECUTE FUNCTION meter.keep_metric();
CREATE TRIGGER keep_updated BEFORE UPDATE ON meter.metric
	FOR EACH ROW
	WHEN ((OLD.metric, OLD.aggregation, OLD.unit, OLD.key, OLD.recurring, OLD.items, OLD.actions, OLD.variants, OLD.request_classes, OLD.outcomes, OLD.tags, OLD.digits, OLD.rounding)
		IS DISTINCT FROM (NEW.metric, NEW.aggregation, NEW.unit, NEW.key, NEW.recurring, NEW.items, NEW.actions, NEW.variants, NEW.request_classes, NEW.outcomes, NEW.tags, NEW.digits, NEW.rounding))
	EXECUTE FUNCTION meter.keep_metric();
REVOKE ALL ON FUNCTION meter.keep_plan(), meter.keep_plan_item(), meter.keep_metric() FROM PUBLIC;

CREATE FUNCTION meter.publish_plan(plan text, version integer DEFAULT 1) RETURNS timestamptz
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	published meter.plan;
BEGIN
	SELECT * INTO published
	FROM meter.plan
	WHERE plan.plan = publish_plan.plan
		AND plan.version = publish_plan.version
	FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'plan "%" has no version %', publish_plan.plan, publish_plan.version
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Table meter.plan has the versions.';
	END IF;
	IF published.published_at IS NULL THEN
		published.published_at := clock_timestamp();
		UPDATE meter.plan
		SET published_at = published.published_at
		WHERE plan.plan = publish_plan.plan
			AND plan.version = publish_plan.version;
	END IF;
	RETURN published.published_at;
END
$$;
COMMENT ON FUNCTION meter.publish_plan(text, integer) IS 'Puts a version of a plan in use: it can be subscribed to, and never again be changed. Returns since when it is. The first subscription does the same. What meter.plan_problem lists of it is warned of.';
REVOKE ALL ON FUNCTION meter.publish_plan(text, integer) FROM PUBLIC;

CREATE FUNCTION meter.charges_pool(plan text, version integer, credit_type text, of_pool text, pool text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN of_pool IS NOT DISTINCT FROM pool
	OR of_pool IS NULL
		AND NOT EXISTS (
			SELECT FROM meter.plan_item AS named
			WHERE named.plan = charges_pool.plan
				AND named.version = charges_pool.version
				AND named.kind = 'credit'
				AND named.credit_type = charges_pool.credit_type
				AND named.pool = charges_pool.pool);
COMMENT ON FUNCTION meter.charges_pool(text, integer, text, text, text) IS 'Whether an item of kind credit of a plan version, for of_pool, charges the overage of a pool: its own, or, where it is for none, one that no other item of the version names.';

CREATE FUNCTION meter.is_multiple(length interval, every interval) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
	SELECT every.months > 0 AND length.days = 0 AND length.months % nullif(every.months, 0) = 0
		OR every.days > 0 AND length.months = 0 AND length.days % nullif(every.days, 0) = 0
	FROM (SELECT (12 * extract(year FROM is_multiple.length) + extract(month FROM is_multiple.length))::integer AS months, extract(day FROM is_multiple.length)::integer AS days) AS length
	CROSS JOIN (SELECT (12 * extract(year FROM is_multiple.every) + extract(month FROM is_multiple.every))::integer AS months, extract(day FROM is_multiple.every)::integer AS days) AS every
);
COMMENT ON FUNCTION meter.is_multiple(interval, interval) IS 'Whether an interval of months or of days is a whole number of others: 1 year of 3 months, 2 weeks of 7 days, but no months of days. NULL where one is.';

CREATE VIEW meter.plan_problem AS
SELECT plan, version, plan_item, format('metric "%s" does not exist', metric) AS problem
FROM meter.plan_item
WHERE metric IS NOT NULL
	AND NOT EXISTS (SELECT FROM meter.metric WHERE metric.metric = plan_item.metric)
UNION ALL
SELECT plan, version, plan_item, format('metric "%s" is no cost', metric)
FROM meter.plan_item
JOIN meter.metric USING (metric)
WHERE kind = 'cost_plus'
	AND aggregation <> 'cost'
UNION ALL
SELECT plan, version, plan_item, format('cost is in %s, and the plan in %s: it has no price', card.currency, plan.currency)
FROM meter.plan_item
JOIN meter.plan USING (plan, version)
JOIN meter.card
	ON card.card = 'cost'
	AND card.currency <> plan.currency
WHERE kind = 'cost_plus'
UNION ALL
SELECT plan, version, plan_item, format('metric "%s" is not told apart by %s', metric, dimension)
FROM meter.plan_item
JOIN meter.metric USING (metric)
WHERE aggregation IN ('cost', 'credits')
	AND meter.in_events('sum', NULL, dimension)
UNION ALL
SELECT plan, version, plan_item, format('seats of item "%s", which the version does not have', seat_item)
FROM meter.plan_item
WHERE seat_item IS NOT NULL
	AND NOT EXISTS (
		SELECT FROM meter.plan_item AS seat
		WHERE seat.plan = plan_item.plan
			AND seat.version = plan_item.version
			AND seat.plan_item = plan_item.seat_item
			AND seat.kind = 'seat')
UNION ALL
SELECT plan, version, plan_item, format('applies to item "%s", which the version does not have', applied)
FROM meter.plan_item
CROSS JOIN unnest(applies_to) AS applied
WHERE NOT EXISTS (
		SELECT FROM meter.plan_item AS item
		WHERE item.plan = plan_item.plan
			AND item.version = plan_item.version
			AND item.plan_item = applied)
UNION ALL
SELECT plan, version, plan_item, 'commitment in a term, which the version does not have'
FROM meter.plan_item
JOIN meter.plan USING (plan, version)
WHERE plan_item.term
	AND plan.term IS NULL
UNION ALL
SELECT plan, version, plan_item, format('every %s is no multiple of the plan''s %s: some of its periods are never charged', item.every, plan.every)
FROM meter.plan_item AS item
JOIN meter.plan USING (plan, version)
WHERE NOT meter.is_multiple(item.every, plan.every)
UNION ALL
SELECT plan, version, plan_item, format('term of %s is no multiple of the plan''s %s: some terms are never settled', plan.term, plan.every)
FROM meter.plan_item
JOIN meter.plan USING (plan, version)
WHERE plan_item.term
	AND NOT meter.is_multiple(plan.term, plan.every)
UNION ALL
SELECT plan, version, plan_item, format('card "%s" does not exist', index_card)
FROM meter.plan_item
WHERE index_card IS NOT NULL
	AND NOT EXISTS (SELECT FROM meter.card WHERE card.card = plan_item.index_card)
UNION ALL
SELECT plan, version, plan_item.plan_item, format('item "%s" charges the same overage of credits "%s", which is charged twice', other.plan_item, credit_type)
FROM meter.plan_item
JOIN meter.plan_item AS other USING (plan, version, kind, credit_type)
WHERE kind = 'credit'
	AND plan_item.plan_item > other.plan_item
	AND plan_item.tariff IS NOT NULL
	AND other.tariff IS NOT NULL
	AND plan_item.pool IS NOT DISTINCT FROM other.pool
UNION ALL
SELECT plan, version, plan_item, 'tariff of an item without a dimension'
FROM meter.plan_item_tariff
WHERE NOT EXISTS (
		SELECT FROM meter.plan_item AS item
		WHERE item.plan = plan_item_tariff.plan
			AND item.version = plan_item_tariff.version
			AND item.plan_item = plan_item_tariff.plan_item
			AND item.dimension IS NOT NULL)
UNION ALL
SELECT plan, version, plan_item, 'item of a version that does not exist'
FROM meter.plan_item
WHERE NOT EXISTS (
		SELECT FROM meter.plan
		WHERE plan.plan = plan_item.plan
			AND plan.version = plan_item.version);
COMMENT ON VIEW meter.plan_problem IS 'What in plans leads nowhere, and would leave something unbilled: unknown metrics, seats, items, terms and cards, fees and terms that are no multiples of the plan''s periods, and cost in another currency; or bill it twice. Empty is well. Look here before a version is published, which warns of what is here.';

/* With the owner's rights: whoever subscribes a customer need not see metrics and cards. */
CREATE FUNCTION meter.warn_of_plan() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found record;
BEGIN
	FOR found IN
		SELECT problem.plan_item, problem.problem
		FROM meter.plan_problem AS problem
		WHERE problem.plan = NEW.plan
			AND problem.version = NEW.version
		ORDER BY problem.plan_item COLLATE "C", problem.problem COLLATE "C"
	LOOP
		RAISE WARNING 'plan "%" version % is in use from now on, and its item "%" has a problem: %', NEW.plan, NEW.version, found.plan_item, found.problem
			USING HINT = 'The version cannot be changed any more. Roll back and mend it, or add what it names and is not there, or make a new version and move subscriptions by meter.migrate_subscriptions.';
	END LOOP;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION meter.warn_of_plan() IS 'Trigger of meter.plan: warns of each row of meter.plan_problem of a version that is put in use.';
REVOKE ALL ON FUNCTION meter.warn_of_plan() FROM PUBLIC;
CREATE TRIGGER warn_published AFTER UPDATE ON meter.plan
	FOR EACH ROW WHEN (OLD.published_at IS NULL AND NEW.published_at IS NOT NULL) EXECUTE FUNCTION meter.warn_of_plan();
