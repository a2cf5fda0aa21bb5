/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "images/limits.h"
#include "snapshot/files.h"
#include "snapshot/stream.h"
#include "util/cleanup.h"

#define COPY_BYTES (1u << 20)

const char *const archive_job_files[] = { "submit", "submit.env", NULL };

struct output {
	struct archive *archive;
	const ManifestRecord *m;
	uint8_t *buffer;
};

static int fail(const struct output *out, struct err *err)
{
	const char *text = archive_error_string(out->archive);
	int num = archive_errno(out->archive);

	return err_set(err, num > 0 ? -num : -EIO, "write: %s",
		       text ? text : "failed");
}

static int put_header(const struct output *out, const char *name,
		      uint64_t length, struct err *err)
{
	struct archive_entry *e = archive_entry_new();
	char path[512];
	int r = 0;

	if (!e)
		return err_num(err, ENOMEM, "%s", name);
	(void)snprintf(path, sizeof(path), "%s.%u/%s", out->m->job_id,
		       out->m->generation, name);
	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0600);
	archive_entry_set_uid(e, out->m->uid);
	archive_entry_set_gid(e, out->m->gid);
	archive_entry_set_mtime(e, (time_t)(out->m->created_ns / 1000000000u),
				0);
	archive_entry_set_size(e, (int64_t)length);
	if (archive_write_header(out->archive, e) != ARCHIVE_OK)
		r = fail(out, err);
	archive_entry_free(e);
	return r;
}

static int put_data(const struct output *out, int fd, uint64_t length,
		    struct err *err)
{
	while (length) {
		size_t want = length < COPY_BYTES ? length : COPY_BYTES;
		ssize_t n = read(fd, out->buffer, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read");
		if (n == 0)
			return err_set(err, -EBADMSG, "it became shorter");
		if (archive_write_data(out->archive, out->buffer, (size_t)n) !=
		    n)
			return fail(out, err);
		length -= (uint64_t)n;
	}
	return 0;
}

/* length: what it must have; 0: whatever it has, up to a limit. */
static int put_file(const struct output *out, int dir_fd, const char *name,
		    uint64_t length, struct err *err)
{
	auto_close int fd = -EBADF;
	uint64_t has = 0;
	int r = stream_open(dir_fd, NULL, name, &fd, &has, err);

	if (r < 0)
		return r;
	if (length ? has != length : has > ARCHIVE_JOB_FILE_MAX)
		return err_set(err, -EBADMSG, "%s: has %" PRIu64 " bytes", name,
			       has);
	r = put_header(out, name, has, err);
	if (r == 0)
		r = put_data(out, fd, has, err);
	return r < 0 ? err_wrap(err, r, "%s", name) : 0;
}

static int put_manifest(const struct output *out, int dir_fd, struct err *err)
{
	struct stat st;

	if (fstatat(dir_fd, "manifest", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "manifest");
	return put_file(out, dir_fd, "manifest", (uint64_t)st.st_size, err);
}

static int put_all(const struct output *out, int dir_fd, int job_fd,
		   struct err *err)
{
	struct snapshot_files files = { 0 };
	int r = snapshot_all_files(dir_fd, NULL, out->m, &files, err);

	if (r == 0)
		r = put_manifest(out, dir_fd, err);
	for (size_t i = 0; r == 0 && i < files.count; i++)
		r = put_file(out, dir_fd, files.list[i].name,
			     files.list[i].length, err);
	snapshot_files_done(&files);
	for (size_t i = 0; r == 0 && job_fd >= 0 && archive_job_files[i]; i++) {
		r = put_file(out, job_fd, archive_job_files[i], 0, err);
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0 && archive_write_close(out->archive) != ARCHIVE_OK)
		r = fail(out, err);
	return r;
}

int archive_write(int dir_fd, int job_fd, const ManifestRecord *m, int fd,
		  struct err *err)
{
	auto_free uint8_t *buffer = malloc(COPY_BYTES);
	struct output out = { archive_write_new(), m, buffer };
	int r = 0;

	if (!buffer || !out.archive)
		r = err_num(err, ENOMEM, "archive");
	/* Extended headers only where a number needs them. */
	else if (archive_write_set_format_pax_restricted(out.archive) !=
			 ARCHIVE_OK ||
		 archive_write_set_bytes_per_block(out.archive, COPY_BYTES) !=
			 ARCHIVE_OK ||
		 archive_write_set_bytes_in_last_block(out.archive, 1) !=
			 ARCHIVE_OK ||
		 archive_write_open_fd(out.archive, fd) != ARCHIVE_OK)
		r = fail(&out, err);
	else
		r = put_all(&out, dir_fd, job_fd, err);
	/* One that failed is not to be ended as if it were whole. */
	if (r < 0 && out.archive)
		(void)archive_write_fail(out.archive);
	if (out.archive)
		(void)archive_write_free(out.archive);
	return r;
}
