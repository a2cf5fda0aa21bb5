/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "older.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

#define SCAN         0xc0606610u /* PAGEMAP_SCAN */
#define QUERY        0xc0686611u /* PROCMAP_QUERY */
#define SET_DISPATCH 0x4210u
#define GET_DISPATCH 0x4211u
#define TIMER_IDS    77u /* PR_TIMER_CREATE_RESTORE_IDS */

#define LOAD(field)                                                            \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define ANSWER(value)      BPF_STMT(BPF_RET | BPF_K, value)

static bool is_on, has_failed;

void older_failed(bool on)
{
	has_failed = on;
}

bool older_has_failed(void)
{
	return has_failed;
}

bool older_is_on(void)
{
	return is_on;
}

static void install(struct sock_filter *code, size_t n)
{
	const struct sock_fprog filter = { (unsigned short)n, code };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		abort();
}

void older_kernel(void)
{
	static struct sock_filter code[] = {
		LOAD(nr),
		IS(__NR_ioctl, 3, 0),
		IS(__NR_ptrace, 5, 0),
		IS(__NR_prctl, 9, 0),
		ANSWER(SECCOMP_RET_ALLOW),
		LOAD(args[1]),
		IS(SCAN, 5, 0),
		IS(QUERY, 4, 7),
		LOAD(args[0]),
		IS(SET_DISPATCH, 1, 0),
		IS(GET_DISPATCH, 0, 4),
		ANSWER(SECCOMP_RET_ERRNO | EIO),
		ANSWER(SECCOMP_RET_ERRNO | ENOTTY),
		LOAD(args[0]),
		IS(TIMER_IDS, 1, 0),
		ANSWER(SECCOMP_RET_ALLOW),
		ANSWER(SECCOMP_RET_ERRNO | EINVAL),
	};

	install(code, ARRAY_SIZE(code));
	is_on = true;
}

void kernel_without_bpf(void)
{
	static struct sock_filter code[] = {
		LOAD(nr),
		IS(__NR_bpf, 0, 1),
		ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
		ANSWER(SECCOMP_RET_ALLOW),
	};

	install(code, ARRAY_SIZE(code));
}
