/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Would a checkpoint of a job be refused?  The job is not touched. */
#include <json-c/json.h>
#include <stdio.h>

#include "cli/check.h"

struct check {
	char *job_id;
	bool json;
	int status;
};

static struct json_object *blocker_json(const RefusalEntry *e)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "pid", json_object_new_int(e->pid));
	json_object_object_add(o, "fd",
			       e->fd < 0 ? NULL : json_object_new_int(e->fd));
	print_add_string(o, "command", e->comm);
	print_add_string(o, "what", e->what);
	print_add_string(o, "remedy", e->remedy);
	return o;
}

static void print_verdict(const struct check *c, const Reply *reply)
{
	struct json_object *list = json_object_new_array();
	struct json_object *o = json_object_new_object();
	size_t total = reply->has_refusals_total ? reply->refusals_total
						 : reply->n_refusals;

	for (size_t i = 0; i < reply->n_refusals; i++)
		json_object_array_add(list, blocker_json(reply->refusals[i]));
	print_add_string(o, "job_id", c->job_id);
	json_object_object_add(o, "possible",
			       json_object_new_boolean(reply->result == 0));
	if (reply->result < 0 && reply->text)
		print_add_string(o, "reason", reply->text);
	print_add_number(o, "blockers_total", total);
	json_object_object_add(o, "blockers", list);
	print_json(o);
}

static int on_answer(void *arg, const Reply *reply)
{
	struct check *c = arg;

	if (reply->has_more && reply->more)
		return 0;
	c->status = reply->result < 0 ? operation_exit_status(reply->result)
				      : STATUS_OK;
	/* Of one that was not looked at there is nothing to say. */
	if (c->json && (c->status == STATUS_OK || c->status == STATUS_REFUSED))
		print_verdict(c, reply);
	else if (c->status != STATUS_OK)
		(void)cli_fail_reply(reply);
	else
		printf("%s: nothing stands in the way of a checkpoint\n",
		       c->job_id);
	return 0;
}

int check_job(const struct cli *cli, char *job_id, bool json)
{
	struct check c = { job_id, json, STATUS_FAILED };
	Request req = REQUEST__INIT;
	struct err err = { 0 };

	req.op = REQUEST__OPERATION__CHECKPOINT;
	req.job_id = job_id;
	req.has_look = req.look = 1;
	if (cli_request(cli, &req, NULL, 0, on_answer, &c, &err) < 0)
		return cli_fail(&err);
	return c.status;
}
