noinst_LIBRARIES += %D%/libkernel.a
%C%_libkernel_a_SOURCES = \
	%D%/features.c \
	%D%/features.h \
	%D%/hugetlb.c \
	%D%/hugetlb.h \
	%D%/kcmp.c \
	%D%/kcmp.h \
	%D%/maps.c \
	%D%/maps.h \
	%D%/memory_limit.c \
	%D%/memory_limit.h \
	%D%/pagemap.c \
	%D%/proc.c \
	%D%/proc.h \
	%D%/procmap.c \
	%D%/tree.c \
	%D%/tree.h \
	%D%/unix_diag.c \
	%D%/unix_diag.h \
	%D%/unix_queue.c \
	%D%/unix_queue.h \
	%D%/vdso.c \
	%D%/vdso.h
