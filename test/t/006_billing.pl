# Plans, subscriptions and invoices through what a server goes through: dump and restore, a standby, an
# erasure, and crashes in the middle of closing. No line is lost or written twice, and what is final stays.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use IPC::Run;
use Test::More;
use Restart;

sub query
{
	my ($node, $sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', "SET client_min_messages = error;\n$sql");
}

# What was billed, all but numbers and times, which are given anew.
my $billed = q{
	SELECT count(*), md5(string_agg((kind, state, customer_id, currency, invoice_date, total, paid_by_credit, reason)::text, ' ' ORDER BY customer_id, invoice_date, kind, total, state)) FROM meter.invoice;
	SELECT count(*), sum(amount), md5(string_agg((line.customer_id, invoice_date, line.subscription_id, line_number, period, plan_item, line_group, revision, counted, adjustment, plan, version, line.kind, line.description, service, metric, measured, included, quantity, tariff, exact_amount, rated_amount, amount)::text, ' ' ORDER BY subscription_id, period_start, plan_item, line_group, revision))
	FROM meter.invoice_line AS line JOIN meter.invoice USING (invoice_id);
	SELECT count(*), md5(string_agg((customer_id, billed_until, closed_until)::text, ' ' ORDER BY customer_id)) FROM meter.billing_account;
	SELECT count(*) FROM (SELECT invoice_id FROM meter.invoice LEFT JOIN meter.invoice_line AS line USING (invoice_id) GROUP BY invoice_id HAVING sum(amount) IS DISTINCT FROM total) AS wrong};
# And what is to be billed.
my $open = q{
	SELECT count(*), sum(amount), md5(string_agg(line::text, ' ' ORDER BY customer.customer_id, line.subscription_id, line.period, line.plan_item, line.line_group))
	FROM (SELECT DISTINCT customer_id FROM meter.subscription) AS customer, meter.preview_lines(customer.customer_id, '2026-04-20 12:00+00') AS line WHERE amount <> 0;
	SELECT count(*) FROM meter.period_problem WHERE state <> 'open'};

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', $ENV{METER_CONF});
$primary->append_conf('postgresql.conf', 'restart_after_crash = on');
$primary->start;
query($primary, q{
	CREATE EXTENSION meter CASCADE;
	INSERT INTO meter.rate (item, unit, price, per) VALUES ('gpt', 'input_tokens', 3, 1000);
	INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 2), ('credit', 'draw', 'actions', 5);
	INSERT INTO meter.action (action, pool) VALUES ('draw', 'images');
	INSERT INTO meter.metric (metric, aggregation, unit) VALUES ('tokens', 'sum', 'input_tokens'), ('largest', 'max', 'input_tokens');
	INSERT INTO meter.metric (metric, aggregation, key) VALUES ('users', 'unique', 'user_id');
	INSERT INTO meter.metric (metric, aggregation) VALUES ('model_cost', 'cost');
	INSERT INTO meter.plan (plan, version, currency, anchor) VALUES ('pro', 1, 'USD', NULL), ('pro', 2, 'USD', '2000-01-01'), ('yen', 1, 'JPY', NULL);
	INSERT INTO meter.plan_item (plan, version, position, plan_item, kind, amount, timing) VALUES ('pro', 1, 1, 'fee', 'fee', 49, 'advance'), ('pro', 2, 1, 'fee', 'fee', 59, 'advance'), ('yen', 1, 1, 'fee', 'fee', 900, 'arrears'), ('pro', 1, 9, 'cap', 'cap', 500, 'arrears'), ('pro', 2, 8, 'least', 'commitment', 300, 'arrears');
	INSERT INTO meter.plan_item (plan, version, position, plan_item, kind, metric, tariff)
	SELECT plan, version, 2, item.* FROM meter.plan, (VALUES
		('tokens', 'usage', 'tokens', 'graduated: up to 5000 at 0; up to 20000 at 0.001; above at 0.0007'::meter.tariff),
		('largest', 'usage', 'largest', 'volume: up to 10 at 0.1; above at 0.05'),
		('users', 'usage', 'users', 'at 3'),
		('cost', 'cost_plus', 'model_cost', 'at 130%')) AS item (plan_item, kind, metric, tariff)
	WHERE kind <> 'cost_plus' OR currency = 'USD';
	INSERT INTO meter.plan_item (plan, position, plan_item, kind, tariff) VALUES ('yen', 3, 'seats', 'seat', 'at 700');
	INSERT INTO meter.plan_item (plan, position, plan_item, kind, credit_type, quantity, tariff) VALUES ('pro', 4, 'credits', 'credit', 'credit', 40, 'at 0.13');
	INSERT INTO meter.plan_item (plan, position, plan_item, kind, percent, periods) VALUES ('pro', 7, 'welcome', 'discount', 12.5, 2);
	INSERT INTO meter.plan_item (plan, position, plan_item, kind, metric, dimension, tariff) VALUES ('yen', 5, 'by_user', 'usage', 'tokens', 'user_id', 'at 0.01');
	INSERT INTO meter.plan_item_tariff (plan, plan_item, value, tariff) VALUES ('yen', 'by_user', 'u1', 'at 0.02');
	INSERT INTO meter.customer_zone (customer_id, timezone) SELECT 'c' || n, 'Asia/Tokyo' FROM generate_series(1, 70, 7) AS n;
	INSERT INTO meter.customer (customer_id, name) SELECT 'c' || n, 'Customer ' || n FROM generate_series(1, 70) AS n;
	SELECT meter.subscribe('c' || n, CASE n % 3 WHEN 0 THEN 'yen' ELSE 'pro' END, 1, since => date '2026-01-03' + n % 40) FROM generate_series(1, 70) AS n;
	INSERT INTO meter.subscription_seat (subscription_id, plan_item, quantity, valid, holder) SELECT subscription_id, 'seats', 2, daterange('2026-02-10', NULL), 'Ann' FROM meter.subscription WHERE plan = 'yen';
	INSERT INTO meter.subscription_override (subscription_id, plan_item, amount) SELECT subscription_id, 'fee', 39 FROM meter.subscription WHERE customer_id = 'c7';
	INSERT INTO meter.money_credit (customer_id, currency, amount) VALUES ('c1', 'USD', 60), ('c4', 'USD', 1000);
	INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, user_id)
	SELECT 'c' || 1 + n % 70, 'e' || n, timestamptz '2026-01-05 00:00+00' + n * interval '43 minutes', 'gpt', meter.usage('input_tokens', n, 'actions', 1), CASE n % 3 WHEN 0 THEN 'chat' WHEN 1 THEN 'draw' END, 'u' || n % 7
	FROM generate_series(1, 3500) AS n;
	CALL meter.refresh();
	CALL meter.close_periods(as_of => '2026-02-25 12:00+00');
	SELECT meter.change_plan(subscription_id, 'pro', 2, '2026-03-20') FROM meter.subscription WHERE customer_id IN ('c10', 'c13', 'c16');
	CALL meter.close_periods(as_of => '2026-03-10 12:00+00', state => 'draft');
	SELECT meter.finalize_invoice(invoice_id) FROM meter.invoice WHERE state = 'draft' AND customer_id > 'c3';
	SELECT meter.void_invoice(max(invoice_id), 'wrong', customer_id = 'c5') FROM meter.invoice WHERE customer_id IN ('c5', 'c8') AND state = 'final' GROUP BY customer_id;
	SELECT meter.grant_credits('c2', 'bought', 'purchase', 30, '[2026-03-15,)', paid => 3);
	INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action, user_id)
	SELECT 'c' || 1 + n % 50, 'late' || n, timestamptz '2026-01-25 00:00+00' + n * interval '25 minutes', 'gpt', meter.usage('input_tokens', n, 'actions', 1), 'chat', 'u8'
	FROM generate_series(1, 700) AS n});
my $billed_before = query($primary, $billed);
my $open_before = query($primary, $open);
like($billed_before, qr/^\d{3,}\|.*\n0$/s, 'much is billed, and every invoice is the sum of its lines');

# Dumped and restored, in every form: final stays final, and the next closing is the same everywhere.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', $ENV{METER_CONF});
$other->start;
my $dump = $primary->basedir . '/dump';
$primary->command_ok([ 'pg_dump', '-f', "$dump.sql", $primary->connstr('postgres') ], 'pg_dump');
$primary->command_ok([ 'pg_dump', '-Fd', '-f', "$dump.dir", $primary->connstr('postgres') ], 'pg_dump to a directory');
$primary->command_ok([ 'pg_dump', '--data-only', '-f', "$dump.data.sql", $primary->connstr('postgres') ], 'pg_dump --data-only');
query($primary, 'CREATE DATABASE undisturbed TEMPLATE postgres; CREATE DATABASE killed TEMPLATE postgres', 'template1');
query($primary, q{CALL meter.close_periods(as_of => '2026-04-20 12:00+00')}, 'undisturbed');
my $undisturbed = query($primary, $billed, 'undisturbed');
isnt($undisturbed, $billed_before, 'there is something to bill');
query($primary, q{CALL meter.close_periods(as_of => '2026-04-20 12:00+00'); CALL meter.refresh(); CALL meter.close_periods(as_of => '2026-04-20 12:00+00')}, 'undisturbed');
is(query($primary, $billed, 'undisturbed'), $undisturbed, 'closing again changes nothing');
for my $form (
	[ $primary, 'same', 'in the same cluster', 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', "$dump.sql" ],
	[ $other, 'another', 'in another cluster', 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', "$dump.sql" ],
	[ $other, 'data_only', 'of the data only', 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', "$dump.data.sql" ],
	[ $other, 'data_at_once', 'of the data in one transaction', 'psql', '-Xqv', 'ON_ERROR_STOP=1', '--single-transaction', '-f', "$dump.data.sql" ],
	[ $other, 'parallel', 'by four jobs', 'pg_restore', '-j', '4', "$dump.dir" ])
{
	my ($node, $database, $name, $program, @arguments) = @$form;
	query($node, "CREATE DATABASE $database");
	query($node, 'CREATE EXTENSION meter CASCADE', $database) if $database =~ /^data/;
	$node->command_ok([ $program, @arguments, '-d', $node->connstr($database) ], "restore $name");
	is(query($node, $billed, $database), $billed_before, "all that is billed is there, restored $name");
	is(query($node, $open, $database), $open_before, "and all previews are the same, restored $name");
	for my $change (
		q{UPDATE meter.invoice SET total = 0 WHERE state = 'final'},
		q{DELETE FROM meter.invoice WHERE state = 'void'},
		q{UPDATE meter.invoice_line SET amount = 0},
		q{DELETE FROM meter.invoice_line},
		q{TRUNCATE meter.invoice_line},
		q{INSERT INTO meter.invoice_line (invoice_id, line_number, customer_id, subscription_id, period_start, plan_item, line_group, revision, adjustment, plan, version, kind, period, service, exact_amount, rated_amount, amount)
			SELECT invoice_id, 999, customer_id, subscription_id, period_start, plan_item, line_group, 99, true, plan, version, kind, period, service, 1, 1, 1 FROM meter.invoice_line ORDER BY invoice_id LIMIT 1},
		q{UPDATE meter.plan SET currency = 'EUR'},
		q{INSERT INTO meter.plan_item (plan, plan_item, kind, amount) VALUES ('pro', 'more', 'fee', 1)},
		q{DELETE FROM meter.plan_item_tariff},
		q{UPDATE meter.metric SET digits = 1},
		q{UPDATE meter.rate SET price = 1 WHERE card = 'credit'},
		q{UPDATE meter.action SET pool = NULL})
	{
		my ($status, $out, $error) = $node->psql($database, $change);
		like($error, qr/cannot (be (changed|added)|change)|is (final|void|in use)/, "refused, restored $name: " . substr($change, 0, 40));
	}
	query($node, q{CALL meter.close_periods(as_of => '2026-03-10 12:00+00')}, $database) if $database eq 'same';
	query($node, q{CALL meter.close_periods(as_of => '2026-04-20 12:00+00')}, $database);
	is(query($node, $billed, $database), $undisturbed, "the next closing is the same, restored $name") if $database ne 'same';
	my $closed = query($node, $billed, $database);
	query($node, q{CALL meter.close_periods(as_of => '2026-04-20 12:00+00'); CALL meter.refresh(); CALL meter.close_periods(as_of => '2026-04-20 12:00+00')}, $database);
	is(query($node, $billed, $database), $closed, "and closing again changes nothing, restored $name");
}
$other->stop;

# Killed in the middle of closing, again and again, the backend or all of the server. What it had
# finished stays, and in the end all is as if nothing had been.
my $closer = $primary->basedir . '/close.sql';
append_to_file($closer, q{CALL meter.close_periods(as_of => '2026-04-20 12:00+00', batch_customers => 1)});
# So that there is a middle to be killed in.
query($primary, q{
	CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.03); RETURN NULL; END $$;
	CREATE TRIGGER linger AFTER INSERT ON meter.invoice_line FOR EACH STATEMENT EXECUTE FUNCTION linger()}, 'killed');
my $last = 0;
my $kills = 0;
for my $round (1 .. 40)
{
	my $run = IPC::Run::start([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-d', $primary->connstr('killed'), '-f', $closer ], '<', '/dev/null', '>', '/dev/null', '2>', $closer . ".$round.err");
	my $pid = '';
	for (1 .. 40)
	{
		$pid = query($primary, q{SELECT max(pid) FROM pg_stat_activity WHERE query LIKE 'CALL meter.close_periods%' AND state = 'active'}, 'killed');
		last if $pid ne '';
	}
	# Somewhere in a batch, or between two, some way further each time.
	select(undef, undef, undef, 0.037 * ($round % 7));
	$pid = query($primary, qq{SELECT max(pid) FROM pg_stat_activity WHERE pid = $pid AND query LIKE 'CALL meter.close_periods%' AND state = 'active'}, 'killed') if $pid ne '';
	if ($pid eq '')
	{
		# Either it is done, or the server was not there yet.
		last if $run->finish;
		wait_for_server($primary, 'killed');
		next;
	}
	if ($round % 3 == 0)
	{
		$primary->stop('immediate');
		$run->finish;
		$primary->start;
	}
	else
	{
		kill 'KILL', $pid;
		$run->finish;
		wait_for_server($primary, 'killed');
	}
	$kills++;
	my ($lines, $wrong) = split /\n/, query($primary, q{
		SELECT count(*) FROM meter.invoice_line;
		SELECT count(*) FROM (SELECT invoice_id FROM meter.invoice LEFT JOIN meter.invoice_line AS line USING (invoice_id) GROUP BY invoice_id, state HAVING sum(amount) IS DISTINCT FROM total OR state = 'draft' AND invoice.invoice_id > (SELECT max(invoice_id) FROM meter.invoice WHERE invoice_date < '2026-03-10')) AS wrong}, 'killed');
	is($wrong, '0', "no invoice is half written after crash $kills");
	cmp_ok($lines, '>=', $last, "and none is lost");
	$last = $lines;
}
note(slurp_file($_)) for glob("$closer.*.err");
cmp_ok($kills, '>=', 3, "it was killed $kills times");
query($primary, q{DROP TRIGGER linger ON meter.invoice_line; DROP FUNCTION linger()}, 'killed');
query($primary, q{CALL meter.close_periods(as_of => '2026-04-20 12:00+00')}, 'killed');
is(query($primary, $billed, 'killed'), $undisturbed, 'closed after crashes, all is as if nothing had been');
is(query($primary, q{SELECT state, count(*) > 0 FROM meter.job WHERE job = 'close_periods' AND state = 'running' GROUP BY state}, 'killed'), '', 'no run that is gone is said to be running');

# A standby answers as the primary does.
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
query($primary, q{
	INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, user_id) VALUES ('c9', 'streamed', '2026-04-19 00:00+00', 'gpt', '{"input_tokens": 12345}', 'u1')});
$primary->wait_for_catchup($standby);
for my $view ('billing_period', 'invoice_preview', 'period_usage', 'allowance_spread', 'period_problem', 'money_credit_balance', 'plan_lot', 'plan_problem')
{
	my $shown = "SELECT count(*), md5(string_agg(shown::text, ' ' ORDER BY shown::text)) FROM meter.$view AS shown WHERE shown::text NOT LIKE '%c1%'";
	$shown =~ s/ WHERE .*// if $view =~ /spread|problem/;
	is(query($standby, $shown), query($primary, $shown), "a standby shows meter.$view");
}
is(query($standby, $billed . ';' . $open), query($primary, $billed . ';' . $open), 'and what is billed and open');
is(query($standby, 'SELECT meter.explain_text(min(invoice_id), 1) FROM meter.invoice'), query($primary, 'SELECT meter.explain_text(min(invoice_id), 1) FROM meter.invoice'), 'and explains it');
my ($status, $out, $error) = $standby->psql('postgres', 'CALL meter.close_periods()');
like($error, qr/read-only transaction/, 'but does not close');
$standby->stop;

# A customer who is erased leaves the money, whatever comes after.
my $money = q{SELECT currency, sum(total), count(*) FROM meter.invoice GROUP BY currency ORDER BY currency};
my $lines = q{SELECT plan_item, count(*), sum(amount), sum(exact_amount) FROM meter.invoice_line GROUP BY plan_item ORDER BY plan_item};
query($primary, q{CALL meter.close_periods(as_of => '2026-04-20 12:00+00')}, 'killed');
my $money_before = query($primary, "$money; $lines", 'killed');
query($primary, q{SELECT meter.erase_customer('c2'), meter.erase_customer('c3'), meter.erase_customer('c5')}, 'killed');
is(query($primary, "$money; $lines", 'killed'), $money_before, 'an erasure leaves every amount');
query($primary, q{INSERT INTO meter.invoice_mark (customer_id, since) SELECT customer_id, '2026-01-01' FROM meter.billing_account; CALL meter.close_periods(as_of => '2026-04-20 12:00+00')}, 'killed');
is(query($primary, "$money; $lines", 'killed'), $money_before, 'and so does rating its periods again');
is(query($primary, q{SELECT count(*) FROM meter.invoice WHERE customer_id IN ('c2', 'c3', 'c5')}, 'killed'), '0', 'nothing names the customer');
is(query($primary, q{SELECT count(*) FROM meter.subscription_seat JOIN meter.subscription USING (subscription_id) WHERE holder IS NOT NULL AND customer_id LIKE 'erased-%'}, 'killed'), '0', 'nor who sat on its seats');

done_testing();
