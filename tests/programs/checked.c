/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that checks itself all the time, and is easily disturbed: two
 * threads that find the memory they wrote the time before, one of whose memory
 * little changes, a child that gets numbers by a pipe and sends them back, a
 * file that must be as long as it was written.  One line of it for each round.
 * Until a file "stop" is there: its exit status is 7; whatever is wrong is
 * said, and ends it by a signal.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 2
#define WORDS   (1u << 19) /* 4 MiB each */
#define KEPT    (3u << 19) /* 12 MiB */
#define BLOCKS  128u
#define BLOCK   (KEPT / BLOCKS)

static void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

static uint64_t word(uint64_t seed, size_t i)
{
	return (seed * 0x9e3779b97f4a7c15ull) ^ (i * 0xff51afd7ed558ccdull);
}

static void *remember(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;
	uint64_t *p = malloc(WORDS * sizeof(*p));
	size_t i;

	if (!p)
		wrong("no memory");
	for (i = 0; i < WORDS; i++)
		p[i] = word(seed, i);
	for (;; seed += THREADS)
		for (i = 0; i < WORDS; i++) {
			if (p[i] != word(seed, i))
				wrong("word %zu of %llu has changed", i,
				      (unsigned long long)seed);
			p[i] = word(seed + THREADS, i);
			if (i % 65536 == 0)
				usleep(500);
		}
	return NULL;
}

/* Of eight blocks that it looks at one is written to. */
static void *keep(void *arg)
{
	uint64_t *p = malloc(KEPT * sizeof(*p)), seeds[BLOCKS] = { 0 };
	size_t n, i;

	(void)arg;
	if (!p)
		wrong("no memory");
	for (i = 0; i < KEPT; i++)
		p[i] = word(0, i);
	for (n = 0;; n++) {
		const size_t b = n % BLOCKS, end = (b + 1) * BLOCK;

		for (i = b * BLOCK; i < end; i++)
			if (p[i] != word(seeds[b], i))
				wrong("kept word %zu is not of %llu", i,
				      (unsigned long long)seeds[b]);
		/* Another one the next time. */
		if (n % 8 == n / BLOCKS % 8) {
			seeds[b]++;
			for (i = b * BLOCK; i < end; i++)
				p[i] = word(seeds[b], i);
		}
		usleep(5000);
	}
	return NULL;
}

static void move(int fd, uint64_t *number, int out)
{
	ssize_t n = out ? write(fd, number, sizeof(*number))
			: read(fd, number, sizeof(*number));

	if (n != sizeof(*number))
		wrong("a pipe: %zd bytes", n);
}

/* Numbers in order, each back as it came, until the pipe is closed. */
static void echo(int in, int out)
{
	uint64_t want, got;

	for (want = 1;; want++) {
		ssize_t n = read(in, &got, sizeof(got));

		if (n == 0)
			exit(0);
		if (n != sizeof(got) || got != want)
			wrong("the child got %llu, not %llu",
			      (unsigned long long)got,
			      (unsigned long long)want);
		move(out, &got, 1);
	}
}

static pid_t start_child(int *ret_to, int *ret_from)
{
	int to[2], from[2];
	pid_t pid;

	if (pipe(to) < 0 || pipe(from) < 0)
		wrong("no pipes");
	pid = fork();
	if (pid == 0) {
		close(to[1]);
		close(from[0]);
		echo(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	*ret_to = to[1];
	*ret_from = from[0];
	return pid;
}

/* The file holds all that was written to it, and nothing else. */
static void write_line(int fd, uint64_t number, off_t *length)
{
	char line[32];
	struct stat st;
	int n = snprintf(line, sizeof(line), "%llu\n",
			 (unsigned long long)number);

	if (fstat(fd, &st) < 0 || st.st_size != *length ||
	    lseek(fd, 0, SEEK_CUR) != *length)
		wrong("the file has %lld bytes, not %lld",
		      (long long)st.st_size, (long long)*length);
	if (write(fd, line, (size_t)n) != n)
		wrong("the file cannot be written");
	*length += n;
}

int main(int argc, char **argv)
{
	int fd, to, from, status = 0;
	uint64_t i, back;
	off_t length = 0;
	pthread_t thread;
	pid_t child;

	if (argc != 2)
		return 2;
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		wrong("%s cannot be made", argv[1]);
	child = start_child(&to, &from);
	for (i = 1; i <= THREADS; i++)
		if (pthread_create(&thread, NULL, remember,
				   (void *)(uintptr_t)i))
			wrong("no threads");
	if (pthread_create(&thread, NULL, keep, NULL))
		wrong("no thread");
	for (i = 1; access("stop", F_OK) < 0; i++) {
		back = i;
		move(to, &back, 1);
		move(from, &back, 0);
		if (back != i)
			wrong("%llu came back as %llu", (unsigned long long)i,
			      (unsigned long long)back);
		write_line(fd, i, &length);
		usleep(2000);
	}
	close(to);
	if (waitpid(child, &status, 0) != child || status != 0)
		wrong("the child ended with %#x", (unsigned int)status);
	return 7;
}
