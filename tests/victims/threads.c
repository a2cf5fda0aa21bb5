/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads: ids, thread-local memory, locks and conditions they wait for. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../lib/victim.h"

#define THREADS 24

static __thread unsigned int local_a = 17, local_b[500];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static pthread_key_t key;
static int waiting, go;

static void wait_condition(void)
{
	pthread_mutex_lock(&lock);
	waiting++;
	while (!go)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void wait_timed(void)
{
	struct timespec until;

	pthread_mutex_lock(&lock);
	waiting++;
	while (!go) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 1;
		pthread_cond_timedwait(&changed, &lock, &until);
	}
	pthread_mutex_unlock(&lock);
}

static void wait_sem(void)
{
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	victim_check(sem_wait(&sem) == 0, "sem_wait was interrupted");
}

static void run(void)
{
	volatile double x = 1;

	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&go, __ATOMIC_SEQ_CST))
		x = x * 1.0000001;
	victim_check(x > 1, "a number");
}

static void *thread(void *arg)
{
	unsigned int n = (unsigned int)(long)arg;
	pid_t tid = (pid_t)syscall(SYS_gettid);
	pthread_t self = pthread_self();
	int dummy;

	local_a = n;
	for (size_t i = 0; i < 500; i++)
		local_b[i] = n * 1000 + (unsigned int)i;
	pthread_setspecific(key, &dummy);
	switch (n % 4) {
	case 0:
		wait_condition();
		break;
	case 1:
		wait_timed();
		break;
	case 2:
		wait_sem();
		break;
	default:
		run();
	}
	victim_check(tid == (pid_t)syscall(SYS_gettid), "thread %u: id %d", n,
		     tid);
	victim_check(pthread_equal(self, pthread_self()), "thread %u: self", n);
	victim_check(local_a == n && local_b[499] == n * 1000 + 499,
		     "thread %u: thread-local memory", n);
	victim_check(pthread_getspecific(key) == &dummy, "thread %u: specific",
		     n);
	pthread_barrier_wait(&barrier);
	return arg;
}

int main(void)
{
	pthread_t t[THREADS];
	void *ret;
	long i;

	victim_need(pthread_key_create(&key, NULL) == 0, "key");
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	sem_init(&sem, 0, 0);
	for (i = 0; i < THREADS; i++)
		victim_need(pthread_create(&t[i], NULL, thread, (void *)i) == 0,
			    "thread");
	victim_until(__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) == THREADS);

	victim_wait();

	pthread_mutex_lock(&lock);
	__atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	for (i = 0; i < THREADS; i++)
		sem_post(&sem);
	pthread_barrier_wait(&barrier);
	for (i = 0; i < THREADS; i++)
		victim_check(pthread_join(t[i], &ret) == 0 && ret == (void *)i,
			     "thread %ld: join", i);
	victim_verdict(true, "threads, their memory and locks go on");
}
