SELECT e.customer_id, e.event_id, p.starts[width_bucket(e.at, p.starts)] AS period_start
FROM usage_event AS e
JOIN period_array AS p USING (customer_id)
