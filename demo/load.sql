\echo
\echo '== Prices: a snapshot of 4,174 list prices, loaded into the catalogue'
\set ECHO queries
CREATE TEMP TABLE price_list (LIKE meter.rate_file, line bigint GENERATED ALWAYS AS IDENTITY (START WITH 2));
\set ECHO none
\copy price_list (provider, model, usage_type, unit_price, tier_start, effective_from, effective_to, currency, usage_units_per_priced_unit, list_price, list_price_per, tod_start, tod_end, rule_ord) FROM 'data/genai-prices-2026-09-23.csv' CSV HEADER
\set ECHO queries
SELECT outcome, sum(rates) AS rates, min(reason) AS for_example
FROM meter.load_rates('price_list')
GROUP BY outcome
ORDER BY outcome;
\set ECHO none

\echo
\echo '== Usage: one hour of requests to a real LLM service'
\echo '   19,366 requests of the Azure LLM inference trace 2023 (Microsoft, CC-BY-4.0). Times and tokens'
\echo '   are as recorded. The trace names no customer and no model: WHO ASKED WHICH MODEL IS SYNTHETIC,'
\echo '   assigned by a hash of the row number along a power law. The hour is billed as if it were a month.'
CREATE SCHEMA app;
CREATE TABLE app.llm_request (
	request_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	created_at timestamptz NOT NULL,
	prompt_tokens integer NOT NULL,
	completion_tokens integer NOT NULL,
	model text,
	account_id text
);
\copy app.llm_request (created_at, prompt_tokens, completion_tokens) FROM 'data/AzureLLMInferenceTrace_conv.csv' CSV HEADER

-- A number from 0 to below 1 that depends on the seed and the row number alone.
CREATE FUNCTION pg_temp.hashed(seed text, number bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN ('x' || left(encode(sha256(convert_to(seed || number, 'UTF8')), 'hex'), 8))::bit(32)::bigint / 4294967296.0;

UPDATE app.llm_request
SET account_id = 'acct-' || to_char(floor(power(40, power(pg_temp.hashed('account', request_id), 1.5))), 'FM00');

CREATE TABLE app.account (account_id text PRIMARY KEY, plan text NOT NULL, usual_model text NOT NULL);
INSERT INTO app.account
SELECT
	'acct-' || to_char(number, 'FM00'),
	('{Pro,Starter,Starter,Starter,Pro,Team,Starter,Starter,Starter,Starter}'::text[])[1 + (number - 1) % 10],
	('{anthropic/claude-opus-4-1,anthropic/claude-sonnet-4-5,anthropic/claude-opus-4-1,anthropic/claude-opus-4-1,openai/gpt-4o,openai/gpt-4o-mini,google/gemini-2.5-flash,anthropic/claude-haiku-4-5}'::text[])[1 + (number - 1) % 8]
FROM generate_series(1, 39) AS number;

-- Most requests go to the account's usual model, the others along the power law.
UPDATE app.llm_request
SET model = CASE
		WHEN pg_temp.hashed('usual', request_id) < 0.85 THEN usual_model
		ELSE ('{openai/gpt-4o-mini,openai/gpt-4o,anthropic/claude-sonnet-4-5,google/gemini-2.5-flash,anthropic/claude-opus-4-1,acme/support-7b,openai/gpt-4o-tuned}'::text[])[
			floor(power(8, pg_temp.hashed('model', request_id)))]
	END
FROM app.account
WHERE account.account_id = llm_request.account_id;
ANALYZE app.llm_request, app.account;

SELECT count(*) AS requests, count(DISTINCT account_id) AS accounts, count(DISTINCT model) AS models, min(created_at)::timestamptz(0) AS from, max(created_at)::timestamptz(0) AS until, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens
FROM app.llm_request;
