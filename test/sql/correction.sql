-- Corrections: void, amend, resolve; by filter, and undone.
\set VERBOSITY terse
SET timezone = 'UTC';
CREATE VIEW pg_temp.event AS
SELECT customer_id, event_id, to_char(occurred_at, 'MM-DD HH24') AS at, item, usage, outcome, sign, reverses FROM meter.usage_event;
CREATE VIEW pg_temp.total AS
SELECT customer_id, sum(sign) AS events, sum(usage) AS usage,
	(SELECT sum(net.usage) FROM meter.event_net AS net WHERE net.customer_id = event.customer_id) AS net
FROM meter.usage_event AS event GROUP BY customer_id ORDER BY customer_id;

INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, outcome)
SELECT customer, 'e' || number, timestamptz '2026-11-01 10:00+00' + number * interval '1 hour', 'i' || number % 2, meter.usage('requests', 1, 'input_tokens', number * 10), CASE number WHEN 4 THEN 'pending' END
FROM unnest('{acme,bolt}'::text[]) AS customer, generate_series(1, 4) AS number;

-- Void: a reversal; a second one is refused, and so is one of a reversal or of nothing.
SELECT meter.void_event('acme', 'e1', 'sent twice');
SELECT meter.void_event('acme', 'e1', 'again');
SELECT meter.void_event('acme', 'e1~void', 'undo');
SELECT meter.void_event('acme', 'e9', 'no such event');
SELECT meter.record('acme', 'e1', '2026-11-01 11:00+00', 'i1', '{"requests": 1, "input_tokens": 10}') AS retry_of_a_void_event;
TABLE pg_temp.total;

-- Amend: the copy is corrected in its turn by the first id.
SELECT meter.amend_event('acme', 'e2', '{"usage": {"input_tokens": 5}, "action": "chat"}', 'counted wrong') AS amended \gset
SELECT :'amended' ~ '^e2~[0-9]+$' AS named_after_it;
SELECT meter.amend_event('acme', 'e2', '{"usage": {"input_tokens": 5.0}, "action": "chat"}', 'again') = :'amended' AS unchanged;
SELECT meter.amend_event('acme', 'e2', '{"usage": {"input_tokens": 7}, "action": null, "occurred_at": "2026-11-02T10:00:00Z"}', 'and again') <> :'amended' AS changed;
SELECT meter.amend_event('acme', 'e2', '{"event_id": "x"}', 'another id');
SELECT meter.amend_event('acme', 'e2', '[]', 'no object');
SELECT meter.amend_event('acme', 'e2', '{"usage": {"input_tokens": -1}}', 'negative');
SELECT meter.amend_event('acme', 'e2', '{"itm": "x"}', 'unknown field');
SELECT meter.amend_event('acme', 'e1', '{"item": "x"}', 'void');
SELECT regexp_replace(event_id, '~[0-9]+', '~n') AS event_id, at, item, usage, sign, regexp_replace(reverses, '~[0-9]+', '~n') AS reverses
FROM pg_temp.event WHERE customer_id = 'acme' AND event_id LIKE 'e2%' ORDER BY at, 1, sign;

-- Resolve: an outcome that comes later, and reopening.
SELECT meter.resolve_event('acme', 'e4', 'success') <> 'e4' AS resolved;
SELECT meter.resolve_event('acme', 'e4', 'success') <> 'e4' AS the_same_again;
SELECT meter.resolve_event('acme', 'e4', 'disputed', 'ticket 7') <> 'e4' AS disputed;
SELECT meter.resolve_event('acme', 'e4', 'pending') <> 'e4' AS reopened;
SELECT meter.resolve_event('acme', 'e3', 'success') AS none_is_success;
SELECT meter.resolve_event('acme', 'e3', 'maybe');
SELECT meter.resolve_event('acme', 'e3', NULL);
SELECT outcome, sum(sign) AS events, sum(usage) AS usage FROM pg_temp.event WHERE customer_id = 'acme' AND event_id LIKE 'e4%' GROUP BY outcome ORDER BY outcome;
TABLE pg_temp.total;

-- By filter, seen beforehand, and undone as a whole.
SELECT * FROM meter.preview_void('bolt', '[2026-11-01 12:00+00, 2026-11-01 14:00+00)');
SELECT * FROM meter.preview_void(item => 'i0');
SELECT * FROM meter.void_events('nothing said');
SELECT audit_id AS first_void, events FROM meter.void_events('provider fault', 'bolt', '[2026-11-01 12:00+00, 2026-11-01 14:00+00)') \gset
SELECT audit_id AS second_void, events AS second_events FROM meter.void_events('all of it', item => 'i0') \gset
SELECT :events AS first, :second_events AS second;
TABLE pg_temp.total;
SELECT meter.restore_events(:first_void, 'it was ours');
SELECT meter.restore_events(:first_void, 'again');
SELECT meter.restore_events(:second_void + 1000, 'no such operation');
TABLE pg_temp.total;
SELECT meter.restore_events(:second_void, 'it was all ours');
TABLE pg_temp.total;
-- What was restored can be voided again by its first id.
SELECT meter.void_event('bolt', 'e2', 'after all') LIKE 'e2~%~void' AS void_again;
TABLE pg_temp.total;
SELECT operation, customer_id, reason, done_by = session_user AS by_me, detail - '{audit_id,event_id}'::text[] AS detail FROM meter.audit_log ORDER BY audit_id;
SELECT count(*) AS corrections, count(replacement) AS replaced, count(restored_by) AS restored FROM meter.correction;

-- An id too long for a suffix, and one that is taken.
SELECT meter.record('long', repeat('x', 1000), '2026-11-01 10:00+00', 'i', '{"requests": 1}');
SELECT meter.void_event('long', repeat('x', 1000), 'long') = md5(repeat('x', 1000)) || '~void' AS shortened;
SELECT meter.record('taken', 'e', '2026-11-01 10:00+00', 'i', '{"requests": 1}'), meter.record('taken', 'e~void', '2026-11-01 10:00+00', 'i', '{"requests": 1}');
SELECT meter.void_event('taken', 'e', 'its reversal''s id is another event''s') ~ '^e~void~[0-9]+$' AS by_another_id;
SELECT meter.record('taken', 'f', '2026-11-01 10:00+00', 'i', '{"requests": 1}'), meter.record('taken', 'f~void', '2026-11-01 10:00+00', 'i', '{"requests": 1}');
SELECT events FROM meter.void_events('the same', 'taken', '[2026-11-01 10:00+00,2026-11-01 10:00+00]');
SELECT sum(sign) AS events, (SELECT count(*) FROM meter.event_net WHERE customer_id = 'taken') AS net FROM meter.usage_event WHERE customer_id = 'taken';
-- Nor does a name that is a replacement's: the sender's own order and order~N are two events, before and after.
SELECT meter.record('names', 'order', '2026-11-02 10:00+00', 'i', '{"requests": 1}'), meter.record('names', 'order~3', '2026-11-02 10:00+00', 'i', '{"requests": 1}');
SELECT meter.record('names', 'order~' || n, '2026-11-02 11:00+00', 'i', '{"requests": 1}') IS NOT NULL AS recorded FROM (SELECT max(audit_id) + 1 AS n FROM meter.audit_log) AS next;
SELECT meter.amend_event('names', 'order', '{"usage": {"requests": 2}}', 'its name is taken') ~ '^order~~[0-9]+$' AS by_another_name;
SELECT meter.amend_event('names', 'order', '{"usage": {"requests": 3}}', 'once more') ~ '^order~[0-9]+$' AS by_its_first_id;
SELECT meter.resolve_event('names', 'order~3', 'failure', 'of its own') ~ '^order~3~[0-9]+$' AS by_its_own_id;
SELECT audit_id AS void, events FROM meter.void_events('all', 'names') \gset
SELECT :events AS events, meter.restore_events(:void, 'all again') AS restored;
SELECT regexp_replace(event_id, '~[0-9]{2,}', '~n', 'g') AS event_id, usage, outcome FROM meter.event_net WHERE customer_id = 'names' ORDER BY occurred_at, event_id COLLATE "C";

-- Who may, and no more than that.
CREATE ROLE meter_regress_corrector;
SET ROLE meter_regress_corrector;
SELECT meter.void_event('acme', 'e3', 'no right');
RESET ROLE;
SELECT meter.allow_correcting('meter_regress_corrector');
SET ROLE meter_regress_corrector;
SELECT meter.void_event('acme', 'e3', 'right');
SELECT meter.restore_events((SELECT max(audit_id) FROM meter.audit_log), 'right');
SELECT meter.resolve_event('acme', 'e3', 'failure') LIKE 'e3~%' AS resolved;
SELECT meter.amend_event('acme', 'e3', '{"usage": {"requests": 2}}', 'right') LIKE 'e3~%' AS amended;
SELECT meter.void_event('acme', 'e9', 'no such event');
SELECT of_item, events, cost, unpriced_cost FROM meter.preview_void('acme', item => 'i1');
SELECT audit_id AS by_role, events FROM meter.void_events('right', 'acme', item => 'i1') \gset
SELECT :events AS events, meter.restore_events(:by_role, 'right') AS restored;
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage, sign, reverses) VALUES ('acme', 'forged', now(), '{"requests": -5}', -1, 'e2');
INSERT INTO meter.correction (customer_id, event_id, reversal, audit_id) VALUES ('acme', 'e2', 'forged', 1);
UPDATE meter.audit_log SET detail = '{}';
SELECT meter.reverse_event(NULL, 1);
RESET ROLE;
SELECT count(*) AS by_me FROM meter.audit_log WHERE done_by = session_user AND reason = 'right';
DROP OWNED BY meter_regress_corrector;
DROP ROLE meter_regress_corrector;
