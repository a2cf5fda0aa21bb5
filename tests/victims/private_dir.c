// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A directory of the job's own (roundtrip mounts one): what is in it is found
 * by its name afterwards, also where no process has it open.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../lib/victim.h"

#define TOP  "/mnt/"
#define HOLE (64 << 20)

static int make(const char *path, mode_t mode, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	victim_need(fd >= 0 &&
			    write(fd, text, strlen(text)) ==
				    (ssize_t)strlen(text) &&
			    fchmod(fd, mode) == 0,
		    path);
	return fd;
}

static void put(const char *path, mode_t mode, const char *text)
{
	close(make(path, mode, text));
}

static void set_time(const char *path, long sec)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
					   { sec, 123456789 } };

	victim_need(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0,
		    path);
}

static void check_time(const char *path, long sec)
{
	struct stat st;

	victim_check(lstat(path, &st) == 0 && st.st_mtim.tv_sec == sec &&
			     st.st_mtim.tv_nsec == 123456789,
		     "%s: another time\n", path);
}

static void check_mode(const char *path, mode_t mode)
{
	struct stat st = { 0 };
	bool there = lstat(path, &st) == 0;

	victim_check(there && st.st_mode == mode, "%s: mode %#o, not %#o\n",
		     path, st.st_mode, mode);
}

static void check_text(const char *path, const char *text)
{
	char buf[64] = "";
	int fd = open(path, O_RDONLY);

	victim_check(fd >= 0 &&
			     read(fd, buf, sizeof(buf)) ==
				     (ssize_t)strlen(text) &&
			     !strcmp(buf, text),
		     "%s: '%s', not '%s'\n", path, buf, text);
	close(fd);
}

static bool is_same(const char *path, const struct stat *want)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_ino == want->st_ino &&
	       st.st_dev == want->st_dev;
}

static int listener(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	victim_need(fd >= 0 &&
			    bind(fd, (struct sockaddr *)&name, sizeof(name)) ==
				    0 &&
			    listen(fd, 4) == 0,
		    path);
	return fd;
}

static bool answers(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool good;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	good = connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0;
	close(fd);
	return good;
}

static void count_names(const char *path, unsigned int want)
{
	DIR *dir = opendir(path);
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	victim_check(n == want + 2, "%s: %u names, not %u\n", path, n, want);
}

/* What nobody has open. */
static void make_others(void)
{
	int fd;

	victim_need(mkdir(TOP "tree", 0755) == 0 &&
			    mkdir(TOP "tree/closed", 0700) == 0 &&
			    mkdir(TOP "tree/empty", 0710) == 0 &&
			    mkfifo(TOP "tree/fifo", 0620) == 0 &&
			    symlink("closed/result", TOP "tree/link") == 0 &&
			    symlink("../../nowhere", TOP "tree/out") == 0,
		    "tree");
	put(TOP "tree/closed/result", 0640, "the result\n");
	put(TOP "tree/closed/empty", 0400, "");
	put(TOP "tree/program", 06755, "#!\n");
	fd = make(TOP "tree/sparse", 0600, "begin");
	victim_need(pwrite(fd, "end", 3, HOLE) == 3, "sparse");
	close(fd);
	/* Linux 6.6 has them on tmpfs. */
	if (victim_kernel(6, 6))
		victim_need(setxattr(TOP "tree/sparse", "user.note", "kept", 4,
				     0) == 0 &&
				    setxattr(TOP "tree/closed", "user.of",
					     "dir", 3, 0) == 0,
			    "attributes");
	close(listener(TOP "tree/dead"));
	set_time(TOP "tree/closed/result", 1234567890);
	set_time(TOP "tree/fifo", 1234567891);
	set_time(TOP "tree/link", 1234567892);
	set_time(TOP "tree/dead", 1234567893);
	victim_need(chmod(TOP "tree/closed", 0500) == 0, "chmod");
	set_time(TOP "tree/closed", 1234567894);
	set_time(TOP "tree/empty", 1234567895);
}

static void check_others(void)
{
	char buf[64] = "";
	struct stat st;
	int fd;

	count_names(TOP "tree", 12);
	check_text(TOP "tree/closed/result", "the result\n");
	check_text(TOP "tree/link", "the result\n");
	check_mode(TOP "tree/closed/result", S_IFREG | 0640);
	check_mode(TOP "tree/closed/empty", S_IFREG | 0400);
	check_mode(TOP "tree/program", S_IFREG | 06755);
	check_mode(TOP "tree/closed", S_IFDIR | 0500);
	check_mode(TOP "tree/empty", S_IFDIR | 0710);
	check_mode(TOP "tree/fifo", S_IFIFO | 0620);
	check_mode(TOP "tree/dead", S_IFSOCK | 0777);
	victim_check(readlink(TOP "tree/out", buf, sizeof(buf)) == 13 &&
			     !strncmp(buf, "../../nowhere", 13),
		     "the link leads to %s\n", buf);
	fd = open(TOP "tree/sparse", O_RDONLY);
	victim_check(fstat(fd, &st) == 0 && st.st_size == HOLE + 3 &&
			     st.st_blocks < 64 && pread(fd, buf, 5, 0) == 5 &&
			     !memcmp(buf, "begin", 5) &&
			     pread(fd, buf, 4, HOLE) == 3 &&
			     !memcmp(buf, "end", 3),
		     "the file with a hole has %lld blocks\n",
		     (long long)st.st_blocks);
	close(fd);
	victim_check(
		!victim_kernel(6, 6) ||
			(getxattr(TOP "tree/sparse", "user.note", buf, 64) ==
				 4 &&
			 !memcmp(buf, "kept", 4) &&
			 getxattr(TOP "tree/closed", "user.of", buf, 64) == 3),
		"attributes are lost\n");
	check_time(TOP "tree/closed/result", 1234567890);
	check_time(TOP "tree/fifo", 1234567891);
	check_time(TOP "tree/link", 1234567892);
	check_time(TOP "tree/dead", 1234567893);
	check_time(TOP "tree/closed", 1234567894);
	check_time(TOP "tree/empty", 1234567895);
}

int main(void)
{
	int open_file, server, gone;
	struct stat st, dir;
	char *memory, buf[16];

	umask(0);
	make_others();
	open_file = make(TOP "tree/open", 0600, "one");
	victim_need(link(TOP "tree/open", TOP "second") == 0 &&
			    link(TOP "tree/open", TOP "tree/third") == 0,
		    "link");
	gone = make(TOP "gone", 0600, "gone");
	victim_need(unlink(TOP "gone") == 0, "unlink");
	server = listener(TOP "tree/alive");
	close(make(TOP "tree/mapped", 0600, "memory"));
	victim_need((memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_SHARED, open(TOP "tree/mapped", O_RDWR),
				   0)) != MAP_FAILED &&
			    chdir(TOP "tree/closed") == 0,
		    "memory");

	victim_wait();

	count_names(TOP, 2);
	check_others();
	victim_check(fstat(open_file, &st) == 0 && st.st_nlink == 3 &&
			     is_same(TOP "tree/open", &st) &&
			     is_same(TOP "second", &st) &&
			     is_same(TOP "tree/third", &st),
		     "the open file has %lu names\n", (long)st.st_nlink);
	victim_check(write(open_file, "two", 3) == 3, "cannot be written\n");
	check_text(TOP "second", "onetwo");
	victim_check(pread(gone, buf, 16, 0) == 4 && !memcmp(buf, "gone", 4),
		     "the file without a name is another\n");
	memcpy(memory, "MEMORY", 6);
	check_text(TOP "tree/mapped", "MEMORY");
	victim_check(server >= 0 && answers(TOP "tree/alive") &&
			     !answers(TOP "tree/dead"),
		     "the socket does not answer\n");
	check_text("result", "the result\n");
	victim_check(stat(".", &dir) == 0 && is_same(TOP "tree/closed", &dir),
		     "the current directory is another\n");
	victim_verdict(true, "a directory of the job's own is as it was\n");
}
