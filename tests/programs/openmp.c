/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Heat spreads over a plate: rows are shared out among OpenMP threads, with
 * a barrier after each step.  The result does not depend on their number.
 */
#include <stdint.h>
#include <stdio.h>

#define SIZE  600
#define STEPS 1500

static double plate[2][SIZE][SIZE];

static void step(double (*from)[SIZE], double (*to)[SIZE])
{
	int i, k;

#pragma omp parallel for private(k) schedule(dynamic, 16)
	for (i = 1; i < SIZE - 1; i++)
		for (k = 1; k < SIZE - 1; k++)
			to[i][k] = from[i][k] +
				   0.2 * (from[i - 1][k] + from[i + 1][k] +
					  from[i][k - 1] + from[i][k + 1] -
					  4 * from[i][k]);
}

int main(void)
{
	const uint8_t *bytes = (const uint8_t *)plate[0];
	uint64_t hash = 14695981039346656037ull;
	FILE *out = fopen("result", "w");
	size_t n;
	int i;

	if (!out)
		return 1;
	for (i = 0; i < SIZE; i++)
		plate[0][i][SIZE / 3] = plate[1][i][SIZE / 3] = 1000.0 + i;
	for (i = 0; i < STEPS; i++)
		step(plate[i % 2], plate[1 - i % 2]);
	for (n = 0; n < sizeof(plate[0]); n++)
		hash = (hash ^ bytes[n]) * 1099511628211ull;
	fprintf(out, "%016llx\n", (unsigned long long)hash);
	return fclose(out) ? 1 : 0;
}
