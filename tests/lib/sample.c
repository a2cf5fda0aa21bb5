/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/sample.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images/files.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/part.pb-c.h"
#include "images/tags.h"
#include "images/task.pb-c.h"
#include "images/thread.pb-c.h"
#include "snapshot/pack.h"
#include "snapshot/snapshot.h"
#include "storage/store.h"
#include "storage/writer.h"

#define PAGE 4096u
#define TEXT(s)                                                                \
	{                                                                      \
		sizeof(s) - 1, (uint8_t *)(s)                                  \
	}

struct sample {
	const struct sample_edit *edit;
	struct writer *writer;
	struct digest *digest;
	uint32_t meta, pages, more, records;
	uint64_t page_bytes;
	uint32_t extents;
	Block blocks[2]; /* of the first stream, if it is packed */
	size_t nblocks;
	uint64_t packed_at;
	int r;
	struct err *err;
};

static int sink_write(void *arg, const void *data, size_t len, struct err *err)
{
	struct sample *s = arg;

	digest_add(s->digest, data, len);
	return writer_put(s->writer, s->meta, data, len, err);
}

static void put(struct sample *s, uint32_t tag, ProtobufCMessage *msg)
{
	struct img_sink sink = { sink_write, s, &s->records };

	if (s->r < 0)
		return;
	if (s->edit && s->edit->record)
		s->edit->record(s->edit->arg, tag, msg);
	if (!s->edit || s->edit->skip != tag)
		s->r = img_put(&sink, tag, msg, s->err);
}

static void put_part(struct sample *s)
{
	PartRecord p = PART_RECORD__INIT;

	p.node = (char *)"node-a";
	p.kernel_release = (char *)"6.1.0";
	p.boot_id = (char *)"0";
	p.page_size = PAGE;
	p.cpu_features = (ProtobufCBinaryData)TEXT("features");
	p.vdso_digest = (ProtobufCBinaryData)TEXT("digest");
	p.root_pid = 5;
	put(s, TAG_PART, &p.base);
}

static void put_task(struct sample *s, int32_t pid, int32_t ppid, int threads)
{
	int32_t tids[2] = { pid, pid + 1 }, i;
	uint64_t general[27] = { 0 };
	TaskRecord t = TASK_RECORD__INIT;

	t.pid = pid;
	t.ppid = ppid;
	t.pgid = t.sid = 5;
	t.state = TASK_RECORD__STATE__RUNNING;
	t.comm = (char *)"victim";
	t.n_tids = (size_t)threads;
	t.tids = tids;
	put(s, TAG_TASK, &t.base);
	for (i = 0; i < threads; i++) {
		RegsRecord r = REGS_RECORD__INIT;

		r.tid = tids[i];
		r.n_general = 27;
		r.general = general;
		put(s, TAG_REGS, &r.base);
	}
}

static void put_files(struct sample *s)
{
	OpenFile open = OPEN_FILE__INIT;
	FileRecord file = FILE_RECORD__INIT;
	GhostRecord ghost = GHOST_RECORD__INIT;
	PipeRecord pipe = PIPE_RECORD__INIT;
	PipeEndRecord end = PIPE_END_RECORD__INIT;
	FdRecord fd = FD_RECORD__INIT;
	FileLock lock = FILE_LOCK__INIT, *locks[] = { &lock };

	ghost.object = 9;
	ghost.path = (ProtobufCBinaryData)TEXT("/tmp/gone");
	ghost.size = 5000;
	put(s, TAG_GHOST, &ghost.base);
	open.object = 1;
	file.open = &open;
	file.path = ghost.path;
	file.has_ghost = 1;
	file.ghost = 9;
	lock.kind = FILE_LOCK__KIND__POSIX;
	lock.has_pid = 1;
	lock.pid = 5;
	file.n_locks = 1;
	file.locks = locks;
	put(s, TAG_FILE, &file.base);
	pipe.pipe = 3;
	pipe.capacity = 65536;
	pipe.data = (ProtobufCBinaryData)TEXT("in flight");
	put(s, TAG_PIPE, &pipe.base);
	open.object = 2;
	end.open = &open;
	end.pipe = 3;
	put(s, TAG_PIPE_END, &end.base);
	fd.pid = 5;
	fd.object = 2;
	put(s, TAG_FD, &fd.base);
	fd.pid = 7;
	fd.fd = 4;
	fd.object = 1;
	put(s, TAG_FD, &fd.base);
}

static void put_memory(struct sample *s)
{
	MmRecord mm = MM_RECORD__INIT;
	VmaRecord vma = VMA_RECORD__INIT;

	mm.pid = 5;
	mm.exe_object = 1;
	put(s, TAG_MM, &mm.base);
	vma.pid = 5;
	vma.start = 0x400000;
	vma.end = 0x404000;
	vma.prot = 3;
	vma.kind = VMA_RECORD__KIND__ANON_PRIVATE;
	put(s, TAG_VMA, &vma.base);
	vma.start = 0x404000;
	vma.end = 0x405000;
	vma.kind = VMA_RECORD__KIND__FILE_PRIVATE;
	vma.has_object = 1;
	vma.object = 1;
	put(s, TAG_VMA, &vma.base);
	vma_record__init(&vma);
	vma.pid = 7;
	vma.start = 0x402000;
	vma.end = 0x405000;
	vma.kind = VMA_RECORD__KIND__ANON_PRIVATE;
	put(s, TAG_VMA, &vma.base);
}

/* The other task has pages in common with the first. */
static void put_common(struct sample *s)
{
	uint64_t ranges[] = { 0x403000, 0x404000, 0x404000, 0x405000 };
	CowRecord cow = COW_RECORD__INIT;

	cow.pid = 7;
	cow.from = 5;
	cow.ranges = ranges;
	cow.n_ranges = 4;
	put(s, TAG_COW, &cow.base);
}

/* A block for each extent; returns what of the buffer is to be written. */
static size_t pack_extent(struct sample *s, uint8_t *data, uint32_t pages)
{
	struct packer *packer = packer_new();
	Block *b = &s->blocks[s->nblocks++];
	struct packed packed;

	if (!packer)
		abort();
	packed = pack_block(packer, s->nblocks == 1 ? PACK_FAST : PACK_SMALL,
			    data, pages * PAGE);
	packer_free(packer);
	block__init(b);
	b->bytes = pages * PAGE;
	b->stored = packed.stored;
	b->codec = packed.codec;
	b->has_packed = b->has_hash = 1;
	b->packed = packed.packed;
	b->hash = extent_hash(data, packed.stored);
	s->packed_at += b->bytes;
	return packed.stored;
}

static void put_blocks(struct sample *s)
{
	Block *blocks[] = { &s->blocks[0], &s->blocks[1] };
	BlocksRecord rec = BLOCKS_RECORD__INIT;

	if (!s->nblocks)
		return;
	rec.stream = 1;
	rec.blocks = blocks;
	rec.n_blocks = s->nblocks;
	put(s, TAG_BLOCKS, &rec.base);
}

static void put_extent(struct sample *s, uint32_t stream, int32_t pid,
		       uint32_t object, uint64_t address, uint32_t pages)
{
	uint32_t file = stream == 1 ? s->pages : s->more;
	Extent x = EXTENT__INIT, *list[] = { &x };
	PagesRecord p = PAGES_RECORD__INIT;
	bool packed = s->edit && s->edit->packed && stream == 1;
	size_t len = pages * PAGE;
	struct writer_buffer b;
	uint64_t at = s->packed_at;
	uint32_t i;

	if (s->r == 0)
		s->r = writer_get_buffer(s->writer, &b, s->err);
	if (s->r < 0)
		return;
	for (i = 0; i < pages * PAGE; i++)
		b.data[i] = (uint8_t)(i * 7 + address / PAGE + i / PAGE);
	x.address = address;
	x.pages = pages;
	x.stream = stream;
	x.hash = extent_hash(b.data, pages * PAGE);
	if (packed)
		len = pack_extent(s, b.data, pages);
	s->r = writer_submit(s->writer, file, &b, len, &x.offset, s->err);
	if (packed)
		x.offset = at;
	p.pid = pid;
	p.object = object;
	p.n_extents = 1;
	p.extents = list;
	s->page_bytes += pages * PAGE;
	s->extents++;
	put(s, TAG_PAGES, &p.base);
}

static void put_all(struct sample *s)
{
	PartEndRecord end = PART_END_RECORD__INIT;

	put_part(s);
	put_task(s, 5, 0, 2);
	put_task(s, 7, 5, 1);
	put_files(s);
	put_memory(s);
	put_extent(s, 1, 5, 0, 0x400000, 2);
	put_extent(s, 1, 5, 0, 0x403000, 2);
	put_extent(s, 2, 0, 9, 0, 2);
	put_blocks(s);
	put_common(s);
	if (s->edit && s->edit->also)
		put(s, s->edit->also, s->edit->what);
	end.records = s->records;
	end.page_bytes = s->page_bytes;
	end.extents = s->extents;
	put(s, TAG_PART_END, &end.base);
}

static int publish(struct sample *s, int dir_fd)
{
	uint8_t sum[DIGEST_BYTES], *data, *framed;
	StreamEntry entry[3], *streams[3];
	PartEntry part = PART_ENTRY__INIT, *parts[] = { &part };
	ManifestRecord m = MANIFEST_RECORD__INIT;
	static const char *const names[] = { SAMPLE_META, SAMPLE_PAGES,
					     SAMPLE_MORE };
	uint32_t number[3] = { s->meta, s->pages, s->more }, i;
	size_t len;

	digest_end(s->digest, sum);
	data = sum;
	for (i = 0; i < 3; i++) {
		stream_entry__init(&entry[i]);
		entry[i].name = (char *)names[i];
		entry[i].length = writer_length(s->writer, number[i]);
		streams[i] = &entry[i];
	}
	entry[0].digest = (ProtobufCBinaryData){ DIGEST_BYTES, data };
	part.node = (char *)"node-a";
	part.n_streams = 3;
	part.streams = streams;
	m.format = 1;
	m.job_id = (char *)"local-1";
	m.generation = 1;
	m.cause = (char *)"request";
	m.cluster = (char *)"local";
	m.jobcr_version = (char *)"0.1.0";
	m.n_parts = 1;
	m.parts = parts;
	if (s->edit && s->edit->record)
		s->edit->record(s->edit->arg, TAG_MANIFEST, &m.base);
	if (snapshot_manifest_pack(&m, &framed, &len, s->err) < 0)
		return s->err->code;
	s->r = store_publish(-1, 1, dir_fd, framed, len, NULL, s->err);
	free(framed);
	return s->r;
}

int sample_write(int dir_fd, const struct sample_edit *edit, struct err *err)
{
	struct writer_limits limits = { .buffer_bytes = 1 << 20, .buffers = 4 };
	struct sample s = { .edit = edit, .err = err };

	s.r = writer_new(dir_fd, &limits, &s.writer, err);
	if (s.r == 0)
		s.r = digest_new(&s.digest, err);
	if (s.r == 0)
		s.r = writer_open(s.writer, SAMPLE_META, &s.meta, err);
	if (s.r == 0)
		s.r = writer_open(s.writer, SAMPLE_PAGES, &s.pages, err);
	if (s.r == 0)
		s.r = writer_open(s.writer, SAMPLE_MORE, &s.more, err);
	if (s.r == 0)
		put_all(&s);
	if (s.r == 0)
		s.r = writer_finish(s.writer, err);
	if (s.r == 0)
		s.r = publish(&s, dir_fd);
	digest_free(s.digest);
	writer_free(s.writer);
	return s.r;
}

int temp_dir(char path[64])
{
	const char *base = getenv("TMPDIR");

	if (!base || strlen(base) > 40)
		base = "/tmp";
	snprintf(path, 64, "%s/jobcr-test.XXXXXX", base);
	if (!mkdtemp(path))
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *at)
{
	return remove(path);
}

void temp_dir_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
