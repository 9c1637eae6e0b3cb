-- Prices that change by a factor.
\set VERBOSITY terse
SELECT meter.scale('at 0.08', 1.5), meter.scale('at 0.08', 0), meter.scale('at 2.9%', 2), meter.scale('at 5 per started 100', 0.5);
SELECT meter.scale('graduated: up to 500 at 0; up to 2500 at 0.08; above at 0.06 plus 10; free 100; discount 50%; maximum 500; minimum 20; no fee at zero', 1.1);
-- Each price is settled to 12 digits, half away from zero.
SELECT meter.scale('at 0.000000000005', 0.1), meter.scale('at 0.000000000004', 0.1);
SELECT meter.scale('at 1', -1);
SELECT meter.scale('at 100000000000000000000', 100000000000000000000);
-- Charging by the scaled tariff is scaling the charge, where nothing is rounded.
SELECT count(*) FROM generate_series(0, 3000, 7) AS quantity
WHERE meter.charge(meter.scale('graduated: up to 500 at 0.01; above at 0.06 plus 10; minimum 20', 1.25), quantity)
	<> 1.25 * meter.charge('graduated: up to 500 at 0.01; above at 0.06 plus 10; minimum 20', quantity);

SELECT meter.prorate_limits('at 1; minimum 31; maximum 310', 0, 10, 31), meter.prorate_limits('at 1; minimum 31; maximum 310', 10, 31, 31), meter.prorate_limits('at 1; free 5', 0, 10, 31);
SELECT meter.prorate_limits('at 1; minimum 100', 0, 10, 30), meter.prorate_limits('at 1; minimum 100', 10, 20, 30), meter.prorate_limits('at 1; minimum 100', 20, 30, 30);
SELECT meter.prorate_limits('at 1; maximum 10', 0, 0, 30);
SELECT meter.prorate_limits('at 1', 10, 5, 30);
SELECT meter.prorate_limits('at 1', 10, 31, 30);
SELECT meter.prorate_limits('at 1', 0, 0, 0);

SELECT meter.compound(2, 0), meter.compound(2, 1), meter.compound(2, 3), meter.compound(-100, 1), meter.compound(7, 30);
SELECT meter.compound(-101, 1);
SELECT meter.compound(1, -1);
SELECT meter.compound(1, 1001);
SELECT meter.compound(900, 40);
