/*
 * Out: what is billed and measured, in the shapes of others, and an outbox of it.
 *
 * meter opens no connection. A worker claims rows of the outbox, ships them, and
 * acknowledges them: at least once each. What makes it once is the idempotency key,
 * which a row has for ever and the destination refuses a second time. A line is in
 * the outbox of a destination once, as its key is unique there.
 */

CREATE TABLE meter.destination (
	destination text PRIMARY KEY
		CONSTRAINT destination_is_a_name CHECK (meter.is_name(destination)),
	shape text NOT NULL
		CONSTRAINT destination_shape_is_known CHECK (shape IN ('stripe', 'lago')),
	since date NOT NULL DEFAULT '-infinity',
	max_attempts integer NOT NULL DEFAULT 12
		CONSTRAINT destination_max_attempts_are_1_to_1000 CHECK (max_attempts BETWEEN 1 AND 1000),
	keys_kept interval DEFAULT '23 hours'
		CONSTRAINT destination_keys_kept_is_positive CHECK (keys_kept > '0')
);
COMMENT ON TABLE meter.destination IS 'Where lines and events are shipped to.';
COMMENT ON COLUMN meter.destination.destination IS 'Name: a lower-case letter, then up to 62 lower-case letters, digits and underscores.';
COMMENT ON COLUMN meter.destination.shape IS 'stripe or lago: whose fields a payload has.';
COMMENT ON COLUMN meter.destination.since IS 'Invoices dated before are not shipped. Default -infinity: all are.';
COMMENT ON COLUMN meter.destination.max_attempts IS 'After so many claims without success a row has failed. Default 12, which with the delays of meter.retry_outbox takes 15 hours.';
COMMENT ON COLUMN meter.destination.keys_kept IS 'How long the destination is sure to know an idempotency key. A row that was first claimed longer ago, and may have arrived, is not claimed again: it has failed, for somebody to look. Default 23 hours, as Stripe may forget keys after 24. NULL: it never forgets, as Lago does not.';

CREATE TABLE meter.external_customer (
	destination text NOT NULL,
	customer_id text NOT NULL
		CONSTRAINT external_customer_id_has_1_to_255_bytes CHECK (octet_length(customer_id) BETWEEN 1 AND 255),
	external_id text
		CONSTRAINT external_customer_external_id_is_not_empty CHECK (external_id <> ''),
	PRIMARY KEY (destination, customer_id)
);
CREATE INDEX external_customer_customer_id_idx ON meter.external_customer (customer_id);
COMMENT ON TABLE meter.external_customer IS 'What destinations call customers. Stripe needs a row for each, such as cus_NciAYcXfLnqBoz; Lago goes by the customer_id where there is none.';
COMMENT ON COLUMN meter.external_customer.destination IS 'The destination.';
COMMENT ON COLUMN meter.external_customer.customer_id IS 'The customer.';
COMMENT ON COLUMN meter.external_customer.external_id IS 'Its id there. NULL: nothing of the customer is shipped there, and nothing is missed.';

CREATE TABLE meter.outbox (
	outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	destination text NOT NULL,
	kind text NOT NULL
		CONSTRAINT outbox_kind_is_a_name CHECK (kind COLLATE "C" ~ '^[a-z][a-z0-9_]{0,62}$'),
	idempotency_key text NOT NULL
		CONSTRAINT outbox_idempotency_key_has_1_to_255_bytes CHECK (octet_length(idempotency_key) BETWEEN 1 AND 255),
	payload jsonb,
	customer_id text,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	state text NOT NULL DEFAULT 'pending'
		CONSTRAINT outbox_state_is_known CHECK (state IN ('pending', 'claimed', 'done', 'failed')),
	next_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	attempts integer NOT NULL DEFAULT 0
		CONSTRAINT outbox_attempts_are_not_negative CHECK (attempts >= 0),
	first_claimed_at timestamptz,
	claimed_by text,
	claim_token uuid,
	last_error text,
	done_at timestamptz,
	CONSTRAINT outbox_has_a_line_once UNIQUE (destination, idempotency_key),
	CONSTRAINT outbox_is_claimed_by_a_token CHECK (state <> 'claimed' OR claim_token IS NOT NULL),
	CONSTRAINT outbox_is_pending_without_one CHECK (state <> 'pending' OR claim_token IS NULL),
	CONSTRAINT outbox_is_done_since_it_is CHECK ((done_at IS NOT NULL) = (state = 'done'))
);
CREATE INDEX outbox_due_idx ON meter.outbox (destination, next_at, outbox_id) WHERE state IN ('pending', 'claimed');
CREATE INDEX outbox_customer_id_idx ON meter.outbox (customer_id);
CREATE INDEX outbox_failed_idx ON meter.outbox (destination) WHERE state = 'failed';
COMMENT ON TABLE meter.outbox IS 'What is to be shipped, and was. meter.claim_outbox, acknowledge_outbox and retry_outbox are for the workers. A row that is done stays: it is what says that its line was shipped. Its payload may be set to NULL to save room.';
COMMENT ON COLUMN meter.outbox.outbox_id IS 'A number to name the row by.';
COMMENT ON COLUMN meter.outbox.destination IS 'Where to.';
COMMENT ON COLUMN meter.outbox.kind IS 'What it is: stripe_invoice_item, stripe_meter_event, lago_fee, lago_event, or any name of your own.';
COMMENT ON COLUMN meter.outbox.idempotency_key IS 'The key that the destination is to know it by, the same at every attempt, and unique in the destination.';
COMMENT ON COLUMN meter.outbox.payload IS 'What to ship: the body of the request. NULL: it was erased with its customer, or set aside, and is not claimed.';
COMMENT ON COLUMN meter.outbox.customer_id IS 'Whose it is. NULL: nobody''s.';
COMMENT ON COLUMN meter.outbox.created_at IS 'When it was put here.';
COMMENT ON COLUMN meter.outbox.state IS 'pending; claimed, by a worker; done; or failed: it was tried too often, or there is no use in trying, and it waits for meter.requeue_outbox.';
COMMENT ON COLUMN meter.outbox.next_at IS 'From when on it can be claimed. Of a claimed row it is the end of the lease: then another may claim it.';
COMMENT ON COLUMN meter.outbox.attempts IS 'How often it was claimed, since it was put here or requeued.';
COMMENT ON COLUMN meter.outbox.first_claimed_at IS 'When it was first claimed, since it was put here or requeued: it may have arrived since then, and destination.keys_kept counts from here. NULL: it was not.';
COMMENT ON COLUMN meter.outbox.claimed_by IS 'The worker that claimed it last.';
COMMENT ON COLUMN meter.outbox.claim_token IS 'The claim that may acknowledge it. NULL: none may.';
COMMENT ON COLUMN meter.outbox.last_error IS 'Why the last attempt did not succeed.';
COMMENT ON COLUMN meter.outbox.done_at IS 'When it was acknowledged.';

SELECT pg_extension_config_dump('meter.destination', '');
SELECT pg_extension_config_dump('meter.external_customer', '');
SELECT pg_extension_config_dump('meter.outbox', '');
SELECT pg_extension_config_dump('meter.outbox_outbox_id_seq', '');

CREATE FUNCTION meter.minor_units(amount numeric, digits integer) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN trim_scale(amount * ('1e' || digits)::numeric);
COMMENT ON FUNCTION meter.minor_units(numeric, integer) IS 'An amount in units of its last digit: 12.34 with 2 digits are 1234.';

CREATE FUNCTION meter.stripe_digits(currency text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE currency
	WHEN 'ISK' THEN 2
	WHEN 'MGA' THEN 0
	WHEN 'UGX' THEN NULL
	ELSE meter.currency_digits(currency)
END;
COMMENT ON FUNCTION meter.stripe_digits(text) IS 'How many decimal digits amounts have at Stripe: those of ISO 4217, but 2 for ISK and 0 for MGA. NULL for UGX, which Stripe''s documentation lists as one without and describes as one with two.';

/* As amounts are: less what lines of the key had before, and back what one had that is void. */
CREATE FUNCTION meter.last_change(quantities numeric[], counted boolean[], revisions integer[], credited integer[]) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	change numeric;
	changes numeric[];
	total numeric := 0;
BEGIN
	FOR i IN 1 .. cardinality(quantities) LOOP
		change := CASE WHEN credited[i] IS NULL THEN quantities[i] - total ELSE - coalesce(changes[array_position(revisions, credited[i])], 0) END;
		changes[i] := change;
		total := total + CASE WHEN counted[i] THEN change ELSE 0 END;
	END LOOP;
	RETURN change;
END
$$;
COMMENT ON FUNCTION meter.last_change(numeric[], boolean[], integer[], integer[]) IS 'What the last of the lines of a key adds to the quantity that those before it had, so that all of them add up: of an adjustment the difference, of a credit note what its line takes back, below zero. Of each line, by revision: the quantity that it says, whether later lines take it into account, its revision, and the one that it takes back or NULL.';

CREATE VIEW meter.billed_line AS
SELECT
	line.customer_id, line.invoice_id, line.line_number, invoice.kind AS document, invoice.invoice_date, invoice.currency,
	format(
		'meter/%s/%s/%s/%s/%s', line.subscription_id, to_char(line.period_start, 'YYYY-MM-DD'), line.plan_item,
		CASE WHEN line.line_group <> '' THEN left(encode(sha256(convert_to(line.line_group, 'UTF8')), 'hex'), 32) ELSE '' END,
		line.revision) AS idempotency_key,
	line.kind,
	CASE WHEN invoice.kind = 'credit_note' THEN 'Credit note: ' WHEN line.adjustment THEN 'Adjustment: ' ELSE '' END
		|| coalesce(line.description, line.plan_item) || CASE WHEN line.line_group <> '' THEN ' (' || line.line_group || ')' ELSE '' END AS description,
	line.service, line.subscription_id, line.plan, line.version, line.plan_item, line.line_group, line.adjustment,
	line.metric,
	CASE WHEN invoice.kind = 'credit_note' OR line.adjustment THEN change.quantity ELSE line.quantity END AS quantity,
	line.tax_code, line.amount,
	CASE WHEN line.measured IS NOT NULL AND (invoice.kind = 'credit_note' OR line.adjustment) THEN change.measured ELSE line.measured END AS measured
FROM meter.invoice_line AS line
JOIN meter.invoice USING (invoice_id)
CROSS JOIN LATERAL (
	SELECT
		meter.last_change(former.quantities, former.counted, former.revisions, former.credited) AS quantity,
		meter.last_change(former.measured, former.counted, former.revisions, former.credited) AS measured
	FROM (
		SELECT
			array_agg(coalesce(stored.quantity, 1) ORDER BY stored.revision) AS quantities,
			array_agg(coalesce(stored.measured, 0) ORDER BY stored.revision) AS measured,
			array_agg(stored.counted ORDER BY stored.revision) AS counted,
			array_agg(stored.revision ORDER BY stored.revision) AS revisions,
			array_agg(credited.revision ORDER BY stored.revision) AS credited
		FROM meter.invoice_line AS stored
		JOIN meter.invoice AS document ON document.invoice_id = stored.invoice_id
		LEFT JOIN meter.invoice_line AS credited
			ON credited.invoice_id = document.credits
			AND credited.line_number = stored.line_number
		WHERE (invoice.kind = 'credit_note' OR line.adjustment)
			AND stored.subscription_id = line.subscription_id
			AND stored.period_start = line.period_start
			AND stored.plan_item = line.plan_item
			AND stored.line_group = line.line_group
			AND stored.revision <= line.revision
	) AS former
) AS change
WHERE invoice.finalized_at IS NOT NULL
UNION ALL
SELECT
	invoice.customer_id, invoice.invoice_id, 0, invoice.kind, invoice.invoice_date, invoice.currency,
	format('meter/credit/%s', invoice.invoice_id),
	'money_credit',
	CASE WHEN invoice.kind = 'credit_note' THEN 'Credit note: ' ELSE '' END || 'Paid by credit',
	daterange(invoice.invoice_date, invoice.invoice_date + 1), NULL, NULL, NULL, NULL, '', false,
	NULL, NULL, NULL,
	CASE WHEN invoice.kind = 'credit_note' THEN credited.paid_by_credit ELSE -invoice.paid_by_credit END,
	NULL
FROM meter.invoice
LEFT JOIN meter.invoice AS credited ON credited.invoice_id = invoice.credits
WHERE invoice.finalized_at IS NOT NULL
	AND coalesce(credited.paid_by_credit, invoice.paid_by_credit) <> 0;
COMMENT ON VIEW meter.billed_line IS 'The lines of final invoices and of credit notes, and where credits in money paid a part of an invoice, or a credit note gives that back, a line of it with number 0: all lines of an invoice add up to what is left to pay. A void invoice''s lines stay, its credit note''s take them back. quantity, and measured before what is included, add up as amounts do: of an adjustment they are the difference (of a fee 0), of a credit note below zero. idempotency_key is made of the line''s key and revision, and is the same for ever, in a restored database too.';

CREATE VIEW meter.stripe_invoice_item AS
SELECT
	destination.destination, line.customer_id, line.invoice_id, line.line_number, line.invoice_date, line.idempotency_key,
	jsonb_strip_nulls(jsonb_build_object(
		'customer', external.external_id,
		'amount', minor.amount,
		'currency', lower(line.currency),
		'description', line.description,
		'discountable', false,
		'tax_code', line.tax_code,
		'period', jsonb_build_object(
			'start', extract(epoch FROM meter.customer_date_start(line.customer_id, lower(line.service)))::bigint,
			'end', extract(epoch FROM meter.customer_date_start(line.customer_id, upper(line.service)))::bigint),
		'metadata', jsonb_build_object(
			'meter_key', line.idempotency_key,
			'meter_invoice', line.invoice_id::text,
			'meter_line', line.line_number::text,
			'meter_document', line.document,
			'meter_plan', line.plan || ' ' || line.version,
			'meter_item', line.plan_item,
			'meter_quantity', line.quantity::text))) AS payload,
	CASE
		WHEN external.external_id IS NULL THEN format('customer "%s" has no id at destination "%s"', line.customer_id, destination.destination)
		WHEN minor.amount IS NULL THEN format('how Stripe takes amounts in %s is not known for sure', line.currency)
		WHEN minor.amount <> trunc(minor.amount) THEN format('Stripe takes no fractions of %s', line.currency)
	END AS problem
FROM meter.destination
CROSS JOIN meter.billed_line AS line
CROSS JOIN LATERAL (SELECT meter.minor_units(line.amount, meter.stripe_digits(line.currency)) AS amount) AS minor
LEFT JOIN meter.external_customer AS external
	ON external.destination = destination.destination
	AND external.customer_id = line.customer_id
WHERE destination.shape = 'stripe'
	AND line.invoice_date >= destination.since
	AND (external.customer_id IS NULL OR external.external_id IS NOT NULL);
COMMENT ON VIEW meter.stripe_invoice_item IS 'The lines of meter.billed_line for destinations of shape stripe, as the parameters of POST /v1/invoiceitems: customer, amount in minor units, negative too, currency, description, discountable (false: discounts are lines), period as unix times, metadata of strings. Ship it with header Idempotency-Key. problem: why it cannot be shipped.';

CREATE FUNCTION meter.utc_text(at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_char(timezone('UTC', at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
COMMENT ON FUNCTION meter.utc_text(timestamptz) IS 'An instant as 2025-01-31T23:00:00Z, whatever the session''s time zone.';

CREATE VIEW meter.lago_fee AS
SELECT
	destination.destination, line.customer_id, line.invoice_id, line.line_number, line.invoice_date, line.idempotency_key,
	jsonb_build_object('fee', jsonb_strip_nulls(jsonb_build_object(
		'external_customer_id', coalesce(external.external_id, line.customer_id),
		'external_subscription_id', line.subscription_id::text,
		'amount_cents', meter.minor_units(line.amount, meter.currency_digits(line.currency)),
		'amount_currency', line.currency,
		'precise_amount', line.amount::text,
		'units', coalesce(line.quantity, 1)::text,
		'from_date', meter.utc_text(meter.customer_date_start(line.customer_id, lower(line.service))),
		'to_date', meter.utc_text(meter.customer_date_start(line.customer_id, upper(line.service)) - interval '1 second'),
		'item', jsonb_build_object(
			'type', CASE
				WHEN line.kind = 'fee' THEN 'subscription'
				WHEN line.kind = 'commitment' THEN 'commitment'
				WHEN line.kind IN ('discount', 'cap', 'money_credit') THEN 'add_on'
				ELSE 'charge'
			END,
			'code', CASE line.kind WHEN 'fee' THEN line.plan ELSE coalesce(line.metric, line.plan_item, line.kind) END,
			'name', coalesce(line.plan_item, line.kind),
			'description', line.description)))) AS payload,
	NULL::text AS problem
FROM meter.destination
CROSS JOIN meter.billed_line AS line
LEFT JOIN meter.external_customer AS external
	ON external.destination = destination.destination
	AND external.customer_id = line.customer_id
WHERE destination.shape = 'lago'
	AND line.invoice_date >= destination.since
	AND (external.customer_id IS NULL OR external.external_id IS NOT NULL);
COMMENT ON VIEW meter.lago_fee IS 'The lines of meter.billed_line for destinations of shape lago, as Lago''s webhook fee.created says a fee: for receivers that take those. Lago itself has no endpoint that takes them, negative ones at least. external_customer_id is the customer_id, but for a row in meter.external_customer. problem is always NULL: all can be shipped.';

CREATE VIEW meter.metric_event AS
SELECT
	metric.metric, event.customer_id, event.event_id, event.occurred_at, event.usage_date,
	'meter-' || encode(sha256(convert_to(jsonb_build_array(metric.metric, event.customer_id, event.event_id)::text, 'UTF8')), 'hex') AS idempotency_key,
	trim_scale(CASE metric.aggregation WHEN 'sum' THEN meter.quantity(event.usage, metric.unit) ELSE event.sign END) AS value
FROM meter.metric
JOIN meter.dated_event AS event
	ON (metric.unit IS NULL OR meter.quantity(event.usage, metric.unit) <> 0)
	AND (metric.items IS NULL OR event.item = ANY (metric.items))
	AND (metric.actions IS NULL OR event.action = ANY (metric.actions))
	AND (metric.variants IS NULL OR event.variant = ANY (metric.variants))
	AND (metric.request_classes IS NULL OR event.request_class = ANY (metric.request_classes))
	AND coalesce(event.outcome, 'success') = ANY (metric.outcomes)
	AND (metric.tags IS NULL OR event.tags @> metric.tags)
WHERE metric.aggregation IN ('sum', 'count')
	AND NOT EXISTS (SELECT FROM meter.erasure WHERE erasure.pseudonym = event.customer_id);
COMMENT ON VIEW meter.metric_event IS 'What each event brings to each metric that is a sum or a count, for those who rate it themselves: of a reversal a value below zero, so that all add up. Not those of customers that were erased, as they would have another key. Limit it to a metric and a span of occurred_at.';

CREATE VIEW meter.stripe_meter_event AS
SELECT
	external.destination, event.metric, event.customer_id, event.event_id, event.occurred_at, event.idempotency_key,
	jsonb_build_object(
		'event_name', event.metric,
		'payload', jsonb_build_object('stripe_customer_id', external.external_id, 'value', event.value::text),
		'identifier', event.idempotency_key,
		'timestamp', floor(extract(epoch FROM event.occurred_at))::bigint) AS payload
FROM meter.metric_event AS event
JOIN meter.external_customer AS external ON external.customer_id = event.customer_id
JOIN meter.destination USING (destination)
WHERE destination.shape = 'stripe'
	AND external.external_id IS NOT NULL;
COMMENT ON VIEW meter.stripe_meter_event IS 'The events of meter.metric_event, for destinations of shape stripe and customers that have an id there, as the parameters of POST /v1/billing/meter_events: event_name is the metric, value its quantity as a string, for a meter with formula sum. Stripe takes events of the last 35 days, and values of at most 15 digits.';

CREATE VIEW meter.lago_event AS
SELECT DISTINCT
	destination.destination, event.metric, event.customer_id, event.event_id, event.occurred_at,
	event.idempotency_key || '-' || subscription.family AS idempotency_key,
	jsonb_build_object('event', jsonb_build_object(
		'transaction_id', event.idempotency_key || '-' || subscription.family,
		'external_subscription_id', subscription.subscription_id::text,
		'code', event.metric,
		'timestamp', floor(extract(epoch FROM event.occurred_at))::bigint,
		'properties', jsonb_build_object('value', event.value))) AS payload
FROM meter.metric_event AS event
JOIN meter.subscription
	ON subscription.customer_id = event.customer_id
	AND subscription.valid @> event.usage_date
JOIN meter.plan_item AS item
	ON item.plan = subscription.plan
	AND item.version = subscription.version
	AND item.metric = event.metric
CROSS JOIN meter.destination
WHERE destination.shape = 'lago'
	AND NOT EXISTS (
		SELECT FROM meter.external_customer AS external
		WHERE external.destination = destination.destination
			AND external.customer_id = event.customer_id
			AND external.external_id IS NULL);
COMMENT ON VIEW meter.lago_event IS 'The events of meter.metric_event, for destinations of shape lago and the subscriptions that the metric is charged by, as the body of POST /api/v1/events: code is the metric, to be summed over property value, and external_subscription_id the subscription_id. The key has the family of the plan, not the subscription: a change of plan does not ship an event again.';

CREATE VIEW meter.focus_charge AS
SELECT
	"SubAccountId" AS customer_id,
	"ChargePeriodStart" AS charge_period_start,
	'meter-' || encode(sha256(convert_to(jsonb_build_array(
		"SubAccountId", extract(epoch FROM "ChargePeriodStart")::bigint, "SkuId", "SkuMeter", coalesce("SkuPriceId", "ChargeDescription"), "x_Unpriced")::text, 'UTF8')), 'hex') AS idempotency_key,
	to_jsonb(charge) || jsonb_build_object(
		'BillingPeriodStart', meter.utc_text("BillingPeriodStart"), 'BillingPeriodEnd', meter.utc_text("BillingPeriodEnd"),
		'ChargePeriodStart', meter.utc_text("ChargePeriodStart"), 'ChargePeriodEnd', meter.utc_text("ChargePeriodEnd")) AS payload
FROM meter.focus_cost_and_usage AS charge;
COMMENT ON VIEW meter.focus_charge IS 'The rows of meter.focus_cost_and_usage as jsonb, each with a key: a row that late usage changes keeps its key, so that it takes the former one''s place. They are for files and warehouses, not for the outbox. Limit it to a customer.';

CREATE VIEW meter.focus_invoice_line AS
SELECT
	line.customer_id, line.invoice_id, line.line_number, line.invoice_date, line.idempotency_key,
	jsonb_build_object(
		'BilledCost', trim_scale(line.amount),
		'BillingAccountId', line.customer_id,
		'BillingAccountName', coalesce(customer.name, line.customer_id),
		'BillingAccountType', 'Customer',
		'BillingCurrency', line.currency,
		'BillingPeriodEnd', meter.utc_text(meter.customer_date_start(line.customer_id, upper(coalesce(billing.period, line.service)))),
		'BillingPeriodStart', meter.utc_text(meter.customer_date_start(line.customer_id, lower(coalesce(billing.period, line.service)))),
		'ChargeCategory', charge.category,
		'ChargeClass', charge.class,
		'ChargeDescription', line.description,
		'ChargeFrequency', CASE
			WHEN charge.category = 'Usage' THEN 'Usage-Based'
			WHEN line.kind = 'money_credit' THEN 'One-Time'
			ELSE 'Recurring'
		END,
		'ChargePeriodEnd', meter.utc_text(meter.customer_date_start(line.customer_id, upper(line.service))),
		'ChargePeriodStart', meter.utc_text(meter.customer_date_start(line.customer_id, lower(line.service))),
		'ConsumedQuantity', CASE WHEN charge.category = 'Usage' THEN trim_scale(line.measured) END,
		'ConsumedUnit', CASE WHEN charge.category = 'Usage' AND line.measured IS NOT NULL THEN charge.unit END,
		'ContractedCost', trim_scale(line.amount),
		'EffectiveCost', trim_scale(line.amount),
		'InvoiceId', line.invoice_id::text,
		'InvoiceIssuerName', issuer.name,
		'ListCost', trim_scale(line.amount),
		'PricingCategory', CASE WHEN charge.category IN ('Usage', 'Purchase') THEN 'Standard' END,
		'PricingQuantity', trim_scale(charge.quantity),
		'PricingUnit', CASE WHEN charge.quantity IS NOT NULL THEN charge.unit END,
		'ProviderName', issuer.name,
		'PublisherName', issuer.name,
		'ServiceCategory', 'Other',
		'ServiceName', coalesce(line.plan, issuer.name),
		'ServiceSubcategory', 'Other (Other)',
		'SkuId', line.plan || '/' || line.plan_item,
		'SkuMeter', CASE WHEN charge.category = 'Usage' THEN line.metric END,
		'SubAccountId', line.subscription_id::text,
		'SubAccountName', CASE WHEN line.subscription_id IS NOT NULL THEN line.plan || ' ' || line.version END,
		'SubAccountType', CASE WHEN line.subscription_id IS NOT NULL THEN 'Subscription' END,
		'Tags', jsonb_strip_nulls(jsonb_build_object('segment', customer.segment)),
		'x_Document', line.document,
		'x_Kind', line.kind,
		'x_LineGroup', nullif(line.line_group, ''),
		'x_LineNumber', line.line_number,
		'x_PlanItem', line.plan_item,
		'x_Tariff', stored.tariff::text,
		'x_TaxCode', line.tax_code) AS payload
FROM meter.billed_line AS line
CROSS JOIN LATERAL (SELECT coalesce((SELECT setting.issuer FROM meter.setting), current_database()) AS name) AS issuer
JOIN meter.invoice USING (invoice_id)
LEFT JOIN meter.invoice_line AS stored
	ON stored.invoice_id = line.invoice_id
	AND stored.line_number = line.line_number
LEFT JOIN meter.customer ON customer.customer_id = line.customer_id
LEFT JOIN meter.metric ON metric.metric = line.metric
/* One of an invoice, a credit note's that of what it takes back: the last that had ended, or of what is paid in advance alone the one that began. */
LEFT JOIN LATERAL (
	SELECT period_line.period
	FROM meter.invoice_line AS period_line
	WHERE period_line.invoice_id = coalesce(invoice.credits, invoice.invoice_id)
	ORDER BY period_line.adjustment, upper(period_line.period) <= line.invoice_date DESC, period_line.period DESC
	LIMIT 1
) AS billing ON true
CROSS JOIN LATERAL (
	SELECT
		named.category,
		CASE WHEN line.document = 'credit_note' OR line.adjustment THEN 'Correction' END AS class,
		CASE WHEN named.category IN ('Usage', 'Purchase') THEN coalesce(line.quantity, 1) END AS quantity,
		coalesce(meter.focus_unit(coalesce(metric.unit, line.metric)), CASE line.kind WHEN 'seat' THEN 'Seats' ELSE 'Units' END) AS unit
	FROM (
		SELECT CASE
			WHEN line.kind IN ('usage', 'credit', 'cost_plus', 'percentage') THEN 'Usage'
			WHEN line.kind IN ('fee', 'seat', 'commitment') THEN 'Purchase'
			WHEN line.kind = 'money_credit' THEN 'Credit'
			ELSE 'Adjustment'
		END AS category
	) AS named
) AS charge;
COMMENT ON VIEW meter.focus_invoice_line IS 'The lines of meter.billed_line by the columns of FinOps FOCUS 1.2, as jsonb: what the customer is charged, as meter.focus_charge is what it costs. BilledCost is the line''s amount, and adds up over an InvoiceId to what is left to pay; the other costs are the same, as discounts, caps and credits are rows of their own (Adjustment, and Credit for credits in money). Usage, credits and cost plus are Usage; fees, seats and commitments Purchase. Adjustments and credit notes have ChargeClass Correction, and quantities that add up as costs do: of an adjustment the difference, of a credit note below zero. A BillingPeriod is the invoice''s, a ChargePeriod what the line is for, both in the customer''s days. There are no unit prices, as tiers have more than one: x_Tariff is the tariff. InvoiceIssuerName is meter.setting.issuer. They are for files and warehouses, not for the outbox; what a row charges never changes.';

CREATE FUNCTION meter.find_destination(destination text) RETURNS meter.destination
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted meter.destination;
BEGIN
	SELECT * INTO wanted
	FROM meter.destination
	WHERE destination.destination = find_destination.destination;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no destination %', quote_nullable(find_destination.destination)
			USING ERRCODE = 'invalid_parameter_value', HINT = 'INSERT INTO meter.destination (destination, shape) VALUES (''stripe'', ''stripe'').';
	END IF;
	RETURN wanted;
END
$$;
COMMENT ON FUNCTION meter.find_destination(text) IS 'The destination of that name; another is an error.';

CREATE FUNCTION meter.enqueue_invoices(destination text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted CONSTANT meter.destination := meter.find_destination(enqueue_invoices.destination);
	enqueued bigint;
BEGIN
	/* Of one view: above a union, the payload of every line that there ever was would be made. */
	EXECUTE format($insert$
		INSERT INTO meter.outbox (destination, kind, idempotency_key, payload, customer_id)
		SELECT line.destination, %1$L, line.idempotency_key, line.payload, line.customer_id
		FROM meter.%1$I AS line
		WHERE line.destination = $1
			AND line.problem IS NULL
			AND NOT EXISTS (
				SELECT FROM meter.outbox AS former
				WHERE former.destination = line.destination
					AND former.idempotency_key = line.idempotency_key)
		ORDER BY line.invoice_id, line.line_number
		ON CONFLICT ON CONSTRAINT outbox_has_a_line_once DO NOTHING
	$insert$, CASE wanted.shape WHEN 'stripe' THEN 'stripe_invoice_item' WHEN 'lago' THEN 'lago_fee' END)
	USING wanted.destination;
	GET DIAGNOSTICS enqueued = ROW_COUNT;
	RETURN enqueued;
END
$$;
COMMENT ON FUNCTION meter.enqueue_invoices(text) IS 'Puts the lines of final invoices and credit notes into the outbox of a destination, each once however often it is called, and returns how many. What has a problem is left out, is listed in meter.outbox_problem, and goes in when it has none any more.';

CREATE FUNCTION meter.enqueue_events(destination text, metrics text[], first_at timestamptz, end_at timestamptz DEFAULT 'infinity') RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted CONSTANT meter.destination := meter.find_destination(enqueue_events.destination);
	enqueued bigint;
BEGIN
	EXECUTE format($insert$
		INSERT INTO meter.outbox (destination, kind, idempotency_key, payload, customer_id)
		SELECT event.destination, %1$L, event.idempotency_key, event.payload, event.customer_id
		FROM meter.%1$I AS event
		WHERE event.destination = $1
			AND event.metric = ANY ($2)
			AND event.occurred_at >= $3
			AND event.occurred_at < $4
			AND NOT EXISTS (
				SELECT FROM meter.outbox AS former
				WHERE former.destination = event.destination
					AND former.idempotency_key = event.idempotency_key)
		ORDER BY event.occurred_at, event.idempotency_key
		ON CONFLICT ON CONSTRAINT outbox_has_a_line_once DO NOTHING
	$insert$, CASE wanted.shape WHEN 'stripe' THEN 'stripe_meter_event' WHEN 'lago' THEN 'lago_event' END)
	USING wanted.destination, enqueue_events.metrics, enqueue_events.first_at, enqueue_events.end_at;
	GET DIAGNOSTICS enqueued = ROW_COUNT;
	RETURN enqueued;
END
$$;
COMMENT ON FUNCTION meter.enqueue_events(text, text[], timestamptz, timestamptz) IS 'Puts what events from first_at until before end_at (default: all since) bring to metrics into the outbox of a destination, each once however often it is called, and returns how many. For a destination that rates usage itself; call it again over the last days for what came late.';

CREATE FUNCTION meter.claim_outbox(destination text, n integer DEFAULT 100, lease interval DEFAULT '5 minutes', worker text DEFAULT session_user)
	RETURNS TABLE (outbox_id bigint, claim_token uuid, kind text, idempotency_key text, payload jsonb, customer_id text, attempts integer, first_claimed_at timestamptz)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	wanted CONSTANT meter.destination := meter.find_destination(claim_outbox.destination);
	/* Not now(): a transaction may have begun long ago. */
	at CONSTANT timestamptz := clock_timestamp();
	token CONSTANT uuid := gen_random_uuid();
BEGIN
	IF n IS NULL OR n < 1 THEN
		RAISE EXCEPTION '% rows cannot be claimed', coalesce(n::text, 'null')
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF (lease > interval '0') IS NOT TRUE THEN
		RAISE EXCEPTION 'a lease of % is none', coalesce(lease::text, 'null')
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN QUERY
	WITH due AS MATERIALIZED (
		SELECT
			waiting.outbox_id,
			CASE
				WHEN waiting.attempts >= wanted.max_attempts THEN format('the lease of attempt %s ran out', waiting.attempts)
				WHEN waiting.first_claimed_at + wanted.keys_kept <= at THEN format('it may have arrived, and the destination may have forgotten its key; before: %s', coalesce(waiting.last_error, 'a lease ran out'))
			END AS given_up
		FROM meter.outbox AS waiting
		WHERE waiting.destination = wanted.destination
			AND waiting.state IN ('pending', 'claimed')
			AND waiting.next_at <= at
			AND waiting.payload IS NOT NULL
		ORDER BY waiting.next_at, waiting.outbox_id
		LIMIT n
		FOR UPDATE SKIP LOCKED
	), claim AS (
		UPDATE meter.outbox AS claimed
		SET state = 'claimed',
			attempts = claimed.attempts + 1,
			next_at = at + lease,
			first_claimed_at = coalesce(claimed.first_claimed_at, at),
			claimed_by = worker,
			claim_token = token
		FROM due
		WHERE claimed.outbox_id = due.outbox_id
			AND due.given_up IS NULL
		RETURNING claimed.*
	), given_up AS (
		/* The token stays: who had it may have shipped it, and may yet say so. */
		UPDATE meter.outbox AS failed
		SET state = 'failed', last_error = due.given_up
		FROM due
		WHERE failed.outbox_id = due.outbox_id
			AND due.given_up IS NOT NULL
	)
	SELECT claim.outbox_id, claim.claim_token, claim.kind, claim.idempotency_key, claim.payload, claim.customer_id, claim.attempts, claim.first_claimed_at
	FROM claim
	ORDER BY claim.outbox_id;
END
$$;
COMMENT ON FUNCTION meter.claim_outbox(text, integer, interval, text) IS 'Claims at most n rows of a destination that are due, those that have waited longest first, for as long as lease says, and returns them in the order in which they were put there; none: there is nothing to do. Several workers never get the same row. COMMIT before you ship them. A row whose lease ran out is due again; one that was claimed too often or too long ago, as max_attempts and keys_kept of the destination say, has failed. claim_token, the same for all of them, is for meter.acknowledge_outbox and retry_outbox.';

CREATE FUNCTION meter.acknowledge_outbox(outbox_ids bigint[], claim_token uuid) RETURNS SETOF bigint
LANGUAGE sql
BEGIN ATOMIC
	UPDATE meter.outbox AS shipped
	SET state = 'done', done_at = clock_timestamp(), claim_token = NULL, last_error = NULL
	WHERE shipped.outbox_id = ANY (acknowledge_outbox.outbox_ids)
		AND shipped.claim_token = acknowledge_outbox.claim_token
	RETURNING shipped.outbox_id;
END;
COMMENT ON FUNCTION meter.acknowledge_outbox(bigint[], uuid) IS 'Says that rows were shipped, and returns those that are done by it. One that is missing is another''s by now, as the lease ran out and it was claimed again, or was done: what a late worker shipped will be shipped again under the same key.';

CREATE FUNCTION meter.retry_outbox(outbox_id bigint, claim_token uuid, error text, after interval DEFAULT NULL, permanent boolean DEFAULT false) RETURNS text
LANGUAGE sql
BEGIN ATOMIC
	UPDATE meter.outbox AS tried
	SET state = CASE WHEN retry_outbox.permanent OR tried.attempts >= coalesce((SELECT destination.max_attempts FROM meter.destination WHERE destination.destination = tried.destination), 1) THEN 'failed' ELSE 'pending' END,
		next_at = clock_timestamp() + coalesce(retry_outbox.after, least(interval '30 seconds' * (1 << least(tried.attempts - 1, 20)), interval '6 hours')),
		claim_token = NULL,
		last_error = retry_outbox.error
	WHERE tried.outbox_id = retry_outbox.outbox_id
		AND tried.claim_token = retry_outbox.claim_token
	RETURNING tried.state;
END;
COMMENT ON FUNCTION meter.retry_outbox(bigint, uuid, text, interval, boolean) IS 'Says that a row could not be shipped, and why. It is due again after a time: default 30 seconds, doubled with each attempt, up to 6 hours. After destination.max_attempts, and at once where it is permanent, as a request that is refused, it has failed. Returns the state: pending or failed; NULL where the row is another''s by now, or done, and nothing is changed.';

CREATE FUNCTION meter.requeue_outbox(outbox_ids bigint[]) RETURNS SETOF bigint
LANGUAGE sql
BEGIN ATOMIC
	UPDATE meter.outbox AS failed
	SET state = 'pending', attempts = 0, first_claimed_at = NULL, next_at = clock_timestamp(), claim_token = NULL
	WHERE failed.outbox_id = ANY (requeue_outbox.outbox_ids)
		AND failed.state = 'failed'
	RETURNING failed.outbox_id;
END;
COMMENT ON FUNCTION meter.requeue_outbox(bigint[]) IS 'Has rows that failed tried again, as if they were new, and returns them. Look before whether they arrived: the destination may know their keys no more.';

CREATE VIEW meter.outbox_problem AS
SELECT destination, customer_id, outbox_id, idempotency_key, coalesce(last_error, 'it failed') AS problem
FROM meter.outbox
WHERE state = 'failed'
UNION ALL
SELECT destination, customer_id, outbox_id, idempotency_key, 'its payload was erased before it was shipped'
FROM meter.outbox
WHERE state IN ('pending', 'claimed')
	AND payload IS NULL
UNION ALL
SELECT item.destination, item.customer_id, NULL, item.idempotency_key, item.problem
FROM (
	SELECT * FROM meter.stripe_invoice_item
	UNION ALL
	SELECT * FROM meter.lago_fee
) AS item
WHERE item.problem IS NOT NULL
	AND NOT EXISTS (
		SELECT FROM meter.outbox AS former
		WHERE former.destination = item.destination
			AND former.idempotency_key = item.idempotency_key);
COMMENT ON VIEW meter.outbox_problem IS 'What is not shipped, and will not be by itself: rows of the outbox that failed or have no payload any more, and lines that cannot be put there. Empty is well.';

CREATE VIEW meter.outbox_state AS
SELECT
	destination, kind,
	count(*) FILTER (WHERE state = 'pending') AS pending,
	count(*) FILTER (WHERE state = 'claimed') AS claimed,
	count(*) FILTER (WHERE state = 'failed') AS failed,
	count(*) FILTER (WHERE state = 'done') AS done,
	min(created_at) FILTER (WHERE state IN ('pending', 'claimed')) AS oldest
FROM meter.outbox
GROUP BY destination, kind;
COMMENT ON VIEW meter.outbox_state IS 'How many rows of each destination and kind are in which state, and since when the oldest that is not shipped waits: what to watch.';

CREATE FUNCTION meter.allow_shipping(role regrole) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA meter TO %s', role);
	EXECUTE format('GRANT SELECT ON meter.destination, meter.outbox, meter.outbox_problem, meter.outbox_state, meter.stripe_invoice_item, meter.stripe_meter_event, meter.lago_fee, meter.lago_event, meter.customer_zone_span TO %s', role);
	EXECUTE format('GRANT SELECT (timezone) ON meter.setting TO %s', role);
	EXECUTE format('GRANT INSERT (destination, kind, idempotency_key, payload, customer_id), UPDATE (state, next_at, attempts, first_claimed_at, claimed_by, claim_token, last_error, done_at) ON meter.outbox TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION meter.enqueue_invoices(text), meter.enqueue_events(text, text[], timestamptz, timestamptz), meter.claim_outbox(text, integer, interval, text), meter.acknowledge_outbox(bigint[], uuid), meter.retry_outbox(bigint, uuid, text, interval, boolean), meter.requeue_outbox(bigint[]) TO %s', role);
END
$$;
COMMENT ON FUNCTION meter.allow_shipping(regrole) IS 'Grants a role what it takes to put lines and events into the outbox and to ship them. It sees what it ships, not invoices or events themselves.';
REVOKE ALL ON FUNCTION meter.allow_shipping(regrole), meter.enqueue_invoices(text), meter.enqueue_events(text, text[], timestamptz, timestamptz), meter.claim_outbox(text, integer, interval, text), meter.acknowledge_outbox(bigint[], uuid), meter.retry_outbox(bigint, uuid, text, interval, boolean), meter.requeue_outbox(bigint[]) FROM PUBLIC;
