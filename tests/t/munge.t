#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Requests between nodes: two jobcrd with a munged each, on the loopback of a
# network namespace of their own.
set -u
command -v munged >/dev/null || {
	echo "1..0 # SKIP needs munged (Debian: munge)"
	exit 0
}
. "${top_srcdir:-.}/tests/lib/network.sh"
. "${top_srcdir:-.}/tests/lib/jobs.sh"

munges=
start_munged() { # name key
	mkdir -p "munge-$1"
	chmod 0755 "munge-$1"
	munged --force --foreground --key-file="$2" \
		--socket="$tmp/munge-$1/socket" \
		--pid-file="$tmp/munge-$1/pid" \
		--log-file="$tmp/munge-$1/log" \
		--seed-file="$tmp/munge-$1/seed" --num-threads=1 \
		>/dev/null 2>&1 &
	munges="$munges $!"
	wait_for 10 test -S "munge-$1/socket"
}
node_conf() { # name port munge
	cat >"$1.conf" <<CONF
StoreDir = "$tmp/store"
RunDir = "$tmp/run-$1"
NodeName = "$1"
Port = $2
MungeSocket = "$tmp/munge-$3/socket"
CONF
}
daemons=
start_node() { # name
	"$top_builddir/jobcrd" --config "$tmp/$1.conf" >"$1.log" 2>&1 &
	daemons="$daemons $!"
	wait_for 10 test -S "run-$1/jobcrd.sock"
}
leave() {
	for pid in $daemons $munges; do
		kill "$pid" 2>/dev/null
	done
	for node in one two; do
		JOBCR_CONF=$tmp/$node.conf
		export JOBCR_CONF
		for job in $(jobcr list 2>/dev/null |
			awk 'NR > 1 && $3 == "running" { print $1 }'); do
			jobcr kill "$job" KILL
		done
	done
	rm -rf "$tmp"
}
trap leave EXIT

dd if=/dev/urandom of=key bs=1 count=128 2>/dev/null
dd if=/dev/urandom of=other bs=1 count=128 2>/dev/null
chmod 0400 key other
start_munged one "$tmp/key" && start_munged two "$tmp/key" &&
	start_munged alien "$tmp/other"
result $? "three munged run"
node_conf one 7371 one
node_conf two 7372 two
node_conf at-two 7372 one
node_conf alien 7372 alien
start_node one
start_node two
result $? "two jobcrd listen"

alice=52001
bob=52002
on() { # uid conf arguments...
	_uid=$1
	_conf=$2
	shift 2
	as "$_uid" env JOBCR_CONF="$tmp/$_conf.conf" "$top_builddir/jobcr" \
		--host 127.0.0.1 "$@"
}
mkdir a
chown $alice a
job=$(cd a && as $alice env JOBCR_CONF="$tmp/two.conf" "$top_builddir/jobcr" \
	run --detach --output o.txt -- sh -c "$(count_on 200)")
wait_for 10 has_lines a/o.txt 10

matches "$(on $alice at-two --node two list)" "*$job*running*" \
	"a user sees their job on another node"
[ "$(on $bob at-two --node two list | wc -l)" = 1 ]
result $? "another user does not"
on $bob at-two --node two checkpoint "$job" 2>err
is "$?" 6 "and may not checkpoint it: 6"
on $alice at-two --node two checkpoint "$job" --kill >out 2>err
is "$?" 0 "its owner may"
on $alice at-two --node two wait "$job" 2>err
is "$?" 75 "wait works between nodes"
on $alice at-two --node two restore "$job" --detach >out 2>err
is "$?" 6 "but a job is restored on its own node: 6"
matches "$(cat err)" "*on node two itself*" "which is said"
cp -r "$tmp/store/local/$job/0000000001" a/dir
chown -R $alice a/dir
on $alice at-two --node two restore --dir "$tmp/a/dir" --detach >out 2>err
is "$?" 6 "from a directory, too"
as $alice env JOBCR_CONF="$tmp/two.conf" "$top_builddir/jobcr" \
	restore "$job" --detach >out
is "$?" 0 "there its owner may"
: >a/go
on $alice at-two --node two wait "$job"
is "$?" 6 "and the job ends as it would"
whole a/o.txt "$(cat a/end)"
result $? "with its output whole"

on $alice at-two --node three list >out 2>err
is "$?" 6 "a request for another node is refused"
matches "$(cat err)" "*node three*" "by name"
on $alice alien --node two list >out 2>err
matches "$?" "[167]" "a credential of another key is worth nothing"
matches "$(cat two.log)" "*warning*munge*" "and is logged"
on $alice alien --node two wait "$job" 2>err
is "$?" 7 "who waits with one does not do so for ever"
matches "$(cat err)" "*hangs up*see its log*" "and is told where to look"
on $alice at-two --node two run -- id >out 2>err
is "$?" 2 "jobs are started on their own node"
printf 'GET / HTTP/1.0\r\n\r\n' | timeout 5 python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", 7372))
s.sendall(sys.stdin.buffer.read())
s.settimeout(4)
try:
	print(len(s.recv(10)))
except ConnectionResetError:
	print(0)' >out
is "$(cat out)" 0 "what is no request of jobcr is hung up on"
matches "$(on $alice at-two --node two list)" "*JOBID*" "jobcrd goes on"

# Somebody who asks much, or slowly, keeps nobody else waiting.
jobs=
for i in 1 2 3; do
	jobs="$jobs $(as $alice env JOBCR_CONF="$tmp/two.conf" \
		"$top_builddir/jobcr" run --detach -- sleep 300)"
done
waiting=
for job in $jobs; do
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do
		on $alice at-two --node two wait "$job" 2>>waits &
		waiting="$waiting $!"
	done
done
many_wait() {
	[ "$(ss -Htn state established sport = :7372 | wc -l)" -ge 64 ]
}
wait_for 30 many_wait
result $? "64 requests of one user wait for the ends of jobs"
matches "$(on $bob at-two --node two list 2>&1)" "*JOBID*" \
	"another user is answered all the same"
wait_for 10 grep -q "too many requests of uid $alice" waits
result $? "more than that are turned away, and told why"
for job in $jobs; do
	as $alice env JOBCR_CONF="$tmp/two.conf" "$top_builddir/jobcr" kill \
		"$job" KILL
done
for pid in $waiting; do
	wait "$pid"
done
# Whoever only connects, again and again, keeps nobody else from being heard.
cat >hog.py <<'PY'
import select, socket, sys, time
end = time.time() + 12
held = []
words = sys.argv[1].encode()
print("holds", flush=True)
while time.time() < end:
    while len(held) < 200:
        s = socket.create_connection(("127.0.0.1", 7372))
        s.sendall(words)
        held.append(s)
    for s in select.select(held, [], [], 0.02)[0]:
        held.remove(s)
        s.close()
PY
heard() { # uid
	_n=0
	for i in 1 2 3 4 5 6 7 8; do
		on "$1" at-two --node two list >out 2>>log && _n=$((_n + 1))
	done
	echo $_n
}
for words in "" jc; do
	: >log
	setpriv --reuid $bob --regid $bob --clear-groups \
		/usr/bin/python3 hog.py "$words" >hog.out 2>log &
	hog=$!
	wait_for 5 grep -q holds hog.out
	result $? "somebody connects, again and again"
	sleep 1
	is "$(heard 0)" 8 "root is heard beside 200 connections ($words)"
	[ -n "$words" ] ||
		is "$(heard $alice)" 8 "and a user, beside those that are silent"
	kill $hog
	wait $hog 2>/dev/null
done
: >log
python3 -c 'import socket, struct, time
s = socket.create_connection(("127.0.0.1", 7372))
s.sendall(struct.pack("<IHHI", 0x6a636672, 1, 6, 60000))
s.settimeout(1)
begin = time.monotonic()
while time.monotonic() - begin < 30:
    try:
        s.sendall(b"a")
        if not s.recv(1):
            break
    except TimeoutError:
        continue
    except OSError:
        break
print(time.monotonic() - begin < 20)' >out
is "$(cat out)" True "who does not come to an end is hung up on"

# The same credential twice: taken from the wire, sent again.
python3 - "$tmp" "$top_builddir" <<'PY' >out
import os, socket, subprocess, sys, threading
tmp, top = sys.argv[1:]
listener = socket.create_server(("127.0.0.1", 7373))
seen = bytearray()
def relay():
    a, _ = listener.accept()
    b = socket.create_connection(("127.0.0.1", 7372))
    def copy(src, dst, keep):
        while True:
            d = src.recv(65536)
            if not d:
                break
            if keep:
                seen.extend(d)
            dst.sendall(d)
        try:
            dst.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    t = threading.Thread(target=copy, args=(b, a, False))
    t.start()
    copy(a, b, True)
    t.join()
    a.close()
t = threading.Thread(target=relay, daemon=True)
t.start()
conf = open(tmp + "/at-two.conf").read().replace("7372", "7373")
open(tmp + "/relay.conf", "w").write(conf)
env = dict(os.environ, JOBCR_CONF=tmp + "/relay.conf")
r = subprocess.run([top + "/jobcr", "--host", "127.0.0.1", "--node", "two",
                    "list"], env=env, capture_output=True, timeout=20)
t.join(5)
s = socket.create_connection(("127.0.0.1", 7372))
s.sendall(bytes(seen))
s.settimeout(10)
body = b""
while True:
    try:
        d = s.recv(65536)
    except ConnectionResetError:
        break
    if not d:
        break
    body += d
print(r.returncode, len(seen) > 100, len(body))
PY
is "$(cat out)" "0 True 0" "a replayed credential gets no answer"
finish
