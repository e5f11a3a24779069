/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a set is (picture, sound, text) and how many channels it has.
 */
#ifndef RIBERA_DASH_TIMELINE_KIND_H
#define RIBERA_DASH_TIMELINE_KIND_H

#include "dash/timeline.h"

enum timeline_kind timeline_kind_of(const struct mpd_set *);

/* Channels, low-frequency ones included, of the first AudioChannelConfiguration
 * we understand; 0: none. */
uint32_t timeline_channels(const struct mpd_descriptors *);

#endif
