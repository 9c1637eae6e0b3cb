WITH placed AS (
    SELECT customer_id, input_tokens, CASE WHEN candidate <= at THEN candidate
            ELSE (anchor + make_interval(months => months - 1)) AT TIME ZONE timezone END AS period_start
    FROM (SELECT *, (anchor + make_interval(months => months)) AT TIME ZONE timezone AS candidate
          FROM (SELECT customer_id, input_tokens, at, timezone, anchor,
                    ((extract(year FROM local) - extract(year FROM anchor)) * 12
                     + extract(month FROM local) - extract(month FROM anchor))::integer AS months
                FROM (SELECT e.customer_id, e.input_tokens, e.at, c.timezone,
                          e.at AT TIME ZONE c.timezone AS local, c.anchor
                      FROM usage_event AS e
                      JOIN customer AS c USING (customer_id)
                      OFFSET 0) AS localised
                OFFSET 0) AS counted
          OFFSET 0) AS located
), used AS (
    SELECT customer_id, period_start, sum(input_tokens) AS quantity
    FROM placed
    GROUP BY customer_id, period_start
)
SELECT customer_id, period_start, quantity, greatest(quantity - included, 0) AS overage,
    (greatest(least(quantity, bound1) - included, 0) * price1
     + greatest(least(quantity, bound2) - bound1, 0) * price2
     + greatest(quantity - bound2, 0) * price3) / 1000000 AS charge
FROM used
JOIN customer USING (customer_id)
JOIN plan USING (plan_id)
