noinst_LIBRARIES += %D%/libutil.a
%C%_libutil_a_SOURCES = \
	%D%/address_map.c \
	%D%/address_map.h \
	%D%/cgroup.c \
	%D%/cgroup.h \
	%D%/file_policy.c \
	%D%/file_policy.h \
	%D%/path_map.c \
	%D%/path_map.h \
	%D%/cleanup.h \
	%D%/clock.h \
	%D%/copy_out.c \
	%D%/copy_out.h \
	%D%/crc32c.c \
	%D%/crc32c.h \
	%D%/devpts.c \
	%D%/devpts.h \
	%D%/err.c \
	%D%/err.h \
	%D%/io.c \
	%D%/io.h \
	%D%/keep_tracer.c \
	%D%/keep_tracer.h \
	%D%/log.c \
	%D%/log.h \
	%D%/place.c \
	%D%/place.h \
	%D%/pty_copy.c \
	%D%/pty_copy.h \
	%D%/queue_copy.c \
	%D%/queue_copy.h \
	%D%/spans.c \
	%D%/spans.h \
	%D%/watches.c \
	%D%/watches.h \
	%D%/tty_input.c \
	%D%/tty_input.h
