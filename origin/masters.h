/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Masters that were uploaded: a queue on the disk, one folder each
 * (LIBRARY/.uploads/master-ID: the file and job.json), and a thread that runs
 * ribera-ingest for one after the other.  What was running when the origin ended is run
 * again and goes on from its finished chunks.  Any thread but viewers' loops.
 */
#ifndef RIBERA_ORIGIN_MASTERS_H
#define RIBERA_ORIGIN_MASTERS_H

#include <jansson.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct events;
struct masters; /* hidden */
struct upload;

struct masters_settings {
	const char *library;
	const char *program; /* ribera-ingest: a path, or a name to be looked for beside us and in PATH */
	const char *options; /* with spaces between, or NULL */
	dur_us again;        /* between tries after trouble of the machine */
	struct events *events;
};

/* Takes up what is queued and starts the thread. */
int masters_new(const struct masters_settings *, struct masters **ret_masters, struct fault *);
/* Nothing runs from now on: a running ingest is told to end (it keeps what it has finished), and not waited for.  Takes NULL. */
void masters_stop(struct masters *);
/* Stops, and ends an ingest that has not ended ten seconds after it was told to. */
void masters_free(struct masters **);

/* For uploads: queues the master at the path; durable when it returns 0. */
int masters_take(void *masters, const struct upload *, const char *path, struct fault *);
/* Bytes of masters that are kept. */
uint64_t masters_bytes(void *masters);

struct sha256;
json_t *masters_list(struct masters *, const struct sha256 *); /* the oldest first; of these bytes alone, or of all (NULL) */
json_t *masters_get(struct masters *, const char *id);    /* or NULL */
/* Ends it if it runs, and removes the master.  ERR_NOT_FOUND. */
int masters_remove(struct masters *, const char *id, struct fault *);
/* A failed one is queued again.  ERR_NOT_FOUND; ERR_EXISTS: it has not failed. */
int masters_retry(struct masters *, const char *id, struct fault *);

#endif
