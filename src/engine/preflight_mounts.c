// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A job has mounts of its own: those that there were when it began.  What it
 * has mounted itself since, by rights of root or a program that has them, goes
 * with it, and files there are not found by a restore.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "engine/preflight.h"
#include "util/cleanup.h"
#include "util/io.h"

#define MOUNTINFO_MAX (4u << 20)

struct mounted {
	dev_t dev;
	const char *at, *type; /* in text, blanks as \040 */
};

struct mounts {
	char *text;
	struct mounted *list;
	size_t count;
};

static void mounts_done(struct mounts *m)
{
	free(m->text);
	free(m->list);
}

/* ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS... - TYPE SOURCE OPTIONS */
static bool parse(char *line, struct mounted *ret)
{
	unsigned int major, minor;
	int at = 0, end = 0;
	char *type = strstr(line, " - ");

	if (!type ||
	    sscanf(line, "%*d %*d %u:%u %*s %n%*s%n", &major, &minor, &at,
		   &end) != 2 ||
	    !end)
		return false;
	type += strlen(" - ");
	type[strcspn(type, " ")] = '\0';
	line[end] = '\0';
	*ret = (struct mounted){ makedev(major, minor), line + at, type };
	return true;
}

static int read_mounts(int proc_fd, struct mounts *ret, struct err *err)
{
	char *line, *next;
	size_t room = 1;
	int r = read_file_at(proc_fd, "mountinfo", MOUNTINFO_MAX, &ret->text,
			     NULL, err);

	if (r < 0)
		return r;
	for (line = ret->text; *line; line++)
		room += *line == '\n';
	ret->list = calloc(room, sizeof(*ret->list));
	if (!ret->list)
		return err_num(err, ENOMEM, "mounts");
	for (line = ret->text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (parse(line, &ret->list[ret->count]))
			ret->count++;
	}
	return 0;
}

/*
 * The same again: one that was mounted anew since has another number.  There
 * may be thousands, most of them at the same place of both lists.
 */
static bool has(const struct mounts *m, const struct mounted *one,
		size_t likely)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct mounted *o = &m->list[(likely + i) % m->count];

		if (o->dev == one->dev ||
		    (!strcmp(o->at, one->at) && !strcmp(o->type, one->type)))
			return true;
	}
	return false;
}

/* What each job has of its own, and gets again. */
static bool is_made_again(const struct mounted *one)
{
	return !strcmp(one->type, "proc") || !strcmp(one->type, "devpts") ||
	       !strcmp(one->type, "mqueue") || !strcmp(one->at, "/dev/shm");
}

static bool is_at(const struct collected_task *t, const char *name, dev_t dev)
{
	struct stat st;

	return fstatat(t->view.proc_fd, name, &st, 0) == 0 && st.st_dev == dev;
}

static void refuse(const struct collected_task *t, int fd, const char *what,
		   const struct mounted *on, struct refusals *no)
{
	refusals_add(no, t->view.ns_pid, t->view.stat->comm, fd,
		     "mount it before the job begins, on each node, or unmount "
		     "it",
		     "%s on %.100s (%.30s), which the job itself has mounted",
		     what, on->at, on->type);
}

static void check_mount(const struct collection *c, const struct mounted *on,
			struct refusals *no)
{
	for (size_t i = 0; i < c->nfiles; i++)
		if (c->files[i].dev == on->dev)
			refuse(&c->tasks[c->files[i].task], c->files[i].fd,
			       c->files[i].fd < 0 ? "memory of a file"
						  : "a file",
			       on, no);
	for (size_t i = 0; i < c->ntasks; i++)
		if (is_at(&c->tasks[i], "cwd", on->dev))
			refuse(&c->tasks[i], -1, "its current directory", on,
			       no);
}

static bool is_same_place(int a, int b)
{
	struct stat one, other;

	return fstatat(a, "ns/mnt", &one, 0) < 0 ||
	       fstatat(b, "ns/mnt", &other, 0) < 0 ||
	       one.st_ino == other.st_ino;
}

static int compare(const struct collection *c, int own_fd, int outer_fd,
		   struct refusals *no, struct err *err)
{
	struct mounts own = { 0 }, outer = { 0 };
	int r = read_mounts(own_fd, &own, err);

	if (r == 0)
		r = read_mounts(outer_fd, &outer, err);
	for (size_t i = 0; r == 0 && i < own.count; i++)
		if (!is_made_again(&own.list[i]) &&
		    !has(&outer, &own.list[i], i))
			check_mount(c, &own.list[i], no);
	mounts_done(&own);
	mounts_done(&outer);
	return r;
}

int preflight_mounts(const struct collection *c, pid_t init_pid,
		     struct refusals *no, struct err *err)
{
	auto_close int init_fd = -EBADF, outer_fd = -EBADF;
	struct proc_stat st;
	int r;

	if (!init_pid)
		return 0;
	r = proc_open(init_pid, 0, &init_fd, err);
	if (r == 0)
		r = proc_read_stat(init_fd, &st, err);
	/* Its supervisor, which has the mounts that the job began with. */
	if (r == 0)
		r = proc_open(st.ppid, 0, &outer_fd, err);
	if (r < 0)
		return r;
	return is_same_place(init_fd, outer_fd)
		       ? 0
		       : compare(c, init_fd, outer_fd, no, err);
}
