/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/record.h"
#include "images/tags.h"
#include "images/task.pb-c.h"
#include "tests/lib/tap.h"
#include "util/crc32c.h"

struct bytes {
	uint8_t data[4096];
	size_t len;
	int answer;
};

static int keep(void *arg, const void *data, size_t len, struct err *err)
{
	struct bytes *b = arg;

	if (b->answer)
		return err_set(err, b->answer, "the sink says no");
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

static EventfdRecord sample(OpenFile *open)
{
	EventfdRecord rec = EVENTFD_RECORD__INIT;

	open_file__init(open);
	open->object = 3;
	open->flags = 2;
	rec.open = open;
	rec.count = 77;
	return rec;
}

static void fill(struct bytes *b, uint32_t *records)
{
	struct img_sink sink = { keep, b, records };
	struct err err = { 0 };
	OpenFile open;
	EventfdRecord rec = sample(&open);

	b->len = 0;
	ok(img_put(&sink, TAG_EVENTFD, &rec.base, &err) == 0,
	   "a record is framed: %s", err.text);
}

static void test_round_trip(void)
{
	struct bytes b = { .len = 0 };
	struct img_record rec = { 0 };
	ProtobufCMessage *msg = NULL;
	struct err err = { 0 };
	uint32_t records = 0;
	size_t pos = 0;

	fill(&b, &records);
	ok(records == 1, "it is counted");
	ok(img_next(b.data, b.len, &pos, &rec, &err) == 1 && pos == b.len &&
		   rec.tag == TAG_EVENTFD,
	   "and read back: %s", err.text);
	ok(img_unpack(&rec, img_tag_type(rec.tag), &msg, &err) == 0 &&
		   ((EventfdRecord *)msg)->count == 77 &&
		   ((EventfdRecord *)msg)->open->object == 3,
	   "with its fields: %s", err.text);
	ok(img_next(b.data, b.len, &pos, &rec, &err) == 0,
	   "behind it is the end");
	if (msg)
		protobuf_c_message_free_unpacked(msg, NULL);
}

static int read_all_records(const uint8_t *data, size_t len, struct err *err)
{
	struct img_record rec;
	size_t pos = 0;
	int r;

	do
		r = img_next(data, len, &pos, &rec, err);
	while (r > 0);
	return r;
}

/* Copied to the end of fresh memory: sanitizers see every byte too many. */
static int read_exact(const uint8_t *data, size_t len, struct err *err)
{
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, data, len);
	r = read_all_records(copy, len, err);
	free(copy);
	return r;
}

static void test_damage(void)
{
	struct bytes b = { .len = 0 };
	struct err err = { 0 };
	size_t bit, len, missed = 0, unnamed = 0;

	fill(&b, NULL);
	for (bit = 0; bit < b.len * 8; bit++) {
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (read_exact(b.data, b.len, &err) != -EBADMSG)
			missed++;
		if (strncmp(err.text, "record at byte 0", 16) != 0)
			unnamed++;
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ok(!missed, "every flipped bit is noticed: %zu were not", missed);
	ok(!unnamed, "and the record is named: %s", err.text);

	for (missed = 0, len = 1; len < b.len; len++)
		if (read_exact(b.data, len, &err) != -EBADMSG)
			missed++;
	ok(!missed, "every cut is noticed");
	b.data[b.len] = 0;
	ok(read_exact(b.data, b.len + 1, &err) == -EBADMSG,
	   "a byte too many is noticed: %s", err.text);
}

/* A frame with a right checksum around anything. */
static struct img_record frame(struct bytes *b, uint32_t tag, const void *body,
			       uint32_t len)
{
	uint32_t head[3] = { tag, len };

	head[2] = crc32c(crc32c(0, head, 8), body, len);
	memcpy(b->data, head, sizeof(head));
	memcpy(b->data + sizeof(head), body, len);
	b->len = sizeof(head) + len;
	return (struct img_record){ tag, len, b->data + sizeof(head) };
}

/* A list of empty siginfos: 2 bytes each here, 16 in memory. */
static void test_greedy(struct bytes *b)
{
	uint8_t body[3000] = { 0x08, 1, 0x10, 1 };
	struct img_record rec;
	struct err err = { 0 };
	ProtobufCMessage *msg;
	size_t i;

	for (i = 4; i < sizeof(body); i += 2) {
		body[i] = 0x1a;
		body[i + 1] = 0;
	}
	rec = frame(b, TAG_SIGQUEUE, body, sizeof(body));
	ok(img_unpack(&rec, img_tag_type(rec.tag), &msg, &err) == -EBADMSG &&
		   strstr(err.text, "memory"),
	   "a record that would take many times its size: %s", err.text);
}

static void test_hostile(void)
{
	uint32_t head[3] = { TAG_TASK, RECORD_MAX_BYTES + 1, 0 };
	struct bytes b = { .len = 0 };
	struct err err = { 0 };
	ProtobufCMessage *msg;
	struct img_record rec;
	OpenFile open;
	EventfdRecord e = sample(&open);
	uint8_t body[256];
	size_t len;

	ok(read_exact((uint8_t *)head, sizeof(head), &err) == -EBADMSG &&
		   strstr(err.text, "limit"),
	   "a length over the limit takes no memory: %s", err.text);
	head[1] = 100;
	ok(read_exact((uint8_t *)head, sizeof(head), &err) == -EBADMSG &&
		   strstr(err.text, "beyond the end"),
	   "nor one beyond the data: %s", err.text);

	rec = frame(&b, TAG_EVENTFD, "\xff\xff\xff\xff", 4);
	ok(img_unpack(&rec, img_tag_type(rec.tag), &msg, &err) == -EBADMSG,
	   "bytes that are no message: %s", err.text);
	rec = frame(&b, TAG_EVENTFD, "", 0);
	ok(img_unpack(&rec, img_tag_type(rec.tag), &msg, &err) == -EBADMSG,
	   "a message without its required fields: %s", err.text);

	test_greedy(&b);
	len = eventfd_record__pack(&e, body);
	memcpy(body + len, "\xf8\x07\x01", 3); /* field 127, varint 1 */
	rec = frame(&b, TAG_EVENTFD, body, (uint32_t)len + 3);
	ok(img_unpack(&rec, img_tag_type(rec.tag), &msg, &err) == -ENOTSUP &&
		   strstr(err.text, "127"),
	   "a field of a later version is refused by number: %s", err.text);
	ok(read_exact(b.data, b.len, &err) == 0, "its frame alone is well: %s",
	   err.text);
}

static void test_sink(void)
{
	struct bytes b = { .answer = -ENOSPC };
	uint32_t records = 0;
	struct img_sink sink = { keep, &b, &records };
	struct err err = { 0 };
	OpenFile open;
	EventfdRecord rec = sample(&open);
	PipeRecord pipe = PIPE_RECORD__INIT;

	ok(img_put(&sink, TAG_EVENTFD, &rec.base, &err) == -ENOSPC &&
		   !records && strstr(err.text, "EventfdRecord"),
	   "what the sink says is passed on: %s", err.text);
	rec.open = NULL;
	ok(img_put(&sink, TAG_EVENTFD, &rec.base, &err) == -EINVAL,
	   "a record with a hole is not written: %s", err.text);
	pipe.data.len = RECORD_MAX_BYTES + 1;
	pipe.data.data = calloc(1, pipe.data.len);
	ok(img_put(&sink, TAG_PIPE, &pipe.base, &err) == -EMSGSIZE,
	   "nor one that no reader would take: %s", err.text);
	free(pipe.data.data);
}

int main(void)
{
	test_round_trip();
	test_damage();
	test_hostile();
	test_sink();
	ok(!strcmp(img_tag_name(TAG_VMA), "VmaRecord") &&
		   !img_tag_name(0xdead) && !img_tag_type(0xdead),
	   "tags have names, unknown ones have none");
	return done_testing();
}
