/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "repair/stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "repair/chain.h"
#include "util/cleanup.h"

/* Bytes arrive for a moment after both ends were stopped. */
#define LOOKS 1000

int stream_state(int fd, uint8_t *ret, struct err *err)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return err_sys(err, "TCP_INFO");
	*ret = info.tcpi_state;
	return 0;
}

bool stream_has_ended(uint8_t state)
{
	return state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 ||
	       state == TCP_CLOSING || state == TCP_LAST_ACK;
}

bool stream_sees_end(uint8_t state)
{
	return state == TCP_CLOSE_WAIT || state == TCP_CLOSING ||
	       state == TCP_LAST_ACK;
}

/* With a FIN that is not acknowledged. */
static int queued(int fd, uint8_t *ret_state, size_t *ret, struct err *err)
{
	int n = 0, r;

	if (ioctl(fd, SIOCOUTQ, &n) < 0)
		return err_sys(err, "SIOCOUTQ");
	r = stream_state(fd, ret_state, err);
	*ret = (size_t)n;
	return r;
}

/* In FIN_WAIT2 all was acknowledged, perhaps only since the first look. */
static bool has_fin_queued(uint8_t state)
{
	return stream_has_ended(state) && state != TCP_FIN_WAIT2;
}

int stream_unsent(int fd, size_t *ret, struct err *err)
{
	uint8_t state;
	int r = queued(fd, &state, ret, err);

	if (r == 0 && state == TCP_FIN_WAIT2)
		*ret = 0;
	else if (r == 0 && has_fin_queued(state) && *ret)
		*ret -= 1;
	return r;
}

/* The sender's queue, and the number of its first byte. */
struct sent {
	uint8_t *data;
	size_t len;
	uint32_t first;
};

static int read_sent(int fd, size_t limit, struct sent *ret, struct err *err)
{
	size_t unsent;
	uint8_t state;
	uint32_t end;
	int r;

	r = stream_unsent(fd, &unsent, err);
	if (r < 0 || !unsent)
		return r;
	if (unsent > limit)
		return err_set(err, -EFBIG, "%zu bytes are not sent", unsent);
	r = chain_supported(err);
	if (r < 0)
		return r;
	ret->data = malloc(unsent + 1);
	if (!ret->data)
		return err_num(err, ENOMEM, "%zu bytes to be sent", unsent);
	r = chain_read_sent(fd, ret->data, unsent + 1, &ret->len, err);
	if (r == 0)
		r = chain_sequence(fd, &end, err);
	/* Nobody ends it meanwhile: how it was is how it is. */
	if (r == 0)
		r = stream_state(fd, &state, err);
	if (r < 0)
		return r;
	ret->first = end - stream_has_ended(state) - (uint32_t)ret->len;
	return 0;
}

static int peek(int fd, uint8_t *data, size_t len, struct err *err)
{
	ssize_t n = len ? recv(fd, data, len, MSG_PEEK | MSG_DONTWAIT) : 0;

	if (n < 0)
		return err_sys(err, "read what has arrived");
	if ((size_t)n != len)
		return err_set(err, -EIO, "%zd of %zu bytes that have arrived",
			       n, len);
	return 0;
}

static int count_arrived(int fd, size_t limit, size_t *ret, struct err *err)
{
	int n = 0;

	if (ioctl(fd, SIOCINQ, &n) < 0)
		return err_sys(err, "SIOCINQ");
	if ((size_t)n > limit)
		return err_set(err, -EFBIG, "%d bytes are not read", n);
	*ret = (size_t)n;
	return 0;
}

/* The receiver's queue while nothing arrives; and where it ends. */
static int read_arrived(int fd, bool numbered, size_t limit,
			struct tcp_stream *ret, uint32_t *ret_end,
			struct err *err)
{
	uint32_t before = 0, after = 0;
	size_t len, again;
	int r;

	for (unsigned int i = 0; i < LOOKS; i++) {
		r = numbered ? chain_sequence(fd, &before, err) : 0;
		if (r == 0)
			r = count_arrived(fd, limit, &len, err);
		if (r < 0)
			return r;
		free(take_ptr(ret->data));
		ret->data = malloc(len + 1);
		if (!ret->data)
			return err_num(err, ENOMEM, "%zu bytes", len);
		r = peek(fd, ret->data, len, err);
		if (r == 0 && numbered)
			r = chain_sequence(fd, &after, err);
		if (r == 0)
			r = count_arrived(fd, limit, &again, err);
		if (r < 0)
			return r;
		if (before != after || len != again)
			continue;
		ret->len = ret->unread = len;
		*ret_end = after;
		return 0;
	}
	return err_set(err, -EBUSY, "bytes go on to arrive");
}

static int check_numbered(int fd, bool *ret_over, struct err *err)
{
	uint8_t state;
	int r = stream_state(fd, &state, err);

	if (r < 0)
		return r;
	if (state == TCP_LISTEN || state == TCP_SYN_SENT ||
	    state == TCP_SYN_RECV)
		return err_set(err, -ENOTCONN, "no connection");
	*ret_over = state == TCP_CLOSE;
	return *ret_over ? 0 : chain_supported(err);
}

int stream_read_sent(int fd, size_t limit, struct tcp_half *half,
		     struct err *err)
{
	struct sent sent = { 0 };
	bool over = false;
	uint8_t state;
	uint32_t end;
	int r;

	r = check_numbered(fd, &over, err);
	if (r == 0 && over) {
		*half = (struct tcp_half){ .over = true, .finished = true };
		return 0;
	}
	if (r == 0)
		r = read_sent(fd, limit, &sent, err);
	/* With nothing to be read it has not looked. */
	if (r == 0 && !sent.data)
		r = chain_choose(fd, CHAIN_SEND, err);
	if (r == 0)
		r = chain_sequence(fd, &end, err);
	if (r == 0)
		r = stream_state(fd, &state, err);
	if (r < 0) {
		free(sent.data);
		return r;
	}
	*half = (struct tcp_half){
		.sent = sent.data,
		.nsent = sent.len,
		.finished = stream_has_ended(state),
		.sent_first =
			end - stream_has_ended(state) - (uint32_t)sent.len,
	};
	return 0;
}

int stream_read_arrived(int fd, size_t limit, struct tcp_half *half,
			struct err *err)
{
	struct tcp_stream got = { 0 };
	bool over = false;
	uint32_t end = 0;
	int r;

	/* It may be over since its first step. */
	r = check_numbered(fd, &over, err);
	if (r == 0 && !over)
		r = chain_choose(fd, CHAIN_RECEIVE, err);
	if (r == 0)
		r = read_arrived(fd, !over, limit, &got, &end, err);
	if (r < 0) {
		free(got.data);
		return r;
	}
	half->over |= over;
	half->unread = got.data;
	half->nunread = got.len;
	half->unread_end = end;
	return 0;
}

void tcp_half_done(struct tcp_half *half)
{
	free(half->sent);
	free(half->unread);
	*half = (struct tcp_half){ 0 };
}

int tcp_half_known(const struct tcp_half *from, const struct tcp_half *to,
		   size_t *ret, struct err *err)
{
	int32_t known = (int32_t)(to->unread_end - from->sent_first);

	/* Then each has acknowledged the other's last byte. */
	if (from->over || to->over) {
		*ret = from->nsent;
		return 0;
	}

	if (known < 0 || (size_t)known > from->nsent + from->finished)
		return err_set(err, -EBADMSG,
			       "the two ends do not fit: %d of %zu bytes have "
			       "arrived",
			       (int)known, from->nsent);
	*ret = (size_t)known < from->nsent ? (size_t)known : from->nsent;
	return 0;
}

/* What of the sender's queue has not arrived is behind what has. */
static int join(const struct sent *sent, uint32_t arrived, size_t limit,
		struct tcp_stream *ret, struct err *err)
{
	int32_t known = (int32_t)(arrived - sent->first);
	uint8_t *data;
	size_t rest;

	/* One more is a FIN. */
	if (known < 0 || (size_t)known > sent->len + 1)
		return err_set(err, -EIO,
			       "the two ends do not fit: %d of %zu bytes have "
			       "arrived",
			       (int)known, sent->len);
	if ((size_t)known >= sent->len)
		return 0;
	rest = sent->len - (size_t)known;
	if (rest > limit - ret->len)
		return err_set(err, -EFBIG, "%zu bytes are on their way",
			       rest + ret->len);
	data = realloc(ret->data, ret->len + rest);
	if (!data)
		return err_num(err, ENOMEM, "%zu bytes", ret->len + rest);
	memcpy(data + ret->len, sent->data + known, rest);
	ret->data = data;
	ret->len += rest;
	return 0;
}

static int read_both(int from, int to, size_t limit, struct sent *sent,
		     struct tcp_stream *ret, struct err *err)
{
	uint32_t end = 0;
	int r;

	/* The sender first: whatever leaves it then is in both copies. */
	r = from >= 0 ? read_sent(from, limit, sent, err) : 0;
	if (r == 0 && sent->len)
		r = chain_choose(to, CHAIN_RECEIVE, err);
	if (r == 0)
		r = read_arrived(to, sent->len, limit, ret, &end, err);
	return r < 0 || !sent->len ? r : join(sent, end, limit, ret, err);
}

int stream_read(int from, int to, size_t limit, struct tcp_stream *ret,
		struct err *err)
{
	struct tcp_stream got = { 0 };
	struct sent sent = { 0 };
	int r = 0;

	if (to >= 0)
		r = read_both(from, to, limit, &sent, &got, err);
	free(sent.data);
	if (r < 0) {
		free(got.data);
		return r;
	}
	*ret = got;
	return 0;
}
