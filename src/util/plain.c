/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/plain.h"

#include <stdint.h>
#include <string.h>

/* What is no UTF-8 counts byte by byte. */
#define REPLACEMENT 0xfffdu

/* Length of the sequence that this byte begins; 0: none. */
static size_t sequence(uint8_t first)
{
	return first < 0x80   ? 1
	       : first < 0xc2 ? 0
	       : first < 0xe0 ? 2
	       : first < 0xf0 ? 3
	       : first < 0xf5 ? 4
			      : 0;
}

/* The character at text, and its length. */
static uint32_t character(const char *text, size_t len, size_t *ret_len)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t n = sequence(*p), i;
	uint32_t c = n == 1 ? *p : *p & (0xffu >> (n + 1));

	*ret_len = 1;
	if (!n || n > len)
		return REPLACEMENT;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return REPLACEMENT;
		c = c << 6 | (p[i] & 0x3f);
	}
	/* Longer than it need be, a surrogate, or beyond the last one. */
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) ||
	    (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return REPLACEMENT;
	*ret_len = n;
	return c;
}

/* What text begins with, and its length. */
static bool is_plain(const char *text, size_t len, size_t *ret_len)
{
	uint32_t c = character(text, len, ret_len);

	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	/* Lines and paragraphs, embeddings and overrides; isolates. */
	if ((c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return false;
	return c != REPLACEMENT || *ret_len > 1;
}

bool plain_is(const char *text, size_t len)
{
	size_t n;

	for (; len; text += n, len -= n)
		if (!is_plain(text, len, &n))
			return false;
	return true;
}

void plain_make(char *text, char with)
{
	size_t len = strlen(text), n;

	for (; len; text += n, len -= n)
		if (!is_plain(text, len, &n))
			memset(text, with, n);
}

/* Length of what may be written as it is; newlines, too, where they may. */
static size_t plain_run(const char *text, size_t len, bool lines)
{
	size_t at = 0, n;

	for (; at < len; at += n)
		if (!is_plain(text + at, len - at, &n) &&
		    !(lines && text[at] == '\n'))
			break;
	return at;
}

void plain_print(FILE *out, const char *text, size_t len)
{
	size_t at = 0, n;

	while (at < len) {
		n = plain_run(text + at, len - at, false);
		fwrite(text + at, 1, n, out);
		at += n;
		if (at == len)
			break;
		(void)character(text + at, len - at, &n);
		fputc('?', out);
		at += n;
	}
}

void plain_print_json(FILE *out, const char *json)
{
	size_t len = strlen(json), at = 0, n;

	while (at < len) {
		/* Newlines within strings are escaped already. */
		n = plain_run(json + at, len - at, true);
		fwrite(json + at, 1, n, out);
		at += n;
		if (at == len)
			break;
		fprintf(out, "\\u%04x", character(json + at, len - at, &n));
		at += n;
	}
	fputc('\n', out);
}
