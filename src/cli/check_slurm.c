/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Slurm's configuration means for jobs that are to be preempted. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check.h"
#include "util/cleanup.h"
#include "util/io.h"

#define CONFIG_MAX (1u << 20)

/* "Key   = value" of `scontrol show config`; "" when there is none. */
static void value_of(const char *text, const char *key, char *ret, size_t room)
{
	size_t len = strlen(key);
	const char *p;

	*ret = '\0';
	for (p = text; p && *p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, key, len) != 0 || !strchr(" =", p[len]))
			continue;
		p += len;
		p += strspn(p, " =");
		snprintf(ret, room, "%.*s", (int)strcspn(p, "\n"), p);
		return;
	}
}

static char *read_config(void)
{
	FILE *f = popen("scontrol show config 2>/dev/null", "r");
	char *text = calloc(1, CONFIG_MAX);
	size_t len = f && text ? fread(text, 1, CONFIG_MAX - 1, f) : 0;

	if (f)
		pclose(f);
	if (len)
		return text;
	free(text);
	return NULL;
}

static void check_plugin(const char *config)
{
	auto_free char *text = NULL;
	struct err unused;
	char path[512], conf[400], *slash;

	value_of(config, "PlugStackConfig", path, sizeof(path));
	/* Not set: it is beside slurm.conf. */
	if (*path != '/') {
		value_of(config, "SLURM_CONF", conf, sizeof(conf));
		slash = strrchr(conf, '/');
		if (slash)
			*slash = '\0';
		snprintf(path, sizeof(path), "%s/plugstack.conf",
			 slash ? conf : "/etc/slurm");
	}
	if (read_file_at(AT_FDCWD, path, 65536, &text, NULL, &unused) == 0 &&
	    strstr(text, "spank_jobcr.so"))
		check_good("slurm: plugin", "named in %s", path);
	else
		check_note("slurm: plugin",
			   "%s does not name spank_jobcr.so, nor need it if "
			   "a file that it includes does: see spank_jobcr(8)",
			   path);
}

static void check_flags(const char *config)
{
	char flags[256], mode[128], wait[64];

	value_of(config, "PrologFlags", flags, sizeof(flags));
	value_of(config, "PreemptMode", mode, sizeof(mode));
	value_of(config, "KillWait", wait, sizeof(wait));
	if (strcasestr(flags, "contain"))
		check_good("slurm: PrologFlags", "%s", flags);
	else
		check_note("slurm: PrologFlags",
			   "without Contain a batch job's preemption is seen "
			   "by jobcrd's own look at slurmctld only: set it");
	if (strcasestr(mode, "REQUEUE"))
		check_good("slurm: PreemptMode", "%s", mode);
	else
		check_note("slurm: PreemptMode",
			   "%s: jobs are saved at a preemption where a "
			   "partition or QOS has REQUEUE",
			   *mode ? mode : "not set");
	check_good("slurm: KillWait",
		   "%s: with GraceTime, the time for a checkpoint",
		   *wait ? wait : "default");
}

void check_slurm(void)
{
	auto_free char *config = read_config();

	if (!config) {
		check_note("slurm", "scontrol tells nothing: no Slurm here, or "
				    "slurmctld is away; not needed for local "
				    "jobs");
		return;
	}
	check_plugin(config);
	check_flags(config);
}
