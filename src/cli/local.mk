bin_PROGRAMS += jobcr
jobcr_SOURCES = \
	%D%/archive.c \
	%D%/archive.h \
	%D%/check.c \
	%D%/check.h \
	%D%/check_job.c \
	%D%/check_slurm.c \
	%D%/cli.h \
	%D%/cmd_archive.c \
	%D%/cmd_attach.c \
	%D%/cmd_check.c \
	%D%/cmd_core.c \
	%D%/cmd_diff.c \
	%D%/cmd_features.c \
	%D%/cmd_history.c \
	%D%/cmd_jobs.c \
	%D%/cmd_run.c \
	%D%/cmd_show.c \
	%D%/cmd_status.c \
	%D%/cmd_drain.c \
	%D%/drain_view.c \
	%D%/drain_view.h \
	%D%/elsewhere.c \
	%D%/follow.c \
	%D%/import.c \
	%D%/main.c \
	%D%/print.c \
	%D%/request.c \
	%D%/seals.c \
	%D%/silence.c \
	%D%/silence.h \
	%D%/target.c \
	%D%/target.h \
	%D%/terminal.c \
	%D%/terminal.h \
	%D%/unpack.c
jobcr_CPPFLAGS = $(AM_CPPFLAGS) -DJOBCR_VERSION='"$(VERSION)"'
jobcr_CFLAGS = $(AM_CFLAGS) $(ARCHIVE_CFLAGS)
jobcr_LDADD = \
	src/operation/liboperation.a \
	src/conf/libconf.a \
	src/resource/libresource.a \
	src/snapshot/libsnapshot.a \
	src/repair/librepair.a \
	src/model/libmodel.a \
	src/inject/libinject.a \
	src/wire/libwire.a \
	src/wire/libwireproto.a \
	src/kernel/libkernel.a \
	storage/libstorage.a \
	images/libimages.a \
	images/libproto.a \
	src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(MUNGE_LIBS) $(CONFUSE_LIBS) $(JSON_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS) $(URING_LIBS) $(ARCHIVE_LIBS)

bashcompletion_DATA = %D%/jobcr
%D%/jobcr: %D%/completion.bash
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(srcdir)/%D%/completion.bash $@
EXTRA_DIST += %D%/completion.bash
CLEANFILES += %D%/jobcr
