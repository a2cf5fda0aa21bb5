/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All limits, at values that would bind whoever rebuilds the process. */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define LIMITS 16

static void lower(int which, rlim_t soft, rlim_t hard)
{
	struct rlimit now, new;

	getrlimit((enum __rlimit_resource)which, &now);
	new.rlim_max = hard < now.rlim_max ? hard : now.rlim_max;
	new.rlim_cur = soft < new.rlim_max ? soft : new.rlim_max;
	victim_need(setrlimit((enum __rlimit_resource)which, &new) == 0,
		    "setrlimit");
}

int main(void)
{
	struct rlimit before[LIMITS], after[LIMITS];
	void *big = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/dev/null", O_RDONLY);
	int i;

	victim_need(big != MAP_FAILED && fd >= 0, "mmap");
	victim_need(dup2(fd, 900) == 900, "dup2");
	lower(RLIMIT_CPU, 1000, 100000);
	lower(RLIMIT_FSIZE, 1, 0x7fffffffffffffff);
	lower(RLIMIT_FSIZE, 100000, RLIM_INFINITY - 1);
	lower(RLIMIT_DATA, 4096, RLIM_INFINITY);
	lower(RLIMIT_STACK, 65536, 1 << 20);
	lower(RLIMIT_CORE, 0, 0);
	lower(RLIMIT_RSS, 12345, 67890);
	lower(RLIMIT_NOFILE, 5, 800);
	lower(RLIMIT_MEMLOCK, 0, 4096);
	/* What root may not lift (in some containers) stays as wide as it is.
	 */
	lower(RLIMIT_AS, 1 << 20,
	      prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE) == 1
		      ? 1 << 21
		      : RLIM_INFINITY - 1);
	lower(RLIMIT_LOCKS, 1, 0xfffffffffffffffe);
	lower(RLIMIT_SIGPENDING, 0, 7);
	lower(RLIMIT_MSGQUEUE, 0, 1);
	lower(RLIMIT_RTTIME, 1000000, 2000000);
	lower(RLIMIT_NPROC, 1, 10000);
	for (i = 0; i < LIMITS; i++)
		getrlimit((enum __rlimit_resource)i, &before[i]);
	victim_wait();
	for (i = 0; i < LIMITS; i++) {
		getrlimit((enum __rlimit_resource)i, &after[i]);
		victim_check(before[i].rlim_cur == after[i].rlim_cur &&
				     before[i].rlim_max == after[i].rlim_max,
			     "limit %d: %llu %llu became %llu %llu", i,
			     (unsigned long long)before[i].rlim_cur,
			     (unsigned long long)before[i].rlim_max,
			     (unsigned long long)after[i].rlim_cur,
			     (unsigned long long)after[i].rlim_max);
	}
	victim_verdict(fcntl(900, F_GETFD) == 0,
		       "limits and a descriptor beyond them are the same");
}
