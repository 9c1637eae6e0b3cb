/*
 * Who keeps the roll-up up to date and purges.
 *
 * A procedure that commits cannot run with its owner's rights. So the steps that it
 * takes do: with rights on their tables instead, a job that refreshes could change any
 * sum and delete any event. Each takes the lock that it needs, or does no harm without
 * it. They are not granted to anybody but by meter.allow_upkeep.
 */
ALTER FUNCTION meter.lock_usage_daily(boolean) SECURITY DEFINER;
ALTER FUNCTION meter.find_epochs() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION meter.expand_marks() SECURITY DEFINER;
ALTER FUNCTION meter.refresh_steps(bigint) SECURITY DEFINER;
ALTER FUNCTION meter.rebuild_marked(bigint[]) SECURITY DEFINER;
ALTER FUNCTION meter.consume_events(integer, bigint) SECURITY DEFINER;
ALTER FUNCTION meter.refresh_now() SECURITY DEFINER;
ALTER FUNCTION meter.first_attached_date(text) SECURITY DEFINER;
ALTER FUNCTION meter.roll_up_attached(text, date) SECURITY DEFINER;
ALTER FUNCTION meter.unroll_attached(text, date) SECURITY DEFINER;
ALTER FUNCTION meter.move_horizon(date) SECURITY DEFINER;
ALTER FUNCTION meter.lock_purge() SECURITY DEFINER;
ALTER FUNCTION meter.purge_steps(bigint) SECURITY DEFINER;
ALTER FUNCTION meter.delete_purged(timestamptz, timestamptz) SECURITY DEFINER;
ALTER FUNCTION meter.finish_purge(date) SECURITY DEFINER;

CREATE FUNCTION meter.allow_upkeep(role regrole) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT EXECUTE ON PROCEDURE meter.refresh(bigint), meter.refresh_attached(text, date, integer), meter.purge_events(date, bigint) TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION meter.lock_usage_daily(boolean), meter.find_epochs(), meter.expand_marks(), meter.refresh_steps(bigint), meter.rebuild_marked(bigint[]), meter.consume_events(integer, bigint), meter.refresh_now(), meter.first_attached_date(text), meter.roll_up_attached(text, date), meter.unroll_attached(text, date), meter.move_horizon(date), meter.lock_purge(), meter.purge_steps(bigint), meter.delete_purged(timestamptz, timestamptz), meter.finish_purge(date) TO %s', role);
	EXECUTE format('GRANT SELECT ON meter.job, meter.job_progress, meter.horizon, meter.attachment TO %s', role);
	EXECUTE format('GRANT INSERT (job, total), UPDATE (state, done, updated_at) ON meter.job TO %s', role);
	/* To lock a row takes the right to update a column of it. */
	EXECUTE format('GRANT UPDATE (refreshed_at) ON meter.attachment TO %s', role);
END
$$;
COMMENT ON FUNCTION meter.allow_upkeep(regrole) IS 'Grants a role what it takes to run upkeep, and no more: meter.refresh, refresh_attached, refresh_now and purge_events, and to see how far they are. It sees neither events nor sums, and cannot change any but by these. What is purged is gone for good: grant it to the job that does it.';
REVOKE ALL ON FUNCTION meter.allow_upkeep(regrole) FROM PUBLIC;
