--
-- usage: the type, its constructor, operators, and the aggregate sum
--
\set VERBOSITY terse
SET TimeZone = 'UTC';

-- text: canonical order, numbers without trailing zeros, zeros kept
SELECT '{}'::meter.usage;
SELECT ' { "output_tokens" : 88 ,	"input_tokens":1200.50, "zeta":-0.000000000001, "abc":1e3, "requests":0 } '::meter.usage;
SELECT '{"a": 170141183460469231731687303.715884105727, "b": -170141183460469231731687303.715884105727,
	"c": 9223372036854775807, "d": -9223372036854775808, "e": 9223372036854775808, "f": -0}'::meter.usage;
-- the longest name, and one more
SELECT ('{"' || repeat('x', 63) || '": 1}')::meter.usage;
SELECT ('{"' || repeat('x', 64) || '": 1}')::meter.usage;

-- what is not a usage
SELECT ''::meter.usage;
SELECT '[]'::meter.usage;
SELECT '{'::meter.usage;
SELECT '{"a"}'::meter.usage;
SELECT '{"a":}'::meter.usage;
SELECT '{"a": 1,}'::meter.usage;
SELECT '{"a": 1} x'::meter.usage;
SELECT '{"a": 01}'::meter.usage;
SELECT '{"a": +1}'::meter.usage;
SELECT '{"a": 1.}'::meter.usage;
SELECT '{"a": NaN}'::meter.usage;
SELECT '{"a": "1"}'::meter.usage;
SELECT '{"a": null}'::meter.usage;
SELECT '{"a": {"b": 1}}'::meter.usage;
SELECT '{a: 1}'::meter.usage;
SELECT '{"": 1}'::meter.usage;
SELECT '{"Input_tokens": 1}'::meter.usage;
SELECT '{"1a": 1}'::meter.usage;
SELECT '{"a\u0062": 1}'::meter.usage;
SELECT '{"a\": 1}'::meter.usage;
SELECT '{"é": 1}'::meter.usage;
SELECT '{"a": 0.0000000000001}'::meter.usage;
SELECT '{"a": 170141183460469231731687303.715884105728}'::meter.usage;
SELECT '{"a": 1e999999999}'::meter.usage;
SELECT '{"input_tokens": 1, "input_tokens": 1}'::meter.usage;
SELECT '{"a": 1, "b": 2, "a": 3}'::meter.usage;
SELECT ('{' || string_agg(format('"u%s": 1', i), ', ') || '}')::meter.usage FROM generate_series(1, 1001) i;
SELECT count(*) FROM (SELECT ('{' || string_agg(format('"u%s": 1', i), ', ') || '}')::meter.usage AS u
	FROM generate_series(1, 1000) i) x, meter.each(u);

-- every well-known unit, from its own list: one byte each, in text and in binary
CREATE TABLE well_known (unit text);
INSERT INTO well_known SELECT regexp_split_to_table(
	'actions audio_seconds cache_audio_read_tokens cache_audio_write_1h_tokens cache_audio_write_5m_tokens
	cache_audio_write_tokens cache_image_read_tokens cache_image_write_1h_tokens cache_image_write_5m_tokens
	cache_image_write_tokens cache_read_tokens cache_text_read_tokens cache_text_write_1h_tokens
	cache_text_write_5m_tokens cache_text_write_tokens cache_video_read_tokens cache_video_write_1h_tokens
	cache_video_write_5m_tokens cache_video_write_tokens cache_write_1h_tokens cache_write_5m_tokens
	cache_write_tokens code_executions input_annotated_document_pages input_audio_seconds input_audio_tokens
	input_audio_tool_tokens input_characters input_document_pages input_image_tokens input_image_tool_tokens
	input_pixels input_text_messages input_text_tokens input_text_tool_tokens input_tokens input_tool_tokens
	input_video_tokens input_video_tool_tokens output_audio_citation_tokens output_audio_reasoning_tokens
	output_audio_seconds output_audio_tokens output_citation_tokens output_image_citation_tokens
	output_image_reasoning_tokens output_image_tokens output_reasoning_tokens output_text_citation_tokens
	output_text_reasoning_tokens output_text_tokens output_tokens output_video_citation_tokens
	output_video_reasoning_tokens output_video_tokens requests rerank_searches social_searches storage_searches
	web_searches', '\s+');
SELECT count(*), count(DISTINCT unit) FROM well_known;
SELECT pg_column_size(meter.usage(unit, 88)) AS size, count(*) FROM well_known GROUP BY 1;
SELECT jsonb_object_agg(unit, length(unit))::meter.usage AS everything FROM well_known \gset
SELECT :'everything'::meter.usage;
SELECT bool_and(e.quantity = length(e.unit)), count(*), array_agg(e.unit ORDER BY e.unit) = (SELECT array_agg(unit ORDER BY unit) FROM well_known)
	FROM meter.each(:'everything') e;
-- names that nearly are
SELECT pg_column_size(meter.usage(unit || 's', 88)) > 7, pg_column_size(meter.usage(left(unit, -1), 88)) > 7, count(*)
	FROM well_known GROUP BY 1, 2;

-- the constructor
SELECT meter.usage('output_tokens', 88, 'input_tokens', 1200::bigint, 'x', 1.25, 'requests', 1::smallint);
SELECT meter.usage('input_tokens', NULL, 'output_tokens', NULL::integer, 'x', NULL::numeric);
SELECT meter.usage('a', 9223372036854775807, 'b', (-9223372036854775808)::bigint, 'c', -2147483648, 'd', (-32768)::smallint),
	meter.usage('a', 170141183460469231731687303.715884105727);
SELECT meter.usage(n, 1, 'b', q) FROM (VALUES ('input_tokens', 5), ('zz', NULL), ('a'::varchar, 2)) v(n, q);
-- the type's name is a cast
SELECT meter.usage('{"a": 1}'), meter.usage('{"a": 1}'::text);
-- a domain is what it is made of
CREATE DOMAIN unit_name AS text;
CREATE DOMAIN tokens AS bigint;
SELECT meter.usage('input_tokens'::unit_name, 5::tokens);
-- parameters may change from call to call
PREPARE p(text, integer) AS SELECT meter.usage($1, $2, 'm', 1);
EXECUTE p('z', 1);
EXECUTE p('a', 1);
EXECUTE p(NULL, 1);
DEALLOCATE p;
DO $$
DECLARE
	name text;
	u meter.usage;
BEGIN
	FOREACH name IN ARRAY ARRAY['a', 'input_tokens', 'z'] LOOP
		u := meter.usage(name, 1, 'm', 2);
		RAISE NOTICE '%', u;
	END LOOP;
END;
$$;
-- and what it refuses
SELECT meter.usage('a', 1, 'b');
SELECT meter.usage('a', '1');
SELECT meter.usage('a', 1::real);
SELECT meter.usage('a', 1::double precision);
SELECT meter.usage('a', true);
SELECT meter.usage(1, 1);
SELECT meter.usage(NULL, 1);
SELECT meter.usage(NULL::text, 1);
SELECT meter.usage(n, 1) FROM (VALUES (NULL), ('a')) v(n);
SELECT meter.usage('A', 1);
SELECT meter.usage(n, 1) FROM (VALUES ('B c')) v(n);
SELECT meter.usage('a', 1, 'b', 2, 'a', NULL);
SELECT meter.usage('input_tokens', 1, 'a', 2, 'input_tokens', 3);
SELECT meter.usage('a', 1, n, 2) FROM (VALUES ('a')) v(n);
SELECT meter.usage('a', 1, n, NULL) FROM (VALUES ('a')) v(n);
SELECT meter.usage('a', 0.0000000000001);
SELECT meter.usage('a', 'NaN'::numeric);
SELECT meter.usage('a', 'Infinity'::numeric);
SELECT meter.usage('a', 1e27);
SELECT meter.usage(VARIADIC ARRAY['a', 'b']);

-- jsonb, both ways
SELECT '{"b": 1.50, "input_tokens": 7}'::jsonb::meter.usage, '{"b": 1.50, "input_tokens": 7}'::meter.usage::jsonb;
SELECT '[1]'::jsonb::meter.usage;
SELECT '1'::jsonb::meter.usage;
SELECT '{"a": "1"}'::jsonb::meter.usage;
SELECT '{"a": null}'::jsonb::meter.usage;
SELECT '{"a": true}'::jsonb::meter.usage;
SELECT '{"a": []}'::jsonb::meter.usage;
SELECT '{"a": {"b": 1}}'::jsonb::meter.usage;
SELECT '{"A": 1}'::jsonb::meter.usage;
SELECT '{"a": 1e-13}'::jsonb::meter.usage;
SELECT castcontext FROM pg_cast WHERE 'meter.usage'::regtype IN (castsource, casttarget);

-- operators and their functions
SELECT u -> 'input_tokens', u -> 'b', u -> 'output_tokens', u -> 'Nonsense', u ? 'b', u ? 'c', u ? repeat('x', 100)
	FROM (SELECT '{"input_tokens": 64, "b": 1.50}'::meter.usage) v(u);
SELECT u -> unit AS quantity FROM (SELECT '{"input_tokens": 64, "b": 1.5}'::meter.usage) v(u),
	unnest(ARRAY['input_tokens', 'b', 'input_tokens', 'requests', NULL]) unit;
SELECT a + b, a - b, b - a, -a, a + -a FROM (SELECT '{"input_tokens": 64, "x": 0.5}'::meter.usage,
	'{"output_tokens": -3, "x": 0.5, "y": 2}'::meter.usage) v(a, b);
SELECT meter.add(u, u), meter.subtract(u, u), meter.negate(u), meter.quantity(u, 'x'), meter.has_unit(u, 'x')
	FROM (SELECT '{"input_tokens": 64, "x": 0.5}'::meter.usage) v(u);
SELECT '{"a": 170141183460469231731687303.715884105727}'::meter.usage + '{"a": 0.000000000001}';
SELECT '{"a": -170141183460469231731687303.715884105727}'::meter.usage - '{"a": 0.000000000001}';
SELECT -'{"a": -170141183460469231731687303.715884105727}'::meter.usage;
SELECT a + b FROM (SELECT jsonb_object_agg('u' || i, 1)::meter.usage, jsonb_object_agg('v' || i, 1)::meter.usage
	FROM generate_series(1, 600) i) v(a, b);
SELECT * FROM meter.each('{"output_tokens": 5, "a": 0.5, "input_tokens": 0}');
SELECT * FROM meter.each('{}');
SELECT * FROM meter.each(NULL);

-- equality, hashing, order
SELECT '{"a": 1, "b": 2}'::meter.usage = '{"b": 2.0, "a": 1e0}', '{"a": 1}'::meter.usage <> '{"a": 1, "b": 0}',
	'{}'::meter.usage = '{}', '{"a": 1}'::meter.usage = '{"a": 2}';
CREATE TABLE bags (id integer, u meter.usage);
INSERT INTO bags SELECT i, meter.usage('input_tokens', i % 7, 'output_tokens', i % 5, 'own', i % 2 / 2.0) FROM generate_series(1, 1000) i;
SET enable_sort = off;
SELECT count(*), sum(n) FROM (SELECT u, count(*) AS n FROM bags GROUP BY u) x;
RESET enable_sort;
SET enable_hashagg = off;
SELECT count(*), sum(n) FROM (SELECT u, count(*) AS n FROM bags GROUP BY u) x;
RESET enable_hashagg;
SELECT count(DISTINCT u) FROM bags;
SELECT count(*) FROM bags a JOIN bags b USING (u) WHERE a.id <= 10;
SELECT count(*), count(DISTINCT meter.usage_hash(u)), bool_and(meter.usage_hash(u) = (meter.usage_hash_extended(u, 0) & 4294967295)::bit(32)::integer)
	FROM (SELECT DISTINCT u FROM bags) x;
CREATE UNIQUE INDEX ON bags (u) WHERE id <= 70;
INSERT INTO bags VALUES (1, '{"input_tokens": 1, "output_tokens": 1, "own": 0.5}');
SELECT bool_and((a.u *< b.u) = (meter.usage_cmp(a.u, b.u) = -1) AND (a.u *<= b.u) = (meter.usage_cmp(a.u, b.u) <= 0)
	AND (a.u *> b.u) = (b.u *< a.u) AND (a.u *>= b.u) = NOT (a.u *< b.u) AND (a.u = b.u) = (meter.usage_cmp(a.u, b.u) = 0)
	AND (a.u = b.u) = (a.u::text = b.u::text))
	FROM bags a, bags b WHERE a.id <= 70 AND b.id <= 70;

-- random bags: in(out(x)) = x, recv(send(x)) = x, jsonb, addition against plain numeric
SELECT setseed(0.5);
CREATE TABLE random_bags AS
	SELECT i AS id, jsonb_object_agg(unit, quantity)::meter.usage AS u
	FROM generate_series(1, 2000) i, LATERAL (
		SELECT CASE WHEN random() < 0.5 THEN unit ELSE 'own_' || (random() * 8)::integer END AS unit,
			CASE (random() * 6 + i * 0)::integer
				WHEN 0 THEN 0
				WHEN 1 THEN (random() * 1e12)::bigint
				WHEN 2 THEN -(random() * 300)::integer
				WHEN 3 THEN round((random() * 1e6)::numeric, 6)
				WHEN 4 THEN round((random() * -1e14)::numeric, 3) * 1e8
				WHEN 5 THEN round(random()::numeric * 1e10, 12) * 1e-2::numeric
				ELSE power(2::numeric, (random() * 80)::integer)
			END::numeric(40, 12) AS quantity
		FROM well_known
		WHERE random() < 0.1 + i * 0) x
	GROUP BY i;
SELECT count(*) > 1900 FROM random_bags;
SELECT count(*) FROM random_bags WHERE u::text::meter.usage <> u OR u::text::meter.usage::text <> u::text OR u::jsonb::meter.usage <> u;
SELECT count(*) FROM random_bags WHERE u + u - u <> u OR -(-u) <> u OR u - u <> u + -u;
SELECT count(*) > 1000, count(*) FILTER (WHERE got IS DISTINCT FROM expected)
	FROM (
		SELECT coalesce(xy.x, 0) + coalesce(xy.y, 0) AS expected, (a.u + b.u) -> xy.unit AS got
		FROM random_bags a JOIN random_bags b ON b.id = a.id + 1,
			LATERAL (SELECT coalesce(x.unit, y.unit) AS unit, x.quantity AS x, y.quantity AS y
				FROM meter.each(a.u) x FULL JOIN meter.each(b.u) y ON x.unit = y.unit) xy) v;

-- binary copies are the same, of usages and of states
\getenv dir PG_ABS_BUILDDIR
CREATE TABLE states AS SELECT id, u::text::meter.usage_state AS s FROM random_bags;
CREATE TABLE copied_bags (LIKE random_bags);
CREATE TABLE copied_states (LIKE states);
\set file :dir '/usage.bin'
\set command '\\copy random_bags TO ' :'file' ' (FORMAT binary)'
:command
\set command '\\copy copied_bags FROM ' :'file' ' (FORMAT binary)'
:command
\set command '\\copy states TO ' :'file' ' (FORMAT binary)'
:command
\set command '\\copy copied_states FROM ' :'file' ' (FORMAT binary)'
:command
SELECT count(*) FROM random_bags FULL JOIN copied_bags c USING (id, u) WHERE c IS NULL OR random_bags IS NULL;
SELECT count(*) FROM states a FULL JOIN copied_states b USING (id) WHERE a.s::text IS DISTINCT FROM b.s::text;

-- binary values that are not usages: version, zero byte, count, entries of (length, name, quantity)
CREATE TABLE broken (u meter.usage);
CREATE FUNCTION copy_of(hex text) RETURNS text LANGUAGE SQL RETURN
	format('echo %s | base64 -d', translate(encode('\x5047434f50590aff0d0a000000000000000000'::bytea ||
		'\x0001'::bytea || int4send(octet_length(decode(hex, 'hex'))) || decode(hex, 'hex') || '\xffff'::bytea, 'base64'), E'\n', ''));
SELECT copy_of(v) AS program FROM (VALUES ('01000001' || '0161' || repeat('00', 15) || '07')) x(v) \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
SELECT * FROM broken;
-- version
SELECT copy_of('02000000') AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
-- reserved
SELECT copy_of('01010000') AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
-- nothing
SELECT copy_of('') AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
-- too short
SELECT copy_of('01000001' || '0161' || repeat('00', 15)) AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
-- a name longer than what is there
SELECT copy_of('010000013f61') AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
-- too long
SELECT copy_of('0100000000') AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
-- no name, an illegal one
SELECT copy_of('01000001' || '00' || repeat('00', 16)) AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
SELECT copy_of('01000001' || '0141' || repeat('00', 16)) AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
-- twice, out of order, too many
SELECT copy_of('01000002' || repeat('0161' || repeat('00', 16), 2)) AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
SELECT copy_of('01000002' || '0162' || repeat('00', 16) || '0161' || repeat('00', 16)) AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
SELECT copy_of('0100ffff') AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command
-- the least 128-bit number is none
SELECT copy_of('01000001' || '0161' || '80' || repeat('00', 15)) AS program \gset
\set command '\\copy broken FROM PROGRAM ' :'program' ' (FORMAT binary)'
:command

-- sum: against plain numeric, in any grouping
CREATE TABLE reference AS
	SELECT id % 3 AS g, e.unit, sum(e.quantity) AS quantity FROM random_bags, meter.each(u) e GROUP BY 1, 2;
SELECT count(*) > 100, count(*) FILTER (WHERE s -> unit IS DISTINCT FROM quantity) AS wrong
	FROM reference JOIN (SELECT id % 3 AS g, sum(u) AS s FROM random_bags GROUP BY 1) x USING (g);
SELECT sum(u) AS serial FROM random_bags \gset
SELECT :'serial'::meter.usage = sum(s) AS grouped FROM (SELECT sum(u) AS s FROM random_bags GROUP BY id % 7) x;
SELECT :'serial'::meter.usage = sum(u ORDER BY id DESC) AS backwards FROM random_bags;
SELECT DISTINCT :'serial'::meter.usage = sum(u) OVER () AS windowed FROM random_bags;
SELECT :'serial'::meter.usage = s AS running FROM (SELECT id, sum(u) OVER (ORDER BY id) AS s FROM random_bags) x ORDER BY id DESC LIMIT 1;
SELECT count(*) FROM (SELECT u, sum(u) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s,
	coalesce(lag(u) OVER (ORDER BY id) + u, u) AS expected FROM random_bags) x WHERE s <> expected;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT sum(u) FROM random_bags;
SELECT :'serial'::meter.usage = sum(u) AS parallel FROM random_bags;
COMMIT;
-- no row, NULLs, units that come later, custom units between others, zeros
SELECT sum(u) FROM random_bags WHERE false;
SELECT sum(NULL::meter.usage) FROM random_bags;
SELECT sum(u) FROM (VALUES (NULL), ('{"b": 1, "output_tokens": 2}'::meter.usage), (NULL), ('{"a": 1, "c": 2, "bb": 0.5}'), ('{}'),
	('{"input_tokens": 1, "bb": -0.5, "d": 0}'), ('{"b": 9223372036854775807, "actions": 1}')) v(u);
SELECT sum(meter.usage('a', 1, 'b', NULL::integer)) FROM generate_series(1, 10);
SELECT sum(u) FROM (VALUES ('{"a": 170141183460469231731687303.715884105727}'::meter.usage), ('{"a": 1e-12}')) v(u);
SELECT sum(meter.usage('u' || i, 1)) = jsonb_object_agg('u' || i, 1)::meter.usage AS many FROM generate_series(1, 1000) i;
SELECT sum(u ORDER BY i) = sum(u ORDER BY i DESC) AS any_order, length(sum(u)::text) AS length FROM (SELECT i, meter.usage('u' || lpad(i::text, 62, '0'), i) AS u FROM generate_series(1, 1000) i) AS longest;
-- more units than a usage may have: the first ones, and the others in one, whatever the order of rows and however they were summed up before
WITH row AS (SELECT i, meter.usage('u' || i, i, 'input_tokens', 1) AS u FROM generate_series(1, 1500) AS i),
	total AS (SELECT sum(u ORDER BY i) AS s FROM row)
SELECT count(*) AS units, sum(quantity) AS quantity, sum(quantity) FILTER (WHERE unit = 'input_tokens') AS well_known, sum(quantity) FILTER (WHERE unit = 'further_units') AS further, max(unit COLLATE "C") AS last,
	(SELECT sum(u ORDER BY i DESC) = s FROM row) AS backward,
	(SELECT sum(u ORDER BY hashint4(i)) = s FROM row) AS shuffled,
	(SELECT sum(part) = s FROM (SELECT sum(u) AS part FROM row GROUP BY i % 7) AS parts) AS in_parts,
	(SELECT sum(part ORDER BY k DESC) = s FROM (SELECT i / 300 AS k, sum(u ORDER BY hashint4(i)) AS part FROM row GROUP BY i / 300) AS parts) AS in_other_parts,
	sum(s) FILTER (WHERE unit = 'u1') = s AS again
FROM total, meter.each(s) GROUP BY s;
SELECT sum(u) -> 'further_units' AS further, (SELECT count(*) FROM meter.each(sum(u))) AS units
FROM (SELECT meter.usage('further_units', 5) AS u UNION ALL SELECT meter.usage('u' || i, 1) FROM generate_series(1, 1000) AS i UNION ALL SELECT meter.usage('u' || i, -1) FROM generate_series(1, 1000) AS i) AS row;
-- the state's functions, called by hand: the arguments stay as they are
SELECT meter.usage_sum_transition(s, '{"b": 1, "input_tokens": 5}'), meter.usage_sum_transition(s, '{"a": 1}'), s,
	meter.usage_sum_combine(s, '{"c": 1}'), s, meter.usage_sum_combine(s, NULL), meter.usage_sum_combine(NULL, s),
	meter.usage_sum_transition(NULL, '{"a": 1}'), meter.usage_sum_transition(s, NULL), meter.usage_sum_final(s)
	FROM (SELECT '{"a": 1.5}'::meter.usage_state) v(s);
SELECT meter.usage_sum_transition(NULL, NULL), meter.usage_sum_combine(NULL, NULL), meter.usage_sum_final(NULL);
SELECT '{"a": 1, "a": 2}'::meter.usage_state;

-- out of line and compressed, read all the same
CREATE TABLE large (u meter.usage);
ALTER TABLE large ALTER u SET STORAGE external;
INSERT INTO large SELECT jsonb_object_agg('unit_with_a_long_name_' || i, i)::meter.usage FROM generate_series(1, 500) i;
SELECT u -> 'unit_with_a_long_name_77', u = u, sum(u) OVER () = u, u::text::meter.usage = u, (SELECT count(*) FROM meter.each(u)),
	pg_column_size(u) > 10000 FROM large;

-- a number is what it says, however many zeros it is written with
SELECT '{"a": 1000000000000000000000000000000000000000000e-30, "b": 0.000000000000000000000000000000000000000000012e40, "c": 100.00e-14, "d": 0e99999, "e": -10.50, "f": 0.0000000000000000}'::meter.usage;
SELECT '{"a": 1000000000000000000000000000000000000000000e-60}'::meter.usage;
SELECT '{"a": 1000000000000000000000000000000000000000000e-10}'::meter.usage;
SELECT '{"a": 170141183460469231731687303.715884105727000, "b": -1701411834604692317316873.03715884105727e2}'::meter.usage;
SELECT '{"a": 170141183460469231731687303.715884105728}'::meter.usage;
SELECT '{"a": 1.0000000000001}'::meter.usage;
