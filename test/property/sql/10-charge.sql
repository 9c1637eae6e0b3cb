-- Charges of random tariffs at random quantities, against tiers as rows and numeric.

CREATE TABLE tariff_row AS
SELECT id::bigint,
       (ARRAY['flat', 'graduated', 'graduated', 'volume'])[1 + pick(id, 1, 4)] AS model,
       -- 0: whole numbers throughout; 1: fractions; 2: large; 3: as in contracts
       pick(id, 2, 4) AS flavour,
       CASE WHEN pick(id, 3, 4) = 0 THEN decimal_of(id, 10, 4) ELSE 0 END AS free,
       CASE WHEN pick(id, 4, 4) = 0 THEN least(decimal_of(id, 11, 2), 100) ELSE 0 END AS discount,
       CASE WHEN pick(id, 5, 4) = 0 THEN decimal_of(id, 12, 6) END AS maximum,
       CASE WHEN pick(id, 6, 4) = 0 THEN decimal_of(id, 13, 5) ELSE 0 END AS minimum,
       pick(id, 7, 3) = 0 AS no_fee_at_zero
FROM generate_series(1, (SELECT greatest(cases / 40, 1) FROM parameter)) AS id;
UPDATE tariff_row SET minimum = least(minimum, maximum) WHERE maximum IS NOT NULL;
UPDATE tariff_row SET free = trunc(free), discount = 0 WHERE flavour = 0;

-- Bounds rise, by at least the smallest step.
CREATE TABLE tier_row AS
SELECT id, k, coalesce(lag(bound) OVER w, 0) AS lower, CASE WHEN k < n THEN bound END AS up_to, mode, price, per, fee
FROM (
    SELECT t.id, t.n, k,
           sum(greatest(CASE t.flavour WHEN 0 THEN trunc(decimal_of(t.id * 16 + k, 30, 4))
                                       WHEN 2 THEN decimal_of(t.id * 16 + k, 30, 15)
                                       ELSE decimal_of(t.id * 16 + k, 30, 3) END,
                        CASE t.flavour WHEN 0 THEN 1 ELSE 0.000000000001 END)) OVER (PARTITION BY t.id ORDER BY k) AS bound,
           (ARRAY['linear', 'linear', 'linear', 'per', 'percent', 'started', 'full'])[1 + pick(t.id * 16 + k, 20, 7)] AS mode,
           CASE WHEN pick(t.id * 16 + k, 21, 5) = 0 THEN 0
                WHEN t.flavour = 0 THEN trunc(decimal_of(t.id * 16 + k, 22, 3))
                WHEN t.flavour = 2 THEN decimal_of(t.id * 16 + k, 22, 9)
                ELSE decimal_of(t.id * 16 + k, 22, 2) END AS price,
           greatest(CASE WHEN t.flavour = 0 THEN trunc(decimal_of(t.id * 16 + k, 23, 4)) ELSE decimal_of(t.id * 16 + k, 23, 3) END,
                    CASE WHEN t.flavour = 0 THEN 1 ELSE 0.000000000001 END) AS per,
           CASE WHEN pick(t.id * 16 + k, 24, 3) > 0 THEN 0
                WHEN t.flavour = 0 THEN trunc(decimal_of(t.id * 16 + k, 25, 3))
                ELSE decimal_of(t.id * 16 + k, 25, 3) END AS fee
    FROM (SELECT *, CASE model WHEN 'flat' THEN 1 ELSE 2 + pick(id, 8, 5) END AS n FROM tariff_row) AS t
    CROSS JOIN LATERAL generate_series(1, t.n) AS k) AS s
WINDOW w AS (PARTITION BY id ORDER BY k);

-- The literal, its options in any order.
CREATE TABLE tariff AS
SELECT t.*,
       (CASE model WHEN 'flat' THEN '' ELSE model || ': ' END
        || (SELECT string_agg(
                CASE WHEN model = 'flat' THEN '' WHEN up_to IS NULL THEN 'above ' ELSE format('up to %s ', up_to) END
                || CASE mode WHEN 'linear' THEN format('at %s', price)
                             WHEN 'percent' THEN format('at %s%%', price)
                             WHEN 'per' THEN format('at %s per %s', price, per)
                             ELSE format('at %s per %s %s', price, mode, per) END
                || CASE WHEN fee <> 0 THEN format(' plus %s', fee) ELSE '' END, '; ' ORDER BY k)
            FROM tier_row AS r WHERE r.id = t.id)
        || (SELECT coalesce(string_agg('; ' || o, '' ORDER BY h(t.id, 40 + n)), '')
            FROM (VALUES (1, CASE WHEN free <> 0 THEN format('free %s', free) END),
                         (2, CASE WHEN discount <> 0 THEN format('discount %s%%', discount) END),
                         (3, CASE WHEN maximum IS NOT NULL THEN format('maximum %s', maximum) END),
                         (4, CASE WHEN minimum <> 0 THEN format('minimum %s', minimum) END),
                         (5, CASE WHEN no_fee_at_zero THEN 'no fee at zero' END)) AS v (n, o)
            WHERE o IS NOT NULL))::meter.tariff AS tariff
FROM tariff_row AS t;
ALTER TABLE tariff ADD PRIMARY KEY (id);
ALTER TABLE tier_row ADD PRIMARY KEY (id, k);
ANALYZE;

-- Forty quantities a tariff: zero, the smallest, the largest, the tiers' bounds and their
-- neighbours, packages' bounds, whole ones, fractions, large ones.
CREATE TABLE quantity_row AS
SELECT q.tariff_id, q.n,
       least(greatest(CASE
           WHEN n = 1 THEN 0
           WHEN n = 2 THEN 0.000000000001
           WHEN n = 3 THEN dec_max()
           WHEN n = 4 THEN dec_max() - 0.000000000001
           WHEN n = 5 THEN t.free
           WHEN n <= 20 THEN t.free + coalesce(r.up_to, r.lower)
               + (pick(key, 51, 3) - 1) * 0.000000000001
           WHEN n <= 26 THEN t.free + r.lower + (1 + pick(key, 52, 4)) * r.per
               + (pick(key, 51, 3) - 1) * 0.000000000001
           WHEN n <= 31 THEN trunc(decimal_of(key, 53, 5))
           WHEN n <= 36 THEN decimal_of(key, 54, 5)
           WHEN n <= 38 THEN decimal_of(key, 55, 17)
           ELSE decimal_of(key, 56, 9) * 1000000000000000 END, 0), dec_max()) AS quantity
FROM (SELECT id AS tariff_id, n, id * 64 + n AS key FROM tariff_row, generate_series(1, 40) AS n) AS q
JOIN (SELECT id, min(free) AS free, count(*)::integer AS tiers
      FROM tariff_row JOIN tier_row USING (id) GROUP BY id) AS t ON t.id = q.tariff_id
JOIN tier_row AS r ON r.id = q.tariff_id
    AND r.k = 1 + pick(q.key, 50, t.tiers);
ANALYZE quantity_row;

-- A tier's part of a charge.
CREATE TABLE reference_line AS
SELECT l.*,
       CASE l.mode WHEN 'linear' THEN settle(l.part * l.price, 1)
                   WHEN 'per' THEN settle(l.part * l.price, l.per)
                   WHEN 'percent' THEN settle(l.part * l.price, 100)
                   WHEN 'started' THEN settle((div(l.part, l.per) + (mod(l.part, l.per) > 0)::integer) * l.price, 1)
                   WHEN 'full' THEN settle(div(l.part, l.per) * l.price, 1) END AS priced,
       CASE WHEN l.net = 0 AND l.no_fee_at_zero THEN 0 ELSE l.fee END AS charged_fee,
       l.mode IN ('started', 'full') AND div(l.part, l.per) + 1 > dec_max() AS too_many_packages
FROM (
    SELECT q.tariff_id, q.n, q.quantity, r.k, r.mode, r.price, r.per, r.fee, t.no_fee_at_zero, t.net,
           CASE WHEN t.model = 'graduated' THEN least(t.net, coalesce(r.up_to, t.net)) - r.lower ELSE t.net END AS part
    FROM quantity_row AS q
    CROSS JOIN LATERAL (SELECT *, greatest(q.quantity - free, 0) AS net FROM tariff_row WHERE id = q.tariff_id) AS t
    JOIN tier_row AS r ON r.id = t.id
    WHERE (t.net > r.lower OR r.k = 1) AND (t.model = 'graduated' OR r.up_to IS NULL OR t.net <= r.up_to)) AS l;

CREATE INDEX ON reference_line (tariff_id, n);
ANALYZE reference_line;

CREATE TABLE reference AS
SELECT r.*, greatest(least(subtotal - off, coalesce(maximum, subtotal - off)), minimum) AS charge,
       -- the tiers' sum does not fit: refused, whatever comes behind it
       subtotal > dec_max() AS refused
FROM (
    SELECT s.*, t.tariff, t.maximum, t.minimum, settle(subtotal * t.discount, 100) AS off
    FROM (
        SELECT tariff_id, n, quantity, sum(priced + charged_fee) AS subtotal, bool_or(too_many_packages) AS doubtful,
               coalesce(sum(part) FILTER (WHERE price <> 0), 0) AS overage
        FROM reference_line
        GROUP BY tariff_id, n, quantity) AS s
    JOIN tariff AS t ON t.id = s.tariff_id) AS r;
ANALYZE reference;

SELECT count(*) AS n FROM reference \gset
SELECT count(*) AS refused FROM reference WHERE refused \gset
SELECT count(*) AS doubtful FROM reference WHERE doubtful \gset
CALL must_be_empty('there is a reference for every case', :n,
    'SELECT count(*) FROM prop.reference HAVING count(*) <> (SELECT count(*) FROM prop.quantity_row)');
CALL must_be_empty('charge is the reference', :n, $$
    SELECT tariff, quantity, charge AS expected, meter.charge(tariff, quantity) AS got
    FROM prop.reference
    WHERE NOT refused AND NOT doubtful AND meter.charge(tariff, quantity) <> charge$$);
CALL must_be_empty('a charge that does not fit is refused', :refused, $$
    SELECT * FROM (
        SELECT tariff, quantity, prop.state_of(format('SELECT meter.charge(%L, %L)', tariff, quantity)) AS state
        FROM prop.reference WHERE refused) AS r
    WHERE state <> '22003'$$);
CALL must_be_empty('more packages than numbers: a charge or a refusal', :doubtful, $$
    SELECT * FROM (
        SELECT tariff, quantity, prop.state_of(format(
            'DO $d$BEGIN IF meter.charge(%L, %L) <> %L THEN RAISE ''wrong charge''; END IF; END$d$', tariff, quantity, charge)) AS state
        FROM prop.reference WHERE doubtful) AS r
    WHERE state NOT IN ('22003', '00000')$$);
CALL must_be_empty('overage is the reference', :n, $$
    SELECT tariff, quantity, overage AS expected, meter.overage(tariff, quantity) AS got
    FROM prop.reference WHERE meter.overage(tariff, quantity) <> overage$$);
CALL must_be_empty('charge_lines add up to the charge, and are the tiers', :n, $$
    SELECT * FROM (
        SELECT r.tariff_id, r.tariff, r.quantity, r.charge, l.total, l.tiers,
               (SELECT array_agg(priced + charged_fee ORDER BY k) FROM prop.reference_line AS x
                WHERE x.tariff_id = r.tariff_id AND x.n = r.n) AS expected
        FROM prop.reference AS r
        CROSS JOIN LATERAL (
            SELECT sum(amount) AS total,
                   array_agg(amount ORDER BY up_to NULLS LAST) FILTER (WHERE kind = 'tier') AS tiers
            FROM meter.charge_lines(r.tariff, r.quantity)) AS l
        WHERE NOT refused AND NOT doubtful) AS c
    WHERE total IS DISTINCT FROM charge OR tiers IS DISTINCT FROM expected$$);
CALL must_be_empty('charge_between is a difference of charges', :n, $$
    SELECT * FROM (
        SELECT tariff, quantity, lag(quantity) OVER w AS before,
               CASE WHEN lag(refused OR doubtful) OVER w THEN NULL ELSE charge - coalesce(lag(charge) OVER w, 0) END AS expected,
               CASE WHEN NOT coalesce(lag(refused OR doubtful) OVER w, false)
                    THEN meter.charge_between(tariff, lag(quantity) OVER w, quantity) END AS got
        FROM prop.reference WHERE NOT refused AND NOT doubtful
        WINDOW w AS (PARTITION BY tariff_id ORDER BY n)) AS b
    WHERE got IS DISTINCT FROM expected$$);

-- Sums: a group's charge, and its rows' shares. Corrections take back a part of what came.
CREATE TABLE part AS
SELECT tariff_id, n / 8 AS g, n, CASE WHEN n % 8 IN (3, 6) THEN -quantity / 2 ELSE quantity END AS quantity
FROM (SELECT tariff_id, n, CASE WHEN n % 8 IN (3, 6) THEN lag(q) OVER (PARTITION BY tariff_id ORDER BY n) ELSE q END AS quantity
      FROM (SELECT tariff_id, n, trunc(least(quantity, 100000000), 11) AS q FROM quantity_row
            -- where no sum can leave the range
            WHERE tariff_id NOT IN (SELECT id FROM tier_row WHERE per < 0.001)) AS s) AS s;
CREATE TABLE part_total AS
SELECT p.tariff_id, p.g, sum(p.quantity) AS total FROM part AS p GROUP BY 1, 2;
ALTER TABLE part_total ADD PRIMARY KEY (tariff_id, g);
ANALYZE part, part_total;
SELECT count(*) AS groups FROM part_total \gset
CALL must_be_empty('total_charge is the charge of the sum', :groups, $$
    SELECT * FROM (
        SELECT t.id, g, meter.charge(t.tariff, (SELECT total FROM prop.part_total AS s WHERE (s.tariff_id, s.g) = (t.id, p.g))) AS expected,
               meter.total_charge(t.tariff, p.quantity) AS got
        FROM prop.part AS p JOIN prop.tariff AS t ON t.id = p.tariff_id
        GROUP BY t.id, t.tariff, g) AS c
    WHERE got <> expected$$);
CALL must_be_empty('marginal charges add up to the charge of the total', :groups, $$
    SELECT * FROM (
        SELECT tariff_id, g, sum(share) AS shares, min(expected) AS expected
        FROM (
            SELECT p.tariff_id, p.g, meter.marginal_charge(t.tariff, p.quantity) OVER (PARTITION BY p.tariff_id, p.g ORDER BY p.n) AS share,
                   meter.charge(t.tariff, (SELECT total FROM prop.part_total AS s WHERE (s.tariff_id, s.g) = (p.tariff_id, p.g))) AS expected
            FROM prop.part AS p JOIN prop.tariff AS t ON t.id = p.tariff_id) AS x
        GROUP BY 1, 2) AS c
    WHERE shares <> expected$$);
CALL must_be_empty('marginal charges start again where the reset changes', :groups, $$
    SELECT * FROM (
        SELECT tariff_id, g, sum(share) AS shares, min(expected) AS expected
        FROM (
            SELECT p.tariff_id, p.g,
                   meter.marginal_charge(t.tariff, p.quantity, date '2026-01-01' + p.g) OVER (PARTITION BY p.tariff_id ORDER BY p.n) AS share,
                   meter.charge(t.tariff, (SELECT total FROM prop.part_total AS s WHERE (s.tariff_id, s.g) = (p.tariff_id, p.g))) AS expected
            FROM prop.part AS p JOIN prop.tariff AS t ON t.id = p.tariff_id) AS x
        GROUP BY 1, 2) AS c
    WHERE shares <> expected$$);
