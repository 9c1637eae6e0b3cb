-- scale: 0.0000000001
SELECT customer_id, event_id,
    (greatest(least(after, bound1) - included, 0) - greatest(least(before, bound1) - included, 0)) * price1
    + (greatest(least(after, bound2) - bound1, 0) - greatest(least(before, bound2) - bound1, 0)) * price2
    + (greatest(after - bound2, 0) - greatest(before - bound2, 0)) * price3 AS share
FROM (SELECT customer_id, event_id, after, after - input_tokens AS before
      FROM (SELECT customer_id, event_id, input_tokens,
                (sum(input_tokens) OVER (PARTITION BY customer_id ORDER BY "at", event_id ROWS UNBOUNDED PRECEDING))::BIGINT AS after
            FROM usage_event) AS running) AS spans
JOIN customer USING (customer_id)
JOIN plan_scaled USING (plan_id)
