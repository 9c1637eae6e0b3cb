-- Ten million calls in one query leave the backend's memory as it is: measured inside the
-- query, where a leak in a function's own context would show, and behind it.

CREATE FUNCTION memory_now() RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (SELECT sum(total_bytes) FROM pg_backend_memory_contexts);
END
$$;

-- call: an expression of i and the source's columns; it may be an aggregate.
CREATE TABLE memory_call (n integer PRIMARY KEY, name text, call text, source text, weight integer);
INSERT INTO memory_call VALUES
    (1, 'charge', 'count(meter.charge(''graduated: up to 500 at 0; up to 2500 at 0.08; above at 0.06 plus 10; minimum 20'', i))', 'one', 1),
    (2, 'charge with a stored tariff', 'count(meter.charge(tariff, i + 0.5))', 'long_tariff', 1),
    (3, 'cost', 'count(meter.cost((SELECT card FROM prop.probe_card), ''item1'', ''2026-05-01''::timestamptz + i % 1000 * interval ''1 minute'', bag))', 'one', 1),
    (4, 'cost with a stored card', 'count(meter.cost(card, ''item1'', ''2026-05-01'', meter.usage(''input_tokens'', i)))', 'long_card', 1),
    (5, 'usage', 'count(meter.usage(''input_tokens'', i, ''output_tokens'', i + 0.5, ''mine'', 1))', 'one', 1),
    (6, 'period_start', 'count(meter.period_start(''2026-01-01''::timestamptz + i % 10000 * interval ''1 hour'', date ''2025-01-31'', ''1 month'', ''Europe/Berlin''))', 'one', 1),
    (7, 'sum(usage)', 'sum(meter.usage(''input_tokens'', i, ''mine'', 1))', 'one', 1),
    (8, 'total_cost', 'meter.total_cost((SELECT card FROM prop.probe_card), ''item1'', ''2026-05-01'', bag)', 'one', 1),
    (16, 'total_cost of columns', 'meter.total_cost((SELECT card FROM prop.probe_card), ''item1'', ''2026-05-01'', ''input_tokens'', i, ''mine'', i % 7 + 0.5)', 'one', 1),
    (17, 'event_sums', 'meter.event_sums((SELECT card FROM prop.probe_card), (SELECT card FROM prop.probe_card), ''item1'', ''item1'', ''2026-05-01'', bag, NULL, 1::smallint)', 'one', 1),
    (19, 'break_down', 'meter.break_down((SELECT card FROM prop.probe_card), (SELECT card FROM prop.probe_card), ''item'' || i % 20, ''item1'', ''2026-05-01'', bag, NULL, 1::smallint, NULL, NULL, NULL)', 'one', 1),
    (20, 'sum(breakdown)', 'meter.sum(day)', 'one', 1),
    (25, 'sum_by', 'meter.sum_by(day, i % 2 = 0, false, true, i % 3 = 0, true)', 'one', 1),
    (21, 'add of breakdowns', 'count(meter.add(day, day))', 'one', 10),
    (22, 'entries', 'count((SELECT sum(events) FROM meter.entries(day)))', 'one', 20),
    (23, 'breakdown of text', 'count((''[{"item": "'' || i || ''", "events": 1, "usage": {"x": 1}}]'')::meter.breakdown::text)', 'one', 10),
    (24, 'mentions', 'count(meter.mentions(day, ''item'' || i % 20, NULL))', 'one', 1),
    (18, 'usage_date', 'count(meter.usage_date(''2026-01-01''::timestamptz + i % 10000 * interval ''1 hour'', ''Europe/Berlin''))', 'one', 1),
    (9, 'total_charge', 'meter.total_charge(''at 0.08'', i)', 'one', 1),
    (10, 'charges_by_period', 'meter.charges_by_period(''at 0.08'', ''2026-01-01''::timestamptz + i % 10000 * interval ''1 hour'', 1, date ''2025-01-31'', ''1 month'', ''Europe/Berlin'')', 'one', 1),
    (11, 'cost_lines', 'count((SELECT sum(amount) FROM meter.cost_lines((SELECT card FROM prop.probe_card), ''item1'', ''2026-05-01'', bag)))', 'one', 50),
    (12, 'charge_lines', 'count((SELECT sum(amount) FROM meter.charge_lines(''graduated: up to 500 at 0; above at 0.06'', i)))', 'one', 20),
    (13, 'tariff of text', 'count((''graduated: up to '' || i || '' at 0; above at 0.06 plus 10'')::meter.tariff)', 'one', 10),
    (14, 'usage_from', 'count(meter.usage_from(''openai'', jsonb_build_object(''prompt_tokens'', i, ''completion_tokens'', 3)))', 'one', 10),
    (15, 'event_cost', 'count(meter.event_cost(''item'' || i % 100, ''2026-05-01'', bag))', 'one', 10);
INSERT INTO memory_call VALUES
    (30, 'burn', 'meter.burn((SELECT wallet FROM prop.probe_wallet), ''2026-01-01''::timestamptz + i % 10000 * interval ''1 hour'', i, ''x'')', 'one', 1),
    (31, 'burn by a book', 'meter.burn(''{"1": {}}''::meter.wallet_book, 1, ''2026-01-01''::timestamptz + i % 10000 * interval ''1 hour'', i)', 'one', 1),
    (32, 'spend and balance', 'count(meter.balance(meter.spend((SELECT wallet FROM prop.probe_wallet), ''2026-01-05'', i), ''2026-01-06''))', 'one', 10),
    (33, 'lots and spans', 'count((SELECT count(*) FROM meter.lots((SELECT wallet FROM prop.probe_wallet)), meter.spans((SELECT wallet FROM prop.probe_wallet))))', 'one', 50),
    (34, 'wallet of text', 'count((''{"lots": [{"id": "'' || i || ''", "amount": 5, "pool": "x"}]}'')::meter.wallet)', 'one', 10),
    (35, 'next_expiry', 'count((meter.next_expiry((SELECT wallet FROM prop.probe_wallet), ''2026-01-02'')).amount)', 'one', 10);
CREATE TABLE probe_wallet AS
SELECT '{"lots": [{"id": "a", "amount": 5, "pool": "x", "expires_at": "2026-02-01", "rollover_max": 1, "rollover_until": "2026-03-01"}, {"id": "b", "amount": 10, "effective_at": "2026-01-02"}]}'::meter.wallet AS wallet;
CREATE TABLE one AS SELECT '{"input_tokens": 1200, "output_tokens": 88, "mine": 0.5}'::meter.usage AS bag,
    '[{"item": "item1", "action": "chat", "variant": "standard", "events": 2, "usage": {"input_tokens": 1200, "mine": 0.5}, "cost": 0.25}, {"item": "item1", "variant": "batch", "events": 1, "usage": {"input_tokens": 7}}]'::meter.breakdown AS day;
CREATE TABLE long_tariff AS
SELECT ('graduated: ' || string_agg(format('up to %s at %s plus 1; ', k * 10, k), '' ORDER BY k) || 'above at 1')::meter.tariff AS tariff
FROM generate_series(1, 20) AS k;
CREATE TABLE long_card AS SELECT card FROM card WHERE id = 1;

INSERT INTO meter.rate (item, unit, price) SELECT 'item' || i, '*', i FROM generate_series(0, 49) AS i;

SET max_parallel_workers_per_gather = 0;
SET jit = off;
DO $$
DECLARE
    m record;
    calls bigint;
    statement text;
    began timestamptz;
    before bigint;
    behind bigint;
    during bigint[];
    result text;
BEGIN
    FOR m IN SELECT * FROM prop.memory_call ORDER BY n LOOP
        -- the first round fills caches that are meant to stay
        FOREACH calls IN ARRAY ARRAY[10000, (SELECT current_setting('prop.calls')::bigint) / m.weight] LOOP
            statement := format($q$
                SELECT (%s)::text, array_agg(prop.memory_now()) FILTER (WHERE i %% %s = 0)
                FROM (SELECT a * 1000::bigint + b AS i, source.* FROM prop.%I AS source,
                             generate_series(0, %s) AS a, generate_series(1, 1000) AS b OFFSET 0) AS calls$q$,
                m.call, greatest(calls / 10, 1), m.source, calls / 1000 - 1);
            began := clock_timestamp();
            before := prop.memory_now();
            EXECUTE statement INTO result, during;
            -- before what the bookkeeping below brings into the caches
            behind := prop.memory_now();
            IF calls > 10000 THEN
                INSERT INTO prop.done (property, cases, started, ended)
                VALUES ('memory of ' || m.name, calls, began, clock_timestamp());
                -- a tenth of the way in, everything that is kept is there
                IF during[cardinality(during)] > during[1] + 65536 OR behind > before + 65536 THEN
                    INSERT INTO prop.failure (property, detail)
                    VALUES ('memory of ' || m.name, format('before %s, in the query %s, behind it %s', before, during, behind));
                END IF;
            END IF;
        END LOOP;
    END LOOP;
END
$$;
