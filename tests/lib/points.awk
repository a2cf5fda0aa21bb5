# SPDX-License-Identifier: GPL-2.0-or-later
# The TAP of several programs, one after the other, as that of one.
/^(not )?ok / {
	n++
	if ($1 == "not") {
		bad = 1
		$3 = n
	} else {
		$2 = n
	}
	print
	next
}

/^1\.\./ {
	next
}

{
	print
}

END {
	print "1.." n
	exit bad
}
