/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * XML from strangers, through libxml2: no network, no document type
 * declaration (so no entities and no default attributes), at most
 * MPD_MAX_BYTES, 10,000 attributes in a tag, libxml2's own limit on depth.
 */
#ifndef RIBERA_DASH_MPD_XML_H
#define RIBERA_DASH_MPD_XML_H

#include <libxml/parser.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Runs `sax` (its start, end and text callbacks; the rest is filled in here)
 * over the bytes.  In the callbacks ctxt->_private is `user`.  A callback stops
 * with mpd_xml_stop.  ERR_SYNTAX, ERR_LIMIT, -ENOMEM or what mpd_xml_stop gave. */
int mpd_xml_parse(const void *bytes, size_t n, const char *name, xmlSAXHandler *sax, void *user, struct fault *);

/* The same into a tree; xmlFreeDoc it. */
int mpd_xml_tree(const void *bytes, size_t n, const char *name, xmlDocPtr *ret_doc, struct fault *);

/* Appends the document in UTF-8.  -ENOMEM, the buffer's errors. */
struct buf;
int mpd_xml_dump(xmlDocPtr, struct buf *out);

/* The `user` given to mpd_xml_parse, from a callback's context. */
void *mpd_xml_user(void *ctxt);

/* From a callback: ends the parse with `code`; `at` is a place in the parser's
 * input (an attribute's value), or NULL for the element being read. */
void mpd_xml_stop(void *ctxt, const char *at, int code, const char *text);

/* Line of the start tag that is being reported. */
unsigned mpd_xml_line(void *ctxt);

/* "urn:mpeg:dash:schema:mpd:2011" and its older spellings. */
bool mpd_xml_is_namespace(const xmlChar *uri);

#endif
