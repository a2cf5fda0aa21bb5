/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slurm_window.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <slurm/slurmdb.h>

/*
 * Every libslurm has them, for its plugins, but no header.  Where they are
 * missing any QOS may be preempted.
 */
extern int slurm_bit_test(bitstr_t *b, int64_t bit) __attribute__((weak));
extern int64_t slurm_bit_size(bitstr_t *b) __attribute__((weak));

static bool is_type(const struct site *site, const char *type)
{
	const char *p = site->conf->preempt_type;

	return p && strcmp(p, type) == 0;
}

int site_load(struct site *ret, const char **ret_what)
{
	assoc_mgr_info_request_msg_t all = {
		.flags = ASSOC_MGR_INFO_FLAG_QOS,
	};

	memset(ret, 0, sizeof(*ret));
	*ret_what = "load the configuration";
	if (slurm_load_ctl_conf(0, &ret->conf) != SLURM_SUCCESS)
		return -1;
	*ret_what = "load the partitions";
	if (slurm_load_partitions(0, &ret->partitions, SHOW_ALL) !=
	    SLURM_SUCCESS)
		return -1;
	*ret_what = "load the QOS";
	if (is_type(ret, "preempt/qos") &&
	    slurm_load_assoc_mgr_info(&all, &ret->qos) != SLURM_SUCCESS)
		return -1;
	return 0;
}

void site_done(struct site *site)
{
	if (site->qos)
		slurm_free_assoc_mgr_info_msg(site->qos);
	if (site->partitions)
		slurm_free_partition_info_msg(site->partitions);
	if (site->conf)
		slurm_free_ctl_conf(site->conf);
}

static const partition_info_t *find_partition(const struct site *site,
					      const char *name)
{
	uint32_t i;

	for (i = 0; name && i < site->partitions->record_count; i++)
		if (strcmp(site->partitions->partition_array[i].name, name) ==
		    0)
			return &site->partitions->partition_array[i];
	return NULL;
}

/* May a job of it be preempted by one of any QOS? */
static bool is_preempted(const struct site *site, const slurmdb_qos_rec_t *of)
{
	const slurmdb_qos_rec_t *by;
	bool ret = !slurm_bit_test || !slurm_bit_size ||
		   (of->preempt_mode & PREEMPT_MODE_WITHIN);
	void *it;

	if (ret)
		return true;
	it = slurm_list_iterator_create(site->qos->qos_list);
	while (!ret && (by = slurm_list_next(it)))
		ret = by->preempt_bitstr &&
		      of->id < slurm_bit_size(by->preempt_bitstr) &&
		      slurm_bit_test(by->preempt_bitstr, of->id);
	slurm_list_iterator_destroy(it);
	return ret;
}

static const slurmdb_qos_rec_t *find_qos(const struct site *site,
					 const char *name)
{
	const slurmdb_qos_rec_t *qos = NULL;
	void *it;

	if (!name || !site->qos || !site->qos->qos_list)
		return NULL;
	it = slurm_list_iterator_create(site->qos->qos_list);
	while ((qos = slurm_list_next(it)))
		if (qos->name && strcmp(qos->name, name) == 0)
			break;
	slurm_list_iterator_destroy(it);
	return qos;
}

static long long window(const struct site *site, uint16_t mode, uint32_t grace)
{
	if ((mode & ~(PREEMPT_MODE_GANG | PREEMPT_MODE_WITHIN)) ==
	    PREEMPT_MODE_OFF)
		return -1;
	if (grace == NO_VAL || grace == INFINITE)
		grace = 0;
	return (long long)grace + site->conf->kill_wait;
}

long long site_window(const struct site *site, const job_info_t *job)
{
	const partition_info_t *p = find_partition(site, job->partition);
	const slurmdb_qos_rec_t *qos = find_qos(site, job->qos);
	uint16_t mode = site->conf->preempt_mode;

	if (is_type(site, "preempt/qos")) {
		if (!qos || !is_preempted(site, qos))
			return -1;
		/* None of its own: the cluster's. */
		if (qos->preempt_mode & ~PREEMPT_MODE_WITHIN)
			mode = qos->preempt_mode;
		return window(site, mode, qos->grace_time);
	}
	if (is_type(site, "preempt/partition_prio")) {
		if (p && p->preempt_mode != NO_VAL16)
			mode = p->preempt_mode;
		return window(site, mode, p ? p->grace_time : 0);
	}
	if (!site->conf->preempt_type || is_type(site, "preempt/none"))
		return -1;
	return site->conf->kill_wait;
}
