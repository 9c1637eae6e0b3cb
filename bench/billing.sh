# The tasks of plans and invoices (P), sourced by run: closing a period of all customers, and the
# preview of one. billing.sql has what they are billed, and what is right by plain SQL. They run on
# the events of the larger size, rolled up, after the tasks of events.sh.
# shellcheck shell=bash

closing="CALL meter.close_periods(upto => '2026-01-01', as_of => '2026-01-03')"

# As after the closing that charged the half-year's fee in advance.
open_half_year()
{
	sql -c "SET client_min_messages = warning" -c "CALL app.reopen()" \
		-c "CALL meter.close_periods(upto => '2025-07-01', as_of => '2026-01-03')" \
		-c "VACUUM (ANALYZE) meter.invoice, meter.invoice_line, meter.billing_account" >/dev/null
}

# The invoices are what plain SQL says, and what the previews said before, or nothing is reported.
check_invoices()
{
	local wrong
	sql -c "CREATE TABLE app.preview AS
		SELECT customer_id, plan_item, line.amount
		FROM (SELECT customer_id FROM app.subscriber ORDER BY app.pick(customer_id::integer, 43, 10000), customer_id LIMIT 200) AS asked,
			meter.preview_lines(customer_id, '2026-01-01 12:00+00') AS line
		WHERE due = '2026-01-01'" -c "$closing" \
		-c "CREATE TABLE app.closed AS
		SELECT line.customer_id, plan_item, line.amount
		FROM meter.invoice_line AS line JOIN meter.invoice USING (invoice_id)
		WHERE invoice_date = '2026-01-01'"
	wrong=$(sql -c "SELECT app.wrong_lines('app.closed')")
	[ "$wrong" = 0 ] || die "P1: $wrong lines differ from what plain SQL says"
	wrong=$(sql -c "SELECT count(*) FROM app.preview FULL JOIN (SELECT * FROM app.closed WHERE customer_id IN (SELECT customer_id FROM app.preview)) AS closed USING (customer_id, plan_item) WHERE preview.amount IS DISTINCT FROM closed.amount")
	[ "$wrong" = 0 ] || die "P2: $wrong lines of previews differ from the invoices"
	note "P1, P2: $(sql -c "SELECT count(*) || ' lines of ' || count(DISTINCT customer_id) || ' customers, ' || sum(amount) FROM app.closed") as plain SQL says; previews of 200 say the same"
	sql -c "DROP TABLE app.preview, app.closed"
}

measure_closing()
{
	local n=$1 round
	check_invoices
	# what the closing writes, into tables that have all but a history
	sql -c "CREATE TABLE app.finished_invoice AS SELECT * FROM meter.invoice WHERE invoice_date = '2026-01-01'" \
		-c "CREATE TABLE app.finished_line AS SELECT line.* FROM meter.invoice_line AS line JOIN app.finished_invoice USING (invoice_id)"
	for ((round = 1; round <= rounds; round++)); do
		note "$n events: closing, round $round of $rounds"
		open_half_year
		time_query F3 "$round" "$floor"
		time_script P1 "$round" -c "$closing"
		sql -c "CREATE TABLE app.invoice_copy (LIKE meter.invoice INCLUDING ALL)" -c "CREATE TABLE app.line_copy (LIKE meter.invoice_line INCLUDING ALL)"
		time_script P1.lines "$round" -c "INSERT INTO app.invoice_copy SELECT * FROM app.finished_invoice" -c "INSERT INTO app.line_copy SELECT * FROM app.finished_line"
		sql -c "DROP TABLE app.invoice_copy, app.line_copy"
	done
	open_half_year
}

# A customer with as many events as the average, some of them in no roll-up yet.
measure_preview()
{
	local n=$1 round customer
	customer=$(sql -c "SELECT customer_id FROM app.usage_event GROUP BY customer_id
		ORDER BY count(*) FILTER (WHERE event_id > $n - 5000) > 0 DESC, abs(count(*) - $n / 10000), customer_id LIMIT 1")
	store_events $((n - 4999)) "$n" "late "
	note "$n events: preview of customer $customer, $(sql -c "SELECT count(*) FILTER (WHERE customer_id = '$customer') || ' of ' || count(*) || ' events in no roll-up' FROM meter.unconsumed_event")"
	for ((round = 1; round <= rounds; round++)); do
		sql -c "CALL bench.time_preview('$customer', $round)"
	done
	if [ -n "${BENCH_PLAN:-}" ]; then
		sql -f "$here/billing-plan.sql" -v customer="$customer" >&2
	fi
}

run_billing()
{
	local n=$1
	if ! event_task P; then
		return
	fi
	# the tasks before leave their own events there
	note "$n events: storing and rolling them up for P"
	empty_events
	store_events 1 "$n"
	refresh_events
	sql -f "$here/billing.sql"
	sql -c "VACUUM (FREEZE, ANALYZE)" -c "CHECKPOINT"
	open_half_year
	if event_task P1; then
		measure_closing "$n"
	fi
	if event_task P2; then
		measure_preview "$n"
	fi
}
