/*
 * Keeping the roll-up: what marks it stale, and what brings it up to date.
 *
 * Every transaction that changes usage_day holds the lock of this cluster's row of
 * usage_watermark from its first statement on, and reads at READ COMMITTED. So the
 * statements after the lock see all that the former holder did, and a change of
 * rates is either in the snapshot that events are rated with, or its mark is still
 * there when that roll-up has been committed. Writers of events and of rates wait
 * for nobody.
 *
 * No day before the horizon is ever changed: marks stop short of it, and events of
 * such a day are left out. The horizon moves under the same lock.
 */

CREATE FUNCTION meter.mark_usage(customer_id text, item text, action text, since date, until date, variant text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	horizon date;
BEGIN
	/*
	 * Where nothing has ever been rolled up there is nothing to mark, as while a dump
	 * is restored. A first roll-up that is under way is waited for, and one that comes
	 * sees the change. With an older snapshot one cannot know.
	 */
	IF current_setting('transaction_isolation') = 'read committed' AND NOT EXISTS (SELECT FROM meter.usage_watermark) THEN
		LOCK TABLE meter.usage_watermark IN SHARE MODE;
		IF NOT EXISTS (SELECT FROM meter.usage_watermark) THEN
			RETURN;
		END IF;
	END IF;
	horizon := meter.lock_horizon();
	IF isfinite(horizon) AND num_nonnulls(customer_id, item, action) = 0 THEN
		PERFORM meter.refuse_purged('every customer');
	ELSIF since < horizon AND EXISTS (
		SELECT FROM meter.usage_day AS daily
		WHERE daily.customer_id = customer_id
			AND daily.usage_date >= since
			AND daily.usage_date < least(until, horizon))
	THEN
		PERFORM meter.refuse_purged('customer ' || quote_literal(customer_id));
	END IF;
	INSERT INTO meter.usage_mark (customer_id, item, action, variant, since, until)
	VALUES (customer_id, item, action, variant, since, until);
END
$$;
COMMENT ON FUNCTION meter.mark_usage(text, text, text, date, date, text) IS 'Marks days of usage_daily as stale: those of a customer, or those on which an item was used or an action done, in one variant or any, from since until before until; with NULLs all of it. Views read them from the events until the next refresh. An error where that is of a customer and a day with usage is purged, or of all and any is.';

CREATE FUNCTION meter.refuse_purged(whose text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	latest record;
BEGIN
	SELECT horizon, starts INTO latest
	FROM meter.horizon;
	RAISE EXCEPTION 'the change would touch purged days of %', whose
		USING ERRCODE = 'invalid_parameter_value',
			DETAIL = format('Events before %s are purged: what they cost, and on which date they count, stays.', latest.horizon),
			HINT = format('Let a rate begin at %s or later, and give customers zones of their own from a date after %s on.', to_char(timezone('UTC', latest.starts), 'YYYY-MM-DD HH24:MI:SS"+00"'), latest.horizon);
END
$$;
COMMENT ON FUNCTION meter.refuse_purged(text) IS 'Raises the error of a change that would have to rate or date purged events anew.';
REVOKE ALL ON FUNCTION meter.mark_usage(text, text, text, date, date, text), meter.refuse_purged(text) FROM PUBLIC;

/*
 * These triggers run with the owner's rights: whoever may change a price or a zone
 * has to mark what it touches, and has no other business with the roll-up.
 */
CREATE FUNCTION meter.mark_rates() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	previous CONSTANT bigint := nextval('meter.usage_mark_mark_id_seq');
BEGIN
	CASE TG_OP
	WHEN 'TRUNCATE' THEN
		PERFORM meter.mark_usage(NULL, NULL, NULL, '-infinity', 'infinity');
		RETURN NULL;
	WHEN 'INSERT' THEN
		PERFORM meter.mark_rate(card, item, tstzmultirange(valid))
		FROM new_rate
		GROUP BY card, item, valid;
		PERFORM meter.mark_rated(card, item, variant)
		FROM new_rate
		GROUP BY card, item, variant
		HAVING NOT bool_or(valid = '(,)')
			AND NOT EXISTS (SELECT FROM meter.rate WHERE rate.card = new_rate.card AND rate.item = new_rate.item AND rate.variant = new_rate.variant AND rate.rate_id NOT IN (SELECT inserted.rate_id FROM new_rate AS inserted));
	WHEN 'DELETE' THEN
		PERFORM meter.mark_rate(card, item, tstzmultirange(valid))
		FROM old_rate
		GROUP BY card, item, valid;
		PERFORM meter.mark_rated(card, item, variant)
		FROM old_rate
		GROUP BY card, item, variant
		HAVING NOT bool_or(valid = '(,)')
			AND NOT EXISTS (SELECT FROM meter.rate WHERE rate.card = old_rate.card AND rate.item = old_rate.item AND rate.variant = old_rate.variant);
	WHEN 'UPDATE' THEN
		/* Where only its validity changed, what was and what is valid in both is left alone. */
		PERFORM meter.mark_rate(touched.card, touched.item, touched.valid)
		FROM old_rate
		FULL JOIN new_rate USING (rate_id)
		CROSS JOIN LATERAL (
			SELECT (old_rate.card, old_rate.item, old_rate.unit, old_rate.price, old_rate.per, old_rate.variant, old_rate.context_from, old_rate.daily_from, old_rate.daily_until, old_rate.precedence)
				IS NOT DISTINCT FROM (new_rate.card, new_rate.item, new_rate.unit, new_rate.price, new_rate.per, new_rate.variant, new_rate.context_from, new_rate.daily_from, new_rate.daily_until, new_rate.precedence) AS same
		) AS compared
		CROSS JOIN LATERAL (
			VALUES
				(old_rate.card, old_rate.item, tstzmultirange(old_rate.valid) - CASE WHEN same THEN tstzmultirange(new_rate.valid) ELSE '{}' END),
				(new_rate.card, new_rate.item, tstzmultirange(new_rate.valid) - CASE WHEN same THEN tstzmultirange(old_rate.valid) ELSE '{}' END)
		) AS touched (card, item, valid)
		WHERE NOT isempty(touched.valid)
		GROUP BY touched.card, touched.item, touched.valid;
		/* Names that no rate has any more, and names that none had. */
		PERFORM meter.mark_rated(card, item, variant)
		FROM old_rate
		WHERE NOT EXISTS (SELECT FROM meter.rate WHERE rate.card = old_rate.card AND rate.item = old_rate.item AND rate.variant = old_rate.variant)
		GROUP BY card, item, variant;
		PERFORM meter.mark_rated(card, item, variant)
		FROM new_rate
		WHERE NOT EXISTS (SELECT FROM old_rate WHERE old_rate.card = new_rate.card AND old_rate.item = new_rate.item AND old_rate.variant = new_rate.variant)
			AND NOT EXISTS (SELECT FROM meter.rate WHERE rate.card = new_rate.card AND rate.item = new_rate.item AND rate.variant = new_rate.variant AND rate.rate_id NOT IN (SELECT updated.rate_id FROM new_rate AS updated))
		GROUP BY card, item, variant;
	END CASE;
	PERFORM meter.check_marks(previous);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION meter.mark_rates() IS 'Trigger of meter.rate: marks the days of the items whose rates changed, for the time that they changed for, and all of an item in a variant that had no rate before, or has none any more.';

CREATE FUNCTION meter.check_marks(previous bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	horizon CONSTANT date := (SELECT min(horizon_lock.horizon) FROM meter.horizon_lock);
	purged text;
BEGIN
	IF NOT EXISTS (SELECT FROM meter.usage_mark WHERE mark_id > previous AND since < horizon) THEN
		RETURN;
	END IF;

	/* One pass over the roll-up for all of them. */
	SELECT touched.name INTO purged
	FROM (
		SELECT CASE WHEN mark.item IS NOT NULL THEN 'item ' ELSE 'action ' END || quote_literal(coalesce(mark.item, mark.action)) AS name
		FROM meter.touched_day AS day
		JOIN meter.usage_mark AS mark USING (mark_id)
		WHERE mark.mark_id > previous
			AND day.usage_date < horizon
	) AS touched
	ORDER BY touched.name COLLATE "C"
	LIMIT 1;
	IF FOUND THEN
		PERFORM meter.refuse_purged(purged);
	END IF;
END
$$;
COMMENT ON FUNCTION meter.check_marks(bigint) IS 'Raises an error where a mark of an item or an action with a number above previous touches purged days on which it was used.';
REVOKE ALL ON FUNCTION meter.check_marks(bigint) FROM PUBLIC;

CREATE FUNCTION meter.mark_item(card text, item text, variant text, since date, until date) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	CASE card
	WHEN 'cost' THEN
		PERFORM meter.mark_usage(NULL, item, NULL, since, until, variant);
	WHEN 'credit' THEN
		PERFORM meter.mark_usage(NULL, NULL, item, since, until, variant);
	ELSE
		/* Events are rated by no other card. */
	END CASE;
END
$$;
COMMENT ON FUNCTION meter.mark_item(text, text, text, date, date) IS 'Marks the days, from since until before until, on which an item of card cost was used, or an action that is an item of card credit was done, in one variant, or in any where that is NULL. An item of another card marks nothing.';
REVOKE ALL ON FUNCTION meter.mark_item(text, text, text, date, date) FROM PUBLIC;

CREATE FUNCTION meter.mark_rate(card text, item text, valid tstzmultirange) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	/* Whatever the zone, a date in it is at most a day and a few hours off the UTC one. */
	since date := coalesce(timezone('UTC', lower(valid))::date - 3, '-infinity');
	until CONSTANT date := coalesce(timezone('UTC', upper(valid))::date + 3, 'infinity');
BEGIN
	IF lower(valid) >= (SELECT starts FROM meter.horizon) THEN
		since := greatest(since, (SELECT horizon FROM meter.horizon));
		IF since >= until THEN
			RETURN;
		END IF;
	END IF;
	PERFORM meter.mark_item(card, item, NULL, since, until);
END
$$;
COMMENT ON FUNCTION meter.mark_rate(text, text, tstzmultirange) IS 'Marks the days on which an item of card cost was used, or an action that is an item of card credit was done, at a time when its rates changed.';
REVOKE ALL ON FUNCTION meter.mark_rate(text, text, tstzmultirange) FROM PUBLIC;

/*
 * A card with a rate of an item in a variant knows it, whenever that rate is valid: what has
 * no rate may be free then, and was unpriced. On purged days it stays what it was counted as.
 */
CREATE FUNCTION meter.mark_rated(card text, item text, variant text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM meter.lock_horizon();
	PERFORM meter.mark_item(card, item, variant, (SELECT horizon FROM meter.horizon), 'infinity');
END
$$;
COMMENT ON FUNCTION meter.mark_rated(text, text, text) IS 'Marks the days, from the horizon on, on which an item of card cost was used in a variant, or an action that is an item of card credit was done, as the card has got its first rate of it, or has lost its last.';
REVOKE ALL ON FUNCTION meter.mark_rated(text, text, text) FROM PUBLIC;

CREATE FUNCTION meter.mark_all() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM meter.mark_usage(NULL, NULL, NULL, '-infinity', 'infinity');
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION meter.mark_all() IS 'Trigger of meter.setting, meter.card and meter.usage_event: marks all of usage_daily, as the zone of customers without one, what an unrated unit is, or everything has changed.';

CREATE FUNCTION meter.mark_zones() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	/* A customer who is erased has the same days under the new name. */
	IF TG_OP = 'UPDATE' THEN
		IF NOT EXISTS (SELECT FROM new_zone WHERE NOT meter.is_erasing(customer_id))
			AND (SELECT array_agg((since, timezone) ORDER BY since) FROM old_zone) = (SELECT array_agg((since, timezone) ORDER BY since) FROM new_zone)
		THEN
			RETURN NULL;
		END IF;
	END IF;
	IF TG_OP IN ('UPDATE', 'DELETE') THEN
		PERFORM meter.mark_zone(customer_id, min(since))
		FROM old_zone
		GROUP BY customer_id;
	END IF;
	IF TG_OP IN ('UPDATE', 'INSERT') THEN
		PERFORM meter.mark_zone(customer_id, min(since))
		FROM new_zone
		GROUP BY customer_id;
	END IF;
	RETURN NULL;
END
$$;

CREATE FUNCTION meter.mark_zone(customer_id text, since date) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	horizon CONSTANT date := meter.lock_horizon();
	first_date date := since - 3;
BEGIN
	/*
	 * A zone moves the boundary of its first date and later ones. So one that begins
	 * after the horizon lets no event cross it, and any other does for a customer only
	 * who has no usage that could.
	 */
	IF since > horizon THEN
		first_date := greatest(first_date, horizon);
	ELSIF isfinite(horizon)
		AND (EXISTS (
				SELECT FROM meter.usage_day AS daily
				WHERE daily.customer_id = customer_id
					AND daily.usage_date < horizon)
			OR EXISTS (
				SELECT FROM meter.usage_event AS event
				WHERE event.customer_id = customer_id
					AND event.occurred_at >= timezone('UTC', (horizon - 3)::timestamp)
					AND event.occurred_at < timezone('UTC', (horizon + 3)::timestamp)))
	THEN
		PERFORM meter.refuse_purged('customer ' || quote_literal(customer_id));
	END IF;
	PERFORM meter.mark_usage(customer_id, NULL, NULL, first_date, 'infinity');
END
$$;
COMMENT ON FUNCTION meter.mark_zone(text, date) IS 'Marks the days of a customer whose zone changed from a date on. An error where that could move events across the horizon.';
REVOKE ALL ON FUNCTION meter.mark_zone(text, date) FROM PUBLIC;
COMMENT ON FUNCTION meter.mark_zones() IS 'Trigger of meter.customer_zone: marks the days of the customers whose zone changed, from the first date that it changed for.';

CREATE TRIGGER mark_inserted AFTER INSERT ON meter.rate
	REFERENCING NEW TABLE AS new_rate FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_rates();
CREATE TRIGGER mark_updated AFTER UPDATE ON meter.rate
	REFERENCING OLD TABLE AS old_rate NEW TABLE AS new_rate FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_rates();
CREATE TRIGGER mark_deleted AFTER DELETE ON meter.rate
	REFERENCING OLD TABLE AS old_rate FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_rates();
CREATE TRIGGER mark_truncated AFTER TRUNCATE ON meter.rate
	FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_rates();
CREATE TRIGGER mark_inserted AFTER INSERT ON meter.customer_zone
	REFERENCING NEW TABLE AS new_zone FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_zones();
CREATE TRIGGER mark_updated AFTER UPDATE ON meter.customer_zone
	REFERENCING OLD TABLE AS old_zone NEW TABLE AS new_zone FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_zones();
CREATE TRIGGER mark_deleted AFTER DELETE ON meter.customer_zone
	REFERENCING OLD TABLE AS old_zone FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_zones();
CREATE TRIGGER mark_truncated AFTER TRUNCATE ON meter.customer_zone
	FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_all();
CREATE TRIGGER mark_updated AFTER UPDATE ON meter.setting
	FOR EACH ROW WHEN (OLD.timezone <> NEW.timezone) EXECUTE FUNCTION meter.mark_all();
CREATE TRIGGER mark_inserted_or_deleted AFTER INSERT OR DELETE ON meter.setting
	FOR EACH ROW EXECUTE FUNCTION meter.mark_all();
CREATE TRIGGER mark_truncated AFTER TRUNCATE ON meter.setting
	FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_all();
CREATE TRIGGER mark_updated AFTER UPDATE ON meter.card
	FOR EACH ROW WHEN ((OLD.card, OLD.unrated) <> (NEW.card, NEW.unrated) AND (OLD.card IN ('cost', 'credit') OR NEW.card IN ('cost', 'credit'))) EXECUTE FUNCTION meter.mark_all();
CREATE TRIGGER mark_inserted AFTER INSERT ON meter.card
	FOR EACH ROW WHEN (NEW.unrated = 'free' AND NEW.card IN ('cost', 'credit')) EXECUTE FUNCTION meter.mark_all();
CREATE TRIGGER mark_deleted AFTER DELETE ON meter.card
	FOR EACH ROW WHEN (OLD.unrated = 'free' AND OLD.card IN ('cost', 'credit')) EXECUTE FUNCTION meter.mark_all();
CREATE TRIGGER mark_truncated AFTER TRUNCATE ON meter.card
	FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_all();
CREATE TRIGGER mark_truncated AFTER TRUNCATE ON meter.usage_event
	FOR EACH STATEMENT EXECUTE FUNCTION meter.mark_all();

CREATE FUNCTION meter.keep_event() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	kept record;
BEGIN
	IF TG_OP = 'DELETE' THEN
		SELECT event.customer_id, event.event_id INTO kept
		FROM (
			SELECT
				deleted.customer_id, deleted.event_id, deleted.occurred_at, deleted.received_at, deleted.txid,
				least(meter.usage_date(deleted.occurred_at, coalesce(span.timezone, (SELECT timezone FROM meter.setting), 'UTC')), span.last_date) AS usage_date
			FROM deleted
			LEFT JOIN meter.customer_zone_span AS span
				ON span.customer_id = deleted.customer_id
				AND deleted.occurred_at >= span.starts
				AND deleted.occurred_at < span.ends
		) AS event
		WHERE event.occurred_at >= (SELECT clear_from FROM meter.horizon)
			OR event.usage_date >= (SELECT horizon FROM meter.horizon)
			OR ((SELECT txids FROM meter.horizon) @> event.txid) IS NOT TRUE
				AND NOT meter.is_purgeable(event.usage_date, event.txid, event.received_at)
		LIMIT 1;
		IF NOT FOUND THEN
			RETURN NULL;
		END IF;
	ELSE
		/* The pseudonym is there, and all that counts is as it was. */
		IF meter.is_erasing(NEW.customer_id)
			AND (OLD.occurred_at, OLD.item, OLD.usage, OLD.action, OLD.variant, OLD.outcome, OLD.request_class, OLD.sign, OLD.received_at, OLD.txid)
				IS NOT DISTINCT FROM (NEW.occurred_at, NEW.item, NEW.usage, NEW.action, NEW.variant, NEW.outcome, NEW.request_class, NEW.sign, NEW.received_at, NEW.txid)
		THEN
			RETURN NEW;
		END IF;
		kept := OLD;
	END IF;
	RAISE EXCEPTION 'event "%" of customer "%" cannot be changed or deleted', kept.event_id, kept.customer_id
		USING ERRCODE = 'invalid_parameter_value', HINT = 'meter.void_event takes it back, meter.amend_event puts another one in its place.';
END
$$;
COMMENT ON FUNCTION meter.keep_event() IS 'Trigger of meter.usage_event: refuses to delete an event that is not purged, and to change anything that counts. Only user_id, workflow_id and tags can be changed; an erasure renames.';
REVOKE ALL ON FUNCTION meter.mark_rates(), meter.mark_all(), meter.mark_zones(), meter.keep_event() FROM PUBLIC;

CREATE TRIGGER keep_deleted AFTER DELETE ON meter.usage_event
	REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION meter.keep_event();
CREATE TRIGGER keep_updated BEFORE UPDATE ON meter.usage_event
	FOR EACH ROW
	WHEN ((OLD.customer_id, OLD.event_id, OLD.occurred_at, OLD.item, OLD.usage, OLD.action, OLD.variant, OLD.outcome, OLD.request_class, OLD.sign, OLD.reverses, OLD.received_at, OLD.txid)
		IS DISTINCT FROM (NEW.customer_id, NEW.event_id, NEW.occurred_at, NEW.item, NEW.usage, NEW.action, NEW.variant, NEW.outcome, NEW.request_class, NEW.sign, NEW.reverses, NEW.received_at, NEW.txid))
	EXECUTE FUNCTION meter.keep_event();

CREATE FUNCTION meter.txid_horizon(epoch integer) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (epoch::bigint << 48) + CASE
	WHEN epoch = meter.txid_epoch() THEN pg_snapshot_xmin(pg_current_snapshot())::text::bigint
	ELSE 281474976710655
END;
COMMENT ON FUNCTION meter.txid_horizon(integer) IS 'The txid of an epoch below which no transaction is open in the calling statement''s snapshot: what is below is visible or never will be. Of another cluster''s epoch, its end.';

CREATE FUNCTION meter.lock_usage_daily(wait boolean DEFAULT true) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	present CONSTANT integer := meter.txid_epoch();
	former CONSTANT text := current_setting('lock_timeout');
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'usage_daily can be refreshed at READ COMMITTED only, not at %', upper(current_setting('transaction_isolation'))
			USING ERRCODE = 'invalid_parameter_value', HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED, or CALL meter.refresh() outside of a transaction.';
	END IF;

	/* What a subscription brings has numbers of another cluster, in no order that a watermark could follow. */
	IF EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = 'meter.usage_event'::regclass) THEN
		RAISE EXCEPTION 'meter.usage_event is filled by a logical subscription, and cannot be rolled up here'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Refresh on the publisher. The views are right here as well: they read all events. After DROP SUBSCRIPTION a refresh takes them in.';
	END IF;

	IF NOT EXISTS (SELECT FROM meter.usage_watermark WHERE epoch = present) THEN
		INSERT INTO meter.usage_watermark (epoch, consumed)
		VALUES (present, present::bigint << 48)
		ON CONFLICT (epoch) DO NOTHING;
	END IF;
	IF wait THEN
		PERFORM FROM meter.usage_watermark WHERE epoch = present FOR UPDATE;
	ELSE
		PERFORM FROM meter.usage_watermark WHERE epoch = present FOR UPDATE SKIP LOCKED;
		/* Where the horizon is being moved, that takes a moment, and does none of the work. */
		IF NOT FOUND AND NOT EXISTS (SELECT FROM meter.horizon_lock FOR SHARE SKIP LOCKED) THEN
			PERFORM FROM meter.usage_watermark WHERE epoch = present FOR UPDATE;
		END IF;
		IF NOT FOUND THEN
			RAISE NOTICE 'another refresh is running, and does the work';
			RETURN false;
		END IF;
	END IF;
	/*
	 * Closers of periods hold ROW EXCLUSIVE on it for a batch: one either has seen an
	 * event, or has said that the period is closed before that event is rolled up, and
	 * is marked to be rated again. One that is idle in its transaction is not waited for.
	 */
	IF wait THEN
		LOCK TABLE meter.billing_account IN SHARE MODE;
	ELSE
		BEGIN
			PERFORM set_config('lock_timeout', '5s', true);
			LOCK TABLE meter.billing_account IN SHARE MODE;
		EXCEPTION WHEN lock_not_available THEN
			RAISE NOTICE 'a transaction that bills keeps the roll-up waiting: the next refresh does the work'
				USING HINT = 'SELECT * FROM pg_locks WHERE relation = ''meter.billing_account''::regclass says which one, if it stays.';
			RETURN false;
		END;
		PERFORM set_config('lock_timeout', former, true);
	END IF;
	RETURN true;
END
$$;
COMMENT ON FUNCTION meter.lock_usage_daily(boolean) IS 'Takes the lock under which usage_daily is changed, until the transaction''s end; says false, with a notice, where another transaction has it, or bills for 5 seconds and longer, and wait is false. Any isolation level but READ COMMITTED is an error, as its snapshot may be older than the lock, and so is a database that gets its events by a logical subscription.';

CREATE FUNCTION meter.find_epochs() RETURNS void
LANGUAGE sql
SET jit = off
BEGIN ATOMIC
	WITH known AS (
		SELECT
			min(epoch)::bigint << 48 AS first_txid,
			max(epoch)::bigint << 48 AS latest_txid,
			range_agg(int8range(epoch::bigint << 48, (epoch::bigint << 48) + 281474976710655, '[]')) FILTER (WHERE epoch < 32767) AS txids
		FROM meter.usage_watermark
	), unknown AS (
		/* Both ends by one scan, as it reads what the index does not know yet, too. */
		SELECT txid
		FROM meter.usage_event
		WHERE txid < (SELECT first_txid FROM known)
			OR txid > (SELECT latest_txid + 281474976710655 FROM known)
		UNION ALL
		SELECT event.txid
		FROM known
		CROSS JOIN LATERAL unnest(int8multirange(int8range(first_txid, latest_txid)) - txids) AS gap
		JOIN meter.usage_event AS event
			ON event.txid >= lower(gap)
			AND event.txid < upper(gap)
	)
	INSERT INTO meter.usage_watermark (epoch, consumed)
	SELECT DISTINCT (txid >> 48)::integer, txid >> 48 << 48
	FROM unknown;
	/* A watermark ahead of all transactions is another cluster's: everything is made anew. */
	INSERT INTO meter.usage_mark (customer_id)
	SELECT NULL
	FROM meter.usage_watermark AS watermark
	WHERE watermark.epoch = meter.txid_epoch()
		AND watermark.consumed > (watermark.epoch::bigint << 48) + pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
END;
COMMENT ON FUNCTION meter.find_epochs() IS 'Gives every epoch that events have, and usage_watermark has not, a row there with nothing consumed: events that were restored or upgraded from another cluster. Where that one''s epoch is this one''s by chance, marks all of usage_daily. The caller holds the lock.';

CREATE FUNCTION meter.expand_marks() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	/* The caller has it; before anything is read, for one that has not. */
	locked CONSTANT boolean := meter.lock_usage_daily();
	marks CONSTANT bigint[] := ARRAY(SELECT mark_id FROM meter.usage_mark);
BEGIN
	/* A restored horizon holds from here on. Nobody is waited for: next time will do. */
	IF (SELECT min(horizon) FROM meter.horizon_lock) < (SELECT horizon FROM meter.horizon) THEN
		UPDATE meter.horizon_lock
		SET horizon = (SELECT latest.horizon FROM meter.horizon AS latest)
		WHERE ctid = ANY (ARRAY(SELECT free.ctid FROM meter.horizon_lock AS free FOR UPDATE SKIP LOCKED));
	END IF;

	IF cardinality(marks) = 0 THEN
		RETURN;
	END IF;
	IF EXISTS (SELECT FROM meter.usage_mark WHERE mark_id = ANY (marks) AND num_nonnulls(customer_id, item, action) = 0) THEN
		/* All of it from the beginning: it becomes the tail, which is consumed in batches. */
		DELETE FROM meter.usage_day WHERE usage_date >= (SELECT horizon FROM meter.horizon);
		DELETE FROM meter.usage_month;
		INSERT INTO meter.usage_month (customer_id, usage_month, cost, credits, events, unpriced_cost, unpriced_credits, breakdown)
		SELECT customer_id, usage_month, cost, credits, events, unpriced_cost, unpriced_credits, breakdown
		FROM meter.month_of_days;
		DELETE FROM meter.usage_mark WHERE mark_id = ANY (marks);
		UPDATE meter.usage_watermark SET consumed = epoch::bigint << 48, refreshed_at = clock_timestamp();
		RETURN;
	END IF;

	/* In one statement: after a restore a new mark may get the number of an old one. */
	WITH taken AS (
		DELETE FROM meter.usage_mark
		WHERE mark_id = ANY (marks)
		RETURNING customer_id, item, action, since, until
	), marked AS (
		SELECT customer_id, since, until
		FROM taken
		WHERE customer_id IS NOT NULL
		UNION ALL
		SELECT customer_id, usage_date, usage_date + 1
		FROM meter.touched_day
		WHERE mark_id = ANY (marks)
	), merged AS (
		/* After a restore a purged day may be among them. */
		SELECT customer_id, unnest(range_agg(daterange(since, until) * daterange((SELECT horizon FROM meter.horizon), NULL))) AS dates
		FROM marked
		GROUP BY customer_id
	)
	INSERT INTO meter.usage_mark (customer_id, since, until)
	SELECT customer_id, lower(dates), upper(dates)
	FROM merged;
END
$$;
COMMENT ON FUNCTION meter.expand_marks() IS 'Puts ranges of customers'' days in the place of all marks. A mark of everything empties usage_daily from the horizon on and sets the watermarks back to the start: all events are unconsumed then. The caller holds the lock.';

CREATE FUNCTION meter.rebuild_marked(marks bigint[]) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '4MB'
SET enable_mergejoin = off
AS $$
DECLARE
	/* The caller has it; before anything is read, for one that has not. */
	locked CONSTANT boolean := meter.lock_usage_daily();
	rolled_up CONSTANT int8multirange := (SELECT range_agg(int8range(epoch::bigint << 48, consumed)) FROM meter.usage_watermark);
	horizon CONSTANT date := (SELECT latest.horizon FROM meter.horizon AS latest);
	counted bigint;
BEGIN
	IF cardinality(marks) = 0 THEN
		RETURN 0;
	END IF;
	PERFORM set_config('work_mem', current_setting('maintenance_work_mem'), true);

	DELETE FROM meter.usage_day AS daily
	USING meter.usage_mark AS mark
	WHERE mark.mark_id = ANY (marks)
		AND mark.customer_id = daily.customer_id
		AND daily.usage_date >= greatest(mark.since, horizon)
		AND daily.usage_date < mark.until;

	WITH marked AS (
		SELECT customer_id, range_agg(daterange(since, until) * daterange(horizon, NULL)) AS dates
		FROM meter.usage_mark
		WHERE mark_id = ANY (marks)
		GROUP BY customer_id
	), bound AS (
		SELECT
			timezone('UTC', (min(lower(dates)) - 3)::timestamp) AS first_at,
			timezone('UTC', (max(upper(dates)) + 3)::timestamp) AS end_at
		FROM marked
	), rebuilt AS (
		SELECT
			customer_id, usage_date,
			meter.break_down((SELECT cost FROM meter.event_card), (SELECT credit FROM meter.event_card), item, credited_action, occurred_at, usage, variant, sign, action, outcome, request_class) AS sums,
			count(*) AS counted
		FROM meter.dated_event AS event
		WHERE occurred_at >= (SELECT first_at FROM bound)
			AND occurred_at < (SELECT end_at FROM bound)
			AND rolled_up @> txid
			AND EXISTS (
				SELECT FROM marked
				WHERE marked.customer_id = event.customer_id
					AND marked.dates @> event.usage_date)
		GROUP BY customer_id, usage_date, NULL::xid /* see meter.tail_day */
	), inserted AS (
		INSERT INTO meter.usage_day (customer_id, usage_date, cost, credits, events, unpriced_cost, unpriced_credits, breakdown)
		SELECT customer_id, usage_date, (sums).cost, (sums).credits, (sums).events, (sums).unpriced_cost, (sums).unpriced_credits, (sums).breakdown
		FROM rebuilt
		ORDER BY customer_id, usage_date
	), late AS (
		/* The days without an event now are among them: their usage is gone. */
		INSERT INTO meter.invoice_mark (customer_id, since)
		SELECT customer_id, min(lower(dates))
		FROM marked
		JOIN meter.billing_account AS account USING (customer_id)
		WHERE lower(dates) < account.closed_until
		GROUP BY customer_id
	)
	SELECT coalesce(sum(rebuilt.counted), 0) INTO counted
	FROM rebuilt;

	/* Their months are added up again, from all of their days. */
	DELETE FROM meter.usage_month AS monthly
	USING meter.usage_mark AS mark
	WHERE mark.mark_id = ANY (marks)
		AND mark.customer_id = monthly.customer_id
		AND monthly.usage_month >= meter.month_start(greatest(mark.since, horizon))
		AND monthly.usage_month < mark.until;
	INSERT INTO meter.usage_month (customer_id, usage_month, cost, credits, events, unpriced_cost, unpriced_credits, breakdown)
	SELECT month.customer_id, month.usage_month, month.cost, month.credits, month.events, month.unpriced_cost, month.unpriced_credits, month.breakdown
	FROM (
		SELECT customer_id, range_agg(daterange(meter.month_start(greatest(since, horizon)), until)) AS dates
		FROM meter.usage_mark
		WHERE mark_id = ANY (marks)
		GROUP BY customer_id
	) AS marked
	CROSS JOIN LATERAL (
		SELECT *
		FROM meter.month_of_days
		WHERE month_of_days.customer_id = marked.customer_id
			AND marked.dates @> month_of_days.usage_month
		OFFSET 0
	) AS month;

	DELETE FROM meter.usage_mark WHERE mark_id = ANY (marks);
	RETURN counted;
END
$$;
COMMENT ON FUNCTION meter.rebuild_marked(bigint[]) IS 'Makes the rows of usage_daily anew that marks of customers touch, from the consumed events and from the horizon on, deletes the marks, and returns the number of events. The caller holds the lock.';

CREATE FUNCTION meter.consume_events(epoch integer, until bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '4MB'
SET enable_mergejoin = off
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
	/* The caller has it; before anything is read, for one that has not. */
	locked CONSTANT boolean := meter.lock_usage_daily();
	counted bigint;
BEGIN
	/*
	 * Maintenance, with its memory: the clause above ends it with the function. All
	 * events would be sorted to merge them with a few zones.
	 */
	PERFORM set_config('work_mem', current_setting('maintenance_work_mem'), true);
	/* One statement: the horizon is that of the very snapshot that the events are read with. */
	WITH bound AS MATERIALIZED (
		SELECT
			usage_watermark.consumed AS first_txid,
			greatest(usage_watermark.consumed, least(meter.txid_horizon(consume_events.epoch), consume_events.until)) AS end_txid
		FROM meter.usage_watermark
		WHERE usage_watermark.epoch = consume_events.epoch
	), summed AS (
		SELECT
			customer_id, usage_date,
			meter.break_down((SELECT cost FROM meter.event_card), (SELECT credit FROM meter.event_card), item, credited_action, occurred_at, usage, variant, sign, action, outcome, request_class) AS sums,
			count(*) AS counted
		FROM meter.dated_event
		WHERE txid >= (SELECT first_txid FROM bound)
			AND txid < (SELECT end_txid FROM bound)
			AND (occurred_at >= (SELECT clear_from FROM meter.horizon) OR usage_date >= (SELECT horizon FROM meter.horizon))
		GROUP BY customer_id, usage_date, NULL::xid /* see meter.tail_day */
	), rated_day AS MATERIALIZED (
		/* A customer's days side by side, as the index has them, by comparisons that cost nothing. */
		SELECT
			customer_id, usage_date,
			(sums).cost, (sums).credits, (sums).events, (sums).unpriced_cost, (sums).unpriced_credits, (sums).breakdown,
			summed.counted
		FROM summed
		ORDER BY customer_id COLLATE "C", usage_date
	), added_day AS (
		INSERT INTO meter.usage_day AS day (customer_id, usage_date, cost, credits, events, unpriced_cost, unpriced_credits, breakdown)
		SELECT customer_id, usage_date, cost, credits, events, unpriced_cost, unpriced_credits, breakdown
		FROM rated_day
		ON CONFLICT (customer_id, usage_date) DO UPDATE
		SET cost = trim_scale(day.cost + excluded.cost),
			credits = trim_scale(day.credits + excluded.credits),
			events = day.events + excluded.events,
			unpriced_cost = day.unpriced_cost + excluded.unpriced_cost,
			unpriced_credits = day.unpriced_credits + excluded.unpriced_credits,
			breakdown = meter.add(day.breakdown, excluded.breakdown)
	), added_month AS (
		INSERT INTO meter.usage_month AS month (customer_id, usage_month, cost, credits, events, unpriced_cost, unpriced_credits, breakdown)
		SELECT customer_id, meter.month_start(usage_date) AS usage_month, trim_scale(sum(cost)), trim_scale(sum(credits)), sum(events), sum(unpriced_cost), sum(unpriced_credits), meter.month_breakdown(meter.sum(breakdown))
		FROM rated_day
		GROUP BY customer_id, usage_month
		ORDER BY customer_id COLLATE "C", usage_month
		ON CONFLICT (customer_id, usage_month) DO UPDATE
		SET cost = trim_scale(month.cost + excluded.cost),
			credits = trim_scale(month.credits + excluded.credits),
			events = month.events + excluded.events,
			unpriced_cost = month.unpriced_cost + excluded.unpriced_cost,
			unpriced_credits = month.unpriced_credits + excluded.unpriced_credits,
			breakdown = meter.month_breakdown(meter.add(month.breakdown, excluded.breakdown))
	), late AS (
		INSERT INTO meter.invoice_mark (customer_id, since)
		SELECT account.customer_id, min(rated_day.usage_date)
		FROM rated_day
		JOIN meter.billing_account AS account USING (customer_id)
		WHERE rated_day.usage_date < account.closed_until
		GROUP BY account.customer_id
	), moved AS (
		UPDATE meter.usage_watermark
		SET consumed = greatest(usage_watermark.consumed, bound.end_txid), refreshed_at = clock_timestamp()
		FROM bound
		WHERE usage_watermark.epoch = consume_events.epoch
	)
	SELECT coalesce(sum(rated_day.counted), 0) INTO counted
	FROM rated_day;
	RETURN counted;
END
$$;
COMMENT ON FUNCTION meter.consume_events(integer, bigint) IS 'Adds the events of an epoch that are not in usage_daily and not too late, up to until or to the first open transaction, moves the watermark, and returns the number of events. The caller holds the lock.';

CREATE TYPE meter.refresh_step AS (
	marks bigint[],
	epoch integer,
	until bigint,
	events bigint
);
COMMENT ON TYPE meter.refresh_step IS 'A batch of meter.refresh: the marks that it rebuilds, or the epoch that it consumes and up to which txid (NULL: to the first open transaction), and about how many events that are.';

CREATE FUNCTION meter.refresh_steps(batch_events bigint) RETURNS SETOF meter.refresh_step
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	percent CONSTANT numeric := least(100, 1000000.0 / batch_events);
	watermark record;
	first_txid bigint;
	last_txid bigint;
	few bigint;
	planned record;
BEGIN
	RETURN QUERY
	WITH sized AS (
		SELECT
			mark_id, customer_id, since,
			(SELECT coalesce(sum(day.events), 0) FROM meter.usage_day AS day WHERE day.customer_id = usage_mark.customer_id AND day.usage_date >= since AND day.usage_date < until) AS events
		FROM meter.usage_mark
		WHERE customer_id IS NOT NULL
	), placed AS (
		SELECT
			mark_id, events,
			trunc(sum(events + 1) OVER (ORDER BY customer_id, since, mark_id ROWS UNBOUNDED PRECEDING) / batch_events) AS batch
		FROM sized
	)
	SELECT array_agg(mark_id), NULL::integer, NULL::bigint, sum(events)::bigint
	FROM placed
	GROUP BY batch
	ORDER BY batch;

	FOR watermark IN
		SELECT usage_watermark.epoch, usage_watermark.consumed, meter.txid_horizon(usage_watermark.epoch) AS horizon
		FROM meter.usage_watermark
		ORDER BY usage_watermark.epoch
	LOOP
		first_txid := watermark.consumed;
		last_txid := watermark.horizon - 1;
		SELECT count(*) INTO few
		FROM (
			SELECT FROM meter.usage_event
			WHERE txid >= first_txid
				AND txid <= last_txid
			LIMIT batch_events
		) AS event;
		IF few < batch_events THEN
			RETURN NEXT ROW(NULL, watermark.epoch, NULL, few)::meter.refresh_step;
			CONTINUE;
		END IF;

		/*
		 * Cut between two transactions, where about so many events are before; once more,
		 * and finer, where that is too coarse. Some 10,000 events of a batch say where.
		 */
		LOOP
			WITH bucket AS (
				SELECT (txid - first_txid) / ((last_txid - first_txid) / 65536 + 1) AS number, count(*) * 100 / percent AS events, min(txid) AS first_txid, max(txid) AS last_txid
				FROM meter.usage_event TABLESAMPLE system (percent) REPEATABLE (0)
				WHERE txid >= first_txid
					AND txid <= last_txid
				GROUP BY number
			), placed AS (
				SELECT bucket.*, trunc((sum(bucket.events) OVER (ORDER BY number) - 1) / batch_events) AS batch
				FROM bucket
			), step AS (
				SELECT batch, sum(placed.events)::bigint AS events, max(placed.events) AS largest, min(placed.first_txid) AS first_txid, max(placed.last_txid) AS last_txid
				FROM placed
				GROUP BY batch
			)
			SELECT array_agg(step.last_txid + 1 ORDER BY batch) AS ends, array_agg(step.events ORDER BY batch) AS events, max(largest) AS largest, min(step.first_txid) AS first_txid, max(step.last_txid) AS last_txid INTO planned
			FROM step;
			EXIT WHEN planned.largest IS NULL
				OR planned.largest <= batch_events
				OR (planned.last_txid - planned.first_txid) / 65536 = (last_txid - first_txid) / 65536;
			first_txid := planned.first_txid;
			last_txid := planned.last_txid;
		END LOOP;
		FOR i IN 1 .. coalesce(cardinality(planned.ends), 1) LOOP
			RETURN NEXT ROW(NULL, watermark.epoch, CASE WHEN i < cardinality(planned.ends) THEN planned.ends[i] END, coalesce(planned.events[i], 0))::meter.refresh_step;
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION meter.refresh_steps(bigint) IS 'The batches, of about so many events each, that bring usage_daily up to date: first those for the marked days, then those for the unconsumed events. A transaction''s events are never divided. The caller holds the lock.';

CREATE FUNCTION meter.refresh_now() RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	events bigint;
BEGIN
	PERFORM meter.lock_usage_daily();
	PERFORM meter.find_epochs();
	PERFORM meter.expand_marks();
	events := meter.rebuild_marked(ARRAY(SELECT mark_id FROM meter.usage_mark WHERE customer_id IS NOT NULL));
	RETURN events + (SELECT coalesce(sum(meter.consume_events(epoch)), 0) FROM meter.usage_watermark);
END
$$;
COMMENT ON FUNCTION meter.refresh_now() IS 'Brings usage_daily up to date as a part of the present transaction, and returns how many events that took. Waits for another refresh. The transaction''s own events, and those of transactions that are open, come later: views have them anyway. Any isolation level but READ COMMITTED is an error. CALL meter.refresh() does the same in batches.';

CREATE PROCEDURE meter.refresh(batch_events bigint DEFAULT 1000000)
LANGUAGE plpgsql
AS $$
DECLARE
	steps meter.refresh_step[];
	step meter.refresh_step;
	run bigint;
	events bigint;
BEGIN
	/* No setting outlives a COMMIT, and the level is set before anything is evaluated. */
	PERFORM meter.refuse_transaction_block('meter.refresh');
	COMMIT;
	SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
	PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
	IF batch_events IS NULL OR batch_events < 1 THEN
		RAISE EXCEPTION 'a batch of % events is none', coalesce(batch_events::text, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave batch_events out for 1000000.';
	END IF;
	IF NOT meter.lock_usage_daily(wait => false) THEN
		RETURN;
	END IF;
	PERFORM meter.find_epochs();
	PERFORM meter.expand_marks();
	steps := ARRAY(SELECT planned FROM meter.refresh_steps(batch_events) AS planned);
	UPDATE meter.job SET state = 'stopped' WHERE job.job = 'refresh' AND job.state = 'running';
	INSERT INTO meter.job (job, total)
	SELECT 'refresh', coalesce(sum(planned.events), 0)
	FROM unnest(steps) AS planned
	RETURNING job_id INTO run;
	COMMIT;
	SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
	PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

	FOREACH step IN ARRAY steps LOOP
		IF NOT meter.lock_usage_daily(wait => false) THEN
			UPDATE meter.job SET state = 'stopped' WHERE job_id = run AND state = 'running';
			RETURN;
		END IF;
		IF step.epoch IS NULL THEN
			events := meter.rebuild_marked(step.marks);
		ELSE
			events := meter.consume_events(step.epoch, step.until);
		END IF;
		UPDATE meter.job SET done = done + events, updated_at = clock_timestamp() WHERE job_id = run;
		COMMIT;
		SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
		PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
	END LOOP;

	UPDATE meter.job SET state = 'done', updated_at = clock_timestamp() WHERE job_id = run;
	IF EXISTS (SELECT FROM meter.attachment WHERE attachment.connected) THEN
		CALL meter.refresh_attached();
	END IF;
END
$$;
COMMENT ON PROCEDURE meter.refresh(bigint) IS 'Brings usage_daily up to date: rebuilds the marked days and adds the events that it does not have, each exactly once. Works in batches of about batch_events events, of whole transactions, with a COMMIT each; meter.job_progress shows how far it is. It can be cancelled at any time, and the next one goes on from there. Where another one runs, it leaves the work to that one. It never keeps writers of events waiting, and never waits for one: what open transactions hold back comes next time, and views have it anyway. Nor does it wait for more than 5 seconds for one that bills. Attached tables are rolled up last, as meter.refresh_attached does. It cannot be called inside a transaction; meter.refresh_now can, which leaves attached tables alone.';

REVOKE ALL ON FUNCTION meter.lock_usage_daily(boolean), meter.find_epochs(), meter.expand_marks(), meter.rebuild_marked(bigint[]), meter.consume_events(integer, bigint), meter.refresh_steps(bigint), meter.refresh_now() FROM PUBLIC;
REVOKE ALL ON PROCEDURE meter.refresh(bigint) FROM PUBLIC;
