/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POSIX message queues: open, closed, unlinked; who waits at them. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

static int receiver(mqd_t q)
{
	unsigned int priority = 0;
	char text[64];
	ssize_t n = mq_receive(q, text, sizeof(text), &priority);

	return n == 5 && priority == 31 && !memcmp(text, "hello", 5) ? 0 : 1;
}

int main(void)
{
	struct mq_attr few = { .mq_maxmsg = 3, .mq_msgsize = 64 };
	struct mq_attr large = { .mq_maxmsg = 10, .mq_msgsize = 8192 };
	struct mq_attr a = { 0 }, b = { 0 };
	mqd_t rw = mq_open("/jobcr-a", O_RDWR | O_CREAT | O_EXCL, 0640, &few);
	mqd_t ro = mq_open("/jobcr-a", O_RDONLY | O_NONBLOCK);
	mqd_t wo = mq_open("/jobcr-a", O_WRONLY);
	mqd_t gone =
		mq_open("/jobcr-b", O_RDWR | O_CREAT | O_EXCL, 0600, &large);
	mqd_t closed =
		mq_open("/jobcr-c", O_RDWR | O_CREAT | O_EXCL, 0666, &large);
	mqd_t twin, heir;
	unsigned int priority;
	int status = -1;
	char text[8192];
	struct stat st;
	pid_t pid;

	victim_need(rw >= 0 && ro >= 0 && wo >= 0 && gone >= 0 && closed >= 0,
		    "mq_open");
	victim_need(mq_unlink("/jobcr-b") == 0, "mq_unlink");
	/* Another of the same name. */
	heir = mq_open("/jobcr-b", O_RDWR | O_CREAT | O_EXCL, 0600, &few);
	twin = dup(rw);
	victim_need(heir >= 0 && twin >= 0 && mq_close(closed) == 0, "heir");
	pid = fork();
	if (pid == 0)
		_exit(receiver(rw));

	victim_wait();

	victim_check(mq_getattr(rw, &a) == 0 && a.mq_maxmsg == 3 &&
			     a.mq_msgsize == 64 && a.mq_curmsgs == 0 &&
			     a.mq_flags == 0,
		     "the queue has other attributes");
	victim_check(mq_getattr(ro, &b) == 0 && b.mq_flags == O_NONBLOCK,
		     "O_NONBLOCK is lost");
	victim_check(fstat(rw, &st) == 0 && (st.st_mode & 0777) == 0640 &&
			     st.st_uid == getuid() && st.st_gid == getgid(),
		     "the queue has another owner or mode");
	victim_check(mq_send(ro, "x", 1, 0) < 0 && errno == EBADF &&
			     mq_receive(wo, text, 64, NULL) < 0 &&
			     errno == EBADF,
		     "descriptors may do more");
	victim_check(mq_send(wo, "hello", 5, 31) == 0, "mq_send");
	waitpid(pid, &status, 0);
	victim_check(status == 0, "the one who waits failed");
	victim_check(mq_send(twin, "one", 3, 1) == 0 &&
			     mq_send(rw, "two", 3, 2) == 0 &&
			     mq_receive(ro, text, 64, &priority) == 3 &&
			     priority == 2 && !memcmp(text, "two", 3),
		     "descriptors lead to different queues");
	victim_check(mq_getattr(gone, &a) == 0 && a.mq_msgsize == 8192 &&
			     mq_getattr(heir, &a) == 0 && a.mq_msgsize == 64,
		     "the unlinked queue and its heir are mixed up");
	victim_check(mq_unlink("/jobcr-b") == 0 &&
			     mq_open("/jobcr-b", O_RDWR) < 0,
		     "the unlinked queue has a name again");
	closed = mq_open("/jobcr-c", O_RDWR);
	victim_check(closed >= 0 && mq_getattr(closed, &a) == 0 &&
			     a.mq_maxmsg == 10,
		     "the queue that nobody had open is gone");
	victim_verdict(mq_unlink("/jobcr-a") == 0 && mq_unlink("/jobcr-c") == 0,
		       "POSIX message queues are as they were");
}
