/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System V message queues: what is in them, and who waits at them. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

#define KEY  0x6a6f624d
#define MOST 8192

struct message {
	long type;
	char text[MOST];
};

static struct message m;

static int put(int id, long type, size_t len, char first)
{
	m.type = type;
	memset(m.text, first, len);
	return msgsnd(id, &m, len, IPC_NOWAIT);
}

static bool next_is(int id, long type, size_t len, char first)
{
	ssize_t n = msgrcv(id, &m, MOST, 0, IPC_NOWAIT);

	for (ssize_t i = 0; i < n; i++)
		if (m.text[i] != first)
			return false;
	return victim_check(n == (ssize_t)len && m.type == type,
			    "a message of %zd bytes and type %ld, not %zu and "
			    "%ld",
			    n, m.type, len, type);
}

static int receiver(int id)
{
	ssize_t n = msgrcv(id, &m, MOST, -77, 0);

	return n == 3 && m.type == 50 ? 0 : 1;
}

static int sender(int id)
{
	m.type = 4;
	memset(m.text, 's', MOST);
	return msgsnd(id, &m, MOST, 0) < 0;
}

static pid_t start(int (*fn)(int), int id)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(id));
	victim_need(pid > 0, "fork");
	return pid;
}

static bool sleeps(pid_t pid)
{
	char path[64], text[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/wchan", pid);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	return strstr(text, "msg") != NULL;
}

static int end_of(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return status;
}

int main(void)
{
	int id = msgget(KEY, IPC_CREAT | IPC_EXCL | 0620);
	int full = msgget(IPC_PRIVATE, 0600),
	    empty = msgget(KEY + 1, IPC_CREAT | 0600);
	int small = msgget(IPC_PRIVATE, 0600), many = msgget(IPC_PRIVATE, 0600);
	struct msqid_ds ds = { 0 };
	pid_t sends, receives;

	victim_need(id >= 0 && full >= 0 && empty >= 0 && small >= 0 &&
			    many >= 0,
		    "msgget");
	victim_need(put(id, 3, 5, 'a') == 0 && put(id, LONG_MAX, 0, 'b') == 0 &&
			    put(id, 1, MOST, 'c') == 0 &&
			    put(id, 3, 1, 'd') == 0,
		    "messages");
	victim_need(put(full, 1, MOST, 'x') == 0 &&
			    put(full, 2, MOST, 'y') == 0,
		    "a full queue");
	for (int i = 0; i < 5000; i++)
		victim_need(put(many, i + 1, 2, (char)i) == 0, "many");
	/* It holds more than it may hold by now. */
	victim_need(put(small, 9, 1000, 'z') == 0 &&
			    msgctl(small, IPC_STAT, &ds) == 0,
		    "a small queue");
	ds.msg_qbytes = 10;
	ds.msg_perm.mode = 0400;
	victim_need(msgctl(small, IPC_SET, &ds) == 0, "IPC_SET");
	sends = start(sender, full);
	receives = start(receiver, empty);
	victim_need(victim_until(sleeps(sends) && sleeps(receives)), "waiters");

	victim_wait();

	victim_check(msgget(KEY, 0) == id && msgget(KEY + 1, 0) == empty,
		     "keys lead to others");
	victim_check(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 4 &&
			     ds.msg_perm.cuid == getuid() &&
			     ds.msg_perm.uid == getuid() &&
			     ds.msg_perm.gid == getgid() &&
			     (ds.msg_perm.mode & 0777) == 0620,
		     "the queue has another owner, mode or length");
	next_is(id, 3, 5, 'a');
	next_is(id, LONG_MAX, 0, 'b');
	next_is(id, 1, MOST, 'c');
	next_is(id, 3, 1, 'd');
	victim_check(msgrcv(id, &m, MOST, 0, IPC_NOWAIT) < 0 && errno == ENOMSG,
		     "more messages than before");
	for (int i = 0; i < 5000; i++)
		if (!next_is(many, i + 1, 2, (char)i))
			break;
	victim_check(msgctl(small, IPC_STAT, &ds) == 0 && ds.msg_qbytes == 10 &&
			     (ds.msg_perm.mode & 0777) == 0400,
		     "the small queue may hold %lu bytes, mode %o",
		     (unsigned long)ds.msg_qbytes, ds.msg_perm.mode);
	next_is(small, 9, 1000, 'z');
	/* A restored process makes the call again, when it is its turn. */
	victim_check(victim_until(sleeps(sends) && sleeps(receives)),
		     "nobody waits any more");
	next_is(full, 1, MOST, 'x');
	victim_check(end_of(sends) == 0, "the sender failed");
	next_is(full, 2, MOST, 'y');
	next_is(full, 4, MOST, 's');
	put(empty, 78, 2, 'n');
	put(empty, 50, 3, 'r');
	victim_check(end_of(receives) == 0, "the receiver failed");
	victim_verdict(msgctl(id, IPC_RMID, NULL) == 0 &&
			       victim_interrupts == 0,
		       "System V message queues are as they were");
}
