#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What users and administrators are told about Slurm's jobs, on any node, and
# what becomes of snapshots when a job is over.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_GRACE=10 CLUSTER_KILL_WAIT=5 CLUSTER_CONF='
KeepEnded = "2s"
SweepInterval = "1s"
MetricsFile = "/run/jobcr.prom"
MetricsInterval = 1'

jobcr() { # user node arguments
	_user=$1 _node=$2
	shift 2
	cluster as "$_user" "$_node" jobcr "$@"
}
shows() { # pattern command...
	_pattern=$1
	shift
	"$@" 2>/dev/null | grep -q "$_pattern"
}
store=$cluster_dir/shared/store/private
gone() {
	[ ! -e "$store/$1" ]
}

# None ends before it is let.
script job <<'EOT'
export PROGRESS_END="go.$SLURM_JOB_ID"
progress 150 100 2 2 4
EOT
script long <<'EOT'
progress 900 100 2 2 4
EOT
script fails <<'EOT'
export PROGRESS_END="go.$SLURM_JOB_ID"
progress 120 100 2 2 4
exit 3
EOT
one=$(submit -w n1 --jobcr job)
two=$(submit -w n2 --jobcr fails)
three=$(submit -w n3 --jobcr long)
for job in $one $two $three; do
	wait_until 20 printed "$job" 'round 5 of' ||
		bail "job $job does not run"
done

# Another job is to go on from the second one's snapshot: storage/next.h.
heir=4000000
mkdir -p "$store/$heir" && echo "$two 1 0 0" >"$store/$heir/next" &&
	chmod 0700 "$store/$heir" && chown -R 2001:2001 "$store/$heir" ||
	bail "no heir"

shows "^$one .* running " jobcr alice n1 status
ok $? "the table of a node has its job"
jobcr alice n1 checkpoint "$one" --leave-running >/dev/null
jobcr alice n2 checkpoint "$two" --leave-running >/dev/null
shows "^$one .* running  *1 .*MiB" jobcr alice n1 status "$one"
ok $? "and its snapshot, with what it cost"
wait_until 20 shows 'needs [0-9]* s, window is 15 s' \
	jobcr alice n1 status "$one"
ok $? "asked for by name, whether a preemption leaves time for one" \
	"$(jobcr alice n1 status "$one" 2>&1)"
wait_until 20 shows ' n1  started  starts$' jobcr alice n3 history "$one" &&
	wait_until 20 shows ' n1  checkpoint  .*request: generation 1' \
		jobcr alice n3 history "$one"
ok $? "on any node the history says what happened to it, and where" \
	"$(jobcr alice n3 history "$one" 2>&1)"
shows "^$one .* running  *1 " jobcr alice n3 status "$one"
ok $? "status of one job may be asked anywhere, too" \
	"$(jobcr alice n3 status "$one" 2>&1)"
said=$(jobcr alice n3 checkpoint "$one" 2>&1)
is "$? $said" "4 jobcr: no job $one runs under jobcr on this node \
(--node NODE: on another one)" "who asks the wrong node is told so"
said=$(jobcr alice n3 --node n1 check "$one" 2>&1)
is "$? $said" "0 $one: nothing stands in the way of a checkpoint" \
	"and may ask the right one"
shows "^ok  *slurm: plugin  *named in /etc/slurm/plugstack.conf" \
	jobcr alice n1 check
ok $? "check finds the plugin in Slurm's configuration" \
	"$(jobcr alice n1 check 2>&1)"
! jobcr bob n3 history "$one" >/dev/null 2>&1
ok $? "but not to everybody"
metric() { # name value
	cluster exec n1 grep -q "^$1 $2\$" /run/jobcr.prom
}
wait_until 10 metric 'jobcr_snapshots_total{cause="request"}' 1
ok $? "the collector's file counts the snapshot" \
	"$(cluster exec n1 cat /run/jobcr.prom)"
metric 'jobcr_jobs{state="running"}' 1
ok $? "and the job"
is "$(cluster exec n1 stat -c %a /run/jobcr.prom)" 644 "for others to read"

slurm scontrol suspend "$three"
wait_until 10 shows "^$three .*suspended" jobcr alice n3 list
ok $? "a suspended job is listed" "$(jobcr alice n3 list 2>&1)"
cluster daemon n1 stop
cluster daemon n1 start
slurm scontrol resume "$three"
wait_until 20 shows "^$three .*running" jobcr alice n3 list
ok $? "resumed it runs" "$(jobcr alice n3 list 2>&1)"
wait_until 10 metric 'jobcr_snapshots_total{cause="request"}' 1
ok $? "counters outlive jobcrd"

# A job that waits for its turn keeps its snapshots until it is cancelled.
preempt n3 1000 >/dev/null
requeued() {
	[ "$(field "$1" Restarts)" = 1 ] || has_state "$1" PENDING
}
slurm scontrol update nodename=n1,n2 state=drain reason=test
wait_until 30 requeued "$three" || bail "job $three is not preempted"
sleep_until_swept() { # twice by anybody
	touch "$cluster_dir/mark"
	wait_until 15 test "$store/.swept" -nt "$cluster_dir/mark"
	touch "$cluster_dir/mark"
	wait_until 15 test "$store/.swept" -nt "$cluster_dir/mark"
}
sleep_until_swept
[ -f "$store/$three/0000000001/manifest" ]
ok $? "a job in the queue keeps its snapshot" "$(ls -R "$store/$three")"
shows "^$three .* waiting" jobcr alice n1 status "$three"
ok $? "where it waits is known" "$(jobcr alice n1 status "$three" 2>&1)"
slurm scancel "$three"
wait_until 20 gone "$three"
ok $? "cancelled there, it loses it after a while" "$(ls -R "$store")"
printed "$three" 'round 5 of' && [ ! -e "$home/.$three.out.jobcr-$three" ]
ok $? "and what it had written, put aside for its start, is back" \
	"$(ls -la "$home")"

touch "$home/go.$two"
wait_until 90 has_ended "$two"
is "$(field "$two" JobState)" FAILED "another one fails"
marked() {
	[ -f "$store/$1/ended" ]
}
wait_until 10 marked "$two"
sleep_until_swept
sleep_until_swept
[ -f "$store/$two/0000000001/manifest" ]
ok $? "its snapshot stays while another job is to go on from it" \
	"$(ls -R "$store")"
is "$(jobcr alice n2 keep "$two.1")" "snapshot 1 of job $two is kept" \
	"its user wants to keep it"
rm -r "${store:?}/$heir"
sleep_until_swept
sleep_until_swept
[ -f "$store/$two/0000000001/manifest" ]
ok $? "a snapshot that is to be kept stays, though its job has ended" \
	"$(ls -R "$store")"
jobcr alice n3 keep --off "$two" >/dev/null
wait_until 20 gone "$two"
ok $? "its snapshot is removed after KeepEnded" "$(ls -R "$store")"
touch "$home/go.$one"
wait_until 90 has_ended "$one"
is "$(field "$one" JobState)" COMPLETED "the first one completes"
wait_until 20 gone "$one"
ok $? "its snapshot is removed at once" "$(ls -R "$store")"
is "$(find "$store" -name manifest)" "" "nothing of theirs is left"
wait_until 20 shows ' n1  ended  COMPLETED: ' jobcr alice n2 history "$one"
ok $? "but their histories" "$(jobcr alice n2 history "$one" 2>&1)"
wait_until 20 shows ' ended  FAILED: ' jobcr alice n1 history "$two"
ok $? "with how they ended"

slurm scontrol update nodename=n1 state=resume
# Its start is noted after jobcrd has answered, when it may run already.
quiet=$(submit -w n1 --jobcr --wrap 'echo begin; while [ ! -e quiet ]; do
	sleep 0.1; done')
wait_until 30 printed "$quiet" begin || bail "job $quiet does not run"
wait_until 20 shows "started" jobcr alice n1 history "$quiet"
ok $? "a job that does nothing has a history while it runs" \
	"$(jobcr alice n1 history "$quiet" 2>&1)"
touch "$home/quiet"
wait_until 40 has_ended "$quiet"
forgotten() {
	gone "$1" && gone "$1.retired"
}
wait_until 20 forgotten "$quiet"
ok $? "of one that completed and was never saved nothing is left" \
	"$(ls -R "$store")"
done_testing
