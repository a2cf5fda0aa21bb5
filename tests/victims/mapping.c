/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mapping.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "victim.h"

#define TEXT_MAX (1u << 20)

static char before[TEXT_MAX], after[TEXT_MAX], raw[TEXT_MAX];

void pattern_fill(void *at, size_t len, uint64_t seed)
{
	uint64_t *p = at;

	for (size_t i = 0; i < len / 8; i++)
		p[i] = (seed + 1) * 0x9e3779b97f4a7c15ull + i;
}

bool pattern_holds(const void *at, size_t len, uint64_t seed)
{
	const uint64_t *p = at;

	for (size_t i = 0; i < len / 8; i++)
		if (p[i] != (seed + 1) * 0x9e3779b97f4a7c15ull + i)
			return false;
	return true;
}

bool all_zero(const void *at, size_t len)
{
	const unsigned char *p = at;

	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* No stdio: it would make mappings of its own. */
static void read_smaps(void)
{
	int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	while (len < TEXT_MAX - 1 &&
	       (n = read(fd, raw + len, TEXT_MAX - 1 - len)) > 0)
		len += (size_t)n;
	victim_need(fd >= 0 && n == 0, "smaps");
	raw[len] = '\0';
	close(fd);
}

static bool is_head(const char *line)
{
	unsigned long a, b;

	return sscanf(line, "%lx-%lx ", &a, &b) == 2;
}

/*
 * Device and inode of shared memory are new in a restored process, and the
 * file behind private huge pages, which nobody can see, may be another.
 */
static size_t put_head(char *to, size_t room, const char *line)
{
	unsigned long start, end, offset;
	char rights[8] = "";
	int name = 0;

	sscanf(line, "%lx-%lx %7s %lx %*s %*s %n", &start, &end, rights,
	       &offset, &name);
	if (strstr(line, " /anon_hugepage") && rights[3] == 'p')
		offset = 0;
	return (size_t)snprintf(to, room, "%lx-%lx %s %lx %s ", start, end,
				rights, offset, name ? line + name : "");
}

static void leave_out(char *line, const char *flag)
{
	char *at = strstr(line, flag);

	if (at)
		memmove(at, at + strlen(flag), strlen(at + strlen(flag)) + 1);
}

/*
 * "gu" says that there may be guards, and stays when mappings merge; "uw" that
 * the next snapshot is to have what is written.
 */
static size_t put_flags(char *to, size_t room, char *line)
{
	leave_out(line, " gu");
	leave_out(line, " uw");
	/* Where the kernel has soft-dirty marks: nothing that lasts. */
	leave_out(line, " sd");
	return (size_t)snprintf(to, room, "%s\n", line);
}

static void note(char *to)
{
	char *line, *rest = raw;
	size_t at = 0;

	read_smaps();
	while ((line = strsep(&rest, "\n"))) {
		if (is_head(line))
			at += put_head(to + at, TEXT_MAX - at, line);
		else if (strncmp(line, "KernelPageSize:", 15) == 0)
			at += (size_t)snprintf(to + at, TEXT_MAX - at, "%s ",
					       line);
		else if (strncmp(line, "VmFlags:", 8) == 0)
			at += put_flags(to + at, TEXT_MAX - at, line);
	}
}

void mappings_note(void)
{
	/* Twice: the first time may make pages and mappings itself. */
	note(before);
	note(before);
}

void mappings_compare(void)
{
	char *a, *b, *rest_a = before, *rest_b = after;

	note(after);
	do {
		a = strsep(&rest_a, "\n");
		b = strsep(&rest_b, "\n");
		if (!a || !b || strcmp(a, b) != 0) {
			victim_check(!a && !b, "was {%s} is {%s}",
				     a ? a : "nothing", b ? b : "nothing");
			return;
		}
	} while (a && b);
}
