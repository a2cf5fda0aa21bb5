/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots are files of their owner: they are looked at with the rights of
 * whoever calls, without a daemon.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/silence.h"
#include "operation/launch.h"
#include "snapshot/print.h"
#include "snapshot/snapshot.h"
#include "storage/in_use.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/control.h"

int cli_snapshot_id(const char *text, char *id, uint32_t *ret_generation,
		    struct err *err)
{
	const char *dot = strrchr(text, '.');
	size_t len = dot ? (size_t)(dot - text) : strlen(text);
	uint64_t n = 0;

	if (dot && parse_u64(dot + 1, INT32_MAX, &n) < 0)
		return err_set(err, -EINVAL, "%s: what generation?", text);
	if (len >= JOB_ID_MAX)
		return err_set(err, -EINVAL, "%s: not the id of a job", text);
	memcpy(id, text, len);
	id[len] = '\0';
	*ret_generation = (uint32_t)n;
	return control_check_id(id, err);
}

static int open_job(const struct cli *cli, const char *id, int *ret,
		    struct err *err)
{
	const char *cluster =
		launch_is_local(id) ? LOCAL_CLUSTER : cli->conf->cluster;
	int r = store_open_job(cli->conf->store_dir, cluster, id, false, NULL,
			       ret, err);

	return r == -ENOENT ? err_set(err, r, "no snapshot of job %s in %s", id,
				      cli->conf->store_dir)
			    : r;
}

/* A generation that was renamed, or copied from another job, is none. */
static int check_identity(int dir_fd, const char *id, uint32_t generation,
			  struct err *err)
{
	ManifestRecord *m;
	int r = snapshot_manifest(dir_fd, NULL, &m, err);

	if (r < 0)
		return r;
	r = snapshot_check_identity(m, id, generation, err);
	manifest_record__free_unpacked(m, NULL);
	return r;
}

static int open_meant(const struct cli *cli, const char *text, const char *dir,
		      uint32_t generation, int *ret, int *ret_read,
		      struct err *err)
{
	auto_close int job_fd = -EBADF, fd = -EBADF;
	char id[JOB_ID_MAX];
	uint32_t named = 0;
	int r;

	if (dir) {
		*ret = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return *ret < 0 ? err_sys(err, "%s", dir) : 0;
	}
	r = cli_snapshot_id(text, id, &named, err);
	generation = generation ? generation : named;
	if (r == 0)
		r = open_job(cli, id, &job_fd, err);
	if (r == 0 && !generation)
		r = store_newest(job_fd, NULL, &generation, err);
	if (r == 0)
		r = store_open(job_fd, generation, NULL, &fd, err);
	if (r == 0 && ret_read)
		r = in_use_enter(fd, NULL, ret_read, err);
	if (r == 0)
		r = check_identity(fd, id, generation, err);
	if (r == 0)
		*ret = take_fd(&fd);
	return r < 0 ? err_wrap(err, r, "%s", text) : 0;
}

/* The directory of the snapshot that is meant. */
int show_open(const struct cli *cli, const char *text, const char *dir,
	      uint32_t generation, int *ret, int *ret_read, struct err *err)
{
	struct silence silence =
		silence_begin(dir ? dir : cli->conf->store_dir);
	int r = open_meant(cli, text, dir, generation, ret, ret_read, err);

	silence_end(&silence);
	return r;
}

int show_fail(const char *dir, int fd, struct err *err)
{
	if (!dir && fd >= 0)
		(void)in_use_blame(fd, NULL, err->code, err);
	return cli_fail(err);
}

static int on_job(void *arg, const Reply *reply)
{
	struct cli *cli = arg;

	/* That it does not run now is no failure here. */
	if (reply->result < 0 || !reply->n_jobs || cli->json)
		return 0;
	printf("%s on %s: %s\n", reply->jobs[0]->job_id,
	       reply->jobs[0]->node ? reply->jobs[0]->node : "this node",
	       print_state(reply->jobs[0]->state));
	return 0;
}

static void show_running(struct cli *cli, const char *text)
{
	Request req = REQUEST__INIT;
	struct err unused;

	req.op = REQUEST__OPERATION__SHOW;
	req.job_id = (char *)text;
	(void)cli_request(cli, &req, NULL, 0, on_job, cli, &unused);
}

/*
 * What TYPE is in "--records TYPE": the next word, unless it may be a job's
 * id, which begins with a digit or as a local one's does.
 */
static const char *records_wanted(int argc, char **argv)
{
	const char *next = optind < argc ? argv[optind] : "-";

	if (optarg)
		return optarg;
	if (*next == '-' || isdigit((unsigned char)*next) ||
	    launch_is_local(next))
		return "all";
	optind++;
	return next;
}

static int parse_show(struct show_options *how, int argc, char **argv,
		      const char **ret_dir)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "records", optional_argument, NULL, 'r' },
		{ "dir", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	struct err err = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'j') {
			how->json = true;
		} else if (c == 'r') {
			how->records = true;
			if (show_kinds_parse(records_wanted(argc, argv),
					     &how->kinds, &err) == 0)
				continue;
			(void)cli_fail(&err);
			fputs("There are:\n", stderr);
			show_kinds_print(stderr);
			return STATUS_USAGE;
		} else if (c == 'd') {
			*ret_dir = optarg;
		} else {
			return STATUS_USAGE;
		}
	}
	return (*ret_dir ? optind == argc : optind + 1 == argc)
		       ? STATUS_OK
		       : cli_usage(
				 "show JOBID[.GENERATION], or show --dir DIR");
}

int cmd_show(const struct cli *cli, int argc, char **argv)
{
	struct show_options how = { 0 };
	auto_close int fd = -EBADF, read_fd = -EBADF;
	struct cli own = *cli;
	const char *dir = NULL;
	struct err err = { 0 };
	int r = parse_show(&how, argc, argv, &dir);

	if (r != STATUS_OK)
		return r;
	own.json = how.json;
	if (!dir && !strchr(argv[optind], '.'))
		show_running(&own, argv[optind]);
	if (show_open(cli, argv[optind], dir, 0, &fd, &read_fd, &err) < 0 ||
	    snapshot_show(fd, NULL, &how, stdout, &err) < 0)
		return show_fail(dir, fd, &err);
	return STATUS_OK;
}

int cmd_verify(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "seal", no_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	auto_close int fd = -EBADF, read_fd = -EBADF;
	const char *dir = NULL, *what;
	struct err err = { 0 };
	bool seal = false;
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'd')
			dir = optarg;
		else if (c == 's')
			seal = true;
		else
			return STATUS_USAGE;
	}
	if (dir ? optind != argc : optind + 1 != argc)
		return cli_usage("verify JOBID[.GENERATION] [--seal], or "
				 "verify --dir DIR [--seal]");
	if (seal && geteuid() != 0) {
		(void)err_set(&err, -EPERM, "only root can seal a snapshot");
		return cli_fail(&err);
	}
	what = dir ? dir : argv[optind];
	if (show_open(cli, what, dir, 0, &fd, &read_fd, &err) < 0)
		return cli_fail(&err);
	r = cli_verify(cli, dir ? NULL : what, fd, seal, &err);
	if (r < 0) {
		if (!dir)
			r = in_use_blame(fd, NULL, r, &err);
		err_wrap(&err, r, "%s", what);
		return cli_fail(&err);
	}
	printf("%s: whole and undamaged%s\n", what,
	       r      ? " (its seal can be checked by root only)"
	       : seal ? ", and sealed"
		      : "");
	return STATUS_OK;
}
