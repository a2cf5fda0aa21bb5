/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_SNAPSHOT_H
#define JOBCR_SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/limits.h"
#include "images/manifest.pb-c.h"
#include "images/record.h"
#include "storage/as_user.h"
#include "storage/reader.h"
#include "util/err.h"

/*
 * A generation as a whole: its manifest, its parts, what must hold between
 * them.  Used by the engine (to write and to restore) and by the command
 * line (to show and to verify).  Needs no privilege.
 */

/* SHA-256, 32 bytes.  digest_end may be called once. */
#define DIGEST_BYTES 32
struct digest;
int digest_new(struct digest **ret, struct err *err);
void digest_add(struct digest *d, const void *data, size_t len);
void digest_end(struct digest *d, uint8_t ret[DIGEST_BYTES]);
void digest_free(struct digest *d);

/* Features that a manifest may name. */
#define SNAPSHOT_TERMINAL    "terminal"    /* the job had one of its own */
#define SNAPSHOT_UPROBES     "uprobes"     /* ... breakpoints of a tracer */
#define SNAPSHOT_INCREMENTAL "incremental" /* streams are borrowed */

/* A manifest with its seal, and their frames. */
#define MANIFEST_FILE_MAX (MANIFEST_MAX_BYTES + SEAL_MAX_BYTES + 256u)

/*
 * Read and check the manifest in dir_fd, but not its seal.  -ENOENT: no snapshot here;
 * -EBADMSG: damaged; -ENOTSUP: made by a newer jobcr (format, features).
 * Owned by the caller: manifest_record__free_unpacked(m, NULL).
 */
int snapshot_manifest(int dir_fd, const struct user_id *user,
		      ManifestRecord **ret, struct err *err);

/* The same of its bytes, wherever they come from. */
int snapshot_manifest_unpack(const uint8_t *data, size_t len,
			     ManifestRecord **ret, struct err *err);

/*
 * Is it the manifest of this job and generation (0: any)?  A generation that
 * was renamed or copied elsewhere is not.  -EBADMSG.
 */
int snapshot_check_identity(const ManifestRecord *m, const char *job_id,
			    uint32_t generation, struct err *err);

/*
 * The framed record to hand to store_publish; owned by the caller.  Refuses
 * a manifest that snapshot_manifest would not accept.
 */
int snapshot_manifest_pack(const ManifestRecord *m, uint8_t **ret,
			   size_t *ret_len, struct err *err);

/*
 * One part's meta stream in memory, length and digest checked, every record
 * known, of its type, and counted.  Message i: records[i], with tag.
 */
struct meta_entry {
	uint32_t tag;
	ProtobufCMessage *msg;
};
struct meta {
	struct meta_entry *entries;
	size_t count;
};
int snapshot_meta(int dir_fd, const struct user_id *user, const PartEntry *part,
		  struct meta *ret, struct err *err);
void meta_done(struct meta *meta);

/*
 * What must hold between records: the part's record first and its end last,
 * ids exist and are unique, mappings ascend, every extent lies in its stream
 * and its owner, none overlap in one owner, and the extents of a stream that
 * is not borrowed follow each other without a gap to its very end.  -EBADMSG.
 */
int snapshot_check_meta(const PartEntry *part, const struct meta *meta,
			struct err *err);

/*
 * Open the page streams of a part; stream k of its extents is k - 1 of the
 * reader.  Each must be as long as the manifest says.
 */
int snapshot_open_pages(struct reader *reader, const struct user_id *user,
			const PartEntry *part, struct err *err);

/* How much of it is verified, and how that is read. */
enum verify_how {
	VERIFY_FILES,   /* are there, and as long as they must be */
	VERIFY_PAGES,   /* every extent's hash */
	VERIFY_BUFFERED /* the same by the page cache: without O_DIRECT */
};
static inline enum verify_how verify_all(bool direct)
{
	return direct ? VERIFY_PAGES : VERIFY_BUFFERED;
}

/* All of it: manifest, every part's meta, and what the parts refer to. */
int snapshot_verify(int dir_fd, const struct user_id *user, enum verify_how how,
		    struct err *err);

/*
 * The same without the manifest's file.  alive (or NULL) is called all the time
 * while something is read.
 */
int snapshot_verify_parts(int dir_fd, const struct user_id *user,
			  const ManifestRecord *m, enum verify_how how,
			  void (*alive)(void *arg), void *arg, struct err *err);

/* The hash of an extent (XXH3-64). */
uint64_t extent_hash(const void *data, size_t len);

#endif
