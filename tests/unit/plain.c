/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/plain.h"

static const struct {
	const char *text, *shown, *json, *what;
} cases[] = {
	{ "name-1 \"x\" \\", "name-1 \"x\" \\", "name-1 \"x\" \\", "ASCII" },
	{ "\303\244\342\202\254\360\237\230\200",
	  "\303\244\342\202\254\360\237\230\200",
	  "\303\244\342\202\254\360\237\230\200", "other letters" },
	{ "", "", "", "nothing" },
	{ "a\033[31mb", "a?[31mb", "a\\u001b[31mb", "an escape" },
	{ "a\177b", "a?b", "a\\u007fb", "DEL" },
	{ "\302\233"
	  "31mX\302\235",
	  "?31mX?", "\\u009b31mX\\u009d", "controls of 8 bits" },
	{ "a\302\205b", "a?b", "a\\u0085b", "the next line" },
	{ "\302\240", "\302\240", "\302\240", "the character behind them" },
	{ "a\342\200\256b\342\201\246c", "a?b?c", "a\\u202eb\\u2066c",
	  "other directions" },
	{ "a\342\200\250b", "a?b", "a\\u2028b", "the end of a line" },
	{ "\342\200\247\342\200\257\342\201\245\342\201\252",
	  "\342\200\247\342\200\257\342\201\245\342\201\252",
	  "\342\200\247\342\200\257\342\201\245\342\201\252",
	  "what is around these" },
	{ "a\233b", "a?b", "a\\ufffdb", "half of a control" },
	{ "x\302", "x?", "x\\ufffd", "what was cut off" },
	{ "\300\233", "??", "\\ufffd\\ufffd", "what is too long" },
	{ "\340\202\233", "???", "\\ufffd\\ufffd\\ufffd", "in three" },
	{ "\355\240\200", "???", "\\ufffd\\ufffd\\ufffd", "a surrogate" },
	{ "\364\220\200\200", "????", "\\ufffd\\ufffd\\ufffd\\ufffd",
	  "beyond the last" },
	{ "\377\376", "??", "\\ufffd\\ufffd", "bytes that are none" },
	{ "\357\277\275", "\357\277\275", "\357\277\275",
	  "the character for those" },
};

static char *printed(const char *text, bool json)
{
	char *ret = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&ret, &len);

	if (json)
		plain_print_json(f, text);
	else
		plain_print(f, text, strlen(text));
	fclose(f);
	return ret;
}

static void test_cases(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].text, *shown = cases[i].shown;
		auto_free char *out = printed(text, false);
		auto_free char *json = printed(text, true);
		char *made = strdup(text);

		ok(!strcmp(out, shown), "%s: as it is shown", cases[i].what);
		json[strcspn(json, "\n")] = '\0';
		ok(!strcmp(json, cases[i].json), "%s: in JSON", cases[i].what);
		ok(plain_is(text, strlen(text)) == !strcmp(text, shown),
		   "%s: known", cases[i].what);
		plain_make(made, ' ');
		ok(strlen(made) == strlen(text) && plain_is(made, strlen(made)),
		   "%s: made plain", cases[i].what);
		free(made);
	}
}

int main(void)
{
	auto_free char *json = printed("{\n  \"a\": 1\n}", true);

	test_cases();
	ok(!strcmp(json, "{\n  \"a\": 1\n}\n"), "JSON keeps its lines");
	ok(!plain_is("a\nb", 3), "other text has none");
	return done_testing();
}
