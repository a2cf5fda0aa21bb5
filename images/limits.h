/* SPDX-License-Identifier: MIT */
#ifndef JOBCR_IMAGES_LIMITS_H
#define JOBCR_IMAGES_LIMITS_H

/*
 * What a reader accepts.  An image is hostile input: each number is checked
 * before memory is taken for what it announces.
 */
#define IMAGE_FORMAT       1u
#define IMAGE_PAGE         4096u
#define RECORD_MAX_BYTES   (4u << 20) /* body of one record */
#define MANIFEST_MAX_BYTES (16u << 20)
#define SEAL_MAX_BYTES     4096u /* its credential */
#define META_MAX_BYTES     (1ull << 32)
#define META_MAX_RECORDS   (1u << 24)
#define EXTENT_MAX_PAGES   256u /* 1 MiB */
#define EXTENTS_PER_RECORD 16384u
#define BLOCK_MAX_BYTES    (4u << 20) /* unpacked */
#define BLOCKS_PER_RECORD  16384u
#define TREE_MAX_TASKS     65536u
#define TASK_MAX_THREADS   65536u
#define TASK_MAX_FDS       1048576u
#define PATH_MAX_BYTES     4096u
#define ISA_LEVELS_MAX     4u /* x86-64-v4 */
#define VDSO_MAX_BYTES     65536u
#define PRIVATE_MAX_ENTRIES 100000u /* of directories of a job's own */
#define PRIVATE_MAX_DEPTH  128u
#define PRIVATE_NAME_BYTES 255u /* one part of a path */
#define INLINE_MAX_BYTES   16384u /* of a file, in its record */
#define XATTRS_MAX_BYTES   65536u /* of one file, with names */
#define PIPE_MAX_BYTES     (1u << 20)
#define SEMAPHORES_MAX     65536u /* of one set */
#define STREAM_MAX_BYTES   (64u << 20) /* unread and unsent, one direction */
#define STREAM_DATA_BYTES  (1u << 20)  /* of it in one record */
#define DATAGRAMS_MAX      1024u       /* unread, of one socket */
#define DATAGRAMS_BYTES    (2u << 20)  /* all of them */
#define SOCKET_MAX_OPTIONS 128u
#define OPTION_MAX_BYTES   64u
#define MESSAGE_MAX_BYTES  (2u << 20) /* in a socket */
#define MESSAGE_MAX_FILES  253u       /* SCM_MAX_FD */
#define PTY_MAX_INDEX      1023u
#define PTY_MAX_OUTPUT     (128u << 10)
#define PART_MAX_STREAMS   64u
#define STRIPES_MAX        16u /* of them, for pages that are not borrowed */
#define MANIFEST_MAX_PARTS 65536u
#define OUTPUT_MAX_PIECES  64u
#define GENERATION_MAX     0x7fffffffu

#endif
