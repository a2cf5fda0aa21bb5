/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a user can write about Unix sockets into a snapshot gives no right. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/copy.h"
#include "../lib/drive.h"
#include "../lib/edit.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "images/tags.h"
#include "images/unix.pb-c.h"
#include "util/cleanup.h"

#define USER 65534

static char roots_socket[100];

static void set_bytes(ProtobufCBinaryData *data, const char *text)
{
	free(data->data);
	data->data = (uint8_t *)strdup(text);
	data->len = strlen(text);
}

static UnixSocketRecord *socket_of(ProtobufCMessage *msg)
{
	return (UnixSocketRecord *)msg;
}

static UnixNameRecord *name_of(ProtobufCMessage *msg)
{
	return (UnixNameRecord *)msg;
}

static UnixMessageRecord *message_of(ProtobufCMessage *msg)
{
	return (UnixMessageRecord *)msg;
}

static bool has_pair(const ProtobufCMessage *msg)
{
	return ((const UnixSocketRecord *)msg)->peer_ids != NULL;
}

static bool has_receiver(const ProtobufCMessage *msg)
{
	return ((const UnixSocketRecord *)msg)->has_receiver;
}

static bool is_single(const ProtobufCMessage *msg)
{
	return !((const UnixSocketRecord *)msg)->peer;
}

static bool has_file(const ProtobufCMessage *msg)
{
	return ((const UnixNameRecord *)msg)->file != NULL;
}

static bool listens(const ProtobufCMessage *msg)
{
	return ((const UnixNameRecord *)msg)->listener != NULL;
}

static bool is_abstract(const ProtobufCMessage *msg)
{
	return !((const UnixNameRecord *)msg)->name.data[0];
}

static bool is_any(const ProtobufCMessage *msg)
{
	(void)msg;
	return true;
}

static void maker_root(ProtobufCMessage *msg)
{
	socket_of(msg)->peer_ids->uid = 0;
}

static void maker_group(ProtobufCMessage *msg)
{
	socket_of(msg)->peer_ids->gid = 0;
}

static void maker_nobody(ProtobufCMessage *msg)
{
	socket_of(msg)->peer_ids->pid = 4711;
}

static void own_peer(ProtobufCMessage *msg)
{
	socket_of(msg)->peer = socket_of(msg)->open->object;
}

static void strange_type(ProtobufCMessage *msg)
{
	socket_of(msg)->type = SOCK_RAW;
}

static void strange_shutdown(ProtobufCMessage *msg)
{
	socket_of(msg)->shutdown = 9;
}

static void no_receiver(ProtobufCMessage *msg)
{
	socket_of(msg)->receiver = 0;
}

static void set_option(ProtobufCMessage *msg, int name, int value)
{
	SocketOption *o = calloc(1, sizeof(*o));
	UnixSocketRecord *rec = socket_of(msg);

	socket_option__init(o);
	o->level = SOL_SOCKET;
	o->name = name;
	o->value.data = malloc(sizeof(value));
	o->value.len = sizeof(value);
	memcpy(o->value.data, &value, sizeof(value));
	rec->options = realloc(rec->options,
			       (rec->n_options + 1) * sizeof(*rec->options));
	rec->options[rec->n_options++] = o;
}

static void priority(ProtobufCMessage *msg)
{
	set_option(msg, SO_PRIORITY, 7);
}

static void mark(ProtobufCMessage *msg)
{
	set_option(msg, SO_MARK, 1);
}

static void huge_buffer(ProtobufCMessage *msg)
{
	set_option(msg, SO_SNDBUF, 1 << 30);
}

static void listener_root(ProtobufCMessage *msg)
{
	name_of(msg)->listener->uid = 0;
}

static void file_root(ProtobufCMessage *msg)
{
	name_of(msg)->file->uid = 0;
}

static void file_of_others(ProtobufCMessage *msg)
{
	set_bytes(&name_of(msg)->name, "/etc/jobcr-edited");
}

static void over_roots(ProtobufCMessage *msg)
{
	set_bytes(&name_of(msg)->name, roots_socket);
}

static void in_directory(ProtobufCMessage *msg)
{
	set_bytes(&name_of(msg)->file->directory, "/root");
}

static void empty_name(ProtobufCMessage *msg)
{
	name_of(msg)->name.len = 0;
}

static void broken_name(ProtobufCMessage *msg)
{
	name_of(msg)->name.data[2] = '\0';
}

static void of_no_socket(ProtobufCMessage *msg)
{
	name_of(msg)->socket = 4711;
}

/* What that is, is open in the worker. */
static void path_is_other(ProtobufCMessage *msg)
{
	name_of(msg)->path_object = name_of(msg)->socket;
}

static void sender_root(ProtobufCMessage *msg)
{
	UnixIds *ids = calloc(1, sizeof(*ids));

	unix_ids__init(ids);
	ids->pid = 2;
	message_of(msg)->sender = ids;
}

static void travels_nothing(ProtobufCMessage *msg)
{
	UnixMessageRecord *rec = message_of(msg);

	rec->objects = calloc(1, sizeof(*rec->objects));
	rec->objects[0] = 4711;
	rec->n_objects = 1;
}

static void long_message(ProtobufCMessage *msg)
{
	UnixMessageRecord *rec = message_of(msg);

	free(rec->data.data);
	rec->data.len = 3u << 20;
	rec->data.data = calloc(1, rec->data.len);
}

static void from_nobody(ProtobufCMessage *msg)
{
	message_of(msg)->has_from = 1;
	message_of(msg)->from = 4711;
}

static const struct edit {
	const char *what;
	uint32_t tag;
	bool (*suits)(const ProtobufCMessage *msg);
	void (*apply)(ProtobufCMessage *msg);
	const char *error; /* part of the text; NULL: it is restored */
} edits[] = {
	{ "an end made by root", TAG_UNIX_SOCKET, has_pair, maker_root,
	  "not the owner's" },
	{ "an end made by a group", TAG_UNIX_SOCKET, has_pair, maker_group,
	  "not the owner's" },
	{ "an end made by nobody", TAG_UNIX_SOCKET, has_pair, maker_nobody,
	  "pid 4711 is not there" },
	{ "one connected to itself", TAG_UNIX_SOCKET, has_pair, own_peer,
	  "not connected to" },
	{ "a raw socket", TAG_UNIX_SOCKET, is_any, strange_type, "type 3" },
	{ "shut down strangely", TAG_UNIX_SOCKET, is_any, strange_shutdown,
	  "shut down 9" },
	{ "connected to no socket", TAG_UNIX_SOCKET, has_receiver, no_receiver,
	  "has no name" },
	{ "a priority", TAG_UNIX_SOCKET, is_single, priority, "SO_PRIORITY" },
	{ "a mark", TAG_UNIX_SOCKET, is_single, mark, "option 36" },
	{ "a huge buffer", TAG_UNIX_SOCKET, is_single, huge_buffer,
	  "wmem_max" },
	{ "root listens", TAG_UNIX_NAME, listens, listener_root,
	  "not the owner's" },
	{ "a file of root", TAG_UNIX_NAME, has_file, file_root, "chown" },
	{ "a path where others write", TAG_UNIX_NAME, has_file, file_of_others,
	  "Permission denied" },
	{ "the path of another's socket", TAG_UNIX_NAME, has_file, over_roots,
	  "is another's" },
	{ "a directory of root", TAG_UNIX_NAME, has_file, in_directory,
	  "chdir: Permission denied" },
	{ "an empty name", TAG_UNIX_NAME, is_any, empty_name, "empty name" },
	{ "a name with a zero in it", TAG_UNIX_NAME, has_file, broken_name,
	  "name of a socket" },
	{ "a name of nobody", TAG_UNIX_NAME, is_any, of_no_socket,
	  "no socket 4711" },
	{ "a path that is open already", TAG_UNIX_NAME, has_file, path_is_other,
	  "open already" },
	{ "an abstract name with one", TAG_UNIX_NAME, is_abstract,
	  path_is_other, NULL },
	{ "a message of root", TAG_UNIX_MESSAGE, is_any, sender_root,
	  "not the owner's" },
	{ "a message with no file", TAG_UNIX_MESSAGE, is_any, travels_nothing,
	  "no open file 4711" },
	{ "a long message", TAG_UNIX_MESSAGE, is_any, long_message,
	  "message of 3145728 bytes" },
	{ "a message from no socket", TAG_UNIX_MESSAGE, is_any, from_nobody,
	  "no socket 4711" },
};

struct editing {
	const struct edit *edit;
	bool done;
};

static void apply(void *arg, uint32_t tag, ProtobufCMessage *msg,
		  struct edit_more *ret)
{
	struct editing *e = arg;

	(void)ret;
	if (e->done || tag != e->edit->tag || !e->edit->suits(msg))
		return;
	e->edit->apply(msg);
	e->done = true;
}

static void try_edit(const struct drive_place *place, const char *dir,
		     const struct edit *edit)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct editing editing = { .edit = edit };
	struct drive_job *job = NULL;
	struct err err = { 0 };
	int r;

	if (snapshot_edit(dir, apply, &editing, &err) < 0 || !editing.done) {
		ok(false, "%s: edited: %s", edit->what, err.text);
	} else {
		r = drive_restore(place, dir, &job, o);
		ok(edit->error ? r < 0 && strstr(o->err.text, edit->error)
			       : r == 0,
		   "%s: %s", edit->what, r < 0 ? o->err.text : "restored");
	}
	drive_end(job);
	free(o);
}

static bool is_ready(const char *dir)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/ready", dir);
	for (int i = 0; i < 2000; i++) {
		if (access(path, F_OK) == 0)
			return true;
		usleep(10000);
	}
	return false;
}

static bool save(const struct drive_place *place, const char *dir,
		 const char *image)
{
	char program[200], env[200];
	char *argv[] = { program, NULL }, *envp[] = { env, NULL };
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	struct err err = { 0 };
	int r;

	snprintf(program, sizeof(program), "%s/victim", dir);
	snprintf(env, sizeof(env), "VICTIM_DIR=%s", dir);
	r = copy_program("tests/victims/unix_names.victim", program);
	if (r == 0)
		r = drive_start(place, argv, envp, &job, &err);
	if (r == 0 && is_ready(dir))
		r = drive_checkpoint(job, image, true, o);
	ok(r == 0, "a job with sockets is saved: %s%s", err.text, o->err.text);
	drive_end(job);
	free(o);
	return r == 0;
}

/* Nobody has it, but it is not the user's. */
static void leave_socket(const char *dir)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(roots_socket, sizeof(roots_socket), "%s/roots", dir);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", roots_socket);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		abort();
	close(fd);
}

static void run(const struct drive_place *place, const char *dir,
		const char *images)
{
	struct stat st;
	char image[100], copy[400];

	snprintf(image, sizeof(image), "%s/image", images);
	leave_socket(dir);
	if (!save(place, dir, image))
		return;
	snprintf(copy, sizeof(copy), "cp -a %s %s.whole", image, image);
	if (system(copy) != 0)
		return;
	snprintf(copy, sizeof(copy), "rm -r %s && cp -a %s.whole %s", image,
		 image, image);
	for (size_t i = 0; i < ARRAY_SIZE(edits) && system(copy) == 0; i++)
		try_edit(place, image, &edits[i]);
	ok(lstat(roots_socket, &st) == 0 && S_ISSOCK(st.st_mode) &&
		   st.st_uid == 0,
	   "another's socket is where it was");
}

int main(void)
{
	struct drive_place place = { .uid = USER, .gid = USER };
	auto_close int dir_fd = -EBADF, images_fd = -EBADF;
	char dir[64], images[64];

	if (geteuid() != 0)
		skip_all("needs root");
	dir_fd = temp_dir(dir);
	images_fd = temp_dir(images);
	place.cwd = dir;
	if (chmod(dir, 0755) < 0 || chown(dir, USER, USER) < 0 ||
	    chmod(images, 0755) < 0)
		return 1;
	run(&place, dir, images);
	temp_dir_remove(dir);
	temp_dir_remove(images);
	return done_testing();
}
