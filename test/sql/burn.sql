-- Burning credits: what is taken from which lot, and what is left.
SET timezone = 'UTC';

-- Half open: a lot can be taken from its first instant on, and not at its last.
CREATE TEMP TABLE january AS SELECT '{"lots": [{"id": "jan", "amount": 100, "effective_at": "2026-01-01", "expires_at": "2026-02-01"}]}'::meter.wallet AS w;
SELECT at, meter.balance(b, at), meter.overage(b) FROM january,
	unnest('{2025-12-31 23:59:59.999999, 2026-01-01, 2026-01-31 23:59:59.999999, 2026-02-01}'::timestamptz[]) AS at, LATERAL (SELECT meter.spend(w, at, 30) AS b) AS s;
SELECT at, meter.balance(w, at) FROM january, unnest('{-infinity, 2025-12-31 23:59:59.999999, 2026-01-01, 2026-01-31 23:59:59.999999, 2026-02-01, infinity}'::timestamptz[]) AS at;

-- The order: priority, expiry (none last), created, id.
SELECT lot, amount FROM meter.burns(meter.spend('{"lots": [
	{"id": "never", "amount": 1}, {"id": "later", "amount": 1, "expires_at": "2026-03-01"}, {"id": "sooner", "amount": 1, "expires_at": "2026-02-01"},
	{"id": "b", "amount": 1, "expires_at": "2026-02-15"}, {"id": "a", "amount": 1, "expires_at": "2026-02-15"},
	{"id": "old", "amount": 1, "expires_at": "2026-02-15", "created_at": "2025-01-01", "effective_at": "2025-06-01"},
	{"id": "urgent", "amount": 1, "priority": -1}, {"id": "last", "amount": 1, "priority": 1, "expires_at": "2026-01-02"}]}', '2026-01-01', 7.5)) WHERE kind = 'spent';

-- Rollover, once: what is left at expires_at, at most rollover_max, until rollover_until. The order is by the expiry in force.
CREATE TEMP TABLE rolling AS SELECT '{"lots": [{"id": "jan", "amount": 100, "effective_at": "2026-01-01", "expires_at": "2026-02-01", "rollover_max": 40, "rollover_until": "2026-04-01"},
	{"id": "feb", "amount": 100, "effective_at": "2026-02-01", "expires_at": "2026-03-01"}]}'::meter.wallet AS w;
CREATE TEMP TABLE event (id integer, at timestamptz, credits numeric, pool text);
INSERT INTO event VALUES (1, '2026-01-10', 30), (2, '2026-02-10', 80), (3, '2026-02-20', 50), (4, '2026-03-10', 5), (5, '2026-04-10', 1);
SELECT upto, l.* FROM rolling, unnest('{2026-01-15, 2026-02-15, 2026-02-25, 2026-03-15}'::timestamptz[]) AS upto,
	LATERAL (SELECT meter.burn(w, at, credits) AS b FROM event WHERE at < upto) AS burned,
	LATERAL (SELECT id, granted, spent, expired, rolled_over, remaining FROM meter.lots(b, upto)) AS l ORDER BY upto, id;
SELECT b.* FROM (SELECT meter.burn(w, at, credits) AS w FROM rolling, event) AS burned, meter.burns(w) AS b;
SELECT s.* FROM (SELECT meter.burn(w, at, credits) AS w FROM rolling, event) AS burned, meter.spans(w) AS s;
SELECT at, meter.next_expiry(w, at) FROM rolling, unnest('{2025-12-01, 2026-01-01, 2026-02-01, 2026-03-01, 2026-04-01}'::timestamptz[]) AS at;

-- A void lot is granted and expires at once; one that was voided later keeps what was spent.
SELECT id, granted, spent, expired, remaining FROM meter.lots(meter.spend('{"lots": [{"id": "void", "amount": 5, "effective_at": "2026-01-01", "expires_at": "2026-01-01"},
	{"id": "voided", "amount": 5, "effective_at": "2026-01-01", "expires_at": "2026-01-05"}]}', '2026-01-02', 2));

-- Pools: own lots first, whatever their priority, then those without a pool. A pool that no lot has is none.
CREATE TEMP TABLE pooled AS SELECT '{"lots": [{"id": "chat", "amount": 10, "pool": "chat", "priority": 9}, {"id": "search", "amount": 10, "pool": "search"},
	{"id": "any", "amount": 10, "priority": 0}, {"id": "more", "amount": 10, "priority": 1}]}'::meter.wallet AS w;
SELECT s.pool, s.consumed, s.covered, s.overage FROM (SELECT meter.burn(w, '2026-01-01', credits, pool) AS w
	FROM pooled, (VALUES ('chat', 15), ('search', 12), (NULL, 6), ('other', 5)) AS v (pool, credits)) AS b, meter.spans(w) AS s;
SELECT l.id, l.spent, l.remaining FROM (SELECT meter.burn(w, '2026-01-01', credits, pool) AS w
	FROM pooled, (VALUES ('chat', 15), ('search', 12), (NULL, 6), ('other', 5)) AS v (pool, credits)) AS b, meter.lots(w) AS l;
SELECT meter.balance(w, '2026-01-01') AS whole, meter.balance(w, '2026-01-01', 'chat') AS chat, meter.balance(w, '2026-01-01', NULL) AS none, meter.balance(w, '2026-01-01', 'other') AS other FROM pooled;
-- who is short where pools compete: what names no pool is covered first, then by name
SELECT s.pool, s.covered, s.overage FROM (SELECT meter.burn(w, '2026-01-01', credits, pool) AS w
	FROM pooled, (VALUES ('search', 25), ('chat', 25), (NULL, 8)) AS v (pool, credits)) AS b, meter.spans(w) AS s;

-- Negative credits give back inside their span and pool, the last lot first; the rest is unapplied.
SELECT l.id, l.remaining, meter.overage(w), meter.unapplied(w), meter.consumed(w) FROM (SELECT meter.burn(w, '2026-01-01', credits) AS w
	FROM pooled, (VALUES (17), (-4)) AS v (credits)) AS b, meter.lots(w) AS l;
SELECT meter.overage(b), meter.unapplied(b), meter.consumed(b), meter.balance(b, '2026-02-02') FROM january, LATERAL (
	SELECT meter.burn(w, at, credits) AS b FROM (VALUES ('2026-01-05'::timestamptz, 50), ('2026-02-01', -20), ('2026-02-02', 5)) AS v (at, credits)) AS burned;
SELECT meter.unapplied(b), meter.balance(b, '2026-01-01') FROM pooled, LATERAL (
	SELECT meter.burn(w, '2026-01-01', credits, pool) AS b FROM (VALUES (5, 'chat'), (-5, 'search')) AS v (credits, pool)) AS burned;

-- An absorbing wallet: a later lot takes earlier overage, before what is consumed then.
CREATE TEMP TABLE short AS SELECT '{"lots": [{"id": "first", "amount": 10, "expires_at": "2026-02-01"}, {"id": "second", "amount": 10, "effective_at": "2026-02-01", "expires_at": "2026-03-01"},
	{"id": "pool", "amount": 10, "pool": "p", "effective_at": "2026-03-01"}]}'::meter.wallet AS w;
INSERT INTO event VALUES (11, '2026-01-05', 12, NULL), (12, '2026-01-06', 3, 'p'), (13, '2026-02-05', 8, NULL);
SELECT absorbs, s.* FROM short, (VALUES (false), (true)) AS a (absorbs),
	LATERAL (SELECT meter.burn(CASE WHEN absorbs THEN meter.absorbing(w) ELSE w END, at, credits, pool) AS b FROM event WHERE id > 10) AS burned, meter.spans(b) AS s;
SELECT at, meter.overage_at(b, at), meter.balance(b, at) FROM short, LATERAL (SELECT meter.burn(meter.absorbing(w), at, credits, pool) AS b FROM event WHERE id > 10) AS burned,
	unnest('{2026-02-05, 2026-02-28, 2026-03-01}'::timestamptz[]) AS at;
SELECT meter.overage(b) FROM short, LATERAL (SELECT meter.burn(meter.absorbing(w), at, credits, pool) AS b FROM event WHERE id > 10) AS burned;

-- Cuts: overage is known for each period.
SELECT s.starts, s.ends, s.consumed, s.covered, s.overage FROM january, LATERAL (
	SELECT meter.burn(meter.with_cuts(w, '{2026-01-15, 2026-02-15}'), at, 45) AS b FROM generate_series('2026-01-05'::timestamptz, '2026-02-25', '10 days') AS at) AS burned, meter.spans(b) AS s;

-- Paid: recognised as the lot is spent or expires; differences add up to what was paid.
SELECT at::date, granted, spent, expired, remaining, recognised, deferred FROM (
	SELECT '{"lots": [{"id": "a", "amount": 3, "effective_at": "2026-01-01", "expires_at": "2026-02-01", "paid": 10}]}'::meter.wallet AS w) AS bought,
	(VALUES ('2025-12-01'::timestamptz, 0), ('2026-01-01', 0), ('2026-01-10', 1), ('2026-01-20', 2), ('2026-02-01', 2)) AS v (at, spent_so_far),
	meter.lots(CASE WHEN spent_so_far > 0 THEN meter.spend(w, '2026-01-05', spent_so_far) ELSE w END, at);

-- A checkpoint: burning goes on as if all had been burned at once, late events too; spend goes forward only.
SELECT meter.burn(half, at, credits) = (SELECT meter.burn(w, at, credits) FROM rolling, event WHERE id < 10) AS same
FROM (SELECT meter.burn(w, at, credits) AS half FROM rolling, event WHERE id IN (2, 4)) AS c, event WHERE id IN (1, 3, 5);
SELECT meter.spend(meter.spend(w, '2026-01-10', 1), '2026-01-10', 2) = meter.burn(w, '2026-01-10', n) AS same FROM rolling, (VALUES (1), (2)) AS v (n) GROUP BY w;
\set VERBOSITY default
SELECT meter.spend(meter.spend(w, '2026-01-10', 1), '2026-01-09', 2) FROM rolling;
SELECT meter.balance(meter.spend(w, '2026-01-10', 1), '2026-01-09') FROM rolling;
SELECT meter.lots(meter.spend(w, '2026-01-10', 1), '2026-01-09') FROM rolling;
SELECT meter.spend(w, 'infinity', 1) FROM rolling;
\set VERBOSITY terse
SELECT meter.burn(w, '-infinity', 1) FROM rolling;
SELECT meter.burn(w, '2026-01-01', 170141183460469231731687303.715884105727) FROM rolling, generate_series(1, 2);

-- Whole credits, of a pool; NULLs: a row without an instant or credits brings its wallet, one without a wallet nothing.
SELECT meter.burn(w, '2026-01-01', n) = meter.burn(w, '2026-01-01', n::bigint) AND meter.burn(w, '2026-01-01', n) = meter.burn(w, '2026-01-01', n::numeric) AS same,
	meter.burn(w, '2026-01-01', n, 'chat') = meter.burn(w, '2026-01-01', n::bigint, 'chat') AND meter.burn(w, '2026-01-01', n, 'chat') = meter.burn(w, '2026-01-01', n::numeric, 'chat') AS same_pool
FROM pooled, generate_series(1, 3) AS n;
SELECT meter.burn(w, NULL, 1) = (TABLE rolling) AS as_it_was FROM rolling;
SELECT meter.burn(w, '2026-01-01', NULL::bigint) = (TABLE rolling) AS as_it_was FROM rolling;
SELECT meter.burn(NULL, '2026-01-01', 1) IS NULL AS nothing, meter.overage(meter.burn('{}', '2026-01-01', 7)) AS all_of_it;
SELECT meter.burn(w, '2026-01-01', 1) IS NULL AS nothing FROM rolling WHERE false;
SELECT meter.spend(NULL, '2026-01-01', 1) IS NULL AND meter.through('{}') IS NULL AS unknown;

-- As a running aggregate it says what coverage says, only slower.
SELECT id, meter.overage(meter.burn(w, at, credits) OVER (ORDER BY at)), (meter.coverage(w, at, credits) OVER (ORDER BY at)).* FROM rolling, event WHERE id < 10 ORDER BY at;

-- By a book: no join. A customer that is not in it has no lots.
CREATE TEMP TABLE holder AS SELECT n AS customer, ('c' || n) AS name, format('{"lots": [{"id": "g", "amount": %s}]}', 10 * n)::meter.wallet AS w FROM generate_series(1, 4) AS n;
SELECT meter.wallet_book(name, w) FROM holder WHERE customer < 3;
SELECT meter.wallet_book(name, w) FROM holder WHERE false;
SELECT customer, meter.balance(meter.burn((SELECT meter.wallet_book(customer, w) FROM holder), customer, '2026-01-01', 3), '2026-01-01'),
	meter.overage(meter.burn((SELECT meter.wallet_book(customer, w) FROM holder), customer, '2026-01-01', 3))
FROM generate_series(3, 5) AS customer, generate_series(1, 2) GROUP BY customer ORDER BY customer;
SELECT name, meter.balance(meter.burn((SELECT meter.wallet_book(name, w) FROM holder), name, '2026-01-01', 3.5, 'p'), '2026-01-01') FROM holder GROUP BY name ORDER BY name;
SELECT meter.burn((SELECT meter.wallet_book(name, w) FROM holder), name, '2026-01-01', 3) FROM holder;
SELECT meter.wallet_book(1, w) FROM holder;
SELECT meter.burn(NULL::meter.wallet_book, 1, '2026-01-01', 3) IS NULL AS nothing;
SELECT '{"b": {}, "a": {"lots": [{"id": "g", "amount": 1}]}}'::meter.wallet_book;
SELECT '[]'::meter.wallet_book;
SELECT '{"a": 1}'::meter.wallet_book;

-- Stored wallets are long and compressed; they are wallets all the same.
CREATE TEMP TABLE stored AS SELECT g, meter.burn(w, '2026-01-01'::timestamptz + n * interval '1 day', n) AS w
FROM (SELECT g, meter.wallet('lot number ' || i, 100, NULL, NULL, '2026-01-01'::timestamptz + i * interval '1 day', NULL, NULL, NULL, NULL) AS w
	FROM generate_series(1, 2) AS g, generate_series(1, 500) AS i GROUP BY g) AS made, generate_series(1, 300) AS n GROUP BY g;
SELECT g, meter.consumed(w), meter.overage(w), (SELECT sum(remaining) FROM meter.lots(w)) AS remaining,
	meter.balance(meter.burn(w, '2027-01-01', 1), '2028-01-01') AS later FROM stored GROUP BY g, w ORDER BY g;

-- A book, or a book of charge rules, that is out of a table is unpacked once, and not for each group.
BEGIN;
CREATE TEMP TABLE kept (book meter.wallet_book, rules jsonb);
ALTER TABLE kept ALTER COLUMN book SET STORAGE EXTERNAL, ALTER COLUMN rules SET STORAGE EXTERNAL;
INSERT INTO kept
SELECT meter.wallet_book(n, '{"lots": [{"id": "a", "amount": 5}]}'), jsonb_object_agg(n, '{"tariff": "at 2", "anchor": "2026-01-31", "timezone": "UTC"}'::jsonb)
FROM generate_series(1::bigint, 300) AS n;
SELECT sum(meter.overage(wallet)) AS overage, sum(charges[1].charge) AS charge
FROM (
	SELECT meter.burn((SELECT book FROM kept), n, '2026-03-01', 7) AS wallet, meter.charges_by_period((SELECT rules FROM kept), n, '2026-03-01', 7, '1 month') AS charges
	FROM generate_series(1::bigint, 300) AS n
	GROUP BY n
) AS burned;
SELECT idx_scan < 10 AS once FROM pg_stat_xact_all_tables WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'kept'::regclass);
ROLLBACK;
