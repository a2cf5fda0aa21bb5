/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inject/cpu.h"

#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
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
 * Features that a program may have found at its start and uses since, by
 * their names in /proc/cpuinfo.  Bits for the kernel alone (virtualisation,
 * mitigations) are not compared.  level: of the psABI, from which on a job
 * that keeps to a level may use it; 0: always.
 */
#define MORE 5 /* than any level has */
static const struct {
	uint8_t word, bit;
	char name[20];
	uint8_t level;
} features[] = {
	{ W_1C, 0, "pni", 0 },
	{ W_1C, 1, "pclmulqdq", 0 },
	{ W_1C, 9, "ssse3", 0 },
	{ W_1C, 12, "fma", 3 },
	{ W_1C, 13, "cx16", 0 },
	{ W_1C, 19, "sse4_1", 0 },
	{ W_1C, 20, "sse4_2", 0 },
	{ W_1C, 22, "movbe", 3 },
	{ W_1C, 23, "popcnt", 0 },
	{ W_1C, 25, "aes", 0 },
	{ W_1C, 26, "xsave", 0 },
	{ W_1C, 27, "osxsave", 0 },
	{ W_1C, 28, "avx", 3 },
	{ W_1C, 29, "f16c", 3 },
	{ W_1C, 30, "rdrand", 3 },
	{ W_1D, 4, "tsc", 0 },
	{ W_1D, 19, "clflush", 0 },
	{ W_70B, 0, "fsgsbase", 0 },
	{ W_70B, 3, "bmi1", 3 },
	{ W_70B, 4, "hle", MORE },
	{ W_70B, 5, "avx2", 3 },
	{ W_70B, 8, "bmi2", 3 },
	{ W_70B, 9, "erms", MORE },
	{ W_70B, 11, "rtm", MORE },
	{ W_70B, 16, "avx512f", 4 },
	{ W_70B, 17, "avx512dq", 4 },
	{ W_70B, 18, "rdseed", MORE },
	{ W_70B, 19, "adx", MORE },
	{ W_70B, 21, "avx512ifma", MORE },
	{ W_70B, 23, "clflushopt", MORE },
	{ W_70B, 24, "clwb", MORE },
	{ W_70B, 26, "avx512pf", MORE },
	{ W_70B, 27, "avx512er", MORE },
	{ W_70B, 28, "avx512cd", 4 },
	{ W_70B, 29, "sha_ni", MORE },
	{ W_70B, 30, "avx512bw", 4 },
	{ W_70B, 31, "avx512vl", 4 },
	{ W_70C, 0, "prefetchwt1", MORE },
	{ W_70C, 1, "avx512vbmi", MORE },
	{ W_70C, 4, "ospke", 0 },
	{ W_70C, 5, "waitpkg", MORE },
	{ W_70C, 6, "avx512_vbmi2", MORE },
	{ W_70C, 8, "gfni", MORE },
	{ W_70C, 9, "vaes", MORE },
	{ W_70C, 10, "vpclmulqdq", MORE },
	{ W_70C, 11, "avx512_vnni", MORE },
	{ W_70C, 12, "avx512_bitalg", MORE },
	{ W_70C, 14, "avx512_vpopcntdq", MORE },
	{ W_70C, 22, "rdpid", MORE },
	{ W_70C, 25, "cldemote", MORE },
	{ W_70C, 27, "movdiri", MORE },
	{ W_70C, 28, "movdir64b", MORE },
	{ W_70D, 2, "avx512_4vnniw", MORE },
	{ W_70D, 3, "avx512_4fmaps", MORE },
	{ W_70D, 4, "fsrm", MORE },
	{ W_70D, 8, "avx512_vp2intersect", MORE },
	{ W_70D, 14, "serialize", MORE },
	{ W_70D, 16, "tsxldtrk", MORE },
	{ W_70D, 22, "amx_bf16", MORE },
	{ W_70D, 23, "avx512_fp16", MORE },
	{ W_70D, 24, "amx_tile", MORE },
	{ W_70D, 25, "amx_int8", MORE },
	{ W_71A, 0, "sha512", MORE },
	{ W_71A, 1, "sm3", MORE },
	{ W_71A, 2, "sm4", MORE },
	{ W_71A, 4, "avx_vnni", MORE },
	{ W_71A, 5, "avx512_bf16", MORE },
	{ W_71A, 7, "cmpccxadd", MORE },
	{ W_71A, 10, "fzrm", MORE },
	{ W_71A, 11, "fsrs", MORE },
	{ W_71A, 12, "fsrc", MORE },
	{ W_71A, 21, "amx_fp16", MORE },
	{ W_71A, 23, "avx_ifma", MORE },
	{ W_X1C, 0, "lahf_lm", 0 },
	{ W_X1C, 5, "abm", 3 },
	{ W_X1C, 6, "sse4a", MORE },
	{ W_X1C, 8, "3dnowprefetch", MORE },
	{ W_X1C, 11, "xop", MORE },
	{ W_X1C, 16, "fma4", MORE },
	{ W_X1C, 21, "tbm", MORE },
	{ W_X1C, 29, "mwaitx", MORE },
	{ W_X1D, 27, "rdtscp", 0 },
	{ W_D1A, 0, "xsaveopt", MORE },
	{ W_D1A, 1, "xsavec", 4 },
	{ W_D1A, 2, "xgetbv1", MORE },
	{ W_71D, 4, "avx_vnni_int8", MORE },
	{ W_71D, 5, "avx_ne_convert", MORE },
	{ W_71D, 8, "amx_complex", MORE },
	{ W_71D, 10, "avx_vnni_int16", MORE },
	{ W_71D, 14, "prefetchi", MORE },
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

/* Register state that no job of a level has; bit by bit as in XCR0. */
static uint64_t states_above(uint32_t level)
{
	static const uint64_t avx = 0x4, avx512 = 0xe0, amx = 0x60000,
			      apx = 0x80000;

	return !level       ? 0
	       : level >= 4 ? amx | apx
	       : level == 3 ? amx | apx | avx512
			    : amx | apx | avx512 | avx;
}

uint64_t cpu_missing_states(const struct cpu_info *here, uint64_t xcr0)
{
	return xcr0 & ~here->xcr0;
}

const char *cpu_state_name(unsigned int number)
{
	return number < ARRAY_SIZE(components) ? components[number]
					       : "of a newer CPU";
}

/* All that is missing, as far as there is room. */
static int refuse_features(const struct cpu_info *here, const uint32_t *words,
			   size_t count, uint32_t level, struct err *err)
{
	char names[200] = "";
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		uint32_t bit = 1u << features[i].bit;
		size_t w = features[i].word;

		if (w >= count || !(words[w] & bit) || here->words[w] & bit ||
		    (level && features[i].level > level))
			continue;
		if (used + sizeof(features[i].name) + 4 < sizeof(names))
			used += (size_t)snprintf(
				names + used, sizeof(names) - used, "%s%s",
				used ? ", " : "", features[i].name);
	}
	return used ? err_set(err, -ENOTSUP,
			      "the CPU of this node lacks %s, which the job "
			      "may be using",
			      names)
		    : 0;
}

int cpu_check(const struct cpu_info *here, uint64_t xcr0, const uint32_t *words,
	      size_t count, uint32_t level, struct err *err)
{
	uint64_t missing = cpu_missing_states(here, xcr0);
	int r = refuse_features(here, words, count, level, err);

	missing &= ~states_above(level);
	if (r < 0 || !missing)
		return r;
	return err_set(err, -ENOTSUP,
		       "this node has no register state %s, which the job may "
		       "be using",
		       cpu_state_name((unsigned int)__builtin_ctzll(missing)));
}
