/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream without descriptors and credentials in it is read with one peek.
 * Everything else needs SO_PEEK_OFF, which belongs to the socket and not to
 * our descriptor of it.  Reading at an empty queue takes away an error that
 * waits there, and reading packets does so always: neither is done.
 *
 * With SO_PEEK_OFF an empty packet is seen by the first look only; without, it
 * is seen when it is the first.  That a look has hidden one must be known to
 * the next checkpoint, also when we die after it: it is written down at the
 * socket itself, as a filter that lets everything pass.
 */
#include "kernel/unix_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/queue_mark.h"
#include "util/cleanup.h"
#include "util/io.h"

#define PAGE        4096u
#define ROOM        (UNIX_MESSAGE_MAX + PAGE)
#define FDS_MAX     253   /* SCM_MAX_FD */
#define QUEUE_MAX   65536 /* messages */
#define CONTROL_MAX (CMSG_SPACE(FDS_MAX * sizeof(int)) + 1024)

/* One look at it. */
struct glance {
	uint8_t *data;  /* ROOM bytes */
	uint8_t *fence; /* behind them; nobody can write there */
	ssize_t len;
	int fds[FDS_MAX];
	size_t nfds;
	struct ucred sender;
	char from[108];
	size_t from_len;
	int flags;  /* MSG_* */
	bool other; /* came with what is not known here */
	bool plain; /* came with nothing at all */
	/* NULL, or where the kernel writes down how much was seen. */
	struct mmsghdr *note;
};

#define NOT_LOOKED UINT32_MAX

/* Errors that wait are taken away by the second. */
static ssize_t receive(int fd, struct msghdr *msg, struct mmsghdr *note)
{
	const int flags = MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
	int n;

	if (!note)
		return recvmsg(fd, msg, flags);
	note->msg_hdr = *msg;
	note->msg_len = NOT_LOOKED;
	n = recvmmsg(fd, note, 1, flags, NULL);
	*msg = note->msg_hdr;
	return n == 1 ? (ssize_t)note->msg_len : -1;
}

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

/* Numbers that headers do not know yet. */
enum { PIDFD = 4, UNREAD = 84 };

/* What cannot be sent again; a descriptor in it is ours now. */
static void take_other(struct glance *g, const struct cmsghdr *c, size_t len)
{
	int fd;

	/* How much waits is counted by the kernel itself. */
	if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == UNREAD)
		return;
	g->other = true;
	if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != PIDFD ||
	    len < sizeof(fd))
		return;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (fd >= 0)
		close(fd);
}

static void take_control(struct glance *g, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		g->plain = false;
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		    !g->nfds) {
			g->nfds = len / sizeof(int);
			memcpy(g->fds, CMSG_DATA(c), g->nfds * sizeof(int));
		} else if (c->cmsg_level == SOL_SOCKET &&
			   c->cmsg_type == SCM_CREDENTIALS &&
			   len >= sizeof(g->sender)) {
			memcpy(&g->sender, CMSG_DATA(c), sizeof(g->sender));
		} else {
			take_other(g, c, len);
		}
	}
}

/* *g is what was seen; g->fds are the caller's to close. */
static int look(int fd, uint8_t *to, size_t room, struct glance *g,
		struct err *err)
{
	struct {
		uint16_t family;
		char path[108];
	} from = { 0 };
	uint8_t control[CONTROL_MAX] __attribute__((aligned(8)));
	struct iovec iov = { to, room };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	g->nfds = g->from_len = 0;
	g->sender = (struct ucred){ 0 };
	g->other = false;
	g->plain = true;
	g->len = receive(fd, &msg, g->note);
	if (g->len < 0 && errno == EAGAIN)
		return 0;
	if (g->len < 0)
		return err_sys(err, "look at what waits");
	take_control(g, &msg);
	g->flags = msg.msg_flags;
	if (msg.msg_namelen > sizeof(from.family)) {
		g->from_len = msg.msg_namelen - sizeof(from.family);
		memcpy(g->from, from.path, g->from_len);
	}
	return 0;
}

static int add(struct unix_queue *q, const uint8_t *data, size_t len,
	       struct glance *g, bool with_fds, struct err *err)
{
	struct unix_message m = { .len = len, .sender = g->sender };
	struct unix_message *more;

	if (q->count == QUEUE_MAX)
		return err_set(err, -E2BIG, "more than %d messages", QUEUE_MAX);
	more = reallocarray(q->list, q->count + 1, sizeof(*more));
	if (more)
		q->list = more;
	m.data = malloc(len + 1);
	m.fds = calloc(g->nfds + 1, sizeof(int));
	if (!more || !m.data || !m.fds) {
		free(m.data);
		free(m.fds);
		return err_num(err, ENOMEM, "messages");
	}
	memcpy(m.data, data, len);
	memcpy(m.from, g->from, g->from_len);
	m.from_len = g->from_len;
	if (with_fds) {
		memcpy(m.fds, g->fds, g->nfds * sizeof(int));
		m.nfds = g->nfds;
		g->nfds = 0; /* they are the message's now */
	}
	q->list[q->count++] = m;
	return 0;
}

void unix_queue_done(struct unix_queue *q)
{
	for (size_t i = 0; i < q->count; i++) {
		close_all(q->list[i].fds, q->list[i].nfds);
		free(q->list[i].fds);
		free(q->list[i].data);
	}
	free(take_ptr(q->list));
	q->count = 0;
}

struct unix_reader {
	struct unix_guard *guard; /* NULL until it is needed */
	struct glance glance;
};

static int set_offset(int fd, int offset, struct err *err)
{
	return setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset,
			  sizeof(offset)) < 0
		       ? err_sys(err, "SO_PEEK_OFF %d", offset)
		       : 0;
}

/*
 * Who puts SO_PEEK_OFF back when we cannot.  It is told of a socket before
 * that is touched, and that it is done with afterwards; whatever it was told
 * it gets to know also when we are dead by then.
 */
struct unix_guard {
	pid_t pid;
	int channel;
	struct notes *notes; /* of both */
};

/*
 * Whether the socket's mark is to stay when we die.  Of a look that is under
 * way the kernel itself says whether it was one at an empty packet.
 */
struct notes {
	volatile bool keep;
	struct mmsghdr look;
};

static void be_guard(int channel, const struct notes *notes)
{
	int offset = -1, held = -1;
	struct err end;

	/* Whoever kills the group that we are in means us, not the guard. */
	(void)setpgid(0, 0);
	for (;;) {
		size_t len, count = 1;
		int fd = -1, value;

		if (recv_fds(channel, &value, sizeof(value), &len, &fd, &count,
			     &end) < 0)
			break;
		cleanup_close(&held);
		held = count ? fd : -1;
		offset = value;
	}
	if (held >= 0)
		(void)setsockopt(held, SOL_SOCKET, SO_PEEK_OFF, &offset,
				 sizeof(offset));
	if (held >= 0 && !notes->keep && notes->look.msg_len)
		queue_mark_drop(held);
	_exit(0);
}

/* Nothing but its end of the channel: other ends would never be closed. */
static void hold_only(int channel)
{
	if (dup2(channel, 0) < 0 ||
	    syscall(SYS_close_range, 1u, UINT32_MAX, 0) < 0)
		_exit(1);
}

/* All but the process. */
static int guard_prepare(struct unix_guard *g, int ends[2], struct err *err)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return err_sys(err, "guard: mmap");
	g->notes = page;
	g->notes->look.msg_len = NOT_LOOKED;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0)
		return 0;
	(void)munmap(page, PAGE);
	return err_sys(err, "guard: socketpair");
}

static void guard_forget(struct unix_guard *g)
{
	close(g->channel);
	(void)munmap(g->notes, PAGE);
	free(g);
}

static int guard_new(struct unix_guard **ret, struct err *err)
{
	struct unix_guard *g = calloc(1, sizeof(*g));
	int ends[2], r;

	if (!g)
		return err_num(err, ENOMEM, "guard");
	r = guard_prepare(g, ends, err);
	if (r < 0) {
		free(g);
		return r;
	}
	g->pid = fork();
	if (g->pid == 0) {
		hold_only(ends[1]);
		be_guard(0, g->notes);
	}
	close(ends[1]);
	g->channel = ends[0];
	if (g->pid < 0) {
		r = err_sys(err, "guard: fork");
		guard_forget(g);
		return r;
	}
	*ret = g;
	return 0;
}

static void guard_free(struct unix_guard *g)
{
	const pid_t pid = g ? g->pid : 0;

	if (!g)
		return;
	guard_forget(g);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int guard_begin(struct unix_guard **guard, int fd, int offset,
		       struct err *err)
{
	int r = *guard ? 0 : guard_new(guard, err);

	if (r == 0)
		(*guard)->notes->keep = true;
	return r < 0 ? r
		     : send_fds((*guard)->channel, &offset, sizeof(offset), &fd,
				1, err);
}

static int guard_end(struct unix_guard *guard, struct err *err)
{
	const int nothing = -1;

	return send_fds(guard->channel, &nothing, sizeof(nothing), NULL, 0,
			err);
}

/*
 * A peek into a stream goes on to the next piece even with no room left, so
 * what came without descriptors seems to have come with those of the piece
 * behind it.  But a piece that does not fit into memory that is there ends
 * it: leave too little room for the last one.
 */
static int find_start(int fd, int at, size_t len, struct glance *g, size_t *ret,
		      struct err *err)
{
	int r = set_offset(fd, at, err);

	*ret = 0;
	if (r == 0)
		r = look(fd, g->fence - (len - 1), len, g, err);
	if (r == -EFAULT)
		return 0;
	close_all(g->fds, g->nfds);
	g->nfds = 0;
	if (r == 0)
		*ret = (size_t)g->len;
	return r;
}

/* From the byte `at` on; *ret_len is what was seen. */
static int read_piece(int fd, int at, struct glance *g, struct unix_queue *q,
		      size_t *ret_len, struct err *err)
{
	size_t start = 0, len;
	int r;

	r = set_offset(fd, at, err);
	if (r == 0)
		r = look(fd, g->data, UNIX_MESSAGE_MAX, g, err);
	if (r < 0)
		return r;
	if (g->len <= 0)
		return err_set(err, -EIO, "less waits than there is");
	len = (size_t)g->len;
	if (g->nfds && len > 1) {
		close_all(g->fds, g->nfds);
		g->nfds = 0;
		r = find_start(fd, at, len, g, &start, err);
		if (r == 0)
			r = set_offset(fd, at, err);
		if (r == 0)
			r = look(fd, g->data, len, g, err);
	}
	if (g->other)
		q->problem = "data with something that is not known here";
	if (r == 0 && start)
		r = add(q, g->data, start, g, false, err);
	if (r == 0)
		r = add(q, g->data + start, len - start, g, true, err);
	close_all(g->fds, g->nfds);
	*ret_len = len;
	return r;
}

static int read_pieces(int fd, int total, struct glance *g,
		       struct unix_queue *q, struct err *err)
{
	size_t len = 0;
	int r = 0;

	for (int at = 0; r == 0 && at < total; at += (int)len)
		r = read_piece(fd, at, g, q, &len, err);
	return r;
}

static bool polled(int fd, short event)
{
	struct pollfd p = { .fd = fd, .events = event };

	return poll(&p, 1, 0) == 1 && (p.revents & event);
}

/* Packets of one socket, while they are looked at. */
struct sight {
	int fd;
	bool closed;          /* 0 may also be the end */
	bool marked;          /* it was before */
	bool foreign;         /* it has a filter of its own */
	size_t total, before; /* bytes that wait; those seen so far */
	struct notes *notes;
};

/*
 * Of a connection that was shut down, 0 is no empty packet but the end; empty
 * ones before that read as the end does.
 */
static bool is_end(const struct sight *s, const struct glance *g)
{
	return g->len < 0 || (!g->len && s->closed && s->before >= s->total);
}

/* One more packet that is seen; the mark stays if it was an empty one. */
static int look_at_packet(const struct sight *s, struct glance *g,
			  struct err *err)
{
	int r;

	g->note = &s->notes->look;
	r = look(s->fd, g->data, ROOM, g, err);
	g->note = NULL;
	if (r < 0 || (!g->len && !is_end(s, g)))
		s->notes->keep = true;
	s->notes->look.msg_len = NOT_LOOKED;
	return r;
}

static int take_packet(struct glance *g, struct unix_queue *q, struct err *err)
{
	int r;

	if (g->flags & MSG_TRUNC)
		q->problem = "a packet that is too long";
	if (g->other)
		q->problem = "a packet with something that is not known here";
	r = add(q, g->data, (size_t)g->len, g, true, err);
	close_all(g->fds, g->nfds);
	return r;
}

/* The first one is seen so whatever it is, and whoever has looked at it. */
static int look_at_first(const struct sight *s, struct glance *g,
			 struct unix_queue *q, int offset, struct err *err)
{
	int r = set_offset(s->fd, -1, err);

	if (r == 0)
		r = look_at_packet(s, g, err);
	if (r < 0)
		return r;
	close_all(g->fds, g->nfds);
	/* What is at the end is not seen before others. */
	if (g->len < 0 || (!q->count && is_end(s, g)))
		return 0;
	/* The program's own looks with an offset are as bad as ours. */
	q->hides = s->marked || offset >= 0 || !q->count ||
		   (!g->len && q->list[0].len);
	return 0;
}

static int read_packets(struct sight *s, int offset, struct glance *g,
			struct unix_queue *q, struct err *err)
{
	int r = set_offset(s->fd, 0, err);

	while (r == 0) {
		r = look_at_packet(s, g, err);
		if (r < 0 || is_end(s, g))
			break;
		s->before += (size_t)g->len;
		r = take_packet(g, q, err);
	}
	if (r == 0)
		r = look_at_first(s, g, q, offset, err);
	/* All that the mark told of has been read. */
	if (r == 0 && !q->hides && !q->count && !s->foreign)
		s->notes->keep = false;
	return r;
}

static int read_marked(struct unix_reader *reader, int fd, int type, int offset,
		       int total, struct unix_queue *q, struct err *err)
{
	struct sight s = {
		.fd = fd,
		.total = type == SOCK_SEQPACKET ? (size_t)total : 0,
		.closed = type == SOCK_SEQPACKET && polled(fd, POLLRDHUP),
		.notes = reader->guard->notes,
	};
	int r = 0;

	s.foreign = queue_mark_filter(fd, &s.marked) && !s.marked;
	s.notes->keep = s.marked || s.foreign;
	if (!s.notes->keep)
		r = queue_mark_set(fd, err);
	if (r == 0)
		r = read_packets(&s, offset, &reader->glance, q, err);
	if (!s.notes->keep)
		queue_mark_drop(fd);
	return r;
}

static int read_guarded(struct unix_reader *reader, int fd, int type,
			int offset, int total, struct unix_queue *q,
			struct err *err)
{
	struct err later;
	int r, back;

	r = guard_begin(&reader->guard, fd, offset, err);
	if (r < 0)
		return r;
	r = type == SOCK_STREAM
		    ? read_pieces(fd, total, &reader->glance, q, err)
		    : read_marked(reader, fd, type, offset, total, q, err);
	back = set_offset(fd, offset, &later);
	if (back == 0)
		back = guard_end(reader->guard, &later);
	if (r < 0 || back == 0)
		return r;
	*err = later;
	return back;
}

/* One peek that tells all, *ret_done; anything is left as it was. */
static int read_plain(int fd, int total, struct glance *g, struct unix_queue *q,
		      bool *ret_done, struct err *err)
{
	int r = look(fd, g->data, ROOM, g, err);

	*ret_done = g->len < 0;
	if (r < 0 || *ret_done)
		return r;
	close_all(g->fds, g->nfds);
	g->nfds = 0;
	if (g->len != total || !g->plain || total > (int)UNIX_MESSAGE_MAX)
		return 0;
	*ret_done = true;
	return add(q, g->data, (size_t)g->len, g, false, err);
}

static bool has_urgent(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) > 0;
}

static int read_known(struct unix_reader *reader, int fd, int type, int offset,
		      int total, struct unix_queue *q, struct err *err)
{
	bool done = false;
	int r = 0;

	/* With an offset each look moves it. */
	if (type == SOCK_STREAM && offset < 0)
		r = read_plain(fd, total, &reader->glance, q, &done, err);
	if (r == 0 && !done)
		r = read_guarded(reader, fd, type, offset, total, q, err);
	return r;
}

static int read_queue(struct unix_reader *reader, int fd, int type,
		      struct unix_queue *q, struct err *err)
{
	socklen_t len = sizeof(int);
	int offset = -1, total = 0;

	if (ioctl(fd, FIONREAD, &total) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &len) < 0)
		return err_sys(err, "what waits");
	if (type == SOCK_STREAM && !total)
		return 0;
	if (type != SOCK_STREAM && polled(fd, POLLERR))
		q->problem = "an error that was not read yet (SO_ERROR)";
	else if (type == SOCK_STREAM && has_urgent(fd))
		q->problem = "urgent data (MSG_OOB)";
	else if (type != SOCK_STREAM && !polled(fd, POLLIN))
		queue_mark_drop(fd);
	else
		return read_known(reader, fd, type, offset, total, q, err);
	return 0;
}

int unix_queue_read(struct unix_reader *r, int fd, int type,
		    struct unix_queue *ret, struct err *err)
{
	*ret = (struct unix_queue){ 0 };
	return read_queue(r, fd, type, ret, err);
}

int unix_reader_new(struct unix_reader **ret, struct err *err)
{
	struct unix_reader *r = calloc(1, sizeof(*r));
	uint8_t *data = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!r || data == MAP_FAILED) {
		free(r);
		return err_num(err, ENOMEM, "messages");
	}
	r->glance.data = data;
	r->glance.fence = data + ROOM;
	*ret = r;
	return mprotect(data + ROOM, PAGE, PROT_NONE) < 0
		       ? err_sys(err, "mprotect")
		       : 0;
}

void unix_reader_free(struct unix_reader *r)
{
	if (!r)
		return;
	guard_free(r->guard);
	(void)munmap(r->glance.data, ROOM + PAGE);
	free(r);
}

static size_t longest(const struct unix_queue *q)
{
	size_t len = 0;

	for (size_t i = 0; i < q->count; i++)
		if (q->list[i].len > len)
			len = q->list[i].len;
	return len;
}

/* The same lengths once more, in sockets of ours. */
static int send_again(const struct unix_queue *q, int type, int *ret_room,
		      struct err *err)
{
	auto_close int reader = -EBADF, writer = -EBADF;
	auto_free uint8_t *zeroes = calloc(1, longest(q) + 1);
	int ends[2], size = (int)(q->count ? UNIX_MESSAGE_MAX * 2 : 0);

	if (!zeroes)
		return err_num(err, ENOMEM, "messages");
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, "socketpair");
	reader = ends[0];
	writer = ends[1];
	if (size &&
	    setsockopt(writer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
		return err_sys(err, "SO_SNDBUF");
	for (size_t i = 0; i < q->count; i++)
		if (send(writer, zeroes, q->list[i].len, MSG_DONTWAIT) < 0)
			return err_sys(err, "send again");
	return ioctl(writer, TIOCOUTQ, ret_room) < 0 ? err_sys(err, "TIOCOUTQ")
						     : 0;
}

int unix_queue_hides(const struct unix_queue *q, int type, int sender,
		     bool *ret, struct err *err)
{
	int taken = 0, again = 0, r;

	if (ioctl(sender, TIOCOUTQ, &taken) < 0)
		return err_sys(err, "TIOCOUTQ");
	r = taken ? send_again(q, type, &again, err) : 0;
	*ret = taken > again;
	return r;
}
