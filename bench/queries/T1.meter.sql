SELECT customer_id,
    meter.total_cost((SELECT meter.rate_card(model, unit, price, 1000000, valid) FROM rate), model, at,
        'input_tokens', input_tokens, 'cache_read_tokens', cache_read_tokens, 'output_tokens', output_tokens) AS cost
FROM usage_event
GROUP BY customer_id
