/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/control.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "util/cleanup.h"
#include "util/io.h"

#define CALL_TIMEOUT_S 30
#define INFO_TIMEOUT_S 3

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

int control_connect(const char *run_dir, const char *job_id, int *ret_fd,
		    struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int r;

	if (fd < 0)
		return err_sys(err, "socket");
	r = job_path(run_dir, job_id, "control", at.sun_path,
		     sizeof(at.sun_path), err);
	if (r < 0)
		return r;
	r = set_timeout(fd, CALL_TIMEOUT_S, err);
	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		/* Refused: the supervisor was killed and left its socket. */
		if (errno == ENOENT || errno == ECONNREFUSED)
			return err_set(err, -ENOENT,
				       "job %s does not run on this node",
				       job_id);
		return err_sys(err, "%s", at.sun_path);
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int control_send(int fd, const struct control_request *req, struct err *err)
{
	struct control_request copy = *req;

	copy.magic = CONTROL_MAGIC;
	if (send(fd, &copy, sizeof(copy), MSG_NOSIGNAL) < 0)
		return err_sys(err, "supervisor");
	return 0;
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
	if (r < 0 || !ret_fds || count != 3) {
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

int control_read_info(const char *run_dir, const char *job_id,
		      struct control_info *ret, struct err *err)
{
	const struct control_request req = { .op = CONTROL_INFO };
	auto_close int fd = -EBADF;
	struct control_reply reply;
	struct control_ended ended;
	struct err unused;
	int r;

	r = control_connect(run_dir, job_id, &fd, err);
	if (r == 0)
		r = set_timeout(fd, INFO_TIMEOUT_S, err);
	if (r == 0) {
		r = control_call(fd, &req, &reply, NULL, err);
		if (r == 0) {
			*ret = reply.info;
			return 0;
		}
	}
	/* It may have ended just now. */
	if (control_read_ended(run_dir, job_id, &ended, &unused) < 0)
		return r;
	*ret = ended.info;
	return 0;
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

static int by_start(const void *a, const void *b)
{
	const struct control_info *x = a, *y = b;

	return (x->started_ns > y->started_ns) -
	       (x->started_ns < y->started_ns);
}

int control_list(const char *run_dir, struct control_info **ret,
		 size_t *ret_count, struct err *err)
{
	auto_free struct control_info *list = NULL;
	auto_closedir DIR *dir = NULL;
	size_t count = 0, room = 0;
	struct dirent *entry;
	char path[512];

	snprintf(path, sizeof(path), "%s/jobs", run_dir);
	dir = opendir(path);
	if (!dir && errno != ENOENT)
		return err_sys(err, "%s", path);
	while (dir && (entry = readdir(dir))) {
		struct err unused;

		if (count == room) {
			void *more =
				realloc(list, (room += 64) * sizeof(*list));

			if (!more)
				return err_num(err, ENOMEM, "list of jobs");
			list = more;
		}
		/* Started this instant, or left by a killed supervisor. */
		if (control_read_info(run_dir, entry->d_name, &list[count],
				      &unused) == 0)
			count++;
	}
	if (count)
		qsort(list, count, sizeof(*list), by_start);
	*ret = take_ptr(list);
	*ret_count = count;
	return 0;
}
