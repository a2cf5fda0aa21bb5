/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What threads have registered with the kernel: name, alternate stack (also
 * while a handler runs on it), robust mutex held in a shared file, address
 * cleared at the end (a join waits for it), rseq, death signal, TSC, MCE,
 * speculation control where the processor has any.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define THREADS    4
#define STACK_SIZE 65536

struct facts {
	char name[16];
	stack_t stack;
	void *robust, *clear;
	size_t robust_len;
	int pdeath, tsc;
	long mce, speculation[2];
};

static pthread_barrier_t ready;
static pthread_mutex_t *shared; /* in a file; held by thread 1 */
static volatile bool go;

static void look(struct facts *f)
{
	memset(f, 0, sizeof(*f));
	prctl(PR_GET_NAME, f->name);
	sigaltstack(NULL, &f->stack);
	syscall(SYS_get_robust_list, 0, &f->robust, &f->robust_len);
	prctl(PR_GET_TID_ADDRESS, &f->clear);
	prctl(PR_GET_PDEATHSIG, &f->pdeath);
	prctl(PR_GET_TSC, &f->tsc);
	f->mce = prctl(PR_MCE_KILL_GET, 0, 0, 0, 0);
	for (unsigned long i = 0; i < 2; i++)
		f->speculation[i] = prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0);
}

static void compare(const struct facts *a)
{
	struct facts b;

	look(&b);
	victim_check(!strcmp(a->name, b.name), "%s became %s", a->name, b.name);
	victim_check(a->stack.ss_sp == b.stack.ss_sp &&
			     a->stack.ss_size == b.stack.ss_size &&
			     a->stack.ss_flags == b.stack.ss_flags,
		     "%s: alternate stack %p %zu %#x", a->name, b.stack.ss_sp,
		     b.stack.ss_size, (unsigned int)b.stack.ss_flags);
	victim_check(a->robust == b.robust && a->robust_len == b.robust_len,
		     "%s: robust list %p", a->name, b.robust);
	victim_check(a->clear == b.clear, "%s: tid address %p", a->name,
		     b.clear);
	victim_check(a->pdeath == b.pdeath, "%s: death signal %d", a->name,
		     b.pdeath);
	victim_check(a->tsc == b.tsc, "%s: TSC %d", a->name, b.tsc);
	victim_check(a->mce == b.mce, "%s: MCE policy %ld", a->name, b.mce);
	for (int i = 0; i < 2; i++)
		victim_check(a->speculation[i] == b.speculation[i],
			     "%s: speculation %d is %#lx, was %#lx", a->name, i,
			     b.speculation[i], a->speculation[i]);
}

/* rseq works: the kernel still writes the CPU into the area. */
static void check_rseq(const char *who)
{
	struct rseq *area =
		(void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	unsigned int i, cpu = 0;
	unsigned long one;
	cpu_set_t all;

	if (__rseq_size == 0)
		return;
	sched_getaffinity(0, sizeof(all), &all);
	for (i = 0; i < 2; i++) {
		one = 1ul << i;
		if (syscall(SYS_sched_setaffinity, 0, 8, &one) < 0)
			continue;
		syscall(SYS_getcpu, &cpu, NULL, NULL);
		victim_check(area->cpu_id == cpu && cpu == i,
			     "%s: rseq says CPU %u, not %u", who, area->cpu_id,
			     cpu);
	}
	sched_setaffinity(0, sizeof(all), &all);
}

static void make_shared(void)
{
	int fd = open(victim_path("mutex"), O_RDWR | O_CREAT, 0600);
	pthread_mutexattr_t attr;

	victim_need(fd >= 0 && ftruncate(fd, 4096) == 0, "file");
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	victim_need(shared != MAP_FAILED, "mmap");
	close(fd);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(shared, &attr);
}

static void set(int n)
{
	char name[16] = "thr \xff\n(x) 4567";
	stack_t ss = { .ss_size = STACK_SIZE - (size_t)n * 16,
		       .ss_flags = n % 2 ? (int)(1u << 31) : 0 };

	name[0] = (char)('0' + n);
	prctl(PR_SET_NAME, name);
	ss.ss_sp = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaltstack(&ss, NULL);
	prctl(PR_SET_PDEATHSIG, n == 3 ? 64 : n);
	if (n == 2)
		prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	if (n == 3)
		prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0);
	/* Store bypass and indirect branches. */
	for (unsigned long i = 0; i < 2; i++)
		(void)prctl(PR_SET_SPECULATION_CTRL, i,
			    n % 2 ? PR_SPEC_DISABLE : PR_SPEC_FORCE_DISABLE, 0,
			    0);
	if (n == 1)
		victim_need(pthread_mutex_lock(shared) == 0, "lock");
}

static void work(int n)
{
	struct facts before;

	look(&before);
	pthread_barrier_wait(&ready);
	/* A thread without TSC may not use clocks of the vDSO. */
	while (!go)
		victim_nap(1000000);
	compare(&before);
	check_rseq(before.name);
	if (n == 1)
		victim_check(pthread_mutex_unlock(shared) == 0,
			     "the robust mutex is not held any more");
}

static volatile int in_handler;

static void on_stack(int sig)
{
	volatile char here = 0x5a;
	stack_t now;

	(void)sig;
	sigaltstack(NULL, &now);
	in_handler = 1;
	work(0);
	victim_check(here == (char)0x5a, "the frame of the handler");
}

static void *thread(void *arg)
{
	int n = (int)(intptr_t)arg;

	set(n);
	if (n == 0) /* waits in a handler, on its alternate stack */
		raise(SIGUSR1);
	else
		work(n);
	return (void *)(intptr_t)(n + 100);
}

/* A child that has a parent's death signal and no time stamp counter. */
static void without_tsc(void)
{
	int mode = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
	while (syscall(SYS_faccessat, AT_FDCWD, victim_path("go"), F_OK) < 0)
		syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 2000000 },
			NULL);
	prctl(PR_GET_TSC, &mode);
	_exit(mode == PR_TSC_SIGSEGV ? 0 : 1);
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_stack,
				.sa_flags = SA_ONSTACK };
	pthread_t threads[THREADS];
	struct facts before;
	void *result;
	pid_t child;
	int i, status;

	make_shared();
	child = fork();
	if (child == 0)
		without_tsc();
	sigaction(SIGUSR1, &sa, NULL);
	pthread_barrier_init(&ready, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, thread, (void *)(intptr_t)i);
	prctl(PR_SET_NAME, "");
	look(&before);
	pthread_barrier_wait(&ready);
	victim_wait();
	victim_check(pthread_mutex_trylock(shared) == EBUSY,
		     "the shared mutex lost its owner");
	compare(&before);
	check_rseq("leader");
	go = true;
	for (i = 0; i < THREADS; i++) {
		result = NULL;
		victim_check(pthread_join(threads[i], &result) == 0 &&
				     result == (void *)(intptr_t)(i + 100),
			     "thread %d ends with %p", i, result);
	}
	victim_check(waitpid(child, &status, 0) == child && status == 0,
		     "child without TSC: %#x", (unsigned int)status);
	victim_verdict(victim_interrupts == 0, "threads are the same");
}
