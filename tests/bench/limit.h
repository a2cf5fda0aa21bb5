/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_BENCH_LIMIT_H
#define JOBCR_TESTS_BENCH_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/*
 * What a directory can do by a loop that does nothing else, with O_DIRECT
 * where it takes that: the limit that others are measured by.
 */
#define BLOCK (4u << 20)
#define DEPTH 8u
#define RUNS  5
#define NAME  ".jobcr-bench"

struct bench {
	int dir_fd;
	uint64_t bytes;
	uint8_t *source; /* DEPTH blocks of noise */
};

void bench_open(struct bench *b, const char *dir, uint64_t bytes);
void bench_close(struct bench *b);

/* Write (with fsync) or read the file NAME; GB/s. */
double raw(const struct bench *b, bool write);

/* The same by fio, of bytes in the file NAME.fio; 0: it is not installed. */
double raw_of_fio(const struct bench *b, const char *dir, bool write);

/* One thread's memcpy of memory that is there; GB/s. */
double raw_copy(void);

/* Remove it and wait until the disk has its blocks back. */
void clear(const struct bench *b);

/* A line with the median of RUNS rates, and its share of limit (> 0). */
double show(const char *what, double rates[RUNS], double limit);

void die(const char *what, int code) __attribute__((noreturn));
void die_of(const struct err *err) __attribute__((noreturn));

#endif
