
--
-- usage_from: what a provider's payload reports
--

CREATE FUNCTION meter.usage_from(kind text, payload jsonb) RETURNS meter.usage
AS 'MODULE_PATHNAME', 'meter_usage_from' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION meter.usage_from(text, jsonb) IS 'The usage that a provider''s payload reports, in disjoint buckets, with requests: 1 whatever the payload says. payload is the whole response (an object with the key usage, or usageMetadata for google) or that object itself. kind is one of:
openai: chat completions and responses, and payloads of the same form (DeepSeek''s prompt_cache_hit_tokens too). Cached and cache-write tokens are parts of the input, reasoning a part of the output.
anthropic: cache reads and writes are beside input_tokens; the 5m and 1h writes are parts of cache_creation_input_tokens.
google: cached content is part of the prompt, thoughts are beside the candidates, the prompt of tool use is beside the prompt.
inclusive: a flat object of this extension''s units in which a whole includes its parts.
Text has no bucket of its own: it is what a plain unit counts. A bucket of zero is left out. Where a payload counts both cached and audio (or image, video) tokens but not how many are both, none are taken to be both. A part that is larger than its whole or has none, a negative or fractional count (only seconds, and in inclusive units of your own, have fractions), or a wrong JSON type is an error that names the field. Other fields are ignored, except in inclusive.';
