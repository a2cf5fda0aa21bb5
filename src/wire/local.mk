noinst_LIBRARIES += %D%/libwire.a
%C%_libwire_a_SOURCES = \
	%D%/control.c \
	%D%/ask.c \
	%D%/ask.h \
	%D%/control.h \
	%D%/launch.h \
	%D%/notify.c \
	%D%/notify.h
