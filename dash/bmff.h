/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ISO base media file format (ISO/IEC 14496-12) boxes as CMAF uses them: read
 * from bytes with every length checked, and written.  Bytes in, data out.
 */
#ifndef RIBERA_DASH_BMFF_H
#define RIBERA_DASH_BMFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf;

#define BMFF_TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* One box inside a byte string. */
struct bmff_box {
	uint32_t type;
	size_t start;   /* of the header */
	size_t payload; /* first byte behind the header (and the uuid) */
	size_t end;     /* one past the last byte */
};

/* The box at *pos, which moves behind it.  0; ERR_NOT_FOUND at the end;
 * ERR_TRUNCATED when its size goes past n; ERR_SYNTAX for an impossible size. */
int bmff_next(const uint8_t *bytes, size_t n, size_t *pos, struct bmff_box *ret_box);

/* 14496-12 8.16.3 */
struct bmff_sidx_entry {
	bool to_index;       /* points to another sidx */
	uint32_t size;       /* bytes */
	uint32_t duration;   /* timescale units */
	bool starts_with_sap;
	uint8_t sap_type;
	uint32_t sap_delta;
};
struct bmff_sidx {
	uint32_t reference_id, timescale;
	uint64_t earliest_time;
	uint64_t first_offset; /* from the end of the box to the first referenced byte */
	uint64_t anchor;       /* file offset of the first byte behind the box; set by the reader */
	struct bmff_sidx_entry *entries;
	size_t n_entries;
};

/* Finds and reads the first sidx in `bytes`, which stand at `offset` of their
 * file.  ERR_NOT_FOUND, ERR_TRUNCATED, ERR_SYNTAX. */
int bmff_sidx_read(const uint8_t *bytes, size_t n, uint64_t offset, struct bmff_sidx **ret_sidx);
void bmff_sidx_free(struct bmff_sidx **);
int bmff_sidx_write(const struct bmff_sidx *, struct buf *out);

#endif
