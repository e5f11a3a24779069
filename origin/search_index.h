/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which of n documents (numbered from 0, in an order that the caller gives them)
 * have which words: built once, immutable afterwards, so any thread may ask.
 * Words are sorted, so all that begin alike are neighbours, and what is found is a
 * set of bits: the cost follows the number of matches, not the number of documents'
 * letters.
 */
#ifndef RIBERA_ORIGIN_SEARCH_INDEX_H
#define RIBERA_ORIGIN_SEARCH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct search_builder; /* hidden */
struct search_index;   /* hidden */

struct search_builder *search_builder_new(void);
/* Words come with their document, documents in rising order; a word twice counts once. */
void search_builder_add(struct search_builder *, uint32_t document, const char *word);
/* Takes the builder. */
struct search_index *search_builder_end(struct search_builder **, size_t n_documents);
void search_index_free(struct search_index **);

/* Sets of documents: a bit each. */
#define SEARCH_BITS 64
size_t search_index_n_words(const struct search_index *); /* uint64_t in a set */
/* Adds to the set those with the word, or with any word that begins so. */
void search_index_find(const struct search_index *, const char *word, bool begins, uint64_t *set);

/* The words that begin so, in order, each with its documents. */
typedef void (*search_word_f)(void *ctx, const char *word, const uint32_t *documents, size_t n);
void search_index_each(const struct search_index *, const char *begin, search_word_f each, void *ctx);

#endif
