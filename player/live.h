/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A dynamic MPD kept up to date: a thread that knows the presentation's time
 * (UTCTiming, else the server's Date), gets the MPD anew or its patches when it
 * has to, and lays out anew what is available as time goes on.
 */
#ifndef RIBERA_PLAYER_LIVE_H
#define RIBERA_PLAYER_LIVE_H

#include <stdbool.h>

#include "base/err.h"
#include "player/source.h"

struct hub;
struct live; /* hidden */

/* For a source that is dynamic: asks for the time, lays the source's timeline out
 * for it and starts the thread.  The source stays the caller's. */
int live_new(const struct source_door *, struct hub *, struct source *, struct live **ret_live, struct fault *);
/* After hub_quit; joins the thread. */
void live_free(struct live **);

/* Something newer than what was taken last?  Then true, and it is the caller's. */
bool live_take(struct live *, struct source *ret_source);

/* Presentation time that is being produced now. */
dur_us live_edge(struct live *);

/* Where to begin: behind the edge by what the MPD asks for (ServiceDescription's
 * latency, suggestedPresentationDelay), else by three segments; within what is there. */
dur_us live_start(struct live *, const struct source *);

/* What the MPD asked for at first: latency, speeds. */
const struct mpd_service *live_service(const struct live *);

/* From the oldest to the newest presentation time that is there. */
void live_window(const struct timeline *, dur_us *ret_from, dur_us *ret_to);

/* The newest MPD with the segments that are available at this moment, for a reader of its own
 * (another thread than the engine's); the caller's.  The errors of source_parse. */
int live_read(struct live *, struct source *ret_source, struct fault *);

/* Why the MPD cannot be had anew, for people; empty while it can. */
void live_trouble(struct live *, char *ret_text, size_t n);

#endif
