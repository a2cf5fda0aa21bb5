/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_EDITED_H
#define JOBCR_TESTS_LIB_EDITED_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/lib/drive.h"
#include "util/err.h"

/*
 * A user's job is saved once, and its snapshot restored as often as there are
 * ways to edit it: none of them may give its user a right.
 */
#define EDITED_USER 65534

struct edited_case {
	const char *what;
	uint32_t tag; /* of the records that are edited */
	void (*apply)(ProtobufCMessage *msg);
	const char *error; /* part of the text; NULL: it is restored */
	bool (*suits)(const ProtobufCMessage *msg); /* NULL: all */
	/* A record of tag more behind it, borrowed; pid is the root's. */
	uint32_t more;
	ProtobufCMessage *(*add)(pid_t pid, ProtobufCMessage *msg);
};

struct edited_test {
	const struct edited_case *cases;
	size_t count;
	bool first_only; /* edit one record, not all that suit */
	mode_t mode;     /* of the directory that the snapshot is in */
	/* What the job is: the test itself, that says something when it is
	 * ready and then waits.  Or NULL: it is started here, below dir. */
	int (*job)(void);
	void (*prepare)(void); /* as of struct drive_place */
	int (*start)(struct drive_place *place, const char *dir,
		     struct drive_job **ret, struct err *err);
	/* Of one that was to be restored, and was; NULL: that will do. */
	void (*restored)(const struct edited_case *c, struct drive_job *job);
};

/* Until the root of the job is this program. */
int edited_await_program(const struct drive_job *job, const char *comm,
			 struct err *err);

/* Until there is a file of at least so many bytes. */
int edited_await_file(const char *path, off_t size, struct err *err);

/*
 * Start the test itself as the job, with the argument "job", by a copy in
 * dir, and wait until it says something.
 */
int edited_start_self(struct drive_place *place, const char *dir,
		      const char *self, struct drive_job **ret,
		      struct err *err);

/* dir: who owns it, and may enter it, is the caller's; self: argv[0]. */
void edited_run(struct drive_place *place, const char *dir, const char *self,
		const struct edited_test *test);

/* With a directory of its own; what main returns. */
int edited_main(int argc, char **argv, const struct edited_test *test);

#endif
