// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses that have moved: which words are right, and what they do. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/lib/tap.h"
#include "util/address_map.h"
#include "util/cleanup.h"

static const char *moved(char *const *words, size_t count, const char *text)
{
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	static char ret[INET6_ADDRSTRLEN];
	uint8_t host[16];

	if (inet_pton(family, text, host) != 1)
		return "?";
	(void)address_map_apply(words, count, family, host);
	return inet_ntop(family, host, ret, sizeof(ret));
}

static void test_apply(void)
{
	static char text[][40] = { "10.0.0.1=10.0.0.2", "10.0.0.2=10.0.0.3",
				   "fd00::1=fd00::2", "192.0.2.1=127.0.0.1" };
	char *const words[] = { text[0], text[1], text[2], text[3] };
	static const char *const cases[][2] = {
		{ "10.0.0.1", "10.0.0.2" },
		{ "10.0.0.2", "10.0.0.3" },
		{ "10.0.0.3", "10.0.0.3" },
		{ "192.0.2.1", "127.0.0.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "fd00::1", "fd00::2" },
		{ "fd00::2", "fd00::2" },
		{ "::ffff:10.0.0.1", "::ffff:10.0.0.2" },
		{ "::10.0.0.1", "::10.0.0.1" },
		{ "::", "::" },
	};
	struct err err = { 0 };

	ok(address_maps_check(words, ARRAY_SIZE(words), &err) == 0,
	   "they are right %s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *now = moved(words, ARRAY_SIZE(words), cases[i][0]);

		ok(!strcmp(now, cases[i][1]), "%s is %s", cases[i][0], now);
	}
	ok(!strcmp(moved(NULL, 0, "10.0.0.1"), "10.0.0.1"),
	   "without any all are as they were");
}

static void test_wrong(void)
{
	static const char *const wrong[] = {
		"",
		"=",
		"10.0.0.1",
		"10.0.0.1=",
		"=10.0.0.1",
		"10.0.0.1=fd00::1",
		"fd00::1=10.0.0.1",
		"10.0.0=10.0.0.1",
		"10.0.0.256=10.0.0.1",
		"10.0.0.1=10.0.0.2 ",
		" 10.0.0.1=10.0.0.2",
		"10.0.0.1=10.0.0.2=10.0.0.3",
		"127.1.2.3=10.0.0.2",
		"::1=fd00::1",
		"0.0.0.0=10.0.0.1",
		"::=fd00::1",
		"10.0.0.1=0.0.0.0",
		"10.0.0.1=239.1.1.1",
		"10.0.0.1=255.255.255.255",
		"fd00::1=ff02::1",
		"fd00::1=::ffff:10.0.0.1",
		"fd00::1%eth0=fd00::2",
	};
	char much[300];
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		ok(address_map_check(wrong[i], &err) < 0, "\"%s\" is wrong",
		   wrong[i]);
	memset(much, '1', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	much[150] = '=';
	ok(address_map_check(much, &err) < 0, "so is a long one");
}

static void test_many(void)
{
	static char text[ADDRESS_MAPS_MAX + 1][40];
	char *words[ADDRESS_MAPS_MAX + 1];
	struct err err;

	for (size_t i = 0; i <= ADDRESS_MAPS_MAX; i++) {
		snprintf(text[i], sizeof(text[i]), "10.0.0.%zu=10.0.1.%zu",
			 i + 1, i + 1);
		words[i] = text[i];
	}
	ok(address_maps_check(words, ADDRESS_MAPS_MAX, &err) == 0,
	   "%d are allowed", ADDRESS_MAPS_MAX);
	ok(address_maps_check(words, ADDRESS_MAPS_MAX + 1, &err) < 0,
	   "no more");
	words[9] = words[3];
	ok(address_maps_check(words, 10, &err) < 0, "none is given twice");
}

int main(void)
{
	test_apply();
	test_wrong();
	test_many();
	return done_testing();
}
