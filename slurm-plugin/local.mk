EXTRA_DIST += %D%/plugstack.conf.example

if SLURM
slurmdir = $(libdir)/slurm
slurm_LTLIBRARIES = spank_jobcr.la
# The archives of the lower layers are not position independent: the plugin
# has its own objects of the few files it needs.  Nothing but the hooks may be
# visible in slurmstepd, which has a log_init() too.
spank_jobcr_la_SOURCES = \
	src/util/cgroup.c \
	src/util/err.c \
	src/util/file_policy.c \
	src/util/io.c \
	src/wire/address.c \
	src/wire/ask.c \
	src/wire/control.c \
	src/wire/isa.c \
	src/wire/job_options.c \
	src/wire/notify.c \
	src/wire/record.c \
	src/wire/saving.c \
	src/wire/shelter.c \
	%D%/environment.c \
	%D%/environment.h \
	%D%/launch.c \
	%D%/launch.h \
	%D%/options.c \
	%D%/options.h \
	%D%/reap.c \
	%D%/reap.h \
	%D%/spank_jobcr.c
spank_jobcr_la_CFLAGS = $(AM_CFLAGS)
spank_jobcr_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared \
	-export-symbols-regex '^(slurm_spank_|plugin_|spank_plugin_)'

pkglibexec_PROGRAMS += jobcr-slurm
jobcr_slurm_SOURCES = \
	%D%/jobcr_slurm.c \
	%D%/slurm_limits.c \
	%D%/slurm_limits.h \
	%D%/slurm_node.c \
	%D%/slurm_node.h \
	%D%/slurm_submit.c \
	%D%/slurm_submit.h \
	%D%/slurm_waiting.c \
	%D%/slurm_waiting.h \
	%D%/slurm_window.c \
	%D%/slurm_window.h
jobcr_slurm_LDADD = src/util/libutil.a $(SLURM_LIBS)
endif
