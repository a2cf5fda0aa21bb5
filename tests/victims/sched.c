/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policy, nice, affinity and I/O priority, different in each thread. */
#include <errno.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/victim.h"

struct attr { /* struct sched_attr, which glibc's headers exclude */
	uint32_t size, sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime, sched_deadline, sched_period;
	uint32_t sched_util_min, sched_util_max;
};

struct facts {
	struct attr attr;
	unsigned long affinity[16];
	long ioprio, slack;
};

static struct wish {
	const char *name;
	struct attr attr;
	int ioprio;
	unsigned long cpus, slack;
	bool root;
} wishes[] = {
	{ "leader", { .sched_nice = 3 }, 0, 3, 50000, false },
	{ "nice",
	  { .sched_nice = 19 },
	  IOPRIO_CLASS_BE << 13 | 7,
	  1,
	  9876543,
	  false },
	{ "batch",
	  { .sched_policy = 3, .sched_nice = 5 },
	  IOPRIO_CLASS_IDLE << 13,
	  2,
	  1,
	  false },
	{ "idle",
	  { .sched_policy = 5, .sched_nice = 7, .sched_flags = 1 },
	  IOPRIO_CLASS_BE << 13,
	  3,
	  50001,
	  false },
	{ "fifo",
	  { .sched_policy = 1, .sched_priority = 1 },
	  IOPRIO_CLASS_RT << 13 | 4,
	  3,
	  0,
	  true },
	{ "rr",
	  { .sched_policy = 2, .sched_priority = 99, .sched_flags = 1 },
	  0,
	  1,
	  0,
	  true },
	{ "favoured", { .sched_nice = -20 }, 0, 3, 70000, true },
	{ "deadline",
	  { .sched_policy = 6,
	    .sched_runtime = 1000000,
	    .sched_deadline = 50000000,
	    .sched_period = 100000000,
	    .sched_flags = 6 }, /* reclaims, and is told of overruns */
	  0,
	  3,
	  0,
	  true },
	{ "slice",
	  { .sched_runtime = 87654321 }, /* Linux 6.12 */
	  0,
	  3,
	  50000,
	  false },
};
#define COUNT (int)(sizeof(wishes) / sizeof(wishes[0]))

static pthread_barrier_t ready;

static void look(struct facts *f)
{
	memset(f, 0, sizeof(*f));
	syscall(SYS_sched_getattr, 0, &f->attr, sizeof(f->attr), 0);
	syscall(SYS_sched_getaffinity, 0, sizeof(f->affinity), f->affinity);
	f->ioprio = syscall(SYS_ioprio_get, 1, 0);
	f->slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
}

static void set(struct wish *w)
{
	if (w->slack)
		prctl(PR_SET_TIMERSLACK, w->slack, 0, 0, 0);
	w->attr.size = sizeof(w->attr);
	victim_need(syscall(SYS_sched_setaffinity, 0, 8, &w->cpus) == 0,
		    "sched_setaffinity");
	victim_need(syscall(SYS_sched_setattr, 0, &w->attr, 0) == 0,
		    "sched_setattr");
	if (w->ioprio)
		victim_need(syscall(SYS_ioprio_set, 1, 0, w->ioprio) == 0,
			    "ioprio_set");
}

static void compare(const char *who, const struct facts *a)
{
	struct facts b;

	look(&b);
	victim_check(!memcmp(&a->attr, &b.attr, sizeof(b.attr)),
		     "%s: policy %u, nice %d, priority %u, flags %#llx", who,
		     b.attr.sched_policy, b.attr.sched_nice,
		     b.attr.sched_priority,
		     (unsigned long long)b.attr.sched_flags);
	victim_check(!memcmp(a->affinity, b.affinity, sizeof(b.affinity)),
		     "%s: affinity %lx", who, b.affinity[0]);
	victim_check(a->ioprio == b.ioprio, "%s: ioprio %lx became %lx", who,
		     a->ioprio, b.ioprio);
	victim_check(a->slack == b.slack, "%s: timer slack %ld became %ld", who,
		     a->slack, b.slack);
}

static void *thread(void *arg)
{
	struct wish *w = arg;
	struct facts before;

	set(w);
	look(&before);
	pthread_barrier_wait(&ready);
	victim_wait_go();
	compare(w->name, &before);
	return NULL;
}

int main(void)
{
	pthread_t threads[COUNT];
	struct facts before;
	int i, n = 0;

	/* A slow machine lets the thread with DL_OVERRUN overrun. */
	signal(SIGXCPU, SIG_IGN);
	pthread_barrier_init(&ready, NULL, getuid() ? 5 : COUNT);
	for (i = 1; i < COUNT; i++)
		if (getuid() == 0 || !wishes[i].root)
			pthread_create(&threads[n++], NULL, thread, &wishes[i]);
	set(&wishes[0]);
	look(&before);
	pthread_barrier_wait(&ready);
	victim_wait();
	compare("leader", &before);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	victim_verdict(victim_interrupts == 0, "scheduling is the same");
}
