/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says of pages that were written to, and of memory that is
 * not what it was; and how what makes it say so travels.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/userfault.h"
#include "kernel/written.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/watches.h"

#define PAGE  4096ul
#define PAGES 64ul

static uint8_t *memory;
static int watch_fd, pagemap_fd;

static uint64_t address(size_t page)
{
	return (uint64_t)(uintptr_t)memory + page * PAGE;
}

/* A bit for each page that is there and was written; or -errno. */
static int64_t written(bool arm)
{
	struct page_run runs[PAGES];
	uint64_t next, bits = 0;
	size_t n;
	int r = written_scan(pagemap_fd, address(0), address(PAGES), arm, runs,
			     PAGES, &n, &next);

	if (r < 0 || next != address(PAGES))
		return r < 0 ? r : -EIO;
	for (size_t i = 0; i < n; i++)
		for (uint64_t at = runs[i].start; at < runs[i].end; at += PAGE)
			if (runs[i].written)
				bits |= 1ull << ((at - address(0)) / PAGE);
	return (int64_t)bits;
}

static void map(size_t pages)
{
	memory = mmap(memory, pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | (memory ? MAP_FIXED : 0),
		      -1, 0);
	(void)madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
}

static void test_writes(void)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	ok(written(false) == -EPERM, "memory that is not watched says so");
	memset(memory, 1, 8 * PAGE);
	ok(written_watch(watch_fd, address(0), address(PAGES)) == 0 &&
		   written(true) == 0xff,
	   "at first all that is there is written");
	ok(written(true) == 0, "and then nothing");
	memory[2 * PAGE] = 2;
	ok(written(false) == 1 << 2 && written(true) == 1 << 2 &&
		   written(true) == 0,
	   "a page that is written to, until it is looked at");
	memory[20 * PAGE] = 1;
	ok(written(true) == 1 << 20, "one that was not there before");
	(void)!read(zero, memory + 3 * PAGE, 10);
	ok(written(true) == 1 << 3, "one that the kernel writes to");
	(void)madvise(memory + 4 * PAGE, PAGE, MADV_DONTNEED);
	ok(written(true) == 0, "one that was given back is not there");
	memory[4 * PAGE] = 7;
	ok(written(true) == 1 << 4, "and is written when it is again");
	ok(mprotect(memory, PAGES * PAGE, PROT_READ) == 0 &&
		   mprotect(memory, PAGES * PAGE, PROT_READ | PROT_WRITE) ==
			   0 &&
		   written(true) == 0,
	   "protecting it is no write");
	close(zero);
}

static void test_others(void)
{
	uint8_t *spare = mmap(NULL, PAGES * PAGE, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *home = memory;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		auto_close int own = open("/proc/self/pagemap", O_RDONLY);

		pagemap_fd = own;
		_exit(written(false) == -EPERM ? 0 : 1);
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0 && written(true) == 0,
	   "a child's memory is not watched, and its parent's still is");
	memory = mremap(home, PAGES * PAGE, PAGES * PAGE,
			MREMAP_MAYMOVE | MREMAP_FIXED, spare);
	ok(memory == spare && written(false) == -EPERM,
	   "memory that was moved is not watched");
	memory = home;
	map(PAGES);
	ok(written(false) == -EPERM, "nor is what was mapped in its place");
	(void)munmap(spare, PAGES * PAGE);
}

static void test_leaving(void)
{
	memset(memory, 1, PAGES * PAGE);
	ok(written_watch(watch_fd, address(0), address(PAGES)) == 0 &&
		   written_watch(watch_fd, address(0), address(PAGES)) == 0 &&
		   written(true) == -1,
	   "to watch it twice is no harm");
	ok(written_leave(watch_fd, address(0), address(PAGES)) == 0 &&
		   written(false) == -EPERM,
	   "it may be left");
}

static void test_travel(void)
{
	struct watches w = { .generation = 7 }, got = { 0 };
	struct err err = { 0 };
	auto_close int sock = -EBADF;

	watches_add(&w, 10, 100, open("/dev/null", O_CLOEXEC));
	watches_add(&w, 11, 110, open("/dev/zero", O_CLOEXEC));
	w.digest[31] = 3;
	ok(watches_pack(&w, &sock, &err) == 0, "watches go into a socket");
	watches_done(&w);
	ok(watches_unpack(sock, &got, &err) == 0 && got.count == 2 &&
		   got.generation == 7 && got.digest[31] == 3 &&
		   watches_find(&got, 11, 110) == got.fds[1],
	   "and come out of it");
	ok(watches_find(&got, 11, 111) == -1 && watches_find(&got, 12, 1) == -1,
	   "those of a process that had the number before are not its own");
	watches_drop(&got, 10);
	ok(got.count == 1 && watches_find(&got, 11, 110) >= 0 &&
		   watches_find(&got, 10, 100) == -1,
	   "one may go");
	ok(watches_unpack(sock, &w, &err) < 0, "they come out once: %s",
	   err.text);
	watches_lose(&got, &(struct watches_lost){ 9, 4711 });
	cleanup_close(&sock);
	ok(!got.count && watches_pack(&got, &sock, &err) == 0 &&
		   watches_unpack(sock, &w, &err) == 0 && !w.count &&
		   watches_why(&w).generation == 9 &&
		   watches_why(&w).writer == 4711,
	   "why there are none travels, too");
	watches_add(&got, 1, 1, open("/dev/null", O_CLOEXEC));
	ok(!watches_why(&got).generation, "and not of some");
	watches_drop(&got, 1);
	ok(!watches_why(&got).generation, "nor of those that are not wanted");
	for (pid_t i = 0; i <= WATCHES_MAX; i++)
		watches_add(&got, i, 1, open("/dev/null", O_CLOEXEC));
	ok(got.count == WATCHES_MAX, "no more than there is room for");
	watches_done(&got);
}

static void test_hostile(void)
{
	struct watches w = { .generation = 7 }, got = { 0 };
	struct err err = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	ok(write(pair[1], "watches", 7) == 7 &&
		   watches_unpack(pair[0], &got, &err) == -EBADMSG,
	   "what is none of ours: %s", err.text);
	w.count = 5;
	for (size_t i = 0; i < w.count; i++)
		w.fds[i] = pair[1];
	ok(watches_send(&w, pair[1], &err) == 0 &&
		   watches_unpack(pair[0], &got, &err) == 0 && got.count == 5,
	   "five of them");
	watches_done(&got);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	struct err err = { 0 };

	test_travel();
	test_hostile();
	if (!written_supported()) {
		skip("this kernel does not tell what was written");
		return done_testing();
	}
	watch_fd = (int)syscall(SYS_userfaultfd, USERFAULT_FLAGS);
	pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ok(watch_fd >= 0 && written_begin(watch_fd, &err) == 0,
	   "a userfaultfd without any right");
	map(PAGES);
	test_writes();
	test_others();
	test_leaving();
	return done_testing();
}
