/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Conditional requests (RFC 9110 13).  Pure: fields and facts in, verdict out.
 */
#ifndef RIBERA_SERVE_CONDITION_H
#define RIBERA_SERVE_CONDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct condition_field {
	const char *text; /* NULL: not in the request */
	size_t n;
};

struct condition_fields {
	struct condition_field if_match, if_unmodified_since, if_none_match, if_modified_since;
};

enum condition {
	CONDITION_PASSED,
	CONDITION_NOT_MODIFIED, /* 304 */
	CONDITION_FAILED,       /* 412 */
};

/* For GET and HEAD of a resource that exists.  `etag` is strong and quoted, or
 * NULL; `modified` 0: unknown.  Dates that cannot be read are ignored (13.1.3). */
enum condition condition_judge(const struct condition_fields *, const char *etag, wall_us modified);

/* May a Range be honoured (13.1.5)?  `now` is what the reply's Date says. */
bool condition_if_range(const struct condition_field *, const char *etag, wall_us modified, wall_us now);

#endif
