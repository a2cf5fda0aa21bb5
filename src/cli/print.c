/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <json-c/json.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cli/cli.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/plain.h"
#include "wire/control.h"

/* One line of JSON per job would be no JSON: commas are put here. */
#define GIB (1024.0 * 1024.0 * 1024.0)
#define MIB (1024.0 * 1024.0)

const char *print_state(uint32_t state)
{
	static const char *const names[] = {
		[CONTROL_STARTING] = "starting",
		[CONTROL_RESTORING] = "restoring",
		[CONTROL_ALIVE] = "running",
		[CONTROL_ENDED] = "ended",
		[CONTROL_LEFT] = "checkpointed",
		[CONTROL_SUSPENDED] = "suspended",
	};

	return state < ARRAY_SIZE(names) && names[state] ? names[state]
							 : "unknown";
}

void print_add_string(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

void print_add_number(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)value));
}

static struct json_object *job_json(const JobEntry *j)
{
	struct json_object *o = json_object_new_object();

	print_add_string(o, "job_id", j->job_id);
	print_add_string(o, "state", print_state(j->state));
	print_add_number(o, "uid", j->uid);
	print_add_number(o, "started_ns", j->started_ns);
	print_add_string(o, "name", j->name ? j->name : "");
	print_add_string(o, "node", j->node ? j->node : "");
	if (j->has_root_pid && j->root_pid)
		print_add_number(o, "root_pid", (uint64_t)j->root_pid);
	if (j->has_init_pid && j->init_pid)
		print_add_number(o, "init_pid", (uint64_t)j->init_pid);
	if (j->has_supervisor_pid)
		print_add_number(o, "supervisor_pid",
				 (uint64_t)j->supervisor_pid);
	if (j->has_generation)
		print_add_number(o, "generation", j->generation);
	if (j->has_slurm)
		print_add_number(o, "slurm_job", j->slurm);
	if (j->has_status && WIFEXITED(j->status))
		print_add_number(o, "exit_status", WEXITSTATUS(j->status));
	if (j->has_status && WIFSIGNALED(j->status))
		print_add_number(o, "signal", WTERMSIG(j->status));
	if (j->has_ended_ns)
		print_add_number(o, "ended_ns", j->ended_ns);
	return o;
}

void print_json(struct json_object *o)
{
	plain_print_json(stdout,
			 json_object_to_json_string_ext(
				 o, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

void print_user_name(uid_t uid, char *ret, size_t room)
{
	struct passwd entry, *found = NULL;
	char text[4096];

	if (getpwuid_r(uid, &entry, text, sizeof(text), &found) == 0 && found)
		snprintf(ret, room, "%s", found->pw_name);
	else
		snprintf(ret, room, "%u", uid);
}

void print_jobs_begin(const struct cli *cli)
{
	if (cli->json)
		fputs("[\n", stdout);
	else
		printf("%-12s %-12s %-12s %-19s %s\n", "JOBID", "USER", "STATE",
		       "STARTED", "NAME");
}

/* Names come from users: nothing in them may reach a terminal as a command. */
void print_clean(FILE *f, const char *text)
{
	if (text)
		plain_print(f, text, strlen(text));
}

void print_job(const struct cli *cli, const JobEntry *j)
{
	time_t t = (time_t)(j->started_ns / NSEC_PER_SEC);
	char user[64], when[32];
	struct tm tm;

	if (cli->json) {
		print_json(job_json(j));
		return;
	}
	print_user_name(j->uid, user, sizeof(user));
	localtime_r(&t, &tm);
	strftime(when, sizeof(when), "%F %T", &tm);
	printf("%-12s %-12s %-12s %-19s ", j->job_id, user,
	       print_state(j->state), when);
	print_clean(stdout, j->name);
	putchar('\n');
}

void print_jobs_end(const struct cli *cli)
{
	if (cli->json)
		fputs("]\n", stdout);
}

static void outcome_json(const char *verb, const Reply *reply)
{
	const Outcome *o = reply->outcome;
	struct json_object *j = json_object_new_object();

	print_add_string(j, "operation", verb);
	if (reply->job_id)
		print_add_string(j, "job_id", reply->job_id);
	print_add_number(j, "generation", o->generation);
	print_add_number(j, "tasks", o->tasks);
	print_add_number(j, "threads", o->threads);
	print_add_number(j, "page_bytes", o->page_bytes);
	if (o->has_borrowed_bytes)
		print_add_number(j, "borrowed_bytes", o->borrowed_bytes);
	if (o->not_borrowed)
		print_add_string(j, "not_borrowed", o->not_borrowed);
	print_add_number(j, "pages_ns", o->pages_ns);
	print_add_number(j, "total_ns", o->total_ns);
	if (o->has_frozen_ns)
		print_add_number(j, "frozen_ns", o->frozen_ns);
	if (o->has_durable_ns)
		print_add_number(j, "durable_ns", o->durable_ns);
	if (o->has_killed)
		json_object_object_add(j, "killed",
				       json_object_new_boolean(o->killed));
	if (o->has_fast)
		json_object_object_add(j, "fast",
				       json_object_new_boolean(o->fast));
	if (o->not_fast)
		print_add_string(j, "not_fast", o->not_fast);
	if (o->not_kept)
		print_add_string(j, "not_kept", o->not_kept);
	if (o->copied)
		print_add_string(j, "copied", o->copied);
	if (o->aside)
		print_add_string(j, "put_aside", o->aside);
	if (o->moved)
		print_add_string(j, "moved", o->moved);
	print_json(j);
}

static void print_bytes(uint64_t bytes)
{
	if (bytes >= (1u << 30))
		printf("%.2f GiB", (double)bytes / GIB);
	else
		printf("%.1f MiB", (double)bytes / MIB);
}

void print_outcome(const struct cli *cli, const char *verb, const Reply *reply)
{
	const Outcome *o = reply->outcome;

	if (!o)
		return;
	if (cli->json) {
		outcome_json(verb, reply);
		return;
	}
	if (reply->job_id)
		printf("%s: ", reply->job_id);
	if (o->has_generation && o->generation)
		printf("generation %u: ", o->generation);
	printf("%u process%s, %u thread%s, ", o->tasks,
	       o->tasks == 1 ? "" : "es", o->threads,
	       o->threads == 1 ? "" : "s");
	print_bytes(o->page_bytes);
	if (o->has_borrowed_bytes) {
		fputs(" beside ", stdout);
		print_bytes(o->borrowed_bytes);
		fputs(" that are unchanged", stdout);
	} else if (o->not_borrowed) {
		printf(" (all of it: %s)", o->not_borrowed);
	}
	printf(" %s in %.2f s", verb, (double)o->total_ns / 1e9);
	if (o->pages_ns && o->page_bytes >= (1u << 20))
		printf(" (%.0f MiB/s)", (double)o->page_bytes / MIB /
						((double)o->pages_ns / 1e9));
	if (o->has_frozen_ns && !(o->has_killed && o->killed))
		printf("; it stood still for %.3f s",
		       (double)o->frozen_ns / 1e9);
	if (o->has_killed && o->killed)
		printf("; it has ended");
	if (o->has_fast && o->fast)
		printf(o->has_killed
			       ? "; in the fast directory, jobcrd takes it to "
				 "the store"
			       : "; from the fast directory");
	putchar('\n');
}

void print_remarks(const Reply *reply)
{
	const Outcome *o = reply->outcome;

	if (o && o->not_kept) {
		fputs("jobcr: warning: ", stderr);
		print_clean(stderr, o->not_kept);
		fputs(": a start by Slurm that jobcr is not asked about "
		      "empties it\n",
		      stderr);
	}
	if (o && o->not_fast) {
		fputs("jobcr: it is in the store, not in the fast directory: ",
		      stderr);
		print_clean(stderr, o->not_fast);
		fputc('\n', stderr);
	}
	if (o && o->copied) {
		fputs("jobcr: " OUTCOME_COPIED, stderr);
		print_clean(stderr, o->copied);
		fputc('\n', stderr);
	}
	if (o && o->aside) {
		fputs("jobcr: " OUTCOME_ASIDE, stderr);
		print_clean(stderr, o->aside);
		fputc('\n', stderr);
	}
	if (o && o->moved) {
		fputs("jobcr: " OUTCOME_MOVED, stderr);
		print_clean(stderr, o->moved);
		fputc('\n', stderr);
	}
}

static void print_refusals(const Reply *reply)
{
	size_t i;

	fprintf(stderr, "%-7s %-5s %-16s %s\n", "PID", "FD", "COMMAND",
		"WHAT CANNOT BE SAVED, AND WHAT TO DO");
	for (i = 0; i < reply->n_refusals; i++) {
		const RefusalEntry *e = reply->refusals[i];
		char fd[16] = "-", pid[16] = "-";

		if (e->fd >= 0)
			snprintf(fd, sizeof(fd), "%d", e->fd);
		if (e->pid)
			snprintf(pid, sizeof(pid), "%d", e->pid);
		fprintf(stderr, "%-7s %-5s %-16s %s\n", pid, fd,
			e->pid ? e->comm : "-", e->what);
		if (*e->remedy)
			fprintf(stderr, "%-30s -> %s\n", "", e->remedy);
	}
	if (reply->has_refusals_total &&
	    reply->refusals_total > reply->n_refusals)
		fprintf(stderr, "... and %zu more\n",
			reply->refusals_total - reply->n_refusals);
}

int cli_fail_reply(const Reply *reply)
{
	fputs("jobcr: ", stderr);
	print_clean(stderr,
		    reply->text ? reply->text : strerror(-reply->result));
	putc('\n', stderr);
	if (reply->n_refusals)
		print_refusals(reply);
	return operation_exit_status(reply->result);
}

int cli_usage(const char *fmt, ...)
{
	va_list ap;

	fputs("jobcr: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\nTry 'jobcr --help'.\n", stderr);
	return STATUS_USAGE;
}

int cli_fail(const struct err *err)
{
	fputs("jobcr: ", stderr);
	print_clean(stderr, err->text);
	putc('\n', stderr);
	return operation_exit_status(err->code);
}
