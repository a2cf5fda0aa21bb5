/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>

#include "cli/terminal.h"

int cmd_attach(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "read-only", no_argument, NULL, 'r' },
		{ "steal", no_argument, NULL, 's' },
		{ "detach-key", required_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	struct look look = { .key = LOOK_KEY, .socket = -1 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'r')
			look.read_only = true;
		else if (c == 's')
			look.steal = true;
		else if (c != 'k')
			return STATUS_USAGE;
		else if (look_parse_key(optarg, &look.key) < 0)
			return cli_usage("--detach-key is ctrl-X or none, not "
					 "\"%s\"",
					 optarg);
	}
	if (optind + 1 != argc)
		return cli_usage("attach JOBID");
	if (cli->node)
		return cli_usage("attach: not possible with --node");
	look.job_id = argv[optind];
	return look_at_job(cli, &look);
}
