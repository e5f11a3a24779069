/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Searching titles by the words of their name, description, tags, year and id, and
 * by tag.  Kept in memory beside the library's view and what people say of titles;
 * never waits for the catalogue, so viewers may ask.
 *
 * A change of a title is found as soon as the call returns: it stands in a short list
 * that is looked through, until the index of all is built anew.
 */
#ifndef RIBERA_ORIGIN_SEARCH_H
#define RIBERA_ORIGIN_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

struct library_view;
struct metadata;
struct search; /* hidden */

struct search *search_new(struct metadata *); /* borrowed */
void search_free(struct search **);

/* --- what there is to be found: threads that may work for a while (100,000 titles: some tenths of a second) --- */

/* The library has changed (`old` NULL: the first look). */
void search_take_library(struct search *, const struct library_view *old, struct library_view *now);
/* What people say of a title has changed. */
void search_take_title(struct search *, struct library_view *now, const char *title);
/* What people say of all of them. */
void search_take_all(struct search *, struct library_view *now);

/* --- finding: any thread --- */

#define SEARCH_TEXT_MAX 200 /* bytes */
#define SEARCH_WORDS_MAX 12

struct search_query {
	const char *text;  /* all its words are to be there, each at least begun so; NULL: any */
	const char *tag;   /* as a whole, whatever its case; NULL: any */
	const char *after; /* titles behind this name; NULL: from the first */
	size_t limit;
};
struct search_found {
	char **titles; /* by name */
	size_t n;
	size_t total; /* on all pages */
	bool more;    /* behind the last one */
};
/* Has the text more words than SEARCH_WORDS_MAX, or is it too long? */
bool search_is_too_long(const char *text);
void search_find(struct search *, const struct search_query *, struct search_found *ret);
void search_found_fini(struct search_found *);
/* Keeps those of `titles` that text and tag find, in their order, and frees the others; how many there are then. */
size_t search_keep(struct search *, const struct search_query *, char **titles, size_t n);

struct search_tag {
	char *tag; /* as somebody wrote it */
	size_t titles;
};
/* The tags of most titles first, at most `limit`; to be freed, each tag too. */
size_t search_tags(struct search *, size_t limit, struct search_tag **ret_tags);

#endif
