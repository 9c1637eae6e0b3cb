-- A role for upkeep: it refreshes and purges, and does nothing else.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

CREATE ROLE regress_meter_upkeep;
INSERT INTO meter.rate (item, unit, price) VALUES ('gpt', 'input_tokens', 2);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('a', '1', '2023-01-05 12:00Z', 'gpt', '{"input_tokens": 1}'), ('a', '2', '2023-02-05 12:00Z', 'gpt', '{"input_tokens": 10}');
CREATE TABLE request (tenant text, made_at timestamptz, tokens integer);
INSERT INTO request VALUES ('b', '2023-01-05 12:00Z', 100), ('b', '2023-01-06 12:00Z', 1000);
SELECT meter.attach('request', customer => 'tenant', at => 'made_at', item => '''gpt''', quantities => '{"input_tokens": "tokens"}');

SET ROLE regress_meter_upkeep;
CALL meter.refresh();
SELECT meter.refresh_now();
CALL meter.refresh_attached();
CALL meter.purge_events('2023-02-01');
RESET ROLE;
SELECT meter.allow_upkeep('regress_meter_upkeep');

SET ROLE regress_meter_upkeep;
CALL meter.refresh();
CALL meter.refresh_attached('request', since => '-infinity');
SELECT meter.refresh_now() >= 0 AS refreshed;
SELECT job, state FROM meter.job_progress ORDER BY job, state;
RESET ROLE;
SELECT customer_id, sum(events) AS events, sum(cost) AS cost FROM meter.usage_by_day GROUP BY customer_id ORDER BY customer_id;
SELECT attachment, sum(events) AS events, sum(cost) AS cost FROM meter.attached_daily GROUP BY attachment;
-- A horizon moves only over what is rolled up, and open transactions of others hold that back.
SET ROLE regress_meter_upkeep;
DO $$ BEGIN FOR attempt IN 1..600 LOOP CALL meter.refresh(); BEGIN PERFORM meter.move_horizon('2023-02-01'); EXIT; EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END; PERFORM pg_sleep(0.05); END LOOP; END $$;
CALL meter.purge_events('2023-02-01');
RESET ROLE;
SELECT customer_id, event_id FROM meter.usage_event;
SELECT customer_id, sum(events) AS events, sum(cost) AS cost FROM meter.usage_by_day GROUP BY customer_id ORDER BY customer_id;
SELECT count(*) FROM meter.audit();

-- It reads and changes nothing but by these.
SET ROLE regress_meter_upkeep;
SELECT count(*) FROM meter.usage_event;
DELETE FROM meter.usage_event;
SELECT count(*) FROM meter.usage_by_day;
SELECT count(*) FROM meter.attached_row;
SELECT count(*) FROM request;
INSERT INTO meter.usage_day (customer_id, usage_date) VALUES ('a', '2023-03-01');
UPDATE meter.usage_watermark SET consumed = 0;
UPDATE meter.attachment SET rolled_up_until = NULL;
DELETE FROM meter.job;
SELECT meter.void_event('a', '2', 'none');
SELECT meter.erase_customer('a');
SELECT meter.detach('request');
CALL meter.close_periods();
SELECT meter.allow_upkeep('regress_meter_upkeep');
RESET ROLE;
-- Whoever calls what runs with the owner's rights, its names are the catalogue's. No row.
SELECT proname FROM pg_proc WHERE pronamespace = 'meter'::regnamespace AND prosecdef AND NOT coalesce(array_to_string(proconfig, ','), '') LIKE '%search_path=pg_catalog, pg_temp%' ORDER BY proname;

SELECT meter.detach('request');
DROP TABLE request;
DROP OWNED BY regress_meter_upkeep;
DROP ROLE regress_meter_upkeep;

-- What is refused says what to type instead.
\set VERBOSITY default
\set SHOW_CONTEXT never
CALL meter.refresh(0);
CALL meter.refresh_attached(batch_days => 0);
CALL meter.refresh_attached(since => '2023-01-01');
CALL meter.purge_events('2023-01-01', 0);
CALL meter.close_periods(batch_customers => 0);
SELECT meter.publish_plan('none');
SELECT meter.cancel_subscription(999);
SELECT meter.finalize_invoice(999);
INSERT INTO meter.plan (plan, currency) VALUES ('p', 'USD');
SELECT meter.subscribe('a', 'p', since => '2023-01-01', until => '2023-01-01');
SELECT meter.subscribe('a', 'p', since => '2023-01-01', until => '2023-02-01') AS id \gset
SELECT meter.change_plan(:id, 'p', effective => '2023-03-01');
SELECT meter.change_plan(:id, 'p', effective => '2023-02-01');
INSERT INTO meter.billing_account (customer_id, billed_until, closed_until) VALUES ('a', '2023-02-01', '2023-02-01');
SELECT meter.change_plan(:id, 'p', effective => '2023-01-10');
-- Procedures that commit, in a transaction that is not theirs to end.
BEGIN;
CALL meter.refresh();
ROLLBACK;
BEGIN;
CALL meter.refresh_attached();
ROLLBACK;
BEGIN;
CALL meter.purge_events('2023-01-01');
ROLLBACK;
BEGIN;
CALL meter.close_periods();
ROLLBACK;
-- A block of code is none.
DO $$ BEGIN CALL meter.refresh(); COMMIT; CALL meter.refresh_attached(); END $$;
