/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"

#define RUN_DIR "/run/jobcr"
/* Of an epilog for a snapshot: as long as jobcrd tries, by default. */
#define EPILOG_WAIT_S   3600
#define EPILOG_WAIT_MAX 604800

/* spank.h has no names for them. */
enum { ARGUMENT_NEEDED = 1, ARGUMENT_OPTIONAL = 2 };

enum { SWITCH, INTERVAL, TIMELIMIT, SIGNAL, ISA, FILES, IPC, PEERS, OPTIONS };

/* As job_options_set has them. */
static const char *const keys[OPTIONS] = {
	[INTERVAL] = "interval",
	[TIMELIMIT] = "timelimit",
	[SIGNAL] = "signal",
	[ISA] = "isa",
	[FILES] = "files",
	[IPC] = "ipc",
	[PEERS] = "peers",
};

/*
 * SPANK calls back without any argument of ours, and srun has no other way to
 * learn of an option it inherited: hence this.
 */
static struct {
	bool asked, off;
} seen;

/* Slurm sends the missing argument of an option as "(null)". */
static int parse_switch(const char *argument, bool *ret_off)
{
	if (!argument || !*argument || strcmp(argument, "(null)") == 0 ||
	    strcmp(argument, "on") == 0)
		*ret_off = false;
	else if (strcmp(argument, "off") == 0)
		*ret_off = true;
	else
		return -1;
	return 0;
}

/*
 * sbatch ends with an error when this one returns one.  Not so the launch,
 * which would end a job that may have a snapshot.
 */
static int note_option(int value, const char *argument, int remote)
{
	struct job_options scratch = { 0 };
	struct err err = { 0 };

	if (remote)
		return 0;
	seen.asked = true;
	if (value == SWITCH) {
		if (parse_switch(argument, &seen.off) == 0)
			return 0;
		slurm_error("jobcr: --jobcr=%s: on or off", argument);
		return -1;
	}
	if (job_options_set(&scratch, keys[value], argument ? argument : "",
			    &err) == 0)
		return 0;
	slurm_error("jobcr: --jobcr-%s", err.text);
	return -1;
}

/* SPANK wants them writable, and copies them. */
static struct spank_option *all_options(void)
{
	static char names[OPTIONS][20] = { "jobcr",           "jobcr-interval",
					   "jobcr-timelimit", "jobcr-signal",
					   "jobcr-isa", "jobcr-files",
					   "jobcr-ipc", "jobcr-peers" };
	static char arguments[OPTIONS][24] = { "on|off",
					       "TIME|auto",
					       "TIME",
					       "SIG[@TIME]",
					       "x86-64-vN",
					       "rollback|keep|refuse",
					       "private|host",
					       "refuse|reset" };
	static char usage[OPTIONS][120] = {
		"Checkpoint the job when it is preempted and let it go on "
		"where it was, on any node (off: not).",
		"A snapshot every so often too, for when its node fails.",
		"Snapshot and requeue so long before the time limit, to go "
		"on with a new one.",
		"Signal to the batch script so long before it is "
		"checkpointed to be ended.",
		"The job uses no more than this level of the CPU, and may go "
		"on where there is no more (2, 3 or 4).",
		"What a restore does with files that grew after the snapshot.",
		"Whose System V IPC and POSIX message queues the job sees: "
		"its own, or the node's.",
		"Whether connections to others keep it from being "
		"checkpointed, or are reset when it goes on elsewhere.",
	};
	static struct spank_option options[OPTIONS];
	int i;

	for (i = 0; i < OPTIONS; i++)
		options[i] = (struct spank_option){
			.name = names[i],
			.arginfo = arguments[i],
			.usage = usage[i],
			.has_arg = i == SWITCH ? ARGUMENT_OPTIONAL
					       : ARGUMENT_NEEDED,
			.val = i,
			.cb = note_option,
		};
	return options;
}

static const char *value_of(const char *word, const char *key)
{
	size_t n = strlen(key);

	return strncmp(word, key, n) == 0 && word[n] == '=' ? word + n + 1
							    : NULL;
}

static void parse_word(const char *word, struct options *ret)
{
	const char *value;
	uint64_t seconds;
	bool off;

	if ((value = value_of(word, "run_dir")))
		ret->run_dir = value;
	else if ((value = value_of(word, "libexec")))
		ret->libexec = value;
	else if ((value = value_of(word, "default")) && *value &&
		 parse_switch(value, &off) == 0)
		ret->by_default = !off;
	else if ((value = value_of(word, "ipc")) &&
		 (strcmp(value, "host") == 0 || strcmp(value, "private") == 0))
		ret->host_ipc = strcmp(value, "host") == 0;
	else if ((value = value_of(word, "epilog_wait")) &&
		 parse_u64(value, EPILOG_WAIT_MAX, &seconds) == 0)
		ret->epilog_wait_s = (unsigned int)seconds;
	else
		slurm_error("jobcr: plugstack.conf: %s: only run_dir=DIR, "
			    "libexec=DIR, epilog_wait=SECONDS, default=on or "
			    "off and ipc=private or host are known",
			    word);
}

void options_parse(int argc, char **argv, struct options *ret)
{
	int i;

	*ret = (struct options){ .run_dir = RUN_DIR,
				 .libexec = JOBCR_LIBEXECDIR,
				 .epilog_wait_s = EPILOG_WAIT_S };
	for (i = 0; i < argc; i++)
		parse_word(argv[i], ret);
}

void options_register(spank_t spank)
{
	struct spank_option *options = all_options();
	int i;

	for (i = 0; i < OPTIONS; i++)
		if (spank_option_register(spank, &options[i]) != ESPANK_SUCCESS)
			slurm_error("jobcr: --%s could not be registered",
				    options[i].name);
}

/* In a task: what sbatch was given, as Slurm kept it. */
static void read_remote(spank_t spank, struct wish *ret, bool *ret_off)
{
	struct spank_option *options = all_options();
	struct err err = { 0 };
	char *argument;
	int i;

	for (i = 0; i < OPTIONS; i++) {
		argument = NULL;
		if (spank_option_getopt(spank, &options[i], &argument) !=
		    ESPANK_SUCCESS)
			continue;
		ret->asked = true;
		if (i == SWITCH)
			(void)parse_switch(argument, ret_off);
		else if (job_options_set(&ret->options, keys[i],
					 argument ? argument : "", &err) < 0)
			slurm_error("jobcr: --jobcr-%s: not taken", err.text);
	}
}

void options_wish(spank_t spank, const struct options *conf, struct wish *ret)
{
	bool off = false;

	*ret = (struct wish){ .on = false };
	if (spank_context() == S_CTX_REMOTE) {
		read_remote(spank, ret, &off);
	} else {
		ret->asked = seen.asked;
		off = seen.off;
	}
	if (!ret->options.ipc && conf->host_ipc)
		ret->options.ipc = JOB_IPC_HOST;
	ret->on = !off && (ret->asked || conf->by_default);
	ret->asked = ret->on && ret->asked;
}
