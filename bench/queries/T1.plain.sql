SELECT customer_id,
    sum(input_tokens * input_prices[span]
        + cache_read_tokens * cache_read_prices[span]
        + output_tokens * output_prices[span]) / 10000000000 AS cost
FROM (SELECT e.customer_id, e.input_tokens, e.cache_read_tokens, e.output_tokens,
          p.input_prices, p.cache_read_prices, p.output_prices, width_bucket(e.at, p.starts) AS span
      FROM usage_event AS e
      JOIN price_array AS p USING (model)
      OFFSET 0) AS priced
GROUP BY customer_id
