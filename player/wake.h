/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a viewer does wakes the presenter at once: a thread that waits for terminal,
 * socket, display and signals, and rings the hub's bell.  It reads nothing itself.
 */
#ifndef RIBERA_PLAYER_WAKE_H
#define RIBERA_PLAYER_WAKE_H

struct hub;
struct wake; /* hidden; one at a time */

/* Sets hub->poked, and rings, whenever something comes.  NULL: there is no thread to be
 * had, and the presenter must look by itself, as it does now and then anyway. */
struct wake *wake_new(struct hub *);
void wake_free(struct wake **);
/* Each time something more comes from fd.  One that is closed is forgotten.  Any thread; wake may be NULL. */
void wake_watch(struct wake *, int fd);
/* From a signal handler. */
void wake_signal(void);

#endif
