/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sys/capability.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "wire/frame.h"
#include "worker/worker.h"

static bool wait_answer(struct work *w)
{
	ProtobufCMessage *msg;
	struct err unused;
	bool yes;

	if (frame_receive(w->parent_fd, FRAME_WORKER_ANSWER,
			  &worker_answer__descriptor, &msg, NULL, NULL,
			  &unused) < 0)
		return false;
	yes = ((WorkerAnswer *)msg)->yes;
	protobuf_c_message_free_unpacked(msg, NULL);
	return yes;
}

void work_phase(void *arg, enum engine_phase phase)
{
	WorkerMessage m = WORKER_MESSAGE__INIT;
	struct work *w = arg;
	struct err unused;

	m.phase = (char *)engine_phase_name(phase);
	m.has_wait = 1;
	m.wait = w->req->has_stepping && w->req->stepping;
	/* A parent that is gone is no reason to stop: the job may need us. */
	if (frame_send(w->parent_fd, FRAME_WORKER_MESSAGE, &m.base, NULL, 0,
		       &unused) == 0 &&
	    m.wait)
		(void)wait_answer(w);
}

void work_tell_copied(struct work *w)
{
	WorkerMessage m = WORKER_MESSAGE__INIT;
	struct err unused;

	m.has_done = m.has_total = m.has_wait = 1;
	m.done = w->copied;
	m.total = w->to_copy;
	m.wait = 1;
	/* A parent that is gone is no reason to stop. */
	if (frame_send(w->parent_fd, FRAME_WORKER_MESSAGE, &m.base, NULL, 0,
		       &unused) == 0)
		(void)wait_answer(w);
}

bool work_ask_published(struct work *w, bool gone)
{
	WorkerMessage m = WORKER_MESSAGE__INIT;
	struct err unused;

	m.has_published = m.has_wait = m.has_generation = 1;
	m.published = m.wait = 1;
	m.has_gone = 1;
	m.gone = gone;
	m.generation = w->generation;
	return frame_send(w->parent_fd, FRAME_WORKER_MESSAGE, &m.base, NULL, 0,
			  &unused) == 0 &&
	       wait_answer(w);
}

bool work_ask_frozen(struct work *w)
{
	WorkerMessage m = WORKER_MESSAGE__INIT;
	struct err unused;

	m.phase = (char *)"frozen";
	m.has_wait = m.wait = 1;
	return frame_send(w->parent_fd, FRAME_WORKER_MESSAGE, &m.base, NULL, 0,
			  &unused) == 0 &&
	       wait_answer(w);
}

int work_control(struct work *w, uint32_t op, int64_t a, int64_t b,
		 struct control_reply *ret, int *ret_fds, struct err *err)
{
	const struct control_request req = { .op = op, .a = a, .b = b };

	return control_call(w->control_fd, &req, ret, ret_fds, err);
}

int work_connect(struct work *w, struct err *err)
{
	struct control_reply reply;
	int r = control_connect(w->req->run_dir, w->req->job_id, &w->control_fd,
				err);

	if (r == 0)
		r = work_control(w, CONTROL_INFO, 0, 0, &reply, NULL, err);
	if (r == 0)
		w->info = reply.info;
	return r;
}

int work_drop_capabilities(struct err *err)
{
	static const cap_value_t wanted[] = {
		CAP_CHOWN,      CAP_DAC_OVERRIDE,     CAP_DAC_READ_SEARCH,
		CAP_FOWNER,     CAP_FSETID,           CAP_KILL,
		CAP_SETGID,     CAP_SETUID,           CAP_IPC_LOCK,
		CAP_IPC_OWNER,  CAP_SYS_CHROOT,       CAP_SYS_PTRACE,
		CAP_SYS_ADMIN,  CAP_SYS_NICE,         CAP_SYS_RESOURCE,
		CAP_NET_ADMIN,  CAP_NET_BIND_SERVICE, CAP_CHECKPOINT_RESTORE,
		CAP_WAKE_ALARM,
	};
	cap_t now = cap_get_proc(), then = cap_init();
	size_t i;
	int r = 0;

	for (i = 0; now && then && i < ARRAY_SIZE(wanted); i++) {
		cap_flag_value_t has;

		/* Managed nodes lack some: what is not there is not kept. */
		if (cap_get_flag(now, wanted[i], CAP_PERMITTED, &has) < 0 ||
		    has != CAP_SET)
			continue;
		cap_set_flag(then, CAP_PERMITTED, 1, &wanted[i], CAP_SET);
		cap_set_flag(then, CAP_EFFECTIVE, 1, &wanted[i], CAP_SET);
	}
	if (!now || !then || cap_set_proc(then) < 0)
		r = err_sys(err, "drop capabilities");
	cap_free(now);
	cap_free(then);
	return r;
}

void work_set_deadline(const struct work *w)
{
	if (w->req->has_timeout_s)
		alarm(w->req->timeout_s);
}

void work_clear_deadline(void)
{
	alarm(0);
}
