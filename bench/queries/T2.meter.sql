WITH used AS (
    SELECT customer_id,
        meter.charges_by_period((SELECT jsonb_object_agg(customer_id, jsonb_build_object('tariff', tariff, 'anchor', anchor, 'timezone', timezone))
                                 FROM customer JOIN plan USING (plan_id)),
            customer_id, at, input_tokens, '1 month') AS charges
    FROM usage_event
    GROUP BY customer_id
)
SELECT customer_id, lower(period) AS period_start, quantity, overage, charge
FROM used, unnest(charges)
