-- What lots cover of each event.
SET timezone = 'UTC';
CREATE TEMP TABLE event (id integer, at timestamptz, credits numeric, pool text);
INSERT INTO event VALUES (1, '2026-01-05', 60), (2, '2026-01-10', 60), (3, '2026-01-10', -30), (4, '2026-01-31 23:59:59.999999', 5),
	(5, '2026-02-01', 10), (6, '2026-02-01', -15), (7, '2026-02-02', 25), (8, '2026-03-01', 1);
CREATE TEMP TABLE wallet AS SELECT '{"lots": [{"id": "jan", "amount": 100, "effective_at": "2026-01-01", "expires_at": "2026-02-01", "rollover_max": 3, "rollover_until": "2026-03-01"},
	{"id": "feb", "amount": 20, "effective_at": "2026-02-01", "expires_at": "2026-03-01"}]}'::meter.wallet AS w;

-- Event 3 gives back, overage first; 6 gives back what was consumed since February began, and 5 more, which 7 takes up.
SELECT id, at, credits, (c).* FROM (SELECT id, at, credits, meter.coverage(w, at, credits) OVER (ORDER BY at, id) AS c FROM wallet, event) AS covered;
SELECT sum((c).covered) AS covered, sum((c).overage) AS overage, sum(credits) - sum((c).covered) - sum((c).overage) AS given_back_in_vain
FROM (SELECT credits, meter.coverage(w, at, credits) OVER (ORDER BY at, id) AS c FROM wallet, event) AS covered;
SELECT meter.overage(b), meter.unapplied(b), meter.balance(b, meter.through(b)) FROM (SELECT meter.burn(w, at, credits) AS b FROM wallet, event) AS burned;

-- Whole credits, partitions, frames that do not matter.
SELECT id, g, meter.coverage(w, at, credits::bigint) OVER part AS whole, meter.coverage(w, at, credits::integer) OVER part AS small
FROM wallet, event, generate_series(1, 2) AS g WHERE id < 3 WINDOW part AS (PARTITION BY g ORDER BY at, id ROWS BETWEEN CURRENT ROW AND CURRENT ROW) ORDER BY g, id;

-- Pools: own lots, then the others. Giving back frees what another pool was short of.
SELECT id, pool, credits, (c).* FROM (SELECT id, pool, credits, meter.coverage('{"lots": [{"id": "x", "amount": 5, "pool": "x"}, {"id": "any", "amount": 5}]}', '2026-01-01', credits, pool) OVER (ORDER BY id) AS c
	FROM (VALUES (1, 'x', 8), (2, NULL, 4), (3, 'z', 1), (4, 'x', -2), (5, 'x', -3), (6, NULL, -9)) AS v (id, pool, credits)) AS covered;
SELECT pool, meter.coverage('{"lots": [{"id": "x", "amount": 5, "pool": "x"}]}', '2026-01-01', 3::numeric, pool) OVER (ORDER BY pool) FROM (VALUES ('x'), ('y')) AS v (pool);

-- What is covered alone.
SELECT id, meter.covered(w, at, credits) OVER part AS covered, meter.covered(w, at, credits::bigint) OVER part = meter.covered(w, at, credits::integer) OVER part AS whole,
	meter.covered(w, at, credits, pool) OVER part = meter.covered(w, at, credits::bigint, pool) OVER part AND meter.covered(w, at, credits::bigint, 'x') OVER part = meter.covered(w, at, credits::integer, 'x') OVER part AS pooled
FROM wallet, event WINDOW part AS (ORDER BY at, id);

-- From a checkpoint on.
SELECT id, (c).* FROM (SELECT id, meter.coverage(b, at, credits) OVER (ORDER BY at, id) AS c
	FROM event, (SELECT meter.burn(w, at, credits) AS b FROM wallet, event WHERE id <= 5) AS burned WHERE id > 5) AS covered;

-- NULLs have no share; the first wallet of a partition is its wallet.
SELECT n, meter.coverage(CASE n WHEN 1 THEN NULL ELSE w END, CASE n WHEN 3 THEN NULL ELSE '2026-01-05'::timestamptz END, CASE n WHEN 4 THEN NULL ELSE 7 END) OVER (ORDER BY n)
FROM wallet, generate_series(1, 5) AS n;

-- Out of order, before what was burned, absorbing, at the end of time.
\set VERBOSITY default
SELECT meter.coverage(w, at, credits) OVER (ORDER BY at DESC) FROM wallet, event;
SELECT meter.coverage(b, at, credits) OVER (ORDER BY at, id) FROM event, (SELECT meter.burn(w, at, credits) AS b FROM wallet, event) AS burned;
SELECT meter.coverage(meter.absorbing(w), at, credits) OVER (ORDER BY at, id) FROM wallet, event;
SELECT meter.coverage(w, 'infinity', 1) OVER () FROM wallet;
\set VERBOSITY terse
SELECT meter.coverage(w, '-infinity', 1) OVER () FROM wallet;
SELECT meter.coverage(w, '2026-01-01', 170141183460469231731687303.715884105727) OVER () FROM wallet, generate_series(1, 2);
