/* SPDX-License-Identifier: GPL-2.0-or-later */
/* refused_task KIND: a process that cannot be saved; must not be hurt. */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/victim.h"

static int semaphores = -1, segment = -1, queue = -1;

static bool without_cpuid(void)
{
	if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) == 0)
		return true;
	if (errno == ENODEV)
		victim_skip("this processor's CPUID cannot fault");
	return false;
}

static bool with_cookie(void)
{
	if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, 0, NULL) == 0)
		return true;
	victim_skip("no core scheduling: %s", strerror(errno));
}

static bool as_flusher(void)
{
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0)
		return true;
	victim_skip("may not be an I/O flusher: %s", strerror(errno));
}

/* Its thread, not its leader, is in a domain that allows everything else. */
static void *landlocked(void *arg)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK,
	};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr),
			      0);

	if (fd >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    syscall(SYS_landlock_restrict_self, fd, 0) == 0)
		*(volatile int *)arg = 1;
	else
		*(volatile int *)arg = -1;
	close(fd);
	victim_wait_go();
	return arg;
}

static bool in_landlock(void)
{
	static volatile int done;
	pthread_t id;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0,
		    LANDLOCK_CREATE_RULESET_VERSION) < 0)
		victim_skip("no Landlock: %s", strerror(errno));
	return pthread_create(&id, NULL, landlocked, (void *)&done) == 0 &&
	       victim_until(done) == 1;
}

static bool with_ldt(void)
{
	struct user_desc entry = { .limit = 1, .useable = 1 };

	return syscall(SYS_modify_ldt, 1, &entry, sizeof(entry)) == 0;
}

static bool with_ports(void)
{
	if (ioperm(0x80, 1, 1) < 0 && errno == ENOSYS)
		victim_skip("this kernel has no ioperm(2)");
	return ioperm(0x80, 1, 1) == 0;
}

static bool with_undo(void)
{
	struct sembuf up = { .sem_op = 1, .sem_flg = SEM_UNDO };

	semaphores = semget(IPC_PRIVATE, 1, 0600);
	return semaphores >= 0 && semop(semaphores, &up, 1) == 0;
}

static bool with_filtered_undo(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };

	return with_undo() && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool with_denied_undo(void)
{
	struct semid_ds ds = {
		.sem_perm = { .uid = getuid(), .gid = getgid(), .mode = 0400 }
	};

	if (getuid() == 0)
		victim_skip("root may change all sets");
	return with_undo() && semctl(semaphores, 0, IPC_SET, &ds) == 0;
}

static void *leave_list(void *arg)
{
	int *done = arg;

	/* The one that a thread is born with is that of all. */
	*done = unshare(CLONE_SYSVSEM) == 0 && with_undo() ? 1 : -1;
	for (;;)
		pause();
	return NULL;
}

static bool with_undo_of_thread(void)
{
	static int done;
	pthread_t t;

	return pthread_create(&t, NULL, leave_list, &done) == 0 &&
	       victim_until(*(volatile int *)&done != 0) && done == 1;
}

static bool with_semaphore(void)
{
	struct sembuf up = { .sem_op = 1 };

	semaphores = semget(IPC_PRIVATE, 3, 0600);
	return semaphores >= 0 && semop(semaphores, &up, 1) == 0;
}

static bool with_shm(void)
{
	segment = shmget(IPC_PRIVATE, 4096, 0600);
	return segment >= 0;
}

static bool with_msg(void)
{
	struct {
		long type;
		char text[8];
	} m = { 1, "hello" };

	queue = msgget(IPC_PRIVATE, 0600);
	return queue >= 0 && msgsnd(queue, &m, sizeof(m.text), 0) == 0;
}

/* A child of ours is traced by us. */
static bool with_tracee(void)
{
	pid_t child = fork();

	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	return waitpid(child, NULL, 0) == child;
}

static bool in_chroot(void)
{
	/* All names go on to be the same, but it is another root. */
	return mkdir("root", 0700) == 0 &&
	       mount("/", "root", NULL, MS_BIND, NULL) == 0 &&
	       chroot("root") == 0 && chdir("/") == 0;
}

/* The directory's name leads elsewhere now. */
static bool under_a_mount(void)
{
	return mkdir("below", 0700) == 0 && chdir("below") == 0 &&
	       mount("none", "../below", "tmpfs", 0, NULL) == 0;
}

/* An adopted child of a session that its new parent never was in. */
static bool with_adopted(void)
{
	pid_t self = getpid(), leader;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return false;
	leader = fork();
	if (leader == 0) {
		setsid();
		if (fork() == 0) {
			victim_until(getppid() == self);
			victim_wait_go();
			_exit(0);
		}
		_exit(0);
	}
	return leader > 0 && waitpid(leader, NULL, 0) == leader;
}

static bool in_user_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static bool with_own_network(void)
{
	return unshare(CLONE_NEWNET) == 0;
}

static bool with_own_mounts(void)
{
	return unshare(CLONE_NEWNS) == 0;
}

static bool with_own_ipc(void)
{
	return unshare(CLONE_NEWIPC) == 0;
}

static bool with_own_cgroups(void)
{
	return unshare(CLONE_NEWCGROUP) == 0;
}

/* Its children would have other clocks. */
static bool with_own_time(void)
{
	return unshare(CLONE_NEWTIME) == 0;
}

static int wait_go(void *arg)
{
	victim_wait_go();
	return arg != NULL;
}

/* The first process of a container: its parent is in no other namespace. */
static bool with_container(void)
{
	static char stack[65536] __attribute__((aligned(16)));

	return clone(wait_go, stack + sizeof(stack), CLONE_NEWPID | SIGCHLD,
		     NULL) > 0;
}

/* A child of a thread, whose end is to be a signal for the child. */
static void *fork_mourner(void *arg)
{
	int ready[2];
	pid_t child;
	char c;

	victim_need(pipe(ready) == 0, "pipe");
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGUSR1);
		(void)!write(ready[1], "", 1);
		victim_wait_go();
		_exit(0);
	}
	close(ready[1]);
	*(volatile int *)arg = child > 0 && read(ready[0], &c, 1) == 1 ? 1 : -1;
	close(ready[0]);
	victim_wait_go();
	return NULL;
}

static bool with_mourner(void)
{
	static volatile int done;
	pthread_t id;

	return pthread_create(&id, NULL, fork_mourner, (void *)&done) == 0 &&
	       victim_until(done) == 1;
}

/* One whose parent has ended: the job's init has it. */
static bool with_orphan_container(void)
{
	int ready[2];
	bool started;
	pid_t child;
	char c;

	if (pipe(ready) < 0)
		return false;
	child = fork();
	if (child == 0) {
		started = with_container();
		(void)!write(ready[1], "", started);
		_exit(0);
	}
	close(ready[1]);
	started = child > 0 && waitpid(child, NULL, 0) == child &&
		  read(ready[0], &c, 1) == 1;
	close(ready[0]);
	return started;
}

static volatile int apart;

static void *unshare_thread(void *flags)
{
	apart = unshare(*(int *)flags) == 0 ? 1 : -1;
	victim_wait_go();
	return NULL;
}

static bool with_thread_apart(int flags)
{
	pthread_t id;

	return pthread_create(&id, NULL, unshare_thread, &flags) == 0 &&
	       victim_until(apart) && apart == 1;
}

static bool with_own_files(void)
{
	return with_thread_apart(CLONE_FILES);
}

static bool with_own_directory(void)
{
	return with_thread_apart(CLONE_FS);
}

static bool leader_is_gone(void)
{
	char text[512], *state;
	FILE *f = fopen("/proc/self/stat", "re");
	bool gone = f && fgets(text, sizeof(text), f) &&
		    (state = strrchr(text, ')')) && state[2] == 'Z';

	if (f)
		fclose(f);
	return gone;
}

static void *survive_leader(void *arg)
{
	victim_need(victim_until(leader_is_gone()), "the leader's end");
	victim_wait_refused("its main thread has ended");
	victim_verdict(!arg, "leader: refused, and unharmed");
}

/* main() ends as a thread does. */
static bool without_leader(void)
{
	pthread_t id;

	if (pthread_create(&id, NULL, survive_leader, NULL) != 0)
		return false;
	pthread_exit(NULL);
}

/* A process that has made and deleted many. */
static bool with_high_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	int id = -1;

	while (id <= 100000) {
		if (id >= 0)
			syscall(SYS_timer_delete, id);
		if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) < 0)
			return false;
	}
	return true;
}

/* A TiB of which it has two pages. */
static bool with_sparse_memory(void)
{
	const size_t room = 1ul << 40;
	char *p = mmap(NULL, room, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return false;
	p[0] = p[room - 1] = 1;
	return true;
}

static const struct kind {
	const char *name, *text;
	bool (*set)(void);
	bool root;
} kinds[] = {
	{ "cpuid", "CPUID", without_cpuid, false },
	{ "cookie", "core scheduling", with_cookie, false },
	{ "flusher", "I/O flusher", as_flusher, true },
	{ "landlock", "Landlock", in_landlock, false },
	{ "ldt", "segments", with_ldt, false },
	{ "ports", "I/O ports", with_ports, true },
	{ "undo", "SEM_UNDO", with_undo, false },
	{ "filtered-undo", "under a seccomp filter", with_filtered_undo,
	  false },
	{ "denied-undo", "may not change it", with_denied_undo, false },
	{ "thread-undo", "semaphore undos of its own", with_undo_of_thread,
	  false },
	{ "semaphore", "semaphores", with_semaphore, false },
	{ "shm", "shared memory", with_shm, false },
	{ "msg", "message queue", with_msg, false },
	{ "traced", "traced", with_tracee, false },
	{ "chroot", "root directory", in_chroot, true },
	{ "mounted", "current directory", under_a_mount, true },
	{ "namespace", "namespace", in_user_namespace, false },
	{ "network", "namespace of its own (net)", with_own_network, true },
	{ "mounts", "namespace of its own (mnt)", with_own_mounts, true },
	{ "ipc", "namespace of its own (ipc)", with_own_ipc, true },
	{ "cgroups", "namespace of its own (cgroup)", with_own_cgroups, true },
	{ "clocks", "namespace of its own (time", with_own_time, true },
	{ "container", " of its own (pid", with_container, true },
	{ "orphan", " of its own (pid", with_orphan_container, true },
	{ "files", "descriptors of its own", with_own_files, false },
	{ "directory", "directory of its own", with_own_directory, false },
	{ "leader", "its main thread has ended", without_leader, false },
	{ "adopted", "cannot be born again", with_adopted, false },
	{ "timer", "a timer with the number 1000", with_high_timer, false },
	{ "sparse", "GiB of nothing", with_sparse_memory, false },
	{ "mourner", "PR_SET_PDEATHSIG", with_mourner, false },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kind *k = &kinds[i];

		if (argc < 2 || strcmp(argv[1], k->name) != 0)
			continue;
		if (k->root && getuid() != 0)
			victim_skip("%s needs root", k->name);
		victim_need(k->set(), k->name);
		victim_wait_refused(k->text);
		if (semaphores >= 0)
			semctl(semaphores, 0, IPC_RMID);
		if (segment >= 0)
			shmctl(segment, IPC_RMID, NULL);
		if (queue >= 0)
			msgctl(queue, IPC_RMID, NULL);
		victim_verdict(victim_interrupts == 0,
			       "%s: refused, and unharmed", k->name);
	}
	return 2;
}
