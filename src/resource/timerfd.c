// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "images/tags.h"
#include "resource/open_file.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

#define FDINFO_MAX 65536u

static bool timerfd_match(const struct fd_view *fd)
{
	return !strcmp(fd->link, "anon_inode:[timerfd]");
}

/* "key: (seconds, nanoseconds)" */
static int read_pair(const char *text, const char *key, int64_t *ret,
		     struct err *err)
{
	const char *at = strstr(text, key);
	long long sec, nsec;

	if (!at || sscanf(at + strlen(key), ": (%lld, %lld)", &sec, &nsec) != 2)
		return err_set(err, -EIO, "no %s in fdinfo", key);
	*ret = sec * (int64_t)NSEC_PER_SEC + nsec;
	return 0;
}

static int read_fdinfo(const char *text, TimerfdRecord *rec, struct err *err)
{
	uint64_t clock, flags;
	int r;

	r = proc_text_u64(text, "clockid", 10, &clock, err);
	if (r == 0)
		r = proc_text_u64(text, "ticks", 10, &rec->ticks, err);
	if (r == 0)
		r = proc_text_u64(text, "settime flags", 8, &flags, err);
	if (r == 0)
		r = read_pair(text, "it_value", &rec->value_ns, err);
	if (r == 0)
		r = read_pair(text, "it_interval", &rec->interval_ns, err);
	if (r < 0)
		return r;
	rec->clock = (int)clock;
	rec->settime_flags = (uint32_t)flags;
	return 0;
}

/*
 * A periodic timer that fired and was not read stands still: the ticks since
 * then are counted when somebody looks by timerfd_gettime.  So look first;
 * no program can tell.
 */
static int read_state(int own_fd, TimerfdRecord *rec, struct err *err)
{
	struct itimerspec unused;
	auto_free char *text = NULL;
	char name[32];
	size_t len;
	int r;

	if (timerfd_gettime(own_fd, &unused) < 0)
		return err_sys(err, "timerfd_gettime");
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", own_fd);
	r = read_file_at(AT_FDCWD, name, FDINFO_MAX, &text, &len, err);
	if (r < 0)
		return r;
	return read_fdinfo(text, rec, err);
}

/* Without a clock that wakes the machine the kernel does not show these. */
static int shown_as(int clock)
{
	return clock == CLOCK_REALTIME_ALARM   ? CLOCK_REALTIME
	       : clock == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME
					       : clock;
}

/* What a clock shows to a process, whose time namespace may not be ours. */
static int task_clock(int proc_fd, int clock, int64_t *ret, struct err *err)
{
	auto_close int self = open("/proc/self", O_DIRECTORY | O_CLOEXEC);
	int64_t here[2], there[2];
	int r, i = clock == CLOCK_MONOTONIC ? 0 : 1;

	if (self < 0)
		return err_sys(err, "/proc/self");
	*ret = (int64_t)clock_ns(shown_as(clock));
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM)
		return 0;
	r = proc_read_timens(self, &here[0], &here[1], err);
	if (r == 0)
		r = proc_read_timens(proc_fd, &there[0], &there[1], err);
	if (r == 0)
		*ret += there[i] - here[i];
	return r;
}

/*
 * Clocks that go on where they were at the cut keep deadlines, so that no
 * time is lost or won; of the wall clock only what was asked for as one.
 */
static bool is_deadline(const TimerfdRecord *rec)
{
	return (rec->settime_flags & TFD_TIMER_ABSTIME) ||
	       (rec->clock != CLOCK_REALTIME &&
		rec->clock != CLOCK_REALTIME_ALARM);
}

static int timerfd_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct err *err)
{
	TimerfdRecord rec = TIMERFD_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	int64_t now = 0;
	int r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r == 0)
		r = read_state(fd->own_fd, &rec, err);
	/* Nothing left and no tick: disarmed, or firing at this instant. */
	if (r == 0 && !rec.value_ns && !rec.ticks)
		r = read_state(fd->own_fd, &rec, err);
	if (r == 0)
		r = task_clock(fd->task->proc_fd, rec.clock, &now, err);
	if (r < 0)
		return r;
	/* A periodic one that fired since we looked: it is due, not off. */
	if (!rec.value_ns && rec.interval_ns && rec.ticks)
		rec.value_ns = 1;
	if (rec.value_ns && is_deadline(&rec))
		rec.value_ns += now;
	return img_put(ctx->out, TAG_TIMERFD, &rec.base, err);
}

static int timerfd_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			   struct err *err)
{
	const TimerfdRecord *rec = (const TimerfdRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = -EBADF;
	int r;

	/* Others wake the machine up, which takes a capability. */
	if (ctx->owner->uid && rec->clock != CLOCK_REALTIME &&
	    rec->clock != CLOCK_MONOTONIC && rec->clock != CLOCK_BOOTTIME)
		return err_set(err, -EPERM, "clock %d is not a user's",
			       rec->clock);
	fd = timerfd_create(rec->clock, TFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "timerfd_create, clock %d", rec->clock);
	r = open_file_apply(fd, rec->open, err);
	if (r < 0)
		return r;
	return e->set_fd(e->arg, rec->open->object, take_fd(&fd), err);
}

/* As timerfd_settime wants it: a relative timer gets what remains now. */
static int value_now(const struct restore_task *task, const TimerfdRecord *rec,
		     int64_t *ret, struct err *err)
{
	auto_close int proc = -EBADF;
	int64_t now;
	int r;

	*ret = rec->value_ns;
	if (!rec->value_ns || (rec->settime_flags & TFD_TIMER_ABSTIME) ||
	    !is_deadline(rec))
		return 0;
	r = proc_open(task->pid, 0, &proc, err);
	if (r == 0)
		r = task_clock(proc, rec->clock, &now, err);
	if (r < 0)
		return r;
	/* Due already: at once, not never. */
	*ret = rec->value_ns > now ? rec->value_ns - now : 1;
	return 0;
}

/* In the task, because a deadline is one of the task's own clocks. */
static int arm(struct restore_task *task, int fd, const TimerfdRecord *rec,
	       int64_t value, struct err *err)
{
	const int64_t second = NSEC_PER_SEC;
	struct itimerspec its = {
		.it_value = { value / second, value % second },
		.it_interval = { rec->interval_ns / second,
				 rec->interval_ns % second },
	};
	uint64_t buf = remote_buffer(task->remote);
	int64_t v;
	int r;

	r = remote_write(task->remote, buf, &its, sizeof(its), err);
	if (r < 0)
		return r;
	return remote_call(task->remote, "timerfd_settime", &v, err,
			   __NR_timerfd_settime, (uint64_t)fd,
			   rec->settime_flags, buf, 0, 0, 0);
}

static int timerfd_late(struct restore_ctx *ctx, struct restore_task *task,
			int fd, const ProtobufCMessage *msg, struct err *err)
{
	const TimerfdRecord *rec = (const TimerfdRecord *)msg;
	uint64_t buf = remote_buffer(task->remote), ticks = rec->ticks;
	int64_t v, value = 0;
	int r;

	r = value_now(task, rec, &value, err);
	if (r == 0)
		r = arm(task, fd, rec, value, err);
	if (r == 0 && ticks)
		r = remote_write(task->remote, buf, &ticks, sizeof(ticks), err);
	if (r == 0 && ticks)
		r = remote_call(task->remote, "TFD_IOC_SET_TICKS", &v, err,
				__NR_ioctl, (uint64_t)fd, TFD_IOC_SET_TICKS,
				buf, 0, 0, 0);
	if (r < 0)
		return r;
	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_timerfd = {
	.name = "timerfd",
	.saved = "clock, time left, interval, expirations not read yet, flags",
	.tag = TAG_TIMERFD,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = timerfd_match,
	.check_file = open_file_check,
	.dump_file = timerfd_dump,
	.restore_file = timerfd_restore,
	.late_file = timerfd_late,
};
