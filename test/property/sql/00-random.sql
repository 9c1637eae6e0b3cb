-- Randomness that is a function of the seed: every value hangs on (seed, number, salt), so
-- a run is the same whatever order the server takes rows in.

CREATE SCHEMA prop;
SET search_path TO prop, pg_catalog, public;

CREATE TABLE parameter AS SELECT :seed::bigint AS seed, :cases::integer AS cases;

CREATE FUNCTION h(i bigint, salt bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashint8extended(i, hashint8extended(salt, :seed)) & 9223372036854775807;

-- 0 .. n - 1
CREATE FUNCTION pick(i bigint, salt bigint, n integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (h(i, salt) % n)::integer;

-- A decimal with up to so many digits before the point, and 0 to 12 behind it.
CREATE FUNCTION decimal_of(i bigint, salt bigint, digits integer) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN trunc(h(i, salt)::numeric % 10::numeric ^ (1 + pick(i, salt + 500, digits)), 0)
    + CASE pick(i, salt + 501, 4)
          WHEN 0 THEN round((h(i, salt + 502) % 1000000000000) * 0.000000000001, 1 + pick(i, salt + 503, 12))
          WHEN 1 THEN round((h(i, salt + 502) % 1000000000000) * 0.000000000001, 1 + pick(i, salt + 503, 3))
          ELSE 0 END;

-- The largest decimal.
CREATE FUNCTION dec_max() RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 170141183460469231731687303.715884105727;

-- a / b, rounded half away from zero to 12 digits, exactly: numeric's own division rounds
-- before it.
CREATE FUNCTION settle(a numeric, b numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sign(a) * div(abs(a) * 2000000000000 + b, 2 * b) * 0.000000000001;

-- What failed: the first few of every property are printed, all are counted.
CREATE TABLE failure (id serial, property text NOT NULL, detail text);
CREATE TABLE done (id serial, property text NOT NULL, cases bigint NOT NULL, started timestamptz, ended timestamptz);

-- Runs a query whose rows are the counterexamples of a property.
CREATE PROCEDURE must_be_empty(property text, cases bigint, query text)
LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
BEGIN
    EXECUTE format('INSERT INTO prop.failure (property, detail) SELECT %L, r::text FROM (%s) AS r', property, query);
    INSERT INTO prop.done (property, cases, started, ended) VALUES (property, cases, started, clock_timestamp());
END
$$;

-- The SQLSTATE of a statement, '00000' if it ends well.
CREATE FUNCTION state_of(statement text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN '00000';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
