SELECT customer_id, event_id, meter.period_start(at, anchor, '1 month', timezone) AS period_start
FROM usage_event
JOIN customer USING (customer_id)
