/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Output that was written before the cut survives that somebody empties the
 * file: generation after generation of copies, at extreme sizes, with damage
 * to the copy and with strange things where the file was.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/limits.h"
#include "snapshot/output.h"
#include "snapshot/snapshot.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define MIB (1u << 20)

/* The output file, and the generation made last. */
struct rig {
	int dir; /* everything is in it */
	char path[PATH_MAX];
	unsigned int number;
	struct output_copy copy;
};

static OutputRecord *new_record(const struct rig *rig)
{
	OutputRecord *rec = calloc(1, sizeof(*rec));

	output_record__init(rec);
	rec->path.data = (uint8_t *)strdup(rig->path);
	rec->path.len = strlen(rig->path);
	rec->mode = 0640;
	return rec;
}

/* The next generation; size: so much of the file. */
static int keep(struct rig *rig, uint64_t size, struct err *err)
{
	auto_close int fd = open(rig->path, O_RDONLY | O_CLOEXEC);
	OutputRecord *rec = new_record(rig);
	char name[32];
	int dir, r;

	snprintf(name, sizeof(name), "gen%u", ++rig->number);
	mkdirat(rig->dir, name, 0700);
	dir = openat(rig->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rec->size = size;
	r = output_keep(fd, dir, "n.output.0", &rig->copy, rec, err);
	if (r < 0) {
		output_record__free_unpacked(rec, NULL);
		close(dir);
		return r;
	}
	if (rig->copy.rec) {
		output_record__free_unpacked((OutputRecord *)rig->copy.rec,
					     NULL);
		close(rig->copy.dir_fd);
	}
	rig->copy.rec = rec;
	rig->copy.dir_fd = dir;
	return 0;
}

static void rig_begin(struct rig *rig, const char *dir, const char *name)
{
	memset(rig, 0, sizeof(*rig));
	rig->copy.dir_fd = -1;
	snprintf(rig->path, sizeof(rig->path), "%s/%s", dir, name);
	mkdir(rig->path, 0700);
	rig->dir = open(rig->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(rig->path, sizeof(rig->path), "%s/%s/out", dir, name);
}

static void rig_end(struct rig *rig)
{
	if (rig->copy.rec)
		output_record__free_unpacked((OutputRecord *)rig->copy.rec,
					     NULL);
	if (rig->copy.dir_fd >= 0)
		close(rig->copy.dir_fd);
	close(rig->dir);
}

/* Bytes that differ everywhere, never all zero in a block. */
static void append(const struct rig *rig, size_t len)
{
	static uint32_t next = 1;
	auto_free uint32_t *data = malloc(len + 4);
	auto_close int fd = open(
		rig->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	size_t i;

	for (i = 0; i < len / 4 + 1; i++)
		data[i] = next++;
	if (write(fd, data, len) != (ssize_t)len)
		diag("write: %m");
}

static uint64_t size_of(const struct rig *rig)
{
	struct stat st;

	return stat(rig->path, &st) < 0 ? UINT64_MAX : (uint64_t)st.st_size;
}

static char *contents(const char *path, size_t *ret_len)
{
	auto_fclose FILE *f = fopen(path, "r");
	char *data = calloc(1, 64 * MIB);

	*ret_len = f ? fread(data, 1, 64 * MIB, f) : 0;
	return data;
}

static int put_back(const struct rig *rig, bool *ret_done, struct err *err)
{
	err->text[0] = '\0';
	return output_put_back(rig->copy.dir_fd, rig->copy.rec, ret_done, err);
}

/* Spoil the file, put it back: is it as it was at the cut? */
static bool survives(const struct rig *rig, const char *spoil, size_t len)
{
	size_t before, after;
	auto_free char *was = contents(rig->path, &before);
	auto_free char *is = NULL;
	auto_close int fd =
		open(rig->path, O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	struct err err = { 0 };
	bool done;
	int r;

	if (len && write(fd, spoil, len) != (ssize_t)len)
		return false;
	r = put_back(rig, &done, &err);
	is = contents(rig->path, &after);
	if (r < 0)
		diag("%s", err.text);
	return r == 0 && after == before && !memcmp(is, was, after);
}

static void test_sizes(const char *dir)
{
	static const size_t sizes[] = { 0,       1,   4095,    4096,       4097,
					MIB - 1, MIB, MIB + 1, 3 * MIB + 5 };
	struct err err = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		char name[16];
		struct rig rig;

		snprintf(name, sizeof(name), "size%zu", i);
		rig_begin(&rig, dir, name);
		append(&rig, sizes[i]);
		ok(keep(&rig, sizes[i], &err) == 0 && survives(&rig, "", 0) &&
			   size_of(&rig) == sizes[i],
		   "%zu bytes come back after a truncation %s", sizes[i],
		   err.text);
		rig_end(&rig);
	}
}

static nlink_t links(const struct rig *rig, size_t piece)
{
	struct stat st = { 0 };

	(void)fstatat(rig->copy.dir_fd, rig->copy.rec->pieces[piece]->name, &st,
		      0);
	return st.st_nlink;
}

static void test_growth(const char *dir)
{
	struct rig rig;
	struct err err = { 0 };
	size_t most = 0, i;
	uint64_t written = 0;
	int r = 0;

	rig_begin(&rig, dir, "growth");
	for (i = 0; i < 200 && r == 0; i++) {
		const OutputRecord *rec;

		append(&rig, 10000 + i % 7 * 1111);
		r = keep(&rig, size_of(&rig), &err);
		rec = rig.copy.rec;
		most = rec->n_pieces > most ? rec->n_pieces : most;
		written += rec->pieces[rec->n_pieces - 1]->length;
	}
	ok(r == 0 && most > 1 && most < 16,
	   "200 generations have %zu pieces at most %s", most, err.text);
	ok(written < 12 * size_of(&rig),
	   "%llu bytes were copied of %llu, not all of them each time",
	   (unsigned long long)written, (unsigned long long)size_of(&rig));
	r = keep(&rig, size_of(&rig), &err);
	ok(r == 0 && links(&rig, 0) > 1 &&
		   links(&rig, rig.copy.rec->n_pieces - 1) == 2,
	   "a generation in which nothing came to it shares all");
	ok(output_verify(rig.copy.dir_fd, rig.copy.rec, NULL, NULL, &err) ==
			   0 &&
		   survives(&rig, "", 0),
	   "and the whole comes back");
	rig_end(&rig);
}

static void test_not_appended(const char *dir)
{
	struct rig rig;
	struct err err = { 0 };
	int fd;

	rig_begin(&rig, dir, "edited");
	append(&rig, 100000);
	ok(keep(&rig, 100000, &err) == 0, "a first copy %s", err.text);
	fd = open(rig.path, O_WRONLY | O_CLOEXEC);
	ok(pwrite(fd, "edited", 6, 500) == 6, "the job writes into its begin");
	close(fd);
	append(&rig, 10);
	ok(keep(&rig, 100010, &err) == 0 && survives(&rig, "", 0),
	   "the next copy has what the file has %s", err.text);
	ok(truncate(rig.path, 7) == 0 && keep(&rig, 7, &err) == 0 &&
		   survives(&rig, "", 0),
	   "a job may shorten its output %s", err.text);
	ok(keep(&rig, 8, &err) == -ENODATA,
	   "what is not there is not promised: %s", err.text);
	rig_end(&rig);
}

static void test_hole(const char *dir)
{
	struct rig rig;
	struct err err = { 0 };
	struct stat st = { 0 };

	rig_begin(&rig, dir, "hole");
	append(&rig, 10);
	ok(truncate(rig.path, 50 * MIB) == 0, "50 MiB of nothing");
	append(&rig, 10);
	ok(keep(&rig, 50 * MIB + 10, &err) == 0 &&
		   fstatat(rig.copy.dir_fd, "n.output.0.0", &st, 0) == 0 &&
		   st.st_blocks * 512 < MIB,
	   "the copy of a hole takes no room: %lld KiB %s",
	   (long long)st.st_blocks / 2, err.text);
	ok(survives(&rig, "something else", 14), "it is a hole again");
	ok(stat(rig.path, &st) == 0 && st.st_blocks * 512 < MIB,
	   "that takes no room either");
	rig_end(&rig);
}

static void test_what_is_there(const char *dir)
{
	struct rig rig;
	struct err err = { 0 };
	struct stat st = { 0 };
	char other[PATH_MAX + 16];
	bool done = true;
	size_t len;

	rig_begin(&rig, dir, "there");
	append(&rig, 5000);
	(void)keep(&rig, 5000, &err);
	append(&rig, 5000);
	ok(put_back(&rig, &done, &err) == 0 && !done && size_of(&rig) == 10000,
	   "a file that has gone on is left as it is %s", err.text);
	ok(truncate(rig.path, 5000) == 0 && put_back(&rig, &done, &err) == 0 &&
		   !done,
	   "so is one that is as it was");
	{
		auto_free char *noise = calloc(1, 20000);

		memset(noise, 'x', 20000);
		ok(survives(&rig, noise, 20000),
		   "one that is longer and another is put back");
		ok(survives(&rig, noise, 20), "so is one that is shorter");
	}
	unlink(rig.path);
	ok(put_back(&rig, &done, &err) == 0 && done &&
		   stat(rig.path, &st) == 0 && st.st_size == 5000 &&
		   (st.st_mode & 07777) == 0640,
	   "one that was deleted is there again, with its mode %s", err.text);
	snprintf(other, sizeof(other), "%s.other", rig.path);
	ok(rename(rig.path, other) == 0 && symlink(other, rig.path) == 0 &&
		   truncate(other, 3) == 0 &&
		   put_back(&rig, &done, &err) == 0 && !done &&
		   stat(other, &st) == 0 && st.st_size == 3,
	   "nothing is written through a link %s", err.text);
	unlink(rig.path);
	ok(mkfifo(rig.path, 0600) == 0 && put_back(&rig, &done, &err) == 0 &&
		   !done,
	   "nor into a fifo");
	free(contents(other, &len));
	ok(len == 3, "and what the link led to is as it was");
	rig_end(&rig);
}

/*
 * A directory has become a link to one of the kernel's.  In a UTS namespace
 * of its own, of whose domain this is the name.
 */
static void test_kernels_file(const char *dir)
{
	struct rig rig;
	struct err err = { 0 };
	char moved[PATH_MAX + 16], before[80] = "", after[80] = "";
	bool done = true;

	if (unshare(CLONE_NEWUTS) < 0 ||
	    getdomainname(before, sizeof(before)) < 0) {
		skip("no UTS namespace of its own");
		return;
	}
	rig_begin(&rig, dir, "kernel");
	snprintf(rig.path, sizeof(rig.path), "%s/kernel/domainname", dir);
	append(&rig, 50);
	(void)keep(&rig, 50, &err);
	snprintf(moved, sizeof(moved), "%s/moved", dir);
	*strrchr(rig.path, '/') = '\0';
	ok(rename(rig.path, moved) == 0 &&
		   symlink("/proc/sys/kernel", rig.path) == 0,
	   "its directory is a link now");
	rig.path[strlen(rig.path)] = '/';
	ok(put_back(&rig, &done, &err) == 0 && !done &&
		   getdomainname(after, sizeof(after)) == 0 &&
		   !strcmp(before, after),
	   "the kernel is told nothing: \"%s\" %s", after, err.text);
	*strrchr(rig.path, '/') = '\0';
	unlink(rig.path);
	snprintf(rig.path, sizeof(rig.path), "%.200s/domainname", moved);
	rig_end(&rig);
}

static void damage(struct rig *rig, unsigned int way, char *text, size_t room)
{
	const OutputRecord *rec = rig->copy.rec;
	const char *name = rec->pieces[rec->n_pieces - 1]->name;
	int fd = openat(rig->copy.dir_fd, name, O_RDWR | O_CLOEXEC);

	switch (way) {
	case 0:
		snprintf(text, room, "a flipped byte");
		if (pwrite(fd, "\1", 1, 5) != 1)
			diag("pwrite: %m");
		break;
	case 1:
		snprintf(text, room, "a byte less");
		if (ftruncate(fd, 4999) < 0)
			diag("ftruncate: %m");
		break;
	case 2:
		snprintf(text, room, "no copy at all");
		unlinkat(rig->copy.dir_fd, name, 0);
		break;
	default:
		snprintf(text, room, "a link");
		unlinkat(rig->copy.dir_fd, name, 0);
		if (symlinkat("/etc/passwd", rig->copy.dir_fd, name) < 0)
			diag("symlink: %m");
	}
	close(fd);
}

static void test_damaged(const char *dir)
{
	unsigned int way;

	for (way = 0; way < 4; way++) {
		struct rig rig;
		struct err err = { 0 };
		char name[16], text[32];
		bool done;

		snprintf(name, sizeof(name), "damage%u", way);
		rig_begin(&rig, dir, name);
		append(&rig, 5000);
		(void)keep(&rig, 5000, &err);
		damage(&rig, way, text, sizeof(text));
		ok(output_verify(rig.copy.dir_fd, rig.copy.rec, NULL, NULL,
				 &err) == -EBADMSG,
		   "verify finds %s: %s", text, err.text);
		ok(truncate(rig.path, 3) == 0 &&
			   put_back(&rig, &done, &err) == -EBADMSG &&
			   strstr(err.text, "/out: put back: the copy of") &&
			   size_of(&rig) == 3,
		   "and nothing of it is put back: %s", err.text);
		rig_end(&rig);
	}
}

/* An unreadable piece is made again, an image is not believed. */
static void test_old_is_hostile(const char *dir)
{
	struct rig rig;
	struct err err = { 0 };
	char text[32];

	rig_begin(&rig, dir, "hostile");
	append(&rig, 5000);
	(void)keep(&rig, 5000, &err);
	damage(&rig, 3, text, sizeof(text));
	ok(keep(&rig, 5000, &err) == 0 && survives(&rig, "", 0),
	   "a piece that is %s now is copied again %s", text, err.text);
	damage(&rig, 1, text, sizeof(text));
	ok(keep(&rig, 5000, &err) == 0 && survives(&rig, "", 0),
	   "so is one with %s %s", text, err.text);
	rig_end(&rig);
}

static void test_no_room(const char *dir)
{
	const struct rlimit some = { 4 * 4096, RLIM_INFINITY };
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct rig rig;
	struct err err = { 0 };
	int r;

	rig_begin(&rig, dir, "room");
	append(&rig, 200000);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &some);
	r = keep(&rig, 200000, &err);
	setrlimit(RLIMIT_FSIZE, &all);
	ok(r == -EFBIG && faccessat(rig.dir, "gen1/n.output.0.0", F_OK, 0) < 0,
	   "a copy that finds no room leaves nothing: %s", err.text);
	rig_end(&rig);
}

/* Each field in turn is one that must not be acted on. */
static void spoil_record(OutputRecord *rec, unsigned int way)
{
	OutputPiece *p = rec->pieces[0];

	switch (way) {
	case 0:
		rec->path.data[0] = 'x';
		break;
	case 1:
		rec->path.data[3] = '\0';
		break;
	case 2:
		rec->mode = 0100644;
		break;
	case 3:
		rec->size++;
		break;
	case 4:
		rec->size--;
		break;
	case 5:
		p->length = UINT64_MAX;
		break;
	case 6:
		p->name[0] = '/';
		break;
	case 7:
		strcpy(p->name, "..");
		break;
	case 8:
		p->digest.len--;
		break;
	case 9:
		p->length = 0;
		break;
	case 10:
		rec->path.len = 0;
		break;
	default:
		rec->path.len = 1;
	}
}

static void test_records(const char *dir)
{
	unsigned int way;

	for (way = 0; way < 12; way++) {
		struct rig rig;
		struct err err = { 0 };
		bool done;
		char name[16];

		snprintf(name, sizeof(name), "record%u", way);
		rig_begin(&rig, dir, name);
		append(&rig, 5000);
		(void)keep(&rig, 5000, &err);
		spoil_record((OutputRecord *)rig.copy.rec, way);
		ok(truncate(rig.path, 0) == 0 &&
			   put_back(&rig, &done, &err) == -EBADMSG &&
			   size_of(&rig) == 0,
		   "a wrong record is refused: %s", err.text);
		rig_end(&rig);
	}
}

int main(void)
{
	char dir[64];

	temp_dir(dir);
	test_sizes(dir);
	test_growth(dir);
	test_not_appended(dir);
	test_hole(dir);
	test_what_is_there(dir);
	test_kernels_file(dir);
	test_damaged(dir);
	test_old_is_hostile(dir);
	test_no_room(dir);
	test_records(dir);
	temp_dir_remove(dir);
	return done_testing();
}
