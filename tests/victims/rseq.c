/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that are nearly always in a restartable sequence.  One that comes to
 * its end must still be watched by the kernel: were it interrupted there
 * without being told so, it would go on as if it had been alone on its CPU.
 */
#include <pthread.h>
#include <stdint.h>
#include <sys/rseq.h>

#include "tests/lib/victim.h"

#define THREADS 2
#define PASSES  1000

static volatile unsigned long ends[THREADS], aborts[THREADS], unwatched;
static volatile bool stop;

/*
 * Returns what the kernel watches at the end of the section: 1 it was sent
 * to the abort handler, 0 nothing, else the section.
 */
static uint64_t section(struct rseq *area)
{
	uint64_t seen;

	__asm__ volatile(".pushsection .rseq_sections, \"aw\"\n\t"
			 ".balign 32\n"
			 "3:\n\t"
			 ".long 0, 0\n\t"
			 ".quad 1f, 2f - 1f, 4f\n\t"
			 ".popsection\n\t"
			 "leaq 3b(%%rip), %%rax\n\t"
			 "movq %%rax, %[watched]\n"
			 "1:\n\t"
			 "movl $200000, %%ecx\n"
			 "5:\n\t"
			 "decl %%ecx\n\t"
			 "jnz 5b\n\t"
			 "movq %[watched], %[seen]\n"
			 "2:\n\t"
			 "jmp 6f\n\t"
			 ".pushsection .text.aborts, \"ax\"\n\t"
			 ".long %c[signature]\n"
			 "4:\n\t"
			 "movl $1, %k[seen]\n\t"
			 "jmp 6f\n\t"
			 ".popsection\n"
			 "6:\n\t"
			 : [seen] "=&r"(seen), [watched] "+m"(area->rseq_cs)
			 : [signature] "i"(RSEQ_SIG)
			 : "rax", "rcx", "cc", "memory");
	area->rseq_cs = 0;
	return seen;
}

static void *work(void *arg)
{
	struct rseq *area =
		(void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	int n = (int)(intptr_t)arg;

	while (!stop) {
		uint64_t seen = section(area);

		if (seen == 0)
			unwatched++;
		else if (seen == 1)
			aborts[n]++;
		else
			ends[n]++;
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	unsigned long before;

	if (__rseq_size == 0)
		victim_skip("no rseq here");
	for (int i = 0; i < THREADS; i++)
		victim_need(pthread_create(&threads[i], NULL, work,
					   (void *)(intptr_t)i) == 0,
			    "thread");
	victim_need(victim_until(ends[0] > PASSES / 10), "no sequence ends");
	victim_wait();
	for (int i = 0; i < THREADS; i++) {
		before = ends[i];
		victim_check(victim_until(ends[i] > before + 20),
			     "thread %d comes to no end any more", i);
	}
	stop = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	victim_check(unwatched == 0, "%lu sequences ended unwatched",
		     unwatched);
	victim_verdict(true, "sequences are restarted or undisturbed");
}
