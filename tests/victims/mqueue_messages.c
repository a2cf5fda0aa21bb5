/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages in POSIX queues: their order, priorities and contents, in queues
 * that are open, closed or unlinked; and who waits at a full one.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

#define HIGHEST 32767u
#define SIZE    8192
#define MANY    10

static mqd_t make(const char *name, long count)
{
	struct mq_attr attr = { .mq_maxmsg = count, .mq_msgsize = SIZE };

	return mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
}

static void put(mqd_t q, const char *text, unsigned int priority)
{
	victim_need(mq_send(q, text, strlen(text), priority) == 0, text);
}

static bool take(mqd_t q, const char *wanted, unsigned int priority)
{
	char text[SIZE];
	unsigned int p = 0;
	ssize_t n = mq_receive(q, text, sizeof(text), &p);

	return victim_check(n == (ssize_t)strlen(wanted) &&
				    !memcmp(text, wanted, (size_t)n) &&
				    p == priority,
			    "%zd bytes of priority %u, not \"%s\" of %u", n, p,
			    wanted, priority);
}

static long waiting(mqd_t q)
{
	struct mq_attr a;

	return mq_getattr(q, &a) < 0 ? -1 : a.mq_curmsgs;
}

static void fill(char *to, int n)
{
	for (int i = 0; i < SIZE; i++)
		to[i] = (char)(i * 7 + n);
}

/* As many as it takes, of the largest size, with all bytes there are. */
static void put_large(mqd_t q)
{
	char all[SIZE];

	for (int i = 0; i < MANY; i++) {
		fill(all, i);
		victim_need(mq_send(q, all, SIZE, (unsigned int)(i % 2)) == 0,
			    "large message");
	}
}

static void take_large(mqd_t q)
{
	char all[SIZE], text[SIZE];
	unsigned int p;

	for (int i = 0; i < MANY; i++) {
		int n = i < MANY / 2 ? 2 * i + 1 : 2 * (i - MANY / 2);

		fill(all, n);
		victim_check(mq_receive(q, text, SIZE, &p) == SIZE &&
				     p == (unsigned int)(n % 2) &&
				     !memcmp(all, text, SIZE),
			     "large message %d", n);
	}
}

static pid_t start_sender(mqd_t q)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(mq_send(q, "late", 4, 1) != 0);
	return pid;
}

int main(void)
{
	mqd_t open_one = make("/order", 10), full = make("/full", 2);
	mqd_t gone = make("/gone", 10), closed = make("/closed", 10);
	struct pollfd ready = { .fd = (int)open_one, .events = POLLIN };
	int status = -1;
	pid_t sender;

	victim_need(open_one >= 0 && full >= 0 && gone >= 0 && closed >= 0,
		    "mq_open");
	put(open_one, "first", 5);
	put(open_one, "low", 0);
	put(open_one, "second", 5);
	put(open_one, "", 5);
	put(open_one, "top", HIGHEST);
	put(open_one, "third", 5);
	put(full, "one", 1);
	put(full, "two", 1);
	put_large(gone);
	victim_need(mq_unlink("/gone") == 0, "mq_unlink");
	put(closed, "nobody has it", 3);
	victim_need(mq_close(closed) == 0, "mq_close");
	sender = start_sender(full);

	victim_wait();

	victim_check(poll(&ready, 1, 0) == 1 && waiting(open_one) == 6,
		     "%ld messages", waiting(open_one));
	take(open_one, "top", HIGHEST);
	take(open_one, "first", 5);
	take(open_one, "second", 5);
	take(open_one, "", 5);
	take(open_one, "third", 5);
	take(open_one, "low", 0);
	victim_check(waiting(open_one) == 0 && poll(&ready, 1, 0) == 0,
		     "there are more");
	take_large(gone);
	victim_check(waiting(gone) == 0, "there are more large ones");
	closed = mq_open("/closed", O_RDONLY);
	victim_check(closed >= 0 && waiting(closed) == 1, "the closed one");
	take(closed, "nobody has it", 3);
	victim_check(waiting(full) == 2, "%ld in the full one", waiting(full));
	take(full, "one", 1);
	victim_check(waitpid(sender, &status, 0) == sender && status == 0,
		     "who waited at the full one: %d", status);
	take(full, "two", 1);
	take(full, "late", 1);
	victim_verdict(mq_unlink("/order") == 0 && mq_unlink("/full") == 0 &&
			       mq_unlink("/closed") == 0,
		       "messages of POSIX queues are as they were");
}
