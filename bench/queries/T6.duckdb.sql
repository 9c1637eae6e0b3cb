SELECT e.customer_id, e.event_id, p.period_start
FROM usage_event AS e
JOIN period AS p ON p.customer_id = e.customer_id AND e."at" >= p.period_start AND e."at" < p.period_end
