// SPDX-License-Identifier: GPL-2.0-or-later
/* Unix sockets with names: listening, accepted, for datagrams. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

struct name {
	struct sockaddr_un un;
	socklen_t len;
};

struct names {
	struct name path, abstract, relative, removed, replaced, server, sender,
		gone, quiet, own;
	int listener, abstract_listener, relative_listener, removed_listener,
		replaced_listener;
	int client[2], accepted[2]; /* of listener; of one that is closed */
	int waiting[2];             /* for abstract_listener to accept */
	int half_client, half_accepted;
	int server_fd, sender_fd, connected, automatic, mutual[2], quiet_fd;
	int child_accepted;
	struct name automatic_name[2];
	int automatic_client[2], automatic_accepted[2];
	int zombie_accepted, self, named[2], to_dead;
	pid_t child, zombie;
};

static void make_name(struct name *n, const char *prefix, const char *text)
{
	*n = (struct name){ .un.sun_family = AF_UNIX };
	if (*prefix == '@')
		snprintf(n->un.sun_path + 1, sizeof(n->un.sun_path) - 1,
			 "jobcr-victim-%s-%s",
			 strrchr(victim_path("."), '.') - 8, text);
	else
		snprintf(n->un.sun_path, sizeof(n->un.sun_path), "%s%s", prefix,
			 text);
	n->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			     (*prefix == '@' ? 1 + strlen(n->un.sun_path + 1)
					     : 1 + strlen(n->un.sun_path)));
}

static int bound(int type, const struct name *n)
{
	int fd = socket(AF_UNIX, type, 0);

	victim_need(fd >= 0 && bind(fd, (const struct sockaddr *)&n->un,
				    n->len) == 0,
		    n->un.sun_path);
	return fd;
}

static int listening(int type, const struct name *n, int backlog)
{
	int fd = bound(type, n);

	victim_need(listen(fd, backlog) == 0, "listen");
	return fd;
}

static int connected(int type, const struct name *n)
{
	int fd = socket(AF_UNIX, type, 0);

	victim_need(fd >= 0 && connect(fd, (const struct sockaddr *)&n->un,
				       n->len) == 0,
		    "connect");
	return fd;
}

static int accepted(int listener)
{
	int fd = accept(listener, NULL, NULL);

	victim_need(fd >= 0, "accept");
	return fd;
}

static void put(int fd, const char *text)
{
	victim_need(send(fd, text, strlen(text), MSG_NOSIGNAL) ==
			    (ssize_t)strlen(text),
		    text);
}

static void take(int fd, const char *text)
{
	char buf[100] = "";
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	victim_check(n == (ssize_t)strlen(text) && !strcmp(buf, text),
		     "\"%s\" (%zd, %s) instead of \"%s\"", buf, n,
		     n < 0 ? strerror(errno) : "", text);
}

typedef int (*get_name_fn)(int fd, struct sockaddr *addr, socklen_t *len);

static void is_named(get_name_fn get, int fd, const struct name *n,
		     const char *what)
{
	struct sockaddr_un un = { 0 };
	socklen_t len = sizeof(un);

	if (get(fd, (struct sockaddr *)&un, &len) < 0)
		len = 0;
	victim_check(n ? len == n->len && !memcmp(&un, &n->un, len)
		       : len == sizeof(sa_family_t),
		     "%s: its name is %.40s%.40s (%u)", what, un.sun_path,
		     un.sun_path + 1, len);
}

static void is_made_by(int fd, pid_t pid, const char *what)
{
	struct ucred c = { 0 };
	socklen_t len = sizeof(c);

	victim_check(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) == 0 &&
			     c.pid == pid && c.uid == geteuid() &&
			     c.gid == getegid(),
		     "%s: made by %d (%u:%u), not %d", what, (int)c.pid, c.uid,
		     c.gid, (int)pid);
}

static void make_names(struct names *n)
{
	static char dir[4096];

	snprintf(dir, sizeof(dir), "%s", victim_path(""));
	make_name(&n->path, dir, "listens");
	make_name(&n->removed, dir, "removed");
	make_name(&n->replaced, dir, "replaced");
	make_name(&n->server, dir, "server");
	make_name(&n->sender, dir, "sender");
	make_name(&n->gone, dir, "gone");
	make_name(&n->quiet, dir, "quiet");
	make_name(&n->abstract, "@", "listens");
	make_name(&n->relative, "", "relative");
}

static void set_up_listeners(struct names *n)
{
	int fd;

	n->listener = listening(SOCK_STREAM, &n->path, 3);
	victim_need(chmod(n->path.un.sun_path, 0640) == 0, "chmod");
	n->abstract_listener = listening(SOCK_SEQPACKET, &n->abstract, 5);
	mkdir(victim_path("dir"), 0755);
	victim_need(chdir(victim_path("dir")) == 0, "chdir");
	n->relative_listener = listening(SOCK_STREAM, &n->relative, 5);
	n->removed_listener = listening(SOCK_STREAM, &n->removed, 5);
	n->client[1] = connected(SOCK_STREAM, &n->removed);
	n->accepted[1] = accepted(n->removed_listener);
	unlink(n->removed.un.sun_path);
	n->replaced_listener = listening(SOCK_STREAM, &n->replaced, 5);
	unlink(n->replaced.un.sun_path);
	fd = open(n->replaced.un.sun_path, O_WRONLY | O_CREAT, 0600);
	victim_need(fd >= 0 && write(fd, "a file", 6) == 6, "file");
	close(fd);
	n->quiet_fd = bound(SOCK_STREAM, &n->quiet);
}

static void set_up_connections(struct names *n)
{
	struct name other;

	n->client[0] = connected(SOCK_STREAM, &n->path);
	n->accepted[0] = accepted(n->listener);
	put(n->client[0], "to the server");
	put(n->accepted[0], "to the client");
	put(n->client[1], "to the removed");
	n->waiting[0] = connected(SOCK_SEQPACKET, &n->abstract);
	n->waiting[1] = connected(SOCK_SEQPACKET, &n->abstract);
	/* Of each connection one end is closed, and then the listener too. */
	make_name(&other, "@", "closed");
	{
		int fd = listening(SOCK_STREAM, &other, 5);
		int gone;

		n->half_client = connected(SOCK_STREAM, &other);
		gone = accepted(fd);
		put(gone, "last words");
		close(gone);
		gone = connected(SOCK_STREAM, &other);
		n->half_accepted = accepted(fd);
		close(gone);
		close(fd);
	}
}

/* A child that connects, and tells what it is asked. */
static void start_child(struct names *n)
{
	n->child = fork();
	if (n->child == 0) {
		int fd = connected(SOCK_STREAM, &n->path);
		char buf[20];

		put(fd, "child");
		victim_need(recv(fd, buf, sizeof(buf), 0) == 4, "recv");
		is_made_by(fd, getppid(), "in the child");
		is_named(getpeername, fd, &n->path, "in the child");
		_exit(0);
	}
	n->child_accepted = accepted(n->listener);
	victim_need(victim_until(recv(n->child_accepted, (char[8]){ 0 }, 8,
				      MSG_PEEK | MSG_DONTWAIT) == 5),
		    "child");
}

/* Of a client that has ended, and that nobody has waited for. */
static void leave_zombie(struct names *n)
{
	n->zombie = fork();
	if (n->zombie == 0) {
		int fd = connected(SOCK_STREAM, &n->path);

		put(fd, "from a zombie");
		_exit(0);
	}
	n->zombie_accepted = accepted(n->listener);
	victim_need(waitid(P_PID, (id_t)n->zombie, &(siginfo_t){ 0 },
			   WEXITED | WNOWAIT) == 0,
		    "zombie");
}

static void send_to(int fd, const struct name *n, const char *text)
{
	victim_need(sendto(fd, text, strlen(text), 0,
			   (const struct sockaddr *)&n->un,
			   n->len) == (ssize_t)strlen(text),
		    text);
}

static void set_up_datagrams(struct names *n)
{
	sa_family_t family = AF_UNIX;
	int fd;

	n->server_fd = bound(SOCK_DGRAM, &n->server);
	n->sender_fd = bound(SOCK_DGRAM, &n->sender);
	n->connected = connected(SOCK_DGRAM, &n->server);
	put(n->connected, "one without a name");
	send_to(n->sender_fd, &n->server, "one with a name");
	fd = bound(SOCK_DGRAM, &n->gone);
	send_to(fd, &n->server, "one that is gone");
	close(fd);
	unlink(n->gone.un.sun_path);
	/* The kernel finds a name. */
	n->automatic = socket(AF_UNIX, SOCK_DGRAM, 0);
	victim_need(bind(n->automatic, (struct sockaddr *)&family,
			 sizeof(family)) == 0,
		    "autobind");
	send_to(n->automatic, &n->server, "automatic");
	victim_need(socketpair(AF_UNIX, SOCK_DGRAM, 0, n->mutual) == 0,
		    "socketpair");
	{
		struct name name;

		make_name(&name, "@", "mutual");
		victim_need(bind(n->mutual[0], (struct sockaddr *)&name.un,
				 name.len) == 0,
			    "bind");
	}
	put(n->mutual[0], "from a mutual one");
}

/* Two that are connected to each other by their names; one to a closed one. */
static void set_up_named(struct names *n)
{
	struct name names[3];
	int fd;

	make_name(&names[0], "@", "one");
	make_name(&names[1], "@", "two");
	make_name(&names[2], "@", "dead");
	for (int i = 0; i < 2; i++)
		n->named[i] = bound(SOCK_DGRAM, &names[i]);
	/* Nobody else may send once it is connected. */
	send_to(n->sender_fd, &names[1], "before");
	for (int i = 0; i < 2; i++)
		victim_need(connect(n->named[i],
				    (struct sockaddr *)&names[!i].un,
				    names[!i].len) == 0,
			    "connect");
	put(n->named[0], "to the named");
	fd = bound(SOCK_DGRAM, &names[2]);
	n->to_dead = connected(SOCK_DGRAM, &names[2]);
	close(fd);
}

/* SO_PASSCRED: the kernel finds a name for who connects. */
static void set_up_automatic(struct names *n)
{
	struct name gone;
	int on = 1;
	int listener;

	make_name(&gone, "@", "automatic");
	listener = listening(SOCK_STREAM, &gone, 5);
	for (int i = 0; i < 2; i++) {
		const struct name *to = i ? &gone : &n->path;
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		victim_need(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on,
				       sizeof(on)) == 0 &&
				    connect(fd,
					    (const struct sockaddr *)&to->un,
					    to->len) == 0,
			    "connect");
		n->automatic_client[i] = fd;
		n->automatic_accepted[i] = accepted(i ? listener : n->listener);
		put(n->automatic_accepted[i], "with credentials");
		n->automatic_name[i].len = sizeof(struct sockaddr_un);
		victim_need(
			getsockname(fd,
				    (struct sockaddr *)&n->automatic_name[i].un,
				    &n->automatic_name[i].len) == 0,
			"name");
	}
	close(listener);
}

static void check_automatic(const struct names *n)
{
	struct name gone;

	make_name(&gone, "@", "automatic");
	for (int i = 0; i < 2; i++) {
		is_named(getsockname, n->automatic_client[i],
			 &n->automatic_name[i], "automatic");
		is_named(getpeername, n->automatic_accepted[i],
			 &n->automatic_name[i], "automatic, accepted");
		is_named(getsockname, n->automatic_accepted[i],
			 i ? &gone : &n->path, "accepted of an automatic one");
		take(n->automatic_client[i], "with credentials");
		put(n->automatic_client[i], "back");
		take(n->automatic_accepted[i], "back");
	}
}

/* It sends to itself. */
static void set_up_self(struct names *n)
{
	make_name(&n->own, "@", "self");
	n->self = bound(SOCK_DGRAM, &n->own);
	victim_need(connect(n->self, (const struct sockaddr *)&n->own.un,
			    n->own.len) == 0,
		    "connect");
	put(n->self, "to myself");
}

static void check_listeners(const struct names *n)
{
	int client[6], server;
	struct stat st;
	char text[10] = "";
	int fd;

	is_named(getsockname, n->listener, &n->path, "listener");
	victim_check(stat(n->path.un.sun_path, &st) == 0 &&
			     S_ISSOCK(st.st_mode) &&
			     (st.st_mode & 07777) == 0640 &&
			     st.st_uid == geteuid() && st.st_gid == getegid(),
		     "its file: %o", st.st_mode);
	/* One more than its backlog. */
	for (int i = 0; i < 5; i++) {
		client[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		victim_check((connect(client[i],
				      (const struct sockaddr *)&n->path.un,
				      n->path.len) == 0) == (i < 4),
			     "connection %d: %s", i, strerror(errno));
	}
	server = accepted(n->listener);
	put(client[0], "new");
	take(server, "new");
	is_named(getsockname, n->relative_listener, &n->relative, "relative");
	client[5] = connected(SOCK_STREAM, &n->relative);
	close(accepted(n->relative_listener));
	is_named(getsockname, n->removed_listener, &n->removed, "removed");
	victim_check(lstat(n->removed.un.sun_path, &st) < 0 && errno == ENOENT,
		     "a removed file stays removed");
	is_named(getsockname, n->replaced_listener, &n->replaced, "replaced");
	fd = open(n->replaced.un.sun_path, O_RDONLY);
	victim_check(fd >= 0 && read(fd, text, 9) == 6 &&
			     !strcmp(text, "a file"),
		     "the file in place of a socket is another still");
	is_named(getsockname, n->quiet_fd, &n->quiet, "quiet");
	victim_check(listen(n->quiet_fd, 1) == 0, "it can listen yet");
	close(connected(SOCK_STREAM, &n->quiet));
}

static void check_connections(const struct names *n)
{
	struct name other;
	char byte;
	int fd;

	take(n->accepted[0], "to the server");
	take(n->client[0], "to the client");
	take(n->accepted[1], "to the removed");
	is_named(getsockname, n->accepted[0], &n->path, "accepted");
	is_named(getpeername, n->client[0], &n->path, "client's peer");
	is_named(getsockname, n->client[0], NULL, "client");
	is_named(getpeername, n->client[1], &n->removed, "removed peer");
	/* In the order in which they came. */
	fd = accepted(n->abstract_listener);
	is_made_by(fd, getpid(), "waiting");
	put(n->waiting[0], "I was first");
	take(fd, "I was first");
	fd = accepted(n->abstract_listener);
	put(n->waiting[1], "and I second");
	take(fd, "and I second");
	is_named(getsockname, fd, &n->abstract, "accepted, abstract");
	make_name(&other, "@", "closed");
	is_named(getpeername, n->half_client, &other, "closed peer");
	take(n->half_client, "last words");
	victim_check(recv(n->half_client, &byte, 1, MSG_DONTWAIT) == 0 &&
			     recv(n->half_accepted, &byte, 1, MSG_DONTWAIT) ==
				     0,
		     "what is closed has ended");
	is_named(getsockname, n->half_accepted, &other, "accepted, closed");
	is_made_by(n->client[0], getpid(), "client");
	is_made_by(n->accepted[0], getpid(), "accepted");
	is_made_by(n->child_accepted, n->child, "accepted of the child");
	take(n->child_accepted, "child");
	is_made_by(n->zombie_accepted, n->zombie, "accepted of a zombie");
	take(n->zombie_accepted, "from a zombie");
	victim_check(recv(n->zombie_accepted, &byte, 1, MSG_DONTWAIT) == 0,
		     "whose end is closed");
}

static void take_from(int fd, const struct name *n, const char *text)
{
	struct sockaddr_un un = { 0 };
	socklen_t len = sizeof(un);
	char buf[100] = "";
	ssize_t got = recvfrom(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT,
			       (struct sockaddr *)&un, &len);

	victim_check(got == (ssize_t)strlen(text) && !strcmp(buf, text),
		     "\"%s\" instead of \"%s\"", buf, text);
	victim_check(n ? len == n->len && !memcmp(&un, &n->un, len) : !len,
		     "%s: from %.40s (%u)", text, un.sun_path, len);
}

static void is_made_by_nobody(int fd, const char *what)
{
	struct ucred c = { 0 };
	socklen_t len = sizeof(c);

	victim_check(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) == 0 &&
			     c.pid == 0 && c.uid == (uid_t)-1,
		     "%s: made by %d (%u)", what, (int)c.pid, c.uid);
}

static void check_named(const struct names *n)
{
	struct name one, two, dead;

	make_name(&one, "@", "one");
	make_name(&two, "@", "two");
	make_name(&dead, "@", "dead");
	take_from(n->named[1], &n->sender, "before");
	take_from(n->named[1], &one, "to the named");
	victim_check(sendto(n->sender_fd, "x", 1, 0, (struct sockaddr *)&two.un,
			    two.len) < 0 &&
			     errno == EPERM,
		     "from others: %s", strerror(errno));
	put(n->named[1], "back");
	take(n->named[0], "back");
	is_named(getpeername, n->named[1], &one, "named");
	is_made_by_nobody(n->named[0], "named");
	is_named(getpeername, n->to_dead, &dead, "dead");
	is_made_by_nobody(n->to_dead, "dead");
	victim_check(send(n->to_dead, "x", 1, 0) < 0 && errno == ECONNREFUSED,
		     "to a dead one: %s", strerror(errno));
}

static void check_datagrams(const struct names *n)
{
	struct name automatic = { .len = sizeof(automatic.un) };

	victim_check(getsockname(n->automatic, (struct sockaddr *)&automatic.un,
				 &automatic.len) == 0 &&
			     automatic.len == sizeof(sa_family_t) + 6,
		     "a name that the kernel found: %u", automatic.len);
	take_from(n->server_fd, NULL, "one without a name");
	take_from(n->server_fd, &n->sender, "one with a name");
	take_from(n->server_fd, &n->gone, "one that is gone");
	take_from(n->server_fd, &automatic, "automatic");
	put(n->connected, "again");
	take_from(n->server_fd, NULL, "again");
	is_named(getpeername, n->connected, &n->server, "connected");
	send_to(n->server_fd, &n->sender, "an answer");
	take_from(n->sender_fd, &n->server, "an answer");
	send_to(n->server_fd, &automatic, "another");
	take_from(n->automatic, &n->server, "another");
	take_from(n->self, &n->own, "to myself");
	put(n->self, "and again");
	take_from(n->self, &n->own, "and again");
	take(n->mutual[1], "from a mutual one");
	put(n->mutual[1], "back");
	take(n->mutual[0], "back");
}

int main(void)
{
	struct names n = { 0 };
	int status;

	make_names(&n);
	set_up_listeners(&n);
	set_up_connections(&n);
	start_child(&n);
	leave_zombie(&n);
	set_up_datagrams(&n);
	set_up_self(&n);
	set_up_automatic(&n);
	set_up_named(&n);

	victim_wait();

	check_connections(&n);
	check_listeners(&n);
	check_datagrams(&n);
	check_named(&n);
	check_automatic(&n);
	put(n.child_accepted, "done");
	victim_need(waitpid(n.child, &status, 0) == n.child &&
			    waitpid(n.zombie, NULL, 0) == n.zombie,
		    "children");
	victim_check(status == 0, "the child ended with %#x",
		     (unsigned int)status);
	victim_verdict(victim_interrupts == 0, "names are as they were");
}
