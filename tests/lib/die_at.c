/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * die_at N COMMAND...
 *
 * Runs COMMAND and kills it (SIGKILL) when its first thread begins the call N
 * (0, 1 ...) of those that change what is on a disk.  Prints which that was;
 * 1: it had ended by itself before; 2: it could not be run.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYSCALL_STOP (SIGTRAP | 0x80)

static bool is_file(pid_t pid, unsigned long long fd)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%llu", pid, fd);
	return stat(path, &st) == 0 &&
	       (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

/* NULL: it changes nothing. */
static const char *changes(pid_t pid, const struct user_regs_struct *regs)
{
	switch (regs->orig_rax) {
	case SYS_openat:
		return regs->rdx & (O_CREAT | O_TRUNC) ? "open" : NULL;
	case SYS_write:
	case SYS_pwrite64:
		return is_file(pid, regs->rdi) ? "write" : NULL;
	case SYS_fsync:
		return is_file(pid, regs->rdi) ? "fsync" : NULL;
	case SYS_unlinkat:
		return "unlink";
	case SYS_renameat:
	case SYS_renameat2:
		return "rename";
	}
	return NULL;
}

static bool next_stop(pid_t pid, int *status)
{
	const int sig = WIFSTOPPED(*status) &&
					WSTOPSIG(*status) != SYSCALL_STOP &&
					WSTOPSIG(*status) != SIGTRAP
				? WSTOPSIG(*status)
				: 0;

	return ptrace(PTRACE_SYSCALL, pid, 0, sig) == 0 &&
	       waitpid(pid, status, 0) == pid && WIFSTOPPED(*status);
}

int main(int argc, char **argv)
{
	long left = argc > 2 ? atol(argv[1]) : 0;
	struct user_regs_struct regs;
	const char *what;
	bool begins = true;
	int status = 0;
	pid_t pid;

	if (argc < 3)
		return 2;
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[2], argv + 2);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 2;
	status = 0;
	ptrace(PTRACE_SETOPTIONS, pid, 0,
	       PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	while (next_stop(pid, &status)) {
		if (WSTOPSIG(status) != SYSCALL_STOP)
			continue;
		ptrace(PTRACE_GETREGS, pid, 0, &regs);
		what = begins ? changes(pid, &regs) : NULL;
		begins = !begins;
		if (!what || left--)
			continue;
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		puts(what);
		return 0;
	}
	return 1;
}
