/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inject/passage.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define SELECTOR_ALLOW 0 /* SYSCALL_DISPATCH_FILTER_ALLOW */

bool dispatch_selected(const struct dispatch *d, pid_t pid)
{
	uint8_t byte = !SELECTOR_ALLOW;
	struct iovec here = { &byte, sizeof(byte) };
	struct iovec there = { (void *)(uintptr_t)d->selector, sizeof(byte) };

	return d->on && d->selector &&
	       process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof(byte) &&
	       byte == SELECTOR_ALLOW;
}

int passage_read(struct passage *ret, pid_t pid, struct tracee *t,
		 uint64_t call_ip, uint64_t back_ip, struct err *err)
{
	struct passage p = { .call_ip = call_ip, .back_ip = back_ip };
	int r;

	r = tracee_get_dispatch(t, &p.dispatch, err);
	r = r < 0 ? r : filters_read(t, &p.filters, err);
	if (r < 0)
		return r;
	p.selected = dispatch_selected(&p.dispatch, pid);
	*ret = p;
	return 0;
}

void passage_done(struct passage *p)
{
	filters_done(&p->filters);
}

static int refuse(const char *name, struct err *err)
{
	return err_set(err, -ENOTSUP,
		       "its seccomp filter does not let %s pass, which a "
		       "checkpoint needs",
		       name);
}

bool passage_needs_selector(const struct passage *p)
{
	return !(dispatch_passes(&p->dispatch, p->call_ip) &&
		 dispatch_passes(&p->dispatch, p->back_ip));
}

int passage_leads_home(const struct passage *p, struct err *err)
{
	struct bpf_call back;

	if (passage_needs_selector(p) && !p->selected)
		return err_set(err, -ENOTSUP,
			       "its syscall user dispatch would catch calls "
			       "that a checkpoint needs");
	bpf_call_init(&back);
	bpf_call_set_nr(&back, SYS_rt_sigreturn);
	bpf_call_set_ip(&back, p->back_ip);
	if (filters_answers(&p->filters, &back) & ~(unsigned int)BPF_LETS)
		return refuse("rt_sigreturn", err);
	return filters_let_restart(&p->filters)
		       ? 0
		       : refuse("restart_syscall", err);
}

int passage_admits(const struct passage *p, const struct remote_ask *ask,
		   struct err *err)
{
	unsigned int good = BPF_LETS | (ask->must ? 0 : BPF_FAILS);
	struct bpf_call call;

	bpf_call_init(&call);
	bpf_call_set_nr(&call, ask->nr);
	bpf_call_set_ip(&call, p->call_ip);
	for (unsigned int i = 0; i < ask->known; i++)
		bpf_call_set_arg(&call, i, ask->args[i]);
	return filters_answers(&p->filters, &call) & ~good
		       ? refuse(ask->name, err)
		       : 0;
}
