/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A restore has failed: which of OnRestoreFailure's ways it takes, and that
 * munge being away is nothing that another snapshot could help.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/fence.h"
#include "daemon/guard.h"
#include "daemon/revive.h"
#include "daemon/slurm.h"
#include "operation/apart.h"
#include "operation/aside.h"
#include "operation/checkpoint.h"
#include "storage/attempts.h"
#include "storage/store.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define CLUSTER "c"

static char dir[] = "/tmp/jobcr-revive.XXXXXX";
static int error; /* of the restore */
static bool requeued, started;
static char held[1024]; /* the reason */

int subject_open(const struct conf *conf, const char *job_id,
		 enum control_state state, struct subject *ret, struct err *err)
{
	(void)state;
	(void)err;
	*ret = (struct subject){ .conf = conf,
				 .id = job_id,
				 .lock_fd = -1,
				 .control_fd = open("/dev/null", O_RDONLY),
				 .info = { .slurm = 10,
					   .uid = getuid(),
					   .gid = getgid(),
					   .generation = 2 } };
	return 0;
}

void subject_done(struct subject *s)
{
	if (s->control_fd >= 0)
		close(s->control_fd);
}

int subject_tell(const struct subject *s, uint32_t op, int64_t a,
		 struct err *err)
{
	(void)s;
	(void)op;
	(void)a;
	(void)err;
	return 0;
}

int subject_hold(const struct subject *s, const char *reason)
{
	(void)s;
	snprintf(held, sizeof(held), "%s", reason);
	return 0;
}

void subject_comment(const struct subject *s, const char *text)
{
	(void)s;
	(void)text;
}

void subject_log_outcome(const struct subject *s, const char *what,
			 const char *cause, const Outcome *o)
{
	(void)s;
	(void)what;
	(void)cause;
	(void)o;
}

void subject_log_phase(void *arg, const char *phase)
{
	(void)arg;
	(void)phase;
}

void event_note_cause(const struct conf *conf, const struct control_info *info,
		      const char *kind, const char *cause, uint32_t generation,
		      const char *fmt, ...)
{
	(void)conf;
	(void)info;
	(void)kind;
	(void)cause;
	(void)generation;
	(void)fmt;
}

int fence_restore(const struct conf *conf, const struct fence_owner *owner,
		  pid_t init_pid, uint32_t *generation, struct err *err)
{
	(void)conf;
	(void)owner;
	(void)init_pid;
	(void)generation;
	(void)err;
	return 0;
}

int guard_begin(const struct subject *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

enum guard_result guard_job(struct subject *s, bool again)
{
	(void)s;
	(void)again;
	return GUARD_LIVES;
}

int apart_look(const struct apart *a, int (*fn)(void *, struct err *),
	       void *arg, struct err *err)
{
	(void)a;
	return fn(arg, err);
}

int aside_take_back_outputs(const struct control_info *info, struct err *err)
{
	(void)info;
	(void)err;
	return 0;
}

int operation_exit_status(int result)
{
	return -result;
}

int restore_job(const struct conf *conf, const struct restore *p,
		const struct worker_hooks *hooks, Reply **ret, struct err *err)
{
	Reply *reply = calloc(1, sizeof(*reply));

	(void)conf;
	(void)p;
	(void)hooks;
	if (!reply)
		return err_num(err, ENOMEM, "reply");
	reply__init(reply);
	reply->result = error;
	reply->text = strdup("why");
	*ret = reply;
	return 0;
}

int slurm_query(const char *libexec, uint32_t job, struct slurm_job *ret,
		struct err *err)
{
	(void)libexec;
	(void)job;
	(void)err;
	*ret = (struct slurm_job){ .reason = SLURM_REASON_NONE };
	return 0;
}

int slurm_requeue_job(const char *libexec, uint32_t job, struct err *err)
{
	(void)libexec;
	(void)job;
	(void)err;
	requeued = true;
	return 0;
}

int slurm_start_job(const char *libexec, uint32_t job, struct err *err)
{
	(void)libexec;
	(void)job;
	(void)err;
	started = true;
	return 0;
}

static void save(const struct user_id *user, int job_fd)
{
	auto_close int fd = -EBADF;
	struct err err = { 0 };
	uint32_t number;

	if (store_begin(job_fd, user, &number, &fd, &err) < 0 ||
	    store_publish(job_fd, number, fd, "x", 1, user, &err) < 0)
		diag("%s", err.text);
}

/* A job with generations 1 and 2: what is bad after a restore of 2. */
static struct attempts fail(enum conf_failure policy, int result)
{
	struct conf conf = { .cluster = (char *)CLUSTER,
			     .node = (char *)"here",
			     .store_dir = dir,
			     .restore_limit = 3,
			     .on_restore_failure = policy };
	struct user_id user = { 0 };
	auto_close int job_fd = -EBADF;
	struct attempts book = { 0 };
	static char job[] = "10";
	struct err err = { 0 };

	job[1]++;
	if (user_id_load(getuid(), getgid(), &user, &err) < 0 ||
	    store_enter_job(dir, CLUSTER, job, &user, &job_fd, &err) < 0) {
		diag("%s", err.text);
		exit(1);
	}
	save(&user, job_fd);
	save(&user, job_fd);
	error = result;
	requeued = started = false;
	held[0] = '\0';
	(void)revive_job(&conf, job);
	if (attempts_read(job_fd, &user, &book, &err) < 0)
		diag("%s", err.text);
	user_id_done(&user);
	return book;
}

static bool is_held(const struct attempts *book)
{
	return !requeued && !started && strstr(held, "snapshot 2 on here: ") &&
	       !book->bad_from && !book->count;
}

int main(void)
{
	struct attempts book = { 0 };
	char command[64];

	if (!mkdtemp(dir))
		return 1;
	book = fail(CONF_FAILURE_HOLD, -EBADMSG);
	ok(is_held(&book), "a job is held: %s", held);
	book = fail(CONF_FAILURE_PREVIOUS, -EBADMSG);
	ok(requeued && started && !*held && book.bad_from == 2 &&
		   book.bad_to == 2,
	   "previous: it is requeued, its snapshot is none to go on from");
	book = fail(CONF_FAILURE_RESTART, -EBADMSG);
	ok(requeued && started && !*held && book.bad_from == 1 &&
		   book.bad_to == 2,
	   "restart: none is");
	for (int policy = CONF_FAILURE_HOLD; policy <= CONF_FAILURE_RESTART;
	     policy++) {
		book = fail((enum conf_failure)policy, -ENOKEY);
		ok(is_held(&book), "%d: without munge it is held: %s", policy,
		   held);
	}
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	(void)!system(command);
	return done_testing();
}
