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
/*
 * A node that is there says so every TIER_BEAT_S, whatever it waits for; a
 * file server may show it late.  What comes on is waited for all the same not
 * for ever: others may want the nodes.
 */
#define PATIENCE  (30 * NSEC_PER_SEC)
#define LONGEST   (3600 * NSEC_PER_SEC)
#define LOG_EVERY (60 * NSEC_PER_SEC)

void flush_await_others(const struct conf *conf, const char *job_id, int job_fd,
			const struct user_id *user, void (*waits)(void *arg),
			void *arg)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	const uint64_t began = clock_monotonic_ns();
	uint64_t now = began, moved = began, word = 0, said = 0, last = 0;
	uint32_t newest, number;
	struct err unused;
	char node[64];

	for (; now - moved < PATIENCE && now - began < LONGEST;
	     now = clock_monotonic_ns()) {
		uint64_t progress;

		if (store_newest(job_fd, user, &newest, &unused) < 0)
			newest = 0;
		number = store_left_behind(job_fd, newest, user, node);
		/* Of this node's we see all that there is. */
		if (!number || !strcmp(node, conf->node))
			return;
		if (!said || now - said >= LOG_EVERY) {
			log_info(job_id,
				 "generation %u is on its way from the fast "
				 "directory of %s to the store: waits for it",
				 number, node);
			said = now;
		}
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
