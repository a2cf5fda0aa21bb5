/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_ENGINE_H
#define JOBCR_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/pace.h"
#include "images/manifest.pb-c.h"
#include "model/refusal.h"
#include "resource/terminal.h"
#include "util/copy_out.h"
#include "storage/as_user.h"
#include "util/err.h"
#include "util/file_policy.h"
#include "util/watches.h"

/*
 * One checkpoint or one restore of one tree.  The caller is single-threaded
 * when it calls; the engine makes the threads it needs.
 */

/* Phases as they are told to the caller (logs, fault injection in tests). */
enum engine_phase {
	PHASE_PREFLIGHT,
	PHASE_FREEZE,
	PHASE_COLLECT,
	PHASE_DUMP,
	PHASE_PIN,     /* of a tree that ends, where it can be pinned */
	PHASE_SHELTER, /* of one that ends and is not pinned */
	PHASE_PAGES,
	PHASE_PUBLISH,
	PHASE_END,
	PHASE_BUILD,
	PHASE_FILL,
	PHASE_GO,
};
const char *engine_phase_name(enum engine_phase phase);

/* How the memory of a tree that is to end is saved: see pin.h. */
enum engine_pause {
	ENGINE_PAUSE_AUTO, /* pinned where that is possible */
	ENGINE_PAUSE_STOP, /* copied while it stands still */
	ENGINE_PAUSE_PIN,  /* pinned, or not at all */
};

/*
 * What writes are watched of a tree that goes on (watching.h), so that the next
 * snapshot need not save all.
 */
enum engine_watch {
	ENGINE_WATCH_AUTO, /* where there are no transparent huge pages */
	ENGINE_WATCH_ALL,  /* these are split at the first write */
	ENGINE_WATCH_NONE,
};

/* Pages on their way: threads, and memory, where nothing else is said. */
#define ENGINE_READERS_MAX  64u
#define ENGINE_READERS_AUTO 8u
#define ENGINE_BUFFERS      (64ull << 20)

struct checkpoint_args {
	const char *job_id;
	const char *node;
	const char *cluster;
	const char *cause; /* request, preempt, interval, drain */
	const char *name;  /* command line for listings, may be NULL */
	pid_t init_pid;    /* the job's pid 1, never saved; or 0: then */
	pid_t root_pid;    /* the tree is root_pid and its descendants */
	uint32_t generation;
	int job_fd; /* as of store_begin; -1 for --dir */
	int dir_fd;
	const struct user_id *owner;
	const char *const *carry;
	const char *const *local; /* as in dump_options */
	const char *const *closed; /* the same */
	uint64_t local_bytes;
	uint64_t private_bytes; /* the same */
	const char *const *stdio;
	const struct job_terminal *terminal; /* NULL: it has none */
	/* What of the tree can only be had by taking it out, done by one
	 * whose end is that of the tree; NULL: nobody is. */
	int (*copy_out)(void *arg, enum copy_kind kind, int fd, int *ret_file,
			struct err *err);
	uint32_t isa; /* it uses no more than x86-64-vN; 0: any feature */
	enum file_policy files;      /* for its restores */
	uint32_t interval_s;         /* its user's wish, for its restores */
	bool reset_peers;            /* see dump_options */
	uint64_t keep_output;        /* up to so many bytes of each; 0: none */
	uint64_t freeze_deadline_ns; /* from the start; 0: 10 s */
	bool allow_uprobes;          /* see dump_options */
	uint64_t quick_kb; /* see quick_look_prepare */
	bool no_direct;
	struct bucket *bandwidth; /* of storage/bucket.h; NULL: no limit */
	unsigned int readers;    /* threads that read pages; 0: see readers.h */
	unsigned int stripes;    /* files for them, up to STRIPES_MAX; 0: 1 */
	uint64_t buffer_bytes;   /* on their way; 0: ENGINE_BUFFERS */
	enum pack_policy compression;
	enum engine_pause pause; /* when published is not NULL */
	/*
	 * What was watched since the last checkpoint, or the restore, and
	 * where that generation is; NULL, -1: nothing.  They come back as
	 * they are to be kept for the next one; none: it saves all.
	 */
	struct watches *watches;
	int base_fd;
	const char *base_is; /* where it is instead; NULL: it is gone */
	enum engine_watch watch; /* from now on, of a tree that goes on */
	uint32_t epoch; /* of the run, for the manifest; 0: it has none */
	uint32_t base;  /* generation that the run began from */
	/* Asked right before the manifest is made; NULL: it may always. */
	int (*may_publish)(void *arg, struct err *err);
	/* Add a seal to the manifest; NULL: it has none. */
	int (*seal)(void *arg, uint8_t **manifest, size_t *len,
		    struct err *err);
	/* Each phase as it begins; not NULL. */
	void (*phase)(void *arg, enum engine_phase phase);
	/*
	 * The snapshot is durable and the tree still frozen: true kills the
	 * tree, false lets it go on.  NULL: it goes on as soon as all is
	 * copied, and does not stand still until all is durable.  gone: it was
	 * ended by others, see checkpoint_result; then it is killed anyway.
	 */
	bool (*published)(void *arg, bool gone);
	/*
	 * A tree that is to end and is not pinned: put it, as it stands
	 * still, where those who end the job do not reach it; NULL: there is
	 * no such place.  A failure leaves it where it was.  unshelter puts
	 * it back; outlived: the job has ended meanwhile, so that its tree
	 * can only be killed.
	 */
	int (*shelter)(void *arg, struct err *err);
	void (*unshelter)(void *arg);
	bool (*outlived)(void *arg);
	void *arg;
};

struct checkpoint_result {
	uint64_t frozen_ns;    /* first stop to last thaw (or kill) */
	uint64_t pinned_ns;    /* first stop to "may be killed"; 0: never */
	uint64_t sheltered_ns; /* first stop to "out of reach"; 0: never */
	uint64_t durable_ns;   /* first stop to "a snapshot" */
	uint64_t total_ns;
	uint64_t page_bytes; /* written */
	uint64_t borrowed_bytes; /* saved by having been written before */
	uint64_t pages_ns;   /* spent on them */
	uint64_t checked_ns; /* on waiting for what is borrowed to be read */
	uint32_t tasks, threads;
	uint32_t quick_tasks; /* looked at as in quick_look */
	bool durable; /* the snapshot is one, also if a later step failed */
	bool killed;
	bool gone; /* ended by others: pinned and killed, or outlived */
	char not_pinned[160];    /* why; "": pinned, or not asked for */
	char not_sheltered[160]; /* why; "": sheltered, or not asked for */
	char not_borrowed[160];  /* why; "": nothing was to be, or could be */
	char not_kept[1024];     /* an output file, and why; "": all are kept */
};

/*
 * Save the tree.  -ENOTSUP with no->count > 0: refused, nothing was touched.
 * Any other failure: the job goes on as before.
 */
int checkpoint_run(const struct checkpoint_args *args,
		   struct checkpoint_result *ret, struct refusals *no,
		   struct err *err);

/*
 * The preflight alone: nothing of the tree is touched and nothing is written
 * (dir_fd and published are not used).  Returns as checkpoint_run; what only
 * shows when a tree stands still is not found.
 */
int checkpoint_look(const struct checkpoint_args *args, struct refusals *no,
		    struct err *err);

struct restart_args {
	const char *job_id;
	int dir_fd;
	/* As it was checked, and nothing else that may be there by now. */
	const ManifestRecord *manifest;
	const struct user_id *owner; /* whose job it is; never the image's */
	pid_t init_pid;              /* pid 1 of a fresh pid namespace */
	int stdio[3];                /* the new step's, -1: none */
	bool allow_uprobes;          /* the text may have breakpoints in it */
	enum file_policy files;      /* FILES_DEFAULT: the snapshot's */
	uint32_t generation;         /* 0: not known */
	/* What is watched from the restore on; NULL: nothing. */
	struct watches *watches;
	enum engine_watch watch;
	char *const *maps;           /* of paths, as in util/path_map.h */
	size_t nmaps;
	char *const *addresses; /* as in util/address_map.h */
	size_t naddresses;
	uint64_t dropped_caps; /* from bounding sets, whatever it says */
	bool no_new_privs;  /* of all threads, whatever the image says */
	bool nothing_since; /* the tree has not run after the cut */
	bool no_direct;
	unsigned int readers;  /* as in checkpoint_args */
	uint64_t buffer_bytes; /* of all of them */
	/*
	 * The namespace's time offsets, before the first spawn; then a child
	 * of the supervisor with the given inner pid that runs the puppet
	 * program and waits; *ret_pid is its pid as the caller sees it.
	 */
	int (*set_time)(void *arg, int64_t monotonic_ns, int64_t boottime_ns,
			struct err *err);
	int (*spawn)(void *arg, pid_t ns_pid, pid_t *ret_pid, struct err *err);
	/*
	 * A terminal for the job, which had one: both ends, borrowed; may be
	 * NULL.
	 */
	int (*terminal)(void *arg, int *ret_slave, int *ret_master,
			struct err *err);
	/* Everything is built; last chance to say no (negative errno). */
	int (*ready)(void *arg, pid_t root_ns_pid, struct err *err);
	void (*phase)(void *arg, enum engine_phase phase);
	void *arg;
};

struct restart_result {
	uint64_t total_ns, fill_ns, page_bytes;
	uint32_t tasks, threads;
	pid_t root_ns_pid;
	uint32_t isa;                    /* of checkpoint_args */
	enum file_policy files;          /* of checkpoint_args */
	uint32_t interval_s;             /* of checkpoint_args */
	bool reset_peers;                /* the same */
	char remarks[FILE_REMARKS][576]; /* paths; "": none */
};

/* Build the tree and let it run.  On failure nothing of it is left. */
int restart_run(const struct restart_args *args, struct restart_result *ret,
		struct err *err);

#endif
