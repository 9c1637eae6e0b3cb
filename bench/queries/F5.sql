SELECT e.customer_id, c.anchor
FROM usage_event AS e
JOIN customer AS c USING (customer_id)
