// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A mapping of which a page is protected for a while: it is one mapping again
 * afterwards, and can be moved and grow as such.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "../lib/victim.h"

#define PAGE  4096ul
#define BYTES (3ul << 20)
#define GUARD (1ul << 20) /* from the start */

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i / PAGE * 5 + i % 253 + 1);
}

int main(void)
{
	uint8_t *room =
		mmap(NULL, 4 * BYTES, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *m = room + BYTES;
	size_t wrong = 0;

	/* With nothing beside it that it could be one with. */
	victim_need(room != MAP_FAILED &&
			    mmap(m, BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				 0) == m,
		    "mmap");
	for (size_t i = 0; i < BYTES; i++)
		m[i] = byte_at(i);
	victim_need(mprotect(m + GUARD, PAGE, PROT_NONE) == 0, "mprotect");

	victim_wait();

	victim_check(mprotect(m + GUARD, PAGE, PROT_READ | PROT_WRITE) == 0,
		     "mprotect: %s", strerror(errno));
	m = mremap(m, BYTES, 2 * BYTES, MREMAP_MAYMOVE);
	if (victim_check(m != MAP_FAILED, "mremap: %s", strerror(errno)))
		for (size_t i = 0; i < BYTES; i++)
			wrong += m[i] != byte_at(i);
	victim_check(!wrong, "%zu bytes are wrong", wrong);
	victim_verdict(true, "a mapping that was in three parts is one");
}
