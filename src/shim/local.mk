pkglibexec_PROGRAMS += jobcr-supervisor
jobcr_supervisor_SOURCES = \
	%D%/forward.c \
	%D%/init.c \
	%D%/ipc.c \
	%D%/main.c \
	%D%/namespace.c \
	%D%/serve.c \
	%D%/shelter.c \
	%D%/shim.h \
	%D%/supervisor.c \
	%D%/supervisor.h \
	%D%/task.c \
	%D%/terminal.c \
	%D%/terminal.h \
	%D%/viewer.c
jobcr_supervisor_LDADD = src/wire/libwire.a src/util/libutil.a
