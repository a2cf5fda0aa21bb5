#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# jobcr-images(5) from its text, the limits' header and the schema.
set -eu
srcdir=$1
awk=${AWK:-awk}

# Values as C writes them: 4u << 20, 1ull << 32, 0x7fffffffu
limits=$(sed -n 's/^#define \([A-Z_]*\)  *\([^/]*[^ /]\).*/\1 \2/p' \
	"$srcdir/images/limits.h" | while read -r name value; do
	value=$(echo "$value" | sed 's/[ul]*\([ )]\)/\1/g; s/[ul]*$//')
	case $value in
	*[0-9]*) echo "s/@$name@/$(($value))/" ;;
	esac
done)

sed "s/@VERSION@/$VERSION/; $limits" "$srcdir/man/jobcr-images.5.in" |
	while IFS= read -r line; do
		case $line in
		@RECORDS@)
			for p in manifest part task mm files process signal \
				thread ipc net unix; do
				"$awk" -f "$srcdir/man/records.awk" \
					"$srcdir/images/$p.proto"
			done
			;;
		*)
			printf '%s\n' "$line"
			;;
		esac
	done
