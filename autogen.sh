#!/bin/sh
# Make ./configure from a fresh checkout.
set -e
cd "$(dirname "$0")"
for tool in autoreconf libtoolize pkg-config; do
	command -v "$tool" >/dev/null || {
		echo "autogen.sh: $tool is missing; on Debian:" \
			"apt-get install autoconf automake libtool pkg-config" >&2
		exit 1
	}
done
mkdir -p build-aux
exec autoreconf --install --force --warnings=all,no-portability
