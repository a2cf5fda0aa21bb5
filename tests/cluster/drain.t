#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A node is drained: its jobs go on elsewhere as if nothing had happened, what
# cannot be saved is named and goes on, and a drain that is cut short is gone
# on with.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_CPUS=16 CLUSTER_CONF='Operators = {"dave"}'
kinds=$cluster_dir/shared/kinds
mkdir "$kinds"

# kind NAME: a batch script that any user may submit.
kind() {
	{
		echo '#!/bin/bash'
		cat
	} >"$kinds/$1"
	chmod 0755 "$kinds/$1"
}

# Those that are drained at first do not end before.
end=$kinds/end
kind threads <<EOT
PROGRESS_END=$end progress 250 100 2 3 4
EOT
kind memory <<EOT
PROGRESS_END=$end progress 250 100 1 1 48
EOT
kind shell <<EOT
end=$end
EOT
cat >>"$kinds/shell" <<'EOT'
trap 'echo "a signal came"' TERM USR1 CONT
for i in $(seq 250); do
	until [ $i -lt 250 ] || [ -e "$end" ]; do
		sleep 0.1
	done
	echo "round $i of"
	echo "error $i" >&2
	/bin/echo "child $i" | cat
	sleep 0.1
done
EOT
kind script <<EOT
end=$end
EOT
cat >>"$kinds/script" <<'EOT'
python3 -c '
import os, sys, time
seen = {}
for i in range(250):
    while i == 249 and not os.path.exists(sys.argv[1]):
        time.sleep(0.1)
    seen[i] = str(i) * 1000
    print("round", i, "of", sum(map(len, seen.values())), flush=True)
    time.sleep(0.1)
' "$end"
exit 3
EOT
kind gated <<'EOT'
for i in $(seq 40); do
	echo "round $i of"
	sleep 0.1
	while [ $i = 20 ] && [ ! -e "$SLURM_SUBMIT_DIR/../../kinds/open" ]; do
		sleep 0.1
	done
done
EOT
kind tied <<'EOT'
exec 5>/tmp/of-this-node
for i in $(seq 2500); do
	echo "round $i of" | tee /dev/fd/5
	sleep 0.1
done
EOT
kind socket <<'EOT'
python3 -c '
import socket, time
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
for i in range(2000):
    print("beat", i, flush=True)
    time.sleep(0.1)
'
EOT

# put USER KIND SBATCH-ARGUMENTS...: prints the job id.
put() {
	user=$1 what=$2
	shift 2
	cluster as "$user" ctl sbatch --parsable -n1 -o %j.out "$@" \
		"$kinds/$what"
}

# out JOBID: its output, whosever it is.
out() {
	echo "$cluster_dir"/shared/home/*/"$1.out"
}

says() {
	grep -q "$2" "$(out "$1")"
}

# Jobs start on n1, but are not bound to it.
only_n1() {
	slurm scontrol update nodename=n2,n3 state=drain reason=test
}

anywhere() {
	slurm scontrol update nodename=n2,n3 state=resume
}

# drain NODE-TO-ASK-FROM ARGUMENTS...: as root.
drain() {
	from=$1
	shift
	cluster exec "$from" env JOBCR_CONF="$cluster_dir/etc/jobcr.conf" \
		"$cluster_dir/opt/bin/jobcr" drain "$@"
}

# A "*" says that Slurm has not heard of the node lately.
node_state() {
	slurm sinfo -h -n n1 -o %T | tr -d '*'
}

# kill_all NODE NAME: of the node's own processes; true when none is left.
kill_all() {
	for pid in $(cluster exec "$1" pgrep -x "$2"); do
		cluster exec "$1" kill -KILL "$pid"
	done
	! cluster exec "$1" pgrep -x "$2"
}

left_node() {
	[ -z "$(slurm squeue -h -w "$1" -j "$2" -o %i 2>/dev/null)" ]
}

# ---- eight jobs of four users ------------------------------------------------

jobs=
plain=
for what in threads memory shell script; do
	plain="$plain $what:$(put alice $what -w n3)"
done
only_n1
for pair in alice:threads bob:threads carol:memory dave:memory alice:shell \
	carol:shell bob:script dave:script; do
	jobs="$jobs ${pair#*:}:$(put "${pair%:*}" "${pair#*:}" --jobcr)"
done
for job in $jobs; do
	wait_until 60 says "${job#*:}" 'round 12 of' ||
		bail "job $job does not run"
done
anywhere

cluster as alice n1 jobcr drain n1 >"$cluster_dir/denied" 2>&1
is "$?" 6 "a user may not drain a node"
grep -q 'only operators drain node n1: uid 2001' "$cluster_dir/denied"
ok $? "which is said" "$(cat "$cluster_dir/denied")"
cluster as alice n3 jobcr undrain n1 2>/dev/null
is "$?" 6 "nor, from another node, put one into use"
cluster as dave n2 jobcr drain n1 --dry-run >"$cluster_dir/dry" 2>&1
is "$?" 0 "an operator is told what would happen"
is "$(grep -c 'would be saved' "$cluster_dir/dry")" 8 \
	"which is good for all eight jobs"
node_state | grep -qv drain
ok $? "the node is not drained by that" "$(node_state)"
is "$(find "$cluster_dir/shared/store" -name '*.meta')" "" \
	"and no job was touched"

drain n3 n1 --reason "new memory" >"$cluster_dir/table" 2>&1
is "$?" 0 "the drain, from another node, succeeds"
is "$(grep -c 'MiB .*goes on at n[23]$' "$cluster_dir/table")" 8 \
	"the table has eight jobs that go on" "$(cat "$cluster_dir/table")"
is "$(awk '/^JOBID/ { table = 1 } table && /goes on/ { print $2 }' \
	"$cluster_dir/table" | sort -u | tr '\n' ' ')" "alice bob carol dave " \
	"of all four users"
touch "$end"
is "$(slurm squeue -h -w n1 -o %i)" "" "no job is left on the node"
slurm scontrol show node n1 | grep -q 'Reason=new memory'
ok $? "which is drained, with the reason"
cluster as dave n2 jobcr undrain n1
is "$?" 0 "an operator puts the node into use again"
is "$(node_state)" idle "and so it is"

# ---- some that stay, and a drain that is cut short ------------------------------

only_n1
good=$(put alice gated --jobcr)
tcp=$(put bob socket --jobcr)
foreign=$(put carol socket)
bound=$(put dave gated --jobcr --no-requeue)
for job in $good $bound; do
	wait_until 60 says "$job" 'round 5 of' || bail "job $job does not run"
done
for job in $tcp $foreign; do
	wait_until 60 says "$job" 'beat 5$' || bail "job $job does not run"
done
anywhere
# The deadline keeps it at work: it waits for those that cannot be saved.
drain n2 n1 --deadline 10m >"$cluster_dir/first" 2>&1 &
client=$!
wait_until 60 grep -q "job $good .*goes on at" "$cluster_dir/first"
ok $? "one job goes on elsewhere" "$(cat "$cluster_dir/first")"
wait_until 60 grep -q "job $tcp .*stays: refused: .*socket" \
	"$cluster_dir/first"
ok $? "one with a socket is refused" "$(cat "$cluster_dir/first")"
# The client's end changes nothing for the process that drains; then that
# ends, too, with all of jobcrd.
wait_until 10 kill_all n2 jobcr
wait $client 2>/dev/null
drains() {
	[ "$(cluster exec n1 pgrep -x jobcrd | wc -l)" -gt 1 ]
}
drains
ok $? "the drain goes on without its client"
drain n3 n1 >"$cluster_dir/follow" 2>&1 &
client=$!
wait_until 30 grep -q 'under way: following it' "$cluster_dir/follow"
ok $? "another one follows it" "$(cat "$cluster_dir/follow")"
# The one that drains is nobody's child once its first client is noticed to
# be gone.
find_drainer() {
	drainer=$(cluster exec n1 pgrep -x -P 1 jobcrd |
		grep -vx "$(cluster exec n1 cat /run/jobcrd.pid)")
}
wait_until 30 find_drainer
cluster exec n1 kill -KILL "$drainer"
wait_until 10 grep -q 'that drained was killed: another one goes on' \
	"$cluster_dir/log/jobcrd-n1.log"
ok $? "a drain whose process is killed is taken over" "killed: $drainer"
wait_until 10 kill_all n1 jobcrd
wait $client
is "$?" 7 "and is told when nobody answers any more"
is "$(node_state)" draining "the node stays drained"
cluster daemon n1 start
beat=$(sed -n 's/^beat //p' "$(out "$tcp")" | tail -n 1)
wait_until 30 says "$tcp" "beat $((beat + 5))\$"
ok $? "the refused job goes on"
drain n2 n1 >"$cluster_dir/second" 2>&1
is "$?" 3 "asked again, it says that not all could be saved"
grep -q "^$good .*goes on at n[23] (an earlier drain)" "$cluster_dir/second"
ok $? "and what was done before" "$(cat "$cluster_dir/second")"
grep -q "^$tcp .*fd 3: netlink socket.*; close it" "$cluster_dir/second"
ok $? "the refused job with process, descriptor and remedy"
grep -q "^$foreign .*not a job of jobcr" "$cluster_dir/second"
ok $? "the job without jobcr"
grep -q "^$bound .*no-requeue.*requeue=1" "$cluster_dir/second"
ok $? "and the one that Slurm would not requeue"
is "$(slurm squeue -h -w n1 -t R -o %i | sort | tr '\n' ' ')" \
	"$(printf '%s\n' "$tcp" "$foreign" "$bound" | sort | tr '\n' ' ')" \
	"these three run where they were"

# ---- one that cannot be restored elsewhere ---------------------------------------

cluster as dave n1 jobcr undrain n1
only_n1
slurm scancel "$tcp" "$foreign" "$bound"
tied=$(put bob tied --jobcr)
wait_until 60 says "$tied" 'round 5 of' || bail "job $tied does not run"
wait_until 60 left_node n1 "$tcp,$foreign,$bound"
anywhere
drain n3 n1 >"$cluster_dir/tied" 2>&1
is "$?" 1 "a job that cannot be restored elsewhere: failed"
grep -q "^$tied .*held: .*scontrol show job $tied" "$cluster_dir/tied"
ok $? "it is held, which is said" "$(cat "$cluster_dir/tied")"
drain n1 n1 --json | python3 -c 'import json, sys
print(*[(j["job_id"], j["result"], j["earlier_drain"])
	for j in json.load(sys.stdin)["jobs"]])' >"$cluster_dir/result"
is "$(cat "$cluster_dir/result")" "('$tied', 'held', True)" \
	"asked again as JSON, it says so once more"
slurm scancel "$tied"

# ---- held ------------------------------------------------------------------------

wait_until 60 has_ended "$tied"
drain n1 n1 >/dev/null
is "$?" 0 "when it has been cancelled nothing is left to do"
cluster as dave n1 jobcr undrain n1
only_n1
held=$(put alice gated --jobcr)
wait_until 60 says "$held" 'round 5 of' || bail "job $held does not run"
anywhere
drain n1 n1 --hold >"$cluster_dir/held" 2>&1
is "$?" 0 "a drain that holds succeeds" "$(cat "$cluster_dir/held")"
is "$(field "$held" JobState) $(field "$held" Priority)" "PENDING 0" \
	"the job is held"
release "$held"
touch "$kinds/open"

# ---- nothing was lost ---------------------------------------------------------------

for job in $jobs $plain held:$held first:$good; do
	wait_until 90 has_ended "${job#*:}"
done
for job in $jobs; do
	what=${job%:*} id=${job#*:}
	for twin in $plain; do
		[ "${twin%:*}" = "$what" ] && break
	done
	cmp "$(out "${twin#*:}")" "$(out "$id")" >/dev/null
	ok $? "$what job $id: the output of an undisturbed run" \
		"$(diff "$(out "${twin#*:}")" "$(out "$id")")"
	is "$(field "$id" ExitCode)" "$(field "${twin#*:}" ExitCode)" \
		"and its exit code"
done
for id in $held $good; do
	is "$(sed -n 's/^round \([0-9]*\) of$/\1/p' "$(out "$id")" | tr '\n' ' ')" \
		"$(seq 40 | tr '\n' ' ')" "job $id printed each line once"
done
done_testing
