/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/slurm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/* Its exit statuses. */
#define EXIT_NO_JOB 66
#define EXIT_DENIED 69
#define EXIT_NOT_TO 77

static const struct {
	const char *name;
	enum slurm_reason reason;
} reasons[] = {
	{ "none", SLURM_REASON_NONE },
	{ "preempt", SLURM_REASON_PREEMPT },
	{ "requeue", SLURM_REASON_REQUEUE },
	{ "cancel", SLURM_REASON_CANCEL },
	{ "timelimit", SLURM_REASON_TIMELIMIT },
	{ "node", SLURM_REASON_NODE },
	{ "ended", SLURM_REASON_ENDED },
};

/* Words of a call at most, with the program's name and the NULL. */
#define WORDS_MAX 8

static void run_child(const char *libexec, const char *const *words, int out,
		      pid_t parent)
{
	const char *argv[WORDS_MAX] = { "jobcr-slurm" };
	char program[4096];
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;
	size_t i;

	for (i = 0; i + 2 < WORDS_MAX && words[i]; i++)
		argv[i + 1] = words[i];
	/*
	 * What nobody waits for any more must not happen later: a requeue
	 * after whoever asked for it has been killed and others went on.
	 */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	/* jobcrd blocks what it takes by signalfd. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(program, sizeof(program), "%s/jobcr-slurm", libexec);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	execv(program, (char *const *)argv);
	dprintf(2, "%s: %s", program, strerror(errno));
	_exit(127);
}

static int collect(int fd, struct slurm_output *ret, struct err *err)
{
	ret->len = 0;
	for (;;) {
		ssize_t n = read(fd, ret->text + ret->len,
				 sizeof(ret->text) - 1 - ret->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read");
		ret->len += (size_t)n;
		if (n == 0)
			break;
	}
	ret->text[ret->len] = '\0';
	if (ret->len == sizeof(ret->text) - 1)
		return err_set(err, -EFBIG, "too much output");
	return 0;
}

/* Its complaint, on one line, is the error. */
static int judge(int status, struct slurm_output *out, struct err *err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (out->len && out->text[out->len - 1] == '\n')
		out->text[out->len - 1] = '\0';
	if (!WIFEXITED(status))
		return err_set(err, -EIO, "ended by signal %d",
			       WTERMSIG(status));
	return err_set(err,
		       WEXITSTATUS(status) == EXIT_NO_JOB   ? -ENOENT
		       : WEXITSTATUS(status) == EXIT_DENIED ? -EACCES
		       : WEXITSTATUS(status) == EXIT_NOT_TO ? -ECANCELED
							    : -EIO,
		       "%s", out->text);
}

int slurm_run(const char *libexec, const char *const *words,
	      struct slurm_output *ret, struct err *err)
{
	auto_close int from = -EBADF;
	int ends[2], status = 0, r;
	pid_t parent = getpid(), pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	from = ends[0];
	pid = fork();
	if (pid == 0)
		run_child(libexec, words, ends[1], parent);
	close(ends[1]);
	if (pid < 0)
		return err_sys(err, "fork");
	r = collect(from, ret, err);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "wait");
	if (r == 0)
		r = judge(status, ret, err);
	return r < 0 ? err_wrap(err, r, "jobcr-slurm %s %s", words[0], words[1])
		     : 0;
}

int slurm_find(const struct slurm_output *out, const char *key, char *ret,
	       size_t room, struct err *err)
{
	const char *p = out->text;
	size_t n = strlen(key), len;

	while (p && (strncmp(p, key, n) != 0 || p[n] != '=')) {
		p = strchr(p, '\n');
		if (p)
			p++;
	}
	if (!p)
		return err_set(err, -EBADMSG, "jobcr-slurm: no %s", key);
	p += n + 1;
	len = strcspn(p, "\n");
	if (len >= room)
		return err_set(err, -EBADMSG, "jobcr-slurm: %s is too long",
			       key);
	memcpy(ret, p, len);
	ret[len] = '\0';
	return 0;
}

static int find_u64(const struct slurm_output *out, const char *key,
		    uint64_t max, uint64_t *ret, struct err *err)
{
	char text[32];
	int r = slurm_find(out, key, text, sizeof(text), err);

	if (r < 0)
		return r;
	if (parse_u64(text, max, ret) < 0)
		return err_set(err, -EBADMSG, "jobcr-slurm: %s=%s", key, text);
	return 0;
}

static int find_reason(const struct slurm_output *out, enum slurm_reason *ret,
		       struct err *err)
{
	char text[32];
	size_t i;
	int r = slurm_find(out, "reason", text, sizeof(text), err);

	if (r < 0)
		return r;
	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strcmp(reasons[i].name, text) == 0) {
			*ret = reasons[i].reason;
			return 0;
		}
	return err_set(err, -EBADMSG, "jobcr-slurm: reason %s", text);
}

static int find_flags(const struct slurm_output *out, struct slurm_job *job,
		      struct err *err)
{
	const struct {
		const char *key;
		bool *ret;
	} flags[] = {
		{ "requeue", &job->requeue },
		{ "pending", &job->pending },
		{ "running", &job->running },
		{ "completing", &job->completing },
		{ "held", &job->held },
		{ "suspended", &job->suspended },
		{ "noted", &job->noted },
	};
	uint64_t v;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		if (find_u64(out, flags[i].key, 1, &v, err) < 0)
			return err->code;
		*flags[i].ret = v != 0;
	}
	return 0;
}

int slurm_query(const char *libexec, uint32_t job, struct slurm_job *ret,
		struct err *err)
{
	uint64_t uid, gid, nodes, restarts, kill_wait;
	struct slurm_job found = { 0 };
	struct slurm_output out;
	char id[16];
	int r;

	snprintf(id, sizeof(id), "%u", job);
	r = slurm_run(libexec, (const char *[]){ "query", id, NULL }, &out,
		      err);
	if (r < 0)
		return r;
	/* A job that was never started has none. */
	if (slurm_find(&out, "nodes", found.node, sizeof(found.node), err) < 0)
		*found.node = '\0';
	if (find_reason(&out, &found.reason, err) < 0 ||
	    slurm_find(&out, "state", found.state, sizeof(found.state), err) <
		    0 ||
	    find_flags(&out, &found, err) < 0 ||
	    find_u64(&out, "uid", UINT32_MAX, &uid, err) < 0 ||
	    find_u64(&out, "gid", UINT32_MAX, &gid, err) < 0 ||
	    find_u64(&out, "node_count", UINT32_MAX, &nodes, err) < 0 ||
	    find_u64(&out, "restart_count", UINT32_MAX, &restarts, err) < 0 ||
	    find_u64(&out, "preempt_time", INT64_MAX, &found.preempt_time,
		     err) < 0 ||
	    find_u64(&out, "end_time", INT64_MAX, &found.end_time, err) < 0 ||
	    find_u64(&out, "submit_time", INT64_MAX, &found.submit_time, err) <
		    0 ||
	    find_u64(&out, "kill_wait", UINT32_MAX, &kill_wait, err) < 0)
		return err->code;
	found.uid = (uid_t)uid;
	found.gid = (gid_t)gid;
	found.nodes = (uint32_t)nodes;
	found.restarts = (uint32_t)restarts;
	found.kill_wait_s = (uint32_t)kill_wait;
	*ret = found;
	return 0;
}

int slurm_query_id(const char *libexec, const char *job_id,
		   struct slurm_job *ret, struct err *err)
{
	uint64_t id;

	if (parse_u64(job_id, UINT32_MAX, &id) < 0)
		return err_set(err, -EINVAL, "job %s is not Slurm's", job_id);
	return slurm_query(libexec, (uint32_t)id, ret, err);
}

static int tell(const char *libexec, const char *what, uint32_t job,
		const char *text, struct err *err)
{
	struct slurm_output out;
	char id[16];

	snprintf(id, sizeof(id), "%u", job);
	return slurm_run(libexec, (const char *[]){ what, id, text, NULL },
			 &out, err);
}

int slurm_requeue_job(const char *libexec, uint32_t job, struct err *err)
{
	return tell(libexec, "requeue", job, NULL, err);
}

int slurm_requeue_ended(const char *libexec, uint32_t job, struct err *err)
{
	return tell(libexec, "requeue-ended", job, NULL, err);
}

int slurm_start_job(const char *libexec, uint32_t job, struct err *err)
{
	return tell(libexec, "start", job, NULL, err);
}

int slurm_hold_job(const char *libexec, uint32_t job, const char *reason,
		   struct err *err)
{
	return tell(libexec, "hold", job, reason, err);
}

int slurm_comment_job(const char *libexec, uint32_t job, const char *text,
		      struct err *err)
{
	return tell(libexec, "comment", job, text, err);
}
