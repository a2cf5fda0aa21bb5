// SPDX-License-Identifier: GPL-2.0-or-later
/* Open files, saved and made again within this process. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "images/tags.h"
#include "tests/lib/rig.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/io.h"

static void went_round(struct rig *rig, const int *fds, size_t count,
		       const char *what)
{
	struct err err;
	int r = rig_round_trip(rig, fds, count, &err);

	ok(r == 0, "%s: %s", what, r ? err.text : "saved and made again");
}

static void test_eventfd(void)
{
	auto_close int sem = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
	auto_close int plain = eventfd(0, 0);
	uint64_t most = UINT64_MAX - 1, v = 0;
	int fds[] = { sem, plain };
	struct rig rig;

	ok(write(sem, &(uint64_t){ 2 }, 8) == 8 && write(plain, &most, 8) == 8,
	   "counts are set");
	rig_init(&rig);
	went_round(&rig, fds, 2, "eventfds");
	ok(read(rig.made[1], &v, 8) == 8 && v == 1 &&
		   read(rig.made[1], &v, 8) == 8 && v == 1 &&
		   read(rig.made[1], &v, 8) < 0 && errno == EAGAIN,
	   "a semaphore gives one at a time, and does not block");
	ok(read(rig.made[2], &v, 8) == 8 && v == most,
	   "the largest count is kept");
	rig_done(&rig);
}

static void test_timerfd(void)
{
	auto_close int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	struct itimerspec its = { { 0, 1000000 }, { 0, 1 } }, now;
	uint64_t seen[2] = { 0 };
	struct rig rig;
	bool both;

	timerfd_settime(fd, 0, &its, NULL);
	usleep(20000);
	rig_init(&rig);
	went_round(&rig, &fd, 1, "timerfd");
	ok(timerfd_gettime(rig.made[1], &now) == 0 &&
		   now.it_interval.tv_nsec == 1000000 &&
		   now.it_value.tv_nsec > 0,
	   "a periodic timer goes on");
	both = read(rig.made[1], &seen[0], 8) == 8 &&
	       read(fd, &seen[1], 8) == 8;
	ok(both && seen[0] >= 19 && seen[1] >= seen[0],
	   "ticks that nobody read are kept (%llu, original %llu)",
	   (unsigned long long)seen[0], (unsigned long long)seen[1]);
	rig_done(&rig);
}

static void test_timerfd_absolute(void)
{
	auto_close int fd = timerfd_create(CLOCK_BOOTTIME, 0);
	struct itimerspec its = { .it_value = { 1u << 30, 5 } }, a, b;
	struct rig rig;
	int64_t difference;

	timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL);
	rig_init(&rig);
	went_round(&rig, &fd, 1, "timerfd");
	timerfd_gettime(fd, &a);
	timerfd_gettime(rig.made[1], &b);
	difference = (a.it_value.tv_sec - b.it_value.tv_sec) * 1000000000ll +
		     a.it_value.tv_nsec - b.it_value.tv_nsec;
	ok(difference > -20000000 && difference < 20000000,
	   "an absolute deadline stays (%lld ns off)", (long long)difference);
	rig_done(&rig);
}

static void test_signalfd(void)
{
	uint64_t want = 1ull << 63 | 1ull << 9, mask = 0;
	auto_close int fd =
		(int)syscall(__NR_signalfd4, -1, &want, 8, SFD_NONBLOCK);
	auto_free char *text = NULL;
	char name[64];
	struct rig rig;
	struct err err = { 0 };
	size_t len;

	rig_init(&rig);
	went_round(&rig, &fd, 1, "signalfd");
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", rig.made[1]);
	ok(read_file_at(AT_FDCWD, name, 4096, &text, &len, &err) == 0 &&
		   proc_text_u64(text, "sigmask", 16, &mask, &err) == 0 &&
		   mask == want,
	   "its mask is kept");
	rig_done(&rig);
}

static void test_pipe(void)
{
	int ends[2], fds[2], size = 0;
	char buf[64] = "";
	struct rig rig;
	struct stat st;

	ok(pipe2(ends, O_NONBLOCK) == 0 &&
		   fcntl(ends[0], F_SETPIPE_SZ, 1 << 18) == 1 << 18 &&
		   write(ends[1], "pipe contents", 13) == 13,
	   "a pipe holds data");
	fcntl(ends[1], F_SETFL, 0);
	fds[0] = ends[1];
	fds[1] = ends[0];
	rig_init(&rig);
	went_round(&rig, fds, 2, "pipe");
	ok(fcntl(rig.made[1], F_GETPIPE_SZ) == 1 << 18, "its size is kept");
	ok(fcntl(rig.made[2], F_GETFL) & O_NONBLOCK &&
		   !(fcntl(rig.made[1], F_GETFL) & O_NONBLOCK),
	   "each end has its own O_NONBLOCK");
	ok(ioctl(ends[0], FIONREAD, &size) == 0 && size == 13,
	   "nothing was taken from the original");
	ok(read(rig.made[2], buf, sizeof(buf)) == 13 &&
		   !strcmp(buf, "pipe contents"),
	   "the contents are kept");
	ok(fstat(rig.made[2], &st) == 0 && st.st_uid == getuid(),
	   "it belongs to the user");
	close(rig.made[1]);
	rig.made[1] = -1;
	cleanup_close(&rig.made[OBJECTS / 2 + 1]);
	ok(read(rig.made[2], buf, sizeof(buf)) == 0,
	   "it ends when its writer is gone");
	close(ends[0]);
	close(ends[1]);
	rig_done(&rig);
}

static void test_packets(void)
{
	int ends[2];
	char buf[64];
	struct rig rig;

	ok(pipe2(ends, O_NONBLOCK | O_DIRECT) == 0 &&
		   write(ends[1], "one", 3) == 3 &&
		   write(ends[1], "second", 6) == 6,
	   "a pipe holds packets");
	rig_init(&rig);
	went_round(&rig, ends, 2, "pipe");
	ok(read(rig.made[1], buf, sizeof(buf)) == 3 &&
		   read(rig.made[1], buf, 2) == 2 &&
		   read(rig.made[1], buf, sizeof(buf)) < 0,
	   "packets stay apart, and the rest of one is dropped");
	close(ends[0]);
	close(ends[1]);
	rig_done(&rig);
}

static void test_file(const char *dir)
{
	char path[128], buf[8] = "";
	auto_close int fd = -EBADF, twin = -EBADF;
	struct rig rig;
	struct err err = { 0 };
	int fds[2], r;

	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_SYNC, 0600);
	twin = open(path, O_RDONLY | O_NOATIME);
	ok(write(fd, "0123456789", 10) == 10 && lseek(fd, 3, SEEK_SET) == 3 &&
		   flock(fd, LOCK_EX) == 0,
	   "a file is open twice");
	fds[0] = fd;
	fds[1] = twin;
	rig_init(&rig);
	r = rig_round_trip(&rig, fds, 2, &err);
	ok(r == -EAGAIN && strstr(err.text, "lock"),
	   "a lock that another holds now is told: %s", err.text);
	rig_done(&rig);
	flock(fd, LOCK_UN);
	rig_init(&rig);
	went_round(&rig, fds, 2, "files");
	ok(read(rig.made[1], buf, 2) == 2 && !strcmp(buf, "34"),
	   "its position is kept");
	ok((fcntl(rig.made[1], F_GETFL) & (O_ACCMODE | O_SYNC)) ==
			   (O_RDWR | O_SYNC) &&
		   (fcntl(rig.made[2], F_GETFL) & O_NOATIME),
	   "its flags are kept");
	rig_done(&rig);
}

static void test_changed(const char *dir)
{
	char path[128];
	auto_close int fd = -EBADF, other = -EBADF;
	struct rig rig;
	struct err err = { 0 };
	int r;

	snprintf(path, sizeof(path), "%s/input", dir);
	other = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	fd = open(path, O_RDONLY);
	rig_init(&rig);
	rig.fds[1] = fd;
	r = rig_save(&rig, 1, &err);
	ok(r == 0 && write(other, "x", 1) == 1,
	   "an input changes after the snapshot %s", err.text);
	r = rig_restore(&rig, &err);
	ok(r == -ESTALE && strstr(err.text, path),
	   "and is refused at the restore: %s", err.text);
	rig_done(&rig);
}

static void test_ghost(const char *dir)
{
	char path[128], buf[16] = "";
	auto_close int fd = -EBADF, reader = -EBADF;
	struct stat st, now;
	struct rig rig;
	int fds[2];

	snprintf(path, sizeof(path), "%s/ghost", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0640);
	reader = open(path, O_RDONLY);
	unlink(path);
	ok(pwrite(fd, "end", 3, 10000) == 3, "an unlinked file has contents");
	futimens(fd, (struct timespec[2]){ { 5, 6 }, { 7, 8 } });
	fstat(fd, &st);
	fds[0] = fd;
	fds[1] = reader;
	rig_init(&rig);
	went_round(&rig, fds, 2, "ghost");
	ok(fstat(rig.made[1], &now) == 0 && now.st_size == 10003 &&
		   now.st_mode == st.st_mode && !now.st_nlink &&
		   now.st_mtim.tv_sec == 7 && now.st_mtim.tv_nsec == 8,
	   "size, mode and time are kept, and it has no name");
	ok(pread(rig.made[2], buf, 16, 10000) == 3 && !strcmp(buf, "end") &&
		   pwrite(rig.made[1], "END", 3, 10000) == 3 &&
		   pread(rig.made[2], buf, 16, 10000) == 3 &&
		   !strcmp(buf, "END"),
	   "both descriptors see one file");
	rig_done(&rig);
}

static void test_carried(const char *dir)
{
	char path[128], buf[16] = "";
	auto_close int fd = -EBADF;
	struct rig rig;
	struct err err = { 0 };
	bool done;

	snprintf(path, sizeof(path), "%s/script", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0700);
	ok(write(fd, "echo", 4) == 4, "a file of this node");
	rig_init(&rig);
	rig.carry[0] = dir;
	rig.fds[1] = fd;
	done = rig_save(&rig, 1, &err) == 0 && unlink(path) == 0 &&
	       rig_restore(&rig, &err) == 0;
	ok(done, "is carried to where it is missing %s", err.text);
	ok(pread(rig.made[1], buf, 16, 0) == 4 && !strcmp(buf, "echo") &&
		   lseek(rig.made[1], 0, SEEK_CUR) == 4,
	   "with its contents");
	rig_done(&rig);
}

/* A way to a file is no right to what is in it. */
static void test_contents(const char *dir)
{
	const struct user_id nobody = { .uid = 65534, .gid = 65534 };
	static const int ways[] = { O_PATH, O_WRONLY, O_RDWR };
	char path[128];
	auto_close int made = -EBADF;

	snprintf(path, sizeof(path), "%s/others", dir);
	made = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(ways); i++) {
		const int way = ways[i / 2];
		const bool may = i % 2 || way == O_RDWR;
		auto_close int fd = open(path, way);
		struct err err = { 0 };
		struct rig rig;
		int r;

		fchmod(made, i % 2 ? 0604 : 0600);
		rig_init(&rig);
		rig.carry[0] = dir;
		rig.owner = &nobody;
		rig.fds[1] = fd;
		r = rig_save(&rig, 1, &err);
		ok(may ? r == 0
		       : r == -ENOTSUP && rig.no.count == 1 &&
				   strstr(rig.no.list[0].what,
					  "may not read it"),
		   "contents by %#o of another's file %s: %s",
		   (unsigned int)way, may ? "travel" : "are refused",
		   rig.no.count ? rig.no.list[0].what : err.text);
		rig_done(&rig);
	}
	unlink(path);
}

static void test_epoll(void)
{
	auto_close int ep = epoll_create1(0), inner = epoll_create1(0);
	auto_close int ready = eventfd(1, 0), idle = eventfd(0, 0);
	struct epoll_event e = { EPOLLIN | EPOLLET, { .u64 = ~0ull } };
	struct epoll_event spent = { EPOLLOUT | EPOLLONESHOT, { .u64 = 7 } };
	struct epoll_event got[4];
	int fds[] = { ep, ready, idle, inner };
	struct rig rig;

	epoll_ctl(inner, EPOLL_CTL_ADD, idle, &spent);
	epoll_wait(inner, got, 4, 0);
	epoll_ctl(ep, EPOLL_CTL_ADD, ready, &e);
	e.data.u64 = 1;
	epoll_ctl(ep, EPOLL_CTL_ADD, inner, &e);
	rig_init(&rig);
	went_round(&rig, fds, 4, "epoll");
	ok(epoll_wait(rig.made[1], got, 4, 0) == 1 &&
		   got[0].data.u64 == ~0ull && got[0].events == EPOLLIN,
	   "what is ready is told, with its 64 bits");
	ok(epoll_wait(rig.made[1], got, 4, 0) == 0, "once, by its edge");
	ok(epoll_wait(rig.made[4], got, 4, 0) == 0,
	   "a one-shot entry that has fired stays silent");
	ok(epoll_ctl(rig.made[4], EPOLL_CTL_MOD, idle, &spent) < 0 &&
		   dup2(rig.made[3], idle) == idle &&
		   epoll_ctl(rig.made[4], EPOLL_CTL_MOD, idle, &spent) == 0 &&
		   epoll_wait(rig.made[4], got, 4, 0) == 1,
	   "and is armed again under the number it had");
	rig_done(&rig);
}

static void test_chardev(void)
{
	auto_close int fd = open("/dev/zero", O_RDWR | O_NONBLOCK);
	struct rig rig;
	char c = 1;

	rig_init(&rig);
	went_round(&rig, &fd, 1, "/dev/zero");
	ok(read(rig.made[1], &c, 1) == 1 && !c &&
		   (fcntl(rig.made[1], F_GETFL) & O_NONBLOCK),
	   "zeros are read from it");
	rig_done(&rig);
}

static void refused(int fd, const char *what)
{
	struct rig rig;
	struct err err = { 0 };
	int r;

	rig_init(&rig);
	rig.fds[1] = fd;
	r = rig_save(&rig, 1, &err);
	ok(r == -ENOTSUP && rig.no.count == 1 &&
		   strstr(rig.no.list[0].what, what) &&
		   rig.no.list[0].remedy[0],
	   "%s is refused: %s (%s)", what,
	   rig.no.count ? rig.no.list[0].what : err.text,
	   rig.no.count ? rig.no.list[0].remedy : "");
	rig_done(&rig);
	if (fd >= 0)
		close(fd);
}

static void test_refusals(const char *dir)
{
	char path[128], other[128];
	int fd, ends[2];

	refused(socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP), "Multipath TCP");
	refused(socket(AF_UNIX, SOCK_DGRAM, 0), "Unix datagram socket");
	refused(socket(AF_NETLINK, SOCK_RAW, 0), "netlink socket");
	refused(inotify_init1(0), "inotify");
	refused((int)syscall(__NR_pidfd_open, getpid(), 0), "pidfd");
	refused(open("/proc/self/ns/net", O_RDONLY), "namespace");
	refused(open("/proc/self/maps", O_RDONLY), "/maps is not kept");
	refused(open("/proc/1/stat", O_RDONLY), "/proc/1/stat");
	refused(open("/dev/ptmx", O_RDWR | O_NOCTTY), "character device 5:2");
	refused((int)syscall(__NR_memfd_create, "m", 0), "memfd");

	snprintf(path, sizeof(path), "%s/gone", dir);
	snprintf(other, sizeof(other), "%s/link", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (link(path, other) == 0 && unlink(path) == 0)
		refused(fd, "not at that path");
	mkdir(path, 0700);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	rmdir(path);
	refused(fd, "removed directory");
	fd = open(other, O_RDWR);
	ok(fcntl(fd, F_SETLEASE, F_WRLCK) == 0, "a lease for writing");
	refused(fd, "lease");
	if (pipe(ends) == 0) {
		fcntl(ends[0], F_SETOWN, 1);
		refused(ends[0], "sends signals to 1");
		close(ends[1]);
	}
}

static void test_outside(void)
{
	char name[64], link[64] = "";
	struct rig rig;
	struct err err = { 0 };
	int ends[2], r;

	if (pipe(ends) < 0)
		return;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[0]);
	if (readlink(name, link, sizeof(link) - 1) < 0)
		return;
	rig_init(&rig);
	rig.outside = link;
	rig.fds[1] = ends[1];
	r = rig_save(&rig, 1, &err);
	ok(r == -ENOTSUP && rig.no.count == 1 &&
		   strstr(rig.no.list[0].what, "process 1 ("),
	   "a pipe to another process is refused: %s",
	   rig.no.count ? rig.no.list[0].what : err.text);
	rig_done(&rig);
	close(ends[0]);
	close(ends[1]);
}

static int put_and_restore(struct rig *rig, const ProtobufCMessage *first,
			   const ProtobufCMessage *second, uint32_t tag,
			   struct err *err)
{
	struct img_sink sink = { .write = rig_write, .arg = rig };

	memset(err, 0, sizeof(*err));
	if (img_put(&sink, TAG_FILE, first, err) < 0 ||
	    img_put(&sink, tag, second, err) < 0)
		return -EIO;
	return rig_restore(rig, err);
}

/* What we open with our rights must be ours: an image may say otherwise. */
static void test_crafted(void)
{
	FileRecord file = FILE_RECORD__INIT, ghost = FILE_RECORD__INIT;
	OpenFile target = OPEN_FILE__INIT, opened = OPEN_FILE__INIT;
	PipeEndRecord end = PIPE_END_RECORD__INIT;
	struct rig rig;
	struct err err;
	int r;

	target.object = 1;
	target.flags = O_PATH;
	file.open = ghost.open = &target;
	file.path.data = ghost.path.data = (uint8_t *)"/etc/passwd";
	file.path.len = ghost.path.len = strlen("/etc/passwd");
	file.mode = S_IFREG;
	opened.object = 2;
	opened.flags = O_RDWR;
	end.open = ghost.open = &opened;
	end.pipe = 1;
	rig_init(&rig);
	r = put_and_restore(&rig, &file.base, &end.base, TAG_PIPE_END, &err);
	ok(r == -EBADMSG && rig.made[2] < 0,
	   "a file is not opened as an end of a pipe: %s", err.text);
	rig_done(&rig);
	ghost.has_ghost = 1;
	ghost.ghost = 1;
	rig_init(&rig);
	r = put_and_restore(&rig, &file.base, &ghost.base, TAG_FILE, &err);
	ok(r == -EBADMSG && rig.made[2] < 0,
	   "nor as contents that travelled: %s", err.text);
	rig_done(&rig);
}

/* With an upper layer in which there is nothing yet. */
static bool mount_overlay(const char *upper, const char *work)
{
	char options[128];

	snprintf(options, sizeof(options),
		 "lowerdir=lower,upperdir=%s,workdir=%s,index=off", upper,
		 work);
	return mkdir(upper, 0755) == 0 && mkdir(work, 0755) == 0 &&
	       mount("overlay", "merged", "overlay", 0, options) == 0;
}

/* What has a second link is another file when it is copied up. */
static bool make_lower(const char *dir)
{
	auto_close int fd = -EBADF;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, NULL) < 0 || chdir(dir) < 0 ||
	    mkdir("lower", 0755) < 0 || mkdir("merged", 0755) < 0)
		return false;
	fd = open("lower/file", O_WRONLY | O_CREAT, 0600);
	return write(fd, "0123456789", 10) == 10 &&
	       link("lower/file", "lower/twin") == 0;
}

/* The node that it is restored on has only the lower layer's file so far. */
static void test_copied_up(const char *dir)
{
	char path[128], buf[8] = "";
	struct stat before, after;
	struct rig rig;
	struct err err = { 0 };
	int fd, r;

	snprintf(path, sizeof(path), "%s/merged/file", dir);
	if (!make_lower(dir) || !mount_overlay("one", "one.work")) {
		diag("no overlayfs: %s", strerror(errno));
		return;
	}
	fd = open(path, O_RDWR);
	(void)lseek(fd, 3, SEEK_SET);
	rig_init(&rig);
	rig.fds[1] = fd;
	r = rig_save(&rig, 1, &err);
	ok(r == 0, "a file of an overlay is saved: %s", err.text);
	close(fd);
	(void)umount("merged");
	(void)mount_overlay("two", "two.work");
	(void)stat(path, &before);
	r = rig_restore(&rig, &err);
	ok(r == 0 && read(rig.made[1], buf, 2) == 2 && !strcmp(buf, "34"),
	   "elsewhere it is copied up as it is opened: %s", r ? err.text : "");
	ok(r == 0 && fstat(rig.made[1], &after) == 0 &&
		   before.st_ino != after.st_ino,
	   "and is another file then");
	rig_done(&rig);
	(void)chdir("/");
	(void)umount2(dir, MNT_DETACH);
}

int main(void)
{
	char dir[] = "/tmp/jobcr-files.XXXXXX";
	char path[64];

	if (geteuid() != 0)
		skip_all("needs root");
	if (!mkdtemp(dir))
		skip_all("no temporary directory");
	test_eventfd();
	test_timerfd();
	test_timerfd_absolute();
	test_signalfd();
	test_pipe();
	test_packets();
	test_file(dir);
	test_changed(dir);
	test_ghost(dir);
	test_carried(dir);
	test_contents(dir);
	test_epoll();
	test_chardev();
	test_refusals(dir);
	test_outside();
	test_crafted();
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "file", "input", "link" };

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	test_copied_up(dir);
	ok(rmdir(dir) == 0, "nothing is left behind");
	return done_testing();
}
