/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * While it is built words have numbers by a hash table, and what stands where is a
 * list of (word, document) pairs; at the end both are sorted by counting, into one
 * row of documents with the place where each word's begin.
 */
#include "origin/search_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct pair {
	uint32_t word, document;
};

struct search_builder {
	char *text; /* the words, each with its NUL */
	size_t text_n, text_cap;
	size_t *words;  /* where each begins in the text */
	uint32_t *last; /* the document it was last seen in */
	size_t n, words_cap, last_cap;
	uint32_t *slots; /* of the hash table: number + 1; 0: free */
	size_t n_slots;  /* a power of two */
	struct pair *pairs;
	size_t n_pairs, pairs_cap;
};

struct search_index {
	char *text;
	const char **words; /* sorted */
	size_t n;
	size_t *begin;       /* n + 1: where a word's documents begin */
	uint32_t *documents; /* rising for each word */
	size_t n_documents;
};

struct search_builder *search_builder_new(void)
{
	struct search_builder *b = mem_new(sizeof *b);

	b->n_slots = 1024;
	b->slots = mem_new_array(b->n_slots, sizeof *b->slots);
	return b;
}

/* FNV-1a */
static uint64_t hash_of(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

/* The slot of the word, or the free one where it belongs. */
static size_t slot_of(const struct search_builder *b, const char *word)
{
	size_t at = hash_of(word) & (b->n_slots - 1);

	while (b->slots[at] != 0 && strcmp(b->text + b->words[b->slots[at] - 1], word) != 0)
		at = (at + 1) & (b->n_slots - 1);
	return at;
}

static void grow_slots(struct search_builder *b)
{
	free(b->slots);
	b->n_slots *= 2;
	b->slots = mem_new_array(b->n_slots, sizeof *b->slots);
	for (size_t i = 0; i < b->n; i++)
		b->slots[slot_of(b, b->text + b->words[i])] = (uint32_t)i + 1;
}

static uint32_t number_of(struct search_builder *b, const char *word)
{
	size_t at = slot_of(b, word), n = strlen(word) + 1;

	if (b->slots[at] != 0)
		return b->slots[at] - 1;
	while (b->text_n + n > b->text_cap) {
		b->text_cap = b->text_cap != 0 ? b->text_cap * 2 : 4096;
		b->text = mem_resize(b->text, b->text_cap, 1);
	}
	memcpy(b->text + b->text_n, word, n);
	MEM_GROW(b->words, b->words_cap, b->n);
	MEM_GROW(b->last, b->last_cap, b->n);
	b->words[b->n] = b->text_n;
	b->last[b->n] = UINT32_MAX;
	b->text_n += n;
	b->slots[at] = (uint32_t)++b->n;
	if (b->n * 2 > b->n_slots)
		grow_slots(b);
	return (uint32_t)b->n - 1;
}

void search_builder_add(struct search_builder *b, uint32_t document, const char *word)
{
	uint32_t number = number_of(b, word);

	if (b->last[number] == document)
		return;
	b->last[number] = document;
	MEM_GROW(b->pairs, b->pairs_cap, b->n_pairs);
	b->pairs[b->n_pairs++] = (struct pair){number, document};
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct search_index *search_builder_end(struct search_builder **pb, size_t n_documents)
{
	struct search_builder *b = *pb;
	struct search_index *x = mem_new(sizeof *x);
	size_t *next;

	*x = (struct search_index){.text = b->text, .n = b->n, .n_documents = n_documents};
	x->words = mem_new_array(b->n + 1, sizeof *x->words);
	x->begin = mem_new_array(b->n + 1, sizeof *x->begin);
	x->documents = mem_new_array(b->n_pairs + 1, sizeof *x->documents);
	for (size_t i = 0; i < b->n; i++)
		x->words[i] = b->text + b->words[i];
	qsort(x->words, b->n, sizeof *x->words, compare_words);
	/* `last` is now the place of a word in the sorted list */
	for (size_t i = 0; i < b->n; i++)
		b->last[b->slots[slot_of(b, x->words[i])] - 1] = (uint32_t)i;
	for (size_t i = 0; i < b->n_pairs; i++)
		x->begin[b->last[b->pairs[i].word] + 1]++;
	for (size_t i = 0; i < b->n; i++)
		x->begin[i + 1] += x->begin[i];
	next = mem_new_array(b->n + 1, sizeof *next);
	memcpy(next, x->begin, b->n * sizeof *next);
	for (size_t i = 0; i < b->n_pairs; i++)
		x->documents[next[b->last[b->pairs[i].word]]++] = b->pairs[i].document;
	free(next);
	free(b->words);
	free(b->last);
	free(b->slots);
	free(b->pairs);
	free(b);
	*pb = NULL;
	return x;
}

void search_index_free(struct search_index **px)
{
	struct search_index *x = *px;

	if (x == NULL)
		return;
	free(x->text);
	free(x->words);
	free(x->begin);
	free(x->documents);
	free(x);
	*px = NULL;
}

size_t search_index_n_words(const struct search_index *x)
{
	return (x->n_documents + SEARCH_BITS - 1) / SEARCH_BITS;
}

/* The first word that is not before this one. */
static size_t first_at(const struct search_index *x, const char *word)
{
	size_t low = 0, high = x->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(x->words[middle], word) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void search_index_each(const struct search_index *x, const char *begin, search_word_f each, void *ctx)
{
	size_t n = strlen(begin);

	for (size_t i = first_at(x, begin); i < x->n && strncmp(x->words[i], begin, n) == 0; i++)
		each(ctx, x->words[i], x->documents + x->begin[i], x->begin[i + 1] - x->begin[i]);
}

static void add_bits(void *ctx, const char *word, const uint32_t *documents, size_t n)
{
	uint64_t *set = ctx;

	for (size_t i = 0; i < n; i++)
		set[documents[i] / SEARCH_BITS] |= UINT64_C(1) << documents[i] % SEARCH_BITS;
}

void search_index_find(const struct search_index *x, const char *word, bool begins, uint64_t *set)
{
	size_t at;

	if (begins) {
		search_index_each(x, word, add_bits, set);
		return;
	}
	at = first_at(x, word);
	if (at < x->n && strcmp(x->words[at], word) == 0)
		add_bits(set, word, x->documents + x->begin[at], x->begin[at + 1] - x->begin[at]);
}
