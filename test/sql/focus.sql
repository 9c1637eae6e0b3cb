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
-- What is not known to cost anything has no margin.
SELECT count(*) AS unpriced, count("x_Margin") AS with_margin FROM meter.focus_cost_and_usage WHERE "x_Unpriced";
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

-- Invoices in the shape of FOCUS: what customers are charged, with corrections, credits in money and a credit note.
UPDATE meter.setting SET issuer = 'Example Inc.';
INSERT INTO meter.metric (metric, aggregation, unit) VALUES ('audio', 'sum', 'audio_seconds'), ('input_tokens', 'sum', 'input_tokens');
INSERT INTO meter.plan (plan, currency) VALUES ('voice', 'USD');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, timing, description) VALUES ('voice', 1, 'platform', 'fee', 20, 'advance', 'Platform');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff, quantity) VALUES ('voice', 2, 'audio', 'usage', 'audio', 'graduated: up to 100 at 0.5; above at 0.25', 10), ('voice', 3, 'tokens', 'usage', 'input_tokens', 'at 1', NULL);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, tariff) VALUES ('voice', 4, 'seats', 'seat', 'at 5');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount) VALUES ('voice', 5, 'least', 'commitment', 100);
INSERT INTO meter.plan_item (plan, position, plan_item, kind, percent) VALUES ('voice', 6, 'off', 'discount', 10);
INSERT INTO meter.customer_zone (customer_id, timezone) VALUES ('ivy', 'America/Los_Angeles');
INSERT INTO meter.money_credit (customer_id, currency, amount) VALUES ('ivy', 'USD', 7);
SELECT meter.subscribe('ivy', 'voice', since => '2025-03-01', until => '2025-05-01') AS ivy \gset
INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity) VALUES (:ivy, 'seats', 2);
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('ivy', '1', '2025-03-10 11:00Z', '{"audio_seconds": 70}');
CALL meter.close_periods(as_of => '2025-04-03 12:00Z');
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('ivy', '2', '2025-03-11 11:00Z', '{"audio_seconds": 100}');
CALL meter.close_periods(as_of => '2025-05-03 12:00Z');
SELECT meter.void_invoice(max(invoice_id), 'wrong') > 0 AS voided FROM meter.invoice WHERE customer_id = 'ivy';
CREATE TEMP VIEW charge AS
SELECT invoice_id - min(invoice_id) OVER () AS nth, line_number, idempotency_key, charge.*, payload
FROM meter.focus_invoice_line
CROSS JOIN LATERAL jsonb_to_record(payload) AS charge ("BilledCost" numeric, "EffectiveCost" numeric, "ListCost" numeric, "ContractedCost" numeric, "BillingPeriodStart" text, "BillingPeriodEnd" text, "ChargePeriodStart" text, "ChargePeriodEnd" text, "ChargeCategory" text, "ChargeClass" text, "ChargeDescription" text, "ChargeFrequency" text, "PricingQuantity" numeric, "PricingUnit" text, "PricingCategory" text, "ConsumedQuantity" numeric, "ConsumedUnit" text, "InvoiceId" text, "BillingCurrency" text, "SkuId" text)
WHERE customer_id = 'ivy';
SELECT nth, line_number AS line, "ChargeDescription", "BilledCost", "ChargeCategory", "ChargeClass", "ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit" FROM charge ORDER BY 1, 2;
SELECT nth, "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd", count(*) AS lines FROM charge GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5;
SELECT jsonb_pretty(payload - 'InvoiceId' - 'SubAccountId') FROM charge WHERE nth = 1 AND "SkuId" = 'voice/audio' AND "ChargeClass" IS NULL;
-- What FOCUS says of such rows. No row.
WITH mandatory AS (
	SELECT unnest('{BilledCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargeClass,ChargeDescription,ChargePeriodEnd,ChargePeriodStart,ContractedCost,EffectiveCost,InvoiceIssuerName,ListCost,PricingQuantity,PricingUnit,ProviderName,PublisherName,ServiceCategory,ServiceName}'::text[]) AS name
)
SELECT 'mandatory columns are there' AS broken, name AS line FROM charge, mandatory WHERE NOT payload ? name
UNION ALL SELECT 'and not null', name FROM charge, mandatory WHERE name NOT IN ('ChargeClass', 'PricingQuantity', 'PricingUnit') AND payload -> name = 'null'
UNION ALL SELECT 'values are allowed ones', idempotency_key FROM charge WHERE "ChargeCategory" NOT IN ('Usage', 'Purchase', 'Credit', 'Adjustment') OR "ChargeClass" <> 'Correction' OR "ChargeFrequency" NOT IN ('One-Time', 'Recurring', 'Usage-Based') OR "BillingCurrency" !~ '^[A-Z]{3}$'
UNION ALL SELECT 'a purchase is not based on usage', idempotency_key FROM charge WHERE "ChargeCategory" = 'Purchase' AND "ChargeFrequency" = 'Usage-Based'
UNION ALL SELECT 'usage and purchases have a quantity and a category', idempotency_key FROM charge WHERE ("ChargeCategory" IN ('Usage', 'Purchase')) <> ("PricingQuantity" IS NOT NULL AND "PricingUnit" IS NOT NULL AND "PricingCategory" IS NOT NULL AND "SkuId" IS NOT NULL) AND "ChargeClass" IS NULL
UNION ALL SELECT 'usage is consumed', idempotency_key FROM charge WHERE ("ChargeCategory" = 'Usage') <> ("ConsumedQuantity" IS NOT NULL AND "ConsumedUnit" IS NOT NULL) AND "ChargeClass" IS NULL
UNION ALL SELECT 'a unit comes with a quantity', idempotency_key FROM charge WHERE ("PricingQuantity" IS NULL) <> ("PricingUnit" IS NULL) OR ("ConsumedQuantity" IS NULL) <> ("ConsumedUnit" IS NULL)
UNION ALL SELECT 'other charges cost what is billed', idempotency_key FROM charge WHERE "EffectiveCost" <> "BilledCost" OR "ListCost" <> "BilledCost" OR "ContractedCost" <> "BilledCost"
UNION ALL SELECT 'periods end after their start', idempotency_key FROM charge WHERE "BillingPeriodStart" >= "BillingPeriodEnd" OR "ChargePeriodStart" >= "ChargePeriodEnd"
UNION ALL SELECT 'an invoice has one billing period', "InvoiceId" FROM charge GROUP BY "InvoiceId" HAVING count(DISTINCT "BillingPeriodStart") > 1
UNION ALL SELECT 'an invoice adds up', "InvoiceId" FROM charge JOIN meter.invoice ON invoice_id = "InvoiceId"::bigint LEFT JOIN LATERAL (SELECT paid_by_credit AS given FROM meter.invoice AS credited WHERE credited.invoice_id = invoice.credits) AS credited ON true GROUP BY "InvoiceId", total, paid_by_credit, given HAVING sum("BilledCost") <> total - paid_by_credit + coalesce(given, 0)
UNION ALL SELECT 'keys are unique', idempotency_key FROM charge GROUP BY idempotency_key HAVING count(*) > 1
UNION ALL SELECT 'names are FOCUS''s or begin with x_', name FROM (SELECT DISTINCT jsonb_object_keys(payload) AS name FROM charge) AS used WHERE name !~ '^(x_)?[A-Z][A-Za-z]+$';
-- Quantities add up as costs do, through adjustments, what is billed again, and what is forgiven.
CALL meter.close_periods(as_of => '2025-05-03 12:00Z');
SELECT "SkuId", sum("ConsumedQuantity") AS consumed, sum("PricingQuantity") AS quantity, sum("BilledCost") AS cost FROM charge WHERE "SkuId" <> 'voice/tokens' GROUP BY 1 ORDER BY 1;
SELECT meter.void_invoice("InvoiceId"::bigint, 'goodwill', rebill => false) > 0 AS voided FROM charge WHERE nth = 1 AND "SkuId" = 'voice/audio';
INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage) VALUES ('ivy', '3', '2025-03-12 11:00Z', '{"audio_seconds": 10}');
CALL meter.close_periods(as_of => '2025-05-04 12:00Z');
SELECT "SkuId", sum("ConsumedQuantity") AS consumed, sum("PricingQuantity") AS quantity, sum("BilledCost") AS cost FROM charge WHERE "SkuId" = 'voice/audio' GROUP BY 1;
-- The session's time zone changes no row.
SELECT md5(string_agg(payload::text, E'\n' ORDER BY idempotency_key)) AS here FROM (SELECT idempotency_key, payload FROM meter.focus_invoice_line UNION ALL SELECT idempotency_key, payload FROM meter.focus_charge) AS row \gset
SET timezone = 'Asia/Tokyo';
SELECT md5(string_agg(payload::text, E'\n' ORDER BY idempotency_key)) = :'here' AS same FROM (SELECT idempotency_key, payload FROM meter.focus_invoice_line UNION ALL SELECT idempotency_key, payload FROM meter.focus_charge) AS row;
