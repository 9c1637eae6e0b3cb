/*
 * The horizon: the date before which events are purged.
 *
 * The roll-up never changes a day before the horizon. An event of such a day had been
 * rolled up when the horizon came to lie behind it, and is deleted; or it came later,
 * and is too late. Which of the two it is says its txid, whatever became of it since:
 * each row of purge_horizon keeps the ones that were rolled up by then.
 */

CREATE TABLE meter.purge_horizon (
	horizon date PRIMARY KEY
		CONSTRAINT purge_horizon_is_finite CHECK (isfinite(horizon)),
	txids int8multirange NOT NULL,
	moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	purged_at timestamptz
);
COMMENT ON TABLE meter.purge_horizon IS 'Before which date events are purged: the latest horizon. Earlier ones are kept while an event that was too late for them is there. meter.purge_events moves it on, and nothing moves it back.';
COMMENT ON COLUMN meter.purge_horizon.horizon IS 'The date in the customer''s time zone: events of this day stay, those of the day before do not.';
COMMENT ON COLUMN meter.purge_horizon.txids IS 'The usage_event.txid that had been rolled up when the horizon was moved here: other events of days before it are too late.';
COMMENT ON COLUMN meter.purge_horizon.moved_at IS 'When it was moved here. From then on nothing changes a day before it.';
COMMENT ON COLUMN meter.purge_horizon.purged_at IS 'When the last event before it had been deleted. NULL: some may still be there.';

/*
 * A table of its own, as it says what this database has seen: a restored rate is no
 * change of one, although the horizon that it is restored beside lies behind it.
 */
CREATE TABLE meter.horizon_lock (
	horizon date NOT NULL
);
COMMENT ON TABLE meter.horizon_lock IS 'One row: whoever changes what days before the horizon could depend on shares its lock, and whoever moves the horizon or erases a customer takes it alone.';
COMMENT ON COLUMN meter.horizon_lock.horizon IS 'The horizon that changes of rates, zones and settings are held to: -infinity after a restore, until the next refresh or purge.';
INSERT INTO meter.horizon_lock VALUES ('-infinity');

SELECT pg_extension_config_dump('meter.purge_horizon', '');
SELECT pg_extension_config_dump('meter.horizon_lock', 'WHERE false');

CREATE VIEW meter.horizon AS
WITH latest AS (
	SELECT
		coalesce(max(purge_horizon.horizon), '-infinity') AS horizon,
		range_intersect_agg(purge_horizon.txids) AS txids
	FROM meter.purge_horizon
)
SELECT
	horizon,
	CASE
		WHEN isfinite(horizon) THEN (
			SELECT max(meter.period_boundary(0, horizon, interval '1 day', zone.timezone))
			FROM (
				SELECT timezone FROM meter.customer_zone
				UNION
				SELECT coalesce((SELECT timezone FROM meter.setting), 'UTC')
			) AS zone)
		ELSE '-infinity'
	END AS starts,
	/* Whatever the zone, a date in it is at most a day and a few hours off the UTC one. */
	timezone('UTC', (horizon + 3)::timestamp) AS clear_from,
	txids
FROM latest;
COMMENT ON VIEW meter.horizon IS 'The date before which events are purged, in one row: -infinity where none are. From starts on it is that date, or a later one, for every customer; clear_from is an instant after it that costs nothing to find. An event with one of txids is not too late, whatever its date.';

CREATE FUNCTION meter.is_too_late(customer_id text, occurred_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT occurred_at < latest.clear_from
		AND coalesce(
			(SELECT least(meter.usage_date(is_too_late.occurred_at, span.timezone), span.last_date)
				FROM meter.customer_zone_span AS span
				WHERE span.customer_id = is_too_late.customer_id
					AND is_too_late.occurred_at >= span.starts
					AND is_too_late.occurred_at < span.ends),
			meter.usage_date(is_too_late.occurred_at, coalesce((SELECT setting.timezone FROM meter.setting), 'UTC'))) < latest.horizon
	FROM meter.horizon AS latest;
END;
COMMENT ON FUNCTION meter.is_too_late(text, timestamptz) IS 'Whether an event of the customer at that instant would be of a day before the horizon, and could not be counted any more.';

CREATE FUNCTION meter.lock_horizon() RETURNS date
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM meter.horizon_lock FOR SHARE;
	/* Over again: what the lock was waited for has moved it. */
	RETURN (SELECT coalesce(max(horizon_lock.horizon), '-infinity') FROM meter.horizon_lock);
END
$$;
COMMENT ON FUNCTION meter.lock_horizon() IS 'Keeps the horizon where it is until the end of the transaction, and returns it, as far as this database is held to it. Waits for who moves it; at REPEATABLE READ it is a serialization failure if it was moved meanwhile.';
REVOKE ALL ON FUNCTION meter.lock_horizon() FROM PUBLIC;
