/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * JSON forms by table.
 */
#include "origin/form.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "serve/path.h"
#include "serve/serve.h"

#define URL_MAX 1024

int form_fail(struct form_error *e, const char *field, const char *fmt, ...)
{
	va_list ap;

	snprintf(e->field, sizeof e->field, "%s", field);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	str_drop_half(e->field); /* cut in a character they would be no JSON */
	str_drop_half(e->text);
	return ERR_SYNTAX;
}

/* For people: what the field has to be. */
static const char *expected(const struct form_row *row, char *text, size_t size)
{
	static const char *const texts[] = {
		[FORM_NAME] = "a name of 1 to 128 of a-z A-Z 0-9 . _ -",
		[FORM_TEXT] = "text without control characters",
		[FORM_PROSE] = "text without control characters but line ends and tabs",
		[FORM_URL] = "an absolute http or https URL without query, fragment and user",
		[FORM_SIZE] = "a whole number, not negative",
		[FORM_NUMBER] = "a number, not negative",
		[FORM_LIST] = "a list",
	};
	char least[40] = "", most[40] = "";

	if (row->min > 0)
		snprintf(least, sizeof least, ", at least %zu", row->min);
	if (row->max > 0)
		snprintf(most, sizeof most, ", at most %zu%s", row->max,
		         row->type == FORM_SIZE ? "" : row->type == FORM_LIST ? " items" : " bytes");
	snprintf(text, size, "%s%s%s", texts[row->type], least, most);
	return text;
}

static bool is_clean(const char *s, size_t n, size_t max, const char *allowed)
{
	if (s == NULL || n > max || strlen(s) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)s[i] < 0x20 && strchr(allowed, s[i]) == NULL) || s[i] == 0x7f)
			return false;
	return true;
}

bool form_is_text(const char *s, size_t n, size_t max)
{
	return is_clean(s, n, max, "");
}

static bool is_url(const char *s, size_t n)
{
	const char *host;

	if (!form_is_text(s, n, URL_MAX) || strpbrk(s, "?#@\"<>\\^`{|} ") != NULL)
		return false;
	if (str_starts(s, "http://"))
		host = s + 7;
	else if (str_starts(s, "https://"))
		host = s + 8;
	else
		return false;
	return *host != '\0' && *host != '/' && *host != ':';
}

static bool read_string(const struct form_row *row, const json_t *v, const char **ret_s)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	switch (row->type) {
	case FORM_NAME:
		if (s == NULL || !str_is_name(s, n))
			return false;
		break;
	case FORM_TEXT:
		if (!form_is_text(s, n, row->max) || n < row->min)
			return false;
		break;
	case FORM_PROSE:
		if (!is_clean(s, n, row->max, "\n\r\t") || n < row->min)
			return false;
		break;
	default:
		if (s == NULL || !is_url(s, n))
			return false;
		break;
	}
	*ret_s = s;
	return true;
}

static bool read_value(const struct form_row *row, const json_t *v, void *field)
{
	switch (row->type) {
	case FORM_SIZE:
		if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) < row->min ||
		    (row->max > 0 && (uint64_t)json_integer_value(v) > row->max))
			return false;
		*(uint64_t *)field = (uint64_t)json_integer_value(v);
		return true;
	case FORM_NUMBER:
		if (!json_is_number(v) || !isfinite(json_number_value(v)) || json_number_value(v) < 0)
			return false;
		*(double *)field = json_number_value(v);
		return true;
	case FORM_LIST:
		if (!json_is_array(v) || json_array_size(v) > row->max)
			return false;
		*(const json_t **)field = v;
		return true;
	default:
		return read_string(row, v, field);
	}
}

static const struct form_row *find_row(const struct form_row *rows, size_t n_rows, const char *name)
{
	for (size_t i = 0; i < n_rows; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

int form_read_object(const json_t *o, const char *where, const struct form_row *rows, size_t n_rows, void *out,
                     struct form_error *e)
{
	const char *dot = where[0] != '\0' ? "." : "", *key;
	char name[128], wanted[200];
	json_t *v;

	if (!json_is_object(o))
		return form_fail(e, where, "expected an object");
	json_object_foreach((json_t *)o, key, v) {
		snprintf(name, sizeof name, "%s%s%.40s", where, dot, key);
		if (find_row(rows, n_rows, key) == NULL)
			return form_fail(e, name, "unknown field");
	}
	for (size_t i = 0; i < n_rows; i++) {
		v = json_object_get(o, rows[i].name);
		snprintf(name, sizeof name, "%s%s%s", where, dot, rows[i].name);
		if (v == NULL && rows[i].required)
			return form_fail(e, name, "is missing: expected %s", expected(&rows[i], wanted, sizeof wanted));
		if (v != NULL && !read_value(&rows[i], v, (char *)out + rows[i].offset))
			return form_fail(e, name, "expected %s", expected(&rows[i], wanted, sizeof wanted));
	}
	return 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *d = c != '\0' ? strchr(digits, c | (c >= 'A' && c <= 'F' ? 0x20 : 0)) : NULL;

	return d != NULL ? (int)(d - digits) : -1;
}

/* The encoded text without its escapes; its length, or negative.  `out` has room for n bytes. */
static ssize_t unescape(const char *s, size_t n, char *out)
{
	size_t o = 0;

	for (size_t i = 0; i < n; i++) {
		int high, low;

		if (s[i] != '%') {
			out[o++] = s[i];
			continue;
		}
		high = i + 2 < n ? hex_digit(s[i + 1]) : -1;
		low = high >= 0 ? hex_digit(s[i + 2]) : -1;
		if (low < 0)
			return -1;
		out[o++] = (char)(high << 4 | low);
		i += 2;
	}
	return (ssize_t)o;
}

int form_check_query(const char *query, size_t n, struct form_error *e)
{
	char *plain = mem_new_array(n + 1, 1);
	int r = 0;

	for (size_t at = 0, size; r == 0 && at < n; at += size + 1) {
		const char *part = query + at, *end = memchr(part, '&', n - at), *is;
		char name[64];
		ssize_t length;
		json_t *text;

		size = end != NULL ? (size_t)(end - part) : n - at;
		length = unescape(part, size, plain);
		text = length >= 0 && memchr(plain, '\0', (size_t)length) == NULL ? json_stringn(plain, (size_t)length) : NULL;
		is = memchr(part, '=', size);
		snprintf(name, sizeof name, "%.*s", (int)(is != NULL ? is - part : (ssize_t)size), part);
		if (text == NULL)
			r = form_fail(e, name, "expected UTF-8 in percent-encoding, without NUL");
		json_decref(text);
	}
	free(plain);
	return r;
}

/* Is it one of the words? */
static bool is_among(const char *names, const char *name, size_t n)
{
	for (const char *p = names; p != NULL && *p != '\0'; p += strspn(p, " ")) {
		size_t size = strcspn(p, " ");

		if (size == n && memcmp(p, name, n) == 0)
			return true;
		p += size;
	}
	return false;
}

int form_check_names(const char *query, size_t n, const char *names, struct form_error *e)
{
	char name[64];

	for (size_t at = 0, size; at < n; at += size + 1) {
		const char *part = query + at, *end = memchr(part, '&', n - at), *is;
		size_t length, other;

		size = end != NULL ? (size_t)(end - part) : n - at;
		is = memchr(part, '=', size);
		length = is != NULL ? (size_t)(is - part) : size;
		snprintf(name, sizeof name, "%.*s", (int)length, part);
		if (size > 0 && !is_among(names, part, length))
			return names != NULL ? form_fail(e, name, "unknown parameter; there are: %s", names)
			                     : form_fail(e, name, "unknown parameter: there are none here");
		if (size > 0 && end != NULL && path_param(end + 1, n - at - size - 1, name, &other) != NULL)
			return form_fail(e, name, "is given twice");
	}
	return 0;
}

static int parse(const void *bytes, size_t n, json_t **ret_root, struct form_error *e)
{
	json_error_t je;
	json_t *root = json_loadb(n > 0 ? bytes : "", n, JSON_REJECT_DUPLICATES, &je);

	if (root == NULL)
		return form_fail(e, "", "line %d, column %d: %s", je.line, je.column, je.text);
	*ret_root = root;
	return 0;
}

int form_parse(const struct serve_request *req, json_t **ret_object, struct form_error *e)
{
	size_t n;
	const void *bytes = serve_body(req, &n);
	json_t *root;

	if (parse(bytes, n, &root, e) != 0)
		return ERR_SYNTAX;
	if (json_is_object(root)) {
		*ret_object = root;
		return 0;
	}
	json_decref(root);
	return form_fail(e, "", "expected an object");
}

int form_read(const void *bytes, size_t n, const struct form_row *rows, size_t n_rows, void *out, json_t **ret_root,
              struct form_error *e)
{
	json_t *root;
	int r = parse(bytes, n, &root, e);

	if (r != 0)
		return r;
	r = form_read_object(root, "", rows, n_rows, out, e);
	if (r != 0)
		json_decref(root);
	else
		*ret_root = root;
	return r;
}
