/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who flushes what: directories in FastDir are their users', and what is in
 * them may take any time, or all of it.  So each job is looked at by a child of
 * its own, and no user has more than one.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/flush.h"
#include "daemon/server.h"
#include "kernel/mounted_below.h"
#include "operation/launch.h"
#include "storage/tier.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/control.h"

#define FLUSHES_MAX 8 /* at a time */
#define PASS_S      1
/* Looking is no copying: it takes no time, but for who wants it to. */
#define LOOK_S 60
/* A job's copies are looked through so often, whether or not they changed. */
#define TIDY_EVERY (30 * NSEC_PER_SEC)
/* Between two looks at one job; and when it failed. */
#define LOOK_PAUSE   NSEC_PER_SEC
#define FAILED_PAUSE (10 * NSEC_PER_SEC)
#define BEAT_PAUSE   (TIER_BEAT_S * NSEC_PER_SEC)
/* Something is mounted on it. */
#define NOBODY_KNOWS ((uid_t)-1)

/* A job's directory. */
struct dir {
	const char *cluster;
	char job[JOB_ID_MAX];
	uid_t uid;
	bool seen;
	bool again;                      /* there is something to be done */
	struct timespec changed, looked; /* the directory: now, and then */
	pid_t pid; /* of who looks at it; 0: nobody does */
	uint64_t began, not_before, tidied;
	pid_t beats; /* who tells other nodes of it; 0: nobody */
	uint64_t told;
};

struct flushes {
	const struct conf *conf;
	struct dir *list;
	size_t count, room;
};

static struct dir *find_dir(struct flushes *f, const char *cluster,
			    const char *job)
{
	for (size_t i = 0; i < f->count; i++)
		if (!strcmp(f->list[i].job, job) &&
		    !strcmp(f->list[i].cluster, cluster))
			return &f->list[i];
	return NULL;
}

static struct dir *add_dir(struct flushes *f, const char *cluster,
			   const char *job)
{
	struct dir *d;

	if (f->count == f->room) {
		size_t room = f->room ? 2 * f->room : 16;

		d = reallocarray(f->list, room, sizeof(*d));
		if (!d)
			return NULL;
		f->list = d;
		f->room = room;
	}
	d = &f->list[f->count++];
	*d = (struct dir){ .cluster = cluster };
	snprintf(d->job, sizeof(d->job), "%.*s", JOB_ID_MAX - 1, job);
	return d;
}

static void see(struct flushes *f, int cluster_fd, const char *cluster,
		const char *job)
{
	struct dir *d = find_dir(f, cluster, job);
	struct stat st = { .st_uid = NOBODY_KNOWS };
	struct err unused;
	int r = stat_unmounted(cluster_fd, job, &st, &unused);

	if (r < 0 && r != -EXDEV)
		return;
	if (!d)
		d = add_dir(f, cluster, job);
	if (!d)
		return;
	d->seen = true;
	d->uid = st.st_uid;
	d->changed = st.st_mtim;
}

static void see_cluster(struct flushes *f, const char *cluster)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	char path[PATH_MAX];
	struct err unused;

	(void)snprintf(path, sizeof(path), "%s/%s", f->conf->fast_dir, cluster);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (control_check_id(entry->d_name, &unused) == 0)
			see(f, dirfd(dir), cluster, entry->d_name);
}

static void see_all(struct flushes *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->count; i++)
		f->list[i].seen = false;
	see_cluster(f, LOCAL_CLUSTER);
	if (strcmp(f->conf->cluster, LOCAL_CLUSTER) != 0)
		see_cluster(f, f->conf->cluster);
	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].seen || f->list[i].pid || f->list[i].beats)
			f->list[kept++] = f->list[i];
	f->count = kept;
}

/* There may be something to be flushed. */
static bool may_wait(const struct dir *d)
{
	return d->again || d->changed.tv_sec != d->looked.tv_sec ||
	       d->changed.tv_nsec != d->looked.tv_nsec;
}

static bool is_due(const struct dir *d, uint64_t now)
{
	return d->seen && !d->pid && now >= d->not_before &&
	       (may_wait(d) || now - d->tidied >= TIDY_EVERY);
}

/*
 * Whatever it waits for, or hangs in: who starts the job elsewhere sees that it
 * comes.  Never two at a time: the store may hold one for ever.
 */
static void beat(struct flushes *f, struct dir *d, uint64_t now,
		 const sigset_t *mask)
{
	if (!d->seen || d->beats || now - d->told < BEAT_PAUSE ||
	    !(d->pid || may_wait(d)))
		return;
	d->told = now;
	d->beats = fork();
	if (d->beats == 0) {
		sigprocmask(SIG_SETMASK, mask, NULL);
		flush_beat(f->conf, d->cluster, d->job, LOOK_S);
		_exit(0);
	}
	if (d->beats < 0)
		d->beats = 0;
}

static bool is_served(const struct flushes *f, uid_t uid)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].pid && f->list[i].uid == uid)
			return true;
	return false;
}

/* Whoever has waited longest. */
static struct dir *next_dir(struct flushes *f, uint64_t now)
{
	struct dir *next = NULL;
	size_t running = 0;

	for (size_t i = 0; i < f->count; i++) {
		struct dir *d = &f->list[i];

		running += d->pid != 0;
		if ((!next || d->began < next->began) && is_due(d, now) &&
		    !is_served(f, d->uid))
			next = d;
	}
	return running < FLUSHES_MAX ? next : NULL;
}

static void start(struct flushes *f, struct dir *d, uint64_t now,
		  const sigset_t *mask)
{
	bool tidy = now - d->tidied >= TIDY_EVERY;
	pid_t pid = fork();

	if (pid == 0) {
		sigprocmask(SIG_SETMASK, mask, NULL);
		_exit((int)flush_job(f->conf, d->cluster, d->job, tidy,
				     LOOK_S));
	}
	d->began = now;
	d->not_before = now + (pid < 0 ? FAILED_PAUSE : LOOK_PAUSE);
	if (pid < 0)
		return;
	d->pid = pid;
	d->looked = d->changed;
	if (tidy)
		d->tidied = now;
}

static void end(struct dir *d, int status, uint64_t now)
{
	bool failed = !WIFEXITED(status) || WEXITSTATUS(status) == FLUSH_FAILED;

	d->pid = 0;
	d->again = failed || WEXITSTATUS(status) == FLUSH_AGAIN;
	d->not_before = now + (failed ? FAILED_PAUSE : LOOK_PAUSE);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		log_warning(d->job,
			    "its directory in the fast directory is not to be "
			    "looked through in %u s: see how much is in it",
			    LOOK_S);
}

static void reap(struct flushes *f)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < f->count; i++) {
			if (f->list[i].pid == pid)
				end(&f->list[i], status, clock_monotonic_ns());
			if (f->list[i].beats == pid)
				f->list[i].beats = 0;
		}
}

int flush_all(const struct conf *conf, pid_t jobcrd)
{
	const struct timespec pause = { .tv_sec = PASS_S };
	struct flushes f = { .conf = conf };
	sigset_t child, mask;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &mask);
	while (getppid() == jobcrd) {
		uint64_t now = clock_monotonic_ns();
		struct dir *d;

		reap(&f);
		see_all(&f);
		while ((d = next_dir(&f, now)))
			start(&f, d, now, &mask);
		for (size_t i = 0; i < f.count; i++)
			beat(&f, &f.list[i], now, &mask);
		(void)sigtimedwait(&child, NULL, &pause);
	}
	free(f.list);
	return 0;
}
