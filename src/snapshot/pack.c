/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/pack.h"

#include <emmintrin.h>
#include <errno.h>
#include <lz4.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "images/limits.h"

#define PAGE     ((size_t)IMAGE_PAGE)
#define WORD     8u
#define ROWS     16u /* words that are shuffled at once */
#define SAMPLES  3u
#define SAMPLE   ((size_t)16384)
#define ZSTD_FAR 1 /* level */

struct packer {
	ZSTD_CCtx *to;
	ZSTD_DCtx *from;
	uint8_t *a, *b; /* BLOCK_MAX_BYTES each */
};

struct packer *packer_new(void)
{
	struct packer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->a = malloc(BLOCK_MAX_BYTES);
	p->b = malloc(BLOCK_MAX_BYTES);
	if (p->a && p->b)
		return p;
	packer_free(p);
	return NULL;
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->to);
	ZSTD_freeDCtx(p->from);
	free(p->a);
	free(p->b);
	free(p);
}

/*
 * A matrix of 16 words by 8 bytes, turned: four rounds of interleaving its
 * halves.  Registers 0-7 have two words each; afterwards register k has byte
 * k of all 16 words.
 */
static void interleave(const __m128i in[WORD], __m128i out[WORD])
{
	for (unsigned int i = 0; i < WORD / 2; i++) {
		out[2 * i] = _mm_unpacklo_epi8(in[i], in[i + WORD / 2]);
		out[2 * i + 1] = _mm_unpackhi_epi8(in[i], in[i + WORD / 2]);
	}
}

/* len: a multiple of ROWS * WORD. */
static void shuffle(const uint8_t *from, uint8_t *to, size_t len)
{
	size_t words = len / WORD;

	for (size_t at = 0; at < words; at += ROWS) {
		__m128i x[WORD], y[WORD];

		for (unsigned int i = 0; i < WORD; i++)
			x[i] = _mm_loadu_si128(
				(const __m128i *)(from + at * WORD) + i);
		interleave(x, y);
		interleave(y, x);
		interleave(x, y);
		interleave(y, x);
		for (unsigned int i = 0; i < WORD; i++)
			_mm_storeu_si128((__m128i *)(to + i * words + at),
					 x[i]);
	}
}

static void unshuffle(const uint8_t *from, uint8_t *to, size_t len)
{
	size_t words = len / WORD;

	for (size_t at = 0; at < words; at += ROWS) {
		__m128i x[WORD], y[WORD];

		for (unsigned int i = 0; i < WORD; i++)
			x[i] = _mm_loadu_si128(
				(const __m128i *)(from + i * words + at));
		interleave(x, y);
		interleave(y, x);
		interleave(x, y);
		for (unsigned int i = 0; i < WORD; i++)
			_mm_storeu_si128((__m128i *)(to + at * WORD) + i, y[i]);
	}
}

/* Into at most room bytes; 0: it does not fit. */
static size_t pack(struct packer *p, bool far, const uint8_t *from, size_t len,
		   uint8_t *to, size_t room)
{
	size_t n;
	int r;

	if (!far) {
		r = LZ4_compress_default((const char *)from, (char *)to,
					 (int)len, (int)room);
		return r > 0 ? (size_t)r : 0;
	}
	if (!p->to)
		p->to = ZSTD_createCCtx();
	if (!p->to)
		return 0;
	n = ZSTD_compressCCtx(p->to, to, room, from, len, ZSTD_FAR);
	return ZSTD_isError(n) ? 0 : n;
}

/* A little of its beginning, middle and end. */
static size_t take_samples(const uint8_t *data, size_t len, uint8_t *to)
{
	if (len <= SAMPLES * SAMPLE) {
		memcpy(to, data, len);
		return len;
	}
	for (size_t i = 0; i < SAMPLES; i++)
		memcpy(to + i * SAMPLE,
		       data + (len - SAMPLE) / (SAMPLES - 1) / PAGE * PAGE * i,
		       SAMPLE);
	return SAMPLES * SAMPLE;
}

/* What becomes of the samples; at least a tenth has to be gained. */
static enum codec choose(struct packer *p, bool far, const uint8_t *data,
			 size_t len)
{
	uint8_t *sample = p->a, *other = sample + SAMPLES * SAMPLE;
	size_t n = take_samples(data, len, sample), most = n - n / 10;
	size_t plain, shuffled;

	plain = pack(p, far, sample, n, p->b, most);
	shuffle(sample, other, n);
	shuffled = pack(p, far, other, n, p->b, plain ? plain : most);
	if (shuffled)
		return far ? CODEC_SHUFFLE_ZSTD : CODEC_SHUFFLE_LZ4;
	if (!plain)
		return CODEC_NONE;
	return far ? CODEC_ZSTD : CODEC_LZ4;
}

static bool is_shuffled(enum codec codec)
{
	return codec == CODEC_SHUFFLE_LZ4 || codec == CODEC_SHUFFLE_ZSTD;
}

static bool is_far(enum codec codec)
{
	return codec == CODEC_ZSTD || codec == CODEC_SHUFFLE_ZSTD;
}

struct packed pack_block(struct packer *p, enum pack_effort effort,
			 uint8_t *data, size_t len)
{
	struct packed ret = { CODEC_NONE, (uint32_t)len, (uint32_t)len };
	const uint8_t *from = data;
	enum codec codec;
	size_t n;

	if (effort == PACK_NONE || len <= PAGE || len > BLOCK_MAX_BYTES)
		return ret;
	codec = choose(p, effort == PACK_SMALL, data, len);
	if (codec == CODEC_NONE)
		return ret;
	if (is_shuffled(codec)) {
		shuffle(data, p->a, len);
		from = p->a;
	}
	n = pack(p, is_far(codec), from, len, p->b, len - PAGE);
	if (!n)
		return ret;
	ret.codec = codec;
	ret.packed = (uint32_t)n;
	ret.stored = (uint32_t)((n + PAGE - 1) / PAGE * PAGE);
	memcpy(data, p->b, n);
	memset(data + n, 0, ret.stored - n);
	return ret;
}

static bool unpack(struct packer *p, bool far, const uint8_t *data,
		   size_t packed, uint8_t *to, size_t len)
{
	if (!far)
		return LZ4_decompress_safe((const char *)data, (char *)to,
					   (int)packed, (int)len) == (int)len;
	if (!p->from)
		p->from = ZSTD_createDCtx();
	return p->from && ZSTD_decompressDCtx(p->from, to, len, data, packed) ==
				  len;
}

int unpack_block(struct packer *p, enum codec codec, const uint8_t *data,
		 size_t packed, size_t len, const uint8_t **ret,
		 struct err *err)
{
	if (codec <= CODEC_NONE || codec >= CODECS || !packed || !len ||
	    packed > len || len > BLOCK_MAX_BYTES || len % PAGE)
		return err_set(err, -EBADMSG, "codec %u, %zu bytes of %zu",
			       (unsigned int)codec, packed, len);
	if (!unpack(p, is_far(codec), data, packed, p->a, len))
		return err_set(err, -EBADMSG, "they cannot be unpacked");
	*ret = p->a;
	if (is_shuffled(codec)) {
		unshuffle(p->a, p->b, len);
		*ret = p->b;
	}
	return 0;
}
