WITH RECURSIVE used AS (
    SELECT customer_id, width_bucket(at, starts) AS span, sum(input_tokens)::bigint AS tokens
    FROM usage_event
    JOIN credit_span_array USING (customer_id)
    GROUP BY customer_id, width_bucket(at, starts)
), spans AS MATERIALIZED (
    SELECT *, coalesce(tokens, 0) AS consumed
    FROM credit_span
    LEFT JOIN used USING (customer_id, span)
), walked AS (
    -- before the first lot nothing can be taken
    SELECT customer_id, span, consumed, 0::bigint AS taken1, 0::bigint AS taken2, 0::bigint AS taken3, 0::bigint AS left1, 0::bigint AS left2, 0::bigint AS left3
    FROM spans
    WHERE span = 0
    UNION ALL
    SELECT customer_id, span, consumed, taken1, taken2, taken3, had1 - taken1, had2 - taken2, had3 - taken3
    FROM (SELECT *, CASE WHEN usable3 THEN least(had3, consumed - taken1 - taken2) ELSE 0 END AS taken3
          FROM (SELECT *, CASE WHEN usable2 THEN least(had2, consumed - taken1) ELSE 0 END AS taken2
                FROM (SELECT *, CASE WHEN usable1 THEN least(had1, consumed) ELSE 0 END AS taken1
                      FROM (SELECT s.*, left1 + given1 AS had1, left2 + given2 AS had2, left3 + given3 AS had3
                            FROM walked AS w
                            JOIN spans AS s ON s.customer_id = w.customer_id AND s.span = w.span + 1) AS at_start) AS first) AS second) AS third
)
SELECT customer_id,
    (CASE WHEN usable1 THEN left1 ELSE 0 END + CASE WHEN usable2 THEN left2 ELSE 0 END + CASE WHEN usable3 THEN left3 ELSE 0 END) AS balance,
    overage
FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY span DESC) AS from_end,
          sum(walked.consumed - taken1 - taken2 - taken3) OVER (PARTITION BY customer_id) AS overage
      FROM walked
      JOIN spans USING (customer_id, span)) AS summed
WHERE from_end = 1
