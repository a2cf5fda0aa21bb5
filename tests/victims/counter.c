/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The least: one process, one thread, memory of every sort, time. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/victim.h"

#define HEAP (3u << 20)

static int data = 1;
static unsigned char bss[100000];

/* The stack grows by page faults, where the kernel knows it as a stack. */
__attribute__((noinline)) static unsigned int deep(unsigned int depth)
{
	volatile unsigned char frame[4096];

	frame[0] = (unsigned char)depth;
	return depth ? deep(depth - 1) + frame[0] : 0;
}

int main(void)
{
	unsigned char stack[50000], *heap = malloc(HEAP);
	struct timespec before, after;

	victim_need(heap != NULL, "heap");
	data = 2;
	memset(bss, 3, sizeof(bss));
	memset(stack, 4, sizeof(stack));
	memset(heap, 5, HEAP);
	__asm__ volatile("" : : "r"(stack), "r"(heap) : "memory");
	clock_gettime(CLOCK_MONOTONIC, &before);

	victim_wait();

	clock_gettime(CLOCK_MONOTONIC, &after);
	victim_check(data == 2, "initialised data");
	victim_check(bss[0] == 3 && !memcmp(bss, bss + 1, sizeof(bss) - 1),
		     "zeroed data");
	victim_check(stack[0] == 4 &&
			     !memcmp(stack, stack + 1, sizeof(stack) - 1),
		     "stack");
	victim_check(heap[0] == 5 && !memcmp(heap, heap + 1, HEAP - 1), "heap");
	victim_check(after.tv_sec >= before.tv_sec &&
			     after.tv_sec - before.tv_sec < 60,
		     "monotonic time went from %ld to %ld", (long)before.tv_sec,
		     (long)after.tv_sec);
	victim_check(deep(256) > 0, "a deeper stack");
	victim_check(malloc(100000) != NULL, "a larger heap");
	victim_check(victim_interrupts == 0, "%u interrupted sleeps",
		     victim_interrupts);
	victim_verdict(true, "memory and time go on");
}
