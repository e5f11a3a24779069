/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The MPD model's life: made, grown element by element, freed.  An array has no
 * capacity field: its memory doubles whenever its length is a power of two.
 */
#include "dash/mpd.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Room for element n, which is zeroed. */
static void *append(void **v, size_t *n, size_t size)
{
	char *place;

	if ((*n & (*n - 1)) == 0)
		*v = mem_resize(*v, *n == 0 ? 1 : *n * 2, size);
	place = (char *)*v + *n * size;
	memset(place, 0, size);
	++*n;
	return place;
}
#define APPEND(v, n) append((void **)&(v), &(n), sizeof *(v))

struct mpd *mpd_new(void)
{
	struct mpd *mpd = mem_new(sizeof *mpd);

	mpd->steering.client_requirement = true;
	return mpd;
}

struct mpd_period *mpd_add_period(struct mpd *mpd)
{
	return APPEND(mpd->periods, mpd->n_periods);
}

struct mpd_set *mpd_add_set(struct mpd_period *period)
{
	struct mpd_set *set = APPEND(period->sets, period->n_sets);

	set->common.start_with_sap = -1;
	set->selection_priority = 1;
	return set;
}

struct mpd_representation *mpd_add_representation(struct mpd_set *set)
{
	struct mpd_representation *r = APPEND(set->representations, set->n_representations);

	r->common.start_with_sap = -1;
	return r;
}

struct mpd_s *mpd_add_s(struct mpd_segments *segments)
{
	struct mpd_s *s = APPEND(segments->timeline, segments->n_timeline);

	segments->has_timeline = true;
	s->k = 1;
	return s;
}

struct mpd_pattern *mpd_add_pattern(struct mpd_segments *segments)
{
	return APPEND(segments->patterns, segments->n_patterns);
}

struct mpd_p *mpd_add_p(struct mpd_pattern *pattern)
{
	return APPEND(pattern->v, pattern->n);
}

struct mpd_segment_url *mpd_add_segment_url(struct mpd_segments *segments)
{
	return APPEND(segments->urls, segments->n_urls);
}

void mpd_add_event(struct mpd_event_stream *stream, uint64_t time, uint64_t duration, const char *text)
{
	struct mpd_event *e = APPEND(stream->events, stream->n_events);

	e->time = time;
	e->duration = duration;
	e->text = mem_dup(text);
}

void mpd_add_descriptor(struct mpd_descriptors *list, const char *scheme, const char *value)
{
	struct mpd_descriptor *d = APPEND(list->v, list->n);

	d->scheme = mem_dup(scheme);
	d->value = mem_dup(value);
}

void mpd_add_base_url(struct mpd_base_urls *list, const char *url, const char *service_location)
{
	struct mpd_base_url *b = APPEND(list->v, list->n);

	b->url = mem_dup(url);
	b->service_location = mem_dup(service_location);
	b->priority = b->weight = 1;
}

static void free_descriptors(struct mpd_descriptors *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].scheme);
		free(list->v[i].value);
		free(list->v[i].id);
	}
	free(list->v);
}

static void free_base_urls(struct mpd_base_urls *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].url);
		free(list->v[i].service_location);
	}
	free(list->v);
}

static void free_segments(struct mpd_segments *s)
{
	for (size_t i = 0; i < s->n_urls; i++) {
		free(s->urls[i].media);
		free(s->urls[i].index);
	}
	for (size_t i = 0; i < s->n_patterns; i++)
		free(s->patterns[i].v);
	free(s->patterns);
	free(s->urls);
	free(s->timeline);
	free(s->initialization.source);
	free(s->representation_index.source);
	free(s->media);
	free(s->init);
	free(s->index);
	free(s->xlink_href);
	free(s->xlink_actuate);
}

static void free_common(struct mpd_common *c)
{
	free(c->profiles);
	free(c->mime_type);
	free(c->codecs);
	free(c->supplemental_codecs);
	free(c->container_profiles);
	free(c->scan_type);
	free_descriptors(&c->audio_channels);
	free_descriptors(&c->essential);
	free_descriptors(&c->supplemental);
	free_descriptors(&c->content_protection);
	free_descriptors(&c->inband_events);
}

static void free_representation(struct mpd_representation *r)
{
	free(r->id);
	free(r->dependency_id);
	free_common(&r->common);
	free_base_urls(&r->base_urls);
	free_segments(&r->segments);
}

static void free_set(struct mpd_set *set)
{
	for (size_t i = 0; i < set->n_representations; i++)
		free_representation(&set->representations[i]);
	free(set->representations);
	free(set->id);
	free(set->lang);
	free(set->content_type);
	free(set->label);
	free(set->xlink_href);
	free(set->xlink_actuate);
	free_descriptors(&set->roles);
	free_descriptors(&set->accessibility);
	free_descriptors(&set->viewpoints);
	free_common(&set->common);
	free_base_urls(&set->base_urls);
	free_segments(&set->segments);
}

static void free_events(struct mpd_event_stream *stream)
{
	for (size_t i = 0; i < stream->n_events; i++)
		free(stream->events[i].text);
	free(stream->events);
	free(stream->scheme);
}

static void free_period(struct mpd_period *p)
{
	free_events(&p->events);
	for (size_t i = 0; i < p->n_sets; i++)
		free_set(&p->sets[i]);
	free(p->sets);
	free(p->id);
	free(p->xlink_href);
	free(p->xlink_actuate);
	free(p->imported_mpd);
	free_base_urls(&p->base_urls);
	free_segments(&p->segments);
}

void mpd_free(struct mpd **at)
{
	struct mpd *mpd = *at;

	if (mpd == NULL)
		return;
	for (size_t i = 0; i < mpd->n_periods; i++)
		free_period(&mpd->periods[i]);
	free(mpd->periods);
	free(mpd->id);
	free(mpd->profiles);
	free(mpd->title);
	free(mpd->source);
	free(mpd->copyright);
	free(mpd->steering.url);
	free(mpd->steering.default_service_location);
	free_base_urls(&mpd->base_urls);
	free_base_urls(&mpd->locations);
	free_base_urls(&mpd->patch_locations);
	free_descriptors(&mpd->utc_timings);
	free_descriptors(&mpd->essential);
	free_descriptors(&mpd->supplemental);
	free(mpd);
	*at = NULL;
}
