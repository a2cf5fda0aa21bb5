/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "storage/tier.h"
#include "util/cleanup.h"
#include "util/log.h"

static const char usage[] =
	"usage: jobcr [--config FILE] [--node NODE] COMMAND ...\n"
	"\n"
	"  run [--detach] [--pty] [--output FILE] [--name NAME] [--interval "
	"TIME]\n"
	"      [--isa LEVEL] [--files POLICY] [--ipc private|host]\n"
	"      [--peers refuse|reset]\n"
	"      -- COMMAND [ARGUMENT...]\n"
	"  attach JOBID [--read-only] [--steal] [--detach-key KEY]\n"
	"                                 to the terminal of a job: ctrl-] d "
	"leaves it\n"
	"  wait JOBID                     until it has ended; its exit status\n"
	"  kill JOBID [SIGNAL]            TERM if none is given\n"
	"  list [--json]                  jobs on this node\n"
	"  checkpoint JOBID [--leave-running | --kill] [--allow-uprobes] "
	"[--json]\n"
	"  checkpoint --pid PID --dir DIR [--leave-running | --kill]\n"
	"  restore JOBID [--generation N] [--detach] [--allow-uprobes]\n"
	"      [--files rollback|keep|refuse] [--map OLD=NEW]...\n"
	"      [--map-address OLD=NEW]...\n"
	"  restore --dir DIR [--detach]\n"
	"  status [JOBID] [--watch] [--json]   how jobs stand with snapshots\n"
	"  history JOBID [--json]         all that happened to a job\n"
	"  keep JOBID[.GENERATION] [--off]   newer ones do not replace it\n"
	"  delete JOBID[.GENERATION] [--force]\n"
	"  show JOBID[.GENERATION] [--records[=TYPE[,TYPE]...]] [--json]\n"
	"  verify JOBID[.GENERATION] | --dir DIR  [--seal]\n"
	"  diff JOBID.GENERATION JOBID.GENERATION [--json]\n"
	"  core JOBID[.GENERATION] [PID] [-o FILE]   one process, for a "
	"debugger\n"
	"  export JOBID[.GENERATION] -o FILE [--force]   as one file\n"
	"  import FILE [--user USER] [--as JOBID]   such a file, by root\n"
	"  drain NODE [--deadline TIME] [--reason TEXT] [--hold] [--dry-run] "
	"[--json]\n"
	"                                 save its jobs, which go on "
	"elsewhere\n"
	"  undrain NODE                   it takes jobs again\n"
	"  check [JOBID [--json]]         can this node, can this job?\n"
	"  features [--json]              what is saved, what is refused\n"
	"\n"
	"See jobcr(1).\n";

static const struct {
	const char *name;
	int (*run)(const struct cli *cli, int argc, char **argv);
} commands[] = {
	{ "run", cmd_run },           { "wait", cmd_wait },
	{ "kill", cmd_kill },         { "checkpoint", cmd_checkpoint },
	{ "restore", cmd_restore },   { "list", cmd_list },
	{ "show", cmd_show },         { "verify", cmd_verify },
	{ "status", cmd_status },     { "history", cmd_history },
	{ "delete", cmd_delete },     { "drain", cmd_drain },
	{ "undrain", cmd_undrain },   { "check", cmd_check },
	{ "features", cmd_features }, { "attach", cmd_attach },
	{ "core", cmd_core },         { "keep", cmd_keep },
	{ "export", cmd_export },     { "import", cmd_import },
	{ "diff", cmd_diff },
};

static int dispatch(const struct cli *cli, int argc, char **argv)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, argv[0]))
			return commands[i].run(cli, argc, argv);
	return cli_usage("no command \"%s\"", argv[0]);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "node", required_argument, NULL, 'n' },
		{ "host", required_argument, NULL, 'H' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = NULL;
	struct cli cli = { 0 };
	struct err err = { 0 };
	struct conf *conf;
	int c, status;

	log_init("jobcr", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	while ((c = getopt_long(argc, argv, "+hV", options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case 'n':
			cli.node = optarg;
			break;
		case 'H':
			cli.host = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return STATUS_OK;
		case 'V':
			puts("jobcr " JOBCR_VERSION);
			return STATUS_OK;
		default:
			return STATUS_USAGE;
		}
	}
	if (optind >= argc) {
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (conf_load(path, &conf, &err) < 0)
		return cli_fail(&err);
	cli.conf = conf;
	tier_here(conf->fast_dir);
	argc -= optind;
	argv += optind;
	optind = 0;
	status = dispatch(&cli, argc, argv);
	conf_free(conf);
	return status;
}
