/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every signal's action, flags, restorer and mask, at odd values. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/victim.h"

struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

static volatile sig_atomic_t caught, nested;

static void count(int sig)
{
	sigset_t now;

	sigprocmask(SIG_SETMASK, NULL, &now);
	nested = sigismember(&now, SIGUSR2);
	caught = sig;
}

static long action(int sig, const struct kernel_sigaction *set,
		   struct kernel_sigaction *old)
{
	return syscall(SYS_rt_sigaction, sig, set, old, 8);
}

static void fill(struct kernel_sigaction *a, int sig, uint64_t handler)
{
	a->handler = handler;
	/* SA_NOCLDSTOP|SA_NOCLDWAIT|SA_SIGINFO|SA_RESTORER|SA_ONSTACK| */
	a->flags = 0x04000000 | (sig % 2 ? SA_SIGINFO : 0) |
		   (sig % 3 ? SA_ONSTACK : SA_NODEFER) |
		   (sig % 5 ? SA_RESTART : SA_RESETHAND) |
		   (sig % 7 ? 0 : SA_NOCLDSTOP);
	a->restorer = 0x7fff00000000 + (uint64_t)sig;
	a->mask = sig == 64 ? ~0ull : 0x0102030405060708ull * (uint64_t)sig;
}

static void set_all(void)
{
	struct kernel_sigaction a;
	struct sigaction real = { .sa_handler = count, .sa_flags = SA_RESTART };
	int sig;

	for (sig = 1; sig <= 64; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		fill(&a, sig,
		     sig % 4 == 0   ? (uint64_t)(uintptr_t)SIG_IGN
		     : sig % 4 == 1 ? (uint64_t)(uintptr_t)SIG_DFL
		     : sig == 64    ? ~0ull - 1
				    : 0x10000 + (uint64_t)sig);
		victim_need(action(sig, &a, NULL) == 0, "rt_sigaction");
	}
	sigaddset(&real.sa_mask, SIGUSR2);
	victim_need(sigaction(SIGUSR1, &real, NULL) == 0, "sigaction");
	/* Children vanish without a wait: with the default action. */
	a = (struct kernel_sigaction){ .flags = SA_NOCLDWAIT };
	victim_need(action(SIGCHLD, &a, NULL) == 0, "SIGCHLD");
}

static bool reaps_itself(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(3);
	return pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == ECHILD;
}

int main(void)
{
	struct kernel_sigaction before[65], after[65];
	int sig;

	set_all();
	memset(before, 0, sizeof(before));
	memset(after, 0, sizeof(after));
	for (sig = 1; sig <= 64; sig++)
		action(sig, NULL, &before[sig]);
	victim_wait();
	for (sig = 1; sig <= 64; sig++) {
		action(sig, NULL, &after[sig]);
		victim_check(
			!memcmp(&before[sig], &after[sig], sizeof(after[sig])),
			"signal %d: %#llx %#llx %#llx %#llx", sig,
			(unsigned long long)after[sig].handler,
			(unsigned long long)after[sig].flags,
			(unsigned long long)after[sig].restorer,
			(unsigned long long)after[sig].mask);
	}
	kill(getpid(), SIGUSR1);
	victim_check(caught == SIGUSR1 && nested, "the handler does not run");
	victim_check(reaps_itself(), "SA_NOCLDWAIT is lost");
	victim_verdict(victim_interrupts == 0, "signal actions are the same");
}
