/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies of memory and of threads, every mode and flag there is. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#define LONGS       16
#define OF_ADDRESS  2
#define STATIC      (1 << 15)
#define RELATIVE    (1 << 14)
#define SHARED_PART 2

struct policy {
	int mode;
	unsigned long nodes[LONGS];
};

/* PREFERRED, BIND, INTERLEAVE, LOCAL, PREFERRED_MANY, WEIGHTED_INTERLEAVE */
static const int modes[] = {
	0, 1, 2, 3, 4, 5, 6, 2 | STATIC, 3 | RELATIVE, 1 | STATIC,
};
#define MODES (sizeof(modes) / sizeof(*modes))

static struct policy of_memory[MODES], of_thread[MODES];
static char *memory[MODES], *part;
static atomic_int ready;

static struct policy get(void *addr)
{
	struct policy p = { 0 };

	victim_need(syscall(SYS_get_mempolicy, &p.mode, p.nodes,
			    sizeof(p.nodes) * 8, addr,
			    addr ? OF_ADDRESS : 0) == 0,
		    "get_mempolicy");
	return p;
}

static long set(int mode, void *addr, size_t len)
{
	unsigned long nodes[LONGS] = { 1 };
	int base = mode & 0xff;
	/* Default and local take none. */
	unsigned long size = base == 0 || base == 4 ? 0 : LONGS * 64;

	return addr ? syscall(SYS_mbind, addr, len, mode, size ? nodes : NULL,
			      size, 0)
		    : syscall(SYS_set_mempolicy, mode, size ? nodes : NULL,
			      size);
}

static void check(const struct policy *was, void *addr, const char *of,
		  int mode)
{
	struct policy now = get(addr);

	victim_check(was->mode == now.mode && memcmp(was->nodes, now.nodes,
						     sizeof(now.nodes)) == 0,
		     "%s %#x: mode %#x nodes %#lx, was %#x %#lx", of, mode,
		     now.mode, now.nodes[0], was->mode, was->nodes[0]);
}

static void *thread_main(void *arg)
{
	size_t i = (size_t)arg;

	/* Older kernels do not know the newer ones. */
	victim_need(set(modes[i], NULL, 0) == 0 || errno == EINVAL,
		    "set_mempolicy");
	of_thread[i] = get(NULL);
	atomic_fetch_add(&ready, 1);
	victim_wait_go();
	check(&of_thread[i], NULL, "thread", modes[i]);
	return NULL;
}

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	pthread_t threads[MODES];
	struct policy own;
	char *shared;

	if (syscall(SYS_get_mempolicy, &own.mode, NULL, 0, NULL, 0) < 0)
		victim_skip("get_mempolicy: %s", strerror(errno));
	for (size_t i = 0; i < MODES; i++) {
		memory[i] = mmap(NULL, 4 * PAGE, rw,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		victim_need(memory[i] != MAP_FAILED, "mmap");
		victim_need(set(modes[i], memory[i] + PAGE, 2 * PAGE) == 0 ||
				    errno == EINVAL,
			    "mbind");
		pattern_fill(memory[i], 4 * PAGE, i);
		of_memory[i] = get(memory[i] + PAGE);
	}
	shared = mmap(NULL, 4 * PAGE, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	victim_need(shared != MAP_FAILED && set(2, shared, 4 * PAGE) == 0,
		    "mbind of shared memory");
	part = shared + SHARED_PART * PAGE;
	own = get(part);
	for (size_t i = 0; i < MODES; i++)
		victim_need(pthread_create(&threads[i], NULL, thread_main,
					   (void *)i) == 0,
			    "thread");
	victim_need(victim_until(atomic_load(&ready) == MODES), "threads");
	/* The leader prefers node 0: so does what it maps from now on. */
	victim_need(set(1, NULL, 0) == 0, "set_mempolicy");

	victim_wait();

	for (size_t i = 0; i < MODES; i++) {
		check(&of_memory[i], memory[i] + PAGE, "memory", modes[i]);
		check(&(struct policy){ 0 }, memory[i], "before", modes[i]);
		check(&(struct policy){ 0 }, memory[i] + 3 * PAGE, "behind",
		      modes[i]);
		victim_check(pattern_holds(memory[i], 4 * PAGE, i),
			     "contents differ");
		pthread_join(threads[i], NULL);
	}
	check(&own, part, "shared memory", 2);
	victim_check(get(NULL).mode == 1, "the leader's policy is lost");
	victim_verdict(true, "memory comes from where it did");
}
