/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What happened while playing, and its JSON.  The engine writes its lists, the
 * presenter its own; both are read when their threads have ended.
 */
#ifndef RIBERA_PLAYER_REPORT_H
#define RIBERA_PLAYER_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define REPORT_MAX 200000 /* rows kept of each list */

struct report_segment {
	int lane;
	unsigned index, retries;
	char rendition[64], service_location[128], host[128], trace[33];
	uint64_t bandwidth, bytes, throughput; /* bit/s, bytes, bit/s */
	dur_us first_byte, total, buffer;      /* buffer when it was asked for */
	dur_us body;                           /* of total, while bytes came */
	dur_us start, duration;
	dur_us asked;                          /* since the start of the program */
	bool skipped;
};
struct report_stall {
	dur_us at, duration; /* presentation time */
	dur_us began;        /* since the start of the program */
};
struct report_failover {
	dur_us at; /* since the start of the program */
	int lane;
	unsigned segment;
	char from[128], to[128], reason[160];
};

struct report {
	char *url, *output, *algorithm;
	dur_us duration, played;
	dur_us startup;          /* from start to the first frame; -1: none was shown */
	mono_us started;
	struct report_segment *segments;
	size_t n_segments, cap_segments;
	struct report_stall *stalls;
	size_t n_stalls, cap_stalls;
	struct report_failover *failovers;
	size_t n_failovers, cap_failovers;
	char **errors;
	size_t n_errors, cap_errors;
	uint64_t decoded, presented, dropped, audio_decoded, decode_errors, bytes;
	unsigned steering_asked, steering_answers; /* questions to the MPD's steering server, and those it answered */
	uint64_t abandoned;      /* downloads begun anew in a lower rendition */
	dur_us max_av_offset;
	uint64_t av_seen, av_close; /* pictures whose offset was measured; those within 20 ms of what was heard */
	double speed;            /* 0: max */
	uint64_t top_bandwidth;  /* of the ladder, for QoE */
	bool finished;           /* played to the end */
};

void report_init(struct report *, const char *url, mono_us now);
void report_fini(struct report *);
void report_add_segment(struct report *, const struct report_segment *);
void report_add_stall(struct report *, dur_us at, dur_us duration); /* that ends now */
void report_add_failover(struct report *, const struct report_failover *);
void report_add_error(struct report *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The numbers of --simulate, of what was played.  QoE is the mean over the video segments after the first of
 * R - mu * stall - |R - R_previous| in Mbit/s, mu the top rate; 0 with fewer than two segments. */
struct report_summary {
	double qoe, bitrate_kbps, stall_ratio, switch_kbps;
	double stalled; /* seconds */
	unsigned segments, switches, stalls;
};
struct report_summary report_summary(const struct report *);
json_t *report_json(const struct report *); /* a new reference */
/* As a page when the name ends in .html, as JSON otherwise. */
int report_write(const struct report *, const char *path, struct fault *);

struct buf;
void report_page(const struct report *, struct buf *out);

#endif
