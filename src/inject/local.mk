noinst_LIBRARIES += %D%/libinject.a
%C%_libinject_a_SOURCES = \
	%D%/await.c \
	%D%/bpf.c \
	%D%/bpf.h \
	%D%/cpu.c \
	%D%/cpu.h \
	%D%/detour.c \
	%D%/filters.c \
	%D%/filters.h \
	%D%/frame.c \
	%D%/frame.h \
	%D%/later.c \
	%D%/memory.c \
	%D%/passage.c \
	%D%/passage.h \
	%D%/place.c \
	%D%/place.h \
	%D%/remote.c \
	%D%/remote.h \
	%D%/remote_parts.h \
	%D%/rewind.c \
	%D%/tracee.c \
	%D%/tracee.h
