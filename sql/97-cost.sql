/*
 * Cost to serve: what customers, items, actions, workflows and users cost, by month
 * of the customer's calendar, and in the currency of reports.
 *
 * Reports only add, so they read the parts of the roll-up unmerged, and those that need
 * no item read the customers' months alone. Where card cost is in the currency of reports,
 * coarse ones add up to fine ones exactly; an exchange settles each report's own rows to
 * 12 digits.
 */

CREATE TABLE meter.fx_rate (
	currency text NOT NULL
		CONSTRAINT fx_rate_currency_is_iso_4217 CHECK (currency COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(currency) >= 0),
	quote text NOT NULL
		CONSTRAINT fx_rate_quote_is_iso_4217 CHECK (quote COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(quote) >= 0),
	rate_date date NOT NULL
		CONSTRAINT fx_rate_date_is_finite CHECK (isfinite(rate_date)),
	rate numeric NOT NULL
		CONSTRAINT fx_rate_is_positive CHECK (rate > 0)
		CONSTRAINT fx_rate_is_in_range CHECK (rate <= 1000000000000)
		CONSTRAINT fx_rate_has_at_most_12_fractional_digits CHECK (scale(trim_scale(rate)) <= 12),
	source text
		CONSTRAINT fx_rate_source_is_not_empty CHECK (source <> ''),
	CONSTRAINT fx_rate_is_between_two_currencies CHECK (currency <> quote),
	PRIMARY KEY (currency, quote, rate_date)
);
COMMENT ON TABLE meter.fx_rate IS 'Exchange rates: what one unit of currency was in quote on a date. Reports use those whose quote is the currency of meter.setting, at the last date of the period they are about: the last rate on or before that date, and not more than 7 days before it. Where there is none, the amount is NULL and is counted as missing; it is never taken at 1, nor by way of a third currency.';
COMMENT ON COLUMN meter.fx_rate.currency IS 'ISO 4217 code of the currency that amounts are exchanged from.';
COMMENT ON COLUMN meter.fx_rate.quote IS 'ISO 4217 code of the currency that they are exchanged to.';
COMMENT ON COLUMN meter.fx_rate.rate_date IS 'The date of the rate.';
COMMENT ON COLUMN meter.fx_rate.rate IS 'How much quote one unit of currency is: 1.08 for EUR in USD.';
COMMENT ON COLUMN meter.fx_rate.source IS 'Where the rate is from.';

CREATE TABLE meter.shared_cost (
	shared_cost_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	period daterange NOT NULL
		CONSTRAINT shared_cost_period_is_bounded CHECK (NOT isempty(period) AND coalesce(isfinite(lower(period)) AND isfinite(upper(period)), period IS NULL)),
	layer text NOT NULL
		CONSTRAINT shared_cost_layer_is_not_empty CHECK (layer <> ''),
	amount numeric NOT NULL
		CONSTRAINT shared_cost_amount_is_in_range CHECK (abs(amount) <= 1000000000000000)
		CONSTRAINT shared_cost_amount_is_in_whole_minor_units CHECK (amount = meter.round_money(amount, currency)),
	currency text NOT NULL
		CONSTRAINT shared_cost_currency_is_iso_4217 CHECK (currency COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(currency) >= 0),
	basis text NOT NULL
		CONSTRAINT shared_cost_basis_is_known CHECK (basis IN ('usage', 'customers', 'seats', 'revenue')),
	description text
);
COMMENT ON TABLE meter.shared_cost IS 'Cost that no event carries, such as a cluster or a flat fee, for a period. meter.shared_cost_allocation divides each row among the customers, to the last minor unit.';
COMMENT ON COLUMN meter.shared_cost.shared_cost_id IS 'A number to name the row by.';
COMMENT ON COLUMN meter.shared_cost.period IS 'The dates it is for, with both ends. A report on a part of them takes its part by days.';
COMMENT ON COLUMN meter.shared_cost.layer IS 'The layer it is reported under.';
COMMENT ON COLUMN meter.shared_cost.amount IS 'How much, in whole minor units of the currency (cents). Negative for a refund.';
COMMENT ON COLUMN meter.shared_cost.currency IS 'ISO 4217 code of its currency.';
COMMENT ON COLUMN meter.shared_cost.basis IS 'What it is divided by: usage, what the customers'' usage in the period cost; customers, the same for each that had usage or revenue in the period; seats, those of meter.subscription_seat by the days of the period that each was held; revenue, what each brought in the period. A negative figure counts as zero.';
COMMENT ON COLUMN meter.shared_cost.description IS 'What it is.';

CREATE TABLE meter.provider_bill (
	provider_bill_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	provider text NOT NULL
		CONSTRAINT provider_bill_provider_is_not_empty CHECK (provider <> ''),
	period daterange NOT NULL
		CONSTRAINT provider_bill_period_is_bounded CHECK (NOT isempty(period) AND coalesce(isfinite(lower(period)) AND isfinite(upper(period)), period IS NULL)),
	item text
		CONSTRAINT provider_bill_item_is_not_empty CHECK (item <> ''),
	amount numeric NOT NULL
		CONSTRAINT provider_bill_amount_is_in_range CHECK (abs(amount) <= 1000000000000000)
		CONSTRAINT provider_bill_amount_has_at_most_12_fractional_digits CHECK (scale(trim_scale(amount)) <= 12),
	currency text NOT NULL
		CONSTRAINT provider_bill_currency_is_iso_4217 CHECK (currency COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(currency) >= 0),
	reference text
		CONSTRAINT provider_bill_reference_is_not_empty CHECK (reference <> '')
);
COMMENT ON TABLE meter.provider_bill IS 'What providers billed, a row a line of a bill. meter.provider_reconciliation compares it with what usage was rated at.';
COMMENT ON COLUMN meter.provider_bill.provider_bill_id IS 'A number to name the row by.';
COMMENT ON COLUMN meter.provider_bill.provider IS 'Who billed it: the provider of meter.item, or the part of an item''s name before the slash.';
COMMENT ON COLUMN meter.provider_bill.period IS 'The dates it is for, with both ends.';
COMMENT ON COLUMN meter.provider_bill.item IS 'The item, by its name in usage. NULL: all of the provider''s items that no other row of the same provider and period names.';
COMMENT ON COLUMN meter.provider_bill.amount IS 'What was billed, without tax. Negative for a credit.';
COMMENT ON COLUMN meter.provider_bill.currency IS 'ISO 4217 code of its currency.';
COMMENT ON COLUMN meter.provider_bill.reference IS 'The number of the bill.';

SELECT pg_extension_config_dump('meter.fx_rate', '');
SELECT pg_extension_config_dump('meter.shared_cost', '');
SELECT pg_extension_config_dump('meter.shared_cost_shared_cost_id_seq', '');
SELECT pg_extension_config_dump('meter.provider_bill', '');
SELECT pg_extension_config_dump('meter.provider_bill_provider_bill_id_seq', '');

/* Without a FROM it is one row to the planner as well. */
CREATE VIEW meter.reporting AS
SELECT
	(SELECT currency FROM meter.setting) AS currency,
	(SELECT currency FROM meter.card WHERE card = 'cost') AS cost_currency,
	meter.usage_date(now(), (SELECT timezone FROM meter.setting)) AS today;
COMMENT ON VIEW meter.reporting IS 'What reports go by, in one row: their currency, that of card cost, and today''s date in the zone of meter.setting. A period that holds or follows today is not over, and its figures are estimates.';

CREATE FUNCTION meter.exchange_rate(currency text, at date) RETURNS numeric
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT CASE
		WHEN exchange_rate.currency = reporting.currency THEN 1
		ELSE (
			SELECT fx_rate.rate
			FROM meter.fx_rate
			WHERE fx_rate.currency = exchange_rate.currency
				AND fx_rate.quote = reporting.currency
				AND fx_rate.rate_date <= least(at, reporting.today)
				AND fx_rate.rate_date >= least(at, reporting.today) - 7
			ORDER BY fx_rate.rate_date DESC
			LIMIT 1)
	END
	FROM meter.reporting;
END;
COMMENT ON FUNCTION meter.exchange_rate(text, date) IS 'What reports exchange a currency at on a date: the last rate of meter.fx_rate on or before it (today, for a later one), and not more than 7 days before it; 1 for the currency of meter.setting itself; NULL where there is none.';

/* The rule of exchange_rate, as rows to join with: 7 days before the end of a month are in that month. */
CREATE VIEW meter.monthly_rate AS
WITH candidate AS (
	SELECT fx_rate.currency, meter.month_start(fx_rate.rate_date) AS month, fx_rate.rate, fx_rate.rate_date
	FROM meter.fx_rate
	JOIN meter.reporting ON reporting.currency = fx_rate.quote
	WHERE fx_rate.rate_date >= (meter.month_start(fx_rate.rate_date) + interval '1 month')::date - 8
		AND fx_rate.rate_date < meter.month_start(reporting.today)
	UNION ALL
	SELECT fx_rate.currency, meter.month_start(reporting.today), fx_rate.rate, fx_rate.rate_date
	FROM meter.fx_rate
	JOIN meter.reporting ON reporting.currency = fx_rate.quote
	WHERE fx_rate.rate_date BETWEEN reporting.today - 7 AND reporting.today
)
SELECT DISTINCT ON (currency, month) currency, month, rate, rate_date
FROM candidate
ORDER BY currency, month, rate_date DESC;
COMMENT ON VIEW meter.monthly_rate IS 'What reports exchange each currency at in each month: meter.exchange_rate at the month''s last date, in the present month as of today. A month without a row has no rate.';

CREATE VIEW meter.customer_cost AS
WITH used AS NOT MATERIALIZED (
	SELECT
		month.customer_id,
		month.usage_month AS month,
		entry.item,
		entry.events,
		entry.usage,
		entry.cost,
		entry.unpriced_cost AS unpriced_events
	FROM (
		SELECT customer_id, usage_month, meter.sum_by(breakdown, true, false, false, false, false) AS breakdown
		FROM meter.month_breakdown_part
		GROUP BY customer_id, usage_month, NULL::xid /* see meter.tail_day */
	) AS month
	CROSS JOIN meter.is_attached
	CROSS JOIN LATERAL meter.entries(month.breakdown) AS entry
	WHERE NOT attached
	UNION ALL
	SELECT
		customer_id,
		usage_month,
		item,
		sum(events),
		sum(usage),
		sum(cost),
		sum(unpriced_cost)
	FROM meter.usage_month_part
	CROSS JOIN meter.is_attached
	WHERE attached
	GROUP BY customer_id, usage_month, item
)
SELECT
	used.customer_id,
	used.month,
	coalesce(item.layer, CASE WHEN used.item IS NOT NULL THEN 'unlisted' END) AS layer,
	used.item,
	used.events::bigint AS events,
	used.usage,
	trim_scale(CASE WHEN reporting.cost_currency = reporting.currency THEN used.cost ELSE round(used.cost * monthly_rate.rate, 12) END) AS cost,
	used.unpriced_events::bigint AS unpriced_events,
	trim_scale(used.cost) AS rated_cost,
	reporting.cost_currency AS rated_currency,
	used.month >= meter.month_start(reporting.today) AS estimated
FROM used
CROSS JOIN meter.reporting
LEFT JOIN meter.item ON item.item = used.item
LEFT JOIN meter.monthly_rate
	ON monthly_rate.currency = reporting.cost_currency
	AND monthly_rate.month = used.month;
COMMENT ON VIEW meter.customer_cost IS 'What each customer''s usage cost, by month of its calendar, layer and item: the number of events, the usage, the cost in the currency of meter.setting (NULL where there is no exchange rate), how many events are not in it because they are unpriced, and the cost in the currency of card cost. The layer is unlisted where meter.item does not have the item, and NULL with the item for events that consumed none. estimated: the month is not over. From the roll-up; cheap.';

CREATE VIEW meter.customer_month AS
SELECT
	used.customer_id,
	used.usage_month AS month,
	used.events,
	trim_scale(CASE WHEN reporting.cost_currency = reporting.currency THEN used.cost ELSE round(used.cost * monthly_rate.rate, 12) END) AS cost,
	used.credits,
	used.unpriced_cost AS unpriced_events,
	used.usage_month >= meter.month_start(reporting.today) AS estimated
FROM meter.cost_by_month AS used
CROSS JOIN meter.reporting
LEFT JOIN meter.monthly_rate
	ON monthly_rate.currency = reporting.cost_currency
	AND monthly_rate.month = used.usage_month;
COMMENT ON VIEW meter.customer_month IS 'What each customer''s usage cost in each month of its calendar, over all items: events, cost in the currency of meter.setting (NULL where there is no exchange rate), credits, and how many events are not in cost because they are unpriced. estimated: the month is not over. From the roll-up of customers'' months; the cheapest of all.';

CREATE FUNCTION meter.customer_cost_between(since date, until date)
	RETURNS TABLE (customer_id text, layer text, item text, events bigint, usage meter.usage, cost numeric, unpriced_events bigint, rated_cost numeric, rated_currency text, estimated boolean)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	WITH used AS (
		SELECT
			day.customer_id,
			day.item,
			sum(day.events) AS events,
			sum(day.usage) AS usage,
			sum(day.cost) AS cost,
			sum(day.unpriced_cost) AS unpriced_events
		FROM meter.usage_part AS day
		WHERE day.usage_date >= since
			AND day.usage_date < until
		GROUP BY day.customer_id, day.item
	)
	SELECT
		used.customer_id,
		coalesce(item.layer, CASE WHEN used.item IS NOT NULL THEN 'unlisted' END),
		used.item,
		used.events::bigint,
		used.usage,
		trim_scale(round(used.cost * (SELECT meter.exchange_rate(reporting.cost_currency, until - 1) FROM meter.reporting), 12)),
		used.unpriced_events::bigint,
		trim_scale(used.cost),
		reporting.cost_currency,
		until > reporting.today
	FROM used
	CROSS JOIN meter.reporting
	LEFT JOIN meter.item ON item.item = used.item;
END;
COMMENT ON FUNCTION meter.customer_cost_between(date, date) IS 'meter.customer_cost of the dates from since to before until, in each customer''s calendar, exchanged at the last of them.';

CREATE VIEW meter.customer_action_cost AS
WITH used AS NOT MATERIALIZED (
	SELECT
		customer_id,
		usage_month AS month,
		action,
		sum(usage -> 'actions') AS attempts,
		sum(usage -> 'actions') FILTER (WHERE outcome IS NULL OR outcome = 'success') AS completed,
		sum(events) FILTER (WHERE item IS NOT NULL) AS calls,
		sum(cost) AS cost,
		sum(cost) FILTER (WHERE outcome <> 'success') AS failure_cost,
		sum(credits) AS credits,
		sum(unpriced_cost) AS unpriced_events
	FROM meter.usage_month_part
	WHERE action IS NOT NULL
	GROUP BY customer_id, usage_month, action
	HAVING sum(events) <> 0
		OR sum(cost) <> 0
), exchanged AS NOT MATERIALIZED (
	SELECT
		used.customer_id,
		used.month,
		used.action,
		coalesce(used.attempts, 0) AS attempts,
		coalesce(used.completed, 0) AS completed,
		coalesce(used.calls, 0)::bigint AS calls,
		round(used.cost * CASE WHEN reporting.cost_currency = reporting.currency THEN 1 ELSE monthly_rate.rate END, 12) AS cost,
		round(coalesce(used.failure_cost, 0) * CASE WHEN reporting.cost_currency = reporting.currency THEN 1 ELSE monthly_rate.rate END, 12) AS failure_cost,
		used.credits,
		used.unpriced_events::bigint AS unpriced_events,
		used.month >= meter.month_start(reporting.today) AS estimated
	FROM used
	CROSS JOIN meter.reporting
	LEFT JOIN meter.monthly_rate
		ON monthly_rate.currency = reporting.cost_currency
		AND monthly_rate.month = used.month
)
SELECT
	customer_id,
	month,
	action,
	trim_scale(attempts) AS attempts,
	trim_scale(completed) AS completed,
	calls,
	trim_scale(cost) AS cost,
	trim_scale(failure_cost) AS failure_cost,
	CASE WHEN completed > 0 THEN meter.prorate(cost, 0, 1, completed) END AS cost_per_action,
	CASE WHEN completed > 0 THEN meter.prorate(calls, 0, 1, completed) END AS calls_per_action,
	trim_scale(credits) AS credits,
	unpriced_events,
	estimated
FROM exchanged;
COMMENT ON VIEW meter.customer_action_cost IS 'What each action cost, by customer and month: how many were attempted (unit actions, whatever the outcome) and completed (outcome NULL or success), how many calls of items they took, what all of that cost and what of it was of failures, pending and disputed ones, the cost and the calls of all attempts for each completed action (NULL where none was), and the credits it took. Where calls_per_action grows, an agent loops. From the roll-up; cheap.';

CREATE VIEW meter.action_cost AS
SELECT
	month,
	action,
	count(*) AS customers,
	trim_scale(sum(attempts)) AS attempts,
	trim_scale(sum(completed)) AS completed,
	sum(calls)::bigint AS calls,
	CASE WHEN count(cost) = count(*) THEN trim_scale(sum(cost)) END AS cost,
	CASE WHEN count(cost) = count(*) THEN trim_scale(sum(failure_cost)) END AS failure_cost,
	CASE WHEN count(cost) = count(*) AND sum(completed) > 0 THEN meter.prorate(sum(cost), 0, 1, sum(completed)) END AS cost_per_action,
	CASE WHEN sum(completed) > 0 THEN meter.prorate(sum(calls), 0, 1, sum(completed)) END AS calls_per_action,
	trim_scale(sum(credits)) AS credits,
	sum(unpriced_events)::bigint AS unpriced_events,
	bool_or(estimated) AS estimated
FROM meter.customer_action_cost
GROUP BY month, action;
COMMENT ON VIEW meter.action_cost IS 'meter.customer_action_cost over all customers: what a completed action costs, all attempts at it included. From the roll-up; cheap.';

CREATE VIEW meter.report_event AS
SELECT customer_id, occurred_at, usage_date, item, usage, action, credited_action, variant, outcome, user_id, workflow_id, sign
FROM meter.dated_event
UNION ALL
SELECT customer_id, occurred_at, usage_date, item, usage, action, credited_action, variant, outcome, user_id, workflow_id, 1::smallint
FROM meter.attached_event
CROSS JOIN meter.is_attached
WHERE attached;
COMMENT ON VIEW meter.report_event IS 'The events that reports read one by one: those of meter.usage_event and the rows of attached tables.';

CREATE VIEW meter.workflow_cost AS
WITH run AS NOT MATERIALIZED (
	SELECT
		customer_id,
		workflow_id,
		min(usage_date) AS first_date,
		max(usage_date) AS last_date,
		sum(sign) AS events,
		coalesce(sum(sign) FILTER (WHERE item IS NOT NULL), 0) AS calls,
		coalesce(sum(usage -> 'actions') FILTER (WHERE outcome IS NULL OR outcome = 'success'), 0) AS completed,
		coalesce(meter.total_cost((SELECT cost FROM meter.event_card), item, occurred_at, usage, variant), 0) AS cost,
		coalesce(sum(sign) FILTER (WHERE meter.unpriced((SELECT cost FROM meter.event_card), item, occurred_at, usage, variant)), 0) AS unpriced_events
	FROM meter.report_event
	WHERE workflow_id IS NOT NULL
	GROUP BY customer_id, workflow_id
)
SELECT
	run.customer_id,
	run.workflow_id,
	run.first_date,
	run.last_date,
	run.events::bigint AS events,
	run.calls::bigint AS calls,
	trim_scale(run.completed) AS completed,
	trim_scale(CASE WHEN reporting.cost_currency = reporting.currency THEN run.cost ELSE round(run.cost * monthly_rate.rate, 12) END) AS cost,
	run.unpriced_events::bigint AS unpriced_events
FROM run
CROSS JOIN meter.reporting
LEFT JOIN meter.monthly_rate
	ON monthly_rate.currency = reporting.cost_currency
	AND monthly_rate.month = meter.month_start(run.last_date);
COMMENT ON VIEW meter.workflow_cost IS 'What each run of a workflow cost: its dates, events, calls of items, completed actions, cost (exchanged in the month of its last date) and unpriced events. From the events: limit it to a customer, or expect it to read and rate all of them.';

CREATE VIEW meter.user_cost AS
WITH used AS NOT MATERIALIZED (
	SELECT
		customer_id,
		meter.month_start(usage_date) AS month,
		user_id,
		sum(sign) AS events,
		coalesce(sum(usage -> 'actions') FILTER (WHERE outcome IS NULL OR outcome = 'success'), 0) AS completed,
		coalesce(meter.total_cost((SELECT cost FROM meter.event_card), item, occurred_at, usage, variant), 0) AS cost,
		coalesce(sum(sign) FILTER (WHERE meter.unpriced((SELECT cost FROM meter.event_card), item, occurred_at, usage, variant)), 0) AS unpriced_events
	FROM meter.report_event
	GROUP BY customer_id, month, user_id
)
SELECT
	used.customer_id,
	used.month,
	used.user_id,
	used.events::bigint AS events,
	trim_scale(used.completed) AS completed,
	trim_scale(CASE WHEN reporting.cost_currency = reporting.currency THEN used.cost ELSE round(used.cost * monthly_rate.rate, 12) END) AS cost,
	used.unpriced_events::bigint AS unpriced_events,
	used.month >= meter.month_start(reporting.today) AS estimated
FROM used
CROSS JOIN meter.reporting
LEFT JOIN meter.monthly_rate
	ON monthly_rate.currency = reporting.cost_currency
	AND monthly_rate.month = used.month;
COMMENT ON VIEW meter.user_cost IS 'What each of a customer''s users cost, by month: events, completed actions, cost and unpriced events; user_id is NULL for events of no user. From the events: limit it to a customer, or expect it to read and rate all of them.';

CREATE VIEW meter.cache_saving AS
WITH answered AS NOT MATERIALIZED (
	SELECT
		customer_id,
		meter.month_start(usage_date) AS month,
		item,
		sum(sign) AS events,
		sum(usage) AS usage,
		coalesce(meter.total_cost((SELECT cost FROM meter.event_card), item, occurred_at, usage, 'standard'), 0) AS standard_cost,
		coalesce(meter.total_cost((SELECT cost FROM meter.event_card), item, occurred_at, usage, variant)
			FILTER (WHERE NOT meter.unpriced((SELECT cost FROM meter.event_card), item, occurred_at, usage, 'standard')), 0) AS cost,
		coalesce(sum(sign) FILTER (WHERE meter.unpriced((SELECT cost FROM meter.event_card), item, occurred_at, usage, 'standard')
			OR meter.unpriced((SELECT cost FROM meter.event_card), item, occurred_at, usage, variant)), 0) AS unpriced_events
	FROM meter.report_event
	WHERE variant = 'cached'
		AND item IS NOT NULL
	GROUP BY customer_id, month, item
), exchanged AS NOT MATERIALIZED (
	SELECT
		answered.customer_id,
		answered.month,
		answered.item,
		answered.events,
		answered.usage,
		round(answered.standard_cost * CASE WHEN reporting.cost_currency = reporting.currency THEN 1 ELSE monthly_rate.rate END, 12) AS standard_cost,
		round(answered.cost * CASE WHEN reporting.cost_currency = reporting.currency THEN 1 ELSE monthly_rate.rate END, 12) AS cost,
		answered.unpriced_events
	FROM answered
	CROSS JOIN meter.reporting
	LEFT JOIN meter.monthly_rate
		ON monthly_rate.currency = reporting.cost_currency
		AND monthly_rate.month = answered.month
)
SELECT
	customer_id,
	month,
	item,
	events::bigint AS events,
	usage,
	trim_scale(standard_cost) AS standard_cost,
	trim_scale(cost) AS cost,
	trim_scale(standard_cost - cost) AS saving,
	unpriced_events::bigint AS unpriced_events
FROM exchanged;
COMMENT ON VIEW meter.cache_saving IS 'What answers from a cache of one''s own (variant cached) saved, by customer, month and item: what the same usage would have cost in variant standard at its instant, what it did cost, and the difference. Events that are unpriced in variant standard are in no amount, and are counted. From the events: limit it to a customer, or expect it to read all of them.';

CREATE VIEW meter.provider_usage AS
WITH billed AS (
	SELECT DISTINCT provider, period
	FROM meter.provider_bill
)
SELECT
	billed.provider,
	billed.period,
	day.item,
	CASE
		WHEN EXISTS (
			SELECT FROM meter.provider_bill AS bill
			WHERE bill.provider = billed.provider
				AND bill.period = billed.period
				AND bill.item = day.item) THEN day.item
		WHEN EXISTS (
			SELECT FROM meter.provider_bill AS bill
			WHERE bill.provider = billed.provider
				AND bill.period = billed.period
				AND bill.item IS NULL) THEN NULL
		ELSE day.item
	END AS billed_item,
	day.customer_id,
	sum(day.cost) AS cost,
	sum(day.unpriced_cost) AS unpriced_events
FROM billed
JOIN meter.usage_part AS day ON day.usage_date <@ billed.period
LEFT JOIN meter.item ON item.item = day.item
WHERE coalesce(item.provider, split_part(day.item, '/', 1)) = billed.provider
GROUP BY billed.provider, billed.period, day.item, day.customer_id;
COMMENT ON VIEW meter.provider_usage IS 'The usage that bills of meter.provider_bill are for: what each customer''s usage of each item was rated at in the period of a bill, in the currency of card cost, and billed_item: the item by which the bill has it, NULL where it is in the row without one. Dates are those of the customers'' calendars, so usage near midnight at either end can be in the provider''s neighbouring bill.';

CREATE VIEW meter.provider_reconciliation AS
WITH part AS (
	SELECT
		bill.provider,
		bill.period,
		bill.item,
		0::numeric AS computed,
		CASE WHEN bill.currency = reporting.currency THEN bill.amount ELSE round(bill.amount * monthly_rate.rate, 12) END AS billed,
		1 AS bills,
		0 AS unpriced_events
	FROM meter.provider_bill AS bill
	CROSS JOIN meter.reporting
	LEFT JOIN meter.monthly_rate
		ON monthly_rate.currency = bill.currency
		AND monthly_rate.month = meter.month_start(least(upper(bill.period) - 1, reporting.today))
	UNION ALL
	SELECT
		used.provider,
		used.period,
		used.billed_item,
		CASE WHEN reporting.cost_currency = reporting.currency THEN used.cost ELSE round(used.cost * monthly_rate.rate, 12) END,
		0,
		0,
		used.unpriced_events
	FROM meter.provider_usage AS used
	CROSS JOIN meter.reporting
	LEFT JOIN meter.monthly_rate
		ON monthly_rate.currency = reporting.cost_currency
		AND monthly_rate.month = meter.month_start(least(upper(used.period) - 1, reporting.today))
), compared AS (
	SELECT
		provider,
		period,
		item,
		CASE WHEN count(computed) = count(*) THEN sum(computed) END AS computed,
		CASE WHEN count(billed) = count(*) AND sum(bills) > 0 THEN sum(billed) END AS billed,
		sum(unpriced_events) AS unpriced_events
	FROM part
	GROUP BY provider, period, item
)
SELECT
	provider,
	lower(period) AS first_date,
	upper(period) - 1 AS last_date,
	item,
	trim_scale(computed) AS computed,
	trim_scale(billed) AS billed,
	trim_scale(billed - computed) AS difference,
	CASE WHEN computed > 0 THEN trim_scale(round(100 * (billed - computed) / computed, 4)) END AS difference_percent,
	unpriced_events::bigint AS unpriced_events
FROM compared;
COMMENT ON VIEW meter.provider_reconciliation IS 'What providers billed against what usage was rated at, by bill period and item (NULL: the row of the bill that is for all other items), in the currency of meter.setting. difference is billed less computed: above zero, something is used that is not recorded, or rated too low. billed is NULL for usage that is on no bill, and unpriced_events are in no computed cost.';

CREATE VIEW meter.provider_bill_allocation AS
WITH line AS (
	SELECT provider, period, item, currency, sum(amount) AS amount
	FROM meter.provider_bill
	GROUP BY provider, period, item, currency
), weighed AS (
	SELECT line.provider, line.period, line.item, line.currency, line.amount, used.customer_id, used.item AS used_item, used.cost
	FROM line
	JOIN meter.provider_usage AS used
		ON used.provider = line.provider
		AND used.period = line.period
		AND used.billed_item IS NOT DISTINCT FROM line.item
	WHERE used.cost > 0
	UNION ALL
	SELECT line.provider, line.period, line.item, line.currency, line.amount, NULL, NULL, 0
	FROM line
), whole AS (
	SELECT *, sum(cost) OVER (PARTITION BY provider, period, item, currency) AS whole_cost
	FROM weighed
), divided AS (
	SELECT
		*,
		meter.allocate(amount, CASE WHEN whole_cost = 0 THEN 1 ELSE cost END) OVER (PARTITION BY provider, period, item, currency ORDER BY customer_id COLLATE "C", used_item COLLATE "C") AS part
	FROM whole
)
SELECT
	provider,
	lower(period) AS first_date,
	upper(period) - 1 AS last_date,
	item AS billed_item,
	customer_id,
	used_item AS item,
	trim_scale(cost) AS rated_cost,
	part AS amount,
	currency
FROM divided
WHERE customer_id IS NOT NULL
	OR whole_cost = 0;
COMMENT ON VIEW meter.provider_bill_allocation IS 'Cost scaled to the actual: each line of a provider''s bills divided among the customers and items it is for, by what their usage was rated at, so that the parts add up to the bill exactly, in its currency. customer_id is NULL for what was billed without any usage that has a cost.';
