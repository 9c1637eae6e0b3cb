#!/usr/bin/perl
# Takes the states of every aggregate out in binary and hands them back, to be combined.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Wire;

my $wire = Wire->new;
for my $row (@{ $wire->query('SELECT n, states, type FROM prop.aggregate_of ORDER BY n') }) {
    my ($n, $states, $type) = @$row;
    for my $group (@{ $wire->query("SELECT g::text, array_agg(state ORDER BY chunk) FROM ($states) AS s GROUP BY g", 1) }) {
        my ($g, $binary) = @$group;
        $wire->query("INSERT INTO prop.result_of SELECT $n, 'states through binary', \$1::integer,
            prop.combined_$n(s)::text FROM unnest(\$2::$type\[]) AS s", 0, $g, [ 'b', $binary ]);
    }
}
