/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images/tags.h"
#include "snapshot/snapshot.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * The target without libFuzzer: a sample's records, changed over and over in
 * the same order on every machine, for FUZZ_SECONDS (3).
 */

#define ROOM 16384

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t add_record(uint8_t *data, size_t len, uint32_t tag,
			 const ProtobufCMessage *msg)
{
	size_t body = protobuf_c_message_get_packed_size(msg);

	if (len + FUZZ_HEAD + body > ROOM)
		return len;
	data[len] = (uint8_t)fuzz_tag_number(tag);
	data[len + 1] = (uint8_t)body;
	data[len + 2] = (uint8_t)(body >> 8);
	protobuf_c_message_pack(msg, data + len + FUZZ_HEAD);
	return len + FUZZ_HEAD + body;
}

/* All records of the sample, as inputs are. */
static size_t seed(int dir_fd, uint8_t *data, struct err *err)
{
	struct meta meta = { 0 };
	ManifestRecord *m;
	size_t len = 0, i;

	if (snapshot_manifest(dir_fd, NULL, &m, err) < 0)
		return 0;
	if (snapshot_meta(dir_fd, NULL, m->parts[0], &meta, err) == 0) {
		for (i = 0; i < meta.count; i++)
			len = add_record(data, len, meta.entries[i].tag,
					 meta.entries[i].msg);
		len = add_record(data, len, TAG_MANIFEST, &m->base);
	}
	meta_done(&meta);
	manifest_record__free_unpacked(m, NULL);
	return len;
}

static size_t mutate(uint8_t *p, size_t len, uint64_t *state)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0xfe, 8, 10 };
	size_t at = next(state) % len, n = next(state) % 24, to;

	switch (next(state) % 6) {
	case 0:
		p[at] ^= (uint8_t)(1 << next(state) % 8);
		break;
	case 1:
		p[at] = edges[next(state) % sizeof(edges)];
		break;
	case 2:
		p[at] = (uint8_t)next(state);
		break;
	case 3: /* a piece comes a second time, elsewhere */
		to = next(state) % len;
		n = n < len - at ? n : len - at;
		n = n < len - to ? n : len - to;
		memmove(p + to, p + at, n);
		break;
	case 4: /* a piece is lost */
		n = n < len - at ? n : len - at;
		memmove(p + at, p + at + n, len - at - n);
		return len - n > 8 ? len - n : len;
	case 5: /* room for more */
		n = n < ROOM - len ? n : ROOM - len;
		memmove(p + at + n, p + at, len - at);
		return len + n;
	}
	return len;
}

/* Sanitizers see what is read behind the end of an exact copy. */
static void try_one(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len);

	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static unsigned long run(const uint8_t *original, size_t len, uint64_t until,
			 uint64_t state)
{
	auto_free uint8_t *data = malloc(ROOM);
	unsigned long rounds = 0;

	while (clock_monotonic_ns() < until) {
		unsigned int changes = 1 + (unsigned int)(next(&state) % 8);
		size_t now = len;

		memcpy(data, original, len);
		while (changes--)
			now = mutate(data, now, &state);
		try_one(data, now);
		rounds++;
	}
	return rounds;
}

static size_t read_file(int dir_fd, const char *name, uint8_t *data)
{
	auto_free char *text = NULL;
	struct err err;
	size_t len = 0;

	if (read_file_at(dir_fd, name, ROOM, &text, &len, &err) < 0)
		return 0;
	memcpy(data, text, len);
	return len;
}

int main(void)
{
	const char *text = getenv("FUZZ_SECONDS");
	uint64_t seconds = 3, start = clock_monotonic_ns();
	auto_free uint8_t *records = malloc(ROOM), *frames = malloc(ROOM);
	unsigned long rounds;
	struct err err = { 0 };
	size_t len, framed;
	char path[64];
	int dir_fd = temp_dir(path);

	if (text)
		(void)parse_u64(text, 1000000, &seconds);
	ok(sample_write(dir_fd, NULL, &err) == 0, "a sample: %s", err.text);
	len = seed(dir_fd, records, &err);
	framed = read_file(dir_fd, SAMPLE_META, frames);
	temp_dir_remove(path);
	close(dir_fd);
	if (!ok(len > 500 && framed > 500, "%zu and %zu bytes to begin with",
		len, framed))
		return done_testing();
	LLVMFuzzerTestOneInput(records, len);
	LLVMFuzzerTestOneInput(frames, framed);
	rounds = run(records, len, start + seconds * NSEC_PER_SEC * 9 / 10, 42);
	ok(rounds > 100, "%lu changed sets of records broke nothing", rounds);
	rounds = run(frames, framed, start + seconds * NSEC_PER_SEC, 43);
	ok(rounds > 10, "%lu changed streams broke nothing", rounds);
	return done_testing();
}
