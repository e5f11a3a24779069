/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * JSON written as text, for lists of a thousand rows: building each value in memory first costs ten times what
 * writing it does.  A value follows its name; commas are put where they belong.  Texts have to be UTF-8.
 */
#ifndef RIBERA_ORIGIN_JSON_TEXT_H
#define RIBERA_ORIGIN_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"

struct json_text {
	struct buf out;
	bool begun; /* something stands in front, in this object or list */
};

void json_text_init(struct json_text *);

/* `name` is NULL within a list, and is not escaped. */
void json_text_open(struct json_text *, const char *name, char bracket); /* '{' or '[' */
void json_text_close(struct json_text *, char bracket);
void json_text_string(struct json_text *, const char *name, const char *value); /* NULL: null */
void json_text_string_n(struct json_text *, const char *name, const char *value, size_t n);
void json_text_integer(struct json_text *, const char *name, int64_t value);
void json_text_bool(struct json_text *, const char *name, bool value);
void json_text_null(struct json_text *, const char *name);
void json_text_real(struct json_text *, const char *name, double value); /* nine digits; what is no number: null */
void json_text_seconds(struct json_text *, const char *name, dur_us value); /* to the microsecond */
void json_text_value(struct json_text *, const char *name, const json_t *value); /* NULL: null */

#endif
