/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/answer.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/as_user.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "wire/control.h"

/* *ret 0: a job that has none, or that the store has never heard of. */
static int find_newest(const struct conf *conf, const struct ask_question *q,
		       uint32_t *ret, struct err *err)
{
	auto_close int job_fd = -EBADF;
	struct user_id user = { 0 };
	struct stat st;
	int r = control_check_id(q->job_id, err);

	/* A store that is not mounted may hold anything. */
	if (r == 0 && stat(conf->store_dir, &st) < 0)
		return err_set(err, -EIO, "%s: %s", conf->store_dir,
			       strerror(errno));
	if (r == 0)
		r = user_id_load(q->uid, q->gid, &user, err);
	if (r == 0)
		r = store_open_job(conf->store_dir, conf->cluster, q->job_id,
				   false, &user, &job_fd, err);
	if (r == 0)
		r = store_newest(job_fd, &user, ret, err);
	user_id_done(&user);
	if (r == -ENOENT)
		*ret = 0;
	return r == -ENOENT ? 0 : r;
}

void answer_launch(const struct conf *conf, const struct ask_question *q,
		   int fd)
{
	struct err err = { 0 };
	uint32_t generation = 0;
	int r = find_newest(conf, q, &generation, &err);

	if (r < 0)
		log_error(q->job_id, "has it a snapshot? %s", err.text);
	else if (generation)
		log_info(q->job_id, "starts again, from snapshot %u",
			 generation);
	else
		log_info(q->job_id, "starts, has no snapshot");
	ask_reply(fd, r, generation, err.text);
}
