noinst_LIBRARIES += %D%/libkernel.a
%C%_libkernel_a_SOURCES = \
	%D%/kcmp.c \
	%D%/kcmp.h \
	%D%/maps.c \
	%D%/maps.h \
	%D%/pagemap.c \
	%D%/proc.c \
	%D%/proc.h
