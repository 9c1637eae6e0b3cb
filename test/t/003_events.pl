# Events and their roll-up through what a server goes through: dump and restore, a standby and its
# promotion, and crashes while events come in and are rolled up. Nothing is lost, nothing counts twice.
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
	return $node->safe_psql($database // 'postgres', "SET client_min_messages = warning;\n$sql");
}

# What the views show, how many rows differ from a rebuild, and how many events usage_daily lacks.
my $shown = q{
	SELECT coalesce(sum(events), 0), coalesce(sum(cost), 0), coalesce(sum(credits), 0), (SELECT count(*) FROM meter.audit())
	FROM meter.usage_by_day};
my $unconsumed = 'SELECT count(*) FROM meter.unconsumed_event';

sub send_events
{
	my ($node, $prefix, $count, $database) = @_;
	return query($node, qq{
		INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage, action)
		SELECT 'c' || n % 7, '$prefix-' || n, timestamptz '2026-11-01 00:00+00' + n * interval '7 minutes', 'i' || n % 3,
			meter.usage('input_tokens', n, 'actions', 1), 'chat'
		FROM generate_series(1, $count) AS n}, $database);
}

sub refresh_all
{
	my ($node, $database) = @_;
	for (1 .. 200)
	{
		query($node, 'CALL meter.refresh()', $database);
		return if query($node, $unconsumed, $database) eq '0';
		select(undef, undef, undef, 0.05);
	}
}

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical');
$primary->append_conf('postgresql.conf', $ENV{METER_CONF});
$primary->start;
query($primary, q{
	CREATE EXTENSION meter CASCADE;
	UPDATE meter.setting SET timezone = 'Europe/Berlin';
	INSERT INTO meter.rate (item, unit, price, per) VALUES ('i0', 'input_tokens', 3, 1000), ('i1', '*', 0.5, 1);
	INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 2);
	INSERT INTO meter.customer (customer_id) VALUES ('c1');
	INSERT INTO meter.customer_zone VALUES ('c1', '2026-11-02', 'Asia/Tokyo')});

# Rolled up in part, corrected, and marked: the state that a dump takes.
send_events($primary, 'before', 500);
refresh_all($primary);
send_events($primary, 'tail', 100);
query($primary, q{
	SELECT meter.void_event('c1', 'before-1', 'test');
	SELECT meter.record('c1', 'before-1', now(), 'i0', meter.usage('requests', 1));
	UPDATE meter.rate SET price = 4 WHERE item = 'i0'});
my $before = query($primary, $shown);
like($before, qr/^599\|.*\|0$/, 'the views are right before the dump');

# A dump, restored in the same cluster and in another one.
my $dump = $primary->basedir . '/dump.sql';
$primary->command_ok([ 'pg_dump', '-f', $dump, $primary->connstr('postgres') ], 'pg_dump');
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', $ENV{METER_CONF});
$other->start;
for my $target ([ $primary, 'the same cluster' ], [ $other, 'another cluster' ])
{
	my ($node, $name) = @$target;
	query($node, 'CREATE DATABASE restored');
	$node->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], "restore in $name");
	is(query($node, $shown, 'restored'), $before, "all is there in $name");
	is(query($node, 'SELECT count(*) FROM meter.usage_mark', 'restored'), '1', "the restore itself marks nothing in $name");
	send_events($node, 'after', 50, 'restored');
	like(query($node, $shown, 'restored'), qr/^649\|.*\|0$/, "new events count in $name before a refresh");
	refresh_all($node, 'restored');
	like(query($node, $shown, 'restored'), qr/^649\|.*\|0$/, "and after it in $name");
	is(query($node, 'SELECT sum(events) FROM meter.usage_daily', 'restored'), '649', "usage_daily has all of them in $name");
	is(query($node, q{SELECT meter.record('c1', 'before-8', '2026-11-01 00:56+00', 'i2', meter.usage('input_tokens', 8, 'actions', 1), 'chat')}, 'restored'),
		'duplicate', "a retry is known again in $name");
	isnt(query($node, q{SELECT meter.amend_event('c1', 'before-8', '{"item": "i0"}', 'test')}, 'restored'), 'before-8', "corrections go on in $name");
}
is(query($other, 'SELECT count(*) FROM meter.usage_watermark', 'restored'), '2', 'another cluster is another epoch');

# Only the data, into a database that has the extension.
$primary->command_ok([ 'pg_dump', '--data-only', '-f', $dump, $primary->connstr('postgres') ], 'pg_dump --data-only');
query($other, 'CREATE DATABASE data_only');
query($other, 'CREATE EXTENSION meter CASCADE', 'data_only');
$other->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', $dump, $other->connstr('data_only') ], 'restore of the data only');
is(query($other, $shown, 'data_only'), $before, 'all is there after a restore of the data only');
refresh_all($other, 'data_only');
is(query($other, $shown, 'data_only'), $before, 'and after a refresh');

# By four jobs, which bring the tables in any order.
$primary->command_ok([ 'pg_dump', '-Fd', '-f', $primary->basedir . '/dump.dir', $primary->connstr('postgres') ], 'pg_dump to a directory');
query($other, 'CREATE DATABASE parallel');
$other->command_ok([ 'pg_restore', '-j', '4', '-d', $other->connstr('parallel'), $primary->basedir . '/dump.dir' ], 'restore by four jobs');
is(query($other, $shown, 'parallel'), $before, 'all is there after a parallel restore');
refresh_all($other, 'parallel');
is(query($other, $shown, 'parallel'), $before, 'and after a refresh');

# Events without the state of the roll-up: it begins anew.
query($other, 'CREATE DATABASE events_only');
query($other, 'CREATE EXTENSION meter CASCADE', 'events_only');
$primary->command_ok([ 'pg_dump', '--data-only', '-t', 'meter.usage_event', '-f', $dump, $primary->connstr('postgres') ], 'pg_dump of the events');
$other->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', $dump, $other->connstr('events_only') ], 'restore of the events');
like(query($other, $shown, 'events_only'), qr/^599\|0\|0\|0$/, 'events count where the state was left behind');
refresh_all($other, 'events_only');
like(query($other, $shown, 'events_only'), qr/^599\|0\|0\|0$/, 'and after a refresh');
# A logical subscriber reads all events, and refuses to roll up what comes in no order.
query($primary, 'CREATE PUBLICATION events FOR TABLE meter.usage_event');
query($other, 'CREATE DATABASE subscribed');
query($other, 'CREATE EXTENSION meter CASCADE', 'subscribed');
$other->safe_psql('subscribed', "CREATE SUBSCRIPTION events CONNECTION 'host=" . $primary->host . ' port=' . $primary->port . " dbname=postgres' PUBLICATION events");
$other->wait_for_subscription_sync($primary, 'events', 'subscribed');
send_events($primary, 'published', 10);
$primary->wait_for_catchup('events');
like(query($other, $shown, 'subscribed'), qr/^609\|0\|0\|0$/, 'a subscriber shows all events');
my ($refused, undef, $why) = $other->psql('subscribed', 'CALL meter.refresh()');
like($why, qr/filled by a logical subscription/, 'a subscriber refuses to refresh, and says why');
query($other, 'DROP SUBSCRIPTION events', 'subscribed');
refresh_all($other, 'subscribed');
like(query($other, $shown, 'subscribed'), qr/^609\|0\|0\|0$/, 'it refreshes once it is no subscriber');
$other->stop;

# A standby answers as the primary does, and goes on when it is promoted.
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'restart_after_crash = on');
$standby->start;
send_events($primary, 'streamed', 20);
$primary->wait_for_catchup($standby);
is(query($standby, $shown), query($primary, $shown), 'a standby shows what the primary does');
my ($status, $out, $err) = $standby->psql('postgres', 'SELECT meter.txid()');
like($err, qr/a standby has no transaction ids to give/, 'a standby has no transaction ids to give');
$primary->stop;
$standby->promote;
send_events($standby, 'promoted', 30);
like(query($standby, $shown), qr/^659\|.*\|0$/, 'events count on the promoted standby');
refresh_all($standby);
like(query($standby, $shown), qr/^659\|.*\|0$/, 'and after a refresh');
is(query($standby, 'SELECT count(*) FROM meter.usage_watermark'), '1', 'it is the same epoch');

# A refresh is cancelled half way: what it has finished stays, its progress is to be seen, and the next one does the rest.
send_events($standby, "batch-$_", 10) for 1 .. 40;
query($standby, q{
	CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END';
	CREATE TRIGGER slowly AFTER UPDATE ON meter.job FOR EACH ROW EXECUTE FUNCTION slowly()});
my $cancelled = '';
my $refresh = IPC::Run::start([ 'psql', '-XAtq', '-d', $standby->connstr('postgres'), '-c', 'CALL meter.refresh(10)' ], '<', '/dev/null', '2>', \$cancelled);
$standby->poll_query_until('postgres', q{SELECT done >= 30 FROM meter.job_progress WHERE job = 'refresh' AND state = 'running'});
query($standby, q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL meter.refresh(10)%'});
$refresh->finish;
like($cancelled, qr/canceling statement due to user request/, 'a refresh can be cancelled');
my ($run, $total, $done) = split /\|/, query($standby, q{SELECT job_id, total, done FROM meter.job_progress WHERE job = 'refresh' AND rate > 0 AND time_left > '0'});
ok($done >= 30 && $done < $total, "it has done a part, $done of $total");
like(query($standby, $shown), qr/^1059\|.*\|0$/, 'the views are right after it');
query($standby, 'DROP FUNCTION slowly CASCADE');
refresh_all($standby);
is(query($standby, qq{SELECT sum(done) FROM meter.job WHERE job_id >= $run}), '400', 'what comes after it does the rest');
is(query($standby, q{SELECT state, time_left FROM meter.job_progress WHERE job = 'refresh'}), 'done|', 'and its progress is that it is done');
like(query($standby, $shown), qr/^1059\|.*\|0$/, 'the views are right after that');

# The server dies while events are recorded and rolled up. What was acknowledged is there, once.
my $acknowledged = 1059;
for my $round (1 .. 10)
{
	my $base = $standby->basedir . "/crash-$round";
	for my $writer (1, 2)
	{
		append_to_file("$base.$writer.sql",
			join('', map { "SELECT meter.record('c$writer', 'crash-$round-$writer-$_', '2026-11-20 00:00+00', 'i1', meter.usage('requests', 1));\n" } 1 .. 20000));
	}
	append_to_file("$base.refresh.sql", "CALL meter.refresh(50);\n" x 1000);
	my @clients = map {
		IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $standby->connstr('postgres'), '-f', "$base.$_.sql" ],
			'<', '/dev/null', '>', "$base.$_.out", '2>', "$base.$_.err")
	} qw(1 2 refresh);
	select(undef, undef, undef, 0.5 + 0.2 * $round);
	if ($round % 2)
	{
		$standby->kill9;
	}
	else
	{
		my $pid = query($standby, q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL meter.refresh%'});
		kill 'KILL', $pid if $pid;
	}
	$_->finish for @clients;
	if ($round % 2)
	{
		# A backend may outlive the postmaster for a moment.
		for (1 .. 100)
		{
			last if $standby->start(fail_ok => 1);
			$standby->{_pid} = undef;
			select(undef, undef, undef, 0.1);
		}
	}
	else
	{
		wait_for_server($standby, 'postgres');
	}
	$acknowledged += () = slurp_file("$base.$_.out") =~ /^stored$/mg for 1 .. 2;
	my ($events, $differences) = split /\|/, query($standby, q{SELECT sum(events), (SELECT count(*) FROM meter.audit()) FROM meter.usage_by_day});
	cmp_ok($events, '>=', $acknowledged, "crash $round: what was acknowledged is there");
	cmp_ok($events - $acknowledged, '<=', 2, "crash $round: and at most what was on its way");
	is($differences, '0', "crash $round: the audit finds nothing");
	$acknowledged = $events;
}
refresh_all($standby);
is(query($standby, 'SELECT sum(events) FROM meter.usage_daily'), $acknowledged, 'after it all, usage_daily has every event once');
is(query($standby, 'SELECT count(*) FROM meter.audit()'), '0', 'and the audit finds nothing');

done_testing();
