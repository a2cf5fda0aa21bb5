/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/image.h"

#include <stdlib.h>
#include <string.h>

#include "engine/vdso.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/part.pb-c.h"
#include "images/tags.h"
#include "inject/cpu.h"
#include "snapshot/snapshot.h"
#include "storage/store.h"
#include "storage/writer.h"
#include "util/cleanup.h"
#include "util/clock.h"

struct image {
	int dir_fd;
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

void image_put(struct image *im, uint32_t tag, const ProtobufCMessage *msg)
{
	struct img_sink sink = { sink_write, im, &im->records };

	if (im->r == 0)
		im->r = img_put(&sink, tag, msg, &im->err);
}

static void put_part(struct image *im, int32_t root_pid)
{
	PartRecord p = PART_RECORD__INIT;
	uint8_t digest[DIGEST_BYTES];
	struct vdso_image vdso = { 0 };
	struct cpu_info cpu;

	cpu_info_read(&cpu);
	if (vdso_own(&vdso, &im->err) < 0 ||
	    vdso_digest(&vdso, digest, &im->err) < 0)
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
	p.has_vdso_image = p.has_vdso_random = 1;
	p.vdso_image.data = (uint8_t *)vdso.data;
	p.vdso_image.len = vdso.len;
	p.vdso_random = vdso_random_size();
	p.root_pid = root_pid;
	image_put(im, TAG_PART, &p.base);
}

void image_page(struct image *im, int32_t pid, uint64_t address,
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
	image_put(im, TAG_PAGES, &p.base);
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
	return r < 0 ? r
		     : store_publish(-1, 1, dir_fd, framed, len, NULL,
				     &im->err);
}

struct image *image_begin(int dir_fd, int32_t root_pid)
{
	struct writer_limits limits = { .buffer_bytes = 1 << 20, .buffers = 4 };
	struct image *im = calloc(1, sizeof(*im));

	if (!im)
		return NULL;
	im->dir_fd = dir_fd;
	im->r = writer_new(dir_fd, &limits, &im->writer, &im->err);
	if (im->r == 0)
		im->r = digest_new(&im->digest, &im->err);
	if (im->r == 0)
		im->r = writer_open(im->writer, "n1.meta", &im->meta, &im->err);
	if (im->r == 0)
		im->r = writer_open(im->writer, "n1.pages.1", &im->pages,
				    &im->err);
	if (im->r == 0)
		put_part(im, root_pid);
	return im;
}

int image_end(struct image *im, struct err *err)
{
	PartEndRecord end = PART_END_RECORD__INIT;
	int r;

	end.records = im->records;
	end.page_bytes = im->page_bytes;
	end.extents = im->extents;
	image_put(im, TAG_PART_END, &end.base);
	if (im->r == 0)
		im->r = writer_finish(im->writer, &im->err);
	if (im->r == 0)
		im->r = publish(im, im->dir_fd);
	digest_free(im->digest);
	writer_free(im->writer);
	*err = im->err;
	r = im->r;
	free(im);
	return r;
}
