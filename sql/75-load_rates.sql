/* Loading a price list: reading its rows, and the temporal upsert. */

CREATE TYPE meter.rate_file AS (
	provider text,
	model text,
	usage_type text,
	unit_price text,
	tier_start text,
	effective_from text,
	effective_to text,
	currency text,
	usage_units_per_priced_unit text,
	list_price text,
	list_price_per text,
	tod_start text,
	tod_end text,
	rule_ord text
);
COMMENT ON TYPE meter.rate_file IS 'The columns of a price list, all text, as data/genai-prices-*.csv has them. CREATE TABLE price_list (LIKE meter.rate_file, line bigint GENERATED ALWAYS AS IDENTITY (START WITH 2)) makes the staging table for load_rates; line 1 is the header. COPY the file into it with the list of these columns.';

CREATE TYPE meter.listed_rate AS (
	line bigint,
	item text,
	unit text,
	context_from numeric,
	daily_from time,
	daily_until time,
	price numeric,
	per numeric,
	listed daterange,
	provider text,
	model text,
	reason text
);
COMMENT ON TYPE meter.listed_rate IS 'A row of a price list as check_rates reads it. reason is NULL, or why load_rates refuses the row.';

CREATE FUNCTION meter.listed_date(written text) RETURNS date
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
	WHEN written ~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$' THEN
		CASE
			WHEN right(written, 2)::integer <= extract(day FROM make_date(left(written, 4)::integer, substr(written, 6, 2)::integer, 1) + interval '1 month -1 day')
			THEN make_date(left(written, 4)::integer, substr(written, 6, 2)::integer, right(written, 2)::integer)
		END
END;
COMMENT ON FUNCTION meter.listed_date(text) IS 'The date that a price list writes as 2026-09-23; NULL where it is none.';

CREATE FUNCTION meter.listed_time(written text) RETURNS time
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN CASE
	WHEN written ~ '^(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?|24:00(:00)?)Z?$'
	THEN rtrim(written, 'Z')::time
END;
COMMENT ON FUNCTION meter.listed_time(text) IS 'The time of day that a price list writes as 16:30:00Z; NULL where it is none. The zone is UTC and nothing else.';

CREATE FUNCTION meter.check_rates(staging regclass, source text DEFAULT 'genai-prices', card text DEFAULT 'cost', precedence integer DEFAULT 0) RETURNS SETOF meter.listed_rate
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
/* Joins on five columns at once look more selective to the planner than they are. */
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
	decimal_number CONSTANT text := '^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9][0-9]?)?$';
	largest CONSTANT numeric := 170141183460469231731687303.715884105727;
	card_row meter.card;
	missing text;
	repeated bigint;
	repeats bigint;
BEGIN
	IF staging IS NULL THEN
		RAISE EXCEPTION 'the staging table must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	SELECT * INTO card_row FROM meter.card WHERE card.card = check_rates.card;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'card "%" does not exist', card
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Insert it into meter.card first.';
	END IF;

	SELECT string_agg(needed, ', ' ORDER BY place) INTO missing
	FROM unnest('{line,provider,model,usage_type,tier_start,effective_from,effective_to,currency,list_price,list_price_per,tod_start,tod_end}'::text[])
		WITH ORDINALITY AS needed_column (needed, place)
	WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = staging AND attname = needed AND NOT attisdropped);
	IF missing IS NOT NULL THEN
		RAISE EXCEPTION 'staging table % lacks columns: %', staging, missing
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Make it by CREATE TABLE price_list (LIKE meter.rate_file, line bigint GENERATED ALWAYS AS IDENTITY (START WITH 2)).';
	END IF;

	EXECUTE format('SELECT line, count(*) FROM %s GROUP BY line HAVING count(*) > 1 OR line IS NULL ORDER BY line LIMIT 1', staging)
		INTO repeated, repeats;
	IF repeats > 0 THEN
		RAISE EXCEPTION 'column line of staging table % must number the rows', staging
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = CASE WHEN repeated IS NULL THEN 'It is null in a row.' ELSE format('Line %s is there %s times.', repeated, repeats) END,
				HINT = 'Make it line bigint GENERATED ALWAYS AS IDENTITY (START WITH 2).';
	END IF;

	RETURN QUERY EXECUTE format($query$
	WITH RECURSIVE written AS (
		SELECT
			line::bigint AS line,
			nullif(btrim(provider::text), '') AS provider,
			nullif(btrim(model::text), '') AS model,
			nullif(btrim(usage_type::text), '') AS usage_type,
			nullif(btrim(currency::text), '') AS currency,
			nullif(btrim(list_price::text), '') AS price,
			nullif(btrim(list_price_per::text), '') AS per,
			coalesce(nullif(btrim(tier_start::text), ''), '0') AS context_from,
			nullif(btrim(effective_from::text), '') AS effective_from,
			nullif(btrim(effective_to::text), '') AS effective_to,
			nullif(btrim(tod_start::text), '') AS daily_from,
			nullif(btrim(tod_end::text), '') AS daily_until
		FROM %s
	), parsed AS (
		SELECT
			line,
			provider,
			model,
			provider || '/' || model AS item,
			CASE usage_type
				WHEN 'audio_hours' THEN 'audio_seconds'
				WHEN 'input_audio_hours' THEN 'input_audio_seconds'
				ELSE usage_type
			END AS unit,
			CASE WHEN length(written.price) <= 100 AND written.price ~ $3 THEN written.price::numeric END AS price,
			CASE
				WHEN usage_type IN ('audio_hours', 'input_audio_hours') THEN 3600
				WHEN length(written.per) <= 100 AND written.per ~ $3 THEN written.per::numeric
			END AS per,
			CASE WHEN length(written.context_from) <= 100 AND written.context_from ~ $3 THEN written.context_from::numeric END AS context_from,
			meter.listed_date(written.effective_from) AS effective_from,
			meter.listed_date(written.effective_to) AS effective_to,
			meter.listed_time(written.daily_from) AS daily_from,
			meter.listed_time(written.daily_until) AS daily_until,
			written
		FROM written
	), checked AS (
		SELECT
			parsed.*,
			CASE
				WHEN item IS NULL THEN 'provider and model must not be empty'
				WHEN octet_length(item) > 1000 THEN format('provider and model have %%s bytes, and at most 999 are allowed', octet_length(item) - 1)
				WHEN unit IS NULL THEN 'usage_type must not be empty'
				WHEN unit COLLATE "C" !~ '^([a-z][a-z0-9_]{0,62}|[*])$' THEN format('usage_type %%s is not a legal unit name', quote_literal(unit))
				WHEN (written).currency IS DISTINCT FROM $4 THEN format('currency %%s is not the card''s, %%s', coalesce((written).currency, 'none'), coalesce($4, 'none'))
				WHEN price IS NULL THEN format('list_price %%s is not a decimal number', quote_nullable((written).price))
				WHEN per IS NULL THEN format('list_price_per %%s is not a decimal number', quote_nullable((written).per))
				WHEN context_from IS NULL THEN format('tier_start %%s is not a decimal number', quote_nullable((written).context_from))
				WHEN price < 0 THEN format('list_price %%s is negative', price)
				WHEN per <= 0 THEN format('list_price_per %%s is not positive', per)
				WHEN context_from < 0 THEN format('tier_start %%s is negative', context_from)
				WHEN scale(trim_scale(price)) > 12 THEN format('list_price %%s has %%s fractional digits, and at most 12 are kept exactly', (written).price, scale(trim_scale(price)))
				WHEN scale(trim_scale(per)) > 12 THEN format('list_price_per %%s has %%s fractional digits, and at most 12 are kept exactly', (written).per, scale(trim_scale(per)))
				WHEN scale(trim_scale(context_from)) > 12 THEN format('tier_start %%s has %%s fractional digits, and at most 12 are kept exactly', (written).context_from, scale(trim_scale(context_from)))
				WHEN greatest(price, per, context_from) > $5 THEN format('%%s is out of range', greatest(price, per, context_from))
				WHEN (written).effective_from IS NOT NULL AND effective_from IS NULL THEN format('effective_from %%s is not a date like 2026-09-23', quote_literal((written).effective_from))
				WHEN (written).effective_to IS NOT NULL AND effective_to IS NULL THEN format('effective_to %%s is not a date like 2026-09-23', quote_literal((written).effective_to))
				WHEN effective_to <= effective_from THEN format('effective_to %%s is not after effective_from %%s', (written).effective_to, (written).effective_from)
				WHEN (written).daily_from IS NOT NULL AND daily_from IS NULL THEN format('tod_start %%s is not a time of day in UTC like 16:30:00Z', quote_literal((written).daily_from))
				WHEN (written).daily_until IS NOT NULL AND daily_until IS NULL THEN format('tod_end %%s is not a time of day in UTC like 16:30:00Z', quote_literal((written).daily_until))
				WHEN (daily_from IS NULL) <> (daily_until IS NULL) THEN 'tod_start and tod_end go together'
				WHEN daily_from = daily_until OR daily_from = '00:00' AND daily_until = '24:00' THEN 'tod_start and tod_end are the same time of day'
			END AS reason
		FROM parsed
	), good AS (
		SELECT
			line, item, unit, context_from,
			meter.daily_window(daily_from, daily_until) AS daily_window,
			daterange(effective_from, effective_to) AS listed
		FROM checked
		WHERE reason IS NULL
	), taken AS (
		SELECT DISTINCT ON (good.line) good.line, rate.source
		FROM good
		JOIN meter.rate USING (item, unit, context_from)
		WHERE rate.card = $1
			AND rate.precedence = $6
			AND rate.variant = 'standard'
			AND (rate.source IS DISTINCT FROM $2 OR rate.listed IS NULL)
			AND meter.daily_window(rate.daily_from, rate.daily_until) && good.daily_window
			AND rate.valid && tstzrange(timezone('UTC', lower(good.listed)::timestamp), timezone('UTC', upper(good.listed)::timestamp))
		ORDER BY good.line, rate.source
	), free AS (
		SELECT good.*
		FROM good
		LEFT JOIN taken USING (line)
		WHERE taken.line IS NULL
	), conflict AS (
		SELECT later.line, array_agg(earlier.line ORDER BY earlier.line) AS earlier_lines, row_number() OVER (ORDER BY later.line) AS place
		FROM free AS later
		JOIN free AS earlier USING (item, unit, context_from)
		WHERE earlier.line < later.line
			AND earlier.daily_window && later.daily_window
			AND earlier.listed && later.listed
		GROUP BY later.line
	), decided AS (
		/* Line by line: a row is refused for an earlier one that is not itself refused. */
		SELECT 0::bigint AS place, NULL::bigint AS line, NULL::bigint AS earlier_line, '{}'::bigint[] AS losers
		UNION ALL
		SELECT conflict.place, conflict.line, winner.line, CASE WHEN winner.line IS NULL THEN losers ELSE losers || conflict.line END
		FROM decided
		JOIN conflict ON conflict.place = decided.place + 1
		CROSS JOIN LATERAL (
			SELECT min(earlier) AS line
			FROM unnest(earlier_lines) AS earlier
			WHERE earlier <> ALL (losers)) AS winner
	)
	SELECT
		line, item, unit, context_from, daily_from, daily_until, price, per,
		CASE
			WHEN effective_to <= effective_from
				OR (written).effective_from IS NOT NULL AND effective_from IS NULL
				OR (written).effective_to IS NOT NULL AND effective_to IS NULL
			THEN NULL
			ELSE daterange(effective_from, effective_to)
		END,
		provider,
		model,
		CASE
			WHEN reason IS NOT NULL THEN reason
			WHEN decided.earlier_line IS NOT NULL THEN format('overlaps line %%s', decided.earlier_line)
			WHEN taken.line IS NOT NULL THEN format('overlaps a rate of %%s with precedence %%s', coalesce(taken.source, 'your own'), $6)
		END
	FROM checked
	LEFT JOIN decided USING (line)
	LEFT JOIN taken USING (line)
	ORDER BY line
	$query$, staging)
	USING card, source, decimal_number, card_row.currency, largest, precedence;
END
$$;
COMMENT ON FUNCTION meter.check_rates(regclass, text, text, integer) IS 'What load_rates would read from the staging table, a row a line: each rate as it would go in, or the reason it is refused. Changes nothing. staging has the columns of meter.rate_file, of any type, and a column line with the number of each line. Item is provider/model, unit is usage_type (audio_hours and input_audio_hours are the seconds'' units per 3600), price is list_price per list_price_per, dates are UTC.';

CREATE FUNCTION meter.load_rates(staging regclass, source text DEFAULT 'genai-prices', as_of timestamptz DEFAULT now(), card text DEFAULT 'cost', precedence integer DEFAULT 0,
	OUT outcome text, OUT rates bigint, OUT line bigint, OUT item text, OUT unit text, OUT reason text) RETURNS SETOF record
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	/* The next UTC midnight: what has been in force stays until then. */
	cut CONSTANT timestamptz := timezone('UTC', date_trunc('day', timezone('UTC', as_of)) + interval '1 day');
	last_load timestamptz;
	file meter.listed_rate[];
	wanted meter.rate[];
	counts record;
	/* Of what was used on purged days, nothing before the horizon can change. */
	horizon timestamptz;
	purged text[];
BEGIN
	IF as_of IS NULL OR NOT isfinite(as_of) OR source IS NULL OR source = '' OR precedence IS NULL THEN
		RAISE EXCEPTION 'load_rates needs a source, a finite as_of and a precedence'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;

	/* Readers go on; a second load and other writers of rates wait. */
	LOCK TABLE meter.rate IN SHARE ROW EXCLUSIVE MODE;

	SELECT max(rate.loaded_at) INTO last_load
	FROM meter.rate
	WHERE rate.card = load_rates.card
		AND rate.source = load_rates.source
		AND rate.precedence = load_rates.precedence;
	IF last_load >= cut THEN
		RAISE EXCEPTION 'a load as of % would come before the last one of %, as of %', as_of, source, last_load
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Load price lists in the order of their dates.';
	END IF;

	file := ARRAY(SELECT read FROM meter.check_rates(staging, source, card, precedence) AS read);
	IF NOT EXISTS (SELECT FROM unnest(file) AS read WHERE read.reason IS NULL) THEN
		RAISE EXCEPTION 'staging table % has no row that can be loaded', staging
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = format('It has %s rows. Loading nothing would close every rate of %s.', cardinality(file), source),
				HINT = 'meter.check_rates says why each row is refused.';
	END IF;

	IF has_table_privilege('meter.purged_use', 'SELECT') THEN
		SELECT max(used.horizon), array_agg(used.item) INTO horizon, purged
		FROM meter.purged_use AS used
		WHERE used.card = load_rates.card;
	END IF;

	/*
	 * The rows as they shall be after the load. A row of the file and the stored
	 * rows of the same rate (item, unit, context_from, daily window and first
	 * date) belong together; rows of the same series share all but the date.
	 */
	WITH listed AS (
		SELECT
			read.*,
			meter.daily_window(read.daily_from, read.daily_until) AS daily_window,
			coalesce(lower(read.listed), '-infinity') AS first_date,
			tstzrange(timezone('UTC', lower(read.listed)::timestamp), timezone('UTC', upper(read.listed)::timestamp)) AS span,
			CASE WHEN read.item = ANY (purged) THEN horizon END AS open_from
		FROM unnest(file) AS read
		WHERE read.reason IS NULL
	), refused AS (
		SELECT read.*
		FROM unnest(file) AS read
		WHERE read.reason IS NOT NULL
	), stored AS (
		SELECT
			rate.rate_id, rate.item, rate.unit, rate.context_from, rate.daily_from, rate.daily_until, rate.price, rate.per, rate.valid, rate.listed,
			meter.daily_window(rate.daily_from, rate.daily_until) AS daily_window,
			coalesce(lower(rate.listed), '-infinity') AS first_date,
			/* Its end is the one that the list gave, not one that a load made. */
			upper(rate.valid) IS NOT DISTINCT FROM timezone('UTC', upper(rate.listed)::timestamp) AS ends_as_listed,
			CASE WHEN rate.item = ANY (purged) THEN horizon END AS open_from,
			row_number() OVER same_rate = 1 AS is_last
		FROM meter.rate
		WHERE rate.card = load_rates.card
			AND rate.source = load_rates.source
			AND rate.precedence = load_rates.precedence
			AND rate.variant = 'standard'
			AND rate.listed IS NOT NULL
		WINDOW same_rate AS (
			PARTITION BY rate.item, rate.unit, rate.context_from, meter.daily_window(rate.daily_from, rate.daily_until), lower(rate.listed)
			ORDER BY lower(rate.valid) DESC NULLS LAST)
	), refusal AS (
		SELECT DISTINCT stored.rate_id
		FROM stored
		JOIN refused USING (item)
		WHERE (refused.unit = stored.unit) IS NOT FALSE
			AND (refused.context_from = stored.context_from) IS NOT FALSE
			AND (refused.listed IS NULL OR lower(refused.listed) IS NOT DISTINCT FROM lower(stored.listed))
	), successor AS (
		SELECT stored.rate_id, min(lower(listed.span)) AS starts
		FROM stored
		JOIN listed USING (item, unit, context_from)
		WHERE listed.daily_window && stored.daily_window
			AND (lower(listed.span) > lower(stored.valid) OR lower_inf(stored.valid))
		GROUP BY stored.rate_id
	), kept AS (
		/* The past: of a rate in the file, up to the date the file ends it at; of a
		 * refused line's all, as the line says nothing; of a vanished one up to the
		 * cut, or to its successor where the file dates that one earlier. */
		SELECT
			stored.*,
			listed.line,
			CASE
				WHEN listed.line IS NOT NULL THEN stored.valid * tstzrange(NULL, greatest(stored.open_from, least(cut, upper(listed.span))))
				WHEN refusal.rate_id IS NOT NULL THEN stored.valid
				ELSE stored.valid * tstzrange(NULL, greatest(stored.open_from, least(cut, successor.starts)))
			END AS past
		FROM stored
		LEFT JOIN listed USING (item, unit, context_from, daily_window, first_date)
		LEFT JOIN refusal USING (rate_id)
		LEFT JOIN successor USING (rate_id)
	), covered AS (
		SELECT listed.line, range_agg(kept.past) AS pasts
		FROM listed
		JOIN kept USING (item, unit, context_from)
		WHERE kept.daily_window && listed.daily_window
			AND NOT isempty(kept.past)
		GROUP BY listed.line
	), opened AS (
		/* What the file adds to it: all of a new rate; of a known one, the time from
		 * the cut on, or from where the list once ended and no longer does. */
		SELECT listed.*, piece
		FROM listed
		LEFT JOIN stored ON stored.is_last
			AND (stored.item, stored.unit, stored.context_from, stored.daily_window, stored.first_date) = (listed.item, listed.unit, listed.context_from, listed.daily_window, listed.first_date)
		LEFT JOIN covered ON covered.line = listed.line
		CROSS JOIN LATERAL unnest(
			tstzmultirange(
				CASE
					WHEN stored.rate_id IS NULL THEN listed.span
					WHEN stored.ends_as_listed THEN listed.span * tstzrange(least(cut, upper(stored.valid)), NULL)
					ELSE listed.span * tstzrange(cut, NULL)
				END * tstzrange(listed.open_from, NULL))
			- coalesce(covered.pasts, '{}')) AS piece
	), placed AS (
		/* A piece goes on with the row it touches where the price is the same, takes
		 * the place of one that is still to come, or is a row of its own. */
		SELECT
			opened.*,
			coalesce(extended.rate_id, pending.rate_id) AS rate_id,
			extended.past
		FROM opened
		LEFT JOIN kept AS extended ON extended.line = opened.line
			AND upper(extended.past) = lower(opened.piece)
			AND extended.price = opened.price
			AND extended.per = opened.per
		LEFT JOIN kept AS pending ON pending.line = opened.line
			AND isempty(pending.past)
			AND lower(pending.valid) = lower(opened.piece)
	), result AS (
		SELECT
			rate_id, item, unit, price, per,
			CASE WHEN past IS NULL THEN piece ELSE past + piece END AS valid,
			context_from, daily_from, daily_until, listed
		FROM placed
		UNION ALL
		SELECT
			kept.rate_id, kept.item, kept.unit, kept.price, kept.per, kept.past, kept.context_from, kept.daily_from, kept.daily_until,
			CASE WHEN upper(kept.past) < upper(kept.valid) OR upper_inf(kept.valid) AND NOT upper_inf(kept.past) THEN coalesce(ended.listed, kept.listed) ELSE kept.listed END
		FROM kept
		LEFT JOIN listed AS ended ON ended.line = kept.line
			AND upper(ended.span) = upper(kept.past)
		WHERE NOT isempty(kept.past)
			AND NOT EXISTS (SELECT FROM placed WHERE placed.rate_id = kept.rate_id)
	)
	SELECT array_agg(
		ROW(rate_id, load_rates.card, item, unit, price, per, valid, 'standard', context_from, daily_from, daily_until, load_rates.precedence, load_rates.source, listed, as_of, clock_timestamp())::meter.rate)
	INTO wanted
	FROM result;

	WITH listed AS (
		SELECT read.item, read.unit, read.context_from, meter.daily_window(read.daily_from, read.daily_until) AS daily_window, coalesce(lower(read.listed), '-infinity') AS first_date
		FROM unnest(file) AS read
		WHERE read.reason IS NULL
	), stored AS (
		SELECT rate.*
		FROM meter.rate
		WHERE rate.card = load_rates.card
			AND rate.source = load_rates.source
			AND rate.precedence = load_rates.precedence
			AND rate.variant = 'standard'
			AND rate.listed IS NOT NULL
	), compared AS (
		SELECT
			coalesce(future.item, stored.item) AS item,
			coalesce(future.unit, stored.unit) AS unit,
			coalesce(future.context_from, stored.context_from) AS context_from,
			meter.daily_window(coalesce(future.daily_from, stored.daily_from), coalesce(future.daily_until, stored.daily_until)) AS daily_window,
			coalesce(lower(coalesce(future.listed, stored.listed)), '-infinity') AS first_date,
			bool_or(upper_inf(stored.valid) OR upper(stored.valid) >= cut OR upper(stored.valid) = timezone('UTC', upper(stored.listed)::timestamp)) AS known,
			bool_or((future.valid, future.price, future.per, future.listed) IS DISTINCT FROM (stored.valid, stored.price, stored.per, stored.listed)) AS touched
		FROM unnest(wanted) AS future
		FULL JOIN stored ON stored.rate_id = future.rate_id
		GROUP BY 1, 2, 3, 4, 5
	)
	SELECT
		count(*) FILTER (WHERE listed.item IS NOT NULL AND touched AND known IS NOT TRUE) AS added,
		count(*) FILTER (WHERE listed.item IS NOT NULL AND touched AND known) AS changed,
		count(*) FILTER (WHERE listed.item IS NULL AND touched) AS closed,
		(SELECT count(*) FROM listed) AS listed
	INTO counts
	FROM compared
	LEFT JOIN listed USING (item, unit, context_from, daily_window, first_date);

	/* What makes room goes first: no two rates may overlap at any moment. */
	DELETE FROM meter.rate
	WHERE rate.card = load_rates.card
		AND rate.source = load_rates.source
		AND rate.precedence = load_rates.precedence
		AND rate.variant = 'standard'
		AND rate.listed IS NOT NULL
		AND NOT EXISTS (SELECT FROM unnest(wanted) AS future WHERE future.rate_id = rate.rate_id);

	UPDATE meter.rate
	SET price = future.price, per = future.per, valid = future.valid, listed = future.listed, loaded_at = future.loaded_at
	FROM unnest(wanted) AS future
	WHERE future.rate_id = rate.rate_id
		AND future.valid <@ rate.valid
		AND (future.valid, future.price, future.per, future.listed) IS DISTINCT FROM (rate.valid, rate.price, rate.per, rate.listed);

	UPDATE meter.rate
	SET price = future.price, per = future.per, valid = future.valid, listed = future.listed, loaded_at = future.loaded_at
	FROM unnest(wanted) AS future
	WHERE future.rate_id = rate.rate_id
		AND (future.valid, future.price, future.per, future.listed) IS DISTINCT FROM (rate.valid, rate.price, rate.per, rate.listed);

	INSERT INTO meter.rate (card, item, unit, price, per, valid, context_from, daily_from, daily_until, precedence, source, listed, loaded_at)
	SELECT future.card, future.item, future.unit, future.price, future.per, future.valid, future.context_from, future.daily_from, future.daily_until, future.precedence, future.source, future.listed, future.loaded_at
	FROM unnest(wanted) AS future
	WHERE future.rate_id IS NULL;

	INSERT INTO meter.item (item, layer, provider, name)
	SELECT DISTINCT ON (read.item) read.item, 'inference', read.provider, read.model
	FROM unnest(file) AS read
	WHERE read.reason IS NULL
	ON CONFLICT (item) DO NOTHING;

	/* A file cut short, or another list under this one's name: from that midnight on, most usage would be unpriced. */
	IF counts.closed >= 100 AND counts.closed > counts.listed THEN
		RAISE WARNING 'the list has % rates, and % others of % are closed at %', counts.listed, counts.closed, source, cut
			USING HINT = 'Loading the former list once more today opens them again. Another list, as one of your own, has a source and a precedence of its own.';
	END IF;

	RETURN QUERY
	SELECT tally.outcome, tally.rates, NULL::bigint, NULL::text, NULL::text, NULL::text
	FROM (VALUES
		('unchanged', counts.listed - counts.added - counts.changed),
		('added', counts.added),
		('changed', counts.changed),
		('closed', counts.closed)) AS tally (outcome, rates);
	RETURN QUERY
	SELECT 'refused', 1::bigint, read.line, read.item, read.unit, read.reason
	FROM unnest(file) AS read
	WHERE read.reason IS NOT NULL
	ORDER BY read.line;
END
$$;
COMMENT ON FUNCTION meter.load_rates(regclass, text, timestamptz, text, integer) IS 'Loads a price list, which a staging table holds with the columns of meter.rate_file and a number line, into meter.rate. A rate is the same one as before by item, unit, context_from, daily window, precedence and first date. An unchanged one is left alone. A changed price holds from the next UTC midnight after as_of, and the old one until then; of a rate that has ended, the price stays as it was loaded. One that the list no longer has is closed at that midnight, or where a successor with an earlier date in the list starts; one that comes back is opened anew from that midnight. A list''s own dates are taken as they are, past ones too, but for what was used on purged days: of that a rate begins and ends at the horizon at the earliest. Loading the same list again changes nothing, and another load on the same day replaces what was to come. Where a hundred or more are closed, and more than the list has, a warning says so: the file may be cut short, or another list. Only rates of the same card, source and precedence are touched; a new item gets a row in meter.item, layer inference. Returns four rows with the outcomes unchanged, added, changed and closed and the number of rates, then a row with outcome refused for each line that cannot go in, with its line, item, unit and reason; a refused line leaves the stored rate that it names as it is. Errors: an unknown card, a missing column, no row to load, an as_of before the last load''s day. Other writers of meter.rate wait for its transaction to end.';

REVOKE ALL ON FUNCTION meter.check_rates(regclass, text, text, integer), meter.load_rates(regclass, text, timestamptz, text, integer) FROM PUBLIC;
