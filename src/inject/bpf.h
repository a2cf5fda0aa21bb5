/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_INJECT_BPF_H
#define JOBCR_INJECT_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a filter of system calls (seccomp, classic BPF) may answer to a call
 * of which not everything is known.  Nothing is guessed: where something
 * unknown decides, all that may follow is among the answers.
 */
enum bpf_answer {
	BPF_LETS = 1,  /* ALLOW or LOG */
	BPF_FAILS = 2, /* ERRNO: it is not made and fails */
	BPF_ASKS = 4,  /* USER_NOTIF: another process decides */
	BPF_HARMS = 8, /* KILL, TRAP, TRACE, or what no kernel would take */
};
#define BPF_ANY (BPF_LETS | BPF_FAILS | BPF_ASKS | BPF_HARMS)

#define BPF_CALL_WORDS (sizeof(struct seccomp_data) / sizeof(uint32_t))

struct bpf_call {
	union {
		struct seccomp_data data;
		uint32_t words[BPF_CALL_WORDS];
	};
	uint32_t known; /* bit n: words[n] is as it will be */
};

/* One of which nothing is known but that it is made by 64-bit code. */
void bpf_call_init(struct bpf_call *call);

/* Some of it is known: number, instruction pointer behind the call, args. */
void bpf_call_set_nr(struct bpf_call *call, long nr);
void bpf_call_set_ip(struct bpf_call *call, uint64_t ip);
void bpf_call_set_arg(struct bpf_call *call, unsigned int n, uint64_t value);

/* Answers (BPF_*) to it; any program may be given, takes O(len). */
unsigned int bpf_answers(const struct sock_filter *code, size_t len,
			 const struct bpf_call *call);

#endif
