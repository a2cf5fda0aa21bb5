/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of a job, records of it on its node, its history in the store. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/history.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "wire/isa.h"
#include "wire/job_options.h"
#include "wire/record.h"

static void test_round_trip(const char *text, const char *expect)
{
	char again[JOB_OPTIONS_TEXT] = "?";
	struct job_options o, p;
	struct err err = { 0 };
	int r = job_options_parse(text, &o, &err);

	if (r == 0) {
		job_options_format(&o, again);
		r = job_options_parse(again, &p, &err);
	}
	ok(r == 0 && !strcmp(again, expect) && !memcmp(&o, &p, sizeof(o)),
	   "options \"%s\" are \"%s\"", text, again);
}

static void test_tunables(void)
{
	char text[ISA_TEXT], longer[ISA_TEXT];
	struct err err = { 0 };

	ok(isa_tunables(3, NULL, text, &err) == 0 &&
		   strncmp(text, "glibc.cpu.hwcaps=-AVX512F,", 26) == 0 &&
		   !strstr(text, "-AVX2") && !strchr(text, ':'),
	   "v3 is without AVX-512: %s", text);
	ok(isa_tunables(2, "", text, &err) == 0 && strstr(text, "-AVX2,") &&
		   strstr(text, "-AVX512VL,") && text[0] == 'g',
	   "v2 is without AVX: %s", text);
	ok(isa_tunables(4, "glibc.malloc.check=1", text, &err) == 0 &&
		   strcmp(text, "glibc.malloc.check=1:glibc.cpu.hwcaps=-RTM") ==
			   0,
	   "other tunables stay: %s", text);
	ok(isa_tunables(4, "a=1:glibc.cpu.hwcaps=-ERMS:b=2", text, &err) == 0 &&
		   strcmp(text, "a=1:glibc.cpu.hwcaps=-RTM,-ERMS:b=2") == 0,
	   "a list of the user's is added to: %s", text);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ok(isa_tunables(3, longer, text, &err) == -E2BIG, "too long: %s",
	   err.text);
}

static void test_options(void)
{
	static const char *const bad[] = { "interval",
					   "interval=",
					   "interval=0",
					   "interval=1y",
					   "interval=-1",
					   "interval=99999999999",
					   "interval=137y",
					   "interval=50000d",
					   "signal=KILL",
					   "signal=STOP",
					   "signal=NOSUCH@3",
					   "signal=USR1@",
					   "signal=0",
					   "signal=65",
					   "what=1",
					   ",",
					   "interval=1,",
					   "timelimit=auto",
					   "isa=x86-64",
					   "isa=x86-64-v1",
					   "isa=x86-64-v5",
					   "isa=x86-64-v33",
					   "isa=",
					   "files=",
					   "files=rollbac",
					   "peers=",
					   "peers=keep",
					   "ipc=",
					   "ipc=none",
					   "signal=RTMIN+31@2",
					   "signal=AVERYLONGNAMEOFASIGNAL@2" };
	char text[200];
	struct job_options o;
	struct err err = { 0 };
	size_t i;

	test_round_trip("", "");
	test_round_trip("interval=30m", "interval=1800");
	test_round_trip("interval=auto,timelimit=5m,signal=USR1@30",
			"interval=auto,timelimit=300,signal=10@30");
	test_round_trip("signal=SIGTERM", "signal=15");
	test_round_trip("timelimit=2d,signal=RTMAX-1@1h",
			"timelimit=172800,signal=63@3600");
	test_round_trip("isa=x86-64-v3,interval=1h",
			"interval=3600,isa=x86-64-v3");
	test_round_trip("files=keep,isa=x86-64-v2", "isa=x86-64-v2,files=keep");
	test_round_trip("files=rollback", "files=rollback");
	test_round_trip("peers=reset,ipc=host", "ipc=host,peers=reset");
	test_round_trip("peers=refuse", "");
	test_round_trip("ipc=host", "ipc=host");
	test_round_trip("ipc=private,isa=x86-64-v2",
			"isa=x86-64-v2,ipc=private");
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ok(job_options_parse(bad[i], &o, &err) == -EINVAL,
		   "options \"%s\": %s", bad[i], err.text);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ok(job_options_parse(text, &o, &err) == -EINVAL, "a long text: %s",
	   err.text);
}

static void test_records(const char *dir)
{
	struct record_last last = { .generation = 7, .cause = "interval" };
	struct record_doing doing = { .phase = "dump" };
	struct err err = { 0 };
	char path[200];

	snprintf(path, sizeof(path), "%s/jobs", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/jobs/12", dir);
	mkdir(path, 0700);
	ok(record_read(dir, "12", RECORD_LAST, &last, sizeof(last), &err) ==
			   -ENOENT &&
		   last.generation == 0,
	   "no record yet");
	last.generation = 7;
	ok(record_write(dir, "12", RECORD_LAST, &last, sizeof(last), &err) == 0,
	   "a record is written");
	memset(&last, 0, sizeof(last));
	ok(record_read(dir, "12", RECORD_LAST, &last, sizeof(last), &err) ==
			   0 &&
		   last.generation == 7,
	   "and read");
	ok(record_read(dir, "12", RECORD_LAST, &doing, sizeof(doing), &err) ==
			   -ENOENT &&
		   !*doing.phase,
	   "not as one of another size: %s", err.text);
	record_remove(dir, "12", RECORD_LAST);
	ok(record_read(dir, "12", RECORD_LAST, &last, sizeof(last), &err) ==
		   -ENOENT,
	   "it can be removed");
}

static void test_history(const char *dir)
{
	const struct user_id user = { .uid = geteuid(), .gid = getegid() };
	struct history_event e = { .at_ns = 5,
				   .node = "n1",
				   .kind = "checkpoint",
				   .generation = 3,
				   .text = "one\ntwo\033[2J" };
	struct history_event *list = NULL;
	struct err err = { 0 };
	size_t n = 0;
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int raw = -EBADF;

	ok(history_read(fd, &user, &list, &n, &err) == -ENOENT,
	   "no history yet");
	ok(history_append(fd, &user, &e, &err) == 0, "an event is noted");
	raw = openat(fd, "history", O_WRONLY | O_APPEND | O_CLOEXEC);
	ok(write(raw, "nonsense\n-1 x\n\n", 15) == 15, "its user adds to it");
	memset(e.text, 'x', sizeof(e.text) - 1);
	e.text[sizeof(e.text) - 1] = '\0';
	ok(history_append(fd, &user, &e, &err) == 0, "a long one, too");
	ok(history_read(fd, &user, &list, &n, &err) == 0 && n == 2 &&
		   list[0].generation == 3 && !strcmp(list[0].node, "n1") &&
		   !strcmp(list[0].text, "one two [2J") &&
		   strlen(list[1].text) == HISTORY_TEXT - 1,
	   "both are read, on one line each");
	free(list);
	unlinkat(fd, "history", 0);
	ok(mkfifoat(fd, "history", 0600) == 0 &&
		   history_append(fd, &user, &e, &err) < 0,
	   "a fifo in its place does not stop us: %s", err.text);
	ok(history_read(fd, &user, &list, &n, &err) == -EBADMSG,
	   "nor when it is read: %s", err.text);
	unlinkat(fd, "history", 0);
}

/* Three weeks of a job that is saved every ten seconds. */
static void test_long_history(const char *dir)
{
	const struct user_id user = { .uid = geteuid(), .gid = getegid() };
	struct history_event e = { .node = "n1", .kind = "checkpoint" };
	struct history_event *list = NULL;
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	off_t longest = 0;
	uint32_t rewritten = 0, failed = 0, gaps = 0;
	struct err err = { 0 };
	struct stat st;
	size_t n = 0, i;
	ino_t last = 0;

	memset(e.text, 'x', 120);
	for (e.generation = 1; e.generation <= 20000; e.generation++) {
		e.at_ns = e.generation;
		failed += history_append(fd, &user, &e, &err) < 0;
		fstatat(fd, "history", &st, 0);
		longest = st.st_size > longest ? st.st_size : longest;
		rewritten += last && st.st_ino != last;
		last = st.st_ino;
	}
	ok(failed == 0 && longest <= (512 << 10) + 600,
	   "a history stays short: %ld bytes at most", (long)longest);
	ok(rewritten >= 5 && rewritten <= 20,
	   "and is seldom written anew: %u times", rewritten);
	(void)history_read(fd, &user, &list, &n, &err);
	ok(n > 1000 && list[0].generation == 1 && list[20].generation == 21 &&
		   list[n - 1].generation == 20000,
	   "how it began and the newest events are there: %zu", n);
	for (i = 1; i < n; i++)
		gaps += list[i].generation != list[i - 1].generation + 1;
	ok(gaps == 1 && list[n - 1000].generation == 19001,
	   "one gap, and none among the newest: %u", gaps);
	free(list);
	unlinkat(fd, "history", 0);
}

int main(void)
{
	char dir[] = "/tmp/jobcr-facts.XXXXXX", path[200];

	if (!mkdtemp(dir))
		return 99;
	test_options();
	test_tunables();
	test_records(dir);
	test_history(dir);
	test_long_history(dir);
	snprintf(path, sizeof(path), "%s/jobs/12", dir);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/jobs", dir);
	rmdir(path);
	ok(rmdir(dir) == 0, "nothing is left");
	return done_testing();
}
