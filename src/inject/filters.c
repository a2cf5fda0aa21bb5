/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inject/filters.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "kernel/proc.h"
#include "util/cleanup.h"

struct metadata { /* struct seccomp_metadata */
	uint64_t filter, flags;
};

/* Anybody may see whether there are any. */
static bool has_none(pid_t tid)
{
	auto_close int proc_fd = -EBADF;
	struct proc_status status;
	struct err ignored;
	bool none;

	if (proc_open(tid, 0, &proc_fd, &ignored) < 0 ||
	    proc_read_status(proc_fd, &status, &ignored) < 0)
		return false;
	none = status.seccomp == 0;
	proc_status_done(&status);
	return none;
}

static long ask(int request, struct tracee *t, size_t n, void *data)
{
	return ptrace((enum __ptrace_request)request, t->tid, n, data);
}

/* 1: there is one, 0: there is no filter with this number. */
static int read_one(struct tracee *t, size_t n, struct filter *ret,
		    struct err *err)
{
	struct metadata about = { .filter = n };
	long len = ask(PTRACE_SECCOMP_GET_FILTER, t, n, NULL);

	int e = len < 0 ? errno : 0;

	/* The first when there is none at all, the second behind the last. */
	if (e == EINVAL || e == ENOENT || (e == EACCES && has_none(t->tid)))
		return 0;
	if (e == EACCES)
		return err_set(err, -EACCES,
			       "seccomp filters cannot be read: jobcr itself "
			       "runs under one, or without CAP_SYS_ADMIN");
	if (e)
		return err_num(err, e, "seccomp filter");
	ret->len = (size_t)len;
	ret->code = calloc(ret->len, sizeof(*ret->code));
	if (!ret->code)
		return err_num(err, ENOMEM, "seccomp filter");
	if (ask(PTRACE_SECCOMP_GET_FILTER, t, n, ret->code) < 0 ||
	    ask(PTRACE_SECCOMP_GET_METADATA, t, sizeof(about), &about) < 0)
		return err_sys(err, "seccomp filter");
	ret->log = about.flags & SECCOMP_FILTER_FLAG_LOG;
	return 1;
}

int filters_read(struct tracee *t, struct filters *ret, struct err *err)
{
	struct filters f = { 0 };
	int r;

	/* Number 0 is the one that was installed first. */
	do {
		struct filter one = { 0 }, *more;

		r = read_one(t, f.count, &one, err);
		if (r <= 0) {
			free(one.code);
			break;
		}
		more = reallocarray(f.list, f.count + 1, sizeof(*more));
		if (more) {
			f.list = more;
			f.list[f.count++] = one;
		} else {
			free(one.code);
			r = err_num(err, ENOMEM, "seccomp filters");
		}
	} while (r > 0);
	if (r < 0)
		filters_done(&f);
	else
		*ret = f;
	return r;
}

void filters_done(struct filters *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->list[i].code);
	free(f->list);
	*f = (struct filters){ 0 };
}

bool filter_same(const struct filter *a, const struct filter *b)
{
	return a->len == b->len && a->log == b->log &&
	       !memcmp(a->code, b->code, a->len * sizeof(*a->code));
}

size_t filters_common(const struct filters *a, const struct filters *b)
{
	size_t n = 0;

	while (n < a->count && n < b->count &&
	       filter_same(&a->list[n], &b->list[n]))
		n++;
	return n;
}

unsigned int filters_answers(const struct filters *f,
			     const struct bpf_call *call)
{
	unsigned int answers = 0;

	for (size_t i = 0; i < f->count; i++)
		answers |= bpf_answers(f->list[i].code, f->list[i].len, call);
	return answers;
}

bool filters_let_restart(const struct filters *f)
{
	struct bpf_call call;

	bpf_call_init(&call);
	bpf_call_set_nr(&call, SYS_restart_syscall);
	return !(filters_answers(f, &call) & ~(unsigned int)BPF_LETS);
}
