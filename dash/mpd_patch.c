/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A selector of our own instead of XPath: what the standard allows is a page of
 * code, bounded by the document's size, and unprefixed names mean MPD elements,
 * which XPath 1.0 cannot say.
 */
#include "dash/mpd_patch.h"

#include <errno.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/mpd_values.h"
#include "dash/mpd_xml.h"

#define PATCH_NAMESPACE "urn:mpeg:dash:schema:mpd-patch:2020"
#define MAX_STEPS 50000000 /* elements, attributes and pieces of their values that all selectors of a patch look at */
#define PIECE 64           /* bytes */

/* What a selector found: an element, one of its attributes, or its text. */
struct target {
	xmlNodePtr node;
	char *attribute; /* or NULL */
	bool text;
};

/* --- selectors --------------------------------------------------------------------------- */

static size_t name_size(const char *s)
{
	return strcspn(s, "/[]@='\" ");
}

/* The part behind a prefix: elements are known by their local names. */
static const char *local(const char *s, size_t *n)
{
	const char *colon = memchr(s, ':', *n);

	if (colon == NULL)
		return s;
	*n -= (size_t)(colon + 1 - s);
	return colon + 1;
}

static bool is_named(const xmlNode *node, const char *name, size_t n)
{
	return node->type == XML_ELEMENT_NODE &&
	       ((n == 1 && *name == '*') || (strlen((const char *)node->name) == n && memcmp(node->name, name, n) == 0));
}

static bool has_value(const xmlNode *node, const char *name, size_t n, const char *value, size_t n_value, size_t *steps)
{
	for (const xmlAttr *a = node->properties; a != NULL; a = a->next) {
		xmlChar *v;
		bool same;

		++*steps;
		if (strlen((const char *)a->name) != n || memcmp(a->name, name, n) != 0)
			continue;
		v = xmlNodeGetContent((const xmlNode *)a);
		same = v != NULL && strlen((const char *)v) == n_value && memcmp(v, value, n_value) == 0;
		*steps += v != NULL ? strlen((const char *)v) / PIECE : 0;
		xmlFree(v);
		return same;
	}
	return false;
}

/* One "[...]" for each of up to 8; the position counts among those that the tests in front of it left. */
struct test {
	const char *name, *value; /* NULL name: a position */
	size_t n_name, n_value;
	uint64_t position, seen;
};
struct step {
	const char *name;
	size_t n;
	struct test tests[8];
	size_t n_tests;
};

/* "[3]" or "[@id='x']", from its '['; what follows it, or NULL. */
static const char *read_test(const char *s, struct test *t)
{
	*t = (struct test){0};
	s++;
	if (*s != '@') {
		size_t n = strspn(s, "0123456789");

		if (n == 0 || s[n] != ']' || str_parse_u64(s, n, &t->position) != 0)
			return NULL;
		if (t->position == 0)
			t->position = 1; /* the standard's own example counts from 0 once */
		return s + n + 1;
	}
	t->name = ++s;
	t->n_name = name_size(s);
	s += t->n_name;
	t->name = local(t->name, &t->n_name);
	if (t->n_name == 0 || s[0] != '=' || (s[1] != '\'' && s[1] != '"'))
		return NULL;
	t->value = s + 2;
	s = strchr(t->value, s[1]);
	if (s == NULL || s[1] != ']')
		return NULL;
	t->n_value = (size_t)(s - t->value);
	return s + 2;
}

static const char *read_step(const char *s, struct step *step)
{
	step->n = name_size(s);
	step->n_tests = 0;
	step->name = s;
	s += step->n;
	step->name = local(step->name, &step->n);
	while (s != NULL && *s == '[') {
		if (step->n_tests == sizeof step->tests / sizeof step->tests[0])
			return NULL;
		s = read_test(s, &step->tests[step->n_tests++]);
	}
	return step->n > 0 && s != NULL && (*s == '\0' || *s == '/') ? s : NULL;
}

static bool passes(const xmlNode *node, struct step *step, size_t *steps)
{
	++*steps;
	if (!is_named(node, step->name, step->n))
		return false;
	for (size_t i = 0; i < step->n_tests; i++) {
		struct test *t = &step->tests[i];

		if (t->name != NULL ? !has_value(node, t->name, t->n_name, t->value, t->n_value, steps) : ++t->seen != t->position)
			return false;
	}
	return true;
}

static xmlNodePtr take_step(xmlNodePtr list, struct step *step, size_t *steps)
{
	for (; list != NULL && *steps <= MAX_STEPS; list = list->next)
		if (passes(list, step, steps))
			return list;
	return NULL;
}

/* RFC 5261 4.1: the first of what it selects.  ERR_SYNTAX for another language, ERR_NOT_FOUND, ERR_LIMIT. */
static int find(xmlDocPtr doc, const char *selector, size_t *steps, struct target *ret)
{
	struct target t = {0};
	const char *s = selector;
	xmlNodePtr list = xmlDocGetRootElement(doc);

	while (*s == '/' && !t.text && t.attribute == NULL) {
		struct step step;

		s++;
		if (*s == '@' && t.node != NULL) {
			size_t n = name_size(s + 1);
			const char *name = s + 1;

			s += 1 + n;
			name = local(name, &n);
			t.attribute = mem_dup_n(name, n);
		} else if (strcmp(s, "text()") == 0 && t.node != NULL) {
			t.text = true;
			s += 6;
		} else {
			s = read_step(s, &step);
			if (s == NULL)
				return ERR_SYNTAX;
			t.node = take_step(list, &step, steps);
			if (t.node == NULL)
				return *steps > MAX_STEPS ? ERR_LIMIT : ERR_NOT_FOUND;
			list = t.node->children;
		}
	}
	if (*s != '\0' || t.node == NULL) {
		free(t.attribute);
		return ERR_SYNTAX;
	}
	*ret = t;
	return 0;
}

/* --- operations ---------------------------------------------------------------------------- */

static char *get(const xmlNode *node, const char *name)
{
	xmlChar *v = xmlGetNoNsProp(node, (const xmlChar *)name);
	char *copy = mem_dup((const char *)v);

	xmlFree(v);
	return copy;
}

static bool is_patch(const xmlNs *ns)
{
	return ns != NULL && ns->href != NULL && strcmp((const char *)ns->href, PATCH_NAMESPACE) == 0;
}

/* Elements in the patch's namespace are meant as the MPD's. */
static void move_namespace(xmlNodePtr node, xmlNsPtr to)
{
	if (node->type != XML_ELEMENT_NODE)
		return;
	for (xmlNodePtr c = node->children; c != NULL; c = c->next)
		move_namespace(c, to);
	if (node->ns == NULL || is_patch(node->ns))
		node->ns = to;
	for (xmlNsPtr *ns = &node->nsDef; *ns != NULL;) {
		xmlNsPtr gone = *ns;

		if (!is_patch(gone)) {
			ns = &gone->next;
			continue;
		}
		*ns = gone->next;
		xmlFreeNs(gone);
	}
}

/* Copies of what the operation holds, before, behind or as children of `at`. */
static void put_content(xmlNodePtr op, xmlNodePtr at, const char *where)
{
	xmlNodePtr after = NULL, first = at->children;

	for (xmlNodePtr c = op->children; c != NULL; c = c->next) {
		bool text = (c->type == XML_TEXT_NODE || c->type == XML_CDATA_SECTION_NODE) && !xmlIsBlankNode(c);
		xmlNodePtr copy = c->type == XML_ELEMENT_NODE || text ? xmlDocCopyNode(c, at->doc, 1) : NULL;

		if (copy == NULL)
			continue;
		move_namespace(copy, xmlDocGetRootElement(at->doc)->ns);
		if (strcmp(where, "before") == 0)
			xmlAddPrevSibling(at, copy);
		else if (strcmp(where, "after") == 0)
			after = xmlAddNextSibling(after != NULL ? after : at, copy);
		else if (strcmp(where, "prepend") == 0 && first != NULL)
			xmlAddPrevSibling(first, copy);
		else
			xmlAddChild(at, copy);
	}
}

/* By its local name, as elements are. */
static xmlAttrPtr find_attribute(const xmlNode *node, const char *name)
{
	xmlAttrPtr a = node->properties;

	while (a != NULL && strcmp((const char *)a->name, name) != 0)
		a = a->next;
	return a;
}

/* `name` may have a prefix; one that the patch declares and the MPD does not is declared there. */
static void set_attribute(xmlNodePtr node, const char *name, xmlNodePtr op)
{
	xmlChar *text = xmlNodeGetContent(op);
	size_t n = strlen(name);
	const char *own = local(name, &n);
	xmlAttrPtr there = find_attribute(node, own);
	char *prefix = own > name ? mem_dup_n(name, (size_t)(own - name) - 1) : NULL;
	xmlNsPtr from = prefix != NULL ? xmlSearchNs(op->doc, op, (const xmlChar *)prefix) : NULL;
	xmlNsPtr to = there != NULL ? there->ns : from != NULL ? xmlSearchNsByHref(node->doc, node, from->href) : NULL;

	if (to == NULL && there == NULL && from != NULL)
		to = xmlNewNs(node, from->href, from->prefix);
	xmlSetNsProp(node, to, (const xmlChar *)own, text != NULL ? text : (const xmlChar *)"");
	free(prefix);
	xmlFree(text);
}

static void set_text(xmlNodePtr node, xmlNodePtr op)
{
	xmlChar *text = xmlNodeGetContent(op);
	xmlChar *safe = text != NULL ? xmlEncodeSpecialChars(node->doc, text) : NULL;

	xmlNodeSetContent(node, safe);
	xmlFree(safe);
	xmlFree(text);
}

static void add(xmlNodePtr op, const struct target *t)
{
	char *type = get(op, "type"), *pos = get(op, "pos");

	if (type != NULL && type[0] == '@')
		set_attribute(t->node, type + 1, op);
	else
		put_content(op, t->node, pos != NULL ? pos : "append");
	free(type);
	free(pos);
}

static void drop(xmlNodePtr node)
{
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

static void replace(xmlNodePtr op, const struct target *t)
{
	if (t->attribute != NULL) {
		set_attribute(t->node, t->attribute, op);
	} else if (t->text) {
		set_text(t->node, op);
	} else {
		put_content(op, t->node, "before");
		drop(t->node);
	}
}

static void remove_target(const struct target *t)
{
	xmlAttrPtr a = t->attribute != NULL ? find_attribute(t->node, t->attribute) : NULL;

	if (t->attribute != NULL && a != NULL)
		xmlRemoveProp(a);
	else if (t->attribute != NULL)
		return;
	else if (t->text)
		xmlNodeSetContent(t->node, NULL);
	else
		drop(t->node);
}

/* Each operation may add an attribute to the same element, and looks at all of them. */
static size_t count_attributes(const struct target *t)
{
	size_t n = 0;

	for (const xmlAttr *a = t->node != NULL ? t->node->properties : NULL; a != NULL; a = a->next)
		n++;
	return n;
}

static int apply(xmlDocPtr doc, xmlNodePtr op, const char *name, size_t *steps, struct fault *f)
{
	const char *verb = (const char *)op->name;
	char *selector = get(op, "sel");
	struct target t = {0};
	int e = selector != NULL ? find(doc, selector, steps, &t) : ERR_SYNTAX;
	bool root = e == 0 && t.node == xmlDocGetRootElement(doc) && t.attribute == NULL;

	*steps += count_attributes(&t);
	if (*steps > MAX_STEPS)
		e = fault_set(f, ERR_LIMIT, _("%s:%ld: the patch takes too long: it is too large for so large an MPD"), name, xmlGetLineNo(op));
	else if (e != 0)
		fault_set(f, ERR_SYNTAX, _("%s:%ld: %s@sel \"%.200s\" %s"), name, xmlGetLineNo(op), verb, selector != NULL ? selector : "",
		          e == ERR_SYNTAX ? _("is no selector of MPD patches") : _("finds nothing in the MPD"));
	else if (strcmp(verb, "add") == 0)
		add(op, &t);
	else if (root)
		e = fault_set(f, ERR_SYNTAX, _("%s:%ld: %s of the whole MPD"), name, xmlGetLineNo(op), verb);
	else if (strcmp(verb, "replace") == 0)
		replace(op, &t);
	else if (strcmp(verb, "remove") == 0)
		remove_target(&t);
	else
		e = fault_set(f, ERR_SYNTAX, _("%s:%ld: <%s>, expected add, replace or remove"), name, xmlGetLineNo(op), verb);
	free(t.attribute);
	free(selector);
	return e == ERR_LIMIT ? e : e != 0 ? ERR_SYNTAX : 0;
}

/* --- the whole ------------------------------------------------------------------------------ */

/* The same text, or the same moment. */
static bool same(const xmlNode *a, const char *name_a, const xmlNode *b, const char *name_b)
{
	char *x = get(a, name_a), *y = get(b, name_b);
	wall_us t, u;
	bool yes = x != NULL && y != NULL &&
	           (strcmp(x, y) == 0 || (mpd_value_date(x, strlen(x), &t) == 0 && mpd_value_date(y, strlen(y), &u) == 0 && t == u));

	free(x);
	free(y);
	return yes;
}

/* Is it a patch, and one for this MPD? */
static int check(const xmlNode *mpd, const xmlNode *patch, const char *name, struct fault *f)
{
	if (mpd == NULL || strcmp((const char *)mpd->name, "MPD") != 0)
		return fault_set(f, ERR_SYNTAX, _("what is to be patched is no <MPD>"));
	if (patch == NULL || strcmp((const char *)patch->name, "Patch") != 0)
		return fault_set(f, ERR_SYNTAX, _("%s:1: the root element is <%s>, expected <Patch>"), name,
		                 patch != NULL ? (const char *)patch->name : "");
	if (!same(patch, "mpdId", mpd, "id") || !same(patch, "originalPublishTime", mpd, "publishTime"))
		return fault_set(f, ERR_EXISTS, _("%s: it is for another MPD (mpdId, originalPublishTime)"), name);
	return 0;
}

static int apply_all(xmlDocPtr doc, const xmlNode *patch, const char *name, struct fault *f)
{
	size_t steps = 0;
	int e = 0;

	for (xmlNodePtr op = patch->children; op != NULL && e == 0; op = op->next)
		if (op->type == XML_ELEMENT_NODE)
			e = apply(doc, op, name, &steps, f);
	return e;
}

/* A patch that forgets to date the MPD still makes the one of its own time (5.15.2): the next patch is for that. */
static void date(xmlNodePtr mpd, const xmlNode *patch)
{
	char *made = get(patch, "publishTime");

	if (made != NULL && same(patch, "originalPublishTime", mpd, "publishTime"))
		xmlSetProp(mpd, (const xmlChar *)"publishTime", (const xmlChar *)made);
	free(made);
}

int mpd_patch(const void *mpd, size_t n_mpd, const void *patch, size_t n_patch, const char *name, struct buf *out,
              struct fault *f)
{
	xmlDocPtr doc = NULL, diff = NULL;
	int e = mpd_xml_tree(mpd, n_mpd, "MPD", &doc, f);

	if (e == 0)
		e = mpd_xml_tree(patch, n_patch, name, &diff, f);
	if (e == 0)
		e = check(xmlDocGetRootElement(doc), xmlDocGetRootElement(diff), name, f);
	if (e == 0)
		e = apply_all(doc, xmlDocGetRootElement(diff), name, f);
	if (e == 0)
		date(xmlDocGetRootElement(doc), xmlDocGetRootElement(diff));
	if (e == 0 && (e = mpd_xml_dump(doc, out)) != 0)
		fault_set(f, e, _("%s: the patched MPD: %s"), name, words_error(e));
	xmlFreeDoc(doc);
	xmlFreeDoc(diff);
	return e;
}
