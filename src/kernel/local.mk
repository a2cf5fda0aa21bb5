noinst_LIBRARIES += %D%/libkernel.a
%C%_libkernel_a_SOURCES = \
	%D%/features.c \
	%D%/features.h \
	%D%/hugetlb.c \
	%D%/hugetlb.h \
	%D%/inode_path.c \
	%D%/inode_path.h \
	%D%/ipc.c \
	%D%/ipc.h \
	%D%/kcmp.c \
	%D%/kcmp.h \
	%D%/limits.c \
	%D%/limits.h \
	%D%/maps.c \
	%D%/maps.h \
	%D%/memory_limit.c \
	%D%/memory_limit.h \
	%D%/pagemap.c \
	%D%/proc.c \
	%D%/proc.h \
	%D%/net_address.h \
	%D%/own_address.c \
	%D%/own_address.h \
	%D%/procmap.c \
	%D%/queue_mark.c \
	%D%/queue_mark.h \
	%D%/sockdiag.c \
	%D%/sockdiag.h \
	%D%/tree.c \
	%D%/tree.h \
	%D%/unix_diag.c \
	%D%/unix_diag.h \
	%D%/unix_queue.c \
	%D%/unix_queue.h \
	%D%/vdso.c \
	%D%/vdso.h
