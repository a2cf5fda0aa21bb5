/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "operation/launch.h"
#include "wire/auth.h"
#include "wire/record.h"

/*
 * Its socket goes while it is restarted: what is saved in that moment would
 * have no seal, and never be restored.
 */
static bool has_munged(const struct conf *conf)
{
	struct record_munged munged;
	struct err unused;

	if (record_read(conf->run_dir, NULL, RECORD_MUNGED, &munged,
			sizeof(munged), &unused) == 0)
		return true;
	if (!auth_socket_there(conf->munge_socket))
		return false;
	(void)record_write(conf->run_dir, NULL, RECORD_MUNGED, &munged,
			   sizeof(munged), &unused);
	return true;
}

bool launch_seals(const struct conf *conf, const char *cluster)
{
	const bool slurm = strcmp(cluster, LOCAL_CLUSTER) != 0;

	return conf->seal == CONF_SEAL_ALL ||
	       (conf->seal != CONF_SEAL_NONE && slurm) ||
	       (conf->seal == CONF_SEAL_AUTO && has_munged(conf));
}
