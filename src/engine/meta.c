// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/meta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "config.h"
#include "engine/vdso.h"
#include "images/limits.h"
#include "images/part.pb-c.h"
#include "images/tags.h"
#include "inject/cpu.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/devpts.h"
#include "util/io.h"

static int meta_write(void *arg, const void *data, size_t len, struct err *err)
{
	struct meta_stream *m = arg;

	digest_add(m->digest, data, len);
	return writer_put(m->writer, m->stream, data, len, err);
}

int meta_stream_init(struct meta_stream *m, struct writer *writer,
		     uint32_t stream, struct err *err)
{
	memset(m, 0, sizeof(*m));
	m->writer = writer;
	m->stream = stream;
	m->sink.write = meta_write;
	m->sink.arg = m;
	m->sink.records = &m->records;
	return digest_new(&m->digest, err);
}

void meta_stream_done(struct meta_stream *m)
{
	digest_free(m->digest);
	m->digest = NULL;
}

static int read_boot_id(char **ret, struct err *err)
{
	size_t len;
	int r;

	r = read_file_at(-1, "/proc/sys/kernel/random/boot_id", 128, ret, &len,
			 err);
	if (r < 0)
		return err_wrap(err, r, "boot id");
	(*ret)[strcspn(*ret, "\n")] = '\0';
	return 0;
}

/* The job's clocks at the cut: both stood at the same instant. */
static int fill_clocks(PartRecord *rec, const struct frozen_tree *tree,
		       struct err *err)
{
	int64_t monotonic, boottime;
	int64_t suspended =
		(int64_t)(clock_ns(CLOCK_BOOTTIME) - clock_monotonic_ns());
	int r;

	r = proc_read_timens(tree->tasks[0].proc_fd, &monotonic, &boottime,
			     err);
	if (r < 0)
		return r;
	rec->monotonic_ns = (int64_t)tree->stopped_ns + monotonic;
	rec->boottime_ns = (int64_t)tree->stopped_ns + suspended + boottime;
	return 0;
}

static pid_t root_ns_pid(const struct frozen_tree *tree, pid_t root_pid)
{
	for (size_t i = 0; i < tree->ntasks; i++)
		if (tree->tasks[i].pid == root_pid)
			return tree->tasks[i].ns_pid;
	return 0;
}

static size_t strings(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* CPUID words as they are in memory here: little endian. */
static void fill_cpu(PartRecord *rec, struct cpu_info *cpu)
{
	cpu_info_read(cpu);
	rec->xcr0 = cpu->xcr0;
	rec->xstate_size = cpu->xstate_size;
	rec->cpu_features.data = (uint8_t *)cpu->words;
	rec->cpu_features.len = sizeof(cpu->words);
}

/* image is our own memory: borrowed by rec. */
static int fill_vdso(PartRecord *rec, uint8_t digest[DIGEST_BYTES],
		     struct err *err)
{
	struct vdso_image image;
	int r;

	r = vdso_own(&image, err);
	if (r == 0)
		r = vdso_digest(&image, digest, err);
	if (r < 0)
		return r;
	rec->vdso_digest.data = digest;
	rec->vdso_digest.len = DIGEST_BYTES;
	rec->has_vdso_image = image.len <= VDSO_MAX_BYTES;
	rec->vdso_image.data = (uint8_t *)image.data;
	rec->vdso_image.len = image.len;
	rec->vdso_random = vdso_random_size();
	rec->has_vdso_random = rec->vdso_random != 0;
	return 0;
}

int meta_put_part(struct meta_stream *m, const struct checkpoint_args *args,
		  const struct frozen_tree *tree, struct err *err)
{
	PartRecord rec = PART_RECORD__INIT;
	auto_free char *boot_id = NULL;
	uint8_t vdso[DIGEST_BYTES];
	struct cpu_info cpu = { 0 };
	struct utsname uts;
	int r;

	if (uname(&uts) < 0)
		return err_sys(err, "uname");
	r = read_boot_id(&boot_id, err);
	if (r == 0)
		r = fill_clocks(&rec, tree, err);
	if (r == 0)
		r = fill_vdso(&rec, vdso, err);
	if (r < 0)
		return r;
	fill_cpu(&rec, &cpu);
	rec.node = (char *)args->node;
	rec.kernel_release = uts.release;
	rec.boot_id = boot_id;
	rec.isa = args->isa;
	rec.has_isa = rec.isa != 0;
	rec.files = args->files;
	rec.has_files = rec.files != 0;
	rec.interval = args->interval_s;
	rec.has_interval = rec.interval != 0;
	rec.peers = args->reset_peers;
	rec.has_peers = args->reset_peers;
	rec.own_pts =
		devpts_is_own(args->init_pid ? args->init_pid : args->root_pid);
	rec.has_own_pts = rec.own_pts;
	rec.page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	rec.root_pid = root_ns_pid(tree, args->root_pid);
	rec.stdio_path = (char **)args->stdio;
	rec.n_stdio_path = strings(args->stdio);
	if (!rec.root_pid)
		return err_set(err, -ESRCH,
			       "the job's first process (%d) has ended",
			       args->root_pid);
	return img_put(&m->sink, TAG_PART, &rec.base, err);
}

int meta_put_end(struct meta_stream *m, uint64_t page_bytes, uint32_t extents,
		 uint8_t ret_digest[DIGEST_BYTES], struct err *err)
{
	PartEndRecord rec = PART_END_RECORD__INIT;
	int r;

	rec.records = m->records;
	rec.page_bytes = page_bytes;
	rec.extents = extents;
	r = img_put(&m->sink, TAG_PART_END, &rec.base, err);
	if (r == 0)
		digest_end(m->digest, ret_digest);
	return r;
}

#define FEATURES 3

static void fill_manifest(ManifestRecord *rec,
			  const struct checkpoint_args *args, bool uprobes,
			  bool borrowed, char *features[FEATURES])
{
	size_t n = 0;

	rec->format = IMAGE_FORMAT;
	rec->job_id = (char *)args->job_id;
	rec->generation = args->generation;
	rec->cause = (char *)args->cause;
	rec->uid = args->owner->uid;
	rec->gid = args->owner->gid;
	rec->created_ns = clock_ns(CLOCK_REALTIME);
	rec->cluster = (char *)args->cluster;
	rec->jobcr_version = (char *)PACKAGE_VERSION;
	rec->name = (char *)args->name;
	rec->has_frozen_ns = rec->has_page_bytes = 1;
	rec->has_epoch = rec->has_began_from = args->epoch > 0;
	rec->epoch = args->epoch;
	rec->began_from = args->base;
	if (args->terminal)
		features[n++] = (char *)SNAPSHOT_TERMINAL;
	if (uprobes)
		features[n++] = (char *)SNAPSHOT_UPROBES;
	if (borrowed)
		features[n++] = (char *)SNAPSHOT_INCREMENTAL;
	rec->n_features = n;
	rec->features = features;
}

int manifest_make(const struct checkpoint_args *args, bool uprobes,
		  const struct meta_file *files, size_t count,
		  const struct checkpoint_result *facts, uint8_t **ret,
		  size_t *ret_len, struct err *err)
{
	ManifestRecord rec = MANIFEST_RECORD__INIT;
	PartEntry part = PART_ENTRY__INIT, *parts = &part;
	char *features[FEATURES];
	auto_free StreamEntry *entries = calloc(count, sizeof(*entries));
	auto_free StreamEntry **ptrs = calloc(count, sizeof(*ptrs));
	bool borrowed = false;

	if (!entries || !ptrs)
		return err_set(err, -ENOMEM, "manifest");
	for (size_t i = 0; i < count; i++) {
		stream_entry__init(&entries[i]);
		entries[i].name = (char *)files[i].name;
		entries[i].length = files[i].length;
		entries[i].digest.data = (uint8_t *)files[i].digest;
		entries[i].digest.len = files[i].digest ? DIGEST_BYTES : 0;
		entries[i].has_borrowed_from = files[i].borrowed_from != 0;
		entries[i].borrowed_from = files[i].borrowed_from;
		borrowed |= files[i].borrowed_from != 0;
		ptrs[i] = &entries[i];
	}
	part.node = (char *)args->node;
	part.streams = ptrs;
	part.n_streams = count;
	fill_manifest(&rec, args, uprobes, borrowed, features);
	rec.frozen_ns = facts->frozen_ns;
	rec.page_bytes = facts->page_bytes + facts->borrowed_bytes;
	rec.has_borrowed_bytes = facts->borrowed_bytes != 0;
	rec.borrowed_bytes = facts->borrowed_bytes;
	rec.parts = &parts;
	rec.n_parts = 1;
	return snapshot_manifest_pack(&rec, ret, ret_len, err);
}
