/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The reader: SAX events walk the tables of mpd_table.c.  A frame of the stack
 * points at the model of an open element; what no table knows is skipped with all
 * below it.  What is made of the input is charged to a budget, so a small
 * document cannot make a huge model.
 */
#include "dash/mpd.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/words.h"
#include "dash/mpd_table.h"
#include "dash/mpd_values.h"
#include "dash/mpd_xml.h"

#define MAX_DEPTH 16
#define MAX_TEXT ((size_t)64 << 10)   /* of one attribute or one element's text */
#define MAX_MODEL ((size_t)192 << 20) /* bytes the model may take */

struct frame {
	const struct mpd_nesting *nesting; /* NULL: the root */
	enum mpd_element element;
	void *model;
};

struct reader {
	struct mpd *mpd;
	struct frame stack[MAX_DEPTH];
	size_t depth;
	size_t skipped; /* open elements nobody knows */
	size_t charged;
	struct buf text;
};

struct tag {
	void *ctxt;
	const char *name;
	const xmlChar **attributes; /* of five: name, prefix, URI, value, end of value */
	size_t n;
};

static int charge(struct reader *r, void *ctxt, size_t bytes)
{
	r->charged += bytes;
	if (r->charged <= MAX_MODEL)
		return 0;
	mpd_xml_stop(ctxt, NULL, ERR_LIMIT, _("the MPD has too many elements"));
	return ERR_LIMIT;
}

/* --- attributes ---------------------------------------------------------------------- */

static const char *type_words(enum mpd_attr_type type)
{
	switch (type) {
	case ATTR_BOOL:
		return _("true or false");
	case ATTR_FLAG:
		return _("true, false or a number");
	case ATTR_DOUBLE:
		return _("a decimal number");
	case ATTR_DURATION:
		return _("a duration like PT1H2M3.5S");
	case ATTR_DATE:
		return _("a date like 2026-01-31T12:00:00Z");
	case ATTR_RATE:
		return _("a rate like 25 or 30000/1001");
	case ATTR_ASPECT:
		return _("a ratio like 16:9");
	case ATTR_RANGE:
		return _("a byte range like 0-1234");
	case ATTR_DYNAMIC:
		return _("static or dynamic");
	default:
		return _("a whole number");
	}
}

static int set_u32(const char *s, size_t n, void *at)
{
	uint64_t v;
	int r = mpd_value_uint(s, n, UINT32_MAX, &v);

	if (r == 0)
		*(uint32_t *)at = (uint32_t)v;
	return r;
}

static int set_rates(const char *s, size_t n, void *at)
{
	uint64_t v;
	int r = mpd_value_last_uint(s, n, UINT32_MAX, &v);

	if (r == 0)
		*(uint32_t *)at = (uint32_t)v;
	return r;
}

static int set_int(const char *s, size_t n, void *at)
{
	uint64_t v;
	int r = mpd_value_uint(s, n, INT16_MAX, &v);

	if (r == 0)
		*(int *)at = (int)v;
	return r;
}

static int set_dynamic(const char *s, size_t n, void *at)
{
	bool dynamic = n == 7 && memcmp(s, "dynamic", 7) == 0;

	if (!dynamic && !(n == 6 && memcmp(s, "static", 6) == 0) && !(n == 4 && memcmp(s, "list", 4) == 0)) /* a list is as static as what it imports */
		return ERR_SYNTAX;
	*(bool *)at = dynamic;
	return 0;
}

static int set_value(enum mpd_attr_type type, const char *s, size_t n, void *at)
{
	switch (type) {
	case ATTR_TEXT:
		free(*(char **)at);
		*(char **)at = mem_dup_n(s, n);
		return 0;
	case ATTR_U32:
		return set_u32(s, n, at);
	case ATTR_RATES:
		return set_rates(s, n, at);
	case ATTR_U64:
		return mpd_value_uint(s, n, UINT64_MAX, at);
	case ATTR_I64:
		return mpd_value_int(s, n, at);
	case ATTR_INT:
		return set_int(s, n, at);
	case ATTR_BOOL:
		return mpd_value_bool(s, n, at);
	case ATTR_FLAG:
		return mpd_value_flag(s, n, at);
	case ATTR_DOUBLE:
		return mpd_value_double(s, n, at);
	case ATTR_DURATION:
		return mpd_value_duration(s, n, at);
	case ATTR_DATE:
		return mpd_value_date(s, n, at);
	case ATTR_RATE:
	case ATTR_ASPECT:
		return mpd_value_ratio(s, n, at);
	case ATTR_RANGE:
		return mpd_value_range(s, n, at);
	case ATTR_DYNAMIC:
		return set_dynamic(s, n, at);
	}
	return ERR_SYNTAX;
}

/* The value of the attribute a row is about, or NULL.  "xlink:href" stands for any prefix. */
static const char *find_attribute(const struct tag *tag, const char *name, size_t *ret_n)
{
	const char *colon = strchr(name, ':');
	const char *local = colon != NULL ? colon + 1 : name;

	for (size_t i = 0; i < tag->n; i++) {
		const xmlChar **a = tag->attributes + 5 * i;

		if ((a[1] != NULL) == (colon != NULL) && strcmp((const char *)a[0], local) == 0) {
			*ret_n = (size_t)(a[4] - a[3]);
			return (const char *)a[3];
		}
	}
	return NULL;
}

static int read_attribute(struct reader *r, const struct tag *tag, const struct mpd_attr *row, void *model)
{
	size_t n;
	const char *value = find_attribute(tag, row->name, &n);
	char text[384];
	int e;

	if (value == NULL)
		return 0;
	if (n > MAX_TEXT) {
		mpd_xml_stop(tag->ctxt, value, ERR_LIMIT, _("an attribute is longer than 64 KiB"));
		return ERR_LIMIT;
	}
	if (row->type == ATTR_TEXT && charge(r, tag->ctxt, n + 1) != 0)
		return ERR_LIMIT;
	e = set_value(row->type, value, n, (char *)model + row->offset);
	if (e == 0) {
		if (row->has != MPD_NO_HAS)
			*(bool *)((char *)model + row->has) = true;
		return 0;
	}
	snprintf(text, sizeof text, _("%s@%s \"%.*s%s\" %s, expected %s"), tag->name, row->name, n > 80 ? 80 : (int)n, value,
	         n > 80 ? "..." : "", e == ERR_OUT_OF_RANGE ? _("is out of range") : _("cannot be parsed"), type_words(row->type));
	mpd_xml_stop(tag->ctxt, value, ERR_SYNTAX, text);
	return ERR_SYNTAX;
}

static int read_attributes(struct reader *r, const struct tag *tag, const struct mpd_attr *rows, void *model)
{
	int e = 0;

	for (const struct mpd_attr *row = rows; row->name != NULL && e == 0; row++)
		e = read_attribute(r, tag, row, model);
	return e;
}

/* --- elements ------------------------------------------------------------------------ */

/* Of several at one level, which is not valid, the richest is taken. */
static void *open_segments(struct mpd_segments *segments, enum mpd_addressing kind, unsigned line)
{
	if (segments->kind != MPD_NONE && kind <= segments->kind)
		return NULL;
	segments->kind = kind;
	segments->timescale = segments->has_timescale ? segments->timescale : 1;
	segments->line = line;
	return segments;
}

static struct mpd_descriptor *open_descriptor(struct mpd_descriptors *list)
{
	mpd_add_descriptor(list, NULL, NULL);
	return &list->v[list->n - 1];
}

static struct mpd_base_url *open_base_url(struct mpd_base_urls *list)
{
	mpd_add_base_url(list, NULL, NULL);
	return &list->v[list->n - 1];
}

/* Of ContentSteering the first counts. */
static void *open_steering(struct mpd_steering *steering, bool in_service_description)
{
	if (steering->present)
		return NULL;
	steering->present = true;
	steering->in_service_description = in_service_description;
	return steering;
}

static void *open_url(struct mpd_url *url)
{
	if (url->present)
		return NULL;
	url->present = true;
	return url;
}

/* What an element costs in memory, its neighbours in a doubled array included. */
static size_t cost_of(enum mpd_element element)
{
	switch (element) {
	case EL_PERIOD:
		return 3 * sizeof(struct mpd_period);
	case EL_SET:
		return 3 * sizeof(struct mpd_set);
	case EL_REPRESENTATION:
		return 3 * sizeof(struct mpd_representation);
	case EL_S:
		return 2 * sizeof(struct mpd_s);
	case EL_P:
		return 2 * sizeof(struct mpd_p);
	case EL_SEGMENT_URL:
		return 2 * sizeof(struct mpd_segment_url);
	default:
		return 128;
	}
}

/* The model of a new element, or NULL to skip it. */
static void *open_model(struct reader *r, void *ctxt, const struct mpd_nesting *nesting, const struct frame *parent)
{
	char *at = (char *)parent->model + nesting->offset;

	switch (nesting->child) {
	case EL_PERIOD:
		return mpd_add_period(parent->model);
	case EL_SET:
		return mpd_add_set(parent->model);
	case EL_REPRESENTATION:
		return mpd_add_representation(parent->model);
	case EL_PATTERN:
		return mpd_add_pattern(parent->model);
	case EL_P:
		return mpd_add_p(parent->model);
	case EL_S:
		return mpd_add_s(parent->model);
	case EL_SEGMENT_URL:
		return mpd_add_segment_url(parent->model);
	case EL_TIMELINE:
		((struct mpd_segments *)parent->model)->has_timeline = true;
		return parent->model;
	case EL_COMPONENT: /* of several the first counts; the set's own attribute is stronger */
		return ((struct mpd_set *)parent->model)->content_type == NULL ? parent->model : NULL;
	case EL_TEXT:
		return *(char **)at == NULL ? at : NULL;
	case EL_SEGMENT_BASE:
		return open_segments((struct mpd_segments *)at, MPD_SEGMENT_BASE, mpd_xml_line(ctxt));
	case EL_SEGMENT_LIST:
		return open_segments((struct mpd_segments *)at, MPD_SEGMENT_LIST, mpd_xml_line(ctxt));
	case EL_SEGMENT_TEMPLATE:
		return open_segments((struct mpd_segments *)at, MPD_SEGMENT_TEMPLATE, mpd_xml_line(ctxt));
	case EL_DESCRIPTOR:
		return open_descriptor((struct mpd_descriptors *)at);
	case EL_BASE_URL:
		return open_base_url((struct mpd_base_urls *)at);
	case EL_STEERING:
		return open_steering((struct mpd_steering *)at, parent->element == EL_SERVICE);
	case EL_URL:
		return open_url((struct mpd_url *)at);
	default:
		return at;
	}
}

/* What else an element brings, besides the rows of its own table. */
static int finish_open(struct reader *r, const struct tag *tag, struct frame *f)
{
	struct mpd_set *set = f->model;
	struct mpd_representation *rep = f->model;
	struct mpd_s *s = f->model;

	switch (f->element) {
	case EL_PERIOD:
		((struct mpd_period *)f->model)->line = mpd_xml_line(tag->ctxt);
		return 0;
	case EL_SET:
		set->line = mpd_xml_line(tag->ctxt);
		return read_attributes(r, tag, mpd_common_attrs, &set->common);
	case EL_REPRESENTATION:
		rep->line = mpd_xml_line(tag->ctxt);
		return read_attributes(r, tag, mpd_common_attrs, &rep->common);
	case EL_S:
		s->line = mpd_xml_line(tag->ctxt);
		return 0;
	default:
		return 0;
	}
}

static const struct mpd_nesting *find_nesting(enum mpd_element parent, const char *name)
{
	for (size_t i = 0; i < mpd_n_nestings; i++)
		if (mpd_nestings[i].parent == parent && strcmp(mpd_nestings[i].name, name) == 0)
			return &mpd_nestings[i];
	return NULL;
}

static void open_root(struct reader *r, const struct tag *tag, const xmlChar *uri)
{
	char text[256];

	if (strcmp(tag->name, "MPD") != 0 || !mpd_xml_is_namespace(uri)) {
		snprintf(text, sizeof text, _("the root element is <%.100s>, expected <MPD> of urn:mpeg:dash:schema:mpd:2011"),
		         tag->name);
		mpd_xml_stop(tag->ctxt, NULL, ERR_SYNTAX, text);
		return;
	}
	r->stack[0] = (struct frame){.element = EL_MPD, .model = r->mpd};
	r->depth = 1;
	read_attributes(r, tag, mpd_attrs[EL_MPD], r->mpd);
}

static void on_start(void *ctxt, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri, int n_namespaces,
                     const xmlChar **namespaces, int n_attributes, int n_defaulted, const xmlChar **attributes)
{
	struct reader *r = mpd_xml_user(ctxt);
	struct tag tag = {.ctxt = ctxt, .name = (const char *)local, .attributes = attributes, .n = (size_t)n_attributes};
	const struct mpd_nesting *nesting = NULL;
	struct frame *f;
	void *model = NULL;

	buf_clear(&r->text);
	if (r->depth == 0) {
		open_root(r, &tag, uri);
		return;
	}
	if (r->skipped == 0 && r->depth < MAX_DEPTH && mpd_xml_is_namespace(uri) && (uri != NULL || prefix == NULL))
		nesting = find_nesting(r->stack[r->depth - 1].element, tag.name);
	if (nesting != NULL) {
		if (charge(r, ctxt, cost_of(nesting->child)) != 0)
			return;
		model = open_model(r, ctxt, nesting, &r->stack[r->depth - 1]);
	}
	if (model == NULL) {
		r->skipped++;
		return;
	}
	f = &r->stack[r->depth++];
	*f = (struct frame){.nesting = nesting, .element = nesting->child, .model = model};
	if (read_attributes(r, &tag, mpd_attrs[f->element], model) == 0)
		finish_open(r, &tag, f);
}

static void on_text(void *ctxt, const xmlChar *text, int n)
{
	struct reader *r = mpd_xml_user(ctxt);
	enum mpd_element e = r->depth > 0 ? r->stack[r->depth - 1].element : EL_MPD;

	if (r->skipped > 0 || (e != EL_TEXT && e != EL_BASE_URL && e != EL_STEERING))
		return;
	if (buf_append(&r->text, text, (size_t)n) != 0)
		mpd_xml_stop(ctxt, NULL, ERR_LIMIT, _("an element's text is longer than 64 KiB"));
}

static char *take_text(struct reader *r)
{
	const char *s = buf_text(&r->text);
	size_t n = strlen(s);

	while (n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL)
		n--;
	while (n > 0 && strchr(" \t\r\n", *s) != NULL) {
		s++;
		n--;
	}
	return mem_dup_n(s, n);
}

static void on_end(void *ctxt, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri)
{
	struct reader *r = mpd_xml_user(ctxt);
	struct frame *f;

	if (r->skipped > 0) {
		r->skipped--;
		return;
	}
	if (r->depth == 0)
		return;
	f = &r->stack[--r->depth];
	if (f->element != EL_TEXT && f->element != EL_BASE_URL && f->element != EL_STEERING)
		return;
	if (charge(r, ctxt, r->text.size + 1) != 0)
		return;
	if (f->element == EL_TEXT)
		*(char **)f->model = take_text(r);
	else if (f->element == EL_BASE_URL)
		((struct mpd_base_url *)f->model)->url = take_text(r);
	else
		((struct mpd_steering *)f->model)->url = take_text(r);
}

int mpd_read(const void *bytes, size_t n, const char *name, struct mpd **ret_mpd, struct fault *f)
{
	xmlSAXHandler sax = {.startElementNs = on_start, .endElementNs = on_end, .characters = on_text, .cdataBlock = on_text};
	struct reader r = {.mpd = mpd_new()};
	int e;

	buf_init(&r.text, MAX_TEXT);
	e = mpd_xml_parse(bytes, n, name, &sax, &r, f);
	buf_fini(&r.text);
	if (e != 0) {
		mpd_free(&r.mpd);
		return e;
	}
	*ret_mpd = r.mpd;
	return 0;
}
