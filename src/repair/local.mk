noinst_LIBRARIES += %D%/librepair.a
%C%_librepair_a_SOURCES = \
	%D%/chain.c \
	%D%/chain.h \
	%D%/leftover.c \
	%D%/leftover.h \
	%D%/pair.c \
	%D%/pair.h \
	%D%/stream.c \
	%D%/stream.h
