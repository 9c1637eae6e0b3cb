/* What is billed: quantities of usage, measured over a period. */

CREATE TABLE meter.metric (
	metric text PRIMARY KEY
		CONSTRAINT metric_is_a_name CHECK (meter.is_name(metric)),
	aggregation text NOT NULL
		CONSTRAINT metric_aggregation_is_known CHECK (aggregation IN ('sum', 'count', 'cost', 'credits', 'max', 'unique', 'latest', 'time_weighted')),
	unit text
		CONSTRAINT metric_unit_is_a_name CHECK (meter.is_name(unit)),
	key text
		CONSTRAINT metric_key_is_known CHECK (key IN ('item', 'action', 'variant', 'request_class', 'user_id', 'workflow_id') OR key LIKE 'tag:_%'),
	recurring boolean NOT NULL DEFAULT false,
	items text[],
	actions text[],
	variants text[],
	request_classes text[],
	outcomes text[] NOT NULL DEFAULT '{success}'
		CONSTRAINT metric_outcomes_are_known CHECK (outcomes <@ '{success,failure,pending,disputed}' AND outcomes <> '{}'),
	tags jsonb
		CONSTRAINT metric_tags_are_an_object CHECK (jsonb_typeof(tags) = 'object'),
	digits integer
		CONSTRAINT metric_digits_are_at_most_12 CHECK (digits <= 12),
	rounding text
		CONSTRAINT metric_rounding_is_a_mode CHECK (rounding IN ('round', 'ceil', 'floor')),
	description text,
	CONSTRAINT metric_has_the_unit_that_it_needs CHECK ((unit IS NOT NULL) = (aggregation IN ('sum', 'max', 'latest', 'time_weighted'))),
	CONSTRAINT metric_has_the_key_that_it_needs CHECK (CASE aggregation WHEN 'unique' THEN key IS NOT NULL WHEN 'latest' THEN true WHEN 'time_weighted' THEN true ELSE key IS NULL END),
	CONSTRAINT metric_recurring_has_a_last_value CHECK (NOT recurring OR aggregation IN ('unique', 'latest', 'time_weighted')),
	CONSTRAINT metric_of_rated_events_has_no_tags CHECK (tags IS NULL OR aggregation NOT IN ('cost', 'credits')),
	CONSTRAINT metric_rounding_has_digits CHECK (rounding IS NULL OR digits IS NOT NULL)
);
COMMENT ON TABLE meter.metric IS 'What is billed: a quantity of usage in a period. Filters that are NULL filter nothing; all others have to hold. sum, count, cost and credits are read from the roll-up; the others, and those with tags, from the events that count. A metric that a plan version in use names cannot be changed.';
COMMENT ON COLUMN meter.metric.metric IS 'Name: a lower-case letter, then up to 62 lower-case letters, digits and underscores.';
COMMENT ON COLUMN meter.metric.aggregation IS 'sum of unit; count of events; cost, by card cost; credits, by card credit; max of unit in an event; unique values of key; latest value of unit; or time_weighted: each value of unit times the part of the period''s real time that it held for.';
COMMENT ON COLUMN meter.metric.unit IS 'The unit of usage, of sum, max, latest and time_weighted. Events without it are passed over.';
COMMENT ON COLUMN meter.metric.key IS 'What is counted by unique, and what has a value of its own in latest and time_weighted, which are added up: item, action, variant, request_class, user_id, workflow_id, or tag:NAME. Events without it are passed over by unique, and are one key of the others.';
COMMENT ON COLUMN meter.metric.recurring IS 'True: a period begins with what held before, of unique, latest and time_weighted. Default false: with nothing.';
COMMENT ON COLUMN meter.metric.items IS 'Only these items.';
COMMENT ON COLUMN meter.metric.actions IS 'Only these actions.';
COMMENT ON COLUMN meter.metric.variants IS 'Only these variants.';
COMMENT ON COLUMN meter.metric.request_classes IS 'Only these classes of requests.';
COMMENT ON COLUMN meter.metric.outcomes IS 'Only these outcomes; an event without one is a success. Default {success}.';
COMMENT ON COLUMN meter.metric.tags IS 'Only events whose tags contain these.';
COMMENT ON COLUMN meter.metric.digits IS 'How many decimal digits the quantity of a period is rounded to, by meter.round_quantity; may be negative. NULL: it is not rounded.';
COMMENT ON COLUMN meter.metric.rounding IS 'round, ceil or floor. NULL: as meter.setting says.';
COMMENT ON COLUMN meter.metric.description IS 'What an invoice calls it.';

CREATE FUNCTION meter.in_events(aggregation text, tags jsonb, dimension text DEFAULT NULL) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN aggregation IN ('max', 'unique', 'latest', 'time_weighted') OR tags IS NOT NULL OR coalesce(dimension IN ('user_id', 'workflow_id') OR dimension LIKE 'tag:%', false);
COMMENT ON FUNCTION meter.in_events(text, jsonb, text) IS 'Whether a metric, told apart by a dimension, is measured in the events; otherwise in the roll-up.';

CREATE VIEW meter.billable_day AS
SELECT customer_id, usage_date, breakdown
FROM meter.rolled_up_day;
COMMENT ON VIEW meter.billable_day IS 'The usage that invoices are made from, by customer and day, as far as it is rolled up, broken down as meter.usage_day has it: that of meter.usage_event, of no attached table. All of billing reads the roll-up here, and what it lacks by meter.billable_tail.';

CREATE VIEW meter.billable_month AS
SELECT customer_id, usage_month, (usage_month + interval '1 month')::date AS end_date, breakdown
FROM meter.rolled_up_month;
COMMENT ON VIEW meter.billable_month IS 'What meter.billable_day adds up to by month: until end_date, exclusive.';

/*
 * The index on customers finds few of most customers' events, and takes long where they
 * have many: of such a one the whole tail is searched, by a comparison that is no index's.
 * So it is for many customers, whom each event finds in a hash: an array would be gone
 * through for every event. Events of marked days, which there are hardly ever, have a query of
 * their own, as to begin with it takes as long as all the rest.
 */
CREATE FUNCTION meter.customer_tail(customers text[]) RETURNS SETOF meter.tail_event
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF cardinality(customers) > 100 THEN
		RETURN QUERY SELECT event.* FROM meter.unconsumed_event AS event WHERE (event.customer_id IN (SELECT unnest(customers))) IS TRUE;
	ELSIF cardinality(customers) = 1
		AND (SELECT sum(last.events) FROM (SELECT day.events FROM meter.usage_day AS day WHERE day.customer_id = customers[1] ORDER BY day.usage_date DESC LIMIT 30) AS last) > 2000
		AND meter.consumed_txids() <> '{}'
	THEN
		RETURN QUERY SELECT event.* FROM meter.unconsumed_event AS event WHERE event.customer_id IS NOT DISTINCT FROM customers[1];
	ELSE
		RETURN QUERY SELECT event.* FROM meter.unconsumed_event AS event WHERE event.customer_id = ANY (customers);
	END IF;
	IF EXISTS (SELECT FROM meter.usage_mark) THEN
		RETURN QUERY SELECT event.* FROM meter.marked_event AS event WHERE event.customer_id IN (SELECT unnest(customers));
	END IF;
END
$$;
COMMENT ON FUNCTION meter.customer_tail(text[]) IS 'The rows of meter.tail_event of customers.';

/* A preview reads the tail once, for its dates and its usage: to find the events is most of what it waits for. */
CREATE FUNCTION meter.billable_tail(customers text[], tail meter.usage_daily[] DEFAULT NULL) RETURNS SETOF meter.usage_daily
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF tail IS NOT NULL THEN
		RETURN QUERY SELECT part.* FROM unnest(tail) AS part;
		RETURN;
	END IF;
	RETURN QUERY
	WITH event AS MATERIALIZED (
		SELECT *
		FROM meter.customer_tail(customers)
	), rated AS (
		/* Cards of what there is: a catalogue has thousands of rates. */
		SELECT
			event.customer_id, event.usage_date, event.item, event.action, event.variant, event.outcome, event.request_class,
			meter.event_sums(
				(SELECT meter.rate_card(rate.item, rate.unit, rate.price, rate.per, rate.valid, rate.variant, rate.context_from, rate.daily_from, rate.daily_until, rate.precedence) FROM meter.event_rate AS rate WHERE rate.card = 'cost' AND rate.item = ANY (ARRAY(SELECT used.item FROM event AS used GROUP BY used.item))),
				(SELECT meter.rate_card(rate.item, rate.unit, rate.price, rate.per, rate.valid, rate.variant, rate.context_from, rate.daily_from, rate.daily_until, rate.precedence) FROM meter.event_rate AS rate WHERE rate.card = 'credit' AND rate.item = ANY (ARRAY(SELECT used.credited_action FROM event AS used GROUP BY used.credited_action))),
				event.item, event.credited_action, event.occurred_at, event.usage, event.variant, event.sign) AS sums
		FROM event
		GROUP BY event.customer_id, event.usage_date, event.item, event.action, event.variant, event.outcome, event.request_class
	)
	SELECT rated.customer_id, rated.usage_date, rated.item, rated.action, rated.variant, rated.outcome, rated.request_class, (rated.sums).events, (rated.sums).usage, (rated.sums).cost, (rated.sums).credits, (rated.sums).unpriced_cost, (rated.sums).unpriced_credits
	FROM rated;
END
$$;
COMMENT ON FUNCTION meter.billable_tail(text[], meter.usage_daily[]) IS 'The usage of customers that invoices are made from and meter.billable_day has not, a row a key: tail, where the caller has read it, or else what meter.tail_event adds up to. A key may have a row in both, which add up.';
REVOKE ALL ON FUNCTION meter.customer_tail(text[]), meter.billable_tail(text[], meter.usage_daily[]) FROM PUBLIC;

CREATE VIEW meter.late_day AS
SELECT day.customer_id, min(day.usage_date) AS since
FROM meter.tail_day AS day
JOIN meter.billing_account AS account
	ON account.customer_id = day.customer_id
	AND account.closed_until > day.usage_date
GROUP BY day.customer_id;
COMMENT ON VIEW meter.late_day IS 'Customers with usage in closed periods that is not in the roll-up yet, and its first date. A refresh makes a row of meter.invoice_mark of it.';

CREATE VIEW meter.billable_event AS
SELECT customer_id, event_id, occurred_at, usage_date, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags
FROM meter.dated_event AS event
WHERE reverses IS NULL
	AND NOT EXISTS (
		SELECT FROM meter.usage_event AS reversal
		WHERE reversal.customer_id = event.customer_id
			AND reversal.reverses = event.event_id
			AND reversal.reverses IS NOT NULL);
COMMENT ON VIEW meter.billable_event IS 'The events that count, with the date that each has in its customer''s calendar. Billing reads what does not net by adding up here.';

CREATE FUNCTION meter.event_field(field text, item text, action text, variant text, request_class text, user_id text, workflow_id text, tags jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE field
	WHEN 'item' THEN item
	WHEN 'action' THEN action
	WHEN 'variant' THEN variant
	WHEN 'request_class' THEN request_class
	WHEN 'user_id' THEN user_id
	WHEN 'workflow_id' THEN workflow_id
	ELSE tags ->> substr(field, 5)
END;
COMMENT ON FUNCTION meter.event_field(text, text, text, text, text, text, text, jsonb) IS 'The value of an event in the field that a metric''s key or a plan item''s dimension names: a column, or tag:NAME.';

CREATE TABLE meter.carried_event (
	metric text NOT NULL,
	customer_id text NOT NULL,
	event_id text NOT NULL,
	occurred_at timestamptz NOT NULL,
	usage_date date NOT NULL,
	item text,
	usage meter.usage NOT NULL,
	action text,
	variant text NOT NULL,
	outcome text,
	request_class text,
	user_id text,
	workflow_id text,
	tags jsonb,
	PRIMARY KEY (customer_id, metric, event_id)
);
COMMENT ON TABLE meter.carried_event IS 'Events that recurring metrics go on from though a purge removed them: the last one of every key. meter.carry_events keeps it.';
COMMENT ON COLUMN meter.carried_event.metric IS 'The metric.';
COMMENT ON COLUMN meter.carried_event.customer_id IS 'As the event had it, like all that follow.';
COMMENT ON COLUMN meter.carried_event.event_id IS 'The event''s id.';
COMMENT ON COLUMN meter.carried_event.occurred_at IS 'When it happened.';
COMMENT ON COLUMN meter.carried_event.usage_date IS 'Its date in the customer''s calendar.';
COMMENT ON COLUMN meter.carried_event.item IS 'What was consumed.';
COMMENT ON COLUMN meter.carried_event.usage IS 'How much.';
COMMENT ON COLUMN meter.carried_event.action IS 'What the customer did.';
COMMENT ON COLUMN meter.carried_event.variant IS 'The way of consuming.';
COMMENT ON COLUMN meter.carried_event.outcome IS 'The outcome.';
COMMENT ON COLUMN meter.carried_event.request_class IS 'The class of requests.';
COMMENT ON COLUMN meter.carried_event.user_id IS 'The customer''s user.';
COMMENT ON COLUMN meter.carried_event.workflow_id IS 'The run.';
COMMENT ON COLUMN meter.carried_event.tags IS 'The tags.';

CREATE FUNCTION meter.carry_events(before date, customer_id text DEFAULT NULL) RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
	WITH event AS (
		SELECT metric.metric, metric.key, event.*
		FROM meter.billable_event AS event
		JOIN meter.metric ON metric.recurring
			AND (metric.items IS NULL OR event.item = ANY (metric.items))
			AND (metric.actions IS NULL OR event.action = ANY (metric.actions))
			AND (metric.variants IS NULL OR event.variant = ANY (metric.variants))
			AND (metric.request_classes IS NULL OR event.request_class = ANY (metric.request_classes))
			AND coalesce(event.outcome, 'success') = ANY (metric.outcomes)
			AND (metric.tags IS NULL OR event.tags @> metric.tags)
			AND (metric.unit IS NULL OR meter.has_unit(event.usage, metric.unit))
		WHERE event.usage_date < carry_events.before
			AND event.occurred_at < timezone('UTC', (carry_events.before + 3)::timestamp)
			AND (carry_events.customer_id IS NULL OR event.customer_id = carry_events.customer_id)
	), last AS (
		SELECT DISTINCT ON (event.metric, event.customer_id, event.item, event.action, event.variant, event.request_class,
				meter.event_field(event.key, event.item, event.action, event.variant, event.request_class, event.user_id, event.workflow_id, event.tags))
			event.*
		FROM event
		ORDER BY event.metric, event.customer_id, event.item, event.action, event.variant, event.request_class,
			meter.event_field(event.key, event.item, event.action, event.variant, event.request_class, event.user_id, event.workflow_id, event.tags),
			event.occurred_at DESC, event.event_id DESC
	), superseded AS (
		DELETE FROM meter.carried_event AS carried
		USING last
		WHERE carried.metric = last.metric
			AND carried.customer_id = last.customer_id
			AND (carried.occurred_at, carried.event_id) < (last.occurred_at, last.event_id)
			AND (carried.item, carried.action, carried.variant, carried.request_class,
					meter.event_field(last.key, carried.item, carried.action, carried.variant, carried.request_class, carried.user_id, carried.workflow_id, carried.tags))
				IS NOT DISTINCT FROM (last.item, last.action, last.variant, last.request_class,
					meter.event_field(last.key, last.item, last.action, last.variant, last.request_class, last.user_id, last.workflow_id, last.tags))
	), inserted AS (
		INSERT INTO meter.carried_event (metric, customer_id, event_id, occurred_at, usage_date, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags)
		SELECT metric, customer_id, event_id, occurred_at, usage_date, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags
		FROM last
		ON CONFLICT (customer_id, metric, event_id) DO NOTHING
		RETURNING 1
	)
	SELECT count(*) FROM inserted;
END;
COMMENT ON FUNCTION meter.carry_events(date, text) IS 'Keeps the last event of every recurring metric, key and group of columns before a date, of one customer or of all, so that the events before it can be removed; returns how many it added. Whoever removes events calls it first, in the same transaction.';
REVOKE ALL ON FUNCTION meter.carry_events(date, text) FROM PUBLIC;

/* With the owner's rights: who corrects a tag has no other business with invoices. */
CREATE FUNCTION meter.mark_event() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	/* Whether the period is closed is left to the next closing: one may be under way that does not show yet. */
	INSERT INTO meter.invoice_mark (customer_id, since)
	SELECT NEW.customer_id, meter.customer_date(NEW.customer_id, NEW.occurred_at)
	WHERE EXISTS (SELECT FROM meter.subscription WHERE subscription.customer_id = NEW.customer_id)
		AND NOT meter.is_erasing(NEW.customer_id);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION meter.mark_event() IS 'Trigger of meter.usage_event: has the periods of an event whose user, workflow or tags were changed rated again, as metrics may count or filter by them.';
REVOKE ALL ON FUNCTION meter.mark_event() FROM PUBLIC;
CREATE TRIGGER mark_updated AFTER UPDATE ON meter.usage_event
	FOR EACH ROW WHEN ((OLD.user_id, OLD.workflow_id, OLD.tags) IS DISTINCT FROM (NEW.user_id, NEW.workflow_id, NEW.tags)) EXECUTE FUNCTION meter.mark_event();

SELECT pg_extension_config_dump('meter.metric', '');
SELECT pg_extension_config_dump('meter.carried_event', '');
