// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interval timers and POSIX timers of a process.  /proc tells which POSIX
 * timers exist, only the process itself how long they still run.  All are
 * kept as remaining time: a timer set for a wall-clock instant goes off as
 * much later as the job stood still.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "images/signal.pb-c.h"
#include "images/tags.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define TIMERS_TEXT_MAX (64u << 20)
#define ITIMERS         3

#define PR_TIMER_CREATE_RESTORE_IDS 77 /* Linux 6.16 */
#define RESTORE_IDS_GET             2
/* Without it ids come in sequence: how many to try before giving up. */
#define TIMER_ID_BOUND 100000

struct kernel_itimerval { /* struct itimerval, struct itimerspec too */
	int64_t interval_sec, interval_sub, value_sec, value_sub;
};

struct kernel_sigevent {
	uint64_t value;
	int32_t signal, notify, thread;
	uint8_t rest[44];
};

/* The four lines that /proc/PID/timers has for each timer. */
struct timer_text {
	int id, signal, clock, pid;
	unsigned long long value;
	char notify[8], target[4];
};

static int parse_timer(const char **text, struct timer_text *ret)
{
	int used = 0;

	if (sscanf(*text,
		   "ID: %d\nsignal: %d/%llx\nnotify: %7[a-z]/%3[a-z].%d\n"
		   "ClockID: %d\n%n",
		   &ret->id, &ret->signal, &ret->value, ret->notify,
		   ret->target, &ret->pid, &ret->clock, &used) != 7 ||
	    !used)
		return -EIO;
	*text += used;
	return 0;
}

/* Calls each for every timer, until one says no. */
typedef int (*timer_fn)(void *arg, const struct task_view *task,
			const struct timer_text *t, struct err *err);

static int each_timer(const struct task_view *task, timer_fn each, void *arg,
		      struct err *err)
{
	auto_free char *data = NULL;
	const char *text;
	size_t len;
	int r;

	r = read_file_at(task->proc_fd, "timers", TIMERS_TEXT_MAX, &data, &len,
			 err);
	for (text = data; r == 0 && *text;) {
		struct timer_text t;

		if (parse_timer(&text, &t) < 0)
			return err_set(err, -EIO,
				       "/proc/%d/timers: unknown format",
				       (int)task->pid);
		r = each(arg, task, &t, err);
	}
	return r;
}

static int notify_of(const struct timer_text *t)
{
	if (!strcmp(t->notify, "none"))
		return SIGEV_NONE;
	if (!strcmp(t->notify, "thread"))
		return SIGEV_THREAD;
	return !strcmp(t->target, "tid") ? SIGEV_THREAD_ID : SIGEV_SIGNAL;
}

/* The tid in the text is one of the reader's pid namespace. */
static int inner_tid(const struct task_view *task, pid_t tid, pid_t *ret,
		     struct err *err)
{
	struct proc_status st = { 0 };
	auto_close int fd = -EBADF;
	int r;

	r = proc_open(task->pid, tid, &fd, err);
	if (r < 0)
		return r;
	r = proc_read_status(fd, &st, err);
	if (r < 0)
		return r;
	*ret = st.ns_pid;
	proc_status_done(&st);
	return 0;
}

static int read_times(struct remote *remote, PosixTimerEntry *e,
		      struct err *err)
{
	struct kernel_itimerval v;
	uint64_t at = remote_buffer(remote);
	int64_t value;
	int r;

	r = remote_call(remote, "timer_gettime", &value, err,
			__NR_timer_gettime, (uint64_t)e->id, at, 0, 0, 0, 0);
	if (r < 0)
		return r;
	r = remote_read(remote, at, &v, sizeof(v), err);
	if (r < 0)
		return r;
	e->interval_ns =
		v.interval_sec * (int64_t)NSEC_PER_SEC + v.interval_sub;
	e->value_ns = v.value_sec * (int64_t)NSEC_PER_SEC + v.value_sub;
	r = remote_call(remote, "timer_getoverrun", &value, err,
			__NR_timer_getoverrun, (uint64_t)e->id, 0, 0, 0, 0, 0);
	if (r < 0)
		return r;
	e->overrun = (int32_t)value;
	return 0;
}

static int fill_timer(const struct task_view *task, const struct timer_text *t,
		      PosixTimerEntry *e, struct err *err)
{
	pid_t tid = 0;
	int r;

	posix_timer_entry__init(e);
	e->id = t->id;
	e->clock = t->clock;
	e->notify = notify_of(t);
	e->signal = t->signal;
	e->value = t->value;
	if (e->notify == SIGEV_THREAD_ID) {
		r = inner_tid(task, t->pid, &tid, err);
		if (r < 0)
			return r;
	}
	e->thread = tid;
	return read_times(task->remote, e, err);
}

static void free_timers(TimerRecord *rec)
{
	size_t i;

	for (i = 0; i < rec->n_timers; i++)
		free(rec->timers[i]);
	free(rec->timers);
}

static int add_timer(void *arg, const struct task_view *task,
		     const struct timer_text *t, struct err *err)
{
	TimerRecord *rec = arg;
	PosixTimerEntry **more, *e = malloc(sizeof(*e));
	int r;

	if (!e)
		return err_set(err, -ENOMEM, "out of memory");
	more = realloc(rec->timers, (rec->n_timers + 1) * sizeof(*more));
	if (!more) {
		free(e);
		return err_set(err, -ENOMEM, "out of memory");
	}
	rec->timers = more;
	r = fill_timer(task, t, e, err);
	if (r < 0) {
		free(e);
		return err_wrap(err, r, "timer %d", t->id);
	}
	rec->timers[rec->n_timers++] = e;
	return 0;
}

static int read_itimer(struct remote *remote, int which, ItimerEntry *e,
		       struct err *err)
{
	struct kernel_itimerval v;
	uint64_t at = remote_buffer(remote);
	int64_t value;
	int r;

	r = remote_call(remote, "getitimer", &value, err, __NR_getitimer,
			(uint64_t)which, at, 0, 0, 0, 0);
	if (r < 0)
		return r;
	r = remote_read(remote, at, &v, sizeof(v), err);
	if (r < 0)
		return r;
	itimer_entry__init(e);
	e->interval_us = v.interval_sec * 1000000 + v.interval_sub;
	e->value_us = v.value_sec * 1000000 + v.value_sub;
	return 0;
}

/*
 * Times that are not counted by the CPU go on while a timer is set up: only
 * for these can a signal be had that came too late.
 */
static bool has_overruns(const PosixTimerEntry *e)
{
	return e->overrun > 0 && e->interval_ns > 0 && e->value_ns > 0 &&
	       e->value_ns <= e->interval_ns && e->clock >= 0 &&
	       e->clock != CLOCK_PROCESS_CPUTIME_ID &&
	       e->clock != CLOCK_THREAD_CPUTIME_ID &&
	       (e->notify == SIGEV_SIGNAL || e->notify == SIGEV_THREAD_ID);
}

static int put_overrun(const struct dump_ctx *ctx, const struct task_view *task,
		       PosixTimerEntry *e, struct err *err)
{
	TimerOverrunRecord rec = TIMER_OVERRUN_RECORD__INIT;

	rec.tid = e->notify == SIGEV_THREAD_ID ? e->thread : task->ns_pid;
	rec.timer = e;
	return img_put(ctx->out, TAG_TIMER_OVERRUN, &rec.base, err);
}

static int timer_dump(const struct dump_ctx *ctx, const struct task_view *task,
		      struct err *err)
{
	TimerRecord rec = TIMER_RECORD__INIT;
	ItimerEntry itimers[ITIMERS], *list[ITIMERS];
	int i, r;

	rec.pid = task->ns_pid;
	rec.itimers = list;
	rec.n_itimers = ITIMERS;
	for (i = 0; i < ITIMERS; i++) {
		list[i] = &itimers[i];
		r = read_itimer(task->remote, i, &itimers[i], err);
		if (r < 0)
			return r;
	}
	r = each_timer(task, add_timer, &rec, err);
	if (r == 0)
		r = img_put(ctx->out, TAG_TIMER, &rec.base, err);
	for (size_t k = 0; k < rec.n_timers && r == 0; k++)
		if (has_overruns(rec.timers[k]))
			r = put_overrun(ctx, task, rec.timers[k], err);
	free_timers(&rec);
	return r;
}

/*
 * Numbers come from an image: times that cannot be are damage, and a clock
 * that wakes a sleeping machine is only root's to use.
 */
static int check_timer(const struct restore_owner *owner,
		       const PosixTimerEntry *e, struct err *err)
{
	if ((e->clock == CLOCK_REALTIME_ALARM ||
	     e->clock == CLOCK_BOOTTIME_ALARM) &&
	    owner->uid != 0)
		return err_set(err, -EPERM, "timer %d: an alarm clock", e->id);
	if (e->id < 0 || e->interval_ns < 0 || e->value_ns < 0)
		return err_set(err, -EBADMSG, "timer %d: impossible numbers",
			       e->id);
	return 0;
}

static int create_timer(struct remote *remote, const PosixTimerEntry *e,
			int32_t *ret_id, struct err *err)
{
	struct {
		struct kernel_sigevent event;
		int32_t id;
	} arg = {
		.event = {
			.value = e->value,
			.signal = e->signal,
			.notify = e->notify,
			.thread = e->thread,
		},
		.id = e->id,
	};
	uint64_t at = remote_buffer(remote);
	uint64_t id_at = at + sizeof(arg.event);
	int64_t value;
	int r;

	r = remote_write(remote, at, &arg, sizeof(arg), err);
	if (r < 0)
		return r;
	r = remote_call(remote, "timer_create", &value, err, __NR_timer_create,
			(uint64_t)(int64_t)e->clock, at, id_at, 0, 0, 0);
	if (r < 0)
		return err_wrap(err, r, "timer %d: clock %d", e->id, e->clock);
	return remote_read(remote, id_at, ret_id, sizeof(*ret_id), err);
}

/* Ids count up: timers on the way to the wanted id are deleted again. */
static int create_by_trial(struct remote *remote, const PosixTimerEntry *e,
			   struct err *err)
{
	int32_t id;
	int64_t value;
	int r;

	if (e->id > TIMER_ID_BOUND)
		return err_set(err, -ENOTSUP, "timer id %d needs Linux 6.16",
			       e->id);
	for (;;) {
		r = create_timer(remote, e, &id, err);
		if (r < 0 || id == e->id)
			return r;
		r = remote_call(remote, "timer_delete", &value, err,
				__NR_timer_delete, (uint64_t)id, 0, 0, 0, 0, 0);
		if (r < 0)
			return r;
		if (id > e->id)
			return err_set(err, -EEXIST,
				       "timer id %d cannot be had", e->id);
	}
}

static int set_restore_ids(struct remote *remote, bool on, bool *ret_works,
			   struct err *err)
{
	const uint64_t args[6] = { PR_TIMER_CREATE_RESTORE_IDS, on };
	int64_t value;
	int r;

	r = remote_syscall(remote, __NR_prctl, args, &value, err);
	if (r == 0)
		*ret_works = value >= 0;
	return r;
}

static int by_id(const void *a, const void *b)
{
	const PosixTimerEntry *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static int create_all(const struct restore_owner *owner, struct remote *remote,
		      const TimerRecord *rec, bool exact, struct err *err)
{
	size_t i;
	int32_t id;
	int r;

	for (i = 0; i < rec->n_timers; i++) {
		r = check_timer(owner, rec->timers[i], err);
		if (r == 0)
			r = exact ? create_timer(remote, rec->timers[i], &id,
						 err)
				  : create_by_trial(remote, rec->timers[i],
						    err);
		if (r < 0)
			return r;
		if (exact && id != rec->timers[i]->id)
			return err_set(err, -EEXIST, "timer id %d became %d",
				       rec->timers[i]->id, id);
	}
	return 0;
}

/* Created while the task has its privileges (alarm clocks), not yet armed. */
static int timer_restore(struct restore_ctx *ctx, struct restore_task *task,
			 struct restore_thread *thread,
			 const ProtobufCMessage *msg, struct err *err)
{
	const TimerRecord *rec = (const TimerRecord *)msg;
	bool exact = false;
	int r;

	if (rec->n_timers == 0)
		return 0;
	qsort(rec->timers, rec->n_timers, sizeof(PosixTimerEntry *), by_id);
	r = set_restore_ids(task->remote, true, &exact, err);
	if (r < 0)
		return r;
	r = create_all(ctx->owner, task->remote, rec, exact, err);
	if (r < 0 || !exact)
		return r;
	return set_restore_ids(task->remote, false, &exact, err);
}

static int arm_timer(struct remote *remote, const PosixTimerEntry *e,
		     struct err *err)
{
	const struct kernel_itimerval v = {
		.interval_sec = e->interval_ns / (int64_t)NSEC_PER_SEC,
		.interval_sub = e->interval_ns % (int64_t)NSEC_PER_SEC,
		.value_sec = e->value_ns / (int64_t)NSEC_PER_SEC,
		.value_sub = e->value_ns % (int64_t)NSEC_PER_SEC,
	};
	uint64_t at = remote_buffer(remote);
	int64_t value;
	int r;

	if (e->value_ns == 0)
		return 0;
	r = remote_write(remote, at, &v, sizeof(v), err);
	if (r < 0)
		return r;
	r = remote_call(remote, "timer_settime", &value, err,
			__NR_timer_settime, (uint64_t)e->id, 0, at, 0, 0, 0);
	return r < 0 ? err_wrap(err, r, "timer %d", e->id) : 0;
}

/*
 * A periodic timer whose signal is pending stands at 0 until the signal is
 * taken; started with 0 it would stay so for ever.
 */
static int arm_itimer(struct remote *remote, int which, const ItimerEntry *e,
		      struct err *err)
{
	int64_t left = e->value_us ? e->value_us : e->interval_us;
	const struct kernel_itimerval v = {
		.interval_sec = e->interval_us / 1000000,
		.interval_sub = e->interval_us % 1000000,
		.value_sec = left / 1000000,
		.value_sub = left % 1000000,
	};
	uint64_t at = remote_buffer(remote);
	int64_t value;
	int r;

	if (left == 0)
		return 0;
	if (left < 0 || e->interval_us < 0)
		return err_set(err, -EBADMSG, "itimer %d: impossible numbers",
			       which);
	r = remote_write(remote, at, &v, sizeof(v), err);
	if (r < 0)
		return r;
	return remote_call(remote, "setitimer", &value, err, __NR_setitimer,
			   (uint64_t)which, at, 0, 0, 0, 0);
}

static int timer_arm(struct restore_ctx *ctx, struct restore_task *task,
		     struct restore_thread *thread, const ProtobufCMessage *msg,
		     struct err *err)
{
	const TimerRecord *rec = (const TimerRecord *)msg;
	size_t i;
	int r;

	if (rec->n_itimers > ITIMERS)
		return err_set(err, -EBADMSG, "%zu interval timers",
			       rec->n_itimers);
	for (i = 0; i < rec->n_itimers; i++) {
		r = arm_itimer(task->remote, (int)i, rec->itimers[i], err);
		if (r < 0)
			return r;
	}
	for (i = 0; i < rec->n_timers; i++) {
		if (has_overruns(rec->timers[i]))
			continue;
		r = arm_timer(task->remote, rec->timers[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * The count is of the signal that was taken last, and setting a timer clears
 * it.  So the timer is set to have gone off as long ago as makes the kernel
 * count that many, and its signal is taken.  Others of that number wait
 * before it: they go behind it, in their order.
 */
#define SIGINFO_BYTES 128
#define TURNS_MAX     (1 << 20)
/* A tick that comes while this is done counts, too: then once more, and in the
 * end it is one that the job has missed.  So it is not left to be due at once.
 */
#define TRIES       8
#define LEFT_MIN_NS (5 * 1000000)

/* The fields of siginfo_t that are looked at. */
struct timer_info {
	int32_t signal, error, code, pad, id, overrun;
};

static int set_back(struct remote *remote, const PosixTimerEntry *e,
		    struct err *err)
{
	const int64_t second = NSEC_PER_SEC;
	const uint64_t at = remote_buffer(remote);
	struct kernel_itimerval v = {
		.interval_sec = e->interval_ns / second,
		.interval_sub = e->interval_ns % second,
	};
	int64_t now[2], left, value;
	__int128 due;
	int r;

	r = remote_call(remote, "clock_gettime", &value, err,
			__NR_clock_gettime, (uint64_t)e->clock, at, 0, 0, 0, 0);
	if (r == 0)
		r = remote_read(remote, at, now, sizeof(now), err);
	if (r < 0)
		return r;
	left = e->interval_ns < LEFT_MIN_NS ? e->interval_ns : LEFT_MIN_NS;
	if (left < e->value_ns)
		left = e->value_ns;
	due = (__int128)now[0] * second + now[1] + left -
	      ((__int128)e->overrun + 1) * e->interval_ns;
	if (due <= 0)
		return err_set(err, -EBADMSG,
			       "timer %d: overruns from before its clock began",
			       e->id);
	v.value_sec = (int64_t)(due / second);
	v.value_sub = (int64_t)(due % second);
	r = remote_write(remote, at, &v, sizeof(v), err);
	if (r < 0)
		return r;
	return remote_call(remote, "timer_settime", &value, err,
			   __NR_timer_settime, (uint64_t)e->id, TIMER_ABSTIME,
			   at, 0, 0, 0);
}

/* The timer's count; 0: it was another signal, which is behind it now. */
static int take_one(const struct restore_task *task, pid_t tid,
		    const PosixTimerEntry *e, struct err *err)
{
	struct remote *remote = task->remote;
	const uint64_t set_at = remote_buffer(remote);
	const uint64_t time_at = set_at + 8, info_at = set_at + 32;
	const uint64_t set = 1ull << (e->signal - 1);
	const int64_t wait[2] = { 1, 0 };
	union {
		struct timer_info timer;
		uint8_t all[SIGINFO_BYTES];
	} info;
	const uint64_t sig = (uint64_t)e->signal;
	int64_t value;
	int r;

	r = remote_write(remote, set_at, &set, sizeof(set), err);
	if (r == 0)
		r = remote_write(remote, time_at, wait, sizeof(wait), err);
	if (r == 0)
		r = remote_call(remote, "rt_sigtimedwait", &value, err,
				__NR_rt_sigtimedwait, set_at, info_at, time_at,
				8, 0, 0);
	if (r == 0)
		r = remote_read(remote, info_at, &info, sizeof(info), err);
	if (r < 0)
		return r;
	if (info.timer.code == SI_TIMER && info.timer.id == e->id &&
	    info.timer.overrun > 0)
		return info.timer.overrun;
	if (e->notify == SIGEV_THREAD_ID)
		return remote_call(remote, "rt_tgsigqueueinfo", &value, err,
				   __NR_rt_tgsigqueueinfo,
				   (uint64_t)task->ns_pid, (uint64_t)tid, sig,
				   info_at, 0, 0);
	return remote_call(remote, "rt_sigqueueinfo", &value, err,
			   __NR_rt_sigqueueinfo, (uint64_t)task->ns_pid, sig,
			   info_at, 0, 0, 0);
}

/* Returns the count. */
static int go_off_late(const struct restore_task *task, pid_t tid,
		       const PosixTimerEntry *e, struct err *err)
{
	int r = set_back(task->remote, e, err);

	for (int turn = 0; r == 0 && turn < TURNS_MAX; turn++)
		r = take_one(task, tid, e, err);
	return r == 0 ? err_set(err, -EIO, "its signal does not come") : r;
}

/* They come before those of the whole process, and would have to stay so. */
static int waits_privately(const struct restore_thread *thread, int sig,
			   bool *ret, struct err *err)
{
	struct proc_status st = { 0 };
	auto_close int fd = -EBADF;
	int r = proc_open(thread->tid, 0, &fd, err);

	if (r == 0)
		r = proc_read_status(fd, &st, err);
	if (r < 0)
		return r;
	*ret = st.sig_pending & 1ull << (sig - 1);
	proc_status_done(&st);
	return 0;
}

static int overrun_restore(struct restore_ctx *ctx, struct restore_task *task,
			   struct restore_thread *thread,
			   const ProtobufCMessage *msg, struct err *err)
{
	const TimerOverrunRecord *rec = (const TimerOverrunRecord *)msg;
	const PosixTimerEntry *e = rec->timer;
	bool private = false;
	int r;

	r = check_timer(ctx->owner, e, err);
	if (r == 0 && (!has_overruns(e) || e->signal < 1 || e->signal > 64))
		r = err_set(err, -EBADMSG, "timer %d: impossible overruns",
			    e->id);
	if (r == 0 && e->notify == SIGEV_SIGNAL)
		r = waits_privately(thread, e->signal, &private, err);
	if (r < 0 || private)
		return r < 0 ? r : arm_timer(task->remote, e, err);
	for (int i = 0; i < TRIES && r >= 0 && r != e->overrun; i++)
		r = go_off_late(task, rec->tid, e, err);
	return r < 0 ? err_wrap(err, r, "timer %d: overruns", e->id) : 0;
}

static int refuse_high_id(void *arg, const struct task_view *task,
			  const struct timer_text *t, struct err *err)
{
	struct refusals *no = arg;

	(void)err;
	if (t->id > TIMER_ID_BOUND &&
	    prctl(PR_TIMER_CREATE_RESTORE_IDS, RESTORE_IDS_GET, 0, 0, 0) < 0)
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "use Linux 6.16, or let it keep its timers "
			     "instead of making new ones",
			     "a timer with the number %d, which it could not "
			     "have again",
			     t->id);
	return 0;
}

/* What a kernel like this one would not give again. */
static int timer_check(const struct dump_ctx *ctx, const struct task_view *task,
		       struct refusals *no, struct err *err)
{
	return each_timer(task, refuse_high_id, no, err);
}

static const struct remote_ask asks[] = {
	{ "getitimer", __NR_getitimer, 0, { 0 } },
	{ "timer_gettime", __NR_timer_gettime, 0, { 0 } },
	{ "timer_getoverrun", __NR_timer_getoverrun, 0, { 0 } },
	{ 0 },
};

const struct resource_ops res_timer = {
	.name = "timers",
	.saved = "interval timers; POSIX timers with ids, as time left, and "
		 "overrun counts",
	.refused = "numbers above 100000 before Linux 6.16",
	.changes = "clocks of CPU time, and overruns on them, count anew; a "
		   "signal that waits has no overruns",
	.tag = TAG_TIMER,
	.scope = SCOPE_TASK,
	.stage = STAGE_LATE,
	.check_task = timer_check,
	.dump_task = timer_dump,
	.asks = asks,
	.restore = timer_restore,
	.stage2 = STAGE_ARM,
	.restore2 = timer_arm,
};

const struct resource_ops res_timer_overrun = {
	.name = "timers",
	.tag = TAG_TIMER_OVERRUN,
	.scope = SCOPE_THREAD,
	.stage = STAGE_ARM,
	.restore = overrun_restore,
};
