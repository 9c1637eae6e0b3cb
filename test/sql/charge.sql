-- What tariffs charge: every model, the order of steps, boundaries, lines, shares, and
-- all of it against a reference in plain SQL.

-- The models

CREATE TABLE model (id int PRIMARY KEY, tariff meter.tariff);
INSERT INTO model VALUES
    (1, 'at 0.08'),
    (2, 'at 5 per 100'),
    (3, 'at 5 per started 100'),
    (4, 'at 5 per full 100'),
    (5, 'at 2.9%'),
    (6, 'at 0.08 plus 10'),
    (7, 'graduated: up to 500 at 0; up to 2500 at 0.08; above at 0.06 plus 10'),
    (8, 'graduated: up to 1000 at 3%; above at 2%'),
    (9, 'graduated: up to 1000 at 1 per started 100; above at 5 per started 1000'),
    (10, 'volume: up to 1000 at 0.10; above at 0.08'),
    (11, 'volume: up to 10 at 0 plus 50; above at 0 plus 200'),
    (12, 'graduated: up to 100 at 1 plus 7; above at 2 plus 3; free 100'),
    (13, 'volume: up to 100 at 1 plus 7; above at 2 plus 3; free 100; no fee at zero');
SELECT q, string_agg(meter.charge(tariff, q)::text, ' | ' ORDER BY id) AS charge
FROM model, unnest(ARRAY[0, 0.5, 1, 10, 10.5, 99.999999999999, 100, 100.000000000001, 101, 500, 1000, 1000.5, 2500, 2501, 1e9]) AS q
GROUP BY q ORDER BY q;
SELECT q, string_agg(meter.overage(tariff, q)::text, ' | ' ORDER BY id) AS overage
FROM model, unnest(ARRAY[0, 10, 100.5, 1000, 2501]) AS q
GROUP BY q ORDER BY q;

-- The order of steps: free, tiers, discount, maximum, minimum; the fee is one of a tier.
SELECT * FROM meter.charge_lines('at 10 plus 5; free 3; discount 50%; maximum 60; minimum 20', 20);
SELECT * FROM meter.charge_lines('at 10 plus 5; free 3; discount 50%; maximum 60; minimum 20', 4);
SELECT * FROM meter.charge_lines('at 10 plus 5; free 3; discount 50%; maximum 60; minimum 20', 3);
SELECT * FROM meter.charge_lines('at 10 plus 5; free 3; no fee at zero', 3);
SELECT * FROM meter.charge_lines('graduated: up to 5 at 0 plus 100; up to 10 at 0 plus 50; up to 15 at 5; above at 1', 22);
SELECT * FROM meter.charge_lines('volume: up to 10 at 1 plus 50; above at 2.5% plus 200; free 5', 25);
SELECT meter.charge('at 20; discount 100%', 7), meter.charge('at 20; maximum 0', 7), meter.charge('at 0', 7);

-- NULLs and errors
SELECT meter.charge(NULL, 1), meter.charge('at 1', NULL), meter.overage('at 1', NULL),
    meter.charge_between('at 1', 1, NULL), meter.charge_between(NULL, 1, 2),
    (SELECT count(*) FROM meter.charge_lines('at 1', NULL));
\set VERBOSITY terse
SELECT meter.charge('at 1', -1);
SELECT meter.overage('at 1', -0.000000000001);
SELECT * FROM meter.charge_lines('at 1', -1);
SELECT meter.charge_between('at 1', -1, 5);
SELECT meter.charge_between('at 1', 5, -1);
SELECT meter.charge('at 1', 0.0000000000001);
SELECT meter.charge('at 1', 'NaN');
SELECT meter.charge('at 1', 'Infinity');

-- The ends of the range
SELECT meter.charge('at 1', 170141183460469231731687303.715884105727);
SELECT meter.charge('at 1', 170141183460469231731687303.715884105728);
SELECT meter.charge('at 1.000000000001', 170141183460469231731687303.715884105727);
SELECT meter.charge('at 170141183460469231731687303.715884105727', 1);
SELECT meter.charge('at 170141183460469231731687303.715884105727 per 1000000', 1000000);
SELECT meter.charge('at 170141183460469231731687303.715884105727', 0.000000000001);
SELECT meter.charge('at 0.000000000001', 0.000000000001), meter.charge('at 0.5', 0.000000000001), meter.charge('at 0.499999999999', 0.000000000001);
SELECT meter.charge('at 3 per 170141183460469231731687303.715884105727', 170141183460469231731687303.715884105727);
SELECT meter.charge('at 1 per started 0.000000000001', 170141183460469231731687303.715884105727);
SELECT meter.charge('at 0.000000000001 per started 0.000000000001', 170141183460469231731687303.715884105727);
SELECT meter.charge('at 9223372.036854775807 plus 1', 9223372036854775806), 9223372.036854775807 * 9223372036854775806 + 1 AS expected;
SELECT meter.charge('at 9223372.036854775808 plus 1', 9223372036854775808), 9223372.036854775808 * 9223372036854775808 + 1 AS expected;
SELECT meter.charge('at 0 plus 170141183460469231731687303', 1), meter.charge('graduated: up to 1 at 0 plus 170141183460469231731687303; above at 1', 1);
SELECT meter.charge('graduated: up to 1 at 0 plus 170141183460469231731687303; above at 1 plus 1', 2);
SELECT meter.charge('graduated: up to 170141183460469231731687303 at 1; above at 2 plus 1', 170141183460469231731687303);
\set VERBOSITY default

-- The reference: numeric arithmetic over the JSON form. div() is exact, so that
-- every amount is rounded half away from zero from its exact value.

CREATE FUNCTION settled(part numeric, price numeric, per numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT div(2 * part * price * 1e12 + per, 2 * per) * 0.000000000001
$$;

CREATE FUNCTION priced(tier jsonb, part numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN tier ? 'percent' THEN settled(part, (tier->>'percent')::numeric, 100)
        WHEN tier->>'packages' = 'started' THEN div(part + (tier->>'per')::numeric - 0.000000000001, (tier->>'per')::numeric) * (tier->>'price')::numeric
        WHEN tier->>'packages' = 'full' THEN div(part, (tier->>'per')::numeric) * (tier->>'price')::numeric
        ELSE settled(part, (tier->>'price')::numeric, coalesce((tier->>'per')::numeric, 1))
    END
$$;

CREATE FUNCTION reference(t jsonb, quantity numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    net numeric := greatest(quantity - coalesce((t->>'free')::numeric, 0), 0);
    lower_end numeric := 0;
    upper_end numeric;
    total numeric := 0;
    tier jsonb;
    charge_fee boolean := net > 0 OR coalesce((t->>'fee_at_zero')::boolean, true);
BEGIN
    IF t->>'model' = 'flat' THEN
        t := t || jsonb_build_object('tiers', jsonb_build_array(t));
    END IF;
    FOR tier IN SELECT value FROM jsonb_array_elements(t->'tiers') WITH ORDINALITY ORDER BY ordinality LOOP
        upper_end := (tier->>'up_to')::numeric;
        IF t->>'model' = 'volume' THEN
            IF upper_end IS NULL OR net <= upper_end THEN
                total := priced(tier, net);
                IF charge_fee THEN
                    total := total + coalesce((tier->>'fee')::numeric, 0);
                END IF;
                EXIT;
            END IF;
        ELSIF net > lower_end OR lower_end = 0 THEN
            total := total + priced(tier, least(net, coalesce(upper_end, net)) - lower_end);
            IF charge_fee THEN
                total := total + coalesce((tier->>'fee')::numeric, 0);
            END IF;
            lower_end := upper_end;
        END IF;
    END LOOP;
    total := total - settled(total, coalesce((t->>'discount')::numeric, 0), 100);
    total := least(total, coalesce((t->>'maximum')::numeric, total));
    RETURN greatest(total, coalesce((t->>'minimum')::numeric, 0));
END $$;

-- Random tariffs, in their JSON form: small and large numbers, with and without digits.

CREATE FUNCTION some_number(most numeric) RETURNS numeric LANGUAGE sql VOLATILE AS $$
    SELECT CASE floor(random() * 5)::int
        WHEN 0 THEN floor(random()::numeric * most)
        WHEN 1 THEN round(random()::numeric * most, 2)
        WHEN 2 THEN round(random()::numeric * most, 12)
        WHEN 3 THEN 0
        ELSE floor(random()::numeric * least(most, 10))
    END
$$;

CREATE FUNCTION some_price() RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    per numeric := greatest(some_number(1000), CASE WHEN random() < 0.5 THEN 100 ELSE 0.7 END);
    price jsonb := jsonb_build_object('price', some_number(100));
BEGIN
    price := CASE floor(random() * 5)::int
        WHEN 0 THEN price
        WHEN 1 THEN price || jsonb_build_object('per', per)
        WHEN 2 THEN price || jsonb_build_object('per', per, 'packages', 'started')
        WHEN 3 THEN price || jsonb_build_object('per', per, 'packages', 'full')
        ELSE jsonb_build_object('percent', some_number(100))
    END;
    IF random() < 0.4 THEN
        price := price || jsonb_build_object('fee', some_number(100));
    END IF;
    RETURN price;
END $$;

CREATE FUNCTION some_tariff() RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    t jsonb;
    tiers jsonb := '[]';
    bound numeric := 0;
    maximum numeric;
BEGIN
    IF random() < 0.2 THEN
        t := some_price() || '{"model": "flat"}';
    ELSE
        FOR i IN 1 .. floor(random() * 5)::int LOOP
            bound := bound + some_number(1000) + CASE WHEN random() < 0.5 THEN 1 ELSE 0.25 END;
            tiers := tiers || (some_price() || jsonb_build_object('up_to', bound));
        END LOOP;
        t := jsonb_build_object('model', CASE WHEN random() < 0.6 THEN 'graduated' ELSE 'volume' END,
            'tiers', tiers || some_price());
    END IF;
    IF random() < 0.3 THEN
        t := t || jsonb_build_object('free', some_number(500));
    END IF;
    IF random() < 0.3 THEN
        t := t || jsonb_build_object('discount', some_number(100));
    END IF;
    IF random() < 0.3 THEN
        maximum := some_number(50000);
        t := t || jsonb_build_object('maximum', maximum);
    END IF;
    IF random() < 0.3 THEN
        t := t || jsonb_build_object('minimum', least(some_number(50000), maximum));
    END IF;
    IF random() < 0.2 THEN
        t := t || '{"fee_at_zero": false}';
    END IF;
    RETURN t;
END $$;

SELECT setseed(0.5);
CREATE TABLE drawn AS
SELECT i AS id, t AS json, meter.tariff(t) AS tariff
FROM generate_series(1, 500) AS i, LATERAL (SELECT some_tariff() AS t OFFSET 0 * i) AS s;
-- quantities: random ones, nothing, and each bound with its neighbours
CREATE TABLE quantity AS
SELECT id, q FROM drawn, LATERAL (
    SELECT DISTINCT q FROM (
        SELECT some_number(2000 + 0 * id) FROM generate_series(1, 4)
        UNION ALL
        SELECT some_number(1e9 + 0 * id)
        UNION ALL
        SELECT 0
        UNION ALL
        SELECT (tier->>'up_to')::numeric + coalesce((json->>'free')::numeric, 0) + near
        FROM jsonb_array_elements(json->'tiers') AS tier, unnest(ARRAY[-0.000000000001, 0, 0.000000000001, 1]) AS near
        WHERE tier ? 'up_to'
    ) AS s (q) WHERE q >= 0
) AS d;
SELECT count(*) > 4000 AS enough, count(DISTINCT tariff::jsonb->>'model') AS models FROM quantity JOIN drawn USING (id);
-- none of the following has a row
SELECT tariff, q, meter.charge(tariff, q), reference(json, q)
FROM drawn JOIN quantity USING (id) WHERE meter.charge(tariff, q) IS DISTINCT FROM reference(json, q) LIMIT 5;
SELECT tariff FROM drawn WHERE tariff::text::meter.tariff <> tariff OR meter.tariff(tariff::jsonb) <> tariff;
-- lines add up to the charge, their quantities to the net quantity; overage is those with a price
SELECT tariff, q FROM drawn JOIN quantity USING (id), LATERAL (
    SELECT sum(amount) AS amount, sum(l.quantity) AS quantity, coalesce(sum(l.quantity) FILTER (WHERE price > 0), 0) AS overage,
        bool_and(kind <> 'tier' OR l.quantity <= coalesce(up_to, 1e20) - CASE json->>'model' WHEN 'volume' THEN 0 ELSE "from" END) AS inside
    FROM meter.charge_lines(tariff, q) AS l
) AS s
WHERE s.amount <> meter.charge(tariff, q) OR s.overage <> meter.overage(tariff, q) OR NOT s.inside
    OR s.quantity <> greatest(q - coalesce((json->>'free')::numeric, 0), 0) LIMIT 5;
-- charge_between telescopes from NULL
SELECT id FROM (
    SELECT id, tariff, q, meter.charge_between(tariff, lag(q) OVER (PARTITION BY id ORDER BY q), q) AS step
    FROM drawn JOIN quantity USING (id)
) AS s GROUP BY id, tariff HAVING sum(step) <> meter.charge(tariff, max(q));

-- marginal_charge: shares add up, also from reset to reset; the first is charge(q1)
CREATE TABLE shared AS
SELECT id, tariff, n, q, day, day::timestamptz AS instant, 'day ' || day AS label,
    tstzrange(day, day + 1) AS span, daterange(day, day + 1) AS days,
    meter.marginal_charge(tariff, q) OVER ordered AS share,
    meter.marginal_charge(tariff, q, day) OVER ordered AS by_date,
    meter.marginal_charge(tariff, q, day::timestamptz) OVER ordered AS by_instant,
    meter.marginal_charge(tariff, q, 'day ' || day) OVER ordered AS by_text,
    meter.marginal_charge(tariff, q, tstzrange(day, day + 1)) OVER ordered AS by_span,
    meter.marginal_charge(tariff, q, daterange(day, day + 1)) OVER ordered AS by_days
FROM (
    SELECT id, tariff, q, row_number() OVER (PARTITION BY id ORDER BY md5(q::text)) AS n
    FROM drawn JOIN quantity USING (id)
) AS numbered, LATERAL (SELECT nullif(date '2026-03-28' + (n / 3)::int, '2026-03-29') AS day) AS d
WINDOW ordered AS (PARTITION BY id ORDER BY n);
SELECT id FROM shared GROUP BY id, tariff HAVING sum(share) <> meter.charge(tariff, sum(q));
SELECT id, n FROM shared WHERE n = 1 AND share <> meter.charge(tariff, q);
SELECT id, day FROM shared GROUP BY id, tariff, day
HAVING sum(by_date) <> meter.charge(tariff, sum(q)) OR sum(by_instant) <> sum(by_date) OR sum(by_text) <> sum(by_date)
    OR sum(by_span) <> sum(by_date) OR sum(by_days) <> sum(by_date);
SELECT id, n FROM shared WHERE by_date <> by_instant OR by_date <> by_text OR by_date <> by_span OR by_date <> by_days;
-- each share is the step of charge_between, whatever the frame and the peers
SELECT count(*) FROM (
    SELECT share, sum(q) OVER w AS after, sum(q) OVER w - q AS before, n, tariff FROM shared
    WINDOW w AS (PARTITION BY id ORDER BY n)
) AS s WHERE share <> meter.charge_between(tariff, CASE WHEN n > 1 THEN before END, after);
SELECT array_agg(share) FROM (
    SELECT meter.marginal_charge('volume: up to 3 at 2; above at 1', 1) OVER (ORDER BY 1 RANGE CURRENT ROW) AS share FROM generate_series(1, 5)
) AS s;
-- whole quantities of each type, and totals that no bigint holds
SELECT id, n FROM (
    SELECT id, n,
        meter.marginal_charge(tariff, k::numeric) OVER ordered AS share, meter.marginal_charge(tariff, k) OVER ordered AS share8,
        meter.marginal_charge(tariff, k::integer) OVER ordered AS share4,
        meter.marginal_charge(tariff, k::numeric, day) OVER ordered AS by_date, meter.marginal_charge(tariff, k, day) OVER ordered AS by_date8,
        meter.marginal_charge(tariff, k::integer, instant) OVER ordered AS by_instant4, meter.marginal_charge(tariff, k, label) OVER ordered AS by_text8,
        meter.marginal_charge(tariff, k::integer, span) OVER ordered AS by_span4, meter.marginal_charge(tariff, k, days) OVER ordered AS by_days8
    FROM shared, LATERAL (SELECT least(trunc(q), 1000000)::bigint AS k) AS whole
    WINDOW ordered AS (PARTITION BY id ORDER BY n)
) AS s
WHERE share8 <> share OR share4 <> share OR by_date8 <> by_date OR by_instant4 <> by_date OR by_text8 <> by_date OR by_span4 <> by_date
    OR by_days8 <> by_date;
-- step by step through tiers, back now and then, by a tariff that is the same for all rows: the same as charge by charge
SELECT id, n, k, share, share8, expected FROM drawn, LATERAL (
    SELECT n, k, meter.marginal_charge(tariff, k::numeric) OVER ordered AS share, meter.marginal_charge(tariff, k) OVER ordered AS share8,
        meter.charge_between(tariff, CASE WHEN n > 0 THEN after - k END, after) AS expected
    FROM (SELECT n, k, sum(k) OVER (ORDER BY n) AS after FROM generate_series(0::bigint, 60) AS n,
        LATERAL (SELECT (ARRAY[0, 1, 1, 2, 0, 5, 11, -3, 40, 0, 100, -1])[1 + n % 12] * (1 + n / 24 * n) AS k) AS step) AS steps
    WINDOW ordered AS (ORDER BY n)) AS marginal
WHERE share IS DISTINCT FROM expected OR share8 IS DISTINCT FROM expected;
SELECT n, meter.marginal_charge('graduated: up to 10 at 2 plus 1; above at 0.5; free 3', n) OVER (ORDER BY n) AS share,
    meter.marginal_charge('at 2; minimum 9', n) OVER (ORDER BY n) AS at_least, meter.marginal_charge('at 2; maximum 9', n) OVER (ORDER BY n) AS at_most,
    meter.marginal_charge('at 2 per started 4', n) OVER (ORDER BY n) AS packages, meter.marginal_charge('at 1; discount 50%', n) OVER (ORDER BY n) AS less
FROM generate_series(0, 7) AS n;
SELECT q, meter.marginal_charge('at 1', q) OVER (ORDER BY n) AS share, meter.marginal_charge('at 1', q::numeric) OVER (ORDER BY n) AS same
FROM (VALUES (1, 9223372036854775807), (2, 9223372036854775807), (3, -9223372036854775807), (4, -9223372036854775807)) AS v (n, q);
-- a reset may bring another tariff; NULL rows have no share; corrections may be negative
SELECT at, meter.marginal_charge(tariff, q, month) OVER (ORDER BY at)
FROM (VALUES (1, 'at 1 plus 5'::meter.tariff, 2, 'a'), (2, 'at 1 plus 5', NULL, 'b'), (3, NULL, 7, 'c'), (4, 'at 1 plus 5', -1, 'a'),
    (5, 'at 2 plus 3', 2, NULL), (6, 'at 2 plus 3', 0, NULL), (7, 'at 1 plus 5', 2, 'a'), (8, 'at 1 plus 5', 2, 'aa')) AS v (at, tariff, q, month);
\set VERBOSITY terse
SELECT meter.marginal_charge(tariff, 1) OVER (ORDER BY n)
FROM (VALUES (1, 'at 1'::meter.tariff), (2, 'at 2')) AS v (n, tariff);
SELECT meter.marginal_charge('at 1', q) OVER (ORDER BY n) FROM (VALUES (1, 2), (2, -3)) AS v (n, q);
SELECT meter.marginal_charge('at 1', 2);
-- a partition much longer than what the window keeps, of a tariff that is stored out of line
CREATE TABLE large AS
SELECT ('graduated: ' || string_agg('up to ' || i || ' at ' || i % 7 || '; ', '' ORDER BY i) || 'above at 2')::meter.tariff AS tariff
FROM generate_series(1, 900) AS i;
SELECT sum(share), count(*), bool_and(meter.charge(tariff, n) = total) FROM (
    SELECT n, tariff, share, sum(share) OVER (ORDER BY n ROWS UNBOUNDED PRECEDING) AS total FROM (
        SELECT n, tariff, meter.marginal_charge(tariff, 1) OVER (ORDER BY n) AS share FROM large, generate_series(1, 1000) AS n
    ) AS s
) AS s;
SELECT meter.charge(tariff, 1000), meter.total_charge(tariff, 1) FROM large, generate_series(1, 1000) GROUP BY 1;

-- total_charge: serial, hashed and sorted, as a window, in parallel, through partitions
SELECT meter.total_charge('at 5 per started 10', n) FROM generate_series(1, 10) AS n;
SELECT meter.total_charge('at 5', n) FROM generate_series(1, 0) AS n;
SELECT meter.total_charge(tariff, q) FROM (VALUES ('at 5'::meter.tariff, NULL), (NULL, 1), ('at 5', 2), (NULL, NULL), ('at 5', -1)) AS v (tariff, q);
SELECT meter.total_charge(tariff, q) FROM (VALUES (NULL::meter.tariff, 1), ('at 5', NULL)) AS v (tariff, q);
SELECT meter.total_charge(tariff, 1) FROM (VALUES ('at 1'::meter.tariff), ('at 2')) AS v (tariff);
SELECT meter.total_charge('at 1', q) FROM (VALUES (2), (-3)) AS v (q);
SELECT meter.total_charge('at 1', q) FROM (VALUES (170141183460469231731687303), (1)) AS v (q);
CREATE TABLE used AS
SELECT id, q, tariff FROM drawn JOIN quantity USING (id);
ALTER TABLE used SET (parallel_workers = 2);
CREATE TABLE expected AS SELECT id, reference(json, sum(q)) AS charge FROM drawn JOIN quantity USING (id) GROUP BY id, json;
SELECT count(*) FROM expected JOIN (SELECT id, meter.total_charge(tariff, q) AS charge FROM used GROUP BY id) AS s USING (id) WHERE s.charge <> expected.charge;
SET enable_hashagg = off;
SELECT count(*) FROM expected JOIN (SELECT id, meter.total_charge(tariff, q) AS charge FROM used GROUP BY id) AS s USING (id) WHERE s.charge <> expected.charge;
RESET enable_hashagg;
SELECT count(*) FROM expected JOIN (
    SELECT DISTINCT id, meter.total_charge(tariff, q) OVER (PARTITION BY id) AS charge FROM used
) AS s USING (id) WHERE s.charge <> expected.charge;
SELECT count(*) FROM (
    SELECT tariff, meter.total_charge(tariff, q) OVER w AS charge, sum(q) OVER w AS q FROM used
    WINDOW w AS (PARTITION BY id ORDER BY q ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)
) AS s WHERE charge <> meter.charge(tariff, q);
CREATE FUNCTION plan_has(query text, node text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line LIKE '%' || node || '%' THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT plan_has('SELECT id, meter.total_charge(tariff, q) FROM used GROUP BY id', 'Partial') AS parallel;
SELECT count(*) FROM expected JOIN (SELECT id, meter.total_charge(tariff, q) AS charge FROM used GROUP BY id) AS s USING (id) WHERE s.charge <> expected.charge;
SELECT meter.total_charge('volume: up to 1000 at 0.5; above at 0.25 plus 7; free 10', q) = reference('{"model": "volume", "tiers": [{"up_to": 1000, "price": 0.5}, {"price": 0.25, "fee": 7}], "free": 10}', sum(q)) AS same FROM used;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;
-- The state is a value: it can be stored and combined, and calling its functions by hand changes nothing.
SELECT a, meter.total_charge_accum(a, 'at 2', 3) AS added, meter.total_charge_combine(a, 'quantity 4; at 2') AS combined,
    meter.total_charge_combine(NULL, a) AS kept, meter.total_charge_final(a), a AS still
FROM (VALUES ('quantity 1; at 2'::meter.charge_state)) AS v (a);
-- total_charge of whole quantities is that of the same numerics
SELECT meter.total_charge('graduated: up to 10 at 1; above at 0.5', i) AS of_integer, meter.total_charge('graduated: up to 10 at 1; above at 0.5', i::bigint) AS of_bigint,
	meter.total_charge('graduated: up to 10 at 1; above at 0.5', i::numeric) AS of_numeric
FROM generate_series(1, 10) AS i;
