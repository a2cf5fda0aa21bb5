/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/thread.h"

#include <pthread.h>

struct task {
	int (*fn)(void *arg, struct err *err);
	void *arg;
	struct err *err;
	int result;
};

static void *run(void *arg)
{
	struct task *t = arg;

	t->result = t->fn(t->arg, t->err);
	return NULL;
}

int thread_run(int (*fn)(void *arg, struct err *err), void *arg,
	       struct err *err)
{
	struct task t = { .fn = fn, .arg = arg, .err = err };
	pthread_t thread;
	int num = pthread_create(&thread, NULL, run, &t);

	if (num)
		return err_num(err, num, "a thread for storage");
	(void)pthread_join(thread, NULL);
	return t.result;
}
