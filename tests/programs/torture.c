/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads allocate, grow, shrink, align and free blocks of all sizes, and give
 * them to each other.  Each block knows its checksum, which is looked at
 * whenever it is touched.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 6
#define STEPS   60000
#define BLOCKS  400
#define SHARED  64

struct block {
	uint8_t *data;
	size_t size;
	uint32_t sum;
};

/* What threads leave for each other. */
static struct block shared[SHARED];
static pthread_mutex_t locks[SHARED];
static uint64_t results[THREADS];

static uint32_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static uint32_t checksum(const struct block *b)
{
	uint32_t sum = 2166136261u;
	/* All of a small one, both ends and a sample of a large one. */
	size_t i, step = b->size > 4096 ? 509 : 1;

	for (i = 0; i < b->size; i += step)
		sum = (sum ^ b->data[i]) * 16777619u;
	return b->size ? (sum ^ b->data[b->size - 1]) * 16777619u : sum;
}

static void check(const struct block *b, const char *when)
{
	if (!b->data || checksum(b) == b->sum)
		return;
	fprintf(stderr, "%s: %zu bytes at %p have changed\n", when, b->size,
		(void *)b->data);
	abort();
}

/* Mostly small ones, now and then one that is mapped. */
static size_t some_size(uint64_t *seed)
{
	uint32_t r = next(seed);

	if (r % 200 == 0)
		return 131072 + next(seed) % 600000;
	if (r % 10 == 0)
		return next(seed) % 20000;
	return next(seed) % 500;
}

static void fill(struct block *b, size_t from, uint64_t *seed)
{
	if (b->size > from)
		memset(b->data + from, (int)next(seed), b->size - from);
	b->sum = checksum(b);
}

static void must(const void *p)
{
	if (p)
		return;
	fputs("no memory\n", stderr);
	abort();
}

static void take(struct block *b, uint64_t *seed)
{
	static const size_t aligns[] = { 16, 64, 4096, 65536 };
	void *p = NULL;

	b->size = some_size(seed);
	switch (next(seed) % 8) {
	case 0:
		p = calloc(1, b->size + 1);
		for (size_t i = 0; p && i < b->size; i++)
			if (((uint8_t *)p)[i])
				abort();
		break;
	case 1:
		if (posix_memalign(&p, aligns[next(seed) % 4], b->size + 1))
			p = NULL;
		break;
	default:
		p = malloc(b->size + 1);
	}
	must(p);
	b->data = p;
	fill(b, 0, seed);
}

static void resize(struct block *b, uint64_t *seed)
{
	size_t size = some_size(seed), kept = b->size < size ? b->size : size;
	struct block same;
	uint8_t *p;

	same = *b;
	same.size = kept;
	same.sum = checksum(&same);
	p = realloc(b->data, size + 1);
	must(p);
	b->data = same.data = p;
	check(&same, "realloc");
	b->size = size;
	fill(b, kept, seed);
}

static void drop(struct block *b)
{
	check(b, "free");
	free(b->data);
	memset(b, 0, sizeof(*b));
}

static void swap(struct block *b, uint32_t slot)
{
	struct block other;

	pthread_mutex_lock(&locks[slot]);
	other = shared[slot];
	shared[slot] = *b;
	pthread_mutex_unlock(&locks[slot]);
	*b = other;
	check(b, "from another thread");
}

/* The work does not depend on what others leave. */
static void *work(void *arg)
{
	size_t me = (size_t)(uintptr_t)arg;
	struct block mine[BLOCKS] = { 0 }, given = { 0 };
	uint64_t seed = me * 7919 + 1, gifts = me, sum = 0;

	for (int i = 0; i < STEPS; i++) {
		struct block *b = &mine[next(&seed) % BLOCKS];

		if (!b->data) {
			take(b, &seed);
			continue;
		}
		check(b, "at rest");
		sum += b->sum;
		if (next(&seed) % 3 == 0)
			drop(b);
		else
			resize(b, &seed);
		if (i % 50 == 0) {
			take(&given, &gifts);
			swap(&given, next(&gifts) % SHARED);
			if (given.data)
				drop(&given);
		}
	}
	for (size_t i = 0; i < BLOCKS; i++)
		if (mine[i].data)
			drop(&mine[i]);
	results[me] = sum;
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	FILE *out;
	size_t i;

	for (i = 0; i < SHARED; i++)
		pthread_mutex_init(&locks[i], NULL);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work,
				   (void *)(uintptr_t)i))
			return 1;
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < SHARED; i++)
		if (shared[i].data)
			drop(&shared[i]);
	out = fopen("result", "w");
	if (!out)
		return 1;
	for (i = 0; i < THREADS; i++)
		fprintf(out, "%016llx\n", (unsigned long long)results[i]);
	return fclose(out) ? 1 : 0;
}
