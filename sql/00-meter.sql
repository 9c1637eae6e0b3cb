\echo Use "CREATE EXTENSION meter" to load this file. \quit
SET LOCAL search_path TO pg_catalog, pg_temp;

CREATE SCHEMA meter;
COMMENT ON SCHEMA meter IS 'Rating of usage: types and functions that are pure values in, values out, and the catalogue of prices that they are fed from.';
GRANT USAGE ON SCHEMA meter TO PUBLIC;
