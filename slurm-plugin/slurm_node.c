/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slurm_node.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#include "util/io.h"

static int complain(const char *what, const char *node)
{
	int e = slurm_get_errno();

	fprintf(stderr, "jobcr-slurm: %s %s: %s\n", what, node,
		slurm_strerror(e));
	return e == ESLURM_INVALID_NODE_NAME ? EX_NOINPUT : 1;
}

/* Text that others wrote, on one line. */
static void put_line(const char *key, const char *text)
{
	printf("%s=", key);
	for (; text && *text; text++)
		putchar((unsigned char)*text < ' ' ? ' ' : *text);
	putchar('\n');
}

static int load(char *node, node_info_msg_t **ret)
{
	if (slurm_load_node_single(ret, node, SHOW_ALL) != SLURM_SUCCESS)
		return complain("load node", node);
	if ((*ret)->record_count == 1 && (*ret)->node_array[0].name)
		return 0;
	slurm_free_node_info_msg(*ret);
	fprintf(stderr, "jobcr-slurm: node %s: not known\n", node);
	return EX_NOINPUT;
}

static int is_drained(char *node, bool *ret)
{
	node_info_msg_t *msg;
	int r = load(node, &msg);

	if (r != 0)
		return r;
	*ret = (msg->node_array[0].node_state & NODE_STATE_DRAIN) != 0;
	slurm_free_node_info_msg(msg);
	return 0;
}

static int show(char *node)
{
	node_info_msg_t *msg;
	int r = load(node, &msg);

	if (r != 0)
		return r;
	printf("drain=%d\n",
	       (msg->node_array[0].node_state & NODE_STATE_DRAIN) != 0);
	put_line("reason", msg->node_array[0].reason);
	slurm_free_node_info_msg(msg);
	return 0;
}

static int drain(char *node, char *reason, uint32_t uid)
{
	update_node_msg_t update;

	slurm_init_update_node_msg(&update);
	update.node_names = node;
	update.node_state = NODE_STATE_DRAIN;
	update.reason = reason;
	update.reason_uid = uid;
	return slurm_update_node(&update) == SLURM_SUCCESS
		       ? 0
		       : complain("drain node", node);
}

/* Not "resume": a node that is down for another reason stays so. */
static int undrain(char *node)
{
	update_node_msg_t update;
	bool drained = false;
	int r = is_drained(node, &drained);

	if (r != 0 || !drained)
		return r;
	slurm_init_update_node_msg(&update);
	update.node_names = node;
	update.node_state = NODE_STATE_UNDRAIN;
	return slurm_update_node(&update) == SLURM_SUCCESS
		       ? 0
		       : complain("undrain node", node);
}

static bool is_on(const job_info_t *job, const char *node)
{
	hostlist_t list;
	bool found;

	if (!job->nodes || !*job->nodes)
		return false;
	list = slurm_hostlist_create(job->nodes);
	if (!list)
		return false;
	found = slurm_hostlist_find(list, node) >= 0;
	slurm_hostlist_destroy(list);
	return found;
}

static void put_job(const job_info_t *job)
{
	uint32_t base = job->job_state & JOB_STATE_BASE;
	const char *state = NULL;

	if (base == JOB_RUNNING)
		state = "running";
	else if (base == JOB_SUSPENDED)
		state = "suspended";
	else if (job->job_state & JOB_COMPLETING)
		state = "leaving";
	if (state)
		printf("job=%" PRIu32 " uid=%" PRIu32 " state=%s nodes=%" PRIu32
		       " requeue=%d start=%lld\n",
		       job->job_id, job->user_id, state, job->num_nodes,
		       job->requeue != 0, (long long)job->start_time);
}

static int list_jobs(const char *node)
{
	job_info_msg_t *msg;
	uint32_t i;

	if (slurm_load_jobs(0, &msg, SHOW_ALL) != SLURM_SUCCESS)
		return complain("jobs of node", node);
	for (i = 0; i < msg->record_count; i++)
		if (is_on(&msg->job_array[i], node))
			put_job(&msg->job_array[i]);
	slurm_free_job_info_msg(msg);
	return 0;
}

int node_verb(int argc, char **argv)
{
	uint64_t uid;

	if (argc == 3 && strcmp(argv[1], "node") == 0)
		return show(argv[2]);
	if (argc == 3 && strcmp(argv[1], "undrain") == 0)
		return undrain(argv[2]);
	if (argc == 3 && strcmp(argv[1], "jobs") == 0)
		return list_jobs(argv[2]);
	if (argc == 5 && strcmp(argv[1], "drain") == 0 &&
	    parse_u64(argv[4], UINT32_MAX - 1, &uid) == 0)
		return drain(argv[2], argv[3], (uint32_t)uid);
	return NODE_NO_VERB;
}
