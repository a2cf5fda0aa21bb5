/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages between programs: what is not whole and ours is refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "src/wire/request.pb-c.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/control.h"
#include "wire/frame.h"

static int unpack(const uint8_t *data, size_t len)
{
	ProtobufCMessage *msg;
	struct err err = { 0 };
	int r = frame_unpack(data, len, FRAME_REQUEST, &request__descriptor,
			     &msg, &err);

	if (r == 0)
		protobuf_c_message_free_unpacked(msg, NULL);
	return r;
}

static void test_damage(void)
{
	auto_free uint8_t *data = NULL;
	Request req = REQUEST__INIT;
	struct err err = { 0 };
	size_t len, i;
	int taken = 0;

	req.op = REQUEST__OPERATION__KILL;
	req.job_id = (char *)"local-1";
	ok(frame_pack(FRAME_REQUEST, &req.base, &data, &len, &err) == 0,
	   "a request is packed");
	ok(unpack(data, len) == 0, "and unpacked");
	for (i = 0; i < len; i++)
		taken += unpack(data, i) == 0;
	ok(taken == 0, "every shorter beginning of it is refused");
	for (i = 0; i < FRAME_HEADER; i++) {
		data[i] ^= 0x40;
		taken += unpack(data, len) == 0;
		data[i] ^= 0x40;
	}
	ok(taken == 0, "a change of any byte of the header is refused");
	/* No crash, no leak: what protobuf makes of it is another matter. */
	for (i = 0; i < len * 8; i++) {
		data[i / 8] ^= 1 << i % 8;
		(void)unpack(data, len);
		data[i / 8] ^= 1 << i % 8;
	}
	data[4]++;
	ok(unpack(data, len) == -EPROTO, "another version is told apart");
}

static void test_length(void)
{
	uint8_t header[FRAME_HEADER];
	auto_free uint8_t *data = NULL;
	auto_free char *text = malloc(FRAME_MAX + 2);
	Request req = REQUEST__INIT;
	struct err err = { 0 };
	size_t len;

	memset(text, 'a', FRAME_MAX + 1);
	text[FRAME_MAX + 1] = '\0';
	req.op = REQUEST__OPERATION__RUN;
	req.name = text;
	ok(frame_pack(FRAME_REQUEST, &req.base, &data, &len, &err) == -EMSGSIZE,
	   "a message that is too long is not packed");
	ok(frame_wrap(FRAME_CREDENTIAL, "x", 1, &data, &len, &err) == 0,
	   "raw bytes get a header");
	memcpy(header, data, sizeof(header));
	header[10] = 0x7f;
	ok(frame_check(header, FRAME_CREDENTIAL, &len, &err) == -EBADMSG,
	   "an announced length beyond the limit is refused before it is read");
}

/* Descriptors that come with a frame that is no frame are not kept. */
static void test_descriptors(void)
{
	int pair[2], fds[4], got = 0;
	size_t count = 4;
	ProtobufCMessage *msg;
	struct err err = { 0 };
	const int send[2] = { 0, 1 };
	int before = dup(0), after;

	close(before);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	ok(send_fds(pair[0], "no frame at all", 15, send, 2, &err) == 0,
	   "something else is sent with descriptors");
	got = frame_receive(pair[1], FRAME_REQUEST, &request__descriptor, &msg,
			    fds, &count, &err);
	ok(got == -EBADMSG && count == 0, "it is refused");
	close(pair[0]);
	close(pair[1]);
	after = dup(0);
	ok(after == before, "and its descriptors are closed");
	close(after);
}

static void test_ids(void)
{
	static const char *const bad[] = { "",    ".",   "..",   ".x",  "a/b",
					   "a b", "a\n", "../x", "a\\b" };
	char longer[JOB_ID_MAX + 2];
	struct err err = { 0 };
	size_t i, refused = 0;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		refused += control_check_id(bad[i], &err) == -EINVAL;
	ok(refused == ARRAY_SIZE(bad), "ids that are no plain names: refused");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ok(control_check_id(longer, &err) == -EINVAL, "nor too long ones");
	ok(control_check_id("local-12", &err) == 0, "local-12 is one");
}

int main(void)
{
	test_damage();
	test_length();
	test_descriptors();
	test_ids();
	return done_testing();
}
