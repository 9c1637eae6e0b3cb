-- scale: 0.0000000001
WITH used AS (
    SELECT e.customer_id, p.period_start, sum(e.input_tokens)::BIGINT AS quantity
    FROM usage_event AS e
    JOIN period AS p ON p.customer_id = e.customer_id AND e."at" >= p.period_start AND e."at" < p.period_end
    GROUP BY e.customer_id, p.period_start
)
SELECT customer_id, period_start, quantity, greatest(quantity - included, 0) AS overage,
    greatest(least(quantity, bound1) - included, 0) * price1
    + greatest(least(quantity, bound2) - bound1, 0) * price2
    + greatest(quantity - bound2, 0) * price3 AS charge
FROM used
JOIN customer USING (customer_id)
JOIN plan_scaled USING (plan_id)
