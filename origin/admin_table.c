/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tables for people: columns as wide as their widest cell, counted in characters.  On terminals the head is bold, and
 * what a column STATE says is green, yellow or red.
 */
#include "origin/admin.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/colour.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"

struct admin_table {
	size_t n_columns, n, cap;
	size_t state; /* the column with that name, n_columns: none has it */
	char **cells; /* the heads first, row by row */
	bool *right;
};

struct admin_table *admin_table_new(const char *const *heads, size_t n_columns)
{
	struct admin_table *t = mem_new(sizeof *t);

	t->n_columns = t->state = n_columns;
	t->right = mem_new_array(n_columns, sizeof *t->right);
	for (size_t i = 0; i < n_columns; i++) {
		t->right[i] = heads[i][0] == '>';
		if (strcmp(heads[i], "STATE") == 0)
			t->state = i;
		admin_table_cell(t, "%s", _(heads[i]) + t->right[i]);
	}
	return t;
}

const char *admin_word(const char *word)
{
	static const char *const known[] = {
		N_("up"), N_("down"), N_("fill"), N_("keep"), N_("may go"),
		N_("old revision"), N_("banned"), N_("another edge of the site"), N_("no room"), N_("copy"), N_("room"), N_("ranked"), N_("new"), N_("pinned"),
		N_("queued"), N_("running"), N_("done"), N_("failed"),
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(known[i], word) == 0)
			return _(known[i]);
	return word;
}

void admin_table_cell(struct admin_table *t, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = mem_dup("?");
	va_end(ap);
	str_plain(text); /* names come from others: no control may reach the terminal */
	MEM_GROW(t->cells, t->cap, t->n);
	t->cells[t->n++] = text;
}

static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static size_t column_width(const struct admin_table *t, size_t column)
{
	size_t widest = 0;

	for (size_t i = column; i < t->n; i += t->n_columns) {
		size_t w = width_of(t->cells[i]);

		widest = w > widest ? w : widest;
	}
	return widest;
}

static const char *colour_of_state(const char *state)
{
	if (strcmp(state, "up") == 0 || strcmp(state, "done") == 0)
		return COLOUR_GOOD;
	if (strncmp(state, "down", 4) == 0 || strcmp(state, "failed") == 0)
		return COLOUR_BAD;
	return strncmp(state, "up,", 3) == 0 ? COLOUR_WARN : "";
}

static const char *colour_of_cell(const struct admin_table *t, size_t i)
{
	if (i < t->n_columns)
		return COLOUR_HEAD;
	return i % t->n_columns == t->state ? colour_of_state(t->cells[i]) : "";
}

static void print_cell(const struct admin_table *t, size_t i, size_t width, bool colours, FILE *out)
{
	const char *colour = colours ? colour_of_cell(t, i) : "";
	size_t column = i % t->n_columns;
	int pad = (int)(width - width_of(t->cells[i]));
	bool last = column == t->n_columns - 1;

	if (t->right[column])
		fprintf(out, "%*s", pad, "");
	fprintf(out, "%s%s%s", colour, t->cells[i], *colour != '\0' ? COLOUR_END : "");
	if (!t->right[column] && !last)
		fprintf(out, "%*s", pad, "");
	fputs(last ? "\n" : "  ", out);
}

void admin_percent_cell(struct admin_table *t, const json_t *share)
{
	if (json_is_number(share))
		admin_table_cell(t, "%.0f%%", 100 * json_number_value(share));
	else
		admin_table_cell(t, "-");
}

void admin_table_print(struct admin_table **pt, FILE *out)
{
	struct admin_table *t = *pt;
	size_t *widths = mem_new_array(t->n_columns, sizeof *widths);
	bool colours = colour_is_wanted(out);

	for (size_t i = 0; i < t->n_columns; i++)
		widths[i] = column_width(t, i);
	for (size_t i = 0; i < t->n; i++)
		print_cell(t, i, widths[i % t->n_columns], colours, out);
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(widths);
	free(t->cells);
	free(t->right);
	free(t);
	*pt = NULL;
}
