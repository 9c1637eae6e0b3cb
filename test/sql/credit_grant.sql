-- Grants and allotments: what goes in, what never changes, and the lots they are.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
INSERT INTO meter.customer (customer_id, currency) VALUES ('acme', 'EUR'), ('bolt', NULL);
INSERT INTO meter.customer_zone (customer_id, timezone) VALUES ('acme', 'Pacific/Kiritimati');
SELECT meter.customer_date('acme') AS today, meter.customer_date('bolt') AS bolts_today \gset
-- What a test that runs on any day can show of a date: its distance from the customer's today.
CREATE VIEW pg_temp.granted AS
SELECT customer_id AS customer, grant_id, credit_type, kind, amount, pool, priority, lower(valid) - meter.customer_date(customer_id) AS begins, upper(valid) - meter.customer_date(customer_id) AS ends,
	paid, currency, rollover_max, event_id, voided_on - meter.customer_date(customer_id) AS voided, void_reason
FROM meter.credit_grant;

-- A retry is safe, and another grant of the same name is not taken for it.
SELECT meter.grant_credits('acme', 'order 1', 'purchase', 100, paid => 20);
SELECT meter.grant_credits('acme', 'order 1', 'purchase', 100.0, paid => 20);
SELECT meter.grant_credits('acme', 'order 1', 'purchase', 100, paid => 20, currency => 'EUR', valid => daterange(:'today', NULL));
SELECT meter.grant_credits('acme', 'order 1', 'purchase', 200, paid => 40, pool => 'images');
SELECT meter.grant_credits('acme', 'order 1', 'promotion', 100);
SELECT meter.grant_credits('bolt', 'order 1', 'purchase', 100, paid => 20, note => 'of another customer');
SELECT meter.grant_credits('bolt', 'welcome', 'promotion', 0.000000000001, daterange(:'bolts_today', date :'bolts_today' + 30), 'image', 'images', -1, rollover_max => 7, rollover_until => date :'bolts_today' + 60);
TABLE pg_temp.granted ORDER BY 1, 2;

-- What no row can be.
\set VERBOSITY terse
SELECT meter.grant_credits('acme', 'bad', 'gift', 1);
SELECT meter.grant_credits('acme', 'bad', 'promotion', 0);
SELECT meter.grant_credits('acme', 'bad', 'promotion', 'NaN');
SELECT meter.grant_credits('acme', 'bad', 'promotion', 0.0000000000001);
SELECT meter.grant_credits('acme', 'bad', 'promotion', 1, paid => 1);
SELECT meter.grant_credits('acme', 'bad', 'allotment', 1, paid => 1);
SELECT meter.grant_credits('acme', 'bad', 'promotion', 1, currency => 'EUR');
SELECT meter.grant_credits('acme', 'bad', 'purchase', 1, currency => 'EURO');
SELECT meter.grant_credits('acme', 'bad', 'purchase', 1, paid => -1);
SELECT meter.grant_credits('acme', 'bad', 'refund', 1);
SELECT meter.grant_credits('acme', 'bad', 'promotion', 1, event_id => 'e');
SELECT meter.grant_credits('acme', 'bad', 'promotion', 1, 'empty');
SELECT meter.grant_credits('acme', 'bad', 'promotion', 1, '(,2027-01-01)');
SELECT meter.grant_credits('acme', 'bad', 'promotion', 1, rollover_max => 1);
SELECT meter.grant_credits('acme', 'bad', 'promotion', 1, rollover_max => 1, rollover_until => date :'today' + 10);
SELECT meter.grant_credits('acme', 'bad', 'promotion', 1, daterange(:'today', date :'today' + 10), rollover_max => 1, rollover_until => date :'today' + 10);
SELECT meter.grant_credits('acme', 'bad@2026-01-01', 'promotion', 1);
SELECT meter.grant_credits('acme', '', 'promotion', 1);
-- A currency is in upper case, as everywhere, or one would be two.
SELECT meter.grant_credits('acme', 'bad', 'purchase', 1, paid => 1, currency => 'usd');
INSERT INTO meter.customer (customer_id, currency) VALUES ('lower', 'usd');
SELECT meter.grant_credits(NULL, 'bad', 'promotion', 1);

\set VERBOSITY default
-- A grant stays as it is, but for its note and its void.
UPDATE meter.credit_grant SET amount = 1000 WHERE customer_id = 'acme';
UPDATE meter.credit_grant SET created_at = now() WHERE customer_id = 'acme';
UPDATE meter.credit_grant SET voided_on = :'today', voided_at = now(), voided_by = 'me' WHERE customer_id = 'acme';
UPDATE meter.credit_grant SET void_reason = 'and more', valid = daterange(:'today', date :'today' + 10) WHERE customer_id = 'acme';
DELETE FROM meter.credit_grant WHERE customer_id = 'acme';
UPDATE meter.credit_grant SET note = 'paid by card' WHERE customer_id = 'acme';

-- A void takes effect on the next date, once.
SELECT meter.void_grant('acme', 'order 1', 'charged back') - date :'today' AS days;
SELECT meter.void_grant('acme', 'order 1', 'charged back') - date :'today' AS days;
\set VERBOSITY terse
SELECT meter.void_grant('acme', 'order 1', 'another reason');
UPDATE meter.credit_grant SET void_reason = NULL WHERE customer_id = 'acme';
UPDATE meter.credit_grant SET voided_on = NULL, voided_at = NULL, voided_by = NULL, void_reason = NULL WHERE customer_id = 'acme';
SELECT meter.void_grant('acme', 'unknown', 'why');
SELECT meter.void_grant('bolt', 'order 1', NULL);
SELECT regexp_replace(message, '[0-9]{4}-[0-9]{2}-[0-9]{2}', 'DATE', 'g') AS message FROM (SELECT meter.grant_credits('acme', 'today', 'promotion', 1, daterange(:'today', date :'today' + 1)) AS message) AS granted;
DO $$
BEGIN
	PERFORM meter.void_grant('acme', 'today', 'late');
EXCEPTION WHEN invalid_parameter_value THEN
	RAISE NOTICE '%', regexp_replace(SQLERRM, '[0-9]{4}-[0-9]{2}-[0-9]{2}', 'DATE', 'g');
END
$$;
-- One that has not begun never takes effect.
SELECT meter.grant_credits('bolt', 'future', 'promotion', 5, daterange(date :'bolts_today' + 10, NULL));
SELECT meter.void_grant('bolt', 'future', 'mistake') - date :'bolts_today' AS days;
TABLE pg_temp.granted ORDER BY 1, 2;

-- Nothing begins before the last closed date: neither by function nor by INSERT, but what a dump brings does.
CREATE OR REPLACE FUNCTION meter.closed_until(customer_id text) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE customer_id WHEN 'closed' THEN date '2026-03-01' ELSE '-infinity' END;
SELECT meter.grant_credits('closed', 'in time', 'promotion', 10, '[2026-03-01,2026-04-01)');
\set VERBOSITY default
SELECT meter.grant_credits('closed', 'late', 'promotion', 10, '[2026-02-28,2026-04-01)');
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid) VALUES ('closed', 'late', 'promotion', 10, '[2026-02-28,2026-04-01)');
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, valid) VALUES ('closed', 'late', 10, '[2026-02-28,2026-04-01)');
\set VERBOSITY terse
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid, created_at) VALUES ('closed', 'restored', 'promotion', 10, '[2026-02-28,2026-04-01)', '2026-02-28 08:00+00');
SELECT grant_id, valid FROM meter.credit_grant WHERE customer_id = 'closed' ORDER BY grant_id;
-- What lies before today may be closed at this moment, and is known at READ COMMITTED only.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT meter.grant_credits('bolt', 'backdated', 'promotion', 10, daterange(date :'bolts_today' - 1, NULL));
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT meter.grant_credits('bolt', 'from today', 'promotion', 10);
ROLLBACK;

-- Who may grant may do no more.
CREATE ROLE meter_regress_granter;
SET ROLE meter_regress_granter;
SELECT meter.grant_credits('bolt', 'by role', 'promotion', 10);
RESET ROLE;
SELECT meter.allow_granting('meter_regress_granter');
SET ROLE meter_regress_granter;
SELECT meter.grant_credits('bolt', 'by role', 'purchase', 10, paid => 1);
SELECT meter.void_grant('bolt', 'by role', 'right') - date :'bolts_today' AS days;
UPDATE meter.credit_grant SET customer_id = 'erased-forged' WHERE customer_id = 'bolt';
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount) VALUES ('bolt', 'by role', 10);
SELECT meter.end_allotment('bolt', 'by role', 'right') - date :'bolts_today' AS days;
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid, created_at) VALUES ('closed', 'forged', 'promotion', 10, '[2026-02-28,2026-04-01)', '2026-02-28 08:00+00');
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, created_by) VALUES ('closed', 'forged', 'promotion', 10, 'somebody else');
UPDATE meter.credit_grant SET voided_on = '2026-01-01' WHERE customer_id = 'bolt';
UPDATE meter.credit_grant SET amount = 2 WHERE customer_id = 'bolt';
DELETE FROM meter.credit_grant WHERE customer_id = 'bolt';
SELECT meter.closed_until('bolt') IS NULL AS closed, (SELECT count(*) FROM meter.credit_grant WHERE created_by = session_user) > 0 AS granted;
SELECT meter.refund_event('bolt', 'no such event');
SELECT * FROM meter.setting;
RESET ROLE;
DROP OWNED BY meter_regress_granter;
DROP ROLE meter_regress_granter;

-- Recurrence is counted from the anchor, and never from the period before.
CREATE VIEW pg_temp.lot AS
SELECT lot_id, kind, amount, pool, priority, first_date, end_date, rollover_max, rollover_end_date AS rollover_end, effective_at, expires_at, rollover_until
FROM meter.credit_lot;
TRUNCATE meter.credit_grant, meter.credit_allotment;
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, anchor, valid) VALUES ('bolt', 'base', 500, '2025-12-31', '[2025-12-31,2026-06-15)');
SELECT lot_id, amount, first_date, end_date, effective_at, expires_at FROM pg_temp.lot ORDER BY effective_at;
-- Valid cuts periods: each lot is a full one. Rolled over is at most a number, or a percentage, for so many periods; not what is cut short.
TRUNCATE meter.credit_allotment;
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, anchor, every, valid, rollover_max, rollover_percent, rollover_periods, pool, priority) VALUES
	('acme', 'a month', 100, '2026-01-31', '1 month', '[2026-02-10,2026-05-10)', 30, NULL, 2, NULL, 100),
	('acme', 'a week', 100.000000000001, '2026-08-31', '7 days', '[2026-09-07,2026-09-21)', NULL, 33.333, 1, 'images', 5);
SELECT * FROM pg_temp.lot ORDER BY effective_at, lot_id;
-- Of any time to come, until a date.
SELECT lot.* FROM meter.credit_allotment AS allotment, meter.allotment_lots(allotment, '2026-03-30') AS lot WHERE pool IS NULL ORDER BY first_date;
SELECT lot.* FROM meter.credit_allotment AS allotment, meter.allotment_lots(allotment, '2026-03-31') AS lot WHERE pool IS NULL ORDER BY first_date;
SELECT count(*) FROM meter.credit_allotment AS allotment, meter.allotment_lots(allotment, '2026-01-01') AS lot;
SELECT max(first_date) FROM meter.allotment_lots(ROW('acme', 'base', 'credit', 1, NULL, 1, '2026-01-31', '1 month', '[2026-01-31,)', NULL, NULL, 1, NULL, now(), 'me', NULL, NULL, NULL, NULL)::meter.credit_allotment, '2100-03-01');
-- A lot begins with the customer's date: Kiritimati is 14 hours ahead.
BEGIN;
UPDATE meter.customer_zone SET timezone = CASE WHEN extract(hour FROM timezone('UTC', now())) < 12 THEN 'Etc/GMT+12' ELSE 'Pacific/Kiritimati' END;
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, anchor, every, valid, created_at)
SELECT 'acme', 'a day', 1, today - 2, '1 day', daterange(today - 2, NULL), '2026-01-01 00:00+00'
FROM (SELECT timezone('UTC', now())::date AS today) AS utc;
SELECT max(first_date) = meter.customer_date('acme') AS until_today, max(first_date) <> timezone('UTC', now())::date AS not_of_utc, max(effective_at) <= now() AS begun FROM pg_temp.lot WHERE lot_id LIKE 'a day%';
ROLLBACK;
-- A customer that moves: each date begins where its zone has it.
TRUNCATE meter.customer_zone;
INSERT INTO meter.customer_zone VALUES ('acme', '-infinity', 'Asia/Tokyo'), ('acme', '2026-03-01', 'America/New_York'), ('acme', '2026-04-30', 'Pacific/Apia');
SELECT lot_id, effective_at, expires_at, rollover_until FROM pg_temp.lot WHERE pool IS NULL ORDER BY effective_at;
SELECT day, meter.customer_date_start('acme', day) AS starts, meter.customer_date('acme', meter.customer_date_start('acme', day)) AS date, meter.customer_date('acme', meter.customer_date_start('acme', day) - interval '1 microsecond') AS before
FROM unnest('{2026-02-28,2026-03-01,2026-04-28,2026-04-29,2026-04-30,2026-05-01}'::date[]) AS day;

-- Voids in lots: before it begins, while it is valid, and while it is rolled over.
TRUNCATE meter.credit_allotment, meter.customer_zone;
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid, rollover_max, rollover_until, created_at, voided_on, voided_at, voided_by, void_reason)
SELECT 'bolt', 'void ' || coalesce(to_char(voided_on, 'MM-DD'), 'none'), 'promotion', 10, '[2026-03-01,2026-04-01)', 5, '2026-05-01', '2026-02-01 00:00+00', voided_on, '2026-02-01 00:00+00', 'me', 'test'
FROM unnest('{2026-02-20,2026-03-01,2026-03-10,2026-04-01,2026-04-10}'::date[]) AS voided_on;
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid, created_at, voided_on, voided_at, voided_by, void_reason)
VALUES ('bolt', 'without an end', 'promotion', 10, '[2026-03-01,)', '2026-02-01 00:00+00', '2026-03-10', '2026-02-01 00:00+00', 'me', 'test');
SELECT lot_id, first_date, end_date, rollover_max, rollover_end, expires_at, rollover_until FROM pg_temp.lot ORDER BY lot_id;

-- An allotment ends on the next date at the earliest, once; a changed one is a further row.
TRUNCATE meter.credit_grant;
SELECT meter.customer_date('bolt') AS today \gset
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, valid) VALUES ('bolt', 'base', 100, daterange(date :'today' - 40, date :'today' + 400));
SELECT anchor = lower(valid) AS from_its_first_date, every, rollover_periods FROM meter.credit_allotment;
UPDATE meter.credit_allotment SET amount = 200;
UPDATE meter.credit_allotment SET ended_by = 'me';
DELETE FROM meter.credit_allotment;
DO $$
BEGIN
	PERFORM meter.end_allotment('bolt', 'base', 'too early', meter.customer_date('bolt'));
EXCEPTION WHEN invalid_parameter_value THEN
	RAISE NOTICE '%', regexp_replace(SQLERRM, '[0-9]{4}-[0-9]{2}-[0-9]{2}', 'DATE', 'g');
END
$$;
SELECT meter.end_allotment('bolt', 'base', 'upgraded', date :'today' + 5) - date :'today' AS days;
SELECT meter.end_allotment('bolt', 'base', 'upgraded') - date :'today' AS days;
SELECT meter.end_allotment('bolt', 'base', 'upgraded', date :'today' + 6);
SELECT meter.end_allotment('bolt', 'unknown', 'why');
SELECT max(end_date) - date :'today' AS days FROM meter.credit_lot;
SELECT max(end_date) - date :'today' AS days FROM meter.credit_allotment AS allotment, meter.allotment_lots(allotment, date :'today' + 300);
-- What no allotment can be.
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, every) VALUES ('bolt', 'bad', 1, '1 hour');
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, every) VALUES ('bolt', 'bad', 1, '-1 month');
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, every) VALUES ('bolt', 'bad', 1, '1 month 3 days');
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, rollover_max, rollover_percent) VALUES ('bolt', 'bad', 1, 1, 1);
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, rollover_percent) VALUES ('bolt', 'bad', 1, 101);
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount) VALUES ('bolt', 'bad', -1);
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, valid) VALUES ('bolt', 'bad', 1, 'empty');
-- What no wallet could have: a period whose rollover ends beyond time, and the name of a plan's lots.
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, every, rollover_percent, rollover_periods) VALUES ('bolt', 'bad', 1, '300 years', 10, 1000);
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount) VALUES ('bolt', 'base#2', 1);
INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount) VALUES ('bolt', 'base#2+2026-01-31', 1);

-- A refund grants what the event took, in the type and pool of its action, once.
TRUNCATE meter.credit_allotment;
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'draw', 'actions', 4), ('credit', 'draw', 'images', 0.5);
INSERT INTO meter.action (action, credit_type, pool) VALUES ('draw', 'image', 'drawing');
SELECT meter.record('bolt', 'e' || n, '2026-03-10 12:00+00', NULL, '{"actions": 1, "images": 3}', action, outcome => outcome)
FROM (VALUES (1, 'draw', NULL), (2, 'draw', 'failure'), (3, 'unpriced', NULL), (4, NULL, NULL), (5, 'draw', NULL), (6, 'draw', NULL)) AS event (n, action, outcome);
SELECT meter.refund_event('bolt', 'e1', 'a bad picture');
SELECT meter.refund_event('bolt', 'e1', 'again');
SELECT meter.refund_event('bolt', 'e2');
SELECT meter.refund_event('bolt', 'e3');
SELECT meter.refund_event('bolt', 'e4');
SELECT meter.refund_event('bolt', 'unknown');
-- However it was corrected meanwhile.
SELECT meter.amend_event('bolt', 'e1', '{"usage": {"images": 10}}', 'test') <> 'e1' AS amended;
SELECT meter.refund_event('bolt', 'e1');
SELECT meter.amend_event('bolt', 'e5', '{"usage": {"images": 10}}', 'test') AS fifth \gset
SELECT meter.refund_event('bolt', :'fifth', valid => daterange(:'today', date :'today' + 30), priority => 1);
SELECT meter.refund_event('bolt', 'e5');
SELECT meter.void_event('bolt', 'e6', 'test');
SELECT meter.refund_event('bolt', 'e6');
SELECT operation, customer_id, reason, detail FROM meter.audit_log WHERE operation = 'refund' ORDER BY audit_id;
TABLE pg_temp.granted ORDER BY 1, 2;

-- Rules for topping up.
INSERT INTO meter.top_up_rule (threshold, amount) VALUES (10, 100);
INSERT INTO meter.top_up_rule (threshold, amount) VALUES (20, 100);
INSERT INTO meter.top_up_rule (customer_id, threshold, amount, target) VALUES ('acme', 10, 100, 100);
INSERT INTO meter.top_up_rule (customer_id, threshold) VALUES ('acme', 10);
INSERT INTO meter.top_up_rule (customer_id, threshold, target) VALUES ('acme', 10, 9);
INSERT INTO meter.top_up_rule (customer_id, amount) VALUES ('acme', 10);
INSERT INTO meter.top_up_rule (customer_id) VALUES ('acme');
