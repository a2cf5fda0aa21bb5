/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restore of a tree that never ran: its records are written by hand.  A root
 * with a thread, a child in a group of its own, a zombie, a stopped child
 * and an orphan in the session of a dead leader.  Each thread of it counts
 * in its own word, which is read from outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../lib/drive.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "../lib/tiny.h"
#include "kernel/proc.h"
#include "util/cleanup.h"

static const struct tiny_person tree[] = {
	{ 7, 0, 7, 7, 8, TASK_RECORD__STATE__RUNNING },
	{ 9, 7, 9, 7, 0, TASK_RECORD__STATE__RUNNING },
	{ 10, 7, 7, 7, 0, TASK_RECORD__STATE__ZOMBIE },
	{ 11, 7, 7, 7, 0, TASK_RECORD__STATE__STOPPED },
	{ 12, 1, 44, 44, 0, TASK_RECORD__STATE__RUNNING },
};

/* Outer pid of a process of the job: others have the same number elsewhere. */
static pid_t outer_pid(pid_t near, int32_t ns_pid)
{
	struct stat own, its;
	char name[64];
	struct err err;

	snprintf(name, sizeof(name), "/proc/%d/ns/pid", near);
	if (stat(name, &own) < 0)
		return -1;

	for (pid_t pid = near; pid < near + 200; pid++) {
		auto_close int proc = -EBADF;
		struct proc_status st = { 0 };
		bool hit;

		if (proc_open(pid, 0, &proc, &err) < 0 ||
		    proc_read_status(proc, &st, &err) < 0)
			continue;
		hit = st.ns_levels == 2 && st.ns_tgid == ns_pid &&
		      fstatat(proc, "ns/pid", &its, 0) == 0 &&
		      its.st_ino == own.st_ino;
		proc_status_done(&st);
		if (hit)
			return pid;
	}
	return -1;
}

static bool counts(pid_t pid, unsigned int counter)
{
	struct timespec nap = { .tv_nsec = 50000000 };
	uint64_t seen = 0;
	struct iovec to = { &seen, 8 };
	struct iovec from = { (void *)(TINY_COUNTER(counter)), 8 };

	nanosleep(&nap, NULL);
	return process_vm_readv(pid, &to, 1, &from, 1, 0) == 8 &&
	       seen > TINY_FIRST;
}

static bool is_as_recorded(pid_t pid, const struct tiny_person *p)
{
	auto_close int proc = -EBADF;
	struct proc_status st = { 0 };
	struct proc_stat stat = { 0 };
	struct err err;
	char state;
	bool same;

	if (proc_open(pid, 0, &proc, &err) < 0 ||
	    proc_read_status(proc, &st, &err) < 0 ||
	    proc_read_stat(proc, &stat, &err) < 0)
		return false;
	state = p->state == TASK_RECORD__STATE__ZOMBIE    ? 'Z'
		: p->state == TASK_RECORD__STATE__STOPPED ? 'T'
							  : 'R';
	same = st.ns_pgid == p->pgid && st.ns_sid == p->sid &&
	       stat.state == state;
	if (!same)
		diag("pid %d: group %d session %d state %c", p->pid, st.ns_pgid,
		     st.ns_sid, stat.state);
	if (p->state == TASK_RECORD__STATE__ZOMBIE)
		same = same && stat.exit_status == 3 << 8;
	proc_status_done(&st);
	return same;
}

static void test_restore(const char *dir)
{
	struct drive_place place = { 0 };
	struct drive_outcome outcome;
	struct drive_job *job = NULL;
	pid_t init, pid;
	int r;

	r = drive_restore(&place, dir, &job, &outcome);
	ok(r == 0, "the tree is restored %s", outcome.err.text);
	if (r < 0)
		return;
	init = drive_init_pid(job);
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		pid = outer_pid(init, tree[i].pid);
		if (tree[i].state == TASK_RECORD__STATE__RUNNING)
			ok(counts(pid, 0), "pid %d runs", tree[i].pid);
		if (tree[i].tid)
			ok(counts(pid, 1), "its thread %d runs", tree[i].tid);
		ok(is_as_recorded(pid, &tree[i]), "pid %d is as recorded",
		   tree[i].pid);
	}
	ok(outcome.restart.tasks == ARRAY_SIZE(tree) &&
		   outcome.restart.threads == 5,
	   "they are counted");
	drive_end(job);
}

static void test_damage(const char *dir, const char *stream)
{
	struct drive_place place = { 0 };
	struct drive_outcome outcome;
	struct drive_job *job = NULL;
	char path[128];
	auto_close int fd = -EBADF;
	uint8_t byte;
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, stream);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (pread(fd, &byte, 1, 60) != 1)
		return;
	byte ^= 0x10;
	ok(pwrite(fd, &byte, 1, 60) == 1, "flip a bit in %s", stream);
	r = drive_restore(&place, dir, &job, &outcome);
	ok(r == -EBADMSG && outcome.err.text[0], "it is found: %s",
	   outcome.err.text);
	if (r == 0)
		drive_end(job);
	byte ^= 0x10;
	(void)!pwrite(fd, &byte, 1, 60);
}

/*
 * Half a job is worse than none.  One that the supervisor has just made and
 * nobody holds yet is the supervisor's to end.
 */
static void test_killed(const char *dir)
{
	static const enum engine_phase phases[] = { PHASE_PREFLIGHT,
						    PHASE_BUILD, PHASE_FILL,
						    PHASE_GO };
	static const uint64_t delays[] = { 0, 500000, 3000000, 10000000 };
	struct drive_place place = { 0 };
	struct drive_outcome outcome;
	size_t left, killed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
		for (size_t k = 0; k < ARRAY_SIZE(delays); k++) {
			left = SIZE_MAX;
			if (drive_restore_killed(&place, dir, phases[i],
						 delays[k], &left,
						 &outcome) != -ECANCELED)
				continue;
			killed++;
			ok(left == 0 || left == ARRAY_SIZE(tree) ||
				   (left == 1 && i < 2),
			   "worker killed %llu us into %s: %zu are left",
			   (unsigned long long)delays[k] / 1000,
			   engine_phase_name(phases[i]), left);
		}
	ok(killed > 4, "it was killed %zu times", killed);
}

int main(void)
{
	struct err err = { 0 };
	auto_close int dir_fd = -EBADF;
	char dir[64];

	if (geteuid() != 0)
		skip_all("needs root");
	dir_fd = temp_dir(dir);
	if (tiny_write(dir_fd, tree, ARRAY_SIZE(tree), &err) < 0) {
		ok(false, "an image by hand: %s", err.text);
	} else {
		test_restore(dir);
		test_killed(dir);
		test_damage(dir, "n1.pages.1");
		test_damage(dir, "n1.meta");
		test_damage(dir, "manifest");
	}
	temp_dir_remove(dir);
	return done_testing();
}
