-- Invoices of random plans and customers. Each customer lives in three worlds, which differ only in when
-- its events arrive, what is rolled up by then and how often its periods are closed. In the end every
-- world has been invoiced the same, to the line key, and that is what plain SQL makes of the events.

CREATE TABLE bill_size AS SELECT least(greatest((SELECT cases FROM parameter) / 1000, 10), 40) AS customers, 14 AS plans, 14 AS steps, date '2024-08-19' AS until;
CREATE TABLE bill_world (world integer PRIMARY KEY);
INSERT INTO bill_world VALUES (0), (1), (2);
INSERT INTO meter.metric (metric, aggregation, unit, key, tags, digits, rounding) VALUES
    ('b_tokens', 'sum', 'input_tokens', NULL, NULL, NULL, NULL), ('b_count', 'count', NULL, NULL, NULL, NULL, NULL),
    ('b_max', 'max', 'gb', NULL, NULL, NULL, NULL), ('b_users', 'unique', NULL, 'user_id', NULL, NULL, NULL),
    ('b_tagged', 'sum', 'input_tokens', NULL, '{"b": "x"}', NULL, NULL), ('b_rounded', 'sum', 'audio_seconds', NULL, NULL, -1, 'ceil');
INSERT INTO meter.action (action, credit_type) VALUES ('b_chat', 'b_credit');
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'b_chat', 'actions', 2);

-- Tariffs as numbers, so that what charges them here reads no tariff.
CREATE TYPE bill_tariff AS (mode text, b1 numeric, b2 numeric, p0 numeric, p1 numeric, p2 numeric, plus numeric, least_amount numeric, most_amount numeric);
CREATE FUNCTION bill_tariff(i bigint, limited boolean) RETURNS bill_tariff
LANGUAGE sql IMMUTABLE
RETURN ROW(
    (ARRAY['flat', 'graduated', 'volume'])[1 + pick(i, 1000, 3)],
    1 + pick(i, 1001, 40), 42 + pick(i, 1002, 3000),
    pick(i, 1003, 4) * 0.0137, round(pick(i, 1004, 100000) * 0.0001, 4), round(pick(i, 1005, 100000) * 0.00001, 5),
    CASE WHEN pick(i, 1006, 2) = 0 THEN pick(i, 1007, 500) * 0.01 END,
    CASE WHEN limited AND pick(i, 1008, 4) = 0 THEN pick(i, 1009, 2000) * 0.01 END,
    CASE WHEN limited AND pick(i, 1010, 4) = 0 THEN 20 + pick(i, 1011, 9000) * 0.01 END)::bill_tariff;
CREATE FUNCTION bill_text(t bill_tariff) RETURNS text
LANGUAGE sql IMMUTABLE STRICT
RETURN CASE t.mode
        WHEN 'flat' THEN 'at ' || t.p1
        ELSE format('%s: up to %s at %s; up to %s at %s%s; above at %s', t.mode, t.b1, t.p0, t.b2, t.p1, ' plus ' || t.plus, t.p2)
    END || coalesce('; maximum ' || t.most_amount, '') || coalesce('; minimum ' || t.least_amount, '');
CREATE FUNCTION bill_prorate(amount numeric, part daterange, whole daterange) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN settle(amount * (upper(part) - lower(whole)), upper(whole) - lower(whole)) - settle(amount * (lower(part) - lower(whole)), upper(whole) - lower(whole));
CREATE FUNCTION bill_charge(t bill_tariff, q numeric, part daterange, whole daterange) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN greatest(
    least(
        CASE t.mode
            WHEN 'flat' THEN q * t.p1
            WHEN 'graduated' THEN least(q, t.b1) * t.p0 + greatest(0, least(q, t.b2) - t.b1) * t.p1 + greatest(0, q - t.b2) * t.p2 + CASE WHEN q > t.b1 THEN coalesce(t.plus, 0) ELSE 0 END
            ELSE CASE WHEN q <= t.b1 THEN q * t.p0 WHEN q <= t.b2 THEN q * t.p1 + coalesce(t.plus, 0) ELSE q * t.p2 END
        END,
        bill_prorate(t.most_amount, part, whole)),
    bill_prorate(t.least_amount, part, whole));
CREATE FUNCTION bill_round(amount numeric, currency text) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN sign(amount) * trunc(abs(amount) * power(10::numeric, CASE currency WHEN 'JPY' THEN 0 WHEN 'KWD' THEN 3 ELSE 2 END) + 0.5) / power(10::numeric, CASE currency WHEN 'JPY' THEN 0 WHEN 'KWD' THEN 3 ELSE 2 END);

CREATE TABLE bill_item AS
SELECT
    'bill' || p AS plan, kind || n AS plan_item, kind, n, pick(key, 1020, 9) AS "position",
    CASE WHEN kind = 'usage' THEN (ARRAY['b_tokens', 'b_count', 'b_max', 'b_users', 'b_tagged', 'b_rounded'])[CASE n WHEN 3 THEN 1 + pick(key, 1021, 2) ELSE 1 + pick(key, 1021, 6) END] END AS metric,
    CASE WHEN kind IN ('seat', 'usage', 'credit') THEN bill_tariff(key, kind <> 'seat' AND (kind, n) <> ('usage', 3)) END AS tariff,
    kind = 'usage' AND n = 3 AS by_item,
    CASE kind WHEN 'fee' THEN pick(key, 1022, 100000) * 0.001 WHEN 'commitment' THEN pick(key, 1022, 60000) * 0.01 WHEN 'cap' THEN pick(key, 1022, 60000) * 0.01 WHEN 'discount' THEN CASE WHEN n = 3 THEN pick(key, 1022, 9000) * 0.01 END END AS amount,
    CASE WHEN kind = 'discount' AND n < 3 THEN pick(key, 1023, 1000) * 0.07 END AS percent,
    CASE kind WHEN 'fee' THEN nullif(pick(key, 1024, 3), 0) WHEN 'usage' THEN CASE WHEN n < 3 AND pick(key, 1024, 3) = 0 THEN pick(key, 1025, 30) END WHEN 'seat' THEN nullif(pick(key, 1025, 3), 0) WHEN 'credit' THEN pick(key, 1024, 60) END::numeric AS quantity,
    CASE WHEN kind IN ('fee', 'seat') AND pick(key, 1026, 2) = 0 THEN 'advance' ELSE 'arrears' END AS timing,
    kind NOT IN ('fee', 'seat', 'cap', 'commitment', 'discount') OR pick(key, 1027, 3) > 0 AS prorated,
    CASE WHEN kind = 'discount' AND pick(key, 1028, 2) = 0 THEN 1 + pick(key, 1029, 3) END AS periods
FROM bill_size, generate_series(1, plans) AS p,
    LATERAL (
        SELECT kind, n, p * 100 + number AS key
        FROM unnest('{fee,fee,seat,usage,usage,usage,credit,commitment,discount,discount,discount,cap,cap}'::text[], '{1,2,1,1,2,3,1,1,1,2,3,1,2}'::integer[]) WITH ORDINALITY AS kinds (kind, n, number)
    ) AS kinds
WHERE pick(key, 1019, 5) > CASE WHEN kind IN ('cap', 'commitment', 'discount') THEN 2 ELSE 0 END;
INSERT INTO meter.plan (plan, currency, anchor, trial_days)
SELECT 'bill' || p, (ARRAY['USD', 'JPY', 'KWD'])[1 + pick(p, 1030, 3)], (ARRAY[NULL, '2000-01-01', '2000-01-31', '2024-01-17']::date[])[1 + pick(p, 1031, 4)], (ARRAY[0, 0, 0, 5])[1 + pick(p, 1032, 4)]
FROM bill_size, generate_series(1, plans) AS p;
INSERT INTO meter.plan_item (plan, plan_item, kind, position, metric, tariff, dimension, amount, percent, quantity, timing, prorated, periods, credit_type)
SELECT plan, plan_item, kind, position, metric, bill_text(tariff)::meter.tariff, CASE WHEN by_item THEN 'item' END, amount, percent, quantity, timing, prorated, periods, CASE WHEN kind = 'credit' THEN 'b_credit' END
FROM bill_item;
CREATE TABLE bill_item_tariff AS
SELECT plan, plan_item, 'b/' || v AS value, bill_tariff(v * 1000 + hashtext(plan), false) AS tariff
FROM bill_item, generate_series(1, 2) AS v WHERE by_item;
INSERT INTO meter.plan_item_tariff (plan, plan_item, value, tariff) SELECT plan, plan_item, value, bill_text(tariff)::meter.tariff FROM bill_item_tariff;

CREATE TABLE bill_customer AS
SELECT i, world, 'bill' || i || '-' || world AS customer_id, (ARRAY['UTC', 'America/New_York', 'Asia/Tokyo'])[1 + pick(i, 1040, 3)] AS timezone
FROM bill_size, generate_series(1, customers) AS i, bill_world;
INSERT INTO meter.customer_zone (customer_id, timezone) SELECT customer_id, timezone FROM bill_customer;

-- What happens when. Step s is on 2024-01-10 and 15 days a step later; in world 0 all usage comes in the end.
CREATE FUNCTION bill_day(s integer) RETURNS date LANGUAGE sql IMMUTABLE RETURN date '2024-01-10' + s * 15;
CREATE TABLE bill_event AS
SELECT
    world, i, e, customer_id, 'b' || e AS event_id, at AS occurred_at,
    CASE world WHEN 0 THEN 13 ELSE least(13, greatest(0, (timezone('UTC', at)::date - date '2024-01-10') / 15 + 1) + CASE pick(i * 1000 + e, 1050 + world, 4) WHEN 0 THEN pick(i * 1000 + e, 1052 + world, 9) ELSE 0 END) END AS step,
    pick(i * 1000 + e, 1056 + world, 1000000) AS turn
FROM bill_customer, generate_series(1, 90) AS e, LATERAL (SELECT timestamptz '2023-12-28 00:00+00' + (h(i * 1000 + e, 1055) % 17000000) * interval '1 second' AS at) AS at;

CREATE PROCEDURE bill_change(s integer)
LANGUAGE plpgsql AS $$
DECLARE
    who record;
    held record;
    key bigint;
BEGIN
    FOR who IN SELECT * FROM bill_customer ORDER BY i, world LOOP
        key := who.i * 100 + s;
        IF s = pick(who.i, 1060, 3) THEN
            PERFORM meter.subscribe(who.customer_id, 'bill' || 1 + pick(who.i, 1061, (SELECT plans FROM bill_size)), since => bill_day(s) + pick(who.i, 1062, 10));
        END IF;
        SELECT * INTO held FROM meter.subscription WHERE customer_id = who.customer_id AND NOT isempty(valid) AND lower(valid) <= bill_day(s) AND (upper_inf(valid) OR upper(valid) > bill_day(s) + 5);
        CONTINUE WHEN NOT FOUND;
        CASE pick(key, 1063, 12)
        WHEN 0 THEN
            PERFORM meter.change_plan(held.subscription_id, 'bill' || 1 + pick(key, 1064, (SELECT plans FROM bill_size)), NULL, 'period_end', bill_day(s) + time '12:00' AT TIME ZONE 'UTC');
        WHEN 1 THEN
            PERFORM meter.change_plan(held.subscription_id, 'bill' || 1 + pick(key, 1064, (SELECT plans FROM bill_size)), NULL, (bill_day(s) + pick(key, 1065, 5))::text);
        WHEN 2 THEN
            IF s > 9 THEN
                PERFORM meter.cancel_subscription(held.subscription_id, (bill_day(s) + pick(key, 1065, 5))::text);
            END IF;
        WHEN 3 THEN
            -- for the past, too
            INSERT INTO meter.subscription_override (subscription_id, plan_item, amount) VALUES (held.subscription_id, 'fee1', pick(key, 1066, 9000) * 0.01) ON CONFLICT DO NOTHING;
        WHEN 4, 5, 6, 7 THEN
            INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity, valid)
            VALUES (held.subscription_id, 'seat1', 1 + pick(key, 1067, 4), daterange(bill_day(s) - pick(key, 1068, 60), CASE WHEN pick(key, 1069, 2) = 0 THEN bill_day(s) + 1 + pick(key, 1070, 60) END));
        ELSE
        END CASE;
    END LOOP;
END
$$;

-- What the next closing is to write, then the closing, and whether it did.
CREATE TABLE bill_promise (s integer, customer_id text, subscription_id bigint, period_start date, plan_item text, line_group text, amount numeric);
CREATE TABLE bill_written (LIKE bill_promise);
CREATE FUNCTION bill_close(s integer, names text[], at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    last bigint := (SELECT coalesce(max(invoice_id), 0) FROM meter.invoice);
BEGIN
    INSERT INTO bill_promise
    SELECT s, name, line.subscription_id, lower(line.period), line.plan_item, line.line_group, line.amount
    FROM unnest(names) AS name, meter.preview_lines(name, at - interval '1 day') AS line
    WHERE (line.due IS NULL OR line.due <= meter.customer_date(name, at - interval '1 day')) AND line.amount <> 0;
    PERFORM meter.close_customers(names, 'infinity', at, CASE WHEN pick(s, 1080, 3) = 0 THEN 'draft' ELSE 'final' END);
    INSERT INTO bill_written
    SELECT s, customer_id, subscription_id, period_start, plan_item, line_group, amount FROM meter.invoice_line WHERE invoice_id > last AND amount <> 0;
END
$$;

CREATE PROCEDURE bill_step(s integer)
LANGUAGE plpgsql AS $$
DECLARE
    correction record;
BEGIN
    CALL prop.bill_change(s);
    INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, outcome, user_id, tags)
    SELECT
        customer_id, event_id, occurred_at, 'b/' || 1 + pick(k, 1091, 3),
        meter.usage('input_tokens', pick(k, 1092, 200), 'gb', pick(k, 1093, 50), 'audio_seconds', round(pick(k, 1094, 100000) * 0.001, 3), 'actions', pick(k, 1095, 3)),
        CASE WHEN pick(k, 1096, 3) = 0 THEN 'b_chat' END, (ARRAY['success', 'failure', NULL, NULL])[1 + pick(k, 1097, 4)],
        'u' || pick(k, 1098, 9), CASE WHEN pick(k, 1099, 2) = 0 THEN jsonb_build_object('b', (ARRAY['x', 'y'])[1 + pick(k, 1100, 2)]) END
    FROM (SELECT *, i * 1000 + e AS k FROM bill_event) AS event WHERE step = s ORDER BY turn;
    COMMIT;
    IF pick(s, 1110, 2) = 0 THEN
        PERFORM meter.refresh_now();
        COMMIT;
    END IF;
    -- some are taken back, some amended, some get another user, at once or when their period is closed
    FOR correction IN SELECT *, i * 1000 + e AS k FROM bill_event WHERE least(13, step + pick(i * 1000 + e, 1120 + world, 4)) = s AND pick(i * 1000 + e, 1123, 12) = 0 ORDER BY i, world, e LOOP
        CASE pick(correction.k, 1124, 3)
        WHEN 0 THEN
            PERFORM meter.void_event(correction.customer_id, correction.event_id, 'property');
        WHEN 1 THEN
            PERFORM meter.amend_event(correction.customer_id, correction.event_id, jsonb_build_object('usage', jsonb_build_object('input_tokens', pick(correction.k, 1125, 300), 'gb', pick(correction.k, 1126, 60))), 'property');
        ELSE
            UPDATE meter.usage_event SET user_id = 'other', tags = '{"b": "x"}' WHERE customer_id = correction.customer_id AND event_id = correction.event_id;
        END CASE;
    END LOOP;
    COMMIT;
    PERFORM prop.bill_close(s, ARRAY(SELECT customer_id FROM bill_customer WHERE world = 1 OR world = 2 AND pick(i * 100 + s, 1130, 3) = 0 ORDER BY customer_id), (bill_day(s) + time '12:00') AT TIME ZONE 'UTC');
    COMMIT;
END
$$;
CALL bill_step(0);
CALL bill_step(1);
CALL bill_step(2);
CALL bill_step(3);
CALL bill_step(4);
CALL bill_step(5);
CALL bill_step(6);
CALL bill_step(7);
CALL bill_step(8);
CALL bill_step(9);
CALL bill_step(10);
CALL bill_step(11);
CALL bill_step(12);
CALL bill_step(13);
CALL meter.close_periods(as_of => '2024-08-20 12:00+00', batch_customers => 17);
SELECT count(*) AS lines FROM meter.invoice_line WHERE customer_id LIKE 'bill%' \gset

-- The reference: from the events, one part of one subscription at a time.
CREATE TABLE bill_net AS
SELECT event.customer_id, timezone(customer.timezone, event.occurred_at)::date AS day, event.item, event.usage::jsonb AS usage, event.action, event.user_id, event.tags
FROM meter.usage_event AS event JOIN bill_customer AS customer USING (customer_id)
WHERE event.sign = 1 AND coalesce(event.outcome, 'success') = 'success'
    AND NOT EXISTS (SELECT FROM meter.usage_event AS reversal WHERE reversal.customer_id = event.customer_id AND reversal.reverses = event.event_id);
CREATE INDEX ON bill_net (customer_id, day);
CREATE TABLE bill_part AS
SELECT subscription.*, plan.currency, cycle.whole, cycle.k, part.part
FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY subscription_id) AS number FROM meter.subscription WHERE customer_id LIKE 'bill%') AS subscription
JOIN meter.plan USING (plan, version)
CROSS JOIN LATERAL (
    SELECT k, daterange((subscription.anchor + k * interval '1 month')::date, (subscription.anchor + (k + 1) * interval '1 month')::date) AS whole
    FROM generate_series(-1, 300) AS k) AS cycle
CROSS JOIN LATERAL (SELECT cycle.whole * subscription.valid * daterange(subscription.trial_until, NULL) AS part) AS part
WHERE NOT isempty(part.part) AND lower(part.part) <= (SELECT until FROM bill_size);
CREATE TABLE bill_measured AS
SELECT
    part.subscription_id, part.part, priced.plan_item, priced.line_group, priced.tariff, priced.quantity,
    CASE priced.metric
        WHEN 'b_tokens' THEN sum((event.usage ->> 'input_tokens')::numeric)
        WHEN 'b_tagged' THEN sum((event.usage ->> 'input_tokens')::numeric) FILTER (WHERE event.tags ->> 'b' = 'x')
        WHEN 'b_rounded' THEN ceil(sum((event.usage ->> 'audio_seconds')::numeric) / 10) * 10
        WHEN 'b_max' THEN max((event.usage ->> 'gb')::numeric)
        WHEN 'b_users' THEN count(DISTINCT event.user_id)
        WHEN 'b_count' THEN count(event.day)
    END AS measured
FROM bill_part AS part
JOIN (
    SELECT plan, plan_item, metric, by_item, quantity, '' AS line_group, tariff FROM bill_item WHERE kind = 'usage'
    UNION ALL
    SELECT plan, plan_item, item.metric, by_item, item.quantity, own.value, own.tariff FROM bill_item AS item JOIN bill_item_tariff AS own USING (plan, plan_item)
) AS priced USING (plan)
LEFT JOIN bill_net AS event
    ON event.customer_id = part.customer_id AND event.day <@ part.part
    AND (NOT priced.by_item OR priced.line_group = CASE WHEN event.item IN ('b/1', 'b/2') THEN event.item ELSE '' END)
GROUP BY part.subscription_id, part.part, priced.plan_item, priced.line_group, priced.tariff, priced.quantity, priced.metric;
CREATE TABLE bill_reference (customer_id text, number bigint, period_start date, plan_item text, line_group text, amount numeric);
DO $$
DECLARE
    p record;
    item record;
    amounts numeric[];
    q numeric;
    total numeric;
    wanted numeric;
    off numeric;
    own_amount numeric;
    stop date := (SELECT until FROM prop.bill_size);
BEGIN
    FOR p IN SELECT * FROM prop.bill_part LOOP
        total := 0;
        off := 0;
        -- charges
        FOR item IN SELECT * FROM prop.bill_item WHERE plan = p.plan AND kind = 'fee' LOOP
            SELECT amount INTO own_amount FROM meter.subscription_override AS o WHERE o.subscription_id = p.subscription_id AND o.plan_item = item.plan_item AND o.valid @> lower(p.part);
            q := coalesce(own_amount, item.amount) * coalesce(item.quantity, 1);
            q := prop.bill_round(CASE WHEN item.prorated THEN prop.bill_prorate(q, p.part, p.whole) ELSE q END, p.currency);
            total := total + q;
            INSERT INTO prop.bill_reference SELECT p.customer_id, p.number, lower(p.part), item.plan_item, '', q WHERE item.timing = 'advance' OR upper(p.part) <= stop;
        END LOOP;
        FOR item IN SELECT * FROM prop.bill_item WHERE plan = p.plan AND kind = 'seat' LOOP
            WITH day AS (
                SELECT day::date, greatest(coalesce(item.quantity, 0), coalesce((SELECT sum(seat.quantity) FROM meter.subscription_seat AS seat WHERE seat.subscription_id = p.subscription_id AND seat.plan_item = item.plan_item AND seat.valid @> day::date), 0)) AS seats
                FROM generate_series(lower(p.part), upper(p.part) - 1, interval '1 day') AS day
            )
            SELECT CASE
                WHEN item.prorated THEN sum(prop.bill_prorate(prop.bill_charge(item.tariff, seats, p.whole, p.whole), daterange(day, day + 1), p.whole))
                ELSE prop.bill_charge(item.tariff, max(seats), p.whole, p.whole) END
            INTO q FROM day;
            q := prop.bill_round(q, p.currency);
            total := total + q;
            INSERT INTO prop.bill_reference SELECT p.customer_id, p.number, lower(p.part), item.plan_item, '', q WHERE item.timing = 'advance' OR upper(p.part) <= stop;
        END LOOP;
        CONTINUE WHEN upper(p.part) > stop;
        FOR item IN SELECT * FROM prop.bill_measured AS measured WHERE measured.subscription_id = p.subscription_id AND measured.part = p.part LOOP
            q := prop.bill_round(prop.bill_charge(item.tariff, greatest(0, coalesce(item.measured, 0) - coalesce(item.quantity, 0)), p.part, p.whole), p.currency);
            total := total + q;
            INSERT INTO prop.bill_reference VALUES (p.customer_id, p.number, lower(p.part), item.plan_item, item.line_group, q);
        END LOOP;
        FOR item IN SELECT * FROM prop.bill_item WHERE plan = p.plan AND kind = 'credit' LOOP
            q := (SELECT 2 * coalesce(sum((usage ->> 'actions')::numeric), 0) FROM prop.bill_net AS event WHERE event.customer_id = p.customer_id AND event.day <@ p.part AND action = 'b_chat');
            q := prop.bill_round(prop.bill_charge(item.tariff, greatest(0, q - item.quantity), p.part, p.whole), p.currency);
            total := total + q;
            INSERT INTO prop.bill_reference VALUES (p.customer_id, p.number, lower(p.part), item.plan_item, '', q);
        END LOOP;
        -- what is charged on charges
        q := total;
        FOR item IN SELECT * FROM prop.bill_item WHERE plan = p.plan AND kind = 'commitment' LOOP
            wanted := greatest(0, prop.bill_round(CASE WHEN item.prorated THEN prop.bill_prorate(item.amount, p.part, p.whole) ELSE item.amount END, p.currency) - q);
            total := total + wanted;
            INSERT INTO prop.bill_reference VALUES (p.customer_id, p.number, lower(p.part), item.plan_item, '', wanted);
        END LOOP;
        FOR item IN SELECT * FROM prop.bill_item WHERE plan = p.plan AND kind = 'discount'
            AND (periods IS NULL OR p.k - (SELECT max(k) FROM generate_series(-1, 300) AS k WHERE (p.anchor + k * interval '1 month')::date <= greatest(p.price_since, p.trial_until)) < periods)
            ORDER BY percent IS NULL, position, plan_item
        LOOP
            wanted := prop.bill_round(CASE
                WHEN item.percent IS NOT NULL THEN prop.settle(total * item.percent, 100)
                WHEN item.prorated THEN prop.bill_prorate(item.amount, p.part, p.whole)
                ELSE item.amount END, p.currency);
            wanted := least(wanted, total - off);
            off := off + wanted;
            INSERT INTO prop.bill_reference VALUES (p.customer_id, p.number, lower(p.part), item.plan_item, '', -wanted);
        END LOOP;
        FOR item IN SELECT * FROM prop.bill_item WHERE plan = p.plan AND kind = 'cap' ORDER BY position, plan_item LOOP
            wanted := greatest(0, total - off - prop.bill_round(CASE WHEN item.prorated THEN prop.bill_prorate(item.amount, p.part, p.whole) ELSE item.amount END, p.currency));
            off := off + wanted;
            INSERT INTO prop.bill_reference VALUES (p.customer_id, p.number, lower(p.part), item.plan_item, '', -wanted);
        END LOOP;
    END LOOP;
END
$$;
CREATE TABLE bill_invoiced AS
SELECT line.customer_id, subscription.number, line.period_start, line.plan_item, line.line_group, sum(line.amount) AS amount
FROM meter.invoice_line AS line
JOIN (SELECT subscription_id, row_number() OVER (PARTITION BY customer_id ORDER BY subscription_id) AS number FROM meter.subscription) AS subscription USING (subscription_id)
WHERE line.customer_id LIKE 'bill%'
GROUP BY line.customer_id, subscription.number, line.period_start, line.plan_item, line.line_group
HAVING sum(line.amount) <> 0;

CALL must_be_empty('all invoices together are what plain SQL rates', :lines, $$
    SELECT * FROM prop.bill_invoiced AS invoiced
    FULL JOIN (SELECT * FROM prop.bill_reference WHERE amount <> 0) AS rated USING (customer_id, number, period_start, plan_item, line_group)
    WHERE invoiced.amount IS DISTINCT FROM rated.amount ORDER BY 1, 2, 3, 4$$);
CALL must_be_empty('the order of arrival and closing does not change what is invoiced', :lines, $$
    SELECT customer.i, number, period_start, plan_item, line_group, array_agg(world || ': ' || amount ORDER BY world)
    FROM prop.bill_invoiced JOIN prop.bill_customer AS customer USING (customer_id)
    GROUP BY 1, 2, 3, 4, 5 HAVING count(*) <> 3 OR min(amount) <> max(amount)$$);
CALL must_be_empty('a closing writes what the preview says', :lines, $$
    (TABLE prop.bill_promise EXCEPT ALL TABLE prop.bill_written) UNION ALL (TABLE prop.bill_written EXCEPT ALL TABLE prop.bill_promise)$$);
CALL must_be_empty('lines add up to the invoice', :lines, $$
    SELECT invoice.invoice_id, total FROM meter.invoice LEFT JOIN meter.invoice_line AS line USING (invoice_id) WHERE invoice.customer_id LIKE 'bill%' GROUP BY 1, 2 HAVING sum(line.amount) IS DISTINCT FROM total$$);
CALL must_be_empty('a line charges what its key is rated at less what it was charged', :lines, $$
    SELECT * FROM (SELECT customer_id, plan_item, revision, amount, rated_amount, sum(amount) OVER (PARTITION BY subscription_id, period_start, plan_item, line_group ORDER BY revision) AS charged FROM meter.invoice_line WHERE customer_id LIKE 'bill%') AS line WHERE charged <> rated_amount$$);
CALL must_be_empty('all of it is what is rated now', :lines, $$
    SELECT * FROM (
        SELECT customer_id, subscription_id, lower(period) AS period_start, plan_item, line_group, meter.round_money(amount, currency) AS amount
        FROM (SELECT array_agg(customer_id ORDER BY customer_id) AS names FROM prop.bill_customer) AS names, meter.rate_lines(names, ARRAY(SELECT date '-infinity' FROM unnest(names)), ARRAY(SELECT date '2024-08-19' FROM unnest(names)), true)
        WHERE amount <> 0
    ) AS rated FULL JOIN (
        SELECT customer_id, subscription_id, period_start, plan_item, line_group, sum(amount) AS amount FROM meter.invoice_line WHERE customer_id LIKE 'bill%' GROUP BY 1, 2, 3, 4, 5 HAVING sum(amount) <> 0
    ) AS invoiced USING (customer_id, subscription_id, period_start, plan_item, line_group)
    WHERE coalesce(rated.amount, 0) <> coalesce(invoiced.amount, 0)$$);
CALL must_be_empty('what is capped is never above the cap', :lines, $$
    SELECT part.customer_id, part.part, invoiced.amount
    FROM prop.bill_part AS part
    JOIN (SELECT customer_id, number, period_start, sum(amount) AS amount FROM prop.bill_invoiced GROUP BY 1, 2, 3) AS invoiced ON invoiced.customer_id = part.customer_id AND invoiced.number = part.number AND invoiced.period_start = lower(part.part)
    JOIN prop.bill_item AS item ON item.plan = part.plan AND item.kind = 'cap'
    WHERE part.part = part.whole AND upper(part.part) <= date '2024-08-19' AND invoiced.amount > prop.bill_round(item.amount, part.currency)$$);

-- Closing twice changes nothing, nor does a roll-up of what is closed already.
CREATE TABLE bill_before AS SELECT * FROM meter.invoice_line;
CALL meter.close_periods(as_of => '2024-08-20 12:00+00');
CALL meter.refresh();
CALL meter.close_periods(as_of => '2024-08-20 12:00+00');
UPDATE meter.rate SET price = 3 WHERE item = 'nothing of this';
INSERT INTO meter.invoice_mark (customer_id, since) SELECT customer_id, '-infinity' FROM bill_customer;
CALL meter.close_periods(as_of => '2024-08-20 12:00+00', batch_customers => 7);
CALL must_be_empty('closing twice changes nothing', :lines, $$
    (TABLE meter.invoice_line EXCEPT TABLE prop.bill_before) UNION ALL (TABLE prop.bill_before EXCEPT TABLE meter.invoice_line)$$);
CALL must_be_empty('and every customer was billed', :lines, $$
    SELECT customer_id, problem FROM meter.billing_problem WHERE subscription_id IS NULL$$);

-- Margins take from invoices and from what is open what these come to, and no line twice: of some, as a preview takes its time.
CREATE TABLE bill_sample AS SELECT DISTINCT customer_id FROM meter.subscription WHERE hashtext(customer_id) % 8 = 0;
CALL must_be_empty('revenue is what is invoiced and what is still to be', :lines, $$
    SELECT customer_id, currency, sum(amount) AS amount FROM (
        SELECT customer_id, currency, amount FROM meter.revenue_line WHERE source = 'meter' AND kind <> 'credits'
        UNION ALL SELECT customer_id, currency, -total FROM meter.invoice
        UNION ALL SELECT customer_id, currency, -amount FROM prop.bill_sample CROSS JOIN LATERAL meter.preview_lines(customer_id)
    ) AS side JOIN prop.bill_sample USING (customer_id) GROUP BY 1, 2 HAVING sum(amount) <> 0$$);
