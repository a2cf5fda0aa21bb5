/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Credentials, different in each thread by raw system calls. */
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define MANY_GROUPS 1000

struct facts {
	char lines[12][16384]; /* of status */
	int securebits, keepcaps;
};

static pthread_barrier_t ready;
static volatile bool go;

static void look(struct facts *f)
{
	static const char *const keys[] = {
		"Uid:",    "Gid:",    "Groups:", "CapInh:",    "CapPrm:",
		"CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:"
	};
	char path[64], line[16384];
	size_t i;
	FILE *s;

	memset(f, 0, sizeof(*f));
	snprintf(path, sizeof(path), "/proc/self/task/%d/status",
		 (int)syscall(SYS_gettid));
	s = fopen(path, "re");
	victim_need(s != NULL, path);
	while (fgets(line, sizeof(line), s))
		for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (!strncmp(line, keys[i], strlen(keys[i])))
				memcpy(f->lines[i], line, sizeof(line));
	fclose(s);
	f->securebits = prctl(PR_GET_SECUREBITS);
	f->keepcaps = prctl(PR_GET_KEEPCAPS);
}

static void compare(const char *who, const struct facts *a)
{
	static struct facts b[8];
	struct facts *now = &b[(unsigned int)syscall(SYS_gettid) % 8];
	size_t i;

	look(now);
	for (i = 0; i < 12; i++)
		victim_check(!strcmp(a->lines[i], now->lines[i]), "%s: %.60s",
			     who, now->lines[i]);
	victim_check(a->securebits == now->securebits, "%s: securebits %#x",
		     who, (unsigned int)now->securebits);
	victim_check(a->keepcaps == now->keepcaps, "%s: keepcaps", who);
}

static void set_caps(uint64_t eff, uint64_t prm, uint64_t inh)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)eff, (uint32_t)prm, (uint32_t)inh },
		{ (uint32_t)(eff >> 32), (uint32_t)(prm >> 32),
		  (uint32_t)(inh >> 32) },
	};

	victim_need(syscall(SYS_capset, &head, data) == 0, "capset");
}

/* Four ids of each kind, all different; capabilities kept over it. */
static void as_many(void)
{
	prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
	victim_need(syscall(SYS_setresgid, 11, 12, 13) == 0 &&
			    syscall(SYS_setfsgid, 14) >= 0 &&
			    syscall(SYS_setresuid, 21, 22, 0xfffffffe) == 0 &&
			    syscall(SYS_setfsuid, 24) >= 0,
		    "ids");
	set_caps(1 << CAP_SETPCAP, 1 << CAP_SETPCAP | 1 << CAP_SYS_NICE,
		 1 << CAP_CHOWN | 1 << CAP_SYS_NICE);
	prctl(PR_SET_SECUREBITS,
	      SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS | SECBIT_NOROOT_LOCKED);
}

static void as_ambient(void)
{
	uint64_t caps = 1 << CAP_KILL | 1ull << CAP_BPF;

	victim_need(prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE) == 0 &&
			    prctl(PR_CAPBSET_DROP, CAP_CHOWN) == 0,
		    "bset");
	set_caps(caps | 1 << CAP_SETPCAP, caps | 1 << CAP_SETPCAP,
		 caps | 1 << CAP_FOWNER);
	victim_need(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0,
			  0) == 0 &&
			    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_BPF,
				  0, 0) == 0,
		    "ambient");
	prctl(PR_SET_SECUREBITS,
	      SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED);
	set_caps(0, caps, caps | 1 << CAP_FOWNER);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Inheritable beyond the bounding set: only possible in this order. */
static void as_unbound(void)
{
	set_caps(~0ull & 0x1fffeffffff, 0x1fffeffffff, 1 << CAP_NET_RAW);
	victim_need(prctl(PR_CAPBSET_DROP, CAP_NET_RAW) == 0, "bset");
}

static void as_user(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_KEEPCAPS, 1);
}

static void as_nobody(void)
{
	gid_t groups[MANY_GROUPS];
	int i;

	for (i = 0; i < MANY_GROUPS; i++)
		groups[i] = (gid_t)(4294960000u - (gid_t)i * 7);
	victim_need(syscall(SYS_setgroups, MANY_GROUPS, groups) == 0,
		    "setgroups");
	victim_need(syscall(SYS_setresgid, 7, 7, 7) == 0 &&
			    syscall(SYS_setresuid, 6, 6, 6) == 0,
		    "ids");
}

static struct kind {
	const char *name;
	void (*set)(void);
	bool root;
	struct facts before;
} kinds[] = {
	{ "many ids", as_many, true, { { { 0 } }, 0, 0 } },
	{ "ambient", as_ambient, true, { { { 0 } }, 0, 0 } },
	{ "unbound", as_unbound, true, { { { 0 } }, 0, 0 } },
	{ "nobody", as_nobody, true, { { { 0 } }, 0, 0 } },
	{ "user", as_user, false, { { { 0 } }, 0, 0 } },
};
#define COUNT (int)(sizeof(kinds) / sizeof(kinds[0]))

static void *thread(void *arg)
{
	struct kind *k = arg;

	k->set();
	look(&k->before);
	pthread_barrier_wait(&ready);
	/* As another user it might not see the directory. */
	while (!go)
		victim_nap(1000000);
	compare(k->name, &k->before);
	return NULL;
}

int main(void)
{
	static struct facts before;
	pthread_t threads[COUNT];
	int i, n = 0;

	pthread_barrier_init(&ready, NULL, getuid() ? 2 : COUNT + 1);
	for (i = 0; i < COUNT; i++)
		if (getuid() == 0 || !kinds[i].root)
			pthread_create(&threads[n++], NULL, thread, &kinds[i]);
	look(&before);
	pthread_barrier_wait(&ready);
	victim_wait();
	go = true;
	compare("leader", &before);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	victim_verdict(victim_interrupts == 0, "credentials are the same");
}
