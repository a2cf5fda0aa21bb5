/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/place.h"

#define ARGS_MAX 80
#define TEXT_MAX 256
#define SPEC_FD  3
#define READY_FD 4
/* Columns of /proc/PID/limits. */
#define LIMITS_SOFT 26
#define LIMITS_HARD 47
#define SPEC_SEALS  (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

/* Arguments under construction: none of them outlives the exec. */
struct args {
	char *argv[ARGS_MAX];
	char text[ARGS_MAX][TEXT_MAX];
	char *groups;
	size_t count;
};

static void add(struct args *a, const char *option, const char *value)
{
	if (!value || a->count + 3 > ARGS_MAX)
		return;
	a->argv[a->count++] = (char *)option;
	a->argv[a->count++] = (char *)value;
}

static void add_number(struct args *a, const char *option, uint64_t value)
{
	char *text = a->text[a->count];

	snprintf(text, TEXT_MAX, "%llu", (unsigned long long)value);
	add(a, option, text);
}

static int add_groups(struct args *a, const struct launch *l, struct err *err)
{
	size_t i, used = 0, room = l->ngroups * 11 + 1;

	a->groups = malloc(room);
	if (!a->groups)
		return err_num(err, ENOMEM, "groups");
	a->groups[0] = '\0';
	for (i = 0; i < l->ngroups; i++)
		used += (size_t)snprintf(a->groups + used, room - used, "%s%u",
					 i ? "," : "", l->groups[i]);
	add(a, "--groups", a->groups);
	return 0;
}

static uint64_t limit_value(const char *text)
{
	return !strncmp(text, "unlimited", 9) ? RLIM_INFINITY
					      : strtoull(text, NULL, 10);
}

/*
 * A job of somebody gets the limits that somebody had.  Read as text, one
 * line per RLIMIT_* number: prlimit(2) would take CAP_SYS_RESOURCE.
 */
static int add_limits(struct args *a, pid_t like, struct err *err)
{
	auto_free char *text = NULL;
	char path[64], *line, *next;
	int i, r;

	snprintf(path, sizeof(path), "/proc/%d/limits", like);
	r = read_file_at(AT_FDCWD, path, 65536, &text, NULL, err);
	if (r < 0)
		return r;
	line = strchr(text, '\n');
	for (i = 0; line && i < RLIM_NLIMITS; i++, line = next) {
		char *value = a->text[a->count];

		next = strchr(++line, '\n');
		if (!next || next - line < LIMITS_HARD)
			return err_set(err, -EBADMSG, "%s: line %d", path,
				       i + 2);
		snprintf(value, TEXT_MAX, "%d:%llu:%llu", i,
			 (unsigned long long)limit_value(line + LIMITS_SOFT),
			 (unsigned long long)limit_value(line + LIMITS_HARD));
		add(a, "--rlimit", value);
	}
	return 0;
}

static void add_signed(struct args *a, const char *option, int value)
{
	char *text = a->text[a->count];

	snprintf(text, TEXT_MAX, "%d", value);
	add(a, option, text);
}

static void add_rights(struct args *a, const struct caller_rights *rights)
{
	if (rights->no_new_privs)
		a->argv[a->count++] = (char *)"--no-new-privs";
	if (rights->dropped_caps)
		add_number(a, "--drop-caps", rights->dropped_caps);
	if (!rights->have_priority)
		return;
	add_signed(a, "--nice", rights->nice);
	add_signed(a, "--oom-score-adj", rights->oom_score_adj);
}

/* TEXT_MAX is above JOB_OPTIONS_TEXT. */
static int make_args(const struct conf *conf, const struct launch *l,
		     struct args *a, struct err *err)
{
	int r;

	a->argv[a->count++] = (char *)"jobcr-supervisor";
	add(a, "--run-dir", conf->run_dir);
	add(a, "--libexec", conf->libexec);
	add(a, "--job", l->job_id);
	add(a, "--name", l->name);
	add_number(a, "--uid", l->uid);
	add_number(a, "--gid", l->gid);
	if (l->options) {
		char *text = a->text[a->count];

		job_options_format(l->options, text);
		add(a, "--options", text);
	}
	r = add_groups(a, l, err);
	if (r < 0)
		return r;
	add(a, "--cwd", l->cwd);
	if (l->umask >= 0) {
		char *text = a->text[a->count];

		snprintf(text, TEXT_MAX, "%o", (unsigned int)l->umask);
		add(a, "--umask", text);
	}
	if (l->ready_fd >= 0)
		add_number(a, "--ready-fd", READY_FD);
	if (l->spec_fd >= 0)
		add_number(a, "--spec-fd", SPEC_FD);
	else
		add_number(a, "--restore", l->generation);
	add_rights(a, &l->rights);
	if (l->pty)
		a->argv[a->count++] = (char *)"--pty";
	r = l->like ? add_limits(a, l->like, err) : 0;
	if (r == 0 && l->like && !caller_lives(l->like_fd))
		r = caller_gone(err);
	a->argv[a->count] = NULL;
	return r;
}

/* 0, 1, 2 the job's; 3 the command; 4 for the word that it runs. */
static int arrange(const struct launch *l, struct err *err)
{
	int fds[5] = { l->stdio[0], l->stdio[1], l->stdio[2], l->spec_fd,
		       l->ready_fd };
	int i, high[5];

	for (i = 0; i < 5; i++) {
		high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, 8);
		if (high[i] < 0 && i < 3)
			high[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (high[i] < 0 && fds[i] >= 0)
			return err_sys(err, "descriptor %d", fds[i]);
	}
	for (i = 0; i < 5; i++)
		if (high[i] >= 0 && dup2(high[i], i) < 0)
			return err_sys(err, "descriptor %d", i);
	for (i = 3; i < 5; i++)
		if (high[i] < 0)
			close(i);
	close_range(5, ~0u, CLOSE_RANGE_CLOEXEC);
	return 0;
}

int launch_become(const struct conf *conf, const struct launch *l,
		  struct err *err)
{
	/* Never the user's: the supervisor is root's. */
	char *const environment[] = {
		(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL
	};
	auto_free struct args *a = calloc(1, sizeof(*a));
	char path[4096];
	int r;

	if (!a)
		return err_num(err, ENOMEM, "supervisor");
	r = make_args(conf, l, a, err);
	snprintf(path, sizeof(path), "%s/jobcr-supervisor", conf->libexec);
	if (r == 0 && access(path, X_OK) < 0)
		r = err_sys(err, "%s", path);
	if (r == 0)
		r = arrange(l, err);
	if (r == 0) {
		execve(path, a->argv, environment);
		r = err_sys(err, "%s", path);
	}
	free(a->groups);
	return r;
}

int launch_await(int ready_fd, int *ret_status, struct err *err)
{
	char text[ERR_TEXT_SIZE + 16];
	size_t used = 0;
	ssize_t n;
	int skip = 0;

	while ((n = read(ready_fd, text + used, sizeof(text) - 1 - used)) !=
	       0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "supervisor");
		used += (size_t)n;
	}
	text[used] = '\0';
	if (!strcmp(text, "ok\n"))
		return 0;
	*ret_status = 125;
	if (sscanf(text, "%d %n", ret_status, &skip) < 1 || !skip)
		return err_set(err, -ECHILD, "the supervisor ended early");
	return err_set(err, *ret_status == 127 ? -ENOENT : -ECHILD, "%s",
		       text + skip);
}

/* In the first child: leave the caller, and leave nobody to be waited for. */
static void start_detached(const struct conf *conf, struct launch *l)
	__attribute__((noreturn));
static void start_detached(const struct conf *conf, struct launch *l)
{
	struct err err = { 0 };
	sigset_t none;
	pid_t pid;
	int i;

	if (l->own_session)
		setsid();
	pid = fork();
	if (pid != 0)
		_exit(pid < 0);
	for (i = 1; i < SIGRTMAX; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (l->like)
		place_like(getpid(), l->like);
	(void)launch_become(conf, l, &err);
	dprintf(READY_FD, "125 %s", err.text);
	dprintf(l->ready_fd, "125 %s", err.text);
	_exit(125);
}

int launch_start(const struct conf *conf, const struct launch *l,
		 int *ret_status, struct err *err)
{
	struct launch with_ready = *l;
	int fds[2], r;
	pid_t pid;

	*ret_status = 125;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	with_ready.ready_fd = fds[1];
	pid = fork();
	if (pid == 0)
		start_detached(conf, &with_ready);
	close(fds[1]);
	r = pid < 0 ? err_sys(err, "fork")
		    : launch_await(fds[0], ret_status, err);
	close(fds[0]);
	return r;
}

static int put_string(int fd, const char *text, struct err *err)
{
	return write_all(fd, text, strlen(text) + 1, err);
}

int launch_make_spec(char *const *argv, char *const *envp, int *ret_fd,
		     struct err *err)
{
	auto_close int fd =
		memfd_create("jobcr-command", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char number[24];
	size_t argc = 0, i;
	int r;

	if (fd < 0)
		return err_sys(err, "memfd_create");
	while (argv[argc])
		argc++;
	snprintf(number, sizeof(number), "%zu", argc);
	r = put_string(fd, number, err);
	for (i = 0; r == 0 && argv[i]; i++)
		r = put_string(fd, argv[i], err);
	for (i = 0; r == 0 && envp[i]; i++)
		r = put_string(fd, envp[i], err);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, SPEC_SEALS) < 0)
		return err_sys(err, "seal the command");
	*ret_fd = take_fd(&fd);
	return 0;
}

int launch_check_spec(int fd, struct err *err)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SPEC_SEALS) != SPEC_SEALS)
		return err_set(err, -EINVAL,
			       "the command is not in a sealed memfd");
	return 0;
}
