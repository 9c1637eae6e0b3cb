-- Rating: which rate an event gets, and what it then costs.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';

CREATE TEMP TABLE card AS SELECT '[
	{"item": "gpt", "unit": "input_tokens", "price": 2.5, "per": 1000000},
	{"item": "gpt", "unit": "cache_read_tokens", "price": 1.25, "per": 1000000},
	{"item": "gpt", "unit": "output_tokens", "price": 10, "per": 1000000},
	{"item": "gpt", "unit": "audio_seconds", "price": 0.04, "per": 3600},
	{"item": "gpt", "unit": "my_unit", "price": 3},
	{"item": "gpt", "variant": "batch", "unit": "input_tokens", "price": 1.25, "per": 1000000},
	{"item": "gpt", "variant": "byok", "unit": "output_tokens", "price": 1, "per": 1000000},
	{"item": "long", "unit": "input_tokens", "price": 1, "per": 1000},
	{"item": "long", "unit": "input_tokens", "price": 2, "per": 1000, "context_from": 200001},
	{"item": "long", "unit": "output_tokens", "price": 10, "per": 1000},
	{"item": "long", "unit": "output_tokens", "price": 20, "per": 1000, "context_from": 200001},
	{"item": "dated", "unit": "*", "price": 1, "valid": "(,2025-06-10)"},
	{"item": "dated", "unit": "*", "price": 2, "valid": "[2025-06-10,2025-07-01)"},
	{"item": "dated", "unit": "*", "price": 4, "valid": "[2025-08-01,)"},
	{"item": "night", "unit": "input_tokens", "price": 10},
	{"item": "night", "unit": "input_tokens", "price": 5, "daily_from": "16:30", "daily_until": "00:30"},
	{"item": "own", "unit": "input_tokens", "price": 10},
	{"item": "own", "unit": "input_tokens", "price": 100, "context_from": 10},
	{"item": "own", "unit": "input_tokens", "price": 9, "precedence": 100, "valid": "[2025-01-01,2025-02-01)"},
	{"item": "own", "unit": "input_tokens", "price": 1, "precedence": 200, "context_from": 1000},
	{"item": "kin", "unit": "input_tokens", "price": 1},
	{"item": "kin", "unit": "input_audio_tokens", "price": 10},
	{"item": "kin", "unit": "cache_write_tokens", "price": 100},
	{"item": "kin2", "unit": "input_audio_tokens", "price": 10},
	{"item": "kin2", "unit": "cache_read_tokens", "price": 100},
	{"item": "gap", "unit": "cache_read_tokens", "price": 5, "context_from": 1000},
	{"item": "gap", "unit": "input_tokens", "price": 1},
	{"item": "any", "unit": "requests", "price": 2},
	{"item": "any", "unit": "*", "price": 0.5}
]'::meter.rate_card AS card;
CREATE FUNCTION pg_temp.cost(item text, usage meter.usage, at timestamptz DEFAULT '2025-01-15', variant text DEFAULT 'standard') RETURNS numeric
	RETURN meter.cost((SELECT card FROM pg_temp.card), item, at, usage, variant);

-- priced
SELECT pg_temp.cost('gpt', '{"input_tokens": 1234, "output_tokens": 567}');
SELECT pg_temp.cost('gpt', '{"input_tokens": 86, "cache_read_tokens": 17817, "output_tokens": 321}');
SELECT pg_temp.cost('gpt', '{"my_unit": 1.5}');
SELECT pg_temp.cost('gpt', '{"audio_seconds": 3}') AS settled_at_12_digits;
SELECT pg_temp.cost('gpt', '{"input_tokens": 100}', variant => 'batch');
-- free: no item, nothing measured, requests and actions of an item the card knows
SELECT pg_temp.cost(NULL, '{"input_tokens": 5}'), pg_temp.cost('gpt', '{}'), pg_temp.cost('gpt', '{"requests": 1, "actions": 1}'),
	pg_temp.cost('gpt', '{"web_searches": 0}'), pg_temp.cost('what', '{"input_tokens": 0}'), pg_temp.cost('what', '{}');
SELECT pg_temp.cost('gpt', '{"input_tokens": 5}', variant => 'cached') AS cached, pg_temp.cost('what', '{"input_tokens": 5}', variant => 'byok') AS byok,
	pg_temp.cost('gpt', '{"input_tokens": 5, "output_tokens": 1000000}', variant => 'byok') AS byok_unless_rated;
-- unpriced is NULL, never 0: a unit, an item, a variant
SELECT pg_temp.cost('gpt', '{"input_tokens": 5, "web_searches": 1}'), pg_temp.cost('what', '{"requests": 1}'), pg_temp.cost('what', '{"input_tokens": 5}'),
	pg_temp.cost('gpt', '{"output_tokens": 5}', variant => 'batch'), pg_temp.cost('gpt', '{"input_tokens": 5}', variant => 'flex');
SELECT pg_temp.cost('gpt', NULL), pg_temp.cost('gpt', '{"input_tokens": 5}', NULL), meter.cost(NULL, 'gpt', '2025-01-01', '{"input_tokens": 5}');
SELECT meter.unpriced(card, 'gpt', '2025-01-01', '{"input_tokens": 5}') AS priced, meter.unpriced(card, 'gpt', '2025-01-01', '{"web_searches": 5}') AS unit,
	meter.unpriced(card, 'what', '2025-01-01', '{"requests": 5}') AS item, meter.unpriced(card, NULL, '2025-01-01', '{"requests": 5}') AS no_item,
	meter.unpriced(NULL, 'gpt', '2025-01-01', '{"input_tokens": 5}') AS no_card, meter.unpriced(card, 'gpt', NULL, '{"input_tokens": 5}') AS no_instant,
	meter.unpriced(card, 'gpt', '2025-01-01', NULL) AS no_usage
FROM card;

-- a long request takes the long rate in all its units; cached and written tokens count
SELECT pg_temp.cost('long', '{"input_tokens": 200000, "output_tokens": 1000}') AS short, pg_temp.cost('long', '{"input_tokens": 200001, "output_tokens": 1000}') AS long,
	pg_temp.cost('long', '{"input_tokens": 1, "cache_read_tokens": 100000, "cache_write_1h_tokens": 90000, "input_image_tokens": 10000, "output_tokens": 1000}') AS by_its_parts,
	pg_temp.cost('long', '{"input_tokens": -200001, "output_tokens": -1000}') AS reversed,
	pg_temp.cost('long', '{"input_tokens": 1, "output_tokens": 1000000}') AS output_is_no_context;
-- validity: start inclusive, end exclusive, a hole is unpriced
SELECT at, pg_temp.cost('dated', '{"x": 1}', at) FROM unnest('{1999-01-01 00:00+00, 2025-06-09 23:59:59.999999+00, 2025-06-10 00:00+00, 2025-06-30 23:59:59.999999+00, 2025-07-01 00:00+00, 2025-08-01 00:00+00, 2099-01-01 00:00+00}'::timestamptz[]) AS at;
-- the daily window is UTC, start inclusive, end exclusive, over midnight, before 2000 too
SELECT at, pg_temp.cost('night', '{"input_tokens": 1}', at) FROM unnest('{2025-03-01 00:29:59.999999+00, 2025-03-01 00:30+00, 2025-03-01 16:29:59.999999+00, 2025-03-01 16:30+00, 1969-12-31 23:59:59+00, 1969-12-31 12:00+00}'::timestamptz[]) AS at;
-- precedence, then context, then a window
SELECT pg_temp.cost('own', '{"input_tokens": 1}') AS own, pg_temp.cost('own', '{"input_tokens": 20}') AS own_over_context, pg_temp.cost('own', '{"input_tokens": 1000}') AS own_long,
	pg_temp.cost('own', '{"input_tokens": 1}', '2025-02-01') AS loaded, pg_temp.cost('own', '{"input_tokens": 10}', '2025-02-01') AS loaded_long;
-- the nearest rated ancestor: the one with the most ancestors, then the cache one; then *
SELECT pg_temp.cost('kin', '{"cache_read_tokens": 1}') AS input, pg_temp.cost('kin', '{"cache_audio_read_tokens": 1}') AS audio,
	pg_temp.cost('kin', '{"cache_audio_write_1h_tokens": 1}') AS cache_write, pg_temp.cost('kin2', '{"cache_audio_read_tokens": 1}') AS cache_before_audio,
	pg_temp.cost('kin', '{"output_tokens": 1}') AS none, pg_temp.cost('gap', '{"cache_read_tokens": 10}') AS own_rate_does_not_hold;
SELECT pg_temp.cost('any', '{"requests": 1, "anything": 3, "input_tokens": 2}');

-- lines add up, and say what is unpriced and what is free
SELECT * FROM meter.cost_lines((SELECT card FROM card), 'gpt', '2025-01-15', '{"input_tokens": 86, "cache_read_tokens": 17817, "cache_write_tokens": 7, "output_tokens": 321, "requests": 1, "web_searches": 2, "social_searches": 0, "audio_seconds": 3, "my_unit": 0.5}');
SELECT * FROM meter.cost_lines((SELECT card FROM card), NULL, '2025-01-15', '{"input_tokens": 86}');
SELECT * FROM meter.cost_lines((SELECT card FROM card), 'what', '2025-01-15', '{"input_tokens": 86, "requests": 1, "my_unit": 0}');
SELECT * FROM meter.cost_lines(NULL, 'what', '2025-01-15', '{"input_tokens": 86, "my_unit": 0}');
SELECT * FROM meter.cost_lines((SELECT card FROM card), 'gpt', NULL, '{"input_tokens": 86}');
SELECT * FROM meter.cost_lines((SELECT card FROM card), 'gpt', '2025-01-15', NULL);
SELECT * FROM meter.cost_lines((SELECT card FROM card), 'gpt', '2025-01-15', '{}');

-- errors
SELECT pg_temp.cost('gpt', '{"input_tokens": 5, "output_tokens": -1}');
SELECT pg_temp.cost('what', '{"input_tokens": 5, "output_tokens": -1}');
SELECT * FROM meter.cost_lines((SELECT card FROM card), 'gpt', '2025-01-15', '{"input_tokens": 5, "output_tokens": -1}');
SELECT pg_temp.cost('gpt', '{"input_tokens": 5}', 'infinity');
SELECT pg_temp.cost('any', '{"a": 170141183460469231731687303, "b": 170141183460469231731687303, "c": 170141183460469231731687303}');
-- the largest that fits, both ways, through products of more than 128 bits
SELECT pg_temp.cost('any', '{"x": 170141183460469231731687303.715884105727}'), pg_temp.cost('any', '{"x": -170141183460469231731687303.715884105727}');
SELECT meter.cost('[{"item": "a", "unit": "x", "price": 170141183460469231731687303, "per": 170141183460469231731687303}]', 'a', '2025-01-01', '{"x": 170141183460469231731687303.715884105727}');
SELECT meter.cost('[{"item": "a", "unit": "x", "price": 3, "per": 7}]', 'a', '2025-01-01', '{"x": 0.000000000001}'), meter.cost('[{"item": "a", "unit": "x", "price": 3, "per": 7}]', 'a', '2025-01-01', '{"x": 0.000000000002}'),
	meter.cost('[{"item": "a", "unit": "x", "price": 1, "per": 2}]', 'a', '2025-01-01', '{"x": -0.000000000001}') AS tie_away_from_zero;

-- total_cost: unpriced events are left out, and of none there is no total
SELECT meter.total_cost(card, 'gpt', '2025-01-15', u), count(*) FILTER (WHERE meter.unpriced(card, 'gpt', '2025-01-15', u)) AS unpriced
FROM card, (VALUES ('{"input_tokens": 1000000}'::meter.usage), ('{"web_searches": 1}'), ('{"input_tokens": -400000}'), (NULL)) AS v(u);
SELECT meter.total_cost(card, 'gpt', '2025-01-15', '{"web_searches": 1}') FROM card;
SELECT meter.total_cost(card, 'gpt', '2025-01-15', '{"requests": 1}') FROM card;
SELECT meter.total_cost(card, 'gpt', '2025-01-15', '{}') FROM card WHERE false;
SELECT meter.total_cost(card, 'gpt', '2025-01-15', '{"input_tokens": 4}', variant) FROM card, unnest('{standard, batch, byok, flex, NULL}'::text[]) AS variant;
SELECT meter.total_cost(card, 'any', '2025-01-15', '{"x": 170141183460469231731687303}') FROM card, generate_series(1, 3);

-- from columns: the same as with a usage of them, in every way that a row can be odd
CREATE TABLE columns (item text, at timestamptz, unit text, i2 smallint, i4 integer, i8 bigint, n numeric);
INSERT INTO columns VALUES
	('gpt', '2025-01-15', 'audio_seconds', 1, 2, 3, 4.5),
	('gpt', '2025-01-15', 'my_unit', 1, NULL, 3, NULL),
	('gpt', '2025-01-15', 'my_unit', -1, -2, -3, -4.5),
	('gpt', '2025-01-15', 'web_searches', 1, 2, 3, 0),
	('gpt', '2025-01-15', 'web_searches', 1, 2, 3, 1),
	('what', '2025-01-15', 'my_unit', 1, 2, 3, 1),
	(NULL, '2025-01-15', 'my_unit', 1, 2, 3, 1),
	('gpt', NULL, 'my_unit', 1, 2, 3, 1),
	('long', '2025-01-15', 'requests', 1, 1000, 200000, 4.5),
	('long', '2025-01-15', 'requests', 1, 1000, 200001, 4.5),
	('night', '2025-01-15 17:00', 'requests', NULL, NULL, 7, NULL);
SELECT
	meter.total_cost(card, item, at, 'output_tokens', i4, 'input_tokens', i8) FILTER (WHERE item <> 'night') AS fast,
	meter.total_cost(card, item, at, meter.usage('output_tokens', i4, 'input_tokens', i8)) FILTER (WHERE item <> 'night') AS same,
	meter.total_cost(card, item, at, 'input_tokens', i8, unit, n, 'actions'::text, i2) AS slow,
	meter.total_cost(card, item, at, meter.usage('input_tokens', i8, unit, n, 'actions'::text, i2)) AS same,
	meter.total_cost(card, item, at, 'output_tokens', i2) AS short,
	meter.total_cost(card, item, at, meter.usage('output_tokens', i2)) AS same
FROM card, columns WHERE item IS DISTINCT FROM 'long';
SELECT item, at, meter.total_cost(card, item, at, 'output_tokens', i4, 'input_tokens', i8) OVER w AS columns, meter.total_cost(card, item, at, meter.usage('output_tokens', i4, 'input_tokens', i8)) OVER w AS usage
FROM card, columns WINDOW w AS (PARTITION BY item, at) ORDER BY item, at;
SELECT meter.total_cost(card, item, at, 'output_tokens', i4, 'output_tokens', i8) FROM card, columns;
SELECT meter.total_cost(card, item, at, 'output_tokens', -i4, 'input_tokens', i8) FROM card, columns;
SELECT meter.total_cost(card, item, at, 'output_tokens', i4, 'input_tokens') FROM card, columns;
SELECT meter.total_cost(card, item, at, 'output_tokens', i4::float8) FROM card, columns;
SELECT meter.total_cost(card, item, at, 'Output Tokens', i4) FROM card, columns;
SELECT meter.total_cost(card, item, at, NULL, i4) FROM card, columns;
SELECT meter.total_cost(card, item, at, 'output_tokens', i4, i8, 1) FROM card, columns;
DROP TABLE columns;

-- on a table: serial, parallel, per row, as a window, from a column that is toasted
CREATE TABLE event AS
	SELECT (ARRAY['gpt', 'long', 'night', 'own', 'kin', 'nothing'])[1 + i % 6] AS item, timestamptz '2025-01-01' + i * interval '97 minutes' AS at,
		meter.usage('input_tokens', i * 37 % 300000, 'output_tokens', i % 900, 'cache_read_tokens', i % 11) AS usage, i AS id
	FROM generate_series(1, 20000) AS i;
ANALYZE event;
CREATE TABLE stored AS SELECT (SELECT jsonb_agg(e) FROM jsonb_array_elements(card::jsonb || (
	SELECT jsonb_agg(jsonb_build_object('item', md5(i::text), 'unit', 'x', 'price', i)) FROM generate_series(1, 500) AS i)) AS e)::meter.rate_card AS card FROM card;
SELECT pg_column_size(card) > 2000 AS out_of_line FROM stored;
CREATE TEMP TABLE serial AS
	SELECT item, meter.total_cost((SELECT card FROM stored), item, at, usage) AS total, count(*) FILTER (WHERE meter.unpriced((SELECT card FROM stored), item, at, usage)) AS unpriced
	FROM event GROUP BY item;
SELECT * FROM serial ORDER BY item;
SELECT bool_and(s.total IS NOT DISTINCT FROM r.total) AS same FROM serial AS s JOIN (
	SELECT item, sum(meter.cost(card, item, at, usage)) AS total FROM event, stored GROUP BY item) AS r USING (item);
SELECT bool_and(s.total IS NOT DISTINCT FROM r.total) AS same FROM serial AS s LEFT JOIN (
	SELECT item, sum(amount) AS total FROM event, stored, meter.cost_lines(card, item, at, usage) WHERE NOT meter.unpriced(card, item, at, usage) GROUP BY item) AS r USING (item);
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT meter.total_cost('[]', item, at, usage) AS total FROM event;
SELECT bool_and(s.total IS NOT DISTINCT FROM r.total) AS same FROM serial AS s JOIN (
	SELECT item, meter.total_cost((SELECT card FROM stored), item, at, usage) AS total FROM event GROUP BY item) AS r USING (item);
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SELECT bool_and(s.total IS NOT DISTINCT FROM w.total) AS same FROM serial AS s JOIN (
	SELECT DISTINCT item, meter.total_cost(card, item, at, usage) OVER (PARTITION BY item) AS total FROM event, stored) AS w USING (item);
-- cost(-u) = -cost(u)
SELECT count(*) FROM event, card WHERE meter.cost(card, item, at, usage) + meter.cost(card, item, at, -usage) <> 0;
-- two halves combined through text
SELECT meter.amount_state_final(meter.amount_state_combine(a, b)) = (SELECT total FROM serial WHERE item = 'gpt') AS same
FROM (SELECT (SELECT meter.total_cost_add(meter.total_cost_add(NULL, card, 'gpt', at, usage), card, 'nothing', at, usage) FROM event, card WHERE id = 6) AS a) AS x,
	LATERAL (SELECT (meter.total_cost(card, 'gpt', at, usage) || ' ' || count(*))::meter.amount_state AS b FROM event, card WHERE item = 'gpt' AND id <> 6) AS y;
DROP FUNCTION pg_temp.cost;
DROP TABLE event, stored, serial, card;

-- items of every length, and such as differ in one place alone; days that come and go; what does not fit 64 bits;
-- cards that change from row to row: all the same as in plain SQL
CREATE TEMP TABLE named_rate AS
	SELECT item, unit, 1 + (hashtext(item || variant || unit || day) & 1023)::numeric AS price, 1000::numeric AS per,
		tstzrange(timestamptz '2025-01-01' + day * interval '1 day', timestamptz '2025-01-02' + day * interval '1 day') AS valid,
		variant, NULL::numeric AS context_from, NULL::time AS daily_from, NULL::time AS daily_until, 0 AS precedence
	FROM (SELECT DISTINCT item FROM generate_series(1, 72) AS n,
			LATERAL (SELECT left(repeat('0123456789abcdefghijklmnopqrstuvwxyz', 2), n) AS name) AS names,
			LATERAL (SELECT name AS item
				UNION ALL SELECT overlay(name PLACING '-' FROM place) FROM generate_series(1, n) AS place) AS items) AS named,
		unnest('{standard, batch}'::text[]) AS variant, unnest('{input_tokens, output_tokens}'::text[]) AS unit, generate_series(0, 2) AS day
	WHERE hashtext(item) & 7 <> 0 OR variant = 'batch';
CREATE TEMP TABLE named_event AS
	SELECT e.*, (input_tokens * i.price + coalesce(output_tokens, 0) * o.price) / 1000 AS cost
	FROM (SELECT item, timestamptz '2024-12-31 23:00' + n * 7919 % 74 * interval '1 hour' AS at,
			CASE n % 3 WHEN 0 THEN 'batch' ELSE 'standard' END AS variant,
			n * CASE n % 5 WHEN 0 THEN 1000000000000000 ELSE 1 END AS input_tokens, CASE WHEN n % 7 > 0 THEN n * n END AS output_tokens
		FROM (SELECT DISTINCT item FROM named_rate) AS named, generate_series(1::bigint, 8) AS n) AS e
	LEFT JOIN named_rate AS i ON i.item = e.item AND i.variant = e.variant AND i.unit = 'input_tokens' AND i.valid @> e.at
	LEFT JOIN named_rate AS o ON o.item = e.item AND o.variant = e.variant AND o.unit = 'output_tokens' AND o.valid @> e.at
	ORDER BY hashtext(e.item), e.at;
CREATE TEMP TABLE named_card AS
	SELECT day, meter.rate_card(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence) AS card
	FROM named_rate, generate_series(0, 3) AS day
	WHERE day = 0 OR length(item) % 3 < day AND valid @> timestamptz '2024-12-31 12:00' + day * interval '1 day'
	GROUP BY day;
SELECT count(*), count(cost) AS priced, sum(cost) = meter.total_cost(card, item, at, usage, variant) AS same_total,
	bool_and(cost IS NOT DISTINCT FROM meter.cost(card, item, at, usage, variant)) AS same,
	bool_and((cost IS NULL) = meter.unpriced(card, item, at, usage, variant)) AS same_unpriced
FROM named_event, named_card, LATERAL (SELECT meter.usage('input_tokens', input_tokens, 'output_tokens', output_tokens)) AS u (usage)
WHERE day = 0;
SELECT count(*), count(cost) AS priced,
	sum(cost) = meter.total_cost(card, item, at, meter.usage('input_tokens', input_tokens, 'output_tokens', output_tokens)) AS same_total,
	sum(cost) = meter.total_cost(card, item, at, 'input_tokens', input_tokens, 'output_tokens', output_tokens) AS same_from_columns
FROM named_event, named_card WHERE day = 0 AND variant = 'standard';
SELECT count(*), count(cost) AS priced,
	sum(cost) = meter.total_cost(card, item, at, 'input_tokens', input_tokens, 'output_tokens', output_tokens) AS same_from_columns
FROM (SELECT named_event.*, card FROM named_event, named_card
	WHERE variant = 'standard' AND length(item) % 3 < day AND at >= timestamptz '2024-12-31' + day * interval '1 day'
		AND at < timestamptz '2025-01-01' + day * interval '1 day'
	ORDER BY hashtext(item || at)) AS e;
-- what is refused is refused behind a row that was rated, too
SELECT meter.total_cost('[{"item": "gpt", "unit": "input_tokens", "price": 1}]', item, at, 'input_tokens', n)
FROM (VALUES ('gpt', timestamptz '2025-01-01', 1), ('gpt', 'infinity', 1)) AS e (item, at, n);
SELECT meter.total_cost('[{"item": "gpt", "unit": "input_tokens", "price": 1}]', item, at, meter.usage('input_tokens', n))
FROM (VALUES ('gpt', timestamptz '2025-01-01', 1), ('gpt', '-infinity', 1)) AS e (item, at, n);
SELECT meter.total_cost('[{"item": "gpt", "unit": "*", "price": 1}]', item, at, 'input_tokens', n, 'output_tokens', m)
FROM (VALUES ('gpt', timestamptz '2025-01-01', 1, 1), ('gpt', '2025-01-01', -1, 1)) AS e (item, at, n, m);
SELECT meter.total_cost('[{"item": "gpt", "unit": "*", "price": 1}]', item, at, 'input_tokens', n, 'output_tokens', m),
	meter.total_cost('[{"item": "gpt", "unit": "*", "price": 1}]', item, at, meter.usage('input_tokens', n, 'output_tokens', m))
FROM (VALUES ('gpt', timestamptz '2025-01-01', 9223372036854775807, 9223372036854775807), ('', '2025-01-01', 1, 1),
	('gpt', '2025-01-01', -9223372036854775808, -9223372036854775808), ('gpt', '2025-01-01', 9223372, 9223372)) AS e (item, at, n, m);
DROP TABLE named_rate, named_event, named_card;

-- a product just below 2^128 is out of range, and not zero once it is rounded up
SELECT meter.cost('[{"item": "a", "unit": "x", "price": 18446744073709.551615999999}]', 'a', '2026-01-01', '{"x": 18446744073709.551616000001}');
SELECT meter.cost('[{"item": "a", "unit": "x", "price": 18446744073709.551615999999}]', 'a', '2026-01-01', '{"x": -18446744073709.551616000001}');
SELECT meter.charge('at 18446744073709.551615999999', 18446744073709.551616000001);
SELECT meter.prorate(36893488.147419103231, 0, 36893488.147419103233, 0.000000000004);

-- unit '*' of an item with more rates than a byte counts
SELECT meter.cost(card, 'a', '2026-01-01', '{"input_tokens": 10}') AS whole, meter.cost(card, 'a', '2026-01-01', '{"input_tokens": 10.5}') AS fraction,
	meter.total_cost(card, 'a', '2026-01-01', 'output_tokens', 10) AS columns
FROM (SELECT meter.rate_card('a'::text, unit, price, 1) AS card
	FROM (SELECT 'u' || n, n FROM generate_series(1, 300) AS n UNION ALL SELECT '*', 5000) AS rate (unit, price)) AS many
GROUP BY card::text, card;
