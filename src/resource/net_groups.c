// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/net_groups.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

struct group {
	struct group_filter filter;
	struct sockaddr_storage sources[8];
};

static bool is_member(int fd, int level, struct group *g)
{
	socklen_t len = sizeof(*g);

	g->filter.gf_numsrc = 8;
	return getsockopt(fd, level, MCAST_MSFILTER, g, &len) == 0 ||
	       errno == ENOBUFS;
}

/* "2	eth0      :     1      V3", then "				010000E0
 * 1 0:..." */
static bool any_in_igmp(int fd, FILE *f)
{
	unsigned int index = 0, group;
	char line[256];

	while (fgets(line, sizeof(line), f)) {
		struct group g = { 0 };
		struct sockaddr_in in = { .sin_family = AF_INET };

		if (line[0] != '\t') {
			(void)sscanf(line, "%u", &index);
			continue;
		}
		if (sscanf(line, " %8x", &group) != 1)
			continue;
		in.sin_addr.s_addr = group;
		memcpy(&g.filter.gf_group, &in, sizeof(in));
		g.filter.gf_interface = index;
		if (is_member(fd, IPPROTO_IP, &g))
			return true;
	}
	return false;
}

/* "2    eth0            ff0200000000000000000001ff000001     1 00000004 0" */
static bool any_in_igmp6(int fd, FILE *f)
{
	char line[256], hex[33];
	unsigned int index;

	while (fgets(line, sizeof(line), f)) {
		struct group g = { 0 };
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

		if (sscanf(line, "%u %*s %32s", &index, hex) != 2 ||
		    strlen(hex) != 32)
			continue;
		for (int i = 0; i < 16; i++)
			(void)sscanf(hex + 2 * i, "%2hhx",
				     &in6.sin6_addr.s6_addr[i]);
		memcpy(&g.filter.gf_group, &in6, sizeof(in6));
		g.filter.gf_interface = index;
		if (is_member(fd, IPPROTO_IPV6, &g))
			return true;
	}
	return false;
}

int net_groups_any(int fd, bool *ret, struct err *err)
{
	auto_fclose FILE *v4 = fopen("/proc/self/net/igmp", "re");
	auto_fclose FILE *v6 = fopen("/proc/self/net/igmp6", "re");

	if (!v4)
		return err_sys(err, "/proc/self/net/igmp");
	/* Without IPv6 there is no such file. */
	*ret = any_in_igmp(fd, v4) || (v6 && any_in_igmp6(fd, v6));
	return 0;
}
