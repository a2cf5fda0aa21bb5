/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restore of a tree that never ran: its records are written here.  A root
 * with a thread, a child in a group of its own, a zombie, a stopped child
 * and an orphan in the session of a dead leader.  Each thread of it counts
 * in its own word, which is read from outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#include "../lib/drive.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "engine/vdso.h"
#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/part.pb-c.h"
#include "images/tags.h"
#include "images/task.pb-c.h"
#include "images/thread.pb-c.h"
#include "inject/cpu.h"
#include "kernel/maps.h"
#include "kernel/proc.h"
#include "snapshot/snapshot.h"
#include "storage/store.h"
#include "storage/writer.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define TEXT	 0x400000ull
#define DATA	 0x600000ull
#define KERNELS	 0x7fff10000000ull /* vvar and vdso */
#define FIRST	 1000 /* what the counters begin with */
#define EXE	 "/bin/true"
#define EXE_ID	 1
#define COUNTERS 6

static const struct person {
	int32_t pid, ppid, pgid, sid, tid;
	TaskRecord__State state;
} tree[] = {
	{ 7, 0, 7, 7, 8, TASK_RECORD__STATE__RUNNING },
	{ 9, 7, 9, 7, 0, TASK_RECORD__STATE__RUNNING },
	{ 10, 7, 7, 7, 0, TASK_RECORD__STATE__ZOMBIE },
	{ 11, 7, 7, 7, 0, TASK_RECORD__STATE__STOPPED },
	{ 12, 1, 44, 44, 0, TASK_RECORD__STATE__RUNNING },
};

struct image {
	struct writer *writer;
	struct digest *digest;
	uint32_t meta, pages, records, extents;
	uint64_t page_bytes;
	int r;
	struct err err;
};

static int sink_write(void *arg, const void *data, size_t len, struct err *err)
{
	struct image *im = arg;

	digest_add(im->digest, data, len);
	return writer_put(im->writer, im->meta, data, len, err);
}

static void put(struct image *im, uint32_t tag, const ProtobufCMessage *msg)
{
	struct img_sink sink = { sink_write, im, &im->records };

	if (im->r == 0)
		im->r = img_put(&sink, tag, msg, &im->err);
}

static void put_part(struct image *im)
{
	PartRecord p = PART_RECORD__INIT;
	uint8_t digest[DIGEST_BYTES];
	struct cpu_info cpu;

	cpu_info_read(&cpu);
	if (vdso_digest(digest, &im->err) < 0)
		im->r = im->err.code;
	p.node = (char *)"n1";
	p.kernel_release = (char *)"6";
	p.boot_id = (char *)"0";
	p.page_size = IMAGE_PAGE;
	p.monotonic_ns = 5000 * (int64_t)NSEC_PER_SEC;
	p.boottime_ns = 6000 * (int64_t)NSEC_PER_SEC;
	p.xcr0 = cpu.xcr0;
	p.xstate_size = cpu.xstate_size;
	p.cpu_features.data = (uint8_t *)cpu.words;
	p.cpu_features.len = sizeof(cpu.words);
	p.vdso_digest.data = digest;
	p.vdso_digest.len = sizeof(digest);
	p.root_pid = tree[0].pid;
	put(im, TAG_PART, &p.base);
}

static void put_thread(struct image *im, int32_t tid, unsigned int counter)
{
	uint32_t ids[4] = { 0 };
	struct user_regs_struct regs = {
		.cs = 0x33, .ss = 0x2b, .rip = TEXT, .eflags = 0x202,
		.rsp = DATA + IMAGE_PAGE, .r15 = DATA + 8 * counter,
		.orig_rax = UINT64_MAX,
	};
	RegsRecord r = REGS_RECORD__INIT;
	CredsRecord c = CREDS_RECORD__INIT;

	r.tid = c.tid = tid;
	r.general = (uint64_t *)&regs;
	r.n_general = sizeof(regs) / 8;
	r.mxcsr = 0x1f80;
	put(im, TAG_REGS, &r.base);
	c.uids = c.gids = ids;
	c.n_uids = c.n_gids = 4;
	put(im, TAG_CREDS, &c.base);
}

static void put_vma(struct image *im, int32_t pid, uint64_t start,
		    uint64_t len, uint32_t prot, VmaRecord__Kind kind)
{
	VmaRecord v = VMA_RECORD__INIT;

	v.pid = pid;
	v.start = start;
	v.end = start + len;
	v.prot = prot;
	v.kind = kind;
	v.flags = kind == VMA_RECORD__KIND__ANON_PRIVATE ? VMA_ACCOUNT : 0;
	put(im, TAG_VMA, &v.base);
}

static void put_kernels(struct image *im, int32_t pid)
{
	static const struct {
		const char *path;
		VmaRecord__Kind kind;
	} kinds[] = { { "[vvar]", VMA_RECORD__KIND__VVAR },
		      { "[vvar_vclock]", VMA_RECORD__KIND__VVAR_VCLOCK },
		      { "[vdso]", VMA_RECORD__KIND__VDSO } };
	auto_close int proc = open("/proc/self", O_DIRECTORY | O_CLOEXEC);
	struct vma_list maps = { 0 };
	uint64_t at = KERNELS;

	if (maps_read_fast(proc, &maps, &im->err) < 0)
		im->r = im->err.code;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t i = 0; i < maps.count; i++) {
			uint64_t len = maps.v[i].end - maps.v[i].start;

			if (strcmp(maps.v[i].path, kinds[k].path) != 0)
				continue;
			put_vma(im, pid, at, len, 1, kinds[k].kind);
			at += len;
		}
	maps_done(&maps);
}

static void put_page(struct image *im, int32_t pid, uint64_t address,
		     const void *data, size_t len)
{
	Extent x = EXTENT__INIT, *list[] = { &x };
	PagesRecord p = PAGES_RECORD__INIT;
	struct writer_buffer b;

	if (im->r == 0)
		im->r = writer_get_buffer(im->writer, &b, &im->err);
	if (im->r < 0)
		return;
	memset(b.data, 0, IMAGE_PAGE);
	memcpy(b.data, data, len);
	x.address = address;
	x.pages = 1;
	x.stream = 1;
	x.hash = extent_hash(b.data, IMAGE_PAGE);
	im->r = writer_submit(im->writer, im->pages, &b, IMAGE_PAGE, &x.offset,
			      &im->err);
	p.pid = pid;
	p.n_extents = 1;
	p.extents = list;
	im->page_bytes += IMAGE_PAGE;
	im->extents++;
	put(im, TAG_PAGES, &p.base);
}

static void put_memory(struct image *im, int32_t pid)
{
	/* again: lock incq (%r15); jmp again */
	static const uint8_t code[] = { 0xf0, 0x49, 0xff, 0x07, 0xeb, 0xfa };
	uint64_t counters[COUNTERS];
	MmRecord mm = MM_RECORD__INIT;

	for (size_t i = 0; i < COUNTERS; i++)
		counters[i] = FIRST;
	mm.pid = pid;
	mm.start_code = TEXT;
	mm.end_code = TEXT + sizeof(code);
	mm.start_data = mm.end_data = mm.start_brk = mm.brk = DATA;
	mm.start_stack = mm.arg_start = mm.arg_end = DATA;
	mm.env_start = mm.env_end = DATA;
	mm.exe_object = EXE_ID;
	put(im, TAG_MM, &mm.base);
	put_vma(im, pid, TEXT, IMAGE_PAGE, 5, VMA_RECORD__KIND__ANON_PRIVATE);
	put_vma(im, pid, DATA, 2 * IMAGE_PAGE, 3,
		VMA_RECORD__KIND__ANON_PRIVATE);
	put_kernels(im, pid);
	put_page(im, pid, TEXT, code, sizeof(code));
	put_page(im, pid, DATA, counters, sizeof(counters));
}

static void put_task(struct image *im, size_t i)
{
	int32_t tids[] = { tree[i].pid, tree[i].tid };
	TaskRecord t = TASK_RECORD__INIT;

	t.pid = tree[i].pid;
	t.ppid = tree[i].ppid;
	t.pgid = tree[i].pgid;
	t.sid = tree[i].sid;
	t.state = tree[i].state;
	t.comm = (char *)"counter";
	if (t.state == TASK_RECORD__STATE__ZOMBIE) {
		t.exit_status = 3 << 8;
	} else {
		t.tids = tids;
		t.n_tids = tree[i].tid ? 2 : 1;
	}
	if (t.state == TASK_RECORD__STATE__STOPPED) {
		t.has_stop_signal = 1;
		t.stop_signal = SIGSTOP;
	}
	put(im, TAG_TASK, &t.base);
}

static void put_exe(struct image *im)
{
	OpenFile open = OPEN_FILE__INIT;
	FileRecord f = FILE_RECORD__INIT;
	struct stat st = { 0 };

	if (stat(EXE, &st) < 0)
		im->r = err_sys(&im->err, EXE);
	open.object = EXE_ID;
	f.open = &open;
	f.path.data = (uint8_t *)EXE;
	f.path.len = strlen(EXE);
	f.mode = st.st_mode;
	f.size = (uint64_t)st.st_size;
	f.mtime_ns = st.st_mtim.tv_sec * (int64_t)NSEC_PER_SEC +
		     st.st_mtim.tv_nsec;
	f.inode = st.st_ino;
	put(im, TAG_FILE, &f.base);
}

static void put_all(struct image *im)
{
	PartEndRecord end = PART_END_RECORD__INIT;

	put_part(im);
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++)
		put_task(im, i);
	put_exe(im);
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		if (tree[i].state == TASK_RECORD__STATE__ZOMBIE)
			continue;
		put_thread(im, tree[i].pid, 0);
		if (tree[i].tid)
			put_thread(im, tree[i].tid, 1);
		put_memory(im, tree[i].pid);
	}
	end.records = im->records;
	end.page_bytes = im->page_bytes;
	end.extents = im->extents;
	put(im, TAG_PART_END, &end.base);
}

static int publish(struct image *im, int dir_fd)
{
	StreamEntry entry[2], *streams[] = { &entry[0], &entry[1] };
	PartEntry part = PART_ENTRY__INIT, *parts[] = { &part };
	ManifestRecord m = MANIFEST_RECORD__INIT;
	uint8_t sum[DIGEST_BYTES];
	auto_free uint8_t *framed = NULL;
	size_t len;
	int r;

	digest_end(im->digest, sum);
	stream_entry__init(&entry[0]);
	stream_entry__init(&entry[1]);
	entry[0].name = (char *)"n1.meta";
	entry[0].length = writer_length(im->writer, im->meta);
	entry[0].digest = (ProtobufCBinaryData){ sizeof(sum), sum };
	entry[1].name = (char *)"n1.pages.1";
	entry[1].length = writer_length(im->writer, im->pages);
	part.node = (char *)"n1";
	part.n_streams = 2;
	part.streams = streams;
	m.format = IMAGE_FORMAT;
	m.job_id = (char *)"local-1";
	m.generation = 1;
	m.cause = (char *)"request";
	m.cluster = (char *)"local";
	m.jobcr_version = (char *)"0";
	m.n_parts = 1;
	m.parts = parts;
	r = snapshot_manifest_pack(&m, &framed, &len, &im->err);
	return r < 0 ? r : store_publish(-1, 1, dir_fd, framed, len, NULL,
					 &im->err);
}

static int write_image(int dir_fd, struct err *err)
{
	struct writer_limits limits = { .buffer_bytes = 1 << 20,
					.buffers = 4 };
	struct image im = { 0 };

	im.r = writer_new(dir_fd, &limits, &im.writer, &im.err);
	if (im.r == 0)
		im.r = digest_new(&im.digest, &im.err);
	if (im.r == 0)
		im.r = writer_open(im.writer, "n1.meta", &im.meta, &im.err);
	if (im.r == 0)
		im.r = writer_open(im.writer, "n1.pages.1", &im.pages,
				   &im.err);
	if (im.r == 0)
		put_all(&im);
	if (im.r == 0)
		im.r = writer_finish(im.writer, &im.err);
	if (im.r == 0)
		im.r = publish(&im, dir_fd);
	digest_free(im.digest);
	writer_free(im.writer);
	*err = im.err;
	return im.r;
}

/* Outer pid of a process of the job; found through its init's namespace. */
static pid_t outer_pid(pid_t near, int32_t ns_pid)
{
	struct err err;

	for (pid_t pid = near; pid < near + 200; pid++) {
		auto_close int proc = -EBADF;
		struct proc_status st = { 0 };
		bool hit;

		if (proc_open(pid, 0, &proc, &err) < 0 ||
		    proc_read_status(proc, &st, &err) < 0)
			continue;
		hit = st.ns_levels == 2 && st.ns_tgid == ns_pid;
		proc_status_done(&st);
		if (hit)
			return pid;
	}
	return -1;
}

static bool counts(pid_t pid, unsigned int counter)
{
	struct timespec nap = { .tv_nsec = 50000000 };
	uint64_t seen = 0;
	struct iovec to = { &seen, 8 };
	struct iovec from = { (void *)(DATA + 8 * counter), 8 };

	nanosleep(&nap, NULL);
	return process_vm_readv(pid, &to, 1, &from, 1, 0) == 8 &&
	       seen > FIRST;
}

static bool is_as_recorded(pid_t pid, const struct person *p)
{
	auto_close int proc = -EBADF;
	struct proc_status st = { 0 };
	struct proc_stat stat = { 0 };
	struct err err;
	char state;
	bool same;

	if (proc_open(pid, 0, &proc, &err) < 0 ||
	    proc_read_status(proc, &st, &err) < 0 ||
	    proc_read_stat(proc, &stat, &err) < 0)
		return false;
	state = p->state == TASK_RECORD__STATE__ZOMBIE	? 'Z' :
		p->state == TASK_RECORD__STATE__STOPPED ? 'T' : 'R';
	same = st.ns_pgid == p->pgid && st.ns_sid == p->sid &&
	       stat.state == state;
	if (!same)
		diag("pid %d: group %d session %d state %c", p->pid,
		     st.ns_pgid, st.ns_sid, stat.state);
	if (p->state == TASK_RECORD__STATE__ZOMBIE)
		same = same && stat.exit_status == 3 << 8;
	proc_status_done(&st);
	return same;
}

static void test_restore(const char *dir)
{
	struct drive_place place = { 0 };
	struct drive_outcome outcome;
	struct drive_job *job = NULL;
	pid_t init, pid;
	int r;

	r = drive_restore(&place, dir, &job, &outcome);
	ok(r == 0, "the tree is restored %s", outcome.err.text);
	if (r < 0)
		return;
	init = drive_init_pid(job);
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		pid = outer_pid(init, tree[i].pid);
		if (tree[i].state == TASK_RECORD__STATE__RUNNING)
			ok(counts(pid, 0), "pid %d runs", tree[i].pid);
		if (tree[i].tid)
			ok(counts(pid, 1), "its thread %d runs", tree[i].tid);
		ok(is_as_recorded(pid, &tree[i]), "pid %d is as recorded",
		   tree[i].pid);
	}
	ok(outcome.restart.tasks == ARRAY_SIZE(tree) &&
		   outcome.restart.threads == 5,
	   "they are counted");
	drive_end(job);
}

static void test_damage(const char *dir, const char *stream)
{
	struct drive_place place = { 0 };
	struct drive_outcome outcome;
	struct drive_job *job = NULL;
	char path[128];
	auto_close int fd = -EBADF;
	uint8_t byte;
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, stream);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (pread(fd, &byte, 1, 60) != 1)
		return;
	byte ^= 0x10;
	ok(pwrite(fd, &byte, 1, 60) == 1, "flip a bit in %s", stream);
	r = drive_restore(&place, dir, &job, &outcome);
	ok(r == -EBADMSG && outcome.err.text[0], "it is found: %s",
	   outcome.err.text);
	if (r == 0)
		drive_end(job);
	byte ^= 0x10;
	(void)!pwrite(fd, &byte, 1, 60);
}

int main(void)
{
	struct err err = { 0 };
	auto_close int dir_fd = -EBADF;
	char dir[64];

	if (geteuid() != 0)
		skip_all("needs root");
	dir_fd = temp_dir(dir);
	if (write_image(dir_fd, &err) < 0) {
		ok(false, "an image by hand: %s", err.text);
	} else {
		test_restore(dir);
		test_damage(dir, "n1.pages.1");
		test_damage(dir, "n1.meta");
		test_damage(dir, "manifest");
	}
	temp_dir_remove(dir);
	return done_testing();
}
