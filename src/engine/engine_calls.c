/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What resources may ask of the engine at a restore. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "engine/building.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/path_map.h"

static int call_set_fd(void *arg, uint32_t object, int fd, struct err *err)
{
	struct building *b = arg;

	return descriptors_set(b->fds, object, fd, err);
}

static int call_get_fd(void *arg, uint32_t object)
{
	struct building *b = arg;

	return descriptors_get(b->fds, object);
}

static int call_set_data_fd(void *arg, uint32_t object, int fd, struct err *err)
{
	struct building *b = arg;

	return descriptors_set_data(b->fds, object, fd, err);
}

/* One address may be that of many sockets. */
static bool is_said(const struct remark *m, const char *text)
{
	const size_t len = strlen(text);
	const char *at = m->paths;

	while ((at = strstr(at, text))) {
		if ((at == m->paths || at[-1] == ' ') &&
		    (!at[len] || at[len] == ','))
			return true;
		at++;
	}
	return false;
}

static void call_remark(void *arg, enum file_remark remark, const char *path)
{
	struct building *b = arg;
	struct remark *m = &b->remarks[remark];
	size_t used = strlen(m->paths);
	size_t room = sizeof(m->paths) - used;

	if (is_said(m, path))
		return;
	if (m->more || strlen(path) + 3 > room)
		m->more++;
	else
		snprintf(m->paths + used, room, "%s%s", used ? ", " : "", path);
}

static const ProtobufCMessage *call_find(void *arg, uint32_t tag,
					 uint32_t object)
{
	struct building *b = arg;
	const struct plan_record *rec;
	size_t count;

	rec = plan_find(b->plan, tag, object, &count);
	return count ? rec->msg : NULL;
}

static pid_t call_task_pid(void *arg, pid_t ns_pid)
{
	struct building *b = arg;

	for (size_t i = 0; i < b->plan->ntasks; i++)
		if (b->puppets[i].task.ns_pid == ns_pid)
			return b->puppets[i].task.pid;
	return 0;
}

/*
 * A tree that has not run since the cut has added nothing: what its files have
 * more is somebody else's, such as another task of its array.
 */
static enum file_policy choose_policy(const struct building *b)
{
	enum file_policy own = b->plan->part->files;

	if (b->args->files)
		return b->args->files;
	return b->args->nothing_since && own != FILES_REFUSE ? FILES_KEEP : own;
}

static void call_drop_fd(void *arg, uint32_t object)
{
	struct building *b = arg;

	descriptors_drop(b->fds, object);
}

static int call_give_fd(void *arg, struct restore_task *task, int fd,
			int *ret_fd, struct err *err)
{
	struct puppet *p = puppet_of(task);
	struct restore_thread *inside = p->inside;
	int r = 0;

	(void)arg;
	/* Before it has a table of descriptors: build_tables opens another. */
	if (p->channel < 0)
		r = channel_open(p, 0, err);
	if (r == 0)
		r = channel_give(p, fd, ret_fd, err);
	return r < 0 || !inside ? r : puppet_enter(p, inside, err);
}

/* Zombies are alive until the other threads are there. */
static int call_enter(void *arg, pid_t ns_pid, struct restore_task **ret,
		      struct err *err)
{
	struct building *b = arg;

	for (size_t i = 0; i < b->plan->ntasks; i++) {
		struct puppet *p = &b->puppets[i];

		if (p->task.ns_pid != ns_pid)
			continue;
		*ret = &p->task;
		return puppet_enter(p, &p->task.threads[0], err);
	}
	return err_set(err, -ESRCH, "pid %d is not there", ns_pid);
}

/* Resources go on calling in the thread that they were called for. */
static int call_lend_fd(void *arg, struct restore_task *task, uint32_t object,
			int *ret_fd, struct err *err)
{
	struct building *b = arg;
	struct puppet *p = puppet_of(task);
	struct restore_thread *inside = p->inside;
	int r;

	if (p->channel < 0)
		return err_set(err, -EBADF, "pid %d: too late for descriptors",
			       task->ns_pid);
	r = lend_fd(b, p, object, ret_fd, err);
	return r < 0 || !inside ? r : puppet_enter(p, inside, err);
}

/* All descend from the same supervisor. */
static int call_inherited_filters(void *arg, struct restore_task *task,
				  const struct filters **ret, struct err *err)
{
	struct building *b = arg;
	int r = 0;

	if (!b->have_inherited)
		r = filters_read(&task->threads[0].tracee, &b->inherited, err);
	if (r < 0)
		return r;
	b->have_inherited = true;
	*ret = &b->inherited;
	return 0;
}

static int call_map_path(void *arg, const char *path, char ret[PATH_MAX],
			 struct err *err)
{
	struct building *b = arg;

	return path_map_apply(b->args->maps, b->args->nmaps, path, ret,
			      PATH_MAX, err);
}

static int call_open_here(void *arg, const char *path, int flags,
			  unsigned int mode, struct err *err)
{
	struct building *b = arg;
	int fd, r;

	r = as_user(b->args->owner, err);
	if (r < 0)
		return r;
	fd = open_in_root(b->ctx.root_fd, path, flags, mode, 0);
	r = fd < 0 ? err_sys(err, "%s", path) : fd;
	as_root();
	return r;
}

static int call_open_path(void *arg, const char *path, int flags,
			  unsigned int mode, struct err *err)
{
	char now[PATH_MAX];
	int r = call_map_path(arg, path, now, err);

	return r < 0 ? r : call_open_here(arg, now, flags, mode, err);
}

static bool call_inherited(void *arg, const struct restore_task *task,
			   uint64_t start, uint64_t end)
{
	const struct puppet *p = (const struct puppet *)task;

	(void)arg;
	return p->blocks.count && spans_cover(&p->blocks, start, end);
}

static int open_init(struct building *b, struct err *err)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d", b->args->init_pid);
	b->ctx.init_proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->ctx.init_proc_fd < 0)
		return err_sys(err, "init: %s", path);
	b->ctx.root_fd = openat(b->ctx.init_proc_fd, "root",
				O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->ctx.root_fd < 0)
		return err_sys(err, "init: its root directory");
	return 0;
}

/* Where init may run is where the new allocation is. */
static int read_cpus(struct building *b, struct err *err)
{
	long r;

	r = syscall(__NR_sched_getaffinity, b->args->init_pid,
		    sizeof(b->allowed_cpus), b->allowed_cpus);
	if (r < 0)
		return err_sys(err, "init: its CPUs");
	b->ctx.cpu_order = &b->nearby.order;
	b->ctx.allowed_cpus = b->allowed_cpus;
	b->ctx.allowed_cpus_len = (uint32_t)r;
	return 0;
}

int building_init(struct building *b, struct err *err)
{
	const struct restart_args *args = b->args;
	int r;

	b->owner = (struct restore_owner){
		.uid = args->owner->uid,
		.gid = args->owner->gid,
		.groups = args->owner->groups,
		.ngroups = args->owner->ngroups,
		.dropped_caps = args->dropped_caps,
		.no_new_privs = args->no_new_privs,
	};
	b->engine = (struct restore_engine){
		.arg = b,
		.set_fd = call_set_fd,
		.get_fd = call_get_fd,
		.set_data_fd = call_set_data_fd,
		.remark = call_remark,
		.drop_fd = call_drop_fd,
		.enter = call_enter,
		.give_fd = call_give_fd,
		.find = call_find,
		.task_pid = call_task_pid,
		.lend_fd = call_lend_fd,
		.inherited_filters = call_inherited_filters,
		.map_path = call_map_path,
		.open_path = call_open_path,
		.open_here = call_open_here,
		.inherited = call_inherited,
	};
	b->ctx = (struct restore_ctx){
		.engine = &b->engine,
		.owner = &b->owner,
		.root_fd = -1,
		.init_proc_fd = -1,
		.stdio = { args->stdio[0], args->stdio[1], args->stdio[2] },
		.terminal_slave = -1,
		.terminal_master = -1,
		.files = choose_policy(b),
		.generation = args->generation,
		.addresses = args->addresses,
		.naddresses = args->naddresses,
		.monotonic_offset_ns = b->plan->part->monotonic_ns -
				       (int64_t)clock_monotonic_ns(),
	};
	r = open_init(b, err);
	if (r == 0)
		r = read_cpus(b, err);
	if (r == 0)
		r = descriptors_new(&b->fds, err);
	if (r == 0)
		r = heirs_plan(b->plan, &b->heirs, err);
	if (r < 0)
		return r;
	b->puppets = calloc(b->plan->family.nmembers, sizeof(*b->puppets));
	if (!b->puppets)
		return err_num(err, ENOMEM, "processes");
	b->npuppets = b->plan->family.nmembers;
	for (size_t i = 0; i < b->npuppets; i++)
		b->puppets[i].channel = -1;
	return 0;
}

/* Children first: their parents' deaths then change nothing for them. */
void building_kill(struct building *b)
{
	for (size_t i = b->npuppets; i-- > 0;)
		puppet_kill(&b->puppets[i]);
}

void building_done(struct building *b)
{
	for (size_t i = 0; i < b->npuppets; i++)
		puppet_done(&b->puppets[i]);
	free(b->puppets);
	filters_done(&b->inherited);
	descriptors_free(b->fds);
	contents_free(b->contents);
	heirs_done(&b->heirs);
	cleanup_close(&b->ctx.init_proc_fd);
	cleanup_close(&b->ctx.root_fd);
}
