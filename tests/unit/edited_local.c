// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Edited images of a job with files of the node: what is made again is made
 * with the rights of its user, and where that may do so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/drive.h"
#include "../lib/edit.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"

#define USER 65534

static void set_path(ProtobufCBinaryData *path, const char *to)
{
	free(path->data);
	path->data = (uint8_t *)strdup(to);
	path->len = strlen(to);
}

static void directory_in_etc(ProtobufCMessage *msg)
{
	set_path(&((DirectoryRecord *)msg)->path, "/etc/jobcr-edited");
}

static void directory_relative(ProtobufCMessage *msg)
{
	set_path(&((DirectoryRecord *)msg)->path, "etc");
}

static void directory_mode(ProtobufCMessage *msg)
{
	((DirectoryRecord *)msg)->mode = S_IFCHR | 0777;
}

static void file_in_etc(ProtobufCMessage *msg)
{
	set_path(&((GhostRecord *)msg)->path, "/etc/jobcr-edited");
}

static void file_of_root(ProtobufCMessage *msg)
{
	set_path(&((GhostRecord *)msg)->path, "/etc/shadow");
}

static void without_origin(ProtobufCMessage *msg)
{
	GhostRecord *rec = (GhostRecord *)msg;

	free(rec->origin);
	rec->origin = NULL;
}

static void fifo_mode(ProtobufCMessage *msg)
{
	((PipeRecord *)msg)->mode = 06777;
}

static void fifo_elsewhere(ProtobufCMessage *msg)
{
	set_path(&((PipeRecord *)msg)->path, "/etc/jobcr-edited");
}

/* What is opened again without asking whether its user may: not that file. */
static const ProtobufCMessage *map_it(const ProtobufCMessage *msg)
{
	static VmaRecord rec;

	vma_record__init(&rec);
	rec.pid = 2;
	rec.start = 0x10000000;
	rec.end = rec.start + IMAGE_PAGE;
	rec.kind = VMA_RECORD__KIND__SHMEM_SHARED;
	rec.prot = PROT_READ;
	rec.has_object = 1;
	rec.object = ((const GhostRecord *)msg)->object;
	return &rec.base;
}

static const ProtobufCMessage *take_it_for_memfd(const ProtobufCMessage *msg)
{
	static MemfdRecord rec;
	static OpenFile open;

	memfd_record__init(&rec);
	open_file__init(&open);
	open.object = 900000;
	rec.open = &open;
	rec.shmem = ((const GhostRecord *)msg)->object;
	return &rec.base;
}

static const struct edit {
	const char *what;
	uint32_t tag;
	void (*apply)(ProtobufCMessage *msg);
	const char *error; /* NULL: it is restored */
	uint32_t more;     /* a record behind it, made of it */
	const ProtobufCMessage *(*add)(const ProtobufCMessage *msg);
} edits[] = {
	{ "a directory in /etc", TAG_DIRECTORY, directory_in_etc,
	  "Permission denied" },
	{ "a directory that is nowhere", TAG_DIRECTORY, directory_relative,
	  "is no directory" },
	{ "a directory that is a device", TAG_DIRECTORY, directory_mode,
	  "is no directory" },
	{ "a file in /etc", TAG_GHOST, file_in_etc, "Permission denied" },
	{ "a file of root", TAG_GHOST, file_of_root, "another file is there" },
	{ "a file without an origin", TAG_GHOST, without_origin,
	  "has no origin" },
	{ "a file as shared memory", TAG_GHOST, NULL, "no shared memory",
	  TAG_VMA, map_it },
	{ "a file as a memfd", TAG_GHOST, NULL, "no shared memory", TAG_MEMFD,
	  take_it_for_memfd },
	{ "a fifo that is setuid", TAG_PIPE, fifo_mode, "permissions" },
	{ "a removed fifo of /etc", TAG_PIPE, fifo_elsewhere, NULL },
};

static void apply(void *arg, uint32_t tag, ProtobufCMessage *msg,
		  struct edit_more *ret)
{
	const struct edit *edit = arg;

	if (tag == edit->tag && edit->apply)
		edit->apply(msg);
	if (tag == edit->tag && edit->add) {
		ret->tag = edit->more;
		ret->msg = edit->add(msg);
	}
}

static int save(const struct drive_place *place, const char *dir,
		const char *image, struct err *err)
{
	char *argv[] = { (char *)"/bin/sh", (char *)"-c",
			 (char *)"mkdir work && cd work && exec 5<>file && "
				 "echo text >&5 && mkfifo f && exec 6<>f && "
				 "rm f && touch ../ready && exec sleep 1000",
			 NULL };
	char *envp[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	char ready[100];
	int r = drive_start(place, argv, envp, &job, err);

	snprintf(ready, sizeof(ready), "%s/ready", dir);
	for (int i = 0; r == 0 && i < 2000 && access(ready, F_OK) < 0; i++)
		usleep(10000);
	if (r == 0) {
		r = drive_checkpoint(job, image, true, o);
		*err = o->err;
	}
	drive_end(job);
	free(o);
	return r;
}

static void restore(const struct drive_place *place, const char *image,
		    const struct edit *edit)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int r = drive_restore(place, image, &job, o);

	if (edit->error)
		ok(r < 0 && strstr(o->err.text, edit->error),
		   "%s is not to be had: %s", edit->what,
		   r < 0 ? o->err.text : "restored");
	else
		ok(r == 0, "%s is made elsewhere: %s", edit->what,
		   r < 0 ? o->err.text : "yes");
	ok(access("/etc/jobcr-edited", F_OK) < 0, "and nothing is there");
	drive_end(job);
	free(o);
}

static void run(const struct drive_place *place, const char *dir)
{
	struct err err = { 0 };
	char image[100], copy[400];
	const struct edit *edit;

	snprintf(image, sizeof(image), "%s/image", dir);
	if (!ok(save(place, dir, image, &err) == 0, "a user's job is saved %s",
		err.text))
		return;
	/* On another node. */
	snprintf(copy, sizeof(copy), "mv %s %s.whole && rm -r %s/work", image,
		 image, dir);
	if (!ok(system(copy) == 0, "its files are gone"))
		return;
	snprintf(copy, sizeof(copy), "rm -rf %s && cp -a %s.whole %s", image,
		 image, image);
	for (edit = edits; edit < edits + ARRAY_SIZE(edits); edit++)
		if (system(copy) != 0 ||
		    snapshot_edit(image, apply, (void *)edit, &err) < 0)
			ok(false, "edit: %s", err.text);
		else
			restore(place, image, edit);
}

int main(void)
{
	static const char *const local[] = { "/tmp", NULL };
	struct drive_place place = { .uid = USER, .gid = USER, .local = local };
	auto_close int dir_fd = -EBADF;
	char dir[64];

	if (geteuid() != 0)
		skip_all("needs root");
	dir_fd = temp_dir(dir);
	if (chmod(dir, 0755) < 0 || chown(dir, USER, USER) < 0)
		return 1;
	place.cwd = dir;
	run(&place, dir);
	temp_dir_remove(dir);
	return done_testing();
}
