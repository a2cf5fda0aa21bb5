/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes of a process: prctl(2), personality, what /proc shows. */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define GET_MDWE      66
#define SET_MDWE      65
#define SET_MERGE     67
#define GET_MERGE     68
#define REGISTRATIONS 512

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);

	victim_need(fd >= 0 && write(fd, text, strlen(text)) ==
				       (ssize_t)strlen(text),
		    name);
	close(fd);
}

static long read_number(const char *name, int base)
{
	char text[64] = { 0 };
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 ? strtol(text, NULL, base) : -1;
}

struct facts {
	long persona, dumpable, subreaper, thp, mdwe, merge, barriers, adj,
		filter;
	char perms[8]; /* of a readable mapping */
};

static void *page;

static void read_perms(char perms[8])
{
	char line[512], start[32];
	FILE *f = fopen("/proc/self/maps", "re");

	snprintf(start, sizeof(start), "%lx-", (unsigned long)page);
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, start, strlen(start)))
			memcpy(perms, strchr(line, ' ') + 1, 4);
	if (f)
		fclose(f);
}

static void look(struct facts *f)
{
	int flag = -1;

	memset(f, 0, sizeof(*f));
	f->persona = personality(0xffffffff);
	f->dumpable = prctl(PR_GET_DUMPABLE);
	prctl(PR_GET_CHILD_SUBREAPER, &flag);
	f->subreaper = flag;
	f->thp = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
	f->mdwe = prctl(GET_MDWE, 0, 0, 0, 0);
	f->merge = prctl(GET_MERGE, 0, 0, 0, 0);
	f->barriers = syscall(SYS_membarrier, REGISTRATIONS, 0, 0);
	f->adj = read_number("/proc/self/oom_score_adj", 10);
	f->filter = read_number("/proc/self/coredump_filter", 16);
	read_perms(f->perms);
}

static void set_all(bool second)
{
	write_file("/proc/self/oom_score_adj", second ? "1000" : "123");
	write_file("/proc/self/coredump_filter", second ? "0" : "0x1ff");
	prctl(PR_SET_CHILD_SUBREAPER, !second);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	prctl(SET_MERGE, !second, 0, 0, 0);
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
		0);
	if (second)
		victim_need(prctl(SET_MDWE, 1, 0, 0, 0) == 0 ||
				    !victim_kernel(6, 3),
			    "MDWE");
	personality(second ? 0x0020000 | ADDR_NO_RANDOMIZE
			   : 0x0400000 | ADDR_NO_RANDOMIZE | 0x8000000);
	if (second)
		prctl(PR_SET_DUMPABLE, 0);
}

static void compare(const char *who, const struct facts *a)
{
	struct facts b;

	look(&b);
	victim_check(a->persona == b.persona, "%s: personality %lx", who,
		     b.persona);
	victim_check(a->dumpable == b.dumpable, "%s: dumpable %ld", who,
		     b.dumpable);
	victim_check(a->subreaper == b.subreaper, "%s: subreaper %ld", who,
		     b.subreaper);
	victim_check(a->thp == b.thp, "%s: THP %ld", who, b.thp);
	victim_check(a->mdwe == b.mdwe, "%s: MDWE %ld", who, b.mdwe);
	victim_check(a->merge == b.merge, "%s: merge %ld", who, b.merge);
	victim_check(a->barriers == b.barriers, "%s: membarrier %lx", who,
		     b.barriers);
	victim_check(a->adj == b.adj, "%s: oom_score_adj %ld", who, b.adj);
	victim_check(a->filter == b.filter, "%s: coredump_filter %lx", who,
		     b.filter);
	victim_check(!memcmp(a->perms, b.perms, 4), "%s: page is %s", who,
		     b.perms);
}

/* An orphan of ours becomes our child. */
static bool adopts(void)
{
	int pipes[2];
	pid_t child, grandchild = 0;

	if (pipe(pipes) < 0)
		return false;
	child = fork();
	if (child == 0) {
		pid_t pid = fork();

		if (pid == 0) {
			victim_nap(20000000);
			_exit(0);
		}
		_exit(write(pipes[1], &pid, sizeof(pid)) < 0);
	}
	return waitpid(child, NULL, 0) == child &&
	       read(pipes[0], &grandchild, sizeof(grandchild)) > 0 &&
	       waitpid(grandchild, NULL, 0) == grandchild;
}

int main(void)
{
	struct facts before;
	pid_t child;
	int status;

	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child = fork();
	set_all(child == 0);
	look(&before);
	if (child == 0) {
		victim_wait_go();
		compare("child", &before);
		_exit(0);
	}
	victim_nap(20000000);
	victim_wait();
	compare("parent", &before);
	victim_check(waitpid(child, &status, 0) == child && status == 0,
		     "child: %#x", (unsigned int)status);
	victim_check(adopts(), "it is no subreaper");
	victim_verdict(victim_interrupts == 0, "process attributes are the "
					       "same");
}
