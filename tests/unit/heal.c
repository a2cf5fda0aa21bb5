/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tracer is killed at any instant while it injects calls into a process
 * whose threads do nothing but look whether something has happened to them:
 * vector, x87 and general registers, flags, red zone, signal mask, alternate
 * stack and memory.  They must never notice.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/freeze.h"
#include "kernel/maps.h"
#include "kernel/proc.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define THREADS     3
#define ROUNDS      100
#define SPIN        2000
#define ZMM_BYTES   64
#define VECTORS     32
#define HEAP_WORDS  16384
#define GPR_PATTERN 0x5aa5000000000000ull

struct look {
	uint8_t zmm_in[VECTORS * ZMM_BYTES], zmm_out[VECTORS * ZMM_BYTES];
	uint64_t gpr_out[9];
	uint64_t red_out[2];
	uint64_t flags_out;
	uint32_t mxcsr_in, mxcsr_out;
	double x87_in, x87_out;
	uint64_t spin, wide;
} __attribute__((aligned(64)));

/* What all processes see. */
struct shared {
	volatile uint64_t looks[THREADS];
	volatile int bad;
	int filtered; /* 2: all that chains are made of is allowed */
	char what[128];
};

#define LOAD(n)    "vmovups " #n "*64(%[l]), %%zmm" #n "\n"
#define STORE(n)   "vmovups %%zmm" #n ", 2048+" #n "*64(%[l])\n"
#define LOAD_Y(n)  "vmovups " #n "*64(%[l]), %%ymm" #n "\n"
#define STORE_Y(n) "vmovups %%ymm" #n ", 2048+" #n "*64(%[l])\n"
#define ALL16(F)                                                               \
	F(0)                                                                   \
	F(1)                                                                   \
	F(2)                                                                   \
	F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15)
#define ALL32(F)                                                               \
	ALL16(F)                                                               \
	F(16)                                                                  \
	F(17)                                                                  \
	F(18)                                                                  \
	F(19)                                                                  \
	F(20) F(21) F(22) F(23) F(24) F(25) F(26) F(27) F(28) F(29) F(30) F(31)

/*
 * Between load and store nothing is touched but a counter; every register
 * that holds a pattern is stored as it is found.  The direction flag is set,
 * which no other code expects.
 */
#define BODY(LOADS, STORES)                                                    \
	LOADS                                                                  \
	"fninit\n fldl %c[x87_in](%[l])\n ldmxcsr %c[mxcsr_in](%[l])\n"        \
	"movabs $0x5aa5000000000001, %%r8\n mov %%r8, %%r9\n inc %%r9\n"       \
	"mov %%r9, %%r10\n inc %%r10\n mov %%r10, %%r11\n inc %%r11\n"         \
	"mov %%r11, %%r12\n inc %%r12\n mov %%r12, %%r13\n inc %%r13\n"        \
	"mov %%r13, %%r14\n inc %%r14\n mov %%r14, %%r15\n inc %%r15\n"        \
	"mov %%r15, %%rdx\n inc %%rdx\n"                                       \
	"movq $0x11223344, -8(%%rsp)\n movq $0x55667788, -120(%%rsp)\n"        \
	"mov %c[spin](%[l]), %%rcx\n std\n stc\n"                              \
	"1: lea -1(%%rcx), %%rcx\n jrcxz 2f\n jmp 1b\n"                        \
	"2: mov %%r8, %c[gpr]+0(%[l])\n mov %%r9, %c[gpr]+8(%[l])\n"           \
	"mov %%r10, %c[gpr]+16(%[l])\n mov %%r11, %c[gpr]+24(%[l])\n"          \
	"mov %%r12, %c[gpr]+32(%[l])\n mov %%r13, %c[gpr]+40(%[l])\n"          \
	"mov %%r14, %c[gpr]+48(%[l])\n mov %%r15, %c[gpr]+56(%[l])\n"          \
	"mov %%rdx, %c[gpr]+64(%[l])\n"                                        \
	"mov -8(%%rsp), %%r8\n mov %%r8, %c[red](%[l])\n"                      \
	"mov -120(%%rsp), %%r8\n mov %%r8, %c[red]+8(%[l])\n"                  \
	"lea -256(%%rsp), %%rsp\n pushfq\n pop %%r8\n"                         \
	"lea 256(%%rsp), %%rsp\n mov %%r8, %c[flags](%[l])\n cld\n"            \
	"fstpl %c[x87_out](%[l])\n stmxcsr %c[mxcsr_out](%[l])\n" STORES

#define OPERANDS                                                               \
	: : [l] "r"(l), [x87_in] "i"(offsetof(struct look, x87_in)),         \
	  [x87_out] "i"(offsetof(struct look, x87_out)),                     \
	  [mxcsr_in] "i"(offsetof(struct look, mxcsr_in)),                   \
	  [mxcsr_out] "i"(offsetof(struct look, mxcsr_out)),                 \
	  [spin] "i"(offsetof(struct look, spin)),                           \
	  [gpr] "i"(offsetof(struct look, gpr_out)),                         \
	  [red] "i"(offsetof(struct look, red_out)),                         \
	  [flags] "i"(offsetof(struct look, flags_out))                      \
	: "rdx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",       \
	  "r15", "memory", "cc"

__attribute__((noinline)) static void look_wide(struct look *l)
{
	__asm__ volatile(BODY(ALL32(LOAD), ALL32(STORE)) OPERANDS);
}

__attribute__((noinline)) static void look_narrow(struct look *l)
{
	__asm__ volatile(BODY(ALL16(LOAD_Y), ALL16(STORE_Y)) OPERANDS);
}

static void prepare_look(struct look *l, unsigned int seed)
{
	memset(l, 0, sizeof(*l));
	l->wide = __builtin_cpu_supports("avx512f");
	for (size_t i = 0; i < sizeof(l->zmm_in); i++)
		l->zmm_in[i] = (uint8_t)(i * 7 + seed * 31 + 1);
	/* Round down and flush to zero: no program has that by default. */
	l->mxcsr_in = 0x1f80 | 0x2000 | 0x8000;
	l->x87_in = 3.25 + seed;
	l->spin = SPIN;
}

static const char *compare_look(struct look *l)
{
	size_t vectors = l->wide ? VECTORS : VECTORS / 2;
	size_t bytes = l->wide ? ZMM_BYTES : ZMM_BYTES / 2;

	for (size_t i = 0; i < vectors; i++)
		if (memcmp(l->zmm_in + i * ZMM_BYTES,
			   l->zmm_out + i * ZMM_BYTES, bytes))
			return "a vector register";
	for (uint64_t i = 0; i < 9; i++)
		if (l->gpr_out[i] != (GPR_PATTERN | (i + 1)))
			return "a general register";
	if (l->red_out[0] != 0x11223344 || l->red_out[1] != 0x55667788)
		return "the red zone";
	if ((l->flags_out & 0x401) != 0x401)
		return "the flags";
	if (l->mxcsr_out != l->mxcsr_in)
		return "mxcsr";
	if (l->x87_out != l->x87_in)
		return "an x87 register";
	return NULL;
}

/* What the kernel keeps for a thread, by calls that are themselves hit. */
static const char *compare_kernel(uint64_t want_mask, const stack_t *want)
{
	uint64_t mask = 0;
	stack_t now;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
	if (mask != want_mask)
		return "the signal mask";
	sigaltstack(NULL, &now);
	if (now.ss_sp != want->ss_sp || now.ss_size != want->ss_size ||
	    now.ss_flags != want->ss_flags)
		return "the alternate stack";
	errno = ENOTTY;
	if (syscall(SYS_getppid) <= 0 || errno != ENOTTY)
		return "errno";
	return NULL;
}

static uint64_t checksum(const uint64_t *heap)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < HEAP_WORDS; i++)
		sum = sum * 31 + heap[i];
	return sum;
}

struct victim {
	struct shared *shared;
	unsigned int number;
};

#define CALL_IS(nr, value)                                                     \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1),                       \
		BPF_STMT(BPF_RET | BPF_K, (value))

/* What we call may fail or has to be made, all but its own calls kill it. */
static void go_behind_filter(struct shared *shared)
{
	const uint32_t chained = shared->filtered == 2
					 ? SECCOMP_RET_ALLOW
					 : SECCOMP_RET_ERRNO | EPERM;
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		CALL_IS(SYS_sigaltstack, SECCOMP_RET_ALLOW),
		CALL_IS(SYS_getppid, SECCOMP_RET_ALLOW),
		CALL_IS(SYS_rt_sigprocmask, SECCOMP_RET_ALLOW),
		CALL_IS(SYS_rt_sigreturn, SECCOMP_RET_ALLOW),
		CALL_IS(SYS_restart_syscall, SECCOMP_RET_ALLOW),
		CALL_IS(SYS_munmap, SECCOMP_RET_ALLOW),
		CALL_IS(SYS_prlimit64, SECCOMP_RET_ALLOW),
		CALL_IS(SYS_mmap, SECCOMP_RET_LOG),
		CALL_IS(SYS_getpid, chained),
		CALL_IS(SYS_nanosleep, chained),
		CALL_IS(SYS_getcpu, chained),
		CALL_IS(SYS_times, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(*code),
					    (struct sock_filter *)code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		shared->bad = 1;
}

static void *watch(void *arg)
{
	struct victim *v = arg;
	struct look *l = aligned_alloc(64, sizeof(*l));
	uint64_t *heap = malloc(HEAP_WORDS * sizeof(*heap));
	uint64_t mask = 0x200ull << v->number, sum;
	stack_t alt = { .ss_size = 65536 };

	alt.ss_sp = malloc(alt.ss_size);
	sigaltstack(&alt, NULL);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
	prepare_look(l, v->number);
	for (size_t i = 0; i < HEAP_WORDS; i++)
		heap[i] = i * v->number;
	sum = checksum(heap);
	if (v->shared->filtered)
		go_behind_filter(v->shared);
	for (uint64_t i = 0; !v->shared->bad; i++) {
		const char *what;

		if (l->wide)
			look_wide(l);
		else
			look_narrow(l);
		what = compare_look(l);
		if (!what && i % 16 == 0)
			what = compare_kernel(mask, &alt);
		if (!what && i % 256 == 0 && checksum(heap) != sum)
			what = "memory";
		if (what) {
			snprintf(v->shared->what, sizeof(v->shared->what),
				 "thread %u lost %s", v->number, what);
			v->shared->bad = 1;
		}
		v->shared->looks[v->number]++;
	}
	return NULL;
}

static pid_t spawn_victim(struct shared *shared, int filtered)
{
	pid_t pid;

	memset((void *)shared, 0, sizeof(*shared));
	shared->filtered = filtered;
	pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned int i = 1; i < THREADS; i++) {
		struct victim *v = malloc(sizeof(*v));
		pthread_t t;

		*v = (struct victim){ shared, i };
		pthread_create(&t, NULL, watch, v);
	}
	watch(&(struct victim){ shared, 0 });
	_exit(1);
}

/* Steps after which the tracer can kill itself; then it is killed. */
enum point {
	FROZEN,
	BEGUN,
	CALLED,
	CHAIN,
	MAPPED,
	ENDED,
	FREED,
	THAWED,
	POINTS
};

/* Where a page of ours is mapped for a moment. */
#define PASSING 0x650000000000ull

static void die_at(enum point want, enum point here)
{
	if (want == here)
		raise(SIGKILL);
}

static int look_mapped(void *arg, struct err *err)
{
	(void)err;
	die_at(*(const enum point *)arg, MAPPED);
	return 0;
}

/* So many that they take more than one chain. */
#define CHAINED 80

static int chain(struct remote *r, struct err *err)
{
	struct remote_args calls[CHAINED];
	stack_t got[CHAINED];
	int e;

	memset(got, 0xff, sizeof(got));
	e = remote_write(r, remote_buffer(r), got, sizeof(got), err);
	for (size_t i = 0; i < CHAINED; i++)
		calls[i] = (struct remote_args){
			SYS_sigaltstack,
			{ 0, remote_buffer(r) + i * sizeof(*got) }
		};
	e = e < 0 ? e : remote_batch(r, calls, CHAINED, err);
	e = e < 0 ? e : remote_read(r, remote_buffer(r), got, sizeof(got), err);
	for (size_t i = 0; i < CHAINED && e == 0; i++)
		if (got[i].ss_size != 65536)
			e = err_set(err, -EIO, "call %zu was not made", i);
	return e;
}

static int inject(struct frozen_task *task, struct frozen_thread *th,
		  enum point point, struct err *err)
{
	int64_t value;
	int r = remote_begin(task->remote, &th->tracee, err);

	if (r == 0)
		die_at(point, BEGUN);
	for (int i = 0; i < 4 && r == 0; i++) {
		uint64_t buf = remote_buffer(task->remote);

		r = remote_call(task->remote, "times", &value, err, SYS_times,
				buf, 0, 0, 0, 0, 0);
		if (r == 0)
			r = remote_call(task->remote, "sigaltstack", &value,
					err, SYS_sigaltstack, 0, buf, 0, 0, 0,
					0);
		if (r == 0)
			die_at(point, CALLED);
	}
	r = r < 0 ? r : chain(task->remote, err);
	if (r == 0)
		die_at(point, CHAIN);
	if (r == 0)
		r = remote_passing_page(task->remote, PASSING, look_mapped,
					&point, &value, err);
	if (r == 0 && value != (int64_t)PASSING)
		r = err_num(err, (int)value, "page of ours");
	r = r < 0 ? r : remote_end(task->remote, err);
	if (r == 0)
		die_at(point, ENDED);
	return r;
}

static int trace(pid_t pid, enum point point, struct err *err)
{
	struct tree_members members = { .root_pid = pid };
	struct frozen_task *task;
	struct frozen_tree tree;
	int r;

	r = tree_freeze(&members, 10 * NSEC_PER_SEC, &tree, err);
	if (r < 0)
		return r;
	die_at(point, FROZEN);
	task = &tree.tasks[0];
	r = remote_new(pid, &task->threads[0].tracee, NULL, &task->remote, err);
	for (size_t i = 0; i < task->nthreads && r == 0; i++)
		r = inject(task, &task->threads[i], point, err);
	remote_free(task->remote);
	task->remote = NULL;
	if (r == 0)
		die_at(point, FREED);
	r = r < 0 ? r : tree_thaw(&tree, err);
	if (r == 0)
		die_at(point, THAWED);
	tree_free(&tree);
	return r;
}

/* point POINTS: it goes on for ever, and is killed after some time. */
static pid_t spawn_tracer(pid_t victim, enum point point)
{
	pid_t pid = fork();
	struct err err = { 0 };

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	do {
		if (trace(victim, point, &err) < 0) {
			diag("%s", err.text);
			_exit(1);
		}
	} while (point == POINTS);
	_exit(0);
}

/* All threads have looked again since. */
static bool await_looks(struct shared *shared)
{
	uint64_t deadline = clock_monotonic_ns() + 10 * NSEC_PER_SEC;

	for (int i = 0; i < THREADS; i++) {
		uint64_t before = shared->looks[i];

		while (shared->looks[i] < before + 2) {
			if (clock_monotonic_ns() > deadline || shared->bad)
				return false;
			nanosleep(&(struct timespec){ .tv_nsec = 100000 },
				  NULL);
		}
	}
	return true;
}

/* Its limits, which have no room for one more page when they are narrow. */
static struct rlimit memory = { RLIM_INFINITY, RLIM_INFINITY };

static bool is_limited(pid_t victim)
{
	struct rlimit now;

	return prlimit(victim, RLIMIT_AS, NULL, &now) == 0 &&
	       now.rlim_cur == memory.rlim_cur &&
	       now.rlim_max == memory.rlim_max;
}

/* What was mapped for a moment is so no more. */
static bool is_clean(pid_t victim)
{
	struct vma_list maps = { 0 };
	auto_close int proc = -EBADF;
	struct err err = { 0 };
	bool clean = proc_open(victim, 0, &proc, &err) == 0 &&
		     maps_read_fast(proc, &maps, &err) == 0 &&
		     !maps_find(&maps, PASSING) && is_limited(victim);

	maps_done(&maps);
	return clean;
}

/* hurry: the next tracer comes before the threads have found home. */
static int round_of(pid_t victim, struct shared *shared, enum point point,
		    uint64_t after_ns, bool hurry)
{
	pid_t tracer = spawn_tracer(victim, point);
	int status = 0;

	if (point == POINTS) {
		nanosleep(
			&(struct timespec){
				.tv_sec = (time_t)(after_ns / NSEC_PER_SEC),
				.tv_nsec = (long)(after_ns % NSEC_PER_SEC) },
			NULL);
		kill(tracer, SIGKILL);
	}
	waitpid(tracer, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		return -1;
	if (hurry)
		return 0;
	return await_looks(shared) && is_clean(victim) ? 0 : -1;
}

static void play(pid_t victim, struct shared *shared, const char *what)
{
	static const char *const names[] = { "frozen", "begun",
					     "called", "made many calls",
					     "mapped", "ended",
					     "freed",  "thawed" };
	unsigned int seed = 12345;
	int bad = 0, rounds = 0;
	uint64_t begin, all = 0;

	for (int p = FROZEN; p < POINTS; p++) {
		begin = clock_monotonic_ns();
		ok(round_of(victim, shared, (enum point)p, 0, false) == 0,
		   "%s: a tracer that dies when it has %s harms nobody: %s",
		   what, names[p], shared->what);
		all = clock_monotonic_ns() - begin;
	}
	for (; rounds < ROUNDS && !bad; rounds++)
		bad = round_of(victim, shared, POINTS,
			       (uint64_t)rand_r(&seed) % all, rounds % 4 != 3);
	ok(!bad, "%s: nor does one that is killed at any of %d instants: %s",
	   what, rounds, shared->what);
}

int main(void)
{
	struct shared *shared =
		mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t victim;

	if (shared == MAP_FAILED)
		return 1;
	if (geteuid() != 0)
		skip_all("tracing the child of another process needs root");
	if (!__builtin_cpu_supports("avx"))
		skip_all("this CPU has no AVX");
	victim = spawn_victim(shared, 0);
	ok(await_looks(shared), "the victim looks after itself");
	prlimit(victim, RLIMIT_AS, &memory, NULL);
	play(victim, shared, "any limits");
	memory = (struct rlimit){ 4096, RLIM_INFINITY - 1 };
	prlimit(victim, RLIMIT_AS, &memory, NULL);
	play(victim, shared, "limits without room");
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	memory = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	victim = spawn_victim(shared, 1);
	ok(await_looks(shared), "another one looks behind filters");
	play(victim, shared, "filters");
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	victim = spawn_victim(shared, 2);
	ok(await_looks(shared), "one looks behind others");
	memory = (struct rlimit){ 4096, RLIM_INFINITY - 1 };
	prlimit(victim, RLIMIT_AS, &memory, NULL);
	play(victim, shared, "filters and no room");
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	return done_testing();
}
