-- scale: 0.0000000001
SELECT customer_id, event_id,
    CASE WHEN before >= bound2 THEN (after - before) * price3
        WHEN before >= bound1 AND after <= bound2 THEN (after - before) * price2
        WHEN before >= included AND after <= bound1 THEN (after - before) * price1
        WHEN after <= included THEN 0
        ELSE (greatest(least(after, bound1) - included, 0) - greatest(least(before, bound1) - included, 0)) * price1
            + (greatest(least(after, bound2) - bound1, 0) - greatest(least(before, bound2) - bound1, 0)) * price2
            + (greatest(after - bound2, 0) - greatest(before - bound2, 0)) * price3
    END AS share
FROM customer
JOIN plan_scaled USING (plan_id),
LATERAL (SELECT event_id, after, after - input_tokens AS before
      FROM (SELECT event_id, input_tokens,
                sum(input_tokens::integer) OVER (ORDER BY at, event_id ROWS UNBOUNDED PRECEDING) AS after
            FROM usage_event AS e WHERE e.customer_id = customer.customer_id) AS running
      OFFSET 0) AS spans
