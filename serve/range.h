/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The Range field (RFC 9110 14.1.2, 14.2).  Pure: bytes in, ranges out.
 */
#ifndef RIBERA_SERVE_RANGE_H
#define RIBERA_SERVE_RANGE_H

#include <stddef.h>
#include <stdint.h>

#define RANGE_MAX 32 /* specs in one field; a field with more is ignored (RFC 9110 14.2, 17.15) */
#define RANGE_GAP 80 /* parts closer than this are sent as one: a part's own header is larger */

struct range {
	uint64_t first, last; /* inclusive */
};

enum range_verdict {
	RANGE_IGNORE,        /* other unit, bad syntax, too many: answer as if there were none */
	RANGE_SOME,          /* at least one */
	RANGE_UNSATISFIABLE, /* 416 */
};

/* Ranges of a resource of `size` bytes, clipped to it, overlapping and near ones
 * made one, otherwise in the order asked for.  So their lengths never add up to
 * more than `size`. */
enum range_verdict range_parse(const char *field, size_t n, uint64_t size, struct range ret_ranges[static RANGE_MAX],
                               size_t *ret_n);

#endif
