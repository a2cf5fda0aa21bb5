noinst_LIBRARIES += %D%/libconf.a
%C%_libconf_a_SOURCES = \
	%D%/conf.c \
	%D%/conf.h
%C%_libconf_a_CFLAGS = $(AM_CFLAGS) $(CONFUSE_CFLAGS)
