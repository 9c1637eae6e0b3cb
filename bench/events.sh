# The tasks of events and the roll-up, sourced by run: ingest (I), roll-up (R), reading it (C), margins
# on it (M), the same days with more events (D), a tail after VACUUM (V), bytes (B). events.sql has their titles,
# bases and goals. They run on the data of the larger size.
# shellcheck shell=bash

columns="customer_id, event_id, occurred_at, item, usage, action, variant, outcome, request_class, user_id, workflow_id, tags"
floor="SELECT sum(tokens) FROM (SELECT customer_id, sum(input_tokens) AS tokens FROM app.usage_event GROUP BY 1) AS answer"
declare -A reads=(
	[1]="SELECT count(cost), sum(cost) FROM (SELECT customer_id, sum(cost) AS cost FROM meter.cost_by_month GROUP BY 1) AS answer"
	[2]="SELECT count(cost), sum(cost) FROM (SELECT customer_id, usage_date, cost FROM meter.cost_by_day) AS answer"
	[C2.floor]="SELECT count(cost), sum(cost) FROM meter.usage_day"
	[C2.tail]="SELECT count(cost), sum(cost) FROM meter.tail_cost"
	[3]="SELECT count(cost), sum(cost) FROM (SELECT customer_id, sum(cost) AS cost FROM meter.usage_by_day GROUP BY 1) AS answer"
	[M1]="SELECT count(*), trim_scale(sum(gross_margin)), sum(rank) FROM meter.customer_margin"
	[M2]="SELECT count(*), trim_scale(sum(p50 + p95 + heaviest)), trim_scale(sum(gini + top_5_cost_share)) FROM meter.cost_spread WHERE scope = 'all'"
	[M3]="SELECT count(answer) FROM meter.customer_margin AS answer"
)
reads[D1]=${reads[1]}
reads[D2]=${reads[2]}
reads[D3]=${reads[M1]}
reads[D4]=${reads[M2]}

# The same in plain SQL over all events, $1 of which are stored twice: at the prices of their instants.
plain_margin()
{
	cat <<-SQL
		WITH event AS (
			SELECT customer_id, at, input_tokens, cache_read_tokens, output_tokens, model FROM app.usage_event
			UNION ALL
			SELECT customer_id, at, input_tokens, cache_read_tokens, output_tokens, model FROM app.usage_event WHERE event_id > $1
		), cost AS (
			SELECT customer_id, month,
				sum(input_tokens * input_prices[span] + cache_read_tokens * cache_read_prices[span] + output_tokens * output_prices[span]) / 10000000000 AS cost
			FROM (SELECT e.*, date_trunc('month', e.at, 'UTC')::date AS month, p.*, width_bucket(e.at, p.starts) AS span
				FROM event AS e JOIN app.margin_price AS p (priced, starts, input_prices, cache_read_prices, output_prices) ON priced = model OFFSET 0) AS priced
			GROUP BY customer_id, month
		), margin AS (
			SELECT month, coalesce(cost, 0) AS cost, coalesce(amount, 0) - coalesce(cost, 0) AS margin
			FROM cost FULL JOIN app.monthly_revenue USING (customer_id, month)
		)
	SQL
	case $2 in
		M1) echo "SELECT count(*), trim_scale(sum(margin)), sum(rank) FROM (SELECT margin, rank() OVER (PARTITION BY month ORDER BY margin DESC) AS rank FROM margin) AS answer" ;;
		M2) cat <<-SQL ;;
			SELECT count(*), trim_scale(sum(p50 + p95 + heaviest)), trim_scale(sum(round(gini, 12) + round(top, 12)))
			FROM (
				SELECT month, percentile_disc(0.5) WITHIN GROUP (ORDER BY cost) AS p50, percentile_disc(0.95) WITHIN GROUP (ORDER BY cost) AS p95, max(cost) AS heaviest,
					sum((2 * place - n - 1) * cost) / (max(n) * sum(cost)) AS gini,
					sum(cost) FILTER (WHERE n - place < ceil(n * 0.05)) / sum(cost) AS top
				FROM (SELECT month, cost, row_number() OVER (PARTITION BY month ORDER BY cost) AS place, count(*) OVER (PARTITION BY month) AS n FROM margin WHERE cost > 0) AS placed
				GROUP BY month
			) AS answer
		SQL
	esac
}

# A fee for every customer and month, and the prices of the plain queries.
store_revenue()
{
	sql -c "CREATE TABLE app.monthly_revenue AS
			SELECT customer_id::text::integer, month::date, 5 + hashint8extended(customer_id * 12 + extract(month FROM month)::bigint, 9) % 5000 / 100.0 AS amount
			FROM app.customer, generate_series(timestamp '2025-07-01', timestamp '2025-12-01', interval '1 month') AS month" \
		-c "INSERT INTO meter.revenue (customer_id, revenue_date, kind, amount, currency) SELECT customer_id::text, month, 'fee', amount, 'USD' FROM app.monthly_revenue" \
		-c "CREATE TABLE app.margin_price AS
			SELECT model, array_agg(starts ORDER BY starts) AS starts, array_agg(input ORDER BY starts) AS input_prices, array_agg(cache_read ORDER BY starts) AS cache_read_prices, array_agg(output ORDER BY starts) AS output_prices
			FROM (SELECT span.model, span.starts,
					max(price * 10000) FILTER (WHERE unit = 'input_tokens')::bigint AS input,
					max(price * 10000) FILTER (WHERE unit = 'cache_read_tokens')::bigint AS cache_read,
					max(price * 10000) FILTER (WHERE unit = 'output_tokens')::bigint AS output
				FROM (SELECT DISTINCT model, coalesce(lower(valid), '-infinity') AS starts FROM app.rate) AS span
				JOIN app.rate ON rate.model = span.model
					AND (rate.valid @> span.starts OR span.starts = '-infinity' AND lower_inf(rate.valid))
				GROUP BY span.model, span.starts) AS priced
			GROUP BY model" \
		-c "ANALYZE meter.revenue, app.monthly_revenue, app.margin_price"
}

measure_margin()
{
	local n=$1 tail=$2 task round said plain
	for task in M1 M2; do
		event_task $task || continue
		said=$(sql -c "SET work_mem = '512MB'" -c "SET jit = off" -c "${reads[$task]}")
		plain=$(sql -c "SET work_mem = '512MB'" -c "SET jit = off" -c "$(plain_margin $((n - tail)) $task)")
		[ "$said" = "$plain" ] || die "$task: the report says $said and plain SQL $plain"
		note "$task: the report is what plain SQL says over all events: $said"
	done
	for ((round = 1; round <= rounds; round++)); do
		note "$n events: margins with a tail of $tail, round $round of $rounds"
		for task in M1 M2 M3; do
			event_task $task || continue
			time_query F3 "$round" "$floor"
			time_query $task "$round" "${reads[$task]}"
			if [ $task != M3 ] && ((round == 1)); then
				time_query F3 "$round" "$floor"
				time_query $task.plain "$round" "$(plain_margin $((n - tail)) $task)"
			fi
		done
	done
}

event_task()
{
	[[ " ${tasks[*]} " = *" $1"* ]]
}

time_query()
{
	sql -c "CALL bench.time_query('$1', $2, \$q\$$3\$q\$)"
}

time_script()
{
	sql -c "SET client_min_messages = warning" -c "CALL bench.start()" "${@:3}" -c "CALL bench.stop('$1', $2)" >/dev/null
}

# Removes all events and sums.
empty_events()
{
	sql -c "SET client_min_messages = warning" \
		-c "TRUNCATE meter.usage_event, meter.usage_day, meter.usage_month, meter.usage_watermark, app.bare" \
		-c "TRUNCATE meter.usage_mark" -c "CHECKPOINT"
}

# Stores the events from number $1 to number $2, with $3 before their ids, in one transaction. The
# index on txid has a summary of them then, which autovacuum makes where it is not off as here.
store_events()
{
	sql -c "INSERT INTO meter.usage_event ($columns)
		SELECT ${columns/event_id/"'${3:-}' || event_id"} FROM app.sent WHERE number BETWEEN $1 AND $2" \
		-c "SELECT brin_summarize_new_values('meter.usage_event_txid_occurred_at_idx')" >/dev/null
}

# Everybody else's open transactions are over: what is stored is rolled up.
refresh_events()
{
	sql -c "SET client_min_messages = warning" -c "CALL meter.refresh()"
	[ "$(sql -c "SELECT count(*) FROM meter.unconsumed_event")" = 0 ] || die "refresh left events over"
}

# The sums of the reports are those of the events, by another way, or nothing is reported.
check_events()
{
	local wrong
	wrong=$(sql <<-'SQL'
		SET work_mem = '512MB';
		WITH said AS (
			SELECT customer_id, usage_date, sum(sign) AS events, sum(usage) AS usage,
				meter.total_cost((SELECT cost FROM meter.event_card), item, occurred_at, usage, variant) AS cost
			FROM meter.dated_event GROUP BY 1, 2
			UNION ALL
			SELECT customer_id, usage_date, sum(events), sum(usage), sum(cost) FROM meter.usage_by_day GROUP BY 1, 2
			UNION ALL
			SELECT customer_id, usage_date, events, NULL, cost FROM meter.cost_by_day
			UNION ALL
			SELECT customer_id, usage_date, sum(events), NULL, sum(cost) FROM meter.cost_part GROUP BY 1, 2
		)
		SELECT count(*)
		FROM (
			SELECT FROM said GROUP BY customer_id, usage_date
			HAVING count(*) <> 4 OR count(usage) <> 2 OR count(cost) <> 4
				OR min(events) <> max(events) OR min(cost) <> max(cost)
				OR (array_agg(usage) FILTER (WHERE usage IS NOT NULL))[1] <> (array_agg(usage) FILTER (WHERE usage IS NOT NULL))[2]
			UNION ALL
			SELECT
			FROM (SELECT customer_id, usage_month, events, cost FROM meter.cost_by_month) AS said
			FULL JOIN (
				SELECT customer_id, meter.month_start(usage_date) AS usage_month, sum(events) AS events, sum(cost) AS cost
				FROM meter.cost_part GROUP BY 1, 2
			) AS added USING (customer_id, usage_month)
			WHERE (said.events, said.cost) IS DISTINCT FROM (added.events, added.cost)
		) AS different;
	SQL
	)
	[ "$wrong" = 0 ] || die "$1: the roll-up differs from the events on $wrong customers' days"
	note "$1: the reports add up to the events"
}

measure_ingest()
{
	local n=$1 round table script clients=8
	[ "$n" -le 1000000 ] || n=1000000
	sql -c "\\copy (SELECT $columns FROM app.sent WHERE number <= $n) TO '$METER_WORK/sent.copy'"
	for table in app.bare meter.usage_event; do
		sql -c "SELECT format('INSERT INTO $table ($columns) VALUES %s;', string_agg(format('(%L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L)', ${columns}), ', ' ORDER BY number))
			FROM app.sent WHERE number <= $n / 5 GROUP BY (number - 1) / 100 ORDER BY min(number)" >"$METER_WORK/$table.sql"
	done
	script="gen_random_uuid()::text, now(), 'openai/gpt-4o', '{\"input_tokens\": 1200, \"output_tokens\": 88}'"
	printf '%s\n' '\set customer random(1, 10000)' \
		"INSERT INTO app.bare ($columns) VALUES (:customer::text, $script, NULL, 'standard', NULL, 'chat', 'u1', 'w1', NULL);" >"$METER_WORK/bare.pgbench"
	printf '%s\n' '\set customer random(1, 10000)' \
		"SELECT meter.record(:customer::text, $script, NULL, 'standard', NULL, 'chat', 'u1', 'w1', NULL);" >"$METER_WORK/record.pgbench"
	for ((round = 1; round <= rounds; round++)); do
		note "ingest of $n events, round $round of $rounds"
		if event_task I1; then
			empty_events
			time_script I1.bare "$round" -c "\\copy app.bare ($columns) FROM '$METER_WORK/sent.copy'"
			time_script I1 "$round" -c "\\copy meter.usage_event ($columns) FROM '$METER_WORK/sent.copy'"
		fi
		if event_task I2; then
			empty_events
			time_script I2.bare "$round" -f "$METER_WORK/app.bare.sql"
			time_script I2 "$round" -f "$METER_WORK/meter.usage_event.sql"
		fi
		if event_task I3; then
			empty_events
			time_pgbench I3.bare "$round" "$clients" "$METER_WORK/bare.pgbench"
			time_pgbench I3 "$round" "$clients" "$METER_WORK/record.pgbench"
		fi
	done
	rm "$METER_WORK"/*.sql "$METER_WORK"/*.pgbench "$METER_WORK/sent.copy"
}

time_pgbench()
{
	local tps
	tps=$(pgbench -n -M prepared -c "$3" -j 2 -T 5 -f "$4" bench 2>/dev/null | sed -n 's/^tps = \([0-9.]*\).*/\1/p')
	sql -c "INSERT INTO bench.event_timing (task, round, wall) VALUES ('$1', $2, 1000 / ${tps:?pgbench ended})"
}

measure_rollup()
{
	local n=$1 tail=$(($1 / 100)) round part parts=20
	note "$n events: storing them in $parts transactions"
	empty_events
	for ((part = 0; part < parts; part++)); do
		store_events $((n / parts * part + 1)) $((part + 1 == parts ? n : n / parts * (part + 1)))
	done
	sql -c "VACUUM (FREEZE, ANALYZE) meter.usage_event" -c "CHECKPOINT"
	for ((round = 1; round <= rounds; round++)); do
		if ((round > 1)) && ! event_task R1; then
			break
		fi
		note "$n events: roll-up, round $round of $rounds"
		sql -c "SET client_min_messages = warning" -c "TRUNCATE meter.usage_day, meter.usage_month, meter.usage_watermark, meter.usage_mark"
		time_query F3 "$round" "$floor"
		time_script R1 "$round" -c "CALL meter.refresh()"
	done
	sql -c "SET client_min_messages = warning" -c "VACUUM (ANALYZE) meter.usage_day, meter.usage_month"
	if event_task R1; then
		sql -c "CREATE TABLE app.sorted_day AS SELECT * FROM meter.usage_day ORDER BY customer_id, usage_date" \
			-c "CREATE TABLE app.sorted_month AS SELECT customer_id, usage_month, cost, credits, events, unpriced_cost, unpriced_credits, breakdown FROM meter.usage_month ORDER BY customer_id, usage_month"
		for ((round = 1; round <= rounds; round++)); do
			sql -c "CREATE TABLE app.day_copy (LIKE meter.usage_day INCLUDING ALL)" -c "CREATE TABLE app.month_copy (LIKE meter.usage_month INCLUDING ALL)"
			time_query F3 "$round" "$floor"
			time_script R1.floor "$round" -c "INSERT INTO app.day_copy SELECT * FROM app.sorted_day" -c "INSERT INTO app.month_copy SELECT * FROM app.sorted_month"
			sql -c "DROP TABLE app.day_copy, app.month_copy"
			time_query F3 "$round" "$floor"
			time_query R1.count "$round" "SELECT sum(events) FROM (SELECT customer_id, timezone('UTC', occurred_at)::date, count(*) AS events FROM meter.usage_event GROUP BY 1, 2) AS answer"
		done
		sql -c "DROP TABLE app.sorted_day, app.sorted_month"
	fi

	store_events $((n - tail + 1)) "$n" "tail "
	for ((round = 1; round <= rounds; round++)); do
		note "$n events: reading with a tail of $tail, round $round of $rounds"
		for part in 1 2 3; do
			event_task "C$part" || continue
			time_query F3 "$round" "$floor"
			time_query "C$part" "$round" "${reads[$part]}"
		done
		event_task C2 || continue
		for part in C2.floor C2.tail; do
			time_query F3 "$round" "$floor"
			time_query $part "$round" "${reads[$part]}"
		done
	done
	if event_task M; then
		measure_margin "$n" "$tail"
	fi
	check_events "$n events and a tail"
	if event_task R2; then
		for ((round = 1; round <= rounds; round++)); do
			note "$n events: refresh of $tail, round $round of $rounds"
			((round == 1)) || store_events $((n - tail + 1)) "$n" "tail $round "
			time_script R2 "$round" -c "CALL meter.refresh()"
		done
		check_events "$n events after refreshes"
	fi
	if event_task B; then
		measure_bytes "$n"
	fi
}

measure_bytes()
{
	note "$1 events: as jsonb"
	sql -c "CREATE TABLE app.as_jsonb (event jsonb)" \
		-c "INSERT INTO app.as_jsonb SELECT jsonb_strip_nulls(to_jsonb(sent) - 'number' - 'usage' || jsonb_build_object('usage', usage::jsonb)) FROM app.sent WHERE number <= 1000000" \
		-c "CREATE UNIQUE INDEX ON app.as_jsonb ((event ->> 'customer_id'), (event ->> 'event_id'))" \
		-c "INSERT INTO bench.event_timing (task, round, wall)
			SELECT task, 1, bytes
			FROM (VALUES
				(1, 'B1.jsonb', (SELECT pg_total_relation_size('app.as_jsonb')::numeric / count(*) FROM app.as_jsonb)),
				(2, 'B1', (SELECT pg_total_relation_size('meter.usage_event')::numeric / count(*) FROM meter.usage_event)),
				(3, 'B2.jsonb', (SELECT avg(pg_column_size(event -> 'usage')) FROM app.as_jsonb)),
				(4, 'B2', (SELECT avg(pg_column_size(usage)) FROM meter.usage_event))) AS size (place, task, bytes)
			ORDER BY place" \
		-c "DROP TABLE app.as_jsonb"
}

# The same customers' days with three times the events, and the same tail.
measure_density()
{
	local n=$1 tail=$(($1 / 100)) round part times
	empty_events
	for times in once thrice; do
		note "$n events: $times on the same days"
		if [ $times = once ]; then
			store_events 1 "$n"
		else
			sql -c "SET client_min_messages = warning" -c "DELETE FROM meter.correction" >/dev/null
			empty_events
			for part in a b c; do
				store_events 1 "$n" "$part"
			done
		fi
		sql -c "VACUUM (FREEZE, ANALYZE) meter.usage_event"
		refresh_events
		sql -c "SET client_min_messages = warning" -c "VACUUM (ANALYZE) meter.usage_day, meter.usage_month"
		store_events $((n - tail + 1)) "$n" "tail "
		check_events "$n events $times"
		for part in D1 D2 D3 D4; do
			event_task $part || continue
			time_query warm 1 "${reads[$part]}"
			for ((round = 1; round <= rounds; round++)); do
				time_query "$part$([ $times = thrice ] || echo .once)" "$round" "${reads[$part]}"
			done
		done
	done
}

# Old pages have room for a small event once VACUUM has seen them: a tail of such ones is all over the table.
measure_tail()
{
	local n=$1 tail=$(($1 / 100)) round when
	for when in V1.before V1; do
		note "$n events: a small tail $([ $when = V1 ] && echo after || echo before) VACUUM"
		empty_events
		# long and short ones, so that pages end with room
		sql -c "INSERT INTO meter.usage_event ($columns)
			SELECT ${columns/tags/"CASE WHEN number % 4 = 0 THEN jsonb_build_object('prompt', repeat('x', 400)) END"}
			FROM app.sent WHERE number <= $n"
		refresh_events
		[ $when = V1.before ] || sql -c "VACUUM (FREEZE, ANALYZE) meter.usage_event"
		sql -c "SELECT brin_summarize_new_values('meter.usage_event_txid_occurred_at_idx')" >/dev/null
		store_events $((n - tail + 1)) "$n" "tail "
		for ((round = 1; round <= rounds; round++)); do
			time_query "$when" "$round" "SELECT count(*) FROM meter.unconsumed_event"
		done
	done
}

run_events()
{
	local n=$1
	sql -f "$here/events.sql"
	if event_task I; then
		measure_ingest "$n"
	fi
	if event_task M || event_task D; then
		store_revenue
	fi
	if event_task R || event_task C || event_task M || event_task B; then
		measure_rollup "$n"
	fi
	if event_task D; then
		measure_density $((n / 10))
	fi
	if event_task V; then
		measure_tail $((n / 10))
	fi
}

report_events()
{
	echo "## Events, the roll-up and invoices"
	echo
	echo "$1 events stored in \`meter.usage_event\`, with an action in a third of them; ingest of the first $(($1 < 1000000 ? $1 : 1000000)); D and V on a tenth."
	echo "Ratios as README.md says: to a table with a primary key alone (I), to F3 (R1, C), to R1 (R2), to a third of the"
	echo "events (D), to the same before VACUUM (V), to jsonb (B), to F3 (P1), in ms (P2, its goal on CPU). The reports' sums were"
	echo "those of the events at every step, and each line of an invoice what plain SQL says."
	echo
	sql -f "$here/events-report.sql"
}
