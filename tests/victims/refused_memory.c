/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * refused_memory KIND: has one thing that cannot be saved, expects that it is
 * named, and goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef SHM_HUGETLB
#define SHM_HUGETLB 04000
#endif

/* UFFDIO_POISON: Linux 6.6 */
struct poison {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define MARK_FAILED _IOWR(UFFDIO, 0x08, struct poison)

static void *map(int flags, int fd, size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);
}

static void *anonymous(void)
{
	return map(MAP_PRIVATE | MAP_ANONYMOUS, -1, 4 * PAGE);
}

/* What is not to be had here is no failure. */
static void want(bool have, const char *what)
{
	if (!have)
		victim_skip("%s: %s", what, strerror(errno));
}

static void secret_memory(void)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);

	want(fd >= 0 && ftruncate(fd, PAGE) == 0, "memfd_secret");
	want(map(MAP_SHARED, fd, PAGE) != MAP_FAILED, "secret memory");
	close(fd);
}

static void secret_file(void)
{
	want(syscall(SYS_memfd_secret, 0) >= 0, "memfd_secret");
}

static void unmap_vdso(void)
{
	void *vdso = (void *)getauxval(AT_SYSINFO_EHDR);

	want(vdso && munmap(vdso, 2 * PAGE) == 0, "munmap of the vDSO");
}

/* Where nothing is: its last byte. */
static void change_vdso(void)
{
	char *vdso = (void *)getauxval(AT_SYSINFO_EHDR);

	want(vdso && mprotect(vdso, 2 * PAGE,
			      PROT_READ | PROT_WRITE | PROT_EXEC) == 0,
	     "mprotect of the vDSO");
	vdso[2 * PAGE - 1] ^= 1;
	mprotect(vdso, 2 * PAGE, PROT_READ | PROT_EXEC);
}

static void aio(void)
{
	aio_context_t ctx = 0;

	want(syscall(SYS_io_setup, 8, &ctx) == 0, "io_setup");
}

static void uring(void)
{
	struct io_uring_params p = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 8, &p);

	want(fd >= 0, "io_uring_setup");
	want(map(MAP_SHARED, fd, PAGE) != MAP_FAILED, "ring");
	close(fd);
}

static void uring_file(void)
{
	struct io_uring_params p = { 0 };

	want(syscall(SYS_io_uring_setup, 8, &p) >= 0, "io_uring_setup");
}

static void sysv(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);

	want(id >= 0 && shmat(id, NULL, 0) != (void *)-1, "shmget");
	shmctl(id, IPC_RMID, NULL);
}

/* Comes back from a namespace, and keeps a segment of it. */
static void sysv_other(void)
{
	int own = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	int id;

	want(own >= 0 && unshare(CLONE_NEWIPC) == 0, "unshare");
	id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	want(id >= 0 && shmat(id, NULL, 0) != (void *)-1, "shmget");
	want(setns(own, CLONE_NEWIPC) == 0, "setns");
	close(own);
}

static void uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)anonymous(), .len = PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	want(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0 &&
		     ioctl(fd, UFFDIO_REGISTER, &reg) == 0,
	     "userfaultfd");
}

/*
 * What is left where memory has failed, and nothing else in a mapping, which
 * has no neighbours like itself: made by a mark, no memory is harmed.
 */
static void failed_memory(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)anonymous(), .len = 4 * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct poison mark = {
		.range = { .start = reg.range.start + PAGE, .len = PAGE },
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	want(madvise((void *)reg.range.start, reg.range.len, MADV_RANDOM) == 0,
	     "madvise");
	want(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0 &&
		     ioctl(fd, UFFDIO_REGISTER, &reg) == 0 &&
		     ioctl(fd, MARK_FAILED, &mark) == 0,
	     "a page that failed (Linux 6.6)");
	close(fd);
}

static void key(void)
{
	int k = pkey_alloc(0, 0);

	want(k >= 0 && pkey_mprotect(anonymous(), PAGE, PROT_READ | PROT_WRITE,
				     k) == 0,
	     "pkey_mprotect");
}

/* Of two keys the lower one is free again. */
static void key_alone(void)
{
	int first = pkey_alloc(0, PKEY_DISABLE_ACCESS);
	int k = pkey_alloc(0, PKEY_DISABLE_ACCESS);

	want(k > 1 && pkey_free(first) == 0, "pkey_alloc");
}

static void sysv_huge(void)
{
	int id = shmget(IPC_PRIVATE, 2ul << 20, IPC_CREAT | SHM_HUGETLB | 0600);

	want(id >= 0 && shmat(id, NULL, 0) != (void *)-1,
	     "shmget of huge pages");
	shmctl(id, IPC_RMID, NULL);
}

static void lowest(void)
{
	want(mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == NULL,
	     "mmap at zero");
}

static void perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.exclude_kernel = 1,
	};

	want(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0,
	     "perf_event_open");
}

static void own_namespace(void)
{
	want(unshare(CLONE_NEWUTS) == 0, "unshare");
}

static char go[4096];

/* Children must not outlive the victim. */
static pid_t start(int flags, int (*fn)(void *))
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t pid;

	snprintf(go, sizeof(go), "%s", victim_path("go"));
	pid = clone(fn, stack + sizeof(stack), flags | SIGCHLD, NULL);
	want(pid > 0, "clone");
	return pid;
}

/* One that shares our memory must not use what victim_path returns. */
static int wait_go(void *arg)
{
	(void)arg;
	while (access(go, F_OK) < 0)
		victim_nap(2000000);
	_exit(0);
}

static void shared_vm(void)
{
	(void)start(CLONE_VM, wait_go);
}

static void shared_files(void)
{
	(void)start(CLONE_FILES, wait_go);
}

static void shared_fs(void)
{
	(void)start(CLONE_FS, wait_go);
}

static void shared_undos(void)
{
	(void)start(CLONE_SYSVSEM, wait_go);
}

/* Where no page can be mapped nobody sees that it would be locked. */
static void no_room(void)
{
	int prot = PROT_READ;

	/* Neighbours that differ stay apart. */
	do
		prot ^= PROT_WRITE;
	while (mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED);
	want(mlockall(MCL_FUTURE) == 0, "mlockall");
}

static void lock_memfd(void)
{
	int fd = memfd_create("locked", 0);
	struct flock all = { .l_type = F_WRLCK };

	want(fd >= 0 && fcntl(fd, F_SETLK, &all) == 0, "lock of a memfd");
}

static void lock_pipe(void)
{
	int ends[2];

	want(pipe(ends) == 0 && flock(ends[0], LOCK_EX) == 0,
	     "flock of a pipe");
}

static const struct kind {
	const char *name, *text;
	void (*make)(void);
} kinds[] = {
	{ "secret-memory", "secret memory", secret_memory },
	{ "secret-file", "secret memory", secret_file },
	{ "aio", "kernel AIO", aio },
	{ "io_uring-ring", "io_uring", uring },
	{ "io_uring-file", "io_uring", uring_file },
	{ "sysv-shm", "System V shared memory", sysv },
	{ "sysv-other", "of another IPC namespace", sysv_other },
	{ "userfaultfd", "userfaultfd", uffd },
	{ "failed-memory", "memory of process", failed_memory },
	{ "protection-key", "protection key", key },
	{ "protection-key-alone", "protection key", key_alone },
	{ "no-room", "no room for one more page", no_room },
	{ "sysv-huge", "System V shared memory", sysv_huge },
	{ "vdso", "0 vDSOs mapped", unmap_vdso },
	{ "changed_vdso", "not as the kernel made it", change_vdso },
	{ "lowest", "lowest addresses", lowest },
	{ "perf", "perf", perf },
	{ "namespace", "namespace of its own (uts)", own_namespace },
	{ "shared-vm", "shares its memory", shared_vm },
	{ "shared-files", "CLONE_FILES", shared_files },
	{ "shared-fs", "CLONE_FS", shared_fs },
	{ "shared-undos", "CLONE_SYSVSEM", shared_undos },
	{ "locked-memfd", "a lock (flock, fcntl) on", lock_memfd },
	{ "locked-pipe", "a lock (flock, fcntl) on", lock_pipe },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (argc < 2)
			puts(kinds[i].name);
		if (argc < 2 || strcmp(kinds[i].name, argv[1]) != 0)
			continue;
		kinds[i].make();
		victim_wait_refused(kinds[i].text);
		while (wait(NULL) > 0)
			;
		victim_verdict(true, "%s is refused by name", argv[1]);
	}
	return argc < 2 ? 0 : 2;
}
