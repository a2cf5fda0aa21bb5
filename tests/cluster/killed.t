#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# jobcrd is restarted under a job, and the worker of its checkpoint is killed:
# the job does not notice, and the next attempt saves it.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}"

script job <<'EOT'
echo "begin"
progress 150 100 3 4 128
EOT
plain=$(submit -x n1,n2 job)
job=$(submit -x n3 --jobcr job)
wait_until 30 printed "$job" 'round 5 of' || bail "job $job does not run"
node=$(field "$job" NodeList)
log=$cluster_dir/log/jobcrd-$node.log
cluster daemon "$node" stop
cluster daemon "$node" start
ok $? "jobcrd is restarted"

# Half a second of work at least: killed as soon as it is there.
preempt "$node" 3 >/dev/null
seen=$(($(date +%s) + 30))
until worker=$(cluster exec "$node" pgrep -x jobcr-worker); do
	[ "$(date +%s)" -lt $seen ] || bail "no checkpoint begins"
done
cluster exec "$node" kill -KILL "$worker"
ok $? "the worker is killed"
wait_until 10 grep -q 'killed by signal 9; the job was not changed' "$log"
ok $? "jobcrd says so" "$(cat "$log")"
wait_until 60 restarted "$job"
ok $? "a second attempt saves and requeues the job"
wait_until 90 has_ended "$job"
is "$(field "$job" JobState) $(field "$job" ExitCode)" "COMPLETED 0:0" \
	"it completes"
wait_until 90 has_ended "$plain"
same_output "$job.out" "$plain.out" "with the output of an undisturbed run"
done_testing
