// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel sends a thread wherever its rseq area says, which its user can
 * write to at any time when it is in a file: so it does not know of the area
 * before the thread has no rights any more but its user's.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/edited.h"
#include "../lib/tap.h"
#include "images/signal.pb-c.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "util/cleanup.h"

#define AREA_BYTES 32u
#define FILE_BYTES 4096
#define NO_CPU     0xeeeeeeeeu

static const char *self;
static char area_path[200];

static volatile struct rseq *map_area(const char *path)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map;

	if (fd < 0 || ftruncate(fd, FILE_BYTES) < 0)
		abort();
	map = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		abort();
	return map;
}

/* Beside the program. */
static int be_job(void)
{
	char path[200];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 8);
	void *own = (char *)__builtin_thread_pointer() + __rseq_offset;
	void *area;

	if (n < 0)
		return 1;
	path[n] = '\0';
	strcpy(strrchr(path, '/'), "/area");
	area = (void *)map_area(path);
	if (syscall(SYS_rseq, own, AREA_BYTES, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) <
		    0 ||
	    syscall(SYS_rseq, area, AREA_BYTES, 0, RSEQ_SIG) < 0)
		return 1;
	printf("up\n");
	fflush(stdout);
	for (;;)
		pause();
}

static int start(struct drive_place *place, const char *dir,
		 struct drive_job **ret, struct err *err)
{
	snprintf(area_path, sizeof(area_path), "%s/area", dir);
	return edited_start_self(place, dir, self, ret, err);
}

static void mark(void)
{
	volatile struct rseq *area = map_area(area_path);

	area->cpu_id_start = area->cpu_id = NO_CPU;
	(void)munmap((void *)area, FILE_BYTES);
}

static bool is_marked(void)
{
	volatile struct rseq *area = map_area(area_path);
	bool marked = area->cpu_id_start == NO_CPU && area->cpu_id == NO_CPU;

	(void)munmap((void *)area, FILE_BYTES);
	return marked;
}

/* It is seen when threads are there, and have root's rights still. */
static void no_such_action(ProtobufCMessage *msg)
{
	SigactionRecord *rec = (SigactionRecord *)msg;
	SigactionEntry *e = calloc(1, sizeof(*e));

	sigaction_entry__init(e);
	e->signal = SIGKILL;
	rec->actions = realloc(rec->actions,
			       (rec->n_actions + 1) * sizeof(*rec->actions));
	rec->actions[rec->n_actions++] = e;
	mark();
}

static void look(ProtobufCMessage *msg)
{
	(void)msg;
	ok(is_marked(), "the kernel did not know of it before");
}

static void restored(const struct edited_case *c, struct drive_job *job)
{
	(void)c;
	(void)job;
	ok(!is_marked(), "in the end it does");
}

static const struct edited_case cases[] = {
	{ "an action for SIGKILL", TAG_SIGACTION, no_such_action, "signal 9" },
	{ "nothing", TAG_CREDS, look, NULL },
};

int main(int argc, char **argv)
{
	const struct edited_test test = {
		.cases = cases,
		.count = ARRAY_SIZE(cases),
		.mode = 0777,
		.job = be_job,
		.start = start,
		.restored = restored,
	};

	self = argv[0];
	if (!__rseq_size)
		skip_all("the C library has not registered one");
	return edited_main(argc, argv, &test);
}
