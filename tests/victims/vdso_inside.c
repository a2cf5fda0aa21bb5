/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process with an image of this kernel's vDSO whose functions lead
 * elsewhere, as one has that has met another kernel: one thread stands behind
 * the entry of a function, and another is to return there from a handler.
 * The kernel's own vDSO must not take the place of code that still runs.
 * Stacks are looked through for that, and stay shared copy-on-write.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/vdso.h"
#include "tests/lib/victim.h"

#define THREADS 2
#define DEEP    (2 << 20)

static volatile int let_go, entered, early, handled;
static volatile int *looked; /* seen by all: the stack was looked at */
static void (*inside)(void);

/* Waits for let_go; as long as what leads elsewhere may be. */
static void put_code(uint8_t *at)
{
	const uint64_t flag = (uint64_t)(uintptr_t)&let_go;

	memcpy(at, "\x48\xb8", 2); /* movabs $let_go, %rax */
	memcpy(at + 2, &flag, sizeof(flag));
	/* 1: cmpl $0, (%rax); je 1b; ret */
	memcpy(at + 10, "\x83\x38\x00\x74\xfb\xc3", 6);
}

/* All that the kernel maps for the vDSO, in a row: its length. */
static unsigned long row_length(unsigned long *ret_before)
{
	unsigned long start, end, low = 0, high = 0;
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	*ret_before = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if ((!strstr(line, "[vvar") && !strstr(line, "[vdso]")) ||
		    sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		low = low ? low : start;
		high = end;
		if (strstr(line, "[vdso]"))
			*ret_before = start - low;
	}
	if (f)
		fclose(f);
	return high - low;
}

static bool make_image(void)
{
	struct vdso_function list[VDSO_FUNCTIONS];
	struct vdso_image own;
	struct err err;
	unsigned long before, len = row_length(&before);
	uint8_t *at =
		mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t n;

	if (at == MAP_FAILED || vdso_own(&own, &err) < 0 ||
	    vdso_functions(&own, list, &n, &err) < 0)
		return false;
	at += before;
	mprotect(at, own.len, PROT_READ | PROT_WRITE);
	memcpy(at, own.data, own.len);
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, "clock_gettime") == 0) {
			put_code(at + list[i].offset);
			inside = (void (*)(void))(uintptr_t)(at +
							     list[i].offset);
		}
	return inside && mprotect(at, own.len, PROT_READ | PROT_EXEC) == 0;
}

static void handler(int sig)
{
	(void)sig;
	handled = 1;
	while (!let_go)
		victim_nap(1000000);
}

static void *stand(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&entered, 1, __ATOMIC_SEQ_CST);
	inside();
	early |= !let_go;
	return NULL;
}

static void child(bool in_code, bool in_handler)
{
	pthread_t thread[THREADS];

	alarm(60);
	signal(SIGUSR1, handler);
	if (!make_image())
		_exit(2);
	for (int i = 0; i < THREADS; i++)
		if (i ? in_handler : in_code)
			pthread_create(&thread[i], NULL, stand, NULL);
	victim_until(entered == in_code + in_handler);
	victim_nap(10000000);
	if (in_handler)
		pthread_kill(thread[1], SIGUSR1);
	victim_until(!in_handler || handled);
	victim_wait_go();
	victim_until(*looked);
	if (early)
		_exit(3);
	let_go = 1;
	for (int i = 0; i < THREADS; i++)
		if (i ? in_handler : in_code)
			pthread_join(thread[i], NULL);
	_exit(early ? 4 : 0);
}

/* KiB of the main stack that other processes have, too. */
static unsigned long shared_stack(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long kib = 0;
	bool stack = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "[stack]"))
			stack = true;
		if (stack && sscanf(line, "Shared_Dirty: %lu", &kib) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kib;
}

/* Room for jobcr below what is in use. */
static __attribute__((noinline)) char grow(void)
{
	volatile char below[256 << 10];

	below[0] = 1;
	return below[0];
}

int main(void)
{
	volatile char deep[DEEP];
	pid_t pids[2];
	int status;

	for (size_t i = 0; i < DEEP; i += 512)
		deep[i] = (char)(i / 512 + 1);
	looked = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	victim_need(grow() == 1 && deep[0] == 1, "stack");
	victim_need(looked != MAP_FAILED, "memory");
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		victim_need(pids[i] >= 0, "fork");
		if (pids[i] == 0)
			child(i == 0, i == 1);
	}
	victim_nap(300000000);
	victim_wait();
	victim_check(shared_stack() >= DEEP / 1024 / 2,
		     "%lu KiB of the stack are shared", shared_stack());
	*looked = 1;
	for (int i = 0; i < 2; i++) {
		waitpid(pids[i], &status, 0);
		victim_check(status == 0, "%s: %#x",
			     i ? "a handler returns there" : "it runs there",
			     (unsigned int)status);
	}
	victim_verdict(true, "code of an image is as it was");
}
