/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot is a file of the job's user, who edits it well, hashes and all:
 * no right can be gained by restoring it.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "../lib/edited.h"
#include "../lib/tap.h"
#include "images/files.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/process.pb-c.h"
#include "images/signal.pb-c.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "kernel/maps.h"
#include "inject/filters.h"
#include "util/cleanup.h"

#define PASSWD    "/etc/passwd"
#define LOCK_MOST (256u << 10)

static void uid_root(ProtobufCMessage *msg)
{
	((CredsRecord *)msg)->uids[1] = 0;
}

static void saved_uid_root(ProtobufCMessage *msg)
{
	((CredsRecord *)msg)->uids[2] = 0;
}

static void fsuid_other(ProtobufCMessage *msg)
{
	((CredsRecord *)msg)->uids[3] = 1000;
}

static void gid_shadow(ProtobufCMessage *msg)
{
	((CredsRecord *)msg)->gids[3] = 42;
}

static void group_root(ProtobufCMessage *msg)
{
	CredsRecord *rec = (CredsRecord *)msg;

	free(rec->groups);
	rec->groups = calloc(1, sizeof(*rec->groups));
	rec->n_groups = 1;
}

static void few_ids(ProtobufCMessage *msg)
{
	((CredsRecord *)msg)->n_uids = 3;
}

static void capabilities(ProtobufCMessage *msg)
{
	((CredsRecord *)msg)->cap_permitted = 1 << 21;
}

static void ambient(ProtobufCMessage *msg)
{
	CredsRecord *rec = (CredsRecord *)msg;

	rec->cap_permitted = rec->cap_inheritable = rec->cap_ambient = 2;
}

static void securebits(ProtobufCMessage *msg)
{
	((CredsRecord *)msg)->securebits = 1;
}

static void limit(ProtobufCMessage *msg)
{
	((RlimitRecord *)msg)->hard[7] = 1u << 30;
}

static void soft_above_hard(ProtobufCMessage *msg)
{
	RlimitRecord *rec = (RlimitRecord *)msg;

	rec->hard[4] = 0;
	rec->soft[4] = 1;
}

static void oom_immune(ProtobufCMessage *msg)
{
	((ProcessRecord *)msg)->oom_score_adj = -1000;
}

static void nice_high(ProtobufCMessage *msg)
{
	((SchedRecord *)msg)->nice = -20;
}

static void realtime(ProtobufCMessage *msg)
{
	((SchedRecord *)msg)->policy = SCHED_FIFO;
	((SchedRecord *)msg)->priority = 99;
}

static void chroot_away(ProtobufCMessage *msg)
{
	FsRecord *rec = (FsRecord *)msg;

	free(rec->root.data);
	rec->root.data = (uint8_t *)strdup("/tmp");
	rec->root.len = 4;
}

static void cwd_of_root(ProtobufCMessage *msg)
{
	FsRecord *rec = (FsRecord *)msg;

	free(rec->cwd.data);
	rec->cwd.data = (uint8_t *)strdup("/root");
	rec->cwd.len = 5;
}

static void io_first(ProtobufCMessage *msg)
{
	((ThreadRecord *)msg)->ioprio = 1 << 13;
}

static void alarm_clock(ProtobufCMessage *msg)
{
	TimerRecord *rec = (TimerRecord *)msg;

	rec->timers = calloc(1, sizeof(*rec->timers));
	rec->timers[0] = calloc(1, sizeof(**rec->timers));
	rec->n_timers = 1;
	posix_timer_entry__init(rec->timers[0]);
	rec->timers[0]->clock = CLOCK_BOOTTIME_ALARM;
	rec->timers[0]->notify = SIGEV_NONE;
}

static void signal_stop(ProtobufCMessage *msg)
{
	SigactionRecord *rec = (SigactionRecord *)msg;
	SigactionEntry *e = calloc(1, sizeof(*e));

	sigaction_entry__init(e);
	e->signal = SIGKILL;
	e->handler = (uint64_t)(uintptr_t)SIG_IGN;
	rec->actions = realloc(rec->actions,
			       (rec->n_actions + 1) * sizeof(*rec->actions));
	rec->actions[rec->n_actions++] = e;
}

static bool is_passwd(const ProtobufCMessage *msg)
{
	const FileRecord *rec = (const FileRecord *)msg;

	return rec->path.len == strlen(PASSWD) &&
	       !memcmp(rec->path.data, PASSWD, rec->path.len);
}

/* Whoever would write to it had to wait for the job. */
static void lease_of_others(ProtobufCMessage *msg)
{
	FileRecord *rec = (FileRecord *)msg;
	FileLock *lock = calloc(1, sizeof(*lock));

	file_lock__init(lock);
	lock->kind = FILE_LOCK__KIND__LEASE;
	rec->locks = calloc(1, sizeof(*rec->locks));
	rec->locks[0] = lock;
	rec->n_locks = 1;
}

/* The job's cgroup may keep it from the job, but not from us. */
static void device_for_file(ProtobufCMessage *msg)
{
	FileRecord *rec = (FileRecord *)msg;

	free(rec->path.data);
	rec->path.data = (uint8_t *)strdup("/dev/zero");
	rec->path.len = strlen("/dev/zero");
	rec->mode = S_IFCHR | 0666;
}

static void handle_of_device(ProtobufCMessage *msg)
{
	device_for_file(msg);
	((FileRecord *)msg)->open->flags = O_PATH;
}

static bool is_large(const ProtobufCMessage *msg)
{
	const VmaRecord *rec = (const VmaRecord *)msg;

	return rec->end - rec->start > LOCK_MOST;
}

static bool is_stack(const ProtobufCMessage *msg)
{
	return ((const VmaRecord *)msg)->flags & VMA_GROWSDOWN;
}

static void locked(ProtobufCMessage *msg)
{
	((VmaRecord *)msg)->flags |= VMA_LOCKED;
}

static void locked_on_fault(ProtobufCMessage *msg)
{
	((VmaRecord *)msg)->flags |= VMA_LOCKED | VMA_LOCKONFAULT;
}

/* The hard limit of whoever starts a job counts, not that of the snapshot. */
static void limit_locks(void)
{
	const struct rlimit most = { LOCK_MOST, LOCK_MOST };

	(void)setrlimit(RLIMIT_MEMLOCK, &most);
}

static void huge_without_size(ProtobufCMessage *msg)
{
	((VmaRecord *)msg)->flags |= VMA_HUGETLB;
}

static void huge_of(ProtobufCMessage *msg, uint64_t page_size)
{
	huge_without_size(msg);
	((VmaRecord *)msg)->has_page_size = 1;
	((VmaRecord *)msg)->page_size = page_size;
}

static void huge_of_nothing(ProtobufCMessage *msg)
{
	huge_of(msg, 0);
}

static void huge_of_a_page(ProtobufCMessage *msg)
{
	huge_of(msg, 4096);
}

static void huge_of_2m(ProtobufCMessage *msg)
{
	huge_of(msg, 2u << 20);
}

/* One more record behind that of the credentials, which are as they were. */
static ProtobufCMessage *add_filters(const ProtobufCMessage *creds,
				     size_t count, size_t len)
{
	static SeccompRecord more;
	const struct sock_filter allow =
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

	seccomp_record__init(&more);
	more.tid = ((const CredsRecord *)creds)->tid;
	more.filters = calloc(count + 1, sizeof(*more.filters));
	more.n_filters = count;
	for (size_t i = 0; i < count; i++) {
		SeccompFilter *f = calloc(1, sizeof(*f));

		seccomp_filter__init(f);
		f->code.len = len;
		f->code.data = malloc(len + sizeof(allow));
		for (size_t at = 0; at < len; at += sizeof(allow))
			memcpy(f->code.data + at, &allow, sizeof(allow));
		more.filters[i] = f;
	}
	return &more.base;
}

static ProtobufCMessage *filter(pid_t pid, ProtobufCMessage *creds)
{
	(void)pid;
	return add_filters(creds, 1, 8);
}

static ProtobufCMessage *filter_and_promise(pid_t pid, ProtobufCMessage *creds)
{
	ProtobufCMessage *more = filter(pid, creds);

	((SeccompRecord *)more)->filters[0]->log = 1;
	((CredsRecord *)creds)->no_new_privs = 1;
	return more;
}

static ProtobufCMessage *filter_without_code(pid_t pid, ProtobufCMessage *creds)
{
	(void)pid;
	return add_filters(creds, 1, 0);
}

static ProtobufCMessage *filter_half(pid_t pid, ProtobufCMessage *creds)
{
	(void)pid;
	return add_filters(creds, 1, 12);
}

static ProtobufCMessage *filter_long(pid_t pid, ProtobufCMessage *creds)
{
	(void)pid;
	return add_filters(creds, 1, 8 * (BPF_MAXINSNS + 1));
}

static ProtobufCMessage *filters_many(pid_t pid, ProtobufCMessage *creds)
{
	(void)pid;
	return add_filters(creds, 9, 8 * BPF_MAXINSNS);
}

static ProtobufCMessage *filters_shared(pid_t pid, ProtobufCMessage *creds)
{
	ProtobufCMessage *more = filter(pid, creds);

	((SeccompRecord *)more)->shared = 1u << 31;
	return more;
}

static ProtobufCMessage *filter_damaged(pid_t pid, ProtobufCMessage *creds)
{
	ProtobufCMessage *more = filter_and_promise(pid, creds);

	memset(((SeccompRecord *)more)->filters[0]->code.data, 0xff, 8);
	return more;
}

static const struct edited_case cases[] = {
	{ "effective user root", TAG_CREDS, uid_root, "uid 0" },
	{ "saved user root", TAG_CREDS, saved_uid_root, "uid 0" },
	{ "another's fsuid", TAG_CREDS, fsuid_other, "uid 1000" },
	{ "another's group", TAG_CREDS, gid_shadow, "group 42" },
	{ "a supplementary group", TAG_CREDS, group_root, "group 0" },
	{ "three user ids", TAG_CREDS, few_ids, "credentials" },
	{ "a capability", TAG_CREDS, capabilities, "capabilities" },
	{ "an ambient capability", TAG_CREDS, ambient, "capabilities" },
	{ "securebits", TAG_CREDS, securebits, "securebits" },
	{ "a higher hard limit", TAG_RLIMIT, limit, "LimitNOFILE" },
	{ "a soft limit above the hard", TAG_RLIMIT, soft_above_hard, "soft" },
	{ "immunity from the OOM killer", TAG_PROCESS, oom_immune,
	  "oom_score_adj" },
	{ "nice -20", TAG_SCHED, nice_high, "nice -20" },
	{ "real-time priority", TAG_SCHED, realtime, "priority 99" },
	{ "another root directory", TAG_FS, chroot_away, "root directory" },
	{ "a directory of root", TAG_FS, cwd_of_root, "/root" },
	{ "real-time I/O priority", TAG_THREAD, io_first, "ioprio" },
	{ "an alarm clock", TAG_TIMER, alarm_clock, "alarm clock" },
	{ "huge pages of no size", TAG_VMA, huge_without_size, "does not fit" },
	{ "huge pages of 0 bytes", TAG_VMA, huge_of_nothing, "does not fit" },
	{ "huge pages of 4 KiB", TAG_VMA, huge_of_a_page, "does not fit" },
	{ "huge pages at no multiple", TAG_VMA, huge_of_2m, "does not fit" },
	{ "more locked memory than may be", TAG_VMA, locked, "LimitMEMLOCK",
	  .suits = is_large },
	{ "the same on fault", TAG_VMA, locked_on_fault, "LimitMEMLOCK",
	  .suits = is_large },
	{ "much that may be locked, by and by", TAG_VMA, locked,
	  "LimitMEMLOCK" },
	{ "a lease on another's file", TAG_FILE, lease_of_others,
	  "Permission denied", .suits = is_passwd },
	{ "a device for a file", TAG_FILE, device_for_file,
	  "of no kind that is saved", .suits = is_passwd },
	{ "a handle of a device", TAG_FILE, handle_of_device,
	  "of no kind that is saved", .suits = is_passwd },
	{ "an action for SIGKILL", TAG_SIGACTION, signal_stop, "signal 9" },
	{ "a filter of calls", TAG_CREDS, NULL, "only root can install",
	  .more = TAG_SECCOMP, .add = filter },
	{ "with a filter and no_new_privs", TAG_CREDS, NULL, NULL,
	  .more = TAG_SECCOMP, .add = filter_and_promise },
	{ "a filter without code", TAG_CREDS, NULL, "filter of 0",
	  .more = TAG_SECCOMP, .add = filter_without_code },
	{ "half an instruction", TAG_CREDS, NULL, "filter of 12",
	  .more = TAG_SECCOMP, .add = filter_half },
	{ "a filter that is too long", TAG_CREDS, NULL, "filter of 32776",
	  .more = TAG_SECCOMP, .add = filter_long },
	{ "too many instructions", TAG_CREDS, NULL, "36900 instructions",
	  .more = TAG_SECCOMP, .add = filters_many },
	{ "a leader's filters in a leader", TAG_CREDS, NULL,
	  "filters of its leader", .more = TAG_SECCOMP, .add = filters_shared },
	{ "with a locked stack", TAG_VMA, locked, NULL, .suits = is_stack },
	{ "a filter that is none", TAG_CREDS, NULL, "seccomp",
	  .more = TAG_SECCOMP, .add = filter_damaged },
};

/* It is what the snapshot says. */
static bool has_filter(pid_t pid, struct err *err)
{
	struct filters f = { 0 };
	struct tracee t;
	bool good;

	if (tracee_seize(&t, pid, false, err) < 0 ||
	    tracee_interrupt(&t, err) < 0 ||
	    tracee_wait_stop(&t, UINT64_MAX, err) < 0 ||
	    filters_read(&t, &f, err) < 0)
		return false;
	good = f.count == 1 && f.list[0].len == 1 && f.list[0].log;
	filters_done(&f);
	return tracee_detach(&t, err) == 0 && good;
}

static void restored(const struct edited_case *c, struct drive_job *job)
{
	struct err err = { 0 };

	if (c->tag != TAG_CREDS)
		return;
	ok(has_filter(drive_root_pid(job), &err),
	   "%s: it has it, and it logs: %s", c->what, err.text);
}

static int start(struct drive_place *place, const char *dir,
		 struct drive_job **ret, struct err *err)
{
	char script[] = "exec 7<" PASSWD "; exec /bin/sleep 1000";
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", script, NULL };
	char *envp[] = { NULL };
	int r = drive_start(place, argv, envp, ret, err);

	(void)dir;
	return r < 0 ? r : edited_await_program(*ret, "sleep", err);
}

int main(int argc, char **argv)
{
	const struct edited_test test = {
		.cases = cases,
		.count = ARRAY_SIZE(cases),
		.mode = 0755,
		.prepare = limit_locks,
		.start = start,
		.restored = restored,
	};

	return edited_main(argc, argv, &test);
}
