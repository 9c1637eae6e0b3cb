-- Type rate_card: text, binary, jsonb, equality, and what is refused.
\set SHOW_CONTEXT never
\pset format unaligned
SET TimeZone = 'America/New_York';	-- a card must not depend on it

-- canonical text: defaults left out, the order of items, variants, units and decision
SELECT '[{"item": "b", "unit": "output_tokens", "price": 10.0, "per": 1e6},
         {"item": "b", "unit": "input_tokens", "price": 2.50, "per": 1000000},
         {"item": "a", "unit": "*", "price": 1},
         {"item": "a", "unit": "zebra", "price": 1},
         {"item": "a", "unit": "aardvark", "price": 0},
         {"item": "a", "unit": "input_tokens", "price": 3, "variant": "batch"},
         {"item": "a", "unit": "input_tokens", "price": 3, "precedence": -1},
         {"item": "a", "unit": "input_tokens", "price": 4, "context_from": 200001},
         {"item": "a", "unit": "input_tokens", "price": 5, "daily_from": "16:30", "daily_until": "00:30:00Z"},
         {"item": "a", "unit": "input_tokens", "price": 6, "valid": "[2025-06-10,2025-07-01T00:00:00.5+02:00)"},
         {"item": "a", "unit": "input_tokens", "price": 7, "valid": "(\"2025-07-01 00:00:00+00\",infinity]"}
        ]'::meter.rate_card;
SELECT '[]'::meter.rate_card, '[]'::meter.rate_card = (SELECT meter.rate_card('x', 'y', 1, 1) FILTER (WHERE false)) AS same;

-- any order makes the same card
SELECT '[{"item": "a", "unit": "x", "price": 1}, {"item": "b", "unit": "x", "price": 2}]'::meter.rate_card
	= '[{"item": "b", "unit": "x", "price": 2.0}, {"unit": "x", "item": "a", "price": 1, "variant": "standard", "per": 1}]'::meter.rate_card AS equal,
	'[{"item": "a", "unit": "x", "price": 1}]'::meter.rate_card
	<> '[{"item": "a", "unit": "x", "price": 10, "per": 10}]'::meter.rate_card AS unequal;
SELECT card, count(*) FROM (VALUES ('[{"item": "a", "unit": "x", "price": 1}]'::meter.rate_card), ('[ {"price": 1, "item": "a", "unit": "x"}]')) AS c(card) GROUP BY card;
SELECT meter.rate_card_hash(card) = (meter.rate_card_hash_extended(card, 0)::bit(64) << 32)::bit(32)::integer AS same FROM (SELECT '[{"item": "a", "unit": "x", "price": 1}]'::meter.rate_card) AS c(card);

-- jsonb both ways
SELECT (jsonb '[{"item": "a", "unit": "x", "price": 0.1, "valid": "[2025-01-01,)"}]')::meter.rate_card::jsonb;
SELECT meter.rate_card(jsonb '[]')::jsonb;

-- from rows: every argument, NULLs at their defaults, ranges made half open
SELECT meter.rate_card(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence)
FROM (VALUES
	('m', 'input_tokens', 2.5, 1000000, NULL::tstzrange, NULL, NULL, NULL::time, NULL::time, NULL::integer),
	('m', 'input_tokens', 5, 1000000, '[2025-01-01 00:00+00,2025-02-01 00:00+00]', NULL, 200001, NULL, NULL, 7),
	('m', 'input_tokens', 1, 1000000, '(2025-01-01 00:00+00,2025-02-01 00:00+00)', 'batch', 0, '22:00', '24:00', 7),
	('m', 'audio_seconds', 0.04, 3600, '[-infinity,infinity)', 'batch', 0, NULL, NULL, 7)
) AS r(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence);
SELECT meter.rate_card(item, unit, price, per) FROM (VALUES ('m', 'x', 1, 2), ('m', 'y', 3, NULL)) AS r(item, unit, price, per);
SELECT meter.rate_card('m', 'x', 1, 2, '[2025-01-01 00:00+00,)');

-- instants far away come back as they are
SELECT '[{"item": "a", "unit": "x", "price": 1, "valid": "[-4713-11-24T00:00:00Z,294276-12-31T23:59:59.999999Z)"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "valid": "[0000-02-29,0001-01-01)"}]'::meter.rate_card;

-- numbers at the edges
SELECT '[{"item": "a", "unit": "x", "price": 0.000000000001, "per": 170141183460469231731687303.715884105727}]'::meter.rate_card;

-- refused, with the reason
SELECT 'x'::meter.rate_card;
SELECT '[x]'::meter.rate_card;
SELECT '{}'::meter.rate_card;
SELECT '1'::meter.rate_card;
SELECT '[1]'::meter.rate_card;
SELECT '[{"unit": "x", "price": 1}]'::meter.rate_card;
SELECT '[{"item": "a", "price": 1}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": "1"}]'::meter.rate_card;
SELECT '[{"item": 1, "unit": "x", "price": 1}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "prise": 1}]'::meter.rate_card;
SELECT '[{"item": "", "unit": "x", "price": 1}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "Input Tokens", "price": 1}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": -1}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "per": 0}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 0.0000000000001}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1e27}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "context_from": -1}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "precedence": 1.5}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "precedence": 3000000000}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "valid": "2025"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "valid": "[2025-02-30,)"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "valid": "[2025-02-01,2025-02-01)"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "valid": "[2025-02-02,2025-02-01)"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "daily_from": "10:00"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "daily_from": "10:00", "daily_until": "10:00"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "daily_from": "25:00", "daily_until": "10:00"}]'::meter.rate_card;
SELECT meter.rate_card(NULL, 'x', 1, 1);
SELECT meter.rate_card('a', NULL, 1, 1);
SELECT meter.rate_card('a', 'x', NULL, 1);
SELECT meter.rate_card('a', 'x', 'NaN', 1);
SELECT meter.rate_card('a', 'x', 1, 1, 'empty');
SELECT meter.rate_card('a', 'x', 1, 1, NULL, NULL, NULL, '10:00', NULL, NULL);

-- two that tie; and what does not
SELECT '[{"item": "a", "unit": "x", "price": 1}, {"item": "a", "unit": "x", "price": 2}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "valid": "[2025-01-01,2025-03-01)"}, {"item": "a", "unit": "x", "price": 2, "valid": "[2025-02-01,)"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "daily_from": "22:00", "daily_until": "02:00"}, {"item": "a", "unit": "x", "price": 2, "daily_from": "01:59", "daily_until": "03:00"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "daily_from": "22:00", "daily_until": "02:00"}, {"item": "a", "unit": "x", "price": 2, "daily_from": "23:00", "daily_until": "01:00"}]'::meter.rate_card;
SELECT jsonb_array_length('[{"item": "a", "unit": "x", "price": 1, "daily_from": "22:00", "daily_until": "02:00"}, {"item": "a", "unit": "x", "price": 2, "daily_from": "02:00", "daily_until": "22:00"},
	{"item": "a", "unit": "x", "price": 3}, {"item": "a", "unit": "x", "price": 4, "context_from": 1}, {"item": "a", "unit": "x", "price": 5, "precedence": 1, "valid": "[2025-01-01,2025-02-01)"},
	{"item": "a", "unit": "x", "price": 6, "precedence": 1, "valid": "[2025-02-01,2025-03-01)"}, {"item": "a", "unit": "x", "price": 7, "variant": "batch"}]'::meter.rate_card::jsonb);

-- parallel workers build the same card
CREATE TABLE rates AS
	SELECT 'item ' || i % 50 AS item, (ARRAY['input_tokens', 'output_tokens', 'my_unit', '*'])[1 + i % 4] AS unit,
		round(i / 7.0, 6) AS price, 1000 AS per, i AS precedence
	FROM generate_series(1, 5000) AS i;
CREATE TEMP TABLE serial AS
	SELECT meter.rate_card(item, unit, price, per, NULL, NULL, NULL, NULL, NULL, precedence) AS card FROM rates;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT card = (SELECT meter.rate_card(item, unit, price, per, NULL, NULL, NULL, NULL, NULL, precedence) FROM rates) AS same FROM serial;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- as a window function, the state goes on being read and added to
SELECT count(*), max(jsonb_array_length(card::jsonb)) FROM (
	SELECT meter.rate_card(item, unit, price, per, NULL, NULL, NULL, NULL, NULL, precedence) OVER (ORDER BY precedence ROWS UNBOUNDED PRECEDING) AS card
	FROM rates WHERE precedence <= 20) AS w;
-- text round trip of a large card
SELECT card::text::meter.rate_card = card AS same FROM serial;
-- a state is a value like any other
SELECT state, meter.rate_card_final(state) FROM (SELECT meter.rate_card_add(meter.rate_card_add(NULL, 'b', 'x', 1, 1), 'a', 'x', 2, 1)) AS s(state);
SELECT meter.rate_card_combine(s, s) FROM (SELECT meter.rate_card_add(NULL, 'b', 'x', 1, 1)) AS s(s);
SELECT meter.rate_card_final(meter.rate_card_combine(s, s)) FROM (SELECT meter.rate_card_add(NULL, 'b', 'x', 1, 1)) AS s(s);
SELECT meter.rate_card_combine(NULL, NULL) IS NULL AS nothing;
WITH s(s) AS MATERIALIZED (SELECT meter.rate_card_add(NULL, 'b', 'x', 1, 1)) SELECT meter.rate_card_add(s, 'c', 'x', 1, 1), s FROM s;

-- binary round trip
CREATE TABLE sent (card meter.rate_card, state meter.rate_card_state, amount meter.amount_state);
INSERT INTO sent SELECT card, '[{"item": "a", "unit": "x", "price": 1.5, "daily_from": "10:00", "daily_until": "11:00"}]', '96.791325 19366' FROM serial;
INSERT INTO sent VALUES ('[]', '[]', '0 0');
CREATE TABLE received (LIKE sent);
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/rate_card.bin'
\set copy_out '\\copy sent TO ' :'file' ' (FORMAT binary)'
\set copy_in '\\copy received FROM ' :'file' ' (FORMAT binary)'
:copy_out
:copy_in
SELECT r.card = s.card AS card, r.state::text = s.state::text AS state, r.amount::text = s.amount::text AS amount
FROM sent AS s JOIN received AS r ON s.card = r.card;

-- nesting is refused before it can be deep, brackets in names are not nesting
SELECT repeat('[', 100000)::meter.rate_card;
SELECT repeat('{"a":', 100000)::meter.rate_card_state;
SELECT ('[{"item": "' || repeat('[{\"', 20) || '", "unit": "x", "price": 1}]')::meter.rate_card IS NOT NULL AS fine;

-- a long state can be kept in a table, and goes on
CREATE TABLE kept (state meter.rate_card_state);
INSERT INTO kept SELECT meter.rate_card_state_in(meter.rate_card_out(card)) FROM serial;
SELECT meter.rate_card_final(meter.rate_card_combine(state, meter.rate_card_add(NULL, 'new', 'x', 1, 1))) <> card AS more, meter.rate_card_final(state) = card AS same FROM kept, serial;
DROP TABLE kept;

-- sums of amounts as text
SELECT '-1.50 3'::meter.amount_state, '0 5'::meter.amount_state;
SELECT '1'::meter.amount_state;
SELECT '1 0'::meter.amount_state;
SELECT '1 -1'::meter.amount_state;
SELECT '1 2 3'::meter.amount_state;
SELECT '1.0000000000001 1'::meter.amount_state;
DROP TABLE rates, sent, received, serial;

-- validity at the ends of time: an open end is none, and what begins at the end or ends at the beginning is never valid
SELECT '[{"item": "a", "unit": "x", "price": 1, "valid": "[-infinity,infinity]"}]'::meter.rate_card;
SELECT meter.rate_card('a', 'x', 1, 1, '(-infinity,infinity)'), meter.rate_card('a', 'x', 1, 1, '[-infinity,infinity]');
SELECT '[{"item": "a", "unit": "x", "price": 1, "valid": "[infinity,)"}]'::meter.rate_card;
SELECT '[{"item": "a", "unit": "x", "price": 1, "valid": "(,-infinity]"}]'::meter.rate_card;
SELECT meter.rate_card('a', 'x', 1, 1, '(infinity,)');
SELECT meter.rate_card('a', 'x', 1, 1, '(,-infinity]');
SELECT meter.rate_card('a', 'x', 1, 1, '("294276-12-31 23:59:59.999999+00",)');
SELECT meter.rate_card('a', 'x', 1, 1, '[2026-01-01 00:00+00,"294276-12-31 23:59:59.999999+00"]');

-- ties are those of a comparison of all pairs, over windows that wrap too
CREATE FUNCTION ties(rates jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM rates::meter.rate_card;
    RETURN false;
EXCEPTION WHEN data_exception THEN
    IF SQLERRM NOT LIKE 'two rates of % tie' THEN
        RAISE;
    END IF;
    RETURN true;
END$$;
CREATE FUNCTION spans(f integer, u integer) RETURNS int4multirange LANGUAGE sql AS $$
SELECT CASE WHEN f < u THEN int4multirange(int4range(f, u)) ELSE int4multirange(int4range(f, 24), int4range(0, u)) END
$$;
SELECT setseed(0.5);
CREATE TABLE drawn AS
SELECT n / 6 AS card, n, b AS f, (b + 1 + (random() * 7)::integer) % 24 AS u, d AS v, d + 1 + (random() * 5)::integer AS w
FROM (SELECT n, (random() * 23)::integer AS b, (random() * 20)::integer AS d FROM generate_series(0, 2999) AS n) AS s;
SELECT ties, expected, count(*) BETWEEN 50 AND 450 AS many
FROM (SELECT card, ties(jsonb_agg(jsonb_build_object('item', 'a', 'unit', 'x', 'price', 1, 'daily_from', to_char(f, 'FM00') || ':00', 'daily_until', to_char(u, 'FM00') || ':00',
            'valid', format('[%s,%s)', to_char(date '2026-01-01' + v, 'YYYY-MM-DD'), to_char(date '2026-01-01' + w, 'YYYY-MM-DD'))))) FROM drawn GROUP BY card) AS found
JOIN (SELECT a.card, bool_or(a.n < b.n AND spans(a.f, a.u) && spans(b.f, b.u) AND int4range(a.v, a.w) && int4range(b.v, b.w)) AS expected
    FROM drawn AS a JOIN drawn AS b USING (card) GROUP BY a.card) AS pairs USING (card)
GROUP BY ties, expected ORDER BY ties;

-- the rate that decides is that of a search through all, whatever overlaps
CREATE TABLE layers AS
SELECT n AS precedence, v, v + 1 + (random() * 40)::integer AS w, CASE WHEN n % 3 = 0 THEN 100 ELSE 0 END AS context_from FROM (SELECT n, (random() * 100)::integer AS v FROM generate_series(1, 80) AS n) AS s;
WITH card AS MATERIALIZED (
    SELECT meter.rate_card('a', 'input_tokens', precedence, 1, tstzrange(timestamptz '2026-01-01 00:00+00' + v * interval '1 day', timestamptz '2026-01-01 00:00+00' + w * interval '1 day'),
        NULL, context_from, NULL, NULL, precedence) AS card
    FROM layers
)
SELECT count(*) AS asked, count(*) FILTER (WHERE cost IS DISTINCT FROM expected) AS wrong, count(cost) BETWEEN 1 AND 299 AS some_unpriced
FROM (
    SELECT meter.cost((SELECT card FROM card), 'a', timestamptz '2026-01-01 12:00+00' + d * interval '1 day', meter.usage('input_tokens', q)) AS cost,
        (SELECT precedence * q FROM layers WHERE d >= v AND d < w AND context_from <= q ORDER BY precedence DESC LIMIT 1)::numeric AS expected
    FROM generate_series(-4, 145) AS d, (VALUES (1), (100)) AS quantities (q)
) AS rated;
DROP TABLE drawn, layers;
DROP FUNCTION ties, spans;

-- a long history of one unit is built in the time it takes to write it down
SET statement_timeout = '60s';
SELECT length(meter.rate_card('a', 'x', 1, 1, span, NULL, NULL, f, u, NULL)::text) > 0 AS built
FROM (SELECT tstzrange(at, at + interval '1 hour') AS span FROM generate_series(timestamptz '2000-01-01 00:00+00', '2009-12-31 00:00+00', interval '1 hour') AS at) AS hours,
    (VALUES (time '22:00', time '06:00'), (NULL, NULL)) AS windows (f, u);
RESET statement_timeout;

-- too many rates for one section
SELECT meter.rate_card('a', 'u' || i, 1, 1, tstzrange('2026-01-01', timestamptz '2026-01-01' + i * interval '1 day')) FROM generate_series(1, 2100) AS i;
