-- Wallets as values: their text, their rules, and one made of another.
SET timezone = 'UTC';

-- Canonical text: keys at their default are left out, lots come in the order in which they are taken.
SELECT '{}'::meter.wallet, ' { "lots" : [ ] } '::meter.wallet;
SELECT '{"lots": [{"id": "late", "amount": 1.50, "priority": 0, "effective_at": "2026-01-01T02:00:00+02", "expires_at": "2026-03-01", "created_at": "2026-01-01"},
	{"id": "first", "priority": -1, "amount": 3}, {"amount": 2, "id": "soon", "expires_at": "2026-02-01T12:30:00.25Z", "pool": "chat", "paid": 0}]}'::meter.wallet;
SELECT '{"lots": [{"id": "r", "amount": 10, "expires_at": "2026-02-01", "rollover_max": 5, "rollover_until": "2026-03-01", "paid": 9.99}],
	"absorbing": true, "cuts": ["2026-04-01", "2026-02-01", "2026-04-01"], "through": "2026-02-10T01:02:03Z",
	"burned": [{"from": "2026-02-01", "credits": -0.5}, {"credits": 0}]}'::meter.wallet;

-- A lot that expires no later than it begins is void, and rolls nothing over; nor does one whose rollover ends as it begins.
SELECT '{"lots": [{"id": "void", "amount": 10, "effective_at": "2026-02-01", "expires_at": "2026-01-01", "rollover_max": 5, "rollover_until": "2026-03-01"},
	{"id": "no", "amount": 10, "expires_at": "2026-02-01", "rollover_max": 5, "rollover_until": "2026-02-01"},
	{"id": "none", "amount": 10, "expires_at": "2026-02-01", "rollover_max": 0, "rollover_until": "2026-03-01"}]}'::meter.wallet;

-- Equality, hashes, jsonb.
CREATE TEMP TABLE held AS
SELECT w::meter.wallet AS w FROM (VALUES
	('{}'), ('{"lots": [{"id": "a", "amount": 1}]}'), ('{"lots": [{"id": "a", "amount": 1.0}]}'), ('{"lots": [{"id": "a", "amount": 2}]}'),
	('{"lots": [{"id": "a", "amount": 1}], "cuts": ["2026-01-01"]}'), ('{"lots": [{"id": "a", "amount": 1}], "absorbing": true}')) AS v (w);
SELECT count(*), count(w = '{}' OR NULL) AS empty FROM held;
SELECT w, count(*) FROM held GROUP BY w ORDER BY w::text;
SELECT count(*) AS same FROM held AS a JOIN held AS b ON a.w = b.w;
SELECT count(*) AS different FROM held AS a, held AS b WHERE a.w <> b.w;
SELECT bool_and(w::jsonb::meter.wallet = w AND w::text::meter.wallet = w) AS round_trip,
	bool_and(meter.wallet_hash_extended(w, 0) & 4294967295 = meter.wallet_hash(w)::bigint & 4294967295) AS halves FROM held;
SELECT '{"lots": [{"id": "a", "amount": 1, "pool": "x"}]}'::jsonb::meter.wallet::jsonb;

-- What is no wallet says why.
\set VERBOSITY default
SELECT 'g1'::meter.wallet;
SELECT '[]'::meter.wallet;
SELECT '{"lots": {}}'::meter.wallet;
SELECT '{"lots": [1]}'::meter.wallet;
SELECT '{"grants": []}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 1, "expires": "2026-01-01"}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a"}]}'::meter.wallet;
SELECT '{"lots": [{"amount": 1}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": "1"}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 1, "pool": ["chat", "search"]}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 1, "pool": ""}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 1}, {"id": "b", "amount": 1}, {"id": "a", "amount": 2}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": -1}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 1, "paid": -0.5}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 0, "paid": 5}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 1, "priority": 1.5}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 0.0000000000001}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 1, "expires_at": "tomorrow"}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 1, "rollover_max": 1}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 1, "rollover_max": 1, "rollover_until": "2026-02-01"}]}'::meter.wallet;
SELECT '{"burned": [{"credits": 1}]}'::meter.wallet;
SELECT '{"through": "2026-01-01"}'::meter.wallet;
SELECT '{"through": "2026-01-01", "burned": [{"credits": 1, "from": "2026-01-01"}]}'::meter.wallet;
SELECT '{"through": "2026-01-01", "burned": [{"credits": 1, "pool": "x"}]}'::meter.wallet;
SELECT '{"through": "2026-01-01", "burned": [{"credits": 1}, {"credits": 2}]}'::meter.wallet;
SELECT '{"cuts": ["2026-01-01"], "through": "2026-01-02", "burned": [{"credits": 1}]}'::meter.wallet;
SELECT (repeat('[', 20) || repeat(']', 20))::meter.wallet;
\set VERBOSITY terse

-- The aggregate. NULLs are what the text leaves out.
CREATE TEMP TABLE lot (id text, amount numeric, pool text, priority integer, effective_at timestamptz, expires_at timestamptz,
	created_at timestamptz, rollover_max numeric, rollover_until timestamptz, paid numeric);
INSERT INTO lot VALUES
	('allotment', 100, NULL, NULL, '2026-01-01', '2026-02-01', NULL, 20, '2026-03-01', NULL),
	('bought', 50, NULL, 1, '2026-01-10', NULL, '2026-01-09', NULL, NULL, 25),
	('promotion', 10, 'chat', NULL, NULL, 'infinity', NULL, NULL, NULL, 0);
SELECT meter.wallet(id, amount, pool, priority, effective_at, expires_at, created_at, rollover_max, rollover_until, paid) FROM lot;
SELECT meter.wallet(id, amount, pool, priority, effective_at, expires_at, created_at, rollover_max, rollover_until) FROM lot WHERE id = 'bought';
SELECT meter.wallet(id, amount, pool, priority, effective_at, expires_at, created_at, rollover_max, rollover_until, paid) FROM lot WHERE false;
SELECT meter.wallet(NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT meter.wallet('a', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT meter.wallet('a', 1, NULL, NULL, NULL, '2026-01-01', NULL, 1, NULL);
SELECT meter.wallet('a', 1, NULL, NULL, 'infinity', NULL, NULL, NULL, NULL);
SELECT meter.wallet('a', 1, NULL, NULL, NULL, '-infinity', NULL, NULL, NULL);
SELECT meter.wallet('a', 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT meter.wallet(repeat('a', 1025), 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT meter.wallet('a', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL) FROM generate_series(1, 2);

-- Limits: so many lots, so many sums.
SELECT count(*) FROM (SELECT meter.wallet(n::text, 1, NULL, NULL, '2026-01-01'::timestamptz + n * interval '1 hour', NULL, NULL, NULL, NULL) AS w
	FROM generate_series(1, 10000) AS n) AS many, meter.lots(w);
SELECT meter.wallet(n::text, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL) FROM generate_series(1, 10001) AS n;
SELECT meter.wallet(n::text, 1, n::text, NULL, '2026-01-01'::timestamptz + n * interval '1 hour', NULL, NULL, NULL, NULL) FROM generate_series(1, 2000) AS n;

-- Cuts and further lots keep what was burned, or are refused.
CREATE TEMP TABLE burned AS
SELECT meter.spend(meter.wallet(id, amount, pool, priority, effective_at, expires_at, created_at, rollover_max, rollover_until, paid), '2026-01-20', 30) AS w FROM lot;
SELECT meter.through(w), meter.consumed(w), meter.with_cuts(w, '{2026-01-25, infinity, 2026-02-01}')::jsonb - 'lots' FROM burned;
SELECT meter.with_cuts(w, '{}') = w AS uncut FROM burned;
SELECT meter.with_cuts(w, '{2026-01-15}') FROM burned;
SELECT meter.with_cuts(w, '{2026-01-20}') FROM burned;
SELECT meter.with_cuts(w, '{NULL}') FROM burned;
SELECT l.id, l.remaining FROM burned, meter.lots(meter.add_lots(w, '{"lots": [{"id": "late", "amount": 7, "effective_at": "2026-01-21"}, {"id": "always", "amount": 5, "priority": -1}]}'), '2026-01-31') AS l;
SELECT meter.add_lots(w, '{"lots": [{"id": "x", "amount": 7, "effective_at": "2026-01-15"}]}') FROM burned;
SELECT meter.add_lots(w, '{"lots": [{"id": "bought", "amount": 7}]}') FROM burned;
SELECT meter.add_lots(w, '{"lots": [{"id": "x", "amount": 7, "pool": "new"}]}') FROM burned;
SELECT meter.add_lots('{}', w) FROM burned;
SELECT meter.absorbing('{}'), meter.absorbing(meter.absorbing('{}')) = meter.absorbing('{}') AS once;

-- Ends of time that a lot's text cannot leave out: what is kept for ever, and lots created before or after all others.
SELECT w, w::text::meter.wallet = w AS same, w::jsonb::meter.wallet = w AS same_json
FROM (SELECT meter.wallet(id, 10, NULL, NULL, '2026-01-01', expires_at, created_at, rollover_max, rollover_until)
	FROM (VALUES ('kept', timestamptz '2026-02-01', timestamptz '-infinity', 5, timestamptz 'infinity'), ('last', NULL, 'infinity', NULL, NULL)) AS lot (id, expires_at, created_at, rollover_max, rollover_until)) AS made (w);
SELECT '{"lots": [{"id": "a", "amount": 1, "effective_at": "-infinity", "expires_at": "infinity"}]}'::meter.wallet;
SELECT '{"lots": [{"id": "a", "amount": 1, "expires_at": "-infinity"}]}'::meter.wallet;
SELECT '{"cuts": ["infinity"]}'::meter.wallet;
