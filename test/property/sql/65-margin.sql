-- Reports on random usage and revenue: what is divided adds up to what it was, customers to events,
-- and the parts of a change to the change. Half of the events are rolled up.

CREATE TABLE margin_size AS SELECT least(greatest((SELECT cases FROM parameter) / 5, 200), 20000) AS events, 40 AS customers;

INSERT INTO meter.item (item, layer, provider)
SELECT 'margin/' || i, (ARRAY['inference', 'retrieval', 'storage'])[1 + pick(i, 900, 3)], CASE WHEN pick(i, 901, 2) = 0 THEN 'other' END
FROM generate_series(1, 8) AS i;
INSERT INTO meter.rate (item, unit, price, per, valid)
SELECT 'margin/' || i, unit, round((h(i, 902 + length(unit)) % 1000000) * 0.0001, 4), (ARRAY[1, 7, 1000, 3600])[1 + pick(i, 903, 4)], valid
FROM generate_series(1, 9) AS i, unnest(ARRAY['input_tokens', 'audio_seconds']) AS unit,
    unnest(ARRAY[tstzrange(NULL, '2024-02-11 00:00+00'), tstzrange('2024-02-11 00:00+00', NULL)]) WITH ORDINALITY AS v (valid, n)
WHERE i <> 9 OR n = 1;
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'margin chat', 'actions', 3), ('credit', 'margin draw', 'output_tokens', 0.01);
INSERT INTO meter.customer (customer_id, segment) SELECT 'margin' || i, (ARRAY['small', 'large', NULL])[1 + pick(i, 904, 3)] FROM generate_series(0, 29) AS i;
CREATE PROCEDURE margin_events(part integer)
LANGUAGE sql AS $$
    INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, variant, outcome, user_id, workflow_id)
    SELECT
        -- the lower ones have more, some leave and some come
        'margin' || least(pick(i, 910, 40), pick(i, 911, 40)), 'm' || i,
        timestamptz '2024-01-01 00:00+00' + (h(i, 912) % 7776000) * interval '1 second',
        CASE WHEN pick(i, 913, 12) > 0 THEN 'margin/' || 1 + pick(i, 914, 9) END,
        meter.usage('input_tokens', pick(i, 915, 5000), 'audio_seconds', round(pick(i, 916, 100000) * 0.001, 3), 'actions', pick(i, 917, 2)),
        (ARRAY['margin chat', 'margin draw', 'margin free', NULL])[1 + pick(i, 918, 4)],
        (ARRAY['standard', 'cached', 'standard', 'standard'])[1 + pick(i, 919, 4)],
        (ARRAY['success', 'failure', 'pending', NULL, NULL])[1 + pick(i, 920, 5)],
        'u' || pick(i, 921, 5), CASE WHEN pick(i, 922, 3) > 0 THEN 'w' || pick(i, 923, 100) END
    FROM prop.margin_size, generate_series(0, events - 1) AS i
    WHERE i % 2 = part
$$;
CALL margin_events(0);
CALL meter.refresh();
CALL margin_events(1);
INSERT INTO meter.revenue (customer_id, revenue_date, period, kind, amount, currency)
SELECT
    'margin' || pick(i, 930, 45), date '2024-01-01' + pick(i, 931, 90),
    CASE WHEN pick(i, 932, 3) > 0 THEN daterange(date '2024-01-01' + pick(i, 931, 80), date '2024-01-02' + pick(i, 931, 80) + pick(i, 933, 400)) END,
    (ARRAY['fee', 'usage', 'overage', 'other'])[1 + pick(i, 934, 4)],
    round((h(i, 935) % 10000000) * 0.001 - 1000, pick(i, 936, 13)), (ARRAY['USD', 'USD', 'EUR', 'JPY'])[1 + pick(i, 937, 4)]
FROM generate_series(1, 300) AS i;
INSERT INTO meter.fx_rate (currency, quote, rate_date, rate)
SELECT currency, 'USD', (date '2024-02-01' + m * interval '1 month')::date - 1 - pick(m, 940, 8), round(0.5 + pick(m, 941, 1000000) * 0.000001, 6)
FROM generate_series(0, 30) AS m, unnest(ARRAY['EUR', 'JPY']) AS currency;
INSERT INTO meter.shared_cost (period, layer, amount, currency, basis)
SELECT daterange(date '2024-01-01' + pick(i, 950, 60), date '2024-01-02' + pick(i, 950, 60) + pick(i, 951, 60)), 'storage',
    (h(i, 952) % 100000 - 20000) * 0.01, 'USD', (ARRAY['usage', 'customers', 'revenue'])[1 + i % 3]
FROM generate_series(1, 12) AS i;
-- Credits that were bought are earned until they expire, whatever was burned; the bill for them counts nowhere.
INSERT INTO meter.credit_grant (customer_id, grant_id, kind, amount, valid, paid, currency)
SELECT 'margin' || pick(i, 960, 45), 'g' || i, 'purchase', 1 + pick(i, 961, 500), daterange(date '2024-01-01' + pick(i, 962, 90), date '2024-01-02' + pick(i, 962, 90) + pick(i, 963, 100)),
    (h(i, 964) % 1000000) * 0.0001, (ARRAY['USD', 'USD', 'EUR'])[1 + pick(i, 965, 3)]
FROM generate_series(1, 100) AS i;
INSERT INTO meter.revenue (customer_id, revenue_date, kind, amount, currency)
SELECT customer_id, lower(valid), 'credit_purchase', paid, currency FROM meter.credit_grant;
INSERT INTO meter.provider_bill (provider, period, item, amount, currency)
SELECT provider, '[2024-02-01,2024-03-01)', item, (h(n, 953) % 1000000) * 0.0001, 'USD'
FROM (VALUES (1, 'margin', NULL), (2, 'margin', 'margin/3'), (3, 'other', NULL), (4, 'nobody', NULL)) AS bill (n, provider, item);
INSERT INTO meter.cost_budget (budget, period, customer_id, layer, item, quantity, amount, currency) VALUES
    ('margin', '[2024-01-01,2024-07-01)', NULL, 'inference', NULL, 100000, 5000, 'USD'),
    ('margin', '[2024-01-01,2024-07-01)', 'margin1', NULL, NULL, NULL, 1000, 'USD'),
    ('margin', '[2024-02-01,2024-07-01)', NULL, NULL, 'margin/2', 5000, 70, 'USD');

-- One event at a time, by another way than the views.
CREATE TABLE margin_event AS
SELECT
    event.customer_id, date_trunc('month', timezone('UTC', event.occurred_at))::date AS month, timezone('UTC', event.occurred_at)::date AS day,
    event.item, event.action, event.user_id, event.workflow_id, event.sign,
    meter.event_cost(event.item, event.occurred_at, event.usage, event.variant) AS cost
FROM meter.usage_event AS event
WHERE event.customer_id LIKE 'margin%';
CREATE TABLE margin_ranges AS
SELECT i, daterange(first_a, first_a + 1 + pick(i, 962, 40)) AS a, daterange(first_b, first_b + 1 + pick(i, 963, 40)) AS b
FROM generate_series(1, 8) AS i, LATERAL (SELECT date '2024-01-01' + pick(i, 960, 50) AS first_a, date '2024-01-01' + pick(i, 961, 50) AS first_b) AS first;
SET jit = off;
SELECT count(*) AS events FROM margin_event \gset

CALL must_be_empty('cost over customers is cost over events', :events, $$
    SELECT * FROM (
        SELECT customer_id, month, item, sum(cost) AS cost, sum(unpriced_events) AS unpriced, sum(events) AS events FROM meter.customer_cost WHERE customer_id LIKE 'margin%' GROUP BY 1, 2, 3
    ) AS shown FULL JOIN (
        SELECT customer_id, month, item, coalesce(sum(cost), 0) AS cost, coalesce(sum(sign) FILTER (WHERE cost IS NULL), 0) AS unpriced, sum(sign) AS events FROM prop.margin_event GROUP BY 1, 2, 3
    ) AS counted ON shown.customer_id = counted.customer_id AND shown.month = counted.month AND coalesce(shown.item, '') = coalesce(counted.item, '')
    WHERE (shown.cost, shown.unpriced, shown.events) IS DISTINCT FROM (counted.cost, counted.unpriced, counted.events)$$);
CALL must_be_empty('every report has the same cost', :events, $$
    WITH figure (report, cost) AS (
        SELECT 'events', sum(cost) FROM prop.margin_event
        UNION ALL SELECT 'customer_month', sum(cost) FROM meter.customer_month WHERE customer_id LIKE 'margin%'
        UNION ALL SELECT 'customer_margin', sum(cost) FROM meter.customer_margin WHERE customer_id LIKE 'margin%'
        UNION ALL SELECT 'cost_by_layer', sum(value::numeric) FROM meter.customer_margin, jsonb_each_text(cost_by_layer) WHERE customer_id LIKE 'margin%'
        UNION ALL SELECT 'customer_item_margin', sum(cost) FROM meter.customer_item_margin WHERE customer_id LIKE 'margin%'
        UNION ALL SELECT 'customer_action_margin', sum(cost) FROM meter.customer_action_margin WHERE customer_id LIKE 'margin%'
        UNION ALL SELECT 'user_cost', sum(cost) FROM meter.user_cost WHERE customer_id LIKE 'margin%'
        UNION ALL SELECT 'focus', sum("EffectiveCost") FROM meter.focus_cost_and_usage WHERE "SubAccountId" LIKE 'margin%'
        UNION ALL SELECT 'between', sum(cost) FROM (SELECT * FROM meter.customer_cost_between('2023-12-01', '2024-02-11') UNION ALL SELECT * FROM meter.customer_cost_between('2024-02-11', '2024-05-01')) AS part WHERE customer_id LIKE 'margin%'
    )
    SELECT * FROM figure WHERE cost IS DISTINCT FROM (SELECT cost FROM figure WHERE report = 'events')$$);
CALL must_be_empty('actions and workflows cost what their events do', :events, $$
    SELECT 'action', (SELECT sum(cost) FROM meter.customer_action_cost WHERE customer_id LIKE 'margin%'), (SELECT sum(cost) FROM prop.margin_event WHERE action IS NOT NULL)
    WHERE (SELECT sum(cost) FROM meter.customer_action_cost WHERE customer_id LIKE 'margin%') <> (SELECT sum(cost) FROM prop.margin_event WHERE action IS NOT NULL)
    UNION ALL
    SELECT 'workflow', (SELECT sum(cost) FROM meter.workflow_cost WHERE customer_id LIKE 'margin%'), (SELECT sum(cost) FROM prop.margin_event WHERE workflow_id IS NOT NULL)
    WHERE (SELECT sum(cost) FROM meter.workflow_cost WHERE customer_id LIKE 'margin%') <> (SELECT sum(cost) FROM prop.margin_event WHERE workflow_id IS NOT NULL)$$);
CALL must_be_empty('revenue over months is the lines'' revenue', 300, $$
    SELECT billed_currency, sum(billed_amount) FROM meter.customer_revenue WHERE kind <> 'credits' GROUP BY 1
    EXCEPT SELECT currency, sum(amount) FROM meter.revenue WHERE kind <> 'credit_purchase' GROUP BY 1$$);
CALL must_be_empty('what is bought is earned, once', 100, $$
    SELECT customer_id, billed_currency, sum(billed_amount) FROM (
        SELECT customer_id, billed_currency, billed_amount FROM meter.customer_revenue WHERE kind = 'credits'
        UNION ALL SELECT customer_id, currency, -paid FROM meter.credit_grant
    ) AS side GROUP BY 1, 2 HAVING sum(billed_amount) <> 0$$);
CALL must_be_empty('shares add up to what was shared', 12, $$
    SELECT shared_cost_id, amount FROM meter.shared_cost
    EXCEPT SELECT shared_cost_id, sum(amount) FROM meter.shared_cost_allocation GROUP BY 1$$);
CALL must_be_empty('months add up to what was shared', 12, $$
    SELECT sum(amount) FROM meter.shared_cost EXCEPT SELECT sum(billed_amount) FROM meter.customer_shared_cost$$);
CALL must_be_empty('parts of a bill add up to the bill', 4, $$
    SELECT provider, sum(amount) FROM meter.provider_bill GROUP BY 1
    EXCEPT SELECT provider, sum(amount) FROM meter.provider_bill_allocation GROUP BY 1$$);
CALL must_be_empty('margins by item, action, plan, segment and month add up to the customers''', :events, $$
    WITH figure AS (
        SELECT 'customer' AS report, month, sum(revenue) AS revenue, sum(cost) AS cost, sum(shared_cost) AS shared_cost, sum(gross_margin) AS gross_margin FROM meter.customer_margin GROUP BY month
        UNION ALL SELECT 'item', month, sum(revenue), sum(cost), sum(shared_cost), sum(gross_margin) FROM meter.item_margin GROUP BY month
        UNION ALL SELECT 'action', month, sum(revenue), sum(cost), sum(shared_cost), sum(gross_margin) FROM meter.action_margin GROUP BY month
        UNION ALL SELECT 'segment', month, sum(revenue), sum(cost), sum(shared_cost), sum(gross_margin) FROM meter.segment_margin GROUP BY month
        UNION ALL SELECT 'plan', month, sum(revenue), sum(cost), sum(shared_cost), sum(gross_margin) FROM meter.plan_margin GROUP BY month
        UNION ALL SELECT 'month', month, revenue, cost, shared_cost, gross_margin FROM meter.monthly_margin
    )
    SELECT figure.report, figure.month, figure.revenue, customer.revenue
    FROM figure JOIN figure AS customer ON customer.month = figure.month AND customer.report = 'customer'
    WHERE (figure.revenue, figure.cost, figure.shared_cost, figure.gross_margin) IS DISTINCT FROM (customer.revenue, customer.cost, customer.shared_cost, customer.gross_margin)$$);
CALL must_be_empty('the effects of a variance add up to the change', :events, $$
    SELECT i, variance.* FROM prop.margin_ranges, meter.cost_variance(a, b) AS variance
    WHERE change IS DISTINCT FROM price_effect + volume_effect + mix_effect + new_effect + lost_effect OR change IS DISTINCT FROM cost_after - cost_before$$);
CALL must_be_empty('a variance is of all cost', 8, $$
    SELECT i FROM prop.margin_ranges
    WHERE (SELECT sum(change) FROM meter.cost_variance(a, b) WHERE customer_id LIKE 'margin%') IS DISTINCT FROM
        (SELECT coalesce(sum(cost) FILTER (WHERE day <@ b), 0) - coalesce(sum(cost) FILTER (WHERE day <@ a), 0) FROM prop.margin_event)$$);
CALL must_be_empty('the variance by month is that of the months', :events, $$
    SELECT customer_id, item, change, price_effect, volume_effect, mix_effect, new_effect, lost_effect FROM meter.cost_variance_by_month WHERE month = '2024-02-01'
    EXCEPT SELECT customer_id, item, change, price_effect, volume_effect, mix_effect, new_effect, lost_effect FROM meter.cost_variance('[2024-01-01,2024-02-01)', '[2024-02-01,2024-03-01)')$$);
CALL must_be_empty('the effects of a bridge add up to the change', :events, $$
    SELECT i, bridge.* FROM prop.margin_ranges, meter.margin_bridge(a, b) AS bridge
    WHERE change <> new_effect + lost_effect + revenue_effect + price_effect + volume_effect + mix_effect + shared_cost_effect OR change IS DISTINCT FROM margin_after - margin_before$$);
CALL must_be_empty('a bridge leads from margin to margin', 2, $$
    SELECT customer_id, margin_before, margin_after FROM meter.margin_bridge('[2024-01-01,2024-02-01)', '[2024-02-01,2024-03-01)')
    WHERE margin_before <> coalesce((SELECT gross_margin FROM meter.customer_margin AS margin WHERE month = '2024-01-01' AND margin.customer_id = margin_bridge.customer_id), 0)
        OR margin_after <> coalesce((SELECT gross_margin FROM meter.customer_margin AS margin WHERE month = '2024-02-01' AND margin.customer_id = margin_bridge.customer_id), 0)$$);
CALL must_be_empty('a budget''s variance is of all cost', 3, $$
    SELECT cost FROM (SELECT sum(cost) AS cost FROM meter.cost_variance_from_budget('margin', '[2024-01-15,2024-03-01)')) AS compared
    WHERE cost IS DISTINCT FROM (SELECT sum(cost) FROM meter.customer_cost_between('2024-01-15', '2024-03-01'))$$);
