/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/kcmp.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 3 is "different, and no order": the kernel gives it for no kind of ours. */
static int finish(long v, const char *what, int *ret, struct err *err)
{
	if (v < 0)
		return err_sys(err, "kcmp %s", what);
	*ret = (int)v;
	return 0;
}

int kcmp_tasks(pid_t a, pid_t b, enum kcmp_kind kind, int *ret, struct err *err)
{
	static const int types[] = {
		[KCMP_KIND_FILE] = KCMP_FILE,       [KCMP_KIND_VM] = KCMP_VM,
		[KCMP_KIND_FILES] = KCMP_FILES,     [KCMP_KIND_FS] = KCMP_FS,
		[KCMP_KIND_SIGHAND] = KCMP_SIGHAND, [KCMP_KIND_IO] = KCMP_IO,
		[KCMP_KIND_SYSVSEM] = KCMP_SYSVSEM,
	};
	long v = syscall(SYS_kcmp, a, b, types[kind], 0, 0);

	return finish(v, "of tasks", ret, err);
}

/* To make a thread gives the maker a list: leave it each time. */
int kcmp_has_undos(pid_t tid, bool *ret, struct err *err)
{
	int differs = 0, r;

	if (unshare(CLONE_SYSVSEM) < 0)
		return err_sys(err, "leave a list of semaphore undos");
	r = kcmp_tasks(gettid(), tid, KCMP_KIND_SYSVSEM, &differs, err);
	if (r < 0)
		return err_wrap(err, r, "semaphore undos");
	*ret = differs != 0;
	return 0;
}

int kcmp_files(pid_t a, int fd_a, pid_t b, int fd_b, int *ret, struct err *err)
{
	long v = syscall(SYS_kcmp, a, b, KCMP_FILE, fd_a, fd_b);

	return finish(v, "of descriptors", ret, err);
}

int kcmp_epoll(pid_t a, int fd_a, pid_t b, int epfd, int tfd, uint32_t nth,
	       int *ret, struct err *err)
{
	struct kcmp_epoll_slot slot = { .efd = (uint32_t)epfd,
					.tfd = (uint32_t)tfd,
					.toff = nth };
	long v = syscall(SYS_kcmp, a, b, KCMP_EPOLL_TFD, fd_a, &slot);

	return finish(v, "of an epoll entry", ret, err);
}
