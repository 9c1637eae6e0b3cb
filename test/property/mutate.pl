#!/usr/bin/perl
# Mutated literals and mutated binary values of every type: each is a value that the probes
# find sound, or an error of class 22, and the server stays up. Ends with status 1 otherwise.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Wire;

my $seed = $ENV{SEED} // 1;
my $count = $ENV{MUTATIONS} // 20000;
srand $seed;

my $wire = Wire->new;
my $started = $wire->query('SELECT pg_postmaster_start_time()')->[0][0];

# Pieces that parsers have opinions on.
my @words = (
    qw(0 -0 1 -1 +1 .5 5. 1e5 1E-12 1e400 -1e400 NaN Infinity -Infinity 0x10 007 1_000 null true false at graduated: volume:
        above plus free discount maximum minimum no fee zero per started full up to ; % : { } [ ] " \\ \\u0000 \\u0041 \\ud800
        170141183460469231731687303.715884105727 170141183460469231731687303.715884105728
        -170141183460469231731687303.715884105728 0.0000000000001 0.000000000001 1000000000000000000000000000000
        99999999999999999999999999999999999999999999 infinity -infinity epoch 294277-01-01 4714-01-01BC 24:00:00 23:59:60
        input_tokens cache_read_tokens requests actions Input_tokens _x x1 item unit price per valid variant context_from
        daily_from daily_until precedence 2147483648 -2147483649 9223372036854775808 standard quantity
        lots cuts absorbing through burned id amount pool priority effective_at expires_at created_at rollover_max rollover_until paid from
        events usage cost action outcome request_class unpriced_cost unpriced_credits 9223372036854775807 -9223372036854775808
        credits 2026-01-01T05:00:00Z 2026-01-02),
    '', ' ', "\t", "\n", '""', '{"":1}', '{"a":{}}', '{"a":[1]}', '"a":', ',', '[,)', '(,]', 'empty', "\xc3\xa9", "\xe2\x82\xac", 'a' x 64, 'x' x 2000,
    '9' x 500, '(' x 50, '["2026-01-01","2025-01-01")', 'Europe/Berlin');

sub mutate_text {
    my ($text) = @_;
    for (0 .. int rand 3) {
        my $n = length $text;
        my $at = int rand($n + 1);
        my $long = 1 + int rand(rand() < 0.7 ? 3 : 20);
        my $kind = int rand 7;
        if ($kind == 0) { substr($text, $at, $long) = '' if $at < $n }
        elsif ($kind == 1) { substr($text, $at, 0) = $words[rand @words] }
        elsif ($kind == 2) { substr($text, $at, 1) = chr(1 + int rand 127) if $at < $n }
        elsif ($kind == 3) { substr($text, int rand($n + 1), 0) = substr $text, $at, $long if $at < $n }
        elsif ($kind == 4) {
            # a token for another
            my @tokens = split /(\W+)/, $text;
            $tokens[rand @tokens] = $words[rand @words] if @tokens;
            $text = join '', map { $_ // '' } @tokens;
        }
        elsif ($kind == 5) { $text = substr $text, 0, $at if rand() < 0.3 }
        else { my $word = $words[rand @words]; $text =~ s/\d+(\.\d+)?/rand() < 0.4 ? $word : $&/eg }
    }
    # what is not UTF-8 would be refused by the server before it is parsed
    my $copy = $text;
    utf8::decode($copy) or $text =~ s/[\x80-\xff]+/?/g;
    $text =~ s/\0/0/g;
    return $text;
}

my @numbers = (0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff);

sub mutate_binary {
    my ($bytes, $other) = @_;
    for (0 .. int rand 3) {
        my $n = length $bytes;
        my $at = int rand($n + 1);
        my $kind = int rand 9;
        if ($kind == 0) { substr($bytes, $at, 1) = chr int rand 256 if $at < $n }
        elsif ($kind == 1) { substr($bytes, $at, 1) ^= chr(1 << int rand 8) if $at < $n }
        elsif ($kind == 2) { $bytes = substr $bytes, 0, $at }
        elsif ($kind == 3) { $bytes .= join '', map { chr int rand 256 } 0 .. int rand 20 }
        elsif ($kind == 4) { substr($bytes, $at, 4) = pack 'N', $numbers[rand @numbers] if $at + 4 <= $n }
        elsif ($kind == 5) { substr($bytes, $at, 8) = pack 'NN', $numbers[rand @numbers], $numbers[rand @numbers] if $at + 8 <= $n }
        elsif ($kind == 6) { substr($bytes, $at, 1 + int rand 8) = '' if $at < $n }
        elsif ($kind == 7) { substr($bytes, int rand($n + 1), 0) = substr $bytes, $at, 1 + int rand 24 if $at < $n }
        else { my $m = int rand(1 + length $other); substr($bytes, $at) = substr $other, $m if $at < $n }
    }
    return $bytes;
}

my (%wrong, %accepted, %refused);
my $bad = 0;

sub check {
    my ($type, $form, $value, $answer) = @_;
    if (!defined $answer->{state}) { $accepted{$type}{$form}++ }
    elsif ($answer->{state} =~ /^22/) { $refused{$type}{$form}++ }
    else {
        $bad++;
        my $shown = $form eq 'b' ? unpack('H*', $value) : $value;
        printf "FAILED %s %s: %s %s: %s\n", $type, $form eq 'b' ? 'binary' : 'text', $answer->{state}, $answer->{message},
            length $shown > 400 ? substr($shown, 0, 400) . '...' : $shown
            if $wrong{"$type$form$answer->{state}"}++ < 3;
    }
}

for my $type (map { $_->[0] } @{ $wire->query('SELECT DISTINCT type FROM prop.sample ORDER BY 1') }) {
    my @literals = map { $_->[0] } @{ $wire->query('SELECT literal FROM prop.sample WHERE type = $1 ORDER BY n', 0, $type) };
    $wire->prepare('probe', "SELECT prop.probe(\$1::$type)");
    $wire->prepare('send', "SELECT \$1::$type");
    $wire->prepare('print', "SELECT (\$1::$type)::text");
    my @binaries;

    # every sample is sound, and recv(send(x)) = x
    for my $literal (@literals) {
        check($type, 't', $literal, $wire->execute('probe', [ [ 't', $literal ] ]));
        my $sent = $wire->execute('send', [ [ 't', $literal ] ], 1)->{rows}[0][0];
        my $again = $wire->execute('print', [ [ 'b', $sent ] ])->{rows}[0][0];
        my $resent = $wire->execute('send', [ [ 'b', $sent ] ], 1)->{rows}[0][0];
        check($type, 'b', $sent, { state => 'PR001', message => 'recv(send(x)) is not x' })
            unless defined $again && $again eq $literal && $resent eq $sent;
        push @binaries, $sent;
    }

    # what no mutation finds
    for my $literal ('[' x 100_000, '{"a":' x 100_000, '(' x 100_000, '1' x 100_000, '"' . 'x' x 1_000_000, ' ' x 100_000,
        '[' . '{},' x 10_000 . '{}]', 'graduated: ' . join('', map { "up to $_ at 1; " } 1 .. 1200) . 'above at 1') {
        check($type, 't', $literal, $wire->execute('probe', [ [ 't', $literal ] ]));
    }
    check($type, 'b', '', $wire->execute('probe', [ [ 'b', '' ] ]));

    for (1 .. $count) {
        my $text = mutate_text($literals[rand @literals]);
        check($type, 't', $text, $wire->execute('probe', [ [ 't', $text ] ]));
        my $bytes = mutate_binary($binaries[rand @binaries], $binaries[rand @binaries]);
        check($type, 'b', $bytes, $wire->execute('probe', [ [ 'b', $bytes ] ]));
    }
    for my $form ('t', 'b') {
        printf "mutated %s of %s: %d accepted and sound, %d refused\n", $form eq 'b' ? 'binary values' : 'literals', $type,
            $accepted{$type}{$form} // 0, $refused{$type}{$form} // 0;
    }
}

if ($wire->query('SELECT pg_postmaster_start_time()')->[0][0] ne $started) {
    print "FAILED: the server started again\n";
    $bad++;
}
print "FAILED: $bad mutated values were neither sound nor refused with class 22 (SEED=$seed)\n" if $bad;
exit($bad ? 1 : 0);
