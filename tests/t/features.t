#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# jobcr features says something of every resource that there is, and whatever
# it says is saved has a victim that proves it.
set -u
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
n=0
bad=0

ok() {
	n=$((n + 1))
	if [ "$1" = "$2" ]; then
		echo "ok $n - $3"
	else
		bad=1
		echo "not ok $n - $3"
		printf '%s\n' "$1" | sed 's/^/# is: /'
	fi
}

table=$("$top_builddir/jobcr" features)
missing=$(sed -n '/^const struct resource_ops/,/^}/s/^	\.name = "\(.*\)",/\1/p' \
	"$top_srcdir"/src/resource/*.c | sort -u | while read -r name; do
	printf '%s\n' "$table" | grep -q "^$name  *\(saved\|refused\) " ||
		echo "$name"
done)
ok "$missing" "" "all are in the table"

# proof RESOURCE: the test that leads it through a restore, as local.mk names
# it: a victim with the name of its source, or what takes more than a victim.
proof() {
	case $1 in
	tty | terminal) echo t/terminal.t ;;
	directory) echo t/local_files.t ;;
	*)
		source=$(grep -l "^	\.name = \"$1\"," \
			"$top_srcdir"/src/resource/*.c)
		echo "victims/$(basename "$source" .c).victim"
		;;
	esac
}
unproved=$(printf '%s\n' "$table" | sed -n 's/^\([^ ].*[^ ]\)  *saved .*/\1/p' |
	while read -r name; do
		grep -Eq "^(VICTIMS|T_TESTS) \+= %D%/$(proof "$name")\$" \
			"$top_srcdir/tests/local.mk" ||
			echo "$name: no $(proof "$name")"
	done)
ok "$unproved" "" "whatever is saved has a victim"
ok "$(printf '%s\n' "$table" | awk 'length > 79')" "" "it fits into 79 columns"
ok "$(printf '%s\n' "$table" | grep -c '^Landlock *refused *domains$')" 1 \
	"Landlock domains are refused"
if command -v python3 >/dev/null; then
	names=$("$top_builddir/jobcr" features --json | python3 -c '
import json, sys
print(len([r for r in json.load(sys.stdin) if "saved" in r or "refused" in r]))')
	ok "$names" "$(printf '%s\n' "$table" | grep -c '^[^ ]')" \
		"as JSON it is as long"
fi
"$top_builddir/jobcr" features now >/dev/null 2>&1
ok $? 2 "an argument is wrong use"
echo "1..$n"
exit $bad
