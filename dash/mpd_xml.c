/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * libxml2 with its doors shut.  Places are worked out from the parser's input
 * window at the moment of the error, so they point at the value, not behind it.
 */
#include "dash/mpd_xml.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/words.h"
#include "dash/mpd.h"

#define MAX_ATTRIBUTES 10000 /* no '=' more between two '<': text between tags counts, too */
#define SMALL_TAG 1024       /* bytes: its attributes are not worth counting */
#define MAX_PAIRS 500000000  /* of attributes that are compared with each other, over all tags: two seconds */

struct run {
	const char *name;
	void *user;
	struct fault *fault;
	int code; /* of the first failure */
};

static struct run *run_of(void *ctxt)
{
	return ((xmlParserCtxtPtr)ctxt)->_private;
}

void *mpd_xml_user(void *ctxt)
{
	return run_of(ctxt)->user;
}

static void fail(struct run *run, int code, int line, int column, const char *text)
{
	if (run->code != 0)
		return;
	run->code = code;
	fault_set(run->fault, code, "%s:%d:%d: %s", run->name, line, column, text);
}

/* The '<' of the tag that ends at the parser's cursor: no '<' can stand inside a tag (XML 1.0 3.1). */
static const xmlChar *tag_start(const struct _xmlParserInput *in)
{
	const xmlChar *p = in->cur;

	while (p > in->base && *--p != '<')
		;
	return p;
}

static int lines_between(const xmlChar *from, const xmlChar *to)
{
	int n = 0;

	while (from < to)
		n += *from++ == '\n';
	return n;
}

unsigned mpd_xml_line(void *ctxt)
{
	const struct _xmlParserInput *in = ((xmlParserCtxtPtr)ctxt)->input;

	return (unsigned)(in->line - lines_between(tag_start(in), in->cur));
}

void mpd_xml_stop(void *ctxt, const char *at, int code, const char *text)
{
	const struct _xmlParserInput *in = ((xmlParserCtxtPtr)ctxt)->input;
	const xmlChar *place = (const xmlChar *)at, *line;

	if (place < in->base || place >= in->cur)
		place = tag_start(in);
	for (line = place; line > in->base && line[-1] != '\n'; line--)
		;
	/* Long lines have lost their start from the window: count back from the cursor instead. */
	fail(run_of(ctxt), code, in->line - lines_between(place, in->cur),
	     lines_between(place, in->cur) == 0 ? in->col - (int)(in->cur - place) : (int)(place - line) + 1, text);
	xmlStopParser(ctxt);
}

static void on_error(void *ctxt, xmlErrorPtr error)
{
	char text[256];
	size_t n;

	if (error->level != XML_ERR_FATAL)
		return; /* an undeclared prefix and the like: we can read on */
	snprintf(text, sizeof text, _("not well-formed XML: %s"), error->message != NULL ? error->message : _("unknown error"));
	n = strlen(text);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = '\0';
	fail(run_of(ctxt), error->code == XML_ERR_NO_MEMORY ? -ENOMEM : ERR_SYNTAX, error->line, error->int2, text);
}

/* An MPD has no use for one, and entities and default attributes are how a small document grows huge. */
static void on_doctype(void *ctxt, const xmlChar *name, const xmlChar *id, const xmlChar *system)
{
	mpd_xml_stop(ctxt, NULL, ERR_SYNTAX, _("a document type declaration is not allowed in an MPD: remove <!DOCTYPE ...>"));
}

enum crowd { CROWD_NONE, CROWD_TAG, CROWD_ALL };

/* libxml2 looks for an attribute's twin among all before it: 100,000 of them in one tag take ten seconds, and there is
 * no bound of its own.  A tag has no '<' within (XML 1.0 3.1), and an attribute has one '=' at least. */
static enum crowd find_crowd(const uint8_t *s, size_t n)
{
	const uint8_t *end = s + n, *next;
	size_t pairs = 0;

	for (; (s = memchr(s, '<', (size_t)(end - s))) != NULL; s = next) {
		size_t equals = 0;

		s++;
		next = memchr(s, '<', (size_t)(end - s));
		next = next != NULL ? next : end;
		if (next - s <= SMALL_TAG || *s == '!' || *s == '?')
			continue;
		for (const uint8_t *p = s; p < next; p++)
			equals += *p == '=';
		pairs += equals * equals / 2;
		if (equals > MAX_ATTRIBUTES || pairs > MAX_PAIRS)
			return equals > MAX_ATTRIBUTES ? CROWD_TAG : CROWD_ALL;
	}
	return CROWD_NONE;
}

/* libxml2's first use makes its locks, without one: two threads at a time must not. */
static void first_use(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, xmlInitParser);
}

static int parse(const void *bytes, size_t n, struct run *run, const xmlSAXHandler *sax, xmlDocPtr *ret_doc)
{
	xmlParserCtxtPtr ctxt;
	xmlDocPtr doc;
	enum crowd crowd;
	bool good;

	if (n > MPD_MAX_BYTES)
		return fault_set(run->fault, ERR_LIMIT, _("%s: is larger than the %zu MiB allowed for an MPD"), run->name,
		                 MPD_MAX_BYTES >> 20);
	if (n == 0)
		return fault_set(run->fault, ERR_SYNTAX, _("%s: is empty, expected an MPD"), run->name);
	crowd = find_crowd(bytes, n);
	if (crowd == CROWD_TAG)
		return fault_set(run->fault, ERR_LIMIT, _("%s: has a tag with more than %d attributes"), run->name, MAX_ATTRIBUTES);
	if (crowd == CROWD_ALL)
		return fault_set(run->fault, ERR_LIMIT, _("%s: has too many tags with thousands of attributes"), run->name);
	first_use();
	ctxt = xmlNewParserCtxt();
	if (ctxt == NULL)
		return fault_set(run->fault, -ENOMEM, _("%s: out of memory"), run->name);
	if (sax != NULL)
		*ctxt->sax = *sax;
	ctxt->sax->initialized = XML_SAX2_MAGIC;
	ctxt->sax->serror = on_error;
	ctxt->sax->internalSubset = on_doctype;
	ctxt->_private = run;
	/* NOENT: else "&amp;" of an attribute reaches SAX as "&#38;".  Others than the five of XML cannot be declared here. */
	doc = xmlCtxtReadMemory(ctxt, bytes, (int)n, NULL, NULL,
	                        XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	good = ctxt->wellFormed;
	if (!good && run->code == 0)
		fail(run, ERR_SYNTAX, ctxt->input != NULL ? ctxt->input->line : 1, 1, _("not well-formed XML"));
	xmlFreeParserCtxt(ctxt);
	if (run->code != 0 || ret_doc == NULL) {
		xmlFreeDoc(doc);
		return run->code;
	}
	if (doc == NULL)
		return fault_set(run->fault, -ENOMEM, _("%s: out of memory"), run->name);
	*ret_doc = doc;
	return 0;
}

int mpd_xml_parse(const void *bytes, size_t n, const char *name, xmlSAXHandler *sax, void *user, struct fault *f)
{
	struct run run = {.name = name, .user = user, .fault = f};

	return parse(bytes, n, &run, sax, NULL);
}

int mpd_xml_tree(const void *bytes, size_t n, const char *name, xmlDocPtr *ret_doc, struct fault *f)
{
	struct run run = {.name = name, .fault = f};

	return parse(bytes, n, &run, NULL, ret_doc);
}

int mpd_xml_dump(xmlDocPtr doc, struct buf *out)
{
	xmlChar *bytes = NULL;
	int n = 0, e;

	xmlDocDumpMemoryEnc(doc, &bytes, &n, "UTF-8");
	if (bytes == NULL)
		return -ENOMEM;
	e = buf_append(out, bytes, (size_t)n);
	xmlFree(bytes);
	return e;
}

bool mpd_xml_is_namespace(const xmlChar *uri)
{
	static const char prefix[] = "urn:mpeg:dash:schema:mpd:";

	return uri == NULL || strncasecmp((const char *)uri, prefix, sizeof prefix - 1) == 0;
}
