/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a restore refuses before anything is made: images that nobody could
 * have saved, nodes that lack something, and owners who would gain rights.
 */
#include "engine/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reg.h>
#include <unistd.h>

#include "../lib/sample.h"
#include "../lib/tap.h"
#include "../lib/tiny.h"
#include "engine/vdso.h"
#include "images/mm.pb-c.h"
#include "images/part.pb-c.h"
#include "images/process.pb-c.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "util/cleanup.h"
#include "util/file_policy.h"

static const struct tiny_person tree[] = {
	{ 7, 0, 7, 7, 8, TASK_RECORD__STATE__RUNNING },
	{ 9, 7, 7, 7, 0, TASK_RECORD__STATE__RUNNING },
	{ 10, 7, 7, 7, 0, TASK_RECORD__STATE__ZOMBIE },
};

static struct user_id owner;

static ProtobufCMessage *record(const struct meta *meta, uint32_t tag)
{
	for (size_t i = 0; i < meta->count; i++)
		if (meta->entries[i].tag == tag)
			return meta->entries[i].msg;
	abort();
}

static void expect(const struct meta *meta, int code, const char *part,
		   const char *name)
{
	struct plan plan = { 0 };
	struct err err = { 0 };
	int r = plan_make(meta, &owner, &plan, &err);

	ok(r == code && strstr(err.text, part), "%s: %s", name, err.text);
	if (r == 0)
		plan_done(&plan);
}

/* Change one thing, look, and change it back. */
#define WITH(lvalue, value, code, part, name)                                  \
	do {                                                                   \
		__typeof__(lvalue) old = (lvalue);                             \
		(lvalue) = (value);                                            \
		expect(meta, code, part, name);                                \
		(lvalue) = old;                                                \
	} while (0)

static void test_owner(const struct meta *meta)
{
	CredsRecord *c = (CredsRecord *)record(meta, TAG_CREDS);

	owner.uid = owner.gid = 1000;
	expect(meta, -EPERM, "uid 0", "a process of root in a user's job");
	for (size_t i = 0; i < meta->count; i++) {
		CredsRecord *each = (CredsRecord *)meta->entries[i].msg;

		if (meta->entries[i].tag != TAG_CREDS)
			continue;
		for (size_t k = 0; k < 4; k++)
			each->uids[k] = each->gids[k] = 1000;
	}
	expect(meta, 0, "", "a user's own job");
	WITH(c->uids[2], 0, -EPERM, "uid 0", "a saved uid of root");
	WITH(c->gids[1], 4, -EPERM, "group 4", "a group the user is not in");
	WITH(c->cap_permitted, 1, -EPERM, "capabilities", "a capability");
	WITH(c->cap_ambient, 1, -EPERM, "capabilities", "an ambient one");
	owner.uid = owner.gid = 0;
}

/* It would be the node's: that is opened with our rights. */
static void test_terminal(const struct meta *meta)
{
	TerminalRecord rec = TERMINAL_RECORD__INIT;
	size_t last = meta->count - 1;
	struct meta more = { calloc(meta->count + 1, sizeof(*more.entries)),
			     meta->count + 1 };

	rec.pid = 7;
	rec.leads = rec.has_leads = 1;
	rec.index = 3;
	rec.has_index = 1;
	memcpy(more.entries, meta->entries, last * sizeof(*more.entries));
	more.entries[last] = (struct meta_entry){ TAG_TERMINAL, &rec.base };
	more.entries[last + 1] = meta->entries[last];
	expect(&more, -EBADMSG, "no pseudo terminal 3",
	       "a session of a terminal that is not the job's");
	free(more.entries);
}

/* Nobody whom anything could be given to. */
static void test_dead(const struct meta *meta)
{
	TaskRecord *root = (TaskRecord *)record(meta, TAG_TASK);
	struct meta_entry entries[] = { meta->entries[0],
					{ TAG_TASK, &root->base } };
	const struct meta dead = { entries, ARRAY_SIZE(entries) };
	const TaskRecord__State was = root->state;

	root->state = TASK_RECORD__STATE__ZOMBIE;
	expect(&dead, -EBADMSG, "no process that lives", "only the dead");
	root->state = was;
}

/* One record more, of a kind that no resource restores. */
static void test_no_resource(const struct meta *meta)
{
	OutputRecord rec = OUTPUT_RECORD__INIT;
	size_t last = meta->count - 1;
	struct meta more = { calloc(meta->count + 1, sizeof(*more.entries)),
			     meta->count + 1 };

	memcpy(more.entries, meta->entries, last * sizeof(*more.entries));
	more.entries[last].msg = &rec.base;
	more.entries[last + 1] = meta->entries[last];
	more.entries[last].tag = TAG_OUTPUT;
	expect(&more, 0, "", "a record that a job does without");
	more.entries[last].tag = TAG_OUTPUT & ~TAG_OPTIONAL;
	expect(&more, -ENOTSUP, "no part of this jobcr", "one that it needs");
	free(more.entries);
}

static void test_node(const struct meta *meta)
{
	PartRecord *p = (PartRecord *)record(meta, TAG_PART);
	uint32_t *words = (uint32_t *)(void *)p->cpu_features.data;

	WITH(p->vdso_digest.data[3], p->vdso_digest.data[3] ^ 1, -EBADMSG,
	     "vDSO", "a vDSO that is not the one of its digest");
	WITH(words[4], UINT32_MAX, -ENOTSUP, "n1", "a CPU with more features");
	WITH(p->xcr0, UINT64_MAX, -ENOTSUP, "n1", "more register state");
	WITH(p->isa, 1, -EBADMSG, "level 1", "a level that is none");
	WITH(p->isa, 5, -EBADMSG, "level 5", "a level of the future");
	WITH(p->files, FILES_POLICIES, -EBADMSG, "policy", "a future policy");
	WITH(p->page_size, 65536, -ENOTSUP, "65536", "larger pages");
	WITH(p->cpu_features.len, 3, -EBADMSG, "features", "few features");
}

/* State that no CPU of here has, in a job that promised not to use it. */
static void test_level(const struct meta *meta)
{
	PartRecord *p = (PartRecord *)record(meta, TAG_PART);
	RegsRecord *g = (RegsRecord *)record(meta, TAG_REGS);
	XstateComponent **before = g->xstate, *list[1], apx;
	uint64_t xcr0 = p->xcr0;
	uint8_t data[128] = { 0 };

	xstate_component__init(&apx);
	apx.number = 19;
	apx.data = (ProtobufCBinaryData){ sizeof(data), data };
	list[0] = &apx;
	p->xcr0 |= 1ull << 19;
	expect(meta, -ENOTSUP, "state apx", "state of a newer CPU");
	p->isa = 3;
	expect(meta, 0, "", "which a job of a level does without");
	g->xstate = list;
	g->n_xstate = 1;
	expect(meta, 0, "", "and has not used");
	data[77] = 1;
	expect(meta, -ENOTSUP, "thread 7 uses register state apx",
	       "one that has used it");
	g->xstate = before;
	g->n_xstate = 0;
	p->xcr0 = xcr0;
	p->isa = 0;
}

static VmaRecord *vdso_of(const struct meta *meta)
{
	for (size_t i = 0; i < meta->count; i++) {
		VmaRecord *v = (VmaRecord *)meta->entries[i].msg;

		if (meta->entries[i].tag == TAG_VMA &&
		    v->kind == VMA_RECORD__KIND__VDSO)
			return v;
	}
	return NULL;
}

/* It differs in one byte of its code, which a thread must not run. */
static void test_kernel(const struct meta *meta)
{
	PartRecord *p = (PartRecord *)record(meta, TAG_PART);
	RegsRecord *g = (RegsRecord *)record(meta, TAG_REGS);
	struct vdso_image image = { p->vdso_image.data, p->vdso_image.len };
	struct vdso_function f[VDSO_FUNCTIONS];
	VmaRecord *v = vdso_of(meta);
	struct err err = { 0 };
	uint64_t at;
	size_t n;

	ok(vdso_functions(&image, f, &n, &err) == 0, "a vDSO: %s", err.text);
	p->vdso_image.data[f[0].offset + 20] ^= 1;
	(void)vdso_digest(&image, p->vdso_digest.data, &err);
	expect(meta, 0, "", "another kernel's vDSO");
	WITH(p->has_vdso_image, 0, -ENOTSUP, "not in the snapshot",
	     "one that was not saved");
	WITH(p->vdso_image.len, 4096, -EBADMSG, "vDSO", "half of it");
	WITH(v->end, v->end + 4096, -EBADMSG, "size", "a longer mapping");
	at = v->start + f[0].offset;
	WITH(g->general[RIP], at, 0, "", "a thread that is about to call it");
	WITH(g->general[RIP], at + 16, -ENOTSUP, "stands in the vDSO",
	     "a thread that is in the middle of it");
	p->vdso_image.data[f[0].offset + 20] ^= 1;
	(void)vdso_digest(&image, p->vdso_digest.data, &err);
	expect(meta, 0, "", "this kernel's again");
}

static void test_records(const struct meta *meta)
{
	TaskRecord *t = (TaskRecord *)record(meta, TAG_TASK);
	RegsRecord *g = (RegsRecord *)record(meta, TAG_REGS);
	VmaRecord *v = (VmaRecord *)record(meta, TAG_VMA);
	MmRecord *m = (MmRecord *)record(meta, TAG_MM);

	WITH(t->tids[1], 9, -EBADMSG, "thread 9", "a thread that is a task");
	WITH(t->tids[0], 11, -EBADMSG, "pid 7", "a leader of another name");
	WITH(t->pid, 1, -EBADMSG, "pid 1", "a task that is init");
	WITH(t->n_tids, 0, -EBADMSG, "pid 7", "no threads");
	WITH(t->exit_signal, 99, -EBADMSG, "signal", "signal 99");
	WITH(g->tid, 8, -EBADMSG, "register sets", "registers twice");
	WITH(g->tid, 77, -EBADMSG, "thread 77", "registers of nobody");
	WITH(g->n_general, 26, -EBADMSG, "26 registers", "too few registers");
	WITH(v->end, v->start, -EBADMSG, "mapping at", "an empty mapping");
	WITH(v->start, v->start + 1, -EBADMSG, "mapping at", "an odd one");
	WITH(v->end, 0x700000, -EBADMSG, "overlap", "two at one place");
	WITH(v->end, 0xffffffffff600000, -EBADMSG, "mapping at",
	     "one of the kernel's");
	WITH(v->kind, VMA_RECORD__KIND__FILE_PRIVATE, -EBADMSG, "no object",
	     "a mapped file without a file");
	WITH(v->kind, VMA_RECORD__KIND__VDSO, -ENOTSUP, "2 vDSOs", "two vDSOs");
	WITH(v->pid, 10, -EBADMSG, "pid 10", "memory of a zombie");
	WITH(m->pid, 9, -EBADMSG, "address spaces", "two address spaces");
	WITH(meta->entries[0].tag, TAG_TASK, -EBADMSG, "part", "no part");
}

/* No answer but yes or a reason, whatever is in a number. */
static void test_any(const struct meta *meta)
{
	static const uint64_t values[] = { 0,          1,
					   7,          8,
					   10,         1u << 31,
					   UINT32_MAX, UINT64_MAX >> 1,
					   UINT64_MAX, 4096 };
	const ProtobufCFieldDescriptor *f;
	size_t tried = 0, silent = 0;

	for (size_t i = 0; i < meta->count; i++) {
		ProtobufCMessage *msg = meta->entries[i].msg;

		for (unsigned int k = 0; k < msg->descriptor->n_fields; k++) {
			uint64_t old;
			uint8_t *at;

			f = &msg->descriptor->fields[k];
			at = (uint8_t *)msg + f->offset;
			if (f->type >= PROTOBUF_C_TYPE_FLOAT ||
			    f->label == PROTOBUF_C_LABEL_REPEATED)
				continue;
			for (size_t n = 0; n < ARRAY_SIZE(values); n++) {
				bool wide =
					f->type == PROTOBUF_C_TYPE_FIXED64 ||
					f->type == PROTOBUF_C_TYPE_SFIXED64 ||
					f->type == PROTOBUF_C_TYPE_UINT64;
				size_t len = wide ? 8 : 4;
				struct plan plan = { 0 };
				struct err err = { 0 };

				memcpy(&old, at, len);
				memcpy(at, &values[n], len);
				if (plan_make(meta, &owner, &plan, &err) == 0)
					plan_done(&plan);
				else
					silent += !err.text[0];
				memcpy(at, &old, len);
				tried++;
			}
		}
	}
	ok(silent == 0 && tried > 1000,
	   "each of %zu changed numbers is taken or refused with a reason",
	   tried);
}

int main(void)
{
	struct meta meta = { 0 };
	ManifestRecord *m = NULL;
	struct err err = { 0 };
	char dir[64];
	auto_close int dir_fd = temp_dir(dir);
	int r;

	r = tiny_write(dir_fd, tree, ARRAY_SIZE(tree), &err);
	if (r == 0)
		r = snapshot_manifest(dir_fd, NULL, &m, &err);
	if (r == 0)
		r = snapshot_meta(dir_fd, NULL, m->parts[0], &meta, &err);
	if (r == 0) {
		expect(&meta, 0, "", "an image that is right");
		test_node(&meta);
		test_no_resource(&meta);
		test_terminal(&meta);
		test_dead(&meta);
		test_kernel(&meta);
		test_level(&meta);
		test_records(&meta);
		test_any(&meta);
		test_owner(&meta);
	} else {
		ok(false, "image: %s", err.text);
	}
	meta_done(&meta);
	if (m)
		manifest_record__free_unpacked(m, NULL);
	temp_dir_remove(dir);
	return done_testing();
}
