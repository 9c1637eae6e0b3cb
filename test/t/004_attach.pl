# Attached tables through dump and restore, crashes and pg_upgrade: the mapping is in a table, its view is an ordinary object,
# and the view of all attachments is generated again while the data comes in.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use IPC::Run;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('node');
$node->init;
$node->append_conf('postgresql.conf', $ENV{METER_CONF});
$node->start;

sub query
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', "SET client_min_messages = warning;\n$sql");
}

# Whether there is more than what is rolled up, that the live part of the table is read, and that all adds up.
my $shown = q{
	SELECT (SELECT count(*) FROM meter.attachment WHERE connected), sum(events), sum(cost), (SELECT sum(events) FROM meter.attached_daily), (SELECT count(*) FROM meter.attached_problem), (SELECT count(*) FROM meter.audit(dates => '(,)'))
	FROM meter.usage_by_day};

query(q{
	CREATE EXTENSION meter CASCADE;
	INSERT INTO meter.rate (item, unit, price) VALUES ('gpt', 'input_tokens', 2);
	CREATE SCHEMA app;
	CREATE TABLE app.call (id bigint PRIMARY KEY, tenant text, at timestamptz, tokens integer);
	CREATE TABLE app."Log" (id bigint, tenant text, at timestamp, tokens integer);
	INSERT INTO app.call SELECT n, nullif('c' || n % 3, 'c2'), now() - n * interval '6 hours', n FROM generate_series(1, 100) AS n;
	INSERT INTO app."Log" SELECT n, 'c' || n % 3, timezone('UTC', now()) - n * interval '6 hours', n FROM generate_series(1, 100) AS n;
	SELECT meter.record('c1', 'own', now(), 'gpt', '{"input_tokens": 1}');
	SELECT meter.attach('app.call', 'tenant', 'at', '''gpt''', quantities => '{"input_tokens": "tokens"}', event_id => 'id');
	SELECT meter.attach('app."Log"', 'tenant', 'at', '''gpt''', usage => 'meter.usage(''input_tokens'', tokens)', window_days => 1)});
$node->psql('postgres', 'CALL meter.refresh()');
my $before = query($shown);
like($before, qr/^2\|168\|.*\|33\|0$/, 'attached tables are reported before the dump');

# New rows and another refresh after the restore.
sub goes_on
{
	my ($database, $name) = @_;
	is(query($shown, $database), $before, "attached tables are reported $name");
	query(q{INSERT INTO app.call VALUES (1000, 'new', now(), 5)}, $database);
	is(query(q{SELECT events, cost FROM meter.usage_by_day WHERE customer_id = 'new'}, $database), '1|10', "and new rows of theirs $name");
	query('UPDATE meter.attachment SET window_days = 0', $database);
	$node->psql($database, 'CALL meter.refresh()');
	is(query(q{SELECT sum(events) - 1, (SELECT count(*) FROM meter.audit(dates => '(,)')) FROM meter.usage_by_day}, $database), '168|0', "and nothing is doubled or lost by a refresh $name");
	query(q{SELECT meter.detach(name) FROM meter.attachment}, $database);
	is(query('SELECT sum(events) FROM meter.usage_by_day', $database), '1', "detached they are gone $name");
}

my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
query('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'restore');
goes_on('restored', 'after a restore');

$node->command_ok([ 'pg_dump', '-Fd', '-f', $node->basedir . '/dump.dir', $node->connstr('postgres') ], 'pg_dump to a directory');
query('CREATE DATABASE parallel');
$node->command_ok([ 'pg_restore', '-j', '4', '--exit-on-error', '-d', $node->connstr('parallel'), $node->basedir . '/dump.dir' ], 'restore by four jobs');
goes_on('parallel', 'after a parallel restore');

# Only the data, into a database that has the tables and no view of them: it is made.
my $schema = $node->basedir . '/schema.sql';
$node->command_ok([ 'pg_dump', '--schema-only', '-n', 'app', '-f', $schema, $node->connstr('postgres') ], 'pg_dump of the tables');
$node->command_ok([ 'pg_dump', '--data-only', '-f', $dump, $node->connstr('postgres') ], 'pg_dump --data-only');
query('CREATE DATABASE data_only');
query('CREATE EXTENSION meter CASCADE', 'data_only');
$node->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', $schema, $node->connstr('data_only') ], 'the tables');
$node->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('data_only') ], 'restore of the data only');
goes_on('data_only', 'after a restore of the data only');

# Without the tables: the restore goes through, what is rolled up is reported, and what is missing is listed and warned of.
$node->command_ok([ 'pg_dump', '--data-only', '-t', 'meter.*', '-f', $dump, $node->connstr('postgres') ], 'pg_dump of the data of meter');
query('CREATE DATABASE without');
query('CREATE EXTENSION meter CASCADE', 'without');
my ($status, $out, $err) = $node->psql('without', "\\i $dump");
is($status, 0, 'a restore without the tables goes through');
like($err, qr/WARNING:  attachment "call" is not connected: .*app/, 'it warns');
is(query('SELECT sum(events) FROM meter.usage_by_day', 'without'), query('SELECT sum(events) + 1 FROM meter.attached_daily'), 'the rolled-up days are reported');
like(query('SELECT attachment, problem FROM meter.attached_problem ORDER BY attachment', 'without'), qr/^call\|relation app.call is not connected.*\nlog\|relation app."Log" is not connected/, 'what is missing is listed');
$node->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', $schema, $node->connstr('without') ], 'the tables come');
query('UPDATE meter.attachment SET connected = true', 'without');
is(query('SELECT count(*) FROM meter.attached_problem', 'without'), '0', 'once they are there they are connected');
query(q{INSERT INTO app.call VALUES (1000, 'new', now(), 5)}, 'without');
is(query(q{SELECT events, cost FROM meter.usage_by_day WHERE customer_id = 'new'}, 'without'), '1|10', 'and reported');

# Killed while it rolls up: a table that is rolled up by days is reported in full at any moment.
query(q{
	CREATE TABLE app.many AS SELECT 'c' || n % 7 AS tenant, timestamptz '2020-01-01' + n * interval '1 hour' AS at, 1 AS tokens FROM generate_series(1, 30000) AS n;
	SELECT meter.attach('app.many', 'tenant', 'at', '''gpt''', quantities => '{"input_tokens": "tokens"}')});
my $many = q{SELECT sum(events), sum(cost) FROM meter.attached_by_day WHERE attachment = 'many'};
for my $round (1 .. 3)
{
	my $run = IPC::Run::start([ 'psql', '-Xqc', q{CALL meter.refresh_attached('many', batch_days => 3)}, $node->connstr('postgres') ], '>', \my $run_out, '2>', \my $run_err);
	$node->poll_query_until('postgres', qq{SELECT count(*) > 0 FROM meter.attached_daily WHERE attachment = 'many' AND source_date > date '2020-01-01' + 100 * $round});
	if ($round == 1)
	{
		query(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL meter.refresh_attached%'});
	}
	else
	{
		$node->stop('immediate');
		$node->start;
	}
	$run->finish;
	is(query($many), '30000|60000', "round $round: all of it is reported");
	is(query(q{SELECT rolled_up_until BETWEEN date '2020-01-01' + 1 AND date '2023-06-05' FROM meter.attachment WHERE name = 'many'}), 't', 'part of it is rolled up');
	is(query(q{SELECT state FROM meter.job_progress WHERE job = 'refresh_attached many'}), 'running', 'its job was not ended');
}
$node->psql('postgres', q{CALL meter.refresh_attached('many')});
is(query($many), '30000|60000', 'the next one goes on to the end');
is(query(q{SELECT sum(events) FROM meter.attached_daily WHERE attachment = 'many'}), '30000', 'and all is rolled up');
is(query(q{SELECT count(*) FROM meter.audit(dates => '(,)')}), '0', 'and the audit finds nothing');
is(query(q{SELECT state, (SELECT count(*) FROM meter.job WHERE job = 'refresh_attached many' AND state = 'stopped') FROM meter.job_progress WHERE job = 'refresh_attached many'}), 'done|3', 'and the jobs say so');

# pg_upgrade takes the views as they are, members of the extension or not.
SKIP:
{
	skip 'pg_upgrade of this server finds no library outside of the server', 1 if $node->psql('postgres', q{LOAD '$libdir/meter'}) != 0;

	my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
	$upgraded->init;
	$upgraded->append_conf('postgresql.conf', $ENV{METER_CONF});
	my $by_attachment = 'SELECT attachment, sum(events), sum(cost) FROM meter.attached_by_day GROUP BY attachment ORDER BY attachment';
	my $reported = query($by_attachment);
	my $shown_before = query($shown);
	for my $database (qw(restored parallel data_only without))
	{
		query("DROP DATABASE $database");
	}
	my $bindir = $node->config_data('--bindir');
	$node->stop;
	chdir $node->basedir;
	$upgraded->command_ok(
		[
			'pg_upgrade', '--no-sync', '-d', $node->data_dir, '-D', $upgraded->data_dir, '-b', $bindir, '-B', $bindir,
			'-s', $upgraded->host, '-p', $node->port, '-P', $upgraded->port ],
		'pg_upgrade');
	$upgraded->start;
	is($upgraded->safe_psql('postgres', $by_attachment), $reported, 'attached tables are reported after an upgrade');
	is($upgraded->safe_psql('postgres', $shown), $shown_before, 'and all with them');
	$upgraded->safe_psql('postgres', q{INSERT INTO app.many VALUES ('new', now(), 5)});
	is($upgraded->safe_psql('postgres', q{SELECT events FROM meter.usage_by_day WHERE customer_id = 'new'}), '1', 'and new rows');
	$upgraded->safe_psql('postgres', q{SELECT meter.detach('many')});
	is($upgraded->safe_psql('postgres', q{SELECT count(*) FROM meter.attached_by_day WHERE attachment = 'many'}), '0', 'and they can be detached');
	$upgraded->stop;
}
done_testing();
