noinst_LIBRARIES += %D%/libresource.a
%C%_libresource_a_SOURCES = %D%/resource.h %D%/restore.h %D%/table.c
%C%_libresource_a_SOURCES += %D%/open_file.c %D%/open_file.h

# One line for each resource.
%C%_libresource_a_SOURCES += %D%/chardev.c
%C%_libresource_a_SOURCES += %D%/eventfd.c
%C%_libresource_a_SOURCES += %D%/memfd.c
%C%_libresource_a_SOURCES += %D%/mm.c
%C%_libresource_a_SOURCES += %D%/shmem.c
%C%_libresource_a_SOURCES += %D%/signalfd.c
%C%_libresource_a_SOURCES += %D%/timerfd.c
%C%_libresource_a_SOURCES += %D%/vma.c
