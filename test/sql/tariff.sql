-- The type tariff: grammar, canonical output, errors, JSON forms, the wire, equality.
\pset format unaligned

-- Returns a text's tariff, or what its error says.
CREATE FUNCTION tried(input text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
    message text;
    detail text;
    hint text;
BEGIN
    RETURN input::meter.tariff::text;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', state, message, nullif(detail, ''), nullif(hint, ''));
END $$;

CREATE FUNCTION tried_json(input text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
    message text;
BEGIN
    RETURN meter.tariff(input::jsonb)::text;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    RETURN state || ' | ' || message;
END $$;

CREATE TABLE said (id int GENERATED ALWAYS AS IDENTITY, input text);
INSERT INTO said (input) VALUES
    ('at 0.08'),
    ('at 0.08 plus 10'),
    ('at 5 per 100'),
    ('at 0.05'),
    ('at 5 per started 100'),
    ('at 5 per full 100'),
    ('at 2.9%'),
    ('at 2.9% plus 0.30'),
    ('graduated: up to 500 at 0; up to 2500 at 0.08; above at 0.06 plus 10'),
    ('graduated: up to 1000 at 3%; above at 2%'),
    ('graduated: up to 1000 at 1 per started 100; above at 5 per started 1000'),
    ('graduated: up to 0.5 at 1 per 3; above at 5 per full 2.5 plus 1'),
    ('volume: up to 1000 at 0.10; above at 0.08'),
    ('volume: up to 10 at 0 plus 50; above at 0 plus 200'),
    ('at 1; free 100; discount 50%; maximum 500; minimum 20; no fee at zero'),
    -- any order, any case, any space, a closing semicolon
    ('AT 1;NO FEE AT ZERO;Minimum 20;Maximum 500;Discount 50 %;Free 100'),
    (E'  Graduated :\n\tup to 500\n\tat 0 ;above at 0.080000 ; '),
    ('at 1e3 per 1E-3'),
    ('at 5per100plus1;free1'),
    -- what changes nothing is left out
    ('at 5 per 1 plus 0; free 0; discount 0%; minimum 0.000'),
    ('at 5 per started 1'),
    ('at 5; maximum 0'),
    ('at 0%'),
    ('at 5; discount 100%'),
    ('at 5; maximum 20; minimum 20'),
    -- one tier is one tier
    ('graduated: above at 3'),
    ('volume: above at 3 plus 1; no fee at zero'),
    -- the ends of the range
    ('graduated: up to 0.000000000001 at 170141183460469231731687303.715884105727; above at 0.000000000001'),
    ('graduated: up to 170141183460469231731687303.715884105726 at 1; above at 2');
SELECT id, tried(input) FROM said ORDER BY id;
-- in(out(x)) = x, and out is a fixed point
SELECT id, input FROM said
WHERE tried(input)::meter.tariff <> input::meter.tariff OR tried(tried(input)) <> tried(input);

SELECT tried(input) AS error FROM (VALUES
    (1, ''),
    (2, '   '),
    (3, 'free 100'),
    (4, 'at'),
    (5, 'at .5'),
    (6, 'at 5.'),
    (7, 'at +5'),
    (8, 'at -5'),
    (9, 'at 5 per 0'),
    (10, 'at 5 per -1'),
    (11, 'at 5 per started'),
    (12, 'at 5 per each 100'),
    (13, 'at 5% per 100'),
    (14, 'at 5 plus -1'),
    (15, 'at 5 plus 1 plus 2'),
    (16, 'at 1,000'),
    (17, 'at 1_000'),
    (18, 'at 1 000'),
    (19, 'at $5'),
    (20, 'at €5'),
    (21, 'at 5 EUR'),
    (22, 'at NaN'),
    (23, 'at Infinity'),
    (24, 'at 0.0000000000001'),
    (25, 'at 170141183460469231731687304'),
    (26, 'at 1e99999999999'),
    (27, 'graduated'),
    (28, 'graduated:'),
    (29, 'graduated: at 5'),
    (30, 'graduated: up to 500 at 0'),
    (31, 'graduated: up to 500 at 0;'),
    (32, 'graduated: up to 500 at 0; free 100'),
    (33, 'graduated: up to 500 at 0 above at 1'),
    (34, 'graduated: up to 500 at 0; up 1000 at 1; above at 1'),
    (35, 'graduated: up to 500; above at 1'),
    (36, 'graduated: above at 1; up to 500 at 0'),
    (37, 'graduated: up to 500 at 0; above at 1; above at 2'),
    (38, 'graduated: up to 500 at 0; up to 500 at 1; above at 2'),
    (39, 'graduated: up to 500 at 0; up to 499.999999999999 at 1; above at 2'),
    (40, 'graduated: up to 0 at 0; above at 2'),
    (41, 'graduated: up to -1 at 0; above at 2'),
    (42, 'graduated: up to 170141183460469231731687303.715884105727 at 0; above at 2'),
    (43, 'volume: up to 10 at -1; above at 2'),
    (44, 'at 1; free -1'),
    (45, 'at 1; free'),
    (46, 'at 1; discount 10'),
    (47, 'at 1; discount 100.1%'),
    (48, 'at 1; discount -1%'),
    (49, 'at 1; maximum -1'),
    (50, 'at 1; minimum -1'),
    (51, 'at 1; minimum 2; maximum 1'),
    (52, 'at 1; free 1; free 1'),
    (53, 'at 1; no fee at zero; no fee at zero'),
    (54, 'at 1; no fee'),
    (55, 'at 1; no fee at 0'),
    (56, 'at 1;; free 1'),
    (57, 'at 1 free 1'),
    (58, 'at 1; gratis 1'),
    (59, 'ätt 1'),
    (60, 'stairstep: up to 1 at 1; above at 2'),
    (61, 'at 1 ' || repeat('x', 300))
) AS v (id, input) ORDER BY id;

-- a thousand tiers, and no more
SELECT left(tried('graduated: ' || string_agg('up to ' || i || ' at 1; ', '' ORDER BY i) || 'above at 2'), 60)
FROM generate_series(1, 999) AS i;
SELECT tried('graduated: ' || string_agg('up to ' || i || ' at 1; ', '' ORDER BY i) || 'above at 2')
FROM generate_series(1, 1000) AS i;

-- meter's own JSON form says everything
SELECT id, input::meter.tariff::jsonb FROM said WHERE id IN (1, 3, 5, 8, 9, 12, 15, 22);
SELECT id, input FROM said WHERE meter.tariff(input::meter.tariff::jsonb) <> input::meter.tariff;
SELECT tried_json(input) FROM (VALUES
    (1, '{"model": "flat", "price": "0.08"}'),
    (2, '{"model": "volume", "tiers": [{"up_to": 10, "price": 0, "fee": 5}, {"up_to": null, "percent": 2}], "fee_at_zero": true, "maximum": null}'),
    (3, '[]'),
    (4, '"at 5"'),
    (5, '{}'),
    (6, '{"model": "flat"}'),
    (7, '{"model": "tiered", "price": 1}'),
    (8, '{"model": 1, "price": 1}'),
    (9, '{"model": "flat", "price": 1, "minimun": 5}'),
    (10, '{"model": "flat", "price": 1, "tiers": []}'),
    (11, '{"model": "graduated", "tiers": []}'),
    (12, '{"model": "graduated", "tiers": {}}'),
    (13, '{"model": "graduated"}'),
    (14, '{"model": "graduated", "tiers": [1]}'),
    (15, '{"model": "graduated", "tiers": [{"up_to": 5, "price": 1}]}'),
    (16, '{"model": "graduated", "tiers": [{"price": 1}, {"price": 2}]}'),
    (17, '{"model": "graduated", "tiers": [{"up_to": 5, "price": 0.0000000000001}, {"price": 1}]}'),
    (18, '{"model": "graduated", "tiers": [{"up_to": "inf", "price": 1}, {"price": 1}]}'),
    (19, '{"model": "flat", "price": true}'),
    (20, '{"model": "flat", "price": "1 "}'),
    (21, '{"model": "flat", "price": 1, "percent": 1}'),
    (22, '{"model": "flat", "percent": 1, "per": 5}'),
    (23, '{"model": "flat", "price": 1, "packages": "started"}'),
    (24, '{"model": "flat", "price": 1, "per": 5, "packages": "half"}'),
    (25, '{"model": "flat", "price": 1, "fee_at_zero": 0}'),
    (26, '{"model": "flat", "price": -1}'),
    (27, '{"model": "flat", "price": 1e40}'),
    (28, '{"model": "flat", "price": 1, "discount": 101}')
) AS v (id, input) ORDER BY id;
SELECT left(tried_json(jsonb_build_object('model', 'graduated', 'tiers', jsonb_agg(jsonb_build_object('price', 1, 'up_to', i)))::text), 80)
FROM generate_series(1, 1001) AS i;

-- Stripe's price object
SELECT tried_json(input) FROM (VALUES
    (1, '{"id": "price_1", "object": "price", "active": true, "billing_scheme": "per_unit", "created": 1679431181, "currency": "usd", "custom_unit_amount": null, "livemode": false, "metadata": {}, "nickname": null, "product": "prod_1", "recurring": {"interval": "month", "usage_type": "metered"}, "tax_behavior": "unspecified", "tiers_mode": null, "transform_quantity": null, "type": "recurring", "unit_amount": 1000, "unit_amount_decimal": "1000"}'),
    (2, '{"billing_scheme": "per_unit", "currency": "usd", "unit_amount": null, "unit_amount_decimal": "0.05"}'),
    (3, '{"billing_scheme": "per_unit", "currency": "usd", "unit_amount_decimal": "0.000000000012"}'),
    (4, '{"billing_scheme": "per_unit", "currency": "jpy", "unit_amount": 500}'),
    (5, '{"billing_scheme": "per_unit", "currency": "KWD", "unit_amount": 500}'),
    (6, '{"billing_scheme": "per_unit", "currency": "isk", "unit_amount": 500}'),
    (7, '{"billing_scheme": "per_unit", "currency": "ugx", "unit_amount": 500}'),
    (8, '{"billing_scheme": "per_unit", "currency": "mga", "unit_amount": 500}'),
    (9, '{"billing_scheme": "per_unit", "currency": "eur", "unit_amount": 500, "transform_quantity": {"divide_by": 100, "round": "up"}}'),
    (10, '{"billing_scheme": "per_unit", "currency": "eur", "unit_amount": 500, "transform_quantity": {"divide_by": 100, "round": "down"}}'),
    (11, '{"billing_scheme": "tiered", "currency": "usd", "tiers_mode": "graduated", "unit_amount": null, "unit_amount_decimal": null, "tiers": [{"up_to": 5, "unit_amount": 500, "unit_amount_decimal": "500", "flat_amount": null, "flat_amount_decimal": null}, {"up_to": 10, "unit_amount": null, "unit_amount_decimal": "37.5", "flat_amount": 1000, "flat_amount_decimal": "1000"}, {"up_to": null, "unit_amount_decimal": "0.1"}]}'),
    (12, '{"billing_scheme": "tiered", "currency": "usd", "tiers_mode": "volume", "tiers": [{"up_to": 5, "flat_amount": 500}, {"up_to": "inf", "flat_amount_decimal": "900"}]}'),
    (13, '{"billing_scheme": "per_unit", "unit_amount": 500}'),
    (14, '{"billing_scheme": "per_unit", "currency": "xyz", "unit_amount": 500}'),
    (15, '{"billing_scheme": "per_unit", "currency": "dollars", "unit_amount": 500}'),
    (16, '{"billing_scheme": "flat", "currency": "usd", "unit_amount": 500}'),
    (17, '{"billing_scheme": "per_unit", "currency": "usd"}'),
    (18, '{"billing_scheme": "per_unit", "currency": "usd", "unit_amount": 5, "unit_amount_decimal": "5.1"}'),
    (19, '{"billing_scheme": "per_unit", "currency": "usd", "unit_amount": 5, "custom_unit_amount": {"minimum": 5}}'),
    (20, '{"billing_scheme": "per_unit", "currency": "usd", "unit_amount": 5, "tiers": [{"up_to": null, "unit_amount": 1}]}'),
    (21, '{"billing_scheme": "per_unit", "currency": "usd", "unit_amount": 5, "transform_quantity": {"divide_by": 100, "round": "nearest"}}'),
    (22, '{"billing_scheme": "per_unit", "currency": "usd", "unit_amount": 5, "transform_quantity": {"divide_by": 0, "round": "up"}}'),
    (23, '{"billing_scheme": "per_unit", "currency": "usd", "unit_amount_decimal": "0.000000000012", "transform_quantity": {"divide_by": 10, "round": "up"}}'),
    (24, '{"billing_scheme": "tiered", "currency": "usd", "tiers_mode": "graduated"}'),
    (25, '{"billing_scheme": "tiered", "currency": "usd", "tiers_mode": "stairs", "tiers": []}'),
    (26, '{"billing_scheme": "tiered", "currency": "usd", "tiers_mode": "volume", "tiers": [{"up_to": null}]}'),
    (27, '{"billing_scheme": "tiered", "currency": "usd", "tiers_mode": "volume", "tiers": [{"up_to": 5, "unit_amount": 1}]}'),
    (28, '{"billing_scheme": "tiered", "currency": "usd", "tiers_mode": "volume", "tiers": [{"up_to": null, "flat_amount_decimal": "0.000000000001"}]}'),
    (29, '{"billing_scheme": "tiered", "currency": "usd", "tiers_mode": "volume", "transform_quantity": {"divide_by": 10, "round": "up"}, "tiers": [{"up_to": null, "unit_amount": 1}]}'),
    (30, '{"billing_scheme": "per_unit", "currency": "usd", "unit_amount": -5}')
) AS v (id, input) ORDER BY id;

-- Lago's charges
SELECT tried_json(input) FROM (VALUES
    (1, '{"charge_model": "standard", "lago_id": "1", "pay_in_advance": true, "prorated": false, "min_amount_cents": 0, "filters": [], "properties": {"amount": "5.12345"}}'),
    (2, '{"amount": "10"}'),
    (3, '{"charge_model": "graduated", "properties": {"graduated_ranges": [{"from_value": 0, "to_value": 10, "per_unit_amount": "10", "flat_amount": "2"}, {"from_value": 11, "to_value": 20, "per_unit_amount": "5", "flat_amount": "3"}, {"from_value": 21, "to_value": null, "per_unit_amount": "5", "flat_amount": "3"}]}}'),
    (4, '{"graduated_ranges": [{"from_value": "0", "to_value": "0.1", "per_unit_amount": "10"}, {"from_value": "0.1", "to_value": null, "per_unit_amount": "5", "flat_amount": "0"}]}'),
    (5, '{"volume_ranges": [{"from_value": 0, "to_value": 100, "per_unit_amount": "2", "flat_amount": "10"}, {"from_value": 101, "to_value": null, "per_unit_amount": "1", "flat_amount": "0"}]}'),
    (6, '{"amount": "100", "free_units": 200, "package_size": 10}'),
    (7, '{"rate": "1.3"}'),
    (8, '{"rate": "1.3", "fixed_amount": "0", "free_units_per_events": null, "free_units_per_total_aggregation": "250.0", "per_transaction_max_amount": null}'),
    (9, '{"graduated_percentage_ranges": [{"from_value": 0, "to_value": 10, "rate": "1", "flat_amount": "200"}, {"from_value": 11, "to_value": null, "rate": "2", "flat_amount": "300"}]}'),
    (10, '{"amount": "10", "pricing_group_keys": []}'),
    (11, '{"amount": "10", "pricing_group_keys": ["region"]}'),
    (12, '{"rate": "1.3", "fixed_amount": "2"}'),
    (13, '{"rate": "1.3", "free_units_per_events": 3}'),
    (14, '{"rate": "1.3", "per_transaction_min_amount": "1.75"}'),
    (15, '{"charge_model": "standard", "prorated": true, "properties": {"amount": "1"}}'),
    (16, '{"charge_model": "standard", "min_amount_cents": 1000, "properties": {"amount": "1"}}'),
    (17, '{"charge_model": "standard", "filters": [{"values": {"a": ["b"]}}], "properties": {"amount": "1"}}'),
    (18, '{"charge_model": "dynamic", "properties": {}}'),
    (19, '{"charge_model": "custom", "properties": {"custom_properties": {}}}'),
    (20, '{"charge_model": "standard"}'),
    (21, '{"charge_model": "standard", "properties": {}}'),
    (22, '{"charge_model": "standard", "properties": {"amount": "ten"}}'),
    (23, '{"charge_model": "graduated", "properties": {"graduated_ranges": [{"from_value": 1, "to_value": null, "per_unit_amount": "1"}]}}'),
    (24, '{"graduated_ranges": [{"from_value": 0, "to_value": 10, "per_unit_amount": "1"}, {"from_value": 12, "to_value": null, "per_unit_amount": "1"}]}'),
    (25, '{"graduated_ranges": [{"from_value": 0, "to_value": 0.5, "per_unit_amount": "1"}, {"from_value": 1.5, "to_value": null, "per_unit_amount": "1"}]}'),
    (26, '{"graduated_ranges": [{"from_value": 0, "to_value": 10, "per_unit_amount": "1"}]}'),
    (27, '{"graduated_ranges": [{"from_value": 0, "to_value": null, "per_unit_amount": "1"}, {"from_value": 1, "to_value": null, "per_unit_amount": "1"}]}'),
    (28, '{"graduated_ranges": [{"from_value": 0, "to_value": null}]}'),
    (29, '{"graduated_ranges": [{"from_value": 0, "to_value": null, "rate": "1", "per_unit_amount": "1"}]}'),
    (30, '{"volume_ranges": []}'),
    (31, '{"package_size": 0, "amount": "1"}'),
    (32, '{"package_size": 10, "amount": "1", "rate": "1"}')
) AS v (id, input) ORDER BY id;

-- Equality is that of the text; hashing follows it.
SELECT a.id, b.id FROM said AS a, said AS b
WHERE (a.input::meter.tariff = b.input::meter.tariff) <> (tried(a.input) = tried(b.input))
    OR (a.input::meter.tariff <> b.input::meter.tariff) = (tried(a.input) = tried(b.input));
SELECT a.id, b.id FROM said AS a, said AS b
WHERE a.input::meter.tariff = b.input::meter.tariff
    AND (meter.tariff_hash(a.input::meter.tariff) <> meter.tariff_hash(b.input::meter.tariff)
        OR meter.tariff_hash_extended(a.input::meter.tariff, 7) <> meter.tariff_hash_extended(b.input::meter.tariff, 7));
SELECT count(DISTINCT tried(input)) AS texts,
    count(DISTINCT meter.tariff_hash(input::meter.tariff)) AS hashes,
    count(DISTINCT meter.tariff_hash_extended(input::meter.tariff, 1)) AS hashes_extended,
    bool_and(meter.tariff_hash_extended(input::meter.tariff, 0) & 4294967295
        = meter.tariff_hash(input::meter.tariff)::bigint & 4294967295) AS lower_half
FROM said;
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'tariff_ops';
-- the order has no meaning, but is one: an index finds what equality finds
SELECT count(*), count(DISTINCT input::meter.tariff) FROM said;
SELECT bool_and((a.t *< b.t) = (meter.tariff_cmp(a.t, b.t) < 0) AND (a.t *<= b.t) = (meter.tariff_cmp(a.t, b.t) <= 0)
    AND (a.t *> b.t) = (meter.tariff_cmp(a.t, b.t) > 0) AND (a.t *>= b.t) = (meter.tariff_cmp(a.t, b.t) >= 0)
    AND (a.t = b.t) = (meter.tariff_cmp(a.t, b.t) = 0) AND meter.tariff_cmp(a.t, b.t) = -meter.tariff_cmp(b.t, a.t)) AS ordered
FROM (SELECT input::meter.tariff AS t FROM said) AS a, (SELECT input::meter.tariff AS t FROM said) AS b;
CREATE TABLE sold (id int, tariff meter.tariff) PARTITION BY HASH (tariff);
CREATE TABLE sold_0 PARTITION OF sold FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE sold_1 PARTITION OF sold FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO sold SELECT id, input::meter.tariff FROM said;
SELECT tariff, count(*), array_agg(id ORDER BY id) FROM sold GROUP BY tariff HAVING count(*) > 1;
SELECT id FROM sold WHERE tariff = 'AT 3';

-- The wire: what is sent is received, through a file.
SELECT meter.tariff_send('at 2.9% plus 1; maximum 2');
SELECT current_setting('data_directory') || '/meter_tariff.copy' AS file \gset
CREATE TABLE kept (id int, tariff meter.tariff, state meter.charge_state);
INSERT INTO kept SELECT id, input::meter.tariff, ('quantity ' || id || '; ' || input)::meter.charge_state FROM said;
INSERT INTO kept SELECT 1000, ('graduated: ' || string_agg('up to ' || i || ' at 1; ', '' ORDER BY i) || 'above at 2')::meter.tariff
FROM generate_series(1, 999) AS i;
COPY kept TO :'file' (FORMAT binary);
CREATE TABLE received (LIKE kept);
COPY received FROM :'file' (FORMAT binary);
SELECT count(*), count(*) FILTER (WHERE r.tariff = k.tariff) AS same,
    count(*) FILTER (WHERE meter.tariff_send(r.tariff) = meter.tariff_send(k.tariff)) AS same_bytes,
    count(*) FILTER (WHERE r.state::text = k.state::text) AS same_states
FROM received AS r JOIN kept AS k USING (id);
-- a thousand tiers are compressed and out of line, and charge all the same
SELECT pg_column_size(tariff) < 50000 AS compressed, meter.charge(tariff, 1500) FROM received WHERE id = 1000;

-- Broken bytes and broken texts end in a value, or in an error of class 22.
CREATE FUNCTION received_state(value bytea, typename text, file text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    image oid;
    state text;
BEGIN
    EXECUTE format('CREATE TEMP TABLE IF NOT EXISTS broken_%s (value meter.%s)', typename, typename);
    image := lo_from_bytea(0, '\x5047434f50590aff0d0a00'::bytea || int4send(0) || int4send(0)
        || int2send(1::smallint) || int4send(length(value)) || value || int2send((-1)::smallint));
    PERFORM lo_export(image, file);
    PERFORM lo_unlink(image);
    EXECUTE format('TRUNCATE broken_%s', typename);
    EXECUTE format('COPY broken_%s FROM %L (FORMAT binary)', typename, file);
    -- a value that came in must go out and come in again
    EXECUTE format('SELECT value::text::meter.%s FROM broken_%s', typename, typename);
    RETURN 'value';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
    RETURN CASE WHEN state LIKE '22%' THEN 'class 22' ELSE state || ' ' || SQLERRM END;
END $$;
SET client_min_messages = warning;
SELECT setseed(0.25);
SELECT DISTINCT received_state(set_byte(bytes, floor(random() * length(bytes))::int, floor(random() * 256)::int), 'tariff', :'file')
FROM (SELECT meter.tariff_send(input::meter.tariff) AS bytes FROM said, generate_series(1, 8)) AS s ORDER BY 1;
SELECT DISTINCT received_state(substr(bytes, 1, floor(random() * length(bytes))::int), 'tariff', :'file')
FROM (SELECT meter.tariff_send(input::meter.tariff) AS bytes FROM said) AS s;
SELECT DISTINCT received_state(bytes || '\x00', 'tariff', :'file')
FROM (SELECT meter.tariff_send(input::meter.tariff) AS bytes FROM said) AS s;
SELECT DISTINCT received_state(set_byte(bytes, floor(random() * length(bytes))::int, floor(random() * 256)::int), 'charge_state', :'file')
FROM (SELECT meter.charge_state_send(state) AS bytes FROM kept, generate_series(1, 3) WHERE id < 1000) AS s ORDER BY 1;
RESET client_min_messages;
WITH broken AS (
    SELECT overlay(input PLACING substr('at;:%-.e09 pertoup,\é', 1 + floor(random() * 20)::int, 1)
        FROM 1 + floor(random() * length(input))::int FOR floor(random() * 3)::int) AS input
    FROM said, generate_series(1, 50)
)
SELECT DISTINCT CASE WHEN result ~ '^22' THEN 'class 22' WHEN result::meter.tariff::text = result THEN 'value' ELSE result END
FROM (SELECT tried(input) AS result FROM broken OFFSET 0) AS s ORDER BY 1;

-- the state's text form
SELECT 'quantity 5; at 2 per 1'::meter.charge_state;
\set VERBOSITY terse
SELECT 'quantity x; at 2'::meter.charge_state;
SELECT 'at 2'::meter.charge_state;
SELECT 'quantity 5; at'::meter.charge_state;
COPY (SELECT) TO :'file';
