-- breakdown: the type, its sum, and the aggregate that makes one of events.
\set VERBOSITY terse
SET timezone = 'UTC';

-- Text: names that are NULL and numbers that are zero are left out.
SELECT '[]'::meter.breakdown;
SELECT ' [ {"usage" : {"output_tokens": 88, "input_tokens": 1e3}, "events": 2, "request_class": "r", "outcome": "success",
	"variant": "batch", "action": "chat", "item": "gpt", "unpriced_credits": 4, "unpriced_cost": 3, "credits": 5.50, "cost": 0.002250}]'::meter.breakdown;
SELECT '[{"item": null, "action": null, "events": 0, "usage": {}, "cost": 0, "credits": 0.0, "unpriced_cost": -0, "unpriced_credits": 0}]'::meter.breakdown;
SELECT '[{"events": -1, "usage": {"input_tokens": -5, "requests": 0}, "cost": -0.000000000001, "unpriced_cost": -2}]'::meter.breakdown;
-- an empty name is a name, and one that looks like another is not the other
SELECT meter.entries('[{"item": "", "events": 1, "usage": {}}, {"events": 2, "usage": {}}, {"action": "", "events": 3, "usage": {}},
	{"item": "a", "events": 4, "usage": {}}, {"action": "a", "events": 5, "usage": {}}, {"item": "ab", "action": "c", "events": 6, "usage": {}},
	{"item": "a", "action": "bc", "events": 7, "usage": {}}]');
-- one order, whatever the order of the text: that of the names that are there, then of their lengths, then of their letters
CREATE TABLE entry (n integer, entry jsonb);
INSERT INTO entry
SELECT n, jsonb_strip_nulls(jsonb_build_object('item', item, 'action', action, 'events', n, 'usage', jsonb_build_object('requests', n)))
FROM (VALUES (1, NULL, NULL), (2, 'a', NULL), (3, 'b', NULL), (4, 'aa', NULL), (5, NULL, 'a'), (6, 'a', 'a'), (7, 'a', 'b')) AS v (n, item, action);
SELECT bool_and(b = first) AS same, min(first)
FROM (
	SELECT jsonb_agg(entry ORDER BY n * k % 11)::meter.breakdown::text AS b, (SELECT jsonb_agg(entry ORDER BY n)::meter.breakdown::text FROM entry) AS first
	FROM entry, generate_series(1, 10) AS k
	GROUP BY k
) AS ordered;

-- Names of every kind come back as they are, through text, jsonb and binary.
CREATE TABLE name (n integer, name text);
INSERT INTO name VALUES
	(1, ''), (2, ' '), (3, '"'), (4, '\'), (5, E'a"b\\c\n\t\r\x01'), (6, '{"item": "x"}, ['), (7, 'größe €'), (8, '日本語 🙂'), (9, '%s%n'),
	(10, '\u0041'), (11, 'null'), (12, repeat('x', 126)), (13, repeat('x', 127)), (14, repeat('x', 128)), (15, repeat('y', 255)), (16, repeat('é', 127) || 'z'),
	(17, repeat('z', 10000)), (18, repeat('z', 16383)), (19, repeat('z', 16384));
CREATE TABLE kept (n integer, breakdown meter.breakdown, state meter.breakdown_state);
INSERT INTO kept (n, breakdown)
SELECT n, jsonb_build_array(
	jsonb_build_object('item', name, 'events', n, 'usage', '{}'::jsonb),
	jsonb_build_object('item', name, 'action', name, 'variant', name, 'outcome', name, 'request_class', name, 'events', n, 'usage', '{"mine": 0.5}'::jsonb))::meter.breakdown
FROM name;
SELECT count(*) AS names, bool_and(entry.item = name) AS items, bool_and(entry.request_class IS NULL OR (action, variant, outcome, request_class) = (name, name, name, name)) AS others, bool_and(entry.events = n) AS events
FROM name JOIN kept USING (n), meter.entries(breakdown) AS entry;
SELECT breakdown FROM kept WHERE n BETWEEN 1 AND 11 ORDER BY n;
SELECT n, length(breakdown::text) FROM kept WHERE n > 11 ORDER BY n;
SELECT bool_and(breakdown::text::meter.breakdown::text = breakdown::text) AS text, bool_and(breakdown::jsonb::meter.breakdown::text = breakdown::text) AS jsonb,
	bool_and(meter.breakdown_send(breakdown::jsonb::meter.breakdown) = meter.breakdown_send(breakdown)) AS sent, bool_and(breakdown::jsonb::text::meter.breakdown::text = breakdown::text) AS both
FROM kept;

-- The largest and the smallest numbers.
INSERT INTO kept (n, breakdown) VALUES
	(101, '[{"events": 9223372036854775807, "unpriced_cost": 9223372036854775807, "unpriced_credits": 9223372036854775807, "cost": 170141183460469231731687303.715884105727, "credits": 170141183460469231731687303.715884105727, "usage": {"a": 170141183460469231731687303.715884105727}}]'),
	(102, '[{"events": -9223372036854775808, "unpriced_cost": -9223372036854775808, "unpriced_credits": -9223372036854775808, "cost": -170141183460469231731687303.715884105727, "credits": -170141183460469231731687303.715884105727, "usage": {"a": -170141183460469231731687303.715884105727}}]'),
	(103, '[{"events": 1, "cost": 0.000000000001, "credits": -0.000000000001, "usage": {"a": 0.000000000001}}]'),
	(104, '[{"events": 2305843009213693952, "unpriced_cost": -2305843009213693953, "cost": 9223372036854775808, "credits": -9223372036854775809, "usage": {"a": 9223372036854775808}}]');
INSERT INTO kept (n, breakdown) VALUES (105, '[]');
-- as whole numbers around every length that they can have
INSERT INTO kept (n, breakdown)
SELECT 200 + k, jsonb_agg(jsonb_build_object('item', number::text, 'variant', sign::text, 'events', number, 'unpriced_cost', -number, 'cost', number, 'credits', number * 0.000000000001, 'usage', '{}'::jsonb))::meter.breakdown
FROM generate_series(0, 62) AS k, generate_series(-1, 1) AS d, (VALUES (1), (-1)) AS s (sign), trunc(sign * (2::numeric ^ k + d)) AS number
GROUP BY k;
SELECT breakdown FROM kept WHERE n BETWEEN 101 AND 199 ORDER BY n;
SELECT meter.entries(breakdown) FROM kept WHERE n BETWEEN 101 AND 199 ORDER BY n;
SELECT count(*), bool_and(entry.events = item::numeric AND unpriced_cost = -item::numeric AND cost = item::numeric AND credits = item::numeric * 0.000000000001 AND unpriced_credits = 0) AS right
FROM kept, meter.entries(breakdown) AS entry WHERE n >= 200;

-- What is not a breakdown.
SELECT ''::meter.breakdown;
SELECT '{}'::meter.breakdown;
SELECT '5'::meter.breakdown;
SELECT 'null'::meter.breakdown;
SELECT ('"' || repeat('é', 100) || '"')::meter.breakdown;
SELECT '{"item": "gpt", "events": 1, "usage": {}}'::meter.breakdown;
SELECT '[1]'::meter.breakdown;
SELECT '[null]'::meter.breakdown;
SELECT '[[]]'::meter.breakdown;
SELECT '[[{"events": 1, "usage": {}}]]'::meter.breakdown;
SELECT '[{}]'::meter.breakdown;
SELECT '[{"events": 1}]'::meter.breakdown;
SELECT '[{"usage": {}}]'::meter.breakdown;
SELECT '[{"item": 5, "events": 1, "usage": {}}]'::meter.breakdown;
SELECT '[{"request_class": ["x"], "events": 1, "usage": {}}]'::meter.breakdown;
SELECT '[{"events": 1, "usage": {}, "colour": 1}]'::meter.breakdown;
SELECT '[{"events": 1, "usage": {}, "Item": "gpt"}]'::meter.breakdown;
SELECT '[{"events": "1", "usage": {}}]'::meter.breakdown;
SELECT '[{"events": null, "usage": {}}]'::meter.breakdown;
SELECT '[{"events": 1.5, "usage": {}}]'::meter.breakdown;
SELECT '[{"events": 9223372036854775808, "usage": {}}]'::meter.breakdown;
SELECT '[{"events": -9223372036854775809, "usage": {}}]'::meter.breakdown;
SELECT '[{"events": 1e50, "usage": {}}]'::meter.breakdown;
SELECT '[{"events": 1, "unpriced_cost": 0.1, "usage": {}}]'::meter.breakdown;
SELECT '[{"events": 1, "unpriced_credits": true, "usage": {}}]'::meter.breakdown;
SELECT '[{"events": 1, "cost": "1", "usage": {}}]'::meter.breakdown;
SELECT '[{"events": 1, "cost": 0.0000000000001, "usage": {}}]'::meter.breakdown;
SELECT '[{"events": 1, "credits": 170141183460469231731687303.715884105728, "usage": {}}]'::meter.breakdown;
SELECT '[{"events": 1, "usage": null}]'::meter.breakdown;
SELECT '[{"events": 1, "usage": 1}]'::meter.breakdown;
SELECT '[{"events": 1, "usage": [1]}]'::meter.breakdown;
SELECT '[{"events": 1, "usage": {"Tokens": 1}}]'::meter.breakdown;
SELECT '[{"events": 1, "usage": {"a": {"b": 1}}}]'::meter.breakdown;
SELECT '[{"events": 1, "usage": {"a": 0.0000000000001}}]'::meter.breakdown;
SELECT '{"events": 1, "usage": {}}'::jsonb::meter.breakdown;
SELECT '[{"item": "gpt"}]'::meter.breakdown_state;
-- a key is there once
SELECT '[{"events": 1, "usage": {}}, {"item": null, "events": 2, "usage": {}}]'::meter.breakdown;
SELECT '[{"item": "a", "events": 1, "usage": {}}, {"item": "b", "events": 1, "usage": {}}, {"item": "a", "events": 2, "usage": {}}]'::meter.breakdown_state;
\set VERBOSITY default
SELECT ('[{"item": "gpt", "outcome": "\"", "events": 1, "usage": {}}, {"outcome": "\"", "item": "gpt", "events": 2, "usage": {}}]' || '')::meter.breakdown;
SELECT ('[{"item": "' || repeat('é', 100) || '", "events": 1, "usage": {}}, {"item": "' || repeat('é', 100) || '", "events": 2, "usage": {}}]')::meter.breakdown;
\set VERBOSITY terse
-- nesting is refused before it can be deep; brackets in names are not nesting
SELECT repeat('[', 100000)::meter.breakdown;
SELECT repeat('{"a":', 100000)::meter.breakdown_state;
SELECT meter.entries(('[{"item": "' || repeat('[{\"', 20) || '", "events": 1, "usage": {}}]')::meter.breakdown);

-- Binary: what is sent is received, through a file.
SELECT meter.breakdown_send('[{"item": "ab", "outcome": "é", "events": 2, "unpriced_credits": -1, "cost": 0.000000000003, "usage": {"x": 1}}]');
UPDATE kept SET state = breakdown::text::meter.breakdown_state;
SELECT current_setting('data_directory') || '/meter_breakdown.copy' AS file \gset
COPY kept TO :'file' (FORMAT binary);
CREATE TABLE received (LIKE kept);
COPY received FROM :'file' (FORMAT binary);
SELECT count(*), count(*) FILTER (WHERE r.breakdown::text = k.breakdown::text) AS same, count(*) FILTER (WHERE meter.breakdown_send(r.breakdown) = meter.breakdown_send(k.breakdown)) AS same_bytes,
	count(*) FILTER (WHERE r.state::text = k.breakdown::text) AS same_states, count(*) FILTER (WHERE meter.breakdown_state_send(r.state) = meter.breakdown_send(k.breakdown)) AS states_are_sent_as_breakdowns,
	count(*) FILTER (WHERE meter.breakdown_sum_final(r.state)::text = k.breakdown::text) AS sums
FROM received AS r JOIN kept AS k USING (n);
-- and what is broken is refused
CREATE FUNCTION received(value bytea, file text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	image oid;
	received meter.breakdown;
BEGIN
	image := lo_from_bytea(0, '\x5047434f50590aff0d0a00'::bytea || int4send(0) || int4send(0)
		|| int2send(1::smallint) || int4send(length(value)) || value || int2send((-1)::smallint));
	PERFORM lo_export(image, file);
	PERFORM lo_unlink(image);
	CREATE TEMP TABLE IF NOT EXISTS broken (value meter.breakdown);
	TRUNCATE broken;
	EXECUTE format('COPY broken FROM %L (FORMAT binary)', file);
	SELECT broken.value INTO received FROM broken;
	RETURN received;
EXCEPTION WHEN data_exception THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SET client_min_messages = warning;
CREATE TABLE entry_bytes AS
SELECT '\x01'::bytea || int4send(1) || bytes AS a, '\x01'::bytea || int4send(2) || bytes || bytes AS twice, bytes
FROM (SELECT '\x01'::bytea || int4send(1) || 'a'::bytea || int8send(7) || int8send(0) || int8send(0) || int8send(0) || int8send(0) || int8send(0) || int8send(0) || '\x01000000'::bytea AS bytes) AS one;
SELECT received(a, :'file') FROM entry_bytes;
SELECT received('\x0100000000', :'file');
SELECT received('\x', :'file'), received('\x01', :'file'), received('\x02' || substr(a, 2), :'file') FROM entry_bytes;
SELECT received(twice, :'file') FROM entry_bytes;
SELECT received('\x0100000002' || bytes || set_byte(bytes, 5, 65), :'file') FROM entry_bytes;
SELECT received(set_byte(a, 4, 2), :'file'), received('\x01ffffffff'::bytea || bytes, :'file'), received(a || '\x00', :'file') FROM entry_bytes;
SELECT received(set_byte(a, 5, 32), :'file'), received(set_byte(a, 5, 3), :'file'), received(set_byte(a, 6, 255), :'file'), received(set_byte(a, 6, 127), :'file') FROM entry_bytes;
SELECT received(set_byte(a, 10, 0), :'file'), received(set_byte(a, 10, 255), :'file') FROM entry_bytes;
SELECT received(overlay(a PLACING '\x80000000000000000000000000000000'::bytea FROM 36), :'file') FROM entry_bytes;
SELECT DISTINCT received(substr(a, 1, n), :'file') FROM entry_bytes, generate_series(0, length(a) - 1) AS n;
RESET client_min_messages;

-- add: key by key
SELECT meter.add('[]'::meter.breakdown, '[]'), meter.add('[]'::meter.breakdown, '[{"events": 1, "usage": {}}]'), meter.add('[{"events": 1, "usage": {}}]'::meter.breakdown, '[]');
SELECT meter.entries(meter.add(
	'[{"item": "a", "events": 1, "usage": {"input_tokens": 1, "x": 1}, "cost": 0.1}, {"item": "b", "events": 1, "usage": {"x": 1}, "credits": 2}, {"item": "d", "events": 1, "usage": {}, "unpriced_cost": 1}]'::meter.breakdown,
	'[{"item": "d", "events": -1, "usage": {"input_tokens": 0}, "unpriced_cost": -1, "unpriced_credits": 2}, {"item": "c", "events": 5, "usage": {}}, {"item": "b", "events": 2, "usage": {"output_tokens": 2, "a": 3, "x": 4}, "credits": 0.5, "cost": 1}]'));
SELECT meter.add(NULL::meter.breakdown, '[]') IS NULL AS nothing;
SELECT bool_and(meter.add(a.breakdown, b.breakdown)::text = meter.add(b.breakdown, a.breakdown)::text) AS either_way,
	bool_and(meter.add(a.breakdown, b.breakdown)::text = (SELECT meter.sum(x) FROM unnest(ARRAY[a.breakdown, b.breakdown]) AS x)::text) AS as_sum
FROM kept AS a, kept AS b WHERE a.n < 20 AND b.n < 20;
-- what does not fit is refused, by sum as by add
CREATE TABLE large (field text, breakdown meter.breakdown);
INSERT INTO large
SELECT field, jsonb_build_array('{"item": "a", "events": 0, "usage": {}}'::jsonb || jsonb_build_object(field, value))::meter.breakdown
FROM (VALUES
	('events', '9223372036854775807'::jsonb), ('unpriced_cost', '9223372036854775807'), ('unpriced_credits', '-9223372036854775808'),
	('cost', '170141183460469231731687303.715884105727'), ('credits', '-170141183460469231731687303.715884105727'),
	('usage', '{"x": 170141183460469231731687303.715884105727}')) AS v (field, value);
CREATE FUNCTION refusal(query text, breakdown meter.breakdown) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE query USING breakdown;
	RETURN 'fits';
EXCEPTION WHEN data_exception THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SELECT field, refusal('SELECT meter.add($1, $1)', breakdown), refusal('SELECT meter.sum(b) FROM unnest(ARRAY[$1, $1]) AS b', breakdown) AS sum,
	refusal('SELECT meter.breakdown_sum_combine($1::text::meter.breakdown_state, $1::text::meter.breakdown_state)', breakdown) AS combine,
	refusal('SELECT meter.add($1, ''[]''), meter.sum($1)', breakdown) AS alone
FROM large;
SELECT refusal('SELECT meter.add($1, (SELECT jsonb_build_array(jsonb_build_object(''events'', 0, ''usage'', jsonb_object_agg(''v'' || i, 1)))::meter.breakdown FROM generate_series(1, 501) AS i))',
	(SELECT jsonb_build_array(jsonb_build_object('events', 0, 'usage', jsonb_object_agg('u' || i, 1)))::meter.breakdown FROM generate_series(1, 500) AS i));

-- mentions: an item or an action
CREATE TABLE asked AS
SELECT '[{"item": "gpt", "action": "chat", "variant": "batch", "events": 1, "usage": {}}, {"item": "chat2", "events": 1, "usage": {}}, {"action": "", "outcome": "gpt2", "events": 1, "usage": {}}]'::meter.breakdown AS breakdown;
SELECT left(item, 8) AS item, left(action, 8) AS action, meter.mentions(breakdown, item, action)
FROM asked, (VALUES ('gpt', NULL), (NULL, 'chat'), ('gpt', 'chat'), ('gpt', 'no'), ('no', 'chat'), ('no', 'no'), (NULL, NULL), ('chat', NULL), (NULL, 'gpt'), ('gp', NULL), ('gpt ', NULL),
	('', NULL), (NULL, ''), ('batch', 'batch'), ('gpt2', 'gpt2'), (repeat('gpt', 5000), repeat('chat', 5000))) AS v (item, action)
ORDER BY 3 DESC, v.item COLLATE "C", v.action COLLATE "C";
SELECT meter.mentions('[]', 'gpt', 'chat'), meter.mentions('[{"events": 1, "usage": {}}]', '', ''), meter.mentions(NULL, 'gpt', 'chat') IS NULL AS unknown;
SELECT count(*) FROM name JOIN kept USING (n) WHERE meter.mentions(breakdown, name, NULL) AND meter.mentions(breakdown, NULL, name) AND NOT meter.mentions(breakdown, name || 'x', 'x' || name);

-- at_most: by the bytes of the value
SELECT bytes, meter.at_most('[{"item": "gpt", "events": 1, "usage": {}}]', bytes)
FROM (SELECT pg_column_size('[{"item": "gpt", "events": 1, "usage": {}}]'::meter.breakdown) + n AS bytes FROM generate_series(-1, 1) AS n) AS asked;
SELECT meter.at_most('[]', -1) IS NULL AND meter.at_most('[]', NULL) IS NULL AND meter.at_most(NULL, 10) IS NULL AS none;

-- entries: none, and no argument
SELECT count(*) FROM meter.entries('[]');
SELECT count(*) FROM meter.entries(NULL);
SELECT meter.entries('[{"events": 1, "usage": {}}, {"item": "a", "events": 2, "usage": {"x": 1}}]') LIMIT 1;

-- sum: a state with as many keys as it takes, each of them four times and never side by side
CREATE VIEW part AS
SELECT keys, i, jsonb_build_array(jsonb_build_object('item', 'item ' || i % keys, 'variant', CASE WHEN i % 3 = 0 THEN 'batch' END, 'events', 1, 'usage', jsonb_build_object('input_tokens', i, 'u' || i % 7, i), 'cost', i * 0.25))::meter.breakdown AS breakdown
FROM unnest(ARRAY[1, 2, 3, 4, 5, 6, 7, 12, 13, 24, 25, 1000]) AS keys, generate_series(0, keys * 4 - 1) AS i;
CREATE TABLE summed AS SELECT keys, meter.sum(breakdown) AS sum, meter.sum(breakdown ORDER BY i % keys, i) AS side_by_side, count(*) AS parts FROM part GROUP BY keys;
SELECT keys, parts, count(*) AS entries, sum(events) AS events, sum(cost) = 0.25 * parts * (parts - 1) / 2 AS cost, sum(usage) -> 'input_tokens' = parts * (parts - 1) / 2 AS usage
FROM summed, meter.entries(sum) AS entry GROUP BY keys, parts ORDER BY keys;
SELECT bool_and(sum::text = side_by_side::text) AS same FROM summed;
CREATE VIEW summed_entry AS SELECT keys, entry.* FROM summed, meter.entries(sum) AS entry;
CREATE VIEW expected_entry AS
SELECT keys, item, action, variant, outcome, request_class, sum(events)::bigint AS events, sum(usage) AS usage, trim_scale(sum(cost)) AS cost, sum(credits) AS credits, sum(unpriced_cost)::bigint AS unpriced_cost, sum(unpriced_credits)::bigint AS unpriced_credits
FROM part, meter.entries(breakdown) AS entry GROUP BY keys, item, action, variant, outcome, request_class;
(TABLE summed_entry EXCEPT TABLE expected_entry) UNION ALL (TABLE expected_entry EXCEPT TABLE summed_entry);
SELECT meter.sum(NULL::meter.breakdown) IS NULL AS nothing, meter.sum(b) AS something FROM (VALUES (NULL::meter.breakdown), ('[]'), (NULL)) AS v (b);
SELECT meter.sum(breakdown) FROM part WHERE false;
-- and no more memory: a key with its sums is some 200 bytes, rounded up to a power of two
SELECT keys, n, pg_column_size(meter.breakdown_sum_add(NULL, sum)) < 1024 + 512 * n AS state, pg_column_size(meter.breakdown_sum_add('[]', sum)) < 1024 + 512 * n AS from_nothing,
	pg_column_size(meter.breakdown_sum_combine(meter.breakdown_sum_add(NULL, sum), meter.breakdown_sum_add(NULL, sum))) < 1024 + 512 * n AS combined
FROM summed, LATERAL (SELECT count(*) AS n FROM meter.entries(sum)) AS c ORDER BY keys;
-- running sums of a window
SELECT bool_and(running::text = (SELECT meter.sum(p.breakdown) FROM part AS p WHERE p.keys = 13 AND p.i <= w.i)::text) AS same, count(*)
FROM (SELECT i, meter.sum(breakdown) OVER (ORDER BY i) AS running FROM part WHERE keys = 13) AS w;
-- states are kept in a table, and go on; the kept one stays as it is
CREATE TABLE state AS
SELECT keys, i % 3 AS part, meter.breakdown_sum_add(meter.sum(breakdown)::text::meter.breakdown_state, '[{"item": "more", "events": 1, "usage": {}}]') AS state FROM part WHERE keys IN (2, 13, 1000) GROUP BY 1, 2;
CREATE AGGREGATE sum_of_states (meter.breakdown_state) (SFUNC = meter.breakdown_sum_combine, STYPE = meter.breakdown_state, FINALFUNC = meter.breakdown_sum_final);
SELECT keys, sum_of_states(state ORDER BY part)::text = (SELECT meter.add(sum, '[{"item": "more", "events": 3, "usage": {}}]')::text FROM summed WHERE summed.keys = state.keys) AS same,
	sum_of_states(state ORDER BY part DESC)::text = sum_of_states(state ORDER BY part)::text AS either_way
FROM state GROUP BY keys ORDER BY keys;
SELECT keys, count(*), bool_and(meter.breakdown_sum_final(meter.breakdown_sum_add(state, '[{"item": "item 0", "events": 1, "usage": {}}]'))::text <> state::text) AS more, bool_and(state::text = copy) AS kept
FROM (SELECT *, state::text AS copy FROM state OFFSET 0) AS s GROUP BY keys ORDER BY keys;
WITH s AS MATERIALIZED (SELECT '[{"item": "a", "events": 1, "usage": {"x": 1}}]'::meter.breakdown_state AS s)
SELECT meter.breakdown_sum_add(s, '[{"item": "a", "events": 1, "usage": {"x": 1, "y": 1}}]'), meter.breakdown_sum_combine(s, s), meter.breakdown_sum_add(s, NULL), meter.breakdown_sum_combine(NULL, s), meter.breakdown_sum_combine(s, NULL), s FROM s;
SELECT meter.breakdown_sum_add(NULL, NULL) IS NULL AS nothing, meter.breakdown_sum_combine(NULL, NULL) IS NULL AS nothing, meter.breakdown_sum_final(NULL) IS NULL AS nothing, meter.breakdown_sum_add(NULL, '[]') AS something;

-- sum_by: what sum says of the same entries without the names that are not asked for, for each choice of names
CREATE TABLE named AS
SELECT g, i, jsonb_build_array(
	jsonb_strip_nulls(jsonb_build_object('item', (ARRAY[NULL, '', 'a', 'ab', repeat('x', 200)])[1 + i % 5], 'action', (ARRAY[NULL, 'b', 'a'])[1 + i / 2 % 3], 'variant', (ARRAY['standard', NULL])[1 + i / 3 % 2], 'outcome', (ARRAY[NULL, 'success', ''])[1 + i / 5 % 3], 'request_class', (ARRAY[NULL, 'a'])[1 + i / 7 % 2]))
		|| jsonb_build_object('events', i, 'usage', jsonb_build_object('input_tokens', i, 'u' || i % 6, 1), 'cost', i * 0.25, 'credits', -i, 'unpriced_cost', i % 2, 'unpriced_credits', -1),
	jsonb_build_object('item', 'of all', 'action', 'of all', 'variant', 'of all', 'outcome', 'of all', 'request_class', 'of all', 'events', 1, 'usage', '{}'::jsonb))::meter.breakdown AS breakdown
FROM generate_series(1, 3) AS g, generate_series(1, 70 * g) AS i;
CREATE VIEW narrow AS
SELECT choice, g, meter.sum_by(breakdown, choice & 1 > 0, choice & 2 > 0, choice & 4 > 0, choice & 8 > 0, choice & 16 > 0) AS sum
FROM named, generate_series(0, 31) AS choice GROUP BY choice, g;
CREATE VIEW expected_narrow AS
SELECT choice, g, entry.item, entry.action, entry.variant, entry.outcome, entry.request_class, sum(events)::bigint AS events, sum(usage) AS usage, trim_scale(sum(cost)) AS cost, sum(credits) AS credits, sum(unpriced_cost)::bigint AS unpriced_cost, sum(unpriced_credits)::bigint AS unpriced_credits
FROM generate_series(0, 31) AS choice, (SELECT g, whole.* FROM named, meter.entries(breakdown) AS whole) AS whole, LATERAL (
	SELECT CASE WHEN choice & 1 > 0 THEN whole.item END AS item, CASE WHEN choice & 2 > 0 THEN whole.action END AS action, CASE WHEN choice & 4 > 0 THEN whole.variant END AS variant,
		CASE WHEN choice & 8 > 0 THEN whole.outcome END AS outcome, CASE WHEN choice & 16 > 0 THEN whole.request_class END AS request_class) AS entry
GROUP BY choice, g, entry.item, entry.action, entry.variant, entry.outcome, entry.request_class;
CREATE VIEW narrow_entry AS SELECT choice, g, entry.* FROM (SELECT * FROM narrow OFFSET 0) AS narrow, meter.entries(sum) AS entry;
(TABLE narrow_entry EXCEPT ALL TABLE expected_narrow) UNION ALL (TABLE expected_narrow EXCEPT ALL TABLE narrow_entry);
SELECT count(*) AS entries, count(DISTINCT choice) AS choices, count(*) FILTER (WHERE choice = 0) AS of_none, sum(events) FILTER (WHERE choice = 0) AS events, sum(events) = 32 * sum(events) FILTER (WHERE choice = 0) AS same FROM narrow_entry;
SELECT bool_and(sum::text = (SELECT meter.sum(named.breakdown) FROM named WHERE named.g = narrow.g)::text) AS by_all_is_sum FROM narrow WHERE choice = 31;
SELECT g, sum FROM narrow WHERE choice = 0 ORDER BY g;
SELECT meter.sum_by(breakdown, NULL, true, NULL, NULL, NULL)::text = meter.sum_by(breakdown, false, true, false, false, false)::text AS null_is_not_asked_for FROM named;
SELECT meter.sum_by(NULL::meter.breakdown, true, true, true, true, true) IS NULL AS nothing, meter.sum_by(b, false, false, false, false, false) AS something, meter.sum_by(b, true, NULL, false, false, false) FILTER (WHERE false) IS NULL AS none
FROM (VALUES (NULL::meter.breakdown), ('[]'), (NULL)) AS v (b);
SELECT field, refusal('SELECT meter.sum_by(b, false, true, true, true, true) FROM unnest(ARRAY[$1, replace($1::text, ''"a"'', ''"b"'')::meter.breakdown]) AS b', breakdown) FROM large;
WITH s AS MATERIALIZED (SELECT '[{"item": "a", "events": 1, "usage": {"x": 1}}]'::meter.breakdown_state AS s)
SELECT meter.breakdown_sum_add(s, '[{"item": "a", "variant": "v", "events": 1, "usage": {"x": 1, "y": 1}}]', true, true, false, true, true), s FROM s;

-- Sums that outgrow their place: units that come one by one, known and custom, in keys that take turns.
CREATE TABLE growing AS
SELECT i, 'item ' || i % k AS item, k, ('{"u' || i / k || '": ' || i || CASE WHEN i % 2 = 0 THEN ', "input_tokens": 1' ELSE ', "output_tokens": 0.5, "' || repeat('v', 1 + i % 63) || '": 1' END || '}')::meter.usage AS usage
FROM (VALUES (1), (3), (50)) AS v (k), generate_series(0, 300 * k - 1) AS i;
CREATE VIEW grown AS
SELECT k, meter.sum(jsonb_build_array(jsonb_build_object('item', item, 'events', 1, 'usage', usage::jsonb))::meter.breakdown ORDER BY i) AS sum,
	meter.break_down(NULL, NULL, item, NULL, '2026-01-01', usage, NULL, 1::smallint, NULL, NULL, NULL ORDER BY i) AS totals
FROM growing GROUP BY k;
SELECT k, count(*) AS entries, bool_and(entry.usage = expected.usage) AS sum, bool_and((SELECT b.usage FROM meter.entries((totals).breakdown) AS b WHERE b.item = entry.item) = expected.usage) AS break_down, min((SELECT count(*) FROM meter.each(entry.usage))) AS units
FROM (SELECT * FROM grown OFFSET 0) AS grown, meter.entries(sum) AS entry JOIN LATERAL (SELECT sum(usage) AS usage FROM growing WHERE growing.k = grown.k AND growing.item = entry.item) AS expected ON true
GROUP BY k ORDER BY k;
-- a thousand units; the last of more are added up in one
SELECT count(*) FROM meter.entries((SELECT meter.sum(jsonb_build_array(jsonb_build_object('events', 1, 'usage', jsonb_build_object('u' || i, 1)))::meter.breakdown) FROM generate_series(1, 1000) AS i)) AS entry, meter.each(entry.usage);
SELECT count(*), sum(quantity), sum(quantity) FILTER (WHERE unit = 'further_units') AS further
FROM meter.entries((SELECT meter.sum(jsonb_build_array(jsonb_build_object('events', 1, 'usage', jsonb_build_object('u' || i, 1)))::meter.breakdown) FROM generate_series(1, 1001) AS i)) AS entry, meter.each(entry.usage);

-- break_down: what event_sums says of all events, and of those of each key.
CREATE TABLE card AS SELECT
	'[{"item": "item 0", "unit": "input_tokens", "price": 2.5, "per": 1000000}, {"item": "item 0", "variant": "batch", "unit": "input_tokens", "price": 1.25, "per": 1000000}, {"item": "item 1", "unit": "*", "price": 0.001}]'::meter.rate_card AS cost,
	'[{"item": "chat", "unit": "actions", "price": 5}, {"item": "chat", "unit": "*", "price": 0}]'::meter.rate_card AS credit;
CREATE TABLE event AS
SELECT i, i / 500 AS day,
	CASE WHEN i % 11 > 0 THEN 'item ' || i % 3 END AS item, (ARRAY[NULL, 'chat', 'unrated', ''])[1 + i % 4] AS action, (ARRAY['standard', 'batch', NULL, 'byok'])[1 + i / 4 % 4] AS variant,
	(ARRAY[NULL, 'success', 'failure'])[1 + i / 7 % 3] AS outcome, (ARRAY[NULL, 'c'])[1 + i / 5 % 2] AS request_class,
	CASE WHEN i % 13 > 0 THEN meter.usage('input_tokens', i, 'actions', 1) WHEN i % 2 = 0 THEN '{"images": 0.5}' END AS usage,
	CASE WHEN i % 17 > 0 THEN timestamptz '2026-01-01' + i * interval '1 minute' END AS at, (ARRAY[1, 1, 1, -1, NULL])[1 + i / 3 % 5]::smallint AS sign
FROM generate_series(1, 2000) AS i;
CREATE VIEW day AS
SELECT day, meter.break_down(cost, credit, item, CASE WHEN outcome IS DISTINCT FROM 'failure' THEN action END, at, usage, variant, sign, action, outcome, request_class) AS totals
FROM event, card GROUP BY day;
CREATE VIEW day_entry AS
SELECT day, entry.* FROM (SELECT * FROM day OFFSET 0) AS day, meter.entries((totals).breakdown) AS entry;
CREATE VIEW expected AS
SELECT day, item, action, variant, outcome, request_class, (sums).events, (sums).usage, (sums).cost, (sums).credits, (sums).unpriced_cost, (sums).unpriced_credits
FROM (
	SELECT day, item, action, variant, outcome, request_class,
		meter.event_sums(cost, credit, item, CASE WHEN outcome IS DISTINCT FROM 'failure' THEN action END, at, usage, variant, sign) AS sums
	FROM event, card GROUP BY day, item, action, variant, outcome, request_class
) AS summed;
SELECT count(*) AS keys, count(DISTINCT day) AS days, sum(events) AS events, sum(cost) AS cost, sum(credits) AS credits, sum(unpriced_cost) AS unpriced_cost, sum(unpriced_credits) AS unpriced_credits, sum(usage) AS usage,
	count(*) FILTER (WHERE item IS NULL) > 0 AND count(*) FILTER (WHERE variant IS NULL) > 0 AND count(*) FILTER (WHERE usage = '{}') > 0 AS has_nulls
FROM day_entry;
(TABLE day_entry EXCEPT ALL TABLE expected) UNION ALL (TABLE expected EXCEPT ALL TABLE day_entry);
-- and in total
SELECT day, (totals).cost = (sums).cost AND (totals).credits = (sums).credits AND (totals).events = (sums).events AND (totals).unpriced_cost = (sums).unpriced_cost AND (totals).unpriced_credits = (sums).unpriced_credits AS same
FROM day JOIN LATERAL (SELECT meter.event_sums(cost, credit, item, CASE WHEN outcome IS DISTINCT FROM 'failure' THEN action END, at, usage, variant, sign) AS sums FROM event, card WHERE event.day = day.day) AS s ON true
ORDER BY day;
-- the sum of days is the breakdown of all
SELECT (SELECT meter.sum((totals).breakdown) FROM day)::text = (meter.break_down(cost, credit, item, CASE WHEN outcome IS DISTINCT FROM 'failure' THEN action END, at, usage, variant, sign, action, outcome, request_class)).breakdown::text AS same
FROM event, card;
-- no event is no breakdown; events of nothing but NULLs are one key
SELECT meter.break_down(cost, credit, item, action, at, usage, variant, sign, action, outcome, request_class) IS NULL AS nothing FROM event, card WHERE false;
SELECT meter.break_down(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) FROM generate_series(1, 3);
SELECT meter.break_down(NULL, NULL, 'item 0', 'chat', '2026-01-01', '{"input_tokens": 1}', NULL, 1::smallint, 'chat', NULL, NULL);
-- names that grow from row to row, and come back
SELECT bool_and(entry.item = name AND entry.events = 2), count(*)
FROM (SELECT meter.break_down(NULL, NULL, name, NULL, NULL, NULL, name, 1::smallint, name, name, name ORDER BY k, n) AS totals FROM name, generate_series(1, 2) AS k) AS t,
	meter.entries((totals).breakdown) AS entry JOIN name ON name = item AND item = action AND item = variant AND item = outcome AND item = request_class;
-- an amount or a number that does not fit
SELECT meter.break_down(cost, NULL, 'i', NULL, '2026-01-01', '{"x": 170141183460469231731687303}', NULL, 1::smallint, action, NULL, NULL)
FROM (VALUES ('a'), ('b')) AS v (action), (VALUES ('[{"item": "i", "unit": "x", "price": 0.6}]'::meter.rate_card)) AS card (cost);
SELECT meter.break_down(NULL, NULL, 'i', NULL, '2026-01-01', '{"x": 170141183460469231731687303}', NULL, 1::smallint, NULL, NULL, NULL) FROM generate_series(1, 2);

-- It is an aggregate: its parts leave a state as it is, and it has no other place.
SELECT meter.break_down_add(NULL, NULL, NULL, 'a', NULL, '2026-01-01', '{"x": 1}', NULL, 1::smallint, NULL, NULL, NULL);
WITH s AS MATERIALIZED (SELECT '[{"item": "a", "events": 1, "usage": {"x": 1}}]'::meter.breakdown_state AS s)
SELECT meter.break_down_add(s, NULL, NULL, 'a', NULL, '2026-01-01', '{"x": 1}', NULL, 1::smallint, NULL, NULL, NULL) AS known, meter.break_down_add(s, NULL, NULL, 'a', NULL, '2026-01-01', '{"y": 1, "z": 2}', NULL, 1::smallint, NULL, NULL, NULL) AS grown,
	meter.break_down_add(s, NULL, NULL, 'b', NULL, '2026-01-01', '{"x": 1}', NULL, 1::smallint, NULL, NULL, NULL) AS new, meter.break_down_final(s) AS final, s FROM s;
SELECT meter.break_down_final(NULL) IS NULL AS nothing;
SELECT 1 WHERE (meter.break_down(NULL, NULL, 'a', NULL, '2026-01-01', '{}', NULL, 1::smallint, NULL, NULL, NULL)).events > 0;
UPDATE event SET i = (meter.break_down(NULL, NULL, item, NULL, at, usage, variant, sign, action, outcome, request_class)).events;
SELECT meter.sum(meter.sum(breakdown)) FROM part;

-- A hundred thousand keys in one state.
CREATE TABLE many AS
SELECT meter.break_down(NULL, NULL, 'item ' || i % 100000, NULL, '2026-01-01', meter.usage('input_tokens', i), NULL, 1::smallint, NULL, CASE WHEN i % 2 = 0 THEN 'success' END, NULL) AS totals
FROM generate_series(0, 249999) AS i;
SELECT (totals).events, (totals).unpriced_cost FROM many;
SELECT count(*) AS entries, count(DISTINCT item) AS items, sum(entry.events) AS events, sum(usage) AS usage, sum(usage) -> 'input_tokens' = 249999::numeric * 250000 / 2 AS right,
	bool_and(entry.events = CASE WHEN substr(item, 6)::integer < 50000 THEN 3 ELSE 2 END) AS each
FROM many, meter.entries((totals).breakdown) AS entry;
SELECT count(*) AS entries, sum(entry.events) AS events, sum(usage) AS usage FROM meter.entries((SELECT meter.sum((totals).breakdown) FROM many, generate_series(1, 3))) AS entry;
SELECT count(*) AS entries, sum(entry.events) AS events FROM many, meter.entries(meter.add((totals).breakdown, '[{"item": "one more", "events": 1, "usage": {}}]')) AS entry;
SELECT (SELECT meter.breakdown_sum_final(meter.breakdown_sum_combine(state, state)) FROM (SELECT (totals).breakdown::text::meter.breakdown_state AS state FROM many) AS s)::text
	= (SELECT meter.sum((totals).breakdown) FROM many, generate_series(1, 2))::text AS same;
SELECT meter.mentions((totals).breakdown, 'item 99999', NULL), meter.mentions((totals).breakdown, 'item 100000', NULL) FROM many;

-- A day of more than a page is out of line, and reads as any other.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, outcome)
SELECT 'large', 'e' || i, '2026-02-01 12:00+00', 'item ' || i % 700, meter.usage('input_tokens', i), CASE WHEN i % 2 = 0 THEN 'success' END
FROM generate_series(1, 1400) AS i;
CREATE PROCEDURE refresh_all()
LANGUAGE plpgsql AS $$
BEGIN
	FOR attempt IN 1..600 LOOP
		CALL meter.refresh();
		EXIT WHEN NOT EXISTS (SELECT FROM meter.unconsumed_event);
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;
CALL refresh_all();
SELECT events, unpriced_cost, pg_column_size(breakdown) > 8192 AS large, pg_relation_size(reltoastrelid) > 8192 AS out_of_line FROM meter.usage_day, pg_class WHERE pg_class.oid = 'meter.usage_day'::regclass;
SELECT count(*) AS rows, sum(events) AS events, sum(usage) AS usage, bool_and(events = 2) AS each FROM meter.usage_daily;
SELECT meter.mentions(breakdown, 'item 0', NULL), meter.mentions(breakdown, 'item 700', NULL) FROM meter.usage_day;
-- added to
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('large', 'more', '2026-02-01 13:00+00', 'item 699', '{"input_tokens": 1}'), ('large', 'new', '2026-02-01 13:00+00', 'new item', '{"input_tokens": 1}');
CALL refresh_all();
SELECT count(*) AS rows, sum(events) AS events, sum(usage) AS usage FROM meter.usage_daily;
SELECT item, events, usage FROM meter.usage_daily WHERE item = 'new item' OR events > 2;
SELECT events = (SELECT sum(events) FROM meter.usage_daily) AS same FROM meter.usage_day;
SELECT * FROM meter.audit();
