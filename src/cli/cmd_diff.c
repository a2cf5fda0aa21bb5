/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"
#include "snapshot/diff.h"
#include "storage/in_use.h"
#include "util/cleanup.h"

int cmd_diff(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	auto_close int before_fd = -EBADF, after_fd = -EBADF;
	auto_close int before_read = -EBADF, after_read = -EBADF;
	struct diff_side before, after;
	struct err err = { 0 };
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c != 'j')
			return STATUS_USAGE;
		json = true;
	}
	if (optind + 2 != argc)
		return cli_usage("diff JOBID.GENERATION JOBID.GENERATION "
				 "[--json]");
	if (show_open(cli, argv[optind], NULL, 0, &before_fd, &before_read,
		      &err) < 0 ||
	    show_open(cli, argv[optind + 1], NULL, 0, &after_fd, &after_read,
		      &err) < 0)
		return cli_fail(&err);
	before = (struct diff_side){ argv[optind], before_fd };
	after = (struct diff_side){ argv[optind + 1], after_fd };
	if (snapshot_diff(&before, &after, NULL, json, stdout, &err) == 0)
		return STATUS_OK;
	(void)in_use_blame(before_fd, NULL, err.code, &err);
	return show_fail(NULL, after_fd, &err);
}
