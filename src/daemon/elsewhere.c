/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/elsewhere.h"

#include <errno.h>

#include "wire/client.h"
#include "wire/control.h"
#include "wire/frame.h"

#define ANSWER_MS 3000

static enum elsewhere judge(const Reply *reply)
{
	if (reply->result == -ENOENT)
		return ELSEWHERE_UNHEARD;
	if (reply->result < 0 || reply->n_jobs != 1)
		return ELSEWHERE_UNKNOWN;
	switch (reply->jobs[0]->state) {
	case CONTROL_STARTING:
	case CONTROL_RESTORING:
		return ELSEWHERE_RESTORING;
	default:
		return ELSEWHERE_RUNS;
	}
}

enum elsewhere elsewhere_look(const struct conf *conf, const char *node,
			      const char *job_id)
{
	enum elsewhere found = ELSEWHERE_UNKNOWN;
	Request req = REQUEST__INIT;
	struct client *c;
	struct err unused;
	Reply *reply;
	int r;

	if (!conf->port || client_remote(node, NULL, conf->port,
					 conf->munge_socket, &c, &unused) < 0)
		return found;
	req.op = REQUEST__OPERATION__SHOW;
	req.job_id = (char *)job_id;
	r = client_send(c, &req, NULL, 0, &unused);
	if (r == 0)
		r = frame_timeout(client_fd(c), ANSWER_MS, &unused);
	if (r == 0)
		r = client_receive(c, &reply, &unused);
	if (r == 0) {
		found = judge(reply);
		reply__free_unpacked(reply, NULL);
	}
	client_free(c);
	return found;
}
