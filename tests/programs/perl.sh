#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# perl: a hash that grows, strings, a sort, and an alarm that must come.
exec perl -e '
	use strict;
	my (%count, $ticks);
	$SIG{ALRM} = sub { $ticks++; alarm 1 };
	alarm 1;
	my $x = 12345;
	for my $i (1 .. 1500000) {
		$x = ($x * 1103515245 + 12345) % 2147483648;
		$count{$x % 50021} .= chr(97 + $x % 26);
	}
	open my $out, ">", "result" or die;
	for my $k (sort { $a <=> $b } keys %count) {
		print $out "$k $count{$k}\n";
	}
	close $out or die;
	# It must not come when perl has put its handlers away.
	alarm 0;
	print "done\n";
'
