/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Of past libraries the names of the titles that changed are kept, no more: what
 * has become of them stands on the present shelf, or they are gone.
 */
#include "origin/bookcase.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cdn/plan_text.h"
#include "origin/library.h"
#include "origin/registry.h"

#define MAX_HOLDS ((size_t)16 << 20) /* bytes of an edge's runs */
#define MAX_NAMES 50000 /* of one change; one with more is no small change */

static void forget_past(struct bookcase *b)
{
	for (size_t i = 0; i < b->n_past; i++) {
		for (size_t k = 0; k < b->past[i].n; k++)
			free(b->past[i].titles[k]);
		free(b->past[i].titles);
	}
	b->n_past = 0;
}

static void forget_oldest(struct bookcase *b)
{
	for (size_t k = 0; k < b->past[0].n; k++)
		free(b->past[0].titles[k]);
	free(b->past[0].titles);
	memmove(b->past, b->past + 1, --b->n_past * sizeof *b->past);
}

static void forget_runs(struct bookcase *b)
{
	for (size_t i = 0; i < b->n_runs; i++) {
		free(b->runs[i].edge);
		free(b->runs[i].text);
	}
	b->n_runs = 0;
}

void bookcase_fini(struct bookcase *b)
{
	forget_past(b);
	forget_runs(b);
	free(b->runs);
	shelf_fini(&b->shelf);
	library_view_unref(&b->view);
	*b = (struct bookcase){0};
}

/* --- the library --- */

static void note_title(void *ctx, const char *title, size_t n)
{
	struct bookcase_past *p = ctx;

	MEM_GROW(p->titles, p->cap, p->n);
	p->titles[p->n++] = mem_dup_n(title, n);
}

/* What is on the shelf becomes past: how does the next one differ? */
static void note_past(struct bookcase *b, const struct shelf *next)
{
	struct bookcase_past *p;

	if (b->view == NULL || strcmp(b->shelf.hash, next->hash) == 0)
		return;
	if (b->n_past == BOOKCASE_PAST)
		forget_oldest(b);
	p = &b->past[b->n_past++];
	*p = (struct bookcase_past){0};
	memcpy(p->hash, b->shelf.hash, sizeof p->hash);
	shelf_compare(&b->shelf, next, note_title, p);
	if (p->n > MAX_NAMES)
		forget_past(b);
}

static int write_shelf(const struct library_view *v, size_t max, struct shelf *s)
{
	shelf_init(s, max);
	for (size_t i = 0; i < v->n_titles; i++)
		for (size_t k = 0; k < v->titles[i].n_revisions; k++) {
			const struct revision *r = v->titles[i].revisions[k];

			shelf_add(s, r->title, r->revision, &r->digest, (uint64_t)r->digest_bytes, (uint64_t)r->bytes);
		}
	return shelf_close(s);
}

int bookcase_take(struct bookcase *b, struct library_view *v, size_t max)
{
	struct shelf next;
	int e = b->view == v ? 0 : write_shelf(v, max, &next);

	if (b->view == v || e != 0)
		return e;
	note_past(b, &next);
	forget_runs(b); /* they count its lines */
	shelf_fini(&b->shelf);
	b->shelf = next;
	library_view_unref(&b->view);
	b->view = library_view_ref(v);
	return 0;
}

/* --- changes --- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names from `first` on, sorted, each once; views, the caller frees the array. */
static char **collect(const struct bookcase *b, size_t first, size_t *ret_n)
{
	size_t n = 0, kept = 0;
	char **names;

	for (size_t i = first; i < b->n_past; i++)
		n += b->past[i].n;
	names = mem_new_array(n + 1, sizeof *names);
	for (size_t i = first, at = 0; i < b->n_past; at += b->past[i++].n)
		memcpy(names + at, b->past[i].titles, b->past[i].n * sizeof *names);
	qsort(names, n, sizeof *names, by_name);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
			names[kept++] = names[i];
	*ret_n = kept;
	return names;
}

static void write_changes(const struct shelf *s, char *const *names, size_t n, struct buf *out)
{
	size_t from = out->size;

	buf_puts(out, ",\"titles\":[");
	for (size_t i = 0; i < n; i++) {
		size_t first, lines = shelf_find(s, names[i], strlen(names[i]), &first), end;

		if (lines == 0)
			continue;
		end = first + lines < s->n ? s->lines[first + lines].at : s->text.size;
		buf_append(out, s->text.bytes + s->lines[first].at, end - s->lines[first].at);
	}
	out->size -= out->size > from && out->bytes[out->size - 1] == ',';
	from = out->size;
	buf_puts(out, "],\"gone\":[");
	for (size_t i = 0; i < n; i++) {
		size_t first;

		if (shelf_find(s, names[i], strlen(names[i]), &first) == 0)
			buf_printf(out, "\"%s\",", names[i]);
	}
	out->size -= out->size > from && out->bytes[out->size - 1] == ',';
	buf_puts(out, "]}");
}

bool bookcase_changes(const struct bookcase *b, const char *since, struct buf *out)
{
	size_t first = b->n_past, n;
	char **names;

	while (first > 0 && strcmp(b->past[first - 1].hash, since) != 0) /* the last time it was so */
		first--;
	if (first == 0)
		return false;
	names = collect(b, first - 1, &n);
	if (n <= b->shelf.n / 2 + 10) {
		buf_printf(out, "{\"since\":\"%s\"", since);
		write_changes(&b->shelf, names, n, out);
	}
	free(names);
	return n <= b->shelf.n / 2 + 10;
}

/* --- what edges hold --- */

/* The place of its runs, or where they belong. */
static size_t place_of(const struct bookcase *b, const char *edge)
{
	size_t low = 0, high = b->n_runs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(b->runs[middle].edge, edge) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static char *write_runs(const struct shelf *s, const struct registry_edge *e)
{
	bool *held = mem_new_array(s->n + 1, sizeof *held);
	struct buf b;
	char *text;

	for (size_t i = 0; i < e->n_holds; i++)
		held[shelf_find_key(s, e->holds[i])] = true; /* n: what nobody else is told of */
	buf_init(&b, MAX_HOLDS);
	plan_text_runs(held, s->n, &b);
	text = mem_dup(buf_error(&b) == 0 ? buf_text(&b) : "[]");
	buf_fini(&b);
	free(held);
	return text;
}

const char *bookcase_runs(struct bookcase *b, const struct registry_edge *e)
{
	size_t i;
	struct bookcase_runs *r;

	if (b->n_runs > REGISTRY_MAX_EDGES)
		forget_runs(b);
	i = place_of(b, e->name);
	if (i == b->n_runs || strcmp(b->runs[i].edge, e->name) != 0) {
		MEM_GROW(b->runs, b->cap_runs, b->n_runs);
		memmove(b->runs + i + 1, b->runs + i, (b->n_runs++ - i) * sizeof *b->runs);
		b->runs[i] = (struct bookcase_runs){.edge = mem_dup(e->name)};
	}
	r = &b->runs[i];
	if (r->text == NULL || r->holds_version != e->holds_version) {
		free(r->text);
		r->text = write_runs(&b->shelf, e);
		r->holds_version = e->holds_version;
	}
	return r->text;
}
