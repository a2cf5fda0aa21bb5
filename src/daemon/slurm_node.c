/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/slurm_node.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/slurm.h"
#include "util/cleanup.h"

static int ask(const char *libexec, const char *const *words,
	       struct slurm_output **ret, struct err *err)
{
	struct slurm_output *out = malloc(sizeof(*out));
	int r;

	if (!out)
		return err_num(err, ENOMEM, "jobcr-slurm");
	r = slurm_run(libexec, words, out, err);
	if (r < 0)
		free(out);
	else
		*ret = out;
	return r;
}

static int find_flag(const struct slurm_output *out, const char *key, bool *ret,
		     struct err *err)
{
	char text[4];
	int r = slurm_find(out, key, text, sizeof(text), err);

	if (r == 0)
		*ret = text[0] == '1';
	return r;
}

int slurm_node_query(const char *libexec, const char *node,
		     struct slurm_node *ret, struct err *err)
{
	const char *const words[] = { "node", node, NULL };
	auto_free struct slurm_output *out = NULL;
	struct err unused;
	int r = ask(libexec, words, &out, err);

	memset(ret, 0, sizeof(*ret));
	if (r == 0)
		r = find_flag(out, "drain", &ret->drained, err);
	/* A long one is for others to read. */
	if (r == 0 && slurm_find(out, "reason", ret->reason,
				 sizeof(ret->reason), &unused) < 0)
		ret->reason[0] = '\0';
	return r;
}

int slurm_node_drain(const char *libexec, const char *node, const char *reason,
		     uid_t uid, struct err *err)
{
	auto_free struct slurm_output *out = NULL;
	char who[16];
	const char *const words[] = { "drain", node, reason, who, NULL };

	snprintf(who, sizeof(who), "%u", uid);
	return ask(libexec, words, &out, err);
}

int slurm_node_undrain(const char *libexec, const char *node, struct err *err)
{
	const char *const words[] = { "undrain", node, NULL };
	auto_free struct slurm_output *out = NULL;

	return ask(libexec, words, &out, err);
}

static bool parse_job(const char *line, struct slurm_node_job *ret)
{
	unsigned int requeue;

	memset(ret, 0, sizeof(*ret));
	if (sscanf(line,
		   "job=%" SCNu32 " uid=%u state=%15s nodes=%" SCNu32
		   " requeue=%u start=%" SCNu64,
		   &ret->id, &ret->uid, ret->state, &ret->nodes, &requeue,
		   &ret->start) != 6)
		return false;
	ret->requeue = requeue != 0;
	return true;
}

int slurm_node_jobs(const char *libexec, const char *node,
		    struct slurm_node_job **ret, size_t *ret_count,
		    struct err *err)
{
	const char *const words[] = { "jobs", node, NULL };
	auto_free struct slurm_output *out = NULL;
	struct slurm_node_job *list;
	size_t n = 1, count = 0;
	char *line, *rest, *p;
	int r = ask(libexec, words, &out, err);

	if (r < 0)
		return r;
	for (p = out->text; *p; p++)
		n += *p == '\n';
	list = calloc(n, sizeof(*list));
	if (!list)
		return err_num(err, ENOMEM, "jobs");
	for (line = strtok_r(out->text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		if (parse_job(line, &list[count]))
			count++;
	*ret = list;
	*ret_count = count;
	return 0;
}

int slurm_job_place(const char *libexec, const char *job_id,
		    struct slurm_place *ret, struct err *err)
{
	const char *const words[] = { "query", job_id, NULL };
	auto_free struct slurm_output *out = NULL;
	struct err unused;
	int r = ask(libexec, words, &out, err);

	memset(ret, 0, sizeof(*ret));
	if (r == 0)
		r = slurm_find(out, "state", ret->state, sizeof(ret->state),
			       err);
	if (r == 0)
		r = find_flag(out, "held", &ret->held, err);
	if (r == 0)
		r = find_flag(out, "completing", &ret->leaving, err);
	if (r == 0 && slurm_find(out, "nodes", ret->nodes, sizeof(ret->nodes),
				 &unused) < 0)
		strcpy(ret->nodes, "several nodes");
	return r;
}
