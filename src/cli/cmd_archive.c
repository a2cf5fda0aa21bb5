/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A snapshot as one file, out of the store and into another one. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/archive.h"
#include "cli/cli.h"
#include "cli/target.h"
#include "operation/chronicle.h"
#include "operation/launch.h"
#include "snapshot/snapshot.h"
#include "storage/in_use.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/control.h"

static bool is_pipe(const char *path)
{
	return strcmp(path, "-") == 0;
}

/* Only for what goes with it: --dir has none. */
static int open_job(const struct cli *cli, const char *what)
{
	char id[JOB_ID_MAX];
	uint32_t unused_number;
	struct err unused;
	int fd;

	if (!what || cli_snapshot_id(what, id, &unused_number, &unused) < 0 ||
	    store_open_job(cli->conf->store_dir,
			   launch_is_local(id) ? LOCAL_CLUSTER
					       : cli->conf->cluster,
			   id, false, NULL, &fd, &unused) < 0)
		return -1;
	return fd;
}

/* Damage is found before there is a file. */
static int write_out(const struct cli *cli, int dir_fd, int job_fd,
		     const ManifestRecord *m, const char *output, bool force,
		     struct err *err)
{
	struct target target = { .dir_fd = -1 };
	auto_close int fd = -EBADF;
	int r = snapshot_verify_parts(dir_fd, NULL, m,
				      verify_all(cli->conf->direct_io), NULL,
				      NULL, err);

	if (r < 0)
		return r;
	if (is_pipe(output))
		return archive_write(dir_fd, job_fd, m, STDOUT_FILENO, err);
	fd = target_open(&target, output, force, err);
	r = fd < 0 ? err->code : archive_write(dir_fd, job_fd, m, fd, err);
	if (r == 0)
		r = target_commit(&target, &fd, err);
	target_done(&target);
	return r < 0 ? err_wrap(err, r, "%s", output) : 0;
}

static int export(const struct cli *cli, const char *what, const char *dir,
		  const char *output, bool force, struct err *err)
{
	auto_close int dir_fd = -EBADF, read_fd = -EBADF;
	auto_close int job_fd = -EBADF;
	ManifestRecord *m = NULL;
	int r = show_open(cli, what, dir, 0, &dir_fd, &read_fd, err);

	if (r == 0)
		r = snapshot_manifest(dir_fd, NULL, &m, err);
	if (r < 0)
		return r;
	if (!dir)
		job_fd = open_job(cli, what);
	r = write_out(cli, dir_fd, job_fd, m, output, force, err);
	if (r < 0 && !dir)
		r = in_use_blame(dir_fd, NULL, r, err);
	if (r == 0)
		fprintf(is_pipe(output) ? stderr : stdout,
			"%s: snapshot %u of job %s is in %s\n",
			dir ? dir : what, m->generation, m->job_id,
			is_pipe(output) ? "standard output" : output);
	manifest_record__free_unpacked(m, NULL);
	return r;
}

int cmd_export(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "force", no_argument, NULL, 'f' },
		{ "dir", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	const char *dir = NULL, *output = NULL;
	struct err err = { 0 };
	bool force = false;
	int c;

	while ((c = getopt_long(argc, argv, "o:", options, NULL)) >= 0) {
		if (c == 'o')
			output = optarg;
		else if (c == 'f')
			force = true;
		else if (c == 'd')
			dir = optarg;
		else
			return STATUS_USAGE;
	}
	if (!output || (dir ? optind != argc : optind + 1 != argc))
		return cli_usage("export JOBID[.GENERATION] -o FILE [--force], "
				 "or export --dir DIR -o FILE");
	if (is_pipe(output) && isatty(STDOUT_FILENO))
		return cli_usage("export: not to a terminal");
	if (export(cli, argv[optind], dir, output, force, &err) < 0)
		return cli_fail(&err);
	return STATUS_OK;
}

/* A name, or a number that need not have one. */
static int find_user(const char *text, struct import *to, struct err *err)
{
	struct passwd *found = getpwnam(text);
	uint64_t uid;

	if (found) {
		to->uid = found->pw_uid;
		to->gid = found->pw_gid;
	} else if (parse_u64(text, UINT32_MAX - 1, &uid) == 0) {
		found = getpwuid((uid_t)uid);
		to->uid = (uid_t)uid;
		to->gid = found ? found->pw_gid : (gid_t)uid;
	} else {
		return err_set(err, -EINVAL, "there is no user %.64s", text);
	}
	to->has_user = true;
	return 0;
}

static void note(const struct cli *cli, const struct import *to,
		 const char *file)
{
	struct control_info info = { .uid = to->owner.uid,
				     .gid = to->owner.gid };
	char text[CHRONICLE_TEXT];

	(void)snprintf(info.job_id, sizeof(info.job_id), "%s", to->job_id);
	(void)snprintf(text, sizeof(text), "imported from %.160s by uid %u",
		       is_pipe(file) ? "a pipe" : file, getuid());
	chronicle_add(cli->conf, &info, "imported", to->generation, text);
}

static int import(const struct cli *cli, const char *file, struct import *to,
		  struct err *err)
{
	auto_close int fd = -EBADF;
	int r;

	if (geteuid() != 0)
		return err_set(err, -EPERM,
			       "import: only root may say whose an archive is; "
			       "restore --dir takes one that was unpacked");
	fd = is_pipe(file) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
			   : open(file, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", file);
	r = archive_import(fd, to, err);
	return r < 0 ? err_wrap(err, r, "%s", file) : 0;
}

static bool is_slurms(void *arg, const char *id)
{
	struct elsewhere unused;

	return elsewhere_find(arg, id, &unused) == 0;
}

int cmd_import(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' },
		{ "as", required_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	struct import to = { .store = cli->conf->store_dir,
			     .run_dir = cli->conf->run_dir,
			     .direct = cli->conf->direct_io,
			     .slurm_cluster = cli->conf->cluster,
			     .is_slurms = is_slurms,
			     .conf = cli->conf,
			     .arg = (void *)cli };
	struct err err = { 0 };
	char user[64];
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'u' && find_user(optarg, &to, &err) < 0)
			return cli_fail(&err);
		if (c == 'a')
			to.as = optarg;
		if (c != 'u' && c != 'a')
			return STATUS_USAGE;
	}
	if (optind + 1 != argc)
		return cli_usage("import FILE [--user USER] [--as JOBID]");
	r = import(cli, argv[optind], &to, &err);
	if (r == 0) {
		note(cli, &to, argv[optind]);
		print_user_name(to.owner.uid, user, sizeof(user));
		printf("%s.%u: imported for %s, %.1f MiB; go on with jobcr "
		       "restore %s\n",
		       to.job_id, to.generation, user,
		       (double)to.bytes / 1048576, to.job_id);
	}
	user_id_done(&to.owner);
	return r < 0 ? cli_fail(&err) : STATUS_OK;
}
