/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inject/cpu.h"

#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "util/cleanup.h"

/* Which word of cpu_info a CPUID register is kept in. */
enum {
	W_1C,
	W_1D,
	W_70B,
	W_70C,
	W_70D,
	W_71A,
	W_X1C,
	W_X1D,
	W_D1A,
	W_71D,
};

/*
 * Features that a program may have found at its start and uses since.  Bits
 * for the kernel alone (virtualisation, mitigations) are not compared.
 */
static const struct {
	uint8_t word, bit;
	char name[20];
} features[] = {
	{ W_1C, 0, "sse3" },
	{ W_1C, 1, "pclmulqdq" },
	{ W_1C, 9, "ssse3" },
	{ W_1C, 12, "fma" },
	{ W_1C, 13, "cx16" },
	{ W_1C, 19, "sse4_1" },
	{ W_1C, 20, "sse4_2" },
	{ W_1C, 22, "movbe" },
	{ W_1C, 23, "popcnt" },
	{ W_1C, 25, "aes" },
	{ W_1C, 26, "xsave" },
	{ W_1C, 27, "osxsave" },
	{ W_1C, 28, "avx" },
	{ W_1C, 29, "f16c" },
	{ W_1C, 30, "rdrand" },
	{ W_1D, 4, "tsc" },
	{ W_1D, 19, "clflush" },
	{ W_70B, 0, "fsgsbase" },
	{ W_70B, 3, "bmi1" },
	{ W_70B, 4, "hle" },
	{ W_70B, 5, "avx2" },
	{ W_70B, 8, "bmi2" },
	{ W_70B, 9, "erms" },
	{ W_70B, 11, "rtm" },
	{ W_70B, 16, "avx512f" },
	{ W_70B, 17, "avx512dq" },
	{ W_70B, 18, "rdseed" },
	{ W_70B, 19, "adx" },
	{ W_70B, 21, "avx512ifma" },
	{ W_70B, 23, "clflushopt" },
	{ W_70B, 24, "clwb" },
	{ W_70B, 26, "avx512pf" },
	{ W_70B, 27, "avx512er" },
	{ W_70B, 28, "avx512cd" },
	{ W_70B, 29, "sha_ni" },
	{ W_70B, 30, "avx512bw" },
	{ W_70B, 31, "avx512vl" },
	{ W_70C, 0, "prefetchwt1" },
	{ W_70C, 1, "avx512vbmi" },
	{ W_70C, 4, "ospke" },
	{ W_70C, 5, "waitpkg" },
	{ W_70C, 6, "avx512_vbmi2" },
	{ W_70C, 8, "gfni" },
	{ W_70C, 9, "vaes" },
	{ W_70C, 10, "vpclmulqdq" },
	{ W_70C, 11, "avx512_vnni" },
	{ W_70C, 12, "avx512_bitalg" },
	{ W_70C, 14, "avx512_vpopcntdq" },
	{ W_70C, 22, "rdpid" },
	{ W_70C, 25, "cldemote" },
	{ W_70C, 27, "movdiri" },
	{ W_70C, 28, "movdir64b" },
	{ W_70D, 2, "avx512_4vnniw" },
	{ W_70D, 3, "avx512_4fmaps" },
	{ W_70D, 4, "fsrm" },
	{ W_70D, 8, "avx512_vp2intersect" },
	{ W_70D, 14, "serialize" },
	{ W_70D, 16, "tsxldtrk" },
	{ W_70D, 22, "amx_bf16" },
	{ W_70D, 23, "avx512_fp16" },
	{ W_70D, 24, "amx_tile" },
	{ W_70D, 25, "amx_int8" },
	{ W_71A, 0, "sha512" },
	{ W_71A, 1, "sm3" },
	{ W_71A, 2, "sm4" },
	{ W_71A, 4, "avx_vnni" },
	{ W_71A, 5, "avx512_bf16" },
	{ W_71A, 7, "cmpccxadd" },
	{ W_71A, 10, "fzrm" },
	{ W_71A, 11, "fsrs" },
	{ W_71A, 12, "fsrc" },
	{ W_71A, 21, "amx_fp16" },
	{ W_71A, 23, "avx_ifma" },
	{ W_X1C, 0, "lahf_lm" },
	{ W_X1C, 5, "lzcnt" },
	{ W_X1C, 6, "sse4a" },
	{ W_X1C, 8, "3dnowprefetch" },
	{ W_X1C, 11, "xop" },
	{ W_X1C, 16, "fma4" },
	{ W_X1C, 21, "tbm" },
	{ W_X1C, 29, "mwaitx" },
	{ W_X1D, 27, "rdtscp" },
	{ W_D1A, 0, "xsaveopt" },
	{ W_D1A, 1, "xsavec" },
	{ W_D1A, 2, "xgetbv1" },
	{ W_71D, 4, "avx_vnni_int8" },
	{ W_71D, 5, "avx_ne_convert" },
	{ W_71D, 8, "amx_complex" },
	{ W_71D, 10, "avx_vnni_int16" },
	{ W_71D, 14, "prefetchi" },
};

static const char *const components[] = {
	"x87",
	"sse",
	"avx",
	"mpx bndregs",
	"mpx bndcsr",
	"avx512 opmask",
	"avx512 zmm_hi256",
	"avx512 hi16_zmm",
	"pt",
	"pkru",
	"pasid",
	"cet user",
	"cet kernel",
	"hdc",
	"uintr",
	"lbr",
	"hwp",
	"amx tilecfg",
	"amx tiledata",
	"apx",
};

static uint64_t read_xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static void read_words(uint32_t *w)
{
	uint32_t a, b, c, d;

	if (__get_cpuid_count(1, 0, &a, &b, &c, &d)) {
		w[W_1C] = c;
		w[W_1D] = d;
	}
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		uint32_t leaves = a;

		w[W_70B] = b;
		w[W_70C] = c;
		w[W_70D] = d;
		if (leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
			w[W_71A] = a;
			w[W_71D] = d;
		}
	}
	if (__get_cpuid_count(0x80000001u, 0, &a, &b, &c, &d)) {
		w[W_X1C] = c;
		w[W_X1D] = d;
	}
	if (__get_cpuid_count(0xd, 1, &a, &b, &c, &d))
		w[W_D1A] = a;
}

/*
 * Asked once in the life of a process: in a virtual machine each CPUID is an
 * exit to the hypervisor, and a dump needs this for every thread.
 */
static struct cpu_info node_cpu;
static pthread_once_t node_cpu_once = PTHREAD_ONCE_INIT;

static void ask_cpu(void)
{
	struct cpu_info info = { 0 };
	uint32_t a, b, c, d;

	read_words(info.words);
	/* Every x86_64 has these two, in the legacy area. */
	info.offset[1] = 160;
	info.size[0] = 160;
	info.size[1] = 256;
	info.xstate_size = 512;
	if (info.words[W_1C] & 1u << 27) {
		info.xcr0 = read_xcr0();
		info.xstate_size = 576;
	}
	for (unsigned int i = 2; i < 64; i++) {
		if (!(info.xcr0 >> i & 1) ||
		    !__get_cpuid_count(0xd, i, &a, &b, &c, &d))
			continue;
		info.size[i] = a;
		info.offset[i] = b;
		if (a + b > info.xstate_size)
			info.xstate_size = a + b;
	}
	node_cpu = info;
}

void cpu_info_read(struct cpu_info *ret)
{
	(void)pthread_once(&node_cpu_once, ask_cpu);
	*ret = node_cpu;
}

int cpu_check(const struct cpu_info *here, uint64_t xcr0, const uint32_t *words,
	      size_t count, struct err *err)
{
	uint64_t missing = xcr0 & ~here->xcr0;

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		uint32_t bit = 1u << features[i].bit;
		size_t w = features[i].word;

		if (w < count && words[w] & bit && !(here->words[w] & bit))
			return err_set(err, -ENOTSUP,
				       "the CPU of this node lacks %s, which "
				       "the job may be using",
				       features[i].name);
	}
	for (unsigned int i = 0; i < 64; i++) {
		if (!(missing >> i & 1))
			continue;
		return err_set(err, -ENOTSUP,
			       "this node has no register state %s, which the "
			       "job may be using",
			       i < ARRAY_SIZE(components) ? components[i]
							  : "of a newer CPU");
	}
	return 0;
}
