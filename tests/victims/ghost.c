// SPDX-License-Identifier: GPL-2.0-or-later
/* Files without a name: contents, holes, sharing, mappings, attributes. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

#define MIB (1l << 20)

static int make_unlinked(const char *name, mode_t mode)
{
	int fd = open(victim_path(name), O_RDWR | O_CREAT | O_EXCL, mode);

	victim_need(fd >= 0 && unlink(victim_path(name)) == 0, name);
	return fd;
}

static uint8_t expected(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 12) * 7 + 1);
}

static void fill(int fd, off_t from, size_t len)
{
	static uint8_t buf[MIB];

	for (size_t done = 0; done < len; done += MIB) {
		size_t n = len - done < MIB ? len - done : MIB;

		for (size_t i = 0; i < n; i++)
			buf[i] = expected((size_t)from + done + i);
		victim_need(pwrite(fd, buf, n, from + (off_t)done) ==
				    (ssize_t)n,
			    "contents");
	}
}

static void verify(int fd, off_t from, size_t len)
{
	static uint8_t buf[MIB];
	size_t wrong = 0;

	for (size_t done = 0; done < len; done += MIB) {
		size_t n = len - done < MIB ? len - done : MIB;

		if (pread(fd, buf, n, from + (off_t)done) != (ssize_t)n)
			wrong += n;
		for (size_t i = 0; i < n; i++)
			wrong += buf[i] != expected((size_t)from + done + i);
	}
	victim_check(wrong == 0, "%zu of %zu bytes at %lld are wrong", wrong,
		     len, (long long)from);
}

/* Its directory is gone, too, and the one above that. */
static int make_adrift(void)
{
	int fd;

	victim_need(mkdir(victim_path("lost"), 0700) == 0 &&
			    mkdir(victim_path("lost/deep"), 0700) == 0,
		    "mkdir");
	fd = make_unlinked("lost/deep/file", 0600);
	victim_need(write(fd, "adrift", 6) == 6 &&
			    rmdir(victim_path("lost/deep")) == 0 &&
			    rmdir(victim_path("lost")) == 0,
		    "rmdir");
	return fd;
}

/* Shares one description by fork and sees what the parent writes. */
static pid_t start_child(int fd)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	victim_wait_go();
	victim_check(victim_until(lseek(fd, 0, SEEK_CUR) == 4321),
		     "the child shares the position");
	_exit(0);
}

int main(void)
{
	int big = make_unlinked("big", 0400), again, tmp, empty, status;
	int adrift;
	char text[8] = "";
	const size_t odd = 9 * MIB + 1234;
	uint8_t *map, *only;
	struct stat st, now;
	char byte = 0;
	pid_t child;

	fill(big, 0, odd);
	victim_need(
		ftruncate(big, 64 * MIB + 17) == 0 &&
			fallocate(big,
				  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  4 * MIB, MIB) == 0,
		"a hole");
	again = open("/proc/self/fd/3", O_RDONLY);
	map = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, big, MIB);
	victim_need(map != MAP_FAILED, "mmap");
	tmp = open(victim_path("."), O_TMPFILE | O_RDWR, 0640);
	victim_need(tmp >= 0 && write(tmp, "tmpfile", 7) == 7, "O_TMPFILE");
	only = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, tmp, 0);
	empty = make_unlinked("empty", 0600);
	adrift = make_adrift();
	/* One that is only mapped, by nobody's descriptor. */
	status = make_unlinked("mapped", 0600);
	fill(status, 0, 5000);
	munmap(only, 8192);
	only = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, status, 0);
	victim_need(only != MAP_FAILED && close(status) == 0, "mapped");
	victim_need(futimens(big, (struct timespec[2]){ { 1, 2 }, { 3, 4 } }) ==
				    0 &&
			    fstat(big, &st) == 0,
		    "times");
	child = start_child(big);

	victim_wait();

	victim_need(fstat(big, &now) == 0, "fstat");
	victim_check(now.st_size == st.st_size, "size %lld, not %lld",
		     (long long)now.st_size, (long long)st.st_size);
	victim_check(now.st_mode == st.st_mode && now.st_uid == st.st_uid &&
			     now.st_gid == st.st_gid && now.st_nlink == 0,
		     "mode %o, owner %u:%u, %u links", now.st_mode, now.st_uid,
		     now.st_gid, (unsigned int)now.st_nlink);
	victim_check(now.st_mtim.tv_sec == 3 && now.st_mtim.tv_nsec == 4,
		     "time %lld.%09ld", (long long)now.st_mtim.tv_sec,
		     now.st_mtim.tv_nsec);
	victim_check(now.st_blocks <= st.st_blocks + 64,
		     "holes stay: %lld blocks, %lld before",
		     (long long)now.st_blocks, (long long)st.st_blocks);
	verify(big, 0, 4 * MIB);
	verify(big, 5 * MIB, odd - 5 * MIB);
	victim_check(pread(big, &byte, 1, 4 * MIB + 5) == 1 && !byte &&
			     pread(big, &byte, 1, 64 * MIB + 16) == 1 && !byte,
		     "holes read as zeros");
	map[7] = 200;
	victim_check(pread(again, &byte, 1, MIB + 7) == 1 &&
			     (uint8_t)byte == 200 && byte != 0,
		     "the mapping and both descriptions are one file");
	victim_check((fcntl(again, F_GETFL) & O_ACCMODE) == O_RDONLY &&
			     write(again, "x", 1) < 0,
		     "the second description only reads");
	lseek(big, 4321, SEEK_SET);
	victim_check(lseek(tmp, 0, SEEK_CUR) == 7 && fstat(tmp, &now) == 0 &&
			     now.st_size == 7 && (now.st_mode & 0777) == 0640,
		     "the nameless file");
	victim_check(fstat(empty, &now) == 0 && now.st_size == 0,
		     "an empty one stays empty");
	victim_check(fstat(adrift, &now) == 0 && !now.st_nlink &&
			     now.st_size == 6 &&
			     pread(adrift, text, 7, 0) == 6 &&
			     !strcmp(text, "adrift") &&
			     access(victim_path("lost"), F_OK) < 0,
		     "one whose directory is gone");
	for (size_t i = 0; i < 5000; i++)
		if (!victim_check(only[i] == expected(i),
				  "byte %zu of one that is only mapped", i))
			break;
	only[4999] = 1;
	victim_need(waitpid(child, &status, 0) == child && status == 0,
		    "child");
	victim_verdict(true, "unlinked files live on");
}
