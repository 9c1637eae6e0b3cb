-- Ready mappings, on the tables as LiteLLM, Phoenix and Langfuse create them.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET client_min_messages = warning;
INSERT INTO meter.rate (item, unit, price, per) VALUES
	('openai/gpt-4o', 'input_tokens', 2.5, 1000000), ('openai/gpt-4o', 'cache_read_tokens', 1.25, 1000000), ('openai/gpt-4o', 'output_tokens', 10, 1000000),
	('anthropic/claude', 'input_tokens', 3, 1000000), ('anthropic/claude', 'cache_read_tokens', 0.3, 1000000), ('anthropic/claude', 'cache_write_tokens', 3.75, 1000000), ('anthropic/claude', 'cache_write_1h_tokens', 6, 1000000), ('anthropic/claude', 'output_tokens', 15, 1000000);

-- LiteLLM: model LiteLLM_SpendLogs of schema.prisma in BerriAI/litellm at 029f645f, as Prisma creates it.
CREATE SCHEMA litellm;
CREATE TABLE litellm."LiteLLM_SpendLogs" (
	"request_id" TEXT NOT NULL,
	"call_type" TEXT NOT NULL,
	"api_key" TEXT NOT NULL DEFAULT '',
	"spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0,
	"total_tokens" INTEGER NOT NULL DEFAULT 0,
	"prompt_tokens" INTEGER NOT NULL DEFAULT 0,
	"completion_tokens" INTEGER NOT NULL DEFAULT 0,
	"startTime" TIMESTAMP(3) NOT NULL,
	"endTime" TIMESTAMP(3) NOT NULL,
	"request_duration_ms" INTEGER,
	"completionStartTime" TIMESTAMP(3),
	"model" TEXT NOT NULL DEFAULT '',
	"model_id" TEXT DEFAULT '',
	"model_group" TEXT DEFAULT '',
	"custom_llm_provider" TEXT DEFAULT '',
	"api_base" TEXT DEFAULT '',
	"user" TEXT DEFAULT '',
	"metadata" JSONB DEFAULT '{}',
	"cache_hit" TEXT DEFAULT '',
	"cache_key" TEXT DEFAULT '',
	"request_tags" JSONB DEFAULT '[]',
	"team_id" TEXT,
	"organization_id" TEXT,
	"end_user" TEXT,
	"requester_ip_address" TEXT,
	"messages" JSONB DEFAULT '{}',
	"response" JSONB DEFAULT '{}',
	"session_id" TEXT,
	"status" TEXT,
	"mcp_namespaced_tool_name" TEXT,
	"agent_id" TEXT,
	"proxy_server_request" JSONB DEFAULT '{}',
	CONSTRAINT "LiteLLM_SpendLogs_pkey" PRIMARY KEY ("request_id")
);
CREATE INDEX ON litellm."LiteLLM_SpendLogs" ("startTime");
INSERT INTO litellm."LiteLLM_SpendLogs" (request_id, call_type, prompt_tokens, completion_tokens, "startTime", "endTime", model, custom_llm_provider, "user", metadata, cache_hit, team_id, end_user, session_id, status, spend)
SELECT id, 'acompletion', prompt, completion, '2024-04-01 10:00', '2024-04-01 10:01', model, provider, '', metadata::jsonb, hit, team, end_user, 's1', status, 0.5
FROM (VALUES
	('plain', 1000, 100, 'gpt-4o', 'openai', '{}', 'False', 't1', 'acme', 'success'),
	('of a team', 1000, 100, 'gpt-4o', 'openai', '{"usage_object": null}', '', 't1', '', NULL),
	('openai', 1000, 100, 'gpt-4o', 'openai', '{"usage_object": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "prompt_tokens_details": {"cached_tokens": 640, "audio_tokens": 60}, "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 6, "accepted_prediction_tokens": 0}}}', 'False', NULL, 'acme', 'success'),
	('anthropic', 2000, 100, 'anthropic/claude', 'anthropic', '{"usage_object": {"prompt_tokens": 2000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 1200, "cache_creation_tokens": 500, "cache_creation_token_details": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200}}, "cache_read_input_tokens": 1200, "cache_creation_input_tokens": 500}}', 'False', NULL, 'acme', 'success'),
	('older', 2000, 100, 'claude', 'anthropic', '{"additional_usage_values": {"completion_tokens_details": null, "prompt_tokens_details": null, "cache_read_input_tokens": 1200, "cache_creation_input_tokens": 500}}', 'None', NULL, 'acme', ''),
	('from the cache', 1000, 100, 'gpt-4o', 'openai', '{}', 'True', NULL, 'acme', 'success'),
	('failed', 0, 0, '', '', '{"status": "failure"}', '', NULL, 'acme', NULL),
	('beside', 31, 467, 'claude', 'anthropic', '{"usage_object": {"cache_creation_input_tokens": 1253}}', '', NULL, 'acme', 'success'),
	('no number', 31, 467, 'claude', 'anthropic', '{"usage_object": {"prompt_tokens_details": {"cached_tokens": "7"}}}', '', NULL, 'acme', 'success'),
	('nobody', 31, 467, 'claude', 'anthropic', '{}', '', NULL, NULL, 'success'),
	('odd status', 31, 467, 'claude', 'anthropic', '{}', '', NULL, 'acme', 'retried')
) AS log (id, prompt, completion, model, provider, metadata, hit, team, end_user, status);
SELECT meter.attach_litellm();
SELECT meter.attach_litellm('litellm."LiteLLM_SpendLogs"');
SELECT event_id, customer_id, item, usage, variant, outcome, request_class, workflow_id FROM meter.attached_event ORDER BY event_id;
SELECT event_id, problem FROM meter.attached_problem ORDER BY event_id;
-- The buckets are those of meter.usage_from.
SELECT event_id, usage = meter.usage_from('openai', source_row #> '{metadata,usage_object}') AS same
FROM meter.attached_litellm
WHERE event_id = 'openai';
SELECT event_id, usage = meter.usage_from('inclusive', '{"input_tokens": 2000, "cache_read_tokens": 1200, "cache_write_tokens": 500, "output_tokens": 100, "cache_write_1h_tokens": 200, "cache_write_5m_tokens": 300}') AS same
FROM meter.attached_litellm
WHERE event_id = 'anthropic';
-- By hand: 300 x 2.5 + 640 x 1.25 + 60 x 2.5 + 100 x 10; 300 x 3 + 1200 x 0.3 + 300 x 3.75 + 200 x 6 + 100 x 15; the older one without a 1h part; a hit is free.
SELECT event_id, meter.cost((SELECT meter.card('cost')), item, occurred_at, usage, variant) * 1000000 AS millionths
FROM meter.attached_event
ORDER BY event_id;
SELECT customer_id, item, variant, outcome, events, cost FROM meter.usage_by_day ORDER BY customer_id, item, variant, outcome;
CALL meter.refresh();
SELECT customer_id, item, variant, outcome, events, cost FROM meter.usage_by_day ORDER BY customer_id, item, variant, outcome;
SELECT * FROM meter.audit(dates => '[2024-01-01,2025-01-01)');
-- Another customer, another item.
SELECT meter.attach_litellm('litellm."LiteLLM_SpendLogs"', customer => 'coalesce(team_id, ''none'')', item => 'coalesce(nullif(model_group, ''''), ''any'')', name => 'litellm_teams');
SELECT customer_id, sum(events) AS events FROM meter.attached_by_day WHERE attachment = 'litellm_teams' GROUP BY customer_id ORDER BY customer_id;
SELECT meter.detach(name) FROM meter.attachment;
-- The table as it was in early 2024 (LiteLLM's migration 20240327215139).
CREATE TABLE "LiteLLM_SpendLogs" (
	"request_id" TEXT NOT NULL,
	"call_type" TEXT NOT NULL,
	"api_key" TEXT NOT NULL DEFAULT '',
	"spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0,
	"total_tokens" INTEGER NOT NULL DEFAULT 0,
	"prompt_tokens" INTEGER NOT NULL DEFAULT 0,
	"completion_tokens" INTEGER NOT NULL DEFAULT 0,
	"startTime" TIMESTAMP(3) NOT NULL,
	"endTime" TIMESTAMP(3) NOT NULL,
	"model" TEXT NOT NULL DEFAULT '',
	"api_base" TEXT NOT NULL DEFAULT '',
	"user" TEXT NOT NULL DEFAULT '',
	"metadata" JSONB NOT NULL DEFAULT '{}',
	"cache_hit" TEXT NOT NULL DEFAULT '',
	"cache_key" TEXT NOT NULL DEFAULT '',
	"request_tags" JSONB NOT NULL DEFAULT '[]',
	"team_id" TEXT,
	"end_user" TEXT,
	CONSTRAINT "LiteLLM_SpendLogs_pkey" PRIMARY KEY ("request_id")
);
INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, prompt_tokens, completion_tokens, "startTime", "endTime", model, "user")
VALUES ('r', 'completion', 7, 8, '2024-04-01 10:00', '2024-04-01 10:01', 'openai/gpt-4o', 'somebody');
SELECT meter.attach_litellm();
SELECT customer_id, item, usage, outcome, workflow_id FROM meter.attached_event;
SELECT meter.detach('litellm');

-- Phoenix: its migrations cf03bd6bae1d (init), 3be8647b87d8 (token columns) and a20694b15f82 (cost), of Arize-ai/phoenix, as far as they concern spans.
CREATE TABLE traces (id serial PRIMARY KEY, project_rowid integer NOT NULL, trace_id varchar NOT NULL UNIQUE, start_time timestamptz NOT NULL, end_time timestamptz NOT NULL);
CREATE TABLE spans (
	id serial PRIMARY KEY,
	trace_rowid integer NOT NULL REFERENCES traces,
	span_id varchar NOT NULL UNIQUE,
	parent_id varchar,
	name varchar NOT NULL,
	span_kind varchar NOT NULL,
	start_time timestamptz NOT NULL,
	end_time timestamptz NOT NULL,
	attributes jsonb NOT NULL,
	events jsonb NOT NULL,
	status_code varchar NOT NULL DEFAULT 'UNSET' CONSTRAINT valid_status CHECK (status_code IN ('OK', 'ERROR', 'UNSET')),
	status_message varchar NOT NULL,
	cumulative_error_count integer NOT NULL,
	cumulative_llm_token_count_prompt integer NOT NULL,
	cumulative_llm_token_count_completion integer NOT NULL,
	llm_token_count_prompt integer,
	llm_token_count_completion integer
);
CREATE TABLE span_costs (id serial PRIMARY KEY, span_rowid integer NOT NULL REFERENCES spans, trace_rowid integer NOT NULL REFERENCES traces, model_id integer, span_start_time timestamptz NOT NULL, total_cost double precision, total_tokens double precision, prompt_cost double precision, prompt_tokens double precision, completion_cost double precision, completion_tokens double precision);
CREATE TABLE span_cost_details (id serial PRIMARY KEY, span_cost_id integer NOT NULL REFERENCES span_costs, token_type varchar NOT NULL, is_prompt boolean NOT NULL, cost double precision, tokens double precision, cost_per_token double precision, UNIQUE (span_cost_id, token_type, is_prompt));
INSERT INTO traces VALUES (1, 1, 't1', '2024-04-02 00:00+00', '2024-04-02 00:01+00');
INSERT INTO spans (id, trace_rowid, span_id, parent_id, name, span_kind, start_time, end_time, attributes, events, status_code, status_message, cumulative_error_count, cumulative_llm_token_count_prompt, cumulative_llm_token_count_completion, llm_token_count_prompt, llm_token_count_completion)
SELECT id, 1, 'span' || id, NULL, 'ChatCompletion', kind, '2024-04-02 00:00+00', '2024-04-02 00:01+00', attributes::jsonb, '[]', status, '', 0, 3000, 300, prompt, completion
FROM (VALUES
	(1, 'CHAIN', '{"user": {"id": "u1"}, "llm": {"token_count": {"prompt": 3000}}}', 'OK', NULL, NULL),
	(2, 'LLM', '{"user": {"id": "u1"}, "session": {"id": "s1"}, "metadata": {"tenant": "acme"}, "llm": {"provider": "openai", "model_name": "gpt-4o", "token_count": {"prompt": 1000, "completion": 100, "total": 1100, "prompt_details": {"cache_read": 640, "audio": 60}, "completion_details": {"reasoning": 64}}}}', 'OK', 1000, 100),
	(3, 'LLM', '{"user": {"id": "u1"}, "llm": {"model_name": "gpt-4o", "token_count": {"prompt": 5, "completion": 6}}}', 'ERROR', NULL, NULL),
	(4, 'LLM', '{"user": {"id": "u2"}, "llm": {"provider": "openai", "model_name": "gpt-4o"}}', 'UNSET', NULL, NULL),
	(5, 'LLM', '{"user": {"id": "u2"}, "llm": {"provider": "openai", "model_name": "gpt-4o", "token_count": {"prompt": 5, "prompt_details": {"cache_read": 6}}}}', 'OK', 5, 0),
	(6, 'LLM', '{"llm": {"provider": "openai", "model_name": "gpt-4o"}}', 'OK', 5, 5),
	(7, 'LLM', '{"user": {"id": "u2"}}', 'OK', 0, 0)
) AS span (id, kind, attributes, status, prompt, completion);
INSERT INTO span_costs (id, span_rowid, trace_rowid, span_start_time) VALUES (1, 2, 1, '2024-04-02 00:00+00');
INSERT INTO span_cost_details (span_cost_id, token_type, is_prompt, tokens)
VALUES (1, 'input', true, 300), (1, 'cache_read', true, 640), (1, 'audio', true, 60), (1, 'output', false, 36), (1, 'reasoning', false, 64);
SELECT meter.attach_phoenix();
SELECT event_id, customer_id, item, usage, outcome, user_id, workflow_id FROM meter.attached_event ORDER BY event_id;
SELECT event_id, problem FROM meter.attached_problem ORDER BY event_id;
-- The buckets are those that Phoenix computes costs of.
SELECT unit, quantity, tokens
FROM meter.attached_event
CROSS JOIN meter.each(usage)
LEFT JOIN span_cost_details ON unit = CASE WHEN is_prompt THEN (ARRAY['input_tokens', 'cache_read_tokens', 'input_audio_tokens'])[array_position('{input,cache_read,audio}', token_type::text)]
	ELSE (ARRAY['output_tokens', 'output_reasoning_tokens'])[array_position('{output,reasoning}', token_type::text)] END
WHERE event_id = 'span2'
ORDER BY unit;
SELECT customer_id, item, outcome, events, cost FROM meter.usage_by_day ORDER BY customer_id, item;
SELECT meter.detach('phoenix');
SELECT meter.attach_phoenix(customer => $$attributes #>> '{metadata,tenant}'$$);
SELECT customer_id, events FROM meter.attached_by_day;
SELECT meter.detach('phoenix');

-- Langfuse: models LegacyPrismaTrace and LegacyPrismaObservation of packages/shared/prisma/schema.prisma in langfuse/langfuse at 32cdc889, as Prisma creates them.
DROP TABLE traces CASCADE;
CREATE TYPE "ObservationType" AS ENUM ('SPAN', 'EVENT', 'GENERATION', 'AGENT', 'TOOL', 'CHAIN', 'RETRIEVER', 'EVALUATOR', 'EMBEDDING', 'GUARDRAIL');
CREATE TYPE "ObservationLevel" AS ENUM ('DEBUG', 'DEFAULT', 'WARNING', 'ERROR');
CREATE TABLE traces (
	"id" TEXT NOT NULL PRIMARY KEY,
	"timestamp" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
	"name" TEXT,
	"user_id" TEXT,
	"metadata" JSONB,
	"project_id" TEXT NOT NULL,
	"session_id" TEXT
);
CREATE TABLE observations (
	"id" TEXT NOT NULL PRIMARY KEY,
	"trace_id" TEXT,
	"project_id" TEXT NOT NULL,
	"type" "ObservationType" NOT NULL,
	"start_time" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
	"end_time" TIMESTAMP(3),
	"name" TEXT,
	"metadata" JSONB,
	"parent_observation_id" TEXT,
	"level" "ObservationLevel" NOT NULL DEFAULT 'DEFAULT',
	"status_message" TEXT,
	"version" TEXT,
	"created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
	"updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
	"model" TEXT,
	"internal_model" TEXT,
	"internal_model_id" TEXT,
	"modelParameters" JSONB,
	"input" JSONB,
	"output" JSONB,
	"prompt_tokens" INTEGER NOT NULL DEFAULT 0,
	"completion_tokens" INTEGER NOT NULL DEFAULT 0,
	"total_tokens" INTEGER NOT NULL DEFAULT 0,
	"unit" TEXT,
	"input_cost" DECIMAL(65, 30),
	"output_cost" DECIMAL(65, 30),
	"total_cost" DECIMAL(65, 30),
	"calculated_input_cost" DECIMAL(65, 30),
	"calculated_output_cost" DECIMAL(65, 30),
	"calculated_total_cost" DECIMAL(65, 30),
	"completion_start_time" TIMESTAMP(3),
	"prompt_id" TEXT
);
INSERT INTO traces (id, project_id, user_id) VALUES ('t1', 'p1', 'acme'), ('t2', 'p1', NULL);
INSERT INTO observations (id, trace_id, project_id, type, start_time, level, model, internal_model, prompt_tokens, completion_tokens) VALUES
	('span', 't1', 'p1', 'SPAN', '2024-04-03 12:00', 'DEFAULT', NULL, NULL, 0, 0),
	('one', 't1', 'p1', 'GENERATION', '2024-04-03 12:00', 'DEFAULT', 'openai/gpt-4o', 'gpt-4o', 1000, 100),
	('two', 't1', 'p1', 'GENERATION', '2024-04-03 12:00', 'ERROR', '', 'openai/gpt-4o', 10, 0),
	('three', 't2', 'p1', 'EMBEDDING', '2024-04-03 12:00', 'DEFAULT', 'openai/gpt-4o', NULL, 5, 0);
SELECT meter.attach_langfuse();
SELECT event_id, customer_id, occurred_at, item, usage, outcome, request_class, workflow_id FROM meter.attached_event ORDER BY event_id;
SELECT meter.detach('langfuse');
-- With the user of the trace, and usage_details, as a generations table of today has them: a view joins the two.
CREATE TABLE generations (id text, trace_id text, project_id text, type text, start_time timestamptz, level text, provided_model_name text, usage_details jsonb, cost_details jsonb);
INSERT INTO generations
SELECT 'g' || n, 't1', 'p1', 'GENERATION', '2024-04-03 12:00+00', 'DEFAULT', 'openai/gpt-4o', details::jsonb, '{}'
FROM unnest(ARRAY[
	'{"input": 300, "input_cached_tokens": 640, "input_audio_tokens": 60, "output": 36, "output_reasoning_tokens": 64, "total": 1100}',
	'{"input": 10, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 30, "input_cache_creation_1h": 5, "web_search_queries": 2, "output": 0}',
	'{"total": 1100}',
	'{"input": 10, "Odd-Key": 3}',
	'{}',
	NULL,
	'{"input": -1}',
	'{"input": "12"}',
	'{"1x": 3}',
	'[1]',
	'{"input": 0.1234567890123}']) WITH ORDINALITY AS generation (details, n);
CREATE VIEW generation AS SELECT generations.*, traces.user_id FROM generations LEFT JOIN traces ON traces.id = trace_id;
SELECT meter.attach_langfuse('generation', name => 'generations');
SELECT event_id, customer_id, item, usage, user_id FROM meter.attached_event ORDER BY event_id;
SELECT event_id, problem FROM meter.attached_problem ORDER BY event_id;
SELECT unit, events FROM meter.unpriced_usage ORDER BY unit;
CALL meter.refresh_attached();
SELECT customer_id, events, usage, unpriced_cost FROM meter.usage_by_day;
SELECT meter.detach('generations');

-- A function alone.
SELECT value, meter.json_quantity(value) FROM unnest(ARRAY['1', '1.50', '-3', 'null', NULL, '"1"', '[]', 'true', '{}']::jsonb[]) AS value;
SELECT meter.attach_phoenix('traces');
SELECT meter.attach_langfuse('traces');
