/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of a request: to the jobcrd of this node, to another node's, or,
 * for root where no daemon runs, nowhere: it is carried out here.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/cleanup.h"
#include "wire/client.h"

struct sink {
	cli_reply_fn reply;
	void *arg;
	int last;
};

static int collect(void *arg, const Reply *reply)
{
	struct sink *sink = arg;

	sink->last = sink->reply(sink->arg, reply);
	return 0;
}

/* --step: somebody wants to look at, or kill, what waits here. */
static bool read_line(void *arg)
{
	char byte;

	(void)arg;
	while (read(STDIN_FILENO, &byte, 1) == 1)
		if (byte == '\n')
			return true;
	return false;
}

static int request_here(const struct cli *cli, Request *req, const int *fds,
			size_t nfds, struct sink *sink, struct err *err)
{
	gid_t groups[1024];
	int n = getgroups(1024, groups);
	struct caller who = { .uid = getuid(),
			      .gid = getgid(),
			      .groups = groups,
			      .ngroups = n > 0 ? (size_t)n : 0,
			      .pid = getpid(),
			      .embedded = true };
	struct operation op = { .conf = cli->conf,
				.caller = &who,
				.req = req,
				.nfds = nfds,
				.peer_fd = -1,
				.reply = collect,
				.proceed = cli->step ? read_line : NULL,
				.arg = sink };
	size_t i;

	for (i = 0; i < nfds && i < ARRAY_SIZE(op.fds); i++)
		op.fds[i] = fds[i];
	/* Its failure has been told as a reply. */
	(void)operation_run(&op, err);
	return 0;
}

static int open_client(const struct cli *cli, struct client **ret,
		       struct err *err)
{
	if (cli->node)
		return client_remote(cli->node, cli->host, cli->conf->port,
				     cli->conf->munge_socket, ret, err);
	return client_local(cli->conf->run_dir, ret, err);
}

bool cli_has_daemon(const struct cli *cli)
{
	struct client *c;
	struct err unused;

	if (cli->node || geteuid() != 0)
		return true;
	if (client_local(cli->conf->run_dir, &c, &unused) < 0)
		return false;
	client_free(c);
	return true;
}

/* It hung up on what it had not read. */
static int turned_away(struct err *err)
{
	return err_set(err, -EBUSY,
		       "jobcrd takes no more requests of yours at this time: "
		       "wait for the end of some");
}

static int talk(const struct cli *cli, struct client *c, struct sink *sink,
		struct err *err)
{
	bool more = true;

	while (more) {
		Reply *reply;
		int r = client_receive(c, &reply, err);

		if (r == -ENODATA)
			return err_set(err, -ECONNREFUSED,
				       "jobcrd ended before it answered: see "
				       "its log");
		if (r == -ECONNRESET)
			return turned_away(err);
		if (r < 0)
			return r;
		more = reply->has_more && reply->more;
		(void)collect(sink, reply);
		if (reply->phase && cli->step) {
			/* It waits for this, also where no line comes. */
			(void)read_line(NULL);
			(void)!send(client_fd(c), "y", 1, MSG_NOSIGNAL);
		}
		reply__free_unpacked(reply, NULL);
	}
	return 0;
}

int cli_request(const struct cli *cli, Request *req, const int *fds,
		size_t nfds, cli_reply_fn reply, void *arg, struct err *err)
{
	struct sink sink = { .reply = reply, .arg = arg };
	struct client *c;
	int r = open_client(cli, &c, err);

	if (r == -ECONNREFUSED && !cli->node && geteuid() == 0)
		r = request_here(cli, req, fds, nfds, &sink, err);
	else if (r == 0) {
		r = client_send(c, req, fds, nfds, err);
		if (r == -EPIPE)
			r = turned_away(err);
		if (r == 0)
			r = talk(cli, c, &sink, err);
		client_free(c);
	}
	return r < 0 ? r : sink.last;
}
