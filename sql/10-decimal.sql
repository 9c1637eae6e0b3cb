-- Rounding. Everything else is exact to 12 digits.

CREATE FUNCTION meter.currency_digits(currency text) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_currency_digits';
COMMENT ON FUNCTION meter.currency_digits(text) IS
'How many decimal digits amounts of a currency have, by ISO 4217: 2 for EUR, 0 for JPY, 3 for KWD. A code that is not in the standard, or has no minor unit (XAU), is an error.';

CREATE FUNCTION meter.is_currency(code text) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_is_currency';
COMMENT ON FUNCTION meter.is_currency(text) IS
'Whether a text is the code of a currency whose digits currency_digits knows; any other is false, and no error.';

CREATE FUNCTION meter.round_money(amount numeric, currency text) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_round_money';
COMMENT ON FUNCTION meter.round_money(numeric, text) IS
'The amount rounded to the digits of its currency, half away from zero, as an invoice line is: once, at the end. An unknown currency is an error, see currency_digits.';

CREATE FUNCTION meter.round_quantity(quantity numeric, mode text, digits integer DEFAULT 0) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'meter_round_quantity';
COMMENT ON FUNCTION meter.round_quantity(numeric, text, integer) IS
'The quantity rounded to so many decimal digits. mode is round (half away from zero), ceil (up) or floor (down); any other is an error. Negative digits round to tens, hundreds and so on. A result beyond the range of quantities is an error.';
