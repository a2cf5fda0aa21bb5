/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where memory was saved the core file has it, elsewhere it has holes: a page
 * of zeros in anonymous memory, nothing at all in files, which a debugger
 * opens by itself.
 */
#include "snapshot/core.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/part.pb-c.h"
#include "images/tags.h"
#include "snapshot/core_parts.h"
#include "snapshot/cow.h"
#include "snapshot/extents.h"
#include "storage/reader.h"
#include "util/cleanup.h"

/* A mapping beyond this ends in the file with its last page that was saved:
 * no file system takes a file of the size of an address space. */
#define DENSE_MAX (64ull << 30)
#define ARGUMENTS 80

struct segment {
	uint64_t address, size;
	uint64_t offset, bytes; /* in the file */
	uint32_t flags;         /* PF_* */
};

/* A mapping of memory that the snapshot has as an object's. */
struct shared {
	uint32_t object;
	const VmaRecord *vma;
};

struct core {
	struct core_source src;
	struct blocks blocks;
	struct extent_list extents; /* by owner and address */
	struct segment *segments;   /* by address */
	size_t nsegments, room;
	struct shared *shared; /* mappings of objects, by object */
	size_t nshared;
	uint64_t end; /* of the file */
	int fd;
	bool direct;
	uint64_t written;
};

/* ---- what the snapshot has ------------------------------------------------
 */

static bool is_file(const VmaRecord *v)
{
	return v->kind == VMA_RECORD__KIND__FILE_PRIVATE ||
	       v->kind == VMA_RECORD__KIND__FILE_SHARED;
}

/*
 * Whose pages a mapping shows; 0: only its own.  Files of huge pages are
 * memory: where they lie, no debugger will look for them.
 */
static uint32_t object_of(const struct core *c, const VmaRecord *v)
{
	const FileRecord *file;

	if (!is_file(v))
		return v->object;
	file = v->has_page_size ? core_find(&c->src, TAG_FILE, v->object)
				: NULL;
	return file && file->has_ghost ? file->ghost : 0;
}

static int by_object(const void *a, const void *b)
{
	const struct shared *x = a, *y = b;

	return x->object < y->object ? -1 : x->object > y->object;
}

static int take_mappings(struct core *c, struct err *err)
{
	const struct meta *meta = c->src.meta;

	c->src.vmas = calloc(meta->count, sizeof(*c->src.vmas));
	c->shared = calloc(meta->count, sizeof(*c->shared));
	if (!c->src.vmas || !c->shared)
		return err_num(err, ENOMEM, "mappings");
	for (size_t i = 0; i < meta->count; i++) {
		const VmaRecord *v = (const VmaRecord *)meta->entries[i].msg;

		if (meta->entries[i].tag != TAG_VMA ||
		    v->pid != c->src.task->pid)
			continue;
		c->src.vmas[c->src.nvmas++] = v;
		if (object_of(c, v))
			c->shared[c->nshared++] =
				(struct shared){ object_of(c, v), v };
	}
	qsort(c->shared, c->nshared, sizeof(*c->shared), by_object);
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct extent_ref *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* The first extent of an owner that ends behind address; or count. */
static size_t first_behind(const struct extent_list *list, int32_t pid,
			   uint32_t object, uint64_t address)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct extent_ref *ref = &list->refs[middle];
		bool before = ref->pid != pid         ? ref->pid < pid
			      : ref->object != object ? ref->object < object
						      : ref->end <= address;

		if (before)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Does extent i still belong to that owner, and begin before end? */
static bool is_of(const struct extent_list *list, size_t i, int32_t pid,
		  uint32_t object, uint64_t end)
{
	return i < list->count && list->refs[i].pid == pid &&
	       list->refs[i].object == object && list->refs[i].start < end;
}

/* ---- where it goes --------------------------------------------------------
 */

static int add(struct core *c, const VmaRecord *v, uint64_t start, uint64_t end,
	       uint64_t bytes, struct err *err)
{
	struct segment *s;

	if (c->nsegments == c->room) {
		c->room = c->room ? 2 * c->room : 256;
		s = reallocarray(c->segments, c->room, sizeof(*s));
		if (!s)
			return err_num(err, ENOMEM, "%zu segments", c->room);
		c->segments = s;
	}
	s = &c->segments[c->nsegments++];
	*s = (struct segment){ .address = start,
			       .size = end - start,
			       .bytes = bytes };
	s->flags = (v->prot & PROT_READ ? PF_R : 0) |
		   (v->prot & PROT_WRITE ? PF_W : 0) |
		   (v->prot & PROT_EXEC ? PF_X : 0);
	return 0;
}

/* Of a file: what was saved of it, and what is only in the file. */
static int add_file(struct core *c, const VmaRecord *v, struct err *err)
{
	const struct extent_list *list = &c->extents;
	int32_t pid = c->src.task->pid;
	uint64_t at = v->start;
	size_t i = first_behind(list, pid, 0, at);
	int r = 0;

	while (r == 0 && is_of(list, i, pid, 0, v->end)) {
		uint64_t start = list->refs[i].start, end;

		start = start < at ? at : start;
		if (start > at)
			r = add(c, v, at, start, 0, err);
		end = list->refs[i++].end;
		while (is_of(list, i, pid, 0, v->end) &&
		       list->refs[i].start == end)
			end = list->refs[i++].end;
		at = end < v->end ? end : v->end;
		r = r < 0 ? r : add(c, v, start, at, at - start, err);
	}
	return r < 0 || at == v->end ? r : add(c, v, at, v->end, 0, err);
}

/* One behind the last byte of a mapping that was saved. */
static uint64_t saved_end(const struct core *c, const VmaRecord *v)
{
	const struct extent_list *list = &c->extents;
	uint64_t last = v->start;
	size_t i = first_behind(list, c->src.task->pid, 0, v->start);
	uint32_t object = object_of(c, v);

	for (; is_of(list, i, c->src.task->pid, 0, v->end); i++)
		last = list->refs[i].end;
	if (object) {
		uint64_t end = v->offset + (v->end - v->start);

		i = first_behind(list, 0, object, v->offset);
		for (; is_of(list, i, 0, object, end); i++) {
			uint64_t here =
				v->start - v->offset + list->refs[i].end;

			last = here > last ? here : last;
		}
	}
	return last < v->end ? last : v->end;
}

/* The part has its text, if that fits the mapping. */
static const uint8_t *vdso_image(const struct core *c, uint64_t size)
{
	const PartRecord *part =
		(const PartRecord *)c->src.meta->entries[0].msg;

	return part->has_vdso_image && part->vdso_image.len == size
		       ? part->vdso_image.data
		       : NULL;
}

static int add_mapping(struct core *c, const VmaRecord *v, struct err *err)
{
	uint64_t size = v->end - v->start;

	if (is_file(v) && !object_of(c, v))
		return add_file(c, v, err);
	switch (v->kind) {
	case VMA_RECORD__KIND__VDSO:
		return add(c, v, v->start, v->end,
			   vdso_image(c, size) ? size : 0, err);
	case VMA_RECORD__KIND__VVAR:
	case VMA_RECORD__KIND__VVAR_VCLOCK:
		return 0;
	default:
		if (size > DENSE_MAX)
			size = saved_end(c, v) - v->start;
		return add(c, v, v->start, v->end, size, err);
	}
}

static int lay_out(struct core *c, uint64_t *ret_notes, struct err *err)
{
	size_t notes = 0;
	int r = core_notes_size(&c->src, &notes, err);

	for (size_t i = 0; i < c->src.nvmas && r == 0; i++)
		r = add_mapping(c, c->src.vmas[i], err);
	if (r < 0)
		return r;
	*ret_notes = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr) +
		     (c->nsegments + 1) * sizeof(Elf64_Phdr);
	c->end = (*ret_notes + notes + IMAGE_PAGE - 1) &
		 ~(uint64_t)(IMAGE_PAGE - 1);
	for (size_t i = 0; i < c->nsegments; i++) {
		c->segments[i].offset = c->end;
		if (c->segments[i].bytes > INT64_MAX - c->end)
			return err_set(err, -EFBIG, "its memory is too large");
		c->end += c->segments[i].bytes;
	}
	return 0;
}

/* ---- memory ---------------------------------------------------------------
 */

static int write_at(int fd, const void *data, size_t len, uint64_t offset,
		    struct err *err)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "write");
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* The segment that an address lies in, or the next; NULL: none. */
static const struct segment *segment_at(const struct core *c, uint64_t address)
{
	size_t low = 0, high = c->nsegments;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct segment *s = &c->segments[middle];

		if (s->address + s->size <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->nsegments ? &c->segments[low] : NULL;
}

static int write_memory(struct core *c, uint64_t address, const uint8_t *data,
			uint64_t len, struct err *err)
{
	int r = 0;

	while (len && r == 0) {
		const struct segment *s = segment_at(c, address);
		uint64_t skip, some;

		if (!s || s->address >= address + len)
			break;
		skip = s->address > address ? s->address - address : 0;
		address += skip;
		data += skip;
		len -= skip;
		some = s->address + s->size - address;
		some = some < len ? some : len;
		if (address - s->address + some <= s->bytes) {
			r = write_at(c->fd, data, some,
				     s->offset + (address - s->address), err);
			c->written += some;
		}
		address += some;
		data += some;
		len -= some;
	}
	return r;
}

/* The first mapping of an object, as an index of c->shared. */
static size_t first_shared(const struct core *c, uint32_t object)
{
	size_t low = 0, high = c->nshared;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->shared[middle].object < object)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int write_object(struct core *c, const struct extent_ref *ref,
			const uint8_t *data, struct err *err)
{
	const Extent *x = ref->extent;
	int r = 0;

	for (size_t i = first_shared(c, ref->object);
	     r == 0 && i < c->nshared && c->shared[i].object == ref->object;
	     i++) {
		const VmaRecord *v = c->shared[i].vma;
		uint64_t from = ref->start, to = ref->end;
		uint64_t end = v->offset + (v->end - v->start);

		from = from > v->offset ? from : v->offset;
		to = to < end ? to : end;
		if (from < to)
			r = write_memory(c, v->start + (from - v->offset),
					 data + (from - x->address), to - from,
					 err);
	}
	return r;
}

static int write_ref(struct core *c, const struct extent_ref *ref,
		     const uint8_t *data, struct err *err)
{
	if (!ref->pid)
		return write_object(c, ref, data, err);
	return write_memory(c, ref->start,
			    data + (ref->start - ref->extent->address),
			    ref->end - ref->start, err);
}

/* Is it read with the one before, as another part of the same? */
static bool is_next_part(const struct extent_list *list, size_t i)
{
	const struct extent_ref *ref = &list->refs[i];

	return i && i < list->count && ref[-1].extent == ref->extent &&
	       ref[-1].pid == ref->pid;
}

static int on_piece(void *arg, const struct read_piece *piece,
		    const uint8_t *data, struct err *err)
{
	struct core *c = arg;
	const struct extent_ref *ref = &c->extents.refs[piece->tag];
	size_t i = piece->tag;
	int r;

	if (extent_hash(data, piece->len) != ref->extent->hash)
		return err_set(err, -EBADMSG,
			       "%s: memory at 0x%" PRIx64
			       ": the checksum is wrong",
			       c->blocks.part->streams[ref->extent->stream]->name,
			       ref->extent->address);
	do
		r = write_ref(c, &c->extents.refs[i++], data, err);
	while (r == 0 && is_next_part(&c->extents, i));
	return r;
}

static bool is_mapped(const struct core *c, uint32_t object)
{
	size_t i = first_shared(c, object);

	return i < c->nshared && c->shared[i].object == object;
}

static int by_place(const void *a, const void *b)
{
	const struct read_piece *x = a, *y = b;

	if (x->stream != y->stream)
		return x->stream < y->stream ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* own: the pages that are the process's alone; they cover those it shares. */
static int copy_pages(struct core *c, struct reader *reader, bool own,
		      struct err *err)
{
	const struct extent_list *list = &c->extents;
	auto_free struct read_piece *pieces =
		calloc(list->count ? list->count : 1, sizeof(*pieces));
	uint32_t object = 0;
	bool wanted = false;
	size_t n = 0;

	if (!pieces)
		return err_num(err, ENOMEM, "%zu extents", list->count);
	for (size_t i = 0; i < list->count; i++) {
		const struct extent_ref *ref = &list->refs[i];

		if (ref->pid)
			wanted = own && ref->pid == c->src.task->pid;
		else if (own)
			wanted = false;
		else if (ref->object != object)
			wanted = is_mapped(c, ref->object);
		object = ref->object;
		if (wanted && !is_next_part(list, i))
			pieces[n++] = (struct read_piece){
				.stream = ref->extent->stream - 1,
				.len = ref->extent->pages * IMAGE_PAGE,
				.offset = ref->extent->offset,
				.tag = i,
			};
	}
	qsort(pieces, n, sizeof(*pieces), by_place);
	return blocks_read(reader, &c->blocks, pieces, n, on_piece, c, err);
}

static int write_vdso(struct core *c, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < c->src.nvmas && r == 0; i++) {
		const VmaRecord *v = c->src.vmas[i];
		uint64_t size = v->end - v->start;

		if (v->kind == VMA_RECORD__KIND__VDSO && vdso_image(c, size))
			r = write_memory(c, v->start, vdso_image(c, size),
					 size, err);
	}
	return r;
}

static int copy_memory(struct core *c, int dir_fd, struct err *err)
{
	const struct reader_limits limits = { .no_direct = !c->direct };
	struct reader *reader;
	int r = reader_new(dir_fd, &limits, &reader, err);

	if (r < 0)
		return r;
	r = snapshot_open_pages(reader, NULL, c->blocks.part, err);
	r = r < 0 ? r : copy_pages(c, reader, false, err);
	r = r < 0 ? r : copy_pages(c, reader, true, err);
	reader_free(reader);
	return r;
}

/* ---- the rest of the file -------------------------------------------------
 */

/* The command line, as far as it is in memory that was saved. */
static void read_arguments(const struct core *c, char ret[ARGUMENTS])
{
	const MmRecord *mm = c->src.mm;
	const struct segment *s = segment_at(c, mm->arg_start);
	uint64_t len = mm->arg_end - mm->arg_start, into;
	ssize_t n;

	memset(ret, 0, ARGUMENTS);
	if (!s || s->address > mm->arg_start || mm->arg_end < mm->arg_start)
		return;
	into = mm->arg_start - s->address;
	len = len < ARGUMENTS - 1 ? len : ARGUMENTS - 1;
	if (into + len > s->bytes)
		return;
	n = pread(c->fd, ret, len, (off_t)(s->offset + into));
	for (ssize_t i = 0; i + 1 < n; i++)
		if (!ret[i])
			ret[i] = ' ';
}

static int write_notes(struct core *c, uint64_t offset, size_t *ret_len,
		       struct err *err)
{
	auto_free uint8_t *notes = NULL;
	char arguments[ARGUMENTS];
	int r;

	read_arguments(c, arguments);
	r = core_notes(&c->src, arguments, &notes, ret_len, err);
	return r < 0 ? r : write_at(c->fd, notes, *ret_len, offset, err);
}

static int write_heads(struct core *c, uint64_t notes, size_t notes_len,
		       struct err *err)
{
	size_t count = c->nsegments + 1;
	size_t len = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr) +
		     count * sizeof(Elf64_Phdr);
	auto_free uint8_t *buf = calloc(1, len);
	Elf64_Ehdr *e = (Elf64_Ehdr *)buf;
	Elf64_Shdr *section = (Elf64_Shdr *)(e + 1);
	Elf64_Phdr *p = (Elf64_Phdr *)(section + 1);

	if (!buf)
		return err_num(err, ENOMEM, "%zu segments", count);
	memcpy(e->e_ident, ELFMAG, SELFMAG);
	e->e_ident[EI_CLASS] = ELFCLASS64;
	e->e_ident[EI_DATA] = ELFDATA2LSB;
	e->e_ident[EI_VERSION] = EV_CURRENT;
	e->e_type = ET_CORE;
	e->e_machine = EM_X86_64;
	e->e_version = EV_CURRENT;
	e->e_ehsize = sizeof(*e);
	e->e_phoff = sizeof(*e) + sizeof(*section);
	e->e_phentsize = sizeof(*p);
	e->e_phnum = (Elf64_Half)count;
	if (count >= PN_XNUM) {
		/* Then a section that is none says how many there are. */
		e->e_phnum = PN_XNUM;
		e->e_shoff = sizeof(*e);
		e->e_shentsize = sizeof(*section);
		e->e_shnum = 1;
		section->sh_info = (Elf64_Word)count;
	}
	*p++ = (Elf64_Phdr){ .p_type = PT_NOTE,
			     .p_offset = notes,
			     .p_filesz = notes_len,
			     .p_align = 4 };
	for (size_t i = 0; i < c->nsegments; i++) {
		const struct segment *s = &c->segments[i];

		*p++ = (Elf64_Phdr){ .p_type = PT_LOAD,
				     .p_flags = s->flags,
				     .p_offset = s->offset,
				     .p_vaddr = s->address,
				     .p_filesz = s->bytes,
				     .p_memsz = s->size,
				     .p_align = IMAGE_PAGE };
	}
	return write_at(c->fd, buf, len, 0, err);
}

static void tell_facts(const struct core *c, struct core_facts *ret)
{
	const FileRecord *exe =
		core_find(&c->src, TAG_FILE, c->src.mm->exe_object);

	ret->pid = c->src.task->pid;
	ret->threads = (uint32_t)c->src.task->n_tids;
	ret->bytes = c->written;
	snprintf(ret->comm, sizeof(ret->comm), "%s", c->src.task->comm);
	if (exe)
		snprintf(ret->exe, sizeof(ret->exe), "%.*s", (int)exe->path.len,
			 (const char *)exe->path.data);
}

static int write_core(struct core *c, int dir_fd, struct core_facts *ret,
		      struct err *err)
{
	uint64_t notes = 0;
	size_t notes_len = 0;
	int r;

	r = core_index(&c->src, err);
	c->src.mm = core_find(&c->src, TAG_MM, (uint32_t)c->src.task->pid);
	if (r == 0 && !c->src.mm)
		r = err_set(err, -EBADMSG, "it has no address space");
	r = r < 0 ? r : take_mappings(c, err);
	r = r < 0 ? r : blocks_collect(c->src.meta, &c->blocks, err);
	r = r < 0 ? r : extents_collect(c->src.meta, &c->extents, err);
	r = r < 0 ? r
		  : cow_resolve(c->src.meta, c->src.task->pid, &c->extents,
				err);
	if (r < 0)
		return r;
	qsort(c->extents.refs, c->extents.count, sizeof(*c->extents.refs),
	      by_address);
	r = lay_out(c, &notes, err);
	r = r < 0 ? r : copy_memory(c, dir_fd, err);
	r = r < 0 ? r : write_vdso(c, err);
	r = r < 0 ? r : write_notes(c, notes, &notes_len, err);
	r = r < 0 ? r : write_heads(c, notes, notes_len, err);
	if (r == 0 && ftruncate(c->fd, (off_t)c->end) < 0)
		r = err_sys(err, "a file of %" PRIu64 " bytes", c->end);
	if (r == 0)
		tell_facts(c, ret);
	return r;
}

/* ---- which process --------------------------------------------------------
 */

/* The names of those there are, as far as they fit. */
struct choice {
	char pids[160];
	size_t count;
};

static const TaskRecord *choose(const struct meta *meta, int32_t pid,
				struct choice *among)
{
	const TaskRecord *found = NULL;

	for (size_t i = 0; i < meta->count; i++) {
		const TaskRecord *t = (const TaskRecord *)meta->entries[i].msg;
		size_t len = strlen(among->pids);

		if (meta->entries[i].tag != TAG_TASK ||
		    t->state == TASK_RECORD__STATE__ZOMBIE)
			continue;
		if (t->pid == pid || !pid)
			found = t;
		among->count++;
		snprintf(among->pids + len, sizeof(among->pids) - len, "%s%d",
			 len ? ", " : "", (int)t->pid);
	}
	return found;
}

static int core_of(int dir_fd, const PartEntry *part, const struct meta *meta,
		   const TaskRecord *task, int fd, bool direct,
		   struct core_facts *ret, struct err *err)
{
	struct core c = { .src = { .meta = meta, .task = task },
			  .blocks = { .part = part },
			  .fd = fd,
			  .direct = direct };
	int r = write_core(&c, dir_fd, ret, err);

	free(c.src.index);
	free(c.src.vmas);
	free(c.shared);
	free(c.extents.refs);
	blocks_done(&c.blocks);
	free(c.segments);
	return r < 0 ? err_wrap(err, r, "process %d", (int)task->pid) : 0;
}

int snapshot_core(int dir_fd, int32_t pid, bool direct, int fd,
		  struct core_facts *ret, struct err *err)
{
	struct choice among = { .count = 0 };
	ManifestRecord *m;
	bool done = false;
	int r = snapshot_manifest(dir_fd, NULL, &m, err);

	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < m->n_parts && r == 0 && !done; i++) {
		const TaskRecord *task;
		struct meta meta = { 0 };

		r = snapshot_meta(dir_fd, NULL, m->parts[i], &meta, err);
		r = r < 0 ? r : snapshot_check_meta(m->parts[i], &meta, err);
		task = r < 0 ? NULL : choose(&meta, pid, &among);
		done = task && (pid || (m->n_parts == 1 && among.count == 1));
		if (done)
			r = core_of(dir_fd, m->parts[i], &meta, task, fd,
				    direct, ret, err);
		meta_done(&meta);
	}
	manifest_record__free_unpacked(m, NULL);
	if (r < 0 || done)
		return r;
	if (pid)
		return err_set(err, -ESRCH, "no process %d in it; there are %s",
			       (int)pid, among.pids);
	return err_set(err, -ESRCH, "which process? there are %s", among.pids);
}
