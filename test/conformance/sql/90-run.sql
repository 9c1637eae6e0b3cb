-- Runs every case and says what became of it.

CREATE TABLE result (
    ord serial, file text, model text, id text, test text, class text, detail text
);

-- Some sources compare a rounded amount, and say how.
CREATE FUNCTION as_compared(got jsonb, how text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    part text[] := regexp_match(how, '^(half round|round|ceil|floor) (\d+)$');
BEGIN
    IF how = 'exact' THEN
        RETURN got;
    END IF;
    IF part IS NULL THEN
        PERFORM not_mapped('comparison "%s"', how);
    END IF;
    RETURN got || jsonb_build_object('amount', num(meter.round_quantity(
        (got ->> 'amount')::numeric, replace(part[1], 'half ', ''), part[2]::integer)));
END
$$;

CREATE FUNCTION judge(expected jsonb, answer outcome, OUT class text, OUT detail text)
LANGUAGE plpgsql AS $$
DECLARE
    got jsonb := answer.got;
    seen record;
    check_ours record;
    check_theirs record;
BEGIN
    IF expected ? 'compare' THEN
        IF got ? 'amount' THEN
            got := as_compared(got, expected ->> 'compare');
        END IF;
        expected := expected - 'compare';
    END IF;
    SELECT * INTO seen FROM difference(expected, got, '', '{}');
    IF seen.diff IS NULL THEN
        answer.options := array_remove(coalesce(answer.options, '{}') || seen.notes, NULL);
        IF cardinality(answer.options) = 0 THEN
            class := 'same';
        ELSE
            class := 'option';
            SELECT string_agg(DISTINCT o, ', ') INTO detail FROM unnest(answer.options) AS o;
        END IF;
    ELSIF answer.reason IS NOT NULL THEN
        SELECT * INTO check_ours FROM difference(coalesce(answer.ours, '{"prediction": "none"}'), got, 'ours ', '{}');
        SELECT * INTO check_theirs FROM difference(expected, expected || coalesce(answer.theirs, '{}'), 'theirs ', '{}');
        IF check_ours.diff IS NULL AND check_theirs.diff IS NULL THEN
            class := 'differs';
            detail := answer.reason;
        ELSE
            class := 'FAILED';
            detail := format('%s, but %s', answer.reason, coalesce(check_ours.diff, check_theirs.diff));
        END IF;
    ELSE
        class := 'FAILED';
        detail := seen.diff;
    END IF;
END
$$;

DO $$
DECLARE
    item jsonb;
    answer conformance.outcome;
    verdict record;
    error_state text;
    error_text text;
BEGIN
    FOR item IN SELECT x FROM source_file, jsonb_array_elements(content) WITH ORDINALITY AS e (x, n)
                WHERE name = 'billing' ORDER BY x ->> 'model', n
    LOOP
        BEGIN
            verdict := NULL;
            IF to_regprocedure(format('conformance.rate_%s(text,jsonb,jsonb)', item ->> 'model')) IS NULL THEN
                SELECT 'FAILED' AS class, 'no mapping for this model' AS detail INTO verdict;
            ELSE
                PERFORM only_keys(item, 'id', 'source', 'test', 'model', 'parameters', 'input', 'expected', 'note');
                EXECUTE format('SELECT (r).* FROM (SELECT conformance.rate_%s($1, $2, $3) AS r) AS x', item ->> 'model')
                INTO answer
                USING engine(item ->> 'source'), item -> 'parameters', item -> 'input';
                SELECT * INTO verdict FROM judge(item -> 'expected', answer);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS error_state = RETURNED_SQLSTATE, error_text = MESSAGE_TEXT;
            SELECT 'FAILED' AS class, format('%s (%s)', error_text, error_state) AS detail INTO verdict;
        END;
        INSERT INTO result (file, model, id, test, class, detail)
        VALUES ('billing', item ->> 'model', item ->> 'id', item ->> 'test', verdict.class, verdict.detail);
    END LOOP;

    FOR item IN
        SELECT x || jsonb_build_object('kind', kind)
        FROM source_file, (VALUES ('vectors'), ('extraction_vectors')) AS k (kind),
             jsonb_array_elements(content -> kind) WITH ORDINALITY AS e (x, n)
        WHERE name = 'cost' ORDER BY kind DESC, x ->> 'group', n
    LOOP
        BEGIN
            IF item ->> 'kind' = 'vectors' THEN
                answer := rate_cost_vector(item - 'kind', (item ->> 'expected_cost')::numeric);
                SELECT * INTO verdict FROM judge(jsonb_build_object('cost',
                    coalesce(item ->> 'expected_cost_exact', item ->> 'expected_cost_fraction')), answer);
            ELSE
                answer := rate_extraction_vector(item - 'kind',
                    (SELECT content -> 'vectors' FROM source_file WHERE name = 'cost'));
                SELECT * INTO verdict FROM judge(jsonb_build_object('cost', item -> 'expected_cost',
                    'usage', measured(meter.usage_from('inclusive', item -> 'usage')::jsonb)), answer);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS error_state = RETURNED_SQLSTATE, error_text = MESSAGE_TEXT;
            SELECT 'FAILED' AS class, format('%s (%s)', error_text, error_state) AS detail INTO verdict;
        END;
        INSERT INTO result (file, model, id, test, class, detail)
        VALUES ('cost', coalesce(item ->> 'group', 'extraction'),
                coalesce(item ->> 'id', format('%s/%s', item ->> 'provider', item ->> 'model')),
                item ->> 'note', verdict.class, verdict.detail);
    END LOOP;
END
$$;

-- psql shows the report from here on
\pset tuples_only on
\pset format unaligned
SELECT format('%s %s %s: %s', file, model, id,
    CASE class WHEN 'option' THEN 'same with option ' || detail
               WHEN 'differs' THEN 'differs: ' || detail
               WHEN 'FAILED' THEN format('FAILED: %s (%s)', detail, test)
               ELSE class END)
FROM result ORDER BY ord;

\pset tuples_only off
\pset format aligned
\pset border 0
\pset footer off
SELECT file, model,
       count(*) FILTER (WHERE class = 'same') AS same,
       count(*) FILTER (WHERE class = 'option') AS "same with option",
       count(*) FILTER (WHERE class = 'differs') AS differs,
       count(*) FILTER (WHERE class = 'FAILED') AS failed,
       count(*) AS total
FROM result
GROUP BY GROUPING SETS ((file, model), (file), ())
ORDER BY file NULLS LAST, model NULLS LAST;

\pset tuples_only on
\pset format unaligned
SELECT format('%s passed, %s failed', count(*) FILTER (WHERE class <> 'FAILED'),
              count(*) FILTER (WHERE class = 'FAILED'))
FROM result;

DO $$
BEGIN
    IF EXISTS (SELECT FROM conformance.result WHERE class = 'FAILED') THEN
        RAISE EXCEPTION 'conformance: % cases failed', (SELECT count(*) FROM conformance.result WHERE class = 'FAILED');
    ELSIF NOT EXISTS (SELECT FROM conformance.result) THEN
        RAISE EXCEPTION 'conformance: there was nothing to run';
    END IF;
END
$$;
