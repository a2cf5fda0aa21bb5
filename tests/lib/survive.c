/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * survive [-n ROUNDS] [-s SEED] [-w MS] [-r] PROGRAM [ARG...]
 *
 * Runs a program undisturbed, then again ROUNDS times: killed after a
 * checkpoint at a random moment, and restored; every other time that has only
 * what was written since one before it.  Its exit status and every
 * file that it leaves in its directory must be the same.  As an ordinary
 * user, or with -r as root; with -w in its first MS milliseconds.  Prints TAP.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "copy.h"
#include "drive.h"
#include "snapshot/snapshot.h"
#include "tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define NOBODY   65534
#define PATIENCE (180 * NSEC_PER_SEC)
#define TRIES    10
#define BETWEEN  (0.1 * (double)NSEC_PER_SEC)

struct run {
	char *argv[16];
	char dir[64], images[80], output[80];
	struct drive_place place;
	bool chain; /* the snapshot has what was written since another */
	struct drive_job *job;
	uint64_t started;
};

struct result {
	int status;
	uint64_t duration;
	uint8_t digest[DIGEST_BYTES];
};

static void end(struct run *r)
{
	drive_end(r->job);
	r->job = NULL;
	remove_tree(r->dir);
	remove_tree(r->images);
}

static int begin(struct run *r, char **argv, bool root, struct err *err)
{
	static char *const envp[] = {
		(char *)"PATH=/usr/bin:/bin",     (char *)"LC_ALL=C",
		(char *)"HOME=/nonexistent",      (char *)"OMP_NUM_THREADS=3",
		(char *)"OPENBLAS_NUM_THREADS=2", NULL
	};
	static const char *const local[] = { "/tmp", NULL };
	static char program[80];
	size_t i;

	memset(r, 0, sizeof(*r));
	for (i = 0; argv[i] && i < ARRAY_SIZE(r->argv) - 1; i++)
		r->argv[i] = argv[i];
	if (!root)
		r->place.uid = r->place.gid = NOBODY;
	strcpy(r->dir, "/tmp/jobcr-program.XXXXXX");
	if (!mkdtemp(r->dir) || chmod(r->dir, 0755) < 0 ||
	    chown(r->dir, r->place.uid, r->place.gid) < 0)
		return err_sys(err, "%s", r->dir);
	snprintf(r->images, sizeof(r->images), "%s.images", r->dir);
	if (mkdir(r->images, 0755) < 0)
		return err_sys(err, "%s", r->images);
	snprintf(program, sizeof(program), "%s/program", r->dir);
	if (copy_program(argv[0], program) < 0)
		return err_sys(err, "%s", argv[0]);
	r->argv[0] = program;
	snprintf(r->output, sizeof(r->output), "%s/output", r->dir);
	r->place.output = r->output;
	r->place.cwd = r->dir;
	r->place.local = local;
	r->started = clock_monotonic_ns();
	return drive_start(&r->place, r->argv, envp, &r->job, err);
}

static struct digest *walk_digest; /* nftw(3) passes nothing on */

static int digest_one(const char *path, const struct stat *st, int type,
		      struct FTW *at)
{
	char buf[65536];
	FILE *f;
	size_t n;

	(void)st;
	digest_add(walk_digest, path + at->base, strlen(path + at->base) + 1);
	if (type != FTW_F)
		return 0;
	f = fopen(path, "re");
	if (!f)
		return -1;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		digest_add(walk_digest, buf, n);
	fclose(f);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in order and contents of the files in the run's directory. */
static int digest_dir(const struct run *r, uint8_t ret[DIGEST_BYTES],
		      struct err *err)
{
	char *names[256], path[400];
	size_t count = 0, i;
	struct dirent *e;
	DIR *dir = opendir(r->dir);
	int bad = 0;

	if (!dir)
		return err_sys(err, "%s", r->dir);
	while ((e = readdir(dir)) && count < ARRAY_SIZE(names))
		if (e->d_name[0] != '.')
			names[count++] = strdup(e->d_name);
	closedir(dir);
	qsort(names, count, sizeof(names[0]), by_name);
	if (digest_new(&walk_digest, err) < 0)
		return err->code;
	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", r->dir, names[i]);
		bad |= nftw(path, digest_one, 16, FTW_PHYS);
		free(names[i]);
	}
	digest_end(walk_digest, ret);
	digest_free(walk_digest);
	return bad ? err_set(err, -EIO, "%s: cannot be read", r->dir) : 0;
}

/* What a program that failed had to say. */
static void show_output(const struct run *r)
{
	char line[256];
	FILE *f = fopen(r->output, "re");

	while (f && fgets(line, sizeof(line), f))
		diag("output: %.*s", (int)strcspn(line, "\n"), line);
	if (f)
		fclose(f);
}

static int finish(struct run *r, struct result *ret, struct err *err)
{
	int e = drive_wait(r->job, PATIENCE, &ret->status, err);

	ret->duration = clock_monotonic_ns() - r->started;
	return e < 0 ? e : digest_dir(r, ret->digest, err);
}

static void nap(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
			      .tv_nsec = (long)(ns % NSEC_PER_SEC) };

	nanosleep(&t, NULL);
}

/* Not the last one: from there on it is seen what the program writes to. */
static int checkpoint_before(struct run *r, struct drive_outcome *o)
{
	char image[100];
	int e;

	snprintf(image, sizeof(image), "%s/1", r->images);
	e = drive_checkpoint(r->job, image, false, o);
	if (e == 0)
		nap((uint64_t)(drand48() * BETWEEN));
	return e;
}

/* -EAGAIN: it had ended before. */
static int checkpoint_and_restore(struct run *r, struct err *err)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct err ignored;
	char image[100];
	size_t i;
	int status, e = r->chain ? checkpoint_before(r, o) : 0;

	snprintf(image, sizeof(image), "%s/2", r->images);
	if (e == 0)
		e = drive_checkpoint(r->job, image, true, o);
	if (e < 0 && drive_wait(r->job, 0, &status, &ignored) == 0)
		e = -EAGAIN;
	else if (e < 0)
		err_wrap(&o->err, e, "checkpoint");
	if (e == 0) {
		drive_end(r->job);
		r->job = NULL;
		e = drive_restore(&r->place, image, &r->job, o);
		if (e < 0)
			err_wrap(&o->err, e, "restore");
	}
	for (i = 0; i < o->refused && i < ARRAY_SIZE(o->finding); i++)
		diag("finding: %s", o->finding[i]);
	*err = o->err;
	free(o);
	return e;
}

static int disturbed(char **argv, bool root, bool chain, uint64_t moment,
		     const struct result *expect, struct result *ret,
		     struct err *err)
{
	struct run r;
	int e = begin(&r, argv, root, err);

	r.chain = chain;
	drive_watch(chain);
	if (e == 0) {
		nap(moment);
		e = checkpoint_and_restore(&r, err);
	}
	if (e == 0)
		e = finish(&r, ret, err);
	if (e == 0 && (ret->status != expect->status ||
		       memcmp(ret->digest, expect->digest, DIGEST_BYTES) != 0))
		show_output(&r);
	if (getenv("SURVIVE_KEEP") && e != -EAGAIN &&
	    (e < 0 || memcmp(ret->digest, expect->digest, DIGEST_BYTES)))
		diag("kept: %s", r.dir);
	else
		end(&r);
	return e;
}

static void round_once(char **argv, bool root, bool chain,
		       const struct result *expect, double within,
		       const char *name)
{
	struct result got = { 0 };
	struct err err = { 0 };
	uint64_t moment = 0;
	int try, e = -EAGAIN;

	for (try = 0; try < TRIES && e == -EAGAIN; try++) {
		/* The machine may have become faster since, and a program
		 * may be too short for two checkpoints on a busy one. */
		moment = (uint64_t)(drand48() * within / (1 + try));
		e = disturbed(argv, root, chain && try < TRIES / 2, moment,
			      expect, &got, &err);
	}
	if (e < 0) {
		ok(false, "%s, stopped after %.3f s: %s", name,
		   (double)moment / 1e9,
		   e == -EAGAIN ? "it always ends too early" : err.text);
		return;
	}
	if (got.status != expect->status)
		diag("wait status %#x", (unsigned int)got.status);
	ok(got.status == expect->status &&
		   !memcmp(got.digest, expect->digest, DIGEST_BYTES),
	   "%s, killed after %.3f of %.3f s and restored, ends the same", name,
	   (double)moment / 1e9, (double)expect->duration / 1e9);
}

static bool undisturbed(char **argv, bool root, struct result *ret,
			const char *name)
{
	struct err err = { 0 };
	struct run r;
	int e = begin(&r, argv, root, &err);

	if (e == 0)
		e = finish(&r, ret, &err);
	if (e == 0 && ret->status != 0) {
		show_output(&r);
		e = err_set(&err, -ECHILD, "status %#x",
			    (unsigned int)ret->status);
	}
	end(&r);
	return ok(e == 0, "%s ends by itself: %s", name,
		  e < 0 ? err.text : "yes");
}

/* Build tree: the puppet lies two folders above this program. */
static void find_puppet(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int up;

	if (n < 0 || getenv("JOBCR_LIBEXEC"))
		return;
	path[n] = '\0';
	for (up = 0; up < 3; up++) {
		char *slash = strrchr(path, '/');

		if (slash)
			*slash = '\0';
	}
	setenv("JOBCR_LIBEXEC", path, 1);
}

int main(int argc, char **argv)
{
	struct result expect = { 0 };
	long rounds = 2, seed = (long)time(NULL) ^ getpid();
	const char *name;
	double within = 0;
	bool root = false;
	int c;

	/* What is said of a point stands beside it in a log. */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "+n:s:w:r")) != -1) {
		if (c == 'n')
			rounds = strtol(optarg, NULL, 10);
		else if (c == 's')
			seed = strtol(optarg, NULL, 10);
		else if (c == 'w')
			within = strtod(optarg, NULL) * 1e6;
		else if (c == 'r')
			root = true;
		else
			return 2;
	}
	if (optind == argc)
		return 2;
	if (geteuid() != 0)
		skip_all("needs root");
	find_puppet();
	diag("seed %ld", seed);
	srand48(seed);
	name = strrchr(argv[optind], '/');
	name = name ? name + 1 : argv[optind];
	/* The first run also fetches it from the disk: its time is not taken.
	 */
	if (undisturbed(argv + optind, root, &expect, name) &&
	    undisturbed(argv + optind, root, &expect, name))
		while (rounds-- > 0)
			round_once(argv + optind, root, rounds % 2, &expect,
				   within ? within
					  : 0.95 * (double)expect.duration,
				   name);
	return done_testing();
}
