/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a job is that this node does not know: slurmctld does. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "util/io.h"

/* "key=value" on a line of its own. */
static bool take(const char *line, const char *key, char *ret, size_t room)
{
	size_t len = strlen(key);

	if (strncmp(line, key, len) != 0 || line[len] != '=')
		return false;
	snprintf(ret, room, "%.*s", (int)strcspn(line + len + 1, "\n"),
		 line + len + 1);
	return true;
}

int elsewhere_find(const struct cli *cli, const char *job_id,
		   struct elsewhere *ret)
{
	char command[4200], line[4096], uid[16] = "";
	uint64_t id, owner;
	FILE *f;

	memset(ret, 0, sizeof(*ret));
	if (parse_u64(job_id, UINT32_MAX, &id) < 0)
		return -1;
	snprintf(command, sizeof(command),
		 "exec '%s/jobcr-slurm' query %u 2>/dev/null",
		 cli->conf->libexec, (unsigned int)id);
	f = popen(command, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!take(line, "state", ret->state, sizeof(ret->state)) &&
		    !take(line, "nodes", ret->node, sizeof(ret->node)))
			(void)take(line, "uid", uid, sizeof(uid));
	if (pclose(f) != 0 || parse_u64(uid, UINT32_MAX, &owner) < 0)
		return -1;
	ret->uid = (uid_t)owner;
	/* Several nodes: none of them has all of it. */
	if (strpbrk(ret->node, ",["))
		*ret->node = '\0';
	return 0;
}
