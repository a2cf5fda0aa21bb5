/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_INJECT_REMOTE_H
#define JOBCR_INJECT_REMOTE_H

#include "inject/passage.h"
#include "inject/tracee.h"

/*
 * System calls made by a stopped thread for us.  The target's text is never
 * written and nothing is mapped: the thread's instruction pointer is put on a
 * `syscall; ... ret` that it has anyway (vDSO or libc), and its stack pointer
 * on a page of its memory that was never touched.  There lies the address of
 * its own signal-return trampoline and a signal frame with its complete
 * original state.  So whenever the tracer dies, the call in flight ends, the
 * `ret` leads to rt_sigreturn, and the thread is itself again: it heals with
 * no help.  A process where no such place is found is refused by name.
 *
 * One remote serves all threads of one process, one at a time.
 */
struct remote;

/*
 * For a process of a job.  leader is stopped.  Nothing is changed yet.  like:
 * that of another process, which often runs the same C library: then there is
 * nothing to search for; borrowed for this call, or NULL.
 */
int remote_new(pid_t pid, struct tracee *leader, const struct remote *like,
	       struct remote **ret, struct err *err);

/*
 * The same, with calls only where user dispatch of none of these catches
 * them; -ENOTSUP: there is no such place.
 */
int remote_new_within(pid_t pid, struct tracee *leader,
		      const struct remote *like, const struct dispatch *within,
		      size_t count, struct remote **ret, struct err *err);

/* What is between a stopped thread and the kernel: owned by caller. */
int remote_passage(const struct remote *r, struct tracee *t,
		   struct passage *ret, struct err *err);

/*
 * For a puppet (restore): syscall_addr is a `syscall` instruction in it and
 * [buffer, buffer + buffer_len) memory it may scribble in.  No frame is kept.
 */
int remote_new_puppet(pid_t pid, struct tracee *leader, uint64_t syscall_addr,
		      uint64_t buffer, size_t buffer_len, struct remote **ret,
		      struct err *err);

/* Point a puppet's remote to another syscall instruction or buffer. */
void remote_move(struct remote *r, uint64_t syscall_addr, uint64_t buffer,
		 size_t buffer_len);

/*
 * Begin in a thread: save registers and mask, block all signals, prepare the
 * frame.  End: give everything back.  Calls in between.  A job's thread must
 * be in the stop that tracee_wait_stop saw, and is so again after the end.
 * -ENOTSUP, here and at each call: it is under a filter that might harm it if
 * the tracer died; the call was not made.
 * For a puppet nothing is given back: its thread stays at the end of its
 * last call.
 */
int remote_begin(struct remote *r, struct tracee *t, struct err *err);
int remote_end(struct remote *r, struct err *err);

/*
 * One call; *ret_value is what the kernel returned (-errno on failure).
 * -ESRCH: the thread died in it (exit, or it was killed); see its tracee.
 */
int remote_syscall(struct remote *r, long nr, const uint64_t args[6],
		   int64_t *ret_value, struct err *err);

/* The same, where a negative value is an error that names what. */
int remote_call(struct remote *r, const char *what, int64_t *ret_value,
		struct err *err, long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		uint64_t a3, uint64_t a4, uint64_t a5);

/*
 * In a puppet: a call that need not be made at once.  All of them are made in
 * order before any other call in the process, at remote_flush, or at
 * remote_end; only then it is seen that one failed, and none behind it is
 * made.  want: what it has to return, or REMOTE_ANY but an error.  What its
 * arguments point to must stay; what is static.
 */
#define REMOTE_ANY UINT64_MAX
int remote_later(struct remote *r, const char *what, uint64_t want,
		 struct err *err, long nr, uint64_t a0, uint64_t a1,
		 uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
int remote_flush(struct remote *r, struct err *err);

/*
 * Calls whose answers lie in memory: what they return is not seen.  In a
 * job's thread most of them go with one stop in all; they may use the first
 * REMOTE_DATA bytes of the buffer.
 */
struct remote_args {
	long nr;
	uint64_t args[6];
};
#define REMOTE_DATA 3072
int remote_batch(struct remote *r, const struct remote_args *calls, size_t n,
		 struct err *err);

/*
 * In a job's thread: map a private anonymous page to read at addr, where
 * nothing may be, let look see it, and unmap it again.  For that moment its
 * limits of memory (RLIMIT_AS, RLIMIT_MEMLOCK) are lifted if they do not
 * allow it.  Should the tracer die meanwhile, the thread takes all of it back
 * by itself on its way home.  *ret_mapped is what mmap returned (-errno: look
 * was not called, and that is no failure).
 */
typedef int (*remote_look_fn)(void *arg, struct err *err);
int remote_passing_page(struct remote *r, uint64_t addr, remote_look_fn look,
			void *arg, int64_t *ret_mapped, struct err *err);

/*
 * In a job's thread: a call that returns a descriptor, which is then this
 * number, or an error; let look see it, and close it again, which the thread
 * does by itself should the tracer die.  *ret_value is what the call returned
 * (-errno: look was not called, and that is no failure).
 */
int remote_passing_fd(struct remote *r, const struct remote_args *call,
		      int number, remote_look_fn look, void *arg,
		      int64_t *ret_value, struct err *err);

/*
 * clone3 in a puppet: a child process, or with CLONE_THREAD in flags a
 * thread of it, which gets the number ns_tid of its innermost pid namespace
 * (-EEXIST: taken).  It is traced like its parent and stopped in *ret before
 * its first instruction; registers are those of the parent.
 */
int remote_clone(struct remote *r, uint64_t flags, int exit_signal,
		 pid_t ns_tid, struct tracee *ret, struct err *err);

/* Memory of the target for arguments and results of calls. */
uint64_t remote_buffer(const struct remote *r);
size_t remote_buffer_size(const struct remote *r); /* at least 8 KiB */
int remote_read(struct remote *r, uint64_t addr, void *buf, size_t len,
		struct err *err);
int remote_write(struct remote *r, uint64_t addr, const void *buf, size_t len,
		 struct err *err);

pid_t remote_pid(const struct remote *r);

/* Zero what was scribbled (job), forget; in any state, NULL too. */
void remote_free(struct remote *r);

#endif
