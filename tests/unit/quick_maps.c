/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The quick look at mappings tells what smaps and numa_maps tell, or nothing:
 * of mappings of each kind, of many that come about at random, and of programs
 * that know nothing of us.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/numa_maps.h"
#include "kernel/quick_maps.h"
#include "kernel/userfault.h"
#include "kernel/vma_flags.h"
#include "kernel/written.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/newer_mman.h"

#define PAGE 4096ul

#define RW      (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

static struct quick_maps *quick;

/* A process that does what it is told, and nothing else. */
struct child {
	pid_t pid;
	int to, from;
};

/* Does it, says 1 (done) or 0 (it cannot be had here), and waits. */
typedef bool (*task_fn)(int arg);

struct order {
	task_fn fn;
	int arg;
};

static void *doze(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void serve(int from, int to, bool threads)
{
	struct order o;
	pthread_t id;
	char did = 1;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; threads && i < 3; i++)
		(void)pthread_create(&id, NULL, doze, NULL);
	while (write(to, &did, 1) == 1 && read(from, &o, sizeof(o)) > 0)
		did = o.fn(o.arg);
	_exit(0);
}

static bool answer(const struct child *c)
{
	char did = 0;

	if (read(c->from, &did, 1) != 1)
		diag("process %d is gone", c->pid);
	return did;
}

static struct child begin(bool threads)
{
	int there[2], back[2];
	struct child c = { 0 };

	if (pipe2(there, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
		abort();
	c.pid = fork();
	if (c.pid == 0)
		serve(there[0], back[1], threads);
	close(there[0]);
	close(back[1]);
	c.to = there[1];
	c.from = back[0];
	(void)answer(&c);
	return c;
}

static bool tell(const struct child *c, task_fn fn, int arg)
{
	const struct order o = { fn, arg };

	return write(c->to, &o, sizeof(o)) == sizeof(o) && answer(c);
}

static void end(const struct child *c)
{
	close(c->to);
	close(c->from);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
}

static int open_proc(pid_t pid)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d", pid);
	return open(path, O_DIRECTORY | O_CLOEXEC);
}

/* Where it can tell more than smaps it may, on the safe side. */
static bool same(const struct vma *q, const struct vma *s)
{
	return q->start == s->start && q->end == s->end &&
	       q->offset == s->offset && q->inode == s->inode &&
	       q->flags == s->flags && q->prot == s->prot &&
	       q->dev_major == s->dev_major && q->dev_minor == s->dev_minor &&
	       q->pkey == s->pkey && q->page_size == s->page_size &&
	       q->shared == s->shared && q->common >= s->common &&
	       q->watched == s->watched && q->policy >= s->policy &&
	       strcmp(q->path, s->path) == 0;
}

static bool same_lists(const struct vma_list *q, const struct vma_list *s)
{
	if (q->count != s->count) {
		diag("%zu mappings instead of %zu", q->count, s->count);
		return false;
	}
	for (size_t i = 0; i < q->count; i++)
		if (!same(&q->v[i], &s->v[i])) {
			const struct vma *a = &q->v[i], *b = &s->v[i];

			diag("%llx %s: flags %llx not %llx, pages %llu not "
			     "%llu, common %d not %d, policy %d not %d",
			     (unsigned long long)b->start, b->path,
			     (unsigned long long)a->flags,
			     (unsigned long long)b->flags,
			     (unsigned long long)a->page_size,
			     (unsigned long long)b->page_size, a->common,
			     b->common, a->policy, b->policy);
			return false;
		}
	return true;
}

enum outcome { SAME, NOT_TOLD, WRONG };

static enum outcome compare(pid_t pid)
{
	auto_close int proc = open_proc(pid);
	struct vma_list fast, slow;
	struct numa_maps numa;
	struct err err = { 0 };
	bool right;

	if (!quick_maps_read(quick, pid, proc, &fast))
		return NOT_TOLD;
	if (maps_read(proc, &slow, &err) < 0 ||
	    numa_maps_read(proc, &numa, &err) < 0)
		abort();
	numa_maps_mark(&numa, &slow);
	right = same_lists(&fast, &slow);
	maps_done(&fast);
	maps_done(&slow);
	free(numa.v);
	return right ? SAME : WRONG;
}

/* Of the mapping that a child has made last. */
static struct vma *made;

static struct vma look(pid_t pid)
{
	auto_close int proc = open_proc(pid);
	const struct vma *v;
	struct vma_list list;
	struct vma ret = { 0 };

	if (!quick_maps_read(quick, pid, proc, &list))
		return ret;
	v = maps_find(&list, made->start);
	if (v)
		ret = *v;
	ret.path = NULL;
	maps_done(&list);
	return ret;
}

static bool note(void *p, size_t len)
{
	made->start = (uintptr_t)p;
	made->end = (uintptr_t)p + len;
	return p != MAP_FAILED;
}

static void *pages(size_t n)
{
	uint8_t *p = mmap(NULL, n * PAGE, RW, PRIVATE, -1, 0);

	if (p != MAP_FAILED)
		*p = 1;
	return p;
}

static const int prots[] = {
	PROT_NONE,      PROT_READ, RW, PROT_READ | PROT_EXEC,
	RW | PROT_EXEC, PROT_WRITE
};

static bool make_prot(int i)
{
	return note(mmap(NULL, PAGE, prots[i], PRIVATE, -1, 0), PAGE);
}

static bool make_private(int flags)
{
	return note(mmap(NULL, PAGE, RW, PRIVATE | flags, -1, 0), PAGE);
}

static bool make_shared(int prot)
{
	return note(mmap(NULL, PAGE, prot, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
		    PAGE);
}

static bool make_droppable(int prot)
{
	return note(
		mmap(NULL, PAGE, prot, MAP_ANONYMOUS | MAP_DROPPABLE, -1, 0),
		PAGE);
}

static bool make_huge(int flags)
{
	return note(mmap(NULL, 2ul << 20, RW,
			 MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | flags,
			 -1, 0),
		    2ul << 20);
}

static bool make_huge_memfd(int unused)
{
	int fd = memfd_create("huge", MFD_HUGETLB);

	(void)unused;
	return ftruncate(fd, 2l << 20) == 0 &&
	       note(mmap(NULL, 2ul << 20, RW, MAP_SHARED | MAP_NORESERVE, fd,
			 0),
		    2ul << 20);
}

static bool make_memfd(int flags)
{
	int fd = memfd_create("a name", 0);

	return ftruncate(fd, PAGE) == 0 &&
	       note(mmap(NULL, PAGE, RW, flags, fd, 0), PAGE);
}

static bool make_of_file(int how)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	return note(mmap(NULL, PAGE, how & 15, how >> 4, fd, 0), PAGE);
}

static bool make_zero(int flags)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

	return note(mmap(NULL, PAGE, RW, flags, fd, 0), PAGE);
}

static bool make_segment(int flags)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	void *p = shmat(id, NULL, flags);

	(void)shmctl(id, IPC_RMID, NULL);
	return p != (void *)-1 && note(p, PAGE);
}

static bool make_advised(int advice)
{
	void *p = pages(1);

	return note(p, PAGE) && madvise(p, PAGE, advice) == 0;
}

static bool make_locked(int flags)
{
	void *p = pages(1);

	return note(p, PAGE) && mlock2(p, PAGE, (unsigned int)flags) == 0;
}

static bool make_bound(int flags)
{
	void *p = mmap(NULL, PAGE, RW, MAP_ANONYMOUS | flags, -1, 0);
	unsigned long node = 1;

	return note(p, PAGE) && syscall(SYS_mbind, p, PAGE, 2 /* MPOL_BIND */,
					&node, 64, 0) == 0;
}

static bool make_watched(int unused)
{
	int fd = (int)syscall(SYS_userfaultfd, USERFAULT_FLAGS);
	struct err err;
	void *p = pages(1);

	(void)unused;
	return note(p, PAGE) && fd >= 0 && written_begin(fd, &err) == 0 &&
	       written_watch(fd, made->start, made->end) == 0;
}

static bool make_sealed(int unused)
{
	void *p = pages(1);

	(void)unused;
	return note(p, PAGE) && syscall(__NR_mseal, p, PAGE, 0) == 0;
}

static bool make_keyed(int unused)
{
	int key = pkey_alloc(0, 0);
	void *p = pages(1);

	(void)unused;
	return note(p, PAGE) && key > 0 && pkey_mprotect(p, PAGE, RW, key) == 0;
}

/* For anybody's faults, as another program would. */
static bool make_missing(int unused)
{
	struct {
		uint64_t api, features, ioctls;
	} api = { .api = 0xaa };
	struct {
		uint64_t start, len, mode, ioctls;
	} arg = { .len = PAGE, .mode = 1 };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	void *p = mmap(NULL, PAGE, RW, PRIVATE, -1, 0);

	(void)unused;
	arg.start = (uintptr_t)p;
	return note(p, PAGE) && fd >= 0 &&
	       ioctl(fd, _IOWR(0xaa, 0x3f, api), &api) == 0 &&
	       ioctl(fd, _IOWR(0xaa, 0, arg), &arg) == 0;
}

static bool unmake(int unused)
{
	(void)unused;
	return munmap((void *)made->start, made->end - made->start) == 0;
}

/* must: what all jobs have may not send us back to smaps. */
static const struct kind {
	const char *name;
	task_fn fn;
	int arg;
	bool must;
} kinds[] = {
	{ "no access", make_prot, 0, true },
	{ "r", make_prot, 1, true },
	{ "rw", make_prot, 2, true },
	{ "rx", make_prot, 3, true },
	{ "rwx", make_prot, 4, true },
	{ "w", make_prot, 5, true },
	{ "not reserved", make_private, MAP_NORESERVE, true },
	{ "a stack", make_private, MAP_STACK, true },
	{ "growing", make_private, MAP_GROWSDOWN, true },
	{ "populated", make_private, MAP_POPULATE, true },
	{ "locked when made", make_private, MAP_LOCKED, true },
	{ "shared", make_shared, RW, true },
	{ "shared, no access", make_shared, PROT_NONE, true },
	{ "droppable", make_droppable, RW, true },
	{ "huge, private", make_huge, MAP_PRIVATE, true },
	{ "huge, shared", make_huge, MAP_SHARED, true },
	{ "huge memfd", make_huge_memfd, 0, true },
	{ "memfd", make_memfd, MAP_SHARED, true },
	{ "memfd, private", make_memfd, MAP_PRIVATE, true },
	{ "file, r", make_of_file, MAP_PRIVATE << 4 | PROT_READ, true },
	{ "file, rw", make_of_file, MAP_PRIVATE << 4 | RW, true },
	{ "file, shared", make_of_file, MAP_SHARED << 4 | PROT_READ, true },
	{ "/dev/zero", make_zero, MAP_PRIVATE, true },
	{ "/dev/zero, shared", make_zero, MAP_SHARED, true },
	{ "segment", make_segment, 0, true },
	{ "segment, r", make_segment, SHM_RDONLY, true },
	{ "sequential", make_advised, MADV_SEQUENTIAL, true },
	{ "random", make_advised, MADV_RANDOM, true },
	{ "not forked", make_advised, MADV_DONTFORK, true },
	{ "not dumped", make_advised, MADV_DONTDUMP, true },
	{ "wiped", make_advised, MADV_WIPEONFORK, true },
	{ "huge page", make_advised, MADV_HUGEPAGE, true },
	{ "no huge page", make_advised, MADV_NOHUGEPAGE, true },
	{ "guards", make_advised, MADV_GUARD_INSTALL, true },
	{ "merged", make_advised, MADV_MERGEABLE, true },
	{ "locked", make_locked, 0, true },
	{ "locked later", make_locked, MLOCK_ONFAULT, true },
	{ "bound", make_bound, MAP_PRIVATE, true },
	{ "bound, shared", make_bound, MAP_SHARED, true },
	{ "watched", make_watched, 0, true },
	{ "userfaultfd", make_missing, 0, false },
	{ "key", make_keyed, 0, false },
	{ "sealed", make_sealed, 0, true },
};

static void test_kinds(bool threads)
{
	struct child c = begin(threads);

	ok(compare(c.pid) == SAME, "%s as it begins",
	   threads ? "a process of four threads" : "a process");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *k = &kinds[i];
		enum outcome o;

		if (!tell(&c, k->fn, k->arg)) {
			skip("%s: cannot be had here", k->name);
			continue;
		}
		o = compare(c.pid);
		ok(o == SAME || (o == NOT_TOLD && !k->must), "%s: %s", k->name,
		   o == NOT_TOLD ? "left to smaps" : "the same");
		(void)tell(&c, unmake, 0);
	}
	end(&c);
}

/* A kind that we make none of: what its flag is must not be guessed. */
static void test_unlearned(void)
{
	struct child c = begin(false);

	if (tell(&c, make_missing, 0))
		ok(compare(c.pid) == NOT_TOLD,
		   "a flag that was never seen: smaps has to say");
	else
		skip("a flag that was never seen: no userfaultfd");
	end(&c);
}

static void test_policy(void)
{
	struct child c = begin(false);

	(void)tell(&c, make_prot, 2);
	ok(look(c.pid).start && !look(c.pid).policy,
	   "a mapping without a policy has none");
	if (tell(&c, make_bound, MAP_PRIVATE))
		ok(look(c.pid).policy, "one with mbind(2) has one");
	else
		skip("one with mbind(2) has one: no NUMA");
	end(&c);
}

static struct child twin;
static volatile pid_t *twin_pid;

static bool make_touched(int unused)
{
	(void)unused;
	return note(pages(4), 4 * PAGE);
}

static bool make_twin(int unused)
{
	(void)unused;
	twin = begin(false);
	*twin_pid = twin.pid;
	return true;
}

static bool end_twin(int unused)
{
	(void)unused;
	end(&twin);
	return true;
}

static void test_fork(void)
{
	struct child c = begin(false);

	(void)tell(&c, make_touched, 0);
	ok(look(c.pid).start && !look(c.pid).common,
	   "pages that no other process has");
	(void)tell(&c, make_twin, 0);
	ok(look(c.pid).common, "a fork: its child has them too");
	ok(look(*twin_pid).common, "the child has its parent's");
	ok(compare(*twin_pid) == SAME, "the child's mappings");
	(void)tell(&c, end_twin, 0);
	ok(look(c.pid).start && !look(c.pid).common,
	   "the child has ended: nobody has them");
	end(&c);
}

#define REGION 512u
static uint8_t *region;

static bool make_region(int unused)
{
	(void)unused;
	region = mmap(NULL, REGION * PAGE, RW, PRIVATE, -1, 0);
	return region != MAP_FAILED;
}

static const int advices[] = {
	MADV_SEQUENTIAL,    MADV_RANDOM,   MADV_NORMAL,     MADV_DONTFORK,
	MADV_DOFORK,        MADV_DONTDUMP, MADV_DODUMP,     MADV_WIPEONFORK,
	MADV_KEEPONFORK,    MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTNEED,
	MADV_GUARD_INSTALL,
};

/* May fail: then nothing is changed. */
static void change(uint8_t *at, size_t len)
{
	unsigned long node = 1;
	int shared = rand() % 2 ? MAP_SHARED : MAP_PRIVATE;

	switch (rand() % 8) {
	case 0:
	case 1:
		(void)mprotect(at, len,
			       prots[(size_t)rand() % ARRAY_SIZE(prots)]);
		break;
	case 2:
	case 3:
	case 4:
		(void)madvise(at, len,
			      advices[(size_t)rand() % ARRAY_SIZE(advices)]);
		break;
	case 5:
		(void)(rand() % 2 ? munlock(at, len)
				  : mlock2(at, len, MLOCK_ONFAULT));
		break;
	case 6:
		(void)mmap(at, len, prots[(size_t)rand() % ARRAY_SIZE(prots)],
			   MAP_ANONYMOUS | MAP_FIXED | shared |
				   (rand() % 2 ? MAP_NORESERVE : 0),
			   -1, 0);
		break;
	default:
		(void)syscall(SYS_mbind, at, len, rand() % 2 ? 2 : 0, &node, 64,
			      0);
	}
}

#define CHANGES 100
#define ROUNDS  40

static bool make_changes(int seed)
{
	srand((unsigned int)seed);
	for (int i = 0; i < CHANGES; i++) {
		size_t first = (size_t)rand() % REGION;
		size_t n = 1 + (size_t)rand() % 8;

		change(region + first * PAGE,
		       (first + n > REGION ? REGION - first : n) * PAGE);
	}
	return true;
}

static void test_random(void)
{
	struct child c = begin(false);
	int right = 0;

	(void)tell(&c, make_region, 0);
	for (int i = 0; i < ROUNDS; i++) {
		enum outcome o;

		(void)tell(&c, make_changes, i);
		o = compare(c.pid);
		if (o != SAME)
			diag("round %d: %s", i,
			     o == WRONG ? "not the same" : "not told");
		right += o == SAME;
	}
	ok(right == ROUNDS, "%d random changes, seen %d times: the same",
	   CHANGES * ROUNDS, ROUNDS);
	end(&c);
}

/* It stands still where it waits for input, after a line. */
static void test_program(const char *const *argv)
{
	int in[2], out[2];
	char line[64];
	ssize_t n;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(out[1]);
	n = read(out[0], line, sizeof(line));
	kill(pid, SIGSTOP);
	if (n > 0 && waitpid(pid, NULL, WUNTRACED) == pid)
		ok(compare(pid) == SAME, "%s: the same", argv[0]);
	else
		skip("%s: is not there", argv[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(out[0]);
	close(in[0]);
	close(in[1]);
}

static void test_programs(void)
{
	static const char *const python[] = {
		"python3", "-c",
		"import json,sqlite3; x=[0]*9999999; print(1,flush=True); "
		"input()",
		NULL
	};
	static const char *const bash[] = { "bash", "-c", "echo 1; read x",
					    NULL };
	static const char *const node[] = {
		"node", "-e", "console.log(1); setInterval(()=>{}, 1000)", NULL
	};

	test_program(python);
	test_program(bash);
	test_program(node);
}

/* Every other page of a mapping, which falls into as many pieces. */
static bool make_many(int n)
{
	uint8_t *p = mmap(NULL, (size_t)n * PAGE, RW, PRIVATE, -1, 0);

	for (int i = 0; i < n; i += 2)
		if (mprotect(p + (size_t)i * PAGE, PAGE, PROT_READ) < 0)
			return false;
	return p != MAP_FAILED;
}

/* One more each time: the end comes anywhere in what is read at a time. */
static bool make_more(int unused)
{
	(void)unused;
	return mmap(NULL, PAGE, RW, MAP_ANONYMOUS | MAP_SHARED, -1, 0) !=
	       MAP_FAILED;
}

static void test_many(void)
{
	struct child a = begin(false), b = begin(false);
	int right = 0;

	(void)tell(&a, make_many, 3000);
	ok(compare(a.pid) == SAME, "3000 mappings");
	(void)tell(&b, make_many, 400);
	for (int i = 0; i < 100; i++)
		right += tell(&b, make_more, 0) && compare(b.pid) == SAME;
	ok(right == 100, "400 mappings, and one more, a hundred times");
	end(&a);
	end(&b);
}

static void test_gone(void)
{
	struct child c = begin(false);
	auto_close int proc = open_proc(c.pid);
	struct vma_list list;

	end(&c);
	ok(!quick_maps_read(quick, c.pid, proc, &list),
	   "of a process that is gone nothing is told");
	ok(!quick_maps_read(quick, getpid(), proc, &list),
	   "nor of one whose /proc is another's");
}

static bool refused_to_nobody(int unused)
{
	struct quick_maps *q = NULL;
	struct err err = { 0 };

	(void)unused;
	return setresuid(65534, 65534, 65534) == 0 &&
	       quick_maps_new(&q, &err) < 0 && !q && *err.text;
}

static bool refused_without_room(int unused)
{
	const struct rlimit none = { 3, 3 };
	struct quick_maps *q = NULL;
	struct err err = { 0 };

	(void)unused;
	return setrlimit(RLIMIT_NOFILE, &none) == 0 &&
	       quick_maps_new(&q, &err) < 0 && !q && *err.text;
}

static void test_absent(void)
{
	struct child a = begin(false), b = begin(false);

	ok(tell(&a, refused_to_nobody, 0), "without a right there is none");
	ok(tell(&b, refused_without_room, 0), "without descriptors neither");
	end(&a);
	end(&b);
}

static void test_flags(void)
{
	struct vma_flags f;
	uint64_t flags = 0;

	vma_flags_init(&f);
	vma_flags_learn(&f, 0x01, 0);
	vma_flags_learn(&f, 0x13, VMA_LOCKED);
	vma_flags_learn(&f, 0x0d, VMA_IO | VMA_PFNMAP);
	ok(vma_flags_tell(&f, 0x01, &flags) && flags == 0,
	   "a bit that has no flag");
	ok(vma_flags_tell(&f, 0x1f, &flags) &&
		   flags == (VMA_LOCKED | VMA_IO | VMA_PFNMAP),
	   "all that could be the bits of its flags");
	ok(!vma_flags_tell(&f, 0x05, &flags) &&
		   !vma_flags_tell(&f, 0x03, &flags),
	   "one of two bits, of which one has the flag: not told");
	ok(!vma_flags_tell(&f, 0x21, &flags) &&
		   !vma_flags_tell(&f, 1ull << 63, &flags),
	   "a bit that was never set: not told");
	vma_flags_learn(&f, 0x03, 0);
	ok(vma_flags_tell(&f, 0x03, &flags) && flags == 0 &&
		   vma_flags_tell(&f, 0x11, &flags) && flags == VMA_LOCKED,
	   "one more mapping, and they are told apart");
	vma_flags_learn(&f, 0x11, 0);
	ok(!vma_flags_tell(&f, 0x01, &flags) &&
		   !vma_flags_tell(&f, 0x13, &flags),
	   "a contradiction: nothing is told any more");
	vma_flags_init(&f);
	vma_flags_learn(&f, 1, 0);
	vma_flags_learn(&f, 3, VMA_UNKNOWN);
	ok(!vma_flags_tell(&f, 1, &flags),
	   "letters that nobody knows: nothing is told");
}

int main(void)
{
	struct err err = { 0 };

	test_flags();
	made = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	twin_pid = (volatile pid_t *)(made + 1);
	if (quick_maps_new(&quick, &err) < 0) {
		skip("mappings of processes: %s", err.text);
		return done_testing();
	}
	test_kinds(false);
	test_kinds(true);
	test_unlearned();
	test_policy();
	test_fork();
	test_random();
	test_many();
	test_programs();
	test_gone();
	test_absent();
	quick_maps_free(quick);
	return done_testing();
}
