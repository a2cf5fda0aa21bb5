/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/event.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operation/launch.h"
#include "storage/history.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

/* What an event waits for the store, and what a writer does at most. */
#define PATIENCE_MS 250
#define WRITER_S    120

/* Kinds that are more than information. */
static const struct {
	const char *kind;
	enum log_level level;
} levels[] = {
	{ "failed", LOG_LEVEL_ERROR },    { "held", LOG_LEVEL_ERROR },
	{ "lost", LOG_LEVEL_ERROR },      { "fenced", LOG_LEVEL_ERROR },
	{ "refused", LOG_LEVEL_WARNING }, { "warning", LOG_LEVEL_WARNING },
};

static enum log_level level_of(const char *kind)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcmp(levels[i].kind, kind) == 0)
			return levels[i].level;
	return LOG_LEVEL_INFO;
}

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
	if (append(conf, info, event, &err) < 0)
		log_warning(info->job_id, "history: %s", err.text);
	_exit(0);
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

void event_note(const struct conf *conf, const struct control_info *info,
		const char *kind, uint32_t generation, const char *fmt, ...)
{
	struct history_event event = { .at_ns = clock_ns(CLOCK_REALTIME),
				       .generation = generation };
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_msg(level_of(kind), info->job_id, "%s", text);
	snprintf(event.node, sizeof(event.node), "%s", conf->node);
	snprintf(event.kind, sizeof(event.kind), "%s", kind);
	snprintf(event.text, sizeof(event.text), "%.*s", HISTORY_TEXT - 1,
		 text);
	write_history(conf, info, &event);
}
