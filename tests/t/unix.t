#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Unix sockets and the rest of the node: whom a job is connected to, services
# that are not of the job, and what is at the path of a name meanwhile.
set -u
if [ "${UNIX_T_INSIDE:-}" = "" ] && [ "$(id -u)" = 0 ]; then
	# Services of the node are made up: their paths are ours alone.
	exec unshare -m env UNIX_T_INSIDE=yes sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"
mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/nscd || exit 1
cd "$tmp" || exit 1
python=/usr/bin/python3

cat >service.py <<'PYTHON'
# service.py TYPE PATH: writes what it gets; of streams, answers it.
import socket, sys, threading
kind, path = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, getattr(socket, "SOCK_" + kind))
s.bind(path)
if kind == "STREAM":
    s.listen()
print("up", flush=True)

def serve(c):
    # The C library itself asks name services: it is hung up on, at once.
    try:
        while (data := c.recv(100)) and data.isalpha():
            print(data.decode(), flush=True)
            if kind == "STREAM":
                c.send(data)
    except OSError:
        pass
    if kind == "STREAM":
        c.close()

while True:
    if kind == "DGRAM":
        serve(s)
    else:
        threading.Thread(target=serve, args=[s.accept()[0]],
                         daemon=True).start()
PYTHON

service() { # output TYPE PATH
	# What an earlier one has said counts no more.
	rm -f "$1"
	$python service.py "$2" "$3" >"$1" 2>&1 &
	pid=$!
	wait_for 10 grep -q up "$1"
}

end_service() {
	kill "$pid"
	wait "$pid" 2>/dev/null
}

# A job that is connected, and says what comes of a message on "go".
cat >client.py <<'PYTHON'
import os, socket, sys, time
kind, path = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, getattr(socket, "SOCK_" + kind))
s.connect(path)
s.send(b"hello")
if kind == "STREAM":
    s.recv(100)
print("up", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
try:
    s.send(b"again")
    print("sent")
except OSError as e:
    print(type(e).__name__)
PYTHON

client() { # output TYPE PATH
	rm -f go "$1"
	job=$(jobcr run --detach --output "$1" -- $python client.py "$2" "$3")
	wait_for 10 grep -q up "$1"
}

save() {
	jobcr checkpoint "$job" --kill >out 2>&1
	is "$?" 0 "$1"
	jobcr wait "$job" >/dev/null 2>&1
}

# restored MESSAGE: it goes on, and ends.
restored() {
	jobcr restore "$job" --detach >out 2>&1
	is "$?" 0 "$1"
	: >go
	jobcr wait "$job"
}

# Somebody else's server.
service server.txt STREAM "$tmp/server"
client client.txt STREAM "$tmp/server"
jobcr check "$job" 2>err
is "$?" 3 "who is connected to another process is refused"
matches "$(cat err)" "*connected to one at $tmp/server of process $pid (python3)*" \
	"which is named, with its path"
jobcr checkpoint "$job" --kill >/dev/null 2>&1
is "$?" 3 "a checkpoint too"
: >go
jobcr wait "$job"
is "$(tail -n 1 client.txt)" sent "the job goes on"
wait_for 5 grep -q again server.txt
result $? "and is connected still"
end_service

# syslog: connected again.
service log.txt DGRAM /run/systemd/journal/dev-log
client client.txt DGRAM /run/systemd/journal/dev-log
save "a job with syslog(3) open is saved"
end_service
rm /run/systemd/journal/dev-log
service log.txt DGRAM /run/systemd/journal/dev-log
restored "and restored"
is "$(tail -n 1 client.txt)" sent "it logs"
wait_for 5 grep -q again log.txt
result $? "to the syslog that is here now"
end_service
rm /run/systemd/journal/dev-log
service log.txt DGRAM /run/systemd/journal/dev-log
client client.txt DGRAM /run/systemd/journal/dev-log
save "once more"
end_service
rm /run/systemd/journal/dev-log
restored "where there is none it is restored too"
matches "$(tail -n 1 client.txt)" "*Error" "and told so when it logs"

# Name services: closed, as by a restart of theirs.
service nscd.txt STREAM /run/nscd/socket
client client.txt STREAM /run/nscd/socket
save "a job with a connection to nscd is saved"
restored "and restored"
is "$(tail -n 1 client.txt)" BrokenPipeError "the connection is closed"
end_service

# What is at the path of a socket of the job.
cat >listener.py <<'PYTHON'
import os, socket, time
s = socket.socket(socket.AF_UNIX)
s.bind(os.path.abspath("name"))
s.listen()
print("up", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
c = socket.socket(socket.AF_UNIX)
c.connect("name")
c.send(b"mine")
print(s.accept()[0].recv(10).decode())
PYTHON
rm -f go
job=$(jobcr run --detach --output listener.txt -- $python listener.py)
wait_for 10 grep -q up listener.txt
save "a job that listens is saved"
rm name
service other.txt STREAM "$tmp/name"
jobcr restore "$job" --detach >out 2>err
is "$?" 1 "it is not restored where another has its path"
matches "$(cat err out)" "*$tmp/name*is another's*" "which is named"
$python -c 'import socket; s = socket.socket(socket.AF_UNIX)
s.connect("name"); s.send(b"alive"); s.recv(5)'
result $? "that one is still there"
end_service
rm name
echo precious >name
jobcr restore "$job" --detach >out 2>err
is "$?" 1 "nor where a file is"
is "$(cat name)" precious "which stays"
rm name
restored "where nothing is, it is restored"
is "$(tail -n 1 listener.txt)" mine "and listens there"

rm -f go name
job=$(jobcr run --detach --output listener.txt -- $python listener.py)
wait_for 10 grep -q up listener.txt
save "and one of which a file is left"
restored "is restored"
is "$(tail -n 1 listener.txt)" mine "and listens there"

# Its directory was on another node.
sed 's/"name"/"sub\/dir\/name"/' listener.py >deeper.py
mkdir -p sub/dir
rm -f go
job=$(jobcr run --detach --output listener.txt -- $python deeper.py)
wait_for 10 grep -q up listener.txt
save "and one in a directory"
rm -r sub
restored "that is not there any more"
is "$(tail -n 1 listener.txt)" mine "has it again"
is "$(stat -c %a sub)" 700 "for its user"

# A packet that is empty can be seen once.
"$top_builddir/tests/lib/roundtrip" -m plain \
	"$top_builddir/tests/victims/unix.victim" empty >empty.txt
is "$(grep -c '^ok' empty.txt)" 2 "an empty packet is saved"

# So is one to a socket with a name, whose sender is gone; but a second time
# nobody can see it: that is refused, until the job has read it.
cat >named.py <<'PYTHON'
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(os.path.abspath("named"))
for data in b"one", b"", b"three":
    c = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    c.connect("named")
    c.send(data)
    c.close()
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
PYTHON
rm -f go end
job=$(jobcr run --detach --output named.txt -- $python named.py)
wait_for 10 grep -q up named.txt
jobcr checkpoint "$job" >out 2>&1
is "$?" 0 "an empty datagram to a name is saved"
jobcr checkpoint "$job" >out 2>err
is "$?" 3 "a second time it is refused"
matches "$(cat err)" "*[0-9] *3 *python3 *an empty packet was sent*read it first*" \
	"by name"
jobcr checkpoint "$job" --kill >out 2>&1
is "$?" 3 "and again"
: >go
wait_for 10 grep -q nothing named.txt
is "$(cat named.txt)" "up
go b'one'
go b''
go b'three'
go nothing" "the job has read all"
save "then it is saved"
: >end
jobcr restore "$job" --detach >out 2>&1
is "$?" 0 "and restored"
jobcr wait "$job"
is "$(tail -n 1 named.txt)" "end nothing" "with nothing left"
rm -f go end named
job=$(jobcr run --detach --output named.txt -- $python named.py)
wait_for 10 grep -q up named.txt
save "once more"
jobcr restore "$job" --detach >out 2>&1
is "$?" 0 "with all three"
jobcr checkpoint "$job" >out 2>&1
is "$?" 0 "which the restored job has as new"
: >go
wait_for 10 grep -q "go nothing" named.txt
is "$(cat named.txt)" "up
go b'one'
go b''
go b'three'
go nothing" "and reads"
: >end
jobcr wait "$job"

# Its directory has moved: names of files, of accepted connections and of
# senders that are gone, and where relative ones begin.
mkdir was
cat >moved.py <<'PYTHON'
import os, socket, time
top = os.getcwd()
os.chdir(top + "/was")
def name(kind, path):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(path)
    return s
door = name(socket.SOCK_STREAM, top + "/was/door")
door.listen()
client = socket.socket(socket.AF_UNIX)
client.connect(top + "/was/door")
inside = door.accept()[0]
waiting = socket.socket(socket.AF_UNIX)
waiting.connect(top + "/was/door")
box = name(socket.SOCK_DGRAM, "box")
sender = name(socket.SOCK_DGRAM, top + "/was/sender")
sender.sendto(b"letter", "box")
sender.close()
print("up", flush=True)
while not os.path.exists(top + "/go"):
    time.sleep(0.01)
def short(address):
    return address.replace(top + "/", "")
print(short(door.getsockname()), short(inside.getsockname()),
      short(client.getpeername()), box.getsockname())
print(box.recvfrom(10)[0], door.accept()[0] is not None)
print(short(os.getcwd()))
for path in (short(door.getsockname()), top + "/now/box"):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM
                      if path.endswith("door") else socket.SOCK_DGRAM)
    s.connect(os.path.join(top, path))
    print("reached")
PYTHON
rm -f go
job=$(jobcr run --detach --output moved.txt -- $python moved.py)
wait_for 10 grep -q up moved.txt
save "a job with names in a directory"
mv was now
long=$tmp/$(printf '%090d' 0)
jobcr restore "$job" --detach --map "$tmp/was=$long" >out 2>err
is "$?" 1 "it is not restored where a name cannot be so long"
matches "$(cat out err)" "*$long/door: a socket's name has at most 108*" "which is said"
jobcr restore "$job" --detach --map "$tmp/was=$tmp/now" >out 2>&1
is "$?" 0 "that has moved (--map)"
: >go
jobcr wait "$job"
is "$(cat moved.txt)" "up
now/door now/door now/door box
b'letter' True
now
reached
reached" "has all of them there"
[ ! -e was ]
result $? "and none where they were"
finish
