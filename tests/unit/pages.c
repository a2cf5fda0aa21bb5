// SPDX-License-Identifier: GPL-2.0-or-later
/* What is given to storage before all is known of a tree. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/engine/pages.c"
#include "tests/lib/tap.h"

#define BUFFER  (4u << 20)
#define BUFFERS 16u
#define PEOPLE  6
#define LITTLE  10u
#define MUCH    (2 * BUFFER / IMAGE_PAGE + 20) /* pages */

static uint8_t *memory;

struct scene {
	char dir[64];
	int dir_fd;
	pid_t pids[PEOPLE];
	int proc_fds[PEOPLE];
	struct nearby nearby;
	struct img_sink meta;
	struct search *search;
	struct writer *writer;
	struct pages *pages;
	uint32_t stream;
};

static int swallow(void *arg, const void *data, size_t len, struct err *err)
{
	(void)arg;
	(void)data;
	(void)len;
	(void)err;
	return 0;
}

/* Each has memory of its own, of which all that is there is not zero. */
static void be_born(struct scene *s)
{
	char path[64], byte = 0;
	int told[2];

	if (pipe(told) < 0)
		skip_all("no pipe");
	for (size_t i = 0; i < PEOPLE; i++) {
		s->pids[i] = fork();
		if (s->pids[i] == 0) {
			memset(memory, 1 + (int)i, MUCH * IMAGE_PAGE);
			(void)!write(told[1], &byte, 1);
			for (;;)
				pause();
		}
		(void)!read(told[0], &byte, 1);
		(void)snprintf(path, sizeof(path), "/proc/%d", s->pids[i]);
		s->proc_fds[i] = open(path, O_DIRECTORY | O_CLOEXEC);
	}
	close(told[0]);
	close(told[1]);
}

static int begin(struct scene *s, struct err *err)
{
	struct writer_limits limits = { .buffer_bytes = BUFFER,
					.buffers = BUFFERS };
	struct pages_config config = {
		.meta = &s->meta,
		.streams = &s->stream,
		.nstreams = 1,
		.readers = 2,
		.buffers = BUFFERS,
		.buffer_bytes = BUFFER,
		.nearby = &s->nearby,
		.compression = PACK_AUTO,
	};
	int r = search_new(NULL, false, false, &s->search, err);

	s->meta.write = swallow;
	if (r == 0)
		r = writer_new(s->dir_fd, &limits, &s->writer, err);
	if (r == 0)
		r = writer_open(s->writer, "pages", &s->stream, err);
	config.search = s->search;
	config.writer = s->writer;
	return r < 0 ? r : pages_new(&config, &s->pages, err);
}

static void end(struct scene *s)
{
	pages_free(s->pages);
	search_free(s->search);
	writer_free(s->writer);
	(void)unlinkat(s->dir_fd, "pages", 0);
}

static int add(struct scene *s, size_t i, size_t first, size_t count,
	       bool alone, struct err *err)
{
	const struct page_range range = {
		.pid = s->pids[i],
		.ns_pid = s->pids[i],
		.proc_fd = s->proc_fds[i],
		.start = (uint64_t)(uintptr_t)memory + first * IMAGE_PAGE,
		.end = (uint64_t)(uintptr_t)memory +
		       (first + count) * IMAGE_PAGE,
		.readable = true,
		.alone = alone,
		.common = !alone,
		.watch_fd = -1,
	};

	return search_add_range(s->search, &range, err);
}

/* As far as it goes: bytes. */
static uint64_t step(struct scene *s, struct err *err)
{
	uint64_t before;

	do {
		before = pages_total(s->pages).bytes;
		if (pages_step(s->pages, err) < 0 ||
		    pages_settle(s->pages, err) < 0)
			return 0;
	} while (pages_total(s->pages).bytes != before);
	return before;
}

/* A buffer for each, as if all were known at once. */
static void test_little(struct scene *s)
{
	struct err err = { 0 };
	int r = begin(s, &err);

	for (size_t i = 0; i < PEOPLE && r == 0; i++) {
		r = add(s, i, 0, LITTLE, true, &err);
		if (r == 0)
			r = add(s, i, LITTLE, LITTLE, false, &err);
		if (r == 0)
			(void)step(s, &err);
	}
	ok(r == 0 && !err.code && !pages_total(s->pages).bytes,
	   "what fills no buffer is not given to storage early");
	if (r == 0)
		r = search_begin(s->search, &err);
	if (r == 0)
		r = pages_run(s->pages, &err);
	ok(r == 0 && pages_total(s->pages).bytes ==
			     (uint64_t)PEOPLE * 2 * LITTLE * IMAGE_PAGE,
	   "it is with all else: %llu bytes",
	   (unsigned long long)pages_total(s->pages).bytes);
	ok(r == 0 && pages_total(s->pages).extents == PEOPLE,
	   "in one piece each: %u", pages_total(s->pages).extents);
	diag("%s", err.text);
	end(s);
}

static void test_much(struct scene *s)
{
	struct err err = { 0 };
	uint64_t early = 0;
	int r = begin(s, &err);

	for (size_t i = 0; i < 2 && r == 0; i++) {
		r = add(s, i, 0, MUCH, true, &err);
		if (r == 0)
			early = step(s, &err);
	}
	ok(early >= 2 * BUFFER && early < 2ull * MUCH * IMAGE_PAGE,
	   "whole buffers are given to storage early: %llu bytes",
	   (unsigned long long)early);
	if (r == 0)
		r = search_begin(s->search, &err);
	if (r == 0)
		r = pages_run(s->pages, &err);
	ok(r == 0 && pages_total(s->pages).bytes == 2ull * MUCH * IMAGE_PAGE,
	   "and the rest once: %llu bytes",
	   (unsigned long long)pages_total(s->pages).bytes);
	ok(r == 0 && s->pages->pace.slices < s->pages->made,
	   "of %zu slices %u tell how fast storage is", s->pages->made,
	   s->pages->pace.slices);
	diag("%s", err.text);
	end(s);
}

/* An attempt that fails between a step and the rest. */
static void test_stop(struct scene *s)
{
	struct err err = { 0 };
	int r = begin(s, &err);

	if (r == 0)
		r = add(s, 0, 0, MUCH, true, &err);
	if (r == 0)
		r = pages_step(s->pages, &err);
	ok(r == 0 && s->pages->nthreads == 2, "readers are at work");
	pages_stop(s->pages);
	ok(s->pages->nthreads == 0, "and at an end before the job goes on");
	pages_stop(s->pages);
	pages_stop(NULL);
	diag("%s", err.text);
	end(s);
}

int main(void)
{
	struct scene s = { .dir = "/tmp/jobcr-pages-XXXXXX" };

	memory = mmap(NULL, MUCH * IMAGE_PAGE + EXTENT_ALIGN,
		      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED || !mkdtemp(s.dir))
		skip_all("no memory or directory");
	/* Extents end where they do in any other run. */
	memory += -(uintptr_t)memory % EXTENT_ALIGN;
	s.dir_fd = open(s.dir, O_DIRECTORY | O_CLOEXEC);
	be_born(&s);
	test_little(&s);
	test_much(&s);
	test_stop(&s);
	for (size_t i = 0; i < PEOPLE; i++) {
		(void)kill(s.pids[i], SIGKILL);
		(void)waitpid(s.pids[i], NULL, 0);
		close(s.proc_fds[i]);
	}
	close(s.dir_fd);
	(void)rmdir(s.dir);
	return done_testing();
}
