-- Every aggregate: serial = parallel = partition by partition = over a window = from
-- states that went through text and binary, and all of them the plain SQL.

CREATE TABLE row_of (
    id bigint, g integer, chunk integer, at timestamptz, quantity numeric, whole bigint, small integer,
    tariff meter.tariff, anchor timestamptz, anchor_date date, every interval, zone text,
    item text, variant text, usage meter.usage, value numeric, fraction numeric,
    wallet meter.wallet, pool text, breakdown meter.breakdown
) PARTITION BY HASH (g);
CREATE TABLE row_of_0 PARTITION OF row_of FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE row_of_1 PARTITION OF row_of FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE row_of_2 PARTITION OF row_of FOR VALUES WITH (MODULUS 3, REMAINDER 2);

-- A group has one tariff, anchor, length and zone; groups are of very different sizes, and
-- the last one has nothing but NULLs.
INSERT INTO row_of
SELECT e.id, e.g, pick(e.id, 201, 5), e.at,
       CASE WHEN pick(e.id, 202, 50) = 0 THEN NULL ELSE trunc(decimal_of(e.id, 203, 5), 11) END,
       h(e.id, 204) % 1000000, pick(e.id, 205, 10000),
       t.tariff,
       timestamptz '2025-01-31 13:00Z' + pick(e.g, 206, 60) * interval '1 day',
       date '2025-01-31' + pick(e.g, 206, 60),
       (ARRAY[interval '1 month', '7 days', '1 year', '3 months', '36 hours', '1 day'])[1 + pick(e.g, 207, 6)],
       (ARRAY['Europe/Berlin', 'UTC', 'America/New_York', 'Pacific/Apia', 'Asia/Kolkata'])[1 + pick(e.g, 208, 5)],
       e.item, e.variant, e.usage,
       CASE pick(e.id, 209, 40) WHEN 0 THEN NULL WHEN 1 THEN 0 ELSE decimal_of(e.id, 210, 7) END,
       CASE e.g % 3 WHEN 0 THEN 0.05 WHEN 1 THEN 0.5 ELSE 1 END
FROM (SELECT *, least(pick(id, 200, 37), pick(id, 211, 37)) AS g FROM event WHERE id <= 20000) AS e
JOIN (SELECT row_number() OVER (ORDER BY id) - 1 AS n, tariff FROM tariff
      WHERE id NOT IN (SELECT id FROM tier_row WHERE per < 0.001) ORDER BY id LIMIT 37) AS t ON t.n = e.g;
INSERT INTO row_of (id, g, chunk) SELECT -i, 37, i % 5 FROM generate_series(1, 20) AS i;
-- rates and usage small enough that no sum leaves the range
CREATE TABLE mild_card AS
SELECT meter.rate_card(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence) AS card
FROM rate_row WHERE card = 1 AND per >= 0.001;
UPDATE row_of SET usage = '{}' WHERE EXISTS (SELECT FROM meter.each(usage) AS u WHERE abs(u.quantity) > 10000000);
-- a group has one wallet, some of which were burned before; some rows lack theirs
UPDATE row_of SET wallet = w.wallet, pool = (ARRAY['x', 'y', 'z', NULL])[1 + pick(id, 212, 4)]
FROM (SELECT g, CASE g % 4 WHEN 1 THEN meter.spend(wallet, first - interval '1 day', 50, 'x')
                           WHEN 2 THEN meter.spend(wallet, first + 0.5 * width, 5) ELSE wallet END AS wallet
      FROM (SELECT g, min(at) AS first, max(at) - min(at) AS width FROM row_of WHERE at IS NOT NULL GROUP BY g) AS span,
          LATERAL (SELECT meter.wallet('lot' || i, 1000 * i, (ARRAY['x', 'y', NULL])[1 + i % 3], i % 2, first + 0.2 * i * width,
                                       first + (0.2 * i + 0.3) * width, NULL, 500, first + (0.2 * i + 0.4) * width, i) AS wallet
                   FROM generate_series(0, g % 6) AS i) AS made) AS w
WHERE w.g = row_of.g AND pick(id, 213, 30) > 0;
-- a breakdown of one or two entries, where there is a usage
UPDATE row_of
SET breakdown = (
    SELECT jsonb_agg(jsonb_strip_nulls(entry) || jsonb_build_object('usage', usage::jsonb))::meter.breakdown
    FROM (VALUES (true, jsonb_build_object('item', item, 'variant', variant, 'events', small, 'cost', value, 'unpriced_credits', -small)),
                 (small % 2 = 0, jsonb_build_object('action', item, 'outcome', pool, 'request_class', nullif(small % 3, 0)::text, 'events', -1, 'credits', -quantity, 'unpriced_cost', whole))) AS v (there, entry)
    WHERE there)
WHERE usage IS NOT NULL;
ANALYZE row_of;
CREATE TABLE plain_row AS SELECT * FROM row_of;
CREATE TABLE card_row AS
SELECT card AS g, pick(h(hashtext(item || unit || valid::text), precedence), 220, 5) AS chunk, *
FROM rate_row WHERE card <= 20;
ANALYZE plain_row, card_row;

CREATE TABLE book AS
SELECT jsonb_object_agg(g, jsonb_build_object('tariff', tariff, 'anchor', anchor_date, 'timezone', zone)) AS book
FROM (SELECT DISTINCT ON (g) g, tariff, anchor_date, zone FROM row_of WHERE tariff IS NOT NULL ORDER BY g) AS payer;

CREATE TABLE wallet_book AS
SELECT meter.wallet_book(g, wallet) AS book
FROM (SELECT DISTINCT g, wallet FROM row_of WHERE wallet IS NOT NULL AND g % 7 > 0) AS holder;

CREATE TABLE aggregate_of (n integer PRIMARY KEY, signature regprocedure, arguments text, source text, states text, type text);
INSERT INTO aggregate_of (n, signature, arguments, source) VALUES
    (1, 'pg_catalog.sum(meter.usage)', 'usage', 'row'),
    (2, 'meter.total_cost(meter.rate_card, text, timestamptz, meter.usage, text)',
        '(SELECT card FROM prop.mild_card), item, at, usage, variant', 'row'),
    (3, 'meter.total_cost(meter.rate_card, text, timestamptz, meter.usage)',
        '(SELECT card FROM prop.mild_card), item, at, usage', 'row'),
    (25, 'meter.event_sums(meter.rate_card, meter.rate_card, text, text, timestamptz, meter.usage, text, smallint)',
        '(SELECT card FROM prop.mild_card), (SELECT card FROM prop.mild_card), item, CASE WHEN small % 3 = 0 THEN item END, at, usage, variant, (1 - chunk % 2 * 2)::smallint', 'row'),
    (26, 'meter.sum(meter.breakdown)', 'breakdown', 'row'),
    (28, 'meter.sum_by(meter.breakdown, boolean, boolean, boolean, boolean, boolean)',
        'breakdown, g & 1 > 0, g & 2 > 0, g & 4 > 0, g & 8 > 0, g & 16 > 0', 'row'),
    (27, 'meter.break_down(meter.rate_card, meter.rate_card, text, text, timestamptz, meter.usage, text, smallint, text, text, text)',
        '(SELECT card FROM prop.mild_card), (SELECT card FROM prop.mild_card), CASE WHEN small % 7 > 0 THEN item END, CASE WHEN small % 3 = 0 THEN item END, CASE WHEN small % 11 > 0 THEN at END, CASE WHEN small % 13 > 0 THEN usage END, CASE WHEN small % 5 > 0 THEN variant END, CASE WHEN small % 17 > 0 THEN (1 - chunk % 2 * 2)::smallint END, CASE WHEN small % 4 > 0 THEN item END, pool, CASE WHEN small % 19 = 0 THEN zone END', 'row'),
    (16, 'meter.total_cost(meter.rate_card, text, timestamptz, text, "any")',
        '(SELECT card FROM prop.mild_card), item, at, ''input_tokens'', whole, ''output_tokens'', quantity, ''x'', small, ''cache_read_tokens'', small', 'row'),
    (4, 'meter.total_charge(meter.tariff, numeric)', 'tariff, quantity', 'row'),
    (17, 'meter.total_charge(meter.tariff, bigint)', 'tariff, whole', 'row'),
    (18, 'meter.total_charge(meter.tariff, integer)', 'tariff, small', 'row'),
    (19, 'meter.charges_by_period(jsonb, text, timestamptz, numeric, interval)',
        '(SELECT book FROM prop.book), g::text, at, quantity, every', 'row'),
    (20, 'meter.charges_by_period(jsonb, text, timestamptz, bigint, interval)',
        '(SELECT book FROM prop.book), g::text, at, whole, every', 'row'),
    (21, 'meter.charges_by_period(jsonb, text, timestamptz, integer, interval)',
        '(SELECT book FROM prop.book), g::text, at, small, every', 'row'),
    (22, 'meter.charges_by_period(jsonb, bigint, timestamptz, numeric, interval)',
        '(SELECT book FROM prop.book), g, at, quantity, every', 'row'),
    (23, 'meter.charges_by_period(jsonb, bigint, timestamptz, bigint, interval)',
        '(SELECT book FROM prop.book), g, at, whole, every', 'row'),
    (24, 'meter.charges_by_period(jsonb, bigint, timestamptz, integer, interval)',
        '(SELECT book FROM prop.book), g, at, small, every', 'row'),
    (5, 'meter.charges_by_period(meter.tariff, timestamptz, numeric, timestamptz, interval, text)',
        'tariff, at, quantity, anchor, every, zone', 'row'),
    (6, 'meter.charges_by_period(meter.tariff, timestamptz, bigint, timestamptz, interval, text)',
        'tariff, at, whole, anchor, every, zone', 'row'),
    (7, 'meter.charges_by_period(meter.tariff, timestamptz, integer, timestamptz, interval, text)',
        'tariff, at, small, anchor, every, zone', 'row'),
    (8, 'meter.charges_by_period(meter.tariff, timestamptz, numeric, date, interval, text)',
        'tariff, at, quantity, anchor_date, every, zone', 'row'),
    (9, 'meter.charges_by_period(meter.tariff, timestamptz, bigint, date, interval, text)',
        'tariff, at, whole, anchor_date, every, zone', 'row'),
    (10, 'meter.charges_by_period(meter.tariff, timestamptz, integer, date, interval, text)',
        'tariff, at, small, anchor_date, every, zone', 'row'),
    (65, 'meter.burn(meter.wallet, timestamptz, numeric)', 'wallet, at, quantity', 'row'),
    (66, 'meter.burn(meter.wallet, timestamptz, bigint)', 'wallet, at, whole', 'row'),
    (67, 'meter.burn(meter.wallet, timestamptz, integer)', 'wallet, at, small', 'row'),
    (68, 'meter.burn(meter.wallet, timestamptz, numeric, text)', 'wallet, at, -quantity, pool', 'row'),
    (69, 'meter.burn(meter.wallet, timestamptz, bigint, text)', 'wallet, at, whole, pool', 'row'),
    (70, 'meter.burn(meter.wallet, timestamptz, integer, text)', 'wallet, at, small, pool', 'row'),
    (73, 'meter.burn(meter.wallet_book, text, timestamptz, numeric)', '(SELECT book FROM prop.wallet_book), g::text, at, quantity', 'row'),
    (74, 'meter.burn(meter.wallet_book, text, timestamptz, bigint)', '(SELECT book FROM prop.wallet_book), g::text, at, whole', 'row'),
    (75, 'meter.burn(meter.wallet_book, text, timestamptz, integer)', '(SELECT book FROM prop.wallet_book), g::text, at, small', 'row'),
    (76, 'meter.burn(meter.wallet_book, bigint, timestamptz, numeric)', '(SELECT book FROM prop.wallet_book), g, at, quantity', 'row'),
    (77, 'meter.burn(meter.wallet_book, bigint, timestamptz, bigint)', '(SELECT book FROM prop.wallet_book), g, at, whole', 'row'),
    (78, 'meter.burn(meter.wallet_book, bigint, timestamptz, integer)', '(SELECT book FROM prop.wallet_book), g, at, small', 'row'),
    (79, 'meter.burn(meter.wallet_book, text, timestamptz, numeric, text)', '(SELECT book FROM prop.wallet_book), g::text, at, quantity, pool', 'row'),
    (80, 'meter.burn(meter.wallet_book, text, timestamptz, bigint, text)', '(SELECT book FROM prop.wallet_book), g::text, at, whole, pool', 'row'),
    (81, 'meter.burn(meter.wallet_book, text, timestamptz, integer, text)', '(SELECT book FROM prop.wallet_book), g::text, at, small, pool', 'row'),
    (82, 'meter.burn(meter.wallet_book, bigint, timestamptz, numeric, text)', '(SELECT book FROM prop.wallet_book), g, at, quantity, pool', 'row'),
    (83, 'meter.burn(meter.wallet_book, bigint, timestamptz, bigint, text)', '(SELECT book FROM prop.wallet_book), g, at, whole, pool', 'row'),
    (84, 'meter.burn(meter.wallet_book, bigint, timestamptz, integer, text)', '(SELECT book FROM prop.wallet_book), g, at, small, pool', 'row'),
    (85, 'meter.wallet_book(text, meter.wallet)', 'id::text, wallet', 'row'),
    (86, 'meter.wallet_book(bigint, meter.wallet)', 'id, wallet', 'row'),
    (71, 'meter.wallet(text, numeric, text, integer, timestamptz, timestamptz, timestamptz, numeric, timestamptz, numeric)',
        'id::text, 1 + abs(coalesce(value, 0)), pool, small % 3, at, at + small * interval ''1 hour'', anchor, small, at + whole * interval ''1 minute'', value', 'row'),
    (72, 'meter.wallet(text, numeric, text, integer, timestamptz, timestamptz, timestamptz, numeric, timestamptz)',
        'id::text, 1 + abs(coalesce(value, 0)), NULL, small % 3, at, NULL, anchor, NULL, NULL', 'row'),
    (11, 'meter.gini(numeric)', 'value', 'row'),
    (12, 'meter.top_share(numeric, numeric)', 'value, fraction', 'row'),
    (13, 'meter.rate_card(text, text, numeric, numeric, tstzrange, text, numeric, time, time, integer)',
        'item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence', 'card'),
    (14, 'meter.rate_card(text, text, numeric, numeric, tstzrange)',
        '''item'' || precedence || variant || coalesce(context_from, 0) || coalesce(daily_from::text, '''') || item, unit, price, per, valid', 'card'),
    (15, 'meter.rate_card(text, text, numeric, numeric)',
        'item || unit || md5(card_row::text), unit, price, per', 'card');

CALL must_be_empty('every aggregate of the extension is looked at here', 1, $$
    SELECT a.aggfnoid::regprocedure FROM pg_aggregate AS a
    JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = a.aggfnoid AND d.deptype = 'e'
    JOIN pg_extension AS x ON x.oid = d.refobjid AND x.extname = 'meter'
    WHERE a.aggfnoid NOT IN (SELECT signature FROM prop.aggregate_of)$$);
CALL must_be_empty('every state is a real type with a combine function, and no aggregate is finished twice', 1, $$
    SELECT aggfnoid::regprocedure FROM pg_aggregate WHERE aggfnoid IN (SELECT signature FROM prop.aggregate_of)
    AND (aggtranstype = 'internal'::regtype OR aggcombinefn = 0 OR agginitval IS NOT NULL)$$);

CREATE TABLE result_of (n integer, way text, g integer, result text);

-- Runs an aggregate under some settings and keeps its results. The plan is kept too, where it
-- has to have a shape.
CREATE FUNCTION run(way text, query text, needs text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
    a record;
BEGIN
    FOR a IN SELECT *, signature::regproc::text AS name FROM aggregate_of ORDER BY n LOOP
        DECLARE
            statement text := replace(replace(replace(replace(query, '@call', format('%s(%s)', a.name, a.arguments)),
                '@arguments', a.arguments), '@name', a.name), '@n', a.n::text);
        BEGIN
            statement := replace(statement, '@row', CASE a.source WHEN 'row' THEN 'prop.plain_row' ELSE 'prop.card_row' END);
            CONTINUE WHEN statement LIKE '%row_of%' AND a.source <> 'row';
            IF needs IS NOT NULL THEN
                plan := '';
                FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || statement LOOP
                    plan := plan || line || E'\n';
                END LOOP;
                IF plan NOT LIKE needs THEN
                    INSERT INTO failure (property, detail) VALUES (format('%s: the plan is one', way), a.name || E'\n' || plan);
                END IF;
            END IF;
            EXECUTE format('INSERT INTO prop.result_of SELECT %s, %L, q.* FROM (%s) AS q', a.n, way, statement);
        END;
    END LOOP;
END
$$;

SET max_parallel_workers_per_gather = 0;
SELECT run('serial', 'SELECT g, (@call)::text FROM @row GROUP BY g');
SELECT run('serial in another order', 'SELECT g, (@call)::text FROM (SELECT * FROM @row AS card_row ORDER BY md5(card_row::text)) AS card_row GROUP BY g');
-- one row of a window says it for all: printing a card for every row takes long
SELECT run('window', 'SELECT g, r::text FROM (SELECT g, row_number() OVER (PARTITION BY g) AS k,
    @name(@arguments) OVER (PARTITION BY g ORDER BY chunk ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS r
    FROM @row) AS w WHERE k = 1');
SELECT run('window over peers', 'SELECT g, r::text FROM (SELECT g, row_number() OVER (PARTITION BY g) AS k,
    @name(@arguments) OVER (PARTITION BY g) AS r FROM @row) AS w WHERE k = 1');

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = on;
ALTER TABLE plain_row SET (parallel_workers = 2);
ALTER TABLE card_row SET (parallel_workers = 2);
SELECT set_config('enable_sort', 'off', false);
SELECT run('parallel', 'SELECT g, (@call)::text FROM @row GROUP BY g', '%Partial%');
SET parallel_leader_participation = off;
SELECT run('parallel, workers only', 'SELECT g, (@call)::text FROM @row GROUP BY g', '%Partial%');
RESET parallel_leader_participation;
RESET enable_sort;

SET max_parallel_workers_per_gather = 0;
SET enable_partitionwise_aggregate = on;
SELECT run('partition by partition', 'SELECT g, (@call)::text FROM prop.row_of GROUP BY g', '%Append%Aggregate%');
RESET enable_partitionwise_aggregate;

-- States of chunks, combined by an aggregate whose transition is the combine function: as
-- they are, through their text, and through their binary form, which takes another program
-- (see states.pl).
DO $$
DECLARE
    a record;
    f record;
BEGIN
    FOR a IN SELECT *, signature::regproc::text AS name FROM prop.aggregate_of ORDER BY n LOOP
        SELECT aggtransfn::regproc::text AS trans, aggcombinefn::regproc::text AS combine, aggfinalfn::regproc::text AS final,
               format_type(aggtranstype, NULL) AS state,
               (SELECT string_agg(CASE WHEN t = '"any"'::regtype THEN 'VARIADIC ' ELSE '' END || format_type(t, NULL), ', ')
                FROM unnest(p.proargtypes) AS t) AS types
        INTO f FROM pg_aggregate JOIN pg_proc AS p ON p.oid = aggfnoid WHERE aggfnoid = a.signature;
        EXECUTE format('CREATE AGGREGATE prop.state_%s (%s) (SFUNC = %s, STYPE = %s, COMBINEFUNC = %s, PARALLEL = SAFE)',
                       a.n, f.types, f.trans, f.state, f.combine);
        EXECUTE format('CREATE AGGREGATE prop.combined_%s (%s) (SFUNC = %s, STYPE = %s, FINALFUNC = %s)',
                       a.n, f.state, f.combine, f.state, f.final);
        UPDATE prop.aggregate_of
        SET type = f.state,
            states = format('SELECT g, chunk, prop.state_%s(%s) AS state FROM prop.%s GROUP BY g, chunk',
                            n, arguments, CASE source WHEN 'row' THEN 'plain_row' ELSE 'card_row' END)
        WHERE n = a.n;
    END LOOP;
    FOR a IN SELECT * FROM prop.aggregate_of ORDER BY n LOOP
        EXECUTE format($q$
            INSERT INTO prop.result_of
            SELECT %1$s, way, g, result FROM (
                SELECT g, prop.combined_%1$s(state ORDER BY chunk)::text AS one,
                       prop.combined_%1$s(state ORDER BY chunk DESC)::text AS two,
                       prop.combined_%1$s(state::text::%2$s ORDER BY chunk)::text AS three
                FROM (%3$s) AS s GROUP BY g) AS c
            CROSS JOIN LATERAL (VALUES ('combined states', one), ('combined states in another order', two),
                                       ('states through text', three)) AS v (way, result)$q$, a.n, a.type, a.states);
        EXECUTE format($q$
            INSERT INTO prop.failure (property, detail)
            SELECT 'in(out(state)) is the state', %2$L || ' ' || left(state::text, 200)
            FROM (%1$s) AS s WHERE state::text <> state::text::%2$s::text$q$, a.states, a.type);
    END LOOP;
END
$$;
