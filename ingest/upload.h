/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A finished package to an origin over HTTP: resumable uploads (tus 1.0) of its files, the
 * digest first, which the origin publishes when the last byte verifies.  Goes on where it was
 * when either side was killed: what an upload is follows from the package alone.
 */
#ifndef RIBERA_INGEST_UPLOAD_H
#define RIBERA_INGEST_UPLOAD_H

#include <signal.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

struct upload_settings {
	const char *to;         /* "https://origin.example:8081" */
	const char *ca_file;    /* NULL: the system's certificates are trusted */
	const char *token_file; /* first line: TOKEN or ROLE TOKEN; NULL: none */
	dur_us patience;        /* how long an origin that cannot be reached is tried again */
	bool quiet;             /* no progress */
	const volatile sig_atomic_t *stop;
};

struct upload_result {
	char *title;            /* to be freed */
	char revision[24];
	uint64_t bytes, sent;   /* of the package; by this run */
	bool existed;           /* the origin had it already */
};

/* ERR_HTTP with the origin's words, ERR_NETWORK and ERR_TIMEOUT after `patience`, -ENOSPC (the origin's disk is
 * full: try again later), ERR_CANCELLED (stop), ERR_CORRUPT (no package), -errno. */
int upload_package(const char *package, const struct upload_settings *, struct upload_result *ret_result, struct fault *);

#endif
