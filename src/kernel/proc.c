/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define PROC_TEXT_MAX (4u << 20) /* status with 65536 groups fits */

int proc_open(pid_t pid, pid_t tid, int *ret_fd, struct err *err)
{
	char path[64];
	int fd;

	if (tid > 0)
		snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid,
			 (int)tid);
	else
		snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* An open directory of a dead process stays; a new one does not. */
	if (fd < 0)
		return err_num(err, errno == ENOENT ? ESRCH : errno, "%s",
			       path);
	*ret_fd = fd;
	return 0;
}

/*
 * Field 2 of stat is chosen by the job and may hold spaces and brackets; all
 * behind the last ')' is the kernel's.
 */
static int stat_comm(const char *text, struct proc_stat *st, const char **rest)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	size_t len;

	if (!open || !close || close < open)
		return -EINVAL;
	len = (size_t)(close - open) - 1;
	if (len >= sizeof(st->comm))
		return -EINVAL;
	memcpy(st->comm, open + 1, len);
	st->comm[len] = '\0';
	*rest = close + 1;
	return 0;
}

/* Fields 3 to 52 as numbers; the state letter is its own number. */
#define STAT_FIELDS 53
static int stat_fields(const char *p, uint64_t *field)
{
	for (int i = 3; i < STAT_FIELDS; i++) {
		char *end;

		while (*p == ' ')
			p++;
		if (i == 3) {
			if (!isalpha((unsigned char)*p))
				return -EINVAL;
			field[i] = (unsigned char)*p++;
			continue;
		}
		errno = 0;
		field[i] = *p == '-' ? (uint64_t)strtoll(p, &end, 10)
				     : strtoull(p, &end, 10);
		if (end == p || errno)
			return -EINVAL;
		p = end;
	}
	return 0;
}

int proc_read_stat(int proc_fd, struct proc_stat *ret, struct err *err)
{
	uint64_t f[STAT_FIELDS] = { 0 };
	struct proc_stat st = { 0 };
	auto_free char *text = NULL;
	const char *rest = NULL;
	int r;

	r = read_file_at(proc_fd, "stat", PROC_TEXT_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	if (stat_comm(text, &st, &rest) < 0 || stat_fields(rest, f) < 0)
		return err_set(err, -EBADMSG, "stat: not in the known format");
	st.pid = (pid_t)strtol(text, NULL, 10);
	st.state = (char)f[3];
	st.ppid = (pid_t)f[4];
	st.pgid = (pid_t)f[5];
	st.sid = (pid_t)f[6];
	st.tty_nr = (uint32_t)f[7];
	st.flags = (uint32_t)f[9];
	st.start_time = f[22];
	st.start_code = f[26];
	st.end_code = f[27];
	st.start_stack = f[28];
	st.exit_signal = (uint32_t)f[38];
	st.start_data = f[45];
	st.end_data = f[46];
	st.start_brk = f[47];
	st.arg_start = f[48];
	st.arg_end = f[49];
	st.env_start = f[50];
	st.env_end = f[51];
	st.exit_status = (uint32_t)f[52];
	*ret = st;
	return 0;
}

/* Behind "key" at the start of a line; NULL when there is none. */
static const char *line_value(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = text; p && *p;) {
		if (!strncmp(p, key, len) && p[len] == ':') {
			p += len + 1;
			while (*p == ' ' || *p == '\t')
				p++;
			return p;
		}
		p = strchr(p, '\n');
		if (p)
			p++;
	}
	return NULL;
}

int proc_text_u64(const char *text, const char *key, int base, uint64_t *ret,
		  struct err *err)
{
	const char *p = line_value(text, key);
	unsigned long long v;
	char *end;

	if (!p)
		return err_set(err, -ENODATA, "no line \"%s\"", key);
	errno = 0;
	v = strtoull(p, &end, base);
	if (end == p || errno || *p == '-')
		return err_set(err, -EBADMSG, "\"%s\" is not a number", key);
	*ret = v;
	return 0;
}

/* As proc_text_u64, but what this kernel does not print is 0. */
static uint64_t text_or_zero(const char *text, const char *key, int base)
{
	struct err ignored;
	uint64_t v = 0;

	if (proc_text_u64(text, key, base, &v, &ignored) < 0)
		return 0;
	return v;
}

/* Numbers up to the end of the line; returns how many there are. */
static size_t line_numbers(const char *p, uint64_t *ret, size_t room)
{
	size_t n = 0;

	while (p && *p && *p != '\n') {
		char *end;
		unsigned long long v = strtoull(p, &end, 10);

		if (end == p)
			break;
		if (n < room)
			ret[n] = v;
		n++;
		for (p = end; *p == ' ' || *p == '\t';)
			p++;
	}
	return n;
}

/* The innermost of the ids that a NS... line lists; -1 without one. */
static pid_t innermost(const char *text, const char *key, unsigned int *levels)
{
	uint64_t ids[64];
	size_t n = line_numbers(line_value(text, key), ids, ARRAY_SIZE(ids));

	if (levels)
		*levels = (unsigned int)n;
	if (n == 0 || n > ARRAY_SIZE(ids))
		return -1;
	return (pid_t)ids[n - 1];
}

static int status_ids(const char *text, const char *key, uint32_t ret[4])
{
	uint64_t v[4];

	if (line_numbers(line_value(text, key), v, 4) != 4)
		return -EBADMSG;
	for (int i = 0; i < 4; i++)
		ret[i] = (uint32_t)v[i];
	return 0;
}

static int status_groups(const char *text, struct proc_status *st)
{
	const char *line = line_value(text, "Groups");
	size_t n = line_numbers(line, NULL, 0);
	auto_free uint64_t *v = NULL;

	if (!line)
		return -EBADMSG;
	v = calloc(n ? n : 1, sizeof(*v));
	st->groups = calloc(n ? n : 1, sizeof(*st->groups));
	if (!v || !st->groups)
		return -ENOMEM;
	line_numbers(line, v, n);
	for (size_t i = 0; i < n; i++)
		st->groups[i] = (uint32_t)v[i];
	st->ngroups = n;
	return 0;
}

static int status_signals(const char *text, struct proc_status *st,
			  struct err *err)
{
	static const char *const caps[] = { "CapInh", "CapPrm", "CapEff",
					    "CapBnd", "CapAmb" };
	const struct {
		const char *key;
		uint64_t *value;
	} sets[] = {
		{ "SigPnd", &st->sig_pending },
		{ "ShdPnd", &st->shared_pending },
		{ "SigBlk", &st->sig_blocked },
		{ "SigIgn", &st->sig_ignored },
		{ "SigCgt", &st->sig_caught },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sets) && r == 0; i++)
		r = proc_text_u64(text, sets[i].key, 16, sets[i].value, err);
	for (size_t i = 0; i < ARRAY_SIZE(caps) && r == 0; i++)
		r = proc_text_u64(text, caps[i], 16, &st->caps[i], err);
	return r;
}

/* "thread mitigated", "conditional force disabled", or set by nobody. */
static enum speculation restricted(const char *text, const char *key)
{
	const char *value = line_value(text, key);

	if (!value)
		return SPECULATION_FREE;
	if (!strncmp(value, "thread mitigated", 16) ||
	    !strncmp(value, "conditional disabled", 20))
		return SPECULATION_OFF;
	if (!strncmp(value, "thread force mitigated", 22) ||
	    !strncmp(value, "conditional force disabled", 26))
		return SPECULATION_FORCED_OFF;
	return SPECULATION_FREE;
}

/* Lines that a kernel may lack, or that a zombie has none of. */
static void status_optional(const char *text, struct proc_status *st)
{
	const char *features = line_value(text, "x86_Thread_features");
	const char *end = features ? strchrnul(features, '\n') : NULL;
	const char *hit = features ? strstr(features, "shstk") : NULL;
	const char *thp = line_value(text, "THP_enabled");

	st->shadow_stack = hit && hit < end;
	st->thp_disabled = thp && *thp == '0';
	st->kernel_thread = text_or_zero(text, "Kthread", 10) != 0;
	st->spec_store_bypass = restricted(text, "Speculation_Store_Bypass");
	st->spec_indirect_branch =
		restricted(text, "SpeculationIndirectBranch");
	st->umask = (uint32_t)text_or_zero(text, "Umask", 8);
	st->threads = (uint32_t)text_or_zero(text, "Threads", 10);
	st->no_new_privs = (uint32_t)text_or_zero(text, "NoNewPrivs", 10);
	st->seccomp = (uint32_t)text_or_zero(text, "Seccomp", 10);
	st->seccomp_filters =
		(uint32_t)text_or_zero(text, "Seccomp_filters", 10);
	st->vm_swap_kb = text_or_zero(text, "VmSwap", 10);
	st->vm_rss_kb = text_or_zero(text, "VmRSS", 10);
	st->tracer = (pid_t)text_or_zero(text, "TracerPid", 10);
	st->tgid = (pid_t)text_or_zero(text, "Tgid", 10);
}

int proc_read_status(int proc_fd, struct proc_status *ret, struct err *err)
{
	struct proc_status st = { 0 };
	auto_free char *text = NULL;
	int r;

	r = read_file_at(proc_fd, "status", PROC_TEXT_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	status_optional(text, &st);
	r = status_signals(text, &st, err);
	if (r < 0)
		return err_wrap(err, r, "status");
	st.ns_tgid = innermost(text, "NStgid", NULL);
	st.ns_pid = innermost(text, "NSpid", &st.ns_levels);
	st.ns_pgid = innermost(text, "NSpgid", NULL);
	st.ns_sid = innermost(text, "NSsid", NULL);
	if (st.ns_tgid < 0 || st.ns_pid < 0 || st.ns_pgid < 0 || st.ns_sid < 0)
		return err_set(err, -EBADMSG, "status: no NS ids");
	if (status_ids(text, "Uid", st.uids) < 0 ||
	    status_ids(text, "Gid", st.gids) < 0)
		return err_set(err, -EBADMSG, "status: no Uid or Gid");
	r = status_groups(text, &st);
	if (r < 0) {
		proc_status_done(&st);
		return err_num(err, r, "status: Groups");
	}
	*ret = st;
	return 0;
}

void proc_status_done(struct proc_status *st)
{
	free(st->groups);
	st->groups = NULL;
	st->ngroups = 0;
}

int proc_read_children(int task_fd, pid_t **ret, size_t *ret_count,
		       struct err *err)
{
	auto_free uint64_t *v = NULL;
	auto_free char *text = NULL;
	pid_t *pids;
	size_t n;
	int r;

	r = read_file_at(task_fd, "children", PROC_TEXT_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	n = line_numbers(text, NULL, 0);
	v = calloc(n ? n : 1, sizeof(*v));
	pids = calloc(n ? n : 1, sizeof(*pids));
	if (!v || !pids) {
		free(pids);
		return err_num(err, ENOMEM, "children");
	}
	line_numbers(text, v, n);
	for (size_t i = 0; i < n; i++)
		pids[i] = (pid_t)v[i];
	*ret = pids;
	*ret_count = n;
	return 0;
}

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* The numbers that name the entries of a directory, ascending. */
static int read_numbers(int dir_fd, const char *name, int **ret,
			size_t *ret_count, struct err *err)
{
	auto_close int fd =
		openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = NULL;
	auto_free int *list = NULL;
	size_t n = 0, room = 0;
	struct dirent *e;

	if (fd < 0 || !(dir = fdopendir(fd)))
		return err_num(err, errno == ENOENT ? ESRCH : errno, "%s",
			       name);
	take_fd(&fd);
	while (errno = 0, (e = readdir(dir))) {
		uint64_t v;

		if (parse_u64(e->d_name, INT_MAX, &v) < 0)
			continue;
		if (n == room) {
			int *more;

			room = room ? 2 * room : 16;
			more = reallocarray(list, room, sizeof(*list));
			if (!more)
				return err_num(err, ENOMEM, "%s", name);
			list = more;
		}
		list[n++] = (int)v;
	}
	if (errno)
		return err_sys(err, "%s: read", name);
	if (n)
		qsort(list, n, sizeof(*list), compare_ints);
	*ret = take_ptr(list);
	*ret_count = n;
	return 0;
}

int proc_read_threads(int proc_fd, pid_t **ret, size_t *ret_count,
		      struct err *err)
{
	return read_numbers(proc_fd, "task", ret, ret_count, err);
}

int proc_read_fds(int proc_fd, int **ret, size_t *ret_count, struct err *err)
{
	return read_numbers(proc_fd, "fd", ret, ret_count, err);
}

int proc_read_link(int proc_fd, const char *name, char **ret, struct err *err)
{
	/* The kernel builds the text in one page: longer ones do not exist. */
	char buf[4097];
	ssize_t n = readlinkat(proc_fd, name, buf, sizeof(buf) - 1);
	char *text;

	if (n < 0)
		return err_sys(err, "%s", name);
	buf[n] = '\0';
	text = strdup(buf);
	if (!text)
		return err_num(err, ENOMEM, "%s", name);
	*ret = text;
	return 0;
}

int proc_stat_link(int proc_fd, const char *name, struct stat *ret,
		   struct err *err)
{
	auto_free char *path = NULL;
	struct err ignored;

	if (fstatat(proc_fd, name, ret, 0) == 0)
		return 0;
	if (errno != EACCES)
		return err_sys(err, "%s: stat", name);
	if (proc_read_link(proc_fd, name, &path, &ignored) < 0)
		return err_num(err, EACCES, "%s: stat", name);
	return err_set(err, -ENOTSUP,
		       "%s %.150s: its file system lets not even root in "
		       "(FUSE): mount it with allow_other before the job "
		       "begins, or unmount it",
		       name, path);
}

static bool is_gone(int proc_fd)
{
	struct stat st;

	return fstatat(proc_fd, "stat", &st, 0) < 0;
}

int proc_stat_ns(int proc_fd, const char *kind, struct stat *ret,
		 struct err *err)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "ns/%s", kind);
	if (fstatat(proc_fd, name, ret, 0) == 0)
		return 0;
	/* The kernel refuses links of processes that are no more. */
	if (errno == EACCES)
		errno = is_gone(proc_fd) ? ESRCH : EACCES;
	return err_sys(err, "%s", name);
}

static int timens_line(const char *text, const char *name, int64_t *ret)
{
	const char *p = strstr(text, name);
	long long sec, nsec;

	if (!p || sscanf(p + strlen(name), "%lld %lld", &sec, &nsec) != 2)
		return -EBADMSG;
	*ret = sec * (int64_t)NSEC_PER_SEC + nsec;
	return 0;
}

int proc_read_timens(int proc_fd, int64_t *ret_monotonic, int64_t *ret_boottime,
		     struct err *err)
{
	auto_free char *text = NULL;
	int64_t mono, boot;
	int r;

	r = read_file_at(proc_fd, "timens_offsets", 4096, &text, NULL, err);
	if (r == -ENOENT) {
		/* A kernel without time namespaces: all are in the first. */
		*ret_monotonic = *ret_boottime = 0;
		return 0;
	}
	if (r < 0)
		return r;
	if (timens_line(text, "monotonic", &mono) < 0 ||
	    timens_line(text, "boottime", &boot) < 0)
		return err_set(err, -EBADMSG,
			       "timens_offsets: not in the known format");
	*ret_monotonic = mono;
	*ret_boottime = boot;
	return 0;
}
