#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The IPC namespace of a job: its own, with the node's limits, or the node's.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"
jobcr=$top_builddir/jobcr
if ! command -v ipcmk >/dev/null; then
	echo "1..0 # SKIP no ipcmk"
	exit 0
fi
configure() { # line
	printf 'StoreDir = "%s/store"\nRunDir = "%s/run"\n%s\n' "$tmp" "$tmp" \
		"$1" >"$JOBCR_CONF"
}
configure ""
: >"$tmp/log"
own=$(readlink /proc/self/ns/ipc)
inside() { # options...: the namespace of a job
	"$jobcr" run "$@" -- readlink /proc/self/ns/ipc 2>"$tmp/log"
}
cat >"$tmp/limits" <<'END'
cd /proc/sys
for i in kernel/shmmax kernel/shmall kernel/shmmni kernel/sem kernel/msgmax \
	kernel/msgmnb kernel/msgmni kernel/shm_rmid_forced fs/mqueue/*; do
	printf '%s ' "$i"
	cat "$i"
done
END

got=$(inside)
[ -n "$got" ] && [ "$got" != "$own" ]
result $? "a job has an IPC namespace of its own"
[ "$(inside --ipc=private)" = "$own" ]
result $((! $?)) "also when it asks for it"
[ "$(inside --ipc=host)" = "$own" ]
result $? "--ipc=host: it has the node's"
"$jobcr" run --ipc=none -- true >"$tmp/log" 2>&1
[ $? != 0 ] && grep -q 'ipc "none": private or host' "$tmp/log"
result $? "other words are refused"
configure "PrivateIPC = no"
[ "$(inside)" = "$own" ]
result $? "PrivateIPC = no: it has the node's"
[ "$(inside --ipc=private)" = "$own" ]
result $((! $?)) "unless it asks for its own"
configure ""

# Somebody has changed the limits: in a namespace that stands for the node.
cat >"$tmp/node" <<END
for i in shmmni=77 msgmax=9000 msgmnb=20000 msgmni=31 'sem=300 3000 32 44'; do
	echo "\${i#*=}" >"/proc/sys/kernel/\${i%%=*}" || exit 1
done
echo 17 >/proc/sys/fs/mqueue/msg_max
sh "$tmp/limits" >"$tmp/outside"
"$jobcr" run -- sh "$tmp/limits" >"$tmp/inside"
END
unshare --ipc sh "$tmp/node" >"$tmp/log" 2>&1 &&
	diff "$tmp/outside" "$tmp/inside" >>"$tmp/log" &&
	grep -q '^fs/mqueue/msg_max 17$' "$tmp/inside"
result $? "limits are those of the node"

# Where the node shows its message queues the job sees its own.
cat >"$tmp/node" <<END
mount -t mqueue mqueue /dev/mqueue && : >/dev/mqueue/of-the-node || exit 1
"$jobcr" run -- sh -c 'ls /dev/mqueue; : >/dev/mqueue/of-the-job &&
	stat -f -c %T /dev/mqueue; ls /dev/mqueue' >"$tmp/queues"
ls /dev/mqueue >>"$tmp/queues"
END
made=
[ -d /dev/mqueue ] || { mkdir /dev/mqueue && made=yes; }
unshare --ipc --mount sh "$tmp/node" >"$tmp/log" 2>&1 &&
	printf 'mqueue\nof-the-job\nof-the-node\n' |
	diff - "$tmp/queues" >>"$tmp/log"
result $? "where the node shows message queues a job sees its own"
[ -z "$made" ] || rmdir /dev/mqueue

cat >"$tmp/job" <<'END'
ipcmk -M 100000 -p 0604 && ipcmk -S 7 && ipcmk -Q || exit 1
ipcs -m -s -q
while ! [ -e "$1/go" ]; do sleep 0.05; done
ipcs -m -s -q
END
id=$("$jobcr" run --detach --output "$tmp/out" -- /bin/sh "$tmp/job" "$tmp" \
	2>"$tmp/log")
wait_for 20 grep -q "Semaphore Arrays" "$tmp/out"
# Others in its namespace: root comes from outside.
if command -v python3 >/dev/null && command -v nsenter >/dev/null; then
	inner=$(pgrep -f "/bin/sh $tmp/job" | tail -n 1)
	mkfifo "$tmp/end"
	nsenter -t "$inner" --ipc python3 -c "
import ctypes
c = ctypes.CDLL(None)
c.shmat.restype = ctypes.c_long
open('$tmp/attached', 'w').write(str(c.shmat(0, None, 0)))
open('$tmp/end').read()" 2>"$tmp/log" &
	wait_for 20 test -s "$tmp/attached"
	"$jobcr" checkpoint "$id" >"$tmp/log" 2>&1
	[ $? != 0 ] && grep -q "id 0) that is attached outside the job (1 of 1" \
		"$tmp/log"
	result $? "a segment that others have attached is refused"
	grep -q '^-  *-  *-  *a System V' "$tmp/log"
	result $? "as what is the job's as a whole"
	: >"$tmp/end"
	wait $!
fi
"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
result $? "a job with objects that nobody uses is saved"
head -c 100000 "$tmp/out" | grep -q '^0x' && ! grep '^0x' "$tmp/out" |
	awk '{ print $1 }' | grep -Fq -f - /dev/fd/3 3<<END
$(ipcs -m -s -q)
END
result $? "nothing of it is left on the node"
: >"$tmp/go"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
result $? "it is restored"
grep '^0x' "$tmp/out" | sort | uniq -c | awk '$1 != 2 { bad = 1 }
	END { exit bad || NR != 3 }'
result $? "and sees the same objects"

rm "$tmp/go"
: >"$tmp/out"
id=$("$jobcr" run --detach --output "$tmp/out" -- /bin/sh "$tmp/job" "$tmp" \
	2>"$tmp/log")
wait_for 20 grep -q "Semaphore Arrays" "$tmp/out"
"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
# A node that removes segments would remove them from the job.
cat >"$tmp/node" <<END
echo 1 >/proc/sys/kernel/shm_rmid_forced || exit 1
! "$jobcr" restore "$id"
END
unshare --ipc sh "$tmp/node" >"$tmp/log" 2>&1 &&
	wait_for 20 grep -q "kernel.shm_rmid_forced is set on this node" \
		"$tmp/log"
result $? "no segment is made where the kernel removes it"
configure "PrivateIPC = no"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
[ $? != 0 ] && wait_for 20 grep -q "restored into the node's: see PrivateIPC" \
	"$tmp/log"
result $? "no object is made in the node's namespace"

# Messages that the supervisor takes out and puts back.
cat >"$tmp/queue.py" <<'END'
import ctypes, os, sys, time
c = ctypes.CDLL(None, use_errno=True)
class Attr(ctypes.Structure):
    _fields_ = [(n, ctypes.c_long) for n in ("flags", "most", "size", "now")] \
        + [("reserved", ctypes.c_long * 4)]
attr = Attr(0, 5, 20)
q = c.mq_open(b"/letters", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600,
              ctypes.byref(attr))
for text, priority in ((b"low", 1), (b"first", 4), (b"second", 4)):
    assert c.mq_send(q, text, len(text), priority) == 0
print("up", flush=True)
while not os.path.exists(sys.argv[1] + "/go"):
    time.sleep(0.01)
for i in range(3):
    text = ctypes.create_string_buffer(20)
    priority = ctypes.c_uint()
    n = c.mq_receive(q, text, 20, ctypes.byref(priority))
    print(text.raw[:n].decode(), priority.value, flush=True)
END
if command -v python3 >/dev/null; then
	rm -f "$tmp/go" "$tmp/out"
	configure ""
	id=$("$jobcr" run --detach --output "$tmp/out" -- "$(command -v python3)" \
		"$tmp/queue.py" "$tmp" 2>"$tmp/log")
	wait_for 20 grep -q up "$tmp/out"
	"$jobcr" checkpoint "$id" >"$tmp/log" 2>&1 &&
		"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
	result $? "a job with messages in a POSIX queue is saved twice"
	: >"$tmp/go"
	"$jobcr" restore "$id" >"$tmp/log" 2>&1 &&
		printf 'up\nfirst 4\nsecond 4\nlow 1\n' | diff - "$tmp/out" >>"$tmp/log"
	result $? "and has them in their order"
fi

# A job of the node's namespace that has nothing there goes on where the site
# has its jobs, and a segment of the node's is never in its snapshot.
cat >"$tmp/job" <<'END'
echo up
while ! [ -e "$1/go" ]; do sleep 0.05; done
readlink /proc/self/ns/ipc
END
host_job() { # line: restored with it; into $tmp/out
	rm -f "$tmp/go" "$tmp/out"
	configure ""
	id=$("$jobcr" run --detach --ipc=host --output "$tmp/out" -- /bin/sh \
		"$tmp/job" "$tmp" 2>"$tmp/log")
	wait_for 20 grep -q up "$tmp/out"
	"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1 || return 1
	configure "$1"
	: >"$tmp/go"
	"$jobcr" restore "$id" >"$tmp/log" 2>&1
}
host_job "" && [ "$(tail -n 1 "$tmp/out")" != "$own" ]
result $? "--ipc=host: it is restored into a namespace of its own"
host_job "PrivateIPC = no" && [ "$(tail -n 1 "$tmp/out")" = "$own" ]
result $? "or, where the site has it so, the node's"
finish
