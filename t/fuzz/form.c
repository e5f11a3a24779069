/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bodies of the control API, and the parameters behind its paths: whatever is sent, a form that is taken holds
 * values of the form's types and bounds, and one that is not names the field and says why.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "origin/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct values {
	const char *name, *text, *prose, *url;
	uint64_t size;
	double number;
	json_t *list;
};

static const struct form_row rows[] = {
	{"name", FORM_NAME, true, offsetof(struct values, name), 0, 64},
	{"text", FORM_TEXT, false, offsetof(struct values, text), 1, 20},
	{"prose", FORM_PROSE, false, offsetof(struct values, prose), 0, 200},
	{"url", FORM_URL, false, offsetof(struct values, url), 0, 200},
	{"size", FORM_SIZE, false, offsetof(struct values, size), 2, 1000000},
	{"number", FORM_NUMBER, false, offsetof(struct values, number), 0, 0},
	{"list", FORM_LIST, false, offsetof(struct values, list), 0, 8},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static bool has_controls(const char *s, const char *but)
{
	for (; *s != '\0'; s++)
		if (((unsigned char)*s < 0x20 || *s == 0x7f) && strchr(but, *s) == NULL)
			return true;
	return false;
}

static void check(const struct values *v)
{
	MUST(v->name != NULL && str_is_name(v->name, strlen(v->name)));
	if (v->text != NULL)
		MUST(strlen(v->text) >= 1 && strlen(v->text) <= 20 && !has_controls(v->text, ""));
	if (v->prose != NULL)
		MUST(strlen(v->prose) <= 200 && !has_controls(v->prose, "\r\n\t"));
	if (v->url != NULL)
		MUST((strncmp(v->url, "http://", 7) == 0 || strncmp(v->url, "https://", 8) == 0) && strpbrk(v->url, "?#@ \"<>\\") == NULL && !has_controls(v->url, ""));
	MUST(v->size >= 2 && v->size <= 1000000 && isfinite(v->number) && v->number >= 0);
	MUST(v->list == NULL || (json_is_array(v->list) && json_array_size(v->list) <= 8));
}

static void check_query(const char *query, size_t n)
{
	static const char *const names[] = {NULL, "limit after", "limit"};
	struct form_error error = {"", ""};

	if (form_check_query(query, n, &error) != 0)
		MUST(error.text[0] != '\0' && strlen(error.field) < sizeof error.field);
	for (int i = 0; i < 3; i++) {
		error = (struct form_error){"", ""};
		if (form_check_names(query, n, names[i], &error) != 0)
			MUST(error.text[0] != '\0' && strlen(error.field) < sizeof error.field);
		else
			MUST(i > 0 || n == 0 || strspn(query, "&") >= n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct values v = {.size = 2}, item;
	struct form_error error = {"", ""};
	json_t *root = NULL;
	char *query = mem_dup_n((const char *)data, n);
	size_t i;
	json_t *one;

	check_query(query, n);
	free(query);
	if (form_read(data, n, rows, N_ROWS, &v, &root, &error) != 0) {
		MUST(error.text[0] != '\0' && strlen(error.field) < sizeof error.field);
		return 0;
	}
	check(&v);
	json_array_foreach(v.list, i, one)
	{
		item = (struct values){.size = 2};
		if (form_read_object(one, "list", rows, N_ROWS, &item, &error) == 0)
			check(&item);
		else
			MUST(error.text[0] != '\0');
	}
	json_decref(root);
	return 0;
}
