/*
 * Credits as they are now: lots, what usage took of them, balances and statements.
 *
 * Lots begin and end at the start of a customer's date, and usage is summed by that
 * date. So what a day took is burned at the day's first instant, and the wallet is the
 * one that a walk over every event would give.
 */

CREATE FUNCTION meter.allotment_lots(allotment meter.credit_allotment, until date)
	RETURNS TABLE (lot_id text, first_date date, end_date date, rollover_max numeric, rollover_end_date date)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 12
BEGIN ATOMIC
	WITH recurrence AS (
		SELECT
			period,
			least(upper((allotment).valid), (allotment).ended_on) AS ends_on,
			coalesce((allotment).rollover_max, meter.prorate((allotment).amount, 0, (allotment).rollover_percent, 100)) AS kept
		FROM meter.periods(
			lower((allotment).valid),
			greatest(least(upper((allotment).valid), (allotment).ended_on, until + 1), lower((allotment).valid)),
			(allotment).anchor,
			(allotment).every) AS period
	)
	SELECT
		(allotment).allotment_id || to_char(lower(period), '@YYYY-MM-DD'),
		greatest(lower(period), lower((allotment).valid)),
		least(upper(period), ends_on),
		CASE WHEN ends_on < upper(period) THEN NULL ELSE kept END,
		CASE
			WHEN ends_on < upper(period) OR kept IS NULL THEN NULL
			ELSE meter.period_boundary(meter.period_number(lower(period), (allotment).anchor, (allotment).every) + 1 + (allotment).rollover_periods, (allotment).anchor, (allotment).every)
		END
	FROM recurrence;
END;
COMMENT ON FUNCTION meter.allotment_lots(meter.credit_allotment, date) IS 'The lots of an allotment that begin until a date, that one included, past or to come: a row a period. Call it as FROM meter.credit_allotment AS allotment, meter.allotment_lots(allotment, ''2027-01-01''). The columns are those of meter.credit_lot.';

/*
 * A further source of lots is a further branch of lot: dates of the customer's calendar,
 * and an id that no other lot of the customer has.
 */
CREATE VIEW meter.credit_lot AS
WITH lot AS (
	SELECT
		customer_id,
		credit_type,
		grant_id AS lot_id,
		kind,
		amount,
		pool,
		priority,
		lower(valid) AS first_date,
		least(upper(valid), voided_on) AS end_date,
		CASE WHEN voided_on <= upper(valid) THEN NULL ELSE rollover_max END AS rollover_max,
		CASE WHEN rollover_until IS NULL OR voided_on <= upper(valid) THEN NULL ELSE least(rollover_until, voided_on) END AS rollover_end_date,
		voided_on,
		paid,
		currency,
		created_at
	FROM meter.credit_grant
	UNION ALL
	SELECT
		allotment.customer_id,
		allotment.credit_type,
		recurring.lot_id,
		'allotment',
		allotment.amount,
		allotment.pool,
		allotment.priority,
		recurring.first_date,
		recurring.end_date,
		recurring.rollover_max,
		recurring.rollover_end_date,
		NULL,
		0,
		NULL,
		allotment.created_at
	FROM meter.credit_allotment AS allotment
	/* Whatever the zone, a date is at most a day and a few hours off the UTC one. */
	CROSS JOIN LATERAL meter.allotment_lots(allotment, timezone('UTC', now())::date + 2) AS recurring
	UNION ALL
	SELECT customer_id, credit_type, lot_id, 'allotment', amount, pool, priority, first_date, end_date, rollover_max, rollover_end_date, NULL, 0, NULL, created_at
	FROM meter.plan_lot
), timed AS (
	SELECT
		lot.*,
		least(greatest(meter.date_start(lot.first_date, coalesce(first_span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), first_span.starts), first_span.ends) AS effective_at,
		least(greatest(meter.date_start(lot.end_date, coalesce(end_span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), end_span.starts), end_span.ends) AS expires_at,
		least(greatest(meter.date_start(lot.rollover_end_date, coalesce(rollover_span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), rollover_span.starts), rollover_span.ends) AS rollover_until
	FROM lot
	LEFT JOIN meter.customer_zone_span AS first_span
		ON first_span.customer_id = lot.customer_id
		AND lot.first_date BETWEEN first_span.first_date AND first_span.last_date
	LEFT JOIN meter.customer_zone_span AS end_span
		ON end_span.customer_id = lot.customer_id
		AND lot.end_date BETWEEN end_span.first_date AND end_span.last_date
	LEFT JOIN meter.customer_zone_span AS rollover_span
		ON rollover_span.customer_id = lot.customer_id
		AND lot.rollover_end_date BETWEEN rollover_span.first_date AND rollover_span.last_date
)
SELECT *
FROM timed
WHERE effective_at <= now();
COMMENT ON VIEW meter.credit_lot IS 'The lots that have begun by now: a row a grant, and a row a period of an allotment, its own or a plan''s. What was burned of each is in meter.credit_lot_balance. meter.allotment_lots has those of an allotment that are still to come.';
COMMENT ON COLUMN meter.credit_lot.customer_id IS 'Whose credits.';
COMMENT ON COLUMN meter.credit_lot.credit_type IS 'The type of credits.';
COMMENT ON COLUMN meter.credit_lot.lot_id IS 'The grant_id; or the allotment_id, @ and the first date of its period; or, of a plan, the item, # and the subscription_id, @ and the first date of its period. It never changes.';
COMMENT ON COLUMN meter.credit_lot.kind IS 'allotment, purchase, promotion or refund.';
COMMENT ON COLUMN meter.credit_lot.amount IS 'How many credits it began with.';
COMMENT ON COLUMN meter.credit_lot.pool IS 'The pool whose actions alone burn it. NULL: any action burns it.';
COMMENT ON COLUMN meter.credit_lot.priority IS 'The lower one burns first.';
COMMENT ON COLUMN meter.credit_lot.first_date IS 'The first date of the customer''s calendar on which it can be burned.';
COMMENT ON COLUMN meter.credit_lot.end_date IS 'The date on which it expires: the first one on which it cannot be burned. Of a voided grant, voided_on where that is earlier. NULL: it never expires.';
COMMENT ON COLUMN meter.credit_lot.rollover_max IS 'At end_date, at most so many credits of what is left are kept. NULL: none.';
COMMENT ON COLUMN meter.credit_lot.rollover_end_date IS 'The date on which what was kept expires.';
COMMENT ON COLUMN meter.credit_lot.voided_on IS 'The first date on which it does not count any more. NULL: it was not voided.';
COMMENT ON COLUMN meter.credit_lot.paid IS 'What was paid for it.';
COMMENT ON COLUMN meter.credit_lot.currency IS 'ISO 4217 code of the currency of paid. NULL of what is no purchase.';
COMMENT ON COLUMN meter.credit_lot.created_at IS 'When it was granted, or its allotment stored: of lots that expire together the earlier one burns first.';
COMMENT ON COLUMN meter.credit_lot.effective_at IS 'The first instant of first_date.';
COMMENT ON COLUMN meter.credit_lot.expires_at IS 'The first instant of end_date.';
COMMENT ON COLUMN meter.credit_lot.rollover_until IS 'The first instant of rollover_end_date.';

/*
 * Lots and usage meet in one grouping, so that any filter on the customer goes below it.
 * The usage is one's own, which is billed: this is the one place where credits meet it.
 * No wallet is made of more than one can have: an error would be one for every customer.
 */
CREATE VIEW meter.credit_account AS
WITH entry AS (
	SELECT customer_id, credit_type, lot, NULL::date AS usage_date, NULL::text AS pool, 0::numeric AS credits, 0::bigint AS unpriced_events
	FROM meter.credit_lot AS lot
	UNION ALL
	SELECT part.customer_id, coalesce(action.credit_type, 'credit'), NULL, part.usage_date, action.pool, part.credits, part.unpriced_credits
	FROM meter.event_part AS part
	LEFT JOIN meter.action USING (action)
	WHERE part.credits <> 0
		OR part.unpriced_credits <> 0
), account AS (
	SELECT
		customer_id,
		credit_type,
		coalesce(array_agg(lot) FILTER (WHERE usage_date IS NULL), '{}') AS lots,
		coalesce(array_agg(usage_date) FILTER (WHERE credits <> 0), '{}') AS dates,
		array_agg(credits) FILTER (WHERE credits <> 0) AS credits,
		array_agg(pool) FILTER (WHERE credits <> 0) AS pools,
		coalesce(max(usage_date) - min(usage_date) + 1, 0) AS days,
		sum(unpriced_events)::bigint AS unpriced_events
	FROM entry
	GROUP BY customer_id, credit_type
)
SELECT
	account.customer_id,
	account.credit_type,
	held.granted,
	held.currency,
	held.mixed_currencies,
	account.unpriced_events,
	used.starts,
	used.credits,
	used.pools
FROM account
CROSS JOIN LATERAL (
	SELECT
		CASE
			/* A span more than there are bounds, and the two of a period that is asked for. */
			WHEN count(*) <= 10000 AND (3 * count(*) + least(account.days, cardinality(account.dates)) + 3) * (count(DISTINCT lot.pool) + 1) <= 1000000
			THEN (SELECT meter.wallet(lot_id, amount, pool, priority, effective_at, expires_at, created_at, rollover_max, rollover_until, paid) FROM unnest(account.lots))
		END AS granted,
		CASE WHEN min(lot.currency) = max(lot.currency) THEN min(lot.currency) END AS currency,
		coalesce(min(lot.currency) <> max(lot.currency), false) AS mixed_currencies
	FROM unnest(account.lots) AS lot
) AS held
CROSS JOIN LATERAL (
	SELECT array_agg(day.starts) AS starts, array_agg(day.credits) AS credits, array_agg(day.pool) AS pools
	FROM (
		SELECT
			least(greatest(meter.date_start(taken.usage_date, coalesce(span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), span.starts), span.ends) AS starts,
			taken.credits,
			taken.pool
		FROM unnest(account.dates, account.credits, account.pools) AS taken (usage_date, credits, pool)
		LEFT JOIN meter.customer_zone_span AS span
			ON span.customer_id = account.customer_id
			AND taken.usage_date BETWEEN span.first_date AND span.last_date
	) AS day
	WHERE day.starts <= now()
) AS used;
COMMENT ON VIEW meter.credit_account IS 'What balances and statements are made of, by customer and credit type: granted, the wallet of the lots that have begun, before anything is burned (NULL where they are too many for one: above 10000, or above 1000000 spans times pools); and what usage took, as arrays of the first instants of dates, credits and the actions'' pools, a date more than once where several things were used on it. Dates to come are left out. Actions that meter.action does not have take type credit, and name no pool. unpriced_events is the number of events whose action has no rate in card credit and that are not in it.';

CREATE VIEW meter.credit_wallet AS
SELECT
	account.customer_id,
	account.credit_type,
	coalesce(burned.wallet, account.granted) AS wallet,
	account.currency,
	account.mixed_currencies,
	account.unpriced_events
FROM meter.credit_account AS account
CROSS JOIN LATERAL (
	SELECT meter.burn(account.granted, taken.starts, taken.credits, taken.pool) AS wallet
	FROM unnest(account.starts, account.credits, account.pools) AS taken (starts, credits, pool)
) AS burned;
COMMENT ON VIEW meter.credit_wallet IS 'The wallet of each customer and credit type that has lots or usage, burned by every event that is committed: a value to ask meter.balance, meter.spend and the like. Whether an action of 5 credits is covered now: meter.balance(wallet, now(), pool) >= 5. currency is the one that purchases were paid in, NULL where they were in several (mixed_currencies) or there are none. unpriced_events are not in the wallet. It is NULL where there are too many lots for one, as meter.credit_problem says.';

CREATE VIEW meter.credit_lot_balance AS
SELECT
	held.customer_id,
	held.credit_type,
	lot.lot_id,
	lot.kind,
	lot.pool,
	lot.priority,
	lot.first_date,
	lot.end_date,
	burned.granted,
	burned.spent,
	burned.expired,
	burned.rolled_over,
	burned.remaining,
	lot.rollover_end_date,
	lot.voided_on,
	lot.currency,
	burned.paid,
	burned.recognised,
	burned.deferred
FROM meter.credit_wallet AS held
CROSS JOIN LATERAL meter.lots(held.wallet, now()) AS burned
JOIN meter.credit_lot AS lot
	ON lot.customer_id = held.customer_id
	AND lot.credit_type = held.credit_type
	AND lot.lot_id = burned.id;
COMMENT ON VIEW meter.credit_lot_balance IS 'What has become of each lot by now: granted = spent + expired + remaining, and paid = recognised + deferred. rolled_over is what was kept at its expiry.';

CREATE VIEW meter.credit_balance AS
SELECT
	held.customer_id,
	held.credit_type,
	burned.granted,
	burned.spent,
	burned.expired,
	burned.remaining,
	meter.overage(held.wallet) AS overage,
	meter.unapplied(held.wallet) AS unapplied,
	held.unpriced_events,
	following.at AS next_expiry,
	following.amount AS next_expiry_amount,
	held.currency,
	CASE WHEN NOT held.mixed_currencies THEN burned.paid END AS paid,
	CASE WHEN NOT held.mixed_currencies THEN burned.recognised END AS recognised,
	CASE WHEN NOT held.mixed_currencies THEN burned.deferred END AS deferred
FROM meter.credit_wallet AS held
LEFT JOIN LATERAL (
	SELECT
		trim_scale(coalesce(sum(lot.granted), 0)) AS granted,
		trim_scale(coalesce(sum(lot.spent), 0)) AS spent,
		trim_scale(coalesce(sum(lot.expired), 0)) AS expired,
		trim_scale(coalesce(sum(lot.remaining), 0)) AS remaining,
		trim_scale(coalesce(sum(lot.paid), 0)) AS paid,
		trim_scale(coalesce(sum(lot.recognised), 0)) AS recognised,
		trim_scale(coalesce(sum(lot.deferred), 0)) AS deferred
	FROM meter.lots(held.wallet, now()) AS lot
) AS burned ON held.wallet IS NOT NULL
LEFT JOIN LATERAL meter.next_expiry(held.wallet, now()) AS following (at, amount) ON true;
COMMENT ON VIEW meter.credit_balance IS 'Credits of each customer and credit type that has lots or usage, as they are now, by every event that is committed. granted = spent + expired + remaining, and what usage took = spent + overage - unapplied. All NULL where there are too many lots for a wallet, as meter.credit_problem says.';
COMMENT ON COLUMN meter.credit_balance.customer_id IS 'Whose credits. A filter on it is quick.';
COMMENT ON COLUMN meter.credit_balance.credit_type IS 'The type of credits.';
COMMENT ON COLUMN meter.credit_balance.granted IS 'The lots that have begun by now.';
COMMENT ON COLUMN meter.credit_balance.spent IS 'What usage burned of them.';
COMMENT ON COLUMN meter.credit_balance.expired IS 'What expired of them, or was voided.';
COMMENT ON COLUMN meter.credit_balance.remaining IS 'What is left. Lots of a pool are in it, which only the pool''s actions burn: meter.balance(wallet, now(), pool) of meter.credit_wallet says what one action could take.';
COMMENT ON COLUMN meter.credit_balance.overage IS 'What usage took and no lot covered. A later lot does not make up for it.';
COMMENT ON COLUMN meter.credit_balance.unapplied IS 'What was taken back and had not been taken: 0, as an event is taken back on its own date.';
COMMENT ON COLUMN meter.credit_balance.unpriced_events IS 'How many events have an action without a rate in card credit: they took nothing so far. meter.unpriced_usage lists what is missing.';
COMMENT ON COLUMN meter.credit_balance.next_expiry IS 'When something of remaining will expire first, if nothing is used. NULL: nothing will.';
COMMENT ON COLUMN meter.credit_balance.next_expiry_amount IS 'How much will.';
COMMENT ON COLUMN meter.credit_balance.currency IS 'The currency of purchases. NULL: there are none, or they were in several.';
COMMENT ON COLUMN meter.credit_balance.paid IS 'What was paid for the lots. NULL where it was in several currencies: meter.credit_revenue has them apart.';
COMMENT ON COLUMN meter.credit_balance.recognised IS 'The part of it that belongs to what was spent or has expired: revenue.';
COMMENT ON COLUMN meter.credit_balance.deferred IS 'The rest, which belongs to what is left: a liability.';

/*
 * The wallet is cut at each day with usage, so that a span is a day's. All entries of a
 * wallet come from one walk of each kind.
 */
CREATE VIEW meter.credit_ledger AS
WITH movement AS (
	SELECT account.customer_id, account.credit_type, moved.*
	FROM meter.credit_account AS account
	CROSS JOIN LATERAL (
		SELECT meter.burn((SELECT meter.with_cuts(account.granted, account.starts)), taken.starts, taken.credits, taken.pool) AS wallet
		FROM unnest(account.starts, account.credits, account.pools) AS taken (starts, credits, pool)
	) AS burned
	CROSS JOIN LATERAL (
		SELECT burn.lot AS lot_id, NULL::text AS of_pool, burn.starts AS at, burn.kind AS entry, burn.amount AS credits, burn.place
		FROM meter.burns(coalesce(burned.wallet, account.granted)) WITH ORDINALITY AS burn (lot, starts, ends, amount, kind, place)
		UNION ALL
		SELECT NULL, span.pool, span.starts, 'overage', span.overage, span.place
		FROM meter.spans(burned.wallet) WITH ORDINALITY AS span (starts, ends, pool, consumed, covered, overage, unapplied, place)
		WHERE span.overage <> 0
	) AS moved
	WHERE moved.at <= now()
), dated AS (
	SELECT
		movement.customer_id,
		movement.credit_type,
		movement.at,
		least(meter.usage_date(movement.at, coalesce(span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), span.last_date) AS entry_date,
		movement.entry,
		movement.lot_id,
		coalesce(lot.pool, movement.of_pool) AS pool,
		movement.credits,
		movement.place,
		lot.kind,
		lot.amount,
		lot.effective_at,
		lot.voided_on,
		lot.paid,
		lot.currency
	FROM movement
	LEFT JOIN meter.credit_lot AS lot
		ON lot.customer_id = movement.customer_id
		AND lot.credit_type = movement.credit_type
		AND lot.lot_id = movement.lot_id
	LEFT JOIN meter.customer_zone_span AS span
		ON span.customer_id = movement.customer_id
		AND movement.at >= span.starts
		AND movement.at < span.ends
), ordered AS (
	SELECT
		*,
		CASE entry
			WHEN 'granted' THEN 3
			WHEN 'spent' THEN 5
			WHEN 'overage' THEN 6
			WHEN 'rolled_over' THEN 2
			/* what was voided before it began does so at once */
			ELSE CASE WHEN effective_at = at THEN 4 ELSE 1 END
		END AS step,
		CASE entry WHEN 'granted' THEN credits WHEN 'spent' THEN -credits WHEN 'expired' THEN -credits ELSE 0 END AS change,
		CASE WHEN entry IN ('spent', 'expired') THEN credits ELSE 0 END AS gone
	FROM dated
), added AS (
	SELECT
		*,
		row_number() OVER statement AS entry_number,
		sum(change) OVER statement AS balance,
		sum(change) OVER of_lot AS lot_balance,
		sum(gone) OVER of_lot AS gone_by_then
	FROM ordered
	WINDOW
		statement AS (PARTITION BY customer_id, credit_type ORDER BY at, step, place ROWS UNBOUNDED PRECEDING),
		of_lot AS (PARTITION BY customer_id, credit_type, lot_id ORDER BY at, step ROWS UNBOUNDED PRECEDING)
)
SELECT
	customer_id,
	credit_type,
	entry_number,
	entry_date,
	CASE entry
		WHEN 'granted' THEN 'grant'
		WHEN 'spent' THEN 'burn'
		WHEN 'rolled_over' THEN 'rollover'
		WHEN 'expired' THEN CASE WHEN voided_on <= entry_date THEN 'void' ELSE 'expiry' END
		ELSE entry
	END AS entry,
	lot_id,
	kind,
	pool,
	credits,
	change,
	trim_scale(balance) AS balance,
	CASE WHEN lot_id IS NOT NULL THEN trim_scale(lot_balance) END AS lot_balance,
	currency,
	CASE WHEN entry = 'granted' THEN paid ELSE 0 END AS paid,
	CASE WHEN paid > 0 AND gone > 0 THEN meter.prorate(paid, gone_by_then - gone, gone_by_then, amount) ELSE 0 END AS recognised,
	at AS entry_at
FROM added;
COMMENT ON VIEW meter.credit_ledger IS 'The statement of credits, as of now: every grant, what each day burned of which lot, what expired, was rolled over and was voided, with a running balance, which ends at meter.credit_balance.remaining. Read it ORDER BY customer_id, credit_type, entry_number. It is made of lots and usage anew each time: a late event changes the day that it belongs to and what came after.';
COMMENT ON COLUMN meter.credit_ledger.customer_id IS 'Whose credits. A filter on it is quick.';
COMMENT ON COLUMN meter.credit_ledger.credit_type IS 'The type of credits.';
COMMENT ON COLUMN meter.credit_ledger.entry_number IS 'The order of the entries, from 1. On one date: expiries, rollovers, grants, then what was burned, in the order in which lots are taken.';
COMMENT ON COLUMN meter.credit_ledger.entry_date IS 'The date in the customer''s calendar.';
COMMENT ON COLUMN meter.credit_ledger.entry IS 'grant; burn (of a day, of one lot); overage (of a day: no lot covered it); expiry; rollover (kept at the lot''s expiry); void.';
COMMENT ON COLUMN meter.credit_ledger.lot_id IS 'The lot behind it. NULL of overage.';
COMMENT ON COLUMN meter.credit_ledger.kind IS 'The lot''s kind: allotment, purchase, promotion or refund.';
COMMENT ON COLUMN meter.credit_ledger.pool IS 'The lot''s pool; of overage, the pool whose actions it is, where a lot is of that pool.';
COMMENT ON COLUMN meter.credit_ledger.credits IS 'How many credits it is about, above 0.';
COMMENT ON COLUMN meter.credit_ledger.change IS 'What it adds to the balance, or takes from it. 0 of overage and rollover.';
COMMENT ON COLUMN meter.credit_ledger.balance IS 'The balance of the credit type after it.';
COMMENT ON COLUMN meter.credit_ledger.lot_balance IS 'What is left of the lot after it.';
COMMENT ON COLUMN meter.credit_ledger.currency IS 'The currency of paid and recognised. NULL: the lot is no purchase.';
COMMENT ON COLUMN meter.credit_ledger.paid IS 'What was paid for the lot, in the entry that grants it.';
COMMENT ON COLUMN meter.credit_ledger.recognised IS 'The part of it that became revenue by this entry: in proportion to what was burned, expired or voided, settled so that the entries of a lot add up to what was paid.';
COMMENT ON COLUMN meter.credit_ledger.entry_at IS 'The first instant of the date: lots begin and end there, and a day''s usage is burned there.';

/* What was purged has been burned before the first event that is there. */
CREATE VIEW meter.credit_ledger_event AS
WITH held AS (
	SELECT account.customer_id, account.credit_type, coalesce(burned.wallet, account.granted) AS wallet
	FROM meter.credit_account AS account
	LEFT JOIN meter.customer_zone_span AS span
		ON span.customer_id = account.customer_id
		AND (SELECT horizon FROM meter.horizon) BETWEEN span.first_date AND span.last_date
	CROSS JOIN LATERAL (
		SELECT meter.burn(account.granted, taken.starts, taken.credits, taken.pool) AS wallet
		FROM unnest(account.starts, account.credits, account.pools) AS taken (starts, credits, pool)
		WHERE isfinite((SELECT horizon FROM meter.horizon))
			AND taken.starts < least(greatest(meter.date_start((SELECT horizon FROM meter.horizon), coalesce(span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), span.starts), span.ends)
	) AS burned
), rated AS (
	SELECT
		event.customer_id,
		coalesce(action.credit_type, 'credit') AS credit_type,
		event.event_id,
		event.occurred_at,
		event.usage_date,
		event.action,
		action.pool,
		meter.cost((SELECT credit FROM meter.event_card), event.action, event.occurred_at, event.usage, event.variant) AS credits
	FROM meter.dated_event AS event
	LEFT JOIN meter.action USING (action)
	WHERE event.credited_action IS NOT NULL
		AND event.occurred_at <= now()
		AND event.usage_date >= (SELECT horizon FROM meter.horizon)
), covered AS (
	SELECT
		rated.*,
		meter.coverage(CASE WHEN held.customer_id IS NULL THEN '{}' ELSE held.wallet END, rated.occurred_at, rated.credits, rated.pool)
			OVER (PARTITION BY rated.customer_id, rated.credit_type ORDER BY rated.occurred_at, rated.event_id) AS coverage
	FROM rated
	LEFT JOIN held
		ON held.customer_id = rated.customer_id
		AND held.credit_type = rated.credit_type
)
SELECT
	customer_id, credit_type, event_id, occurred_at, usage_date, action, pool, credits,
	(coverage).covered,
	(coverage).overage,
	(coverage).balance
FROM covered;
COMMENT ON VIEW meter.credit_ledger_event IS 'What each event took in credits and how much of that lots covered, in the order of occurred_at and event_id, with the balance after it. Adds up to meter.credit_balance, where nothing is purged: covered to spent, overage to overage. Reversals take back. credits is NULL where the action has no rate in card credit. Events to come are left out, and so are purged ones, whose days are burned before the first one. It reads events one by one: filter on customer_id.';

CREATE VIEW meter.credit_revenue AS
SELECT
	customer_id,
	credit_type,
	currency,
	date_trunc('month', entry_date::timestamp)::date AS revenue_month,
	trim_scale(sum(paid)) AS paid,
	trim_scale(sum(recognised)) AS recognised,
	trim_scale(sum(sum(paid) - sum(recognised)) OVER (PARTITION BY customer_id, credit_type, currency ORDER BY date_trunc('month', entry_date::timestamp))) AS deferred
FROM meter.credit_ledger
WHERE currency IS NOT NULL
GROUP BY customer_id, credit_type, currency, date_trunc('month', entry_date::timestamp);
COMMENT ON VIEW meter.credit_revenue IS 'What purchased credits are worth, by customer, credit type, currency and month of the customer''s calendar: paid for lots that began in it, recognised as revenue because lots were burned, expired or were voided in it, and deferred at its end. Exact, not rounded to the currency; over all months, recognised + deferred is what was paid. A month without an entry has no row.';

/* A grouping and no full join: a filter on the customer goes below it. */
CREATE VIEW meter.top_up_due AS
WITH candidate AS (
	SELECT customer_id, credit_type, false AS is_new, wallet
	FROM meter.credit_wallet
	UNION ALL
	SELECT customer_id, credit_type, true, NULL
	FROM meter.top_up_rule
	WHERE customer_id IS NOT NULL
), known AS (
	SELECT customer_id, credit_type, bool_and(is_new) AS is_new, (array_agg(wallet) FILTER (WHERE NOT is_new))[1] AS wallet
	FROM candidate
	GROUP BY customer_id, credit_type
), ruled AS (
	SELECT
		known.customer_id,
		known.credit_type,
		rule.pool,
		rule.threshold,
		rule.amount,
		rule.target,
		CASE WHEN known.is_new THEN 0
			ELSE (SELECT coalesce(sum(lot.remaining), 0) FROM meter.lots(known.wallet, now()) AS lot WHERE lot.pool IS NOT DISTINCT FROM rule.pool)
		END AS remaining
	FROM known
	JOIN meter.top_up_rule AS rule
		ON rule.credit_type = known.credit_type
		AND (rule.customer_id = known.customer_id
			OR rule.customer_id IS NULL
			AND NOT EXISTS (
				SELECT FROM meter.top_up_rule AS own
				WHERE own.customer_id = known.customer_id
					AND own.credit_type = rule.credit_type
					AND own.pool IS NOT DISTINCT FROM rule.pool))
	WHERE known.is_new
		OR known.wallet IS NOT NULL
)
SELECT
	customer_id,
	credit_type,
	pool,
	trim_scale(remaining) AS remaining,
	threshold,
	trim_scale(coalesce(amount, target - remaining)) AS amount,
	(
		SELECT concat_ws('-', 'top-up', ruled.credit_type, ruled.pool, count(*) + 1)
		FROM meter.credit_grant AS granted
		WHERE granted.customer_id = ruled.customer_id
			/* no other pool's: a due one keeps its id while another is granted */
			AND starts_with(granted.grant_id, concat_ws('-', 'top-up', ruled.credit_type, ruled.pool, ''))
			AND substr(granted.grant_id, length(concat_ws('-', 'top-up', ruled.credit_type, ruled.pool, '')) + 1) COLLATE "C" ~ '^[0-9]+$'
	) AS grant_id
FROM ruled
WHERE remaining < threshold;
COMMENT ON VIEW meter.top_up_due IS 'The balances that have fallen below the threshold of a rule in meter.top_up_rule, and how much to grant. It grants nothing: the application takes the payment and calls meter.grant_credits with this grant_id, which is the same until it is granted, so that two workers that see the same row grant once. Use it as the key of the payment, too.';
COMMENT ON COLUMN meter.top_up_due.customer_id IS 'Whose balance.';
COMMENT ON COLUMN meter.top_up_due.credit_type IS 'The type of credits.';
COMMENT ON COLUMN meter.top_up_due.pool IS 'The pool whose lots were counted, and to grant for. NULL: the lots without a pool.';
COMMENT ON COLUMN meter.top_up_due.remaining IS 'What is left of them.';
COMMENT ON COLUMN meter.top_up_due.threshold IS 'The rule''s threshold.';
COMMENT ON COLUMN meter.top_up_due.amount IS 'How many credits to grant: the rule''s amount, or what is missing to its target.';
COMMENT ON COLUMN meter.top_up_due.grant_id IS 'A grant_id for it: top-up, the credit type, the pool and a number.';

CREATE VIEW meter.credit_problem AS
WITH RECURSIVE followed AS (
	SELECT customer_id, grant_id, event_id AS refunded, event_id
	FROM meter.credit_grant
	WHERE event_id IS NOT NULL
		AND voided_on IS NULL
	UNION ALL
	SELECT followed.customer_id, followed.grant_id, followed.refunded, correction.replacement
	FROM followed
	JOIN meter.correction
		ON correction.customer_id = followed.customer_id
		AND correction.event_id = followed.event_id
), granted AS (
	SELECT customer_id, grant_id AS name, credit_type, pool
	FROM meter.credit_grant
	WHERE voided_on IS NULL
	UNION ALL
	SELECT customer_id, allotment_id, credit_type, pool
	FROM meter.credit_allotment
	WHERE ended_on IS NULL
)
SELECT 'a refund of an event that was taken back' AS problem, customer_id, grant_id AS name
FROM followed
WHERE event_id IS NULL
UNION ALL
/* What a purge deleted was there when it was refunded. */
SELECT 'a refund of an event that is not there', customer_id, grant_id
FROM meter.credit_grant
WHERE event_id IS NOT NULL
	AND voided_on IS NULL
	AND created_at > coalesce((SELECT max(moved_at) FROM meter.purge_horizon), '-infinity')
	AND NOT EXISTS (SELECT FROM meter.usage_event AS event WHERE event.customer_id = credit_grant.customer_id AND event.event_id = credit_grant.event_id)
UNION ALL
SELECT 'credits of a pool that no action of their type has', customer_id, name
FROM granted
WHERE pool IS NOT NULL
	AND NOT EXISTS (SELECT FROM meter.action WHERE action.credit_type = granted.credit_type AND action.pool = granted.pool)
UNION ALL
SELECT 'credits of a type that no action has', customer_id, name
FROM granted
WHERE credit_type <> 'credit'
	AND NOT EXISTS (SELECT FROM meter.action WHERE action.credit_type = granted.credit_type)
UNION ALL
SELECT 'too many lots for a wallet, so that the balance is not known', customer_id, credit_type
FROM meter.credit_account
WHERE granted IS NULL;
COMMENT ON VIEW meter.credit_problem IS 'What is wrong with credits: refunds of events that were taken back or were never there, pools and types misspelt, and customers with more lots than a wallet can have, 10000 or fewer with many pools. name is the grant, the allotment or the credit type. Empty is well.';
