# Purged days, and the roll-up's state, through what a server goes through: dump and restore in every
# form, a restore to a point in time, pg_upgrade, and crashes while events are deleted. What was purged
# lives in usage_daily alone then: it is neither lost nor doubled.
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

# What the views show, how many rows differ from a rebuild, what is too late, and from when on there are events.
my $shown = q{
	SELECT coalesce(sum(events), 0), coalesce(sum(cost), 0), (SELECT count(*) FROM meter.audit()), (SELECT count(*) FROM meter.late_event), (SELECT horizon FROM meter.horizon)
	FROM meter.usage_by_day};
my $by_day = q{
	SELECT customer_id, usage_date, item, sum(events), sum(cost), sum(usage)
	FROM meter.usage_by_day GROUP BY 1, 2, 3 ORDER BY 1, 2, 3};
my $unconsumed = 'SELECT count(*) FROM meter.unconsumed_event';

sub send_events
{
	my ($node, $prefix, $count, $database) = @_;
	return query($node, qq{
		INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
		SELECT 'c' || n % 7, '$prefix-' || n, timestamptz '2020-03-01 00:00+00' + n * interval '1 day' / $count * 10, 'i' || n % 3, meter.usage('input_tokens', n)
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

sub purge
{
	my ($node, $before, $database) = @_;
	refresh_all($node, $database);
	return query($node, "CALL meter.purge_events('$before', 40)", $database);
}

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(has_archiving => 1, allows_streaming => 1);
$primary->append_conf('postgresql.conf', $ENV{METER_CONF});
$primary->start;
query($primary, q{
	CREATE EXTENSION meter CASCADE;
	INSERT INTO meter.rate (item, unit, price, per) VALUES ('i0', 'input_tokens', 3, 1000), ('i1', '*', 0.5, 1);
	INSERT INTO meter.customer_zone VALUES ('c1', '-infinity', 'Asia/Tokyo'), ('c2', '-infinity', 'America/New_York')});

# Purged, late, marked, with a tail, a correction and an erased customer: the state that a dump takes.
send_events($primary, 'old', 700);
purge($primary, '2020-03-05');
send_events($primary, 'retried', 30);
refresh_all($primary);
query($primary, q{
	SELECT meter.void_event('c1', 'old-638', 'test');
	SELECT meter.erase_customer('c3');
	UPDATE meter.rate SET price = 7 WHERE false;
	INSERT INTO meter.rate (item, unit, price, valid, precedence) VALUES ('i1', '*', 1, '[2020-03-08 00:00+00,)', 200)});
my $before = query($primary, $shown);
my $days_before = query($primary, $by_day);
like($before, qr/^7\d\d\|.*\|0\|1\d\|2020-03-05$/, 'the views are right before the dump');
is(query($primary, q{SELECT count(*) FROM meter.usage_event WHERE occurred_at < '2020-03-04'}),
	query($primary, q{SELECT count(*) FROM meter.late_event WHERE occurred_at < '2020-03-04'}), 'of purged days only what is late is there');

# Dumped and restored, in every form.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', $ENV{METER_CONF});
$other->start;
my $dump = $primary->basedir . '/dump';
$primary->command_ok([ 'pg_dump', '-f', "$dump.sql", $primary->connstr('postgres') ], 'pg_dump');
$primary->command_ok([ 'pg_dump', '-Fd', '-f', "$dump.dir", $primary->connstr('postgres') ], 'pg_dump to a directory');
$primary->command_ok([ 'pg_dump', '--data-only', '-f', "$dump.data.sql", $primary->connstr('postgres') ], 'pg_dump --data-only');
for my $form (
	[ $primary, 'same', 'in the same cluster', 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', "$dump.sql" ],
	[ $other, 'another', 'in another cluster', 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', "$dump.sql" ],
	[ $other, 'data_only', 'of the data only', 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', "$dump.data.sql" ],
	[ $other, 'parallel', 'by four jobs', 'pg_restore', '-j', '4', "$dump.dir" ])
{
	my ($node, $database, $name, $program, @arguments) = @$form;
	query($node, "CREATE DATABASE $database");
	query($node, 'CREATE EXTENSION meter CASCADE', $database) if $database eq 'data_only';
	$node->command_ok([ $program, @arguments, '-d', $node->connstr($database) ], "restore $name");
	is(query($node, $shown, $database), $before, "all is there, restored $name");
	# Everything stale, as any restore may leave it, and worse.
	query($node, 'INSERT INTO meter.usage_mark DEFAULT VALUES', $database);
	is(query($node, $by_day, $database), $days_before, "and every day is as it was, restored $name");
	refresh_all($node, $database);
	is(query($node, $by_day, $database), $days_before, "and after a refresh, restored $name");
	is(query($node, $shown, $database), $before, "too late stays too late, restored $name");
	my ($status, $out, $err) = $node->psql($database, q{UPDATE meter.rate SET price = 9 WHERE item = 'i0'});
	like($err, qr/the change would touch purged days of item 'i0'/, "a change of purged days is refused, restored $name");
	is(query($node, q{SELECT meter.record('c0', 'old-7', '2020-03-01 03:00+00', 'i0', '{"input_tokens": 7}')}, $database),
		'too late', "a retry of a purged event is too late, restored $name");
	send_events($node, 'after', 30, $database);
	purge($node, '2020-03-07', $database);
	like(query($node, $shown, $database), qr/\|0\|\d+\|2020-03-07$/, "a later purge, restored $name");
	is(query($node, 'SELECT count(*) FROM meter.purgeable_event', $database), '0', "and nothing of it is left, restored $name");
}

# To a point in time: what was rolled up after it is undone together with the watermark and the
# horizon, and the transaction ids that it had are given anew.
$primary->backup('base');
send_events($primary, 'kept', 50);
query($primary, 'CALL meter.refresh()');
my $at_target = query($primary, $shown);
query($primary, q{SELECT pg_create_restore_point('target')});
send_events($primary, 'undone', 60);
purge($primary, '2020-03-09');
my $undone = query($primary, q{SELECT max(consumed) FROM meter.usage_watermark});
query($primary, 'SELECT pg_switch_wal()');
my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($primary, 'base', has_restoring => 1);
$restored->append_conf('postgresql.conf', "recovery_target_name = 'target'\nrecovery_target_action = 'promote'");
$restored->start;
$restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is(query($restored, $shown), $at_target, 'restored to a point in time, all is as it was then');
is(query($restored, q{SELECT meter.record('c0', 'undone-7', '2020-03-08 00:00+00', 'i0', '{"input_tokens": 7}')}), 'stored',
	'what was undone comes again');
for my $n (1 .. 20)
{
	query($restored, qq{SELECT meter.record('c0', 'again-$n', '2020-03-08 00:00+00', 'i0', '{"input_tokens": 1}')});
}
cmp_ok(query($restored, q{SELECT count(*) FROM meter.usage_event WHERE event_id LIKE 'again-%' AND txid < } . $undone), '>', 0,
	'with transaction ids that the other timeline had rolled up');
my ($events) = split /\|/, $at_target;
like(query($restored, $shown), qr/^@{[ $events + 21 ]}\|.*\|0\|\d+\|2020-03-05$/, 'new events count');
refresh_all($restored);
like(query($restored, $shown), qr/^@{[ $events + 21 ]}\|.*\|0\|\d+\|2020-03-05$/, 'and after a refresh');
is(query($restored, q{SELECT sum(events) FROM meter.usage_daily}), $events + 21, 'usage_daily has each once');
is(query($restored, 'SELECT count(*) FROM meter.usage_watermark'), '1', 'it is the same epoch');
$restored->stop;

# pg_upgrade gives a new system identifier: another epoch, with a tail of the former one.
my $upgraded = $primary;
SKIP:
{
	skip 'pg_upgrade of this server finds no library outside of the server', 1 if $primary->psql('postgres', q{LOAD '$libdir/meter'}) != 0;

	$upgraded = PostgreSQL::Test::Cluster->new('upgraded');
	$upgraded->init;
	$upgraded->append_conf('postgresql.conf', $ENV{METER_CONF});
	send_events($primary, 'tail', 40);
	query($primary, q{INSERT INTO meter.rate (item, unit, price, valid, precedence) VALUES ('i1', '*', 2, '[2020-03-10 00:00+00,)', 300)});
	my $epoch = query($primary, 'SELECT meter.txid_epoch()');
	my $before_upgrade = query($primary, $by_day);
	my $bindir = $primary->config_data('--bindir');
	for my $database (query($primary, q{SELECT datname FROM pg_database WHERE datname = 'same'}))
	{
		query($primary, "DROP DATABASE $database");
	}
	$primary->stop;
	chdir $primary->basedir;
	$upgraded->command_ok(
		[
			'pg_upgrade', '--no-sync', '-d', $primary->data_dir, '-D', $upgraded->data_dir, '-b', $bindir, '-B', $bindir,
			'-s', $upgraded->host, '-p', $primary->port, '-P', $upgraded->port ],
		'pg_upgrade');
	$upgraded->start;
	isnt(query($upgraded, 'SELECT meter.txid_epoch()'), $epoch, 'it is another epoch');
	is(query($upgraded, $by_day), $before_upgrade, 'every day is as it was before the upgrade');
	is(query($upgraded, 'SELECT count(*) FROM meter.audit()'), '0', 'the audit finds nothing');
	send_events($upgraded, 'upgraded', 30);
	my $with_new = query($upgraded, $by_day);
	isnt($with_new, $before_upgrade, 'new events count');
	refresh_all($upgraded);
	is(query($upgraded, $by_day), $with_new, 'and after a refresh');
	is(query($upgraded, 'SELECT count(*) FROM meter.audit()'), '0', 'the audit finds nothing after it');
	is(query($upgraded, 'SELECT count(*) FROM meter.usage_watermark'), '2', 'both epochs are followed');
	my (undef, undef, $err) = $upgraded->psql('postgres', q{UPDATE meter.rate SET price = 9 WHERE item = 'i0'});
	like($err, qr/the change would touch purged days of item 'i0'/, 'a change of purged days is refused after the upgrade');
	is(query($upgraded, q{SELECT meter.record('c0', 'old-7', '2020-03-01 03:00+00', 'i0', '{"input_tokens": 7}')}),
		'too late', 'a retry of a purged event is too late after the upgrade');
}

# The server, or the backend, dies while events are deleted and a sender sends new ones, and old ones once
# more: those are there still, or too late.
query($upgraded, q{
	INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
	SELECT 'c' || n % 7, 'many-' || n, timestamptz '2020-03-10 00:00+00' + n * interval '20 seconds', 'i' || n % 3, meter.usage('input_tokens', n)
	FROM generate_series(1, 40000) AS n});
refresh_all($upgraded);
$upgraded->append_conf('postgresql.conf', 'restart_after_crash = on');
$upgraded->reload;
(my $by_old_day = $by_day) =~ s/GROUP BY/WHERE customer_id <> 'sender' GROUP BY/;
my $days = query($upgraded, $by_old_day);
my $interrupted = 0;
my $acknowledged = 0;
for my $round (1 .. 6)
{
	my $base = $upgraded->basedir . "/crash-$round";
	my $horizon = '2020-03-' . (11 + $round);
	append_to_file("$base.sql", "CALL meter.purge_events('$horizon', 20);\n");
	my $purger = IPC::Run::start([ 'psql', '-Xq', '-d', $upgraded->connstr('postgres'), '-f', "$base.sql" ],
		'<', '/dev/null', '>', "$base.out", '2>', "$base.err");
	append_to_file("$base.sender.sql", join('', map { qq{
		SELECT meter.record('sender', 'new-$round-$_', '2020-03-25 00:00+00', 'i1', meter.usage('requests', 1));
		INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, item, usage)
		SELECT 'c' || n % 7, 'many-' || n, timestamptz '2020-03-10 00:00+00' + n * interval '20 seconds', 'i' || n % 3, meter.usage('input_tokens', n)
		FROM generate_series($round * 4000 + $_ * 10, $round * 4000 + $_ * 10 + 9) AS n
		ON CONFLICT DO NOTHING;
	} } 1 .. 400));
	my $sender = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $upgraded->connstr('postgres'), '-f', "$base.sender.sql" ],
		'<', '/dev/null', '>', "$base.sender.out", '2>', "$base.sender.err");
	for (1 .. 100)
	{
		last if query($upgraded, q{SELECT count(*) FROM meter.job WHERE job = 'purge_events' AND state = 'running' AND done > 0}) eq '1';
	}
	if ($round % 2)
	{
		$upgraded->kill9;
		$_->finish for $purger, $sender;
		# A backend may outlive the postmaster for a moment.
		for (1 .. 100)
		{
			last if $upgraded->start(fail_ok => 1);
			$upgraded->{_pid} = undef;
			select(undef, undef, undef, 0.1);
		}
	}
	else
	{
		my $pid = query($upgraded, q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL meter.purge%'});
		kill 'KILL', $pid if $pid;
		$_->finish for $purger, $sender;
		wait_for_server($upgraded, 'postgres');
	}
	$acknowledged += () = slurp_file("$base.sender.out") =~ /^stored$/mg;
	my $new = query($upgraded, q{SELECT sum(events) FROM meter.usage_by_day WHERE customer_id = 'sender'});
	cmp_ok($new, '>=', $acknowledged, "crash $round: what was acknowledged is there");
	cmp_ok($new - $acknowledged, '<=', 1, "crash $round: and at most what was on its way");
	$acknowledged = $new;
	$interrupted += query($upgraded, 'SELECT EXISTS (SELECT FROM meter.purgeable_event)') eq 't';
	is(query($upgraded, $by_old_day), $days, "crash $round: every day is as it was");
	is(query($upgraded, 'SELECT count(*) FROM meter.audit()'), '0', "crash $round: the audit finds nothing");
	# Others go on from where it was.
	query($upgraded, "CALL meter.purge_events('$horizon')") if $round == 4;
	refresh_all($upgraded);
}
cmp_ok($interrupted, '>=', 3, 'purges were interrupted half way');
query($upgraded, q{CALL meter.purge_events('2020-03-18')});
is(query($upgraded, $by_old_day), $days, 'after it all, every day is as it was');
is(query($upgraded, 'SELECT count(*) FROM meter.audit()'), '0', 'the audit finds nothing');
cmp_ok(query($upgraded, q{SELECT count(*) FROM meter.late_event WHERE event_id LIKE 'many-%'}), '>', 0, 'what was sent again is listed as too late');
is(query($upgraded, 'SELECT count(*) FROM meter.purgeable_event'), '0', 'nothing is left to delete');
is(query($upgraded, q{SELECT horizon FROM meter.horizon}), '2020-03-18', 'the horizon is where the last purge put it');
is(query($upgraded, q{SELECT count(*) FROM meter.job WHERE job = 'purge_events' AND state = 'running'}), '0', 'no purge looks as if it ran');

done_testing();
