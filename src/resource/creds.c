// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Credentials, which the kernel keeps for each thread.  A snapshot is a file
 * of the job's user, who may have edited it: nothing in it gives a right that
 * the job's owner, as proved by others, does not have anyway.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "resource/resource.h"
#include "util/cleanup.h"

#define GROUPS_MAX       65536
#define SECUREBITS_KNOWN 0xfffu
#define SECUREBITS_USER  SECBIT_KEEP_CAPS /* what an ordinary user can set */
#define ANY_UID          0                /* an owner who may be anybody */

enum { CAP_INH, CAP_PRM, CAP_EFF, CAP_BND, CAP_AMB }; /* proc_status.caps */

static bool has_group(gid_t gid, gid_t primary, const gid_t *groups, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return gid == primary;
}

static void refuse_ids(const struct thread_view *thread,
		       const struct user_id *owner, struct refusals *no)
{
	const struct proc_status *st = thread->status;
	const pid_t pid = thread->task->ns_pid;
	const char *comm = thread->task->stat->comm;
	size_t i;

	for (i = 0; i < 4; i++)
		if (st->uids[i] != owner->uid) {
			refusals_add(no, pid, comm, -1,
				     "run no set-user-ID program in the job",
				     "thread %d has user id %u, the job's is "
				     "%u",
				     (int)thread->ns_tid, st->uids[i],
				     owner->uid);
			break;
		}
	for (i = 0; i < 4 + st->ngroups; i++) {
		gid_t gid = i < 4 ? st->gids[i] : st->groups[i - 4];

		if (has_group(gid, owner->gid, owner->groups, owner->ngroups))
			continue;
		refusals_add(no, pid, comm, -1,
			     "run no set-group-ID program in the job",
			     "thread %d has group id %u, which its user is "
			     "no member of",
			     (int)thread->ns_tid, gid);
		break;
	}
}

static bool has_own_users(const struct thread_view *thread)
{
	struct stat ours, own;

	return stat("/proc/self/ns/user", &ours) == 0 &&
	       fstatat(thread->proc_fd, "ns/user", &own, 0) == 0 &&
	       own.st_ino != ours.st_ino;
}

static int creds_check(const struct dump_ctx *ctx,
		       const struct thread_view *thread, struct refusals *no,
		       struct err *err)
{
	const struct user_id *owner = ctx->options->owner;
	const struct proc_status *st = thread->status;

	if (owner->uid == ANY_UID)
		return 0;
	refuse_ids(thread, owner, no);
	/* They mean nothing outside of it, and it is refused by itself. */
	if (has_own_users(thread))
		return 0;
	if (st->caps[CAP_PRM] | st->caps[CAP_INH] | st->caps[CAP_AMB])
		refusals_add(no, thread->task->ns_pid, thread->task->stat->comm,
			     -1, "run no program with file capabilities",
			     "thread %d holds capabilities (%#llx)",
			     (int)thread->ns_tid,
			     (unsigned long long)(st->caps[CAP_PRM] |
						  st->caps[CAP_INH] |
						  st->caps[CAP_AMB]));
	return 0;
}

static int creds_dump(const struct dump_ctx *ctx,
		      const struct thread_view *thread, struct err *err)
{
	const struct proc_status *st = thread->status;
	CredsRecord rec = CREDS_RECORD__INIT;
	int64_t bits;
	int r;

	r = remote_call(thread->remote, "PR_GET_SECUREBITS", &bits, err,
			__NR_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0, 0);
	if (r < 0)
		return r;
	if (ctx->options->owner->uid != ANY_UID &&
	    (uint64_t)bits & ~(uint64_t)SECUREBITS_USER)
		return err_set(err, -ENOTSUP,
			       "securebits %#llx, which only "
			       "root can set",
			       (unsigned long long)bits);
	rec.tid = thread->ns_tid;
	rec.uids = (uint32_t *)st->uids;
	rec.n_uids = 4;
	rec.gids = (uint32_t *)st->gids;
	rec.n_gids = 4;
	rec.groups = st->groups;
	rec.n_groups = st->ngroups;
	rec.cap_inheritable = st->caps[CAP_INH];
	rec.cap_permitted = st->caps[CAP_PRM];
	rec.cap_effective = st->caps[CAP_EFF];
	rec.cap_bounding = st->caps[CAP_BND];
	rec.cap_ambient = st->caps[CAP_AMB];
	rec.securebits = (uint32_t)bits;
	rec.no_new_privs = st->no_new_privs != 0;
	return img_put(ctx->out, TAG_CREDS, &rec.base, err);
}

static int check_owner(const CredsRecord *rec,
		       const struct restore_owner *owner, struct err *err)
{
	size_t i;

	if (owner->uid == ANY_UID)
		return 0;
	for (i = 0; i < rec->n_uids; i++)
		if (rec->uids[i] != owner->uid)
			return err_set(err, -EPERM,
				       "the snapshot names user "
				       "id %u, the job's is %u",
				       rec->uids[i], owner->uid);
	for (i = 0; i < rec->n_gids + rec->n_groups; i++) {
		gid_t gid = i < rec->n_gids ? rec->gids[i]
					    : rec->groups[i - rec->n_gids];

		if (!has_group(gid, owner->gid, owner->groups, owner->ngroups))
			return err_set(err, -EPERM,
				       "the snapshot names group "
				       "id %u, which user %u is no member of",
				       gid, owner->uid);
	}
	if (rec->cap_permitted | rec->cap_effective | rec->cap_inheritable |
	    rec->cap_ambient)
		return err_set(err, -EPERM,
			       "the snapshot names capabilities, "
			       "but the job's user is not root");
	if (rec->securebits & ~SECUREBITS_USER)
		return err_set(err, -EPERM,
			       "the snapshot names securebits "
			       "that only root can set");
	return 0;
}

static int check_record(const CredsRecord *rec, struct err *err)
{
	if (rec->n_uids != 4 || rec->n_gids != 4 ||
	    rec->n_groups > GROUPS_MAX || rec->securebits & ~SECUREBITS_KNOWN)
		return err_set(err, -EBADMSG, "impossible credentials");
	if (rec->cap_effective & ~rec->cap_permitted ||
	    rec->cap_ambient & ~(rec->cap_permitted & rec->cap_inheritable))
		return err_set(err, -EBADMSG, "impossible capabilities");
	return 0;
}

/* What capset is told, twice at most, lies before the groups. */
struct cap_arg {
	struct __user_cap_header_struct head;
	struct __user_cap_data_struct data[2];
};
#define FIRST_CAPS 0
#define LAST_CAPS  sizeof(struct cap_arg)
#define GROUPS_AT  (2 * sizeof(struct cap_arg))

/* One call of which only the success matters. */
static int call(struct remote *remote, struct err *err, const char *what,
		long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	return remote_later(remote, what, REMOTE_ANY, err, nr, a0, a1, a2, a3,
			    0, 0);
}

static int set_ids(struct remote *remote, const CredsRecord *rec,
		   struct err *err)
{
	const uint64_t at = remote_buffer(remote) + GROUPS_AT;
	const uint32_t *u = rec->uids, *g = rec->gids;
	const size_t bytes = rec->n_groups * sizeof(uint32_t);
	int r;

	if (bytes > remote_buffer_size(remote) - GROUPS_AT)
		return err_set(err, -E2BIG, "%zu supplementary groups",
			       rec->n_groups);
	r = remote_write(remote, at, rec->groups, bytes, err);
	if (r == 0)
		r = call(remote, err, "setgroups", __NR_setgroups,
			 rec->n_groups, at, 0, 0);
	/* So that capabilities stay until they are set themselves. */
	if (r == 0)
		r = call(remote, err, "PR_SET_SECUREBITS", __NR_prctl,
			 PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0);
	if (r == 0)
		r = call(remote, err, "setresgid", __NR_setresgid, g[0], g[1],
			 g[2], 0);
	if (r == 0)
		r = call(remote, err, "setfsgid", __NR_setfsgid, g[3], 0, 0, 0);
	if (r == 0)
		r = call(remote, err, "setresuid", __NR_setresuid, u[0], u[1],
			 u[2], 0);
	if (r == 0)
		r = call(remote, err, "setfsuid", __NR_setfsuid, u[3], 0, 0, 0);
	return r;
}

static int set_caps(struct remote *remote, size_t offset, uint64_t effective,
		    uint64_t permitted, uint64_t inheritable, struct err *err)
{
	const struct cap_arg arg = {
		.head = { .version = _LINUX_CAPABILITY_VERSION_3 },
		.data = {
			{ (uint32_t)effective, (uint32_t)permitted,
			  (uint32_t)inheritable },
			{ (uint32_t)(effective >> 32),
			  (uint32_t)(permitted >> 32),
			  (uint32_t)(inheritable >> 32) },
		},
	};
	const uint64_t at = remote_buffer(remote) + offset;
	int r;

	r = remote_write(remote, at, &arg, sizeof(arg), err);
	return r < 0 ? r
		     : call(remote, err, "capset", __NR_capset, at,
			    at + sizeof(arg.head), 0, 0);
}

static int for_each_cap(struct remote *remote, uint64_t caps, const char *what,
			uint64_t option, uint64_t sub, struct err *err)
{
	int cap, r;

	for (cap = 0; cap < 64; cap++) {
		if (!(caps & 1ull << cap))
			continue;
		r = option == PR_CAP_AMBIENT
			    ? call(remote, err, what, __NR_prctl, option, sub,
				   (uint64_t)cap, 0)
			    : call(remote, err, what, __NR_prctl, option,
				   (uint64_t)cap, 0, 0);
		if (r < 0)
			return err_wrap(err, r, "capability %d", cap);
	}
	return 0;
}

static bool no_new_privs(const CredsRecord *rec,
			 const struct restore_owner *owner)
{
	return rec->no_new_privs || owner->no_new_privs;
}

/*
 * The bounding set as it is to be.  What this node never gives is no loss.
 * An ordinary user's is the launcher's: an edited snapshot could otherwise
 * start set-user-ID programs with fewer rights than they count on.
 */
static uint64_t bounding(const CredsRecord *rec,
			 const struct restore_owner *owner,
			 const struct proc_status *here)
{
	const uint64_t most = here->caps[CAP_BND] & ~owner->dropped_caps;

	if (owner->uid != ANY_UID && !no_new_privs(rec, owner))
		return most;
	return most & rec->cap_bounding;
}

/*
 * Inheritable and ambient ones first, while everything is permitted and
 * bounded by nothing; then the bounding set, the securebits, and last the
 * capabilities that were needed for all this.
 */
static int shape_caps(struct remote *remote, const CredsRecord *rec,
		      const struct restore_owner *owner,
		      const struct proc_status *here, uint64_t bound,
		      struct err *err)
{
	const uint64_t all = here->caps[CAP_PRM];
	int r = 0;

	if (rec->cap_inheritable)
		r = set_caps(remote, FIRST_CAPS, all, all, rec->cap_inheritable,
			     err);
	if (r == 0)
		r = for_each_cap(remote, rec->cap_ambient,
				 "PR_CAP_AMBIENT_RAISE", PR_CAP_AMBIENT,
				 PR_CAP_AMBIENT_RAISE, err);
	if (r == 0)
		r = for_each_cap(remote, here->caps[CAP_BND] & ~bound,
				 "PR_CAPBSET_DROP", PR_CAPBSET_DROP, 0, err);
	if (r == 0)
		r = call(remote, err, "PR_SET_SECUREBITS", __NR_prctl,
			 PR_SET_SECUREBITS, rec->securebits, 0, 0);
	if (r == 0)
		r = set_caps(remote, LAST_CAPS, rec->cap_effective,
			     rec->cap_permitted, rec->cap_inheritable, err);
	if (r == 0 && no_new_privs(rec, owner))
		r = call(remote, err, "PR_SET_NO_NEW_PRIVS", __NR_prctl,
			 PR_SET_NO_NEW_PRIVS, 1, 0, 0);
	return r;
}

static int read_here(const struct restore_task *task,
		     const struct restore_thread *thread,
		     struct proc_status *ret, struct err *err)
{
	auto_close int fd = -EBADF;
	int r;

	r = proc_open(task->pid, thread->tid, &fd, err);
	return r < 0 ? r : proc_read_status(fd, ret, err);
}

/* setfsuid(2) does not tell of a failure; nothing is taken for granted. */
static int verify(const CredsRecord *rec, const struct restore_owner *owner,
		  const struct proc_status *here, uint64_t bound,
		  struct err *err)
{
	if (memcmp(here->uids, rec->uids, sizeof(here->uids)) ||
	    memcmp(here->gids, rec->gids, sizeof(here->gids)) ||
	    here->ngroups != rec->n_groups ||
	    (rec->n_groups && memcmp(here->groups, rec->groups,
				     rec->n_groups * sizeof(*rec->groups))))
		return err_set(err, -EPERM, "user or group ids were not set");
	if (here->caps[CAP_INH] != rec->cap_inheritable ||
	    here->caps[CAP_PRM] != rec->cap_permitted ||
	    here->caps[CAP_EFF] != rec->cap_effective ||
	    here->caps[CAP_AMB] != rec->cap_ambient ||
	    here->caps[CAP_BND] != bound ||
	    !here->no_new_privs == no_new_privs(rec, owner))
		return err_set(err, -EPERM, "capabilities were not set");
	return 0;
}

static int check_caps_here(const CredsRecord *rec,
			   const struct restore_owner *owner,
			   const struct proc_status *here, struct err *err)
{
	const uint64_t lacking = (rec->cap_permitted | rec->cap_inheritable) &
				 ~(here->caps[CAP_PRM] & ~owner->dropped_caps);

	if (lacking)
		return err_set(err, -EPERM,
			       "capabilities %#llx of the job "
			       "cannot be given here: the launcher has lost "
			       "them",
			       (unsigned long long)lacking);
	return 0;
}

static int creds_restore(struct restore_ctx *ctx, struct restore_task *task,
			 struct restore_thread *thread,
			 const ProtobufCMessage *msg, struct err *err)
{
	const CredsRecord *rec = (const CredsRecord *)msg;
	struct proc_status before = { 0 }, after = { 0 };
	int r;

	r = check_record(rec, err);
	if (r == 0)
		r = check_owner(rec, ctx->owner, err);
	if (r == 0)
		r = read_here(task, thread, &before, err);
	if (r == 0)
		r = check_caps_here(rec, ctx->owner, &before, err);
	if (r == 0)
		r = set_ids(task->remote, rec, err);
	if (r == 0)
		r = shape_caps(task->remote, rec, ctx->owner, &before,
			       bounding(rec, ctx->owner, &before), err);
	if (r == 0)
		r = remote_flush(task->remote, err);
	if (r == 0)
		r = read_here(task, thread, &after, err);
	if (r == 0)
		r = verify(rec, ctx->owner, &after,
			   bounding(rec, ctx->owner, &before), err);
	proc_status_done(&before);
	proc_status_done(&after);
	return r;
}

static const struct remote_ask asks[] = {
	{ "prctl", __NR_prctl, 6, { PR_GET_SECUREBITS } },
	{ 0 },
};

const struct resource_ops res_creds = {
	.name = "credentials",
	.saved = "user and group ids, capabilities, securebits, no_new_privs",
	.refused = "rights that the job's user does not have",
	.changes = "bounding set of an ordinary user's job; keys of the kernel "
		   "(keyctl) are the node's",
	.tag = TAG_CREDS,
	.scope = SCOPE_THREAD,
	.stage = STAGE_CREDS,
	.check_thread = creds_check,
	.dump_thread = creds_dump,
	.asks = asks,
	.restore = creds_restore,
};
