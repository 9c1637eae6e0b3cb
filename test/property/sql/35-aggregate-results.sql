SET search_path TO prop, pg_catalog, public;
SELECT count(*) AS n FROM result_of \gset
CALL must_be_empty('every way has as many groups', :n, $$
    SELECT way, n, count(*) FROM prop.result_of GROUP BY way, n
    HAVING count(*) <> (SELECT count(*) FROM prop.result_of AS s WHERE s.way = 'serial' AND s.n = result_of.n)$$);
CALL must_be_empty('every way to aggregate ends in the serial result', :n, $$
    SELECT a.signature, r.way, r.g, left(s.result, 200) AS serial, left(r.result, 200) AS got
    FROM prop.result_of AS r
    JOIN prop.result_of AS s ON (s.n, s.g) = (r.n, r.g) AND s.way = 'serial'
    JOIN prop.aggregate_of AS a ON a.n = r.n
    WHERE r.result IS DISTINCT FROM s.result$$);

-- and the serial result is that of plain SQL
CALL must_be_empty('sum(usage) is the sum of every unit', 38, $$
    SELECT * FROM (
        SELECT g, result::jsonb AS got,
               (SELECT jsonb_object_agg(unit, total) FROM (
                    SELECT u.unit, sum(u.quantity) AS total FROM prop.plain_row AS p, meter.each(p.usage) AS u
                    WHERE p.g = r.g GROUP BY u.unit) AS t) AS expected
        FROM prop.result_of AS r WHERE n = 1 AND way = 'serial') AS x
    WHERE coalesce(got, '{}') <> coalesce(expected, '{}')$$);
CALL must_be_empty('total_cost is the sum of costs', 38, $$
    SELECT * FROM (
        SELECT g, result::numeric AS got,
               (SELECT sum(meter.cost((SELECT card FROM prop.mild_card), item, at, usage, variant))
                FROM prop.plain_row AS p WHERE p.g = r.g) AS expected
        FROM prop.result_of AS r WHERE n = 2 AND way = 'serial') AS x
    WHERE coalesce(got, 0) <> coalesce(expected, 0)$$);
CALL must_be_empty('total_cost of columns is that of their usage', 38, $$
    SELECT * FROM (
        SELECT g, result::numeric AS got,
               (SELECT meter.total_cost((SELECT card FROM prop.mild_card), item, at,
                                        meter.usage('input_tokens', whole, 'output_tokens', quantity, 'x', small, 'cache_read_tokens', small))
                FROM prop.plain_row AS p WHERE p.g = r.g) AS expected
        FROM prop.result_of AS r WHERE n = 16 AND way = 'serial') AS x
    WHERE got IS DISTINCT FROM expected$$);
-- sum(breakdown): its entries are those of all, added up by what they are of
CREATE TABLE plain_entry AS
SELECT g, entry.* FROM prop.plain_row, meter.entries(breakdown) AS entry;
CREATE TABLE plain_usage AS
SELECT g, item, action, variant, outcome, request_class, jsonb_object_agg(unit, total) AS usage
FROM (SELECT g, item, action, variant, outcome, request_class, u.unit, sum(u.quantity) AS total
      FROM plain_entry, meter.each(usage) AS u GROUP BY g, item, action, variant, outcome, request_class, u.unit) AS t
GROUP BY g, item, action, variant, outcome, request_class;
CREATE TABLE summed_entry AS
SELECT g, entry.item, entry.action, entry.variant, entry.outcome, entry.request_class, entry.events, entry.usage::jsonb, entry.cost, entry.credits, entry.unpriced_cost, entry.unpriced_credits
FROM prop.result_of AS r, meter.entries(result::meter.breakdown) AS entry WHERE n = 26 AND way = 'serial';
CREATE TABLE expected_entry AS
SELECT e.g, e.item, e.action, e.variant, e.outcome, e.request_class, e.events, coalesce(u.usage, '{}') AS usage, e.cost, e.credits, e.unpriced_cost, e.unpriced_credits
FROM (SELECT g, item, action, variant, outcome, request_class, sum(events) AS events, sum(cost) AS cost, sum(credits) AS credits, sum(unpriced_cost) AS unpriced_cost, sum(unpriced_credits) AS unpriced_credits
      FROM plain_entry GROUP BY g, item, action, variant, outcome, request_class) AS e
LEFT JOIN plain_usage AS u ON (e.g, e.item, e.action, e.variant, e.outcome, e.request_class) IS NOT DISTINCT FROM (u.g, u.item, u.action, u.variant, u.outcome, u.request_class);
SELECT count(*) AS n FROM expected_entry \gset
CALL must_be_empty('sum(breakdown) is the sum of every entry', :n, $$
    (TABLE prop.summed_entry EXCEPT ALL TABLE prop.expected_entry) UNION ALL (TABLE prop.expected_entry EXCEPT ALL TABLE prop.summed_entry)$$);
-- sum_by: what sum says of the same without the names that are not asked for
CREATE TABLE narrow_entry AS
SELECT g, entry.item, entry.action, entry.variant, entry.outcome, entry.request_class, entry.events, entry.usage, entry.cost, entry.credits, entry.unpriced_cost, entry.unpriced_credits
FROM prop.result_of AS r, meter.entries(result::meter.breakdown) AS entry WHERE n = 28 AND way = 'serial';
CREATE TABLE expected_narrow_entry AS
SELECT g, item, action, variant, outcome, request_class, sum(events)::bigint AS events, sum(usage) AS usage, sum(cost) AS cost, sum(credits) AS credits, sum(unpriced_cost)::bigint AS unpriced_cost, sum(unpriced_credits)::bigint AS unpriced_credits
FROM (SELECT g, CASE WHEN g & 1 > 0 THEN item END AS item, CASE WHEN g & 2 > 0 THEN action END AS action, CASE WHEN g & 4 > 0 THEN variant END AS variant,
             CASE WHEN g & 8 > 0 THEN outcome END AS outcome, CASE WHEN g & 16 > 0 THEN request_class END AS request_class, events, usage, cost, credits, unpriced_cost, unpriced_credits
      FROM prop.plain_entry) AS e
GROUP BY g, item, action, variant, outcome, request_class;
SELECT count(*) AS n FROM expected_narrow_entry \gset
CALL must_be_empty('sum_by is the sum of every entry by some of its names', :n, $$
    (TABLE prop.narrow_entry EXCEPT ALL TABLE prop.expected_narrow_entry) UNION ALL (TABLE prop.expected_narrow_entry EXCEPT ALL TABLE prop.narrow_entry)$$);
CALL must_be_empty('a sum of breakdowns is there where one of them is', 38 * 2, $$
    SELECT * FROM prop.result_of AS r WHERE n IN (26, 28) AND way = 'serial'
    AND (result IS NULL) = EXISTS (SELECT FROM prop.plain_row AS p WHERE p.g = r.g AND breakdown IS NOT NULL)$$);

-- break_down: every event rated by itself, and added up by plain SQL
CREATE TABLE rated AS
SELECT g, key_item, key_action, key_variant, key_outcome, key_class, usage, sign,
       meter.cost((SELECT card FROM prop.mild_card), key_item, at, usage, coalesce(key_variant, 'standard')) AS cost,
       meter.cost((SELECT card FROM prop.mild_card), credited, at, usage, coalesce(key_variant, 'standard')) AS credits,
       at IS NULL OR usage IS NULL OR key_item IS NOT NULL AS has_cost, at IS NULL OR usage IS NULL OR credited IS NOT NULL AS has_credits
FROM (SELECT g, CASE WHEN small % 7 > 0 THEN item END AS key_item, CASE WHEN small % 4 > 0 THEN item END AS key_action, CASE WHEN small % 5 > 0 THEN variant END AS key_variant,
             pool AS key_outcome, CASE WHEN small % 19 = 0 THEN zone END AS key_class, CASE WHEN small % 3 = 0 THEN item END AS credited,
             CASE WHEN small % 11 > 0 THEN at END AS at, CASE WHEN small % 13 > 0 THEN usage END AS usage, CASE WHEN small % 17 > 0 THEN 1 - chunk % 2 * 2 ELSE 1 END AS sign
      FROM prop.plain_row) AS event;
CREATE TABLE rated_key AS
SELECT g, key_item AS item, key_action AS action, key_variant AS variant, key_outcome AS outcome, key_class AS request_class,
       sum(sign) AS events, coalesce(sum(usage), '{}') AS usage, coalesce(sum(cost) FILTER (WHERE has_cost), 0) AS cost, coalesce(sum(credits) FILTER (WHERE has_credits), 0) AS credits,
       coalesce(sum(sign) FILTER (WHERE has_cost AND cost IS NULL), 0) AS unpriced_cost, coalesce(sum(sign) FILTER (WHERE has_credits AND credits IS NULL), 0) AS unpriced_credits
FROM rated GROUP BY g, key_item, key_action, key_variant, key_outcome, key_class;
CREATE TABLE broken_down AS
SELECT g, entry.* FROM prop.result_of AS r, meter.entries((result::meter.day_totals).breakdown) AS entry WHERE n = 27 AND way = 'serial';
SELECT count(*) AS n FROM rated_key \gset
CALL must_be_empty('break_down has of each key what its events come to', :n, $$
    (TABLE prop.broken_down EXCEPT ALL TABLE prop.rated_key) UNION ALL (TABLE prop.rated_key EXCEPT ALL TABLE prop.broken_down)$$);
CALL must_be_empty('break_down has in total what all events come to', 38, $$
    SELECT * FROM (SELECT g, (result::meter.day_totals).* FROM prop.result_of WHERE n = 27 AND way = 'serial') AS got
    FULL JOIN (SELECT g, sum(events) AS events, sum(cost) AS cost, sum(credits) AS credits, sum(unpriced_cost) AS unpriced_cost, sum(unpriced_credits) AS unpriced_credits
               FROM prop.rated_key GROUP BY g) AS expected USING (g)
    WHERE (got.events, got.cost, got.credits, got.unpriced_cost, got.unpriced_credits)
        IS DISTINCT FROM (expected.events, expected.cost, expected.credits, expected.unpriced_cost, expected.unpriced_credits)$$);
CALL must_be_empty('charges_by_period charges the sums of periods', 38 * 3, $$
    SELECT * FROM (
        SELECT r.n, r.g,
               (SELECT jsonb_agg(jsonb_build_array(lower(c.period), trim_scale(c.quantity), c.overage, c.charge) ORDER BY lower(c.period))
                FROM unnest(result::meter.period_charge[]) AS c) AS got,
               (SELECT jsonb_agg(jsonb_build_array(start, trim_scale(q), meter.overage(tariff, q), meter.charge(tariff, q)) ORDER BY start)
                FROM (SELECT CASE WHEN r.n = 5 THEN meter.period_start(at, anchor, every, zone)
                                  ELSE meter.period_start(at, anchor_date, every, zone) END AS start,
                             tariff, sum(CASE r.n WHEN 10 THEN small WHEN 9 THEN whole ELSE quantity END) AS q
                      FROM prop.plain_row AS p
                      WHERE p.g = r.g AND (r.n <> 5 OR quantity IS NOT NULL) AND at IS NOT NULL
                      GROUP BY 1, tariff) AS s) AS expected
        FROM prop.result_of AS r WHERE n IN (5, 9, 10) AND way = 'serial') AS x
    WHERE got IS DISTINCT FROM expected$$);
CALL must_be_empty('burn adds up what is consumed, in every span', 38 * 6, $$
    SELECT * FROM (
        SELECT r.n, r.g, meter.consumed(result::meter.wallet) AS got,
               (SELECT sum(CASE r.n WHEN 67 THEN small WHEN 70 THEN small WHEN 66 THEN whole WHEN 69 THEN whole WHEN 68 THEN -quantity ELSE quantity END)
                FROM prop.plain_row AS p WHERE p.g = r.g AND wallet IS NOT NULL AND at IS NOT NULL) AS expected,
               (SELECT meter.consumed(wallet) FROM prop.plain_row AS p WHERE p.g = r.g AND wallet IS NOT NULL LIMIT 1) AS before
        FROM prop.result_of AS r WHERE n BETWEEN 65 AND 70 AND way = 'serial') AS x
    WHERE got IS DISTINCT FROM coalesce(expected, 0) + before$$);
CALL must_be_empty('gini is the mean difference over twice the mean', 38, $$
    SELECT * FROM (
        SELECT g, result::numeric AS got,
               -- sum of (2 rank - n - 1) * value, over n times the sum
               (SELECT prop.settle(sum((2 * rank - n - 1) * value), nullif(max(n) * sum(value), 0))
                FROM (SELECT value, row_number() OVER (ORDER BY value) AS rank, count(*) OVER () AS n
                      FROM prop.plain_row AS p WHERE p.g = r.g AND value IS NOT NULL) AS v) AS expected
        FROM prop.result_of AS r WHERE n = 11 AND way = 'serial') AS x
    WHERE got IS DISTINCT FROM expected$$);
CALL must_be_empty('top_share is the largest over all', 38, $$
    SELECT * FROM (
        SELECT g, result::numeric AS got,
               (SELECT prop.settle(sum(value) FILTER (WHERE rank <= ceil(n * fraction)), nullif(sum(value), 0))
                FROM (SELECT value, fraction, row_number() OVER (ORDER BY value DESC) AS rank, count(*) OVER () AS n
                      FROM prop.plain_row AS p WHERE p.g = r.g AND value IS NOT NULL) AS v) AS expected
        FROM prop.result_of AS r WHERE n = 12 AND way = 'serial') AS x
    WHERE got IS DISTINCT FROM expected$$);

-- allocate: shares add up to the total, and none is further than a unit from its exact part
CREATE TABLE allocation AS
SELECT g, id, total, weight, digits,
       meter.allocate(total, weight, digits) OVER (PARTITION BY g, digits ORDER BY id) AS share,
       sum(weight) OVER (PARTITION BY g, digits) AS weights
FROM (SELECT id, id % 300 AS g, digits, CASE WHEN (id % 300) % 4 = 0 THEN -1 ELSE 1 END * trunc(decimal_of(id % 300, 230, 6), digits) AS total,
             CASE WHEN pick(id, 231, 6) = 0 THEN 0 ELSE decimal_of(id, 232, 4) END + CASE WHEN id < 300 THEN 1 ELSE 0 END AS weight
      FROM generate_series(0, 8999) AS id, (VALUES (2), (0), (12)) AS d (digits)) AS w;
CALL must_be_empty('shares add up to what is shared', 27000, $$
    SELECT g, digits, total, sum(share) FROM prop.allocation GROUP BY g, digits, total HAVING sum(share) <> total$$);
CALL must_be_empty('a share is its exact part, but for less than one unit', 27000, $$
    SELECT * FROM prop.allocation
    WHERE abs(share * weights - total * weight) >= weights * 10::numeric ^ -digits
       OR weight = 0 AND share <> 0 OR trim_scale(share) <> round(share, digits)$$);

-- rounding goes the same way on both sides of zero, and is numeric's own
CREATE TABLE rounding AS
SELECT id, CASE WHEN id % 5 = 0 THEN trunc(decimal_of(id, 240, 9)) + 0.5 * 10::numeric ^ -pick(id, 241, 12) ELSE decimal_of(id, 240, 9) END AS x,
       pick(id, 242, 16) - 4 AS digits, (ARRAY['USD', 'JPY', 'KWD', 'CLF'])[1 + pick(id, 243, 4)] AS currency,
       pick(id, 244, 4) * 11 + pick(id, 245, 11) AS part, 100 + pick(id, 246, 266) AS whole
FROM generate_series(1, 20000) AS id;
CALL must_be_empty('rounding is half away from zero, and symmetric', 20000, $$
    SELECT * FROM prop.rounding
    WHERE meter.round_quantity(x, 'round', digits) <> round(x, least(digits, 12))
       OR meter.round_quantity(-x, 'round', digits) <> -round(x, least(digits, 12))
       OR meter.round_quantity(-x, 'ceil', digits) <> -meter.round_quantity(x, 'floor', digits)
       OR meter.round_money(x, currency) <> round(x, CASE currency WHEN 'JPY' THEN 0 WHEN 'USD' THEN 2 WHEN 'KWD' THEN 3 ELSE 4 END)
       OR meter.round_money(-x, currency) <> -meter.round_money(x, currency)$$);
CALL must_be_empty('prorated parts add up, and are symmetric', 20000, $$
    SELECT * FROM prop.rounding
    WHERE meter.prorate(x, 0, part, whole) + meter.prorate(x, part, whole, whole) <> x
       OR meter.prorate(x, 0, part, whole) <> prop.settle(x * part, whole)
       OR meter.prorate(-x, 0, part, whole) <> -meter.prorate(x, 0, part, whole)$$);
