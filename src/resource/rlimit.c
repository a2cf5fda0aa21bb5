// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Resource limits.  prlimit(2) on another user's process needs
 * CAP_SYS_RESOURCE, which nodes often lack: /proc tells the limits, and the
 * restored process sets its own, late, so that they do not bind its builder.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "images/process.pb-c.h"
#include "images/tags.h"
#include "kernel/limits.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/io.h"

#define LIMITS 16

/* In the order of RLIMIT_*; as /proc/PID/limits names them. */
static const struct {
	const char *text, *unit, *flag; /* systemd's name, ulimit's flag */
} limit_name[LIMITS] = {
	{ "Max cpu time", "LimitCPU", "-t" },
	{ "Max file size", "LimitFSIZE", "-f" },
	{ "Max data size", "LimitDATA", "-d" },
	{ "Max stack size", "LimitSTACK", "-s" },
	{ "Max core file size", "LimitCORE", "-c" },
	{ "Max resident set", "LimitRSS", "-m" },
	{ "Max processes", "LimitNPROC", "-u" },
	{ "Max open files", "LimitNOFILE", "-n" },
	{ "Max locked memory", "LimitMEMLOCK", "-l" },
	{ "Max address space", "LimitAS", "-v" },
	{ "Max file locks", "LimitLOCKS", "-x" },
	{ "Max pending signals", "LimitSIGPENDING", "-i" },
	{ "Max msgqueue size", "LimitMSGQUEUE", "-q" },
	{ "Max nice priority", "LimitNICE", "-e" },
	{ "Max realtime priority", "LimitRTPRIO", "-r" },
	{ "Max realtime timeout", "LimitRTTIME", "-R" },
};

struct limits {
	uint64_t soft[LIMITS], hard[LIMITS];
};

static int read_limits(int proc_fd, struct limits *ret, struct err *err)
{
	auto_free char *data = NULL;
	size_t len;
	int r;

	r = read_file_at(proc_fd, "limits", LIMITS_TEXT_MAX, &data, &len, err);
	for (int i = 0; r == 0 && i < LIMITS; i++)
		r = limits_text(data, limit_name[i].text, &ret->soft[i],
				&ret->hard[i], err);
	return r;
}

static int rlimit_dump(const struct dump_ctx *ctx, const struct task_view *task,
		       struct err *err)
{
	RlimitRecord rec = RLIMIT_RECORD__INIT;
	struct limits limits;
	int r;

	r = read_limits(task->proc_fd, &limits, err);
	if (r < 0)
		return r;
	rec.pid = task->ns_pid;
	rec.soft = limits.soft;
	rec.n_soft = LIMITS;
	rec.hard = limits.hard;
	rec.n_hard = LIMITS;
	return img_put(ctx->out, TAG_RLIMIT, &rec.base, err);
}

static void limit_text(uint64_t value, char ret[24])
{
	if (value == RLIM64_INFINITY)
		snprintf(ret, 24, "unlimited");
	else
		snprintf(ret, 24, "%llu", (unsigned long long)value);
}

static int too_high(int which, uint64_t wanted, uint64_t have, struct err *err)
{
	char a[24], b[24];

	limit_text(wanted, a);
	limit_text(have, b);
	return err_set(err, -EPERM,
		       "%s: the job had a hard limit of %s, here it is %s: "
		       "raise %s of slurmd (or of whoever restores; ulimit %s)",
		       limit_name[which].text, a, b, limit_name[which].unit,
		       limit_name[which].flag);
}

static int set_limit(struct remote *remote, int which, uint64_t soft,
		     uint64_t hard, uint64_t hard_here, struct err *err)
{
	const uint64_t pair[2] = { soft, hard };
	const uint64_t at = remote_buffer(remote);
	const uint64_t args[6] = { 0, (uint64_t)which, at };
	int64_t value;
	int r;

	r = remote_write(remote, at, pair, sizeof(pair), err);
	if (r < 0)
		return r;
	r = remote_syscall(remote, __NR_prlimit64, args, &value, err);
	if (r < 0)
		return r;
	if (value == -EPERM)
		return too_high(which, hard, hard_here, err);
	return value < 0
		       ? err_num(err, (int)value, "%s", limit_name[which].text)
		       : 0;
}

static int check_record(const RlimitRecord *rec, struct err *err)
{
	size_t i;

	if (rec->n_soft != LIMITS || rec->n_hard != LIMITS)
		return err_set(err, -EBADMSG, "%zu and %zu limits, not %d",
			       rec->n_soft, rec->n_hard, LIMITS);
	for (i = 0; i < LIMITS; i++)
		if (rec->soft[i] > rec->hard[i])
			return err_set(err, -EBADMSG, "%s: soft above hard",
				       limit_name[i].text);
	return 0;
}

static int rlimit_restore(struct restore_ctx *ctx, struct restore_task *task,
			  struct restore_thread *thread,
			  const ProtobufCMessage *msg, struct err *err)
{
	const RlimitRecord *rec = (const RlimitRecord *)msg;
	auto_close int proc_fd = -EBADF;
	struct limits here;
	int i, r;

	r = check_record(rec, err);
	if (r < 0)
		return r;
	r = proc_open(task->pid, 0, &proc_fd, err);
	if (r < 0)
		return r;
	r = read_limits(proc_fd, &here, err);
	if (r < 0)
		return r;
	for (i = 0; i < LIMITS; i++) {
		if (rec->soft[i] == here.soft[i] &&
		    rec->hard[i] == here.hard[i])
			continue;
		/* Only root's snapshot may ask for more than its launcher
		 * has: a user may have edited theirs. */
		if (rec->hard[i] > here.hard[i] && ctx->owner->uid != 0)
			return too_high(i, rec->hard[i], here.hard[i], err);
		r = set_limit(task->remote, i, rec->soft[i], rec->hard[i],
			      here.hard[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct resource_ops res_rlimit = {
	.name = "limits",
	.saved = "all, soft and hard",
	.changes = "CPU time used counts anew",
	.tag = TAG_RLIMIT,
	.scope = SCOPE_TASK,
	.stage = STAGE_CREDS,
	.dump_task = rlimit_dump,
	.restore = rlimit_restore,
};
