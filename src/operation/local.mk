noinst_LIBRARIES += %D%/liboperation.a
%C%_liboperation_a_SOURCES = \
	%D%/apart.c \
	%D%/apart.h \
	%D%/aside.c \
	%D%/aside.h \
	%D%/attach.c \
	%D%/authorise.c \
	%D%/checkpoint.c \
	%D%/checkpoint.h \
	%D%/chronicle.c \
	%D%/chronicle.h \
	%D%/counters.c \
	%D%/counters.h \
	%D%/delete.c \
	%D%/history.c \
	%D%/hooks.c \
	%D%/ids.c \
	%D%/jobs.c \
	%D%/keep.c \
	%D%/launch.c \
	%D%/launch.h \
	%D%/lease.c \
	%D%/lease.h \
	%D%/operation.c \
	%D%/operation.h \
	%D%/parts.h \
	%D%/progress.c \
	%D%/progress.h \
	%D%/restore.c \
	%D%/run.c \
	%D%/seals.c \
	%D%/status.c \
	%D%/way.c \
	%D%/way.h \
	%D%/worker.c \
	%D%/worker.h
