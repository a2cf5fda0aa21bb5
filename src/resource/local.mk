noinst_LIBRARIES += %D%/libresource.a
%C%_libresource_a_SOURCES = \
	%D%/resource.h \
	%D%/restore.h \
	%D%/table.c
