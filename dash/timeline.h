/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From an MPD to what a player asks for: periods, tracks, renditions and their
 * segments with exact times (ISO/IEC 23009-1 5.3.9, A.3).  Pure.
 *
 * Time: Period time, in the rendition's timescale, as a signed integer:
 *   Period time = presentation time in the track (after its edit list) - PTO
 */
#ifndef RIBERA_DASH_TIMELINE_H
#define RIBERA_DASH_TIMELINE_H

#include "dash/bmff.h"
#include "dash/mpd.h"

struct timeline_segment {
	int64_t start;           /* Period time, timescale units */
	uint64_t duration;       /* timescale units */
	uint64_t number;         /* $Number$ */
	uint64_t sub_number;     /* $SubNumber$: 1 unless the segment is one of a sequence (S@k) */
	uint64_t time;           /* $Time$ */
	char *url;               /* reference to resolve against a base; "" is the base itself */
	bool has_range;
	struct mpd_range range;
};

/* One absolute base of a rendition, in the MPD's order of preference. */
struct timeline_base {
	char *url;
	char *service_location;  /* or NULL */
};

enum timeline_kind { TIMELINE_VIDEO, TIMELINE_AUDIO, TIMELINE_TEXT, TIMELINE_IMAGE, TIMELINE_OTHER };

struct timeline_rendition {
	const struct mpd_representation *representation; /* into the mpd */
	const struct mpd_set *set;
	char *mime_type, *codecs; /* inherited */
	uint64_t bandwidth;
	uint32_t width, height, audio_sampling_rate, channels;
	struct mpd_ratio frame_rate, sar;
	struct timeline_base *bases;
	size_t n_bases;
	uint32_t timescale;
	int64_t pto;
	char *init_url;          /* reference; NULL: no initialisation segment */
	bool init_has_range;
	struct mpd_range init_range;
	/* One file with an index: segments are unknown until timeline_set_index.
	 * index_range says where the sidx is.  Without it the sidx is to be looked for
	 * at the start of the file; until then, or when there is none, the one segment
	 * is the whole file. */
	bool needs_index;
	bool has_index_range;
	struct mpd_range index_range;
	char *index_url;         /* reference; "" is the base itself */
	struct timeline_segment *segments;
	size_t n_segments;
	size_t n_partial;        /* the last so many are there in part: they are still being made
	                          * (availabilityTimeComplete="false", 5.3.9.5.3) */
	size_t n_behind;         /* segments listed behind the Period's end: they are not played (5.3.2.1) */
	dur_us period_duration;  /* -1: not known; an index is cut there */
	char *fault;             /* why it cannot be used (it has no segments then), or NULL */
	char *urls;              /* private: the segments' URLs stand in it */
};

struct timeline_track {
	enum timeline_kind kind;
	const struct mpd_set *set;
	struct timeline_rendition *renditions; /* ascending bandwidth; none when set->xlink_href is to be resolved */
	size_t n_renditions;
};

struct timeline_period {
	char *id;                /* or NULL */
	const struct mpd_period *period; /* into the mpd; its xlink_href may be still to be resolved */
	dur_us start;
	dur_us duration;         /* -1: not known (dynamic, or one file without a stated duration) */
	struct timeline_track *tracks;
	size_t n_tracks;
};

struct timeline {
	bool dynamic;
	dur_us duration;         /* of the whole; -1: not known */
	struct timeline_period *periods;
	size_t n_periods;
};

/* What a timeline may hold, over all renditions; more is ERR_LIMIT. */
#define TIMELINE_MAX_SEGMENTS ((size_t)1000000)
#define TIMELINE_MAX_URL_BYTES ((size_t)256 << 20)
/* S elements and the like that are looked at, over all renditions: many may share a long SegmentTimeline. */
#define TIMELINE_MAX_STEPS ((size_t)50000000)
/* Alternatives kept of a tree of BaseURLs. */
#define TIMELINE_MAX_BASES 16
/* A dynamic MPD without end of its time shift buffer: so many of the newest segments. */
#define TIMELINE_MAX_WINDOW 20000

/* `url` is where the MPD was found (after redirects), for relative references;
 * `now` matters for dynamic MPDs only (which segments are available).  The
 * mpd must outlive the timeline.  ERR_SYNTAX, ERR_UNSUPPORTED, ERR_LIMIT;
 * the fault names Period, AdaptationSet and Representation with their line.
 * A rendition that is wrong or of an unknown kind carries that text while others
 * are good; only without any good one is it the whole's. */
int timeline_new(const struct mpd *, const char *url, wall_us now, struct timeline **ret_timeline, struct fault *);
void timeline_free(struct timeline **);

/* An index in the making: the first sidx, and those it points to, read as their bytes come.
 * Free it with timeline_index_free. */
struct timeline_index; /* hidden */
struct timeline_index *timeline_index_new(void);
void timeline_index_free(struct timeline_index **);
/* Reads what it can from `bytes`, which stand at `offset` of the file: at first the first sidx in
 * them.  ERR_SYNTAX, ERR_LIMIT, the errors of bmff_sidx_read; it is of no use then. */
int timeline_index_read(struct timeline_index *, const void *bytes, size_t n, uint64_t offset, struct fault *);
/* Which bytes it has to see next; false: none, it is complete (when something was read). */
bool timeline_index_wants(const struct timeline_index *, struct mpd_range *ret_range);
/* Fills the segments of a rendition that needs an index.  ERR_SYNTAX when the index is
 * impossible here or not complete, ERR_LIMIT. */
int timeline_set_index(struct timeline_rendition *, const struct timeline_index *, struct fault *);

/* Absolute URL of a reference against base number `base`; caller frees.  NULL for an unusable reference, and for one
 * that leads from the network to a file (timeline_lead_url). */
char *timeline_resolve(const struct timeline_rendition *, size_t base, const char *reference);

/* Index of the segment that holds Period time t (timescale units), the one after the gap when t is in one,
 * clamped to the ends; -1 without segments. */
int timeline_find(const struct timeline_rendition *, int64_t t);

/* Microseconds, rounded to the nearest; MPD_MAX_TIME (or minus that) for what goes past it, as an offset may. */
dur_us timeline_us(int64_t ticks, uint32_t timescale);

/* RFC 3986 5.2, without the fragment; what may not stand in a URI (spaces, non-ASCII) is percent-encoded.
 * Caller frees; NULL for garbage (control characters, more than 16 KiB). */
char *timeline_join_url(const char *base, const char *reference);
/* The same, for where media are: NULL also for what leads from another scheme to a file: what stands on the network
 * chooses none of this machine's files. */
char *timeline_lead_url(const char *base, const char *reference);

#endif
