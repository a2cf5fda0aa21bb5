#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Sockets at addresses of the node have those of the node on which the job is
# restored.  In a network of its own, which becomes another one.
set -u
. "${top_srcdir:-.}/tests/lib/network.sh"
# The other end of the cable goes nowhere, so that nothing else is local.
if ! ip link add n0 type veth peer name n1; then
	echo "1..0 # SKIP needs veth"
	exit 0
fi
ip link set n0 up && ip link set n1 up || exit 1
. "${top_srcdir:-.}/tests/lib/jobs.sh"

# node ADDRESS...: what this one has.
node() {
	ip addr flush dev n0
	for address; do
		case $address in
		*:*) ip -6 addr add "$address" dev n0 nodad ;;
		*) ip addr add "$address" dev n0 ;;
		esac
	done
}

cat >sockets.py <<'PY'
import os, socket, sys, time
old4, old6 = sys.argv[1:3]
T, U = socket.SOCK_STREAM, socket.SOCK_DGRAM
F4, F6 = socket.AF_INET, socket.AF_INET6
bad = []

def check(good, what):
    if not good:
        bad.append(what)

def bound(family, kind, host):
    s = socket.socket(family, kind)
    if host == "::":
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind((host, 0))
    if kind == T:
        s.listen(5)
    return s

def join(listener, host):
    c = socket.create_connection((host, listener.getsockname()[1]))
    return c, listener.accept()[0]

def pattern(at, n):
    return bytes((at + i) % 251 for i in range(n))

def fill(s):
    s.setblocking(False)
    sent = 0
    try:
        while True:
            sent += s.send(pattern(sent, 5021))
    except BlockingIOError:
        s.setblocking(True)
        return sent

def drain(s, n, what):
    got = b""
    while len(got) < n:
        more = s.recv(n - len(got))
        if not more:
            break
        got += more
    check(got == (pattern(0, n)), "%s: %d of %d bytes" % (what, len(got), n))

def talk(pair, what):
    for a, b in (pair, pair[::-1]):
        a.sendall(b"hello")
        check(b.recv(5, socket.MSG_WAITALL) == b"hello", what + " talk")

four = bound(F4, T, old4)
six = bound(F6, T, old6)
dual = bound(F6, T, "::")
local = bound(F4, T, "127.0.0.1")
full = join(four, old4)
sent = [fill(s) for s in full]
shut = join(four, old4)
shut[0].sendall(b"last words")
shut[0].shutdown(socket.SHUT_WR)
left = join(four, old4)
left[0].sendall(b"farewell")
left[0].close()
# A FIN that waits behind bytes which have no room.
fin = join(four, old4)
behind = fill(fin[0])
fin[0].shutdown(socket.SHUT_WR)
pair6 = join(six, old6)
sent6 = fill(pair6[0])
mapped = join(dual, old4)
loop = join(local, "127.0.0.1")
# From an address that is its own to one that is loopback's, and back.
udp = bound(F4, U, old4), bound(F4, U, old4)
udp[0].connect(udp[1].getsockname())
udp[1].connect(udp[0].getsockname())
udp[0].send(b"unread")
udp6 = bound(F6, U, old6)
out = bound(F4, U, old4)
far = old4.rsplit(".", 1)[0] + ".99"
out.connect((far, 7))
empty = bound(F4, U, "0.0.0.0")
was = {n: s.getsockname() for n, s in globals().copy().items()
       if isinstance(s, socket.socket)}
ports = [full[0].getsockname()[1], four.getsockname()[1]]
print("ports", *ports, flush=True)
while not os.path.exists("go"):
    time.sleep(0.02)

new4, new6 = open("go").read().split()
for name, host in (("four", new4), ("six", new6), ("dual", "::"),
                   ("local", "127.0.0.1"), ("udp6", new6), ("out", new4),
                   ("empty", "0.0.0.0")):
    now = globals()[name].getsockname()
    check(now[0] == host and now[1] == was[name][1], name + " is at %s" % now[0])
for name, ends, host in (("full", full, new4), ("shut", shut, new4),
                         ("fin", fin, new4), ("six", pair6, new6),
                         ("loop", loop, "127.0.0.1"), ("udp", udp, new4)):
    check(ends[0].getsockname()[0] == ends[1].getsockname()[0] == host,
          "%s: at %s" % (name, ends[0].getsockname()[0]))
    check(ends[0].getpeername() == ends[1].getsockname() and
          ends[1].getpeername() == ends[0].getsockname(), name + ": fits")
check(mapped[1].getsockname()[0] == "::ffff:" + new4 and
      mapped[0].getpeername()[0] == new4, "mapped: at " +
      mapped[1].getsockname()[0])
check(left[1].getsockname()[0] == new4, "left: at")
print("port", "same" if full[0].getsockname()[1] == ports[0] else "another",
      flush=True)
drain(full[1], sent[0], "full")
drain(full[0], sent[1], "full back")
drain(pair6[1], sent6, "six")
check(shut[1].recv(99) == b"last words" and shut[1].recv(1) == b"", "shut")
shut[1].sendall(b"answer")
check(shut[0].recv(6) == b"answer", "the other way")
check(left[1].recv(99) == b"farewell" and left[1].recv(1) == b"", "left")
drain(fin[1], behind, "fin")
check(fin[1].recv(1) == b"", "its end")
for name in "full", "mapped", "loop":
    talk(globals()[name], name)
d = udp[1].recvfrom(99)
check(d == (b"unread", udp[0].getsockname()), "datagram from %s" % (d[1],))
udp[1].send(b"back")
check(udp[0].recv(9) == b"back", "udp back")
check(out.getpeername() == (far, 7), "outside: %s" % (out.getpeername(),))
for s, host in (four, new4), (six, new6), (dual, new4), (dual, new6):
    talk(join(s, host), "anew at " + host)
print("bad:", *bad, flush=True) if bad else print("good", flush=True)
PY

# saved NAME: the job stands at .1 of its networks and is saved.
saved() {
	node 10.9.0.1/24 fd09::1/64
	rm -f go
	job=$(jobcr run --detach --output "$1" -- python3 sockets.py 10.9.0.1 fd09::1)
	wait_for 20 has_lines "$1" 1
	jobcr checkpoint "$job" --kill >/dev/null 2>err
	is "$?" 0 "$1: saved" || sed 's/^/# /' err
	read -r _ small listened <"$1"
}

# goes_on NAME PORT ADDRESSES TEXT
goes_on() {
	echo "$3" >go.new
	mv go.new go # whole
	jobcr wait "$job"
	is "$(tail -1 "$1")" good "$1: $4"
	is "$(sed -n 2p "$1")" "port $2" "$1: at $2 port"
}

saved beside
node 10.9.0.2/24 fd09::2/64
jobcr restore "$job" --detach >/dev/null 2>err
is "$?" 0 "where the node has another address in the same network: restored"
matches "$(cat err)" \
	"*have moved: 10.9.0.1 is 10.9.0.2, fd09::1 is fd09::2" "which is said"
noted "store/local/$job/history" " moved "
matches "$(jobcr history "$job")" "*10.9.0.1 is 10.9.0.2*" "and kept"
goes_on beside same "10.9.0.2 fd09::2" "there it is, with all that it was"

saved given
node 10.8.0.7/16 fd08::7/64
jobcr restore "$job" --detach >/dev/null 2>err
result $((! $?)) "no address in that network: not restored"
matches "$(cat err)" "*10.9.0.1 port*--map-address*annot assign*" "by name"
is "$(ss -tanH state established state listening)$(ss -uanH)" "" \
	"and nothing is left"
node 10.8.0.7/16 10.9.0.1/24 fd08::7/64 fd09::1/64
jobcr restore "$job" --detach --map-address 10.9.0.1=10.8.0.7 \
	--map-address fd09::1=fd08::7 >/dev/null 2>err
is "$?" 0 "with --map-address: restored, whatever else the node has"
goes_on given same "10.8.0.7 fd08::7" "at these"

saved several
node 10.9.0.2/24 10.9.0.3/24 fd09::2/64
jobcr restore "$job" --detach >/dev/null 2>err
result $((! $?)) "two addresses in that network: not restored"
matches "$(cat err)" "*10.9.0.1 port*--map-address*" "by name"
jobcr restore "$job" --detach --map-address 10.9.0.1=10.9.0.3 >/dev/null 2>err
is "$?" 0 "told which: restored"
goes_on several same "10.9.0.3 fd09::2" "at that and at the other's one"

# take ADDRESS PORT: until it is told to end.
take() {
	rm -f taker
	python3 -c 'import socket, sys, time
s = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("up", flush=True)
time.sleep(1000)' "$1" "$2" >taker &
	taker=$!
	wait_for 10 grep -q up taker
}
# Processes of a restore that was refused end a moment after it has said so.
is_free() { # ADDRESS PORT
	python3 -c 'import socket, sys
socket.create_server((sys.argv[1], int(sys.argv[2])))' "$1" "$2" 2>/dev/null
}
saved taken
node 10.9.0.2/24 fd09::2/64
take 10.9.0.2 "$listened"
jobcr restore "$job" --detach >/dev/null 2>err
result $((! $?)) "somebody listens where it did: not restored"
matches "$(cat err)" "*10.9.0.2 port $listened*another program has it*" \
	"by name"
kill $taker
wait $taker 2>/dev/null
wait_for 10 is_free 10.9.0.2 "$small"
take 10.9.0.2 "$small"
jobcr restore "$job" --detach >/dev/null 2>err
is "$?" 0 "somebody listens where it was connected from: restored"
matches "$(cat err)" "*have moved: *port $small is *" "which is said"
goes_on taken another "10.9.0.2 fd09::2" "goes on with its connection"
kill $taker
wait $taker 2>/dev/null

# wrong WORD...: a mistake, said before anything is done.
wrong() {
	jobcr restore L1 --detach "$@" >/dev/null 2>err
	is "$?" 2 "--map-address $2: a mistake"
	matches "$(cat err)" "*$2*" "which is named"
}
for word in 10.0.0.1 10.0.0.1= =10.0.0.1 10.0.0.1=fd00::1 a=b \
	10.0.0.1:22=10.0.0.2:22 127.0.0.1=10.0.0.2 ::1=fd00::2 \
	0.0.0.0=10.0.0.1 10.0.0.1=224.0.0.1 ::ffff:10.0.0.1=fd00::1 \
	10.0.0.1=10.0.0.2=10.0.0.3 10.0.0.1/24=10.0.0.2/24 010.0.0.1=10.0.0.2; do
	wrong --map-address "$word"
done
wrong --map-address 10.0.0.1=10.0.0.3 --map-address 10.0.0.1=10.0.0.3
set --
for n in $(seq 65); do
	set -- "$@" --map-address "10.0.0.$n=10.1.0.$n"
done
jobcr restore L1 --detach "$@" >/dev/null 2>err
is "$?" 2 "65 of them: too many"
finish
