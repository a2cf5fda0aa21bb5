/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job for the demonstration and the tests: several processes with several
 * threads each, tied by pipes, barriers and timers.  Its output is the same
 * on every undisturbed run; a lost or repeated step, a changed byte of memory
 * or a stray signal shows.
 *
 *   progress ROUNDS MILLISECONDS PROCESSES THREADS MEBIBYTES [EXIT|-SIGNAL]
 *
 * ROUNDS lines, one every MILLISECONDS; each process owns MEBIBYTES of memory
 * and touches all of it in a round.  Ends with the status or signal given,
 * and not before the file $PROGRESS_END is there.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct setup {
	int rounds, milliseconds, processes, threads;
	size_t words; /* of memory in each process */
};

struct worker {
	const struct setup *setup;
	int process;
	uint64_t *memory;
	uint64_t *sums; /* one for each thread */
	pthread_barrier_t begin, end;
	int next; /* numbers threads as they start */
	pthread_mutex_t lock;
};

/* A worker's two pipes; it waits for the order of each round. */
struct line {
	int order;  /* the number of the round: a byte of it */
	int report; /* struct report */
};

/* What a worker tells the parent in a round. */
struct report {
	uint32_t process, round;
	uint64_t sum;
};

static void __attribute__((noreturn)) fail(const char *what)
{
	perror(what);
	exit(70);
}

/* write(2) alone is safe here: the line must come even if all else is lost. */
static void note_signal(int sig, siginfo_t *info, void *context)
{
	char line[64];
	int saved = errno;
	int n = snprintf(line, sizeof(line), "signal %d came (code %d)\n", sig,
			 info->si_code);

	(void)context;
	if (write(STDOUT_FILENO, line, (size_t)n) < 0)
		_exit(70);
	errno = saved;
}

/* Everything that Slurm or an administrator may send. */
static void note_signals(void)
{
	static const int signals[] = { SIGTERM, SIGCONT, SIGUSR1, SIGUSR2,
				       SIGHUP,  SIGINT,  SIGTSTP, SIGXCPU };
	struct sigaction action = { .sa_sigaction = note_signal,
				    .sa_flags = SA_SIGINFO | SA_RESTART };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], &action, NULL) < 0)
			fail("sigaction");
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* A thread's share of one round: every word depends on all rounds before. */
static uint64_t turn_over(const struct worker *w, int thread, int round)
{
	const struct setup *s = w->setup;
	size_t share = s->words / (size_t)s->threads;
	uint64_t *p = w->memory + share * (size_t)thread;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < share; i++) {
		p[i] = mix(p[i] + (uint64_t)round + i);
		sum += p[i];
	}
	return sum;
}

static void *run_thread(void *arg)
{
	struct worker *w = arg;
	int me, round;

	pthread_mutex_lock(&w->lock);
	me = w->next++;
	pthread_mutex_unlock(&w->lock);
	for (round = 1; round <= w->setup->rounds; round++) {
		pthread_barrier_wait(&w->begin);
		w->sums[me] = turn_over(w, me, round);
		pthread_barrier_wait(&w->end);
	}
	return NULL;
}

/* The sum of the threads does not depend on which of them did which share. */
static void run_rounds(struct worker *w, const struct line *line)
{
	const struct setup *s = w->setup;
	struct report report = { .process = (uint32_t)w->process };
	unsigned char order;
	int i;

	for (report.round = 1; report.round <= (uint32_t)s->rounds;
	     report.round++) {
		if (read(line->order, &order, 1) != 1 ||
		    order != (unsigned char)report.round)
			fail("order");
		pthread_barrier_wait(&w->begin);
		pthread_barrier_wait(&w->end);
		report.sum = 0;
		for (i = 0; i < s->threads; i++)
			report.sum += w->sums[i];
		if (write(line->report, &report, sizeof(report)) !=
		    sizeof(report))
			fail("report");
	}
}

static void run_worker(const struct setup *s, int process,
		       const struct line *line)
{
	struct worker w = { .setup = s, .process = process };
	unsigned int parties = (unsigned int)s->threads + 1;
	pthread_t *threads = calloc((size_t)s->threads, sizeof(*threads));
	size_t word;
	int i;

	w.sums = calloc((size_t)s->threads, sizeof(*w.sums));
	w.memory =
		mmap(NULL, s->words * sizeof(uint64_t), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!threads || !w.sums || w.memory == MAP_FAILED)
		fail("memory");
	for (word = 0; word < s->words; word++)
		w.memory[word] = mix(word * (size_t)(process + 1));
	pthread_mutex_init(&w.lock, NULL);
	pthread_barrier_init(&w.begin, NULL, parties);
	pthread_barrier_init(&w.end, NULL, parties);
	for (i = 0; i < s->threads; i++)
		if (pthread_create(&threads[i], NULL, run_thread, &w))
			fail("pthread_create");
	run_rounds(&w, line);
	for (i = 0; i < s->threads; i++)
		pthread_join(threads[i], NULL);
	exit(0);
}

static void start_worker(const struct setup *s, int process, struct line *ret)
{
	int order[2], report[2];

	if (pipe(order) < 0 || pipe(report) < 0)
		fail("pipe");
	switch (fork()) {
	case -1:
		fail("fork");
	case 0:
		close(order[1]);
		close(report[0]);
		run_worker(s, process, &(struct line){ order[0], report[1] });
	}
	close(order[0]);
	close(report[1]);
	*ret = (struct line){ order[1], report[0] };
}

/* Paced by absolute times, as a program with a deadline would be. */
static void pace(struct timespec *next, int milliseconds)
{
	next->tv_nsec += milliseconds * 1000000l;
	next->tv_sec += next->tv_nsec / 1000000000l;
	next->tv_nsec %= 1000000000l;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL) ==
	       EINTR)
		;
}

static void give_orders(const struct setup *s, const struct line *lines,
			int round)
{
	unsigned char order = (unsigned char)round;
	int i;

	for (i = 0; i < s->processes; i++)
		if (write(lines[i].order, &order, 1) != 1)
			fail("order");
}

/* Those who look at this job decide when it may end. */
static void await_end(struct timespec *next, int milliseconds)
{
	const char *end = getenv("PROGRESS_END");

	while (end && access(end, F_OK) < 0)
		pace(next, milliseconds);
}

static void gather(const struct setup *s, const struct line *lines)
{
	uint64_t all = 0;
	struct timespec next;
	struct report r;
	int round, i;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (round = 1; round <= s->rounds; round++) {
		if (round == s->rounds)
			await_end(&next, s->milliseconds);
		give_orders(s, lines, round);
		for (i = 0; i < s->processes; i++) {
			if (read(lines[i].report, &r, sizeof(r)) != sizeof(r) ||
			    r.round != (uint32_t)round ||
			    r.process != (uint32_t)i)
				fail("a worker is out of step");
			all = mix(all + r.sum);
		}
		printf("round %d of %d: %016llx\n", round, s->rounds,
		       (unsigned long long)all);
		fflush(stdout);
		pace(&next, s->milliseconds);
	}
}

static int end_like(const char *how)
{
	int value = how ? atoi(how) : 0;

	if (value < 0) {
		signal(-value, SIG_DFL);
		raise(-value);
	}
	return value;
}

int main(int argc, char **argv)
{
	struct setup s;
	struct line lines[64];
	int i, status, bad = 0;

	if (argc < 6 || atoi(argv[3]) < 1 || atoi(argv[3]) > 64 ||
	    atoi(argv[4]) < 1)
		return 64;
	s.rounds = atoi(argv[1]);
	s.milliseconds = atoi(argv[2]);
	s.processes = atoi(argv[3]);
	s.threads = atoi(argv[4]);
	s.words = (size_t)atoi(argv[5]) * (1024 * 1024 / sizeof(uint64_t));
	note_signals();
	for (i = 0; i < s.processes; i++)
		start_worker(&s, i, &lines[i]);
	gather(&s, lines);
	while (wait(&status) > 0)
		bad |= status;
	printf("done, %d processes ended %s\n", s.processes,
	       bad ? "badly" : "well");
	fflush(stdout);
	return bad ? 70 : end_like(argc > 6 ? argv[6] : NULL);
}
