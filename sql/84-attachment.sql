/*
 * Usage in tables that the user already has: what is read of them, and their roll-up.
 *
 * Each attachment has a generated view meter.attached_NAME, and attached_row, which is
 * generated anew whenever one comes or goes, is their UNION ALL: so a condition on the
 * customer reaches the table's own index, and nothing attached costs nothing. A row is
 * either live or rolled up, by its instant alone: those from before the UTC date
 * rolled_up_until are in attached_daily, and all others are read from the table. Zones
 * play no part in that, so a customer that moves is not counted twice.
 */

CREATE TABLE meter.attachment (
	name text PRIMARY KEY
		CONSTRAINT attachment_name_is_a_name CHECK (name COLLATE "C" ~ '^[a-z][a-z0-9_]{0,49}$'),
	relation text NOT NULL
		CONSTRAINT attachment_relation_is_not_empty CHECK (relation <> ''),
	kind text NOT NULL DEFAULT 'own'
		CONSTRAINT attachment_kind_is_known CHECK (kind IN ('own', 'litellm', 'phoenix', 'langfuse')),
	customer text NOT NULL,
	at text NOT NULL,
	timezone text NOT NULL DEFAULT 'UTC'
		CONSTRAINT attachment_timezone_is_known CHECK (meter.period_start(timestamptz '2000-01-01 00:00:00+00', date '2000-01-01', '1 day', timezone) IS NOT NULL),
	item text,
	payload text,
	usage text,
	quantities jsonb
		CONSTRAINT attachment_quantities_are_an_object CHECK (jsonb_typeof(quantities) = 'object' AND quantities <> '{}'),
	event_id text,
	action text,
	variant text,
	outcome text,
	request_class text,
	user_id text,
	workflow_id text,
	tags text,
	filter text,
	window_days integer NOT NULL DEFAULT 7
		CONSTRAINT attachment_window_is_0_to_3650_days CHECK (window_days BETWEEN 0 AND 3650),
	serves text NOT NULL DEFAULT 'reports'
		CONSTRAINT attachment_serves_reports CHECK (serves = 'reports'),
	connected boolean NOT NULL DEFAULT true,
	rolled_up_until date
		CONSTRAINT attachment_rolled_up_until_is_finite CHECK (isfinite(rolled_up_until)),
	rolling_until date
		CONSTRAINT attachment_rolling_until_is_finite CHECK (isfinite(rolling_until)),
	refreshed_at timestamptz,
	attached_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	attached_by text NOT NULL DEFAULT session_user,
	CONSTRAINT attachment_has_usage_or_quantities CHECK (num_nonnulls(usage, quantities) = 1)
);
COMMENT ON TABLE meter.attachment IS 'The tables of one''s own that reports include, and what is read of them. An expression is SQL over the columns of the relation. meter.attach writes it; only window_days can be changed here. Attached usage serves reports, never invoices: nothing tells a row that came twice, late or changed. What is to be invoiced is copied into meter.usage_event.';
COMMENT ON COLUMN meter.attachment.name IS 'The name to call it by; its generated view is meter.attached_ and this name.';
COMMENT ON COLUMN meter.attachment.relation IS 'The qualified name of the table, view or foreign table.';
COMMENT ON COLUMN meter.attachment.kind IS 'Whose form the table has: own, or litellm, phoenix, langfuse from the ready mappings.';
COMMENT ON COLUMN meter.attachment.customer IS 'Expression of the customer_id.';
COMMENT ON COLUMN meter.attachment.at IS 'Expression of occurred_at, of type timestamptz or timestamp.';
COMMENT ON COLUMN meter.attachment.timezone IS 'The zone that a timestamp without one is in. Default UTC.';
COMMENT ON COLUMN meter.attachment.item IS 'Expression of the item. NULL: none.';
COMMENT ON COLUMN meter.attachment.payload IS 'Expression of a jsonb that usage and quantities can call payload, so that it is read once a row. NULL: none.';
COMMENT ON COLUMN meter.attachment.usage IS 'Expression of the usage, of type meter.usage. NULL: quantities say it.';
COMMENT ON COLUMN meter.attachment.quantities IS 'An expression of a whole or exact number for each unit, such as {"input_tokens": "prompt_tokens - cached_tokens"}. Buckets are disjoint. A NULL leaves the unit out. NULL: usage says it.';
COMMENT ON COLUMN meter.attachment.event_id IS 'Expression of the event_id. NULL: the rows have none.';
COMMENT ON COLUMN meter.attachment.action IS 'Expression of the action. NULL: none.';
COMMENT ON COLUMN meter.attachment.variant IS 'Expression of the variant. NULL: standard, as where the expression is NULL.';
COMMENT ON COLUMN meter.attachment.outcome IS 'Expression of the outcome: NULL, success, failure, pending or disputed. NULL: none.';
COMMENT ON COLUMN meter.attachment.request_class IS 'Expression of the request_class. NULL: none.';
COMMENT ON COLUMN meter.attachment.user_id IS 'Expression of the user_id. NULL: none.';
COMMENT ON COLUMN meter.attachment.workflow_id IS 'Expression of the workflow_id. NULL: none.';
COMMENT ON COLUMN meter.attachment.tags IS 'Expression of the tags, of type jsonb. NULL: none.';
COMMENT ON COLUMN meter.attachment.filter IS 'Condition that a row of the relation has to meet to be usage. NULL: every row.';
COMMENT ON COLUMN meter.attachment.window_days IS 'How many UTC days before today are never rolled up: as late as that a row may come or change.';
COMMENT ON COLUMN meter.attachment.serves IS 'Always reports: nothing attached is invoiced.';
COMMENT ON COLUMN meter.attachment.connected IS 'False after meter.detach(keep_days => true): only the days that are rolled up are reported.';
COMMENT ON COLUMN meter.attachment.rolled_up_until IS 'Rows from before this UTC date are in attached_daily; views read the others from the table. NULL: all.';
COMMENT ON COLUMN meter.attachment.rolling_until IS 'Rows from before this UTC date are being rolled up: of meaning inside of a refresh only.';
COMMENT ON COLUMN meter.attachment.refreshed_at IS 'When meter.refresh_attached last rolled something up.';
COMMENT ON COLUMN meter.attachment.attached_at IS 'When it was attached.';
COMMENT ON COLUMN meter.attachment.attached_by IS 'The role that was logged in.';

CREATE TABLE meter.attached_daily (
	attachment text NOT NULL,
	source_date date NOT NULL,
	customer_id text NOT NULL,
	usage_date date NOT NULL,
	item text,
	action text,
	variant text NOT NULL,
	outcome text,
	request_class text,
	events bigint NOT NULL,
	usage meter.usage NOT NULL,
	cost numeric NOT NULL,
	credits numeric NOT NULL,
	unpriced_cost bigint NOT NULL,
	unpriced_credits bigint NOT NULL,
	CONSTRAINT attached_daily_key UNIQUE NULLS NOT DISTINCT (customer_id, usage_date, item, action, variant, outcome, request_class, source_date, attachment)
);
CREATE INDEX attached_daily_source_idx ON meter.attached_daily (attachment, source_date);
COMMENT ON TABLE meter.attached_daily IS 'Usage, cost and credits by attachment, customer and day, of the rows of attached tables from before meter.attachment.rolled_up_until, as they were when they were rolled up. Read meter.attached_by_day, which has the others as well.';
COMMENT ON COLUMN meter.attached_daily.attachment IS 'The attachment.';
COMMENT ON COLUMN meter.attached_daily.source_date IS 'The UTC date of the rows: what is rolled up, and rolled up anew, as a whole.';
COMMENT ON COLUMN meter.attached_daily.customer_id IS 'Whose usage.';
COMMENT ON COLUMN meter.attached_daily.usage_date IS 'The date, in the customer''s time zone.';
COMMENT ON COLUMN meter.attached_daily.item IS 'What was consumed.';
COMMENT ON COLUMN meter.attached_daily.action IS 'What the customer did.';
COMMENT ON COLUMN meter.attached_daily.variant IS 'The way of consuming.';
COMMENT ON COLUMN meter.attached_daily.outcome IS 'The outcome, as the rows have it.';
COMMENT ON COLUMN meter.attached_daily.request_class IS 'The class of requests.';
COMMENT ON COLUMN meter.attached_daily.events IS 'How many rows.';
COMMENT ON COLUMN meter.attached_daily.usage IS 'The sum of usage.';
COMMENT ON COLUMN meter.attached_daily.cost IS 'The sum of what the priced rows cost, as in usage_daily, at the rates there were when they were rolled up.';
COMMENT ON COLUMN meter.attached_daily.credits IS 'The sum of what the priced rows take in credits, as in usage_daily.';
COMMENT ON COLUMN meter.attached_daily.unpriced_cost IS 'How many rows have a unit without a rate in card cost, and are not in cost.';
COMMENT ON COLUMN meter.attached_daily.unpriced_credits IS 'How many rows have a unit without a rate in card credit, and are not in credits.';

SELECT pg_extension_config_dump('meter.attachment', '');
SELECT pg_extension_config_dump('meter.attached_daily', '');

CREATE VIEW meter.attached_row AS
SELECT
	NULL::text AS attachment,
	NULL::boolean AS live,
	NULL::boolean AS due,
	NULL::text AS problem,
	NULL::jsonb AS source_row,
	NULL::text AS customer_id,
	NULL::text AS event_id,
	NULL::timestamptz AS occurred_at,
	NULL::text AS item,
	NULL::meter.usage AS usage,
	NULL::text AS action,
	NULL::text AS variant,
	NULL::text AS outcome,
	NULL::text AS request_class,
	NULL::text AS user_id,
	NULL::text AS workflow_id,
	NULL::jsonb AS tags
WHERE false;
COMMENT ON VIEW meter.attached_row IS 'All rows of all attached tables as events: the views meter.attached_NAME together. meter.attach and meter.detach generate it. live: it is not in attached_daily; due: it is being rolled up; problem: why it is no event, and is left out.';

CREATE VIEW meter.attached_event AS
SELECT
	event.attachment,
	event.live,
	event.due,
	event.customer_id,
	event.event_id,
	event.occurred_at,
	/* A condition on the date may be evaluated first: an instant that no event has, infinity among them, has none. */
	CASE
		WHEN event.occurred_at >= '1970-01-01 00:00:00+00' AND event.occurred_at < '10000-01-01 00:00:00+00'
			THEN least(meter.usage_date(event.occurred_at, coalesce(span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), span.last_date)
	END AS usage_date,
	event.item,
	event.usage,
	event.action,
	CASE WHEN event.outcome IS NULL OR event.outcome = 'success' THEN event.action END AS credited_action,
	event.variant,
	event.outcome,
	event.request_class,
	event.user_id,
	event.workflow_id,
	event.tags
FROM meter.attached_row AS event
LEFT JOIN meter.customer_zone_span AS span
	ON span.customer_id = event.customer_id
	AND event.occurred_at >= span.starts
	AND event.occurred_at < span.ends
WHERE event.problem IS NULL;
COMMENT ON VIEW meter.attached_event IS 'The rows of attached tables that are events, as meter.dated_event has those of meter.usage_event. live: it is not in attached_daily; due: it is being rolled up.';

CREATE VIEW meter.attached_problem AS
SELECT attachment, event_id, problem, source_row AS row
FROM meter.attached_row
WHERE problem IS NOT NULL
UNION ALL
SELECT name, NULL, format('relation %s is not connected: nothing of it is reported but the days that are rolled up', relation), NULL
FROM meter.attachment
WHERE connected
	AND to_regclass(format('meter.%I', 'attached_' || name)) IS NULL
UNION ALL
SELECT attachment, NULL, format('%s rolled-up rows had a unit without a rate: once it has one, CALL meter.refresh_attached(%L, since => %L)', sum(greatest(unpriced_cost, unpriced_credits)), attachment, min(source_date)), NULL
FROM meter.attached_daily
WHERE unpriced_cost > 0
	OR unpriced_credits > 0
GROUP BY attachment;
COMMENT ON VIEW meter.attached_problem IS 'What of attached tables is not reported as it should be, and why: rows that are left out as no event can be made of them, with the id where they have one and the whole row; attachments whose table is not there; and, without a row, how many were rolled up before all their units had a rate. It reads the tables as a whole.';

CREATE VIEW meter.is_attached AS
SELECT false AS attached;
COMMENT ON VIEW meter.is_attached IS 'Whether anything is attached, as a constant that the planner sees: generated with meter.attached_row.';
