SELECT customer_id, tokens
FROM customer,
    LATERAL (SELECT sum(input_tokens) AS tokens
             FROM usage_event AS e
             WHERE e.customer_id = customer.customer_id) AS summed
