/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/userfault.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define PAGE        4096u
#define HOLDS_MAX   4096u
#define STACK_BYTES 65536u
/* A thread needs that long to get from its start to its fault. */
#define PATIENCE_NS (10 * NSEC_PER_SEC)

struct one {
	struct hold *hold;
	pthread_t thread;
	int mem_fd;
	uint64_t address;
	uint8_t *page;
	bool held; /* seen to stand in its read */
};

struct hold {
	int watch_fd; /* userfaultfd */
	int fail_fd;  /* eventfd: a read came back, so it holds nothing */
	uint8_t *pages;
	struct one *list;
	unsigned int count, held;
};

static int watch_pages(struct hold *h, struct err *err)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	h->watch_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (h->watch_fd < 0)
		return err_num(err, EOPNOTSUPP, "userfaultfd: %m");
	h->pages = mmap(NULL, (size_t)HOLDS_MAX * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h->pages == MAP_FAILED) {
		h->pages = NULL;
		return err_sys(err, "pages to be watched");
	}
	/* One fault each, never one for many. */
	(void)madvise(h->pages, (size_t)HOLDS_MAX * PAGE, MADV_NOHUGEPAGE);
	reg.range.start = (uint64_t)(uintptr_t)h->pages;
	reg.range.len = (uint64_t)HOLDS_MAX * PAGE;
	if (ioctl(h->watch_fd, UFFDIO_API, &api) < 0 ||
	    ioctl(h->watch_fd, UFFDIO_REGISTER, &reg) < 0)
		return err_num(err, EOPNOTSUPP, "userfaultfd: %m");
	return 0;
}

int hold_new(struct hold **ret, struct err *err)
{
	struct hold *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return err_num(err, ENOMEM, "hold");
	h->watch_fd = -EBADF;
	h->fail_fd = eventfd(0, EFD_CLOEXEC);
	h->list = calloc(HOLDS_MAX, sizeof(*h->list));
	r = h->fail_fd < 0 || !h->list ? err_num(err, ENOMEM, "hold")
				       : watch_pages(h, err);
	if (r < 0) {
		hold_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

static void *hold_main(void *arg)
{
	struct one *one = arg;
	uint64_t n = 1;

	/* Comes back at the end of the hold; before, it is a failure. */
	(void)!pread(one->mem_fd, one->page, 1, (off_t)one->address);
	(void)!write(one->hold->fail_fd, &n, sizeof(n));
	return NULL;
}

/* A signal would wake the fault: they are for the thread that called. */
static int start(struct one *one)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&one->thread, &attr, hold_main, one);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return r;
}

int hold_add(struct hold *h, int mem_fd, uint64_t address, struct err *err)
{
	struct one *one = &h->list[h->count];
	int r;

	if (h->count == HOLDS_MAX)
		return err_set(err, -EOPNOTSUPP, "more than %u processes",
			       HOLDS_MAX);
	*one = (struct one){ .hold = h,
			     .mem_fd = mem_fd,
			     .address = address,
			     .page = h->pages + (size_t)h->count * PAGE };
	r = start(one);
	if (r)
		return err_num(err, EOPNOTSUPP, "thread %u: error %d", h->count,
			       r);
	h->count++;
	return 0;
}

/* Faults that wait to be told. */
static int take_faults(struct hold *h, struct err *err)
{
	struct uffd_msg msg;
	ssize_t n;

	while ((n = read(h->watch_fd, &msg, sizeof(msg))) ==
	       (ssize_t)sizeof(msg)) {
		uint64_t at = msg.arg.pagefault.address -
			      (uint64_t)(uintptr_t)h->pages;
		struct one *one = &h->list[at / PAGE];

		if (msg.event != UFFD_EVENT_PAGEFAULT || at / PAGE >= h->count)
			return err_set(err, -EPROTO, "userfaultfd");
		h->held += !one->held;
		one->held = true;
	}
	return n < 0 && errno != EAGAIN ? err_sys(err, "userfaultfd") : 0;
}

int hold_await(struct hold *h, struct err *err)
{
	uint64_t deadline = clock_monotonic_ns() + PATIENCE_NS;
	int r;

	while (h->held < h->count) {
		struct pollfd fds[] = { { .fd = h->watch_fd, .events = POLLIN },
					{ .fd = h->fail_fd,
					  .events = POLLIN } };
		uint64_t now = clock_monotonic_ns();

		if (now >= deadline)
			return err_set(err, -ETIMEDOUT,
				       "%u of %u address spaces are held",
				       h->held, h->count);
		if (poll(fds, ARRAY_SIZE(fds),
			 (int)((deadline - now) / 1000000) + 1) < 0 &&
		    errno != EINTR)
			return err_sys(err, "poll");
		if (fds[1].revents)
			return err_set(err, -EOPNOTSUPP,
				       "memory that cannot be read");
		r = take_faults(h, err);
		if (r < 0)
			return r;
	}
	return 0;
}

void hold_free(struct hold *h)
{
	if (!h)
		return;
	/* All pages are ordinary ones then: every read ends. */
	if (h->watch_fd >= 0)
		close(h->watch_fd);
	while (h->count)
		(void)pthread_join(h->list[--h->count].thread, NULL);
	if (h->pages)
		munmap(h->pages, (size_t)HOLDS_MAX * PAGE);
	if (h->fail_fd >= 0)
		close(h->fail_fd);
	free(h->list);
	free(h);
}
