/*
 * The roll-up, and what it does not have yet.
 *
 * An event is in usage_daily exactly where its txid is below the watermark of its
 * epoch. Views add the other events, and take the days that a change of rates or
 * zones has marked from the events, so they are right at any moment.
 */

/*
 * One row a customer's day, as a row and an index entry for each combination of item,
 * action and outcome would cost more than what is in them. Rows of up to a page stay
 * whole: what is compressed or out of line is slow to read.
 */
CREATE TABLE meter.usage_day (
	customer_id text NOT NULL,
	usage_date date NOT NULL,
	cost numeric NOT NULL,
	credits numeric NOT NULL,
	events bigint NOT NULL,
	unpriced_cost bigint NOT NULL,
	unpriced_credits bigint NOT NULL,
	breakdown meter.breakdown NOT NULL,
	PRIMARY KEY (customer_id, usage_date)
) WITH (toast_tuple_target = 8160);
ALTER TABLE meter.usage_day ALTER COLUMN breakdown SET STORAGE external;
COMMENT ON TABLE meter.usage_day IS 'The roll-up: usage, cost and credits by customer and day, of the events that meter.refresh has seen, a row a customer''s day. Read meter.usage_by_day and meter.cost_by_day, which have the others as well.';
COMMENT ON COLUMN meter.usage_day.customer_id IS 'Whose usage.';
COMMENT ON COLUMN meter.usage_day.usage_date IS 'The date, in the customer''s time zone.';
COMMENT ON COLUMN meter.usage_day.cost IS 'The sum of cost in breakdown.';
COMMENT ON COLUMN meter.usage_day.credits IS 'The sum of credits in breakdown.';
COMMENT ON COLUMN meter.usage_day.events IS 'The sum of events in breakdown.';
COMMENT ON COLUMN meter.usage_day.unpriced_cost IS 'The sum of unpriced_cost in breakdown.';
COMMENT ON COLUMN meter.usage_day.unpriced_credits IS 'The sum of unpriced_credits in breakdown.';
COMMENT ON COLUMN meter.usage_day.breakdown IS 'The day by item, action, variant, outcome and request_class: what meter.usage_daily shows as rows.';

CREATE VIEW meter.usage_daily AS
SELECT
	day.customer_id, day.usage_date,
	entry.item, entry.action, entry.variant, entry.outcome, entry.request_class,
	entry.events, entry.usage, entry.cost, entry.credits, entry.unpriced_cost, entry.unpriced_credits
FROM meter.usage_day AS day
CROSS JOIN LATERAL meter.entries(day.breakdown) AS entry;
COMMENT ON VIEW meter.usage_daily IS 'meter.usage_day, a row a customer, day, item, action, variant, outcome and request_class. Read meter.usage_by_day, which has the events as well that meter.refresh has not seen.';
COMMENT ON COLUMN meter.usage_daily.customer_id IS 'Whose usage.';
COMMENT ON COLUMN meter.usage_daily.usage_date IS 'The date, in the customer''s time zone.';
COMMENT ON COLUMN meter.usage_daily.item IS 'What was consumed.';
COMMENT ON COLUMN meter.usage_daily.action IS 'What the customer did.';
COMMENT ON COLUMN meter.usage_daily.variant IS 'The way of consuming.';
COMMENT ON COLUMN meter.usage_daily.outcome IS 'The outcome, as the events have it.';
COMMENT ON COLUMN meter.usage_daily.request_class IS 'The class of requests.';
COMMENT ON COLUMN meter.usage_daily.events IS 'How many events count: the sum of sign.';
COMMENT ON COLUMN meter.usage_daily.usage IS 'The sum of usage.';
COMMENT ON COLUMN meter.usage_daily.cost IS 'The sum of what the priced events cost, at the rates of card cost, each settled at its instant.';
COMMENT ON COLUMN meter.usage_daily.credits IS 'The sum of what the priced events take in credits, at the rates of card credit. An event takes none without an action or with an outcome other than success.';
COMMENT ON COLUMN meter.usage_daily.unpriced_cost IS 'How many events have a unit without a rate in card cost, and are not in cost: the sum of their sign.';
COMMENT ON COLUMN meter.usage_daily.unpriced_credits IS 'How many events have a unit without a rate in card credit, and are not in credits: the sum of their sign.';

/*
 * Each refresh writes the present month of whoever used anything anew. Pages have room for that,
 * and no index has a column that changes with it: so the row stays on its page, no index gets
 * an entry, and the next one who comes by clears the old row away.
 */
CREATE TABLE meter.usage_month (
	customer_id text NOT NULL,
	usage_month date NOT NULL
		CONSTRAINT usage_month_is_a_first_date CHECK (extract(day FROM usage_month) = 1),
	cost numeric NOT NULL,
	credits numeric NOT NULL,
	events bigint NOT NULL,
	unpriced_cost bigint NOT NULL,
	unpriced_credits bigint NOT NULL,
	breakdown meter.breakdown,
	without_breakdown boolean GENERATED ALWAYS AS (breakdown IS NULL) STORED,
	PRIMARY KEY (customer_id, usage_month)
) WITH (toast_tuple_target = 8160, fillfactor = 70);
ALTER TABLE meter.usage_month ALTER COLUMN breakdown SET STORAGE external;
CREATE INDEX usage_month_without_breakdown ON meter.usage_month (customer_id, usage_month) WHERE without_breakdown;
COMMENT ON TABLE meter.usage_month IS 'The rows of meter.usage_day added up by month: always their sums, written with them. Read meter.usage_by_month and meter.cost_by_month, which have the other events as well.';
COMMENT ON COLUMN meter.usage_month.customer_id IS 'Whose usage.';
COMMENT ON COLUMN meter.usage_month.usage_month IS 'The first date of the month, in the customer''s calendar.';
COMMENT ON COLUMN meter.usage_month.cost IS 'The sum of usage_day.cost.';
COMMENT ON COLUMN meter.usage_month.credits IS 'The sum of usage_day.credits.';
COMMENT ON COLUMN meter.usage_month.events IS 'The sum of usage_day.events.';
COMMENT ON COLUMN meter.usage_month.unpriced_cost IS 'The sum of usage_day.unpriced_cost.';
COMMENT ON COLUMN meter.usage_month.unpriced_credits IS 'The sum of usage_day.unpriced_credits.';
COMMENT ON COLUMN meter.usage_month.breakdown IS 'The sum of usage_day.breakdown. NULL where it would take more than a megabyte, some 20,000 combinations: to write it anew at each refresh would cost more than to add up the days.';
COMMENT ON COLUMN meter.usage_month.without_breakdown IS 'Whether breakdown is NULL.';

CREATE TABLE meter.usage_mark (
	/* not a key: a restore may make a mark of its own before it brings the ones that were */
	mark_id bigint GENERATED ALWAYS AS IDENTITY,
	customer_id text,
	item text,
	action text,
	variant text,
	since date NOT NULL DEFAULT '-infinity',
	until date NOT NULL DEFAULT 'infinity',
	marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT usage_mark_is_by_one_thing CHECK (num_nonnulls(customer_id, item, action) <= 1),
	CONSTRAINT usage_mark_variant_is_of_an_item_or_action CHECK (variant IS NULL OR num_nonnulls(item, action) = 1),
	CONSTRAINT usage_mark_is_not_empty CHECK (since < until),
	CONSTRAINT usage_mark_of_all_is_of_all_days CHECK (num_nonnulls(customer_id, item, action) = 1 OR since = '-infinity' AND until = 'infinity')
);
COMMENT ON TABLE meter.usage_mark IS 'The days of usage_daily that a change of rates or time zones made stale. Views read them from the events until meter.refresh has rebuilt them. A row is a rule and not a list of days, so that what a refresh rolls up at the same time is marked as well.';
COMMENT ON COLUMN meter.usage_mark.mark_id IS 'A number to name the row by.';
COMMENT ON COLUMN meter.usage_mark.customer_id IS 'The days of this customer.';
COMMENT ON COLUMN meter.usage_mark.item IS 'The days of any customer on which this item was used.';
COMMENT ON COLUMN meter.usage_mark.action IS 'The days of any customer on which this action was done. All three NULL: all of usage_daily.';
COMMENT ON COLUMN meter.usage_mark.variant IS 'Of the days of an item or an action, those on which it was in this variant. NULL: in any.';
COMMENT ON COLUMN meter.usage_mark.since IS 'From this date on.';
COMMENT ON COLUMN meter.usage_mark.until IS 'Until before this date.';
COMMENT ON COLUMN meter.usage_mark.marked_at IS 'When.';

/* Its name puts its rows at the end of a dump: before them, restored rates mark nothing. */
CREATE TABLE meter.usage_watermark (
	epoch integer PRIMARY KEY
		CONSTRAINT usage_watermark_epoch_has_15_bits CHECK (epoch BETWEEN 0 AND 32767),
	consumed bigint NOT NULL,
	refreshed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT usage_watermark_consumed_is_in_its_epoch CHECK (consumed BETWEEN epoch::bigint << 48 AND (epoch::bigint << 48) + 281474976710655)
);
COMMENT ON TABLE meter.usage_watermark IS 'Which events are in usage_daily: of each epoch of meter.txid, those below consumed. An epoch without a row has none there. Whoever changes usage_day holds the lock of this cluster''s row, until its transaction ends.';
COMMENT ON COLUMN meter.usage_watermark.epoch IS 'The epoch, as meter.txid_epoch says it for this cluster.';
COMMENT ON COLUMN meter.usage_watermark.consumed IS 'The first usage_event.txid that is not in usage_daily.';
COMMENT ON COLUMN meter.usage_watermark.refreshed_at IS 'When it was last moved.';

SELECT pg_extension_config_dump('meter.usage_day', '');
SELECT pg_extension_config_dump('meter.usage_month', '');
SELECT pg_extension_config_dump('meter.usage_mark', '');
SELECT pg_extension_config_dump('meter.usage_mark_mark_id_seq', '');
SELECT pg_extension_config_dump('meter.usage_watermark', '');

CREATE FUNCTION meter.month_start(at date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_trunc('month', at::timestamp)::date;
COMMENT ON FUNCTION meter.month_start(date) IS 'The first date of a date''s month: the name of a month in reports.';

CREATE VIEW meter.event_rate AS
SELECT card, item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence
FROM meter.rate
UNION ALL
SELECT DISTINCT card, item, '*', 0::numeric, 1::numeric, tstzrange(NULL, NULL), variant, 0::numeric, NULL::time, NULL::time, -2147483648
FROM meter.rate
JOIN meter.card USING (card)
WHERE unrated = 'free';
COMMENT ON VIEW meter.event_rate IS 'The rates of cards as events are rated by them: those of meter.rate, and price zero for what has none where the card says free. What an item costs depends on its own rows alone.';

CREATE VIEW meter.event_card AS
SELECT
	(SELECT meter.rate_card(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence) FROM meter.event_rate WHERE card = 'cost') AS cost,
	(SELECT meter.rate_card(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence) FROM meter.event_rate WHERE card = 'credit') AS credit;
COMMENT ON VIEW meter.event_card IS 'The rate cards that events are rated by, in one row: meter.card(''cost'') and meter.card(''credit''). For whoever may read it, without a right to read the rates.';

CREATE VIEW meter.dated_event AS
SELECT
	event.customer_id,
	event.event_id,
	event.occurred_at,
	least(meter.usage_date(event.occurred_at, coalesce(span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), span.last_date) AS usage_date,
	event.item,
	event.usage,
	event.action,
	CASE WHEN event.outcome IS NULL OR event.outcome = 'success' THEN event.action END AS credited_action,
	event.variant,
	event.outcome,
	event.request_class,
	event.user_id,
	event.workflow_id,
	event.tags,
	event.sign,
	event.reverses,
	event.txid
FROM meter.usage_event AS event
LEFT JOIN meter.customer_zone_span AS span
	ON span.customer_id = event.customer_id
	AND event.occurred_at >= span.starts
	AND event.occurred_at < span.ends;
COMMENT ON VIEW meter.dated_event IS 'The events with the date each has in its customer''s calendar, and credited_action: the action where it takes credits.';

/*
 * A function, as every view asks several times and would have all of it in its plan; with
 * its owner's rights, as a view has them. It tells nobody more than numbers of transactions.
 */
CREATE FUNCTION meter.consumed_txids() RETURNS int8multirange
LANGUAGE plpgsql STABLE PARALLEL SAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN CASE
		WHEN EXISTS (SELECT FROM meter.usage_mark WHERE num_nonnulls(customer_id, item, action) = 0) THEN '{}'
		/* A dump of a cluster whose epoch is the same by chance: its watermark says nothing of this one's transactions. */
		WHEN EXISTS (
			SELECT FROM meter.usage_watermark
			WHERE epoch = (SELECT meter.txid_epoch())
				AND consumed > (epoch::bigint << 48) + (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint))
		THEN '{}'
		ELSE coalesce((SELECT range_agg(int8range(epoch::bigint << 48, consumed)) FROM meter.usage_watermark), '{}')
	END;
END
$$;
COMMENT ON FUNCTION meter.consumed_txids() IS 'The usage_event.txid whose events are in usage_daily. None while all of usage_daily is stale.';

/*
 * ROWS, and a language that keeps it a function: planned as a hundred ranges, a view looks
 * a hundred times as costly as it is. Its own plan is kept, and views ask several times.
 */
CREATE FUNCTION meter.unconsumed_ranges(consumed int8multirange, OUT first_txid bigint, OUT end_txid bigint, OUT present boolean) RETURNS SETOF record
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	SELECT
		lower(piece),
		coalesce(upper(piece), 9223372036854775807),
		piece @> (meter.txid_epoch()::bigint << 48) + 281474976710654
	FROM unnest(int8multirange(int8range(0, NULL)) - consumed) AS piece;
END
$$;
COMMENT ON FUNCTION meter.unconsumed_ranges(int8multirange) IS 'The ranges of usage_event.txid that are not among the consumed ones: first inclusive, end exclusive, and whether this cluster''s new events come there.';

CREATE VIEW meter.unconsumed_range AS
SELECT piece.first_txid, piece.end_txid, piece.present
FROM meter.unconsumed_ranges((SELECT meter.consumed_txids())) AS piece;
COMMENT ON VIEW meter.unconsumed_range IS 'The ranges of usage_event.txid, first inclusive and end exclusive, whose events are not in usage_daily. The present one is where this cluster''s new events come.';

/*
 * The present range and the first one, which most often has no event, by scalar subqueries, for
 * one scan in any number of workers. OFFSET 0 keeps each of the others to its own index scan.
 */
CREATE VIEW meter.unconsumed_event AS
WITH event AS NOT MATERIALIZED (
	SELECT *
	FROM meter.usage_event
	WHERE txid >= (SELECT first_txid FROM meter.unconsumed_range WHERE present)
		AND txid < (SELECT end_txid FROM meter.unconsumed_range WHERE present)
		OR txid >= 0
		AND txid < (SELECT end_txid FROM meter.unconsumed_range WHERE first_txid = 0)
	UNION ALL
	SELECT old_event.*
	FROM meter.unconsumed_range AS gap
	CROSS JOIN LATERAL (
		SELECT *
		FROM meter.usage_event
		WHERE txid >= gap.first_txid
			AND txid < gap.end_txid
		OFFSET 0
	) AS old_event
	WHERE NOT gap.present
		AND gap.first_txid > 0
)
SELECT
	event.customer_id,
	event.event_id,
	event.occurred_at,
	least(meter.usage_date(event.occurred_at, coalesce(span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), span.last_date) AS usage_date,
	event.item,
	event.usage,
	event.action,
	CASE WHEN event.outcome IS NULL OR event.outcome = 'success' THEN event.action END AS credited_action,
	event.variant,
	event.outcome,
	event.request_class,
	event.user_id,
	event.workflow_id,
	event.tags,
	event.sign,
	event.reverses,
	event.txid
FROM event
LEFT JOIN meter.customer_zone_span AS span
	ON span.customer_id = event.customer_id
	AND event.occurred_at >= span.starts
	AND event.occurred_at < span.ends
WHERE event.occurred_at >= (SELECT clear_from FROM meter.horizon)
	OR least(meter.usage_date(event.occurred_at, coalesce(span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), span.last_date) >= (SELECT horizon FROM meter.horizon);
COMMENT ON VIEW meter.unconsumed_event IS 'The events that are not in usage_daily yet, as meter.dated_event has them. What is too late will never be.';

/* Few marks are looked for in each day's breakdown; for many, which takes as long for each, it is made rows of. */
CREATE VIEW meter.touched_day AS
SELECT mark.mark_id, day.customer_id, day.usage_date
FROM meter.usage_day AS day
JOIN meter.usage_mark AS mark
	ON day.usage_date >= mark.since
	AND day.usage_date < mark.until
	AND meter.mentions(day.breakdown, mark.item, mark.action)
	AND (mark.variant IS NULL OR EXISTS (
		SELECT FROM meter.entries(day.breakdown) AS entry
		WHERE entry.variant = mark.variant
			AND (entry.item = mark.item OR entry.action = mark.action)))
WHERE num_nonnulls(mark.item, mark.action) = 1
	AND (SELECT count(*) <= 10 FROM meter.usage_mark WHERE num_nonnulls(item, action) = 1)
UNION ALL
SELECT mark.mark_id, daily.customer_id, daily.usage_date
FROM meter.usage_daily AS daily
JOIN meter.usage_mark AS mark USING (item)
WHERE daily.usage_date >= mark.since
	AND daily.usage_date < mark.until
	AND (mark.variant IS NULL OR mark.variant = daily.variant)
	AND (SELECT count(*) > 10 FROM meter.usage_mark WHERE num_nonnulls(item, action) = 1)
UNION ALL
SELECT mark.mark_id, daily.customer_id, daily.usage_date
FROM meter.usage_daily AS daily
JOIN meter.usage_mark AS mark USING (action)
WHERE daily.usage_date >= mark.since
	AND daily.usage_date < mark.until
	AND (mark.variant IS NULL OR mark.variant = daily.variant)
	AND (SELECT count(*) > 10 FROM meter.usage_mark WHERE num_nonnulls(item, action) = 1);
COMMENT ON VIEW meter.touched_day IS 'Which rows of meter.usage_day the marks of items and actions in meter.usage_mark make stale. A day may be there more than once.';

CREATE VIEW meter.marked_days AS
WITH marked AS (
	SELECT customer_id, since, until
	FROM meter.usage_mark
	WHERE customer_id IS NOT NULL
	UNION ALL
	SELECT customer_id, usage_date, usage_date + 1
	FROM meter.touched_day
)
SELECT customer_id, range_agg(daterange(since, until) * daterange((SELECT horizon FROM meter.horizon), NULL)) AS dates
FROM marked
GROUP BY customer_id;
COMMENT ON VIEW meter.marked_days IS 'The days of each customer, from the horizon on, that meter.usage_mark makes stale. Marks of all of usage_daily are not among them.';

CREATE VIEW meter.marked_event AS
WITH marked AS MATERIALIZED (
	SELECT * FROM meter.marked_days
), bound AS (
	/* Whatever the zone and its changes, an instant's date is at most a day and a few hours off the UTC one. */
	SELECT
		timezone('UTC', (min(lower(dates)) - 3)::timestamp) AS first_at,
		timezone('UTC', (max(upper(dates)) + 3)::timestamp) AS end_at
	FROM marked
)
SELECT event.*
FROM meter.dated_event AS event
WHERE event.occurred_at >= (SELECT first_at FROM bound)
	AND event.occurred_at < (SELECT end_at FROM bound)
	AND (SELECT meter.consumed_txids()) @> event.txid
	AND EXISTS (
		SELECT FROM marked
		WHERE marked.customer_id = event.customer_id
			AND marked.dates @> event.usage_date);
COMMENT ON VIEW meter.marked_event IS 'The events that are in rows of usage_daily which meter.usage_mark makes stale, but for marks of all of it: with these, every event is unconsumed.';

CREATE VIEW meter.tail_event AS
SELECT * FROM meter.unconsumed_event
UNION ALL
SELECT * FROM meter.marked_event
WHERE EXISTS (SELECT FROM meter.usage_mark);
COMMENT ON VIEW meter.tail_event IS 'The events that views add to the roll-up: those that it does not have yet, and those of its marked days.';

/*
 * An xid has a hash and no order. Where a view's branches are mostly not taken, their cost
 * makes a sort of all events look as good as a hash table to the planner, which then takes
 * the sort; with NULL::xid in the grouping there is none.
 */
CREATE VIEW meter.tail_day AS
SELECT customer_id, usage_date
FROM meter.tail_event
GROUP BY customer_id, usage_date, NULL::xid;
COMMENT ON VIEW meter.tail_day IS 'The customers'' days that have events outside of the roll-up.';

/* By customer alone, so that the planner knows how few there are to each: it would sort all days otherwise. */
CREATE VIEW meter.tail_dates AS
SELECT customer_id, min(usage_date) AS first_date, range_agg(daterange(usage_date, usage_date + 1)) AS dates
FROM meter.tail_day
GROUP BY customer_id;
COMMENT ON VIEW meter.tail_dates IS 'The dates of each customer that have events outside of the roll-up, and the first of them.';

/*
 * Where nothing is marked, which is nearly always, no row is looked up among the marks:
 * both ways are there, and a condition without a column decides between them once.
 */
CREATE VIEW meter.rolled_up_day AS
WITH marked AS MATERIALIZED (
	SELECT * FROM meter.marked_days
)
SELECT *
FROM meter.usage_day
WHERE NOT EXISTS (SELECT FROM meter.usage_mark)
	AND (SELECT meter.consumed_txids() <> '{}')
UNION ALL
SELECT *
FROM meter.usage_day AS day
WHERE EXISTS (SELECT FROM meter.usage_mark)
	AND (SELECT meter.consumed_txids() <> '{}')
	AND NOT EXISTS (
		SELECT FROM marked
		WHERE marked.customer_id = day.customer_id
			AND marked.dates @> day.usage_date)
UNION ALL
/* While all of it is stale, purged days are not: there are no events to take them from. */
SELECT *
FROM meter.usage_day
WHERE (SELECT meter.consumed_txids() = '{}')
	AND usage_date < (SELECT horizon FROM meter.horizon);
COMMENT ON VIEW meter.rolled_up_day IS 'The rows of meter.usage_day that hold: without those that meter.usage_mark makes stale.';

CREATE VIEW meter.rolled_up_usage AS
SELECT
	day.customer_id, day.usage_date,
	entry.item, entry.action, entry.variant, entry.outcome, entry.request_class,
	entry.events, entry.usage, entry.cost, entry.credits, entry.unpriced_cost, entry.unpriced_credits
FROM meter.rolled_up_day AS day
CROSS JOIN LATERAL meter.entries(day.breakdown) AS entry;
COMMENT ON VIEW meter.rolled_up_usage IS 'The rows of meter.usage_daily that hold: without those of days that meter.usage_mark makes stale.';

CREATE VIEW meter.tail_usage AS
WITH rated AS NOT MATERIALIZED (
	SELECT
		customer_id, usage_date, item, action, variant, outcome, request_class,
		meter.event_sums((SELECT cost FROM meter.event_card), (SELECT credit FROM meter.event_card), item, credited_action, occurred_at, usage, variant, sign) AS sums
	FROM meter.tail_event
	GROUP BY customer_id, usage_date, item, action, variant, outcome, request_class, NULL::xid
)
SELECT customer_id, usage_date, item, action, variant, outcome, request_class, (sums).events, (sums).usage, (sums).cost, (sums).credits, (sums).unpriced_cost, (sums).unpriced_credits
FROM rated;
COMMENT ON VIEW meter.tail_usage IS 'What the events that views add to the roll-up are, cost and took in credits. The columns are those of meter.usage_daily.';

CREATE VIEW meter.event_part AS
SELECT * FROM meter.rolled_up_usage
UNION ALL
SELECT * FROM meter.tail_usage;
COMMENT ON VIEW meter.event_part IS 'What meter.event_by_day merges, for reports that add up anyway: every event in meter.usage_event that is committed, in exactly one row. A key has a second row where the roll-up has a part of the day''s events only, so sum the rows, and do not count them. The columns are those of meter.usage_daily.';

CREATE FUNCTION meter.month_breakdown(breakdown meter.breakdown) RETURNS meter.breakdown
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN meter.at_most(breakdown, 1048576); /* named once, or it would be called for each row and not be inlined */
COMMENT ON FUNCTION meter.month_breakdown(meter.breakdown) IS 'A month''s breakdown as meter.usage_month keeps it: NULL where it takes more than a megabyte.';

CREATE VIEW meter.month_of_days AS
SELECT
	customer_id,
	meter.month_start(usage_date) AS usage_month,
	trim_scale(sum(cost)) AS cost,
	trim_scale(sum(credits)) AS credits,
	sum(events)::bigint AS events,
	sum(unpriced_cost)::bigint AS unpriced_cost,
	sum(unpriced_credits)::bigint AS unpriced_credits,
	meter.month_breakdown(meter.sum(breakdown)) AS breakdown
FROM meter.usage_day
GROUP BY customer_id, usage_month;
COMMENT ON VIEW meter.month_of_days IS 'What meter.usage_month has to be: meter.usage_day added up by month.';

CREATE VIEW meter.tail_cost AS
WITH rated AS NOT MATERIALIZED (
	SELECT
		customer_id, usage_date,
		meter.event_sums((SELECT cost FROM meter.event_card), (SELECT credit FROM meter.event_card), item, credited_action, occurred_at, usage, variant, sign) AS sums
	FROM meter.tail_event
	GROUP BY customer_id, usage_date, NULL::xid
)
SELECT customer_id, usage_date, (sums).cost, (sums).credits, (sums).events, (sums).unpriced_cost, (sums).unpriced_credits
FROM rated;
COMMENT ON VIEW meter.tail_cost IS 'What the events that views add to the roll-up cost and took in credits, by customer and day. Its columns are those of meter.cost_by_day.';

CREATE VIEW meter.tail_breakdown AS
WITH rated AS NOT MATERIALIZED (
	SELECT
		customer_id, usage_date,
		meter.break_down((SELECT cost FROM meter.event_card), (SELECT credit FROM meter.event_card), item, credited_action, occurred_at, usage, variant, sign, action, outcome, request_class) AS sums
	FROM meter.tail_event
	GROUP BY customer_id, usage_date, NULL::xid
)
SELECT customer_id, usage_date, (sums).breakdown
FROM rated;
COMMENT ON VIEW meter.tail_breakdown IS 'What the events that views add to the roll-up are, cost and took in credits, by customer and day, as meter.usage_day has it.';

CREATE VIEW meter.event_cost_part AS
SELECT customer_id, usage_date, cost, credits, events, unpriced_cost, unpriced_credits
FROM meter.rolled_up_day
UNION ALL
SELECT customer_id, usage_date, cost, credits, events, unpriced_cost, unpriced_credits
FROM meter.tail_cost;
COMMENT ON VIEW meter.event_cost_part IS 'What meter.event_cost_by_day merges, for reports that add up anyway: every event in meter.usage_event that is committed, in exactly one row. A customer''s day has a second row where the roll-up has a part of its events only, so sum the rows, and do not count them.';

CREATE VIEW meter.rolled_up_month AS
SELECT customer_id, usage_month, cost, credits, events, unpriced_cost, unpriced_credits, breakdown
FROM meter.usage_month
WHERE NOT EXISTS (SELECT FROM meter.usage_mark)
	AND (SELECT meter.consumed_txids() <> '{}')
	AND breakdown IS NOT NULL
UNION ALL
SELECT month.customer_id, month.usage_month, month.cost, month.credits, month.events, month.unpriced_cost, month.unpriced_credits, days.breakdown
FROM meter.usage_month AS month
CROSS JOIN LATERAL (
	SELECT meter.sum(day.breakdown) AS breakdown
	FROM meter.usage_day AS day
	WHERE day.customer_id = month.customer_id
		AND day.usage_date >= month.usage_month
		AND day.usage_date < (month.usage_month + interval '1 month')::date
) AS days
WHERE NOT EXISTS (SELECT FROM meter.usage_mark)
	AND (SELECT meter.consumed_txids() <> '{}')
	AND month.without_breakdown
UNION ALL
/* While a day is stale, months are made of the days that are not. */
SELECT
	customer_id,
	meter.month_start(usage_date) AS usage_month,
	sum(cost),
	sum(credits),
	sum(events)::bigint,
	sum(unpriced_cost)::bigint,
	sum(unpriced_credits)::bigint,
	meter.sum(breakdown)
FROM meter.rolled_up_day
WHERE EXISTS (SELECT FROM meter.usage_mark)
	OR (SELECT meter.consumed_txids() = '{}')
GROUP BY customer_id, usage_month;
COMMENT ON VIEW meter.rolled_up_month IS 'What meter.rolled_up_day adds up to by month. The columns are those of meter.usage_month, but for without_breakdown.';

CREATE VIEW meter.event_cost_month_part AS
SELECT customer_id, usage_month, cost, credits, events, unpriced_cost, unpriced_credits
FROM meter.rolled_up_month
UNION ALL
SELECT customer_id, meter.month_start(usage_date), cost, credits, events, unpriced_cost, unpriced_credits
FROM meter.tail_cost;
COMMENT ON VIEW meter.event_cost_month_part IS 'What meter.cost_by_month adds up of the events in meter.usage_event: every one that is committed, in exactly one row. A customer''s month may have several rows, so sum them, and do not count them.';

/*
 * Only days that have other events are merged: all others come as the roll-up has them,
 * without a hash or a sort. OFFSET 0 keeps what the roll-up has of a tail's day to an
 * index scan each: it is not all read again.
 */
CREATE VIEW meter.event_by_day AS
SELECT
	rolled_up.customer_id, rolled_up.usage_date,
	entry.item, entry.action, entry.variant, entry.outcome, entry.request_class,
	entry.events, entry.usage, entry.cost, entry.credits, entry.unpriced_cost, entry.unpriced_credits
FROM meter.rolled_up_day AS rolled_up
CROSS JOIN LATERAL meter.entries(rolled_up.breakdown) AS entry
WHERE NOT EXISTS (
	SELECT FROM meter.tail_dates
	WHERE tail_dates.customer_id = rolled_up.customer_id
		AND tail_dates.first_date <= rolled_up.usage_date
		AND tail_dates.dates @> rolled_up.usage_date)
UNION ALL
SELECT
	tail.customer_id, tail.usage_date,
	entry.item, entry.action, entry.variant, entry.outcome, entry.request_class,
	entry.events, entry.usage, entry.cost, entry.credits, entry.unpriced_cost, entry.unpriced_credits
FROM meter.tail_breakdown AS tail
LEFT JOIN LATERAL (
	SELECT day.breakdown
	FROM meter.rolled_up_day AS day
	WHERE day.customer_id = tail.customer_id
		AND day.usage_date = tail.usage_date
	OFFSET 0
) AS rolled_up ON true
CROSS JOIN LATERAL meter.entries(CASE WHEN rolled_up.breakdown IS NULL THEN tail.breakdown ELSE meter.add(rolled_up.breakdown, tail.breakdown) END) AS entry;
COMMENT ON VIEW meter.event_by_day IS 'Usage, cost and credits by customer and day, of every event in meter.usage_event that is committed, and of no attached table: what invoices are made of. The roll-up, the events it does not have yet, and the marked days from the events. The columns are those of meter.usage_daily. It never depends on when meter.refresh ran; only its speed does.';

CREATE VIEW meter.event_cost_by_day AS
SELECT rolled_up.customer_id, rolled_up.usage_date, rolled_up.cost, rolled_up.credits, rolled_up.events, rolled_up.unpriced_cost, rolled_up.unpriced_credits
FROM meter.rolled_up_day AS rolled_up
WHERE NOT EXISTS (
	SELECT FROM meter.tail_dates
	WHERE tail_dates.customer_id = rolled_up.customer_id
		AND tail_dates.first_date <= rolled_up.usage_date
		AND tail_dates.dates @> rolled_up.usage_date)
UNION ALL
SELECT
	tail.customer_id,
	tail.usage_date,
	trim_scale(tail.cost + coalesce(rolled_up.cost, 0)) AS cost,
	trim_scale(tail.credits + coalesce(rolled_up.credits, 0)) AS credits,
	tail.events + coalesce(rolled_up.events, 0) AS events,
	tail.unpriced_cost + coalesce(rolled_up.unpriced_cost, 0) AS unpriced_cost,
	tail.unpriced_credits + coalesce(rolled_up.unpriced_credits, 0) AS unpriced_credits
FROM meter.tail_cost AS tail
LEFT JOIN LATERAL (
	SELECT day.cost, day.credits, day.events, day.unpriced_cost, day.unpriced_credits
	FROM meter.rolled_up_day AS day
	WHERE day.customer_id = tail.customer_id
		AND day.usage_date = tail.usage_date
	OFFSET 0
) AS rolled_up ON true;
COMMENT ON VIEW meter.event_cost_by_day IS 'What each customer cost and took in credits on each day, of every event in meter.usage_event that is committed, and of no attached table: meter.event_by_day added up, one row a customer and day, and a good deal faster.';

CREATE VIEW meter.attached_by_day AS
WITH rated AS NOT MATERIALIZED (
	SELECT
		attachment, customer_id, usage_date, item, action, variant, outcome, request_class,
		meter.event_sums((SELECT cost FROM meter.event_card), (SELECT credit FROM meter.event_card), item, credited_action, occurred_at, usage, variant, 1::smallint) AS sums
	FROM meter.attached_event
	WHERE live
	GROUP BY attachment, customer_id, usage_date, item, action, variant, outcome, request_class
), part AS NOT MATERIALIZED (
	SELECT attachment, customer_id, usage_date, item, action, variant, outcome, request_class, events, usage, cost, credits, unpriced_cost, unpriced_credits
	FROM meter.attached_daily
	UNION ALL
	SELECT attachment, customer_id, usage_date, item, action, variant, outcome, request_class, (sums).events, (sums).usage, (sums).cost, (sums).credits, (sums).unpriced_cost, (sums).unpriced_credits
	FROM rated
)
SELECT
	attachment, customer_id, usage_date, item, action, variant, outcome, request_class,
	sum(events)::bigint AS events,
	sum(usage) AS usage,
	trim_scale(sum(cost)) AS cost,
	trim_scale(sum(credits)) AS credits,
	sum(unpriced_cost)::bigint AS unpriced_cost,
	sum(unpriced_credits)::bigint AS unpriced_credits
FROM part
GROUP BY attachment, customer_id, usage_date, item, action, variant, outcome, request_class;
COMMENT ON VIEW meter.attached_by_day IS 'Usage, cost and credits by attachment, customer and day, of attached tables: the rolled-up days, and the others from the table, to the last committed row. It serves reports, never invoices.';

CREATE VIEW meter.usage_part AS
SELECT * FROM meter.event_part
UNION ALL
SELECT customer_id, usage_date, item, action, variant, outcome, request_class, events, usage, cost, credits, unpriced_cost, unpriced_credits
FROM meter.attached_by_day
CROSS JOIN meter.is_attached
WHERE attached;
COMMENT ON VIEW meter.usage_part IS 'What meter.usage_by_day merges, for reports that add up anyway: every event and every row of an attached table that is committed, in exactly one row. A key may have several rows, so sum them, and do not count them. The columns are those of meter.usage_daily.';

CREATE VIEW meter.cost_part AS
SELECT * FROM meter.event_cost_part
UNION ALL
SELECT customer_id, usage_date, cost, credits, events, unpriced_cost, unpriced_credits
FROM meter.attached_by_day
CROSS JOIN meter.is_attached
WHERE attached;
COMMENT ON VIEW meter.cost_part IS 'What meter.cost_by_day merges, for reports that add up anyway: every event and every row of an attached table that is committed, in exactly one row. A customer''s day may have several rows, so sum them, and do not count them.';

/*
 * While nothing is attached, is_attached is the constant false: the last part is not even
 * planned, and the others are those of event_by_day.
 */
CREATE VIEW meter.usage_by_day AS
SELECT day.*
FROM meter.event_by_day AS day
CROSS JOIN meter.is_attached
WHERE NOT attached
UNION ALL
SELECT
	customer_id, usage_date, item, action, variant, outcome, request_class,
	sum(events)::bigint AS events,
	sum(usage) AS usage,
	trim_scale(sum(cost)) AS cost,
	trim_scale(sum(credits)) AS credits,
	sum(unpriced_cost)::bigint AS unpriced_cost,
	sum(unpriced_credits)::bigint AS unpriced_credits
FROM meter.usage_part
CROSS JOIN meter.is_attached
WHERE attached
GROUP BY customer_id, usage_date, item, action, variant, outcome, request_class;
COMMENT ON VIEW meter.usage_by_day IS 'Usage, cost and credits by customer and day, of every event and every row of an attached table that is committed: meter.event_by_day and meter.attached_by_day together. The columns are those of meter.usage_daily. It never depends on when meter.refresh ran; only its speed does. It serves reports; invoices are made of meter.event_by_day.';

CREATE VIEW meter.cost_by_day AS
SELECT day.*
FROM meter.event_cost_by_day AS day
CROSS JOIN meter.is_attached
WHERE NOT attached
UNION ALL
SELECT
	customer_id, usage_date,
	trim_scale(sum(cost)) AS cost,
	trim_scale(sum(credits)) AS credits,
	sum(events)::bigint AS events,
	sum(unpriced_cost)::bigint AS unpriced_cost,
	sum(unpriced_credits)::bigint AS unpriced_credits
FROM meter.cost_part
CROSS JOIN meter.is_attached
WHERE attached
GROUP BY customer_id, usage_date;
COMMENT ON VIEW meter.cost_by_day IS 'What each customer cost and took in credits on each day, of every event and every row of an attached table that is committed: meter.usage_by_day added up, one row a customer and day, and a good deal faster.';

CREATE VIEW meter.usage_month_part AS
SELECT
	month.customer_id, month.usage_month,
	entry.item, entry.action, entry.variant, entry.outcome, entry.request_class,
	entry.events, entry.usage, entry.cost, entry.credits, entry.unpriced_cost, entry.unpriced_credits
FROM meter.rolled_up_month AS month
CROSS JOIN LATERAL meter.entries(month.breakdown) AS entry
UNION ALL
SELECT customer_id, meter.month_start(usage_date), item, action, variant, outcome, request_class, events, usage, cost, credits, unpriced_cost, unpriced_credits
FROM meter.tail_usage
UNION ALL
SELECT customer_id, meter.month_start(usage_date), item, action, variant, outcome, request_class, events, usage, cost, credits, unpriced_cost, unpriced_credits
FROM meter.attached_by_day
CROSS JOIN meter.is_attached
WHERE attached;
COMMENT ON VIEW meter.usage_month_part IS 'What meter.usage_by_month merges, for reports that add up anyway: every event and every row of an attached table that is committed, in exactly one row. A key may have several rows, so sum them, and do not count them.';

CREATE VIEW meter.month_breakdown_part AS
SELECT customer_id, usage_month, breakdown
FROM meter.rolled_up_month
UNION ALL
SELECT customer_id, meter.month_start(usage_date), breakdown
FROM meter.tail_breakdown;
COMMENT ON VIEW meter.month_breakdown_part IS 'The breakdowns that meter.usage_month_part makes rows of, but for attached tables: to add them up first and make rows then takes half as long. A customer''s month may have several.';

CREATE VIEW meter.usage_by_month AS
SELECT
	month.customer_id,
	month.usage_month,
	entry.item, entry.action, entry.variant, entry.outcome, entry.request_class,
	entry.events, entry.usage, entry.cost, entry.credits, entry.unpriced_cost, entry.unpriced_credits
FROM (
	SELECT customer_id, usage_month, meter.sum(breakdown) AS breakdown
	FROM meter.month_breakdown_part
	GROUP BY customer_id, usage_month, NULL::xid
) AS month
CROSS JOIN meter.is_attached
CROSS JOIN LATERAL meter.entries(month.breakdown) AS entry
WHERE NOT attached
UNION ALL
SELECT
	customer_id,
	usage_month,
	item, action, variant, outcome, request_class,
	sum(events)::bigint AS events,
	sum(usage) AS usage,
	trim_scale(sum(cost)) AS cost,
	trim_scale(sum(credits)) AS credits,
	sum(unpriced_cost)::bigint AS unpriced_cost,
	sum(unpriced_credits)::bigint AS unpriced_credits
FROM meter.usage_month_part
CROSS JOIN meter.is_attached
WHERE attached
GROUP BY customer_id, usage_month, item, action, variant, outcome, request_class;
COMMENT ON VIEW meter.usage_by_month IS 'meter.usage_by_day by month of the customer''s calendar: usage_month is the month''s first day.';

CREATE VIEW meter.cost_month_part AS
SELECT * FROM meter.event_cost_month_part
UNION ALL
SELECT customer_id, meter.month_start(usage_date), cost, credits, events, unpriced_cost, unpriced_credits
FROM meter.attached_by_day
CROSS JOIN meter.is_attached
WHERE attached;
COMMENT ON VIEW meter.cost_month_part IS 'What meter.cost_by_month merges, for reports that add up anyway: every event and every row of an attached table that is committed, in exactly one row. A customer''s month may have several rows, so sum them, and do not count them.';

CREATE VIEW meter.cost_by_month AS
SELECT
	customer_id,
	usage_month,
	trim_scale(sum(cost)) AS cost,
	trim_scale(sum(credits)) AS credits,
	sum(events)::bigint AS events,
	sum(unpriced_cost)::bigint AS unpriced_cost,
	sum(unpriced_credits)::bigint AS unpriced_credits
FROM meter.cost_month_part
GROUP BY customer_id, usage_month;
COMMENT ON VIEW meter.cost_by_month IS 'What each customer cost and took in credits in each month of its calendar, of every event and every row of an attached table that is committed: meter.cost_by_day added up, from sums that are kept, and so the quickest of all. usage_month is the month''s first day.';

CREATE VIEW meter.unknown_name AS
WITH used AS (
	SELECT 'customer' AS kind, customer_id AS name, events, usage_date
	FROM meter.usage_part
	WHERE NOT EXISTS (SELECT FROM meter.customer WHERE customer.customer_id = usage_part.customer_id)
	UNION ALL
	SELECT 'item', item, events, usage_date
	FROM meter.usage_part
	WHERE item IS NOT NULL
		AND NOT EXISTS (SELECT FROM meter.item WHERE item.item = usage_part.item)
	UNION ALL
	SELECT 'action', action, events, usage_date
	FROM meter.usage_part
	WHERE action IS NOT NULL
		AND NOT EXISTS (SELECT FROM meter.action WHERE action.action = usage_part.action)
)
SELECT
	kind,
	name,
	sum(events)::bigint AS events,
	min(usage_date) AS first_date,
	max(usage_date) AS last_date
FROM used
GROUP BY kind, name;
COMMENT ON VIEW meter.unknown_name IS 'Customers, items and actions that events have and meter.customer, meter.item or meter.action has not: new ones, or names misspelt. Their usage counts like any other.';

CREATE VIEW meter.unpriced_usage AS
WITH candidate AS (
	SELECT customer_id, usage_date, item, action, variant, outcome, request_class, sum(unpriced_cost) AS unpriced_cost, sum(unpriced_credits) AS unpriced_credits
	FROM meter.event_part
	WHERE unpriced_cost <> 0
		OR unpriced_credits <> 0
	GROUP BY customer_id, usage_date, item, action, variant, outcome, request_class
	HAVING sum(unpriced_cost) <> 0
		OR sum(unpriced_credits) <> 0
), bound AS (
	SELECT
		timezone('UTC', (min(usage_date) - 3)::timestamp) AS first_at,
		timezone('UTC', (max(usage_date) + 3)::timestamp) AS end_at
	FROM candidate
	WHERE usage_date >= (SELECT horizon FROM meter.horizon)
), attached_candidate AS (
	SELECT attachment, customer_id, usage_date, item, action, variant, outcome, request_class, unpriced_cost, unpriced_credits
	FROM meter.attached_by_day
	WHERE unpriced_cost <> 0
		OR unpriced_credits <> 0
), attached_bound AS (
	SELECT
		timezone('UTC', (min(usage_date) - 3)::timestamp) AS first_at,
		timezone('UTC', (max(usage_date) + 3)::timestamp) AS end_at
	FROM attached_candidate
), event AS (
	SELECT event.item, event.credited_action, event.variant, event.occurred_at, event.usage, event.sign, event.usage_date, candidate.unpriced_cost, candidate.unpriced_credits
	FROM candidate
	JOIN meter.dated_event AS event USING (customer_id, usage_date, variant)
	WHERE event.occurred_at >= (SELECT first_at FROM bound)
		AND event.occurred_at < (SELECT end_at FROM bound)
		AND candidate.usage_date >= (SELECT horizon FROM meter.horizon)
		AND event.item IS NOT DISTINCT FROM candidate.item
		AND event.action IS NOT DISTINCT FROM candidate.action
		AND event.outcome IS NOT DISTINCT FROM candidate.outcome
		AND event.request_class IS NOT DISTINCT FROM candidate.request_class
	UNION ALL
	SELECT event.item, event.credited_action, event.variant, event.occurred_at, event.usage, 1, event.usage_date, candidate.unpriced_cost, candidate.unpriced_credits
	FROM attached_candidate AS candidate
	JOIN meter.attached_event AS event USING (attachment, customer_id, usage_date, variant)
	WHERE event.occurred_at >= (SELECT first_at FROM attached_bound)
		AND event.occurred_at < (SELECT end_at FROM attached_bound)
		AND event.item IS NOT DISTINCT FROM candidate.item
		AND event.action IS NOT DISTINCT FROM candidate.action
		AND event.outcome IS NOT DISTINCT FROM candidate.outcome
		AND event.request_class IS NOT DISTINCT FROM candidate.request_class
), unpriced AS (
	SELECT 'cost' AS card, item, variant, line.unit, line.quantity, sign, usage_date
	FROM event
	CROSS JOIN LATERAL meter.cost_lines((SELECT cost FROM meter.event_card), item, occurred_at, usage, variant) AS line
	WHERE unpriced_cost <> 0
		AND meter.unpriced((SELECT cost FROM meter.event_card), item, occurred_at, usage, variant)
		AND line.amount IS NULL
	UNION ALL
	SELECT 'credit', credited_action, variant, line.unit, line.quantity, sign, usage_date
	FROM event
	CROSS JOIN LATERAL meter.cost_lines((SELECT credit FROM meter.event_card), credited_action, occurred_at, usage, variant) AS line
	WHERE unpriced_credits <> 0
		AND meter.unpriced((SELECT credit FROM meter.event_card), credited_action, occurred_at, usage, variant)
		AND line.amount IS NULL
	UNION ALL
	/* Of purged days nobody can say any more in which units. */
	SELECT 'cost', item, variant, NULL, NULL, unpriced_cost, usage_date
	FROM candidate
	WHERE usage_date < (SELECT horizon FROM meter.horizon)
		AND unpriced_cost <> 0
	UNION ALL
	SELECT 'credit', action, variant, NULL, NULL, unpriced_credits, usage_date
	FROM candidate
	WHERE usage_date < (SELECT horizon FROM meter.horizon)
		AND unpriced_credits <> 0
)
SELECT
	card,
	item,
	variant,
	unit,
	trim_scale(sum(quantity)) AS quantity,
	sum(sign)::bigint AS events,
	min(usage_date) AS first_date,
	max(usage_date) AS last_date
FROM unpriced
GROUP BY card, item, variant, unit
HAVING sum(sign) <> 0
	OR sum(quantity) <> 0;
COMMENT ON VIEW meter.unpriced_usage IS 'What has been used and has no rate, by card, item (of card credit: action), variant and unit: the quantity, in how many events, and on which dates. Insert the missing rates into meter.rate: what was used before is rated by them as well, but for purged days, whose unit and quantity are NULL, and for rolled-up days of attached tables: CALL meter.refresh_attached rates those anew.';

CREATE FUNCTION meter.audit_attached(customer_id text DEFAULT NULL, dates daterange DEFAULT NULL)
	RETURNS TABLE (attachment text, of_customer text, usage_date date, item text, action text, variant text, outcome text, request_class text, shown jsonb, rebuilt jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH checked AS (
		SELECT
			attachment.name AS attachment,
			CASE
				WHEN audit_attached.dates IS NULL THEN attachment.rolled_up_until - greatest(attachment.window_days, 1)
				ELSE '-infinity'
			END AS since
		FROM meter.attachment
		WHERE attachment.connected
	), shown AS (
		SELECT
			daily.attachment, daily.customer_id, daily.usage_date, daily.item, daily.action, daily.variant, daily.outcome, daily.request_class,
			jsonb_build_object(
				'attachment', daily.attachment,
				'events', sum(daily.events),
				'usage', sum(daily.usage)::jsonb,
				'cost', trim_scale(sum(daily.cost)),
				'credits', trim_scale(sum(daily.credits)),
				'unpriced_cost', sum(daily.unpriced_cost),
				'unpriced_credits', sum(daily.unpriced_credits)) AS sums
		FROM meter.attached_daily AS daily
		JOIN checked ON checked.attachment = daily.attachment
			AND daily.source_date >= checked.since
		WHERE (audit_attached.customer_id IS NULL OR daily.customer_id = audit_attached.customer_id)
			AND (audit_attached.dates IS NULL OR daily.usage_date <@ audit_attached.dates)
		GROUP BY daily.attachment, daily.customer_id, daily.usage_date, daily.item, daily.action, daily.variant, daily.outcome, daily.request_class
	), rebuilt AS (
		SELECT
			event.attachment, event.customer_id, event.usage_date, event.item, event.action, event.variant, event.outcome, event.request_class,
			jsonb_build_object(
				'attachment', event.attachment,
				'events', count(*),
				'usage', sum(event.usage)::jsonb,
				'cost', coalesce(sum(meter.cost((SELECT card.cost FROM meter.event_card AS card), event.item, event.occurred_at, event.usage, event.variant)), 0),
				'credits', coalesce(sum(meter.cost((SELECT card.credit FROM meter.event_card AS card), event.credited_action, event.occurred_at, event.usage, event.variant)), 0),
				'unpriced_cost', count(*) FILTER (WHERE meter.cost((SELECT card.cost FROM meter.event_card AS card), event.item, event.occurred_at, event.usage, event.variant) IS NULL),
				'unpriced_credits', count(*) FILTER (WHERE meter.cost((SELECT card.credit FROM meter.event_card AS card), event.credited_action, event.occurred_at, event.usage, event.variant) IS NULL)) AS sums
		FROM meter.attached_event AS event
		JOIN checked ON checked.attachment = event.attachment
			AND event.occurred_at >= timezone('UTC', checked.since::timestamp)
		WHERE NOT event.live
			AND (audit_attached.customer_id IS NULL OR event.customer_id = audit_attached.customer_id)
			AND (audit_attached.dates IS NULL OR event.usage_date <@ audit_attached.dates)
		GROUP BY event.attachment, event.customer_id, event.usage_date, event.item, event.action, event.variant, event.outcome, event.request_class
	)
	SELECT
		coalesce(shown.attachment, rebuilt.attachment),
		coalesce(shown.customer_id, rebuilt.customer_id),
		coalesce(shown.usage_date, rebuilt.usage_date),
		coalesce(shown.item, rebuilt.item),
		coalesce(shown.action, rebuilt.action),
		coalesce(shown.variant, rebuilt.variant),
		coalesce(shown.outcome, rebuilt.outcome),
		coalesce(shown.request_class, rebuilt.request_class),
		shown.sums,
		rebuilt.sums
	FROM shown
	FULL JOIN rebuilt ON shown.attachment = rebuilt.attachment
		AND shown.customer_id = rebuilt.customer_id
		AND shown.usage_date = rebuilt.usage_date
		AND coalesce(shown.item, '') = coalesce(rebuilt.item, '')
		AND coalesce(shown.action, '') = coalesce(rebuilt.action, '')
		AND shown.variant = rebuilt.variant
		AND coalesce(shown.outcome, '') = coalesce(rebuilt.outcome, '')
		AND coalesce(shown.request_class, '') = coalesce(rebuilt.request_class, '')
	WHERE shown.sums IS DISTINCT FROM rebuilt.sums
	ORDER BY 1, 2, 3, 4, 5, 6, 7, 8;
END;
COMMENT ON FUNCTION meter.audit_attached(text, daterange) IS 'Compares meter.attached_daily with a rebuild from the attached tables, and returns the rows that differ: those that came late or changed after they were rolled up, and those whose rates have changed since. Without dates it compares, for each attachment, as many rolled-up days as its window has, the youngest; with dates these, of which the table may not have the rows any more. CALL meter.refresh_attached(name, since) rolls days up anew.';
REVOKE ALL ON FUNCTION meter.audit_attached(text, daterange) FROM PUBLIC;

CREATE FUNCTION meter.audit(customer_id text DEFAULT NULL, dates daterange DEFAULT NULL)
	RETURNS TABLE (of_customer text, usage_date date, item text, action text, variant text, outcome text, request_class text, shown jsonb, rebuilt jsonb)
LANGUAGE sql STABLE
SET jit = off
BEGIN ATOMIC
	WITH shown AS (
		SELECT
			day.customer_id, day.usage_date, day.item, day.action, day.variant, day.outcome, day.request_class,
			jsonb_build_object('events', day.events, 'usage', day.usage::jsonb, 'cost', day.cost, 'credits', day.credits, 'unpriced_cost', day.unpriced_cost, 'unpriced_credits', day.unpriced_credits) AS sums
		FROM meter.event_by_day AS day
		WHERE day.usage_date >= (SELECT horizon.horizon FROM meter.horizon)
			AND (audit.customer_id IS NULL OR day.customer_id = audit.customer_id)
			AND (audit.dates IS NULL OR day.usage_date <@ audit.dates)
	), rebuilt AS (
		SELECT
			event.customer_id, event.usage_date, event.item, event.action, event.variant, event.outcome, event.request_class,
			jsonb_build_object(
				'events', sum(event.sign),
				'usage', sum(event.usage)::jsonb,
				'cost', coalesce(sum(meter.cost((SELECT card.cost FROM meter.event_card AS card), event.item, event.occurred_at, event.usage, event.variant)), 0),
				'credits', coalesce(sum(meter.cost((SELECT card.credit FROM meter.event_card AS card), event.credited_action, event.occurred_at, event.usage, event.variant)), 0),
				'unpriced_cost', coalesce(sum(event.sign) FILTER (WHERE meter.cost((SELECT card.cost FROM meter.event_card AS card), event.item, event.occurred_at, event.usage, event.variant) IS NULL), 0),
				'unpriced_credits', coalesce(sum(event.sign) FILTER (WHERE meter.cost((SELECT card.credit FROM meter.event_card AS card), event.credited_action, event.occurred_at, event.usage, event.variant) IS NULL), 0)) AS sums
		FROM meter.dated_event AS event
		WHERE event.usage_date >= (SELECT horizon.horizon FROM meter.horizon)
			AND (audit.customer_id IS NULL OR event.customer_id = audit.customer_id)
			AND (audit.dates IS NULL OR event.usage_date <@ audit.dates)
		GROUP BY event.customer_id, event.usage_date, event.item, event.action, event.variant, event.outcome, event.request_class
	), shown_day AS (
		SELECT
			day.customer_id, day.usage_date,
			jsonb_build_object('events', day.events, 'cost', day.cost, 'credits', day.credits, 'unpriced_cost', day.unpriced_cost, 'unpriced_credits', day.unpriced_credits) AS sums
		FROM meter.event_cost_by_day AS day
		WHERE day.usage_date >= (SELECT horizon.horizon FROM meter.horizon)
			AND (audit.customer_id IS NULL OR day.customer_id = audit.customer_id)
			AND (audit.dates IS NULL OR day.usage_date <@ audit.dates)
	), rebuilt_day AS (
		SELECT
			rebuilt.customer_id, rebuilt.usage_date,
			jsonb_build_object(
				'events', sum((rebuilt.sums ->> 'events')::bigint),
				'cost', sum((rebuilt.sums ->> 'cost')::numeric),
				'credits', sum((rebuilt.sums ->> 'credits')::numeric),
				'unpriced_cost', sum((rebuilt.sums ->> 'unpriced_cost')::bigint),
				'unpriced_credits', sum((rebuilt.sums ->> 'unpriced_credits')::bigint)) AS sums
		FROM rebuilt
		GROUP BY rebuilt.customer_id, rebuilt.usage_date
	), shown_month AS (
		SELECT
			month.customer_id, month.usage_month,
			jsonb_build_object('usage_month', month.usage_month, 'events', sum(month.events), 'cost', trim_scale(sum(month.cost)), 'credits', trim_scale(sum(month.credits)), 'unpriced_cost', sum(month.unpriced_cost), 'unpriced_credits', sum(month.unpriced_credits)) AS sums
		FROM meter.event_cost_month_part AS month
		WHERE (audit.customer_id IS NULL OR month.customer_id = audit.customer_id)
			AND (audit.dates IS NULL OR daterange(month.usage_month, (month.usage_month + interval '1 month')::date) && audit.dates)
		GROUP BY month.customer_id, month.usage_month
	), added_month AS (
		/* The days are compared with the events above, and months with all of their days. */
		SELECT
			day.customer_id, day.usage_month,
			jsonb_build_object('usage_month', day.usage_month, 'events', sum(day.events), 'cost', trim_scale(sum(day.cost)), 'credits', trim_scale(sum(day.credits)), 'unpriced_cost', sum(day.unpriced_cost), 'unpriced_credits', sum(day.unpriced_credits)) AS sums
		FROM (SELECT *, meter.month_start(part.usage_date) AS usage_month FROM meter.event_cost_part AS part) AS day
		WHERE (audit.customer_id IS NULL OR day.customer_id = audit.customer_id)
			AND (audit.dates IS NULL OR daterange(day.usage_month, (day.usage_month + interval '1 month')::date) && audit.dates)
		GROUP BY day.customer_id, day.usage_month
	)
	SELECT
		coalesce(shown.customer_id, rebuilt.customer_id),
		coalesce(shown.usage_date, rebuilt.usage_date),
		coalesce(shown.item, rebuilt.item),
		coalesce(shown.action, rebuilt.action),
		coalesce(shown.variant, rebuilt.variant),
		coalesce(shown.outcome, rebuilt.outcome),
		coalesce(shown.request_class, rebuilt.request_class),
		shown.sums,
		rebuilt.sums
	FROM shown
	FULL JOIN rebuilt ON shown.customer_id = rebuilt.customer_id
		AND shown.usage_date = rebuilt.usage_date
		AND coalesce(shown.item, '') = coalesce(rebuilt.item, '')
		AND coalesce(shown.action, '') = coalesce(rebuilt.action, '')
		AND shown.variant = rebuilt.variant
		AND coalesce(shown.outcome, '') = coalesce(rebuilt.outcome, '')
		AND coalesce(shown.request_class, '') = coalesce(rebuilt.request_class, '')
	WHERE shown.sums IS DISTINCT FROM rebuilt.sums
	UNION ALL
	SELECT
		coalesce(shown_day.customer_id, rebuilt_day.customer_id),
		coalesce(shown_day.usage_date, rebuilt_day.usage_date),
		NULL, NULL, NULL, NULL, NULL,
		shown_day.sums,
		rebuilt_day.sums
	FROM shown_day
	FULL JOIN rebuilt_day ON shown_day.customer_id = rebuilt_day.customer_id
		AND shown_day.usage_date = rebuilt_day.usage_date
	WHERE shown_day.sums IS DISTINCT FROM rebuilt_day.sums
	UNION ALL
	SELECT
		coalesce(shown_month.customer_id, added_month.customer_id),
		coalesce(shown_month.usage_month, added_month.usage_month),
		NULL, NULL, NULL, NULL, NULL,
		shown_month.sums,
		added_month.sums
	FROM shown_month
	FULL JOIN added_month ON shown_month.customer_id = added_month.customer_id
		AND shown_month.usage_month = added_month.usage_month
	WHERE shown_month.sums IS DISTINCT FROM added_month.sums
	UNION ALL
	SELECT
		coalesce(month.customer_id, days.customer_id),
		coalesce(month.usage_month, days.usage_month),
		NULL, NULL, NULL, NULL, NULL,
		jsonb_build_object('usage_month', month.usage_month, 'breakdown', month.breakdown::jsonb),
		jsonb_build_object('usage_month', days.usage_month, 'breakdown', days.breakdown::jsonb)
	FROM (SELECT * FROM meter.rolled_up_month AS rolled_up WHERE (audit.customer_id IS NULL OR rolled_up.customer_id = audit.customer_id)) AS month
	FULL JOIN (
		SELECT day.customer_id, meter.month_start(day.usage_date) AS usage_month, meter.sum(day.breakdown) AS breakdown
		FROM meter.rolled_up_day AS day
		WHERE (audit.customer_id IS NULL OR day.customer_id = audit.customer_id)
		GROUP BY 1, 2
	) AS days ON days.customer_id = month.customer_id
		AND days.usage_month = month.usage_month
	WHERE month.breakdown::text IS DISTINCT FROM days.breakdown::text
		AND (audit.dates IS NULL OR daterange(coalesce(month.usage_month, days.usage_month), (coalesce(month.usage_month, days.usage_month) + interval '1 month')::date) && audit.dates)
	UNION ALL
	SELECT attached.of_customer, attached.usage_date, attached.item, attached.action, attached.variant, attached.outcome, attached.request_class, attached.shown, attached.rebuilt
	FROM meter.audit_attached(audit.customer_id, audit.dates) AS attached
	ORDER BY 1, 2, 3, 4, 5, 6, 7;
END;
COMMENT ON FUNCTION meter.audit(text, daterange) IS 'Compares meter.event_by_day with a rebuild from all events, of one customer and a range of dates or of all, from the horizon on, and returns the rows that differ, with the sums of both: none. A row without a variant is a day of meter.event_cost_by_day, which is compared as well, or, with a usage_month in its sums, a month that is not the sum of its days. It rates every event anew, by another way than the views. Attached tables are compared as meter.audit_attached does; their sums name the attachment.';
REVOKE ALL ON FUNCTION meter.audit(text, daterange) FROM PUBLIC;
