/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A descriptor that is essential and unknown takes its element out of the choice,
 * whatever else is right about it: to play it would show something else than was meant.
 */
#include "player/fit.h"

#include <libavcodec/avcodec.h>
#include <string.h>

#include "base/str.h"
#include "base/words.h"

bool fit_can_decode(const char *codecs)
{
	static const struct {
		const char *prefix;
		enum AVCodecID id;
	} table[] = {
		{"avc1", AV_CODEC_ID_H264}, {"avc3", AV_CODEC_ID_H264}, {"hvc1", AV_CODEC_ID_HEVC},
		{"hev1", AV_CODEC_ID_HEVC}, {"av01", AV_CODEC_ID_AV1}, {"vp09", AV_CODEC_ID_VP9},
		{"vp08", AV_CODEC_ID_VP8}, {"mp4a.6B", AV_CODEC_ID_MP3}, {"mp4a.69", AV_CODEC_ID_MP3},
		{"mp4a", AV_CODEC_ID_AAC}, {"opus", AV_CODEC_ID_OPUS}, {"Opus", AV_CODEC_ID_OPUS},
		{"ac-3", AV_CODEC_ID_AC3}, {"ec-3", AV_CODEC_ID_EAC3}, {"fLaC", AV_CODEC_ID_FLAC},
		{"flac", AV_CODEC_ID_FLAC}, {"mp4v", AV_CODEC_ID_MPEG4},
	};

	if (codecs == NULL || codecs[0] == '\0')
		return true;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (strncmp(codecs, table[i].prefix, strlen(table[i].prefix)) == 0)
			return avcodec_find_decoder(table[i].id) != NULL;
	return false;
}

/* Schemes that only describe what the decoder finds in the stream anyway, or that the timeline obeys. */
static bool knows(const struct mpd_descriptor *d)
{
	static const char *const known[] = {"urn:mpeg:mpegB:cicp:", "urn:mpeg:dash:pattern:", "urn:mpeg:dash:role:",
		"urn:mpeg:dash:adaptation-set-switching:", "urn:mpeg:dash:23003:3:audio_channel_configuration:",
		"http://dashif.org/guidelines/thumbnail_tile", "http://dashif.org/thumbnail_tile"};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (d->scheme != NULL && str_starts(d->scheme, known[i]))
			return true;
	return false;
}

/* Of several with one @id any one is enough (5.8.2). */
static bool stands_for(const struct mpd_descriptors *all, const char *id)
{
	for (size_t i = 0; id != NULL && i < all->n; i++)
		if (all->v[i].id != NULL && strcmp(all->v[i].id, id) == 0 && knows(&all->v[i]))
			return true;
	return false;
}

static const struct mpd_descriptor *unknown(const struct mpd_descriptors *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!knows(&d->v[i]) && !stands_for(d, d->v[i].id))
			return &d->v[i];
	return NULL;
}

static bool is_trick_mode(const struct mpd_common *c)
{
	const struct mpd_descriptors *both[] = {&c->essential, &c->supplemental};

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < both[k]->n; i++)
			if (both[k]->v[i].scheme != NULL && strstr(both[k]->v[i].scheme, "trickmode") != NULL)
				return true;
	return false;
}

static bool fit_common(const struct mpd_common *c, const char *element, unsigned line, struct fault *why)
{
	const struct mpd_descriptor *d = unknown(&c->essential);

	if (is_trick_mode(c))
		fault_set(why, ERR_UNSUPPORTED, _("line %u: this %s is a trick-mode track"), line, element);
	else if (c->content_protection.n > 0)
		fault_set(why, ERR_UNSUPPORTED, _("line %u: this %s has ContentProtection: it is encrypted, and this player has no keys"),
		          line, element);
	else if (d != NULL)
		fault_set(why, ERR_UNSUPPORTED, _("line %u: this %s needs EssentialProperty \"%s\", which this player does not know"),
		          line, element, d->scheme != NULL ? d->scheme : "");
	else
		return true;
	return false;
}

bool fit_mpd(const struct mpd *m, struct fault *why)
{
	const struct mpd_descriptor *d = unknown(&m->essential);

	if (d != NULL)
		fault_set(why, ERR_UNSUPPORTED, _("the MPD needs EssentialProperty \"%s\", which this player does not know"),
		          d->scheme != NULL ? d->scheme : "");
	return d == NULL;
}

bool fit_rendition(const struct timeline_rendition *r, struct fault *why)
{
	const struct mpd_representation *m = r->representation;

	if (!fit_common(&r->set->common, "AdaptationSet", r->set->line, why) ||
	    !fit_common(&m->common, "Representation", m->line, why))
		return false;
	if (r->fault != NULL)
		fault_set(why, ERR_SYNTAX, "%s", r->fault);
	else if (m->dependency_id != NULL)
		fault_set(why, ERR_UNSUPPORTED, _("line %u: this Representation only completes \"%s\" (@dependencyId)"), m->line,
		          m->dependency_id);
	else if (!fit_can_decode(r->codecs))
		fault_set(why, ERR_UNSUPPORTED, _("line %u: no decoder here for its codecs \"%s\""), m->line, r->codecs);
	else
		return true;
	return false;
}

bool fit_track(const struct timeline_track *t, struct fault *why)
{
	for (size_t i = 0; i < t->n_renditions; i++)
		if (fit_rendition(&t->renditions[i], why))
			return true;
	if (t->n_renditions == 0)
		fault_set(why, ERR_UNSUPPORTED, _("line %u: this AdaptationSet has no Representation"), t->set->line);
	return false;
}
