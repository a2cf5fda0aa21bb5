/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which CPU does for a job: features by name, with a level and without. */
#include <errno.h>
#include <string.h>

#include "../lib/tap.h"
#include "inject/cpu.h"

#define SSE42   (1u << 20)
#define FMA     (1u << 12)
#define AVX2    (1u << 5)
#define AVX512F (1u << 16)
#define RTM     (1u << 11)
#define GFNI    (1u << 8)

/* Words of 1.ecx, 7.0.ebx and 7.0.ecx. */
static void expect(uint32_t lacks_1c, uint32_t lacks_70b, uint32_t lacks_70c,
		   uint64_t xcr0, uint32_t level, const char *error,
		   const char *what)
{
	uint32_t saved[CPU_WORDS] = { SSE42 | FMA, 0, AVX2 | AVX512F | RTM,
				      GFNI };
	struct cpu_info here = { .xcr0 = xcr0 };
	struct err err = { 0 };
	int r;

	memcpy(here.words, saved, sizeof(saved));
	here.words[0] &= ~lacks_1c;
	here.words[2] &= ~lacks_70b;
	here.words[3] &= ~lacks_70c;
	r = cpu_check(&here, 0xe7, saved, CPU_WORDS, level, &err);
	ok(error ? r == -ENOTSUP && strstr(err.text, error) : r == 0, "%s: %s",
	   what, err.text);
}

int main(void)
{
	expect(0, 0, 0, 0xe7, 0, NULL, "the same");
	expect(0, 0, 0, 0x2ff, 0, NULL, "more register state");
	expect(0, AVX512F, 0, 0xe7, 0, "lacks avx512f,", "without AVX-512");
	expect(FMA, AVX2 | RTM, GFNI, 0xe7, 0, "lacks fma, avx2, rtm, gfni,",
	       "all that is missing is named");
	expect(0, 0, 0, 7, 0, "avx512 opmask", "without its registers");
	expect(0, AVX512F | RTM, GFNI, 7, 3, NULL, "v3: has what v3 needs");
	expect(FMA, AVX512F, 0, 7, 3, "lacks fma,", "v3: without FMA");
	expect(0, AVX512F, 0, 7, 4, "lacks avx512f,", "v4: without AVX-512");
	expect(0, RTM, GFNI, 0xe7, 4, NULL, "v4: has what v4 needs");
	expect(0, 0, 0, 3, 3, "register state avx", "v3: no AVX registers");
	expect(FMA, AVX2 | AVX512F, 0, 3, 2, NULL, "v2: has what v2 needs");
	expect(SSE42, 0, 0, 7, 2, "lacks sse4_2,", "v2: without SSE 4.2");
	return done_testing();
}
