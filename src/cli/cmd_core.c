/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process of a snapshot for a debugger, with the rights of whoever calls. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/target.h"
#include "snapshot/core.h"
#include "storage/in_use.h"
#include "util/cleanup.h"
#include "util/io.h"

static void tell(const char *path, const struct core_facts *facts)
{
	print_clean(stdout, path);
	printf(": process %d (", (int)facts->pid);
	print_clean(stdout, facts->comm);
	printf("), %u thread%s, %.1f MiB\ngdb -c ", facts->threads,
	       facts->threads == 1 ? "" : "s", (double)facts->bytes / 1048576);
	print_clean(stdout, path);
	putchar(' ');
	print_clean(stdout, facts->exe);
	putchar('\n');
}

int cmd_core(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "force", no_argument, NULL, 'f' },
		{ "dir", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	auto_close int dir_fd = -EBADF, fd = -EBADF, read_fd = -EBADF;
	const char *dir = NULL, *output = NULL, *what;
	struct target target = { .dir_fd = -1 };
	struct core_facts facts;
	struct err err = { 0 };
	char path[64] = "core";
	bool force = false;
	uint64_t pid = 0;
	int c, r = -1;

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
	what = dir ? dir : argv[optind++];
	if (!what || optind + 1 < argc ||
	    (optind < argc &&
	     (parse_u64(argv[optind], INT32_MAX, &pid) < 0 || !pid)))
		return cli_usage("core JOBID[.GENERATION] [PID] [-o FILE] "
				 "[--force], or core --dir DIR [PID] ...");
	if (pid)
		snprintf(path, sizeof(path), "core.%d", (int)pid);
	output = output ? output : path;
	if (show_open(cli, what, dir, 0, &dir_fd, &read_fd, &err) < 0)
		return cli_fail(&err);
	fd = target_open(&target, output, force, &err);
	if (fd >= 0) {
		r = snapshot_core(dir_fd, (int32_t)pid, cli->conf->direct_io,
				  fd, &facts, &err);
		if (r < 0 && !dir)
			r = in_use_blame(dir_fd, NULL, r, &err);
		if (r < 0)
			err_wrap(&err, r, "%s", what);
		r = r < 0 ? r : target_commit(&target, &fd, &err);
	}
	target_done(&target);
	if (r < 0)
		return cli_fail(&err);
	tell(output, &facts);
	return STATUS_OK;
}
