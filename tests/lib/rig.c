// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lib/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "images/tags.h"
#include "util/cleanup.h"
#include "util/io.h"

/* Remote calls, in ourselves. */
struct remote {
	uint8_t buffer[8192];
};

uint64_t remote_buffer(const struct remote *r)
{
	return (uint64_t)(uintptr_t)r->buffer;
}

int remote_write(struct remote *r, uint64_t addr, const void *buf, size_t len,
		 struct err *err)
{
	(void)r;
	(void)err;
	memcpy((void *)(uintptr_t)addr, buf, len);
	return 0;
}

int remote_call(struct remote *r, const char *what, int64_t *ret_value,
		struct err *err, long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		uint64_t a3, uint64_t a4, uint64_t a5)
{
	(void)r;
	*ret_value = syscall(nr, a0, a1, a2, a3, a4, a5);
	return *ret_value < 0 ? err_sys(err, "%s", what) : 0;
}

int remote_syscall(struct remote *r, long nr, const uint64_t args[6],
		   int64_t *ret_value, struct err *err)
{
	(void)r;
	(void)err;
	*ret_value = syscall(nr, args[0], args[1], args[2], args[3], args[4],
			     args[5]);
	if (*ret_value < 0)
		*ret_value = -errno;
	return 0;
}

int rig_write(void *arg, const void *data, size_t len, struct err *err)
{
	struct rig *rig = arg;

	if (rig->len + len > sizeof(rig->image))
		return err_set(err, -EFBIG, "image");
	memcpy(rig->image + rig->len, data, len);
	rig->len += len;
	return 0;
}

static uint32_t fd_object(void *arg, pid_t ns_pid, int fd)
{
	struct rig *rig = arg;

	(void)ns_pid;
	for (uint32_t i = 1; i < OBJECTS; i++)
		if (rig->fds[i] == fd)
			return i;
	return 0;
}

static pid_t ns_pid(void *arg, pid_t pid)
{
	(void)arg;
	return pid == getpid() ? pid : 0;
}

static pid_t held_outside(void *arg, const char *link)
{
	struct rig *rig = arg;

	return rig->outside && !strcmp(link, rig->outside) ? 1 : 0;
}

static int epoll_target(void *arg, const struct task_view *task, int epfd,
			int tfd, uint32_t nth, uint32_t *ret_object,
			struct err *err)
{
	(void)task;
	(void)epfd;
	(void)nth;
	*ret_object = fd_object(arg, 0, tfd);
	return *ret_object ? 0 : err_set(err, -ENOENT, "%d", tfd);
}

static int pages_of_fd(void *arg, uint32_t object, int fd, uint64_t size,
		       struct err *err)
{
	struct rig *rig = arg;

	rig->data[object] = malloc(size);
	rig->data_len[object] = size;
	if (pread(fd, rig->data[object], size, 0) != (ssize_t)size)
		return err_sys(err, "contents");
	return 0;
}

static int sync_later(void *arg, int fd, struct err *err)
{
	(void)arg;
	return fsync(fd) < 0 ? err_sys(err, "fsync") : 0;
}

static int set_fd(void *arg, uint32_t object, int fd, struct err *err)
{
	struct rig *rig = arg;

	(void)err;
	rig->made[object] = fd;
	return 0;
}

static int get_fd(void *arg, uint32_t object)
{
	struct rig *rig = arg;

	return object < OBJECTS ? rig->made[object] : -1;
}

static int set_data_fd(void *arg, uint32_t object, int fd, struct err *err)
{
	struct rig *rig = arg;
	size_t len = rig->data_len[object];

	rig->data_of[object] = fd;
	if (fd >= 0 && pwrite(fd, rig->data[object], len, 0) != (ssize_t)len)
		return err_sys(err, "contents");
	return 0;
}

static const ProtobufCMessage *find(void *arg, uint32_t tag, uint32_t object)
{
	struct rig *rig = arg;

	for (size_t i = 0; i < rig->nrecords; i++)
		if (rig->records[i].tag == tag && tag == TAG_GHOST &&
		    ((GhostRecord *)rig->msgs[i])->object == object)
			return rig->msgs[i];
	return NULL;
}

static int open_path(void *arg, const char *path, int flags, unsigned int mode,
		     struct err *err)
{
	int fd = open(path, flags, mode);

	(void)arg;
	return fd < 0 ? err_sys(err, "open") : fd;
}

static int map_path(void *arg, const char *path, char ret[PATH_MAX],
		    struct err *err)
{
	(void)arg;
	(void)err;
	(void)snprintf(ret, PATH_MAX, "%s", path);
	return 0;
}

static void remark(void *arg, enum file_remark what, const char *path)
{
	struct rig *rig = arg;

	(void)what;
	snprintf(rig->remark, sizeof(rig->remark), "%s", path);
}

static const struct resource_ops *const rows[] = {
	&res_eventfd, &res_timerfd, &res_signalfd,    &res_chardev,
	&res_epoll,   &res_pipe,    &res_pipe_end,    &res_directory,
	&res_ghost,   &res_file,    &res_unsupported,
};

static const struct resource_ops *row_of(uint32_t tag)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i]->tag == tag)
			return rows[i];
	return NULL;
}

void rig_init(struct rig *rig)
{
	struct err err = { 0 };

	memset(rig, 0, sizeof(*rig));
	for (size_t i = 0; i < OBJECTS; i++)
		rig->fds[i] = rig->made[i] = -1;
	object_table_new(&rig->objects, &err);
	/* Objects that descriptors have are below; others come after. */
	for (uint32_t i = 0, n; i < OBJECTS / 2; i++)
		object_get(rig->objects, OBJECT_OPEN_FILE, i, 0, 0, &n, NULL,
			   &err);
}

void rig_done(struct rig *rig)
{
	for (size_t i = 0; i < OBJECTS; i++) {
		free(rig->data[i]);
		cleanup_close(&rig->made[i]);
		if (rig->msgs[i])
			protobuf_c_message_free_unpacked(rig->msgs[i], NULL);
	}
	object_table_free(rig->objects);
	refusals_done(&rig->no);
}

int rig_save(struct rig *rig, uint32_t object, struct err *err)
{
	struct img_sink sink = { .write = rig_write, .arg = rig };
	struct dump_engine engine = {
		.arg = rig,
		.fd_object = fd_object,
		.ns_pid = ns_pid,
		.held_outside = held_outside,
		.epoll_target = epoll_target,
		.pages_of_fd = pages_of_fd,
		.sync_later = sync_later,
	};
	struct dump_options options = { .carry = rig->carry,
					.local = rig->local,
					.local_bytes = rig->local_bytes,
					.owner = rig->owner,
					.owner_uid = rig->owner
							     ? rig->owner->uid
							     : 0 };
	struct dump_ctx ctx = { &sink, rig->objects, &engine, &options };
	auto_close int proc = open("/proc/self", O_DIRECTORY | O_CLOEXEC);
	struct proc_stat task_stat = { .comm = "files" };
	struct proc_status status = { 0 };
	struct tracee leader = { 0 };
	struct task_view task = { .pid = getpid(),
				  .ns_pid = getpid(),
				  .proc_fd = proc,
				  .stat = &task_stat,
				  .status = &status,
				  .leader = &leader };
	struct fd_view view = { .task = &task,
				.fd = rig->fds[object],
				.own_fd = rig->fds[object],
				.object = object };
	auto_free char *fdinfo = NULL;
	char name[64], link[PATH_MAX] = "";
	uint64_t flags = 0, pos = 0;
	size_t before = rig->no.count, len;
	struct stat st;
	int r = 0;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", view.fd);
	if (readlink(name, link, sizeof(link) - 1) < 0 || stat(name, &st) < 0)
		return err_sys(err, "%s", name);
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", view.fd);
	if (read_file_at(AT_FDCWD, name, 65536, &fdinfo, &len, err) < 0 ||
	    proc_text_u64(fdinfo, "flags", 8, &flags, err) < 0 ||
	    proc_text_u64(fdinfo, "pos", 10, &pos, err) < 0)
		return err->code;
	view.link = link;
	view.fdinfo = fdinfo;
	view.stat = &st;
	view.flags = (uint32_t)flags & ~(uint32_t)O_CLOEXEC;
	view.position = (int64_t)pos;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i]->match || !rows[i]->match(&view))
			continue;
		r = rows[i]->check_file(&ctx, &view, &rig->no, err);
		if (r < 0 || rig->no.count > before)
			return r < 0 ? r : -ENOTSUP;
		return rows[i]->dump_file(&ctx, &view, err);
	}
	return r;
}

int rig_restore(struct rig *rig, struct err *err)
{
	static struct remote remote;
	struct restore_engine engine = {
		.arg = rig,
		.set_fd = set_fd,
		.get_fd = get_fd,
		.set_data_fd = set_data_fd,
		.find = find,
		.open_path = open_path,
		.open_here = open_path,
		.map_path = map_path,
		.remark = remark,
	};
	struct restore_owner owner = { .uid = getuid(), .gid = getgid() };
	struct restore_ctx ctx = { .engine = &engine,
				   .owner = &owner,
				   .root_fd = -1,
				   .init_proc_fd = -1,
				   .files = rig->files,
				   .generation = 7,
				   .stdio = { 0, 1, 2 } };
	struct restore_task task = { .pid = getpid(),
				     .ns_pid = getpid(),
				     .remote = &remote };
	size_t pos = 0;
	int r;

	while (img_next(rig->image, rig->len, &pos,
			&rig->records[rig->nrecords], err) == 1) {
		r = img_unpack(&rig->records[rig->nrecords],
			       img_tag_type(rig->records[rig->nrecords].tag),
			       &rig->msgs[rig->nrecords], err);
		if (r < 0)
			return r;
		rig->nrecords++;
	}
	for (size_t i = 0; i < rig->nrecords; i++) {
		r = row_of(rig->records[i].tag)
			    ->restore_file(&ctx, rig->msgs[i], err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0, n = 1; i < rig->nrecords; i++) {
		const struct resource_ops *row = row_of(rig->records[i].tag);

		if (!row->late_file)
			continue;
		r = row->late_file(&ctx, &task, rig->made[n++], rig->msgs[i],
				   err);
		if (r < 0)
			return r;
	}
	return 0;
}

int rig_round_trip(struct rig *rig, const int *fds, size_t count,
		   struct err *err)
{
	int r = 0;

	memset(err, 0, sizeof(*err));
	for (size_t i = 0; i < count; i++)
		rig->fds[i + 1] = fds[i];
	for (size_t i = 0; i < count && r == 0; i++)
		r = rig_save(rig, (uint32_t)i + 1, err);
	return r < 0 ? r : rig_restore(rig, err);
}
