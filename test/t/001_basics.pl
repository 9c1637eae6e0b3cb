# The extension through the life of a server: dump and restore, a standby, a crash, its removal.
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

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', $ENV{METER_CONF});
$primary->start;

my $members = q{
	SELECT count(*), md5(string_agg(object, ',' ORDER BY object COLLATE "C"))
	FROM (
		SELECT pg_describe_object(classid, objid, 0) AS object
		FROM pg_depend
		WHERE refclassid = 'pg_extension'::regclass
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'meter')
		AND deptype = 'e') AS member;
};

# All that is left of the extension in a database: what it owns, and what its library made.
my $remains = q{
	SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'meter')
		+ (SELECT count(*) FROM pg_proc WHERE probin LIKE '%meter%' OR prosrc LIKE '%meter.%')
		+ (SELECT count(*) FROM pg_type WHERE typname IN ('usage', 'rate_card', 'tariff'))
		+ (SELECT count(*) FROM pg_aggregate WHERE aggfnoid::text LIKE '%meter.%');
};

# What a user makes of it: prices, events, a table of plans, a view.
my $work = q{
	UPDATE meter.setting SET currency = 'EUR';
	INSERT INTO meter.layer (layer, description) VALUES ('moderation', 'Filters before and after.');
	INSERT INTO meter.item (item, layer) VALUES ('acme/filter', 'moderation');
	INSERT INTO meter.card (card, currency, description) VALUES ('offer', 'USD', 'A contract to come.');
	INSERT INTO meter.rate (item, unit, price, per, valid, variant, precedence) VALUES
		('acme/model', 'input_tokens', 2.50, 1000000, '[2026-01-01 00:00+00, 2026-07-01 00:00+00)', 'standard', 0),
		('acme/model', 'input_tokens', 2.00, 1000000, '[2026-07-01 00:00+00,)', 'standard', 0),
		('acme/model', 'output_tokens', 10, 1000000, '(,)', 'standard', 0),
		('acme/model', 'input_tokens', 1.25, 1000000, '(,)', 'batch', 0);
	INSERT INTO meter.rate (item, unit, price, per) VALUES
		('acme/model', 'output_tokens', 9.123456789012, 1000000),
		('acme/filter', '*', 0.0001, 1);
	INSERT INTO meter.rate (card, item, unit, price, per) VALUES ('offer', 'acme/model', '*', 1, 1000000);

	CREATE TABLE event (id bigint PRIMARY KEY, customer text, item text, at timestamptz, usage meter.usage);
	INSERT INTO event
	SELECT i, 'customer ' || i % 7, (ARRAY['acme/model', 'acme/filter', 'acme/unknown'])[1 + i % 3],
		timestamptz '2026-06-20 00:00+00' + i * interval '1 hour',
		meter.usage('input_tokens', i * 100, 'output_tokens', i, 'requests', 1, 'pages', CASE i % 3 WHEN 1 THEN i / 8.0 END)
	FROM generate_series(1, 500) AS i;
	CREATE TABLE plan (name text PRIMARY KEY, tariff meter.tariff);
	INSERT INTO plan VALUES
		('Pro', 'graduated: up to 2500 at 0; above at 0.06 plus 10; discount 10%; minimum 99'),
		('Team', 'volume: up to 10000 at 0.05; above at 0.04; maximum 5000');
	CREATE VIEW bill AS
	SELECT customer, sum(usage) AS usage, sum(meter.event_cost(item, at, usage)) AS cost,
		count(*) FILTER (WHERE meter.event_cost(item, at, usage) IS NULL) AS unpriced
	FROM event
	GROUP BY customer;
	CREATE TABLE kept AS SELECT meter.card('cost') AS card, sum(usage) AS usage FROM event;
};

# The answers that must be the same wherever the same rows are.
my $answers = q{
	SELECT * FROM bill ORDER BY customer;
	SELECT item, meter.total_cost((SELECT meter.card('cost')), item, at, usage) FROM event GROUP BY item ORDER BY item;
	SELECT item, meter.total_cost(card, item, at, event.usage) FROM event, kept GROUP BY item, card ORDER BY item;
	SELECT name, tariff, meter.charge(tariff, 123456.789) FROM plan ORDER BY name;
	SELECT name, meter.total_charge(tariff, (usage -> 'output_tokens')) FROM plan, event GROUP BY name, tariff ORDER BY name;
	SELECT * FROM meter.setting;
	SELECT layer, description, builtin FROM meter.layer ORDER BY layer;
	SELECT * FROM meter.card ORDER BY card;
	SELECT * FROM meter.rate ORDER BY rate_id;
	SELECT * FROM meter.current_rate WHERE valid @> timestamptz '2100-01-01' ORDER BY card, item, unit, variant, precedence;
	SELECT * FROM meter.unlisted_item ORDER BY item;
	SELECT meter.period(timestamptz '2026-03-30 10:00+00', timestamptz '2026-01-31 00:00+00', '1 month', 'Europe/Berlin');
};

query($primary, 'CREATE EXTENSION meter CASCADE');
my $installed = query($primary, $members);
query($primary, $work);
my $expected = query($primary, $answers);
like($expected, qr/customer 1\|/, 'the primary answers');

# Dump and restore, in both forms, from a database into others.
my $dumps = PostgreSQL::Test::Utils::tempdir();
my @connection = ('--port' => $primary->port, '--host' => $primary->host);
$primary->command_ok([ 'pg_dump', @connection, '--file' => "$dumps/plain", 'postgres' ], 'pg_dump');
$primary->command_ok([ 'pg_dump', @connection, '--format' => 'custom', '--file' => "$dumps/custom", 'postgres' ],
	'pg_dump in the custom format');
query($primary, "CREATE DATABASE $_") foreach ('plain', 'custom');
$primary->command_ok(
	[ 'psql', '-X', '-q', @connection, '-v' => 'ON_ERROR_STOP=1', '--file' => "$dumps/plain", 'plain' ], 'restore by psql');
$primary->command_ok(
	[ 'pg_restore', @connection, '--exit-on-error', '--dbname' => 'custom', "$dumps/custom" ], 'restore by pg_restore');
foreach my $restored ('plain', 'custom')
{
	is(query($primary, $answers, $restored), $expected, "the database restored from $restored gives the same answers");
	is(query($primary, $members, $restored), $installed, 'it has the same objects');
	is(query($primary, q{INSERT INTO meter.rate (item, unit, price) VALUES ('acme/new', '*', 1);
			SELECT count(*) FROM meter.rate WHERE item = 'acme/new'}, $restored), '1', 'a rate can be added');
	my ($status, $output, $error) = $primary->psql($restored,
		q{INSERT INTO meter.rate (item, unit, price) VALUES ('acme/model', 'output_tokens', 1)});
	like($error, qr/rate_does_not_overlap/, 'two rates still cannot overlap');
	$primary->command_ok([ 'pg_dump', @connection, '--schema-only', '--file' => "$dumps/again", $restored ], 'it can be dumped again');
	is(query($primary, q{SELECT builtin FROM meter.layer WHERE layer = 'inference'}, $restored), 't',
		'what the extension brought is still its own');
}

# A standby cannot write anything, and answers all the same.
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
is(query($standby, $answers), $expected, 'the standby gives the same answers');
query($primary, q{INSERT INTO meter.rate (item, unit, price) VALUES ('acme/unknown', '*', 0)});
$primary->wait_for_catchup($standby);
is(query($standby, q{SELECT sum(unpriced) FROM bill}), '0', 'the standby sees a new price');

# After a crash everything committed is there.
$expected = query($primary, $answers);
$primary->stop('immediate');
$primary->start;
is(query($primary, $answers), $expected, 'the same answers after a crash');
$primary->wait_for_catchup($standby);
is(query($standby, $answers), $expected, 'the standby goes on after it');

# Dropping leaves nothing, and the way back is open.
my ($status, $output, $error) = $primary->psql('postgres', 'DROP EXTENSION meter');
like($error, qr/view bill depends on/, 'DROP EXTENSION does not take what a user built on it');
query($primary, 'DROP EXTENSION meter CASCADE');
is(query($primary, $remains), '0', 'DROP EXTENSION CASCADE leaves nothing');
query($primary, 'CREATE EXTENSION meter');
is(query($primary, $members), $installed, 'CREATE EXTENSION makes the same objects again');

done_testing();
