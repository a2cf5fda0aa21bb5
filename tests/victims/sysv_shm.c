/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System V shared memory: of a family, detached, removed, attached in part. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"
#include "mapping.h"

#define KEY      0x6a6f6243
#define PAGES    300
#define ODD_SIZE 5000

struct shared {
	atomic_int turn;
};

static void check_perm(int id, unsigned int mode, int key, size_t size,
		       unsigned long attached, const char *name)
{
	struct shmid_ds ds = { 0 };

	victim_check(shmctl(id, IPC_STAT, &ds) == 0, "%s is gone", name);
	victim_check((ds.shm_perm.mode & 07777) == mode, "%s: mode %o, not %o",
		     name, ds.shm_perm.mode, mode);
	victim_check(ds.shm_perm.__key == key, "%s: key %x", name,
		     ds.shm_perm.__key);
	victim_check(ds.shm_segsz == size, "%s: %zu bytes", name, ds.shm_segsz);
	victim_check(ds.shm_nattch == attached,
		     "%s: attached %lu times, not "
		     "%lu",
		     name, ds.shm_nattch, attached);
	victim_check(ds.shm_perm.uid == getuid() &&
			     ds.shm_perm.cuid == getuid() &&
			     ds.shm_perm.gid == getgid() &&
			     ds.shm_perm.cgid == getgid(),
		     "%s: it belongs to others", name);
}

static int child(struct shared *s, char *all, int id)
{
	char *own;
	bool good;

	atomic_store(&s->turn, 1);
	victim_wait_go();
	good = victim_check(pattern_holds(all, 100 * PAGE, 1) &&
				    all_zero(all + 100 * PAGE, 90 * PAGE),
			    "the child sees other contents");
	if (!victim_until(atomic_load(&s->turn) == 2))
		return 1;
	good &= victim_check(pattern_holds(all + 200 * PAGE, PAGE, 9),
			     "the child does not see what the parent writes");
	own = shmat(id, NULL, 0);
	good &= victim_check(own != (void *)-1, "the child cannot attach");
	pattern_fill(own + 210 * PAGE, PAGE, 10);
	good &= victim_check(shmdt(own) == 0, "the child cannot detach");
	atomic_store(&s->turn, 3);
	return !good;
}

int main(void)
{
	const unsigned int odd_mode = 0640;
	int id = shmget(KEY, PAGES * PAGE, IPC_CREAT | IPC_EXCL | 0600);
	int odd = shmget(KEY + 1, ODD_SIZE, IPC_CREAT | IPC_EXCL | odd_mode);
	int gone = shmget(KEY + 2, 8 * PAGE, IPC_CREAT | IPC_EXCL | 0604);
	int part = shmget(IPC_PRIVATE, 64 * PAGE, 0600), heir, spare, status;
	int big = shmget(IPC_PRIVATE, 1ul << 33, SHM_NORESERVE | 0600);
	char *all = shmat(id, (void *)0x500000000000ul, 0);
	char *again = shmat(id, NULL, 0);
	char *reader = shmat(id, NULL, SHM_RDONLY);
	char *odd_at = shmat(odd, NULL, 0), *gone_at = shmat(gone, NULL, 0);
	char *pieces = shmat(part, NULL, 0), *big_at = shmat(big, NULL, 0);
	struct shared *s;
	struct shmid_ds ds;
	bool locked;
	pid_t pid;

	victim_need(id >= 0 && odd >= 0 && gone >= 0 && part >= 0 && big >= 0,
		    "shmget");
	victim_need(all != (void *)-1 && again != (void *)-1 &&
			    reader != (void *)-1 && odd_at != (void *)-1 &&
			    gone_at != (void *)-1 && pieces != (void *)-1 &&
			    big_at != (void *)-1,
		    "shmat");
	s = (void *)(all + 299 * PAGE);
	pattern_fill(all, 100 * PAGE, 1);
	/* Behind its size, where its last page has room. */
	pattern_fill(odd_at, 2 * PAGE, 2);
	victim_need(shmdt(odd_at) == 0, "shmdt");
	pattern_fill(gone_at, 8 * PAGE, 3);
	victim_need(shmctl(gone, IPC_RMID, NULL) == 0, "IPC_RMID");
	/* A new one takes the key of the one that is removed. */
	heir = shmget(KEY + 2, PAGE, IPC_CREAT | IPC_EXCL | 0600);
	spare = shmget(IPC_PRIVATE, PAGE, 0);
	victim_need(heir >= 0 && spare >= 0, "shmget");
	/* A process may have only pieces of it. */
	pattern_fill(pieces, 64 * PAGE, 4);
	munmap(pieces, 8 * PAGE);
	munmap(pieces + 16 * PAGE, 8 * PAGE);
	munmap(pieces + 56 * PAGE, 8 * PAGE);
	mprotect(pieces + 32 * PAGE, 8 * PAGE, PROT_NONE);
	pattern_fill(big_at + (5ul << 30), PAGE, 5);
	locked = shmctl(part, SHM_LOCK, NULL) == 0;
	pid = fork();
	if (pid == 0)
		_exit(child(s, all, id));
	victim_need(pid > 0 && victim_until(atomic_load(&s->turn) == 1),
		    "child");
	mappings_note();

	victim_wait();

	mappings_compare();
	check_perm(id, 0600, KEY, PAGES * PAGE, 6, "the shared one");
	check_perm(odd, odd_mode, KEY + 1, ODD_SIZE, 0, "the detached one");
	check_perm(gone, 0604 | SHM_DEST, 0, 8 * PAGE, 2, "the removed one");
	check_perm(heir, 0600, KEY + 2, PAGE, 0, "the heir");
	check_perm(part, 0600 | (locked ? SHM_LOCKED : 0), 0, 64 * PAGE, 8,
		   "the one in pieces");
	victim_check(shmget(KEY, 0, 0) == id && shmget(KEY + 1, 0, 0) == odd,
		     "keys lead to others");
	/* Another may not even be read. */
	victim_check(shmctl(spare, IPC_RMID, NULL) == 0, "the spare is gone");
	victim_check(pattern_holds(all, 100 * PAGE, 1) &&
			     all_zero(all + 100 * PAGE, 190 * PAGE) &&
			     pattern_holds(reader, 100 * PAGE, 1),
		     "contents differ");
	odd_at = shmat(odd, NULL, 0);
	victim_check(odd_at != (void *)-1 && pattern_holds(odd_at, 2 * PAGE, 2),
		     "contents of the detached one differ");
	victim_check(pattern_holds(gone_at, 8 * PAGE, 3),
		     "contents of the removed one differ");
	victim_check(((uint64_t *)(pieces + 24 * PAGE))[0] ==
			     5 * 0x9e3779b97f4a7c15ull + 24 * PAGE / 8,
		     "contents of the pieces differ");
	victim_check(pattern_holds(big_at + (5ul << 30), PAGE, 5) &&
			     all_zero(big_at + (3ul << 30), PAGE),
		     "contents of the large one differ");
	victim_check(mprotect(reader, PAGE, PROT_READ | PROT_WRITE) < 0,
		     "what was attached to read can be written");
	pattern_fill(again + 200 * PAGE, PAGE, 9);
	atomic_store(&s->turn, 2);
	victim_check(victim_until(atomic_load(&s->turn) == 3) &&
			     pattern_holds(all + 210 * PAGE, PAGE, 10),
		     "parent and child no longer share it");
	waitpid(pid, &status, 0);
	victim_check(status == 0, "the child failed");
	victim_check(shmctl(gone, IPC_STAT, &ds) == 0 && ds.shm_nattch == 1 &&
			     shmdt(gone_at) == 0 &&
			     shmctl(gone, IPC_STAT, &ds) < 0,
		     "the removed one does not go with its last user");
	victim_check(shmdt(pieces) == 0, "pieces cannot be detached");
	victim_verdict(shmdt(all) == 0 && shmdt(again) == 0 &&
			       shmdt(reader) == 0,
		       "System V shared memory is as it was");
}
