/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many huge pages an image takes, and which images could not be. */
#include "snapshot/huge.h"

#include <errno.h>
#include <string.h>

#include "images/files.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/maps.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define SMALL    (2ull << 20)
#define LARGE    (1ull << 30)
#define BASE     (1ull << 40)
#define ORDINARY 512u /* pages in a huge one */

static VmaRecord own, loose, shared, other, large, in_file;
static ShmemRecord shmem;
static GhostRecord ghost;
static FileRecord file;
static OpenFile file_open;
static PagesRecord of_task, of_shmem, of_ghost;
static Extent extents[6];
static Extent *task_extents[] = { &extents[0], &extents[1], &extents[2] };
static Extent *shmem_extents[] = { &extents[3], &extents[4] };
static Extent *ghost_extents[] = { &extents[5] };

static struct meta_entry entries[] = {
	{ TAG_VMA, &own.base },        { TAG_VMA, &loose.base },
	{ TAG_VMA, &large.base },      { TAG_VMA, &shared.base },
	{ TAG_VMA, &other.base },      { TAG_VMA, &in_file.base },
	{ TAG_SHMEM, &shmem.base },    { TAG_GHOST, &ghost.base },
	{ TAG_FILE, &file.base },      { TAG_PAGES, &of_task.base },
	{ TAG_PAGES, &of_shmem.base }, { TAG_PAGES, &of_ghost.base },
};
static const struct meta meta = { entries, ARRAY_SIZE(entries) };

static void vma(VmaRecord *v, VmaRecord__Kind kind, uint64_t start,
		uint64_t pages, uint64_t page, uint32_t object, uint64_t offset)
{
	vma_record__init(v);
	v->pid = 7;
	v->kind = kind;
	v->start = start;
	v->end = start + pages * page;
	v->flags = VMA_HUGETLB;
	v->has_page_size = 1;
	v->page_size = page;
	v->has_object = v->has_offset = object != 0;
	v->object = object;
	v->offset = offset;
}

static void extent(Extent *x, uint64_t address, uint32_t pages)
{
	extent__init(x);
	x->address = address;
	x->pages = pages;
}

static void pages(PagesRecord *p, int32_t pid, uint32_t object, Extent **list,
		  size_t count)
{
	pages_record__init(p);
	p->pid = pid;
	p->object = object;
	p->extents = list;
	p->n_extents = count;
}

static void make_mappings(void)
{
	vma(&own, VMA_RECORD__KIND__ANON_PRIVATE, BASE, 5, SMALL, 0, 0);
	vma(&loose, VMA_RECORD__KIND__ANON_PRIVATE, BASE + 5 * SMALL, 100,
	    SMALL, 0, 0);
	loose.flags |= VMA_NORESERVE;
	vma(&large, VMA_RECORD__KIND__ANON_PRIVATE, 2 * BASE, 2, LARGE, 0, 0);
	/* Pages 0 to 3 and 2 to 5 of 10, which are promised once. */
	vma(&shared, VMA_RECORD__KIND__SHMEM_SHARED, 3 * BASE, 4, SMALL, 20, 0);
	vma(&other, VMA_RECORD__KIND__SHMEM_SHARED, 4 * BASE, 4, SMALL, 20,
	    2 * SMALL);
	other.pid = 8;
	vma(&in_file, VMA_RECORD__KIND__FILE_SHARED, 5 * BASE, 2, SMALL, 30, 0);
}

static void make(void)
{
	make_mappings();
	shmem_record__init(&shmem);
	shmem.object = 20;
	shmem.size = 10 * SMALL;
	shmem.has_page_size = 1;
	shmem.page_size = SMALL;
	ghost_record__init(&ghost);
	ghost.object = 31;
	ghost.size = 3 * SMALL;
	ghost.has_page_size = 1;
	ghost.page_size = SMALL;
	file_record__init(&file);
	open_file__init(&file_open);
	file.open = &file_open;
	file_open.object = 30;
	file.has_ghost = 1;
	file.ghost = 31;
	/* From the promised into the loose; two in the loose. */
	extent(&extents[0], BASE + 4 * SMALL, ORDINARY + 1);
	extent(&extents[1], BASE + 9 * SMALL + 4096, 1);
	extent(&extents[2], BASE + 9 * SMALL + 8 * 4096, 2);
	/* In a mapped one, and one that nobody maps. */
	extent(&extents[3], 4096, 1);
	extent(&extents[4], 9 * SMALL, 1);
	extent(&extents[5], 2 * SMALL, 1);
	pages(&of_task, 7, 0, task_extents, ARRAY_SIZE(task_extents));
	pages(&of_shmem, 0, 20, shmem_extents, ARRAY_SIZE(shmem_extents));
	pages(&of_ghost, 0, 31, ghost_extents, ARRAY_SIZE(ghost_extents));
}

static void expect(uint64_t small, uint64_t big, const char *what)
{
	struct huge_count n = { { 0 } };
	struct err err = { 0 };

	int r = huge_needed(&meta, &n, &err);

	ok(r == 0 && n.pages[0] == small && n.pages[1] == big,
	   "%s: %llu and %llu %s", what, (unsigned long long)n.pages[0],
	   (unsigned long long)n.pages[1], err.text);
}

static void refused(const char *text, const char *what)
{
	struct huge_count n;
	struct err err = { 0 };

	ok(huge_needed(&meta, &n, &err) == -EBADMSG && strstr(err.text, text),
	   "%s: %s", what, err.text);
	make();
}

static void test_counts(void)
{
	make();
	/* 5 promised, 2 touched, 6 and 1 shared, 2 and 1 of the file. */
	expect(5 + 2 + 6 + 1 + 2 + 1, 2, "each page is counted once");
	shared.flags |= VMA_NORESERVE;
	other.flags |= VMA_NORESERVE;
	expect(5 + 2 + 2 + 3, 2, "of what is not promised, what is there");
	make();
	ghost.linked = 1;
	expect(5 + 2 + 7, 2, "a file that may be there needs none");
	make();
	large.flags |= VMA_NORESERVE;
	expect(17, 0, "of 1 GiB none is touched");
	make();
}

static void test_lies(void)
{
	const char *no = "fit pages", *size = "has not pages of the size";

	own.start += 4096;
	refused(no, "a mapping that begins between huge pages");
	own.end -= 4096;
	refused(no, "one that ends there");
	own.page_size = LARGE;
	refused(no, "one that is too small for its pages");
	own.page_size = 0;
	refused(no, "pages of no size");
	own.page_size = 3;
	refused(no, "pages of three bytes");
	own.page_size = SMALL << 1;
	refused(no, "pages of 4 MiB");
	own.flags = 0;
	refused(no, "a size without the flag");
	own.has_page_size = 0;
	refused(no, "the flag without a size");
	own.kind = VMA_RECORD__KIND__DROPPABLE;
	refused(no, "droppable huge pages");
	shared.offset = 4096;
	refused(no, "an offset between huge pages");
	shared.offset = INT64_MAX & ~(SMALL - 1);
	refused(no, "an offset beyond all files");
	shmem.size++;
	refused(no, "shared memory of half a page");
	shmem.size = UINT64_MAX & ~(SMALL - 1);
	refused(no, "shared memory beyond all files");
	ghost.page_size = 4096;
	refused(no, "a file of small huge pages");
	shmem.has_page_size = 0;
	refused(size, "huge pages of ordinary shared memory");
	shmem.page_size = LARGE;
	shmem.size = LARGE;
	refused(size, "small huge pages of large ones");
	shared.has_page_size = 0;
	shared.flags = 0;
	refused(size, "ordinary pages of huge shared memory");
	file.has_ghost = 0;
	refused(size, "huge pages of an ordinary file");
	shared.object = 77;
	refused(size, "huge pages of nothing");
}

int main(void)
{
	test_counts();
	test_lies();
	return done_testing();
}
