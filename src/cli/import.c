/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive becomes a snapshot.  Nothing in it is trusted: its manifest says
 * what else there may be, everything goes into a generation that is not
 * published before all of it has been verified, by its user's rights and in
 * their quota.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/archive.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "operation/launch.h"
#include "snapshot/files.h"
#include "snapshot/seal.h"
#include "snapshot/snapshot.h"
#include "storage/small.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/control.h"

#define COPY_BYTES (1u << 20)

/* An import under way. */
struct work {
	struct import *to;
	struct unpacker unpacker;
	ManifestRecord *m;
	char prefix[UNPACK_NAME]; /* JOBID.GENERATION/ */
	int job_fd, dir_fd;
	bool made; /* the job's directory */
	struct snapshot_files files;
	bool *has; /* of files, what has come */
	size_t had;
	uint8_t *buffer;
	struct {
		uint8_t *data;
		size_t len;
	} job[2]; /* archive_job_files */
};

static volatile sig_atomic_t interrupted, reader;

/* What is waited for is the other process's next byte. */
static void interrupt(int sig)
{
	interrupted = sig;
	if (reader > 0)
		(void)kill(reader, SIGKILL);
}

/* Whoever waits no more wants no leftovers. */
static void catch_signals(void)
{
	const struct sigaction action = { .sa_handler = interrupt };
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &action, NULL);
}

static int take(struct work *w, void *data, size_t len, struct err *err)
{
	int r = unpack_take(&w->unpacker, data, len, err);

	if (interrupted)
		r = err_set(err, -EINTR, "interrupted");
	return r;
}

static int take_all(struct work *w, uint64_t size, uint64_t limit,
		    uint8_t **ret, struct err *err)
{
	auto_free uint8_t *data = NULL;
	int r;

	if (size > limit)
		return err_set(err, -EBADMSG,
			       "%" PRIu64 " bytes, the limit is %" PRIu64, size,
			       limit);
	data = malloc(size + 1);
	if (!data)
		return err_num(err, ENOMEM, "%" PRIu64 " bytes", size);
	r = take(w, data, size, err);
	if (r == 0)
		*ret = take_ptr(data);
	return r;
}

static int read_manifest(struct work *w, struct err *err)
{
	static const char name[] = "/manifest";
	auto_free uint8_t *data = NULL;
	uint64_t size = 0;
	char *slash;
	int r = unpack_next(&w->unpacker, w->prefix, &size, err);

	if (r < 0)
		return r;
	slash = strchr(w->prefix, '/');
	if (r == 0 || !slash || strcmp(slash, name) != 0)
		return err_set(err, -EBADMSG,
			       "it does not begin with a manifest: not made by "
			       "jobcr export");
	slash[1] = '\0';
	r = take_all(w, size, MANIFEST_FILE_MAX, &data, err);
	if (r == 0)
		r = snapshot_manifest_unpack(data, size, &w->m, err);
	return r < 0 ? err_wrap(err, r, "manifest") : 0;
}

/*
 * A file that users made is theirs, and no other's snapshot; nobody is root by
 * what an archive says.
 */
static int choose_owner(struct work *w, const struct stat *st, struct err *err)
{
	struct import *to = w->to;
	struct passwd entry, *found = NULL;
	uid_t uid = to->has_user ? to->uid : w->m->uid;
	gid_t gid = to->has_user ? to->gid : w->m->gid;
	char text[4096];

	if (!to->has_user && uid == 0)
		return err_set(err, -EPERM,
			       "it says that it is root's: --user root, if it "
			       "is to be");
	if (!to->has_user &&
	    (!S_ISREG(st->st_mode) || (st->st_uid != 0 && st->st_uid != uid)))
		return err_set(
			err, -EPERM,
			"it says that it is of uid %u, and is no file "
			"of theirs or of root's: --user says whose it is",
			uid);
	(void)getpwuid_r(uid, &entry, text, sizeof(text), &found);
	if (found)
		gid = found->pw_gid;
	else if (!to->has_user)
		return err_set(err, -EINVAL,
			       "uid %u is nobody here: --user says whose it is",
			       uid);
	return user_id_load(uid, gid, &to->owner, err);
}

/* What it would be refused for at the restore is said now. */
static int check_owner(const struct meta *meta, uid_t uid, struct err *err)
{
	for (size_t i = 0; i < meta->count; i++) {
		const CredsRecord *rec =
			(const CredsRecord *)meta->entries[i].msg;

		if (meta->entries[i].tag != TAG_CREDS)
			continue;
		for (size_t k = 0; k < rec->n_uids; k++)
			if (rec->uids[k] != uid)
				return err_set(err, -ENOTSUP,
					       "its processes are of uid %u, "
					       "and cannot be those of uid %u",
					       rec->uids[k], uid);
	}
	return 0;
}

static int check_owners(const struct work *w, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < w->m->n_parts && r == 0; i++) {
		struct meta meta = { 0 };

		r = snapshot_meta(w->dir_fd, &w->to->owner, w->m->parts[i],
				  &meta, err);
		if (r == 0)
			r = check_owner(&meta, w->to->owner.uid, err);
		meta_done(&meta);
	}
	return r;
}

static int say_taken(const char *id, struct err *err)
{
	return err_set(err, -EEXIST,
		       "there is a job %s already: --as gives it another id",
		       id);
}

static int choose_job(struct work *w, struct err *err)
{
	struct import *to = w->to;
	const char *id = to->as ? to->as : w->m->job_id;
	struct control_info info;
	struct err unused;
	uint64_t number;
	int r = control_check_id(id, err), fd;

	if (r < 0)
		return r;
	if (!launch_is_local(id) && parse_u64(id, UINT32_MAX, &number) < 0)
		return err_set(err, -EINVAL,
			       "job %s is neither one of Slurm's nor a local "
			       "one: --as local-NUMBER",
			       id);
	(void)snprintf(to->job_id, sizeof(to->job_id), "%s", id);
	(void)snprintf(to->cluster, sizeof(to->cluster), "%s",
		       launch_is_local(id) ? LOCAL_CLUSTER : to->slurm_cluster);
	r = store_open_job(to->store, to->cluster, id, false, NULL, &fd, err);
	if (r == 0)
		close(fd);
	if (r == 0 || control_read_info(to->run_dir, id, &info, &unused) == 0)
		return say_taken(id, err);
	if (r == -ENOENT && !launch_is_local(id) && to->is_slurms(to->arg, id))
		return err_set(err, -EEXIST,
			       "Slurm has a job %s of its own here: --as gives "
			       "it another id",
			       id);
	return r == -ENOENT ? 0 : r;
}

static int begin(struct work *w, struct err *err)
{
	struct import *to = w->to;
	int r = store_make_job(to->store, to->cluster, to->job_id, &to->owner,
			       &w->job_fd, err);

	/* What came meanwhile is another's, also if this one fails. */
	if (r == -EEXIST)
		return say_taken(to->job_id, err);
	w->made = r == 0;
	to->generation = w->m->generation;
	if (r == 0)
		r = store_begin_at(w->job_fd, &to->owner, to->generation,
				   &w->dir_fd, err);
	return r;
}

static int create(const struct work *w, const char *name, int *ret,
		  struct err *err)
{
	int fd, r = as_user(&w->to->owner, err);

	if (r < 0)
		return r;
	fd = openat(w->dir_fd, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		r = err_sys(err, "create");
	as_root();
	*ret = fd;
	return r;
}

static int take_file(struct work *w, const struct snapshot_file *file,
		     struct err *err)
{
	auto_close int fd = -EBADF;
	uint64_t left = file->length;
	int r = create(w, file->name, &fd, err);

	while (r == 0 && left) {
		size_t n = left < COPY_BYTES ? left : COPY_BYTES;

		r = take(w, w->buffer, n, err);
		if (r == 0)
			r = write_all(fd, w->buffer, n, err);
		left -= n;
	}
	if (r == 0 && fsync(fd) < 0)
		r = err_sys(err, "fsync");
	w->to->bytes += file->length;
	return r;
}

/* Its name below the archive's one folder, or NULL. */
static const char *plain_name(const struct work *w, const char *name)
{
	size_t len = strlen(w->prefix);

	return strncmp(name, w->prefix, len) == 0 && !strchr(name + len, '/')
		       ? name + len
		       : NULL;
}

static int take_job_file(struct work *w, const char *name, uint64_t size,
			 struct err *err)
{
	for (size_t i = 0; archive_job_files[i]; i++) {
		if (strcmp(archive_job_files[i], name) != 0)
			continue;
		if (w->job[i].data)
			return err_set(err, -EBADMSG, "it is there twice");
		w->job[i].len = size;
		return take_all(w, size, ARCHIVE_JOB_FILE_MAX, &w->job[i].data,
				err);
	}
	return err_set(err, -EBADMSG, "it is no file of the snapshot");
}

static int take_named(struct work *w, const char *name, uint64_t size,
		      struct err *err)
{
	const struct snapshot_file *file = snapshot_find_file(&w->files, name);
	bool *has = file ? &w->has[file - w->files.list] : NULL;
	int r;

	if (!file)
		return take_job_file(w, name, size, err);
	if (*has)
		return err_set(err, -EBADMSG, "it is there twice");
	if (size != file->length)
		return err_set(err, -EBADMSG,
			       "it has %" PRIu64 " bytes, the manifest says "
			       "%" PRIu64,
			       size, file->length);
	r = take_file(w, file, err);
	*has = r == 0;
	w->had += r == 0;
	return r;
}

/* 0 at the end of the archive. */
static int take_next(struct work *w, struct err *err)
{
	char full[UNPACK_NAME];
	uint64_t size = 0;
	int r = unpack_next(&w->unpacker, full, &size, err);
	const char *name = r > 0 ? plain_name(w, full) : NULL;

	if (interrupted)
		return err_set(err, -EINTR, "interrupted");
	if (r <= 0)
		return r;
	if (!name)
		return err_set(err, -EBADMSG,
			       "%.200s: outside of the snapshot's folder",
			       full);
	r = take_named(w, name, size, err);
	return r < 0 ? err_wrap(err, r, "%.200s", name) : 1;
}

static int expect(struct work *w, int r, struct err *err)
{
	if (r < 0)
		return r;
	free(w->has);
	w->has = calloc(w->files.count + 1, sizeof(*w->has));
	return w->has ? 0 : err_num(err, ENOMEM, "files");
}

/* The meta streams come first: what else there is they say. */
static int take_metas(struct work *w, struct err *err)
{
	int r = expect(w, snapshot_meta_files(w->m, &w->files, err), err);

	while (r >= 0 && w->had < w->files.count) {
		r = take_next(w, err);
		if (r == 0)
			r = err_set(err, -EBADMSG, "meta streams are missing");
	}
	return r < 0 ? r : 0;
}

static int take_rest(struct work *w, struct err *err)
{
	size_t metas = w->files.count;
	int r;

	snapshot_files_done(&w->files);
	r = expect(w,
		   snapshot_all_files(w->dir_fd, &w->to->owner, w->m, &w->files,
				      err),
		   err);
	for (size_t i = 0; r == 0 && i < metas; i++)
		w->has[i] = true;
	while (r >= 0) {
		r = take_next(w, err);
		if (r == 0)
			break;
	}
	for (size_t i = 0; r == 0 && i < w->files.count; i++)
		if (!w->has[i])
			r = err_set(err, -EBADMSG, "%s: missing",
				    w->files.list[i].name);
	return r;
}

static int put_job_files(const struct work *w, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && archive_job_files[i]; i++)
		if (w->job[i].data)
			r = small_write(w->job_fd, &w->to->owner,
					archive_job_files[i], w->job[i].data,
					w->job[i].len, err);
	return r;
}

static int replace(char **text, const char *with, struct err *err)
{
	char *copy = strdup(with);

	if (!copy)
		return err_num(err, ENOMEM, "manifest");
	free(*text);
	*text = copy;
	return 0;
}

/* It is of this job now, and of no run of it. */
static int publish(const struct work *w, struct err *err)
{
	const struct import *to = w->to;
	auto_free uint8_t *manifest = NULL;
	ManifestRecord *m = w->m;
	size_t len;
	int r = replace(&m->job_id, to->job_id, err);

	if (r == 0)
		r = replace(&m->cluster, to->cluster, err);
	if (r < 0)
		return r;
	m->uid = to->owner.uid;
	m->gid = to->owner.gid;
	m->has_epoch = m->has_began_from = 0;
	r = snapshot_manifest_pack(m, &manifest, &len, err);
	if (r == 0 && launch_seals(to->conf, to->cluster))
		r = seal_add(to->conf->munge_socket, &manifest, &len, err);
	if (r == 0)
		r = put_job_files(w, err);
	return r < 0 ? r
		     : store_publish(w->job_fd, to->generation, w->dir_fd,
				     manifest, len, &to->owner, err);
}

static int import(struct work *w, const struct stat *st, struct err *err)
{
	int r = read_manifest(w, err);

	if (r == 0)
		r = choose_owner(w, st, err);
	if (r == 0)
		r = choose_job(w, err);
	if (r == 0)
		r = begin(w, err);
	if (r == 0)
		r = take_metas(w, err);
	if (r == 0)
		r = check_owners(w, err);
	if (r == 0)
		r = take_rest(w, err);
	if (r == 0)
		r = snapshot_verify_parts(w->dir_fd, &w->to->owner, w->m,
					  verify_all(w->to->direct), NULL, NULL,
					  err);
	return r < 0 ? r : publish(w, err);
}

static void take_back(struct work *w)
{
	const struct import *to = w->to;
	struct err unused;

	if (w->dir_fd >= 0)
		(void)store_discard(w->job_fd, to->generation, &to->owner,
				    &unused);
	if (w->made)
		(void)store_remove_job(to->store, to->cluster, to->job_id,
				       &to->owner, &unused);
}

int archive_import(int fd, struct import *to, struct err *err)
{
	auto_free uint8_t *buffer = malloc(COPY_BYTES);
	struct work w = { .to = to, .job_fd = -1, .dir_fd = -1 };
	struct stat st;
	int r;

	if (!buffer)
		return err_num(err, ENOMEM, "buffer");
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	w.buffer = buffer;
	catch_signals();
	r = unpack_start(fd, &w.unpacker, err);
	reader = w.unpacker.pid;
	if (r == 0)
		r = import(&w, &st, err);
	reader = 0;
	if (r == -ENOSPC || r == -EDQUOT)
		(void)err_wrap(err, r,
			       "no room in %s: make room, or raise the quota "
			       "of uid %u",
			       to->store, to->owner.uid);
	if (r < 0)
		take_back(&w);
	unpack_done(&w.unpacker);
	if (w.m)
		manifest_record__free_unpacked(w.m, NULL);
	snapshot_files_done(&w.files);
	free(w.has);
	for (size_t i = 0; i < ARRAY_SIZE(w.job); i++)
		free(w.job[i].data);
	if (w.dir_fd >= 0)
		close(w.dir_fd);
	if (w.job_fd >= 0)
		close(w.job_fd);
	return r;
}
