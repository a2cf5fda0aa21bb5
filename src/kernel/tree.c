/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/proc.h"
#include "util/cleanup.h"
#include "util/io.h"

#define TEXT_MAX      65536
#define PROCESSES_MAX 100000

/* Processes still to be looked at: a job chooses how deep its tree is. */
struct queue {
	pid_t *pids;
	size_t count, room;
};

static int push(struct queue *q, const pid_t *pids, size_t n, struct err *err)
{
	if (q->count + n > q->room) {
		size_t room = 2 * (q->count + n) + 64;
		pid_t *more = realloc(q->pids, room * sizeof(*more));

		if (!more)
			return err_num(err, ENOMEM, "processes");
		q->pids = more;
		q->room = room;
	}
	memcpy(q->pids + q->count, pids, n * sizeof(*pids));
	q->count += n;
	return 0;
}

static uint64_t mix(uint64_t x, uint64_t v)
{
	x += v + 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* 0 where there is no such line: a kernel thread has no memory. */
static uint64_t number(const char *text, const char *key, int base)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, base) : 0;
}

/* The name, which the job chooses, has no line ends of its own. */
static uint64_t memory_of(const char *status)
{
	return (number(status, "\nRssAnon:", 10) +
		number(status, "\nRssShmem:", 10) +
		number(status, "\nVmSwap:", 10)) *
	       1024;
}

/* Time on a CPU in nanoseconds, and how often it came there. */
static int read_schedule(int task_fd, uint64_t *ret_ns, uint64_t *ret_times,
			 struct err *err)
{
	auto_free char *text = NULL;
	uint64_t waited;
	int r = read_file_at(task_fd, "schedstat", TEXT_MAX, &text, NULL, err);

	if (r == 0 && sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, ret_ns,
			     &waited, ret_times) != 3)
		r = err_set(err, -EBADMSG, "schedstat: not understood");
	return r;
}

static int look_at_thread(pid_t pid, pid_t tid, struct tree_look *look,
			  uint64_t *ret_bytes, struct err *err)
{
	auto_free char *status = NULL;
	auto_close int fd = -EBADF;
	uint64_t who, mark, cpu, times;
	struct proc_stat st;
	int r = proc_open(pid, tid, &fd, err);

	if (r == 0)
		r = proc_read_stat(fd, &st, err);
	if (r == 0)
		r = read_file_at(fd, "status", TEXT_MAX, &status, NULL, err);
	if (r == 0)
		r = read_schedule(fd, &cpu, &times, err);
	if (r < 0)
		return r;
	who = mix(mix(0, (uint64_t)tid), st.start_time);
	mark = mix(mix(mix(who, cpu), times),
		   number(status, "\nvoluntary_ctxt_switches:", 10));
	mark = mix(mark, number(status, "\nnonvoluntary_ctxt_switches:", 10));
	mark = mix(mark, number(status, "\nSigPnd:", 16));
	mark = mix(mark, number(status, "\nShdPnd:", 16));
	look->threads++;
	look->cpu_ns += cpu;
	look->asleep &= strchr("STZ", st.state) != NULL;
	/* A sum: the order in which they come says nothing. */
	look->members += who;
	look->mark += mark;
	*ret_bytes = memory_of(status);
	return 0;
}

/* One that ended meanwhile was not asleep. */
static int or_gone(int r, struct tree_look *look)
{
	if (r != -ESRCH && r != -ENOENT)
		return r;
	look->asleep = false;
	return 0;
}

static int look_at_threads(pid_t pid, struct queue *q, struct tree_look *look,
			   struct err *err)
{
	auto_close int fd = -EBADF;
	auto_free pid_t *tids = NULL;
	uint64_t bytes = 0;
	size_t n, i;
	int r = proc_open(pid, 0, &fd, err);

	if (r == 0)
		r = proc_read_threads(fd, &tids, &n, err);
	for (i = 0; r == 0 && i < n; i++) {
		auto_close int task_fd = -EBADF;
		auto_free pid_t *children = NULL;
		size_t nchildren;

		r = or_gone(look_at_thread(pid, tids[i], look, &bytes, err),
			    look);
		if (r == 0 && proc_open(pid, tids[i], &task_fd, err) < 0)
			continue;
		if (r == 0)
			r = proc_read_children(task_fd, &children, &nchildren,
					       err);
		if (r == 0)
			r = push(q, children, nchildren, err);
		else
			r = or_gone(r, look);
	}
	look->bytes += bytes;
	look->processes++;
	return r;
}

static ino_t pid_namespace(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static int push_inside(pid_t thread, pid_t parent, pid_t init, struct queue *q,
		       struct err *err)
{
	auto_close int fd = -EBADF;
	auto_free pid_t *children = NULL;
	ino_t own = pid_namespace(init);
	size_t n = 0, i;
	int r = proc_open(parent, thread, &fd, err);

	if (r == 0)
		r = proc_read_children(fd, &children, &n, err);
	for (i = 0; r == 0 && i < n; i++)
		if (children[i] != init && pid_namespace(children[i]) == own)
			r = push(q, &children[i], 1, err);
	return r;
}

/* Without a namespace of its own the tree is init and its descendants. */
static int push_siblings(pid_t init, struct queue *q, struct err *err)
{
	auto_close int fd = -EBADF, parent_fd = -EBADF;
	auto_free pid_t *tids = NULL;
	struct proc_stat st;
	size_t n = 0, i;
	int r = proc_open(init, 0, &fd, err);

	if (r == 0)
		r = proc_read_stat(fd, &st, err);
	if (r < 0)
		return r;
	if (!st.ppid || pid_namespace(st.ppid) == pid_namespace(init))
		return 0;
	r = proc_open(st.ppid, 0, &parent_fd, err);
	if (r == 0)
		r = proc_read_threads(parent_fd, &tids, &n, err);
	for (i = 0; r == 0 && i < n; i++)
		r = push_inside(tids[i], st.ppid, init, q, err);
	return r;
}

int tree_look(pid_t init, struct tree_look *ret, struct err *err)
{
	struct tree_look look = { .asleep = true };
	struct queue q = { 0 };
	int r;

	if (init <= 0)
		return err_num(err, ESRCH, "process %d", init);
	r = push(&q, &init, 1, err);
	if (r == 0)
		r = push_siblings(init, &q, err);
	while (r == 0 && q.count && look.processes < PROCESSES_MAX) {
		pid_t pid = q.pids[--q.count];

		r = look_at_threads(pid, &q, &look, err);
		if (pid != init)
			r = or_gone(r, &look);
	}
	free(q.pids);
	if (r < 0)
		return err_wrap(err, r, "look at the tree of pid %d", init);
	look.mark = mix(look.mark, look.threads);
	*ret = look;
	return 0;
}
