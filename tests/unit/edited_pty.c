/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a snapshot says of pseudo terminals is its user's word: it is refused,
 * or it is no more than the user could have had.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/drive.h"
#include "../lib/edit.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/process.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"

#define USER   65534
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

static const struct edit {
	const char *what;
	uint32_t tag;
	void (*apply)(ProtobufCMessage *msg);
	const char *error; /* part of the text; NULL: it is restored */
} edits[] = {
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
	  "/dev/pts/7" },
	{ "a group of others in the foreground", TAG_TERMINAL, group_of_init,
	  "TIOCSPGRP" },
	{ "any mode", TAG_PTY, any_mode, NULL },
};

static void apply(void *arg, uint32_t tag, ProtobufCMessage *msg,
		  struct edit_more *ret)
{
	const struct edit *edit = arg;

	(void)ret;
	if (tag == edit->tag)
		edit->apply(msg);
}

static bool stat_terminal(const struct drive_job *job, struct stat *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root/dev/pts/0",
		 (int)drive_init_pid(job));
	return stat(path, ret) == 0;
}

static bool comes_up(const char *name)
{
	for (int turns = 0; turns < 1000; turns++) {
		if (access(name, F_OK) == 0)
			return true;
		usleep(10000);
	}
	return false;
}

static int snapshot_of_script(const struct drive_place *place, const char *dir,
			      struct err *err)
{
	char name[120], command[200];
	char *argv[] = { (char *)SCRIPT, (char *)"-qc", command,
			 (char *)"/dev/null", NULL };
	char *envp[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int r;

	snprintf(name, sizeof(name), "%s.up", dir);
	snprintf(command, sizeof(command), ">%s; exec sleep 1000", name);
	r = drive_start(place, argv, envp, &job, err);
	if (r == 0 && !comes_up(name))
		r = err_set(err, -ETIMEDOUT, "its terminal does not come up");
	if (r == 0) {
		r = drive_checkpoint(job, dir, true, o);
		*err = o->err;
	}
	drive_end(job);
	free(o);
	return r;
}

static void restore(const struct drive_place *place, const char *dir,
		    const struct edit *edit)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int r = drive_restore(place, dir, &job, o);
	struct stat st = { 0 };
	bool there = r == 0 && stat_terminal(job, &st);

	if (edit->error)
		ok(r < 0 && strstr(o->err.text, edit->error),
		   "%s is not to be had: %s", edit->what,
		   r < 0 ? o->err.text : "restored");
	else
		ok(there && st.st_mode == (S_IFCHR | 0777) && st.st_uid == USER,
		   "%s is the user's: %o of %u: %s", edit->what, st.st_mode,
		   st.st_uid, r < 0 ? o->err.text : "restored");
	drive_end(job);
	free(o);
}

static void run(const struct drive_place *place, const char *dir)
{
	struct err err = { 0 };
	char path[100], copy[400];

	snprintf(path, sizeof(path), "%s/image", dir);
	if (!ok(snapshot_of_script(place, path, &err) == 0,
		"a user's job is saved: %s", err.text))
		return;
	snprintf(copy, sizeof(copy), "cp -a %s %s.whole", path, path);
	if (!ok(system(copy) == 0, "its snapshot is copied"))
		return;
	snprintf(copy, sizeof(copy), "rm -r %s && cp -a %s.whole %s", path,
		 path, path);
	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		if (system(copy) != 0 ||
		    snapshot_edit(path, apply, (void *)&edits[i], &err) < 0)
			ok(false, "edit: %s", err.text);
		else
			restore(place, path, &edits[i]);
	}
}

int main(void)
{
	const struct drive_place place = { .uid = USER,
					   .gid = USER,
					   .cwd = "/" };
	auto_close int dir_fd = -EBADF;
	char dir[64];

	if (geteuid() != 0)
		skip_all("needs root");
	if (access(SCRIPT, X_OK) < 0)
		skip_all("needs script");
	dir_fd = temp_dir(dir);
	if (chmod(dir, 01777) < 0)
		return 1;
	run(&place, dir);
	temp_dir_remove(dir);
	return done_testing();
}
