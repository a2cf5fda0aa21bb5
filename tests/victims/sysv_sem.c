/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System V semaphores: values, undos of every size, waiting processes. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

#define KEY  0x6a6f6253
#define MOST 32767
#define MANY 2000

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

/* Value, and what is to happen to it when the child ends. */
static const struct {
	int value, undo;
} extremes[] = {
	{ 0, 0 },        { 0, 1 },         { 0, MOST },      { 1, -1 },
	{ MOST, -MOST }, { MOST, -1 },     { 12345, 20422 }, { 20000, -20000 },
	{ 100, 0 },      { 20000, 12767 }, { 5, 3 },         { MOST, 0 },
};
#define EXTREMES (sizeof(extremes) / sizeof(extremes[0]))

static int value_of(int id, int n)
{
	return semctl(id, n, GETVAL);
}

static int operate(int id, int n, int by, int flags)
{
	struct sembuf op = { (unsigned short)n, (short)by, (short)flags };
	int r;

	do {
		r = semop(id, &op, 1);
	} while (r < 0 && errno == EINTR);
	return r;
}

/* A child that has all kinds of undos, and ends when it is told. */
static int owner(int id, int ready)
{
	for (size_t i = 0; i < EXTREMES; i++) {
		const int n = (int)i, undo = extremes[i].undo;
		const union semun value = { .val = extremes[i].value };
		const int first = undo > 0 ? undo : 0;

		/* SETVAL clears undos: the value comes by operations. */
		if ((first && operate(id, n, first, 0) < 0) ||
		    (undo && operate(id, n, -undo, SEM_UNDO) < 0))
			return 1;
		if (value.val != value_of(id, n) &&
		    operate(id, n, value.val - value_of(id, n), 0) < 0)
			return 2;
	}
	operate(ready, 0, 1, 0);
	victim_wait_go();
	return operate(ready, 1, -1, 0) < 0;
}

static void *thread_main(void *arg)
{
	int *id = arg;

	/* The list is that of the process. */
	operate(*id, 0, 1, SEM_UNDO);
	operate(*id, 1, 1, 0);
	operate(*id, 2, -1, 0);
	return NULL;
}

static int threaded(int id)
{
	pthread_t t;

	if (pthread_create(&t, NULL, thread_main, &id) != 0)
		return 1;
	victim_wait_go();
	pthread_join(t, NULL);
	return victim_interrupts != 0;
}

/* One of very many. */
static int lonely(int id)
{
	if (operate(id, MANY - 2, 3, SEM_UNDO) < 0 ||
	    operate(id, 777, 9, 0) < 0 || operate(id, 777, -4, SEM_UNDO) < 0)
		return 1;
	victim_wait_go();
	return operate(id, 0, -1, 0) < 0;
}

/* Waits for two semaphores at once, then for zero. */
static int waiter(int id)
{
	struct sembuf both[] = { { 1, -1, 0 }, { 2, -2, SEM_UNDO } };
	struct sembuf zero = { 3, 0, 0 };

	if (semop(id, both, 2) < 0)
		return errno == EINTR ? 9 : 1;
	return semop(id, &zero, 1) < 0 ? 2 : 0;
}

static int timed_waiter(int id)
{
	struct timespec long_time = { .tv_sec = 1000 };
	struct sembuf op = { 4, -1, 0 };

	return semtimedop(id, &op, 1, &long_time) < 0 ? errno : 0;
}

static pid_t start(int (*fn)(int), int id)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(id));
	victim_need(pid > 0, "fork");
	return pid;
}

static int end_of(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return status;
}

static void check_extremes(int id)
{
	for (size_t i = 0; i < EXTREMES; i++)
		victim_check(value_of(id, (int)i) == extremes[i].value,
			     "semaphore %zu is %d, not %d", i,
			     value_of(id, (int)i), extremes[i].value);
}

static void check_undone(int id)
{
	for (size_t i = 0; i < EXTREMES; i++) {
		int want = extremes[i].value + extremes[i].undo;

		victim_check(value_of(id, (int)i) == want,
			     "undone, semaphore %zu is %d, not %d", i,
			     value_of(id, (int)i), want);
	}
}

int main(void)
{
	int set = semget(KEY, EXTREMES, IPC_CREAT | IPC_EXCL | 0640);
	int tell = semget(IPC_PRIVATE, 2, 0600);
	int own = semget(KEY + 1, 3, IPC_CREAT | 0600);
	int wait = semget(IPC_PRIVATE, 5, 0600);
	int other = semget(KEY + 2, 32, IPC_CREAT | 0600);
	union semun one = { .val = 1 };
	struct semid_ds ds = { 0 };
	int large = semget(IPC_PRIVATE, MANY, 0600);
	pid_t pid, lost, waits, timed, threads, alone;

	victim_need(set >= 0 && tell >= 0 && own >= 0 && wait >= 0 &&
			    other >= 0 && large >= 0,
		    "semget");
	pid = fork();
	if (pid == 0)
		_exit(owner(set, tell));
	victim_need(pid > 0 && operate(tell, 0, -1, 0) == 0, "the owner");
	/* Who used it last has ended, its undo is done. */
	lost = fork();
	if (lost == 0)
		_exit(operate(other, 3, 7, SEM_UNDO) < 0 ||
		      operate(other, 3, 4, 0) < 0);
	victim_need(end_of(lost) == 0, "the lost one");
	semctl(other, 31, SETVAL, (union semun){ .val = MOST });
	semctl(wait, 3, SETVAL, one);
	threads = start(threaded, own);
	alone = start(lonely, large);
	victim_need(victim_until(value_of(large, 777) == 5), "the lonely one");
	waits = start(waiter, wait);
	timed = start(timed_waiter, wait);
	victim_need(operate(own, 1, -1, 0) == 0, "threads");
	victim_need(victim_until(semctl(wait, 1, GETNCNT) == 1 &&
				 semctl(wait, 4, GETNCNT) == 1),
		    "waiters");

	victim_wait();

	victim_check(semget(KEY, EXTREMES, 0) == set &&
			     semget(KEY + 1, 3, 0) == own,
		     "keys lead to others");
	victim_check(semctl(set, 0, IPC_STAT, (union semun){ .buf = &ds }) ==
				     0 &&
			     (ds.sem_perm.mode & 0777) == 0640 &&
			     ds.sem_perm.uid == getuid() &&
			     ds.sem_perm.cuid == getuid() &&
			     ds.sem_nsems == EXTREMES,
		     "the set has another owner, mode or size");
	check_extremes(set);
	victim_check(semctl(set, 1, GETPID) == pid,
		     "semaphore 1 was last used by %d, not by %d",
		     semctl(set, 1, GETPID), pid);
	victim_check(semctl(own, 0, GETPID) == threads, "of the threads");
	victim_check(value_of(other, 3) == 4 && value_of(other, 31) == MOST &&
			     value_of(other, 0) == 0,
		     "other values differ");
	victim_check(victim_until(semctl(wait, 1, GETNCNT) == 1 &&
				  semctl(wait, 4, GETNCNT) == 1),
		     "nobody waits any more");
	victim_check(value_of(own, 0) == 1, "what the thread added");
	operate(tell, 1, 1, 0);
	victim_check(end_of(pid) == 0, "the owner failed");
	check_undone(set);
	victim_check(value_of(large, 777) == 5 &&
			     value_of(large, MANY - 2) == 3 &&
			     value_of(large, MANY - 1) == 0,
		     "values of the large set differ");
	operate(large, 0, 1, 0);
	victim_check(end_of(alone) == 0 && value_of(large, 777) == 9 &&
			     value_of(large, MANY - 2) == 0,
		     "of very many, undos of some are lost");
	operate(own, 2, 1, 0);
	victim_check(end_of(threads) == 0, "the threads failed");
	victim_check(value_of(own, 0) == 0, "the thread's undo is lost");
	operate(wait, 1, 1, 0);
	operate(wait, 2, 2, 0);
	victim_check(victim_until(semctl(wait, 3, GETZCNT) == 1),
		     "nobody waits for zero");
	operate(wait, 3, -1, 0);
	victim_check(end_of(waits) == 0, "the one who waits failed");
	victim_check(value_of(wait, 2) == 2, "its undo is not done");
	operate(wait, 4, 1, 0);
	victim_check(end_of(timed) == 0, "the one with a timeout failed");
	victim_verdict(semctl(set, 0, IPC_RMID) == 0,
		       "System V semaphores are as they were");
}
