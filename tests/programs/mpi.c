// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mpi [ROUNDS [leave]]: ranks that hand blocks around in a ring, and agree on
 * a sum each round.  leave: they end without MPI_Finalize.
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS 20000

/* As MPI_Finalize does at its end: who started the ranks must hear of it. */
static void leave(void)
{
	const char *number = getenv("PMI_FD");
	int fd = number ? atoi(number) : -1;
	char answer[256];

	(void)fflush(stdout);
	MPI_Barrier(MPI_COMM_WORLD);
	if (dprintf(fd, "cmd=finalize\n") > 0)
		_exit(read(fd, answer, sizeof(answer)) <= 0);
	_exit(1);
}

int main(int argc, char **argv)
{
	uint64_t *mine = malloc(WORDS * sizeof(*mine));
	uint64_t *theirs = malloc(WORDS * sizeof(*theirs)), sum = 0;
	int rank, ranks, rounds;

	MPI_Init(&argc, &argv);
	rounds = argc > 1 ? atoi(argv[1]) : 150;
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	for (int i = 0; i < WORDS; i++)
		mine[i] = (uint64_t)rank * 1000003 + (uint64_t)i;
	for (int round = 0; round < rounds; round++) {
		uint64_t part, all;

		MPI_Sendrecv(mine, WORDS, MPI_UINT64_T, (rank + 1) % ranks, 0,
			     theirs, WORDS, MPI_UINT64_T,
			     (rank + ranks - 1) % ranks, 0, MPI_COMM_WORLD,
			     MPI_STATUS_IGNORE);
		for (int i = 0; i < WORDS; i++)
			mine[i] = theirs[i] * 6364136223846793005ull +
				  (uint64_t)round;
		part = mine[round % WORDS];
		MPI_Allreduce(&part, &all, 1, MPI_UINT64_T, MPI_SUM,
			      MPI_COMM_WORLD);
		sum = sum * 31 + all;
	}
	if (rank == 0)
		printf("%d ranks: %016llx\n", ranks, (unsigned long long)sum);
	if (argc > 2)
		leave();
	MPI_Finalize();
	return 0;
}
