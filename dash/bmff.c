/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Boxes one after the other, and the segment index.  Invariant: no offset that
 * leaves bmff_next points outside the bytes given.
 */
#include "dash/bmff.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "dash/bmff_in.h"

#define TYPE_SIDX BMFF_TYPE('s', 'i', 'd', 'x')
#define TYPE_UUID BMFF_TYPE('u', 'u', 'i', 'd')

/* 14496-12 4.2 */
int bmff_next(const uint8_t *bytes, size_t n, size_t *pos, struct bmff_box *ret_box)
{
	struct bmff_in in = {.p = bytes, .n = n, .pos = *pos};
	struct bmff_box box = {.start = *pos};
	uint64_t size;

	if (*pos >= n)
		return ERR_NOT_FOUND;
	size = bmff_in_u32(&in);
	box.type = bmff_in_u32(&in);
	if (size == 1)
		size = bmff_in_u64(&in);
	else if (size == 0) /* to the end of the file */
		size = n - *pos;
	if (box.type == TYPE_UUID)
		bmff_in_skip(&in, 16);
	if (in.bad)
		return ERR_TRUNCATED;
	if (size < in.pos - box.start)
		return ERR_SYNTAX;
	if (size > n - box.start)
		return ERR_TRUNCATED;
	box.payload = in.pos;
	box.end = box.start + (size_t)size;
	*pos = box.end;
	*ret_box = box;
	return 0;
}

int bmff_find(const uint8_t *bytes, size_t n, uint32_t type, struct bmff_box *ret_box)
{
	struct bmff_box box;
	size_t pos = 0;
	int r;

	while ((r = bmff_next(bytes, n, &pos, &box)) == 0) {
		if (box.type == type) {
			*ret_box = box;
			return 0;
		}
	}
	return r;
}

void bmff_type_text(uint32_t type, char ret_text[static BMFF_TYPE_SIZE])
{
	for (unsigned i = 0; i < 4; i++) {
		char c = (char)(type >> (24 - 8 * i));

		ret_text[i] = c >= ' ' && c <= '~' ? c : '?';
	}
	ret_text[4] = '\0';
}

static void read_entries(struct bmff_in *in, struct bmff_sidx *sidx)
{
	for (size_t i = 0; i < sidx->n_entries; i++) {
		struct bmff_sidx_entry *e = &sidx->entries[i];
		uint32_t v = bmff_in_u32(in);

		e->to_index = v >> 31;
		e->size = v & 0x7fffffff;
		e->duration = bmff_in_u32(in);
		v = bmff_in_u32(in);
		e->starts_with_sap = v >> 31;
		e->sap_type = v >> 28 & 7;
		e->sap_delta = v & 0xfffffff;
	}
}

/* 14496-12 8.16.3.2 */
static int read_sidx(struct bmff_in in, struct bmff_sidx **ret_sidx)
{
	struct bmff_sidx *sidx = mem_new(sizeof *sidx);
	uint32_t flags;
	uint8_t version = bmff_in_full(&in, &flags);
	unsigned wide = version == 0 ? 4 : 8;
	int r = ERR_TRUNCATED;

	sidx->reference_id = bmff_in_u32(&in);
	sidx->timescale = bmff_in_u32(&in);
	sidx->earliest_time = bmff_in_be(&in, wide);
	sidx->first_offset = bmff_in_be(&in, wide);
	bmff_in_skip(&in, 2);
	sidx->n_entries = bmff_in_u16(&in);
	if (!bmff_in_need(&in, (uint64_t)sidx->n_entries * 12))
		goto out;
	r = ERR_SYNTAX;
	if (version > 1 || sidx->timescale == 0)
		goto out;
	sidx->entries = mem_new_array(sidx->n_entries + 1, sizeof *sidx->entries);
	read_entries(&in, sidx);
	*ret_sidx = sidx;
	return 0;
out:
	bmff_sidx_free(&sidx);
	return r;
}

int bmff_sidx_read(const uint8_t *bytes, size_t n, uint64_t offset, struct bmff_sidx **ret_sidx)
{
	struct bmff_box box = {0};
	struct bmff_sidx *sidx;
	int r = bmff_find(bytes, n, TYPE_SIDX, &box);

	if (r < 0)
		return r;
	if (offset > UINT64_MAX - box.end)
		return ERR_SYNTAX;
	r = read_sidx(bmff_in_box(bytes, &box), &sidx);
	if (r < 0)
		return r;
	sidx->anchor = offset + box.end;
	*ret_sidx = sidx;
	return 0;
}

void bmff_sidx_free(struct bmff_sidx **psidx)
{
	if (*psidx == NULL)
		return;
	free((*psidx)->entries);
	free(*psidx);
	*psidx = NULL;
}

static bool is_wide(const struct bmff_sidx *sidx)
{
	return sidx->earliest_time > UINT32_MAX || sidx->first_offset > UINT32_MAX;
}

size_t bmff_sidx_size(size_t n_entries, bool wide)
{
	return 12 + 8 + (wide ? 16 : 8) + 4 + 12 * n_entries;
}

static int check_entries(const struct bmff_sidx *sidx)
{
	if (sidx->n_entries > UINT16_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < sidx->n_entries; i++) {
		const struct bmff_sidx_entry *e = &sidx->entries[i];

		if (e->size > 0x7fffffff || e->sap_type > 7 || e->sap_delta > 0xfffffff)
			return ERR_OUT_OF_RANGE;
	}
	return 0;
}

int bmff_sidx_write(const struct bmff_sidx *sidx, struct buf *out)
{
	bool wide = is_wide(sidx);
	int r = check_entries(sidx);

	if (r < 0)
		return r;
	buf_be(out, bmff_sidx_size(sidx->n_entries, wide), 4);
	buf_be(out, TYPE_SIDX, 4);
	buf_be(out, wide ? 0x01000000 : 0, 4);
	buf_be(out, sidx->reference_id, 4);
	buf_be(out, sidx->timescale, 4);
	buf_be(out, sidx->earliest_time, wide ? 8 : 4);
	buf_be(out, sidx->first_offset, wide ? 8 : 4);
	buf_be(out, sidx->n_entries, 4); /* 16 reserved bits and the count */
	for (size_t i = 0; i < sidx->n_entries; i++) {
		const struct bmff_sidx_entry *e = &sidx->entries[i];

		buf_be(out, (uint64_t)e->to_index << 31 | e->size, 4);
		buf_be(out, e->duration, 4);
		buf_be(out, (uint64_t)e->starts_with_sap << 31 | (uint64_t)e->sap_type << 28 | e->sap_delta, 4);
	}
	return buf_error(out);
}
