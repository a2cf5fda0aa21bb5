/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_MODEL_MAPPING_H
#define JOBCR_MODEL_MAPPING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/hugetlb.h"
#include "kernel/maps.h"
#include "util/err.h"

/* What a mapping is: decided from its line and its flags alone. */
enum mapping_kind {
	MAPPING_ANON,  /* private memory of one process, of huge pages too */
	MAPPING_FILE,  /* of a file, shared or private */
	MAPPING_SHMEM, /* shared anonymous memory, or a memfd */
	MAPPING_SYSV,  /* a segment of System V shared memory */
	MAPPING_VDSO,
	MAPPING_VVAR,
	MAPPING_VVAR_VCLOCK,
	MAPPING_DROPPABLE, /* may vanish at any time: comes back empty */
	MAPPING_SKIP,      /* the kernel's own, in every process */
	MAPPING_REFUSED,   /* cannot be saved: *ret_why says what it is */
};

/*
 * No ordinary program may map below (vm.mmap_min_addr), so that a null
 * pointer in the kernel finds nothing there; a restore, which could, must not.
 */
#define MAPPING_LOWEST 65536u

/*
 * Device numbers of the kernel's own file systems, where shared memory lives:
 * a tmpfs, and a hugetlbfs for each size of huge pages (0: there is none).
 */
struct mapping_devices {
	dev_t shmem;
	dev_t huge[HUGETLB_SIZES];
};
int mapping_devices(struct mapping_devices *ret, struct err *err);

/* Is a file on that device shared memory? */
bool mapping_is_memory(const struct mapping_devices *devices, dev_t dev);

/* *ret_why and *ret_remedy are static texts; set for MAPPING_REFUSED. */
enum mapping_kind mapping_classify(const struct vma *vma,
				   const struct mapping_devices *devices,
				   const char **ret_why,
				   const char **ret_remedy);

/*
 * What breakpoints of a tracer need in a process: refused, but for a caller
 * who has been told that they may be in the text.
 */
bool mapping_is_uprobes(const struct vma *vma);

/* A shared mapping that may be made writable needs a file open so. */
int mapping_access_mode(const struct vma *vma);

#endif
