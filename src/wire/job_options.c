/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/job_options.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/file_policy.h"
#include "util/io.h"
#include "wire/isa.h"

int parse_duration(const char *text, uint32_t *ret)
{
	static const struct {
		char unit;
		uint32_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t len = strlen(text), i;
	uint32_t factor = 1;
	char digits[16];
	uint64_t v;

	if (len == 0 || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len + 1);
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (digits[len - 1] != units[i].unit)
			continue;
		factor = units[i].seconds;
		digits[len - 1] = '\0';
		break;
	}
	if (parse_u64(digits, (UINT32_MAX - 1) / factor, &v) < 0 || v == 0)
		return -EINVAL;
	*ret = (uint32_t)v * factor;
	return 0;
}

/* sigabbrev_np(3) knows no real-time signals. */
static int parse_realtime(const char *text, uint32_t *ret)
{
	uint64_t v = 0;

	if (strncmp(text, "RTMIN", 5) == 0 &&
	    (!text[5] ||
	     (text[5] == '+' && parse_u64(text + 6, 30, &v) == 0))) {
		*ret = (uint32_t)SIGRTMIN + (uint32_t)v;
		return 0;
	}
	if (strncmp(text, "RTMAX", 5) == 0 &&
	    (!text[5] ||
	     (text[5] == '-' && parse_u64(text + 6, 30, &v) == 0))) {
		*ret = (uint32_t)SIGRTMAX - (uint32_t)v;
		return 0;
	}
	return -EINVAL;
}

int parse_signal(const char *text, uint32_t *ret)
{
	uint64_t v;
	int nr;

	if (parse_u64(text, 64, &v) == 0) {
		*ret = (uint32_t)v;
		return v ? 0 : -EINVAL;
	}
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	for (nr = 1; nr < 32; nr++) {
		const char *name = sigabbrev_np(nr);

		if (!name || strcmp(name, text) != 0)
			continue;
		*ret = (uint32_t)nr;
		return 0;
	}
	return parse_realtime(text, ret);
}

/* "USR1@30", the seconds as --signal of sbatch has them. */
static int set_signal(struct job_options *o, const char *value)
{
	const char *at = strchr(value, '@');
	char name[16];
	size_t len = at ? (size_t)(at - value) : strlen(value);

	if (len >= sizeof(name))
		return -EINVAL;
	memcpy(name, value, len);
	name[len] = '\0';
	o->signal_s = 0;
	if (parse_signal(name, &o->signal) < 0 || o->signal == SIGKILL ||
	    o->signal == SIGSTOP)
		return -EINVAL;
	return at ? parse_duration(at + 1, &o->signal_s) : 0;
}

static int set_ipc(struct job_options *o, const char *value)
{
	if (strcmp(value, "private") == 0)
		o->ipc = JOB_IPC_PRIVATE;
	else if (strcmp(value, "host") == 0)
		o->ipc = JOB_IPC_HOST;
	else
		return -EINVAL;
	return 0;
}

static int set_peers(struct job_options *o, const char *value)
{
	if (strcmp(value, "refuse") == 0)
		o->peers = JOB_PEERS_REFUSE;
	else if (strcmp(value, "reset") == 0)
		o->peers = JOB_PEERS_RESET;
	else
		return -EINVAL;
	return 0;
}

int job_options_set(struct job_options *options, const char *key,
		    const char *value, struct err *err)
{
	if (strcmp(key, "interval") == 0) {
		if (strcmp(value, "auto") == 0)
			options->interval_s = JOB_INTERVAL_AUTO;
		else if (parse_duration(value, &options->interval_s) < 0)
			return err_set(err, -EINVAL,
				       "interval \"%.32s\": a time like 30m, "
				       "or auto",
				       value);
	} else if (strcmp(key, "timelimit") == 0) {
		if (parse_duration(value, &options->timelimit_s) < 0)
			return err_set(err, -EINVAL,
				       "timelimit \"%.32s\": a time like 5m",
				       value);
	} else if (strcmp(key, "signal") == 0) {
		if (set_signal(options, value) < 0)
			return err_set(err, -EINVAL,
				       "signal \"%.32s\": a signal and the "
				       "seconds before the cut, like USR1@30",
				       value);
	} else if (strcmp(key, "isa") == 0) {
		if (isa_parse(value, &options->isa) < 0)
			return err_set(err, -EINVAL,
				       "isa \"%.32s\": x86-64-v2, x86-64-v3 or "
				       "x86-64-v4",
				       value);
	} else if (strcmp(key, "files") == 0) {
		options->files = file_policy_parse(value);
		if (options->files == FILES_POLICIES)
			return err_set(err, -EINVAL,
				       "files \"%.32s\": rollback, keep or "
				       "refuse",
				       value);
	} else if (strcmp(key, "ipc") == 0) {
		if (set_ipc(options, value) < 0)
			return err_set(err, -EINVAL,
				       "ipc \"%.32s\": private or host", value);
	} else if (strcmp(key, "peers") == 0) {
		if (set_peers(options, value) < 0)
			return err_set(err, -EINVAL,
				       "peers \"%.32s\": refuse or reset",
				       value);
	} else {
		return err_set(err, -EINVAL,
			       "\"%.32s\": only interval, timelimit, signal, "
			       "isa, files, ipc and peers are known",
			       key);
	}
	return 0;
}

int job_options_parse(const char *text, struct job_options *ret,
		      struct err *err)
{
	struct job_options o = { 0 };
	char copy[JOB_OPTIONS_TEXT], *rest = copy, *word;

	if (strlen(text) >= sizeof(copy))
		return err_set(err, -EINVAL, "options: longer than %zu",
			       sizeof(copy) - 1);
	strcpy(copy, text);
	while (*text && (word = strsep(&rest, ","))) {
		char *value = strchr(word, '=');
		int r;

		if (!value)
			return err_set(err, -EINVAL, "\"%.32s\" has no value",
				       word);
		*value++ = '\0';
		r = job_options_set(&o, word, value, err);
		if (r < 0)
			return r;
	}
	*ret = o;
	return 0;
}

void job_options_format(const struct job_options *options,
			char ret[JOB_OPTIONS_TEXT])
{
	size_t n = 0;

	ret[0] = '\0';
	if (options->interval_s == JOB_INTERVAL_AUTO)
		n += (size_t)snprintf(ret, JOB_OPTIONS_TEXT, ",interval=auto");
	else if (options->interval_s)
		n += (size_t)snprintf(ret, JOB_OPTIONS_TEXT, ",interval=%u",
				      options->interval_s);
	if (options->timelimit_s)
		n += (size_t)snprintf(ret + n, JOB_OPTIONS_TEXT - n,
				      ",timelimit=%u", options->timelimit_s);
	if (options->signal && options->signal_s)
		n += (size_t)snprintf(ret + n, JOB_OPTIONS_TEXT - n,
				      ",signal=%u@%u", options->signal,
				      options->signal_s);
	else if (options->signal)
		n += (size_t)snprintf(ret + n, JOB_OPTIONS_TEXT - n,
				      ",signal=%u", options->signal);
	if (options->isa)
		n += (size_t)snprintf(ret + n, JOB_OPTIONS_TEXT - n,
				      ",isa=x86-64-v%u", options->isa);
	if (options->files)
		n += (size_t)snprintf(ret + n, JOB_OPTIONS_TEXT - n,
				      ",files=%s",
				      file_policy_name(options->files));
	if (options->ipc)
		n += (size_t)snprintf(ret + n, JOB_OPTIONS_TEXT - n, ",ipc=%s",
				      options->ipc == JOB_IPC_HOST ? "host"
								   : "private");
	if (options->peers == JOB_PEERS_RESET)
		n += (size_t)snprintf(ret + n, JOB_OPTIONS_TEXT - n,
				      ",peers=reset");
	if (n)
		memmove(ret, ret + 1, n);
}
