/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/tags.h"
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
 * file, and half as many lengths of it.
 */

#define FLIPS    17
#define OUTPUT   "test.output.0.0"
#define PATIENCE (20 * NSEC_PER_SEC)

struct damage {
	char work[64], log[80], image[80];
	struct drive_place place;
	struct drive_outcome *out;
	int image_fd;
	enum pack_policy compression;
};

static int be_job(void)
{
	for (;;) {
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

static void flip(const struct damage *d, const char *name, off_t bit)
{
	auto_close int fd = openat(d->image_fd, name, O_RDWR | O_CLOEXEC);
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

static void test_flips(struct damage *d, const char *name, off_t size,
		       unsigned int flips)
{
	unsigned int missed = 0, i;

	for (i = 0; i < flips; i++) {
		off_t bit = (size * 8 - 1) * i / (flips - 1);

		flip(d, name, bit);
		missed += !is_refused(d, name);
		flip(d, name, bit);
	}
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
			missed += !is_refused(d, name);
		if (pwrite(fd, data, (size_t)size, 0) != size)
			abort();
	}
	ok(!missed, "%s: each of %u lengths is refused: %s", name, cuts,
	   d->out->err.text);
}

static void test_file(struct damage *d, const char *name)
{
	char path[4096];
	const char *more = getenv("FLIPS");
	unsigned int flips = more ? (unsigned int)atoi(more) : FLIPS;
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

static void for_each_file(struct damage *d)
{
	static const char *const ends[] = { "manifest", ".meta", ".pages.0",
					    ".output.0.0" };
	int fd = openat(d->image_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = fdopendir(fd);
	unsigned int seen = 0;
	struct dirent *e;
	char names[8][256];
	size_t n = 0, i, k;

	while (dir && (e = readdir(dir)) && n < ARRAY_SIZE(names))
		if (*e->d_name != '.')
			snprintf(names[n++], 256, "%.255s", e->d_name);
	for (i = 0; i < n; i++)
		for (k = 0; k < ARRAY_SIZE(ends); k++)
			if (strstr(names[i], ends[k])) {
				test_file(d, names[i]);
				seen |= 1u << k;
			}
	ok(seen == 15, "a manifest, a meta stream, pages, output were tried");
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

static bool save_job(struct damage *d)
{
	char self[4096], *argv[] = { self, (char *)"--job", NULL };
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *env[] = { NULL };
	struct drive_job *job = NULL;
	struct err err = { 0 };
	int r;

	self[n > 0 ? n : 0] = '\0';
	if (!ok(drive_start(&d->place, argv, env, &job, &err) == 0 &&
			grows(d, PATIENCE),
		"a job runs: %s", err.text))
		return false;
	drive_compress(d->compression);
	r = drive_checkpoint(job, d->image, true, d->out);
	drive_end(job);
	d->image_fd = open(d->image, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return ok(r == 0 && d->image_fd >= 0, "and is saved: %s",
		  d->out->err.text) &&
	       ok(keep_output(d, &err), "with its output: %s", err.text);
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

static void test_job(enum pack_policy compression)
{
	struct damage d = { .image_fd = -1, .compression = compression };
	int fd = temp_dir(d.work);

	d.out = calloc(1, sizeof(*d.out));
	if (fd < 0 || !d.out)
		exit(99);
	close(fd);
	snprintf(d.log, sizeof(d.log), "%s/log", d.work);
	snprintf(d.image, sizeof(d.image), "%s/image", d.work);
	d.place.cwd = d.work;
	d.place.output = d.log;
	if (save_job(&d)) {
		for_each_file(&d);
		test_whole(&d);
		close(d.image_fd);
	}
	temp_dir_remove(d.work);
	free(d.out);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--job"))
		return be_job();
	if (geteuid() != 0)
		skip_all("checkpoints need root");
	find_puppet();
	test_job(PACK_NEVER);
	test_job(PACK_ZSTD);
	return done_testing();
}
