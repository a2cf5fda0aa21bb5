#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Two processes of a job that speak to each other by their node's own address
# do so by the other node's where the job goes on.  One to others is reset.
. "$(dirname "$0")/lib.sh"

if ! command -v python3 >/dev/null; then
	echo "1..0 # SKIP no python3"
	exit 0
fi
cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}"

cat >"$home/talk.py" <<'PY'
import os, socket, sys, threading, time
own = socket.gethostbyname(socket.gethostname())
listener = socket.create_server((own, 0))
total = [0, 0]

def stream(s, end):
    sent = seen = bad = 0
    names = ()
    def write():
        nonlocal sent, names
        # Nothing is read until the job has moved: queues stay full.
        while not (sent > 3000000 and os.path.exists(go)):
            n = s.send(bytes((sent + i) % 251 for i in range(4001)))
            sent += n
        names = s.getsockname()[0], s.getpeername()[0]
        s.shutdown(socket.SHUT_WR)
    t = threading.Thread(target=write)
    t.start()
    while end == 0 and not os.path.exists(go):
        time.sleep(0.02)
    while more := s.recv(65536):
        if more != bytes((seen + i) % 251 for i in range(len(more))):
            bad += 1
        seen += len(more)
    t.join()
    return "end %d: %d bad, at %s, with %s, %s" % (
        end, bad, *names,
        "much" if seen > 3000000 else seen)

go = "go." + os.environ["SLURM_JOB_ID"]
if os.fork() == 0:
    print(stream(socket.create_connection(listener.getsockname()), 0),
          flush=True)
    os._exit(0)
s, _ = listener.accept()
out = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("at", own, flush=True)
result = stream(s, 1)
os.wait()
print(result, flush=True)
try:
    print("out:", out.recv(1), flush=True)
except ConnectionResetError:
    print("out: reset", flush=True)
print("listens at", listener.getsockname()[0], flush=True)
PY
script talk <<'EOT'
exec python3 talk.py "$1" "$2"
EOT
cat >"$home/others.py" <<'PY'
import socket, time
s = socket.create_server(("", 0))
print(socket.gethostbyname(socket.gethostname()), s.getsockname()[1], flush=True)
kept = []
while True:
    kept.append(s.accept())
PY
cluster exec ctl python3 "$home/others.py" >"$home/others" 2>/dev/null &
others=$!
wait_until 10 test -s "$home/others" || bail "nobody to speak to"
read -r host port <"$home/others"

job=$(submit --jobcr --jobcr-peers=reset talk "$host" "$port")
wait_until 20 printed "$job" '^at ' || bail "job $job does not run"
was=$(sed -n 's/^at //p' "$home/$job.out")
from=$(field "$job" NodeList)
preempt "$from" 60 >/dev/null
wait_until 60 restarted "$job" 1
ok $? "it is preempted and started again"
[ "$(field "$job" NodeList)" != "$from" ]
ok $? "on another node"
now=$(cluster exec "$(field "$job" NodeList)" \
	python3 -c 'import socket
print(socket.gethostbyname(socket.gethostname()))')
[ "$was" != "$now" ]
ok $? "which has another address" "$was and $now"
touch "$home/go.$job"
wait_until 60 has_ended "$job"
is "$(field "$job" JobState)" COMPLETED "it ends well"
is "$(written "$home/$job.out" | grep '^end 0')" \
	"end 0: 0 bad, at $now, with $now, much" \
	"one end has that address, and all bytes"
is "$(written "$home/$job.out" | grep '^end 1')" \
	"end 1: 0 bad, at $now, with $now, much" "and so has the other one"
is "$(written "$home/$job.out" | tail -2 | tr '\n' :)" \
	"out: reset:listens at $now:" \
	"what it listens at has moved; a connection to others is reset"
kill $others
done_testing
