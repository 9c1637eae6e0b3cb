-- Out: lines and events in the shapes of others, and the outbox that ships them.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

INSERT INTO meter.metric (metric, aggregation, unit, description) VALUES ('tokens', 'sum', 'input_tokens', 'Tokens'), ('calls', 'count', NULL, NULL), ('peak', 'max', 'input_tokens', NULL);
INSERT INTO meter.plan (plan, currency, anchor) VALUES ('usd', 'USD', '2000-01-01'), ('jpy', 'JPY', '2000-01-01'), ('kwd', 'KWD', '2000-01-01'), ('isk', 'ISK', '2000-01-01'), ('mga', 'MGA', '2000-01-01'), ('ugx', 'UGX', '2000-01-01');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, description)
SELECT plan, 1, 'fee', 'fee', 100.5, 'Platform' FROM meter.plan WHERE plan <> 'usd';
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, description) VALUES ('usd', 1, 'fee', 'fee', 12.34, 'Platform');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff) VALUES ('usd', 2, 'tokens', 'usage', 'tokens', 'at 0.01');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, dimension) VALUES ('usd', 3, 'by_item', 'usage', 'calls', 'at 0', 'item');
INSERT INTO meter.plan_item_tariff (plan, plan_item, value, tariff) VALUES ('usd', 'by_item', 'gpt', 'at 0.5');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, percent) VALUES ('usd', 4, 'off', 'discount', 10);
INSERT INTO meter.customer_zone (customer_id, timezone) VALUES ('ann', 'America/New_York');
INSERT INTO meter.money_credit (customer_id, currency, amount) VALUES ('ann', 'USD', 5);
SELECT meter.subscribe('ann', 'usd', since => '2023-01-01', until => '2023-02-01') AS ann \gset
SELECT count(meter.subscribe(plan, plan, since => '2023-01-01', until => '2023-02-01')) FROM meter.plan WHERE plan <> 'usd';
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES
	('ann', 'e1', '2023-01-05 00:00+00', 'gpt', '{"input_tokens": 1700}'),
	('ann', 'e2', '2023-01-31 23:59:59.9+00', 'mini', '{"input_tokens": 1}'),
	('ann', 'e3', '2023-01-10 00:00+00', 'gpt', '{"output_tokens": 7}');
CALL meter.close_periods(as_of => '2023-02-03 00:00+00');

-- A destination has to be there, and has a shape.
SELECT meter.enqueue_invoices('stripe');
SELECT * FROM meter.claim_outbox(NULL);
INSERT INTO meter.destination (destination, shape) VALUES ('x', 'x');
INSERT INTO meter.destination (destination, shape) VALUES ('Stripe', 'stripe');
INSERT INTO meter.destination (destination, shape) VALUES ('stripe', 'stripe'), ('lago', 'lago');
INSERT INTO meter.external_customer
SELECT 'stripe', customer_id, 'cus_' || customer_id FROM meter.invoice WHERE customer_id <> 'jpy';

-- Invoice items: minor units of each currency as Stripe takes them, discounts and credits below zero.
SELECT customer_id, line_number, idempotency_key, payload ->> 'customer' AS customer, payload -> 'amount' AS amount, payload ->> 'currency' AS currency, payload ->> 'description' AS description, problem
FROM meter.stripe_invoice_item
ORDER BY customer_id, line_number;
SELECT jsonb_pretty(payload) FROM meter.stripe_invoice_item WHERE customer_id = 'ann' AND line_number = 2;
SELECT to_timestamp((payload #>> '{period,start}')::bigint) AS starts, to_timestamp((payload #>> '{period,end}')::bigint) AS ends FROM meter.stripe_invoice_item WHERE customer_id = 'ann' AND line_number = 2;
-- What Stripe collects is what is left to pay.
SELECT invoice.total - invoice.paid_by_credit AS to_pay, sum((payload ->> 'amount')::numeric) AS cents
FROM meter.stripe_invoice_item JOIN meter.invoice USING (invoice_id) WHERE invoice.customer_id = 'ann' GROUP BY invoice.total, invoice.paid_by_credit;
SELECT meter.minor_units(12.34, 2), meter.minor_units(-0.005, 3), meter.minor_units(7, 0);

-- Each line once; one that has a problem waits.
SELECT meter.enqueue_invoices('stripe');
SELECT meter.enqueue_invoices('stripe');
SELECT customer_id, idempotency_key, problem FROM meter.outbox_problem ORDER BY customer_id;
-- One without an id on purpose is not missed.
INSERT INTO meter.external_customer VALUES ('stripe', 'jpy', NULL), ('lago', 'ugx', NULL);
SELECT meter.enqueue_invoices('stripe'), (SELECT count(*) FROM meter.lago_fee WHERE customer_id = 'ugx') AS of_ugx;
SELECT customer_id FROM meter.outbox_problem ORDER BY customer_id;
UPDATE meter.external_customer SET external_id = 'cus_jpy' WHERE customer_id = 'jpy';
DELETE FROM meter.external_customer WHERE customer_id = 'ugx';
SELECT meter.enqueue_invoices('stripe');
SELECT destination, kind, pending, claimed, failed, done, oldest < now() AS old FROM meter.outbox_state;

-- A late event, and a void with its credit note: what was shipped stays, the differences follow.
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('ann', 'e4', '2023-01-20 00:00+00', 'gpt', '{"input_tokens": 300}');
CALL meter.close_periods(as_of => '2023-02-05 00:00+00');
SELECT meter.enqueue_invoices('stripe');
SELECT meter.void_invoice(min(invoice_id), 'wrong') > 0 AS voided FROM meter.invoice WHERE customer_id = 'ann';
CALL meter.close_periods(as_of => '2023-02-06 00:00+00');
SELECT meter.enqueue_invoices('stripe');
SELECT idempotency_key, payload -> 'amount' AS amount, payload ->> 'description' AS description FROM meter.outbox WHERE customer_id = 'ann' ORDER BY outbox_id;
SELECT sum((payload ->> 'amount')::numeric) AS cents, (SELECT sum(total - paid_by_credit) FROM meter.invoice WHERE customer_id = 'ann' AND state = 'final' AND kind = 'invoice') AS to_pay FROM meter.outbox WHERE customer_id = 'ann';
-- A draft is not shipped, and what is dated before the destination began neither.
BEGIN;
INSERT INTO meter.invoice (customer_id, currency, invoice_date, total) VALUES ('ann', 'USD', '2023-03-01', 0);
SELECT meter.enqueue_invoices('stripe');
INSERT INTO meter.destination (destination, shape, since) VALUES ('later', 'lago', '2023-02-02');
SELECT meter.enqueue_invoices('later');
SELECT customer_id, invoice_date FROM meter.lago_fee WHERE destination = 'later' GROUP BY 1, 2 ORDER BY 1, 2;
ROLLBACK;

-- Claims: the order of the outbox, never more than asked for, never twice.
SELECT outbox_id, claim_token, kind, idempotency_key, customer_id, attempts, first_claimed_at IS NOT NULL AS since FROM meter.claim_outbox('stripe', 0);
SELECT * FROM meter.claim_outbox('stripe', 1, '0');
SELECT * FROM meter.claim_outbox('stripe', 1, NULL);
CREATE TEMP TABLE one AS SELECT * FROM meter.claim_outbox('stripe', 3, worker => 'one');
CREATE TEMP TABLE two AS SELECT * FROM meter.claim_outbox('stripe', 2, worker => 'two');
SELECT count(*), count(DISTINCT outbox_id), count(DISTINCT claim_token), min(attempts), max(attempts) FROM (TABLE one UNION ALL TABLE two) AS claimed;
SELECT claimed_by, count(*), min(next_at) > now() + interval '4 minutes' AS leased FROM meter.outbox WHERE state = 'claimed' GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM (TABLE one UNION ALL TABLE two) AS claimed JOIN meter.outbox USING (outbox_id, payload, idempotency_key, claim_token);

-- Acknowledge by one's own token only, and once.
SELECT count(*) FROM one, meter.acknowledge_outbox(ARRAY[outbox_id], (SELECT claim_token FROM two LIMIT 1));
SELECT count(*) FROM meter.acknowledge_outbox((SELECT array_agg(outbox_id) FROM one), (SELECT max(claim_token::text)::uuid FROM one));
SELECT count(*) FROM meter.acknowledge_outbox((SELECT array_agg(outbox_id) FROM one), (SELECT max(claim_token::text)::uuid FROM one));
SELECT count(*) FROM meter.acknowledge_outbox((SELECT array_agg(outbox_id) FROM one), NULL);
SELECT state, done_at IS NOT NULL AS done, count(*) FROM meter.outbox GROUP BY 1, 2 ORDER BY 1;

-- A lease that runs out: the row is due again, and the late worker's word counts no more.
CREATE TEMP TABLE late AS SELECT * FROM meter.claim_outbox('stripe', 1, '1 microsecond', 'late');
CREATE TEMP TABLE next AS SELECT * FROM meter.claim_outbox('stripe', 100, worker => 'next') WHERE outbox_id = (SELECT outbox_id FROM late);
SELECT next.attempts, next.claim_token <> late.claim_token AS another, next.first_claimed_at = late.first_claimed_at AS since, next.idempotency_key = late.idempotency_key AS key FROM late JOIN next USING (outbox_id);
SELECT count(*) FROM late, meter.acknowledge_outbox(ARRAY[outbox_id], claim_token);
SELECT meter.retry_outbox(outbox_id, claim_token, 'too late') FROM late;
SELECT count(*) FROM next, meter.acknowledge_outbox(ARRAY[outbox_id], claim_token);
SELECT state, attempts, claimed_by, last_error FROM meter.outbox WHERE outbox_id = (SELECT outbox_id FROM late);
-- Nobody else took it: who is late and shipped it may say so.
SELECT count(*) AS of_two FROM meter.outbox WHERE claim_token = (SELECT max(claim_token::text)::uuid FROM two);
UPDATE meter.outbox SET next_at = now() - interval '1 hour' WHERE outbox_id IN (SELECT outbox_id FROM two);
SELECT count(*) FROM meter.acknowledge_outbox((SELECT array_agg(outbox_id) FROM two), (SELECT max(claim_token::text)::uuid FROM two));

-- Retries: 30 seconds, doubled, at most 6 hours, and after max_attempts it has failed.
INSERT INTO meter.destination (destination, shape, max_attempts) VALUES ('hook', 'lago', 12), ('twice', 'lago', 2);
INSERT INTO meter.outbox (destination, kind, idempotency_key, payload) VALUES ('hook', 'note', 'k1', '{}'), ('hook', 'note', 'k2', '{}'), ('twice', 'note', 'k1', '{}');
INSERT INTO meter.outbox (destination, kind, idempotency_key, payload) VALUES ('hook', 'note', 'k1', '{"other": true}');
CREATE FUNCTION pg_temp.fail(of_destination text, key text) RETURNS TABLE (attempt integer, state text, delay interval)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	claimed record;
	before CONSTANT timestamptz := clock_timestamp();
BEGIN
	UPDATE meter.outbox AS waiting SET next_at = now() WHERE waiting.destination = of_destination AND idempotency_key = key AND waiting.state = 'pending';
	SELECT * INTO claimed FROM meter.claim_outbox(of_destination, 1);
	attempt := claimed.attempts;
	state := meter.retry_outbox(claimed.outbox_id, claimed.claim_token, 'status 503');
	/* However slow the machine is, up to half a minute. */
	delay := floor(extract(epoch FROM (SELECT next_at FROM meter.outbox WHERE outbox_id = claimed.outbox_id) - before) / 30) * interval '30 seconds';
	RETURN NEXT;
END
$$;
SELECT count(*) FROM meter.claim_outbox('hook', 1) AS claimed, LATERAL meter.retry_outbox(outbox_id, claim_token, 'status 400', permanent => true) AS state WHERE state = 'failed';
SELECT fail.* FROM generate_series(1, 13) AS n, pg_temp.fail('hook', 'k2' || left('', n));
SELECT state, attempts, last_error FROM meter.outbox WHERE idempotency_key = 'k2';
SELECT destination, problem FROM meter.outbox_problem WHERE destination = 'hook' ORDER BY outbox_id;
-- The dead are brought back by hand, and no others.
SELECT meter.requeue_outbox(array_agg(outbox_id)) IS NOT NULL AS requeued FROM meter.outbox WHERE idempotency_key = 'k2' OR destination = 'stripe';
SELECT state, attempts, last_error, first_claimed_at FROM meter.outbox WHERE idempotency_key = 'k2';
-- A delay of one's own.
SELECT meter.retry_outbox(outbox_id, claim_token, 'status 429', '1 hour') FROM meter.claim_outbox('hook', 1);
SELECT next_at - clock_timestamp() BETWEEN interval '59 minutes' AND interval '1 hour' AS later FROM meter.outbox WHERE idempotency_key = 'k2';
SELECT count(*) FROM meter.claim_outbox('hook');
-- A row that takes its worker with it fails as well; its last worker may yet say that it was shipped.
SELECT count(*) FROM meter.claim_outbox('twice', 1, '1 microsecond');
CREATE TEMP TABLE last AS SELECT * FROM meter.claim_outbox('twice', 1, '1 microsecond');
SELECT count(*) FROM meter.claim_outbox('twice');
SELECT state, attempts, last_error FROM meter.outbox WHERE destination = 'twice';
SELECT count(*) FROM last, meter.acknowledge_outbox(ARRAY[outbox_id], claim_token);
SELECT state, last_error FROM meter.outbox WHERE destination = 'twice';

-- A row that may have arrived is not shipped again once its key may be forgotten; one that was never claimed is.
UPDATE meter.destination SET keys_kept = '0' WHERE destination = 'twice';
INSERT INTO meter.outbox (destination, kind, idempotency_key, payload) SELECT 'twice', 'note', 'old ' || n, '{}' FROM generate_series(1, 3) AS n;
SELECT count(*) FROM meter.claim_outbox('twice', 2, '1 microsecond');
UPDATE meter.outbox SET first_claimed_at = first_claimed_at - interval '23 hours', last_error = CASE idempotency_key WHEN 'old 2' THEN 'status 500' END WHERE idempotency_key IN ('old 1', 'old 2');
SELECT idempotency_key FROM meter.claim_outbox('twice');
SELECT idempotency_key, state, attempts, last_error FROM meter.outbox WHERE idempotency_key LIKE 'old%' ORDER BY outbox_id;
UPDATE meter.destination SET keys_kept = NULL WHERE destination = 'twice';
UPDATE meter.outbox SET state = 'claimed' WHERE idempotency_key = 'old 1';
SELECT idempotency_key, attempts FROM meter.claim_outbox('twice');
SELECT count(*) FROM meter.requeue_outbox(ARRAY(SELECT outbox_id FROM meter.outbox WHERE idempotency_key = 'old 2'));
UPDATE meter.destination SET keys_kept = '23 hours' WHERE destination = 'twice';
SELECT idempotency_key, attempts FROM meter.claim_outbox('twice');

-- Meter events: sums and counts, what was taken back below zero, under keys that fit.
SELECT meter.void_event('ann', 'e3', 'test') IS NOT NULL AS voided;
SELECT metric, event_id, payload ->> 'event_name' AS event_name, payload -> 'payload' AS payload, to_timestamp((payload ->> 'timestamp')::bigint) AS at, length(payload ->> 'identifier') <= 100 AS fits, payload ->> 'identifier' = idempotency_key AS key
FROM meter.stripe_meter_event
WHERE customer_id = 'ann'
ORDER BY metric, occurred_at, event_id COLLATE "C";
SELECT metric, sum(value) FROM meter.metric_event WHERE customer_id = 'ann' GROUP BY metric ORDER BY metric;
SELECT meter.enqueue_events('stripe', '{tokens}', '2023-01-01', '2023-01-10'), meter.enqueue_events('stripe', '{tokens}', '2023-01-01'), meter.enqueue_events('stripe', '{tokens}', '2023-01-01');
SELECT meter.enqueue_events('lago', '{tokens,calls}', '2023-01-01'), meter.enqueue_events('lago', '{tokens,calls}', '2023-01-01');
SELECT jsonb_pretty(payload #- '{event,transaction_id}'  #- '{event,external_subscription_id}'), (payload #>> '{event,external_subscription_id}')::bigint = :ann AS subscription, payload #>> '{event,transaction_id}' = idempotency_key AS key
FROM meter.lago_event WHERE event_id = 'e2' AND metric = 'tokens' AND destination = 'lago';

-- Lago's fees, by the customer's own id unless it has another there.
SELECT meter.enqueue_invoices('lago');
SELECT jsonb_pretty(payload #- '{fee,external_subscription_id}') FROM meter.outbox WHERE kind = 'lago_fee' AND customer_id = 'ann' ORDER BY outbox_id LIMIT 1;
SELECT payload #>> '{fee,item,type}' AS type, payload #>> '{fee,item,code}' AS code, payload #> '{fee,amount_cents}' AS cents FROM meter.lago_fee WHERE customer_id IN ('ann', 'jpy', 'kwd') AND destination = 'lago' ORDER BY customer_id, invoice_id, line_number LIMIT 7;

-- FOCUS: the rows of the report, with a key each that stays when late usage changes the row.
INSERT INTO meter.rate (item, unit, price, per) VALUES ('gpt', 'input_tokens', 2, 1000);
SELECT count(*) = count(DISTINCT idempotency_key) AS unique_keys, count(*) > 0 AS some FROM meter.focus_charge;
CREATE TEMP TABLE charge AS SELECT * FROM meter.focus_charge WHERE customer_id = 'ann';
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('ann', 'e5', '2023-01-05 01:00+00', 'gpt', '{"input_tokens": 300}');
SELECT charge.payload ->> 'BilledCost' AS former, later.payload ->> 'BilledCost' AS later FROM charge JOIN meter.focus_charge AS later USING (idempotency_key) WHERE charge.payload -> 'BilledCost' <> later.payload -> 'BilledCost';
SELECT later.payload ->> 'SkuId' AS sku, later.payload ->> 'SubAccountId' AS account FROM meter.focus_charge AS later WHERE idempotency_key IN (SELECT idempotency_key FROM charge WHERE payload ->> 'BilledCost' = '3.4');

-- A customer that is erased: nothing of it is left to ship, and nothing is shipped again.
SELECT count(*) FROM meter.outbox WHERE customer_id = 'ann' AND state <> 'done' AND destination = 'lago';
SELECT meter.erase_customer('ann', 'request 1');
SELECT count(*) FROM meter.outbox WHERE outbox::text LIKE '%ann%' OR payload IS NOT NULL AND customer_id LIKE 'erased-%';
SELECT destination, customer_id LIKE 'erased-%' AS erased, external_id FROM meter.external_customer WHERE external_id IS NULL;
SELECT meter.enqueue_invoices('stripe'), meter.enqueue_invoices('lago'), meter.enqueue_events('stripe', '{tokens,calls}', '2023-01-01'), meter.enqueue_events('lago', '{tokens,calls}', '2023-01-01');
SELECT problem, count(*) FROM meter.outbox_problem WHERE problem LIKE 'its payload%' GROUP BY problem;
UPDATE meter.outbox SET next_at = now() WHERE state IN ('pending', 'claimed');
SELECT count(*) FROM meter.claim_outbox('lago', 1000) WHERE payload IS NULL;

-- Shipping is granted, and shows invoices and events to nobody.
CREATE ROLE meter_regress_shipper;
SET ROLE meter_regress_shipper;
SELECT * FROM meter.claim_outbox('stripe');
RESET ROLE;
SELECT meter.allow_shipping('meter_regress_shipper');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage) VALUES ('kwd', 'k', '2023-01-05 01:00+00', 'gpt', '{"input_tokens": 300}');
SET ROLE meter_regress_shipper;
SELECT meter.enqueue_invoices('lago'), meter.enqueue_events('stripe', '{tokens}', '2023-01-01');
SELECT state, count(*) FROM meter.claim_outbox('stripe', 1) AS claimed, meter.retry_outbox(outbox_id, claim_token, 'x') AS state GROUP BY state;
SELECT count(*) FROM meter.claim_outbox('stripe', 1) AS claimed, meter.acknowledge_outbox(ARRAY[outbox_id], claim_token);
SELECT count(*) FROM meter.requeue_outbox(ARRAY[0]::bigint[]);
SELECT count(*) > 0 AS some FROM meter.outbox_problem;
SELECT count(*) FROM meter.invoice_line;
SELECT count(*) FROM meter.usage_event;
DELETE FROM meter.outbox;
RESET ROLE;
DROP OWNED BY meter_regress_shipper;
DROP ROLE meter_regress_shipper;

-- What cannot be, by anybody.
UPDATE meter.outbox SET state = 'claimed', claim_token = NULL, done_at = NULL;
UPDATE meter.outbox SET state = 'done', done_at = NULL;
UPDATE meter.outbox SET state = 'pending', done_at = NULL, claim_token = gen_random_uuid();
