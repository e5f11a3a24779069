/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * GET /steer: where running players shall go (ETSI TS 103 998, and HLS content
 * steering, which is the same document).  Stateless: what is to be known of a
 * session travels in RELOAD-URI.  Answers on viewers' loops, without a lock.
 *
 * A player that was told to stay at its edge and comes back from another one is a
 * witness against it; several witnesses put an edge behind the others for a while.
 */
#ifndef RIBERA_ORIGIN_STEER_H
#define RIBERA_ORIGIN_STEER_H

#include "base/buf.h"
#include "base/clock.h"
#include "cdn/prefix.h"
#include "cdn/steer.h"
#include "origin/geo.h"
#include "origin/holders.h"

#define STEER_MAX_EDGES 8 /* in one answer */
#define STEER_WITNESSES 3 /* so many against an edge put it behind the others */

struct library;
struct serve_request;
struct steering; /* hidden */

struct steering_settings {
	const char *origin_url;
	const char *networks; /* file of cdn/prefix.h, or NULL */
	const char *geo;      /* file of origin/geo.h, or NULL */
	dur_us ttl;           /* 0: no steering */
	dur_us slow_start;    /* of an edge that came back */
	bool learn;           /* how near edges are, from the round trips they measure */
};

/* -errno, prefix_read's and geo_open's errors. */
int steering_new(const struct steering_settings *, const struct holders *, struct steering **ret_steering, struct fault *);
void steering_free(struct steering **);

/* What is known of where the address is (names, most exact first), and the network whose edges are near it: 0, none. */
unsigned steering_locate(const struct steering *, const char *address, struct geo_place *ret_place);

/* The edges of a set as cdn/steer sees them; room for set->n.  Inside a read section. */
void steering_describe(const struct steering *, const struct holders_set *, const char *address, struct steer_edge *ret_edges);

/* What an edge measured of its viewers in a network ("192.0.2.0/24"); false: that is no network of cdn/nearness.h.  One thread. */
bool steering_learn(struct steering *, const char *edge, const char *network, unsigned ms);
/* What an edge measured where the address is, in ms, and steering goes by; 0: nothing. */
unsigned steering_measured(const struct steering *, const char *address, const char *edge);

/* A newcomer was sent there; who asks again and again counts once.  Inside a read section. */
void steering_sent(struct holders_edge *, const char *address);

/* What stands in a manifest behind "?": the URL's base, without which places are listed; NULL: no steering. */
const char *steering_url(const struct steering *);

/* "http://host:port": the origin as viewers reach it. */
const char *steering_origin(const struct steering *);

/* Answers GET /steer?title=&revision=&in=... */
void steering_answer(struct steering *, struct library *, struct serve_request *);

/* What a player says of itself: the places it used, the one it is at first.  Pure:
 * `query` is the raw query string.  Names in any of the spellings _DASH_pathway,
 * _HLS_pathway, with or without quotes, repeated or once with commas; likewise _DASH_throughput and _HLS_throughput, bit/s in the
 * same order, of which what is no number is 0. */
#define STEER_MAX_USED 8
struct steer_report {
	char used[STEER_MAX_USED][256];
	size_t n_used;
	uint64_t throughput[STEER_MAX_USED];
};
/* Where it is best left: the place it is at, or one of which it had three times as much; NULL: it said nothing. */
const char *steer_report_place(const struct steer_report *);
void steer_report_read(const char *query, size_t n, struct steer_report *ret_report);

#endif
