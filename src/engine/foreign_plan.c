/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/foreign_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>

#include "engine/vdso.h"
#include "images/limits.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "util/cleanup.h"

const VmaRecord *foreign_vdso(const struct plan *plan, int32_t pid)
{
	const struct plan_record *recs;
	size_t count, i = 0;

	recs = plan_find(plan, TAG_VMA, (uint32_t)pid, &count);
	while (((const VmaRecord *)recs[i].msg)->kind != VMA_RECORD__KIND__VDSO)
		i++;
	return (const VmaRecord *)recs[i].msg;
}

static int refuse(const struct plan *plan, const char *why, struct err *err)
{
	return err_set(err, -ENOTSUP,
		       "saved on node %s with kernel %s, whose vDSO is not "
		       "this kernel's%s: restore on a node with that kernel",
		       plan->part->node, plan->part->kernel_release, why);
}

static int check_image(const struct plan *plan, const struct vdso_image *kernel,
		       struct err *err)
{
	const PartRecord *part = plan->part;
	const struct vdso_image image = { part->vdso_image.data,
					  part->vdso_image.len };
	const struct vdso_target to = { *kernel, 0, 0 };
	auto_free uint8_t *copy = NULL;
	uint8_t digest[DIGEST_BYTES];
	int r;

	if (!part->has_vdso_image)
		return refuse(plan, " and is not in the snapshot", err);
	if (image.len == 0 || image.len > VDSO_MAX_BYTES ||
	    image.len % IMAGE_PAGE)
		return err_set(err, -EBADMSG, "a vDSO of %zu bytes", image.len);
	r = vdso_digest(&image, digest, err);
	if (r < 0)
		return r;
	if (memcmp(digest, part->vdso_digest.data, sizeof(digest)) != 0)
		return err_set(err, -EBADMSG, "not the vDSO of its digest");
	copy = malloc(image.len);
	if (!copy)
		return err_num(err, ENOMEM, "vDSO");
	memcpy(copy, image.data, image.len);
	r = vdso_redirect(copy, image.len, 0, &to, err);
	return r < 0 ? err_wrap(err, r, "vDSO of kernel %s",
				part->kernel_release)
		     : 0;
}

/*
 * At the entry of a function a thread takes the jump.  At a system call, and
 * behind one, the rest of the old code only returns what the call brings; but
 * that of getrandom goes on to look at what the kernel shows.
 */
bool foreign_goes_on(const struct plan *plan, uint64_t offset)
{
	static const uint8_t insn[] = { 0x0f, 0x05 };
	const struct vdso_image image = { plan->part->vdso_image.data,
					  plan->part->vdso_image.len };
	struct vdso_function list[VDSO_FUNCTIONS];
	struct err ignored;
	size_t n = 0;

	(void)vdso_functions(&image, list, &n, &ignored);
	for (size_t i = 0; i < n; i++) {
		if (list[i].offset == offset)
			return true;
		if (strcmp(list[i].name, "getrandom") == 0 &&
		    offset - list[i].offset < list[i].room)
			return false;
	}
	for (uint64_t at = offset < 2 ? 0 : offset - 2; at <= offset; at += 2)
		if (at + 2 <= image.len &&
		    memcmp(image.data + at, insn, sizeof(insn)) == 0)
			return true;
	return false;
}

static int check_threads(const struct plan *plan, struct err *err)
{
	const struct plan_record *recs;
	struct user_regs_struct regs;
	const struct plan_thread *t;
	const VmaRecord *v;
	size_t count;

	for (size_t i = 0; i < plan->nthreads; i++) {
		t = &plan->threads[i];
		v = foreign_vdso(plan, plan->tasks[t->task]->pid);
		if (v->end - v->start != plan->part->vdso_image.len)
			return err_set(err, -EBADMSG,
				       "pid %d: its vDSO has another size",
				       v->pid);
		recs = plan_find(plan, TAG_REGS, (uint32_t)t->tid, &count);
		memcpy(&regs, ((const RegsRecord *)recs[0].msg)->general,
		       sizeof(regs));
		if (regs.rip >= v->start && regs.rip < v->end &&
		    !foreign_goes_on(plan, regs.rip - v->start))
			return err_set(
				err, -ENOTSUP,
				"thread %d stands in the vDSO of kernel "
				"%s, which is not this kernel's: restore "
				"on a node with that kernel, or take "
				"another snapshot",
				t->tid, plan->part->kernel_release);
	}
	return 0;
}

int foreign_plan(struct plan *plan, struct err *err)
{
	const PartRecord *part = plan->part;
	uint8_t digest[DIGEST_BYTES];
	struct vdso_image kernel;
	int r;

	r = vdso_own(&kernel, err);
	if (r == 0)
		r = vdso_digest(&kernel, digest, err);
	if (r < 0)
		return r;
	if (part->vdso_digest.len != sizeof(digest))
		return err_set(err, -EBADMSG, "digest of the vDSO");
	plan->foreign =
		memcmp(part->vdso_digest.data, digest, sizeof(digest)) != 0;
	if (!plan->foreign)
		return 0;
	r = check_image(plan, &kernel, err);
	return r < 0 ? r : check_threads(plan, err);
}
