/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/queue_mark.h"

#include <linux/filter.h>
#include <stdint.h>
#include <string.h>

#include "util/cleanup.h"

/* No other program has these two numbers. */
static const struct sock_filter mark[] = {
	BPF_STMT(BPF_LD | BPF_IMM, 0x6a6f6263),
	BPF_STMT(BPF_LD | BPF_IMM, 0x72656d70),
	BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
};

socklen_t queue_mark_filter(int fd, bool *ret_mark)
{
	struct sock_filter have[ARRAY_SIZE(mark)] = { 0 };
	socklen_t len = 0;

	*ret_mark = false;
	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len) < 0 ||
	    len != ARRAY_SIZE(mark))
		return len;
	*ret_mark =
		getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, have, &len) == 0 &&
		!memcmp(have, mark, sizeof(mark));
	return len;
}

bool queue_marked(int fd)
{
	bool ours;

	(void)queue_mark_filter(fd, &ours);
	return ours;
}

int queue_mark_set(int fd, struct err *err)
{
	const struct sock_fprog program = {
		ARRAY_SIZE(mark), (struct sock_filter *)(uintptr_t)mark
	};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
			  sizeof(program)) < 0
		       ? err_sys(err, "SO_ATTACH_FILTER")
		       : 0;
}

void queue_mark_drop(int fd)
{
	const int none = 0;

	if (queue_marked(fd))
		(void)setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none,
				 sizeof(none));
}
