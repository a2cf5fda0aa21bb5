noinst_LIBRARIES += %D%/libwire.a
%C%_libwire_a_SOURCES = \
	%D%/address.c \
	%D%/address.h \
	%D%/auth.c \
	%D%/auth.h \
	%D%/client.c \
	%D%/client.h \
	%D%/control.c \
	%D%/ask.c \
	%D%/ask.h \
	%D%/control.h \
	%D%/drain_state.h \
	%D%/launch.h \
	%D%/isa.c \
	%D%/isa.h \
	%D%/job_options.c \
	%D%/job_options.h \
	%D%/notify.c \
	%D%/notify.h \
	%D%/record.c \
	%D%/saving.c \
	%D%/saving.h \
	%D%/shelter.c \
	%D%/shelter.h \
	%D%/record.h \
	%D%/terminal.h \
	%D%/frame.c \
	%D%/frame.h \
	%D%/writing.c \
	%D%/writing.h
%C%_libwire_a_CFLAGS = $(AM_CFLAGS) $(MUNGE_CFLAGS)

# What jobcr, jobcrd and jobcr-worker say to each other.
WIRE_PROTOS = %D%/request.proto %D%/worker.proto
noinst_LIBRARIES += %D%/libwireproto.a
nodist_%C%_libwireproto_a_SOURCES = \
	%D%/request.pb-c.c \
	%D%/worker.pb-c.c
%C%_libwireproto_a_CFLAGS = -std=gnu11 $(PROTOBUF_C_CFLAGS) \
	$(SANITIZER_CFLAGS)
EXTRA_DIST += $(WIRE_PROTOS)
BUILT_SOURCES += $(WIRE_PROTOS:.proto=.pb-c.h)
CLEANFILES += $(WIRE_PROTOS:.proto=.pb-c.h) $(WIRE_PROTOS:.proto=.pb-c.c)
