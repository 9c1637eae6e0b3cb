SELECT customer_id, lower(period) AS period_start, quantity, overage, charge
FROM customer
JOIN plan USING (plan_id),
    LATERAL (SELECT meter.charges_by_period(tariff, at, input_tokens, anchor, '1 month', timezone) AS charges
             FROM usage_event AS e
             WHERE e.customer_id = customer.customer_id) AS used,
    unnest(charges)
