// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A job has mounts of its own: those that there were when it began.  What it
 * has mounted itself since, by rights of root or a program that has them, goes
 * with it, and files there are not found by a restore.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine/preflight.h"
#include "util/cleanup.h"
#include "util/io.h"

#define MOUNTINFO_MAX (4u << 20)
#define FDINFO_MAX    65536

struct mounted {
	int id;
	dev_t dev;
	const char *at, *type; /* in text, blanks as \040 */
};

struct mounts {
	char *text;
	struct mounted *list;
	size_t count;
};

struct looking {
	const struct collection *c;
	const struct mounts *own; /* which its supervisor has not */
	int outer_root_fd;        /* the supervisor's */
	struct refusals *no;
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
	int id, at = 0, end = 0;
	char *type = strstr(line, " - ");

	if (!type ||
	    sscanf(line, "%d %*d %u:%u %*s %n%*s%n", &id, &major, &minor, &at,
		   &end) != 3 ||
	    !end)
		return false;
	type += strlen(" - ");
	type[strcspn(type, " ")] = '\0';
	line[end] = '\0';
	*ret = (struct mounted){ id, makedev(major, minor), line + at, type };
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
 * The same at the same place: one that was mounted anew since has another
 * number.  There may be thousands, most of them at the same place of both
 * lists.
 */
static bool has(const struct mounts *m, const struct mounted *one,
		size_t likely)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct mounted *o = &m->list[(likely + i) % m->count];

		if (!strcmp(o->at, one->at) &&
		    (o->dev == one->dev || !strcmp(o->type, one->type)))
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

/* Its file system need not let us in for that. */
static int mount_of(int fd)
{
	auto_free char *text = NULL;
	const char *found;
	struct err unused;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (read_file_at(AT_FDCWD, path, FDINFO_MAX, &text, NULL, &unused) < 0)
		return -1;
	found = strstr(text, "mnt_id:");
	return found ? atoi(found + strlen("mnt_id:")) : -1;
}

/*
 * A directory that is bound to another place, say: the name may lead to the
 * same file where it is not.
 */
static bool is_found_outside(const struct looking *l,
			     const struct collected_task *t, const char *name,
			     int fd)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT |
					   RESOLVE_NO_SYMLINKS };
	auto_free char *path = NULL;
	auto_close int there = -EBADF;
	struct stat own, other;
	struct err unused;

	if (proc_read_link(t->view.proc_fd, name, &path, &unused) < 0)
		return false;
	there = (int)syscall(SYS_openat2, l->outer_root_fd, path, &how,
			     sizeof(how));
	return there >= 0 && fstat(fd, &own) == 0 &&
	       fstat(there, &other) == 0 && own.st_dev == other.st_dev &&
	       own.st_ino == other.st_ino;
}

static const struct mounted *find(const struct mounts *m, int id)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->list[i].id == id)
			return &m->list[i];
	return NULL;
}

/* name is one of the process's links. */
static void check_link(const struct looking *l, const struct collected_task *t,
		       const char *name, int its_fd, const char *what)
{
	auto_close int fd = openat(t->view.proc_fd, name, O_PATH | O_CLOEXEC);
	const struct mounted *on = fd < 0 ? NULL : find(l->own, mount_of(fd));

	if (!on || is_found_outside(l, t, name, fd))
		return;
	refusals_add(l->no, t->view.ns_pid, t->view.stat->comm, its_fd,
		     "mount it before the job begins, on each node, or unmount "
		     "it",
		     "%s on %.100s (%.30s), which the job itself has mounted",
		     what, on->at, on->type);
}

static void check_file(const struct looking *l, const struct collected_file *f)
{
	char name[64];

	snprintf(name, sizeof(name), "%sfd/%d",
		 f->travels ? "/proc/self/" : "", f->fd);
	check_link(l, &l->c->tasks[f->task], f->fd < 0 ? f->open_path : name,
		   f->fd, f->fd < 0 ? "memory of a file" : "a file");
}

static void check_all(const struct looking *l)
{
	const struct collection *c = l->c;

	for (size_t i = 0; i < c->nfiles; i++)
		check_file(l, &c->files[i]);
	for (size_t i = 0; i < c->ntasks; i++)
		check_link(l, &c->tasks[i], "cwd", -1, "its current directory");
}

/* What was not there when the job began is left in own. */
static void take_away(struct mounts *own, const struct mounts *outer)
{
	size_t count = 0;

	for (size_t i = 0; i < own->count; i++)
		if (!is_made_again(&own->list[i]) &&
		    !has(outer, &own->list[i], i))
			own->list[count++] = own->list[i];
	own->count = count;
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
	auto_close int root_fd =
		openat(outer_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct looking l = { c, &own, root_fd, no };
	int r = root_fd < 0 ? err_sys(err, "root of its supervisor")
			    : read_mounts(own_fd, &own, err);

	if (r == 0)
		r = read_mounts(outer_fd, &outer, err);
	if (r == 0)
		take_away(&own, &outer);
	if (r == 0 && own.count)
		check_all(&l);
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
