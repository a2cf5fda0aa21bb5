/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc says of the address space: program, arguments, auxv, fields. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

struct text {
	char data[65536];
	ssize_t len;
};

static struct text before[3], after[3];
static const char *const name[3] = { "/proc/self/cmdline", "/proc/self/environ",
				     "/proc/self/auxv" };

static void read_text(const char *path, struct text *to)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	to->len = read(fd, to->data, sizeof(to->data));
	victim_need(fd >= 0 && to->len > 0, path);
	close(fd);
}

/* Fields 26 to 28 and 45 to 51 of stat. */
static void read_fields(unsigned long long to[10])
{
	static struct text stat;
	char *p;
	int field = 2, n = 0;

	read_text("/proc/self/stat", &stat);
	stat.data[stat.len] = '\0';
	p = strrchr(stat.data, ')');
	while (p && n < 10) {
		p = strchr(p + 1, ' ');
		field++;
		if (p && ((field >= 26 && field <= 28) ||
			  (field >= 45 && field <= 51)))
			to[n++] = strtoull(p, NULL, 10);
	}
	victim_need(n == 10, "stat");
}

int main(int argc, char **argv, char **envp)
{
	unsigned long long fields[10], now[10];
	char exe[4096] = "", exe_now[4096] = "";
	struct stat st, st_now;
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
	char *heap = malloc(100000);

	(void)argc;
	/* A program that writes its state where its arguments were. */
	argv[0][0] = 'V';
	envp[0][0] = 'E';
	victim_need(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0 &&
			    stat("/proc/self/exe", &st) == 0,
		    "exe");
	for (int i = 0; i < 3; i++)
		read_text(name[i], &before[i]);
	read_fields(fields);

	victim_wait();

	for (int i = 0; i < 3; i++) {
		read_text(name[i], &after[i]);
		victim_check(before[i].len == after[i].len &&
				     memcmp(before[i].data, after[i].data,
					    (size_t)after[i].len) == 0,
			     "%s differs", name[i]);
	}
	victim_check(readlink("/proc/self/exe", exe_now, sizeof(exe_now) - 1) >
				     0 &&
			     strcmp(exe, exe_now) == 0,
		     "exe is %s, was %s", exe_now, exe);
	victim_check(stat("/proc/self/exe", &st_now) == 0 &&
			     st_now.st_ino == st.st_ino,
		     "exe is another file");
	read_fields(now);
	for (int i = 0; i < 10; i++)
		victim_check(fields[i] == now[i],
			     "field %d of stat is %#llx, was %#llx", i, now[i],
			     fields[i]);
	victim_check(memcmp((void *)vdso, "\177ELF", 4) == 0,
		     "no vDSO where the program knows it");
	heap = realloc(heap, 300000);
	victim_verdict(heap != NULL, "the address space looks as it did");
}
