noinst_LIBRARIES += %D%/libsnapshot.a
%C%_libsnapshot_a_SOURCES = \
	%D%/blocks.c \
	%D%/blocks.h \
	%D%/check.c \
	%D%/copy.c \
	%D%/copy.h \
	%D%/core.c \
	%D%/core.h \
	%D%/core_index.c \
	%D%/core_notes.c \
	%D%/core_parts.h \
	%D%/cow.c \
	%D%/cow.h \
	%D%/diff.c \
	%D%/diff.h \
	%D%/diff_find.c \
	%D%/diff_parts.h \
	%D%/diff_print.c \
	%D%/digest.c \
	%D%/extents.c \
	%D%/extents.h \
	%D%/files.c \
	%D%/files.h \
	%D%/huge.c \
	%D%/huge.h \
	%D%/kinds.c \
	%D%/kinds.h \
	%D%/manifest.c \
	%D%/meta.c \
	%D%/output.c \
	%D%/output.h \
	%D%/output_keep.c \
	%D%/output_range.c \
	%D%/output_range.h \
	%D%/pack.c \
	%D%/pack.h \
	%D%/print.c \
	%D%/print.h \
	%D%/show.c \
	%D%/snapshot.h \
	%D%/stream.c \
	%D%/stream.h \
	%D%/text.c \
	%D%/text.h \
	%D%/verify.c
%C%_libsnapshot_a_CFLAGS = $(AM_CFLAGS) $(GCRYPT_CFLAGS) $(PACK_CFLAGS)
