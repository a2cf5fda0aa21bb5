/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/server.h"
#include "kernel/features.h"
#include "storage/tier.h"
#include "util/cleanup.h"
#include "util/log.h"

static const char usage[] =
	"usage: jobcrd [--config FILE] [--test] [--syslog] [--debug]\n"
	"\n"
	"  -c, --config FILE   instead of the installed jobcr.conf\n"
	"  -t, --test          check the configuration and end\n"
	"  -s, --syslog        messages to syslog, not to standard error\n"
	"  -d, --debug         more of them\n"
	"\n"
	"It stays in the foreground.  See jobcrd(8).\n";

static int test(const struct conf *conf)
{
	printf("%s: good\n"
	       "ClusterName %s, NodeName %s, StoreDir %s, RunDir %s, Port %u\n",
	       conf->path, conf->cluster, conf->node, conf->store_dir,
	       conf->run_dir, conf->port);
	return 0;
}

/* Its jobs run anyway; but somebody should know before the first is lost. */
static void look_at_kernel(void)
{
	auto_free struct feature_result *list = NULL;
	struct utsname kernel = { 0 };
	struct err err = { 0 };
	size_t count = 0;

	(void)uname(&kernel);
	if (features_probe(&list, &count, &err) < 0)
		log_warning(NULL, "%s", err.text);
	for (size_t i = 0; i < count; i++)
		if (list[i].error && list[i].feature.needed)
			log_error(NULL,
				  "no checkpoints under Linux %s: %s: %s (%s): "
				  "it takes %s",
				  kernel.release, list[i].feature.name,
				  strerror(list[i].error),
				  list[i].feature.purpose,
				  list[i].feature.remedy);
}

static int start(const struct conf *conf, int to_syslog)
{
	struct err err = { 0 };

	if (geteuid() != 0) {
		log_error(NULL, "jobcrd must be started by root");
		return 1;
	}
	if (to_syslog)
		log_to_syslog();
	look_at_kernel();
	if (server_run(conf, &err) == 0)
		return 0;
	log_error(NULL, "%s", err.text);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "test", no_argument, NULL, 't' },
		{ "syslog", no_argument, NULL, 's' },
		{ "debug", no_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	enum log_level level = LOG_LEVEL_INFO;
	int only_test = 0, to_syslog = 0, c, status;
	const char *path = NULL;
	struct err err = { 0 };
	struct conf *conf;

	while ((c = getopt_long(argc, argv, "c:tsdh", options, NULL)) >= 0) {
		if (c == 'c')
			path = optarg;
		else if (c == 't')
			only_test = 1;
		else if (c == 's')
			to_syslog = 1;
		else if (c == 'd')
			level = LOG_LEVEL_DEBUG;
		else {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	log_init("jobcrd", level);
	if (conf_load(path, &conf, &err) < 0) {
		log_error(NULL, "%s", err.text);
		return 1;
	}
	tier_here(conf->fast_dir);
	status = only_test ? test(conf) : start(conf, to_syslog);
	conf_free(conf);
	return status;
}
