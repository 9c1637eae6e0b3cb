SELECT customer_id, sum(input_tokens) AS tokens, sum(cache_read_tokens) AS cached, sum(output_tokens) AS output
FROM usage_event
GROUP BY customer_id
