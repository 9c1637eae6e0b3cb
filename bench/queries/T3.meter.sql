SELECT customer_id, event_id, share
FROM customer
JOIN plan USING (plan_id),
    LATERAL (SELECT event_id, meter.marginal_charge(tariff, input_tokens) OVER (ORDER BY at, event_id) AS share
             FROM usage_event AS e
             WHERE e.customer_id = customer.customer_id) AS shared
