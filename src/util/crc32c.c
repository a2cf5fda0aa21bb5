/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/crc32c.h"

#include <nmmintrin.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

/*
 * Four bits at a time: the table is 16 words that a reader can check against
 * the polynomial, and this path is for processors without SSE 4.2 only.
 */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t table[16];
	unsigned int i, bit;

	for (i = 0; i < 16; i++) {
		table[i] = i;
		for (bit = 0; bit < 4; bit++)
			table[i] =
				table[i] >> 1 ^ (table[i] & 1 ? POLYNOMIAL : 0);
	}
	crc = ~crc;
	for (; len; len--, p++) {
		crc ^= *p;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t sum = ~crc;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		sum = _mm_crc32_u64(sum, word);
	}
	for (; len; len--, p++)
		sum = _mm_crc32_u8((uint32_t)sum, *p);
	return ~(uint32_t)sum;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, data, len)
						: crc32c_table(crc, data, len);
}
