/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_FRAME_H
#define JOBCR_WIRE_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Protobuf messages between programs: a header (magic, version, kind,
 * length; little endian) and the packed message.  One frame is one message
 * of a SOCK_SEQPACKET socket; on TCP frames follow each other.
 */
#define FRAME_MAGIC   0x6a636672u /* "jcfr" */
#define FRAME_VERSION 1
#define FRAME_MAX     (128u << 10)
#define FRAME_HEADER  12u

enum frame_kind {
	FRAME_REQUEST = 1,    /* Request */
	FRAME_REPLY,          /* Reply */
	FRAME_WORKER_REQUEST, /* WorkerRequest */
	FRAME_WORKER_MESSAGE, /* WorkerMessage */
	FRAME_WORKER_ANSWER,  /* WorkerAnswer */
	FRAME_CREDENTIAL,     /* text of a munge credential, not protobuf */
};

/* Pack; owned by the caller (free).  Too long: -EMSGSIZE. */
int frame_pack(enum frame_kind kind, const ProtobufCMessage *msg, uint8_t **ret,
	       size_t *ret_len, struct err *err);

/* Put the header in front of raw bytes. */
int frame_wrap(enum frame_kind kind, const void *body, size_t len,
	       uint8_t **ret, size_t *ret_len, struct err *err);

/*
 * Check a header of FRAME_HEADER bytes: -EBADMSG when it is not ours, of
 * another kind, or announces more than FRAME_MAX; -EPROTO for another
 * version.  *ret_len: bytes that follow.
 */
int frame_check(const uint8_t *header, enum frame_kind kind, size_t *ret_len,
		struct err *err);

/* A whole frame; owned by the caller: free_unpacked. */
int frame_unpack(const uint8_t *data, size_t len, enum frame_kind kind,
		 const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret,
		 struct err *err);

/* The same through a SOCK_SEQPACKET socket, with descriptors. */
int frame_send(int fd, enum frame_kind kind, const ProtobufCMessage *msg,
	       const int *fds, size_t nfds, struct err *err);
int frame_receive(int fd, enum frame_kind kind,
		  const ProtobufCMessageDescriptor *type,
		  ProtobufCMessage **ret, int *ret_fds, size_t *ret_nfds,
		  struct err *err);

/* Whole frames on a stream. */
int frame_write(int fd, enum frame_kind kind, const void *body, size_t len,
		struct err *err);
int frame_read(int fd, enum frame_kind kind, uint8_t **ret, size_t *ret_len,
	       struct err *err);

/* Calls above fail with -EAGAIN ("timed out") after this; 0: never. */
int frame_timeout(int fd, unsigned int milliseconds, struct err *err);

#endif
