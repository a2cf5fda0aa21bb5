/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/called.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/children.h"

bool called_getpid(struct frozen_task *task, struct err *err)
{
	struct tracee *t = &task->threads[0].tracee;
	int64_t v = 0;

	return remote_new(task->pid, t, NULL, &task->remote, err) == 0 &&
	       remote_begin(task->remote, t, err) == 0 &&
	       remote_call(task->remote, "getpid", &v, err, SYS_getpid, 0, 0, 0,
			   0, 0, 0) == 0 &&
	       v == task->pid;
}

void *wait_thread(void *arg)
{
	__atomic_add_fetch(&counters[0], 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return NULL;
}
