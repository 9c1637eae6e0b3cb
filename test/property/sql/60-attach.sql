-- A table that is attached, against plain SQL: whatever comes, changes and goes in its window, whatever is
-- rolled up when, and however a customer moves, every good row is reported exactly once, with its cost.

CREATE TABLE log (
	id bigint PRIMARY KEY,
	tenant text,
	at timestamp,
	tokens numeric,
	model text,
	state text
);
CREATE INDEX ON log (at);
INSERT INTO meter.rate (item, unit, price, per) VALUES ('log1', 'input_tokens', 3, 7), ('log2', 'input_tokens', 0.25, 1), ('log2', 'requests', 0.001, 1);
DO $$
BEGIN
	PERFORM meter.attach('prop.log', 'tenant', 'at', 'model', quantities => '{"input_tokens": "tokens", "requests": "1"}', outcome => 'state', timezone => 'America/St_Johns', name => 'log');
END
$$;

-- By plain SQL: per customer and item, as a move of the customer changes the dates of what is not rolled up.
CREATE VIEW log_expected AS
SELECT tenant, model, state, count(*) AS events, sum(tokens) AS tokens,
	sum(CASE model WHEN 'log1' THEN settle(tokens * 3, 7) WHEN 'log2' THEN settle(tokens * 0.25, 1) + 0.001 ELSE 0 END) AS cost,
	count(*) FILTER (WHERE model NOT IN ('log1', 'log2')) AS unpriced
FROM log
WHERE octet_length(tenant) BETWEEN 1 AND 255
	AND at IS NOT NULL
	AND isfinite(at)
	AND at > '1970-01-02'
	AND tokens BETWEEN 0 AND 100000000000000000000
	AND scale(trim_scale(tokens)) <= 12
	AND state IS DISTINCT FROM 'odd'
GROUP BY tenant, model, state;
CREATE VIEW log_shown AS
SELECT customer_id AS tenant, item AS model, outcome AS state, sum(events) AS events, sum(usage) -> 'input_tokens' AS tokens, sum(cost) AS cost, sum(unpriced_cost) AS unpriced
FROM meter.usage_by_day
GROUP BY customer_id, item, outcome;
CREATE TABLE log_failure (step integer, detail text);

CREATE PROCEDURE log_step(i integer)
LANGUAGE plpgsql AS $$
DECLARE
	/* Days before this one are rolled up, and stay as they are. */
	rolled CONSTANT date := coalesce((SELECT rolled_up_until FROM meter.attachment WHERE name = 'log'), '2024-01-01');
	first_local CONSTANT timestamp := timezone('America/St_Johns', timezone('UTC', rolled::timestamp));
	wrong text;
BEGIN
	INSERT INTO log
	SELECT
		i * 1000 + n,
		(ARRAY['a', 'b', 'c', 'd', '', NULL, repeat('x', 256)])[1 + CASE WHEN pick(i * 1000 + n, 1, 10) = 0 THEN pick(i * 1000 + n, 2, 7) ELSE pick(i * 1000 + n, 3, 4) END],
		CASE WHEN pick(i * 1000 + n, 4, 40) = 0 THEN (ARRAY[NULL, 'infinity', '1960-01-01']::timestamp[])[1 + pick(i * 1000 + n, 5, 3)] ELSE first_local + pick(i * 1000 + n, 6, 400000) * interval '1 second' END,
		CASE WHEN pick(i * 1000 + n, 7, 20) = 0 THEN (ARRAY[-1, 'NaN', 'Infinity', 0.0000000000001, 100000000000000000001]::numeric[])[1 + pick(i * 1000 + n, 8, 5)] ELSE decimal_of(i * 1000 + n, 9, 6) END,
		'log' || 1 + pick(i * 1000 + n, 10, 3),
		(ARRAY[NULL, 'success', 'failure', 'odd'])[1 + CASE WHEN pick(i * 1000 + n, 11, 20) = 0 THEN 3 ELSE pick(i * 1000 + n, 12, 3) END]
	FROM generate_series(1, 1 + pick(i, 20, 40)) AS n;
	UPDATE log SET tokens = tokens + 1, model = 'log' || 1 + pick(id, 21 + i, 3) WHERE at >= first_local AND pick(id, 22 + i, 10) = 0;
	DELETE FROM log WHERE at >= first_local AND pick(id, 23 + i, 30) = 0;
	CASE pick(i, 24, 8)
	WHEN 0, 1, 2 THEN
		PERFORM meter.roll_up_attached('log', rolled + pick(i, 25, 4));
	WHEN 3 THEN
		PERFORM meter.unroll_attached('log', rolled - pick(i, 26, 6));
	WHEN 4 THEN
		INSERT INTO meter.customer_zone VALUES ((ARRAY['a', 'b'])[1 + pick(i, 27, 2)], '-infinity', (ARRAY['Asia/Tokyo', 'America/Los_Angeles', 'Pacific/Kiritimati', 'UTC'])[1 + pick(i, 28, 4)])
		ON CONFLICT (customer_id, since) DO UPDATE SET timezone = excluded.timezone;
	WHEN 5 THEN
		PERFORM meter.detach('log', keep_days => true);
		PERFORM meter.attach('prop.log', 'tenant', 'at', 'model', quantities => '{"input_tokens": "tokens", "requests": "1"}', outcome => 'state', timezone => 'America/St_Johns', name => 'log');
	ELSE
		NULL;
	END CASE;

	SELECT string_agg(difference::text, '; ') INTO wrong
	FROM (
		(SELECT 'shown', * FROM log_shown EXCEPT SELECT 'shown', * FROM log_expected)
		UNION ALL
		(SELECT 'expected', * FROM log_expected EXCEPT SELECT 'expected', * FROM log_shown)
	) AS difference;
	IF wrong IS NOT NULL THEN
		INSERT INTO log_failure VALUES (i, wrong);
	END IF;
	IF (SELECT count(*) FROM log) <> (SELECT coalesce(sum(events), 0) FROM log_shown) + (SELECT count(*) FROM meter.attached_problem WHERE row IS NOT NULL) THEN
		INSERT INTO log_failure VALUES (i, 'what is not reported is not listed');
	END IF;
END
$$;

DO $$
BEGIN
	FOR i IN 1 .. 150 LOOP
		CALL log_step(i);
		COMMIT;
	END LOOP;
END
$$;
CALL must_be_empty('an attached table is reported row by row', 150, 'SELECT * FROM prop.log_failure');
CALL must_be_empty('its roll-up is one of the table', 150,
	'SELECT attachment, events FROM (SELECT attachment, sum(events) AS events FROM meter.attached_daily GROUP BY attachment) AS daily WHERE events <> (SELECT count(*) FROM meter.attached_event WHERE NOT live)');
