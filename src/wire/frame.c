/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/frame.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "util/cleanup.h"
#include "util/io.h"

static void put_header(uint8_t *at, enum frame_kind kind, size_t len)
{
	uint32_t magic = htole32(FRAME_MAGIC);
	uint16_t version = htole16(FRAME_VERSION);
	uint16_t what = htole16((uint16_t)kind);
	uint32_t length = htole32((uint32_t)len);

	memcpy(at, &magic, 4);
	memcpy(at + 4, &version, 2);
	memcpy(at + 6, &what, 2);
	memcpy(at + 8, &length, 4);
}

static int make(enum frame_kind kind, size_t len, uint8_t **ret,
		struct err *err)
{
	uint8_t *data;

	if (len > FRAME_MAX)
		return err_set(err, -EMSGSIZE,
			       "message of %zu bytes: at most %u", len,
			       FRAME_MAX);
	data = malloc(FRAME_HEADER + len);
	if (!data)
		return err_num(err, ENOMEM, "message");
	put_header(data, kind, len);
	*ret = data;
	return 0;
}

int frame_pack(enum frame_kind kind, const ProtobufCMessage *msg, uint8_t **ret,
	       size_t *ret_len, struct err *err)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	int r = make(kind, len, ret, err);

	if (r < 0)
		return r;
	protobuf_c_message_pack(msg, *ret + FRAME_HEADER);
	*ret_len = FRAME_HEADER + len;
	return 0;
}

int frame_wrap(enum frame_kind kind, const void *body, size_t len,
	       uint8_t **ret, size_t *ret_len, struct err *err)
{
	int r = make(kind, len, ret, err);

	if (r < 0)
		return r;
	memcpy(*ret + FRAME_HEADER, body, len);
	*ret_len = FRAME_HEADER + len;
	return 0;
}

int frame_check(const uint8_t *header, enum frame_kind kind, size_t *ret_len,
		struct err *err)
{
	uint32_t magic, length;
	uint16_t version, what;

	memcpy(&magic, header, 4);
	memcpy(&version, header + 4, 2);
	memcpy(&what, header + 6, 2);
	memcpy(&length, header + 8, 4);
	if (le32toh(magic) != FRAME_MAGIC)
		return err_set(err, -EBADMSG, "not a message of jobcr");
	if (le16toh(version) != FRAME_VERSION)
		return err_set(err, -EPROTO,
			       "the other side speaks version %u, this one "
			       "%u: install one release on all nodes",
			       le16toh(version), FRAME_VERSION);
	if (le16toh(what) != kind)
		return err_set(err, -EBADMSG, "message of kind %u, not %u",
			       le16toh(what), kind);
	if (le32toh(length) > FRAME_MAX)
		return err_set(err, -EBADMSG, "message of %u bytes: at most %u",
			       le32toh(length), FRAME_MAX);
	*ret_len = le32toh(length);
	return 0;
}

int frame_unpack(const uint8_t *data, size_t len, enum frame_kind kind,
		 const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret,
		 struct err *err)
{
	size_t body;
	int r;

	if (len < FRAME_HEADER)
		return err_set(err, -EBADMSG, "message of %zu bytes", len);
	r = frame_check(data, kind, &body, err);
	if (r < 0)
		return r;
	if (body != len - FRAME_HEADER)
		return err_set(err, -EBADMSG, "message is not whole");
	*ret = protobuf_c_message_unpack(type, NULL, body, data + FRAME_HEADER);
	return *ret ? 0 : err_set(err, -EBADMSG, "not a %s", type->short_name);
}

int frame_send(int fd, enum frame_kind kind, const ProtobufCMessage *msg,
	       const int *fds, size_t nfds, struct err *err)
{
	auto_free uint8_t *data = NULL;
	size_t len;
	int r = frame_pack(kind, msg, &data, &len, err);

	return r < 0 ? r : send_fds(fd, data, len, fds, nfds, err);
}

int frame_receive(int fd, enum frame_kind kind,
		  const ProtobufCMessageDescriptor *type,
		  ProtobufCMessage **ret, int *ret_fds, size_t *ret_nfds,
		  struct err *err)
{
	auto_free uint8_t *data = malloc(FRAME_HEADER + FRAME_MAX);
	size_t len, none = 0, *nfds = ret_nfds ? ret_nfds : &none;
	int r;

	if (!data)
		return err_num(err, ENOMEM, "message");
	r = recv_fds(fd, data, FRAME_HEADER + FRAME_MAX, &len, ret_fds, nfds,
		     err);
	if (r < 0)
		return r;
	r = frame_unpack(data, len, kind, type, ret, err);
	while (r < 0 && *nfds)
		close(ret_fds[--*nfds]);
	return r;
}

int frame_write(int fd, enum frame_kind kind, const void *body, size_t len,
		struct err *err)
{
	auto_free uint8_t *data = NULL;
	size_t whole;
	int r = frame_wrap(kind, body, len, &data, &whole, err);

	return r < 0 ? r : write_all(fd, data, whole, err);
}

int frame_read(int fd, enum frame_kind kind, uint8_t **ret, size_t *ret_len,
	       struct err *err)
{
	uint8_t header[FRAME_HEADER];
	auto_free uint8_t *body = NULL;
	size_t len;
	int r = read_all(fd, header, sizeof(header), err);

	if (r == 0)
		r = frame_check(header, kind, &len, err);
	if (r < 0)
		return r;
	body = malloc(len + 1);
	if (!body)
		return err_num(err, ENOMEM, "message");
	r = read_all(fd, body, len, err);
	if (r < 0)
		return r;
	body[len] = '\0';
	*ret = take_ptr(body);
	*ret_len = len;
	return 0;
}

int frame_timeout(int fd, unsigned int milliseconds, struct err *err)
{
	const struct timeval t = { .tv_sec = milliseconds / 1000,
				   .tv_usec = milliseconds % 1000 * 1000 };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
		return err_sys(err, "set a timeout");
	return 0;
}
