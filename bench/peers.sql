-- What the peers in plain SQL and DuckDB start from, made before any clock runs: each form of prices,
-- periods and tiers that makes their queries fastest. meter's queries read none of it.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET search_path = app, public;

-- The spans of constant prices of each model, its three prices side by side.
CREATE TABLE price_span AS
SELECT model, spans.valid_from, spans.valid_until,
    max(price) FILTER (WHERE unit = 'input_tokens') AS input_price,
    max(price) FILTER (WHERE unit = 'cache_read_tokens') AS cache_read_price,
    max(price) FILTER (WHERE unit = 'output_tokens') AS output_price
FROM (SELECT model, starts AS valid_from,
          coalesce(lead(starts) OVER (PARTITION BY model ORDER BY starts), 'infinity') AS valid_until
      FROM (SELECT DISTINCT model, coalesce(lower(valid), '-infinity') AS starts FROM rate) AS changes) AS spans
JOIN rate USING (model)
WHERE rate.valid @> spans.valid_from
   OR (spans.valid_from = '-infinity' AND lower_inf(rate.valid))
GROUP BY model, spans.valid_from, spans.valid_until;

-- The same as arrays of whole numbers: ten-thousandths of the price of a million tokens.
CREATE TABLE price_array AS
SELECT model, array_agg(valid_from ORDER BY valid_from) AS starts,
    array_agg((input_price * 10000)::bigint ORDER BY valid_from) AS input_prices,
    array_agg((cache_read_price * 10000)::bigint ORDER BY valid_from) AS cache_read_prices,
    array_agg((output_price * 10000)::bigint ORDER BY valid_from) AS output_prices
FROM price_span
GROUP BY model;

-- Every customer's billing periods over the half year.
CREATE TABLE period AS
SELECT customer_id, period_start,
    lead(period_start) OVER (PARTITION BY customer_id ORDER BY period_start) AS period_end
FROM customer, generate_series(0, 24) AS months,
    LATERAL (SELECT (anchor + months * interval '1 month') AT TIME ZONE timezone AS period_start) AS p
WHERE period_start BETWEEN '2025-05-25 00:00:00+00' AND '2026-02-10 00:00:00+00';

CREATE TABLE period_array AS
SELECT customer_id, array_agg(period_start ORDER BY period_start) AS starts
FROM period
GROUP BY customer_id;

-- A plan's tiers side by side as whole numbers, prices in ten-thousandths as above.
CREATE TABLE plan_scaled AS
SELECT plan_id, included, bound1, bound2,
    (price1 * 10000)::bigint AS price1, (price2 * 10000)::bigint AS price2, (price3 * 10000)::bigint AS price3
FROM plan;

ALTER TABLE price_array ADD PRIMARY KEY (model);
ALTER TABLE period_array ADD PRIMARY KEY (customer_id);
ALTER TABLE plan_scaled ADD PRIMARY KEY (plan_id);
DELETE FROM period WHERE period_end IS NULL;

-- Each customer's credits: its lots in the order in which they are taken, and the spans between their changes.
CREATE TABLE lots_of AS
SELECT customer_id, array_agg(amount ORDER BY place) AS amounts, array_agg(effective_at ORDER BY place) AS since,
    array_agg(coalesce(expires_at, 'infinity') ORDER BY place) AS until
FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY priority, expires_at, effective_at, grant_id) AS place
      FROM credit_grant) AS placed
GROUP BY customer_id;

CREATE TABLE credit_span AS
SELECT customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY span_start) - 1 AS span, span_start,
    coalesce(lead(span_start) OVER (PARTITION BY customer_id ORDER BY span_start), 'infinity') AS span_end,
    -- of each lot, what is new in it, and whether it can be taken
    CASE WHEN span_start = since[1] THEN amounts[1] ELSE 0 END AS given1, since[1] <= span_start AND span_start < until[1] AS usable1,
    CASE WHEN span_start = since[2] THEN amounts[2] ELSE 0 END AS given2, since[2] <= span_start AND span_start < until[2] AS usable2,
    CASE WHEN span_start = since[3] THEN amounts[3] ELSE 0 END AS given3, since[3] <= span_start AND span_start < until[3] AS usable3
FROM lots_of,
    LATERAL (SELECT DISTINCT starts AS span_start FROM unnest(since || until || timestamptz '-infinity') AS starts WHERE starts < 'infinity') AS s;

CREATE TABLE credit_span_array AS
SELECT customer_id, array_agg(span_start ORDER BY span) FILTER (WHERE span > 0) AS starts
FROM credit_span
GROUP BY customer_id;

ALTER TABLE credit_span ADD PRIMARY KEY (customer_id, span);
ALTER TABLE credit_span_array ADD PRIMARY KEY (customer_id);
