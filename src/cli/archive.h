/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_CLI_ARCHIVE_H
#define JOBCR_CLI_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "images/manifest.pb-c.h"
#include "storage/as_user.h"
#include "util/err.h"

/*
 * A snapshot as one file, a pax tar (tar(5)) that any tar unpacks into a
 * directory which is a snapshot: JOBID.GENERATION/ with the manifest first,
 * then the meta streams, then all other files, each a plain one.  At the end
 * how the job was submitted, if that is known.
 */
#define ARCHIVE_JOB_FILE_MAX (4u << 20)

/* Files of the job that go with it; NULL-terminated. */
extern const char *const archive_job_files[];

/*
 * Write the snapshot in dir_fd, which has been verified, to fd.  job_fd: the
 * job's directory, or -1.
 */
int archive_write(int dir_fd, int job_fd, const ManifestRecord *m, int fd,
		  struct err *err);

/*
 * An archive is hostile: a process that is nobody, and may open nothing, reads
 * it from fd.  What it says of a file comes as a name and a size, then so many
 * bytes; all else than plain files ends it with an error.
 */
struct unpacker {
	pid_t pid;
	int fd;
	uint64_t left; /* bytes of the file that were not taken yet */
};
int unpack_start(int fd, struct unpacker *ret, struct err *err);

/* The next file: 1, or 0 at the end.  The one before must have been taken. */
#define UNPACK_NAME 512
int unpack_next(struct unpacker *u, char name[UNPACK_NAME], uint64_t *ret_size,
		struct err *err);
int unpack_take(struct unpacker *u, void *data, size_t len, struct err *err);

/* In any state; also one that was never started (pid 0). */
void unpack_done(struct unpacker *u);

/* What becomes of an archive: see cmd_archive.c. */
struct import {
	const char *store, *run_dir;
	const char *slurm_cluster; /* where jobs of Slurm's are */
	const char *as;            /* the job's new id; NULL: as it was */
	bool direct;               /* read back past the page cache */
	bool has_user;
	uid_t uid; /* has_user */
	gid_t gid;
	/* Does Slurm know another job by that id? */
	bool (*is_slurms)(void *arg, const char *id);
	const struct conf *conf; /* for its seal */
	void *arg;
	/* What was made of it. */
	char job_id[64], cluster[256];
	uint32_t generation;
	uint64_t bytes;
	struct user_id owner; /* owned by the caller */
};

/*
 * Into the store, as a snapshot of its user.  fd: the archive.  Nothing is
 * left of one that fails.
 */
int archive_import(int fd, struct import *import, struct err *err);

#endif
