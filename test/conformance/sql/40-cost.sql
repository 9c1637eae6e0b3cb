-- LLM costs. Prices are the catalogue's rows; matching a model's name is not the
-- extension's: an item is the catalogue's provider and model, which a case names.

CREATE TABLE price_row (
    provider text, model text, usage_type text, unit_price text, tier_start text,
    effective_from text, effective_to text, currency text, usage_units_per_priced_unit text,
    list_price numeric, list_price_per numeric, tod_start text, tod_end text, rule_ord text
);

-- The card of every price that has at most 12 fractional digits. Hours are counted in seconds,
-- and dates begin in UTC. A price that is an artefact of floating point is left out: an item
-- that needs it is unpriced.
CREATE VIEW price AS
SELECT provider || '/' || model AS item,
       CASE usage_type WHEN 'audio_hours' THEN 'audio_seconds' WHEN 'input_audio_hours' THEN 'input_audio_seconds'
                       WHEN 'output_audio_hours' THEN 'output_audio_seconds' ELSE usage_type END AS unit,
       list_price AS price,
       CASE WHEN usage_type LIKE '%audio\_hours' THEN 3600 ELSE list_price_per END AS per,
       tstzrange((nullif(effective_from, '') || 'T00:00:00Z')::timestamptz,
                 (nullif(effective_to, '') || 'T00:00:00Z')::timestamptz) AS valid,
       nullif(tier_start, '0')::numeric AS context_from,
       rtrim(nullif(tod_start, ''), 'Z')::time AS daily_from,
       rtrim(nullif(tod_end, ''), 'Z')::time AS daily_until
FROM price_row
WHERE scale(trim_scale(list_price)) <= 12;

CREATE TABLE card_of_prices (card meter.rate_card);

-- Whether a part of the inclusive counts is larger than its whole: theirs is checked only
-- where the model has a price for the part, ours always.
CREATE FUNCTION part_above_whole(usage jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN EXISTS (
    SELECT FROM (VALUES
        ('input_tokens', '^cache_(read|write)_tokens$|^input_(audio|image|video|text|tool)_tokens$'),
        ('cache_read_tokens', '^cache_\w+_read_tokens$'),
        ('cache_write_tokens', '^cache_write_(5m|1h)_tokens$|^cache_[a-z]+_write_tokens$'),
        ('input_audio_tokens', '^cache_audio_(read|write)_tokens$'),
        ('input_image_tokens', '^cache_image_(read|write)_tokens$'),
        ('input_video_tokens', '^cache_video_(read|write)_tokens$'),
        ('output_tokens', '^output_(reasoning|citation|audio|image|video|text)_tokens$')) AS w (whole, parts)
    JOIN jsonb_each_text(usage) AS part ON part.key ~ w.parts
    WHERE part.value::numeric > coalesce((usage ->> w.whole)::numeric, 0));

-- Tokens, pages and calls are counted; only seconds have fractions.
CREATE FUNCTION fractional_count(usage jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN EXISTS (SELECT FROM jsonb_each_text(usage) AS u WHERE u.key !~ '_seconds$' AND u.value::numeric % 1 <> 0);

CREATE FUNCTION rate_cost_vector(v jsonb, expected numeric) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    usage jsonb := v -> 'usage';
    the_item text;
    at timestamptz := v ->> 'at';
    bag meter.usage;
    got numeric;
    priced numeric;
    open_units integer;
    known boolean;
    more jsonb;
BEGIN
    PERFORM only_keys(v, 'id', 'group', 'provider', 'model', 'usage', 'at', 'expected_cost', 'expected_input_cost',
        'expected_output_cost', 'matched_provider', 'matched_model', 'price_provider', 'rule_ord',
        'expected_cost_exact', 'expected_cost_fraction', 'expected_error', 'peer_rel_error', 'float_artefact',
        'note', 'warning');
    the_item := coalesce(v ->> 'price_provider', v ->> 'provider') || '/' || coalesce(v ->> 'matched_model', v ->> 'model');
    known := EXISTS (SELECT FROM price AS p WHERE p.item = the_item);
    BEGIN
        bag := meter.usage_from('inclusive', usage);
        -- an item that no provider owns is unknown, which is not the same as no item
        got := meter.cost((SELECT card FROM card_of_prices), coalesce(the_item, 'unknown'), at, bag);
        SELECT coalesce(sum(amount), 0), count(*) FILTER (WHERE amount IS NULL)
        INTO priced, open_units
        FROM meter.cost_lines((SELECT card FROM card_of_prices), coalesce(the_item, 'unknown'), at, bag);
    EXCEPTION WHEN data_exception THEN
        RETURN answer('{"cost": null}'::jsonb,
            CASE WHEN expected IS NULL THEN '{refused}'::text[] END,
            CASE WHEN part_above_whole(usage) THEN 'a part larger than its whole is refused here'
                 WHEN fractional_count(usage) THEN 'a fraction of a token is refused here' END,
            '{"cost": null}'::jsonb, NULL);
    END;
    IF got IS NOT NULL AND got <> priced THEN
        RAISE EXCEPTION 'the lines add up to %, the cost is %', priced, got;
    END IF;
    IF got IS NULL AND known AND open_units > 0
        AND NOT EXISTS (SELECT FROM price_row AS r WHERE r.provider || '/' || r.model = the_item
                        AND scale(trim_scale(r.list_price)) > 12) THEN
        RETURN answer('{"cost": null}'::jsonb, NULL, 'usage that has no rate is unpriced here and free there',
            '{"cost": null}'::jsonb, jsonb_build_object('cost', num(priced)));
    ELSIF got IS NULL AND NOT known AND v ->> 'matched_model' IS NOT NULL THEN
        RETURN answer('{"cost": null}'::jsonb, NULL, 'a model without any price is unpriced here and free there',
            '{"cost": null}'::jsonb, '{"cost": "0"}'::jsonb);
    ELSIF got IS NULL AND EXISTS (SELECT FROM price_row AS r WHERE r.provider || '/' || r.model = the_item
                                  AND scale(trim_scale(r.list_price)) > 12) THEN
        RETURN answer('{"cost": null}', NULL, 'a price that is an artefact of floating point is refused here',
            '{"cost": null}', NULL);
    ELSIF the_item LIKE 'groq/%whisper%' AND (usage ->> 'audio_seconds')::numeric < 10 THEN
        more := jsonb_set(usage, '{audio_seconds}', '10');
        RETURN answer(jsonb_build_object('cost', num(got)), NULL,
            'Groq''s minimum of 10 seconds is in that library''s code, not in the prices',
            jsonb_build_object('cost', num((SELECT round((usage ->> 'audio_seconds')::numeric * p.price / p.per, 12)
                                            FROM price AS p WHERE p.item = the_item AND p.unit = 'audio_seconds'))),
            jsonb_build_object('cost', num(meter.cost((SELECT card FROM card_of_prices), the_item, at,
                                                      meter.usage_from('inclusive', more)))));
    END IF;
    RETURN answer(jsonb_build_object('cost', num(got)), NULL);
END
$$;

-- A bag without its zeros.
CREATE FUNCTION measured(bag jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(bag) WHERE value <> '0');

-- A provider's own payload: the same usage, and the same cost. These cases carry the other
-- library's double only, and no date: the newest of the vectors is taken.
CREATE FUNCTION rate_extraction_vector(v jsonb, vectors jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    payload text;
    item text;
    bag meter.usage;
    inclusive meter.usage;
    got numeric;
BEGIN
    PERFORM only_keys(v, 'provider', 'model', 'api_flavor', 'response', 'usage', 'expected_cost', 'id', 'note', 'at', 'group');
    PERFORM only_value(v, 'api_flavor', 'default', 'chat', 'responses', 'completions', 'messages', 'anthropic');
    payload := CASE WHEN v ->> 'api_flavor' = 'anthropic' THEN 'anthropic'
                    WHEN v ->> 'provider' IN ('anthropic', 'google') THEN v ->> 'provider' ELSE 'openai' END;
    -- the catalogue's model: the name itself, what a vector says of it, or the name without its date
    SELECT candidate INTO item FROM (
        SELECT 1 AS ord, v ->> 'model' AS candidate
        UNION ALL
        SELECT 2, x ->> 'matched_model' FROM jsonb_array_elements(vectors) AS x
        WHERE x ->> 'model' = v ->> 'model' AND x ->> 'price_provider' = v ->> 'provider'
        UNION ALL
        SELECT 3, regexp_replace(v ->> 'model', '-\d{8}$', '')
        UNION ALL
        SELECT 4, regexp_replace(v ->> 'model', '-\d{8}$', '-latest')) AS c
    WHERE EXISTS (SELECT FROM price AS p WHERE p.item = (v ->> 'provider') || '/' || candidate)
    ORDER BY ord LIMIT 1;
    item := (v ->> 'provider') || '/' || coalesce(item, v ->> 'model');

    bag := meter.usage_from(payload, v -> 'response');
    inclusive := meter.usage_from('inclusive', v -> 'usage');
    got := meter.cost((SELECT card FROM card_of_prices), item, coalesce(v ->> 'at', '2026-10-01T12:00:00Z')::timestamptz, bag);
    RETURN answer(jsonb_build_object('cost', num(got), 'usage', measured(bag::jsonb)),
        NULL,
        CASE WHEN v -> 'response' -> 'usage' ? 'prompt_cache_hit_tokens'
                  AND v -> 'response' -> 'usage' -> 'prompt_tokens_details' -> 'cached_tokens' IS NULL
             THEN 'prompt_cache_hit_tokens is read here, and lost there' END,
        jsonb_build_object('cost', num(got)),
        jsonb_build_object('usage', measured(inclusive::jsonb)));
END
$$;

-- OpenMeter: rows of usage with a price each, which is found by what else they have: such as a
-- provider, a model and a type of tokens. They are added up by some of that. Here they are
-- an item of a card, and their cost is rated; a price that is not there is none, and such a row
-- is unpriced.
CREATE FUNCTION rate_cost(engine text, p jsonb, i jsonb) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
    dimensions text[] := ARRAY(SELECT jsonb_array_elements_text(p -> 'group_by'));
    item jsonb;
    card meter.rate_card;
    got jsonb;
BEGIN
    PERFORM only_keys(p, 'group_by');
    PERFORM only_keys(i, 'rows');
    FOR item IN SELECT * FROM jsonb_array_elements(i -> 'rows') LOOP
        IF NOT item ?& (ARRAY['usage', 'unit_cost'] || dimensions)
            OR EXISTS (SELECT FROM jsonb_each(item - 'usage' - 'unit_cost') WHERE jsonb_typeof(value) <> 'string') THEN
            PERFORM not_mapped('the row %s', item::text);
        END IF;
    END LOOP;
    SELECT meter.rate_card(rated.item, 'tokens', rated.price, 1, NULL, NULL, NULL, NULL, NULL, NULL) INTO card
    FROM (SELECT DISTINCT (row - 'usage' - 'unit_cost')::text AS item, (row ->> 'unit_cost')::numeric AS price
          FROM jsonb_array_elements(i -> 'rows') AS row
          WHERE row ->> 'unit_cost' IS NOT NULL) AS rated;
    SELECT coalesce(jsonb_agg(grouped.dimensions || jsonb_build_object('usage', num(grouped.usage), 'cost', num(grouped.cost))), '[]') INTO got
    FROM (
        SELECT kept.dimensions,
               sum(used.usage) -> 'tokens' AS usage,
               meter.total_cost(card, (row - 'usage' - 'unit_cost')::text, timestamptz '2024-01-01Z', used.usage) AS cost
        FROM jsonb_array_elements(i -> 'rows') AS row,
             LATERAL (SELECT meter.usage('tokens', (row ->> 'usage')::numeric)) AS used (usage),
             LATERAL (SELECT coalesce(jsonb_object_agg(d, row -> d), '{}') AS dimensions FROM unnest(dimensions) AS d) AS kept
        GROUP BY kept.dimensions) AS grouped;
    RETURN answer(jsonb_build_object('rows', got));
END
$$;
