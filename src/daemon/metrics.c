/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "operation/counters.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "wire/control.h"

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_causes(FILE *f, const char *name, const char *help,
		       const uint64_t *values)
{
	size_t i;

	head(f, name, "counter", help);
	for (i = 0; i < COUNT_CAUSES; i++)
		fprintf(f, "%s{cause=\"%s\"} %" PRIu64 "\n", name,
			counter_causes[i], values[i]);
}

static void put_count(FILE *f, const char *name, const char *help,
		      uint64_t value)
{
	head(f, name, "counter", help);
	fprintf(f, "%s %" PRIu64 "\n", name, value);
}

static void put_seconds(FILE *f, const char *name, const char *help,
			uint64_t ns)
{
	head(f, name, "gauge", help);
	fprintf(f, "%s %.3f\n", name, (double)ns / 1e9);
}

static void put_counters(FILE *f, const struct counters *c)
{
	put_causes(f, "jobcr_snapshots_total", "Snapshots made, by cause.",
		   c->made);
	put_causes(f, "jobcr_snapshot_failures_total",
		   "Checkpoints that failed, by cause.", c->failed);
	put_causes(f, "jobcr_snapshot_refusals_total",
		   "Checkpoints refused: the job has what cannot be saved.",
		   c->refused);
	put_count(f, "jobcr_snapshot_bytes_total",
		  "Bytes of memory in the snapshots made.", c->bytes);
	put_count(f, "jobcr_restores_total", "Jobs restored.", c->restored);
	put_count(f, "jobcr_restore_failures_total", "Restores that failed.",
		  c->restores_failed);
	if (!c->last_at_ns)
		return;
	put_seconds(f, "jobcr_last_snapshot_timestamp_seconds",
		    "When the last snapshot was durable.", c->last_at_ns);
	put_seconds(f, "jobcr_last_snapshot_pause_seconds",
		    "How long its job stood still.", c->last_frozen_ns);
	put_seconds(f, "jobcr_last_snapshot_duration_seconds",
		    "How long it took in all.", c->last_total_ns);
}

static void put_jobs(FILE *f, const struct control_info *list, size_t count)
{
	static const struct {
		uint32_t state;
		const char *name;
	} states[] = {
		{ CONTROL_STARTING, "starting" },
		{ CONTROL_RESTORING, "restoring" },
		{ CONTROL_ALIVE, "running" },
		{ CONTROL_SUSPENDED, "suspended" },
	};
	size_t i, k;

	head(f, "jobcr_jobs", "gauge", "Jobs on this node, by state.");
	for (k = 0; k < ARRAY_SIZE(states); k++) {
		unsigned int n = 0;

		for (i = 0; i < count; i++)
			n += list[i].state == states[k].state;
		fprintf(f, "jobcr_jobs{state=\"%s\"} %u\n", states[k].name, n);
	}
}

/* The collector takes files *.prom only: never half a one. */
static int put_file(const char *path, const struct counters *counters,
		    const struct control_info *list, size_t count,
		    struct err *err)
{
	auto_fclose FILE *f = NULL;
	char fresh[4096];
	int fd, n = snprintf(fresh, sizeof(fresh), "%s.%d", path, getpid());

	if (n < 0 || (size_t)n >= sizeof(fresh))
		return err_num(err, ENAMETOOLONG, "MetricsFile %s", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		  0644);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		return err_sys(err, "MetricsFile %s", fresh);
	/* Whoever collects is not root; jobcrd's umask may be strict. */
	(void)fchmod(fd, 0644);
	put_jobs(f, list, count);
	put_counters(f, counters);
	if (ferror(f) || fflush(f) != 0 || rename(fresh, path) < 0) {
		err_sys(err, "MetricsFile %s", path);
		(void)unlink(fresh);
		return err->code;
	}
	return 0;
}

int metrics_write(const struct conf *conf)
{
	auto_free struct control_info *list = NULL;
	struct counters counters;
	struct err err = { 0 };
	size_t count = 0;
	int r = control_list(conf->run_dir, &list, &count, &err);

	counters_read(conf, &counters);
	if (r == 0)
		r = put_file(conf->metrics_file, &counters, list, count, &err);
	if (r < 0)
		log_warning(NULL,
			    "%s: make its directory, or unset "
			    "MetricsFile",
			    err.text);
	return r < 0;
}
