#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# TCP to others is refused by name; addresses that are not to be had at a
# restore are named, and then nothing is left.  In a network of its own.
set -u
. "${top_srcdir:-.}/tests/lib/network.sh"
. "${top_srcdir:-.}/tests/lib/jobs.sh"

cat >peer.py <<'PY'
import socket, sys
# Answers each byte; tells its port.
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    while True:
        b = c.recv(1)
        if not b:
            break
        c.sendall(b)
    c.close()
PY
cat >client.py <<'PY'
import os, socket, sys, time
c = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("connected", flush=True)
while not os.path.exists("go"):
    time.sleep(0.02)
c.sendall(b"x")
print("alive" if c.recv(1) == b"x" else "dead", flush=True)
PY
cat >server.py <<'PY'
import os, socket, sys, time
s = socket.create_server((sys.argv[1], int(sys.argv[2])))
c = socket.create_connection(s.getsockname())
a, _ = s.accept()
c.sendall(b"within")
print(s.getsockname()[1], flush=True)
while not os.path.exists("go"):
    time.sleep(0.02)
print(a.recv(6).decode(), flush=True)
PY

# Whom the job speaks to is outside.
python3 peer.py >port &
peer=$!
wait_for 10 test -s port
port=$(cat port)
job=$(jobcr run --detach --output out.txt -- python3 client.py "$port")
wait_for 10 grep -q connected out.txt
jobcr check "$job" 2>err
is "$?" 3 "a connection to a process outside the job: refused, 3"
matches "$(cat err)" \
	"*connected to 127.0.0.1 port $port of process $peer, outside*" \
	"which names the other side"
jobcr checkpoint "$job" --kill >/dev/null 2>err
is "$?" 3 "so is a checkpoint"
: >go
jobcr wait "$job"
is "$?" 0 "the job goes on"
matches "$(cat out.txt)" "*alive" "and so does its connection"
rm go
kill $peer

# Who speaks to the job is outside.
job=$(jobcr run --detach --output served.txt -- python3 server.py 127.0.0.1 0)
wait_for 10 has_lines served.txt 1
port=$(head -1 served.txt)
python3 -c 'import socket, sys, time
c = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
time.sleep(1000)' "$port" >knock &
knock=$!
wait_for 10 grep -q up knock
jobcr checkpoint "$job" --kill >/dev/null 2>err
is "$?" 3 "somebody waits to be accepted: refused, 3"
matches "$(cat err)" "*nobody has accepted*" "by name"
kill $knock
wait $knock 2>/dev/null
jobcr checkpoint "$job" --kill >/dev/null 2>err
is "$?" 3 "also when they have left"
: >go
jobcr wait "$job"
is "$(tail -1 served.txt)" within "the job goes on"
rm go

# So are datagrams that others have sent.
job=$(jobcr run --detach --output udp.txt -- python3 -c '
import os, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while not os.path.exists("go"):
    time.sleep(0.02)
print(s.recv(10).decode(), flush=True)')
wait_for 10 has_lines udp.txt 1
port=$(head -1 udp.txt)
python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"knock", ("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
time.sleep(1000)' "$port" >datagram &
knock=$!
wait_for 10 grep -q up datagram
jobcr checkpoint "$job" --kill >/dev/null 2>err
is "$?" 3 "a datagram from outside that was not read: refused, 3"
matches "$(cat err)" "*datagrams from 127.0.0.1 port *outside the job*" \
	"by name"
kill $knock
: >go
jobcr wait "$job"
is "$(tail -1 udp.txt)" knock "the job goes on and reads it"
rm go

# The port is taken.
job=$(jobcr run --detach --output taken.txt -- python3 server.py 127.0.0.1 0)
wait_for 10 has_lines taken.txt 1
port=$(head -1 taken.txt)
jobcr checkpoint "$job" --kill >/dev/null 2>err
is "$?" 0 "a job that speaks to itself is saved"
is "$(ss -tanH "sport = :$port")" "" "and leaves nothing at its port"
python3 -c 'import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
time.sleep(1000)' "$port" >taken &
taken=$!
wait_for 10 grep -q up taken
jobcr restore "$job" --detach >/dev/null 2>err
result $((! $?)) "its port is taken: not restored"
matches "$(cat err)" "*127.0.0.1 port $port*another program has it*in use*" "by name"
is "$(ss -tanH state established)" "" "no half of it is left"
kill $taken
wait $taken 2>/dev/null
jobcr restore "$job" --detach >/dev/null 2>err
is "$?" 0 "when it is free: restored"
: >go
jobcr wait "$job"
is "$(tail -1 taken.txt)" within "with its connection"
rm go

# An address of the node.
ip addr add 192.0.2.77/32 dev lo
job=$(jobcr run --detach --output address.txt -- python3 server.py 192.0.2.77 0)
wait_for 10 has_lines address.txt 1
jobcr checkpoint "$job" --kill >/dev/null 2>err
is "$?" 0 "at an address of the node: saved"
ip addr del 192.0.2.77/32 dev lo
jobcr restore "$job" --detach >/dev/null 2>err
result $((! $?)) "not restored where that address is not"
matches "$(cat err)" "*192.0.2.77 port*restore it where*annot assign*" "by name"
ip addr add 192.0.2.77/32 dev lo
jobcr restore "$job" --detach >/dev/null 2>err
is "$?" 0 "restored where it is"
: >go
jobcr wait "$job"
is "$(tail -1 address.txt)" within "with its connection"
# An empty datagram can be seen once: it is refused until the job has read it.
cat >empty.py <<'PY'
import os, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
for data in b"one", b"", b"three":
    s.sendto(data, s.getsockname())
print("up", flush=True)
for step in "go", "end":
    while not os.path.exists(step):
        time.sleep(0.01)
    s.setblocking(False)
    try:
        while True:
            print(step, s.recv(10), flush=True)
    except BlockingIOError:
        print(step, "nothing", flush=True)
PY
rm -f go end
job=$(jobcr run --detach --output empty.txt -- python3 empty.py)
wait_for 10 grep -q up empty.txt
jobcr checkpoint "$job" --kill >out 2>err
is "$?" 3 "an empty datagram among others is refused"
matches "$(cat err)" "*UDP socket with an empty datagram unread*" "by name"
jobcr checkpoint "$job" --kill >out 2>err
is "$?" 3 "also when it has been looked at before"
: >go
wait_for 10 grep -q nothing empty.txt
is "$(cat empty.txt)" "up
go b'one'
go b''
go b'three'
go nothing" "the job has lost nothing"
jobcr checkpoint "$job" --kill >out 2>&1
is "$?" 0 "it is saved when they are read"
jobcr restore "$job" --detach >out 2>&1
: >end
wait_for 10 grep -q 'end nothing' empty.txt
is "$?" 0 "and goes on"
jobcr wait "$job" >/dev/null 2>&1
finish
