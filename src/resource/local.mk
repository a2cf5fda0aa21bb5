noinst_LIBRARIES += %D%/libresource.a
%C%_libresource_a_SOURCES = %D%/resource.h %D%/restore.h %D%/table.c
%C%_libresource_a_SOURCES += %D%/open_file.c %D%/open_file.h
%C%_libresource_a_SOURCES += %D%/holder.c %D%/holder.h
%C%_libresource_a_SOURCES += %D%/pts.c %D%/pts.h \
	%D%/terminal_state.c %D%/terminal_state.h
%C%_libresource_a_SOURCES += %D%/build_id.c %D%/build_id.h
%C%_libresource_a_SOURCES += %D%/file_image.c %D%/file_image.h
%C%_libresource_a_SOURCES += %D%/file_lock.c %D%/file_lock.h \
	%D%/file_tail.c %D%/file_tail.h

# One line for each resource.
%C%_libresource_a_SOURCES += %D%/chardev.c
%C%_libresource_a_SOURCES += %D%/creds.c
%C%_libresource_a_SOURCES += %D%/eventfd.c
%C%_libresource_a_SOURCES += %D%/pidfd.c
%C%_libresource_a_SOURCES += %D%/inotify.c
%C%_libresource_a_SOURCES += %D%/fs.c
%C%_libresource_a_SOURCES += %D%/landlock.c
%C%_libresource_a_SOURCES += %D%/memfd.c
%C%_libresource_a_SOURCES += %D%/mm.c
%C%_libresource_a_SOURCES += %D%/pty.c
%C%_libresource_a_SOURCES += %D%/regs.c
%C%_libresource_a_SOURCES += %D%/process.c
%C%_libresource_a_SOURCES += %D%/rlimit.c
%C%_libresource_a_SOURCES += %D%/sched.c
%C%_libresource_a_SOURCES += %D%/seccomp.c
%C%_libresource_a_SOURCES += %D%/shmem.c
%C%_libresource_a_SOURCES += %D%/sigaction.c
%C%_libresource_a_SOURCES += %D%/signalfd.c
%C%_libresource_a_SOURCES += %D%/sigqueue.c
%C%_libresource_a_SOURCES += %D%/sysv_ipc.c
%C%_libresource_a_SOURCES += %D%/terminal.c %D%/terminal.h
%C%_libresource_a_SOURCES += %D%/thread.c
%C%_libresource_a_SOURCES += %D%/timer.c
%C%_libresource_a_SOURCES += %D%/timerfd.c
%C%_libresource_a_SOURCES += %D%/tty.c
%C%_libresource_a_SOURCES += %D%/vma.c
%C%_libresource_a_SOURCES += %D%/mempolicy.c
%C%_libresource_a_SOURCES += %D%/epoll.c
%C%_libresource_a_SOURCES += %D%/file.c
%C%_libresource_a_SOURCES += %D%/ghost.c
%C%_libresource_a_SOURCES += %D%/pipe.c
%C%_libresource_a_SOURCES += %D%/unsupported.c
