noinst_LIBRARIES += %D%/libkernel.a
%C%_libkernel_a_SOURCES = \
	%D%/maps.h \
	%D%/proc.h
