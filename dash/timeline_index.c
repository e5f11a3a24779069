/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Segments of one file from its sidx (ISO/IEC 14496-12 8.16.3), which may point to
 * further ones, as a tree or as a chain; and looking segments up.  What is listed is
 * always in order of time: an entry's time is counted, not taken from the box it points to.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"
#include "dash/timeline_build.h"

#define MAX_ITEMS 200000
#define MAX_INDEXES 1024
#define MAX_BOX ((uint32_t)4 << 20)
#define LEAST 2048u              /* of a further sidx whose size is not known yet */
#define MOST ((uint64_t)1 << 20) /* in one request */

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

/* What one entry points at: media, or a further sidx that is still to be read. */
struct item {
	uint64_t byte, time;     /* in the file; in the index's timescale */
	uint32_t size, duration;
	uint32_t box;            /* bytes of the sidx there, once its size was seen; 0: not yet */
	bool to_index;
};

struct timeline_index {
	uint32_t timescale;
	unsigned n_read;
	struct item *items;
	size_t n;
};

struct timeline_index *timeline_index_new(void)
{
	return mem_new(sizeof(struct timeline_index));
}

void timeline_index_free(struct timeline_index **px)
{
	if (*px != NULL)
		free((*px)->items);
	free(*px);
	*px = NULL;
}

static size_t first_open(const struct timeline_index *x)
{
	size_t i = 0;

	while (i < x->n && !x->items[i].to_index)
		i++;
	return i;
}

static int check_sidx(const struct bmff_sidx *s, struct fault *f)
{
	wide bytes = (wide)s->anchor + s->first_offset, time = s->earliest_time;

	if (s->timescale == 0)
		return fault_set(f, ERR_SYNTAX, _("the sidx has timescale 0"));
	if (s->n_entries == 0)
		return fault_set(f, ERR_SYNTAX, _("the sidx has no entries"));
	for (size_t i = 0; i < s->n_entries; i++) {
		if (s->entries[i].size == 0)
			return fault_set(f, ERR_SYNTAX, _("entry %zu of the sidx is empty"), i);
		bytes += s->entries[i].size;
		time += s->entries[i].duration;
	}
	if (bytes > INT64_MAX || time > INT64_MAX / 2)
		return fault_set(f, ERR_SYNTAX, _("the sidx goes past 62 bits"));
	return 0;
}

/* A further sidx says what the entry that points to it said, in detail (8.16.3.3). */
static int check_further(const struct timeline_index *x, const struct item *at, const struct bmff_sidx *s, struct fault *f)
{
	wide time = 0;

	for (size_t i = 0; i < s->n_entries; i++)
		time += s->entries[i].duration;
	if (s->timescale != x->timescale)
		return fault_set(f, ERR_SYNTAX, _("the sidx at byte %" PRIu64 " has another timescale than the first"), at->byte);
	if (time != at->duration)
		return fault_set(f, ERR_SYNTAX, _("the sidx at byte %" PRIu64 " is not as long as the entry that points to it"), at->byte);
	return 0;
}

/* The entries of `s` take the place of items[at], or stand alone in an index that is empty. */
static int put_entries(struct timeline_index *x, size_t at, const struct bmff_sidx *s, struct fault *f)
{
	size_t gone = x->n > 0 ? 1 : 0, n = x->n - gone + s->n_entries;
	uint64_t byte = s->anchor + s->first_offset, time = gone != 0 ? x->items[at].time : s->earliest_time;
	struct item *v = n <= MAX_ITEMS ? mem_try(n, sizeof *v) : NULL;

	if (v == NULL)
		return fault_set(f, ERR_LIMIT, _("the index has more than %zu entries"), (size_t)MAX_ITEMS);
	if (x->n > 0) {
		memcpy(v, x->items, at * sizeof *v);
		memcpy(v + at + s->n_entries, x->items + at + gone, (x->n - at - gone) * sizeof *v);
	}
	for (size_t i = 0; i < s->n_entries; i++) {
		const struct bmff_sidx_entry *e = &s->entries[i];

		v[at + i] = (struct item){.byte = byte, .time = time, .size = e->size, .duration = e->duration, .to_index = e->to_index};
		byte += e->size;
		time += e->duration;
	}
	free(x->items);
	x->items = v;
	x->n = n;
	return 0;
}

static int read_one(struct timeline_index *x, size_t at, const uint8_t *bytes, size_t n, uint64_t offset, struct fault *f)
{
	struct bmff_sidx *s = NULL;
	int r = ++x->n_read <= MAX_INDEXES ? bmff_sidx_read(bytes, n, offset, &s) : ERR_LIMIT;

	if (r == ERR_LIMIT)
		return fault_set(f, r, _("the index is spread over more than %d boxes"), MAX_INDEXES);
	if (r < 0)
		return fault_set(f, r, _("its index at byte %" PRIu64 ": %s"), offset, words_error(r));
	r = check_sidx(s, f);
	if (r == 0 && x->n > 0)
		r = check_further(x, &x->items[at], s, f);
	else if (r == 0)
		x->timescale = s->timescale;
	if (r == 0)
		r = put_entries(x, at, s, f);
	bmff_sidx_free(&s);
	return r;
}

int timeline_index_read(struct timeline_index *x, const void *bytes, size_t n, uint64_t offset, struct fault *f)
{
	const uint8_t *p = bytes;
	int r = x->n == 0 ? read_one(x, 0, p, n, offset, f) : 0;

	for (size_t i = first_open(x); r == 0 && i < x->n; i = first_open(x)) {
		struct item *it = &x->items[i];
		uint64_t from = it->byte - offset; /* past n when it lies before */

		/* these bytes were asked for from here on: what is missing now will not come either */
		if (it->byte == offset && n < (it->box > 0 ? it->box : 8))
			return fault_set(f, ERR_SYNTAX, _("the file ends within the sidx at byte %" PRIu64), it->byte);
		if (it->byte < offset || from > n || n - from < 8)
			break;
		it->box = (uint32_t)p[from] << 24 | (uint32_t)p[from + 1] << 16 | (uint32_t)p[from + 2] << 8 | p[from + 3];
		if (it->box < 8 || it->box > it->size || it->box > MAX_BOX)
			return fault_set(f, ERR_SYNTAX, _("entry %zu of the sidx points to byte %" PRIu64 ", where no further sidx stands"), i, it->byte);
		if (n - from < it->box)
			break;
		r = read_one(x, i, p + from, it->box, it->byte, f);
	}
	return r;
}

bool timeline_index_wants(const struct timeline_index *x, struct mpd_range *ret)
{
	size_t i = first_open(x);
	struct mpd_range w;

	if (i == x->n)
		return false;
	w.first = x->items[i].byte;
	/* where all indexes stand in a row, in front of the media, a few requests bring them all */
	for (w.last = w.first - 1; i < x->n && x->items[i].to_index && x->items[i].byte == w.last + 1 && w.last - w.first + 1 < MOST; i++) {
		const struct item *it = &x->items[i];
		uint32_t n = it->box > 0 ? it->box : it->size < LEAST ? it->size : LEAST;

		w.last += n < it->size ? n : it->size;
	}
	*ret = w;
	return true;
}

int timeline_set_index(struct timeline_rendition *r, const struct timeline_index *x, struct fault *f)
{
	wide cut = r->period_duration >= 0 ? timeline_cut(r->period_duration, x->timescale) : INT64_MAX;
	int64_t pto;
	struct timeline_segment *v;
	size_t n = 0;

	if (x->n == 0 || first_open(x) < x->n)
		return fault_set(f, ERR_SYNTAX, _("the index is not complete"));
	if (rescale_pto(r, x->timescale, &pto) != 0)
		return fault_set(f, ERR_SYNTAX, _("@presentationTimeOffset does not fit the sidx"));
	if (!timeline_fits((wide)x->items[0].time - pto, x->timescale) ||
	    !timeline_fits((wide)x->items[x->n - 1].time + x->items[x->n - 1].duration - pto, x->timescale))
		return fault_set(f, ERR_SYNTAX, _("the sidx goes past 62 bits"));
	v = mem_try(x->n, sizeof *v);
	if (v == NULL)
		return fault_set(f, ERR_LIMIT, _("no memory for %zu entries of a sidx"), x->n);
	free(r->urls);
	r->urls = mem_dup("");
	for (size_t i = 0; i < x->n; i++) {
		const struct item *it = &x->items[i];
		int64_t start = (int64_t)it->time - pto;

		r->n_behind += start >= cut;
		if (start < cut && start + (int64_t)it->duration > 0)
			v[n++] = (struct timeline_segment){
				.start = start,
				.duration = it->duration,
				.number = i + 1,
				.sub_number = 1,
				.time = it->time,
				.url = r->urls,
				.has_range = true,
				.range = {it->byte, it->byte + it->size - 1},
			};
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

dur_us timeline_us(int64_t ticks, uint32_t timescale)
{
	wide us = (wide)ticks * DUR_S, half = timescale / 2;

	us = (us >= 0 ? us + half : us - half) / timescale;
	return us > MPD_MAX_TIME ? MPD_MAX_TIME : us < -MPD_MAX_TIME ? -MPD_MAX_TIME : (dur_us)us;
}

char *timeline_resolve(const struct timeline_rendition *r, size_t base, const char *reference)
{
	return base < r->n_bases ? timeline_lead_url(r->bases[base].url, reference) : NULL;
}
