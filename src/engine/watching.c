// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/watching.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/far_writes.h"
#include "kernel/kcmp.h"
#include "kernel/userfault.h"
#include "kernel/written.h"
#include "util/cleanup.h"

#define NUMBERS_MAX 4096

bool watching_wanted(const struct checkpoint_args *args, int *ret_fd)
{
	if (!args->watches || args->watch == ENGINE_WATCH_NONE ||
	    args->published || !written_supported())
		return false;
	*ret_fd = far_writes_open();
	return true;
}

void watching_explain(const struct checkpoint_args *args,
		      const struct watches_lost *lost, char *why, size_t room)
{
	if (args->watch != ENGINE_WATCH_NONE && !written_supported())
		(void)snprintf(why, room, "%s", WRITTEN_MISSING);
	else if (lost->generation && lost->writer == FAR_WRITER_UNNAMED)
		(void)snprintf(why, room,
			       "a process that is not seen from here may have "
			       "been writing to its memory at generation %u",
			       lost->generation);
	else if (lost->generation && lost->writer)
		(void)snprintf(why, room,
			       "process %d, which is none of the job's, was "
			       "writing to its memory at generation %u",
			       lost->writer, lost->generation);
	else if (lost->generation)
		(void)snprintf(why, room,
			       "what was written since generation %u is not "
			       "known, an attempt after it has died",
			       lost->generation);
}

void watching_settle(const struct checkpoint_args *args, const uint8_t *digest,
		     pid_t writer)
{
	const struct watches_lost lost = { args->generation, writer };
	struct watches *w = args->watches;

	if (writer) {
		watches_lose(w, &lost);
		return;
	}
	w->generation = w->count ? args->generation : 0;
	memcpy(w->digest, digest, WATCHES_DIGEST);
}

struct watches_lost watching_lost(const struct checkpoint_args *args)
{
	struct watches_lost lost = { 0 };

	if (args->watches)
		lost = watches_why(args->watches);
	if (lost.generation)
		args->watches->generation = 0;
	return lost;
}

void watching_undo(const struct checkpoint_args *args, const struct search *s,
		   const struct watches_lost *lost)
{
	struct watches *w = args->watches;
	struct watches_lost now = { .generation = w->generation };

	if (!w->generation)
		now = *lost;
	if (!w->generation || search_disarm(s) < 0)
		watches_lose(w, &now);
}

/*
 * To watch it once more is the only way to ask whose watch is there, and would
 * watch whatever a process that runs has mapped there by now.  So until it
 * stands such memory is taken for ours.
 */
static bool claim(int fd, bool frozen, struct vma *v)
{
	const uint64_t any = VMA_UFFD | VMA_UFFD_WRITES;

	if ((v->flags & any) != VMA_UFFD_WRITES || v->shared || v->inode ||
	    (frozen && written_watch(fd, v->start, v->end) < 0))
		return false;
	v->flags &= ~VMA_UFFD_WRITES;
	v->watched = 1;
	return true;
}

/* Has it memory that is watched by somebody? */
static bool is_watched(const struct collected_task *t)
{
	for (size_t k = 0; k < t->vmas.count; k++)
		if (t->vmas.v[k].flags & VMA_UFFD_WRITES)
			return true;
	return false;
}

/* A child of vfork has its parent's memory, until it executes a program. */
static int parents_watch(const struct watches *w,
			 const struct collected_task *t)
{
	struct err unused;
	int same;

	for (size_t i = 0; i < w->count && is_watched(t); i++)
		if (kcmp_tasks(w->v[i].pid, t->frozen->pid, KCMP_KIND_VM, &same,
			       &unused) == 0 &&
		    same == 0)
			return w->fds[i];
	return -1;
}

void watching_claim(struct watches *w, struct collection *c)
{
	for (size_t i = 0; w->count && i < c->ntasks; i++) {
		struct collected_task *t = &c->tasks[i];
		int fd = watches_find(w, t->frozen->pid,
				      t->frozen->stat.start_time);
		size_t claimed = 0;

		if (t->frozen->zombie)
			continue;
		if (fd < 0)
			fd = parents_watch(w, t);
		if (fd < 0)
			continue;
		for (size_t k = 0; k < t->vmas.count; k++)
			claimed += claim(fd, c->frozen, &t->vmas.v[k]);
		if (!claimed)
			watches_drop(w, t->frozen->pid);
	}
}

/* The number that the next descriptor gets; -1: too far to look for it. */
static int next_number(const struct frozen_task *f)
{
	char path[32];
	struct stat st;

	for (int n = 0; n < NUMBERS_MAX; n++) {
		(void)snprintf(path, sizeof(path), "fd/%d", n);
		if (fstatat(f->proc_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? n : -1;
	}
	return -1;
}

struct made {
	const struct frozen_task *f;
	int number, fd;
};

static int take(void *arg, struct err *err)
{
	struct made *m = arg;

	m->fd = (int)syscall(SYS_pidfd_getfd, m->f->pidfd, m->number, 0);
	return m->fd < 0 ? err_sys(err, "take a userfaultfd") : 0;
}

int watching_make(struct watches *w, const struct frozen_task *f,
		  struct remote *remote, struct err *err)
{
	const struct remote_args call = { SYS_userfaultfd,
					  { USERFAULT_FLAGS } };
	struct made made = { .f = f, .number = next_number(f), .fd = -1 };
	auto_close int fd = -EBADF;
	struct err why = { 0 };
	int64_t value = 0;
	int r;

	if (made.number < 0 || w->count == WATCHES_MAX)
		return 0;
	r = remote_passing_fd(remote, &call, made.number, take, &made, &value,
			      &why);
	fd = made.fd;
	/* Its filters do not want it: then it is not done. */
	if (r == -ENOTSUP)
		return 0;
	if (r < 0)
		return err_set(err, r, "watch writes: %.200s", why.text);
	if (fd < 0 || written_begin(fd, &why) < 0)
		return 0;
	watches_add(w, f->pid, f->stat.start_time, take_fd(&fd));
	return 0;
}
