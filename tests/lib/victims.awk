# SPDX-License-Identifier: GPL-2.0-or-later
# From the logs of victims: a table of victims by modes.  A cell is the worst
# that happened there as any user; all of them skipped: skip.

function rank(what)
{
	return index("skip    refused pass    FAIL", what)
}

function note(victim, mode, what)
{
	if (!(victim in row)) {
		row[victim] = ++rows
		name[rows] = victim
	}
	if (!(mode in column)) {
		column[mode] = ++columns
		title[columns] = mode
	}
	if (!((victim, mode) in cell) || rank(what) > rank(cell[victim, mode]))
		cell[victim, mode] = what
}

# [not] ok N - VICTIM as USER, MODE: TEXT
/^(not )?ok [0-9]+ (- |# SKIP )[a-z_]+([.]victim)? as (root|user), [a-z]+: / {
	skipped = / # SKIP /
	refusal = /: refused, and unharmed/
	good = $1 == "ok"
	sub(/^(not )?ok [0-9]+ (- |# SKIP )/, "")
	victim = $1
	kind = $0
	sub(/^[^:]*: /, "", kind)
	mode = $4
	sub(/:$/, "", mode)
	sub(/\.victim$/, "", victim)
	if (refusal) {
		sub(/:.*/, "", kind)
		victim = victim " " kind
	}
	what = skipped ? "skip" : refusal ? "refused" : "pass"
	note(victim, mode, good ? what : "FAIL")
}

END {
	if (!rows)
		exit
	printf "\n%-30s", "VICTIM"
	for (c = 1; c <= columns; c++)
		printf " %-7s", title[c]
	print ""
	for (r = 1; r <= rows; r++) {
		printf "%-30s", name[r]
		for (c = 1; c <= columns; c++) {
			seen = (name[r], title[c]) in cell
			printf " %-7s", seen ? cell[name[r], title[c]] : "-"
		}
		print ""
	}
	print ""
}
