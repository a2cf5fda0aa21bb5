// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What cannot be saved passes by itself: a descriptor of such a kind that is
 * open for moments only, as a library does that looks around at its start.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "../lib/victim.h"

static atomic_bool over;
static atomic_uint opened;

static void *look_around(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		int fd = inotify_init1(IN_CLOEXEC);

		victim_check(fd >= 0, "inotify_init1");
		atomic_fetch_add(&opened, 1);
		victim_nap(5000000);
		victim_check(close(fd) == 0, "its own descriptor is open");
		victim_nap(15000000);
	}
	return NULL;
}

int main(void)
{
	unsigned int before;
	pthread_t thread;

	victim_need(pthread_create(&thread, NULL, look_around, NULL) == 0,
		    "thread");
	victim_until(atomic_load(&opened) > 2);

	victim_wait();

	before = atomic_load(&opened);
	victim_check(victim_until(atomic_load(&opened) > before + 1),
		     "it looks on");
	atomic_store(&over, true);
	victim_need(pthread_join(thread, NULL) == 0, "join");
	victim_verdict(true, "a passing descriptor is waited for");
}
