/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The preconditions in the order of RFC 9110 13.2.2.
 */
#include "serve/condition.h"

#include <string.h>

/* One entity-tag of a list: its opaque part with quotes. */
static const char *next_tag(const char *p, const char *end, bool *ret_weak, size_t *ret_n)
{
	const char *close;

	while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
		p++;
	*ret_weak = end - p > 2 && p[0] == 'W' && p[1] == '/';
	if (*ret_weak)
		p += 2;
	if (p == end || *p != '"' || (close = memchr(p + 1, '"', (size_t)(end - p - 1))) == NULL)
		return NULL; /* the end, or not a tag: the rest says nothing */
	*ret_n = (size_t)(close - p) + 1;
	return p;
}

/* Does the list name `etag`?  "*" names whatever there is. */
static bool list_has(const struct condition_field *f, const char *etag, bool weak_counts)
{
	const char *p = f->text, *end = f->text + f->n;
	size_t n, etag_n;
	bool weak;

	if (f->n == 1 && *p == '*')
		return true;
	if (etag == NULL)
		return false;
	etag_n = strlen(etag);
	while ((p = next_tag(p, end, &weak, &n)) != NULL) {
		if (n == etag_n && memcmp(p, etag, n) == 0 && (weak_counts || !weak))
			return true;
		p += n;
	}
	return false;
}

/* Whole seconds, which is all an HTTP-date has. */
static wall_us seconds(wall_us t)
{
	return t / DUR_S;
}

static bool newer_than(const struct condition_field *f, wall_us modified, bool unreadable)
{
	wall_us t;

	if (modified == 0 || clock_from_http(f->text, f->n, &t) != 0)
		return unreadable;
	return seconds(modified) > seconds(t);
}

enum condition condition_judge(const struct condition_fields *f, const char *etag, wall_us modified)
{
	if (f->if_match.text != NULL) {
		if (!list_has(&f->if_match, etag, false))
			return CONDITION_FAILED;
	} else if (f->if_unmodified_since.text != NULL) {
		if (newer_than(&f->if_unmodified_since, modified, false))
			return CONDITION_FAILED;
	}
	if (f->if_none_match.text != NULL)
		return list_has(&f->if_none_match, etag, true) ? CONDITION_NOT_MODIFIED : CONDITION_PASSED;
	if (f->if_modified_since.text != NULL && !newer_than(&f->if_modified_since, modified, true))
		return CONDITION_NOT_MODIFIED;
	return CONDITION_PASSED;
}

bool condition_if_range(const struct condition_field *f, const char *etag, wall_us modified, wall_us now)
{
	wall_us t;

	if (f->n > 0 && f->text[0] == '"')
		return etag != NULL && strlen(etag) == f->n && memcmp(etag, f->text, f->n) == 0;
	if (modified == 0 || clock_from_http(f->text, f->n, &t) != 0)
		return false;
	/* a date is a strong validator only some time after it (8.8.2.2) */
	return seconds(t) == seconds(modified) && seconds(now) > seconds(modified);
}
