-- Price lists: what is read, what is refused, and how a load changes what is stored.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE TABLE price_list (LIKE meter.rate_file, line bigint GENERATED ALWAYS AS IDENTITY (START WITH 2));

-- A list of a few columns: what the others have is the same everywhere here.
CREATE VIEW list AS
SELECT provider, model, usage_type, list_price, list_price_per, tier_start, effective_from, effective_to, tod_start, tod_end, currency
FROM price_list;
ALTER VIEW list ALTER provider SET DEFAULT 'p', ALTER model SET DEFAULT 'm', ALTER usage_type SET DEFAULT 'input_tokens', ALTER list_price_per SET DEFAULT '1000000',
	ALTER tier_start SET DEFAULT '0', ALTER currency SET DEFAULT 'USD', ALTER effective_from SET DEFAULT '', ALTER tod_start SET DEFAULT '';

-- One load's answer in a line.
CREATE FUNCTION load(as_of timestamptz, source text DEFAULT 'list', card text DEFAULT 'cost', precedence integer DEFAULT 0) RETURNS TABLE (answer text)
LANGUAGE sql AS $$
	SELECT string_agg(outcome || ' ' || rates, ', ') FILTER (WHERE line IS NULL) AS answer FROM meter.load_rates('price_list', source, as_of, card, precedence)
$$;
CREATE VIEW stored AS
SELECT item, unit, price, valid, listed FROM meter.rate WHERE source = 'list' ORDER BY item COLLATE "C", unit COLLATE "C", context_from, daily_from, valid;
CREATE PROCEDURE restart() LANGUAGE sql AS $$ DELETE FROM meter.rate; TRUNCATE price_list RESTART IDENTITY; $$;

-- What is read
INSERT INTO list (provider, model, usage_type, list_price, list_price_per, tier_start, effective_from, effective_to, tod_start, tod_end) VALUES
	('openai', 'gpt-4o', 'input_tokens', '2.50', '1000000', '0', '', '', '', ''),
	(' groq ', 'whisper/v3', 'audio_hours', '0.111', '3600', NULL, NULL, NULL, NULL, NULL),
	('groq', 'whisper/v3', 'input_audio_hours', '.111', '1', '0', '', '2026-12-31', '', ''),
	('a', 'b', 'output_tokens', '1.5E-1', '1000', '200001', '2028-02-29', '', '16:30:00Z', '00:30:00Z'),
	('a', 'b', 'web_searches', '0', '1e3', '0', '', '', '12:00', '24:00Z');
SELECT line, item, unit, context_from, daily_from, daily_until, price, per, listed, reason FROM meter.check_rates('price_list');
SELECT load('2026-03-10 15:00+00');
SELECT item, unit, price, per, valid, context_from, daily_from, daily_until, precedence, variant, source, listed, loaded_at FROM meter.rate ORDER BY item COLLATE "C", unit COLLATE "C";
SELECT * FROM meter.item ORDER BY item COLLATE "C";

-- What is refused: the line and the reason, and the others go in
CALL restart();
INSERT INTO list (provider, model, usage_type, list_price) VALUES
	('', 'm', 'input_tokens', '1'),
	('p', NULL, 'input_tokens', '1'),
	('p', 'm', '', '1'),
	('p', 'm', 'Input Tokens', '1'),
	('p', 'm', 'input_tokens', ''),
	('p', 'm', 'input_tokens', 'two'),
	('p', 'm', 'input_tokens', 'NaN'),
	('p', 'm', 'input_tokens', '-0.5'),
	('p', 'm', 'input_tokens', '0.18000000000000002'),
	('p', 'm', 'input_tokens', '1e30'),
	('p', 'good', 'input_tokens', '0.000000000001000'),
	('p', 'm', 'input_tokens', repeat('9', 101));
INSERT INTO list (list_price, list_price_per, tier_start) VALUES ('1', '0', '0'), ('1', '-1', '0'), ('1', 'million', '0'), ('1', '1', '-1'), ('1', '1', 'x'), ('1', '1', '0.0000000000001');
INSERT INTO list (list_price, currency) VALUES ('1', 'EUR'), ('1', NULL);
INSERT INTO list (list_price, effective_from, effective_to) VALUES ('1', '2026-02-29', ''), ('1', 'soon', ''), ('1', '', '2026-4-1'), ('1', '2026-03-01', '2026-03-01'), ('1', '2026-03-02', '2026-03-01'), ('1', '0000-01-01', '');
INSERT INTO list (list_price, tod_start, tod_end) VALUES ('1', '25:00:00Z', '01:00:00Z'), ('1', '01:00:00+02', '02:00:00Z'), ('1', '01:00:00Z', ''), ('1', '01:00:00Z', '01:00:00Z'), ('1', '00:00', '24:00');
INSERT INTO list (model, list_price) VALUES (repeat('m', 999), '1');
-- overlaps: the earlier line goes in
INSERT INTO list (model, list_price, effective_from, effective_to) VALUES ('twice', '1', '', '2026-06-01'), ('twice', '2', '2026-05-31', ''), ('twice', '3', '2026-06-01', ''), ('twice', '1', '', '2026-06-01');
INSERT INTO list (model, list_price, tod_start, tod_end) VALUES ('daily', '1', '', ''), ('daily', '2', '22:00:00Z', '02:00:00Z'), ('daily', '3', '01:00:00Z', '03:00:00Z'), ('daily', '4', '02:00:00Z', '22:00:00Z');
INSERT INTO meter.rate (item, unit, price, precedence, valid) VALUES ('p/mine', 'input_tokens', 7, 0, '[2026-01-01,2026-02-01)'), ('p/mine_too', 'input_tokens', 7, 100, '(,)');
INSERT INTO list (model, list_price, effective_from) VALUES ('mine', '1', ''), ('mine_too', '1', '');
INSERT INTO list (model, list_price, effective_from, tier_start) VALUES ('mine', '1', '2026-02-01', '5');
SELECT outcome, rates, line, left(item, 10) AS item, unit, left(reason, 100) AS reason FROM meter.load_rates('price_list', 'list', '2026-03-10');
SELECT * FROM stored;

-- The whole load is refused
SELECT meter.load_rates('price_list', 'list', '2026-03-09 23:59:59.999999+00');
SELECT meter.load_rates('price_list', 'list', NULL);
SELECT meter.load_rates('price_list', 'list', 'infinity');
SELECT meter.load_rates('price_list', '', '2026-03-10');
SELECT meter.load_rates('price_list', NULL, '2026-03-10');
SELECT meter.load_rates('price_list', 'list', '2026-03-10', 'unheard_of');
SELECT meter.load_rates(NULL, 'list', '2026-03-10');
SELECT meter.load_rates('meter.item', 'list', '2026-03-10');
CREATE TABLE nothing (LIKE price_list);
SELECT meter.load_rates('nothing', 'list', '2026-03-10');
INSERT INTO nothing SELECT * FROM price_list LIMIT 1;
INSERT INTO nothing SELECT * FROM price_list LIMIT 1;
SELECT meter.load_rates('nothing', 'list', '2026-03-10');
ALTER TABLE nothing ALTER line DROP NOT NULL;
UPDATE nothing SET line = NULL;
SELECT meter.load_rates('nothing', 'list', '2026-03-10');
SELECT count(*) FROM stored;

-- A price changes: the old one holds until the next UTC midnight, the new one from then on
CALL restart();
INSERT INTO list (list_price) VALUES ('1');
INSERT INTO list (model, list_price) VALUES ('steady', '5');
SELECT load('2026-03-10 15:00+00');
SELECT load('2026-03-10 15:00+00');
SELECT load('2026-03-15 00:00+00');
UPDATE list SET list_price = '2.00' WHERE model = 'm';
SELECT load('2026-03-20 23:59:59+00');
SELECT * FROM stored;
-- again, on the same day and on a later one
SELECT load('2026-03-20 23:59:59+00');
SELECT load('2026-03-25 08:00+00');
SELECT * FROM stored;
-- the zone of the session does not matter: it is UTC's midnight
SET timezone = 'America/New_York';
UPDATE list SET list_price = '3' WHERE model = 'm';
SELECT load('2026-03-29 21:00-04');
SET timezone = 'UTC';
SELECT * FROM stored;
-- a second change on the same day replaces the pending one
UPDATE list SET list_price = '4' WHERE model = 'm';
SELECT load('2026-03-30 10:00+00');
SELECT * FROM stored;
-- and one that takes it back leaves nothing behind
UPDATE list SET list_price = '2' WHERE model = 'm';
SELECT load('2026-03-30 12:00+00');
SELECT * FROM stored;
-- per changes, too: 2 per 1000 is another price; 2.000 is not
UPDATE list SET list_price = '2.000' WHERE model = 'm';
SELECT load('2026-03-30 12:00+00');
UPDATE list SET list_price_per = '1000' WHERE model = 'm';
SELECT load('2026-04-01 00:00+00');
SELECT price, per, valid FROM meter.rate WHERE item = 'p/m' ORDER BY valid;

-- One vanishes: closed at the next UTC midnight; closed ones stay
CALL restart();
INSERT INTO list (list_price) VALUES ('1');
INSERT INTO list (model, list_price) VALUES ('gone', '5');
INSERT INTO list (model, list_price, effective_to) VALUES ('ended', '6', '2026-02-01');
INSERT INTO list (model, list_price, effective_from) VALUES ('to_come', '7', '2026-06-01');
SELECT load('2026-03-10 15:00+00');
DELETE FROM list WHERE model <> 'm';
SELECT load('2026-03-20 15:00+00');
SELECT * FROM stored;
SELECT load('2026-03-20 16:00+00');
SELECT load('2026-03-25 15:00+00');
-- back on the day it was closed: as if nothing had been
CALL restart();
INSERT INTO list (list_price) VALUES ('1');
INSERT INTO list (model, list_price) VALUES ('gone', '5');
SELECT load('2026-03-10 15:00+00');
DELETE FROM list WHERE model = 'gone';
SELECT load('2026-03-20 15:00+00');
INSERT INTO list (model, list_price) VALUES ('gone', '5');
SELECT load('2026-03-20 16:00+00');
SELECT * FROM stored;
-- back later: opened anew, and the gap stays unpriced
DELETE FROM list WHERE model = 'gone';
SELECT load('2026-03-21 15:00+00');
INSERT INTO list (model, list_price) VALUES ('gone', '5');
SELECT load('2026-04-01 16:00+00');
SELECT load('2026-04-01 16:00+00');
SELECT load('2026-04-02 16:00+00');
SELECT * FROM stored;

-- Dates in the list are taken as they are
CALL restart();
INSERT INTO list (list_price) VALUES ('1');
SELECT load('2026-03-10 15:00+00');
-- the list gives the price an end and a successor: in the past
UPDATE list SET effective_to = '2026-03-05';
INSERT INTO list (list_price, effective_from) VALUES ('2', '2026-03-05');
SELECT load('2026-03-20 15:00+00');
SELECT * FROM stored;
SELECT load('2026-03-21 15:00+00');
-- the date moves, earlier, later, and into the future
UPDATE list SET effective_to = '2026-03-02' WHERE list_price = '1';
UPDATE list SET effective_from = '2026-03-02' WHERE list_price = '2';
SELECT load('2026-03-22 15:00+00');
SELECT * FROM stored;
SELECT load('2026-03-22 15:00+00');
-- a future price, its date and its amount changing before it comes
CALL restart();
INSERT INTO list (list_price, effective_to) VALUES ('1', '2026-06-01');
INSERT INTO list (list_price, effective_from) VALUES ('2', '2026-06-01');
SELECT load('2026-03-10 15:00+00');
UPDATE list SET list_price = '3' WHERE list_price = '2';
SELECT load('2026-03-11 15:00+00');
SELECT * FROM stored;
UPDATE list SET effective_to = '2026-05-01' WHERE list_price = '1';
UPDATE list SET effective_from = '2026-05-01' WHERE list_price = '3';
SELECT load('2026-03-12 15:00+00');
SELECT * FROM stored;
UPDATE list SET effective_to = '2026-07-01' WHERE list_price = '1';
UPDATE list SET effective_from = '2026-07-01' WHERE list_price = '3';
SELECT load('2026-03-13 15:00+00');
SELECT * FROM stored;
-- the end is taken away, with the successor; a changed price before the end
DELETE FROM list WHERE list_price = '3';
UPDATE list SET effective_to = '', list_price = '1.5';
SELECT load('2026-03-14 15:00+00');
SELECT * FROM stored;
SELECT load('2026-03-15 15:00+00');
-- an end that has passed moves: the time between is priced, from the date the list gave
CALL restart();
INSERT INTO list (list_price, effective_to) VALUES ('1', '2026-02-01');
INSERT INTO list (model, list_price, effective_to) VALUES ('dearer', '1', '2026-02-01');
INSERT INTO list (model, list_price, effective_to) VALUES ('corrected', '1', '2026-02-01');
SELECT load('2026-03-10 15:00+00');
UPDATE list SET effective_to = '2026-08-01' WHERE model <> 'corrected';
UPDATE list SET list_price = '2' WHERE model <> 'm';
SELECT load('2026-03-11 15:00+00');
SELECT * FROM stored;
SELECT load('2026-03-12 15:00+00');

-- A successor under its own date: the undated price ends there; one without a date only follows
CALL restart();
INSERT INTO list (list_price) VALUES ('1');
SELECT load('2026-03-10 15:00+00');
UPDATE list SET list_price = '2', effective_from = '2026-03-01';
SELECT load('2026-03-20 15:00+00');
SELECT * FROM stored;
UPDATE list SET list_price = '3', effective_from = '';
SELECT load('2026-03-25 15:00+00');
SELECT * FROM stored;
SELECT load('2026-03-26 15:00+00');

-- A daily window that changes is another rate: it follows at midnight
CALL restart();
INSERT INTO list (list_price) VALUES ('1');
INSERT INTO list (list_price, tod_start, tod_end) VALUES ('2', '08:00:00Z', '18:00:00Z');
SELECT load('2026-03-10 15:00+00');
UPDATE list SET tod_end = '20:00:00Z' WHERE list_price = '2';
SELECT load('2026-03-20 15:00+00');
SELECT price, daily_from, daily_until, valid FROM meter.rate ORDER BY daily_until, valid;
SELECT load('2026-03-21 15:00+00');

-- A refused line leaves the rate that it names as it is
CALL restart();
INSERT INTO list (list_price) VALUES ('1');
INSERT INTO list (model, list_price) VALUES ('bad', '0.18');
INSERT INTO list (model, usage_type, list_price) VALUES ('bad', 'output_tokens', '0.18');
SELECT load('2026-03-10 15:00+00');
UPDATE list SET list_price = '0.18000000000000002' WHERE model = 'bad' AND usage_type = 'input_tokens';
DELETE FROM list WHERE usage_type = 'output_tokens';
SELECT outcome, rates, line, item FROM meter.load_rates('price_list', 'list', '2026-03-20 15:00+00');
SELECT * FROM stored;

-- Own rates, other sources and other cards are left alone, and an own rate wins
CALL restart();
INSERT INTO meter.rate (item, unit, price, per) VALUES ('p/m', 'input_tokens', 9, 1000000);
INSERT INTO meter.rate (item, unit, price, per, precedence, source) VALUES ('q/m', 'input_tokens', 9, 1000000, 0, 'list');
INSERT INTO meter.item (item, layer) VALUES ('p/new', 'retrieval');
INSERT INTO list (list_price) VALUES ('1');
INSERT INTO list (model, list_price) VALUES ('new', '1');
SELECT load('2026-03-10 15:00+00', 'list');
SELECT load('2026-03-10 15:00+00', 'another', precedence => -1);
DELETE FROM list WHERE model = 'new';
SELECT load('2026-03-20 15:00+00', 'list');
SELECT item, price, precedence, source, valid FROM meter.rate ORDER BY item, precedence, source;
SELECT item, layer FROM meter.item WHERE item = 'p/new';
SELECT meter.cost((SELECT meter.card('cost')), 'p/m', '2026-03-15', '{"input_tokens": 1000000}') AS own_price,
	meter.event_cost('p/m', '2026-03-15', '{"input_tokens": 1000000}') AS by_the_wrapper;

-- Loads in the order of their dates, and a card of another currency
SELECT load('2026-03-12 15:00+00', 'list');
INSERT INTO meter.card (card, currency) VALUES ('euro', 'EUR');
UPDATE list SET currency = 'EUR';
SELECT load('2026-03-12 15:00+00', 'list', 'euro');
SELECT card, price, valid FROM meter.rate WHERE card = 'euro';

-- The snapshot: seven lines refused, and nothing to do the second time
CALL restart();
\getenv abs_srcdir PG_ABS_SRCDIR
\cd :abs_srcdir
CREATE TEMP TABLE snapshot (LIKE meter.rate_file, line bigint GENERATED ALWAYS AS IDENTITY (START WITH 2));
\copy snapshot (provider, model, usage_type, unit_price, tier_start, effective_from, effective_to, currency, usage_units_per_priced_unit, list_price, list_price_per, tod_start, tod_end, rule_ord) FROM '../data/genai-prices-2026-09-23.csv' CSV HEADER
SELECT * FROM meter.load_rates('snapshot', as_of => '2026-09-23 12:00+00');
SELECT outcome, rates FROM meter.load_rates('snapshot', as_of => '2026-09-24 12:00+00') WHERE line IS NULL;
SELECT count(*) AS rates, count(DISTINCT item) AS items FROM meter.rate;
SELECT unit, price, per FROM meter.rate WHERE item = 'groq/whisper-large-v3' ORDER BY unit;
SELECT price, valid, daily_from, daily_until FROM meter.rate WHERE item = 'deepseek/deepseek-v4-pro' AND unit = 'input_tokens' ORDER BY daily_from, valid;
SELECT price, context_from, valid FROM meter.rate WHERE item = 'anthropic/claude-opus-4-6' AND unit = 'input_tokens' ORDER BY valid, context_from;

-- A file that was cut short, or is another list, is told of, and loading the former one again undoes it.
CREATE TEMP TABLE whole AS SELECT * FROM snapshot;
DELETE FROM snapshot WHERE provider <> 'groq';
SELECT outcome, rates FROM meter.load_rates('snapshot', as_of => '2026-09-25 12:00+00') WHERE line IS NULL;
SELECT meter.event_cost('openai/gpt-4o', '2026-09-26 00:00+00', '{"input_tokens": 1000000}') AS unpriced;
SELECT outcome, rates FROM meter.load_rates('whole', as_of => '2026-09-25 13:00+00') WHERE line IS NULL;
SELECT meter.event_cost('openai/gpt-4o', '2026-09-26 00:00+00', '{"input_tokens": 1000000}') AS priced;
SELECT count(*) AS rates, count(DISTINCT item) AS items FROM meter.rate;
