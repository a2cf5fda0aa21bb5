/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pthread.h>

#include "storage/store.h"

struct task {
	int job_fd, dir_fd;
	uint32_t number;
	const void *manifest;
	size_t len;
	const struct user_id *user;
	struct err *err;
	int result;
};

static void *run(void *arg)
{
	struct task *t = arg;

	t->result = store_publish(t->job_fd, t->number, t->dir_fd, t->manifest,
				  t->len, t->user, t->err);
	return NULL;
}

int store_publish_apart(int job_fd, uint32_t number, int dir_fd,
			const void *manifest, size_t len,
			const struct user_id *user, struct err *err)
{
	struct task t = { .job_fd = job_fd,
			  .dir_fd = dir_fd,
			  .number = number,
			  .manifest = manifest,
			  .len = len,
			  .user = user,
			  .err = err };
	pthread_t thread;
	int num = pthread_create(&thread, NULL, run, &t);

	if (num)
		return err_num(err, num, "a thread to publish");
	(void)pthread_join(thread, NULL);
	return t.result;
}
