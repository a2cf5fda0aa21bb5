/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "tests/lib/tap.h"
#include "util/crc32c.h"

int main(void)
{
	uint8_t data[300];
	unsigned int i, at, differ = 0;

	/* RFC 3720, B.4 */
	ok(crc32c(0, "123456789", 9) == 0xe3069283, "the check value");
	memset(data, 0, 32);
	ok(crc32c(0, data, 32) == 0x8a9136aa, "32 bytes of zeros");
	memset(data, 0xff, 32);
	ok(crc32c(0, data, 32) == 0x62a8ab43, "32 bytes of ones");
	ok(crc32c(0, data, 0) == 0, "nothing has the checksum 0");

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i + 3 * i);
	for (at = 0; at < 9; at++)
		for (i = 0; i < sizeof(data) - at; i++)
			if (crc32c(at, data + at, i) !=
			    crc32c_table(at, data + at, i))
				differ++;
	ok(!differ, "the instruction and the table agree at any alignment");
	ok(crc32c(crc32c(0, data, 77), data + 77, 200) == crc32c(0, data, 277),
	   "a second call goes on where the first one ended");
	return done_testing();
}
