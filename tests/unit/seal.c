/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seals where there is no munge: what is not known is not taken for forged. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "images/tags.h"
#include "snapshot/seal.h"
#include "snapshot/snapshot.h"
#include "tests/lib/tap.h"

#define NOWHERE "/nowhere/munge.socket"

struct file {
	uint8_t data[4096];
	size_t len;
};

static int append(void *arg, const void *data, size_t len, struct err *err)
{
	struct file *f = arg;

	(void)err;
	memcpy(f->data + f->len, data, len);
	f->len += len;
	return 0;
}

int main(void)
{
	struct file f = { .len = 0 };
	struct img_sink sink = { .write = append, .arg = &f };
	SealRecord rec = SEAL_RECORD__INIT;
	struct err err = { 0 };
	uint8_t *data = NULL;
	size_t len = 0;
	int r;

	r = seal_try(NOWHERE, &err);
	ok(r == -EACCES && strstr(err.text, "Seal = \"none\""),
	   "none can be made: %s", err.text);
	r = seal_add(NOWHERE, &data, &len, &err);
	ok(r == -EACCES && !data, "nor added: %s", err.text);
	rec.credential.data = (uint8_t *)"MUNGE:x:";
	rec.credential.len = 8;
	/* Any record is a manifest to it. */
	r = img_put(&sink, TAG_SEAL, &rec.base, &err);
	if (r == 0)
		r = seal_check(NOWHERE, f.data, f.len, &err);
	ok(r == -EKEYREJECTED, "a manifest has none: %s", err.text);
	r = img_put(&sink, TAG_SEAL, &rec.base, &err);
	if (r == 0)
		r = seal_check(NOWHERE, f.data, f.len, &err);
	ok(r == -ENOKEY && strstr(err.text, "Seal = \"none\""),
	   "whether one is right cannot be told: %s", err.text);
	return done_testing();
}
