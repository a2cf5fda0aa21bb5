#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Services of the node and real programs that are connected to them without
# knowing it: syslog of both kinds, munge; those that refuse a checkpoint, by
# name; and --peers reset.
set -u
if [ "${SERVICES_T_INSIDE:-}" = "" ] && [ "$(id -u)" = 0 ]; then
	# Services of the node are made up: their paths are ours alone.
	exec unshare -m env SERVICES_T_INSIDE=yes sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"
cd "$tmp" || exit 1
mkdir dev && mount -t tmpfs none dev || exit 1
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev/
mkdir dev/pts dev/shm
mount --bind /dev/pts dev/pts && mount --bind /dev/shm dev/shm || exit 1
ln -s pts/ptmx dev/ptmx && ln -s /proc/self/fd dev/fd
mount --move dev /dev && mount -t tmpfs none /run || exit 1
mkdir -p /run/systemd/journal /run/dbus /run/munge
chmod 0755 /run/munge
python=/usr/bin/python3

cat >service.py <<'PYTHON'
# service.py TYPE PATH: writes what it gets, a line for each.
import os, select, socket, sys
kind, path = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, getattr(socket, "SOCK_" + kind))
s.bind(path)
os.chmod(path, 0o666)
if kind == "STREAM":
    s.listen()
print("up", flush=True)
ends = [s]
while True:
    for c in select.select(ends, [], [])[0]:
        if kind == "STREAM" and c is s:
            ends.append(s.accept()[0])
            continue
        data = c.recv(1000)
        if data:
            print(data, flush=True)
        else:
            ends.remove(c)
PYTHON

service() { # output TYPE PATH
	rm -f "$1" "$3"
	$python service.py "$2" "$3" >"$1" 2>&1 &
	pid=$!
	wait_for 10 grep -q up "$1"
}

end_service() {
	kill "$pid"
	wait "$pid" 2>/dev/null
}

save() {
	jobcr checkpoint "$job" --kill >out 2>&1
	is "$?" 0 "$1"
	jobcr wait "$job" >/dev/null 2>&1
}

# Two messages, one on either side of a restore.
cat >log.py <<'PYTHON'
import os, syslog, time
syslog.openlog("job", 0, syslog.LOG_USER)
syslog.syslog("before")
while not os.path.exists("go"):
    time.sleep(0.01)
syslog.syslog("after")
PYTHON
cat >log.sh <<'SH'
{
	echo before
	while [ ! -e go ]; do
		sleep 0.01
	done
	echo after
} | logger --tag job
SH

logs() { # TYPE COMMAND...
	kind=$1
	shift
	for there in yes no; do
		rm -f go
		service log.txt "$kind" /dev/log
		job=$(jobcr run --detach --output out.txt -- "$@")
		wait_for 10 grep -q before log.txt
		save "$1 with a $kind syslog is saved"
		end_service
		rm -f /dev/log
		[ $there = no ] || service new.txt "$kind" /dev/log
		jobcr restore "$job" --detach >out 2>&1
		is "$?" 0 "and restored (is there a syslog? $there)"
		[ $there = yes ] || service new.txt "$kind" /dev/log
		: >go
		jobcr wait "$job" >/dev/null
		wait_for 5 grep -q after new.txt
		result $? "its next message is had by the new one"
		is "$(grep -c before new.txt)" 0 "and no other"
		end_service
	done
}
for kind in DGRAM STREAM; do
	logs $kind $python log.py
	logs $kind sh log.sh
done

# munge(1) has asked; who should answer is gone.
cat >relay.py <<'PYTHON'
# relay.py FROM TO: the first question is never answered.
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
s.listen()
print("up", flush=True)
first = None
while True:
    c = s.accept()[0]
    question = c.recv(100000)
    print("asked", flush=True)
    if not first:
        first = c
        continue
    t = socket.socket(socket.AF_UNIX)
    t.connect(sys.argv[2])
    t.sendall(question)
    while answer := t.recv(100000):
        c.sendall(answer)
    c.close()
PYTHON
head -c 1024 /dev/urandom >key
chmod 0400 key
mkdir munged
munged --force --foreground --key-file="$tmp/key" \
	--socket="$tmp/munged/socket" --pid-file="$tmp/munged/pid" \
	--log-file="$tmp/munged/log" --seed-file="$tmp/munged/seed" \
	--num-threads=1 >/dev/null 2>&1 &
munged=$!
wait_for 10 test -S munged/socket
$python relay.py /run/munge/munge.socket.2 "$tmp/munged/socket" >relay.txt &
relay=$!
wait_for 10 grep -q up relay.txt
job=$(jobcr run --detach --output cred.txt -- munge -n)
wait_for 10 grep -q asked relay.txt
save "munge(1) that waits for an answer is saved"
jobcr restore "$job" --detach >out 2>&1
is "$?" 0 "and restored"
jobcr wait "$job" >/dev/null
is "$?" 0 "it asks again"
unmunge --socket="$tmp/munged/socket" -n <cred.txt >out 2>&1
is "$?" 0 "and gets a credential"
kill $relay $munged
wait $relay $munged 2>/dev/null

# What cannot be had again.
cat >client.py <<'PYTHON'
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1].replace("@", "\0"))
print("up", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
try:
    print(s.recv(100), s.recv(100), s.getpeername(), flush=True)
    s.send(b"again")
    print("sent", flush=True)
except OSError as e:
    print(type(e).__name__, flush=True)
PYTHON

# A service that says something at once, and no more.
cat >hello.py <<'PYTHON'
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1].replace("@", "\0"))
s.listen()
print("up", flush=True)
while True:
    c = s.accept()[0]
    c.send(b"hello")
    while not os.path.exists("go"):
        time.sleep(0.01)
    c.close()
PYTHON

client() { # PATH [OPTION...]
	at=$1
	shift
	rm -f go client.txt
	job=$(jobcr run "$@" --detach --output client.txt -- \
		$python client.py "$at")
	wait_for 10 grep -q up client.txt
}

hello() { # PATH
	rm -f hello.txt
	$python hello.py "$1" >hello.txt &
	pid=$!
	wait_for 10 grep -q up hello.txt
}

refused() { # PATH NAME PATTERN
	hello "$1"
	client "$1"
	jobcr check "$job" 2>err
	is "$?" 3 "$2 is refused"
	matches "$(cat err)" "*$3*" "with its remedy"
	: >go
	jobcr wait "$job" >/dev/null
	is "$(grep -c "^b'hello'" client.txt)" 1 "the job goes on"
	end_service
}
refused /run/dbus/system_bus_socket D-Bus "D-Bus*--peers reset"
refused /run/systemd/journal/stdout "an output of the journal" "write to a file"
refused "@/tmp/.X11-unix/X4711" "a display" "without a display"
refused /run/other "any other service" "inside the job, or have it closed"

# --peers reset: closed, with what had arrived.
for path in /run/dbus/system_bus_socket "@/tmp/jobcr-$$"; do
	rm -f /run/dbus/system_bus_socket
	hello "$path"
	client "$path" --peers reset
	jobcr checkpoint "$job" >out 2>&1
	is "$?" 0 "a job that has asked for it (--peers reset) is saved"
	save "once more, and ends"
	jobcr restore "$job" --detach >out 2>&1
	is "$?" 0 "and restored, while that service is there"
	: >go
	jobcr wait "$job" >/dev/null
	case $path in
	@*) name="" ;;
	*) name=$path ;;
	esac
	is "$(tail -n 2 client.txt)" "b'hello' b'' $name
BrokenPipeError" "it reads what had arrived, and then the end"
	end_service
done

# The same of one that was accepted from outside.
cat >server.py <<'PYTHON'
import os, socket, time
s = socket.socket(socket.AF_UNIX)
s.bind(os.path.abspath("door"))
s.listen()
print("up", flush=True)
c = s.accept()[0]
print("in", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
print(c.recv(100), c.recv(100), flush=True)
t = socket.socket(socket.AF_UNIX)
t.connect("door")
t.send(b"own")
print(s.accept()[0].recv(3), flush=True)
PYTHON
rm -f go
job=$(jobcr run --peers reset --detach --output server.txt -- \
	$python server.py)
wait_for 10 grep -q up server.txt
$python -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect("door")
s.send(b"words")
print("up", flush=True)
try:
    s.recv(1)
except ConnectionResetError:
    pass' >caller.txt &
caller=$!
wait_for 10 grep -q in server.txt
wait_for 10 grep -q up caller.txt
save "a job that has accepted a stranger's connection is saved, too"
wait $caller
jobcr restore "$job" --detach >out 2>&1
is "$?" 0 "and restored"
: >go
jobcr wait "$job" >/dev/null
is "$(tail -n 2 server.txt)" "b'words' b''
b'own'" "with what it had got, and it serves on"
finish
