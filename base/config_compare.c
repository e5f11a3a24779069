/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What differs between two sets of settings: for a reload, which takes some of
 * them in and says which ones wait for a restart, and for writing a file.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"

#define TEXT 256

static void list_text(const struct config_list *l, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < l->n && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, "%s%s", i > 0 ? "," : "", l->items[i]);
}

static void value_text(const struct config_row *row, const void *field, char *text, size_t size)
{
	const char *s;
	uint64_t v;

	switch (row->type) {
	case CONFIG_STRING:
	case CONFIG_PATH:
		s = *(const char *const *)field;
		snprintf(text, size, "%s", s != NULL ? s : "(unset)");
		break;
	case CONFIG_BOOL:
		snprintf(text, size, "%s", *(const bool *)field ? "yes" : "no");
		break;
	case CONFIG_DURATION:
		v = (uint64_t) * (const dur_us *)field;
		if (v % (uint64_t)DUR_S == 0)
			snprintf(text, size, "%" PRIu64 "s", v / (uint64_t)DUR_S);
		else if (v % (uint64_t)DUR_MS == 0)
			snprintf(text, size, "%" PRIu64 "ms", v / (uint64_t)DUR_MS);
		else
			snprintf(text, size, "%" PRIu64 "us", v);
		break;
	case CONFIG_LIST:
	case CONFIG_EACH:
		list_text(field, text, size);
		break;
	default:
		snprintf(text, size, "%" PRIu64, *(const uint64_t *)field);
		break;
	}
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same(const struct config_row *row, const void *a, const void *b)
{
	const struct config_list *x = a, *y = b;

	switch (row->type) {
	case CONFIG_STRING:
	case CONFIG_PATH:
		return same_text(*(const char *const *)a, *(const char *const *)b);
	case CONFIG_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CONFIG_LIST:
	case CONFIG_EACH:
		for (size_t i = 0; x->n == y->n && i < x->n; i++)
			if (strcmp(x->items[i], y->items[i]) != 0)
				return false;
		return x->n == y->n;
	default:
		return *(const uint64_t *)a == *(const uint64_t *)b;
	}
}

static bool is_live(const char *const *live, const char *name)
{
	for (; *live != NULL; live++)
		if (strcmp(*live, name) == 0)
			return true;
	return false;
}

void config_log_changes(const char *where, const struct config_row *rows, size_t n_rows, const void *before, const void *after,
                        const char *const *live)
{
	char was[TEXT], is[TEXT];
	size_t n = 0;

	for (size_t i = 0; i < n_rows; i++) {
		const void *a = (const char *)before + rows[i].offset, *b = (const char *)after + rows[i].offset;

		if (same(&rows[i], a, b))
			continue;
		value_text(&rows[i], a, was, sizeof was);
		value_text(&rows[i], b, is, sizeof is);
		if (is_live(live, rows[i].name))
			log_info(where, "reload: %s is %s now, was %s", rows[i].name, is, was);
		else
			log_warn(where, "reload: %s stays %s: %s takes a restart (SIGUSR2 does it without refusing a connection)", rows[i].name,
			         was, is);
		n++;
	}
	if (n == 0)
		log_info(where, "reload: the settings have not changed");
}

/* What ends a line in YAML 1.1 (which libyaml reads), or may not stand in it at all, beyond ASCII: U+0080 to U+009F, the
 * separators of lines and paragraphs, the byte order mark and the two that are no characters.  Its bytes; 0: none of them. */
static size_t special(const uint8_t *s, unsigned *ret_code)
{
	if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f) {
		*ret_code = s[1];
		return 2;
	}
	if ((s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9)) || (s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf) ||
	    (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe)) {
		*ret_code = (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
		return 3;
	}
	return 0;
}

/* YAML 1.2 double-quoted: other bytes above 0x7f stand as they are. */
static void print_quoted(const char *text, FILE *out)
{
	fputc('"', out);
	for (const uint8_t *s = (const uint8_t *)text; *s != '\0';) {
		unsigned code;
		size_t n = special(s, &code);

		if (n > 0)
			fprintf(out, "\\u%04x", code);
		else if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\x%02x", *s);
		else
			fputc(*s, out);
		s += n > 0 ? n : 1;
	}
	fputc('"', out);
}

static void print_value(const struct config_row *row, const void *field, FILE *out)
{
	const struct config_list *l = field;
	char text[TEXT];

	switch (row->type) {
	case CONFIG_STRING:
	case CONFIG_PATH:
		print_quoted(*(const char *const *)field != NULL ? *(const char *const *)field : "", out);
		break;
	case CONFIG_LIST:
		fputc('[', out);
		for (size_t i = 0; i < l->n; i++) {
			fputs(i > 0 ? ", " : "", out);
			print_quoted(l->items[i], out);
		}
		fputc(']', out);
		break;
	default:
		value_text(row, field, text, sizeof text);
		fputs(text, out);
		break;
	}
}

void config_print_changes(const struct config_row *rows, size_t n_rows, const void *settings, const void *defaults, FILE *out)
{
	const char *group = "";
	size_t group_n = 0;

	for (size_t i = 0; i < n_rows; i++) {
		const struct config_row *row = &rows[i];
		const void *field = (const char *)settings + row->offset;
		const char *dot = strrchr(row->name, '.');
		size_t n = dot != NULL ? (size_t)(dot - row->name) : 0;

		if (same(row, field, (const char *)defaults + row->offset))
			continue;
		fputc('\n', out);
		if (n > 0 && (n != group_n || strncmp(group, row->name, n) != 0))
			fprintf(out, "%.*s:\n", (int)n, row->name);
		group = row->name;
		group_n = n;
		fprintf(out, "%s# %s\n%s%s: ", n > 0 ? "  " : "", row->help, n > 0 ? "  " : "", n > 0 ? dot + 1 : row->name);
		print_value(row, field, out);
		fputc('\n', out);
	}
}
