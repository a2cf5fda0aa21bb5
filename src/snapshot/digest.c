/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "snapshot/snapshot.h"

struct digest {
	gcry_md_hd_t handle;
};

/* Nothing secret is hashed: no locked memory is taken for it. */
static int start_library(struct err *err)
{
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return 0;
	if (!gcry_check_version(GCRYPT_VERSION))
		return err_set(err, -ENOTSUP, "libgcrypt is older than %s",
			       GCRYPT_VERSION);
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	return 0;
}

int digest_new(struct digest **ret, struct err *err)
{
	struct digest *d;
	gcry_error_t e;
	int r = start_library(err);

	if (r < 0)
		return r;
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_num(err, ENOMEM, "SHA-256");
	e = gcry_md_open(&d->handle, GCRY_MD_SHA256, 0);
	if (e) {
		free(d);
		return err_set(err, -EIO, "SHA-256: %s", gcry_strerror(e));
	}
	*ret = d;
	return 0;
}

void digest_add(struct digest *d, const void *data, size_t len)
{
	gcry_md_write(d->handle, data, len);
}

void digest_end(struct digest *d, uint8_t ret[DIGEST_BYTES])
{
	memcpy(ret, gcry_md_read(d->handle, GCRY_MD_SHA256), DIGEST_BYTES);
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	gcry_md_close(d->handle);
	free(d);
}

uint64_t extent_hash(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}
