/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/slurm.h"
#include "storage/small.h"
#include "util/cleanup.h"

int kept_outputs(int job_fd, const struct user_id *user, const char *id,
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
