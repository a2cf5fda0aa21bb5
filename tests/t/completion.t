#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion knows every command and option that the program knows, and ids.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"
case $top_srcdir in
/*) ;;
*) top_srcdir=$OLDPWD/$top_srcdir ;;
esac
command -v bash >/dev/null || {
	echo "1..0 # SKIP no bash"
	exit 0
}

# complete WORDS...: what is offered for the last of them.
complete() {
	PATH=$top_builddir:$PATH bash -c '
		. "$0"
		COMP_WORDS=("$@")
		COMP_CWORD=$(($# - 1))
		compopt() { :; }
		_jobcr
		printf "%s\n" "${COMPREPLY[@]}"' \
		"$top_srcdir/src/cli/completion.bash" jobcr "$@" | sort |
		tr '\n' ' '
}

is "$(complete che)" "check checkpoint " "commands"
is "$(complete --conf)" "--config " "general options"
is "$(complete --node n1 status --)" "--json --watch " \
	"options of a command, behind general ones"
is "$(complete delete --generation '')" " " "nothing where a number is wanted"
job=$(jobcr run --detach -- sleep 1000)
matches "$(complete checkpoint --kill '')" "*$job*" "ids of jobs"
missing=
for word in $(jobcr --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sort -u); do
	[ "$(complete "$word" | tr ' ' '\n' | grep -cx "$word")" = 1 ] ||
		missing="$missing $word"
done
is "$missing" "" "every command of the help is offered"
missing=$(jobcr --help | grep -E '^  [a-z]' |
	while read -r word rest; do
		for option in $(echo "$rest" | grep -oE -e '--[a-z-]+[a-z]'); do
			complete "$word" "$option" | grep -q -e "$option " ||
				echo "$word $option"
		done
	done)
is "$missing" "" "and every option of it"
finish
