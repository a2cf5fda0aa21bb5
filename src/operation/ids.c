/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "operation/apart.h"
#include "operation/launch.h"
#include "storage/as_user.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/control.h"

#define KEEP_ENDED_S (7 * 24 * 3600)
#define KEEP_ENDED   100 /* of each user */

/* More have not been seen to be started at the same instant. */
#define TRIES 1000

bool launch_is_local(const char *job_id)
{
	return !strncmp(job_id, LOCAL_PREFIX, strlen(LOCAL_PREFIX));
}

/* Raise *highest to the highest N of local-N in a directory. */
static void scan(const char *path, uint64_t *highest)
{
	auto_closedir DIR *dir = opendir(path);
	struct dirent *entry;
	uint64_t n;

	while (dir && (entry = readdir(dir)))
		if (launch_is_local(entry->d_name) &&
		    parse_u64(entry->d_name + strlen(LOCAL_PREFIX), UINT32_MAX,
			      &n) == 0 &&
		    n > *highest)
			*highest = n;
}

/* Its socket, when its supervisor was killed, and locks of what was done. */
static void forget(const char *path)
{
	auto_closedir DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	(void)rmdir(path);
}

/* Ended long ago: as its record says, or nobody has been at it for so long. */
static bool is_old(const char *run_dir, const char *id, const char *path)
{
	char ended[1024];
	auto_close int fd = -EBADF;
	struct err unused;
	struct stat st;

	snprintf(ended, sizeof(ended), "%s/ended", path);
	if (stat(ended, &st) < 0 && stat(path, &st) < 0)
		return false;
	return st.st_mtime < time(NULL) - KEEP_ENDED_S &&
	       control_connect(run_dir, id, &fd, &unused) == -ENOENT;
}

/* What is known of jobs that ended long ago is forgotten. */
static void forget_old(const char *run_dir, const char *jobs)
{
	auto_closedir DIR *dir = opendir(jobs);
	struct dirent *entry;
	char path[1000];

	while (dir && (entry = readdir(dir))) {
		if (!launch_is_local(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", jobs, entry->d_name);
		if (is_old(run_dir, entry->d_name, path))
			forget(path);
	}
}

struct ended_job {
	char id[JOB_ID_MAX];
	uint32_t uid;
	uint64_t ended_ns;
};

/* By user, and of each the newest first. */
static int by_age(const void *a, const void *b)
{
	const struct ended_job *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return (x->ended_ns < y->ended_ns) - (x->ended_ns > y->ended_ns);
}

/* What cannot be read, or has no room, is for another time. */
static size_t find_ended(const char *run_dir, const char *jobs,
			 struct ended_job **ret)
{
	auto_closedir DIR *dir = opendir(jobs);
	struct control_ended ended;
	struct ended_job *list = NULL, *more;
	struct dirent *entry;
	struct err unused;
	size_t n = 0;

	while (dir && (entry = readdir(dir))) {
		if (!launch_is_local(entry->d_name) ||
		    control_read_ended(run_dir, entry->d_name, &ended,
				       &unused) < 0)
			continue;
		if (n % KEEP_ENDED == 0) {
			more = realloc(list, (n + KEEP_ENDED) * sizeof(*list));
			if (!more)
				break;
			list = more;
		}
		snprintf(list[n].id, JOB_ID_MAX, "%.*s", JOB_ID_MAX - 1,
			 entry->d_name);
		list[n].uid = ended.info.uid;
		list[n++].ended_ns = ended.ended_ns;
	}
	*ret = list;
	return n;
}

/* A list asks for each of them. */
static void forget_many(const char *run_dir, const char *jobs)
{
	auto_free struct ended_job *list = NULL;
	size_t n = find_ended(run_dir, jobs, &list), i, first = 0;
	struct err unused;
	char path[1000];

	if (n)
		qsort(list, n, sizeof(*list), by_age);
	for (i = 0; i < n; i++) {
		auto_close int fd = -EBADF;

		if (list[i].uid != list[first].uid)
			first = i;
		if (i - first < KEEP_ENDED ||
		    control_connect(run_dir, list[i].id, &fd, &unused) !=
			    -ENOENT)
			continue;
		snprintf(path, sizeof(path), "%s/%s", jobs, list[i].id);
		forget(path);
	}
}

static int make_parents(const struct conf *conf, char *path, size_t room,
			struct err *err)
{
	int n = snprintf(path, room, "%s/jobs", conf->run_dir);

	if (n < 0 || (size_t)n + JOB_ID_MAX >= room)
		return err_num(err, ENAMETOOLONG, "%s", conf->run_dir);
	if ((mkdir(conf->run_dir, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(path, 0700) < 0 && errno != EEXIST))
		return err_sys(err, "%s", path);
	return 0;
}

int launch_new_id(const struct conf *conf, char ret[JOB_ID_MAX],
		  struct err *err)
{
	char jobs[512], store[4096], path[512 + JOB_ID_MAX + 2];
	char id[JOB_ID_MAX];
	uint64_t highest = 0;
	int r, i;

	r = make_parents(conf, jobs, sizeof(jobs), err);
	if (r < 0)
		return r;
	snprintf(store, sizeof(store), "%s/" LOCAL_CLUSTER, conf->store_dir);
	forget_old(conf->run_dir, jobs);
	forget_many(conf->run_dir, jobs);
	scan(jobs, &highest);
	scan(store, &highest);
	for (i = 0; i < TRIES; i++) {
		snprintf(id, sizeof(id), LOCAL_PREFIX "%llu",
			 (unsigned long long)++highest);
		snprintf(path, sizeof(path), "%s/%s", jobs, id);
		if (mkdir(path, 0700) == 0) {
			strcpy(ret, id);
			return 0;
		}
		if (errno != EEXIST)
			return err_sys(err, "%s", path);
	}
	return err_set(err, -EBUSY, "no free job id below %s", jobs);
}

/* A job whose name may be another's in the store. */
struct named {
	const struct conf *conf;
	const struct control_info *info;
};

/*
 * The newest of its name that was made elsewhere; 0: none, or not to be seen:
 * then whoever writes there says so.
 */
static int find_foreign(void *arg, struct err *err)
{
	const struct named *named = arg;
	const struct conf *conf = named->conf;
	const struct control_info *info = named->info;
	auto_close int fd = -EBADF, dir_fd = -EBADF;
	uint32_t newest = 0;
	struct user_id user;
	char part[128];
	struct stat st;
	int r = user_id_load(info->uid, info->gid, &user, err);

	if (r < 0)
		return 0;
	r = store_open_job(conf->store_dir, LOCAL_CLUSTER, info->job_id, false,
			   &user, &fd, err);
	if (r == 0)
		r = store_newest(fd, &user, &newest, err);
	if (r == 0)
		r = store_open(fd, newest, &user, &dir_fd, err);
	snprintf(part, sizeof(part), "%s.meta", conf->node);
	if (r == 0 && as_user(&user, err) == 0) {
		if (fstatat(dir_fd, part, &st, AT_SYMLINK_NOFOLLOW) == 0)
			newest = 0;
		as_root();
	}
	user_id_done(&user);
	return r < 0 ? 0 : (int)newest;
}

int launch_check_own(const struct conf *conf, const struct control_info *info,
		     struct err *err)
{
	const struct apart apart = { .conf = conf,
				     .uid = info->uid,
				     .peer_fd = -1 };
	struct named named = { conf, info };
	int foreign;

	/* A restored one has taken its name from there. */
	if (!launch_is_local(info->job_id) || info->generation)
		return 0;
	foreign = apart_run(&apart, find_foreign, &named, err);
	if (foreign <= 0)
		return foreign;
	return err_set(err, -ENOTSUP,
		       "snapshot %d of %s in %s is another job's: a node that "
		       "shares the store has given the same name; \"checkpoint "
		       "--pid %d --dir DIR\" saves this one elsewhere",
		       foreign, info->job_id, conf->store_dir, info->root_pid);
}
