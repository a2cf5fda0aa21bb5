#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Core files from snapshots, read by a debugger.
set -u
cored=$(cd "${top_builddir:-.}" && pwd)/tests/programs/cored
. "${top_srcdir:-.}/tests/lib/jobs.sh"

command -v gdb >/dev/null || {
	echo "1..0 # SKIP needs gdb (see ./bootstrap packages)"
	exit 0
}
cp "$cored" "$tmp"

ask() { # core program command...
	_core=$1 _program=$2
	shift 2
	for _command in "$@"; do
		set -- "$@" -ex "$_command"
		shift
	done
	gdb -nx -q -batch -iex 'set debuginfod enabled off' "$@" \
		-c "$_core" "$_program" 2>&1
}

says() { # pattern message
	case $said in
	*$1*) result 0 "$2" ;;
	*)
		result 1 "$2"
		echo "$said" | sed 's/^/# /'
		;;
	esac
}

# The pids of the processes of a job's snapshot.
pids() {
	jobcr core "$job" 77 2>&1 | sed -n 's/.*there are \(.*\)/\1/p' | tr , ' '
}

job=$(jobcr run --detach --output out -- "$tmp/cored" first 'second word')
wait_for 20 grep -qx up out || echo "# it does not come up"
jobcr checkpoint --leave-running "$job" >/dev/null
result $? "a job is saved"
jobcr core "$job" -o c1 >told
result $? "of one process its core file is written"
matches "$(cat told)" "*3 threads*gdb -c c1 $tmp/cored" \
	"and what a debugger is to be called with"
is "$(stat -c %a c1)" 600 "nobody else may read it"
jobcr core "$job" -o c1 2>err
is "$?" 1 "a file that is there is not replaced"
matches "$(cat err)" '*--force*' "unasked"
jobcr core "$job" "$(pids)" -o c1 --force >told
result $? "asked it is"
is "$(($(du -k c1 | cut -f 1) < 32768))" 1 "memory without contents takes no room"

said=$(ask c1 cored 'info threads' 'p/x in_data' 'p in_bss[8192]' \
	'p in_bss[16]' 'x/s in_heap+500000' 'x/s in_shared+5*4096' \
	'x/s in_file+4096' 'x/4xb in_file' 'x/s in_sparse+(1<<30)')
says '0x1122334455667788' "gdb reads static memory"
says '= 42' "and zeros around it"
says 'in the heap' "the heap"
says 'in shared memory' "shared memory"
says 'in a touched page of a file' "a page of a file that was changed"
says '0x7f	0x45	0x4c	0x46' "and one of the file itself"
says 'in a sparse mapping' "a terabyte of which one page was touched"
says 'Thread' "three threads"
is "$(echo "$said" | grep -c '^[* ] [0-9] .*LWP')" 3 "three of them, by number"
says "first second word" "the command line"
said=$(ask c1 cored 'thread apply all bt')
says 'wait_here (' "functions of a sleeping thread"
says 'hold_registers' "and of one that runs"
says 'in main (' "down to the beginning"
said=$(ask c1 cored 'thread 3' 'up' 'p seen')
says '= 42' "and their variables"
said=$(ask c1 cored 'thread 2' 'p/x $r15' 'p $xmm7.v2_double' 'p $st0' \
	'info auxv' 'info proc mappings')
says '0xfedcba9876543210' "general registers"
says '{1.5, -2.25}' "vector registers"
says '3.14159265358979' "x87 registers"
says 'AT_ENTRY' "the auxiliary vector"
says "$tmp/cored" "files that were mapped"
vdso=$(echo "$said" | sed -n 's/.*AT_SYSINFO_EHDR.* \(0x[0-9a-f]*\)$/\1/p')
said=$(ask c1 cored "x/4xb $vdso")
says '0x7f	0x45	0x4c	0x46' "the vDSO"

jobcr core "$job" 77 2>err
is "$?" 4 "a process that is not there"
matches "$(cat err)" '*no process 77 in it; there are *' "others are named"
is "$(ls core.77 2>/dev/null)" "" "and nothing is left"
jobcr kill "$job" KILL

# Damage is noticed, and not handed to a debugger.
store=$(ls -d "$tmp"/store/*/"$job"/0*)
pages=$(ls "$store" | grep -m 1 pages)
printf x | dd of="$store/$pages" bs=1 seek=5000 conv=notrunc 2>/dev/null
jobcr core "$job" -o c2 2>err
is "$?" 5 "of a damaged snapshot there is none"
matches "$(cat err)" '*checksum*' "with the reason"
is "$(ls c2 2>/dev/null)" "" "and nothing is left of it"

# Of several processes one must be named.
job=$(jobcr run --detach --output out2 -- sh -c 'sleep 1000 & echo $$ $!; wait')
wait_for 20 grep -q . out2
read -r first second <out2
jobcr checkpoint --leave-running "$job" >/dev/null
jobcr core "$job" 2>err
is "$?" 4 "of several processes one must be named"
matches "$(cat err)" "*which process? there are $first, $second*" \
	"and all of them are"
jobcr core "$job" "$second" >told
result $? "the second"
matches "$(cat told)" "core.$second: process $second (sleep), 1 thread,*" \
	"its file is named after it"
said=$(ask "core.$second" "$(command -v sleep)" bt)
says 'nanosleep' "it sleeps"
jobcr kill "$job" KILL

# What a child shares with its parent is in the file of either.
job=$(jobcr run --detach --output out3 -- "$tmp/cored" twins)
wait_for 20 grep -qx up out3 && wait_for 20 grep -qx born out3
jobcr checkpoint --leave-running "$job" >/dev/null
parent=
for pid in $(pids); do
	parent=${parent:-$pid}
	jobcr core "$job" "$pid" -o "twin$pid" >/dev/null
	result $? "a core file of process $pid"
	said=$(ask "twin$pid" cored 'x/s in_heap+500000' 'x/s in_heap+8*4096' \
		'x/s in_shared+5*4096' 'x/s in_file+4096' 'p/x in_data')
	says 'in the heap' "has what both have"
	says 'in a touched page of a file' "also of a file"
	says '0x1122334455667788' "and in static memory"
	[ "$pid" = "$parent" ] && twin="'h' <repeats" || twin='of the child'
	says "$twin" "and what is its own"
done
jobcr kill "$job" KILL
finish
