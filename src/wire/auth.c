/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/auth.h"

#include <errno.h>
#include <munge.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * It lies where a user has it: for others who ask munge it is to be worth
 * nothing by the time it is there.
 */
#define SEAL_TTL 1

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

static int encode(const char *socket, bool for_root, const void *data,
		  size_t len, char **ret, struct err *err)
{
	munge_err_t e = EMUNGE_SUCCESS;
	munge_ctx_t ctx;
	int r = make_context(socket, &ctx, err);

	if (r < 0)
		return r;
	if (for_root)
		e = munge_ctx_set(ctx, MUNGE_OPT_UID_RESTRICTION, (uid_t)0);
	if (for_root && e == EMUNGE_SUCCESS)
		e = munge_ctx_set(ctx, MUNGE_OPT_TTL, SEAL_TTL);
	if (e == EMUNGE_SUCCESS)
		e = munge_encode(ret, ctx, data, (int)len);
	if (e != EMUNGE_SUCCESS)
		r = err_set(err, -EACCES, "munge: %s (does munged run?)",
			    munge_ctx_strerror(ctx));
	munge_ctx_destroy(ctx);
	return r;
}

int auth_encode(const char *socket, const void *data, size_t len, char **ret,
		struct err *err)
{
	return encode(socket, false, data, len, ret, err);
}

int auth_seal(const char *socket, const void *data, size_t len, char **ret,
	      struct err *err)
{
	return encode(socket, true, data, len, ret, err);
}

bool auth_socket_there(const char *socket)
{
	munge_ctx_t ctx = munge_ctx_create();
	bool there;

	if (!ctx)
		return false;
	if (!socket &&
	    munge_ctx_get(ctx, MUNGE_OPT_SOCKET, &socket) != EMUNGE_SUCCESS)
		socket = "";
	there = access(socket, F_OK) == 0;
	munge_ctx_destroy(ctx);
	return there;
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

/* Once it was right: that is what counts. */
static bool was_right(munge_err_t e)
{
	return e == EMUNGE_SUCCESS || e == EMUNGE_CRED_EXPIRED ||
	       e == EMUNGE_CRED_REWOUND || e == EMUNGE_CRED_REPLAYED;
}

static bool is_wrong(munge_err_t e)
{
	return e == EMUNGE_BAD_CRED || e == EMUNGE_BAD_VERSION ||
	       e == EMUNGE_BAD_CIPHER || e == EMUNGE_BAD_MAC ||
	       e == EMUNGE_BAD_ZIP || e == EMUNGE_BAD_REALM ||
	       e == EMUNGE_CRED_INVALID;
}

int auth_unseal(const char *socket, const char *credential, void **ret_data,
		size_t *ret_len, uid_t *ret_uid, struct err *err)
{
	void *data = NULL;
	munge_ctx_t ctx;
	munge_err_t e;
	int len = 0, r = make_context(socket, &ctx, err);
	gid_t gid;

	if (r < 0)
		return r;
	e = munge_decode(credential, ctx, &data, &len, ret_uid, &gid);
	if (is_wrong(e))
		r = err_set(err, -EKEYREJECTED, "munge: %s",
			    munge_ctx_strerror(ctx));
	else if (!was_right(e))
		r = err_set(
			err, -ENOKEY, "munge: %s%s", munge_ctx_strerror(ctx),
			e == EMUNGE_CRED_UNAUTHORIZED ? " (only root can tell)"
						      : " (does munged run?)");
	munge_ctx_destroy(ctx);
	if (r < 0) {
		free(data);
		return r;
	}
	*ret_data = data;
	*ret_len = (size_t)len;
	return 0;
}
