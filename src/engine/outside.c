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

#include "engine/far_maps.h"
#include "kernel/proc.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* How long to wait for the maps of one process. */
#define ONE_NS    (NSEC_PER_SEC / 10)
#define OTHERS_NS (3 * ONE_NS)
#define THEIRS_NS (5 * ONE_NS)
#define MORE_NS   (ONE_NS / 20) /* when one was waited for in vain */

#define USERS_MAX 64 /* of so many any process might be */

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
	struct far_maps maps;
	uint64_t others_ns; /* left of OTHERS_NS */
	pid_t unread;       /* a process that may share any memory, or 0 */
	pid_t was_unread;   /* when it was looked last */
};

/* For whom it is looked. */
struct tree {
	const pid_t *pids;
	size_t count;
	uint32_t users[USERS_MAX];
	size_t nusers;
	bool have_users;
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
	struct statx st;
	ssize_t n;

	(void)snprintf(name, sizeof(name), "fd/%d", fd);
	n = readlinkat(proc_fd, name, link, sizeof(link) - 1);
	if (n < 0)
		return 0;
	link[n] = '\0';
	if (parse_link(link, &h))
		return add(o, &h, err);
	/* To ask what it is could wait for a file system of the network; so
	 * could one that is mounted there, without DONT_SYNC. */
	if (strncmp(link, "/memfd:", 7) != 0 &&
	    strncmp(link, "/dev/zero", 9) != 0 &&
	    strncmp(link, "/dev/shm/", 9) != 0 &&
	    strncmp(link, "/anon_hugepage", 14) != 0)
		return 0;
	if (statx(proc_fd, name, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO,
		  &st) < 0 ||
	    !S_ISREG(st.stx_mode))
		return 0;
	h.dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	h.inode = st.stx_ino;
	if (!is_memory(o, h.dev))
		return 0;
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

static bool has_id(const uint32_t *ids, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static void find_users(struct tree *t)
{
	t->have_users = true;
	for (size_t m = 0; m < t->count; m++) {
		auto_close int proc_fd = -EBADF;
		struct proc_status st = { 0 };
		struct err ignored;

		if (proc_open(t->pids[m], 0, &proc_fd, &ignored) < 0 ||
		    proc_read_status(proc_fd, &st, &ignored) < 0)
			continue;
		for (int i = 0; i < 4 && t->nusers < USERS_MAX; i++)
			if (!has_id(t->users, t->nusers, st.uids[i]))
				t->users[t->nusers++] = st.uids[i];
		proc_status_done(&st);
	}
}

/* Has it an id of the tree's users, so that their memory is open to it? */
static bool is_theirs(struct tree *t, int proc_fd)
{
	struct proc_status st = { 0 };
	struct err ignored;
	bool found = false;

	if (!t->have_users)
		find_users(t);
	if (proc_read_status(proc_fd, &st, &ignored) < 0)
		return false;
	for (int i = 0; i < 4; i++)
		found = found || t->nusers == USERS_MAX ||
			has_id(t->users, t->nusers, st.uids[i]);
	proc_status_done(&st);
	return found;
}

/*
 * A process whose maps are not to be had in time may share the tree's memory if
 * it has the rights of one of the tree's users, who forbid the checkpoint to
 * nobody but themselves.  What is another user's counts as sharing none, or
 * anybody could forbid it to all: memory comes to it only by a descriptor that
 * the tree sends it, and a socket by which it could is refused while it is
 * open.  As the tree may stand still, OTHERS_NS is all that they get together.
 */
static int wait_for_maps(struct outside *o, pid_t pid, int proc_fd,
			 struct tree *t, struct far_file **ret,
			 size_t *ret_count, struct err *err)
{
	uint64_t limit = o->others_ns < ONE_NS ? o->others_ns : ONE_NS;
	int r = -ETIMEDOUT;

	if (o->unread && limit > MORE_NS)
		limit = MORE_NS;
	if (limit)
		r = far_maps_read(&o->maps, pid, limit, ret, ret_count, err);
	if (r != -ETIMEDOUT)
		return r;
	if (!is_theirs(t, proc_fd)) {
		o->others_ns -= limit;
		return 0;
	}
	/* No memory is let through any more, whoever has it: next time. */
	if (o->unread)
		return r;
	/* That one has had its time. */
	if (pid != o->was_unread)
		r = far_maps_read(&o->maps, pid, THEIRS_NS, ret, ret_count,
				  err);
	if (r == -ETIMEDOUT)
		o->unread = pid;
	return r;
}

static int look_at_maps(struct outside *o, pid_t pid, int proc_fd,
			struct tree *t, bool *ret_again, struct err *err)
{
	auto_free struct far_file *files = NULL;
	size_t count = 0;
	int r;

	r = wait_for_maps(o, pid, proc_fd, t, &files, &count, err);
	if (r == -ETIMEDOUT) {
		*ret_again = true;
		return 0;
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add(o,
			&(struct holding){ .kind = HOLDS_SHMEM,
					   .dev = files[i].dev,
					   .inode = files[i].inode,
					   .pid = pid },
			err);
	return r;
}

static int look_at(struct outside *o, pid_t pid, struct tree *t,
		   bool *ret_again, struct err *err)
{
	auto_close int proc_fd = -EBADF;
	struct err gone = { 0 };
	int r;

	r = proc_open(pid, 0, &proc_fd, &gone);
	if (r == 0)
		r = look_at_fds(o, pid, proc_fd, &gone);
	if (r == 0)
		r = look_at_maps(o, pid, proc_fd, t, ret_again, &gone);
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
	o->maps.devices = o->devices;
	o->maps.ndevices = count;
	o->others_ns = OTHERS_NS;
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

static int look_at_new(struct outside *o, struct tree *t, struct err *err)
{
	auto_closedir DIR *dir = opendir("/proc");
	size_t before = o->nseen;
	struct dirent *d;
	int r = 0;

	if (!dir)
		return err_sys(err, "/proc");
	while (r == 0 && (d = readdir(dir))) {
		pid_t pid = (pid_t)atoi(d->d_name);
		bool again = false;

		if (pid <= 0 || pid == getpid() || pid == o->maps.helper ||
		    is_in(t->pids, t->count, pid) ||
		    is_in(o->seen, before, pid))
			continue;
		r = look_at(o, pid, t, &again, err);
		if (r == 0 && !again)
			r = note_seen(o, pid, err);
	}
	return r;
}

int outside_look(struct outside *o, const pid_t *members, size_t count,
		 struct err *err)
{
	struct tree tree = { .pids = members, .count = count };
	int r;

	o->was_unread = o->unread;
	o->unread = 0;
	forget_members(o, members, count);
	r = look_at_new(o, &tree, err);
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
	far_maps_done(&o->maps);
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

pid_t outside_shmem(const struct outside *o, dev_t dev, uint64_t inode,
		    bool *ret_unread)
{
	pid_t holder;
	const struct holding key = { .kind = HOLDS_SHMEM,
				     .dev = dev,
				     .inode = inode };

	holder = find(o, &key);
	*ret_unread = !holder && o->unread;
	return holder ? holder : o->unread;
}
