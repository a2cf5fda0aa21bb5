// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A journal takes what several wait for in one go. */
#define SYNC_THREADS 4

static int sync_one(int fd)
{
	/* Not everything that is written to can be synced. */
	if (fsync(fd) == 0 || errno == EINVAL || errno == EROFS)
		return 0;
	return errno;
}

int sync_add(struct sync_list *list, int fd, struct err *err)
{
	int own, r;

	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		int *fds = reallocarray(list->fds, room, sizeof(*fds));

		if (!fds)
			return err_num(err, ENOMEM, "files to sync");
		list->fds = fds;
		list->room = room;
	}
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own >= 0) {
		list->fds[list->count++] = own;
		return 0;
	}
	r = sync_one(fd);
	return r ? err_num(err, r, "fsync") : 0;
}

struct run {
	const struct sync_list *list;
	atomic_size_t next;
	atomic_size_t failed; /* index + 1 of a file */
	atomic_int error;
};

static void *work(void *arg)
{
	struct run *run = arg;
	size_t i;
	int r;

	while ((i = atomic_fetch_add(&run->next, 1)) < run->list->count) {
		r = sync_one(run->list->fds[i]);
		if (r) {
			atomic_store(&run->failed, i + 1);
			atomic_store(&run->error, r);
		}
	}
	return NULL;
}

static int tell(const struct sync_list *list, const struct run *run,
		struct err *err)
{
	char link[64], path[512] = "";
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d",
		       list->fds[run->failed - 1]);
	n = readlink(link, path, sizeof(path) - 1);
	return err_num(err, run->error, "%s: fsync",
		       n > 0 ? path : "a file of the job");
}

int sync_run(struct sync_list *list, struct err *err)
{
	struct run run = { .list = list };
	pthread_t threads[SYNC_THREADS];
	size_t started = 0;

	/* One less: this thread works too, and alone if it must. */
	while (started + 1 < SYNC_THREADS && started + 1 < list->count &&
	       pthread_create(&threads[started], NULL, work, &run) == 0)
		started++;
	(void)work(&run);
	while (started > 0)
		(void)pthread_join(threads[--started], NULL);
	return run.error ? tell(list, &run, err) : 0;
}

void sync_done(struct sync_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		close(list->fds[i]);
	free(list->fds);
	*list = (struct sync_list){ 0 };
}
