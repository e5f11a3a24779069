/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Works on libxml2's tree.  What is got is parsed inside an element of our own, so
 * that several Periods in a row, which are no document, can be read; it has to
 * earn its place by being of the kind it replaces.
 */
#include "dash/mpd_link.h"

#include <errno.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/mpd.h"
#include "dash/mpd_xml.h"
#include "dash/timeline.h"

#define XLINK "http://www.w3.org/1999/xlink"
#define DASH "urn:mpeg:dash:schema:mpd:2011"
#define EMPTY "<MPD xmlns=\"" DASH "\"/>"
#define TO_ZERO "urn:mpeg:dash:resolve-to-zero:2013"

struct resolver {
	mpd_get_f *get;
	mpd_note_f *note;
	void *ctx;
	unsigned n;                              /* parts got */
	size_t bytes;                            /* of them: in the end all has to fit an MPD */
	const char *chain[MPD_MAX_NESTING + 1];  /* where the document, its part, that part's part ... were found */
	unsigned depth;
};

bool mpd_has_links(const struct mpd *mpd)
{
	for (size_t i = 0; i < mpd->n_periods; i++) {
		const struct mpd_period *p = &mpd->periods[i];

		if (p->xlink_href != NULL || p->imported_mpd != NULL || p->segments.xlink_href != NULL)
			return true;
		for (size_t j = 0; j < p->n_sets; j++) {
			const struct mpd_set *s = &p->sets[j];

			if (s->xlink_href != NULL || s->segments.xlink_href != NULL)
				return true;
			for (size_t k = 0; k < s->n_representations; k++)
				if (s->representations[k].segments.xlink_href != NULL)
					return true;
		}
	}
	return false;
}

static bool is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0 &&
	       mpd_xml_is_namespace(node->ns != NULL ? node->ns->href : NULL);
}

static bool may_be_remote(const xmlNode *node)
{
	return is(node, "Period") || is(node, "AdaptationSet") || is(node, "SegmentList");
}

static char *attribute(const xmlNode *node, const char *name, const char *ns)
{
	xmlChar *v = ns != NULL ? xmlGetNsProp(node, (const xmlChar *)name, (const xmlChar *)ns)
	                        : xmlGetNoNsProp(node, (const xmlChar *)name);
	char *copy = mem_dup((const char *)v);

	xmlFree(v);
	return copy;
}

static void drop(xmlNodePtr node)
{
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

static void leave_out(struct resolver *r, const xmlNode *node, const char *href, const char *why)
{
	char text[900];

	snprintf(text, sizeof text, _("line %ld: %s \"%.300s\" is left out: %.500s"), xmlGetLineNo(node), (const char *)node->name, href, why);
	if (r->note != NULL)
		r->note(r->ctx, text);
}

/* A document from the network reads no files, whatever it asks for. */
static const char *refuse(const struct resolver *r, const char *url)
{
	bool file = str_starts(url, "file://");

	if (!file && !str_starts(url, "http://") && !str_starts(url, "https://"))
		return _("only http and https are followed");
	if (file && !str_starts(r->chain[0], "file://"))
		return _("it is a file, and the MPD is not");
	if (r->depth + 1 >= MPD_MAX_NESTING)
		return _("it is nested too deep");
	if (r->n >= MPD_MAX_LINKS || r->bytes > MPD_MAX_BYTES)
		return _("the MPD has too many remote parts");
	for (unsigned i = 0; i <= r->depth; i++)
		if (strcmp(r->chain[i], url) == 0)
			return _("it is circular");
	return NULL;
}

/* What was got from `url` takes the place of `node` or fills it; NULL, or why not. */
typedef const char *use_f(struct resolver *, xmlNodePtr node, const struct buf *bytes, const char *url, struct fault *);

static const char *use_part(struct resolver *r, xmlNodePtr node, const char *url, use_f *use, struct fault *f)
{
	struct buf bytes;
	char *found = NULL;
	const char *why = url != NULL ? refuse(r, url) : _("it is no address");

	if (why != NULL)
		return why;
	r->n++;
	buf_init(&bytes, MPD_MAX_BYTES);
	if (r->get(r->ctx, url, &bytes, &found, f) != 0)
		why = fault_text(f);
	else if ((r->bytes += bytes.size) > MPD_MAX_BYTES)
		why = _("the MPD has too many remote parts");
	else
		why = use(r, node, &bytes, found != NULL ? found : url, f);
	free(found);
	buf_fini(&bytes);
	return why;
}

/* --- remote elements ------------------------------------------------------------------- */

/* The text without its XML declaration. */
static const char *skip_declaration(const char *s)
{
	const char *end;

	if (str_starts(s, "\xef\xbb\xbf"))
		s += 3;
	if (!str_starts(s, "<?xml"))
		return s;
	end = strstr(s, "?>");
	return end != NULL ? end + 2 : s;
}

/* Does it say, or show, that it is not UTF-8? */
static bool is_foreign(const struct buf *part)
{
	const char *s = buf_text(part), *end, *e;

	if (part->size >= 2 && ((unsigned char)s[0] >= 0xfe || s[0] == '\0' || s[1] == '\0'))
		return true;
	end = str_starts(s, "<?xml") ? strstr(s, "?>") : NULL;
	e = end != NULL ? strstr(s, "encoding") : NULL;
	return e != NULL && e < end && strcspn(e, "uU") > strcspn(e, "?");
}

/* One element in a coding of its own is a document, and goes into one of ours as a tree. */
static int parse_foreign(const struct buf *part, const char *url, xmlDocPtr *ret_doc, struct fault *f)
{
	xmlDocPtr doc = NULL, whole = NULL;
	xmlNodePtr root, copy;
	int e = mpd_xml_tree(part->bytes, part->size, url, &doc, f);

	if (e == 0)
		e = mpd_xml_tree(EMPTY, sizeof EMPTY - 1, url, &whole, f);
	root = e == 0 ? xmlDocGetRootElement(doc) : NULL;
	copy = root != NULL ? xmlDocCopyNode(root, whole, 1) : NULL;
	if (copy != NULL)
		xmlAddChild(xmlDocGetRootElement(whole), copy);
	xmlFreeDoc(doc);
	if (e == 0)
		*ret_doc = whole;
	return e;
}

static int parse_part(const struct buf *part, const char *url, xmlDocPtr *ret_doc, struct fault *f)
{
	struct buf whole;
	int e;

	if (is_foreign(part))
		return parse_foreign(part, url, ret_doc, f);

	buf_init(&whole, MPD_MAX_BYTES);
	buf_puts(&whole, "<MPD xmlns=\"" DASH "\" xmlns:xlink=\"" XLINK "\">");
	buf_puts(&whole, skip_declaration(buf_text(part)));
	buf_puts(&whole, "</MPD>");
	e = buf_error(&whole);
	e = e != 0 ? fault_set(f, e, _("it is too long")) : mpd_xml_tree(whole.bytes, whole.size, url, ret_doc, f);
	buf_fini(&whole);
	return e;
}

static void walk(struct resolver *r, xmlNodePtr node);

/* The elements of the part take the place of `node`; how many they were. */
static unsigned replace(struct resolver *r, xmlNodePtr node, xmlDocPtr part, const char *url)
{
	xmlNodePtr after = node, end = node->next, next;
	unsigned n = 0;

	for (xmlNodePtr c = xmlDocGetRootElement(part)->children; c != NULL; c = c->next) {
		xmlNodePtr copy = is(c, (const char *)node->name) ? xmlDocCopyNode(c, node->doc, 1) : NULL;

		if (copy == NULL)
			continue;
		after = xmlAddNextSibling(after, copy);
		n++;
	}
	r->chain[++r->depth] = url;
	for (xmlNodePtr c = n > 0 ? node->next : end; c != end; c = next) {
		next = c->next;
		walk(r, c);
	}
	r->depth--;
	return n;
}

/* Several elements in a row are no document: they are read inside one of ours. */
static const char *use_remote(struct resolver *r, xmlNodePtr node, const struct buf *bytes, const char *url, struct fault *f)
{
	xmlDocPtr part = NULL;
	const char *why = NULL;

	if (parse_part(bytes, url, &part, f) != 0)
		why = fault_text(f);
	else if (replace(r, node, part, url) == 0)
		why = _("there is no such element in it");
	xmlFreeDoc(part);
	return why;
}

/* Without its link it stands for itself; an empty Period of no length stands for nothing. */
static void unlink_remote(xmlNodePtr node)
{
	static const char *const names[] = {"href", "actuate", "type", "show"};
	char *duration = attribute(node, "duration", NULL);

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		xmlUnsetNsProp(node, xmlSearchNsByHref(node->doc, node, (const xmlChar *)XLINK), (const xmlChar *)names[i]);
	if (xmlFirstElementChild(node) == NULL && duration == NULL)
		drop(node);
	free(duration);
}

static void resolve_remote(struct resolver *r, xmlNodePtr node, const char *href)
{
	char *url = timeline_join_url(r->chain[r->depth], href);
	struct fault f = {0};
	const char *why;

	if (strcmp(href, TO_ZERO) == 0) {
		drop(node);
	} else {
		why = use_part(r, node, url, use_remote, &f);
		if (why != NULL) {
			leave_out(r, node, href, why);
			unlink_remote(node);
		} else {
			drop(node);
		}
	}
	free(url);
}

/* --- imported MPDs ----------------------------------------------------------------------- */

static xmlNodePtr child(xmlNodePtr node, const char *name)
{
	for (xmlNodePtr c = node->children; c != NULL; c = c->next)
		if (is(c, name))
			return c;
	return NULL;
}

static char *base_under(const char *base, xmlNodePtr node)
{
	xmlNodePtr b = child(node, "BaseURL");
	xmlChar *text = b != NULL ? xmlNodeGetContent(b) : NULL;
	char *url = timeline_join_url(base, text != NULL ? (const char *)text : "");

	xmlFree(text);
	return url;
}

/* What the imported MPD's Period has becomes ours, with an absolute BaseURL in front. */
static const char *take_period(xmlNodePtr period, xmlNodePtr mpd, const char *url)
{
	xmlNodePtr from = child(mpd, "Period"), next;
	char *base, *top;

	if (from == NULL)
		return _("it has no Period");
	top = base_under(url, mpd);
	base = top != NULL ? base_under(top, from) : NULL;
	for (xmlNodePtr c = from->children; c != NULL; c = c->next)
		if (!is(c, "BaseURL"))
			xmlAddChild(period, xmlDocCopyNode(c, period->doc, 1));
	for (xmlNodePtr c = period->children; c != NULL; c = next) {
		next = c->next;
		if (is(c, "BaseURL") || is(c, "ImportedMPD"))
			drop(c);
	}
	if (base != NULL)
		xmlNewTextChild(period, period->ns, (const xmlChar *)"BaseURL", (const xmlChar *)base);
	free(base);
	free(top);
	return base != NULL ? NULL : _("its BaseURL cannot be used");
}

/* A Period that says no length is as long as what it imports. */
static void take_length(xmlNodePtr period, xmlNodePtr mpd)
{
	xmlNodePtr from = child(mpd, "Period");
	char *have = attribute(period, "duration", NULL), *length = attribute(from, "duration", NULL);

	if (length == NULL)
		length = attribute(mpd, "mediaPresentationDuration", NULL);
	if (have == NULL && length != NULL)
		xmlNewProp(period, (const xmlChar *)"duration", (const xmlChar *)length);
	free(have);
	free(length);
}

static const char *use_imported(struct resolver *r, xmlNodePtr period, const struct buf *bytes, const char *url, struct fault *f)
{
	xmlDocPtr doc = NULL;
	xmlNodePtr root = NULL;
	const char *why;

	(void)r;
	if (mpd_xml_tree(bytes->bytes, bytes->size, url, &doc, f) != 0)
		why = fault_text(f);
	else if ((root = xmlDocGetRootElement(doc)) == NULL || !is(root, "MPD"))
		why = _("it is no MPD");
	else if ((why = take_period(period, root, url)) == NULL)
		take_length(period, root);
	xmlFreeDoc(doc);
	return why;
}

static void resolve_imported(struct resolver *r, xmlNodePtr period, xmlNodePtr import)
{
	xmlChar *text = xmlNodeGetContent(import);
	char *top = base_under(r->chain[r->depth], xmlDocGetRootElement(period->doc));
	char *base = top != NULL ? base_under(top, period) : NULL;
	char *url = text != NULL ? timeline_join_url(base, (const char *)text) : NULL;
	struct fault f = {0};
	const char *why = use_part(r, period, url, use_imported, &f);

	if (why != NULL) {
		leave_out(r, import, (const char *)text, why);
		drop(import);
	}
	xmlFree(text);
	free(top);
	free(base);
	free(url);
}

/* --- the walk ------------------------------------------------------------------------------ */

/* May free `node`. */
static void walk(struct resolver *r, xmlNodePtr node)
{
	char *href = may_be_remote(node) ? attribute(node, "href", XLINK) : NULL;
	xmlNodePtr import = is(node, "Period") ? child(node, "ImportedMPD") : NULL, next;

	if (href != NULL) {
		resolve_remote(r, node, href);
		free(href);
		return;
	}
	if (import != NULL)
		resolve_imported(r, node, import);
	for (xmlNodePtr c = node->children; c != NULL; c = next) {
		next = c->next;
		if (c->type == XML_ELEMENT_NODE)
			walk(r, c);
	}
}

int mpd_resolve_links(const void *bytes, size_t n, const char *name, const char *url, mpd_get_f *get, mpd_note_f *note,
                      void *ctx, struct buf *out, struct fault *f)
{
	struct resolver r = {.get = get, .note = note, .ctx = ctx, .chain = {url}};
	xmlDocPtr doc = NULL;
	xmlNodePtr root;
	int e = mpd_xml_tree(bytes, n, name, &doc, f);

	if (e != 0)
		return e;
	root = xmlDocGetRootElement(doc);
	if (root == NULL || !is(root, "MPD"))
		e = fault_set(f, ERR_SYNTAX, _("%s: the root element is not an <MPD>"), name);
	if (e == 0) {
		walk(&r, root);
		e = mpd_xml_dump(doc, out);
		if (e != 0)
			fault_set(f, e, _("%s: with its remote parts: %s"), name, words_error(e));
	}
	xmlFreeDoc(doc);
	return e;
}
