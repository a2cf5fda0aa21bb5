/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How jobs of this node stand with their snapshots, from records of them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operation/launch.h"
#include "operation/parts.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/record.h"

/* For the store, which may hang, and for all jobs together. */
#define STORE_PATIENCE (2 * NSEC_PER_SEC)

/* A text of a record, which another build may have written otherwise. */
#define TAKE(to, from)                                                         \
	snprintf((to), sizeof(to), "%.*s", (int)sizeof(from) - 1, (from))

static bool is_alive(pid_t pid)
{
	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

static void read_doing(const char *run_dir, const char *job_id,
		       struct job_facts *ret)
{
	struct record_doing doing;
	struct err unused;
	JobFacts *f = &ret->facts;
	uint64_t now = clock_monotonic_ns();

	/* Its writer was killed: nothing is done any more. */
	if (record_read(run_dir, job_id, RECORD_DOING, &doing, sizeof(doing),
			&unused) < 0 ||
	    !is_alive(doing.pid))
		return;
	TAKE(ret->doing, doing.what);
	TAKE(ret->cause, doing.cause);
	TAKE(ret->phase, doing.phase);
	f->doing = ret->doing;
	f->cause = ret->cause;
	f->phase = ret->phase;
	f->has_elapsed_ns = 1;
	f->elapsed_ns = now > doing.since_ns ? now - doing.since_ns : 0;
	f->has_expected_ns = doing.expected_ns != 0;
	f->expected_ns = doing.expected_ns;
}

static void read_last(const char *run_dir, const char *job_id,
		      struct job_facts *ret)
{
	struct record_last last;
	struct err unused;
	JobFacts *f = &ret->facts;

	if (record_read(run_dir, job_id, RECORD_LAST, &last, sizeof(last),
			&unused) < 0)
		return;
	if (last.generation) {
		TAKE(ret->newest_cause, last.cause);
		f->newest_cause = ret->newest_cause;
		f->has_newest = f->has_newest_at_ns = f->has_frozen_ns = 1;
		f->has_total_ns = f->has_page_bytes = 1;
		f->newest = last.generation;
		f->newest_at_ns = last.at_ns;
		f->frozen_ns = last.frozen_ns;
		f->total_ns = last.total_ns;
		f->page_bytes = last.page_bytes;
	}
	if (last.failed_ns > last.at_ns) {
		TAKE(ret->failed, last.text);
		f->failed = ret->failed;
		f->has_failed_at_ns = 1;
		f->failed_at_ns = last.failed_ns;
	}
}

static void read_plan(const char *run_dir, const char *job_id,
		      struct job_facts *ret)
{
	struct record_plan plan;
	struct err unused;
	JobFacts *f = &ret->facts;

	if (record_read(run_dir, job_id, RECORD_PLAN, &plan, sizeof(plan),
			&unused) < 0)
		return;
	f->has_interval_s = plan.interval_s != 0;
	f->interval_s = plan.interval_s;
	f->has_next_at_ns = plan.next_ns != 0;
	f->next_at_ns = plan.next_ns;
	f->has_needed_s = plan.needed_s != 0;
	f->needed_s = plan.needed_s;
	f->has_window_s = plan.window_s != 0;
	f->window_s = plan.window_s;
	f->has_limit_at_ns = plan.end_ns != 0;
	f->limit_at_ns = plan.end_ns;
	if (*plan.text) {
		TAKE(ret->warning, plan.text);
		f->warning = ret->warning;
	}
}

static void read_flush(const char *run_dir, const char *job_id,
		       struct job_facts *ret)
{
	struct record_flush flush;
	struct err unused;
	JobFacts *f = &ret->facts;

	if (record_read(run_dir, job_id, RECORD_FLUSH, &flush, sizeof(flush),
			&unused) < 0)
		return;
	f->has_flush = f->has_flush_done = f->has_flush_total = 1;
	f->flush = flush.generation;
	f->flush_done = flush.done;
	f->flush_total = flush.total;
	if (*flush.failed) {
		TAKE(ret->flush_failed, flush.failed);
		f->flush_failed = ret->flush_failed;
	}
}

void status_read(const struct conf *conf, const struct control_info *info,
		 struct job_facts *ret)
{
	memset(ret, 0, sizeof(*ret));
	job_facts__init(&ret->facts);
	read_doing(conf->run_dir, info->job_id, ret);
	read_last(conf->run_dir, info->job_id, ret);
	read_plan(conf->run_dir, info->job_id, ret);
	read_flush(conf->run_dir, info->job_id, ret);
}

/* What the one who looks into the store tells of one job. */
struct found {
	uint32_t at; /* which */
	uint32_t generation;
	uint64_t at_ns;
};

static int find_newest(const struct conf *conf, const struct control_info *info,
		       struct found *ret)
{
	const char *cluster =
		launch_is_local(info->job_id) ? LOCAL_CLUSTER : conf->cluster;
	auto_close int job_fd = -EBADF, dir_fd = -EBADF;
	struct user_id user;
	struct err unused;
	struct stat st;
	int r = user_id_load(info->uid, info->gid, &user, &unused);

	if (r < 0)
		return r;
	r = store_open_job(conf->store_dir, cluster, info->job_id, false, &user,
			   &job_fd, &unused);
	if (r == 0)
		r = store_newest(job_fd, &user, &ret->generation, &unused);
	if (r == 0)
		r = store_open(job_fd, ret->generation, &user, &dir_fd,
			       &unused);
	user_id_done(&user);
	if (r == 0 && fstat(dir_fd, &st) < 0)
		r = -errno;
	if (r == 0)
		ret->at_ns = (uint64_t)st.st_mtim.tv_sec * NSEC_PER_SEC +
			     (uint64_t)st.st_mtim.tv_nsec;
	return r;
}

static bool needs_look(const struct job_facts *facts)
{
	return !facts->facts.has_newest;
}

static void look_apart(const struct conf *conf,
		       const struct control_info *infos,
		       const struct job_facts *facts, size_t count, int fd)
{
	struct err unused;
	size_t i;

	if (dup2(fd, 3) < 0)
		_exit(1);
	syscall(SYS_close_range, 4, ~0u, 0);
	for (i = 0; i < count; i++) {
		struct found found = { .at = (uint32_t)i };

		if (needs_look(&facts[i]) &&
		    find_newest(conf, &infos[i], &found) == 0 &&
		    write_all(3, &found, sizeof(found), &unused) < 0)
			break;
	}
	_exit(0);
}

/*
 * Writes of one found are whole: it is far smaller than PIPE_BUF.  false: who
 * looks had not come to the end in time.
 */
static bool take_found(struct job_facts *facts, size_t count, int fd)
{
	uint64_t until = clock_monotonic_ns() + STORE_PATIENCE, now;
	struct pollfd p = { fd, POLLIN, 0 };
	struct found found;

	while ((now = clock_monotonic_ns()) < until) {
		JobFacts *f;

		if (poll(&p, 1, (int)((until - now) / 1000000) + 1) <= 0)
			continue;
		if (read(fd, &found, sizeof(found)) != sizeof(found) ||
		    found.at >= count)
			return true;
		f = &facts[found.at].facts;
		f->has_newest = f->has_newest_at_ns = 1;
		f->newest = found.generation;
		f->newest_at_ns = found.at_ns;
	}
	return false;
}

static void tell_hanging(const struct conf *conf, struct job_facts *facts,
			 size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!needs_look(&facts[i]))
			continue;
		snprintf(facts[i].warning, sizeof(facts[i].warning),
			 "%.160s does not answer: its snapshots are not known; "
			 "see to its file system",
			 conf->store_dir);
		facts[i].facts.warning = facts[i].warning;
	}
}

void status_look(const struct conf *conf, const struct control_info *infos,
		 struct job_facts *facts, size_t count)
{
	size_t i, needed = 0;
	int ends[2];
	pid_t pid;

	for (i = 0; i < count; i++)
		needed += needs_look(&facts[i]);
	if (!needed || pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0)
		look_apart(conf, infos, facts, count, ends[1]);
	close(ends[1]);
	if (pid > 0 && !take_found(facts, count, ends[0]))
		tell_hanging(conf, facts, count);
	close(ends[0]);
	/* One that hangs in the store ends when it comes back. */
	if (pid > 0) {
		kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, WNOHANG);
	}
}
