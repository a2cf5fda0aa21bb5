noinst_LIBRARIES += %D%/libstorage.a
%C%_libstorage_a_SOURCES = \
	%D%/as_user.c \
	%D%/attempts.c \
	%D%/attempts.h \
	%D%/as_user.h \
	%D%/bucket.c \
	%D%/bucket.h \
	%D%/catalog.c \
	%D%/catalog.h \
	%D%/ended.c \
	%D%/ended.h \
	%D%/history.c \
	%D%/history.h \
	%D%/next.c \
	%D%/next.h \
	%D%/lease.c \
	%D%/lease.h \
	%D%/own_dir.c \
	%D%/own_dir.h \
	%D%/publish.c \
	%D%/pump.c \
	%D%/pump.h \
	%D%/reader.c \
	%D%/reader.h \
	%D%/ring.c \
	%D%/ring.h \
	%D%/rota.c \
	%D%/rota.h \
	%D%/slots.c \
	%D%/slots.h \
	%D%/small.c \
	%D%/small.h \
	%D%/store.c \
	%D%/store.h \
	%D%/tidy.c \
	%D%/writer.c \
	%D%/writer.h
