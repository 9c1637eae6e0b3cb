-- Rounding money and quantities.
SELECT c AS currency, meter.currency_digits(c) AS digits, meter.round_money(1234.56785, c) AS rounded
FROM unnest(ARRAY['EUR', 'USD', 'JPY', 'KWD', 'CLF', 'HUF', 'ISK', 'BHD']) AS c;
SELECT code, meter.is_currency(code) FROM unnest(ARRAY['EUR', 'eur', 'XAU', 'EURO', 'EU', '', NULL]) AS code;
SELECT a AS amount, meter.round_money(a, 'EUR') AS eur, meter.round_money(a, 'JPY') AS jpy
FROM unnest(ARRAY[0, 0.005, -0.005, 0.004999999999, 2.345, -2.345, 2.5, -2.5, 0.4, 90.322580645161]) AS a;

SELECT q, d AS digits, meter.round_quantity(q, 'round', d) AS round, meter.round_quantity(q, 'ceil', d) AS ceil, meter.round_quantity(q, 'floor', d) AS floor
FROM unnest(ARRAY[0, 1234.5678, -1234.5678, 1250, -1250, 0.000000000001]) AS q, unnest(ARRAY[2, 0, -2, -4, 12, 100]) AS d;
SELECT meter.round_quantity(1.5, 'round') AS whole, meter.round_quantity(1, 'round', -2147483648) AS far_left, meter.round_quantity(1, 'floor', 2147483647) AS far_right;
SELECT meter.round_quantity(1, 'ceil', -26), meter.round_quantity(NULL, 'ceil', 1) IS NULL AS strict;

-- Half away from zero, on both sides, as numeric's round() does it
SELECT count(*) AS differ
FROM (SELECT (n * 7919 % 2000003 - 1000000)::numeric / 1000 AS x, n % 5 - 2 AS d FROM generate_series(1, 20000) AS n) AS t
WHERE meter.round_quantity(x, 'round', d) <> round(x, d)
OR meter.round_quantity(x, 'ceil', d) <> ceil(x * 10.0 ^ d) / 10.0 ^ d
OR meter.round_quantity(x, 'floor', d) <> floor(x * 10.0 ^ d) / 10.0 ^ d;

\set VERBOSITY terse
SELECT meter.round_money(1, 'XYZ');
SELECT meter.round_money(1, 'eur');
SELECT meter.round_money(1, 'XAU');
SELECT meter.currency_digits('');
SELECT meter.round_money('NaN', 'EUR');
SELECT meter.round_quantity(1, 'up', 0);
SELECT meter.round_quantity(1, 'roundest', 0);
SELECT meter.round_quantity(1, 'ceil', -27);
SELECT meter.round_quantity(1, 'ceil', -2147483648);
