/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches of a directory, a file, a renamed one, a link itself, one that works
 * once; numbers with gaps; two groups, shared, watched, not blocking.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/victim.h"

static int group, other;

static void touch(const char *name)
{
	int fd = open(victim_path(name), O_RDWR | O_CREAT | O_APPEND, 0600);

	victim_need(fd >= 0 && write(fd, "x", 1) == 1, name);
	close(fd);
}

static int watch(int fd, const char *name, uint32_t mask)
{
	int number = inotify_add_watch(fd, victim_path(name), mask);

	victim_need(number > 0, name);
	return number;
}

/* The next event of a group is this one. */
static void expect(int fd, int number, uint32_t mask, const char *name)
{
	union {
		struct inotify_event e;
		char room[4096];
	} u = { .e = { 0 } };
	ssize_t n = read(fd, &u, sizeof(u.e) + (*name ? 16 : 0));

	if (!victim_check(n >= (ssize_t)sizeof(u.e), "watch %d: no event: %s",
			  number, strerror(errno)))
		return;
	victim_check(u.e.wd == number && u.e.mask == mask &&
			     !strcmp(u.e.len ? u.e.name : "", name),
		     "watch %d, mask %#x: watch %d, mask %#x, \"%s\"", number,
		     mask, u.e.wd, u.e.mask, u.e.len ? u.e.name : "");
}

static void expect_nothing(const char *when)
{
	char room[4096];

	victim_check(read(group, room, sizeof(room)) < 0 && errno == EAGAIN,
		     "an event %s", when);
}

int main(void)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 5 };
	char old[4096];
	int dir, file, readers, moved, link, once, gap, far = 0, copy, ep, last;

	victim_need(mkdir(victim_path("dir"), 0700) == 0 &&
			    mkdir(victim_path("a b"), 0700) == 0 &&
			    mkdir(victim_path("read"), 0700) == 0,
		    "mkdir");
	touch("file");
	touch("dir/before");
	touch("once");
	victim_need(symlink("nowhere", victim_path("link")) == 0, "symlink");
	group = inotify_init1(IN_NONBLOCK);
	other = inotify_init1(IN_CLOEXEC);
	gap = watch(group, "once", IN_OPEN);
	dir = watch(group, "dir", IN_CREATE | IN_MOVED_FROM | IN_ONLYDIR);
	file = watch(group, "file", IN_MODIFY | IN_EXCL_UNLINK);
	moved = watch(group, "dir/before", IN_ATTRIB);
	link = watch(group, "link", IN_DELETE_SELF | IN_DONT_FOLLOW);
	victim_need(inotify_rm_watch(group, gap) == 0, "inotify_rm_watch");
	expect(group, gap, IN_IGNORED, "");
	once = watch(group, "once", IN_MODIFY | IN_ONESHOT);
	while (far < 1000) {
		far = watch(group, "a b", IN_CREATE | IN_MOVED_TO);
		if (far < 1000)
			victim_need(inotify_rm_watch(group, far) == 0, "rm");
		if (far < 1000)
			expect(group, far, IN_IGNORED, "");
	}
	victim_need(watch(other, "file", IN_MODIFY) == 1, "another group");
	/* Nobody has a file open there. */
	readers = watch(group, "read", IN_ALL_EVENTS | IN_EXCL_UNLINK);
	snprintf(old, sizeof(old), "%s", victim_path("dir/before"));
	victim_need(rename(old, victim_path("a b/after")) == 0, "rename");
	expect(group, dir, IN_MOVED_FROM, "before");
	expect(group, far, IN_MOVED_TO, "after");
	expect_nothing("before");
	copy = dup(group);
	ep = epoll_create1(0);
	victim_need(epoll_ctl(ep, EPOLL_CTL_ADD, group, &e) == 0, "epoll");

	victim_wait();

	expect_nothing("of nobody's doing");
	victim_check(fcntl(other, F_GETFD) == FD_CLOEXEC &&
			     !(fcntl(other, F_GETFL) & O_NONBLOCK),
		     "flags of the other group");
	touch("dir/new");
	victim_check(epoll_wait(ep, &e, 1, 1000) == 1 && e.data.u64 == 5,
		     "epoll does not see it");
	expect(copy, dir, IN_CREATE, "new");
	touch("file");
	expect(group, file, IN_MODIFY, "");
	expect(other, 1, IN_MODIFY, "");
	victim_check(chmod(victim_path("a b/after"), 0400) == 0, "chmod");
	expect(group, moved, IN_ATTRIB, "");
	victim_check(unlink(victim_path("link")) == 0, "unlink");
	expect(group, link, IN_DELETE_SELF, "");
	expect(group, link, IN_IGNORED, "");
	touch("once");
	expect(group, once, IN_MODIFY, "");
	expect(group, once, IN_IGNORED, "");
	touch("once");
	rmdir(victim_path("read"));
	expect(group, readers, IN_DELETE_SELF, "");
	expect(group, readers, IN_IGNORED, "");
	touch("a b/more");
	expect(group, far, IN_CREATE, "more");
	last = inotify_add_watch(group, victim_path("once"), IN_OPEN);
	victim_check(last > readers, "the next watch is %d", last);
	expect_nothing("too many");
	victim_verdict(victim_interrupts == 0, "watches go on");
}
