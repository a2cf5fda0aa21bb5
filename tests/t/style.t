#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Sizes at which a file has to be redesigned, and marks nobody may leave.
set -u
cd "${top_srcdir:-.}" || exit 1
n=0
fail=0
result() { # findings message
	n=$((n + 1))
	if [ -n "$1" ]; then
		fail=1
		echo "not ok $n - $2"
		echo "$1" | sed 's/^/# /'
	else
		echo "ok $n - $2"
	fi
}
ours() {
	find parasite src images storage slurm-plugin tests \
		-name "$1" ! -name '*.pb-c.*' | sort
}

result "$(ours '*.c' | xargs wc -l | awk '$2 != "total" && $1 > 800')" \
	"no .c file has more than 800 lines"
result "$(for f in $(ours '*.[chS]'); do
	head -n 2 "$f" | grep -q 'SPDX-License-Identifier:' || echo "$f"
done)" "every source names its licence first"
result "$(for f in $(ours '*.c'); do
	c=$(grep -c '^#include "' "$f")
	[ "$c" -le 12 ] || echo "$f includes $c of our headers"
done)" "no source includes more than 12 of our headers"
mark='TO''DO|FIX''ME|X''XX|HA''CK'
result "$(grep -rnE "\\b($mark)\\b" --include='*.[chS]' --include='*.mk' \
	--include='*.sh' --include='*.t' --include='*.proto' \
	parasite src images storage slurm-plugin tests)" \
	"nothing is left as a note in the code"
result "$(grep -L '^#define JOBCR_' $(ours '*.h'))" \
	"every header has a guard that begins with JOBCR_"
if command -v ctags >/dev/null 2>&1 &&
	ctags --version 2>/dev/null | grep -q Universal; then
	result "$(ours '*.c' | grep -v '^tests/' |
		xargs ctags -x --c-kinds=f --fields=+ne \
			--_xformat='%{end} %{line} %N %F' 2>/dev/null |
		awk '$1 - $2 > 80 { print $4 ":" $2, $3, $1 - $2 + 1, "lines" }')" \
		"no function has more than 80 lines"
else
	n=$((n + 1))
	echo "ok $n # SKIP universal-ctags is not installed"
fi
echo "1..$n"
exit $fail
