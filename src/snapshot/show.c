/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "images/part.pb-c.h"
#include "images/tags.h"
#include "images/task.pb-c.h"
#include "snapshot/print.h"
#include "snapshot/snapshot.h"
#include "snapshot/text.h"
#include "storage/store.h"
#include "util/clock.h"
#include "util/plain.h"

static void print_stream(FILE *out, const StreamEntry *s)
{
	fprintf(out, "  %-24s %" PRIu64 " bytes", s->name, s->length);
	if (s->has_borrowed_from)
		fprintf(out, ", of generation %u", s->borrowed_from);
	fputc('\n', out);
}

static void print_manifest(FILE *out, const ManifestRecord *m)
{
	size_t i, k;

	fprintf(out, "Job:        %s (cluster %s)\n", m->job_id, m->cluster);
	fprintf(out,
		"Generation: %u\nCause:      %s\nTaken:      ", m->generation,
		m->cause);
	text_time(out, m->created_ns);
	fprintf(out, "\nOwner:      uid %u, gid %u\n", m->uid, m->gid);
	if (m->name) {
		fputs("Command:    ", out);
		text_safe(out, m->name);
		fputc('\n', out);
	}
	if (m->has_frozen_ns)
		fprintf(out, "Pause:      %.1f ms\n",
			(double)m->frozen_ns / 1e6);
	if (m->has_page_bytes) {
		fputs("Memory:     ", out);
		text_bytes(out, m->page_bytes);
		if (m->has_borrowed_bytes) {
			fputs(", of which earlier ones had ", out);
			text_bytes(out, m->borrowed_bytes);
		}
		fputc('\n', out);
	}
	fprintf(out, "Made by:    jobcr %s, format %u\n", m->jobcr_version,
		m->format);
	for (i = 0; i < m->n_parts; i++) {
		fprintf(out, "Node:       %s\n", m->parts[i]->node);
		for (k = 0; k < m->parts[i]->n_streams; k++)
			print_stream(out, m->parts[i]->streams[k]);
	}
}

static const char *state_name(TaskRecord__State state)
{
	switch (state) {
	case TASK_RECORD__STATE__RUNNING:
		return "running";
	case TASK_RECORD__STATE__STOPPED:
		return "stopped";
	case TASK_RECORD__STATE__ZOMBIE:
		return "zombie";
	default:
		return "?";
	}
}

static void print_outputs(FILE *out, const struct meta *meta)
{
	size_t i;

	for (i = 0; i < meta->count; i++) {
		const OutputRecord *o = (void *)meta->entries[i].msg;

		if (meta->entries[i].tag != TAG_OUTPUT)
			continue;
		fprintf(out, "Output:     %" PRIu64 " bytes of ", o->size);
		text_path(out, &o->path);
		fputc('\n', out);
	}
}

static void print_part(FILE *out, const PartEntry *part,
		       const struct meta *meta,
		       const struct show_options *options)
{
	size_t i;

	print_outputs(out, meta);
	fprintf(out, "\nProcesses on %s:\n%8s %8s %8s %8s  %-8s %s\n",
		part->node, "PID", "PPID", "SID", "THREADS", "STATE", "NAME");
	for (i = 0; i < meta->count; i++) {
		const TaskRecord *t = (const TaskRecord *)meta->entries[i].msg;

		if (meta->entries[i].tag != TAG_TASK)
			continue;
		fprintf(out, "%8d %8d %8d %8zu  %-8s ", t->pid, t->ppid, t->sid,
			t->n_tids, state_name(t->state));
		text_safe(out, t->comm);
		fputc('\n', out);
	}
	for (i = 0; options->records && i < meta->count; i++) {
		if (!show_kinds_has(&options->kinds, meta->entries[i].tag))
			continue;
		fprintf(out, "\n%s\n", img_tag_name(meta->entries[i].tag));
		record_print(out, meta->entries[i].msg, 2);
	}
}

static json_object *json_records(const struct meta *meta,
				 const struct show_kinds *kinds, bool named)
{
	json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; list && i < meta->count; i++) {
		const struct meta_entry *e = &meta->entries[i];
		json_object *o;

		if (!show_kinds_has(kinds, e->tag))
			continue;
		o = record_json(e->msg);
		if (o && named)
			json_object_object_add(
				o, "record",
				json_object_new_string(img_tag_name(e->tag)));
		json_object_array_add(list, o);
	}
	return list;
}

static json_object *json_part(const PartEntry *part, const struct meta *meta,
			      const struct show_options *options)
{
	static const struct show_kinds tasks = { { TAG_TASK }, 1 };
	json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	json_object_object_add(o, "node", json_object_new_string(part->node));
	json_object_object_add(o, "tasks", json_records(meta, &tasks, false));
	if (options->records)
		json_object_object_add(
			o, "records",
			json_records(meta, &options->kinds, true));
	return o;
}

static int show_parts(int dir_fd, const struct user_id *user,
		      const ManifestRecord *m,
		      const struct show_options *options, FILE *out,
		      json_object *list, struct err *err)
{
	size_t i;

	for (i = 0; i < m->n_parts; i++) {
		struct meta meta = { 0 };
		int r = snapshot_meta(dir_fd, user, m->parts[i], &meta, err);

		if (r < 0)
			return r;
		if (list)
			json_object_array_add(
				list, json_part(m->parts[i], &meta, options));
		else
			print_part(out, m->parts[i], &meta, options);
		meta_done(&meta);
	}
	return 0;
}

static int show_json(int dir_fd, const struct user_id *user,
		     const ManifestRecord *m,
		     const struct show_options *options, FILE *out,
		     struct err *err)
{
	json_object *top = json_object_new_object();
	json_object *parts = json_object_new_array();
	int r;

	if (!top || !parts) {
		json_object_put(top);
		json_object_put(parts);
		return err_num(err, ENOMEM, "JSON");
	}
	json_object_object_add(top, "manifest", record_json(&m->base));
	json_object_object_add(
		top, "kept",
		json_object_new_boolean(store_is_kept(dir_fd, user)));
	json_object_object_add(top, "parts", parts);
	r = show_parts(dir_fd, user, m, options, out, parts, err);
	if (r == 0)
		plain_print_json(
			out,
			json_object_to_json_string_ext(
				top, JSON_C_TO_STRING_PRETTY |
					     JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
	return r;
}

int snapshot_show(int dir_fd, const struct user_id *user,
		  const struct show_options *options, FILE *out,
		  struct err *err)
{
	ManifestRecord *m;
	int r = snapshot_manifest(dir_fd, user, &m, err);

	if (r < 0)
		return r;
	if (options->json) {
		r = show_json(dir_fd, user, m, options, out, err);
	} else {
		print_manifest(out, m);
		if (store_is_kept(dir_fd, user))
			fputs("Kept:       newer ones do not replace it\n",
			      out);
		r = show_parts(dir_fd, user, m, options, out, NULL, err);
	}
	manifest_record__free_unpacked(m, NULL);
	return r;
}
