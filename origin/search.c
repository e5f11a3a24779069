/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An index of a view of the library, and beside it the titles that have changed
 * since.  Invariant: a title that stands among the changed is not looked up in the
 * index; its bit is in `masked`.  A tag is a word "\1FOLDED\1AS WRITTEN".
 */
#include "origin/search.h"

#include <jansson.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "origin/fold.h"
#include "origin/library.h"
#include "origin/metadata.h"
#include "origin/search_index.h"

#define TAG_MARK '\1'
#define TAG_SIZE 512
#define CHANGED_MIN 512          /* so many are looked through at least, */
#define CHANGED_SHARE 64         /* and so much of the library; then it is built anew */
#define CHANGED_BYTES ((size_t)64 << 10)

struct words {
	char *text; /* each with its NUL */
	size_t n, cap;
};

struct changed {
	char *title;
	struct words words;
	bool is_there; /* false: withdrawn */
};

struct search {
	struct metadata *metadata;
	pthread_mutex_t writing; /* one change at a time; held while the index is built */
	pthread_rwlock_t lock;   /* guards what follows */
	struct library_view *view;
	struct search_index *index; /* document i is title i of the view; NULL: nothing was looked at yet */
	uint64_t *masked;
	struct changed *changed; /* sorted by title */
	size_t n, cap, bytes;
};

struct search *search_new(struct metadata *m)
{
	struct search *s = mem_new(sizeof *s);

	s->metadata = m;
	pthread_mutex_init(&s->writing, NULL);
	pthread_rwlock_init(&s->lock, NULL);
	return s;
}

static void changed_fini(struct changed *c)
{
	free(c->title);
	free(c->words.text);
}

/* What a search looks at; it can be large, so nobody waits while it is freed. */
static void forget(struct library_view *view, struct search_index *index, uint64_t *masked, struct changed *changed, size_t n)
{
	for (size_t i = 0; i < n; i++)
		changed_fini(&changed[i]);
	free(changed);
	library_view_unref(&view);
	search_index_free(&index);
	free(masked);
}

void search_free(struct search **ps)
{
	struct search *s = *ps;

	if (s == NULL)
		return;
	forget(s->view, s->index, s->masked, s->changed, s->n);
	pthread_mutex_destroy(&s->writing);
	pthread_rwlock_destroy(&s->lock);
	free(s);
	*ps = NULL;
}

/* --- what a title is found by --- */

struct tag_text {
	char *text; /* of TAG_SIZE bytes */
	size_t n;
};

static void add_to_tag(void *ctx, const char *word, size_t n)
{
	struct tag_text *t = ctx;

	if (t->n + n + 3 > TAG_SIZE)
		return;
	if (t->n > 1)
		t->text[t->n++] = ' ';
	memcpy(t->text + t->n, word, n);
	t->n += n;
}

/* "\1FOLDED\1"; of a tag without letters itself.  Its length. */
static size_t tag_key(const char *tag, char key[static TAG_SIZE])
{
	struct tag_text t = {key, 1};

	key[0] = TAG_MARK;
	fold_words(tag, add_to_tag, &t);
	if (t.n == 1)
		t.n += (size_t)snprintf(key + 1, TAG_SIZE - 2, "%.128s", tag);
	key[t.n++] = TAG_MARK;
	key[t.n] = '\0';
	return t.n;
}

static void take_words(struct search *s, const struct library_title *t, fold_word_f each, void *ctx)
{
	json_t *about = metadata_about(s->metadata, t->name), *tag, *year = json_object_get(about, "year");
	const char *name = json_string_value(json_object_get(about, "name")), *text = json_string_value(json_object_get(about, "description"));
	char buffer[TAG_SIZE + 128];
	size_t i, n;

	fold_words(t->name, each, ctx);
	fold_words(name != NULL ? name : t->revisions[0]->name, each, ctx);
	if (text != NULL)
		fold_words(text, each, ctx);
	if (json_is_integer(year)) {
		n = (size_t)snprintf(buffer, sizeof buffer, "%lld", (long long)json_integer_value(year));
		each(ctx, buffer, n);
	}
	json_array_foreach(json_object_get(about, "tags"), i, tag) {
		text = json_string_value(tag);
		fold_words(text, each, ctx);
		n = tag_key(text, buffer);
		n += (size_t)snprintf(buffer + n, sizeof buffer - n, "%.127s", text);
		each(ctx, buffer, n);
	}
	json_decref(about);
}

/* --- changes --- */

static size_t place_of(const struct search *s, const char *title)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(s->changed[middle].title, title) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void add_word(void *ctx, const char *word, size_t n)
{
	struct words *w = ctx;

	while (w->n + n + 1 > w->cap) {
		w->cap = w->cap != 0 ? w->cap * 2 : 256;
		w->text = mem_resize(w->text, w->cap, 1);
	}
	memcpy(w->text + w->n, word, n + 1);
	w->n += n + 1;
}

static void mask(struct search *s, const char *title)
{
	const struct library_title *t = library_view_find(s->view, title, strlen(title));
	size_t i = t != NULL ? (size_t)(t - s->view->titles) : 0;

	if (t != NULL)
		s->masked[i / SEARCH_BITS] |= UINT64_C(1) << i % SEARCH_BITS;
}

/* `t` NULL: it is gone. */
static void put_changed(struct search *s, const char *title, const struct library_title *t)
{
	struct words w = {0};
	size_t at;

	if (t != NULL)
		take_words(s, t, add_word, &w);
	pthread_rwlock_wrlock(&s->lock);
	at = place_of(s, title);
	if (at < s->n && strcmp(s->changed[at].title, title) == 0) {
		s->bytes -= s->changed[at].words.n;
		free(s->changed[at].words.text);
	} else {
		MEM_GROW(s->changed, s->cap, s->n);
		memmove(s->changed + at + 1, s->changed + at, (s->n - at) * sizeof *s->changed);
		s->changed[at].title = mem_dup(title);
		s->n++;
		mask(s, title);
	}
	s->changed[at].words = w;
	s->changed[at].is_there = t != NULL;
	s->bytes += w.n;
	pthread_rwlock_unlock(&s->lock);
}

struct build {
	struct search_builder *builder;
	uint32_t document;
};

static void add_to_index(void *ctx, const char *word, size_t n)
{
	struct build *b = ctx;

	search_builder_add(b->builder, b->document, word);
}

static void replace(struct search *s, struct library_view *now, struct search_index *index)
{
	struct library_view *view = s->view;
	struct search_index *old = s->index;
	uint64_t *masked = s->masked, *none = mem_new_array(search_index_n_words(index) + 1, sizeof *none);
	struct changed *changed = s->changed;
	size_t n = s->n;

	pthread_rwlock_wrlock(&s->lock);
	s->view = library_view_ref(now);
	s->index = index;
	s->masked = none;
	s->changed = NULL;
	s->n = s->cap = s->bytes = 0;
	pthread_rwlock_unlock(&s->lock);
	forget(view, old, masked, changed, n);
}

/* The caller writes, so nobody else changes what is read here without the lock. */
static void build(struct search *s, struct library_view *now)
{
	struct build b = {search_builder_new(), 0};

	for (size_t i = 0; i < now->n_titles; i++) {
		b.document = (uint32_t)i;
		take_words(s, &now->titles[i], add_to_index, &b);
	}
	replace(s, now, search_builder_end(&b.builder, now->n_titles));
}

static bool is_much(const struct search *s, size_t more)
{
	return s->index == NULL || s->n + more > CHANGED_MIN + s->view->n_titles / CHANGED_SHARE || s->bytes > CHANGED_BYTES + s->view->n_titles * 4;
}

/* Calls `each` (or only counts) for what is in one view and not in the other, or not the same. */
static size_t compare(struct search *s, const struct library_view *old, const struct library_view *now, bool put)
{
	size_t i = 0, j = 0, n = 0;

	while (i < old->n_titles || j < now->n_titles) {
		const struct library_title *a = &old->titles[i], *b = &now->titles[j];
		int order = i == old->n_titles ? 1 : j == now->n_titles ? -1 : strcmp(a->name, b->name);

		i += order <= 0;
		j += order >= 0;
		if (order == 0 && a->revisions[0] == b->revisions[0])
			continue;
		n++;
		if (put)
			put_changed(s, order < 0 ? a->name : b->name, order < 0 ? NULL : b);
	}
	return n;
}

void search_take_library(struct search *s, const struct library_view *old, struct library_view *now)
{
	pthread_mutex_lock(&s->writing);
	if (old == NULL || is_much(s, compare(s, old, now, false)))
		build(s, now);
	else
		compare(s, old, now, true);
	pthread_mutex_unlock(&s->writing);
}

void search_take_title(struct search *s, struct library_view *now, const char *title)
{
	pthread_mutex_lock(&s->writing);
	if (is_much(s, 1))
		build(s, now);
	else
		put_changed(s, title, library_view_find(now, title, strlen(title)));
	pthread_mutex_unlock(&s->writing);
}

void search_take_all(struct search *s, struct library_view *now)
{
	pthread_mutex_lock(&s->writing);
	build(s, now);
	pthread_mutex_unlock(&s->writing);
}

/* --- finding --- */

struct wanted {
	char words[SEARCH_WORDS_MAX + 2][TAG_SIZE];
	size_t n;
	bool too_many, no_words; /* no_words: there is text, but no letter in it */
};

static void add_wanted(void *ctx, const char *word, size_t n)
{
	struct wanted *w = ctx;

	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->words[i], word) == 0)
			return;
	if (w->n == SEARCH_WORDS_MAX)
		w->too_many = true;
	else
		memcpy(w->words[w->n++], word, n + 1);
}

static void read_wanted(struct wanted *w, const char *text, const char *tag)
{
	w->n = 0;
	w->too_many = w->no_words = false;
	if (text != NULL)
		fold_words(text, add_wanted, w);
	w->no_words = text != NULL && w->n == 0 && text[strspn(text, " \t")] != '\0';
	if (tag != NULL)
		tag_key(tag, w->words[w->n++]);
}

bool search_is_too_long(const char *text)
{
	struct wanted w;

	if (strlen(text) > SEARCH_TEXT_MAX)
		return true;
	read_wanted(&w, text, NULL);
	return w.too_many;
}

static bool has_word(const struct words *w, const char *begin)
{
	size_t n = strlen(begin);

	for (const char *p = w->text; p != NULL && p < w->text + w->n; p += strlen(p) + 1)
		if (strncmp(p, begin, n) == 0)
			return true;
	return false;
}

static bool is_wanted(const struct changed *c, const struct wanted *w)
{
	if (!c->is_there || w->no_words)
		return false;
	for (size_t i = 0; i < w->n; i++)
		if (!has_word(&c->words, w->words[i]))
			return false;
	return true;
}

/* The set of those in the index, to be freed, and their number. */
static uint64_t *find_set(const struct search *s, const struct wanted *w, size_t *ret_n)
{
	size_t words = search_index_n_words(s->index), n = 0;
	uint64_t *set = mem_new_array(words + 1, sizeof *set), *more = mem_new_array(words + 1, sizeof *more);

	for (size_t i = 0; i < s->view->n_titles && w->n == 0 && !w->no_words; i++)
		set[i / SEARCH_BITS] |= UINT64_C(1) << i % SEARCH_BITS;
	for (size_t i = 0; i < w->n; i++) {
		memset(more, 0, words * sizeof *more);
		search_index_find(s->index, w->words[i], true, i == 0 ? set : more);
		for (size_t k = 0; i > 0 && k < words; k++)
			set[k] &= more[k];
	}
	for (size_t k = 0; k < words; k++) {
		set[k] &= ~s->masked[k];
		n += (size_t)__builtin_popcountll(set[k]);
	}
	free(more);
	*ret_n = n;
	return set;
}

/* The first of the set from `i` on, or `n`. */
static size_t next_in(const uint64_t *set, size_t i, size_t n)
{
	while (i < n) {
		uint64_t rest = set[i / SEARCH_BITS] >> i % SEARCH_BITS;

		if (rest != 0)
			return i + (size_t)__builtin_ctzll(rest);
		i = (i / SEARCH_BITS + 1) * SEARCH_BITS;
	}
	return n;
}

static size_t next_wanted(const struct search *s, const struct wanted *w, size_t j)
{
	while (j < s->n && !is_wanted(&s->changed[j], w))
		j++;
	return j;
}

/* Both lists are sorted: the page is their merge. */
static void take_page(const struct search *s, const struct search_query *q, const struct wanted *w, const uint64_t *set,
                      struct search_found *ret)
{
	size_t n = s->view->n_titles, i = next_in(set, library_view_behind(s->view, q->after), n), j = 0;

	if (q->after != NULL)
		for (j = place_of(s, q->after); j < s->n && strcmp(s->changed[j].title, q->after) <= 0;)
			j++;
	j = next_wanted(s, w, j);
	while (ret->n < q->limit && (i < n || j < s->n)) {
		if (j == s->n || (i < n && strcmp(s->view->titles[i].name, s->changed[j].title) < 0)) {
			ret->titles[ret->n++] = mem_dup(s->view->titles[i].name);
			i = next_in(set, i + 1, n);
		} else {
			ret->titles[ret->n++] = mem_dup(s->changed[j].title);
			j = next_wanted(s, w, j + 1);
		}
	}
	ret->more = i < n || j < s->n;
}

void search_find(struct search *s, const struct search_query *q, struct search_found *ret)
{
	struct wanted w;
	uint64_t *set;

	read_wanted(&w, q->text, q->tag);
	*ret = (struct search_found){.titles = mem_new_array(q->limit + 1, sizeof *ret->titles)};
	pthread_rwlock_rdlock(&s->lock);
	if (s->index != NULL) {
		set = find_set(s, &w, &ret->total);
		for (size_t j = next_wanted(s, &w, 0); j < s->n; j = next_wanted(s, &w, j + 1))
			ret->total++;
		take_page(s, q, &w, set, ret);
		free(set);
	}
	pthread_rwlock_unlock(&s->lock);
}

void search_found_fini(struct search_found *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->titles[i]);
	free(f->titles);
	*f = (struct search_found){0};
}

static bool is_found(const struct search *s, const struct wanted *w, const uint64_t *set, const char *title)
{
	const struct library_title *t;
	size_t i = place_of(s, title);

	if (i < s->n && strcmp(s->changed[i].title, title) == 0)
		return is_wanted(&s->changed[i], w);
	t = library_view_find(s->view, title, strlen(title));
	i = t != NULL ? (size_t)(t - s->view->titles) : 0;
	return t != NULL && (set[i / SEARCH_BITS] >> i % SEARCH_BITS & 1) != 0;
}

size_t search_keep(struct search *s, const struct search_query *q, char **titles, size_t n)
{
	size_t kept = 0, total;
	struct wanted w;
	uint64_t *set = NULL;

	read_wanted(&w, q->text, q->tag);
	pthread_rwlock_rdlock(&s->lock);
	if (s->index != NULL)
		set = find_set(s, &w, &total);
	for (size_t i = 0; i < n; i++)
		if (set != NULL && is_found(s, &w, set, titles[i]))
			titles[kept++] = titles[i];
		else
			free(titles[i]);
	pthread_rwlock_unlock(&s->lock);
	free(set);
	return kept;
}

/* --- tags --- */

struct tags {
	const uint64_t *masked;
	struct tag_count {
		char *key, *tag;
		size_t n;
	} *v;
	size_t n, cap;
};

static void count_tag(struct tags *t, const char *word, size_t n)
{
	const char *tag = strchr(word + 1, TAG_MARK) + 1;
	size_t key_n = (size_t)(tag - word);

	/* words come in their order: other spellings of a tag are neighbours */
	if (t->n == 0 || strncmp(t->v[t->n - 1].key, word, key_n) != 0) {
		MEM_GROW(t->v, t->cap, t->n);
		t->v[t->n++] = (struct tag_count){mem_dup_n(word, key_n), mem_dup(tag), 0};
	}
	t->v[t->n - 1].n += n;
}

static void count_in_index(void *ctx, const char *word, const uint32_t *documents, size_t n)
{
	struct tags *t = ctx;
	size_t there = 0;

	for (size_t i = 0; i < n; i++)
		there += (t->masked[documents[i] / SEARCH_BITS] >> documents[i] % SEARCH_BITS & 1) == 0;
	if (there > 0)
		count_tag(t, word, there);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct tag_count *)a)->key, ((const struct tag_count *)b)->key);
}

static int most_first(const void *pa, const void *pb)
{
	const struct tag_count *a = pa, *b = pb;

	return a->n != b->n ? (a->n < b->n ? 1 : -1) : strcmp(a->key, b->key);
}

static void add_up(struct tags *t)
{
	size_t kept = 0;

	if (t->n > 0)
		qsort(t->v, t->n, sizeof *t->v, compare_keys);
	for (size_t i = 0; i < t->n; i++) {
		if (kept > 0 && strcmp(t->v[kept - 1].key, t->v[i].key) == 0) {
			t->v[kept - 1].n += t->v[i].n;
			free(t->v[i].key);
			free(t->v[i].tag);
		} else {
			t->v[kept++] = t->v[i];
		}
	}
	t->n = kept;
}

size_t search_tags(struct search *s, size_t limit, struct search_tag **ret_tags)
{
	static const char mark[] = {TAG_MARK, '\0'};
	struct tags t = {0};

	pthread_rwlock_rdlock(&s->lock);
	t.masked = s->masked;
	if (s->index != NULL)
		search_index_each(s->index, mark, count_in_index, &t);
	for (size_t i = 0; i < s->n; i++) {
		const struct words *w = &s->changed[i].words;

		for (const char *p = w->text; p != NULL && p < w->text + w->n; p += strlen(p) + 1)
			if (*p == TAG_MARK)
				count_tag(&t, p, 1);
	}
	pthread_rwlock_unlock(&s->lock);
	add_up(&t);
	if (t.n > 0)
		qsort(t.v, t.n, sizeof *t.v, most_first);
	*ret_tags = mem_new_array(limit + 1, sizeof **ret_tags);
	for (size_t i = 0; i < t.n; i++) {
		free(t.v[i].key);
		if (i < limit)
			(*ret_tags)[i] = (struct search_tag){t.v[i].tag, t.v[i].n};
		else
			free(t.v[i].tag);
	}
	free(t.v);
	return t.n < limit ? t.n : limit;
}
