# Real Slurm, several nodes as namespaces of this machine.  Needs root and the
# packages that ./bootstrap installs; too slow for every "make check".
CLUSTER_TESTS = \
	%D%/container.t \
	%D%/gives_way.t \
	%D%/ipc.t \
	%D%/rehome.t \
	%D%/launch.t \
	%D%/allocation.t \
	%D%/daemons.t \
	%D%/demo.t \
	%D%/options.t \
	%D%/preempt.t \
	%D%/preempt-cgroup.t \
	%D%/preempt-watch.t \
	%D%/qos.t \
	%D%/accounts.t \
	%D%/ends.t \
	%D%/warned.t \
	%D%/interval.t \
	%D%/timelimit.t \
	%D%/carried.t \
	%D%/resubmit.t \
	%D%/fence.t \
	%D%/fenced.t \
	%D%/requeued.t \
	%D%/killed.t \
	%D%/cancelled.t \
	%D%/pinned.t \
	%D%/pinned-cgroup2.t \
	%D%/sheltered.t \
	%D%/sheltered-cgroup2.t \
	%D%/lost.t \
	%D%/tiers.t \
	%D%/tiers_requeued.t \
	%D%/output.t \
	%D%/output_lost.t \
	%D%/refused.t \
	%D%/drain.t \
	%D%/pty.t \
	%D%/interactive.t \
	%D%/restored.t \
	%D%/status.t \
	%D%/held.t \
	%D%/mounted.t \
	%D%/revived.t \
	%D%/unsaved.t

# Shared, though it is not installed: that needs an rpath.
noinst_LTLIBRARIES = %D%/unified.la
%C%_unified_la_SOURCES = %D%/unified.c
%C%_unified_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere

noinst_PROGRAMS += %D%/progress
%C%_progress_SOURCES = %D%/progress.c

EXTRA_DIST += $(CLUSTER_TESTS) %D%/cluster %D%/compute.py %D%/demo \
	tests/soak/drain tests/soak/faults tests/soak/fence tests/soak/launch \
	tests/soak/preempt tests/soak/timelimit \
	%D%/lib.sh

.PHONY: check-cluster
check-cluster: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(CLUSTER_TESTS)'
