/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One request, in a child of jobcrd.  Who asks is said by the kernel on the
 * Unix socket and by munge over TCP, never by the request.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/drain.h"
#include "daemon/resubmit.h"
#include "daemon/server.h"
#include "operation/operation.h"
#include "storage/as_user.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "wire/auth.h"
#include "wire/frame.h"

/* A request comes right after the connection, when munge has been asked. */
#define WORDS_MS   5000
#define REQUEST_MS 10000
#define GROUPS_MAX 65536
/* Since Linux 6.5. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* Somebody to be answered. */
struct peer {
	const struct conf *conf;
	int fd;
	bool remote;
	uint64_t nonce;
};

static int reply_local(void *arg, const Reply *reply)
{
	const struct peer *p = arg;
	struct err unused;

	return frame_send(p->fd, FRAME_REPLY, &reply->base, NULL, 0, &unused);
}

/* The nonce of the request in front: the answer is to this one. */
static int reply_remote(void *arg, const Reply *reply)
{
	const struct peer *p = arg;
	auto_free uint8_t *frame = NULL;
	auto_free uint8_t *body = NULL;
	auto_free char *credential = NULL;
	struct err unused;
	size_t len;
	int r = frame_pack(FRAME_REPLY, &reply->base, &frame, &len, &unused);

	if (r < 0)
		return r;
	body = malloc(sizeof(p->nonce) + len);
	if (!body)
		return -ENOMEM;
	memcpy(body, &p->nonce, sizeof(p->nonce));
	memcpy(body + sizeof(p->nonce), frame, len);
	r = auth_encode(p->conf->munge_socket, body, sizeof(p->nonce) + len,
			&credential, &unused);
	return r < 0 ? r
		     : frame_write(p->fd, FRAME_CREDENTIAL, credential,
				   strlen(credential), &unused);
}

/* An answer per step over the same socket, from root only. */
static bool proceed(void *arg)
{
	const struct peer *p = arg;
	char byte;

	return recv(p->fd, &byte, 1, 0) == 1;
}

static int peer_groups(int fd, struct caller *who, struct err *err)
{
	socklen_t len = 256 * sizeof(gid_t);

	for (;;) {
		gid_t *more = realloc(who->groups, len);

		if (!more)
			return err_num(err, ENOMEM, "groups");
		who->groups = more;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, more, &len) == 0)
			break;
		if (errno != ERANGE || len > GROUPS_MAX * sizeof(gid_t))
			return err_sys(err, "groups of the caller");
	}
	who->ngroups = len / sizeof(gid_t);
	return 0;
}

static int identify(int fd, struct caller *who, struct err *err)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_sys(err, "who asks");
	who->uid = peer.uid;
	who->gid = peer.gid;
	who->pid = peer.pid;
	len = sizeof(who->pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &who->pidfd, &len) < 0) {
		if (errno != ENOPROTOOPT)
			return err_sys(err, "who asks");
		who->pidfd = -1;
	}
	return peer_groups(fd, who, err);
}

static const char *request_name(const Request *req)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
		&request__operation__descriptor, (int)req->op);

	return v ? v->name : "?";
}

static int carry_out(struct operation *op, struct err *err)
{
	int r = drain_is_asked(op->req)    ? drain_serve(op, err)
		: resubmit_wanted(op->req) ? resubmit_job(op, err)
					   : operation_run(op, err);

	if (r == -EACCES)
		log_warning(op->req->job_id, "%s by uid %u denied: %s",
			    request_name(op->req), op->caller->uid, err->text);
	else if (r < 0 && r != -EPIPE)
		log_info(op->req->job_id, "%s by uid %u: %s",
			 request_name(op->req), op->caller->uid, err->text);
	else
		log_debug(op->req->job_id, "%s by uid %u: done",
			  request_name(op->req), op->caller->uid);
	return r < 0;
}

int serve_local(const struct conf *conf, int fd)
{
	struct peer peer = { .conf = conf, .fd = fd };
	struct caller who = { 0 };
	struct operation op = { .conf = conf,
				.caller = &who,
				.nfds = ARRAY_SIZE(op.fds),
				.peer_fd = fd,
				.reply = reply_local,
				.proceed = proceed,
				.arg = &peer };
	ProtobufCMessage *msg;
	struct err err = { 0 };
	int r = frame_timeout(fd, REQUEST_MS, &err);

	if (r == 0)
		r = identify(fd, &who, &err);
	if (r == 0)
		r = frame_receive(fd, FRAME_REQUEST, &request__descriptor, &msg,
				  op.fds, &op.nfds, &err);
	if (r < 0) {
		if (r != -ENODATA)
			log_info(NULL, "request of uid %u: %s", who.uid,
				 err.text);
		return 1;
	}
	op.req = (Request *)msg;
	(void)frame_timeout(fd, 0, &err);
	return carry_out(&op, &err);
}

static int read_remote(struct peer *peer, struct caller *who, Request **ret,
		       struct err *err)
{
	const struct conf *conf = peer->conf;
	auto_free uint8_t *text = NULL;
	auto_free void *body = NULL;
	ProtobufCMessage *msg;
	struct user_id user;
	size_t len;
	int r = frame_read(peer->fd, FRAME_CREDENTIAL, &text, &len, err);

	if (r == 0)
		r = auth_decode(conf->munge_socket, (char *)text, &body, &len,
				&who->uid, &who->gid, err);
	if (r == 0)
		r = frame_unpack(body, len, FRAME_REQUEST, &request__descriptor,
				 &msg, err);
	if (r < 0)
		return r;
	*ret = (Request *)msg;
	peer->nonce = (*ret)->nonce;
	/* Replayed on another node a credential is worth nothing. */
	if (!(*ret)->node || strcmp((*ret)->node, conf->node) != 0)
		return err_set(err, -EACCES,
			       "the request is for node %.64s, this is %s",
			       (*ret)->node ? (*ret)->node : "(none)",
			       conf->node);
	r = user_id_load(who->uid, who->gid, &user, err);
	if (r == 0) {
		who->groups = user.groups;
		who->ngroups = user.ngroups;
	}
	return r;
}

/* Who has connected has something to say. */
static int await_words(int fd, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&p, 1, WORDS_MS) <= 0)
		return err_set(err, -ETIMEDOUT, "nothing was said");
	return recv(fd, &byte, 1, MSG_PEEK) == 1
		       ? 0
		       : err_set(err, -ENODATA, "hung up");
}

int serve_remote(const struct conf *conf, int fd, struct callers *callers,
		 size_t own)
{
	struct peer peer = { .conf = conf, .fd = fd, .remote = true };
	struct caller who = { 0 };
	struct operation op = { .conf = conf,
				.caller = &who,
				.peer_fd = fd,
				.reply = reply_remote,
				.arg = &peer };
	struct err err = { 0 };
	Request *req = NULL;
	int r = frame_timeout(fd, REQUEST_MS, &err);

	/* Also for one that sends a byte now and then. */
	alarm(REQUEST_MS / 1000 + 1);
	if (r == 0)
		r = await_words(fd, &err);
	if (r < 0 || !callers_spoke(callers, own))
		return 1;
	r = read_remote(&peer, &who, &req, &err);
	if (r == 0 && !callers_admit(callers, own, who.uid))
		r = err_set(&err, -EBUSY,
			    "node %s: too many requests of uid %u at a time: "
			    "wait for the end of some",
			    conf->node, who.uid);
	alarm(0);
	if (r < 0) {
		log_warning(NULL, "request from another node: %s", err.text);
		op.req = req;
		if (req)
			(void)operation_reply_error(&op, r, err.text);
		return 1;
	}
	op.req = req;
	(void)frame_timeout(fd, 0, &err);
	return carry_out(&op, &err);
}
