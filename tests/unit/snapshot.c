/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/files.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/part.pb-c.h"
#include "images/tags.h"
#include "images/task.pb-c.h"
#include "snapshot/print.h"
#include "snapshot/snapshot.h"
#include "storage/small.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/io.h"

/* One byte of a file, changed in place. */
static void flip(int dir_fd, const char *name, off_t bit)
{
	auto_close int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC);
	uint8_t byte = 0;

	if (pread(fd, &byte, 1, bit / 8) != 1)
		abort();
	byte ^= (uint8_t)(1 << bit % 8);
	if (pwrite(fd, &byte, 1, bit / 8) != 1)
		abort();
}

static off_t length(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, 0) < 0 ? 0 : st.st_size;
}

/* What a restore does before it builds anything, or verify. */
static int check(int dir_fd, struct err *err)
{
	return snapshot_verify(dir_fd, NULL, VERIFY_PAGES, err);
}

static void test_flips(int dir_fd, const char *name, off_t step)
{
	off_t bits = length(dir_fd, name) * 8, bit;
	unsigned int missed = 0, unnamed = 0, tried = 0;
	struct err err = { 0 };

	for (bit = 0; bit < bits; bit += step) {
		flip(dir_fd, name, bit);
		if (check(dir_fd, &err) >= 0)
			missed++;
		else if (strncmp(err.text, name, strlen(name)) != 0)
			unnamed++;
		flip(dir_fd, name, bit);
		tried++;
	}
	ok(tried && !missed, "%s: each of %u flipped bits is noticed, %u not",
	   name, tried, missed);
	ok(!unnamed, "%s: and the file is named, as in: %s", name, err.text);
	ok(check(dir_fd, &err) == 0, "%s: put back, it is well", name);
}

static void test_lengths(int dir_fd, const char *name)
{
	auto_close int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC);
	off_t len = length(dir_fd, name), cut;
	auto_free uint8_t *data = malloc((size_t)len);
	unsigned int missed = 0;
	struct err err = { 0 };

	if (pread(fd, data, (size_t)len, 0) != len)
		abort();
	for (cut = 0; cut < len; cut += len / 37 + 1) {
		if (ftruncate(fd, cut) < 0)
			abort();
		if (check(dir_fd, &err) >= 0 || !strstr(err.text, name))
			missed++;
		if (pwrite(fd, data, (size_t)len, 0) != len)
			abort();
	}
	ok(!missed, "%s: cut short it is refused: %s", name, err.text);
	for (missed = 0, cut = 1; cut <= 4096; cut += 4095) {
		if (ftruncate(fd, len + cut) < 0)
			abort();
		if (check(dir_fd, &err) >= 0 || !strstr(err.text, name))
			missed++;
	}
	if (ftruncate(fd, len) < 0)
		abort();
	ok(!missed, "%s: with a tail it is refused: %s", name, err.text);
}

static void test_missing(int dir_fd, const char *name, int expect)
{
	struct err err = { 0 };
	int r;

	renameat(dir_fd, name, dir_fd, "aside");
	r = check(dir_fd, &err);
	ok(r == expect && strstr(err.text, name), "%s is missing: %s", name,
	   err.text);
	ok(symlinkat("aside", dir_fd, name) == 0 &&
		   check(dir_fd, &err) == -EBADMSG && strstr(err.text, name),
	   "%s: a link is not followed: %s", name, err.text);
	unlinkat(dir_fd, name, 0);
	ok(mkfifoat(dir_fd, name, 0600) == 0 && check(dir_fd, &err) < 0,
	   "%s: a fifo is not waited for: %s", name, err.text);
	unlinkat(dir_fd, name, 0);
	renameat(dir_fd, "aside", dir_fd, name);
	ok(check(dir_fd, &err) == 0, "%s is back", name);
}

/* In three steps: not all file systems exchange names. */
static void swap(int dir_fd, const char *a, const char *b)
{
	renameat(dir_fd, a, dir_fd, "aside");
	renameat(dir_fd, b, dir_fd, a);
	renameat(dir_fd, "aside", dir_fd, b);
}

static void test_swapped(int dir_fd)
{
	struct err err = { 0 };

	swap(dir_fd, SAMPLE_PAGES, SAMPLE_MORE);
	ok(check(dir_fd, &err) == -EBADMSG && strstr(err.text, SAMPLE_PAGES),
	   "two streams that changed names: %s", err.text);
	swap(dir_fd, SAMPLE_PAGES, SAMPLE_MORE);
	swap(dir_fd, SAMPLE_META, "manifest");
	ok(check(dir_fd, &err) == -EBADMSG, "meta and manifest: %s", err.text);
	swap(dir_fd, SAMPLE_META, "manifest");
}

/* One thing wrong in records whose frames, digests and hashes are right. */
struct lie {
	const char *what;
	uint32_t tag;
	unsigned int nth;
	void (*tell)(ProtobufCMessage *msg);
	uint32_t skip;
	int expect;
	unsigned int seen;
};

static void tell_lie(void *arg, uint32_t tag, ProtobufCMessage *msg)
{
	struct lie *lie = arg;

	if (lie->tell && tag == lie->tag && lie->seen++ == lie->nth)
		lie->tell(msg);
}

#define LIE(name, type, statement)                                             \
	static void name(ProtobufCMessage *msg)                                \
	{                                                                      \
		type *rec = (type *)msg;                                       \
		statement;                                                     \
	}

LIE(task_pid, TaskRecord, rec->pid = rec->tids[0] = 5)
LIE(task_parent, TaskRecord, rec->ppid = 99)
LIE(task_self, TaskRecord, rec->ppid = rec->pid)
LIE(task_tid, TaskRecord, rec->tids[1] = 7)
LIE(task_leader, TaskRecord, rec->tids[0] = 8)
LIE(fd_object, FdRecord, rec->object = 77)
LIE(fd_pid, FdRecord, rec->pid = 77)
LIE(file_object, FileRecord, rec->open->object = 2)
LIE(file_zero, FileRecord, rec->open->object = 0)
LIE(file_ghost, FileRecord, rec->ghost = 1)
LIE(file_lock, FileRecord, rec->locks[0]->pid = 77)
LIE(end_pipe, PipeEndRecord, rec->pipe = 1)
LIE(mm_exe, MmRecord, rec->exe_object = 9)
LIE(vma_object, VmaRecord, rec->object = 9)
LIE(vma_order, VmaRecord, rec->end = 0x400000)
LIE(vma_page, VmaRecord, rec->end = 0x404100)
LIE(vma_overlap, VmaRecord, rec->end = 0x405000)
LIE(vma_far, VmaRecord, rec->end = 1ull << 60)
LIE(pages_both, PagesRecord, rec->object = 9)
LIE(pages_none, PagesRecord, rec->pid = 0)
LIE(pages_pid, PagesRecord, rec->pid = 7)
LIE(pages_object, PagesRecord, rec->object = 3)
LIE(extent_zero, PagesRecord, rec->extents[0]->pages = 0)
LIE(extent_huge, PagesRecord, rec->extents[0]->pages = 0x80000001u)
LIE(extent_page, PagesRecord, rec->extents[0]->address++)
LIE(extent_wrap, PagesRecord, rec->extents[0]->address = ~0xfffull)
LIE(extent_outside, PagesRecord, rec->extents[0]->address = 0x405000)
LIE(extent_twice, PagesRecord, rec->extents[0]->address = 0x401000)
LIE(extent_stream, PagesRecord, rec->extents[0]->stream = 3)
LIE(extent_meta, PagesRecord, rec->extents[0]->stream = 0)
LIE(extent_offset, PagesRecord, rec->extents[0]->offset = 4096)
LIE(extent_far, PagesRecord, rec->extents[0]->offset = ~0xfffull)
static uint32_t own_parts[] = { 0, 1 };
LIE(extent_short, PagesRecord, rec->extents[0]->pages = 1)
LIE(extent_parts, PagesRecord, rec->extents[0]->parts = own_parts;
    rec->extents[0]->n_parts = 2)
LIE(extent_hash_lie, PagesRecord, rec->extents[0]->hash++)
LIE(cow_self, CowRecord, rec->from = 7)
LIE(cow_nobody, CowRecord, rec->from = 99)
LIE(cow_odd, CowRecord, rec->n_ranges = 3)
LIE(cow_none, CowRecord, rec->n_ranges = 0)
LIE(cow_order, CowRecord, rec->ranges[0] = 0x404000)
LIE(cow_page, CowRecord, rec->ranges[1]--)
LIE(cow_twice, CowRecord, rec->ranges[1] = 0x405000)
LIE(cow_outside, CowRecord, rec->ranges[3] = 0x406000)
LIE(cow_unlike, CowRecord, rec->pid = 5; rec->from = 7;
    rec->ranges[0] = 0x401000; rec->n_ranges = 2)
LIE(cow_own, PagesRecord, rec->pid = 7)
LIE(blocks_stream, BlocksRecord, rec->stream = 3)
LIE(blocks_meta, BlocksRecord, rec->stream = 0)
LIE(blocks_other, BlocksRecord, rec->stream = 2)
LIE(blocks_none, BlocksRecord, rec->n_blocks = 0)
LIE(blocks_less, BlocksRecord, rec->n_blocks = 1)
LIE(block_bytes, BlocksRecord, rec->blocks[0]->bytes = 0)
LIE(block_big, BlocksRecord, rec->blocks[0]->bytes = (4u << 20) + 4096)
LIE(block_page, BlocksRecord, rec->blocks[0]->bytes++)
LIE(block_more, BlocksRecord, rec->blocks[1]->bytes += 4096)
LIE(block_stored, BlocksRecord, rec->blocks[0]->stored = 0)
LIE(block_long, BlocksRecord, rec->blocks[1]->stored += 8192)
LIE(block_packed, BlocksRecord, rec->blocks[0]->packed = 4097)
LIE(block_few, BlocksRecord, rec->blocks[0]->packed = 0)
LIE(block_short, BlocksRecord, rec->blocks[0]->packed--)
LIE(block_hash, BlocksRecord, rec->blocks[0]->hash++)
LIE(block_no_hash, BlocksRecord, rec->blocks[0]->has_hash = 0)
LIE(block_codec, BlocksRecord, rec->blocks[0]->codec = 99)
LIE(block_swap, BlocksRecord, rec->blocks[1]->codec = 1)
LIE(block_plain, BlocksRecord, rec->blocks[0]->codec = 0)
LIE(block_cut, PagesRecord, rec->extents[0]->offset = 4096)
LIE(end_records, PartEndRecord, rec->records++)
LIE(end_bytes, PartEndRecord, rec->page_bytes += 4096)
LIE(part_node, PartRecord, rec->node = (char *)"node-b")
LIE(part_page, PartRecord, rec->page_size = 65536)

static struct lie lies[] = {
	{ "two tasks with one pid", TAG_TASK, 1, task_pid },
	{ "a parent that is not there", TAG_TASK, 1, task_parent },
	{ "a task that is its own parent", TAG_TASK, 1, task_self },
	{ "a thread of two tasks", TAG_TASK, 0, task_tid },
	{ "a leader that is not first", TAG_TASK, 0, task_leader },
	{ "a descriptor of nothing", TAG_FD, 0, fd_object },
	{ "a descriptor of nobody", TAG_FD, 0, fd_pid },
	{ "two files with one number", TAG_FILE, 0, file_object },
	{ "a file without a number", TAG_FILE, 0, file_zero },
	{ "a ghost that is not there", TAG_FILE, 0, file_ghost },
	{ "a lock of nobody", TAG_FILE, 0, file_lock },
	{ "a pipe that is not there", TAG_PIPE_END, 0, end_pipe },
	{ "a program that is no open file", TAG_MM, 0, mm_exe },
	{ "a mapped file that is none", TAG_VMA, 1, vma_object },
	{ "a mapping of nothing", TAG_VMA, 0, vma_order },
	{ "a mapping of half a page", TAG_VMA, 0, vma_page },
	{ "mappings that overlap", TAG_VMA, 0, vma_overlap },
	{ "a mapping beyond user space", TAG_VMA, 1, vma_far },
	{ "pages of two owners", TAG_PAGES, 0, pages_both },
	{ "pages of nobody", TAG_PAGES, 0, pages_none },
	{ "pages of a task without mappings", TAG_PAGES, 0, pages_pid },
	{ "pages of a pipe", TAG_PAGES, 2, pages_object },
	{ "an extent of no pages", TAG_PAGES, 0, extent_zero },
	{ "an extent of 2^31 pages", TAG_PAGES, 0, extent_huge },
	{ "an extent between pages", TAG_PAGES, 0, extent_page },
	{ "an extent around the end of memory", TAG_PAGES, 0, extent_wrap },
	{ "an extent outside of mappings", TAG_PAGES, 1, extent_outside },
	{ "an extent over another", TAG_PAGES, 1, extent_twice },
	{ "an extent in no stream", TAG_PAGES, 2, extent_stream },
	{ "an extent in the meta stream", TAG_PAGES, 2, extent_meta },
	{ "an extent that moved", TAG_PAGES, 0, extent_offset },
	{ "an extent beyond all streams", TAG_PAGES, 2, extent_far },
	{ "a page that nobody describes", TAG_PAGES, 0, extent_short },
	{ "parts of an extent that is not borrowed", TAG_PAGES, 0,
	  extent_parts },
	{ "a wrong hash", TAG_PAGES, 1, extent_hash_lie },
	{ "pages shared with itself", TAG_COW, 0, cow_self },
	{ "pages shared with nobody", TAG_COW, 0, cow_nobody },
	{ "shared pages without an end", TAG_COW, 0, cow_odd },
	{ "no shared pages", TAG_COW, 0, cow_none },
	{ "shared pages of nothing", TAG_COW, 0, cow_order },
	{ "half a shared page", TAG_COW, 0, cow_page },
	{ "pages shared twice", TAG_COW, 0, cow_twice },
	{ "shared pages outside of mappings", TAG_COW, 0, cow_outside },
	{ "pages shared of no mapping", TAG_COW, 0, cow_unlike },
	{ "shared pages with contents", TAG_PAGES, 1, cow_own },
	{ "a wrong count of records", TAG_PART_END, 0, end_records },
	{ "a wrong count of pages", TAG_PART_END, 0, end_bytes },
	{ "another node", TAG_PART, 0, part_node },
	{ "pages of 64 KiB", TAG_PART, 0, part_page, 0, -ENOTSUP },
	{ "no beginning", 0, 0, NULL, TAG_PART },
	{ "no end", 0, 0, NULL, TAG_PART_END },
	{ "a record less", 0, 0, NULL, TAG_PIPE },
};

static struct lie packed_lies[] = {
	{ "blocks of no stream", TAG_BLOCKS, 0, blocks_stream },
	{ "blocks of the meta stream", TAG_BLOCKS, 0, blocks_meta },
	{ "blocks of another stream", TAG_BLOCKS, 0, blocks_other },
	{ "no blocks", TAG_BLOCKS, 0, blocks_none },
	{ "a block less", TAG_BLOCKS, 0, blocks_less },
	{ "a block of nothing", TAG_BLOCKS, 0, block_bytes },
	{ "a block of more than 4 MiB", TAG_BLOCKS, 0, block_big },
	{ "a block of half a page", TAG_BLOCKS, 0, block_page },
	{ "a block longer than its pages", TAG_BLOCKS, 0, block_more },
	{ "a block that is stored nowhere", TAG_BLOCKS, 0, block_stored },
	{ "a block that did not gain", TAG_BLOCKS, 0, block_long },
	{ "packed data longer than its block", TAG_BLOCKS, 0, block_packed },
	{ "no packed data", TAG_BLOCKS, 0, block_few },
	{ "packed data cut short", TAG_BLOCKS, 0, block_short },
	{ "a block with a wrong hash", TAG_BLOCKS, 0, block_hash },
	{ "a block without one", TAG_BLOCKS, 0, block_no_hash },
	{ "a later codec", TAG_BLOCKS, 0, block_codec, 0, -ENOTSUP },
	{ "another codec", TAG_BLOCKS, 0, block_swap },
	{ "a packed block that says it is none", TAG_BLOCKS, 0, block_plain },
	{ "an extent of two blocks", TAG_PAGES, 0, block_cut },
	{ "blocks that nobody tells of", 0, 0, NULL, TAG_BLOCKS },
};

static void test_lies(struct lie *v, size_t count, bool packed)
{
	size_t i;

	for (i = 0; i < count; i++) {
		struct lie *lie = &v[i];
		struct sample_edit edit = { tell_lie, lie, lie->skip, packed };
		int expect = lie->expect ? lie->expect : -EBADMSG;
		struct err err = { 0 };
		char path[64];
		auto_close int dir_fd = temp_dir(path);

		ok(sample_write(dir_fd, &edit, &err) == 0 &&
			   check(dir_fd, &err) == expect &&
			   strstr(err.text, "node-a"),
		   "%s: %s", lie->what, err.text);
		temp_dir_remove(path);
	}
}

/* Records that are no part's, or only its first or its last. */
static void test_misplaced(void)
{
	ManifestRecord manifest = MANIFEST_RECORD__INIT;
	PartEndRecord end = PART_END_RECORD__INIT;
	PartRecord part = PART_RECORD__INIT;
	SealRecord seal = SEAL_RECORD__INIT;
	struct sample_edit edits[] = {
		{ .also = TAG_SEAL, .what = &seal.base },
		{ .also = TAG_MANIFEST, .what = &manifest.base },
		{ .also = TAG_PART, .what = &part.base },
		{ .also = TAG_PART_END, .what = &end.base },
	};

	manifest.job_id = manifest.cause = (char *)"7";
	manifest.cluster = manifest.jobcr_version = (char *)"c";
	part.node = part.kernel_release = part.boot_id = (char *)"n";
	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		struct err err = { 0 };
		char path[64];
		auto_close int dir_fd = temp_dir(path);

		ok(sample_write(dir_fd, &edits[i], &err) == 0 &&
			   check(dir_fd, &err) == -EBADMSG &&
			   strstr(err.text, "out of place"),
		   "a %s within a part: %s", img_tag_name(edits[i].also),
		   err.text);
		temp_dir_remove(path);
	}
}

/* The streams of pages are those of an earlier generation. */
static char *incremental[] = { (char *)SNAPSHOT_INCREMENTAL };
static uint32_t parts[6];

static void borrow_streams(ManifestRecord *m)
{
	m->generation = 2;
	m->features = incremental;
	m->n_features = 1;
	for (size_t k = 1; k < m->parts[0]->n_streams; k++) {
		m->parts[0]->streams[k]->has_borrowed_from = 1;
		m->parts[0]->streams[k]->borrowed_from = 1;
	}
}

static void tell_borrowed(void *arg, uint32_t tag, ProtobufCMessage *msg)
{
	const struct lie *lie = arg;

	tell_lie(arg, tag, msg);
	if (tag == TAG_MANIFEST)
		borrow_streams((ManifestRecord *)msg);
	/* What is told of the first extent leaves one page of it. */
	if (tag == TAG_PART_END && lie->nth == 0)
		((PartEndRecord *)msg)->page_bytes -= 4096;
}

static void take_parts(ProtobufCMessage *msg, size_t count)
{
	Extent *x = ((PagesRecord *)msg)->extents[0];

	x->parts = parts;
	x->n_parts = count;
}

#define PARTS(name, count, ...)                                                \
	static void name(ProtobufCMessage *msg)                                \
	{                                                                      \
		memcpy(parts, (uint32_t[]){ __VA_ARGS__ },                     \
		       (count) * sizeof(*parts));                              \
		take_parts(msg, count);                                        \
	}

PARTS(parts_first, 2, 0, 1)
PARTS(parts_last, 2, 1, 1)
PARTS(parts_odd, 1, 0)
PARTS(parts_empty, 2, 1, 0)
PARTS(parts_long, 2, 0, 3)
PARTS(parts_behind, 2, 2, 1)
PARTS(parts_around, 2, 4294967295u, 2)
PARTS(parts_touch, 4, 0, 1, 0, 1)

static struct lie borrowed[] = {
	{ "the first page of a borrowed extent", TAG_PAGES, 0, parts_first, 0,
	  1 },
	{ "the last page of one", TAG_PAGES, 0, parts_last, 0, 1 },
	{ "half a part", TAG_PAGES, 0, parts_odd },
	{ "a part of nothing", TAG_PAGES, 0, parts_empty },
	{ "a part longer than its extent", TAG_PAGES, 0, parts_long },
	{ "a part behind its extent", TAG_PAGES, 0, parts_behind },
	{ "a part around the end of numbers", TAG_PAGES, 0, parts_around },
	{ "parts that are one", TAG_PAGES, 0, parts_touch },
	{ "parts of an object", TAG_PAGES, 2, parts_last },
};

static void test_borrowed(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(borrowed); i++) {
		struct lie *lie = &borrowed[i];
		struct sample_edit edit = { tell_borrowed, lie, 0, false };
		int expect = lie->expect ? 0 : -EBADMSG;
		struct err err = { 0 };
		char path[64];
		auto_close int dir_fd = temp_dir(path);

		ok(sample_write(dir_fd, &edit, &err) == 0 &&
			   check(dir_fd, &err) == expect,
		   "%s: %s", lie->what, expect ? err.text : "taken");
		temp_dir_remove(path);
	}
}

LIE(borrowed_silently, ManifestRecord, borrow_streams(rec); rec->n_features = 0)
LIE(borrowed_nothing, ManifestRecord, rec->features = incremental;
    rec->n_features = 1)
LIE(borrowed_meta, ManifestRecord, borrow_streams(rec);
    rec->parts[0]->streams[0]->has_borrowed_from = 1;
    rec->parts[0]->streams[0]->borrowed_from = 1)
LIE(borrowed_later, ManifestRecord, borrow_streams(rec);
    rec->parts[0]->streams[1]->borrowed_from = rec->generation)
LIE(borrowed_never, ManifestRecord, borrow_streams(rec);
    rec->parts[0]->streams[1]->borrowed_from = 0)

LIE(manifest_format, ManifestRecord, rec->format = 2)
LIE(manifest_generation, ManifestRecord, rec->generation = 0)
LIE(manifest_job, ManifestRecord, rec->job_id = (char *)"")
LIE(manifest_parts, ManifestRecord, rec->n_parts = 0)
LIE(stream_up, ManifestRecord, rec->parts[0]->streams[0]->name = (char *)"../x")
LIE(stream_self, ManifestRecord,
    rec->parts[0]->streams[1]->name = (char *)"manifest")
LIE(stream_twice, ManifestRecord,
    rec->parts[0]->streams[1]->name = rec->parts[0]->streams[0]->name)
LIE(stream_digest, ManifestRecord, rec->parts[0]->streams[0]->digest.len = 16)
LIE(stream_length, ManifestRecord, rec->parts[0]->streams[1]->length++)
LIE(stream_giant, ManifestRecord,
    rec->parts[0]->streams[0]->length = 1ull << 40)

static char *features[] = { (char *)"lazy-pages" };
LIE(manifest_feature, ManifestRecord, rec->features = features;
    rec->n_features = 1)

static struct lie manifest_lies[] = {
	{ "a later format", .tell = manifest_format, .expect = -ENOTSUP },
	{ "a feature", .tell = manifest_feature, .expect = -ENOTSUP },
	{ "generation 0", .tell = manifest_generation },
	{ "no job", .tell = manifest_job },
	{ "no parts", .tell = manifest_parts },
	{ "a stream elsewhere", .tell = stream_up },
	{ "a stream that is the manifest", .tell = stream_self },
	{ "a stream that is there twice", .tell = stream_twice },
	{ "half a digest", .tell = stream_digest },
	{ "half a page", .tell = stream_length },
	{ "meta of a terabyte", .tell = stream_giant },
	{ "borrowed streams that no feature tells of",
	  .tell = borrowed_silently },
	{ "no borrowed stream, but the feature", .tell = borrowed_nothing },
	{ "borrowed records", .tell = borrowed_meta },
	{ "a stream borrowed from itself", .tell = borrowed_later },
	{ "a stream borrowed from generation 0", .tell = borrowed_never },
};

static void test_manifest_lies(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(manifest_lies); i++) {
		struct lie *lie = &manifest_lies[i];
		struct sample_edit edit = { tell_lie, lie, 0, false };
		int expect = lie->expect ? lie->expect : -EBADMSG;
		struct err err = { 0 };
		char path[64];
		auto_close int dir_fd = temp_dir(path);

		lie->tag = TAG_MANIFEST;
		ok(sample_write(dir_fd, &edit, &err) == expect &&
			   !strncmp(err.text, "manifest", 8),
		   "%s: %s", lie->what, err.text);
		ok(faccessat(dir_fd, "manifest", F_OK, 0) < 0,
		   "and nothing is published");
		temp_dir_remove(path);
	}
}

static json_object *path(json_object *o, const char *a, size_t i, const char *b,
			 size_t k)
{
	json_object *list = json_object_object_get(o, a);

	list = json_object_array_get_idx(list, i);
	list = json_object_object_get(list, b);
	return json_object_array_get_idx(list, k);
}

static void test_show_json(const char *text)
{
	json_object *top = json_tokener_parse(text);
	json_object *task = path(top, "parts", 0, "tasks", 1);
	json_object *file = path(top, "parts", 0, "records", 7);
	json_object *open = json_object_object_get(file, "open");

	ok(top &&
		   json_object_get_int(json_object_object_get(task, "ppid")) ==
			   5 &&
		   !strcmp(json_object_get_string(
				   json_object_object_get(task, "state")),
			   "RUNNING"),
	   "JSON shows the tasks");
	ok(!strcmp(json_object_get_string(json_object_object_get(file, "path")),
		   "/tmp/gone") &&
		   json_object_get_int(
			   json_object_object_get(open, "object")) == 1,
	   "and all records, with what is inside them");
	json_object_put(top);
}

LIE(evil_name, TaskRecord, rec->comm = (char *)"\033[2Jboo")

/* Records of the sample, as people and programs see them. */
static void test_show(void)
{
	struct lie lie = { .tag = TAG_TASK, .tell = evil_name };
	struct sample_edit edit = { tell_lie, &lie, 0, false };
	struct show_options options = { .records = true };
	struct err err = { 0 };
	char path[64], *text = NULL;
	size_t len;
	auto_close int dir_fd = temp_dir(path);
	FILE *out = open_memstream(&text, &len);

	ok(sample_write(dir_fd, &edit, &err) == 0 &&
		   snapshot_show(dir_fd, NULL, &options, out, &err) == 0,
	   "a snapshot is shown: %s", err.text);
	fflush(out);
	ok(strstr(text, "local-1") && strstr(text, "start: 0x400000") &&
		   strstr(text, "size: 5000") && strstr(text, "ppid: 5"),
	   "to people, with addresses in hex and sizes in decimal");
	ok(!strchr(text, '\033'), "and nothing that a terminal acts on");
	rewind(out);
	options.json = true;
	ok(snapshot_show(dir_fd, NULL, &options, out, &err) == 0,
	   "to programs: %s", err.text);
	fclose(out);
	test_show_json(text);
	free(text);
	temp_dir_remove(path);
}

static void test_digest(void)
{
	static const uint8_t abc[4] = { 0xba, 0x78, 0x16, 0xbf };
	uint8_t sum[DIGEST_BYTES];
	struct err err = { 0 };
	struct digest *d;

	ok(digest_new(&d, &err) == 0, "SHA-256 is there: %s", err.text);
	digest_add(d, "a", 1);
	digest_add(d, "bc", 2);
	digest_end(d, sum);
	digest_free(d);
	ok(!memcmp(sum, abc, 4), "and is the one of FIPS 180");
	/* First of the vectors in xxHash's own documentation of XXH3. */
	ok(extent_hash("", 0) == 0x2d06800538d394c2ull,
	   "pages are hashed by XXH3-64");
}

/* Of which run it is, and what that began from: none, and at both ends. */
static void test_epoch(int dir_fd)
{
	static const struct {
		bool has;
		uint32_t epoch, began_from;
	} runs[] = { { false, 0, 0 },
		     { true, 0, 0 },
		     { true, 1, 0 },
		     { true, UINT32_MAX, UINT32_MAX } };
	struct err err = { 0 };
	unsigned int same = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(runs); i++) {
		ManifestRecord *m = NULL, *back = NULL;
		auto_free uint8_t *data = NULL;
		size_t len;

		if (snapshot_manifest(dir_fd, NULL, &m, &err) < 0)
			break;
		m->has_epoch = m->has_began_from = runs[i].has;
		m->epoch = runs[i].epoch;
		m->began_from = runs[i].began_from;
		if (snapshot_manifest_pack(m, &data, &len, &err) == 0 &&
		    small_write(dir_fd, NULL, "manifest", data, len, &err) ==
			    0 &&
		    snapshot_manifest(dir_fd, NULL, &back, &err) == 0)
			same += !back->has_epoch == !runs[i].has &&
				!back->has_began_from == !runs[i].has &&
				back->epoch == runs[i].epoch &&
				back->began_from == runs[i].began_from &&
				check(dir_fd, &err) == 0;
		manifest_record__free_unpacked(m, NULL);
		if (back)
			manifest_record__free_unpacked(back, NULL);
	}
	ok(same == ARRAY_SIZE(runs),
	   "a manifest tells its run as it was told, %u of %zu: %s", same,
	   ARRAY_SIZE(runs), err.text);
}

/* The same with pages that were packed. */
static void test_packed(void)
{
	struct sample_edit edit = { .packed = true };
	struct err err = { 0 };
	char path[64];
	auto_close int dir_fd = temp_dir(path);

	ok(sample_write(dir_fd, &edit, &err) == 0 && check(dir_fd, &err) == 0,
	   "packed pages are found well: %s", err.text);
	ok(length(dir_fd, SAMPLE_PAGES) == 8192,
	   "four pages are two on storage");
	test_flips(dir_fd, SAMPLE_PAGES, 61);
	test_lengths(dir_fd, SAMPLE_PAGES);
	temp_dir_remove(path);
}

int main(void)
{
	struct err err = { 0 };
	struct meta meta = { 0 };
	ManifestRecord *m = NULL;
	char path[64];
	auto_close int dir_fd = temp_dir(path);

	test_digest();
	ok(snapshot_manifest(dir_fd, NULL, &m, &err) == -ENOENT,
	   "an empty directory holds no snapshot: %s", err.text);
	ok(sample_write(dir_fd, NULL, &err) == 0, "a snapshot is written: %s",
	   err.text);
	ok(check(dir_fd, &err) == 0, "and found well: %s", err.text);
	if (snapshot_manifest(dir_fd, NULL, &m, &err) < 0 ||
	    snapshot_meta(dir_fd, NULL, m->parts[0], &meta, &err) < 0)
		return 1;
	ok(meta.count == 21 && meta.entries[1].tag == TAG_TASK &&
		   ((TaskRecord *)meta.entries[1].msg)->n_tids == 2,
	   "its records are all there: %zu", meta.count);
	meta_done(&meta);
	ok(snapshot_check_identity(m, "local-1", 1, &err) == 0 &&
		   snapshot_check_identity(m, "local-1", 0, &err) == 0,
	   "it is of the job and generation that were asked for");
	ok(snapshot_check_identity(m, "local-1", 2, &err) == -EBADMSG,
	   "a generation that was renamed: %s", err.text);
	ok(snapshot_check_identity(m, "local-2", 1, &err) == -EBADMSG,
	   "a snapshot of another job: %s", err.text);
	manifest_record__free_unpacked(m, NULL);

	test_flips(dir_fd, "manifest", 1);
	test_flips(dir_fd, SAMPLE_META, 1);
	test_flips(dir_fd, SAMPLE_PAGES, 61);
	test_flips(dir_fd, SAMPLE_MORE, 61);
	test_lengths(dir_fd, "manifest");
	test_lengths(dir_fd, SAMPLE_META);
	test_lengths(dir_fd, SAMPLE_PAGES);
	test_missing(dir_fd, "manifest", -ENOENT);
	test_missing(dir_fd, SAMPLE_META, -EBADMSG);
	test_missing(dir_fd, SAMPLE_MORE, -EBADMSG);
	test_swapped(dir_fd);
	test_epoch(dir_fd);
	temp_dir_remove(path);
	test_packed();
	test_lies(lies, ARRAY_SIZE(lies), false);
	test_lies(packed_lies, ARRAY_SIZE(packed_lies), true);
	test_misplaced();
	test_manifest_lies();
	test_borrowed();
	test_show();
	return done_testing();
}
