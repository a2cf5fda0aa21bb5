// SPDX-License-Identifier: GPL-2.0-or-later
/* Pipes and fifos: contents, sizes, flags, ends that are gone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

enum { READ, WRITE };

struct pipes {
	int full[2], packets[2], no_writer[2], no_reader[2], empty[2];
	int second; /* another description of full's read end */
	int fifo[2], child[2], watched[2];
	int one[2], mixed[2]; /* packets of one byte, packets and a stream */
	size_t written;
};

static void put(int fd, const char *text)
{
	victim_need(write(fd, text, strlen(text)) == (ssize_t)strlen(text),
		    text);
}

static void take(int fd, const char *text, const char *what)
{
	char buf[64] = "";
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	victim_check(n == (ssize_t)strlen(text) && !strcmp(buf, text),
		     "%s: \"%s\" (%zd)", what, buf, n);
}

static void fill(struct pipes *p)
{
	uint8_t buf[1000];
	ssize_t n;

	victim_need(fcntl(p->full[WRITE], F_SETPIPE_SZ, 1 << 17) == 1 << 17 &&
			    fcntl(p->full[WRITE], F_SETFL, O_NONBLOCK) == 0,
		    "pipe size");
	for (;;) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)((p->written + i) % 251);
		n = write(p->full[WRITE], buf, sizeof(buf));
		if (n < 0)
			break;
		p->written += (size_t)n;
	}
	victim_need(errno == EAGAIN && p->written > 100000, "full pipe");
}

/* Tell this process by a signal of its choice when there is something. */
static void watch(int fd)
{
	struct f_owner_ex self = { F_OWNER_TID, getpid() };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	victim_need(fcntl(fd, F_SETOWN_EX, &self) == 0 &&
			    fcntl(fd, F_SETSIG, SIGRTMIN + 1) == 0 &&
			    fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) == 0,
		    "O_ASYNC");
}

/* Whole pages and a packet, what was spliced and a packet, then a stream. */
static void mix(const int *pipe)
{
	const char page[4096] = { 'p' };
	int other[2];

	victim_need(write(pipe[WRITE], page, sizeof(page)) == sizeof(page) &&
			    fcntl(pipe[WRITE], F_SETFL, O_DIRECT) == 0,
		    "mixed");
	put(pipe[WRITE], "packet");
	victim_need(pipe2(other, 0) == 0, "pipe");
	put(other[WRITE], "spliced");
	victim_need(tee(other[READ], pipe[WRITE], 7, 0) == 7, "tee");
	close(other[READ]);
	close(other[WRITE]);
	put(pipe[WRITE], "b");
	victim_need(fcntl(pipe[WRITE], F_SETFL, 0) == 0, "no packets");
	put(pipe[WRITE], "stream");
}

static void check_mixed(const struct pipes *p)
{
	char page[4096] = "", byte;

	take(p->one[READ], "1", "a packet of one byte");
	take(p->one[READ], "two", "and the one after it");
	victim_check(read(p->mixed[READ], page, 4000) == 4000 &&
			     read(p->mixed[READ], page, 95) == 95,
		     "the start of a stream");
	victim_check(read(p->mixed[READ], page, 64) == 7 &&
			     !memcmp(page, "\0packet", 7),
		     "its last byte and a packet");
	victim_check(read(p->mixed[READ], page, 2) == 2 && page[1] == 'p',
		     "the start of what was spliced");
	take(p->mixed[READ], "licedb", "its rest and a packet of one byte");
	victim_check(read(p->mixed[READ], &byte, 1) == 1 && byte == 's',
		     "the start of the last stream");
	put(p->mixed[WRITE], "s");
	take(p->mixed[READ], "treams", "the rest of it");
}

static void set_up(struct pipes *p)
{
	char path[32];

	victim_need(pipe(p->full) == 0 && pipe2(p->packets, O_DIRECT) == 0 &&
			    pipe(p->no_writer) == 0 &&
			    pipe(p->no_reader) == 0 &&
			    pipe2(p->empty, O_NONBLOCK) == 0 &&
			    pipe(p->child) == 0 && pipe(p->watched) == 0 &&
			    pipe2(p->one, O_DIRECT) == 0 &&
			    pipe(p->mixed) == 0,
		    "pipes");
	fill(p);
	watch(p->watched[READ]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->full[READ]);
	p->second = open(path, O_RDONLY | O_NONBLOCK);
	victim_need(p->second >= 0, "second description");
	put(p->packets[WRITE], "first");
	put(p->packets[WRITE], "second packet");
	put(p->packets[WRITE], "third");
	put(p->one[WRITE], "1");
	mix(p->mixed);
	put(p->no_writer[WRITE], "last words");
	close(p->no_writer[WRITE]);
	close(p->no_reader[READ]);
	victim_need(mkfifo(victim_path("fifo"), 0600) == 0, "fifo");
	p->fifo[READ] = open(victim_path("fifo"), O_RDONLY | O_NONBLOCK);
	p->fifo[WRITE] = open(victim_path("fifo"), O_WRONLY);
	victim_need(p->fifo[READ] >= 0 && p->fifo[WRITE] >= 0, "open fifo");
	put(p->fifo[WRITE], "through a fifo");
}

static void check_watched(const struct pipes *p)
{
	struct timespec none = { 0 };
	siginfo_t info = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	victim_check(fcntl(p->watched[READ], F_GETFL) & O_ASYNC,
		     "O_ASYNC is kept");
	victim_check(sigtimedwait(&set, &info, &none) < 0, "nothing is told");
	put(p->watched[WRITE], "x");
	victim_check(sigtimedwait(&set, &info, &none) == SIGRTMIN + 1 &&
			     info.si_fd == p->watched[READ],
		     "a signal tells of descriptor %d", info.si_fd);
}

static void check_full(const struct pipes *p)
{
	uint8_t buf[777];
	size_t got = 0, wrong = 0;
	ssize_t n;

	victim_check(fcntl(p->full[READ], F_GETPIPE_SZ) == 1 << 17, "size %d",
		     fcntl(p->full[READ], F_GETPIPE_SZ));
	victim_check(fcntl(p->full[WRITE], F_GETFL) & O_NONBLOCK &&
			     !(fcntl(p->full[READ], F_GETFL) & O_NONBLOCK) &&
			     fcntl(p->second, F_GETFL) & O_NONBLOCK,
		     "O_NONBLOCK of each description");
	while ((n = read(p->second, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++, got++)
			wrong += buf[i] != got % 251;
	victim_check(got == p->written && !wrong && errno == EAGAIN,
		     "%zu of %zu bytes, %zu wrong", got, p->written, wrong);
}

static void check_rest(const struct pipes *p)
{
	char byte;

	take(p->packets[READ], "first", "packets");
	victim_check(read(p->packets[READ], &byte, 1) == 1 && byte == 's',
		     "the start of a packet");
	take(p->packets[READ], "third", "the packet after it");
	victim_check(fcntl(p->packets[WRITE], F_GETFL) & O_DIRECT,
		     "packet mode goes on");
	take(p->no_writer[READ], "last words", "a pipe without writer");
	victim_check(read(p->no_writer[READ], &byte, 1) == 0, "then it ends");
	signal(SIGPIPE, SIG_IGN);
	victim_check(write(p->no_reader[WRITE], "x", 1) < 0 && errno == EPIPE,
		     "a pipe without reader breaks");
	victim_check(read(p->empty[READ], &byte, 1) < 0 && errno == EAGAIN,
		     "an empty pipe is empty");
	put(p->empty[WRITE], "new");
	take(p->empty[READ], "new", "it works");
	take(p->fifo[READ], "through a fifo", "a fifo");
}

int main(void)
{
	struct pipes p = { 0 };
	char path[32], byte;
	int status, again;
	pid_t child;

	set_up(&p);
	child = fork();
	if (child == 0) {
		close(p.child[READ]);
		victim_wait_go();
		put(p.child[WRITE], "from the child");
		_exit(0);
	}
	close(p.child[WRITE]);

	victim_wait();

	take(p.child[READ], "from the child", "between processes");
	victim_need(waitpid(child, &status, 0) == child && status == 0,
		    "child");
	victim_check(read(p.child[READ], &byte, 1) == 0,
		     "it ends with the child");
	check_full(&p);
	check_rest(&p);
	put(p.one[WRITE], "two");
	check_mixed(&p);
	check_watched(&p);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p.empty[READ]);
	again = open(path, O_RDONLY | O_NONBLOCK);
	victim_check(again >= 0, "it can be opened once more by its user");
	victim_verdict(true, "pipes hold what they held");
}
