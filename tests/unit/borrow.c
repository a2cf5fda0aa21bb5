/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages of an earlier generation a new one may have in common with it,
 * and when none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned int records_most = 1u << 20;
#define LENDER_RECORDS records_most
#include "engine/borrow.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "snapshot/snapshot.h"
#include "src/engine/lender.c"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define PAGES_NAME SAMPLE_PAGES "@1"
#define MORE_NAME  SAMPLE_MORE "@1"

/* The sample is a generation; it was watched since. */
struct fixture {
	char base[64], dir[64];
	struct user_id owner;
	struct watches watches;
	struct checkpoint_args args;
	struct borrow *borrow;
	char why[160];
	PagesRecord *records[8];
	size_t nrecords;
};

/* All its pages are those of an earlier one. */
static void borrow_all(void *arg, uint32_t tag, ProtobufCMessage *msg)
{
	static char *features[] = { (char *)SNAPSHOT_INCREMENTAL };
	const uint32_t *generation = arg;
	ManifestRecord *m = (ManifestRecord *)msg;

	if (tag != TAG_MANIFEST)
		return;
	m->generation = *generation;
	m->features = features;
	m->n_features = 1;
	for (size_t k = 1; k < m->parts[0]->n_streams; k++) {
		m->parts[0]->streams[k]->has_borrowed_from = 1;
		m->parts[0]->streams[k]->borrowed_from = 1;
	}
}

static void begin_of(struct fixture *f, uint32_t generation)
{
	struct sample_edit edit = { .record = borrow_all, .arg = &generation };
	struct err err = { 0 };
	ManifestRecord *m;

	memset(f, 0, sizeof(*f));
	f->owner.uid = geteuid();
	f->owner.gid = getegid();
	f->args.job_id = "local-1";
	f->args.generation = generation + 1;
	f->args.owner = &f->owner;
	f->args.watches = &f->watches;
	f->args.base_fd = temp_dir(f->base);
	f->args.dir_fd = temp_dir(f->dir);
	if (sample_write(f->args.base_fd, generation > 1 ? &edit : NULL, &err) <
		    0 ||
	    snapshot_manifest(f->args.base_fd, NULL, &m, &err) < 0)
		abort();
	f->watches.generation = generation;
	memcpy(f->watches.digest, m->parts[0]->streams[0]->digest.data,
	       WATCHES_DIGEST);
	manifest_record__free_unpacked(m, NULL);
	watches_add(&f->watches, 1, 1, open("/dev/null", O_CLOEXEC));
}

static void begin(struct fixture *f)
{
	begin_of(f, 1);
}

static void end(struct fixture *f)
{
	for (size_t i = 0; i < f->nrecords; i++)
		pages_record__free_unpacked(f->records[i], NULL);
	borrow_free(f->borrow);
	watches_done(&f->watches);
	close(f->args.base_fd);
	close(f->args.dir_fd);
	temp_dir_remove(f->base);
	temp_dir_remove(f->dir);
}

static bool opened(struct fixture *f)
{
	struct err err = { 0 };

	return borrow_open(&f->args, &f->borrow, f->why, sizeof(f->why),
			   &err) == 0 &&
	       f->borrow;
}

static bool has(const struct fixture *f, const char *name)
{
	struct stat st;

	return fstatat(f->args.dir_fd, name, &st, 0) == 0;
}

/* Is the page at start borrowed, and up to where? */
static bool take(struct fixture *f, pid_t pid, uint64_t start, uint64_t end,
		 bool taken, uint64_t until)
{
	struct err err = { 0 };
	uint64_t got = 0;
	bool is = false;

	return borrow_take(f->borrow, pid, start, end, &is, &got, &err) == 0 &&
	       is == taken && got == until;
}

static int keep_record(void *arg, const void *data, size_t len, struct err *err)
{
	struct fixture *f = arg;
	struct img_record rec;
	ProtobufCMessage *msg;
	size_t pos = 0;

	if (img_next(data, len, &pos, &rec, err) != 1 || rec.tag != TAG_PAGES ||
	    img_unpack(&rec, &pages_record__descriptor, &msg, err) < 0)
		abort();
	f->records[f->nrecords++] = (PagesRecord *)msg;
	return 0;
}

static bool put(struct fixture *f, struct borrow_total *ret)
{
	const struct img_sink sink = { .write = keep_record, .arg = f };
	struct err err = { 0 };

	return borrow_put(f->borrow, 2, &sink, ret, &err) == 0;
}

static void test_pages(void)
{
	struct borrow_total total;
	struct fixture f;
	const Extent *x;

	begin(&f);
	ok(opened(&f) && has(&f, PAGES_NAME) && has(&f, MORE_NAME),
	   "what is to be borrowed gets names");
	borrow_count(f.borrow, 5, 0x400000, 0x404000);
	borrow_count(f.borrow, 7, 0x403000, 0x405000);
	borrow_choose(f.borrow);
	ok(take(&f, 5, 0x400000, 0x404000, true, 0x402000),
	   "a run of pages as far as there is one");
	ok(take(&f, 5, 0x402000, 0x404000, false, 0x403000),
	   "none where nothing was saved, up to the next");
	ok(take(&f, 5, 0x403000, 0x404000, true, 0x404000),
	   "of a longer run only what is asked for");
	ok(take(&f, 7, 0x404000, 0x405000, true, 0x405000),
	   "what was another's, since a fork");
	ok(take(&f, 7, 0x402000, 0x403000, false, 0x403000) &&
		   take(&f, 9, 0x400000, 0x401000, false, 0x401000),
	   "and nothing that was nobody's");

	ok(put(&f, &total) && total.bytes == 4 * 4096 && total.extents == 3 &&
		   total.nstreams == 1 &&
		   !strcmp(total.streams[0].name, PAGES_NAME) &&
		   total.streams[0].from == 1,
	   "four pages of one stream");
	ok(f.nrecords == 2 && f.records[0]->pid == 5 &&
		   f.records[0]->n_extents == 2 && f.records[1]->pid == 7 &&
		   f.records[1]->n_extents == 1,
	   "two runs of one process, and one of the other");
	x = f.records[0]->extents[0];
	ok(x->address == 0x400000 && x->pages == 2 && x->stream == 2 &&
		   !x->n_parts,
	   "all of a run has no parts");
	x = f.records[0]->extents[1];
	ok(x->address == 0x403000 && x->pages == 2 && x->n_parts == 2 &&
		   x->parts[0] == 0 && x->parts[1] == 1,
	   "the beginning of one");
	x = f.records[1]->extents[0];
	ok(x->address == 0x403000 && x->pages == 2 && x->n_parts == 2 &&
		   x->parts[0] == 1 && x->parts[1] == 1,
	   "the end of one");
	ok(!has(&f, MORE_NAME), "the name that is not needed goes");
	borrow_free(take_ptr(f.borrow));
	ok(has(&f, PAGES_NAME), "the other stays");
	end(&f);
}

static void test_in_between(void)
{
	struct borrow_total total;
	struct fixture f;
	const Extent *x;

	begin(&f);
	if (!opened(&f))
		abort();
	borrow_count(f.borrow, 5, 0x400000, 0x405000);
	borrow_choose(f.borrow);
	/* In any order: others may have pages in the middle of a run. */
	ok(take(&f, 5, 0x401000, 0x402000, true, 0x402000) &&
		   take(&f, 5, 0x403000, 0x404000, true, 0x404000) &&
		   take(&f, 5, 0x400000, 0x401000, true, 0x401000) &&
		   put(&f, &total) && total.extents == 2,
	   "pages of one run are one extent, whenever they come");
	x = f.records[0]->extents[0];
	ok(x->address == 0x400000 && !x->n_parts, "and all of it is whole");
	end(&f);
}

static void test_rare(void)
{
	struct borrow_total total;
	struct fixture f;

	begin(&f);
	if (!opened(&f))
		abort();
	borrow_count(f.borrow, 5, 0x400000, 0x401000);
	borrow_choose(f.borrow);
	ok(take(&f, 5, 0x400000, 0x401000, false, 0x401000),
	   "a stream of which little is wanted is not borrowed from");
	ok(put(&f, &total) && total.nstreams == 0, "none is");
	ok(!has(&f, PAGES_NAME) && !has(&f, MORE_NAME),
	   "and no name is needed");
	end(&f);
}

static void test_another(void)
{
	struct fixture f;

	begin(&f);
	f.watches.digest[7] ^= 1;
	ok(!opened(&f) && strstr(f.why, "not what it was") &&
		   !has(&f, PAGES_NAME),
	   "other records than those of the cut: %s", f.why);
	f.watches.digest[7] ^= 1;
	f.args.job_id = "local-2";
	ok(!opened(&f) && *f.why, "another job's: %s", f.why);
	f.args.job_id = "local-1";
	f.watches.generation = 3;
	ok(!opened(&f) && *f.why, "another generation: %s", f.why);
	f.watches.generation = 1;
	records_most = 100;
	ok(!opened(&f) && strstr(f.why, "too many pieces") &&
		   !has(&f, PAGES_NAME),
	   "in more pieces than are kept in mind: %s", f.why);
	records_most = 1u << 20;
	close(openat(f.args.dir_fd, MORE_NAME, O_CREAT | O_WRONLY | O_CLOEXEC,
		     0600));
	ok(!opened(&f) && *f.why && !has(&f, PAGES_NAME) && has(&f, MORE_NAME),
	   "a name that cannot be had: %s", f.why);
	(void)unlinkat(f.args.dir_fd, MORE_NAME, 0);
	ok(opened(&f) && !*f.why, "put right, it is borrowed from");
	end(&f);
}

static void test_damaged(void)
{
	struct fixture f;
	int fd;

	begin(&f);
	fd = openat(f.args.base_fd, SAMPLE_META, O_WRONLY | O_CLOEXEC);
	if (pwrite(fd, "x", 1, 40) != 1)
		abort();
	close(fd);
	ok(!opened(&f) && strstr(f.why, "generation 1 is damaged") &&
		   strstr(f.why, SAMPLE_META),
	   "damaged records: %s", f.why);
	end(&f);
	begin(&f);
	if (unlinkat(f.args.base_fd, SAMPLE_PAGES, 0) < 0 ||
	    symlinkat("/etc/passwd", f.args.base_fd, SAMPLE_PAGES) < 0)
		abort();
	ok(!opened(&f) && *f.why, "a link in the place of a stream: %s", f.why);
	end(&f);
}

static void damage_pages(const struct fixture *f)
{
	auto_close int fd =
		openat(f->args.base_fd, SAMPLE_PAGES, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	if (pread(fd, &byte, 1, 4096) != 1)
		abort();
	byte ^= 1;
	if (pwrite(fd, &byte, 1, 4096) != 1)
		abort();
}

static void test_goes_on(void)
{
	struct fixture f;

	begin(&f);
	damage_pages(&f);
	ok(!opened(&f) && strstr(f.why, "generation 1 is damaged") &&
		   !has(&f, PAGES_NAME) && !has(&f, MORE_NAME),
	   "damaged pages, of a job that goes on: %s", f.why);
	end(&f);
}

/* Is the beginning of what was borrowed before read again? */
static bool is_read(uint32_t from, uint32_t generation)
{
	struct fixture f;
	bool read;

	begin_of(&f, from);
	f.args.generation = generation;
	damage_pages(&f);
	read = !opened(&f) && strstr(f.why, " is damaged");
	end(&f);
	return read;
}

static void test_turns(void)
{
	unsigned int turns = 0;
	uint32_t at;

	for (at = 2; at < 10; at++)
		turns += is_read(at, at + 1);
	ok(turns == 1, "one in eight generations reads an eighth: %u", turns);
	ok(is_read(7, 9) && is_read(2, 11) && is_read(7, 20),
	   "also of generations that are not there");
	ok(!is_read(8, 10) && !is_read(8, 15), "and none twice");
	for (turns = 0, at = 3; at < 3 + 8 * 3; at += 3)
		turns += is_read(at, at + 3);
	ok(turns == 3, "as often where others have numbers between: %u", turns);
}

static bool kill_it(void *arg, bool gone)
{
	(void)arg;
	(void)gone;
	return true;
}

/* It is known when all was taken. */
static void begin_ending(struct fixture *f, bool damaged)
{
	begin(f);
	f->args.published = kill_it;
	if (damaged)
		damage_pages(f);
	ok(opened(f), "a job that ends begins to borrow");
	borrow_count(f->borrow, 5, 0x400000, 0x404000);
	borrow_choose(f->borrow);
	ok(take(f, 5, 0x400000, 0x404000, true, 0x402000),
	   "and is saved without it");
}

static void test_ends(void)
{
	struct borrow_total total;
	struct fixture f;
	uint64_t until;
	bool had;

	begin_ending(&f, false);
	ok(!borrow_is_lost(f.borrow) && put(&f, &total) &&
		   total.bytes == 2 * 4096 && !*total.lost,
	   "which is right where it is whole");
	end(&f);
	begin_ending(&f, true);
	ok(borrow_is_lost(f.borrow), "but not where it is damaged");
	ok(!borrow_is_lost(f.borrow), "of which it is told once");
	borrow_had(f.borrow, 5, 0x400000, 0x404000, &had, &until);
	ok(had && until == 0x402000, "what is missing then is known");
	borrow_had(f.borrow, 5, until, 0x404000, &had, &until);
	ok(!had && until == 0x403000, "and what is not");
	ok(take(&f, 5, 0x403000, 0x404000, false, 0x404000),
	   "nothing is taken any more");
	if (!put(&f, &total))
		abort();
	ok(!total.bytes && !total.nstreams && !has(&f, PAGES_NAME) &&
		   strstr(total.lost, "generation 1 is damaged"),
	   "nor borrowed: %s", total.lost);
	end(&f);
	begin_ending(&f, false);
	borrow_free(take_ptr(f.borrow));
	ok(!has(&f, PAGES_NAME), "one that fails leaves no names");
	end(&f);
}

int main(void)
{
	test_pages();
	test_in_between();
	test_rare();
	test_another();
	test_damaged();
	test_turns();
	test_goes_on();
	test_ends();
	return done_testing();
}
