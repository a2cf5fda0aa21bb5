/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot is a file of the job's user, who edits it well, hashes and all:
 * no right can be gained by restoring it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/drive.h"
#include "../lib/edit.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "images/mm.pb-c.h"
#include "images/process.pb-c.h"
#include "images/signal.pb-c.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "kernel/maps.h"
#include "inject/filters.h"
#include "util/cleanup.h"

#define USER 65534

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
static void add_filters(SeccompRecord *rec, const ProtobufCMessage *creds,
			size_t count, size_t len)
{
	const struct sock_filter allow =
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

	rec->tid = ((const CredsRecord *)creds)->tid;
	rec->filters = calloc(count + 1, sizeof(*rec->filters));
	rec->n_filters = count;
	for (size_t i = 0; i < count; i++) {
		SeccompFilter *f = calloc(1, sizeof(*f));

		seccomp_filter__init(f);
		f->code.len = len;
		f->code.data = malloc(len + sizeof(allow));
		for (size_t at = 0; at < len; at += sizeof(allow))
			memcpy(f->code.data + at, &allow, sizeof(allow));
		rec->filters[i] = f;
	}
}

static void filter(SeccompRecord *rec, ProtobufCMessage *creds)
{
	add_filters(rec, creds, 1, 8);
}

static void filter_and_promise(SeccompRecord *rec, ProtobufCMessage *creds)
{
	add_filters(rec, creds, 1, 8);
	rec->filters[0]->log = 1;
	((CredsRecord *)creds)->no_new_privs = 1;
}

static void filter_without_code(SeccompRecord *rec, ProtobufCMessage *creds)
{
	add_filters(rec, creds, 1, 0);
}

static void filter_half(SeccompRecord *rec, ProtobufCMessage *creds)
{
	add_filters(rec, creds, 1, 12);
}

static void filter_long(SeccompRecord *rec, ProtobufCMessage *creds)
{
	add_filters(rec, creds, 1, 8 * (BPF_MAXINSNS + 1));
}

static void filters_many(SeccompRecord *rec, ProtobufCMessage *creds)
{
	add_filters(rec, creds, 9, 8 * BPF_MAXINSNS);
}

static void filters_shared(SeccompRecord *rec, ProtobufCMessage *creds)
{
	add_filters(rec, creds, 1, 8);
	rec->shared = 1u << 31;
}

static void filter_damaged(SeccompRecord *rec, ProtobufCMessage *creds)
{
	filter_and_promise(rec, creds);
	memset(rec->filters[0]->code.data, 0xff, 8);
}

static const struct edit {
	const char *what;
	uint32_t tag;
	void (*apply)(ProtobufCMessage *msg);
	const char *error; /* part of the text; NULL: it is restored */
	void (*add)(SeccompRecord *rec, ProtobufCMessage *msg);
} edits[] = {
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
	{ "an action for SIGKILL", TAG_SIGACTION, signal_stop, "signal 9" },
	{ "a filter of calls", TAG_CREDS, NULL, "only root can install",
	  filter },
	{ "with a filter and no_new_privs", TAG_CREDS, NULL, NULL,
	  filter_and_promise },
	{ "a filter without code", TAG_CREDS, NULL, "filter of 0",
	  filter_without_code },
	{ "half an instruction", TAG_CREDS, NULL, "filter of 12", filter_half },
	{ "a filter that is too long", TAG_CREDS, NULL, "filter of 32776",
	  filter_long },
	{ "too many instructions", TAG_CREDS, NULL, "36900 instructions",
	  filters_many },
	{ "a leader's filters in a leader", TAG_CREDS, NULL,
	  "filters of its leader", filters_shared },
	{ "a filter that is none", TAG_CREDS, NULL, "seccomp", filter_damaged },
};

/* edit NULL: only written again. */
static void apply(void *arg, uint32_t tag, ProtobufCMessage *msg,
		  struct edit_more *ret)
{
	static SeccompRecord more;
	const struct edit *edit = arg;

	if (!edit || tag != edit->tag)
		return;
	if (!edit->add) {
		edit->apply(msg);
		return;
	}
	seccomp_record__init(&more);
	edit->add(&more, msg);
	ret->tag = TAG_SECCOMP;
	ret->msg = &more.base;
}

static int snapshot_of_sleep(const struct drive_place *place, const char *dir,
			     struct err *err)
{
	char *argv[] = { (char *)"/bin/sleep", (char *)"1000", NULL };
	char *envp[] = { NULL };
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int r = drive_start(place, argv, envp, &job, err);

	if (r == 0) {
		/* Until it is what it is to be: no more the test's child. */
		usleep(200000);
		r = drive_checkpoint(job, dir, true, o);
		*err = o->err;
	}
	drive_end(job);
	free(o);
	return r;
}

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

static void restore(const struct drive_place *place, const char *dir,
		    const struct edit *edit)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int r = drive_restore(place, dir, &job, o);

	if (!edit || !edit->error)
		ok(r == 0, "written again %s, it is restored: %s",
		   edit ? edit->what : "but not edited",
		   r < 0 ? o->err.text : "yes");
	else
		ok(r < 0 && strstr(o->err.text, edit->error),
		   "%s is not to be had: %s", edit->what,
		   r < 0 ? o->err.text : "restored");
	if (r == 0 && edit)
		ok(has_filter(drive_root_pid(job), &o->err),
		   "%s: it has it, and it logs: %s", edit->what, o->err.text);
	drive_end(job);
	free(o);
}

static void run(const struct drive_place *place, const char *dir)
{
	const struct edit *last = edits + ARRAY_SIZE(edits);
	const struct edit *edit = NULL;
	struct err err = { 0 };
	char path[100], copy[400];

	snprintf(path, sizeof(path), "%s/image", dir);
	if (!ok(snapshot_of_sleep(place, path, &err) == 0,
		"a user's job is saved: %s", err.text))
		return;
	snprintf(copy, sizeof(copy), "cp -a %s %s.whole", path, path);
	if (!ok(system(copy) == 0, "its snapshot is copied"))
		return;
	snprintf(copy, sizeof(copy), "rm -r %s && cp -a %s.whole %s", path,
		 path, path);
	do {
		if (snapshot_edit(path, apply, (void *)edit, &err) < 0)
			ok(false, "edit: %s", err.text);
		else
			restore(place, path, edit);
		edit = edit ? edit + 1 : edits;
	} while (edit < last && system(copy) == 0);
	ok(edit == last, "all was tried");
}

int main(void)
{
	const struct drive_place place = { .uid = USER,
					   .gid = USER,
					   .cwd = "/" };
	auto_close int dir_fd = -EBADF;
	char dir[64];

	if (geteuid() != 0)
		skip_all("needs root");
	dir_fd = temp_dir(dir);
	if (chmod(dir, 0755) < 0)
		return 1;
	run(&place, dir);
	temp_dir_remove(dir);
	return done_testing();
}
