/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/slurm.h"
#include "operation/aside.h"
#include "storage/small.h"
#include "util/cleanup.h"
#include "util/io.h"

#define ENV_MAX (1u << 20)

/*
 * Slurm was asked meanwhile, and the job may have ended.  Its supervisor gives
 * the number of its process back by waiting for it, and says so: whom it names
 * after a process was opened was that process.  It is not held while the store
 * may hang.
 */
static int check_same(const struct subject *s, struct err *err)
{
	const struct control_request req = { .op = CONTROL_INFO };
	auto_close int control = -EBADF;
	struct control_reply reply;
	int r = control_connect(s->conf->run_dir, s->id, &control, err);

	if (r == 0)
		r = control_call(control, &req, &reply, NULL, err);
	if (r == 0 && reply.info.root_pid != s->info.root_pid)
		r = err_set(err, -ESRCH, "the job has ended");
	return r;
}

static int read_environment(const struct subject *s, char **ret, size_t *len,
			    struct err *err)
{
	auto_close int fd = -EBADF;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", s->info.root_pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", path);
	r = check_same(s, err);
	return r < 0 ? r : read_file_at(fd, "environ", ENV_MAX, ret, len, err);
}

int kept_write(const struct subject *s, const struct user_id *user, int fd,
	       struct err *err)
{
	auto_free struct slurm_output *out = malloc(sizeof(*out));
	auto_free char *env = NULL;
	char id[16];
	size_t len;
	int r;

	if (!out)
		return err_num(err, ENOMEM, "how it was submitted");
	snprintf(id, sizeof(id), "%u", s->info.slurm);
	r = slurm_run(s->conf->libexec,
		      (const char *[]){ "describe", id, s->info.stdout_path,
					s->info.stderr_path, NULL },
		      out, err);
	if (r == 0)
		r = read_environment(s, &env, &len, err);
	if (r == 0)
		r = small_write(fd, user, SUBMIT_ENV_FILE, env, len, err);
	if (r == 0)
		r = small_write(fd, user, SUBMIT_FILE, out->text, out->len,
				err);
	return r;
}

static int kept_outputs(int job_fd, const struct user_id *user, const char *id,
			int (*act)(const char *path, const char *id,
				   const struct user_id *user, struct err *err),
			struct err *err)
{
	static const char *const keys[] = { "std_out", "std_err" };
	auto_free struct slurm_output *out = calloc(1, sizeof(*out));
	struct err unused;
	char path[512];
	size_t i;
	int r;

	if (!out)
		return err_num(err, ENOMEM, "output files");
	r = small_read(job_fd, user, SUBMIT_FILE, out->text, sizeof(out->text),
		       err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	out->len = strlen(out->text);
	for (i = 0; i < ARRAY_SIZE(keys) && r == 0; i++)
		if (slurm_find(out, keys[i], path, sizeof(path), &unused) ==
			    0 &&
		    *path == '/')
			r = act(path, id, user, err);
	return r;
}

int kept_outputs_aside(int job_fd, const struct user_id *user, const char *id,
		       struct err *err)
{
	return kept_outputs(job_fd, user, id, aside_put, err);
}

int kept_outputs_undo(int job_fd, const struct user_id *user, const char *id,
		      struct err *err)
{
	return kept_outputs(job_fd, user, id, aside_undo, err);
}
