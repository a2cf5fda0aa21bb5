noinst_LIBRARIES += %D%/libresource.a
%C%_libresource_a_SOURCES = \
	%D%/chardev.c \
	%D%/eventfd.c \
	%D%/open_file.c \
	%D%/open_file.h \
	%D%/resource.h \
	%D%/restore.h \
	%D%/signalfd.c \
	%D%/table.c \
	%D%/timerfd.c
