-- The catalogue's tables: what they hold from the start, what they refuse, and what a dump keeps.
\set VERBOSITY terse
SET timezone = 'UTC';
SELECT currency, timezone, grace, rounding, builtin FROM meter.setting;
SELECT layer, builtin FROM meter.layer ORDER BY layer COLLATE "C";
SELECT card, currency, unrated, builtin FROM meter.card ORDER BY card COLLATE "C";

-- Settings
INSERT INTO meter.setting (currency, timezone) VALUES ('EUR', 'Europe/Berlin');
SELECT currency, timezone, grace, rounding, builtin FROM meter.setting;
INSERT INTO meter.setting (currency) VALUES ('GBP');
INSERT INTO meter.setting (currency, only_row) VALUES ('GBP', false);
UPDATE meter.setting SET currency = 'usd';
UPDATE meter.setting SET timezone = 'Mars/Olympus';
UPDATE meter.setting SET grace = '-1 hour';
UPDATE meter.setting SET rounding = 'half_even';
UPDATE meter.setting SET currency = NULL;
UPDATE meter.setting SET grace = '2 hours';
SELECT currency, timezone, grace, rounding, builtin FROM meter.setting;

-- Layers, items and cards: a builtin one may be changed, or inserted over, and is the user's then
INSERT INTO meter.layer (layer, description) VALUES ('reranking', 'Second look at search results.');
INSERT INTO meter.layer (layer, description) VALUES ('storage', 'Mine.');
INSERT INTO meter.layer (layer, description) VALUES ('storage', 'Mine again.');
INSERT INTO meter.layer (layer) VALUES ('Storage');
UPDATE meter.layer SET description = 'Vector search.' WHERE layer = 'retrieval';
SELECT layer, description, builtin FROM meter.layer WHERE NOT builtin ORDER BY layer COLLATE "C";
INSERT INTO meter.item (item, layer) VALUES ('pinecone/query', 'retrieval'), ('mine/rerank', 'reranking');
-- A name that leads nowhere goes in, because a restore may bring it first, but not in silence
INSERT INTO meter.item (item, layer) VALUES ('mine/other', 'unheard_of');
SELECT * FROM meter.catalogue_problem;
DELETE FROM meter.item WHERE item = 'mine/other';
INSERT INTO meter.item (item) VALUES ('');
INSERT INTO meter.card (card, currency) VALUES ('cost', 'EUR');
INSERT INTO meter.card (card, currency) VALUES ('cost', 'EUR');
INSERT INTO meter.card (card, currency) VALUES ('next_year', 'XXQ');
INSERT INTO meter.card (card, currency) VALUES ('next_year', 'usd');
INSERT INTO meter.card (card, currency) VALUES ('next year', 'USD');
INSERT INTO meter.card (card, unrated) VALUES ('next_year', 'zero');
SELECT card, currency, unrated, builtin FROM meter.card ORDER BY card COLLATE "C";
UPDATE meter.card SET currency = 'USD' WHERE card = 'cost';

-- What a rate may be
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/m', 'input_tokens', 2);
SELECT card, item, unit, price, per, valid, variant, context_from, daily_from, daily_until, precedence, source, listed, loaded_at FROM meter.rate;
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/m', 'output_tokens', -1);
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/m', 'output_tokens', 'NaN');
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/m', 'output_tokens', 'infinity');
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/m', 'output_tokens', 0.0000000000001);
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/m', 'output_tokens', 1e27);
INSERT INTO meter.rate (item, unit, price, per) VALUES ('mine/m', 'output_tokens', 1, 0);
INSERT INTO meter.rate (item, unit, price, per) VALUES ('mine/m', 'output_tokens', 1, -1000);
INSERT INTO meter.rate (item, unit, price, per) VALUES ('mine/m', 'output_tokens', 1, 'NaN');
INSERT INTO meter.rate (item, unit, price, per) VALUES ('mine/m', 'output_tokens', 1, 0.0000000000001);
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/m', 'Output', 1);
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/m', '**', 1);
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/m', repeat('u', 64), 1);
INSERT INTO meter.rate (item, unit, price) VALUES ('', 'output_tokens', 1);
INSERT INTO meter.rate (item, unit, price, variant) VALUES ('mine/m', 'output_tokens', 1, '');
INSERT INTO meter.rate (item, unit, price, valid) VALUES ('mine/m', 'output_tokens', 1, 'empty');
INSERT INTO meter.rate (item, unit, price, valid) VALUES ('mine/m', 'output_tokens', 1, '(infinity,)');
INSERT INTO meter.rate (item, unit, price, valid) VALUES ('mine/m', 'output_tokens', 1, '(,-infinity]');
INSERT INTO meter.rate (item, unit, price, context_from) VALUES ('mine/m', 'output_tokens', 1, -1);
INSERT INTO meter.rate (item, unit, price, context_from) VALUES ('mine/m', 'output_tokens', 1, 'NaN');
INSERT INTO meter.rate (item, unit, price, daily_from) VALUES ('mine/m', 'output_tokens', 1, '10:00');
INSERT INTO meter.rate (item, unit, price, daily_from, daily_until) VALUES ('mine/m', 'output_tokens', 1, '10:00', '10:00');
INSERT INTO meter.rate (item, unit, price, listed) VALUES ('mine/m', 'output_tokens', 1, '(,)');
INSERT INTO meter.rate (card, item, unit, price) VALUES ('unheard_of', 'mine/m', 'output_tokens', 1);
SELECT * FROM meter.catalogue_problem WHERE name = 'unheard_of';
UPDATE meter.rate SET card = 'never_heard_of' WHERE card = 'unheard_of';
-- Who may write rates, and not read cards, goes without the warning
CREATE ROLE meter_regress_writer;
GRANT USAGE ON SCHEMA meter TO meter_regress_writer;
GRANT SELECT, INSERT ON meter.rate TO meter_regress_writer;
SET ROLE meter_regress_writer;
INSERT INTO meter.rate (card, item, unit, price) VALUES ('never_heard_of', 'mine/m', 'input_tokens', 1);
RESET ROLE;
REVOKE ALL ON meter.rate FROM meter_regress_writer;
REVOKE ALL ON SCHEMA meter FROM meter_regress_writer;
DROP ROLE meter_regress_writer;
DELETE FROM meter.rate WHERE card = 'never_heard_of';
-- 12 digits, the largest price, and the unit that stands for all
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/n', 'input_tokens', 0.0000000000010), ('mine/n', 'output_tokens', 170141183460469231731687303.715884105727), ('mine/n', '*', 0);

-- No two rates at the same time, unless something else tells them apart
INSERT INTO meter.rate (item, unit, price) VALUES ('mine/m', 'input_tokens', 3);
INSERT INTO meter.rate (item, unit, price, valid) VALUES ('mine/m', 'input_tokens', 3, '[2026-01-01,2026-02-01)');
INSERT INTO meter.rate (item, unit, price, precedence) VALUES ('mine/m', 'input_tokens', 3, 101);
INSERT INTO meter.rate (item, unit, price, variant) VALUES ('mine/m', 'input_tokens', 1, 'batch');
INSERT INTO meter.rate (item, unit, price, context_from) VALUES ('mine/m', 'input_tokens', 4, 200001);
INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'mine/m', 'input_tokens', 4);
INSERT INTO meter.rate (item, unit, price, daily_from, daily_until) VALUES ('mine/m', 'input_tokens', 1, '22:00', '06:00');
INSERT INTO meter.rate (item, unit, price, daily_from, daily_until) VALUES ('mine/m', 'input_tokens', 1, '05:59:59.999999', '08:00');
INSERT INTO meter.rate (item, unit, price, daily_from, daily_until) VALUES ('mine/m', 'input_tokens', 1, '21:00', '22:00:00.000001');
INSERT INTO meter.rate (item, unit, price, daily_from, daily_until) VALUES ('mine/m', 'input_tokens', 5, '06:00', '22:00');
INSERT INTO meter.rate (item, unit, price, valid) VALUES ('mine/p', 'requests', 1, '(,2026-01-01)'), ('mine/p', 'requests', 2, '[2026-01-01,2026-02-01)'), ('mine/p', 'requests', 3, '[2026-02-01,)');
INSERT INTO meter.rate (item, unit, price, valid) VALUES ('mine/p', 'requests', 4, '[2026-01-31,2026-02-01)');

SELECT meter.daily_window('22:00', '06:00'), meter.daily_window('06:00', '22:00'), meter.daily_window('12:00', '00:00'), meter.daily_window('12:00', '24:00'), meter.daily_window('00:00', '24:00'), meter.daily_window(NULL, NULL);

-- Views
SELECT card, item, layer, unit, price, currency, variant, context_from, daily_from, precedence FROM meter.current_rate WHERE item = 'mine/m' ORDER BY card, variant, context_from, precedence, daily_from;
SELECT item, cards, rates FROM meter.unlisted_item ORDER BY item;

-- A card as a value
SELECT meter.card('cost', 'mine/p');
SELECT meter.card('credit');
INSERT INTO meter.rate (card, item, unit, price, per, valid, variant, daily_from, daily_until) VALUES
	('credit', 'mine/m', 'output_tokens', 1, 1000, '[2026-01-01,)', 'batch', '01:00', '02:00');
SELECT meter.card('credit', 'mine/%');
SELECT meter.cost((SELECT meter.card('credit')), 'mine/m', '2026-03-01', '{"input_tokens": 2, "output_tokens": 7}') AS free_where_unrated,
	meter.cost((SELECT meter.card('cost')), 'mine/m', '2026-03-01 12:00', '{"input_tokens": 2, "output_tokens": 7}') AS unpriced_where_unrated,
	meter.cost((SELECT meter.card('credit')), 'mine/unheard_of', '2026-03-01', '{"input_tokens": 2}') AS unknown_item;
SELECT meter.card('cost', 'no/%');
SELECT meter.card(NULL);
SELECT meter.card('unheard_of');

-- What a dump holds: all of the user's, none of the extension's
SELECT c.oid::regclass AS dumped, config.rows
FROM pg_extension, unnest(extconfig, extcondition) AS config (class, rows) JOIN pg_class c ON c.oid = class
WHERE extname = 'meter'
AND c.relname IN ('setting', 'layer', 'item', 'card', 'rate', 'rate_rate_id_seq')
ORDER BY c.oid::regclass::text COLLATE "C";

-- Nobody sees prices without a grant
CREATE ROLE regress_meter_reader;
SET ROLE regress_meter_reader;
SELECT count(*) FROM meter.rate;
SELECT meter.card('cost');
RESET ROLE;
GRANT SELECT ON meter.rate, meter.card TO regress_meter_reader;
SET ROLE regress_meter_reader;
SELECT count(*) FROM meter.rate;
SELECT meter.card('cost') IS NOT NULL AS readable;
RESET ROLE;
DROP OWNED BY regress_meter_reader;
DROP ROLE regress_meter_reader;
