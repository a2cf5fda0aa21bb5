/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/fence.h"
#include "daemon/slurm.h"
#include "operation/lease.h"
#include "storage/lease.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/client.h"
#include "wire/record.h"

#define LOOK_PAUSE_NS 100000000
#define WAITS_EVERY   (5 * NSEC_PER_SEC)
#define ASK_EVERY     (2 * NSEC_PER_SEC)
#define ASK_LIMIT_S   15

/* One start of a job. */
struct taker {
	const struct conf *conf;
	const struct fence_owner *owner;
	struct user_id user;
	int job_fd;
	struct lease mine;
	pid_t asker;    /* asks the node of the older run; 0 */
	uint32_t asked; /* the epoch it asks about */
	uint64_t next_ask, next_word;
};

static void done(struct taker *t)
{
	if (t->asker) {
		kill(t->asker, SIGKILL);
		(void)waitpid(t->asker, NULL, 0);
	}
	if (t->job_fd >= 0)
		close(t->job_fd);
	user_id_done(&t->user);
}

static int prepare(const struct conf *conf, const struct fence_owner *owner,
		   struct taker *t, struct err *err)
{
	int r;

	*t = (struct taker){ .conf = conf, .owner = owner, .job_fd = -1 };
	r = lease_identity(conf->node, &t->mine, err);
	t->mine.length_ms = conf->lease_s * 1000;
	if (r == 0)
		r = user_id_load(owner->uid, owner->gid, &t->user, err);
	if (r == 0)
		r = store_enter_job(conf->store_dir, conf->cluster,
				    owner->job_id, &t->user, &t->job_fd, err);
	return r;
}

/* Exit 0: the other node has nothing of it left. */
static void ask_node(const struct taker *t, const struct lease *old)
	__attribute__((noreturn));
static void ask_node(const struct taker *t, const struct lease *old)
{
	const struct conf *conf = t->conf;
	Request req = REQUEST__INIT;
	struct client *client;
	struct err unused;
	Reply *reply;

	alarm(ASK_LIMIT_S);
	req.op = REQUEST__OPERATION__LEASE;
	req.job_id = (char *)t->owner->job_id;
	req.has_epoch = 1;
	req.epoch = old->epoch;
	if (client_remote(old->node, NULL, conf->port, conf->munge_socket,
			  &client, &unused) < 0 ||
	    client_send(client, &req, NULL, 0, &unused) < 0 ||
	    client_receive(client, &reply, &unused) < 0)
		_exit(1);
	_exit(reply->result != 0 || !reply->has_left_over || reply->left_over);
}

static bool asker_proved(struct taker *t)
{
	int status;

	if (!t->asker || waitpid(t->asker, &status, WNOHANG) != t->asker)
		return false;
	t->asker = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Does the node where it ran say that nothing of it is left? */
static bool is_proved(struct taker *t, const struct lease *old)
{
	uint64_t now = clock_monotonic_ns();

	if (!*old->node)
		return false;
	if (lease_same_place(old, &t->mine))
		return !lease_left_over(t->conf->run_dir, t->owner->job_id,
					old->epoch);
	if (asker_proved(t))
		return t->asked == old->epoch;
	if (t->asker || now < t->next_ask || !t->conf->port ||
	    !strcmp(old->node, t->mine.node))
		return false;
	t->next_ask = now + ASK_EVERY;
	t->asked = old->epoch;
	t->asker = fork();
	if (t->asker == 0)
		ask_node(t, old);
	if (t->asker < 0)
		t->asker = 0;
	return false;
}

static void tell(struct taker *t, const struct lease *old)
{
	uint64_t now = clock_monotonic_ns();

	if (now < t->next_word)
		return;
	if (!t->next_word)
		log_info(t->owner->job_id,
			 "epoch %u; the run before it, epoch %u on %s, has "
			 "not released its lease: waits until that is over",
			 t->mine.epoch, old->epoch,
			 *old->node ? old->node : "an unknown node");
	t->next_word = now + WAITS_EVERY;
	if (t->owner->waits)
		t->owner->waits(t->owner->arg);
}

/* No run before mine can have a running process when this returns 0. */
static int await_others(struct taker *t, struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_PAUSE_NS };
	uint64_t give_up =
		clock_monotonic_ns() + t->conf->timeout_s * NSEC_PER_SEC;
	struct lease_watch w = { 0 };
	int r;

	for (;;) {
		r = lease_watch_look(t->job_fd, &t->user, t->mine.epoch,
				     t->mine.length_ms, clock_monotonic_ns, &w,
				     err);
		if (r == 1)
			return 0;
		if (r == 0 && is_proved(t, &w.last)) {
			r = lease_mark_over(t->job_fd, &t->user, w.last.epoch,
					    err);
			if (r == 0)
				continue;
		}
		if (r == 0)
			r = lease_check(t->job_fd, &t->user, t->mine.epoch,
					err);
		if (r == -EKEYREVOKED)
			return r;
		if (clock_monotonic_ns() >= give_up)
			return r < 0 ? r
				     : err_set(err, -ETIMEDOUT,
					       "epoch %u on %s is renewed "
					       "still: does the job run there?",
					       w.last.epoch, w.last.node);
		tell(t, &w.last);
		nanosleep(&pause, NULL);
	}
}

static int take_over(struct taker *t, struct err *err)
{
	int r = lease_take(t->job_fd, &t->user, true, &t->mine, err);

	if (r == -EEXIST)
		return err_set(err, -EKEYREVOKED,
			       "the job was started elsewhere");
	return r < 0 ? r : await_others(t, err);
}

/* A first run: one small file, on its way to the disk when it gets there. */
static int take_first(struct taker *t, struct err *err)
{
	t->mine.first = 1;
	return lease_take(t->job_fd, &t->user, false, &t->mine, err);
}

static int launch_again(struct taker *t, struct err *err)
{
	struct slurm_job job;
	int r = slurm_query_id(t->conf->libexec, t->owner->job_id, &job, err);

	if (r < 0)
		return r;
	/* Another job that had the same number is no run of this one. */
	r = job.restarts ? take_over(t, err)
			 : lease_take(t->job_fd, &t->user, true, &t->mine, err);
	return r < 0 ? r : lease_begin(t->job_fd, &t->user, &t->mine, 0, err);
}

int fence_launch(const struct conf *conf, const struct fence_owner *owner,
		 struct err *err)
{
	struct lease last;
	struct taker t;
	int r = prepare(conf, owner, &t, err);

	if (r == 0)
		r = lease_read(t.job_fd, &t.user, &last, err);
	if (r == 0 || r == -EBADMSG) {
		r = launch_again(&t, err);
	} else {
		if (r == -ENOENT)
			r = take_first(&t, err);
		if (r < 0)
			log_error(owner->job_id, "starts without a lease: %s",
				  err->text);
		r = 0;
	}
	done(&t);
	return r < 0 ? err_wrap(err, r, "lease") : 0;
}

/* The keeper finds here which epoch is this run's. */
static int note(const struct taker *t, pid_t init_pid, struct err *err)
{
	struct record_lease rec = {
		.epoch = t->mine.epoch,
		.init_pid = init_pid,
		.init_start = lease_process_start(init_pid),
	};

	return record_write(t->conf->run_dir, t->owner->job_id, RECORD_LEASE,
			    &rec, sizeof(rec), err);
}

/* 0: the generation is another job's, which was submitted again as this. */
static uint32_t own_generation(const struct taker *t, uint32_t generation)
{
	auto_close int fd = -EBADF;
	struct err unused;

	return store_open(t->job_fd, generation, &t->user, &fd, &unused) ==
			       -ENOENT
		       ? 0
		       : generation;
}

static int restore(struct taker *t, uint32_t *generation, struct err *err)
{
	uint32_t before = 0;
	int r = store_newest(t->job_fd, &t->user, &before, err);

	if (r == 0 || r == -ENOENT)
		r = take_over(t, err);
	/* What came in while we waited is what the job had got to. */
	if (r == 0 && before && before == *generation)
		r = store_newest(t->job_fd, &t->user, generation, err);
	return r < 0 ? r
		     : lease_begin(t->job_fd, &t->user, &t->mine,
				   own_generation(t, *generation), err);
}

/*
 * An earlier attempt of this very run got as far, and has died since.  What it
 * began from is newer than what was asked for, if something had come in.
 */
static bool has_begun(const struct taker *t, pid_t init_pid,
		      uint32_t *generation)
{
	struct record_lease rec;
	struct lease lease;
	struct err unused;

	if (record_read(t->conf->run_dir, t->owner->job_id, RECORD_LEASE, &rec,
			sizeof(rec), &unused) < 0 ||
	    !rec.epoch || rec.init_pid != init_pid ||
	    rec.init_start != lease_process_start(init_pid) ||
	    lease_check(t->job_fd, &t->user, rec.epoch, &unused) < 0)
		return false;
	if (lease_read(t->job_fd, &t->user, &lease, &unused) == 0 &&
	    lease.epoch == rec.epoch && lease.base)
		*generation = lease.base;
	return true;
}

int fence_restore(const struct conf *conf, const struct fence_owner *owner,
		  pid_t init_pid, uint32_t *generation, struct err *err)
{
	struct taker t;
	int r = prepare(conf, owner, &t, err);

	if (r == 0 && !has_begun(&t, init_pid, generation)) {
		r = restore(&t, generation, err);
		if (r == 0)
			r = note(&t, init_pid, err);
	}
	done(&t);
	return r < 0 ? err_wrap(err, r, "lease") : 0;
}
