-- meter.event_cost: the price of the calling query's snapshot, never an older one
INSERT INTO meter.rate (item, unit, price, per, valid) VALUES
    ('m', 'x', 1, 1, '(,)'),
    ('m', 'output_tokens', 10, 1000000, '[2026-01-01 00:00Z,)');
INSERT INTO meter.rate (item, unit, price, variant) VALUES ('m', 'x', 0.5, 'batch');

-- as meter.cost with the card of the table
SELECT meter.event_cost('m', '2026-01-01 00:00Z', meter.usage('x', 2, 'output_tokens', 500)) AS standard,
       meter.event_cost('m', '2026-01-01 00:00Z', meter.usage('x', 2), 'batch') AS batch,
       meter.event_cost('m', '2025-12-31 23:59Z', meter.usage('output_tokens', 500)) AS unpriced,
       meter.event_cost('nobody', '2026-01-01 00:00Z', meter.usage('x', 2)) AS unknown,
       meter.event_cost('m', '2026-01-01 00:00Z', meter.usage('requests', 1)) AS free,
       meter.event_cost(NULL, '2026-01-01 00:00Z', meter.usage('x', 2)) AS nothing,
       meter.event_cost('m', NULL, meter.usage('x', 2)) AS no_time,
       meter.event_cost('m', '2026-01-01 00:00Z', NULL) AS no_usage;

-- one call in a loop that changes the price
DO $$
DECLARE
    price numeric;
BEGIN
    FOR i IN 1..3 LOOP
        UPDATE meter.rate SET price = i WHERE item = 'm' AND unit = 'x' AND variant = 'standard';
        price := meter.event_cost('m', '2026-01-01', meter.usage('x', 1));
        RAISE NOTICE 'after price %: %', i, price;
    END LOOP;
END
$$;
-- a rate that comes and goes
DO $$
DECLARE
    price numeric;
BEGIN
    FOR i IN 1..4 LOOP
        IF i % 2 = 0 THEN
            INSERT INTO meter.rate (item, unit, price, precedence) VALUES ('m', 'x', 100, 200);
        ELSE
            DELETE FROM meter.rate WHERE item = 'm' AND precedence = 200;
        END IF;
        price := meter.event_cost('m', '2026-01-01', meter.usage('x', 1));
        RAISE NOTICE '%', price;
    END LOOP;
END
$$;
-- what is rolled back is not seen, and what a subtransaction leaves is
DO $$
DECLARE
    price numeric;
BEGIN
    FOR i IN 1..4 LOOP
        BEGIN
            IF i <> 2 THEN
                UPDATE meter.rate SET price = i * 10 WHERE item = 'm' AND unit = 'x' AND variant = 'standard';
            END IF;
            price := meter.event_cost('m', '2026-01-01', meter.usage('x', 1));
            RAISE NOTICE 'inside %: %', i, price;
            IF i IN (1, 3) THEN
                RAISE EXCEPTION 'undo';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
        price := meter.event_cost('m', '2026-01-01', meter.usage('x', 1));
        RAISE NOTICE 'behind %: %', i, price;
    END LOOP;
END
$$;
SELECT meter.event_cost('m', '2026-01-01', meter.usage('x', 1)) AS kept;

-- a query has one price, whatever it changes itself
CREATE FUNCTION raise_price() RETURNS numeric LANGUAGE sql VOLATILE
AS $$UPDATE meter.rate SET price = price + 1 WHERE item = 'm' AND unit = 'x' AND variant = 'standard' RETURNING 0::numeric$$;
SELECT i, meter.event_cost('m', '2026-01-01', meter.usage('x', 1)) + raise_price() AS price FROM generate_series(1, 3) AS i;
SELECT meter.event_cost('m', '2026-01-01', meter.usage('x', 1)) AS next;
DROP FUNCTION raise_price();

-- repeatable read sees its own writes
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT meter.event_cost('m', '2026-01-01', meter.usage('x', 1));
SAVEPOINT one;
UPDATE meter.rate SET price = 5 WHERE item = 'm' AND unit = 'x' AND variant = 'standard';
SELECT meter.event_cost('m', '2026-01-01', meter.usage('x', 1));
ROLLBACK TO one;
SELECT meter.event_cost('m', '2026-01-01', meter.usage('x', 1));
COMMIT;

-- a cursor sees the prices of its start
BEGIN;
DECLARE c CURSOR FOR SELECT meter.event_cost('m', '2026-01-01', meter.usage('x', i)) FROM generate_series(1, 3) AS i;
FETCH c;
UPDATE meter.rate SET price = 5 WHERE item = 'm' AND unit = 'x' AND variant = 'standard';
FETCH c;
SELECT meter.event_cost('m', '2026-01-01', meter.usage('x', 1));
FETCH c;
COMMIT;

-- workers see what their leader sees, its own writes too
CREATE TABLE happened AS
SELECT 'm' || i % 3 AS item, meter.usage('x', i) AS usage FROM generate_series(1, 3000) AS i;
ANALYZE happened;
INSERT INTO meter.rate (item, unit, price) SELECT 'm' || i, 'x', i + 1 FROM generate_series(0, 2) AS i;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE happened SET (parallel_workers = 2);
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN EXPLAIN (COSTS off) SELECT item, sum(meter.event_cost(item, '2026-01-01', usage)) FROM happened GROUP BY item ORDER BY item LOOP
        IF line ~ 'Partial.*Aggregate' THEN
            RAISE NOTICE 'by workers';
        END IF;
    END LOOP;
END
$$;
SELECT item, sum(meter.event_cost(item, '2026-01-01', usage)) FROM happened GROUP BY item ORDER BY item;
BEGIN;
UPDATE meter.rate SET price = price * 2 WHERE item ~ '^m[0-2]$';
SELECT item, sum(meter.event_cost(item, '2026-01-01', usage)) FROM happened GROUP BY item ORDER BY item;
SAVEPOINT one;
UPDATE meter.rate SET price = price * 2 WHERE item ~ '^m[0-2]$';
SELECT item, sum(meter.event_cost(item, '2026-01-01', usage)) FROM happened GROUP BY item ORDER BY item;
ROLLBACK TO one;
SELECT item, sum(meter.event_cost(item, '2026-01-01', usage)) FROM happened GROUP BY item ORDER BY item;
ROLLBACK;
SELECT item, sum(meter.event_cost(item, '2026-01-01', usage)) FROM happened GROUP BY item ORDER BY item;

-- more items than are kept
SELECT count(meter.event_cost('m' || i % 20011, '2026-01-01', meter.usage('x', 1))) AS priced FROM generate_series(0, 50000) AS i;

DROP TABLE happened;
DELETE FROM meter.rate;

-- a function that is called by two users in one query shows each what that one may see
INSERT INTO meter.rate (item, unit, price) VALUES ('m', 'x', 1);
CREATE FUNCTION price() RETURNS numeric LANGUAGE plpgsql STABLE AS $$BEGIN RETURN meter.event_cost('m', '2026-01-01', '{"x": 2}'); END$$;
CREATE FUNCTION price_of_stranger() RETURNS numeric LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$BEGIN RETURN price(); END$$;
CREATE ROLE regress_meter_stranger;
GRANT USAGE ON SCHEMA meter TO regress_meter_stranger;
GRANT CREATE ON SCHEMA public TO regress_meter_stranger;
ALTER FUNCTION price_of_stranger() OWNER TO regress_meter_stranger;
\set VERBOSITY terse
SELECT price(), price_of_stranger();
\set VERBOSITY default
DROP FUNCTION price_of_stranger(), price();
REVOKE ALL ON SCHEMA public, meter FROM regress_meter_stranger;
DROP ROLE regress_meter_stranger;
DELETE FROM meter.rate;
