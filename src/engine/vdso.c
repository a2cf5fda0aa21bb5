/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/vdso.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>

#include "kernel/maps.h"
#include "util/cleanup.h"

struct image {
	const uint8_t *data;
	size_t len;
};

static int find_image(struct image *ret, struct err *err)
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

int vdso_digest(uint8_t ret[DIGEST_BYTES], struct err *err)
{
	struct image image = { 0 };
	struct digest *d = NULL;
	int r;

	r = find_image(&image, err);
	if (r < 0)
		return r;
	r = digest_new(&d, err);
	if (r < 0)
		return err_wrap(err, r, "vDSO");
	digest_add(d, image.data, image.len);
	digest_end(d, ret);
	digest_free(d);
	return 0;
}

int vdso_layout(uint64_t *ret_len, uint64_t *ret_syscall, struct err *err)
{
	static const uint8_t insn[] = { 0x0f, 0x05 };
	struct image image = { 0 };
	const uint8_t *at;
	int r;

	r = find_image(&image, err);
	if (r < 0)
		return r;
	at = memmem(image.data, image.len, insn, sizeof(insn));
	if (!at)
		return err_set(err, -ENOTSUP, "no system call in the vDSO");
	*ret_len = image.len;
	*ret_syscall = (uint64_t)(at - image.data);
	return 0;
}
