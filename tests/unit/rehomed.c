// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a snapshot says of addresses that may move, ports that may change and
 * peers that are to be reset, edited well by its owner: it gets no address,
 * port or connection that the user's own programs could not have.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/copy.h"
#include "../lib/drive.h"
#include "../lib/edit.h"
#include "../lib/own_network.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "images/net.pb-c.h"
#include "images/part.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"

#define USER 65534

/* The job: something that listens, a connection, one whose end is closed. */
static int be_job(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int from = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&at, len) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &len) < 0 ||
	    connect(from, (struct sockaddr *)&at, len) < 0 ||
	    accept(listener, NULL, NULL) < 0 || write(from, "abc", 3) != 3)
		return 1;
	printf("up\n");
	fflush(stdout);
	for (;;)
		pause();
}

static TcpEnd *end_of(ProtobufCMessage *msg, int which)
{
	return ((TcpConnectionRecord *)msg)->ends[which];
}

static void put_prefix(SocketAddress *a, uint32_t prefix)
{
	a->has_prefix = 1;
	a->prefix = prefix;
}

static void long_prefix(ProtobufCMessage *msg)
{
	put_prefix(end_of(msg, 0)->local, 33);
}

static void far_in_any_network(ProtobufCMessage *msg)
{
	memcpy(end_of(msg, 1)->local->host.data, "\300\0\2\1", 4);
	put_prefix(end_of(msg, 1)->local, 0);
}

static void broadcast(ProtobufCMessage *msg)
{
	memset(end_of(msg, 1)->local->host.data, 255, 4);
	put_prefix(end_of(msg, 1)->local, 0);
}

static void low_any_port(ProtobufCMessage *msg)
{
	end_of(msg, 0)->local->port = 22;
	end_of(msg, 0)->has_any_port = end_of(msg, 0)->any_port = 1;
}

static void low_listener_in_network(ProtobufCMessage *msg)
{
	TcpRecord *rec = (TcpRecord *)msg;

	if (rec->kind != TCP_RECORD__KIND__LISTENING)
		return;
	rec->common->local->port = 80;
	put_prefix(rec->common->local, 8);
}

static void reset_open(ProtobufCMessage *msg)
{
	end_of(msg, 0)->has_reset = end_of(msg, 0)->reset = 1;
}

/* A process of the job has it all the same. */
static void reset_not_closed(ProtobufCMessage *msg)
{
	reset_open(msg);
	end_of(msg, 0)->closed = 1;
}

static void reset_both(ProtobufCMessage *msg)
{
	reset_not_closed(msg);
	end_of(msg, 1)->closed = 1;
	end_of(msg, 1)->has_reset = end_of(msg, 1)->reset = 1;
}

static void other_policy(ProtobufCMessage *msg)
{
	((PartRecord *)msg)->has_peers = 1;
	((PartRecord *)msg)->peers = 7;
}

static const struct edit {
	const char *what;
	uint32_t tag;
	void (*apply)(ProtobufCMessage *msg);
	const char *error; /* part of the text */
} edits[] = {
	{ "a network of 33 bits", TAG_TCP_CONNECTION, long_prefix,
	  "impossible network" },
	{ "an address of another node in a network of all", TAG_TCP_CONNECTION,
	  far_in_any_network, "192.0.2.1" },
	{ "255.255.255.255", TAG_TCP_CONNECTION, broadcast, "255.255.255.255" },
	{ "port 22, or any", TAG_TCP_CONNECTION, low_any_port, "port 22" },
	{ "a listener at port 80 of a network", TAG_TCP,
	  low_listener_in_network, "port 80" },
	{ "a reset by an end that is open", TAG_TCP_CONNECTION, reset_open,
	  "impossible connection" },
	{ "a reset by an end that a process has", TAG_TCP_CONNECTION,
	  reset_not_closed, "TCP" },
	{ "a reset by both", TAG_TCP_CONNECTION, reset_both, "TCP" },
	{ "another policy for peers", TAG_PART, other_policy, "policy 7" },
};

static void apply(void *arg, uint32_t tag, ProtobufCMessage *msg,
		  struct edit_more *ret)
{
	const struct edit *edit = arg;

	(void)ret;
	if (edit && tag == edit->tag)
		edit->apply(msg);
}

static bool is_up(const char *output)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	struct stat st;

	for (int i = 0; i < 1000; i++) {
		if (stat(output, &st) == 0 && st.st_size)
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

static int save(const struct drive_place *place, const char *program,
		const char *dir, struct err *err)
{
	char *argv[] = { (char *)program, (char *)"job", NULL };
	char *envp[] = { NULL };
	auto_free struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int r = drive_start(place, argv, envp, &job, err);

	if (r == 0 && is_up(place->output)) {
		r = drive_checkpoint(job, dir, true, o);
		*err = o->err;
	}
	drive_end(job);
	return r;
}

static void restore(const struct drive_place *place, const char *dir,
		    const struct edit *edit)
{
	auto_free struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int r = drive_restore(place, dir, &job, o);

	if (!edit)
		ok(r == 0, "only written again it is restored: %s",
		   o->err.text);
	else
		ok(r < 0 && strstr(o->err.text, edit->error),
		   "%s is not to be had: %s", edit->what,
		   r < 0 ? o->err.text : "restored");
	drive_end(job);
}

static void run(struct drive_place *place, const char *self, const char *dir)
{
	const struct edit *last = edits + ARRAY_SIZE(edits);
	const struct edit *edit = NULL;
	struct err err = { 0 };
	char path[100], copy[400], program[100], output[100];

	snprintf(path, sizeof(path), "%s/image", dir);
	snprintf(program, sizeof(program), "%s/program", dir);
	snprintf(output, sizeof(output), "%s/output", dir);
	place->output = output;
	if (!ok(copy_program(self, program) == 0 &&
			save(place, program, path, &err) == 0,
		"a user's job is saved: %s", err.text))
		return;
	snprintf(copy, sizeof(copy), "cp -a %s %s.whole", path, path);
	if (!ok(system(copy) == 0, "its snapshot is copied"))
		return;
	snprintf(copy, sizeof(copy), "rm -r %s && cp -a %s.whole %s", path,
		 path, path);
	do {
		if (snapshot_edit(path, apply, (void *)edit, &err) < 0)
			ok(false, "edit: %s", err.text);
		else
			restore(place, path, edit);
		edit = edit ? edit + 1 : edits;
	} while (edit < last && system(copy) == 0);
	ok(edit == last, "all was tried");
}

int main(int argc, char **argv)
{
	struct drive_place place = { .uid = USER, .gid = USER, .cwd = "/" };
	auto_close int dir_fd = -EBADF;
	char dir[64];

	if (argc > 1)
		return be_job();
	if (geteuid() != 0 || !own_network())
		skip_all("needs root and a network namespace");
	dir_fd = temp_dir(dir);
	if (chmod(dir, 0777) < 0)
		return 1;
	run(&place, argv[0], dir);
	temp_dir_remove(dir);
	return done_testing();
}
