SELECT customer_id, event_id, number
FROM customer,
    LATERAL (SELECT event_id, row_number() OVER (ORDER BY at, event_id) AS number
             FROM usage_event AS e
             WHERE e.customer_id = customer.customer_id) AS numbered
