/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the parts of the judge hand to each other: the tracks as they were read
 * back from the disk.  For ingest/verify*.c alone.
 */
#ifndef RIBERA_INGEST_VERIFY_SEEN_H
#define RIBERA_INGEST_VERIFY_SEEN_H

#include <stdbool.h>

#include "base/buf.h"
#include "dash/bmff_fragment.h"
#include "ingest/verify.h"

#define VERIFY_VIDEO BMFF_TYPE('v', 'i', 'd', 'e')
#define VERIFY_AUDIO BMFF_TYPE('s', 'o', 'u', 'n')

struct cut { /* one segment */
	int64_t start;      /* as presented */
	uint64_t duration;
	uint64_t offset;    /* in the file */
	uint32_t size;      /* bytes */
	uint32_t n_samples;
};

struct seen { /* one track */
	char *name;
	int fd;
	uint64_t size;
	struct bmff_movie *movie;
	const struct bmff_track *track;
	int64_t shift;      /* presentation time = media time - this */
	uint32_t timescale, handler, unit; /* unit: longest sample */
	uint64_t samples;
	uint64_t header_end, index_end;
	struct cut *cuts;
	size_t n_cuts;
	unsigned n_described; /* by the MPD */
	struct fault fault;
};

struct seen_text { /* one file of subtitles */
	char *name;
	size_t n_cues;
	unsigned n_described; /* by the MPD */
};

struct verify {
	const char *folder;
	const struct verify_settings *settings;
	struct seen *tracks;
	size_t n_tracks, cap_tracks;
	struct seen_text *texts;
	size_t n_texts, cap_texts;
	struct verify_facts facts;
	struct fault *fault;
};

int verify_read_file(const struct verify *, const char *name, size_t max, struct buf *out);
bool verify_stopped(const struct verify *);
unsigned verify_threads(const struct verify *);
/* |a/a_scale - b/b_scale| <= most/most_scale, exactly */
bool verify_within(int64_t a, uint32_t a_scale, int64_t b, uint32_t b_scale, uint32_t most, uint32_t most_scale);
int64_t verify_end_of(const struct seen *);

/* `what` and the cure: "NAME: has no picture track; make the package again with ribera-ingest".  Returns `code`. */
int verify_wrong(struct fault *, int code, const char *what, ...) __attribute__((format(printf, 3, 4)));
/* "NAME: segment 3 (12.000 s): WHAT; CURE" into the track's own fault.  ERR_CORRUPT. */
int verify_bad(struct seen *, size_t segment, const char *what, ...) __attribute__((format(printf, 3, 4)));
/* The segment's bytes (`room` is used again and again) and its samples; 0 or the track's fault. */
int verify_segment_read(struct seen *, size_t segment, struct buf *room, struct bmff_fragment **ret_fragment);

/* verify_track.c: one track's boxes and bitstream.  The fault stands in the track. */
int verify_track(struct verify *, struct seen *);

/* verify_across.c: boundaries, lengths, offsets between the tracks */
int verify_across(struct verify *);

/* verify_tiles.c: sheets of thumbnails, which are Representations without BaseURL; the MPD's duration is right */
struct mpd;
int verify_tiles(struct verify *, const struct mpd *);

/* verify_manifest.c, verify_playlist.c */
int verify_manifest(struct verify *);
int verify_playlists(struct verify *);

/* verify_text.c, after verify_manifest() */
int verify_texts(struct verify *);

/* verify_decode.c: decodes what settings->level asks for */
int verify_decode(struct verify *);

#endif
