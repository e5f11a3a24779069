/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The first sample entry of an stsd box (ISO/IEC 14496-12 8.5.2) into a struct
 * bmff_track.  Private to the bmff sources.
 */
#ifndef RIBERA_DASH_BMFF_ENTRY_H
#define RIBERA_DASH_BMFF_ENTRY_H

#include "dash/bmff_in.h"
#include "dash/bmff_track.h"

/* `in` is the payload of stsd.  Sets `bad` when a box ends early. */
void bmff_entry_read(struct bmff_in *in, struct bmff_track *track);

#endif
