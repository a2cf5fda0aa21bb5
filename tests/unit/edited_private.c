// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Edited images of a job with a directory of its own: what is made there is
 * made below it, with the rights of its user, and is gone again where the
 * restore fails.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/edit.h"
#include "../lib/edited.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/tags.h"
#include "util/cleanup.h"

#define OWN "/mnt"

static char dir[64]; /* of the test; the job's are below it */

/* One on the disk, so that it can be looked at when the job is gone. */
static void mount_own(void)
{
	char own[100];

	snprintf(own, sizeof(own), "%s/own.XXXXXX", dir);
	if (!mkdtemp(own) || chmod(own, 01777) < 0 ||
	    unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(own, OWN, NULL, MS_BIND, NULL) < 0)
		_exit(126);
}

static int job(void)
{
	int theirs = open(OWN "/theirs/mine", O_WRONLY | O_CREAT, 0600);
	int fd = open(OWN "/file", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || write(fd, "text", 4) != 4 ||
	    link(OWN "/file", OWN "/name") < 0 || mkdir(OWN "/dir", 0700) < 0 ||
	    mkfifo(OWN "/dir/fifo", 0600) < 0 ||
	    symlink("file", OWN "/link") < 0)
		return 1;
	close(fd);
	if (theirs >= 0 && (write(theirs, "mine", 4) != 4 || close(theirs) < 0))
		return 1;
	if (access(OWN "/watch", F_OK) == 0 &&
	    inotify_add_watch(inotify_init1(0), OWN "/dir", IN_OPEN) < 0)
		return 1;
	if (puts("ready") < 0 || fflush(stdout) != 0)
		return 1;
	for (;;)
		pause();
}

/* ---- entries ---- */

static void set_bytes(ProtobufCBinaryData *data, const char *to, size_t len)
{
	free(data->data);
	data->data = malloc(len + 1);
	memcpy(data->data, to, len);
	data->len = len;
}

static void set_path(ProtobufCMessage *msg, const char *to)
{
	set_bytes(&((PrivateEntryRecord *)msg)->path, to, strlen(to));
}

static bool is_kind(const ProtobufCMessage *msg, PrivateEntryRecord__Kind kind)
{
	return ((const PrivateEntryRecord *)msg)->kind == kind;
}

static bool is_file(const ProtobufCMessage *msg)
{
	return is_kind(msg, PRIVATE_ENTRY_RECORD__KIND__REGULAR);
}

static bool is_fifo(const ProtobufCMessage *msg)
{
	return is_kind(msg, PRIVATE_ENTRY_RECORD__KIND__FIFO);
}

static bool is_link(const ProtobufCMessage *msg)
{
	return is_kind(msg, PRIVATE_ENTRY_RECORD__KIND__LINK);
}

static bool is_end(const ProtobufCMessage *msg)
{
	return is_kind(msg, PRIVATE_ENTRY_RECORD__KIND__DIRECTORY_END);
}

static void above(ProtobufCMessage *msg)
{
	set_path(msg, "..");
}

static void above_below(ProtobufCMessage *msg)
{
	set_path(msg, "dir/../../etc/jobcr-edited");
}

static void absolute(ProtobufCMessage *msg)
{
	set_path(msg, "/etc/jobcr-edited");
}

static void itself(ProtobufCMessage *msg)
{
	set_path(msg, "./fifo");
}

static void empty(ProtobufCMessage *msg)
{
	set_path(msg, "");
}

static void two_slashes(ProtobufCMessage *msg)
{
	set_path(msg, "dir//fifo");
}

static void slash_behind(ProtobufCMessage *msg)
{
	set_path(msg, "dir/");
}

static void with_nul(ProtobufCMessage *msg)
{
	set_bytes(&((PrivateEntryRecord *)msg)->path, "dir\0/x", 6);
}

static void long_name(ProtobufCMessage *msg)
{
	char name[PRIVATE_NAME_BYTES + 2];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	set_path(msg, name);
}

static void deep(ProtobufCMessage *msg)
{
	char path[2 * (PRIVATE_MAX_DEPTH + 3)];

	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i % 2 ? '/' : 'a';
	path[sizeof(path) - 1] = '\0';
	set_path(msg, path);
}

static void long_path(ProtobufCMessage *msg)
{
	char *path = malloc(PATH_MAX_BYTES + 2);

	memset(path, 'a', PATH_MAX_BYTES + 1);
	path[PATH_MAX_BYTES + 1] = '\0';
	set_path(msg, path);
	free(path);
}

static void nowhere(ProtobufCMessage *msg)
{
	set_path(msg, "no/such");
}

static void device(ProtobufCMessage *msg)
{
	((PrivateEntryRecord *)msg)->mode = S_IFCHR | 0666;
}

static void no_kind(ProtobufCMessage *msg)
{
	((PrivateEntryRecord *)msg)->kind = 77;
}

static void other_directory(ProtobufCMessage *msg)
{
	((PrivateEntryRecord *)msg)->directory = 100000;
}

static void own_directory(ProtobufCMessage *msg)
{
	PrivateEntryRecord *rec = (PrivateEntryRecord *)msg;

	rec->directory = rec->object;
}

static void other_contents(ProtobufCMessage *msg)
{
	((PrivateEntryRecord *)msg)->object = 100000;
}

static void fifo_of_contents(ProtobufCMessage *msg)
{
	PrivateEntryRecord *rec = (PrivateEntryRecord *)msg;

	rec->object = rec->directory;
}

static void roots_group(ProtobufCMessage *msg)
{
	((PrivateEntryRecord *)msg)->gid = 0;
}

static void set_target(ProtobufCMessage *msg, const char *to, size_t len)
{
	set_bytes(&((PrivateEntryRecord *)msg)->target, to, len);
}

static void no_target(ProtobufCMessage *msg)
{
	set_target(msg, "", 0);
}

static void target_with_nul(ProtobufCMessage *msg)
{
	set_target(msg, "a\0b", 3);
}

static void target_outside(ProtobufCMessage *msg)
{
	set_target(msg, "/etc/shadow", 11);
}

static ProtobufCMessage *behind_link(pid_t pid, ProtobufCMessage *msg)
{
	static PrivateEntryRecord rec;
	const PrivateEntryRecord *link = (PrivateEntryRecord *)msg;

	private_entry_record__init(&rec);
	rec.object = 100000;
	rec.directory = link->directory;
	rec.kind = PRIVATE_ENTRY_RECORD__KIND__FIFO;
	rec.mode = 0600;
	rec.path.data = (uint8_t *)"link/jobcr-edited";
	rec.path.len = strlen("link/jobcr-edited");
	return &rec.base;
}

static void to_tmp(ProtobufCMessage *msg)
{
	set_target(msg, "/tmp", 4);
}

static void add_attribute(ProtobufCMessage *msg, const char *name)
{
	PrivateEntryRecord *rec = (PrivateEntryRecord *)msg;
	PrivateAttribute *a = calloc(1, sizeof(*a));

	private_attribute__init(a);
	a->name = strdup(name);
	a->value.data = calloc(1, 20);
	a->value.len = 20;
	rec->attributes = calloc(1, sizeof(a));
	rec->attributes[0] = a;
	rec->n_attributes = 1;
}

static void capability(ProtobufCMessage *msg)
{
	add_attribute(msg, "security.capability");
}

static void trusted(ProtobufCMessage *msg)
{
	add_attribute(msg, "trusted.jobcr.origin");
}

static void bad_list(ProtobufCMessage *msg)
{
	add_attribute(msg, "system.posix_acl_access");
}

/* ---- contents, and where all is ---- */

static void is_huge(ProtobufCMessage *msg)
{
	((GhostRecord *)msg)->size = 1ull << 62;
}

static void is_negative(ProtobufCMessage *msg)
{
	((GhostRecord *)msg)->size = ~0ull;
}

static void is_short(ProtobufCMessage *msg)
{
	((GhostRecord *)msg)->size = 1;
}

static void is_roots(ProtobufCMessage *msg)
{
	((GhostRecord *)msg)->uid = 0;
}

static void is_public(ProtobufCMessage *msg)
{
	((GhostRecord *)msg)->in_private = 0;
}

static void no_origin(ProtobufCMessage *msg)
{
	GhostRecord *rec = (GhostRecord *)msg;

	free(rec->origin);
	rec->origin = NULL;
}

static void huge_pages(ProtobufCMessage *msg)
{
	((GhostRecord *)msg)->has_page_size = 1;
	((GhostRecord *)msg)->page_size = 2 << 20;
}

static void is_without(ProtobufCMessage *msg)
{
	GhostRecord *rec = (GhostRecord *)msg;

	free(rec->data.data);
	rec->data.data = NULL;
	rec->data.len = 0;
	rec->has_data = 0;
}

static void set_dir(ProtobufCMessage *msg, const char *to, size_t len)
{
	set_bytes(&((PrivateDirRecord *)msg)->path, to, len);
}

static void in_etc(ProtobufCMessage *msg)
{
	set_dir(msg, "/etc", 4);
}

static void in_root(ProtobufCMessage *msg)
{
	set_dir(msg, "/", 1);
}

static void in_proc(ProtobufCMessage *msg)
{
	set_dir(msg, "/proc", 5);
}

static void relative(ProtobufCMessage *msg)
{
	set_dir(msg, "mnt", 3);
}

static void dir_with_nul(ProtobufCMessage *msg)
{
	set_dir(msg, "/mnt\0x", 6);
}

#define ENTRY(what, fn, suits, error)                                          \
	{                                                                      \
		what, TAG_PRIVATE_ENTRY, fn, error, suits, 0, NULL             \
	}
#define GHOST(what, fn, error)                                                 \
	{                                                                      \
		what, TAG_GHOST, fn, error, NULL, 0, NULL                      \
	}
#define PLACE(what, fn, error)                                                 \
	{                                                                      \
		what, TAG_PRIVATE_DIR, fn, error, NULL, 0, NULL                \
	}

static const struct edited_case cases[] = {
	ENTRY("a fifo above", above, is_fifo, "is no path"),
	ENTRY("one by way of a directory", above_below, is_fifo, "is no path"),
	ENTRY("an absolute path", absolute, is_fifo, "is no path"),
	ENTRY("a path by way of itself", itself, is_fifo, "is no path"),
	ENTRY("no path", empty, is_fifo, "is no path"),
	ENTRY("a path with two slashes", two_slashes, is_fifo, "is no path"),
	ENTRY("a path that ends with one", slash_behind, is_file, "is no path"),
	ENTRY("a path with a NUL", with_nul, is_file, "is no path"),
	ENTRY("a long name", long_name, is_file, "is no path"),
	ENTRY("a long path", long_path, is_file, "is no path"),
	ENTRY("a deep path", deep, is_fifo, "is no path"),
	ENTRY("a directory that is not there", nowhere, is_fifo,
	      "its directory is not there"),
	ENTRY("a device", device, is_fifo, "no permissions"),
	ENTRY("a thing of no kind", no_kind, is_fifo, "no kind"),
	ENTRY("a file in no directory", other_directory, is_file,
	      "is in no directory"),
	ENTRY("a directory in itself", own_directory, is_fifo,
	      "is in no directory"),
	ENTRY("a file without contents", other_contents, is_file,
	      "has no contents"),
	ENTRY("a fifo with another's number", fifo_of_contents, is_fifo,
	      "is open already"),
	ENTRY("a fifo of root's group", roots_group, is_fifo, "group 0"),
	ENTRY("a link to nothing", no_target, is_link, "link to nothing"),
	ENTRY("a link with a NUL", target_with_nul, is_link, "link to nothing"),
	ENTRY("a link that leads out", target_outside, is_link, NULL),
	{ "a fifo behind a link", TAG_PRIVATE_ENTRY, to_tmp, "symbolic links",
	  is_link, TAG_PRIVATE_ENTRY, behind_link },
	ENTRY("a capability", capability, is_file, "attribute"),
	ENTRY("a directory's origin", trusted, is_end, "attribute"),
	ENTRY("a list of nobody's rights", bad_list, is_file, "attribute"),
	GHOST("a file of an exabyte", is_huge, "bytes"),
	GHOST("a file of less than nothing", is_negative, "bytes"),
	GHOST("a file of fewer bytes than it has", is_short, "has 4 of 1"),
	GHOST("a file that has none of its bytes", is_without, NULL),
	GHOST("a file of root's", is_roots, "belonged to user 0"),
	GHOST("contents that are not in it", is_public, "has no contents"),
	GHOST("contents without an origin", no_origin, "has no contents"),
	GHOST("contents of huge pages", huge_pages, "do not fit"),
	PLACE("all of it in /etc", in_etc, "here it is not"),
	PLACE("all of it in /", in_root, "here it is not"),
	PLACE("all of it in /proc", in_proc, ""),
	PLACE("a relative place", relative, "is no path"),
	PLACE("a place with a NUL", dir_with_nul, "is no path"),
};

static unsigned int count_full(void)
{
	DIR *all = opendir(dir);
	unsigned int n = 0;
	struct dirent *d;

	while (all && (d = readdir(all)))
		if (!strncmp(d->d_name, "own.", 4) &&
		    unlinkat(dirfd(all), d->d_name, AT_REMOVEDIR) < 0)
			n++;
	if (all)
		closedir(all);
	return n;
}

static void twice(void *arg, uint32_t tag, ProtobufCMessage *msg,
		  struct edit_more *ret)
{
	unsigned int *n = arg;

	if (tag != TAG_PRIVATE_ENTRY)
		return;
	ret->tag = tag;
	ret->msg = msg;
	*n += 2;
}

static void try_many(const struct drive_place *place, const char *image)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *restored = NULL;
	struct err err = { 0 };
	unsigned int n = 0;
	int r = 0;

	for (int i = 0; r == 0 && n <= 2 * PRIVATE_MAX_ENTRIES; i++) {
		n = 0;
		r = snapshot_edit(image, twice, &n, &err);
	}
	ok(r == 0, "an image with %u entries is made: %s", n, err.text);
	r = drive_restore(place, image, &restored, o);
	ok(r < 0 && strstr(o->err.text, "files in directories"),
	   "it is not restored: %s", o->err.text);
	drive_end(restored);
	free(o);
}

/* Who prepares a run of the user's has made files there, too. */
static void mount_used(void)
{
	int fd;

	mount_own();
	if (mkdir(OWN "/dir", 0755) < 0 ||
	    chown(OWN "/dir", EDITED_USER, EDITED_USER) < 0 ||
	    (fd = open(OWN "/file", O_WRONLY | O_CREAT, 0644)) < 0 ||
	    write(fd, "other", 5) != 5 ||
	    fchown(fd, EDITED_USER, EDITED_USER) < 0 ||
	    symlink("/nowhere", OWN "/link") < 0 ||
	    lchown(OWN "/link", EDITED_USER, EDITED_USER) < 0)
		_exit(126);
	close(fd);
}

static void mount_roots(void)
{
	mount_own();
	close(open(OWN "/file", O_WRONLY | O_CREAT, 0644));
}

static bool has_text(pid_t pid, const char *name, const char *text)
{
	char path[100], now[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/root" OWN "/%s", (int)pid, name);
	f = fopen(path, "re");
	if (f && !fgets(now, sizeof(now), f))
		now[0] = '\0';
	if (f)
		fclose(f);
	return !strcmp(now, text);
}

static void try_used(struct drive_place *place, const char *image)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *restored = NULL;
	int r;

	place->prepare = mount_used;
	r = drive_restore(place, image, &restored, o);
	if (ok(r == 0, "the user's own files are no obstacle: %s", o->err.text))
		ok(has_text(drive_root_pid(restored), "file", "text") &&
			   has_text(drive_root_pid(restored), "name", "text") &&
			   has_text(drive_root_pid(restored), "link", "text") &&
			   has_text(drive_root_pid(restored), "file.jobcr-1",
				    "other") &&
			   strstr(o->restart.remarks[REMARK_ASIDE],
				  OWN "/file.jobcr-1"),
		   "the job finds its own, and they are put aside: %s",
		   o->restart.remarks[REMARK_ASIDE]);
	drive_end(restored);
	restored = NULL;
	place->prepare = mount_roots;
	r = drive_restore(place, image, &restored, o);
	ok(r == -EEXIST && strstr(o->err.text, "another file is there"),
	   "those of others are not touched: %s", o->err.text);
	place->prepare = mount_own;
	drive_end(restored);
	free(o);
}

/* Where jobs have no such directory. */
static void try_elsewhere(struct drive_place *place, const char *image)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *restored = NULL;
	int r;

	place->prepare = NULL;
	r = drive_restore(place, image, &restored, o);
	ok(r < 0 && strstr(o->err.text, "--map " OWN "=DIRECTORY"),
	   "files are not poured into what others see: %s", o->err.text);
	place->prepare = mount_own;
	drive_end(restored);
	free(o);
}

/* Another job, and what is told of it. */
static struct drive_job *start_again(struct drive_place *place,
				     const char *self, void (*prepare)(void))
{
	struct drive_job *running = NULL;
	struct err err = { 0 };
	char command[200];

	snprintf(command, sizeof(command),
		 "cd %s && rm -rf own.* output program refused", dir);
	place->prepare = prepare;
	if (system(command) == 0 &&
	    edited_start_self(place, dir, self, &running, &err) == 0)
		return running;
	ok(false, "another job is started: %s", err.text);
	drive_end(running);
	return NULL;
}

static void check_refused(struct drive_job *running, const char *finding,
			  const char *what)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	char image[100];
	int r;

	snprintf(image, sizeof(image), "%s/refused", dir);
	r = drive_checkpoint(running, image, false, o);
	ok(r == -ENOTSUP && o->refused == 1 && strstr(o->finding[0], finding),
	   "%s: %s", what, o->refused ? o->finding[0] : o->err.text);
	drive_end(running);
	free(o);
}

/* As Slurm does it, when the extern step ends before the job. */
static void try_removed(struct drive_place *place, const char *self)
{
	struct drive_job *running = start_again(place, self, mount_own);
	char command[100];

	snprintf(command, sizeof(command), "rm -r %s/own.*", dir);
	if (running && ok(system(command) == 0, "its directory is removed"))
		check_refused(running, "was removed",
			      "a job that has lost it is not saved without");
}

static void mount_watched(void)
{
	mount_own();
	close(open(OWN "/watch", O_WRONLY | O_CREAT, 0644));
}

static void try_watched(struct drive_place *place, const char *self)
{
	struct drive_job *running = start_again(place, self, mount_watched);

	if (running)
		check_refused(running, "that a checkpoint reads",
			      "a job that would see it is not saved");
}

/* By a prolog, say. */
static void mount_shared(void)
{
	FILE *f;

	mount_own();
	if (mkdir(OWN "/theirs", 0700) < 0 || chmod(OWN "/theirs", 01777) < 0)
		_exit(126);
	f = fopen(OWN "/theirs/secret", "we");
	if (!f || fputs("secret", f) < 0 || fclose(f) != 0)
		_exit(126);
}

static void try_shared(struct drive_place *place, const char *self)
{
	struct drive_job *running = start_again(place, self, mount_shared);
	struct drive_outcome *o = calloc(1, sizeof(*o));
	char image[100];
	int r;

	snprintf(image, sizeof(image), "%s/shared", dir);
	if (!running ||
	    !ok(drive_checkpoint(running, image, true, o) == 0,
		"a job with files in a directory of others is saved")) {
		free(o);
		return;
	}
	drive_end(running);
	running = NULL;
	r = drive_restore(place, image, &running, o);
	if (ok(r == 0, "where that is made again it is restored: %s",
	       o->err.text))
		ok(has_text(drive_root_pid(running), "theirs/mine", "mine") &&
			   has_text(drive_root_pid(running), "theirs/secret",
				    "secret"),
		   "with its own files, and theirs is theirs");
	drive_end(running);
	running = NULL;
	place->prepare = mount_own;
	r = drive_restore(place, image, &running, o);
	ok(r < 0 && strstr(o->err.text, "its directory is not there"),
	   "elsewhere it is not: %s", o->err.text);
	drive_end(running);
	free(o);
}

int main(int argc, char **argv)
{
	static const char *const local[] = { OWN, NULL };
	static const struct edited_test test = {
		.cases = cases,
		.count = ARRAY_SIZE(cases),
		.first_only = true,
		.prepare = mount_own,
	};
	struct drive_place place = { .uid = EDITED_USER,
				     .gid = EDITED_USER,
				     .cwd = "/",
				     .local = local };
	char image[100], copy[400];

	if (argc > 1)
		return job();
	if (geteuid() != 0)
		skip_all("needs root");
	close(temp_dir(dir));
	if (chmod(dir, 01777) < 0)
		return 1;
	edited_run(&place, dir, argv[0], &test);
	/* That of the job, and of four that were restored. */
	ok(count_full() == 4, "what was made for a restore that fails is gone");
	ok(access("/etc/jobcr-edited", F_OK) < 0 &&
		   access("/tmp/jobcr-edited", F_OK) < 0,
	   "nothing was made elsewhere");
	snprintf(image, sizeof(image), "%s/image", dir);
	snprintf(copy, sizeof(copy), "rm -r %s && cp -a %s.whole %s", image,
		 image, image);
	if (ok(system(copy) == 0, "its snapshot is copied again")) {
		try_used(&place, image);
		try_elsewhere(&place, image);
		try_many(&place, image);
	}
	try_removed(&place, argv[0]);
	try_watched(&place, argv[0]);
	try_shared(&place, argv[0]);
	temp_dir_remove(dir);
	return done_testing();
}
