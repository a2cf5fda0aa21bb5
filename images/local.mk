PROTOS = \
	%D%/files.proto \
	%D%/ipc.proto \
	%D%/manifest.proto \
	%D%/mm.proto \
	%D%/net.proto \
	%D%/part.proto \
	%D%/process.proto \
	%D%/signal.proto \
	%D%/task.proto \
	%D%/thread.proto \
	%D%/unix.proto
PROTO_C = $(PROTOS:.proto=.pb-c.c)
PROTO_H = $(PROTOS:.proto=.pb-c.h)

# Generated code is not ours to warn about.
noinst_LIBRARIES += %D%/libproto.a
nodist_%C%_libproto_a_SOURCES = \
	%D%/files.pb-c.c \
	%D%/ipc.pb-c.c \
	%D%/manifest.pb-c.c \
	%D%/mm.pb-c.c \
	%D%/net.pb-c.c \
	%D%/part.pb-c.c \
	%D%/process.pb-c.c \
	%D%/signal.pb-c.c \
	%D%/task.pb-c.c \
	%D%/thread.pb-c.c \
	%D%/unix.pb-c.c
%C%_libproto_a_CFLAGS = -std=gnu11 $(PROTOBUF_C_CFLAGS) $(SANITIZER_CFLAGS)

noinst_LIBRARIES += %D%/libimages.a
%C%_libimages_a_SOURCES = \
	%D%/limits.h \
	%D%/record.c \
	%D%/record.h \
	%D%/tags.c \
	%D%/tags.h

EXTRA_DIST += $(PROTOS)
BUILT_SOURCES += $(PROTO_H)
CLEANFILES += $(PROTO_C) $(PROTO_H)

.proto.pb-c.c:
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	$(PROTOC_C) --proto_path=$(srcdir) --c_out=$(builddir) \
		$(<:$(srcdir)/%=%)
.pb-c.c.pb-c.h:
	@test -f $@ || { rm -f $<; $(MAKE) $(AM_MAKEFLAGS) $<; }
SUFFIXES = .proto .pb-c.c .pb-c.h
