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

/* The NAL unit that begins at *at, which goes on behind it: its place; 0 when there is none or they are no such units. */
static size_t next_unit(unsigned length_size, const uint8_t *unit, size_t n, size_t *at)
{
	size_t length = 0, place;

	if (n - *at <= length_size)
		return 0;
	for (unsigned i = 0; i < length_size; i++)
		length = length << 8 | unit[*at + i];
	place = *at + length_size;
	if (length == 0 || length > n - place)
		return 0;
	*at = place + length;
	return place;
}

bool skim_needless(enum skim_codec codec, unsigned length_size, const uint8_t *unit, size_t n)
{
	bool any = false;

	if (codec == SKIM_OTHER || length_size == 0)
		return false;
	for (size_t at = 0; at < n;) {
		size_t place = next_unit(length_size, unit, n, &at);
		bool slice, needed;

		if (place == 0)
			return false;
		look(codec, unit[place], &slice, &needed);
		if (slice && needed)
			return false;
		any = any || slice;
	}
	return any;
}

bool skim_restarts(enum skim_codec codec, unsigned length_size, const uint8_t *unit, size_t n)
{
	if (codec == SKIM_OTHER || length_size == 0)
		return false;
	for (size_t at = 0, place; at < n && (place = next_unit(length_size, unit, n, &at)) > 0;) {
		unsigned type = codec == SKIM_AVC ? unit[place] & 31u : unit[place] >> 1 & 63u;

		if (codec == SKIM_AVC ? type == 5 : type == 19 || type == 20)
			return true;
	}
	return false;
}
