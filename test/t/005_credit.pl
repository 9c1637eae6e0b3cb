# Credits through dump and restore: whatever is closed meanwhile, every grant comes back as it was,
# balances and statements are the same, and new grants are guarded as before.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub query
{
	my ($node, $sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', "SET client_min_messages = warning;\n$sql");
}

my $shown = q{
	SELECT customer_id, credit_type, granted, spent, expired, remaining, overage, paid, recognised FROM meter.credit_balance ORDER BY customer_id, credit_type;
	SELECT md5(string_agg(entry::text, ' ' ORDER BY customer_id, credit_type, entry_number)), count(*) FROM meter.credit_ledger AS entry;
	SELECT md5(string_agg(granted::text, ' ' ORDER BY customer_id, grant_id)), count(*) FROM meter.credit_grant AS granted;
	SELECT md5(string_agg(allotted::text, ' ' ORDER BY customer_id, allotment_id)), count(*) FROM meter.credit_allotment AS allotted;
	SELECT customer_id, credit_type, amount, grant_id FROM meter.top_up_due ORDER BY customer_id, grant_id};

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init;
$primary->append_conf('postgresql.conf', $ENV{METER_CONF});
$primary->start;
query($primary, q{
	CREATE EXTENSION meter CASCADE;
	INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'chat', 'actions', 2), ('credit', 'draw', 'actions', 5);
	INSERT INTO meter.action (action, pool) VALUES ('draw', 'image');
	INSERT INTO meter.customer (customer_id, currency) VALUES ('c1', 'EUR');
	INSERT INTO meter.customer_zone (customer_id, timezone) VALUES ('c1', 'Asia/Tokyo');
	INSERT INTO meter.usage_event (customer_id, event_id, occurred_at, usage, action)
	SELECT 'c' || n % 3, 'e' || n, timestamptz '2026-01-05 00:00+00' + n * interval '3 hours', meter.usage('actions', 1), CASE WHEN n % 5 = 0 THEN 'draw' ELSE 'chat' END
	FROM generate_series(1, 400) AS n;
	CALL meter.refresh();
	INSERT INTO meter.credit_allotment (customer_id, allotment_id, amount, anchor, valid, rollover_percent) VALUES ('c0', 'base', 50, '2026-01-31', '[2026-01-01,)', 30), ('c1', 'base', 60, '2026-01-15', '[2026-01-15,)', NULL);
	SELECT meter.grant_credits('c1', 'bought', 'purchase', 70, '[2026-01-10,2026-03-01)', paid => 7);
	SELECT meter.grant_credits('c1', 'images', 'promotion', 20, '[2026-01-10,)', pool => 'image');
	SELECT meter.grant_credits('c1', 'late', 'promotion', 20);
	SELECT meter.grant_credits('c2', 'rolls', 'purchase', 100, '[2026-01-01,2026-02-01)', paid => 10, rollover_max => 20, rollover_until => '2026-02-15');
	SELECT meter.void_grant('c1', 'late', 'test');
	SELECT meter.refund_event('c1', 'e1');
	SELECT meter.end_allotment('c0', 'base', 'test');
	INSERT INTO meter.top_up_rule (threshold, amount) VALUES (1000, 10);
	INSERT INTO meter.top_up_rule (customer_id, threshold, target) VALUES ('c2', 5, 6);
	SELECT meter.grant_credits('c0', 'top-up-credit-1', 'purchase', 10, paid => 1)});
my $before = query($primary, $shown);
like($before, qr/^c0\|credit\|.*^c1\|credit\|.*^c2\|credit\|/ms, 'there are balances');

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
}

# By four jobs, which bring the tables in any order, in one transaction, and only the data: into databases in which all is closed.
my $close = q{
	CREATE OR REPLACE FUNCTION meter.closed_until(customer_id text) RETURNS date
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN date '2026-06-01'};
$primary->command_ok([ 'pg_dump', '-Fd', '-f', $primary->basedir . '/dump.dir', $primary->connstr('postgres') ], 'pg_dump to a directory');
query($other, 'CREATE DATABASE parallel');
$other->command_ok([ 'pg_restore', '-j', '4', '-d', $other->connstr('parallel'), $primary->basedir . '/dump.dir' ], 'restore by four jobs');
is(query($other, $shown, 'parallel'), $before, 'all is there after a parallel restore');
$primary->command_ok([ 'pg_dump', '--data-only', '-f', $dump, $primary->connstr('postgres') ], 'pg_dump --data-only');
for my $how ([ 'data_only' ], [ 'data_at_once', '--single-transaction' ])
{
	my ($database, @options) = @$how;
	query($other, "CREATE DATABASE $database");
	query($other, 'CREATE EXTENSION meter CASCADE', $database);
	query($other, $close, $database);
	$other->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', @options, '-f', $dump, $other->connstr($database) ], "restore of $database over closed dates");
	is(query($other, $shown, $database), $before, "all is there in $database");
	my ($status, $out, $error) = $other->psql($database, q{SELECT meter.grant_credits('c1', 'new', 'promotion', 1, '[2026-05-31,)')});
	like($error, qr/customer "c1" is closed until 2026-06-01/, 'a new grant is guarded');
	is(query($other, q{SELECT meter.grant_credits('c1', 'bought', 'purchase', 70, '[2026-01-10,2026-03-01)', paid => 7)}, $database), 'duplicate', 'a retry is known again');
	is(query($other, q{SELECT meter.grant_credits('c1', 'new', 'promotion', 1, '[2026-06-01,)')}, $database), 'granted', 'and what is open can be granted for');
	($status, $out, $error) = $other->psql($database, q{SELECT meter.refund_event('c1', 'e1')});
	like($error, qr/event "e1" has been refunded already/, 'a refund is known again');
}

done_testing();
