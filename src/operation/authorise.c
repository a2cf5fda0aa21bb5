/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "operation/operation.h"

int operation_authorise(const struct conf *conf, const struct caller *caller,
			uid_t owner, const char *job_id, struct err *err)
{
	size_t i;

	if (caller->uid == 0 || caller->uid == owner)
		return 0;
	if (conf->slurm_uid && caller->uid == conf->slurm_uid)
		return 0;
	for (i = 0; i < conf->noperators; i++)
		if (conf->operators[i] == caller->uid)
			return 0;
	return err_set(err, -EACCES,
		       "job %s is another user's: uid %u is neither its "
		       "owner, root nor one of Operators in jobcr.conf",
		       job_id, caller->uid);
}

int operation_check_root(const struct caller *caller, uid_t owner,
			 const char *what, struct err *err)
{
	if (owner || caller->uid == 0)
		return 0;
	return err_set(err, -EACCES, "%s is root's: only root may", what);
}

int operation_exit_status(int result)
{
	switch (-result) {
	case 0:
		return STATUS_OK;
	case ENOTSUP:
		return STATUS_REFUSED;
	case ENOENT:
	case ESRCH:
		return STATUS_NOT_FOUND;
	case EBADMSG:
	case ENODATA:
	case EKEYREJECTED:
		return STATUS_DAMAGED;
	case EACCES:
	case ENOKEY:
	case EPERM:
		return STATUS_NOT_ALLOWED;
	case ECONNREFUSED:
	case EHOSTUNREACH:
		return STATUS_UNREACHABLE;
	case ETIMEDOUT:
		return STATUS_TIMED_OUT;
	default:
		return STATUS_FAILED;
	}
}

int operation_reply_error(const struct operation *op, int result,
			  const char *text)
{
	Reply reply = REPLY__INIT;

	reply.result = result;
	reply.text = (char *)text;
	return op->reply(op->arg, &reply);
}
