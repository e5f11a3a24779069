/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * FFmpeg can leave such pictures out itself, yet they go through its threads in turn all the
 * same: with every third picture needed and three threads, one thread does all the work.
 */
#include "player/skim.h"

unsigned skim_length_size(enum skim_codec codec, const uint8_t *config, size_t n)
{
	size_t at = codec == SKIM_AVC ? 4 : 21;

	return codec != SKIM_OTHER && n > at && config[0] == 1 ? (config[at] & 3u) + 1 : 0;
}

/* Of the NAL unit with this first byte: is it a slice, and is it needed? */
static void look(enum skim_codec codec, uint8_t byte, bool *slice, bool *needed)
{
	unsigned type = codec == SKIM_AVC ? byte & 31u : byte >> 1 & 63u;

	if (codec == SKIM_AVC) {
		*slice = type >= 1 && type <= 5;
		*needed = (byte & 0x60) != 0;
	} else {
		*slice = type < 32;
		*needed = type > 14 || type % 2 != 0;
	}
}

bool skim_needless(enum skim_codec codec, unsigned length_size, const uint8_t *unit, size_t n)
{
	bool any = false;

	if (codec == SKIM_OTHER || length_size == 0)
		return false;
	for (size_t at = 0; at < n;) {
		size_t length = 0;
		bool slice, needed;

		if (n - at <= length_size)
			return false;
		for (unsigned i = 0; i < length_size; i++)
			length = length << 8 | unit[at++];
		if (length == 0 || length > n - at)
			return false;
		look(codec, unit[at], &slice, &needed);
		if (slice && needed)
			return false;
		any = any || slice;
		at += length;
	}
	return any;
}
