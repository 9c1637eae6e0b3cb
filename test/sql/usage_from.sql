--
-- usage_from: what providers' payloads report, as disjoint buckets
--
\set VERBOSITY terse

-- OpenAI: chat completions, responses, the usage object alone; details that are null or unknown
SELECT meter.usage_from('openai', '{"model": "gpt-4o", "usage": {"prompt_tokens": 17903, "completion_tokens": 321, "total_tokens": 18224,
	"prompt_tokens_details": {"cached_tokens": 17817, "audio_tokens": 0},
	"completion_tokens_details": {"reasoning_tokens": 100, "audio_tokens": 0, "accepted_prediction_tokens": 7, "rejected_prediction_tokens": 0}}}');
SELECT meter.usage_from('openai', '{"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 600}, "output_tokens": 50,
	"output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 1050}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": null, "completion_tokens_details": null, "requests": 12}');
SELECT meter.usage_from('openai', '{"usage": {"prompt_tokens": 8, "total_tokens": 8}}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 0, "completion_tokens": 0}');
-- audio, text and image; text is what a plain unit counts
SELECT meter.usage_from('openai', '{"input_tokens": 5000, "output_tokens": 900,
	"input_token_details": {"text_tokens": 2000, "audio_tokens": 3000, "cached_tokens": 1000, "cached_tokens_details": {"text_tokens": 500, "audio_tokens": 500}},
	"output_token_details": {"text_tokens": 100, "audio_tokens": 800}}');
SELECT meter.usage_from('openai', '{"input_tokens": 500, "input_tokens_details": {"text_tokens": 200, "image_tokens": 300}, "output_tokens": 4160,
	"output_tokens_details": {"image_tokens": 4160, "text_tokens": 0}}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 1000, "prompt_tokens_details": {"text_tokens": 1000, "cached_tokens": 800, "cache_write_tokens": 150}}');
-- both cached and audio, and nobody says how many are both: none, or an error
SELECT meter.usage_from('openai', '{"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 50}}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 50}}');
-- transcriptions by the second
SELECT meter.usage_from('openai', '{"text": "...", "usage": {"type": "duration", "seconds": 27.5}}');
-- DeepSeek: any two of prompt, hit and miss
SELECT meter.usage_from('openai', '{"prompt_tokens": 100, "completion_tokens": 9, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36,
	"prompt_tokens_details": {"cached_tokens": 64}}');
SELECT meter.usage_from('openai', '{"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36, "completion_tokens": 9}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 100, "prompt_cache_hit_tokens": 64}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 100, "prompt_cache_miss_tokens": 36}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 100, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 35}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 10, "prompt_cache_miss_tokens": 36}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 100, "prompt_cache_hit_tokens": 64, "prompt_tokens_details": {"cached_tokens": 63}}');
-- what does not add up
SELECT meter.usage_from('openai', '{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}');
SELECT meter.usage_from('openai', '{"completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}');
SELECT meter.usage_from('openai', '{"completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 0}}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 6}}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 100, "prompt_tokens_details": {"text_tokens": 60, "audio_tokens": 50}}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 10, "input_tokens": 11}');
SELECT meter.usage_from('openai', '{"prompt_tokens": -1}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 1.5}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 1e-13}');
SELECT meter.usage_from('openai', '{"prompt_tokens": "10"}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 10, "prompt_tokens_details": [1]}');
SELECT meter.usage_from('openai', '{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": true}}');
SELECT meter.usage_from('openai', '{"usage": null}');
SELECT meter.usage_from('openai', '{}');
SELECT meter.usage_from('openai', '[]');
SELECT meter.usage_from('openai', '7');
SELECT meter.usage_from('openai', NULL), meter.usage_from(NULL, '{}');
SELECT meter.usage_from('cohere', '{}');

-- Anthropic: caches beside the input, 5m and 1h writes inside the writes
SELECT meter.usage_from('anthropic', '{"model": "claude-3-7-sonnet-20250219", "usage": {"input_tokens": 3, "cache_creation_input_tokens": 12304,
	"cache_read_input_tokens": 0, "output_tokens": 550}}');
SELECT meter.usage_from('anthropic', '{"input_tokens": 2048, "cache_read_input_tokens": 1800, "cache_creation_input_tokens": 248, "output_tokens": 503,
	"cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100}, "service_tier": "standard",
	"server_tool_use": {"web_search_requests": 2}}');
SELECT meter.usage_from('anthropic', '{"input_tokens": 1, "cache_creation_input_tokens": 250, "output_tokens": 3, "cache_creation": {"ephemeral_1h_input_tokens": 100}}');
SELECT meter.usage_from('anthropic', '{"input_tokens": 1, "cache_creation_input_tokens": null, "cache_creation": null, "server_tool_use": null, "output_tokens": 3}');
SELECT meter.usage_from('anthropic', '{"output_tokens": 15}');
SELECT meter.usage_from('anthropic', '{"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 148}}');
SELECT meter.usage_from('anthropic', '{"input_tokens": 1, "cache_creation_input_tokens": 100, "cache_creation": {"ephemeral_5m_input_tokens": 80, "ephemeral_1h_input_tokens": 30}}');
SELECT meter.usage_from('anthropic', '{"input_tokens": 1, "cache_creation_input_tokens": 100, "cache_creation": {"ephemeral_5m_input_tokens": 101}}');
SELECT meter.usage_from('anthropic', '{"prompt_tokens": 5, "completion_tokens": 7}');

-- Google: cached inside the prompt; thoughts and the prompt of tool use beside
SELECT meter.usage_from('google', '{"modelVersion": "gemini-2.5-pro", "usageMetadata": {"promptTokenCount": 262960, "cachedContentTokenCount": 257955,
	"candidatesTokenCount": 1000, "thoughtsTokenCount": 744, "totalTokenCount": 264704}}');
SELECT meter.usage_from('google', '{"promptTokenCount": 300, "candidatesTokenCount": 40, "toolUsePromptTokenCount": 25, "cachedContentTokenCount": 100,
	"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 50}, {"modality": "AUDIO", "tokenCount": 150}, {"modality": "IMAGE", "tokenCount": 60}, {"modality": "DOCUMENT", "tokenCount": 40}],
	"cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 70}, {"modality": "TEXT", "tokenCount": 30}],
	"candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 30}, {"modality": "AUDIO", "tokenCount": 10}],
	"toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}, {"modality": "IMAGE", "tokenCount": 20}]}');
SELECT meter.usage_from('google', '{"promptTokenCount": 10, "responseTokenCount": 4, "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
	"promptTokensDetails": [{"modality": "VIDEO", "tokenCount": 6}, {"modality": "HOLOGRAM", "tokenCount": 4}, {"tokenCount": 1}, {"modality": "TEXT"}]}');
SELECT meter.usage_from('google', '{"thoughtsTokenCount": 7, "promptTokenCount": 10}');
SELECT meter.usage_from('google', '{"promptTokenCount": 100, "cachedContentTokenCount": 101}');
SELECT meter.usage_from('google', '{"promptTokenCount": 100, "toolUsePromptTokenCount": 50, "cachedContentTokenCount": 101}');
SELECT meter.usage_from('google', '{"promptTokenCount": 100, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 101}]}');
SELECT meter.usage_from('google', '{"promptTokenCount": 100, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 60}, {"modality": "TEXT", "tokenCount": 60}]}');
SELECT meter.usage_from('google', '{"promptTokenCount": 100, "promptTokensDetails": {"AUDIO": 1}}');
SELECT meter.usage_from('google', '{"promptTokenCount": 100, "promptTokensDetails": [1]}');
SELECT meter.usage_from('google', '{"promptTokenCount": 100, "promptTokensDetails": [{"modality": 1}]}');
SELECT meter.usage_from('google', '{"promptTokenCount": 100, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": -1}]}');
SELECT meter.usage_from('google', '{"totalTokenCount": 100}');

-- inclusive: wholes that include their parts
SELECT meter.usage_from('inclusive', '{}');
SELECT meter.usage_from('inclusive', '{"input_tokens": 5000, "input_audio_tokens": 3000, "cache_read_tokens": 1000, "cache_audio_read_tokens": 500,
	"output_tokens": 900, "output_audio_tokens": 800, "requests": 3}');
SELECT meter.usage_from('inclusive', '{"input_tokens": 21000, "cache_read_tokens": 15000, "cache_write_tokens": 5000, "cache_write_1h_tokens": 2000, "output_tokens": 900}');
SELECT meter.usage_from('inclusive', '{"input_tokens": 100, "input_text_tokens": 60, "cache_read_tokens": 50, "output_tokens": null, "gpu_seconds": 0.125, "own": 0, "audio_seconds": 3.5, "web_searches": 7, "actions": 1}');
SELECT meter.usage_from('inclusive', '{"audio_seconds": 10, "input_audio_seconds": 4.5, "output_audio_seconds": 5.5, "input_document_pages": 9, "input_annotated_document_pages": 4}');
SELECT meter.usage_from('inclusive', '{"input_tokens": 3, "cache_write_tokens": 12304, "output_tokens": 550}');
SELECT meter.usage_from('inclusive', '{"input_tokens": 10, "output_tokens": 5, "output_reasoning_tokens": 6}');
SELECT meter.usage_from('inclusive', '{"input_tokens": 100, "cache_write_5m_tokens": 10}');
SELECT meter.usage_from('inclusive', '{"input_tokens": 100, "cache_read_tokens": 60, "input_audio_tokens": 60}');
SELECT meter.usage_from('inclusive', '{"input_tokens": 100, "input_text_tokens": 101}');
SELECT meter.usage_from('inclusive', '{"input_tokens": -1, "output_tokens": 5}');
SELECT meter.usage_from('inclusive', '{"input_tokens": 0.5}');
SELECT meter.usage_from('inclusive', '{"own": -0.5}');
SELECT meter.usage_from('inclusive', '{"input_tokens": "1"}');
SELECT meter.usage_from('inclusive', '{"own": {}}');
SELECT meter.usage_from('inclusive', '{"promptTokens": 1}');
SELECT meter.usage_from('inclusive', '{"input_tokens": 1e27}');

-- every kind comes to the same buckets
SELECT count(DISTINCT u), min(u::text) FROM (VALUES
	(meter.usage_from('openai', '{"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 70}, "completion_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 10}}')),
	(meter.usage_from('anthropic', '{"input_tokens": 30, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 0, "output_tokens": 30, "output_tokens_details": {"thinking_tokens": 10}}')),
	(meter.usage_from('google', '{"promptTokenCount": 100, "cachedContentTokenCount": 70, "candidatesTokenCount": 20, "thoughtsTokenCount": 10}')),
	(meter.usage_from('inclusive', '{"input_tokens": 100, "cache_read_tokens": 70, "output_tokens": 30, "output_reasoning_tokens": 10}'))) v(u);

-- random wholes with disjoint leaves, put together and taken apart again
SELECT setseed(0.25);
CREATE TABLE leaves AS
	SELECT i, (random() * 50)::integer AS plain, (random() * 50)::integer AS read, (random() * 50)::integer AS audio,
		(random() * 50)::integer AS read_audio, (random() * 50)::integer AS write, (random() * 50)::integer AS write_5m, (random() * 50)::integer AS write_1h
	FROM generate_series(1, 1000) i;
SELECT count(*) FROM leaves WHERE meter.usage_from('inclusive', jsonb_build_object(
		'input_tokens', plain + read + audio + read_audio + write + write_5m + write_1h, 'cache_read_tokens', read + read_audio,
		'input_audio_tokens', audio + read_audio, 'cache_audio_read_tokens', read_audio, 'cache_write_tokens', write + write_5m + write_1h,
		'cache_write_5m_tokens', write_5m, 'cache_write_1h_tokens', write_1h))
	<> meter.usage('requests', 1, 'input_tokens', nullif(plain, 0), 'cache_read_tokens', nullif(read, 0), 'input_audio_tokens', nullif(audio, 0),
		'cache_audio_read_tokens', nullif(read_audio, 0), 'cache_write_tokens', nullif(write, 0), 'cache_write_5m_tokens', nullif(write_5m, 0),
		'cache_write_1h_tokens', nullif(write_1h, 0));
-- JSON's null is no answer
SELECT meter.usage_from('openai', 'null') IS NULL AS nothing, meter.usage_from('anthropic', '{"usage": {"input_tokens": 1}}');
