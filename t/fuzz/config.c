/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Settings in YAML: any text is taken in or refused with a reason, numbers stay in
 * their ranges, and what config_print_changes makes of the result is taken in to the same.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct settings {
	const char *listen, *path, *none;
	bool flag;
	uint64_t threads, bytes, rate;
	int64_t idle;
	struct config_list tags;
};

static const struct config_row rows[] = {
	{"listen", CONFIG_STRING, offsetof(struct settings, listen), "127.0.0.1:8080", 0, 0, "ADDR:PORT", "where viewers connect", false},
	{"log.path", CONFIG_PATH, offsetof(struct settings, path), NULL, 0, 0, "FILE", "where it writes", false},
	{"log.none", CONFIG_STRING, offsetof(struct settings, none), NULL, 0, 0, "TEXT", "a text that is not set", false},
	{"deep.er.flag", CONFIG_BOOL, offsetof(struct settings, flag), "no", 0, 0, NULL, "a flag", false},
	{"threads", CONFIG_UINT, offsetof(struct settings, threads), "2", 1, 64, "N", "threads", false},
	{"store.bytes", CONFIG_BYTES, offsetof(struct settings, bytes), "1GiB", 1, 0, "SIZE", "a size", false},
	{"store.rate", CONFIG_RATE, offsetof(struct settings, rate), "10MB", 0, 0, "RATE", "a rate", false},
	{"idle", CONFIG_DURATION, offsetof(struct settings, idle), "30s", 1000, 0, "TIME", "a time", false},
	{"tags", CONFIG_LIST, offsetof(struct settings, tags), NULL, 0, 0, "A,B", "a list", false},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static void check_ranges(const struct settings *s)
{
	MUST(s->threads >= 1 && s->threads <= 64 && s->bytes >= 1 && s->idle >= 1000);
	MUST(s->listen != NULL && strlen(s->listen) < SIZE_MAX);
	for (size_t i = 0; i < s->tags.n; i++)
		MUST(s->tags.items[i] != NULL && strlen(s->tags.items[i]) < SIZE_MAX);
}

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_same(const struct settings *a, const struct settings *b)
{
	MUST(same_text(a->listen, b->listen) && same_text(a->path, b->path) && same_text(a->none, b->none));
	MUST(a->flag == b->flag && a->threads == b->threads && a->bytes == b->bytes && a->rate == b->rate && a->idle == b->idle);
	MUST(a->tags.n == b->tags.n);
	for (size_t i = 0; i < a->tags.n; i++)
		MUST(strcmp(a->tags.items[i], b->tags.items[i]) == 0);
}

static void print_and_read(const struct settings *s)
{
	struct settings defaults = {0}, again = {0};
	struct config *d = config_new(rows, N_ROWS, &defaults), *c = config_new(rows, N_ROWS, &again);
	struct fault f = {0};
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	MUST(out != NULL);
	config_print_changes(rows, N_ROWS, s, &defaults, out);
	fclose(out);
	if (config_read_text(c, "again", text, n, &f) != 0)
		fprintf(stderr, "%s\n%s\n", fault_text(&f), text);
	MUST(f.code == 0);
	check_same(s, &again);
	free(text);
	config_free(&c);
	config_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct settings s = {0};
	struct config *c = config_new(rows, N_ROWS, &s);
	struct fault f = {0};
	int e = config_read_text(c, "fuzz", (const char *)data, n, &f);

	MUST((e == 0) == (f.code == 0) && (e == 0 || f.text[0] != '\0'));
	check_ranges(&s);
	if (e == 0)
		print_and_read(&s);
	config_free(&c);
	return 0;
}
