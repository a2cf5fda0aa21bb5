// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pipes, named fifos, and what else the step itself may have been given as
 * standard input and output.  The contents are copied with tee(2), which
 * takes nothing out.  At the restore one descriptor that reads and writes
 * holds a pipe open while its ends are made from it, each a description of
 * its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "images/limits.h"
#include "images/tags.h"
#include "resource/fifo.h"
#include "resource/holder.h"
#include "resource/open_file.h"
#include "resource/resource.h"
#include "storage/as_user.h"
#include "util/cleanup.h"

static bool is_tty(const struct stat *st)
{
	enum {
		TTY_MAJOR = 4,
		TTYAUX_MAJOR = 5,
		PTS_FIRST = 136,
		PTS_LAST = 143,
		PTMX_MINOR = 2
	};
	unsigned int number = major(st->st_rdev);

	if (!S_ISCHR(st->st_mode))
		return false;
	if (number == TTYAUX_MAJOR)
		return minor(st->st_rdev) != PTMX_MINOR;
	return number == TTY_MAJOR ||
	       (number >= PTS_FIRST && number <= PTS_LAST);
}

static bool pipe_match(const struct fd_view *fd)
{
	return fd->fd >= 0 && (S_ISFIFO(fd->stat->st_mode) || is_tty(fd->stat));
}

static bool is_named(const struct fd_view *fd)
{
	return fd->link[0] == '/';
}

static bool reads(uint32_t flags)
{
	return !(flags & O_PATH) && (flags & O_ACCMODE) != O_WRONLY;
}

static void check_tty(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct refusals *no)
{
	if (open_file_stdio(ctx, fd) < 0)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "close it, or run the job without a terminal "
			     "(jobcr run --output FILE)",
			     "terminal %s, which is not standard input, output "
			     "or error",
			     fd->link);
}

/* The other end, or another opener of a fifo, is not of the job. */
static int check_external(const struct dump_ctx *ctx, const struct fd_view *fd,
			  pid_t holder, struct refusals *no, struct err *err)
{
	const char *comm = fd->task->stat->comm;
	char who[96];
	int unread = 0;

	holder_name(holder, who, sizeof(who));
	if (open_file_stdio(ctx, fd) < 0) {
		refusals_add(no, fd->task->ns_pid, comm, fd->fd,
			     "run that process inside the job, or close the "
			     "descriptor",
			     "%s %s is shared with %s outside the job",
			     is_named(fd) ? "fifo" : "pipe", fd->link, who);
		return 0;
	}
	if (reads(fd->flags) && ioctl(fd->own_fd, FIONREAD, &unread) < 0)
		return err_sys(err, "FIONREAD");
	if (unread)
		refusals_add(no, fd->task->ns_pid, comm, fd->fd,
			     "let the job read its input from a file",
			     "%d bytes of standard input from %s are not read "
			     "yet",
			     unread, who);
	return 0;
}

static int pipe_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct refusals *no, struct err *err)
{
	pid_t holder;
	int size;

	if (is_tty(fd->stat)) {
		check_tty(ctx, fd, no);
		return open_file_check(ctx, fd, no, err);
	}
	if (is_named(fd))
		fifo_check(ctx, fd, no);
	holder = holder_outside(ctx, fd);
	if (holder)
		return check_external(ctx, fd, holder, no, err);
	size = fd->flags & O_PATH ? 0 : fcntl(fd->own_fd, F_GETPIPE_SZ);
	if (size < 0)
		return err_sys(err, "F_GETPIPE_SZ");
	if ((unsigned int)size > PIPE_MAX_BYTES)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "use a smaller buffer (F_SETPIPE_SZ)",
			     "pipe with a buffer of %d bytes, more than %u",
			     size, PIPE_MAX_BYTES);
	return open_file_check(ctx, fd, no, err);
}

/* A copy of what a pipe holds, in a pipe of ours, boundaries kept. */
struct copy {
	int ends[2];
	int bytes;
};

static void copy_done(struct copy *c)
{
	cleanup_close(&c->ends[0]);
	cleanup_close(&c->ends[1]);
}

#define auto_copy __attribute__((cleanup(copy_done)))

static int copy_make(int from, int capacity, struct copy *ret, struct err *err)
{
	int there = 0;
	ssize_t n;

	if (ioctl(from, FIONREAD, &there) < 0)
		return err_sys(err, "FIONREAD");
	if (pipe2(ret->ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, "pipe");
	if (fcntl(ret->ends[1], F_SETPIPE_SZ, capacity) < 0)
		return err_sys(err, "F_SETPIPE_SZ %d", capacity);
	n = there ? tee(from, ret->ends[1], (size_t)capacity, SPLICE_F_NONBLOCK)
		  : 0;
	if (n < 0)
		return err_sys(err, "tee");
	if (n != there)
		return err_set(err, -EIO, "tee of %d bytes gave %zd", there, n);
	ret->bytes = there;
	return 0;
}

/* Buffers of a copy are looked at one by one: here, where one has room. */
struct sight {
	struct copy slot, open;
};

static void sight_done(struct sight *s)
{
	copy_done(&s->slot);
	copy_done(&s->open);
}

static int sight_make(struct sight *s, struct err *err)
{
	if (pipe2(s->slot.ends, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    pipe2(s->open.ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, "pipe");
	return fcntl(s->slot.ends[1], F_SETPIPE_SZ, 1) < 0
		       ? err_sys(err, "F_SETPIPE_SZ of a page")
		       : 0;
}

/*
 * The next buffer of a copy, of room bytes at most, and whether it is a
 * packet.  A read goes on behind it to a byte of ours unless it is one.  Behind
 * what was copied nothing is merged with it.
 */
static ssize_t read_buffer(struct sight *s, const struct copy *c,
			   uint8_t *data, size_t room, bool *ret_packet,
			   struct err *err)
{
	uint8_t byte = 0;
	ssize_t n, got;

	n = splice(c->ends[0], NULL, s->slot.ends[1], NULL, room,
		   SPLICE_F_NONBLOCK);
	if (n <= 0 ||
	    splice(s->slot.ends[0], NULL, s->open.ends[1], NULL, (size_t)n,
		   SPLICE_F_NONBLOCK) != n ||
	    write(s->open.ends[1], &byte, 1) != 1)
		return err_set(err, -EIO, "a copy cannot be taken apart");
	got = read(s->open.ends[0], data, (size_t)n + 1);
	*ret_packet = got == n;
	if (got != n + 1 && (got != n || read(s->open.ends[0], &byte, 1) != 1))
		return err_set(err, -EIO, "%zd of %zd bytes of a copy", got, n);
	return n;
}

/* Each packet is a piece, and so is what lies between two; data has room + 1. */
static int read_copy(const struct copy *c, PipeRecord *rec, struct err *err)
{
	struct sight s = { { { -1, -1 }, 0 }, { { -1, -1 }, 0 } };
	bool packet = false, stream = false;
	size_t got = 0;
	int r;

	r = sight_make(&s, err);
	while (r == 0 && got < (size_t)c->bytes) {
		ssize_t n = read_buffer(&s, c, rec->data.data + got,
					(size_t)c->bytes - got, &packet, err);

		if (n < 0) {
			r = (int)n;
			break;
		}
		if (packet || !stream) {
			if (!packet)
				rec->streams[rec->n_streams++] =
					(uint32_t)rec->n_packet_sizes;
			rec->packet_sizes[rec->n_packet_sizes++] = 0;
		}
		rec->packet_sizes[rec->n_packet_sizes - 1] += (uint32_t)n;
		stream = !packet;
		got += (size_t)n;
	}
	sight_done(&s);
	rec->data.len = got;
	return r;
}

static int put_pipe(const struct dump_ctx *ctx, int from, PipeRecord *rec,
		    struct err *err)
{
	auto_copy struct copy c = { { -1, -1 }, 0 };
	auto_free uint32_t *sizes = NULL, *streams = NULL;
	auto_free uint8_t *data = NULL;
	int r, there;

	if (ioctl(from, FIONREAD, &there) < 0)
		return err_sys(err, "FIONREAD");
	if (!there)
		return img_put(ctx->out, TAG_PIPE, &rec->base, err);
	r = copy_make(from, (int)rec->capacity, &c, err);
	if (r < 0)
		return r;
	data = malloc((size_t)c.bytes + 1);
	sizes = calloc((size_t)c.bytes + 1, sizeof(*sizes));
	streams = calloc((size_t)c.bytes + 1, sizeof(*streams));
	if (!data || !sizes || !streams)
		return err_num(err, ENOMEM, "contents of a pipe");
	rec->data.data = data;
	rec->packet_sizes = sizes;
	rec->streams = streams;
	r = read_copy(&c, rec, err);
	if (r < 0)
		return r;
	rec->has_packets = 1;
	rec->packets = rec->n_packet_sizes > rec->n_streams;
	if (!rec->packets)
		rec->n_packet_sizes = rec->n_streams = 0;
	return img_put(ctx->out, TAG_PIPE, &rec->base, err);
}

/* The pipe itself, when its first end is met. */
static int dump_pipe(const struct dump_ctx *ctx, const struct fd_view *fd,
		     uint32_t pipe, struct err *err)
{
	PipeRecord rec = PIPE_RECORD__INIT;
	auto_close int reader = -EBADF;
	char path[32];
	int r;

	/* A write end, opened once more, can read. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd->own_fd);
	reader = reads(fd->flags)
			 ? fcntl(fd->own_fd, F_DUPFD_CLOEXEC, 3)
			 : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (reader < 0)
		return err_sys(err, "open for reading");
	r = fcntl(reader, F_GETPIPE_SZ);
	if (r < 0)
		return err_sys(err, "F_GETPIPE_SZ");
	rec.pipe = pipe;
	rec.capacity = (uint32_t)r;
	r = is_named(fd) ? fifo_fill(ctx, fd, &rec, err) : 0;
	if (r < 0)
		return r;
	return put_pipe(ctx, reader, &rec, err);
}

/*
 * Does a read end wait for the first writer since it was opened?  It has had no
 * POLLHUP then.  That nobody writes now tee tells, of an empty pipe; a read
 * would, too, but take what somebody outside writes at this moment.
 */
static bool is_unheard(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	auto_copy struct copy none = { { -1, -1 }, 0 };
	auto_close int again = -EBADF;
	int there = 0;
	char path[32];

	if (poll(&p, 1, 0) != 0 || ioctl(fd, FIONREAD, &there) < 0 || there)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return again >= 0 && pipe2(none.ends, O_CLOEXEC | O_NONBLOCK) == 0 &&
	       tee(again, none.ends[1], 1, SPLICE_F_NONBLOCK) == 0;
}

static int dump_stdio(const struct dump_ctx *ctx, const struct fd_view *fd,
		      PipeEndRecord *rec, struct err *err)
{
	int number = open_file_stdio(ctx, fd);

	if (number < 0)
		return err_set(err, -ENOTSUP,
			       "%s is shared with a process "
			       "outside the job",
			       fd->link);
	rec->has_external = 1;
	rec->external = 1;
	rec->has_stdio = 1;
	rec->stdio = (uint32_t)number;
	return 0;
}

static int pipe_end_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
			 struct err *err)
{
	PipeEndRecord rec = PIPE_END_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	bool first = false;
	int r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r < 0)
		return r;
	if (is_tty(fd->stat) || holder_outside(ctx, fd))
		r = dump_stdio(ctx, fd, &rec, err);
	else
		r = object_get(ctx->objects, OBJECT_PIPE, fd->stat->st_ino,
			       fd->stat->st_dev, 0, &rec.pipe, &first, err);
	if (r == 0 && first)
		r = dump_pipe(ctx, fd, rec.pipe, err);
	if (r < 0)
		return r;
	rec.unheard = !rec.external && (fd->flags & O_ACCMODE) == O_RDONLY &&
		      is_unheard(fd->own_fd);
	rec.has_unheard = rec.unheard;
	return img_put(ctx->out, TAG_PIPE_END, &rec.base, err);
}

/* An empty pipe, by a descriptor that can read and write. */
static int make_pipe(const struct restore_ctx *ctx, struct err *err)
{
	auto_close int reader = -EBADF, writer = -EBADF;
	char path[32];
	int ends[2], fd;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, "pipe");
	reader = ends[0];
	writer = ends[1];
	/* The user must be able to open it by /dev/fd. */
	if (fchown(reader, ctx->owner->uid, ctx->owner->gid) < 0)
		return err_sys(err, "give a pipe to its user");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", reader);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open a pipe") : fd;
}

static int put_bytes(int fd, const uint8_t *data, size_t len, struct err *err)
{
	return write(fd, data, len) == (ssize_t)len
		       ? 0
		       : err_sys(err, "put %zu bytes back", len);
}

/* What is written next is not merged with what was copied. */
static int put_apart(int fd, const uint8_t *data, size_t len, struct err *err)
{
	auto_copy struct copy c = { { -1, -1 }, 0 };
	int r, capacity = fcntl(fd, F_GETPIPE_SZ);

	if (capacity < 0 || pipe2(c.ends, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    fcntl(c.ends[1], F_SETPIPE_SZ, capacity) < 0)
		return err_sys(err, "pipe");
	r = put_bytes(c.ends[1], data, len, err);
	if (r < 0)
		return r;
	return tee(c.ends[0], fd, len, SPLICE_F_NONBLOCK) == (ssize_t)len
		       ? 0
		       : err_sys(err, "put %zu bytes back", len);
}

static int fill_packets(int fd, const PipeRecord *rec, struct err *err)
{
	size_t done = 0, stream = 0;
	int r = 0;

	for (size_t i = 0; i < rec->n_packet_sizes && r == 0; i++) {
		const uint8_t *data = rec->data.data + done;
		size_t len = rec->packet_sizes[i];
		bool packet = stream == rec->n_streams ||
			      rec->streams[stream] != i;

		if (!len || len > rec->data.len - done)
			break;
		stream += !packet;
		done += len;
		if (fcntl(fd, F_SETFL, O_NONBLOCK | (packet ? O_DIRECT : 0)) <
		    0)
			return err_sys(err, "packet mode");
		r = packet || done == rec->data.len
			    ? put_bytes(fd, data, len, err)
			    : put_apart(fd, data, len, err);
	}
	if (r == 0 && (done != rec->data.len || stream != rec->n_streams))
		r = err_set(err, -EBADMSG, "packets do not add up");
	return r;
}

static int fill_pipe(int fd, const PipeRecord *rec, struct err *err)
{
	if (!rec->data.len)
		return 0;
	return rec->packets ? fill_packets(fd, rec, err)
			    : put_bytes(fd, rec->data.data, rec->data.len, err);
}

static int pipe_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			struct err *err)
{
	const PipeRecord *rec = (const PipeRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = -EBADF;
	int r;

	if (rec->capacity > PIPE_MAX_BYTES)
		return err_set(err, -EBADMSG, "buffer of %u bytes",
			       rec->capacity);
	fd = rec->has_path ? fifo_open(ctx, rec, err) : make_pipe(ctx, err);
	if (fd < 0)
		return fd;
	if (fcntl(fd, F_GETPIPE_SZ) != (int)rec->capacity &&
	    fcntl(fd, F_SETPIPE_SZ, (int)rec->capacity) < 0)
		return err_sys(err, "F_SETPIPE_SZ %u", rec->capacity);
	r = fill_pipe(fd, rec, err);
	if (r < 0)
		return r;
	return e->set_fd(e->arg, rec->pipe, take_fd(&fd), err);
}

/*
 * A terminal is one description for all three.  Where the new step has none,
 * what the job writes is more than what it reads.
 */
static int choose_stdio(const struct restore_ctx *ctx,
			const PipeEndRecord *rec)
{
	int fd = ctx->stdio[rec->stdio];
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (flags < 0 || (rec->open->flags & O_ACCMODE) != O_RDWR ||
	    (flags & O_ACCMODE) == O_RDWR || ctx->stdio[1] < 0)
		return fd;
	return ctx->stdio[1];
}

/*
 * The new step's own.  Its description may be shared with others outside the
 * job: flags are only changed in a new one.
 */
static int take_stdio(const struct restore_ctx *ctx, const PipeEndRecord *rec,
		      struct err *err)
{
	static const char *const names[] = { "input", "output", "error" };
	const int kept = O_ACCMODE | O_NONBLOCK;
	struct stat st;
	int fd, flags;

	if (rec->stdio >= ARRAY_SIZE(names))
		return err_set(err, -EBADMSG, "no standard descriptor %u",
			       rec->stdio);
	fd = choose_stdio(ctx, rec);
	if (fd < 0)
		return err_set(err, -ENOTSUP,
			       "the job had its standard %s "
			       "from the step that started it, and now there "
			       "is none",
			       names[rec->stdio]);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "standard %s", names[rec->stdio]);
	if (S_ISFIFO(st.st_mode) &&
	    (flags & O_ACCMODE) == ((int)rec->open->flags & O_ACCMODE) &&
	    (flags & kept) != ((int)rec->open->flags & kept))
		return open_file_again(fd, rec->open, err);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? err_sys(err, "duplicate standard %s", names[rec->stdio])
		      : fd;
}

/*
 * The kernel counts writers as they come, and compares when there are none: an
 * end is unheard if it was opened while nobody wrote.  So what holds the pipe
 * for us must only read from now on.
 */
static int make_unheard(int whole, const PipeEndRecord *rec, struct err *err)
{
	auto_close int fd = -EBADF;
	char path[32];
	int r;

	if ((rec->open->flags & O_ACCMODE) != O_RDONLY)
		return err_set(err, -EBADMSG, "pipe %u: an end that writes",
			       rec->pipe);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", whole);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || dup3(fd, whole, O_CLOEXEC) < 0)
		return err_sys(err, "open a pipe");
	close(take_fd(&fd));
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open a pipe");
	r = open_file_apply(fd, rec->open, err);
	return r < 0 ? r : take_fd(&fd);
}

/*
 * One that has had a writer, of a pipe with an unheard end, which hears this
 * one.  Without a writer the open would not return.
 */
static int make_heard(const struct restore_ctx *ctx, int whole,
		      const PipeEndRecord *rec, struct err *err)
{
	const struct user_id user = restore_user(ctx);
	auto_close int writer = -EBADF;
	char path[32];
	int r;

	if ((rec->open->flags & O_ACCMODE) != O_RDONLY)
		return err_set(err, -EBADMSG, "pipe %u: an end that writes",
			       rec->pipe);
	/* What the image calls a pipe may be a fifo that is only read. */
	r = as_user(&user, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", whole);
	writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	r = writer < 0 ? err_sys(err, "open a pipe") : 0;
	as_root();
	return r < 0 ? r : open_file_again(whole, rec->open, err);
}

/*
 * Ends are opened with our rights, so it must be a pipe that we made or a
 * fifo that the user could read and write.
 */
static int make_end(const struct restore_ctx *ctx, const PipeEndRecord *rec,
		    struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int whole = e->get_fd(e->arg, rec->pipe);
	struct stat st;
	int mode;

	if (whole < 0)
		return err_set(err, -EBADMSG, "pipe %u is not there",
			       rec->pipe);
	mode = fcntl(whole, F_GETFL) & (O_ACCMODE | O_PATH);
	if (fstat(whole, &st) < 0 || !S_ISFIFO(st.st_mode) ||
	    (mode != O_RDWR && mode != O_RDONLY))
		return err_set(err, -EBADMSG, "object %u is no pipe",
			       rec->pipe);
	if (rec->unheard)
		return make_unheard(whole, rec, err);
	return mode == O_RDONLY ? make_heard(ctx, whole, rec, err)
				: open_file_again(whole, rec->open, err);
}

static int pipe_end_restore(struct restore_ctx *ctx,
			    const ProtobufCMessage *msg, struct err *err)
{
	const PipeEndRecord *rec = (const PipeEndRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int fd = rec->external ? take_stdio(ctx, rec, err)
			       : make_end(ctx, rec, err);

	if (fd < 0)
		return fd;
	return e->set_fd(e->arg, rec->open->object, fd, err);
}

static int pipe_end_late(struct restore_ctx *ctx, struct restore_task *task,
			 int fd, const ProtobufCMessage *msg, struct err *err)
{
	const PipeEndRecord *rec = (const PipeEndRecord *)msg;

	if (rec->external)
		return 0;
	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_pipe = {
	.name = "pipe",
	.saved = "pipes and fifos: contents, size, ends; of removed fifos all",
	.refused = "pipes to a process outside the job, unless standard files, "
		   "locks on them",
	.changes = "O_LARGEFILE in F_GETFL of a pipe with O_ASYNC",
	.tag = TAG_PIPE,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.restore_file = pipe_restore,
};

const struct resource_ops res_pipe_end = {
	.name = "pipe",
	.tag = TAG_PIPE_END,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = pipe_match,
	.check_file = pipe_check,
	.dump_file = pipe_end_dump,
	.restore_file = pipe_end_restore,
	.late_file = pipe_end_late,
};
