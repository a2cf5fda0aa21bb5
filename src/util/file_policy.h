/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_FILE_POLICY_H
#define JOBCR_UTIL_FILE_POLICY_H

/*
 * What a restore does with files that the job writes and that have changed
 * after the cut.  The numbers are those of PartRecord.files.
 */
enum file_policy {
	FILES_DEFAULT,  /* as FILES_ROLLBACK */
	FILES_ROLLBACK, /* what was appended is put aside */
	FILES_KEEP,     /* as they are */
	FILES_REFUSE,   /* no restore */
	FILES_POLICIES,
};

/* What a restore has done with files and addresses, and says. */
enum file_remark {
	REMARK_COPIED, /* not as they were: the job has its own copies */
	REMARK_ASIDE,  /* made for what was appended */
	REMARK_MOVED,  /* addresses and ports that are others here */
	FILE_REMARKS,
};

/* "rollback" and so on; FILES_POLICIES: no such name. */
enum file_policy file_policy_parse(const char *name);
const char *file_policy_name(enum file_policy policy);

#endif
