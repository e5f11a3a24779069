/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reading a finished package as a stranger would, before it is published.
 */
#ifndef RIBERA_INGEST_VERIFY_H
#define RIBERA_INGEST_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct verify_facts {
	size_t files, tracks, segments;
	uint64_t bytes;
};

/* Every hash of the digest, every box of the tracks, equal boundaries, the ranges of
 * the MPD.  The fault names file, segment and the cure. */
int verify_package(const char *folder, struct verify_facts *ret_facts, struct fault *);

#endif
