# The extension through the life of a server: dump and restore, a standby, a crash, and its removal.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', $ENV{METER_CONF});
$primary->start;

sub query
{
	my ($node, $sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', "SET client_min_messages = warning;\n$sql");
}

query($primary, 'CREATE EXTENSION meter CASCADE');
my $members = q{
	SELECT count(*), md5(string_agg(pg_describe_object(classid, objid, 0), ',' ORDER BY 1))
	FROM pg_depend
	WHERE refclassid = 'pg_extension'::regclass
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'meter')
	AND deptype = 'e'};
my $installed = query($primary, $members);

# Dropping leaves nothing, and the way back is open.
query($primary, 'DROP EXTENSION meter');
is(query($primary, q{SELECT count(*) FROM pg_namespace WHERE nspname = 'meter'}),
	'0', 'DROP EXTENSION takes schema meter along');
query($primary, 'CREATE EXTENSION meter');
is(query($primary, $members), $installed, 'CREATE EXTENSION after DROP makes the same objects');

done_testing();
