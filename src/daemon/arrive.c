/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <time.h>

#include "daemon/server.h"
#include "storage/store.h"
#include "storage/tier.h"
#include "util/clock.h"
#include "util/log.h"

#define LOOK_NS    200000000
#define WORD_EVERY NSEC_PER_SEC
/* A node that is there begins within that time, and does not pause so long. */
#define PATIENCE (10 * NSEC_PER_SEC)

void flush_await_others(const struct conf *conf, const char *job_id, int job_fd,
			const struct user_id *user, void (*waits)(void *arg),
			void *arg)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	const uint64_t began = clock_monotonic_ns();
	uint64_t now = began, moved = began, word = 0, last = 0;
	uint32_t newest, number;
	struct err unused;
	char node[64];

	for (; now - moved < PATIENCE &&
	       now - began < conf->timeout_s * NSEC_PER_SEC;
	     now = clock_monotonic_ns()) {
		uint64_t progress;

		if (store_newest(job_fd, user, &newest, &unused) < 0)
			newest = 0;
		number = store_left_behind(job_fd, newest, user, node);
		/* Of this node's we see all that there is. */
		if (!number || !strcmp(node, conf->node))
			return;
		if (!word)
			log_info(job_id,
				 "generation %u is on its way from the fast "
				 "directory of %s to the store: waits for it",
				 number, node);
		progress = tier_progress(job_fd, number, user);
		if (progress != last)
			moved = now;
		last = progress;
		if (now - word >= WORD_EVERY) {
			waits(arg);
			word = now;
		}
		nanosleep(&pause, NULL);
	}
}
