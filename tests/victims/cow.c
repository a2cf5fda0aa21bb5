// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory that processes share copy-on-write since a fork: it is shared as
 * before, whoever wrote since, and each sees what it saw.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#define MIB    (1ul << 20)
#define BIG    (16 * MIB)
#define HEAP   (2 * MIB)
#define PEOPLE 8 /* the parent is 0 */

/* What everybody tells the parent. */
static struct person {
	volatile int set_up, looked, wrong;
	volatile uint64_t pss_big, pss_seam, pss_all;
} * people;

static size_t room = 1ul << 40;
static char *big, *odd, *heap, *sparse;
static char *seam; /* two mappings that touch */
static int me;

/* Its share of the memory in [start, end), or all; KiB. */
static uint64_t pss(uint64_t start, uint64_t end, const char *field)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long long from = 0, to, n, sum = 0;
	char line[4096], format[64];

	victim_need(f, "smaps");
	snprintf(format, sizeof(format), "%s: %%llu kB", field);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &n, &to) == 2)
			from = n;
		else if (from >= start && from < end &&
			 sscanf(line, format, &n) == 1)
			sum += n;
	}
	fclose(f);
	return sum;
}

static uint64_t pss_big(void)
{
	return pss((uint64_t)big, (uint64_t)(big + BIG), "Pss");
}

static void be_ready(void)
{
	people[me].set_up = 1;
	victim_wait_go();
}

static void wait_for_all(int n)
{
	for (int i = 0; i < n; i++)
		victim_need(victim_until(people[i].set_up), "all set up");
}

/* The memory is measured before anybody touches it again. */
static void measure(void)
{
	people[me].pss_big = pss_big();
	people[me].pss_seam =
		pss((uint64_t)seam, (uint64_t)(seam + 2 * MIB), "Pss");
	people[me].pss_all = pss(0, UINT64_MAX, "Pss");
	people[me].looked = 1;
	victim_need(victim_until(people[0].looked == 2), "all have looked");
}

static bool pages_are(size_t from_mib, size_t to_mib, uint64_t seed)
{
	bool all = true;

	for (size_t i = from_mib; i < to_mib; i++)
		all = all && pattern_holds(big + i * MIB, MIB, seed + i);
	return all;
}

static void pages_set(size_t from_mib, size_t to_mib, uint64_t seed)
{
	for (size_t i = from_mib; i < to_mib; i++)
		pattern_fill(big + i * MIB, MIB, seed + i);
}

static pid_t grow(int who)
{
	pid_t pid = fork();

	victim_need(pid >= 0, "fork");
	if (pid == 0)
		me = who;
	return pid;
}

static _Noreturn void leave(void)
{
	_exit(people[me].wrong ? 1 : 0);
}

static void check(bool pass, const char *what)
{
	if (!victim_check(pass, "process %d: %s", me, what))
		people[me].wrong = 1;
}

/* 2: a grandchild, whose parent has written since. */
static void grandchild(void)
{
	pages_set(2, 3, 2000);
	be_ready();
	measure();
	check(pages_are(0, 2, 0) && pages_are(2, 3, 2000) &&
		      pages_are(3, 16, 0),
	      "its memory differs");
	check(odd[0] == 1 && pattern_holds(heap, HEAP, 77), "heap, or odd");
	leave();
}

/* 1: a child that wrote a part, and made a part zero. */
static void first_child(void)
{
	if (grow(2) == 0)
		grandchild();
	pages_set(0, 1, 1000);
	memset(big + 5 * MIB, 0, MIB);
	mprotect(odd, PAGE, PROT_READ);
	be_ready();
	measure();
	check(pages_are(0, 1, 1000) && pages_are(1, 5, 0) &&
		      all_zero(big + 5 * MIB, MIB) && pages_are(6, 16, 0),
	      "its memory differs");
	check(odd[0] == 1 && pattern_holds(heap, HEAP, 77), "heap, or odd");
	pages_set(0, 16, 1);
	check(pages_are(0, 16, 1), "what it writes is lost");
	leave();
}

/* 3: born after the parent wrote; has a hole, other memory, and a file. */
static void second_child(void)
{
	char *other, *more = sbrk(HEAP);

	munmap(big + 12 * MIB, 2 * MIB);
	other = mmap(big + 13 * MIB, MIB, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
		     -1, 0);
	victim_need(other != MAP_FAILED && more != (void *)-1, "map");
	pattern_fill(other, MIB / 2, 3000);
	pattern_fill(more, HEAP, 78);
	mprotect(big + 14 * MIB, MIB, PROT_NONE);
	madvise(big + 3 * MIB, MIB, MADV_DONTNEED);
	be_ready();
	measure();
	mprotect(big + 14 * MIB, MIB, PROT_READ);
	check(pages_are(0, 3, 0) && all_zero(big + 3 * MIB, MIB) &&
		      pages_are(4, 8, 0) && pages_are(8, 10, 4000) &&
		      pages_are(10, 12, 0) && pages_are(14, 16, 0),
	      "its memory differs");
	check(pattern_holds(other, MIB / 2, 3000) &&
		      all_zero(other + MIB / 2, MIB / 2),
	      "its own mapping differs");
	check(pattern_holds(heap, HEAP, 77) && pattern_holds(more, HEAP, 78),
	      "its heap differs");
	leave();
}

/* 4 and 5 share with each other what 0 has written since. */
static void twins(int who)
{
	be_ready();
	measure();
	check(pages_are(0, 8, 0) && pages_are(8, 10, 4000) &&
		      pages_are(10, 16, 0),
	      who == 4 ? "the first twin differs" : "the second twin differs");
	check(pattern_holds(sparse, MIB, 5) &&
		      pattern_holds(sparse + room / 2, MIB, 6),
	      "sparse memory differs");
	check(pattern_holds(seam, 2 * MIB, 7), "mappings that touch differ");
	/* Of seven processes one has given advice about it. */
	check(people[me].pss_seam < 500, "mappings that touch are not shared");
	leave();
}

/* 6: its parent has ended. */
static void orphan(void)
{
	if (grow(6) != 0)
		_exit(0);
	be_ready();
	measure();
	check(pages_are(0, 8, 0) && pages_are(8, 10, 4000) &&
		      pages_are(10, 16, 0),
	      "the orphan's memory differs");
	people[6].looked = 3;
	leave();
}

/* 7: another program, which has nothing in common but its parent. */
static void stranger(void)
{
	execl("/proc/self/exe", "cow", "stranger", NULL);
	_exit(9);
}

/* Nobody has waited for it; it ended with 7, or by a signal. */
static pid_t make_zombie(int sig)
{
	pid_t pid = fork();
	siginfo_t info;

	victim_need(pid >= 0, "fork");
	if (pid == 0) {
		if (sig)
			kill(getpid(), sig);
		_exit(7);
	}
	victim_need(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0,
		    "a zombie");
	return pid;
}

static uint64_t sum(bool of_big)
{
	uint64_t n = 0;

	for (int i = 0; i < PEOPLE - 1; i++)
		n += of_big ? people[i].pss_big : people[i].pss_all;
	return n;
}

static void look(uint64_t *ret_big, uint64_t *ret_all)
{
	people[0].pss_big = pss_big();
	people[0].pss_all = pss(0, UINT64_MAX, "Pss");
	for (int i = 1; i < PEOPLE - 1; i++)
		victim_need(victim_until(people[i].looked), "a look");
	*ret_big = sum(true);
	*ret_all = sum(false);
}

static void make_memory(void)
{
	/* Older ones would have to look for pages one by one. */
	if (!victim_kernel(6, 7))
		room = 1ul << 31;
	people = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	big = mmap(NULL, BIG, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	odd = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sparse = mmap(NULL, room, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	/* Away from what lies above. */
	seam = mmap(NULL, 3 * MIB, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	heap = sbrk(HEAP);
	victim_need(people != MAP_FAILED && big != MAP_FAILED &&
			    odd != MAP_FAILED && sparse != MAP_FAILED &&
			    seam != MAP_FAILED && heap != (void *)-1,
		    "memory");
	victim_need(
		mmap(seam + MIB, MIB, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
		     -1, 0) == seam + MIB &&
			munmap(seam + 2 * MIB, MIB) == 0,
		"memory that touches");
	pattern_fill(seam, 2 * MIB, 7);
	pages_set(0, 16, 0);
	odd[0] = 1;
	pattern_fill(heap, HEAP, 77);
	pattern_fill(sparse, MIB, 5);
	pattern_fill(sparse + room / 2, MIB, 6);
}

/* What the others look at themselves before they are stopped. */
static void expect(uint64_t *ret_big)
{
	/*
	 * Distinct pages, MiB: 16 as first made (all but 8 and 9 still 0's),
	 * 1 of the first child and its zeroes, 1 of the grandchild, 2 written
	 * by 0 for whoever came later, 4 by 0 alone, half of 3's own.
	 */
	*ret_big = (16 + 2 + 1 + 2 + 4) * MIB / 1024 + MIB / 2048;
}

int main(int argc, char **argv)
{
	uint64_t want_big, now_big, now_all, own;
	pid_t pids[PEOPLE], dead[2];
	int status, ends[2];

	if (argc > 1 && strcmp(argv[1], "stranger") == 0) {
		victim_wait_go();
		return 0;
	}
	(void)argv;
	make_memory();
	pids[1] = grow(1);
	if (pids[1] == 0)
		first_child();
	victim_need(victim_until(people[1].set_up && people[2].set_up), "1");
	pages_set(8, 10, 4000);
	pids[3] = grow(3);
	if (pids[3] == 0)
		second_child();
	pids[4] = grow(4);
	if (pids[4] == 0)
		twins(4);
	pids[5] = grow(5);
	if (pids[5] == 0)
		twins(5);
	pids[6] = grow(6);
	if (pids[6] == 0)
		orphan();
	waitpid(pids[6], NULL, 0);
	/* Until it has its own program it shares the memory of this one. */
	victim_need(pipe2(ends, O_CLOEXEC) == 0, "a pipe");
	pids[7] = grow(7);
	if (pids[7] == 0)
		stranger();
	close(ends[1]);
	victim_need(read(ends[0], &status, 1) == 0, "another program");
	close(ends[0]);
	pages_set(8, 12, 5000);
	madvise(seam, 2 * MIB, MADV_NOHUGEPAGE);
	dead[0] = make_zombie(0);
	dead[1] = make_zombie(SIGUSR1);
	people[0].set_up = 1;
	wait_for_all(PEOPLE - 1);
	own = pss(0, UINT64_MAX, "Pss");
	mappings_note();

	victim_wait();

	mappings_compare();
	look(&now_big, &now_all);
	expect(&want_big);
	/* Pages of zeroes need not come back. */
	victim_check(now_big >= want_big - 1024 - 64 &&
			     now_big <= want_big + 64,
		     "%llu KiB are in use for %llu KiB",
		     (unsigned long long)now_big, (unsigned long long)want_big);
	for (int i = 0; now_big > want_big + 64 && i < PEOPLE - 1; i++)
		victim_check(false, "process %d has %llu of them", i,
			     (unsigned long long)people[i].pss_big);
	victim_check(people[0].pss_all <= own + own / 5 + 512,
		     "the parent's share is %llu KiB, was %llu",
		     (unsigned long long)people[0].pss_all,
		     (unsigned long long)own);
	victim_check(pages_are(0, 8, 0) && pages_are(8, 12, 5000) &&
			     pages_are(12, 16, 0),
		     "the parent's memory differs");
	victim_check(pattern_holds(heap, HEAP, 77) &&
			     pattern_holds(sparse + room / 2, MIB, 6),
		     "its heap, or sparse memory, differs");
	people[0].looked = 2;
	victim_check(waitpid(dead[0], &status, 0) == dead[0] &&
			     WIFEXITED(status) && WEXITSTATUS(status) == 7,
		     "one that had ended with 7 says %#x", status);
	victim_check(waitpid(dead[1], &status, 0) == dead[1] &&
			     WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1,
		     "one that had been killed says %#x", status);
	for (int i = 1; i < PEOPLE; i++)
		if (i != 2 && i != 6)
			victim_check(waitpid(pids[i], &status, 0) == pids[i] &&
					     status == 0,
				     "process %d says %#x", i, status);
	victim_check(victim_until(people[6].looked == 3),
		     "the orphan does not end well");
	victim_check(!people[2].wrong && !people[6].wrong,
		     "grandchild or orphan found something wrong");
	victim_verdict(true, "what was shared copy-on-write still is");
}
