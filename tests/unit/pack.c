/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks of every kind of contents, packed and unpacked; packed data that
 * somebody has changed; which effort a checkpoint comes to on storage of
 * several speeds, with clocks of the test's own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/block_list.h"
#include "engine/pace.h"
#include "images/limits.h"
#include "images/tags.h"
#include "snapshot/pack.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define BIG BLOCK_MAX_BYTES

static uint64_t seed = 88172645463325252ull;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t noise(size_t i)
{
	(void)i;
	return any();
}

static uint64_t zero(size_t i)
{
	(void)i;
	return 0;
}

static uint64_t field(size_t i)
{
	double d = 1.0 + (double)i * 1e-6 + (double)(any() % 1000) * 1e-9;
	uint64_t word;

	memcpy(&word, &d, sizeof(word));
	return word;
}

static uint64_t sorted(size_t i)
{
	return 3 * i;
}

static uint64_t heap(size_t i)
{
	return i % 7 ? 0x555555550000 + any() % 64 * 48 : any() % 100;
}

/* Half of it cannot be packed. */
static uint64_t mixed(size_t i)
{
	return i / 512 % 2 ? any() : i;
}

static const struct {
	const char *what;
	uint64_t (*word)(size_t i);
	bool packs;
} kinds[] = {
	{ "noise", noise, false },
	{ "zeroes", zero, true },
	{ "numbers of a field", field, true },
	{ "sorted numbers", sorted, true },
	{ "a heap", heap, true },
	{ "half noise", mixed, true },
};

static const size_t lengths[] = { 4096, 8192, 12288, 65536, 1 << 20, BIG };

static void fill(uint8_t *data, size_t len, uint64_t (*word)(size_t i))
{
	for (size_t i = 0; i < len / 8; i++) {
		uint64_t w = word(i);

		memcpy(data + 8 * i, &w, 8);
	}
}

/* One block there and back; false: it is another one. */
static bool same(struct packer *p, enum pack_effort effort, uint8_t *data,
		 const uint8_t *copy, size_t len, struct packed *ret)
{
	const uint8_t *back = data;
	struct err err = { 0 };

	*ret = pack_block(p, effort, data, len);
	if (ret->codec == CODEC_NONE)
		return ret->stored == len && memcmp(data, copy, len) == 0;
	for (size_t i = ret->packed; i < ret->stored; i++)
		if (data[i])
			return false;
	return ret->stored < len && ret->stored % 4096 == 0 &&
	       ret->stored - ret->packed < 4096 &&
	       unpack_block(p, ret->codec, data, ret->packed, len, &back,
			    &err) == 0 &&
	       memcmp(back, copy, len) == 0;
}

static void test_kind(struct packer *p, size_t kind, uint8_t *data,
		      uint8_t *copy)
{
	unsigned int wrong = 0;
	struct packed k;

	for (int effort = PACK_NONE; effort < PACK_EFFORTS; effort++)
		for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
			fill(copy, lengths[i], kinds[kind].word);
			memcpy(data, copy, lengths[i]);
			wrong += !same(p, (enum pack_effort)effort, data, copy,
				       lengths[i], &k);
			if (effort == PACK_NONE)
				wrong += k.codec != CODEC_NONE;
		}
	ok(!wrong, "%s come back as they were", kinds[kind].what);
	ok((k.codec != CODEC_NONE) == kinds[kind].packs,
	   "and %s packed: codec %d, %u of %u bytes",
	   kinds[kind].packs ? "are" : "are not", (int)k.codec, k.packed, BIG);
}

/* Every outcome is allowed but a write or a read beyond the buffers. */
static void test_hostile(struct packer *p, uint8_t *data, uint8_t *copy)
{
	/* Behind it is nothing that may be read. */
	uint8_t *end = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int odd = 0, tried = 0;

	if (end == MAP_FAILED || mprotect(end + 4096, 4096, PROT_NONE) < 0)
		exit(99);
	end += 4096;
	for (int codec = CODEC_LZ4; codec < CODECS; codec++)
		for (size_t i = 0; i < 3000; i++) {
			size_t len = 4096 * (1 + any() % 16);
			size_t packed = 1 + any() % 400;
			uint8_t *in = end - packed;
			enum pack_effort effort =
				codec < CODEC_ZSTD ? PACK_FAST : PACK_SMALL;
			struct packed k = { .packed = 0 };
			const uint8_t *out = NULL;
			struct err err = { 0 };
			int r;

			fill(data, len, heap);
			if (i % 2)
				k = pack_block(p, effort, data, len);
			for (size_t b = 0; b < packed; b++)
				in[b] = b < k.packed ? data[b] : (uint8_t)any();
			in[any() % packed] ^= (uint8_t)(1 << any() % 8);
			r = unpack_block(p, (enum codec)codec, in, packed, len,
					 &out, &err);
			if (r == 0)
				memcpy(copy, out, len);
			odd += r != 0 && r != -EBADMSG;
			tried++;
		}
	ok(!odd, "%u blocks that somebody changed are unpacked or refused",
	   tried);
}

static void test_limits(struct packer *p, uint8_t *data)
{
	const uint8_t *out;
	struct err err = { 0 };

	ok(unpack_block(p, CODEC_NONE, data, 4096, 4096, &out, &err) < 0 &&
		   unpack_block(p, CODECS, data, 4096, 4096, &out, &err) < 0,
	   "codecs that are none: %s", err.text);
	ok(unpack_block(p, CODEC_LZ4, data, 0, 4096, &out, &err) < 0 &&
		   unpack_block(p, CODEC_LZ4, data, 4097, 4096, &out, &err) <
			   0 &&
		   unpack_block(p, CODEC_ZSTD, data, 10, BIG + 4096, &out,
				&err) < 0 &&
		   unpack_block(p, CODEC_ZSTD, data, 10, 4097, &out, &err) < 0,
	   "lengths that cannot be: %s", err.text);
}

/* ---- the record ----------------------------------------------------------
 */

struct bytes {
	uint8_t *data;
	size_t len;
};

static int keep_bytes(void *arg, const void *data, size_t len, struct err *err)
{
	struct bytes *b = arg;
	uint8_t *p = realloc(b->data, b->len + len);

	if (!p)
		return err_set(err, -ENOMEM, "bytes");
	memcpy(p + b->len, data, len);
	b->data = p;
	b->len += len;
	return 0;
}

/* As many small blocks as a job of many processes has. */
static void test_record(void)
{
	struct bytes out = { NULL, 0 };
	struct img_sink sink = { keep_bytes, &out, NULL };
	struct block_list list = { 0 };
	struct err err = { 0 };
	ProtobufCMessage *msg = NULL;
	struct img_record rec;
	size_t pos = 0, blocks = 0, records = 0;
	uint64_t at = 0;
	int r = 0;

	for (uint32_t i = 0; i < BLOCKS_PER_RECORD + 5 && r == 0; i++) {
		struct packed as_is = { CODEC_NONE, 4096, 4096 };
		struct packed small = { CODEC_LZ4, 4096, 11 };

		r = block_list_add(&list, i ? 4096 : 8192,
				   i ? &as_is : &small, 0, &at, &err);
	}
	if (r == 0)
		r = block_list_put(&list, 1, &sink, &err);
	while (r == 0 &&
	       img_next(out.data, out.len, &pos, &rec, &err) == 1) {
		r = img_unpack(&rec, img_tag_type(rec.tag), &msg, &err);
		if (r < 0)
			break;
		blocks += ((BlocksRecord *)msg)->n_blocks;
		records++;
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	ok(r == 0 && blocks == list.count && records == 2 &&
		   at == (uint64_t)list.count * 4096,
	   "%zu small blocks in %zu records can be read: %s", blocks, records,
	   err.text);
	block_list_done(&list);
	free(out.data);
}

/* ---- the pace -------------------------------------------------------------
 */

/* Seconds for a GB: storage, and two threads that pack. */
struct machine {
	double storage, cpu[PACK_EFFORTS], ratio;
};

/*
 * Slices on a machine whose threads and whose storage work side by side; the
 * effort of the last.  *ret_time: what all of it took.
 */
static enum pack_effort drive(const struct machine *m, enum pack_policy policy,
			      unsigned int slices, double *ret_time)
{
	double cpu = 0, storage = 0;
	enum pack_effort effort = PACK_NONE;
	struct pace pace;

	pace_begin(&pace, policy);
	for (unsigned int i = 0; i < slices; i++) {
		double work, write;

		effort = pace_effort(&pace);
		work = m->cpu[effort] * 4e-3;
		write = m->storage * 4e-3 / (effort ? m->ratio : 1);
		/* A buffer is free when storage has all but 8 of them. */
		if (storage - cpu > 8 * write) {
			double wait = storage - cpu - 8 * write;

			pace_waited(&pace, (uint64_t)(wait * 1e9));
			cpu += wait;
		}
		cpu += work;
		storage = (storage > cpu ? storage : cpu) + write;
		pace_done(&pace, effort, 4 << 20, (uint64_t)(cpu * 1e9));
	}
	*ret_time = storage;
	return effort;
}

static void test_pace(void)
{
	/* Packs to a third; LZ4 1.2 GB/s, zstd 0.6 GB/s on all threads. */
	const struct machine fast = { 0.5, { 0.15, 0.85, 1.7 }, 3 };
	const struct machine slow = { 4, { 0.15, 0.85, 1.7 }, 3 };
	const struct machine noise_slow = { 4, { 0.15, 0.3, 0.4 }, 1 };
	double none, with;

	ok(drive(&fast, PACK_NEVER, 1000, &none) == PACK_NONE &&
		   drive(&fast, PACK_LZ4, 1000, &with) == PACK_FAST &&
		   drive(&fast, PACK_ZSTD, 1000, &with) == PACK_SMALL,
	   "an effort that is asked for is kept");
	(void)drive(&fast, PACK_AUTO, 1000, &with);
	ok(with < none * 1.1,
	   "storage that is faster than packing gets unpacked pages: "
	   "%.2f s, without trying %.2f s",
	   with, none);
	(void)drive(&slow, PACK_NEVER, 1000, &none);
	ok(drive(&slow, PACK_AUTO, 1000, &with) != PACK_NONE &&
		   with < none / 2,
	   "slow storage gets packed ones: %.2f s, unpacked %.2f s", with,
	   none);
	(void)drive(&noise_slow, PACK_NEVER, 1000, &none);
	(void)drive(&noise_slow, PACK_AUTO, 1000, &with);
	ok(with < none * 1.02,
	   "pages that do not pack cost nothing there: %.2f s, %.2f s", with,
	   none);
	ok(drive(&slow, PACK_AUTO, 6, &with) == PACK_NONE,
	   "a small job is over before it is known");
}

int main(void)
{
	auto_free uint8_t *data = malloc(BIG), *copy = malloc(BIG);
	struct packer *p = packer_new();

	if (!data || !copy || !p)
		return 99;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		test_kind(p, i, data, copy);
	test_hostile(p, data, copy);
	test_limits(p, data);
	packer_free(p);
	test_record();
	test_pace();
	return done_testing();
}
