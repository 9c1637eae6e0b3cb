-- Splitting amounts, and how unequal parts are.

-- Parts add up to the total; what is left goes to those that lost most, then to the first.
SELECT w, meter.allocate(100, w, 2) OVER (ORDER BY n) AS share
FROM (VALUES (1, 1), (2, 1), (3, 1), (4, NULL), (5, 0)) AS t (n, w) ORDER BY n;
SELECT w, meter.allocate(100, w, 2) OVER (ORDER BY n DESC) AS share
FROM (VALUES (1, 1), (2, 1), (3, 1)) AS t (n, w) ORDER BY n;
SELECT w, meter.allocate(-0.05, w, 2) OVER (ORDER BY n) AS negative, meter.allocate(10, w) OVER (ORDER BY n) AS twelve, meter.allocate(7, w, 0) OVER (ORDER BY n) AS whole
FROM (VALUES (1, 1), (2, 2), (3, 3.5)) AS t (n, w) ORDER BY n;
SELECT p, w, meter.allocate(t, w, 2) OVER (PARTITION BY p ORDER BY w) AS share
FROM (VALUES ('a', 10, 1), ('a', 10, 2), ('b', 0, 1), ('b', 0, 5), ('c', NULL, 1), ('d', 1, 3)) AS v (p, t, w) ORDER BY p, w;
-- Weights and totals at the ends of the range
SELECT meter.allocate(170141183460469231731687303.715884105727, w) OVER (ORDER BY w) AS share
FROM (VALUES (0.000000000001), (85070591730234615865843651.857942052863), (85070591730234615865843651.857942052863)) AS t (w);
SELECT meter.allocate(0.000000000003, w) OVER (ORDER BY w) AS share
FROM (VALUES (0.000000000001), (0.000000000001), (170141183460469231731687303)) AS t (w);

-- Random partitions against largest remainder in plain SQL
CREATE TEMP TABLE split AS
SELECT n, n % 97 AS p, (n * 7919 % 10007)::numeric / 100 AS w, ((n % 97) * 1237 % 9973 - 3000)::numeric / 100 AS t FROM generate_series(1, 5000) AS n;
WITH plain AS (
    SELECT *, trunc(abs(t) * 100 * w / sum(w) OVER q) AS whole, mod(abs(t) * 100 * w, sum(w) OVER q) AS rest FROM split WINDOW q AS (PARTITION BY p)
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY p ORDER BY rest DESC, n) AS rank, abs(t) * 100 - sum(whole) OVER (PARTITION BY p) AS spare FROM plain
), expected AS (
    SELECT n, sign(t) * (whole + (rank <= spare)::int) / 100 AS share FROM ranked
), actual AS (
    SELECT n, t, p, meter.allocate(t, w, 2) OVER (PARTITION BY p ORDER BY n) AS share FROM split
)
SELECT count(*) AS n, count(*) FILTER (WHERE a.share IS DISTINCT FROM e.share) AS differ,
    (SELECT count(*) FROM (SELECT p FROM actual GROUP BY p HAVING sum(share) <> max(t)) AS x) AS unequal
FROM actual AS a JOIN expected AS e USING (n);
-- One large partition
SELECT count(*), sum(share) FROM (SELECT meter.allocate(1000000.01, n % 1000, 2) OVER () AS share FROM generate_series(1, 200000) AS n) AS t;

\set VERBOSITY terse
SELECT meter.allocate(0.051, w, 2) OVER () FROM (VALUES (1), (2)) AS t (w);
SELECT meter.allocate(1, w) OVER () FROM (VALUES (0), (0)) AS t (w);
SELECT meter.allocate(1, NULL) OVER ();
SELECT meter.allocate(1, -1) OVER ();
SELECT meter.allocate(1, 1, 13) OVER ();
SELECT meter.allocate(1, 1, -1) OVER ();
SELECT meter.allocate(1, 1, NULL) OVER ();
SELECT meter.allocate(t, 1) OVER () FROM (VALUES (1), (2)) AS v (t);
SELECT meter.allocate(t, 1) OVER () FROM (VALUES (1), (NULL)) AS v (t);
SELECT meter.allocate(1, 'NaN') OVER ();
SELECT meter.allocate(1, w) OVER () FROM (VALUES (170141183460469231731687303.7), (0.1)) AS t (w);
\set VERBOSITY default

-- gini and top_share
SELECT meter.gini(x) AS gini, meter.top_share(x, 0) AS none, meter.top_share(x, 0.05) AS top5, meter.top_share(x, 0.051) AS top6, meter.top_share(x, 1) AS everybody, meter.gini(1) AS equal FROM generate_series(1, 100) AS x;
SELECT meter.gini(x) AS one_has_all FROM (VALUES (0), (0), (0), (5)) AS t (x);
SELECT meter.gini(x) AS zero, meter.top_share(x, 0.5) AS top FROM (VALUES (0), (0)) AS t (x);
SELECT meter.gini(x) AS none, meter.top_share(x, 0.5) AS top FROM (VALUES (NULL::numeric)) AS t (x);
SELECT meter.gini(x) AS single, meter.top_share(x, 0.01) AS top FROM (VALUES (3), (NULL)) AS t (x);
SELECT meter.gini(x) AS largest, meter.top_share(x, 0.5) AS top FROM (VALUES (170141183460469231731687303.715884105727), (170141183460469231731687303.715884105727), (0), (0)) AS t (x);
SELECT meter.gini(x) AS smallest FROM (VALUES (0.000000000001), (0.000000000002)) AS t (x);

CREATE TEMP TABLE val AS SELECT n % 7 AS g, (n * 7919 % 100003)::numeric / 997 AS x FROM generate_series(1, 20000) AS n;
WITH ranked AS (
    SELECT g, round(x, 12) AS x, row_number() OVER (PARTITION BY g ORDER BY x) AS i, count(*) OVER (PARTITION BY g) AS n FROM val
), plain AS (
    SELECT g, round(sum((2 * i - n - 1) * x) / (max(n) * sum(x)), 12) AS gini, round(sum(x) FILTER (WHERE i > n - ceil(n * 0.07)) / sum(x), 12) AS top FROM ranked GROUP BY g
), ours AS (
    SELECT g, meter.gini(round(x, 12)) AS gini, meter.top_share(round(x, 12), 0.07) AS top FROM val GROUP BY g
)
SELECT count(*) AS groups, count(*) FILTER (WHERE p.gini <> o.gini OR p.top <> o.top) AS differ FROM plain AS p JOIN ours AS o USING (g);

-- Serial, parallel, partial and combined, stored and read back: one answer
CREATE TABLE share_value AS SELECT g, round(x, 12) AS x FROM val;
CREATE AGGREGATE gini_partial(numeric) (SFUNC = meter.gini_accum, STYPE = meter.value_list);
CREATE AGGREGATE gini_merge(meter.value_list) (SFUNC = meter.value_list_combine, STYPE = meter.value_list, FINALFUNC = meter.gini_final);
CREATE TABLE part AS SELECT n, gini_partial(x) AS state FROM (SELECT x, row_number() OVER () % 13 AS n FROM share_value) AS t GROUP BY n;
SELECT current_setting('data_directory') || '/share_state' AS file \gset
CREATE TABLE part_read (LIKE part);
COPY part TO :'file' (FORMAT binary);
COPY part_read FROM :'file' (FORMAT binary);
SELECT (SELECT meter.gini(x) FROM share_value) = gini_merge(state) AS merged,
    (SELECT meter.gini(x) FROM share_value) = gini_merge(state::text::meter.value_list) AS through_text,
    (SELECT meter.gini(x) FROM share_value) = (SELECT gini_merge(state) FROM part_read) AS through_binary
FROM part;
SELECT meter.gini(x) AS gini, meter.top_share(x, 0.05) AS top FROM share_value;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS off) SELECT meter.gini(x), meter.top_share(x, 0.05) FROM share_value;
SELECT meter.gini(x) AS gini, meter.top_share(x, 0.05) AS top FROM share_value;
-- A window frame never changes a state that another row still needs
SELECT count(*) AS rows, count(*) FILTER (WHERE running IS DISTINCT FROM (SELECT meter.gini(y) FROM generate_series(1, n) AS y)) AS differ
FROM (SELECT n, meter.gini(n) OVER (ORDER BY n) AS running FROM generate_series(1, 60) AS n) AS t;
-- Called outside of an aggregate, a transition copies.
SELECT meter.gini_final(meter.gini_accum(state, 100)) <> meter.gini_final(state) AS changed, meter.gini_final(state) = meter.gini_final(state) AS kept FROM part WHERE n = 1;

\set VERBOSITY terse
SELECT meter.gini(-1);
SELECT meter.top_share(1, 1.1);
SELECT meter.top_share(1, -0.1);
SELECT meter.top_share(1, f) FROM (VALUES (0.1), (0.2)) AS t (f);
SELECT ''::meter.value_list;
SELECT 'zz'::meter.value_list;
SELECT '02'::meter.value_list;
SELECT '0100000000000000000000000000000000ffffffff'::meter.value_list;
SELECT ('01' || repeat('00', 16) || '00000001' || repeat('ff', 16))::meter.value_list;
SELECT ('01' || repeat('00', 16) || '00000001' || repeat('00', 17))::meter.value_list;
DROP TABLE share_value, part, part_read;
DROP AGGREGATE gini_partial(numeric);
DROP AGGREGATE gini_merge(meter.value_list);
