/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/fence_renew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/slurm.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* What the process answers, in one write to a pipe. */
struct answer {
	int32_t result;
	struct lease lease;
	uint64_t store[2];
	char text[256];
};

/*
 * The lease has lapsed and is gone: another run may have begun, ended and been
 * forgotten meanwhile.
 */
static int ask_slurm(const struct renewal *r, struct err *err)
{
	struct slurm_job job = { 0 };
	int v = slurm_query(r->conf->libexec, r->info->slurm, &job, err);

	if (v < 0 && v != -ENOENT)
		return err_wrap(err, v, "the lease is gone");
	if (!job.running && !job.suspended)
		return err_set(err, -EKEYREVOKED,
			       "the lease is gone, and the job is over");
	if (strcmp(job.node, r->conf->node) != 0)
		return err_set(err, -EBUSY,
			       "the lease is gone, and Slurm has the job on %s",
			       job.node);
	return 0;
}

/* The store may be mounted, or not, between a look and the next. */
static bool is_in_store(int job_fd, const uint64_t store[2])
{
	struct stat st;

	return store[0] && fstat(job_fd, &st) == 0 && st.st_dev == store[0];
}

/* Gone: removed by somebody, or the store is not where it was. */
static int make_again(const struct renewal *r, int job_fd,
		      const struct user_id *user, struct answer *a,
		      struct err *err)
{
	struct lease other;
	int v = lease_read(job_fd, user, &other, err);

	if (v == 0 && other.epoch > a->lease.epoch)
		return err_set(err, -EKEYREVOKED, "epoch %u was taken on %s",
			       other.epoch, other.node);
	if (v != -ENOENT)
		return v < 0 ? v : err_set(err, -EIO, "the lease is gone");
	if (memcmp(r->store, a->store, sizeof(a->store)) != 0 ||
	    !is_in_store(job_fd, r->store))
		return err_set(err, -EIO, "the store is another one");
	if (clock_ns(CLOCK_BOOTTIME) >= r->sure_until_ns) {
		v = ask_slurm(r, err);
		if (v < 0)
			return v;
	}
	return lease_take(job_fd, user, true, &a->lease, err);
}

/* A run that began when nobody could write its lease. */
static int take_late(int job_fd, const struct user_id *user, struct answer *a,
		     struct err *err)
{
	uint32_t newest = 0;
	int v = store_newest(job_fd, user, &newest, err);

	if (v == 0 || v == -ENOENT)
		v = lease_take(job_fd, user, true, &a->lease, err);
	return v < 0 ? v : lease_begin(job_fd, user, &a->lease, newest, err);
}

static int find_own(const struct renewal *r, int job_fd,
		    const struct user_id *user, struct answer *a,
		    struct err *err)
{
	struct lease newest;
	int v = lease_read(job_fd, user, &newest, err);

	if (v == -ENOENT && r->epoch)
		return make_again(r, job_fd, user, a, err);
	if (v == -ENOENT || (v == 0 && newest.released && !r->epoch))
		return take_late(job_fd, user, a, err);
	if (v < 0)
		return v;
	if (r->epoch && newest.epoch > r->epoch)
		return err_set(err, -EKEYREVOKED, "epoch %u was taken on %s",
			       newest.epoch, newest.node);
	if (!lease_same_place(&newest, &a->lease))
		return err_set(err, -EBUSY, "epoch %u is held by %s",
			       newest.epoch, newest.node);
	newest.length_ms = a->lease.length_ms;
	newest.released = false;
	a->lease = newest;
	return lease_renew(job_fd, user, &a->lease, err);
}

static int renew(const struct renewal *r, int job_fd,
		 const struct user_id *user, struct answer *a, struct err *err)
{
	int v;

	if (!a->lease.epoch) {
		v = lease_identity(r->conf->node, &a->lease, err);
		a->lease.length_ms = r->conf->lease_s * 1000;
		return v < 0 ? v : find_own(r, job_fd, user, a, err);
	}
	v = lease_renew(job_fd, user, &a->lease, err);
	return v == -ENOENT ? make_again(r, job_fd, user, a, err) : v;
}

/* A job that left no snapshot leaves nothing. */
static int release(const struct renewal *r, int job_fd,
		   const struct user_id *user, struct answer *a,
		   struct err *err)
{
	char path[4096];
	int v = lease_release(job_fd, user, &a->lease, err);

	if (v < 0)
		return v;
	lease_remove(job_fd, user, a->lease.epoch);
	snprintf(path, sizeof(path), "%s/%s/%s", r->conf->store_dir,
		 r->conf->cluster, r->info->job_id);
	(void)rmdir(path);
	return 0;
}

static int beat(const struct renewal *r, bool last, struct answer *a,
		struct err *err)
{
	const struct conf *conf = r->conf;
	auto_close int job_fd = -EBADF;
	struct user_id user;
	bool known = r->epoch || r->lease.epoch, same;
	int v = store_identify(conf->store_dir, conf->cluster, a->store, err);

	if (v == 0)
		v = user_id_load(r->info->uid, r->info->gid, &user, err);
	if (v < 0)
		return v;
	same = memcmp(r->store, a->store, sizeof(a->store)) == 0;
	/* Not below a mount point that has lost its file system. */
	if (last || (known && !same))
		v = store_open_job(conf->store_dir, conf->cluster,
				   r->info->job_id, false, &user, &job_fd, err);
	else
		v = store_enter_job(conf->store_dir, conf->cluster,
				    r->info->job_id, &user, &job_fd, err);
	if (v == 0)
		v = last ? release(r, job_fd, &user, a, err)
			 : renew(r, job_fd, &user, a, err);
	user_id_done(&user);
	return v;
}

static void run(const struct renewal *r, bool last, int fd)
	__attribute__((noreturn));
static void run(const struct renewal *r, bool last, int fd)
{
	struct answer a = { .lease = r->lease };
	struct err err = { 0 };

	prctl(PR_SET_NAME, "jobcr-beat");
	a.result = beat(r, last, &a, &err);
	snprintf(a.text, sizeof(a.text), "%.255s", err.text);
	_exit(write(fd, &a, sizeof(a)) != sizeof(a));
}

int renewal_start(struct renewal *r, bool last)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r->started_ns = clock_ns(CLOCK_BOOTTIME);
	r->pid = fork();
	if (r->pid == 0)
		run(r, last, ends[1]);
	close(ends[1]);
	if (r->pid < 0) {
		close(ends[0]);
		r->pid = 0;
		return -EAGAIN;
	}
	r->fd = ends[0];
	return 0;
}

int renewal_finish(struct renewal *r)
{
	struct answer a;
	ssize_t n = read(r->fd, &a, sizeof(a));

	close(r->fd);
	(void)waitpid(r->pid, NULL, 0);
	r->pid = 0;
	if (n != sizeof(a)) {
		snprintf(r->text, sizeof(r->text), "it was killed");
		return -EIO;
	}
	memcpy(r->text, a.text, sizeof(r->text));
	if (a.result < 0)
		return a.result;
	r->lease = a.lease;
	memcpy(r->store, a.store, sizeof(r->store));
	return 0;
}

bool renewal_kill(struct renewal *r)
{
	int status, i;

	kill(r->pid, SIGKILL);
	for (i = 0; i < 20; i++) {
		const struct timespec pause = { .tv_nsec = 5000000 };

		if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
			close(r->fd);
			r->pid = 0;
			snprintf(r->text, sizeof(r->text),
				 "the store does not answer");
			return true;
		}
		nanosleep(&pause, NULL);
	}
	return false;
}
