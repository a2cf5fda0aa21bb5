/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/own_dir.h"
#include "util/cleanup.h"
#include "util/io.h"

#define DIR_NAME  ".writers"
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define NAME_SIZE 32
/* The first byte of a file. */
#define HELD     'h'
#define RELEASED 'r'

/* The newest term of one slot, and since when it looks like that. */
struct seen {
	uint32_t term; /* 0: none */
	uint64_t since;
	char text[SLOT_TEXT];
};

struct slots {
	int dir_fd;
	uid_t dir_uid;
	unsigned int count;
	struct seen *seen;
	uint32_t *newest; /* of the last look at the directory */
};

static void make_name(char ret[NAME_SIZE], unsigned int number, uint32_t term)
{
	snprintf(ret, NAME_SIZE, "%u.%" PRIu32, number, term);
}

/* What is not one of our names is passed over. */
static int parse_name(const char *name, unsigned int *ret_number,
		      uint32_t *ret_term)
{
	const char *dot = strchr(name, '.');
	char number[NAME_SIZE];
	uint64_t n, term;

	if (!dot || (size_t)(dot - name) >= sizeof(number))
		return -EINVAL;
	memcpy(number, name, (size_t)(dot - name));
	number[dot - name] = '\0';
	if (parse_u64(number, SLOTS_MAX - 1, &n) < 0 ||
	    parse_u64(dot + 1, UINT32_MAX - 1, &term) < 0 || !term)
		return -EINVAL;
	*ret_number = (unsigned int)n;
	*ret_term = (uint32_t)term;
	return 0;
}

int slots_open(const char *store, const char *cluster, unsigned int count,
	       struct slots **ret, struct err *err)
{
	struct slots *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!count || count > SLOTS_MAX)
		r = err_set(err, -EINVAL, "%u writers", count);
	if (s) {
		s->dir_fd = -1;
		s->count = count;
		s->seen = calloc(count, sizeof(*s->seen));
		s->newest = calloc(count, sizeof(*s->newest));
	}
	if (r == 0 && (!s || !s->seen || !s->newest))
		r = err_num(err, ENOMEM, "writers");
	if (r == 0)
		r = own_dir_open(store, cluster, DIR_NAME, &s->dir_fd,
				 &s->dir_uid, err);
	if (r < 0) {
		slots_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void slots_free(struct slots *s)
{
	if (!s)
		return;
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s->seen);
	free(s->newest);
	free(s);
}

/* The newest term of every slot; what is older than it goes. */
static int look_at_all(struct slots *s, bool tidy, struct err *err)
{
	auto_closedir DIR *dir = NULL;
	int fd = openat(s->dir_fd, ".", DIR_FLAGS);
	struct dirent *d;
	unsigned int number;
	uint32_t term;

	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		err_sys(err, DIR_NAME);
		if (fd >= 0)
			close(fd);
		return err->code;
	}
	if (!tidy)
		memset(s->newest, 0, s->count * sizeof(*s->newest));
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		if (parse_name(d->d_name, &number, &term) < 0 ||
		    number >= s->count)
			continue;
		if (tidy && term < s->newest[number])
			(void)unlinkat(s->dir_fd, d->d_name, 0);
		else if (term > s->newest[number])
			s->newest[number] = term;
	}
	return errno ? err_sys(err, DIR_NAME) : 0;
}

/* Zeroes stand for what cannot be read: it never changes. */
static void read_text(const struct slots *s, unsigned int number,
		      char ret[SLOT_TEXT])
{
	auto_close int fd = -EBADF;
	char name[NAME_SIZE];
	struct stat st;

	memset(ret, 0, SLOT_TEXT);
	make_name(name, number, s->newest[number]);
	fd = openat(s->dir_fd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    read(fd, ret, SLOT_TEXT) < 0)
		memset(ret, 0, SLOT_TEXT);
}

/* Is the newest term of it over? */
static bool is_free(struct slots *s, unsigned int number, uint64_t now)
{
	struct seen *seen = &s->seen[number];
	char text[SLOT_TEXT];

	if (!s->newest[number])
		return true;
	read_text(s, number, text);
	if (text[0] == RELEASED)
		return true;
	if (seen->term != s->newest[number] || !seen->since ||
	    memcmp(seen->text, text, sizeof(text)) != 0) {
		seen->term = s->newest[number];
		seen->since = now;
		memcpy(seen->text, text, sizeof(text));
		return false;
	}
	return now - seen->since >= SLOTS_LEASE;
}

static int write_text(const struct slot *slot, char state, struct err *err)
{
	char text[SLOT_TEXT];

	memset(text, ' ', sizeof(text));
	(void)snprintf(text, sizeof(text), "%c %" PRIu64 " %s", state,
		       slot->beats, slot->holder);
	text[strlen(text)] = ' ';
	text[sizeof(text) - 1] = '\n';
	if (pwrite(slot->fd, text, sizeof(text), 0) != sizeof(text))
		return err_sys(err, "slot %u: write", slot->number);
	/* Other nodes are to see it, now. */
	return fdatasync(slot->fd) < 0
		       ? err_sys(err, "slot %u: fdatasync", slot->number)
		       : 0;
}

static void give_up(const struct slots *s, struct slot *slot)
{
	char name[NAME_SIZE];

	make_name(name, slot->number, slot->term);
	(void)unlinkat(s->dir_fd, name, 0);
	close(slot->fd);
	slot->fd = -1;
}

/*
 * -EEXIST: another was faster.  Also when a later term is there: whoever
 * looked long ago can make the file of a term that is over and forgotten.
 */
static int begin_term(struct slots *s, unsigned int number, const char *holder,
		      struct slot *ret, struct err *err)
{
	struct slot slot = { .number = number, .term = s->newest[number] + 1 };
	char name[NAME_SIZE];
	int r;

	make_name(name, number, slot.term);
	slot.fd = openat(s->dir_fd, name,
			 O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			 0600);
	if (slot.fd < 0)
		return err_sys(err, "%s/%s: create", DIR_NAME, name);
	snprintf(slot.holder, sizeof(slot.holder), "%s", holder);
	r = own_dir_check(DIR_NAME, slot.fd, s->dir_uid, err);
	if (r == 0)
		r = write_text(&slot, HELD, err);
	if (r == 0)
		r = look_at_all(s, false, err);
	if (r == 0 && s->newest[number] != slot.term)
		r = err_set(err, -EEXIST, "slot %u: taken", number);
	if (r < 0) {
		give_up(s, &slot);
		return r;
	}
	*ret = slot;
	return 0;
}

int slots_take(struct slots *s, uint64_t now, const char *holder,
	       struct slot *ret, struct err *err)
{
	unsigned int i;
	int r = look_at_all(s, false, err);

	for (i = 0; r == 0 && i < s->count; i++) {
		if (!is_free(s, i, now))
			continue;
		r = begin_term(s, i, holder, ret, err);
		if (r == 0)
			return look_at_all(s, true, err);
		if (r == -EEXIST)
			r = look_at_all(s, false, err);
	}
	return r < 0 ? r : err_set(err, -EAGAIN, "no slot is free");
}

int slots_beat(struct slots *s, struct slot *slot, struct err *err)
{
	int r = look_at_all(s, false, err);

	if (r == 0 && s->newest[slot->number] > slot->term)
		r = err_set(err, -ESTALE, "slot %u: given to another",
			    slot->number);
	slot->beats++;
	return r < 0 ? r : write_text(slot, HELD, err);
}

void slots_release(struct slots *s, struct slot *slot)
{
	struct err unused;

	(void)s;
	(void)write_text(slot, RELEASED, &unused);
	close(slot->fd);
	slot->fd = -1;
}
