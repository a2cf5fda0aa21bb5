/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images/record.h"
#include "images/tags.h"
#include "snapshot/diff_parts.h"
#include "snapshot/print.h"
#include "snapshot/snapshot.h"
#include "tests/fuzz/fuzz.h"

/*
 * Parsers of images on bytes from anywhere: frames, messages, what must hold
 * between records, the manifest, the printers.
 */

#define RECORDS_MAX 64

static const uint32_t tags[] = {
	TAG_MANIFEST,     TAG_PART,      TAG_PART_END,
	TAG_TASK,         TAG_SIGACTION, TAG_SIGQUEUE,
	TAG_TIMER,        TAG_TIMER_OVERRUN,
	       TAG_PROCESS,   TAG_RLIMIT,
	TAG_FS,           TAG_MM,        TAG_VMA,
	TAG_SHMEM,        TAG_PAGES,     TAG_COW,
	TAG_BLOCKS,
	TAG_REGS,
	TAG_THREAD,       TAG_SCHED,     TAG_CREDS,
	TAG_FD,           TAG_FILE,      TAG_GHOST,
	TAG_PIPE,         TAG_PIPE_END,  TAG_CHARDEV,
	TAG_EVENTFD,      TAG_TIMERFD,   TAG_SIGNALFD,
	TAG_EPOLL,        TAG_MEMFD,     TAG_MEMORY_POLICY,
	TAG_THREAD_POLICY, TAG_SECCOMP, TAG_SYSV_SHM,
	TAG_SYSV_SEM,     TAG_SYSV_UNDO, TAG_SYSV_MSG,
	TAG_SYSV_MESSAGES, TAG_MQUEUE,   TAG_MQUEUE_MESSAGES, TAG_MQUEUE_FD,
	TAG_PIDFD,        TAG_DEAD_PROCESS, TAG_INOTIFY,
	TAG_PTY,          TAG_PTY_MASTER,
	TAG_TCP_CONNECTION,
	TAG_TCP_DATA,     TAG_TCP,       TAG_UDP,
	TAG_DIRECTORY,    TAG_PRIVATE_DIR, TAG_PRIVATE_ENTRY, TAG_SEAL
};

#define TAGS (sizeof(tags) / sizeof(tags[0]))

size_t fuzz_tag_number(uint32_t tag)
{
	size_t i;

	for (i = 0; i < TAGS && tags[i] != tag; i++)
		;
	return i;
}

static void must(int holds)
{
	if (!holds)
		abort();
}

static void walk_frames(const uint8_t *data, size_t size)
{
	struct img_record rec;
	ProtobufCMessage *msg;
	struct err err = { 0 };
	size_t pos = 0, before = 0;
	int r;

	while ((r = img_next(data, size, &pos, &rec, &err)) > 0) {
		must(pos > before && pos <= size);
		must(rec.body + rec.len == data + pos);
		before = pos;
		if (!img_tag_type(rec.tag))
			continue;
		if (img_unpack(&rec, img_tag_type(rec.tag), &msg, &err) == 0)
			protobuf_c_message_free_unpacked(msg, NULL);
	}
	must(r == 0 ? pos == size : r == -EBADMSG && *err.text);
}

/* Whatever was understood can be shown, and packed for a second reader. */
static void use_message(const ProtobufCMessage *msg)
{
	FILE *out = fopen("/dev/null", "w");
	struct json_object *json = record_json(msg);

	must(out && json);
	record_print(out, msg, 0);
	must(json_object_to_json_string(json) != NULL);
	json_object_put(json);
	fclose(out);
	must(protobuf_c_message_check(msg));
	must(protobuf_c_message_get_packed_size(msg) < 1u << 30);
}

static void use_manifest(const ProtobufCMessage *msg)
{
	struct err err = { 0 };
	uint8_t *data;
	size_t len;

	if (snapshot_manifest_pack((const ManifestRecord *)msg, &data, &len,
				   &err) < 0)
		return;
	walk_frames(data, len);
	free(data);
}

static void check_records(const struct meta *meta)
{
	StreamEntry entry[3], *streams[] = { &entry[0], &entry[1], &entry[2] };
	PartEntry part = PART_ENTRY__INIT;
	struct err err = { 0 };
	int i, r;

	for (i = 0; i < 3; i++) {
		stream_entry__init(&entry[i]);
		entry[i].name = (char *)"stream";
		entry[i].length = i == 1 ? 16384 : 8192;
	}
	part.node = (char *)"node-a";
	part.n_streams = 3;
	part.streams = streams;
	r = snapshot_check_meta(&part, meta, &err);
	must(r == 0 || (r < 0 && *err.text));
}

/* With itself, and with the first half of it. */
static void compare_records(const struct meta *meta)
{
	const struct meta half = { meta->entries, meta->count / 2 };
	const struct meta *const before[] = { meta, &half };
	ManifestRecord m = MANIFEST_RECORD__INIT;
	FILE *out = fopen("/dev/null", "w");
	struct err err = { 0 };

	must(out != NULL);
	m.job_id = (char *)"1";
	for (size_t i = 0; i < 2; i++) {
		struct diff d = { .before = &m, .after = &m };

		if (diff_find(before[i], meta, &d, &err) == 0) {
			must(diff_print(&d, "a", "b", false, out, &err) == 0);
			must(diff_print(&d, "a", "b", true, out, &err) == 0);
		}
		diff_done(&d);
	}
	fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meta_entry entries[RECORDS_MAX];
	struct meta meta = { entries, 0 };
	struct err err = { 0 };
	size_t at = 0, i;

	walk_frames(data, size);
	while (size - at >= FUZZ_HEAD && meta.count < RECORDS_MAX) {
		struct meta_entry *e = &entries[meta.count];
		struct img_record rec = { .tag = tags[data[at] % TAGS] };
		size_t len = data[at + 1] | (size_t)data[at + 2] << 8;

		at += FUZZ_HEAD;
		rec.len = (uint32_t)(len < size - at ? len : size - at);
		rec.body = data + at;
		at += rec.len;
		if (img_unpack(&rec, img_tag_type(rec.tag), &e->msg, &err) < 0)
			continue;
		e->tag = rec.tag;
		meta.count++;
		use_message(e->msg);
		if (e->tag == TAG_MANIFEST)
			use_manifest(e->msg);
	}
	if (meta.count) {
		check_records(&meta);
		compare_records(&meta);
	}
	for (i = 0; i < meta.count; i++)
		protobuf_c_message_free_unpacked(entries[i].msg, NULL);
	return 0;
}
