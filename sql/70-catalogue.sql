/* The catalogue: what things cost, as rows. The kernel takes the same facts as values of type rate_card. */

CREATE TABLE meter.setting (
	currency text NOT NULL DEFAULT 'USD'
		CONSTRAINT setting_currency_is_iso_4217 CHECK (currency COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(currency) >= 0),
	timezone text NOT NULL DEFAULT 'UTC'
		CONSTRAINT setting_timezone_is_known CHECK (meter.period_start(timestamptz '2000-01-01 00:00:00+00', date '2000-01-01', '1 day', timezone) IS NOT NULL),
	grace interval NOT NULL DEFAULT '1 day'
		CONSTRAINT setting_grace_is_not_negative CHECK (grace >= '0'),
	rounding text NOT NULL DEFAULT 'round'
		CONSTRAINT setting_rounding_is_a_mode CHECK (rounding IN ('round', 'ceil', 'floor')),
	issuer text
		CONSTRAINT setting_issuer_is_not_empty CHECK (issuer <> ''),
	builtin boolean NOT NULL DEFAULT false,
	only_row boolean NOT NULL DEFAULT true
		CONSTRAINT setting_has_one_row PRIMARY KEY
		CONSTRAINT setting_only_row_is_true CHECK (only_row)
);
COMMENT ON TABLE meter.setting IS 'The defaults of this database, in one row. Change them by UPDATE. No function of the kernel reads it: what a value means never depends on a setting.';
COMMENT ON COLUMN meter.setting.currency IS 'ISO 4217 code of the currency that reports are in. Default USD.';
COMMENT ON COLUMN meter.setting.timezone IS 'Time zone, by its tzdata name, of a customer that has none of its own. Default UTC.';
COMMENT ON COLUMN meter.setting.grace IS 'How long a billing period stays open for late events after its end. Default 1 day.';
COMMENT ON COLUMN meter.setting.rounding IS 'round, ceil or floor: how a billed quantity is rounded where a metric rounds it and does not say how. Default round, which is half away from zero.';
COMMENT ON COLUMN meter.setting.issuer IS 'Who issues the invoices, as finance tools are to show it. NULL: the database''s name.';
COMMENT ON COLUMN meter.setting.builtin IS 'True while the row is as the extension made it; a change makes it false. Only then is it dumped.';
COMMENT ON COLUMN meter.setting.only_row IS 'Always true: the table has one row.';

CREATE FUNCTION meter.is_name(name text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF name COLLATE "C" ~ '^[a-z][a-z0-9_]{0,62}$' THEN
		RETURN true;
	END IF;
	RAISE EXCEPTION '"%" is not a name', name
		USING ERRCODE = 'invalid_parameter_value', HINT = 'Write a lower-case letter and up to 62 more lower-case letters, digits and underscores, such as pro_2026.';
END
$$;
COMMENT ON FUNCTION meter.is_name(text) IS 'True where a text can name a layer, card, metric, plan, plan item or destination: a lower-case letter, then up to 62 lower-case letters, digits and underscores. Any other is an error that says so.';

CREATE TABLE meter.layer (
	layer text PRIMARY KEY
		CONSTRAINT layer_is_a_name CHECK (meter.is_name(layer)),
	description text,
	builtin boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE meter.layer IS 'The layers that cost is reported by, such as inference or storage. Six are there from the start; add your own.';
COMMENT ON COLUMN meter.layer.layer IS 'Name: a lower-case letter, then up to 62 lower-case letters, digits and underscores.';
COMMENT ON COLUMN meter.layer.description IS 'What belongs to it.';
COMMENT ON COLUMN meter.layer.builtin IS 'True while the row is as the extension made it; a change makes it false. Only then is it dumped.';

CREATE TABLE meter.item (
	item text PRIMARY KEY
		CONSTRAINT item_is_not_empty CHECK (item <> ''),
	layer text NOT NULL DEFAULT 'inference',
	provider text,
	name text,
	description text
);
COMMENT ON TABLE meter.item IS 'What is consumed, such as openai/gpt-4o or pinecone/query, and the layer its cost belongs to. An item needs no row here to have a rate: meter.unlisted_item shows the ones that have none.';
COMMENT ON COLUMN meter.item.item IS 'The name that usage and rates know it by. Loaded ones are provider/model.';
COMMENT ON COLUMN meter.item.layer IS 'The layer its cost is reported under. Default inference.';
COMMENT ON COLUMN meter.item.provider IS 'Who sells it. Loaded items have the part before the first slash.';
COMMENT ON COLUMN meter.item.name IS 'What its provider calls it. Loaded items have the model''s name.';
COMMENT ON COLUMN meter.item.description IS 'Anything to remember about it.';

CREATE TABLE meter.card (
	card text PRIMARY KEY
		CONSTRAINT card_is_a_name CHECK (meter.is_name(card)),
	currency text
		CONSTRAINT card_currency_is_iso_4217 CHECK (currency COLLATE "C" ~ '^[A-Z]{3}$' AND meter.currency_digits(currency) >= 0),
	unrated text NOT NULL DEFAULT 'unpriced'
		CONSTRAINT card_unrated_is_unpriced_or_free CHECK (unrated IN ('unpriced', 'free'))
		CONSTRAINT card_cost_is_never_free_by_default CHECK (card <> 'cost' OR unrated = 'unpriced'),
	description text,
	builtin boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE meter.card IS 'The rate cards: cost, what providers charge, and credit, what actions cost in credits. Add others, for a price list to compare with or a contract to come.';
COMMENT ON COLUMN meter.card.card IS 'Name: a lower-case letter, then up to 62 lower-case letters, digits and underscores.';
COMMENT ON COLUMN meter.card.currency IS 'ISO 4217 code of the currency that all its prices are in. NULL: they are in credits.';
COMMENT ON COLUMN meter.card.unrated IS 'What a unit without a rate is for an item that the card knows: unpriced or free. An item without any rate is unpriced.';
COMMENT ON COLUMN meter.card.description IS 'What it is for.';
COMMENT ON COLUMN meter.card.builtin IS 'True while the row is as the extension made it; a change makes it false. Only then is it dumped.';

INSERT INTO meter.setting (builtin) VALUES (true);
INSERT INTO meter.layer (layer, description, builtin) VALUES
	('inference', 'Calls of models: tokens, images, audio and video in and out.', true),
	('retrieval', 'Search and vector queries.', true),
	('data_processing', 'Parsing, embedding, transforming.', true),
	('storage', 'Vectors, files and caches kept over time.', true),
	('orchestration', 'Workflow engines, queues, functions and containers.', true),
	('external_api', 'Other services called on the way.', true);
INSERT INTO meter.card (card, currency, unrated, description, builtin) VALUES
	('cost', 'USD', 'unpriced', 'What providers charge.', true),
	('credit', NULL, 'free', 'What actions cost in credits.', true);

/*
 * A dump holds the rows that a user made or changed, and is restored over the
 * ones that CREATE EXTENSION has just made. So a changed row stops being
 * builtin, and an inserted one takes the place of the builtin one of its key.
 */
CREATE FUNCTION meter.adopt_builtin_row() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	NEW.builtin := false;
	IF TG_OP = 'UPDATE' THEN
		RETURN NEW;
	END IF;

	CASE TG_TABLE_NAME
	WHEN 'setting' THEN
		UPDATE meter.setting
		SET currency = NEW.currency, timezone = NEW.timezone, grace = NEW.grace, rounding = NEW.rounding, issuer = NEW.issuer
		WHERE builtin;
	WHEN 'layer' THEN
		UPDATE meter.layer
		SET description = NEW.description
		WHERE layer = NEW.layer
			AND builtin;
	WHEN 'card' THEN
		UPDATE meter.card
		SET currency = NEW.currency, unrated = NEW.unrated, description = NEW.description
		WHERE card = NEW.card
			AND builtin;
	WHEN 'pricing_threshold' THEN
		UPDATE meter.pricing_threshold
		SET threshold = NEW.threshold, alert_when = NEW.alert_when, description = NEW.description
		WHERE signal = NEW.signal
			AND builtin;
	END CASE;

	IF FOUND THEN
		RETURN NULL;
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION meter.adopt_builtin_row() IS 'Trigger of setting, layer, card and pricing_threshold: a changed row is the user''s from then on, and an inserted one takes the place of the builtin one of the same key, so that a dump can be restored.';
REVOKE ALL ON FUNCTION meter.adopt_builtin_row() FROM PUBLIC;

CREATE TRIGGER adopt_builtin_row BEFORE INSERT OR UPDATE ON meter.setting
	FOR EACH ROW EXECUTE FUNCTION meter.adopt_builtin_row();
CREATE TRIGGER adopt_builtin_row BEFORE INSERT OR UPDATE ON meter.layer
	FOR EACH ROW EXECUTE FUNCTION meter.adopt_builtin_row();
CREATE TRIGGER adopt_builtin_row BEFORE INSERT OR UPDATE ON meter.card
	FOR EACH ROW EXECUTE FUNCTION meter.adopt_builtin_row();
/* The first copy of a logical subscription inserts over the seeded rows, too. */
ALTER TABLE meter.setting ENABLE ALWAYS TRIGGER adopt_builtin_row;
ALTER TABLE meter.layer ENABLE ALWAYS TRIGGER adopt_builtin_row;
ALTER TABLE meter.card ENABLE ALWAYS TRIGGER adopt_builtin_row;

CREATE FUNCTION meter.daily_window(daily_from time, daily_until time) RETURNS int8multirange
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
	WHEN daily_from IS NULL THEN int8multirange(int8range(-1, 0))
	WHEN daily_from < daily_until THEN
		int8multirange(int8range((extract(epoch FROM daily_from) * 1000000)::bigint, (extract(epoch FROM daily_until) * 1000000)::bigint))
	ELSE
		int8multirange(
			int8range((extract(epoch FROM daily_from) * 1000000)::bigint, 86400000000),
			int8range(0, (extract(epoch FROM daily_until) * 1000000)::bigint))
END;
COMMENT ON FUNCTION meter.daily_window(time, time) IS 'The microseconds of the UTC day from daily_from to before daily_until, as a multirange that two windows can be compared by; one that starts at or after its end goes over midnight. Without a window, a range outside the day, which overlaps no window and is the same for all.';

CREATE TABLE meter.rate (
	rate_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	card text NOT NULL DEFAULT 'cost',
	item text NOT NULL
		CONSTRAINT rate_item_is_not_empty CHECK (item <> '')
		CONSTRAINT rate_item_has_at_most_1000_bytes CHECK (octet_length(item) <= 1000),
	unit text NOT NULL
		CONSTRAINT rate_unit_is_a_name CHECK (unit = '*' OR unit COLLATE "C" ~ '^[a-z][a-z0-9_]{0,62}$'),
	price numeric NOT NULL
		CONSTRAINT rate_price_is_not_negative CHECK (price >= 0)
		CONSTRAINT rate_price_is_in_range CHECK (price <= 170141183460469231731687303.715884105727)
		CONSTRAINT rate_price_has_at_most_12_fractional_digits CHECK (scale(trim_scale(price)) <= 12),
	per numeric NOT NULL DEFAULT 1
		CONSTRAINT rate_per_is_positive CHECK (per > 0)
		CONSTRAINT rate_per_is_in_range CHECK (per <= 170141183460469231731687303.715884105727)
		CONSTRAINT rate_per_has_at_most_12_fractional_digits CHECK (scale(trim_scale(per)) <= 12),
	valid tstzrange NOT NULL DEFAULT '(,)'
		CONSTRAINT rate_valid_is_not_empty CHECK (NOT isempty(valid))
		CONSTRAINT rate_valid_is_within_time CHECK (lower(valid) IS DISTINCT FROM 'infinity' AND upper(valid) IS DISTINCT FROM '-infinity'),
	variant text NOT NULL DEFAULT 'standard'
		CONSTRAINT rate_variant_is_not_empty CHECK (variant <> '')
		CONSTRAINT rate_variant_has_at_most_1000_bytes CHECK (octet_length(variant) <= 1000),
	context_from numeric NOT NULL DEFAULT 0
		CONSTRAINT rate_context_from_is_not_negative CHECK (context_from >= 0)
		CONSTRAINT rate_context_from_is_in_range CHECK (context_from <= 170141183460469231731687303.715884105727)
		CONSTRAINT rate_context_from_has_at_most_12_fractional_digits CHECK (scale(trim_scale(context_from)) <= 12),
	daily_from time,
	daily_until time,
	precedence integer NOT NULL DEFAULT 100,
	source text
		CONSTRAINT rate_source_is_not_empty CHECK (source <> ''),
	listed daterange
		CONSTRAINT rate_listed_is_not_empty CHECK (NOT isempty(listed)),
	loaded_at timestamptz,
	recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT rate_daily_window_has_both_ends CHECK ((daily_from IS NULL) = (daily_until IS NULL)),
	CONSTRAINT rate_daily_window_is_not_empty CHECK (daily_from <> daily_until AND NOT (daily_from IN ('00:00', '24:00') AND daily_until IN ('00:00', '24:00'))),
	CONSTRAINT rate_is_loaded_or_own CHECK ((listed IS NULL) = (loaded_at IS NULL) AND (listed IS NULL OR source IS NOT NULL)),
	CONSTRAINT rate_does_not_overlap EXCLUDE USING gist (
		item WITH =,
		unit WITH =,
		card WITH =,
		variant WITH =,
		context_from WITH =,
		precedence WITH =,
		meter.daily_window(daily_from, daily_until) WITH &&,
		valid WITH &&)
);
CREATE INDEX rate_card_item_idx ON meter.rate (card, item);
COMMENT ON TABLE meter.rate IS 'What a unit of an item costs: price for every per units, while it is valid. Which rate holds is decided per event and unit: the highest precedence, then the highest context_from, then a daily window over none. No two rates of the same card, item, unit, variant, context_from and precedence may overlap in time. Prices are nobody''s business by default: GRANT SELECT ON meter.rate, meter.card TO whoever is to see costs, and INSERT, UPDATE, DELETE to whoever keeps the prices.';
COMMENT ON COLUMN meter.rate.rate_id IS 'A number to name the row by.';
COMMENT ON COLUMN meter.rate.card IS 'The card it belongs to, which says the currency. Default cost.';
COMMENT ON COLUMN meter.rate.item IS 'What is consumed, such as openai/gpt-4o; of card credit, the action.';
COMMENT ON COLUMN meter.rate.unit IS 'What is counted, such as input_tokens; or * for every unit of the item that neither has a rate of its own nor an ancestor with one.';
COMMENT ON COLUMN meter.rate.price IS 'Price of per units, in the card''s currency. 0 means free. At most 12 fractional digits.';
COMMENT ON COLUMN meter.rate.per IS 'How many units the price is for, such as 1000000 tokens or 3600 seconds. Default 1.';
COMMENT ON COLUMN meter.rate.valid IS 'When it holds. Default always.';
COMMENT ON COLUMN meter.rate.variant IS 'The way of consuming that it is for, such as standard, batch or priority. Default standard.';
COMMENT ON COLUMN meter.rate.context_from IS 'The least context, in input-side units of the event, that it holds for. Default 0.';
COMMENT ON COLUMN meter.rate.daily_from IS 'Start of its time of day, UTC. NULL: all day.';
COMMENT ON COLUMN meter.rate.daily_until IS 'End of its time of day, UTC, exclusive; before daily_from where the window goes over midnight. NULL: all day.';
COMMENT ON COLUMN meter.rate.precedence IS 'The higher one wins. Default 100, so that an own rate wins over a loaded one, which has 0.';
COMMENT ON COLUMN meter.rate.source IS 'Where the price is from: the catalogue that load_rates took it from, or a note of one''s own, such as a contract''s number.';
COMMENT ON COLUMN meter.rate.listed IS 'The dates that the catalogue gives for it, by which load_rates knows it again. NULL: not loaded, and load_rates leaves it alone.';
COMMENT ON COLUMN meter.rate.loaded_at IS 'The instant, as of which the load that wrote the row was. NULL: not loaded.';
COMMENT ON COLUMN meter.rate.recorded_at IS 'When the row was written: after a period was closed, it cannot say anything new about it where invoices follow the card. Nobody writes it.';

/*
 * The name of a card or a layer is not a foreign key: a parallel restore fills the
 * tables of an extension in any order, and would lose one that had to come second.
 * Whoever writes a name that is not there is told so at once instead.
 */
CREATE FUNCTION meter.warn_of_unknown_name() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown text;
BEGIN
	/* Who may not read the names writes without the warning. */
	IF NOT has_table_privilege(CASE TG_TABLE_NAME WHEN 'rate' THEN 'meter.card' ELSE 'meter.layer' END, 'SELECT') THEN
		RETURN NULL;
	END IF;
	CASE TG_TABLE_NAME
	WHEN 'rate' THEN
		SELECT string_agg(DISTINCT format('"%s"', written.card), ', ') INTO unknown
		FROM written
		WHERE NOT EXISTS (SELECT FROM meter.card WHERE card.card = written.card);
		IF unknown IS NOT NULL THEN
			RAISE WARNING 'rates of a card that meter.card does not have: %', unknown
				USING HINT = 'Insert the card, or correct the name. View meter.catalogue_problem lists what is there so far.';
		END IF;
	WHEN 'item' THEN
		SELECT string_agg(DISTINCT format('"%s"', written.layer), ', ') INTO unknown
		FROM written
		WHERE NOT EXISTS (SELECT FROM meter.layer WHERE layer.layer = written.layer);
		IF unknown IS NOT NULL THEN
			RAISE WARNING 'items of a layer that meter.layer does not have: %', unknown
				USING HINT = 'Insert the layer, or correct the name. View meter.catalogue_problem lists what is there so far.';
		END IF;
	END CASE;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION meter.warn_of_unknown_name() IS 'Trigger of rate and item: warns of a card or a layer that is not there.';
REVOKE ALL ON FUNCTION meter.warn_of_unknown_name() FROM PUBLIC;

CREATE TRIGGER warn_of_unknown_card AFTER INSERT ON meter.rate
	REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION meter.warn_of_unknown_name();
CREATE TRIGGER warn_of_unknown_card_after_update AFTER UPDATE ON meter.rate
	REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION meter.warn_of_unknown_name();
CREATE TRIGGER warn_of_unknown_layer AFTER INSERT ON meter.item
	REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION meter.warn_of_unknown_name();
CREATE TRIGGER warn_of_unknown_layer_after_update AFTER UPDATE ON meter.item
	REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION meter.warn_of_unknown_name();

SELECT pg_extension_config_dump('meter.setting', 'WHERE NOT builtin');
SELECT pg_extension_config_dump('meter.layer', 'WHERE NOT builtin');
SELECT pg_extension_config_dump('meter.item', '');
SELECT pg_extension_config_dump('meter.card', 'WHERE NOT builtin');
SELECT pg_extension_config_dump('meter.rate', '');
SELECT pg_extension_config_dump('meter.rate_rate_id_seq', '');

CREATE VIEW meter.current_rate AS
SELECT
	rate.card,
	rate.item,
	item.layer,
	rate.unit,
	rate.price,
	rate.per,
	card.currency,
	rate.valid,
	rate.variant,
	rate.context_from,
	rate.daily_from,
	rate.daily_until,
	rate.precedence,
	rate.source
FROM meter.rate
JOIN meter.card USING (card)
LEFT JOIN meter.item USING (item)
WHERE rate.valid @> now();
COMMENT ON VIEW meter.current_rate IS 'The rates that are valid now, with their currency and layer. Of several for the same item, variant and unit the one with the highest precedence holds, then the one with the highest context_from that the event reaches.';

CREATE VIEW meter.unlisted_item AS
SELECT
	rate.item,
	array_agg(DISTINCT rate.card ORDER BY rate.card) AS cards,
	count(*) AS rates
FROM meter.rate
LEFT JOIN meter.item USING (item)
WHERE item.item IS NULL
GROUP BY rate.item;
COMMENT ON VIEW meter.unlisted_item IS 'Items that have a rate but no row in meter.item, and so no layer: a new one, or a name misspelt.';

CREATE VIEW meter.catalogue_problem AS
SELECT 'rates of a card that meter.card does not have' AS problem, rate.card AS name, count(*) AS rows
FROM meter.rate
WHERE NOT EXISTS (SELECT FROM meter.card WHERE card.card = rate.card)
GROUP BY rate.card
UNION ALL
SELECT 'items of a layer that meter.layer does not have', item.layer, count(*)
FROM meter.item
WHERE NOT EXISTS (SELECT FROM meter.layer WHERE layer.layer = item.layer)
GROUP BY item.layer
UNION ALL
SELECT 'rates of an item that meter.item does not have', unlisted_item.item, unlisted_item.rates
FROM meter.unlisted_item;
COMMENT ON VIEW meter.catalogue_problem IS 'Names in the catalogue that lead nowhere: a card, a layer or an item that has no row of its own. Empty is well.';

CREATE FUNCTION meter.card(name text, items text DEFAULT '%') RETURNS meter.rate_card
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unrated_units text;
BEGIN
	SELECT unrated INTO unrated_units FROM meter.card WHERE card = name;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'card "%" does not exist', name
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Table meter.card has the cards.';
	END IF;

	RETURN (
		WITH rated AS (
			SELECT item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence
			FROM meter.rate
			WHERE card = name
				AND item LIKE items
		), free AS (
			SELECT DISTINCT item, variant
			FROM rated
			WHERE unrated_units = 'free'
		), complete AS (
			SELECT * FROM rated
			UNION ALL
			SELECT item, '*', 0, 1, '(,)', variant, 0, NULL, NULL, -2147483648 FROM free
		)
		SELECT meter.rate_card(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence)
		FROM complete
	);
END
$$;
COMMENT ON FUNCTION meter.card(text, text) IS 'The rates of a card in table meter.rate as a value, for cost and the functions beside it. items is a LIKE pattern that the items are limited to, such as openai/%. Call it as (SELECT meter.card(''cost'')), so that it is built once a query and not once a row. Where the card says that a unit without a rate is free, every item that it knows gets a rate of 0 for unit *. NULL for a NULL; an unknown card is an error. The caller needs SELECT on meter.rate and meter.card.';
