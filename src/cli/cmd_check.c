/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/check.h"
#include "cli/cli.h"
#include "kernel/features.h"
#include "util/cleanup.h"
#include "wire/auth.h"
#include "wire/client.h"

/* How many things a job cannot do without are missing. */
struct checks {
	const struct cli *cli;
	int missing;
};

static void missing(struct checks *c, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void missing(struct checks *c, const char *what, const char *fmt, ...)
{
	va_list ap;

	c->missing++;
	va_start(ap, fmt);
	check_line("MISSING", what, fmt, ap);
	va_end(ap);
}

static void check_programs(struct checks *c)
{
	static const char *const names[] = { "jobcr-supervisor", "jobcr-worker",
					     "jobcr-puppet" };
	char path[4096];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", c->cli->conf->libexec,
			 names[i]);
		if (access(path, X_OK) == 0)
			check_good(names[i], "%s", path);
		else
			missing(c, names[i], "%s: %s; install jobcr whole",
				path, strerror(errno));
	}
}

/* What snapshots are written into; false: it is not fit for that. */
static bool check_dir(struct checks *c, const char *what, const char *key,
		      const char *path)
{
	struct statvfs vfs;
	struct stat st;

	if (stat(path, &st) < 0 || statvfs(path, &vfs) < 0) {
		missing(c, what, "%s: %s; make it, or set %s", path,
			strerror(errno), key);
		return false;
	}
	if (!S_ISDIR(st.st_mode)) {
		missing(c, what, "%s: not a directory", path);
		return false;
	}
	if ((st.st_mode & 002) && !(st.st_mode & 01000)) {
		missing(c, what,
			"%s: all may write there: chmod 1777 or "
			"0755",
			path);
		return false;
	}
	check_good(what, "%s, %.1f GiB free", path,
		   (double)vfs.f_bavail * (double)vfs.f_frsize / (1ull << 30));
	return true;
}

static void check_store(struct checks *c)
{
	const char *store = c->cli->conf->store_dir;
	const char *fast = c->cli->conf->fast_dir;
	struct statfs fs;

	if (fast)
		(void)check_dir(c, "fast-directory", "FastDir", fast);
	/* TMPFS_MAGIC: gone with the node, and with it all snapshots. */
	if (check_dir(c, "store", "StoreDir", store) &&
	    statfs(store, &fs) == 0 && fs.f_type == 0x01021994)
		check_note("store",
			   "%s is a tmpfs: other nodes do not see it, and "
			   "a reboot empties it",
			   store);
}

static void check_daemon(struct checks *c)
{
	struct client *client;
	struct err err = { 0 };

	if (client_local(c->cli->conf->run_dir, &client, &err) == 0) {
		client_free(client);
		check_good("jobcrd", "answers at %s/jobcrd.sock",
			   c->cli->conf->run_dir);
		return;
	}
	if (geteuid() == 0)
		check_note("jobcrd",
			   "does not run: fine for local jobs of root, "
			   "needed for users and Slurm");
	else
		missing(c, "jobcrd", "%s", err.text);
}

static void check_munge(struct checks *c)
{
	const char *socket = c->cli->conf->munge_socket;
	auto_free char *credential = NULL;
	struct err err = { 0 };

	if (auth_encode(socket, "", 0, &credential, &err) == 0)
		check_good("munge", "%s", socket ? socket : "default socket");
	else
		check_note("munge",
			   "%s; needed between nodes and for seals of "
			   "snapshots (Seal in jobcr.conf)",
			   err.text);
}

static void check_kernel(struct checks *c)
{
	auto_free struct feature_result *list = NULL;
	struct err err = { 0 };
	size_t count, i;

	if (geteuid() != 0) {
		check_note("kernel", "only root can try its features");
		return;
	}
	if (features_probe(&list, &count, &err) < 0) {
		missing(c, "kernel", "%s", err.text);
		return;
	}
	for (i = 0; i < count; i++) {
		const struct feature *f = &list[i].feature;

		if (!list[i].error)
			check_good(f->name, "%s", f->purpose);
		else if (f->needed)
			missing(c, f->name, "%s (%s): %s",
				strerror(list[i].error), f->purpose, f->remedy);
		else
			check_note(f->name, "%s (%s): %s",
				   strerror(list[i].error), f->purpose,
				   f->remedy);
	}
}

static int check_node(const struct cli *cli)
{
	struct checks c = { .cli = cli };

	check_good("configuration", "%s%s", cli->conf->path,
		   access(cli->conf->path, F_OK) < 0 ? " is not there: defaults"
						     : "");
	check_programs(&c);
	check_kernel(&c);
	check_store(&c);
	check_daemon(&c);
	check_munge(&c);
	check_slurm();
	if (c.missing)
		printf("\n%d thing%s missing: no checkpoints here.\n",
		       c.missing, c.missing == 1 ? " is" : "s are");
	return c.missing ? STATUS_FAILED : STATUS_OK;
}

int cmd_check(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c != 'j')
			return STATUS_USAGE;
		json = true;
	}
	if (optind + 1 == argc)
		return check_job(cli, argv[optind], json);
	if (optind != argc || json)
		return cli_usage("check, or check JOBID [--json]");
	return check_node(cli);
}
