/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A handler that interrupted the vDSO returns into it: such a job comes back
 * only where that code is, and is told so elsewhere.  So does one that is to
 * be left with more registers than there are.  This program is its own job.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "../lib/drive.h"
#include "../lib/edit.h"
#include "../lib/forge.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "engine/vdso.h"
#include "images/part.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"

static const char *ready;
static uint64_t start, end; /* of a function, behind its entry */
static bool wide;           /* its frames are of a larger CPU */

/* The size that the kernel has noted; it is never read again here. */
static void widen(const ucontext_t *uc)
{
	uint8_t *state = (uint8_t *)uc->uc_mcontext.fpregs;
	uint32_t size;

	memcpy(&size, state + 464 + 16, sizeof(size));
	size += 64;
	memcpy(state + 464 + 16, &size, sizeof(size));
}

static void wait_inside(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;
	uint64_t ip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	int fd;

	(void)sig;
	(void)info;
	if (ip <= start || ip >= end)
		return;
	if (wide)
		widen(uc);
	fd = open(ready, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		_exit(2);
	for (;;)
		pause();
}

/* other: the handler has a stack of its own. */
static int job(bool other)
{
	struct sigaction sa = { .sa_sigaction = wait_inside,
				.sa_flags =
					SA_SIGINFO | (other ? SA_ONSTACK : 0) };
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct vdso_function list[VDSO_FUNCTIONS];
	struct vdso_image image;
	struct timespec at;
	struct err err;
	size_t n;

	if (vdso_own(&image, &err) < 0 ||
	    vdso_functions(&image, list, &n, &err) < 0)
		return 2;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].name, "clock_gettime") != 0)
			continue;
		start = (uint64_t)(uintptr_t)image.data + list[i].offset;
		end = start + 100;
		/* Then it need not be in the vDSO. */
		if (wide) {
			start = 0;
			end = UINT64_MAX;
		}
	}
	if (sigaltstack(&stack, NULL) < 0 || sigaction(SIGALRM, &sa, NULL) < 0)
		return 2;
	setitimer(ITIMER_REAL, &often, NULL);
	for (;;)
		clock_gettime(CLOCK_MONOTONIC, &at);
}

static bool await(const char *path)
{
	for (int i = 0; i < 10000; i++) {
		if (access(path, F_OK) == 0)
			return true;
		usleep(1000);
	}
	return false;
}

static bool save(const struct drive_place *place, char *how, const char *dir,
		 const char *flag)
{
	char *argv[] = { (char *)"/proc/self/exe", how, (char *)flag, NULL };
	char *envp[] = { NULL };
	auto_free struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *running = NULL;
	bool good;

	good = ok(drive_start(place, argv, envp, &running, &o->err) == 0 &&
			  await(flag),
		  "%s: a handler runs: %s", how, o->err.text) &&
	       ok(drive_checkpoint(running, dir, true, o) == 0,
		  "%s: it is saved: %s", how, o->err.text);
	drive_end(running);
	return good;
}

/* Saved on a node with one kind of register state more. */
static void more_state(void *arg, uint32_t tag, ProtobufCMessage *msg,
		       struct edit_more *ret)
{
	PartRecord *part = (PartRecord *)msg;

	(void)arg;
	(void)ret;
	if (tag != TAG_PART)
		return;
	part->xcr0 |= 1ull << 19;
	part->has_isa = 1;
	part->isa = 3;
}

static void try_wide(const struct drive_place *place, const char *dir)
{
	auto_free struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *running = NULL;
	char images[200], flag[200], how[] = "wide";

	snprintf(images, sizeof(images), "%s/images.wide", dir);
	snprintf(flag, sizeof(flag), "%s/flag.wide", dir);
	if (!save(place, how, images, flag))
		return;
	ok(snapshot_edit(images, more_state, NULL, &o->err) == 0,
	   "wide: of a larger CPU: %s", o->err.text);
	ok(drive_restore(place, images, &running, o) == -ENOTSUP &&
		   strstr(o->err.text, "more registers"),
	   "wide: not on a smaller one: %s", o->err.text);
	drive_end(running);
}

static void try(const struct drive_place *place, char *how, const char *dir)
{
	auto_free struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *running = NULL;
	char images[200], flag[200];

	snprintf(images, sizeof(images), "%s/images.%s", dir, how);
	snprintf(flag, sizeof(flag), "%s/flag.%s", dir, how);
	if (!save(place, how, images, flag))
		return;
	ok(drive_restore(place, images, &running, o) == 0,
	   "%s: it comes back on the same kernel: %s", how, o->err.text);
	drive_end(running);
	running = NULL;
	ok(forge_kernel(images, false, &o->err) == 0, "%s: forged: %s", how,
	   o->err.text);
	ok(drive_restore(place, images, &running, o) == -ENOTSUP &&
		   strstr(o->err.text, "handler of a signal"),
	   "%s: but not on another: %s", how, o->err.text);
	drive_end(running);
}

int main(int argc, char **argv)
{
	const struct drive_place place = { .cwd = "/" };
	auto_close int dir_fd = -EBADF;
	char dir[64];

	if (argc == 3) {
		ready = argv[2];
		wide = strcmp(argv[1], "wide") == 0;
		return job(strcmp(argv[1], "other") == 0);
	}
	if (geteuid() != 0)
		skip_all("needs root");
	dir_fd = temp_dir(dir);
	try(&place, (char *)"same", dir);
	try(&place, (char *)"other", dir);
	try_wide(&place, dir);
	temp_dir_remove(dir);
	return done_testing();
}
