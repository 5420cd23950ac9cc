#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Changes the code for tests/mutation/run, in one of two ways.
#
#   change.pl apply TREE TWIN...      makes the changes of hand-written files
#   change.pl check TREE TWIN...      says whether they could be made
#   change.pl sites SEED FILE...      lists the places of mechanical mutants, in
#                                     an order of chance: file, offset, length,
#                                     kind and new text, with tabs between
#   change.pl mutate FILE OFFSET LENGTH NEW
#   change.pl copy FROM TO            has TO's files as those of FROM that standard
#                                     input names, each ended by a NUL; those that
#                                     are the same keep their times
#
# A twin is a text: comments begin with #; "test NAME"; "file PATH" and after it
# one or more hunks, each begun by a line @@ and made of lines that begin with a
# space, - or +, as in a unified diff without numbers. What a hunk replaces must
# be in the file exactly once.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path);

sub read_all {
    my ($path) = @_;
    open(my $in, '<', $path) or die "$path: $!\n";
    local $/;
    my $text = <$in>;
    close($in);
    return $text;
}

sub write_all {
    my ($path, $text) = @_;
    open(my $out, '>', $path) or die "$path: $!\n";
    print {$out} $text;
    close($out) or die "$path: $!\n";
}

# --- Twins

# Returns the name of the test, and [file, before, after] for each hunk.
sub read_twin {
    my ($path) = @_;
    my ($test, $file, @hunks);
    for my $line (split /^/, read_all($path)) {
        if ($line =~ /^#/ || $line eq "\n") {
            next;
        } elsif ($line =~ /^test (\S+)$/) {
            $test = $1;
        } elsif ($line =~ /^file (\S+)$/) {
            $file = $1;
        } elsif ($line eq "@@\n" && defined $file) {
            push @hunks, [$file, '', ''];
        } elsif ($line =~ /^([ +-])(.*\n)$/ && @hunks) {
            $hunks[-1][1] .= $2 if $1 ne '+';
            $hunks[-1][2] .= $2 if $1 ne '-';
        } else {
            die "$path: what is this: $line";
        }
    }
    die "$path: has no test, or changes nothing\n" unless defined $test && @hunks;
    return ($test, @hunks);
}

sub change_by_twin {
    my ($tree, $path, $is_done) = @_;
    my ($test, @hunks) = read_twin($path);
    my %texts;
    for my $hunk (@hunks) {
        my ($file, $before, $after) = @$hunk;
        $texts{$file} //= read_all("$tree/$file");
        my $at = index($texts{$file}, $before);
        die "$path: $file has no such text:\n$before" if $at < 0;
        die "$path: $file has this text more than once:\n$before"
            if index($texts{$file}, $before, $at + 1) >= 0;
        substr($texts{$file}, $at, length $before) = $after;
    }
    if ($is_done) {
        write_all("$tree/$_", $texts{$_}) for keys %texts;
    }
    print "$test\n" if $is_done;
    my ($folder, $name) = $test =~ /^(\w+)\.(\w+)$/;
    my @owners = grep { -e $_ } map { "$tree/tests/$folder/$_" }
        ("test_$name.c", "$name.sh", "fuzz_$name.c");
    die "$path: there is no test $test\n" unless @owners;
}

# --- Mechanical mutants

# Comments, texts, assertions and directives, but not what #define defines, are
# blanked out, so that offsets stay.
sub blank_out {
    my ($text) = @_;
    my $blank = sub { my ($part) = @_; $part =~ s/[^\n]/ /g; return $part; };
    $text =~ s{(/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')}{$blank->($1)}gse;
    $text =~ s{^([ \t]*#[ \t]*define[ \t]+\w+(?:\([^)]*\))?)}{$blank->($1)}gme;
    $text =~ s{^([ \t]*#(?:\\\n|[^\n])*)}{$blank->($1)}gme;
    $text =~ s{(\b(?:static_)?assert\((?:[^;])*;)}{$blank->($1)}gse;
    return $text;
}

# Returns the offset just past the parenthesis that closes the one at $at.
sub past_parenthesis {
    my ($text, $at) = @_;
    my $depth = 0;
    for (; $at < length $text; $at++) {
        my $byte = substr($text, $at, 1);
        $depth++ if $byte eq '(';
        $depth-- if $byte eq ')';
        return $at + 1 if $depth == 0;
    }
    return $at;
}

my %other_of = ('==' => '!=', '!=' => '==', '<' => '<=', '<=' => '<', '>' => '>=',
                '>=' => '>', '&&' => '||', '||' => '&&');

# Calls that release, end or sync something. Memory that leaks is not among
# them: the address sanitizer looks for that.
my $ending = qr/\w*(?:sync|unlock|lock|release|close|leave|end_read|end_write|
                  end_turn|cut|truncate|unname|unlink|trim|wake|serve|note|
                  poison|install|discard|sleep|hold)\w*/x;

sub sites_of {
    my ($file) = @_;
    my $text = read_all($file);
    my $code = blank_out($text);
    my @sites;
    my $add = sub { push @sites, [$file, @_]; };
    while ($code =~ /\bif (?=\()/g) {
        my $at = pos $code;
        my $end = past_parenthesis($code, $at);
        $add->($at, $end - $at, 'negated', '(!' . substr($text, $at, $end - $at) . ')');
    }
    while ($code =~ /(?<=[ \n])(==|!=|<=|>=|<|>|&&|\|\|)(?=[ \n])/g) {
        $add->($-[1], length $1, 'operator', $other_of{$1});
    }
    while ($code =~ /( [+-] 1)(?![\w.])/g) {
        $add->($-[1], length $1, 'one dropped', '');
    }
    while ($code =~ /^[ ]+((?:\(void\)\s*)?$ending\([^;{}]*\);)/gm) {
        $add->($-[1], length $1, 'call dropped', ';');
    }
    while ($code =~ /\bstatus =\s+((?:kv_io_sync|kv_io_sync_data|kv_store_sync|kv_store_mend|kv_io_truncate)\w*\([^;{}]*\));/g) {
        $add->($-[1], length $1, 'call dropped', 'KVSTORE_OK');
    }
    while ($code =~ /(if \(status != KVSTORE_OK\) \{\s+return status;\s+\})/g) {
        $add->($-[1], length $1, 'status dropped', '');
    }
    while ($code =~ /(?<![\w.\[])(\d+)(u?)(?![\w.\]])/g) {
        my ($at, $number, $unsigned) = ($-[1], $1, $2);
        # What begins at zero is most often set before it is read.
        next if substr($code, 0, $at) =~ /= ?\z/ && $number == 0 &&
                substr($code, 0, $at) !~ /[=!<>]= ?\z/;
        next if substr($code, 0, $at) =~ /[{(,] ?\z/ && $number == 0;
        $add->($at, length($number) + length($unsigned), 'off by one',
               ($number + 1) . $unsigned);
    }
    return @sites;
}

# The same order for a seed with every version of perl.
sub shuffle {
    my ($seed, @list) = @_;
    my $state = $seed * 2654435761 % 4294967296 | 1;
    for (my $i = $#list; $i > 0; $i--) {
        for my $shift ([13, 1], [17, 0], [5, 1]) {
            $state ^= $shift->[1] ? $state << $shift->[0] & 0xffffffff
                                  : $state >> $shift->[0];
        }
        my $j = $state % ($i + 1);
        @list[$i, $j] = @list[$j, $i];
    }
    return @list;
}

# --- The copy

sub copy_files {
    my ($from, $to) = @_;
    local $/ = "\0";
    my @files = <STDIN>;
    chomp(@files);
    for my $file (grep { -f "$from/$_" } @files) {
        my $text = read_all("$from/$file");
        next if -e "$to/$file" && read_all("$to/$file") eq $text;
        make_path(dirname("$to/$file"));
        write_all("$to/$file", $text);
        chmod((stat("$from/$file"))[2] & 0777, "$to/$file");
    }
}

# --- Together

my ($command, @arguments) = @ARGV;
$command //= '';
if ($command eq 'apply' || $command eq 'check') {
    my ($tree, @twins) = @arguments;
    change_by_twin($tree, $_, $command eq 'apply') for @twins;
    print scalar(@twins) . " twins could be made\n" if $command eq 'check';
} elsif ($command eq 'sites') {
    my ($seed, @files) = @arguments;
    for my $site (shuffle($seed, map { sites_of($_) } sort @files)) {
        my @fields = @$site;
        $fields[-1] =~ s/\n/ /g;
        print join("\t", @fields) . "\n";
    }
} elsif ($command eq 'copy') {
    copy_files(@arguments);
} elsif ($command eq 'mutate') {
    my ($file, $offset, $length, $new) = @arguments;
    my $text = read_all($file);
    substr($text, $offset, $length) = $new;
    write_all($file, $text);
} else {
    die "usage: change.pl apply|check|sites|mutate ...\n";
}
