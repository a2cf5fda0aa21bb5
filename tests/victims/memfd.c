/* SPDX-License-Identifier: GPL-2.0-or-later */
/* memfds: name, size, contents, mode, seals, positions, who shares what. */
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static char data[5 * PAGE];

/* As another description of the same file. */
static int again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

static bool link_is(int fd, const char *text)
{
	char path[64], link[300] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, link, sizeof(link) - 1) > 0 &&
	       strcmp(link, text) == 0;
}

static int make(const char *name, unsigned int flags, size_t len)
{
	int fd = memfd_create(name, flags);

	victim_need(fd >= 0 && write(fd, data, len) == (ssize_t)len, name);
	return fd;
}

int main(void)
{
	const int seals =
		F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int plain, twin, reader, sealed, future, odd, gone;
	char *mapped, *private, *fixed, *only;
	struct stat st;

	pattern_fill(data, sizeof(data), 1);
	plain = make("plain: a name", 0, sizeof(data));
	fchmod(plain, 0640);
	twin = dup(plain);
	reader = again(plain, O_RDONLY | O_NONBLOCK);
	lseek(plain, 1234, SEEK_SET);
	lseek(reader, 4321, SEEK_SET);
	mapped = mmap(NULL, sizeof(data), PROT_READ | PROT_WRITE, MAP_SHARED,
		      plain, 0);
	private = mmap(NULL, sizeof(data), PROT_READ | PROT_WRITE, MAP_PRIVATE,
		       plain, 0);
	memset(private + PAGE, 0, PAGE);
	memset(private + 2 * PAGE, 7, PAGE);

	sealed = make("sealed", MFD_ALLOW_SEALING, 3 * PAGE);
	victim_need(fcntl(sealed, F_ADD_SEALS, seals) == 0, "seals");
	only = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED,
		    again(sealed, O_RDONLY), 0);

	future = make("future", MFD_ALLOW_SEALING, PAGE);
	fixed = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, future, 0);
	victim_need(fcntl(future, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0,
		    "future seal");

	odd = make("", 0, 777);
	gone = make("closed", 0, 0);
	ftruncate(gone, 9 * PAGE);
	mmap((void *)0x610000000000ul, 2 * PAGE, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_FIXED, gone, 3 * PAGE);
	pattern_fill((void *)0x610000000000ul, PAGE, 5);
	close(gone);
	mappings_note();

	victim_wait();

	mappings_compare();
	victim_check(link_is(plain, "/memfd:plain: a name (deleted)"),
		     "the name is lost");
	victim_check(fstat(plain, &st) == 0 && st.st_size == sizeof(data) &&
			     (st.st_mode & 07777) == 0640 &&
			     st.st_uid == geteuid(),
		     "size %lld, mode %o, owner %u", (long long)st.st_size,
		     st.st_mode, st.st_uid);
	victim_check(lseek(plain, 0, SEEK_CUR) == 1234 &&
			     lseek(reader, 0, SEEK_CUR) == 4321,
		     "positions are lost");
	lseek(twin, 99, SEEK_SET);
	victim_check(lseek(plain, 0, SEEK_CUR) == 99,
		     "a duplicate has a position of its own");
	victim_check((fcntl(reader, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) ==
			     (O_RDONLY | O_NONBLOCK),
		     "flags of another description are lost");
	victim_check(memcmp(mapped, data, sizeof(data)) == 0,
		     "contents differ");
	mapped[3 * PAGE] = 'x';
	victim_check(pread(reader, data, 1, 3 * PAGE) == 1 && data[0] == 'x',
		     "mapping and descriptor are not the same file");
	victim_check(all_zero(private + PAGE, PAGE) && private[2 * PAGE] == 7 &&
			     private[3 * PAGE] == 'x',
		     "a private mapping of a memfd differs");
	victim_check(fcntl(sealed, F_GET_SEALS) == seals &&
			     write(sealed, "y", 1) < 0,
		     "seals are %#x", fcntl(sealed, F_GET_SEALS));
	victim_check(pattern_holds(only, 3 * PAGE, 1),
		     "a sealed memfd's contents differ");
	fixed[0] = 'z';
	victim_check(fcntl(future, F_GET_SEALS) == F_SEAL_FUTURE_WRITE &&
			     write(future, "y", 1) < 0 &&
			     pread(future, data, 1, 0) == 1 && data[0] == 'z',
		     "a seal against future writes is different");
	victim_check(fstat(odd, &st) == 0 && st.st_size == 777 &&
			     link_is(odd, "/memfd: (deleted)"),
		     "a size that is no multiple of a page is now %lld",
		     (long long)st.st_size);
	victim_check(pattern_holds((void *)0x610000000000ul, PAGE, 5),
		     "a memfd that is only mapped differs");
	victim_verdict(true, "memfds are as they were");
}
