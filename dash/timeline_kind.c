/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kinds and channels, from tables.
 */
#include "dash/timeline_kind.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static const struct {
	const char *prefix;
	enum timeline_kind kind;
} mime_kinds[] = {
	{"video", TIMELINE_VIDEO},
	{"audio", TIMELINE_AUDIO},
	{"text", TIMELINE_TEXT},
	{"image", TIMELINE_IMAGE},
	{"application/ttml", TIMELINE_TEXT},
	{"application/x-rawcc", TIMELINE_TEXT},
}, codec_kinds[] = {
	{"stpp", TIMELINE_TEXT}, {"wvtt", TIMELINE_TEXT}, {"tx3g", TIMELINE_TEXT}, {"avc", TIMELINE_VIDEO},
	{"hev", TIMELINE_VIDEO}, {"hvc", TIMELINE_VIDEO}, {"av01", TIMELINE_VIDEO}, {"vp", TIMELINE_VIDEO},
	{"vvc", TIMELINE_VIDEO}, {"dvh", TIMELINE_VIDEO}, {"mp4v", TIMELINE_VIDEO}, {"mp4a", TIMELINE_AUDIO},
	{"ac-", TIMELINE_AUDIO}, {"ec-3", TIMELINE_AUDIO}, {"opus", TIMELINE_AUDIO}, {"Opus", TIMELINE_AUDIO},
	{"fLaC", TIMELINE_AUDIO}, {"flac", TIMELINE_AUDIO}, {"mhm", TIMELINE_AUDIO}, {"mha", TIMELINE_AUDIO},
};

static enum timeline_kind by_mime(const char *s)
{
	for (size_t i = 0; s != NULL && i < sizeof mime_kinds / sizeof mime_kinds[0]; i++)
		if (str_starts(s, mime_kinds[i].prefix))
			return mime_kinds[i].kind;
	return TIMELINE_OTHER;
}

static enum timeline_kind by_codec(const char *s)
{
	for (size_t i = 0; s != NULL && i < sizeof codec_kinds / sizeof codec_kinds[0]; i++)
		if (str_starts(s, codec_kinds[i].prefix))
			return codec_kinds[i].kind;
	return TIMELINE_OTHER;
}

static enum timeline_kind by_common(const struct mpd_common *c)
{
	enum timeline_kind k = by_mime(c->mime_type);

	if (k == TIMELINE_OTHER)
		k = by_codec(c->codecs);
	if (k == TIMELINE_OTHER && c->width > 0)
		k = TIMELINE_VIDEO;
	return k == TIMELINE_OTHER && c->audio_sampling_rate > 0 ? TIMELINE_AUDIO : k;
}

/* @contentType is an RFC 6838 top level, like the beginning of a MIME type. */
enum timeline_kind timeline_kind_of(const struct mpd_set *set)
{
	enum timeline_kind k = by_mime(set->content_type);

	if (k == TIMELINE_OTHER)
		k = by_common(&set->common);
	for (size_t i = 0; i < set->n_representations && k == TIMELINE_OTHER; i++)
		k = by_common(&set->representations[i].common);
	return k;
}

/* ISO/IEC 23091-3 ChannelConfiguration */
static const uint8_t cicp_channels[] = {0, 1, 2, 3, 4, 5, 6, 8, 2, 3, 4, 7, 8, 24, 8, 12, 10, 12, 14, 12, 14};

/* The lists are of the bits that stand for a pair; the others are single speakers. */
static uint32_t count_mask(const char *hex, size_t digits, uint32_t pairs)
{
	char *end;
	unsigned long mask = strtoul(hex, &end, 16);

	if (end != hex + digits || *end != '\0')
		return 0;
	return (uint32_t)(__builtin_popcountl(mask) + __builtin_popcountl(mask & pairs));
}

static uint32_t channels_of(const struct mpd_descriptor *d)
{
	uint64_t v;
	bool number;

	if (d->scheme == NULL || d->value == NULL)
		return 0;
	number = str_parse_u64(d->value, strlen(d->value), &v) == 0;
	if (strcmp(d->scheme, "urn:mpeg:dash:23003:3:audio_channel_configuration:2011") == 0 ||
	    strcmp(d->scheme, "urn:dts:dash:audio_channel_configuration:2012") == 0)
		return number && v <= 256 ? (uint32_t)v : 0;
	if (strcmp(d->scheme, "urn:mpeg:mpegB:cicp:ChannelConfiguration") == 0)
		return number && v < sizeof cicp_channels ? cicp_channels[v] : 0;
	/* ETSI TS 102 366 annex E.1.3.1.8: bit 15 is left */
	if (strcmp(d->scheme, "urn:dolby:dash:audio_channel_configuration:2011") == 0 ||
	    strcmp(d->scheme, "tag:dolby.com,2014:dash:audio_channel_configuration:2011") == 0)
		return count_mask(d->value, 4, 0x0674);
	/* ETSI TS 103 190-2 annex G.3: bit 0 is left and right */
	if (strcmp(d->scheme, "tag:dolby.com,2015:dash:audio_channel_configuration:2015") == 0)
		return count_mask(d->value, 6, 0x721bd);
	return 0;
}

uint32_t timeline_channels(const struct mpd_descriptors *list)
{
	uint32_t n = 0;

	for (size_t i = 0; i < list->n && n == 0; i++)
		n = channels_of(&list->v[i]);
	return n;
}
