/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which pictures need not be decoded on the way to another one.  Pure; any thread.
 */
#ifndef RIBERA_PLAYER_SKIM_H
#define RIBERA_PLAYER_SKIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum skim_codec { SKIM_OTHER, SKIM_AVC, SKIM_HEVC };

/* How long the lengths before NAL units are, as the decoder's configuration has it (ISO/IEC 14496-15
 * 5.3.3.1, 8.3.3.1); 0: it is not such a configuration. */
unsigned skim_length_size(enum skim_codec, const uint8_t *config, size_t n);

/* No other picture is made of this access unit: each of its slices says so (nal_ref_idc 0, ITU-T H.264 7.4.1;
 * sub-layer non-reference pictures, ITU-T H.265 7.4.2.2, as FFmpeg takes them).  false
 * when it cannot be told. */
bool skim_needless(enum skim_codec, unsigned length_size, const uint8_t *unit, size_t n);

/* An IDR picture (ITU-T H.264 3.69, H.265 3.68): neither it nor any behind it is made of one before it. */
bool skim_restarts(enum skim_codec, unsigned length_size, const uint8_t *unit, size_t n);

#endif
