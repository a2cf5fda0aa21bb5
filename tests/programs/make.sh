#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# make.sh [SOURCE BUILD]: make with its jobserver, compilers and assemblers:
# hundreds of processes, each of which lives for a moment.  Of a tree that is
# made up here, or of a part of ours, which configure has prepared.
if [ $# -eq 2 ]; then
	cp -r "$1/src/util" "$1/src/kernel" "$2/config.h" . || exit 1
	cat >Makefile <<'M'
PARTS = $(patsubst %.c,%.o,$(wildcard util/*.c kernel/*.c))
tree.a: $(PARTS)
	@ar rcD $@ $^
%.o: %.c
	@gcc -std=gnu11 -D_GNU_SOURCE -DHAVE_CONFIG_H -I. -O2 -c -o $@ $<
M
	exec make -s -j4
fi
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	{
		echo '#include <stdio.h>'
		echo '#include <stdlib.h>'
		for k in 1 2 3 4 5 6 7 8 9 10 11 12; do
			echo "int f${i}_$k(int n) { int s = $k; while (n-- > 0)"
			echo "	s = s * 31 + n % $i; return s; }"
		done
	} >"part$i.c"
	echo "int f${i}_1(int), f${i}_12(int);" >>parts.h
	echo "	show(f${i}_1(9) ^ f${i}_12(99));" >>calls.h
done
cat >main.c <<'C'
#include <stdio.h>
#include "parts.h"
static void show(int n)
{
	printf("%d\n", n);
}
int main(void)
{
#include "calls.h"
	return 0;
}
C
cat >Makefile <<'M'
PARTS = $(patsubst %.c,%.o,$(wildcard part*.c))
program: main.o $(PARTS)
	@gcc -o $@ $^
%.o: %.c
	@gcc -O2 -c -o $@ $<
M
make -s -j4 && ./program | cksum
rm -f ./*.o program
