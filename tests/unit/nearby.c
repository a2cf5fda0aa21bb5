/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffers are in the memory that they were put into, and threads near it.  Most
 * of it needs a machine with two memories: see tests/vm/run -n.
 */
#include "engine/nearby.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/residence.h"
#include "storage/writer.h"
#include "tests/lib/tap.h"

#define MIB     (1ul << 20)
#define BUFFERS 8u
#define LEN     (4 * MIB)
#define PAGES   (LEN / 4096)

static struct writer *open_writer(const struct ring_homes *homes)
{
	const struct writer_limits limits = { .buffer_bytes = LEN,
					      .buffers = BUFFERS,
					      .homes = homes };
	char dir[] = "/tmp/nearby.XXXXXX";
	struct writer *w = NULL;
	struct err err = { 0 };
	int fd;

	if (!mkdtemp(dir))
		return NULL;
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	rmdir(dir);
	ok(writer_new(fd, &limits, &w, &err) == 0, "a writer: %s", err.text);
	close(fd);
	return w;
}

static int put_anywhere(void *arg, unsigned int index, void *data, size_t len)
{
	size_t *bytes = arg;

	*(uint8_t *)data = 1;
	*bytes += len;
	return (int)(index % 2);
}

static void test_choice(void)
{
	size_t bytes = 0;
	const struct ring_homes homes = { put_anywhere, &bytes };
	struct writer *w = open_writer(&homes);
	struct writer_buffer b;
	struct err err = { 0 };
	bool good = w != NULL;

	ok(bytes == BUFFERS * LEN, "each buffer is put somewhere");
	for (unsigned int i = 0; i < BUFFERS / 2 && good; i++)
		good = writer_get_buffer_of(w, 1, &b, &err) == 0 && b.home == 1;
	ok(good, "one of the right home is given while there is one");
	for (unsigned int i = 0; i < BUFFERS / 2 && good; i++)
		good = writer_get_buffer_of(w, 1, &b, &err) == 0 && b.home == 0;
	ok(good, "then another");
	ok(w && writer_get_buffer_of(w, 1, &b, &err) == -EBUSY,
	   "and none where all are held");
	writer_free(w);
	w = open_writer(NULL);
	ok(w && writer_get_buffer_of(w, 1, &b, &err) == 0 && b.home == -1,
	   "without homes any will do");
	writer_free(w);
}

static void test_one(void)
{
	struct nearby none = { 0 };
	struct ring_homes homes;

	ok(!nearby_homes(&none, &homes) && !nearby_wanted(&none, 3) &&
		   !nearby_positions(&none, getpid(), (uint64_t)&none, 1) &&
		   nearby_node(&none, getpid(), (uint64_t)&none) == NEAR_ANY,
	   "where there is one memory nothing is asked for");
	nearby_note(&none, NULL);
	ok(!nearby_noted(&none, getpid(), (uint64_t)&none), "nor noted");
	nearby_end(&none);
}

static void test_buffers(struct nearby *n)
{
	struct ring_homes homes;
	struct writer *w = open_writer(nearby_homes(n, &homes));
	struct writer_buffer b;
	struct err err = { 0 };
	uint64_t used = 0;
	bool good = w != NULL;

	for (unsigned int i = 0; i < BUFFERS && good; i++) {
		good = writer_get_buffer(w, &b, &err) == 0 && b.home >= 0;
		if (!good)
			break;
		memset(b.data, 1, b.room);
		used |= 1ull << b.home;
		good = residence_of(0, (uint64_t)b.data, b.room / 4096) ==
		       1ull << b.home;
	}
	ok(good, "buffers are in the memories that they are to be in");
	ok(used == n->home, "and in all of those that are near");
	writer_free(w);
}

struct runner {
	const struct nearby *nearby;
	int node;
	bool stayed;
};

static void *run(void *arg)
{
	struct runner *r = arg;
	unsigned int cpu, node;

	near_run(r->nearby->near, r->node);
	r->stayed = true;
	for (int i = 0; i < 100; i++) {
		sched_yield();
		r->stayed = r->stayed && getcpu(&cpu, &node) == 0 &&
			    (int)node == r->node;
	}
	return NULL;
}

static void test_threads(const struct nearby *n)
{
	for (int i = 0; i < 2; i++) {
		struct runner r = { n, near_nth(n->home, (unsigned int)i),
				    false };
		pthread_t thread;

		ok(pthread_create(&thread, NULL, run, &r) == 0 &&
			   pthread_join(thread, NULL) == 0 && r.stayed,
		   "a thread runs near node %d", r.node);
	}
}

static uint64_t touched(const struct nearby *n, uint64_t nodes)
{
	char *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t found;

	if (p == MAP_FAILED)
		return 0;
	(void)madvise(p, LEN, MADV_NOHUGEPAGE);
	near_prefer(n->near, nodes);
	memset(p, 1, LEN);
	near_prefer(n->near, 0);
	found = residence_of(0, (uint64_t)p, PAGES);
	ok(nearby_positions(n, getpid(), (uint64_t)p, PAGES) ==
		   near_positions(found, n->allowed),
	   "and are found there");
	(void)munmap(p, LEN);
	return found;
}

static void test_preference(const struct nearby *n)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t node = 1ull << near_nth(n->home, i);

		ok(touched(n, node) == node, "pages come from node mask %#llx",
		   (unsigned long long)node);
	}
	ok(touched(n, n->home) == n->home, "or from all in turns");
}

int main(void)
{
	struct nearby n;

	test_choice();
	test_one();
	nearby_begin(&n, getpid());
	if (!n.near || !(n.home & (n.home - 1))) {
		skip("its CPUs are near one memory");
	} else {
		test_buffers(&n);
		test_threads(&n);
		test_preference(&n);
	}
	nearby_end(&n);
	return done_testing();
}
