noinst_LIBRARIES += %D%/libstorage.a
%C%_libstorage_a_SOURCES = \
	%D%/as_user.h \
	%D%/reader.h \
	%D%/store.h \
	%D%/writer.h
