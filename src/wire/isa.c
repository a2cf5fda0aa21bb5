/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/isa.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What glibc chooses its functions by, above each level. */
#define ABOVE_4 "-RTM"
#define ABOVE_3                                                                \
	"-AVX512F,-AVX512CD,-AVX512BW,-AVX512DQ,-AVX512VL,-AVX512ER,"          \
	"-AVX512PF,-XSAVEC," ABOVE_4
#define ABOVE_2 "-AVX,-AVX2,-FMA,-FMA4,-BMI1,-BMI2,-LZCNT,-MOVBE,-F16C," ABOVE_3

#define HWCAPS "glibc.cpu.hwcaps="

int isa_parse(const char *text, uint32_t *ret)
{
	static const char prefix[] = "x86-64-v";
	const char *digit = text + sizeof(prefix) - 1;

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0 ||
	    *digit < '0' + ISA_LOWEST || *digit > '0' + ISA_HIGHEST || digit[1])
		return -EINVAL;
	*ret = (uint32_t)(*digit - '0');
	return 0;
}

/* Only the last of two settings of the same tunable would count. */
int isa_tunables(uint32_t level, const char *current, char ret[ISA_TEXT],
		 struct err *err)
{
	static const char *const masks[] = { ABOVE_2, ABOVE_3, ABOVE_4 };
	const char *mask = masks[level - ISA_LOWEST];
	const char *at = current ? strstr(current, HWCAPS) : NULL;
	int n;

	if (at && (at == current || at[-1] == ':')) {
		at += strlen(HWCAPS);
		n = snprintf(ret, ISA_TEXT, "%.*s%s%s%s", (int)(at - current),
			     current, mask, *at && *at != ':' ? "," : "", at);
	} else {
		n = snprintf(ret, ISA_TEXT, "%s%s%s%s", current ? current : "",
			     current && *current ? ":" : "", HWCAPS, mask);
	}
	return n < ISA_TEXT
		       ? 0
		       : err_set(err, -E2BIG, "%s is too long", ISA_VARIABLE);
}
