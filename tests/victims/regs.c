/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every register that a program can have, full of numbers, in the leader and
 * in threads, while they spin.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/victim.h"

#define SPINNERS 4

struct registers {
	uint8_t vector[32][64];
	uint64_t mask[8];
	uint64_t general[10];
	uint64_t stack[8]; /* of the x87, as integers */
	uint32_t mxcsr;
	uint16_t control;
};

static volatile int go;
static int with_avx512;

#define V(op, n) op(n)
#define ALL16(op)                                                        \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9)      \
	op(10) op(11) op(12) op(13) op(14) op(15)
#define HIGH16(op)                                                       \
	op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24)   \
	op(25) op(26) op(27) op(28) op(29) op(30) op(31)
#define GET512(n) "vmovdqu64 " #n "*64(%%rdi), %%zmm" #n "\n"
#define PUT512(n) "vmovdqu64 %%zmm" #n ", " #n "*64(%%rsi)\n"
#define GET256(n) "vmovdqu " #n "*64(%%rdi), %%ymm" #n "\n"
#define PUT256(n) "vmovdqu %%ymm" #n ", " #n "*64(%%rsi)\n"
#define EIGHT(op) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define GETK(n)	  "kmovq 2048+" #n "*8(%%rdi), %%k" #n "\n"
#define PUTK(n)	  "kmovq %%k" #n ", 2048+" #n "*8(%%rsi)\n"
#define GENERAL(op)                                                      \
	op(0, rax) op(1, rbx) op(2, r8) op(3, r9) op(4, r10) op(5, r11)  \
	op(6, r12) op(7, r13) op(8, r14) op(9, r15)
#define GETG(n, r) "mov 2112+" #n "*8(%%rdi), %%" #r "\n"
#define PUTG(n, r) "mov %%" #r ", 2112+" #n "*8(%%rsi)\n"
#define STACK(op)  op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define GETF(n)	   "fildll 2192+" #n "*8(%%rdi)\n"
#define PUTF(n)	   "fistpll 2192+(7-" #n ")*8(%%rsi)\n"
#define REST_GET                                                         \
	"fninit\n" STACK(GETF) "ldmxcsr 2256(%%rdi)\n"                   \
	"fldcw 2260(%%rdi)\n" GENERAL(GETG)
#define REST_PUT                                                         \
	GENERAL(PUTG) "stmxcsr 2256(%%rsi)\n"                            \
	"fnstcw 2260(%%rsi)\n" STACK(PUTF) "fninit\n"
#define SPIN "1: pause\n cmpl $0, (%%rcx)\n je 1b\n"
#define CLOBBER                                                          \
	"memory", "cc", "rax", "rbx", "r8", "r9", "r10", "r11", "r12",   \
	"r13", "r14", "r15"

_Static_assert(__builtin_offsetof(struct registers, mask) == 2048 &&
		       __builtin_offsetof(struct registers, general) == 2112 &&
		       __builtin_offsetof(struct registers, stack) == 2192 &&
		       __builtin_offsetof(struct registers, mxcsr) == 2256 &&
		       __builtin_offsetof(struct registers, control) == 2260,
	       "numbers in the assembly");

__attribute__((noinline)) static void spin512(const struct registers *in,
					      struct registers *out)
{
	__asm__ volatile(ALL16(GET512) HIGH16(GET512) EIGHT(GETK) REST_GET
				 SPIN REST_PUT ALL16(PUT512) HIGH16(PUT512)
					 EIGHT(PUTK) "vzeroall\n"
			 :
			 : "D"(in), "S"(out), "c"(&go)
			 : CLOBBER);
}

__attribute__((noinline)) static void spin256(const struct registers *in,
					      struct registers *out)
{
	__asm__ volatile(ALL16(GET256) REST_GET SPIN REST_PUT ALL16(PUT256)
				 "vzeroall\n"
			 :
			 : "D"(in), "S"(out), "c"(&go)
			 : CLOBBER);
}

static void fill(struct registers *r, unsigned int seed)
{
	uint64_t x = 0x9e3779b97f4a7c15ull * (seed + 1);
	uint8_t *p = (uint8_t *)r;

	for (size_t i = 0; i < sizeof(*r); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (uint8_t)x;
	}
	/* The x87 holds 63 bits of them exactly. */
	for (size_t i = 0; i < 8; i++)
		r->stack[i] &= 0x3fffffffffffffffull;
	r->mxcsr = 0x1f80 | (seed & 3) << 13 | 0x8000;
	r->control = (uint16_t)(0x37f | (seed & 3) << 10);
}

static void compare(const struct registers *in, const struct registers *out,
		    unsigned int seed)
{
	size_t vectors = with_avx512 ? 32 : 16;
	size_t width = with_avx512 ? 64 : 32;

	for (size_t i = 0; i < vectors; i++)
		victim_check(memcmp(in->vector[i], out->vector[i], width) == 0,
			     "spinner %u: vector register %zu", seed, i);
	for (size_t i = 1; i < 8 && with_avx512; i++)
		victim_check(in->mask[i] == out->mask[i],
			     "spinner %u: k%zu", seed, i);
	victim_check(memcmp(in->general, out->general, sizeof(in->general)) ==
			     0,
		     "spinner %u: general registers", seed);
	victim_check(memcmp(in->stack, out->stack, sizeof(in->stack)) == 0,
		     "spinner %u: x87 stack", seed);
	victim_check(in->mxcsr == (out->mxcsr & ~0x3fu),
		     "spinner %u: mxcsr %#x, was %#x", seed, out->mxcsr,
		     in->mxcsr);
	victim_check(in->control == out->control,
		     "spinner %u: x87 control word %#x, was %#x", seed,
		     out->control, in->control);
}

static void *spinner(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	struct registers in, out = { 0 };
	uint32_t mxcsr = 0x1f80;
	/* No C library uses it: an address of our own, of no memory. */
	uint64_t base = 0x123456789000ull + seed, now = 0;

	fill(&in, seed);
	victim_need(syscall(SYS_arch_prctl, ARCH_SET_GS, base) == 0, "GS");
	if (with_avx512)
		spin512(&in, &out);
	else
		spin256(&in, &out);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	compare(&in, &out, seed);
	syscall(SYS_arch_prctl, ARCH_GET_GS, &now);
	victim_check(now == base, "spinner %u: GS base %#llx, was %#llx", seed,
		     (unsigned long long)now, (unsigned long long)base);
	return NULL;
}

static void *waiter(void *arg)
{
	(void)arg;
	victim_wait();
	go = 1;
	return NULL;
}

int main(void)
{
	pthread_t wait, spin[SPINNERS];

	__builtin_cpu_init();
	with_avx512 = __builtin_cpu_supports("avx512f") &&
		      __builtin_cpu_supports("avx512bw");
	if (!__builtin_cpu_supports("avx2"))
		victim_skip("this CPU has no AVX2");
	for (uintptr_t i = 1; i < SPINNERS; i++)
		victim_need(pthread_create(&spin[i], NULL, spinner,
					   (void *)i) == 0, "thread");
	victim_need(pthread_create(&wait, NULL, waiter, NULL) == 0, "thread");
	spinner(NULL);
	pthread_join(wait, NULL);
	for (size_t i = 1; i < SPINNERS; i++)
		pthread_join(spin[i], NULL);
	victim_verdict(true, "all registers are kept, in all threads");
}
