SELECT customer_id, starts[number] AS period_start, quantity, greatest(quantity - included, 0) AS overage,
    (greatest(least(quantity, bound1) - included, 0) * price1
     + greatest(least(quantity, bound2) - bound1, 0) * price2
     + greatest(quantity - bound2, 0) * price3) / 10000000000.0 AS charge
FROM customer
JOIN plan_scaled USING (plan_id)
JOIN period_array AS p USING (customer_id),
    LATERAL (SELECT width_bucket(e.at, p.starts) AS number, sum(e.input_tokens)::bigint AS quantity
             FROM usage_event AS e
             WHERE e.customer_id = customer.customer_id
             GROUP BY 1) AS used
