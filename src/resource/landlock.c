// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Landlock domains, which the kernel shows to nobody and which cannot be made
 * again.  But a thread in a domain may not look at a process outside of it,
 * whatever else its rules allow.  So it is asked to look at one that nothing
 * but a domain (or another security module) could hide from it.
 *
 * An ordinary thread enters a domain only with no_new_privs.  One that got it
 * without is in a domain of whoever launched it, and will be again.
 */
#include <errno.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "resource/resource.h"

static bool kernel_has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0,
		       LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

static int landlock_dump(const struct dump_ctx *ctx,
			 const struct thread_view *thread, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	struct remote *remote = thread->remote;
	const uint64_t at = remote_buffer(remote);
	uint64_t args[6] = { 0, at, at + 8 };
	pid_t witness;
	int64_t value;
	int r;

	if ((!thread->status->no_new_privs && ctx->options->owner->uid) ||
	    !kernel_has_landlock())
		return 0;
	r = e->witness(e->arg, thread, &witness, err);
	if (r < 0)
		return r;
	args[0] = (uint64_t)witness;
	r = remote_syscall(remote, __NR_get_robust_list, args, &value, err);
	if (r < 0)
		return r;
	if (value == -EPERM)
		return err_set(err, -ENOTSUP,
			       "it is in a Landlock domain (or under rules of "
			       "another security module), which cannot be "
			       "saved: run it without");
	return value < 0 ? err_num(err, (int)value, "look at a process") : 0;
}

static const struct remote_ask asks[] = {
	{ "get_robust_list", __NR_get_robust_list, 0, { 0 } },
	{ 0 },
};

const struct resource_ops res_landlock = {
	.name = "Landlock",
	.refused = "domains",
	.scope = SCOPE_THREAD,
	.dump_thread = landlock_dump,
	.asks = asks,
};
