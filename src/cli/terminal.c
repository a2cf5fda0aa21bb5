/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The caller's terminal and a job's: keys go there, output comes here.  Ours
 * is raw meanwhile, so that ctrl-C and the like are the job's.
 */
#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "wire/terminal.h"

enum end { GOES_ON, ENDED, DETACHED, TAKEN, SIGNALLED };

struct view {
	const struct cli *cli;
	struct look *look;
	int tty, signals;
	struct termios saved;
	bool raw, input, prefix, alternate, lost;
	int signal;
	char tail[8]; /* of the output: a sequence may come in two pieces */
	size_t ntail;
};

int look_parse_key(const char *text, int *ret)
{
	const char *at = *text == '^'                 ? text + 1
			 : !strncmp(text, "ctrl-", 5) ? text + 5
						      : "";

	*ret = 0;
	if (!strcmp(text, "none"))
		return 0;
	if (!at[0] || at[1])
		return -EINVAL;
	*ret = at[0] & 0x1f;
	return ((at[0] >= '@' && at[0] <= '_') ||
		(at[0] >= 'a' && at[0] <= 'z')) &&
			       *ret
		       ? 0
		       : -EINVAL;
}

int look_pair(int ret[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0)
		return err_sys(err, "socketpair");
	return 0;
}

int look_own_terminal(void)
{
	return isatty(STDIN_FILENO)    ? STDIN_FILENO
	       : isatty(STDOUT_FILENO) ? STDOUT_FILENO
				       : -1;
}

/* Only keys that come from a terminal are to be taken as they are. */
static void be_raw(struct view *v)
{
	struct termios raw = v->saved;

	if (v->tty != STDIN_FILENO || v->look->read_only)
		return;
	cfmakeraw(&raw);
	v->raw = tcsetattr(v->tty, TCSADRAIN, &raw) == 0;
}

static void be_cooked(struct view *v)
{
	if (v->raw)
		(void)tcsetattr(v->tty, TCSADRAIN, &v->saved);
	v->raw = false;
}

static void put(const char *text)
{
	struct err unused;

	(void)write_all(STDOUT_FILENO, text, strlen(text), &unused);
}

/* The job goes on with its screen; ours is to be of use again. */
static void leave_screen(const struct view *v)
{
	if (!isatty(STDOUT_FILENO))
		return;
	if (v->alternate)
		put("\033[?1049l");
	put("\033[?2004l\033[?25h\033[m");
}

static void send_message(struct view *v, struct terminal_message *m,
			 enum terminal_kind kind, size_t len)
{
	m->kind = (uint16_t)kind;
	(void)!send(v->look->socket, m, TERMINAL_HEAD + len, MSG_NOSIGNAL);
}

static void send_size(struct view *v)
{
	struct terminal_message m = { 0 };
	struct winsize size;

	if (v->tty < 0 || ioctl(v->tty, TIOCGWINSZ, &size) < 0)
		return;
	m.rows = size.ws_row;
	m.columns = size.ws_col;
	send_message(v, &m, TERMINAL_SIZE, 0);
}

/* The key and d: go.  The key twice: the key.  Else both are the job's. */
static bool take_keys(struct view *v, const uint8_t *keys, size_t n,
		      struct terminal_message *m, size_t *ret)
{
	size_t i, used = 0;

	for (i = 0; i < n; i++) {
		bool is_key = v->look->key && keys[i] == v->look->key;

		if (!v->prefix && is_key && v->tty == STDIN_FILENO) {
			v->prefix = true;
			continue;
		}
		if (v->prefix && keys[i] == 'd') {
			*ret = used;
			return true;
		}
		if (v->prefix && !is_key)
			m->data[used++] = (uint8_t)v->look->key;
		v->prefix = false;
		m->data[used++] = keys[i];
	}
	*ret = used;
	return false;
}

static enum end read_keys(struct view *v)
{
	struct terminal_message m = { 0 };
	uint8_t keys[TERMINAL_DATA / 2];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
	size_t len = 0;
	bool go;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return GOES_ON;
	if (n <= 0) {
		v->input = false;
		send_message(v, &m, TERMINAL_EOF, 0);
		return v->tty == STDIN_FILENO ? DETACHED : GOES_ON;
	}
	go = take_keys(v, keys, (size_t)n, &m, &len);
	if (len && !v->look->read_only)
		send_message(v, &m, TERMINAL_INPUT, len);
	return go ? DETACHED : GOES_ON;
}

/* Is it in the alternate screen?  Looked at byte by byte. */
static void watch_screen(struct view *v, const uint8_t *data, size_t len)
{
	static const char mode[] = "\033[?1049";
	size_t i;

	for (i = 0; i < len; i++) {
		if (v->ntail == sizeof(mode) - 1) {
			if (data[i] == 'h' || data[i] == 'l')
				v->alternate = data[i] == 'h';
			v->ntail = 0;
		} else if (data[i] == (uint8_t)mode[v->ntail]) {
			v->ntail++;
		} else {
			v->ntail = data[i] == '\033';
		}
	}
}

static enum end read_job(struct view *v)
{
	struct terminal_message m;
	ssize_t n = recv(v->look->socket, &m, sizeof(m), 0);
	struct err unused;

	if (n < 0 && errno == EINTR)
		return GOES_ON;
	if (n < (ssize_t)TERMINAL_HEAD)
		return ENDED;
	if (m.kind == TERMINAL_TAKEN)
		return TAKEN;
	if (m.kind == TERMINAL_LOST)
		v->lost = true;
	if (m.kind != TERMINAL_OUTPUT)
		return GOES_ON;
	n -= (ssize_t)TERMINAL_HEAD;
	watch_screen(v, m.data, (size_t)n);
	/* Whoever reads us has gone: the job has nothing to do with that. */
	return write_all(STDOUT_FILENO, m.data, (size_t)n, &unused) < 0
		       ? DETACHED
		       : GOES_ON;
}

static enum end read_signals(struct view *v)
{
	struct signalfd_siginfo si;

	if (read(v->signals, &si, sizeof(si)) != sizeof(si))
		return GOES_ON;
	switch (si.ssi_signo) {
	case SIGWINCH:
		send_size(v);
		return GOES_ON;
	case SIGTSTP:
		be_cooked(v);
		kill(getpid(), SIGSTOP);
		/* fallthrough */
	case SIGCONT:
		be_raw(v);
		send_size(v);
		return GOES_ON;
	default:
		v->signal = (int)si.ssi_signo;
		if (!v->look->runs)
			return SIGNALLED;
		cli_pass_signal(v->cli, v->look->job_id, v->signal);
		return GOES_ON;
	}
}

/* A terminal that is hung up gives no more keys, and takes no output. */
static enum end relay(struct view *v)
{
	enum end end = GOES_ON;

	while (end == GOES_ON) {
		struct pollfd fds[3] = {
			{ v->look->socket, POLLIN, 0 },
			{ v->signals, POLLIN, 0 },
			{ v->input ? STDIN_FILENO : -1, POLLIN, 0 },
		};

		if (poll(fds, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			return DETACHED;
		}
		if (fds[1].revents)
			end = read_signals(v);
		if (end == GOES_ON && fds[2].revents)
			end = read_keys(v);
		if (end == GOES_ON && fds[0].revents)
			end = read_job(v);
	}
	return end;
}

static int on_attached(void *arg, const Reply *reply)
{
	*(int *)arg = reply->result < 0 ? cli_fail_reply(reply) : STATUS_OK;
	return 0;
}

static int attach(const struct cli *cli, struct look *look, int tty)
{
	Request req = REQUEST__INIT;
	struct winsize size = { 0 };
	int pair[2], status = STATUS_FAILED, r;
	struct err err = { 0 };

	if (look->socket >= 0)
		return STATUS_OK;
	if (look_pair(pair, &err) < 0)
		return cli_fail(&err);
	if (tty >= 0)
		(void)ioctl(tty, TIOCGWINSZ, &size);
	req.op = REQUEST__OPERATION__ATTACH;
	req.job_id = (char *)look->job_id;
	req.has_read_only = req.has_steal = 1;
	req.has_rows = req.has_columns = 1;
	req.read_only = look->read_only;
	req.steal = look->steal;
	req.rows = size.ws_row;
	req.columns = size.ws_col;
	r = cli_request(cli, &req, &pair[1], 1, on_attached, &status, &err);
	close(pair[1]);
	look->socket = pair[0];
	return r < 0 ? cli_fail(&err) : status;
}

static int catch_signals(sigset_t *ret_old)
{
	static const int caught[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				      SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP,
				      SIGCONT, SIGWINCH };
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(caught); i++)
		sigaddset(&set, caught[i]);
	sigprocmask(SIG_BLOCK, &set, ret_old);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int end_look(struct view *v, enum end end, const sigset_t *old)
{
	const char *id = v->look->job_id;

	if (end != ENDED)
		leave_screen(v);
	be_cooked(v);
	close(v->look->socket);
	close(v->signals);
	if (v->lost)
		fprintf(stderr, "jobcr: some output of job %s was left out\n",
			id);
	if (end == TAKEN || end == DETACHED)
		fprintf(stderr, "%s; job %s goes on: jobcr attach %s\n",
			end == TAKEN ? "taken by another" : "detached", id, id);
	if (end == ENDED)
		return follow_end(v->cli, id, v->look->runs);
	sigprocmask(SIG_SETMASK, old, NULL);
	if (end == SIGNALLED) {
		signal(v->signal, SIG_DFL);
		raise(v->signal);
	}
	return STATUS_OK;
}

int look_at_job(const struct cli *cli, struct look *look)
{
	struct view v = { .cli = cli,
			  .look = look,
			  .tty = look_own_terminal(),
			  .input = true };
	int status = attach(cli, look, v.tty);
	sigset_t old;

	if (status != STATUS_OK)
		return status;
	v.signals = catch_signals(&old);
	if (v.tty >= 0 && tcgetattr(v.tty, &v.saved) < 0)
		v.tty = -1;
	be_raw(&v);
	send_size(&v);
	return end_look(&v, relay(&v), &old);
}
