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
#include "../lib/edited.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "images/tags.h"
#include "images/unix.pb-c.h"
#include "util/cleanup.h"

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

static bool is_alone(const ProtobufCMessage *msg)
{
	return is_single(msg) && !has_receiver(msg);
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

static void to_service(ProtobufCMessage *msg, const char *path)
{
	UnixSocketRecord *rec = socket_of(msg);

	rec->has_service = 1;
	set_bytes(&rec->service, path);
}

static void to_others(ProtobufCMessage *msg)
{
	to_service(msg, roots_socket);
}

/* The table knows it, but not so. */
static void to_closed(ProtobufCMessage *msg)
{
	to_service(msg, "/run/munge/munge.socket.2");
}

static void to_refused(ProtobufCMessage *msg)
{
	to_service(msg, "/run/dbus/system_bus_socket");
}

static void to_syslog_and_more(ProtobufCMessage *msg)
{
	UnixSocketRecord *rec = socket_of(msg);

	to_service(msg, "/dev/log/../shm/x");
	rec->service.data[8] = '\0';
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

static const struct edited_case cases[] = {
	{ "an end made by root", TAG_UNIX_SOCKET, maker_root, "not the owner's",
	  .suits = has_pair },
	{ "an end made by a group", TAG_UNIX_SOCKET, maker_group,
	  "not the owner's", .suits = has_pair },
	{ "an end made by nobody", TAG_UNIX_SOCKET, maker_nobody,
	  "pid 4711 is not there", .suits = has_pair },
	{ "one connected to itself", TAG_UNIX_SOCKET, own_peer,
	  "not connected to", .suits = has_pair },
	{ "a raw socket", TAG_UNIX_SOCKET, strange_type, "type 3" },
	{ "shut down strangely", TAG_UNIX_SOCKET, strange_shutdown,
	  "shut down 9" },
	{ "connected to no socket", TAG_UNIX_SOCKET, no_receiver, "has no name",
	  .suits = has_receiver },
	{ "connected to another's service", TAG_UNIX_SOCKET, to_others,
	  "which is no service", .suits = is_alone },
	{ "connected again to what is closed", TAG_UNIX_SOCKET, to_closed,
	  "which is no service", .suits = is_alone },
	{ "connected to what is refused", TAG_UNIX_SOCKET, to_refused,
	  "which is no service", .suits = is_alone },
	{ "connected to a service with a zero in it", TAG_UNIX_SOCKET,
	  to_syslog_and_more, "which is no service", .suits = is_alone },
	{ "a priority", TAG_UNIX_SOCKET, priority, "SO_PRIORITY",
	  .suits = is_single },
	{ "a mark", TAG_UNIX_SOCKET, mark, "option 36", .suits = is_single },
	{ "a huge buffer", TAG_UNIX_SOCKET, huge_buffer, "wmem_max",
	  .suits = is_single },
	{ "root listens", TAG_UNIX_NAME, listener_root, "not the owner's",
	  .suits = listens },
	{ "a file of root", TAG_UNIX_NAME, file_root, "chown",
	  .suits = has_file },
	{ "a path where others write", TAG_UNIX_NAME, file_of_others,
	  "Permission denied", .suits = has_file },
	{ "the path of another's socket", TAG_UNIX_NAME, over_roots,
	  "is another's", .suits = has_file },
	{ "a directory of root", TAG_UNIX_NAME, in_directory,
	  "chdir: Permission denied", .suits = has_file },
	{ "an empty name", TAG_UNIX_NAME, empty_name, "empty name" },
	{ "a name with a zero in it", TAG_UNIX_NAME, broken_name,
	  "name of a socket", .suits = has_file },
	{ "a name of nobody", TAG_UNIX_NAME, of_no_socket, "no socket 4711" },
	{ "a path that is open already", TAG_UNIX_NAME, path_is_other,
	  "open already", .suits = has_file },
	{ "an abstract name with one", TAG_UNIX_NAME, path_is_other, NULL,
	  .suits = is_abstract },
	{ "a message of root", TAG_UNIX_MESSAGE, sender_root,
	  "not the owner's" },
	{ "a message with no file", TAG_UNIX_MESSAGE, travels_nothing,
	  "no open file 4711" },
	{ "a long message", TAG_UNIX_MESSAGE, long_message,
	  "message of 3145728 bytes" },
	{ "a message from no socket", TAG_UNIX_MESSAGE, from_nobody,
	  "no socket 4711" },
};

static int start(struct drive_place *place, const char *dir,
		 struct drive_job **ret, struct err *err)
{
	char program[200], env[200], ready[200];
	char *argv[] = { program, NULL }, *envp[] = { env, NULL };
	int r;

	(void)dir;
	snprintf(program, sizeof(program), "%s/victim", place->cwd);
	snprintf(ready, sizeof(ready), "%s/ready", place->cwd);
	snprintf(env, sizeof(env), "VICTIM_DIR=%s", place->cwd);
	if (copy_program("tests/victims/unix_names.victim", program) < 0)
		return err_set(err, -EIO, "no copy of the victim");
	r = drive_start(place, argv, envp, ret, err);
	return r < 0 ? r : edited_await_file(ready, 0, err);
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

int main(int argc, char **argv)
{
	const struct edited_test test = {
		.cases = cases,
		.count = ARRAY_SIZE(cases),
		.first_only = true,
		.start = start,
	};
	struct drive_place place = { .uid = EDITED_USER, .gid = EDITED_USER };
	auto_close int dir_fd = -EBADF, images_fd = -EBADF;
	char dir[64], images[64];
	struct stat st;

	(void)argc;
	if (geteuid() != 0)
		skip_all("needs root");
	dir_fd = temp_dir(dir);
	images_fd = temp_dir(images);
	place.cwd = dir;
	if (chmod(dir, 0755) < 0 || chown(dir, EDITED_USER, EDITED_USER) < 0 ||
	    chmod(images, 0755) < 0)
		return 1;
	leave_socket(dir);
	edited_run(&place, images, argv[0], &test);
	ok(lstat(roots_socket, &st) == 0 && S_ISSOCK(st.st_mode) &&
		   st.st_uid == 0,
	   "another's socket is where it was");
	temp_dir_remove(dir);
	temp_dir_remove(images);
	return done_testing();
}
