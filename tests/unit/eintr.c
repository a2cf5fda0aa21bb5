/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tree is frozen while each of its processes waits in another system call,
 * calls are injected into all of them, and they go on: none may notice.
 * Sleeps must also end at their time, and the others when they are woken.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/freeze.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define SLEEP_MS  700
#define MAX_CASES 64

/* One process: what it waits on, and what came of it. */
struct scene {
	int pipe[2], sock[2], fd;
	uint32_t futex;
	pid_t pid, child;
	volatile int began, done, error;
	volatile long value;
	volatile uint64_t ms;
};

struct test_case {
	const char *name;
	long (*wait)(struct scene *s);
	void (*wake)(struct scene *s); /* NULL: it ends by its own timeout */
	long value;                    /* expected */
	int error;                     /* expected with value -1 */
};

static const struct timespec sleep_time = { .tv_nsec = SLEEP_MS * 1000000l };
static const struct timespec long_time = { .tv_sec = 30 };

static void wake_pipe(struct scene *s)
{
	if (write(s->pipe[1], "x", 1) != 1)
		abort();
}

static void wake_signal(struct scene *s)
{
	kill(s->pid, SIGUSR1);
}

static int epoll_of_pipe(struct scene *s)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(fd, EPOLL_CTL_ADD, s->pipe[0], &ev);
	return fd;
}

static long wait_epoll(struct scene *s)
{
	struct epoll_event ev;

	return epoll_wait(epoll_of_pipe(s), &ev, 1, -1);
}

static long wait_epoll_long(struct scene *s)
{
	struct epoll_event ev;

	return epoll_wait(epoll_of_pipe(s), &ev, 1, 30000);
}

static long wait_epoll_pwait(struct scene *s)
{
	struct epoll_event ev;
	sigset_t set;

	sigfillset(&set);
	return epoll_pwait(epoll_of_pipe(s), &ev, 1, -1, &set);
}

static long sem_down(struct scene *s, const struct timespec *timeout)
{
	struct sembuf op = { .sem_op = -1 };

	return semtimedop(s->fd, &op, 1, timeout);
}

static long wait_semop(struct scene *s)
{
	return sem_down(s, NULL);
}

static long wait_semtimedop(struct scene *s)
{
	return sem_down(s, &long_time);
}

static void wake_sem(struct scene *s)
{
	struct sembuf op = { .sem_op = 1 };

	semop(s->fd, &op, 1);
}

static long sigwait_for(const struct timespec *timeout)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return sigtimedwait(&set, NULL, timeout);
}

static long wait_sigwaitinfo(struct scene *s)
{
	return sigwait_for(NULL);
}

static long wait_sigtimedwait(struct scene *s)
{
	return sigwait_for(&long_time);
}

static long wait_recv(struct scene *s)
{
	char c;

	return recv(s->sock[0], &c, 1, 0);
}

static long wait_recv_timeout(struct scene *s)
{
	struct timeval tv = { .tv_sec = 30 };

	setsockopt(s->sock[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return wait_recv(s);
}

static long wait_read_timeout(struct scene *s)
{
	struct timeval tv = { .tv_sec = 30 };
	char c;

	setsockopt(s->sock[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return read(s->sock[0], &c, 1);
}

static void wake_sock(struct scene *s)
{
	if (write(s->sock[1], "x", 1) != 1)
		abort();
}

static long wait_io_getevents(struct scene *s)
{
	struct timespec timeout = sleep_time;
	aio_context_t ctx = 0;
	struct io_event ev;

	syscall(SYS_io_setup, 4, &ctx);
	return syscall(SYS_io_getevents, ctx, 1, 1, &ev, &timeout);
}

static long wait_nanosleep(struct scene *s)
{
	struct timespec rest;

	return nanosleep(&sleep_time, &rest);
}

static long wait_nanosleep_plain(struct scene *s)
{
	return nanosleep(&sleep_time, NULL);
}

static long wait_clock_relative(struct scene *s)
{
	return clock_nanosleep(CLOCK_MONOTONIC, 0, &sleep_time, NULL);
}

static long wait_clock_absolute(struct scene *s)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += sleep_time.tv_nsec;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static long wait_poll(struct scene *s)
{
	struct pollfd p = { .fd = s->pipe[0], .events = POLLIN };

	return poll(&p, 1, -1);
}

static long wait_poll_timeout(struct scene *s)
{
	struct pollfd p = { .fd = s->pipe[0], .events = POLLIN };

	return poll(&p, 1, SLEEP_MS);
}

static long wait_ppoll(struct scene *s)
{
	struct pollfd p = { .fd = s->pipe[0], .events = POLLIN };
	struct timespec t = long_time;
	sigset_t set;

	sigfillset(&set);
	return ppoll(&p, 1, &t, &set);
}

static long wait_select(struct scene *s)
{
	struct timeval tv = { .tv_usec = SLEEP_MS * 1000 };

	return select(0, NULL, NULL, NULL, &tv);
}

static void ignore_signal(int sig)
{
}

static long wait_pause(struct scene *s)
{
	signal(SIGUSR1, ignore_signal);
	return pause();
}

static long wait_sigsuspend(struct scene *s)
{
	sigset_t set;

	signal(SIGUSR1, ignore_signal);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&set);
	return sigsuspend(&set);
}

static long futex(struct scene *s, int op, const struct timespec *t)
{
	return syscall(SYS_futex, &s->futex, op, 0, t, NULL,
		       FUTEX_BITSET_MATCH_ANY);
}

static long wait_futex(struct scene *s)
{
	return futex(s, FUTEX_WAIT, NULL);
}

static long wait_futex_long(struct scene *s)
{
	return futex(s, FUTEX_WAIT, &long_time);
}

static long wait_futex_timeout(struct scene *s)
{
	return futex(s, FUTEX_WAIT, &sleep_time);
}

static long wait_futex_absolute(struct scene *s)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += 30;
	return futex(s, FUTEX_WAIT_BITSET, &t);
}

static void wake_futex(struct scene *s)
{
	syscall(SYS_futex, &s->futex, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static long wait_read(struct scene *s)
{
	char c;

	return read(s->pipe[0], &c, 1);
}

static long wait_write(struct scene *s)
{
	char block[4096] = { 0 };

	fcntl(s->pipe[1], F_SETFL, O_NONBLOCK);
	while (write(s->pipe[1], block, sizeof(block)) > 0)
		;
	fcntl(s->pipe[1], F_SETFL, 0);
	errno = 0;
	return write(s->pipe[1], block, sizeof(block));
}

static void wake_write(struct scene *s)
{
	char block[65536];

	if (read(s->pipe[0], block, sizeof(block)) < 0)
		abort();
}

static long wait_child(struct scene *s)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	s->child = pid;
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void wake_child(struct scene *s)
{
	kill(s->child, SIGTERM);
}

static long wait_accept(struct scene *s)
{
	int fd = accept(s->fd, NULL, NULL);

	return fd < 0 ? -1 : 0;
}

static void wake_accept(struct scene *s)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (getsockname(s->fd, (void *)&a, &len) < 0 ||
	    connect(fd, (void *)&a, len) < 0)
		abort();
}

/* The parent holds the lock; a new description of the file waits for it. */
static long wait_flock(struct scene *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	return flock(open(path, O_RDWR), LOCK_EX);
}

static void wake_flock(struct scene *s)
{
	flock(s->fd, LOCK_UN);
}

static long wait_eventfd(struct scene *s)
{
	uint64_t v;

	return read(s->fd, &v, 8);
}

static void wake_eventfd(struct scene *s)
{
	if (write(s->fd, &(uint64_t){ 1 }, 8) != 8)
		abort();
}

static long wait_timerfd(struct scene *s)
{
	struct itimerspec t = { .it_value = sleep_time };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t v;

	timerfd_settime(fd, 0, &t, NULL);
	return read(fd, &v, 8);
}

static long wait_msgrcv(struct scene *s)
{
	char msg[64];

	return msgrcv(s->fd, msg, 8, 0, 0);
}

static void wake_msgrcv(struct scene *s)
{
	long msg[2] = { 1 };

	msgsnd(s->fd, msg, 8, 0);
}

static const struct test_case cases[] = {
	{ "epoll_wait", wait_epoll, wake_pipe, 1 },
	{ "epoll_wait with a timeout", wait_epoll_long, wake_pipe, 1 },
	{ "epoll_pwait", wait_epoll_pwait, wake_pipe, 1 },
	{ "semop", wait_semop, wake_sem, 0 },
	{ "semtimedop", wait_semtimedop, wake_sem, 0 },
	{ "sigwaitinfo", wait_sigwaitinfo, wake_signal, SIGUSR1 },
	{ "sigtimedwait", wait_sigtimedwait, wake_signal, SIGUSR1 },
	{ "recv", wait_recv, wake_sock, 1 },
	{ "recv with SO_RCVTIMEO", wait_recv_timeout, wake_sock, 1 },
	{ "read of a socket with SO_RCVTIMEO", wait_read_timeout, wake_sock,
	  1 },
	{ "io_getevents", wait_io_getevents, NULL, 0 },
	{ "nanosleep", wait_nanosleep, NULL, 0 },
	{ "nanosleep without remainder", wait_nanosleep_plain, NULL, 0 },
	{ "clock_nanosleep", wait_clock_relative, NULL, 0 },
	{ "clock_nanosleep to a time", wait_clock_absolute, NULL, 0 },
	{ "poll", wait_poll, wake_pipe, 1 },
	{ "poll with a timeout", wait_poll_timeout, NULL, 0 },
	{ "ppoll", wait_ppoll, wake_pipe, 1 },
	{ "select with a timeout", wait_select, NULL, 0 },
	{ "pause", wait_pause, wake_signal, -1, EINTR },
	{ "sigsuspend", wait_sigsuspend, wake_signal, -1, EINTR },
	{ "futex", wait_futex, wake_futex, 0 },
	{ "futex with a timeout, woken", wait_futex_long, wake_futex, 0 },
	{ "futex with a timeout", wait_futex_timeout, NULL, -1, ETIMEDOUT },
	{ "futex to a time", wait_futex_absolute, wake_futex, 0 },
	{ "read of a pipe", wait_read, wake_pipe, 1 },
	{ "write to a full pipe", wait_write, wake_write, 4096 },
	{ "waitpid", wait_child, wake_child, SIGTERM },
	{ "accept", wait_accept, wake_accept, 0 },
	{ "flock", wait_flock, wake_flock, 0 },
	{ "read of an eventfd", wait_eventfd, wake_eventfd, 8 },
	{ "read of a timerfd", wait_timerfd, NULL, 8 },
	{ "msgrcv", wait_msgrcv, wake_msgrcv, 8 },
};
#define CASES ARRAY_SIZE(cases)

static void prepare(const struct test_case *c, struct scene *s)
{
	char path[] = "/tmp/jobcr-eintr.XXXXXX";
	struct sockaddr_un any = { .sun_family = AF_UNIX };

	memset(s, 0, sizeof(*s));
	if (pipe2(s->pipe, O_CLOEXEC) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->sock) < 0)
		abort();
	if (c->wake == wake_sem)
		s->fd = semget(IPC_PRIVATE, 1, 0600);
	else if (c->wake == wake_msgrcv)
		s->fd = msgget(IPC_PRIVATE, 0600);
	else if (c->wake == wake_eventfd)
		s->fd = eventfd(0, EFD_CLOEXEC);
	else if (c->wake == wake_accept) {
		s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bind(s->fd, (void *)&any, sizeof(any.sun_family));
		listen(s->fd, 1);
	} else if (c->wake == wake_flock) {
		s->fd = mkostemp(path, O_CLOEXEC);
		flock(s->fd, LOCK_EX);
		unlink(path);
	} else {
		s->fd = -1;
	}
	if (s->fd < 0 && (c->wake == wake_sem || c->wake == wake_msgrcv ||
			  c->wake == wake_accept))
		abort();
}

static void clear(const struct test_case *c, struct scene *s)
{
	if (c->wake == wake_sem)
		semctl(s->fd, 0, IPC_RMID);
	else if (c->wake == wake_msgrcv)
		msgctl(s->fd, IPC_RMID, NULL);
	else if (s->fd >= 0)
		close(s->fd);
	for (int i = 0; i < 2; i++) {
		close(s->pipe[i]);
		close(s->sock[i]);
	}
}

/* The tree: a root that waits, and one child per case. */
static void act(const struct test_case *c, struct scene *s)
{
	uint64_t t = clock_monotonic_ns();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	s->began = 1;
	errno = 0;
	s->value = c->wait(s);
	s->error = errno;
	s->ms = (clock_monotonic_ns() - t) / 1000000;
	s->done = 1;
	_exit(0);
}

static pid_t spawn_tree(struct scene *scenes)
{
	pid_t root = fork();

	if (root)
		return root;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < CASES; i++) {
		pid_t pid = fork();

		if (pid == 0)
			act(&cases[i], &scenes[i]);
		scenes[i].pid = pid;
	}
	for (;;)
		pause();
}

/* Sleeping, with the call that it is in: a deadline, no fixed wait. */
static bool is_blocked(pid_t pid)
{
	auto_close int fd = -EBADF;
	struct proc_stat st;
	struct err err;

	return pid > 0 && proc_open(pid, 0, &fd, &err) == 0 &&
	       proc_read_stat(fd, &st, &err) == 0 && st.state == 'S';
}

static void await_blocked(struct scene *scenes)
{
	uint64_t deadline = clock_monotonic_ns() + 10 * NSEC_PER_SEC;
	struct timespec t = { .tv_nsec = 1000000 };

	for (size_t i = 0; i < CASES; i++)
		while (!(scenes[i].began && is_blocked(scenes[i].pid)) &&
		       clock_monotonic_ns() < deadline)
			nanosleep(&t, NULL);
}

static int inject(struct frozen_task *task, const struct remote *like, bool end,
		  struct err *err)
{
	static const long calls[] = { SYS_getppid, SYS_sched_yield,
				      SYS_getuid };
	struct tracee *t = &task->threads[0].tracee;
	int64_t value;
	int r;

	r = remote_new(task->pid, t, like, &task->remote, err);
	r = r < 0 ? r : remote_begin(task->remote, t, err);
	for (size_t i = 0; i < ARRAY_SIZE(calls) && r == 0; i++)
		r = remote_call(task->remote, "call", &value, err, calls[i], 0,
				0, 0, 0, 0, 0);
	return r < 0 || !end ? r : remote_end(task->remote, err);
}

enum mode { STOP, CALL, TWICE, DIE, LATE, MODES };
static const char *const mode_names[] = { "stopped", "called", "called twice",
					  "left by a tracer that was killed",
					  "stopped too late" };

/* Before others on the only CPU: they cannot stop while we do not sleep. */
static int come_first(struct err *err)
{
	const struct sched_param first = { .sched_priority = 1 };

	return sched_setscheduler(0, SCHED_FIFO, &first) < 0
		       ? err_sys(err, "SCHED_FIFO")
		       : 0;
}

static void stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	(void)sched_setaffinity(0, sizeof(here), &here);
}

static int freeze_once(pid_t root, enum mode mode, struct err *err)
{
	struct tree_members members = { .root_pid = root };
	struct frozen_tree tree;
	uint64_t deadline = mode == LATE ? 1 : 10 * NSEC_PER_SEC;
	int r = mode == LATE ? come_first(err) : 0;

	r = r < 0 ? r : tree_freeze(&members, deadline, &tree, err);
	if (mode == LATE)
		return r == -ETIMEDOUT ? 0 : -EINVAL;
	if (r < 0)
		return r;
	for (size_t i = 0; i < tree.ntasks && r == 0 && mode != STOP; i++)
		r = inject(&tree.tasks[i], i ? tree.tasks[i - 1].remote : NULL,
			   mode != DIE, err);
	if (r == 0 && mode == DIE)
		raise(SIGKILL);
	if (r == 0)
		r = tree_thaw(&tree, err);
	tree_free(&tree);
	return r;
}

/* The tracer is a process of its own, as the worker is. */
static bool freeze(pid_t root, enum mode mode)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct err err = { 0 };
		int r = freeze_once(root, mode, &err);

		if (r == 0 && mode == TWICE)
			r = freeze_once(root, mode, &err);
		if (r < 0)
			diag("%s", err.text);
		_exit(r == 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	return mode == DIE ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
			   : status == 0;
}

static bool await_done(struct scene *s)
{
	uint64_t deadline = clock_monotonic_ns() + 5 * NSEC_PER_SEC;

	while (!s->done && clock_monotonic_ns() < deadline)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	return s->done;
}

static void judge(const struct test_case *c, struct scene *s, bool was_done,
		  enum mode mode)
{
	bool in_time = true;

	if (c->wake && !was_done)
		c->wake(s);
	if (!await_done(s)) {
		ok(false, "%s, %s, comes back", c->name, mode_names[mode]);
		return;
	}
	if (!c->wake)
		in_time = s->ms >= SLEEP_MS - 1 && s->ms < 3 * SLEEP_MS;
	if (!ok(!was_done && s->value == c->value && s->error == c->error &&
			in_time,
		"%s, %s, notices nothing", c->name, mode_names[mode]))
		diag("early %d value %ld errno %d after %lu ms", was_done,
		     s->value, s->error, (unsigned long)s->ms);
}

static void run(enum mode mode, struct scene *scenes)
{
	bool was_done[MAX_CASES];
	pid_t root;

	for (size_t i = 0; i < CASES; i++)
		prepare(&cases[i], &scenes[i]);
	root = spawn_tree(scenes);
	await_blocked(scenes);
	ok(freeze(root, mode), "the tree is frozen and thawed: %s",
	   mode_names[mode]);
	/* Whoever was thrown out of its call would be through by now. */
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	for (size_t i = 0; i < CASES; i++)
		was_done[i] = scenes[i].done;
	for (size_t i = 0; i < CASES; i++)
		judge(&cases[i], &scenes[i], was_done[i], mode);
	kill(root, SIGKILL);
	waitpid(root, NULL, 0);
	for (size_t i = 0; i < CASES; i++)
		clear(&cases[i], &scenes[i]);
}

int main(void)
{
	struct scene *scenes =
		mmap(NULL, MAX_CASES * sizeof(*scenes), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (scenes == MAP_FAILED)
		return 1;
	if (geteuid() != 0)
		skip_all("freezing the children of another process needs root");
	stay_here();
	for (int mode = 0; mode < MODES; mode++)
		run((enum mode)mode, scenes);
	return done_testing();
}
