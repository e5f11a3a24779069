/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * JSON as text (RFC 8259).
 */
#include "origin/json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)256 << 20)

void json_text_init(struct json_text *t)
{
	buf_init(&t->out, TEXT_MAX);
	t->begun = false;
}

static void begin(struct json_text *t, const char *name)
{
	if (t->begun)
		buf_putc(&t->out, ',');
	t->begun = true;
	if (name == NULL)
		return;
	buf_putc(&t->out, '"');
	buf_puts(&t->out, name);
	buf_append(&t->out, "\":", 2);
}

void json_text_open(struct json_text *t, const char *name, char bracket)
{
	begin(t, name);
	buf_putc(&t->out, bracket);
	t->begun = false;
}

void json_text_close(struct json_text *t, char bracket)
{
	buf_putc(&t->out, bracket);
	t->begun = true;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

static void put_escaped(struct buf *b, unsigned char c)
{
	static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
	const char *at = c != '\0' ? strchr(from, c) : NULL;

	if (at != NULL)
		buf_printf(b, "\\%c", to[at - from]);
	else
		buf_printf(b, "\\u%04x", c);
}

void json_text_string_n(struct json_text *t, const char *name, const char *value, size_t n)
{
	size_t from = 0;

	begin(t, name);
	buf_putc(&t->out, '"');
	for (size_t i = 0; i < n; i++) {
		if (is_plain((unsigned char)value[i]))
			continue;
		buf_append(&t->out, value + from, i - from);
		put_escaped(&t->out, (unsigned char)value[i]);
		from = i + 1;
	}
	buf_append(&t->out, value + from, n - from);
	buf_putc(&t->out, '"');
}

void json_text_string(struct json_text *t, const char *name, const char *value)
{
	if (value != NULL)
		json_text_string_n(t, name, value, strlen(value));
	else
		json_text_null(t, name);
}

/* Its decimal digits, at least `least`. */
static void put_digits(struct buf *b, uint64_t value, int least)
{
	char digits[20];
	int n = 0;

	for (; value > 0 || n < least; value /= 10)
		digits[sizeof digits - (size_t)++n] = (char)('0' + value % 10);
	buf_append(b, digits + sizeof digits - (size_t)n, (size_t)n);
}

void json_text_integer(struct json_text *t, const char *name, int64_t value)
{
	begin(t, name);
	if (value < 0)
		buf_putc(&t->out, '-');
	put_digits(&t->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
}

void json_text_bool(struct json_text *t, const char *name, bool value)
{
	begin(t, name);
	buf_puts(&t->out, value ? "true" : "false");
}

void json_text_null(struct json_text *t, const char *name)
{
	begin(t, name);
	buf_append(&t->out, "null", 4);
}

void json_text_real(struct json_text *t, const char *name, double value)
{
	if (!isfinite(value)) {
		json_text_null(t, name);
		return;
	}
	begin(t, name);
	buf_printf(&t->out, "%.9g", value); /* LC_NUMERIC is never set */
}

void json_text_seconds(struct json_text *t, const char *name, dur_us value)
{
	uint64_t us = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	begin(t, name);
	if (value < 0)
		buf_putc(&t->out, '-');
	put_digits(&t->out, us / DUR_S, 1);
	buf_putc(&t->out, '.');
	put_digits(&t->out, us % DUR_S, 6);
}

void json_text_value(struct json_text *t, const char *name, const json_t *value)
{
	char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) : NULL;

	if (text == NULL) {
		json_text_null(t, name);
		return;
	}
	begin(t, name);
	buf_puts(&t->out, text);
	free(text);
}
