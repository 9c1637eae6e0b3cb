-- FOCUS 1.2: the columns that are mandatory, and what the specification says of their values.
\set VERBOSITY terse
SET timezone = 'America/New_York';
SET datestyle = 'ISO';

INSERT INTO meter.item (item, layer, provider, name) VALUES ('openai/big', 'inference', 'openai', 'big'), ('vec/query', 'retrieval', NULL, NULL);
INSERT INTO meter.rate (item, unit, price, per, variant, context_from, valid) VALUES
	('openai/big', 'input_tokens', 2.5, 1000000, 'standard', 0, '(,2025-03-10 12:00Z)'),
	('openai/big', 'input_tokens', 2, 1000000, 'standard', 0, '[2025-03-10 12:00Z,)'),
	('openai/big', 'input_tokens', 5, 1000000, 'standard', 200000, '(,)'),
	('openai/big', 'output_tokens', 10, 1000000, 'standard', 0, '(,)'),
	('openai/big', 'input_tokens', 1.25, 1000000, 'batch', 0, '(,)'),
	('vec/query', 'requests', 0.001, 1, 'standard', 0, '(,)'),
	('groq/whisper', 'audio_seconds', 0.04, 3600, 'standard', 0, '(,)');
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'output_tokens', 0.001);
INSERT INTO meter.customer (customer_id, name, segment) VALUES ('acme', 'Acme Ltd', 'enterprise');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, variant, action, usage) VALUES
	('acme', '1', '2025-03-10 11:00Z', 'openai/big', 'standard', 'chat', '{"input_tokens": 1000, "output_tokens": 500, "requests": 1}'),
	('acme', '2', '2025-03-10 13:00Z', 'openai/big', 'standard', 'chat', '{"input_tokens": 1000, "output_tokens": 500, "requests": 1}'),
	('acme', '3', '2025-03-10 14:00Z', 'openai/big', 'standard', NULL, '{"input_tokens": 250000}'),
	('acme', '4', '2025-03-10 14:00Z', 'openai/big', 'batch', NULL, '{"input_tokens": 4000}'),
	('acme', '5', '2025-03-10 23:59:59.999999Z', 'vec/query', 'standard', NULL, '{"requests": 3}'),
	('acme', '6', '2025-03-11 00:00Z', 'vec/query', 'standard', NULL, '{"requests": 4}'),
	('bolt', '1', '2025-03-31 23:00Z', 'groq/whisper', 'standard', NULL, '{"audio_seconds": 7}'),
	('bolt', '2', '2025-03-31 23:00Z', 'groq/whisper', 'standard', NULL, '{"audio_seconds": 1}'),
	('bolt', '3', '2025-03-31 23:00Z', 'groq/whisper', 'standard', NULL, '{"audio_seconds": 1, "gold": 2}'),
	('bolt', '4', '2025-03-31 23:00Z', 'groq/whisper', 'cached', NULL, '{"audio_seconds": 60}'),
	('bolt', '5', '2025-03-31 23:00Z', NULL, 'standard', 'chat', '{"actions": 1}');
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) VALUES ('acme', '2025-03-01', 10, 'USD'), ('bolt', '2025-03-01', 3, 'USD');

SELECT "SubAccountId", "ChargePeriodStart" AT TIME ZONE 'UTC' AS day, "SkuId", "SkuMeter", "ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "ListUnitPrice", "ListCost", "EffectiveCost", "x_Unpriced"
FROM meter.focus_cost_and_usage ORDER BY 1, 2, 3, 4, "ChargeDescription", "ListUnitPrice";
SELECT "ChargeDescription", "SkuPriceId", "SkuPriceDetails", "SubAccountName", "Tags", "ServiceCategory", "ServiceSubcategory", "ServiceName", "ProviderName", "x_CreditsConsumed"
FROM meter.focus_cost_and_usage WHERE "SubAccountId" = 'acme' ORDER BY 1, 2;

-- Mandatory columns, none of which but ChargeClass may be null here; FOCUS's names, or x_ before one's own.
WITH mandatory AS (
	SELECT unnest('{BilledCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargeClass,ChargeDescription,ChargePeriodEnd,ChargePeriodStart,ContractedCost,EffectiveCost,InvoiceIssuerName,ListCost,PricingQuantity,PricingUnit,ProviderName,PublisherName,ServiceCategory,ServiceName}'::text[]) AS name
), present AS (
	SELECT attname AS name FROM pg_attribute WHERE attrelid = 'meter.focus_cost_and_usage'::regclass AND attnum > 0
)
SELECT (SELECT count(*) FROM mandatory) AS mandatory, (SELECT count(*) FROM mandatory WHERE name NOT IN (SELECT name FROM present)) AS missing;
WITH focus AS (SELECT to_jsonb(row) AS row FROM meter.focus_cost_and_usage AS row)
SELECT key AS null_in, count(*) AS rows FROM focus, jsonb_each(row) WHERE value = 'null' GROUP BY key ORDER BY key;
WITH known AS (
	SELECT unnest('{AvailabilityZone,BilledCost,BillingAccountId,BillingAccountName,BillingAccountType,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargeClass,ChargeDescription,ChargeFrequency,ChargePeriodEnd,ChargePeriodStart,ConsumedQuantity,ConsumedUnit,ContractedCost,ContractedUnitPrice,EffectiveCost,InvoiceId,InvoiceIssuerName,ListCost,ListUnitPrice,PricingCategory,PricingCurrency,PricingQuantity,PricingUnit,ProviderName,PublisherName,RegionId,RegionName,ResourceId,ResourceName,ResourceType,ServiceCategory,ServiceName,ServiceSubcategory,SkuId,SkuMeter,SkuPriceDetails,SkuPriceId,SubAccountId,SubAccountName,SubAccountType,Tags}'::text[]) AS name
)
SELECT attname FROM pg_attribute WHERE attrelid = 'meter.focus_cost_and_usage'::regclass AND attnum > 0 AND attname NOT IN (SELECT name FROM known) AND attname NOT LIKE 'x\_%';
-- The rules on values. No row.
SELECT 'cost is price by quantity' AS broken, "SkuId" FROM meter.focus_cost_and_usage WHERE "ListCost" <> "ListUnitPrice" * "PricingQuantity" OR "ContractedCost" <> "ContractedUnitPrice" * "PricingQuantity"
UNION ALL SELECT 'without a price, the list cost is the billed one', "SkuId" FROM meter.focus_cost_and_usage WHERE "ListUnitPrice" IS NULL AND "ListCost" <> "BilledCost"
UNION ALL SELECT 'a price is missing only where it is not known', "SkuId" FROM meter.focus_cost_and_usage WHERE ("ListUnitPrice" IS NULL) <> "x_Unpriced" OR ("SkuPriceId" IS NULL) <> "x_Unpriced" OR "ListUnitPrice" < 0
UNION ALL SELECT 'details come with a price', "SkuId" FROM meter.focus_cost_and_usage WHERE "SkuPriceId" IS NULL AND "SkuPriceDetails" IS NOT NULL
UNION ALL SELECT 'periods hold each other', "SkuId" FROM meter.focus_cost_and_usage WHERE NOT ("BillingPeriodStart" <= "ChargePeriodStart" AND "ChargePeriodStart" < "ChargePeriodEnd" AND "ChargePeriodEnd" <= "BillingPeriodEnd")
UNION ALL SELECT 'values are allowed ones', "SkuId" FROM meter.focus_cost_and_usage WHERE "ChargeCategory" <> 'Usage' OR "ChargeFrequency" <> 'Usage-Based' OR "PricingCategory" <> 'Standard' OR "ChargeClass" <> 'Correction' OR "BillingCurrency" !~ '^[A-Z]{3}$'
	OR ("ServiceCategory", "ServiceSubcategory") NOT IN (('AI and Machine Learning', 'Generative AI'), ('Analytics', 'Search'), ('Analytics', 'Data Processing'), ('Storage', 'Other (Storage)'), ('Integration', 'Workflow Automation'), ('Integration', 'API Management'), ('Other', 'Other (Other)'));

-- All cost is in it, and revenue is divided over it.
SELECT "SubAccountId", sum("EffectiveCost") AS cost, sum("x_Revenue") AS revenue, sum("x_Margin") AS margin FROM meter.focus_cost_and_usage GROUP BY 1 ORDER BY 1;
SELECT customer_id, sum(cost) AS cost, sum(revenue) AS revenue, sum(gross_margin) AS margin FROM meter.customer_margin GROUP BY 1 ORDER BY 1;
-- A void takes everything back.
SELECT meter.void_event('acme', '3', 'wrong');
SELECT sum("EffectiveCost") AS cost, count(*) FILTER (WHERE "ConsumedQuantity" = 250000) AS shown FROM meter.focus_cost_and_usage WHERE "SubAccountId" = 'acme';

-- A table of one's own that is attached is in every report.
CREATE TABLE request (tenant text, who text, run text, made_at timestamptz, tokens integer, kind text);
INSERT INTO request VALUES ('dash', 'ann', 'r1', '2025-03-10 12:00Z', 1000000, 'standard'), ('dash', 'bob', 'r1', '2025-03-10 13:00Z', 500000, 'standard'), ('dash', NULL, NULL, '2025-03-10 13:00Z', 100000, 'cached');
SELECT meter.attach('request', customer => 'tenant', at => 'made_at', item => '''openai/big''', quantities => '{"output_tokens": "tokens"}', user_id => 'who', workflow_id => 'run', variant => 'kind');
SELECT customer_id, cost FROM meter.customer_margin WHERE customer_id = 'dash';
SELECT user_id, events, cost FROM meter.user_cost WHERE customer_id = 'dash' ORDER BY user_id;
SELECT workflow_id, events, cost FROM meter.workflow_cost WHERE customer_id = 'dash';
SELECT events, standard_cost, saving FROM meter.cache_saving WHERE customer_id = 'dash';
SELECT sum("EffectiveCost") AS cost FROM meter.focus_cost_and_usage WHERE "SubAccountId" = 'dash';
