/*
 * Credits: what customers were granted, and the lots that burn down.
 *
 * A grant and an allotment are facts that never change, but for an end that takes
 * effect on a later date. So the lots of any day, and what was burned by then, are
 * the same whenever they are looked at.
 */

CREATE TABLE meter.credit_grant (
	customer_id text NOT NULL
		CONSTRAINT credit_grant_customer_id_has_1_to_255_bytes CHECK (octet_length(customer_id) BETWEEN 1 AND 255),
	grant_id text NOT NULL
		CONSTRAINT credit_grant_grant_id_has_1_to_255_bytes CHECK (octet_length(grant_id) BETWEEN 1 AND 255)
		CONSTRAINT credit_grant_grant_id_is_not_that_of_a_recurring_lot CHECK (grant_id COLLATE "C" !~ '@[0-9]+-[0-9]{2}-[0-9]{2}$'),
	credit_type text NOT NULL DEFAULT 'credit'
		CONSTRAINT credit_grant_credit_type_has_1_to_255_bytes CHECK (octet_length(credit_type) BETWEEN 1 AND 255),
	kind text NOT NULL
		CONSTRAINT credit_grant_kind_is_allotment_purchase_promotion_or_refund CHECK (kind IN ('allotment', 'purchase', 'promotion', 'refund')),
	amount numeric NOT NULL
		CONSTRAINT credit_grant_amount_is_positive CHECK (amount > 0)
		CONSTRAINT credit_grant_amount_is_in_range CHECK (amount <= 1000000000000000000)
		CONSTRAINT credit_grant_amount_has_at_most_12_fractional_digits CHECK (scale(trim_scale(amount)) <= 12),
	pool text
		CONSTRAINT credit_grant_pool_has_1_to_255_bytes CHECK (octet_length(pool) BETWEEN 1 AND 255),
	priority integer NOT NULL DEFAULT 100,
	valid daterange NOT NULL
		CONSTRAINT credit_grant_valid_begins_in_1970_to_9999 CHECK (lower(valid) IS NOT NULL AND lower(valid) >= '1970-01-01' AND lower(valid) < '10000-01-01')
		CONSTRAINT credit_grant_valid_ends_before_10000_or_never CHECK (upper_inf(valid) OR upper(valid) < '10000-01-01'),
	paid numeric NOT NULL DEFAULT 0
		CONSTRAINT credit_grant_paid_is_not_negative CHECK (paid >= 0)
		CONSTRAINT credit_grant_paid_is_in_range CHECK (paid <= 1000000000000000000)
		CONSTRAINT credit_grant_paid_has_at_most_12_fractional_digits CHECK (scale(trim_scale(paid)) <= 12),
	currency text
		CONSTRAINT credit_grant_currency_is_iso_4217 CHECK (currency COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(currency) >= 0),
	rollover_max numeric
		CONSTRAINT credit_grant_rollover_max_is_positive CHECK (rollover_max > 0)
		CONSTRAINT credit_grant_rollover_max_is_in_range CHECK (rollover_max <= 1000000000000000000)
		CONSTRAINT credit_grant_rollover_max_has_at_most_12_fractional_digits CHECK (scale(trim_scale(rollover_max)) <= 12),
	rollover_until date
		CONSTRAINT credit_grant_rollover_until_is_before_10000 CHECK (rollover_until < '10000-01-01'),
	event_id text,
	note text,
	created_at timestamptz NOT NULL DEFAULT now(),
	created_by text NOT NULL DEFAULT session_user,
	voided_on date,
	voided_at timestamptz,
	voided_by text,
	void_reason text,
	PRIMARY KEY (customer_id, grant_id),
	CONSTRAINT credit_grant_is_paid_for_where_it_is_a_purchase CHECK (kind = 'purchase' OR paid = 0),
	CONSTRAINT credit_grant_has_a_currency_exactly_where_it_is_a_purchase CHECK ((kind = 'purchase') = (currency IS NOT NULL)),
	CONSTRAINT credit_grant_names_an_event_exactly_where_it_is_a_refund CHECK ((kind = 'refund') = (event_id IS NOT NULL)),
	CONSTRAINT credit_grant_rollover_has_a_maximum_and_an_end CHECK ((rollover_max IS NULL) = (rollover_until IS NULL)),
	CONSTRAINT credit_grant_rollover_is_after_the_expiry CHECK (rollover_until IS NULL OR (NOT upper_inf(valid) AND rollover_until > upper(valid))),
	CONSTRAINT credit_grant_is_voided_whole CHECK (num_nonnulls(voided_on, voided_at, voided_by, void_reason) IN (0, 4))
);
CREATE UNIQUE INDEX credit_grant_refunds_an_event_once ON meter.credit_grant (customer_id, event_id) WHERE event_id IS NOT NULL;
COMMENT ON TABLE meter.credit_grant IS 'Credits granted once: a row a lot. A row never changes, but that meter.void_grant ends it. meter.grant_credits and meter.refund_event are the ways in; meter.allow_granting(role) grants what they take. A new row may leave valid out (from the customer''s present date on, for ever) and the currency of a purchase (the customer''s). One that begins before meter.closed_until(customer) is refused: what was invoiced stays covered by what covered it.';
COMMENT ON COLUMN meter.credit_grant.customer_id IS 'Whose credits.';
COMMENT ON COLUMN meter.credit_grant.grant_id IS 'The sender''s name of the grant, unique for the customer for ever, at most 255 bytes: the id of its lot. It cannot end in @ and a date, as the lots of allotments do.';
COMMENT ON COLUMN meter.credit_grant.credit_type IS 'The type of credits. Types are separate balances, and never stand in for each other. Default credit.';
COMMENT ON COLUMN meter.credit_grant.kind IS 'allotment (part of what a plan has), purchase, promotion, or refund (of what an event took).';
COMMENT ON COLUMN meter.credit_grant.amount IS 'How many credits, above 0, at most 12 fractional digits.';
COMMENT ON COLUMN meter.credit_grant.pool IS 'Only actions of this pool burn it, before any lot without a pool. NULL: any action burns it.';
COMMENT ON COLUMN meter.credit_grant.priority IS 'The lower one burns first; then what expires first, then what was granted first. Default 100.';
COMMENT ON COLUMN meter.credit_grant.valid IS 'The dates of the customer''s calendar on which it can be burned, [first, first date after). Without an end it never expires.';
COMMENT ON COLUMN meter.credit_grant.paid IS 'What was paid for it, in its currency: recognised as revenue as it burns or expires. 0 but for a purchase.';
COMMENT ON COLUMN meter.credit_grant.currency IS 'ISO 4217 code of the currency of a purchase. NULL of any other kind.';
COMMENT ON COLUMN meter.credit_grant.rollover_max IS 'At its expiry, at most so many credits of what is left are kept until rollover_until. NULL: none.';
COMMENT ON COLUMN meter.credit_grant.rollover_until IS 'The date on which what was kept expires. It is kept once.';
COMMENT ON COLUMN meter.credit_grant.event_id IS 'The event that a refund makes good, by the first id it had. An event is refunded once.';
COMMENT ON COLUMN meter.credit_grant.note IS 'Anything to remember about it, such as an order''s number.';
COMMENT ON COLUMN meter.credit_grant.created_at IS 'When the transaction that stored it began. Nobody writes it: a row with the present transaction''s time is a new one, and checked against what is closed; any other comes from a dump.';
COMMENT ON COLUMN meter.credit_grant.created_by IS 'The role that was logged in.';
COMMENT ON COLUMN meter.credit_grant.voided_on IS 'The first date on which it does not count any more: the one after it was voided. NULL: it was not.';
COMMENT ON COLUMN meter.credit_grant.voided_at IS 'When it was voided.';
COMMENT ON COLUMN meter.credit_grant.voided_by IS 'The role that was logged in then.';
COMMENT ON COLUMN meter.credit_grant.void_reason IS 'Why it was voided.';

CREATE TABLE meter.credit_allotment (
	customer_id text NOT NULL
		CONSTRAINT credit_allotment_customer_id_has_1_to_255_bytes CHECK (octet_length(customer_id) BETWEEN 1 AND 255),
	allotment_id text NOT NULL
		CONSTRAINT credit_allotment_allotment_id_has_1_to_200_bytes CHECK (octet_length(allotment_id) BETWEEN 1 AND 200)
		CONSTRAINT credit_allotment_allotment_id_is_not_that_of_a_plans_lot CHECK (allotment_id COLLATE "C" !~ '^[a-z][a-z0-9_]*#[0-9]+([+][0-9]+-[0-9]{2}-[0-9]{2})?$'),
	credit_type text NOT NULL DEFAULT 'credit'
		CONSTRAINT credit_allotment_credit_type_has_1_to_255_bytes CHECK (octet_length(credit_type) BETWEEN 1 AND 255),
	amount numeric NOT NULL
		CONSTRAINT credit_allotment_amount_is_positive CHECK (amount > 0)
		CONSTRAINT credit_allotment_amount_is_in_range CHECK (amount <= 1000000000000000000)
		CONSTRAINT credit_allotment_amount_has_at_most_12_fractional_digits CHECK (scale(trim_scale(amount)) <= 12),
	pool text
		CONSTRAINT credit_allotment_pool_has_1_to_255_bytes CHECK (octet_length(pool) BETWEEN 1 AND 255),
	priority integer NOT NULL DEFAULT 100,
	anchor date NOT NULL
		CONSTRAINT credit_allotment_anchor_is_in_1970_to_9999 CHECK (anchor BETWEEN '1970-01-01' AND '9999-12-31'),
	every interval NOT NULL DEFAULT '1 month'
		CONSTRAINT credit_allotment_every_is_a_number_of_months_or_days CHECK (meter.period_start(anchor, anchor, every) IS NOT NULL)
		CONSTRAINT credit_allotment_every_is_at_most_100_years CHECK (every <= '100 years'),
	valid daterange NOT NULL
		CONSTRAINT credit_allotment_valid_begins_in_1970_to_9999 CHECK (lower(valid) IS NOT NULL AND lower(valid) >= '1970-01-01' AND lower(valid) < '10000-01-01')
		CONSTRAINT credit_allotment_valid_ends_before_10000_or_never CHECK (upper_inf(valid) OR upper(valid) < '10000-01-01'),
	rollover_max numeric
		CONSTRAINT credit_allotment_rollover_max_is_positive CHECK (rollover_max > 0)
		CONSTRAINT credit_allotment_rollover_max_is_in_range CHECK (rollover_max <= 1000000000000000000)
		CONSTRAINT credit_allotment_rollover_max_has_at_most_12_fractional_digits CHECK (scale(trim_scale(rollover_max)) <= 12),
	rollover_percent numeric
		CONSTRAINT credit_allotment_rollover_percent_is_above_0_and_at_most_100 CHECK (rollover_percent > 0 AND rollover_percent <= 100)
		CONSTRAINT credit_allotment_rollover_percent_has_at_most_12_fractional_digits CHECK (scale(trim_scale(rollover_percent)) <= 12),
	rollover_periods integer NOT NULL DEFAULT 1
		CONSTRAINT credit_allotment_rollover_periods_are_1_to_1000 CHECK (rollover_periods BETWEEN 1 AND 1000),
	note text,
	created_at timestamptz NOT NULL DEFAULT now(),
	created_by text NOT NULL DEFAULT session_user,
	ended_on date,
	ended_at timestamptz,
	ended_by text,
	end_reason text,
	PRIMARY KEY (customer_id, allotment_id),
	CONSTRAINT credit_allotment_rollover_is_a_number_or_a_percentage CHECK (num_nonnulls(rollover_max, rollover_percent) <= 1),
	CONSTRAINT credit_allotment_is_ended_whole CHECK (num_nonnulls(ended_on, ended_at, ended_by, end_reason) IN (0, 4))
);
COMMENT ON TABLE meter.credit_allotment IS 'Credits granted again and again: a lot for each period, which meter.credit_lot makes out of the row, so that no job can be late. A row never changes, but that meter.end_allotment ends it; a changed allotment is a further row. meter.allow_granting(role) grants what it takes. A row that begins before meter.closed_until(customer) is refused. Without rollover_max and rollover_percent each lot is a refill: what is left of the one before expires.';
COMMENT ON COLUMN meter.credit_allotment.customer_id IS 'Whose credits.';
COMMENT ON COLUMN meter.credit_allotment.allotment_id IS 'A name for it, unique for the customer for ever. The lot of a period is called by it, @ and the period''s first date.';
COMMENT ON COLUMN meter.credit_allotment.credit_type IS 'The type of credits. Default credit.';
COMMENT ON COLUMN meter.credit_allotment.amount IS 'How many credits each lot has. A lot of a period that valid cuts short has all of them.';
COMMENT ON COLUMN meter.credit_allotment.pool IS 'Only actions of this pool burn it, before any lot without a pool. NULL: any action burns it.';
COMMENT ON COLUMN meter.credit_allotment.priority IS 'The lower one burns first. Default 100.';
COMMENT ON COLUMN meter.credit_allotment.anchor IS 'The date that periods are counted from: period n begins n times every after it, kept within its month.';
COMMENT ON COLUMN meter.credit_allotment.every IS 'How long a period is: a number of months or years, or of days or weeks. Default 1 month.';
COMMENT ON COLUMN meter.credit_allotment.valid IS 'The dates of the customer''s calendar from which and until before which there are lots. A lot that its end cuts short is not rolled over.';
COMMENT ON COLUMN meter.credit_allotment.rollover_max IS 'At a lot''s expiry, at most so many of its credits are kept for rollover_periods further periods. NULL: rollover_percent says it.';
COMMENT ON COLUMN meter.credit_allotment.rollover_percent IS 'The same as a percentage of amount. Both NULL: a refill, nothing is kept.';
COMMENT ON COLUMN meter.credit_allotment.rollover_periods IS 'For how many further periods what is kept can be burned. Default 1.';
COMMENT ON COLUMN meter.credit_allotment.note IS 'Anything to remember about it.';
COMMENT ON COLUMN meter.credit_allotment.created_at IS 'When the transaction that stored it began. Nobody writes it.';
COMMENT ON COLUMN meter.credit_allotment.created_by IS 'The role that was logged in.';
COMMENT ON COLUMN meter.credit_allotment.ended_on IS 'The first date that it does not cover any more, where it was ended: an end of valid that was not known when it began.';
COMMENT ON COLUMN meter.credit_allotment.ended_at IS 'When it was ended.';
COMMENT ON COLUMN meter.credit_allotment.ended_by IS 'The role that was logged in then.';
COMMENT ON COLUMN meter.credit_allotment.end_reason IS 'Why it was ended.';

CREATE TABLE meter.top_up_rule (
	customer_id text
		CONSTRAINT top_up_rule_customer_id_has_1_to_255_bytes CHECK (octet_length(customer_id) BETWEEN 1 AND 255),
	credit_type text NOT NULL DEFAULT 'credit'
		CONSTRAINT top_up_rule_credit_type_has_1_to_100_bytes CHECK (octet_length(credit_type) BETWEEN 1 AND 100),
	pool text
		CONSTRAINT top_up_rule_pool_has_1_to_100_bytes CHECK (octet_length(pool) BETWEEN 1 AND 100),
	threshold numeric
		CONSTRAINT top_up_rule_threshold_is_positive CHECK (threshold > 0 AND threshold < 'Infinity'),
	amount numeric
		CONSTRAINT top_up_rule_amount_is_positive CHECK (amount > 0)
		CONSTRAINT top_up_rule_amount_is_in_range CHECK (amount <= 1000000000000000000)
		CONSTRAINT top_up_rule_amount_has_at_most_12_fractional_digits CHECK (scale(trim_scale(amount)) <= 12),
	target numeric
		CONSTRAINT top_up_rule_target_is_in_range CHECK (target <= 1000000000000000000)
		CONSTRAINT top_up_rule_target_has_at_most_12_fractional_digits CHECK (scale(trim_scale(target)) <= 12),
	CONSTRAINT top_up_rule_key UNIQUE NULLS NOT DISTINCT (customer_id, credit_type, pool),
	CONSTRAINT top_up_rule_has_an_amount_or_a_target CHECK (num_nonnulls(amount, target) = CASE WHEN threshold IS NULL THEN 0 ELSE 1 END),
	CONSTRAINT top_up_rule_target_is_not_below_the_threshold CHECK (target >= threshold)
);
COMMENT ON TABLE meter.top_up_rule IS 'When a balance that has fallen is to be topped up, and by how much. It grants nothing: meter.top_up_due says what to grant, and the application decides and pays.';
COMMENT ON COLUMN meter.top_up_rule.customer_id IS 'The customer that it is for. NULL: every customer without a rule of its own for the same credit type and pool.';
COMMENT ON COLUMN meter.top_up_rule.credit_type IS 'The type of credits. Default credit.';
COMMENT ON COLUMN meter.top_up_rule.pool IS 'The pool whose lots are counted, and to grant for. NULL: the lots without a pool.';
COMMENT ON COLUMN meter.top_up_rule.threshold IS 'A balance below it is due. NULL: none is, which exempts a customer from the rule for all.';
COMMENT ON COLUMN meter.top_up_rule.amount IS 'How many credits to grant. NULL: up to target.';
COMMENT ON COLUMN meter.top_up_rule.target IS 'The balance to fill up to, not below threshold. NULL: amount says it.';

SELECT pg_extension_config_dump('meter.credit_grant', '');
SELECT pg_extension_config_dump('meter.credit_allotment', '');
SELECT pg_extension_config_dump('meter.top_up_rule', '');

/*
 * Closing dates, and granting credits for dates that may be closed at this moment:
 * one waits for the other, and reads what it left. From the present date on nothing
 * is closed.
 */
CREATE FUNCTION meter.lock_closing(customer_id text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'what is closed of a customer can be relied on at READ COMMITTED only, not at %', upper(current_setting('transaction_isolation'))
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Begin with the customer''s present date, or BEGIN ISOLATION LEVEL READ COMMITTED.';
	END IF;
	INSERT INTO meter.billing_account (customer_id)
	VALUES (lock_closing.customer_id)
	ON CONFLICT ON CONSTRAINT billing_account_pkey DO NOTHING;
	PERFORM FROM meter.billing_account AS account WHERE account.customer_id = lock_closing.customer_id FOR UPDATE;
END
$$;
COMMENT ON FUNCTION meter.lock_closing(text) IS 'Waits until no other transaction closes dates of the customer or grants for past ones, and keeps others from it until the present transaction ends: it locks the customer''s row of meter.billing_account, as whoever closes periods does. Any isolation level but READ COMMITTED is an error: its statements would not see what the one waited for has done.';
REVOKE ALL ON FUNCTION meter.lock_closing(text) FROM PUBLIC;

CREATE FUNCTION meter.check_open(customer_id text, since date) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	closed date;
BEGIN
	IF since < meter.customer_date(check_open.customer_id, clock_timestamp()) THEN
		PERFORM meter.lock_closing(check_open.customer_id);
	END IF;
	closed := meter.closed_until(check_open.customer_id);
	IF since < closed THEN
		RAISE EXCEPTION 'customer "%" is closed until %, and % is before', check_open.customer_id, to_char(closed, 'YYYY-MM-DD'), to_char(since, 'YYYY-MM-DD')
			USING ERRCODE = 'invalid_parameter_value', HINT = format('The first date that can be granted for is %s.', to_char(closed, 'YYYY-MM-DD'));
	END IF;
END
$$;
COMMENT ON FUNCTION meter.check_open(text, date) IS 'An error where a date is before meter.closed_until(customer). A date before the present one stays open until the transaction ends.';
REVOKE ALL ON FUNCTION meter.check_open(text, date) FROM PUBLIC;

/*
 * These triggers run with the owner's rights: who grants credits needs no right to
 * invoices, zones and settings. They look at new rows only, which have the present
 * transaction's time: what a dump brings is older, and goes in in any order.
 */
CREATE FUNCTION meter.begin_credits() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NEW.valid IS NULL THEN
		NEW.valid := daterange(meter.customer_date(NEW.customer_id), NULL);
	END IF;
	IF TG_TABLE_NAME = 'credit_grant' THEN
		IF NEW.kind = 'purchase' AND NEW.currency IS NULL THEN
			NEW.currency := coalesce((SELECT currency FROM meter.customer WHERE customer_id = NEW.customer_id), (SELECT currency FROM meter.setting));
		END IF;
	ELSIF NEW.anchor IS NULL THEN
		NEW.anchor := lower(NEW.valid);
	END IF;
	PERFORM meter.check_open(NEW.customer_id, lower(NEW.valid));
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION meter.begin_credits() IS 'Trigger of credit_grant and credit_allotment: gives a new row the dates and the currency that it leaves out, and refuses one that begins before the customer''s last closed date.';

CREATE FUNCTION meter.end_credits() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tomorrow CONSTANT date := meter.customer_date(NEW.customer_id, clock_timestamp()) + 1;
	last_date date;
BEGIN
	IF meter.is_erasure(TG_RELID, to_jsonb(OLD), to_jsonb(NEW)) THEN
		RETURN NEW;
	END IF;
	IF TG_TABLE_NAME = 'credit_grant' THEN
		IF OLD.voided_on IS NOT NULL THEN
			RAISE EXCEPTION 'grant "%" of customer "%" has been voided already', OLD.grant_id, OLD.customer_id
				USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It was by %s, from %s on.', OLD.voided_by, to_char(OLD.voided_on, 'YYYY-MM-DD'));
		END IF;
		NEW.voided_on := tomorrow;
		NEW.voided_at := now();
		NEW.voided_by := session_user;
		last_date := coalesce(NEW.rollover_until, upper(NEW.valid));
		IF NEW.voided_on >= last_date THEN
			RAISE EXCEPTION 'grant "%" of customer "%" expires on % anyway', OLD.grant_id, OLD.customer_id, to_char(last_date, 'YYYY-MM-DD')
				USING ERRCODE = 'invalid_parameter_value', DETAIL = format('A void takes effect on the next date, %s.', to_char(tomorrow, 'YYYY-MM-DD'));
		END IF;
		PERFORM meter.check_open(NEW.customer_id, NEW.voided_on);
	ELSE
		IF OLD.ended_on IS NOT NULL THEN
			RAISE EXCEPTION 'allotment "%" of customer "%" has been ended already', OLD.allotment_id, OLD.customer_id
				USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It was by %s, from %s on.', OLD.ended_by, to_char(OLD.ended_on, 'YYYY-MM-DD'));
		END IF;
		NEW.ended_on := coalesce(NEW.ended_on, tomorrow);
		NEW.ended_at := now();
		NEW.ended_by := session_user;
		IF NEW.ended_on < tomorrow THEN
			RAISE EXCEPTION 'allotment "%" of customer "%" cannot end on %', OLD.allotment_id, OLD.customer_id, to_char(NEW.ended_on, 'YYYY-MM-DD')
				USING ERRCODE = 'invalid_parameter_value', HINT = format('The next date, %s, is the first that it can end on.', to_char(tomorrow, 'YYYY-MM-DD'));
		END IF;
		IF NEW.ended_on >= upper(NEW.valid) THEN
			RAISE EXCEPTION 'allotment "%" of customer "%" ends on % anyway', OLD.allotment_id, OLD.customer_id, to_char(upper(NEW.valid), 'YYYY-MM-DD')
				USING ERRCODE = 'invalid_parameter_value';
		END IF;
		PERFORM meter.check_open(NEW.customer_id, NEW.ended_on);
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION meter.end_credits() IS 'Trigger of credit_grant and credit_allotment: voids the grant whose void_reason is set, from the customer''s next date on, and ends the allotment whose end_reason is set, on ended_on or the next date.';

CREATE FUNCTION meter.keep_credits() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'UPDATE' THEN
		IF meter.is_erasure(TG_RELID, to_jsonb(OLD), to_jsonb(NEW)) THEN
			RETURN NEW;
		END IF;
	END IF;
	IF TG_TABLE_NAME = 'credit_grant' THEN
		RAISE EXCEPTION 'grant "%" of customer "%" cannot be changed or deleted', OLD.grant_id, OLD.customer_id
			USING ERRCODE = 'invalid_parameter_value', HINT = 'meter.void_grant voids it from the next date on.';
	END IF;
	RAISE EXCEPTION 'allotment "%" of customer "%" cannot be changed or deleted', OLD.allotment_id, OLD.customer_id
		USING ERRCODE = 'invalid_parameter_value', HINT = 'meter.end_allotment ends it; insert the changed one as a further row.';
END
$$;
COMMENT ON FUNCTION meter.keep_credits() IS 'Trigger of credit_grant and credit_allotment: refuses to delete a row, and to change anything but its end and its note; an erasure renames.';
REVOKE ALL ON FUNCTION meter.begin_credits(), meter.end_credits(), meter.keep_credits() FROM PUBLIC;

CREATE TRIGGER begin_credits BEFORE INSERT ON meter.credit_grant
	FOR EACH ROW WHEN (NEW.created_at = now()) EXECUTE FUNCTION meter.begin_credits();
CREATE TRIGGER begin_credits BEFORE INSERT ON meter.credit_allotment
	FOR EACH ROW WHEN (NEW.created_at = now()) EXECUTE FUNCTION meter.begin_credits();
CREATE TRIGGER end_credits BEFORE UPDATE ON meter.credit_grant
	FOR EACH ROW WHEN (OLD.void_reason IS DISTINCT FROM NEW.void_reason) EXECUTE FUNCTION meter.end_credits();
CREATE TRIGGER end_credits BEFORE UPDATE ON meter.credit_allotment
	FOR EACH ROW WHEN (OLD.end_reason IS DISTINCT FROM NEW.end_reason OR OLD.ended_on IS DISTINCT FROM NEW.ended_on) EXECUTE FUNCTION meter.end_credits();
CREATE TRIGGER keep_deleted BEFORE DELETE ON meter.credit_grant
	FOR EACH ROW EXECUTE FUNCTION meter.keep_credits();
CREATE TRIGGER keep_deleted BEFORE DELETE ON meter.credit_allotment
	FOR EACH ROW EXECUTE FUNCTION meter.keep_credits();
CREATE TRIGGER keep_updated BEFORE UPDATE ON meter.credit_grant
	FOR EACH ROW
	WHEN ((OLD.customer_id, OLD.grant_id, OLD.credit_type, OLD.kind, OLD.amount, OLD.pool, OLD.priority, OLD.valid, OLD.paid, OLD.currency, OLD.rollover_max, OLD.rollover_until, OLD.event_id, OLD.created_at, OLD.created_by)
		IS DISTINCT FROM (NEW.customer_id, NEW.grant_id, NEW.credit_type, NEW.kind, NEW.amount, NEW.pool, NEW.priority, NEW.valid, NEW.paid, NEW.currency, NEW.rollover_max, NEW.rollover_until, NEW.event_id, NEW.created_at, NEW.created_by)
		OR (OLD.void_reason IS NOT DISTINCT FROM NEW.void_reason AND (OLD.voided_on, OLD.voided_at, OLD.voided_by) IS DISTINCT FROM (NEW.voided_on, NEW.voided_at, NEW.voided_by)))
	EXECUTE FUNCTION meter.keep_credits();
CREATE TRIGGER keep_updated BEFORE UPDATE ON meter.credit_allotment
	FOR EACH ROW
	WHEN ((OLD.customer_id, OLD.allotment_id, OLD.credit_type, OLD.amount, OLD.pool, OLD.priority, OLD.anchor, OLD.every, OLD.valid, OLD.rollover_max, OLD.rollover_percent, OLD.rollover_periods, OLD.created_at, OLD.created_by)
		IS DISTINCT FROM (NEW.customer_id, NEW.allotment_id, NEW.credit_type, NEW.amount, NEW.pool, NEW.priority, NEW.anchor, NEW.every, NEW.valid, NEW.rollover_max, NEW.rollover_percent, NEW.rollover_periods, NEW.created_at, NEW.created_by)
		OR (OLD.end_reason IS NOT DISTINCT FROM NEW.end_reason AND (OLD.ended_at, OLD.ended_by) IS DISTINCT FROM (NEW.ended_at, NEW.ended_by)))
	EXECUTE FUNCTION meter.keep_credits();

CREATE FUNCTION meter.grant_credits(customer_id text, grant_id text, kind text, amount numeric, valid daterange DEFAULT NULL, credit_type text DEFAULT 'credit', pool text DEFAULT NULL, priority integer DEFAULT 100,
	paid numeric DEFAULT 0, currency text DEFAULT NULL, rollover_max numeric DEFAULT NULL, rollover_until date DEFAULT NULL, note text DEFAULT NULL, event_id text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	stored meter.credit_grant;
	differs text;
BEGIN
	LOOP
		SELECT * INTO stored
		FROM meter.credit_grant
		WHERE credit_grant.customer_id = customer_id
			AND credit_grant.grant_id = grant_id;
		EXIT WHEN FOUND;
		INSERT INTO meter.credit_grant (customer_id, grant_id, credit_type, kind, amount, pool, priority, valid, paid, currency, rollover_max, rollover_until, event_id, note)
		VALUES (customer_id, grant_id, credit_type, kind, amount, pool, priority, valid, paid, currency, rollover_max, rollover_until, event_id, note)
		ON CONFLICT ON CONSTRAINT credit_grant_pkey DO NOTHING;
		IF FOUND THEN
			RETURN 'granted';
		END IF;
	END LOOP;

	/* What is left out may have been filled in on another day. */
	differs := concat_ws(', ',
		CASE WHEN stored.credit_type IS DISTINCT FROM credit_type THEN 'credit_type' END,
		CASE WHEN stored.kind IS DISTINCT FROM kind THEN 'kind' END,
		CASE WHEN stored.amount IS DISTINCT FROM amount THEN 'amount' END,
		CASE WHEN stored.pool IS DISTINCT FROM pool THEN 'pool' END,
		CASE WHEN stored.priority IS DISTINCT FROM priority THEN 'priority' END,
		CASE WHEN stored.valid <> valid THEN 'valid' END,
		CASE WHEN stored.paid IS DISTINCT FROM paid THEN 'paid' END,
		CASE WHEN stored.currency <> currency THEN 'currency' END,
		CASE WHEN stored.rollover_max IS DISTINCT FROM rollover_max THEN 'rollover_max' END,
		CASE WHEN stored.rollover_until IS DISTINCT FROM rollover_until THEN 'rollover_until' END,
		CASE WHEN stored.event_id IS DISTINCT FROM event_id THEN 'event_id' END);
	IF differs <> '' THEN
		RAISE EXCEPTION 'customer "%" has another grant "%"', customer_id, grant_id
			USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It differs in %s.', differs), HINT = 'Give the new one another grant_id.';
	END IF;
	RETURN 'duplicate';
END
$$;
COMMENT ON FUNCTION meter.grant_credits(text, text, text, numeric, daterange, text, text, integer, numeric, text, numeric, date, text, text) IS 'Grants a customer credits, and says what became of it: granted; or duplicate, where the same grant is there already, so that a retry is safe. Another one of the same grant_id is an error, and so is one that begins before meter.closed_until(customer). The arguments are the columns of meter.credit_grant. Without valid it can be burned from the customer''s present date on, for ever; without currency, a purchase was paid in the customer''s.';

CREATE FUNCTION meter.void_grant(customer_id text, grant_id text, reason text) RETURNS date
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	voided_on date;
BEGIN
	IF reason IS NULL THEN
		RAISE EXCEPTION 'a void needs a reason'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'meter.void_grant(customer_id, grant_id, reason): any text.';
	END IF;
	UPDATE meter.credit_grant AS voided
	SET void_reason = reason
	WHERE voided.customer_id = customer_id
		AND voided.grant_id = grant_id
	RETURNING voided.voided_on INTO voided_on;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'customer "%" has no grant "%"', customer_id, grant_id
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Lots of allotments and plans end with these: meter.end_allotment.';
	END IF;
	RETURN voided_on;
END
$$;
COMMENT ON FUNCTION meter.void_grant(text, text, text) IS 'Voids a grant: what is left of it lapses at the start of the customer''s next date, which is returned. What it covered until then stays covered, and the row stays. The same void again changes nothing; one with another reason, and one of a grant that expires by then anyway, are errors.';

CREATE FUNCTION meter.end_allotment(customer_id text, allotment_id text, reason text, ended_on date DEFAULT NULL) RETURNS date
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	last_date date;
BEGIN
	IF reason IS NULL THEN
		RAISE EXCEPTION 'an end needs a reason'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'meter.end_allotment(customer_id, allotment_id, reason): any text.';
	END IF;
	UPDATE meter.credit_allotment AS ended
	SET end_reason = reason, ended_on = coalesce(ended_on, ended.ended_on)
	WHERE ended.customer_id = customer_id
		AND ended.allotment_id = allotment_id
	RETURNING ended.ended_on INTO last_date;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'customer "%" has no allotment "%"', customer_id, allotment_id
			USING ERRCODE = 'invalid_parameter_value', HINT = 'meter.credit_allotment has them; a single grant is voided by meter.void_grant, and a plan''s lots end with the subscription.';
	END IF;
	RETURN last_date;
END
$$;
COMMENT ON FUNCTION meter.end_allotment(text, text, text, date) IS 'Ends an allotment on a date, which is returned; without one on the customer''s next date, before which it cannot end. The lot of the period that this cuts short expires then; ones that were rolled over stay until their end. The same end again changes nothing; another one, and one of an allotment that ends by then anyway, are errors.';

CREATE FUNCTION meter.refund_event(customer_id text, event_id text, note text DEFAULT NULL, valid daterange DEFAULT NULL, priority integer DEFAULT 100) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	present CONSTANT meter.usage_event := meter.present_event(customer_id, event_id);
	first_id text := event_id;
	earlier text;
	credits numeric;
	taken record;
	refund text;
BEGIN
	/* However an event is named, and however often it was corrected, it is refunded once. */
	LOOP
		SELECT correction.event_id INTO earlier
		FROM meter.correction
		WHERE correction.customer_id = customer_id
			AND correction.replacement = first_id;
		EXIT WHEN NOT FOUND;
		first_id := earlier;
	END LOOP;

	SELECT grant_id INTO earlier
	FROM meter.credit_grant
	WHERE credit_grant.customer_id = customer_id
		AND credit_grant.event_id = first_id;
	IF FOUND THEN
		RAISE EXCEPTION 'event "%" has been refunded already', event_id
			USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It was by grant "%s".', earlier);
	END IF;

	credits := meter.cost((SELECT card.credit FROM meter.event_card AS card), CASE WHEN coalesce(present.outcome, 'success') = 'success' THEN present.action END, present.occurred_at, present.usage, present.variant);
	IF credits IS NULL THEN
		RAISE EXCEPTION 'event "%" has no price in credits', event_id
			USING ERRCODE = 'invalid_parameter_value', DETAIL = format('Its action is "%s".', present.action), HINT = 'It has taken none. meter.unpriced_usage lists what has no rate.';
	END IF;
	IF credits = 0 THEN
		RAISE EXCEPTION 'event "%" took no credits', event_id
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Goodwill without an event that took credits is a promotion: meter.grant_credits.';
	END IF;

	SELECT coalesce(max(action.credit_type), 'credit') AS credit_type, max(action.pool) AS pool INTO taken
	FROM meter.action
	WHERE action.action = present.action;
	INSERT INTO meter.audit_log (operation, customer_id, reason, detail)
	VALUES ('refund', customer_id, note, jsonb_build_object('event_id', first_id, 'credits', credits))
	RETURNING 'refund-' || audit_log.audit_id INTO refund;
	BEGIN
		PERFORM meter.grant_credits(customer_id, refund, 'refund', credits, valid, taken.credit_type, taken.pool, priority, note => note, event_id => first_id);
	EXCEPTION WHEN unique_violation THEN
		RAISE EXCEPTION 'event "%" has been refunded already', event_id
			USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Another session did it at the same time.';
	END;
	RETURN refund;
END
$$;
COMMENT ON FUNCTION meter.refund_event(text, text, text, daterange, integer) IS 'Grants a customer the credits that an event took, in the type and pool of its action, and returns the grant_id: refund- and the number of the operation in meter.audit_log. The event stays, and so do its cost and what it burned. It may be named by its first id however often it was corrected; it is refunded once. Without valid the refund can be burned from the customer''s present date on, for ever. An event that has no price in credits, took none, or was taken back is an error.';

CREATE FUNCTION meter.allow_granting(role regrole) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT SELECT, INSERT (customer_id, grant_id, credit_type, kind, amount, pool, priority, valid, paid, currency, rollover_max, rollover_until, event_id, note), UPDATE (void_reason, note) ON meter.credit_grant TO %s', role);
	EXECUTE format('GRANT SELECT, INSERT (customer_id, allotment_id, credit_type, amount, pool, priority, anchor, every, valid, rollover_max, rollover_percent, rollover_periods, note), UPDATE (ended_on, end_reason, note) ON meter.credit_allotment TO %s', role);
	EXECUTE format('GRANT SELECT ON meter.usage_event, meter.correction, meter.action, meter.event_card, meter.horizon TO %s', role);
	EXECUTE format('GRANT SELECT, INSERT (operation, customer_id, reason, detail) ON meter.audit_log TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION meter.grant_credits(text, text, text, numeric, daterange, text, text, integer, numeric, text, numeric, date, text, text), meter.void_grant(text, text, text), meter.end_allotment(text, text, text, date), meter.refund_event(text, text, text, daterange, integer) TO %s', role);
END
$$;
COMMENT ON FUNCTION meter.allow_granting(regrole) IS 'Grants a role what it takes to grant, allot, refund, void and end credits, and no more: not the columns by which a new row is told from one of a dump (created_at, created_by), nor those that say who ended it and when.';
REVOKE ALL ON FUNCTION meter.grant_credits(text, text, text, numeric, daterange, text, text, integer, numeric, text, numeric, date, text, text), meter.void_grant(text, text, text), meter.end_allotment(text, text, text, date), meter.refund_event(text, text, text, daterange, integer), meter.allow_granting(regrole) FROM PUBLIC;
