noinst_LIBRARIES += %D%/libmodel.a
%C%_libmodel_a_SOURCES = \
	%D%/mapping.c \
	%D%/mapping.h \
	%D%/object.c \
	%D%/object.h \
	%D%/refusal.c \
	%D%/refusal.h
