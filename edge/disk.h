/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How the disk under the store is: writable, or failing.  A write that fails
 * makes the edge one that reads only: what is here is served, nothing is taken in.
 * A probe finds out when the disk takes writes again; each relapse within a minute
 * makes the next probe wait twice as long.
 */
#ifndef RIBERA_EDGE_DISK_H
#define RIBERA_EDGE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct disk {
	int error;         /* atomic: why it takes no writes; 0: it does */
	uint64_t failures; /* atomic: ever */
	/* the owner's */
	mono_us next_probe, recovered;
	dur_us pause;
};

/* A write below the store failed.  An error that is not the disk's changes nothing.  Any thread. */
void disk_failed(struct disk *, int error, const char *what);
bool disk_reads_only(const struct disk *); /* any thread */
/* For people; static; NULL: it takes writes.  Any thread. */
const char *disk_trouble(const struct disk *);
uint64_t disk_failures(const struct disk *); /* any thread */

/* While it fails and when it is time, tries to write to `folder`.  Returns true
 * when the disk is well again with this call.  *wake is brought forward to the next try.  The owner. */
bool disk_probe(struct disk *, const char *folder, mono_us now, mono_us *wake);

#endif
