// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A connection between two nodes, which are network namespaces, is read on
 * both, and goes on between two others: no byte is lost or doubled.
 * HALF_RUNS: how often.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "repair/half.h"
#include "repair/pair.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define LIMIT   (32u << 20)
#define WAIT_MS 20000
#define BUFFER  (1 << 20)

enum { A, B, C, D, NODES };

static void nap(long microseconds)
{
	const struct timespec t = { .tv_nsec = microseconds * 1000 };

	nanosleep(&t, NULL);
}

/* What the program at one end has in its memory, and we look at. */
struct program {
	atomic_ullong written, seen, wrong;
	atomic_uint shut; /* 1: it has ended what it sends */
	atomic_uint end;  /* 1: it has seen the other's end */
	atomic_uint stop, parked;
	atomic_uint cut;     /* 0: the last byte waits for that */
	atomic_ullong total; /* that it writes */
	unsigned int slow;   /* microseconds before it reads */
};

struct saved {
	struct tcp_half half;
	uint8_t sent[LIMIT / 4], unread[LIMIT / 4];
};

struct test {
	struct program program[2];
	struct saved saved[2];
	char text[2][ERR_TEXT_SIZE];
	size_t on_their_way;
};

static struct test *shared;
static pid_t holders[NODES];
static int spaces[NODES];

/* Of one end: no two of these are alike for long. */
static uint8_t byte_at(uint64_t at, int end)
{
	uint64_t x = (at + 1) * 0x9e3779b97f4a7c15u + (uint64_t)end;

	return (uint8_t)(x >> 56 ^ x >> 29);
}

static void write_some(struct program *p, int fd, int end)
{
	static uint8_t buf[40000];
	uint64_t at = p->written;
	size_t len = sizeof(buf) - at % 977;
	ssize_t n;

	if (at == p->total) {
		shutdown(fd, SHUT_WR);
		p->shut = 1;
		return;
	}
	if (len > p->total - at)
		len = p->total - at;
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(at + i, end);
	n = send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		p->written += (size_t)n;
	else if (errno != EAGAIN)
		_exit(1);
}

/* So that no connection ends before the cut, however slow that is. */
static size_t may_read(const struct program *p, int end)
{
	uint64_t left = shared->program[!end].total - p->seen;

	return p->cut ? SIZE_MAX : left ? left - 1 : 0;
}

static void read_some(struct program *p, int fd, int end)
{
	static uint8_t buf[30011];
	size_t len = may_read(p, end);
	ssize_t n = recv(fd, buf, len < sizeof(buf) ? len : sizeof(buf),
			 MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN)
		_exit(2);
	if (n == 0)
		p->end = 1;
	for (ssize_t i = 0; i < n; i++)
		p->wrong += buf[i] != byte_at(p->seen + (size_t)i, !end);
	if (n > 0)
		p->seen += (size_t)n;
}

/* The program of one end, from where its memory says that it is. */
static void be_program(struct program *p, int fd, int end)
{
	while (!p->shut || !p->end) {
		struct pollfd q = { .fd = fd };

		while (p->stop) {
			p->parked = 1;
			nap(100);
		}
		p->parked = 0;
		q.events = (short)((p->shut ? 0 : POLLOUT) |
				   (!p->end && may_read(p, end) ? POLLIN : 0));
		(void)poll(&q, 1, 5);
		if (q.revents & POLLOUT && !p->shut)
			write_some(p, fd, end);
		if (p->slow)
			nap(p->slow);
		if (q.revents & POLLIN && !p->end)
			read_some(p, fd, end);
	}
	close(fd);
	_exit(0);
}

static bool wait_parked(struct program *p, pid_t pid)
{
	siginfo_t gone = { 0 };

	p->stop = 1;
	while (!p->parked) {
		if (waitid(P_PID, (id_t)pid, &gone,
			   WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    gone.si_pid)
			return false;
		nap(100);
	}
	return true;
}

/* What a node is told, a byte each; it answers with one, 'y' or 'n'. */
struct node {
	pid_t pid;
	int to;
};

static bool save_arrived(int fd, struct saved *s, struct err *err)
{
	if (stream_read_arrived(fd, sizeof(s->unread), &s->half, err) < 0)
		return false;
	memcpy(s->sent, s->half.sent, s->half.nsent);
	memcpy(s->unread, s->half.unread, s->half.nunread);
	tcp_half_done(&(struct tcp_half){ .sent = s->half.sent,
					  .unread = s->half.unread });
	return true;
}

static bool obey(char c, int fd, int end, pid_t child, struct err *err)
{
	const struct linger at_once = { .l_onoff = 1 };
	struct program *p = &shared->program[end];
	struct saved *s = &shared->saved[end];
	int status;

	switch (c) {
	case 's':
		return wait_parked(p, child);
	case '1':
		return stream_read_sent(fd, sizeof(s->sent), &s->half, err) ==
		       0;
	case '2':
		return save_arrived(fd, s, err);
	case 'g':
		p->stop = 0;
		return true;
	case 'k':
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once,
				 sizeof(at_once));
		close(fd);
		return true;
	default:
		return waitpid(child, &status, 0) == child && status == 0;
	}
}

static int meet(const union net_address *own, const union net_address *peer,
		const struct saved *from, struct err *err)
{
	int buffer = BUFFER, fd, got = -1, r = 0;
	struct tcp_half half = from ? from->half : (struct tcp_half){ 0 };

	fd = socket(own->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer,
			 sizeof(buffer));
	if (from) {
		half.sent = (uint8_t *)from->sent;
		half.unread = (uint8_t *)from->unread;
		r = half_make_room(fd, &half, err);
	}
	if (r == 0)
		r = pair_meet(fd, own, peer, WAIT_MS, &got, err);
	close(fd);
	if (r == 0 && from)
		r = half_restore(got, &half, LIMIT, WAIT_MS, err);
	return r < 0 ? r : got;
}

static void be_node(int where, int end, const union net_address at[2],
		    bool restored, int from)
{
	struct err err = { 0 };
	pid_t child;
	int fd;
	char c;

	if (setns(spaces[where], CLONE_NEWNET) < 0)
		_exit(3);
	fd = meet(&at[end], &at[!end], restored ? &shared->saved[end] : NULL,
		  &err);
	c = fd < 0 ? 'n' : 'y';
	child = fd < 0 ? -1 : fork();
	if (child == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
		be_program(&shared->program[end], fd, end);
	for (;;) {
		if (c == 'n')
			snprintf(shared->text[end], sizeof(shared->text[end]),
				 "%s", err.text);
		if (write(from, &c, 1) != 1 || read(from, &c, 1) != 1)
			_exit(0);
		c = obey(c, fd, end, child, &err) ? 'y' : 'n';
	}
}

static struct node start(int where, int end, const union net_address at[2],
			 bool restored)
{
	struct node n = { .to = -1 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return n;
	n.pid = fork();
	if (n.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		be_node(where, end, at, restored, pair[1]);
	}
	close(pair[1]);
	n.to = pair[0];
	return n;
}

static bool answers(const struct node nodes[2])
{
	bool good = true;
	char c;

	for (int i = 0; i < 2; i++)
		good &= read(nodes[i].to, &c, 1) == 1 && c == 'y';
	return good;
}

/* Both do it; it is over on both when this returns. */
static bool both(const struct node nodes[2], char c)
{
	for (int i = 0; i < 2; i++)
		if (write(nodes[i].to, &c, 1) != 1)
			return false;
	return answers(nodes);
}

static void end(struct node nodes[2])
{
	/* The second one has a copy of the first one's. */
	for (int i = 0; i < 2; i++)
		close(nodes[i].to);
	for (int i = 0; i < 2; i++)
		waitpid(nodes[i].pid, NULL, 0);
}

static union net_address address(const char *text, uint16_t port)
{
	union net_address a = { 0 };

	a.in.sin_port = htons(port);
	if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1) {
		a.any.sa_family = AF_INET;
		return a;
	}
	a.any.sa_family = AF_INET6;
	(void)inet_pton(AF_INET6, text, &a.in6.sin6_addr);
	return a;
}

/* Where it is, and where it goes: two pairs of nodes or addresses. */
struct way {
	const char *name, *old[2], *new[2];
	int to[2];
};

static const struct way ways[] = {
	{ "IPv4",
	  { "10.1.0.1", "10.1.0.2" },
	  { "10.7.0.9", "10.7.0.5" },
	  { C, D } },
	{ "IPv6",
	  { "fd01::1", "fd01::2" },
	  { "fd07::5", "fd07::9" },
	  { C, D } },
	{ "IPv4 in IPv6",
	  { "::ffff:10.1.0.1", "10.1.0.2" },
	  { "::ffff:10.7.0.9", "10.7.0.5" },
	  { C, D } },
	{ "two nodes to one",
	  { "10.1.0.1", "10.1.0.2" },
	  { "127.0.0.6", "127.0.0.5" },
	  { C, C } },
};

static void shuffle(unsigned int run)
{
	unsigned int seed = run * 7919 + 1;

	for (int i = 0; i < 2; i++) {
		struct program *p = &shared->program[i];

		p->total = (uint64_t)(rand_r(&seed) % 24) << 20 | 64 |
			   (uint64_t)(rand_r(&seed) % 4096);
		p->slow = rand_r(&seed) % 3
				  ? 0
				  : (unsigned int)rand_r(&seed) % 3000;
		/* An end that has been said and not seen. */
		if (run % 3 == 2) {
			p->total %= 900000;
			p->slow = 3000;
		}
	}
}

/* Not for what happens: so that it is another moment in each run. */
static void let_it_run(unsigned int run)
{
	nap((long)(run * 2654435761u % 30000));
}

static bool is_whole(void)
{
	const struct program *p = shared->program;

	for (int i = 0; i < 2; i++)
		if (p[i].written != p[i].total || p[i].seen != p[!i].total ||
		    p[i].wrong)
			return false;
	return true;
}

static void run_once(unsigned int run)
{
	const struct way *w = &ways[run % ARRAY_SIZE(ways)];
	union net_address old[2], new[2];
	struct node nodes[2];
	bool good;

	memset(shared, 0, offsetof(struct test, saved));
	shuffle(run);
	for (int i = 0; i < 2; i++) {
		shared->text[i][0] = '\0';
		old[i] = address(w->old[i], (uint16_t)(20000 + i));
		new[i] = address(w->new[i], (uint16_t)(20000 + i));
	}
	nodes[0] = start(A, 0, old, false);
	nodes[1] = start(B, 1, old, false);
	good = answers(nodes);
	let_it_run(run);
	/* One that goes on; then one that ends here. */
	if (run % 2) {
		good = good && both(nodes, 's') && both(nodes, '1') &&
		       both(nodes, '2') && both(nodes, 'g');
		let_it_run(run + 1);
	}
	good = good && both(nodes, 's') && both(nodes, '1') &&
	       both(nodes, '2') && both(nodes, 'k');
	end(nodes);
	for (int i = 0; i < 2; i++) {
		shared->program[i].stop = 0;
		shared->program[i].cut = 1;
	}
	nodes[0] = start(w->to[0], 0, new, true);
	nodes[1] = start(w->to[1], 1, new, true);
	good = answers(nodes) && good;
	good = good && both(nodes, 'w') && is_whole();
	end(nodes);
	ok(good,
	   "%s: %llu bytes and %llu, unread %zu and %zu, "
	   "under way %zu%s and %zu%s %s %s",
	   w->name, shared->program[0].total, shared->program[1].total,
	   shared->saved[0].half.nunread, shared->saved[1].half.nunread,
	   shared->saved[0].half.nsent,
	   shared->saved[0].half.over       ? ", over"
	   : shared->saved[0].half.finished ? ", an end"
					    : "",
	   shared->saved[1].half.nsent,
	   shared->saved[1].half.over       ? ", over"
	   : shared->saved[1].half.finished ? ", an end"
					    : "",
	   shared->text[0], shared->text[1]);
	if (!good)
		for (int i = 0; i < 2; i++)
			diag("end %d: %llu of %llu written, %llu read, %llu "
			     "wrong",
			     i, shared->program[i].written,
			     shared->program[i].total, shared->program[i].seen,
			     shared->program[i].wrong);
}

static int known_at(const struct tcp_half *half, uint32_t unread_end,
		    size_t *ret)
{
	const struct tcp_half to = { .unread_end = unread_end };
	struct err err;

	*ret = 99;
	return tcp_half_known(half, &to, ret, &err);
}

static void test_numbers(void)
{
	struct tcp_half half = { .nsent = 10, .sent_first = UINT32_MAX - 3 };
	size_t known;

	ok(known_at(&half, UINT32_MAX - 3, &known) == 0 && known == 0,
	   "nothing has arrived");
	ok(known_at(&half, 6, &known) == 0 && known == 10,
	   "all has arrived, numbers begin anew meanwhile");
	ok(known_at(&half, UINT32_MAX - 4, &known) == -EBADMSG,
	   "a gap is seen");
	ok(known_at(&half, 7, &known) == -EBADMSG,
	   "more than was sent is seen");
	half.finished = true;
	ok(known_at(&half, 7, &known) == 0 && known == 10,
	   "but an end is one more");
	half.over = true;
	ok(known_at(&half, 77, &known) == 0 && known == 10,
	   "when it is over all has arrived");
}

/* Whoever is there instead of the other node's restore. */
static void test_stranger(void)
{
	static const struct {
		const char *what;
		uint32_t magic;
		uint64_t nunread;
		bool leaves;
	} cases[] = {
		{ "speaks something else", 0x20544547, 0, false },
		{ "promises too much", 0x6a637468, (uint64_t)LIMIT + 1, false },
		{ "leaves before it is done", 0x6a637468, 1000, true },
		{ "stops", 0x6a637468, 1000, false },
	};
	const struct tcp_half half = { .sent_first = 5, .unread_end = 7 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t hello[8] = { htole32(cases[i].magic), htole32(5),
				      htole32(7) };
		const uint64_t nunread = htole64(cases[i].nunread);
		struct err err = { 0 };
		int pair[2], r;

		memcpy(&hello[4], &nunread, sizeof(nunread));
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ||
		    write(pair[1], hello, sizeof(hello)) != sizeof(hello))
			break;
		if (cases[i].leaves)
			shutdown(pair[1], SHUT_WR);
		r = half_restore(pair[0], &half, LIMIT, 100, &err);
		ok(r < 0, "one that %s: %s", cases[i].what, err.text);
		close(pair[0]);
		close(pair[1]);
	}
}

static bool run_in(int where, const char *command)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (setns(spaces[where], CLONE_NEWNET) < 0)
			_exit(1);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	return status == 0;
}

static bool make_space(int where)
{
	char path[64], c = 0;
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return false;
	holders[where] = fork();
	if (holders[where] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(pair[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	close(pair[1]);
	c = (char)(read(pair[0], &c, 1) == 1);
	close(pair[0]);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)holders[where]);
	spaces[where] = open(path, O_RDONLY | O_CLOEXEC);
	return c && spaces[where] >= 0 && run_in(where, "ip link set lo up");
}

static bool plug(int one, int other, const char *four[2], const char *six[2])
{
	char line[300];
	bool good;

	snprintf(line, sizeof(line),
		 "ip link add e0 type veth peer name e0 netns %d",
		 (int)holders[other]);
	good = run_in(one, line);
	for (int i = 0; i < 2 && good; i++) {
		snprintf(line, sizeof(line),
			 "ip link set e0 up && ip addr add %s/24 dev e0 && "
			 "ip -6 addr add %s/64 dev e0 nodad",
			 four[i], six[i]);
		good = run_in(i ? other : one, line);
	}
	return good;
}

static bool make_network(void)
{
	for (int i = 0; i < NODES; i++)
		if (!make_space(i))
			return false;
	return plug(A, B, (const char *[]){ "10.1.0.1", "10.1.0.2" },
		    (const char *[]){ "fd01::1", "fd01::2" }) &&
	       plug(C, D, (const char *[]){ "10.7.0.9", "10.7.0.5" },
		    (const char *[]){ "fd07::5", "fd07::9" });
}

int main(void)
{
	const char *wanted = getenv("HALF_RUNS");
	unsigned int runs = wanted ? (unsigned int)atoi(wanted) : 8;

	if (geteuid() != 0)
		skip_all("needs root, to make networks");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !make_network())
		skip_all("needs ip and veth");
	test_numbers();
	test_stranger();
	for (unsigned int i = 0; i < runs; i++)
		run_once(i);
	for (int i = 0; i < NODES; i++)
		if (kill(holders[i], SIGKILL) == 0)
			waitpid(holders[i], NULL, 0);
	return done_testing();
}
