// SPDX-License-Identifier: GPL-2.0-or-later
/* Pseudo terminals: numbers, settings, what is not read, ends that are gone. */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "../lib/victim.h"

#define MOST 4000 /* bytes of output */

struct pty {
	int master, slave;
	unsigned int index;
};

static char name[32];

static const char *path(const struct pty *p)
{
	snprintf(name, sizeof(name), "/dev/pts/%u", p->index);
	return name;
}

static struct pty make(const char *ptmx)
{
	struct pty p = { .master = open(ptmx, O_RDWR | O_NOCTTY) };
	const int off = 0;

	victim_need(p.master >= 0 && ioctl(p.master, TIOCSPTLCK, &off) == 0 &&
			    ioctl(p.master, TIOCGPTN, &p.index) == 0,
		    ptmx);
	p.slave = open(path(&p), O_RDWR | O_NOCTTY | O_NONBLOCK);
	victim_need(p.slave >= 0, "slave");
	return p;
}

static short events(int fd, short which)
{
	struct pollfd p = { .fd = fd, .events = which };

	poll(&p, 1, 0);
	return p.revents;
}

static bool reads(int fd, const char *text)
{
	char buf[256];
	ssize_t n;

	(void)events(fd, POLLIN);
	n = read(fd, buf, sizeof(buf));
	if (n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0)
		return true;
	return victim_check(false, "read %zd (errno %d) and not \"%s\"", n,
			    n < 0 ? errno : 0, text);
}

static void put(int fd, const char *text)
{
	victim_need(write(fd, text, strlen(text)) == (ssize_t)strlen(text),
		    "write");
}

static void set_raw(int fd)
{
	struct termios t;

	tcgetattr(fd, &t);
	cfmakeraw(&t);
	tcsetattr(fd, TCSANOW, &t);
}

static void check_number(const struct pty *p, const char *what)
{
	unsigned int index = ~0u;
	struct stat a, b;

	victim_check(ioctl(p->master, TIOCGPTN, &index) == 0 &&
			     index == p->index,
		     "%s: index %u, not %u", what, index, p->index);
	victim_check(stat(path(p), &a) == 0 && fstat(p->slave, &b) == 0 &&
			     a.st_rdev == b.st_rdev && a.st_dev == b.st_dev &&
			     minor(a.st_rdev) == p->index,
		     "%s: %s is its slave", what, path(p));
}

static int unread(int fd)
{
	int n = -1;

	(void)events(fd, POLLIN);
	(void)ioctl(fd, FIONREAD, &n);
	return n;
}

/* The kernel adds O_LARGEFILE to all. */
static unsigned int flags(int fd)
{
	return (unsigned int)fcntl(fd, F_GETFL) & ~0100000u;
}

/* The settings that nobody has by chance. */
static void fill(struct termios *t)
{
	tcgetattr(0, t);
	t->c_iflag = IXANY | IUTF8 | ISTRIP;
	t->c_oflag = OPOST | OLCUC;
	t->c_cflag = CS7 | CREAD | CSTOPB | HUPCL;
	t->c_lflag = ICANON | ECHOK | NOFLSH;
	for (int i = 0; i < NCCS; i++)
		t->c_cc[i] = (cc_t)(200 + i);
	cfsetispeed(t, B9600);
	cfsetospeed(t, B9600);
}

static struct pty settings;
static struct termios wanted;
static const struct winsize size = { 65535, 2, 3, 65535 };
static dev_t master_dev;
static ino_t master_ino;

static void begin_settings(void)
{
	struct stat st;

	settings = make("/dev/ptmx");
	fill(&wanted);
	tcsetattr(settings.slave, TCSANOW, &wanted);
	tcgetattr(settings.slave, &wanted);
	ioctl(settings.slave, TIOCSWINSZ, &size);
	ioctl(settings.slave, TIOCEXCL);
	ioctl(settings.master, TIOCEXCL);
	fcntl(settings.master, F_SETFL, O_NONBLOCK);
	fchmod(settings.slave, 0606);
	fstat(settings.master, &st);
	master_dev = st.st_dev;
	master_ino = st.st_ino;
}

static void check_settings(void)
{
	struct winsize is = { 0 };
	int slave = 0, master = 0;
	struct termios now;
	struct stat st;

	check_number(&settings, "settings");
	memset(&now, 0, sizeof(now));
	tcgetattr(settings.slave, &now);
	victim_check(now.c_iflag == wanted.c_iflag, "c_iflag %x", now.c_iflag);
	victim_check(now.c_oflag == wanted.c_oflag, "c_oflag %x", now.c_oflag);
	victim_check(now.c_cflag == wanted.c_cflag, "c_cflag %x", now.c_cflag);
	victim_check(now.c_lflag == wanted.c_lflag, "c_lflag %x", now.c_lflag);
	victim_check(memcmp(now.c_cc, wanted.c_cc, 19) == 0, "c_cc");
	victim_check(ioctl(settings.master, TIOCGWINSZ, &is) == 0 &&
			     memcmp(&is, &size, sizeof(is)) == 0,
		     "size %u %u %u %u", is.ws_row, is.ws_col, is.ws_xpixel,
		     is.ws_ypixel);
	ioctl(settings.slave, TIOCGEXCL, &slave);
	ioctl(settings.master, TIOCGEXCL, &master);
	victim_check(slave && master, "exclusive: %d, %d", slave, master);
	victim_check(flags(settings.master) == (O_RDWR | O_NONBLOCK),
		     "flags of the master %x", flags(settings.master));
	fstat(settings.slave, &st);
	victim_check((st.st_mode & 07777) == 0606 && st.st_uid == getuid() &&
			     st.st_gid == 5,
		     "mode %o of %u:%u", st.st_mode, st.st_uid, st.st_gid);
	fstat(settings.master, &st);
	victim_check(st.st_dev == master_dev && st.st_ino == master_ino,
		     "the master is of /dev/ptmx");
}

/* Lines, an end of file, and one that is being typed; and output. */
static struct pty lines, bytes, packets, most, keyed;

static void begin_contents(void)
{
	const int on = 1;

	lines = make("/dev/ptmx");
	bytes = make("/dev/pts/ptmx");
	packets = make("/dev/ptmx");
	put(lines.master, "one\ntwo\n\004edi");
	victim_need(victim_until(unread(lines.master) == 13), "echo");
	put(lines.slave, "out\n");
	set_raw(bytes.slave);
	put(bytes.master, "raw\003\004\n");
	put(bytes.slave, "a\nb");
	set_raw(packets.slave);
	ioctl(packets.master, TIOCPKT, &on);
	put(packets.slave, "data");
	most = make("/dev/ptmx");
	set_raw(most.slave);
	for (int i = 0; i < MOST; i++)
		victim_need(write(most.slave, &(uint8_t){ (uint8_t)i }, 1) == 1,
			    "much output");
	victim_need(victim_until(unread(most.master) == MOST), "much output");
	keyed = make("/dev/ptmx");
	put(keyed.slave, "held");
	put(keyed.master, "\023");
	victim_need(victim_until(
			    !(events(keyed.slave, POLLIN | POLLOUT) & POLLOUT)),
		    "ctrl-S");
	(void)events(lines.slave, POLLIN);
}

static void check_most(void)
{
	uint8_t c;
	int n = 0;

	victim_check(unread(most.master) == MOST, "%d bytes of output",
		     unread(most.master));
	while (n < MOST && read(most.master, &c, 1) == 1 && c == (uint8_t)n)
		n++;
	victim_check(n == MOST, "byte %d is another", n);
}

static void check_keyed(void)
{
	victim_check(reads(keyed.master, "held"), "what was written before");
	victim_check(write(keyed.slave, "x", 1) < 0 && errno == EAGAIN,
		     "ctrl-S holds output back");
	put(keyed.master, "\021");
	victim_check(victim_until(events(keyed.slave, POLLOUT) & POLLOUT) &&
			     write(keyed.slave, "x", 1) == 1 &&
			     reads(keyed.master, "x"),
		     "until ctrl-Q");
}

static void check_contents(void)
{
	int packet = 0;

	check_number(&lines, "lines");
	check_number(&bytes, "bytes");
	victim_check(reads(lines.slave, "one\n") &&
			     reads(lines.slave, "two\n") &&
			     reads(lines.slave, ""),
		     "lines, and an end of file");
	victim_check(read(lines.slave, name, 1) < 0 && errno == EAGAIN,
		     "the last line is not ended");
	victim_check(reads(lines.master, "one\r\ntwo\r\nediout\r\n"),
		     "echo and output");
	put(lines.master, "\177ted\n");
	victim_check(reads(lines.slave, "edted\n"), "it is still edited");
	victim_check(reads(bytes.slave, "raw\003\004\n"), "bytes");
	victim_check(reads(bytes.master, "a\nb"), "output as it is");
	ioctl(packets.master, TIOCGPKT, &packet);
	victim_check(packet, "packet mode");
	victim_check(!(events(packets.master, POLLPRI) & POLLPRI),
		     "no change was told");
	victim_check(read(packets.master, name, 8) == 5 && name[0] == 0 &&
			     memcmp(name + 1, "data", 4) == 0,
		     "output in packets");
}

/* Ends that are closed, held twice, locked; output that is held back. */
static struct pty closed, again, hung, twice, locked, held, unused;

static void begin_ends(void)
{
	const int on = 1;

	unused = make("/dev/ptmx");
	closed = make("/dev/ptmx");
	put(closed.slave, "last");
	close(closed.slave);
	again = make("/dev/ptmx");
	hung = make("/dev/ptmx");
	close(hung.master);
	twice = make("/dev/ptmx");
	locked = make("/dev/ptmx");
	ioctl(locked.master, TIOCSPTLCK, &on);
	held = make("/dev/ptmx");
	set_raw(held.slave);
	ioctl(held.slave, TCXONC, TCOOFF);
	close(unused.slave);
	close(unused.master);
}

static void check_hung(void)
{
	struct stat st;
	char c;

	victim_check(read(hung.slave, &c, 1) == 0, "a hung up slave ends");
	victim_check(write(hung.slave, "x", 1) < 0 && errno == EIO,
		     "and takes nothing");
	victim_check(events(hung.slave, POLLIN) & POLLHUP, "POLLHUP");
	victim_check(fstat(hung.slave, &st) == 0 &&
			     minor(st.st_rdev) == hung.index && !st.st_nlink,
		     "it is still number %u", hung.index);
	victim_check(stat(path(&hung), &st) < 0, "%s is gone", path(&hung));
}

static void check_ends(int second)
{
	unsigned int free_index = unused.index;
	int lock = 0, fd;

	closed.slave = open(path(&closed), O_RDWR | O_NOCTTY | O_NONBLOCK);
	victim_check(closed.slave >= 0, "a slave can be opened");
	close(closed.slave);
	victim_check(reads(closed.master, "last"), "its last words");
	victim_check(read(closed.master, name, 1) < 0 && errno == EIO,
		     "a master without slaves ends");
	check_hung();
	fcntl(twice.slave, F_SETFL, 0);
	victim_check(flags(second) == (O_WRONLY | O_NONBLOCK),
		     "two openings have flags of their own");
	put(second, "x");
	victim_check(reads(twice.master, "x"), "both are of it");
	ioctl(locked.master, TIOCGPTLCK, &lock);
	fd = open(path(&locked), O_RDWR | O_NOCTTY);
	victim_check(lock == 1 && fd < 0 && errno == EIO, "the lock");
	victim_check(write(held.slave, "x", 1) < 0 && errno == EAGAIN,
		     "output is held back");
	ioctl(held.slave, TCXONC, TCOON);
	victim_check(write(held.slave, "x", 1) == 1 && reads(held.master, "x"),
		     "and then it is not");
	unused = make("/dev/ptmx");
	victim_check(unused.index == free_index, "a number that was free: %u",
		     unused.index);
}

int main(void)
{
	int second, pollable;

	signal(SIGTTOU, SIG_IGN);
	pollable = open("/dev/null", O_RDONLY);
	victim_need(pollable >= 0, "null");
	begin_settings();
	begin_contents();
	begin_ends();
	second = open(path(&twice), O_WRONLY | O_NOCTTY | O_NONBLOCK);
	victim_need(second >= 0, "second");

	victim_wait();

	victim_check(events(closed.master, POLLIN) & POLLHUP, "hung up before");
	check_settings();
	check_contents();
	check_most();
	check_keyed();
	check_ends(second);
	victim_verdict(true, "pseudo terminals are as they were");
}
