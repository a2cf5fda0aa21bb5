/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine/building.h"
#include "util/cleanup.h"

static int init_member(struct building *b, size_t i, struct err *err)
{
	const struct family_member *m = &b->plan->family.members[i];
	const TaskRecord *rec = m->rec;
	struct puppet *p = &b->puppets[i];
	int r;

	if (rec && rec->state != TASK_RECORD__STATE__ZOMBIE)
		r = puppet_init(p, rec->pid, rec->tids, rec->n_tids, err);
	else
		r = puppet_init(p, m->ns_pid, &m->ns_pid, 1, err);
	if (r < 0)
		return r;
	p->helper = !rec;
	if (rec) {
		p->task.ns_ppid = rec->ppid;
		p->task.zombie = rec->state == TASK_RECORD__STATE__ZOMBIE;
	}
	return 0;
}

static int spawn(struct building *b, struct puppet *p, struct err *err)
{
	pid_t pid;
	int r;

	r = b->args->spawn(b->args->arg, p->task.ns_pid, &pid, err);
	if (r < 0)
		return err_wrap(err, r, "pid %d", p->task.ns_pid);
	return puppet_seize(p, pid, err);
}

/* Nobody is told when a helper ends: it has no exit signal. */
static int fork_member(struct building *b, const struct family_step *s,
		       struct err *err)
{
	const TaskRecord *rec = b->plan->family.members[s->who].rec;
	int r;

	r = inherit_before_fork(b, s->by, s->who, err);
	if (r == 0)
		r = puppet_fork(&b->puppets[s->by], rec ? rec->exit_signal : 0,
				&b->puppets[s->who], err);
	return r < 0 ? r : inherit_after_fork(b, s->by, s->who, err);
}

/*
 * The supervisor and init reap their children themselves; of others the
 * parent does it, else it would have a zombie that it never had.
 */
static int helper_leaves(struct building *b, uint32_t who, struct err *err)
{
	uint32_t parent = b->plan->family.members[who].parent;
	int64_t value;

	puppet_kill(&b->puppets[who]);
	if (parent == FAMILY_NOBODY)
		return 0;
	return puppet_call(&b->puppets[parent], "wait for a helper", &value,
			   err, __NR_wait4,
			   (uint64_t)b->puppets[who].task.ns_pid, 0, __WALL, 0,
			   0, 0);
}

static int do_step(struct building *b, const struct family_step *s,
		   struct err *err)
{
	struct puppet *p = &b->puppets[s->who];
	int64_t value;
	int r;

	switch (s->op) {
	case FAMILY_SPAWN:
		return spawn(b, p, err);
	case FAMILY_FORK:
		return fork_member(b, s, err);
	case FAMILY_SETSID:
		r = puppet_call(p, "setsid", &value, err, __NR_setsid, 0, 0, 0,
				0, 0, 0);
		return r < 0 ? r : terminal_take(b, p, err);
	case FAMILY_SETPGID:
		return puppet_call(p, "setpgid", &value, err, __NR_setpgid, 0,
				   (uint64_t)s->pgid, 0, 0, 0, 0);
	case FAMILY_LEAVE:
		return helper_leaves(b, s->who, err);
	}
	return err_set(err, -EINVAL, "step %d", (int)s->op);
}

/* Trust, but look: a wrong session shows days later, if at all. */
static int check_ids(const struct puppet *p, const TaskRecord *rec,
		     struct err *err)
{
	struct proc_status st = { 0 };
	auto_close int proc = -EBADF;
	int r;

	r = proc_open(p->task.pid, 0, &proc, err);
	if (r == 0)
		r = proc_read_status(proc, &st, err);
	if (r < 0)
		return err_wrap(err, r, "pid %d", rec->pid);
	if (st.ns_tgid != rec->pid || st.ns_pgid != rec->pgid ||
	    st.ns_sid != rec->sid)
		r = err_set(err, -EIO,
			    "pid %d: became pid %d in group %d of session %d "
			    "instead of group %d of session %d",
			    rec->pid, st.ns_tgid, st.ns_pgid, st.ns_sid,
			    rec->pgid, rec->sid);
	proc_status_done(&st);
	return r;
}

int build_tree(struct building *b, struct err *err)
{
	const struct family *family = &b->plan->family;
	int r = 0;

	for (size_t i = 0; i < family->nmembers && r == 0; i++)
		r = init_member(b, i, err);
	for (size_t i = 0; i < family->nsteps && r == 0; i++)
		r = do_step(b, &family->steps[i], err);
	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++)
		r = check_ids(&b->puppets[i], b->plan->tasks[i], err);
	return r;
}
