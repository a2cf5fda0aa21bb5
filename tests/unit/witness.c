/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who asks for a witness while a job stands still gets one or an error, also
 * when it ends before it has said a word.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/witness.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define NOBODY  65534
#define PATIENT 20 /* seconds */

/* It cannot drop its rights then, and gives up. */
static bool forbid_capset(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_capset, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/* In a process that is killed if it waits for too long; its answer. */
static int ask(bool may)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		auto_close int fd = open("/proc/self", O_PATH | O_CLOEXEC);
		struct witness w = { 0 };
		struct err err;
		int r;

		(void)alarm(PATIENT);
		if (!may && !forbid_capset())
			_exit(2);
		r = witness_have(&w, fd, NOBODY, NOBODY, &err);
		if (r == 0 && kill(w.ns_pid, 0) < 0)
			r = -ESRCH;
		witness_done(&w);
		_exit(r < 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int main(void)
{
	if (geteuid() != 0)
		skip_all("needs root");
	ok(ask(true) == 0, "a witness is had, and is there");
	ok(ask(false) == 1, "one that gives up is an error, at once");
	return done_testing();
}
