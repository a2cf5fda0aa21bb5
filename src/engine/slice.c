// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a reader thread does with a buffer.  process_vm_readv is fastest, but
 * it stops at memory that may not be read, and it pins pages: the kernel gives
 * a process copies of its own of what it shares copy-on-write before that, and
 * the job would grow, or huge pages be lacking.  There /proc/PID/mem is read,
 * which does neither.  Pinned memory may have no process any more, and its pid
 * may be another's: then only mem, opened before, is left.
 */
#include "engine/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/search.h"
#include "images/limits.h"
#include "snapshot/snapshot.h"
#include "util/cleanup.h"

#define PAGE ((size_t)IMAGE_PAGE)

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

static int read_mem(struct slice *s, uint64_t address, uint8_t *to, size_t len)
{
	auto_close int fd = openat(s->proc_fd, "mem", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_sys(&s->err, "memory of process %d", s->ns_pid);
	while (len) {
		n = pread(fd, to, len, (off_t)address);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_num(&s->err, n < 0 ? errno : EIO,
				       "memory of process %d at %#llx",
				       s->ns_pid, (unsigned long long)address);
		to += n;
		address += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Pieces from first on that can be had in one call; returns bytes read. */
static ssize_t read_some(const struct slice *s, size_t first, uint8_t *to,
			 size_t *ret_pieces)
{
	struct iovec remote[SLICE_PIECES], local = { .iov_base = to };
	size_t n = 0;

	while (first + n < s->npieces && s->pieces[first + n].readable) {
		const struct slice_piece *p = &s->pieces[first + n];

		remote[n].iov_base = (void *)p->address;
		remote[n].iov_len = p->pages * PAGE;
		local.iov_len += p->pages * PAGE;
		n++;
	}
	*ret_pieces = n;
	if (n == 0)
		return 0;
	return process_vm_readv(s->pid, &local, 1, remote, n, 0);
}

static int read_process(struct slice *s)
{
	uint8_t *to = s->buffer.data;
	size_t i = 0, n;
	ssize_t got;
	int r;

	while (i < s->npieces) {
		got = read_some(s, i, to, &n);
		if (got < 0 && errno != EFAULT)
			return err_sys(&s->err, "read process %d", s->ns_pid);
		if (got < 0)
			got = 0;
		/* Whole pieces that came; the next one is read by force. */
		for (; i < s->npieces && n &&
		       (size_t)got >= s->pieces[i].pages * PAGE;
		     n--) {
			got -= (ssize_t)(s->pieces[i].pages * PAGE);
			to += s->pieces[i].pages * PAGE;
			i++;
		}
		if (i == s->npieces || (n == 0 && s->pieces[i].readable))
			continue;
		r = read_mem(s, s->pieces[i].address, to,
			     s->pieces[i].pages * PAGE);
		if (r < 0)
			return r;
		to += s->pieces[i].pages * PAGE;
		i++;
	}
	return 0;
}

/* It was there all the time: it is still. */
static bool is_there(const struct slice *s)
{
	return faccessat(s->proc_fd, "stat", F_OK, 0) == 0;
}

static int read_held(struct slice *s)
{
	uint8_t *to = s->buffer.data;
	int r = 0;

	for (size_t i = 0; i < s->npieces && r == 0; i++) {
		size_t len = s->pieces[i].pages * PAGE;

		r = pin_read(s->pinned, s->pieces[i].address, to, len, &s->err);
		to += len;
	}
	return r;
}

static int read_pinned(struct slice *s)
{
	uint8_t *to = s->buffer.data;

	if (read_process(s) < 0 || !is_there(s))
		return read_held(s);
	for (size_t i = 0; i < s->npieces; i++) {
		size_t len = s->pieces[i].pages * PAGE;

		pin_amend(s->pinned, s->pieces[i].address, to, len);
		to += len;
	}
	return 0;
}

/* Behind its end a file reads as zeroes. */
static int read_file(struct slice *s)
{
	uint8_t *to = s->buffer.data;

	for (size_t i = 0; i < s->npieces; i++) {
		size_t len = s->pieces[i].pages * PAGE, done = 0;

		while (done < len) {
			ssize_t n = pread(s->fd, to + done, len - done,
					  (off_t)(s->pieces[i].address + done));

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return err_sys(&s->err, "read file %u",
					       s->object);
			if (n == 0)
				break;
			done += (size_t)n;
		}
		memset(to + done, 0, len - done);
		to += len;
	}
	return 0;
}

static void keep_page(struct slice *s, uint64_t address, size_t from)
{
	struct slice_extent *e =
		s->nextents ? &s->extents[s->nextents - 1] : NULL;

	if (!e || address % EXTENT_ALIGN == 0 ||
	    e->address + e->pages * PAGE != address) {
		e = &s->extents[s->nextents++];
		e->address = address;
		e->pages = 0;
		e->at = (uint32_t)s->kept;
	}
	if (s->kept != from)
		memcpy(s->buffer.data + s->kept * PAGE,
		       s->buffer.data + from * PAGE, PAGE);
	e->pages++;
	s->kept++;
}

static bool is_kept(const struct slice_piece *p, uint64_t address,
		    const uint8_t *page)
{
	return p->keep_zero || (p->huge && address % p->huge == 0) ||
	       !is_zero(page);
}

static void compact(struct slice *s)
{
	size_t from = 0;

	for (size_t i = 0; i < s->npieces; i++) {
		const struct slice_piece *p = &s->pieces[i];

		for (uint32_t n = 0; n < p->pages; n++, from++)
			if (is_kept(p, p->address + n * PAGE,
				    s->buffer.data + from * PAGE))
				keep_page(s, p->address + n * PAGE, from);
	}
	for (size_t i = 0; i < s->nextents; i++) {
		struct slice_extent *e = &s->extents[i];

		e->hash = extent_hash(s->buffer.data + e->at * PAGE,
				      e->pages * PAGE);
	}
}

static void pack_slice(struct slice *s, struct packer **packer)
{
	size_t len = s->kept * PAGE;

	s->packed = (struct packed){ CODEC_NONE, (uint32_t)len, (uint32_t)len };
	s->hash = 0;
	if (s->effort == PACK_NONE)
		return;
	if (!*packer)
		*packer = packer_new();
	if (!*packer)
		return;
	s->packed = pack_block(*packer, s->effort, s->buffer.data, len);
	if (s->packed.codec != CODEC_NONE)
		s->hash = extent_hash(s->buffer.data, s->packed.stored);
}

static uint64_t find_nodes(const struct slice *s, const struct slice_extent *e,
			   const struct nearby *n)
{
	if (s->pinned)
		return nearby_noted(n, s->pid, e->address);
	if (s->pid)
		return nearby_positions(n, s->pid, e->address, e->pages);
	return nearby_file_positions(n, s->fd, e->address, e->pages);
}

void slice_fill(struct slice *s, const struct nearby *nearby,
		struct packer **packer)
{
	s->nextents = s->kept = 0;
	if (s->pinned)
		s->result = read_pinned(s);
	else
		s->result = s->pid ? read_process(s) : read_file(s);
	if (s->result == 0) {
		compact(s);
		for (size_t i = 0; i < s->nextents; i++)
			s->extents[i].nodes =
				find_nodes(s, &s->extents[i], nearby);
		pack_slice(s, packer);
	}
}
