/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a filter answers, as computed and as the kernel has it; and programs
 * that no kernel would take.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "inject/bpf.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define NO_CALL  2000 /* a number that no kernel has */
#define ARG(n)   (offsetof(struct seccomp_data, args) + 8 * (n))
#define NR       offsetof(struct seccomp_data, nr)
#define LOAD(o)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (o))
#define RET(v)   BPF_STMT(BPF_RET | BPF_K, (v))
#define IF(k, t) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (t))
#define FAIL     (SECCOMP_RET_ERRNO | 7)
#define RANDOM   600

static unsigned int ask(const struct sock_filter *code, size_t len, long nr,
			int known, uint64_t arg)
{
	struct bpf_call call;

	bpf_call_init(&call);
	bpf_call_set_nr(&call, nr);
	if (known)
		bpf_call_set_arg(&call, 0, arg);
	return bpf_answers(code, len, &call);
}

static void test_arguments(void)
{
	const struct sock_filter code[] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		IF(AUDIT_ARCH_X86_64, 6),
		LOAD(NR),
		IF(10, 3),
		LOAD(ARG(0)),
		IF(5, 1),
		RET(SECCOMP_RET_KILL_PROCESS),
		RET(SECCOMP_RET_LOG),
		RET(SECCOMP_RET_TRAP),
	};
	const size_t n = ARRAY_SIZE(code);

	ok(ask(code, n, 11, 0, 0) == BPF_LETS, "another number is allowed");
	ok(ask(code, n, 10, 1, 5) == BPF_HARMS, "the argument that kills");
	ok(ask(code, n, 10, 1, 6) == BPF_LETS, "one that does not");
	ok(ask(code, n, 10, 0, 0) == (BPF_LETS | BPF_HARMS),
	   "where it is unknown both are told");
	ok(ask(code, n, 10, 1, 5ull << 32) == BPF_LETS,
	   "halves are told apart");
}

static void test_meeting(void)
{
	/* Two ways meet; what only one knows is unknown from there on. */
	const struct sock_filter code[] = {
		LOAD(ARG(0)),
		IF(1, 2),
		BPF_STMT(BPF_LD | BPF_IMM, 3),
		BPF_STMT(BPF_JMP | BPF_JA, 1),
		BPF_STMT(BPF_LD | BPF_IMM, 4),
		BPF_STMT(BPF_ST, 2),
		BPF_STMT(BPF_LD | BPF_IMM, 9),
		BPF_STMT(BPF_LDX | BPF_MEM, 2),
		BPF_STMT(BPF_MISC | BPF_TXA, 0),
		IF(4, 1),
		RET(FAIL),
		RET(SECCOMP_RET_ALLOW),
	};
	const size_t n = ARRAY_SIZE(code);

	ok(ask(code, n, 1, 0, 0) == (BPF_LETS | BPF_FAILS),
	   "what ways that meet do not agree on is unknown");
	ok(ask(code, n, 1, 1, 1) == BPF_LETS &&
		   ask(code, n, 1, 1, 0) == BPF_FAILS,
	   "one way alone is followed through memory and index");
}

static unsigned int answer(uint32_t value)
{
	const struct sock_filter code[] = { RET(value) };

	return ask(code, 1, 1, 0, 0);
}

static void test_values(void)
{
	const struct sock_filter loaded[] = {
		LOAD(ARG(0)),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};

	ok(answer(SECCOMP_RET_ALLOW) == BPF_LETS &&
		   answer(SECCOMP_RET_LOG) == BPF_LETS,
	   "ALLOW and LOG let a call pass");
	ok(answer(FAIL) == BPF_FAILS, "ERRNO lets it fail");
	ok(answer(SECCOMP_RET_USER_NOTIF) == BPF_ASKS, "USER_NOTIF asks");
	ok(answer(SECCOMP_RET_KILL_PROCESS) == BPF_HARMS &&
		   answer(SECCOMP_RET_KILL_THREAD) == BPF_HARMS &&
		   answer(SECCOMP_RET_TRAP) == BPF_HARMS &&
		   answer(SECCOMP_RET_TRACE) == BPF_HARMS &&
		   answer(0x12340000) == BPF_HARMS,
	   "all others do harm, also those that nobody knows");
	ok(ask(loaded, 2, 1, 0, 0) == BPF_ANY,
	   "a value that is unknown is any");
	ok(ask(loaded, 2, 1, 1, SECCOMP_RET_ALLOW) == BPF_LETS,
	   "one that is known is itself");
}

static void test_division(void)
{
	const struct sock_filter code[] = {
		LOAD(ARG(0)),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
		RET(SECCOMP_RET_ALLOW),
	};
	const struct sock_filter by_unknown[] = {
		LOAD(ARG(0)),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
		RET(SECCOMP_RET_ALLOW),
	};

	ok(ask(code, 3, 1, 1, 5) == BPF_HARMS, "a division by nothing kills");
	ok(ask(code, 3, 1, 0, 0) == BPF_HARMS, "also of what is not known");
	ok(ask(by_unknown, 4, 1, 0, 0) == (BPF_LETS | BPF_HARMS),
	   "one by what is not known may");
}

static void test_hostile(void)
{
	static struct sock_filter many[BPF_MAXINSNS + 1];
	const struct sock_filter bad[][2] = {
		{ BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX), RET(0) },
		{ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 255, 255), RET(0) },
		{ LOAD(64), RET(SECCOMP_RET_ALLOW) },
		{ LOAD(2), RET(SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_ST, 16), RET(SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_LD | BPF_MEM, 16), RET(SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		  RET(SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
		  RET(SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
		  RET(SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_ALU | 0xf0, 0), RET(SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_JMP | 0xf0, 0), RET(SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_LD | BPF_IMM, 0),
		  BPF_STMT(BPF_LD | BPF_IMM, 0) },
	};
	unsigned int harmless = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		harmless += !(ask(bad[i], 2, 1, 0, 0) & BPF_HARMS);
	ok(harmless == 0, "a program that makes no sense does harm");
	ok(ask(many, 0, 1, 0, 0) & BPF_HARMS, "an empty one, too");
	ok(ask(many, ARRAY_SIZE(many), 1, 0, 0) == BPF_ANY,
	   "one that is too long is not looked at");
	/* Ways that double with each instruction. */
	for (size_t i = 0; i + 1 < BPF_MAXINSNS; i++)
		many[i] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_X, 0, (uint8_t)(i % 2),
			(uint8_t)(i % 3));
	many[0] = (struct sock_filter)LOAD(ARG(0));
	many[BPF_MAXINSNS - 4] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
	many[BPF_MAXINSNS - 3] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
	many[BPF_MAXINSNS - 2] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
	many[BPF_MAXINSNS - 1] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
	ok(ask(many, BPF_MAXINSNS, 1, 0, 0) == BPF_LETS,
	   "thousands of branches are walked through");
}

static struct sock_filter any_step(size_t left)
{
	static const uint16_t ops[] = { BPF_ADD, BPF_SUB, BPF_MUL,
					BPF_AND, BPF_OR,  BPF_XOR,
					BPF_LSH, BPF_RSH, BPF_DIV };
	static const uint16_t jumps[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };
	static const uint32_t rets[] = { SECCOMP_RET_ALLOW, FAIL,
					 SECCOMP_RET_KILL_PROCESS,
					 SECCOMP_RET_LOG };
	uint32_t k = (uint32_t)rand() % 16;
	uint8_t t = (uint8_t)((size_t)rand() % left), f;

	f = (uint8_t)((size_t)rand() % left);
	switch (rand() % 12) {
	case 0:
		return (struct sock_filter)LOAD(ARG(rand() % 3) +
						(size_t)(rand() % 4 == 0) * 4);
	case 1:
		return (struct sock_filter)LOAD(NR);
	case 2:
		return (struct sock_filter)BPF_STMT(
			(uint16_t)(BPF_ALU | BPF_K | ops[rand() % 9]), k + 1);
	case 3:
		return (struct sock_filter)BPF_STMT(
			(uint16_t)(BPF_ALU | BPF_X | ops[rand() % 9]), 0);
	case 4:
		return (struct sock_filter)BPF_STMT(
			(uint16_t)(BPF_MISC | (k & 1 ? BPF_TAX : BPF_TXA)), 0);
	case 5:
		return (struct sock_filter)BPF_STMT(
			(uint16_t)(k & 1 ? BPF_LD | BPF_IMM
					 : BPF_LDX | BPF_IMM),
			k & 4 ? (uint32_t)rand() << 1 : k);
	case 8:
		return (struct sock_filter)BPF_STMT(
			(uint16_t)(k & 1 ? BPF_ST : BPF_STX), k / 2);
	case 9:
		return (struct sock_filter)BPF_STMT(
			(uint16_t)((k & 1 ? BPF_LD : BPF_LDX) | BPF_MEM),
			k / 2);
	case 10:
		return k & 8 ? (struct sock_filter)BPF_STMT(
				       (uint16_t)((k & 1 ? BPF_LD : BPF_LDX) |
						  BPF_W | BPF_LEN),
				       0)
			     : (struct sock_filter)BPF_STMT(
				       BPF_JMP | BPF_JA,
				       (uint32_t)((size_t)rand() % left));
	case 6:
		return k & 1 ? (struct sock_filter)BPF_STMT(BPF_ALU | BPF_NEG,
							    0)
			     : (struct sock_filter)RET(rets[rand() % 4]);
	default:
		return (struct sock_filter)BPF_JUMP(
			(uint16_t)(BPF_JMP | (k & 8 ? BPF_X : BPF_K) |
				   jumps[rand() % 4]),
			k, t, f);
	}
}

static size_t any_program(struct sock_filter *code, size_t room)
{
	size_t n = 2 + (size_t)rand() % (room - 2);

	for (size_t i = 0; i + 1 < n; i++)
		code[i] = any_step(n - i - 1);
	code[n - 1] = rand() % 2 ? (struct sock_filter)RET(SECCOMP_RET_ALLOW)
				 : (struct sock_filter)RET(FAIL);
	return n;
}

/* By how much one is shifted that is wider than a word is not computed. */
static bool shifts(const struct sock_filter *code, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (code[i].code == (BPF_ALU | BPF_X | BPF_LSH) ||
		    code[i].code == (BPF_ALU | BPF_X | BPF_RSH))
			return true;
	return false;
}

/* The child can say what it was told, but may make no other call. */
static void try(struct sock_filter *code, size_t len, const uint64_t *args,
		volatile int *told)
{
	struct sock_fprog program = { (unsigned short)len, code };
	long r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		*told = -1;
	else {
		r = syscall(NO_CALL, args[0], args[1], args[2]);
		*told = r < 0 && errno == ENOSYS ? BPF_LETS : BPF_FAILS;
	}
	for (;;)
		__asm__ volatile("pause");
}

static int kernel_says(struct sock_filter *code, size_t len,
		       const uint64_t *args)
{
	volatile int *told = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec nap = { .tv_nsec = 50000 };
	int result;
	pid_t pid = fork();

	if (pid == 0)
		try(code, len, args, told);
	while (!*told && waitpid(pid, NULL, WNOHANG) == 0)
		nanosleep(&nap, NULL);
	result = *told ? *told : (int)BPF_HARMS;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap((void *)told, 4096);
	return result;
}

static void test_kernel(void)
{
	unsigned int tried = 0, wrong = 0, vague = 0;

	for (int i = 0; i < RANDOM; i++) {
		struct sock_filter code[24];
		uint64_t args[3] = { (uint64_t)rand() % 16,
				     (uint64_t)rand() % 16,
				     (uint64_t)rand() << 3 };
		size_t n = any_program(code, ARRAY_SIZE(code));
		struct bpf_call call;
		unsigned int exact, less;
		int says = kernel_says(code, n, args);

		if (says < 0)
			continue;
		bpf_call_init(&call);
		bpf_call_set_nr(&call, NO_CALL);
		bpf_call_set_arg(&call, 0, args[0]);
		less = bpf_answers(code, n, &call);
		bpf_call_set_arg(&call, 1, args[1]);
		bpf_call_set_arg(&call, 2, args[2]);
		exact = bpf_answers(code, n, &call);
		tried++;
		wrong += shifts(code, n) ? !(exact & (unsigned int)says)
					 : exact != (unsigned int)says;
		vague += !(less & (unsigned int)says);
	}
	ok(tried > RANDOM / 2 && wrong == 0,
	   "of %u random programs the kernel says the same: %u not", tried,
	   wrong);
	ok(vague == 0, "and one of what is told where less is known: %u not",
	   vague);
}

int main(void)
{
	srand(4711);
	test_arguments();
	test_meeting();
	test_values();
	test_division();
	test_hostile();
	test_kernel();
	return done_testing();
}
