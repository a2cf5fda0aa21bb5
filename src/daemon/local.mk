sbin_PROGRAMS += jobcrd
jobcrd_SOURCES = \
	%D%/answer.c \
	%D%/crash.c \
	%D%/crash.h \
	%D%/cut.c \
	%D%/cut.h \
	%D%/drain.c \
	%D%/drain.h \
	%D%/drain_job.c \
	%D%/drain_job.h \
	%D%/drain_table.c \
	%D%/drain_table.h \
	%D%/drain_work.c \
	%D%/drain_work.h \
	%D%/due.c \
	%D%/due.h \
	%D%/elsewhere.c \
	%D%/elsewhere.h \
	%D%/event.c \
	%D%/event.h \
	%D%/guard.c \
	%D%/guard.h \
	%D%/hint.c \
	%D%/hint.h \
	%D%/kept.c \
	%D%/kept.h \
	%D%/listen.c \
	%D%/later.c \
	%D%/limits.c \
	%D%/limits.h \
	%D%/fence.h \
	%D%/arrive.c \
	%D%/bounded.c \
	%D%/bounded.h \
	%D%/callers.c \
	%D%/candidate.c \
	%D%/candidate.h \
	%D%/flush.c \
	%D%/flush.h \
	%D%/flushes.c \
	%D%/fence_keep.c \
	%D%/fence_renew.c \
	%D%/fence_renew.h \
	%D%/fence_take.c \
	%D%/main.c \
	%D%/mend.c \
	%D%/mend.h \
	%D%/metrics.c \
	%D%/metrics.h \
	%D%/mounted.c \
	%D%/mounted.h \
	%D%/plan.c \
	%D%/plan.h \
	%D%/preempt.c \
	%D%/preempt.h \
	%D%/requeued.c \
	%D%/requeued.h \
	%D%/retire.c \
	%D%/retire.h \
	%D%/retire_sweep.c \
	%D%/resubmit.c \
	%D%/resubmit.h \
	%D%/revive.c \
	%D%/revive.h \
	%D%/serve.c \
	%D%/server.c \
	%D%/server.h \
	%D%/slurm.c \
	%D%/slurm.h \
	%D%/slurm_node.c \
	%D%/slurm_node.h \
	%D%/subject.c \
	%D%/subject.h \
	%D%/tidy.c \
	%D%/tidy.h \
	%D%/turn.c \
	%D%/warn.c \
	%D%/warn.h \
	%D%/watch.c \
	%D%/writers.c \
	%D%/writers.h
jobcrd_LDADD = \
	src/operation/liboperation.a \
	src/conf/libconf.a \
	src/wire/libwire.a \
	src/wire/libwireproto.a \
	src/kernel/libkernel.a \
	storage/libstorage.a \
	src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(MUNGE_LIBS) $(CONFUSE_LIBS) $(URING_LIBS) -lm

# jobcrd is root's and makes its run directory itself: no sysusers.d, no
# tmpfiles.d.
systemdsystemunit_DATA = %D%/jobcrd.service
%D%/jobcrd.service: %D%/jobcrd.service.in
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	sed 's,@sbindir[@],$(sbindir),' $(srcdir)/%D%/jobcrd.service.in >$@
EXTRA_DIST += %D%/jobcrd.service.in
CLEANFILES += %D%/jobcrd.service
