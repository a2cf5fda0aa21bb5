/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "operation/launch.h"
#include "snapshot/seal.h"
#include "snapshot/snapshot.h"
#include "snapshot/stream.h"
#include "storage/small.h"
#include "util/cleanup.h"

/* A manifest as it was read once, with what it says. */
struct loaded {
	uint8_t *data;
	size_t len;
	ManifestRecord *m;
};

/*
 * Whose snapshot says --dir by itself, as who restores it decides.  Only root
 * can look at seals: 1.
 */
static int check(const struct cli *cli, const char *job, const struct loaded *l,
		 struct err *err)
{
	const char *cluster = !job                   ? l->m->cluster
			      : launch_is_local(job) ? LOCAL_CLUSTER
						     : cli->conf->cluster;

	if (!launch_seals(cli->conf, cluster))
		return 0;
	return geteuid() == 0 ? seal_check(cli->conf->munge_socket, l->data,
					   l->len, err)
			      : 1;
}

/* With the rights of whose directory it is. */
static int renew(const struct cli *cli, int dir_fd, struct loaded *l,
		 struct err *err)
{
	struct user_id owner;
	struct stat st;
	int r;

	if (fstat(dir_fd, &st) < 0)
		return err_sys(err, "fstat");
	r = seal_renew(cli->conf->munge_socket, &l->data, &l->len, err);
	r = r < 0 ? r : user_id_of_file(&st, &owner, err);
	if (r < 0)
		return r;
	r = small_write(dir_fd, &owner, "manifest", l->data, l->len, err);
	user_id_done(&owner);
	return r;
}

int cli_verify(const struct cli *cli, const char *job, int dir_fd, bool seal,
	       struct err *err)
{
	struct loaded l = { 0 };
	int r = stream_load(dir_fd, NULL, "manifest", 0, MANIFEST_FILE_MAX,
			    &l.data, &l.len, err);

	r = r < 0 ? r : snapshot_manifest_unpack(l.data, l.len, &l.m, err);
	if (r < 0)
		err_wrap(err, r, "manifest");
	else
		r = snapshot_verify_parts(dir_fd, NULL, l.m,
					  verify_all(cli->conf->direct_io),
					  NULL, NULL, err);
	if (r == 0) {
		r = seal ? renew(cli, dir_fd, &l, err)
			 : check(cli, job, &l, err);
		if (r < 0)
			err_wrap(err, r, "manifest");
	}
	if (l.m)
		manifest_record__free_unpacked(l.m, NULL);
	free(l.data);
	return r;
}
