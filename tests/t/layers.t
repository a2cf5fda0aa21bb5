#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The folders are the architecture: a folder calls and includes only folders
# of lower rows, and no two files call each other in a ring.  Read from the
# symbols of every object file and from the include lines of every source.
set -u
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/rows" <<'EOF'
parasite 1
src/util 1
images 2
storage 2
src/kernel 2
src/wire 2
src/inject 3
src/model 3
src/repair 3
src/snapshot 3
src/conf 3
src/resource 4
src/engine 5
src/operation 5
src/daemon 6
src/worker 6
src/shim 6
src/cli 6
slurm-plugin 6
EOF

# Objects as "folder/file.o"; libtool's and renamed ones by their real name.
objects() {
	(cd "$top_builddir" && find parasite src images storage slurm-plugin \
		-name '*.o' 2>/dev/null) | sort
}

objects | while read -r o; do
	file=$(echo "$o" | sed 's,/\.libs/,/,; s,/[a-z_A-Z0-9]*-\([^/]*\)$,/\1,')
	nm "$top_builddir/$o" 2>/dev/null |
		awk -v f="$file" 'NF == 3 && $2 ~ /[TDBRCVW]/ { print "def", $3, f }
			NF == 2 && $1 == "U" { print "use", $2, f }'
done >"$tmp/symbols"

awk -v rows="$tmp/rows" '
	function folder(f) { sub(/\/[^\/]*$/, "", f); return f }
	BEGIN { while ((getline line < rows) > 0) {
		split(line, w, " "); row[w[1]] = w[2] } }
	$1 == "def" && $2 != "main" { def[$2] = $3 }
	$1 == "use" { use[++n] = $2 " " $3 }
	END {
		for (i = 1; i <= n; i++) {
			split(use[i], w, " ")
			if (!(w[1] in def) || def[w[1]] == w[2])
				continue
			a = folder(w[2]); b = folder(def[w[1]])
			if (!(a in row)) print "unlisted", a
			else if (a != b && row[b] >= row[a])
				print "upward", w[2], "calls", w[1], "of", def[w[1]]
			print "edge", w[2], def[w[1]]
		}
	}' "$tmp/symbols" | sort -u >"$tmp/out"

n=0
fail=0
result() { # pass-file-is-empty message
	n=$((n + 1))
	if [ -s "$1" ]; then
		fail=1
		echo "not ok $n - $2"
		sed 's/^/# /' "$1"
	else
		echo "ok $n - $2"
	fi
}

grep -E '^(upward|unlisted)' "$tmp/out" >"$tmp/upward"
result "$tmp/upward" "no object file calls a sibling folder or one above it"

grep '^edge' "$tmp/out" | cut -d' ' -f2,3 | tsort >/dev/null 2>"$tmp/ring"
result "$tmp/ring" "no files call each other in a ring"

(cd "$top_srcdir" && grep -rn '^#include "' --include='*.[ch]' \
	parasite src images storage slurm-plugin) |
	sed 's,^\([^:]*\):[0-9]*:#include "\(.*\)".*,\1 \2,' |
	awk -v rows="$tmp/rows" '
	function folder(f) { return f ~ /\// ? substr(f, 1, match(f, /\/[^\/]*$/) - 1) : "" }
	BEGIN { while ((getline line < rows) > 0) {
		split(line, w, " "); row[w[1]] = w[2] } }
	{
		a = folder($1); b = folder($2)
		if (b == "") next
		if (("src/" b) in row) b = "src/" b
		if (!(b in row)) print $1, "includes", $2, "of no listed folder"
		else if (a != b && row[b] >= row[a])
			print $1, "includes", $2
	}' >"$tmp/includes"
result "$tmp/includes" "no source includes a sibling folder or one above it"

if [ ! -s "$tmp/symbols" ]; then
	echo "no object files below $top_builddir" >"$tmp/none"
else
	: >"$tmp/none"
fi
result "$tmp/none" "object files were there to be read"
echo "1..$n"
exit $fail
