/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ISO base media file format (ISO/IEC 14496-12) boxes as CMAF uses them: read
 * from bytes with every length checked, and written.  Bytes in, data out.
 *
 * Here are the walk over boxes and the segment index.  Beside it stand
 * bmff_track.h (moov), bmff_fragment.h (moof) and bmff_header.h (CMAF headers).
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

/* The first box of this type at the top level of `bytes`.  ERR_NOT_FOUND when
 * there is none, else as bmff_next for what stands before it. */
int bmff_find(const uint8_t *bytes, size_t n, uint32_t type, struct bmff_box *ret_box);

#define BMFF_TYPE_SIZE 5
/* "moov"; what is not printable becomes '?'. */
void bmff_type_text(uint32_t type, char ret_text[static BMFF_TYPE_SIZE]);

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
/* Appends the box: version 0, or 1 when a time or offset needs 64 bits.
 * `anchor` is not looked at.  ERR_LIMIT for more than 65535 entries,
 * ERR_OUT_OF_RANGE for a field that does not fit, or the buffer's error. */
int bmff_sidx_write(const struct bmff_sidx *, struct buf *out);
/* Bytes that bmff_sidx_write appends; `wide` for version 1. */
size_t bmff_sidx_size(size_t n_entries, bool wide);

#endif
