#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Pages that KSM has merged, to others or to the zero page.  KSM is the node's:
# it runs for this test, and is as it was afterwards.
set -u
cd "${top_builddir:-.}" || exit 1
ksm=/sys/kernel/mm/ksm
if [ "$(id -u)" != 0 ] || [ ! -w $ksm/use_zero_pages ]; then
	echo "1..0 # SKIP needs root, and a kernel with KSM"
	exit 0
fi
if [ "$(cat $ksm/run)" != 0 ]; then
	echo "1..0 # SKIP KSM is used by others"
	exit 0
fi
names="use_zero_pages sleep_millisecs pages_to_scan"
old=$(for i in $names; do cat $ksm/$i; done)
restore() {
	echo 0 >$ksm/run
	set -- $old
	for i in $names; do
		echo "$1" >$ksm/$i
		shift
	done
}
trap restore EXIT
trap 'exit 1' INT TERM
echo 20 >$ksm/sleep_millisecs
echo 5000 >$ksm/pages_to_scan
echo 1 >$ksm/run
for zero in 0 1; do
	echo $zero >$ksm/use_zero_pages
	tests/lib/roundtrip -m none -m plain -m pin tests/victims/merged.victim
done >merged.$$
awk -f "${top_srcdir:-.}/tests/lib/points.awk" merged.$$
bad=$?
rm -f merged.$$
exit $bad
