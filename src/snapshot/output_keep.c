/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/limits.h"
#include "snapshot/output.h"
#include "snapshot/output_range.h"
#include "util/cleanup.h"

/*
 * Each piece is at least twice as long as the next: a new one swallows those
 * before it that would not be.  So there are few of them, and each byte is
 * copied again only when what it lies in has grown by half.
 */
static size_t find_reusable(const OutputRecord *old, uint64_t size)
{
	uint64_t bytes = 0;
	size_t n;

	for (n = 0; n < old->n_pieces; n++) {
		if (old->pieces[n]->length > size - bytes)
			break;
		bytes += old->pieces[n]->length;
	}
	while (n && old->pieces[n - 1]->length / 2 < size - bytes)
		bytes -= old->pieces[--n]->length;
	return n;
}

/* The next piece of the record, with its name, still without a digest. */
static OutputPiece *add_piece(OutputRecord *rec, const char *prefix,
			      uint64_t length, struct err *err)
{
	OutputPiece **more = reallocarray(rec->pieces, rec->n_pieces + 1,
					  sizeof(OutputPiece *));
	OutputPiece *p = more ? malloc(sizeof(*p)) : NULL;

	if (more)
		rec->pieces = more;
	if (p) {
		output_piece__init(p);
		p->length = length;
		p->digest.data = malloc(DIGEST_BYTES);
		p->digest.len = DIGEST_BYTES;
		if (asprintf(&p->name, "%s.%zu", prefix, rec->n_pieces) < 0)
			p->name = NULL;
	}
	if (!p || !p->digest.data || !p->name) {
		err_num(err, ENOMEM, "piece of output");
		if (p)
			output_piece__free_unpacked(p, NULL);
		return NULL;
	}
	rec->pieces[rec->n_pieces++] = p;
	return p;
}

static void drop_piece(OutputRecord *rec, int dir_fd)
{
	OutputPiece *p = rec->pieces[--rec->n_pieces];

	(void)unlinkat(dir_fd, p->name, 0);
	output_piece__free_unpacked(p, NULL);
}

/* The file still has it, and so has the copy as far as one can see. */
static bool link_piece(const struct output_copy *old, const OutputPiece *from,
		       int fd, uint64_t at, int dir_fd, OutputPiece *p)
{
	struct stat st;

	if (!output_same(fd, at, from->length, from->digest.data) ||
	    linkat(old->dir_fd, from->name, dir_fd, p->name, 0) < 0)
		return false;
	memcpy(p->digest.data, from->digest.data, DIGEST_BYTES);
	return fstatat(dir_fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size == from->length;
}

/* As many as can be had again; *ret_at: so many bytes. */
static int link_pieces(int fd, int dir_fd, const char *prefix,
		       const struct output_copy *old, OutputRecord *rec,
		       uint64_t *ret_at, struct err *err)
{
	size_t n = find_reusable(old->rec, rec->size), i;
	uint64_t at = 0;

	for (i = 0; i < n; i++) {
		const OutputPiece *from = old->rec->pieces[i];
		OutputPiece *p = add_piece(rec, prefix, from->length, err);

		if (!p)
			return err->code;
		if (!link_piece(old, from, fd, at, dir_fd, p)) {
			drop_piece(rec, dir_fd);
			break;
		}
		at += from->length;
	}
	*ret_at = at;
	return 0;
}

static int write_piece(int fd, uint64_t at, int dir_fd, OutputPiece *p,
		       struct err *err)
{
	auto_close int to = openat(
		dir_fd, p->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	const struct output_range range = {
		.fd = fd, .at = at, .length = p->length, .to_fd = to
	};
	int r;

	if (to < 0)
		return err_sys(err, "create");
	r = output_read(&range, p->digest.data, err);
	if (r == 0 && ftruncate(to, (off_t)p->length) < 0)
		r = err_sys(err, "set its size");
	if (r == 0 && fsync(to) < 0)
		r = err_sys(err, "fsync");
	return r;
}

int output_keep(int fd, int dir_fd, const char *prefix,
		const struct output_copy *old, OutputRecord *rec,
		struct err *err)
{
	uint64_t at = 0;
	int r = 0;

	if (old->rec)
		r = link_pieces(fd, dir_fd, prefix, old, rec, &at, err);
	if (r == 0 && at < rec->size) {
		OutputPiece *p = add_piece(rec, prefix, rec->size - at, err);

		r = p ? write_piece(fd, at, dir_fd, p, err) : err->code;
		if (r < 0 && p)
			err_wrap(err, r, "%s", p->name);
	}
	while (r < 0 && rec->n_pieces)
		drop_piece(rec, dir_fd);
	return r;
}
