/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Playing without playing: the adaptation on a recorded line, segment by
 * segment, in the two models the literature uses and in one of our own.
 *
 * "std": the round trip runs on the line's clock; nothing is asked for that
 * would not fit into the buffer; a download can be abandoned at every 50 ms and
 * 1500 bytes.  "pensieve": a round trip of 80 ms that the line does not notice,
 * 60 s of buffer, and sleeps of 500 ms while it is over-full.
 *
 * "tcp": as "std", on a line as TCP uses it (tcp_line.h); this is what a real
 * play on that line is to be held against.
 *
 * A trace is CSV with a header line: seconds, kbit/s, milliseconds of latency;
 * it repeats.  A ladder is JSON: segment_duration_ms, bitrates_kbps (ascending),
 * segment_sizes_bytes[segment][rung]; it repeats up to the asked duration.
 */
#ifndef RIBERA_PLAYER_SIMULATE_H
#define RIBERA_PLAYER_SIMULATE_H

#include <stdio.h>

#include "player/abr.h"
#include "base/err.h"

struct trace; /* hidden; read-only once read */
int trace_read(const char *path, struct trace **ret_trace, struct fault *);
void trace_free(struct trace **);
/* Milliseconds: the latency now, the kbit that came until then, the time when so many have come. */
double trace_latency(const struct trace *, double t);
double trace_bits(const struct trace *, double t);
double trace_time(const struct trace *, double bits);

struct ladder {
	unsigned n_rungs, n_segments;
	dur_us segment;
	uint32_t *bitrates; /* bit/s */
	uint32_t *sizes;    /* bytes, [segment * n_rungs + rung] */
};
/* length 0: as long as the ladder is. */
int ladder_read(const char *path, dur_us length, struct ladder **ret_ladder, struct fault *);
void ladder_free(struct ladder **);

enum simulate_model { SIMULATE_STD, SIMULATE_PENSIEVE, SIMULATE_TCP };

struct simulate_setup {
	const char *algorithm;      /* NULL: the default */
	enum simulate_model model;
	dur_us buffer;              /* 0: 25 s, or 60 s with pensieve */
};

/* QoE as in report.h: over the segments after the first, whose rung is the model's (0, pensieve 1). */
struct simulate_result {
	double qoe, bitrate_kbps, stall_ratio, switch_kbps;
	double startup, stalled;    /* seconds */
	unsigned segments, switches, stalls, abandoned;
	double wasted_bytes;
};
/* ERR_USAGE for an unknown algorithm. */
int simulate(const struct trace *, const struct ladder *, const struct simulate_setup *,
             struct simulate_result *ret_result, struct fault *);

/* One line of JSON a trace. */
int simulate_files(const char *const *traces, size_t n_traces, const char *ladder, dur_us length,
                   const struct simulate_setup *, FILE *out, struct fault *);

#endif
