/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * roundtrip [-H] [-m MODE]... [-u USER]... [-n SNAPSHOTS] VICTIM [ARG...]
 *
 * Runs a victim (victim.h) through checkpoints and restores, as root and as
 * an ordinary user, and prints TAP.  Modes: none (undisturbed: is the victim
 * itself right?), plain (checkpoint, kill, restore), resume (checkpointed
 * twice, goes on), twice (a restored job is checkpointed and restored), node
 * (came from a node with another clock, restored under another host name), pin
 * (as plain, but all of the job is killed by others before a page was read),
 * killed (only when asked for: a checkpoint without room, many whose worker
 * is killed at any moment, then as plain; what is written is watched), cpus
 * (only when asked for: restored where the allocation is of another CPU),
 * kernel (only when asked for, and of vdso victims: came from a kernel with
 * another vDSO), kernels (the same, then back, and once more there), often
 * (only when asked for: checkpointed SNAPSHOTS times in a row, goes on),
 * incremental (only when asked for: twice a chain of snapshots each of which
 * saves what was written since the one before, with attempts between them that
 * fail at their end, the last of them restored), old
 * (only when asked for: as plain, as if the kernel were one without what
 * older.h says), old-resume (the same, as resume), old-failed (only when asked
 * for: as old, where some memory of the machine has failed), blind (only when
 * asked for: as old, and without BPF), small (as plain, with mappings looked at
 * as those of small trees are).  -H: in the test's own IPC namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "copy.h"
#include "drive.h"
#include "forge.h"
#include "older.h"
#include "snapshot/snapshot.h"
#include "tap.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "where.h"

#define NOBODY     65534
#define OWN_DIR    "/mnt" /* of private_dir victims */
#define PATIENCE   (60 * NSEC_PER_SEC)
#define CHAIN      4u
#define NODE_CLOCK (123456789 * (int64_t)NSEC_PER_SEC)

struct round {
	const char *victim, *mode, *user;
	char *argv[16];
	char dir[64]; /* of the victim: ready, go, wrong, verdict, output */
	char images[80];
	char output[80];
	struct drive_place place;
	struct drive_job *job;
	unsigned int generation, snapshots;
	char ready[512]; /* what the victim said */
};

/* The victim's file name in full, or NULL. */
static char *read_text(const struct round *r, const char *name)
{
	char path[600];
	char *text = NULL;
	FILE *f;
	size_t room = 0;

	snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	if (getdelim(&text, &room, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

static void log_text(const struct round *r, const char *name)
{
	auto_free char *text = read_text(r, name);
	char *line, *rest = NULL;

	if (!text)
		return;
	for (line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		diag("%s: %s", name, line);
}

static bool failed(const struct round *r, const char *fmt, const char *text)
{
	char what[900];

	snprintf(what, sizeof(what), fmt, text);
	ok(false, "%s as %s, %s: %s", r->victim, r->user, r->mode, what);
	log_text(r, "wrong");
	log_text(r, "output");
	return false;
}

static bool begin(struct round *r)
{
	char program[600];
	char dir_env[300];
	char *envp[] = { dir_env, (char *)"PATH=/usr/bin:/bin",
			 (char *)"LC_ALL=C", NULL };
	struct err err = { 0 };

	snprintf(r->dir, sizeof(r->dir), "/tmp/jobcr-victim.XXXXXX");
	if (!mkdtemp(r->dir) || chmod(r->dir, 0755) < 0 ||
	    chown(r->dir, r->place.uid, r->place.gid) < 0)
		return failed(r, "%s", "no temporary directory");
	snprintf(r->images, sizeof(r->images), "%s.images", r->dir);
	if (mkdir(r->images, 0755) < 0)
		return failed(r, "%s", "no directory for images");
	snprintf(r->output, sizeof(r->output), "%s/output", r->dir);
	snprintf(dir_env, sizeof(dir_env), "VICTIM_DIR=%s", r->dir);
	r->place.output = r->output;
	r->place.cwd = r->dir;
	snprintf(program, sizeof(program), "%s/%s", r->dir, r->victim);
	if (copy_program(r->argv[0], program) < 0)
		return failed(r, "%s", "the program cannot be copied");
	r->argv[0] = program;
	if (drive_start(&r->place, r->argv, envp, &r->job, &err) < 0)
		return failed(r, "not started: %s", err.text);
	return true;
}

/* Wait for the victim's first word. */
static bool await_ready(struct round *r)
{
	uint64_t deadline = clock_monotonic_ns() + PATIENCE;
	struct timespec nap = { .tv_nsec = 2000000 };
	struct err err;
	int status;

	while (clock_monotonic_ns() < deadline) {
		auto_free char *text = read_text(r, "ready");

		if (text && strchr(text, '\n')) {
			snprintf(r->ready, sizeof(r->ready), "%.*s",
				 (int)strcspn(text, "\n"), text);
			return true;
		}
		if (drive_wait(r->job, 0, &status, &err) == 0 &&
		    !read_text(r, "ready")) {
			char how[16];

			snprintf(how, sizeof(how), "%#x", (unsigned int)status);
			return failed(r,
				      "ended before it was ready, status "
				      "%s",
				      how);
		}
		nanosleep(&nap, NULL);
	}
	failed(r, "%s", "is not ready in time");
	where_are(drive_root_pid(r->job));
	return false;
}

static void log_outcome(const struct drive_outcome *o)
{
	size_t i;

	for (i = 0; i < o->refused && i < ARRAY_SIZE(o->finding); i++)
		diag("finding: %s", o->finding[i]);
}

static void image_dir(const struct round *r, char path[300])
{
	snprintf(path, 300, "%s/%u", r->images, r->generation);
}

/* Why this victim cannot be pinned; NULL: it can. */
static const char *never_pinned(const struct round *r)
{
	return strcmp(r->victim, "thread.victim") == 0 ||
			       strcmp(r->victim, "pi.victim") == 0
		       ? "has a robust mutex in shared memory"
		       : NULL;
}

/* Killed by others once it is pinned; or told why not, and then as plain. */
static bool checkpoint_pinned(struct round *r, const char *path,
			      struct drive_outcome *o)
{
	const char *why = never_pinned(r);

	if (!why)
		return drive_checkpoint_doomed(r->job, path, o) == 0 &&
		       o->checkpoint.pinned_ns && o->checkpoint.gone;
	return drive_checkpoint(r->job, path, true, o) == 0 &&
	       !o->checkpoint.pinned_ns &&
	       strstr(o->checkpoint.not_pinned, why);
}

static bool checkpoint(struct round *r, bool kill)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	char path[300];
	bool good;

	r->generation++;
	image_dir(r, path);
	if (kill && strcmp(r->mode, "pin") == 0)
		good = checkpoint_pinned(r, path, o);
	else
		good = drive_checkpoint(r->job, path, kill, o) == 0;
	if (!good) {
		failed(r, "checkpoint: %s", o->err.text);
		log_outcome(o);
	} else
		diag("%u processes (%u of them looked at quickly), "
		     "%u threads: stood still %.1f ms of %.1f "
		     "ms, pinned at %.1f ms %s; %llu KiB, %llu of them "
		     "borrowed %s",
		     o->checkpoint.tasks, o->checkpoint.quick_tasks,
		     o->checkpoint.threads,
		     (double)o->checkpoint.frozen_ns / 1e6,
		     (double)o->checkpoint.total_ns / 1e6,
		     (double)o->checkpoint.pinned_ns / 1e6,
		     o->checkpoint.not_pinned,
		     (unsigned long long)o->checkpoint.page_bytes >> 10,
		     (unsigned long long)o->checkpoint.borrowed_bytes >> 10,
		     o->checkpoint.not_borrowed);
	free(o);
	return good;
}

/* To another kernel and back, and then a restore on the same one. */
static bool forge(struct round *r, const char *path)
{
	bool slightly = r->generation == 1 && strcmp(r->mode, "kernels") == 0;
	struct err err = { 0 };

	if (strncmp(r->mode, "kernel", 6) != 0 || r->generation > 2)
		return true;
	if (forge_kernel(path, slightly, &err) == 0)
		return true;
	return failed(r, "forge: %s", err.text);
}

/* Of all kernels that the job has met, but the one it is on. */
static bool one_image(struct round *r)
{
	char count[16];

	if (strncmp(r->mode, "kernel", 6) != 0)
		return true;
	snprintf(count, sizeof(count), "%d",
		 forge_count(drive_root_pid(r->job)));
	return strcmp(count, "1") == 0
		       ? true
		       : failed(r, "%s images of a vDSO", count);
}

static bool restore(struct round *r)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	char path[300];
	bool good;

	drive_end(r->job);
	r->job = NULL;
	image_dir(r, path);
	if (!forge(r, path))
		return false;
	if (strcmp(r->mode, "node") == 0)
		r->place.hostname = "other-node";
	if (strcmp(r->mode, "cpus") == 0)
		r->place.cpus = 1 << 0;
	good = drive_restore(&r->place, path, &r->job, o) == 0;
	if (!good)
		failed(r, "restore: %s", o->err.text);
	else
		diag("restored in %.1f ms", (double)o->restart.total_ns / 1e6);
	free(o);
	return good && one_image(r);
}

/* What has a manifest must be whole. */
static bool whole_or_none(struct round *r, const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err = { 0 };

	if (fd < 0 || faccessat(fd, "manifest", F_OK, 0) < 0)
		return true;
	if (snapshot_verify(fd, NULL, VERIFY_PAGES, &err) < 0)
		return failed(r, "half a snapshot has a manifest: %s",
			      err.text);
	return true;
}

static bool whole(struct round *r)
{
	char path[300];

	image_dir(r, path);
	return whole_or_none(r, path);
}

/*
 * The worker dies in the middle of everything, as often as is needed to hit
 * most places.
 */
static bool checkpoint_dies(struct round *r, bool pin, enum engine_phase phase,
			    uint64_t delay_ns)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	char path[300];
	int result;
	bool good;

	r->generation++;
	image_dir(r, path);
	result = drive_checkpoint_killed(r->job, path, pin, phase, delay_ns, o);
	good = result == 0 || result == -ECANCELED;
	if (!good)
		failed(r, "checkpoint to be killed: %s", o->err.text);
	free(o);
	return good && whole_or_none(r, path);
}

static bool dies_everywhere(struct round *r)
{
	static const uint64_t delays[] = { 0, 300000, 1000000, 4000000 };

	for (int phase = PHASE_PREFLIGHT; phase <= PHASE_END; phase++)
		for (size_t i = 0; i < ARRAY_SIZE(delays); i++)
			if (!checkpoint_dies(r, false, (enum engine_phase)phase,
					     delays[i]))
				return false;
	for (int phase = PHASE_PIN; phase <= PHASE_PAGES; phase++)
		for (size_t i = 0; i < ARRAY_SIZE(delays); i++)
			if (!checkpoint_dies(r, true, (enum engine_phase)phase,
					     delays[i] / 4))
				return false;
	return true;
}

/* A store without room: an error that says so, and nothing is left. */
static bool no_room(struct round *r)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	char path[300], dir[320];
	int result;

	r->generation++;
	image_dir(r, path);
	snprintf(dir, sizeof(dir), "%s/small", path);
	if (mkdir(path, 0755) < 0 ||
	    mount("none", path, "tmpfs", 0, "size=64k,mode=0777") < 0)
		return failed(r, "%s", "no small file system");
	result = drive_checkpoint(r->job, dir, true, o);
	(void)umount2(path, MNT_DETACH);
	if (result != -ENOSPC)
		failed(r, "checkpoint without room: %s", o->err.text);
	free(o);
	return result == -ENOSPC;
}

static bool often(struct round *r)
{
	while (r->generation < r->snapshots)
		if (!checkpoint(r, false))
			return false;
	return true;
}

/* It has looked at all, and watches it anew, when it fails. */
static bool unpublished(struct round *r)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	char path[300];
	int result;

	r->generation++;
	image_dir(r, path);
	drive_unpublished(true);
	result = drive_checkpoint(r->job, path, false, o);
	drive_unpublished(false);
	if (result != -EIO)
		failed(r, "checkpoint not published: %s", o->err.text);
	free(o);
	return result == -EIO;
}

static bool chain(struct round *r)
{
	const struct timespec nap = { .tv_nsec = 5000000 };

	for (unsigned int i = 0; i < CHAIN; i++) {
		if (!checkpoint(r, false))
			return false;
		/* Whatever it does meanwhile, there is some of it. */
		nanosleep(&nap, NULL);
		if (i % 2 == 0 && !unpublished(r))
			return false;
		nanosleep(&nap, NULL);
	}
	return checkpoint(r, true) && whole(r) && restore(r);
}

static bool disturb(struct round *r)
{
	if (strcmp(r->mode, "none") == 0)
		return true;
	if (strcmp(r->mode, "killed") == 0 &&
	    (!no_room(r) || !dies_everywhere(r)))
		return false;
	if (strcmp(r->mode, "resume") == 0 ||
	    strcmp(r->mode, "old-resume") == 0)
		return checkpoint(r, false) && checkpoint(r, false);
	if (strcmp(r->mode, "often") == 0)
		return often(r);
	if (strcmp(r->mode, "incremental") == 0)
		return chain(r) && chain(r);
	if (!checkpoint(r, true) || !restore(r))
		return false;
	if (strcmp(r->mode, "twice") == 0)
		return checkpoint(r, true) && restore(r);
	if (strcmp(r->mode, "kernels") == 0)
		return checkpoint(r, true) && restore(r) &&
		       checkpoint(r, true) && restore(r);
	return true;
}

/* A refusal must name what the victim expects; it must not be hurt. */
static bool refused(struct round *r)
{
	const char *text = r->ready + strlen("refused ");
	struct drive_outcome *o = calloc(1, sizeof(*o));
	char path[300];
	bool named = false;
	size_t i;
	int result;

	if (strcmp(r->mode, "none") == 0)
		return true;
	r->generation++;
	image_dir(r, path);
	result = drive_checkpoint(r->job, path, false, o);
	for (i = 0; i < o->refused && i < ARRAY_SIZE(o->finding); i++)
		named |= strstr(o->finding[i], text) != NULL;
	named |= result < 0 && strstr(o->err.text, text);
	if (result == 0)
		failed(r, "not refused: %s", text);
	else if (!named) {
		failed(r, "refused, but not by the name %s", text);
		diag("error: %s", o->err.text);
		log_outcome(o);
	}
	free(o);
	return result < 0 && named;
}

static bool finish(struct round *r)
{
	auto_free char *verdict = NULL;
	struct err err = { 0 };
	char path[300];
	int fd, status = 0;

	snprintf(path, sizeof(path), "%s/go", r->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return failed(r, "%s", "cannot say go");
	close(fd);
	if (drive_wait(r->job, PATIENCE, &status, &err) < 0) {
		failed(r, "after go: %s", err.text);
		where_are(drive_root_pid(r->job));
		return false;
	}
	verdict = read_text(r, "verdict");
	if (!verdict) {
		snprintf(path, sizeof(path), "%#x", (unsigned int)status);
		return failed(r, "no verdict, status %s", path);
	}
	verdict[strcspn(verdict, "\n")] = '\0';
	if (strncmp(verdict, "pass ", 5) != 0 || status != 0)
		return failed(r, "must be true: %s", verdict + 5);
	ok(true, "%s as %s, %s: %s", r->victim, r->user, r->mode, verdict + 5);
	return true;
}

static void run(struct round *r)
{
	if (begin(r) && await_ready(r)) {
		if (strncmp(r->ready, "skip ", 5) == 0)
			skip("%s as %s, %s: %s", r->victim, r->user, r->mode,
			     r->ready + 5);
		else if (strncmp(r->ready, "refused ", 8) == 0)
			(void)(refused(r) && finish(r));
		else
			(void)(disturb(r) && finish(r));
	}
	drive_end(r->job);
	if (getenv("VICTIM_KEEP"))
		diag("kept: %s", r->dir);
	else {
		remove_tree(r->dir);
		remove_tree(r->images);
	}
}

/* As Slurm gives each job a /tmp: before it is born, and nobody else sees it.
 */
static void mount_own(void)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", OWN_DIR, "tmpfs", MS_NOSUID | MS_NODEV,
		  "mode=1777") < 0)
		_exit(126);
}

static void run_round(char **argv, const char *user, const char *mode,
		      unsigned int snapshots, bool host_ipc)
{
	static const char *const local[] = { "/tmp", NULL };
	static const char *const own[] = { OWN_DIR, NULL };
	const char *slash = strrchr(argv[0], '/');
	struct round *r = calloc(1, sizeof(*r));
	size_t i;

	if (!r)
		exit(99);
	for (i = 0; argv[i] && i < ARRAY_SIZE(r->argv) - 1; i++)
		r->argv[i] = argv[i];
	r->victim = slash ? slash + 1 : argv[0];
	r->mode = mode;
	r->user = user;
	r->snapshots = snapshots;
	r->place.host_ipc = host_ipc;
	if (strcmp(user, "root") != 0) {
		r->place.uid = NOBODY;
		r->place.gid = NOBODY;
	}
	if (strcmp(mode, "node") == 0) {
		r->place.monotonic_ahead = NODE_CLOCK;
		r->place.local = local;
	}
	if (strncmp(r->victim, "private", strlen("private")) == 0) {
		r->place.prepare = mount_own;
		r->place.local = own;
	}
	if (strcmp(mode, "cpus") == 0)
		r->place.cpus = 1 << 1;
	drive_compress(strcmp(mode, "packed") != 0 ? PACK_AUTO
		       : r->place.uid              ? PACK_ZSTD
						   : PACK_LZ4);
	drive_stripe(strcmp(mode, "packed") == 0 ||
				     strcmp(mode, "incremental") == 0
			     ? 3
			     : 1);
	drive_older(strncmp(mode, "old", 3) == 0 || strcmp(mode, "blind") == 0,
		    strcmp(mode, "blind") == 0);
	older_failed(strcmp(mode, "old-failed") == 0);
	drive_quick(strcmp(mode, "small") != 0);
	drive_watch(strcmp(mode, "incremental") == 0 ||
		    strcmp(mode, "often") == 0 || strcmp(mode, "killed") == 0);
	run(r);
	free(r);
}

/* Modes that not every victim has something to say about. */
static void add_modes(const char *victim, const char **modes, size_t m)
{
	static const char *const memory[] = {
		"cow",         "ghost",    "huge",  "many",   "layouts",
		"mapped_file", "marks",    "memfd", "merged", "rewritten",
		"shmem",       "sysv_shm", "vma"
	};
	static const char *const written[] = {
		"cow",     "layouts",   "marks",   "merged",
		"mm",      "rewritten", "seccomp", "storm",
		"threads", "untouched", "vfork",   "vma"
	};
	static const char *const old[] = { "counter", "dispatch", "epoll",
					   "eventfd", "layouts",  "mm",
					   "threads" };
	const char *name = strrchr(victim, '/') + 1;

	if (strncmp(name, "vdso", 4) == 0) {
		modes[m++] = "kernel";
		modes[m++] = "kernels";
	}
	for (size_t i = 0; i < ARRAY_SIZE(memory); i++)
		if (strncmp(name, memory[i], strlen(memory[i])) == 0) {
			modes[m++] = "packed";
			break;
		}
	for (size_t i = 0; i < ARRAY_SIZE(written); i++)
		if (strncmp(name, written[i], strlen(written[i])) == 0) {
			modes[m++] = "incremental";
			break;
		}
	if (!strncmp(name, "cow", 3) || !strncmp(name, "vma", 3))
		modes[m++] = "small";
	for (size_t i = 0; i < ARRAY_SIZE(old); i++)
		if (strlen(old[i]) == strcspn(name, ".") &&
		    strncmp(name, old[i], strlen(old[i])) == 0)
			modes[m++] = "old";
	if (strncmp(name, "eventfd.", 8) == 0)
		modes[m] = "old-resume";
}

int main(int argc, char **argv)
{
	static const char *const all_modes[] = { "none",  "plain", "resume",
						 "twice", "node",  "pin" };
	static const char *const all_users[] = { "root", "user" };
	const char *modes[12] = { 0 }, *users[4] = { 0 };
	bool host_ipc = false;
	size_t nmodes = 0, nusers = 0, m, u;
	unsigned int snapshots = 10;
	char *path;
	int c;

	while ((c = getopt(argc, argv, "+Hm:u:n:")) != -1) {
		if (c == 'm' && nmodes < ARRAY_SIZE(modes))
			modes[nmodes++] = optarg;
		else if (c == 'u' && nusers < ARRAY_SIZE(users))
			users[nusers++] = optarg;
		else if (c == 'H')
			host_ipc = true;
		else if (c == 'n')
			snapshots = (unsigned int)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind == argc)
		return 2;
	if (geteuid() != 0)
		skip_all("needs root");
	path = realpath(argv[optind], NULL);
	if (!path)
		return 2;
	argv[optind] = path;
	for (m = 0; nmodes == 0 && m < ARRAY_SIZE(all_modes); m++)
		modes[m] = all_modes[m];
	if (nmodes == 0)
		add_modes(path, modes, m);
	for (u = 0; nusers == 0 && u < ARRAY_SIZE(all_users); u++)
		users[u] = all_users[u];
	for (u = 0; u < ARRAY_SIZE(users) && users[u]; u++)
		for (m = 0; m < ARRAY_SIZE(modes) && modes[m]; m++)
			run_round(argv + optind, users[u], modes[m], snapshots,
				  host_ipc);
	return done_testing();
}
