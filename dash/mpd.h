/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The MPD as plain data (ISO/IEC 23009-1), its reader and its writer, both on
 * libxml2.  Everything is owned by the struct mpd and freed with it; strings may
 * be NULL where the attribute or element is absent.
 *
 * The reader is lenient where players must be (unknown elements and attributes
 * are skipped) and strict where a wrong value would mislead (numbers, dates and
 * durations that do not parse are errors with line and column).  No network, no
 * external entities, bounded depth and size.
 */
#ifndef RIBERA_DASH_MPD_H
#define RIBERA_DASH_MPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct buf;

#define MPD_MAX_BYTES ((size_t)16 << 20)
/* Times and durations: 18,000 years, so that sums of a few of them fit 63 bits.  More is ERR_OUT_OF_RANGE. */
#define MPD_MAX_TIME ((dur_us)(INT64_MAX / 16))

struct mpd_range {
	uint64_t first, last; /* inclusive bytes; last is UINT64_MAX for "first-", up to the end */
};

struct mpd_descriptor {
	char *scheme, *value, *id;
};
struct mpd_descriptors {
	struct mpd_descriptor *v;
	size_t n;
};

struct mpd_base_url {
	char *url;               /* as written, not resolved */
	char *service_location;
	bool has_availability_offset;
	double availability_offset; /* seconds; INFINITY for "INF" */
	bool has_availability_complete, availability_complete;
	bool has_ttl;            /* of a PatchLocation: seconds after publishTime during which it is there */
	double ttl;
	uint32_t priority, weight; /* DVB; 1 when absent; lower priority numbers are preferred */
};
struct mpd_base_urls {
	struct mpd_base_url *v;
	size_t n;
};

/* Initialization, RepresentationIndex: URLType */
struct mpd_url {
	bool present;
	char *source;            /* NULL: the base URL itself */
	bool has_range;
	struct mpd_range range;
};

/* S of a SegmentTimeline */
struct mpd_s {
	bool has_t;
	uint64_t t, d, n;
	bool has_n;
	int64_t r;               /* repeats after the first; -1: until the next or the end */
	uint64_t k;              /* segments of a sequence; 1 when absent */
	bool has_pattern;        /* durations come from the Pattern of that id (6th edition), d counts for nothing */
	uint64_t pattern;
	uint64_t pattern_entry;  /* of the first segment: how many segments of the Pattern come before it */
	unsigned line;
};

/* P of a Pattern: r + 1 segments of d */
struct mpd_p {
	uint64_t d, r;
};
struct mpd_pattern {
	uint64_t id;
	struct mpd_p *v;
	size_t n;
};

struct mpd_segment_url {
	char *media, *index;
	bool has_media_range, has_index_range;
	struct mpd_range media_range, index_range;
};

enum mpd_addressing { MPD_NONE, MPD_SEGMENT_BASE, MPD_SEGMENT_LIST, MPD_SEGMENT_TEMPLATE };

/* One SegmentBase, SegmentList or SegmentTemplate as written at its level; the
 * inheritance between levels is done by timeline.h. */
struct mpd_segments {
	enum mpd_addressing kind;
	bool has_timescale, has_pto, has_duration, has_start_number, has_end_number, has_index_range;
	bool has_timeline, has_availability_offset, has_availability_complete, has_ept_delta, has_k, has_end_sub_number;
	uint32_t timescale;      /* 1 when absent */
	int64_t pto;             /* presentationTimeOffset, timescale units; negative is not valid, but played */
	uint64_t duration;       /* timescale units */
	uint64_t start_number, end_number;
	uint64_t k;              /* segments of a sequence, with @duration (6th edition) */
	uint64_t end_sub_number; /* the last one's, of the sequence endNumber */
	int64_t ept_delta;
	struct mpd_range index_range;
	bool index_range_exact;
	double availability_offset; /* seconds */
	bool availability_complete;
	struct mpd_url initialization, representation_index;
	char *media, *init, *index; /* templates */
	struct mpd_s *timeline;
	size_t n_timeline;
	struct mpd_pattern *patterns;
	size_t n_patterns;
	struct mpd_segment_url *urls;
	size_t n_urls;
	char *xlink_href, *xlink_actuate; /* of a SegmentList */
	unsigned line;
};

struct mpd_ratio {
	uint32_t num, den;       /* 0/0: absent */
};

/* RepresentationBaseType: what a set and a representation have in common. */
struct mpd_common {
	char *profiles, *mime_type, *codecs, *supplemental_codecs, *container_profiles, *scan_type;
	uint32_t width, height;  /* 0: absent */
	struct mpd_ratio sar, frame_rate;
	uint32_t audio_sampling_rate;
	int start_with_sap;      /* -1: absent */
	bool has_max_playout_rate;
	double max_playout_rate;
	bool has_coding_dependency, coding_dependency;
	struct mpd_descriptors audio_channels, essential, supplemental, content_protection, inband_events;
};

struct mpd_representation {
	char *id;
	uint64_t bandwidth;      /* bit/s */
	uint32_t quality_ranking;
	char *dependency_id;
	struct mpd_common common;
	struct mpd_base_urls base_urls;
	struct mpd_segments segments;
	unsigned line;
};

struct mpd_set {
	char *id, *lang, *content_type;
	char *label;             /* the first Label's text */
	uint32_t max_width, max_height;
	uint64_t max_bandwidth;
	struct mpd_ratio par, max_frame_rate;
	bool segment_alignment, bitstream_switching;
	bool subsegment_alignment;
	int subsegment_starts_with_sap; /* 0 when absent */
	uint32_t selection_priority;    /* 1 when absent */
	struct mpd_descriptors roles, accessibility, viewpoints;
	struct mpd_common common;
	struct mpd_base_urls base_urls;
	struct mpd_segments segments;
	struct mpd_representation *representations;
	size_t n_representations;
	char *xlink_href, *xlink_actuate;
	unsigned line;
};

/* A Period's EventStream (5.10.2), for writing alone: the reader passes over it. */
struct mpd_event {
	uint64_t time, duration; /* in its timescale */
	char *text;
};

struct mpd_event_stream {
	char *scheme;            /* NULL: there is none */
	uint32_t timescale;
	struct mpd_event *events;
	size_t n_events;
};

struct mpd_period {
	char *id;
	bool has_start, has_duration;
	dur_us start, duration;
	struct mpd_base_urls base_urls;
	struct mpd_segments segments;
	struct mpd_event_stream events;
	struct mpd_set *sets;
	size_t n_sets;
	char *xlink_href, *xlink_actuate;
	char *imported_mpd;      /* of a list MPD (6th edition) */
	unsigned line;
};

struct mpd_steering {
	bool present;
	bool in_service_description; /* where it stood, see doc/ARCHITECTURE.md */
	char *url, *default_service_location;
	bool query_before_start, client_requirement;
};

/* ServiceDescription's Latency (milliseconds) and PlaybackRate; 0: absent */
struct mpd_service {
	uint64_t latency_target, latency_min, latency_max;
	double rate_min, rate_max;
};

struct mpd {
	char *id, *profiles, *title, *source, *copyright;
	bool dynamic;
	bool has_duration, has_availability_start, has_availability_end, has_publish_time;
	bool has_minimum_update, has_time_shift, has_suggested_delay, has_max_segment_duration;
	dur_us duration, min_buffer_time, minimum_update, time_shift, suggested_delay, max_segment_duration;
	wall_us availability_start, availability_end, publish_time;
	struct mpd_base_urls base_urls, locations, patch_locations;
	struct mpd_steering steering;
	struct mpd_service service; /* the first ServiceDescription's */
	struct mpd_descriptors utc_timings, essential, supplemental;
	struct mpd_period *periods;
	size_t n_periods;
};

/* ERR_SYNTAX (not XML, not an MPD, bad value), ERR_LIMIT; the fault says
 * NAME:line:column, what was found and what was expected.  `name` is a file or URL. */
int mpd_read(const void *bytes, size_t n, const char *name, struct mpd **ret_mpd, struct fault *);
void mpd_free(struct mpd **);

/* Appends the XML document, elements in the order of the schema, two-space
 * indentation.  Same model, same bytes.  Errors: the buffer's, -ENOMEM. */
int mpd_write(const struct mpd *, struct buf *out);

/* For makers of an MPD: zeroed elements appended to their parent, valid until
 * the next append to the same parent.  Strings put in them must be malloced. */
struct mpd *mpd_new(void); /* static; never NULL */
struct mpd_period *mpd_add_period(struct mpd *);
struct mpd_set *mpd_add_set(struct mpd_period *);
struct mpd_representation *mpd_add_representation(struct mpd_set *);
struct mpd_s *mpd_add_s(struct mpd_segments *); /* starts the SegmentTimeline; k is 1 */
struct mpd_pattern *mpd_add_pattern(struct mpd_segments *);
struct mpd_p *mpd_add_p(struct mpd_pattern *);
struct mpd_segment_url *mpd_add_segment_url(struct mpd_segments *);
/* These copy their strings. */
void mpd_add_event(struct mpd_event_stream *, uint64_t time, uint64_t duration, const char *text);
void mpd_add_descriptor(struct mpd_descriptors *, const char *scheme, const char *value);
void mpd_add_base_url(struct mpd_base_urls *, const char *url, const char *service_location);

/* An MPD whose relative references shall be found at several places: replaces
 * the MPD-level BaseURLs by these (in order of preference) and leaves all other
 * bytes of meaning alone. */
struct mpd_place {
	const char *url;              /* absolute, ends with '/'; NULL service_location: none */
	const char *service_location; /* a str_is_name */
};
/* ERR_SYNTAX, ERR_LIMIT as for mpd_read; the buffer's errors, -ENOMEM.  With `steering`
 * (a URL, or NULL) a ContentSteering follows the BaseURLs, at MPD level, where ETSI TS
 * 103 998 has it and where every browser player looks. */
int mpd_localise_steered(const void *bytes, size_t n, const struct mpd_place *, size_t n_places, const char *steering,
                         struct buf *out, struct fault *);
int mpd_localise(const void *bytes, size_t n, const struct mpd_place *, size_t n_places, struct buf *out,
                 struct fault *);

/* Holds the document against the XML schema in the file `path`.  ERR_SYNTAX: not valid, the fault says
 * NAME:line and why; ERR_UNSUPPORTED: the schema, or what it imports, cannot be read (from files and
 * XML_CATALOG_FILES alone); ERR_LIMIT.  Not for several threads at once. */
int mpd_check_schema(const void *bytes, size_t n, const char *name, const char *path, struct fault *);

#endif
