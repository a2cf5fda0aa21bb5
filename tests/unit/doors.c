/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Servers that accept late are stopped last, whatever they wait for. */
#include "engine/doors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/children.h"
#include "tests/lib/tap.h"
#include "util/clock.h"

#define PATIENCE (5 * NSEC_PER_SEC)

enum { ASKED, SERVED, STUCK };

static struct sockaddr_un at = { .sun_family = AF_UNIX };

static int make_door(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1,
		       "jobcr-doors-%d", (int)getpid());
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, 5) < 0)
		diag("no socket that listens");
	return fd;
}

/* It has the server's socket, too, as children of a server do. */
static void be_client(void)
{
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		char byte = 0;

		if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
		    send(fd, "?", 1, MSG_NOSIGNAL) == 1)
			counters[ASKED]++;
		(void)recv(fd, &byte, 1, 0);
		close(fd);
	}
}

/* Before it accepts it waits for a child of vfork, each time. */
static void be_server(int door)
{
	while (!counters[STUCK]) {
		pid_t pid = vfork();
		int fd;

		if (pid == 0) {
			usleep(20000);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		fd = accept(door, NULL, NULL);
		(void)send(fd, "!", 1, MSG_NOSIGNAL);
		close(fd);
		counters[SERVED]++;
	}
	for (;;)
		pause();
}

static pid_t start(void)
{
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0) {
		int door = make_door();

		if (fork_bound() == 0)
			be_client();
		be_server(door);
	}
	await_count(SERVED, 2);
	return root;
}

/* Freeze as usual, find the doors, let all go on. */
static bool find(const struct tree_members *members, struct doors *d)
{
	struct refusals no = { 0 };
	struct frozen_tree tree;
	struct collection c;
	struct err err = { 0 };
	int r;

	if (tree_freeze(members, DEADLINE, &tree, &err) < 0) {
		diag("freeze: %s", err.text);
		return false;
	}
	r = collect(&tree, true, NULL, &c, &err);
	/* As the checks of sockets name who waits; there may be zombies. */
	for (size_t i = 0; i < c.ntasks; i++)
		if (!c.tasks[i].frozen->zombie &&
		    c.tasks[i].view.pid != members->root_pid)
			refusals_add(&no, c.tasks[i].view.ns_pid, "", 100, "",
				     "waits");
	r = r < 0 ? r : doors_find(d, &c, &no, &err);
	collection_done(&c);
	refusals_done(&no);
	tree_thaw(&tree, &err);
	tree_free(&tree);
	if (r < 0)
		diag("%s", err.text);
	return r == 0;
}

static void test_last(void)
{
	struct tree_members members = { .root_pid = start() };
	int failed = 0, busy = 0;
	struct doors d = { 0 };
	struct err err = { 0 };

	for (int i = 0; i < 100 && !d.count; i++)
		find(&members, &d);
	ok(d.count >= 2 && d.nclients == 1 && doors_has(&d, members.root_pid),
	   "a server at which somebody waits is found, who holds it too");
	for (int i = 0; i < 20; i++) {
		struct frozen_tree tree;
		uint64_t served = counters[SERVED];

		if (tree_freeze_last(&members, DEADLINE, &d, PATIENCE, &tree,
				     &err) < 0) {
			diag("%s", err.text);
			failed++;
			continue;
		}
		busy += doors_busy(&d);
		tree_thaw(&tree, &err);
		tree_free(&tree);
		await_count(SERVED, served + 2);
	}
	ok(!failed, "its tree is frozen, also while it waits in vfork");
	ok(!busy, "and nobody waits to be accepted then (%d of 20)", busy);
	doors_done(&d);
	end(members.root_pid);
}

static void test_never(void)
{
	struct tree_members members = { .root_pid = start() };
	struct doors d = { 0 };
	struct err err = { 0 };
	struct frozen_tree tree;
	uint64_t began;

	counters[STUCK] = 1;
	for (int i = 0; i < 1000 && !d.count; i++) {
		find(&members, &d);
		nap_ms(1);
	}
	/* It is stuck when this does not change. */
	for (uint64_t seen = 0; seen != counters[SERVED]; nap_ms(100))
		seen = counters[SERVED];
	began = clock_monotonic_ns();
	if (ok(tree_freeze_last(&members, DEADLINE, &d, NSEC_PER_SEC / 10,
				&tree, &err) == 0,
	       "a server that never accepts is frozen, too: %s", err.text)) {
		ok(doors_busy(&d), "who waits there does so still");
		ok(clock_monotonic_ns() - began < 5 * NSEC_PER_SEC,
		   "after the time that it was given");
		tree_thaw(&tree, &err);
		tree_free(&tree);
	}
	doors_done(&d);
	end(members.root_pid);
}

int main(void)
{
	children_init();
	test_last();
	test_never();
	return done_testing();
}
