/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "storage/lease.h"
#include "storage/store.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

static gid_t few_groups[] = { 4242, 4343 };
static const struct user_id someone = { 4242, 4242, 2, few_groups };
static const struct user_id another = { 4444, 4444, 0, NULL };

static int new_generation(int job_fd, const struct user_id *user,
			  uint32_t *number, struct err *err)
{
	auto_close int dir_fd = -EBADF;
	int r = store_begin(job_fd, user, number, &dir_fd, err);

	return r < 0 ? r
		     : store_publish(job_fd, *number, dir_fd, "manifest", 8,
				     user, err);
}

static char *listing(int job_fd, char text[256])
{
	struct store_generation *all = NULL;
	struct err err = { 0 };
	size_t count = 0, i, used = 0;

	text[0] = '\0';
	if (store_list(job_fd, NULL, &all, &count, &err) < 0)
		snprintf(text, 256, "%.200s", err.text);
	for (i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, 256 - used, "%s%u%s",
					 i ? " " : "", all[i].number,
					 all[i].complete ? "" : "?");
	free(all);
	return text;
}

static void test_generations(const char *store)
{
	auto_close int job_fd = -EBADF, dir_fd = -EBADF, again = -EBADF;
	struct err err = { 0 };
	uint32_t number = 0;
	char text[256];

	ok(store_open_job(store, "c", "42", false, NULL, &job_fd, &err) ==
		   -ENOENT,
	   "a job without snapshots: %s", err.text);
	ok(store_make_job(store, "c", "42", NULL, &job_fd, &err) == 0,
	   "a job's directory is made: %s", err.text);
	ok(store_make_job(store, "c", "42", NULL, &again, &err) == -EEXIST &&
		   again < 0,
	   "by one of those who want to: %s", err.text);
	ok(store_open_job(store, "c", "42", true, NULL, &again, &err) == 0,
	   "others have it, too: %s", err.text);
	cleanup_close(&again);
	ok(store_newest(job_fd, NULL, &number, &err) == -ENOENT,
	   "it has no snapshot: %s", err.text);
	ok(store_begin(job_fd, NULL, &number, &dir_fd, &err) == 0 &&
		   number == 1,
	   "the first generation is 1: %s", err.text);
	ok(!strcmp(listing(job_fd, text), "1?"), "under way: %s", text);
	ok(store_open(job_fd, 1, NULL, &again, &err) == -ENOENT,
	   "what is under way cannot be opened: %s", err.text);
	ok(store_publish(job_fd, 1, dir_fd, "manifest", 8, NULL, &err) == 0 &&
		   !strcmp(listing(job_fd, text), "1"),
	   "published: %s", text);
	ok(faccessat(job_fd, "0000000001/manifest", F_OK, 0) == 0 &&
		   faccessat(job_fd, "0000000001.new", F_OK, 0) < 0 &&
		   faccessat(job_fd, "0000000001/manifest.new", F_OK, 0) < 0,
	   "under its name, with nothing left over");
	ok(store_open(job_fd, 1, NULL, &again, &err) == 0,
	   "and can be opened: %s", err.text);
	ok(store_publish(job_fd, 1, dir_fd, "other", 5, NULL, &err) < 0,
	   "it cannot be published twice: %s", err.text);
	ok(faccessat(job_fd, "0000000001/manifest", F_OK, 0) == 0,
	   "the first publish stands");
}

static void make_leftovers(int job_fd)
{
	close(openat(job_fd, "junk", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	mkdirat(job_fd, "0000000007.new", 0700);
	close(openat(job_fd, "0000000007.new/manifest",
		     O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	mkdirat(job_fd, "0000000003", 0700);
	mkdirat(job_fd, "00000000012", 0700);
	mkdirat(job_fd, "0000000000", 0700);
}

static void test_kept(const char *store)
{
	auto_close int job_fd = -EBADF;
	struct err err = { 0 };
	uint32_t number = 0, count = 0, i;
	char text[256];
	bool kept = true;

	if (store_open_job(store, "c", "44", true, NULL, &job_fd, &err) < 0)
		return;
	for (i = 0; i < 4; i++)
		new_generation(job_fd, NULL, &number, &err);
	ok(store_keeps(job_fd, NULL, &kept, &err) == 0 && !kept,
	   "nothing is kept by itself");
	ok(store_keep(job_fd, 2, true, NULL, &err) == 0 &&
		   store_keep(job_fd, 2, true, NULL, &err) == 0 &&
		   store_keeps(job_fd, NULL, &kept, &err) == 0 && kept,
	   "one is to be kept, said twice: %s", err.text);
	ok(store_keep(job_fd, 9, true, NULL, &err) == -ENOENT,
	   "one that is not there: %s", err.text);
	ok(store_retire(job_fd, 1, NULL, &err) == 0 &&
		   !strcmp(listing(job_fd, text), "2 4"),
	   "it stays beside the newest: %s %s", text, err.text);
	ok(store_newest(job_fd, NULL, &number, &err) == 0 && number == 4 &&
		   store_keep(job_fd, 4, true, NULL, &err) == 0 &&
		   new_generation(job_fd, NULL, &number, &err) == 0 &&
		   store_retire(job_fd, 1, NULL, &err) == 0 &&
		   !strcmp(listing(job_fd, text), "2 4 5"),
	   "the newest too, and does not count: %s %s", text, err.text);
	ok(store_keep(job_fd, 2, false, NULL, &err) == 0 &&
		   store_keep(job_fd, 2, false, NULL, &err) == 0 &&
		   store_retire(job_fd, 1, NULL, &err) == 0 &&
		   !strcmp(listing(job_fd, text), "4 5"),
	   "taken back, twice, it goes: %s %s", text, err.text);
	ok(store_empty(job_fd, false, NULL, &count, &err) == 0 && count == 2,
	   "all can be removed: %u %s", count, err.text);
}

static int identify(struct lease *ret, struct err *err)
{
	int r = lease_identity("here", ret, err);

	ret->length_ms = 1000;
	return r;
}

/* An attempt of a run that was replaced goes when the next has begun. */
static void test_passed_over(const char *store)
{
	struct lease mine = { 0 };
	auto_close int job_fd = -EBADF, dir_fd = -EBADF;
	struct err err = { 0 };
	uint32_t number = 0;

	if (store_open_job(store, "c", "45", true, NULL, &job_fd, &err) < 0)
		return;
	new_generation(job_fd, NULL, &number, &err);
	ok(store_begin(job_fd, NULL, &number, &dir_fd, &err) == 0 &&
		   number == 2 && identify(&mine, &err) == 0 &&
		   lease_take(job_fd, NULL, true, &mine, &err) == 0 &&
		   lease_begin(job_fd, NULL, &mine, 1, &err) == 0 &&
		   mine.first == 3,
	   "a run begins while another's attempt is there: %u %s", mine.first,
	   err.text);
	ok(store_discard(job_fd, 2, NULL, &err) == 0 &&
		   new_generation(job_fd, NULL, &number, &err) == 0 &&
		   number == 3,
	   "its number is not given to the new run: %u %s", number, err.text);
	ok(store_newest(job_fd, NULL, &number, &err) == 0 && number == 3,
	   "whose snapshot counts: %u %s", number, err.text);
}

static void put(int job_fd, const char *name)
{
	close(openat(job_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static bool is_there(int job_fd, const char *name)
{
	return faccessat(job_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void make_old(int job_fd, const char *name)
{
	const struct timespec times[2] = { { .tv_sec = time(NULL) - 1000 },
					   { .tv_sec = time(NULL) - 1000 } };

	utimensat(job_fd, name, times, 0);
}

/* Dead attempts that no later snapshot makes go. */
static void test_tidy(const char *store)
{
	auto_close int job_fd = -EBADF, dir_fd = -EBADF;
	struct err err = { 0 };
	uint32_t number = 0;
	unsigned int count;
	char text[256];

	if (store_open_job(store, "c", "46", true, NULL, &job_fd, &err) < 0)
		return;
	new_generation(job_fd, NULL, &number, &err);
	for (int i = 2; i <= 6; i++) {
		snprintf(text, sizeof(text), "%010d.new", i);
		mkdirat(job_fd, text, 0700);
	}
	put(job_fd, "0000000002.new/n1.meta");
	put(job_fd, "0000000002.new/n1.pages.0");
	put(job_fd, "0000000003.new/n2.meta");
	put(job_fd, "0000000004.new/n1.meta");
	put(job_fd, "0000000004.new/n10.pages.0");
	make_old(job_fd, "0000000006.new");
	ok(store_begin(job_fd, NULL, &number, &dir_fd, &err) == 0 &&
		   number == 7,
	   "the seventh is at work");
	put(job_fd, "0000000007.new/n1.meta");
	make_old(job_fd, "0000000007.new/n1.meta");
	make_old(job_fd, "0000000007.new");
	ok(store_tidy(job_fd, "n1", 500, NULL, &count, &err) == 0 &&
		   count == 2 && !is_there(job_fd, "0000000002.new") &&
		   !is_there(job_fd, "0000000006.new"),
	   "the node's own, and what is old: %u %s", count, err.text);
	ok(is_there(job_fd, "0000000003.new/n2.meta") &&
		   is_there(job_fd, "0000000004.new/n1.meta") &&
		   is_there(job_fd, "0000000005.new"),
	   "but not others', nor what has nothing yet");
	ok(is_there(job_fd, "0000000007.new/n1.meta"),
	   "nor one that somebody is at");
	ok(!strcmp(listing(job_fd, text), "1 2? 3? 4? 5? 6? 7?"),
	   "their numbers stay: %s", text);
	ok(store_publish(job_fd, 7, dir_fd, "manifest", 8, NULL, &err) == 0 &&
		   store_tidy(job_fd, NULL, 500, NULL, &count, &err) == 0 &&
		   count == 0,
	   "without a node nothing of the rest goes: %u %s", count, err.text);
	ok(store_retire(job_fd, 2, NULL, &err) == 0 &&
		   !strcmp(listing(job_fd, text), "1 7"),
	   "a later snapshot ends it all: %s %s", text, err.text);
}

/* It was not dead after all: a slow node, whose lock nobody sees. */
static void test_tidied(const char *store)
{
	auto_close int job_fd = -EBADF;
	struct err err = { 0 };
	uint32_t number = 0;
	unsigned int count;
	int dir_fd = -1;
	char text[256];

	if (store_open_job(store, "c", "47", true, NULL, &job_fd, &err) < 0)
		return;
	new_generation(job_fd, NULL, &number, &err);
	store_begin(job_fd, NULL, &number, &dir_fd, &err);
	put(job_fd, "0000000002.new/n1.meta");
	flock(dir_fd, LOCK_UN);
	ok(store_tidy(job_fd, "n1", 500, NULL, &count, &err) == 0 && count == 1,
	   "an attempt is taken for dead: %u", count);
	ok(store_publish(job_fd, 2, dir_fd, "manifest", 8, NULL, &err) < 0 &&
		   !strcmp(listing(job_fd, text), "1 2?"),
	   "it cannot be published then: %s, %s", text, err.text);
	close(dir_fd);
}

static void test_leftovers(const char *store)
{
	auto_close int job_fd = -EBADF, dir_fd = -EBADF;
	struct err err = { 0 };
	uint32_t number = 0, i;
	char text[256];

	if (store_open_job(store, "c", "43", true, NULL, &job_fd, &err) < 0)
		return;
	for (i = 0; i < 2; i++)
		new_generation(job_fd, NULL, &number, &err);
	make_leftovers(job_fd);
	ok(!strcmp(listing(job_fd, text), "1 2 3? 7?"),
	   "what is not complete is not a snapshot: %s", text);
	ok(store_newest(job_fd, NULL, &number, &err) == 0 && number == 2,
	   "the newest complete one is 2: %u", number);
	ok(new_generation(job_fd, NULL, &number, &err) == 0 && number == 8,
	   "numbers of dead attempts are not used again: %u", number);
	ok(store_retire(job_fd, 2, NULL, &err) == 0 &&
		   !strcmp(listing(job_fd, text), "2 8"),
	   "retired: %s %s", text, err.text);
	ok(faccessat(job_fd, "junk", F_OK, 0) == 0, "nothing else is removed");
	ok(store_begin(job_fd, NULL, &number, &dir_fd, &err) == 0 &&
		   number == 9 &&
		   new_generation(job_fd, NULL, &number, &err) == 0 &&
		   number == 10,
	   "two at a time get numbers of their own: %s", err.text);
	ok(store_retire(job_fd, 1, NULL, &err) == 0 &&
		   !strcmp(listing(job_fd, text), "9? 10"),
	   "what somebody is at work in is left alone: %s %s", text, err.text);
	ok(store_discard(job_fd, 9, NULL, &err) == 0 &&
		   store_discard(job_fd, 9, NULL, &err) == 0 &&
		   !strcmp(listing(job_fd, text), "10"),
	   "an attempt is discarded, twice is no error: %s", text);
	ok(store_retire(job_fd, 0, NULL, &err) == -EINVAL &&
		   !strcmp(listing(job_fd, text), "10"),
	   "the last snapshot is never retired: %s", err.text);
	ok(store_discard(job_fd, 10, NULL, &err) == 0 &&
		   !strcmp(listing(job_fd, text), ""),
	   "a whole generation goes when told: %s", text);
}

/* rename fails: its target is there and not empty. */
static void test_failing_publish(const char *store)
{
	auto_close int job_fd = -EBADF, dir_fd = -EBADF;
	struct err err = { 0 };
	uint32_t number = 0;
	char text[256];

	if (store_open_job(store, "c", "44", true, NULL, &job_fd, &err) < 0 ||
	    store_begin(job_fd, NULL, &number, &dir_fd, &err) < 0)
		return;
	mkdirat(job_fd, "0000000001", 0700);
	mkdirat(job_fd, "0000000001/full", 0700);
	ok(store_publish(job_fd, 1, dir_fd, "manifest", 8, NULL, &err) < 0,
	   "a publish that cannot end fails: %s", err.text);
	ok(faccessat(job_fd, "0000000001.new/manifest", F_OK, 0) < 0 &&
		   !strcmp(listing(job_fd, text), "1?"),
	   "and leaves nothing that looks like a snapshot: %s", text);
	mkdirat(dir_fd, "manifest", 0700);
	ok(store_publish(-1, 1, dir_fd, "manifest", 8, NULL, &err) < 0,
	   "nor does one whose manifest has no place: %s", err.text);
	ok(faccessat(dir_fd, "manifest.new", F_OK, 0) < 0,
	   "no manifest.new stays behind");
}

static void test_names(const char *store)
{
	static const char *const bad[] = { "", ".", "..", "a/b", ".x" };
	struct err err = { 0 };
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ok(store_open_job(store, "c", bad[i], true, NULL, &fd, &err) ==
				   -EINVAL &&
			   store_open_job(store, bad[i], "1", true, NULL, &fd,
					  &err) == -EINVAL,
		   "not a name: '%s': %s", bad[i], err.text);
}

static void test_as_user(const char *store)
{
	struct err err = { 0 };
	gid_t groups[8];
	struct user_id loaded;

	ok(as_user(&someone, &err) == 0 && setfsuid(-1) == 4242 &&
		   setfsgid(-1) == 4242 && getgroups(8, groups) == 2 &&
		   groups[1] == 4343,
	   "a thread becomes somebody else for files: %s", err.text);
	ok(geteuid() == 0 && access(store, W_OK) == 0, "and stays root");
	as_root();
	ok(setfsuid(-1) == 0 && setfsgid(-1) == 0 && getgroups(8, groups) == 0,
	   "and is root again for files");
	ok(user_id_load(0, 0, &loaded, &err) == 0 && loaded.ngroups >= 1,
	   "root's groups are known: %s", err.text);
	user_id_done(&loaded);
	ok(user_id_load(3999999999u, 7, &loaded, &err) == 0 &&
		   loaded.ngroups == 1 && loaded.groups[0] == 7,
	   "an unknown uid has its gid: %s", err.text);
	user_id_done(&loaded);
}

/* May this thread take more than its user's quota? */
static bool is_over_quotas(void)
{
	char line[256];
	unsigned long long caps = 0;
	FILE *f = fopen("/proc/thread-self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		(void)sscanf(line, "CapEff: %llx", &caps);
	if (f)
		fclose(f);
	return caps >> CAP_SYS_RESOURCE & 1;
}

static void *look_at_quotas(void *ret)
{
	*(bool *)ret = is_over_quotas();
	return NULL;
}

static void test_quotas(void)
{
	const struct user_id user = { .uid = 4242, .gid = 4242 };
	bool over = true, had = is_over_quotas();
	struct err err = { 0 };
	pthread_t id;

	if (!had) {
		skip("root has no CAP_SYS_RESOURCE here");
		return;
	}
	ok(as_user(&user, &err) == 0 && !is_over_quotas(),
	   "who writes as a user is held to quotas: %s", err.text);
	(void)pthread_create(&id, NULL, look_at_quotas, &over);
	(void)pthread_join(id, NULL);
	as_root();
	ok(!over, "and a thread that is begun then");
	ok(is_over_quotas(), "root is what it was");
}

static bool is_in(const struct user_id *user, gid_t gid)
{
	size_t i;

	for (i = 0; i < user->ngroups; i++)
		if (user->groups[i] == gid)
			return true;
	return user->gid == gid;
}

/* A directory with set-group-ID gives its group to what is made in it. */
static void test_group_of_file(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	struct stat st = { 0 };
	struct user_id loaded;
	struct err err = { 0 };

	if (!nobody) {
		skip("there is no user nobody");
		return;
	}
	st.st_uid = nobody->pw_uid;
	ok(user_id_of_file(&st, &loaded, &err) == 0 && !is_in(&loaded, 0) &&
		   loaded.gid == nobody->pw_gid,
	   "no group is its owner's by being the file's: %s", err.text);
	user_id_done(&loaded);
	st.st_gid = nobody->pw_gid;
	ok(user_id_of_file(&st, &loaded, &err) == 0 &&
		   loaded.gid == nobody->pw_gid && is_in(&loaded, loaded.gid),
	   "one that its owner is in is kept: %s", err.text);
	user_id_done(&loaded);
}

static void test_owners(const char *store)
{
	auto_close int job_fd = -EBADF, fd = -EBADF;
	auto_close int dir_fd = -EBADF;
	struct err err = { 0 };
	struct stat st = { 0 };
	char path[128];
	uint32_t number;

	ok(store_open_job(store, "c", "50", true, &someone, &job_fd, &err) ==
			   0 &&
		   fstat(job_fd, &st) == 0 && st.st_uid == 4242 &&
		   (st.st_mode & 07777) == 0700,
	   "a job's directory is its user's: %s", err.text);
	ok(store_begin(job_fd, &someone, &number, &dir_fd, &err) == 0 &&
		   fstat(dir_fd, &st) == 0 && st.st_uid == 4242,
	   "so is a generation: %s", err.text);
	ok(store_publish(job_fd, number, dir_fd, "m", 1, &someone, &err) == 0 &&
		   fstatat(dir_fd, "manifest", &st, 0) == 0 &&
		   st.st_uid == 4242 && (st.st_mode & 07777) == 0600,
	   "so is the manifest: %s", err.text);
	ok(store_open_job(store, "c", "50", false, &another, &fd, &err) ==
		   -EPERM,
	   "another user gets nothing: %s", err.text);
	ok(store_list(job_fd, &another, NULL, NULL, &err) == -EACCES,
	   "not even with its descriptor: %s", err.text);

	/* Made by root, then a crash: empty and still root's. */
	snprintf(path, sizeof(path), "%s/c/51", store);
	mkdir(path, 0700);
	ok(store_open_job(store, "c", "51", true, &someone, &fd, &err) == 0,
	   "half-made by root it is given to the user: %s", err.text);
	close(take_fd(&fd));
	/* Root's own snapshots never become a user's. */
	snprintf(path, sizeof(path), "%s/c/52", store);
	mkdir(path, 0700);
	strcat(path, "/0000000001");
	mkdir(path, 0700);
	ok(store_open_job(store, "c", "52", true, &someone, &fd, &err) ==
		   -EPERM,
	   "but not with something in it: %s", err.text);
}

static void test_sticky(const char *store)
{
	auto_close int fd = -EBADF;
	struct err err = { 0 };
	struct stat st = { 0 };
	char path[128];

	/* As where root is squashed: users make their own. */
	snprintf(path, sizeof(path), "%s/sticky", store);
	mkdir(path, 0700);
	chmod(path, 01777);
	ok(store_open_job(store, "sticky", "1", true, &someone, &fd, &err) ==
			   0 &&
		   fstat(fd, &st) == 0 && st.st_uid == 4242,
	   "in a sticky directory the user makes it: %s", err.text);
	close(take_fd(&fd));
	ok(store_open_job(store, "sticky", "1", true, &another, &fd, &err) ==
		   -EPERM,
	   "who came first to a name is told to the next: %s", err.text);
	chmod(path, 0777);
	ok(store_open_job(store, "sticky", "1", true, &someone, &fd, &err) ==
		   -EPERM,
	   "without the sticky bit it is not trusted: %s", err.text);
	chmod(path, 0755);
	ok(chown(path, 4444, 4444) == 0 &&
		   store_open_job(store, "sticky", "1", true, &someone, &fd,
				  &err) == -EPERM,
	   "nor when somebody else owns it: %s", err.text);
	snprintf(path, sizeof(path), "%s/link", store);
	if (symlink("c", path) == 0)
		ok(store_open_job(store, "link", "1", true, &someone, &fd,
				  &err) < 0,
		   "links inside the store are not followed: %s", err.text);
}

static void test_above(const char *base)
{
	struct err err = { 0 };
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/open", base);
	mkdir(path, 0700);
	chmod(path, 0777);
	strcat(path, "/store");
	mkdir(path, 0755);
	ok(store_open_job(path, "c", "1", true, NULL, &fd, &err) == -EPERM &&
		   strstr(err.text, "above"),
	   "who can write above the store could replace it: %s", err.text);
}

int main(void)
{
	char base[64], store[80];
	int dir_fd = temp_dir(base);

	if (dir_fd < 0 || fchmod(dir_fd, 0755) < 0)
		return 1;
	snprintf(store, sizeof(store), "%s/store", base);
	mkdir(store, 0755);
	test_generations(store);
	test_leftovers(store);
	test_passed_over(store);
	test_tidy(store);
	test_tidied(store);
	test_kept(store);
	test_failing_publish(store);
	test_names(store);
	test_above(base);
	if (geteuid() == 0) {
		test_as_user(store);
		test_quotas();
		test_group_of_file();
		test_owners(store);
		test_sticky(store);
	} else {
		skip("not root: other users cannot be tried");
	}
	temp_dir_remove(base);
	close(dir_fd);
	return done_testing();
}
