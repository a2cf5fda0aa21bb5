/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in the store of a job, whether or not it runs, and on any node. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "operation/launch.h"
#include "operation/parts.h"
#include "storage/ended.h"
#include "storage/history.h"
#include "storage/store.h"
#include "util/cleanup.h"

/* Entries of one reply: with the longest texts well below FRAME_MAX. */
#define CHUNK 100

/* Its snapshots have gone, its history is still there. */
static int open_retired(const struct operation *op, int *ret_fd,
			struct err *err)
{
	char name[JOB_ID_MAX + sizeof(ENDED_SUFFIX)];

	snprintf(name, sizeof(name), "%s" ENDED_SUFFIX, op->req->job_id);
	return store_open_job(op->conf->store_dir, op->conf->cluster, name,
			      false, NULL, ret_fd, err);
}

int operation_open_job(const struct operation *op, bool retired,
		       struct user_id *ret_owner, int *ret_fd, struct err *err)
{
	const char *id = op->req->job_id;
	const char *cluster =
		launch_is_local(id) ? LOCAL_CLUSTER : op->conf->cluster;
	auto_close int fd = -EBADF;
	struct stat st;
	int r = store_open_job(op->conf->store_dir, cluster, id, false, NULL,
			       &fd, err);

	if (r == -ENOENT && retired)
		r = open_retired(op, &fd, err);
	if (r == -ENOENT)
		return err_set(err, r, "nothing of job %s in %s", id,
			       op->conf->store_dir);
	if (r < 0)
		return r;
	/* Nobody can make a directory another user's. */
	if (fstat(fd, &st) < 0)
		return err_sys(err, "job %s", id);
	r = operation_authorise(op->conf, op->caller, st.st_uid, id, err);
	if (r == 0)
		r = user_id_of_file(&st, ret_owner, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static void fill(const struct history_event *e, HistoryEntry *ret)
{
	history_entry__init(ret);
	ret->at_ns = e->at_ns;
	ret->node = (char *)e->node;
	ret->kind = (char *)e->kind;
	ret->has_generation = e->generation != 0;
	ret->generation = e->generation;
	ret->text = (char *)e->text;
}

static int send_some(const struct operation *op,
		     const struct history_event *events, size_t count,
		     bool more)
{
	HistoryEntry entries[CHUNK], *list[CHUNK];
	Reply reply = REPLY__INIT;
	size_t i;

	for (i = 0; i < count; i++) {
		fill(&events[i], &entries[i]);
		list[i] = &entries[i];
	}
	reply.has_more = reply.more = more;
	reply.history = list;
	reply.n_history = count;
	return op->reply(op->arg, &reply);
}

struct events {
	const struct operation *op;
	struct history_event *list;
	size_t count;
};

static int read_events(void *arg, struct err *err)
{
	struct events *e = arg;
	auto_close int fd = -EBADF;
	struct user_id owner = { 0 };
	int r = operation_open_job(e->op, true, &owner, &fd, err);

	if (r == 0)
		r = history_read(fd, &owner, &e->list, &e->count, err);
	user_id_done(&owner);
	/* A job of an older jobcr has snapshots and no history. */
	return r == -ENOENT && fd >= 0 ? 0 : r;
}

static int send_events(const struct events *e)
{
	size_t at = 0, n;
	int r;

	do {
		n = e->count - at < CHUNK ? e->count - at : CHUNK;
		r = send_some(e->op, e->list + at, n, at + n < e->count);
		at += n;
	} while (r >= 0 && at < e->count);
	return r;
}

int operation_history(const struct operation *op, struct err *err)
{
	const struct apart apart = operation_apart(op);
	struct events events = { .op = op };
	int r = apart_look(&apart, read_events, &events, err);

	if (r == 0)
		r = send_events(&events);
	free(events.list);
	return r;
}
