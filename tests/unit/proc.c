/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/io.h"

/* A directory that stands for /proc/PID, with one file in it. */
static char dir_path[] = "/tmp/jobcr-proc.XXXXXX";

static int fake(const char *name, const char *text)
{
	struct err err;
	int dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write_all(fd, text, strlen(text), &err) < 0)
		abort();
	return dir;
}

#define REST                                                                   \
	" S 7 8 9 34816 9 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 99 "          \
	"7 18446744073709551615 4096 8192 140737488351000 0 0 0 0 0 0 0 0 0 "  \
	"17 1 0 0 0 0 0 11 12 13 14 15 16 17 1792\n"

static void test_stat(const char *comm)
{
	auto_free char *text = NULL;
	struct proc_stat st = { 0 };
	struct err err = { 0 };
	auto_close int dir = -EBADF;

	if (asprintf(&text, "42 (%s)" REST, comm) < 0)
		abort();
	dir = fake("stat", text);
	ok(proc_read_stat(dir, &st, &err) == 0 && !strcmp(st.comm, comm) &&
		   st.pid == 42 && st.ppid == 7 && st.pgid == 8 &&
		   st.sid == 9 && st.state == 'S' && st.exit_status == 1792 &&
		   st.start_time == 12345 && st.exit_signal == 17,
	   "stat of a process that calls itself \"%s\": %s", comm, err.text);
	ok(st.start_code == 4096 && st.start_stack == 140737488351000 &&
		   st.start_data == 11 && st.start_brk == 13 &&
		   st.env_end == 17,
	   "its addresses are in their fields");
}

static void test_stat_broken(void)
{
	static const char full[] = "42 (a)" REST;
	struct proc_stat st;
	struct err err;
	int wrong = 0;

	for (size_t len = 0; len + 6 < sizeof(full); len += 7) {
		auto_free char *cut = strndup(full, len);
		auto_close int dir = fake("stat", cut);

		wrong += proc_read_stat(dir, &st, &err) != -EBADMSG;
	}
	ok(wrong == 0, "a stat that is cut short is an error, not a guess");
	(void)fake("stat", "1 ) S ( 3");
	auto_close int dir = fake("stat", ")(");

	ok(proc_read_stat(dir, &st, &err) == -EBADMSG,
	   "brackets in the wrong order are an error");
}

#define STATUS_TAIL                                                            \
	"SigPnd:\t0000000000000100\nShdPnd:\t0000000000000200\n"               \
	"SigBlk:\t0000000000010000\nSigIgn:\t8000000000000001\n"               \
	"SigCgt:\t0000000180000000\nCapInh:\t1\nCapPrm:\t2\nCapEff:\t3\n"      \
	"CapBnd:\t000001ffffffffff\nCapAmb:\t5\n"

static void test_status(void)
{
	auto_close int dir = fake(
		"status",
		"Name:\tUid:\\nGid: 7\nUmask:\t0027\nState:\tS (sleeping)\n"
		"Tgid:\t10\nTracerPid:\t3\nUid:\t1\t2\t3\t4294967294\n"
		"Gid:\t5\t6\t7\t8\nGroups:\t4 24 27 \nNStgid:\t10\t2\n"
		"NSpid:\t11\t3\nNSpgid:\t10\t0\nNSsid:\t9\t1\nKthread:\t0\n"
		"VmRSS:\t     112 kB\nTHP_enabled:\t0\n"
		"x86_Thread_features:\t shstk \nThreads:\t3\n" STATUS_TAIL
		"NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n");
	struct proc_status st = { 0 };
	struct err err = { 0 };

	ok(proc_read_status(dir, &st, &err) == 0, "status is read: %s",
	   err.text);
	ok(st.uids[0] == 1 && st.uids[3] == 4294967294u && st.gids[3] == 8,
	   "ids are the kernel's, not those in the name of the process");
	ok(st.ngroups == 3 && st.groups[0] == 4 && st.groups[2] == 27,
	   "all groups are there");
	ok(st.ns_levels == 2 && st.ns_tgid == 2 && st.ns_pid == 3 &&
		   st.ns_pgid == 0 && st.ns_sid == 1,
	   "ids are those of the innermost namespace");
	ok(st.sig_pending == 0x100 && st.shared_pending == 0x200 &&
		   st.sig_ignored == 0x8000000000000001ull &&
		   st.caps[3] == 0x1ffffffffffull && st.caps[4] == 5,
	   "signal and capability sets are whole");
	ok(st.umask == 027 && st.threads == 3 && st.tracer == 3 &&
		   st.shadow_stack && st.thp_disabled && st.seccomp == 2 &&
		   st.seccomp_filters == 3 && st.no_new_privs == 1 &&
		   st.vm_rss_kb == 112,
	   "single values are read");
	proc_status_done(&st);
}

static void test_status_broken(void)
{
	auto_close int dir =
		fake("status", "Name:\tx\nUid:\t1\t2\n" STATUS_TAIL);
	struct proc_status st;
	struct err err;

	ok(proc_read_status(dir, &st, &err) == -EBADMSG,
	   "a status without its ids is an error");
}

static void test_lists(void)
{
	auto_close int dir = fake("children", "5 6 70000 ");
	auto_free pid_t *pids = NULL;
	auto_free int *fds = NULL;
	struct err err = { 0 };
	size_t n = 0;

	ok(proc_read_children(dir, &pids, &n, &err) == 0 && n == 3 &&
		   pids[2] == 70000,
	   "children are read");
	if (mkdirat(dir, "fd", 0700) < 0)
		abort();
	for (int i = 0; i < 40; i++) {
		auto_free char *name = NULL;

		if (asprintf(&name, "fd/%d", (i * 7) % 40) < 0)
			abort();
		auto_close int fd = openat(dir, name, O_CREAT | O_RDWR, 0600);

		(void)name;
	}
	ok(proc_read_fds(dir, &fds, &n, &err) == 0 && n == 40 && fds[0] == 0 &&
		   fds[9] == 9 && fds[39] == 39,
	   "descriptors come in order, not as the directory has them");
}

static void test_text(void)
{
	static const char text[] =
		"pos:\t0\nflags:\t02004002\n"
		"eventfd-count:               ff\nneg:\t-1\n";
	struct err err;
	uint64_t v = 1;

	ok(proc_text_u64(text, "flags", 8, &v, &err) == 0 && v == 02004002,
	   "an octal value");
	ok(proc_text_u64(text, "eventfd-count", 16, &v, &err) == 0 && v == 0xff,
	   "a hexadecimal one, padded");
	ok(proc_text_u64(text, "count", 16, &v, &err) == -ENODATA,
	   "a key is matched whole, at the start of a line");
	ok(proc_text_u64(text, "neg", 10, &v, &err) == -EBADMSG,
	   "a negative number is none");
}

static void test_self(void)
{
	static const char hostile[] = "a) R 1 (b";
	struct proc_status status;
	struct proc_stat st = { 0 };
	struct err err = { 0 };
	auto_close int dir = -EBADF;
	int64_t mono = 1, boot = 1;

	(void)prctl(PR_SET_NAME, hostile);
	ok(proc_open(getpid(), 0, &dir, &err) == 0 &&
		   proc_read_stat(dir, &st, &err) == 0 &&
		   !strcmp(st.comm, hostile) && st.ppid == getppid(),
	   "this process, with a hostile name, reads itself: %s", err.text);
	ok(proc_read_status(dir, &status, &err) == 0 &&
		   status.tgid == getpid() && status.uids[1] == geteuid(),
	   "and its status: %s", err.text);
	proc_status_done(&status);
	ok(proc_read_timens(dir, &mono, &boot, &err) == 0,
	   "and the offsets of its clocks: %s", err.text);
}

static void test_reused(void)
{
	pid_t pid = fork();
	struct proc_stat st;
	struct err err;
	auto_close int dir = -EBADF;

	if (pid == 0)
		_exit(0);
	ok(proc_open(pid, 0, &dir, &err) == 0, "a zombie can be opened");
	(void)waitpid(pid, NULL, 0);
	ok(proc_read_stat(dir, &st, &err) < 0,
	   "once it is reaped its open directory gives no answer");
	auto_close int again = -EBADF;

	ok(proc_open(pid, 0, &again, &err) == -ESRCH,
	   "and cannot be opened again");
}

static int ask_ns(int proc_fd, const char *kind)
{
	struct err ignored;
	struct stat st;

	return proc_stat_ns(proc_fd, kind, &st, &ignored);
}

/* What a look at a running job meets when one of its processes ends. */
static void test_namespaces(void)
{
	auto_close int dir = -EBADF;
	struct stat st, own;
	struct err err = { 0 };
	siginfo_t info;
	char path[32];
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
		abort();
	ok(ask_ns(dir, "net") == -ENOENT,
	   "a process that has ended has no namespace");
	waitpid(pid, NULL, 0);
	ok(ask_ns(dir, "net") == -ESRCH && ask_ns(dir, "none") < 0,
	   "one that nobody waits for any more is gone");
	close(dir);
	dir = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ok(proc_stat_ns(dir, "net", &st, &err) == 0 &&
		   stat("/proc/self/ns/net", &own) == 0 &&
		   st.st_ino == own.st_ino,
	   "ours is ours: %s", err.text);
	ok(ask_ns(dir, "none") == -ENOENT, "no kernel has such a kind");
}

int main(void)
{
	if (!mkdtemp(dir_path))
		return 1;
	test_stat("plain");
	test_stat("");
	test_stat("a b) R 1 (c");
	test_stat(") S 1 1 1");
	test_stat_broken();
	test_status();
	test_status_broken();
	test_lists();
	test_text();
	test_self();
	test_reused();
	test_namespaces();
	auto_free char *cmd = NULL;

	if (asprintf(&cmd, "rm -rf '%s'", dir_path) < 0 || system(cmd))
		return 1;
	return done_testing();
}
