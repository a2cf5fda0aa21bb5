/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slurm_submit.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <slurm/slurm_errno.h>

#include "util/cleanup.h"
#include "util/io.h"

#define ENV_MAX 65536

/* A field of job_info_t and job_desc_msg_t; size 0: a string. */
struct field {
	const char *key;
	size_t from, to, size;
};

#define FIELD(key, from, to, size)                                             \
	{                                                                      \
		key, offsetof(job_info_t, from), offsetof(job_desc_msg_t, to), \
			size                                                   \
	}
#define TEXT(name) FIELD(#name, name, name, 0)
/* Slurm has each of them in the same width on both sides. */
#define NUMBER(from, to) FIELD(#to, from, to, sizeof(((job_desc_msg_t *)0)->to))

static const struct field fields[] = {
	TEXT(name),
	TEXT(partition),
	TEXT(account),
	TEXT(qos),
	TEXT(features),
	TEXT(exc_nodes),
	TEXT(licenses),
	TEXT(comment),
	TEXT(wckey),
	TEXT(network),
	TEXT(mail_user),
	TEXT(work_dir),
	TEXT(std_in),
	TEXT(std_out),
	TEXT(std_err),
	TEXT(tres_per_job),
	TEXT(tres_per_node),
	TEXT(tres_per_socket),
	TEXT(tres_per_task),
	TEXT(mem_per_tres),
	TEXT(cpus_per_tres),
	FIELD("reservation", resv_name, reservation, 0),
	NUMBER(time_limit, time_limit),
	NUMBER(time_min, time_min),
	NUMBER(num_nodes, min_nodes),
	NUMBER(max_nodes, max_nodes),
	NUMBER(num_cpus, min_cpus),
	NUMBER(num_tasks, num_tasks),
	NUMBER(cpus_per_task, cpus_per_task),
	NUMBER(ntasks_per_node, ntasks_per_node),
	NUMBER(ntasks_per_socket, ntasks_per_socket),
	NUMBER(ntasks_per_core, ntasks_per_core),
	NUMBER(sockets_per_node, sockets_per_node),
	NUMBER(threads_per_core, threads_per_core),
	NUMBER(core_spec, core_spec),
	NUMBER(contiguous, contiguous),
	NUMBER(pn_min_cpus, pn_min_cpus),
	NUMBER(pn_min_memory, pn_min_memory),
	NUMBER(pn_min_tmp_disk, pn_min_tmp_disk),
	NUMBER(shared, shared),
	NUMBER(mail_type, mail_type),
	NUMBER(requeue, requeue),
};

static void print_text(const char *key, const char *value)
{
	/* A line is a field: nothing of ours has a line feed in it. */
	if (value && *value && !strchr(value, '\n'))
		printf("%s=%s\n", key, value);
}

/* The integers of libslurm are 2, 4 or 8 bytes, unsigned. */
static uint64_t get_number(const void *at, size_t size)
{
	uint64_t v8;
	uint32_t v4;
	uint16_t v2;

	if (size == sizeof(v2)) {
		memcpy(&v2, at, size);
		return v2;
	}
	if (size == sizeof(v4)) {
		memcpy(&v4, at, size);
		return v4;
	}
	memcpy(&v8, at, sizeof(v8));
	return v8;
}

static void set_number(void *at, size_t size, uint64_t v)
{
	const uint64_t v8 = v;
	const uint32_t v4 = (uint32_t)v;
	const uint16_t v2 = (uint16_t)v;

	memcpy(at,
	       size == sizeof(v2)   ? (const void *)&v2
	       : size == sizeof(v4) ? (const void *)&v4
				    : (const void *)&v8,
	       size);
}

int submit_describe(const job_info_t *job, const char *std_out,
		    const char *std_err)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *f = &fields[i];
		const char *at = (const char *)job + f->from;

		if (f->size)
			printf("%s=%" PRIu64 "\n", f->key,
			       get_number(at, f->size));
		else if (f->from == offsetof(job_info_t, std_out) && *std_out)
			print_text(f->key, std_out);
		else if (f->from == offsetof(job_info_t, std_err) && *std_err)
			print_text(f->key, std_err);
		else
			print_text(f->key, *(char *const *)at);
	}
	printf(SUBMIT_SCRIPT_IS);
	if (slurm_job_batch_script(stdout, job->job_id) == SLURM_SUCCESS)
		return 0;
	fprintf(stderr, "jobcr-slurm: batch script of job %" PRIu32 ": %s\n",
		job->job_id, slurm_strerror(slurm_get_errno()));
	return 1;
}

/* One field of the description; what we do not know is passed over. */
static int take(job_desc_msg_t *desc, char *line)
{
	char *value = strchr(line, '=');
	uint64_t v, max;
	size_t i;

	if (!value)
		return -1;
	*value++ = '\0';
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *f = &fields[i];
		char *at = (char *)desc + f->to;

		if (strcmp(f->key, line) != 0)
			continue;
		if (!f->size) {
			*(char **)at = value;
			return 0;
		}
		max = f->size == sizeof(uint16_t)   ? UINT16_MAX
		      : f->size == sizeof(uint32_t) ? UINT32_MAX
						    : UINT64_MAX;
		if (parse_u64(value, max, &v) < 0)
			return -1;
		set_number(at, f->size, v);
	}
	return 0;
}

static int parse(char *text, job_desc_msg_t *desc)
{
	char *rest = strstr(text, "\n" SUBMIT_SCRIPT_IS), *line;

	if (!rest)
		return -1;
	*rest = '\0';
	desc->script = rest + 1 + strlen(SUBMIT_SCRIPT_IS);
	while ((line = strsep(&text, "\n")))
		if (*line && take(desc, line) < 0)
			return -1;
	return 0;
}

/* sbatch gives each option of a plugin twice: for srun, for slurmstepd. */
#define FOR_SRUN "SLURM_SPANK_"
#define OPTION   "_SLURM_SPANK_OPTION_"

/* Of the old allocation nothing is true any more. */
static bool is_kept(const char *entry)
{
	return strchr(entry, '=') &&
	       (strncmp(entry, "SLURM", 5) != 0 ||
		strncmp(entry, FOR_SRUN, strlen(FOR_SRUN)) == 0);
}

/* slurmstepd's ones are not in the environment that the script saw. */
static void take_environment(job_desc_msg_t *desc, char *text, size_t len,
			     char **entries)
{
	const char *both = FOR_SRUN OPTION;
	size_t at;

	for (at = 0; at < len && desc->env_size + 2 < ENV_MAX;
	     at += strlen(text + at) + 1) {
		if (!is_kept(text + at))
			continue;
		entries[desc->env_size++] = text + at;
		if (strncmp(text + at, both, strlen(both)) == 0)
			entries[desc->env_size++] =
				text + at + strlen(FOR_SRUN);
	}
	desc->environment = entries;
}

int submit_become(uid_t uid, gid_t gid)
{
	const struct passwd *user = getpwuid(uid);

	if ((user ? initgroups(user->pw_name, gid) : setgroups(1, &gid)) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
		perror("jobcr-slurm: become the job's user");
		return -1;
	}
	return 0;
}

static int complain(const char *dir, const char *what)
{
	fprintf(stderr, "jobcr-slurm: %s: %s\n", dir, what);
	return 1;
}

int submit_again(uid_t uid, gid_t gid, const char *dir)
{
	auto_free char *text = NULL, *env = NULL;
	auto_close int dir_fd = -EBADF;
	auto_free char **entries = calloc(ENV_MAX, sizeof(*entries));
	submit_response_msg_t *answer;
	job_desc_msg_t desc;
	struct err err = { 0 };
	size_t len;

	if (!entries || submit_become(uid, gid) < 0)
		return 1;
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 ||
	    read_file_at(dir_fd, SUBMIT_FILE, SUBMIT_MAX, &text, &len, &err) <
		    0 ||
	    strlen(text) != len ||
	    read_file_at(dir_fd, SUBMIT_ENV_FILE, SUBMIT_MAX, &env, &len,
			 &err) < 0)
		return complain(dir, "how it was submitted is not there: "
				     "submit it again by hand");
	slurm_init_job_desc_msg(&desc);
	if (parse(text, &desc) < 0)
		return complain(dir, "damaged: " SUBMIT_FILE);
	take_environment(&desc, env, len, entries);
	desc.user_id = uid;
	desc.group_id = gid;
	desc.priority = 0;
	if (slurm_submit_batch_job(&desc, &answer) != SLURM_SUCCESS)
		return complain(dir, slurm_strerror(slurm_get_errno()));
	printf("job=%" PRIu32 "\n", answer->job_id);
	slurm_free_submit_response_response_msg(answer);
	return 0;
}
