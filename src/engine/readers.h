/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_READERS_H
#define JOBCR_ENGINE_READERS_H

/*
 * Threads for pages, of so many that were asked for; 0: half of the CPUs that
 * this thread may use, from 2 to ENGINE_READERS_AUTO.
 */
unsigned int readers_count(unsigned int asked);

#endif
