/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "images/limits.h"
#include "images/tags.h"
#include "snapshot/snapshot.h"
#include "util/cleanup.h"
#include "wire/auth.h"

#define PREFIX "jobcr seal 1\n"
#define REMEDY "; if root trusts it: jobcr verify --seal"
#define NO_MUNGE                                                               \
	"; a site that has no munge sets Seal = \"none\" (jobcr.conf(5))"

/* No request between nodes begins so. */
struct sealed {
	char prefix[sizeof(PREFIX) - 1];
	uint8_t digest[DIGEST_BYTES];
};

static int fill(struct sealed *s, const uint8_t *data, size_t len,
		struct err *err)
{
	struct digest *d = NULL;
	int r = digest_new(&d, err);

	if (r < 0)
		return r;
	memcpy(s->prefix, PREFIX, sizeof(s->prefix));
	digest_add(d, data, len);
	digest_end(d, s->digest);
	digest_free(d);
	return 0;
}

/* Without a socket it may never have been there. */
static int tell(const char *socket, const char *what, int r, struct err *err)
{
	const bool away = r == -EACCES || r == -ENOKEY;
	const struct err why = *err;

	return err_set(err, r, "%s: %s%s", what, why.text,
		       away && !auth_socket_there(socket) ? NO_MUNGE : "");
}

static int make(const char *socket, const uint8_t *data, size_t len, char **ret,
		struct err *err)
{
	struct sealed s;
	int r = fill(&s, data, len, err);

	r = r < 0 ? r : auth_seal(socket, &s, sizeof(s), ret, err);
	return r < 0 ? tell(socket, "seal", r, err) : 0;
}

int seal_try(const char *socket, struct err *err)
{
	auto_free char *credential = NULL;

	return make(socket, NULL, 0, &credential, err);
}

struct longer {
	uint8_t *data;
	size_t len;
};

static int append(void *arg, const void *data, size_t len, struct err *err)
{
	struct longer *l = arg;
	uint8_t *all = realloc(l->data, l->len + len);

	if (!all)
		return err_num(err, ENOMEM, "seal");
	memcpy(all + l->len, data, len);
	l->data = all;
	l->len += len;
	return 0;
}

int seal_add(const char *socket, uint8_t **data, size_t *len, struct err *err)
{
	auto_free char *credential = NULL;
	struct longer l = { *data, *len };
	struct img_sink sink = { .write = append, .arg = &l };
	SealRecord rec = SEAL_RECORD__INIT;
	int r = make(socket, *data, *len, &credential, err);

	if (r < 0)
		return r;
	rec.credential.data = (uint8_t *)credential;
	rec.credential.len = strlen(credential);
	r = img_put(&sink, TAG_SEAL, &rec.base, err);
	*data = l.data;
	*len = l.len;
	return r;
}

/* *ret NULL: it has none.  *ret_len: of what it is the seal. */
static int find(const uint8_t *data, size_t len, SealRecord **ret,
		size_t *ret_len, struct err *err)
{
	struct img_record rec;
	ProtobufCMessage *msg;
	size_t pos = 0;
	int r = img_next(data, len, &pos, &rec, err);

	*ret = NULL;
	*ret_len = pos;
	r = r < 0 ? r : img_next(data, len, &pos, &rec, err);
	if (r <= 0)
		return r;
	if (rec.tag != TAG_SEAL)
		return err_set(err, -EBADMSG, "it is no seal");
	r = img_unpack(&rec, &seal_record__descriptor, &msg, err);
	if (r == 0)
		*ret = (SealRecord *)msg;
	return r;
}

int seal_renew(const char *socket, uint8_t **data, size_t *len, struct err *err)
{
	SealRecord *old = NULL;
	int r = find(*data, *len, &old, len, err);

	if (old)
		seal_record__free_unpacked(old, NULL);
	return r < 0 ? r : seal_add(socket, data, len, err);
}

static int check_text(const char *socket, const char *credential,
		      const uint8_t *data, size_t len, struct err *err)
{
	auto_free void *payload = NULL;
	struct sealed s;
	size_t bytes;
	uid_t uid;
	int r = auth_unseal(socket, credential, &payload, &bytes, &uid, err);

	r = r < 0 ? r : fill(&s, data, len, err);
	if (r < 0)
		return r;
	if (uid != 0)
		return err_set(err, -EKEYREJECTED, "it is uid %u's, not root's",
			       (unsigned int)uid);
	return bytes == sizeof(s) && memcmp(payload, &s, sizeof(s)) == 0
		       ? 0
		       : err_set(err, -EKEYREJECTED,
				 "it is not of this snapshot");
}

static int check_seal(const char *socket, const SealRecord *seal,
		      const uint8_t *data, size_t len, struct err *err)
{
	auto_free char *text = NULL;

	if (seal->credential.len > SEAL_MAX_BYTES)
		return err_set(err, -EKEYREJECTED, "it has %zu bytes",
			       seal->credential.len);
	text = strndup((const char *)seal->credential.data,
		       seal->credential.len);
	return text ? check_text(socket, text, data, len, err)
		    : err_num(err, ENOMEM, "credential");
}

int seal_check(const char *socket, const uint8_t *data, size_t len,
	       struct err *err)
{
	SealRecord *seal = NULL;
	size_t of = 0;
	struct err why;
	int r = find(data, len, &seal, &of, err);

	if (r == 0 && !seal)
		return err_set(err, -EKEYREJECTED,
			       "it has no seal: it was not made by root of "
			       "this cluster, or edited" REMEDY);
	if (r == 0)
		r = check_seal(socket, seal, data, of, err);
	if (seal)
		seal_record__free_unpacked(seal, NULL);
	why = *err;
	return r == -EKEYREJECTED
		       ? err_set(err, r, "its seal: %s" REMEDY, why.text)
	       : r < 0 ? tell(socket, "its seal", r, err)
		       : 0;
}
