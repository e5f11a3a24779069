/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What happens, told to whoever listens (server-sent events, HTML 9.2): the last events stand in a ring in memory, and every subscriber reads it at
 * its own pace.  One that falls behind the ring is dropped; it may come again with
 * its Last-Event-ID and is told what it missed, or by "reset" that it has to read
 * the lists again.
 *
 * Passing events (progress) have no id, stand in a ring of their own, and are
 * skipped by whoever is late: the next one says more.
 *
 * Any thread; never blocks.
 */
#ifndef RIBERA_ORIGIN_EVENTS_H
#define RIBERA_ORIGIN_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct buf;
struct events; /* hidden */
struct serve_request;

#define EVENTS_SUBSCRIBERS 10000
#define EVENTS_VIEWERS 8000 /* of them: who needs no token shall not keep edges and operators out */

/*        kind                  name                 passing  viewers see it */
#define EVENTS(X)                                                            \
	X(EVENT_TITLE_PUBLISHED, "title.published", false, true)             \
	X(EVENT_TITLE_WITHDRAWN, "title.withdrawn", false, true)             \
	X(EVENT_TITLE_CHANGED, "title.changed", false, true)                 \
	X(EVENT_REVISION_GONE, "revision.gone", false, false)                \
	X(EVENT_EDGE_REGISTERED, "edge.registered", false, false)            \
	X(EVENT_EDGE_REMOVED, "edge.removed", false, false)                  \
	X(EVENT_EDGE_UP, "edge.up", false, false)                            \
	X(EVENT_EDGE_DOWN, "edge.down", false, false)                        \
	X(EVENT_EDGE_DRAINING, "edge.draining", false, false)                \
	X(EVENT_EDGE_HOLDS, "edge.holds", false, false)                      \
	X(EVENT_PLAN_CHANGED, "plan.changed", false, false)                  \
	X(EVENT_UPLOAD_PUBLISHED, "upload.published", false, false)          \
	X(EVENT_UPLOAD_PROGRESS, "upload.progress", true, false)             \
	X(EVENT_INGEST_QUEUED, "ingest.queued", false, false)                \
	X(EVENT_INGEST_STARTED, "ingest.started", false, false)              \
	X(EVENT_INGEST_PROGRESS, "ingest.progress", true, false)             \
	X(EVENT_INGEST_DONE, "ingest.done", false, false)                    \
	X(EVENT_INGEST_FAILED, "ingest.failed", false, false)                \
	X(EVENT_FILL_PROGRESS, "fill.progress", true, false)                 \
	X(EVENT_STATE, "state.changed", false, false)

enum event_kind {
#define EVENT_ENUM(kind, name, passing, shown) kind,
	EVENTS(EVENT_ENUM)
#undef EVENT_ENUM
	N_EVENTS
};

struct events *events_new(uint64_t kept); /* lasting ones, at least 1 */
/* Ends all subscriptions and lets no new ones in.  Takes NULL. */
void events_close(struct events *);
void events_free(struct events **); /* the servers are gone by now */

/* Says it; takes `data` (an object), to which name and time are added.  `events` may be NULL. */
void events_say(struct events *, enum event_kind, json_t *data);
/* Tells of passing events, and shows listeners now and then that the line is alive.
 * To be called every second or so. */
void events_tick(struct events *, mono_us now);

/* Answers GET .../events; `public` for viewers. */
void events_answer(struct events *, struct serve_request *, bool is_public);
void events_write_metrics(struct events *, struct buf *out);

#endif
