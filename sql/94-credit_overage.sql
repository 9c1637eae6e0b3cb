/* What of the credits that usage took no lot covers, in periods: plans charge it. */

CREATE FUNCTION meter.credit_overage(customers text[], credit_types text[], periods daterange[])
	RETURNS TABLE (customer_id text, credit_type text, period daterange, pool text, consumed numeric, overage numeric, unpriced_events bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
	/* Nearly always nobody asks. */
	IF coalesce(cardinality(customers), 0) = 0 THEN
		RETURN;
	END IF;
	RETURN QUERY
	WITH asked AS (
		SELECT DISTINCT
			asked.customer_id, asked.credit_type, asked.period,
			meter.customer_date_start(asked.customer_id, lower(asked.period)) AS starts,
			meter.customer_date_start(asked.customer_id, upper(asked.period)) AS ends
		FROM unnest(customers, credit_types, credit_overage.periods) AS asked (customer_id, credit_type, period)
	)
	SELECT
		asked.customer_id, asked.credit_type, asked.period,
		span.pool, trim_scale(sum(span.consumed)), CASE WHEN account.granted IS NOT NULL THEN trim_scale(sum(span.overage)) END,
		max(account.unpriced_events)
	FROM asked
	JOIN meter.credit_account AS account
		ON account.customer_id = asked.customer_id
		AND account.credit_type = asked.credit_type
	LEFT JOIN LATERAL meter.spans((
		SELECT meter.burn((SELECT meter.with_cuts(account.granted, ARRAY[asked.starts, asked.ends])), taken.starts, taken.credits, taken.pool)
		FROM unnest(account.starts, account.credits, account.pools) AS taken (starts, credits, pool)
	)) AS span
		ON span.starts >= asked.starts
		AND span.ends <= asked.ends
	WHERE account.customer_id = ANY (customers)
	GROUP BY asked.customer_id, asked.credit_type, asked.period, span.pool, account.granted IS NOT NULL;
END
$$;
COMMENT ON FUNCTION meter.credit_overage(text[], text[], daterange[]) IS 'What customers took of types of credits in periods, by pool, and what of it no lot covers: for the n-th customer, type and period. A row without a pool is of what names none, or has no overage NULL where a balance is not known; unpriced_events is the number of events that have an action without a rate. Periods with nothing taken have a row without figures, or none.';
REVOKE ALL ON FUNCTION meter.credit_overage(text[], text[], daterange[]) FROM PUBLIC;
