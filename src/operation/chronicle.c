/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/chronicle.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/written.h"
#include "operation/launch.h"
#include "operation/operation.h"
#include "storage/history.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "wire/record.h"

/* What a caller waits for the store, and what a writer does at most. */
#define PATIENCE_MS 250
#define WRITER_S    120

#define MIB (1024.0 * 1024.0)

static int append(const struct conf *conf, const struct control_info *info,
		  const struct history_event *event, struct err *err)
{
	auto_close int job_fd = -EBADF;
	const char *cluster =
		launch_is_local(info->job_id) ? LOCAL_CLUSTER : conf->cluster;
	struct user_id user;
	int r = user_id_load(info->uid, info->gid, &user, err);

	if (r < 0)
		return r;
	r = store_open_job(conf->store_dir, cluster, info->job_id, true, &user,
			   &job_fd, err);
	if (r == 0)
		r = history_append(job_fd, &user, event, err);
	user_id_done(&user);
	return r;
}

/*
 * A process that nobody waits for, and that holds nothing of the caller's: a
 * lock or a connection to a supervisor would last as long as the store hangs.
 */
static void write_apart(const struct conf *conf,
			const struct control_info *info,
			const struct history_event *event, int done_fd)
{
	struct err err = { 0 };

	if (fork() != 0)
		_exit(0);
	setsid();
	if (dup2(done_fd, 3) < 0)
		_exit(1);
	syscall(SYS_close_range, 4, ~0u, 0);
	alarm(WRITER_S);
	_exit(append(conf, info, event, &err) < 0);
}

/* Usually it is written when this returns: events stay in their order. */
static void write_history(const struct conf *conf,
			  const struct control_info *info,
			  const struct history_event *event)
{
	struct pollfd done = { .fd = -1, .events = POLLIN };
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0)
		write_apart(conf, info, event, ends[1]);
	close(ends[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	done.fd = ends[0];
	if (pid > 0)
		(void)poll(&done, 1, PATIENCE_MS);
	close(ends[0]);
}

static double rate(uint64_t bytes, uint64_t ns)
{
	return ns ? (double)bytes / MIB * 1e9 / (double)ns : 0;
}

/* It is so each time, and is said once. */
static bool is_kernels(const Outcome *o)
{
	return o->not_borrowed && !strcmp(o->not_borrowed, WRITTEN_MISSING);
}

void chronicle_describe(const char *what, const char *cause, const Outcome *o,
			char ret[CHRONICLE_TEXT])
{
	char pause[96] = "", unwritten[224] = "";
	const double durable = (double)(o->has_durable_ns ? o->durable_ns
							  : o->frozen_ns);
	const char *fast = "";

	if (o->has_pinned_ns && o->pinned_ns)
		snprintf(pause, sizeof(pause),
			 "pinned after %.0f ms, %s after %.0f ms, ",
			 (double)o->pinned_ns / 1e6,
			 o->has_gone && o->gone ? "killed, durable" : "durable",
			 durable / 1e6);
	else if (o->has_sheltered_ns && o->sheltered_ns)
		snprintf(pause, sizeof(pause),
			 "sheltered after %.0f ms, %s after %.0f ms, ",
			 (double)o->sheltered_ns / 1e6,
			 o->has_gone && o->gone ? "killed, durable" : "durable",
			 durable / 1e6);
	else if (o->has_frozen_ns && o->frozen_ns)
		snprintf(pause, sizeof(pause), "stood still for %.0f ms, ",
			 (double)o->frozen_ns / 1e6);
	if (o->has_borrowed_bytes)
		snprintf(unwritten, sizeof(unwritten),
			 " beside %.1f MiB that are unchanged",
			 (double)o->borrowed_bytes / MIB);
	else if (o->not_borrowed && !is_kernels(o))
		snprintf(unwritten, sizeof(unwritten), " (all of it: %.200s)",
			 o->not_borrowed);
	if (o->has_fast && o->fast)
		fast = cause ? " in the fast directory"
			     : " from the fast directory";
	snprintf(ret, CHRONICLE_TEXT,
		 "%s%s%s: generation %u%s, %u process%s with %u thread%s, "
		 "%.1f MiB%s at %.0f MiB/s, %s%.0f ms in all",
		 what, cause ? " for " : "", cause ? cause : "", o->generation,
		 fast, o->tasks, o->tasks == 1 ? "" : "es", o->threads,
		 o->threads == 1 ? "" : "s", (double)o->page_bytes / MIB,
		 unwritten, rate(o->page_bytes, o->pages_ns), pause,
		 (double)o->total_ns / 1e6);
}

bool chronicle_not_kept(const struct conf *conf,
			const struct control_info *info, const Outcome *o)
{
	struct record_not_kept said, now = { 0 };
	struct err unused;

	if (!o->not_kept)
		return false;
	(void)record_read(conf->run_dir, info->job_id, RECORD_NOT_KEPT, &said,
			  sizeof(said), &unused);
	snprintf(now.text, sizeof(now.text), "%.*s", (int)sizeof(now.text) - 1,
		 o->not_kept);
	if (!strncmp(said.text, now.text, sizeof(now.text)))
		return false;
	(void)record_write(conf->run_dir, info->job_id, RECORD_NOT_KEPT, &now,
			   sizeof(now), &unused);
	return true;
}

bool chronicle_not_watched(const struct conf *conf,
			   const struct control_info *info, const Outcome *o)
{
	struct record_not_watched said;
	struct err unused;

	if (!is_kernels(o) ||
	    record_read(conf->run_dir, info->job_id, RECORD_NOT_WATCHED, &said,
			sizeof(said), &unused) == 0)
		return false;
	(void)record_write(conf->run_dir, info->job_id, RECORD_NOT_WATCHED,
			   &said, sizeof(said), &unused);
	return true;
}

void chronicle_add(const struct conf *conf, const struct control_info *info,
		   const char *kind, uint32_t generation, const char *text)
{
	struct history_event event = { .at_ns = clock_ns(CLOCK_REALTIME),
				       .generation = generation };

	snprintf(event.node, sizeof(event.node), "%s", conf->node);
	snprintf(event.kind, sizeof(event.kind), "%s", kind);
	snprintf(event.text, sizeof(event.text), "%.*s", HISTORY_TEXT - 1,
		 text);
	write_history(conf, info, &event);
}

void chronicle_files(const struct conf *conf, const struct control_info *info,
		     const Outcome *o)
{
	char text[HISTORY_TEXT];

	if (o->copied) {
		snprintf(text, sizeof(text), "%s%s", OUTCOME_COPIED, o->copied);
		chronicle_add(conf, info, "files", o->generation, text);
	}
	if (o->aside) {
		snprintf(text, sizeof(text), "%s%s", OUTCOME_ASIDE, o->aside);
		chronicle_add(conf, info, "files", o->generation, text);
	}
	if (o->moved) {
		snprintf(text, sizeof(text), "%s%s", OUTCOME_MOVED, o->moved);
		chronicle_add(conf, info, "moved", o->generation, text);
	}
}
