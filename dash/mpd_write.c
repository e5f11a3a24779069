/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The writer: attributes from the tables of mpd_table.c, elements in the order
 * of the schema (DASH-MPD.xsd is a tree of xs:sequence), through libxml2's text
 * writer, which escapes.  Bytes that cannot stand in XML become U+FFFD.
 */
#include "dash/mpd.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/chvalid.h>
#include <libxml/xmlwriter.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "dash/mpd_table.h"
#include "dash/mpd_values.h"

/* A failed call (there is no memory) is remembered; the rest is then skipped. */
struct writer {
	xmlTextWriterPtr xml;
	bool failed;
};

#define DO(w, call)                                                                                \
	do {                                                                                       \
		if (!(w)->failed && (call) < 0)                                                    \
			(w)->failed = true;                                                        \
	} while (0)

/* Length of the XML character at s, 0 when its bytes are not one (XML 1.0 2.2). */
static size_t character(const unsigned char *s)
{
	int n = 4;
	int c = xmlGetUTF8Char(s, &n);

	return c > 0 && xmlIsCharQ(c) ? (size_t)n : 0;
}

static char *clean(const char *s)
{
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	while (*s != '\0') {
		size_t n = character((const unsigned char *)s);

		buf_append(&out, n > 0 ? s : "\xef\xbf\xbd", n > 0 ? n : 3);
		s += n > 0 ? n : 1;
	}
	return buf_take(&out);
}

static void start(struct writer *w, const char *name)
{
	DO(w, xmlTextWriterStartElement(w->xml, (const xmlChar *)name));
}

static void end(struct writer *w)
{
	DO(w, xmlTextWriterEndElement(w->xml));
}

static void text(struct writer *w, const char *s)
{
	char *c = clean(s);

	DO(w, c == NULL ? -1 : xmlTextWriterWriteString(w->xml, (const xmlChar *)c));
	free(c);
}

static void attribute(struct writer *w, const char *name, const char *value)
{
	char *c = clean(value);

	DO(w, c == NULL ? -1 : xmlTextWriterWriteAttribute(w->xml, (const xmlChar *)name, (const xmlChar *)c));
	free(c);
}

/* The namespaces of foreign attributes are declared where these stand. */
static void declare(struct writer *w, const char *name)
{
	if (strcmp(name, "xlink:href") == 0)
		attribute(w, "xmlns:xlink", "http://www.w3.org/1999/xlink");
	else if (strcmp(name, "scte214:supplementalCodecs") == 0)
		attribute(w, "xmlns:scte214", "urn:scte:dash:scte214-extensions");
}

static bool is_absent(const struct mpd_attr *row, const void *model)
{
	const void *at = (const char *)model + row->offset;

	if (row->has != MPD_NO_HAS)
		return !*(const bool *)((const char *)model + row->has);
	if (row->type == ATTR_TEXT)
		return *(char *const *)at == NULL;
	if (row->absent == MPD_ALWAYS)
		return false;
	switch (row->type) {
	case ATTR_U32:
	case ATTR_RATES:
		return *(const uint32_t *)at == (uint32_t)row->absent;
	case ATTR_U64:
		return *(const uint64_t *)at == (uint64_t)row->absent;
	case ATTR_I64:
		return *(const int64_t *)at == row->absent;
	case ATTR_INT:
		return *(const int *)at == row->absent;
	case ATTR_BOOL:
	case ATTR_FLAG:
		return *(const bool *)at == (row->absent != 0);
	case ATTR_DOUBLE:
		return *(const double *)at == row->absent;
	default:
		return ((const struct mpd_ratio *)at)->den == 0;
	}
}

static void format_ratio(struct mpd_ratio r, bool aspect, char ret_text[static MPD_VALUE_SIZE])
{
	if (aspect)
		snprintf(ret_text, MPD_VALUE_SIZE, "%" PRIu32 ":%" PRIu32, r.num, r.den);
	else if (r.den == 1)
		snprintf(ret_text, MPD_VALUE_SIZE, "%" PRIu32, r.num);
	else
		snprintf(ret_text, MPD_VALUE_SIZE, "%" PRIu32 "/%" PRIu32, r.num, r.den);
}

static void format_range(struct mpd_range r, char ret_text[static MPD_VALUE_SIZE])
{
	if (r.last == UINT64_MAX)
		snprintf(ret_text, MPD_VALUE_SIZE, "%" PRIu64 "-", r.first);
	else
		snprintf(ret_text, MPD_VALUE_SIZE, "%" PRIu64 "-%" PRIu64, r.first, r.last);
}

static const char *format(const struct mpd_attr *row, const void *at, char ret_text[static MPD_VALUE_SIZE])
{
	switch (row->type) {
	case ATTR_TEXT:
		return *(char *const *)at;
	case ATTR_U32:
	case ATTR_RATES:
		snprintf(ret_text, MPD_VALUE_SIZE, "%" PRIu32, *(const uint32_t *)at);
		break;
	case ATTR_U64:
		snprintf(ret_text, MPD_VALUE_SIZE, "%" PRIu64, *(const uint64_t *)at);
		break;
	case ATTR_I64:
		snprintf(ret_text, MPD_VALUE_SIZE, "%" PRId64, *(const int64_t *)at);
		break;
	case ATTR_INT:
		snprintf(ret_text, MPD_VALUE_SIZE, "%d", *(const int *)at);
		break;
	case ATTR_BOOL:
	case ATTR_FLAG:
		return *(const bool *)at ? "true" : "false";
	case ATTR_DYNAMIC:
		return *(const bool *)at ? "dynamic" : "static";
	case ATTR_DOUBLE:
		mpd_value_from_double(*(const double *)at, ret_text);
		break;
	case ATTR_DURATION:
		mpd_value_from_duration(*(const dur_us *)at, ret_text);
		break;
	case ATTR_DATE:
		mpd_value_from_date(*(const wall_us *)at, ret_text);
		break;
	case ATTR_RATE:
	case ATTR_ASPECT:
		format_ratio(*(const struct mpd_ratio *)at, row->type == ATTR_ASPECT, ret_text);
		break;
	case ATTR_RANGE:
		format_range(*(const struct mpd_range *)at, ret_text);
		break;
	}
	return ret_text;
}

static void attributes(struct writer *w, const struct mpd_attr *rows, const void *model)
{
	char value[MPD_VALUE_SIZE];

	for (const struct mpd_attr *row = rows; row->name != NULL; row++) {
		if (is_absent(row, model))
			continue;
		declare(w, row->name);
		attribute(w, row->name, format(row, (const char *)model + row->offset, value));
	}
}

static void text_element(struct writer *w, const char *name, const char *s)
{
	if (s == NULL)
		return;
	start(w, name);
	text(w, s);
	end(w);
}

static void descriptors(struct writer *w, const char *name, const struct mpd_descriptors *list)
{
	for (size_t i = 0; i < list->n; i++) {
		start(w, name);
		attributes(w, mpd_attrs[EL_DESCRIPTOR], &list->v[i]);
		end(w);
	}
}

static void base_urls(struct writer *w, const char *name, const struct mpd_base_urls *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct mpd_base_url *b = &list->v[i];

		start(w, name);
		if ((b->priority != 1) + (b->weight != 1) > 0)
			attribute(w, "xmlns:dvb", "urn:dvb:dash:dash-extensions:2014-1");
		attributes(w, mpd_attrs[EL_BASE_URL], b);
		text(w, b->url != NULL ? b->url : "");
		end(w);
	}
}

static void url(struct writer *w, const char *name, const struct mpd_url *u)
{
	if (!u->present)
		return;
	start(w, name);
	attributes(w, mpd_attrs[EL_URL], u);
	end(w);
}

static void timeline(struct writer *w, const struct mpd_segments *s)
{
	if (!s->has_timeline)
		return;
	start(w, "SegmentTimeline");
	for (size_t i = 0; i < s->n_patterns; i++) {
		start(w, "Pattern");
		attributes(w, mpd_attrs[EL_PATTERN], &s->patterns[i]);
		for (size_t k = 0; k < s->patterns[i].n; k++) {
			start(w, "P");
			attributes(w, mpd_attrs[EL_P], &s->patterns[i].v[k]);
			end(w);
		}
		end(w);
	}
	for (size_t i = 0; i < s->n_timeline; i++) {
		start(w, "S");
		attributes(w, mpd_attrs[EL_S], &s->timeline[i]);
		end(w);
	}
	end(w);
}

static void segments(struct writer *w, const struct mpd_segments *s)
{
	static const char *const names[] = {"", "SegmentBase", "SegmentList", "SegmentTemplate"};

	if (s->kind == MPD_NONE)
		return;
	start(w, names[s->kind]);
	attributes(w, mpd_attrs[EL_SEGMENT_BASE + s->kind - MPD_SEGMENT_BASE], s);
	url(w, "Initialization", &s->initialization);
	url(w, "RepresentationIndex", &s->representation_index);
	timeline(w, s);
	for (size_t i = 0; i < s->n_urls; i++) {
		start(w, "SegmentURL");
		attributes(w, mpd_attrs[EL_SEGMENT_URL], &s->urls[i]);
		end(w);
	}
	end(w);
}

static void common(struct writer *w, const struct mpd_common *c)
{
	descriptors(w, "AudioChannelConfiguration", &c->audio_channels);
	descriptors(w, "ContentProtection", &c->content_protection);
	descriptors(w, "EssentialProperty", &c->essential);
	descriptors(w, "SupplementalProperty", &c->supplemental);
	descriptors(w, "InbandEventStream", &c->inband_events);
}

static void representation(struct writer *w, const struct mpd_representation *r)
{
	start(w, "Representation");
	attributes(w, mpd_attrs[EL_REPRESENTATION], r);
	attributes(w, mpd_common_attrs, &r->common);
	common(w, &r->common);
	base_urls(w, "BaseURL", &r->base_urls);
	segments(w, &r->segments);
	end(w);
}

static void set(struct writer *w, const struct mpd_set *s)
{
	start(w, "AdaptationSet");
	attributes(w, mpd_attrs[EL_SET], s);
	attributes(w, mpd_common_attrs, &s->common);
	common(w, &s->common);
	text_element(w, "Label", s->label);
	descriptors(w, "Accessibility", &s->accessibility);
	descriptors(w, "Role", &s->roles);
	descriptors(w, "Viewpoint", &s->viewpoints);
	base_urls(w, "BaseURL", &s->base_urls);
	segments(w, &s->segments);
	for (size_t i = 0; i < s->n_representations; i++)
		representation(w, &s->representations[i]);
	end(w);
}

static void number(struct writer *w, const char *name, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%" PRIu64, value);
	attribute(w, name, digits);
}

static void events(struct writer *w, const struct mpd_event_stream *stream)
{
	if (stream->scheme == NULL)
		return;
	start(w, "EventStream");
	attribute(w, "schemeIdUri", stream->scheme);
	number(w, "timescale", stream->timescale);
	for (size_t i = 0; i < stream->n_events; i++) {
		start(w, "Event");
		number(w, "presentationTime", stream->events[i].time);
		number(w, "duration", stream->events[i].duration);
		number(w, "id", i + 1);
		text(w, stream->events[i].text);
		end(w);
	}
	end(w);
}

static void period(struct writer *w, const struct mpd_period *p)
{
	start(w, "Period");
	attributes(w, mpd_attrs[EL_PERIOD], p);
	base_urls(w, "BaseURL", &p->base_urls);
	segments(w, &p->segments);
	events(w, &p->events);
	for (size_t i = 0; i < p->n_sets; i++)
		set(w, &p->sets[i]);
	end(w);
}

static void information(struct writer *w, const struct mpd *mpd)
{
	if (mpd->title == NULL && mpd->source == NULL && mpd->copyright == NULL)
		return;
	start(w, "ProgramInformation");
	text_element(w, "Title", mpd->title);
	text_element(w, "Source", mpd->source);
	text_element(w, "Copyright", mpd->copyright);
	end(w);
}

static void steering(struct writer *w, const struct mpd_steering *s)
{
	start(w, "ContentSteering");
	attributes(w, mpd_attrs[EL_STEERING], s);
	text(w, s->url != NULL ? s->url : "");
	end(w);
}

static void service(struct writer *w, const struct mpd *mpd)
{
	const struct mpd_service *s = &mpd->service;
	bool steered = mpd->steering.present && mpd->steering.in_service_description;
	bool latency = s->latency_target != 0 || s->latency_min != 0 || s->latency_max != 0;
	bool rate = s->rate_min != 0 || s->rate_max != 0;

	if (!steered && !latency && !rate)
		return;
	start(w, "ServiceDescription");
	if (latency) {
		start(w, "Latency");
		attributes(w, mpd_attrs[EL_LATENCY], s);
		end(w);
	}
	if (rate) {
		start(w, "PlaybackRate");
		attributes(w, mpd_attrs[EL_PLAYBACK_RATE], s);
		end(w);
	}
	if (steered)
		steering(w, &mpd->steering);
	end(w);
}

static void document(struct writer *w, const struct mpd *mpd)
{
	DO(w, xmlTextWriterSetIndent(w->xml, 1));
	DO(w, xmlTextWriterSetIndentString(w->xml, (const xmlChar *)"  "));
	DO(w, xmlTextWriterStartDocument(w->xml, NULL, "UTF-8", NULL));
	start(w, "MPD");
	attribute(w, "xmlns", "urn:mpeg:dash:schema:mpd:2011");
	attributes(w, mpd_attrs[EL_MPD], mpd);
	information(w, mpd);
	base_urls(w, "BaseURL", &mpd->base_urls);
	base_urls(w, "Location", &mpd->locations);
	base_urls(w, "PatchLocation", &mpd->patch_locations);
	if (mpd->steering.present && !mpd->steering.in_service_description)
		steering(w, &mpd->steering);
	service(w, mpd);
	for (size_t i = 0; i < mpd->n_periods; i++)
		period(w, &mpd->periods[i]);
	descriptors(w, "EssentialProperty", &mpd->essential);
	descriptors(w, "SupplementalProperty", &mpd->supplemental);
	descriptors(w, "UTCTiming", &mpd->utc_timings);
	end(w);
	DO(w, xmlTextWriterEndDocument(w->xml));
}

int mpd_write(const struct mpd *mpd, struct buf *out)
{
	xmlBufferPtr bytes = xmlBufferCreate();
	struct writer w = {.xml = bytes != NULL ? xmlNewTextWriterMemory(bytes, 0) : NULL};
	int e = -ENOMEM;

	if (w.xml != NULL) {
		document(&w, mpd);
		xmlFreeTextWriter(w.xml);
		if (!w.failed)
			e = buf_append(out, xmlBufferContent(bytes), (size_t)xmlBufferLength(bytes));
	}
	xmlBufferFree(bytes);
	return e;
}
