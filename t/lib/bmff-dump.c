/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bmff-dump FILE: what dash/bmff reads from a file, one fact a line, for tests:
 *   track ID HANDLER ENTRY CODECS timescale=N size=WxH channels=N rate=N shift=N samples=N
 *   sample ID TIME_US SIZE SYNC         presentation time after the edit list
 *   sidx TIMESCALE ENTRIES BYTES DURATION
 *   fault TEXT
 * Exit status 1 when a fault was printed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"
#include "dash/bmff.h"
#include "dash/bmff_fragment.h"
#include "dash/bmff_track.h"

#define FILE_LIMIT ((size_t)1 << 30)

static void print_track(const struct bmff_movie *m, const struct bmff_track *t)
{
	char handler[BMFF_TYPE_SIZE], entry[BMFF_TYPE_SIZE];

	bmff_type_text(t->handler, handler);
	bmff_type_text(t->entry, entry);
	printf("track %" PRIu32 " %s %s %s timescale=%" PRIu32 " size=%" PRIu32 "x%" PRIu32 " channels=%" PRIu32 " rate=%" PRIu32
	       " shift=%" PRId64 " samples=%" PRIu64 "\n",
	       t->id, handler, entry, t->codecs, t->timescale, t->width, t->height, t->channels, t->sample_rate,
	       bmff_track_shift(t, m->timescale), t->n_samples);
}

static int64_t to_us(int64_t t, uint32_t timescale)
{
	return (int64_t)((__int128)t * 1000000 / timescale);
}

static int print_fragments(const struct buf *b, const struct bmff_movie *m, const struct bmff_track *t)
{
	int64_t shift = bmff_track_shift(t, m->timescale);
	struct bmff_fragment *g;
	struct fault f = {0};
	size_t pos = 0;
	int r;

	while ((r = bmff_fragment_read(b->bytes, b->size, 0, &pos, m, t->id, &g, &f)) == 0) {
		for (size_t i = 0; i < g->n_samples; i++) {
			const struct bmff_sample *s = &g->samples[i];

			printf("sample %" PRIu32 " %" PRId64 " %" PRIu32 " %d\n", t->id,
			       to_us((int64_t)s->time + s->composition - shift, t->timescale), s->size, (s->flags & BMFF_FLAG_IS_NON_SYNC) == 0);
		}
		bmff_fragment_free(&g);
	}
	if (r != ERR_NOT_FOUND)
		printf("fault %s\n", fault_text(&f));
	return r != ERR_NOT_FOUND;
}

static void print_index(const struct buf *b)
{
	struct bmff_sidx *x;
	uint64_t bytes = 0, duration = 0;

	if (bmff_sidx_read(b->bytes, b->size, 0, &x) < 0)
		return;
	for (size_t i = 0; i < x->n_entries; i++) {
		bytes += x->entries[i].size;
		duration += x->entries[i].duration;
	}
	printf("sidx %" PRIu32 " %zu %" PRIu64 " %" PRIu64 "\n", x->timescale, x->n_entries, bytes, duration);
	bmff_sidx_free(&x);
}

static int dump(const struct buf *b)
{
	struct bmff_movie *m;
	struct fault f = {0};
	int bad = 0;

	if (bmff_movie_read(b->bytes, b->size, &m, &f) < 0) {
		printf("fault %s\n", fault_text(&f));
		return 1;
	}
	for (size_t i = 0; i < m->n_tracks; i++)
		print_track(m, &m->tracks[i]);
	for (size_t i = 0; i < m->n_tracks; i++)
		bad |= print_fragments(b, m, &m->tracks[i]);
	print_index(b);
	bmff_movie_free(&m);
	return bad;
}

int main(int argc, char **argv)
{
	struct buf b;
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: bmff-dump FILE\n");
		return 2;
	}
	buf_init(&b, FILE_LIMIT);
	r = file_read(argv[1], &b);
	if (r < 0) {
		fprintf(stderr, "bmff-dump: %s: %s\n", argv[1], err_text(r));
		return 2;
	}
	r = dump(&b);
	buf_fini(&b);
	return r;
}
