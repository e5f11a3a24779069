/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A manifest handed to a viewer names the places where its files are.  Works on
 * libxml2's tree, so that what the model does not know (extensions, comments,
 * spacing) stays as its maker wrote it.
 */
#include "dash/mpd.h"

#include <errno.h>
#include <libxml/tree.h>
#include <limits.h>
#include <string.h>

#include "base/buf.h"
#include "base/words.h"
#include "dash/mpd_xml.h"

static bool is_named(const xmlNode *node, const xmlNs *ns, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0 &&
	       (node->ns == ns || (node->ns != NULL && ns != NULL && xmlStrEqual(node->ns->href, ns->href)));
}

static bool is_blank(const xmlNode *node)
{
	return node != NULL && node->type == XML_TEXT_NODE && xmlIsBlankNode(node);
}

static void drop(xmlNodePtr node)
{
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

/* Takes away the MPD's own BaseURLs, each with the white space in front of it. */
static void drop_base_urls(xmlNodePtr root)
{
	xmlNodePtr next;

	for (xmlNodePtr node = root->children; node != NULL; node = next) {
		next = node->next;
		if (!is_named(node, root->ns, "BaseURL"))
			continue;
		if (is_blank(node->prev))
			drop(node->prev);
		drop(node);
	}
}

/* BaseURLs follow ProgramInformation and come before all else: the last node they stand behind, or NULL. */
static xmlNodePtr find_place(xmlNodePtr root)
{
	xmlNodePtr after = NULL;

	for (xmlNodePtr node = root->children; node != NULL; node = node->next)
		if (is_named(node, root->ns, "ProgramInformation"))
			after = node;
	return after;
}

static int put_after(xmlNodePtr root, xmlNodePtr after, xmlNodePtr node)
{
	xmlNodePtr put;

	if (node == NULL)
		return -ENOMEM;
	if (after != NULL)
		put = xmlAddNextSibling(after, node);
	else if (root->children != NULL)
		put = xmlAddPrevSibling(root->children, node);
	else
		put = xmlAddChild(root, node);
	if (put == NULL)
		xmlFreeNode(node);
	return put == NULL ? -ENOMEM : 0;
}

static xmlNodePtr new_base_url(xmlNodePtr root, const struct mpd_place *place)
{
	xmlNodePtr node = xmlNewDocNode(root->doc, root->ns, (const xmlChar *)"BaseURL", NULL);
	xmlNodePtr text = node != NULL ? xmlNewDocText(root->doc, (const xmlChar *)place->url) : NULL;

	if (text == NULL || xmlAddChild(node, text) == NULL ||
	    (place->service_location != NULL &&
	     xmlNewProp(node, (const xmlChar *)"serviceLocation", (const xmlChar *)place->service_location) == NULL)) {
		xmlFreeNode(node);
		return NULL;
	}
	return node;
}

/* The places' names in their order.  All of them: Shaka Player takes what stands here for all there is until the steering
 * server has answered, so with the first one alone its first renditions would have nowhere to fail over to. */
static int put_defaults(xmlNodePtr node, const struct mpd_place *places, size_t n)
{
	struct buf names;
	int e;

	buf_init(&names, n * 129); /* names of at most 128 characters */
	for (size_t i = 0; i < n; i++)
		buf_printf(&names, "%s%s", i > 0 ? " " : "", places[i].service_location);
	e = buf_error(&names);
	if (e == 0 && xmlNewProp(node, (const xmlChar *)"defaultServiceLocation", (const xmlChar *)buf_text(&names)) == NULL)
		e = -ENOMEM;
	buf_fini(&names);
	return e;
}

/* <ContentSteering defaultServiceLocation="FIRST SECOND ...">URL</ContentSteering> (TS 103 998 5) */
static xmlNodePtr new_steering(xmlNodePtr root, const struct mpd_place *places, size_t n, const char *url)
{
	xmlNodePtr node = xmlNewDocNode(root->doc, root->ns, (const xmlChar *)"ContentSteering", NULL);
	xmlNodePtr text = node != NULL ? xmlNewDocText(root->doc, (const xmlChar *)url) : NULL;

	if (text == NULL || xmlAddChild(node, text) == NULL || put_defaults(node, places, n) != 0) {
		xmlFreeNode(node);
		return NULL;
	}
	return node;
}

static int add_steering(xmlNodePtr root, xmlNodePtr after, const struct mpd_place *places, size_t n, const char *url)
{
	xmlNodePtr space = xmlNewDocText(root->doc, (const xmlChar *)"\n  "), node = new_steering(root, places, n, url);
	int e = put_after(root, after, node);

	if (e == 0 && space != NULL && xmlAddPrevSibling(node, space) != NULL)
		return 0;
	xmlFreeNode(space);
	return -ENOMEM;
}

static int add_base_urls(xmlNodePtr root, const struct mpd_place *places, size_t n, const char *steering)
{
	xmlNodePtr after = find_place(root);

	for (size_t i = 0; i < n; i++) {
		xmlNodePtr space = xmlNewDocText(root->doc, (const xmlChar *)"\n  ");
		xmlNodePtr node = new_base_url(root, &places[i]);
		int e = put_after(root, after, node);

		if (e != 0 || space == NULL || xmlAddPrevSibling(node, space) == NULL) {
			xmlFreeNode(space);
			return -ENOMEM;
		}
		after = node;
	}
	return steering != NULL && n > 0 ? add_steering(root, after, places, n, steering) : 0;
}

int mpd_localise(const void *bytes, size_t n, const struct mpd_place *places, size_t n_places, struct buf *out,
                 struct fault *f)
{
	return mpd_localise_steered(bytes, n, places, n_places, NULL, out, f);
}

int mpd_localise_steered(const void *bytes, size_t n, const struct mpd_place *places, size_t n_places, const char *steering,
                         struct buf *out, struct fault *f)
{
	xmlDocPtr doc = NULL;
	xmlNodePtr root;
	int e = mpd_xml_tree(bytes, n, "manifest", &doc, f);

	if (e != 0)
		return e;
	root = xmlDocGetRootElement(doc);
	if (root == NULL || strcmp((const char *)root->name, "MPD") != 0 ||
	    !mpd_xml_is_namespace(root->ns != NULL ? root->ns->href : NULL)) {
		xmlFreeDoc(doc);
		return fault_set(f, ERR_SYNTAX, _("manifest: the root element is not an <MPD>"));
	}
	drop_base_urls(root);
	e = add_base_urls(root, places, n_places, steering);
	if (e == 0)
		e = mpd_xml_dump(doc, out);
	if (e != 0)
		fault_set(f, e, _("manifest: cannot be written: %s"), words_error(e));
	xmlFreeDoc(doc);
	return e;
}
