/* Whose usage it is, and what for: customers, the calendar of each, and actions. */

CREATE TABLE meter.customer (
	customer_id text PRIMARY KEY
		CONSTRAINT customer_id_has_1_to_255_bytes CHECK (octet_length(customer_id) BETWEEN 1 AND 255),
	name text,
	currency text
		CONSTRAINT customer_currency_is_iso_4217 CHECK (currency COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(currency) >= 0),
	segment text
		CONSTRAINT customer_segment_is_not_empty CHECK (segment <> '')
);
COMMENT ON TABLE meter.customer IS 'The customers that something is known about. Usage of others is stored and rated all the same: meter.unknown_name lists them.';
COMMENT ON COLUMN meter.customer.customer_id IS 'The name that events, sales and support know the customer by.';
COMMENT ON COLUMN meter.customer.name IS 'What people call it.';
COMMENT ON COLUMN meter.customer.currency IS 'ISO 4217 code of the currency it is billed in. NULL: that of meter.setting.';
COMMENT ON COLUMN meter.customer.segment IS 'What reports group customers by, such as enterprise.';

CREATE TABLE meter.customer_zone (
	customer_id text NOT NULL,
	since date NOT NULL DEFAULT '-infinity'
		CONSTRAINT customer_zone_since_is_after_1970 CHECK (since = '-infinity' OR since >= '1970-01-01' AND since < '10000-01-01'),
	timezone text NOT NULL
		CONSTRAINT customer_zone_timezone_is_known CHECK (meter.period_start(timestamptz '2000-01-01 00:00:00+00', date '2000-01-01', '1 day', timezone) IS NOT NULL),
	PRIMARY KEY (customer_id, since)
);
COMMENT ON TABLE meter.customer_zone IS 'The time zone that a customer''s days are in, from a date on. Before its first row, and for a customer without one, it is that of meter.setting. A change marks the customer''s days that it touches: views read them from the events until the next refresh.';
COMMENT ON COLUMN meter.customer_zone.customer_id IS 'The customer.';
COMMENT ON COLUMN meter.customer_zone.since IS 'The first date that begins in this zone. Default -infinity: always.';
COMMENT ON COLUMN meter.customer_zone.timezone IS 'A name of the tz database, such as Europe/Berlin.';

CREATE TABLE meter.action (
	action text PRIMARY KEY
		CONSTRAINT action_has_1_to_255_bytes CHECK (octet_length(action) BETWEEN 1 AND 255),
	credit_type text NOT NULL DEFAULT 'credit'
		CONSTRAINT action_credit_type_is_not_empty CHECK (credit_type <> ''),
	pool text
		CONSTRAINT action_pool_is_not_empty CHECK (pool <> ''),
	description text,
	added_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE meter.action IS 'What a customer can do, such as summarise, and which credits it uses up. What it costs in credits are the rates of card credit, whose item is the action. An action needs no row here to be counted: meter.unknown_name lists the ones that have none.';
COMMENT ON COLUMN meter.action.action IS 'The name that events and the rates of card credit know it by.';
COMMENT ON COLUMN meter.action.credit_type IS 'The type of credits it uses up. Default credit.';
COMMENT ON COLUMN meter.action.pool IS 'The pool whose grants it uses up first. NULL: the unrestricted ones.';
COMMENT ON COLUMN meter.action.description IS 'What it is.';
COMMENT ON COLUMN meter.action.added_at IS 'When it was added. Nobody writes it.';

SELECT pg_extension_config_dump('meter.customer', '');
SELECT pg_extension_config_dump('meter.customer_zone', '');
SELECT pg_extension_config_dump('meter.action', '');

CREATE FUNCTION meter.usage_date(at timestamptz, timezone text) RETURNS date
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'meter_usage_date';
COMMENT ON FUNCTION meter.usage_date(timestamptz, text) IS 'The local date of an instant in a time zone of the tz database. An unknown zone is an error.';

/*
 * A date begins at its first instant in the zone that is in force from it on, and
 * ends where the next one begins. So every instant has one date, and dates never
 * run backwards, whichever way a customer moves: the day before the move has more
 * or fewer hours.
 */
CREATE VIEW meter.customer_zone_span AS
WITH zone AS (
	SELECT customer_id, since, timezone
	FROM meter.customer_zone
	UNION ALL
	SELECT customer_id, '-infinity', (SELECT timezone FROM meter.setting)
	FROM meter.customer_zone
	GROUP BY customer_id
	HAVING min(since) > '-infinity'
), begun AS (
	SELECT
		customer_id, since, timezone,
		max(CASE WHEN since = '-infinity' THEN '-infinity' ELSE meter.period_boundary(0, since, interval '1 day', timezone) END)
			OVER (PARTITION BY customer_id ORDER BY since) AS starts
	FROM zone
)
SELECT
	customer_id,
	timezone,
	since AS first_date,
	starts,
	coalesce(lead(starts) OVER following, 'infinity') AS ends,
	coalesce(lead(since) OVER following - 1, 'infinity') AS last_date
FROM begun
WINDOW following AS (PARTITION BY customer_id ORDER BY since);
COMMENT ON VIEW meter.customer_zone_span IS 'From when until when (exclusive) a customer''s days are in which zone, for customers that have a row in meter.customer_zone. A date begins at its first instant in the zone in force from it on; an instant before ends is on last_date at the latest, and first_date is the first that begins in the zone.';

CREATE FUNCTION meter.date_start(day date, timezone text) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN meter.period_boundary((day - date '2000-01-01')::bigint, date '2000-01-01', interval '1 day', timezone);
COMMENT ON FUNCTION meter.date_start(date, text) IS 'The first instant of a date in a time zone of the tz database. An unknown zone is an error.';

/* In PL/pgSQL for its plan, which is kept: planning it takes longer than running it. */
CREATE FUNCTION meter.customer_date(customer_id text, at timestamptz DEFAULT now()) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN coalesce(
		(
			SELECT least(meter.usage_date(at, span.timezone), span.last_date)
			FROM meter.customer_zone_span AS span
			WHERE span.customer_id = customer_date.customer_id
				AND at >= span.starts
				AND at < span.ends
		),
		meter.usage_date(at, coalesce((SELECT setting.timezone FROM meter.setting), 'UTC')));
END
$$;
COMMENT ON FUNCTION meter.customer_date(text, timestamptz) IS 'The date of an instant in a customer''s calendar; without an instant, the one of now.';

CREATE FUNCTION meter.customer_date_start(customer_id text, day date) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(
	(
		SELECT least(greatest(meter.date_start(day, span.timezone), span.starts), span.ends)
		FROM meter.customer_zone_span AS span
		WHERE span.customer_id = customer_date_start.customer_id
			AND day BETWEEN span.first_date AND span.last_date
	),
	meter.date_start(day, coalesce((SELECT timezone FROM meter.setting), 'UTC')));
COMMENT ON FUNCTION meter.customer_date_start(text, date) IS 'The first instant of a date in a customer''s calendar.';
