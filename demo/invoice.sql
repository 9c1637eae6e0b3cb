\echo
\echo '== The three plans as the catalogue has them: a fee, and credits by tariff. The trace is one billing period'
\set ECHO queries
INSERT INTO meter.metric (metric, aggregation, description) VALUES ('credits', 'credits', 'Credits');
INSERT INTO meter.plan (plan, currency, every, description) VALUES
	('starter', 'USD', '28 days', 'Starter'), ('pro', 'USD', '28 days', 'Pro'), ('team', 'USD', '28 days', 'Team');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, amount, description) VALUES
	('starter', 1, 'platform', 'fee', 29, 'Platform fee'),
	('pro', 1, 'platform', 'fee', 99, 'Platform fee'),
	('team', 1, 'platform', 'fee', 299, 'Platform fee');
INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, tariff) VALUES
	('starter', 2, 'credits', 'usage', 'credits', 'graduated: up to 500 at 0; above at 0.08'),
	('pro', 2, 'credits', 'usage', 'credits', 'graduated: up to 2500 at 0; above at 0.06'),
	('team', 2, 'credits', 'usage', 'credits', 'graduated: up to 10000 at 0; above at 0.04');

SELECT count(meter.subscribe(account_id, lower(plan), since => meter.customer_date(account_id) - 28)) AS subscriptions FROM app.account;
\set ECHO none

\echo
\echo '== What the open period comes to, before it is closed: acct-02'
\set ECHO queries
SELECT plan_item, period, measured, tariff, exact_amount, amount
FROM meter.invoice_preview
WHERE customer_id = 'acct-02' AND due <= meter.customer_date('acct-02')
ORDER BY position;

CREATE TEMP TABLE preview AS
SELECT customer_id, sum(amount) AS amount
FROM meter.invoice_preview
WHERE due <= meter.customer_date(customer_id)
GROUP BY customer_id;
\set ECHO none

\echo
\echo '== The period is closed, a day after its end as the grace says. Its invoice: acct-02'
\set ECHO queries
CALL meter.close_periods(as_of => now() + '1 day');
\set ECHO none
SELECT invoice_id AS acct_02 FROM meter.invoice WHERE customer_id = 'acct-02' \gset
\set ECHO queries
SELECT line_number, description, service, quantity, tariff, exact_amount, amount
FROM meter.invoice_line
WHERE invoice_id = :acct_02
ORDER BY line_number;
SELECT invoice_id, state, invoice_date, currency, total FROM meter.invoice WHERE invoice_id = :acct_02;
\set ECHO none

\echo
\echo '== And its explanation, without the middle of the days. Each event has its share too: meter.explain'
\set ECHO queries
SELECT text
FROM meter.invoice_line,
	regexp_split_to_table(meter.explain_text(invoice_id, line_number), E'\n') WITH ORDINALITY AS explained (text, place)
WHERE invoice_id = :acct_02 AND (place < 9 OR text !~ ' in \d+ events = ')
ORDER BY line_number, place;
\set ECHO none

\echo
\echo '== All invoices against the previews, and against the bills from the trace itself'
\set ECHO queries
CREATE TEMP VIEW billed AS
SELECT customer_id, invoice.total AS invoiced, preview.amount AS previewed, meter.round_money(meter.charge(tariff, coalesce(consumed.credits, 0)), currency) AS bill
FROM meter.invoice JOIN preview USING (customer_id) JOIN app.account ON account_id = customer_id JOIN app.plan USING (plan) LEFT JOIN app.consumed USING (account_id);

SELECT count(*) AS invoices, sum(previewed) AS previewed, sum(invoiced) AS invoiced, sum(bill) AS bills_of_the_trace
FROM billed;
\set ECHO none
DO $$
DECLARE
	different record;
BEGIN
	IF (SELECT count(*) FROM billed) <> (SELECT count(*) FROM app.account) OR (SELECT count(*) FROM meter.invoice) <> (SELECT count(*) FROM app.account) THEN
		RAISE EXCEPTION '% accounts have % invoices', (SELECT count(*) FROM app.account), (SELECT count(*) FROM meter.invoice);
	END IF;
	SELECT * INTO different FROM billed WHERE (invoiced = previewed AND invoiced = bill) IS NOT TRUE LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION '% was invoiced %, the preview said %, and the trace comes to %', different.customer_id, different.invoiced, different.previewed, different.bill;
	END IF;
END
$$;
