WITH RECURSIVE used AS (
    SELECT customer_id, span, tokens
    FROM credit_span AS s,
        LATERAL (SELECT sum(input_tokens)::bigint AS tokens
                 FROM usage_event AS e
                 WHERE e.customer_id = s.customer_id AND at >= span_start AND at < span_end) AS summed
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
), available AS MATERIALIZED (
    SELECT customer_id, span_start, span_end,
        CASE WHEN usable1 THEN left1 + taken1 ELSE 0 END + CASE WHEN usable2 THEN left2 + taken2 ELSE 0 END
        + CASE WHEN usable3 THEN left3 + taken3 ELSE 0 END AS credits
    FROM walked
    JOIN spans USING (customer_id, span)
)
SELECT customer_id, event_id, covered
FROM available,
    LATERAL (SELECT event_id, least(after, credits) - least(after - input_tokens, credits) AS covered
             FROM (SELECT event_id, input_tokens, sum(input_tokens::integer) OVER (ORDER BY at, event_id ROWS UNBOUNDED PRECEDING) AS after
                   FROM usage_event AS e
                   WHERE e.customer_id = available.customer_id AND at >= span_start AND at < span_end) AS running) AS shared
