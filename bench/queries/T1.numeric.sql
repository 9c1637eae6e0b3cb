SELECT e.customer_id,
    sum(e.input_tokens * p.input_price
        + e.cache_read_tokens * p.cache_read_price
        + e.output_tokens * p.output_price) / 1000000 AS cost
FROM usage_event AS e
JOIN price_span AS p ON p.model = e.model AND e.at >= p.valid_from AND e.at < p.valid_until
GROUP BY e.customer_id
