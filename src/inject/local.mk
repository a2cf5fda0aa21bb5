noinst_LIBRARIES += %D%/libinject.a
%C%_libinject_a_SOURCES = \
	%D%/cpu.h \
	%D%/remote.h \
	%D%/tracee.h
