// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The steps of a checkpoint.  Until publish has returned the job can go on
 * as if nothing had happened, and does so on any failure.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/doors.h"
#include "engine/dump.h"
#include "engine/mourn.h"
#include "engine/outputs.h"
#include "engine/outside.h"
#include "engine/pages.h"
#include "engine/preflight.h"
#include "engine/watching.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/thread.h"

#define FREEZE_DEADLINE (10 * NSEC_PER_SEC)
#define BUFFER_BYTES    (4u << 20)
#define BUFFERS_LEAST   4
#define NAME_BYTES      320

/*
 * Much of what is refused passes: libraries look around at their start and
 * have a file open for a moment that cannot be saved.
 */
#define LOOKS        20
#define FIRST_STEP   (3L * 1000 * 1000)
#define LONGEST_STEP 6u /* after so many looks */

struct checkpoint {
	const struct checkpoint_args *args;
	struct checkpoint_result result;
	struct refusals *no;
	struct tree_members members;
	struct frozen_tree tree;
	struct collection collection;
	struct quick_look quick;
	struct dispatches dispatches;
	struct dump dump;
	struct writer *writer;
	struct meta_stream meta;
	struct borrow *borrow;
	struct search *search;
	struct pages *pages;
	struct borrow_total borrowed;
	struct pin *pin;
	struct mourner *mourner;
	struct sync_list syncs;
	struct farewell farewell;
	struct outside *outside;
	struct doors doors; /* where somebody waited at earlier stops */
	struct outputs *outputs;
	struct patience patience;
	struct nearby nearby;
	/* The part's own streams, before those that are borrowed: the meta
	 * stream, and its stripes of pages. */
	char names[1 + STRIPES_MAX][NAME_BYTES];
	uint32_t streams[1 + STRIPES_MAX];
	unsigned int nstreams, created;
	uint64_t present; /* bytes of memory, when it was looked at */
	bool durable;     /* published: never to be taken back */
	bool sheltered;
	bool uprobes; /* and let through */
	bool armed;   /* watches may speak of this cut already */
	bool watch;   /* what is written from the cut on */
	struct watches_lost lost; /* why nothing is known of before */
	int writes_fd;    /* who outside may write to its memory: */
	pid_t far_writer; /* one of them, or 0 */
	int pts_fd;   /* see dump_options */
};

static void enter(const struct checkpoint *c, enum engine_phase phase)
{
	c->args->phase(c->args->arg, phase);
}

static bool is_refused(const struct checkpoint *c, int r)
{
	return r == -ENOTSUP && c->no->total > 0;
}

static int check(struct checkpoint *c, struct dump *d, struct err *err)
{
	int r;

	if (c->args->watches)
		watching_claim(c->args->watches, &c->collection);
	r = dump_init(d, c->args, &c->collection, c->search,
		      c->search ? &c->meta.sink : NULL, &c->outside, err);
	d->watch = c->watch;
	d->options.pts_fd = c->pts_fd;
	d->options.cpu_order = &c->nearby.order;
	d->syncs = &c->syncs;
	d->farewell = &c->farewell;
	d->pin = c->pin;
	d->pages = c->pages;
	if (r == 0)
		r = preflight(&c->collection, &d->ctx, c->args->init_pid,
			      c->args->root_pid, c->no, err);
	if (r == 0)
		r = dump_failure(d, err);
	if (r == 0 && c->no->total)
		r = err_set(err, -ENOTSUP,
			    "refused: %zu things cannot be saved",
			    c->no->total);
	if (is_refused(c, r))
		patience_look(&c->patience, &c->collection, c->no);
	return r;
}

static uint64_t count_present(const struct collection *c)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < c->ntasks; i++)
		for (size_t k = 0; k < c->tasks[i].vmas.count; k++)
			bytes += c->tasks[i].vmas.v[k].present;
	return bytes;
}

/* Look at the running tree. */
static int look_once(struct checkpoint *c, struct err *err)
{
	int r;

	refusals_done(c->no);
	r = tree_scan(&c->members, &c->tree, err);
	if (r < 0)
		return r;
	r = collect(&c->tree, false, NULL, &c->collection, err);
	if (r == 0)
		r = check(c, &c->dump, err);
	if (r == 0)
		quick_look_note(&c->quick, &c->collection);
	c->present = count_present(&c->collection);
	collection_done(&c->collection);
	tree_free(&c->tree);
	return r;
}

static long step_ns(unsigned int looked)
{
	return FIRST_STEP << (looked < LONGEST_STEP ? looked : LONGEST_STEP);
}

/*
 * Longer each time, up to 192 ms: whatever comes and goes at even intervals
 * is not always met at the same point.
 */
static void let_it_pass(unsigned int looked)
{
	const struct timespec step = { .tv_nsec = step_ns(looked) };

	nanosleep(&step, NULL);
}

static bool may_pass(const struct checkpoint *c, unsigned int looked)
{
	return looked + 1 < LOOKS && !c->patience.over;
}

/* Until nothing is in the way, or for as long as such things may take. */
static int look(struct checkpoint *c, struct err *err)
{
	unsigned int looked;
	int r;

	enter(c, PHASE_PREFLIGHT);
	for (looked = 0;; looked++) {
		r = look_once(c, err);
		if (!is_refused(c, r) || !may_pass(c, looked))
			return r;
		let_it_pass(looked);
	}
}

static unsigned int buffers_for(const struct checkpoint_args *args)
{
	uint64_t bytes =
		args->buffer_bytes ? args->buffer_bytes : ENGINE_BUFFERS;

	return (unsigned int)(bytes / BUFFER_BYTES);
}

/*
 * Memory for buffers is had before the stop; as a small job will not need most
 * of it, it does not wait for it either.
 */
static unsigned int buffers_ready(const struct checkpoint *c)
{
	uint64_t n = c->present / BUFFER_BYTES + BUFFERS_LEAST;
	unsigned int buffers = buffers_for(c->args);

	return n < buffers ? (unsigned int)n : buffers;
}

static int open_streams(struct checkpoint *c, struct err *err)
{
	struct ring_homes homes;
	struct writer_limits limits = {
		.homes = nearby_homes(&c->nearby, &homes),
		.buffer_bytes = BUFFER_BYTES,
		.buffers = buffers_for(c->args),
		.ready = buffers_ready(c),
		.no_direct = c->args->no_direct,
		.bandwidth = c->args->bandwidth,
	};
	int r;

	r = as_user(c->args->owner, err);
	if (r < 0)
		return r;
	/* Its thread writes as the user, too. */
	r = writer_new(c->args->dir_fd, &limits, &c->writer, err);
	for (unsigned int i = 0; i < c->nstreams && r == 0; i++) {
		r = writer_open(c->writer, c->names[i], &c->streams[i], err);
		if (r == 0)
			c->created++;
	}
	as_root();
	return r;
}

static void name_streams(struct checkpoint *c)
{
	unsigned int stripes = c->args->stripes ? c->args->stripes : 1;

	if (stripes > STRIPES_MAX)
		stripes = STRIPES_MAX;
	(void)snprintf(c->names[0], NAME_BYTES, "%s.meta", c->args->node);
	for (unsigned int i = 0; i < stripes; i++)
		(void)snprintf(c->names[1 + i], NAME_BYTES, "%s.pages.%u",
			       c->args->node, i);
	c->nstreams = 1 + stripes;
}

/* All that takes time and needs nothing of the job comes before the stop. */
static int prepare(struct checkpoint *c, struct err *err)
{
	struct pages_config config = {
		.meta = &c->meta.sink,
		.streams = c->streams + 1,
		.readers = c->args->readers,
		.buffers = buffers_for(c->args),
		.buffer_bytes = BUFFER_BYTES,
		.nearby = &c->nearby,
		.compression = c->args->compression,
	};
	uint64_t began;
	int r;

	nearby_begin(&c->nearby,
		     c->args->init_pid ? c->args->init_pid : c->args->root_pid);
	/* Before there are more threads. */
	quick_look_prepare(&c->quick, c->args->quick_kb);
	dispatches_prepare(&c->dispatches);
	name_streams(c);
	config.nstreams = c->nstreams - 1;
	r = open_streams(c, err);
	if (r < 0)
		return r;
	r = meta_stream_init(&c->meta, c->writer, c->streams[0], err);
	if (r < 0)
		return r;
	config.writer = c->writer;
	c->watch = watching_wanted(c->args, &c->writes_fd);
	c->lost = watching_lost(c->args);
	began = clock_monotonic_ns();
	r = borrow_open(c->args, &c->borrow, c->result.not_borrowed,
			sizeof(c->result.not_borrowed), err);
	c->result.checked_ns = clock_monotonic_ns() - began;
	watching_explain(c->args, &c->lost, c->result.not_borrowed,
			 sizeof(c->result.not_borrowed));
	if (r == 0)
		r = search_new(c->borrow, c->watch,
			       c->args->watch == ENGINE_WATCH_ALL, &c->search,
			       err);
	config.search = c->search;
	if (r == 0)
		r = pages_new(&config, &c->pages, err);
	c->outputs = outputs_new(c->args);
	if (r == 0 && c->args->published && c->args->pause != ENGINE_PAUSE_STOP)
		r = pin_new(&c->pin, err);
	return r;
}

/*
 * Where connections come all the time some are always met before they are
 * accepted, if the server is stopped first.  Once such were met, whoever
 * listens is stopped last.  For who does not accept then, others stand still
 * only as long as that has a point: 400 ms in all.
 */
static uint64_t patience_ns(unsigned int looked)
{
	return looked > 0 && looked <= LONGEST_STEP + 1
		       ? (uint64_t)step_ns(looked - 1)
		       : 0;
}

static int freeze(struct checkpoint *c, unsigned int looked, struct err *err)
{
	uint64_t deadline = c->args->freeze_deadline_ns;
	int r;

	enter(c, PHASE_FREEZE);
	r = tree_freeze_last(&c->members, deadline ? deadline : FREEZE_DEADLINE,
			     &c->doors, patience_ns(looked), &c->tree, err);
	if (r < 0)
		return err_wrap(err, r, "freeze");
	c->result.tasks = (uint32_t)c->tree.ntasks;
	c->result.threads = (uint32_t)c->tree.nthreads;
	return 0;
}

/* What changed since the preflight may refuse still. */
static int collect_frozen(struct checkpoint *c, struct err *err)
{
	int r;

	enter(c, PHASE_COLLECT);
	refusals_done(c->no);
	dispatches_take(&c->dispatches, &c->tree);
	r = collect(&c->tree, true, &c->quick, &c->collection, err);
	if (r < 0)
		return err_wrap(err, r, "collect");
	c->result.quick_tasks = c->collection.nquick;
	c->uprobes = c->collection.uprobes;
	r = check(c, &c->dump, err);
	if (r == 0)
		collect_connects(&c->tree, &c->collection);
	return r;
}

/*
 * The tree will end: from here on it may do so at any time, by whoever's
 * hand.  Where that cannot be had it has to last until all is copied.
 */
static int pin(struct checkpoint *c, struct err *err)
{
	struct err why = { 0 };
	int r;

	enter(c, PHASE_PIN);
	r = search_pin(c->search, c->pin, &why);
	if (r == 0)
		nearby_note(&c->nearby, c->search);
	/* What is read already is not read by the pin. */
	if (pages_settle(c->pages, err) < 0)
		return err->code;
	if (r == 0)
		r = mourn_begin(&c->tree, &c->mourner, &why);
	if (r == 0) {
		c->result.pinned_ns = clock_monotonic_ns() - c->tree.started_ns;
		return 0;
	}
	(void)snprintf(c->result.not_pinned, sizeof(c->result.not_pinned),
		       "%.159s", why.text);
	return c->args->pause == ENGINE_PAUSE_PIN
		       ? err_set(err, r, "pin: %s", why.text)
		       : 0;
}

/*
 * After all that threads of the tree are made to tell: which CPUs they may
 * use, for instance, is another answer there.  Without a shelter the tree has
 * to be copied before others kill it.
 */
static void shelter(struct checkpoint *c)
{
	struct err err = { 0 };

	if (c->mourner || !c->args->published || !c->args->shelter)
		return;
	enter(c, PHASE_SHELTER);
	c->sheltered = c->args->shelter(c->args->arg, &err) == 0;
	if (c->sheltered)
		c->result.sheltered_ns =
			clock_monotonic_ns() - c->tree.started_ns;
	else
		(void)snprintf(c->result.not_sheltered,
			       sizeof(c->result.not_sheltered), "%.159s",
			       err.text);
}

/* It must not run a moment where nobody limits it; true: it must end. */
static bool leave_shelter(struct checkpoint *c)
{
	if (!c->sheltered)
		return false;
	if (c->args->outlived(c->args->arg)) {
		c->result.gone = true;
		return true;
	}
	c->args->unshelter(c->args->arg);
	c->sheltered = false;
	return false;
}

static int dump_all(struct checkpoint *c, struct err *err)
{
	struct pages_total total;
	uint64_t start;
	int r;

	enter(c, PHASE_DUMP);
	r = meta_put_part(&c->meta, c->args, &c->tree, err);
	outputs_cut(c->outputs);
	if (r == 0)
		r = dump_records(&c->dump, err);
	if (r < 0)
		return err_wrap(err, r, "dump");
	if (c->pin)
		r = pin(c, err);
	if (r < 0)
		return r;
	shelter(c);
	tree_rest(&c->tree);
	enter(c, PHASE_PAGES);
	start = clock_monotonic_ns();
	c->armed = c->watch;
	r = search_begin(c->search, err);
	if (c->armed)
		c->far_writer = far_writers_find(c->writes_fd, &c->tree);
	if (r == 0)
		r = pages_run(c->pages, err);
	total = pages_total(c->pages);
	c->result.pages_ns = clock_monotonic_ns() -
			     (total.begun_ns ? total.begun_ns : start);
	c->result.page_bytes = total.bytes;
	return r < 0 ? err_wrap(err, r, "pages") : 0;
}

/* The tree is ours again, dead or alive, and its memory its own. */
static void leave_pin(struct checkpoint *c)
{
	c->result.gone |= mourn_end(c->mourner);
	c->mourner = NULL;
	pin_free(c->pin);
	c->pin = NULL;
}

/* What the manifest names, in the order of the part's streams. */
static size_t list_streams(const struct checkpoint *c, const uint8_t *digest,
			   struct meta_file *files)
{
	const struct borrow_total *b = &c->borrowed;

	for (unsigned int i = 0; i < c->nstreams; i++)
		files[i] = (struct meta_file){
			.name = c->names[i],
			.length = writer_length(c->writer, c->streams[i]),
			.digest = i == 0 ? digest : NULL,
		};
	for (size_t i = 0; i < b->nstreams; i++)
		files[c->nstreams + i] = (struct meta_file){
			.name = b->streams[i].name,
			.length = b->streams[i].length,
			.borrowed_from = b->streams[i].from,
		};
	return c->nstreams + b->nstreams;
}

static uint64_t frozen_so_far(const struct checkpoint *c)
{
	return c->result.frozen_ns ? c->result.frozen_ns
				   : clock_monotonic_ns() - c->tree.started_ns;
}

static int make_durable(void *arg, struct err *err)
{
	struct checkpoint *c = arg;
	const struct checkpoint_args *args = c->args;
	struct pages_total total = pages_total(c->pages);
	auto_free uint8_t *manifest = NULL;
	uint8_t digest[DIGEST_BYTES];
	struct meta_file files[1 + STRIPES_MAX + BORROWED_MAX];
	struct checkpoint_result facts;
	size_t len;
	int r;

	if (c->borrow) {
		r = borrow_put(c->borrow, c->nstreams, &c->meta.sink,
			       &c->borrowed, err);
		if (r < 0)
			return r;
		c->result.borrowed_bytes = c->borrowed.bytes;
		c->result.pages_ns -= c->borrowed.waited_ns;
		c->result.checked_ns += c->borrowed.waited_ns;
		(void)snprintf(c->result.not_borrowed,
			       sizeof(c->result.not_borrowed), "%s",
			       c->borrowed.lost);
	}
	r = outputs_keep(c->outputs, &c->meta,
			 args->published && !c->result.pinned_ns,
			 c->result.not_kept, sizeof(c->result.not_kept), err);
	if (r == 0)
		r = meta_put_end(&c->meta, total.bytes + c->borrowed.bytes,
				 total.extents + c->borrowed.extents, digest,
				 err);
	if (r == 0)
		r = writer_finish(c->writer, err);
	if (r == 0)
		r = sync_run(&c->syncs, err);
	if (r < 0)
		return r;
	facts = c->result;
	facts.frozen_ns = frozen_so_far(c);
	r = manifest_make(args, c->uprobes, files,
			  list_streams(c, digest, files), &facts, &manifest,
			  &len, err);
	if (r == 0 && args->seal)
		r = args->seal(args->arg, &manifest, &len, err);
	if (r == 0 && args->may_publish)
		r = args->may_publish(args->arg, err);
	if (r == 0)
		r = store_publish(args->job_fd, args->generation, args->dir_fd,
				  manifest, len, args->owner, err);
	c->durable = r == 0;
	c->result.durable_ns = clock_monotonic_ns() - c->tree.started_ns;
	if (r == 0 && c->armed)
		watching_settle(c->args, digest, c->far_writer);
	return r < 0 ? err_wrap(err, r, "publish") : 0;
}

static int publish(struct checkpoint *c, struct err *err)
{
	enter(c, PHASE_PUBLISH);
	return thread_run(make_durable, c, err);
}

/* Everything was copied: a job that is to go on need not wait for disks. */
static int let_go_on(struct checkpoint *c, struct err *err)
{
	int r;

	collection_done(&c->collection);
	farewell_end(&c->farewell, false);
	r = tree_thaw(&c->tree, err);
	c->result.frozen_ns = clock_monotonic_ns() - c->tree.started_ns;
	return r;
}

/* The snapshot is durable: its maker decides what becomes of the tree. */
static int end(struct checkpoint *c, struct err *err)
{
	struct err unused;

	enter(c, PHASE_END);
	if (!c->args->published)
		return 0;
	leave_pin(c);
	c->result.gone |= c->sheltered && c->args->outlived(c->args->arg);
	c->result.killed = c->args->published(c->args->arg, c->result.gone) ||
			   c->result.gone;
	if (!c->result.killed && !leave_shelter(c))
		return let_go_on(c, err);
	c->result.killed = true;
	collection_done(&c->collection);
	/* What is killed and hangs in the kernel runs no more, and is saved. */
	(void)tree_kill(&c->tree, &unused);
	farewell_end(&c->farewell, true);
	c->result.frozen_ns = clock_monotonic_ns() - c->tree.started_ns;
	return 0;
}

static int give_back(struct checkpoint *c, int r)
{
	struct err ignored = { 0 };
	bool ends = leave_shelter(c);

	collection_done(&c->collection);
	farewell_end(&c->farewell, false);
	/* The first failure is the one to be told. */
	(void)(ends ? tree_kill(&c->tree, &ignored)
		    : tree_thaw(&c->tree, &ignored));
	return r;
}

/* Refused: is it since servers were stopped before those who wait for them? */
static int note_doors(struct checkpoint *c, int refused, struct err *err)
{
	int r;

	if (!is_refused(c, refused))
		return refused;
	r = doors_find(&c->doors, &c->collection, c->no, err);
	return r < 0 ? r : refused;
}

/* The tree stands still and everything in it can be saved. */
static int stop(struct checkpoint *c, struct err *err)
{
	unsigned int looked;
	int r;

	patience_done(&c->patience);
	for (looked = 0;; looked++) {
		r = freeze(c, looked, err);
		if (r < 0)
			return r;
		r = collect_frozen(c, err);
		if (r == 0)
			return 0;
		r = give_back(c, note_doors(c, r, err));
		if (!is_refused(c, r) || !may_pass(c, looked))
			return r;
		tree_free(&c->tree);
		let_it_pass(looked);
	}
}

static int run_frozen(struct checkpoint *c, struct err *err)
{
	int r;

	r = stop(c, err);
	if (r < 0)
		return r;
	r = dump_all(c, err);
	if (r == 0 && !c->args->published)
		r = let_go_on(c, err);
	if (r == 0)
		r = publish(c, err);
	if (r == 0)
		return end(c, err);
	/* What it reads is not the job's any more once that goes on. */
	pages_stop(c->pages);
	leave_pin(c);
	r = give_back(c, r);
	if (c->result.gone)
		err_wrap(err, r, "the job was killed before all was saved");
	return r;
}

/* Leave nothing of an attempt; the job does not wait for this. */
static void discard(struct checkpoint *c)
{
	const struct checkpoint_args *args = c->args;
	struct err ignored = { 0 };

	if (args->job_fd >= 0) {
		/* A leftover is no snapshot: the next retire removes it. */
		(void)store_discard(args->job_fd, args->generation, args->owner,
				    &ignored);
		return;
	}
	if (as_user(args->owner, &ignored) < 0)
		return;
	while (c->created)
		(void)unlinkat(args->dir_fd, c->names[--c->created], 0);
	as_root();
}

static struct checkpoint *make(const struct checkpoint_args *args,
			       struct refusals *no)
{
	struct checkpoint *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->args = args;
	c->no = no;
	c->writes_fd = -EBADF;
	c->members.init_pid = args->init_pid;
	c->members.root_pid = args->root_pid;
	c->pts_fd = collect_open_pts(args->init_pid ? args->init_pid
						    : args->root_pid);
	return c;
}

int checkpoint_look(const struct checkpoint_args *args, struct refusals *no,
		    struct err *err)
{
	struct checkpoint *c = make(args, no);
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "checkpoint");
	r = look(c, err);
	sync_done(&c->syncs);
	outside_free(c->outside);
	patience_done(&c->patience);
	cleanup_close(&c->pts_fd);
	free(c);
	return r;
}

int checkpoint_run(const struct checkpoint_args *args,
		   struct checkpoint_result *ret, struct refusals *no,
		   struct err *err)
{
	struct checkpoint *c = make(args, no);
	uint64_t start = clock_monotonic_ns();
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "checkpoint");
	r = look(c, err);
	if (r == 0)
		r = prepare(c, err);
	if (r == 0)
		r = run_frozen(c, err);
	c->result.total_ns = clock_monotonic_ns() - start;
	c->result.durable = c->durable;
	*ret = c->result;
	leave_pin(c);
	if (c->armed && !c->durable)
		watching_undo(c->args, c->search, &c->lost);
	pages_free(c->pages);
	search_free(c->search);
	borrow_free(c->borrow);
	sync_done(&c->syncs);
	farewell_end(&c->farewell, false);
	outside_free(c->outside);
	doors_done(&c->doors);
	patience_done(&c->patience);
	outputs_free(c->outputs);
	quick_look_done(&c->quick);
	dispatches_done(&c->dispatches);
	meta_stream_done(&c->meta);
	writer_free(c->writer);
	nearby_end(&c->nearby);
	if (r < 0 && !c->durable)
		discard(c);
	tree_free(&c->tree);
	cleanup_close(&c->writes_fd);
	cleanup_close(&c->pts_fd);
	free(c);
	return r;
}
