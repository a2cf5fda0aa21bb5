/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "operation/launch.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/control.h"
#include "wire/isa.h"
#include "wire/job_options.h"

extern char **environ;

struct started {
	char job_id[JOB_ID_MAX];
	int status;
	int socket; /* to its terminal; -1 */
};

static int on_start(void *arg, const Reply *reply)
{
	struct started *s = arg;

	if (reply->result < 0) {
		(void)cli_fail_reply(reply);
		s->status = reply->has_status
				    ? (int)WEXITSTATUS(reply->status)
				    : operation_exit_status(reply->result);
		return 0;
	}
	if (reply->job_id)
		snprintf(s->job_id, sizeof(s->job_id), "%s", reply->job_id);
	return 0;
}

/* A job in the background reads nothing and writes to a file. */
static int open_stdio(const char *output, bool detach, int fds[3],
		      struct err *err)
{
	fds[0] = detach ? open("/dev/null", O_RDONLY | O_CLOEXEC) : 0;
	fds[1] = 1;
	fds[2] = 2;
	if (!output && !detach)
		return 0;
	if (!output)
		output = "/dev/null";
	fds[1] = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fds[1] < 0)
		return err_sys(err, "%s", output);
	fds[2] = fds[1];
	return 0;
}

static void join_name(char *const *argv, char *ret, size_t room)
{
	size_t used = 0;

	for (*ret = '\0'; *argv && used < room; argv++)
		used += (size_t)snprintf(ret + used, room - used, "%s%s",
					 used ? " " : "", *argv);
}

/*
 * What the job's terminal is to be like, and one end of the pair by which we
 * look at it.
 */
static int open_pty(bool detach, int fds[3], int *ret_socket, struct err *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int tty = look_own_terminal();
	int pair[2] = { -1, null };
	int r = detach ? 0 : look_pair(pair, err);

	if (null < 0)
		return err_sys(err, "/dev/null");
	fds[0] = tty < 0 ? null : tty;
	fds[1] = pair[1];
	fds[2] = null;
	*ret_socket = pair[0];
	return r;
}

static int start(const struct cli *cli, Request *req, char **argv,
		 const char *output, bool detach, struct started *ret,
		 struct err *err)
{
	char cwd[PATH_MAX];
	mode_t mask = umask(0);
	int fds[4], r;

	umask(mask);
	req->has_umask = 1;
	req->umask = mask;
	if (!getcwd(cwd, sizeof(cwd)))
		return err_sys(err, "the current directory");
	req->cwd = cwd;
	req->has_attached = 1;
	req->attached = !detach;
	ret->socket = -1;
	r = req->pty ? open_pty(detach, fds, &ret->socket, err)
		     : open_stdio(output, detach, fds, err);
	if (r == 0)
		r = launch_make_spec(argv, environ, &fds[3], err);
	/* Ours only: what was ignored for us is ignored for the job. */
	signal(SIGPIPE, SIG_DFL);
	if (r == 0)
		r = cli_request(cli, req, fds, 4, on_start, ret, err);
	if (ret->socket >= 0)
		close(fds[1]);
	return r;
}

/* What does not fit cannot be right, and jobcrd says so. */
static void add_option(Request *req, char text[JOB_OPTIONS_TEXT],
		       const char *key, const char *value)
{
	size_t n = req->options ? strlen(text) : 0;

	snprintf(text + n, JOB_OPTIONS_TEXT - n, "%s%s=%.40s", n ? "," : "",
		 key, value);
	req->options = text;
}

/* The job gets our environment: with what keeps its libraries to a level. */
static int keep_to_level(const char *value, struct err *err)
{
	char text[ISA_TEXT];
	uint32_t level;
	int r;

	/* jobcrd says what is wrong with it. */
	if (isa_parse(value, &level) < 0)
		return 0;
	r = isa_tunables(level, getenv(ISA_VARIABLE), text, err);
	if (r == 0 && setenv(ISA_VARIABLE, text, 1) < 0)
		r = err_sys(err, "%s", ISA_VARIABLE);
	return r;
}

int cmd_run(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "detach", no_argument, NULL, 'd' },
		{ "output", required_argument, NULL, 'o' },
		{ "name", required_argument, NULL, 'n' },
		{ "interval", required_argument, NULL, 'i' },
		{ "isa", required_argument, NULL, 'l' },
		{ "files", required_argument, NULL, 'f' },
		{ "ipc", required_argument, NULL, 'p' },
		{ "peers", required_argument, NULL, 'P' },
		{ "pty", no_argument, NULL, 't' },
		{ "detach-key", required_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	char wishes[JOB_OPTIONS_TEXT];
	const char *isa = NULL;
	struct started started = { .status = STATUS_OK };
	struct look look = { .key = LOOK_KEY, .runs = true };
	Request req = REQUEST__INIT;
	const char *output = NULL;
	struct err err = { 0 };
	bool detach = false;
	char name[128];
	int c;

	req.op = REQUEST__OPERATION__RUN;
	while ((c = getopt_long(argc, argv, "+do:n:i:t", options, NULL)) >= 0) {
		if (c == 'd')
			detach = true;
		else if (c == 'o')
			output = optarg;
		else if (c == 'n')
			req.name = optarg;
		else if (c == 'i')
			add_option(&req, wishes, "interval", optarg);
		else if (c == 'l')
			add_option(&req, wishes, "isa", isa = optarg);
		else if (c == 'f')
			add_option(&req, wishes, "files", optarg);
		else if (c == 'p')
			add_option(&req, wishes, "ipc", optarg);
		else if (c == 'P')
			add_option(&req, wishes, "peers", optarg);
		else if (c == 't')
			req.has_pty = req.pty = 1;
		else if (c != 'k')
			return STATUS_USAGE;
		else if (look_parse_key(optarg, &look.key) < 0)
			return cli_usage("--detach-key is ctrl-X or none");
	}
	if (optind >= argc)
		return cli_usage("run: which command?");
	if (req.pty && output)
		return cli_usage("--pty or --output, not both");
	if (cli->node)
		return cli_usage("run: not possible with --node");
	if (!req.name) {
		join_name(argv + optind, name, sizeof(name));
		req.name = name;
	}
	if ((isa && keep_to_level(isa, &err) < 0) ||
	    start(cli, &req, argv + optind, output, detach, &started, &err) < 0)
		return cli_fail(&err);
	if (!*started.job_id)
		return started.status;
	look.job_id = started.job_id;
	look.socket = started.socket;
	if (!detach)
		return req.pty ? look_at_job(cli, &look)
			       : follow_job(cli, started.job_id);
	puts(started.job_id);
	return STATUS_OK;
}

static int on_simple(void *arg, const Reply *reply)
{
	*(int *)arg = reply->result < 0 ? cli_fail_reply(reply) : STATUS_OK;
	return 0;
}

/* TERM, SIGTERM or 15. */
static int signal_number(const char *text)
{
	uint64_t v;
	int i;

	if (parse_u64(text, 64, &v) == 0)
		return (int)v;
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	for (i = 1; i < 32; i++) {
		const char *abbrev = sigabbrev_np(i);

		if (abbrev && !strcasecmp(text, abbrev))
			return i;
	}
	return -1;
}

int cmd_kill(const struct cli *cli, int argc, char **argv)
{
	Request req = REQUEST__INIT;
	struct err err = { 0 };
	int status = STATUS_FAILED;

	if (argc < 2 || argc > 3)
		return cli_usage("kill JOBID [SIGNAL]");
	req.op = REQUEST__OPERATION__KILL;
	req.job_id = argv[1];
	req.has_signal = 1;
	req.signal = argc == 3 ? signal_number(argv[2]) : SIGTERM;
	if (req.signal < 0)
		return cli_usage("no signal \"%s\"", argv[2]);
	if (cli_request(cli, &req, NULL, 0, on_simple, &status, &err) < 0)
		return cli_fail(&err);
	return status;
}
