/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <json.h>
#include <string.h>
#include <sys/mman.h>

#include "snapshot/diff_parts.h"
#include "snapshot/print.h"
#include "snapshot/text.h"
#include "util/plain.h"

/* ---- text -------------------------------------------------------------- */

static char mark(const void *before, const void *after)
{
	return !before ? '+' : !after ? '-' : '~';
}

static void print_pair(FILE *out, const char *title, double before,
		       double after, const char *unit)
{
	fprintf(out, "%-11s %.1f %s, was %.1f %s\n", title, after, unit, before,
		unit);
}

static uint64_t stored(const ManifestRecord *m)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < m->n_parts; i++)
		for (size_t k = 0; k < m->parts[i]->n_streams; k++)
			bytes += m->parts[i]->streams[k]->length;
	return bytes;
}

static void print_bytes(FILE *out, const struct diff_bytes *b)
{
	const struct {
		uint64_t bytes;
		const char *word;
	} all[] = { { b->changed, "differ" },
		    { b->fresh, "appeared" },
		    { b->gone, "are gone" },
		    { b->same, "are the same" } };
	const char *comma = "";

	for (size_t i = 0; i < 4; i++) {
		if (!all[i].bytes)
			continue;
		fputs(comma, out);
		text_bytes(out, all[i].bytes);
		fprintf(out, " %s", all[i].word);
		comma = ", ";
	}
	fputs(*comma ? "\n" : "none\n", out);
}

static void print_head(FILE *out, const struct diff *d)
{
	const ManifestRecord *b = d->before, *a = d->after;
	double later = ((double)a->created_ns - (double)b->created_ns) / 1e9;

	fputs("Taken:      ", out);
	text_time(out, a->created_ns);
	fprintf(out, ", %.1f s %s\n", later < 0 ? -later : later,
		later < 0 ? "before" : "later");
	if (a->has_frozen_ns && b->has_frozen_ns)
		print_pair(out, "Pause:", (double)b->frozen_ns / 1e6,
			   (double)a->frozen_ns / 1e6, "ms");
	print_pair(out, "Files:", (double)stored(b) / 1048576,
		   (double)stored(a) / 1048576, "MiB");
	fputs("Memory:     ", out);
	print_bytes(out, &d->all);
	fprintf(out, "Processes:  %zu, were %zu\n", d->tasks_after,
		d->tasks_before);
}

static int32_t pid_of(const struct diff_task *t)
{
	return t->after ? t->after->pid : t->before->pid;
}

static void print_task(FILE *out, const struct diff_task *t)
{
	const TaskRecord *now = t->after ? t->after : t->before;

	fprintf(out, "  %c %d ", mark(t->before, t->after), now->pid);
	text_safe(out, now->comm);
	fprintf(out, ", %zu thread%s", now->n_tids,
		now->n_tids == 1 ? "" : "s");
	if (t->before && t->after && t->before->n_tids != now->n_tids)
		fprintf(out, ", were %zu", t->before->n_tids);
	if (t->before && t->after && strcmp(t->before->comm, now->comm) != 0) {
		fputs(", was ", out);
		text_safe(out, t->before->comm);
	}
	fputc('\n', out);
}

static void print_vma(FILE *out, const struct diff_vma *v)
{
	const VmaRecord *now = v->after ? v->after : v->before;

	fprintf(out, "  %c %d %" PRIx64 "-%" PRIx64 " %c%c%c ",
		mark(v->before, v->after), now->pid, now->start, now->end,
		now->prot & PROT_READ ? 'r' : '-',
		now->prot & PROT_WRITE ? 'w' : '-',
		now->prot & PROT_EXEC ? 'x' : '-');
	text_safe(out, v->what);
	if (v->before && v->after && v->before->end != now->end)
		fprintf(out, ", ended at %" PRIx64, v->before->end);
	fputs(": ", out);
	print_bytes(out, &v->bytes);
}

static void print_file(FILE *out, const struct diff_file *f)
{
	const FileRecord *now = f->after ? f->after : f->before;

	fprintf(out, "  %c ", mark(f->before, f->after));
	text_path(out, &now->path);
	fprintf(out, ": at %" PRId64, now->open->position);
	if (f->before && f->after &&
	    f->before->open->position != now->open->position)
		fprintf(out, ", was at %" PRId64, f->before->open->position);
	/* Of a file that the job may write to it is not always known. */
	if (f->before && f->after && f->before->size != now->size)
		fprintf(out, ", %" PRIu64 " bytes, were %" PRIu64, now->size,
			f->before->size);
	if (f->before && f->after && f->before->inode != now->inode)
		fputs(", another file", out);
	fputc('\n', out);
}

/*
 * A process that is on one side only has one line for all of its mappings.
 * Processes and mappings are in the same order; of several nodes, anew.
 */
static const struct diff_task *find_half(const struct diff *d, size_t *at,
					 int32_t pid)
{
	if (*at && (uint32_t)pid_of(&d->tasks[*at - 1]) >= (uint32_t)pid)
		*at = 0;
	while (*at < d->ntasks &&
	       (uint32_t)pid_of(&d->tasks[*at]) < (uint32_t)pid)
		(*at)++;
	return *at < d->ntasks && pid_of(&d->tasks[*at]) == pid &&
			       !(d->tasks[*at].before && d->tasks[*at].after)
		       ? &d->tasks[*at]
		       : NULL;
}

static void print_vmas(FILE *out, const struct diff *d)
{
	size_t at = 0;

	for (size_t i = 0; i < d->nvmas; i++) {
		const struct diff_vma *v = &d->vmas[i];
		int32_t pid = v->after ? v->after->pid : v->before->pid;

		if (diff_vma_differs(v) && !find_half(d, &at, pid))
			print_vma(out, v);
	}
}

static void print_text(const struct diff *d, const char *before,
		       const char *after, FILE *out)
{
	text_safe(out, before);
	fputs(" -> ", out);
	text_safe(out, after);
	fputc('\n', out);
	print_head(out, d);
	for (size_t i = 0; i < d->ntasks; i++)
		print_task(out, &d->tasks[i]);
	fputs("Mappings that differ, of processes that are in both:\n", out);
	print_vmas(out, d);
	if (d->objects.changed || d->objects.fresh || d->objects.gone) {
		fputs("Memory that is shared, and files that travel: ", out);
		print_bytes(out, &d->objects);
	}
	fputs("Files that differ, open or mapped:\n", out);
	for (size_t i = 0; i < d->nfiles; i++)
		print_file(out, &d->files[i]);
}

/* ---- JSON -------------------------------------------------------------- */

static void put_number(json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)value));
}

static void put_text(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key,
			       bytes_json((const uint8_t *)text, strlen(text)));
}

static void put_change(json_object *o, const void *before, const void *after)
{
	put_text(o, "change",
		 !before  ? "appeared"
		 : !after ? "gone"
			  : "changed");
}

static void put_bytes(json_object *o, const char *key,
		      const struct diff_bytes *b)
{
	json_object *v = json_object_new_object();

	put_number(v, "same", b->same);
	put_number(v, "changed", b->changed);
	put_number(v, "appeared", b->fresh);
	put_number(v, "gone", b->gone);
	json_object_object_add(o, key, v);
}

static json_object *snapshot_json(const char *name, const ManifestRecord *m)
{
	json_object *o = json_object_new_object();

	put_text(o, "name", name);
	put_text(o, "job_id", m->job_id);
	put_number(o, "generation", m->generation);
	put_number(o, "created_ns", m->created_ns);
	put_number(o, "stored_bytes", stored(m));
	if (m->has_frozen_ns)
		put_number(o, "frozen_ns", m->frozen_ns);
	return o;
}

static json_object *task_json(const struct diff_task *t)
{
	const TaskRecord *now = t->after ? t->after : t->before;
	json_object *o = json_object_new_object();

	put_change(o, t->before, t->after);
	put_number(o, "pid", (uint64_t)now->pid);
	put_text(o, "comm", now->comm);
	put_number(o, "threads", now->n_tids);
	if (t->before && t->after) {
		put_text(o, "was_comm", t->before->comm);
		put_number(o, "was_threads", t->before->n_tids);
	}
	return o;
}

static json_object *vma_json(const struct diff_vma *v)
{
	const VmaRecord *now = v->after ? v->after : v->before;
	json_object *o = json_object_new_object();

	put_change(o, v->before, v->after);
	put_number(o, "pid", (uint64_t)now->pid);
	put_number(o, "start", now->start);
	put_number(o, "end", now->end);
	put_number(o, "prot", now->prot);
	put_text(o, "what", v->what);
	put_bytes(o, "bytes", &v->bytes);
	return o;
}

static json_object *file_json(const struct diff_file *f)
{
	const FileRecord *now = f->after ? f->after : f->before;
	json_object *o = json_object_new_object();

	put_change(o, f->before, f->after);
	json_object_object_add(o, "path",
			       bytes_json(now->path.data, now->path.len));
	put_number(o, "size", now->size);
	put_number(o, "position", (uint64_t)now->open->position);
	if (f->before && f->after) {
		put_number(o, "was_size", f->before->size);
		put_number(o, "was_position",
			   (uint64_t)f->before->open->position);
	}
	return o;
}

static int print_json(const struct diff *d, const char *before,
		      const char *after, FILE *out, struct err *err)
{
	json_object *top = json_object_new_object();
	json_object *tasks = json_object_new_array();
	json_object *vmas = json_object_new_array();
	json_object *files = json_object_new_array();

	if (!top || !tasks || !vmas || !files)
		return err_num(err, ENOMEM, "JSON");
	json_object_object_add(top, "before", snapshot_json(before, d->before));
	json_object_object_add(top, "after", snapshot_json(after, d->after));
	put_bytes(top, "memory", &d->all);
	put_bytes(top, "shared", &d->objects);
	json_object_object_add(top, "processes", tasks);
	json_object_object_add(top, "mappings", vmas);
	json_object_object_add(top, "files", files);
	for (size_t i = 0; i < d->ntasks; i++)
		json_object_array_add(tasks, task_json(&d->tasks[i]));
	for (size_t i = 0; i < d->nvmas; i++)
		if (diff_vma_differs(&d->vmas[i]))
			json_object_array_add(vmas, vma_json(&d->vmas[i]));
	for (size_t i = 0; i < d->nfiles; i++)
		json_object_array_add(files, file_json(&d->files[i]));
	plain_print_json(out,
			 json_object_to_json_string_ext(
				 top, JSON_C_TO_STRING_PRETTY |
					      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
	return 0;
}

int diff_print(const struct diff *d, const char *before, const char *after,
	       bool json, FILE *out, struct err *err)
{
	if (json)
		return print_json(d, before, after, out, err);
	print_text(d, before, after, out);
	return 0;
}
