/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a snapshot says of pseudo terminals is its user's word: it is refused,
 * or it is no more than the user could have had.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/edited.h"
#include "../lib/tap.h"
#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/process.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"

#define SCRIPT "/usr/bin/script"

static void index_high(ProtobufCMessage *msg)
{
	((PtyRecord *)msg)->index = PTY_MAX_INDEX + 1;
}

static void any_mode(ProtobufCMessage *msg)
{
	((PtyRecord *)msg)->mode = 07777;
}

static void another_object(ProtobufCMessage *msg)
{
	((PtyRecord *)msg)->pty++;
}

static void replace(ProtobufCBinaryData *data, size_t len)
{
	free(data->data);
	data->data = calloc(len, 1);
	data->len = len;
}

static void much_output(ProtobufCMessage *msg)
{
	PtyRecord *rec = (PtyRecord *)msg;

	rec->has_output = 1;
	replace(&rec->output, PTY_MAX_OUTPUT + 1);
}

static void held_output(ProtobufCMessage *msg)
{
	PtyRecord *rec = (PtyRecord *)msg;

	rec->has_output = 1;
	replace(&rec->output, PTY_MAX_OUTPUT);
}

static void no_input(ProtobufCMessage *msg)
{
	replace(&((PtyRecord *)msg)->state->input, 2);
}

static void few_characters(ProtobufCMessage *msg)
{
	replace(&((PtyRecord *)msg)->state->cc, 18);
}

static void slave_of_file(ProtobufCMessage *msg)
{
	((TtyRecord *)msg)->pty = ((TtyRecord *)msg)->open->object;
}

static void slave_of_nobody(ProtobufCMessage *msg)
{
	((TtyRecord *)msg)->has_pty = 0;
}

static void master_of_file(ProtobufCMessage *msg)
{
	PtyMasterRecord *rec = (PtyMasterRecord *)msg;

	rec->pty = rec->open->object;
}

static void leads_another(ProtobufCMessage *msg)
{
	((TerminalRecord *)msg)->index = 7;
}

static void group_of_init(ProtobufCMessage *msg)
{
	((TerminalRecord *)msg)->foreground = 1;
}

static const struct edited_case cases[] = {
	{ "too high a number", TAG_PTY, index_high, "/dev/pts/1024" },
	{ "a terminal that nothing is of", TAG_PTY, another_object,
	  "no pseudo terminal" },
	{ "more output than a terminal holds", TAG_PTY, much_output,
	  "bytes of output" },
	{ "more than it takes", TAG_PTY, held_output, "put output back" },
	{ "input that is none", TAG_PTY, no_input, "typed input" },
	{ "too few characters", TAG_PTY, few_characters, "special characters" },
	{ "a slave of an open file", TAG_TTY, slave_of_file,
	  "no pseudo terminal" },
	{ "a slave of a terminal it had not", TAG_TTY, slave_of_nobody,
	  "no terminal" },
	{ "a master of an open file", TAG_PTY_MASTER, master_of_file,
	  "no pseudo terminal" },
	{ "a session of another terminal", TAG_TERMINAL, leads_another,
	  "no pseudo terminal 7" },
	{ "a group of others in the foreground", TAG_TERMINAL, group_of_init,
	  "TIOCSPGRP" },
	{ "any mode", TAG_PTY, any_mode, NULL },
};

static bool stat_terminal(const struct drive_job *job, struct stat *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root/dev/pts/0",
		 (int)drive_init_pid(job));
	return stat(path, ret) == 0;
}

static int start(struct drive_place *place, const char *dir,
		 struct drive_job **ret, struct err *err)
{
	char name[120], command[200];
	char *argv[] = { (char *)SCRIPT, (char *)"-qc", command,
			 (char *)"/dev/null", NULL };
	char *envp[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	int r;

	snprintf(name, sizeof(name), "%s/up", dir);
	snprintf(command, sizeof(command), ">%s; exec sleep 1000", name);
	r = drive_start(place, argv, envp, ret, err);
	return r < 0 ? r : edited_await_file(name, 0, err);
}

static void restored(const struct edited_case *c, struct drive_job *job)
{
	struct stat st = { 0 };

	ok(stat_terminal(job, &st) && st.st_mode == (S_IFCHR | 0777) &&
		   st.st_uid == EDITED_USER,
	   "%s is the user's: %o of %u", c->what, st.st_mode, st.st_uid);
}

int main(int argc, char **argv)
{
	const struct edited_test test = {
		.cases = cases,
		.count = ARRAY_SIZE(cases),
		.mode = 01777,
		.start = start,
		.restored = restored,
	};

	if (access(SCRIPT, X_OK) < 0)
		skip_all("needs script");
	return edited_main(argc, argv, &test);
}
