/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is saved of a job, what refused: the table that the worker works by. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "resource/resource.h"

#define NAME_WIDTH 20
#define KIND_WIDTH 8
#define TEXT_WIDTH (79 - NAME_WIDTH - KIND_WIDTH)

/* As many words as fit; returns what is left. */
static const char *print_line(const char *text)
{
	size_t len = strlen(text);

	if (len > TEXT_WIDTH) {
		len = TEXT_WIDTH;
		while (len && text[len] != ' ')
			len--;
	}
	printf("%.*s\n", (int)len, text);
	text += len;
	return text + strspn(text, " ");
}

static void print_kind(const char **name, const char *kind, const char *text)
{
	if (!text)
		return;
	while (*text) {
		printf("%-*s%-*s", NAME_WIDTH, *name, KIND_WIDTH, kind);
		text = print_line(text);
		*name = kind = "";
	}
}

static void print_table(void)
{
	for (size_t i = 0; resource_table[i]; i++) {
		const struct resource_ops *ops = resource_table[i];
		const char *name = ops->name;

		print_kind(&name, "saved", ops->saved);
		print_kind(&name, "refused", ops->refused);
		print_kind(&name, "changes", ops->changes);
	}
}

static void add_text(struct json_object *o, const char *key, const char *text)
{
	if (text)
		print_add_string(o, key, text);
}

static void print_list(void)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; resource_table[i]; i++) {
		const struct resource_ops *ops = resource_table[i];
		struct json_object *o;

		if (!ops->saved && !ops->refused)
			continue;
		o = json_object_new_object();
		print_add_string(o, "resource", ops->name);
		add_text(o, "saved", ops->saved);
		add_text(o, "refused", ops->refused);
		add_text(o, "changes", ops->changes);
		json_object_array_add(list, o);
	}
	print_json(list);
}

int cmd_features(const struct cli *cli, int argc, char **argv)
{
	(void)cli;
	if (argc == 1)
		print_table();
	else if (argc == 2 && strcmp(argv[1], "--json") == 0)
		print_list();
	else
		return cli_usage("features, or features --json");
	return STATUS_OK;
}
