-- scale: 0.000001
SELECT customer_id,
    sum(input_tokens::DECIMAL(10, 0) * input_price
        + cache_read_tokens::DECIMAL(10, 0) * cache_read_price
        + output_tokens::DECIMAL(10, 0) * output_price) AS cost
FROM usage_event AS e
JOIN price_span AS p ON p.model = e.model AND e."at" >= p.valid_from AND e."at" < p.valid_until
GROUP BY customer_id
