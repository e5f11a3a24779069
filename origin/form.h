/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Strict reading of JSON bodies: a form is a table, one row a field.  Unknown,
 * missing, doubled and mistyped fields are errors that name the field.
 */
#ifndef RIBERA_ORIGIN_FORM_H
#define RIBERA_ORIGIN_FORM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum form_type {
	FORM_NAME,   /* const char *: a str_is_name */
	FORM_TEXT,   /* const char *: `min` to `max` bytes, no control characters */
	FORM_PROSE,  /* const char *: the same, with line ends and tabs */
	FORM_URL,    /* const char *: absolute http or https, no query, fragment or user */
	FORM_SIZE,   /* uint64_t: 0 to 2^63-1, at least `min`, at most `max` (0: any) */
	FORM_NUMBER, /* double: finite, not negative */
	FORM_LIST,   /* json_t *: an array of at most `max` */
};

struct form_row {
	const char *name;
	enum form_type type;
	bool required;
	size_t offset; /* of the field in the struct; untouched when absent */
	size_t min, max;
};

struct form_error {
	char field[64]; /* "" when the body as a whole is wrong */
	char text[256];
};

/* Reads an object into `out`.  The values live as long as *ret_root (json_decref).
 * ERR_SYNTAX. */
int form_read(const void *bytes, size_t n, const struct form_row *, size_t n_rows, void *out, json_t **ret_root,
              struct form_error *);

/* The same for an object inside a body; `where` ("filling[3]") stands before the field's name. */
int form_read_object(const json_t *, const char *where, const struct form_row *, size_t n_rows, void *out,
                     struct form_error *);

/* The request's body as an object; one reference.  ERR_SYNTAX. */
struct serve_request;
int form_parse(const struct serve_request *, json_t **ret_object, struct form_error *);

/* At most `max` bytes, no NUL, no control characters? */
bool form_is_text(const char *, size_t n, size_t max);

/* Is each parameter of the query (its value, percent-encoded) UTF-8 without NUL?  Names the first that is not.  ERR_SYNTAX. */
int form_check_query(const char *query, size_t n, struct form_error *);
/* Are all its parameters among `names` ("limit after"; NULL: none), and each there once? */
int form_check_names(const char *query, size_t n, const char *names, struct form_error *);

/* Fills the error and returns ERR_SYNTAX; what is too long is cut between characters. */
int form_fail(struct form_error *, const char *field, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
