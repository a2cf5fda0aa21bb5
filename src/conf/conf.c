/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conf/conf.h"

#include <confuse.h>
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images/limits.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/job_options.h"

#define DEFAULT_PATH JOBCR_SYSCONFDIR "/jobcr/jobcr.conf"

/*
 * libconfuse tells errors to a function without an argument of ours: the
 * only way to hand them up is a variable, set around one call.
 */
static __thread struct err *conf_error;

static void note_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[256];

	if (!conf_error || conf_error->code)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	err_set(conf_error, -EINVAL, "%s, line %d: %s",
		cfg && cfg->filename ? cfg->filename : "configuration",
		cfg ? cfg->line : 0, text);
}

static int check_range(cfg_t *cfg, cfg_opt_t *opt)
{
	static const struct {
		const char *name;
		long min, max;
	} ranges[] = {
		{ "MetricsInterval", 1, 3600 },
		{ "Port", 0, 65535 },
		{ "Keep", 1, 1000 },
		{ "Readers", 0, 64 },
		{ "Stripes", 1, STRIPES_MAX },
		{ "Timeout", 1, 604800 },
		{ "SlurmInterval", 0, 3600 },
		{ "MaxWriters", 0, 1024 },
		{ "RestoreLimit", 0, 1000 },
		{ "RestoreGuard", 0, 300 },
		{ "DrainJobs", 1, 64 },
		{ "LeaseTime", 2, 3600 },
		{ "RequeuedInterval", 0, 3600 },
	};
	long v = cfg_opt_getnint(opt, 0);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		if (strcasecmp(opt->name, ranges[i].name) ||
		    (v >= ranges[i].min && v <= ranges[i].max))
			continue;
		cfg_error(cfg, "%s is %ld: allowed are %ld to %ld", opt->name,
			  v, ranges[i].min, ranges[i].max);
		return -1;
	}
	return 0;
}

static int check_absolute(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned int i;

	for (i = 0; i < cfg_opt_size(opt); i++) {
		const char *v = cfg_opt_getnstr(opt, i);

		if (v && *v && *v != '/') {
			cfg_error(cfg, "%s is \"%s\": it must begin with /",
				  opt->name, v);
			return -1;
		}
	}
	return 0;
}

static const char *const failures[] = {
	[CONF_FAILURE_HOLD] = "hold",
	[CONF_FAILURE_PREVIOUS] = "previous",
	[CONF_FAILURE_RESTART] = "restart",
};

static int find_failure(const char *word)
{
	size_t i;

	for (i = 0; word && i < ARRAY_SIZE(failures); i++)
		if (!strcmp(failures[i], word))
			return (int)i;
	return -EINVAL;
}

/* Always -1, as libconfuse wants to hear it. */
static int complain(cfg_t *cfg, const cfg_opt_t *opt, const char *v,
		    const char *allowed)
{
	cfg_error(cfg, "%s is \"%s\": allowed are %s", opt->name, v ? v : "",
		  allowed);
	return -1;
}

static int check_failure(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);

	return find_failure(v) >= 0
		       ? 0
		       : complain(cfg, opt, v,
				  "\"hold\", \"previous\" and \"restart\"");
}

static int check_name(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);

	if (v && (strchr(v, '/') || *v == '.')) {
		cfg_error(cfg, "%s is \"%s\": it is used as a file name",
			  opt->name, v);
		return -1;
	}
	return 0;
}

/* "0": none; "auto", and times as users give them. */
static int parse_interval(const char *text, uint32_t *ret)
{
	*ret = 0;
	if (strcmp(text, "0") == 0)
		return 0;
	if (strcmp(text, "auto") == 0) {
		*ret = JOB_INTERVAL_AUTO;
		return 0;
	}
	return parse_duration(text, ret);
}

static int check_interval(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);
	uint32_t unused;

	return v && parse_interval(v, &unused) == 0
		       ? 0
		       : complain(cfg, opt, v,
				  "0, auto, and times like 90s, 30m, 12h, 2d");
}

static int check_time(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);
	uint32_t unused;

	return v && parse_duration(v, &unused) == 0
		       ? 0
		       : complain(cfg, opt, v, "times like 12h or 30d");
}

static const char *const pause_modes[] = {
	[CONF_PAUSE_AUTO] = "auto",
	[CONF_PAUSE_STOP] = "stop",
	[CONF_PAUSE_PIN] = "pin",
};

static const char *const compressions[] = {
	[CONF_COMPRESSION_AUTO] = "auto",
	[CONF_COMPRESSION_NONE] = "none",
	[CONF_COMPRESSION_LZ4] = "lz4",
	[CONF_COMPRESSION_ZSTD] = "zstd",
};

static const char *const incrementals[] = {
	[CONF_INCREMENTAL_AUTO] = "auto",
	[CONF_INCREMENTAL_YES] = "yes",
	[CONF_INCREMENTAL_NO] = "no",
};

static const char *const seals[] = {
	[CONF_SEAL_AUTO] = "auto",
	[CONF_SEAL_SLURM] = "slurm",
	[CONF_SEAL_ALL] = "all",
	[CONF_SEAL_NONE] = "none",
};

/* Its number; -1: no such word. */
static int find_word(const char *const *words, size_t count, const char *text)
{
	for (size_t i = 0; text && i < count; i++)
		if (strcasecmp(text, words[i]) == 0)
			return (int)i;
	return -1;
}

static int find_pause(const char *text)
{
	return find_word(pause_modes, ARRAY_SIZE(pause_modes), text);
}

static int find_compression(const char *text)
{
	return find_word(compressions, ARRAY_SIZE(compressions), text);
}

static int find_incremental(const char *text)
{
	return find_word(incrementals, ARRAY_SIZE(incrementals), text);
}

static int find_seal(const char *text)
{
	return find_word(seals, ARRAY_SIZE(seals), text);
}

static int check_seal(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);

	return find_seal(v) >= 0 ? 0
				 : complain(cfg, opt, v, "auto, slurm, all and none");
}

static int check_incremental(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);

	return find_incremental(v) >= 0
		       ? 0
		       : complain(cfg, opt, v, "auto, yes and no");
}

static int check_pause(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);

	return find_pause(v) >= 0 ? 0
				  : complain(cfg, opt, v, "auto, stop and pin");
}

static int check_compression(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);

	return find_compression(v) >= 0
		       ? 0
		       : complain(cfg, opt, v, "auto, none, lz4 and zstd");
}

/* A user name or a number. */
static int find_uid(const char *name, uid_t *ret)
{
	struct passwd entry, *found = NULL;
	uint64_t v;
	char text[16384];

	if (parse_u64(name, UINT32_MAX - 1, &v) == 0) {
		*ret = (uid_t)v;
		return 0;
	}
	if (getpwnam_r(name, &entry, text, sizeof(text), &found) || !found)
		return -ENOENT;
	*ret = entry.pw_uid;
	return 0;
}

static int copy(char **ret, const char *text, struct err *err)
{
	*ret = NULL;
	if (!text || !*text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : err_num(err, ENOMEM, "configuration");
}

static int take_node(struct conf *conf, const char *text, struct err *err)
{
	char host[256] = "";

	if (!text || !*text) {
		gethostname(host, sizeof(host) - 1);
		host[strcspn(host, ".")] = '\0';
		text = *host ? host : "localhost";
	}
	return copy(&conf->node, text, err);
}

static int take_users(struct conf *conf, cfg_t *cfg, struct err *err)
{
	unsigned int i, n = cfg_size(cfg, "Operators");
	const char *slurm = cfg_getstr(cfg, "SlurmUser");

	conf->operators = calloc(n + 1, sizeof(uid_t));
	if (!conf->operators)
		return err_num(err, ENOMEM, "configuration");
	for (i = 0; i < n; i++) {
		const char *name = cfg_getnstr(cfg, "Operators", i);

		if (find_uid(name, &conf->operators[i]) < 0)
			return err_set(err, -EINVAL,
				       "Operators: no user \"%s\"", name);
		conf->noperators++;
	}
	/* The default need not exist where there is no Slurm. */
	if (find_uid(slurm, &conf->slurm_uid) < 0) {
		if (strcmp(slurm, "slurm") != 0)
			return err_set(err, -EINVAL,
				       "SlurmUser: no user \"%s\"", slurm);
		conf->slurm_uid = 0;
	}
	return 0;
}

/* A list that ends with NULL. */
static int take_paths(char ***ret, cfg_t *cfg, const char *name,
		      struct err *err)
{
	unsigned int i, n = cfg_size(cfg, name);
	int r;

	*ret = calloc(n + 1, sizeof(char *));
	if (!*ret)
		return err_num(err, ENOMEM, "configuration");
	for (i = 0; i < n; i++) {
		r = copy(&(*ret)[i], cfg_getnstr(cfg, name, i), err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "0", and times as users give them. */
static int parse_keep(const char *text, uint32_t *ret)
{
	*ret = 0;
	return strcmp(text, "0") == 0 ? 0 : parse_duration(text, ret);
}

static int check_keep(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);
	uint32_t unused;

	return v && parse_keep(v, &unused) == 0
		       ? 0
		       : complain(cfg, opt, v, "0 and times like 12h or 30d");
}

/* "4096", "64K", "1G": bytes. */
static int parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	char digits[24];
	size_t len = strlen(text);
	const char *unit;
	unsigned int shift = 0;
	uint64_t v;

	if (len == 0 || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len + 1);
	unit = strchr(units, digits[len - 1]);
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		digits[len - 1] = '\0';
	}
	if (parse_u64(digits, (uint64_t)INT64_MAX >> shift, &v) < 0)
		return -EINVAL;
	*ret = v << shift;
	return 0;
}

static int check_size(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);
	uint64_t unused;

	if (v && parse_size(v, &unused) == 0)
		return 0;
	cfg_error(cfg, "%s is \"%s\": allowed are 0 and sizes like 64M or 1G",
		  opt->name, v ? v : "");
	return -1;
}

static int check_bandwidth(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);
	uint64_t rate;

	if (v && parse_size(v, &rate) == 0 &&
	    (!rate || rate >= CONF_BANDWIDTH_MIN))
		return 0;
	cfg_error(cfg, "%s is \"%s\": allowed are 0 and from 1M on", opt->name,
		  v ? v : "");
	return -1;
}

static int check_buffers(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *v = cfg_opt_getnstr(opt, 0);
	uint64_t bytes;

	if (v && parse_size(v, &bytes) == 0 && bytes >= CONF_BUFFERS_MIN &&
	    bytes <= CONF_BUFFERS_MAX)
		return 0;
	cfg_error(cfg, "%s is \"%s\": allowed are 32M to 1G", opt->name,
		  v ? v : "");
	return -1;
}

/* They have been checked. */
static void take_keeps(struct conf *conf, cfg_t *cfg)
{
	(void)parse_keep(cfg_getstr(cfg, "KeepCompleted"),
			 &conf->keep_completed_s);
	(void)parse_keep(cfg_getstr(cfg, "KeepEnded"), &conf->keep_ended_s);
	(void)parse_keep(cfg_getstr(cfg, "KeepUnknown"), &conf->keep_unknown_s);
	(void)parse_keep(cfg_getstr(cfg, "SweepInterval"),
			 &conf->sweep_interval_s);
	(void)parse_size(cfg_getstr(cfg, "KeepOutput"), &conf->keep_output);
	(void)parse_size(cfg_getstr(cfg, "LocalFileSize"), &conf->local_bytes);
	(void)parse_size(cfg_getstr(cfg, "PrivateDirSize"),
			 &conf->private_bytes);
	(void)parse_size(cfg_getstr(cfg, "MaxBandwidth"), &conf->max_bandwidth);
	(void)parse_size(cfg_getstr(cfg, "BufferMemory"), &conf->buffer_memory);
}

/* They have been checked. */
static void take_intervals(struct conf *conf, cfg_t *cfg)
{
	(void)parse_interval(cfg_getstr(cfg, "Interval"),
			     &conf->snapshot_interval_s);
	(void)parse_interval(cfg_getstr(cfg, "WindowInterval"),
			     &conf->window_interval_s);
	(void)parse_duration(cfg_getstr(cfg, "MTBF"), &conf->mtbf_s);
	conf->max_writers = (unsigned int)cfg_getint(cfg, "MaxWriters");
}

static int take(struct conf *conf, cfg_t *cfg, struct err *err)
{
	const char *libexec = getenv("JOBCR_LIBEXEC");
	int r;

	conf->port = (uint16_t)cfg_getint(cfg, "Port");
	conf->keep = (unsigned int)cfg_getint(cfg, "Keep");
	conf->readers = (unsigned int)cfg_getint(cfg, "Readers");
	conf->stripes = (unsigned int)cfg_getint(cfg, "Stripes");
	conf->timeout_s = (unsigned int)cfg_getint(cfg, "Timeout");
	conf->interval_s = (unsigned int)cfg_getint(cfg, "SlurmInterval");
	conf->lease_s = (unsigned int)cfg_getint(cfg, "LeaseTime");
	conf->requeued_s = (unsigned int)cfg_getint(cfg, "RequeuedInterval");
	conf->restore_limit = (unsigned int)cfg_getint(cfg, "RestoreLimit");
	conf->restore_guard_s = (unsigned int)cfg_getint(cfg, "RestoreGuard");
	conf->on_restore_failure = (enum conf_failure)find_failure(
		cfg_getstr(cfg, "OnRestoreFailure"));
	conf->job_comment = cfg_getbool(cfg, "JobComment");
	conf->drain_jobs = (unsigned int)cfg_getint(cfg, "DrainJobs");
	conf->direct_io = cfg_getbool(cfg, "DirectIO");
	conf->private_ipc = cfg_getbool(cfg, "PrivateIPC");
	conf->pause = (enum conf_pause)find_pause(cfg_getstr(cfg, "PauseMode"));
	conf->compression = (enum conf_compression)find_compression(
		cfg_getstr(cfg, "Compression"));
	conf->incremental = (enum conf_incremental)find_incremental(
		cfg_getstr(cfg, "Incremental"));
	conf->seal = (enum conf_seal)find_seal(cfg_getstr(cfg, "Seal"));
	take_intervals(conf, cfg);
	take_keeps(conf, cfg);
	conf->metrics_interval_s =
		(unsigned int)cfg_getint(cfg, "MetricsInterval");
	r = copy(&conf->cluster, cfg_getstr(cfg, "ClusterName"), err);
	if (r == 0)
		r = copy(&conf->store_dir, cfg_getstr(cfg, "StoreDir"), err);
	if (r == 0)
		r = copy(&conf->fast_dir, cfg_getstr(cfg, "FastDir"), err);
	if (r == 0)
		r = copy(&conf->run_dir, cfg_getstr(cfg, "RunDir"), err);
	if (r == 0)
		r = copy(&conf->munge_socket, cfg_getstr(cfg, "MungeSocket"),
			 err);
	if (r == 0)
		r = copy(&conf->metrics_file, cfg_getstr(cfg, "MetricsFile"),
			 err);
	if (r == 0)
		r = copy(&conf->libexec,
			 libexec && *libexec ? libexec : JOBCR_LIBEXECDIR, err);
	if (r == 0)
		r = take_node(conf, cfg_getstr(cfg, "NodeName"), err);
	if (r == 0)
		r = take_users(conf, cfg, err);
	if (r == 0)
		r = take_paths(&conf->carry, cfg, "CarryFiles", err);
	if (r == 0)
		r = take_paths(&conf->local, cfg, "LocalDirs", err);
	if (r == 0)
		r = take_paths(&conf->closed, cfg, "ClosedSockets", err);
	if (r == 0 && (!conf->cluster || !conf->store_dir || !conf->run_dir))
		r = err_set(err, -EINVAL,
			    "ClusterName, StoreDir and RunDir may not be "
			    "empty");
	return r;
}

static int parse(cfg_t *cfg, const char *path, bool optional, struct err *err)
{
	int r;

	if (optional && access(path, F_OK) < 0 && errno == ENOENT)
		path = "/dev/null";
	r = cfg_parse(cfg, path);
	if (r == CFG_SUCCESS)
		return 0;
	if (r == CFG_FILE_ERROR)
		return err_sys(err, "%s", path);
	return err->code ? err->code
			 : err_set(err, -EINVAL, "%s: cannot be read", path);
}

static void set_checks(cfg_t *cfg)
{
	static const char *const numbers[] = {
		"MetricsInterval", "Port",         "Keep",
		"Readers",         "Timeout",      "SlurmInterval",
		"MaxWriters",      "RestoreLimit", "RestoreGuard",
		"DrainJobs",       "LeaseTime",    "RequeuedInterval",
		"Stripes",
	};
	static const char *const keeps[] = { "KeepCompleted", "KeepEnded",
					     "KeepUnknown", "SweepInterval" };
	static const char *const paths[] = { "StoreDir",    "RunDir",
					     "MungeSocket", "CarryFiles",
					     "LocalDirs",   "ClosedSockets",
					     "MetricsFile", "FastDir" };
	size_t i;

	cfg_set_error_function(cfg, note_error);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		cfg_set_validate_func(cfg, numbers[i], check_range);
	for (i = 0; i < ARRAY_SIZE(paths); i++)
		cfg_set_validate_func(cfg, paths[i], check_absolute);
	for (i = 0; i < ARRAY_SIZE(keeps); i++)
		cfg_set_validate_func(cfg, keeps[i], check_keep);
	cfg_set_validate_func(cfg, "KeepOutput", check_size);
	cfg_set_validate_func(cfg, "LocalFileSize", check_size);
	cfg_set_validate_func(cfg, "PrivateDirSize", check_size);
	cfg_set_validate_func(cfg, "MaxBandwidth", check_bandwidth);
	cfg_set_validate_func(cfg, "BufferMemory", check_buffers);
	cfg_set_validate_func(cfg, "Interval", check_interval);
	cfg_set_validate_func(cfg, "WindowInterval", check_interval);
	cfg_set_validate_func(cfg, "MTBF", check_time);
	cfg_set_validate_func(cfg, "OnRestoreFailure", check_failure);
	cfg_set_validate_func(cfg, "ClusterName", check_name);
	cfg_set_validate_func(cfg, "NodeName", check_name);
	cfg_set_validate_func(cfg, "PauseMode", check_pause);
	cfg_set_validate_func(cfg, "Compression", check_compression);
	cfg_set_validate_func(cfg, "Incremental", check_incremental);
	cfg_set_validate_func(cfg, "Seal", check_seal);
}

/* given NULL: the usual place, where there may be none. */
static int read_file(struct conf *conf, cfg_t *cfg, const char *given,
		     struct err *err)
{
	int r;

	err->code = 0;
	conf_error = err;
	set_checks(cfg);
	r = parse(cfg, given ? given : DEFAULT_PATH, !given, err);
	conf_error = NULL;
	if (r == 0)
		r = copy(&conf->path, given ? given : DEFAULT_PATH, err);
	if (r < 0)
		return r;
	r = take(conf, cfg, err);
	return r < 0 ? err_wrap(err, r, "%s", conf->path) : 0;
}

int conf_load(const char *path, struct conf **ret, struct err *err)
{
	char empty[] = "{}", scratch[] = "{\"/tmp\", \"/var/tmp\"}";
	cfg_opt_t opts[] = {
		CFG_STR("ClusterName", "cluster", CFGF_NONE),
		CFG_STR("NodeName", "", CFGF_NONE),
		CFG_STR("StoreDir", JOBCR_LOCALSTATEDIR "/lib/jobcr",
			CFGF_NONE),
		CFG_STR("FastDir", "", CFGF_NONE),
		CFG_STR("RunDir", "/run/jobcr", CFGF_NONE),
		CFG_STR("MungeSocket", "", CFGF_NONE),
		CFG_STR("SlurmUser", "slurm", CFGF_NONE),
		CFG_STR_LIST("Operators", empty, CFGF_NONE),
		CFG_STR_LIST("CarryFiles", empty, CFGF_NONE),
		CFG_STR_LIST("LocalDirs", scratch, CFGF_NONE),
		CFG_STR_LIST("ClosedSockets", empty, CFGF_NONE),
		CFG_STR("LocalFileSize", "16G", CFGF_NONE),
		CFG_STR("PrivateDirSize", "16G", CFGF_NONE),
		CFG_INT("Port", CONF_DEFAULT_PORT, CFGF_NONE),
		CFG_INT("Keep", 2, CFGF_NONE),
		CFG_INT("Readers", 0, CFGF_NONE),
		CFG_INT("Stripes", 1, CFGF_NONE),
		CFG_INT("Timeout", 3600, CFGF_NONE),
		CFG_INT("SlurmInterval", 1, CFGF_NONE),
		CFG_STR("Interval", "0", CFGF_NONE),
		CFG_STR("WindowInterval", "auto", CFGF_NONE),
		CFG_STR("MTBF", "30d", CFGF_NONE),
		CFG_INT("MaxWriters", 0, CFGF_NONE),
		CFG_STR("MaxBandwidth", "0", CFGF_NONE),
		CFG_STR("BufferMemory", "64M", CFGF_NONE),
		CFG_INT("RestoreLimit", 5, CFGF_NONE),
		CFG_INT("RestoreGuard", 5, CFGF_NONE),
		CFG_STR("OnRestoreFailure", "hold", CFGF_NONE),
		CFG_BOOL("JobComment", cfg_true, CFGF_NONE),
		CFG_STR("KeepCompleted", "0", CFGF_NONE),
		CFG_STR("KeepEnded", "1d", CFGF_NONE),
		CFG_STR("KeepUnknown", "30d", CFGF_NONE),
		CFG_STR("KeepOutput", "1G", CFGF_NONE),
		CFG_STR("SweepInterval", "1h", CFGF_NONE),
		CFG_STR("MetricsFile", "", CFGF_NONE),
		CFG_INT("MetricsInterval", 15, CFGF_NONE),
		CFG_INT("DrainJobs", 4, CFGF_NONE),
		CFG_INT("LeaseTime", 30, CFGF_NONE),
		CFG_INT("RequeuedInterval", 10, CFGF_NONE),
		CFG_BOOL("DirectIO", cfg_true, CFGF_NONE),
		CFG_STR("PauseMode", "auto", CFGF_NONE),
		CFG_STR("Compression", "auto", CFGF_NONE),
		CFG_STR("Seal", "auto", CFGF_NONE),
		CFG_STR("Incremental", "no", CFGF_NONE),
		CFG_BOOL("PrivateIPC", cfg_true, CFGF_NONE),
		CFG_END(),
	};
	const char *given = path ? path : getenv("JOBCR_CONF");
	struct conf *conf = calloc(1, sizeof(*conf));
	cfg_t *cfg = cfg_init(opts, CFGF_NOCASE);
	int r;

	if (!conf || !cfg) {
		free(conf);
		return err_num(err, ENOMEM, "configuration");
	}
	r = read_file(conf, cfg, given && *given ? given : NULL, err);
	cfg_free(cfg);
	if (r < 0) {
		conf_free(conf);
		return r;
	}
	*ret = conf;
	return 0;
}

static void free_paths(char **paths)
{
	for (char **p = paths; p && *p; p++)
		free(*p);
	free(paths);
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	free_paths(conf->carry);
	free_paths(conf->closed);
	free_paths(conf->local);
	free(conf->operators);
	free(conf->path);
	free(conf->cluster);
	free(conf->node);
	free(conf->store_dir);
	free(conf->fast_dir);
	free(conf->run_dir);
	free(conf->munge_socket);
	free(conf->libexec);
	free(conf->metrics_file);
	free(conf);
}
