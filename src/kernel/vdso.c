/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/vdso.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>

#include "kernel/maps.h"
#include "util/cleanup.h"

/* It stays where it is, and is asked for once for each process of a job. */
static struct {
	struct vdso_image image;
	struct err err;
	int result;
} own;
static pthread_once_t own_once = PTHREAD_ONCE_INIT;

static int find_own(struct vdso_image *ret, struct err *err)
{
	auto_close int proc = open("/proc/self", O_DIRECTORY | O_CLOEXEC);
	uint64_t base = getauxval(AT_SYSINFO_EHDR);
	struct vma_list maps = { 0 };
	const struct vma *vma;
	int r;

	if (proc < 0)
		return err_sys(err, "vDSO: /proc/self");
	r = maps_read_fast(proc, &maps, err);
	if (r < 0)
		return err_wrap(err, r, "vDSO");
	vma = base ? maps_find(&maps, base) : NULL;
	if (vma && vma->start == base && strcmp(vma->path, "[vdso]") == 0) {
		ret->data = (const uint8_t *)(uintptr_t)base;
		ret->len = vma->end - vma->start;
	} else {
		r = err_set(err, -ENOTSUP, "this kernel maps no vDSO");
	}
	maps_done(&maps);
	return r;
}

static void find_once(void)
{
	own.result = find_own(&own.image, &own.err);
}

int vdso_own(struct vdso_image *ret, struct err *err)
{
	(void)pthread_once(&own_once, find_once);
	if (own.result < 0)
		*err = own.err;
	else
		*ret = own.image;
	return own.result;
}

/* Where its dynamic section says that things are: offsets in the image. */
struct tables {
	uint64_t bias; /* an address minus this is an offset */
	uint64_t symbols, strings, strings_len, hash;
};

static bool inside(const struct vdso_image *image, uint64_t at, uint64_t len)
{
	return at <= image->len && len <= image->len - at;
}

static bool copy_out(const struct vdso_image *image, uint64_t at, void *ret,
		     size_t len)
{
	if (!inside(image, at, len))
		return false;
	memcpy(ret, image->data + at, len);
	return true;
}

static bool read_dynamic(const struct vdso_image *image, uint64_t at,
			 uint64_t len, struct tables *t)
{
	Elf64_Dyn d;

	for (uint64_t i = 0; i < len / sizeof(d); i++) {
		if (!copy_out(image, at + i * sizeof(d), &d, sizeof(d)))
			return false;
		switch (d.d_tag) {
		case DT_NULL:
			return true;
		case DT_SYMTAB:
			t->symbols = d.d_un.d_ptr - t->bias;
			break;
		case DT_STRTAB:
			t->strings = d.d_un.d_ptr - t->bias;
			break;
		case DT_STRSZ:
			t->strings_len = d.d_un.d_val;
			break;
		case DT_HASH:
			t->hash = d.d_un.d_ptr - t->bias;
			break;
		default:
			break;
		}
	}
	return true;
}

static bool find_tables(const struct vdso_image *image, struct tables *t)
{
	uint64_t dynamic = 0, dynamic_len = 0;
	bool loaded = false;
	Elf64_Ehdr head;
	Elf64_Phdr p;

	if (!copy_out(image, 0, &head, sizeof(head)) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_machine != EM_X86_64 || head.e_phentsize != sizeof(p))
		return false;
	for (unsigned int i = 0; i < head.e_phnum; i++) {
		if (!copy_out(image, head.e_phoff + i * sizeof(p), &p,
			      sizeof(p)))
			return false;
		if (p.p_type == PT_LOAD && !loaded) {
			t->bias = p.p_vaddr - p.p_offset;
			loaded = true;
		} else if (p.p_type == PT_DYNAMIC) {
			dynamic = p.p_offset;
			dynamic_len = p.p_filesz;
		}
	}
	return loaded && dynamic &&
	       read_dynamic(image, dynamic, dynamic_len, t) && t->symbols &&
	       inside(image, t->strings, t->strings_len);
}

/* Where no table tells it, names follow symbols. */
static uint64_t count_symbols(const struct vdso_image *image,
			      const struct tables *t)
{
	uint32_t counts[2];

	if (t->hash && copy_out(image, t->hash, counts, sizeof(counts)))
		return counts[1];
	return t->strings > t->symbols
		       ? (t->strings - t->symbols) / sizeof(Elf64_Sym)
		       : 0;
}

static bool read_name(const struct vdso_image *image, const struct tables *t,
		      uint32_t at, char *ret, size_t room)
{
	static const char prefix[] = "__vdso_";
	const char *name = (const char *)image->data + t->strings + at;
	size_t len;

	if (at >= t->strings_len)
		return false;
	len = strnlen(name, t->strings_len - at);
	if (len == t->strings_len - at)
		return false;
	if (strncmp(name, prefix, sizeof(prefix) - 1) == 0) {
		name += sizeof(prefix) - 1;
		len -= sizeof(prefix) - 1;
	}
	if (len == 0 || len >= room)
		return false;
	memcpy(ret, name, len + 1);
	return true;
}

/* false: that is no function of an image. */
static bool read_function(const struct vdso_image *image,
			  const struct tables *t, const Elf64_Sym *sym,
			  struct vdso_function *ret)
{
	uint64_t offset = sym->st_value - t->bias;

	if (!inside(image, offset, sym->st_size))
		return false;
	ret->offset = (uint32_t)offset;
	ret->room = (uint32_t)sym->st_size;
	return read_name(image, t, sym->st_name, ret->name, sizeof(ret->name));
}

/* clock_gettime and __vdso_clock_gettime are one. */
static bool is_known(const struct vdso_function *list, size_t n,
		     const struct vdso_function *f)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].offset == f->offset &&
		    strcmp(list[i].name, f->name) == 0)
			return true;
	return false;
}

/* None reaches into the next one. */
static void limit_rooms(struct vdso_function *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			if (list[k].offset > list[i].offset &&
			    list[k].offset - list[i].offset < list[i].room)
				list[i].room = list[k].offset - list[i].offset;
}

static int no_vdso(struct err *err)
{
	return err_set(err, -EBADMSG, "this is no vDSO");
}

int vdso_functions(const struct vdso_image *image,
		   struct vdso_function ret[VDSO_FUNCTIONS], size_t *ret_count,
		   struct err *err)
{
	struct tables t = { 0 };
	struct vdso_function f;
	uint64_t count;
	size_t n = 0;
	Elf64_Sym sym;

	if (!find_tables(image, &t))
		return no_vdso(err);
	count = count_symbols(image, &t);
	for (uint64_t i = 0; i < count; i++) {
		if (!copy_out(image, t.symbols + i * sizeof(sym), &sym,
			      sizeof(sym)))
			return no_vdso(err);
		if (ELF64_ST_TYPE(sym.st_info) != STT_FUNC || !sym.st_value)
			continue;
		if (!read_function(image, &t, &sym, &f) || n == VDSO_FUNCTIONS)
			return no_vdso(err);
		if (!is_known(ret, n, &f))
			ret[n++] = f;
	}
	limit_rooms(ret, n);
	*ret_count = n;
	return 0;
}

/* What the function tells when it is called with no more than this. */
struct random_params {
	uint32_t size, prot, flags, reserved[13];
};
typedef long (*random_fn)(void *buf, size_t len, unsigned int flags,
			  void *state, size_t state_len);

uint32_t vdso_random_size(void)
{
	struct vdso_function list[VDSO_FUNCTIONS];
	struct random_params params = { 0 };
	struct vdso_image image;
	struct err ignored;
	random_fn function;
	size_t n;

	if (vdso_own(&image, &ignored) < 0 ||
	    vdso_functions(&image, list, &n, &ignored) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].name, "getrandom") != 0)
			continue;
		function = (random_fn)(uintptr_t)(image.data + list[i].offset);
		return function(NULL, 0, 0, &params, SIZE_MAX) == 0
			       ? params.size
			       : 0;
	}
	return 0;
}
