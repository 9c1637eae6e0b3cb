SELECT customer_id, event_id, covered
FROM (SELECT customer_id, meter.wallet(grant_id, amount, NULL, priority, effective_at, expires_at, NULL, NULL, NULL) AS wallet
      FROM credit_grant
      GROUP BY customer_id) AS granted,
    LATERAL (SELECT event_id, meter.covered(wallet, at, input_tokens) OVER (ORDER BY at, event_id) AS covered
             FROM usage_event AS e
             WHERE e.customer_id = granted.customer_id) AS shared
