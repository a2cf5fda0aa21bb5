#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The rarer ways of a failure: a store that hangs without a word, a node that
# is booted again and gets its own job back, and a copy that cannot be stopped
# in order.
. "$(dirname "$0")/lib.sh"

# A store of its own, so that it can be frozen: who writes there then hangs,
# and does not even hear SIGKILL.
[ "$(id -u)" = 0 ] || skip_all "needs root, to make namespaces"
disk=$(mktemp -d /var/tmp/jobcr-store.XXXXXX) || exit 99
tidy() {
	fsfreeze -u "$disk/store" 2>/dev/null
	[ -z "${cluster_dir:-}" ] || cluster down >/dev/null
	umount "$disk/store" 2>/dev/null
	rm -rf "$disk"
}
truncate -s 1G "$disk/image" && mkdir "$disk/store" &&
	mkfs.ext4 -q "$disk/image" && mount -o loop "$disk/image" "$disk/store" || {
	tidy
	skip_all "needs a loop device, for a store that hangs"
}
chmod 1777 "$disk/store"
cluster_begin CLUSTER_NODES=2 CLUSTER_TRACK="${TRACK:-linuxproc}" \
	CLUSTER_CONF="LeaseTime = 4
RequeuedInterval = 1
StoreDir = \"$disk/store\"" CLUSTER_KILL_WAIT=5
trap tidy EXIT

script job <<'EOT'
progress 3000 100 2 2 1
EOT
lines() {
	grep -c 'round [0-9]' "$home/$job.out"
}
grows() {
	[ "$(lines)" -gt $((at_line + ${1:-5})) ]
}
log() {
	cat "$cluster_dir/log/jobcrd-$1.log"
}
says() {
	log "$1" | grep -q "$job: .*$2"
}
save() {
	cluster as alice "$node" jobcr checkpoint "$job" --leave-running \
		>/dev/null || bail "job $job has no snapshot"
}
job=$(submit --jobcr job) at_line=0 node=n1
wait_until 60 grows || bail "job $job does not run"
save

fsfreeze -f "$disk/store" || bail "the store cannot be frozen"
at_line=-1
stands_still() {
	before=$at_line at_line=$(lines)
	sleep 1
	[ "$before" = "$(lines)" ]
}
wait_until 30 says n1 'stands still: its lease' && wait_until 30 stands_still
ok $? "a job stands still when the store hangs" "$(log n1)"
has_state "$job" RUNNING
ok $? "and is neither lost nor ended"
at_line=$(lines)
fsfreeze -u "$disk/store"
wait_until 30 grows && wait_until 30 says n1 'goes on: its lease'
ok $? "it goes on when the store answers" "$(log n1)"

# Its own node again: the other one takes no jobs. The controller's order to
# end the job would wait some seconds for a node that is down: one that is back
# sooner takes it, and ends the job's next run KillWait later.
gave_up() {
	grep 'REQUEST_TERMINATE_JOB' "$cluster_dir/log/slurmctld.log" |
		grep -q 'node:n1.*failure'
}
save
slurm scontrol update nodename=n2 state=drain reason=test
cluster kill-node n1
slurm scontrol update nodename=n1 state=down reason=test
wait_until 60 gave_up || bail "Slurm still sends to a node that is down"
cluster start-node n1
wait_until 60 restarted "$job"
ok $? "a node that is booted again gets its own job back" \
	"$(slurm scontrol show job "$job")"
at_line=$(lines)
wait_until 30 grows && [ "$(grep -c 'round 1 of' "$home/$job.out")" = 1 ]
ok $? "which goes on" "$(cat "$home/$job.out")"
says n1 'held'
is $? 1 "and was never held"

# On n1 nothing can be stopped any more.
save
slurm scontrol update nodename=n2 state=resume
cluster exec n1 mount --bind /bin/false "$cluster_dir/opt/libexec/jobcr-worker"
cluster exec n1 mount -t tmpfs tmpfs "$disk/store"
cluster cut n1 network
wait_until 30 says n1 'cannot be held still'
ok $? "a tree that cannot be stopped is tried again" "$(log n1)"
slurm scontrol update nodename=n1 state=down reason=test
wait_until 60 restarted "$job" 2
ok $? "its job is started elsewhere"
cluster exec n1 umount -l "$disk/store"
wait_until 30 says n1 'killed as it runs'
ok $? "and the tree, when it can see that, is killed as it runs" "$(log n1)"
no_process() {
	! cluster exec n1 pgrep -u 2001
}
wait_until 30 no_process
ok $? "nothing of it is left there"
at_line=$(lines)
wait_until 30 grows
ok $? "the other one goes on"
slurm scancel "$job"
done_testing
