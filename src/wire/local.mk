noinst_LIBRARIES += %D%/libwire.a
%C%_libwire_a_SOURCES = \
	%D%/control.c \
	%D%/control.h \
	%D%/launch.h \
	%D%/notify.c \
	%D%/notify.h
