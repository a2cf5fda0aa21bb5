// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/unix_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "resource/holder.h"
#include "resource/open_file.h"
#include "resource/socket_options.h"
#include "resource/unix_name.h"
#include "resource/unix_view.h"

static const char hidden[] = "an empty packet was sent that a checkpoint "
			     "before this one has looked at";
static const char hidden_remedy[] = "let the job read it first";

/* A question to a service is on its way, which may not be asked again. */
static bool is_asking(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const struct unix_relation *rel)
{
	int sent = 0;

	return rel->policy == UNIX_CLOSE && !ctx->options->reset_peers &&
	       (ioctl(fd->own_fd, TIOCOUTQ, &sent) < 0 || sent);
}

static const char *remedy_outside(const struct unix_relation *rel, pid_t holder)
{
	const char *remedy = NULL;
	char comm[64] = "";

	if (rel->service && rel->service->remedy)
		return rel->service->remedy;
	if (!rel->peer.name_len && holder)
		holder_comm(holder, comm, sizeof(comm));
	remedy = unix_service_remedy(comm);
	return remedy ? remedy
		      : "close it, run that process inside the job, or have it "
			"closed (--peers reset in jobcr(1))";
}

/* The other end is not of the job. */
static void check_outside(const struct dump_ctx *ctx, const struct fd_view *fd,
			  const struct unix_relation *rel, struct refusals *no)
{
	char name[128], link[48], who[96] = "somebody outside the job";
	pid_t holder;

	if (rel->policy != UNIX_REFUSE && !is_asking(ctx, fd, rel))
		return;
	snprintf(link, sizeof(link), "socket:[%u]", rel->peer.inode);
	holder = holder_outside_link(ctx, fd->task, link);
	/* Of a running job: on its way, or of a child that was just born. */
	if (!holder && !fd->task->leader)
		return;
	unix_print_name(&rel->peer, name, sizeof(name));
	if (holder)
		holder_name(holder, who, sizeof(who));
	unix_refuse(fd, no, rel->own.type, remedy_outside(rel, holder),
		    "connected to one %s of %s", name, who);
}

/*
 * What waits there came from here: if it takes more room here than it should,
 * there is something that cannot be seen.
 */
static int check_sent(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const struct unix_relation *rel, struct refusals *no,
		      struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	const struct unix_queue *q;
	const uint32_t *objects;
	bool hides = false;
	int r;

	if (!fd->task->leader || rel->own.type == SOCK_STREAM)
		return 0;
	q = e->unix_queue(e->arg, rel->object, &objects);
	r = q && !q->problem ? unix_queue_hides(q, rel->own.type, fd->own_fd,
						&hides, err)
			     : 0;
	if (r == 0 && hides)
		unix_refuse(fd, no, rel->own.type, hidden_remedy, "to which %s",
			    hidden);
	return r;
}

static void check_pending(const struct fd_view *fd,
			  const struct unix_relation *rel, struct refusals *no)
{
	int sent = 0;

	if (!rel->object)
		unix_refuse(fd, no, rel->own.type,
			    "close it, or run that process inside the job",
			    "that waits to be accepted outside the job");
	/* What it has sent cannot be read before that, which may be soon. */
	else if (fd->task->leader &&
		 (ioctl(fd->own_fd, TIOCOUTQ, &sent) < 0 || sent))
		unix_refuse(fd, no, rel->own.type,
			    "let the job accept the connection",
			    "with data in a connection that is not accepted "
			    "yet");
	else
		return;
	refusals_passes(no);
}

static int check_relation(const struct dump_ctx *ctx, const struct fd_view *fd,
			  const struct unix_relation *rel, struct refusals *no,
			  struct err *err)
{
	if (rel->unclear)
		unix_refuse(fd, no, rel->own.type, "bind only one of them",
			    "of which nobody can tell who accepted it");
	if (rel->kind == UNIX_OUTSIDE)
		check_outside(ctx, fd, rel, no);
	else if (rel->kind == UNIX_PENDING)
		check_pending(fd, rel, no);
	else if (rel->kind == UNIX_RECEIVER && !rel->peer.name_len &&
		 fd->task->leader)
		unix_refuse(fd, no, rel->own.type, "close it",
			    "connected to one without a name that is not "
			    "connected to it");
	else if (rel->kind == UNIX_PAIR)
		return check_sent(ctx, fd, rel, no, err);
	return 0;
}

static int check_ids(const struct dump_ctx *ctx, const struct fd_view *fd,
		     const struct unix_relation *rel, struct refusals *no,
		     struct err *err)
{
	const struct unix_socket *s = &rel->own;
	struct ucred ids;
	int r = unix_peer_ids(fd, &ids, err);

	if (r < 0 || rel->kind != UNIX_PAIR ||
	    unix_is_user(ctx, ids.uid, ids.gid))
		return r;
	unix_refuse(fd, no, s->type, "let the job make it",
		    "whose other end was made by user %u and group %u", ids.uid,
		    ids.gid);
	return 0;
}

static void check_sender(const struct dump_ctx *ctx, const struct fd_view *fd,
			 int type, const struct unix_message *m,
			 struct refusals *no)
{
	const struct dump_engine *e = ctx->engine;

	if (!m->sender.pid)
		return;
	if (!e->ns_pid(e->arg, m->sender.pid))
		unix_refuse(
			fd, no, type, "let the job read it first",
			"with a message, not read yet, of a process that is "
			"not there any more (SO_PASSCRED)");
	else if (!unix_is_user(ctx, m->sender.uid, m->sender.gid))
		unix_refuse(fd, no, type, "let the job read it first",
			    "with a message, not read yet, of user %u",
			    m->sender.uid);
}

/*
 * The other end is who sends again.  Whoever else has sent, before it was
 * connected, could not any more.
 */
static bool is_from_peer(const struct unix_relation *rel,
			 const struct unix_message *m)
{
	size_t len = m->from_len;

	if (rel->kind == UNIX_CLOSED)
		return !len;
	if (len && m->from[0])
		len = strnlen(m->from, len);
	return len == rel->peer.name_len &&
	       !memcmp(m->from, rel->peer.name, len);
}

/* Is it known who the sender was, and how to reach this one? */
static void check_from(const struct fd_view *fd,
		       const struct unix_relation *rel,
		       const struct unix_message *m, struct refusals *no)
{
	const char *name = rel->own.name_len ? "" : "without a name, ";

	if (rel->own.type != SOCK_DGRAM)
		return;
	if (unix_sends_again(rel) ? is_from_peer(rel, m)
				  : rel->own.name_len != 0)
		return;
	unix_refuse(fd, no, rel->own.type, "let the job read it first",
		    "%swith a message of one that it is not connected to",
		    name);
}

static void check_queue(const struct dump_ctx *ctx, const struct fd_view *fd,
			const struct unix_relation *rel, struct refusals *no)
{
	const struct dump_engine *e = ctx->engine;
	const struct unix_socket *s = &rel->own;
	const uint32_t *objects;
	const struct unix_queue *q;
	char name[128];

	/* Known of a job that stands still. */
	if (!fd->task->leader)
		return;
	q = e->unix_queue(e->arg, fd->object, &objects);
	if (q && q->problem)
		unix_refuse(fd, no, s->type, "let the job read it first",
			    "with %s", q->problem);
	/* The sender of a pair knows better. */
	if (q && q->hides && rel->kind != UNIX_PAIR)
		unix_refuse(fd, no, s->type, hidden_remedy, "to which %s",
			    hidden);
	if (q && q->count && rel->policy == UNIX_CLOSE &&
	    !ctx->options->reset_peers) {
		unix_print_name(&rel->peer, name, sizeof(name));
		unix_refuse(fd, no, s->type, "let the job read it first",
			    "with an answer, not read yet, of the service %s",
			    name);
	}
	for (size_t i = 0; q && i < q->count; i++) {
		check_sender(ctx, fd, s->type, &q->list[i], no);
		check_from(fd, rel, &q->list[i], no);
	}
}

static void check_own(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const struct unix_socket *s, struct refusals *no)
{
	pid_t holder = holder_outside(ctx, fd);
	char who[96];

	if (!holder)
		return;
	holder_name(holder, who, sizeof(who));
	unix_refuse(fd, no, s->type,
		    "run that process inside the job, or close the descriptor",
		    "shared with %s outside the job", who);
}

static int check_socket(const struct dump_ctx *ctx, const struct fd_view *fd,
			const struct unix_relation *rel, struct refusals *no,
			struct err *err)
{
	int r;

	check_own(ctx, fd, &rel->own, no);
	r = check_relation(ctx, fd, rel, no, err);
	if (r == 0 && unix_has_own_name(rel))
		r = unix_name_check(ctx, fd, &rel->own, no, err);
	if (r == 0)
		r = check_ids(ctx, fd, rel, no, err);
	if (r == 0)
		check_queue(ctx, fd, rel, no);
	return r;
}

int unix_check(const struct dump_ctx *ctx, const struct fd_view *fd,
	       struct refusals *no, struct err *err)
{
	struct unix_relation rel = { 0 };
	int r;

	r = open_file_check(ctx, fd, no, err);
	if (r < 0)
		return r;
	socket_options_check(fd, no);
	r = unix_relate(ctx, fd, &rel, err);
	if (r == 0)
		r = check_socket(ctx, fd, &rel, no, err);
	else if (r == -ENOENT)
		unix_refuse(fd, no, unix_option(fd->own_fd, SO_TYPE),
			    "run the job without network namespaces of its own",
			    "of another network namespace, or that the kernel "
			    "does not tell of (CONFIG_UNIX_DIAG)");
	unix_relation_done(&rel);
	return r == -ENOENT ? 0 : r;
}
