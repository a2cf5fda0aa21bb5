// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "kernel/proc.h"
#include "util/cleanup.h"
#include "util/io.h"

#define STATUS_TEXT_MAX (1u << 20)

static int parse(const char *word, uint64_t *ret)
{
	if (!strcmp(word, "unlimited")) {
		*ret = RLIM64_INFINITY;
		return 0;
	}
	return parse_u64(word, UINT64_MAX, ret);
}

int limits_text(const char *text, const char *name, uint64_t *ret_soft,
		uint64_t *ret_hard, struct err *err)
{
	const char *line = strstr(text, name);
	char soft[24], hard[24];

	if (!line ||
	    sscanf(line + strlen(name), "%23s %23s", soft, hard) != 2 ||
	    parse(soft, ret_soft) < 0 || parse(hard, ret_hard) < 0)
		return err_set(err, -EIO, "/proc/PID/limits: no \"%s\"", name);
	return 0;
}

int limits_hard(int proc_fd, const char *name, uint64_t *ret, struct err *err)
{
	auto_free char *text = NULL;
	uint64_t soft;
	size_t len;
	int r = read_file_at(proc_fd, "limits", LIMITS_TEXT_MAX, &text, &len,
			     err);

	return r < 0 ? r : limits_text(text, name, &soft, ret, err);
}

int limits_locked(int proc_fd, uint64_t *ret, struct err *err)
{
	auto_free char *text = NULL;
	uint64_t kib;
	size_t len;
	int r = read_file_at(proc_fd, "status", STATUS_TEXT_MAX, &text, &len,
			     err);

	if (r == 0)
		r = proc_text_u64(text, "VmLck", 10, &kib, err);
	if (r == 0)
		*ret = kib * 1024;
	return r;
}
