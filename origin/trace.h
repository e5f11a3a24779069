/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Logs of requests, as placement is tried on them: CSV lines `second,item,bytes`
 * in order of time, item a whole number, bytes what the item takes on disk (the
 * first line that names an item counts).  A head line is passed over.
 */
#ifndef RIBERA_ORIGIN_TRACE_H
#define RIBERA_ORIGIN_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Whole numbers in any order made small and dense.  Zeroed: none yet. */
struct numbers {
	uint64_t *values; /* by small number */
	uint32_t *slots;  /* 1 + small number, 0: free */
	size_t n, cap, n_slots;
};
uint32_t numbers_get(struct numbers *, uint64_t value); /* known, or given the next one */
void numbers_fini(struct numbers *);

struct trace_request {
	int64_t second;
	uint32_t item;
};

struct trace {
	struct trace_request *requests;
	size_t n;
	uint64_t *bytes; /* by item */
	size_t n_items;
	uint64_t catalogue; /* bytes of all items */
};

/* ERR_SYNTAX (with the line), ERR_LIMIT (over 100 million requests or items), -errno. */
int trace_read(const char *path, struct trace **ret_trace, struct fault *);
void trace_free(struct trace **);

#endif
