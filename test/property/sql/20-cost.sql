-- Costs of random events with random rate cards, against rates as rows and numeric.

-- The lattice of units: what a unit is a kind of, the nearest first: the one with the most
-- ancestors of its own, then the cache one, then by name.
CREATE TABLE unit_row (unit text, ord integer, ancestor text);
INSERT INTO unit_row
SELECT unit, ord, ancestor FROM (VALUES
    ('input_tokens', '{}'::text[]),
    ('cache_read_tokens', '{input_tokens}'),
    ('cache_write_tokens', '{input_tokens}'),
    ('cache_write_5m_tokens', '{cache_write_tokens,input_tokens}'),
    ('cache_write_1h_tokens', '{cache_write_tokens,input_tokens}'),
    ('input_audio_tokens', '{input_tokens}'),
    ('cache_audio_read_tokens', '{cache_read_tokens,input_audio_tokens,input_tokens}'),
    ('cache_audio_write_1h_tokens',
     '{cache_audio_write_tokens,cache_write_1h_tokens,cache_write_tokens,input_audio_tokens,input_tokens}'),
    ('input_image_tokens', '{input_tokens}'),
    ('output_tokens', '{}'),
    ('output_reasoning_tokens', '{output_tokens}'),
    ('output_audio_tokens', '{output_tokens}'),
    ('output_audio_reasoning_tokens', '{output_audio_tokens,output_reasoning_tokens,output_tokens}'),
    ('requests', '{}'), ('actions', '{}'), ('web_searches', '{}'), ('audio_seconds', '{}'),
    ('input_audio_seconds', '{audio_seconds}'), ('input_characters', '{}'),
    ('jobs_of_mine', '{}'), ('x', '{}')) AS u (unit, ancestors)
CROSS JOIN LATERAL unnest('{}'::text[] || u.unit || u.ancestors) WITH ORDINALITY AS a (ancestor, ord);

CREATE TABLE unit_number AS
SELECT row_number() OVER (ORDER BY unit) - 1 AS n, unit,
       unit ~ '^(input|cache)_.*tokens$' AS is_input
FROM (SELECT DISTINCT unit FROM unit_row) AS u;
SELECT count(*) AS units FROM unit_number \gset

-- Cards of items; an item in a variant; its units. Rates of a unit are the cells of a grid
-- (spans of time x contexts x windows of the day x precedences) of which some are there, so
-- that no two tie.
CREATE TABLE rate_row AS
SELECT card, 'item' || item AS item, variant, unit,
       CASE pick(key, 110, 6) WHEN 0 THEN 0 WHEN 1 THEN decimal_of(key, 111, 9) ELSE decimal_of(key, 111, 2) END AS price,
       CASE pick(key, 112, 6) WHEN 0 THEN 1 WHEN 1 THEN 3600 WHEN 2 THEN 1000 WHEN 3 THEN greatest(decimal_of(key, 113, 3), 0.000000000001)
            ELSE 1000000 END::numeric AS per,
       tstzrange(since, until) AS valid,
       context_from, daily_from, daily_until, precedence
FROM (
    SELECT card, item, variant, CASE WHEN u.unit IS NULL THEN '*' ELSE u.unit END AS unit,
           (((card * 8 + item) * 8 + v) * 64 + coalesce(u.n, 63)) * 1024 + t * 128 + c * 16 + w * 2 + p AS key,
           -- spans end on a day and on odd microseconds, the first begins and the last ends nowhere
           CASE WHEN t > 0 THEN timestamptz '2026-01-01 00:00Z' + t * interval '100 days' + (card % 3) * interval '1 hour 0.000001 s' END AS since,
           CASE WHEN t < 3 THEN timestamptz '2026-01-01 00:00Z' + (t + 1) * interval '100 days' + (card % 3) * interval '1 hour 0.000001 s' END AS until,
           CASE c WHEN 0 THEN NULL WHEN 1 THEN 1000 ELSE 200000.5 END AS context_from,
           CASE w WHEN 1 THEN time '22:00' WHEN 2 THEN time '08:30:00.5' END AS daily_from,
           CASE w WHEN 1 THEN time '03:15' WHEN 2 THEN time '12:00' END AS daily_until,
           p * 100 AS precedence
    FROM generate_series(1, (SELECT greatest(cases / 500, 1)::bigint FROM parameter)) AS card,
         generate_series(0, 3) AS item,
         (VALUES (0, 'standard'), (1, 'batch'), (2, 'cached'), (3, 'a variant of mine')) AS v (v, variant),
         (SELECT n, unit FROM unit_number UNION ALL SELECT NULL, NULL) AS u,
         generate_series(0, 3) AS t, generate_series(0, 2) AS c, generate_series(0, 2) AS w, generate_series(0, 1) AS p
    WHERE (v = 0 OR pick(card * 8 + item, 100 + v, 3) = 0)
      AND (item > 0 OR pick(card, 99, 2) = 0)
      AND pick(((card * 8 + item) * 8 + v) * 64 + coalesce(u.n, 63), 104, CASE WHEN u.n IS NULL THEN 4 ELSE 3 END) = 0) AS g
WHERE pick(key, 105, 4) = 0
   OR context_from IS NULL AND daily_from IS NULL AND precedence = 0 AND pick(key, 106, 8) > 0;

CREATE TABLE card AS
SELECT card AS id, meter.rate_card(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence) AS card
FROM rate_row GROUP BY card;
ALTER TABLE card ADD PRIMARY KEY (id);
SELECT count(*) AS cards FROM card \gset
CALL must_be_empty('a card is the same whatever order its rates come in', :cards, $$
    SELECT r.card FROM (
        SELECT card, meter.rate_card(item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence
                                     ORDER BY prop.h(hashtext(item || unit || valid::text), precedence + 7)) AS again
        FROM prop.rate_row GROUP BY card) AS r
    JOIN prop.card AS c ON c.id = r.card
    WHERE c.card <> r.again OR c.card::text <> r.again::text$$);

-- Events near spans' ends and windows' ends, with one to four units, reversals among them.
CREATE TABLE event AS
SELECT id, 1 + id % :cards AS card,
       CASE pick(id, 120, 20) WHEN 0 THEN 'nobody' WHEN 1 THEN NULL ELSE 'item' || pick(id, 121, 4) END AS item,
       (ARRAY['standard', 'standard', 'standard', 'batch', 'cached', 'byok', 'a variant of mine'])[1 + pick(id, 122, 7)] AS variant,
       CASE pick(id, 123, 3)
           WHEN 0 THEN timestamptz '2026-01-01 00:00Z' + pick(id, 124, 5) * interval '100 days'
                       + ((1 + id % :cards) % 3) * interval '1 hour 0.000001 s' + (pick(id, 125, 3) - 1) * interval '1 microsecond'
           WHEN 1 THEN timestamptz '2026-01-01 00:00Z' + pick(id, 124, 400) * interval '1 day'
                       + (ARRAY[time '22:00', '03:15', '08:30:00.5', '12:00', '00:00'])[1 + pick(id, 126, 5)]
                       + (pick(id, 125, 3) - 1) * interval '1 microsecond'
           ELSE timestamptz '2025-06-01 00:00Z' + pick(id, 124, 600) * interval '1 day' + pick(id, 127, 86400) * interval '1 second' END AS at,
       CASE WHEN pick(id, 128, 5) = 0 THEN -1 ELSE 1 END AS sign
FROM generate_series(1::bigint, (SELECT cases FROM parameter)) AS id;
CREATE TABLE event_bucket AS
SELECT DISTINCT ON (e.id, u.unit) e.id, u.unit, u.is_input,
       e.sign * CASE pick(e.id * 8 + k, 130, 12)
           WHEN 0 THEN 0
           WHEN 1 THEN 0.000000000001
           WHEN 2 THEN decimal_of(e.id * 8 + k, 131, 3)
           WHEN 3 THEN decimal_of(e.id * 8 + k, 131, 15) * CASE WHEN pick(e.id * 8 + k, 135, 8) = 0 THEN 10000000000 ELSE 1 END
           WHEN 4 THEN 1000
           WHEN 5 THEN 200000.5
           ELSE trunc(decimal_of(e.id * 8 + k, 132, 6)) END AS quantity
FROM event AS e
CROSS JOIN LATERAL generate_series(1, pick(e.id, 133, 5)) AS k
JOIN unit_number AS u ON u.n = pick(e.id * 8 + k, 134, :units)
ORDER BY e.id, u.unit, k;
ALTER TABLE event_bucket ADD PRIMARY KEY (id, unit);
ALTER TABLE event ADD COLUMN usage meter.usage NOT NULL DEFAULT '{}';
UPDATE event AS e SET usage = b.usage
FROM (SELECT id, jsonb_object_agg(unit, quantity)::meter.usage AS usage FROM event_bucket GROUP BY id) AS b
WHERE b.id = e.id;
CREATE INDEX ON rate_row (card, item, variant, unit);
ANALYZE;

-- The rate of a bucket: the nearest unit of the chain that has one which holds; of these
-- precedence, then context, then the window.
CREATE TABLE reference_bucket AS
SELECT b.id, b.unit, b.quantity, r.price, r.per,
       CASE WHEN e.item IS NULL THEN 0
            WHEN r.price IS NOT NULL THEN settle(b.quantity * r.price, r.per)
            WHEN e.variant IN ('cached', 'byok') THEN 0
            WHEN b.unit IN ('requests', 'actions')
                 AND EXISTS (SELECT FROM rate_row AS k WHERE (k.card, k.item, k.variant) = (e.card, e.item, e.variant)) THEN 0
            WHEN b.quantity = 0 THEN 0 END AS amount
FROM (SELECT *, sum(CASE WHEN is_input THEN abs(quantity) ELSE 0 END) OVER (PARTITION BY id) AS context FROM event_bucket) AS b
JOIN event AS e USING (id)
LEFT JOIN LATERAL (
    SELECT r.price, r.per
    FROM (SELECT ord, ancestor FROM unit_row WHERE unit = b.unit UNION ALL SELECT 100, '*') AS c
    JOIN rate_row AS r ON r.card = e.card AND r.item = e.item AND r.variant = e.variant AND r.unit = c.ancestor
    WHERE r.valid @> e.at
      AND coalesce(r.context_from, 0) <= b.context
      AND CASE WHEN r.daily_from IS NULL THEN true
               WHEN r.daily_from < r.daily_until
               THEN (e.at AT TIME ZONE 'UTC')::time >= r.daily_from AND (e.at AT TIME ZONE 'UTC')::time < r.daily_until
               ELSE (e.at AT TIME ZONE 'UTC')::time >= r.daily_from OR (e.at AT TIME ZONE 'UTC')::time < r.daily_until END
    ORDER BY c.ord, r.precedence DESC, coalesce(r.context_from, 0) DESC, r.daily_from IS NULL
    LIMIT 1) AS r ON true;
CREATE TABLE reference_cost AS
SELECT e.*, CASE WHEN bool_or(b.id IS NOT NULL AND b.amount IS NULL) THEN NULL ELSE coalesce(sum(b.amount), 0) END AS cost,
       coalesce(bool_or(abs(b.amount) > dec_max()), false) OR abs(coalesce(sum(b.amount), 0)) > dec_max() AS refused
FROM event AS e LEFT JOIN reference_bucket AS b USING (id)
GROUP BY e.id, e.card, e.item, e.variant, e.at, e.sign, e.usage
-- a card after the other: reading a card out of its table again for every row costs a lot
ORDER BY e.card, e.id;
ALTER TABLE reference_cost ADD PRIMARY KEY (id);
ALTER TABLE reference_bucket ADD PRIMARY KEY (id, unit);
ANALYZE reference_bucket, reference_cost;

SELECT count(*) AS n, count(*) FILTER (WHERE refused) AS refused FROM reference_cost \gset
CALL must_be_empty('some events are priced, some are unpriced, some are not nothing', 1, $$
    SELECT count(*), count(cost), count(nullif(cost, 0)) FROM prop.reference_cost
    HAVING NOT (count(*) > count(cost) AND count(cost) > count(nullif(cost, 0)) AND count(nullif(cost, 0)) > count(*) / 50)$$);
CALL must_be_empty('cost is the reference', :n, $$
    SELECT * FROM (
        SELECT r.id, item, at, usage, variant, cost AS expected, meter.cost(c.card, item, at, usage, variant) AS got
        FROM prop.reference_cost AS r JOIN prop.card AS c ON c.id = r.card WHERE NOT refused) AS x
    WHERE got IS DISTINCT FROM expected$$);
CALL must_be_empty('a cost that does not fit is refused', :refused, $$
    SELECT * FROM (
        SELECT id, prop.state_of(format('SELECT meter.cost(card, %L, %L, %L, %L) FROM prop.card WHERE id = %s', item, at, usage, variant, card)) AS state
        FROM prop.reference_cost WHERE refused) AS r
    WHERE state <> '22003'$$);
CALL must_be_empty('unpriced says whether cost is NULL', :n, $$
    SELECT r.id FROM prop.reference_cost AS r JOIN prop.card AS c ON c.id = r.card
    WHERE NOT refused AND meter.unpriced(c.card, item, at, usage, variant) IS DISTINCT FROM (cost IS NULL)$$);
CALL must_be_empty('cost(u) + cost(-u) is 0', :n, $$
    SELECT r.id, cost FROM prop.reference_cost AS r JOIN prop.card AS c ON c.id = r.card
    WHERE NOT refused AND meter.cost(c.card, item, at, -usage, variant) IS DISTINCT FROM -cost$$);
CALL must_be_empty('cost_lines are the buckets and add up to the cost', :n / 4, $$
    SELECT * FROM (
        SELECT r.id, r.item, r.usage, r.variant, l.lines,
               (SELECT jsonb_agg(jsonb_build_array(unit, trim_scale(quantity), trim_scale(amount),
                                                   -- what is free is 0 per 1
                                                   CASE WHEN price IS NOT NULL THEN trim_scale(price) WHEN amount = 0 THEN 0 END,
                                                   CASE WHEN price IS NOT NULL THEN trim_scale(per) WHEN amount = 0 THEN 1 END) ORDER BY unit COLLATE "C")
                FROM prop.reference_bucket AS b WHERE b.id = r.id) AS expected
        FROM prop.reference_cost AS r JOIN prop.card AS c ON c.id = r.card
        CROSS JOIN LATERAL (
            SELECT jsonb_agg(jsonb_build_array(unit, quantity, amount, price, per) ORDER BY unit COLLATE "C") AS lines
            FROM meter.cost_lines(c.card, r.item, r.at, r.usage, r.variant)) AS l
        WHERE NOT refused AND r.item IS NOT NULL AND r.id % 4 = 0) AS x
    WHERE lines IS DISTINCT FROM expected$$);
CALL must_be_empty('total_cost skips what is unpriced and is the sum of the rest', :cards, $$
    SELECT * FROM (
        SELECT r.card, meter.total_cost(c.card, item, at, usage, variant) AS got, coalesce(sum(cost), 0) AS expected
        FROM prop.reference_cost AS r JOIN prop.card AS c ON c.id = r.card
        WHERE NOT refused AND (abs(cost) < 1e18) IS NOT FALSE GROUP BY r.card) AS x
    WHERE coalesce(got, 0) <> expected$$);
CALL must_be_empty('a usage is what it was made of', :n, $$
    SELECT id, usage FROM prop.event
    WHERE usage::jsonb <> coalesce((SELECT jsonb_object_agg(unit, quantity) FROM prop.event_bucket AS b WHERE b.id = event.id), '{}')
       OR (usage - usage) <> (usage + -usage)
       OR usage IS DISTINCT FROM usage::text::meter.usage
       OR usage IS DISTINCT FROM usage::jsonb::meter.usage$$);
CALL must_be_empty('quantities of both signs are refused', 1000, $$
    SELECT * FROM (
        SELECT e.id, prop.state_of(format('SELECT meter.cost(card, %L, %L, %L) FROM prop.card WHERE id = %s', coalesce(item, 'item1'), at,
                                  usage + meter.usage('y', -sign), card)) AS state
        FROM prop.event AS e JOIN prop.event_bucket USING (id) WHERE quantity <> 0 AND e.id <= 1000) AS x
    WHERE state NOT LIKE '22%'$$);
