/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/inlet.h"
#include "kernel/userfault.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define PAGE    4096ul
#define PAGES   64ul
#define PRESENT 5ul
#define PARTED  40ul /* another mapping begins here */

static uint8_t *map;
static uint8_t pages[PAGES * PAGE];

struct child {
	pid_t pid;
	int fd;  /* of its memory; < 0: it has none */
	int say; /* a byte: say whether all is as we have it */
	int hear;
};

static bool is_as_wanted(size_t unwritten)
{
	for (size_t i = 0; i < PAGES; i++)
		if (i != unwritten &&
		    memcmp(map + i * PAGE, pages + i * PAGE, PAGE) != 0)
			return false;
	return true;
}

static void be_child(int say, int hear)
{
	int fd = (int)syscall(SYS_userfaultfd, USERFAULT_FLAGS);
	char c;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(map + PRESENT * PAGE, 0xee, PAGE);
	if (write(say, &fd, sizeof(fd)) != sizeof(fd) || read(hear, &c, 1) != 1)
		_exit(1);
	close(fd);
	_exit(is_as_wanted(PAGES - 1) && !map[(PAGES - 1) * PAGE] ? 0 : 2);
}

static bool begin(struct child *c)
{
	int from[2], to[2], number = -1, pidfd;

	if (pipe(from) < 0 || pipe(to) < 0)
		return false;
	c->pid = fork();
	if (c->pid == 0)
		be_child(from[1], to[0]);
	c->say = to[1];
	c->hear = from[0];
	if (read(c->hear, &number, sizeof(number)) != sizeof(number))
		return false;
	pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	c->fd = number < 0 ? -1
			   : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	close(pidfd);
	return true;
}

static int put(const struct child *c, size_t page, size_t count, size_t *done)
{
	int r = inlet_put(c->fd, (uintptr_t)map + page * PAGE,
			  pages + page * PAGE, count * PAGE, done);

	*done /= PAGE;
	return r;
}

static ssize_t write_page(const struct child *c, size_t page)
{
	const struct iovec here = { pages + page * PAGE, PAGE };
	const struct iovec there = { map + page * PAGE, PAGE };
	ssize_t n = process_vm_writev(c->pid, &here, 1, &there, 1, 0);

	return n < 0 ? -errno : n;
}

static uint64_t at(size_t page)
{
	return (uintptr_t)map + page * PAGE;
}

static void test_puts(const struct child *c)
{
	size_t done;

	ok(inlet_begin(c->fd) == 0 &&
		   inlet_open(c->fd, at(0), at(PARTED)) == 0 &&
		   inlet_open(c->fd, at(PARTED), at(PAGES)) == 0,
	   "another's memory is opened");
	ok(put(c, 0, 16, &done) == -EEXIST && done == PRESENT,
	   "pages come in up to one that is there");
	ok(put(c, PRESENT, 1, &done) == -EEXIST && done == 0 &&
		   write_page(c, PRESENT) == (ssize_t)PAGE,
	   "that one can be written to");
	ok(write_page(c, PRESENT + 1) == -EFAULT,
	   "one that is missing cannot, and nobody waits");
	ok(put(c, PRESENT + 1, PARTED - PRESENT - 1, &done) == 0 &&
		   done == PARTED - PRESENT - 1,
	   "the rest of the mapping comes in");
	ok(put(c, PARTED - 1, 1, &done) == -EEXIST, "and not a second time");
	ok(put(c, PARTED, PAGES - PARTED - 1, &done) == 0, "the next mapping");
	ok(put(c, PAGES, 1, &done) == -ENOENT && done == 0, "what is not open");
}

static void test_parted(const struct child *c)
{
	size_t done;

	ok(inlet_begin(c->fd) == 0 &&
		   inlet_open(c->fd, at(0), at(PAGES)) == 0 &&
		   put(c, PARTED - 1, 2, &done) == -ENOENT && done == 0,
	   "not into two mappings at once");
}

static void end(struct child *c, int want, const char *what)
{
	int status = -1;

	close(c->fd);
	ok(write(c->say, "x", 1) == 1 &&
		   waitpid(c->pid, &status, 0) == c->pid && WIFEXITED(status) &&
		   WEXITSTATUS(status) == want,
	   "%s: status %#x", what, status);
	close(c->say);
	close(c->hear);
}

int main(void)
{
	struct child c;

	for (size_t i = 0; i < sizeof(pages); i++)
		pages[i] = (uint8_t)(i / PAGE * 7 + i % 251 + 1);
	map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Another mapping for the kernel, which is not to be in huge pages. */
	if (map == MAP_FAILED ||
	    madvise(map, PAGES * PAGE, MADV_NOHUGEPAGE) < 0 ||
	    madvise(map + PARTED * PAGE, (PAGES - PARTED) * PAGE,
		    MADV_DONTDUMP) < 0 ||
	    !begin(&c))
		return 1;
	if (c.fd < 0) {
		kill(c.pid, SIGKILL);
		skip("this kernel has no userfaultfd");
		return done_testing();
	}
	test_puts(&c);
	end(&c, 0, "all of it is there, and what was left out is empty");
	if (!begin(&c))
		return 1;
	test_parted(&c);
	end(&c, 2, "nothing came of it");
	return done_testing();
}
