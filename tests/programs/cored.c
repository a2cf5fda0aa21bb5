/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a debugger is to find in a core file: three threads in functions of
 * their own, values in static, heap, shared and touched file memory, in
 * general, vector and x87 registers.  Says "up" and waits; so does a child,
 * if it is to have one.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAGE 4096

volatile uint64_t in_data = 0x1122334455667788;
volatile uint64_t in_bss[4 * PAGE]; /* touched in one page */
char *in_heap, *in_shared, *in_file, *in_sparse;
static pthread_barrier_t barrier;

/* No call saves its registers: they are seen in the middle of it. */
__attribute__((noinline)) static void hold_registers(uint64_t x)
{
	static const double vector[2] = { 1.5, -2.25 };

	__asm__ volatile("movupd %1, %%xmm7\n fldpi\n mov %0, %%r15\n"
			 "1: pause\n jmp 1b\n"
			 :
			 : "r"(x), "m"(vector)
			 : "r15", "xmm7", "st");
}

static void *spin(void *arg)
{
	prctl(PR_SET_NAME, "spinner");
	pthread_barrier_wait(&barrier);
	hold_registers((uint64_t)(uintptr_t)arg);
	return NULL;
}

__attribute__((noinline)) static void wait_here(int local)
{
	volatile int seen = local * 3;

	prctl(PR_SET_NAME, "waiter");
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	(void)seen;
}

static void *sleeper(void *arg)
{
	wait_here(*(int *)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	int local = 14, fd = open(argv[0], O_RDONLY);
	pthread_t t;

	in_bss[2 * PAGE] = 42;
	in_heap = malloc(1 << 20);
	memset(in_heap, 'h', 1 << 20);
	strcpy(in_heap + 500000, "in the heap");
	in_shared = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	strcpy(in_shared + 5 * PAGE, "in shared memory");
	in_file = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		       0);
	strcpy(in_file + PAGE, "in a touched page of a file");
	/* Larger than any disk. */
	in_sparse = mmap(NULL, 1ul << 40, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	strcpy(in_sparse + (1ul << 30), "in a sparse mapping");
	pthread_barrier_init(&barrier, NULL, 3);
	pthread_create(&t, NULL, spin, (void *)0xfedcba9876543210);
	pthread_create(&t, NULL, sleeper, &local);
	pthread_barrier_wait(&barrier);
	/* A child shares all pages but one with its parent. */
	if (argc > 1 && strcmp(argv[1], "twins") == 0 && fork() == 0) {
		strcpy(in_heap + 8 * PAGE, "of the child");
		puts("born");
	} else {
		puts("up");
	}
	fflush(stdout);
	for (;;)
		pause();
}
