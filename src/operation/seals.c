/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "operation/launch.h"
#include "wire/auth.h"

bool launch_seals(const struct conf *conf, const char *cluster)
{
	const bool slurm = strcmp(cluster, LOCAL_CLUSTER) != 0;

	return conf->seal == CONF_SEAL_ALL ||
	       (conf->seal != CONF_SEAL_NONE && slurm) ||
	       (conf->seal == CONF_SEAL_AUTO &&
		auth_socket_there(conf->munge_socket));
}
