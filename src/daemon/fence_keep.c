/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/fence_renew.h"
#include "daemon/server.h"
#include "operation/lease.h"
#include "operation/worker.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"
#include "wire/record.h"

#define SECOND NSEC_PER_SEC
/* A keeper that takes over from a dead one has this long for its first. */
#define FIRST_GRACE (2 * SECOND)
/* A tree that cannot be stopped in order is ended without order. */
#define KILL_AFTER    (5 * SECOND)
#define RELEASE_TRIES 3

enum standing {
	STANDS,   /* the lease holds, or there was none yet */
	LAPSED,   /* it may end before it can be renewed */
	REPLACED, /* another run has the next epoch */
	GONE,     /* no process is left */
};

struct keeper {
	const struct conf *conf;
	struct control_info info;
	struct renewal beat;
	int init_fd; /* pidfd of the tree's pid 1 */
	int lock_fd; /* whoever works on the job holds this */
	uint64_t length, valid_until, next_beat, kill_at;
	bool gone, replaced, told;
	bool maybe; /* the first lease may have been written: nobody knows */
};

/* It goes on while the node sleeps. */
static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

static enum standing stands(const struct keeper *k)
{
	bool known = k->beat.epoch || k->beat.lease.epoch || k->maybe;

	if (k->gone)
		return GONE;
	if (k->replaced)
		return REPLACED;
	return known && now_ns() + k->length / 3 >= k->valid_until ? LAPSED
								   : STANDS;
}

static void note(struct keeper *k, bool fenced)
{
	struct record_lease rec = {
		.epoch = k->beat.lease.epoch ? k->beat.lease.epoch
					     : k->beat.epoch,
		.init_pid = k->info.init_pid,
		.init_start = lease_process_start(k->info.init_pid),
		.fenced = fenced,
	};
	struct err unused;

	memcpy(rec.store, k->beat.store, sizeof(rec.store));
	(void)record_write(k->conf->run_dir, k->info.job_id, RECORD_LEASE, &rec,
			   sizeof(rec), &unused);
}

static void take_answer(struct keeper *k)
{
	bool first = !k->beat.lease.epoch;
	uint64_t began = k->beat.started_ns, pause = k->length / 10;
	int r = renewal_finish(&k->beat);

	if (r == 0) {
		k->valid_until = k->beat.sure_until_ns = began + k->length;
		k->next_beat = began + k->length / 3;
		k->told = false;
		if (first)
			note(k, false);
		return;
	}
	k->next_beat = now_ns() + (pause < SECOND ? pause : SECOND);
	if (r == -EKEYREVOKED)
		k->replaced = true;
	else if (!k->told)
		log_warning(k->info.job_id,
			    "its lease cannot be renewed (%s): it stands "
			    "still from %.0f s after the last renewal on",
			    k->beat.text, (double)k->length * 2 / 3 / 1e9);
	k->told = true;
}

static void look_after_beat(struct keeper *k)
{
	uint64_t now = now_ns();

	if (!k->beat.pid && now >= k->next_beat) {
		if (renewal_start(&k->beat, false) < 0)
			k->next_beat = now + SECOND;
	} else if (k->beat.pid && now - k->beat.started_ns > k->length / 3) {
		/* One that even SIGKILL does not reach is waited for. */
		if (!renewal_kill(&k->beat))
			return;
		k->next_beat = now_ns();
		/* Others may have seen it: then it counts from here. */
		if (!k->valid_until)
			k->valid_until = k->beat.started_ns + k->length;
		k->maybe = true;
	}
}

static int next_event_ms(const struct keeper *k)
{
	uint64_t now = now_ns(), until = now + SECOND;
	uint64_t lapse = k->valid_until - k->length / 3;

	if (!k->beat.pid && k->next_beat < until)
		until = k->next_beat;
	if (k->valid_until && lapse > now && lapse < until)
		until = lapse;
	return until > now ? (int)((until - now) / 1000000 + 1) : 0;
}

/* Until something happens, a second at most. */
static void step(struct keeper *k)
{
	struct pollfd fds[2] = { { k->init_fd, POLLIN, 0 }, { -1, POLLIN, 0 } };

	look_after_beat(k);
	if (k->beat.pid)
		fds[1].fd = k->beat.fd;
	if (poll(fds, 2, next_event_ms(k)) <= 0)
		return;
	if (fds[1].revents)
		take_answer(k);
	if (fds[0].revents) {
		k->gone = true;
		k->init_fd = -1; /* nothing more to hear from it */
	}
}

/* The tree stands still: true kills it, false lets it go on. */
static bool decide(void *arg)
{
	struct keeper *k = arg;

	note(k, true);
	if (stands(k) == LAPSED)
		event_note(k->conf, &k->info, "frozen", 0,
			   "stands still: its lease could not be renewed (%s)",
			   k->beat.text);
	for (;;) {
		switch (stands(k)) {
		case STANDS:
			return false;
		case LAPSED:
			step(k);
			break;
		case REPLACED:
		case GONE:
			return true;
		}
	}
}

static void tell_end(struct keeper *k, const Reply *reply)
{
	double seconds = (double)reply->outcome->frozen_ns / 1e9;

	if (reply->outcome->killed)
		event_note(k->conf, &k->info, "fenced", 0,
			   "ended here (%s): what it did since its last "
			   "snapshot is done again there",
			   k->beat.text);
	else
		event_note(k->conf, &k->info, "thawed", 0,
			   "goes on: its lease is renewed, it stood still for "
			   "%.1f s",
			   seconds);
}

/* Without order: mutexes of the tree in shared files look abandoned. */
static void kill_tree(struct keeper *k, const struct err *why)
{
	if (!k->kill_at)
		k->kill_at = now_ns() + KILL_AFTER;
	if (now_ns() < k->kill_at || k->init_fd < 0)
		return;
	log_error(k->info.job_id, "%s: killed as it runs", why->text);
	(void)syscall(SYS_pidfd_send_signal, k->init_fd, SIGKILL, NULL, 0);
	k->kill_at = 0;
}

/* Frozen until it is known whose the job is; once more if that fails. */
static void fence(struct keeper *k)
{
	const struct worker_hooks hooks = { .proceed = decide, .arg = k };
	const struct timespec pause = { .tv_nsec = 50000000 };
	WorkerRequest w = WORKER_REQUEST__INIT;
	struct err err = { 0 };
	Reply *reply = NULL;
	int r;

	w.op = WORKER_REQUEST__OPERATION__FENCE;
	w.job_id = k->info.job_id;
	w.node = k->conf->node;
	w.cluster = k->conf->cluster;
	w.store = k->conf->store_dir;
	w.run_dir = k->conf->run_dir;
	w.has_timeout_s = 1;
	w.timeout_s = k->conf->lease_s;
	r = worker_run(k->conf, &w, &hooks, &reply, &err);
	if (r == 0 && reply->result < 0)
		r = err_set(&err, reply->result, "%s",
			    reply->text ? reply->text : "failed");
	if (r == 0)
		tell_end(k, reply);
	if (reply)
		reply__free_unpacked(reply, NULL);
	note(k, false);
	if (r == 0)
		return;
	log_warning(k->info.job_id, "cannot be held still: %s", err.text);
	if (k->replaced)
		kill_tree(k, &err);
	nanosleep(&pause, NULL);
	step(k);
}

/* The tree has ended; a snapshot of it may still be on its way. */
static void await_work(struct keeper *k)
{
	while (k->lock_fd >= 0 && flock(k->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		struct pollfd beat = { -1, POLLIN, 0 };

		look_after_beat(k);
		if (k->beat.pid)
			beat.fd = k->beat.fd;
		if (poll(&beat, 1, 50) > 0)
			take_answer(k);
	}
	if (k->lock_fd >= 0)
		(void)flock(k->lock_fd, LOCK_UN);
}

static void release(struct keeper *k)
{
	int timeout = (int)(k->length / 1000000), try, r = -EIO;

	if (!k->beat.lease.epoch)
		return;
	for (try = 0; try < RELEASE_TRIES && r < 0; try++) {
		struct pollfd answer = { -1, POLLIN, 0 };

		if (k->beat.pid) {
			answer.fd = k->beat.fd;
			if (poll(&answer, 1, timeout) <= 0 &&
			    !renewal_kill(&k->beat))
				break;
			if (k->beat.pid)
				(void)renewal_finish(&k->beat);
		}
		if (renewal_start(&k->beat, true) < 0)
			break;
		answer.fd = k->beat.fd;
		if (poll(&answer, 1, timeout) > 0)
			r = renewal_finish(&k->beat);
	}
	if (r < 0)
		log_warning(k->info.job_id,
			    "its lease is not released (%s): its next start "
			    "waits for that",
			    k->beat.text);
}

static void keep(struct keeper *k)
{
	enum standing now;

	while ((now = stands(k)) != GONE) {
		if (now == STANDS)
			step(k);
		else
			fence(k);
	}
	await_work(k);
	release(k);
}

/* One per job; a process it forks does not hold this. */
static bool lock_keeper(int fd, bool only_look)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (!only_look)
		return fcntl(fd, F_SETLK, &lock) == 0;
	return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

static int open_file(const struct conf *conf, const char *job_id,
		     const char *name, int flags)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/jobs/%s/%s", conf->run_dir, job_id,
		 name);
	return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
}

/* Which run this is; false: one that has not begun. */
static bool find_run(struct keeper *k)
{
	struct record_lease rec;
	struct err unused;
	uint64_t now = now_ns(), grace = k->length / 3;

	if (record_read(k->conf->run_dir, k->info.job_id, RECORD_LEASE, &rec,
			sizeof(rec), &unused) < 0 ||
	    rec.init_pid != k->info.init_pid ||
	    rec.init_start != lease_process_start(rec.init_pid))
		return k->info.state == CONTROL_ALIVE;
	k->beat.epoch = rec.epoch;
	memcpy(k->beat.store, rec.store, sizeof(rec.store));
	k->valid_until = now + k->length / 3 +
			 (grace < FIRST_GRACE ? grace : FIRST_GRACE);
	return true;
}

static void run_keeper(const struct conf *conf, const char *job_id)
	__attribute__((noreturn));
static void run_keeper(const struct conf *conf, const char *job_id)
{
	struct keeper k = { .conf = conf,
			    .length = conf->lease_s * SECOND,
			    .beat = { .conf = conf } };
	struct err unused;
	int lock;

	prctl(PR_SET_NAME, "jobcr-keeper");
	if (control_read_info(conf->run_dir, job_id, &k.info, &unused) < 0 ||
	    !k.info.slurm || k.info.init_pid <= 0)
		_exit(0);
	k.beat.info = &k.info;
	k.init_fd = (int)syscall(SYS_pidfd_open, k.info.init_pid, 0);
	if (k.init_fd < 0 || !find_run(&k))
		_exit(0);
	lock = open_file(conf, job_id, "keeper", O_CREAT);
	if (lock < 0 || !lock_keeper(lock, false))
		_exit(0);
	k.lock_fd = open_file(conf, job_id, "lock", O_CREAT);
	keep(&k);
	_exit(0);
}

static bool has_keeper(const struct conf *conf, const char *job_id)
{
	auto_close int fd = open_file(conf, job_id, "keeper", 0);

	return fd >= 0 && !lock_keeper(fd, true);
}

int fence_pass(const struct conf *conf)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	char path[512];
	uint64_t id;

	snprintf(path, sizeof(path), "%s/jobs", conf->run_dir);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		/* Jobs of Slurm's are numbers. */
		if (parse_u64(entry->d_name, UINT32_MAX, &id) < 0 ||
		    has_keeper(conf, entry->d_name))
			continue;
		if (fork() == 0) {
			setsid();
			run_keeper(conf, entry->d_name);
		}
	}
	return 0;
}
