/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/seal.h"
#include "worker/worker.h"

bool work_seals(const struct work *w)
{
	return w->req->has_seal && w->req->seal;
}

int work_try_seal(const struct work *w, struct err *err)
{
	return work_seals(w) ? seal_try(w->req->munge_socket, err) : 0;
}

int work_add_seal(void *arg, uint8_t **manifest, size_t *len, struct err *err)
{
	const struct work *w = arg;

	return seal_add(w->req->munge_socket, manifest, len, err);
}

int work_check_seal(const struct work *w, const uint8_t *manifest, size_t len,
		    struct err *err)
{
	return work_seals(w)
		       ? seal_check(w->req->munge_socket, manifest, len, err)
		       : 0;
}
