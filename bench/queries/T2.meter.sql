WITH used AS (
    SELECT customer_id, meter.charges_by_period(tariff, at, input_tokens, anchor, '1 month', timezone) AS charges
    FROM usage_event
    JOIN customer USING (customer_id)
    JOIN plan USING (plan_id)
    GROUP BY customer_id
)
SELECT customer_id, lower(period) AS period_start, quantity, overage, charge
FROM used, unnest(charges)
