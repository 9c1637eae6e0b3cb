# The catalogue's rows through dump and restore, and price lists that are loaded at the same time.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', $ENV{METER_CONF});
$node->start;

sub query
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', "SET client_min_messages = warning;\n$sql");
}

sub everything
{
	my ($database) = @_;
	return query(
		join(
			'',
			map { "SELECT '$_', t FROM meter.$_ AS t ORDER BY t::text COLLATE \"C\";\n" }
			  qw(setting layer item card rate fx_rate shared_cost provider_bill revenue revenue_source cost_budget pricing_threshold)),
		$database);
}

query(q{
	CREATE EXTENSION meter CASCADE;
	CREATE TABLE price_list (LIKE meter.rate_file, line bigint GENERATED ALWAYS AS IDENTITY);
	INSERT INTO price_list (provider, model, usage_type, list_price, list_price_per, currency)
	SELECT 'p', 'm' || n, 'input_tokens', n, 1000000, 'EUR'
	FROM generate_series(1, 100) AS n;
});
my $fresh = everything('postgres');

# A database where nothing was changed dumps no row of the extension's own.
query('CREATE DATABASE untouched');
$node->command_ok([ 'pg_dump', '-f', "$node->{_basedir}/untouched.sql", $node->connstr('postgres') ],
	'pg_dump of a fresh catalogue');
$node->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', "$node->{_basedir}/untouched.sql", $node->connstr('untouched') ],
	'and its restore');
is(everything('untouched'), $fresh, 'a fresh catalogue is fresh after dump and restore');

# What a user changed, added and loaded is all there again.
query(q{
	UPDATE meter.setting SET currency = 'EUR', timezone = 'Europe/Berlin';
	UPDATE meter.card SET currency = 'EUR' WHERE card = 'cost';
	INSERT INTO meter.card (card, currency) VALUES ('next_year', 'EUR');
	UPDATE meter.layer SET description = 'Vector search.' WHERE layer = 'retrieval';
	INSERT INTO meter.layer (layer) VALUES ('reranking');
	INSERT INTO meter.item (item, layer) VALUES ('mine/rerank', 'reranking'), ('pinecone/query', 'retrieval');
	INSERT INTO meter.rate (item, unit, price, per, daily_from, daily_until) VALUES ('p/m1', 'input_tokens', 5, 1000, '22:00', '06:00');
	INSERT INTO meter.rate (card, item, unit, price) VALUES ('credit', 'ask', 'actions', 1), ('next_year', 'p/m1', '*', 0);
	SELECT count(*) FROM meter.load_rates('price_list', as_of => '2026-03-10');
	CREATE TABLE sale (account text, at date, amount numeric);
	INSERT INTO sale VALUES ('acme', '2026-01-10', 5);
	SELECT meter.attach_revenue('sale', 'sale', 'account', 'amount', 'at', currency => 'EUR');
	INSERT INTO meter.revenue (customer_id, revenue_date, amount, currency) VALUES ('acme', '2026-01-31', 49, 'USD');
	INSERT INTO meter.fx_rate VALUES ('USD', 'EUR', '2026-01-30', 0.9);
	INSERT INTO meter.shared_cost (period, layer, amount, currency, basis) VALUES ('[2026-01-01,2026-02-01)', 'storage', 10, 'EUR', 'customers');
	INSERT INTO meter.provider_bill (provider, period, amount, currency) VALUES ('p', '[2026-01-01,2026-02-01)', 1, 'EUR');
	INSERT INTO meter.cost_budget (budget, period, amount, currency) VALUES ('2026', '[2026-01-01,2027-01-01)', 100, 'EUR');
	UPDATE meter.pricing_threshold SET threshold = 5 WHERE signal = 'cost_spread';
});
my $margin = 'SELECT customer_id, month, revenue, shared_cost, gross_margin FROM meter.customer_margin';
is(query($margin), 'acme|2026-01-01|49.1|10|39.1', 'a margin is made of all of it');
my $used = everything('postgres');

# A parallel restore fills the tables in any order.
query('CREATE DATABASE parallel');
$node->command_ok([ 'pg_dump', '-Fd', '-f', "$node->{_basedir}/used.dir", $node->connstr('postgres') ], 'pg_dump to a directory');
$node->command_ok([ 'pg_restore', '-j', '4', '-d', $node->connstr('parallel'), "$node->{_basedir}/used.dir" ], 'and its restore by four jobs');
is(everything('parallel'), $used, 'nothing is lost in a parallel restore');
is(query($margin, 'parallel'), query($margin), 'and the margin is the same');
query('CREATE DATABASE restored');
$node->command_ok([ 'pg_dump', '-f', "$node->{_basedir}/used.sql", $node->connstr('postgres') ],
	'pg_dump of a catalogue in use');
$node->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', "$node->{_basedir}/used.sql", $node->connstr('restored') ],
	'and its restore');
is(everything('restored'), $used, 'a catalogue in use is the same after dump and restore');
is( query(
		q{SELECT string_agg(outcome || ' ' || rates, ', ') FROM meter.load_rates('price_list', as_of => '2026-03-11')},
		'restored'),
	'unchanged 100, added 0, changed 0, closed 0',
	'and the same price list has nothing to add to it');
query(q{INSERT INTO meter.rate (item, unit, price) VALUES ('mine/rerank', 'requests', 1)}, 'restored');
pass('a new rate gets a number of its own');

# The second of two loads at the same time waits for the first, and sees what it did.
my $first = $node->background_psql('postgres');
$first->query_safe(q{BEGIN; UPDATE price_list SET list_price = list_price::numeric + 1;
	SELECT count(*) FROM meter.load_rates('price_list', as_of => '2026-03-20')});
my $second = $node->background_psql('postgres');
$second->query_until(qr/asked/, q{
	\echo asked
	SELECT string_agg(outcome || ' ' || rates, ', ') FROM meter.load_rates('price_list', as_of => '2026-03-20');
});
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'meter.rate'::regclass AND NOT granted})
  or die 'the second load does not wait';
pass('the second of two loads waits');
is(query('SELECT count(*) FROM meter.rate WHERE listed IS NOT NULL'), '100', 'readers do not');
$first->query_safe('COMMIT');
$first->quit;
my $answer = $second->query_safe('SELECT 1');
$second->quit;
like($answer, qr/1/, 'the second load ends');
is(query('SELECT count(*), count(*) FILTER (WHERE upper_inf(valid)) FROM meter.rate WHERE listed IS NOT NULL'),
	'200|100', 'two loads of one list are as good as one');

done_testing();
