/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/drain_view.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/plain.h"
#include "wire/drain_state.h"

#define BAR 24
#define MIB (1024.0 * 1024.0)

static const char *const words[] = {
	[DRAIN_WAITING] = "waiting",     [DRAIN_SAVING] = "saving",
	[DRAIN_QUEUED] = "queued",       [DRAIN_HELD] = "held",
	[DRAIN_ELSEWHERE] = "elsewhere", [DRAIN_GONE] = "gone",
	[DRAIN_REFUSED] = "refused",     [DRAIN_FAILED] = "failed",
	[DRAIN_FOREIGN] = "foreign",     [DRAIN_POSSIBLE] = "possible",
	[DRAIN_STARTING] = "starting",
};

static const char *word(const DrainEntry *e)
{
	return e->state < ARRAY_SIZE(words) && words[e->state] ? words[e->state]
							       : "unknown";
}

static bool has_text(const DrainEntry *e)
{
	return e->text && *e->text;
}

/* ---- text of one job
 * ---------------------------------------------------------*/

static void say_seconds(char *ret, size_t room, bool has, uint64_t ns)
{
	double s = (double)ns / 1e9;

	if (!has)
		snprintf(ret, room, "-");
	else if (s < 10)
		snprintf(ret, room, "%.2f s", s);
	else
		snprintf(ret, room, "%.0f s", s);
}

static void say_bytes(char *ret, size_t room, bool has, uint64_t bytes)
{
	double mib = (double)bytes / MIB;

	if (!has)
		snprintf(ret, room, "-");
	else if (mib < 10240)
		snprintf(ret, room, "%.1f MiB", mib);
	else
		snprintf(ret, room, "%.1f GiB", mib / 1024);
}

/* What became of it. */
static void say_state(const DrainEntry *e, char *ret, size_t room)
{
	const char *text = has_text(e) ? e->text : "";
	char time[32];

	switch (e->state) {
	case DRAIN_WAITING:
		snprintf(ret, room, "waits for its turn");
		break;
	case DRAIN_SAVING:
		snprintf(ret, room, "is being saved");
		break;
	case DRAIN_QUEUED:
		snprintf(ret, room,
			 "in the queue, goes on where there is "
			 "room");
		break;
	case DRAIN_HELD:
		snprintf(ret, room, "%s",
			 *text ? text : "held: \"scontrol release\" starts it");
		break;
	case DRAIN_ELSEWHERE:
		snprintf(ret, room, "goes on at %s", e->node ? e->node : "?");
		break;
	case DRAIN_STARTING:
		snprintf(ret, room, "starts at %s", e->node ? e->node : "?");
		break;
	case DRAIN_GONE:
		snprintf(ret, room, "%s", *text ? text : "has ended");
		break;
	case DRAIN_REFUSED:
		snprintf(ret, room, "stays: refused: %s", text);
		break;
	case DRAIN_FAILED:
		snprintf(ret, room, "stays: failed: %s", text);
		break;
	case DRAIN_FOREIGN:
		snprintf(ret, room, "stays: %s", text);
		break;
	case DRAIN_POSSIBLE:
		say_seconds(time, sizeof(time), e->has_expected_ns,
			    e->expected_ns);
		snprintf(ret, room, "would be saved%s%s%s%s%s",
			 e->has_expected_ns ? ", in about " : "",
			 e->has_expected_ns ? time : "", *text ? " (" : "",
			 text, *text ? ")" : "");
		break;
	default:
		snprintf(ret, room, "%s", text);
	}
	/* Others wrote it. */
	plain_make(ret, '?');
}

/* ---- as it goes
 * ----------------------------------------------------------------*/

static bool is_safe(const DrainEntry *e)
{
	return e->state == DRAIN_QUEUED || e->state == DRAIN_HELD ||
	       e->state == DRAIN_ELSEWHERE || e->state == DRAIN_GONE ||
	       e->state == DRAIN_STARTING;
}

/* A job that was not meant to be held: it could not be restored. */
static bool is_failed(const DrainEntry *e)
{
	return e->state == DRAIN_FAILED ||
	       (e->state == DRAIN_HELD && has_text(e));
}

static void put_line(const struct drain_view *v, const DrainEntry *e)
{
	char user[64], text[512];

	print_user_name(e->uid, user, sizeof(user));
	say_state(e, text, sizeof(text));
	printf("%s: job %s (%s) %s%s\n", v->node, e->job_id, user, text,
	       e->has_done_before && e->done_before ? " (an earlier drain)"
						    : "");
}

static void put_bar(const DrainEntry *e)
{
	unsigned int full = 0, i;
	char user[64], so_far[32], whole[32];

	if (e->has_expected_ns && e->expected_ns)
		full = (unsigned int)((double)e->elapsed_ns * BAR /
				      (double)e->expected_ns);
	/* A prediction that was too short does not end the work. */
	if (full >= BAR)
		full = BAR - 1;
	print_user_name(e->uid, user, sizeof(user));
	say_seconds(so_far, sizeof(so_far), true, e->elapsed_ns);
	say_seconds(whole, sizeof(whole), e->has_expected_ns, e->expected_ns);
	printf("  [");
	for (i = 0; i < BAR; i++)
		putchar(i < full ? '#' : '.');
	printf("] %-10s %-10s %-10s %s of about %s\n", e->job_id, user,
	       e->phase && *e->phase ? e->phase : "begins", so_far, whole);
}

static void erase(struct drain_view *v)
{
	if (v->lines)
		printf("\033[%zuA\033[J", v->lines);
	v->lines = 0;
}

static void draw(struct drain_view *v, uint64_t left_ns)
{
	size_t i, safe = 0, open = 0;

	for (i = 0; i < v->count; i++) {
		const DrainEntry *e = v->jobs[i];

		safe += is_safe(e);
		open += e->state == DRAIN_WAITING || e->state == DRAIN_SAVING;
		if (e->state == DRAIN_SAVING) {
			put_bar(e);
			v->lines++;
		}
	}
	printf("%s: %zu of %zu jobs are safe", v->node, safe, v->count);
	if (open && left_ns)
		printf(", about %.0f s left", (double)left_ns / 1e9 + 0.5);
	printf("\n");
	v->lines++;
}

static DrainEntry *copy_entry(const DrainEntry *e)
{
	size_t len = drain_entry__get_packed_size(e);
	auto_free uint8_t *packed = malloc(len);

	if (!packed)
		return NULL;
	drain_entry__pack(e, packed);
	return drain_entry__unpack(NULL, len, packed);
}

/* *ret_news: it is in another state than before. */
static void keep(struct drain_view *v, const DrainEntry *e, bool *ret_news)
{
	DrainEntry *own = copy_entry(e), **more;
	size_t i;

	*ret_news = false;
	if (!own)
		return;
	for (i = 0; i < v->count; i++)
		if (strcmp(v->jobs[i]->job_id, own->job_id) == 0)
			break;
	if (i < v->count) {
		*ret_news = v->jobs[i]->state != own->state;
		drain_entry__free_unpacked(v->jobs[i], NULL);
		v->jobs[i] = own;
		return;
	}
	more = realloc(v->jobs, (v->count + 1) * sizeof(*more));
	if (!more) {
		drain_entry__free_unpacked(own, NULL);
		return;
	}
	v->jobs = more;
	v->jobs[v->count++] = own;
	*ret_news = true;
}

static void put_note(const struct drain_view *v, const char *note)
{
	printf("%s: ", v->node);
	print_clean(stdout, note);
	putchar('\n');
}

void drain_view_take(struct drain_view *v, const Reply *reply)
{
	bool show = !v->json && !v->dry_run, news;
	size_t i;

	if (v->terminal && show)
		erase(v);
	if (reply->note && show)
		put_note(v, reply->note);
	for (i = 0; i < reply->n_drain; i++) {
		keep(v, reply->drain[i], &news);
		if (news && show)
			put_line(v, reply->drain[i]);
	}
	if (v->terminal && show && reply->has_more && reply->more)
		draw(v, reply->has_left_ns ? reply->left_ns : 0);
	fflush(stdout);
}

/* ---- the end
 * ----------------------------------------------------------------------*/

static void put_table(const struct drain_view *v)
{
	char user[64], bytes[32], away[32], total[32], text[512];
	size_t i;

	if (!v->dry_run)
		printf("\n");
	printf("%-10s %-10s %-10s %10s %8s %8s  %s\n", "JOBID", "USER",
	       "BEFORE", "SNAPSHOT", "AWAY", "TIME", "RESULT");
	for (i = 0; i < v->count; i++) {
		const DrainEntry *e = v->jobs[i];
		bool saved = e->has_total_ns || v->dry_run;

		print_user_name(e->uid, user, sizeof(user));
		say_bytes(bytes, sizeof(bytes), saved && e->has_page_bytes,
			  e->page_bytes);
		say_seconds(away, sizeof(away), e->has_away_ns, e->away_ns);
		say_seconds(total, sizeof(total), e->has_total_ns, e->total_ns);
		say_state(e, text, sizeof(text));
		printf("%-10s %-10s %-10s %10s %8s %8s  %s%s\n", e->job_id,
		       user, e->before ? e->before : "", bytes, away, total,
		       text,
		       e->has_done_before && e->done_before
			       ? " (an earlier drain)"
			       : "");
	}
}

static void add_number(struct json_object *o, const char *key, bool has,
		       uint64_t value)
{
	if (has)
		print_add_number(o, key, value);
}

static void add_string(struct json_object *o, const char *key, const char *v)
{
	if (v && *v)
		print_add_string(o, key, v);
}

static struct json_object *entry_json(const DrainEntry *e)
{
	struct json_object *o = json_object_new_object();

	add_string(o, "job_id", e->job_id);
	add_number(o, "uid", true, e->uid);
	add_string(o, "before", e->before);
	add_string(o, "result", word(e));
	add_string(o, "node", e->node);
	add_string(o, "text", e->text);
	add_number(o, "generation", e->has_generation, e->generation);
	add_number(o, "page_bytes", e->has_page_bytes, e->page_bytes);
	add_number(o, "expected_ns", e->has_expected_ns, e->expected_ns);
	add_number(o, "total_ns", e->has_total_ns, e->total_ns);
	add_number(o, "frozen_ns", e->has_frozen_ns, e->frozen_ns);
	add_number(o, "away_ns", e->has_away_ns, e->away_ns);
	json_object_object_add(
		o, "earlier_drain",
		json_object_new_boolean(e->has_done_before && e->done_before));
	return o;
}

static void put_json(const struct drain_view *v)
{
	struct json_object *o = json_object_new_object();
	struct json_object *jobs = json_object_new_array();
	size_t i;

	for (i = 0; i < v->count; i++)
		json_object_array_add(jobs, entry_json(v->jobs[i]));
	add_string(o, "node", v->node);
	json_object_object_add(o, "dry_run",
			       json_object_new_boolean(v->dry_run));
	json_object_object_add(o, "jobs", jobs);
	print_json(o);
}

void drain_view_end(struct drain_view *v)
{
	if (v->json)
		put_json(v);
	else if (v->count)
		put_table(v);
	else
		printf("%s: no jobs%s\n", v->node,
		       v->dry_run ? "" : "; the node is drained");
}

int drain_view_status(const struct drain_view *v)
{
	bool failed = false, stays = false;
	size_t i;

	for (i = 0; i < v->count; i++) {
		const DrainEntry *e = v->jobs[i];

		failed |= is_failed(e);
		stays |= !is_safe(e) && e->state != DRAIN_POSSIBLE;
	}
	return failed ? STATUS_FAILED : stays ? STATUS_REFUSED : STATUS_OK;
}

void drain_view_free(struct drain_view *v)
{
	size_t i;

	for (i = 0; i < v->count; i++)
		drain_entry__free_unpacked(v->jobs[i], NULL);
	free(v->jobs);
}
