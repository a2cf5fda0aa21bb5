// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of /proc that speak of this process or of the whole machine. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/victim.h"

static int open_proc(const char *name)
{
	int fd = open(name, O_RDONLY);

	victim_need(fd >= 0, name);
	return fd;
}

int main(void)
{
	int status = open_proc("/proc/self/stat");
	int memory = open_proc("/proc/meminfo");
	int task = open_proc("/proc/self/task");
	int directory = open_proc("/proc/self");
	char text[256] = "", name[16];
	struct stat st;
	int pid = 0, n;

	victim_need(read(memory, text, 9) == 9, "read");

	victim_wait();

	victim_check(read(status, text, sizeof(text) - 1) > 0 &&
			     sscanf(text, "%d (proc_file", &pid) == 1 &&
			     pid == getpid(),
		     "it speaks of process %d: %s", pid, text);
	n = (int)read(memory, text, 20);
	victim_check(n == 20 && strstr(text, "kB"), "a position is kept: %.20s",
		     text);
	snprintf(name, sizeof(name), "%d", getpid());
	victim_check(fstatat(task, name, &st, 0) == 0, "threads are listed");
	victim_check(fstatat(directory, "status", &st, 0) == 0,
		     "a directory of /proc");
	victim_verdict(true, "files of /proc speak of the same process");
}
