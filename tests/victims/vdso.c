/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program has from the vDSO: functions that libc has found at its
 * start, and that the program has found itself.  After the restore all of
 * them work, also where a system call is not allowed, and they are found
 * again.  One thread does nothing but read a clock, and a child has moved its
 * vDSO.
 */
#include <elf.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/victim.h"

struct functions {
	int (*clock_gettime)(clockid_t id, struct timespec *at);
	int (*clock_getres)(clockid_t id, struct timespec *res);
	int (*gettimeofday)(struct timeval *at, void *zone);
	time_t (*time)(time_t *ret);
	long (*getcpu)(unsigned int *cpu, unsigned int *node, void *unused);
	ssize_t (*getrandom)(void *buf, size_t len, unsigned int flags,
			     void *state, size_t state_len);
};

struct random_params {
	uint32_t size, prot, flags, reserved[13];
};

static struct {
	struct functions f;
	struct random_params params;
	char *state;
	int cpu;
	volatile bool stop;
	volatile unsigned long reads, backward;
	uint64_t before;
} v;

/* As dl_iterate_phdr and the like do: by its dynamic section. */
static void *find(const char *base, const char *name)
{
	const Elf64_Ehdr *head = (const void *)base;
	const Elf64_Phdr *p = (const void *)(base + head->e_phoff);
	const Elf64_Dyn *d = NULL;
	const Elf64_Sym *symbols = NULL;
	const char *strings = NULL;
	const uint32_t *hash = NULL;

	for (int i = 0; i < head->e_phnum; i++)
		if (p[i].p_type == PT_DYNAMIC)
			d = (const void *)(base + p[i].p_offset);
	for (; d && d->d_tag != DT_NULL; d++) {
		const char *at = base + d->d_un.d_ptr;

		if (d->d_tag == DT_SYMTAB)
			symbols = (const void *)at;
		if (d->d_tag == DT_STRTAB)
			strings = at;
		if (d->d_tag == DT_HASH)
			hash = (const void *)at;
	}
	for (uint32_t i = 0; symbols && strings && hash && i < hash[1]; i++)
		if (strcmp(strings + symbols[i].st_name, name) == 0)
			return (char *)base + symbols[i].st_value;
	return NULL;
}

static struct functions find_all(const char *base)
{
	return (struct functions){
		.clock_gettime = find(base, "__vdso_clock_gettime"),
		.clock_getres = find(base, "__vdso_clock_getres"),
		.gettimeofday = find(base, "__vdso_gettimeofday"),
		.time = find(base, "__vdso_time"),
		.getcpu = find(base, "__vdso_getcpu"),
		.getrandom = find(base, "__vdso_getrandom"),
	};
}

static uint64_t ns_of(const struct timespec *at)
{
	return (uint64_t)at->tv_sec * 1000000000 + (uint64_t)at->tv_nsec;
}

static uint64_t asked(clockid_t id)
{
	struct timespec at = { 0 };

	syscall(SYS_clock_gettime, id, &at);
	return ns_of(&at);
}

static bool is_near(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) < 2000000000;
}

static void check_clock(const struct functions *f, const char *whose,
			clockid_t id, uint64_t now)
{
	struct timespec at = { 0 }, res = { 0 };

	victim_check(f->clock_gettime(id, &at) == 0 && is_near(ns_of(&at), now),
		     "%s: clock %d shows %lu, not %lu", whose, (int)id,
		     ns_of(&at), now);
	victim_check(f->clock_getres(id, &res) == 0 && ns_of(&res) > 0 &&
			     ns_of(&res) <= 10000000,
		     "%s: clock %d: resolution %lu", whose, (int)id,
		     ns_of(&res));
}

static void check_random(const struct functions *f, const char *whose)
{
	uint64_t a[8] = { 0 }, b[8] = { 0 };

	if (!v.state)
		return;
	victim_check(f->getrandom(a, sizeof(a), 0, v.state, v.params.size) ==
				     sizeof(a) &&
			     f->getrandom(b, sizeof(b), 0, v.state,
					  v.params.size) == sizeof(b) &&
			     memcmp(a, b, sizeof(a)) != 0 && a[7] && b[7],
		     "%s: no random numbers", whose);
}

static void check_all(const struct functions *f, const char *whose,
		      uint64_t monotonic, uint64_t real)
{
	unsigned int cpu = 9999;
	struct timeval day = { 0 };

	check_clock(f, whose, CLOCK_MONOTONIC, monotonic);
	check_clock(f, whose, CLOCK_MONOTONIC_COARSE, monotonic);
	check_clock(f, whose, CLOCK_REALTIME, real);
	victim_check(f->gettimeofday(&day, NULL) == 0 &&
			     is_near((uint64_t)day.tv_sec * 1000000000, real),
		     "%s: time of day", whose);
	victim_check(is_near((uint64_t)f->time(NULL) * 1000000000, real),
		     "%s: time", whose);
	victim_check(f->getcpu(&cpu, NULL, NULL) == 0 && (int)cpu == v.cpu,
		     "%s: CPU %u, not %d", whose, cpu, v.cpu);
	check_random(f, whose);
}

static long libc_getcpu(unsigned int *cpu, unsigned int *node, void *unused)
{
	(void)unused;
	return getcpu(cpu, node);
}

static ssize_t libc_getrandom(void *buf, size_t len, unsigned int flags,
			      void *state, size_t state_len)
{
	(void)state;
	(void)state_len;
	return syscall(SYS_getrandom, buf, len, flags);
}

static int libc_gettimeofday(struct timeval *at, void *zone)
{
	return gettimeofday(at, zone);
}

static const struct functions libc = {
	.clock_gettime = clock_gettime,
	.clock_getres = clock_getres,
	.gettimeofday = libc_gettimeofday,
	.time = time,
	.getcpu = libc_getcpu,
	.getrandom = libc_getrandom,
};

static void *read_clock(void *arg)
{
	struct timespec at;
	uint64_t last = 0;

	(void)arg;
	while (!v.stop) {
		v.f.clock_gettime(CLOCK_MONOTONIC, &at);
		v.backward += ns_of(&at) < last;
		last = ns_of(&at);
		v.reads++;
	}
	return NULL;
}

#define DENY(nr)                                                               \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),                         \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1)

/* No system call tells the time from here on. */
static void deny_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		DENY(SYS_clock_gettime),
		DENY(SYS_gettimeofday),
		DENY(SYS_time),
		DENY(SYS_getcpu),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	victim_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
			     prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
				   &program) == 0,
		     "no filter");
}

/* Everything the kernel has mapped for it, as one; 0: not found. */
static unsigned long move_vdso(unsigned long base)
{
	unsigned long start, end, low = 0, high = 0, to;
	unsigned long from[8], len[8];
	char line[512];
	int n = 0;
	FILE *f = fopen("/proc/self/maps", "re");

	while (f && n < 8 && fgets(line, sizeof(line), f)) {
		if ((!strstr(line, "[vvar") && !strstr(line, "[vdso]")) ||
		    sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		low = n ? low : start;
		high = end;
		from[n] = start;
		len[n++] = end - start;
	}
	if (f)
		fclose(f);
	to = (unsigned long)mmap(NULL, high - low, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < n; i++)
		if (mremap((void *)from[i], len[i], len[i],
			   MREMAP_MAYMOVE | MREMAP_FIXED,
			   (void *)(to + (from[i] - low))) == MAP_FAILED)
			return 0;
	return to + (base - low);
}

/* libc's own way to the vDSO leads nowhere here. */
static void child(unsigned long base)
{
	struct timespec at = { 0 };
	struct functions f;

	base = move_vdso(base);
	if (!base)
		_exit(2);
	f = find_all((const char *)base);
	victim_wait_go();
	if (f.clock_gettime(CLOCK_MONOTONIC, &at) != 0 ||
	    !is_near(ns_of(&at), asked(CLOCK_MONOTONIC)))
		_exit(3);
	f = find_all((const char *)base);
	if (f.clock_gettime(CLOCK_MONOTONIC, &at) != 0 ||
	    !is_near(ns_of(&at), asked(CLOCK_MONOTONIC)))
		_exit(4);
	_exit(0);
}

static void set_random(void)
{
	if (!v.f.getrandom ||
	    v.f.getrandom(NULL, 0, 0, &v.params, SIZE_MAX) != 0)
		return;
	v.state = mmap(NULL, 4096, (int)v.params.prot, (int)v.params.flags, -1,
		       0);
	victim_need(v.state != MAP_FAILED, "memory for getrandom");
}

static void stay_on_cpu(void)
{
	cpu_set_t set;

	v.cpu = sched_getcpu();
	CPU_ZERO(&set);
	CPU_SET(v.cpu, &set);
	victim_need(sched_setaffinity(0, sizeof(set), &set) == 0, "affinity");
}

static void check_again(const char *base)
{
	uint64_t monotonic = asked(CLOCK_MONOTONIC);
	uint64_t real = asked(CLOCK_REALTIME);
	struct functions again = find_all(base);

	victim_check(monotonic >= v.before, "the clock went back");
	victim_check(memcmp(&again, &v.f, sizeof(again)) == 0,
		     "found elsewhere");
	check_all(&v.f, "vDSO", monotonic, real);
	check_all(&again, "found again", monotonic, real);
	check_all(&libc, "libc", monotonic, real);
	deny_calls();
	check_all(&v.f, "vDSO without calls", monotonic, real);
	check_all(&libc, "libc without calls", monotonic, real);
}

int main(void)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
	pthread_t reader;
	int status = -1;
	pid_t pid;

	if (!base)
		victim_skip("no vDSO");
	v.f = find_all(base);
	victim_need(v.f.clock_gettime && v.f.getcpu && v.f.time, "functions");
	set_random();
	check_random(&v.f, "before");
	stay_on_cpu();
	pid = fork();
	victim_need(pid >= 0, "fork");
	if (pid == 0)
		child((unsigned long)base);
	victim_need(pthread_create(&reader, NULL, read_clock, NULL) == 0,
		    "thread");
	victim_until(v.reads > 0);
	v.before = asked(CLOCK_MONOTONIC);
	victim_wait();
	v.stop = true;
	pthread_join(reader, NULL);
	waitpid(pid, &status, 0);
	victim_check(status == 0, "a moved vDSO: %#x", (unsigned int)status);
	victim_check(v.backward == 0, "a clock went back");
	check_again(base);
	victim_verdict(v.reads > 0, "the vDSO works");
}
