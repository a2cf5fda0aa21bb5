/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree goes where Slurm's SIGKILL does not reach, and comes back.  The
 * supervisor does that: it is root, has Slurm's mounts, and stands in the
 * very cgroup that the tree has to come back to.  So there is nothing to be
 * remembered but the CPUs of threads, which cpusets of version 2 forget.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/supervisor.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"
#include "wire/shelter.h"

/* Init answers at once, unless it is suspended. */
#define INIT_PATIENCE NSEC_PER_SEC
/* A tree that runs, after the worker's death, may fork meanwhile. */
#define PASSES 1000

struct cpus_of {
	pid_t tid;
	cpu_set_t cpus;
};

struct shim_shelter {
	struct shelter dirs; /* dirs.from[0] is where the tree belongs */
	char controllers[256];
	char job[32]; /* component of the path of each cgroup of the job */
	struct cpus_of *cpus;
	size_t ncpus, room;
};

/* Is the name one component of the path? */
static bool has_component(const char *path, const char *name)
{
	size_t len = strlen(name);

	for (; (path = strstr(path, name)); path++)
		if (path[-1] == '/' && (path[len] == '/' || path[len] == '\0'))
			return true;
	return false;
}

/*
 * Slurm kills through the freezer of version 1, or through version 2; what
 * is before in /proc/PID/cgroup comes first there, version 2 is the last.
 */
static int note_own(void *arg, const char *controllers, const char *path)
{
	struct shim_shelter *h = arg;
	char dir[CGROUP_PATH];
	size_t at = h->dirs.nfrom;

	if (*path != '/' || !has_component(path, h->job) ||
	    at == SHELTER_DIRS ||
	    cgroup_find(controllers, path, dir, sizeof(dir)) < 0)
		return 0;
	strcpy(h->dirs.from[at], dir);
	h->dirs.nfrom++;
	if (cgroup_has(controllers, "freezer") ||
	    (!*controllers && !*h->dirs.own)) {
		strcpy(h->dirs.from[at], h->dirs.from[0]);
		strcpy(h->dirs.from[0], dir);
		snprintf(h->controllers, sizeof(h->controllers), "%s",
			 controllers);
		/* Found; the path comes from the worker's. */
		strcpy(h->dirs.own, "/");
	}
	return 0;
}

/* Where jobcrd and its workers are, nobody else kills anything. */
static int note_target(void *arg, const char *controllers, const char *path)
{
	struct shim_shelter *h = arg;
	char dir[CGROUP_PATH];
	uint32_t id = (uint32_t)strtoul(h->job + strlen("job_"), NULL, 10);
	size_t len;

	if (strcmp(controllers, h->controllers) != 0)
		return 0;
	if (*path != '/' || has_component(path, h->job) ||
	    cgroup_find(controllers, path, dir, sizeof(dir)) < 0)
		return -ENOENT;
	len = strlen(dir);
	while (len && dir[len - 1] == '/')
		dir[--len] = '\0';
	return (size_t)snprintf(h->dirs.own, CGROUP_PATH,
				"%s/" SHELTER_PREFIX "%u", dir,
				id) < CGROUP_PATH
		       ? 1
		       : -ENAMETOOLONG;
}

static int find_dirs(struct shim_shelter *h, pid_t worker, struct err *err)
{
	int r = cgroup_each(getpid(), note_own, h, err);

	if (r < 0)
		return r;
	if (!*h->dirs.own)
		return err_set(err, -EOPNOTSUPP,
			       "Slurm does not track it by cgroups "
			       "(ProctrackType)");
	r = cgroup_each(worker, note_target, h, err);
	return r == 1 ? 0
		      : err_set(err, -EOPNOTSUPP,
				"no place for cgroups beside the worker's");
}

static int note_cpus(struct shim_shelter *h, pid_t tid, struct err *err)
{
	struct cpus_of now = { .tid = tid };

	if (sched_getaffinity(tid, sizeof(now.cpus), &now.cpus) < 0)
		return 0;
	if (h->ncpus == h->room) {
		size_t room = h->room ? h->room * 2 : 256;
		void *more = reallocarray(h->cpus, room, sizeof(*h->cpus));

		if (!more)
			return err_num(err, ENOMEM, "CPUs of its threads");
		h->cpus = more;
		h->room = room;
	}
	h->cpus[h->ncpus++] = now;
	return 0;
}

static int note_threads(struct shim_shelter *h, pid_t pid, struct err *err)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	char path[64];
	int r = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (r == 0 && dir && (entry = readdir(dir))) {
		pid_t tid = (pid_t)atoi(entry->d_name);

		if (tid > 0)
			r = note_cpus(h, tid, err);
	}
	return r;
}

static void put_cpus_back(const struct shim_shelter *h)
{
	size_t i;

	for (i = 0; i < h->ncpus; i++) {
		const struct cpus_of *then = &h->cpus[i];
		cpu_set_t now;

		if (sched_getaffinity(then->tid, sizeof(now), &now) == 0 &&
		    !CPU_EQUAL(&now, &then->cpus))
			(void)sched_setaffinity(then->tid, sizeof(now),
						&then->cpus);
	}
}

/* One pass; *ret_moved of them went.  h: threads are noted before. */
static int move_some(const char *from, const char *to, struct shim_shelter *h,
		     size_t *ret_moved, struct err *err)
{
	auto_free pid_t *pids = NULL;
	size_t count = 0, i;
	int r = cgroup_list(from, &pids, &count, err);

	*ret_moved = 0;
	for (i = 0; r == 0 && i < count; i++) {
		if (pids[i] == getpid())
			continue;
		if (h)
			r = note_threads(h, pids[i], err);
		if (r == 0)
			r = cgroup_put(to, pids[i]);
		if (r == -ESRCH)
			r = 0;
		else if (r < 0)
			return err_num(err, -r, "%s: process %d", to,
				       (int)pids[i]);
		else
			++*ret_moved;
	}
	return r;
}

static int move_all(const char *from, const char *to, struct shim_shelter *h,
		    struct err *err)
{
	size_t moved = 1, i;
	int r = 0;

	for (i = 0; r == 0 && moved && i < PASSES; i++)
		r = move_some(from, to, h, &moved, err);
	return r == 0 && moved
		       ? err_set(err, -EAGAIN, "%s: processes stay there", from)
		       : r;
}

/* Its answer, among the signals that it reports. */
static int await_init(struct supervisor *s, uint8_t answer, struct err *err)
{
	uint64_t until = clock_monotonic_ns() + INIT_PATIENCE, now;
	struct pollfd p = { s->spaces.init_fd, POLLIN, 0 };
	uint8_t byte;

	while ((now = clock_monotonic_ns()) < until) {
		if (poll(&p, 1, (int)((until - now) / 1000000) + 1) <= 0)
			continue;
		if (recv(p.fd, &byte, 1, MSG_DONTWAIT) <= 0)
			return err_set(err, -ESRCH, "init has ended");
		if (byte == answer)
			return 0;
		forward_init(s, byte);
	}
	return err_set(err, -ETIMEDOUT, "init does not answer");
}

static int tell_init(struct supervisor *s, uint8_t order, int fd,
		     uint8_t answer, struct err *err)
{
	int r = send_fds(s->spaces.init_fd, &order, 1, &fd, fd >= 0, err);

	return r < 0 ? r : await_init(s, answer, err);
}

/* One that was left is taken when it is empty: nobody else joins the job. */
static int make_dir(struct shim_shelter *h, struct err *err)
{
	auto_free pid_t *pids = NULL;
	size_t count = 0;
	int r = 0;

	if (mkdir(h->dirs.own, 0755) == 0)
		return 0;
	if (errno != EEXIST)
		r = err_sys(err, "%s", h->dirs.own);
	if (r == 0)
		r = cgroup_list(h->dirs.own, &pids, &count, err);
	if (r == 0 && count)
		r = err_set(err, -EBUSY, "%s: %zu processes are left there",
			    h->dirs.own, count);
	if (r < 0)
		h->dirs.own[0] = '\0';
	return r;
}

/* Whatever has been done of it is undone by shelter_leave. */
static int enter(struct supervisor *s, pid_t worker, int *ret_fd,
		 struct err *err)
{
	struct shim_shelter *h = s->shelter;
	int ends[2], r;

	r = find_dirs(h, worker, err);
	if (r == 0)
		r = shelter_note(s->opt->run_dir, s->opt->job_id, &h->dirs,
				 err);
	if (r < 0)
		return r;
	r = make_dir(h, err);
	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	r = tell_init(s, INIT_SHELTER, ends[0], INIT_SHELTERED, err);
	close(ends[0]);
	if (r == 0)
		r = move_all(h->dirs.from[0], h->dirs.own,
			     *h->controllers ? NULL : h, err);
	if (r == 0)
		*ret_fd = ends[1];
	else
		close(ends[1]);
	return r;
}

int shelter_enter(struct supervisor *s, pid_t worker, int *ret_fd,
		  struct err *err)
{
	int r;

	if (s->shelter)
		return err_set(err, -EBUSY, "it is sheltered already");
	if (!s->opt->slurm || !s->root || !s->init)
		return err_set(err, -EOPNOTSUPP, "no running job of Slurm's");
	s->shelter = calloc(1, sizeof(*s->shelter));
	if (!s->shelter)
		return err_num(err, ENOMEM, "shelter");
	snprintf(s->shelter->job, sizeof(s->shelter->job), "job_%u",
		 s->opt->slurm);
	r = enter(s, worker, ret_fd, err);
	if (r < 0)
		shelter_leave(s);
	return r;
}

static bool is_made(const struct shim_shelter *h)
{
	return h->dirs.own[0] && h->dirs.own[1];
}

void shelter_leave(struct supervisor *s)
{
	struct shim_shelter *h = s->shelter;
	struct err err = { 0 };
	int r = 0;

	if (!h)
		return;
	if (is_made(h) && access(h->dirs.own, F_OK) == 0) {
		r = move_all(h->dirs.own, h->dirs.from[0], NULL, &err);
		put_cpus_back(h);
	}
	/* It ends with us from here on in any case: see init. */
	if (s->init && s->spaces.init_fd >= 0 &&
	    tell_init(s, INIT_RETURN, -1, INIT_RETURNED, &err) < 0)
		log_warning(s->opt->job_id, "after its checkpoint: %s",
			    err.text);
	if (r == 0 && is_made(h))
		r = shelter_remove(h->dirs.own, &err);
	if (r == 0)
		shelter_forget(s->opt->run_dir, s->opt->job_id);
	else
		log_error(s->opt->job_id,
			  "its cgroup is left after a checkpoint: %s",
			  err.text);
	free(h->cpus);
	free(h);
	s->shelter = NULL;
}
