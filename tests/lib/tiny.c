/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/tiny.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/user.h>

#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "kernel/maps.h"
#include "tests/lib/image.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define TEXT     0x400000ull
#define KERNELS  0x7fff10000000ull /* vvar and vdso */
#define EXE      "/bin/true"
#define EXE_ID   1
#define COUNTERS 2

static void put_thread(struct image *im, int32_t tid, unsigned int counter)
{
	uint32_t ids[4] = { 0 };
	struct user_regs_struct regs = {
		.cs = 0x33,
		.ss = 0x2b,
		.rip = TEXT,
		.eflags = 0x202,
		.rsp = TINY_DATA + IMAGE_PAGE,
		.r15 = TINY_COUNTER(counter),
		.orig_rax = UINT64_MAX,
	};
	RegsRecord r = REGS_RECORD__INIT;
	CredsRecord c = CREDS_RECORD__INIT;

	r.tid = c.tid = tid;
	r.general = (uint64_t *)&regs;
	r.n_general = sizeof(regs) / 8;
	r.mxcsr = 0x1f80;
	image_put(im, TAG_REGS, &r.base);
	c.uids = c.gids = ids;
	c.n_uids = c.n_gids = 4;
	image_put(im, TAG_CREDS, &c.base);
}

static void put_vma(struct image *im, int32_t pid, uint64_t start, uint64_t len,
		    uint32_t prot, VmaRecord__Kind kind)
{
	VmaRecord v = VMA_RECORD__INIT;

	v.pid = pid;
	v.start = start;
	v.end = start + len;
	v.prot = prot;
	v.kind = kind;
	v.flags = kind == VMA_RECORD__KIND__ANON_PRIVATE ? VMA_ACCOUNT : 0;
	image_put(im, TAG_VMA, &v.base);
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
	struct err err;

	if (maps_read_fast(proc, &maps, &err) < 0)
		exit(99);
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

static void put_memory(struct image *im, int32_t pid)
{
	/* again: lock incq (%r15); jmp again */
	static const uint8_t code[] = { 0xf0, 0x49, 0xff, 0x07, 0xeb, 0xfa };
	uint64_t counters[COUNTERS];
	MmRecord mm = MM_RECORD__INIT;

	for (size_t i = 0; i < COUNTERS; i++)
		counters[i] = TINY_FIRST;
	mm.pid = pid;
	mm.start_code = TEXT;
	mm.end_code = TEXT + sizeof(code);
	mm.start_data = mm.end_data = mm.start_brk = mm.brk = TINY_DATA;
	mm.start_stack = mm.arg_start = mm.arg_end = TINY_DATA;
	mm.env_start = mm.env_end = TINY_DATA;
	mm.exe_object = EXE_ID;
	image_put(im, TAG_MM, &mm.base);
	put_vma(im, pid, TEXT, IMAGE_PAGE, 5, VMA_RECORD__KIND__ANON_PRIVATE);
	put_vma(im, pid, TINY_DATA, 2 * IMAGE_PAGE, 3,
		VMA_RECORD__KIND__ANON_PRIVATE);
	put_kernels(im, pid);
	image_page(im, pid, TEXT, code, sizeof(code));
	image_page(im, pid, TINY_DATA, counters, sizeof(counters));
}

static void put_task(struct image *im, const struct tiny_person *p)
{
	int32_t tids[] = { p->pid, p->tid };
	TaskRecord t = TASK_RECORD__INIT;

	t.pid = p->pid;
	t.ppid = p->ppid;
	t.pgid = p->pgid;
	t.sid = p->sid;
	t.state = p->state;
	t.comm = (char *)"counter";
	if (t.state == TASK_RECORD__STATE__ZOMBIE) {
		t.exit_status = 3 << 8;
	} else {
		t.tids = tids;
		t.n_tids = p->tid ? 2 : 1;
	}
	if (t.state == TASK_RECORD__STATE__STOPPED) {
		t.has_stop_signal = 1;
		t.stop_signal = SIGSTOP;
	}
	image_put(im, TAG_TASK, &t.base);
}

static void put_exe(struct image *im)
{
	OpenFile open = OPEN_FILE__INIT;
	FileRecord f = FILE_RECORD__INIT;
	struct stat st = { 0 };

	if (stat(EXE, &st) < 0)
		exit(99);
	open.object = EXE_ID;
	f.open = &open;
	f.path.data = (uint8_t *)EXE;
	f.path.len = strlen(EXE);
	f.mode = st.st_mode;
	f.size = (uint64_t)st.st_size;
	f.mtime_ns =
		st.st_mtim.tv_sec * (int64_t)NSEC_PER_SEC + st.st_mtim.tv_nsec;
	f.inode = st.st_ino;
	image_put(im, TAG_FILE, &f.base);
}

int tiny_write(int dir_fd, const struct tiny_person *people, size_t count,
	       struct err *err)
{
	struct image *im = image_begin(dir_fd, people[0].pid);
	const struct tiny_person *p;

	if (!im)
		return err_num(err, ENOMEM, "image");
	for (size_t i = 0; i < count; i++)
		put_task(im, &people[i]);
	put_exe(im);
	for (size_t i = 0; i < count; i++) {
		p = &people[i];
		if (p->state == TASK_RECORD__STATE__ZOMBIE)
			continue;
		put_thread(im, p->pid, 0);
		if (p->tid)
			put_thread(im, p->tid, 1);
		put_memory(im, p->pid);
	}
	return image_end(im, err);
}
