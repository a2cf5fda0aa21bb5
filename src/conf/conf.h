/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_CONF_CONF_H
#define JOBCR_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* OnRestoreFailure: what becomes of a job whose snapshot does not restore. */
enum conf_failure {
	CONF_FAILURE_HOLD,     /* it waits for somebody */
	CONF_FAILURE_PREVIOUS, /* the generation before is tried, then held */
	CONF_FAILURE_RESTART,  /* it starts from its beginning */
};

/* PauseMode; the numbers are those of enum engine_pause. */
enum conf_pause { CONF_PAUSE_AUTO, CONF_PAUSE_STOP, CONF_PAUSE_PIN };

/* Compression; the numbers are those of enum pack_policy. */
enum conf_compression {
	CONF_COMPRESSION_AUTO,
	CONF_COMPRESSION_NONE,
	CONF_COMPRESSION_LZ4,
	CONF_COMPRESSION_ZSTD
};

/* Incremental; the numbers are those of enum engine_watch. */
enum conf_incremental {
	CONF_INCREMENTAL_AUTO,
	CONF_INCREMENTAL_YES,
	CONF_INCREMENTAL_NO
};

/* jobcr.conf(5): read once, handed down as const.  Strings are its own. */
/* Seal: of which jobs snapshots have one (snapshot/seal.h). */
enum conf_seal {
	CONF_SEAL_AUTO,
	CONF_SEAL_SLURM,
	CONF_SEAL_ALL,
	CONF_SEAL_NONE,
};

struct conf {
	char *path;         /* the file it came from; NULL: none, defaults */
	char *cluster;      /* ClusterName: of Slurm jobs in the store */
	char *node;         /* NodeName; the host's name up to a dot */
	char *store_dir;    /* StoreDir */
	char *fast_dir;     /* FastDir; NULL: none */
	char *run_dir;      /* RunDir */
	char *munge_socket; /* MungeSocket; NULL: munge's own default */
	char *libexec;      /* where our programs are; JOBCR_LIBEXEC */
	/* Seconds that snapshots of ended jobs are kept */
	uint32_t keep_completed_s;       /* KeepCompleted */
	uint32_t keep_ended_s;           /* KeepEnded */
	uint32_t keep_unknown_s;         /* KeepUnknown; histories, too */
	uint32_t sweep_interval_s;       /* SweepInterval; 0: never */
	uint64_t keep_output;            /* KeepOutput: bytes; 0: none */
	char *metrics_file;              /* MetricsFile; NULL: none */
	unsigned int metrics_interval_s; /* MetricsInterval */

	uint16_t port;           /* Port; 0: no TCP */
	unsigned int keep;       /* Keep: generations */
	unsigned int readers;    /* Readers */
	unsigned int stripes;    /* Stripes */
	uint64_t buffer_memory;  /* BufferMemory, bytes */
	unsigned int timeout_s;  /* Timeout: of one operation */
	unsigned int interval_s; /* SlurmInterval: own watch; 0: none */
	unsigned int lease_s;    /* LeaseTime */
	unsigned int requeued_s; /* RequeuedInterval; 0: never */
	/* Seconds; 0: none, JOB_INTERVAL_AUTO */
	uint32_t snapshot_interval_s;         /* Interval */
	uint32_t window_interval_s;           /* WindowInterval */
	uint32_t mtbf_s;                      /* MTBF */
	unsigned int max_writers;             /* MaxWriters; 0: no limit */
	unsigned int restore_limit;           /* RestoreLimit; 0: none */
	unsigned int restore_guard_s;         /* RestoreGuard; 0: none */
	enum conf_failure on_restore_failure; /* OnRestoreFailure */
	bool job_comment;                     /* JobComment */
	unsigned int drain_jobs;              /* DrainJobs: saved at a time */
	bool direct_io;                       /* DirectIO */
	enum conf_pause pause;                /* PauseMode */
	enum conf_compression compression;    /* Compression */
	enum conf_incremental incremental;    /* Incremental */
	bool private_ipc;                     /* PrivateIPC */
	enum conf_seal seal;                  /* Seal */
	uid_t slurm_uid;  /* SlurmUser; 0: nobody but root */
	uid_t *operators; /* Operators */
	size_t noperators;
	char **carry;           /* CarryFiles, NULL-terminated */
	char **local;           /* LocalDirs, NULL-terminated */
	char **closed;          /* ClosedSockets, NULL-terminated */
	uint64_t local_bytes;   /* LocalFileSize */
	uint64_t private_bytes; /* PrivateDirSize */
	uint64_t max_bandwidth; /* MaxBandwidth, bytes a second; 0: no limit */
};

#define CONF_BANDWIDTH_MIN (1u << 20)
#define CONF_BUFFERS_MIN   (32u << 20)
#define CONF_BUFFERS_MAX   (1u << 30)
#define CONF_DEFAULT_PORT  7370

/*
 * Read path; NULL: $JOBCR_CONF, else the installed one, which need not be
 * there.  An error names the file and the line.  Owned by the caller.
 */
int conf_load(const char *path, struct conf **ret, struct err *err);
void conf_free(struct conf *conf);

#endif
