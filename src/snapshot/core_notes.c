/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The notes of a core file, as the kernel writes them (fs/binfmt_elf.c). */
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>

#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/signal.pb-c.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "snapshot/core_parts.h"

#define GENERAL_WORDS 27
#define FILES_MAX     (1ul << 30) /* bytes of their names */

/*
 * The XSAVE layouts that debuggers know by their size: up to AVX, and up to
 * AVX-512 and PKRU as most Intel CPUs have it.  That of the CPU itself may be
 * another.
 */
#define XSTATE_AVX    832
#define XSTATE_AVX512 2696
#define XCR0_AVX      0x7ull
#define XCR0_AVX512   0x2e7ull
#define FXSAVE_BYTES  512
#define XCR0_OFFSET   464 /* software bytes: what the area is made of */
#define BV_OFFSET     512
#define MXCSR_OFFSET  24
#define ST_OFFSET     32
#define XMM_OFFSET    160
#define FCW_DEFAULT   0x37f
static const struct {
	uint32_t number, offset, size;
} components[] = {
	{ 1, XMM_OFFSET, 256 }, { 2, 576, 256 },   { 5, 1088, 64 },
	{ 6, 1152, 512 },       { 7, 1664, 1024 }, { 9, 2688, 8 },
};

/* Notes one behind the other; with no memory to write to they are counted. */
struct notes {
	uint8_t *data;
	size_t len, room;
};

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

static void put(struct notes *n, const void *data, size_t len)
{
	if (n->data && len <= n->room - n->len)
		memcpy(n->data + n->len, data, len);
	n->len += padded(len);
}

static void put_note(struct notes *n, const char *owner, uint32_t type,
		     const void *data, size_t len)
{
	const Elf64_Nhdr head = { .n_namesz = (Elf64_Word)strlen(owner) + 1,
				  .n_descsz = (Elf64_Word)len,
				  .n_type = type };

	put(n, &head, sizeof(head));
	put(n, owner, strlen(owner) + 1);
	put(n, data, len);
}

static uint64_t queued(const SigqueueRecord *q)
{
	uint64_t set = 0;
	int32_t signal;

	for (size_t i = 0; i < q->n_siginfo; i++) {
		if (q->siginfo[i].len < sizeof(signal))
			continue;
		memcpy(&signal, q->siginfo[i].data, sizeof(signal));
		if (signal >= 1 && signal <= 64)
			set |= 1ull << (signal - 1);
	}
	return set;
}

/* shared: only what waits for any thread of the process. */
static uint64_t pending(const struct core_source *src, int32_t tid, bool shared)
{
	const struct core_key *k = core_first(src, TAG_SIGQUEUE, (uint32_t)tid);
	uint64_t set = 0;

	for (; k; k = core_next(src, k)) {
		const SigqueueRecord *q = (const SigqueueRecord *)k->msg;

		if (!!q->shared == shared)
			set |= queued(q);
	}
	return set;
}

static void put_status(struct notes *n, const struct core_source *src,
		       const RegsRecord *regs)
{
	struct elf_prstatus s = { 0 };

	s.pr_pid = regs->tid;
	s.pr_ppid = src->task->ppid;
	s.pr_pgrp = src->task->pgid;
	s.pr_sid = src->task->sid;
	s.pr_sighold = regs->sigmask;
	s.pr_sigpend = pending(src, regs->tid, false) |
		       pending(src, src->task->pid, true);
	s.pr_fpvalid = 1;
	if (regs->n_general == GENERAL_WORDS)
		memcpy(&s.pr_reg, regs->general, sizeof(s.pr_reg));
	put_note(n, "CORE", NT_PRSTATUS, &s, sizeof(s));
}

/* Two pieces around MXCSR, see src/resource/regs.c. */
static void place_x87(uint8_t *area, const ProtobufCBinaryData *data)
{
	const size_t stack = XMM_OFFSET - ST_OFFSET;

	if (data->len != MXCSR_OFFSET + stack)
		return;
	memcpy(area, data->data, MXCSR_OFFSET);
	memcpy(area + ST_OFFSET, data->data + MXCSR_OFFSET, stack);
}

static void place(uint8_t *area, const XstateComponent *c, uint64_t *features)
{
	if (c->number == 0)
		place_x87(area, &c->data);
	for (size_t i = 0; i < sizeof(components) / sizeof(*components); i++)
		if (components[i].number == c->number &&
		    components[i].size <= c->data.len)
			memcpy(area + components[i].offset, c->data.data,
			       components[i].size);
	if (c->number < 64)
		*features |= 1ull << c->number;
}

static void put_vectors(struct notes *n, const RegsRecord *regs)
{
	uint8_t area[XSTATE_AVX512] = { 0 };
	const uint16_t fcw = FCW_DEFAULT;
	uint64_t features = 0, xcr0;
	size_t len;

	memcpy(area, &fcw, sizeof(fcw));
	for (size_t i = 0; i < regs->n_xstate; i++)
		place(area, regs->xstate[i], &features);
	memcpy(area + MXCSR_OFFSET, &regs->mxcsr, sizeof(regs->mxcsr));
	xcr0 = features & XCR0_AVX512 & ~XCR0_AVX ? XCR0_AVX512 : XCR0_AVX;
	len = xcr0 == XCR0_AVX ? XSTATE_AVX : XSTATE_AVX512;
	features &= xcr0;
	memcpy(area + XCR0_OFFSET, &xcr0, sizeof(xcr0));
	memcpy(area + BV_OFFSET, &features, sizeof(features));
	put_note(n, "CORE", NT_FPREGSET, area, FXSAVE_BYTES);
	put_note(n, "LINUX", NT_X86_XSTATE, area, len);
}

static void put_process(struct notes *n, const struct core_source *src,
			const char *arguments)
{
	const CredsRecord *creds =
		core_find(src, TAG_CREDS, (uint32_t)src->task->pid);
	struct elf_prpsinfo p = { .pr_sname = 'R' };

	if (src->task->state == TASK_RECORD__STATE__STOPPED) {
		p.pr_state = 3;
		p.pr_sname = 'T';
	}
	if (creds && creds->n_uids && creds->n_gids) {
		p.pr_uid = creds->uids[0];
		p.pr_gid = creds->gids[0];
	}
	p.pr_pid = src->task->pid;
	p.pr_ppid = src->task->ppid;
	p.pr_pgrp = src->task->pgid;
	p.pr_sid = src->task->sid;
	strncpy(p.pr_fname, src->task->comm, sizeof(p.pr_fname) - 1);
	strncpy(p.pr_psargs, arguments, sizeof(p.pr_psargs) - 1);
	put_note(n, "CORE", NT_PRPSINFO, &p, sizeof(p));
}

/* Count, page size, three words for each, then the names. */
static int put_files(struct notes *n, const struct core_source *src,
		     struct err *err)
{
	size_t count = 0, bytes = 0, at = 2;
	uint64_t *words;
	uint8_t *names;

	for (size_t i = 0; i < src->nvmas; i++) {
		const ProtobufCBinaryData *name =
			core_file_name(src, src->vmas[i]);

		if (name && name->len > PATH_MAX_BYTES)
			return err_set(err, -EBADMSG, "a path of %zu bytes",
				       name->len);
		count += name != NULL;
		bytes += name ? 3 * sizeof(*words) + name->len + 1 : 0;
	}
	bytes += 2 * sizeof(*words);
	if (bytes > FILES_MAX)
		return err_set(err, -EFBIG, "names of %zu mapped files", count);
	words = calloc(1, bytes);
	if (!words)
		return err_num(err, ENOMEM, "names of mapped files");
	words[0] = count;
	words[1] = IMAGE_PAGE;
	names = (uint8_t *)(words + 2 + 3 * count);
	for (size_t i = 0; i < src->nvmas; i++) {
		const VmaRecord *v = src->vmas[i];
		const ProtobufCBinaryData *name = core_file_name(src, v);

		if (!name)
			continue;
		words[at++] = v->start;
		words[at++] = v->end;
		words[at++] = v->offset / IMAGE_PAGE;
		memcpy(names, name->data, name->len);
		names += name->len + 1;
	}
	put_note(n, "CORE", NT_FILE, words, bytes);
	free(words);
	return 0;
}

/* The leader first: that is where a debugger begins. */
static int put_all(struct notes *n, const struct core_source *src,
		   const char *arguments, struct err *err)
{
	for (size_t i = 0; i < src->task->n_tids; i++) {
		const RegsRecord *regs =
			core_find(src, TAG_REGS, (uint32_t)src->task->tids[i]);

		if (!regs)
			return err_set(err, -EBADMSG,
				       "thread %d has no registers",
				       (int)src->task->tids[i]);
		put_status(n, src, regs);
		if (i == 0) {
			put_process(n, src, arguments);
			put_note(n, "CORE", NT_AUXV, src->mm->auxv,
				 src->mm->n_auxv * sizeof(*src->mm->auxv));
			if (put_files(n, src, err) < 0)
				return err->code;
		}
		put_vectors(n, regs);
	}
	return 0;
}

int core_notes_size(const struct core_source *src, size_t *ret, struct err *err)
{
	struct notes n = { 0 };
	int r = put_all(&n, src, "", err);

	*ret = n.len;
	return r;
}

int core_notes(const struct core_source *src, const char *arguments,
	       uint8_t **ret, size_t *ret_len, struct err *err)
{
	struct notes n = { 0 };
	int r = core_notes_size(src, &n.room, err);

	if (r < 0)
		return r;
	n.data = calloc(1, n.room ? n.room : 1);
	if (!n.data)
		return err_num(err, ENOMEM, "notes of %zu bytes", n.room);
	r = put_all(&n, src, arguments, err);
	if (r < 0) {
		free(n.data);
		return r;
	}
	*ret = n.data;
	*ret_len = n.len;
	return 0;
}
