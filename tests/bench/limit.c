/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "limit.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"

void die(const char *what, int code)
{
	fprintf(stderr, "bench: %s: %s\n", what,
		strerror(code < 0 ? -code : errno));
	exit(1);
}

void die_of(const struct err *err)
{
	fprintf(stderr, "bench: %s\n", err->text);
	exit(1);
}

static void noise(uint8_t *p, size_t len)
{
	uint64_t x = 88172645463325252ull;
	size_t i;

	for (i = 0; i < len; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(p + i, &x, 8);
	}
}

void bench_open(struct bench *b, const char *dir, uint64_t bytes)
{
	b->bytes = bytes / BLOCK * BLOCK;
	b->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Huge pages: pinning small ones would be a limit of its own. */
	b->source = aligned_alloc(BLOCK, DEPTH * BLOCK);
	if (b->dir_fd < 0 || !b->source || !b->bytes)
		die(dir, 0);
	(void)madvise(b->source, DEPTH * BLOCK, MADV_HUGEPAGE);
	/* It would count as memory of the workers. */
	(void)madvise(b->source, DEPTH * BLOCK, MADV_DONTFORK);
	noise(b->source, DEPTH * BLOCK);
}

void bench_close(struct bench *b)
{
	close(b->dir_fd);
	free(b->source);
}

static void submit(struct io_uring *ring, bool write, int fd, uint8_t *data,
		   unsigned int slot, uint64_t at)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (write)
		io_uring_prep_write_fixed(sqe, fd, data + slot * BLOCK, BLOCK,
					  at, (int)slot);
	else
		io_uring_prep_read_fixed(sqe, fd, data + slot * BLOCK, BLOCK,
					 at, (int)slot);
	sqe->user_data = slot;
	if (io_uring_submit(ring) < 0)
		die("submit", 0);
}

static void transfer(const struct bench *b, struct io_uring *ring, bool write,
		     int fd)
{
	uint64_t at = 0, done = 0;
	unsigned int slot;

	for (slot = 0; slot < DEPTH && at < b->bytes; slot++, at += BLOCK)
		submit(ring, write, fd, b->source, slot, at);
	while (done < b->bytes) {
		struct io_uring_cqe *cqe;
		int r = io_uring_wait_cqe(ring, &cqe);

		if (r < 0 || cqe->res != (int)BLOCK)
			die("raw transfer", r < 0 ? r : cqe->res);
		slot = (unsigned int)cqe->user_data;
		io_uring_cqe_seen(ring, cqe);
		done += BLOCK;
		if (at < b->bytes) {
			submit(ring, write, fd, b->source, slot, at);
			at += BLOCK;
		}
	}
}

/* A disk mounted with discard gives blocks back at the next commit. */
void clear(const struct bench *b)
{
	(void)unlinkat(b->dir_fd, NAME, 0);
	(void)unlinkat(b->dir_fd, NAME ".fio", 0);
	(void)syncfs(b->dir_fd);
}

double raw(const struct bench *b, bool write)
{
	int flags = write ? O_WRONLY | O_CREAT | O_EXCL : O_RDONLY;
	struct iovec iov[DEPTH];
	struct io_uring ring;
	uint64_t start;
	unsigned int i;
	int fd;

	if (write)
		clear(b);
	for (i = 0; i < DEPTH; i++)
		iov[i] = (struct iovec){ b->source + i * BLOCK, BLOCK };
	if (io_uring_queue_init(DEPTH, &ring, 0) < 0 ||
	    io_uring_register_buffers(&ring, iov, DEPTH) < 0)
		die("io_uring", 0);
	start = clock_monotonic_ns();
	fd = openat(b->dir_fd, NAME, flags | O_DIRECT | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EINVAL) {
		/* O_EXCL has made it all the same. */
		if (write)
			(void)unlinkat(b->dir_fd, NAME, 0);
		fd = openat(b->dir_fd, NAME, flags | O_CLOEXEC, 0600);
	}
	if (fd < 0)
		die("open", 0);
	if (write)
		(void)fallocate(fd, 0, 0, (off_t)b->bytes);
	transfer(b, &ring, write, fd);
	if (write && fsync(fd) < 0)
		die("fsync", 0);
	start = clock_monotonic_ns() - start;
	close(fd);
	io_uring_queue_exit(&ring);
	return (double)b->bytes / (double)start;
}

/* Fields of what fio calls terse, version 3. */
#define FIO_READ_KIB  6
#define FIO_WRITE_KIB 47

static void exec_fio(const char *dir, uint64_t bytes, bool write, int out)
{
	char file[1024], size[32];

	snprintf(file, sizeof(file), "--filename=%s/%s.fio", dir, NAME);
	snprintf(size, sizeof(size), "--size=%llu", (unsigned long long)bytes);
	(void)dup2(out, STDOUT_FILENO);
	(void)execlp("fio", "fio", "--name=limit", file, size,
		     write ? "--rw=write" : "--rw=read", "--bs=4M",
		     "--iodepth=8", "--ioengine=io_uring", "--direct=1",
		     "--end_fsync=1", "--output-format=terse",
		     "--terse-version=3", (char *)NULL);
	_exit(127);
}

double raw_of_fio(const struct bench *b, const char *dir, bool write)
{
	char text[8192], *at = text;
	ssize_t n, len = 0;
	int ends[2], status;
	pid_t pid;

	if (pipe(ends) < 0)
		die("pipe", 0);
	pid = fork();
	if (pid == 0)
		exec_fio(dir, b->bytes, write, ends[1]);
	close(ends[1]);
	while (pid > 0 && (n = read(ends[0], text + len,
				    sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	close(ends[0]);
	text[len] = '\0';
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		return 0;
	for (int i = write ? FIO_WRITE_KIB : FIO_READ_KIB; i && at; i--) {
		at = strchr(at, ';');
		at = at ? at + 1 : NULL;
	}
	return at ? strtod(at, NULL) * 1024 / 1e9 : 0;
}

double raw_copy(void)
{
	const size_t len = 256u << 20;
	uint8_t *from = malloc(len), *to = malloc(len);
	double best = 0;

	if (!from || !to)
		die("memory", 0);
	memset(from, 1, len);
	memset(to, 2, len);
	for (int i = 0; i < RUNS; i++) {
		uint64_t start = clock_monotonic_ns();
		double rate;

		memcpy(to, from, len);
		rate = (double)len / (double)(clock_monotonic_ns() - start);
		best = rate > best ? rate : best;
	}
	if (to[len - 1] != 1)
		die("memcpy", -EIO);
	free(from);
	free(to);
	return best;
}

static int by_rate(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double show(const char *what, double rates[RUNS], double limit)
{
	qsort(rates, RUNS, sizeof(*rates), by_rate);
	printf("%-34s %6.2f GB/s  [%.2f..%.2f]", what, rates[RUNS / 2],
	       rates[0], rates[RUNS - 1]);
	if (limit > 0)
		printf("  %3.0f %%", 100 * rates[RUNS / 2] / limit);
	putchar('\n');
	return rates[RUNS / 2];
}
