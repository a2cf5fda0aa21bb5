/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "tests/lib/tap.h"
#include "util/err.h"

int main(void)
{
	struct err err = { 0 };
	char longer[2 * ERR_TEXT_SIZE];

	errno = ENOENT;
	ok(err_sys(&err, "open %s", "x") == -ENOENT, "err_sys returns -errno");
	ok(!strcmp(err.text, "open x: No such file or directory"),
	   "the text names the call and the reason");
	ok(err_wrap(&err, -ENOENT, "job %d", 42) == -ENOENT,
	   "err_wrap passes the code on");
	ok(!strcmp(err.text, "job 42: open x: No such file or directory"),
	   "a layer's step stands in front");

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	err_wrap(&err, -EIO, "%s", longer);
	ok(strlen(err.text) == ERR_TEXT_SIZE - 1,
	   "a text that is too long is cut, not overrun");
	return done_testing();
}
