/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/limits.h"
#include "snapshot/output_range.h"
#include "snapshot/stream.h"
#include "util/cleanup.h"
#include "util/kernels_file.h"

#define MODE_BITS 07777u

static int check_piece(const OutputPiece *p, struct err *err)
{
	if (!stream_name_ok(p->name))
		return err_set(err, -EBADMSG, "not a name of a file");
	if (p->digest.len != DIGEST_BYTES)
		return err_set(err, -EBADMSG, "%s: no SHA-256 digest", p->name);
	if (!p->length || p->length > INT64_MAX)
		return err_set(err, -EBADMSG, "%s: length %llu", p->name,
			       (unsigned long long)p->length);
	return 0;
}

int output_check(const OutputRecord *rec, struct err *err)
{
	uint64_t left = rec->size;
	size_t i;
	int r;

	if (rec->path.len < 2 || rec->path.len > PATH_MAX_BYTES ||
	    rec->path.data[0] != '/' ||
	    memchr(rec->path.data, '\0', rec->path.len))
		return err_set(err, -EBADMSG, "not a path of a file");
	if (rec->mode > MODE_BITS || rec->size > INT64_MAX ||
	    rec->n_pieces > OUTPUT_MAX_PIECES)
		return err_set(err, -EBADMSG, "mode %o, %llu bytes, %zu pieces",
			       rec->mode, (unsigned long long)rec->size,
			       rec->n_pieces);
	for (i = 0; i < rec->n_pieces; i++) {
		r = check_piece(rec->pieces[i], err);
		if (r < 0)
			return r;
		if (rec->pieces[i]->length > left)
			return err_set(err, -EBADMSG, "%s: too long",
				       rec->pieces[i]->name);
		left -= rec->pieces[i]->length;
	}
	return left ? err_set(err, -EBADMSG, "%llu bytes are in no piece",
			      (unsigned long long)left)
		    : 0;
}

static int open_piece(int dir_fd, const OutputPiece *p, int *ret,
		      struct err *err)
{
	auto_close int fd = -EBADF;
	uint64_t length;
	int r = stream_open(dir_fd, NULL, p->name, &fd, &length, err);

	if (r == -ENOENT)
		return err_set(err, -EBADMSG, "%s: missing", p->name);
	if (r < 0)
		return r;
	if (length != p->length)
		return err_set(err, -EBADMSG,
			       "%s: has %llu bytes, its record says %llu",
			       p->name, (unsigned long long)length,
			       (unsigned long long)p->length);
	*ret = take_fd(&fd);
	return 0;
}

/* where has all but the piece itself. */
static int read_piece(int dir_fd, const OutputPiece *p,
		      const struct output_range *where, struct err *err)
{
	struct output_range range = *where;
	uint8_t sum[DIGEST_BYTES];
	int r = open_piece(dir_fd, p, &range.fd, err);

	if (r < 0)
		return r;
	range.length = p->length;
	r = output_read(&range, sum, err);
	close(range.fd);
	if (r == 0 && memcmp(sum, p->digest.data, DIGEST_BYTES) != 0)
		r = err_set(err, -EBADMSG, "its SHA-256 is wrong");
	return r < 0 ? err_wrap(err, r, "%s", p->name) : 0;
}

int output_verify(int dir_fd, const OutputRecord *rec, void (*alive)(void *arg),
		  void *arg, struct err *err)
{
	const struct output_range nowhere = { .to_fd = -1,
					      .alive = alive,
					      .arg = arg };
	size_t i;
	int r = output_check(rec, err);

	for (i = 0; i < rec->n_pieces && r == 0; i++)
		r = read_piece(dir_fd, rec->pieces[i], &nowhere, err);
	return r;
}

/* Does the file begin with what it held at the cut? */
static bool is_whole(int fd, const struct stat *st, const OutputRecord *rec)
{
	uint64_t at = 0;
	size_t i;

	if ((uint64_t)st->st_size < rec->size)
		return false;
	for (i = 0; i < rec->n_pieces; i++) {
		const OutputPiece *p = rec->pieces[i];

		if (!output_same(fd, at, p->length, p->digest.data))
			return false;
		at += p->length;
	}
	return true;
}

/* Zeros are not written: the file has none of its old bytes any more. */
static int write_back(int dir_fd, const OutputRecord *rec, int fd,
		      struct err *err)
{
	struct output_range to = { .to_fd = fd };
	size_t i;
	int r = 0;

	if (ftruncate(fd, 0) < 0)
		return err_sys(err, "empty it");
	for (i = 0; i < rec->n_pieces && r == 0; i++) {
		r = read_piece(dir_fd, rec->pieces[i], &to, err);
		to.to_at += rec->pieces[i]->length;
	}
	if (r == 0 && ftruncate(fd, (off_t)rec->size) < 0)
		r = err_sys(err, "set its size");
	return r;
}

/* Whatever lies there must neither block nor become a terminal. */
static int open_output(const char *path, int flags, mode_t mode)
{
	return open(path,
		    flags | O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
			    O_CLOEXEC,
		    mode);
}

static int put_back(int dir_fd, const OutputRecord *rec, const char *path,
		    bool *ret_done, struct err *err)
{
	auto_close int fd = open_output(path, 0, 0);
	struct stat st = { 0 };
	int r;

	/* A link, say: no output of ours.  Who opens it finds out. */
	if (fd < 0 && errno != ENOENT)
		return 0;
	if (fd >= 0 && fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if (fd >= 0 && (!S_ISREG(st.st_mode) || is_kernels_file(fd) ||
			is_whole(fd, &st, rec)))
		return 0;
	r = output_verify(dir_fd, rec, NULL, NULL, err);
	if (r < 0)
		return err_wrap(err, r, "the copy of its output");
	if (fd < 0) {
		fd = open_output(path, O_CREAT | O_EXCL, rec->mode);
		if (fd < 0)
			return err_sys(err, "create");
		/* Not less by our umask; what it is must not stop the job. */
		(void)fchmod(fd, rec->mode & 0777u);
	}
	r = write_back(dir_fd, rec, fd, err);
	*ret_done = r == 0;
	return r;
}

int output_put_back(int dir_fd, const OutputRecord *rec, bool *ret_done,
		    struct err *err)
{
	auto_free char *path = NULL;
	int r;

	*ret_done = false;
	r = output_check(rec, err);
	if (r < 0)
		return err_wrap(err, r, "record of an output file");
	path = strndup((const char *)rec->path.data, rec->path.len);
	if (!path)
		return err_num(err, ENOMEM, "path");
	r = put_back(dir_fd, rec, path, ret_done, err);
	return r < 0 ? err_wrap(err, r, "%s: put back", path) : 0;
}
