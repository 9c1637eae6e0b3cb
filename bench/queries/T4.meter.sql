SELECT customer_id, meter.balance(burned, '2026-01-01') AS balance, meter.overage(burned) AS overage
FROM (SELECT customer_id,
          meter.burn((SELECT meter.wallet_book(customer_id, wallet)
                      FROM (SELECT customer_id, meter.wallet(grant_id, amount, NULL, priority, effective_at, expires_at, NULL, NULL, NULL) AS wallet
                            FROM credit_grant
                            GROUP BY customer_id) AS granted),
              customer_id, at, input_tokens) AS burned
      FROM usage_event
      GROUP BY customer_id) AS wallets
