#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Somebody outside writes into a fifo of the job's at the very moment at which
# the checkpoint looks whether anybody has: the job gets every byte.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"
command -v strace >/dev/null || {
	echo "1..0 # SKIP strace is not installed"
	exit 0
}

job=$(jobcr run --detach --output o.txt -- python3 -c 'import os, time
os.mkfifo("fifo")
fd = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
print("open", flush=True)
while not os.path.exists("go"):
	time.sleep(0.01)
print(os.read(fd, 100).decode(), flush=True)
time.sleep(1000)')
wait_for 10 has_lines o.txt 1
result $? "a job reads a fifo"
steps checkpoint "$job"
step_to dump
worker=$(worker_of $asker)
# What looks into the fifo is held back for a second.
strace -f -qq -e signal=none -p "$worker" -P "$tmp/fifo" -e trace=read,readv,tee,splice \
	-e inject=read,readv,tee,splice:delay_enter=1s -o trace 9>&- &
tracer=$!
wait_for 10 grep -q "TracerPid:.$tracer" /proc/"$worker"/status
result $? "it is saved slowly"
echo >&9
# Not where strace comes: at a call with the fifo.
held() {
	for _task in /proc/"$worker"/task/*; do
		grep -q 't (tracing stop)' "$_task/status" || continue
		read -r _ _fd _ <"$_task/syscall"
		[ "$(readlink "$_task/fd/$((_fd))")" != "$tmp/fifo" ] || return 0
	done
	return 1
}
wait_for 10 held
result $? "until it looks into the fifo"
python3 -c 'import os
fd = os.open("fifo", os.O_WRONLY | os.O_NONBLOCK)
os.write(fd, b"abcd")'
result $? "somebody writes into it meanwhile"
while kill -0 $asker 2>/dev/null && echo >&9; do
	sleep 0.05
done 2>/dev/null
exec 9>&-
wait $asker
saved=$?
cp err log
result $saved "it is saved"
wait $tracer
cp trace log
grep -q DELAYED trace
result $? "which had looked into the fifo"
: >go
wait_for 10 has_lines o.txt 2
is "$(tail -n 1 o.txt)" abcd "the job has all of it"
finish
