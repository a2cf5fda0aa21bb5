/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "tests/lib/tap.h"
#include "wire/job_options.h"

static int load(const char *path, const char *text, struct conf **ret,
		struct err *err)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -errno;
	fputs(text, f);
	fclose(f);
	err->code = 0;
	return conf_load(path, ret, err);
}

static void test_good(const char *path)
{
	struct conf *c;
	struct err err = { 0 };

	ok(load(path,
		"# ours\nclustername = \"emmy\"\nKeep = 7\nDirectIO = false\n"
		"OnRestoreFailure = \"previous\"\nJobComment = false\n"
		"PauseMode = \"Pin\"\n"
		"Compression = \"LZ4\"\n"
		"Operators = {\"0\", \"1234\"}\nCarryFiles = {\"/var/x\"}\n"
		"ClosedSockets = {\"/run/a\", \"/run/b\"}\n",
		&c, &err) == 0,
	   "a good file is read: %s", err.text);
	ok(!strcmp(c->cluster, "emmy") && c->keep == 7 && !c->direct_io,
	   "with what it says, keys in any case");
	ok(c->noperators == 2 && c->operators[1] == 1234 &&
		   !strcmp(c->carry[0], "/var/x") && !c->carry[1] &&
		   !strcmp(c->closed[1], "/run/b") && !c->closed[2],
	   "lists, too");
	ok(!strcmp(c->local[0], "/tmp") && !strcmp(c->local[1], "/var/tmp") &&
		   !c->local[2] && c->local_bytes == 16ull << 30 &&
		   c->private_bytes == 16ull << 30,
	   "lists that are not given have their defaults");
	ok(c->on_restore_failure == CONF_FAILURE_PREVIOUS && !c->job_comment,
	   "and words");
	ok(c->restore_limit == 5 && c->restore_guard_s == 5 &&
		   c->port == CONF_DEFAULT_PORT && c->drain_jobs == 4 &&
		   *c->node && !strchr(c->node, '.'),
	   "and defaults for the rest");
	ok(c->pause == CONF_PAUSE_PIN && c->compression == CONF_COMPRESSION_LZ4,
	   "a mode in any case");
	conf_free(c);
}

static void test_local(const char *path)
{
	struct conf *c;
	struct err err = { 0 };

	ok(load(path, "LocalDirs = {}\nLocalFileSize = \"1M\"\n"
		       "PrivateDirSize = \"2M\"\n", &c, &err) ==
			   0 &&
		   !c->local[0] && c->local_bytes == 1 << 20 &&
		   c->private_bytes == 2 << 20,
	   "a list may be empty: %s", err.text);
	conf_free(c);
	ok(load(path,
		"LocalDirs = {\"/a\"}\nLocalDirs = {\"/scratch\", \"/b\"}\n",
		&c, &err) == 0 &&
		   !strcmp(c->local[0], "/scratch") &&
		   !strcmp(c->local[1], "/b") && !c->local[2],
	   "and what is said last counts");
	conf_free(c);
}

static void test_keeps(const char *path)
{
	struct conf *c;
	struct err err = { 0 };

	ok(load(path, "", &c, &err) == 0 && !c->keep_completed_s &&
		   c->keep_ended_s == 86400 &&
		   c->keep_unknown_s == 30 * 86400 &&
		   c->sweep_interval_s == 3600 && !c->metrics_file &&
		   c->metrics_interval_s == 15 && c->requeued_s == 10 &&
		   c->keep_output == 1u << 30,
	   "snapshots of jobs that failed stay for a day: %s", err.text);
	conf_free(c);
	ok(load(path,
		"KeepCompleted = \"2h\"\nKeepEnded = \"0\"\n"
		"KeepUnknown = \"7d\"\nSweepInterval = \"0\"\n"
		"MetricsFile = \"/m/j.prom\"\nMetricsInterval = 60\n"
		"RequeuedInterval = 0\n"
		"KeepOutput = \"3T\"\n",
		&c, &err) == 0 &&
		   c->keep_completed_s == 7200 && !c->keep_ended_s &&
		   c->keep_unknown_s == 7 * 86400 && !c->sweep_interval_s &&
		   !strcmp(c->metrics_file, "/m/j.prom") &&
		   c->metrics_interval_s == 60 && !c->requeued_s &&
		   c->keep_output == 3ull << 40,
	   "or as they are wanted: %s", err.text);
	conf_free(c);
}

static void test_intervals(const char *path)
{
	struct conf *c;
	struct err err = { 0 };

	ok(load(path, "", &c, &err) == 0 && !c->snapshot_interval_s &&
		   c->window_interval_s == JOB_INTERVAL_AUTO &&
		   c->mtbf_s == 30 * 86400 && !c->max_writers,
	   "no snapshots but for jobs that are too large: %s", err.text);
	conf_free(c);
	ok(load(path,
		"Interval = \"90m\"\nWindowInterval = \"0\"\n"
		"MTBF = \"1000h\"\nMaxWriters = 3\n",
		&c, &err) == 0 &&
		   c->snapshot_interval_s == 5400 && !c->window_interval_s &&
		   c->mtbf_s == 3600000 && c->max_writers == 3,
	   "intervals are times: %s", err.text);
	conf_free(c);
	ok(load(path, "Interval = \"auto\"\n", &c, &err) == 0 &&
		   c->snapshot_interval_s == JOB_INTERVAL_AUTO,
	   "or left to jobcr: %s", err.text);
	conf_free(c);
}

static void test_bad(const char *path)
{
	static const struct {
		const char *text, *line, *why;
	} cases[] = {
		{ "Keep = 1\nNoSuchKey = 3\n", "line 2", "NoSuchKey" },
		{ "Keep = 0\n", "line 1", "1 to 1000" },
		{ "\nPort = 70000\n", "line 2", "0 to 65535" },
		{ "DrainJobs = 0\n", "line 1", "1 to 64" },
		{ "LeaseTime = 1\n", "line 1", "2 to 3600" },
		{ "Keep = many\n", "line 1", "Keep" },
		{ "StoreDir = \"relative\"\n", "line 1", "begin with /" },
		{ "RestoreLimit = 1001\n", "line 1", "0 to 1000" },
		{ "RestoreGuard = -1\n", "line 1", "0 to 300" },
		{ "\nOnRestoreFailure = \"never\"\n", "line 2",
		  "\"previous\"" },
		{ "ClusterName = \"../x\"\n", "line 1", "file name" },
		{ "Operators = {\"nobody-of-that-name\"}\n", "Operators",
		  "nobody-of-that-name" },
		{ "StoreDir = \"\"\n", "StoreDir", "empty" },
		{ "Keep = \n= 3", "line", "" },
		{ "Interval = \"soon\"\n", "line 1", "auto" },
		{ "WindowInterval = \"-1\"\n", "line 1", "30m" },
		{ "KeepEnded = \"auto\"\n", "line 1", "30d" },
		{ "KeepCompleted = \"-1\"\n", "line 1", "12h" },
		{ "MetricsFile = \"m.prom\"\n", "line 1", "begin with /" },
		{ "MetricsInterval = 0\n", "line 1", "1 to 3600" },
		{ "MTBF = \"0\"\n", "line 1", "30d" },
		{ "MTBF = \"auto\"\n", "line 1", "30d" },
		{ "KeepOutput = \"lots\"\n", "line 1", "64M" },
		{ "KeepOutput = \"G\"\n", "line 1", "1G" },
		{ "KeepOutput = \"8388608T\"\n", "line 1", "1G" },
		{ "MaxWriters = 2000\n", "line 1", "0 to 1024" },
		{ "PauseMode = \"fast\"\n", "line 1", "auto, stop and pin" },
		{ "Compression = \"gzip\"\n", "line 1", "lz4 and zstd" },
	};
	struct err err = { 0 };
	struct conf *c;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r = load(path, cases[i].text, &c, &err);

		ok(r < 0 && strstr(err.text, path) &&
			   strstr(err.text, cases[i].line) &&
			   strstr(err.text, cases[i].why),
		   "refused, with file, line and reason: %s", err.text);
		if (r == 0)
			conf_free(c);
	}
	unlink(path);
	ok(conf_load(path, &c, &err) == -ENOENT,
	   "a file that was asked for must be there: %s", err.text);
}

int main(void)
{
	char path[] = "/tmp/jobcr-conf-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	unsetenv("JOBCR_CONF");
	test_good(path);
	test_intervals(path);
	test_local(path);
	test_keeps(path);
	test_bad(path);
	unlink(path);
	return done_testing();
}
