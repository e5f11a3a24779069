/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An MPD against an XML schema that the caller has: ISO's schemas may be used and
 * not handed on, so none comes with us.
 */
#include <libxml/xmlschemas.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/words.h"
#include "dash/mpd.h"
#include "dash/mpd_xml.h"

struct complaint { /* the first one */
	int line;
	char text[300];
};

static void note(void *user, const xmlError *e)
{
	struct complaint *c = user;

	if (c->text[0] != '\0' || e->message == NULL)
		return;
	c->line = e->line;
	snprintf(c->text, sizeof c->text, "%.*s", (int)strcspn(e->message, "\n"), e->message);
}

/* libxml2 2.12 made the error const. */
#if LIBXML_VERSION >= 21200
#define NOTE note
#else
static void note_old(void *user, xmlErrorPtr e)
{
	note(user, e);
}
#define NOTE note_old
#endif

/* libxml2 prints what it also returns. */
static void be_quiet(void *user, const char *format, ...)
{
	(void)user;
	(void)format;
}

/* What a schema includes comes from files and catalogues, never from the network. */
static xmlSchemaPtr read_schema(const char *path, struct complaint *c)
{
	xmlExternalEntityLoader before = xmlGetExternalEntityLoader();
	xmlSchemaParserCtxtPtr parser = xmlSchemaNewParserCtxt(path);
	xmlSchemaPtr schema = NULL;

	if (parser == NULL)
		return NULL;
	xmlSetGenericErrorFunc(NULL, be_quiet);
	xmlSetExternalEntityLoader(xmlNoNetExternalEntityLoader);
	xmlSchemaSetParserStructuredErrors(parser, NOTE, c);
	schema = xmlSchemaParse(parser);
	xmlSetExternalEntityLoader(before);
	xmlSetGenericErrorFunc(NULL, NULL);
	xmlSchemaFreeParserCtxt(parser);
	return schema;
}

static int check(xmlDocPtr doc, const char *name, const char *path, struct fault *f)
{
	struct complaint c = {0};
	xmlSchemaPtr schema = read_schema(path, &c);
	xmlSchemaValidCtxtPtr valid = schema != NULL ? xmlSchemaNewValidCtxt(schema) : NULL;
	int r = 0;

	if (valid == NULL) {
		r = fault_set(f, ERR_UNSUPPORTED, _("%s: cannot be read as an XML schema: %s; name in XML_CATALOG_FILES where it finds what it imports"), path,
		              c.text[0] != '\0' ? c.text : _("unreadable"));
	} else {
		xmlSchemaSetValidStructuredErrors(valid, NOTE, &c);
		if (xmlSchemaValidateDoc(valid, doc) != 0)
			r = fault_set(f, ERR_SYNTAX, _("%s:%d: is not valid to %s: %s"), name, c.line, path, c.text);
		xmlSchemaFreeValidCtxt(valid);
	}
	xmlSchemaFree(schema);
	return r;
}

int mpd_check_schema(const void *bytes, size_t n, const char *name, const char *path, struct fault *f)
{
	xmlDocPtr doc;
	int r = mpd_xml_tree(bytes, n, name, &doc, f);

	if (r != 0)
		return r;
	r = check(doc, name, path, f);
	xmlFreeDoc(doc);
	return r;
}
