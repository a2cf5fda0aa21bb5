/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the page cache has is known, and a reader takes it from there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/cached.h"
#include "storage/reader.h"
#include "storage/ring.h"
#include "tests/lib/fail_call.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/io.h"

#define MIB   (1u << 20)
#define BYTES (16u * MIB)
#define NAME  "pages"
#define TRIES 10

#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif

static int make_file(int dir_fd)
{
	auto_close int fd =
		openat(dir_fd, NAME, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	auto_free uint8_t *data = malloc(BYTES);

	if (fd < 0 || !data)
		return -1;
	for (size_t i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	return write(fd, data, BYTES) == (ssize_t)BYTES ? fsync(fd) : -1;
}

/* Nothing but the first len bytes is cached then. */
static int have_cached(int dir_fd, size_t len)
{
	auto_close int fd = openat(dir_fd, NAME, O_RDONLY | O_CLOEXEC);
	auto_free uint8_t *data = malloc(BYTES);

	if (fd < 0 || !data || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) ||
	    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))
		return -1;
	return pread(fd, data, len, 0) == (ssize_t)len ? 0 : -1;
}

static int64_t cached(int dir_fd, uint64_t offset, uint64_t len)
{
	auto_close int fd = openat(dir_fd, NAME, O_RDONLY | O_CLOEXEC);

	return cached_bytes(fd, offset, len);
}

/* By this thread, from a disk. */
static uint64_t bytes_from_disk(void)
{
	auto_free char *text = NULL;
	const char *line;
	struct err err;

	if (read_file_at(AT_FDCWD, "/proc/thread-self/io", 4096, &text, NULL,
			 &err) < 0)
		return 0;
	line = strstr(text, "\nread_bytes: ");
	return line ? strtoull(line + 13, NULL, 10) : 0;
}

static int look(void *arg, const struct read_piece *p, const uint8_t *data,
		struct err *err)
{
	uint64_t *right = arg;

	(void)err;
	for (size_t i = 0; i < p->len; i++)
		if (data[i] != (uint8_t)((p->offset + i) * 2654435761u >> 13))
			return 0;
	*right += p->len;
	return 0;
}

/* All that is right of it; *ret_disk: what the disk gave. */
static uint64_t read_stream(int dir_fd, const struct reader_limits *limits,
			    uint64_t *ret_disk)
{
	const uint64_t before = bytes_from_disk();
	struct read_piece pieces[BYTES / MIB];
	struct reader *reader = NULL;
	struct err err = { 0 };
	uint64_t right = 0;
	uint32_t stream;

	for (size_t i = 0; i < BYTES / MIB; i++)
		pieces[i] =
			(struct read_piece){ .len = MIB, .offset = i * MIB };
	if (reader_new(dir_fd, limits, &reader, &err) < 0 ||
	    reader_open(reader, NAME, &stream, NULL, &err) < 0 ||
	    reader_run(reader, pieces, BYTES / MIB, look, &right, &err) < 0)
		diag("%s", err.text);
	reader_free(reader);
	*ret_disk = bytes_from_disk() - before;
	return right;
}

/* Of a file of which the first half, all or nothing is cached. */
static bool tells_nothing(int dir_fd)
{
	return have_cached(dir_fd, 0) == 0 && cached(dir_fd, 0, BYTES) == 0;
}

static bool tells_half(int dir_fd)
{
	return have_cached(dir_fd, BYTES / 2) == 0 &&
	       cached(dir_fd, 0, BYTES) == BYTES / 2;
}

static bool tells_ranges(int dir_fd)
{
	return have_cached(dir_fd, BYTES / 2) == 0 &&
	       cached(dir_fd, BYTES / 2 - MIB, 2 * MIB) == MIB &&
	       cached(dir_fd, BYTES / 2, MIB) == 0 &&
	       cached(dir_fd, MIB, MIB) == MIB && cached(dir_fd, 0, 0) == 0;
}

static const struct reader_limits from_cache = { .buffer_bytes = 2 * MIB,
						 .buffers = 4,
						 .from_cache = 1 };

/* A disk may have to be asked where the file lies, too. */
static bool is_about(uint64_t disk, uint64_t bytes)
{
	return disk >= bytes && disk < bytes + MIB / 4;
}

static bool reads_uncached(int dir_fd)
{
	uint64_t disk;

	return have_cached(dir_fd, 0) == 0 &&
	       read_stream(dir_fd, &from_cache, &disk) == BYTES &&
	       is_about(disk, BYTES) && cached(dir_fd, 0, BYTES) == 0;
}

static bool reads_cached(int dir_fd)
{
	uint64_t disk;

	return have_cached(dir_fd, BYTES) == 0 &&
	       read_stream(dir_fd, &from_cache, &disk) == BYTES &&
	       is_about(disk, 0);
}

static bool reads_halves(int dir_fd)
{
	uint64_t disk;

	return have_cached(dir_fd, BYTES / 2) == 0 &&
	       read_stream(dir_fd, &from_cache, &disk) == BYTES &&
	       is_about(disk, BYTES / 2) &&
	       cached(dir_fd, 0, BYTES) == BYTES / 2;
}

static bool reads_stored(int dir_fd)
{
	struct reader_limits limits = from_cache;
	uint64_t disk;

	limits.from_cache = 0;
	return have_cached(dir_fd, BYTES) == 0 &&
	       read_stream(dir_fd, &limits, &disk) == BYTES &&
	       is_about(disk, BYTES);
}

static bool reads_indirectly(int dir_fd)
{
	struct reader_limits limits = from_cache;
	uint64_t disk;

	limits.no_direct = 1;
	return have_cached(dir_fd, 0) == 0 &&
	       read_stream(dir_fd, &limits, &disk) == BYTES &&
	       cached(dir_fd, 0, BYTES) == BYTES;
}

/* Others may empty the page cache meanwhile, or hold a page of it. */
static bool in_some_tries(bool (*check)(int dir_fd), int dir_fd)
{
	for (int i = 0; i < TRIES; i++)
		if (check(dir_fd))
			return true;
	return false;
}

static void test_all(int dir_fd, const char *how)
{
	static const struct check {
		bool (*check)(int dir_fd);
		const char *what;
	} checks[] = {
		{ tells_nothing, "nothing is cached, and nothing is told" },
		{ tells_half, "half of it" },
		{ tells_ranges, "of ranges" },
		{ reads_uncached, "what is not cached is read from the disk, "
				  "and not cached then" },
		{ reads_cached, "what is cached is not read from the disk" },
		{ reads_halves, "each range as it is" },
		{ reads_stored, "who does not ask for it reads what is "
				"stored" },
		{ reads_indirectly, "without O_DIRECT all is cached by it" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		ok(in_some_tries(checks[i].check, dir_fd), "%s: %s", how,
		   checks[i].what);
	ok(cached_bytes(-1, 0, MIB) < 0, "%s: of no file", how);
}

/* mincore says that all is there. */
static void test_stranger(int dir_fd)
{
	int status = 0, fd;
	pid_t pid;

	if (geteuid() != 0) {
		skip("not root: no other user");
		return;
	}
	fd = openat(dir_fd, NAME, O_RDONLY | O_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		_exit(cached_bytes(fd, 0, BYTES) < 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	ok(pid > 0 && status == 0, "who may not know is told so");
	close(fd);
}

/* By a look at the mapping, as that is not what is tested. */
static bool can_be_evicted(int dir_fd)
{
	auto_close int fd = openat(dir_fd, NAME, O_RDONLY | O_CLOEXEC);
	uint8_t there[BYTES / 4096];
	bool none = false;
	void *p;

	if (have_cached(dir_fd, 0) < 0)
		return false;
	p = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return false;
	if (mincore(p, BYTES, there) == 0)
		none = !memchr(there, 1, sizeof(there));
	(void)munmap(p, BYTES);
	return none;
}

int main(void)
{
	char path[64];
	auto_close int dir_fd = temp_dir(path);

	if (make_file(dir_fd) < 0)
		abort();
	if (!ring_direct_works(dir_fd) ||
	    !in_some_tries(can_be_evicted, dir_fd)) {
		skip("no page cache that can be looked at and passed by here");
	} else {
		test_all(dir_fd, "cachestat");
		/* As before Linux 6.5. */
		if (!fail_call(__NR_cachestat, ENOSYS)) {
			skip("no seccomp filters here");
		} else {
			test_all(dir_fd, "mincore");
			test_stranger(dir_fd);
		}
	}
	temp_dir_remove(path);
	return done_testing();
}
