/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Content steering (ETSI TS 103 998): asks the MPD's steering server now and then
 * which place comes first, and tells it where this player was.  What goes wrong
 * there changes nothing here: the last order stays, and the server is asked again
 * after its TTL; 410 ends the asking, 429 puts it off.
 *
 * Runs in the engine's thread, but for steering_new.
 */
#ifndef RIBERA_PLAYER_STEERING_H
#define RIBERA_PLAYER_STEERING_H

#include "player/pathway.h"

struct fetch;
struct hub;
struct mpd;
struct report;
struct steering; /* hidden */

struct steering_setup {
	const struct mpd *mpd;
	const char *url;         /* the MPD's: what a relative server is relative to */
	struct fetch *fetch;
	struct hub *hub;         /* rung when an answer came; its lock guards the answer */
	struct pathway *pathway; /* its order and clones are written here */
	struct report *report;
};

/* NULL when the MPD names no server.  Takes defaultServiceLocation as the order; with
 * queryBeforeStart waits for an answer, 3 s at most. */
struct steering *steering_new(const struct steering_setup *, mono_us now);
/* The place was used; bit/s, 0: unknown. */
void steering_used(struct steering *, const char *key, uint64_t throughput);
/* Asks when it is time, takes what came; both take NULL. */
void steering_step(struct steering *, mono_us now, mono_us *ret_next);
void steering_free(struct steering **); /* cancels what runs */

/* Pure: takes an answer into the pathway.  ERR_SYNTAX, ERR_UNSUPPORTED (VERSION); then nothing is changed.
 * ret_ttl: 300 s when there is none; *ret_reload (or NULL: as before) as written, to be freed. */
int steering_take(const char *json, size_t n, struct pathway *, dur_us *ret_ttl, char **ret_reload);

#endif
