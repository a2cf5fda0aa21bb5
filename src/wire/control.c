/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/control.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/record.h"

#define CALL_TIMEOUT_S 30
#define INFO_TIMEOUT   (3 * NSEC_PER_SEC)

int control_check_id(const char *job_id, struct err *err)
{
	const char *p;

	for (p = job_id; *p; p++) {
		if (isalnum((unsigned char)*p) || strchr("._-", *p))
			continue;
		break;
	}
	if (!*job_id || *job_id == '.' || *p || strlen(job_id) >= JOB_ID_MAX)
		return err_set(err, -EINVAL,
			       "\"%.80s\" cannot be the id of a job", job_id);
	return 0;
}

/* Of a file of a job: RUNDIR/jobs/JOBID/NAME. */
static int job_path(const char *run_dir, const char *job_id, const char *name,
		    char *ret, size_t room, struct err *err)
{
	int n, r;

	r = control_check_id(job_id, err);
	if (r < 0)
		return r;
	n = snprintf(ret, room, "%s/jobs/%s/%s", run_dir, job_id, name);
	if (n < 0 || (size_t)n >= room)
		return err_num(err, ENAMETOOLONG, "%s", run_dir);
	return 0;
}

/* A supervisor that Slurm has suspended answers nobody. */
static int set_timeout(int fd, int seconds, struct err *err)
{
	const struct timeval t = { .tv_sec = seconds };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
		return err_sys(err, "supervisor: timeout");
	return 0;
}

static int connect_to(int fd, const char *run_dir, const char *job_id,
		      struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int r = job_path(run_dir, job_id, "control", at.sun_path,
			 sizeof(at.sun_path), err);

	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return 0;
	/* Refused: the supervisor was killed and left its socket. */
	if (errno == ENOENT || errno == ECONNREFUSED)
		return err_set(err, -ENOENT,
			       "no job %s runs under jobcr on this node "
			       "(--node NODE: on another one)",
			       job_id);
	return err_sys(err, "%s", at.sun_path);
}

int control_connect(const char *run_dir, const char *job_id, int *ret_fd,
		    struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return err_sys(err, "socket");
	r = set_timeout(fd, CALL_TIMEOUT_S, err);
	if (r == 0)
		r = connect_to(fd, run_dir, job_id, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

int control_send(int fd, const struct control_request *req, struct err *err)
{
	struct control_request copy = *req;

	copy.magic = CONTROL_MAGIC;
	if (send(fd, &copy, sizeof(copy), MSG_NOSIGNAL) < 0)
		return err_sys(err, "supervisor");
	return 0;
}

int control_send_fd(int fd, const struct control_request *req, int pass,
		    struct err *err)
{
	struct control_request copy = *req;
	int r;

	copy.magic = CONTROL_MAGIC;
	r = send_fds(fd, &copy, sizeof(copy), &pass, 1, err);
	return r < 0 ? err_wrap(err, r, "supervisor") : 0;
}

int control_receive(int fd, struct control_reply *ret, int *ret_fds,
		    struct err *err)
{
	int fds[3] = { -1, -1, -1 };
	struct control_reply reply;
	size_t len, count = 3;
	int r;

	r = recv_fds(fd, &reply, sizeof(reply), &len, fds, &count, err);
	if (r == -EAGAIN)
		return err_set(err, -ETIMEDOUT,
			       "the job's supervisor does not answer: is the "
			       "job suspended?");
	if (r < 0)
		return err_wrap(err, r, "supervisor");
	if (len != sizeof(reply) || reply.magic != CONTROL_MAGIC)
		r = err_set(err, -EBADMSG, "supervisor: not a reply of ours");
	else if (reply.result < 0) {
		reply.text[sizeof(reply.text) - 1] = '\0';
		r = err_set(err, reply.result, "supervisor: %s", reply.text);
	}
	if (r < 0 || !ret_fds || (count != 3 && count != 1)) {
		while (count)
			close(fds[--count]);
		fds[0] = fds[1] = fds[2] = -1;
	}
	if (r < 0)
		return r;
	if (ret_fds)
		memcpy(ret_fds, fds, sizeof(fds));
	*ret = reply;
	return 0;
}

int control_call(int fd, const struct control_request *req,
		 struct control_reply *ret, int *ret_fds, struct err *err)
{
	int r = control_send(fd, req, err);

	return r < 0 ? r : control_receive(fd, ret, ret_fds, err);
}

int control_read_ended(const char *run_dir, const char *job_id,
		       struct control_ended *ret, struct err *err)
{
	auto_close int fd = -EBADF;
	struct control_ended ended;
	char path[512];
	int r;

	r = job_path(run_dir, job_id, "ended", path, sizeof(path), err);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, -ENOENT, "no job %s on this node", job_id);
	if (fd < 0)
		return err_sys(err, "%s", path);
	r = read_all(fd, &ended, sizeof(ended), err);
	if (r < 0)
		return err_wrap(err, r, "%s", path);
	if (ended.magic != CONTROL_MAGIC)
		return err_set(err, -EBADMSG, "%s: not one of ours", path);
	*ret = ended;
	return 0;
}

/*
 * Ask a supervisor how the job stands, without waiting for anything.
 * -EAGAIN: so many have asked it in vain that no more can.
 */
static int begin_info(const char *run_dir, const char *job_id, int *ret_fd,
		      struct err *err)
{
	const struct control_request req = { .op = CONTROL_INFO };
	auto_close int fd = socket(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return err_sys(err, "socket");
	r = connect_to(fd, run_dir, job_id, err);
	if (r == 0)
		r = control_send(fd, &req, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

/* What it last wrote down, where it is there but does not answer. */
static int read_suspended(const char *run_dir, const char *job_id,
			  struct control_info *ret, struct err *err)
{
	struct record_info record;
	int r = record_read(run_dir, job_id, RECORD_INFO, &record,
			    sizeof(record), err);

	if (r < 0)
		return r;
	*ret = record.info;
	ret->state = CONTROL_SUSPENDED;
	return 0;
}

/* until: clock_monotonic_ns(). */
static int end_info(const char *run_dir, const char *job_id, int fd,
		    uint64_t until, struct control_info *ret, struct err *err)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct control_reply reply;
	uint64_t now;
	int r;

	do {
		now = clock_monotonic_ns();
		r = poll(&p, 1,
			 now < until ? (int)((until - now) / 1000000) + 1 : 0);
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return read_suspended(run_dir, job_id, ret, err);
	r = control_receive(fd, &reply, NULL, err);
	if (r == 0)
		*ret = reply.info;
	return r;
}

/* It may have ended just now; r: what it came to so far. */
static int or_ended(const char *run_dir, const char *job_id, int r,
		    struct control_info *ret, struct err *err)
{
	struct control_ended ended;
	struct err unused;

	if (r == -EAGAIN)
		r = read_suspended(run_dir, job_id, ret, err);
	if (r == 0)
		return 0;
	if (control_read_ended(run_dir, job_id, &ended, &unused) < 0)
		return r;
	*ret = ended.info;
	return 0;
}

int control_read_info(const char *run_dir, const char *job_id,
		      struct control_info *ret, struct err *err)
{
	uint64_t until = clock_monotonic_ns() + INFO_TIMEOUT;
	auto_close int fd = -EBADF;
	int r = begin_info(run_dir, job_id, &fd, err);

	if (r == 0)
		r = end_info(run_dir, job_id, fd, until, ret, err);
	return or_ended(run_dir, job_id, r, ret, err);
}

static int by_start(const void *a, const void *b)
{
	const struct control_info *x = a, *y = b;

	return (x->started_ns > y->started_ns) -
	       (x->started_ns < y->started_ns);
}

/* One of many that are asked at once. */
struct asked {
	char job_id[JOB_ID_MAX];
	int fd, result;
};

static int ask_all(const char *run_dir, DIR *dir, struct asked **ret,
		   size_t *ret_count, struct err *err)
{
	struct asked *list = NULL;
	size_t count = 0, room = 0;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct err unused;
		struct asked *a;

		if (control_check_id(entry->d_name, &unused) < 0)
			continue;
		if (count == room) {
			void *more =
				realloc(list, (room += 64) * sizeof(*list));

			if (!more)
				break;
			list = more;
		}
		a = &list[count++];
		a->fd = -1;
		strcpy(a->job_id, entry->d_name);
		a->result = begin_info(run_dir, a->job_id, &a->fd, &unused);
	}
	*ret = list;
	*ret_count = count;
	return dir && entry ? err_num(err, ENOMEM, "list of jobs") : 0;
}

int control_list(const char *run_dir, struct control_info **ret,
		 size_t *ret_count, struct err *err)
{
	uint64_t until = clock_monotonic_ns() + INFO_TIMEOUT;
	auto_free struct control_info *list = NULL;
	auto_free struct asked *asked = NULL;
	auto_closedir DIR *dir = NULL;
	size_t count = 0, n = 0, i;
	char path[512];
	int r;

	snprintf(path, sizeof(path), "%s/jobs", run_dir);
	dir = opendir(path);
	if (!dir && errno != ENOENT)
		return err_sys(err, "%s", path);
	r = ask_all(run_dir, dir, &asked, &n, err);
	list = calloc(n + 1, sizeof(*list));
	if (r == 0 && !list)
		r = err_num(err, ENOMEM, "list of jobs");
	for (i = 0; i < n; i++) {
		struct asked *a = &asked[i];
		struct err unused;

		if (r == 0 && a->result == 0)
			a->result = end_info(run_dir, a->job_id, a->fd, until,
					     &list[count], &unused);
		/* Started this instant, or left by a killed supervisor. */
		if (r == 0 && or_ended(run_dir, a->job_id, a->result,
				       &list[count], &unused) == 0)
			count++;
		if (a->fd >= 0)
			close(a->fd);
	}
	if (r < 0)
		return r;
	qsort(list, count, sizeof(*list), by_start);
	*ret = take_ptr(list);
	*ret_count = count;
	return 0;
}
