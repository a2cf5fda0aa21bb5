#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# --peers reset: TCP connections to others do not keep a job from being saved;
# it goes on with them where it is, and sees them reset where it is restored.
# In a network of its own.
set -u
. "${top_srcdir:-.}/tests/lib/network.sh"
. "${top_srcdir:-.}/tests/lib/jobs.sh"

cat >peer.py <<'PY'
import socket, sys, threading
# Says something; then answers each byte, but not on every other connection.
s = socket.create_server((sys.argv[1], 0), family=int(sys.argv[2]))
print(s.getsockname()[1], flush=True)
kept = []

def answer(c):
    try:
        while b := c.recv(1):
            c.sendall(b)
        print("end", flush=True)
    except ConnectionResetError:
        print("reset", flush=True)

while True:
    c, _ = s.accept()
    c.sendall(b"unread")
    if len(kept) % 2 == 0:
        threading.Thread(target=answer, args=(c,), daemon=True).start()
    kept.append(c)
PY
cat >client.py <<'PY'
import os, select, socket, sys, time
at = sys.argv[1], int(sys.argv[2])

def wait_for(name):
    print("before", name, flush=True)
    while not os.path.exists(name):
        time.sleep(0.02)

def is_reset(s, first):
    got = s.recv(len(first), socket.MSG_WAITALL) if first else b""
    if got != first:
        return "%r is there" % got
    try:
        return "%r comes" % s.recv(1)
    except ConnectionResetError:
        pass
    if s.recv(1) != b"":
        return "no end"
    try:
        s.send(b"x")
        return "sends"
    except BrokenPipeError:
        pass
    try:
        return "peer %s" % (s.getpeername(),)
    except OSError:
        return ""

plain = socket.create_connection(at)
full = socket.create_connection(at)
for s in plain, full:
    while len(s.recv(6, socket.MSG_PEEK)) < 6:
        pass
full.setblocking(False)
try:
    while full.send(b"z" * 10000):
        pass
except BlockingIOError:
    full.setblocking(True)
shut = socket.create_connection(at)
shut.shutdown(socket.SHUT_WR)
name = plain.getsockname()
poll = select.epoll()
poll.register(plain, select.EPOLLRDHUP | select.EPOLLET)
listener = socket.create_server(("", 0))
wait_for("first")
plain.sendall(b"y")
print("alive" if plain.recv(7, socket.MSG_WAITALL) == b"unready" else "dead",
      flush=True)
wait_for("second")
events = poll.poll(10)
print(events[0][1] & (select.EPOLLHUP | select.EPOLLERR) ==
      select.EPOLLHUP | select.EPOLLERR, flush=True)
print("plain", is_reset(plain, b""), flush=True)
print("full", is_reset(full, b"unread"), flush=True)
print("shut", is_reset(shut, b"unread"), flush=True)
print("address", plain.getsockname() == name, flush=True)
c = socket.create_connection(listener.getsockname())
a, _ = listener.accept()
c.send(b"x")
print("listener", a.recv(1) == b"x", flush=True)
again = socket.create_connection(at)
again.recv(6, socket.MSG_WAITALL)
wait_for("third")
print("again", is_reset(again, b""), flush=True)
PY

# reached NAME: it waits for that file.
reached() {
	wait_for 20 grep -q "^before $1\$" out.txt
}

trial() {
	name=$1
	rm -f first second third out.txt peer.txt
	python3 peer.py "$2" "$3" >peer.txt &
	peer=$!
	wait_for 10 test -s peer.txt
	port=$(head -1 peer.txt)
	job=$(jobcr run --peers reset --detach --output out.txt -- \
		python3 client.py "$2" "$port")
	reached first
	jobcr check "$job" >/dev/null 2>err
	is "$?" 0 "$name: nothing is in the way"
	jobcr checkpoint "$job" --leave-running >/dev/null 2>err
	is "$?" 0 "$name: saved" || sed 's/^/# /' err
	: >first
	reached second
	is "$(grep -c alive out.txt)" 1 "the job goes on with its connections"
	jobcr checkpoint "$job" --kill >/dev/null 2>err
	is "$?" 0 "saved to end it"
	wait_for 10 grep -q . peer.txt
	is "$(ss -tanH state established)" "" "nothing is left of them"
	jobcr restore "$job" --detach >/dev/null 2>err
	is "$?" 0 "restored" || sed 's/^/# /' err
	: >second
	reached third
	is "$(sed '1,/before second/d; /before third/,$d' out.txt | tr '\n' :)" \
		"True:plain :full :shut :address True:listener True:" \
		"$name: once a reset, then their end, with what had come before"
	jobcr checkpoint "$job" --kill >/dev/null 2>err
	is "$?" 0 "saved again: it is still to be so"
	jobcr restore "$job" --detach >/dev/null 2>err
	is "$?" 0 "restored again"
	: >third
	jobcr wait "$job"
	is "$(tail -1 out.txt)" "again " "and that one is reset, too"
	kill $peer
	wait $peer 2>/dev/null
}
trial IPv4 127.0.0.1 2
trial IPv6 ::1 10

jobcr run --peers keep --detach -- true >/dev/null 2>err
result $((! $?)) "--peers keep: there is no such policy"
matches "$(cat err)" '*peers "keep": refuse or reset*' "which is said"
finish
