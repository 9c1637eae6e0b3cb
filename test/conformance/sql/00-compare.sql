-- What a mapping answers, how an answer is compared with what was expected, and how
-- a mapping says that it has seen every key.

CREATE SCHEMA conformance;
SET search_path TO conformance, pg_catalog, public;

-- got: our results by the names of the expected ones; {"error": class} where we refuse.
-- options: the named options of ours that changed the result.
-- reason: set where a difference rule holds; ours is then what our semantics predict,
-- computed without the extension, and theirs what the other engine's semantics predict
-- (NULL where that cannot be computed).
CREATE TYPE outcome AS (
    got jsonb,
    options text[],
    reason text,
    ours jsonb,
    theirs jsonb
);

CREATE FUNCTION is_number(x jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN jsonb_typeof(x) = 'number'
    OR jsonb_typeof(x) = 'string' AND x #>> '{}' ~ '^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$';

CREATE FUNCTION answer(got jsonb, options text[] DEFAULT NULL, reason text DEFAULT NULL,
                       ours jsonb DEFAULT NULL, theirs jsonb DEFAULT NULL) RETURNS outcome
LANGUAGE sql IMMUTABLE
RETURN ROW(got, options, reason, ours, theirs)::outcome;

-- A number as a mapping answers it: canonical text.
CREATE FUNCTION num(x numeric) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN to_jsonb(trim_scale(x)::text);

-- Compares what was expected with what we got. Returns NULL where they are equal, else
-- the path of the first difference. Numbers are equal as numbers. Notes collects what
-- equality needed: 'settled to 12 digits'.
CREATE FUNCTION difference(expected jsonb, got jsonb, path text, INOUT notes text[], OUT diff text)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    key text;
    part text[];
    want text := expected #>> '{}';
    have numeric;
    exact numeric;
    sub record;
BEGIN
    -- a line that is not there is a line of nothing
    IF path ~ '\.(true_up_\w+|min_spend_line|max_spend_discount)$'
        AND coalesce(nullif(expected, 'null') #>> '{}', '0')::numeric = 0
        AND coalesce(nullif(got, 'null') #>> '{}', '0')::numeric = 0 THEN
        RETURN;
    END IF;
    IF got IS NULL THEN
        diff := format('%s: no answer', path);
    ELSIF jsonb_typeof(expected) = 'object' THEN
        IF jsonb_typeof(got) <> 'object' THEN
            diff := format('%s: expected an object, got %s', path, got);
            RETURN;
        END IF;
        FOR key IN SELECT jsonb_object_keys(expected) LOOP
            SELECT * INTO sub FROM difference(expected -> key, got -> key, path || '.' || key, notes);
            notes := sub.notes;
            diff := sub.diff;
            EXIT WHEN diff IS NOT NULL;
        END LOOP;
    ELSIF jsonb_typeof(expected) = 'array' THEN
        -- rows of a report have no order: each has to be there
        IF path LIKE '%.rows' AND jsonb_typeof(got) = 'array' AND jsonb_array_length(got) = jsonb_array_length(expected) THEN
            SELECT jsonb_agg(coalesce(same.row, got -> (n::integer - 1)) ORDER BY n) INTO got
            FROM jsonb_array_elements(expected) WITH ORDINALITY AS wanted (row, n)
            LEFT JOIN LATERAL (
                SELECT candidate.row FROM jsonb_array_elements(got) AS candidate (row)
                WHERE (difference(wanted.row, candidate.row, '', '{}')).diff IS NULL LIMIT 1) AS same ON true;
        END IF;
        IF jsonb_typeof(got) <> 'array' OR jsonb_array_length(got) <> jsonb_array_length(expected) THEN
            diff := format('%s: expected %s, got %s', path, expected, got);
            RETURN;
        END IF;
        FOR i IN 0 .. jsonb_array_length(expected) - 1 LOOP
            SELECT * INTO sub FROM difference(expected -> i, got -> i, format('%s[%s]', path, i), notes);
            notes := sub.notes;
            diff := sub.diff;
            EXIT WHEN diff IS NOT NULL;
        END LOOP;
    ELSIF is_number(expected) AND is_number(got) THEN
        have := (got #>> '{}')::numeric;
        IF want::numeric = have THEN
            RETURN;
        ELSIF scale(trim_scale(want::numeric)) > 12 AND round(want::numeric, 12) = have THEN
            notes := notes || 'settled to 12 digits'::text;
        ELSE
            diff := format('%s: expected %s, got %s', path, want, got #>> '{}');
        END IF;
    ELSIF want ~ '^-?[0-9.]+ \(rounded \d+\)$' AND is_number(got) THEN
        -- the source compares a rounded figure: display, not money
        part := regexp_match(want, '^(\S+) \(rounded (\d+)\)$');
        IF round((got #>> '{}')::numeric, part[2]::integer) <> part[1]::numeric THEN
            diff := format('%s: expected %s, got %s', path, want, got #>> '{}');
        END IF;
    ELSIF want ~ '^-?[0-9.]+(/[0-9.]+)?( \+ [0-9.]+(/[0-9.]+)?)*$' AND is_number(got) THEN
        -- a fraction, or a sum of some: a part that is settled is the difference of two that are
        have := (got #>> '{}')::numeric;
        SELECT sum(round(split_part(term, '/', 1)::numeric / coalesce(nullif(split_part(term, '/', 2), ''), '1')::numeric, 30)) INTO exact
        FROM unnest(string_to_array(want, ' + ')) AS term;
        IF round(exact, 28) = have THEN
            RETURN;
        ELSIF abs(exact - have) <= 0.0000000000005 + 0.000000000001 * (cardinality(string_to_array(want, ' + ')) - 1) THEN
            notes := notes || 'settled to 12 digits'::text;
        ELSE
            diff := format('%s: expected %s, got %s', path, want, got #>> '{}');
        END IF;
    ELSIF want ~ '^\d{4}-\d\d-\d\dT[0-9:.]+Z$' AND got #>> '{}' ~ '^\d{4}-\d\d-\d\dT[0-9:.]+Z$' THEN
        IF want::timestamptz <> (got #>> '{}')::timestamptz THEN
            diff := format('%s: expected %s, got %s', path, want, got #>> '{}');
        END IF;
    ELSIF expected <> got THEN
        diff := format('%s: expected %s, got %s', path, expected, got);
    END IF;
END
$$;

-- Refuses a key that the mapping does not know: nothing is ever passed over in silence.
CREATE FUNCTION only_keys(object jsonb, VARIADIC known text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    key text;
BEGIN
    SELECT k INTO key FROM jsonb_object_keys(object) AS k WHERE k <> ALL (known) ORDER BY k LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'unknown parameter "%" = %', key, object -> key USING ERRCODE = 'CF001';
    END IF;
END
$$;

-- Refuses a value that the mapping does not know; a key that is absent or null passes.
CREATE FUNCTION only_value(object jsonb, key text, VARIADIC known text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF object ->> key IS NOT NULL AND NOT (object ->> key ILIKE ANY (known)) THEN
        RAISE EXCEPTION 'unknown value of "%": %', key, object -> key USING ERRCODE = 'CF001';
    END IF;
END
$$;

-- Stops a mapping at a case it was not made for.
CREATE FUNCTION not_mapped(what text, VARIADIC args text[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE EXCEPTION '%', format(what, VARIADIC args) USING ERRCODE = 'CF001';
END
$$;

-- The answer of a mapping whose charge refuses its quantity: class 22, or it is no refusal.
CREATE FUNCTION refusal(statement text) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN '{"error": null}';
EXCEPTION WHEN OTHERS THEN
    IF SQLSTATE LIKE '22%' THEN
        RETURN '{"error": "22"}';
    END IF;
    RAISE;
END
$$;
