-- The benchmark's data: made here, from hashes of the row number, the same on every machine.
-- Variables: n, the number of events.
--
-- Half a year of requests as an application logs them: in order of time, customers by a power law
-- (Zipf 1.1 over 10,000), models by another. Rates change on dates of their own for each of the three
-- buckets of a model, so a model has up to ten spans of constant prices.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS app CASCADE;
CREATE SCHEMA app;
SET search_path = app, public;

-- A whole number in [0, below) that depends on its arguments alone.
CREATE FUNCTION pick(key bigint, seed integer, below integer) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((hashint8extended(key, seed) >> 20 & 4294967295) * below >> 32)::integer;

CREATE TABLE plan (
    plan_id integer PRIMARY KEY,
    included bigint NOT NULL,
    bound1 bigint NOT NULL,
    bound2 bigint NOT NULL,
    price1 numeric NOT NULL,    -- of a million tokens, in each tier above the included ones
    price2 numeric NOT NULL,
    price3 numeric NOT NULL,
    tariff meter.tariff
);

INSERT INTO plan (plan_id, included, bound1, bound2, price1, price2, price3) VALUES
    (1,   10000,   1000000,  100000000, 4.50, 4.25, 3.9025),
    (2,   50000,   2500000,  250000000, 4.00, 3.75, 3.50),
    (3,  250000,  10000000,  500000000, 3.60, 3.30, 3.05),
    (4, 1000000,  50000000, 1000000000, 3.20, 2.90, 2.4075);

UPDATE plan SET tariff = format(
    'graduated: up to %s at 0; up to %s at %s per 1000000; up to %s at %s per 1000000; above at %s per 1000000',
    included, bound1, price1, bound2, price2, price3)::meter.tariff;

CREATE TABLE customer (
    customer_id integer PRIMARY KEY,
    plan_id integer NOT NULL REFERENCES plan,
    anchor date NOT NULL,    -- the day that billing months are counted from
    timezone text NOT NULL
);

-- Billing days run from the 1st to the 31st, and the months that follow are shorter than some of them.
INSERT INTO customer
SELECT c, 1 + pick(c, 11, 4), date '2024-01-01' + pick(c, 12, 500), zones[1 + pick(c, 13, 20)]
FROM generate_series(1, 10000) AS c,
    (SELECT ('{UTC,America/New_York,America/Chicago,America/Denver,America/Los_Angeles,America/Sao_Paulo,'
         'America/Mexico_City,Europe/London,Europe/Berlin,Europe/Madrid,Europe/Athens,Europe/Istanbul,'
         'Africa/Lagos,Africa/Johannesburg,Asia/Dubai,Asia/Kolkata,Asia/Singapore,Asia/Tokyo,'
         'Australia/Sydney,Pacific/Auckland}')::text[] AS zones) AS known;

CREATE TABLE model (model_id integer PRIMARY KEY, model text NOT NULL);

INSERT INTO model
SELECT row_number() OVER (), model
FROM unnest('{openai/gpt-4o,openai/gpt-4o-mini,openai/gpt-4.1,openai/gpt-4.1-mini,openai/gpt-4.1-nano,'
    'openai/o3,openai/o4-mini,openai/gpt-5,openai/gpt-5-mini,anthropic/claude-opus-4-1,'
    'anthropic/claude-sonnet-4-5,anthropic/claude-3-5-haiku,google/gemini-2.5-pro,google/gemini-2.5-flash,'
    'google/gemini-2.0-flash,google/gemini-1.5-pro,mistral/mistral-large,mistral/mistral-small,'
    'mistral/codestral,cohere/command-r-plus,cohere/command-r,deepseek/deepseek-chat,'
    'deepseek/deepseek-reasoner,groq/llama-3.3-70b,groq/llama-3.1-8b,together/qwen-2.5-72b,'
    'xai/grok-3,xai/grok-3-mini,aws/nova-pro,aws/nova-lite}'::text[]) AS model;

-- Four dated rates for each of three buckets; the models' names are real, the prices are not.
CREATE TABLE rate (
    model text NOT NULL,
    unit text NOT NULL,
    price numeric NOT NULL,    -- of a million tokens
    valid tstzrange NOT NULL
);

INSERT INTO rate
SELECT model, unit, trim_scale((0.1 + pick(key + version, 21, 6000) / 1000.0) * weight),
    tstzrange(starts, lead(starts) OVER (PARTITION BY model, unit ORDER BY version))
FROM model, generate_series(0, 3) AS version,
    (VALUES (0, 'input_tokens', 1.0), (1, 'cache_read_tokens', 0.1), (2, 'output_tokens', 4.0))
        AS bucket (bucket, unit, weight),
    LATERAL (SELECT model_id * 100 + bucket * 10 AS key) AS keyed,
    LATERAL (SELECT CASE WHEN version > 0 THEN timestamptz '2025-07-01 00:00:00+00'
        + (version * 45 + pick(key + version, 22, 40)) * interval '1 day'
        + pick(key + version, 23, 24) * interval '1 hour' END AS starts) AS changed;

-- What rating reads stands first in the row; what else an application keeps comes after.
CREATE TABLE usage_event (
    customer_id integer NOT NULL,
    at timestamptz NOT NULL,
    input_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    model text NOT NULL,
    event_id bigint NOT NULL,
    user_name text NOT NULL
);

INSERT INTO usage_event
WITH zipf AS (
    -- where each rank's part of the unit interval begins, in units of 2^-40; decimals give every machine the same
    SELECT array_agg(begins ORDER BY rank) AS bounds
    FROM (SELECT rank, trunc(sum(weight) OVER (ORDER BY rank) / sum(weight) OVER () * 1099511627776)::bigint AS begins
          FROM (SELECT rank, power(rank::numeric, -1.1) AS weight FROM generate_series(1, 10000) AS rank) AS weights) AS ends
    WHERE rank < 10000
), names AS (
    SELECT array_agg(model ORDER BY model_id) AS models FROM model
)
SELECT
    -- a permutation, so that a heavy customer may have any number
    (width_bucket(h1 & 1099511627775, (SELECT bounds FROM zipf)) * 7919 + 4242) % 10000 + 1,
    timestamptz '2025-07-01 00:00:00+00'
        + (i * (15552000000000 / :n) + (h1 >> 40 & 8388607) * 50) * interval '1 microsecond',
    20 + (h2 & 1023) * (h2 >> 10 & 1023) * (h2 >> 20 & 1023) / 65536,
    CASE WHEN h2 >> 30 & 7 < 3 THEN (h2 >> 33 & 127) * 128 ELSE 0 END,
    1 + (h2 >> 40 & 255) * (h2 >> 48 & 255) / 32,
    (SELECT models FROM names)[1 + (h3 & 65535) * (h3 & 65535) * 30 / 4294967296],
    i,
    'user-' || (h3 >> 16 & 65535)
FROM generate_series(1, :n) AS i,
    LATERAL (SELECT hashint8extended(i, 1) AS h1, hashint8extended(i, 2) AS h2, hashint8extended(i, 3) AS h3) AS hashed;

CREATE INDEX usage_event_in_order ON usage_event (customer_id, at, event_id) INCLUDE (input_tokens);

-- The same events with the buckets in one column. input_tokens stays beside it, so that the floor
-- F3 can run on this table too; rating does not read it.
CREATE TABLE usage_packed (
    customer_id integer NOT NULL,
    at timestamptz NOT NULL,
    input_tokens bigint NOT NULL,
    usage meter.usage NOT NULL,
    model text NOT NULL,
    event_id bigint NOT NULL,
    user_name text NOT NULL
);

INSERT INTO usage_packed
SELECT customer_id, at, input_tokens,
    meter.usage('input_tokens', input_tokens, 'cache_read_tokens', cache_read_tokens, 'output_tokens', output_tokens),
    model, event_id, user_name
FROM usage_event;

-- Three lots for each customer, which begin and end while there is usage, of as many credits as cover
-- some two thirds of it: an allotment that expires, a promotion that goes first, and credits that
-- were bought and stay.
CREATE TABLE credit_grant (
    customer_id integer NOT NULL,
    grant_id text NOT NULL,
    amount bigint NOT NULL,
    priority integer NOT NULL,
    effective_at timestamptz NOT NULL,
    expires_at timestamptz
);

INSERT INTO credit_grant
SELECT customer_id, kind, tokens * (percent + pick(key, 31, 20)) / 100 + 1, priority,
    timestamptz '2025-07-01 00:00:00+00' + pick(key, 32, from_days * 24) * interval '1 hour',
    timestamptz '2025-07-01 00:00:00+00' + (from_days + pick(key, 33, days)) * interval '1 day'
FROM (SELECT customer_id, sum(input_tokens)::bigint AS tokens FROM usage_event GROUP BY customer_id) AS used,
    (VALUES (1, 'allotment', 20, 1, 20, 60), (2, 'promotion', 5, 0, 60, 60), (3, 'purchase', 25, 1, 120, NULL))
        AS lot (number, kind, percent, priority, from_days, days),
    LATERAL (SELECT customer_id * 4::bigint + number AS key) AS keyed;
