#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# ripgrep, a Rust program: many threads search a tree of files.
set -eu
mkdir tree
i=0
while [ $i -lt 12 ]; do
	i=$((i + 1))
	seq $((i * 100000)) $((i * 100000 + 99999)) | rev >tree/$i
done
for pattern in '(\d)\d*7\d7$' '^[1-4]+[05-9]{3,}' '([0-9]{2}).*(12|34|56)$'; do
	rg -j 4 --no-messages -i "$pattern" tree | sort | sha256sum
	rg -j 4 --mmap -c "$pattern" tree | sort
done >result
rm -r tree
