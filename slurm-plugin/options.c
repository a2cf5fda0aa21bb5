/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <string.h>

#define RUN_DIR "/run/jobcr"

/*
 * SPANK calls back without any argument of ours, and srun has no other way to
 * learn of an option it inherited: hence this one flag.
 */
static bool seen;

static int note_option(int value, const char *argument, int remote)
{
	(void)value;
	(void)argument;
	(void)remote;
	seen = true;
	return 0;
}

static struct spank_option *the_option(void)
{
	static char name[] = "jobcr";
	static char usage[] = "Checkpoint the job when it is preempted and "
			      "let it go on where it was, on any node.";
	static struct spank_option option = {
		.name = name,
		.usage = usage,
		.cb = note_option,
	};

	return &option;
}

static const char *value_of(const char *word, const char *key)
{
	size_t n = strlen(key);

	return strncmp(word, key, n) == 0 && word[n] == '=' ? word + n + 1
							    : NULL;
}

void options_parse(int argc, char **argv, struct options *ret)
{
	const char *value;
	int i;

	ret->run_dir = RUN_DIR;
	ret->libexec = JOBCR_LIBEXECDIR;
	for (i = 0; i < argc; i++) {
		value = value_of(argv[i], "run_dir");
		if (value) {
			ret->run_dir = value;
			continue;
		}
		value = value_of(argv[i], "libexec");
		if (value)
			ret->libexec = value;
		else
			slurm_error("jobcr: plugstack.conf: %s: only run_dir="
				    "DIR and libexec=DIR are known",
				    argv[i]);
	}
}

void options_register(spank_t spank)
{
	if (spank_option_register(spank, the_option()) != ESPANK_SUCCESS)
		slurm_error("jobcr: --jobcr could not be registered");
}

bool options_wanted(spank_t spank)
{
	char *argument = NULL;

	return seen || spank_option_getopt(spank, the_option(), &argument) ==
			       ESPANK_SUCCESS;
}
