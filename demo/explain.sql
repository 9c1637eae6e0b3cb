\echo
\echo '== One bill, tier by tier: acct-02'
\set ECHO queries
SELECT plan, line.*
FROM app.consumed JOIN app.account USING (account_id) JOIN app.plan USING (plan), meter.charge_lines(tariff, credits) AS line
WHERE account_id = 'acct-02';
\set ECHO none

\echo
\echo '== The same bill, event by event: the first one brings the fee, and one crosses the allotment'
\set ECHO queries
CREATE TEMP VIEW bill AS
SELECT request_id, created_at, model, usage, credits,
	sum(credits) OVER in_order AS credits_so_far,
	meter.marginal_charge(tariff, credits) OVER in_order AS charge
FROM app.event JOIN app.account USING (account_id) JOIN app.plan USING (plan),
	meter.cost((SELECT card FROM app.credit), 'chat', created_at, usage) AS credits
WHERE account_id = 'acct-02'
WINDOW in_order AS (ORDER BY created_at, request_id);

SELECT created_at::timestamptz(0), model, credits, credits_so_far, charge
FROM bill
WHERE charge > 0
ORDER BY created_at, request_id
LIMIT 5;

SELECT count(*) AS events, sum(charge) AS charges_of_events,
	(SELECT meter.charge(tariff, credits) FROM app.consumed JOIN app.account USING (account_id) JOIN app.plan USING (plan) WHERE account_id = 'acct-02') AS bill
FROM bill;
\set ECHO none

\echo
\echo '== And what its three dearest requests cost'
\set ECHO queries
SELECT request_id, model, line.*
FROM (SELECT *, meter.event_cost(model, created_at, usage) AS cost FROM bill ORDER BY cost DESC NULLS LAST, request_id LIMIT 3) AS dearest,
	meter.cost_lines((SELECT meter.card('cost')), model, created_at, usage) AS line
ORDER BY cost DESC, request_id;
\set ECHO none
