/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operation/parts.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/control.h"
#include "wire/record.h"

/* Field 22 of stat(5); the second may hold anything, up to the last ")". */
uint64_t lease_process_start(pid_t pid)
{
	auto_free char *text = NULL;
	struct err unused;
	unsigned long long start = 0;
	char path[32], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file_at(AT_FDCWD, path, 4096, &text, NULL, &unused) < 0)
		return 0;
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1,
			 " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u "
			 "%*u %*d %*d %*d %*d %*d %*d %llu",
			 &start) != 1)
		return 0;
	return start;
}

bool lease_left_over(const char *run_dir, const char *job_id, uint32_t epoch)
{
	struct record_lease rec;
	struct control_info info;
	struct err unused;

	if (record_read(run_dir, job_id, RECORD_LEASE, &rec, sizeof(rec),
			&unused) == 0)
		return rec.epoch <= epoch &&
		       lease_process_start(rec.init_pid) == rec.init_start;
	/* Begun this moment, or before there were leases. */
	return control_read_info(run_dir, job_id, &info, &unused) == 0 &&
	       info.state != CONTROL_RESTORING && info.state != CONTROL_ENDED;
}

int operation_lease(const struct operation *op, struct err *err)
{
	const Request *req = op->req;
	Reply reply = REPLY__INIT;

	if (op->caller->uid != 0)
		return err_set(err, -EACCES, "leases are between jobcrds");
	reply.has_left_over = 1;
	reply.left_over =
		lease_left_over(op->conf->run_dir, req->job_id,
				req->has_epoch ? req->epoch : UINT32_MAX);
	return op->reply(op->arg, &reply);
}
