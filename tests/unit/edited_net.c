// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sockets of a snapshot that its owner edits well: none of them gets what the
 * user's own programs could not have.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../lib/edited.h"
#include "../lib/tap.h"
#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/net.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"

/* The job: something that listens, a connection with bytes, UDP, epoll. */
static int be_job(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int from = socket(AF_INET, SOCK_STREAM, 0);
	int udp = socket(AF_INET, SOCK_DGRAM, 0);

	if (epoll_create1(0) < 0 ||
	    bind(listener, (struct sockaddr *)&at, len) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &len) < 0 ||
	    connect(from, (struct sockaddr *)&at, len) < 0 ||
	    accept(listener, NULL, NULL) < 0 || write(from, "abc", 3) != 3 ||
	    bind(udp, (struct sockaddr *)&at, len) < 0 ||
	    sendto(udp, "abc", 3, 0, (struct sockaddr *)&at, len) != 3)
		return 1;
	printf("up\n");
	fflush(stdout);
	for (;;)
		pause();
}

static TcpConnectionRecord *connection(ProtobufCMessage *msg)
{
	return (TcpConnectionRecord *)msg;
}

static void low_end(ProtobufCMessage *msg)
{
	connection(msg)->ends[0]->local->port = 22;
}

static void low_other_end(ProtobufCMessage *msg)
{
	connection(msg)->ends[1]->local->port = 22;
}

static void far_end(ProtobufCMessage *msg)
{
	memcpy(connection(msg)->ends[1]->local->host.data, "\300\0\2\1", 4);
}

static void short_address(ProtobufCMessage *msg)
{
	connection(msg)->ends[1]->local->host.len = 3;
}

static void large_port(ProtobufCMessage *msg)
{
	connection(msg)->ends[1]->local->port = 65536 + 22;
}

static void other_family(ProtobufCMessage *msg)
{
	connection(msg)->ends[0]->domain = AF_UNIX;
}

static void one_end(ProtobufCMessage *msg)
{
	TcpEnd *last = connection(msg)->ends[1];

	connection(msg)->n_ends = 1;
	tcp_end__free_unpacked(last, NULL);
}

static void end_of_no_object(ProtobufCMessage *msg)
{
	connection(msg)->ends[0]->object = 0;
}

static void same_ends(ProtobufCMessage *msg)
{
	connection(msg)->ends[1]->object = connection(msg)->ends[0]->object;
}

static void much_unread(ProtobufCMessage *msg)
{
	for (int i = 0; i < 2; i++) {
		connection(msg)->ends[i]->unread = STREAM_MAX_BYTES + 1;
		connection(msg)->ends[i]->bytes = STREAM_MAX_BYTES + 1;
	}
}

static void huge_buffer(ProtobufCMessage *msg)
{
	connection(msg)->ends[0]->receive_buffer = UINT32_MAX;
}

static void data_of_nobody(ProtobufCMessage *msg)
{
	((TcpDataRecord *)msg)->connection = 12345;
}

static void data_of_third_end(ProtobufCMessage *msg)
{
	((TcpDataRecord *)msg)->end = 2;
}

static void low_port(ProtobufCMessage *msg)
{
	TcpRecord *rec = (TcpRecord *)msg;

	if (rec->kind == TCP_RECORD__KIND__LISTENING)
		rec->common->local->port = 80;
}

static void connected_to_none(ProtobufCMessage *msg)
{
	((TcpRecord *)msg)->kind = TCP_RECORD__KIND__CONNECTED;
}

static void listens_connected(ProtobufCMessage *msg)
{
	TcpRecord *rec = (TcpRecord *)msg;

	if (rec->kind == TCP_RECORD__KIND__CONNECTED)
		rec->kind = TCP_RECORD__KIND__LISTENING;
}

static void low_udp(ProtobufCMessage *msg)
{
	((UdpRecord *)msg)->common->local->port = 53;
}

static void far_source(ProtobufCMessage *msg)
{
	UdpDatagram *d = ((UdpRecord *)msg)->datagrams[0];

	d->sender = 0;
	memcpy(d->source->host.data, "\300\0\2\1", 4);
}

static void low_source(ProtobufCMessage *msg)
{
	UdpDatagram *d = ((UdpRecord *)msg)->datagrams[0];

	d->sender = 0;
	d->source->port = 53;
}

static void sent_by_none(ProtobufCMessage *msg)
{
	((UdpRecord *)msg)->datagrams[0]->sender = 12345;
}

static void sent_by_output(ProtobufCMessage *msg)
{
	((UdpRecord *)msg)->datagrams[0]->sender = 1;
}

static void add_option(SocketCommon *common, int level, int name, int value)
{
	SocketOption *o = calloc(1, sizeof(*o));

	socket_option__init(o);
	o->level = (uint32_t)level;
	o->name = (uint32_t)name;
	o->value.data = malloc(sizeof(value));
	memcpy(o->value.data, &value, sizeof(value));
	o->value.len = sizeof(value);
	common->options =
		realloc(common->options, (common->n_options + 1) * sizeof(o));
	common->options[common->n_options++] = o;
}

static void marked(ProtobufCMessage *msg)
{
	add_option(((UdpRecord *)msg)->common, SOL_SOCKET, SO_MARK, 7);
}

static void urgent_packets(ProtobufCMessage *msg)
{
	add_option(((UdpRecord *)msg)->common, SOL_SOCKET, SO_PRIORITY, 7);
}

/* Of another clock only root may choose when packets leave. */
static void timed_packets(ProtobufCMessage *msg)
{
	SocketCommon *common = ((UdpRecord *)msg)->common;
	const uint32_t clock[2] = { CLOCK_TAI, 0 };
	SocketOption *o;

	add_option(common, SOL_SOCKET, SO_TXTIME, 0);
	o = common->options[common->n_options - 1];
	o->value.data = realloc(o->value.data, sizeof(clock));
	memcpy(o->value.data, clock, sizeof(clock));
	o->value.len = sizeof(clock);
}

static void set_budget(ProtobufCMessage *msg, uint32_t budget)
{
	EpollRecord *rec = (EpollRecord *)msg;

	rec->has_busy_poll_usecs = rec->has_busy_poll_budget = 1;
	rec->busy_poll_usecs = 1;
	rec->busy_poll_budget = budget;
}

static void large_budget(ProtobufCMessage *msg)
{
	set_budget(msg, 65);
}

static void endless_budget(ProtobufCMessage *msg)
{
	set_budget(msg, 65536 + 8);
}

static void transparent(ProtobufCMessage *msg)
{
	add_option(((TcpRecord *)msg)->common, IPPROTO_IP, IP_TRANSPARENT, 1);
}

static void debugged(ProtobufCMessage *msg)
{
	add_option(((TcpRecord *)msg)->common, SOL_SOCKET, SO_DEBUG, 1);
}

static void forced_buffer(ProtobufCMessage *msg)
{
	add_option(((TcpRecord *)msg)->common, SOL_SOCKET, SO_RCVBUFFORCE,
		   1 << 30);
}

static void many_options(ProtobufCMessage *msg)
{
	for (unsigned int i = 0; i <= SOCKET_MAX_OPTIONS; i++)
		add_option(((UdpRecord *)msg)->common, SOL_SOCKET, SO_KEEPALIVE,
			   1);
}

static void long_option(ProtobufCMessage *msg)
{
	SocketCommon *common = ((UdpRecord *)msg)->common;
	SocketOption *o;

	add_option(common, SOL_SOCKET, SO_KEEPALIVE, 1);
	o = common->options[common->n_options - 1];
	o->value.data = realloc(o->value.data, 1000);
	memset(o->value.data, 0, 1000);
	o->value.len = 1000;
}

static const struct edited_case cases[] = {
	{ "an end at port 22", TAG_TCP_CONNECTION, low_end, "port 22" },
	{ "the other end at port 22", TAG_TCP_CONNECTION, low_other_end,
	  "port 22" },
	{ "an end at another node", TAG_TCP_CONNECTION, far_end, "192.0.2.1" },
	{ "an address of three bytes", TAG_TCP_CONNECTION, short_address,
	  "impossible address" },
	{ "port 65558", TAG_TCP_CONNECTION, large_port, "impossible address" },
	{ "an end of another family", TAG_TCP_CONNECTION, other_family,
	  "impossible address" },
	{ "a connection of one end", TAG_TCP_CONNECTION, one_end, "1 ends" },
	{ "an end without a number", TAG_TCP_CONNECTION, end_of_no_object,
	  "impossible connection" },
	{ "two ends of one number", TAG_TCP_CONNECTION, same_ends, "TCP" },
	{ "more than can be", TAG_TCP_CONNECTION, much_unread,
	  "impossible connection" },
	{ "a huge buffer", TAG_TCP_CONNECTION, huge_buffer, "buffers of" },
	{ "bytes of no connection", TAG_TCP_DATA, data_of_nobody,
	  "no connection" },
	{ "bytes for a third end", TAG_TCP_DATA, data_of_third_end,
	  "no connection" },
	{ "a listener at port 80", TAG_TCP, low_port, "port 80" },
	{ "an end of no connection", TAG_TCP, connected_to_none,
	  "no connection" },
	{ "listeners that share a port", TAG_TCP, listens_connected, "TCP" },
	{ "UDP at port 53", TAG_UDP, low_udp, "port 53" },
	{ "a datagram of another node", TAG_UDP, far_source, "192.0.2.1" },
	{ "a datagram of port 53", TAG_UDP, low_source, "port 53" },
	{ "a datagram of no socket", TAG_UDP, sent_by_none,
	  "of no UDP socket" },
	{ "a datagram of another file", TAG_UDP, sent_by_output,
	  "of no UDP socket" },
	{ "SO_MARK", TAG_UDP, marked, "not permitted" },
	{ "a high SO_PRIORITY", TAG_UDP, urgent_packets, "not permitted" },
	{ "SO_TXTIME of another clock", TAG_UDP, timed_packets,
	  "not permitted" },
	{ "a large budget to poll", TAG_EPOLL, large_budget, "budget of 65" },
	{ "one that is too long", TAG_EPOLL, endless_budget,
	  "budget of 65544" },
	{ "IP_TRANSPARENT", TAG_TCP, transparent, "not permitted" },
	{ "SO_DEBUG", TAG_TCP, debugged, "denied" },
	{ "SO_RCVBUFFORCE", TAG_TCP, forced_buffer, "socket option 33" },
	{ "too many options", TAG_UDP, many_options, "far more memory" },
	{ "an option that is too long", TAG_UDP, long_option, "socket option" },
};

int main(int argc, char **argv)
{
	const struct edited_test test = {
		.cases = cases,
		.count = ARRAY_SIZE(cases),
		.mode = 0777,
		.job = be_job,
	};

	return edited_main(argc, argv, &test);
}
