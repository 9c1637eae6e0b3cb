SELECT e.customer_id, sum(e.input_tokens) AS tokens
FROM usage_event AS e
JOIN customer AS c USING (customer_id)
GROUP BY e.customer_id
