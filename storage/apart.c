/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pthread.h>
#include <unistd.h>

#include "storage/store.h"

struct task {
	int job_fd, dir_fd;
	uint32_t number;
	const void *manifest;
	size_t len;
	const struct user_id *user;
	const char *const *unwanted;
	struct err *err;
	int result;
};

/* One that stays costs room, and nothing else. */
static void remove_unwanted(const struct task *t)
{
	struct err unused;

	if (!t->unwanted[0] || begin_as(t->user, &unused) < 0)
		return;
	for (size_t i = 0; t->unwanted[i]; i++)
		(void)unlinkat(t->dir_fd, t->unwanted[i], 0);
	end_as(t->user);
}

static void *run(void *arg)
{
	struct task *t = arg;

	remove_unwanted(t);
	t->result = store_publish(t->job_fd, t->number, t->dir_fd, t->manifest,
				  t->len, t->user, t->err);
	return NULL;
}

int store_publish_apart(int job_fd, uint32_t number, int dir_fd,
			const void *manifest, size_t len,
			const struct user_id *user,
			const char *const *unwanted, struct err *err)
{
	struct task t = { .job_fd = job_fd,
			  .dir_fd = dir_fd,
			  .number = number,
			  .manifest = manifest,
			  .len = len,
			  .user = user,
			  .unwanted = unwanted,
			  .err = err };
	pthread_t thread;
	int num = pthread_create(&thread, NULL, run, &t);

	if (num)
		return err_num(err, num, "a thread to publish");
	(void)pthread_join(thread, NULL);
	return t.result;
}
