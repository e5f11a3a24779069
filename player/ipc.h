/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A Unix socket for scripts, as mpv's users know it: a JSON object a line.
 *
 *   {"command": ["seek", 10, "relative"], "request_id": 1}
 *   {"data": null, "request_id": 1, "error": "success"}
 *
 * Commands: seek SECONDS [relative|absolute|relative-percent|absolute-percent, with +exact
 * or +keyframes], set_property NAME VALUE (also as text, "yes"; set is the same),
 * add|multiply speed VALUE, add time-pos SECONDS, get_property NAME, observe_property ID
 * NAME (both as ..._string, too), unobserve_property ID, cycle pause|audio|sub|fullscreen,
 * keypress KEY, frame-step, quit, stop, client_name, get_version, get_time_us.  A line of
 * plain words, cycle pause, is obeyed without an answer.
 * Events: {"event": "property-change", "id": 1, "name": "pause", "data": true}, "seek",
 * "playback-restart" (its picture is seen), "end-file", "shutdown".  One thread: the presenter's.
 */
#ifndef RIBERA_PLAYER_IPC_H
#define RIBERA_PLAYER_IPC_H

#include <jansson.h>

#include "base/err.h"
#include "player/keys.h"

struct ipc; /* hidden */
struct wake;

/* A property's value now: a new reference, or NULL when there is no such one. */
typedef json_t *ipc_get_f(void *ctx, const char *name);

/* Listens at `path`, mode 0600; a dead socket there is replaced, anything else is not.
 * ERR_LOCKED when another program listens there, -errno. */
int ipc_new(const char *path, ipc_get_f *get, void *ctx, struct wake *, struct ipc **ret_ipc, struct fault *);
/* Tells clients, closes, removes the socket. */
void ipc_free(struct ipc **);
/* Tells all clients. */
void ipc_event(struct ipc *, const char *name);
/* Takes what has come, answers, tells about observed properties that changed; the next
 * command that is to be obeyed, or CMD_NOTHING.  Never blocks. */
struct command ipc_poll(struct ipc *);

#endif
