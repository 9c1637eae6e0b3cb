WITH RECURSIVE used AS (
    SELECT e.customer_id, s.span, sum(e.input_tokens)::BIGINT AS tokens
    FROM usage_event AS e
    JOIN credit_span AS s ON s.customer_id = e.customer_id AND e."at" >= s.span_start AND e."at" < s.span_end
    GROUP BY e.customer_id, s.span
), spans AS MATERIALIZED (
    SELECT *, coalesce(tokens, 0) AS consumed
    FROM credit_span
    LEFT JOIN used USING (customer_id, span)
), walked AS (
    -- before the first lot nothing can be taken
    SELECT customer_id, span, consumed, 0::BIGINT AS taken1, 0::BIGINT AS taken2, 0::BIGINT AS taken3, 0::BIGINT AS left1, 0::BIGINT AS left2, 0::BIGINT AS left3
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
), available AS MATERIALIZED (
    SELECT customer_id, span_start, span_end,
        CASE WHEN usable1 THEN left1 + taken1 ELSE 0 END + CASE WHEN usable2 THEN left2 + taken2 ELSE 0 END
        + CASE WHEN usable3 THEN left3 + taken3 ELSE 0 END AS credits
    FROM walked
    JOIN spans USING (customer_id, span)
)
SELECT customer_id, event_id, covered
FROM (SELECT customer_id, event_id,
          (least(after, credits) - least(after - input_tokens, credits))::BIGINT AS covered
      FROM (SELECT a.customer_id, e.event_id, e.input_tokens, a.credits,
                sum(e.input_tokens) OVER (PARTITION BY a.customer_id, a.span_start ORDER BY e."at", e.event_id ROWS UNBOUNDED PRECEDING) AS after
            FROM usage_event AS e
            JOIN available AS a ON a.customer_id = e.customer_id AND e."at" >= a.span_start AND e."at" < a.span_end) AS running) AS shared
