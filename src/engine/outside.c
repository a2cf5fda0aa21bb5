// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/outside.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kernel/maps.h"
#include "kernel/proc.h"
#include "util/cleanup.h"

enum holding_kind { HOLDS_PIPE, HOLDS_SOCKET, HOLDS_SHMEM };

struct holding {
	uint64_t inode;
	dev_t dev; /* of shared memory */
	enum holding_kind kind;
	pid_t pid;
};

struct outside {
	struct holding *list; /* sorted by kind and inode when complete */
	size_t count, room;
	pid_t *seen; /* looked at; ascending when complete */
	size_t nseen, seen_room;
	dev_t *devices; /* where shared memory is */
	size_t ndevices;
};

static int add(struct outside *o, const struct holding *h, struct err *err)
{
	if (o->count == o->room) {
		size_t room = o->room ? o->room * 2 : 256;
		struct holding *list = realloc(o->list, room * sizeof(*list));

		if (!list)
			return err_set(err, -ENOMEM, "other processes");
		o->list = list;
		o->room = room;
	}
	o->list[o->count++] = *h;
	return 0;
}

static bool is_memory(const struct outside *o, dev_t dev)
{
	for (size_t i = 0; i < o->ndevices; i++)
		if (o->devices[i] == dev)
			return true;
	return false;
}

static bool parse_link(const char *link, struct holding *ret)
{
	unsigned long long n;

	if (sscanf(link, "pipe:[%llu]", &n) == 1)
		ret->kind = HOLDS_PIPE;
	else if (sscanf(link, "socket:[%llu]", &n) == 1)
		ret->kind = HOLDS_SOCKET;
	else
		return false;
	ret->inode = n;
	return true;
}

/* A process may vanish while it is looked at: then it holds nothing. */
static bool vanished(int r)
{
	return r == -ENOENT || r == -ESRCH || r == -EACCES || r == -EPERM;
}

static int look_at_fd(struct outside *o, pid_t pid, int proc_fd, int fd,
		      struct err *err)
{
	struct holding h = { .kind = HOLDS_SHMEM, .pid = pid };
	char name[32], link[256];
	struct stat st;
	ssize_t n;

	(void)snprintf(name, sizeof(name), "fd/%d", fd);
	n = readlinkat(proc_fd, name, link, sizeof(link) - 1);
	if (n < 0)
		return 0;
	link[n] = '\0';
	if (parse_link(link, &h))
		return add(o, &h, err);
	/* To ask what it is could wait for a file system of the network. */
	if (strncmp(link, "/memfd:", 7) != 0 &&
	    strncmp(link, "/dev/zero", 9) != 0 &&
	    strncmp(link, "/dev/shm/", 9) != 0 &&
	    strncmp(link, "/anon_hugepage", 14) != 0)
		return 0;
	if (fstatat(proc_fd, name, &st, 0) < 0 || !S_ISREG(st.st_mode) ||
	    !is_memory(o, st.st_dev))
		return 0;
	h.dev = st.st_dev;
	h.inode = st.st_ino;
	return add(o, &h, err);
}

static int look_at_fds(struct outside *o, pid_t pid, int proc_fd,
		       struct err *err)
{
	auto_free int *fds = NULL;
	size_t count = 0;
	int r;

	r = proc_read_fds(proc_fd, &fds, &count, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = look_at_fd(o, pid, proc_fd, fds[i], err);
	return r;
}

static int look_at_maps(struct outside *o, pid_t pid, int proc_fd,
			struct err *err)
{
	struct vma_list vmas = { 0 };
	int r;

	r = maps_read_fast(proc_fd, &vmas, err);
	for (size_t i = 0; r == 0 && i < vmas.count; i++) {
		const struct vma *v = &vmas.v[i];
		const struct holding h = {
			.kind = HOLDS_SHMEM,
			.dev = makedev(v->dev_major, v->dev_minor),
			.inode = v->inode,
			.pid = pid,
		};

		/* Numbers of System V segments are their ids, of any
		 * namespace: the kernel counts who has them attached. */
		if (strncmp(v->path, "/SYSV", 5) == 0)
			continue;
		if (v->inode && is_memory(o, h.dev))
			r = add(o, &h, err);
	}
	maps_done(&vmas);
	return r;
}

static int look_at(struct outside *o, pid_t pid, struct err *err)
{
	auto_close int proc_fd = -EBADF;
	struct err gone = { 0 };
	int r;

	r = proc_open(pid, 0, &proc_fd, &gone);
	if (r == 0)
		r = look_at_fds(o, pid, proc_fd, &gone);
	if (r == 0)
		r = look_at_maps(o, pid, proc_fd, &gone);
	if (r == 0 || vanished(r))
		return 0;
	*err = gone;
	return err_wrap(err, r, "process %d", pid);
}

static int compare_pids(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int compare_holdings(const void *a, const void *b)
{
	const struct holding *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

int outside_new(const dev_t *devices, size_t count, struct outside **ret,
		struct err *err)
{
	struct outside *o = calloc(1, sizeof(*o));

	if (o)
		o->devices = calloc(count + 1, sizeof(*devices));
	if (!o || !o->devices) {
		free(o);
		return err_set(err, -ENOMEM, "other processes");
	}
	memcpy(o->devices, devices, count * sizeof(*devices));
	o->ndevices = count;
	*ret = o;
	return 0;
}

static bool is_in(const pid_t *pids, size_t count, pid_t pid)
{
	return count &&
	       bsearch(&pid, pids, count, sizeof(pid), compare_pids) != NULL;
}

/* Children born while a running tree was listed looked like strangers. */
static void forget_members(struct outside *o, const pid_t *members,
			   size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < o->count; i++) {
		pid_t pid = o->list[i].pid;

		if (!is_in(members, count, pid) &&
		    (kill(pid, 0) == 0 || errno != ESRCH))
			o->list[kept++] = o->list[i];
	}
	o->count = kept;
}

static int note_seen(struct outside *o, pid_t pid, struct err *err)
{
	if (o->nseen == o->seen_room) {
		size_t room = o->seen_room ? o->seen_room * 2 : 1024;
		pid_t *seen = reallocarray(o->seen, room, sizeof(*seen));

		if (!seen)
			return err_set(err, -ENOMEM, "other processes");
		o->seen = seen;
		o->seen_room = room;
	}
	o->seen[o->nseen++] = pid;
	return 0;
}

static int look_at_new(struct outside *o, const pid_t *members, size_t count,
		       struct err *err)
{
	auto_closedir DIR *dir = opendir("/proc");
	size_t before = o->nseen;
	struct dirent *d;
	int r = 0;

	if (!dir)
		return err_sys(err, "/proc");
	while (r == 0 && (d = readdir(dir))) {
		pid_t pid = (pid_t)atoi(d->d_name);

		if (pid <= 0 || pid == getpid() || is_in(members, count, pid) ||
		    is_in(o->seen, before, pid))
			continue;
		r = look_at(o, pid, err);
		if (r == 0)
			r = note_seen(o, pid, err);
	}
	return r;
}

int outside_look(struct outside *o, const pid_t *members, size_t count,
		 struct err *err)
{
	int r;

	forget_members(o, members, count);
	r = look_at_new(o, members, count, err);
	if (o->nseen)
		qsort(o->seen, o->nseen, sizeof(*o->seen), compare_pids);
	if (o->count)
		qsort(o->list, o->count, sizeof(*o->list), compare_holdings);
	return r;
}

void outside_free(struct outside *o)
{
	if (!o)
		return;
	free(o->devices);
	free(o->list);
	free(o->seen);
	free(o);
}

/*
 * Of several the one with the lowest number: others may be children of the
 * tree that were born a moment ago.
 */
static pid_t find(const struct outside *o, const struct holding *key)
{
	const struct holding *h;
	size_t from = 0, to = o->count;

	while (from < to) {
		size_t at = from + (to - from) / 2;

		if (compare_holdings(&o->list[at], key) < 0)
			from = at + 1;
		else
			to = at;
	}
	h = &o->list[from];
	return from < o->count && h->kind == key->kind && h->dev == key->dev &&
			       h->inode == key->inode
		       ? h->pid
		       : 0;
}

pid_t outside_link(const struct outside *o, const char *link)
{
	struct holding key = { 0 };

	return parse_link(link, &key) ? find(o, &key) : 0;
}

pid_t outside_shmem(const struct outside *o, dev_t dev, uint64_t inode)
{
	const struct holding key = { .kind = HOLDS_SHMEM,
				     .dev = dev,
				     .inode = inode };

	return find(o, &key);
}
