/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_PARTS_H
#define JOBCR_OPERATION_PARTS_H

#include "operation/operation.h"

/* One function per kind of request; each sends its last reply on success. */
int operation_list(const struct operation *op, struct err *err);
int operation_show(const struct operation *op, struct err *err);
int operation_wait(const struct operation *op, struct err *err);
int operation_kill(const struct operation *op, struct err *err);
int operation_start(const struct operation *op, struct err *err);
int operation_checkpoint(const struct operation *op, struct err *err);
int operation_restore(const struct operation *op, struct err *err);

#endif
