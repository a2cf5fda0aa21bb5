noinst_LIBRARIES += %D%/libresource.a
%C%_libresource_a_SOURCES = %D%/resource.h %D%/restore.h %D%/table.c
%C%_libresource_a_SOURCES += %D%/open_file.c %D%/open_file.h
%C%_libresource_a_SOURCES += %D%/build_id.c %D%/build_id.h
%C%_libresource_a_SOURCES += %D%/file_image.c %D%/file_image.h
%C%_libresource_a_SOURCES += %D%/file_lock.c %D%/file_lock.h

# One line for each resource.
%C%_libresource_a_SOURCES += %D%/chardev.c
%C%_libresource_a_SOURCES += %D%/eventfd.c
%C%_libresource_a_SOURCES += %D%/memfd.c
%C%_libresource_a_SOURCES += %D%/mm.c
%C%_libresource_a_SOURCES += %D%/regs.c
%C%_libresource_a_SOURCES += %D%/shmem.c
%C%_libresource_a_SOURCES += %D%/signalfd.c
%C%_libresource_a_SOURCES += %D%/timerfd.c
%C%_libresource_a_SOURCES += %D%/vma.c
%C%_libresource_a_SOURCES += %D%/epoll.c
%C%_libresource_a_SOURCES += %D%/file.c
%C%_libresource_a_SOURCES += %D%/ghost.c
%C%_libresource_a_SOURCES += %D%/pipe.c
%C%_libresource_a_SOURCES += %D%/unsupported.c
