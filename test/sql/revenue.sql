-- Revenue: where it comes in, when it is earned, and what is said of what is not known.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- What a row cannot be.
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) VALUES ('acme', '2025-01-01', 1, 'usd');
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) VALUES ('acme', 'infinity', 1, 'USD');
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) VALUES ('acme', '2025-01-01', 'NaN', 'USD');
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) VALUES ('acme', '2025-01-01', 0.0000000000001, 'USD');
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency, period) VALUES ('acme', '2025-01-01', 1, 'USD', '[2025-01-01,)');
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency, period) VALUES ('acme', '2025-01-01', 1, 'USD', 'empty');
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency, period) VALUES ('acme', '2025-01-01', 1, 'USD', '[2025-01-01,infinity)');
INSERT INTO meter.fx_rate VALUES ('EUR', 'EUR', '2025-01-01', 1);
INSERT INTO meter.fx_rate VALUES ('EUR', 'USD', '2025-01-01', 0);
INSERT INTO meter.fx_rate VALUES ('EUR', 'USD', '2025-01-01', 'NaN');

-- A year's fee is earned by days, to the last digit; the same line of a source comes in once.
INSERT INTO meter.revenue (customer_id, revenue_date, period, kind, amount, currency, source, reference) VALUES
	('acme', '2025-01-15', '[2025-01-15,2026-01-15)', 'fee', 1000, 'USD', 'erp', 'R-1'),
	('acme', '2025-01-31', NULL, 'setup', 250, 'USD', 'erp', 'R-2'),
	('acme', '2025-02-10', '[2025-01-15,2025-02-15)', 'refund', -31, 'USD', 'erp', 'R-3')
ON CONFLICT DO NOTHING;
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency, source, reference) VALUES ('acme', '2025-01-31', 250, 'USD', 'erp', 'R-2') ON CONFLICT DO NOTHING;
SELECT month, kind, amount FROM meter.customer_revenue ORDER BY month, kind;
SELECT sum(amount) FROM meter.customer_revenue;
SELECT kind, amount FROM meter.customer_revenue_between('2025-01-20', '2025-02-01') ORDER BY kind;
SELECT sum(amount) FROM (SELECT amount FROM meter.customer_revenue_between('2025-01-01', '2025-06-12') UNION ALL SELECT amount FROM meter.customer_revenue_between('2025-06-12', '2026-02-01')) AS part;

-- Exchanged at the last rate of the last seven days of a month, or not at all; never at 1, or the other way round.
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency)
SELECT 'bolt', date '2025-01-15' + 31 * n, 100, 'EUR' FROM generate_series(0, 4) AS n;
INSERT INTO meter.fx_rate (currency, quote, rate_date, rate) VALUES
	('EUR', 'USD', '2025-01-24', 1.01), ('EUR', 'USD', '2025-01-30', 1.02), ('EUR', 'USD', '2025-02-01', 9), ('EUR', 'USD', '2025-02-20', 9), ('EUR', 'USD', '2025-02-21', 1.03),
	('EUR', 'USD', '2025-03-23', 9), ('USD', 'EUR', '2025-04-30', 0.9), ('EUR', 'GBP', '2025-04-30', 0.8), ('EUR', 'USD', '2025-05-24', 1.05);
SELECT month, amount, billed_amount, billed_currency FROM meter.customer_revenue WHERE customer_id = 'bolt' ORDER BY month;
SELECT month, meter.exchange_rate('EUR', (month + interval '1 month')::date - 1) AS of_function, (SELECT rate FROM meter.monthly_rate WHERE monthly_rate.month = series.month::date) AS of_view
FROM generate_series(timestamp '2025-01-01', timestamp '2025-05-01', interval '1 month') AS series (month);
SELECT meter.exchange_rate('USD', '2025-03-31'), meter.exchange_rate('EUR', '2025-03-24'), meter.exchange_rate(NULL, '2025-03-24');
SELECT month, revenue, gross_margin, unknown_amounts FROM meter.customer_margin WHERE customer_id = 'bolt' ORDER BY month;
SELECT month, customers, revenue, gross_margin, unknown_amounts FROM meter.monthly_margin WHERE month < '2025-05-01' ORDER BY month;
SELECT source, customer_id, revenue_date, amount, currency, problem, month FROM meter.revenue_problem ORDER BY revenue_date;
-- A rate in its last month does not make up for those that are missing in the months before.
INSERT INTO meter.revenue (customer_id, revenue_date, period, amount, currency) VALUES ('yearly', '2025-01-15', '[2025-02-01,2025-06-01)', 120, 'EUR');
SELECT month, problem FROM meter.revenue_problem WHERE customer_id = 'yearly' ORDER BY month;
SELECT month, revenue FROM meter.margin_of_customer WHERE customer_id = 'yearly' ORDER BY month;
DELETE FROM meter.revenue WHERE customer_id = 'yearly';

-- In the present month it is today's rate, and everything is an estimate; months to come are not shown.
INSERT INTO meter.revenue (customer_id, revenue_date, period, amount, currency)
SELECT 'now', today, daterange(meter.month_start(today), (meter.month_start(today) + interval '2 months')::date), 1000, 'CHF' FROM meter.reporting;
INSERT INTO meter.fx_rate (currency, quote, rate_date, rate) SELECT 'CHF', 'USD', today - 8, 9 FROM meter.reporting;
SELECT count(*) AS months, bool_and(estimated) AS estimated, bool_and(month = meter.month_start(today)) AS present, sum(amount) AS amount FROM meter.customer_revenue, meter.reporting WHERE customer_id = 'now';
INSERT INTO meter.fx_rate (currency, quote, rate_date, rate) SELECT 'CHF', 'USD', today - 7, 2 FROM meter.reporting;
INSERT INTO meter.fx_rate (currency, quote, rate_date, rate) SELECT 'CHF', 'USD', today + 1, 9 FROM meter.reporting;
SELECT bool_and(amount = round(2 * billed_amount, 12)) AS exchanged, count(*) AS months FROM meter.customer_revenue WHERE customer_id = 'now';
DELETE FROM meter.revenue WHERE customer_id = 'now';

-- Rows of an attached table that cannot be counted are listed, and the others are counted.
CREATE TABLE odd (account text, amount numeric, cur text, note text);
INSERT INTO odd VALUES ('odd', 100, 'USD', '1'), ('even', 'NaN', 'USD', '2'), ('even', 1e30, 'USD', '3'), ('even', 0.00000000000001, 'USD', '4'), ('even', 5, 'ABC', '5'), ('odd', 23, 'usd', '6');
SELECT meter.attach_revenue('odd', 'odd', customer_id => 'account', amount => 'note', revenue_date => 'note', currency => 'USD');
ALTER TABLE odd ADD booked date DEFAULT '2025-06-01';
SELECT meter.attach_revenue('odd', 'odd', customer_id => 'account', amount => 'amount', revenue_date => 'booked', currency_column => 'cur', minor_units => true);
SELECT customer_id, month, revenue, unknown_amounts FROM meter.customer_margin WHERE customer_id IN ('odd', 'even') ORDER BY customer_id;
SELECT customer_id, amount, currency, problem FROM meter.revenue_problem WHERE source = 'odd' ORDER BY currency, problem;
SELECT meter.detach_revenue('odd');

-- A table that is there already: by its columns, where it is.
CREATE SCHEMA shop;
CREATE TABLE shop."order" (account text, placed timestamptz, "from" date, until timestamp, cents integer, cur text, what text, paid numeric);
INSERT INTO shop."order" VALUES
	('acme', '2025-06-30 23:30+00', '2025-07-01', '2025-08-01', 12345, 'usd', 'fee', 123.45),
	('acme', '2025-07-01 00:30+00', NULL, NULL, 500, 'JPY', NULL, 500),
	('bolt', '2025-07-02 00:00+00', '2025-07-10', '2025-07-10', NULL, 'USD', 'fee', NULL),
	(NULL, '2025-07-03 00:00+00', NULL, NULL, 100, 'USD', 'fee', 1),
	('bolt', NULL, NULL, NULL, 700, 'USD', 'fee', 7),
	('bolt', 'infinity', '2025-07-01', 'infinity', 800, NULL, 'fee', 8);
SELECT meter.attach_revenue('shop.order', 'shop', 'account', 'cents', 'placed', 'from', 'until', currency_column => 'cur', kind_column => 'what', minor_units => true);
SELECT customer_id, period, revenue_date, kind, amount, currency FROM meter.revenue_line WHERE source = 'shop' ORDER BY amount, customer_id;
UPDATE meter.setting SET timezone = 'Europe/Berlin';
SELECT revenue_date FROM meter.revenue_line WHERE source = 'shop' AND amount = 123.45;
UPDATE meter.setting SET timezone = 'UTC';
SELECT customer_id, revenue_date, amount, currency, problem FROM meter.revenue_problem WHERE source = 'shop' ORDER BY problem, amount;
DELETE FROM shop."order" WHERE cents IS NULL OR account IS NULL OR placed IS NULL OR cur IS NULL;
SELECT meter.attach_revenue('shop.order', 'shop', 'account', 'paid', 'placed', currency => 'EUR', kind => 'sale');
SELECT customer_id, period, kind, amount, currency FROM meter.revenue_line WHERE source = 'shop' ORDER BY amount;
TABLE meter.revenue_source;
-- The table's own affairs go on: it can be altered as if nothing read it. Then it says so.
ALTER TABLE shop."order" RENAME paid TO amount;
SELECT count(*) FROM meter.customer_margin;
DROP TABLE shop."order";
SELECT count(*) FROM meter.customer_margin;
SELECT meter.detach_revenue('shop');
SELECT count(*) > 0 AS works FROM meter.customer_margin;

-- What cannot be attached.
CREATE TABLE shop.sale (account text, day text, amount numeric, at date);
SELECT meter.attach_revenue('shop.sale', 'sale', 'account', 'amount', 'day', currency => 'USD');
SELECT meter.attach_revenue('shop.sale', 'sale', 'account', 'amount', 'when', currency => 'USD');
SELECT meter.attach_revenue('shop.sale', 'sale', 'customer', 'amount', 'at', currency => 'USD');
SELECT meter.attach_revenue('shop.sale', 'sale', 'account', NULL, 'at', currency => 'USD');
SELECT meter.attach_revenue('shop.sale', 'sale', 'account', 'amount', currency => 'USD');
SELECT meter.attach_revenue('shop.sale', 'sale', 'account', 'amount', 'at', period_start => 'at', currency => 'USD');
SELECT meter.attach_revenue('shop.sale', 'sale', 'account', 'amount', 'at');
SELECT meter.attach_revenue('shop.sale', 'sale', 'account', 'amount', 'at', currency => 'BTC');
SELECT meter.attach_revenue('shop.sale', 'sale', 'account', 'account"; DROP TABLE shop.sale; --', 'at', currency => 'USD');
SELECT meter.attach_revenue('shop.nothing', 'sale', 'account', 'amount', 'at', currency => 'USD');
TABLE meter.revenue_source;

-- A role that reads reports, and nothing else.
SELECT meter.attach_revenue('shop.sale', 'sale', 'account', 'amount', 'at', currency => 'USD');
INSERT INTO shop.sale VALUES ('acme', NULL, 5, '2025-01-10');
CREATE ROLE meter_regress_bi;
SELECT meter.allow_reporting('meter_regress_bi');
SET ROLE meter_regress_bi;
SELECT customer_id, revenue, gross_margin FROM meter.customer_margin WHERE month = '2025-01-01' ORDER BY customer_id;
SELECT count(*) FROM meter.customer_cost_between('2025-01-01', '2025-02-01');
SELECT count(*) FROM meter.cost_variance('[2025-01-01,2025-02-01)', '[2025-02-01,2025-03-01)');
SELECT count(*) FROM meter.margin_bridge('[2025-01-01,2025-02-01)', '[2025-02-01,2025-03-01)');
SELECT count(*) FROM meter.focus_cost_and_usage;
SELECT count(DISTINCT signal) FROM meter.pricing_signal;
SELECT (SELECT count(*) FROM meter.credit_balance WHERE remaining < 0) + (SELECT count(*) FROM meter.credit_lot_balance WHERE remaining < 0) + (SELECT count(*) FROM meter.credit_revenue WHERE deferred < 0) + (SELECT count(*) FROM meter.credit_ledger WHERE balance < 0) + (SELECT count(*) FROM meter.top_up_due) + (SELECT count(*) FROM meter.credit_problem) AS credits;
SELECT count(*) FROM meter.pricing_signal_rows('customers_at_a_loss', '2025-01-01');
-- All that it is granted can be read. No notice.
DO $$
DECLARE
	name text;
	n bigint;
BEGIN
	FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'meter'::regnamespace AND relkind = 'v' AND has_table_privilege(oid, 'SELECT') ORDER BY relname LOOP
		BEGIN
			EXECUTE format('SELECT count(*) FROM (SELECT * FROM meter.%I LIMIT 3) AS shown', name) INTO n;
		EXCEPTION WHEN OTHERS THEN
			RAISE NOTICE '%: %', name, SQLERRM;
		END;
	END LOOP;
END
$$;
SELECT count(*) FROM meter.allowance_spread;
SELECT count(*) FROM meter.usage_event;
SELECT count(*) FROM meter.rate;
INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) VALUES ('acme', '2025-01-01', 1, 'USD');
SELECT meter.attach_revenue('shop.sale', 'more', 'account', 'amount', 'at', currency => 'USD');
RESET ROLE;
DROP OWNED BY meter_regress_bi;
DROP ROLE meter_regress_bi;
