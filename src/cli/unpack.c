/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/archive.h"
#include "util/cleanup.h"
#include "util/io.h"

/* Of the process that reads the archive. */
#define NOBODY       65534
#define MEMORY_BYTES (1ull << 30)
#define COPY_BYTES   (1u << 20)

enum kind { KIND_FILE = 1, KIND_END, KIND_ERROR };

/* In front of a file's bytes; text: its name, or what is wrong. */
struct header {
	uint32_t kind;
	int32_t code;
	uint64_t size;
	char text[UNPACK_NAME];
};

static void say(enum kind kind, int code, uint64_t size, const char *text)
{
	struct header h = { .kind = kind, .code = code, .size = size };
	struct err unused;

	(void)snprintf(h.text, sizeof(h.text), "%s", text);
	if (write_all(STDOUT_FILENO, &h, sizeof(h), &unused) < 0)
		_exit(1);
}

static void give_up(const char *what, const char *why)
	__attribute__((noreturn));
static void give_up(const char *what, const char *why)
{
	char text[UNPACK_NAME];

	(void)snprintf(text, sizeof(text), "%.200s: %.200s", what, why);
	say(KIND_ERROR, -EBADMSG, 0, text);
	_exit(0);
}

static void check_entry(struct archive_entry *e, const char *name)
{
	if (archive_entry_hardlink(e) || archive_entry_symlink(e) ||
	    archive_entry_filetype(e) != AE_IFREG)
		give_up(name, "not a plain file");
	if (archive_entry_sparse_count(e))
		give_up(name, "a file with holes");
	if (!archive_entry_size_is_set(e) || archive_entry_size(e) < 0)
		give_up(name, "of no size");
	if (strlen(name) >= UNPACK_NAME)
		give_up(name, "its name is too long");
}

static void copy_data(struct archive *a, uint64_t size)
{
	static uint8_t buffer[COPY_BYTES];
	struct err unused;

	while (size) {
		la_ssize_t n = archive_read_data(
			a, buffer,
			size < sizeof(buffer) ? size : sizeof(buffer));

		/* The other side counts on so many bytes: it is told by their
		 * lack. */
		if (n <= 0)
			_exit(1);
		if (write_all(STDOUT_FILENO, buffer, (size_t)n, &unused) < 0)
			_exit(1);
		size -= (uint64_t)n;
	}
}

static void read_archive(void) __attribute__((noreturn));
static void read_archive(void)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	int r;

	if (!a || archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_open_fd(a, STDIN_FILENO, COPY_BYTES) != ARCHIVE_OK)
		give_up("the archive", "cannot be read: no tar file?");
	while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(e);

		if (!name)
			give_up("a file", "without a name");
		check_entry(e, name);
		say(KIND_FILE, 0, (uint64_t)archive_entry_size(e), name);
		copy_data(a, (uint64_t)archive_entry_size(e));
	}
	if (r != ARCHIVE_EOF)
		give_up("the archive", archive_error_string(a)
					       ? archive_error_string(a)
					       : "damaged");
	say(KIND_END, 0, 0, "");
	_exit(0);
}

/* What it parses is hostile: it has no right, and no file but these two. */
static void become_nobody(int from, int to)
{
	const struct rlimit memory = { MEMORY_BYTES, MEMORY_BYTES };
	const struct rlimit none = { 0, 0 };

	from = fcntl(from, F_DUPFD, 3);
	to = fcntl(to, F_DUPFD, 3);
	if (dup2(from, STDIN_FILENO) < 0 || dup2(to, STDOUT_FILENO) < 0 ||
	    syscall(SYS_close_range, 3u, ~0u, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_AS, &memory) < 0 ||
	    setrlimit(RLIMIT_FSIZE, &none) < 0 ||
	    setrlimit(RLIMIT_CORE, &none) < 0)
		_exit(1);
	if (geteuid() == 0 && (syscall(SYS_setgroups, 0, NULL) < 0 ||
			       setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			       setresuid(NOBODY, NOBODY, NOBODY) < 0))
		_exit(1);
	/* A change of ids would take it back. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(1);
}

int unpack_start(int fd, struct unpacker *ret, struct err *err)
{
	int ends[2];
	pid_t pid;

	*ret = (struct unpacker){ .fd = -1 };
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	/* Fewer changes between the two; it is no failure if not. */
	(void)fcntl(ends[0], F_SETPIPE_SZ, (int)COPY_BYTES);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		become_nobody(fd, ends[1]);
		read_archive();
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_sys(err, "fork");
	}
	*ret = (struct unpacker){ .pid = pid, .fd = ends[0] };
	return 0;
}

static int broken(int r, struct err *err)
{
	return r == -ENODATA ? err_set(err, -EBADMSG,
				       "the archive is cut off, or damaged")
			     : r;
}

int unpack_next(struct unpacker *u, char name[UNPACK_NAME], uint64_t *ret_size,
		struct err *err)
{
	struct header h;
	int r = read_all(u->fd, &h, sizeof(h), err);

	if (r < 0)
		return broken(r, err);
	h.text[sizeof(h.text) - 1] = '\0';
	if (h.kind == KIND_END)
		return 0;
	if (h.kind != KIND_FILE)
		return err_set(err, -EBADMSG, "%s", h.text);
	memcpy(name, h.text, UNPACK_NAME);
	u->left = *ret_size = h.size;
	return 1;
}

int unpack_take(struct unpacker *u, void *data, size_t len, struct err *err)
{
	int r;

	if (len > u->left)
		return err_set(err, -EINVAL, "more than the file has");
	r = read_all(u->fd, data, len, err);
	if (r < 0)
		return broken(r, err);
	u->left -= len;
	return 0;
}

void unpack_done(struct unpacker *u)
{
	if (u->pid <= 0)
		return;
	(void)kill(u->pid, SIGKILL);
	while (waitpid(u->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(u->fd);
	u->pid = 0;
}
