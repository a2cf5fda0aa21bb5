/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/auth.h"

#include <errno.h>
#include <munge.h>
#include <stdlib.h>

static int make_context(const char *socket, munge_ctx_t *ret, struct err *err)
{
	munge_ctx_t ctx = munge_ctx_create();

	if (!ctx)
		return err_num(err, ENOMEM, "munge");
	if ((socket &&
	     munge_ctx_set(ctx, MUNGE_OPT_SOCKET, socket) != EMUNGE_SUCCESS) ||
	    munge_ctx_set(ctx, MUNGE_OPT_TTL, AUTH_TTL) != EMUNGE_SUCCESS) {
		(void)err_set(err, -EINVAL, "munge: %s",
			      munge_ctx_strerror(ctx));
		munge_ctx_destroy(ctx);
		return err->code;
	}
	*ret = ctx;
	return 0;
}

int auth_encode(const char *socket, const void *data, size_t len, char **ret,
		struct err *err)
{
	munge_ctx_t ctx;
	munge_err_t e;
	int r = make_context(socket, &ctx, err);

	if (r < 0)
		return r;
	e = munge_encode(ret, ctx, data, (int)len);
	if (e != EMUNGE_SUCCESS)
		r = err_set(err, -EACCES, "munge: %s (does munged run?)",
			    munge_ctx_strerror(ctx));
	munge_ctx_destroy(ctx);
	return r;
}

int auth_decode(const char *socket, const char *credential, void **ret_data,
		size_t *ret_len, uid_t *ret_uid, gid_t *ret_gid,
		struct err *err)
{
	void *data = NULL;
	munge_ctx_t ctx;
	munge_err_t e;
	int len = 0, r = make_context(socket, &ctx, err);
	uid_t uid;
	gid_t gid;

	if (r < 0)
		return r;
	e = munge_decode(credential, ctx, &data, &len, &uid, &gid);
	/* Data and uid are filled in for replayed and expired ones too. */
	if (e != EMUNGE_SUCCESS) {
		r = err_set(err, -EACCES, "munge: %s", munge_ctx_strerror(ctx));
		free(data);
	}
	munge_ctx_destroy(ctx);
	if (r < 0)
		return r;
	*ret_data = data;
	*ret_len = (size_t)len;
	*ret_uid = uid;
	if (ret_gid)
		*ret_gid = gid;
	return 0;
}
