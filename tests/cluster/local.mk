# Real Slurm, several nodes as namespaces of this machine.  Needs root and the
# packages that ./bootstrap installs; too slow for every "make check".
CLUSTER_TESTS =

EXTRA_DIST += $(CLUSTER_TESTS) %D%/cluster

.PHONY: check-cluster
check-cluster: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(CLUSTER_TESTS)'
