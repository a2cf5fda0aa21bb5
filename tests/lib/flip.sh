# SPDX-License-Identifier: GPL-2.0-or-later
# flip FILE [BYTE]: the lowest bit of it; of the one in the middle.
flip() {
	_at=${2:-$(($(stat -c %s "$1") / 2))}
	_byte=$(od -An -tu1 -j "$_at" -N 1 "$1")
	# shellcheck disable=SC2059 # an octal escape
	printf "\\$(printf %03o $((_byte ^ 1)))" |
		dd of="$1" bs=1 seek="$_at" conv=notrunc 2>/dev/null
}
