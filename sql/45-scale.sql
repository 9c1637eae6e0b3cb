-- Prices that change by a factor.

CREATE FUNCTION meter.scale(tariff meter.tariff, factor numeric) RETURNS meter.tariff
AS 'MODULE_PATHNAME', 'meter_scale' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.scale(meter.tariff, numeric) IS
'The tariff with every price, fee, minimum and maximum times a factor, each settled to 12 digits. Bounds, packages, free units and discounts stay. For prices that are linked to an index, or rise every year. A negative factor is an error.';

CREATE FUNCTION meter.prorate_limits(tariff meter.tariff, part_from integer, part_to integer, whole integer) RETURNS meter.tariff
AS 'MODULE_PATHNAME', 'meter_prorate_limits' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.prorate_limits(meter.tariff, integer, integer, integer) IS
'The tariff for the part of a period from day part_from to before day part_to, of whole days: its minimum and its maximum are prorated as by meter.prorate, so those of parts that follow each other add up. Everything else stays. Days outside of the whole are an error.';

CREATE FUNCTION meter.compound(percent numeric, years integer) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_compound' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.compound(numeric, integer) IS
'The factor by which a price has changed after so many rises of percent each: 1.061208 after three of 2. Each year''s is settled to 12 digits. A fall by more than 100 percent, and years outside of 0 to 1000, are errors.';
