/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/control.h"

struct history {
	struct cli cli;
	struct json_object *events; /* of --json */
	int status;
};

static void print_entry(const HistoryEntry *e)
{
	time_t t = (time_t)(e->at_ns / NSEC_PER_SEC);
	char when[32] = "?";
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(when, sizeof(when), "%F %T", &tm);
	printf("%s  ", when);
	print_clean(stdout, e->node);
	fputs("  ", stdout);
	print_clean(stdout, e->kind);
	fputs("  ", stdout);
	print_clean(stdout, e->text);
	putchar('\n');
}

static struct json_object *entry_json(const HistoryEntry *e)
{
	struct json_object *o = json_object_new_object();

	print_add_number(o, "at_ns", e->at_ns);
	print_add_string(o, "node", e->node);
	print_add_string(o, "event", e->kind);
	if (e->has_generation)
		print_add_number(o, "generation", e->generation);
	print_add_string(o, "text", e->text);
	return o;
}

static int on_history(void *arg, const Reply *reply)
{
	struct history *h = arg;
	size_t i;

	if (reply->result < 0) {
		h->status = cli_fail_reply(reply);
		return 0;
	}
	h->status = STATUS_OK;
	for (i = 0; i < reply->n_history; i++)
		if (h->events)
			json_object_array_add(h->events,
					      entry_json(reply->history[i]));
		else
			print_entry(reply->history[i]);
	return 0;
}

int cmd_history(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct history h = { .cli = *cli, .status = STATUS_FAILED };
	Request req = REQUEST__INIT;
	struct err err = { 0 };
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c != 'j')
			return STATUS_USAGE;
		h.cli.json = true;
	}
	if (optind + 1 != argc)
		return cli_usage("history JOBID");
	if (h.cli.json)
		h.events = json_object_new_array();
	req.op = REQUEST__OPERATION__HISTORY;
	req.job_id = argv[optind];
	r = cli_request(&h.cli, &req, NULL, 0, on_history, &h, &err);
	if (h.events && r >= 0 && h.status == STATUS_OK)
		print_json(h.events);
	else if (h.events)
		json_object_put(h.events);
	return r < 0 ? cli_fail(&err) : h.status;
}

static int on_deleted(void *arg, const Reply *reply)
{
	int *status = arg;

	if (reply->result < 0) {
		*status = cli_fail_reply(reply);
		return 0;
	}
	*status = STATUS_OK;
	printf("%u snapshot%s deleted\n", reply->deleted,
	       reply->deleted == 1 ? "" : "s");
	return 0;
}

int cmd_delete(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "generation", required_argument, NULL, 'g' },
		{ "force", no_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	Request req = REQUEST__INIT;
	int status = STATUS_FAILED, c;
	struct err err = { 0 };
	uint64_t generation = 0;
	char id[JOB_ID_MAX];
	uint32_t named;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'f') {
			req.has_force = req.force = 1;
		} else if (c == 'g') {
			if (parse_u64(optarg, INT_MAX, &generation) < 0 ||
			    !generation)
				return cli_usage("--generation is a number "
						 "from 1, not \"%s\"",
						 optarg);
		} else {
			return STATUS_USAGE;
		}
	}
	if (optind + 1 != argc)
		return cli_usage("delete JOBID[.GENERATION] [--force]");
	if (cli_snapshot_id(argv[optind], id, &named, &err) < 0)
		return cli_usage("%s", err.text);
	/* Not all of them by a slip. */
	if ((strchr(argv[optind], '.') && !named) ||
	    (generation && named && generation != named))
		return cli_usage("delete %s: which generation?", argv[optind]);
	req.op = REQUEST__OPERATION__DELETE;
	req.job_id = id;
	req.generation = generation ? (uint32_t)generation : named;
	req.has_generation = req.generation != 0;
	if (cli_request(cli, &req, NULL, 0, on_deleted, &status, &err) < 0)
		return cli_fail(&err);
	return status;
}

struct keep_answer {
	const char *id;
	bool off;
	int status;
};

static int on_kept(void *arg, const Reply *reply)
{
	struct keep_answer *a = arg;

	if (reply->result < 0) {
		a->status = cli_fail_reply(reply);
		return 0;
	}
	a->status = STATUS_OK;
	printf("snapshot %u of job %s is %s\n", reply->kept, a->id,
	       a->off ? "kept no more" : "kept");
	return 0;
}

int cmd_keep(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "off", no_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	struct keep_answer answer = { .status = STATUS_FAILED };
	Request req = REQUEST__INIT;
	struct err err = { 0 };
	char id[JOB_ID_MAX];
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c != 'o')
			return STATUS_USAGE;
		answer.off = true;
	}
	if (optind + 1 != argc)
		return cli_usage("keep JOBID[.GENERATION] [--off]");
	if (cli_snapshot_id(argv[optind], id, &req.generation, &err) < 0)
		return cli_usage("%s", err.text);
	req.op = REQUEST__OPERATION__KEEP;
	req.job_id = id;
	req.has_generation = 1;
	req.has_off = 1;
	req.off = answer.off;
	answer.id = id;
	if (cli_request(cli, &req, NULL, 0, on_kept, &answer, &err) < 0)
		return cli_fail(&err);
	return answer.status;
}
