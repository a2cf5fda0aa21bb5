/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/shim.h"
#include "util/cleanup.h"
#include "util/io.h"

#define SPEC_MAX (16u << 20)

/* Arguments and environment, both in one block of memory. */
struct spec {
	char *text;          /* owned */
	char **argv, **envp; /* owned */
};

static void spec_done(struct spec *s)
{
	free(s->text);
	free(s->argv);
	free(s->envp);
}

/* The number of arguments, the arguments, the environment; each with NUL. */
static int spec_read(int fd, struct spec *ret, struct err *err)
{
	size_t len = 0, strings = 0, i, n;
	uint64_t argc;
	char path[32];
	char *p;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = read_file_at(AT_FDCWD, path, SPEC_MAX, &ret->text, &len, err);
	if (r < 0)
		return err_wrap(err, r, "command");
	for (i = 0; i < len; i++)
		strings += ret->text[i] == '\0';
	if (!strings || ret->text[len - 1] != '\0' ||
	    parse_u64(ret->text, strings - 1, &argc) < 0 || argc == 0)
		return err_set(err, -EINVAL, "command: not whole");
	ret->argv = calloc(argc + 1, sizeof(char *));
	ret->envp = calloc(strings - argc, sizeof(char *));
	if (!ret->argv || !ret->envp)
		return err_num(err, ENOMEM, "command");
	p = ret->text;
	for (n = 0; n < strings - 1; n++) {
		p += strlen(p) + 1;
		if (n < argc)
			ret->argv[n] = p;
		else
			ret->envp[n - argc] = p;
	}
	return 0;
}

/* What the child tells through a pipe that its exec closes. */
struct child_report {
	int32_t ns_pid;
	int32_t error; /* 0: not yet */
	char step[64];
};

static void report(int fd, int num, const char *step)
{
	struct child_report rep = { .ns_pid = getpid(), .error = num };

	snprintf(rep.step, sizeof(rep.step), "%s", step);
	(void)!write(fd, &rep, sizeof(rep));
}

static void fail(int fd, const char *step) __attribute__((noreturn));
static void fail(int fd, const char *step)
{
	report(fd, errno ? errno : EIO, step);
	_exit(EXIT_SHIM);
}

/*
 * Hard limits are never raised: that would take CAP_SYS_RESOURCE.  soft: those,
 * too; they would bind who builds a job.
 */
static void set_limits(const struct shim_options *opt, bool soft, int fd)
{
	int i;

	for (i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit now, want = opt->limits[i];

		if (!opt->have_limit[i] || getrlimit(i, &now) < 0)
			continue;
		if (want.rlim_max > now.rlim_max)
			want.rlim_max = now.rlim_max;
		if (!soft)
			want.rlim_cur = now.rlim_cur;
		if (want.rlim_cur > want.rlim_max)
			want.rlim_cur = want.rlim_max;
		if (setrlimit(i, &want) < 0)
			fail(fd, "set resource limits");
	}
}

/* To be above others takes CAP_SYS_NICE and CAP_SYS_RESOURCE: if we have it. */
static void set_priority(const struct shim_options *opt)
{
	static const char path[] = "/proc/self/oom_score_adj";
	auto_close int fd =
		opt->have_oom ? open(path, O_WRONLY | O_CLOEXEC) : -1;

	if (opt->have_nice)
		(void)setpriority(PRIO_PROCESS, 0, opt->nice);
	if (fd >= 0)
		(void)!dprintf(fd, "%d", opt->oom_score_adj);
}

static void drop_bounding(const struct shim_options *opt, int fd)
{
	int cap;

	for (cap = 0; cap < 64; cap++)
		if (opt->dropped_caps >> cap & 1 &&
		    prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			fail(fd, "drop capabilities");
}

/*
 * Become the user.  Raw calls: glibc's would signal other threads, and there
 * are none.
 */
static void set_creds(const struct shim_options *opt, int fd)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct none[2] = { 0 };

	if (opt->have_groups && setgroups(opt->ngroups, opt->groups) < 0)
		fail(fd, "set groups");
	if (setresgid(opt->gid, opt->gid, opt->gid) < 0)
		fail(fd, "set the group");
	if (setresuid(opt->uid, opt->uid, opt->uid) < 0)
		fail(fd, "set the user");
	/* The inheritable set outlives a change of uid. */
	if (opt->uid && syscall(SYS_capset, &head, none) < 0)
		fail(fd, "drop capabilities");
	if (opt->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail(fd, "set no_new_privs");
}

/* Opened anew: the supervisor's does not wait. */
static void set_terminal(int terminal, int fd)
{
	char path[32];
	int i, own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", terminal);
	own = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (own < 0 || ioctl(own, TIOCSCTTY, 0) < 0)
		fail(fd, "take the terminal");
	for (i = 0; i < 3; i++)
		if (dup2(own, i) < 0)
			fail(fd, "standard files");
}

static void child_run(const struct shim_options *opt,
		      const struct shim_spaces *spaces, const struct spec *spec,
		      const sigset_t *mask, int terminal, int fd)
	__attribute__((noreturn));
static void child_run(const struct shim_options *opt,
		      const struct shim_spaces *spaces, const struct spec *spec,
		      const sigset_t *mask, int terminal, int fd)
{
	report(fd, 0, "");
	prctl(PR_SET_PDEATHSIG, 0);
	errno = -spaces_enter(spaces);
	if (errno)
		fail(fd, "enter the mount namespace");
	if (setsid() < 0)
		fail(fd, "make a session");
	if (terminal >= 0)
		set_terminal(terminal, fd);
	set_limits(opt, true, fd);
	set_priority(opt);
	drop_bounding(opt, fd);
	set_creds(opt, fd);
	if (opt->umask >= 0)
		umask((mode_t)opt->umask);
	if (chdir(opt->cwd ? opt->cwd : "/") < 0)
		fail(fd, opt->cwd ? opt->cwd : "/");
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		fail(fd, "close descriptors");
	if (sigprocmask(SIG_SETMASK, mask, NULL) < 0)
		fail(fd, "set the signal mask");
	environ = spec->envp;
	execvp(spec->argv[0], spec->argv);
	report(fd, errno, "");
	_exit(errno == ENOENT ? EXIT_NO_FILE : EXIT_EXEC);
}

/* Collect reports until the exec; the child is reaped when it failed. */
static int child_wait(int fd, const char *what, pid_t pid,
		      struct shim_task *ret, struct err *err)
{
	struct child_report rep;
	ssize_t n;
	int status = 0, r = 0;

	ret->ns_pid = 0;
	while ((n = read(fd, &rep, sizeof(rep))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(rep))
			break;
		rep.step[sizeof(rep.step) - 1] = '\0';
		ret->ns_pid = rep.ns_pid;
		if (rep.error)
			r = err_num(err, rep.error, "%s",
				    *rep.step ? rep.step : what);
	}
	if (r == 0 && !ret->ns_pid)
		r = err_set(err, -ECHILD, "%s: ended before it began", what);
	ret->pid = pid;
	if (r == 0)
		return 0;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ret->status = WIFEXITED(status) && WEXITSTATUS(status)
			      ? WEXITSTATUS(status)
			      : EXIT_SHIM;
	return r;
}

int task_start(const struct shim_options *opt, const struct shim_spaces *spaces,
	       const sigset_t *mask, int terminal, struct shim_task *ret,
	       struct err *err)
{
	struct spec spec = { 0 };
	int fds[2] = { -1, -1 };
	pid_t pid;
	int r;

	ret->status = EXIT_SHIM;
	r = spec_read(opt->spec_fd, &spec, err);
	if (r == 0 && pipe2(fds, O_CLOEXEC) < 0)
		r = err_sys(err, "pipe");
	if (r < 0) {
		spec_done(&spec);
		return r;
	}
	pid = fork();
	if (pid == 0)
		child_run(opt, spaces, &spec, mask, terminal, fds[1]);
	close(fds[1]);
	if (pid < 0)
		r = err_sys(err, "fork");
	else
		r = child_wait(fds[0], spec.argv[0], pid, ret, err);
	close(fds[0]);
	spec_done(&spec);
	return r;
}

static void puppet_run(const struct shim_options *opt,
		       const struct shim_spaces *spaces, int puppet_fd, int fd)
	__attribute__((noreturn));
static void puppet_run(const struct shim_options *opt,
		       const struct shim_spaces *spaces, int puppet_fd, int fd)
{
	char name[] = "jobcr-puppet";
	char *const argv[] = { name, NULL };
	char *const envp[] = { NULL };
	int i;

	report(fd, 0, "");
	errno = -spaces_enter(spaces);
	if (errno)
		fail(fd, "enter the mount namespace");
	for (i = 1; i <= SIGRTMAX; i++)
		signal(i, SIG_DFL);
	set_limits(opt, false, fd);
	if (close_range(0, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		fail(fd, "close descriptors");
	syscall(SYS_execveat, puppet_fd, "", argv, envp, AT_EMPTY_PATH);
	fail(fd, "execute jobcr-puppet");
}

int task_spawn_puppet(const struct shim_options *opt,
		      const struct shim_spaces *spaces, int puppet_fd,
		      pid_t ns_pid, pid_t *ret_pid, struct err *err)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uint64_t)(uintptr_t)&ns_pid,
		.set_tid_size = 1,
	};
	struct shim_task task;
	int fds[2], r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		puppet_run(opt, spaces, puppet_fd, fds[1]);
	close(fds[1]);
	if (pid < 0)
		r = err_sys(err, "clone with pid %d", ns_pid);
	else
		r = child_wait(fds[0], "jobcr-puppet", pid, &task, err);
	close(fds[0]);
	if (r < 0)
		return r;
	*ret_pid = pid;
	return 0;
}

int task_ns_pid(pid_t pid, pid_t *ret, struct err *err)
{
	auto_free char *text = NULL;
	char path[64];
	char *p, *last = NULL;
	uint64_t v;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	r = read_file_at(AT_FDCWD, path, 65536, &text, NULL, err);
	if (r < 0)
		return r;
	p = strstr(text, "\nNSpid:");
	if (p) {
		p[1 + strcspn(p + 1, "\n")] = '\0';
		last = strrchr(p, '\t');
	}
	if (!last || parse_u64(last + 1, INT32_MAX, &v) < 0)
		return err_set(err, -ENODATA, "%s: no NSpid", path);
	*ret = (pid_t)v;
	return 0;
}
