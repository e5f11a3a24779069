/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Segments of one file from its sidx (ISO/IEC 14496-12 8.16.3), and looking
 * segments up.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "dash/timeline_build.h"

typedef timeline_wide wide;

/* The media's own timescale is exact; SegmentBase@timescale is often left out. */
static int rescale_pto(const struct timeline_rendition *r, uint32_t timescale, int64_t *ret_pto)
{
	wide pto = (wide)r->pto * timescale / (r->timescale > 0 ? r->timescale : 1);

	if (pto > INT64_MAX / 2 || pto < -(INT64_MAX / 2))
		return ERR_OUT_OF_RANGE;
	*ret_pto = (int64_t)pto;
	return 0;
}

static int check_index(const struct bmff_sidx *x, struct fault *f)
{
	wide bytes = (wide)x->anchor + x->first_offset, time = x->earliest_time;

	if (x->timescale == 0)
		return fault_set(f, ERR_SYNTAX, "the sidx has timescale 0");
	if (x->n_entries == 0)
		return fault_set(f, ERR_SYNTAX, "the sidx has no entries");
	for (size_t i = 0; i < x->n_entries; i++) {
		if (x->entries[i].to_index)
			return fault_set(f, ERR_UNSUPPORTED, "entry %zu of the sidx points to a further index", i);
		if (x->entries[i].size == 0)
			return fault_set(f, ERR_SYNTAX, "entry %zu of the sidx is empty", i);
		bytes += x->entries[i].size;
		time += x->entries[i].duration;
	}
	if (bytes > INT64_MAX || time > INT64_MAX / 2)
		return fault_set(f, ERR_SYNTAX, "the sidx goes past 62 bits");
	return 0;
}

int timeline_set_index(struct timeline_rendition *r, const struct bmff_sidx *x, struct fault *f)
{
	wide cut = r->period_duration >= 0 ? timeline_cut(r->period_duration, x->timescale) : INT64_MAX;
	uint64_t byte, time;
	int64_t pto;
	struct timeline_segment *v;
	size_t n = 0;
	int e = check_index(x, f);

	if (e != 0)
		return e;
	if (rescale_pto(r, x->timescale, &pto) != 0)
		return fault_set(f, ERR_SYNTAX, "@presentationTimeOffset does not fit the sidx");
	v = mem_try(x->n_entries, sizeof *v);
	if (v == NULL)
		return fault_set(f, ERR_LIMIT, "no memory for %zu entries of a sidx", x->n_entries);
	free(r->urls);
	r->urls = mem_dup("");
	byte = x->anchor + x->first_offset;
	time = x->earliest_time;
	for (size_t i = 0; i < x->n_entries; i++) {
		int64_t start = (int64_t)time - pto;
		bool wanted = start < cut && start + (int64_t)x->entries[i].duration > 0;

		if (wanted)
			v[n++] = (struct timeline_segment){
				.start = start,
				.duration = x->entries[i].duration,
				.number = i + 1,
				.sub_number = 1,
				.time = time,
				.url = r->urls,
				.has_range = true,
				.range = {byte, byte + x->entries[i].size - 1},
			};
		byte += x->entries[i].size;
		time += x->entries[i].duration;
	}
	free(r->segments);
	r->segments = v;
	r->n_segments = n;
	r->timescale = x->timescale;
	r->pto = pto;
	r->needs_index = false;
	return 0;
}

int timeline_find(const struct timeline_rendition *r, int64_t t)
{
	size_t low = 0, high = r->n_segments;

	if (high == 0)
		return -1;
	/* The first that ends behind t. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if ((wide)r->segments[mid].start + r->segments[mid].duration > t)
			high = mid;
		else
			low = mid + 1;
	}
	return (int)(low < r->n_segments ? low : r->n_segments - 1);
}

char *timeline_resolve(const struct timeline_rendition *r, size_t base, const char *reference)
{
	return base < r->n_bases ? timeline_join_url(r->bases[base].url, reference) : NULL;
}
