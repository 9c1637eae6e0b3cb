SELECT customer_id, sum(input_tokens) AS tokens
FROM usage_packed
GROUP BY customer_id
