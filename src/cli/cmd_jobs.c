/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "operation/launch.h"
#include "snapshot/snapshot.h"
#include "util/address_map.h"
#include "util/cleanup.h"
#include "util/file_policy.h"
#include "util/io.h"
#include "util/path_map.h"

struct list {
	const struct cli *cli;
	int status;
	bool first;
};

static int on_list(void *arg, const Reply *reply)
{
	struct list *l = arg;
	size_t i;

	if (reply->result < 0) {
		l->status = cli_fail_reply(reply);
		return 0;
	}
	if (l->first)
		print_jobs_begin(l->cli);
	for (i = 0; i < reply->n_jobs; i++) {
		if (l->cli->json && !l->first)
			fputs(",\n", stdout);
		l->first = false;
		print_job(l->cli, reply->jobs[i]);
	}
	if (!reply->has_more || !reply->more)
		print_jobs_end(l->cli);
	return 0;
}

int cmd_list(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct cli own = *cli;
	struct list list = { .cli = &own, .first = true };
	Request req = REQUEST__INIT;
	struct err err = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c != 'j')
			return STATUS_USAGE;
		own.json = true;
	}
	if (optind < argc)
		return cli_usage("list takes no arguments");
	req.op = REQUEST__OPERATION__LIST;
	if (cli_request(cli, &req, NULL, 0, on_list, &list, &err) < 0)
		return cli_fail(&err);
	return list.status;
}

struct result {
	const struct cli *cli;
	const char *verb;
	int status;
	char job_id[80];
	bool quiet;
	bool terminal; /* it has one of its own */
};

static int on_result(void *arg, const Reply *reply)
{
	struct result *res = arg;

	if (reply->has_more && reply->more) {
		printf("phase %s\n", reply->phase ? reply->phase : "");
		fflush(stdout);
		return 0;
	}
	if (reply->result < 0) {
		res->status = cli_fail_reply(reply);
		return 0;
	}
	res->status = STATUS_OK;
	if (reply->job_id)
		snprintf(res->job_id, sizeof(res->job_id), "%s", reply->job_id);
	res->terminal = reply->terminal;
	if (!res->quiet)
		print_outcome(res->cli, res->verb, reply);
	if (!res->cli->json)
		print_remarks(reply);
	return 0;
}

static int set_dir(Request *req, const char *text, char *room, bool create,
		   struct err *err)
{
	/* It may not be there yet: the directory above it must. */
	if (create && !realpath(text, room) && errno == ENOENT) {
		char cwd[PATH_MAX];

		if (*text == '/')
			snprintf(room, PATH_MAX, "%s", text);
		else if (!getcwd(cwd, sizeof(cwd)) ||
			 snprintf(room, PATH_MAX, "%s/%s", cwd, text) >=
				 PATH_MAX)
			return err_num(err, ENAMETOOLONG, "%s", text);
	} else if (!realpath(text, room)) {
		return err_sys(err, "%s", text);
	}
	req->dir = room;
	return 0;
}

static int parse_number(const char *text, uint64_t max, const char *what,
			uint64_t *ret)
{
	if (parse_u64(text, max, ret) == 0 && *ret > 0)
		return 0;
	(void)cli_usage("%s is a number from 1, not \"%s\"", what, text);
	return -EINVAL;
}

static void step(struct cli *cli, Request *req)
{
	cli->step = true;
	req->has_events = req->events = 1;
	req->has_stepping = req->stepping = 1;
}

int cmd_checkpoint(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "allow-uprobes", no_argument, NULL, 'u' },
		{ "leave-running", no_argument, NULL, 'l' },
		{ "kill", no_argument, NULL, 'k' },
		{ "json", no_argument, NULL, 'j' },
		{ "step", no_argument, NULL, 's' },
		{ "pid", required_argument, NULL, 'p' },
		{ "dir", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	struct cli own = *cli;
	struct result res = { .cli = &own,
			      .verb = "saved",
			      .status = STATUS_FAILED };
	Request req = REQUEST__INIT;
	bool leave = false, kill = false;
	char dir[PATH_MAX];
	struct err err = { 0 };
	uint64_t pid;
	int c;

	req.op = REQUEST__OPERATION__CHECKPOINT;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'l')
			leave = true;
		else if (c == 'k')
			kill = true;
		else if (c == 'j')
			own.json = true;
		else if (c == 's')
			step(&own, &req);
		else if (c == 'u')
			req.has_allow_uprobes = req.allow_uprobes = 1;
		else if (c == 'p') {
			if (parse_number(optarg, INT_MAX, "--pid", &pid) < 0)
				return STATUS_USAGE;
			req.has_pid = 1;
			req.pid = (int32_t)pid;
		} else if (c == 'd') {
			if (set_dir(&req, optarg, dir, true, &err) < 0)
				return cli_fail(&err);
		} else
			return STATUS_USAGE;
	}
	if (leave && kill)
		return cli_usage("--leave-running or --kill, not both");
	if (req.has_pid ? optind != argc || !req.dir
			: optind + 1 != argc || req.dir)
		return cli_usage("checkpoint JOBID, or "
				 "checkpoint --pid PID --dir DIR");
	if (!req.has_pid)
		req.job_id = argv[optind];
	req.has_kill = 1;
	req.kill = kill;
	if (cli_request(&own, &req, NULL, 0, on_result, &res, &err) < 0)
		return cli_fail(&err);
	return res.status;
}

/* When it goes on is up to Slurm. */
static int on_queued(void *arg, const Reply *reply)
{
	struct result *res = arg;
	unsigned int generation =
		reply->outcome ? reply->outcome->generation : 0;

	if (reply->result < 0) {
		res->status = cli_fail_reply(reply);
		return 0;
	}
	res->status = STATUS_OK;
	if (res->cli->json)
		printf("{\"job_id\": \"%s\", \"generation\": %u}\n",
		       reply->job_id, generation);
	else
		printf("job %s goes on from generation %u when Slurm starts "
		       "it\n",
		       reply->job_id, generation);
	return 0;
}

static int restore_slurm(const struct cli *cli, Request *req,
			 struct result *res)
{
	struct err err = { 0 };

	if (cli_request(cli, req, NULL, 0, on_queued, res, &err) < 0)
		return cli_fail(&err);
	return res->status;
}

/*
 * Without a jobcrd our process becomes the supervisor of what it restores in
 * the foreground, but of a job with a terminal it is one who looks at it.
 */
static void find_terminal(const struct cli *cli, Request *req)
{
	auto_close int fd = -EBADF;
	ManifestRecord *m;
	struct err unused;
	size_t i;

	if (cli_has_daemon(cli) ||
	    show_open(cli, req->job_id, req->dir, req->generation, &fd, NULL,
		      &unused) < 0 ||
	    snapshot_manifest(fd, NULL, &m, &unused) < 0)
		return;
	for (i = 0; i < m->n_features; i++)
		if (!strcmp(m->features[i], SNAPSHOT_TERMINAL))
			req->has_pty = req->pty = 1;
	manifest_record__free_unpacked(m, NULL);
}

/* What the command line of a restore says. */
struct restore_words {
	struct cli cli;
	Request req;
	struct look look;
	bool detach;
	char dir[PATH_MAX];
	char *maps[PATH_MAPS_MAX];
	char *addresses[ADDRESS_MAPS_MAX];
};

static int parse_generation(const char *text, Request *req)
{
	uint64_t generation;

	if (parse_number(text, INT_MAX, "--generation", &generation) < 0)
		return STATUS_USAGE;
	req->has_generation = 1;
	req->generation = (uint32_t)generation;
	return STATUS_OK;
}

static int parse_files(const char *text, Request *req)
{
	req->has_files = 1;
	req->files = file_policy_parse(text);
	if (req->files == FILES_POLICIES)
		return cli_usage("--files is rollback, keep or refuse");
	return STATUS_OK;
}

static int parse_map(char *text, struct restore_words *w)
{
	struct err err = { 0 };

	if (path_map_check(text, &err) < 0)
		return cli_usage("--map %s", err.text);
	if (w->req.n_map == PATH_MAPS_MAX)
		return cli_usage("--map at most %d times", PATH_MAPS_MAX);
	w->req.map = w->maps;
	w->maps[w->req.n_map++] = text;
	return STATUS_OK;
}

static int parse_address(char *text, struct restore_words *w)
{
	struct err err = { 0 };

	if (w->req.n_address == ADDRESS_MAPS_MAX)
		return cli_usage("--map-address at most %d times",
				 ADDRESS_MAPS_MAX);
	w->req.address = w->addresses;
	w->addresses[w->req.n_address++] = text;
	if (address_maps_check(w->addresses, w->req.n_address, &err) < 0)
		return cli_usage("--map-address %s", err.text);
	return STATUS_OK;
}

static int restore_word(struct restore_words *w, int c)
{
	struct err err = { 0 };

	switch (c) {
	case 'd':
		w->detach = true;
		return STATUS_OK;
	case 'j':
		w->cli.json = true;
		return STATUS_OK;
	case 's':
		step(&w->cli, &w->req);
		return STATUS_OK;
	case 'u':
		w->req.has_allow_uprobes = w->req.allow_uprobes = 1;
		return STATUS_OK;
	case 'g':
		return parse_generation(optarg, &w->req);
	case 'K':
		if (look_parse_key(optarg, &w->look.key) < 0)
			return cli_usage("--detach-key is ctrl-X or none");
		return STATUS_OK;
	case 'f':
		return parse_files(optarg, &w->req);
	case 'm':
		return parse_map(optarg, w);
	case 'a':
		return parse_address(optarg, w);
	case 'D':
		return set_dir(&w->req, optarg, w->dir, false, &err) < 0
			       ? cli_fail(&err)
			       : STATUS_OK;
	}
	return STATUS_USAGE;
}

static int restore_local(struct restore_words *w, struct result *res)
{
	const int fds[3] = { 0, 1, 2 };
	struct err err = { 0 };

	w->req.has_attached = 1;
	w->req.attached = !w->detach;
	if (!w->detach)
		find_terminal(&w->cli, &w->req);
	/* In the foreground stdout is the job's; in the background, ours. */
	res->quiet = !w->detach;
	if (cli_request(&w->cli, &w->req, fds, w->detach ? 0 : 3, on_result,
			res, &err) < 0)
		return cli_fail(&err);
	if (res->status != STATUS_OK || w->detach)
		return res->status;
	w->look.job_id = res->job_id;
	return res->terminal ? look_at_job(&w->cli, &w->look)
			     : follow_job(&w->cli, res->job_id);
}

int cmd_restore(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "allow-uprobes", no_argument, NULL, 'u' },
		{ "generation", required_argument, NULL, 'g' },
		{ "detach", no_argument, NULL, 'd' },
		{ "step", no_argument, NULL, 's' },
		{ "detach-key", required_argument, NULL, 'K' },
		{ "dir", required_argument, NULL, 'D' },
		{ "files", required_argument, NULL, 'f' },
		{ "map", required_argument, NULL, 'm' },
		{ "map-address", required_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct restore_words w = {
		.cli = *cli,
		.req = REQUEST__INIT,
		.look = { .key = LOOK_KEY, .runs = true, .socket = -1 }
	};
	struct result res = { .cli = &w.cli,
			      .verb = "restored",
			      .status = STATUS_FAILED };
	int c, status;

	w.req.op = REQUEST__OPERATION__RESTORE;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		status = restore_word(&w, c);
		if (status != STATUS_OK)
			return status;
	}
	if (w.req.dir ? optind != argc : optind + 1 != argc)
		return cli_usage("restore JOBID, or restore --dir DIR");
	if (!w.req.dir)
		w.req.job_id = argv[optind];
	if (w.req.job_id && !launch_is_local(w.req.job_id))
		return w.req.has_files || w.req.n_map || w.req.n_address
			       ? cli_usage("--files, --map and --map-address "
					   "are for local jobs; those of Slurm "
					   "have sbatch --jobcr-files")
			       : restore_slurm(&w.cli, &w.req, &res);
	if (cli->node && !w.detach)
		return cli_usage("restore with --node needs --detach");
	return restore_local(&w, &res);
}
