/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/tags.h"
#include "kernel/written.h"
#include "snapshot/extents.h"
#include "snapshot/output.h"
#include "snapshot/snapshot.h"
#include "tests/lib/drive.h"
#include "tests/lib/edit.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * A real job, saved by the engine and restored from files in which a bit is
 * wrong, or an end is missing: an error that names the file, and not one
 * instruction of the job is run.  The job writes all the time, so that a
 * growing file would tell.  FLIPS=N in the environment: so many bits of each
 * file, and half as many lengths of it.  SEED=N: these bits are random ones.
 */

/* Slices that are written; and those of them before it is waited for. */
static struct waiting {
	unsigned int written, before;
} * waiting; /* shared with workers */

#define FLIPS    17
#define FEW      9 /* of a snapshot of many files */
#define OUTPUT   "test.output.0.0"
#define PATIENCE (20 * NSEC_PER_SEC)
#define PAGE     4096
#define NAMES    16
/* More than goes into one file of two, both of what is written to and not. */
#define WRITTEN (5u << 20)
#define LASTING (6u << 20)

struct damage {
	char work[64], log[80], image[80], base[80];
	struct drive_place place;
	struct drive_outcome *out;
	int image_fd;
	enum pack_policy compression;
	bool borrows; /* from base; and its files are two of each kind */
	struct meta meta;
	const PartEntry *part;
	ManifestRecord *manifest;
	struct extent_list extents;
	unsigned int tried, harmless, missed;
};

struct borrow;
bool __real_borrow_is_lost(struct borrow *b);
bool __wrap_borrow_is_lost(struct borrow *b);
bool __wrap_borrow_is_lost(struct borrow *b)
{
	if (!waiting->before)
		waiting->before = waiting->written;
	return __real_borrow_is_lost(b);
}

struct writer;
struct writer_buffer;
int __real_writer_submit(struct writer *w, uint32_t stream,
			 struct writer_buffer *buffer, size_t len,
			 uint64_t *ret_offset, struct err *err);
int __wrap_writer_submit(struct writer *w, uint32_t stream,
			 struct writer_buffer *buffer, size_t len,
			 uint64_t *ret_offset, struct err *err);
int __wrap_writer_submit(struct writer *w, uint32_t stream,
			 struct writer_buffer *buffer, size_t len,
			 uint64_t *ret_offset, struct err *err)
{
	waiting->written++;
	return __real_writer_submit(w, stream, buffer, len, ret_offset, err);
}

/* No two pages are the same, and none is empty. */
static uint8_t *fill_memory(void)
{
	const size_t size = WRITTEN + LASTING;
	uint8_t *m = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t x = 1;

	if (m == MAP_FAILED || madvise(m, size, MADV_NOHUGEPAGE) < 0)
		abort();
	for (size_t i = 0; i < size; i++) {
		x = x * 1103515245 + 12345;
		m[i] = (uint8_t)(x >> 16 | 1);
	}
	return m;
}

static int be_job(bool large)
{
	uint8_t *m = large ? fill_memory() : NULL;

	for (;;) {
		for (size_t i = 0; m && i < WRITTEN; i += PAGE)
			m[i]++;
		if (write(STDOUT_FILENO, ".", 1) != 1)
			return 1;
		usleep(1000);
	}
}

static off_t length(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : st.st_size;
}

static bool grows(const struct damage *d, uint64_t patience)
{
	uint64_t deadline = clock_monotonic_ns() + patience;
	off_t before = length(d->log);

	while (clock_monotonic_ns() < deadline) {
		if (length(d->log) > before)
			return true;
		usleep(2000);
	}
	return false;
}

static void flip_at(int dir_fd, const char *name, off_t bit)
{
	auto_close int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC);
	uint8_t byte = 0;

	if (pread(fd, &byte, 1, bit / 8) != 1)
		abort();
	byte ^= (uint8_t)(1 << bit % 8);
	if (pwrite(fd, &byte, 1, bit / 8) != 1)
		abort();
}

/* A copy of its output is put back by others, before the engine. */
static bool is_output(const char *name)
{
	return strcmp(name, OUTPUT) == 0;
}

static bool is_found(struct damage *d, const char *name)
{
	struct err err = { 0 };
	int r = snapshot_verify(d->image_fd, NULL, VERIFY_PAGES, &err);
	bool good = r < 0 && strstr(err.text, name);

	if (!good)
		diag("verify: %d %s", r, err.text);
	if (is_output(name))
		d->out->err = err;
	return good;
}

/*
 * Found and refused by the file's name, and nothing of the job has run.
 */
static bool is_refused(struct damage *d, const char *name)
{
	d->tried++;
	if (!is_found(d, name))
		return false;
	if (is_output(name))
		return true;
	struct drive_job *job = NULL;
	off_t before = length(d->log);
	int r = drive_restore(&d->place, d->image, &job, d->out);
	bool good = r < 0 && strstr(d->out->err.text, name) &&
		    length(d->log) == before;

	if (!good)
		diag("%d %s, %ld bytes more", r, d->out->err.text,
		     (long)(length(d->log) - before));
	drive_end(job);
	return good;
}

/* Of a file that is borrowed from, what nobody wants any more is not read. */
static bool is_read(const struct damage *d, const char *name, off_t from,
		    off_t to)
{
	if (!strchr(name, '@'))
		return true;
	for (size_t i = 0; i < d->extents.count; i++) {
		const Extent *x = d->extents.refs[i].extent;

		if (!strcmp(d->part->streams[x->stream]->name, name) &&
		    x->offset < (uint64_t)to &&
		    x->offset + (uint64_t)x->pages * PAGE > (uint64_t)from)
			return true;
	}
	return false;
}

/* What is not read of it does no harm. */
static bool is_right(struct damage *d, const char *name, off_t from, off_t to)
{
	struct err err = { 0 };

	if (is_read(d, name, from, to))
		return is_refused(d, name);
	d->harmless++;
	return snapshot_verify(d->image_fd, NULL, VERIFY_PAGES, &err) == 0;
}

static off_t pick_bit(off_t bits, unsigned int i, unsigned int flips)
{
	static unsigned int seed;
	const char *wanted = getenv("SEED");
	off_t part = bits / flips;

	if (!wanted || !part)
		return (bits - 1) * i / (flips - 1);
	if (!seed)
		seed = (unsigned int)atoi(wanted) + 1;
	return part * i + (off_t)((uint64_t)rand_r(&seed) * (uint64_t)part /
				  ((uint64_t)RAND_MAX + 1));
}

static void test_flips(struct damage *d, const char *name, off_t size,
		       unsigned int flips)
{
	unsigned int missed = 0, i;

	for (i = 0; i < flips; i++) {
		off_t bit = pick_bit(size * 8, i, flips);

		flip_at(d->image_fd, name, bit);
		missed += !is_right(d, name, bit / 8, bit / 8 + 1);
		flip_at(d->image_fd, name, bit);
	}
	d->missed += missed;
	ok(!missed, "%s: each of %u wrong bits is refused: %s", name, flips,
	   d->out->err.text);
}

/* All of the file, to be written again. */
static uint8_t *load(const struct damage *d, const char *name, off_t size)
{
	auto_close int fd = openat(d->image_fd, name, O_RDONLY | O_CLOEXEC);
	uint8_t *data = malloc((size_t)size);

	if (!data || pread(fd, data, (size_t)size, 0) != size)
		abort();
	return data;
}

static void test_cuts(struct damage *d, const char *name, off_t size,
		      unsigned int cuts)
{
	auto_close int fd = openat(d->image_fd, name, O_RDWR | O_CLOEXEC);
	auto_free uint8_t *data = load(d, name, size);
	unsigned int missed = 0, i;

	for (i = 0; i < cuts; i++) {
		off_t length = (size - 1) * i / (cuts - 1);

		if (ftruncate(fd, length) < 0)
			abort();
		missed += !is_refused(d, name);
		/* Its end is there again, and is empty. */
		if (ftruncate(fd, size) < 0)
			abort();
		if (data[size - 1])
			missed += !is_right(d, name, length, size);
		if (pwrite(fd, data, (size_t)size, 0) != size)
			abort();
	}
	d->missed += missed;
	ok(!missed, "%s: each of %u lengths is refused: %s", name, cuts,
	   d->out->err.text);
}

static void test_file(struct damage *d, const char *name)
{
	char path[4096];
	const char *more = getenv("FLIPS");
	unsigned int flips = more         ? (unsigned int)atoi(more)
			     : d->borrows ? FEW
					  : FLIPS;
	struct stat st;

	if (!ok(fstatat(d->image_fd, name, &st, 0) == 0 && st.st_size > 0,
		"%s is there", name))
		return;
	test_flips(d, name, st.st_size, flips);
	test_cuts(d, name, st.st_size, flips / 2);
	snprintf(path, sizeof(path), "%s/%s", d->image, name);
	renameat(d->image_fd, name, d->image_fd, "aside");
	ok(is_refused(d, name), "%s: missing: %s", name, d->out->err.text);
	renameat(d->image_fd, "aside", d->image_fd, name);
	ok(truncate(path, st.st_size + 1) == 0 && is_refused(d, name) &&
		   truncate(path, st.st_size) == 0,
	   "%s: a byte too many: %s", name, d->out->err.text);
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n >= e && !strcmp(name + n - e, end);
}

static void for_each_file(struct damage *d)
{
	static const char *const ends[] = {
		"manifest", ".meta",      ".output.0.0", ".pages.0",
		".pages.1", ".pages.0@1", ".pages.1@1",
	};
	int fd = openat(d->image_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = fdopendir(fd);
	unsigned int seen = 0;
	struct dirent *e;
	char names[NAMES][256];
	size_t n = 0, i, k;

	while (dir && (e = readdir(dir)) && n < ARRAY_SIZE(names))
		if (*e->d_name != '.')
			snprintf(names[n++], 256, "%.255s", e->d_name);
	for (i = 0; i < n; i++)
		for (k = 0; k < ARRAY_SIZE(ends); k++)
			if (ends_with(names[i], ends[k])) {
				test_file(d, names[i]);
				seen |= 1u << k;
			}
	ok(seen == (d->borrows ? 127 : 15),
	   "a manifest, a meta stream, output, %s were tried",
	   d->borrows ? "two files of pages, and two of another's" : "pages");
}

/* The snapshot gets what only Slurm's jobs have: a copy of their output. */
static void add_output(void *arg, uint32_t tag, ProtobufCMessage *msg,
		       struct edit_more *ret)
{
	(void)msg;
	if (tag == TAG_PART)
		*ret = (struct edit_more){ .tag = TAG_OUTPUT, .msg = arg };
}

static bool keep_output(struct damage *d, struct err *err)
{
	auto_close int fd = open(d->log, O_RDONLY | O_CLOEXEC);
	const struct output_copy none = { .dir_fd = -1 };
	OutputRecord rec = OUTPUT_RECORD__INIT;
	bool done;

	rec.path.data = (uint8_t *)d->log;
	rec.path.len = strlen(d->log);
	rec.size = (uint64_t)length(d->log);
	rec.mode = 0600;
	done = output_keep(fd, d->image_fd, "test.output.0", &none, &rec,
			   err) == 0 &&
	       snapshot_edit(d->image, add_output, &rec.base, err) == 0 &&
	       snapshot_verify(d->image_fd, NULL, VERIFY_PAGES, err) == 0;
	while (rec.n_pieces)
		output_piece__free_unpacked(rec.pieces[--rec.n_pieces], NULL);
	free(rec.pieces);
	return done;
}

static struct drive_job *start_job(struct damage *d, bool large)
{
	char self[4096], kind[] = "--job", more[] = "--large";
	char *argv[] = { self, large ? more : kind, NULL };
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *env[] = { NULL };
	struct drive_job *job = NULL;
	struct err err = { 0 };

	self[n > 0 ? n : 0] = '\0';
	ok(drive_start(&d->place, argv, env, &job, &err) == 0 &&
		   grows(d, PATIENCE),
	   "a job runs: %s", err.text);
	return job;
}

/* Which of its files is read where. */
static bool look_inside(struct damage *d, struct err *err)
{
	if (snapshot_manifest(d->image_fd, NULL, &d->manifest, err) < 0)
		return false;
	d->part = d->manifest->parts[0];
	return snapshot_meta(d->image_fd, NULL, d->part, &d->meta, err) == 0 &&
	       extents_collect(&d->meta, &d->extents, err) == 0;
}

static int save(struct damage *d, struct drive_job *job)
{
	int r;

	drive_watch(d->borrows);
	drive_stripe(d->borrows ? 2 : 1);
	r = d->borrows ? drive_checkpoint(job, d->base, false, d->out) : 0;
	if (r == 0 && grows(d, PATIENCE))
		r = drive_checkpoint(job, d->image, true, d->out);
	drive_watch(false);
	drive_stripe(1);
	/* But for extents at its ends. */
	if (r == 0 && d->borrows) {
		ok(d->out->checkpoint.borrowed_bytes >= LASTING / 2,
		   "what it has not written to is another's: %s",
		   d->out->checkpoint.not_borrowed);
		ok(waiting->before == waiting->written,
		   "all else is written before that is waited for: %u of %u",
		   waiting->before, waiting->written);
	}
	return r;
}

static bool save_job(struct damage *d)
{
	struct drive_job *job = start_job(d, d->borrows);
	struct err err = { 0 };
	int r;

	drive_compress(d->compression);
	r = save(d, job);
	drive_end(job);
	d->image_fd = open(d->image, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return ok(r == 0 && d->image_fd >= 0, "and is saved: %s",
		  d->out->err.text) &&
	       ok(keep_output(d, &err) && look_inside(d, &err),
		  "with its output: %s", err.text);
}

static void test_whole(struct damage *d)
{
	struct drive_job *job = NULL;

	ok(!grows(d, NSEC_PER_SEC / 20), "nothing of the job runs now");
	ok(drive_restore(&d->place, d->image, &job, d->out) == 0 &&
		   grows(d, PATIENCE),
	   "put back as it was, it is restored and goes on: %s",
	   d->out->err.text);
	drive_end(job);
}

/* In a build tree the puppet lies three folders above this program. */
static void find_puppet(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int up;

	path[n > 0 ? n : 0] = '\0';
	for (up = 0; up < 3 && strrchr(path, '/'); up++)
		*strrchr(path, '/') = '\0';
	setenv("JOBCR_LIBEXEC", path, 0);
}

static void damage_init(struct damage *d)
{
	int fd = temp_dir(d->work);

	d->image_fd = -1;
	d->out = calloc(1, sizeof(*d->out));
	if (fd < 0 || !d->out)
		exit(99);
	close(fd);
	snprintf(d->log, sizeof(d->log), "%s/log", d->work);
	snprintf(d->image, sizeof(d->image), "%s/image", d->work);
	snprintf(d->base, sizeof(d->base), "%s/base", d->work);
	d->place.cwd = d->work;
	d->place.output = d->log;
}

static void damage_done(struct damage *d)
{
	if (d->image_fd >= 0)
		close(d->image_fd);
	free(d->extents.refs);
	meta_done(&d->meta);
	if (d->manifest)
		manifest_record__free_unpacked(d->manifest, NULL);
	temp_dir_remove(d->work);
	free(d->out);
}

static void test_job(enum pack_policy compression, bool borrows)
{
	struct damage d = { .compression = compression, .borrows = borrows };

	damage_init(&d);
	if (save_job(&d)) {
		for_each_file(&d);
		test_whole(&d);
		diag("%u damages, %u not refused, %u where nothing is read",
		     d.tried, d.missed, d.harmless);
	}
	damage_done(&d);
}

/*
 * What is borrowed turns out to be damaged when the job has been killed: all
 * of it is saved of memory that is held.
 */
static void test_doomed(void)
{
	struct damage d = { .compression = PACK_NEVER, .borrows = true };
	struct checkpoint_result *c;
	struct drive_job *job;
	struct err err = { 0 };

	damage_init(&d);
	c = &d.out->checkpoint;
	job = start_job(&d, true);
	drive_watch(true);
	if (ok(drive_checkpoint(job, d.base, false, d.out) == 0,
	       "it is saved once: %s", d.out->err.text)) {
		auto_close int fd =
			open(d.base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		flip_at(fd, "test.pages.0", (WRITTEN + LASTING / 2) * 8l);
		ok(drive_checkpoint_doomed(job, d.image, d.out) == 0 && c->gone,
		   "killed, it is saved from memory: %s", d.out->err.text);
		ok(!c->borrowed_bytes && c->page_bytes >= WRITTEN + LASTING &&
			   strstr(c->not_borrowed, "generation 1 is damaged"),
		   "all of it, since %s", c->not_borrowed);
	}
	drive_watch(false);
	drive_end(job);
	d.image_fd = open(d.image, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok(snapshot_verify(d.image_fd, NULL, VERIFY_PAGES, &err) == 0,
	   "it is whole: %s", err.text);
	test_whole(&d);
	damage_done(&d);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--job"))
		return be_job(false);
	if (argc == 2 && !strcmp(argv[1], "--large"))
		return be_job(true);
	if (geteuid() != 0)
		skip_all("checkpoints need root");
	find_puppet();
	waiting = mmap(NULL, sizeof(*waiting), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (waiting == MAP_FAILED)
		return 99;
	test_job(PACK_NEVER, false);
	test_job(PACK_ZSTD, false);
	if (written_supported()) {
		test_job(PACK_NEVER, true);
		test_doomed();
	}
	return done_testing();
}
