# What tests that kill processes of a server share.
package Restart;
use strict;
use warnings;
use IPC::Run;
use Exporter 'import';
our @EXPORT = qw(wait_for_server);

# Waits until a server that lost a process takes queries again. The query is no standard input: one that is
# written to a psql which was refused ends the test with a broken pipe.
sub wait_for_server
{
	my ($node, $database) = @_;
	# not before it has noticed
	select(undef, undef, undef, 0.2);
	for (1 .. 1800)
	{
		return if IPC::Run::run([ 'psql', '-Xqc', 'SELECT 1', '-d', $node->connstr($database) ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
		select(undef, undef, undef, 0.1);
	}
	die 'the server does not come back';
}

1;
