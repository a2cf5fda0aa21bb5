/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/drain_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define DRAIN_MAGIC 0x6a636431u /* "jcd1" */

static int open_in(const char *run_dir, const char *name, int *ret,
		   struct err *err)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", run_dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "%s", path);
	*ret = fd;
	return 0;
}

int drain_table_open(const char *run_dir, struct drain_table **ret,
		     struct err *err)
{
	auto_close int fd = -EBADF;
	struct drain_table *t;
	int r = open_in(run_dir, "drain", &fd, err);

	if (r < 0)
		return r;
	/* Room now: a write to a full tmpfs later would be a signal. */
	r = posix_fallocate(fd, 0, sizeof(*t));
	if (r != 0)
		return err_num(err, r, "%s/drain", run_dir);
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (t == MAP_FAILED)
		return err_sys(err, "%s/drain", run_dir);
	if (t->magic != DRAIN_MAGIC || t->size != sizeof(*t) ||
	    t->count > DRAIN_MAX) {
		memset(t, 0, sizeof(*t));
		t->size = sizeof(*t);
		t->magic = DRAIN_MAGIC;
	}
	*ret = t;
	return 0;
}

void drain_table_close(struct drain_table *t)
{
	munmap(t, sizeof(*t));
}

int drain_table_lock(const char *run_dir, int *ret_fd, struct err *err)
{
	auto_close int fd = -EBADF;
	int r = open_in(run_dir, "drain.lock", &fd, err);

	if (r < 0)
		return r;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(err, -EAGAIN, "a drain is under way")
			       : err_sys(err, "%s/drain.lock", run_dir);
	*ret_fd = take_fd(&fd);
	return 0;
}

struct drain_row *drain_find(struct drain_table *t, const char *job_id)
{
	uint32_t i;

	for (i = 0; i < t->count; i++)
		if (strcmp(t->rows[i].job_id, job_id) == 0)
			return &t->rows[i];
	return NULL;
}

struct drain_row *drain_add(struct drain_table *t, const char *job_id,
			    uint32_t uid)
{
	struct drain_row *row = &t->rows[t->count];

	if (t->count == DRAIN_MAX)
		return NULL;
	memset(row, 0, sizeof(*row));
	snprintf(row->job_id, sizeof(row->job_id), "%s", job_id);
	row->uid = uid;
	row->state = DRAIN_WAITING;
	/* Readers see it when it is whole. */
	__atomic_store_n(&t->count, t->count + 1, __ATOMIC_RELEASE);
	return row;
}

void drain_changed(struct drain_table *t, struct drain_row *row)
{
	uint32_t n = __atomic_add_fetch(&t->change, 1, __ATOMIC_SEQ_CST);

	__atomic_store_n(&row->change, n, __ATOMIC_RELEASE);
}

void drain_set(struct drain_table *t, struct drain_row *row,
	       enum drain_state state)
{
	row->since_ns = clock_monotonic_ns();
	__atomic_store_n(&row->state, (uint32_t)state, __ATOMIC_RELEASE);
	drain_changed(t, row);
}

void drain_say(struct drain_row *row, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(row->text, sizeof(row->text), fmt, ap);
	va_end(ap);
}

bool drain_has_left(const struct drain_row *row)
{
	return row->state == DRAIN_QUEUED || row->state == DRAIN_HELD ||
	       row->state == DRAIN_ELSEWHERE || row->state == DRAIN_GONE ||
	       row->state == DRAIN_STARTING;
}

bool drain_is_open(const struct drain_row *row)
{
	return row->state == DRAIN_WAITING || row->state == DRAIN_SAVING;
}
