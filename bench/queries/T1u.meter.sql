SELECT customer_id,
    meter.total_cost((SELECT meter.rate_card(model, unit, price, 1000000, valid) FROM rate), model, at, usage) AS cost
FROM usage_packed
GROUP BY customer_id
