-- The one function that looks a price up by itself.

CREATE FUNCTION meter.event_cost(item text, at timestamptz, usage meter.usage, variant text DEFAULT 'standard')
	RETURNS numeric
	AS 'MODULE_PATHNAME', 'meter_event_cost'
	LANGUAGE c STABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION meter.event_cost(text, timestamptz, meter.usage, text) IS 'Returns what an event costs at the rates of table meter.rate, card cost: meter.cost with a card that it reads itself, as the calling query''s snapshot sees it. NULL means unpriced. The caller needs SELECT on meter.rate. Over many rows meter.total_cost with a card from a scalar subquery is faster.';
