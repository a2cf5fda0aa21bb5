/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/lease.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/catalog.h"
#include "util/cleanup.h"
#include "util/crc32c.h"
#include "util/io.h"

#define NAME_PREFIX "lease."
#define NAME_SIZE   24
#define DIGITS      10
#define LEASES_MAX  4096
/* So many of past epochs are kept, for what they say of generations. */
#define PAST_MAX 16
#define CRC_SIZE 9 /* a blank and eight digits */

static void make_name(char name[NAME_SIZE], uint32_t epoch)
{
	snprintf(name, NAME_SIZE, NAME_PREFIX "%010u", epoch);
}

/* 0: not a lease. */
static uint32_t parse_name(const char *name)
{
	uint64_t v;

	if (strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0 ||
	    strlen(name) != strlen(NAME_PREFIX) + DIGITS ||
	    parse_u64(name + strlen(NAME_PREFIX), LEASE_EPOCH_MAX, &v) < 0)
		return 0;
	return (uint32_t)v;
}

/* It becomes the name of a host to connect to. */
static bool is_plain(const char *text)
{
	if (!isalnum((unsigned char)*text))
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(".-_", *text))
			return false;
	return true;
}

int lease_identity(const char *node, struct lease *ret, struct err *err)
{
	auto_free char *boot = NULL;
	int r = read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64,
			     &boot, NULL, err);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return r;
	boot[strcspn(boot, "\n")] = '\0';
	if (strlen(node) >= sizeof(ret->node) || !is_plain(node) ||
	    strlen(boot) >= sizeof(ret->boot) || !is_plain(boot))
		return err_set(err, -EINVAL,
			       "node %.80s: not a name for a lease", node);
	strcpy(ret->node, node);
	strcpy(ret->boot, boot);
	return 0;
}

bool lease_same_place(const struct lease *a, const struct lease *b)
{
	return !strcmp(a->node, b->node) && !strcmp(a->boot, b->boot);
}

/* One line with its checksum, blanks up to the block's end. */
static void format_block(const struct lease *l, char block[LEASE_BLOCK])
{
	int n = snprintf(block, LEASE_BLOCK - CRC_SIZE - 1,
			 "jobcr-lease 1 %u %u %u %" PRIu64 " %u %s %s %s",
			 l->epoch, l->base, l->first, l->beat, l->length_ms,
			 l->released ? "released" : "held", l->node, l->boot);

	n += snprintf(block + n, CRC_SIZE + 1, " %08x",
		      crc32c(0, block, (size_t)n));
	memset(block + n, ' ', LEASE_BLOCK - (size_t)n - 1);
	block[LEASE_BLOCK - 1] = '\n';
}

static int parse_block(const char *block, size_t len, uint32_t epoch,
		       struct lease *ret)
{
	char text[LEASE_BLOCK + 1], state[16];
	struct lease l = { 0 };
	unsigned int crc;
	int at = 0;

	if (len < LEASE_BLOCK)
		return -EBADMSG;
	memcpy(text, block, LEASE_BLOCK);
	text[LEASE_BLOCK] = '\0';
	if (sscanf(text,
		   "jobcr-lease 1 %10u %10u %10u %20" SCNu64
		   " %10u %15s %63s %39s%n %8x",
		   &l.epoch, &l.base, &l.first, &l.beat, &l.length_ms, state,
		   l.node, l.boot, &at, &crc) != 9 ||
	    crc != crc32c(0, text, (size_t)at))
		return -EBADMSG;
	l.released = !strcmp(state, "released");
	if (l.epoch != epoch || !l.length_ms || l.length_ms > LEASE_MS_MAX ||
	    (!l.released && strcmp(state, "held") != 0) || !is_plain(l.node) ||
	    !is_plain(l.boot))
		return -EBADMSG;
	*ret = l;
	return 0;
}

static const char mark_ended[] = "ended\n";
static const char mark_over[] = "ended and over\n";

/*
 * Both blocks of an epoch; *ret_crc of the first as it is.  It is opened
 * anew each time: that is when a network file system asks its server.
 */
static int load(int job_fd, uint32_t epoch, struct lease *ret,
		uint32_t *ret_crc, struct err *err)
{
	auto_close int fd = -EBADF;
	char name[NAME_SIZE], data[2 * LEASE_BLOCK + 1] = "";
	const char *mark = data + LEASE_BLOCK;
	size_t len = 0;
	ssize_t n;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->epoch = epoch;
	make_name(name, epoch);
	fd = openat(job_fd, name,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, "%s", name);
	while ((n = read(fd, data + len, 2 * LEASE_BLOCK - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return err_sys(err, "%s", name);
	*ret_crc = crc32c(0, data, len < LEASE_BLOCK ? len : LEASE_BLOCK);
	r = parse_block(data, len, epoch, ret);
	ret->epoch = epoch;
	ret->ended = len > LEASE_BLOCK;
	ret->over = ret->ended && !strncmp(mark, mark_over, strlen(mark_over));
	return r < 0 ? err_set(err, r, "%s: torn, or not one of ours", name)
		     : 0;
}

static int by_epoch(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* All epochs of a job, ascending; owned by the caller. */
static int list(int job_fd, uint32_t **ret, size_t *ret_count, struct err *err)
{
	auto_free uint32_t *all = calloc(LEASES_MAX, sizeof(*all));
	auto_closedir DIR *dir = NULL;
	struct dirent *d;
	size_t count = 0;
	int r;

	if (!all)
		return err_num(err, ENOMEM, "leases");
	r = catalog_opendir(job_fd, &dir, err);
	if (r < 0)
		return r;
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		uint32_t epoch = parse_name(d->d_name);

		if (!epoch)
			continue;
		if (count == LEASES_MAX)
			return err_set(err, -E2BIG, "too many leases");
		all[count++] = epoch;
	}
	if (errno)
		return err_sys(err, "read the directory");
	qsort(all, count, sizeof(*all), by_epoch);
	*ret = take_ptr(all);
	*ret_count = count;
	return 0;
}

static int newest(int job_fd, uint32_t *ret, struct err *err)
{
	auto_free uint32_t *all = NULL;
	size_t count;
	int r = list(job_fd, &all, &count, err);

	if (r == 0)
		*ret = count ? all[count - 1] : 0;
	return r;
}

int lease_read(int job_fd, const struct user_id *user, struct lease *ret,
	       struct err *err)
{
	uint32_t epoch, crc;
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = newest(job_fd, &epoch, err);
	if (r == 0 && !epoch)
		r = err_set(err, -ENOENT, "no lease");
	if (r == 0)
		r = load(job_fd, epoch, ret, &crc, err);
	end_as(user);
	return r;
}

/* flags: O_CREAT | O_EXCL for a new one. */
static int put(int job_fd, uint32_t epoch, int flags, off_t at,
	       const void *data, size_t len, bool durable, struct err *err)
{
	char name[NAME_SIZE];
	int fd, r = 0;

	make_name(name, epoch);
	fd = openat(job_fd, name,
		    O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags,
		    0600);
	if (fd < 0)
		return err_sys(err, "%s", name);
	if (pwrite(fd, data, len, at) != (ssize_t)len)
		r = err_sys(err, "%s: write", name);
	else if (durable && fsync(fd) < 0)
		r = err_sys(err, "%s: fsync", name);
	/* A network file system may tell only here. */
	if (close(fd) < 0 && r == 0)
		r = err_sys(err, "%s: close", name);
	return r;
}

static int put_lease(int job_fd, const struct lease *l, int flags, bool durable,
		     struct err *err)
{
	char block[LEASE_BLOCK];

	format_block(l, block);
	return put(job_fd, l->epoch, flags, 0, block, sizeof(block), durable,
		   err);
}

/* -ENOENT is none: it was removed, by its owner or as long past. */
static int put_mark(int job_fd, uint32_t epoch, bool over, struct err *err)
{
	char block[LEASE_BLOCK];
	const char *text = over ? mark_over : mark_ended;
	int r;

	memset(block, ' ', sizeof(block));
	memcpy(block, text, strlen(text));
	r = put(job_fd, epoch, 0, LEASE_BLOCK, block, sizeof(block), true, err);
	return r == -ENOENT ? 0 : r;
}

/* Of all before an epoch; over: nothing of them runs. */
static int mark_before(int job_fd, uint32_t epoch, bool over, struct err *err)
{
	auto_free uint32_t *all = NULL;
	size_t count, i;
	int r = list(job_fd, &all, &count, err);

	for (i = 0; r == 0 && i < count && all[i] < epoch; i++) {
		struct lease l;
		struct err unused;
		uint32_t crc;

		(void)load(job_fd, all[i], &l, &crc, &unused);
		if (!l.over && !(l.ended && !over))
			r = put_mark(job_fd, all[i], over, err);
		if (r == 0 && over && all[i] + PAST_MAX < epoch) {
			char name[NAME_SIZE];

			make_name(name, all[i]);
			(void)unlinkat(job_fd, name, 0);
		}
	}
	return r;
}

static int take(int job_fd, bool durable, struct lease *mine, struct err *err)
{
	uint32_t last;
	int r = newest(job_fd, &last, err);

	if (r < 0)
		return r;
	if (last >= LEASE_EPOCH_MAX)
		return err_set(err, -ERANGE, "epoch %u is the last one", last);
	mine->epoch = last + 1;
	mine->beat = 1;
	mine->released = mine->ended = mine->over = false;
	r = put_lease(job_fd, mine, O_CREAT | O_EXCL, durable, err);
	if (r < 0)
		return r;
	if (durable && fsync(job_fd) < 0)
		return err_sys(err, "fsync of the job's directory");
	return last ? mark_before(job_fd, mine->epoch, false, err) : 0;
}

int lease_take(int job_fd, const struct user_id *user, bool durable,
	       struct lease *mine, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = take(job_fd, durable, mine, err);
	end_as(user);
	return r < 0 ? err_wrap(err, r, "take the lease") : 0;
}

/* Nobody has taken a later epoch, as far as can be seen from here. */
static int check(int job_fd, uint32_t epoch, struct err *err)
{
	char name[NAME_SIZE];
	struct lease l;
	uint32_t crc;
	int r = load(job_fd, epoch, &l, &crc, err);

	if (r < 0 && r != -EBADMSG)
		return r;
	make_name(name, epoch + 1);
	if (l.ended || faccessat(job_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, -EKEYREVOKED,
			       "epoch %u has ended: the job was started again",
			       epoch);
	return 0;
}

int lease_check(int job_fd, const struct user_id *user, uint32_t epoch,
		struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = check(job_fd, epoch, err);
	end_as(user);
	return r;
}

static int renew(int job_fd, struct lease *mine, bool durable, struct err *err)
{
	int r = check(job_fd, mine->epoch, err);

	if (r < 0)
		return r;
	mine->beat++;
	r = put_lease(job_fd, mine, 0, durable, err);
	/* Looked at after the beat has landed: a taker that did not see it
	 * has left its mark by then. */
	return r < 0 ? r : check(job_fd, mine->epoch, err);
}

int lease_renew(int job_fd, const struct user_id *user, struct lease *mine,
		struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = renew(job_fd, mine, false, err);
	end_as(user);
	return r;
}

int lease_release(int job_fd, const struct user_id *user, struct lease *mine,
		  struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	mine->beat++;
	mine->released = true;
	r = put_lease(job_fd, mine, 0, false, err);
	end_as(user);
	return r;
}

static int begin(int job_fd, struct lease *mine, uint32_t base, struct err *err)
{
	auto_free struct catalog_entry *all = NULL;
	size_t count;
	int r = check(job_fd, mine->epoch, err);

	if (r == 0)
		r = mark_before(job_fd, mine->epoch, true, err);
	if (r == 0)
		r = catalog_read(job_fd, &all, &count, err);
	if (r < 0)
		return r;
	mine->base = base;
	mine->first = (count ? all[count - 1].number : 0) + 1;
	return renew(job_fd, mine, true, err);
}

int lease_begin(int job_fd, const struct user_id *user, struct lease *mine,
		uint32_t base, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = begin(job_fd, mine, base, err);
	end_as(user);
	return r;
}

int lease_mark_over(int job_fd, const struct user_id *user, uint32_t epoch,
		    struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = put_mark(job_fd, epoch, true, err);
	end_as(user);
	return r;
}

void lease_remove(int job_fd, const struct user_id *user, uint32_t epoch)
{
	auto_free struct catalog_entry *generations = NULL;
	auto_free uint32_t *all = NULL;
	char name[NAME_SIZE];
	size_t count, i;
	struct err unused;

	if (begin_as(user, &unused) < 0)
		return;
	if (catalog_read(job_fd, &generations, &count, &unused) == 0 &&
	    !count && list(job_fd, &all, &count, &unused) == 0)
		for (i = 0; i < count && all[i] <= epoch; i++) {
			make_name(name, all[i]);
			(void)unlinkat(job_fd, name, 0);
		}
	end_as(user);
}

/* What all that count look like together, and how long they hold. */
static int look(int job_fd, uint32_t before, uint32_t *ret_seen,
		uint64_t *ret_ms, struct lease *ret_last, struct err *err)
{
	auto_free uint32_t *all = NULL;
	size_t count, i;
	int r = list(job_fd, &all, &count, err);

	*ret_seen = 0;
	memset(ret_last, 0, sizeof(*ret_last));
	for (i = 0; r == 0 && i < count && all[i] < before; i++) {
		uint32_t pair[2] = { all[i], 0 };
		struct lease l;
		int one = load(job_fd, all[i], &l, &pair[1], err);

		if (one < 0 && one != -EBADMSG && one != -ENOENT)
			return one;
		if (one == -ENOENT || l.over || (one == 0 && l.released))
			continue;
		*ret_seen = crc32c(*ret_seen, pair, sizeof(pair));
		if (one == 0 && l.length_ms > *ret_ms)
			*ret_ms = l.length_ms;
		*ret_last = l;
	}
	return r;
}

int lease_watch_look(int job_fd, const struct user_id *user, uint32_t before,
		     uint32_t min_ms, uint64_t (*clock)(void),
		     struct lease_watch *w, struct err *err)
{
	uint64_t start = clock(), ms = min_ms;
	struct lease last;
	uint32_t seen;
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = look(job_fd, before, &seen, &ms, &last, err);
	end_as(user);
	if (r < 0)
		return r;
	if (ms > w->length_ms)
		w->length_ms = ms;
	w->last = last;
	if (!last.epoch)
		return 1;
	if (w->since_ns && seen == w->seen)
		return start - w->since_ns >= w->length_ms * 1000000;
	w->seen = seen;
	w->since_ns = clock();
	return 0;
}

int lease_history_read(int job_fd, struct lease_history *ret, struct err *err)
{
	auto_free uint32_t *all = NULL;
	size_t count, i;
	int r = list(job_fd, &all, &count, err);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return r;
	ret->runs = calloc(count + 1, sizeof(*ret->runs));
	if (!ret->runs)
		return err_num(err, ENOMEM, "leases");
	for (i = 0; i < count; i++) {
		struct err unused;
		struct lease l;
		uint32_t crc;

		/* One that cannot be read has never let a run begin, or was
		 * spoilt by the user whose job it is. */
		if (load(job_fd, all[i], &l, &crc, &unused) < 0 || !l.first)
			continue;
		ret->runs[ret->count].base = l.base;
		ret->runs[ret->count++].first = l.first;
	}
	return 0;
}

bool lease_is_late(const struct lease_history *h, uint32_t generation)
{
	size_t i;

	for (i = 0; i < h->count; i++)
		if (h->runs[i].base < generation &&
		    generation < h->runs[i].first)
			return true;
	return false;
}

uint32_t lease_next_number(const struct lease_history *h, uint32_t number)
{
	bool again = true;

	number++;
	while (again) {
		again = false;
		for (size_t i = 0; i < h->count; i++) {
			if (h->runs[i].base >= number ||
			    number >= h->runs[i].first)
				continue;
			number = h->runs[i].first;
			again = true;
		}
	}
	return number;
}
