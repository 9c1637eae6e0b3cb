SELECT customer_id, sum(input_tokens) AS tokens
FROM usage_event
GROUP BY customer_id
