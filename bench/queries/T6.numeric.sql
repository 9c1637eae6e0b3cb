SELECT customer_id, event_id, CASE WHEN candidate <= at THEN candidate
        ELSE (anchor + make_interval(months => months - 1)) AT TIME ZONE timezone END AS period_start
FROM (SELECT *, (anchor + make_interval(months => months)) AT TIME ZONE timezone AS candidate
      FROM (SELECT customer_id, event_id, at, timezone, anchor,
                ((extract(year FROM local) - extract(year FROM anchor)) * 12
                 + extract(month FROM local) - extract(month FROM anchor))::integer AS months
            FROM (SELECT e.customer_id, e.event_id, e.at, c.timezone,
                      e.at AT TIME ZONE c.timezone AS local, c.anchor
                  FROM usage_event AS e
                  JOIN customer AS c USING (customer_id)
                  OFFSET 0) AS localised
            OFFSET 0) AS counted
      OFFSET 0) AS located
