# The server's protocol, as much as is needed to hand it binary values that no client
# library would make: parse, bind with binary parameters, execute, and the SQLSTATE.
package Wire;
use strict;
use warnings;
use IO::Socket::UNIX;
use IO::Socket::INET;

sub new {
    my ($class) = @_;
    my $host = $ENV{PGHOST} // '/var/run/postgresql';
    my $port = $ENV{PGPORT} // 5432;
    my $socket =
        $host =~ m{^/}
        ? IO::Socket::UNIX->new(Peer => "$host/.s.PGSQL.$port")
        : IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port);
    die "no connection to $host:$port: $!\n" unless $socket;
    my $self = bless { socket => $socket, in => '' }, $class;
    my $startup = pack('N', 196608);
    $startup .= "$_\0" for user => $ENV{PGUSER} // 'postgres', database => $ENV{PGDATABASE},
        client_encoding => 'UTF8', TimeZone => 'UTC', options => '-c search_path=prop,pg_catalog,public';
    $startup .= "\0";
    $self->{out} = pack('N', 4 + length $startup) . $startup;
    my $answer = $self->sync_up;
    die "the server wants a password, which this test has none of\n" if $answer->{password};
    die "the server refused: $answer->{message}\n" if defined $answer->{state};
    return $self;
}

sub put {
    my ($self, $type, $body) = @_;
    $self->{out} .= $type . pack('N', 4 + length $body) . $body;
}

sub flush {
    my ($self) = @_;
    my $done = 0;
    while ($done < length $self->{out}) {
        my $n = syswrite $self->{socket}, $self->{out}, length($self->{out}) - $done, $done;
        die "the server is gone: $!\n" unless defined $n;
        $done += $n;
    }
    $self->{out} = '';
}

sub need {
    my ($self, $bytes) = @_;
    while (length $self->{in} < $bytes) {
        my $n = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
        die "the server is gone\n" unless $n;
    }
    return substr $self->{in}, 0, $bytes, '';
}

# Reads up to ReadyForQuery; returns rows, and the state and message of an error.
sub sync_up {
    my ($self) = @_;
    $self->flush;
    my %answer = (rows => []);
    while (1) {
        my ($type, $length) = unpack 'aN', $self->need(5);
        my $body = $self->need($length - 4);
        if ($type eq 'Z') { last }
        elsif ($type eq 'R') {
            if (unpack('N', $body) != 0) { $answer{password} = 1; last }
        }
        elsif ($type eq 'D') {
            my ($count, $rest) = unpack 'n a*', $body;
            my @row;
            for (1 .. $count) {
                my $bytes = unpack 'l>', substr $rest, 0, 4, '';
                push @row, $bytes < 0 ? undef : substr $rest, 0, $bytes, '';
            }
            push @{ $answer{rows} }, \@row;
        }
        elsif ($type eq 'E') {
            my %field = map { (substr($_, 0, 1) => substr $_, 1) } split /\0/, $body;
            $answer{state} //= $field{C};
            $answer{message} //= $field{M};
        }
    }
    return \%answer;
}

# Prepares a statement under a name.
sub prepare {
    my ($self, $name, $sql) = @_;
    $self->put('C', "S$name\0");
    $self->put('P', "$name\0$sql\0" . pack('n', 0));
    $self->put('S', '');
    my $answer = $self->sync_up;
    die "$sql: $answer->{message}\n" if defined $answer->{state};
}

# Runs a prepared statement; parameters are ['t' or 'b', bytes], results are text, or binary.
sub execute {
    my ($self, $name, $parameters, $binary) = @_;
    my $bind = "\0$name\0" . pack('n', scalar @$parameters);
    $bind .= pack 'n', $_->[0] eq 'b' ? 1 : 0 for @$parameters;
    $bind .= pack 'n', scalar @$parameters;
    $bind .= defined $_->[1] ? pack('N', length $_->[1]) . $_->[1] : pack 'l>', -1 for @$parameters;
    $bind .= pack 'nn', 1, $binary ? 1 : 0;
    $self->put('B', $bind);
    $self->put('E', "\0" . pack('N', 0));
    $self->put('S', '');
    return $self->sync_up;
}

# Runs one statement; dies where it fails.
sub query {
    my ($self, $sql, $binary, @parameters) = @_;
    $self->prepare('', $sql);
    my $answer = $self->execute('', [ map { ref $_ ? $_ : [ 't', $_ ] } @parameters ], $binary);
    die "$sql: $answer->{state} $answer->{message}\n" if defined $answer->{state};
    return $answer->{rows};
}

1;
