/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/capability.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storage/as_user.h"
#include "tests/lib/tap.h"

#define USER 65534

static uint32_t effective(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capget, &head, data) < 0 ? UINT32_MAX
						    : data[0].effective;
}

static void *look(void *arg)
{
	*(uint32_t *)arg = effective();
	return NULL;
}

int main(void)
{
	/* By which files of the kernel's and limits of a disk go. */
	const uint32_t rights = 1u << CAP_SYS_ADMIN | 1u << CAP_SYS_PTRACE |
				1u << CAP_SYS_RESOURCE |
				1u << CAP_DAC_OVERRIDE |
				1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER;
	gid_t group = USER;
	const struct user_id user = { USER, USER, 1, &group };
	const uint32_t before = effective();
	struct err err = { 0 };
	uint32_t other = UINT32_MAX;
	pthread_t thread;

	if (geteuid() != 0)
		skip_all("needs root");
	ok(as_user(&user, &err) == 0 && !(effective() & rights),
	   "who acts as a user has no right that a file's descriptor would "
	   "keep: %#x of %#x",
	   effective(), before);
	ok(pthread_create(&thread, NULL, look, &other) == 0 &&
		   pthread_join(thread, NULL) == 0 && !(other & rights),
	   "nor have threads that it begins");
	as_root();
	ok(effective() == before, "afterwards all is as before");
	ok(count_as_user(&user, &err) == 0 && !effective() && geteuid() == USER,
	   "who counts as one has none at all");
	count_as_root();
	ok(effective() == before && geteuid() == 0, "as before again");
	return done_testing();
}
