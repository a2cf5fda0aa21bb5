/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/drain_view.h"
#include "util/cleanup.h"
#include "wire/job_options.h"

/* The node that a request is for: this one's jobcrd, or another one's. */
static int choose_node(const struct cli *cli, const char *node, struct cli *ret)
{
	*ret = *cli;
	if (cli->node && strcmp(cli->node, node) != 0)
		return cli_usage("--node %s, or node %s: which?", cli->node,
				 node);
	ret->node = strcmp(node, cli->conf->node) == 0 ? NULL : node;
	if (!cli_has_daemon(ret)) {
		fprintf(stderr, "jobcr: jobcrd does not run on this node: "
				"start it first\n");
		return STATUS_UNREACHABLE;
	}
	return STATUS_OK;
}

static int fail(const struct err *err, const char *node)
{
	int status = cli_fail(err);

	if (err->code == -ECONNREFUSED)
		fprintf(stderr,
			"jobcr: if a drain of %s had begun, repeat this to "
			"follow it or to go on with it\n",
			node);
	return status;
}

struct run {
	struct drain_view view;
	int status;
};

static int on_reply(void *arg, const Reply *reply)
{
	struct run *run = arg;

	if (reply->result < 0) {
		run->status = cli_fail_reply(reply);
		return 0;
	}
	drain_view_take(&run->view, reply);
	if (reply->has_more && reply->more)
		return 0;
	drain_view_end(&run->view);
	run->status = drain_view_status(&run->view);
	return 0;
}

/* Nothing but write(2) may be called here. */
static void interrupted(int sig)
{
	static const char text[] =
		"\njobcr: the drain goes on without you; the same command "
		"follows it again, jobcr undrain ends it\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	signal(sig, SIG_DFL);
	raise(sig);
}

static int drain(const struct cli *cli, Request *req, bool json, char *name)
{
	struct run run = {
		.view = { .node = name,
			  .json = json,
			  .dry_run = req->has_look && req->look,
			  .terminal = isatty(STDOUT_FILENO) },
		.status = STATUS_FAILED,
	};
	struct err err = { 0 };
	struct cli to;
	int status = choose_node(cli, name, &to);

	if (status != STATUS_OK)
		return status;
	req->has_events = req->events = run.view.terminal && !json;
	if (!run.view.dry_run)
		signal(SIGINT, interrupted);
	if (cli_request(&to, req, NULL, 0, on_reply, &run, &err) < 0)
		run.status = fail(&err, name);
	drain_view_free(&run.view);
	return run.status;
}

int cmd_drain(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "deadline", required_argument, NULL, 'd' },
		{ "reason", required_argument, NULL, 'r' },
		{ "hold", no_argument, NULL, 'h' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	Request req = REQUEST__INIT;
	bool json = false;
	int c;

	req.op = REQUEST__OPERATION__DRAIN;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'd') {
			if (parse_duration(optarg, &req.deadline_s) < 0)
				return cli_usage("--deadline is a time like "
						 "10m, not \"%s\"",
						 optarg);
			req.has_deadline_s = 1;
		} else if (c == 'r')
			req.reason = optarg;
		else if (c == 'h')
			req.has_hold = req.hold = 1;
		else if (c == 'n')
			req.has_look = req.look = 1;
		else if (c == 'j')
			json = true;
		else
			return STATUS_USAGE;
	}
	if (optind + 1 != argc)
		return cli_usage("drain NODE");
	return drain(cli, &req, json, argv[optind]);
}

static int on_undrain(void *arg, const Reply *reply)
{
	int *status = arg;

	*status = reply->result < 0 ? cli_fail_reply(reply) : STATUS_OK;
	return 0;
}

int cmd_undrain(const struct cli *cli, int argc, char **argv)
{
	Request req = REQUEST__INIT;
	int status = STATUS_FAILED;
	struct err err = { 0 };
	struct cli to;

	if (argc != 2)
		return cli_usage("undrain NODE");
	status = choose_node(cli, argv[1], &to);
	if (status != STATUS_OK)
		return status;
	req.op = REQUEST__OPERATION__UNDRAIN;
	if (cli_request(&to, &req, NULL, 0, on_undrain, &status, &err) < 0)
		return cli_fail(&err);
	return status;
}
