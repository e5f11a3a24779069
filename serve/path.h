/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The request target: its path made plain, and its query.  Pure.
 *
 * We refuse what honest clients do not send instead of repairing it: a path
 * either names a resource in one way only or is an error.
 */
#ifndef RIBERA_SERVE_PATH_H
#define RIBERA_SERVE_PATH_H

#include <stddef.h>

#define PATH_MAX_TARGET 8192 /* bytes of path and query together; RFC 9110 4.1 wants at least 8000 */

struct path_target {
	const char *path, *query; /* views; the query is what follows '?', "" when there is none */
	const char *authority;    /* of the absolute-form, a view; NULL in the origin-form */
	size_t path_n, query_n, authority_n;
};

/* Splits origin-form and absolute-form (RFC 9112 3.2).  The path of an absolute-form that
 * has none is "/" (RFC 9110 4.2.3), which is no view.  ERR_SYNTAX for others and for a URI
 * without a host (RFC 9110 4.2.1), ERR_LIMIT when longer than PATH_MAX_TARGET. */
int path_split(const char *target, size_t n, struct path_target *ret);

/* Decodes the percent escapes of `path` into `out` (n + 1 bytes), NUL-terminated.
 * ERR_SYNTAX: not starting with '/', a broken escape, a control character, a
 * backslash, an encoded '/', an empty, "." or ".." segment, bytes that are not
 * UTF-8 (overlong forms included), raw bytes that no URI may hold. */
int path_decode(const char *path, size_t n, char *out, size_t *ret_n);

/* Finds the first parameter `name` of a query; a view of its raw value.  NULL: not there. */
const char *path_param(const char *query, size_t n, const char *name, size_t *ret_n);

/* Decodes a query value ('+' is a space) into `out` (n + 1 bytes).  ERR_SYNTAX: a
 * broken escape or a NUL. */
int path_decode_param(const char *value, size_t n, char *out, size_t *ret_n);

#endif
