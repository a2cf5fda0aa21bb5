/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process that slurmstepd or the caller of `jobcr run` knows as the task.
 * It stands outside the job's pid namespace, forwards signals, answers the
 * control socket and ends as the job's root did.  It needs no jobcrd.
 */
#include "shim/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/devpts.h"
#include "util/io.h"
#include "util/log.h"
#include "util/place.h"
#include "wire/launch.h"
#include "wire/notify.h"
#include "wire/record.h"

/* A local restore whose worker does not come ends by itself. */
#define RESTORE_IDLE (60 * NSEC_PER_SEC)
#define RENOTIFY     (5 * NSEC_PER_SEC)
#define NO_DIR       0700
#define POLLED       (4 + CLIENTS_MAX + TERMINAL_POLLED)

static int make_dirs(struct supervisor *s, struct err *err)
{
	const char *run = s->opt->run_dir;
	auto_close int fd = -EBADF;
	char path[512];

	snprintf(path, sizeof(path), "%s/jobs", run);
	if ((mkdir(run, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(path, NO_DIR) < 0 && errno != EEXIST))
		return err_sys(err, "%s", path);
	snprintf(path, sizeof(path), "%s/jobs/%s", run, s->opt->job_id);
	if (mkdir(path, NO_DIR) < 0 && errno != EEXIST)
		return err_sys(err, "%s", path);
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", path);
	s->dir_fd = take_fd(&fd);
	return 0;
}

/* One supervisor per job and node; what a dead one left is removed. */
static int claim(struct supervisor *s, struct err *err)
{
	auto_close int other = -EBADF;
	struct err unused;
	int r = make_dirs(s, err);

	if (r < 0)
		return r;
	if (control_connect(s->opt->run_dir, s->opt->job_id, &other, &unused) ==
	    0)
		return err_set(err, -EEXIST, "job %s runs on this node already",
			       s->opt->job_id);
	return serve_listen(s, err);
}

/* What was checked at submit: a job is not lost over it now. */
static void take_options(struct supervisor *s)
{
	struct err err = { 0 };

	if (s->opt->options &&
	    job_options_parse(s->opt->options, &s->info.options, &err) < 0)
		log_warning(s->opt->job_id, "options not taken: %s", err.text);
}

static void fill_info(struct supervisor *s)
{
	const struct shim_options *opt = s->opt;
	struct control_info *i = &s->info;

	snprintf(i->job_id, sizeof(i->job_id), "%s", opt->job_id);
	snprintf(i->name, sizeof(i->name), "%s", opt->name ? opt->name : "");
	snprintf(i->carry, sizeof(i->carry), "%s",
		 opt->carry ? opt->carry : "");
	take_options(s);
	i->state = CONTROL_STARTING;
	i->supervisor_pid = getpid();
	i->uid = opt->uid;
	i->gid = opt->gid;
	i->slurm = opt->slurm;
	i->generation = opt->generation;
	i->started_ns = clock_ns(CLOCK_REALTIME);
}

/*
 * Where the job's output goes, if it is a regular file with a name: a
 * restore puts it back to its size at the cut.  A file that others append to
 * is not the job's alone.
 */
static void note_output(const struct supervisor *s, int fd, char *ret,
			size_t room)
{
	struct stat st;
	char link[64];
	ssize_t n;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    !st.st_nlink || (!s->opt->slurm && (flags & O_APPEND)))
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, room - 1);
	ret[n > 0 ? n : 0] = '\0';
	if (n == (ssize_t)room - 1)
		*ret = '\0';
}

static void note_outputs(struct supervisor *s, int out, int errors)
{
	note_output(s, out, s->info.stdout_path, sizeof(s->info.stdout_path));
	note_output(s, errors, s->info.stderr_path,
		    sizeof(s->info.stderr_path));
}

/*
 * The terminal of jobcr run stays, for one last line.  A pipe does not: its
 * reader must see the job close it.
 */
static void null_stdio(struct supervisor *s)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), i;

	if (!s->terminal && isatty(2))
		s->tty_fd = fcntl(2, F_DUPFD_CLOEXEC, 3);
	for (i = 0; i < 3; i++) {
		if (fd >= 0)
			dup2(fd, i);
		else
			close(i);
	}
	if (fd > 2)
		close(fd);
}

static void alive(struct supervisor *s, pid_t root, pid_t ns_pid)
{
	s->root = root;
	s->info.root_ns_pid = ns_pid;
	serve_alive(s);
}

/*
 * Pseudo terminals of the job's own have the same numbers after a restore.
 * Who has a terminal of the node must find it by its name, though.
 */
static void own_devpts(const struct supervisor *s, const int fds[3])
{
	struct err err = { 0 };

	if (isatty(fds[0]) || isatty(fds[1]) || isatty(fds[2]) ||
	    devpts_is_own(s->init))
		return;
	if (devpts_mount_in(s->spaces.init_pidfd, &err) < 0)
		log_warning(s->opt->job_id,
			    "pseudo terminals are not saved: %s", err.text);
}

static int make_spaces(struct supervisor *s, struct err *err)
{
	int r = spaces_make(s->info.options.ipc == JOB_IPC_HOST, &s->spaces,
			    err);

	if (r < 0)
		return r;
	s->have_spaces = true;
	s->init = s->info.init_pid = s->spaces.init;
	return 0;
}

static int open_puppet(struct supervisor *s, struct err *err)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/jobcr-puppet", s->opt->libexec);
	s->puppet_fd = open(path, O_PATH | O_CLOEXEC);
	return s->puppet_fd < 0 ? err_sys(err, "%s", path) : 0;
}

/* Who wants to look is there from the first byte, unless it is detached. */
static int begin_terminal(struct supervisor *s, struct err *err)
{
	auto_close int viewer = fcntl(1, F_DUPFD_CLOEXEC, 3);
	struct winsize size = { 0 };
	struct err unused;
	int r = serve_make_terminal(s, 0, err);

	if (r < 0 || viewer < 0)
		return r;
	(void)ioctl(s->terminal->slave, TIOCGWINSZ, &size);
	if (terminal_attach(s->terminal, viewer, 0, size.ws_row, size.ws_col,
			    &unused) == 0)
		(void)take_fd(&viewer);
	return 0;
}

/* The first run of a local job. */
static int begin_run(struct supervisor *s, const sigset_t *mask,
		     int *ret_status, struct err *err)
{
	static const int standard[] = { 0, 1, 2 };
	struct shim_task task;
	int r;

	if (!s->opt->pty)
		note_outputs(s, 1, 2);
	r = make_spaces(s, err);
	if (r == 0 && s->opt->pty)
		r = begin_terminal(s, err);
	else if (r == 0)
		own_devpts(s, standard);
	if (r < 0)
		return r;
	r = task_start(s->opt, &s->spaces, mask,
		       s->terminal ? s->terminal->slave : -1, &task, err);
	if (r < 0) {
		*ret_status = task.status;
		return r;
	}
	alive(s, task.pid, task.ns_pid);
	null_stdio(s);
	return 0;
}

/* A local restore: a worker comes to the control socket and builds it. */
static int begin_restore(struct supervisor *s, struct err *err)
{
	static const int standard[] = { 0, 1, 2 };
	int i, r;

	note_outputs(s, 1, 2);
	r = open_puppet(s, err);
	if (r == 0)
		r = make_spaces(s, err);
	if (r < 0)
		return r;
	own_devpts(s, standard);
	for (i = 0; i < 3; i++) {
		s->stdio[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
		if (s->stdio[i] < 0)
			s->stdio[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	null_stdio(s);
	s->info.state = CONTROL_RESTORING;
	return 0;
}

static int begin_launch(struct supervisor *s, struct err *err)
{
	int r = 0;

	s->launch_fd = LAUNCH_FD;
	if (s->opt->restore)
		return open_puppet(s, err);
	r = spaces_adopt(s->opt->init, LAUNCH_FD + 1, &s->spaces, err);
	if (r < 0)
		return r;
	s->have_spaces = true;
	s->init = s->info.init_pid = s->spaces.init;
	return 0;
}

/* The plugin's side has reached task_init: cgroups and CPUs are settled. */
static int launch_ready(struct supervisor *s, const int *fds, struct err *err)
{
	pid_t child = s->opt->child, ns_pid;
	int i, r;

	note_outputs(s, fds[1], fds[2]);
	if (s->opt->restore) {
		/* Ended here, the job would be over: jobcrd sees to it. */
		if (make_spaces(s, &s->no_spaces) == 0)
			own_devpts(s, fds);
		for (i = 0; i < 3; i++)
			s->stdio[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		s->info.state = CONTROL_RESTORING;
		s->next_notify = clock_monotonic_ns();
		return 0;
	}
	own_devpts(s, fds);
	place_like(s->init, getpid());
	place_like(child, getpid());
	r = task_ns_pid(child, &ns_pid, err);
	if (r < 0)
		return r;
	alive(s, child, ns_pid);
	return 0;
}

static void launch_read(struct supervisor *s)
{
	struct launch_message msg = { 0 };
	int fds[3] = { -1, -1, -1 };
	size_t len, count = 3;
	struct err err;
	int r = recv_fds(s->launch_fd, &msg, sizeof(msg), &len, fds, &count,
			 &err);

	if (r == 0 && len == sizeof(msg) && msg.magic == LAUNCH_MAGIC &&
	    msg.kind == LAUNCH_READY && count == 3)
		r = launch_ready(s, fds, &err);
	else if (r == 0)
		r = -EBADMSG;
	while (count)
		close(fds[--count]);
	msg = (struct launch_message){ LAUNCH_MAGIC, LAUNCH_GO };
	if (r == 0)
		(void)!send(s->launch_fd, &msg, sizeof(msg), MSG_NOSIGNAL);
	/* Without the answer the other side ends, and so does the task. */
	close(s->launch_fd);
	s->launch_fd = -1;
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->root)
			serve_root_ended(s, status);
		else if (pid == s->built) {
			s->built = 0;
			s->built_ended = true;
			s->built_status = status;
		} else if (pid == s->helper)
			s->helper = 0;
		else if (pid == s->init)
			s->init = s->info.init_pid = 0;
		else if (pid == s->opt->child && !s->opt->restore)
			serve_root_ended(s, status);
	}
	/* Without init no process can be made: a restore has no hope. */
	if (s->have_spaces && !s->init && !s->root && !s->over && !s->linger) {
		s->over = true;
		s->abort_status = EXIT_SHIM;
	}
}

static bool finished(struct supervisor *s)
{
	return s->over && !s->root && !s->built && !s->init &&
	       !serve_guarded(s) &&
	       (!s->terminal ||
		terminal_finished(s->terminal, clock_monotonic_ns()));
}

static void read_init(struct supervisor *s)
{
	uint8_t byte;
	ssize_t n = recv(s->spaces.init_fd, &byte, 1, MSG_DONTWAIT);

	if (n == 1)
		forward_init(s, byte);
	else if (n == 0) {
		close(s->spaces.init_fd);
		s->spaces.init_fd = -1;
	}
}

/* Restores that wait: remind jobcrd, or give up. */
static uint64_t restore_due(struct supervisor *s, uint64_t now)
{
	struct err unused;

	if (s->info.state != CONTROL_RESTORING || s->over || serve_busy(s))
		return 0;
	if (s->opt->slurm) {
		if (now >= s->next_notify) {
			(void)notify_send(s->opt->run_dir, s->opt->job_id,
					  NOTIFY_RESTORE, s->info.generation,
					  &unused);
			s->next_notify = now + RENOTIFY;
		}
		return s->next_notify;
	}
	if (!s->idle_since)
		s->idle_since = now;
	if (now - s->idle_since >= RESTORE_IDLE) {
		s->abort_status = EXIT_SHIM;
		s->over = true;
		if (s->init)
			kill(s->init, SIGKILL);
	}
	return s->idle_since + RESTORE_IDLE;
}

/* The worker died between its word that the job ends and the deed. */
static uint64_t leave_due(struct supervisor *s, uint64_t now)
{
	if (!s->left_until || s->over || !s->root)
		return 0;
	if (s->left_until <= now) {
		s->left_until = 0;
		s->info.state = CONTROL_ALIVE;
	}
	return s->left_until;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static int poll_timeout(struct supervisor *s, uint64_t now, uint64_t other)
{
	uint64_t next = sooner(sooner(forward_due(s, now), leave_due(s, now)),
			       restore_due(s, now));

	next = sooner(next, other);
	if (!next)
		return -1;
	return next <= now ? 0 : (int)((next - now) / 1000000 + 1);
}

/* For those who ask while we are suspended. */
static void tell_record(struct supervisor *s)
{
	struct record_info record = { .info = s->info };
	struct err unused;

	if (memcmp(&s->told, &s->info, sizeof(s->told)) == 0)
		return;
	memcpy(&s->told, &s->info, sizeof(s->told));
	(void)record_write(s->opt->run_dir, s->opt->job_id, RECORD_INFO,
			   &record, sizeof(record), &unused);
}

/* Keys wait while the job stands still: they are the restored one's, too. */
static uint64_t poll_terminal(struct supervisor *s, uint64_t now,
			      struct pollfd fds[TERMINAL_POLLED])
{
	uint64_t due = 0;
	int i;

	for (i = 0; i < TERMINAL_POLLED; i++)
		fds[i] = (struct pollfd){ -1, 0, 0 };
	if (s->terminal)
		terminal_poll(s->terminal, s->holders || !s->root, now, fds,
			      &due);
	/* Those who have not got the last words yet. */
	if (s->over && (!due || due > now + NSEC_PER_SEC))
		due = now + NSEC_PER_SEC;
	return due;
}

static void loop(struct supervisor *s)
{
	struct pollfd fds[POLLED];
	int i;

	while (reap(s), !finished(s)) {
		uint64_t now = clock_monotonic_ns();
		uint64_t due = poll_terminal(s, now, fds + 4 + CLIENTS_MAX);
		int timeout = poll_timeout(s, now, due);

		tell_record(s);
		fds[0] = (struct pollfd){ s->signal_fd, POLLIN, 0 };
		fds[1] = (struct pollfd){ s->listen_fd, POLLIN, 0 };
		fds[2] = (struct pollfd){ s->have_spaces ? s->spaces.init_fd
							 : -1,
					  POLLIN, 0 };
		fds[3] = (struct pollfd){ s->launch_fd, POLLIN, 0 };
		for (i = 0; i < CLIENTS_MAX; i++)
			fds[4 + i] =
				(struct pollfd){ s->clients[i].fd, POLLIN, 0 };
		if (poll(fds, POLLED, timeout) <= 0)
			continue;
		if (s->terminal && fds[4 + CLIENTS_MAX].events)
			terminal_serve(s->terminal, fds + 4 + CLIENTS_MAX);
		/* Init first: it tells which signals are for all. */
		if (fds[2].revents)
			read_init(s);
		if (fds[0].revents)
			forward_read(s);
		if (fds[3].revents)
			launch_read(s);
		for (i = 0; i < CLIENTS_MAX; i++)
			if (fds[4 + i].revents && s->clients[i].fd >= 0)
				serve_client(s, &s->clients[i]);
		if (fds[1].revents)
			serve_accept(s);
	}
}

static void write_ended(struct supervisor *s)
{
	struct control_ended ended = { .magic = CONTROL_MAGIC,
				       .wait_status = s->status,
				       .ended_ns = clock_ns(CLOCK_REALTIME),
				       .info = s->info };
	auto_close int fd =
		openat(s->dir_fd, "ended.new",
		       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err unused;

	/* Nobody is there to be told of a failure but the waiters. */
	if (fd >= 0 && write_all(fd, &ended, sizeof(ended), &unused) == 0)
		(void)renameat(s->dir_fd, "ended.new", s->dir_fd, "ended");
}

/* A restore that failed leaves the record of the job's last end. */
static void remove_dir(struct supervisor *s)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/jobs/%s", s->opt->run_dir,
		 s->opt->job_id);
	(void)rmdir(path);
}

static void end_like(int status) __attribute__((noreturn));
static void end_like(int status)
{
	const struct rlimit none = { 0, 0 };
	sigset_t set;
	int sig;

	if (!WIFSIGNALED(status))
		_exit(WEXITSTATUS(status));
	sig = WTERMSIG(status);
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), sig);
	_exit(128 + sig);
}

static void finish(struct supervisor *s) __attribute__((noreturn));
static void finish(struct supervisor *s)
{
	if (s->abort_status >= 0) {
		s->info.state = CONTROL_ENDED;
		s->status = s->abort_status << 8;
	}
	/* The record first: who finds no socket must find the record. */
	if (!s->opt->slurm && s->abort_status < 0)
		write_ended(s);
	shelter_leave(s);
	(void)unlinkat(s->dir_fd, "control", 0);
	(void)unlinkat(s->dir_fd, "lock", 0);
	record_remove_all(s->opt->run_dir, s->opt->job_id);
	if (s->opt->slurm || s->abort_status >= 0)
		remove_dir(s);
	serve_ended(s);
	terminal_free(s->terminal);
	if (s->info.state == CONTROL_LEFT) {
		if (s->tty_fd >= 0)
			dprintf(s->tty_fd,
				"jobcr: job %s was ended by a checkpoint; go "
				"on with: jobcr restore %s\r\n",
				s->info.job_id, s->info.job_id);
		_exit(EXIT_LEFT);
	}
	end_like(s->status);
}

static void tell_ready(int fd)
{
	if (fd < 0)
		return;
	(void)!write(fd, "ok\n", 3);
	close(fd);
}

int supervisor_run(const struct shim_options *opt, const sigset_t *mask,
		   struct err *err)
{
	struct supervisor s = { .opt = opt,
				.launch_fd = -1,
				.puppet_fd = -1,
				.abort_status = -1,
				.tty_fd = -1,
				.kept_fd = -1,
				.stdio = { -1, -1, -1 } };
	int i, r, status = EXIT_SHIM;
	sigset_t all;

	for (i = 0; i < CLIENTS_MAX; i++)
		s.clients[i].fd = -1;
	fill_info(&s);
	sigfillset(&all);
	s.signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signal_fd < 0) {
		err_sys(err, "signalfd");
		return status;
	}
	r = claim(&s, err);
	if (r == 0 && opt->child)
		r = begin_launch(&s, err);
	else if (r == 0 && opt->restore)
		r = begin_restore(&s, err);
	else if (r == 0)
		r = begin_run(&s, mask, &status, err);
	if (r < 0) {
		if (s.init)
			kill(s.init, SIGKILL);
		if (s.dir_fd > 0 && r != -EEXIST) {
			(void)unlinkat(s.dir_fd, "control", 0);
			remove_dir(&s);
		}
		return status;
	}
	tell_ready(opt->ready_fd);
	loop(&s);
	finish(&s);
}
