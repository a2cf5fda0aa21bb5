/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_CLI_CLI_H
#define JOBCR_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>

#include "conf/conf.h"
#include "operation/operation.h"
#include "src/wire/request.pb-c.h"
#include "util/err.h"

/* What all commands share. */
struct cli {
	const struct conf *conf;
	const char *node; /* --node: another one; NULL: this */
	const char *host; /* --host: where it is, if not at its name */
	bool json;
	bool step; /* wait for a line on standard input at each phase */
};

/*
 * Send a request to jobcrd, or, as root where none runs, carry it out here.
 * reply is called for each; its last value is returned.  Also the text of a
 * failure comes as a reply; err is about the way there.
 */
typedef int (*cli_reply_fn)(void *arg, const Reply *reply);
int cli_request(const struct cli *cli, Request *req, const int *fds,
		size_t nfds, cli_reply_fn reply, void *arg, struct err *err);

/* Is there a daemon that requests go to? */
bool cli_has_daemon(const struct cli *cli);

/* Say what went wrong; the exit status for it. */
int cli_fail(const struct err *err);
int cli_fail_reply(const Reply *reply);
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A table of jobs, or one job in lines; JSON as asked. */
void print_jobs_begin(const struct cli *cli);
void print_job(const struct cli *cli, const JobEntry *job);
void print_jobs_end(const struct cli *cli);
const char *print_state(uint32_t state);

/* The result of a checkpoint or a restore. */
void print_outcome(const struct cli *cli, const char *verb, const Reply *reply);
/* What it says besides, on standard error. */
void print_remarks(const Reply *reply);

/* Text from jobs or the store: nothing in it may command a terminal. */
void print_clean(FILE *f, const char *text);
void print_user_name(uid_t uid, char *ret, size_t room);

struct json_object;
void print_add_string(struct json_object *o, const char *key,
		      const char *value);
void print_add_number(struct json_object *o, const char *key, uint64_t value);
/* Printed and released. */
void print_json(struct json_object *o);

/* What slurmctld says of a job; negative: nothing. */
struct elsewhere {
	char state[24];
	char node[64]; /* it runs there; "": nowhere, or on several */
	uid_t uid;
};
int elsewhere_find(const struct cli *cli, const char *job_id,
		   struct elsewhere *ret);

/* Commands: argv[0] is the command's name. */
int cmd_run(const struct cli *cli, int argc, char **argv);
/*
 * The directory of a snapshot of JOBID or JOBID.GENERATION, or dir, as we see
 * it; generation 0: the newest.  Owned by the caller.  ret_read: as long as
 * that is open nobody removes it who does not have to; NULL: it is only looked
 * at.
 */
int show_open(const struct cli *cli, const char *text, const char *dir,
	      uint32_t generation, int *ret, int *ret_read, struct err *err);

/* Of one that was to be read, and was not dir: has it been deleted meanwhile?
 */
int show_fail(const char *dir, int fd, struct err *err);

/* JOBID or JOBID.GENERATION; 0: none given.  id: JOB_ID_MAX bytes. */
int cli_snapshot_id(const char *text, char *id, uint32_t *ret_generation,
		    struct err *err);

int cmd_attach(const struct cli *cli, int argc, char **argv);
int cmd_wait(const struct cli *cli, int argc, char **argv);
int cmd_kill(const struct cli *cli, int argc, char **argv);
int cmd_checkpoint(const struct cli *cli, int argc, char **argv);
int cmd_restore(const struct cli *cli, int argc, char **argv);
int cmd_list(const struct cli *cli, int argc, char **argv);
int cmd_show(const struct cli *cli, int argc, char **argv);
int cmd_core(const struct cli *cli, int argc, char **argv);
int cmd_diff(const struct cli *cli, int argc, char **argv);
int cmd_export(const struct cli *cli, int argc, char **argv);
int cmd_import(const struct cli *cli, int argc, char **argv);
/*
 * The snapshot in dir_fd, of this job (NULL: whose it says): all of it is
 * read, and its seal looked at, or (seal) made anew.  1: all is well, but only
 * root can tell whether its seal is.
 */
int cli_verify(const struct cli *cli, const char *job, int dir_fd, bool seal,
	       struct err *err);

int cmd_verify(const struct cli *cli, int argc, char **argv);
int cmd_history(const struct cli *cli, int argc, char **argv);
int cmd_delete(const struct cli *cli, int argc, char **argv);
int cmd_keep(const struct cli *cli, int argc, char **argv);
int cmd_status(const struct cli *cli, int argc, char **argv);
int cmd_drain(const struct cli *cli, int argc, char **argv);
int cmd_undrain(const struct cli *cli, int argc, char **argv);
int cmd_check(const struct cli *cli, int argc, char **argv);
int cmd_features(const struct cli *cli, int argc, char **argv);

/* Follow a job that a daemon runs for us: pass signals, end as it does. */
int follow_job(const struct cli *cli, const char *job_id);

/* Until it has ended: its exit status.  by_signal: end as it did. */
int follow_end(const struct cli *cli, const char *job_id, bool by_signal);

/* A signal of ours is the job's. */
void cli_pass_signal(const struct cli *cli, const char *job_id, int sig);

#endif
