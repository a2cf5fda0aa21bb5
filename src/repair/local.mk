noinst_LIBRARIES += %D%/librepair.a
%C%_librepair_a_SOURCES = \
	%D%/chain.c \
	%D%/chain.h \
	%D%/datagram.c \
	%D%/datagram.h \
	%D%/datagrams.c \
	%D%/datagrams.h \
	%D%/half.c \
	%D%/half.h \
	%D%/leftover.c \
	%D%/leftover.h \
	%D%/pair.c \
	%D%/pair.h \
	%D%/setsockopt.h \
	%D%/stream.c \
	%D%/stream.h
