/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/kinds.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "images/record.h"
#include "images/tags.h"
#include "util/cleanup.h"

#define SUFFIX     "Record"
#define LINE_WIDTH 78

static size_t short_len(const char *name)
{
	return strlen(name) - strlen(SUFFIX);
}

/* The next letter of a name that counts; 0 at its end. */
static int letter(const char *text, size_t len, size_t *at)
{
	while (*at < len && (text[*at] == '_' || text[*at] == '-'))
		++*at;
	return *at < len ? tolower((unsigned char)text[(*at)++]) : 0;
}

static bool same(const char *text, size_t len, const char *name,
		 size_t name_len)
{
	size_t a = 0, b = 0;
	int c;

	do {
		c = letter(text, len, &a);
		if (c != letter(name, name_len, &b))
			return false;
	} while (c);
	return true;
}

/* The manifest is shown anyway, and it and its seal are in no part. */
static bool is_shown(uint32_t tag)
{
	return tag != TAG_MANIFEST && tag != TAG_SEAL;
}

static uint32_t find(const char *text, size_t len)
{
	uint32_t tag;

	for (size_t i = 0; (tag = img_tag_at(i)) != 0; i++) {
		const char *name = img_tag_name(tag);

		if (is_shown(tag) && (same(text, len, name, strlen(name)) ||
				      same(text, len, name, short_len(name))))
			return tag;
	}
	return 0;
}

bool show_kinds_has(const struct show_kinds *kinds, uint32_t tag)
{
	for (size_t i = 0; i < kinds->count; i++)
		if (kinds->tags[i] == tag)
			return true;
	return !kinds->count;
}

int show_kinds_parse(const char *list, struct show_kinds *ret, struct err *err)
{
	struct show_kinds kinds = { .count = 0 };

	if (strcasecmp(list, "all") == 0) {
		*ret = kinds;
		return 0;
	}
	for (;;) {
		size_t len = strcspn(list, ",");
		uint32_t tag = find(list, len);

		if (!tag)
			return err_set(err, -EINVAL,
				       "\"%.*s\": there is no such kind of "
				       "record",
				       (int)len, list);
		/* Said twice it is still one. */
		if (!kinds.count || (!show_kinds_has(&kinds, tag) &&
				     kinds.count < SHOW_KINDS_MAX))
			kinds.tags[kinds.count++] = tag;
		if (!list[len])
			break;
		list += len + 1;
	}
	*ret = kinds;
	return 0;
}

void show_kinds_print(FILE *out)
{
	size_t column = 0;
	uint32_t tag;

	for (size_t i = 0; (tag = img_tag_at(i)) != 0; i++) {
		const char *name = img_tag_name(tag);
		size_t len = short_len(name);

		if (!is_shown(tag))
			continue;
		if (column + len + 1 > LINE_WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		if (!column) {
			fputc(' ', out);
			column = 1;
		}
		fprintf(out, " %.*s", (int)len, name);
		column += len + 1;
	}
	fputc('\n', out);
}
